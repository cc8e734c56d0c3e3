#!/bin/sh
# usage: insert.sh PRINT-OPTIONS PAGE.scd.in
# Writes the page with the output of the program in place of the line @OPTIONS@.
set -eu
options=$("$1")
while IFS= read -r line; do
	case $line in
	@OPTIONS@) printf '%s\n' "$options" ;;
	*) printf '%s\n' "$line" ;;
	esac
done <"$2"

#!/bin/sh
# usage: localize.sh CORE.a OUT.a
# Joins the members of CORE.a into one object, makes its hidden symbols local and archives it,
# so that a static link sees the public names of libtend and no others.
set -eu
object=$2.o
rm -f "$2"
${LD:-ld} -r --whole-archive "$1" -o "$object"
${OBJCOPY:-objcopy} --localize-hidden "$object"
${AR:-ar} rcs "$2" "$object"
rm -f "$object"

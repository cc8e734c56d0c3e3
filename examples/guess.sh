#!/bin/sh
# A game of guessing numbers. The program knows nothing of networks: its standard input and output
# are the client, and tend sets variables such as TCPREMOTEIP that say who that is.
#
#	tend run --port 7007 -- examples/guess.sh          and then: nc 127.0.0.1 7007
#	tend run --port 7007 -- examples/guess.sh 42       always the same number
set -eu

carriage_return=$(printf '\r')
number=${1:-$(awk 'BEGIN { srand(); print int(rand() * 100) + 1 }' </dev/null)}
tries=0

echo "Hello ${TCPREMOTEIP:-neighbour}, I think of a number from 1 to 100."
while printf 'Your guess? ' && read -r guess; do
	# nc sends lines as they are typed, telnet ends them with two characters.
	guess=${guess%"$carriage_return"}
	case $guess in
	quit)
		echo "It was $number."
		exit 0
		;;
	'' | *[!0-9]* | ????*)
		echo "Numbers only, or quit."
		continue
		;;
	esac
	tries=$((tries + 1))
	if [ "$guess" -lt "$number" ]; then
		echo "More than $guess."
	elif [ "$guess" -gt "$number" ]; then
		echo "Less than $guess."
	else
		echo "Yes! Tries: $tries."
		exit 0
	fi
done

#!/bin/sh
# Every input has an expected output and the reverse; every test is found by
# the name its runner looks for.
set -eu
cd "$(dirname "$0")/.."
bad=0

# pairs DIR EXT DIR EXT: same base names on both sides
pairs()
{
	for f in "$1"/*."$2"
	do
		[ -e "$f" ] || continue
		base=$(basename "$f" ".$2")
		if ! [ -e "$3/$base.$4" ]
		then
			echo "$f has no $3/$base.$4" >&2
			bad=1
		fi
	done
}

pairs sql sql expected out
pairs expected out sql sql
pairs test/specs spec test/expected out
pairs test/expected out test/specs spec

for f in test/unit/*.c
do
	[ -e "$f" ] || continue
	case $f in
	*_test.c) ;;
	*)	if ! grep -q "$(basename "$f")" test/unit/*_test.c test/unit/run.sh
		then
			echo "$f is not a *_test.c and nothing uses it" >&2
			bad=1
		fi ;;
	esac
done
for f in test/t/*
do
	case $f in
	test/t/[0-9][0-9][0-9]_*.pl) ;;
	*)	echo "$f: TAP tests are named NNN_topic.pl" >&2
		bad=1 ;;
	esac
done

exit $bad

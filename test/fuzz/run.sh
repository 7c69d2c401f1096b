#!/bin/sh
# Fuzz the text parsers: run.sh [SECONDS], 120 by default.
# Needs clang with its libFuzzer and sanitizer runtimes; fails by name without.
# A crash leaves its input under test/fuzz/crashes.  Needs no server.
set -eu

seconds=${1:-120}
root=$(cd "$(dirname "$0")/../.." && pwd)
clang=${FUZZ_CC:-clang}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# -max_total_time=0 would mean for ever
case $seconds in
	''|*[!0-9]*|0*)
		echo "usage: run.sh [SECONDS], at least 1" >&2
		exit 2;;
esac

if ! command -v "$clang" >/dev/null
then
	echo "fuzz: FAILED, $clang is not installed" >&2
	exit 1
fi
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n);
int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d == 0 && n > 0; }' \
	> "$work/probe.c"
if ! "$clang" -fsanitize=fuzzer,address,undefined "$work/probe.c" -o "$work/probe" 2>"$work/log"
then
	cat "$work/log" >&2
	echo "fuzz: FAILED, $clang lacks the libFuzzer or sanitizer runtime (Debian: libclang-rt-dev)" >&2
	exit 1
fi

"$clang" -g -O2 -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -I"$root/src" \
	"$root/test/fuzz/literal_fuzz.c" "$root"/src/kernels/*.c -lm -o "$work/literal_fuzz"

# the corpus is a text file, one seed a line, \n and \t escaped; each with every
# last byte that selects another table of kernels
mkdir -p "$work/corpus" "$root/test/fuzz/crashes"
n=0
while IFS= read -r line
do
	n=$((n + 1))
	for table in 0 1 2
	do
		printf '%b%s' "$line" "$table" > "$work/corpus/$n.$table"
	done
done < "$root/test/fuzz/literal_seeds.txt"

status=0
"$work/literal_fuzz" -max_total_time="$seconds" -max_len=2048 -print_final_stats=1 \
	-artifact_prefix="$root/test/fuzz/crashes/" -dict="$root/test/fuzz/literal.dict" \
	"$work/corpus" >"$work/log" 2>&1 || status=$?

executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
if [ "$status" -ne 0 ] || [ -z "$executions" ]
then
	tail -n 60 "$work/log" >&2
	echo "fuzz: FAILED, exit status $status after ${executions:-unknown} executions" >&2
	exit 1
fi
rmdir "$root/test/fuzz/crashes" 2>/dev/null || true
echo "fuzz: $executions executions of literal_fuzz in $seconds s from $n seeds, none failed"

#!/bin/sh
# The regression suite once with each instruction set this CPU has; the same
# expected files must pass.  What the CPU lacks is named, and is not a pass.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# cpu_has NAME: by the kernel's word, so that a dispatcher that wrongly falls
# back is a failure and not an excuse
cpu_has()
{
	case $1 in
	scalar)	return 0 ;;
	neon)	[ "$(uname -m)" = aarch64 ]; return ;;
	avx2)	flags='avx2 fma f16c' ;;
	avx512)	flags='avx512f avx512bw avx512dq avx512vl' ;;
	esac
	for flag in $flags
	do
		grep -qw "$flag" /proc/cpuinfo || return 1
	done
}

case $(uname -m) in
x86_64)	sets='scalar avx2 avx512' ;;
aarch64)	sets='scalar neon' ;;
*)	sets=scalar ;;
esac

passed=0
failed=0
lacking=
for simd in $sets
do
	if ! cpu_has "$simd"
	then
		lacking="$lacking $simd"
		continue
	fi
	echo "== vecext.simd = $simd"
	VECEXT_SIMD=$simd sh test/check.sh regress >"$work/log" 2>&1 || true
	cat "$work/log"
	result=$(tail -n 1 "$work/log")
	case $result in
	*' passed, '*' failed')
		passed=$((passed + ${result%% passed*}))
		result=${result#*, }
		failed=$((failed + ${result%% failed}))
		;;
	*)	failed=$((failed + 1)) ;;
	esac
done
for simd in $lacking
do
	echo "NOT RUN: this CPU lacks $simd; run make check-isa on one that has it"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

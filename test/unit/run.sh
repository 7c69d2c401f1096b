#!/bin/sh
#
# Build and run every unit test; no server needed.
#
#	run.sh DIR			natively, objects in DIR, which is created
#	run.sh --neon DIR	for AArch64, under qemu, to test the NEON kernels
#
# CC and CFLAGS are honoured; with --neon, AARCH64_CC and QEMU_AARCH64 name
# the tools, and a missing one is a failure.  Prints the tests' TAP; the exit
# code is not 0 if any test fails.

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cc=${CC:-cc}
runner=
left_out=

if [ "${1:-}" = --neon ]; then
	shift
	cc=${AARCH64_CC:-aarch64-linux-gnu-gcc}
	runner=${QEMU_AARCH64:-qemu-aarch64}
	for tool in "$cc" "$runner"; do
		if ! command -v "$tool" >/dev/null; then
			echo "run.sh --neon: $tool is not installed" >&2
			exit 1
		fi
	done
	set -- "${1:-}" -static
	# The graph has no instructions of its own: codes_test and quant_test cover
	# what it computes with, and building graphs takes minutes under emulation.
	left_out=' graph_test restrict_test '
	echo "#${left_out}are not run under emulation"
fi

if [ -z "${1:-}" ]; then
	echo "usage: run.sh [--neon] DIR" >&2
	exit 2
fi
dir=$1
shift
mkdir -p "$dir"

# the objects that all tests share, compiled once, two at a time
flags="-O2 -g -Wall -Wextra -Werror -Wmissing-prototypes -Wdeclaration-after-statement \
	${CFLAGS:-} -I$top/src"
rm -rf "$dir/core"
rm -f "$dir"/*.failed
mkdir -p "$dir/core"
# shellcheck disable=SC2016 # the inner shell expands
printf '%s\n' "$top"/src/kernels/*.c "$top"/src/quant/*.c "$top"/src/graph/*.c \
	"$top"/src/cluster/*.c |
	xargs -P 2 -I '{}' sh -c '$1 $2 -c -o "$3/$(basename "$4" .c).o" "$4"' \
		compile "$cc" "$flags" "$dir/core" '{}'

# each into a file, two at a time: under emulation they take minutes
failed=0
names=
for test in "$top"/test/unit/*_test.c; do
	name=$(basename "$test" .c)
	case $left_out in
	*" $name "*)	continue ;;
	esac
	# shellcheck disable=SC2086 # CC and CFLAGS are lists of words
	$cc $flags -o "$dir/$name" "$test" "$dir"/core/*.o "$@" -lm -lpthread
	names="$names $name"
done
# shellcheck disable=SC2016,SC2086 # the inner shell expands; names are words
printf '%s\n' $names | xargs -P 2 -I '{}' sh -c '$1 "$2/$3" >"$2/$3.tap" 2>&1 || touch "$2/$3.failed"' \
	run "$runner" "$dir" '{}'
for name in $names; do
	echo "# $name"
	cat "$dir/$name.tap"
	[ ! -e "$dir/$name.failed" ] || failed=1
done
exit $failed

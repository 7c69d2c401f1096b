#!/bin/sh
# Regression and isolation tests with the extension built under ASan and UBSan
# and with assertions; the server around it is the installed one.
#
# The first fault ends the server process, and its report is in the server log
# that check.sh prints.  Memory of PostgreSQL's own allocator has no red zones:
# overruns inside a palloc'd chunk are the business of test/unit and test/fuzz.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# Debian's server hangs in bindtextdomain() under a preloaded libasan; without
# translations it needs none.
cat >"$work/stub.c" <<'C'
char	   *bindtextdomain(const char *domain, const char *folder);

char *
bindtextdomain(const char *domain, const char *folder)
{
	(void) domain;
	return (char *) folder;
}
C
gcc -shared -fPIC -o "$work/stub.so" "$work/stub.c"
libasan=$(gcc -print-file-name=libasan.so)
if ! [ -e "$libasan" ]
then
	echo "gcc has no libasan here" >&2
	exit 1
fi
libasan=$(readlink -f "$libasan")

export VECEXT_VARIANT=asan
export VECEXT_LLVM=no
export VECEXT_CC=gcc
export COPT='-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -DUSE_ASSERT_CHECKING'
export VECEXT_SERVER_ENV="LD_PRELOAD=$libasan:$work/stub.so \
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:disable_coredump=1 \
UBSAN_OPTIONS=print_stacktrace=1"
[ $# -gt 0 ] || set -- regress isolation
sh test/check.sh "$@"

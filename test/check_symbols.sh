#!/bin/sh
# check_symbols.sh LIBRARY: it exports what the install scripts name, and
# nothing else; the server binds libraries globally, so any other symbol could
# be taken for one of another extension's.
set -eu
library=$1
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# the C function is the name after MODULE_PATHNAME, or else the SQL name
perl -0777 -ne '
	s/--[^\n]*//g;
	while (/CREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+"?(\w+)"?\s*\([^;]*?\bAS\s+\x27MODULE_PATHNAME\x27(?:\s*,\s*\x27(\w+)\x27)?/gi)
	{
		my $f = $2 // $1;
		print "$f\npg_finfo_$f\n";
	}' src/sql/vecext--*.sql >"$work/named"
if ! [ -s "$work/named" ]
then
	echo "src/sql names no C function" >&2
	exit 1
fi
{
	cat "$work/named"
	echo _PG_init
	echo Pg_magic_func
	# main functions of parallel workers, which the server finds by name
	echo vecext_hnsw_build_worker
	echo vecext_ivf_build_worker
} | sort -u >"$work/wanted"
nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | sort -u >"$work/exported"

if ! diff "$work/wanted" "$work/exported" >"$work/diff"
then
	sed -n 's/^< /named in src\/sql, not exported: /p; s/^> /exported, not named in src\/sql: /p' \
		"$work/diff" >&2
	exit 1
fi

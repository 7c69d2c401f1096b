#!/bin/sh
# The include rule of src/README.md: a file's folder tells what it may include.
set -eu
cd "$(dirname "$0")/.."
bad=0

# deny FOLDER PATTERN: no file of src/FOLDER includes what matches
deny()
{
	[ -d "src/$1" ] || return 0
	if grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*\"($2)" "src/$1"/*.[ch]
	then
		echo "src/$1 may not include the files above" >&2
		bad=1
	fi
}

# server_free FOLDER PATTERN: quoted includes only of what matches, and no
# header of the server or the system in angle brackets but C's own
server_free()
{
	[ -d "src/$1" ] || return 0
	if grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "src/$1"/*.[ch] |
		grep -vE "include[[:space:]]*\"($2)"
	then
		echo "src/$1 may include C standard headers and $2 only" >&2
		bad=1
	fi
	if grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' "src/$1"/*.[ch] | grep -vE \
		'<(assert|ctype|errno|fenv|float|inttypes|limits|locale|math|setjmp|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|immintrin|cpuid|arm_neon|sys/auxv)\.h>'
	then
		echo "src/$1 may include C standard headers and the compiler's intrinsics only" >&2
		bad=1
	fi
}

server_free kernels 'kernels/'
server_free quant 'quant/|kernels/'
server_free graph 'graph/|quant/|kernels/'
server_free cluster 'cluster/|quant/|kernels/'
deny types   'quant/|filter/|am/|hnsw/|ivfflat/|planner/'
deny filter  'kernels/|quant/|cluster/|graph/|types/|am/|hnsw/|ivfflat/|planner/'
deny am      'kernels/|types/(vector|halfvec|sparsevec|bitvec)|hnsw/|ivfflat/|planner/'
deny hnsw    'kernels/|types/(vector|halfvec|sparsevec|bitvec)|ivfflat/|planner/'
deny ivfflat 'kernels/|types/(vector|halfvec|sparsevec|bitvec)|hnsw/|planner/'

# layer 0 knows nothing of ours
if grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"(kernels|types|quant|filter|am|hnsw|ivfflat|planner)/' \
	src/compat.h
then
	echo "src/compat.h may not include the files above" >&2
	bad=1
fi

if grep -rn --include='*.[ch]' 'PG_VERSION_NUM' src | grep -v '^src/compat\.h:'
then
	echo "only src/compat.h may test PG_VERSION_NUM" >&2
	bad=1
fi

if grep -rnE --include='*.[ch]' 'target_clones|fast-math|-march=' src Makefile |
	grep -v '^Makefile:[0-9]*:#'
then
	echo "instruction sets are chosen per function and at run time: no target_clones, -march, -ffast-math" >&2
	bad=1
fi

exit $bad

# vecext: PGXS build.  "make demo" and "make check" need nothing installed but
# git, make and a compiler; every other target needs pg_config.

EXTENSION = vecext
MODULE_big = vecext

# One line per object, bottom layer first; src/README.md explains the order.
OBJS = \
	src/kernels/kernels_scalar.o \
	src/kernels/kernels_avx2.o \
	src/kernels/kernels_avx512.o \
	src/kernels/kernels_neon.o \
	src/kernels/distance.o \
	src/kernels/dispatch.o \
	src/kernels/float_parse.o \
	src/kernels/literal.o \
	src/types/common.o \
	src/types/dense_io.o \
	src/types/dense_ops.o \
	src/types/dense_agg.o \
	src/types/vector.o \
	src/types/halfvec.o \
	src/types/sparsevec.o \
	src/types/sparsevec_ops.o \
	src/types/sparsevec_agg.o \
	src/types/bitvec.o \
	src/types/subscript.o \
	src/types/statistics.o \
	src/types/cost.o \
	src/settings.o \
	src/guard.o \
	src/vecext.o

DATA = $(wildcard src/sql/vecext--*.sql)

# for extensions that read our datums
HEADERS_vecext = src/types/vector.h src/types/halfvec.h src/types/sparsevec.h

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -O3 -fvisibility=hidden
SHLIB_LINK = -Wl,-Bsymbolic

# sql/ + expected/ are pg_regress's default pair; test/ holds everything else.
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=vecext

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# vecext: PGXS build.  "make demo" and "make check" need nothing installed but
# git, make and a compiler; every other target needs pg_config.
#
#	make, make install, make installcheck	the PGXS way; PG_CONFIG=... chooses a server
#	make demo				exact search over real data in a throw-away server
#	make check				every test, in a throw-away server
#	make STRICT=1				warnings are errors
#	make OPENMP=1				threads for pure arithmetic

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
	src/kernels/float_print.o \
	src/kernels/literal.o \
	src/quant/rotate.o \
	src/quant/model.o \
	src/quant/pca.o \
	src/quant/navcode.o \
	src/quant/peek.o \
	src/quant/sketch.o \
	src/quant/query.o \
	src/quant/refine.o \
	src/quant/listcode.o \
	src/quant/listquery.o \
	src/quant/listbest.o \
	src/cluster/area.o \
	src/cluster/point.o \
	src/cluster/local.o \
	src/cluster/repair.o \
	src/cluster/tasks.o \
	src/cluster/train.o \
	src/cluster/place.o \
	src/cluster/reach.o \
	src/graph/graph.o \
	src/graph/find.o \
	src/graph/build.o \
	src/graph/finish.o \
	src/graph/entries.o \
	src/graph/slot.o \
	src/graph/search.o \
	src/graph/restrict.o \
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
	src/types/mean.o \
	src/types/metric.o \
	src/types/subscript.o \
	src/types/statistics.o \
	src/types/cost.o \
	src/filter/filter_key.o \
	src/filter/filter_point.o \
	src/filter/filter_set.o \
	src/filter/filter_query.o \
	src/filter/filter_test.o \
	src/am/am_check.o \
	src/am/am_recall.o \
	src/am/am_disk.o \
	src/am/am_index.o \
	src/am/am_buffers.o \
	src/am/am_validate.o \
	src/am/am_sample.o \
	src/am/am_parallel.o \
	src/am/am_xlog.o \
	src/am/am_cost.o \
	src/am/am_scan.o \
	src/am/am_restrict.o \
	src/am/am_tidset.o \
	src/hnsw/hnswindex.o \
	src/hnsw/hnswpages.o \
	src/hnsw/hnswvalue.o \
	src/hnsw/hnswquery.o \
	src/hnsw/hnswparams.o \
	src/hnsw/hnswtrain.o \
	src/hnsw/hnswbuild.o \
	src/hnsw/hnswload.o \
	src/hnsw/hnswfiles.o \
	src/hnsw/hnswaside.o \
	src/hnsw/hnswparallel.o \
	src/hnsw/hnswfinish.o \
	src/hnsw/hnswwrite.o \
	src/hnsw/hnswtids.o \
	src/hnsw/hnswfilter.o \
	src/hnsw/hnswspace.o \
	src/hnsw/hnswlink.o \
	src/hnsw/hnswupper.o \
	src/hnsw/hnswinsert.o \
	src/hnsw/hnswfound.o \
	src/hnsw/hnswbatch.o \
	src/hnsw/hnswscan.o \
	src/hnsw/hnswmatch.o \
	src/hnsw/hnswsweep.o \
	src/hnsw/hnswrestrict.o \
	src/hnsw/hnswcost.o \
	src/hnsw/hnswvacuum.o \
	src/hnsw/hnswchoose.o \
	src/hnsw/hnswreach.o \
	src/hnsw/hnswrepair.o \
	src/hnsw/hnswcheck.o \
	src/hnsw/hnswstats.o \
	src/hnsw/hnsw.o \
	src/ivfflat/ivfshape.o \
	src/ivfflat/ivfindex.o \
	src/ivfflat/ivfcode.o \
	src/ivfflat/ivfvalue.o \
	src/ivfflat/ivfdirectory.o \
	src/ivfflat/ivfappend.o \
	src/ivfflat/ivfwrite.o \
	src/ivfflat/ivfparams.o \
	src/ivfflat/ivfteam.o \
	src/ivfflat/ivftrain.o \
	src/ivfflat/ivfvalues.o \
	src/ivfflat/ivfcentroids.o \
	src/ivfflat/ivfassign.o \
	src/ivfflat/ivfbuckets.o \
	src/ivfflat/ivfshare.o \
	src/ivfflat/ivfparallel.o \
	src/ivfflat/ivfsorted.o \
	src/ivfflat/ivfbuild.o \
	src/ivfflat/ivftargets.o \
	src/ivfflat/ivfrewrite.o \
	src/ivfflat/ivfmaintain.o \
	src/ivfflat/ivfinsert.o \
	src/ivfflat/ivffilter.o \
	src/ivfflat/ivfpass.o \
	src/ivfflat/ivfscan.o \
	src/ivfflat/ivfcost.o \
	src/ivfflat/ivfvacuum.o \
	src/ivfflat/ivfcheckrow.o \
	src/ivfflat/ivfcheck.o \
	src/ivfflat/ivfstats.o \
	src/ivfflat/ivfflat.o \
	src/planner/cached.o \
	src/planner/explain.o \
	src/planner/explain_why.o \
	src/planner/order.o \
	src/planner/order_path.o \
	src/planner/filter_path.o \
	src/planner/planner.o \
	src/planner/reuse_plan.o \
	src/planner/reuse_scan.o \
	src/planner/topk_rows.o \
	src/planner/topk_path.o \
	src/planner/topk_scan.o \
	src/planner/bitmap_cost.o \
	src/planner/bitmap_ahead.o \
	src/planner/bitmap_path.o \
	src/planner/bitmap_scan.o \
	src/settings.o \
	src/guard.o \
	src/vecext.o

DATA = $(wildcard src/sql/vecext--*.sql)

# for extensions that read our datums
HEADERS_vecext = src/types/vector.h src/types/halfvec.h src/types/sparsevec.h

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -O3 -fvisibility=hidden
SHLIB_LINK = -Wl,-Bsymbolic

# -Wextra minus what the server's own headers and function ABI set off
ifdef STRICT
PG_CFLAGS += -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Werror
endif
ifdef OPENMP
PG_CFLAGS += -fopenmp
SHLIB_LINK += -fopenmp
endif

# sql/ + expected/ are pg_regress's default pair; test/ holds everything else.
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=vecext
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --load-extension=vecext
TAP_TESTS = 1
PROVE_TESTS ?= $(sort $(wildcard test/t/*.pl))

EXTRA_CLEAN = build

# Goals that are scripts.  They find the server, or install it, themselves, so
# PGXS is not read for them; it has a "check" of its own, which only refuses.
SCRIPTS_OF_TESTS = check-layers check-symbols check-tests check-unit check-isa check-asan \
	check-fuzz
SCRIPT_GOALS = demo check matrix bench $(SCRIPTS_OF_TESTS)

ifneq ($(filter $(SCRIPT_GOALS),$(MAKECMDGOALS)),)
ifneq ($(filter-out $(SCRIPT_GOALS),$(MAKECMDGOALS)),)

# a mixture: one make for each
.NOTPARALLEL:
.PHONY: $(MAKECMDGOALS)
$(MAKECMDGOALS):
	@$(MAKE) $@

else

.PHONY: $(SCRIPT_GOALS)
export PG_CONFIG STRICT OPENMP

demo:
	@sh test/demo.sh
check:
	@sh test/check.sh
check-layers:
	@sh test/check_layers.sh
check-tests:
	@sh test/check_tests.sh
check-symbols:
	@sh test/check.sh symbols
check-unit:
	@sh test/unit/run.sh build/unit
check-isa:
	@sh test/isa.sh
check-asan:
	@sh test/asan.sh
check-fuzz:
	@sh test/fuzz/run.sh 120
matrix:
	@sh test/matrix.sh 17 18
bench:
	@$(MAKE) -C bench

endif
else

export PERL5LIB := $(CURDIR)/test/perl:$(PERL5LIB)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error "$(PG_CONFIG)" does not lead to a PostgreSQL with server headers. \
	Install one (Debian: apt-get install postgresql-server-dev-all), name it with \
	"make PG_CONFIG=/path/to/pg_config", or let "make demo" set one up)
endif
include $(PGXS)

# PGXS knows no headers
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(addprefix $(srcdir)/,src/*.h src/*/*.h))

endif

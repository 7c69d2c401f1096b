/*-------------------------------------------------------------------------
 *
 * hnsw.c
 *	  The access method hnsw as the server sees it: handler, options of an
 *	  index, settings of a session.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include <float.h>

#include "access/reloptions.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "hnsw/hnswcheck.h"
#include "utils/guc.h"

int			hnsw_ef_search = HNSW_DEFAULT_EF_SEARCH;
int			hnsw_iterative_scan = HNSW_ITERATIVE_STRICT;
int			hnsw_max_scan_tuples = 20000;
double		hnsw_scan_mem_multiplier = 1;

static relopt_kind hnsw_relopt_kind;

static relopt_enum_elt_def refine_members[] = {
	{"auto", -1},
	{"full", REFINE_FULL},
	{"half", REFINE_HALF},
	{"int8", REFINE_INT8},
	{"heap", REFINE_HEAP},
	{NULL, 0}
};

static relopt_enum_elt_def nav_bits_members[] = {
	{"auto", 0},
	{"2", 2},
	{"4", 4},
	{"8", 8},
	{"32", 32},
	{NULL, 0}
};

static const struct config_enum_entry iterative_scan_options[] = {
	{"off", HNSW_ITERATIVE_OFF, false},
	{"relaxed_order", HNSW_ITERATIVE_RELAXED, false},
	{"strict_order", HNSW_ITERATIVE_STRICT, false},
	{NULL, 0, false}
};

/*--- options of an index -------------------------------------------------*/

/* each is fixed by the build: the metapage has a copy */
static void
init_options(void)
{
	hnsw_relopt_kind = add_reloption_kind();
	add_int_reloption(hnsw_relopt_kind, "m",
					  "Number of links per node above level 0; half as many again on level 0.",
					  HNSW_DEFAULT_M, HNSW_MIN_M, HNSW_MAX_M, AccessExclusiveLock);
	add_int_reloption(hnsw_relopt_kind, "ef_construction",
					  "Number of candidates a node's links are chosen from.",
					  HNSW_DEFAULT_EF_CONSTRUCTION, HNSW_MIN_EF_CONSTRUCTION,
					  HNSW_MAX_EF_CONSTRUCTION, AccessExclusiveLock);
	add_enum_reloption(hnsw_relopt_kind, "refine",
					   "What the index stores to rank the last candidates by.",
					   refine_members, -1,
					   "Valid values are \"auto\", \"full\", \"half\", \"int8\" and \"heap\".",
					   AccessExclusiveLock);
	add_enum_reloption(hnsw_relopt_kind, "nav_bits",
					   "Bits per dimension of the codes the graph is searched by.",
					   nav_bits_members, 0,
					   "Valid values are \"auto\", \"2\", \"4\", \"8\" and \"32\".",
					   AccessExclusiveLock);
	add_int_reloption(hnsw_relopt_kind, "sketch_bits",
					  "Bits of the sketch of a link; 0 for none, -1 to choose.",
					  -1, -1, QUANT_MAX_SKETCH, AccessExclusiveLock);
}

static bytea *
hnswoptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt tab[] = {
		{"m", RELOPT_TYPE_INT, offsetof(HnswOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(HnswOptions, ef_construction)},
		{"refine", RELOPT_TYPE_ENUM, offsetof(HnswOptions, refine)},
		{"nav_bits", RELOPT_TYPE_ENUM, offsetof(HnswOptions, nav_bits)},
		{"sketch_bits", RELOPT_TYPE_INT, offsetof(HnswOptions, sketch_bits)},
	};

	return (bytea *) build_reloptions(reloptions, validate, hnsw_relopt_kind,
									  sizeof(HnswOptions), tab, lengthof(tab));
}

/*--- settings ------------------------------------------------------------*/

/*
 * hnsw_init
 *		Define options and settings, when the library is loaded.
 */
void
hnsw_init(void)
{
	init_options();
	hnsw_check_init();
	am_register_restrict(hnswgettuple, hnsw_restrict_scan);
	DefineCustomIntVariable("hnsw.ef_search",
							"Sets how many candidates a search of an hnsw index keeps.",
							"More find more of the nearest rows and take longer.",
							&hnsw_ef_search,
							HNSW_DEFAULT_EF_SEARCH, 1, HNSW_MAX_EF_SEARCH,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("hnsw.iterative_scan",
							 "Selects how a scan goes on when more rows are asked for.",
							 "\"off\" ends it, \"strict_order\" keeps the order of distance, "
							 "\"relaxed_order\" nearly keeps it and is faster.",
							 &hnsw_iterative_scan,
							 HNSW_ITERATIVE_STRICT, iterative_scan_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("hnsw.max_scan_tuples",
							"Sets how many rows an iterative scan visits at most.",
							"After that it returns what it has found.",
							&hnsw_max_scan_tuples,
							20000, 1, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("hnsw.scan_mem_multiplier",
							 "Sets how many times work_mem an iterative scan may use.",
							 "Raise it where max_scan_tuples alone does not find enough.",
							 &hnsw_scan_mem_multiplier,
							 1, 1, 1000,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("hnsw");
}

/*--- the access method ---------------------------------------------------*/

static char *
hnswbuildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case HNSW_PHASE_SAMPLE:
			return "sampling table";
		case HNSW_PHASE_TRAIN:
			return "training codes";
		case HNSW_PHASE_LOAD:
			return "loading tuples";
		case HNSW_PHASE_FINISH:
			return "choosing links";
		case HNSW_PHASE_WRITE:
			return "writing pages";
		case HNSW_PHASE_INSERT:
			return "inserting tuples that did not fit in memory";
		default:
			return NULL;
	}
}

static bool
hnswvalidate(Oid opclass)
{
	return am_validate(opclass, "hnsw");
}

/* an index can order by distance, which the server leaves to us to say */
static bool
hnswproperty(Oid index, int attno, IndexAMProperty property, const char *name, bool *result,
			 bool *isnull)
{
	if (property != AMPROP_DISTANCE_ORDERABLE || attno == 0)
		return false;
	*result = attno == 1;
	*isnull = false;
	return true;
}

/* the fields left out are zero, and zero is right */
static const IndexAmRoutine hnsw_routine = {
	.type = T_IndexAmRoutine,
	.amstrategies = HNSW_NSTRATEGIES,
	.amsupport = HNSW_NPROCS,
	.amcanorderbyop = true,
	.amcanmulticol = true,
	.amoptionalkey = true,
	.amsearcharray = true,
	.amsearchnulls = true,
	.amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL,
	VEC_AM_ROUTINE_COMPAT
	.ambuild = hnswbuild,
	.ambuildempty = hnswbuildempty,
	.aminsert = hnswinsert,
	.ambulkdelete = hnswbulkdelete,
	.amvacuumcleanup = hnswvacuumcleanup,
	.amcostestimate = hnswcostestimate,
	.amoptions = hnswoptions,
	.amproperty = hnswproperty,
	.ambuildphasename = hnswbuildphasename,
	.amvalidate = hnswvalidate,
	.ambeginscan = hnswbeginscan,
	.amrescan = hnswrescan,
	.amgettuple = hnswgettuple,
	.amendscan = hnswendscan,
};

/* handler of the access method */
VEC_SQL_FUNCTION(vecext_hnsw_handler)
{
	IndexAmRoutine *routine = makeNode(IndexAmRoutine);

	*routine = hnsw_routine;
	PG_RETURN_POINTER(routine);
}

/*-------------------------------------------------------------------------
 *
 * ivfflat.c
 *	  The access method ivfflat as the server sees it: handler, options of an
 *	  index, settings of a session.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include "access/reloptions.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "ivfflat/ivfcheck.h"
#include "utils/guc.h"

int			ivf_probes = IVF_DEFAULT_PROBES;
int			ivf_iterative_scan = IVF_ITERATIVE_STRICT;
int			ivf_max_probes = IVF_MAX_LISTS;
double		ivf_scan_mem_multiplier = 1;

static relopt_kind ivf_relopt_kind;

static relopt_enum_elt_def quantizer_members[] = {
	{"auto", -1},
	{"rabitq", LIST_RABITQ},
	{"int8", LIST_INT8},
	{"none", LIST_NONE},
	{NULL, 0}
};

static relopt_enum_elt_def refine_members[] = {
	{"auto", -1},
	{"full", REFINE_FULL},
	{"half", REFINE_HALF},
	{"int8", REFINE_INT8},
	{"heap", REFINE_HEAP},
	{NULL, 0}
};

static const struct config_enum_entry iterative_scan_options[] = {
	{"off", IVF_ITERATIVE_OFF, false},
	{"relaxed_order", IVF_ITERATIVE_RELAXED, false},
	{"strict_order", IVF_ITERATIVE_STRICT, false},
	{NULL, 0, false}
};

/*--- options of an index -------------------------------------------------*/

/* each is fixed by the build: the metapage has a copy */
static void
init_options(void)
{
	ivf_relopt_kind = add_reloption_kind();
	add_int_reloption(ivf_relopt_kind, "lists",
					  "Number of lists; if it is not given, the number of rows decides.",
					  0, IVF_MIN_LISTS, IVF_MAX_LISTS, AccessExclusiveLock);
	add_enum_reloption(ivf_relopt_kind, "quantizer",
					   "What the lists store to estimate distances by.",
					   quantizer_members, -1,
					   "Valid values are \"auto\", \"rabitq\", \"int8\" and \"none\".",
					   AccessExclusiveLock);
	add_enum_reloption(ivf_relopt_kind, "refine",
					   "What the index stores to rank the last candidates by.",
					   refine_members, -1,
					   "Valid values are \"auto\", \"full\", \"half\", \"int8\" and \"heap\".",
					   AccessExclusiveLock);
	add_string_reloption(ivf_relopt_kind, "centroids",
						 "Table whose first column has the centroids.",
						 NULL, NULL, AccessExclusiveLock);
}

static bytea *
ivfoptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt tab[] = {
		{"lists", RELOPT_TYPE_INT, offsetof(IvfOptions, lists)},
		{"quantizer", RELOPT_TYPE_ENUM, offsetof(IvfOptions, quantizer)},
		{"refine", RELOPT_TYPE_ENUM, offsetof(IvfOptions, refine)},
		{"centroids", RELOPT_TYPE_STRING, offsetof(IvfOptions, centroids)},
	};

	return (bytea *) build_reloptions(reloptions, validate, ivf_relopt_kind,
									  sizeof(IvfOptions), tab, lengthof(tab));
}

/*--- settings ------------------------------------------------------------*/

/*
 * ivf_init
 *		Define options and settings, when the library is loaded.
 */
void
ivf_init(void)
{
	init_options();
	ivf_check_init();
	am_register_restrict(ivfgettuple, ivf_restrict);
	DefineCustomIntVariable("ivfflat.probes",
							"Sets how many lists a scan of an ivfflat index reads at first.",
							"More find more of the nearest rows and take longer; 0 takes the "
							"square root of the number of lists.",
							&ivf_probes,
							IVF_DEFAULT_PROBES, 0, IVF_MAX_LISTS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("ivfflat.iterative_scan",
							 "Selects how a scan goes on when more rows are asked for.",
							 "\"off\" ends it, \"strict_order\" keeps the order of distance, "
							 "\"relaxed_order\" nearly keeps it.",
							 &ivf_iterative_scan,
							 IVF_ITERATIVE_STRICT, iterative_scan_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ivfflat.max_probes",
							"Sets how many lists an iterative scan reads at most.",
							"After that it returns what it has found.",
							&ivf_max_probes,
							IVF_MAX_LISTS, 1, IVF_MAX_LISTS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("ivfflat.scan_mem_multiplier",
							 "Sets how many times work_mem a scan may use.",
							 "A scan that needs more reads its lists again.",
							 &ivf_scan_mem_multiplier,
							 1, 1, 1000,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("ivfflat");
}

/*--- the access method ---------------------------------------------------*/

static char *
ivfbuildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case IVF_PHASE_SAMPLE:
			return "sampling table";
		case IVF_PHASE_TRAIN:
			return "performing k-means";
		case IVF_PHASE_ASSIGN:
			return "assigning tuples";
		case IVF_PHASE_LOAD:
			return "loading tuples";
		default:
			return NULL;
	}
}

static bool
ivfvalidate(Oid opclass)
{
	return am_validate(opclass, "ivfflat");
}

/* an index can order by distance, which the server leaves to us to say */
static bool
ivfproperty(Oid index, int attno, IndexAMProperty property, const char *name, bool *result,
			bool *isnull)
{
	if (property != AMPROP_DISTANCE_ORDERABLE || attno == 0)
		return false;
	*result = attno == 1;
	*isnull = false;
	return true;
}

/* the fields left out are zero, and zero is right */
static const IndexAmRoutine ivf_routine = {
	.type = T_IndexAmRoutine,
	.amstrategies = IVF_NSTRATEGIES,
	.amsupport = IVF_NPROCS,
	.amcanorderbyop = true,
	.amcanmulticol = true,
	.amoptionalkey = true,
	.amsearcharray = true,
	.amsearchnulls = true,
	.amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL,
	VEC_AM_ROUTINE_COMPAT
	.ambuild = ivfbuild,
	.ambuildempty = ivfbuildempty,
	.aminsert = ivfinsert,
	.ambulkdelete = ivfbulkdelete,
	.amvacuumcleanup = ivfvacuumcleanup,
	.amcostestimate = ivfcostestimate,
	.amoptions = ivfoptions,
	.amproperty = ivfproperty,
	.ambuildphasename = ivfbuildphasename,
	.amvalidate = ivfvalidate,
	.ambeginscan = ivfbeginscan,
	.amrescan = ivfrescan,
	.amgettuple = ivfgettuple,
	.amendscan = ivfendscan,
};

/* handler of the access method */
VEC_SQL_FUNCTION(vecext_ivfflat_handler)
{
	IndexAmRoutine *routine = makeNode(IndexAmRoutine);

	*routine = ivf_routine;
	PG_RETURN_POINTER(routine);
}

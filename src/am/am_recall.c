/*-------------------------------------------------------------------------
 *
 * am_recall.c
 *	  vecext_recall: how many of the nearest rows an index finds.
 *
 * A sample of the table's own rows are the queries.  One pass over the table
 * computes their exact k nearest, then each is asked of the index, with the
 * session's settings.  Returned is a number, never a vector.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_check.h"

#include <math.h>

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "types/metric.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#define MAX_SAMPLE	10000
#define MAX_K		1000
#define SAMPLE_SEED	42

typedef struct Recall
{
	Relation	heap;
	Relation	rel;
	Snapshot	snapshot;
	const VecMetric *metric;
	IndexInfo  *info;
	EState	   *estate;
	ExprState  *predicate;
	TupleTableSlot *slot;
	MemoryContext keep;			/* for the sample */

	int			k;
	int			nsample;
	int			room;			/* most rows of the sample */
	struct varlena **sample;
	double	   *nearest;		/* k per row of the sample, ascending */
	int		   *nnearest;
} Recall;

/* 42501 unless the user may read all of the table */
static void
check_rights(Oid table)
{
	AclResult	result = pg_class_aclcheck(table, GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, get_rel_name(table));
	if (check_enable_rls(table, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security hides rows of \"%s\" from you",
						get_rel_name(table))));
}

/* the indexed value of the row in the slot, plain; NULL if it is not indexed */
static struct varlena *
indexed_value(Recall *recall)
{
	ExprContext *econtext = GetPerTupleExprContext(recall->estate);
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	struct varlena *value;

	econtext->ecxt_scantuple = recall->slot;
	if (recall->predicate != NULL && !ExecQual(recall->predicate, econtext))
		return NULL;
	FormIndexDatum(recall->info, recall->slot, recall->estate, values, isnull);
	if (isnull[0])
		return NULL;
	value = recall->metric->type->plain(values[0]);
	return recall->metric->is_defined(value) ? value : NULL;
}

/* call step for each row that is indexed */
static void
each_row(Recall *recall, void (*step) (Recall *recall, struct varlena *value, int64 n))
{
	TableScanDesc scan = table_beginscan(recall->heap, recall->snapshot, 0, NULL);
	MemoryContext context = GetPerTupleMemoryContext(recall->estate);
	int64		n = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, recall->slot))
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		struct varlena *value = indexed_value(recall);

		CHECK_FOR_INTERRUPTS();
		if (value != NULL)
			step(recall, value, n++);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	table_endscan(scan);
}

static struct varlena *
copy_value(Recall *recall, const struct varlena *value)
{
	struct varlena *copy = MemoryContextAlloc(recall->keep, VARSIZE(value));

	memcpy(copy, value, VARSIZE(value));
	return copy;
}

/* a row for the sample, each with the same chance (Vitter's algorithm R) */
static pg_prng_state sampler;

static void
draw_row(Recall *recall, struct varlena *value, int64 n)
{
	uint64		place = (uint64) n;

	if (n >= recall->room)
	{
		place = pg_prng_uint64_range(&sampler, 0, (uint64) n);
		if (place >= (uint64) recall->room)
			return;
		pfree(recall->sample[place]);
	}
	recall->sample[place] = copy_value(recall, value);
	recall->nsample = Max(recall->nsample, (int) place + 1);
}

/* put a distance into an ascending list of at most "most"; how many there are */
static int
keep_least(double *least, int n, int most, double distance)
{
	int			i = n;

	if (isnan(distance) || (n == most && distance >= least[n - 1]))
		return n;
	if (i == most)
		i--;
	for (; i > 0 && least[i - 1] > distance; i--)
		least[i] = least[i - 1];
	least[i] = distance;
	return Min(n + 1, most);
}

/* a row for the lists of nearest */
static void
rank_row(Recall *recall, struct varlena *value, int64 n)
{
	for (int s = 0; s < recall->nsample; s++)
	{
		double	   *nearest = recall->nearest + (Size) s * (Size) recall->k;
		double		distance = recall->metric->distance(recall->sample[s], value);

		recall->nnearest[s] = keep_least(nearest, recall->nnearest[s], recall->k, distance);
	}
}

/* whether no row to come can be nearer than those there are, as the executor sees it */
static bool
is_final(const IndexScanDesc scan, const double *least, int n, int most)
{
	if (n < most)
		return false;
	return !scan->xs_recheckorderby || scan->xs_orderbynulls[0] ||
		least[n - 1] <= DatumGetFloat8(scan->xs_orderbyvals[0]);
}

/* how many of the rows the index returns for a query are among its nearest */
static int
ask_index(Recall *recall, IndexScanDesc scan, int s)
{
	MemoryContext context = GetPerTupleMemoryContext(recall->estate);
	int			most = recall->nnearest[s];
	double		farthest = recall->nearest[(Size) s * (Size) recall->k + (Size) most - 1];
	double	   *least = palloc(sizeof(double) * (Size) most);
	ScanKeyData key;
	int			n = 0;
	int			found = 0;

	ScanKeyEntryInitialize(&key, SK_ORDER_BY, 1, 1, InvalidOid, InvalidOid, InvalidOid,
						   PointerGetDatum(recall->sample[s]));
	index_rescan(scan, NULL, 0, &key, 1);
	while (!is_final(scan, least, n, most) &&
		   index_getnext_slot(scan, ForwardScanDirection, recall->slot))
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		struct varlena *value = indexed_value(recall);

		CHECK_FOR_INTERRUPTS();
		if (value != NULL)
			n = keep_least(least, n, most, recall->metric->distance(recall->sample[s], value));
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	for (int i = 0; i < n; i++)
		found += least[i] <= farthest;
	pfree(least);
	return found;
}

/* the part of the exact nearest rows that the index returned; NaN without rows */
static double
measure(Recall *recall)
{
	IndexScanDesc scan = index_beginscan_compat(recall->heap, recall->rel, recall->snapshot, 0, 1);
	double		found = 0;
	double		all = 0;

	for (int s = 0; s < recall->nsample; s++)
	{
		if (recall->nnearest[s] == 0)
			continue;
		found += ask_index(recall, scan, s);
		all += recall->nnearest[s];
	}
	index_endscan(scan);
	return all > 0 ? found / all : NAN;
}

static void
check_argument(const char *name, int value, int most)
{
	if (value < 1 || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 1 and %d", name, most)));
}

/* open everything, sample, rank, ask */
static double
recall_of(Oid table, Oid index, int sample, int k)
{
	Recall		recall = {.k = k, .room = sample, .keep = CurrentMemoryContext};
	FmgrInfo   *proc;
	double		result;
	Oid			user;
	int			context;
	int			nest;

	recall.heap = table_open(table, AccessShareLock);
	recall.rel = index_open(index, AccessShareLock);
	am_refuse_other_temp(recall.rel);
	am_find_inspector(recall.rel);
	if (recall.rel->rd_index->indrelid != table || !recall.rel->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(recall.rel))));
	proc = index_getprocinfo(recall.rel, 1, VEC_METRIC_PROC);
	recall.metric = (const VecMetric *)
		DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));

	/* functions of the index run as for its owner, and can do no more */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(recall.heap->rd_rel->relowner,
						   context | SECURITY_RESTRICTED_OPERATION);
	nest = NewGUCNestLevel();
	RestrictSearchPath_compat();

	recall.info = BuildIndexInfo(recall.rel);
	recall.estate = CreateExecutorState();
	recall.predicate = ExecPrepareQual(recall.info->ii_Predicate, recall.estate);
	recall.slot = table_slot_create(recall.heap, NULL);
	recall.snapshot = RegisterSnapshot(GetActiveSnapshot());
	recall.sample = palloc0(sizeof(*recall.sample) * (Size) sample);
	recall.nnearest = palloc0(sizeof(int) * (Size) sample);
	recall.nearest = palloc(mul_size(sizeof(double) * (Size) sample, (Size) k));

	pg_prng_seed(&sampler, SAMPLE_SEED);
	each_row(&recall, draw_row);
	each_row(&recall, rank_row);
	result = measure(&recall);

	AtEOXact_GUC(false, nest);
	SetUserIdAndSecContext(user, context);
	UnregisterSnapshot(recall.snapshot);
	ExecDropSingleTupleTableSlot(recall.slot);
	FreeExecutorState(recall.estate);
	index_close(recall.rel, AccessShareLock);
	table_close(recall.heap, AccessShareLock);
	return result;
}

/*
 * vecext_recall(index regclass, sample integer, k integer)
 *		Recall at k over a sample of the table's rows; NULL without rows.
 */
VEC_SQL_FUNCTION(vecext_recall)
{
	Oid			index = PG_GETARG_OID(0);
	int			sample = PG_GETARG_INT32(1);
	int			k = PG_GETARG_INT32(2);
	Oid			table;
	double		result;

	check_argument("sample", sample, MAX_SAMPLE);
	check_argument("k", k, MAX_K);
	table = am_inspected_table(index);
	check_rights(table);
	result = recall_of(table, index, sample, k);
	if (isnan(result))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

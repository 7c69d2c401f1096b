/*-------------------------------------------------------------------------
 *
 * am_check.c
 *	  vecext_index_check and vecext_index_stats, for every access method.
 *
 * Access methods register what they know of their own indexes; this file has
 * what does not depend on them: rights, locks, result rows, and whether each
 * row of the table is in the index exactly once.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_check.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "filter/filter.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplesort.h"

#define MAX_INSPECTORS	4

/* findings returned per call; a damaged index may have millions */
#define MAX_FINDINGS	1000

/* invariant of a row of the table that the index lacks */
#define HEAP_INVARIANT	"heap"

struct AmReport
{
	ReturnSetInfo *result;
	int			nfindings;
	Tuplesortstate *tids;		/* rows in the index, or NULL */
};

/* what is done to the rows of the table */
typedef struct HeapRows
{
	Tuplesortstate *tids;
	FilterSet  *filters;		/* of the index, or NULL */
	MemoryContext temp;
} HeapRows;

static const AmInspector *inspectors[MAX_INSPECTORS];
static int	ninspectors = 0;

/*
 * am_register_inspector
 *		Make an access method's indexes known, when the library is loaded.
 */
void
am_register_inspector(const AmInspector *inspector)
{
	if (ninspectors == MAX_INSPECTORS)
		elog(ERROR, "too many access methods");
	inspectors[ninspectors++] = inspector;
}

static const AmInspector *
inspector_of(Relation rel)
{
	for (int i = 0; i < ninspectors; i++)
	{
		if (rel->rd_indam->aminsert == inspectors[i]->owner)
			return inspectors[i];
	}
	return NULL;
}

/*
 * am_index_is_ours
 *		Is an open index of one of our access methods?
 */
bool
am_index_is_ours(Relation rel)
{
	return inspector_of(rel) != NULL;
}

/*
 * am_find_inspector
 *		The inspector of an open index; raises 42809 if it is not ours.
 */
const AmInspector *
am_find_inspector(Relation rel)
{
	const AmInspector *inspector = inspector_of(rel);

	if (inspector == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index of an access method of vecext",
						RelationGetRelationName(rel))));
	return inspector;
}

/*
 * am_is_ours
 *		Whether an index access method is one of ours.
 */
bool
am_is_ours(Oid am)
{
	const IndexAmRoutine *routine = GetIndexAmRoutineByAmId(am, true);

	for (int i = 0; routine != NULL && i < ninspectors; i++)
	{
		if (routine->aminsert == inspectors[i]->owner)
			return true;
	}
	return false;
}

/*--- rights and locks ----------------------------------------------------*/

/* 42809 unless it is an index; 42501 unless the user may look into it */
static void
check_rights(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Form_pg_class form;
	char	   *name;
	char		kind;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", index)));
	form = (Form_pg_class) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->relname));
	kind = form->relkind;
	ReleaseSysCache(tuple);

	if (kind != RELKIND_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", name)));
	if (!relation_ownercheck_compat(index, GetUserId()) &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, name);
}

/*
 * am_inspected_table
 *		The table of an index; raises 42P01 if there is none.
 */
Oid
am_inspected_table(Oid index)
{
	Oid			table = IndexGetRelation(index, true);

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("index with OID %u does not exist", index)));
	return table;
}

/*
 * am_refuse_other_temp
 *		Raise 0A000 for a temporary index of another session, whose buffers
 *		cannot be seen.
 */
void
am_refuse_other_temp(Relation rel)
{
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
}

/* lock table and index; the index may have gone, or become another, meanwhile */
static Relation
open_index(Oid index, Relation *heap)
{
	Oid			table = am_inspected_table(index);
	Relation	rel;

	*heap = table_open(table, AccessShareLock);
	rel = index_open(index, AccessShareLock);
	if (rel->rd_index->indrelid != table)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("index \"%s\" is of another table now", RelationGetRelationName(rel))));
	am_refuse_other_temp(rel);
	return rel;
}

/*--- findings ------------------------------------------------------------*/

/*
 * am_report
 *		Return a row of vecext_index_check: an invariant that does not hold.
 */
void
am_report(AmReport *report, const char *invariant, BlockNumber blkno, const char *format,...)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	char		detail[256];
	va_list		args;

	if (report->nfindings++ >= MAX_FINDINGS)
		return;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	values[0] = CStringGetTextDatum(invariant);
	values[1] = Int64GetDatum((int64) blkno);
	nulls[1] = !BlockNumberIsValid(blkno);
	values[2] = CStringGetTextDatum(detail);
	tuplestore_putvalues(report->result->setResult, report->result->setDesc, values, nulls);
}

/* what rows are sorted by: the address in 48 bits, then 16 of a sum over its words */
static Datum
packed_row(ItemPointer tid, const uint64 *keys, int nwords)
{
	uint64		sum = 0;

	if (nwords > 0)
		sum = hash_bytes_extended((const unsigned char *) keys, nwords * (int) sizeof(uint64), 0);
	return Int64GetDatum((int64) ((uint64) itemptr_encode(tid) << 16 | (sum & 0xFFFF)));
}

static int64
address_of(int64 packed)
{
	return packed >> 16;		/* keeps the order of packed ones */
}

/*
 * am_report_tid
 *		Tell of a row that the index has.
 */
void
am_report_tid(AmReport *report, ItemPointer tid)
{
	am_report_row(report, tid, NULL, 0);
}

/*
 * am_report_row
 *		The same of an index with filter columns: with the row's words.
 */
void
am_report_row(AmReport *report, ItemPointer tid, const uint64 *keys, int nwords)
{
	if (report->tids != NULL)
		tuplesort_putdatum(report->tids, packed_row(tid, keys, nwords), false);
}

/*
 * am_report_stat
 *		Return a row of vecext_index_stats; note may be NULL.
 */
void
am_report_stat(AmReport *report, const char *name, double value, const char *note)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, note == NULL};

	values[0] = CStringGetTextDatum(name);
	values[1] = Float8GetDatum(value);
	values[2] = note != NULL ? CStringGetTextDatum(note) : (Datum) 0;
	tuplestore_putvalues(report->result->setResult, report->result->setDesc, values, nulls);
}

/*--- rows of the table ---------------------------------------------------*/

static Tuplesortstate *
begin_tids(void)
{
	return tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
								 maintenance_work_mem / 2, NULL, TUPLESORT_NONE);
}

static bool
next_tid(Tuplesortstate *tids, int64 *tid)
{
	Datum		value;
	bool		isnull;

	if (!tuplesort_getdatum_compat(tids, &value, &isnull))
		return false;
	*tid = DatumGetInt64(value);
	return true;
}

/* a visible row of the table; access methods of ours leave out NULLs */
static void
heap_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	HeapRows   *rows = arg;
	uint64		keys[INDEX_MAX_KEYS];
	MemoryContext old;

	if (isnull[0])
		return;
	if (rows->filters != NULL)
	{
		old = MemoryContextSwitchTo(rows->temp);
		filter_encode(rows->filters, values, isnull, keys);
		MemoryContextSwitchTo(old);
		MemoryContextReset(rows->temp);
	}
	tuplesort_putdatum(rows->tids,
					   packed_row(tid, keys, rows->filters ? rows->filters->nwords : 0), false);
}

/* the rows that a snapshot sees and the index should have */
static Tuplesortstate *
heap_tids(Relation heap, Relation rel, Snapshot snapshot)
{
	HeapRows	rows = {.tids = begin_tids()};
	IndexInfo  *info = BuildIndexInfo(rel);
	TableScanDesc scan = table_beginscan_strat(heap, snapshot, 0, NULL, true, true);
	Oid			user;
	int			context;
	int			nest;

	/* functions of the index run as for its owner, and can do no more */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(heap->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	nest = NewGUCNestLevel();
	RestrictSearchPath_compat();

	/* as for a concurrent build: with the snapshot, no matter what is not indexed */
	info->ii_Concurrent = true;
	info->ii_Unique = false;
	info->ii_ExclusionOps = NULL;
	rows.filters = filter_open(rel, CurrentMemoryContext);
	rows.temp = AllocSetContextCreate(CurrentMemoryContext, "index check row",
									  ALLOCSET_DEFAULT_SIZES);
	table_index_build_scan(heap, rel, info, true, false, heap_row, &rows, scan);
	MemoryContextDelete(rows.temp);

	AtEOXact_GUC(false, nest);
	SetUserIdAndSecContext(user, context);
	tuplesort_performsort(rows.tids);
	return rows.tids;
}

static void
report_heap(AmReport *report, const char *invariant, int64 packed, const char *what)
{
	ItemPointerData tid;

	itemptr_decode(&tid, (int64) ((uint64) packed >> 16));
	am_report(report, invariant, InvalidBlockNumber, "row (%u,%u) of the table %s",
			  ItemPointerGetBlockNumber(&tid), ItemPointerGetOffsetNumber(&tid), what);
}

/* both lists in order: what the table has must be in the index, once */
static void
compare_tids(AmReport *report, const AmInspector *inspector, Tuplesortstate *heap)
{
	int64		row;
	int64		entry = 0;
	int64		last = PG_INT64_MIN;	/* no address, shifted */
	bool		more_rows = heap != NULL && next_tid(heap, &row);
	bool		more = next_tid(report->tids, &entry);

	while (more || more_rows)
	{
		CHECK_FOR_INTERRUPTS();
		if (more && (!more_rows || address_of(entry) <= address_of(row)))
		{
			if (address_of(entry) == last)
				report_heap(report, inspector->unique, entry, "is in the index twice");
			if (more_rows && address_of(entry) == address_of(row))
			{
				if (entry != row)
					report_heap(report, HEAP_INVARIANT, row,
								"has other values of filter columns in the index");
				more_rows = next_tid(heap, &row);
			}
			last = address_of(entry);
			more = next_tid(report->tids, &entry);
			continue;
		}
		report_heap(report, HEAP_INVARIANT, row, "is not in the index");
		more_rows = next_tid(heap, &row);
	}
}

/*
 * A snapshot for the table, taken before the index is read: what it sees was
 * in the index by then, and stays there while the snapshot is held.
 */
static Snapshot
table_snapshot(Relation rel)
{
	Snapshot	snapshot;

	if (!rel->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(rel)),
				 errdetail("It need not have all rows of its table.")));
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	if (IsolationUsesXactSnapshot() && rel->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(rel->rd_indextuple->t_data),
							   snapshot->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("index \"%s\" cannot be verified using transaction snapshot",
						RelationGetRelationName(rel))));
	return snapshot;
}

/*--- SQL -----------------------------------------------------------------*/

/*
 * vecext_index_check(index regclass, heapallindexed boolean)
 *		One row for each invariant found not to hold; none for a sound index.
 */
VEC_SQL_FUNCTION(vecext_index_check)
{
	Oid			index = PG_GETARG_OID(0);
	bool		heapallindexed = PG_GETARG_BOOL(1);
	AmReport	report = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	const AmInspector *inspector;
	Snapshot	snapshot = NULL;
	Tuplesortstate *rows = NULL;
	Relation	heap;
	Relation	rel;

	check_rights(index);
	InitMaterializedSRF(fcinfo, 0);
	rel = open_index(index, &heap);
	inspector = am_find_inspector(rel);

	if (heapallindexed)
		snapshot = table_snapshot(rel);
	report.tids = begin_tids();
	inspector->check(rel, &report);
	tuplesort_performsort(report.tids);
	if (heapallindexed)
	{
		rows = heap_tids(heap, rel, snapshot);
		UnregisterSnapshot(snapshot);
	}
	compare_tids(&report, inspector, rows);
	if (report.nfindings > MAX_FINDINGS)
		ereport(WARNING,
				(errmsg("%d findings, of which the first %d are returned", report.nfindings,
						MAX_FINDINGS)));
	if (rows != NULL)
		tuplesort_end(rows);
	tuplesort_end(report.tids);
	index_close(rel, AccessShareLock);
	table_close(heap, AccessShareLock);
	return (Datum) 0;
}

/*
 * vecext_index_stats(index regclass)
 *		Figures: name, value, note.
 */
VEC_SQL_FUNCTION(vecext_index_stats)
{
	Oid			index = PG_GETARG_OID(0);
	AmReport	report = {.result = (ReturnSetInfo *) fcinfo->resultinfo};
	Relation	heap;
	Relation	rel;

	check_rights(index);
	InitMaterializedSRF(fcinfo, 0);
	rel = open_index(index, &heap);
	am_find_inspector(rel)->stats(rel, &report);
	index_close(rel, AccessShareLock);
	table_close(heap, AccessShareLock);
	return (Datum) 0;
}

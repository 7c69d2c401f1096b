/*-------------------------------------------------------------------------
 *
 * bitmap_scan.c
 *	  Executor of VectorBitmap: the nearest rows of a set that indexes tell.
 *
 * The plan below makes the bitmap of the set.  Its size is known then, so how
 * to search it is chosen here.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/genam.h"
#include "am/am_restrict.h"
#include "am/am_tidset.h"
#include VEC_EXPLAIN_HEADER_COMPAT
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "planner/bitmap.h"
#include "planner/bitmap_ahead.h"
#include "planner/topk_rows.h"
#include "utils/float.h"
#include "utils/rel.h"

/* of a row, to be read ahead: all of it, or what the filter is likely to read */
#define ROW_BYTES		4096
#define FILTER_BYTES	128

/*
 * Where nodes above may ask for more than was expected: rows that the exact way
 * keeps at first, and how many times more are found each time.
 */
#define FEWEST_KEPT		4096
#define KEPT_TIMES		16
#define BATCH_TIMES		8

/* what was done, for EXPLAIN ANALYZE */
typedef struct BitmapCounts
{
	uint64		executions[BITMAP_NSTRATEGIES];
	uint64		set_rows;		/* told by bitmaps */
	uint64		exact_pages;	/* whose rows bitmaps told */
	uint64		lossy_pages;	/* and others */
	uint64		rechecked;		/* rows of which a bitmap was not sure */
	uint64		not_in_set;		/* and that were not in the set */
	uint64		distances;		/* computed here */
	uint64		index_rows;		/* returned by the index */
	uint64		gave_up;		/* searches of the index that did not find enough */
} BitmapCounts;

typedef struct BitmapState
{
	CustomScanState css;
	TopkRows	rows;
	ExprState  *count;			/* LIMIT */
	ExprState  *offset;			/* OFFSET */
	ExprState  *recheck;		/* for rows of which the bitmap is not sure */
	BitmapCosts costs;
	TIDBitmap  *bitmap;			/* the set; NULL: not yet made */
	AmTidCounts size;			/* of it */
	AmTidSet   *set;			/* the same for the index to ask; NULL: not yet made */
	MemoryContext set_context;
	IndexScanState *index;		/* has the order; NULL if there is none */
	AmRestriction restriction;
	double		wanted;			/* rows that the query asks for, infinity if all */
	double		batch;			/* that are found next; as many as wanted unless open */
	int			first_batch;	/* the plan's; 0 if the query says how many */
	BitmapStrategy first;		/* the plan's: whether to begin without a set */
	BitmapStrategy strategy;	/* taken by this execution */
	bool		chosen;
	bool		found;			/* are the rows there that come next? */
	bool		once;			/* and are these all? */
	bool		begun;			/* the exact way */
	double		returned;
	double		fetched;		/* from the index */
	uint64	   *places;			/* open: in order, of the rows that the index has found */
	int			nplaces;
	MemoryContext places_context;
	BitmapCounts counts;
} BitmapState;

/* LIMIT or OFFSET: NULL is the default, and Limit has refused negative ones */
static double
evaluate_limit(ExprState *limit, ExprContext *econtext, double none)
{
	bool		isnull;
	Datum		value = ExecEvalExprSwitchContext(limit, econtext, &isnull);

	return isnull ? none : Max(0, (double) DatumGetInt64(value));
}

/* make the bitmap, unless it is there from another execution */
static void
make_set(BitmapState *state)
{
	PlanState  *below = linitial(state->css.custom_ps);
	Node	   *result;

	if (state->bitmap != NULL)
		return;
	result = MultiExecProcNode(below);
	if (result == NULL || !IsA(result, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	state->bitmap = (TIDBitmap *) result;
	state->size = am_tidset_count(state->bitmap);
}

/* how many rows the set may have, on how many pages */
static BitmapSize
size_of_set(const BitmapState *state)
{
	double		rows_of_page = state->costs.table_rows / state->costs.table_pages;
	double		rows = (double) state->size.rows + state->size.lossy_pages * rows_of_page;

	return (BitmapSize) {
		.rows = rows,
		.pages = (double) state->size.exact_pages + state->size.lossy_pages,
		.fraction = Min(1, rows / state->costs.table_rows),
	};
}

/* how many rows, and how to begin: with the set, unless the plan says otherwise */
static void
choose(BitmapState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	ResetExprContext(econtext);
	state->wanted = evaluate_limit(state->count, econtext, get_float8_infinity()) +
		evaluate_limit(state->offset, econtext, 0);
	state->batch = state->first_batch > 0 ? state->first_batch : state->wanted;
	state->strategy = state->first;
	state->chosen = true;
	state->found = false;
	state->once = false;
	state->begun = false;
	state->returned = 0;
	state->fetched = 0;
	state->places = NULL;
	state->nplaces = 0;
	MemoryContextReset(state->places_context);
}

/* the set, and how to search it */
static void
choose_by_set(BitmapState *state)
{
	make_set(state);
	state->strategy = bitmap_choose(&state->costs, size_of_set(state), state->batch);
	state->counts.set_rows += state->size.rows;
}

/* a row that a page of the bitmap has; is it in the set, and does it pass the filter? */
static inline bool
passes(BitmapState *state, ExprContext *econtext, bool recheck)
{
	ResetExprContext(econtext);
	if (recheck)
	{
		state->counts.rechecked++;
		if (!ExecQual(state->recheck, econtext))
		{
			state->counts.not_in_set++;
			return false;
		}
	}
	if (ExecQual(state->css.ss.ps.qual, econtext))
		return true;
	InstrCountFiltered1(&state->css, 1);
	return false;
}

static int
compare_places(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left < right ? -1 : left > right;
}

/* has the index found this row? */
static inline bool
is_known(const BitmapState *state, const ItemPointerData *tid)
{
	uint64		place = topk_place(tid);

	return state->nplaces > 0 && bsearch(&place, state->places, state->nplaces, sizeof(place),
										 compare_places) != NULL;
}

/* remember the rows that are kept, as found by the index */
static void
know_places(BitmapState *state)
{
	const TopkHeap *heap = &state->rows.heap;
	Size		size = mul_size(add_size(state->nplaces, heap->count), sizeof(uint64));

	state->places = state->places == NULL ?
		MemoryContextAllocHuge(state->places_context, size) : repalloc_huge(state->places, size);
	for (int i = 0; i < heap->count; i++)
		state->places[state->nplaces++] = heap->entries[i].place;
	qsort(state->places, state->nplaces, sizeof(uint64), compare_places);
}

/* offer the rows of the set to the heap */
static void
scan_set(BitmapState *state)
{
	ScanState  *node = &state->css.ss;
	ExprContext *econtext = node->ps.ps_ExprContext;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	Relation	table = node->ss_currentRelation;
	VecBitmapScan scan;
	BitmapAhead ahead;
	BlockNumber block = InvalidBlockNumber;
	bool		recheck;

	vec_bitmap_begin_compat(&scan, table, node->ps.state->es_snapshot, state->bitmap);
	bitmap_ahead_begin(&ahead, table, state->bitmap,
					   node->ps.qual == NULL ? ROW_BYTES : FILTER_BYTES);
	econtext->ecxt_scantuple = slot;
	while (vec_bitmap_next_compat(&scan, slot, &recheck, &state->counts.lossy_pages,
								  &state->counts.exact_pages))
	{
		bool		isnull;
		Datum		vector;

		CHECK_FOR_INTERRUPTS();
		if (ItemPointerGetBlockNumber(&slot->tts_tid) != block)
		{
			block = ItemPointerGetBlockNumber(&slot->tts_tid);
			bitmap_ahead_of(&ahead, block);
		}
		if (is_known(state, &slot->tts_tid) || !passes(state, econtext, recheck))
			continue;
		vector = topk_vector(&state->rows, econtext, &isnull);
		state->counts.distances++;
		topk_rows_offer(&state->rows, vector, isnull, &slot->tts_tid,
						econtext->ecxt_per_tuple_memory);
	}
	ExecClearTuple(slot);
	ResetExprContext(econtext);
	bitmap_ahead_end(&ahead);
	vec_bitmap_end_compat(&scan);
}

/*
 * How many rows to keep: those that are wanted, and no more than fit.  One more
 * than there are shows that these are all.
 */
static int
rows_to_keep(const BitmapState *state)
{
	double		most = work_mem * 1024.0 / sizeof(TopkEntry);

	if (state->size.lossy_pages == 0)
		most = Min(most, (double) state->size.rows + 1);
	if (state->first_batch > 0)
		most = Min(most, Max(state->batch * KEPT_TIMES, FEWEST_KEPT));
	return (int) Max(1, Min(most, state->wanted));
}

/*
 * Find the rows that come next by their exact distances; false if none can be
 * left.  Usually once: more are left only where memory did not suffice to keep
 * all that are wanted, or more are asked for than was expected.
 */
static bool
find_exact(BitmapState *state)
{
	TopkRows   *rows = &state->rows;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	if (!state->begun)
	{
		topk_rows_reserve(rows, rows_to_keep(state));
		topk_rows_start(rows, econtext);
	}
	else if (rows->heap.count < rows->heap.capacity)
		return false;
	else
		topk_rows_start_behind(rows, econtext, rows_to_keep(state));
	state->begun = true;
	state->batch *= BATCH_TIMES;
	scan_set(state);
	topk_rows_finish(rows);
	state->found = true;
	state->once = state->returned == 0 &&
		(rows->heap.count < rows->heap.capacity || rows->heap.count >= state->wanted);
	return true;
}

/*
 * Start the scan of the index, restricted to the set if that is the strategy.
 * False if its access method cannot.
 */
static bool
start_index(BitmapState *state)
{
	IndexScanState *scan = state->index;
	EState	   *estate = scan->ss.ps.state;

	if (scan->iss_ScanDesc == NULL)
		scan->iss_ScanDesc = index_beginscan_compat(scan->ss.ss_currentRelation,
													scan->iss_RelationDesc,
													estate->es_snapshot,
													scan->iss_NumScanKeys,
													scan->iss_NumOrderByKeys);
	ExecReScan(&scan->ss.ps);	/* evaluates the value, and starts the scan */
	if (state->strategy == BITMAP_FILTERED)
		return true;

	if (state->set == NULL)
		state->set = am_tidset_create(state->bitmap, &state->size, work_mem * (Size) 1024,
									  state->set_context);
	state->restriction.accepts = am_tidset_has;
	state->restriction.arg = state->set;
	state->restriction.fraction = size_of_set(state).fraction;
	state->restriction.can_switch = bitmap_strategy != BITMAP_RESTRICTED;
	state->restriction.switch_nodes = bitmap_fair_nodes(&state->costs, size_of_set(state),
														state->batch);
	state->restriction.gave_up = false;
	return am_restrict_scan(scan->iss_ScanDesc, &state->restriction);
}

/*
 * Offer a row of the index, by the distance the index has or, where that is a
 * bound, by its own.  Rows that waited for others have no place in their slot,
 * but in their tuple.
 */
static void
offer_row_of_index(BitmapState *state, TupleTableSlot *slot)
{
	IndexScanDesc scan = state->index->iss_ScanDesc;
	TopkRows   *rows = &state->rows;
	bool		copied;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &copied);

	if (!scan->xs_recheckorderby && scan->xs_orderbyvals != NULL && !scan->xs_orderbynulls[0] &&
		!rows->value_isnull)
		topk_heap_offer(&rows->heap, topk_key(DatumGetFloat8(scan->xs_orderbyvals[0]),
											  rows->nan_key), &tuple->t_self);
	else
	{
		ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
		bool		isnull;
		Datum		vector = topk_vector(rows, econtext, &isnull);

		state->counts.distances++;
		topk_rows_offer(rows, vector, isnull, &tuple->t_self, econtext->ecxt_per_tuple_memory);
		ResetExprContext(econtext);
	}
	if (copied)
		heap_freetuple(tuple);
}

/* rows of the index after which a search of all rows is given up */
static double
most_fetched(const BitmapState *state)
{
	if (state->strategy != BITMAP_FILTERED)
		return get_float8_infinity();
	return state->costs.most_filtered *
		(state->first_batch > 0 ? state->batch / state->first_batch : 1);
}

/* offer the next rows of the index that pass, as many as a batch has; returns how many */
static int
fetch_batch(BitmapState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	double		most = most_fetched(state);
	int			found = 0;

	for (; found < state->batch && state->fetched < most; state->fetched++)
	{
		TupleTableSlot *slot = ExecProcNode(&state->index->ss.ps);

		if (TupIsNull(slot))
			break;
		CHECK_FOR_INTERRUPTS();
		state->counts.index_rows++;
		econtext->ecxt_scantuple = slot;
		if (!passes(state, econtext, true))
			continue;
		offer_row_of_index(state, slot);
		found++;
	}
	ExecClearTuple(state->index->ss.ss_ScanTupleSlot);
	return found;
}

/*
 * Find all rows of a batch by the index, put in order because it may have come
 * late to some; false if it does not find as many.
 */
static bool
find_by_index(BitmapState *state)
{
	TopkRows   *rows = &state->rows;

	if (state->returned == 0)
		state->fetched = 0;
	if (work_mem * 1024.0 / sizeof(TopkEntry) < state->batch || state->index == NULL ||
		(state->returned == 0 && !start_index(state)))
		return false;
	topk_rows_reserve(rows, (int) state->batch);
	topk_rows_start(rows, state->css.ss.ps.ps_ExprContext);
	if (fetch_batch(state) < state->batch)
		return false;
	topk_rows_finish(rows);
	state->found = true;
	state->once = state->first_batch == 0;
	if (state->first_batch > 0)
	{
		know_places(state);
		state->batch *= BATCH_TIMES;
	}
	return true;
}

/* search by the index, if that is the strategy */
static bool
try_index(BitmapState *state)
{
	if (state->strategy == BITMAP_EXACT)
		return false;
	if (find_by_index(state))
	{
		state->counts.executions[state->strategy]++;
		return true;
	}
	state->counts.gave_up++;
	return false;
}

/*
 * Find the first rows: without a set, by the index or exactly, each where that
 * before did not find all.
 */
static bool
find_first_rows(BitmapState *state)
{
	if (state->strategy == BITMAP_FILTERED && try_index(state))
		return true;
	choose_by_set(state);
	if (try_index(state))
		return true;
	state->strategy = BITMAP_EXACT;
	state->counts.executions[BITMAP_EXACT]++;
	return find_exact(state);
}

/*
 * Find more rows than the query was expected to ask for: by the index as long as
 * that finds some, then exactly those that it has not found.
 */
static bool
find_more_rows(BitmapState *state)
{
	if (state->strategy != BITMAP_EXACT)
	{
		if (state->first_batch == 0)
			return false;
		if (try_index(state))
			return true;
		make_set(state);
		state->strategy = BITMAP_EXACT;
		state->counts.executions[BITMAP_EXACT]++;
	}
	return find_exact(state);
}

/* find the rows that come next; false if there are none */
static bool
find_rows(BitmapState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
	bool		found = state->returned == 0 ? find_first_rows(state) : find_more_rows(state);

	MemoryContextSwitchTo(caller);
	return found;
}

/* the next row, in the scan slot; empty at the end */
static TupleTableSlot *
next_row(ScanState *node)
{
	BitmapState *state = (BitmapState *) node;
	TupleTableSlot *slot;

	if (!state->chosen)
		choose(state);
	while (state->returned < state->wanted)
	{
		if (!state->found && !find_rows(state))
			break;
		slot = topk_rows_fetch(&state->rows, node);
		if (slot != NULL)
		{
			state->returned++;
			return slot;
		}
		state->found = false;
		if (state->returned == 0)
			break;
	}
	return ExecClearTuple(node->ss_ScanTupleSlot);
}

/* is the row that EvalPlanQual has put in place of the scan's in the set? */
static bool
recheck_row(ScanState *node, TupleTableSlot *slot)
{
	BitmapState *state = (BitmapState *) node;

	node->ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecQualAndReset(state->recheck, node->ps.ps_ExprContext);
}

static TupleTableSlot *
bitmap_exec(CustomScanState *css)
{
	ScanState  *node = &css->ss;
	TupleTableSlot *slot;

	if (node->ps.state->es_epq_active != NULL)
		return ExecScan(node, next_row, recheck_row);
	slot = next_row(node);
	if (TupIsNull(slot))
		return topk_end_of_scan(node);
	if (node->ps.ps_ProjInfo == NULL)
		return slot;
	ResetExprContext(node->ps.ps_ExprContext);
	node->ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecProject(node->ps.ps_ProjInfo);
}

static void
free_set(BitmapState *state)
{
	MemoryContextReset(state->set_context);
	state->set = NULL;
	if (state->bitmap != NULL)
		tbm_free(state->bitmap);
	state->bitmap = NULL;
}

static void
bitmap_rescan(CustomScanState *css)
{
	BitmapState *state = (BitmapState *) css;
	PlanState  *below = linitial(css->custom_ps);

	ExecScanReScan(&css->ss);
	if (css->ss.ps.chgParam == NULL && state->once)
	{
		/* the same parameters give the same rows */
		state->rows.next = 0;
		state->returned = 0;
		state->found = true;
		return;
	}
	if (css->ss.ps.chgParam != NULL)
	{
		UpdateChangedParamSet(below, css->ss.ps.chgParam);
		if (state->index != NULL)
			UpdateChangedParamSet(&state->index->ss.ps, css->ss.ps.chgParam);
		/* the set is another only if it depends on what has changed */
		if (below->chgParam != NULL)
			free_set(state);
	}
	state->chosen = false;
}

static void
bitmap_end(CustomScanState *css)
{
	BitmapState *state = (BitmapState *) css;
	ListCell   *cell;

	free_set(state);
	foreach(cell, css->custom_ps)
		ExecEndNode((PlanState *) lfirst(cell));
}

static void
bitmap_begin(CustomScanState *css, EState *estate, int eflags)
{
	BitmapState *state = (BitmapState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	PlanState  *ps = &css->ss.ps;
	ListCell   *cell;

	foreach(cell, plan->custom_plans)
		css->custom_ps = lappend(css->custom_ps,
								 ExecInitNode((Plan *) lfirst(cell), estate, eflags));
	if (list_length(css->custom_ps) > 1)
	{
		/* it returns rows of the table as they are: without a projection */
		state->index = castNode(IndexScanState, lsecond(css->custom_ps));
		state->index->ss.ps.ps_ProjInfo = NULL;
	}
	state->set_context = AllocSetContextCreate(CurrentMemoryContext, "VectorBitmap set",
											   ALLOCSET_SMALL_SIZES);
	state->places_context = AllocSetContextCreate(CurrentMemoryContext, "VectorBitmap places",
												  ALLOCSET_SMALL_SIZES);
	topk_use_slot_of_table(&css->ss, estate);
	topk_rows_begin(&state->rows, &css->ss,
					list_nth_node(OpExpr, plan->custom_exprs, BITMAP_DISTANCE),
					plan->custom_private);
	state->count = ExecInitExpr(list_nth(plan->custom_exprs, BITMAP_COUNT), ps);
	state->offset = ExecInitExpr(list_nth(plan->custom_exprs, BITMAP_OFFSET), ps);
	state->recheck = ExecInitQual(make_ands_implicit(list_nth(plan->custom_exprs,
															  BITMAP_RECHECK)), ps);
	bitmap_costs_from_list(list_nth(plan->custom_private, BITMAP_COSTS), &state->costs);
	state->first = intVal(list_nth(plan->custom_private, BITMAP_STRATEGY));
	state->first_batch = intVal(list_nth(plan->custom_private, BITMAP_BATCH));
	if (bitmap_strategy != BITMAP_NSTRATEGIES)
		state->first = bitmap_strategy;
}

static const char *const strategy_names[BITMAP_NSTRATEGIES] = {
	[BITMAP_EXACT] = "exact distances",
	[BITMAP_RESTRICTED] = "index scan of the set",
	[BITMAP_FILTERED] = "index scan, filtered",
};

/* the strategies that were taken, each with how often if there were several */
static void
explain_taken(const BitmapCounts *counts, ExplainState *es)
{
	StringInfoData taken;
	uint64		all = 0;

	for (int i = 0; i < BITMAP_NSTRATEGIES; i++)
		all += counts->executions[i];
	initStringInfo(&taken);
	for (int i = 0; i < BITMAP_NSTRATEGIES; i++)
	{
		if (counts->executions[i] == 0)
			continue;
		appendStringInfo(&taken, "%s%s", taken.len > 0 ? ", " : "", strategy_names[i]);
		if (counts->executions[i] < all)
			appendStringInfo(&taken, " " UINT64_FORMAT " times", counts->executions[i]);
	}
	if (all > 0)
		ExplainPropertyText("Strategy Taken", taken.data, es);
	pfree(taken.data);
}

static void
explain_count(const char *label, uint64 count, ExplainState *es)
{
	ExplainPropertyInteger(label, NULL, (int64) count, es);
}

static void
explain_counts(const BitmapState *state, ExplainState *es)
{
	const BitmapCounts *counts = &state->counts;

	explain_taken(counts, es);
	explain_count("Set Rows", counts->set_rows, es);
	explain_count("Set Pages", counts->exact_pages, es);
	explain_count("Lossy Pages", counts->lossy_pages, es);
	explain_count("Distances", counts->distances, es);
	explain_count("Rows Rechecked", counts->rechecked, es);
	explain_count("Rows Removed by Recheck", counts->not_in_set, es);
	if (state->index == NULL)
		return;
	explain_count("Index Nodes", state->restriction.nodes, es);
	explain_count("Index Nodes Not in Set", state->restriction.rejected, es);
	explain_count("Index Pages", state->restriction.pages, es);
	explain_count("Index Distances", state->restriction.distances, es);
	explain_count("Index Rows", counts->index_rows, es);
	explain_count("Searches Given Up", counts->gave_up, es);
}

static void
bitmap_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	BitmapState *state = (BitmapState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	int			strategy = intVal(list_nth(plan->custom_private, BITMAP_STRATEGY));

	topk_explain_expression("Recheck Cond", list_nth(plan->custom_exprs, BITMAP_RECHECK),
							&css->ss, ancestors, es);
	topk_explain_expression("Order By", list_nth(plan->custom_exprs, BITMAP_DISTANCE),
							&css->ss, ancestors, es);
	ExplainPropertyText("Strategy", strategy_names[strategy], es);
	if (es->analyze)
		explain_counts(state, es);
}

static const CustomExecMethods bitmap_exec_methods = {
	.CustomName = "VectorBitmap",
	.BeginCustomScan = bitmap_begin,
	.ExecCustomScan = bitmap_exec,
	.EndCustomScan = bitmap_end,
	.ReScanCustomScan = bitmap_rescan,
	.ExplainCustomScan = bitmap_explain,
};

static Node *
create_bitmap_state(CustomScan *plan)
{
	BitmapState *state = palloc0(sizeof(BitmapState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &bitmap_exec_methods;
	return (Node *) state;
}

const CustomScanMethods bitmap_scan_methods = {
	.CustomName = "VectorBitmap",
	.CreateCustomScanState = create_bitmap_state,
};

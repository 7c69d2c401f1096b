/*-------------------------------------------------------------------------
 *
 * sparsevec_agg.c
 *	  sum(sparsevec) and avg(sparsevec).
 *
 * The state is a sorted list of (index, sum) and a heap of elements not yet
 * added, unsorted.  Whenever the heap has outgrown the list, it is sorted and
 * merged in.  So an element costs a logarithm, not a walk over the whole
 * list, however many rows with new indices come.
 *
 * Sums are kept in double and rounded to float once, at the end.  sum and avg
 * share the state; their final functions may merge the heap into the list,
 * which changes no sum, so a window can go on adding rows.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/common.h"
#include "types/sparse.h"
#include "utils/float.h"
#include "utils/memutils.h"

/*
 * More non-zero sums than this end the query.  A result holds only
 * SPARSEVEC_MAX_NNZ; the rest would have to cancel out in rows still to come.
 * Keeps list, heap and a merge in progress together below 50 MB.
 */
#define SPARSE_SUM_MAX_ITEMS	(16 * SPARSEVEC_MAX_NNZ)

/* the heap is merged no earlier than at this size; at least one full value */
#define SPARSE_SUM_MIN_PENDING	SPARSEVEC_MAX_NNZ

typedef struct SparseSumItem
{
	int32		index;			/* zero-based */
	double		sum;
} SparseSumItem;

typedef struct SparseSum
{
	MemoryContext context;		/* where the arrays live */
	int64		count;			/* rows summed; 0 means dim is not known yet */
	int32		dim;
	int			nitems;
	int			npending;
	int			max_pending;	/* room in pending[] */
	SparseSumItem *items;		/* ascending, none zero; NULL if nitems is 0 */
	SparseSumItem *pending;		/* any order, indices may repeat */
} SparseSum;

/* ------------------------------------------------------------------------
 * The state
 * ------------------------------------------------------------------------
 */

static SparseSum *
sum_create(MemoryContext context)
{
	SparseSum  *state = (SparseSum *) MemoryContextAllocZero(context, sizeof(SparseSum));

	state->context = context;
	return state;
}

static int
compare_items(const void *a, const void *b)
{
	int32		ia = ((const SparseSumItem *) a)->index;
	int32		ib = ((const SparseSumItem *) b)->index;

	return (ia > ib) - (ia < ib);
}

/*
 * Merge two ascending lists into out, adding up equal indices and leaving out
 * sums of zero.  Returns the number of items, at most na + nb.  Equal indices
 * may follow each other in b, not in a.
 */
static int
merge_items(const SparseSumItem *a, int na, const SparseSumItem *b, int nb, SparseSumItem *out)
{
	int			n = 0;
	int			i = 0;
	int			j = 0;

	while (i < na || j < nb)
	{
		SparseSumItem item;

		if (j == nb || (i < na && a[i].index <= b[j].index))
			item = a[i++];
		else
			item = b[j++];
		while (j < nb && b[j].index == item.index)
			item.sum += b[j++].sum;

		if (item.sum != 0)
			out[n++] = item;
	}
	return n;
}

/* bring pending[] into items[]; raises 54000 if the state becomes too large */
static void
sum_merge(SparseSum *state)
{
	SparseSumItem *merged;
	Size		room;
	Size		n;

	if (state->npending == 0)
		return;

	qsort(state->pending, state->npending, sizeof(SparseSumItem), compare_items);

	room = add_size(state->nitems, state->npending);
	merged = (SparseSumItem *)
		MemoryContextAllocHuge(state->context, mul_size(room, sizeof(SparseSumItem)));
	n = merge_items(state->items, state->nitems, state->pending, state->npending, merged);

	/* rows mostly repeat the same indices: give back what they did not need */
	if (n > 0 && n < room / 2)
		merged = (SparseSumItem *) repalloc_huge(merged, (Size) n * sizeof(SparseSumItem));

	if (state->items != NULL)
		pfree(state->items);
	state->items = merged;
	state->nitems = (int) n;
	state->npending = 0;

	if (n > SPARSE_SUM_MAX_ITEMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d non-zero elements",
						SPARSEVEC_MAX_NNZ),
				 errdetail("The running sum already has %zu.", n)));
}

/* make room for n more items in pending[], n at most SPARSE_SUM_MAX_ITEMS */
static void
sum_reserve(SparseSum *state, int n)
{
	int			wanted;

	if (state->npending + n <= state->max_pending)
		return;

	/* small groups stay small: no merge before the heap is worth one */
	if (state->npending >= Max(state->nitems, SPARSE_SUM_MIN_PENDING))
		sum_merge(state);

	wanted = Max(2 * state->max_pending, state->npending + n);
	if (state->npending + n <= state->max_pending)
		return;
	if (state->pending == NULL)
		state->pending = (SparseSumItem *)
			MemoryContextAllocHuge(state->context, mul_size(wanted, sizeof(SparseSumItem)));
	else
		state->pending = (SparseSumItem *)
			repalloc_huge(state->pending, mul_size(wanted, sizeof(SparseSumItem)));
	state->max_pending = wanted;
}

/* all summed rows have the dimensions of the first: 22000 */
static void
sum_check_dim(SparseSum *state, int dim)
{
	if (state->count == 0)
		state->dim = dim;
	else
		vec_check_typmod(state->dim, dim, NULL);
}

/* ------------------------------------------------------------------------
 * Aggregate support functions
 * ------------------------------------------------------------------------
 */

/* the state in argument n, or NULL before the first row */
static SparseSum *
get_state(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : (SparseSum *) PG_GETARG_POINTER(n);
}

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "sparsevec aggregate function called in non-aggregate context");
	return context;
}

VEC_SQL_FUNCTION(vecext_sparsevec_accum)
{
	MemoryContext context = aggregate_context(fcinfo);
	SparseSum  *state = get_state(fcinfo, 0);
	SparseVector *vec;
	const float *value;

	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}

	vec = PG_GETARG_SPARSE(1);
	value = SPARSEVEC_VALUES(vec);
	if (state == NULL)
		state = sum_create(context);
	sum_check_dim(state, vec->dim);

	sum_reserve(state, vec->nnz);
	for (int i = 0; i < vec->nnz; i++)
	{
		SparseSumItem *item = &state->pending[state->npending++];

		item->index = vec->index[i];
		item->sum = value[i];
	}
	state->count++;

	PG_RETURN_POINTER(state);
}

VEC_SQL_FUNCTION(vecext_sparsevec_combine)
{
	MemoryContext context = aggregate_context(fcinfo);
	SparseSum  *state = get_state(fcinfo, 0);
	SparseSum  *other = get_state(fcinfo, 1);

	if (other == NULL || other->count == 0)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}

	if (state == NULL)
		state = sum_create(context);
	sum_check_dim(state, other->dim);

	sum_merge(other);
	if (other->nitems > 0)
	{
		sum_reserve(state, other->nitems);
		memcpy(state->pending + state->npending, other->items,
			   (Size) other->nitems * sizeof(SparseSumItem));
		state->npending += other->nitems;
	}
	state->count += other->count;

	PG_RETURN_POINTER(state);
}

/* int64 count; int32 dim; int32 nitems; then int32 index, float8 sum of each */
VEC_SQL_FUNCTION(vecext_sparsevec_serialize)
{
	SparseSum  *state = (SparseSum *) PG_GETARG_POINTER(0);
	StringInfoData buf;

	(void) aggregate_context(fcinfo);
	sum_merge(state);

	pq_begintypsend(&buf);
	pq_sendint64(&buf, state->count);
	pq_sendint32(&buf, state->dim);
	pq_sendint32(&buf, state->nitems);
	for (int i = 0; i < state->nitems; i++)
	{
		pq_sendint32(&buf, state->items[i].index);
		pq_sendfloat8(&buf, state->items[i].sum);
	}

	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

VEC_SQL_FUNCTION(vecext_sparsevec_deserialize)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	SparseSum  *state;
	StringInfoData buf;

	(void) aggregate_context(fcinfo);

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));

	state = sum_create(CurrentMemoryContext);
	state->count = pq_getmsgint64(&buf);
	state->dim = (int32) pq_getmsgint(&buf, 4);
	state->nitems = (int32) pq_getmsgint(&buf, 4);
	if (state->count < 0 || state->nitems < 0 || state->nitems > SPARSE_SUM_MAX_ITEMS)
		elog(ERROR, "invalid state of a sparsevec aggregate");

	if (state->nitems > 0)
		state->items = (SparseSumItem *)
			palloc(mul_size(state->nitems, sizeof(SparseSumItem)));
	for (int i = 0; i < state->nitems; i++)
	{
		state->items[i].index = (int32) pq_getmsgint(&buf, 4);
		state->items[i].sum = pq_getmsgfloat8(&buf);
	}
	pq_getmsgend(&buf);
	pfree(buf.data);

	PG_RETURN_POINTER(state);
}

/* the sums over divisor, rounded to float: 22003 beyond it, zeros dropped */
static SparseVector *
sum_result(SparseSum *state, double divisor)
{
	SparseVector *result;
	float	   *value;
	int			nnz = 0;

	sum_merge(state);
	for (int i = 0; i < state->nitems; i++)
		nnz += (float) (state->items[i].sum / divisor) != 0;
	sparse_check_nnz(nnz, NULL);

	result = sparse_new(state->dim, nnz);
	value = SPARSEVEC_VALUES(result);
	nnz = 0;
	for (int i = 0; i < state->nitems; i++)
	{
		float		x = (float) (state->items[i].sum / divisor);

		if (unlikely(isinf(x)))
			float_overflow_error();
		if (x == 0)
			continue;
		result->index[nnz] = state->items[i].index;
		value[nnz] = x;
		nnz++;
	}
	return result;
}

VEC_SQL_FUNCTION(vecext_sparsevec_sum)
{
	SparseSum  *state = get_state(fcinfo, 0);

	(void) aggregate_context(fcinfo);
	if (state == NULL || state->count == 0)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(sum_result(state, 1));
}

VEC_SQL_FUNCTION(vecext_sparsevec_avg)
{
	SparseSum  *state = get_state(fcinfo, 0);

	(void) aggregate_context(fcinfo);
	if (state == NULL || state->count == 0)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(sum_result(state, (double) state->count));
}

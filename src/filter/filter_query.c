/*-------------------------------------------------------------------------
 *
 * filter_query.c
 *	  Conditions of a scan as tests on words.
 *
 * A condition that words cannot decide becomes the test for NOT NULL that leaves
 * every row to be rechecked: all operators of filters are strict.
 *
 *-------------------------------------------------------------------------
 */
#include "filter/filter_key.h"

#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* words from low to high; none if low is greater */
typedef struct Range
{
	uint64		low;
	uint64		high;
} Range;

static const Range nothing = {1, 0};

static bool
is_empty(Range range)
{
	return range.low > range.high;
}

static Range
up_to(uint64 end)
{
	return (Range) {0, end};
}

/* words less than one */
static Range
before(uint64 end)
{
	return end == 0 ? nothing : up_to(end - 1);
}

static Range
from(uint64 start)
{
	return (Range) {start, PG_UINT64_MAX};
}

static Range
behind(uint64 start)
{
	return start == PG_UINT64_MAX ? nothing : from(start + 1);
}

static Range
intersect(Range a, Range b)
{
	Range		both = {Max(a.low, b.low), Min(a.high, b.high)};

	return is_empty(a) || is_empty(b) || is_empty(both) ? nothing : both;
}

/* the larger of two that begin or end at the same place; else what has both */
static Range
unite(Range a, Range b)
{
	if (is_empty(a))
		return b;
	if (is_empty(b))
		return a;
	return (Range) {Min(a.low, b.low), Max(a.high, b.high)};
}

/*--- one constant --------------------------------------------------------*/

/* words of values that may be on that side of the point, and that surely are */
static void
side_of(const FilterPoint *point, int strategy, Range *may, Range *sure)
{
	bool		exact = point->order_exact;

	switch (strategy)
	{
		case FILTER_LESS:
			*sure = before(point->below);
			*may = exact ? *sure : unite(*sure, up_to(point->above));
			break;
		case FILTER_LESS_EQUAL:
			*may = unite(before(point->below), up_to(point->above));
			*sure = exact ? *may : before(point->below);
			break;
		case FILTER_GREATER_EQUAL:
			*may = unite(behind(point->above), from(point->below));
			*sure = exact ? *may : behind(point->above);
			break;
		case FILTER_GREATER:
			*sure = behind(point->above);
			*may = exact ? *sure : unite(*sure, from(point->below));
			break;
		case FILTER_EQUAL:
			*may = (Range) {point->equal_low, point->equal_high};
			if (is_empty(*may))
				*may = nothing;
			*sure = point->equal_exact ? *may : nothing;
			break;
		default:
			elog(ERROR, "unexpected strategy %d of a filter", strategy);
	}
}

static FilterTest *
add_test(FilterQuery *query, FilterTestKind kind, int column)
{
	FilterTest *test = &query->tests[query->ntests++];

	memset(test, 0, sizeof(*test));
	test->kind = kind;
	test->column = column;
	return test;
}

/* words in a range; ranges of the same column become one */
static void
add_range(FilterQuery *query, int column, Range may, Range sure)
{
	FilterTest *test = NULL;

	for (int i = 0; i < query->ntests && test == NULL; i++)
	{
		if (query->tests[i].kind == FILTER_TEST_RANGE && query->tests[i].column == column)
			test = &query->tests[i];
	}
	if (test == NULL)
		test = add_test(query, FILTER_TEST_RANGE, column);
	else
	{
		may = intersect(may, (Range) {test->low, test->high});
		sure = intersect(sure, (Range) {test->sure_low, test->sure_high});
	}
	test->low = may.low;
	test->high = may.high;
	test->sure_low = sure.low;
	test->sure_high = sure.high;
	if (is_empty(may))
		query->never = true;
}

/* any row that is not NULL, and all of them to be rechecked */
static void
add_recheck(FilterQuery *query, int column)
{
	add_range(query, column, up_to(PG_UINT64_MAX), nothing);
}

/*--- arrays as values ----------------------------------------------------*/

static int
compare_words(const void *a, const void *b)
{
	uint64		left = *(const uint64 *) a;
	uint64		right = *(const uint64 *) b;

	return left < right ? -1 : left > right;
}

static void
add_array(FilterQuery *query, const FilterColumn *column, int number, int strategy, Datum value)
{
	FilterTest *test;
	uint64	   *bits;
	uint64		all = 0;
	bool		has_null;
	int			n;

	if (column->collation == FILTER_UNKNOWN)
	{
		add_recheck(query, number);
		return;
	}
	bits = filter_key_elements(column, value, &n, &has_null);
	for (int i = 0; i < n; i++)
		all |= bits[i];
	if (strategy == FILTER_EQUAL)
	{
		add_range(query, number, (Range) {all, all}, nothing);
		return;
	}
	test = add_test(query, FILTER_TEST_ANY, number);
	test->set = bits;
	test->n = n;
	if (strategy == FILTER_CONTAINS)
	{
		/* a NULL is contained in nothing: left to the recheck */
		bits[0] = all;
		test->n = 1;
	}
	else if (strategy != FILTER_OVERLAP)
		elog(ERROR, "unexpected strategy %d of a filter", strategy);
	if (test->n == 0)
		query->never = true;
}

/*--- = ANY ---------------------------------------------------------------*/

/* equal to one of some: a sorted set, if each is a word */
static void
add_set(FilterQuery *query, int column, FilterPoint *points, int n)
{
	FilterTest *test;
	uint64	   *set = palloc(sizeof(uint64) * Max(n, 1));
	bool		exact = true;
	int			nset = 0;
	Range		may = nothing;

	for (int i = 0; i < n; i++)
	{
		Range		equal = {points[i].equal_low, points[i].equal_high};

		if (is_empty(equal))
			continue;
		may = unite(may, equal);
		exact = exact && points[i].equal_exact;
		set[nset++] = equal.low;
		if (equal.low < equal.high)
		{
			/* too wide for a set */
			for (i++; i < n; i++)
				may = unite(may, (Range) {points[i].equal_low, points[i].equal_high});
			add_range(query, column, may, nothing);
			return;
		}
	}
	if (nset < 2)
	{
		add_range(query, column, may, exact ? may : nothing);
		return;
	}
	qsort(set, nset, sizeof(uint64), compare_words);
	test = add_test(query, FILTER_TEST_SET, column);
	test->set = set;
	test->n = nset;
	test->exact = exact;
	test->low = may.low;
	test->high = may.high;
}

/* column <operator> ANY (array) */
static void
add_any(FilterQuery *query, const FilterColumn *column, int number, ScanKey key, Oid type)
{
	ArrayType  *array = DatumGetArrayTypeP(key->sk_argument);
	Datum	   *values;
	bool	   *nulls;
	int			nvalues;
	int			n = 0;
	FilterPoint *points;
	int16		length;
	bool		by_value;
	char		align;
	Range		may = nothing;
	Range		sure = nothing;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &values, &nulls,
					  &nvalues);
	points = MemoryContextAllocHuge(CurrentMemoryContext,
									mul_size(sizeof(FilterPoint), Max(nvalues, 1)));
	for (int i = 0; i < nvalues; i++)
	{
		if (nulls[i])
			continue;
		if (column->kind == FILTER_ARRAY ||
			!filter_point(column, values[i], type, &points[n++]))
		{
			add_recheck(query, number);
			return;
		}
	}
	if (key->sk_strategy == FILTER_EQUAL)
	{
		add_set(query, number, points, n);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		Range		one_may;
		Range		one_sure;

		side_of(&points[i], key->sk_strategy, &one_may, &one_sure);
		may = unite(may, one_may);
		sure = unite(sure, one_sure);
	}
	add_range(query, number, may, sure);
}

/*--- the query -----------------------------------------------------------*/

/* a condition with an operator */
static void
add_operator(FilterQuery *query, const FilterColumn *column, int number, ScanKey key)
{
	FilterPoint point;
	Range		may;
	Range		sure;
	Oid			type = OidIsValid(key->sk_subtype) ? key->sk_subtype : column->type;

	if ((key->sk_flags & SK_ISNULL) != 0)
		query->never = true;
	else if ((key->sk_flags & SK_SEARCHARRAY) != 0)
		add_any(query, column, number, key, type);
	else if (column->kind == FILTER_ARRAY)
		add_array(query, column, number, key->sk_strategy, key->sk_argument);
	else if (!filter_point(column, key->sk_argument, type, &point))
		add_recheck(query, number);
	else
	{
		side_of(&point, key->sk_strategy, &may, &sure);
		add_range(query, number, may, sure);
	}
}

static void
add_key(FilterQuery *query, const FilterSet *set, ScanKey key)
{
	int			number = key->sk_attno - 2;

	if (key->sk_attno == 1 && (key->sk_flags & SK_SEARCHNOTNULL) != 0)
		return;					/* so are all rows of the index */
	if (key->sk_attno == 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the index cannot be searched for conditions on its vectors")));
	if (set == NULL || number < 0 || number >= set->ncolumns)
		elog(ERROR, "unexpected column %d of a filter", key->sk_attno);
	if ((key->sk_flags & SK_SEARCHNULL) != 0)
		add_test(query, FILTER_TEST_NULL, number);
	else if ((key->sk_flags & SK_SEARCHNOTNULL) != 0)
		add_test(query, FILTER_TEST_NOT_NULL, number);
	else
		add_operator(query, &set->columns[number], number, key);
}

/*
 * filter_query
 *		The conditions of a scan, in "context", compiled.
 *
 * set may be NULL, if the index has no filter columns.  Raises 0A000 for
 * conditions on the vector but IS NOT NULL.
 */
FilterQuery *
filter_query(const FilterSet *set, ScanKey keys, int nkeys, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	FilterQuery *query = palloc0(sizeof(FilterQuery));

	query->tests = palloc0(mul_size(sizeof(FilterTest), Max(nkeys, 1)));
	for (int i = 0; i < nkeys; i++)
		add_key(query, set, &keys[i]);
	MemoryContextSwitchTo(old);
	return query;
}

/*-------------------------------------------------------------------------
 *
 * bitmap_cost.c
 *	  What each way to search a set of rows costs.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "planner/bitmap_cost.h"
#include "types/cost.h"
#include "utils/spccache.h"

/*
 * In units of cpu_operator_cost, about 8 ns, as src/types/cost.c: a page that
 * is in the cache takes 0.25 us, a row that is found by its place 0.1 us more
 * than one that a scan comes to.
 */
#define PAGE_OPERATORS		30.0
#define ROW_OPERATORS		12.0

/* part of the pages that are cached, of a table no larger than the cache */
#define CACHED_PART			0.95

/* the members of BitmapCosts are numbers, and nothing else */
#define NCOSTS	(sizeof(BitmapCosts) / sizeof(double))

/*
 * bitmap_costs_of
 *		The prices for a table and a distance.
 */
void
bitmap_costs_of(PlannerInfo *root, RelOptInfo *rel, OpExpr *distance, BitmapCosts *costs)
{
	double		pages = rel->pages + vec_toast_pages(root, (Node *) distance, rel->tuples);
	double		cached = CACHED_PART * Min(1, effective_cache_size / Max(pages, 1));
	double		random_cost;
	double		sequential_cost;
	QualCost	cost;

	get_tablespace_page_costs(rel->reltablespace, &random_cost, &sequential_cost);
	cost_qual_eval_node(&cost, (Node *) distance, root);

	costs->table_pages = Max(rel->pages, 1);
	costs->table_rows = Max(rel->tuples, 1);
	costs->page_apart = cached * PAGE_OPERATORS * cpu_operator_cost + (1 - cached) * random_cost;
	costs->page_in_turn = cached * PAGE_OPERATORS * cpu_operator_cost +
		(1 - cached) * sequential_cost;
	costs->row = cpu_tuple_cost + rel->baserestrictcost.per_tuple + cost.per_tuple +
		ROW_OPERATORS * cpu_operator_cost;
	/* its page was read a moment ago */
	costs->result = cpu_tuple_cost + PAGE_OPERATORS * cpu_operator_cost +
		(pages > effective_cache_size ? random_cost : 0);
}

/*
 * bitmap_costs_to_list
 *		The prices as nodes, which a plan can hold.
 */
List *
bitmap_costs_to_list(const BitmapCosts *costs)
{
	const double *numbers = (const double *) costs;
	List	   *list = NIL;

	for (int i = 0; i < NCOSTS; i++)
		list = lappend(list, makeFloat(psprintf("%.17g", numbers[i])));
	return list;
}

/*
 * bitmap_costs_from_list
 *		The prices that bitmap_costs_to_list() was given.
 */
void
bitmap_costs_from_list(List *list, BitmapCosts *costs)
{
	double	   *numbers = (double *) costs;

	for (int i = 0; i < NCOSTS; i++)
		numbers[i] = floatVal(list_nth(list, i));
}

/* every page of the set is read, and every row of it is looked at */
static double
exact_cost(const BitmapCosts *costs, BitmapSize size, double wanted)
{
	double		share = sqrt(Min(1, size.pages / costs->table_pages));
	double		page = costs->page_apart - share * (costs->page_apart - costs->page_in_turn);

	return size.pages * page + size.rows * costs->row + Min(size.rows, wanted) * costs->result;
}

/*
 * bitmap_cost
 *		What finding the "wanted" nearest rows of a set costs, once the set is there.
 */
double
bitmap_cost(const BitmapCosts *costs, BitmapStrategy strategy, BitmapSize size, double wanted)
{
	Assert(strategy == BITMAP_EXACT);
	return exact_cost(costs, size, wanted);
}

/*
 * bitmap_choose
 *		The cheapest way to search a set.
 */
BitmapStrategy
bitmap_choose(const BitmapCosts *costs, BitmapSize size, double wanted)
{
	BitmapStrategy best = BITMAP_EXACT;

	for (int i = 0; i < BITMAP_NSTRATEGIES; i++)
	{
		if (bitmap_cost(costs, i, size, wanted) < bitmap_cost(costs, best, size, wanted))
			best = i;
	}
	return best;
}

/*-------------------------------------------------------------------------
 *
 * bitmap_cost.c
 *	  What each way to search a set of rows costs.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "am/am_cost.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "planner/bitmap_cost.h"
#include "types/cost.h"
#include "utils/float.h"
#include "utils/spccache.h"

/*
 * A row in a bitmap, which is put there, sorted by page, and told again, in units
 * of cpu_operator_cost.  By bench/grid exact distances over a set take two thirds
 * of Bitmap Heap Scan and Sort (64 dimensions, 100,000 rows: 5.1 ms instead of 7.7
 * at a tenth of them, 0.71 instead of 1.06 at a hundredth).
 */
#define PLACE_OPERATORS		4.0

/*
 * A search of a set goes on until it has met so many times the rows wanted, and
 * not fewer than so many are; a node that is passed costs so much of a row.
 */
#define SURE_TIMES			1.2
#define FEWEST_WANTED		10
#define PASSED_SHARE		0.5

/*
 * What a row of the index costs differs by how many are asked for: the first batch
 * has some at once.  A restricted search goes beyond it, as one for so many does.
 */
#define ROWS_PRICED			100.0

/*
 * It looks at several nodes for each that it meets; what one of them costs, as part
 * of a row.
 */
#define NODE_SHARE			0.25

/*
 * An index scan that is given up in time is worth a little more than one that is
 * not.
 */
#define SAFETY_SHARE		0.95

/* a cost of the index that says there is none; infinity cannot be written in plans */
#define NO_INDEX			(-1)

int			bitmap_strategy = BITMAP_NSTRATEGIES;

/* the members of BitmapCosts are numbers, and nothing else */
#define NCOSTS	(sizeof(BitmapCosts) / sizeof(double))

/* an index scan, priced as if so many rows of the table met the conditions */
static IndexPath
price_for_passing(PlannerInfo *root, const IndexPath *index, double passing)
{
	RelOptInfo *rel = index->path.parent;
	IndexPath	path = *index;
	double		rows = rel->rows;

	rel->rows = Max(passing, 1);	/* cost estimates look there */
	cost_index(&path, root, 1, false);
	rel->rows = rows;
	return path;
}

/*
 * bitmap_costs_of
 *		The prices of a query for so many rows of a table, and of an index that has
 *		its order, or NULL.  "cached": do its plans compete at what cached pages cost,
 *		and not at the server's prices?
 */
void
bitmap_costs_of(PlannerInfo *root, RelOptInfo *rel, const TopkQuery *query,
				const IndexPath *index, double wanted, bool cached, BitmapCosts *costs)
{
	double		least_share = Max(root->limit_tuples, 1) / ROWS_PRICED;
	IndexPath	path;
	double		pages = rel->pages + vec_toast_pages(root, (Node *) query->distance, rel->tuples);
	double		random_cost;
	double		seq_cost;
	QualCost	cost;

	if (cached)
	{
		random_cost = am_random_page_cost(rel->reltablespace, pages, 1);
		seq_cost = am_seq_page_cost(rel->reltablespace, pages);
	}
	else
		get_tablespace_page_costs(rel->reltablespace, &random_cost, &seq_cost);
	cost_qual_eval_node(&cost, topk_distance(query), root);

	costs->table_pages = Max(rel->pages, 1);
	costs->table_rows = Max(rel->tuples, 1);
	costs->page_apart = random_cost;
	costs->page_in_turn = seq_cost;
	costs->row = cpu_tuple_cost + rel->baserestrictcost.per_tuple + cost.per_tuple;
	/* its page was read a moment ago */
	costs->result = cpu_tuple_cost + AM_PAGE_OPERATORS * cpu_operator_cost +
		(pages > effective_cache_size ? random_cost : 0);
	costs->rows_passing = Max(rel->rows, 1);
	costs->index_first = NO_INDEX;
	costs->index_row = 0;
	costs->filtered = 0;
	if (index == NULL)
		return;
	costs->index_first = index->path.startup_cost;
	path = price_for_passing(root, index, Min(least_share, 1) * costs->table_rows);
	costs->index_row = (path.path.total_cost - path.path.startup_cost) / costs->table_rows;
	path = price_for_passing(root, index, rel->rows);
	costs->filtered = path.path.startup_cost + Min(wanted / costs->rows_passing, 1) *
		(path.path.total_cost - path.path.startup_cost);
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

	/* in this form whole numbers are read again as Float too, by a parallel worker */
	for (int i = 0; i < NCOSTS; i++)
		list = lappend(list, makeFloat(psprintf("%.17e", numbers[i])));
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
 * The index's search, until it has met as many rows of the set as are wanted,
 * and a few more to be sure of them.  A node that is not in the set is passed
 * without what makes a row of it.
 */
static double
restricted_cost(const BitmapCosts *costs, BitmapSize size, double wanted)
{
	double		met = Min(Max(wanted, FEWEST_WANTED) * SURE_TIMES / Max(size.fraction, 1e-9),
						  costs->table_rows);

	return costs->index_first + PASSED_SHARE * costs->index_row * met +
		wanted * (costs->row + 2 * costs->result);
}

/* how many rows of the index are fetched until as many as are wanted have passed */
static double
rows_filtered(const BitmapCosts *costs, double wanted)
{
	return Min(wanted / costs->rows_passing, 1) * costs->table_rows;
}

/*
 * bitmap_cost
 *		What finding the "wanted" nearest rows of a set costs, once the set is there
 *		unless the strategy does without.  Infinity for searches that cannot find as
 *		many.
 */
double
bitmap_cost(const BitmapCosts *costs, BitmapStrategy strategy, BitmapSize size, double wanted)
{
	if (strategy == BITMAP_EXACT)
		return exact_cost(costs, size, wanted);
	if (wanted > size.rows || costs->index_first == NO_INDEX)
		return get_float8_infinity();
	if (strategy == BITMAP_RESTRICTED)
		return restricted_cost(costs, size, wanted);
	return costs->filtered;
}

/*
 * bitmap_fair_nodes
 *		How many nodes a restricted search may look at for the price of the exact
 *		distances of the set.
 */
double
bitmap_fair_nodes(const BitmapCosts *costs, BitmapSize size, double wanted)
{
	return exact_cost(costs, size, wanted) / Max(NODE_SHARE * costs->index_row, 1e-9);
}

/*
 * bitmap_choose
 *		The cheaper way to search a set that is there, or the one that is insisted on.
 */
BitmapStrategy
bitmap_choose(const BitmapCosts *costs, BitmapSize size, double wanted)
{
	double		restricted = bitmap_cost(costs, BITMAP_RESTRICTED, size, wanted);

	if (isinf(restricted) || bitmap_strategy == BITMAP_EXACT)
		return BITMAP_EXACT;
	if (bitmap_strategy == BITMAP_RESTRICTED)
		return BITMAP_RESTRICTED;
	return restricted < bitmap_cost(costs, BITMAP_EXACT, size, wanted) ?
		BITMAP_RESTRICTED : BITMAP_EXACT;
}

/*
 * bitmap_choose_first
 *		The cheapest way to begin: by making a set, which is estimated to have this
 *		size and for which the server reckons index_cost, or without; and its
 *		cost.  Sets most_filtered.
 *
 * A search of all rows may take as long as making a set and searching it would
 * have, or twice as long as is expected.
 */
BitmapStrategy
bitmap_choose_first(BitmapCosts *costs, BitmapSize size, double wanted, double index_cost,
					double *cost)
{
	BitmapStrategy strategy = bitmap_choose(costs, size, wanted);
	double		filtered = bitmap_cost(costs, BITMAP_FILTERED, size, wanted);

	*cost = index_cost + size.rows * PLACE_OPERATORS * cpu_operator_cost +
		bitmap_cost(costs, strategy, size, wanted);
	costs->most_filtered = Max(2 * rows_filtered(costs, wanted),
							   *cost / Max(costs->index_row, 1e-9));
	if (isinf(filtered) ||
		(bitmap_strategy != BITMAP_NSTRATEGIES && bitmap_strategy != BITMAP_FILTERED) ||
		(bitmap_strategy == BITMAP_NSTRATEGIES && filtered >= *cost))
		return strategy;
	*cost = SAFETY_SHARE * filtered;
	return BITMAP_FILTERED;
}

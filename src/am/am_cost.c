/*-------------------------------------------------------------------------
 *
 * am_cost.c
 *	  Prices of pages, and what access methods' estimates have in common.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "am/am_cost.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/spccache.h"

/* part of the pages that are in the cache, of what is as large as the cache */
#define CACHED_OF_FULL	0.95

/* what the user said, while other prices are in force */
static const AmPrices *users_prices = NULL;

/*
 * am_cached_part
 *		Part of the pages that are in the cache, of a table or index with so many.
 *
 * A small part of the cache is in it when it is used; what is larger than the
 * cache has its share.
 */
double
am_cached_part(double pages)
{
	double		share = Max(pages, 1) / Max(effective_cache_size, 1);

	return share > 1 ? CACHED_OF_FULL / share : 1 - (1 - CACHED_OF_FULL) * share;
}

static double
mixed_cost(double cached, double missing_cost)
{
	return cached * AM_PAGE_OPERATORS * cpu_operator_cost + (1 - cached) * missing_cost;
}

/* the user's prices for a tablespace */
static void
users_page_costs(Oid tablespace, double *random, double *seq)
{
	AmPrices	now = {.seq = seq_page_cost, .random = random_page_cost};

	if (users_prices != NULL)
	{
		seq_page_cost = users_prices->seq;
		random_page_cost = users_prices->random;
	}
	get_tablespace_page_costs(tablespace, random, seq);
	seq_page_cost = now.seq;
	random_page_cost = now.random;
}

/*
 * am_random_page_cost
 *		Cost of a page of an index or table with so many, anywhere in it; a scan
 *		that is repeated finds more of them in the cache.
 */
double
am_random_page_cost(Oid tablespace, double pages, double loop_count)
{
	double		cached = am_cached_part(pages);
	double		random;
	double		seq;

	users_page_costs(tablespace, &random, &seq);
	if (loop_count > 1)
		cached = 1 - (1 - cached) / Min(loop_count, 10);
	return mixed_cost(cached, random);
}

/*
 * am_seq_page_cost
 *		The same for pages that are read in order.
 */
double
am_seq_page_cost(Oid tablespace, double pages)
{
	double		random;
	double		seq;

	users_page_costs(tablespace, &random, &seq);
	return mixed_cost(am_cached_part(pages), seq);
}

/*
 * am_price_cached_pages
 *		From now on the server's own estimates, too, take pages for cached, of a
 *		table with so many.  The caller restores the prices, after errors too.
 *
 * Tablespaces with prices of their own keep them.
 */
void
am_price_cached_pages(double pages, AmPrices *saved)
{
	double		cached = am_cached_part(pages);

	saved->seq = seq_page_cost;
	saved->random = random_page_cost;
	saved->outer = users_prices;
	if (users_prices == NULL)
		users_prices = saved;
	seq_page_cost = mixed_cost(cached, users_prices->seq);
	random_page_cost = mixed_cost(cached, users_prices->random);
}

/*
 * am_restore_prices
 *		The end of am_price_cached_pages.
 */
void
am_restore_prices(const AmPrices *saved)
{
	seq_page_cost = saved->seq;
	random_page_cost = saved->random;
	users_prices = saved->outer;
}

/*
 * How many rows of the index the query asks for: its LIMIT, and those that
 * the filter will drop.  0 if that is not known: in a join, or when the
 * LIMIT is a parameter or that of a cursor.
 */
static double
rows_asked_for(PlannerInfo *root, IndexPath *path)
{
	RelOptInfo *rel = path->indexinfo->rel;
	double		passing = path->path.param_info ? path->path.param_info->ppi_rows : rel->rows;
	double		tuples = Max(path->indexinfo->tuples, 1);

	if (root->limit_tuples < 0 && root->tuple_fraction == 0)
		return tuples;
	if (root->limit_tuples < 0 || bms_membership(root->all_baserels) == BMS_MULTIPLE)
		return 0;
	return Min(tuples, root->limit_tuples * tuples / Max(passing, 1));
}

/*
 * What "rows" rows of an index cost, but no more than "most", where a filter
 * makes it uncertain how many are needed.
 *
 * To find k rows that pass with probability p takes k / p on average, with a
 * standard deviation of sqrt((1 - p) / k) times that; the cost is no straight
 * line, so it is averaged over that distribution: a third each of less, about
 * and more.
 */
static double
expected_cost(PlannerInfo *root, IndexPath *path, double rows, double most,
			  AmRowsCost cost, const void *shape)
{
	double		limit = Max(root->limit_tuples, 1);
	double		spread = sqrt(Max(1 - limit / Max(rows, 1), 0) / limit);

	if (root->limit_tuples < 0 || spread < 0.01)
		return cost(shape, Min(rows, most));
	return (cost(shape, Min(Max(rows * (1 - spread), 1), most)) + cost(shape, Min(rows, most)) +
			cost(shape, Min(rows * (1 + spread), most))) / 3;
}

/*
 * Cost of the operator for a row: of its vector, wherever that lies.
 */
static double
distance_cost(PlannerInfo *root, IndexPath *path)
{
	QualCost	distance;

	cost_qual_eval(&distance, path->indexorderbys, root);
	return distance.per_tuple;
}

/*
 * Cost of the exact search: every row read, its distance computed and kept
 * or not.
 */
static double
exact_cost(PlannerInfo *root, IndexPath *path)
{
	RelOptInfo *rel = path->indexinfo->rel;

	return rel->pages * am_seq_page_cost(rel->reltablespace, rel->pages) +
		Max(rel->tuples, 1) * (cpu_tuple_cost + rel->baserestrictcost.per_tuple +
							   distance_cost(root, path) + 4 * cpu_operator_cost);
}

/*
 * The total cost that makes the first "rows" of "tuples" cost what they do.
 *
 * The server takes the share between start-up and total, but a search that asks
 * for a few rows more may start a wider one, and beyond some number reads all.
 */
static Cost
total_for(double rows, double tuples, Cost startup, Cost cost)
{
	return startup + Max(cost - startup, 0) * Max(tuples / Max(rows, 1), 1);
}

/*
 * am_never_scan
 *		Costs of a path that is never to be chosen: as bad as so many disabled nodes.
 */
void
am_never_scan(IndexPath *path, int disabled, Cost *startup, Cost *total)
{
	*startup = AM_NEVER;
	*total = AM_NEVER;
	path_disable_compat(&path->path, disabled);
}

/*
 * am_ordered_cost
 *		Add the costs of a scan in the order of distance to *startup and *total.
 */
void
am_ordered_cost(PlannerInfo *root, IndexPath *path, const AmOrderedScan *scan, Cost *startup,
				Cost *total)
{
	double		rows = rows_asked_for(root, path) * scan->part;
	double		all = Max(Max(path->indexinfo->tuples, 1) * scan->part, 1);
	Cost		cost;

	if (rows == 0)
		rows = Min(all, scan->most);
	/* a part of all is what will be asked for: all that there will be */
	if (root->limit_tuples < 0 && root->tuple_fraction > 0)
		all = rows;

	cost = expected_cost(root, path, rows, scan->most, scan->rows_cost, scan->shape);
	/* the executor computes distances that the index has only bounds of */
	if (scan->recheck)
		cost += Min(rows, scan->most) * distance_cost(root, path);
	*total += total_for(rows, all, scan->first, cost);
	*startup += scan->first;
	if (scan->complete && rows > scan->most)
	{
		*startup += exact_cost(root, path);
		*total += exact_cost(root, path);
	}

	/*
	 * Rows that wait in the executor's queue lose their address in it, of which
	 * FOR UPDATE makes use: it would lock others.
	 */
	if (scan->recheck && root->parse->rowMarks != NIL)
		am_never_scan(path, 3, startup, total);
}

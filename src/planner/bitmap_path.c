/*-------------------------------------------------------------------------
 *
 * bitmap_path.c
 *	  Offers VectorBitmap for ... WHERE condition ORDER BY vector <distance> value
 *	  LIMIT k, where indexes tell which rows meet the condition.
 *
 * README.md says when and at what cost.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "planner/bitmap.h"
#include "planner/planner.h"
#include "utils/lsyscache.h"

/* rows asked for, where only the execution will tell */
#define DEFAULT_ROWS	100

/* where nodes above may drop rows, so many times those of the LIMIT are found at first */
#define BATCH_TIMES		2.0

/* a set of more than this part of the rows is no help: it is not even made a path of */
#define LARGEST_SET		0.5

/* until it is chosen */
typedef struct BitmapPath
{
	CustomPath	path;			/* must be first */
	TopkQuery	query;
	BitmapCosts costs;
	BitmapStrategy strategy;
} BitmapPath;

/* the bitmap scan among some paths, which add_path() may free: a copy; or NULL */
static BitmapHeapPath *
bitmap_among(List *paths)
{
	ListCell   *cell;

	foreach(cell, paths)
	{
		BitmapHeapPath *path = (BitmapHeapPath *) lfirst(cell);

		if (IsA(path, BitmapHeapPath) && path->path.param_info == NULL)
		{
			BitmapHeapPath *copy = makeNode(BitmapHeapPath);

			*copy = *path;
			return copy;
		}
	}
	return NULL;
}

/*
 * The best bitmap for the conditions on rel, as the server would make it; NULL if
 * there is none.
 *
 * The server has thrown its own away if another plan seemed better for reading
 * all rows.  Then it is asked again, with index scans of other kinds hidden.
 */
static BitmapHeapPath *
best_bitmap(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *paths = rel->pathlist;
	List	   *partial_paths = rel->partial_pathlist;
	Bitmapset  *scannable = NULL;
	BitmapHeapPath *best = bitmap_among(rel->pathlist);
	ListCell   *cell;

	if (best != NULL)
		return best;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->amhasgettuple)
			scannable = bms_add_member(scannable, foreach_current_index(cell));
		index->amhasgettuple = false;
	}
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;

	create_index_paths(root, rel);
	best = bitmap_among(rel->pathlist);

	rel->pathlist = paths;
	rel->partial_pathlist = partial_paths;
	foreach(cell, rel->indexlist)
		lfirst_node(IndexOptInfo, cell)->amhasgettuple =
			bms_is_member(foreach_current_index(cell), scannable);
	return best;
}

static Plan *plan_bitmap(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
						 List *clauses, List *custom_plans);

static const CustomPathMethods bitmap_path_methods = {
	.CustomName = "VectorBitmap",
	.PlanCustomPath = plan_bitmap,
};

/* how many rows are wanted, about; at first, if more may be asked for */
static double
rows_wanted(const TopkQuery *query)
{
	double		rows = query->rows > 0 ? query->rows : DEFAULT_ROWS;

	return query->open ? Min(ceil(rows * BATCH_TIMES), INT_MAX / 2) : rows;
}

/*
 * Cost: the bitmap, then the search of the set.  Whether the server lets bitmaps
 * be used at all is in the cost, or beside it, of its own path.
 *
 * Where more rows may be asked for than are found at first, they are by the exact
 * way, and the server reckons how many.
 */
static void
cost_bitmap(PlannerInfo *root, BitmapPath *bitmap, RelOptInfo *rel, const BitmapHeapPath *scan)
{
	double		wanted = rows_wanted(&bitmap->query);
	Path	   *path = &bitmap->path.path;
	BitmapSize	size;
	Cost		index_cost;

	size.pages = compute_bitmap_pages(root, rel, scan->bitmapqual, 1, &index_cost, &size.rows);
	size.fraction = Min(1, size.rows / bitmap->costs.table_rows);
	bitmap->strategy = bitmap_choose_first(&bitmap->costs, size, wanted, index_cost,
										   &path->total_cost);
	path->rows = bitmap->query.open ? rel->rows : clamp_row_est(Min(rel->rows, wanted));
	path->total_cost += rel->baserestrictcost.startup + (enable_bitmapscan ? 0 : disable_cost);
	path->startup_cost = Max(0, path->total_cost -
							 Min(path->rows, wanted) * bitmap->costs.result);
	if (bitmap->query.open)
		path->total_cost = path->startup_cost + path->rows * bitmap->costs.result +
			(bitmap->strategy == BITMAP_EXACT ? 0 :
			 bitmap_cost(&bitmap->costs, BITMAP_EXACT, size, wanted));
	vec_copy_disabled_compat(path, &scan->path);
}

/*
 * vec_add_bitmap_path
 *		Offer VectorBitmap for a base relation, where it answers the query.
 */
void
vec_add_bitmap_path(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
					VecSimilarityOrder similarity)
{
	BitmapPath *bitmap;
	CustomPath *path;
	TopkQuery	query;
	BitmapHeapPath *scan;
	IndexPath  *index = NULL;

	if (rel->baserestrictinfo == NIL || rel->indexlist == NIL ||
		rel->rows > LARGEST_SET * Max(rel->tuples, 1) ||
		(!topk_query_of(root, rel, rte, true, &query) &&
		 !topk_open_query_of(root, rel, rte, &query)))
		return;
	scan = best_bitmap(root, rel);
	if (scan == NULL)
		return;
	if (enable_indexscan)
		index = vec_cheapest_ordered_path(root, rel, query.distance, similarity);

	bitmap = palloc0(sizeof(BitmapPath));
	bitmap->query = query;
	bitmap_costs_of(root, rel, &query, index, rows_wanted(&query),
					vec_wants_near_rows(root, rel, rte), &bitmap->costs);

	path = &bitmap->path;
	NodeSetTag(path, T_CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = query.open ? rel->reltarget :
		vec_target_with_distance(root, rel, query.distance, true);
	path->path.parallel_safe = rel->consider_parallel && scan->path.parallel_safe &&
		is_parallel_safe(root, (Node *) query.distance);
	path->path.pathkeys = list_make1(linitial(root->query_pathkeys));
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = index != NULL ? list_make2(scan, index) : list_make1(scan);
	path->methods = &bitmap_path_methods;
	cost_bitmap(root, bitmap, rel, scan);
	add_path(rel, &path->path);
}

/* the server's scan, below the test of conditions that are the same for all rows */
static Plan *
scan_below(Plan *plan)
{
	return IsA(plan, Result) ? outerPlan(plan) : plan;
}

/*
 * The plan that makes the bitmap, and the scan of the index if there is one,
 * which hands up all rows as they are.
 */
static List *
plans_below(List *custom_plans)
{
	List	   *plans = list_make1(outerPlan(scan_below(linitial(custom_plans))));
	Plan	   *scan;

	if (list_length(custom_plans) == 1)
		return plans;
	scan = scan_below(lsecond(custom_plans));
	scan->targetlist = NIL;
	scan->qual = NIL;
	return lappend(plans, castNode(IndexScan, scan));
}

/* a LIMIT or OFFSET, evaluated when the scan starts */
static Node *
limit_expression(Node *limit)
{
	return limit != NULL ? copyObject(limit) :
		(Node *) makeNullConst(INT8OID, -1, InvalidOid);
}

/*
 * PlanCustomPath; the caller copies the costs.  The server has divided the
 * conditions among those the bitmap answers and the others, for its own scan.
 */
static Plan *
plan_bitmap(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
			List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	BitmapHeapScan *scan = castNode(BitmapHeapScan, scan_below(linitial(custom_plans)));
	BitmapPath *bitmap = (BitmapPath *) path;
	TopkQuery  *query = &bitmap->query;

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = query->open ? scan->scan.plan.qual :
		topk_without_null_test(scan->scan.plan.qual, query);
	plan->scan.scanrelid = rel->relid;
	plan->flags = path->flags;
	plan->custom_plans = plans_below(custom_plans);
	/* in the order of BitmapExprs */
	plan->custom_exprs = list_make4(query->distance,
									limit_expression(query->open ? NULL : root->parse->limitCount),
									limit_expression(query->open ? NULL : root->parse->limitOffset),
									make_ands_explicit(scan->bitmapqualorig));
	/* in the order of TopkPrivate and BitmapPrivate */
	plan->custom_private = list_concat(topk_private(query),
									   list_make3(bitmap_costs_to_list(&bitmap->costs),
												  makeInteger(bitmap->strategy),
												  makeInteger(query->open ?
															  (int) rows_wanted(query) : 0)));
	plan->methods = &bitmap_scan_methods;
	return &plan->scan.plan;
}

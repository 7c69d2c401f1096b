/*-------------------------------------------------------------------------
 *
 * bitmap_path.c
 *	  Offers VectorBitmap for ... WHERE condition ORDER BY column <distance> value
 *	  LIMIT k, where indexes tell which rows meet the condition.
 *
 * README.md says when and at what cost.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "planner/bitmap.h"
#include "utils/lsyscache.h"

/* rows asked for, where only the execution will tell */
#define DEFAULT_ROWS	100

/*
 * The best bitmap for the conditions on rel, as the server would make it; NULL if
 * there is none.
 *
 * The server has thrown its own away if another plan seemed better for reading
 * all rows.  So it is asked again, with index scans of other kinds hidden.
 */
static BitmapHeapPath *
best_bitmap(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *paths = rel->pathlist;
	List	   *partial_paths = rel->partial_pathlist;
	Bitmapset  *scannable = NULL;
	BitmapHeapPath *best = NULL;
	ListCell   *cell;

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
	foreach(cell, rel->pathlist)
	{
		BitmapHeapPath *path = (BitmapHeapPath *) lfirst(cell);

		if (IsA(path, BitmapHeapPath) && path->path.param_info == NULL)
			best = path;
	}

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

/*
 * Cost: the bitmap, then the search of the set.  Whether the server lets bitmaps
 * be used at all is in the cost, or beside it, of its own path.
 */
static BitmapStrategy
cost_bitmap(PlannerInfo *root, CustomPath *path, RelOptInfo *rel, BitmapHeapPath *bitmap,
			const BitmapCosts *costs, double wanted)
{
	BitmapSize	size;
	Cost		index_cost;
	BitmapStrategy strategy;

	size.pages = compute_bitmap_pages(root, rel, bitmap->bitmapqual, 1, &index_cost,
									  &size.rows);
	size.fraction = Min(1, size.rows / costs->table_rows);
	strategy = bitmap_choose(costs, size, wanted);
	path->path.rows = clamp_row_est(Min(rel->rows, wanted));
	path->path.total_cost = index_cost + bitmap_of_rows_cost(size.rows) + rel->baserestrictcost.startup +
		bitmap_cost(costs, strategy, size, wanted) +
		(enable_bitmapscan ? 0 : disable_cost);
	path->path.startup_cost = path->path.total_cost - path->path.rows * costs->result;
	vec_copy_disabled_compat(&path->path, &bitmap->path);
	return strategy;
}

/*
 * vec_add_bitmap_path
 *		Offer VectorBitmap for a base relation, where it answers the query.
 */
void
vec_add_bitmap_path(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
					VecSimilarityOrder similarity)
{
	CustomPath *path;
	TopkQuery	query;
	BitmapHeapPath *bitmap;
	IndexPath  *index;
	BitmapCosts costs;
	BitmapStrategy strategy;

	if (rel->baserestrictinfo == NIL || rel->indexlist == NIL ||
		!topk_query_of(root, rel, rte, &query))
		return;
	bitmap = best_bitmap(root, rel);
	if (bitmap == NULL)
		return;

	index = enable_indexscan ?
		vec_cheapest_ordered_path(root, rel, query.distance, similarity) : NULL;

	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.parallel_safe = rel->consider_parallel && bitmap->path.parallel_safe &&
		is_parallel_safe(root, (Node *) query.distance);
	path->path.pathkeys = root->query_pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = index != NULL ? list_make2(bitmap, index) : list_make1(bitmap);
	path->methods = &bitmap_path_methods;
	bitmap_costs_of(root, rel, query.distance, index, &costs);
	strategy = cost_bitmap(root, path, rel, bitmap, &costs,
						   query.rows > 0 ? query.rows : DEFAULT_ROWS);
	path->custom_private = list_make2(query.distance,
									  lappend(lappend(topk_private(&query),
													  bitmap_costs_to_list(&costs)),
											  makeInteger(strategy)));
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
 * which hands up its row as it is.
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
	TopkQuery	query = {.distance = linitial_node(OpExpr, path->custom_private)};

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = topk_without_null_test(scan->scan.plan.qual, &query);
	plan->scan.scanrelid = rel->relid;
	plan->flags = path->flags;
	plan->custom_plans = plans_below(custom_plans);
	/* in the order of BitmapExprs */
	plan->custom_exprs = list_make4(query.distance, limit_expression(root->parse->limitCount),
									limit_expression(root->parse->limitOffset),
									make_ands_explicit(scan->bitmapqualorig));
	plan->custom_private = lsecond_node(List, path->custom_private);
	if (query.skip_nulls)
		lfirst(list_nth_cell(plan->custom_private, TOPK_SKIP_NULLS)) = makeInteger(1);
	plan->methods = &bitmap_scan_methods;
	return &plan->scan.plan;
}

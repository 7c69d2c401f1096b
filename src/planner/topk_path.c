/*-------------------------------------------------------------------------
 *
 * topk_path.c
 *	  Offers VectorTopK for ORDER BY column <distance> value LIMIT k, and for
 *	  what grows or shrinks with the distance.
 *
 * README.md says when and at what cost.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "am/am_cost.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "planner/order.h"
#include "planner/planner.h"
#include "planner/topk.h"
#include "planner/topk_heap.h"
#include "types/cost.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* more rows than these are a sort's business */
#define MAX_ROWS 10000

/* part of cpu_tuple_cost that rows which are not handed up save; under a filter */
#define NO_SLOT_SHARE	0.4
#define NO_TUPLE_SHARE	0.2

/* can a LIMIT or OFFSET be evaluated by the scan as well, to the same number? */
static bool
is_limit(Node *limit)
{
	return !contain_subplans(limit) && !contain_volatile_functions(limit);
}

/* is there a LIMIT, and not LIMIT ALL? */
static bool
has_limit(const Query *parse)
{
	Node	   *count = parse->limitCount;

	return count != NULL && !(IsA(count, Const) && ((Const *) count)->constisnull);
}

/*
 * Does the query ask for first rows in one order, with nothing between the scan
 * and LIMIT that could drop or add rows?
 */
static bool
query_wants_first_rows(PlannerInfo *root)
{
	Query	   *parse = root->parse;

	return has_limit(parse) && is_limit(parse->limitCount) && is_limit(parse->limitOffset) &&
		parse->commandType == CMD_SELECT &&
		parse->limitOption != LIMIT_OPTION_WITH_TIES &&
		parse->rowMarks == NIL && root->rowMarks == NIL &&
		parse->setOperations == NULL && parse->groupClause == NIL &&
		parse->groupingSets == NIL && parse->distinctClause == NIL &&
		!parse->hasAggs && !parse->hasWindowFuncs && !parse->hasTargetSRFs &&
		!root->hasHavingQual &&
		root->query_pathkeys == root->sort_pathkeys &&
		list_length(root->query_pathkeys) == 1;
}

/*
 * How many rows it asks for; 0 where a LIMIT or OFFSET is not known now, and not
 * only estimated.
 */
static double
rows_asked_for(PlannerInfo *root)
{
	Node	   *count = root->parse->limitCount;
	Node	   *offset = root->parse->limitOffset;

	if (!IsA(count, Const) || (offset != NULL && !IsA(offset, Const)))
		return 0;
	return Max(0, root->limit_tuples);
}

/* a table with heap storage? */
static bool
is_heap_table(RelOptInfo *rel, RangeTblEntry *rte)
{
	Relation	table;
	bool		heap;

	if (!IS_SIMPLE_REL(rel) || rte->rtekind != RTE_RELATION || rte->inh ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW) ||
		rte->tablesample != NULL || IS_DUMMY_REL(rel) || rel->lateral_relids != NULL)
		return false;

	table = table_open(rte->relid, NoLock);
	heap = table->rd_tableam == GetHeapamTableAmRoutine();
	table_close(table, NoLock);
	return heap;
}

/* is it, alone or among its siblings, all of FROM? */
static bool
is_all_of_query(PlannerInfo *root, RelOptInfo *rel)
{
	return bms_equal(vec_query_relids(rel), root->all_baserels);
}

static Node *
strip_relabeling(Node *node)
{
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* a column of rel, of our types or a domain over one? */
static bool
is_column(Node *node, RelOptInfo *rel)
{
	Var		   *var = (Var *) strip_relabeling(node);

	node = (Node *) var;
	return IsA(node, Var) && var->varno == (int) rel->relid && var->varlevelsup == 0 &&
		var->varattno > 0 && get_typlen(var->vartype) == -1;
}

/* computable once, before the scan? */
static bool
is_value(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node) &&
		!contain_subplans(node) && get_typlen(exprType(node)) == -1;
}

/* a value that rel's row alone tells? */
static bool
is_of_row(PlannerInfo *root, Node *node, RelOptInfo *rel)
{
	return bms_equal(pull_varnos(root, node), rel->relids) &&
		!contain_volatile_functions(node) && !contain_subplans(node) &&
		get_typlen(exprType(node)) == -1;
}

/*
 * Which argument of a distance is a column of rel, or, if expressions will do,
 * computed from columns, the other being a value; or -1.
 */
static int
column_argument(PlannerInfo *root, OpExpr *distance, RelOptInfo *rel, bool expressions)
{
	for (int i = 0; i < 2; i++)
	{
		Node	   *node = list_nth(distance->args, i);

		if ((is_column(node, rel) || (expressions && is_of_row(root, node, rel))) &&
			is_value(list_nth(distance->args, 1 - i)))
			return i;
	}
	return -1;
}

/* what the first key of the query's order asks of rel; false if it is no distance */
static bool
set_query(PlannerInfo *root, RelOptInfo *rel, bool expressions, TopkQuery *query)
{
	PathKey    *key = linitial_node(PathKey, root->query_pathkeys);
	VecOrder	order;

	if (!vec_order_of_pathkey(root, rel, key, &order))
		return false;
	query->distance = order.distance;
	query->column_arg = column_argument(root, order.distance, rel, expressions);
	query->first = (key->pk_nulls_first ? TOPK_NULL_FIRST : 0) |
		(vec_pathkey_ascends_compat(key) ? 0 : TOPK_NAN_FIRST);
	query->skip_nulls = false;
	query->open = false;
	return query->column_arg >= 0;
}

/*
 * topk_query_of
 *		Is this the table whose nearest rows the query asks for, and nothing else?
 *		"expressions": may the vector be computed from columns?
 *
 * Fills in all but skip_nulls.
 */
bool
topk_query_of(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, bool expressions,
			  TopkQuery *query)
{
	if (!query_wants_first_rows(root) || !is_all_of_query(root, rel) ||
		!is_heap_table(rel, rte) || !set_query(root, rel, expressions, query))
		return false;
	query->rows = rows_asked_for(root);
	return true;
}

/*
 * topk_open_query_of
 *		Does the query's order begin with a distance of this table's rows, and does
 *		it end after some?  How many of them depends on what else there is: joins,
 *		further keys, row locks.
 *
 * Fills in all but skip_nulls.
 */
bool
topk_open_query_of(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, TopkQuery *query)
{
	if (root->query_pathkeys == NIL || root->tuple_fraction <= 0 || !is_heap_table(rel, rte) ||
		!set_query(root, rel, true, query))
		return false;
	query->rows = Max(0, root->limit_tuples);
	query->open = true;
	return true;
}

/*
 * topk_without_null_test
 *		The filter without "distance IS NOT NULL", which min(distance) comes with:
 *		the scan can tell without computing it twice.  Sets skip_nulls.
 */
List *
topk_without_null_test(List *clauses, TopkQuery *query)
{
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		NullTest   *test = (NullTest *) lfirst(cell);

		if (IsA(test, NullTest) && test->nulltesttype == IS_NOT_NULL &&
			equal(test->arg, query->distance))
			query->skip_nulls = true;
		else
			others = lappend(others, test);
	}
	return others;
}

/*
 * topk_private
 *		The integers of TopkPrivate.
 */
List *
topk_private(const TopkQuery *query)
{
	return list_make4(makeInteger((int) query->rows), makeInteger(query->column_arg),
					  makeInteger(query->skip_nulls), makeInteger(query->first));
}

/*
 * topk_distance
 *		The distance as it is computed: the value is detoasted once, not for each
 *		row.  For estimates only.
 */
Node *
topk_distance(const TopkQuery *query)
{
	OpExpr	   *copy = (OpExpr *) copyObject(query->distance);
	Node	   *value = list_nth(copy->args, 1 - query->column_arg);

	if (IsA(value, Param))
		list_nth_cell(copy->args, 1 - query->column_arg)->ptr_value =
			makeNullConst(exprType(value), exprTypmod(value), exprCollation(value));
	return (Node *) copy;
}

/*
 * Cost: a sequential scan without what it does to hand up a row, unless a filter
 * needs it; for each row that passes, the distance and one comparison with the
 * last of the kept, and what of the TOAST table is not in the cache; then a fetch
 * for each row of the result, from pages that were read a moment ago unless the
 * table is larger than the cache.
 */
static void
cost_topk(PlannerInfo *root, CustomPath *path, RelOptInfo *rel, const TopkQuery *query)
{
	Path	   *scan = create_seqscan_path(root, rel, NULL, path->path.parallel_workers);
	double		tuples = rel->tuples * Min(1, scan->rows / Max(1, rel->rows));
	double		toast = vec_toast_pages(root, (Node *) query->distance, rel->tuples);
	double		fetch = cpu_tuple_cost;
	QualCost	cost;

	if (rel->pages > effective_cache_size)
		fetch += random_page_cost;
	cost_qual_eval_node(&cost, topk_distance(query), root);

	path->path.rows = clamp_row_est(Min(scan->rows, query->rows));
	path->path.startup_cost = scan->total_cost +
		cost.startup + scan->rows * (cost.per_tuple + cpu_operator_cost) +
		toast * scan->rows / Max(rel->tuples, 1) *
		(1 - am_cached_part(toast)) * am_seq_page_cost(rel->reltablespace, toast);
	path->path.startup_cost -= cpu_tuple_cost * tuples *
		(rel->baserestrictinfo == NIL ? NO_SLOT_SHARE : NO_TUPLE_SHARE);
	path->path.total_cost = path->path.startup_cost + path->path.rows * fetch;
	vec_copy_disabled_compat(&path->path, scan);
}

static Plan *plan_topk(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);

static const CustomPathMethods topk_path_methods = {
	.CustomName = "VectorTopK",
	.PlanCustomPath = plan_topk,
};

/* the path; with workers, each of them returns its own first rows in order */
static CustomPath *
make_topk_path(PlannerInfo *root, RelOptInfo *rel, const TopkQuery *query, int workers)
{
	CustomPath *path = makeNode(CustomPath);

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = vec_target_with_distance(root, rel, query->distance, true);
	path->path.parallel_aware = workers > 0;
	path->path.parallel_safe = rel->consider_parallel &&
		is_parallel_safe(root, (Node *) query->distance);
	path->path.parallel_workers = workers;
	path->path.pathkeys = root->query_pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_private = list_make2(query->distance, topk_private(query));
	path->methods = &topk_path_methods;
	cost_topk(root, path, rel, query);
	return path;
}

/*
 * vec_add_topk_paths
 *		Offer VectorTopK for a base relation, where it answers the query.
 */
void
vec_add_topk_paths(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	CustomPath *path;
	TopkQuery	query;
	int			workers;

	if (!topk_query_of(root, rel, rte, false, &query) || query.rows < 1 || query.rows > MAX_ROWS ||
		query.rows * sizeof(TopkEntry) > work_mem * 1024.0)
		return;

	path = make_topk_path(root, rel, &query, 0);
	add_path(rel, &path->path);

	/* under an Append the order of a parallel scan would be lost */
	if (!path->path.parallel_safe || rel->reloptkind != RELOPT_BASEREL)
		return;

	/* the server would count the table alone, which may hold only pointers */
	workers = compute_parallel_worker(rel, rel->pages +
									  vec_toast_pages(root, (Node *) query.distance, rel->tuples),
									  -1, max_parallel_workers_per_gather);
	if (workers > 0)
		add_partial_path(rel, &make_topk_path(root, rel, &query, workers)->path);
}

/* PlanCustomPath; the caller copies the costs and orders the clauses */
static Plan *
plan_topk(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
		  List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	TopkQuery	query = {.distance = linitial_node(OpExpr, path->custom_private)};

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = topk_without_null_test(extract_actual_clauses(clauses, false), &query);
	plan->scan.scanrelid = rel->relid;
	plan->flags = path->flags;
	plan->custom_exprs = list_make1(query.distance);
	plan->custom_private = lsecond_node(List, path->custom_private);
	if (query.skip_nulls)
		lfirst(list_nth_cell(plan->custom_private, TOPK_SKIP_NULLS)) = makeInteger(1);
	plan->methods = &topk_scan_methods;
	return &plan->scan.plan;
}

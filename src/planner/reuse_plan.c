/*-------------------------------------------------------------------------
 *
 * reuse_plan.c
 *	  Takes distances out of finished plans that the index has computed.
 *
 * README.md ("Distance once") says what is done and why the result is the same.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "planner/bitmap.h"
#include "planner/order.h"
#include "planner/reuse.h"
#include "planner/topk.h"

/* which columns of a plan's output somebody above it reads */
typedef struct Reads
{
	bool		all;
	Bitmapset  *columns;		/* resnos, unless all */
} Reads;

static const Reads READS_ALL = {.all = true};

typedef struct Reuse
{
	PlannedStmt *stmt;
	int			last_id;		/* highest plan_node_id; -1 if not yet known */
} Reuse;

static Plan *visit(Reuse *reuse, Plan *plan, Reads reads);

/*--- what is read --------------------------------------------------------*/

static bool
is_read(const Reads *reads, const TargetEntry *entry)
{
	return reads->all || bms_is_member(entry->resno, reads->columns);
}

/* the same and some more */
static Reads
reads_also(Reads reads, const AttrNumber *columns, int n)
{
	reads.columns = bms_copy(reads.columns);
	for (int i = 0; i < n; i++)
		reads.columns = bms_add_member(reads.columns, columns[i]);
	return reads;
}

/* what a query returns: nobody can name the columns that only order it */
static Reads
reads_of_result(Plan *plan)
{
	Reads		reads = {0};
	ListCell   *cell;

	foreach(cell, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk)
			reads.columns = bms_add_member(reads.columns, entry->resno);
	}
	return reads;
}

typedef struct VarReads
{
	int			varno;
	Reads		reads;
} VarReads;

/* the columns of one input that an expression reads */
static bool
var_reads_walker(Node *node, VarReads *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno != context->varno)
			return false;
		if (var->varattno <= 0)
			context->reads.all = true;
		else
			context->reads.columns = bms_add_member(context->reads.columns, var->varattno);
		return false;
	}
	return expression_tree_walker(node, var_reads_walker, context);
}

/*
 * The columns of the input "varno" that a node reads for those of its own which
 * are read, for its filter, and for "others".
 */
static Reads
reads_of_input(Plan *plan, const Reads *reads, int varno, Node *others)
{
	VarReads	context = {.varno = varno};
	ListCell   *cell;

	foreach(cell, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (is_read(reads, entry))
			var_reads_walker((Node *) entry->expr, &context);
	}
	var_reads_walker((Node *) plan->qual, &context);
	var_reads_walker(others, &context);
	return context.reads;
}

/*--- distances -----------------------------------------------------------*/

/* a distance, or what grows or shrinks with one? */
static bool
is_of_distance(Node *node)
{
	VecOrder	order;

	return vec_order_of_expression(node, &order);
}

/* NULL in place of the distances that nobody reads */
static void
drop_unread(Plan *plan, const Reads *reads)
{
	ListCell   *cell;

	if (reads->all)
		return;
	foreach(cell, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!is_read(reads, entry) && is_of_distance((Node *) entry->expr))
			entry->expr = (Expr *) makeNullConst(FLOAT8OID, -1, InvalidOid);
	}
}

typedef struct Replacement
{
	OpExpr	   *distance;		/* what the index orders by */
	OpExpr	   *commuted;		/* the same as the user may have written it, or NULL */
	AttrNumber	column;			/* of the outer plan, which takes its place */
	int			count;
} Replacement;

static Node *
replace_distance(Node *node, Replacement *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, OpExpr) &&
		(equal(node, context->distance) || equal(node, context->commuted)))
	{
		context->count++;
		return (Node *) makeVar(OUTER_VAR, context->column, FLOAT8OID, -1, InvalidOid, 0);
	}
	return expression_tree_mutator(node, replace_distance, context);
}

/* the distance an index scan has; NULL if none that could be reused */
static OpExpr *
distance_of_scan(IndexScan *scan)
{
	VecOrder	order;

	if (list_length(scan->indexorderbyorig) != 1 ||
		!vec_order_of_expression(linitial(scan->indexorderbyorig), &order) || !order.plain)
		return NULL;
	return order.distance;
}

/*--- all nodes of a plan ------------------------------------------------*/

static void walk_plans(List *plans, PlanVisitor visitor, void *context);

/*
 * vec_walk_plan
 *		Call the visitor for every node of a plan, initplans and subplans apart.
 */
void
vec_walk_plan(Plan *plan, PlanVisitor visitor, void *context)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	visitor(plan, context);
	vec_walk_plan(plan->lefttree, visitor, context);
	vec_walk_plan(plan->righttree, visitor, context);
	switch (nodeTag(plan))
	{
		case T_Append:
			walk_plans(((Append *) plan)->appendplans, visitor, context);
			break;
		case T_MergeAppend:
			walk_plans(((MergeAppend *) plan)->mergeplans, visitor, context);
			break;
		case T_BitmapAnd:
			walk_plans(((BitmapAnd *) plan)->bitmapplans, visitor, context);
			break;
		case T_BitmapOr:
			walk_plans(((BitmapOr *) plan)->bitmapplans, visitor, context);
			break;
		case T_SubqueryScan:
			vec_walk_plan(((SubqueryScan *) plan)->subplan, visitor, context);
			break;
		case T_CustomScan:
			walk_plans(((CustomScan *) plan)->custom_plans, visitor, context);
			break;
		default:
			break;
	}
}

static void
walk_plans(List *plans, PlanVisitor visitor, void *context)
{
	ListCell   *cell;

	foreach(cell, plans)
		vec_walk_plan((Plan *) lfirst(cell), visitor, context);
}

static void
raise_to_id(Plan *plan, void *context)
{
	int		   *highest = (int *) context;

	*highest = Max(*highest, plan->plan_node_id);
}

/* an identity no other node of the statement has */
static int
new_id(Reuse *reuse)
{
	if (reuse->last_id < 0)
	{
		vec_walk_plan(reuse->stmt->planTree, raise_to_id, &reuse->last_id);
		walk_plans(reuse->stmt->subplans, raise_to_id, &reuse->last_id);
	}
	return ++reuse->last_id;
}

/*--- scans ---------------------------------------------------------------*/

/* VectorDistance above the scan, which evaluates what the scan would have */
static Plan *
make_wrapper(Reuse *reuse, IndexScan *scan, OpExpr *distance, List *tlist, List *qual,
			 List *stop)
{
	CustomScan *wrapper = makeNode(CustomScan);
	Plan	   *plan = &wrapper->scan.plan;

	*plan = scan->scan.plan;	/* costs, parameters, identity */
	plan->type = T_CustomScan;
	plan->targetlist = tlist;
	plan->qual = qual;
	plan->lefttree = &scan->scan.plan;
	wrapper->scan.scanrelid = scan->scan.scanrelid;
	wrapper->custom_relids = bms_make_singleton((int) scan->scan.scanrelid);
	wrapper->custom_exprs = lcons(copyObject(distance), stop);
	wrapper->methods = &reuse_scan_methods;

	scan->scan.plan.plan_node_id = new_id(reuse);
	scan->scan.plan.initPlan = NIL;
	scan->scan.plan.qual = NIL;
	scan->scan.plan.targetlist =
		list_make1(makeTargetEntry((Expr *) copyObject(distance), 1, NULL, false));
	return plan;
}

/*
 * An index scan is wrapped where its distance is read above, or by its filter.
 * The parts of the filter that no farther row can pass end the scan.
 */
static Plan *
visit_index_scan(Reuse *reuse, IndexScan *scan)
{
	Replacement replacement = {.column = 1};
	List	   *tlist;
	List	   *qual = NIL;
	List	   *stop = NIL;
	ListCell   *cell;

	replacement.distance = distance_of_scan(scan);
	if (replacement.distance == NULL)
		return &scan->scan.plan;
	replacement.commuted = vec_commute_distance(replacement.distance);
	tlist = (List *) replace_distance((Node *) scan->scan.plan.targetlist, &replacement);
	foreach(cell, scan->scan.plan.qual)
	{
		Node	   *clause = (Node *) lfirst(cell);
		Node	   *replaced = replace_distance(clause, &replacement);

		if (vec_is_stop_condition(clause, replacement.distance))
			stop = lappend(stop, replaced);
		else
			qual = lappend(qual, replaced);
	}
	if (replacement.count == 0)
		return &scan->scan.plan;
	return make_wrapper(reuse, scan, replacement.distance, tlist, qual, stop);
}

/*--- joins ---------------------------------------------------------------*/

typedef struct Lift
{
	List	   *tlist;
	bool		failed;
} Lift;

/* a column as the plan above the target list calls it */
static Node *
lift_columns(Node *node, Lift *lift)
{
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, lift_columns, lift);
	foreach(cell, lift->tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (equal(entry->expr, node))
		{
			Var		   *var = copyObject((Var *) node);

			var->varno = OUTER_VAR;
			var->varattno = entry->resno;
			return (Node *) var;
		}
	}
	lift->failed = true;
	return node;
}

/*
 * The distance that a plan's rows come with, as the plan above it would compute
 * it; NULL if there is none, or what it is computed from is not handed up.
 */
static OpExpr *
distance_of_input(Plan *plan)
{
	OpExpr	   *distance = NULL;
	Lift		lift = {0};

	if (plan == NULL)
		return NULL;
	check_stack_depth();
	if (IsA(plan, IndexScan))
		distance = distance_of_scan((IndexScan *) plan);
	else if (IsA(plan, NestLoop))
		distance = distance_of_input(plan->lefttree);
	if (distance == NULL)
		return NULL;
	lift.tlist = plan->targetlist;
	distance = (OpExpr *) lift_columns((Node *) distance, &lift);
	return lift.failed ? NULL : distance;
}

/* let a plan that has a distance return it; the column */
static AttrNumber
return_distance(Plan *plan)
{
	AttrNumber	column = (AttrNumber) (list_length(plan->targetlist) + 1);
	Node	   *value;
	ListCell   *cell;

	if (IsA(plan, IndexScan))
		value = copyObject(linitial(((IndexScan *) plan)->indexorderbyorig));
	else
		value = (Node *) makeVar(OUTER_VAR, return_distance(plan->lefttree), FLOAT8OID, -1,
								 InvalidOid, 0);
	foreach(cell, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (equal(entry->expr, value))
			return entry->resno;
	}
	plan->targetlist = lappend(plan->targetlist,
							   makeTargetEntry((Expr *) value, column, NULL, false));
	return column;
}

/* a join that computes the distance of its outer rows gets it from below */
static void
reuse_in_join(NestLoop *join)
{
	Plan	   *plan = &join->join.plan;
	Replacement replacement = {.distance = distance_of_input(plan->lefttree)};

	if (replacement.distance == NULL)
		return;
	replacement.commuted = vec_commute_distance(replacement.distance);
	replace_distance((Node *) plan->targetlist, &replacement);
	replace_distance((Node *) plan->qual, &replacement);
	replace_distance((Node *) join->join.joinqual, &replacement);
	if (replacement.count == 0)
		return;

	replacement.column = return_distance(plan->lefttree);
	plan->targetlist = (List *) replace_distance((Node *) plan->targetlist, &replacement);
	plan->qual = (List *) replace_distance((Node *) plan->qual, &replacement);
	join->join.joinqual = (List *) replace_distance((Node *) join->join.joinqual, &replacement);
}

/*--- the visit -----------------------------------------------------------*/

static void
visit_list(Reuse *reuse, List *plans, Reads reads)
{
	ListCell   *cell;

	foreach(cell, plans)
		lfirst(cell) = visit(reuse, (Plan *) lfirst(cell), reads);
}

static void
visit_nest_loop(Reuse *reuse, NestLoop *join, const Reads *reads)
{
	Plan	   *plan = &join->join.plan;
	Node	   *quals = (Node *) join->join.joinqual;
	VarReads	outer = {.varno = OUTER_VAR};
	ListCell   *cell;

	outer.reads = reads_of_input(plan, reads, OUTER_VAR, quals);
	foreach(cell, join->nestParams)
		var_reads_walker((Node *) lfirst_node(NestLoopParam, cell)->paramval, &outer);
	plan->lefttree = visit(reuse, plan->lefttree, outer.reads);
	plan->righttree = visit(reuse, plan->righttree,
							reads_of_input(plan, reads, INNER_VAR, quals));
}

static void
visit_aggregate(Reuse *reuse, Agg *agg)
{
	Plan	   *plan = &agg->plan;
	Reads		reads = reads_of_input(plan, &READS_ALL, OUTER_VAR, NULL);

	if (agg->chain != NIL)
		reads = READS_ALL;		/* grouping sets have keys of their own */
	plan->lefttree = visit(reuse, plan->lefttree,
						   reads_also(reads, agg->grpColIdx, agg->numCols));
}

static void
visit_subquery_scan(Reuse *reuse, SubqueryScan *scan, const Reads *reads)
{
	Reads		used = reads_of_input(&scan->scan.plan, reads, (int) scan->scan.scanrelid, NULL);

	/* a whole row has no columns that only order it */
	if (used.all)
		used = reads_of_result(scan->subplan);
	scan->subplan = visit(reuse, scan->subplan, used);
}

/*
 * Visit a plan whose output is read as "reads" says; returns what takes its
 * place.  A node that is not named here is taken to read all of its inputs; the
 * inputs of other libraries' nodes are left alone.
 */
static Plan *
visit(Reuse *reuse, Plan *plan, Reads reads)
{
	Plan	  **input;

	if (plan == NULL)
		return NULL;
	check_stack_depth();
	input = &plan->lefttree;
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			drop_unread(plan, &reads);
			return visit_index_scan(reuse, (IndexScan *) plan);

			/* these hand up the row they got */
		case T_Limit:
			reads = reads_also(reads, ((Limit *) plan)->uniqColIdx,
							   ((Limit *) plan)->uniqNumCols);
			*input = visit(reuse, *input, reads);
			break;
		case T_LockRows:
		case T_Material:
		case T_Memoize:
			*input = visit(reuse, *input, reads);
			break;
		case T_Sort:
		case T_IncrementalSort:
			reads = reads_also(reads, ((Sort *) plan)->sortColIdx, ((Sort *) plan)->numCols);
			*input = visit(reuse, *input, reads);
			break;
		case T_Unique:
			reads = reads_also(reads, ((Unique *) plan)->uniqColIdx, ((Unique *) plan)->numCols);
			*input = visit(reuse, *input, reads);
			break;
		case T_Append:
			visit_list(reuse, ((Append *) plan)->appendplans, reads);
			break;
		case T_MergeAppend:
			reads = reads_also(reads, ((MergeAppend *) plan)->sortColIdx,
							   ((MergeAppend *) plan)->numCols);
			visit_list(reuse, ((MergeAppend *) plan)->mergeplans, reads);
			break;

			/* these compute what they hand up */
		case T_Result:
			drop_unread(plan, &reads);
			*input = visit(reuse, *input,
						   reads_of_input(plan, &reads, OUTER_VAR,
										  ((Result *) plan)->resconstantqual));
			break;
		case T_Agg:
			visit_aggregate(reuse, (Agg *) plan);
			break;
		case T_NestLoop:
			drop_unread(plan, &reads);
			reuse_in_join((NestLoop *) plan);
			visit_nest_loop(reuse, (NestLoop *) plan, &reads);
			break;
		case T_SubqueryScan:
			drop_unread(plan, &reads);
			visit_subquery_scan(reuse, (SubqueryScan *) plan, &reads);
			break;
		case T_CustomScan:
			if (((CustomScan *) plan)->methods == &topk_scan_methods ||
				((CustomScan *) plan)->methods == &bitmap_scan_methods)
				drop_unread(plan, &reads);
			break;
		case T_ForeignScan:
			break;

		default:
			*input = visit(reuse, *input, READS_ALL);
			plan->righttree = visit(reuse, plan->righttree, READS_ALL);
			break;
	}
	return plan;
}

/* an index orders by distance ascending, whatever the order of the query */
static void
finish_index_scan(Plan *plan, void *context)
{
	IndexScan  *scan = (IndexScan *) plan;

	if (IsA(plan, IndexScan) && distance_of_scan(scan) != NULL)
		scan->indexorderbyops = list_make1_oid(Float8LessOperator);
}

/*
 * vec_finish_index_scans
 *		Repair what the server derives from the direction of the query's order
 *		(order_path.c): by which operator rows that the index returned by a bound
 *		of their distance are put in order.
 */
void
vec_finish_index_scans(PlannedStmt *stmt)
{
	vec_walk_plan(stmt->planTree, finish_index_scan, NULL);
	walk_plans(stmt->subplans, finish_index_scan, NULL);
}

/*
 * vec_reuse_distances
 *		Change a finished plan so that distances the index computed are handed
 *		up, and those that nobody reads are not computed at all.
 *
 * Works in place; new nodes in the current memory context.
 */
void
vec_reuse_distances(PlannedStmt *stmt)
{
	Reuse		reuse = {.stmt = stmt, .last_id = -1};
	ListCell   *cell;

	if (stmt->planTree == NULL)
		return;
	stmt->planTree = visit(&reuse, stmt->planTree,
						   stmt->commandType == CMD_SELECT ?
						   reads_of_result(stmt->planTree) : READS_ALL);
	foreach(cell, stmt->subplans)
	{
		Plan	   *plan = (Plan *) lfirst(cell);

		/* those that were not chosen among alternatives are NULL */
		if (plan != NULL)
			lfirst(cell) = visit(&reuse, plan, reads_of_result(plan));
	}
}

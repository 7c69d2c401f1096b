/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  vecext_explain_choice(): why a query uses an index, or does not.
 *
 * The query is planned, never executed.  While that is done the hooks note, for
 * each index of ours, what keeps it from returning the rows in order
 * (explain_why.c).  An index that could, but is not in the plan, is then forced:
 * the query is planned again with the other plans switched off, and with as few
 * of those settings as do, so what is said to force it has been tried, and its
 * cost is of the same kind as that of the plan chosen.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "am/am_check.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "optimizer/cost.h"
#include "parser/parsetree.h"
#include "planner/bitmap.h"
#include "planner/explain.h"
#include "planner/reuse.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* what PostgreSQL before 18 adds to the cost of a plan node that is switched off */
#define DISABLED_COST	1.0e10

#define COLUMNS			11

/* what takes other plans out of the way, in the order in which to do without */
static const struct
{
	const char *name;
	const char *value;
}			settings[] =
{
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"enable_bitmapscan", "off"},
	{"enable_sort", "off"},
	{"vecext.enable_topk", "off"},
	{"vecext.enable_bitmap", "off"},
	{"enable_seqscan", "off"},
	{"enable_nestloop", "on"},
	{"enable_indexscan", "on"},
};

typedef bool SettingSet[lengthof(settings)];

typedef struct Explaining
{
	const char *text;
	Query	   *query;
	bool		noting;			/* this is the first time the query is planned */
	List	   *choices;		/* VecChoice */
	const VecChoice *forced;	/* other indexes of its table are hidden, or NULL */
} Explaining;

static Explaining *explaining = NULL;

/*--- what the hooks do -----------------------------------------------------*/

/*
 * An index twice under the same name, as by min(distance), which is planned both
 * ways: what matters is whether one of them can use it.
 */
static void
add_choice(VecChoice *choice)
{
	ListCell   *cell;

	foreach(cell, explaining->choices)
	{
		VecChoice  *other = (VecChoice *) lfirst(cell);

		if (other->index != choice->index || other->table != choice->table ||
			strcmp(other->alias, choice->alias) != 0)
			continue;
		if (other->obstacle != NULL && choice->obstacle == NULL)
			*other = *choice;
		return;
	}
	explaining->choices = lappend(explaining->choices, choice);
}

/* a choice with what is known of the table alone */
static VecChoice *
make_choice(RelOptInfo *rel, RangeTblEntry *rte, Oid index, const char *obstacle)
{
	VecChoice  *choice = palloc0(sizeof(VecChoice));

	choice->table = rte->relid;
	choice->alias = pstrdup(rte->eref->aliasname);
	choice->index = index;
	choice->obstacle = obstacle;
	choice->rows = rel->rows;
	choice->selectivity = Min(rel->rows / Max(rel->tuples, 1), 1);
	return choice;
}

/*
 * vec_note_choices
 *		Note what there is to say on each index of a table that is being planned,
 *		if vecext_explain_choice() wants to know.
 */
void
vec_note_choices(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	Relation	table;
	const char *obstacle;
	bool		any = false;
	ListCell   *cell;

	if (explaining == NULL || !explaining->noting || !IS_SIMPLE_REL(rel) ||
		rte->rtekind != RTE_RELATION || rte->inh ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW))
		return;

	obstacle = IS_DUMMY_REL(rel) ? "The filter lets no row of the table through." :
		vec_why_not_ordered(root, rel, rte);
	table = table_open(rte->relid, NoLock);
	foreach(cell, RelationGetIndexList(table))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (am_index_is_ours(index))
		{
			VecChoice  *choice = make_choice(rel, rte, RelationGetRelid(index), obstacle);

			if (obstacle == NULL)
				vec_judge_index(root, rel, index, choice);
			add_choice(choice);
			any = true;
		}
		index_close(index, NoLock);
	}
	table_close(table, NoLock);
	if (!any && obstacle == NULL)
		add_choice(make_choice(rel, rte, InvalidOid,
							   "The table has no index of hnsw or ivfflat."));
}

/*
 * vec_hide_indexes
 *		Leave the planner only the one of a table's indexes that shall be tried.
 */
void
vec_hide_indexes(RelOptInfo *rel)
{
	const VecChoice *forced = explaining != NULL ? explaining->forced : NULL;
	ListCell   *cell;

	if (forced == NULL)
		return;
	foreach(cell, explaining->choices)
	{
		VecChoice  *other = (VecChoice *) lfirst(cell);
		ListCell   *item;

		if (other->table != forced->table || other->index == forced->index)
			continue;
		foreach(item, rel->indexlist)
		{
			if (lfirst_node(IndexOptInfo, item)->indexoid == other->index)
				rel->indexlist = foreach_delete_current(rel->indexlist, item);
		}
	}
}

/*--- plans -------------------------------------------------------------------*/

/* a plan; with settings, and one index tried, unless those are NULL */
static PlannedStmt *
plan_query(const SettingSet set, const VecChoice *forced)
{
	int			nest = NewGUCNestLevel();
	PlannedStmt *stmt;

	for (int i = 0; set != NULL && i < lengthof(settings); i++)
	{
		if (set[i])
			(void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET,
									 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
	explaining->forced = forced;
	stmt = pg_plan_query(copyObject(explaining->query), explaining->text,
						 CURSOR_OPT_PARALLEL_OK, NULL);
	explaining->forced = NULL;
	AtEOXact_GUC(true, nest);
	return stmt;
}

typedef struct FoundScan
{
	const PlannedStmt *stmt;
	const VecChoice *choice;
	Scan	   *scan;			/* of the table; an ordered one of the index, if any */
	bool		uses_index;
	const List *below;			/* plans of VectorBitmap, which is the scan */
} FoundScan;

/* the index scan that VectorBitmap is expected to make, or NULL */
static const IndexScan *
index_of_bitmap(const CustomScan *plan)
{
	if (plan->methods != &bitmap_scan_methods || list_length(plan->custom_plans) < 2 ||
		intVal(list_nth(plan->custom_private, BITMAP_STRATEGY)) == BITMAP_EXACT)
		return NULL;
	return lsecond_node(IndexScan, plan->custom_plans);
}

/* the index scan that a scan is or is expected to make, or NULL */
static const IndexScan *
index_scan_of(const Plan *plan)
{
	return IsA(plan, IndexScan) ? (const IndexScan *) plan :
		IsA(plan, CustomScan) ? index_of_bitmap((const CustomScan *) plan) : NULL;
}

static bool
is_scan(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
			return true;
		case T_CustomScan:
			/* else the index scan below is meant */
			return ((CustomScan *) plan)->methods != &reuse_scan_methods &&
				((CustomScan *) plan)->scan.scanrelid > 0;
		default:
			return false;
	}
}

static void
find_scan(Plan *plan, void *context)
{
	FoundScan  *found = (FoundScan *) context;
	Scan	   *scan = (Scan *) plan;
	const IndexScan *index;
	RangeTblEntry *rte;

	if (!is_scan(plan) || found->uses_index || list_member_ptr(found->below, plan))
		return;
	rte = rt_fetch(scan->scanrelid, found->stmt->rtable);
	if (rte->relid != found->choice->table ||
		strcmp(rte->eref->aliasname, found->choice->alias) != 0)
		return;
	if (IsA(plan, CustomScan))
		found->below = ((CustomScan *) plan)->custom_plans;
	index = index_scan_of(plan);
	found->uses_index = index != NULL && index->indexid == found->choice->index &&
		index->indexorderby != NIL;
	if (found->scan == NULL || found->uses_index)
		found->scan = scan;
}

/* how a plan reads the table, and whether by the index */
static FoundScan
scan_of(const PlannedStmt *stmt, const VecChoice *choice)
{
	FoundScan	found = {.stmt = stmt, .choice = choice};
	ListCell   *cell;

	vec_walk_plan(stmt->planTree, find_scan, &found);
	foreach(cell, stmt->subplans)
		vec_walk_plan((Plan *) lfirst(cell), find_scan, &found);
	return found;
}

static double
cost_of(const PlannedStmt *stmt)
{
	return fmod(stmt->planTree->total_cost, DISABLED_COST);
}

static const char *
name_of_scan(const Scan *scan)
{
	const IndexScan *index = scan != NULL ? index_scan_of((const Plan *) scan) : NULL;

	if (scan == NULL)
		return "not read";
	if (index != NULL)
		return psprintf("%s using %s", IsA(scan, IndexScan) ? "Index Scan" :
						((const CustomScan *) scan)->methods->CustomName,
						quote_identifier(get_rel_name(index->indexid)));
	switch (nodeTag(scan))
	{
		case T_SeqScan:
			return "Seq Scan";
		case T_SampleScan:
			return "Sample Scan";
		case T_IndexOnlyScan:
			return psprintf("Index Only Scan using %s",
							quote_identifier(get_rel_name(((const IndexOnlyScan *) scan)->indexid)));
		case T_BitmapHeapScan:
			return "Bitmap Heap Scan";
		case T_CustomScan:
			return pstrdup(((const CustomScan *) scan)->methods->CustomName);
		default:
			return "Tid Scan";
	}
}

/*
 * The plan with the index, and the fewest settings that make the planner take
 * it; NULL if none do.
 */
static PlannedStmt *
force_index(const VecChoice *choice, SettingSet set)
{
	PlannedStmt *stmt;
	PlannedStmt *best;

	for (int i = 0; i < lengthof(settings); i++)
	{
		const char *now = GetConfigOption(settings[i].name, true, false);

		set[i] = now != NULL && strcmp(now, settings[i].value) != 0;
	}
	best = plan_query(set, choice);
	if (!scan_of(best, choice).uses_index)
		return NULL;
	for (int i = 0; i < lengthof(settings); i++)
	{
		if (!set[i])
			continue;
		set[i] = false;
		stmt = plan_query(set, choice);
		if (scan_of(stmt, choice).uses_index)
			best = stmt;
		else
			set[i] = true;
	}
	return best;
}

/*--- the SQL function --------------------------------------------------------*/

/* the query, analyzed and rewritten; raises 42601 or 0A000 if it is no single SELECT */
static Query *
analyze_select(const char *text)
{
	List	   *statements = pg_parse_query(text);
	RawStmt    *raw;
	Oid		   *types = NULL;
	int			ntypes = 0;
	List	   *queries;
	Query	   *query;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("one statement is expected, not %d", list_length(statements))));
	raw = linitial_node(RawStmt, statements);
	if (!IsA(raw->stmt, SelectStmt) || ((SelectStmt *) raw->stmt)->intoClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("only SELECT can be explained")));
	queries = pg_analyze_and_rewrite_varparams(raw, text, &types, &ntypes, NULL);
	query = linitial_node(Query, queries);
	if (list_length(queries) != 1 || query->commandType != CMD_SELECT || query->hasModifyingCTE ||
		query->utilityStmt != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("only SELECT without data-modifying WITH can be explained")));
	return query;
}

/* SET commands, or NULL if there is none */
static char *
commands_of(const SettingSet set)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lengthof(settings); i++)
	{
		if (set[i])
			appendStringInfo(&text, "%sSET %s = %s", text.len > 0 ? "; " : "",
							 settings[i].name, settings[i].value);
	}
	return text.len > 0 ? text.data : NULL;
}

static void
put_text(Datum *value, bool *isnull, const char *text)
{
	*isnull = text == NULL;
	*value = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* verdict, reason and, where the index can be used, cost and settings */
static void
put_verdict(const VecChoice *choice, const PlannedStmt *chosen, bool used, Datum *values,
			bool *nulls)
{
	const char *verdict = used ? "used" : "unusable";
	const char *reason = used ? choice->remark : choice->obstacle;
	const PlannedStmt *forced = used ? chosen : NULL;
	SettingSet	set = {0};

	if (!used && OidIsValid(choice->index) && (reason == NULL || !enable_indexscan))
		forced = force_index(choice, set);
	if (!used && reason == NULL)
	{
		verdict = forced != NULL ? "costlier" : "unusable";
		reason = forced == NULL ?
			"It could return the table's rows in order, but no plan of the whole query makes use "
			"of that, as where another table of a join comes first." :
			psprintf("The plan chosen is estimated to cost less.  %s",
					 choice->remark ? choice->remark : "");
	}
	put_text(&values[3], &nulls[3], verdict);
	put_text(&values[4], &nulls[4], reason);
	nulls[5] = forced == NULL;
	values[5] = nulls[5] ? (Datum) 0 : Float8GetDatum(cost_of(forced));
	put_text(&values[10], &nulls[10], used || forced == NULL ? NULL : commands_of(set));
}

static void
put_row(ReturnSetInfo *result, const VecChoice *choice, const PlannedStmt *chosen)
{
	FoundScan	found = scan_of(chosen, choice);
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {0};

	values[0] = ObjectIdGetDatum(choice->table);
	put_text(&values[1], &nulls[1], choice->alias);
	nulls[2] = !OidIsValid(choice->index);
	values[2] = ObjectIdGetDatum(choice->index);
	put_verdict(choice, chosen, found.uses_index, values, nulls);
	put_text(&values[6], &nulls[6], name_of_scan(found.scan));
	values[7] = Float8GetDatum(cost_of(chosen));
	values[8] = Float8GetDatum(choice->rows);
	values[9] = Float8GetDatum(choice->selectivity);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * vecext_explain_choice(query text)
 *		A row for each index of ours on the tables of a SELECT: is it used, and
 *		why not?
 *
 * Raises what EXPLAIN would of the same query, 42601 if it is not one statement,
 * 0A000 if it is not a SELECT.
 */
VEC_SQL_FUNCTION(vecext_explain_choice)
{
	Explaining	mine = {.noting = true};
	Explaining *outer = explaining;
	PlannedStmt *chosen;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	mine.text = text_to_cstring(PG_GETARG_TEXT_PP(0));
	mine.query = analyze_select(mine.text);
	explaining = &mine;
	PG_TRY();
	{
		chosen = plan_query(NULL, NULL);
		mine.noting = false;
		check_permissions_compat(chosen);
		foreach(cell, mine.choices)
			put_row((ReturnSetInfo *) fcinfo->resultinfo, (VecChoice *) lfirst(cell), chosen);
	}
	PG_FINALLY();
	{
		explaining = outer;
	}
	PG_END_TRY();
	return (Datum) 0;
}

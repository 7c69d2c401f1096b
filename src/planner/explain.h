/*-------------------------------------------------------------------------
 *
 * explain.h
 *	  Why an index was used or not: what the planner's hooks note while a query
 *	  is planned for vecext_explain_choice().
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_EXPLAIN_H
#define VECEXT_EXPLAIN_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* an index of a table that was planned */
typedef struct VecChoice
{
	Oid			table;
	char	   *alias;
	Oid			index;
	const char *obstacle;		/* why it cannot be used; NULL: it can */
	const char *remark;			/* on its use; NULL: none */
	double		rows;			/* of the table that pass the filter */
	double		selectivity;
} VecChoice;

/* explain.c */
extern void vec_note_choices(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
extern void vec_hide_indexes(RelOptInfo *rel);

/* explain_why.c */
extern const char *vec_why_not_ordered(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
extern void vec_judge_index(PlannerInfo *root, RelOptInfo *rel, Relation index,
							VecChoice *choice);

#endif							/* VECEXT_EXPLAIN_H */

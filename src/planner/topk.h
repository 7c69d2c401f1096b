/*-------------------------------------------------------------------------
 *
 * topk.h
 *	  VectorTopK: what its planner half tells its executor half.
 *
 * custom_exprs holds the distance, one OpExpr; custom_private the integers
 * below.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_TOPK_H
#define VECEXT_TOPK_H

#include "postgres.h"

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "nodes/primnodes.h"

/* members of custom_private */
typedef enum TopkPrivate
{
	TOPK_ROWS,					/* how many rows the query asks for */
	TOPK_COLUMN_ARG,			/* which argument of the distance is the row's: 0, 1 */
	TOPK_SKIP_NULLS,			/* are rows whose distance is NULL left out: 0, 1 */
	TOPK_FIRST,					/* TOPK_NULL_FIRST and TOPK_NAN_FIRST, or'ed */
	TOPK_NPRIVATE
} TopkPrivate;

/* which rows without a distance come before all others */
#define TOPK_NULL_FIRST	1
#define TOPK_NAN_FIRST	2

/* what a query asks of a table: its first rows by a distance */
typedef struct TopkQuery
{
	OpExpr	   *distance;
	int			column_arg;		/* which argument of the distance is the row's */
	int			first;			/* as TOPK_FIRST */
	bool		skip_nulls;		/* as TOPK_SKIP_NULLS: set by topk_without_null_test() */
	double		rows;			/* LIMIT and OFFSET; 0 if known only when executed */
	bool		open;			/* nodes above may ask for more rows than "rows" */
} TopkQuery;

extern bool topk_query_of(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
						  bool expressions, TopkQuery *query);
extern bool topk_open_query_of(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
							   TopkQuery *query);
extern List *topk_without_null_test(List *clauses, TopkQuery *query);
extern List *topk_private(const TopkQuery *query);
extern Node *topk_distance(const TopkQuery *query);

extern void vec_add_topk_paths(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);

extern const CustomScanMethods topk_scan_methods;

#endif							/* VECEXT_TOPK_H */

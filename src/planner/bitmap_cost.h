/*-------------------------------------------------------------------------
 *
 * bitmap_cost.h
 *	  What each way to search a set of rows costs.
 *
 * The planner asks with the estimated size of the set, the executor with the
 * true one; the prices are the planner's in both cases.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BITMAP_COST_H
#define VECEXT_BITMAP_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"
#include "planner/topk.h"

typedef enum BitmapStrategy
{
	BITMAP_EXACT,				/* the distance of every row of the set */
	BITMAP_RESTRICTED,			/* a search of the index that returns the set's rows only */
	BITMAP_FILTERED,			/* no set as yet: a search that returns all rows */
	BITMAP_NSTRATEGIES
} BitmapStrategy;

/* vecext.bitmap_strategy: BITMAP_NSTRATEGIES leaves the choice to costs */
extern int	bitmap_strategy;

/* prices, in the planner's unit */
typedef struct BitmapCosts
{
	double		table_pages;
	double		table_rows;
	double		page_apart;		/* a page of the table, read by itself */
	double		page_in_turn;	/* and as one of many in order */
	double		row;			/* a row of the set: its filter, its distance */
	double		result;			/* a row of the result */
	double		index_first;	/* the first rows of the index, negative: there is none */
	double		index_row;		/* and each that follows */
	double		filtered;		/* its rows until those wanted have passed the conditions */
	double		rows_passing;	/* of the table, those that meet all conditions */
	double		most_filtered;	/* rows after which a search of all rows is given up */
} BitmapCosts;

/* the size of a set */
typedef struct BitmapSize
{
	double		rows;			/* about as many rows may be in it */
	double		pages;			/* on so many pages */
	double		fraction;		/* of all rows that a search cannot tell from the set's */
} BitmapSize;

extern void bitmap_costs_of(PlannerInfo *root, RelOptInfo *rel, const TopkQuery *query,
							const IndexPath *index, double wanted, bool cached,
							BitmapCosts *costs);
extern List *bitmap_costs_to_list(const BitmapCosts *costs);
extern void bitmap_costs_from_list(List *list, BitmapCosts *costs);

extern double bitmap_cost(const BitmapCosts *costs, BitmapStrategy strategy, BitmapSize size,
						  double wanted);
extern double bitmap_fair_nodes(const BitmapCosts *costs, BitmapSize size, double wanted);
extern BitmapStrategy bitmap_choose(const BitmapCosts *costs, BitmapSize size, double wanted);
extern BitmapStrategy bitmap_choose_first(BitmapCosts *costs, BitmapSize size, double wanted,
										  double index_cost, double *cost);

#endif							/* VECEXT_BITMAP_COST_H */

/*-------------------------------------------------------------------------
 *
 * am_cost.h
 *	  What costs of all plans that order by distance are made of: one place,
 *	  so that exact plans, indexes and searches within other indexes' rows can
 *	  be compared.  README.md ("Costs") has the measurements.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_COST_H
#define VECEXT_AM_COST_H

#include "compat.h"

#include "nodes/pathnodes.h"

/*
 * In units of cpu_operator_cost, which stands for 8 ns (src/types/cost.c):
 * finding a page that is in the cache takes 0.25 us, and reading bytes that are
 * in memory but in no cache of the processor 1 ns for 5.
 */
#define AM_PAGE_OPERATORS		30.0
#define AM_BYTES_PER_OPERATOR	40.0

/* no plan is so bad that this one is not worse; finite, so that sums are */
#define AM_NEVER	1e100

/* the server's prices of pages while others are in force */
typedef struct AmPrices
{
	double		seq;
	double		random;
	const struct AmPrices *outer;	/* of a query being planned around this one */
} AmPrices;

extern double am_cached_part(double pages);
extern double am_random_page_cost(Oid tablespace, double pages, double loop_count);
extern double am_seq_page_cost(Oid tablespace, double pages);
extern void am_price_cached_pages(double pages, AmPrices *saved);
extern void am_restore_prices(const AmPrices *saved);

/* cost of the first rows of an index, by its shape */
typedef double (*AmRowsCost) (const void *shape, double rows);

/* a scan in the order of distance, as its access method sees it */
typedef struct AmOrderedScan
{
	double		part;			/* of the rows that meet the conditions on filter columns */
	double		most;			/* rows that it visits at most */
	bool		complete;		/* ending there is not what the user asked for */
	bool		recheck;		/* distances are lower bounds */
	Cost		first;			/* until the first row */
	AmRowsCost	rows_cost;
	const void *shape;
} AmOrderedScan;

extern void am_never_scan(IndexPath *path, int disabled, Cost *startup, Cost *total);
extern void am_ordered_cost(PlannerInfo *root, IndexPath *path, const AmOrderedScan *scan,
							Cost *startup, Cost *total);

#endif							/* VECEXT_AM_COST_H */

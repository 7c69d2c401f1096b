/*-------------------------------------------------------------------------
 *
 * am_restrict.h
 *	  Restricting an index scan to a set of rows that somebody else knows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_RESTRICT_H
#define VECEXT_AM_RESTRICT_H

#include "compat.h"

#include "access/amapi.h"
#include "access/relscan.h"
#include "storage/itemptr.h"

/*
 * The rows a scan may return.  It belongs to the caller and must live until
 * the scan is started again or ends.
 *
 * "gave_up" is set when the scan ends although there may be rows left:
 * max_scan_tuples or memory did not allow to go on, or too few rows were
 * accepted among those that were near.  Whoever knows the set computes the
 * distances of what was not returned then.
 */
typedef struct AmRestriction
{
	/* false: never return this row; fast, raises no error */
	bool		(*accepts) (void *arg, const ItemPointerData *tid);
	void	   *arg;
	double		fraction;		/* of the table's rows that are accepted, about */

	/* what the scan did, for EXPLAIN; sums until the caller clears them */
	uint64		nodes;			/* looked at */
	uint64		pages;			/* locked */
	uint64		distances;		/* by a code or a value */
	uint64		rejected;		/* nodes and rows that are not in the set */
	bool		gave_up;
} AmRestriction;

/* of an access method: take a restriction, NULL for none */
typedef void (*AmRestrict) (IndexScanDesc scan, AmRestriction *restriction);

extern void am_register_restrict(amgettuple_function owner, AmRestrict restrict_scan);
extern bool am_restrict_scan(IndexScanDesc scan, AmRestriction *restriction);

#endif							/* VECEXT_AM_RESTRICT_H */

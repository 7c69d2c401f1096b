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
 * A scan that cannot find the nearest of them for a fair price goes through all
 * of the index, unless the caller can do better: with can_switch it sets
 * gave_up and ends; the rows returned till then are right and in order, and the
 * caller finds the others among those he knows of.  It also does where
 * max_scan_tuples or memory do not let it go on.
 */
typedef struct AmRestriction
{
	/* false: never return this row; fast, raises no error */
	bool		(*accepts) (void *arg, const ItemPointerData *tid);
	void	   *arg;
	double		fraction;		/* of the table's rows that are accepted, about */
	bool		can_switch;
	double		switch_nodes;	/* a fair price for the caller, in nodes looked at; 0: for the scan */
	bool		gave_up;		/* there may be rows that were not returned */

	/* what the scan did, for EXPLAIN; sums until the caller clears them */
	uint64		nodes;			/* looked at */
	uint64		pages;			/* locked */
	uint64		distances;		/* by a code or a value */
	uint64		rejected;		/* nodes and rows that are not in the set */
} AmRestriction;

/* of an access method: take a restriction, NULL for none */
typedef void (*AmRestrict) (IndexScanDesc scan, AmRestriction *restriction);

extern void am_register_restrict(amgettuple_function owner, AmRestrict restrict_scan);
extern bool am_restrict_scan(IndexScanDesc scan, AmRestriction *restriction);

#endif							/* VECEXT_AM_RESTRICT_H */

/*-------------------------------------------------------------------------
 *
 * am_check.h
 *	  How an access method lets itself be inspected.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_CHECK_H
#define VECEXT_AM_CHECK_H

#include "compat.h"

#include "access/amapi.h"
#include "storage/block.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

/* where findings and figures go; one call of an SQL function */
typedef struct AmReport AmReport;

typedef struct AmInspector
{
	aminsert_function owner;	/* tells an access method's indexes from others */
	const char *unique;			/* the invariant: no row is in the index twice */

	/* reports what is wrong; calls am_report_tid() or am_report_row() for each row */
	void		(*check) (Relation rel, AmReport *report);
	/* reports figures */
	void		(*stats) (Relation rel, AmReport *report);
} AmInspector;

extern void am_register_inspector(const AmInspector *inspector);

/* for the inspector: blkno is invalid where a finding has no block */
extern void am_report(AmReport *report, const char *invariant, BlockNumber blkno,
					  const char *format,...) pg_attribute_printf(4, 5);
extern void am_report_tid(AmReport *report, ItemPointer tid);
extern void am_report_row(AmReport *report, ItemPointer tid, const uint64 *keys, int nwords);
extern void am_report_stat(AmReport *report, const char *name, double value, const char *note);

/* shared by the SQL functions */
extern Oid	am_inspected_table(Oid index);
extern bool am_index_is_ours(Relation rel);
extern const AmInspector *am_find_inspector(Relation rel);
extern bool am_is_ours(Oid am);
extern void am_refuse_other_temp(Relation rel);

#endif							/* VECEXT_AM_CHECK_H */

/*-------------------------------------------------------------------------
 *
 * ivfcheck.h
 *	  What ivfcheck.c, ivfcheckrow.c and ivfstats.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_IVFCHECK_H
#define VECEXT_IVFCHECK_H

#include "am/am_check.h"
#include "ivfflat/ivf.h"

typedef struct IvfCheck
{
	Relation	rel;
	IvfIndex   *index;
	AmReport   *report;
	IvfMetaPageData *meta;
	MemoryContext temp;			/* reset after each list page */

	BlockNumber nblocks;		/* room of "claimed" */
	uint8	   *claimed;		/* by block: something of the directory names it */
	uint32	   *ids;			/* of parts, lists and the undefined; sorted at the end */
	BlockNumber *firsts;		/* of the chains of the same number */
	uint32		nids;
	uint32		room;			/* of both */

	/* scratch */
	char	   *part_page;
	char	   *list_page;
	char	   *page;
	float	   *floats;			/* dim floats each; IVF_SPACE_FLOAT */
	float	   *nav;
	float	   *origin;			/* zeros */
} IvfCheck;

/* ivfcheckrow.c: what a place holds */
extern void ivf_check_rows(IvfCheck *check, const IvfShape *shape, Page page,
						   const IvfListCopy *copy, const float *center);
extern void ivf_check_center(IvfCheck *check, const IvfListCopy *part, int place,
							 const uint8 *record, Size size);

/* ivfcheck.c */
extern void ivf_check_init(void);

/* ivfstats.c */
extern void ivf_stats(Relation rel, AmReport *report);

#endif							/* VECEXT_IVFCHECK_H */

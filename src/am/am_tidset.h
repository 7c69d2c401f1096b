/*-------------------------------------------------------------------------
 *
 * am_tidset.h
 *	  Places of rows as a set that can be asked, made from a bitmap.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_TIDSET_H
#define VECEXT_AM_TIDSET_H

#include "postgres.h"

#include "nodes/tidbitmap.h"
#include "storage/itemptr.h"

/* how large a bitmap is */
typedef struct AmTidCounts
{
	uint64		rows;			/* on pages whose rows are told */
	BlockNumber exact_pages;
	BlockNumber lossy_pages;	/* all rows of these may be in the set */
	BlockNumber blocks;			/* one more than the last page */
	OffsetNumber last_offset;	/* of any row told */
} AmTidCounts;

typedef struct AmTidSet AmTidSet;

extern AmTidCounts am_tidset_count(TIDBitmap *bitmap);
extern AmTidSet *am_tidset_create(TIDBitmap *bitmap, const AmTidCounts *counts, Size most_bytes,
								  MemoryContext context);
extern bool am_tidset_is_lossy(const AmTidSet *set);
extern bool am_tidset_has(void *set, const ItemPointerData *tid);

#endif							/* VECEXT_AM_TIDSET_H */

/*-------------------------------------------------------------------------
 *
 * bitmap_ahead.h
 *	  Hints at the rows that a scan by a bitmap comes to next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BITMAP_AHEAD_H
#define VECEXT_BITMAP_AHEAD_H

#include "compat.h"

#include "utils/relcache.h"

/* pages ahead: of which the table is asked, and whose rows are asked for */
#define AHEAD_PAGES		16
#define AHEAD_ROWS		8

/* rows of a page that are asked for, at most */
#define AHEAD_OFFSETS	8

typedef struct BitmapAheadPage
{
	BlockNumber block;
	const char *page;			/* where it was in memory; NULL if it was not */
	int			count;
	OffsetNumber offsets[AHEAD_OFFSETS];
} BitmapAheadPage;

/* a ring: pages from "first" on, of those the rows up to "rows" were asked for */
typedef struct BitmapAhead
{
	Relation	table;
	int			bytes;			/* of a row to ask for, at most */
	VecTidIterator tids;
	bool		more;
	uint32		first;
	uint32		rows;
	uint32		end;
	BitmapAheadPage pages[AHEAD_PAGES];
} BitmapAhead;

extern void bitmap_ahead_begin(BitmapAhead *ahead, Relation table, TIDBitmap *bitmap, int bytes);
extern void bitmap_ahead_of(BitmapAhead *ahead, BlockNumber block);
extern void bitmap_ahead_end(BitmapAhead *ahead);

#endif							/* VECEXT_BITMAP_AHEAD_H */

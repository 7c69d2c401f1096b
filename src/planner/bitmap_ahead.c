/*-------------------------------------------------------------------------
 *
 * bitmap_ahead.c
 *	  Hints at the rows that a scan by a bitmap comes to next.
 *
 * Rows that lie apart cost a chain of cache misses each: the table of buffers,
 * the page's header, the pointer to the row, the row; more time than the distance
 * takes.  What is next is known, so the chain is begun some pages ahead.  A page
 * that is not in the buffer pool is read ahead by the same call.
 *
 * Buffers are not pinned here: one may hold another page when it is looked at,
 * and then a hint was for nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "planner/bitmap_ahead.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"

#define CACHE_LINE 64

/*
 * bitmap_ahead_begin
 *		Begin at the first page of a bitmap, which is scanned with
 *		bitmap_ahead_of() called on each page; "bytes" of each row are read.
 *		Memory of the current context.
 */
void
bitmap_ahead_begin(BitmapAhead *ahead, Relation table, TIDBitmap *bitmap, int bytes)
{
	ahead->table = table;
	ahead->bytes = bytes;
	ahead->more = true;
	ahead->first = ahead->rows = ahead->end = 0;
	vec_tids_begin_compat(&ahead->tids, bitmap);
}

/* the next page of the bitmap into the ring, and towards the processor */
static inline bool
ask_for_page(BitmapAhead *ahead)
{
	BitmapAheadPage *page = &ahead->pages[ahead->end % AHEAD_PAGES];
	Buffer		buffer;

	if (!ahead->more || !vec_tids_next_compat(&ahead->tids))
	{
		ahead->more = false;
		return false;
	}
	page->block = ahead->tids.block;
	page->count = Max(0, Min(ahead->tids.count, AHEAD_OFFSETS));
	memcpy(page->offsets, ahead->tids.offsets, page->count * sizeof(OffsetNumber));
	page->page = NULL;
	ahead->end++;

	buffer = PrefetchBuffer(ahead->table, MAIN_FORKNUM, page->block).recent_buffer;
	if (BufferIsValid(buffer) && !BufferIsLocal(buffer))
	{
		page->page = BufferGetPage(buffer);
		__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
		__builtin_prefetch(page->page);
	}
	return true;
}

/* the rows of a page whose header and pointers are there by now */
static inline void
ask_for_rows(const BitmapAhead *ahead, const BitmapAheadPage *page)
{
	if (page->page == NULL)
		return;
	for (int i = 0; i < page->count; i++)
	{
		const ItemIdData *item = (const ItemIdData *) (page->page + SizeOfPageHeaderData) +
			(page->offsets[i] - 1);
		int			start = (int) item->lp_off;
		int			end = start + Min((int) item->lp_len, ahead->bytes);

		for (int offset = start & ~(CACHE_LINE - 1); offset < Min(end, BLCKSZ);
			 offset += CACHE_LINE)
			__builtin_prefetch(page->page + offset);
	}
}

/* forget pages up to the one the scan is at */
static inline void
pass_pages(BitmapAhead *ahead, BlockNumber block)
{
	while (ahead->first < ahead->end &&
		   ahead->pages[ahead->first % AHEAD_PAGES].block <= block)
		ahead->first++;
}

/*
 * bitmap_ahead_of
 *		The scan has come to the first row of a page: hint at what follows.
 */
void
bitmap_ahead_of(BitmapAhead *ahead, BlockNumber block)
{
	pass_pages(ahead, block);
	while (ahead->end - ahead->first < AHEAD_PAGES && ask_for_page(ahead))
		pass_pages(ahead, block);
	ahead->rows = Max(ahead->rows, ahead->first);
	while (ahead->rows < ahead->end && ahead->rows - ahead->first < AHEAD_ROWS)
		ask_for_rows(ahead, &ahead->pages[ahead->rows++ % AHEAD_PAGES]);
}

/*
 * bitmap_ahead_end
 *		Before the bitmap is freed.
 */
void
bitmap_ahead_end(BitmapAhead *ahead)
{
	vec_tids_end_compat(&ahead->tids);
}

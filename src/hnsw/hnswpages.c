/*-------------------------------------------------------------------------
 *
 * hnswpages.c
 *	  Reaching the pages of an index, checked, and quickly where it is known
 *	  which buffer held a page last.
 *
 * Nothing read from a page is trusted: a caller may index memory by what this
 * file returns, and by nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include "access/htup_details.h"
#include "utils/rel.h"

/* bytes fetched at a time */
#define CACHE_LINE			64

/*--- any page ------------------------------------------------------------*/

/* whether the header of a page is as we write it */
static bool
header_ok(Page page)
{
	const PageHeaderData *header = (const PageHeaderData *) page;

	return header->pd_special == BLCKSZ - sizeof(HnswPageOpaqueData) &&
		header->pd_lower >= HNSW_PAGE_START && header->pd_lower <= header->pd_special;
}

/* whether a page is one of ours, of that kind, 0 for any, and sound enough to be used */
static bool
page_ok(Page page, const void *arg)
{
	HnswPageKind kind = *(const HnswPageKind *) arg;
	const HnswPageOpaqueData *opaque;

	if (!header_ok(page))
		return false;
	if (kind == 0)
		return true;
	opaque = HnswPageGetOpaque(page);
	return opaque->page_id == HNSW_PAGE_ID && opaque->kind == kind;
}

/*
 * hnsw_read
 *		Pin and lock a page that must exist and be of that kind.
 *
 * mode is BUFFER_LOCK_SHARE or BUFFER_LOCK_EXCLUSIVE.  Raises XX002.
 */
Buffer
hnsw_read(Relation rel, BlockNumber blkno, int mode, HnswPageKind kind)
{
	Buffer		buffer = hnsw_read_hint(rel, blkno, mode, kind);

	if (!BufferIsValid(buffer))
		hnsw_corrupt(rel, blkno, "The page is missing or not of the kind it should be.");
	return buffer;
}

/*
 * hnsw_read_hint
 *		As hnsw_read(), for a block that only a hint names: InvalidBuffer if it
 *		is not there or something else.
 */
Buffer
hnsw_read_hint(Relation rel, BlockNumber blkno, int mode, HnswPageKind kind)
{
	return am_read_page(rel, blkno, mode, page_ok, &kind);
}

/*
 * hnsw_page_init
 *		Make a page an empty one of that kind, with "used" zero bytes in use.
 */
void
hnsw_page_init(Page page, HnswPageKind kind, Size used)
{
	Assert(used <= HNSW_PAGE_ROOM);
	PageInit(page, BLCKSZ, sizeof(HnswPageOpaqueData));
	((PageHeader) page)->pd_lower = HNSW_PAGE_START + used;
	HnswPageGetOpaque(page)->next = InvalidBlockNumber;
	HnswPageGetOpaque(page)->kind = kind;
	HnswPageGetOpaque(page)->page_id = HNSW_PAGE_ID;
}

/*
 * hnsw_slot
 *		Address of a nav slot on its page; slot < slots_per_page.
 */
uint8_t *
hnsw_slot(const HnswIndex *index, Page page, int slot)
{
	Assert(slot >= 0 && slot < index->slots_per_page);
	return HnswPageData(page) + (Size) slot * index->layout.size;
}

/*--- pages whose buffer is known -----------------------------------------*/

/*
 * hnsw_read_known
 *		As hnsw_read_hint() in share mode.
 *
 * What is in the place of a segment's page and in a known buffer was of the
 * right kind when it came there, and no page changes its kind.  So the trailer,
 * another cache line and often another page of memory, is not read again.
 */
Buffer
hnsw_read_known(HnswIndex *index, Relation rel, BlockNumber blkno, HnswPageKind kind)
{
	Buffer		buffer = am_pin_known(&index->pages, rel, blkno);

	if (BufferIsValid(buffer))
	{
		HnswPageKind check = kind == HNSW_PAGE_NAV || kind == HNSW_PAGE_REFINE ? 0 : kind;

		return am_lock_page(buffer, BUFFER_LOCK_SHARE, page_ok, &check);
	}
	buffer = hnsw_read_hint(rel, blkno, BUFFER_LOCK_SHARE, kind);
	if (BufferIsValid(buffer))
		am_remember_buffer(&index->pages, blkno, buffer);
	return buffer;
}

/*
 * hnsw_prefetch
 *		Let the processor fetch "size" bytes from "offset" on of a page's data,
 *		and what is needed to lock it, if its buffer is known.
 *
 * The buffer may hold another page by now; then this was for nothing.
 */
void
hnsw_prefetch(const HnswIndex *index, BlockNumber blkno, Size offset, Size size)
{
	const char *page = am_prefetch_page(&index->pages, blkno);

	if (page == NULL)
		return;
	page += HNSW_PAGE_START + offset;
	size = Min(size, HNSW_PAGE_ROOM - offset);
	for (Size i = 0; i < size; i += CACHE_LINE)
		__builtin_prefetch(page + i);
	__builtin_prefetch(page + size - 1);
}

/*
 * hnsw_prefetch_heads
 *		The same for what tells which nodes of a nav page may be returned: heads
 *		and keys.
 */
void
hnsw_prefetch_heads(const HnswIndex *index, BlockNumber blkno)
{
	const char *page = am_prefetch_page(&index->pages, blkno);

	if (page == NULL)
		return;
	for (int i = 0; i < index->slots_per_page; i++)
	{
		const char *slot = page + HNSW_PAGE_START + (Size) i * index->layout.size;

		__builtin_prefetch(slot);
		if (index->layout.nkeys > 0)
			__builtin_prefetch(slot + index->layout.keys_offset);
	}
}

/*
 * hnsw_prefetch_row
 *		The same for the table's page, where the executor will read the row: "tid"
 *		has SLOT_TID_SIZE bytes.
 */
void
hnsw_prefetch_row(const HnswIndex *index, const uint8_t *tid)
{
	ItemPointerData row;
	const char *page;

	memcpy(&row, tid, sizeof(row));
	page = am_prefetch_page(&index->rows, ItemPointerGetBlockNumberNoCheck(&row));
	if (page != NULL && ItemPointerGetOffsetNumberNoCheck(&row) <= MaxHeapTuplesPerPage)
		__builtin_prefetch(page + SizeOfPageHeaderData +
						   ItemPointerGetOffsetNumberNoCheck(&row) * sizeof(ItemIdData));
}

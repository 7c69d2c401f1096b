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
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* bytes fetched at a time */
#define CACHE_LINE			64

/* entries of the table of buffers: at least, and at most (8 GB of pages) */
#define MIN_BUFFERS			64
#define MAX_BUFFERS			(1024 * 1024)

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
 * Finding a page among the shared buffers costs several cache misses in the
 * server's hash table.  So it is remembered, per block, which buffer held it;
 * the server checks whether it still does (ReadRecentBuffer()).  Where the
 * buffer is known, its memory is: the processor can fetch what will be read.
 */

/*
 * hnsw_make_buffers
 *		Make, or let grow, a table of buffers for a relation.  Relations with
 *		local buffers, and those whose size is not known yet, have none.
 *
 * Lives as long as the open index.  Of a large relation blocks share entries.
 */
void
hnsw_make_buffers(HnswIndex *index, HnswBuffers *buffers, Relation rel)
{
	BlockNumber nblocks = RelationGetSmgr(rel)->smgr_cached_nblocks[MAIN_FORKNUM];
	uint32		n = buffers->last == NULL ? MIN_BUFFERS : buffers->mask + 1;

	if (RelationUsesLocalBuffers(rel) || !BlockNumberIsValid(nblocks))
		return;
	while (n < nblocks && n < MAX_BUFFERS && n < (uint32) NBuffers)
		n *= 2;
	if (buffers->last != NULL)
	{
		if (n <= buffers->mask + 1)
			return;
		index->cached.bytes -= (buffers->mask + 1) * sizeof(Buffer);
		pfree(buffers->last);
		buffers->last = NULL;
	}
	buffers->last = MemoryContextAllocZero(index->cached.context, n * sizeof(Buffer));
	buffers->mask = n - 1;
	index->cached.bytes += n * sizeof(Buffer);
}

/*
 * Pin the page in the buffer that held it last; false if it does not any more.
 *
 * ReadRecentBuffer() does not count as a use where the server chooses what to
 * evict.  So a page whose count can still rise goes the usual way.
 */
static bool
pin_known(Relation rel, BlockNumber blkno, Buffer buffer)
{
	uint32		state;

	if (!BufferIsValid(buffer))
		return false;
	state = pg_atomic_read_u32(&GetBufferDescriptor(buffer - 1)->state);
	if (BUF_STATE_GET_USAGECOUNT(state) < BM_MAX_USAGE_COUNT ||
		!ReadRecentBuffer(relation_locator_compat(rel), MAIN_FORKNUM, blkno, buffer))
		return false;

	/* what ReadBuffer() counts besides */
	pgstat_count_buffer_read(rel);
	pgstat_count_buffer_hit(rel);
	if (VacuumCostActive)
		VacuumCostBalance += VacuumCostPageHit;
	return true;
}

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
	Buffer		buffer = InvalidBuffer;

	if (index->pages.last != NULL)
		buffer = index->pages.last[blkno & index->pages.mask];
	if (pin_known(rel, blkno, buffer))
	{
		HnswPageKind check = kind == HNSW_PAGE_NAV || kind == HNSW_PAGE_REFINE ? 0 : kind;

		return am_lock_page(buffer, BUFFER_LOCK_SHARE, page_ok, &check);
	}
	buffer = hnsw_read_hint(rel, blkno, BUFFER_LOCK_SHARE, kind);
	if (BufferIsValid(buffer))
		hnsw_remember_buffer(&index->pages, blkno, buffer);
	return buffer;
}

/* start fetching what pinning and locking touches; returns the page, or NULL */
static const char *
prefetch_page(const HnswBuffers *buffers, BlockNumber blkno)
{
	Buffer		buffer;
	const char *page;

	if (buffers->last == NULL)
		return NULL;
	buffer = buffers->last[blkno & buffers->mask];
	if (!BufferIsValid(buffer))
		return NULL;
	page = BufferGetPage(buffer);
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	__builtin_prefetch(page);
	return page;
}

/*
 * hnsw_prefetch_heads
 *		The same for what tells which nodes of a nav page may be returned: heads
 *		and keys.
 */
void
hnsw_prefetch_heads(const HnswIndex *index, BlockNumber blkno)
{
	const char *page = prefetch_page(&index->pages, blkno);

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
 * hnsw_prefetch
 *		Let the processor fetch "size" bytes from "offset" on of a page's data,
 *		and what is needed to lock it, if its buffer is known.
 *
 * The buffer may hold another page by now; then this was for nothing.
 */
void
hnsw_prefetch(const HnswIndex *index, BlockNumber blkno, Size offset, Size size)
{
	const char *page = prefetch_page(&index->pages, blkno);

	if (page == NULL)
		return;
	page += HNSW_PAGE_START + offset;
	size = Min(size, HNSW_PAGE_ROOM - offset);
	for (Size i = 0; i < size; i += CACHE_LINE)
		__builtin_prefetch(page + i);
	__builtin_prefetch(page + size - 1);
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
	page = prefetch_page(&index->rows, ItemPointerGetBlockNumberNoCheck(&row));
	if (page != NULL && ItemPointerGetOffsetNumberNoCheck(&row) <= MaxHeapTuplesPerPage)
		__builtin_prefetch(page + SizeOfPageHeaderData +
						   ItemPointerGetOffsetNumberNoCheck(&row) * sizeof(ItemIdData));
}

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

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* bytes fetched at a time */
#define CACHE_LINE			64

/* entries of the table of buffers: at least, and at most (8 GB of pages) */
#define MIN_BUFFERS			64
#define MAX_BUFFERS			(1024 * 1024)

/* a page in use keeps at least so many uses, as the server counts them */
#define COUNTED_USES		2

/*--- any page ------------------------------------------------------------*/

/*
 * hnsw_corrupt
 *		Complain about a damaged page, invalid for none in particular.
 */
void
hnsw_corrupt(Relation rel, BlockNumber blkno, const char *what)
{
	if (BlockNumberIsValid(blkno))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is damaged at block %u",
						RelationGetRelationName(rel), blkno),
				 errdetail_internal("%s", what),
				 errhint("REINDEX it.")));
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is damaged", RelationGetRelationName(rel)),
			 errdetail_internal("%s", what),
			 errhint("REINDEX it.")));
}

/*
 * hnsw_block_exists
 *		Whether a relation, the index or its table, has a block.
 *
 * Blocks of an index are never taken away, so a count may be old but is not
 * too large.
 */
bool
hnsw_block_exists(Relation rel, BlockNumber blkno)
{
	BlockNumber known = RelationGetSmgr(rel)->smgr_cached_nblocks[MAIN_FORKNUM];

	if (BlockNumberIsValid(known) && blkno < known)
		return true;
	return blkno < RelationGetNumberOfBlocks(rel);
}

/* whether a page is one of ours, of that kind, and sound enough to be used */
static bool
page_ok(Page page, HnswPageKind kind)
{
	const PageHeaderData *header = (const PageHeaderData *) page;
	const HnswPageOpaqueData *opaque;

	if (header->pd_special != BLCKSZ - sizeof(HnswPageOpaqueData) ||
		header->pd_lower < HNSW_PAGE_START || header->pd_lower > header->pd_special)
		return false;
	opaque = (const HnswPageOpaqueData *) ((const char *) page + header->pd_special);
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
 * Would locking this page wait for ourselves?  Where blocks are missing or in
 * the wrong place, a page may be found in two roles at once.
 */
static bool
locked_by_me(Buffer buffer, int mode)
{
	LWLock	   *lock;

	if (BufferIsLocal(buffer))
		return false;
	lock = BufferDescriptorGetContentLock(GetBufferDescriptor(buffer - 1));
	return mode == BUFFER_LOCK_EXCLUSIVE ? LWLockHeldByMe(lock) :
		LWLockHeldByMeInMode(lock, LW_EXCLUSIVE);
}

/* lock a pinned page; InvalidBuffer, and the pin is gone, if it is not of that kind */
static Buffer
lock_pinned(Buffer buffer, int mode, HnswPageKind kind)
{
	if (locked_by_me(buffer, mode))
	{
		ReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	LockBuffer(buffer, mode);
	if (page_ok(BufferGetPage(buffer), kind))
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * hnsw_read_hint
 *		As hnsw_read(), for a block that only a hint names: InvalidBuffer if it
 *		is not there or something else.
 */
Buffer
hnsw_read_hint(Relation rel, BlockNumber blkno, int mode, HnswPageKind kind)
{
	if (!hnsw_block_exists(rel, blkno))
		return InvalidBuffer;
	return lock_pinned(ReadBuffer(rel, blkno), mode, kind);
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

/*--- pages whose buffer may be known -------------------------------------*/

/*
 * Finding a page among the shared buffers costs several cache misses in the
 * server's hash table.  A search remembers, per block, which buffer held it;
 * the server checks whether it still does (ReadRecentBuffer()).  The table is
 * addressed by the lower bits of the block number, so that of a large index
 * blocks displace each other.
 */

/*
 * hnsw_remember_buffers
 *		Make, or let grow, the table of buffers.  Temporary indexes have none.
 */
void
hnsw_remember_buffers(HnswIndex *index, Relation rel)
{
	BlockNumber nblocks = RelationGetSmgr(rel)->smgr_cached_nblocks[MAIN_FORKNUM];
	uint32		n = index->buffers == NULL ? MIN_BUFFERS : index->buffers_mask + 1;

	if (RelationUsesLocalBuffers(rel) || !BlockNumberIsValid(nblocks))
		return;
	while (n < nblocks && n < MAX_BUFFERS && n < (uint32) NBuffers)
		n *= 2;
	if (index->buffers != NULL && n <= index->buffers_mask + 1)
		return;
	if (index->buffers != NULL)
	{
		index->bytes -= (index->buffers_mask + 1) * sizeof(Buffer);
		pfree(index->buffers);
		index->buffers = NULL;
	}
	index->buffers = MemoryContextAllocZero(index->context, n * sizeof(Buffer));
	index->buffers_mask = n - 1;
	index->bytes += n * sizeof(Buffer);
}

/*
 * Pin the page in the buffer that held it last; false if it does not any more.
 *
 * ReadRecentBuffer() does not count as a use where the server chooses what to
 * evict.  So a page whose count runs low goes the usual way.
 */
static bool
pin_remembered(Relation rel, BlockNumber blkno, Buffer buffer)
{
	uint32		state;

	if (!BufferIsValid(buffer))
		return false;
	state = pg_atomic_read_u32(&GetBufferDescriptor(buffer - 1)->state);
	if (BUF_STATE_GET_USAGECOUNT(state) < COUNTED_USES ||
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
 * hnsw_read_remembered
 *		As hnsw_read_hint() in share mode.
 */
Buffer
hnsw_read_remembered(HnswIndex *index, Relation rel, BlockNumber blkno, HnswPageKind kind)
{
	Buffer	   *entry;
	Buffer		buffer;

	if (index->buffers == NULL)
		return hnsw_read_hint(rel, blkno, BUFFER_LOCK_SHARE, kind);
	entry = &index->buffers[blkno & index->buffers_mask];
	if (pin_remembered(rel, blkno, *entry))
		return lock_pinned(*entry, BUFFER_LOCK_SHARE, kind);
	buffer = hnsw_read_hint(rel, blkno, BUFFER_LOCK_SHARE, kind);
	if (BufferIsValid(buffer))
		*entry = buffer;
	return buffer;
}

/*
 * hnsw_prefetch
 *		Let the processor fetch "size" bytes from "offset" on of a page's data,
 *		and what is needed to lock and check the page, if its buffer is known.
 *
 * The buffer may hold another page by now; then this was for nothing.
 */
void
hnsw_prefetch(const HnswIndex *index, BlockNumber blkno, Size offset, Size size)
{
	Buffer		buffer;
	const char *page;

	if (index->buffers == NULL)
		return;
	buffer = index->buffers[blkno & index->buffers_mask];
	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	__builtin_prefetch(page);
	__builtin_prefetch(page + BLCKSZ - sizeof(HnswPageOpaqueData));
	size = Min(size, HNSW_PAGE_ROOM - offset);
	for (Size i = 0; i < size; i += CACHE_LINE)
		__builtin_prefetch(page + HNSW_PAGE_START + offset + i);
	__builtin_prefetch(page + HNSW_PAGE_START + offset + size - 1);
}

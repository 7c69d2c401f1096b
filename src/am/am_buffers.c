/*-------------------------------------------------------------------------
 *
 * am_buffers.c
 *	  Which buffers held an index's pages last.
 *
 * Finding a page among the shared buffers costs several cache misses in the
 * server's hash table.  So it is remembered, per block, which buffer held it;
 * the server checks whether it still does (ReadRecentBuffer()).  Where the
 * buffer is known, its memory is: the processor can fetch what will be read.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_buffers.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* entries of the table of buffers: at least, and at most (8 GB of pages) */
#define MIN_BUFFERS			64
#define MAX_BUFFERS			(1024 * 1024)

/*
 * am_make_buffers
 *		Make, or let grow, a table of buffers for a relation.  Relations with
 *		local buffers, and those whose size is not known yet, have none.
 *
 * Lives as long as the open index.  Of a large relation blocks share entries.
 */
void
am_make_buffers(AmCached *index, AmBuffers *buffers, Relation rel)
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
		index->bytes -= (buffers->mask + 1) * sizeof(Buffer);
		pfree(buffers->last);
		buffers->last = NULL;
	}
	buffers->last = MemoryContextAllocZero(index->context, n * sizeof(Buffer));
	buffers->mask = n - 1;
	index->bytes += n * sizeof(Buffer);
}

/*
 * am_pin_known
 *		Pin the page in the buffer that held it last; InvalidBuffer if it does not
 *		any more, or that is not known.
 *
 * ReadRecentBuffer() does not count as a use where the server chooses what to
 * evict.  So a page whose count can still rise goes the usual way.
 */
Buffer
am_pin_known(const AmBuffers *buffers, Relation rel, BlockNumber blkno)
{
	Buffer		buffer;
	uint32		state;

	if (buffers->last == NULL)
		return InvalidBuffer;
	buffer = buffers->last[blkno & buffers->mask];
	if (!BufferIsValid(buffer))
		return InvalidBuffer;
	state = pg_atomic_read_u32(&GetBufferDescriptor(buffer - 1)->state);
	if (BUF_STATE_GET_USAGECOUNT(state) < BM_MAX_USAGE_COUNT ||
		!ReadRecentBuffer(relation_locator_compat(rel), MAIN_FORKNUM, blkno, buffer))
		return InvalidBuffer;

	/* what ReadBuffer() counts besides */
	pgstat_count_buffer_read(rel);
	pgstat_count_buffer_hit(rel);
	if (VacuumCostActive)
		VacuumCostBalance += VacuumCostPageHit;
	return buffer;
}

/*
 * am_prefetch_page
 *		Start fetching what pinning and locking touches; returns the page, or NULL.
 *
 * The buffer may hold another page by now; then this was for nothing.
 */
const char *
am_prefetch_page(const AmBuffers *buffers, BlockNumber blkno)
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

/*-------------------------------------------------------------------------
 *
 * am_xlog.c
 *	  Changes of known bytes of pages, logged as generic WAL.
 *
 * The server's GenericXLog copies a page when it is registered, compares all of
 * it when the record is finished, and copies it back: 12 us a page, where we
 * change two hundred bytes whose place we know.  Here only those are compared.
 *
 * The record is one of the server's generic resource manager, whose redo does
 * the rest: for each block a row of fragments, offset and length (uint16 each)
 * and the bytes.  This has been its format since PostgreSQL 9.6; for a server
 * whose format is not known (VEC_GENERIC_XLOG_KNOWN in compat.h) the fragments
 * are applied to images registered with GenericXLog.  t/110 replays with
 * wal_consistency_checking, which compares every page.
 *
 * The caller holds the buffers exclusively from am_xlog_buffer() until after
 * am_xlog_finish().  Pages have the standard header, and zeros between pd_lower
 * and pd_upper.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_xlog.h"

#include "access/xloginsert.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/rel.h"

/* equal bytes that end a fragment: as many as a new one's head takes */
#define FRAGMENT_HEAD	(2 * sizeof(uint16))

/* what can be put: every byte of a page once, and some heads */
#define DELTA_ROOM		(2 * BLCKSZ)

struct AmXlog
{
	Relation	rel;
	int			nblocks;
	Buffer		buffers[MAX_GENERIC_XLOG_PAGES];
	Size		used[MAX_GENERIC_XLOG_PAGES];
	char		delta[MAX_GENERIC_XLOG_PAGES][DELTA_ROOM];
};

/* one record at a time; an error leaves nothing that matters */
static AmXlog the_record;

/*
 * am_xlog_start
 *		Begin a record; there is one at a time, and nothing happens before
 *		am_xlog_finish().
 */
AmXlog *
am_xlog_start(Relation rel)
{
	the_record.rel = rel;
	the_record.nblocks = 0;
	return &the_record;
}

/*
 * am_xlog_buffer
 *		Add a buffer, locked exclusively, that is not yet part of the record;
 *		returns its number in the record.
 */
int
am_xlog_buffer(AmXlog *xlog, Buffer buffer)
{
	if (xlog->nblocks == MAX_GENERIC_XLOG_PAGES)
		elog(ERROR, "more than %d pages in a record", MAX_GENERIC_XLOG_PAGES);
	xlog->buffers[xlog->nblocks] = buffer;
	xlog->used[xlog->nblocks] = 0;
	return xlog->nblocks++;
}

static void
add_fragment(AmXlog *xlog, int block, Size offset, const char *bytes, Size n)
{
	char	   *to = xlog->delta[block] + xlog->used[block];
	uint16		head[2] = {(uint16) offset, (uint16) n};

	if (xlog->used[block] + sizeof(head) + n > DELTA_ROOM)
		elog(ERROR, "too many changes of a page");
	memcpy(to, head, sizeof(head));
	memcpy(to + sizeof(head), bytes, n);
	xlog->used[block] += sizeof(head) + n;
}

/* from i on, the first byte that differs, or n */
static Size
next_difference(const char *a, const char *b, Size i, Size n)
{
	for (; i + sizeof(uint64) <= n; i += sizeof(uint64))
	{
		uint64		wa;
		uint64		wb;

		memcpy(&wa, a + i, sizeof(wa));
		memcpy(&wb, b + i, sizeof(wb));
		if (wa != wb)
			break;
	}
	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/*
 * am_xlog_put
 *		The n bytes at "at", on the page of the block, shall become "bytes".
 *		The page does not change yet.
 */
void
am_xlog_put(AmXlog *xlog, int block, const void *at, const void *bytes, Size n)
{
	const char *page = BufferGetPage(xlog->buffers[block]);
	const char *was = at;
	const char *becomes = bytes;
	Size		i = next_difference(was, becomes, 0, n);

	while (i < n)
	{
		Size		start = i;
		Size		end;		/* of what differs */

		do
		{
			while (i < n && was[i] != becomes[i])
				i++;
			end = i;
			i = next_difference(was, becomes, i, n);
		}
		while (i < n && i - end <= FRAGMENT_HEAD);
		add_fragment(xlog, block, (Size) (was - page) + start, becomes + start, end - start);
	}
}

/*
 * am_xlog_cover
 *		The page's bytes up to "end", an address on it, shall count as used.
 */
void
am_xlog_cover(AmXlog *xlog, int block, const void *end)
{
	const PageHeaderData *page = (PageHeader) BufferGetPage(xlog->buffers[block]);
	LocationIndex lower = (LocationIndex) ((const char *) end - (const char *) page);

	if (page->pd_lower < lower)
		am_xlog_put(xlog, block, &page->pd_lower, &lower, sizeof(lower));
}

static bool
is_empty(const AmXlog *xlog)
{
	for (int i = 0; i < xlog->nblocks; i++)
	{
		if (xlog->used[i] > 0)
			return false;
	}
	return true;
}

static void
apply(char *page, const char *delta, Size used)
{
	const char *end = delta + used;

	while (delta < end)
	{
		uint16		head[2];

		memcpy(head, delta, sizeof(head));
		memcpy(page + head[0], delta + sizeof(head), head[1]);
		delta += sizeof(head) + head[1];
	}
}

#ifdef VEC_GENERIC_XLOG_KNOWN

static void
log_blocks(AmXlog *xlog)
{
	XLogRecPtr	end;

	XLogBeginInsert();
	for (int i = 0; i < xlog->nblocks; i++)
	{
		XLogRegisterBuffer((uint8) i, xlog->buffers[i], REGBUF_STANDARD);
		XLogRegisterBufData((uint8) i, xlog->delta[i], (uint32) xlog->used[i]);
	}
	end = XLogInsert(RM_GENERIC_ID, 0);
	for (int i = 0; i < xlog->nblocks; i++)
		PageSetLSN(BufferGetPage(xlog->buffers[i]), end);
}

/*
 * am_xlog_finish
 *		Make the changes, if any, and log them if the relation needs it.  The
 *		buffers stay locked.
 */
void
am_xlog_finish(AmXlog *xlog)
{
	if (is_empty(xlog))
		return;
	START_CRIT_SECTION();
	for (int i = 0; i < xlog->nblocks; i++)
	{
		apply(BufferGetPage(xlog->buffers[i]), xlog->delta[i], xlog->used[i]);
		MarkBufferDirty(xlog->buffers[i]);
	}
	if (RelationNeedsWAL(xlog->rel))
		log_blocks(xlog);
	END_CRIT_SECTION();
}

#else

void
am_xlog_finish(AmXlog *xlog)
{
	GenericXLogState *state;

	if (is_empty(xlog))
		return;
	state = GenericXLogStart(xlog->rel);
	for (int i = 0; i < xlog->nblocks; i++)
		apply(GenericXLogRegisterBuffer(state, xlog->buffers[i], 0), xlog->delta[i],
			  xlog->used[i]);
	GenericXLogFinish(state);
}

#endif							/* VEC_GENERIC_XLOG_KNOWN */

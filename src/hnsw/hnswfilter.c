/*-------------------------------------------------------------------------
 *
 * hnswfilter.c
 *	  Filter pages: the keys of a segment's nodes, by column (README.md, H12).
 *
 * An entry is a hint in one direction: it may promise what its node does not
 * hold, never the reverse.  So it is written with or before what it stands for,
 * and taken back after.  The caller holds the node's nav page exclusively, which
 * keeps others from the entry; the page's own lock, from its other entries.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include "am/am_xlog.h"

/*--- places --------------------------------------------------------------*/

static int
columns(const HnswIndex *index)
{
	return index->params.nwords - 1;
}

/* the word of a node in a column */
static uint64 *
entry_word(const HnswIndex *index, Page page, int column, int entry)
{
	return (uint64 *) (void *) HnswPageData(page) + (Size) column * index->filter_entries + entry;
}

/* the bits of a kind that a node's block has */
static uint32 *
entry_bits(const HnswIndex *index, Page page, int kind, int block)
{
	return (uint32 *) (void *) entry_word(index, page, columns(index), 0) +
		(Size) kind * (index->filter_entries / HNSW_FILTER_BLOCK) + block;
}

static const uint8_t *
entries_end(const HnswIndex *index, Page page)
{
	return (const uint8_t *) entry_bits(index, page, HNSW_FILTER_NULLS + columns(index), 0);
}

/* the filter page of a node, locked exclusively; there are filter columns */
static Buffer
lock_entry(Relation rel, const HnswIndex *index, uint32 node, int *entry)
{
	BlockNumber blkno;

	if (!hnsw_locate_filter(index, node, &blkno, entry))
		elog(ERROR, "node %u has no filter entry", node);
	return hnsw_read(rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_FILTER);
}

/*--- writing -------------------------------------------------------------*/

/* the bits of a kind with that of one node as said */
static uint32
with_bit(uint32 bits, int entry, bool value)
{
	uint32		bit = (uint32) 1 << (entry % HNSW_FILTER_BLOCK);

	return value ? bits | bit : bits & ~bit;
}

static void
put_bit(const HnswIndex *index, AmXlog *xlog, int block, Page page, int kind, int entry,
		bool value)
{
	uint32	   *at = entry_bits(index, page, kind, entry / HNSW_FILTER_BLOCK);
	uint32		bits = with_bit(*at, entry, value);

	am_xlog_put(xlog, block, at, &bits, sizeof(bits));
}

/*
 * hnsw_filter_fill
 *		An entry of a page that nobody else sees and that is logged as a whole.
 */
void
hnsw_filter_fill(const HnswIndex *index, Page page, int entry, const uint64 *keys, bool mixed)
{
	int			block = entry / HNSW_FILTER_BLOCK;
	uint32	   *bits;

	hnsw_page_cover(page, entries_end(index, page));
	for (int i = 0; i < columns(index); i++)
	{
		*entry_word(index, page, i, entry) = keys[i + 1];
		bits = entry_bits(index, page, HNSW_FILTER_NULLS + i, block);
		*bits = with_bit(*bits, entry, (keys[0] >> i & 1) != 0);
	}
	bits = entry_bits(index, page, HNSW_FILTER_USED, block);
	*bits = with_bit(*bits, entry, true);
	bits = entry_bits(index, page, HNSW_FILTER_MIXED, block);
	*bits = with_bit(*bits, entry, mixed);
}

/*
 * hnsw_filter_put
 *		Let a node's entry be these keys, in the record "xlog"; the caller
 *		releases the buffer when the record is finished.
 */
Buffer
hnsw_filter_put(Relation rel, const HnswIndex *index, AmXlog *xlog, uint32 node,
				const uint64 *keys)
{
	int			entry;
	Buffer		buffer = lock_entry(rel, index, node, &entry);
	Page		page = BufferGetPage(buffer);
	int			block = am_xlog_buffer(xlog, buffer);

	am_xlog_cover(xlog, block, entries_end(index, page));
	for (int i = 0; i < columns(index); i++)
	{
		am_xlog_put(xlog, block, entry_word(index, page, i, entry), &keys[i + 1],
					sizeof(uint64));
		put_bit(index, xlog, block, page, HNSW_FILTER_NULLS + i, entry,
				(keys[0] >> i & 1) != 0);
	}
	put_bit(index, xlog, block, page, HNSW_FILTER_USED, entry, true);
	put_bit(index, xlog, block, page, HNSW_FILTER_MIXED, entry, false);
	return buffer;
}

/* one bit of an entry, in a record of its own */
static void
set_bit(Relation rel, const HnswIndex *index, uint32 node, int kind, bool value)
{
	AmXlog	   *xlog = am_xlog_start(rel);
	int			entry;
	Buffer		buffer = lock_entry(rel, index, node, &entry);
	int			block = am_xlog_buffer(xlog, buffer);

	am_xlog_cover(xlog, block, entries_end(index, BufferGetPage(buffer)));
	put_bit(index, xlog, block, BufferGetPage(buffer), kind, entry, value);
	am_xlog_finish(xlog);
	UnlockReleaseBuffer(buffer);
}

/*
 * hnsw_filter_narrow
 *		A node is no longer mixed: after its slot says so.
 */
void
hnsw_filter_narrow(Relation rel, const HnswIndex *index, uint32 node, const uint64 *keys)
{
	AmXlog	   *xlog = am_xlog_start(rel);
	Buffer		buffer = hnsw_filter_put(rel, index, xlog, node, keys);

	am_xlog_finish(xlog);
	UnlockReleaseBuffer(buffer);
}

/*
 * hnsw_filter_widen
 *		A node will be mixed: before its slot says so.
 */
void
hnsw_filter_widen(Relation rel, const HnswIndex *index, uint32 node)
{
	set_bit(rel, index, node, HNSW_FILTER_MIXED, true);
}

/*
 * hnsw_filter_clear
 *		A node's slot is not in use any more.
 */
void
hnsw_filter_clear(Relation rel, const HnswIndex *index, uint32 node)
{
	set_bit(rel, index, node, HNSW_FILTER_USED, false);
}

/*--- reading -------------------------------------------------------------*/

/*
 * hnsw_filter_holds
 *		Whether an entry promises all that a LIVE node has.
 */
bool
hnsw_filter_holds(const HnswIndex *index, Page page, int entry, const uint64 *keys, bool mixed)
{
	int			block = entry / HNSW_FILTER_BLOCK;
	uint32		bit = (uint32) 1 << (entry % HNSW_FILTER_BLOCK);

	if ((*entry_bits(index, page, HNSW_FILTER_USED, block) & bit) == 0)
		return false;
	if ((*entry_bits(index, page, HNSW_FILTER_MIXED, block) & bit) != 0)
		return true;
	for (int i = 0; i < columns(index); i++)
	{
		bool		isnull = (*entry_bits(index, page, HNSW_FILTER_NULLS + i, block) & bit) != 0;

		if (isnull != ((keys[0] >> i & 1) != 0) ||
			*entry_word(index, page, i, entry) != keys[i + 1])
			return false;
	}
	return !mixed;
}

/*
 * hnsw_filter_match
 *		Bits of the nodes of a block of a filter page that may meet the conditions.
 */
uint32
hnsw_filter_match(const HnswIndex *index, Page page, const FilterQuery *query, int block)
{
	uint32		used = *entry_bits(index, page, HNSW_FILTER_USED, block);
	uint32		mixed = *entry_bits(index, page, HNSW_FILTER_MIXED, block);

	if ((used & ~mixed) != 0)
		mixed |= filter_may_block(query, entry_word(index, page, 0, block * HNSW_FILTER_BLOCK),
								  (int) index->filter_entries,
								  entry_bits(index, page, HNSW_FILTER_NULLS, block),
								  (int) (index->filter_entries / HNSW_FILTER_BLOCK));
	return used & mixed;
}

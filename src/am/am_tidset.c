/*-------------------------------------------------------------------------
 *
 * am_tidset.c
 *	  Places of rows as a set that can be asked, made from a bitmap.
 *
 * The server's bitmaps can be iterated and nothing else.  Here a page is found
 * by a hash table of numbers, without a chain, and its rows are bits of as many
 * words as the highest of them needs: 8 to 16 bytes for a page in the table,
 * and 8 to 40 for its rows, which is no more than the bitmap itself takes, and
 * that is bounded by work_mem.
 *
 * Pages whose rows the bitmap does not tell are bits of another array, over all
 * pages of the table.  Where memory does not suffice for that, or for the rest,
 * one bit stands for 2, 4, ... pages: rows of these must be checked anyway.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "am/am_tidset.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#define WORD_BITS	64

typedef struct TidSetSlot
{
	BlockNumber block;			/* InvalidBlockNumber: free */
	uint32		index;			/* of its words, times width */
} TidSetSlot;

struct AmTidSet
{
	TidSetSlot *slots;			/* NULL if all pages are lossy */
	uint32		mask;			/* number of slots, a power of 2, minus 1 */
	int			width;			/* words for a page */
	uint64	   *words;
	uint32		used;
	uint64	   *lossy;			/* a bit for 2^shift pages; NULL if there are none */
	BlockNumber blocks;			/* pages that have a bit */
	int			shift;
};

/*
 * am_tidset_count
 *		How large is a bitmap?
 */
AmTidCounts
am_tidset_count(TIDBitmap *bitmap)
{
	AmTidCounts counts = {0};
	VecTidIterator tids;

	vec_tids_begin_compat(&tids, bitmap);
	while (vec_tids_next_compat(&tids))
	{
		CHECK_FOR_INTERRUPTS();
		counts.blocks = tids.block + 1; /* they come in order */
		if (tids.count < 0)
		{
			counts.lossy_pages++;
			continue;
		}
		counts.exact_pages++;
		counts.rows += (uint64) tids.count;
		if (tids.count > 0)
			counts.last_offset = Max(counts.last_offset, tids.offsets[tids.count - 1]);
	}
	vec_tids_end_compat(&tids);
	return counts;
}

/* where a page is, or would be */
static inline uint32
find_slot(const AmTidSet *set, BlockNumber block)
{
	uint32		i = murmurhash32(block) & set->mask;

	while (set->slots[i].block != block && set->slots[i].block != InvalidBlockNumber)
		i = (i + 1) & set->mask;
	return i;
}

static void
add_page(AmTidSet *set, const VecTidIterator *tids)
{
	TidSetSlot *slot = &set->slots[find_slot(set, tids->block)];
	uint64	   *words;

	slot->block = tids->block;
	slot->index = set->used++;
	words = set->words + (Size) slot->index * set->width;
	for (int i = 0; i < tids->count; i++)
		words[tids->offsets[i] / WORD_BITS] |= UINT64CONST(1) << tids->offsets[i] % WORD_BITS;
}

static void
add_lossy(AmTidSet *set, BlockNumber block)
{
	block >>= set->shift;
	set->lossy[block / WORD_BITS] |= UINT64CONST(1) << block % WORD_BITS;
}

/* room for pages whose rows are told, if "bytes" suffice for it; how many are left */
static Size
make_exact(AmTidSet *set, const AmTidCounts *counts, Size bytes, MemoryContext context)
{
	uint32		slots;
	Size		needed;

	if (counts->exact_pages >= UINT32_MAX / 4)
		return bytes;
	slots = pg_nextpower2_32(Max(counts->exact_pages + counts->exact_pages / 3, 16));
	set->width = counts->last_offset / WORD_BITS + 1;
	needed = add_size(mul_size(slots, sizeof(TidSetSlot)),
					  mul_size(Max(counts->exact_pages, 1), set->width * sizeof(uint64)));
	if (needed > bytes)
		return bytes;

	set->slots = MemoryContextAllocHuge(context, mul_size(slots, sizeof(TidSetSlot)));
	memset(set->slots, 0xFF, slots * sizeof(TidSetSlot));
	StaticAssertStmt(InvalidBlockNumber == 0xFFFFFFFF, "free slots are filled with ones");
	set->mask = slots - 1;
	set->words = MemoryContextAllocExtended(context,
											Max(counts->exact_pages, 1) * (Size) set->width *
											sizeof(uint64),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	return bytes - needed;
}

/* room for pages whose rows are not told, or are forgotten */
static void
make_lossy(AmTidSet *set, const AmTidCounts *counts, Size bytes, MemoryContext context)
{
	Size		words;

	set->blocks = counts->blocks;
	for (set->shift = 0;; set->shift++)
	{
		words = ((Size) set->blocks >> set->shift) / WORD_BITS + 1;
		if (words * sizeof(uint64) <= bytes || words == 1)
			break;
	}
	set->lossy = MemoryContextAllocExtended(context, words * sizeof(uint64),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * am_tidset_create
 *		The set of a bitmap's rows, whose counts are given, in no more than about
 *		most_bytes of memory of the context.
 *
 * Where that is not enough, it has more rows than the bitmap.
 */
AmTidSet *
am_tidset_create(TIDBitmap *bitmap, const AmTidCounts *counts, Size most_bytes,
				 MemoryContext context)
{
	AmTidSet   *set = MemoryContextAllocZero(context, sizeof(AmTidSet));
	VecTidIterator tids;
	Size		left = make_exact(set, counts, most_bytes, context);

	if (set->slots == NULL || counts->lossy_pages > 0)
		make_lossy(set, counts, Max(left, most_bytes / 8), context);

	vec_tids_begin_compat(&tids, bitmap);
	while (vec_tids_next_compat(&tids))
	{
		CHECK_FOR_INTERRUPTS();
		if (tids.count < 0 || set->slots == NULL)
			add_lossy(set, tids.block);
		else
			add_page(set, &tids);
	}
	vec_tids_end_compat(&tids);
	return set;
}

/*
 * am_tidset_is_lossy
 *		May it have rows that are not in the bitmap, or of which that is not sure?
 */
bool
am_tidset_is_lossy(const AmTidSet *set)
{
	return set->lossy != NULL;
}

/*
 * am_tidset_has
 *		Is a place in the set?  Any place may be asked for.
 */
bool
am_tidset_has(void *arg, const ItemPointerData *tid)
{
	const AmTidSet *set = arg;
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);

	if (set->slots != NULL && block != InvalidBlockNumber)
	{
		const TidSetSlot *slot = &set->slots[find_slot(set, block)];

		if (slot->block == block && offset / WORD_BITS < set->width &&
			(set->words[(Size) slot->index * set->width + offset / WORD_BITS] >>
			 offset % WORD_BITS & 1) != 0)
			return true;
	}
	if (set->lossy == NULL || block >= set->blocks)
		return false;
	block >>= set->shift;
	return (set->lossy[block / WORD_BITS] >> block % WORD_BITS & 1) != 0;
}

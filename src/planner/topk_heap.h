/*-------------------------------------------------------------------------
 *
 * topk_heap.h
 *	  The k first rows in the order of a distance, kept while rows stream by.
 *
 * A binary heap with the last of the kept rows on top, which the next row has
 * to beat.  Distances are stored as unsigned integers of the same order, so
 * that NaN and NULL need no branch; equal ones are ordered by the row's place,
 * which makes the result independent of the order of arrival.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_TOPK_HEAP_H
#define VECEXT_TOPK_HEAP_H

#include "postgres.h"

#include <math.h>

#include "storage/itemptr.h"

typedef struct TopkEntry
{
	uint64		key;			/* topk_key() of the distance */
	uint64		place;			/* topk_place() of the row */
} TopkEntry;

typedef struct TopkHeap
{
	TopkEntry  *entries;		/* room for capacity of them */
	int			count;
	int			capacity;		/* k, at least 1 */
	uint64		worst;			/* a key above this cannot enter */
	TopkEntry	floor;			/* nor can this entry and those before it */
} TopkHeap;

/* keys of no number, before all of them and after */
#define TOPK_KEY_NULL_FIRST	UINT64CONST(0)
#define TOPK_KEY_NAN_FIRST	UINT64CONST(1)
#define TOPK_KEY_NAN_LAST	(PG_UINT64_MAX - 1)
#define TOPK_KEY_NULL_LAST	PG_UINT64_MAX

/* before all rows: none is at offset 0 of a page */
#define TOPK_ENTRY_FIRST	((TopkEntry) {0, 0})

/* float8's btree order, ascending, as unsigned integers; NaN has the given one */
static inline uint64
topk_key(double distance, uint64 nan_key)
{
	uint64		bits;

	if (unlikely(isnan(distance)))
		return nan_key;
	distance += 0.0;			/* -0 equals 0 */
	memcpy(&bits, &distance, sizeof(bits));
	return bits ^ ((bits >> 63) != 0 ? PG_UINT64_MAX : UINT64CONST(1) << 63);
}

static inline uint64
topk_place(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
		ItemPointerGetOffsetNumberNoCheck(tid);
}

static inline void
topk_place_to_tid(uint64 place, ItemPointerData *tid)
{
	ItemPointerSet(tid, (BlockNumber) (place >> 16), (OffsetNumber) (place & 0xFFFF));
}

static inline bool
topk_before(const TopkEntry *a, const TopkEntry *b)
{
	return a->key < b->key || (a->key == b->key && a->place < b->place);
}

/* empty it; no key above "worst" will enter, and nothing up to "floor" */
static inline void
topk_heap_reset(TopkHeap *heap, TopkEntry floor, uint64 worst)
{
	heap->count = 0;
	heap->floor = floor;
	heap->worst = worst;
}

/* put an entry where the top was, among the first n */
static inline void
topk_sift_down(TopkEntry *entries, int n, TopkEntry entry)
{
	int			hole = 0;

	for (int child = 1; child < n; child = 2 * hole + 1)
	{
		if (child + 1 < n && topk_before(&entries[child], &entries[child + 1]))
			child++;
		if (!topk_before(&entry, &entries[child]))
			break;
		entries[hole] = entries[child];
		hole = child;
	}
	entries[hole] = entry;
}

static inline void
topk_sift_up(TopkEntry *entries, int hole, TopkEntry entry)
{
	while (hole > 0)
	{
		int			parent = (hole - 1) / 2;

		if (!topk_before(&entries[parent], &entry))
			break;
		entries[hole] = entries[parent];
		hole = parent;
	}
	entries[hole] = entry;
}

/* a row streams by; most calls end at the first comparison */
static inline void
topk_heap_offer(TopkHeap *heap, uint64 key, const ItemPointerData *tid)
{
	TopkEntry	entry;

	if (key > heap->worst)
		return;
	entry.key = key;
	entry.place = topk_place(tid);
	if (!topk_before(&heap->floor, &entry))
		return;
	if (heap->count < heap->capacity)
		topk_sift_up(heap->entries, heap->count++, entry);
	else if (topk_before(&entry, &heap->entries[0]))
		topk_sift_down(heap->entries, heap->count, entry);
	if (heap->count == heap->capacity)
		heap->worst = heap->entries[0].key;
}

/* turn the heap into an array, first row first (heapsort) */
static inline void
topk_heap_sort(TopkHeap *heap)
{
	for (int n = heap->count - 1; n > 0; n--)
	{
		TopkEntry	last = heap->entries[n];

		heap->entries[n] = heap->entries[0];
		topk_sift_down(heap->entries, n, last);
	}
}

#endif							/* VECEXT_TOPK_HEAP_H */

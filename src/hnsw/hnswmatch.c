/*-------------------------------------------------------------------------
 *
 * hnswmatch.c
 *	  Which nodes may meet a scan's conditions, from the filter pages, and the
 *	  nearest of them by their codes (README.md, "Restricted scans").
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "hnsw/hnswscan.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

/* nodes fetched ahead */
#define NODES_AHEAD		6

/* of the nodes measured, put in order at first */
#define FIRST_ORDERED	64

#define ST_SORT			sort_results
#define ST_ELEMENT_TYPE	SearchResult
#define ST_COMPARE(a, b)	((a)->distance < (b)->distance ? -1 : (a)->distance > (b)->distance)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/*--- the set of nodes ----------------------------------------------------*/

/* the nodes of a block of 32, from "node" on */
static void
add_block(HnswMatches *matches, uint32 node, uint32 bits)
{
	uint64	   *words = matches->bits + node / 64;

	words[0] |= (uint64) bits << (node % 64);
	if (node % 64 > 32)
		words[1] |= (uint64) bits >> (64 - node % 64);
	matches->n += (uint32) pg_popcount32(bits);
}

/* the nodes of a filter page, from "node" on, of which there are n */
static void
match_page(HnswScan *so, BlockNumber blkno, uint32 node, uint32 n)
{
	HnswIndex  *index = so->index;
	Buffer		buffer = hnsw_read_known(index, so->rel, blkno, HNSW_PAGE_FILTER);

	if (!BufferIsValid(buffer))
		hnsw_corrupt(so->rel, blkno, "The page is missing or not of the kind it should be.");
	so->query->npages++;
	for (uint32 done = 0; done < n; done += HNSW_FILTER_BLOCK)
	{
		uint32		bits = hnsw_filter_match(index, BufferGetPage(buffer), so->filter,
											 (int) (done / HNSW_FILTER_BLOCK));

		if (n - done < HNSW_FILTER_BLOCK)
			bits &= ((uint32) 1 << (n - done)) - 1;
		if (bits != 0)
			add_block(so->matches, node + done, bits);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * hnsw_find_matches
 *		Make so->matches, unless it is there, or there are no conditions on filter
 *		columns, or memory does not suffice.
 *
 * A node that becomes LIVE later, or gets a row with other keys, is of no
 * concern: that row is younger than the scan.  Takes one share lock at a time.
 * Raises XX002.
 */
void
hnsw_find_matches(HnswScan *so)
{
	HnswIndex  *index = so->index;
	uint32		limit = hnsw_node_limit(index);
	Size		bytes = ((Size) limit / 64 + 2) * sizeof(uint64);

	if (so->matches != NULL || so->filter == NULL || bytes > so->memory)
		return;
	so->matches = MemoryContextAllocZero(so->query_context, sizeof(HnswMatches));
	so->matches->limit = limit;
	so->matches->bits = MemoryContextAllocExtended(so->query_context, bytes,
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 s = 0; s < index->nsegments; s++)
	{
		HnswSegment segment = index->segments[s];
		uint32		nodes = segment.nnav * (uint32) index->slots_per_page;
		BlockNumber blkno = segment.start + segment.nnav +
			hnsw_refine_blocks(index, segment.nnav);

		for (uint32 done = 0; done < nodes; done += index->filter_entries)
		{
			CHECK_FOR_INTERRUPTS();
			match_page(so, blkno++, segment.first_node + done,
					   Min(nodes - done, index->filter_entries));
		}
	}
}

/*
 * hnsw_next_match
 *		The first node of the set from "node" on, or LINK_NONE.
 */
uint32
hnsw_next_match(const HnswMatches *matches, uint32 node)
{
	uint32		nwords = matches->limit / 64 + 1;
	uint32		i = node / 64;
	uint64		word;

	if (node >= matches->limit)
		return LINK_NONE;
	word = matches->bits[i] & (PG_UINT64_MAX << (node % 64));
	while (word == 0)
	{
		if (++i >= nwords)
			return LINK_NONE;
		word = matches->bits[i];
	}
	node = i * 64 + (uint32) pg_rightmost_one_pos64(word);
	return node < matches->limit ? node : LINK_NONE;
}

/*--- the nearest of them -------------------------------------------------*/

/* what is read of a node to measure it will be needed */
static void
fetch_ahead(const HnswScan *so, uint32 node)
{
	const SlotLayout *layout = &so->index->layout;
	BlockNumber blkno;
	int			slot;

	if (node == LINK_NONE || !hnsw_locate(so->index, node, &blkno, &slot))
		return;
	hnsw_prefetch(so->index, blkno, (Size) slot * layout->size, sizeof(NavSlotHead));
	hnsw_prefetch(so->index, blkno, (Size) slot * layout->size + layout->code_offset,
				  layout->size - layout->code_offset);
}

/*
 * A node's place among the results, if it is LIVE, meets the conditions and has a
 * distance: others are left to the sweep, which looks at what was not returned.
 */
static void
measure_node(HnswScan *so, uint32 node, const uint8_t *slot)
{
	const SlotLayout *layout = &so->index->layout;
	const NavSlotHead *head = slot_head(slot);
	SearchResult *result = &so->measured[so->nmeasured];

	so->nswept++;
	if (head->state != SLOT_LIVE || head->nlinks == 0 || !hnsw_accepts(so->query, slot))
		return;
	result->distance = hnsw_code_distance(so->query, slot + layout->code_offset);
	so->ndistances++;
	if (!(result->distance < INFINITY))
		return;
	result->id = node;
	result->generation = head->generation;
	memcpy(result->tid, head->tid, SLOT_TID_SIZE);
	so->nmeasured++;
}

/*
 * hnsw_measure_matches
 *		Distances of all of so->matches by their codes; false if there is no
 *		memory for so many.
 */
bool
hnsw_measure_matches(HnswScan *so)
{
	HnswIndex  *index = so->index;
	uint32		ahead = hnsw_next_match(so->matches, 0);
	Buffer		buffer = InvalidBuffer;
	BlockNumber locked = InvalidBlockNumber;

	if ((Size) so->matches->n * sizeof(SearchResult) > so->memory)
		return false;
	so->measured = MemoryContextAllocHuge(so->query_context,
										  mul_size(so->matches->n + 1, sizeof(SearchResult)));
	so->nmeasured = so->nordered = 0;
	for (int i = 0; i < NODES_AHEAD && ahead != LINK_NONE; i++)
	{
		fetch_ahead(so, ahead);
		ahead = hnsw_next_match(so->matches, ahead + 1);
	}
	for (uint32 node = hnsw_next_match(so->matches, 0); node != LINK_NONE;
		 node = hnsw_next_match(so->matches, node + 1))
	{
		BlockNumber blkno;
		int			slot;

		fetch_ahead(so, ahead);
		ahead = ahead == LINK_NONE ? ahead : hnsw_next_match(so->matches, ahead + 1);
		if (!hnsw_locate(index, node, &blkno, &slot))
			elog(ERROR, "there is no node %u", node);
		if (blkno != locked)
		{
			if (BufferIsValid(buffer))
				UnlockReleaseBuffer(buffer);
			CHECK_FOR_INTERRUPTS();
			buffer = hnsw_read_known(index, so->rel, blkno, HNSW_PAGE_NAV);
			if (!BufferIsValid(buffer))
				hnsw_corrupt(so->rel, blkno,
							 "The page is missing or not of the kind it should be.");
			so->query->npages++;
			locked = blkno;
		}
		measure_node(so, node, hnsw_slot(index, BufferGetPage(buffer), slot));
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
	return true;
}

/* move the k nearest of n to the front, in any order */
static void
select_nearest(SearchResult *results, int n, int k)
{
	int			low = 0;
	int			high = n - 1;

	while (low < high)
	{
		float		pivot = results[low + (high - low) / 2].distance;
		int			i = low;
		int			j = high;

		while (i <= j)
		{
			while (results[i].distance < pivot)
				i++;
			while (results[j].distance > pivot)
				j--;
			if (i <= j)
			{
				SearchResult swap = results[i];

				results[i++] = results[j];
				results[j--] = swap;
			}
		}
		if (k - 1 <= j)
			high = j;
		else if (k - 1 >= i)
			low = i;
		else
			return;
	}
}

/*
 * hnsw_order_measured
 *		Let the nearest "wanted" of the nodes measured be in order at the front,
 *		if there are so many; returns how many are.
 */
int
hnsw_order_measured(HnswScan *so, int wanted)
{
	SearchResult *rest = so->measured + so->nordered;
	int			n = so->nmeasured - so->nordered;
	int			part = Max(FIRST_ORDERED, wanted - so->nordered);

	if (so->nordered >= wanted)
		return so->nordered;
	if (n > part)
		select_nearest(rest, n, part);
	part = Min(n, part);
	sort_results(rest, (size_t) part);
	so->nordered += part;
	return so->nordered;
}

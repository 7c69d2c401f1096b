/*-------------------------------------------------------------------------
 *
 * hnswsweep.c
 *	  The pass over all nodes that completes a scan.
 *
 * Links are hints (H4), so a search may miss nodes, and it is no way to return
 * most of a table.  The sweep reads every nav page once, and of the nodes not
 * yet returned keeps the nearest that memory has room for.  If that is not all,
 * it is done again for those behind the last one returned.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "hnsw/hnswscan.h"
#include "miscadmin.h"

/* LIVE nodes of one nav page; no slot is smaller than 64 bytes */
#define MAX_PAGE_NODES	(BLCKSZ / 64)

/* pages whose heads are fetched ahead */
#define PAGES_AHEAD		3

/* nodes that are put in order at first */
#define FIRST_SORTED	1000

/* may this node have a row to be returned, as far as is known without its page? */
static bool
is_match(const HnswScan *so, uint32 node)
{
	const HnswMatches *matches = so->matches;

	return matches == NULL ||
		(node < matches->limit && (matches->bits[node / 64] >> (node % 64) & 1) != 0);
}

/* copy the LIVE nodes of a nav page */
static int
read_nodes(HnswScan *so, BlockNumber blkno, HnswFound *nodes)
{
	HnswIndex  *index = so->index;
	Buffer		buffer = hnsw_read_known(index, so->rel, blkno, HNSW_PAGE_NAV);
	uint32		first = hnsw_node_at(index, blkno, 0);
	Page		page;
	int			n = 0;

	if (!BufferIsValid(buffer))
		hnsw_corrupt(so->rel, blkno, "The page is missing or not of the kind it should be.");
	page = BufferGetPage(buffer);
	so->query->npages++;
	for (int slot = 0; slot < index->slots_per_page && n < MAX_PAGE_NODES; slot++)
	{
		const NavSlotHead *head = slot_head(hnsw_slot(index, page, slot));

		if (!is_match(so, first + (uint32) slot) || head->state != SLOT_LIVE)
			continue;
		so->nswept++;
		if (so->restricted && !hnsw_accepts(so->query, (const uint8_t *) head))
			continue;
		nodes[n].node = first + (uint32) slot;
		nodes[n].generation = head->generation;
		nodes[n].distance = 0;
		n++;
	}
	UnlockReleaseBuffer(buffer);
	return n;
}

/* the distances of the nodes of a page */
static void
measure_nodes(HnswScan *so, HnswFound *nodes, int n)
{
	RefineResult results[MAX_PAGE_NODES];
	uint32		ids[MAX_PAGE_NODES];

	for (int i = 0; i < n; i++)
		ids[i] = nodes[i].node;
	hnsw_refine_many(so->query, ids, n, results);
	for (int i = 0; i < n; i++)
		nodes[i].distance = so->recheck ? results[i].bound : results[i].distance;
}

/* may this node be returned in this phase? */
static bool
in_range(const HnswScan *so, const HnswFound *node)
{
	if (so->has_last && hnsw_found_cmp(node, &so->last) <= 0)
		return false;
	return so->phase != HNSW_SCAN_LATE || !so->has_bound ||
		hnsw_found_cmp(node, &so->bound) <= 0;
}

/* keep the nearest: a heap with the farthest on top */
static void
sift_down(HnswFound *heap, int n, int i)
{
	HnswFound	moved = heap[i];

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && hnsw_found_cmp(&heap[child + 1], &heap[child]) > 0)
			child++;
		if (hnsw_found_cmp(&heap[child], &moved) <= 0)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moved;
}

static void
keep_nearest(HnswScan *so, const HnswFound *node, int capacity)
{
	if (so->nfound < capacity)
	{
		hnsw_scan_room(so, so->nfound + 1);
		so->found[so->nfound++] = *node;
		if (so->nfound == capacity)
		{
			for (int i = capacity / 2 - 1; i >= 0; i--)
				sift_down(so->found, capacity, i);
		}
		return;
	}
	so->complete = false;
	if (hnsw_found_cmp(node, &so->found[0]) < 0)
	{
		so->found[0] = *node;
		sift_down(so->found, capacity, 0);
	}
}

/* take the nodes of one page into the batch; false if there is no need to go on */
static bool
sweep_page(HnswScan *so, BlockNumber blkno, int capacity)
{
	HnswFound	nodes[MAX_PAGE_NODES];
	int			n = read_nodes(so, blkno, nodes);

	if (!so->constant)
	{
		measure_nodes(so, nodes, n);
		so->ndistances += (uint64) n;
	}
	for (int i = 0; i < n; i++)
	{
		if (so->constant)
		{
			/* in order of nodes anyway: stop when there is no more room */
			if (nodes[i].node < so->sweep_node)
				continue;
			if (so->nfound == capacity)
			{
				so->complete = false;
				return false;
			}
			so->sweep_node = nodes[i].node + 1;
		}
		if (so->constant)
			nodes[i].distance = hnsw_scan_distance(so, nodes[i].node);
		if (so->constant || (in_range(so, &nodes[i]) && !hnsw_scan_seen(so, &nodes[i])))
			keep_nearest(so, &nodes[i], capacity);
	}
	return true;
}

/* nodes a pass may keep */
static int
sweep_capacity(const HnswScan *so)
{
	int64		capacity = Max(so->memory / sizeof(HnswFound), 64);

	capacity = Min(capacity, hnsw_node_limit(so->index));
	capacity = Min(capacity, INT_MAX / 2);
	if (!so->constant || so->mode == HNSW_ITERATIVE_OFF)
		capacity = Min(capacity, so->max_tuples - so->returned);
	return (int) Max(capacity, 1);
}

/* move the k nearest of n to the front, in any order */
static void
select_nearest(HnswFound *found, int n, int k)
{
	int			low = 0;
	int			high = n - 1;

	while (low < high)
	{
		HnswFound	pivot = found[low + (high - low) / 2];
		int			i = low;
		int			j = high;

		while (i <= j)
		{
			while (hnsw_found_cmp(&found[i], &pivot) < 0)
				i++;
			while (hnsw_found_cmp(&found[j], &pivot) > 0)
				j--;
			if (i <= j)
			{
				HnswFound	swap = found[i];

				found[i++] = found[j];
				found[j--] = swap;
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
 * hnsw_sweep_sort
 *		Put the next part of a batch in order that is not yet, behind
 *		so->nready, and make it ready; most scans end long before the last.
 */
void
hnsw_sweep_sort(HnswScan *so)
{
	HnswFound  *rest = so->found + so->nready;
	int			n = so->nfound - so->nready;
	int			part = Max(FIRST_SORTED, so->nready);

	if (n > part)
		select_nearest(rest, n, part);
	part = Min(n, part);
	hnsw_scan_sort(rest, part);
	so->nready += part;
}

/*
 * hnsw_sweep
 *		Make the next batch of the sweep: the nearest nodes behind so->last that
 *		no search returned; in the late phase, none behind so->bound.
 *
 * Sets so->complete if there are no more.  Takes one share lock at a time.
 * Raises XX002 for damaged pages.
 */
void
hnsw_sweep(HnswScan *so)
{
	HnswIndex  *index = so->index;
	int			capacity = sweep_capacity(so);
	uint32		nsegments = index->nsegments;

	so->nfound = 0;
	so->next = 0;
	so->complete = true;
	hnsw_find_matches(so);
	for (uint32 i = 0; i < nsegments; i++)
	{
		for (uint32 page = 0; page < index->segments[i].nnav; page++)
		{
			uint32		end = index->segments[i].first_node +
				(page + 1) * (uint32) index->slots_per_page;

			CHECK_FOR_INTERRUPTS();
			if (so->constant && end <= so->sweep_node)
				continue;
			if (so->matches != NULL)
			{
				/* pages without a match are not read */
				uint32		next = hnsw_next_match(so->matches,
												   end - (uint32) index->slots_per_page);

				if (next == LINK_NONE)
					goto done;
				if (next >= end)
				{
					page += (next - end) / (uint32) index->slots_per_page;
					continue;
				}
			}
			if (so->matches == NULL && page + PAGES_AHEAD < index->segments[i].nnav)
				hnsw_prefetch_heads(index, index->segments[i].start + page + PAGES_AHEAD);
			if (!sweep_page(so, index->segments[i].start + page, capacity))
				goto done;
		}
	}
done:
	so->nready = 0;
	hnsw_sweep_sort(so);
}

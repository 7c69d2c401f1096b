/*-------------------------------------------------------------------------
 *
 * hnswreach.c
 *	  Nodes that searches cannot reach: the part of vacuum that finds them and
 *	  links them again.
 *
 * Repair reads every list once.  If memory suffices, it keeps them, and the
 * graph is walked from where searches start: the entry slot, or without one the
 * nodes with upper slots.  A LIVE node that is not met gets a link from one that
 * is.  If memory does not suffice, only nodes that no list names are found.
 *
 * Insert does not knowingly drop the last link to a node (hnswlink.c); but it
 * knows only the lists it met, links may change meanwhile, and a crash may come
 * between a node and the links to it.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include <math.h>

#include "commands/vacuum.h"
#include "utils/memutils.h"

#define ATTEMPTS		3
#define MAX_PASSES		4
#define MAX_STEPS		64		/* of the walk to a place for an isolated node */

/*--- what was read -------------------------------------------------------*/

/*
 * hnsw_reach_init
 *		Memory for the lists of all nodes, if that is at most so many bytes.
 */
void
hnsw_reach_init(HnswVacuum *vacuum, Size memory)
{
	Size		nodes = hnsw_node_limit(vacuum->index);
	Size		each = sizeof(uint32) * ((Size) vacuum->index->layout.links + 1);

	vacuum->lists = NULL;
	if (nodes > memory / each)
		return;
	vacuum->lists = MemoryContextAllocHuge(vacuum->context, nodes * (each - sizeof(uint32)) + 1);
	vacuum->queue = MemoryContextAllocHuge(vacuum->context, nodes * sizeof(uint32) + 1);
	memset(vacuum->lists, 0xff, nodes * (each - sizeof(uint32)));
}

/*
 * hnsw_note_links
 *		Keep the lists of a page, or else note who is on them.
 */
void
hnsw_note_links(HnswVacuum *vacuum, uint32 first_node, Page copy)
{
	HnswIndex  *index = vacuum->index;
	Size		most = (Size) index->layout.links;

	for (int i = 0; i < index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(index, copy, i);
		const uint32 *links = slot_links(&index->layout, slot);
		uint32		node = first_node + (uint32) i;

		if (!slot_ok(&index->layout, slot) || slot_head(slot)->state != SLOT_LIVE)
			continue;
		if (vacuum->lists == NULL)
		{
			for (int j = 0; j < slot_head(slot)->nlinks; j++)
				hnsw_set_bit(vacuum, vacuum->linked, links[j]);
		}
		else if (node < vacuum->last)
			memcpy(vacuum->lists + node * most, links, sizeof(uint32) * slot_head(slot)->nlinks);
	}
}

/* a LIVE node has been reached, perhaps again */
static void
reach(HnswVacuum *vacuum, uint32 node)
{
	if (!hnsw_bit(vacuum, vacuum->live, node) || hnsw_bit(vacuum, vacuum->linked, node))
		return;
	hnsw_set_bit(vacuum, vacuum->linked, node);
	vacuum->queue[vacuum->nreached++] = node;
}

/*
 * hnsw_add_start
 *		Searches may start from this node, unless they have an entry slot.
 */
void
hnsw_add_start(HnswVacuum *vacuum, uint32 node)
{
	if (vacuum->lists != NULL && vacuum->index->nentries == 0)
		reach(vacuum, node);
}

/* the nodes of the entry slots */
static void
start_from_entry(HnswVacuum *vacuum)
{
	HnswIndex  *index = vacuum->index;

	for (int slot = 0; slot < index->nentries; slot++)
	{
		const uint8_t *entry = hnsw_entry(index, slot);
		int			n = entry_count(index->layout.ngroups, entry, HNSW_PAGE_ROOM);

		for (int i = 0; i < n; i++)
			reach(vacuum, entry_links(entry)[i]);
	}
}

/* from all that was reached, on */
static void
walk(HnswVacuum *vacuum)
{
	Size		most = (Size) vacuum->index->layout.links;

	while (vacuum->nwalked < vacuum->nreached)
	{
		const uint32 *links = vacuum->lists + vacuum->queue[vacuum->nwalked++] * most;

		for (Size i = 0; i < most; i++)
			reach(vacuum, links[i]);
	}
}

/* without lists everything counts as reached that is alive */
static bool
is_reached(const HnswVacuum *vacuum, uint32 node)
{
	return vacuum->lists == NULL || hnsw_bit(vacuum, vacuum->linked, node);
}

/*--- linking again -------------------------------------------------------*/

/* copy one nav slot; false if the node is not LIVE */
static bool
read_slot(HnswVacuum *vacuum, uint32 node, uint8_t *image)
{
	HnswIndex  *index = vacuum->index;
	BlockNumber blkno;
	int			place;
	Buffer		buffer;

	if (!hnsw_locate(index, node, &blkno, &place))
		return false;
	buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	memcpy(image, hnsw_slot(index, BufferGetPage(buffer), place), index->layout.size);
	UnlockReleaseBuffer(buffer);
	return slot_ok(&index->layout, image) && slot_head(image)->state == SLOT_LIVE;
}

/* store an image with a new version; false if the slot has changed since */
static bool
write_slot(HnswVacuum *vacuum, uint32 node, uint8_t *image)
{
	HnswIndex  *index = vacuum->index;
	BlockNumber blkno;
	int			place;
	Buffer		buffer;
	AmXlog	   *xlog;
	bool		stored;

	if (!hnsw_locate(index, node, &blkno, &place))
		return false;
	((NavSlotHead *) (void *) image)->version++;
	buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_NAV);
	xlog = am_xlog_start(vacuum->rel);
	am_xlog_buffer(xlog, buffer);
	stored = hnsw_image_store_links(&index->layout, xlog,
									hnsw_slot(index, BufferGetPage(buffer), place), image);
	am_xlog_finish(xlog);
	UnlockReleaseBuffer(buffer);
	if (stored && vacuum->lists != NULL && node < vacuum->last)
		memcpy(vacuum->lists + (Size) node * (Size) index->layout.links,
			   slot_links(&index->layout, image), sizeof(uint32) * slot_head(image)->nlinks);
	return stored;
}

/* links of a slot to nodes that can be reached, nearest first; returns how many */
static int
rank_links(HnswVacuum *vacuum, const uint8_t *slot, SearchCandidate *ranked)
{
	const SlotLayout *layout = &vacuum->index->layout;
	int			n = 0;

	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		HnswCopy   *copy = hnsw_fetch_copy(vacuum, &vacuum->navs, slot_links(layout, slot)[i]);

		if (copy == NULL || copy->state != SLOT_LIVE || !is_reached(vacuum, copy->id))
			continue;
		ranked[n].id = slot_links(layout, slot)[i];
		ranked[n++].distance = hnsw_pair_distance(vacuum->index, vacuum->rel,
												  slot + layout->code_offset, copy->code);
	}
	hnsw_sort_candidates(ranked, n);
	return n;
}

/*
 * Link "node" from "from".  With force, the farthest link of a full list gives
 * way, and becomes one of the node's own, so that it is not cut off itself.
 */
static bool
attach(HnswVacuum *vacuum, uint32 from, uint32 node, bool force)
{
	const SlotLayout *layout = &vacuum->index->layout;
	uint8_t    *image = palloc(layout->size);
	uint8_t    *own = palloc(layout->size);

	for (int attempt = 0; attempt < ATTEMPTS; attempt++)
	{
		SearchCandidate ranked[VEC_SCAN_MAX_LINKS];
		int			place;

		if (!read_slot(vacuum, from, image))
			return false;
		if (hnsw_find_link(layout, image, node) >= 0)
			return true;
		place = hnsw_find_place(layout, image);
		if (place < 0)
		{
			int			n = force ? rank_links(vacuum, image, ranked) : 0;
			int			own_place;

			if (n == 0 || !read_slot(vacuum, node, own))
				return false;
			place = hnsw_find_link(layout, image, ranked[n - 1].id);
			if (hnsw_find_link(layout, own, ranked[n - 1].id) < 0)
			{
				own_place = hnsw_find_place(layout, own);
				vacuum->cut |= own_place < 0;
				hnsw_set_from(vacuum, own);
				hnsw_put_link(vacuum, own, own_place < 0 ? layout->links - 1 : own_place,
						 ranked[n - 1].id);
				if (!write_slot(vacuum, node, own))
					continue;
			}
		}
		hnsw_set_from(vacuum, image);
		hnsw_put_link(vacuum, image, place, node);
		if (write_slot(vacuum, from, image))
			return true;
	}
	return false;
}

/* walk from a node that is reached to one near a code */
static uint32
walk_towards(HnswVacuum *vacuum, uint32 self, const uint8_t *code)
{
	HnswIndex  *index = vacuum->index;
	uint32		at = vacuum->nreached > 0 ? vacuum->queue[0] : vacuum->any_live;
	float		best = INFINITY;

	for (int step = 0; step < MAX_STEPS; step++)
	{
		uint32		links[VEC_SCAN_MAX_LINKS];
		HnswCopy   *copy = hnsw_fetch_copy(vacuum, &vacuum->navs, at);
		uint32		from = at;
		int			n;

		if (copy == NULL)
			break;
		n = copy->nlinks;
		memcpy(links, copy->links, sizeof(uint32) * (Size) n);
		for (int i = 0; i < n; i++)
		{
			float		distance;

			copy = hnsw_fetch_copy(vacuum, &vacuum->navs, links[i]);
			if (copy == NULL || links[i] == self || copy->state != SLOT_LIVE)
				continue;
			distance = hnsw_pair_distance(index, vacuum->rel, code, copy->code);
			if (distance < best)
			{
				best = distance;
				at = links[i];
			}
		}
		if (at == from)
			break;
	}
	return at;
}

/* links for a node that has none: those of a node near it, and that itself */
static bool
link_isolated(HnswVacuum *vacuum, uint32 node, uint32 near, uint8_t *image)
{
	const SlotLayout *layout = &vacuum->index->layout;
	HnswChoice	choice;

	hnsw_start_choice(&choice, vacuum, &vacuum->navs, node, image + layout->code_offset,
					  layout->links);
	hnsw_add_candidate(&choice, near);
	hnsw_add_walk(&choice, near);
	hnsw_gather(&choice);
	hnsw_choose_links(&choice);
	hnsw_image_set_links(vacuum, image, &choice);
	((NavSlotHead *) (void *) image)->version--;	/* write_slot() counts */
	return choice.nlinks > 0 && write_slot(vacuum, node, image);
}

/* whether any link of a slot leads to a LIVE node */
static bool
has_links(HnswVacuum *vacuum, const uint8_t *slot)
{
	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		HnswCopy   *copy = hnsw_fetch_copy(vacuum, &vacuum->navs,
										   slot_links(&vacuum->index->layout, slot)[i]);

		if (copy != NULL && copy->state == SLOT_LIVE)
			return true;
	}
	return false;
}

/*
 * Give a LIVE node a link from the nearest of its own links that has room, or
 * from the nearest; where none of them is reached, from a node near it.
 */
static void
relink(HnswVacuum *vacuum, uint32 node)
{
	HnswIndex  *index = vacuum->index;
	uint8_t    *image = palloc(index->layout.size);
	SearchCandidate ranked[VEC_SCAN_MAX_LINKS];
	bool		done = false;
	int			n;

	if (!read_slot(vacuum, node, image) || hnsw_is_apart(index, slot_head(image)))
		return;
	n = rank_links(vacuum, image, ranked);
	if (n == 0)
	{
		ranked[0].id = walk_towards(vacuum, node, image + index->layout.code_offset);
		if (ranked[0].id == LINK_NONE || ranked[0].id == node)
			return;
		n = 1;
		if (!has_links(vacuum, image) && link_isolated(vacuum, node, ranked[0].id, image))
			n = Max(rank_links(vacuum, image, ranked), 1);
	}
	for (int i = 0; i < n && !done; i++)
		done = attach(vacuum, ranked[i].id, node, false);
	for (int i = 0; i < n && !done; i++)
		done = attach(vacuum, ranked[i].id, node, true);
}

/* link every LIVE node of the round that was not reached */
static void
relink_all(HnswVacuum *vacuum)
{
	for (uint32 node = vacuum->first; node < vacuum->last; node++)
	{
		MemoryContext old;

		if (!hnsw_bit(vacuum, vacuum->live, node) || hnsw_bit(vacuum, vacuum->linked, node))
			continue;
		vacuum_delay_point_vacuum_compat();
		old = MemoryContextSwitchTo(vacuum->temp);
		relink(vacuum, node);
		MemoryContextSwitchTo(old);
		MemoryContextReset(vacuum->temp);
		if (vacuum->lists != NULL)
		{
			reach(vacuum, node);
			walk(vacuum);
		}
	}
}

/*
 * hnsw_relink
 *		Link every LIVE node of the round that was not reached.
 *
 * Again when a full list has lost a link for it: where lists are short that may
 * have been the way to others.  Takes one page lock at a time.
 */
void
hnsw_relink(HnswVacuum *vacuum)
{
	uint32		nstarts;

	if (vacuum->lists == NULL)
	{
		relink_all(vacuum);
		return;
	}
	start_from_entry(vacuum);
	nstarts = vacuum->nreached;
	for (int pass = 0; pass < MAX_PASSES; pass++)
	{
		vacuum->cut = false;
		walk(vacuum);
		relink_all(vacuum);
		if (!vacuum->cut)
			break;
		memset(vacuum->linked, 0, (vacuum->last - vacuum->first) / 8 + 1);
		vacuum->nreached = 0;
		vacuum->nwalked = 0;
		for (uint32 i = 0; i < nstarts; i++)
			reach(vacuum, vacuum->queue[i]);
	}
}

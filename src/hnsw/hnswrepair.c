/*-------------------------------------------------------------------------
 *
 * hnswrepair.c
 *	  Links past DEAD nodes: the part of vacuum that knows distances.
 *
 * A node that links to DEAD ones keeps its live links as they are, and fills
 * the places of the dead with live nodes those link to, chosen as an insert
 * chooses: nearest first, none that is nearer to a link already there than to
 * the node.  Where dead nodes lead to dead ones only, the walk goes on through
 * them.  Nothing is searched from the entry point, so the cost is that of the
 * neighborhood.
 *
 * All is computed from copies, without locks.  A list is stored only if the
 * slot is still the one copied; after a few vain attempts the dead links are
 * dropped under the lock, which needs no distance.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define ATTEMPTS		3

/*--- nav slots -----------------------------------------------------------*/

/*
 * hnsw_put_link
 *		Write a link with its sketch into an image of a nav slot; vacuum->from
 *		was made for that slot.
 */
void
hnsw_put_link(HnswVacuum *vacuum, uint8_t *slot, int place, uint32 id)
{
	HnswIndex  *index = vacuum->index;
	const uint8_t *code = slot + index->layout.code_offset;
	SketchEdge	edge;
	HnswCopy   *copy;

	memset(&edge, 0, sizeof(edge));
	if (index->layout.ngroups > 0)
	{
		copy = hnsw_fetch_copy(vacuum, &vacuum->navs, id);
		if (copy == NULL)
			return;
		sketch_encode(index->model, vacuum->from, hnsw_copy_coords(vacuum, copy),
					  nav_edge(index->model, index->layout.nav_bits, code, copy->code), &edge);
	}
	slot_set_link(&index->layout, slot, place, id, &edge);
}

/*
 * hnsw_set_from
 *		Make vacuum->from the sketched coordinates of a slot's own code.
 */
void
hnsw_set_from(HnswVacuum *vacuum, const uint8_t *slot)
{
	HnswIndex  *index = vacuum->index;

	if (index->layout.ngroups == 0)
		return;
	nav_decode(index->model, index->layout.nav_bits, slot + index->layout.code_offset,
			   vacuum->nav);
	sketch_project(index->model, vacuum->nav, vacuum->from);
}

/*
 * hnsw_find_link
 *		The place of a link to "id" in a nav slot, or -1.
 */
int
hnsw_find_link(const SlotLayout *layout, const uint8_t *slot, uint32 id)
{
	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		if (slot_links(layout, slot)[i] == id)
			return i;
	}
	return -1;
}

/*
 * hnsw_find_place
 *		A place for a link: one that leads nowhere or behind the last; -1 if full.
 */
int
hnsw_find_place(const SlotLayout *layout, const uint8_t *slot)
{
	int			place = hnsw_find_link(layout, slot, LINK_NONE);

	if (place < 0 && slot_head(slot)->nlinks < layout->links)
		place = slot_head(slot)->nlinks;
	return place;
}

/* remove from an image the links that are not in the list, or twice in the slot */
static void
clear_others(HnswVacuum *vacuum, uint8_t *slot, const HnswChoice *kept)
{
	const SlotLayout *layout = &vacuum->index->layout;
	NavSlotHead *head = (NavSlotHead *) (void *) slot;

	for (int i = 0; i < head->nlinks; i++)
	{
		uint32		id = slot_links(layout, slot)[i];

		if (id != LINK_NONE && (!hnsw_is_chosen(kept, id) || hnsw_find_link(layout, slot, id) < i))
			slot_clear_link(layout, slot, i);
	}
}

/*
 * hnsw_image_set_links
 *		Give an image of a nav slot the links of a choice; those it has stay in
 *		place.  Counts the version.
 */
void
hnsw_image_set_links(HnswVacuum *vacuum, uint8_t *slot, const HnswChoice *choice)
{
	const SlotLayout *layout = &vacuum->index->layout;
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	bool		first = true;

	clear_others(vacuum, slot, choice);
	for (int i = 0; i < choice->nlinks; i++)
	{
		int			place;

		if (hnsw_find_link(layout, slot, choice->links[i]) >= 0)
			continue;
		place = hnsw_find_place(layout, slot);
		if (place < 0)
			break;
		if (first)
			hnsw_set_from(vacuum, slot);
		first = false;
		hnsw_put_link(vacuum, slot, place, choice->links[i]);
	}
	while (head->nlinks > 0 && slot_links(layout, slot)[head->nlinks - 1] == LINK_NONE)
		head->nlinks--;
	head->version++;
}

/* repair an image of a LIVE slot; true if it changed */
static bool
repair_slot(HnswVacuum *vacuum, uint32 node, uint8_t *slot)
{
	const SlotLayout *layout = &vacuum->index->layout;
	HnswChoice		choice;

	hnsw_start_choice(&choice, vacuum, &vacuum->navs, node, slot + layout->code_offset,
				 layout->links);
	if (hnsw_split_links(&choice, slot_links(layout, slot), slot_head(slot)->nlinks) == 0)
		return false;
	if (choice.nlinks < hnsw_enough_links(layout))
	{
		hnsw_gather(&choice);
		hnsw_choose_links(&choice);
	}
	hnsw_image_set_links(vacuum, slot, &choice);
	return true;
}

/*
 * hnsw_image_store_links
 *		Make the links of a slot, on the record's only page, those of an image
 *		taken from it.
 *
 * False if the slot has changed since; rows are not compared, for they change
 * without a new version.
 */
bool
hnsw_image_store_links(const SlotLayout *layout, AmXlog *xlog, const uint8_t *slot,
					   const uint8_t *image)
{
	const NavSlotHead *from = slot_head(image);
	NavSlotHead head = *slot_head(slot);

	if (head.state != SLOT_LIVE || head.generation != from->generation ||
		(uint16) (head.version + 1) != from->version)
		return false;
	head.nlinks = from->nlinks;
	head.version = from->version;
	am_xlog_put(xlog, 0, slot, &head, sizeof(head));
	am_xlog_put(xlog, 0, slot + layout->links_offset, image + layout->links_offset,
				layout->code_offset - layout->links_offset);
	return true;
}

/* without distances: remove links that lead to nothing alive */
static void
drop_links(HnswVacuum *vacuum, AmXlog *xlog, const uint8_t *slot)
{
	const SlotLayout *layout = &vacuum->index->layout;
	uint8_t    *image;
	NavSlotHead *head;

	if (slot_head(slot)->state != SLOT_LIVE || !slot_ok(layout, slot))
		return;
	image = palloc(layout->code_offset);
	memcpy(image, slot, layout->code_offset);
	head = (NavSlotHead *) (void *) image;
	for (int i = 0; i < head->nlinks; i++)
	{
		uint32		id = slot_links(layout, slot)[i];

		if (id != LINK_NONE && hnsw_bit(vacuum, vacuum->dead, id))
			slot_clear_link(layout, image, i);
	}
	head->version++;
	am_xlog_put(xlog, 0, slot, image, layout->code_offset);
	pfree(image);
}

/* store the changed slots of a page; true if all could be, or had to be dropped */
static bool
store_page(HnswVacuum *vacuum, BlockNumber blkno, Page copy, const bool *changed, bool force)
{
	HnswIndex  *index = vacuum->index;
	Buffer		buffer = hnsw_vacuum_read(vacuum->rel, vacuum->strategy, blkno,
										  BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_NAV);
	AmXlog	   *xlog = am_xlog_start(vacuum->rel);
	bool		all = true;

	am_xlog_buffer(xlog, buffer);
	for (int i = 0; i < index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(index, BufferGetPage(buffer), i);

		if (!changed[i] ||
			hnsw_image_store_links(&index->layout, xlog, slot, hnsw_slot(index, copy, i)))
			continue;
		if (force)
			drop_links(vacuum, xlog, slot);
		else
			all = false;
	}
	am_xlog_finish(xlog);
	UnlockReleaseBuffer(buffer);
	return all;
}

/* copy a nav page under a share lock */
static void
copy_page(HnswVacuum *vacuum, BlockNumber blkno, Page copy)
{
	Buffer		buffer = hnsw_vacuum_read(vacuum->rel, vacuum->strategy, blkno,
										  BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);

	memcpy(copy, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
}

/*
 * hnsw_repair_page
 *		Repair the links of the LIVE nodes of a nav page, and note where links
 *		lead.  Takes one page lock at a time.
 */
void
hnsw_repair_page(HnswVacuum *vacuum, BlockNumber blkno, uint32 first_node)
{
	HnswIndex  *index = vacuum->index;
	MemoryContext old = MemoryContextSwitchTo(vacuum->temp);
	Page		copy = palloc(BLCKSZ);
	bool	   *changed = palloc(sizeof(bool) * (Size) index->slots_per_page);

	for (int attempt = 1; attempt <= ATTEMPTS; attempt++)
	{
		bool		any = false;

		copy_page(vacuum, blkno, copy);
		for (int i = 0; i < index->slots_per_page; i++)
		{
			uint8_t    *slot = hnsw_slot(index, copy, i);

			changed[i] = slot_ok(&index->layout, slot) &&
				slot_head(slot)->state == SLOT_LIVE &&
				repair_slot(vacuum, first_node + (uint32) i, slot);
			any |= changed[i];
		}
		if (!any || store_page(vacuum, blkno, copy, changed, attempt == ATTEMPTS))
			break;
	}
	hnsw_note_links(vacuum, first_node, copy);
	MemoryContextSwitchTo(old);
}

/*--- upper slots ---------------------------------------------------------*/

/* give an image of an upper slot links that live; true if it changed */
static bool
repair_upper(HnswVacuum *vacuum, uint32 upper, UpperSlotHead *head)
{
	const SlotLayout *layout = &vacuum->index->layout;
	uint32	   *links = (uint32 *) (void *) (head + 1);
	HnswChoice		choice;

	hnsw_start_choice(&choice, vacuum, &vacuum->uppers, upper,
				 (const uint8_t *) head + layout->upper_code_offset, layout->upper_links);
	choice.level = head->level;
	if (hnsw_split_links(&choice, links, head->nlinks) == 0)
		return false;
	hnsw_gather(&choice);
	hnsw_choose_links(&choice);
	memset(links, 0, sizeof(uint32) * (Size) layout->upper_links);
	memcpy(links, choice.links, sizeof(uint32) * (Size) choice.nlinks);
	head->nlinks = (uint8) choice.nlinks;
	return true;
}

/* store the changed upper slots of a page, unless an insert was faster */
static void
store_uppers(HnswVacuum *vacuum, BlockNumber blkno, Page before, Page after)
{
	HnswIndex  *index = vacuum->index;
	Size		size = index->layout.upper_code_offset;
	Buffer		buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_UPPER);
	AmXlog	   *xlog = am_xlog_start(vacuum->rel);

	am_xlog_buffer(xlog, buffer);
	for (int i = 0; i < index->uppers_per_page; i++)
	{
		const UpperSlotHead *head = hnsw_upper_slot(index, BufferGetPage(buffer), i);

		if (memcmp(head, hnsw_upper_slot(index, before, i), size) == 0)
			am_xlog_put(xlog, 0, head, hnsw_upper_slot(index, after, i), size);
	}
	am_xlog_finish(xlog);
	UnlockReleaseBuffer(buffer);
}

/*
 * hnsw_repair_upper_page
 *		The same for a page of upper slots; other pages are passed over.
 *
 * A slot that an insert changes meanwhile keeps its dead links: they lead to
 * a free upper slot, and are passed over.
 */
void
hnsw_repair_upper_page(HnswVacuum *vacuum, BlockNumber blkno)
{
	HnswIndex  *index = vacuum->index;
	uint32		first = blkno * (uint32) index->uppers_per_page;
	Buffer		buffer = hnsw_read_hint(vacuum->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_UPPER);
	MemoryContext old;
	Page		before;
	Page		after;
	bool		any = false;

	if (!BufferIsValid(buffer))
		return;
	old = MemoryContextSwitchTo(vacuum->temp);
	before = palloc(BLCKSZ);
	after = palloc(BLCKSZ);
	memcpy(before, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	memcpy(after, before, BLCKSZ);

	for (int i = 0; i < index->uppers_per_page; i++)
	{
		UpperSlotHead *head = hnsw_upper_slot(index, after, i);

		if (head->level > 0 && head->nlinks <= index->layout.upper_links &&
			!hnsw_is_dead_upper(vacuum, first + (uint32) i))
			any |= repair_upper(vacuum, first + (uint32) i, head);
	}
	if (any)
		store_uppers(vacuum, blkno, before, after);
	MemoryContextSwitchTo(old);
}

/*--- entry ---------------------------------------------------------------*/

/* whether the copies of the entry slots, as far as they are repaired, name a node */
static bool
in_entry(const HnswIndex *index, uint32 id)
{
	for (int slot = 0; slot < index->nentries; slot++)
	{
		const uint8_t *entry = hnsw_entry(index, slot);
		int			n = entry_count(index->layout.ngroups, entry, HNSW_PAGE_ROOM);

		for (int i = 0; i < n; i++)
		{
			if (entry_links(entry)[i] == id)
				return true;
		}
	}
	return false;
}

/* the live node nearest to a dead one that is no link of an entry slot yet */
static uint32
entry_substitute(HnswVacuum *vacuum, uint32 dead)
{
	HnswCopy   *copy = hnsw_fetch_copy(vacuum, &vacuum->navs, dead);
	uint8_t    *code;
	HnswChoice		choice;
	uint32		best = LINK_NONE;

	if (copy == NULL)
		return vacuum->any_live;
	code = palloc(vacuum->index->layout.code_size);
	memcpy(code, copy->code, vacuum->index->layout.code_size);
	hnsw_start_choice(&choice, vacuum, &vacuum->navs, dead, code, vacuum->index->layout.links);
	hnsw_add_walk(&choice, dead);
	hnsw_gather(&choice);
	hnsw_sort_candidates(choice.candidates, choice.ncandidates);
	for (int i = 0; i < choice.ncandidates && best == LINK_NONE; i++)
	{
		if (!in_entry(vacuum->index, choice.candidates[i].id))
			best = choice.candidates[i].id;
	}
	pfree(code);
	return best;
}

/* point one link of an image of the entry slot elsewhere */
static void
set_entry_link(HnswVacuum *vacuum, uint8_t *entry, int place, uint32 id)
{
	HnswIndex  *index = vacuum->index;
	HnswCopy   *copy = hnsw_fetch_copy(vacuum, &vacuum->navs, id);
	SketchEdge	edge;

	if (copy == NULL)
	{
		entry_clear_link(entry, index->layout.ngroups, place);
		return;
	}
	memset(vacuum->from, 0, sizeof(float) * QUANT_MAX_SKETCH);
	sketch_encode(index->model, vacuum->from, hnsw_copy_coords(vacuum, copy),
				  nav_edge_from_origin(copy->code), &edge);
	entry_set_link(entry, index->layout.ngroups, place, id, &edge);
}

/*
 * An entry slot, of which this backend's copy is up to date: links to dead nodes
 * go to live ones near them; true if it changed.
 */
static bool
repair_entry_slot(HnswVacuum *vacuum, BlockNumber blkno, uint8_t *entry)
{
	int			ngroups = vacuum->index->layout.ngroups;
	int			nlinks = entry_count(ngroups, entry, HNSW_PAGE_ROOM);
	bool		any = false;

	for (int i = 0; i < nlinks; i++)
	{
		uint32		id = entry_links(entry)[i];

		if (id == LINK_NONE || hnsw_link_state(vacuum, &vacuum->navs, id) == SLOT_LIVE)
			continue;
		set_entry_link(vacuum, entry, i, entry_substitute(vacuum, id));
		any = true;
	}

	/* vacuum alone writes it, and there is one at a time */
	if (any)
	{
		Buffer		buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_EXCLUSIVE,
									   HNSW_PAGE_ENTRY);
		GenericXLogState *state = GenericXLogStart(vacuum->rel);
		Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

		/* zeros behind pd_lower stay: the copy was made of no more */
		memcpy(HnswPageData(page), entry,
			   Min(((PageHeader) page)->pd_lower - HNSW_PAGE_START, HNSW_PAGE_ROOM));
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
	}
	return any;
}

/*
 * hnsw_repair_entry
 *		Let entry slots and entry point name live nodes.
 *
 * An entry point that an insert promoted meanwhile is not dead, and stays.
 */
void
hnsw_repair_entry(HnswVacuum *vacuum)
{
	Buffer		buffer = hnsw_read(vacuum->rel, 0, BUFFER_LOCK_SHARE, HNSW_PAGE_META);
	HnswMetaPage meta = HnswPageGetMeta(BufferGetPage(buffer));
	BlockNumber entry_page = meta->entry_page;
	GenericXLogState *state;
	bool		changed = false;

	UnlockReleaseBuffer(buffer);
	for (int i = 0; i < vacuum->index->nentries; i++)
		changed |= repair_entry_slot(vacuum, entry_page + i, hnsw_entry(vacuum->index, i));

	buffer = hnsw_read(vacuum->rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	state = GenericXLogStart(vacuum->rel);
	meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));
	if (changed)
		meta->entry_version++;	/* other backends have copies */
	if (hnsw_is_dead_upper(vacuum, meta->entry_upper))
	{
		meta->entry_upper = vacuum->best_upper;
		meta->entry_level = (uint16) vacuum->best_level;
	}
	if (hnsw_bit(vacuum, vacuum->dead, meta->entry_node) ||
		hnsw_bit(vacuum, vacuum->free, meta->entry_node) || meta->entry_node == LINK_NONE)
		meta->entry_node = vacuum->best_node != LINK_NONE ? vacuum->best_node :
			vacuum->any_live;
	hnsw_add_start(vacuum, meta->entry_node);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

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
 * The codes that choosing needs are those of a neighborhood, which lies on few
 * pages; copies of them are kept from one node to the next.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define MAX_CANDIDATES	256
#define MAX_WALK		64		/* dead nodes walked through for one list */
#define ATTEMPTS		3
#define MIN_PLACES		64
#define MAX_STEPS		64		/* of the walk to a place for an isolated node */

/* a list of links being chosen anew */
typedef struct Choice
{
	HnswVacuum *vacuum;
	HnswCopies *copies;
	uint32		self;
	int			level;
	const uint8_t *code;		/* of the node itself */
	uint32		links[VEC_SCAN_MAX_LINKS];	/* kept, then added */
	int			nlinks;
	int			most;			/* links there is room for */
	SearchCandidate candidates[MAX_CANDIDATES];
	int			ncandidates;
	uint32		walk[MAX_WALK]; /* dead nodes, those not yet looked at last */
	int			nwalk;
} Choice;

/*--- copies of slots -----------------------------------------------------*/

static void
init_copies(HnswVacuum *vacuum, HnswCopies *copies, bool upper, Size memory)
{
	const SlotLayout *layout = &vacuum->index->layout;
	int			dims = layout->ngroups > 0 && !upper ? vacuum->index->model->sketch_dims : 0;
	Size		links = MAXALIGN(sizeof(uint32) *
								 (Size) (upper ? layout->upper_links : layout->links));
	Size		code = MAXALIGN(layout->code_size);
	Size		one = links + code + MAXALIGN(sizeof(float) * (Size) dims);
	Size		n = memory / (one + sizeof(HnswCopy));
	char	   *room;

	n = Min(n, (Size) hnsw_node_limit(vacuum->index) + 1);
	n = Max(n, MIN_PLACES);
	copies->upper = upper;
	copies->nplaces = (uint32) n;
	copies->places = MemoryContextAllocHuge(vacuum->context, n * sizeof(HnswCopy));
	room = MemoryContextAllocHuge(vacuum->context, n * one);
	for (Size i = 0; i < n; i++)
	{
		HnswCopy   *copy = &copies->places[i];

		copy->id = LINK_NONE;
		copy->links = (uint32 *) room;
		copy->code = (uint8_t *) room + links;
		copy->coords = dims > 0 ? (float *) (room + links + code) : NULL;
		room += one;
	}
}

/*
 * hnsw_repair_init
 *		Memory for repairs, of about that many bytes, in the vacuum's context.
 */
void
hnsw_repair_init(HnswVacuum *vacuum, Size memory)
{
	HnswIndex  *index = vacuum->index;

	init_copies(vacuum, &vacuum->navs, false, memory / 16 * 15);
	init_copies(vacuum, &vacuum->uppers, true, memory / 16);
	vacuum->nav = MemoryContextAllocZero(vacuum->context, sizeof(float) * index->params.dim);
	vacuum->from = MemoryContextAllocZero(vacuum->context, sizeof(float) * QUANT_MAX_SKETCH);
	vacuum->code = MemoryContextAlloc(vacuum->context, MAXALIGN(index->layout.code_size));
	vacuum->room_uppers = 64;
	vacuum->dead_uppers = MemoryContextAlloc(vacuum->context,
											 sizeof(uint32) * vacuum->room_uppers);
}

/*
 * hnsw_repair_reset
 *		Forget copies: a new round begins, the nodes of the last one were freed.
 */
void
hnsw_repair_reset(HnswVacuum *vacuum)
{
	for (uint32 i = 0; i < vacuum->navs.nplaces; i++)
		vacuum->navs.places[i].id = LINK_NONE;
	for (uint32 i = 0; i < vacuum->uppers.nplaces; i++)
		vacuum->uppers.places[i].id = LINK_NONE;
}

/*
 * hnsw_add_dead_upper
 *		Remember the upper slot of a dead node; they come in ascending order.
 */
void
hnsw_add_dead_upper(HnswVacuum *vacuum, uint32 upper)
{
	if (vacuum->ndead_uppers == vacuum->room_uppers)
	{
		vacuum->room_uppers *= 2;
		vacuum->dead_uppers = repalloc_huge(vacuum->dead_uppers,
											sizeof(uint32) * vacuum->room_uppers);
	}
	vacuum->dead_uppers[vacuum->ndead_uppers++] = upper;
}

static bool
is_dead_upper(const HnswVacuum *vacuum, uint32 upper)
{
	uint32		low = 0;
	uint32		high = vacuum->ndead_uppers;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (vacuum->dead_uppers[middle] < upper)
			low = middle + 1;
		else
			high = middle;
	}
	return low < vacuum->ndead_uppers && vacuum->dead_uppers[low] == upper;
}

/* copy a nav slot; false if there is no such node or it is FREE */
static bool
copy_nav(HnswVacuum *vacuum, uint32 node, HnswCopy *copy)
{
	const SlotLayout *layout = &vacuum->index->layout;
	BlockNumber blkno;
	int			place;
	Buffer		buffer;
	const uint8_t *slot;
	bool		ok;

	if (!hnsw_locate(vacuum->index, node, &blkno, &place))
		return false;
	buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	slot = hnsw_slot(vacuum->index, BufferGetPage(buffer), place);
	ok = slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE;
	if (ok)
	{
		copy->state = slot_head(slot)->state;
		copy->level = 0;
		copy->nlinks = slot_head(slot)->nlinks;
		memcpy(copy->links, slot_links(layout, slot), sizeof(uint32) * copy->nlinks);
		memcpy(copy->code, slot + layout->code_offset, layout->code_size);
	}
	UnlockReleaseBuffer(buffer);
	return ok;
}

/* copy an upper slot; false if there is none in use */
static bool
copy_upper(HnswVacuum *vacuum, uint32 upper, HnswCopy *copy)
{
	HnswIndex  *index = vacuum->index;
	uint32		per_page = (uint32) index->uppers_per_page;
	Buffer		buffer = hnsw_read_hint(vacuum->rel, upper / per_page, BUFFER_LOCK_SHARE,
										HNSW_PAGE_UPPER);
	const UpperSlotHead *head;
	bool		ok;

	if (!BufferIsValid(buffer))
		return false;
	head = hnsw_upper_slot(index, BufferGetPage(buffer), (int) (upper % per_page));
	ok = head->level > 0 && head->nlinks <= index->layout.upper_links;
	if (ok)
	{
		copy->state = is_dead_upper(vacuum, upper) ? SLOT_DEAD : SLOT_LIVE;
		copy->level = head->level;
		copy->nlinks = head->nlinks;
		memcpy(copy->links, head + 1, sizeof(uint32) * copy->nlinks);
		memcpy(copy->code, (const uint8_t *) head + index->layout.upper_code_offset,
			   index->layout.code_size);
	}
	UnlockReleaseBuffer(buffer);
	return ok;
}

/* a copy of a slot, valid until the next call; NULL if there is none in use */
static HnswCopy *
fetch(HnswVacuum *vacuum, HnswCopies *copies, uint32 id)
{
	HnswCopy   *copy = &copies->places[id % copies->nplaces];

	if (copy->id == id)
		return copy;
	if (id == LINK_NONE)
		return NULL;
	copy->id = LINK_NONE;
	if (!(copies->upper ? copy_upper(vacuum, id, copy) : copy_nav(vacuum, id, copy)))
		return NULL;
	copy->id = id;
	copy->has_coords = false;
	return copy;
}

/* the sketched coordinates of a node's copy */
static const float *
coords_of(HnswVacuum *vacuum, HnswCopy *copy)
{
	const QuantModel *model = vacuum->index->model;

	if (!copy->has_coords)
	{
		nav_decode(model, vacuum->index->layout.nav_bits, copy->code, vacuum->nav);
		sketch_project(model, vacuum->nav, copy->coords);
		copy->has_coords = true;
	}
	return copy->coords;
}

/*--- which links are to go -----------------------------------------------*/

/* whether a link leads to nothing that lives: SLOT_LIVE, SLOT_DEAD, SLOT_FREE */
static int
link_state(HnswVacuum *vacuum, HnswCopies *copies, uint32 id)
{
	const HnswCopy *copy;

	if (id == LINK_NONE)
		return SLOT_FREE;
	if (copies->upper)
		return is_dead_upper(vacuum, id) ? SLOT_DEAD : SLOT_LIVE;
	if (hnsw_bit(vacuum, vacuum->dead, id))
		return SLOT_DEAD;
	if (id >= hnsw_node_limit(vacuum->index))
		hnsw_refresh(vacuum->index, vacuum->rel);
	if (id < hnsw_node_limit(vacuum->index) && !hnsw_bit(vacuum, vacuum->free, id))
		return SLOT_LIVE;

	/* free when the round began, but perhaps used since */
	copy = fetch(vacuum, copies, id);
	return copy != NULL ? copy->state : SLOT_FREE;
}

static bool
is_linked(const Choice *choice, uint32 id)
{
	for (int i = 0; i < choice->nlinks; i++)
	{
		if (choice->links[i] == id)
			return true;
	}
	return false;
}

/*--- choosing ------------------------------------------------------------*/

/* a dead node to be walked through, once */
static void
add_walk(Choice *choice, uint32 id)
{
	if (choice->nwalk == MAX_WALK)
		return;
	for (int i = 0; i < choice->nwalk; i++)
	{
		if (choice->walk[i] == id)
			return;
	}
	choice->walk[choice->nwalk++] = id;
}

/* a live node that may become a link, unless it is known already */
static void
add_candidate(Choice *choice, uint32 id)
{
	HnswVacuum *vacuum = choice->vacuum;
	HnswCopy   *copy;
	float		distance;

	if (id == choice->self || choice->ncandidates == MAX_CANDIDATES || is_linked(choice, id))
		return;
	for (int i = 0; i < choice->ncandidates; i++)
	{
		if (choice->candidates[i].id == id)
			return;
	}
	copy = fetch(vacuum, choice->copies, id);
	if (copy == NULL || copy->state != SLOT_LIVE || copy->level != choice->level)
		return;
	distance = hnsw_pair_distance(vacuum->index, vacuum->rel, choice->code, copy->code);
	if (!(distance < INFINITY))
		return;
	choice->candidates[choice->ncandidates].id = id;
	choice->candidates[choice->ncandidates++].distance = distance;
}

/* gather the live links of the dead nodes, and of those they lead to */
static void
gather(Choice *choice)
{
	HnswVacuum *vacuum = choice->vacuum;

	for (int i = 0; i < choice->nwalk; i++)
	{
		uint32		links[VEC_SCAN_MAX_LINKS];
		HnswCopy   *copy = fetch(vacuum, choice->copies, choice->walk[i]);
		int			n;

		if (copy == NULL || copy->level != choice->level)
			continue;
		n = copy->nlinks;
		memcpy(links, copy->links, sizeof(uint32) * (Size) n);
		for (int j = 0; j < n; j++)
		{
			int			state = link_state(vacuum, choice->copies, links[j]);

			if (state == SLOT_LIVE)
				add_candidate(choice, links[j]);
			else if (state == SLOT_DEAD)
				add_walk(choice, links[j]);
		}
		/* enough to choose from; go on only where all around is dead */
		if (choice->ncandidates >= 4 * choice->most)
			break;
	}
}

static int
compare_candidates(const void *a, const void *b)
{
	const SearchCandidate *ca = a;
	const SearchCandidate *cb = b;

	if (ca->distance != cb->distance)
		return ca->distance < cb->distance ? -1 : 1;
	return ca->id < cb->id ? -1 : ca->id > cb->id;
}

/* nearest first; the few there mostly are need no more than this */
static void
sort_candidates(SearchCandidate *candidates, int n)
{
	if (n > 64)
	{
		qsort(candidates, (size_t) n, sizeof(SearchCandidate), compare_candidates);
		return;
	}
	for (int i = 1; i < n; i++)
	{
		SearchCandidate moved = candidates[i];
		int			j = i;

		for (; j > 0 && compare_candidates(&candidates[j - 1], &moved) > 0; j--)
			candidates[j] = candidates[j - 1];
		candidates[j] = moved;
	}
}

/* whether a link is nearer to the candidate than the node itself is */
static bool
is_covered(Choice *choice, const SearchCandidate *candidate)
{
	HnswVacuum *vacuum = choice->vacuum;
	HnswCopy   *copy = fetch(vacuum, choice->copies, candidate->id);

	if (copy == NULL)
		return true;
	memcpy(vacuum->code, copy->code, vacuum->index->layout.code_size);
	for (int i = choice->nlinks - 1; i >= 0; i--)
	{
		copy = fetch(vacuum, choice->copies, choice->links[i]);
		if (copy != NULL &&
			hnsw_pair_distance(vacuum->index, vacuum->rel, copy->code,
							   vacuum->code) < candidate->distance)
			return true;
	}
	return false;
}

/*
 * Add links from the candidates; where there is room left, the nearest of
 * those that others cover too, as the build does.
 */
static void
select_links(Choice *choice)
{
	bool		covered[MAX_CANDIDATES];

	sort_candidates(choice->candidates, choice->ncandidates);
	for (int i = 0; i < choice->ncandidates; i++)
	{
		covered[i] = choice->nlinks >= choice->most || is_covered(choice, &choice->candidates[i]);
		if (!covered[i])
			choice->links[choice->nlinks++] = choice->candidates[i].id;
	}
	for (int i = 0; i < choice->ncandidates && choice->nlinks < choice->most; i++)
	{
		if (covered[i])
			choice->links[choice->nlinks++] = choice->candidates[i].id;
	}
}

/*
 * Sort the links of a list into kept ones and dead ones to walk through;
 * returns how many are to go.
 */
static int
split_links(Choice *choice, const uint32 *links, int nlinks)
{
	int			gone = 0;

	for (int i = 0; i < nlinks; i++)
	{
		int			state;

		if (links[i] == LINK_NONE)
			continue;
		state = link_state(choice->vacuum, choice->copies, links[i]);
		if (state == SLOT_LIVE && links[i] != choice->self && !is_linked(choice, links[i]))
			choice->links[choice->nlinks++] = links[i];
		else
			gone++;
		if (state == SLOT_DEAD)
			add_walk(choice, links[i]);
	}
	return gone;
}

/*--- nav slots -----------------------------------------------------------*/

/* write a link with its sketch into an image of a slot */
static void
put_link(HnswVacuum *vacuum, uint8_t *slot, int place, uint32 id)
{
	HnswIndex  *index = vacuum->index;
	const uint8_t *code = slot + index->layout.code_offset;
	SketchEdge	edge;
	HnswCopy   *copy;

	memset(&edge, 0, sizeof(edge));
	if (index->layout.ngroups > 0)
	{
		copy = fetch(vacuum, &vacuum->navs, id);
		if (copy == NULL)
			return;
		sketch_encode(index->model, vacuum->from, coords_of(vacuum, copy),
					  nav_edge(index->model, index->layout.nav_bits, code, copy->code), &edge);
	}
	slot_set_link(&index->layout, slot, place, id, &edge);
}

/* make vacuum->from the sketched coordinates of a slot's own code */
static void
set_from(HnswVacuum *vacuum, const uint8_t *slot)
{
	HnswIndex  *index = vacuum->index;

	if (index->layout.ngroups == 0)
		return;
	nav_decode(index->model, index->layout.nav_bits, slot + index->layout.code_offset,
			   vacuum->nav);
	sketch_project(index->model, vacuum->nav, vacuum->from);
}

static int
find_link(const SlotLayout *layout, const uint8_t *slot, uint32 id)
{
	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		if (slot_links(layout, slot)[i] == id)
			return i;
	}
	return -1;
}

/* a place for a link: one that leads nowhere or behind the last; -1 if full */
static int
find_place(const SlotLayout *layout, const uint8_t *slot)
{
	int			place = find_link(layout, slot, LINK_NONE);

	if (place < 0 && slot_head(slot)->nlinks < layout->links)
		place = slot_head(slot)->nlinks;
	return place;
}

/* remove from an image the links that are not in the list, or twice in the slot */
static void
clear_others(HnswVacuum *vacuum, uint8_t *slot, const Choice *kept)
{
	const SlotLayout *layout = &vacuum->index->layout;
	NavSlotHead *head = (NavSlotHead *) (void *) slot;

	for (int i = 0; i < head->nlinks; i++)
	{
		uint32		id = slot_links(layout, slot)[i];

		if (id != LINK_NONE && (!is_linked(kept, id) || find_link(layout, slot, id) < i))
			slot_clear_link(layout, slot, i);
	}
}

/* give an image of a nav slot the links of a choice; those it has stay in place */
static void
set_links(HnswVacuum *vacuum, uint8_t *slot, const Choice *choice)
{
	const SlotLayout *layout = &vacuum->index->layout;
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	bool		first = true;

	clear_others(vacuum, slot, choice);
	for (int i = 0; i < choice->nlinks; i++)
	{
		int			place;

		if (find_link(layout, slot, choice->links[i]) >= 0)
			continue;
		place = find_place(layout, slot);
		if (place < 0)
			break;
		if (first)
			set_from(vacuum, slot);
		first = false;
		put_link(vacuum, slot, place, choice->links[i]);
	}
	while (head->nlinks > 0 && slot_links(layout, slot)[head->nlinks - 1] == LINK_NONE)
		head->nlinks--;
	head->version++;
}

static void
start_choice(Choice *choice, HnswVacuum *vacuum, HnswCopies *copies, uint32 self,
			 const uint8_t *code, int most)
{
	choice->vacuum = vacuum;
	choice->copies = copies;
	choice->self = self;
	choice->level = 0;
	choice->code = code;
	choice->nlinks = 0;
	choice->most = most;
	choice->ncandidates = 0;
	choice->nwalk = 0;
}

/* repair an image of a LIVE slot; true if it changed */
static bool
repair_slot(HnswVacuum *vacuum, uint32 node, uint8_t *slot)
{
	const SlotLayout *layout = &vacuum->index->layout;
	Choice		choice;

	start_choice(&choice, vacuum, &vacuum->navs, node, slot + layout->code_offset,
				 layout->links);
	if (split_links(&choice, slot_links(layout, slot), slot_head(slot)->nlinks) == 0)
		return false;
	gather(&choice);
	select_links(&choice);
	set_links(vacuum, slot, &choice);
	return true;
}

/*
 * Store the links of an image in the slot it was taken from, an image of the
 * page registered with generic WAL.  False if the slot has changed since;
 * rows are not compared, for they change without a new version.
 */
static bool
store_links(const SlotLayout *layout, uint8_t *slot, const uint8_t *image)
{
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	const NavSlotHead *from = slot_head(image);

	if (head->state != SLOT_LIVE || head->generation != from->generation ||
		(uint16) (head->version + 1) != from->version)
		return false;
	memcpy(slot + layout->links_offset, image + layout->links_offset,
		   layout->code_offset - layout->links_offset);
	head->nlinks = from->nlinks;
	head->version = from->version;
	return true;
}

/* without distances: remove links that lead to nothing alive */
static void
drop_links(HnswVacuum *vacuum, uint8_t *slot)
{
	const SlotLayout *layout = &vacuum->index->layout;
	NavSlotHead *head = (NavSlotHead *) (void *) slot;

	if (head->state != SLOT_LIVE || !slot_ok(layout, slot))
		return;
	for (int i = 0; i < head->nlinks; i++)
	{
		uint32		id = slot_links(layout, slot)[i];

		if (id != LINK_NONE && hnsw_bit(vacuum, vacuum->dead, id))
			slot_clear_link(layout, slot, i);
	}
	head->version++;
}

/* store the changed slots of a page; true if all could be, or had to be dropped */
static bool
store_page(HnswVacuum *vacuum, BlockNumber blkno, Page copy, const bool *changed, bool force)
{
	HnswIndex  *index = vacuum->index;
	Buffer		buffer = hnsw_vacuum_read(vacuum->rel, vacuum->strategy, blkno,
										  BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_NAV);
	GenericXLogState *state = GenericXLogStart(vacuum->rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	bool		all = true;

	for (int i = 0; i < index->slots_per_page; i++)
	{
		uint8_t    *slot = hnsw_slot(index, page, i);

		if (!changed[i] || store_links(&index->layout, slot, hnsw_slot(index, copy, i)))
			continue;
		if (force)
			drop_links(vacuum, slot);
		else
			all = false;
	}
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return all;
}

/* note who is linked, by the copy of a page */
static void
note_linked(HnswVacuum *vacuum, Page copy)
{
	HnswIndex  *index = vacuum->index;

	for (int i = 0; i < index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(index, copy, i);
		const uint32 *links = slot_links(&index->layout, slot);

		if (!slot_ok(&index->layout, slot) || slot_head(slot)->state != SLOT_LIVE)
			continue;
		for (int j = 0; j < slot_head(slot)->nlinks; j++)
			hnsw_set_bit(vacuum, vacuum->linked, links[j]);
	}
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
	note_linked(vacuum, copy);
	MemoryContextSwitchTo(old);
}

/*--- upper slots ---------------------------------------------------------*/

/* give an image of an upper slot links that live; true if it changed */
static bool
repair_upper(HnswVacuum *vacuum, uint32 upper, UpperSlotHead *head)
{
	const SlotLayout *layout = &vacuum->index->layout;
	uint32	   *links = (uint32 *) (void *) (head + 1);
	Choice		choice;

	start_choice(&choice, vacuum, &vacuum->uppers, upper,
				 (const uint8_t *) head + layout->upper_code_offset, layout->upper_links);
	choice.level = head->level;
	if (split_links(&choice, links, head->nlinks) == 0)
		return false;
	gather(&choice);
	select_links(&choice);
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
	GenericXLogState *state = GenericXLogStart(vacuum->rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

	for (int i = 0; i < index->uppers_per_page; i++)
	{
		UpperSlotHead *head = hnsw_upper_slot(index, page, i);

		if (memcmp(head, hnsw_upper_slot(index, before, i), size) == 0)
			memcpy(head, hnsw_upper_slot(index, after, i), size);
	}
	GenericXLogFinish(state);
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
			!is_dead_upper(vacuum, first + (uint32) i))
			any |= repair_upper(vacuum, first + (uint32) i, head);
	}
	if (any)
		store_uppers(vacuum, blkno, before, after);
	MemoryContextSwitchTo(old);
}

/*--- entry ---------------------------------------------------------------*/

static bool
in_entry(const uint8_t *entry, int nlinks, uint32 id)
{
	for (int i = 0; i < nlinks; i++)
	{
		if (entry_links(entry)[i] == id)
			return true;
	}
	return false;
}

/* the live node nearest to a dead one that is no link of the entry slot yet */
static uint32
entry_substitute(HnswVacuum *vacuum, const uint8_t *entry, int nlinks, uint32 dead)
{
	HnswCopy   *copy = fetch(vacuum, &vacuum->navs, dead);
	uint8_t    *code;
	Choice		choice;
	uint32		best = LINK_NONE;

	if (copy == NULL)
		return vacuum->any_live;
	code = palloc(vacuum->index->layout.code_size);
	memcpy(code, copy->code, vacuum->index->layout.code_size);
	start_choice(&choice, vacuum, &vacuum->navs, dead, code, vacuum->index->layout.links);
	add_walk(&choice, dead);
	gather(&choice);
	sort_candidates(choice.candidates, choice.ncandidates);
	for (int i = 0; i < choice.ncandidates && best == LINK_NONE; i++)
	{
		if (!in_entry(entry, nlinks, choice.candidates[i].id))
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
	HnswCopy   *copy = fetch(vacuum, &vacuum->navs, id);
	SketchEdge	edge;

	if (copy == NULL)
	{
		entry_clear_link(entry, index->layout.ngroups, place);
		return;
	}
	memset(vacuum->from, 0, sizeof(float) * QUANT_MAX_SKETCH);
	sketch_encode(index->model, vacuum->from, coords_of(vacuum, copy),
				  nav_edge_from_origin(copy->code), &edge);
	entry_set_link(entry, index->layout.ngroups, place, id, &edge);
}

/* the entry slot: links to dead nodes go to live ones near them */
static void
repair_entry_slot(HnswVacuum *vacuum, BlockNumber blkno)
{
	HnswIndex  *index = vacuum->index;
	int			ngroups = index->layout.ngroups;
	Buffer		buffer;
	uint8_t    *entry;
	Size		bytes;
	int32		nlinks;
	bool		any = false;

	if (ngroups == 0)
		return;
	buffer = hnsw_read_hint(vacuum->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_ENTRY);
	if (!BufferIsValid(buffer))
		return;
	bytes = ((PageHeader) BufferGetPage(buffer))->pd_lower - HNSW_PAGE_START;
	entry = palloc0(Max(bytes, 8));
	memcpy(entry, HnswPageData(BufferGetPage(buffer)), bytes);
	UnlockReleaseBuffer(buffer);

	memcpy(&nlinks, entry, sizeof(nlinks));
	if (nlinks <= 0 || nlinks > ENTRY_MAX_LINKS || nlinks % SKETCH_ALIGN != 0 ||
		entry_size(ngroups, nlinks) > bytes)
		return;
	for (int i = 0; i < nlinks; i++)
	{
		uint32		id = entry_links(entry)[i];

		if (id == LINK_NONE || link_state(vacuum, &vacuum->navs, id) == SLOT_LIVE)
			continue;
		set_entry_link(vacuum, entry, i, entry_substitute(vacuum, entry, nlinks, id));
		any = true;
	}

	/* vacuum alone writes it, and there is one at a time */
	if (any)
	{
		GenericXLogState *state;

		buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_ENTRY);
		state = GenericXLogStart(vacuum->rel);
		memcpy(HnswPageData(GenericXLogRegisterBuffer(state, buffer, 0)), entry, bytes);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
		if (index->entry != NULL && index->entry_bytes == bytes)
			memcpy(index->entry, entry, bytes);
	}
	pfree(entry);
}

/*
 * hnsw_repair_entry
 *		Let entry slot and entry point name live nodes.
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

	UnlockReleaseBuffer(buffer);
	if (BlockNumberIsValid(entry_page))
		repair_entry_slot(vacuum, entry_page);

	buffer = hnsw_read(vacuum->rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	state = GenericXLogStart(vacuum->rel);
	meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));
	if (is_dead_upper(vacuum, meta->entry_upper))
	{
		meta->entry_upper = vacuum->best_upper;
		meta->entry_level = (uint16) vacuum->best_level;
	}
	if (hnsw_bit(vacuum, vacuum->dead, meta->entry_node) ||
		hnsw_bit(vacuum, vacuum->free, meta->entry_node) || meta->entry_node == LINK_NONE)
		meta->entry_node = vacuum->best_node != LINK_NONE ? vacuum->best_node :
			vacuum->any_live;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*--- nodes without links to them -----------------------------------------*/

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
	GenericXLogState *state;
	bool		stored;

	if (!hnsw_locate(index, node, &blkno, &place))
		return false;
	((NavSlotHead *) (void *) image)->version++;
	buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_NAV);
	state = GenericXLogStart(vacuum->rel);
	stored = store_links(&index->layout,
						 hnsw_slot(index, GenericXLogRegisterBuffer(state, buffer, 0), place),
						 image);
	if (stored)
		GenericXLogFinish(state);
	else
		GenericXLogAbort(state);
	UnlockReleaseBuffer(buffer);
	return stored;
}

/* links of a slot by distance from it, nearest first; returns how many live */
static int
rank_links(HnswVacuum *vacuum, const uint8_t *slot, SearchCandidate *ranked)
{
	const SlotLayout *layout = &vacuum->index->layout;
	int			n = 0;

	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		HnswCopy   *copy = fetch(vacuum, &vacuum->navs, slot_links(layout, slot)[i]);

		if (copy == NULL || copy->state != SLOT_LIVE)
			continue;
		ranked[n].id = slot_links(layout, slot)[i];
		ranked[n++].distance = hnsw_pair_distance(vacuum->index, vacuum->rel,
												  slot + layout->code_offset, copy->code);
	}
	sort_candidates(ranked, n);
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
		if (find_link(layout, image, node) >= 0)
			return true;
		place = find_place(layout, image);
		if (place < 0)
		{
			int			n = force ? rank_links(vacuum, image, ranked) : 0;
			int			own_place;

			if (n == 0 || !read_slot(vacuum, node, own))
				return false;
			place = find_link(layout, image, ranked[n - 1].id);
			if (find_link(layout, own, ranked[n - 1].id) < 0)
			{
				own_place = find_place(layout, own);
				set_from(vacuum, own);
				put_link(vacuum, own, own_place < 0 ? layout->links - 1 : own_place,
						 ranked[n - 1].id);
				if (!write_slot(vacuum, node, own))
					continue;
			}
		}
		set_from(vacuum, image);
		put_link(vacuum, image, place, node);
		if (write_slot(vacuum, from, image))
			return true;
	}
	return false;
}

/* walk from any node to one near a code, for a node that has no links at all */
static uint32
walk_towards(HnswVacuum *vacuum, uint32 self, const uint8_t *code)
{
	HnswIndex  *index = vacuum->index;
	uint32		at = vacuum->any_live;
	float		best = INFINITY;

	for (int step = 0; step < MAX_STEPS; step++)
	{
		uint32		links[VEC_SCAN_MAX_LINKS];
		HnswCopy   *copy = fetch(vacuum, &vacuum->navs, at);
		uint32		from = at;
		int			n;

		if (copy == NULL)
			break;
		n = copy->nlinks;
		memcpy(links, copy->links, sizeof(uint32) * (Size) n);
		for (int i = 0; i < n; i++)
		{
			float		distance;

			copy = fetch(vacuum, &vacuum->navs, links[i]);
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
link_isolated(HnswVacuum *vacuum, uint32 node, uint8_t *image)
{
	const SlotLayout *layout = &vacuum->index->layout;
	const uint8_t *code = image + layout->code_offset;
	uint32		near = walk_towards(vacuum, node, code);
	Choice		choice;

	if (near == LINK_NONE || near == node)
		return false;
	start_choice(&choice, vacuum, &vacuum->navs, node, code, layout->links);
	add_candidate(&choice, near);
	add_walk(&choice, near);
	gather(&choice);
	select_links(&choice);
	set_links(vacuum, image, &choice);
	((NavSlotHead *) (void *) image)->version--;	/* write_slot() counts */
	return choice.nlinks > 0 && write_slot(vacuum, node, image);
}

/*
 * hnsw_relink
 *		Give a LIVE node, to which no LIVE node seems to link, a link from the
 *		nearest of its own links that has room, or from the nearest.
 *
 * Takes one page lock at a time.
 */
void
hnsw_relink(HnswVacuum *vacuum, uint32 node)
{
	MemoryContext old = MemoryContextSwitchTo(vacuum->temp);
	uint8_t    *image = palloc(vacuum->index->layout.size);
	SearchCandidate ranked[VEC_SCAN_MAX_LINKS];
	int			n = 0;
	bool		done = false;

	if (read_slot(vacuum, node, image) && !hnsw_is_apart(vacuum->index, slot_head(image)))
	{
		n = rank_links(vacuum, image, ranked);
		if (n == 0 && link_isolated(vacuum, node, image))
			n = rank_links(vacuum, image, ranked);
	}
	for (int i = 0; i < n && !done; i++)
		done = attach(vacuum, ranked[i].id, node, false);
	for (int i = 0; i < n && !done; i++)
		done = attach(vacuum, ranked[i].id, node, true);
	MemoryContextSwitchTo(old);
}

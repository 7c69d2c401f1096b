/*-------------------------------------------------------------------------
 *
 * hnswchoose.c
 *	  Choosing links past DEAD nodes: copies of slots, candidates, selection.
 *
 * The codes that choosing needs are those of a neighborhood, which lies on few
 * pages; copies of them are kept from one node to the next.  A copy may be
 * older than its slot: what is chosen is a hint (H4).
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include <math.h>

#include "utils/memutils.h"

#define MIN_PLACES		64
#define LOOKS(places)	(4 + 2 * (places))

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
	if (index->model != NULL)
	{
		/* of compact codes alone: a sparsevec may have a thousand million dimensions */
		vacuum->nav = MemoryContextAllocZero(vacuum->context, sizeof(float) * index->params.dim);
		vacuum->from = MemoryContextAllocZero(vacuum->context, sizeof(float) * QUANT_MAX_SKETCH);
	}
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

/*
 * hnsw_is_dead_upper
 *		Whether an upper slot is of a node that is DEAD in this round.
 */
bool
hnsw_is_dead_upper(const HnswVacuum *vacuum, uint32 upper)
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
		copy->state = hnsw_is_dead_upper(vacuum, upper) ? SLOT_DEAD : SLOT_LIVE;
		copy->level = head->level;
		copy->nlinks = head->nlinks;
		memcpy(copy->links, head + 1, sizeof(uint32) * copy->nlinks);
		memcpy(copy->code, (const uint8_t *) head + index->layout.upper_code_offset,
			   index->layout.code_size);
	}
	UnlockReleaseBuffer(buffer);
	return ok;
}

/*
 * hnsw_fetch_copy
 *		A copy of a slot, valid until the next call; NULL if there is none in use.
 */
HnswCopy *
hnsw_fetch_copy(HnswVacuum *vacuum, HnswCopies *copies, uint32 id)
{
	HnswCopy   *copy = &copies->places[id % copies->nplaces];

	if (id == LINK_NONE)		/* as places without a copy have it */
		return NULL;
	if (copy->id == id)
		return copy;
	copy->id = LINK_NONE;
	if (!(copies->upper ? copy_upper(vacuum, id, copy) : copy_nav(vacuum, id, copy)))
		return NULL;
	copy->id = id;
	copy->has_coords = false;
	return copy;
}

/*
 * hnsw_copy_coords
 *		The sketched coordinates of a node's copy.
 */
const float *
hnsw_copy_coords(HnswVacuum *vacuum, HnswCopy *copy)
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

/*
 * hnsw_link_state
 *		What a link leads to: SLOT_LIVE, SLOT_DEAD or SLOT_FREE.
 */
int
hnsw_link_state(HnswVacuum *vacuum, HnswCopies *copies, uint32 id)
{
	const HnswCopy *copy;

	if (id == LINK_NONE)
		return SLOT_FREE;
	if (copies->upper)
		return hnsw_is_dead_upper(vacuum, id) ? SLOT_DEAD : SLOT_LIVE;
	if (hnsw_bit(vacuum, vacuum->dead, id))
		return SLOT_DEAD;
	if (id >= hnsw_node_limit(vacuum->index))
		hnsw_refresh(vacuum->index, vacuum->rel);
	if (id < hnsw_node_limit(vacuum->index) && !hnsw_bit(vacuum, vacuum->free, id))
		return SLOT_LIVE;

	/* free when the round began, but perhaps used since */
	copy = hnsw_fetch_copy(vacuum, copies, id);
	return copy != NULL ? copy->state : SLOT_FREE;
}

/*
 * hnsw_is_chosen
 *		Whether an id is among the links of a choice.
 */
bool
hnsw_is_chosen(const HnswChoice *choice, uint32 id)
{
	for (int i = 0; i < choice->nlinks; i++)
	{
		if (choice->links[i] == id)
			return true;
	}
	return false;
}

/*--- choosing ------------------------------------------------------------*/

/*
 * hnsw_add_walk
 *		Let a dead node be walked through, once.
 */
void
hnsw_add_walk(HnswChoice *choice, uint32 id)
{
	if (choice->nwalk == HNSW_MAX_WALK)
		return;
	for (int i = 0; i < choice->nwalk; i++)
	{
		if (choice->walk[i] == id)
			return;
	}
	choice->walk[choice->nwalk++] = id;
}

/*
 * hnsw_add_candidate
 *		Let a live node be a candidate, unless it is known already.
 */
void
hnsw_add_candidate(HnswChoice *choice, uint32 id)
{
	HnswVacuum *vacuum = choice->vacuum;
	HnswCopy   *copy;
	float		distance;

	if (id == choice->self || choice->ncandidates == HNSW_MAX_CANDIDATES || hnsw_is_chosen(choice, id))
		return;
	for (int i = 0; i < choice->ncandidates; i++)
	{
		if (choice->candidates[i].id == id)
			return;
	}
	copy = hnsw_fetch_copy(vacuum, choice->copies, id);
	if (copy == NULL || copy->state != SLOT_LIVE || copy->level != choice->level)
		return;
	distance = hnsw_pair_distance(vacuum->index, vacuum->rel, choice->code, copy->code);
	if (!(distance < INFINITY))
		return;
	choice->candidates[choice->ncandidates].id = id;
	choice->candidates[choice->ncandidates++].distance = distance;
}

/*
 * hnsw_gather
 *		Gather the live links of the dead nodes, and of those they lead to.
 */
void
hnsw_gather(HnswChoice *choice)
{
	HnswVacuum *vacuum = choice->vacuum;

	for (int i = 0; i < choice->nwalk; i++)
	{
		uint32		links[VEC_SCAN_MAX_LINKS];
		HnswCopy   *copy = hnsw_fetch_copy(vacuum, choice->copies, choice->walk[i]);
		int			n;

		if (copy == NULL || copy->level != choice->level)
			continue;
		n = copy->nlinks;
		memcpy(links, copy->links, sizeof(uint32) * (Size) n);
		for (int j = 0; j < n; j++)
		{
			int			state = hnsw_link_state(vacuum, choice->copies, links[j]);

			if (state == SLOT_LIVE)
				hnsw_add_candidate(choice, links[j]);
			else if (state == SLOT_DEAD)
				hnsw_add_walk(choice, links[j]);
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

/*
 * hnsw_sort_candidates
 *		Put the nearest first; insertion, for they are mostly few.
 */
void
hnsw_sort_candidates(SearchCandidate *candidates, int n)
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
is_covered(HnswChoice *choice, const SearchCandidate *candidate)
{
	HnswVacuum *vacuum = choice->vacuum;
	HnswCopy   *copy = hnsw_fetch_copy(vacuum, choice->copies, candidate->id);

	if (copy == NULL)
		return true;
	memcpy(vacuum->code, copy->code, vacuum->index->layout.code_size);
	for (int i = choice->nlinks - 1; i >= 0; i--)
	{
		copy = hnsw_fetch_copy(vacuum, choice->copies, choice->links[i]);
		if (copy != NULL &&
			hnsw_pair_distance(vacuum->index, vacuum->rel, copy->code,
							   vacuum->code) < candidate->distance)
			return true;
	}
	return false;
}

/*
 * hnsw_choose_links
 *		Add links from the candidates; where there is room left, the nearest of
 *		those that others cover too, as the build does.
 *
 * Only the nearest few are looked at for being covered: that is what costs,
 * and those farther away would bring little.
 */
void
hnsw_choose_links(HnswChoice *choice)
{
	bool		covered[HNSW_MAX_CANDIDATES];
	int			looks = LOOKS(choice->most - choice->nlinks);

	hnsw_sort_candidates(choice->candidates, choice->ncandidates);
	for (int i = 0; i < choice->ncandidates; i++)
	{
		covered[i] = choice->nlinks >= choice->most || i >= looks ||
			is_covered(choice, &choice->candidates[i]);
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
 * hnsw_split_links
 *		Sort the links of a list into kept ones and dead ones to walk through;
 *		returns how many are to go.
 */
int
hnsw_split_links(HnswChoice *choice, const uint32 *links, int nlinks)
{
	int			gone = 0;

	for (int i = 0; i < nlinks; i++)
	{
		int			state;

		if (links[i] == LINK_NONE)
			continue;
		state = hnsw_link_state(choice->vacuum, choice->copies, links[i]);
		if (state == SLOT_LIVE && links[i] != choice->self && !hnsw_is_chosen(choice, links[i]))
			choice->links[choice->nlinks++] = links[i];
		else
			gone++;
		if (state == SLOT_DEAD)
			hnsw_add_walk(choice, links[i]);
	}
	return gone;
}

/*
 * hnsw_start_choice
 *		Begin to choose links of a node, at most "most".
 */
void
hnsw_start_choice(HnswChoice *choice, HnswVacuum *vacuum, HnswCopies *copies, uint32 self,
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

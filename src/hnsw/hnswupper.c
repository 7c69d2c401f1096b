/*-------------------------------------------------------------------------
 *
 * hnswupper.c
 *	  The levels above 0 of a new node.
 *
 * Only an index without an entry slot needs them to be searched; see
 * hnsw_search().  An upper slot that is all zeros is free: level 0 has none.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswinsert.h"

#include <math.h>

#include "am/am_xlog.h"
#include "common/hashfn.h"
#include "port/pg_bitutils.h"

#define UPPER_EF		64		/* most candidates on a level */
#define DESCENT_EF		8		/* the same above the new node's highest level */
#define LINK_TRIES		3

typedef struct UpperCandidate
{
	float		distance;
	uint32		id;
	uint8_t    *slot;			/* copy */
	bool		expanded;
} UpperCandidate;

/* beam of a level, and the set of slots met there */
typedef struct UpperBeam
{
	HnswInsert *insert;
	int			level;
	int			ef;
	int			n;
	UpperCandidate candidates[UPPER_EF];
	uint32	   *visited;		/* open addressing; LINK_NONE: empty */
	uint32		mask;
	uint32		nvisited;
} UpperBeam;

/*
 * hnsw_draw_level
 *		Levels above 0 of a new node: geometric, from its row and the index.
 *
 * So many upper slots must fit one page.
 */
int
hnsw_draw_level(const HnswIndex *index, ItemPointer tid)
{
	uint64_t	seed = index->cached.build_id ^ ((uint64_t) ItemPointerGetBlockNumber(tid) << 16 |
										  ItemPointerGetOffsetNumber(tid));
	double		uniform = ((double) (quant_random(&seed) >> 11) + 0.5) * 0x1p-53;
	int			level = (int) (-log(uniform) / log((double) index->params.m));

	return Min(level, Min(HNSW_MAX_LEVEL, index->uppers_per_page));
}

/*--- slots ---------------------------------------------------------------*/

static UpperSlotHead *
upper_head(uint8_t *slot)
{
	return (UpperSlotHead *) (void *) slot;
}

static uint32_t *
upper_links(uint8_t *slot)
{
	return (uint32_t *) (void *) (slot + sizeof(UpperSlotHead));
}

static const uint8_t *
upper_code(const HnswInsert *insert, const uint8_t *slot)
{
	return slot + insert->index->layout.upper_code_offset;
}

static uint8_t *
upper_slot(const HnswIndex *index, Page page, uint32 id)
{
	return HnswPageData(page) + (Size) (id % index->uppers_per_page) * index->layout.upper_size;
}

/* a slot's page, if the slot is one of that level */
static Buffer
lock_upper(HnswInsert *insert, uint32 id, int level, int mode)
{
	HnswIndex  *index = insert->index;
	Buffer		buffer;
	UpperSlotHead *head;

	if (id == LINK_NONE || index->uppers_per_page == 0)
		return InvalidBuffer;
	buffer = hnsw_read_hint(insert->rel, id / index->uppers_per_page, mode, HNSW_PAGE_UPPER);
	if (!BufferIsValid(buffer))
		return InvalidBuffer;
	head = upper_head(upper_slot(index, BufferGetPage(buffer), id));
	if (head->level == level && head->nlinks <= index->layout.upper_links)
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/* a copy of a slot of that level, palloc'd; NULL if there is none */
static uint8_t *
copy_upper(HnswInsert *insert, uint32 id, int level)
{
	Size		size = insert->index->layout.upper_size;
	Buffer		buffer = lock_upper(insert, id, level, BUFFER_LOCK_SHARE);
	uint8_t    *copy;

	if (!BufferIsValid(buffer))
		return NULL;
	copy = palloc(size);
	memcpy(copy, upper_slot(insert->index, BufferGetPage(buffer), id), size);
	UnlockReleaseBuffer(buffer);
	return copy;
}

/*--- search --------------------------------------------------------------*/

/* whether a slot is met for the first time, and may be looked at */
static bool
visit(UpperBeam *beam, uint32 id)
{
	uint32		i = murmurhash32(id) & beam->mask;

	if (id == LINK_NONE)
		return false;
	for (; beam->visited[i] != LINK_NONE; i = (i + 1) & beam->mask)
	{
		if (beam->visited[i] == id)
			return false;
	}
	if (beam->nvisited >= beam->mask / 2)
		return false;
	beam->nvisited++;
	beam->visited[i] = id;
	return true;
}

static void
add_candidate(UpperBeam *beam, uint32 id)
{
	HnswInsert *insert = beam->insert;
	uint8_t    *slot;
	float		distance;
	int			i;

	if (!visit(beam, id))
		return;
	slot = copy_upper(insert, id, beam->level);
	if (slot == NULL)
		return;
	distance = hnsw_code_distance(insert->query, upper_code(insert, slot));
	if (beam->n == beam->ef && !(distance < beam->candidates[beam->n - 1].distance))
	{
		pfree(slot);
		return;
	}
	i = beam->n < beam->ef ? beam->n++ : beam->n - 1;
	for (; i > 0 && beam->candidates[i - 1].distance > distance; i--)
		beam->candidates[i] = beam->candidates[i - 1];
	beam->candidates[i] = (UpperCandidate) {distance, id, slot, false};
}

/* search a level with ef candidates from one slot on, or from those found one level up */
static void
search_level(UpperBeam *beam, int level, int ef, uint32 start)
{
	uint32		starts[UPPER_EF] = {start};
	int			nstarts = Max(beam->n, 1);

	for (int i = 0; i < beam->n; i++)
		starts[i] = beam->candidates[i].id - 1;
	beam->level = level;
	beam->ef = ef;
	beam->n = 0;
	beam->nvisited = 0;
	memset(beam->visited, 0xff, sizeof(uint32) * ((Size) beam->mask + 1));
	for (int i = 0; i < nstarts; i++)
		add_candidate(beam, starts[i]);
	for (;;)
	{
		uint8_t    *slot;
		int			next = 0;

		while (next < beam->n && beam->candidates[next].expanded)
			next++;
		if (next == beam->n)
			break;
		beam->candidates[next].expanded = true;
		slot = beam->candidates[next].slot;
		for (int i = 0; i < upper_head(slot)->nlinks; i++)
			add_candidate(beam, upper_links(slot)[i]);
	}
}

/* choose links among the beam's candidates, as hnsw_select_links() does */
static void
select_upper(UpperBeam *beam, InsertUpper *upper)
{
	HnswInsert *insert = beam->insert;
	int			keep = insert->index->layout.upper_links;
	bool		taken[UPPER_EF] = {false};

	upper->links = palloc(sizeof(uint32) * (Size) keep);
	upper->slots = palloc(sizeof(uint8_t *) * (Size) keep);
	upper->nlinks = 0;
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < beam->n && upper->nlinks < keep; i++)
		{
			UpperCandidate *candidate = &beam->candidates[i];
			bool		chosen = !taken[i];

			for (int j = 0; j < upper->nlinks && chosen && pass == 0; j++)
				chosen = hnsw_pair_distance(insert->index, insert->rel,
											upper_code(insert, candidate->slot),
											upper_code(insert, upper->slots[j])) >
					candidate->distance;
			if (!chosen)
				continue;
			taken[i] = true;
			upper->links[upper->nlinks] = candidate->id;
			upper->slots[upper->nlinks++] = candidate->slot;
		}
	}
}

/*
 * hnsw_upper_search
 *		Choose the links of the new node's upper slots, insert->level of them.
 *
 * As HNSW does, but with several candidates on the levels above the node's
 * highest, too; see descend in graph/search_tmpl.h.
 */
void
hnsw_upper_search(HnswInsert *insert)
{
	HnswIndex  *index = insert->index;
	UpperBeam  *beam;
	uint32		entry = index->entry_upper;
	int			ef = Min(index->params.ef_construction, UPPER_EF);

	memset(insert->uppers, 0, sizeof(insert->uppers));
	if (insert->level == 0 || index->entry_level == 0 || entry == LINK_NONE)
		return;
	beam = palloc0(sizeof(UpperBeam));
	beam->insert = insert;
	beam->mask = pg_nextpower2_32((uint32) ef * (uint32) index->layout.upper_links * 4 +
								  64) - 1;
	beam->visited = palloc(sizeof(uint32) * ((Size) beam->mask + 1));
	for (int level = index->entry_level; level > 0; level--)
	{
		bool		own = level <= insert->level;

		search_level(beam, level, own ? ef : Min(ef, DESCENT_EF), entry);
		if (beam->n == 0)
			break;
		if (own)
			select_upper(beam, &insert->uppers[level - 1]);
	}
	pfree(beam->visited);
	pfree(beam);
}

/*--- writing -------------------------------------------------------------*/

/* n free slots in a row */
static int
find_free_uppers(Page page, const void *arg, int n)
{
	const HnswIndex *index = arg;
	int			run = 0;

	for (int i = 0; i < index->uppers_per_page; i++)
	{
		run = upper_head(upper_slot(index, page, (uint32) i))->level == 0 ? run + 1 : 0;
		if (run == n)
			return i - n + 1;
	}
	return -1;
}

/*
 * hnsw_upper_write
 *		Write the upper slots of a node that is about to become LIVE, one WAL
 *		record; sets insert->upper.
 *
 * The caller may hold the node's page.
 */
void
hnsw_upper_write(HnswInsert *insert, uint32 node, uint16 generation)
{
	HnswIndex  *index = insert->index;
	Size		size = index->layout.upper_size;
	uint8_t    *image;
	uint8_t    *at;
	AmXlog	   *xlog;
	Buffer		buffer;
	int			place;

	insert->upper = LINK_NONE;
	if (insert->level == 0)
		return;
	buffer = hnsw_find_room(insert->rel, HNSW_PAGE_UPPER, find_free_uppers, index, insert->level,
							&place);
	insert->upper = BufferGetBlockNumber(buffer) * (uint32) index->uppers_per_page +
		(uint32) place;
	at = upper_slot(index, BufferGetPage(buffer), insert->upper);
	image = palloc0(size);
	xlog = am_xlog_start(insert->rel);
	am_xlog_buffer(xlog, buffer);
	am_xlog_cover(xlog, 0, at + (Size) insert->level * size);
	for (int i = 0; i < insert->level; i++)
	{
		upper_init(&index->layout, image, node, i + 1, insert->uppers[i].links,
				   insert->uppers[i].nlinks, insert->value->code);
		upper_head(image)->generation = generation;
		am_xlog_put(xlog, 0, at + (Size) i * size, image, size);
	}
	am_xlog_finish(xlog);
	pfree(image);
	UnlockReleaseBuffer(buffer);
}

typedef struct UpperList
{
	HnswInsert *insert;
	uint8_t    *slot[HNSW_MAX_M];
} UpperList;

static float
upper_pair(void *arg, int i, int j)
{
	UpperList  *list = arg;

	return hnsw_pair_distance(list->insert->index, list->insert->rel,
							  upper_code(list->insert, list->slot[i]),
							  upper_code(list->insert, list->slot[j]));
}

/* the place for the new slot in a copy of a list; -1: none */
static int
find_place(HnswInsert *insert, uint8_t *owner, int level, bool force)
{
	HnswIndex  *index = insert->index;
	float		own[HNSW_MAX_M];
	float		to_new[HNSW_MAX_M];
	UpperList	list;
	ListChoice	choice = {.own = own, .to_new = to_new, .pair = upper_pair, .arg = &list};

	choice.n = upper_head(owner)->nlinks;
	if (choice.n < index->layout.upper_links)
		return choice.n;
	list.insert = insert;
	choice.new_own = hnsw_code_distance(insert->query, upper_code(insert, owner));
	for (int i = 0; i < choice.n; i++)
	{
		list.slot[i] = copy_upper(insert, upper_links(owner)[i], level);
		if (list.slot[i] == NULL)
			return i;
		own[i] = hnsw_pair_distance(index, insert->rel, upper_code(insert, owner),
									upper_code(insert, list.slot[i]));
		to_new[i] = hnsw_code_distance(insert->query, upper_code(insert, list.slot[i]));
	}
	return hnsw_choose_place(&choice, force);
}

/* store a link if the list is as in the copy */
static bool
store_link(HnswInsert *insert, uint32 owner, const uint8_t *copy, int level, int place)
{
	HnswIndex  *index = insert->index;
	Buffer		buffer = lock_upper(insert, owner, level, BUFFER_LOCK_EXCLUSIVE);
	uint8_t    *slot;
	bool		same;

	if (!BufferIsValid(buffer))
		return false;
	slot = upper_slot(index, BufferGetPage(buffer), owner);
	same = memcmp(slot, copy, index->layout.upper_code_offset) == 0;
	if (same)
	{
		AmXlog	   *xlog = am_xlog_start(insert->rel);
		uint32		id = insert->upper + (uint32) (level - 1);
		uint8		nlinks = (uint8) Max(upper_head(slot)->nlinks, place + 1);

		am_xlog_buffer(xlog, buffer);
		am_xlog_put(xlog, 0, &upper_links(slot)[place], &id, sizeof(id));
		am_xlog_put(xlog, 0, &upper_head(slot)->nlinks, &nlinks, sizeof(nlinks));
		am_xlog_finish(xlog);
	}
	UnlockReleaseBuffer(buffer);
	return same;
}

static bool
link_back(HnswInsert *insert, uint32 owner, uint8_t *copy, int level, bool force)
{
	for (int i = 0; i < LINK_TRIES; i++)
	{
		int			place;

		if (i > 0 && (copy = copy_upper(insert, owner, level)) == NULL)
			return false;
		place = find_place(insert, copy, level, force);
		if (place < 0)
			return false;
		if (store_link(insert, owner, copy, level, place))
			return true;
	}
	return false;
}

/*
 * hnsw_upper_back_links
 *		Link back from the neighbors on the upper levels, from the highest down,
 *		on each from one at least.
 */
void
hnsw_upper_back_links(HnswInsert *insert)
{
	if (insert->upper == LINK_NONE)
		return;
	for (int level = insert->level; level > 0; level--)
	{
		InsertUpper *upper = &insert->uppers[level - 1];
		bool		linked = false;

		for (int i = 0; i < upper->nlinks; i++)
			linked |= link_back(insert, upper->links[i], upper->slots[i], level, false);
		for (int i = 0; i < upper->nlinks && !linked; i++)
			linked = link_back(insert, upper->links[i], upper->slots[i], level, true);
	}
}

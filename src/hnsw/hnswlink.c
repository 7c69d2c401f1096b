/*-------------------------------------------------------------------------
 *
 * hnswlink.c
 *	  The links of a new node: choosing them, and linking back.
 *
 * Everything is computed from copies, outside locks.  A list that has changed
 * meanwhile is tried again a few times and then left alone: links are hints
 * (H4).
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswinsert.h"

#include "am/am_xlog.h"
#include "common/hashfn.h"

#define LINK_TRIES	3

typedef struct NodeEntry
{
	uint32		id;
	char		status;
	InsertNode *node;
} NodeEntry;

#define SH_PREFIX insert_nodes
#define SH_ELEMENT_TYPE NodeEntry
#define SH_KEY_TYPE uint32
#define SH_KEY id
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*--- nodes ---------------------------------------------------------------*/

/*
 * hnsw_insert_nodes_init
 *		Start the table of nodes met, in the current memory context.
 */
void
hnsw_insert_nodes_init(HnswInsert *insert)
{
	insert->nodes = insert_nodes_create(CurrentMemoryContext, 512, NULL);
}

static void
copy_slot(HnswInsert *insert, InsertNode *node)
{
	HnswIndex  *index = insert->index;
	BlockNumber blkno;
	Buffer		buffer;
	Page		page;
	int			slotno;

	node->usable = false;
	node->page_has_room = false;
	if (!hnsw_locate(index, node->id, &blkno, &slotno))
		return;
	buffer = hnsw_read_hint(insert->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	memcpy(node->slot, hnsw_slot(index, page, slotno), index->layout.size);
	for (int i = 0; i < index->slots_per_page && !node->page_has_room; i++)
		node->page_has_room = slot_head(hnsw_slot(index, page, i))->state == SLOT_FREE;
	UnlockReleaseBuffer(buffer);
	node->usable = slot_ok(&index->layout, node->slot) &&
		slot_head(node->slot)->state != SLOT_FREE;
}

/*
 * hnsw_fetch
 *		A copy of a node's slot, from memory unless "again" is true.
 */
InsertNode *
hnsw_fetch(HnswInsert *insert, uint32 id, bool again)
{
	bool		found;
	NodeEntry  *entry = insert_nodes_insert(insert->nodes, id, &found);

	if (!found)
	{
		entry->node = palloc0(sizeof(InsertNode));
		entry->node->id = id;
		entry->node->slot = palloc(insert->index->layout.size);
	}
	if (!found || again)
	{
		entry->node->coords = NULL;
		copy_slot(insert, entry->node);
	}
	return entry->node;
}

static const uint8_t *
node_code(const HnswInsert *insert, const InsertNode *node)
{
	return node->slot + insert->index->layout.code_offset;
}

static float
node_pair(HnswInsert *insert, const InsertNode *a, const InsertNode *b)
{
	return hnsw_pair_distance(insert->index, insert->rel, node_code(insert, a),
							  node_code(insert, b));
}

/*--- sketches ------------------------------------------------------------*/

/* sketched coordinates of a code; palloc'd */
static float *
code_coords(const HnswIndex *index, const uint8_t *code)
{
	float	   *nav = palloc(sizeof(float) * index->model->dim);
	float	   *coords = palloc(sizeof(float) * Max(index->model->sketch_dims, 1));

	nav_decode(index->model, index->layout.nav_bits, code, nav);
	sketch_project(index->model, nav, coords);
	pfree(nav);
	return coords;
}

/* the sketch between the new node and another, one way or back */
static const SketchEdge *
make_edge(HnswInsert *insert, InsertNode *node, bool back, SketchEdge *edge)
{
	const HnswIndex *index = insert->index;
	const uint8_t *own = insert->value->code;
	const uint8_t *other;
	NavEdge		length;

	if (index->layout.ngroups == 0)
		return NULL;
	if (node->coords == NULL)
		node->coords = code_coords(index, node_code(insert, node));
	if (insert->coords == NULL)
		insert->coords = code_coords(index, insert->value->code);
	other = node_code(insert, node);
	length = nav_edge(index->model, index->layout.nav_bits, back ? other : own,
					  back ? own : other);
	sketch_encode(index->model, back ? node->coords : insert->coords,
				  back ? insert->coords : node->coords, length, edge);
	return edge;
}

/*--- own links -----------------------------------------------------------*/

/*
 * hnsw_select_links
 *		Choose at most "keep" of the candidates, as graph_select() does: those
 *		not nearer to one already chosen than to the new node; room left over
 *		takes those passed over.
 */
void
hnsw_select_links(HnswInsert *insert, int keep)
{
	InsertLink *passed = palloc(sizeof(InsertLink) * (Size) keep);
	int			npassed = 0;

	insert->nlinks = 0;
	for (int i = 0; i < insert->ncandidates && insert->nlinks < keep; i++)
	{
		InsertLink *candidate = &insert->candidates[i];
		bool		chosen = true;
		bool		equal = false;

		for (int j = 0; j < insert->nlinks && chosen; j++)
		{
			InsertNode *kept = insert->links[j].node;

			if (node_pair(insert, candidate->node, kept) <= candidate->distance)
			{
				chosen = false;
				equal = memcmp(node_code(insert, candidate->node), node_code(insert, kept),
							   insert->index->layout.code_size) == 0;
			}
		}
		if (chosen)
			insert->links[insert->nlinks++] = *candidate;
		else if (!equal && npassed < keep)
			passed[npassed++] = *candidate;
	}
	for (int i = 0; i < npassed && insert->nlinks < keep; i++)
		insert->links[insert->nlinks++] = passed[i];
	pfree(passed);
}

/*
 * hnsw_set_links
 *		Write the chosen links into the new node's slot, which has none.
 */
void
hnsw_set_links(HnswInsert *insert, uint8_t *slot)
{
	SketchEdge	edge;

	for (int i = 0; i < insert->nlinks; i++)
		slot_set_link(&insert->index->layout, slot, i, insert->links[i].node->id,
					  make_edge(insert, insert->links[i].node, false, &edge));
}

/* a node's page locked exclusively, if its slot is LIVE and of that generation */
static Buffer
lock_live(HnswInsert *insert, uint32 id, uint16 generation, int *slotno)
{
	BlockNumber blkno;
	Buffer		buffer;
	const NavSlotHead *head;

	if (!hnsw_locate(insert->index, id, &blkno, slotno))
		return InvalidBuffer;
	buffer = hnsw_read_hint(insert->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_NAV);
	if (!BufferIsValid(buffer))
		return InvalidBuffer;
	head = slot_head(hnsw_slot(insert->index, BufferGetPage(buffer), *slotno));
	if (head->state == SLOT_LIVE && head->generation == generation)
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * Make the links of a slot those of an image, copied from it a moment ago; the
 * new node's slot if "node" is that.  False if the slot is not LIVE, of another
 * generation, or its links have changed since.
 */
static bool
store_image(HnswInsert *insert, uint32 node, uint8_t *image)
{
	const SlotLayout *layout = &insert->index->layout;
	NavSlotHead *head = (NavSlotHead *) (void *) image;
	int			slotno;
	Buffer		buffer = lock_live(insert, node, head->generation, &slotno);
	uint8_t    *slot;
	bool		same;

	if (!BufferIsValid(buffer))
		return false;
	slot = hnsw_slot(insert->index, BufferGetPage(buffer), slotno);
	same = slot_head(slot)->version == head->version;
	if (same)
	{
		AmXlog	   *xlog = am_xlog_start(insert->rel);
		NavSlotHead now = *slot_head(slot);

		/* rows and upper slots are not ours to change */
		now.nlinks = head->nlinks;
		now.version = ++head->version;
		am_xlog_buffer(xlog, buffer);
		am_xlog_put(xlog, 0, slot, &now, sizeof(now));
		am_xlog_put(xlog, 0, slot + layout->links_offset, image + layout->links_offset,
					layout->code_offset - layout->links_offset);
		am_xlog_finish(xlog);
	}
	UnlockReleaseBuffer(buffer);
	return same;
}

/*
 * hnsw_store_links
 *		Write the chosen links into the new node when it is LIVE already, unless
 *		others have linked to it meanwhile.
 */
void
hnsw_store_links(HnswInsert *insert)
{
	InsertNode *own = hnsw_fetch(insert, insert->node, true);

	if (!own->usable || slot_head(own->slot)->generation != insert->generation ||
		slot_head(own->slot)->nlinks > 0)
		return;
	hnsw_set_links(insert, own->slot);
	store_image(insert, insert->node, own->slot);
}

/*--- links back ----------------------------------------------------------*/

/* whether an element nearer to the owner than element i leads to i anyway */
static bool
occluded(const ListChoice *choice, int i)
{
	for (int j = 0; j < choice->n; j++)
	{
		if (j != i && choice->own[j] < choice->own[i] &&
			choice->pair(choice->arg, i, j) <= choice->own[i])
			return true;
	}
	return false;
}

/* elements of a list, the farthest from its owner first */
static void
sort_farthest(const ListChoice *choice, int *order)
{
	for (int i = 0; i < choice->n; i++)
	{
		int			j = i;

		for (; j > 0 && choice->own[order[j - 1]] < choice->own[i]; j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
}

static bool
may_go(const ListChoice *choice, int i)
{
	return choice->spare == NULL || choice->spare(choice->arg, i);
}

/*
 * hnsw_choose_place
 *		Which element of a full list should give way to a new node; -1: none.
 *
 * The heuristic of HNSW for one replacement: a new node to which an element
 * leads is turned away; else the farthest element goes to which the new node
 * leads, else the farthest to which another leads, else the farthest of all if
 * farther than the new node.  One that cannot be spared stays.  With force some
 * element goes in any case.
 */
int
hnsw_choose_place(const ListChoice *choice, bool force)
{
	int			order[VEC_SCAN_MAX_LINKS];

	for (int i = 0; i < choice->n && !force; i++)
	{
		if (choice->own[i] < choice->new_own && choice->to_new[i] <= choice->new_own)
			return -1;
	}
	sort_farthest(choice, order);
	for (int k = 0; k < choice->n && choice->own[order[k]] > choice->new_own; k++)
	{
		if (choice->to_new[order[k]] <= choice->own[order[k]] && may_go(choice, order[k]))
			return order[k];
	}
	for (int k = 0; k < choice->n; k++)
	{
		if (occluded(choice, order[k]) && may_go(choice, order[k]))
			return order[k];
	}
	for (int k = 0; k < choice->n && (force || choice->own[order[k]] > choice->new_own); k++)
	{
		if (may_go(choice, order[k]))
			return order[k];
	}
	return force ? order[0] : -1;
}

typedef struct NodeList
{
	HnswInsert *insert;
	const InsertNode *owner;
	InsertNode *node[VEC_SCAN_MAX_LINKS];
} NodeList;

static float
list_pair(void *arg, int i, int j)
{
	NodeList   *list = arg;

	return node_pair(list->insert, list->node[i], list->node[j]);
}

static bool
leads_to(const SlotLayout *layout, const InsertNode *from, uint32 id)
{
	const uint32_t *links = slot_links(layout, from->slot);
	bool		found = false;

	/* no early end: so that it is done many at a time */
	for (int i = 0; i < slot_head(from->slot)->nlinks; i++)
		found |= links[i] == id;
	return found;
}

/*
 * Whether a list can do without a node: if the owner still leads to it in two or
 * three steps, by the new node or by another on the list.  So what could be
 * reached before can be reached after.
 */
static bool
is_spare(HnswInsert *insert, const InsertNode *owner, uint32 id)
{
	const SlotLayout *layout = &insert->index->layout;
	const uint32_t *links = slot_links(layout, owner->slot);

	for (int i = 0; i < insert->nlinks; i++)
	{
		const InsertNode *step = insert->links[i].node;

		if (step->id == id || (step != owner && leads_to(layout, step, id)))
			return true;
	}
	for (int i = 0; i < slot_head(owner->slot)->nlinks; i++)
	{
		const InsertNode *step;

		if (links[i] == id || links[i] == insert->node)
			continue;
		step = hnsw_fetch(insert, links[i], false);
		if (step->usable && slot_head(step->slot)->state == SLOT_LIVE &&
			leads_to(layout, step, id))
			return true;
	}
	return false;
}

static bool
list_spare(void *arg, int i)
{
	NodeList   *list = arg;

	return is_spare(list->insert, list->owner, list->node[i]->id);
}

/* whether a node found near the new one, and on the list, leads to it */
static bool
known_occlusion(HnswInsert *insert, const InsertNode *owner, float distance)
{
	const uint32_t *links = slot_links(&insert->index->layout, owner->slot);
	int			n = slot_head(owner->slot)->nlinks;

	for (int i = 0; i < insert->ncandidates && insert->candidates[i].distance <= distance; i++)
	{
		InsertNode *between = insert->candidates[i].node;

		for (int j = 0; j < n; j++)
		{
			if (links[j] == between->id && between != owner &&
				node_pair(insert, owner, between) < distance)
				return true;
		}
	}
	return false;
}

/*
 * The place for the new node in a copy of a list: behind its end, that of a
 * link to nowhere, or of one that gives way; -1: none.
 */
static int
find_place(HnswInsert *insert, const InsertNode *owner, float distance, bool force)
{
	const SlotLayout *layout = &insert->index->layout;
	const uint32_t *links = slot_links(layout, owner->slot);
	float		own[VEC_SCAN_MAX_LINKS];
	float		to_new[VEC_SCAN_MAX_LINKS];
	NodeList	list;
	ListChoice	choice = {
		.own = own, .to_new = to_new, .pair = list_pair, .spare = list_spare, .arg = &list
	};

	choice.n = slot_head(owner->slot)->nlinks;
	choice.new_own = distance;
	for (int i = 0; i < choice.n; i++)
	{
		if (links[i] == insert->node)
			return -1;
	}
	for (int i = 0; i < choice.n; i++)
	{
		if (links[i] == LINK_NONE)
			return i;
	}
	if (choice.n < layout->links)
		return choice.n;
	if (!force && known_occlusion(insert, owner, distance))
		return -1;

	list.insert = insert;
	list.owner = owner;
	for (int i = 0; i < choice.n; i++)
	{
		list.node[i] = hnsw_fetch(insert, links[i], false);
		if (!list.node[i]->usable || slot_head(list.node[i]->slot)->state == SLOT_DEAD)
			return i;
		own[i] = node_pair(insert, owner, list.node[i]);
		to_new[i] = hnsw_code_distance(insert->query, node_code(insert, list.node[i]));
	}
	return hnsw_choose_place(&choice, force);
}

/*
 * Link from the new node to one that lost a link to it and perhaps had no
 * other; where there is no room, leave it to vacuum.
 */
static void
adopt(HnswInsert *insert, uint32 id)
{
	const SlotLayout *layout = &insert->index->layout;
	InsertNode *node = hnsw_fetch(insert, id, false);
	InsertNode *own = hnsw_fetch(insert, insert->node, true);
	SketchEdge	room;

	if (!node->usable || !own->usable || slot_head(own->slot)->generation != insert->generation)
		return;
	if (slot_head(own->slot)->nlinks < layout->links)
	{
		slot_set_link(layout, own->slot, slot_head(own->slot)->nlinks, id,
					  make_edge(insert, node, false, &room));
		if (store_image(insert, insert->node, own->slot))
			return;
	}
	hnsw_note_repair(insert->rel, 1);
}

/* link from a neighbor to the new node; returns whether it does now */
static bool
link_back(HnswInsert *insert, const InsertLink *link, bool force)
{
	const SlotLayout *layout = &insert->index->layout;
	InsertNode *owner = link->node;
	uint16		generation = slot_head(owner->slot)->generation;

	for (int i = 0; i < LINK_TRIES; i++)
	{
		SketchEdge	room;
		uint32		lost = LINK_NONE;
		int			place;

		if (i > 0)
			hnsw_fetch(insert, owner->id, true);
		if (!owner->usable || slot_head(owner->slot)->generation != generation)
			return false;
		place = find_place(insert, owner, link->distance, force);
		if (place < 0)
			return false;
		if (force && place < slot_head(owner->slot)->nlinks)
			lost = slot_links(layout, owner->slot)[place];
		slot_set_link(layout, owner->slot, place, insert->node,
					  make_edge(insert, owner, true, &room));
		if (!store_image(insert, owner->id, owner->slot))
			continue;
		if (lost != LINK_NONE && !is_spare(insert, owner, lost))
			adopt(insert, lost);
		return true;
	}
	return false;
}

/*
 * hnsw_back_links
 *		Link from the chosen neighbors to the new node, from one at least.
 */
void
hnsw_back_links(HnswInsert *insert)
{
	bool		linked = false;

	for (int i = 0; i < insert->nlinks; i++)
		linked |= link_back(insert, &insert->links[i], false);
	for (int i = 0; i < insert->nlinks && !linked; i++)
		linked = link_back(insert, &insert->links[i], true);
}

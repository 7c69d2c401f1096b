/*-------------------------------------------------------------------------
 *
 * hnswtids.c
 *	  The further rows of a node: chains of tids slots (README.md, H5 to H7).
 *
 * A chain is changed only under the exclusive lock of its node's nav page, and
 * read under a share lock of it; the tids pages' own locks keep the nodes whose
 * slots share a page apart.
 *
 * A free tids slot is all zeros.  One that is linked but has lost its rows has
 * ntids = 0 and next != 0: block 0 is the metapage, so no id is 0.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include "access/genam.h"
#include "miscadmin.h"

/* a tids slot as vacuum remembers it */
typedef struct ChainLink
{
	uint32		id;
	uint32		next;
	int			ntids;
} ChainLink;

/* a chain being vacuumed */
typedef struct Chain
{
	Relation	rel;
	const HnswIndex *index;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	ChainLink  *links;
	int			n;
	int			room;
	bool		has_keys;		/* of a row that stays */
	bool		mixed;			/* rows that stay have different keys */
	uint64		keys[INDEX_MAX_KEYS + 1];
} Chain;

static BlockNumber
tids_block(const HnswIndex *index, uint32 id)
{
	return id / index->tids_per_page;
}

static HnswTidsSlot *
tids_slot(const HnswIndex *index, Page page, uint32 id)
{
	return (HnswTidsSlot *) (void *) (HnswPageData(page) +
									  id % index->tids_per_page * index->tids_size);
}

static Buffer
lock_tids(Relation rel, const HnswIndex *index, uint32 id, int mode)
{
	if (tids_block(index, id) == 0)
		hnsw_corrupt(rel, 0, "chain of rows leads to the metapage");
	return hnsw_read(rel, tids_block(index, id), mode, HNSW_PAGE_TIDS);
}

/* the keys of a slot's i-th row; of no use where there are none */
static uint64 *
row_keys(const HnswIndex *index, HnswTidsSlot *slot, int i)
{
	return hnsw_tids_keys(slot, index->params.nwords, i);
}

static Size
keys_size(const HnswIndex *index)
{
	return index->params.nwords * sizeof(uint64);
}

/* a row into a place of a slot */
static void
put_row(const HnswIndex *index, HnswTidsSlot *slot, int i, const ItemPointerData *tid,
		const uint64 *keys)
{
	slot->tids[i] = *tid;
	if (index->params.nwords > 0)
		memmove(row_keys(index, slot, i), keys, keys_size(index));
}

/* no rows from a place on */
static void
clear_rows(const HnswIndex *index, HnswTidsSlot *slot, int from)
{
	int			n = HNSW_TIDS_PER_SLOT - from;

	memset(slot->tids + from, 0, (Size) n * sizeof(ItemPointerData));
	if (index->params.nwords > 0)
		memset(row_keys(index, slot, from), 0, (Size) n * keys_size(index));
	slot->ntids = (uint16) from;
}

/*--- adding --------------------------------------------------------------*/

static int
find_free_tids(Page page, const void *arg, int n)
{
	const HnswIndex *index = arg;

	for (uint32 i = 0; i < index->tids_per_page; i++)
	{
		const HnswTidsSlot *slot = tids_slot(index, page, i);

		if (slot->ntids == 0 && slot->next == 0)
			return (int) i;
	}
	return -1;
}

/* room in the chain's first slot?  Then the row goes there. */
static bool
add_to_head(Relation rel, const HnswIndex *index, GenericXLogState *state, uint32 id,
			ItemPointer tid, const uint64 *keys, Buffer *buffer)
{
	HnswTidsSlot *slot;

	*buffer = lock_tids(rel, index, id, BUFFER_LOCK_EXCLUSIVE);
	slot = tids_slot(index, BufferGetPage(*buffer), id);
	if (slot->next == 0 || slot->ntids > HNSW_TIDS_PER_SLOT)
		hnsw_corrupt(rel, tids_block(index, id), "chain of rows leads to a free slot");
	if (slot->ntids == HNSW_TIDS_PER_SLOT)
	{
		UnlockReleaseBuffer(*buffer);
		return false;
	}
	slot = tids_slot(index, GenericXLogRegisterBuffer(state, *buffer, 0), id);
	put_row(index, slot, slot->ntids++, tid, keys);
	return true;
}

/*
 * hnsw_differs
 *		Whether a node becomes mixed by a row with these keys.
 */
bool
hnsw_differs(const HnswIndex *index, const uint8_t *slot, const uint64 *keys)
{
	return index->params.nwords > 0 && (slot_head(slot)->flags & SLOT_MIXED) == 0 &&
		memcmp(slot_keys(&index->layout, slot), keys, keys_size(index)) != 0;
}

/*
 * hnsw_add_tid
 *		Add a row to a LIVE node, with its keys (H11).
 *
 * slot is the node's, in the image of its page registered in state; the caller
 * holds that page exclusively, finishes the record and then releases the
 * buffer returned.  Takes constant time however many rows the node has.
 */
Buffer
hnsw_add_tid(Relation rel, HnswIndex *index, GenericXLogState *state, uint8_t *slot,
			 ItemPointer tid, const uint64 *keys)
{
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	HnswTidsSlot *added;
	Buffer		buffer;
	Page		page;
	int			place;

	if (hnsw_differs(index, slot, keys))
		head->flags |= SLOT_MIXED;
	if (head->more != LINK_NONE &&
		add_to_head(rel, index, state, head->more, tid, keys, &buffer))
		return buffer;

	buffer = hnsw_find_room(rel, HNSW_PAGE_TIDS, find_free_tids, index, 1, &place);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	added = tids_slot(index, page, (uint32) place);
	hnsw_page_cover(page, (uint8_t *) added + index->tids_size);
	memset(added, 0, index->tids_size);
	added->next = head->more;
	added->ntids = 1;
	put_row(index, added, 0, tid, keys);
	head->more = BufferGetBlockNumber(buffer) * index->tids_per_page + (uint32) place;
	return buffer;
}

/*--- reading -------------------------------------------------------------*/

/*
 * hnsw_add_row
 *		Put a row behind the others, unless the query does not accept it.
 */
void
hnsw_add_row(HnswRows *rows, const ItemPointerData *tid, const uint64 *keys)
{
	FilterResult result = rows->query == NULL ? FILTER_YES :
		hnsw_accepts_row(rows->query, tid, keys);

	if (result == FILTER_NO)
		return;
	rows->recheck |= result == FILTER_MAYBE;
	if (rows->n == rows->room)
	{
		rows->room = Max(rows->room * 2, 64);
		rows->tids = repalloc_huge(rows->tids,
								   mul_size((Size) rows->room, sizeof(ItemPointerData)));
	}
	rows->tids[rows->n++] = *tid;
}

/*
 * hnsw_chain_rows
 *		Put the rows of a chain behind those that there are.  "keys" are those of
 *		all of them; NULL: each has its own.
 *
 * The caller holds the node's nav page, in share mode at least.  On a standby
 * that does not keep the chain still, for replay takes the lock of the page it
 * changes only; but a slot is freed after it was bypassed, so that going from
 * lock to lock along the chain suffices.
 */
void
hnsw_chain_rows(Relation rel, const HnswIndex *index, uint32 id, const uint64 *keys,
				HnswRows *rows)
{
	Buffer		buffer = InvalidBuffer;
	Size		most;

	if (id == LINK_NONE)
		return;
	most = (Size) RelationGetNumberOfBlocks(rel) * index->tids_per_page;
	for (Size steps = 0; id != LINK_NONE; steps++)
	{
		HnswTidsSlot *slot;

		if (steps > most)
			hnsw_corrupt(rel, tids_block(index, id), "chain of rows runs in a circle");
		if (!BufferIsValid(buffer) || BufferGetBlockNumber(buffer) != tids_block(index, id))
		{
			/* lock the next before letting go: replay cannot free it in between */
			Buffer		next = lock_tids(rel, index, id, BUFFER_LOCK_SHARE);

			if (BufferIsValid(buffer))
				UnlockReleaseBuffer(buffer);
			buffer = next;
		}
		slot = tids_slot(index, BufferGetPage(buffer), id);
		if (slot->next == 0 || slot->ntids > HNSW_TIDS_PER_SLOT)
			hnsw_corrupt(rel, tids_block(index, id), "chain of rows leads to a free slot");
		for (int i = 0; i < slot->ntids; i++)
			hnsw_add_row(rows, &slot->tids[i], keys != NULL ? keys : row_keys(index, slot, i));
		id = slot->next;
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

/*--- removing ------------------------------------------------------------*/

/* note the keys of a row that stays */
static void
note_keys(Chain *chain, const uint64 *keys)
{
	Size		size = keys_size(chain->index);

	if (size == 0)
		return;
	if (!chain->has_keys)
		memcpy(chain->keys, keys, size);
	else if (memcmp(chain->keys, keys, size) != 0)
		chain->mixed = true;
	chain->has_keys = true;
}

/* drop the dead rows of one slot; slot may be an image of the page */
static void
filter_slot(Chain *chain, HnswTidsSlot *slot)
{
	const HnswIndex *index = chain->index;
	int			kept = 0;

	for (int i = 0; i < slot->ntids; i++)
	{
		if (chain->callback(&slot->tids[i], chain->callback_state))
			continue;
		note_keys(chain, row_keys(index, slot, i));
		put_row(index, slot, kept++, &slot->tids[i], row_keys(index, slot, i));
	}
	clear_rows(index, slot, kept);
}

static void
remember_link(Chain *chain, uint32 id, const HnswTidsSlot *slot)
{
	if (chain->n == chain->room)
	{
		chain->room *= 2;
		chain->links = repalloc_huge(chain->links, mul_size((Size) chain->room,
															sizeof(ChainLink)));
	}
	chain->links[chain->n].id = id;
	chain->links[chain->n].next = slot->next;
	chain->links[chain->n].ntids = slot->ntids;
	chain->n++;
}

/*
 * Drop the dead rows of the chain's slots that lie on one page, one record;
 * returns the first slot on another page.
 */
static uint32
filter_page(Chain *chain, uint32 id, Size most, double *removed)
{
	const HnswIndex *index = chain->index;
	Relation	rel = chain->rel;
	Buffer		buffer = lock_tids(rel, index, id, BUFFER_LOCK_EXCLUSIVE);
	BlockNumber blkno = tids_block(index, id);
	GenericXLogState *state = GenericXLogStart(rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	bool		changed = false;

	while (id != LINK_NONE && tids_block(index, id) == blkno)
	{
		HnswTidsSlot *slot = tids_slot(index, page, id);
		int			before = slot->ntids;

		if (slot->next == 0 || slot->ntids > HNSW_TIDS_PER_SLOT)
			hnsw_corrupt(rel, blkno, "chain of rows leads to a free slot");
		if ((Size) chain->n > most)
			hnsw_corrupt(rel, blkno, "chain of rows runs in a circle");
		filter_slot(chain, slot);
		*removed += before - slot->ntids;
		changed |= before != slot->ntids;
		remember_link(chain, id, slot);
		id = slot->next;
	}
	if (changed)
		GenericXLogFinish(state);
	else
		GenericXLogAbort(state);
	UnlockReleaseBuffer(buffer);
	return id;
}

/* bypass the slots without rows behind the first one with rows */
static void
unlink_inner(Chain *chain)
{
	int			last = -1;

	for (int i = 0; i <= chain->n; i++)
	{
		uint32		id = i < chain->n ? chain->links[i].id : LINK_NONE;

		if (i < chain->n && chain->links[i].ntids == 0)
			continue;
		if (last >= 0 && chain->links[last].next != id)
		{
			uint32		changed = chain->links[last].id;
			Buffer		buffer = lock_tids(chain->rel, chain->index, changed,
										   BUFFER_LOCK_EXCLUSIVE);
			GenericXLogState *state = GenericXLogStart(chain->rel);
			Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

			tids_slot(chain->index, page, changed)->next = id;
			GenericXLogFinish(state);
			UnlockReleaseBuffer(buffer);
			chain->links[last].next = id;
		}
		last = i;
	}
}

/* make free the slots noted as without rows; nothing leads to them any more */
static void
free_empty(const Chain *chain)
{
	const HnswIndex *index = chain->index;
	int			i = 0;

	while (i < chain->n)
	{
		BlockNumber blkno = tids_block(index, chain->links[i].id);
		GenericXLogState *state;
		Buffer		buffer;
		Page		page;

		if (chain->links[i].ntids > 0)
		{
			i++;
			continue;
		}
		buffer = lock_tids(chain->rel, index, chain->links[i].id, BUFFER_LOCK_EXCLUSIVE);
		state = GenericXLogStart(chain->rel);
		page = GenericXLogRegisterBuffer(state, buffer, 0);
		for (; i < chain->n && tids_block(index, chain->links[i].id) == blkno; i++)
		{
			if (chain->links[i].ntids == 0)
				memset(tids_slot(index, page, chain->links[i].id), 0, index->tids_size);
		}
		GenericXLogFinish(state);
		hnsw_add_room(chain->rel, buffer, HNSW_PAGE_TIDS);
		UnlockReleaseBuffer(buffer);
	}
}

/* the last row of the chain's first slot becomes the nav slot's own; a buffer to release */
static Buffer
promote(Chain *chain, ChainLink *link, GenericXLogState *state, uint8_t *nav)
{
	const HnswIndex *index = chain->index;
	NavSlotHead *head = (NavSlotHead *) (void *) nav;
	Buffer		buffer = lock_tids(chain->rel, index, link->id, BUFFER_LOCK_EXCLUSIVE);
	HnswTidsSlot *slot = tids_slot(index, GenericXLogRegisterBuffer(state, buffer, 0), link->id);
	int			last = slot->ntids - 1;

	memcpy(head->tid, &slot->tids[last], SLOT_TID_SIZE);
	slot_set_keys(&index->layout, nav, row_keys(index, slot, last));
	clear_rows(index, slot, last);
	if (--link->ntids == 0)
		head->more = link->next;
	return buffer;
}

/*
 * The nav slot's own part, one record: its row, if dead, is replaced by one of
 * the chain; slots without rows at the chain's head are bypassed; whether keys
 * differ is what was seen.  Without any row the slot becomes DEAD.
 */
static bool
update_nav(Chain *chain, Buffer buffer, int slotno, bool dead)
{
	GenericXLogState *state = GenericXLogStart(chain->rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	uint8_t    *slot = hnsw_slot(chain->index, page, slotno);
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	Buffer		tidsbuf = InvalidBuffer;
	int			first = 0;
	bool		live = true;

	while (first < chain->n && chain->links[first].ntids == 0)
		first++;
	head->more = first < chain->n ? chain->links[first].id : LINK_NONE;
	if (!chain->mixed)
		head->flags &= (uint8_t) ~SLOT_MIXED;

	if (dead && first < chain->n)
		tidsbuf = promote(chain, &chain->links[first], state, slot);
	else if (dead)
	{
		ItemPointerData none;

		ItemPointerSetInvalid(&none);
		memcpy(head->tid, &none, SLOT_TID_SIZE);
		head->state = SLOT_DEAD;
		live = false;
	}
	GenericXLogFinish(state);
	if (BufferIsValid(tidsbuf))
		UnlockReleaseBuffer(tidsbuf);
	if (live && chain->index->filter_entries > 0 && !chain->mixed)
		hnsw_filter_narrow(chain->rel, chain->index,
						   hnsw_node_at(chain->index, BufferGetBlockNumber(buffer), slotno),
						   slot_keys(&chain->index->layout,
									 hnsw_slot(chain->index, BufferGetPage(buffer), slotno)));
	return live;
}

/*
 * hnsw_remove_tids
 *		Vacuum a LIVE node's rows; returns false if none is left and the slot is
 *		DEAD now.
 *
 * The caller holds the nav page exclusively and has no generic WAL record open
 * for it.  Adds to *removed and *kept.  In every step's record each row stands
 * in one place, and a slot is freed only after nothing leads to it, so that a
 * crash can at worst leave free slots that look used, and a node that looks
 * mixed.
 */
bool
hnsw_remove_tids(Relation rel, HnswIndex *index, Buffer buffer, int slotno,
				 IndexBulkDeleteCallback callback, void *callback_state,
				 double *removed, double *kept)
{
	const uint8_t *slot = hnsw_slot(index, BufferGetPage(buffer), slotno);
	Size		most = (Size) RelationGetNumberOfBlocks(rel) * index->tids_per_page;
	ItemPointerData own;
	uint32		id = slot_head(slot)->more;
	bool		was_mixed = (slot_head(slot)->flags & SLOT_MIXED) != 0;
	Chain		chain = {.rel = rel, .index = index, .callback = callback,
	.callback_state = callback_state};
	bool		dead;
	bool		empty = false;
	bool		live = true;

	memcpy(&own, slot_head(slot)->tid, SLOT_TID_SIZE);
	dead = callback(&own, callback_state);
	if (!dead)
		note_keys(&chain, slot_keys(&index->layout, slot));
	chain.room = 16;
	chain.links = palloc(sizeof(ChainLink) * (Size) chain.room);
	while (id != LINK_NONE)
		id = filter_page(&chain, id, most, removed);
	for (int i = 0; i < chain.n; i++)
	{
		empty |= chain.links[i].ntids == 0;
		*kept += chain.links[i].ntids;
	}
	*removed += dead;
	*kept += !dead;

	if (empty)
		unlink_inner(&chain);
	if (dead || (empty && chain.links[0].ntids == 0) || (was_mixed && !chain.mixed))
		live = update_nav(&chain, buffer, slotno, dead);
	if (empty || dead)
		free_empty(&chain);
	pfree(chain.links);
	return live;
}

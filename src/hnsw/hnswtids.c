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

typedef struct Chain
{
	ChainLink  *links;
	int			n;
	int			room;
} Chain;

static BlockNumber
tids_block(uint32 id)
{
	return id / HNSW_TIDS_SLOTS;
}

static HnswTidsSlot *
tids_slot(Page page, uint32 id)
{
	return (HnswTidsSlot *) (void *) HnswPageData(page) + id % HNSW_TIDS_SLOTS;
}

static Buffer
lock_tids(Relation rel, uint32 id, int mode)
{
	if (tids_block(id) == 0)
		hnsw_corrupt(rel, 0, "chain of rows leads to the metapage");
	return hnsw_read(rel, tids_block(id), mode, HNSW_PAGE_TIDS);
}

/*--- adding --------------------------------------------------------------*/

static int
find_free_tids(Page page, const void *arg, int n)
{
	const HnswTidsSlot *slots = (const HnswTidsSlot *) (void *) HnswPageData(page);

	for (int i = 0; i < (int) HNSW_TIDS_SLOTS; i++)
	{
		if (slots[i].ntids == 0 && slots[i].next == 0)
			return i;
	}
	return -1;
}

/* room in the chain's first slot?  Then the row goes there. */
static bool
add_to_head(Relation rel, GenericXLogState *state, uint32 id, ItemPointer tid, Buffer *buffer)
{
	HnswTidsSlot *slot;

	*buffer = lock_tids(rel, id, BUFFER_LOCK_EXCLUSIVE);
	slot = tids_slot(BufferGetPage(*buffer), id);
	if (slot->next == 0 || slot->ntids > HNSW_TIDS_PER_SLOT)
		hnsw_corrupt(rel, tids_block(id), "chain of rows leads to a free slot");
	if (slot->ntids == HNSW_TIDS_PER_SLOT)
	{
		UnlockReleaseBuffer(*buffer);
		return false;
	}
	slot = tids_slot(GenericXLogRegisterBuffer(state, *buffer, 0), id);
	slot->tids[slot->ntids++] = *tid;
	return true;
}

/*
 * hnsw_add_tid
 *		Add a row to a LIVE node.
 *
 * slot is the node's, in the image of its page registered in state; the caller
 * holds that page exclusively, finishes the record and then releases the
 * buffer returned.  Takes constant time however many rows the node has.
 */
Buffer
hnsw_add_tid(Relation rel, HnswIndex *index, GenericXLogState *state, uint8_t *slot,
			 ItemPointer tid)
{
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	HnswTidsSlot *added;
	Buffer		buffer;
	Page		page;
	int			place;

	if (head->more != LINK_NONE && add_to_head(rel, state, head->more, tid, &buffer))
		return buffer;

	buffer = hnsw_find_room(rel, HNSW_PAGE_TIDS, find_free_tids, NULL, 1, &place);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	added = (HnswTidsSlot *) (void *) HnswPageData(page) + place;
	hnsw_page_cover(page, (uint8_t *) (added + 1));
	memset(added, 0, sizeof(*added));
	added->next = head->more;
	added->ntids = 1;
	added->tids[0] = *tid;
	head->more = BufferGetBlockNumber(buffer) * (uint32) HNSW_TIDS_SLOTS + (uint32) place;
	return buffer;
}

/*--- reading -------------------------------------------------------------*/

/*
 * hnsw_chain_tids
 *		Copy the rows of a chain behind the n there are in *tids, an array of
 *		*room elements that is enlarged as needed; returns how many there are.
 *
 * The caller holds the node's nav page, in share mode at least.  On a standby
 * that does not keep the chain still, for replay takes the lock of the page it
 * changes only; but a slot is freed after it was bypassed, so that going from
 * lock to lock along the chain suffices.
 */
int
hnsw_chain_tids(Relation rel, uint32 id, ItemPointerData **tids, int n, int *room)
{
	Buffer		buffer = InvalidBuffer;
	Size		most;

	if (id == LINK_NONE)
		return n;
	most = (Size) RelationGetNumberOfBlocks(rel) * HNSW_TIDS_SLOTS;
	for (Size steps = 0; id != LINK_NONE; steps++)
	{
		const HnswTidsSlot *slot;

		if (steps > most)
			hnsw_corrupt(rel, tids_block(id), "chain of rows runs in a circle");
		if (!BufferIsValid(buffer) || BufferGetBlockNumber(buffer) != tids_block(id))
		{
			/* lock the next before letting go: replay cannot free it in between */
			Buffer		next = lock_tids(rel, id, BUFFER_LOCK_SHARE);

			if (BufferIsValid(buffer))
				UnlockReleaseBuffer(buffer);
			buffer = next;
		}
		slot = tids_slot(BufferGetPage(buffer), id);
		if (slot->next == 0 || slot->ntids > HNSW_TIDS_PER_SLOT)
			hnsw_corrupt(rel, tids_block(id), "chain of rows leads to a free slot");
		if (n + HNSW_TIDS_PER_SLOT > *room)
		{
			*room = Max(*room * 2, 64);
			*tids = repalloc_huge(*tids, mul_size((Size) *room, sizeof(ItemPointerData)));
		}
		memcpy(*tids + n, slot->tids, slot->ntids * sizeof(ItemPointerData));
		n += slot->ntids;
		id = slot->next;
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
	return n;
}

/*--- removing ------------------------------------------------------------*/

/* drop the dead rows of one slot; slot may be an image of the page */
static int
filter_slot(HnswTidsSlot *slot, IndexBulkDeleteCallback callback, void *callback_state)
{
	int			kept = 0;

	for (int i = 0; i < slot->ntids; i++)
	{
		if (!callback(&slot->tids[i], callback_state))
			slot->tids[kept++] = slot->tids[i];
	}
	memset(slot->tids + kept, 0, (size_t) (slot->ntids - kept) * sizeof(ItemPointerData));
	slot->ntids = (uint16) kept;
	return kept;
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
filter_page(Relation rel, Chain *chain, uint32 id, Size most, IndexBulkDeleteCallback callback,
			void *callback_state, double *removed)
{
	Buffer		buffer = lock_tids(rel, id, BUFFER_LOCK_EXCLUSIVE);
	BlockNumber blkno = tids_block(id);
	GenericXLogState *state = GenericXLogStart(rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	bool		changed = false;

	while (id != LINK_NONE && tids_block(id) == blkno)
	{
		HnswTidsSlot *slot = tids_slot(page, id);
		int			before = slot->ntids;

		if (slot->next == 0 || slot->ntids > HNSW_TIDS_PER_SLOT)
			hnsw_corrupt(rel, blkno, "chain of rows leads to a free slot");
		if ((Size) chain->n > most)
			hnsw_corrupt(rel, blkno, "chain of rows runs in a circle");
		filter_slot(slot, callback, callback_state);
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
unlink_inner(Relation rel, Chain *chain)
{
	int			last = -1;

	for (int i = 0; i <= chain->n; i++)
	{
		uint32		id = i < chain->n ? chain->links[i].id : LINK_NONE;

		if (i < chain->n && chain->links[i].ntids == 0)
			continue;
		if (last >= 0 && chain->links[last].next != id)
		{
			Buffer		buffer = lock_tids(rel, chain->links[last].id, BUFFER_LOCK_EXCLUSIVE);
			GenericXLogState *state = GenericXLogStart(rel);
			Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

			tids_slot(page, chain->links[last].id)->next = id;
			GenericXLogFinish(state);
			UnlockReleaseBuffer(buffer);
			chain->links[last].next = id;
		}
		last = i;
	}
}

/* make free the slots noted as without rows; nothing leads to them any more */
static void
free_empty(Relation rel, const Chain *chain)
{
	int			i = 0;

	while (i < chain->n)
	{
		BlockNumber blkno = tids_block(chain->links[i].id);
		GenericXLogState *state;
		Buffer		buffer;
		Page		page;

		if (chain->links[i].ntids > 0)
		{
			i++;
			continue;
		}
		buffer = lock_tids(rel, chain->links[i].id, BUFFER_LOCK_EXCLUSIVE);
		state = GenericXLogStart(rel);
		page = GenericXLogRegisterBuffer(state, buffer, 0);
		for (; i < chain->n && tids_block(chain->links[i].id) == blkno; i++)
		{
			if (chain->links[i].ntids == 0)
				memset(tids_slot(page, chain->links[i].id), 0, sizeof(HnswTidsSlot));
		}
		GenericXLogFinish(state);
		hnsw_add_room(rel, buffer, HNSW_PAGE_TIDS);
		UnlockReleaseBuffer(buffer);
	}
}

/*
 * The nav slot's own part, one record: its row, if dead, is replaced by one of
 * the chain; slots without rows at the chain's head are bypassed.  Without any
 * row the slot becomes DEAD.
 */
static bool
update_nav(Relation rel, HnswIndex *index, Buffer buffer, int slotno, Chain *chain, bool dead)
{
	GenericXLogState *state = GenericXLogStart(rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	NavSlotHead *head = (NavSlotHead *) (void *) hnsw_slot(index, page, slotno);
	Buffer		tidsbuf = InvalidBuffer;
	int			first = 0;
	bool		live = true;

	while (first < chain->n && chain->links[first].ntids == 0)
		first++;
	head->more = first < chain->n ? chain->links[first].id : LINK_NONE;

	if (dead && first < chain->n)
	{
		ChainLink  *link = &chain->links[first];
		HnswTidsSlot *slot;

		tidsbuf = lock_tids(rel, link->id, BUFFER_LOCK_EXCLUSIVE);
		slot = tids_slot(GenericXLogRegisterBuffer(state, tidsbuf, 0), link->id);
		slot->ntids--;
		memcpy(head->tid, &slot->tids[slot->ntids], SLOT_TID_SIZE);
		memset(&slot->tids[slot->ntids], 0, sizeof(ItemPointerData));
		if (--link->ntids == 0)
			head->more = link->next;
	}
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
 * crash can at worst leave free slots that look used.
 */
bool
hnsw_remove_tids(Relation rel, HnswIndex *index, Buffer buffer, int slotno,
				 IndexBulkDeleteCallback callback, void *callback_state,
				 double *removed, double *kept)
{
	const NavSlotHead *head = slot_head(hnsw_slot(index, BufferGetPage(buffer), slotno));
	Size		most = (Size) RelationGetNumberOfBlocks(rel) * HNSW_TIDS_SLOTS;
	ItemPointerData own;
	uint32		id = head->more;
	Chain		chain;
	bool		dead;
	bool		empty = false;
	bool		live = true;

	memcpy(&own, head->tid, SLOT_TID_SIZE);
	dead = callback(&own, callback_state);
	chain.n = 0;
	chain.room = 16;
	chain.links = palloc(sizeof(ChainLink) * (Size) chain.room);
	while (id != LINK_NONE)
		id = filter_page(rel, &chain, id, most, callback, callback_state, removed);
	for (int i = 0; i < chain.n; i++)
	{
		empty |= chain.links[i].ntids == 0;
		*kept += chain.links[i].ntids;
	}
	*removed += dead;
	*kept += !dead;

	if (empty)
		unlink_inner(rel, &chain);
	if (dead || (empty && chain.links[0].ntids == 0))
		live = update_nav(rel, index, buffer, slotno, &chain, dead);
	if (empty || dead)
		free_empty(rel, &chain);
	pfree(chain.links);
	return live;
}

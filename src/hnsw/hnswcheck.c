/*-------------------------------------------------------------------------
 *
 * hnswcheck.c
 *	  Tests every invariant of README.md on the pages as they are: one function
 *	  for each number.
 *
 * A pass over the nav pages tests what a slot tells by itself and fills
 * bitmaps by node id; a second one follows links, with the bitmaps at hand.
 * Each page is copied under a share lock, and looked at without.  Memory is
 * four bits per node and a byte per block.
 *
 * H1 to H3 speak of moments, which pages do not show; tested is what they
 * leave behind.  With inserts or a vacuum under way, H9 and H10 may be
 * reported although nothing is wrong, likewise after a crash.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include <math.h>

#include "am/am_check.h"
#include "hnsw/hnswcheck.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* what is expected of a block */
#define KIND_ANY	0			/* outside segments: upper, tids, value page, or unused */

typedef struct Check
{
	Relation	rel;
	HnswIndex  *index;
	AmReport   *report;
	BlockNumber nblocks;
	uint32		limit;			/* of node ids */
	MemoryContext temp;			/* reset after each page */
	HnswMetaPageData *meta;

	uint8	   *kinds;			/* by block: HnswPageKind expected, then found */
	uint8	   *live;			/* by node */
	uint8	   *dead;
	uint8	   *reached;
	uint8	   *expanded;
	uint8	   *chained;		/* by tids slot: in a chain */
	uint64		ntids_slots;
	bool		progress;		/* of the search for what can be reached */

	/* the tids slot and the page at hand */
	uint8_t    *tids;
	Page		page;
	BlockNumber blkno;
	float	   *nav;			/* scratch: dim floats each */
	float	   *decoded;
	float	   *floats;
} Check;

static inline bool
get_bit(const uint8 *bits, uint64 i)
{
	return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static inline void
set_bit(uint8 *bits, uint64 i)
{
	bits[i / 8] |= (uint8) (1 << (i % 8));
}

/*--- format of pages -----------------------------------------------------*/

/* F1: a page has our header and trailer, and zeros between its data and them */
static bool
check_f1(Check *check)
{
	const PageHeaderData *header = (const PageHeaderData *) check->page;

	if (header->pd_special != BLCKSZ - sizeof(HnswPageOpaqueData) ||
		header->pd_lower < HNSW_PAGE_START || header->pd_lower > header->pd_special ||
		HnswPageGetOpaque(check->page)->page_id != HNSW_PAGE_ID)
	{
		am_report(check->report, "F1", check->blkno, "not a page of this access method");
		return false;
	}
	for (int i = header->pd_lower; i < header->pd_special; i++)
	{
		if (((const char *) check->page)[i] != 0)
		{
			am_report(check->report, "F1", check->blkno, "data at %d, behind pd_lower %d", i,
					  header->pd_lower);
			break;
		}
	}
	return true;
}

/*
 * F2: a block is of the kind its place demands.  False without a report: an empty
 * page of a segment that was never finished.
 */
static bool
check_f2(Check *check)
{
	uint8		expected = check->kinds[check->blkno];
	int			kind = HnswPageGetOpaque(check->page)->kind;
	bool		ok = kind == expected;

	if (expected == KIND_ANY)
	{
		ok = kind == HNSW_PAGE_UPPER || kind == HNSW_PAGE_TIDS || kind == HNSW_PAGE_VALUE;
		if (!ok && (kind == HNSW_PAGE_NAV || kind == HNSW_PAGE_REFINE ||
					kind == HNSW_PAGE_FILTER) &&
			((PageHeader) check->page)->pd_lower == HNSW_PAGE_START)
			return false;
	}
	if (!ok)
		am_report(check->report, "F2", check->blkno, "page of kind %d where %d should be", kind,
				  expected);
	else
		check->kinds[check->blkno] = (uint8) kind;
	return ok;
}

/*
 * Copy a page; false, reported, if it is not what it should be.  Zeros and empty
 * pages are allowed outside of segments, where a crash can leave them.
 */
static bool
load_page(Check *check, BlockNumber blkno)
{
	Buffer		buffer = ReadBuffer(check->rel, blkno);
	bool		is_new;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(check->page, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	check->blkno = blkno;
	is_new = PageIsNew(check->page);
	if (is_new && check->kinds[blkno] == KIND_ANY)
		return false;
	return check_f1(check) && check_f2(check);
}

/* F3: fields of a nav slot are in range */
static bool
check_f3(Check *check, uint32 node, const uint8_t *slot)
{
	const NavSlotHead *head = slot_head(slot);

	if (head->nlinks > check->index->layout.links || head->level > HNSW_MAX_LEVEL ||
		(head->flags & ~SLOT_MIXED) != 0)
	{
		am_report(check->report, "F3", check->blkno,
				  "node %u has %d links, level %d, flags %d", node, head->nlinks, head->level,
				  head->flags);
		return false;
	}
	return true;
}

/* the pages an exact value goes on in */
static bool
value_pages_ok(Check *check, const HnswExactHead *head)
{
	Size		done = check->index->params.exact_size;
	BlockNumber blkno = head->rest;

	while (done < (Size) head->length)
	{
		Buffer		buffer = hnsw_read_hint(check->rel, blkno, BUFFER_LOCK_SHARE,
											HNSW_PAGE_VALUE);

		if (!BufferIsValid(buffer))
			return false;
		done += ((PageHeader) BufferGetPage(buffer))->pd_lower - HNSW_PAGE_START;
		blkno = HnswPageGetOpaque(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
		if (done < (Size) head->length && done % HNSW_PAGE_ROOM !=
			check->index->params.exact_size % HNSW_PAGE_ROOM)
			return false;
	}
	return true;
}

/* F4: a LIVE or DEAD node's code is one */
static bool
check_f4(Check *check, uint32 node, const uint8_t *slot)
{
	HnswIndex  *index = check->index;
	const uint8_t *code = slot + index->layout.code_offset;
	bool		ok;

	if (index->params.codec == HNSW_CODEC_EXACT)
	{
		HnswExactHead head;

		memcpy(&head, code, sizeof(head));
		ok = head.length > (int32) VARHDRSZ && (Size) head.length <= index->plain_size &&
			value_pages_ok(check, &head);
	}
	else
	{
		NavHead		head;

		memcpy(&head, code, sizeof(head));
		ok = isfinite(head.normsq) && head.normsq >= 0 && isfinite(head.rescale) &&
			isfinite(head.residual) && head.residual >= 0 && isfinite(head.mean_dot);
	}
	if (!ok)
		am_report(check->report, "F4", check->blkno, "node %u has an impossible code", node);
	return ok;
}

/*--- invariants of a slot ------------------------------------------------*/

/* H1: a slot is FREE, LIVE or DEAD */
static bool
check_h1(Check *check, uint32 node, const uint8_t *slot)
{
	if (slot_head(slot)->state <= SLOT_DEAD)
		return true;
	am_report(check->report, "H1", check->blkno, "node %u is in state %d", node,
			  slot_head(slot)->state);
	return false;
}

/* a refine record, copied; false if its pages are not there */
static bool
read_record(Check *check, uint32 node, uint8_t *record)
{
	Size		size = check->index->params.refine_size;
	Size		done = 0;
	BlockNumber blkno;
	int			offset;

	if (!hnsw_locate_refine(check->index, node, &blkno, &offset))
		return false;
	while (done < size)
	{
		Buffer		buffer = hnsw_read_hint(check->rel, blkno++, BUFFER_LOCK_SHARE,
											HNSW_PAGE_REFINE);
		Size		n = Min(size - done, HNSW_PAGE_ROOM - (Size) offset);

		if (!BufferIsValid(buffer))
			return false;
		memcpy(record + done, HnswPageData(BufferGetPage(buffer)) + offset, n);
		UnlockReleaseBuffer(buffer);
		done += n;
		offset = 0;
	}
	return true;
}

/* the floats of a record of refine = full; false if it is no value */
static bool
record_floats(Check *check, uint8_t *record)
{
	volatile bool ok = false;
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		const struct varlena *value = hnsw_check_plain(check->index, record,
													   check->index->params.refine_size);

		ok = value != NULL;
		if (value != NULL)
			check->index->metric->type->to_floats(value, check->floats);
	}
	PG_CATCH();
	{
		/* nothing was done but look at memory: no need of a subtransaction */
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_DATA_CORRUPTED)
			PG_RE_THROW();
		FlushErrorState();
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

/* whether the code is that of the floats: not farther than it says itself, and "slack" */
static bool
code_fits(Check *check, const uint8_t *code, double slack)
{
	HnswIndex  *index = check->index;
	NavHead		head;
	double		sum = 0;
	double		norm = 0;

	memcpy(&head, code, sizeof(head));
	quant_map(index->model, check->floats, check->nav);
	nav_decode(index->model, index->layout.nav_bits, code, check->decoded);
	for (int i = 0; i < index->params.dim; i++)
	{
		double		d = (double) check->nav[i] - check->decoded[i];

		sum += d * d;
		norm += (double) check->nav[i] * check->nav[i];
	}
	return sqrt(sum) <= head.residual * 1.001 + slack + 1e-4 * sqrt(norm) + 1e-6;
}

/* the same by a record that is itself rounded; a zero vector has no direction */
static bool
record_fits(Check *check, const uint8_t *slot, const uint8_t *record)
{
	HnswIndex  *index = check->index;
	int			dim = index->params.dim;
	double		slack = refine_decode(index->params.refine, record, dim, check->floats);
	double		norm = 0;

	for (int i = 0; i < dim; i++)
		norm += (double) check->floats[i] * check->floats[i];
	if (!isfinite(norm) || !(slack >= 0))
		return false;
	if (hnsw_is_apart(index, slot_head(slot)))
		return true;
	/* directions: of lengths that are not less than norm and norm - slack */
	if (index->params.metric == VEC_METRIC_COSINE)
		slack = slack < sqrt(norm) ? slack / (sqrt(norm) - slack) : 2;
	return code_fits(check, slot + index->layout.code_offset,
					 slack * index->model->scale * 1.01);
}

/* H2: code and refine record of a node are of one value */
static void
check_h2(Check *check, uint32 node, const uint8_t *slot)
{
	HnswIndex  *index = check->index;
	uint8_t    *record;
	bool		ok;

	if (index->params.codec != HNSW_CODEC_COMPACT || index->params.refine_size == 0)
		return;
	record = palloc(MAXALIGN(index->params.refine_size + 1));
	ok = read_record(check, node, record);
	if (ok && index->params.refine == REFINE_FULL)
	{
		ok = record_floats(check, record);
		ok = ok && (hnsw_is_apart(index, slot_head(slot)) ||
					code_fits(check, slot + index->layout.code_offset, 0));
	}
	else if (ok)
		ok = record_fits(check, slot, record);
	if (!ok)
		am_report(check->report, "H2", check->blkno,
				  "the code of node %u is not that of its refine record", node);
}

/* H3: what a scan would return is the address of a row */
static bool
check_h3(Check *check, uint32 node, const ItemPointerData *tid)
{
	if (ItemPointerIsValid(tid) && BlockNumberIsValid(ItemPointerGetBlockNumberNoCheck(tid)) &&
		ItemPointerGetOffsetNumberNoCheck(tid) <= MaxOffsetNumber)
		return true;
	am_report(check->report, "H3", check->blkno, "node %u has the row (%u,%u)", node,
			  ItemPointerGetBlockNumberNoCheck(tid), ItemPointerGetOffsetNumberNoCheck(tid));
	return false;
}

/* H4: links of a node in use stay inside the index, and are neither itself nor repeated */
static void
check_h4(Check *check, uint32 node, const uint8_t *slot)
{
	const uint32 *links = slot_links(&check->index->layout, slot);

	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		if (links[i] == LINK_NONE)
			continue;
		if (links[i] >= check->limit || links[i] == node)
			am_report(check->report, "H4", check->blkno, "node %u links to %u of %u nodes", node,
					  links[i], check->limit);
	}
}

/* H5: a LIVE slot has a row; another has none, and no chain */
static void
check_h5(Check *check, uint32 node, const uint8_t *slot)
{
	const NavSlotHead *head = slot_head(slot);
	ItemPointerData tid;
	bool		has_row;
	bool		has_chain = head->more != LINK_NONE && head->more != 0;

	memcpy(&tid, head->tid, sizeof(tid));
	has_row = ItemPointerIsValid(&tid);
	if (head->state == SLOT_LIVE ? !has_row : has_row || has_chain)
		am_report(check->report, "H5", check->blkno, "node %u, state %d, %s row, %s chain", node,
				  head->state, has_row ? "has a" : "has no", has_chain ? "has a" : "has no");
}

/* H11: rows of a node that is not mixed have the keys of its slot; F5: keys are ones */
static void
check_h11(Check *check, uint32 node, const uint8_t *slot, const uint64 *keys)
{
	int			nwords = check->index->params.nwords;

	if (nwords == 0)
		return;
	if ((slot_head(slot)->flags & SLOT_MIXED) == 0 &&
		memcmp(keys, slot_keys(&check->index->layout, slot), (Size) nwords * sizeof(uint64)) != 0)
		am_report(check->report, "H11", check->blkno,
				  "node %u has rows with other keys, and is not mixed", node);
	if (keys[0] >> (nwords - 1) != 0)
		am_report(check->report, "F5", check->blkno,
				  "node %u has NULLs of columns that there are not", node);
	for (int i = 1; i < nwords; i++)
	{
		if ((keys[0] >> (i - 1) & 1) != 0 && keys[i] != 0)
			am_report(check->report, "F5", check->blkno,
					  "node %u has a key for a NULL, of column %d", node, i + 1);
	}
}

/* a row of a node, with its keys; tells of it, for H7 and the heap */
static void
check_row(Check *check, uint32 node, const uint8_t *slot, const ItemPointerData *tid,
		  const uint64 *keys)
{
	ItemPointerData row = *tid;

	if (!check_h3(check, node, tid))
		return;
	check_h11(check, node, slot, keys);
	am_report_row(check->report, &row, keys, check->index->params.nwords);
}

/*
 * H6: a tids slot is in the chain of one node.  Reports the rows of the chain,
 * for H7, which am_check.c tests: no row is in the index twice.
 */
static void
check_h6(Check *check, uint32 node, const uint8_t *slot)
{
	const HnswIndex *index = check->index;
	uint32		id = slot_head(slot)->more;

	while (id != LINK_NONE)
	{
		BlockNumber blkno = id / index->tids_per_page;
		HnswTidsSlot *tids = (HnswTidsSlot *) (void *) check->tids;
		Buffer		buffer = InvalidBuffer;

		CHECK_FOR_INTERRUPTS();
		if (blkno > 0 && blkno < check->nblocks)
			buffer = hnsw_read_hint(check->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_TIDS);
		if (!BufferIsValid(buffer))
		{
			am_report(check->report, "H6", check->blkno, "chain of node %u leads to block %u",
					  node, blkno);
			return;
		}
		memcpy(tids, HnswPageData(BufferGetPage(buffer)) +
			   id % index->tids_per_page * index->tids_size, index->tids_size);
		UnlockReleaseBuffer(buffer);
		if (get_bit(check->chained, id) || tids->ntids > HNSW_TIDS_PER_SLOT || tids->next == 0)
		{
			am_report(check->report, "H6", blkno, "tids slot %u in the chain of node %u is %s",
					  id, node, get_bit(check->chained, id) ? "in another one" : "not in use");
			return;
		}
		set_bit(check->chained, id);
		for (int i = 0; i < tids->ntids; i++)
			check_row(check, node, slot, &tids->tids[i],
					  hnsw_tids_keys(tids, index->params.nwords, i));
		id = tids->next;
	}
}

/* whether a node's filter entry promises what its slot has; of a page that is none F2 tells */
static bool
entry_holds(Check *check, BlockNumber blkno, int entry, const uint8_t *slot)
{
	const HnswIndex *index = check->index;
	Buffer		buffer = hnsw_read_hint(check->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_FILTER);
	bool		holds;

	if (!BufferIsValid(buffer))
		return true;
	holds = hnsw_filter_holds(index, BufferGetPage(buffer), entry,
							  slot_keys(&index->layout, slot),
							  (slot_head(slot)->flags & SLOT_MIXED) != 0);
	UnlockReleaseBuffer(buffer);
	return holds;
}

/* H12: the filter entry of a LIVE node promises what it has; "slot" may be out of date */
static void
check_h12(Check *check, uint32 node, const uint8_t *slot)
{
	HnswIndex  *index = check->index;
	BlockNumber blkno;
	BlockNumber nav;
	int			slotno;
	int			entry;
	Buffer		buffer;

	if (!hnsw_locate_filter(index, node, &blkno, &entry) || blkno >= check->nblocks ||
		entry_holds(check, blkno, entry, slot) || !hnsw_locate(index, node, &nav, &slotno))
		return;
	buffer = hnsw_read(check->rel, nav, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	slot = hnsw_slot(index, BufferGetPage(buffer), slotno);
	if (slot_head(slot)->state == SLOT_LIVE && !entry_holds(check, blkno, entry, slot))
		am_report(check->report, "H12", blkno,
				  "the filter entry of node %u does not have its keys", node);
	UnlockReleaseBuffer(buffer);
}

/* H8: the directory's segments are apart from each other and from all else */
static void
check_h8(Check *check)
{
	HnswIndex  *index = check->index;
	uint32		model = (check->meta->model_bytes + HNSW_PAGE_ROOM - 1) / HNSW_PAGE_ROOM;

	check->kinds[0] = HNSW_PAGE_META;
	for (uint32 i = 0; i < model; i++)
	{
		if (check->meta->model_start + i < check->nblocks)
			check->kinds[check->meta->model_start + i] = HNSW_PAGE_MODEL;
	}
	for (uint32 i = 0; BlockNumberIsValid(check->meta->entry_page) &&
		 i <= index->params.more_entries; i++)
	{
		if (check->meta->entry_page + i < check->nblocks)
			check->kinds[check->meta->entry_page + i] = HNSW_PAGE_ENTRY;
	}
	for (uint32 s = 0; s < index->nsegments; s++)
	{
		const HnswSegment *segment = &index->segments[s];
		uint32		n = hnsw_segment_blocks(index, segment);
		uint32		filters = n - hnsw_filter_blocks(index, segment->nnav);

		for (uint32 i = 0; i < n; i++)
		{
			BlockNumber blkno = segment->start + i;

			if (blkno >= check->nblocks)
			{
				am_report(check->report, "H8", 0, "segment %u ends at block %u of %u", s,
						  segment->start + n, check->nblocks);
				break;
			}
			if (check->kinds[blkno] != KIND_ANY)
				am_report(check->report, "H8", blkno, "segment %u overlaps a page of kind %d", s,
						  check->kinds[blkno]);
			check->kinds[blkno] = i < segment->nnav ? HNSW_PAGE_NAV :
				i < filters ? HNSW_PAGE_REFINE : HNSW_PAGE_FILTER;
		}
	}
}

/* H9: links of a LIVE node name LIVE nodes */
static void
check_h9(Check *check, uint32 node, const uint8_t *slot)
{
	const uint32 *links = slot_links(&check->index->layout, slot);

	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		if (links[i] < check->limit && !get_bit(check->live, links[i]))
			am_report(check->report, "H9", check->blkno, "node %u links to %s node %u", node,
					  get_bit(check->dead, links[i]) ? "dead" : "free", links[i]);
	}
}

/* the generation and level of a node, for its upper slots; false if not LIVE */
static bool
node_of_upper(Check *check, uint32 node, uint16 *generation, int *level)
{
	BlockNumber blkno;
	int			place;
	Buffer		buffer;
	const NavSlotHead *head;
	bool		live;

	if (!hnsw_locate(check->index, node, &blkno, &place))
		return false;
	buffer = hnsw_read_hint(check->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	if (!BufferIsValid(buffer))
		return false;
	head = slot_head(hnsw_slot(check->index, BufferGetPage(buffer), place));
	live = head->state == SLOT_LIVE;
	*generation = head->generation;
	*level = head->level;
	UnlockReleaseBuffer(buffer);
	return live;
}

/* H9 for upper slots: of LIVE nodes, of their generation and level at least */
static void
check_h9_upper(Check *check)
{
	HnswIndex  *index = check->index;
	uint32		per_page = (uint32) index->uppers_per_page;

	for (uint32 i = 0; i < per_page; i++)
	{
		const UpperSlotHead *head = hnsw_upper_slot(index, check->page, (int) i);
		uint16		generation;
		int			level;

		if (head->level == 0)
			continue;
		if (head->level > HNSW_MAX_LEVEL || head->nlinks > index->layout.upper_links)
			am_report(check->report, "F3", check->blkno, "upper slot %u has level %d, %d links",
					  check->blkno * per_page + i, head->level, head->nlinks);
		else if (!node_of_upper(check, head->node, &generation, &level) ||
				 generation != head->generation || level < head->level)
			am_report(check->report, "H9", check->blkno,
					  "upper slot %u of level %d is of node %u, which is not alive or another",
					  check->blkno * per_page + i, head->level, head->node);
		else
			set_bit(check->reached, head->node);
	}
}

/*--- reachability --------------------------------------------------------*/

/* follow the links of nodes that are reached and not yet expanded */
static void
reach_page(Check *check, uint32 first_node)
{
	HnswIndex  *index = check->index;

	for (int i = 0; i < index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(index, check->page, i);
		uint32		node = first_node + (uint32) i;

		if (!get_bit(check->reached, node) || get_bit(check->expanded, node) ||
			slot_head(slot)->nlinks > index->layout.links)
			continue;
		set_bit(check->expanded, node);
		for (int j = 0; j < slot_head(slot)->nlinks; j++)
		{
			uint32		to = slot_links(&index->layout, slot)[j];

			if (to < check->limit && !get_bit(check->reached, to))
			{
				set_bit(check->reached, to);
				check->progress = true;
			}
		}
	}
}

/* where searches start, beside the nodes of upper slots */
static void
reach_starts(Check *check)
{
	HnswIndex  *index = check->index;

	if (check->meta->entry_node < check->limit)
		set_bit(check->reached, check->meta->entry_node);
	for (int slot = 0; slot < index->nentries; slot++)
	{
		const uint8_t *entry = hnsw_entry(index, slot);
		int			n = entry_count(index->layout.ngroups, entry, HNSW_PAGE_ROOM);

		for (int i = 0; i < n; i++)
		{
			if (entry_links(entry)[i] < check->limit)
				set_bit(check->reached, entry_links(entry)[i]);
		}
	}
}

/* H10: a LIVE node with links can be reached */
static void
check_h10(Check *check, uint32 first_node)
{
	for (int i = 0; i < check->index->slots_per_page; i++)
	{
		const NavSlotHead *head = slot_head(hnsw_slot(check->index, check->page, i));
		uint32		node = first_node + (uint32) i;

		if (head->state == SLOT_LIVE && get_bit(check->live, node) &&
			!get_bit(check->reached, node) && !hnsw_is_apart(check->index, head))
			am_report(check->report, "H10", check->blkno, "node %u cannot be reached", node);
	}
}

/*--- passes --------------------------------------------------------------*/

/* all that a nav page tells by itself */
static void
check_nav_page(Check *check, uint32 first_node)
{
	for (int i = 0; i < check->index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(check->index, check->page, i);
		uint32		node = first_node + (uint32) i;
		ItemPointerData tid;

		if (!check_h1(check, node, slot) || !check_f3(check, node, slot))
			continue;
		check_h5(check, node, slot);
		if (slot_head(slot)->state == SLOT_FREE)
			continue;
		check_h4(check, node, slot);
		if (check_f4(check, node, slot))
			check_h2(check, node, slot);
		set_bit(slot_head(slot)->state == SLOT_LIVE ? check->live : check->dead, node);
		if (slot_head(slot)->state != SLOT_LIVE)
			continue;
		memcpy(&tid, slot_head(slot)->tid, sizeof(tid));
		check_row(check, node, slot, &tid, slot_keys(&check->index->layout, slot));
		check_h6(check, node, slot);
		check_h12(check, node, slot);
	}
}

/* links between the nodes of a nav page and others */
static void
check_links(Check *check, uint32 first_node)
{
	for (int i = 0; i < check->index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(check->index, check->page, i);

		if (slot_head(slot)->state == SLOT_LIVE && slot_ok(&check->index->layout, slot))
			check_h9(check, first_node + (uint32) i, slot);
	}
}

/* take every nav page that is one to a step; "loud" reports those that are not */
static void
each_nav_page(Check *check, void (*step) (Check *check, uint32 first_node))
{
	HnswIndex  *index = check->index;

	for (uint32 s = 0; s < index->nsegments; s++)
	{
		const HnswSegment *segment = &index->segments[s];

		for (uint32 i = 0; i < segment->nnav && segment->start + i < check->nblocks; i++)
		{
			MemoryContext old;

			CHECK_FOR_INTERRUPTS();

			/* pages that the first pass could not use are not looked at again */
			if (check->kinds[segment->start + i] != HNSW_PAGE_NAV)
				continue;
			if (!load_page(check, segment->start + i))
			{
				check->kinds[segment->start + i] = UINT8_MAX;
				continue;
			}
			old = MemoryContextSwitchTo(check->temp);
			step(check, segment->first_node + i * (uint32) index->slots_per_page);
			MemoryContextSwitchTo(old);
			MemoryContextReset(check->temp);
		}
	}
}

/* pages other than nav pages: their kinds, and upper slots */
static void
check_other_pages(Check *check)
{
	for (BlockNumber blkno = 0; blkno < check->nblocks; blkno++)
	{
		CHECK_FOR_INTERRUPTS();
		if (check->kinds[blkno] == HNSW_PAGE_NAV || check->kinds[blkno] == UINT8_MAX)
			continue;
		if (load_page(check, blkno) && check->kinds[blkno] == HNSW_PAGE_UPPER)
			check_h9_upper(check);
	}
}

/* H4 for the metapage's hints */
static void
check_hints(Check *check)
{
	const HnswMetaPageData *meta = check->meta;

	if (meta->entry_node != LINK_NONE && meta->entry_node >= check->limit)
		am_report(check->report, "H4", 0, "entry node %u of %u nodes", meta->entry_node,
				  check->limit);
	if (meta->entry_level > HNSW_MAX_LEVEL)
		am_report(check->report, "H4", 0, "entry point of level %d", meta->entry_level);
	if (meta->free_hint > check->limit && meta->free_hint != LINK_NONE)
		am_report(check->report, "H4", 0, "free node %u of %u nodes", meta->free_hint,
				  check->limit);
	if (meta->entry_node < check->limit && !get_bit(check->live, meta->entry_node))
		am_report(check->report, "H9", 0, "entry node %u is not alive", meta->entry_node);
}

static Check *
begin_check(Relation rel, AmReport *report)
{
	Check	   *check = palloc0(sizeof(Check));
	Size		dim;
	Buffer		buffer;

	check->rel = rel;
	check->report = report;
	check->index = hnsw_open(rel);
	check->nblocks = RelationGetNumberOfBlocks(rel);
	check->limit = hnsw_node_limit(check->index);
	check->temp = AllocSetContextCreate(CurrentMemoryContext, "hnsw check",
										ALLOCSET_DEFAULT_SIZES);
	check->meta = palloc(sizeof(HnswMetaPageData));
	buffer = hnsw_read(rel, 0, BUFFER_LOCK_SHARE, HNSW_PAGE_META);
	memcpy(check->meta, HnswPageGetMeta(BufferGetPage(buffer)), sizeof(HnswMetaPageData));
	UnlockReleaseBuffer(buffer);

	check->kinds = MemoryContextAllocExtended(CurrentMemoryContext, (Size) check->nblocks + 1,
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	check->live = MemoryContextAllocExtended(CurrentMemoryContext, (Size) check->limit / 2 + 4,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	check->dead = check->live + check->limit / 8 + 1;
	check->reached = check->dead + check->limit / 8 + 1;
	check->expanded = check->reached + check->limit / 8 + 1;
	check->ntids_slots = (uint64) check->nblocks * check->index->tids_per_page;
	check->chained = MemoryContextAllocExtended(CurrentMemoryContext, check->ntids_slots / 8 + 1,
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	check->tids = palloc0(MAXALIGN(check->index->tids_size));
	check->page = palloc(BLCKSZ);
	dim = (Size) check->index->params.dim;
	if (check->index->params.codec == HNSW_CODEC_COMPACT)
	{
		check->nav = palloc(sizeof(float) * dim);
		check->decoded = palloc(sizeof(float) * dim);
		check->floats = palloc(sizeof(float) * dim);
	}
	return check;
}

/* the checker of this access method; raises XX002 if the metapage is no use */
static void
hnsw_check(Relation rel, AmReport *report)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "hnsw check",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Check	   *check = begin_check(rel, report);

	check_h8(check);
	each_nav_page(check, check_nav_page);
	check_other_pages(check);
	check_hints(check);
	each_nav_page(check, check_links);

	reach_starts(check);
	do
	{
		check->progress = false;
		each_nav_page(check, reach_page);
	}
	while (check->progress);
	each_nav_page(check, check_h10);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static const AmInspector inspector = {
	.owner = hnswinsert,
	.unique = "H7",
	.check = hnsw_check,
	.stats = hnsw_stats
};

/*
 * hnsw_check_init
 *		Register the checker, when the library is loaded.
 */
void
hnsw_check_init(void)
{
	am_register_inspector(&inspector);
}

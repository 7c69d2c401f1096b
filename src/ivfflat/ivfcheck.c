/*-------------------------------------------------------------------------
 *
 * ivfcheck.c
 *	  Tests the invariants of README.md on the pages as they are.
 *
 * From the metapage all that the directory leads to is walked: parts, chains,
 * code and record pages.  Each page is claimed by who names it; a page claimed
 * before ends the walk, so a walk ends whatever pages say.  A pass over all
 * blocks then looks at those that nobody claimed.  Each page is copied under a
 * share lock, and looked at without.  Memory is a byte per block.
 *
 * Some invariants speak of moments, which pages do not show; tested is what
 * they leave behind: L2, that what a place holds is of one row; L9, nothing but
 * flags; L10 nothing, for a row may stay where it was nearest once
 * (vecext_index_stats tells how many did).
 *
 * With a vacuum under way L6 may be reported although nothing is wrong: the
 * address of a dead row is seen in one list, cleared, given to a new row and
 * seen in another.  Nothing else is reported without reason, not after a crash
 * either.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfcheck.h"

#include <math.h>

#include "access/transam.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define KNOWN_FLAGS		(IVF_LIST_SEALED | IVF_LIST_UNDEFINED)

/*--- pages ---------------------------------------------------------------*/

/* F1: a page has our header and trailer, and zeros between its data and them */
static bool
check_f1(IvfCheck *check, Page page, BlockNumber blkno)
{
	const PageHeaderData *header = (const PageHeaderData *) page;

	if (header->pd_special != BLCKSZ - sizeof(IvfPageOpaqueData) ||
		header->pd_lower < IVF_PAGE_START || header->pd_lower > header->pd_special ||
		IvfPageGetOpaque(page)->page_id != IVF_PAGE_ID)
	{
		am_report(check->report, "F1", blkno, "not a page of this access method");
		return false;
	}
	for (int i = header->pd_lower; i < header->pd_special; i++)
	{
		if (((const char *) page)[i] != 0)
		{
			am_report(check->report, "F1", blkno, "data at %d, behind pd_lower %d", i,
					  header->pd_lower);
			break;
		}
	}
	return true;
}

/* room to claim blocks that were added since the check began */
static void
grow_claims(IvfCheck *check)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(check->rel);
	uint8	   *claimed;

	if (nblocks <= check->nblocks && check->claimed != NULL)
		return;
	claimed = MemoryContextAllocExtended(GetMemoryChunkContext(check->meta), (Size) nblocks + 1,
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (check->claimed != NULL)
	{
		memcpy(claimed, check->claimed, check->nblocks);
		pfree(check->claimed);
	}
	check->claimed = claimed;
	check->nblocks = nblocks;
}

/* copy a page; false if there is none */
static bool
copy_page(IvfCheck *check, BlockNumber blkno, char *to)
{
	IvfPageKind kind;
	uint32		id;
	Buffer		buffer = ivf_read_any(check->rel, blkno, BUFFER_LOCK_SHARE, &kind, &id);

	if (!BufferIsValid(buffer))
		return false;
	memcpy(to, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	return true;
}

/*
 * Claim a page for who names it, and copy it; id 0: any.  False, reported, if
 * it is not what it should be (F1, F2), in use twice (L3) or free (L7).
 */
static bool
claim_page(IvfCheck *check, BlockNumber from, BlockNumber blkno, IvfPageKind kind, uint32 id,
		   char *to)
{
	IvfPageOpaque opaque;

	CHECK_FOR_INTERRUPTS();
	if (BlockNumberIsValid(blkno) && blkno >= check->nblocks)
		grow_claims(check);
	if (blkno >= check->nblocks || !copy_page(check, blkno, to))
	{
		am_report(check->report, "F3", from, "leads to block %u of %u", blkno, check->nblocks);
		return false;
	}
	if (check->claimed[blkno])
	{
		am_report(check->report, "L3", blkno, "the page is in use twice, by block %u too", from);
		return false;
	}
	check->claimed[blkno] = true;
	if (PageIsNew((Page) to))
	{
		am_report(check->report, "L7", blkno, "an empty page is in use by block %u", from);
		return false;
	}
	if (!check_f1(check, (Page) to, blkno))
		return false;
	opaque = IvfPageGetOpaque((Page) to);
	if (opaque->kind == IVF_PAGE_FREE && kind != IVF_PAGE_FREE)
	{
		am_report(check->report, "L7", blkno, "a free page is in use by block %u", from);
		return false;
	}
	if (opaque->kind != kind || (id != 0 && opaque->id != id))
	{
		am_report(check->report, "F2", blkno,
				  "page of kind %d and id %u where kind %d and id %u should be", opaque->kind,
				  opaque->id, kind, id);
		return false;
	}
	return true;
}

/* claim the pages of a stream; false if one is no use */
static bool
claim_stream(IvfCheck *check, const IvfListCopy *copy, IvfPageKind kind, Size bytes)
{
	const BlockNumber *pages = kind == IVF_PAGE_CODE ? copy->codes : copy->records;
	int			n = kind == IVF_PAGE_CODE ? copy->ncodes : copy->nrecords;
	bool		ok = true;

	for (int i = 0; i < n; i++)
	{
		Size		before = (Size) i * IVF_PAGE_ROOM;
		Size		used;

		if (!claim_page(check, copy->blkno, pages[i], kind, copy->id, check->page))
		{
			ok = false;
			continue;
		}
		used = ((PageHeader) check->page)->pd_lower - IVF_PAGE_START;
		if (bytes > before && used < Min(bytes - before, IVF_PAGE_ROOM))
		{
			am_report(check->report, "F3", pages[i],
					  "the page ends at %zu, before the rows of block %u", used, copy->blkno);
			ok = false;
		}
	}
	return ok;
}

/*
 * Claim and copy a list page and all that belongs to it; NULL, reported, if it is
 * no use.  *streams: whether codes and records can be read.
 */
static IvfListCopy *
claim_list(IvfCheck *check, const IvfShape *shape, BlockNumber from, BlockNumber blkno,
		   uint32 id, char *to, bool *streams)
{
	const IvfListHead *head;
	IvfListCopy *copy;
	Size		bytes;
	Size		blocks;

	if (!claim_page(check, from, blkno, shape->kind, id, to))
		return NULL;
	head = ivf_list_head((Page) to);
	if (!ivf_list_ok(shape, (Page) to))
	{
		am_report(check->report, "F3", blkno,
				  "counts do not agree: %d rows, %d cleared, %d code and %d record pages",
				  head->nrows, head->ncleared, head->ncodes, head->nrecords);
		return NULL;
	}
	if ((head->flags & ~KNOWN_FLAGS) != 0)
		am_report(check->report, "L9", blkno, "flags are %d", head->flags);

	copy = ivf_copy_page(shape, blkno, (Page) to, palloc(ivf_list_copy_size(shape, (Page) to)));
	bytes = copy->nrows == 0 ? 0 : ivf_record_start(shape, copy->ends, copy->nrows);
	blocks = (Size) (copy->nrows + IVF_BLOCK_ROWS - 1) / IVF_BLOCK_ROWS;
	*streams = claim_stream(check, copy, IVF_PAGE_CODE, blocks * shape->block_bytes);
	*streams = claim_stream(check, copy, IVF_PAGE_RECORD, bytes) && *streams;
	for (int i = 0; i < copy->nrows && *streams; i++)
	{
		if (ivf_record_bytes(shape, copy->ends, i) > shape->record_size)
		{
			am_report(check->report, "F3", blkno, "the record of place %d has %zu bytes", i,
					  ivf_record_bytes(shape, copy->ends, i));
			*streams = false;
		}
	}
	return copy;
}

/*--- rows of list pages --------------------------------------------------*/

/* a row: its address is L6's and the heap's; F5: words of filter columns are ones */
static void
check_row(IvfCheck *check, const IvfShape *shape, BlockNumber blkno, int place)
{
	Page		page = (Page) check->list_page;
	uint64		keys[INDEX_MAX_KEYS];

	ivf_keys_get(shape, page, place, keys);
	am_report_row(check->report, &ivf_list_tids(shape, page)[place], keys, shape->nwords);
	if (shape->nwords == 0)
		return;
	if (keys[0] >> (shape->nwords - 1) != 0)
		am_report(check->report, "F5", blkno, "place %d has NULLs of columns that there are not",
				  place);
	for (int i = 1; i < shape->nwords; i++)
	{
		if ((keys[0] >> (i - 1) & 1) != 0 && keys[i] != 0)
			am_report(check->report, "F5", blkno, "place %d has a word for a NULL, of column %d",
					  place, i + 1);
	}
}

/* L1: what is counted and not cleared is a row; L2: cleared ones are as many as counted */
static void
check_tids(IvfCheck *check, const IvfShape *shape, BlockNumber blkno)
{
	Page		page = (Page) check->list_page;
	const IvfListHead *head = ivf_list_head(page);
	ItemPointerData *tids = ivf_list_tids(shape, page);
	int			cleared = 0;

	for (int i = 0; i < head->nrows; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(&tids[i]);
		OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&tids[i]);

		if (offset == InvalidOffsetNumber)
			cleared++;
		else if (!BlockNumberIsValid(block) || offset > MaxOffsetNumber)
			am_report(check->report, "L1", blkno, "place %d has the row (%u,%u)", i, block,
					  offset);
		else
			check_row(check, shape, blkno, i);
	}
	if (cleared != head->ncleared)
		am_report(check->report, "L2", blkno, "%d places are cleared, %d are counted", cleared,
				  head->ncleared);
}

/* a chain, from its first page to its end */
static void
check_chain(IvfCheck *check, const IvfShape *shape, BlockNumber from, BlockNumber first,
			uint32 id, const float *center)
{
	BlockNumber blkno = first;

	while (BlockNumberIsValid(blkno))
	{
		MemoryContext old = MemoryContextSwitchTo(check->temp);
		bool		streams;
		IvfListCopy *copy = claim_list(check, shape, from, blkno, id, check->list_page,
									   &streams);

		from = blkno;
		blkno = InvalidBlockNumber;
		if (copy != NULL)
		{
			check_tids(check, shape, copy->blkno);
			if (streams)
				ivf_check_rows(check, shape, (Page) check->list_page, copy, center);
			blkno = copy->next;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(check->temp);
	}
}

/*--- the directory -------------------------------------------------------*/

static void
add_id(IvfCheck *check, uint32 id, BlockNumber first)
{
	if (check->nids == check->room)
	{
		check->room = check->room * 2 + 64;
		check->ids = repalloc(check->ids, sizeof(uint32) * check->room);
		check->firsts = repalloc(check->firsts, sizeof(BlockNumber) * check->room);
	}
	check->ids[check->nids] = id;
	check->firsts[check->nids++] = first;
}

/* one list of the directory: its record and its chain */
static void
check_list(IvfCheck *check, const IvfListCopy *part, int place)
{
	const IvfShape *shape = &check->index->part;
	MemoryContext old = MemoryContextSwitchTo(check->temp);
	Size		size = ivf_record_bytes(shape, part->ends, place);
	uint8	   *record = palloc(MAXALIGN(size) + MAXIMUM_ALIGNOF);
	float	   *center = NULL;
	IvfListRecord head;

	MemoryContextSwitchTo(old);
	if (size < sizeof(IvfListRecord))
	{
		am_report(check->report, "L8", part->blkno, "the record of list %d is too short", place);
		return;
	}
	ivf_read_record(check->rel, shape, part, place, record);
	memcpy(&head, record, sizeof(head));
	if (!isfinite(head.spread) || head.spread < 0)
		am_report(check->report, "F4", part->blkno, "list %d has an impossible spread", place);
	ivf_check_center(check, part, place, record, size);
	if (head.id == 0 || head.id >= check->meta->next_id || head.id > check->meta->directory)
		am_report(check->report, "L5", part->blkno, "list %d has id %u, beyond %u", place,
				  head.id, check->meta->directory);
	add_id(check, head.id, head.first);
	if (check->index->params.space == IVF_SPACE_FLOAT)
	{
		center = palloc(sizeof(float) * check->index->params.dim);
		memcpy(center, record + sizeof(head), sizeof(float) * check->index->params.dim);
	}
	MemoryContextReset(check->temp);

	if (!BlockNumberIsValid(head.first))
		am_report(check->report, "L8", part->blkno, "list %d has no page", place);
	else
		check_chain(check, &check->index->list, part->blkno, head.first, head.id, center);
	if (center != NULL)
		pfree(center);
}

/* whether a part of that id was seen: parts share them, lists do not */
static bool
has_part_id(const IvfCheck *check, uint32 id)
{
	for (uint32 i = 1; i < check->nids; i++)
	{
		if (check->ids[i] == id && !BlockNumberIsValid(check->firsts[i]))
			return true;
	}
	return false;
}

/* a part; returns the number of its lists */
static uint32
check_part(IvfCheck *check, BlockNumber blkno)
{
	bool		streams;
	IvfListCopy *part = claim_list(check, &check->index->part, 0, blkno, 0, check->part_page,
								   &streams);
	uint32		n;

	if (part == NULL)
		return 0;
	n = part->nrows;
	if (part->id == 0 || part->id > check->meta->directory)
		am_report(check->report, "L5", blkno, "part of id %u in directory %u", part->id,
				  check->meta->directory);
	if (BlockNumberIsValid(part->next))
		am_report(check->report, "L4", blkno, "a part goes on in block %u", part->next);
	if (!has_part_id(check, part->id))
		add_id(check, part->id, InvalidBlockNumber);
	for (int i = 0; i < part->nrows && streams; i++)
		check_list(check, part, i);
	pfree(part);
	return n;
}

static void
check_directory(IvfCheck *check)
{
	const IvfMetaPageData *meta = check->meta;
	uint32		nlists = 0;

	add_id(check, meta->undefined_id, meta->undefined_first);
	for (uint32 p = 0; p < meta->nparts; p++)
		nlists += check_part(check, meta->parts[p]);
	if (nlists != meta->nlists)
		am_report(check->report, "L4", 0, "the directory has %u lists, not %u", nlists,
				  meta->nlists);
	if (BlockNumberIsValid(meta->undefined_first))
		check_chain(check, &check->index->undefined, 0, meta->undefined_first,
					meta->undefined_id, NULL);
	if (meta->undefined_id >= meta->next_id)
		am_report(check->report, "L5", 0, "the list of the undefined has id %u, the next is %u",
				  meta->undefined_id, meta->next_id);
	if (FullTransactionIdPrecedes(ReadNextFullTransactionId(),
								  FullTransactionIdFromU64(meta->switch_xid)))
		am_report(check->report, "L7", 0, "the directory is of a transaction to come");
}

/*--- all other pages -----------------------------------------------------*/

typedef struct Chain
{
	uint32		id;
	BlockNumber first;
} Chain;

static int
compare_chains(const void *a, const void *b)
{
	uint32		left = ((const Chain *) a)->id;
	uint32		right = ((const Chain *) b)->id;

	return left < right ? -1 : left > right;
}

/* ids and first pages by id; L5: each id once */
static Chain *
sort_chains(IvfCheck *check)
{
	Chain	   *chains = MemoryContextAllocHuge(CurrentMemoryContext,
												mul_size(sizeof(Chain), check->nids));

	for (uint32 i = 0; i < check->nids; i++)
	{
		chains[i].id = check->ids[i];
		chains[i].first = check->firsts[i];
	}
	qsort(chains, check->nids, sizeof(Chain), compare_chains);
	for (uint32 i = 1; i < check->nids; i++)
	{
		if (chains[i].id == chains[i - 1].id)
			am_report(check->report, "L5", InvalidBlockNumber, "id %u was given out twice",
					  chains[i].id);
	}
	return chains;
}

/* whether a page is linked by now: inserts may have added it after its chain was walked */
static bool
is_linked(IvfCheck *check, const Chain *chain, BlockNumber wanted)
{
	BlockNumber blkno = chain->first;

	for (BlockNumber steps = 0; BlockNumberIsValid(blkno) && steps <= check->nblocks; steps++)
	{
		CHECK_FOR_INTERRUPTS();
		if (blkno == wanted)
			return true;
		if (!copy_page(check, blkno, check->list_page) || PageIsNew((Page) check->list_page) ||
			PageGetSpecialSize((Page) check->list_page) != sizeof(IvfPageOpaqueData) ||
			IvfPageGetOpaque((Page) check->list_page)->id != chain->id)
			return false;
		blkno = ivf_list_head((Page) check->list_page)->next;
	}
	return false;
}

/* the model's pages are where the metapage says */
static void
claim_model(IvfCheck *check)
{
	uint32		n = (check->meta->model_bytes + IVF_PAGE_ROOM - 1) / IVF_PAGE_ROOM;

	for (uint32 i = 0; i < n && check->index->params.space == IVF_SPACE_FLOAT; i++)
		claim_page(check, 0, check->meta->model_start + i, IVF_PAGE_MODEL, 0, check->page);
}

/* a page that the directory does not lead to: free, of no current id, or left by a crash */
static void
check_other(IvfCheck *check, const Chain *chains, BlockNumber blkno)
{
	Chain		key;
	const Chain *chain;
	IvfPageOpaque opaque;

	if (!copy_page(check, blkno, check->page) || PageIsNew((Page) check->page) ||
		!check_f1(check, (Page) check->page, blkno))
		return;
	opaque = IvfPageGetOpaque((Page) check->page);
	key.id = opaque->id;
	if (opaque->kind == IVF_PAGE_FREE)
		return;
	if (opaque->kind < IVF_PAGE_LIST || opaque->kind > IVF_PAGE_RECORD)
	{
		am_report(check->report, "F2", blkno, "a page of kind %d that nothing leads to",
				  opaque->kind);
		return;
	}
	/*
	 * Code and record pages of a row that was never counted may lie about, and
	 * parts that later directories did not share.
	 */
	if (opaque->kind != IVF_PAGE_LIST)
		return;
	chain = bsearch(&key, chains, check->nids, sizeof(Chain), compare_chains);
	if (chain != NULL && !is_linked(check, chain, blkno))
		am_report(check->report, "L3", blkno, "the page of id %u is not in its chain", opaque->id);
}

static IvfCheck *
begin_check(Relation rel, AmReport *report)
{
	IvfCheck   *check = palloc0(sizeof(IvfCheck));
	Size		bytes;

	check->rel = rel;
	check->report = report;
	check->index = ivf_open(rel, NULL);
	check->meta = palloc(sizeof(IvfMetaPageData));
	ivf_read_meta(rel, check->meta);
	check->temp = AllocSetContextCreate(CurrentMemoryContext, "ivfflat check",
										ALLOCSET_DEFAULT_SIZES);
	check->ids = palloc(1);
	check->firsts = palloc(1);
	check->part_page = palloc(BLCKSZ);
	check->list_page = palloc(BLCKSZ);
	check->page = palloc(BLCKSZ);
	/* plain values may have a thousand million dimensions, and need none of these */
	bytes = check->index->params.space == IVF_SPACE_FLOAT ?
		sizeof(float) * (Size) check->index->params.dim : 0;
	check->floats = palloc(bytes);
	check->nav = palloc(bytes);
	check->origin = palloc0(bytes);
	grow_claims(check);
	return check;
}

/* the checker of this access method; raises XX002 if the metapage is no use */
static void
ivf_check(Relation rel, AmReport *report)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat check",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	IvfCheck   *check = begin_check(rel, report);
	const Chain *chains;

	claim_page(check, 0, 0, IVF_PAGE_META, 0, check->page);
	claim_model(check);
	check_directory(check);
	chains = sort_chains(check);
	for (BlockNumber blkno = 0; blkno < check->nblocks; blkno++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!check->claimed[blkno])
			check_other(check, chains, blkno);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static const AmInspector inspector = {
	.owner = ivfinsert,
	.unique = "L6",
	.check = ivf_check,
	.stats = ivf_stats
};

/*
 * ivf_check_init
 *		Register the checker, when the library is loaded.
 */
void
ivf_check_init(void)
{
	am_register_inspector(&inspector);
}

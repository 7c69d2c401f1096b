/*-------------------------------------------------------------------------
 *
 * ivfpass.c
 *	  Reading lists: which rows may be near, by codes or by values, and the
 *	  distances of those.
 *
 * A pass keeps the "keep" nearest rows behind so->cuts.  They are gathered in
 * an array of twice the size; when it is full the farther half is dropped, and
 * the last of the nearer becomes the limit that further rows must be below.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "executor/instrument.h"
#include "ivfflat/ivfscan.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* lists whose first page is read ahead */
#define READ_AHEAD		4

/* records whose pages are read ahead */
#define RECORDS_AHEAD	8

/* rows of a pass are sorted as they are asked for, so many at once */
#define SORT_STEP		32

/*
 * ivf_found_cmp
 *		The order of a pass.
 */
int
ivf_found_cmp(const IvfFound *a, const IvfFound *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->blkno != b->blkno)
		return a->blkno < b->blkno ? -1 : 1;
	return (int) a->place - (int) b->place;
}

/*
 * ivf_result_cmp
 *		The order of results; NaN is last.
 */
int
ivf_result_cmp(const IvfResult *a, const IvfResult *b)
{
	int			order = float8_cmp_internal(a->distance, b->distance);

	if (order != 0)
		return order;
	if (a->blkno != b->blkno)
		return a->blkno < b->blkno ? -1 : 1;
	return (int) a->place - (int) b->place;
}

#define ST_SORT			sort_found
#define ST_ELEMENT_TYPE	IvfFound
#define ST_COMPARE(a, b)	ivf_found_cmp(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/*--- keeping the nearest -------------------------------------------------*/

static inline void
swap_found(IvfFound *a, IvfFound *b)
{
	IvfFound	c = *a;

	*a = *b;
	*b = c;
}

/* put the k nearest of n first (Hoare's selection) */
static void
select_nearest(IvfFound *found, int n, int k)
{
	int			low = 0;
	int			high = n - 1;

	while (low < high)
	{
		IvfFound	pivot = found[low + (high - low) / 2];
		int			i = low;
		int			j = high;

		while (i <= j)
		{
			while (ivf_found_cmp(&found[i], &pivot) < 0)
				i++;
			while (ivf_found_cmp(&found[j], &pivot) > 0)
				j--;
			if (i <= j)
				swap_found(&found[i++], &found[j--]);
		}
		if (k <= j)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
}

/* forget copies of list pages that no kept row is on */
static void
drop_pages(IvfScan *so)
{
	uint32	   *number = palloc0(sizeof(uint32) * so->npages);
	uint32		n = 0;

	for (int i = 0; i < so->nfound; i++)
		number[so->found[i].page] = 1;
	for (uint32 i = 0; i < so->npages; i++)
	{
		if (number[i] == 0)
		{
			pfree(so->pages[i]);
			continue;
		}
		so->pages[n] = so->pages[i];
		number[i] = n++;
	}
	for (int i = 0; i < so->nfound; i++)
		so->found[i].page = number[so->found[i].page];
	so->npages = n;
	pfree(number);
}

/* keep the nearer half */
static void
drop_far(IvfScan *so)
{
	select_nearest(so->found, so->nfound, so->keep - 1);
	so->nfound = so->keep;
	so->limit = so->found[0];
	for (int i = 1; i < so->nfound; i++)
	{
		if (ivf_found_cmp(&so->found[i], &so->limit) > 0)
			so->limit = so->found[i];
	}
	so->full = true;
}

/* does the pass keep this row, so far? */
static inline bool
wanted(const IvfScan *so, const IvfFound *found)
{
	if (so->full && ivf_found_cmp(found, &so->limit) > 0)
		return false;
	return ivf_found_cmp(found, &so->cut) > 0;
}

/* what a key must be below to be wanted, rounded up */
static inline float
threshold(const IvfScan *so)
{
	return so->full ? nextafterf((float) so->limit.key, INFINITY) : INFINITY;
}

/* number of the copy of a list page */
static uint32
add_page(IvfScan *so, IvfListCopy *copy)
{
	if (so->npages == so->page_room)
	{
		so->page_room = Max(64, so->page_room * 2);
		if (so->pages == NULL)
			so->pages = MemoryContextAllocHuge(so->context,
											   sizeof(IvfListCopy *) * so->page_room);
		else
			so->pages = repalloc_huge(so->pages, sizeof(IvfListCopy *) * so->page_room);
	}
	so->pages[so->npages] = copy;
	return so->npages++;
}

static inline void
add_found(IvfScan *so, const IvfFound *found)
{
	so->found[so->nfound++] = *found;
	if (so->nfound == 2 * so->keep)
		drop_far(so);
}

/*--- list pages ----------------------------------------------------------*/

/*
 * ivf_blocks_read
 *		Blocks that this backend has read because they were not in the cache.
 */
int64
ivf_blocks_read(void)
{
	return pgBufferUsage.shared_blks_read + pgBufferUsage.local_blks_read;
}

/*
 * Start reading a page that is needed soon.  To find that it is in the cache
 * takes as long as to pin it: so only if the scan has met one that was not.
 */
static void
prefetch(IvfScan *so, BlockNumber blkno)
{
	if (ivf_blocks_read() != so->blocks_read && BlockNumberIsValid(blkno) &&
		am_block_exists(so->rel, blkno))
		PrefetchBuffer(so->rel, MAIN_FORKNUM, blkno);
}

/* lock a list page; what it says can be relied upon */
static Buffer
read_list_page(IvfScan *so, const IvfShape *shape, BlockNumber blkno, uint32 id)
{
	Buffer		buffer = ivf_read_known(&so->index->buffers, so->rel, blkno, shape->kind,
										id);
	Page		page = BufferGetPage(buffer);

	if (!ivf_list_ok(shape, page))
		am_corrupt(so->rel, blkno, "The counts of a list page do not agree.");
	prefetch(so, ivf_list_head(page)->next);
	return buffer;
}

/* the list page whose rows are looked at */
typedef struct Current
{
	ListPlace  *place;			/* codes: where the query stands to the list */
	const IvfNear *near;		/* the list */
	bool		placed;			/* place is set */
	Buffer		buffer;			/* locked, or invalid once there is a copy */
	BlockNumber blkno;
	IvfListCopy *copy;			/* NULL until it is needed */
	bool		added;			/* the copy is in so->pages */
	uint32		page;
} Current;

static void
copy_page(IvfScan *so, Current *current)
{
	const IvfShape *shape = &so->index->list;
	Size		size;

	/* the page is released only when there is a copy */
	if (current->copy != NULL)
		return;
	size = ivf_list_copy_size(shape, BufferGetPage(current->buffer));
	current->copy = ivf_copy_list(shape, current->buffer,
								  MemoryContextAlloc(so->pass_context, size));
	current->copy->buffers = &so->index->buffers;
}

/* keep a row if it is wanted */
static void
take_row(IvfScan *so, Current *current, int place, bool recheck, double key,
		 const ItemPointerData *tid)
{
	IvfFound	found;

	if (!ItemPointerIsValid(tid))
		return;
	found.key = isnan(key) ? -INFINITY : key;
	found.blkno = current->blkno;
	found.place = place;
	found.recheck = recheck;
	found.tid = *tid;
	if (!wanted(so, &found))
		return;
	copy_page(so, current);
	if (!current->added)
		current->page = add_page(so, current->copy);
	current->added = true;
	found.page = current->page;
	add_found(so, &found);
}

/* where the query stands to the list, before the first of its codes is read */
static void
place_query(IvfScan *so, Current *current)
{
	Size		size;
	const uint8 *record;

	if (current->placed)
		return;
	record = ivf_list_record(so->index, so->directory, so->rel, current->near->list,
							 so->lists.room, &size);
	list_place(so->list_query, (const float *) (record + sizeof(IvfListRecord)), so->epsilon,
			   current->place);
	current->placed = true;
}

/* rows of block number "number" that qualify and that codes do not rule out */
static void
take_block(IvfScan *so, Current *current, const uint8 *block, int number, int n,
		   const ItemPointerData *tids)
{
	float		estimate[LIST_BLOCK];
	float		lower[LIST_BLOCK];
	int			first = number * LIST_BLOCK;
	uint32		mask;

	mask = list_scan(so->list_query, current->place, threshold(so), IvfBlockCodes(block),
					 IvfBlockTerms(block), n, estimate, lower);
	if (so->restriction != NULL)
		so->restriction->distances += n;
	if (so->selective)
		ivf_enough_rows(&so->enough, current->place->distance, estimate, lower,
						so->pass[number]);
	mask &= so->pass[number];
	while (mask != 0)
	{
		int			i = pg_rightmost_one_pos32(mask);

		mask &= mask - 1;
		take_row(so, current, first + i, (so->maybe[number] >> i & 1) != 0, lower[i],
				 &tids[first + i]);
	}
}

/* blocks that lie on the locked page */
static void
take_blocks(IvfScan *so, Current *current)
{
	const IvfShape *shape = &so->index->list;
	Page		page = BufferGetPage(current->buffer);
	int			nrows = ivf_list_head(page)->nrows;

	for (int i = 0; i * LIST_BLOCK < nrows; i++)
	{
		if (so->pass[i] != 0)
			take_block(so, current, ivf_list_block(shape, page, i), i,
					   Min(nrows - i * LIST_BLOCK, LIST_BLOCK), ivf_list_tids(shape, page));
	}
}

/* let go of the page, with all that is needed of it copied */
static void
release_page(IvfScan *so, Current *current)
{
	const IvfShape *shape = &so->index->list;
	Page		page = BufferGetPage(current->buffer);

	copy_page(so, current);
	memcpy(so->tids, ivf_list_tids(shape, page),
		   ivf_list_head(page)->nrows * sizeof(ItemPointerData));
	UnlockReleaseBuffer(current->buffer);
	current->buffer = InvalidBuffer;
}

/* blocks on code pages; the list page is released */
static void
take_far_blocks(IvfScan *so, Current *current)
{
	int			nrows = current->copy->nrows;

	for (int i = 0; i * LIST_BLOCK < nrows; i++)
	{
		if (so->pass[i] == 0)
			continue;
		ivf_read_block(so->rel, &so->index->list, current->copy, i, so->block);
		take_block(so, current, so->block, i, Min(nrows - i * LIST_BLOCK, LIST_BLOCK), so->tids);
	}
}

/* what a row is ordered by, from the bytes of its record */
static double
record_distance(IvfScan *so, const uint8 *bytes, Size size)
{
	const IvfParams *params = &so->index->params;
	RefineResult result;

	if (params->refine == REFINE_FULL)
		return so->index->metric->distance(so->query.plain,
										   ivf_plain(so->index, so->rel, bytes, size));
	result = refine_distance((RefineKind) params->refine, (QuantMetric) params->metric,
							 so->floats, so->norm, bytes, params->dim);
	return so->recheck ? result.bound : result.distance;
}

/*
 * Rows by their records alone, which lie one after the other on record pages,
 * each of which is locked once.  The list page is released.
 */
static void
take_records(IvfScan *so, Current *current)
{
	const IvfShape *shape = &so->index->list;
	const IvfListCopy *copy = current->copy;
	Buffer		buffer = InvalidBuffer;
	Size		number = 0;

	for (int i = 0; i < copy->nrows; i++)
	{
		Size		start = ivf_record_start(shape, copy->ends, i);
		Size		size = ivf_record_bytes(shape, copy->ends, i);
		double		distance;

		if (!ItemPointerIsValid(&so->tids[i]) ||
			(so->pass[i / IVF_BLOCK_ROWS] >> i % IVF_BLOCK_ROWS & 1) == 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (so->restriction != NULL)
			so->restriction->distances++;
		if (BufferIsValid(buffer) && start / IVF_PAGE_ROOM != number)
		{
			UnlockReleaseBuffer(buffer);
			buffer = InvalidBuffer;
		}
		if (start % IVF_PAGE_ROOM + size <= IVF_PAGE_ROOM)
		{
			number = start / IVF_PAGE_ROOM;
			if (!BufferIsValid(buffer))
			{
				buffer = ivf_read_known(copy->buffers, so->rel, copy->records[number],
										IVF_PAGE_RECORD, copy->id);
				if (number + 1 < (Size) copy->nrecords)
					prefetch(so, copy->records[number + 1]);
			}
			distance = record_distance(so, IvfPageData(BufferGetPage(buffer)) +
									  start % IVF_PAGE_ROOM, size);
		}
		else
		{
			/* one lock at a time */
			if (BufferIsValid(buffer))
				UnlockReleaseBuffer(buffer);
			buffer = InvalidBuffer;
			ivf_read_record(so->rel, shape, copy, i, so->record);
			distance = record_distance(so, so->record, size);
		}
		take_row(so, current, i, (so->maybe[i / IVF_BLOCK_ROWS] >> i % IVF_BLOCK_ROWS & 1) != 0,
				 isnan(distance) ? INFINITY : distance, &so->tids[i]);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

/* rows of a locked list page, some of which qualify; it may be released */
static void
take_page(IvfScan *so, Current *current)
{
	bool		inline_blocks = so->codes && so->index->list.inline_blocks;

	if (!inline_blocks)
		release_page(so, current);
	if (so->codes)
		place_query(so, current);
	if (inline_blocks)
		take_blocks(so, current);
	else if (so->codes)
		take_far_blocks(so, current);
	else
		take_records(so, current);
}

/* all list pages of a list */
static void
read_list(IvfScan *so, const IvfNear *near)
{
	ListPlace	place;
	BlockNumber blkno = near->first;
	BlockNumber steps = 0;
	Current		current = {.place = &place, .near = near};
	int			n;

	while (BlockNumberIsValid(blkno))
	{
		CHECK_FOR_INTERRUPTS();
		if (!am_block_exists(so->rel, steps++))
			am_corrupt(so->rel, blkno, "A chain of list pages has no end.");
		current.blkno = blkno;
		current.buffer = read_list_page(so, &so->index->list, blkno, near->id);
		blkno = ivf_list_head(BufferGetPage(current.buffer))->next;
		n = ivf_qualifying(so, &so->index->list, BufferGetPage(current.buffer));
		so->qualified += n;
		if (n > 0)
			take_page(so, &current);
		if (BufferIsValid(current.buffer))
			UnlockReleaseBuffer(current.buffer);
		if (current.copy != NULL && !current.added)
			pfree(current.copy);
		current.copy = NULL;
		current.added = false;
		if (so->npages > 2 * (uint32) so->keep)
			drop_pages(so);
	}
}

/*
 * ivf_pass_begin
 *		Begin to read the lists of a stage.
 */
void
ivf_pass_begin(IvfScan *so)
{
	MemoryContextReset(so->pass_context);
	so->npages = 0;
	so->nfound = 0;
	so->nsorted = 0;
	so->next = 0;
	so->full = false;
	so->qualified = 0;
	so->wide = false;
	memset(&so->enough, 0, sizeof(so->enough));
}

/*
 * ivf_pass_lists
 *		Read ranked lists from "first" on to before "end".
 */
void
ivf_pass_lists(IvfScan *so, int first, int end)
{
	for (int i = first; i < end; i++)
	{
		so->cut = so->cuts[i];
		if (i + READ_AHEAD < end)
			prefetch(so, so->ranked[i + READ_AHEAD].first);
		read_list(so, &so->ranked[i]);
	}
}

/*
 * ivf_pass_end
 *		so->found has the nearest rows behind so->cuts afterwards, and so->full says
 *		whether there are more, behind so->limit.
 */
void
ivf_pass_end(IvfScan *so)
{
	if (so->nfound > so->keep)
		drop_far(so);
}

/*
 * ivf_pass_cut
 *		All rows up to this one, of the stage's lists, were refined.
 */
void
ivf_pass_cut(IvfScan *so, const IvfFound *cut)
{
	for (int i = so->first_list; i < so->end_list; i++)
	{
		if (ivf_found_cmp(cut, &so->cuts[i]) > 0)
			so->cuts[i] = *cut;
	}
}

/*
 * ivf_pass_resume
 *		Let the pass read more lists: forget the rows that were refined.
 */
void
ivf_pass_resume(IvfScan *so)
{
	if (so->next > 0)
		ivf_pass_cut(so, &so->found[so->next - 1]);
	so->nfound -= so->next;
	memmove(so->found, so->found + so->next, sizeof(IvfFound) * (Size) so->nfound);
	so->nsorted = 0;
	so->next = 0;
}

/*
 * ivf_pass_last
 *		The key of the last row that the pass will have kept, by the lists read so
 *		far; infinity if there are not as many.
 */
double
ivf_pass_last(IvfScan *so)
{
	if (so->full)
		return so->limit.key;
	if (so->nfound < so->keep)
		return INFINITY;
	select_nearest(so->found, so->nfound, so->keep - 1);
	return so->found[so->keep - 1].key;
}

/*
 * ivf_next_found
 *		The nearest row of the pass that was not refined: so->next < so->nfound.
 */
const IvfFound *
ivf_next_found(IvfScan *so)
{
	if (so->next == so->nsorted)
	{
		IvfFound   *rest = so->found + so->nsorted;
		int			left = so->nfound - so->nsorted;
		int			n = Min(left, Max(SORT_STEP, so->nsorted));

		if (n < left)
			select_nearest(rest, left, n - 1);
		sort_found(rest, (size_t) n);
		so->nsorted += n;
	}
	return &so->found[so->next];
}

/*--- distances -----------------------------------------------------------*/

/*
 * ivf_found_bound
 *		What the result of a row, and of those behind it, is not below (or hardly
 *		ever; see so->epsilon).
 */
double
ivf_found_bound(const IvfScan *so, const IvfFound *found)
{
	if (!so->codes)
		return found->key;
	if (so->epsilon < 0)
		return list_bound_to_sql(so->list_query, (float) found->key);
	return list_to_sql(so->list_query, (float) found->key);
}

/* start reading the pages of records that come next */
static void
read_ahead(IvfScan *so, const IvfFound *found)
{
	const IvfListCopy *copy = so->pages[found->page];
	Size		number = ivf_record_start(&so->index->list, copy->ends, found->place) /
		IVF_PAGE_ROOM;

	if (number < (Size) copy->nrecords)
		prefetch(so, copy->records[number]);
}

/* by its record, which is copied if it lies on two pages */
static double
refined_distance(IvfScan *so, const IvfFound *found)
{
	const IvfListCopy *copy = so->pages[found->page];
	Size		size = so->index->params.record_size;
	Size		start = (Size) found->place * size;
	Buffer		buffer;
	double		distance;

	if (start % IVF_PAGE_ROOM + size > IVF_PAGE_ROOM)
	{
		ivf_read_record(so->rel, &so->index->list, copy, found->place, so->record);
		return record_distance(so, so->record, size);
	}
	if (start / IVF_PAGE_ROOM >= (Size) copy->nrecords)
		am_corrupt(so->rel, copy->blkno, "A list page has too few pages for its rows.");
	buffer = ivf_read_known(copy->buffers, so->rel, copy->records[start / IVF_PAGE_ROOM],
							IVF_PAGE_RECORD, copy->id);
	distance = record_distance(so, IvfPageData(BufferGetPage(buffer)) + start % IVF_PAGE_ROOM,
							   size);
	UnlockReleaseBuffer(buffer);
	return distance;
}

/*
 * ivf_refine
 *		What a row is ordered by: the operator's distance, or a lower bound of it
 *		if so->recheck.
 */
void
ivf_refine(IvfScan *so, const IvfFound *found, IvfResult *result)
{
	result->blkno = found->blkno;
	result->place = found->place;
	result->tid = found->tid;
	result->recheck = found->recheck;
	if (!so->codes)
		result->distance = found->key;
	else if (so->index->params.record_size == 0)
		result->distance = ivf_found_bound(so, found);
	else
	{
		int			ahead = so->next + RECORDS_AHEAD;

		if (ahead < so->nsorted)
			read_ahead(so, &so->found[ahead]);
		result->distance = refined_distance(so, found);
	}
}

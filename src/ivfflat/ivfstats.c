/*-------------------------------------------------------------------------
 *
 * ivfstats.c
 *	  The figures of vecext_index_stats for an ivfflat index.
 *
 * A pass over all blocks counts; then a sample of rows is asked which list
 * would be theirs now.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfcheck.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

/* rows asked where they belong */
#define SAMPLE_ROWS		1000

/* how much nearer another centroid must be: distances are computed in two ways */
#define NEARER			0.9999

/* where blocks belong */
typedef enum PageUse
{
	USE_META,
	USE_MODEL,
	USE_DIRECTORY,
	USE_LIST,
	USE_CODE,
	USE_RECORD,
	USE_FREE,
	USE_UNUSED,
	USE_DAMAGED,
	NUSES
} PageUse;

static const char *const use_names[] = {
	"meta pages", "model pages", "directory pages", "list pages", "code pages", "record pages",
	"free pages", "unused pages", "damaged pages"
};

static const char *const use_notes[] = {
	NULL, NULL, "parts, with their codes and records", NULL, NULL, NULL, NULL,
	"of former directories, or left by a crash", NULL
};

static const char *const quantizer_names[] = {"none", "int8", "rabitq"};
static const char *const refine_names[] = {"full", "half", "int8", "heap"};
static const char *const metric_names[] = {
	"L2", "inner product", "cosine", "L1", "Hamming", "Jaccard"
};

StaticAssertDecl(lengthof(use_names) == NUSES, "each use has a name");
StaticAssertDecl(lengthof(use_notes) == NUSES, "each use has a note, or none");

/* a list, or something else that has an id */
typedef struct Chain
{
	uint32		id;
	int			list;			/* number in the directory, or less than 0 */
	double		rows;
} Chain;

#define CHAIN_UNDEFINED	(-1)
#define CHAIN_PART		(-2)

typedef struct Stats
{
	Relation	rel;
	IvfIndex   *index;
	IvfDirectory *directory;
	Chain	   *chains;			/* by id */
	uint32		nchains;
	double		pages[NUSES];
	double		rows;			/* in lists */
	double		undefined;
	double		cleared;
	double		spread_written; /* sum over the lists' rows then */
	double		rows_written;

	/* the sample */
	double		take;			/* each so-manieth row */
	double		seen;
	IvfLists	lists;
	ListQuery  *query;
	float	   *floats;
	uint8	   *room;			/* for a record of the directory */
	uint8	   *record;
	double		asked;
	double		moved;
	double		spread;			/* sum over rows asked, in nav space */
} Stats;

static int
compare_chains(const void *a, const void *b)
{
	uint32		left = ((const Chain *) a)->id;
	uint32		right = ((const Chain *) b)->id;

	return left < right ? -1 : left > right;
}

static Chain *
find_chain(const Stats *stats, uint32 id)
{
	Chain		key = {.id = id};

	return bsearch(&key, stats->chains, stats->nchains, sizeof(Chain), compare_chains);
}

/* the ids of the directory, and what it says about its lists */
static void
list_chains(Stats *stats)
{
	const IvfDirectory *directory = stats->directory;
	uint32		n = 0;

	stats->chains = MemoryContextAllocHuge(CurrentMemoryContext,
										   mul_size(sizeof(Chain), (Size) directory->nlists +
													directory->nparts + 1));
	for (uint32 i = 0; i < directory->nlists; i++)
	{
		Size		size;
		IvfListRecord head;

		memcpy(&head, ivf_list_record(stats->index, directory, stats->rel, i, stats->room, &size),
			   sizeof(head));
		stats->chains[n++] = (Chain) {.id = head.id, .list = (int) i};
		/* not known of lists that were only packed, or of values without floats */
		if (head.spread > 0)
		{
			stats->spread_written += (double) head.spread * head.rows;
			stats->rows_written += head.rows;
		}
	}
	stats->chains[n++] = (Chain) {.id = directory->undefined_id, .list = CHAIN_UNDEFINED};
	for (uint32 i = 0; i < directory->nparts; i++)
	{
		if (i == 0 || directory->parts[i]->id != directory->parts[i - 1]->id)
			stats->chains[n++] = (Chain) {.id = directory->parts[i]->id, .list = CHAIN_PART};
	}
	stats->nchains = n;
	qsort(stats->chains, n, sizeof(Chain), compare_chains);
}

/*--- pages ---------------------------------------------------------------*/

/* count the rows of a list page */
static void
count_rows(Stats *stats, Page page, Chain *chain)
{
	const IvfListHead *head = ivf_list_head(page);
	int			rows;

	if (!ivf_list_ok(chain->list == CHAIN_UNDEFINED ? &stats->index->undefined :
					 &stats->index->list, page))
	{
		stats->pages[USE_DAMAGED]++;
		stats->pages[USE_LIST]--;
		return;
	}
	rows = head->nrows - head->ncleared;
	chain->rows += rows;
	stats->cleared += head->ncleared;
	if (chain->list == CHAIN_UNDEFINED)
		stats->undefined += rows;
	else
		stats->rows += rows;
}

static PageUse
use_of(const Chain *chain, IvfPageKind kind)
{
	switch (kind)
	{
		case IVF_PAGE_META:
			return USE_META;
		case IVF_PAGE_MODEL:
			return USE_MODEL;
		case IVF_PAGE_FREE:
			return USE_FREE;
		case IVF_PAGE_LIST:
		case IVF_PAGE_PART:
		case IVF_PAGE_CODE:
		case IVF_PAGE_RECORD:
			if (chain == NULL)
				return USE_UNUSED;
			if (chain->list == CHAIN_PART)
				return USE_DIRECTORY;
			return kind == IVF_PAGE_LIST ? USE_LIST :
				kind == IVF_PAGE_CODE ? USE_CODE :
				kind == IVF_PAGE_RECORD ? USE_RECORD : USE_DAMAGED;
	}
	return USE_DAMAGED;
}

static void
count_pages(Stats *stats)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(stats->rel);

	for (BlockNumber blkno = 0; blkno < nblocks; blkno++)
	{
		IvfPageKind kind;
		uint32		id;
		Chain	   *chain;
		Buffer		buffer;
		PageUse		use;

		CHECK_FOR_INTERRUPTS();
		buffer = ivf_read_any(stats->rel, blkno, BUFFER_LOCK_SHARE, &kind, &id);
		if (!BufferIsValid(buffer))
			break;
		chain = find_chain(stats, id);
		use = PageIsNew(BufferGetPage(buffer)) ? USE_FREE : use_of(chain, kind);
		stats->pages[use]++;
		if (use == USE_LIST)
			count_rows(stats, BufferGetPage(buffer), chain);
		UnlockReleaseBuffer(buffer);
	}
}

/*--- drift ---------------------------------------------------------------*/

/* the value of a place as lists are ranked for it; NULL: as floats, in the query */
static const struct varlena *
ask_for(Stats *stats, const IvfListCopy *copy, int place)
{
	const IvfIndex *index = stats->index;
	const IvfShape *shape = &index->list;
	const struct varlena *plain = NULL;
	double		norm;

	ivf_read_record(stats->rel, shape, copy, place, stats->record);
	if (index->params.refine == REFINE_FULL)
		plain = ivf_plain(index, stats->rel, stats->record,
						  ivf_record_bytes(shape, copy->ends, place));
	if (stats->query == NULL)
		return plain;
	if (plain != NULL)
		ivf_to_floats(index, plain, stats->floats);
	else
	{
		refine_decode((RefineKind) index->params.refine, stats->record, index->params.dim,
					  stats->floats);
		norm = index->metric->kind == VEC_METRIC_COSINE ?
			refine_query_norm(stats->floats, index->params.dim) : 0;
		for (int i = 0; i < index->params.dim && norm > 0; i++)
			stats->floats[i] = (float) (stats->floats[i] / norm);
	}
	list_query_set(stats->query, stats->floats);
	return NULL;
}

/* how far the value asked for is from the centroid of its list */
static double
own_distance(Stats *stats, int list)
{
	Size		size;
	const uint8 *record = ivf_list_record(stats->index, stats->directory, stats->rel,
										  (uint32) list, stats->room, &size);
	const uint8 *center = record + sizeof(IvfListRecord);

	if (stats->query != NULL)
		return list_center_distance(stats->query, (const float *) (const void *) center);
	if (size <= sizeof(IvfListRecord))
		return INFINITY;
	return ivf_value_distance(stats->index->metric, stats->lists.plain,
							  ivf_plain(stats->index, stats->rel, center,
										size - sizeof(IvfListRecord)));
}

/* a row: is its list still the nearest? */
static void
ask_row(Stats *stats, const Chain *chain, const IvfListCopy *copy, int place)
{
	IvfNear		near;
	double		own;

	stats->lists.plain = ask_for(stats, copy, place);
	own = own_distance(stats, chain->list);
	if (ivf_near_lists(&stats->lists, 1, &near) != 1 || !isfinite(own))
		return;
	stats->asked++;
	stats->spread += stats->query != NULL ? sqrt(Max(own, 0)) : own;
	stats->moved += near.list != (uint32) chain->list && near.distance < own * NEARER;
}

/* rows of a list page that belong to the sample */
static void
ask_page(Stats *stats, BlockNumber blkno)
{
	const IvfShape *shape = &stats->index->list;
	IvfPageKind kind;
	uint32		id;
	Buffer		buffer = ivf_read_any(stats->rel, blkno, BUFFER_LOCK_SHARE, &kind, &id);
	const Chain *chain = NULL;
	ItemPointerData *tids;
	IvfListCopy *copy;
	Page		page;

	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	if (kind == IVF_PAGE_LIST)
		chain = find_chain(stats, id);
	if (chain == NULL || chain->list < 0 || !ivf_list_ok(shape, page))
	{
		UnlockReleaseBuffer(buffer);
		return;
	}
	copy = ivf_copy_list(shape, buffer, palloc(ivf_list_copy_size(shape, page)));
	tids = palloc(sizeof(ItemPointerData) * Max(copy->nrows, 1));
	memcpy(tids, ivf_list_tids(shape, page), sizeof(ItemPointerData) * copy->nrows);
	UnlockReleaseBuffer(buffer);
	for (int i = 0; i < copy->nrows; i++)
	{
		if (!ItemPointerIsValid(&tids[i]))
			continue;
		stats->seen++;
		if (stats->seen < stats->take * (stats->asked + 1) || stats->asked >= SAMPLE_ROWS)
			continue;
		if (ivf_record_bytes(shape, copy->ends, i) > shape->record_size)
			am_corrupt(stats->rel, blkno, "A record is too long.");
		ask_row(stats, chain, copy, i);
	}
}

static void
ask_sample(Stats *stats)
{
	const IvfIndex *index = stats->index;
	BlockNumber nblocks = RelationGetNumberOfBlocks(stats->rel);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat sample",
												  ALLOCSET_DEFAULT_SIZES);

	stats->take = Max(1, stats->rows / SAMPLE_ROWS);
	stats->record = palloc(MAXALIGN(index->list.record_size) + MAXIMUM_ALIGNOF);
	if (index->params.space == IVF_SPACE_FLOAT)
	{
		stats->floats = palloc(sizeof(float) * index->params.dim);
		stats->query = list_query_init(index->place_model, LIST_RABITQ,
									   palloc(list_query_size(index->place_model, LIST_RABITQ)));
	}
	ivf_lists_init(&stats->lists, index, stats->directory, stats->rel, stats->query, NULL, false);
	for (BlockNumber blkno = 1; blkno < nblocks; blkno++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		ask_page(stats, blkno);
		stats->lists.scratch = NULL;	/* it lies in the context */
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
}

/*--- report --------------------------------------------------------------*/

/* what the build fixed */
static void
report_parameters(const Stats *stats, AmReport *report)
{
	const IvfParams *params = &stats->index->params;

	am_report_stat(report, "format version", IVF_VERSION, NULL);
	am_report_stat(report, "dimensions", params->dim, stats->index->metric->type->name);
	am_report_stat(report, "metric", params->metric,
				   params->metric < lengthof(metric_names) ? metric_names[params->metric] : NULL);
	am_report_stat(report, "quantizer", params->quantizer, quantizer_names[params->quantizer]);
	am_report_stat(report, "refine", params->refine, refine_names[params->refine]);
	am_report_stat(report, "lists wanted", params->lists,
				   params->lists == 0 ? "vacuum chooses by the number of rows" : NULL);
	am_report_stat(report, "filter columns",
				   stats->index->filters ? stats->index->filters->ncolumns : 0, NULL);
	am_report_stat(report, "rows per list page", stats->index->list.rows, NULL);
	am_report_stat(report, "directory", stats->directory->id, "id; grows with each change");
}

static void
report_lists(const Stats *stats, AmReport *report)
{
	double		least = -1;
	double		most = 0;
	double		empty = 0;

	for (uint32 i = 0; i < stats->nchains; i++)
	{
		const Chain *chain = &stats->chains[i];

		if (chain->list < 0)
			continue;
		least = least < 0 ? chain->rows : Min(least, chain->rows);
		most = Max(most, chain->rows);
		empty += chain->rows == 0;
	}
	am_report_stat(report, "lists", stats->directory->nlists, NULL);
	am_report_stat(report, "lists empty", empty, NULL);
	am_report_stat(report, "smallest list", least, "rows");
	am_report_stat(report, "mean list", stats->rows / stats->directory->nlists, "rows");
	am_report_stat(report, "largest list", most, "rows");
	am_report_stat(report, "rows", stats->rows + stats->undefined, NULL);
	am_report_stat(report, "rows undefined", stats->undefined, "without a distance");
	am_report_stat(report, "rows cleared", stats->cleared, "removed, space not used again yet");
}

static void
report_drift(const Stats *stats, AmReport *report)
{
	if (stats->asked == 0)
		return;
	am_report_stat(report, "rows sampled", stats->asked, NULL);
	am_report_stat(report, "drift", stats->moved / stats->asked,
				   "part of the sampled rows that are nearer to another list's centroid");
	am_report_stat(report, "spread", stats->spread / stats->asked,
				   "mean distance of sampled rows to their centroid");
	if (stats->rows_written > 0)
		am_report_stat(report, "spread written", stats->spread_written / stats->rows_written,
					   "the same of all rows, when lists were written");
}

/*
 * ivf_stats
 *		Report the figures.  Raises XX002 for a damaged page.
 */
void
ivf_stats(Relation rel, AmReport *report)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat figures",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Stats	   *stats = palloc0(sizeof(Stats));
	double		pages = 0;

	stats->rel = rel;
	stats->index = ivf_open(rel, &stats->directory);
	stats->room = palloc(MAXALIGN(stats->index->part.record_size));
	list_chains(stats);
	count_pages(stats);
	if (stats->index->list.record_size > 0 && stats->rows > 0)
		ask_sample(stats);

	report_parameters(stats, report);
	report_lists(stats, report);
	report_drift(stats, report);
	for (int i = 0; i < NUSES; i++)
		pages += stats->pages[i];
	am_report_stat(report, "pages", pages, NULL);
	for (int i = 0; i < NUSES; i++)
		am_report_stat(report, use_names[i], stats->pages[i], use_notes[i]);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*-------------------------------------------------------------------------
 *
 * ivfdirectory.c
 *	  The directory as a backend keeps it, and which of its lists are near.
 *
 * Codes of centroids are always kept; centroids themselves, with first pages
 * and ids, if they take no more than KEPT_BYTES, else they are read when they
 * are needed.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include <float.h>

#include "utils/memutils.h"

#define KEPT_BYTES		((Size) 4 * 1024 * 1024)

/* spreads taken off the estimate of a centroid's distance */
#define CENTER_EPSILON	LIST_EPSILON

/*--- loading -------------------------------------------------------------*/

/* add the first n codes of a block to those of the directory, which has "at" */
static void
add_codes(const IvfIndex *index, const uint8 *block, int n, uint8 *blocks, uint32 at)
{
	const IvfShape *shape = &index->part;
	uint8	   *row = palloc(shape->row_bytes);

	for (int i = 0; i < n; i++, at++)
	{
		ivf_block_get(shape, index->params.dim, block, i, row);
		ivf_block_put(shape, index->params.dim,
					  blocks + (Size) (at / IVF_BLOCK_ROWS) * shape->block_bytes,
					  at % IVF_BLOCK_ROWS, row);
	}
	pfree(row);
}

/*
 * Copy the list page of a part.  Its codes go to "blocks", behind the first n,
 * if they are not more than nlists.
 */
static IvfListCopy *
load_part(const IvfIndex *index, Relation rel, BlockNumber blkno, const IvfMetaPageData *meta,
		  uint8 *blocks, uint32 n)
{
	const IvfShape *shape = &index->part;
	IvfPageKind kind;
	uint32		id;
	Buffer		buffer = ivf_read_any(rel, blkno, BUFFER_LOCK_SHARE, &kind, &id);
	IvfListCopy *copy;
	Page		page;
	uint8	   *block;

	/* a later id than the directory's: the page was used again */
	if (!BufferIsValid(buffer) || kind != IVF_PAGE_PART || id > meta->directory)
		ivf_page_gone(rel, blkno, "A part of the directory is missing.");
	page = BufferGetPage(buffer);
	if (!ivf_list_ok(shape, page) || ivf_list_head(page)->nrows == 0 ||
		ivf_list_head(page)->nrows > meta->nlists - n)
		am_corrupt(rel, blkno, "A part of the directory is damaged.");
	copy = ivf_copy_list(shape, buffer, palloc(ivf_list_copy_size(shape, page)));
	for (int i = 0; blocks != NULL && shape->inline_blocks && i < copy->nrows;
		 i += IVF_BLOCK_ROWS)
		add_codes(index, ivf_list_block(shape, page, i / IVF_BLOCK_ROWS),
				  Min(copy->nrows - i, IVF_BLOCK_ROWS), blocks, n + i);
	UnlockReleaseBuffer(buffer);
	if (blocks == NULL || shape->inline_blocks)
		return copy;

	block = palloc(shape->block_bytes);
	for (int i = 0; i < copy->nrows; i += IVF_BLOCK_ROWS)
	{
		ivf_read_block(rel, shape, copy, i / IVF_BLOCK_ROWS, block);
		add_codes(index, block, Min(copy->nrows - i, IVF_BLOCK_ROWS), blocks, n + i);
	}
	pfree(block);
	return copy;
}

/* read and check every record, if they are small enough to be kept */
static void
load_records(const IvfIndex *index, IvfDirectory *directory, Relation rel)
{
	Size		total = 0;

	for (uint32 p = 0; p < directory->nparts; p++)
	{
		const IvfListCopy *part = directory->parts[p];

		total += ivf_record_start(&index->part, part->ends, part->nrows);
	}
	if (total > KEPT_BYTES)
		return;
	directory->records = palloc(sizeof(uint8 *) * directory->nlists);
	directory->record_sizes = palloc(sizeof(Size) * directory->nlists);
	for (uint32 p = 0; p < directory->nparts; p++)
	{
		const IvfListCopy *part = directory->parts[p];

		for (int i = 0; i < part->nrows; i++)
		{
			uint32		list = directory->part_first[p] + i;
			Size		size = ivf_record_bytes(&index->part, part->ends, i);

			directory->record_sizes[list] = size;
			directory->records[list] = palloc(size);
			ivf_read_record(rel, &index->part, part, i, directory->records[list]);
		}
	}
}

/* room for the codes of all centroids */
static uint8 *
new_blocks(const IvfIndex *index, uint32 nlists)
{
	Size		nblocks = (nlists + IVF_BLOCK_ROWS - 1) / IVF_BLOCK_ROWS;
	Size		size = mul_size(nblocks, index->part.block_bytes);

	return memset(MemoryContextAllocHuge(CurrentMemoryContext, size), 0, size);
}

/*
 * ivf_load_directory
 *		The directory that a copy of the metapage names, in a context of its own.
 */
IvfDirectory *
ivf_load_directory(const IvfIndex *index, Relation rel, const IvfMetaPageData *meta)
{
	const IvfShape *shape = &index->part;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat directory",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	IvfDirectory *directory = palloc0(sizeof(IvfDirectory));
	uint32		n = 0;

	directory->cached.context = context;
	directory->id = meta->directory;
	directory->nlists = meta->nlists;
	directory->undefined_first = meta->undefined_first;
	directory->undefined_id = meta->undefined_id;
	directory->nparts = meta->nparts;
	directory->parts = palloc(sizeof(IvfListCopy *) * meta->nparts);
	directory->part_first = palloc(sizeof(uint32) * (meta->nparts + 1));
	if (shape->row_bytes > 0)
		directory->blocks = new_blocks(index, meta->nlists);
	for (uint32 p = 0; p < meta->nparts; p++)
	{
		directory->part_first[p] = n;
		directory->parts[p] = load_part(index, rel, meta->parts[p], meta, directory->blocks, n);
		n += directory->parts[p]->nrows;
	}
	directory->part_first[meta->nparts] = n;
	if (n != meta->nlists)
		am_corrupt(rel, 0, "The directory has fewer lists than the metapage says.");
	load_records(index, directory, rel);
	MemoryContextSwitchTo(old);
	return directory;
}

/*--- records -------------------------------------------------------------*/

/*
 * ivf_list_record
 *		The IvfListRecord of a list, with the centroid behind it: kept, or read
 *		into "room".
 */
const uint8 *
ivf_list_record(const IvfIndex *index, const IvfDirectory *directory, Relation rel, uint32 list,
				uint8 *room, Size *size)
{
	uint32		low = 0;
	uint32		high = directory->nparts;
	const IvfListCopy *part;

	Assert(list < directory->nlists);
	if (directory->records != NULL)
	{
		*size = directory->record_sizes[list];
		return directory->records[list];
	}
	while (high - low > 1)
	{
		uint32		middle = (low + high) / 2;

		if (directory->part_first[middle] <= list)
			low = middle;
		else
			high = middle;
	}
	part = directory->parts[low];
	*size = ivf_record_bytes(&index->part, part->ends, list - directory->part_first[low]);
	ivf_read_record(rel, &index->part, part, list - directory->part_first[low], room);
	return room;
}

/*--- near lists ----------------------------------------------------------*/

/* codes that rank by Euclidean distance, for an index on inner products */
static const uint8 *
make_place_blocks(const IvfIndex *index, IvfDirectory *directory, Relation rel, uint8 *room)
{
	const IvfShape *shape = &index->part;
	MemoryContext old = MemoryContextSwitchTo(directory->cached.context);
	uint8	   *blocks = new_blocks(index, directory->nlists);
	uint8	   *row = palloc(shape->row_bytes);
	float	   *origin = palloc0(sizeof(float) * index->params.dim);

	for (uint32 list = 0; list < directory->nlists; list++)
	{
		Size		size;
		const uint8 *record = ivf_list_record(index, directory, rel, list, room, &size);

		ivf_encode(index->place_model, LIST_RABITQ,
				   (const float *) (record + sizeof(IvfListRecord)), 0, origin, row);
		ivf_block_put(shape, index->params.dim,
					  blocks + (Size) (list / IVF_BLOCK_ROWS) * shape->block_bytes,
					  list % IVF_BLOCK_ROWS, row);
	}
	directory->place_blocks = blocks;
	pfree(row);
	pfree(origin);
	MemoryContextSwitchTo(old);
	return blocks;
}

/*
 * ivf_lists_init
 *		Prepare to look for lists, in the current memory context.
 *
 * With "search" lists are ranked for a query, else for a row that is to go to
 * one: query was made with index->model or index->place_model then.  plain
 * serves where there is no model.
 */
void
ivf_lists_init(IvfLists *lists, const IvfIndex *index, IvfDirectory *directory, Relation rel,
			   ListQuery *query, const struct varlena *plain, bool search)
{
	lists->index = index;
	lists->search = search;
	lists->directory = directory;
	lists->rel = rel;
	lists->query = query;
	lists->plain = plain;
	lists->room = palloc(MAXALIGN(index->part.record_size));
	lists->scratch = NULL;
	if (query == NULL)
		return;
	lists->blocks = directory->blocks;
	if (!search && index->place_model != index->model)
		lists->blocks = directory->place_blocks ? directory->place_blocks :
			make_place_blocks(index, directory, rel, lists->room);
}

static const float *
center_of(void *context, int i)
{
	IvfLists   *lists = context;
	Size		size;

	return (const float *)
		(ivf_list_record(lists->index, lists->directory, lists->rel, (uint32) i, lists->room,
						 &size) + sizeof(IvfListRecord));
}

/* all centroids that are plain values */
static void
rank_values(IvfLists *lists, ListBest *best)
{
	const IvfIndex *index = lists->index;

	for (uint32 i = 0; i < lists->directory->nlists; i++)
	{
		Size		size;
		const uint8 *record = ivf_list_record(index, lists->directory, lists->rel, i,
											  lists->room, &size);
		const struct varlena *center;
		double		distance;

		if (size < sizeof(IvfListRecord))
			am_corrupt(lists->rel, InvalidBlockNumber, "A record of the directory is too short.");
		/* the one list of an index built without rows has no centroid */
		if (size == sizeof(IvfListRecord))
		{
			list_best_add(best, FLT_MAX, i);
			continue;
		}
		center = ivf_plain(index, lists->rel, record + sizeof(IvfListRecord),
						   size - sizeof(IvfListRecord));
		distance = lists->search ? index->metric->distance(lists->plain, center) :
			ivf_value_distance(index->metric, lists->plain, center);
		/* NaN, as with a centroid without a direction: behind all others */
		list_best_add(best, distance < FLT_MAX ? (float) distance : FLT_MAX, i);
	}
}

/* all lists by their centroids, whatever codes say */
static void
rank_all(IvfLists *lists, ListBest *best)
{
	for (uint32 i = 0; i < lists->directory->nlists; i++)
	{
		float		distance = list_center_distance(lists->query, center_of(lists, (int) i));

		/* what overflowed is behind all others, but not left out */
		list_best_add(best, distance < FLT_MAX ? distance : FLT_MAX, i);
	}
	list_best_sort(best);
}

/*
 * ivf_near_lists
 *		The nearest lists, nearest first; returns how many: "wanted" or all.
 *
 * If all are wanted, they are in order of their centroids; else codes decide
 * which are looked at, and now and then a list is missed.
 */
int
ivf_near_lists(IvfLists *lists, int wanted, IvfNear *near)
{
	const IvfDirectory *directory = lists->directory;
	int			k = (int) Min((uint32) wanted, directory->nlists);
	void	   *memory = palloc(list_best_size(k));
	ListBest	best;

	list_best_init(&best, k, memory);
	if (lists->query == NULL)
	{
		rank_values(lists, &best);
		list_best_sort(&best);
	}
	else if (k == (int) directory->nlists)
		rank_all(lists, &best);
	else
	{
		if (lists->scratch == NULL)
			lists->scratch = palloc(sizeof(float) * 2 * (directory->nlists + LIST_BLOCK));
		list_centers(lists->query, lists->blocks + sizeof(ListBlockTerms),
					 lists->index->part.block_bytes, lists->blocks,
					 lists->index->part.block_bytes, (int) directory->nlists, CENTER_EPSILON,
					 center_of, lists, lists->scratch, &best);
	}
	for (int i = 0; i < best.n; i++)
	{
		Size		size;
		IvfListRecord head;

		near[i].distance = best.distance[i];
		near[i].list = (uint32) best.id[i];
		memcpy(&head, ivf_list_record(lists->index, directory, lists->rel, near[i].list,
									  lists->room, &size), sizeof(head));
		near[i].first = head.first;
		near[i].id = head.id;
	}
	pfree(memory);
	return best.n;
}

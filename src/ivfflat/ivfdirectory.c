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

/* copy a part's list page; its blocks, packed or not, go to "rows" in row form */
static IvfListCopy *
load_part(const IvfIndex *index, Relation rel, BlockNumber blkno, uint32 most, uint8 *rows)
{
	const IvfShape *shape = &index->part;
	IvfPageKind kind;
	uint32		id;
	Buffer		buffer = ivf_read_any(rel, blkno, BUFFER_LOCK_SHARE, &kind, &id);
	IvfListCopy *copy;
	Page		page;

	/* a later id than the directory's: the page was used again */
	if (!BufferIsValid(buffer) || kind != IVF_PAGE_PART || id > most)
		ivf_page_gone(rel, blkno, "A part of the directory is missing.");
	page = BufferGetPage(buffer);
	if (!ivf_list_ok(shape, page) || ivf_list_head(page)->nrows == 0)
		am_corrupt(rel, blkno, "A part of the directory is damaged.");
	copy = ivf_copy_list(shape, buffer, palloc(ivf_list_copy_size(shape, page)));
	if (rows != NULL && shape->inline_blocks)
	{
		for (int i = 0; i * IVF_BLOCK_ROWS < copy->nrows; i++)
			ivf_unpack(shape, index->params.dim, ivf_list_block(shape, page, i),
					   Min(copy->nrows - i * IVF_BLOCK_ROWS, IVF_BLOCK_ROWS),
					   rows + i * shape->block_bytes);
	}
	UnlockReleaseBuffer(buffer);
	if (copy->npacked * IVF_BLOCK_ROWS < copy->nrows && shape->row_bytes > 0)
		am_corrupt(rel, blkno, "A part of the directory is damaged.");

	if (rows != NULL && !shape->inline_blocks)
	{
		uint8	   *block = palloc(shape->block_bytes);

		for (int i = 0; i * IVF_BLOCK_ROWS < copy->nrows; i++)
		{
			ivf_read_block(rel, shape, copy, i, block);
			ivf_unpack(shape, index->params.dim, block,
					   Min(copy->nrows - i * IVF_BLOCK_ROWS, IVF_BLOCK_ROWS),
					   rows + i * shape->block_bytes);
		}
		pfree(block);
	}
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

/* codes of all centroids, block after block, from rows in row form */
static uint8 *
pack_all(const IvfIndex *index, uint32 nlists, const uint8 *rows)
{
	const IvfShape *shape = &index->part;
	Size		nblocks = (nlists + IVF_BLOCK_ROWS - 1) / IVF_BLOCK_ROWS;
	uint8	   *blocks = MemoryContextAllocHuge(CurrentMemoryContext,
												mul_size(nblocks, shape->block_bytes));

	for (Size i = 0; i < nblocks; i++)
		ivf_pack(shape, index->params.dim, rows + i * shape->block_bytes,
				 (int) Min(nlists - i * IVF_BLOCK_ROWS, IVF_BLOCK_ROWS),
				 blocks + i * shape->block_bytes);
	return blocks;
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
	uint8	   *rows = NULL;
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
		rows = MemoryContextAllocHuge(context, mul_size(meta->nlists + shape->rows +
														IVF_BLOCK_ROWS, shape->row_bytes));
	for (uint32 p = 0; p < meta->nparts; p++)
	{
		if (n >= meta->nlists)
			am_corrupt(rel, 0, "The directory has fewer lists than the metapage says.");
		directory->part_first[p] = n;
		directory->parts[p] = load_part(index, rel, meta->parts[p], meta->directory,
										rows ? rows + n * shape->row_bytes : NULL);
		n += directory->parts[p]->nrows;
	}
	directory->part_first[meta->nparts] = n;
	if (n != meta->nlists)
		am_corrupt(rel, 0, "The directory has more lists than the metapage says.");
	if (rows != NULL)
	{
		directory->blocks = pack_all(index, n, rows);
		pfree(rows);
	}
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
	uint8	   *rows = MemoryContextAllocHuge(CurrentMemoryContext,
											  mul_size(directory->nlists + IVF_BLOCK_ROWS,
													   shape->row_bytes));
	float	   *origin = palloc0(sizeof(float) * index->params.dim);

	for (uint32 list = 0; list < directory->nlists; list++)
	{
		Size		size;
		const uint8 *record = ivf_list_record(index, directory, rel, list, room, &size);

		ivf_encode(index->place_model, LIST_RABITQ,
				   (const float *) (record + sizeof(IvfListRecord)), 0, origin,
				   rows + list * shape->row_bytes);
	}
	directory->place_blocks = pack_all(index, directory->nlists, rows);
	pfree(rows);
	pfree(origin);
	MemoryContextSwitchTo(old);
	return directory->place_blocks;
}

/*
 * ivf_lists_init
 *		Prepare to look for lists, in the current memory context.
 *
 * query was made with index->model to search, with index->place_model to find
 * where a row goes; plain serves where there is no model.
 */
void
ivf_lists_init(IvfLists *lists, const IvfIndex *index, IvfDirectory *directory, Relation rel,
			   ListQuery *query, const struct varlena *plain)
{
	lists->index = index;
	lists->directory = directory;
	lists->rel = rel;
	lists->query = query;
	lists->plain = plain;
	lists->room = palloc(MAXALIGN(index->part.record_size));
	lists->scratch = NULL;
	if (query == NULL)
		return;
	lists->blocks = directory->blocks;
	if (query->model != index->model)
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
		center = ivf_plain(index, lists->rel, record + sizeof(IvfListRecord),
						   size - sizeof(IvfListRecord));
		distance = index->metric->distance(lists->plain, center);
		/* NaN, as with a centroid without a direction: behind all others */
		list_best_add(best, distance < FLT_MAX ? (float) distance : FLT_MAX, i);
	}
}

/*
 * ivf_near_lists
 *		The nearest lists, nearest first; returns how many: "wanted" or all.
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

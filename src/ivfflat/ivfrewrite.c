/*-------------------------------------------------------------------------
 *
 * ivfrewrite.c
 *	  A step of maintenance: some lists are written anew, as other lists, and a
 *	  directory that names them becomes the current one (README.md,
 *	  "Maintenance").
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfmaintain.h"

#include <math.h>

#include "access/transam.h"
#include "access/xact.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* rows that may be left to be carried over while inserts wait, and attempts */
#define FEW_ROWS		64
#define CARRY_ROUNDS	4

/* a page's rows, with what will be stored of each */
typedef struct Taken
{
	int			n;
	int		   *places;
	int32_t    *lists;
	float	   *nav;			/* n * dim */
	float	   *slack;
} Taken;

/*--- reading list pages --------------------------------------------------*/

/*
 * ivf_step_page
 *		Copy a list page of the chain "id" into step->page and step->copy; returns
 *		the next one.
 */
BlockNumber
ivf_step_page(IvfStep *step, uint32 id, BlockNumber blkno)
{
	const IvfShape *shape = &step->index->list;
	Buffer		buffer;
	Page		page;
	Size		size;

	vacuum_delay_point_vacuum_compat();
	buffer = ivf_read(step->rel, blkno, BUFFER_LOCK_SHARE, IVF_PAGE_LIST, id);
	page = BufferGetPage(buffer);
	if (!ivf_list_ok(shape, page))
		am_corrupt(step->rel, blkno, "The counts of a list page do not agree.");
	size = ivf_list_copy_size(shape, page);
	if (size > step->copy_room)
	{
		step->copy = repalloc(step->copy, size);
		step->copy_room = size;
	}
	ivf_copy_list(shape, buffer, step->copy);
	memcpy(step->page, page, BLCKSZ);
	UnlockReleaseBuffer(buffer);
	return step->copy->next;
}

static Size
read_record(IvfStep *step, int place)
{
	const IvfShape *shape = &step->index->list;
	Size		size = ivf_record_bytes(shape, step->copy->ends, place);

	if (size > shape->record_size)
		am_corrupt(step->rel, step->copy->blkno, "A record is too long.");
	if (size > 0)
		ivf_read_record(step->rel, shape, step->copy, place, step->record);
	return size;
}

/*
 * ivf_step_plain
 *		The plain value of a place of the copied page, until the next is read.
 */
const struct varlena *
ivf_step_plain(IvfStep *step, int place)
{
	Size		size = read_record(step, place);

	return ivf_plain(step->index, step->rel, step->record, size);
}

/*
 * ivf_step_floats
 *		The vector of a place of the copied page, in nav space; returns how far
 *		the indexed one may lie from it.
 */
float
ivf_step_floats(IvfStep *step, int place, float *floats)
{
	const IvfIndex *index = step->index;
	int			dim = index->params.dim;
	double		residual = 0;
	double		norm;

	if (index->params.refine == REFINE_FULL)
		ivf_to_floats(index, ivf_step_plain(step, place), floats);
	else
	{
		read_record(step, place);
		residual = refine_decode((RefineKind) index->params.refine, step->record, dim, floats);
		norm = index->metric->kind == VEC_METRIC_COSINE ? refine_query_norm(floats, dim) : 0;
		if (norm > 0)
		{
			/* unit vectors of two vectors are at most twice their distance apart, by length */
			residual = 2 * residual / norm;
			for (int i = 0; i < dim; i++)
				floats[i] = (float) (floats[i] / norm);
		}
	}
	return quant_map(index->model, floats, floats) +
		(float) (index->model->scale * residual * 1.0001);
}

/*--- rows to their new lists ---------------------------------------------*/

/* rows of the copied page that are there, and the lists to which they go */
static void
place_rows(IvfStep *step, const IvfRewrite *rewrite, Taken *taken)
{
	const IvfIndex *index = step->index;
	const ItemPointerData *tids = ivf_list_tids(&index->list, (Page) step->page);
	int			dim = index->params.dim;
	const float **rows;

	taken->n = 0;
	for (int i = 0; i < step->copy->nrows; i++)
	{
		if (ItemPointerIsValid(&tids[i]))
			taken->places[taken->n++] = i;
	}
	if (rewrite->fate == IVF_FATE_PACK)
	{
		for (int i = 0; i < taken->n; i++)
			taken->lists[i] = rewrite->target;
		return;
	}
	if (step->build.centroids.area == NULL)
	{
		for (int i = 0; i < taken->n; i++)
			taken->lists[i] = ivf_place_value(&step->build, ivf_step_plain(step,
																		  taken->places[i]));
		return;
	}
	rows = palloc(sizeof(float *) * Max(taken->n, 1));
	for (int i = 0; i < taken->n; i++)
	{
		rows[i] = taken->nav + (Size) i * dim;
		taken->slack[i] = ivf_step_floats(step, taken->places[i], taken->nav + (Size) i * dim);
	}
	cluster_place(step->build.centroids.area, rows, taken->n, taken->lists,
				  palloc(cluster_place_size(step->build.centroids.area, taken->n)));
}

/* the code that a place of the copied page has */
static void
copy_code(IvfStep *step, int place, uint8 *code)
{
	const IvfShape *shape = &step->index->list;
	int			number = place / IVF_BLOCK_ROWS;
	const uint8 *block = step->block;

	if (shape->inline_blocks)
		block = ivf_list_block(shape, (Page) step->page, number);
	else
		ivf_read_block(step->rel, shape, step->copy, number, step->block);
	ivf_block_get(shape, step->index->params.dim, block, place % IVF_BLOCK_ROWS, code);
}

/* make a row of the copied page anew: its words, code, record, distance */
static void
make_row(IvfStep *step, const IvfRewrite *rewrite, const Taken *taken, int i, IvfRow *row,
		 float *distance)
{
	const IvfIndex *index = step->index;
	int			dim = index->params.dim;
	int			place = taken->places[i];
	Size		code_bytes = index->list.row_bytes;
	uint8	   *code = palloc(Max(code_bytes, 1));
	uint64	   *keys = palloc(sizeof(uint64) * (index->list.nwords + 1));
	const float *nav = taken->nav + (Size) i * dim;
	const float *center;

	ivf_keys_get(&index->list, (Page) step->page, place, keys);
	row->tid = ivf_list_tids(&index->list, (Page) step->page)[place];
	row->keys = keys;
	row->code = code_bytes > 0 ? code : NULL;
	row->record = step->record;
	row->record_bytes = read_record(step, place);
	*distance = 0;
	if (step->build.centroids.centers != NULL && rewrite->fate != IVF_FATE_PACK)
	{
		center = step->build.centroids.centers + (Size) taken->lists[i] * dim;
		list_floats(QUANT_L2, nav, center, dim, 1, dim, distance);
		if (code_bytes > 0 && taken->lists[i] != rewrite->target)
		{
			ivf_encode(index->model, (ListQuantizer) index->params.quantizer, nav,
					   taken->slack[i], center, code);
			return;
		}
	}
	if (code_bytes > 0)
		copy_code(step, place, code);
}

/*
 * The rows of the copied page go to the sort, or, once the new chains have been
 * written, to their ends; returns how many.
 */
static int
take_page(IvfStep *step, const IvfRewrite *rewrite, bool sorting)
{
	MemoryContext old = MemoryContextSwitchTo(step->build.batch_context);
	int			nrows = Max(step->copy->nrows, 1);
	Taken		taken;

	taken.places = palloc(sizeof(int) * nrows);
	taken.lists = palloc(sizeof(int32_t) * nrows);
	taken.slack = palloc0(sizeof(float) * nrows);
	taken.nav = step->index->params.space != IVF_SPACE_FLOAT ? NULL :
		MemoryContextAllocHuge(CurrentMemoryContext,
							   mul_size(sizeof(float) * step->index->params.dim, nrows));
	place_rows(step, rewrite, &taken);
	for (int i = 0; i < taken.n; i++)
	{
		IvfRow		row;
		float		distance;
		int			list = taken.lists[i];

		CHECK_FOR_INTERRUPTS();
		make_row(step, rewrite, &taken, i, &row, &distance);
		if (sorting)
			ivf_put_row(&step->build, list, &row, distance);
		else
			ivf_append(step->rel, step->index, &step->index->list, step->records[list].first,
					   step->records[list].id, &row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(step->build.batch_context);
	return taken.n;
}

/*--- the old chains ------------------------------------------------------*/

/* seal the last page of a chain, so that it gets no more rows; returns it */
static BlockNumber
seal(IvfStep *step, const IvfRewrite *rewrite, BlockNumber blkno)
{
	Relation	rel = step->rel;
	BlockNumber steps = 0;

	for (;;)
	{
		Buffer		buffer = ivf_read(rel, blkno, BUFFER_LOCK_EXCLUSIVE, IVF_PAGE_LIST,
									  rewrite->id);
		BlockNumber next = ivf_list_head(BufferGetPage(buffer))->next;
		GenericXLogState *state;

		CHECK_FOR_INTERRUPTS();
		if (!BlockNumberIsValid(next))
		{
			state = GenericXLogStart(rel);
			ivf_list_head(GenericXLogRegisterBuffer(state, buffer, 0))->flags |= IVF_LIST_SEALED;
			GenericXLogFinish(state);
			UnlockReleaseBuffer(buffer);
			return blkno;
		}
		UnlockReleaseBuffer(buffer);
		if (!am_block_exists(rel, steps++))
			am_corrupt(rel, next, "A chain of list pages has no end.");
		blkno = next;
	}
}

/* all rows of a list, as far as its chain goes now */
static void
take_list(IvfStep *step, IvfRewrite *rewrite)
{
	BlockNumber blkno = rewrite->first;

	rewrite->end = seal(step, rewrite, rewrite->first);
	while (blkno != rewrite->end)
	{
		BlockNumber next = ivf_step_page(step, rewrite->id, blkno);

		take_page(step, rewrite, true);
		blkno = next;
	}
	ivf_step_page(step, rewrite->id, blkno);
	take_page(step, rewrite, true);
}

/*
 * Rows that came after those taken before; returns how many.  Without the gate
 * the last page is sealed first, for more may come.
 */
static int
carry_list(IvfStep *step, IvfRewrite *rewrite, bool gate)
{
	BlockNumber next = ivf_step_page(step, rewrite->id, rewrite->end);
	BlockNumber last = InvalidBlockNumber;
	int			n = 0;

	if (BlockNumberIsValid(next) && !gate)
		last = seal(step, rewrite, next);
	while (BlockNumberIsValid(next))
	{
		BlockNumber blkno = next;

		next = ivf_step_page(step, rewrite->id, blkno);
		n += take_page(step, rewrite, false);
		rewrite->end = blkno;
		/* a page linked since is not sealed: it may get more rows */
		if (blkno == last)
			break;
	}
	return n;
}

static int
carry(IvfStep *step, bool gate)
{
	int			n = 0;

	for (int i = 0; i < step->nrewrites; i++)
		n += carry_list(step, &step->rewrites[i], gate);
	return n;
}

/*--- the new chains and directory ----------------------------------------*/

/* ids for the lists to be and for the directory, which has the last */
static void
take_ids(IvfStep *step)
{
	Buffer		buffer = ivf_read(step->rel, 0, BUFFER_LOCK_EXCLUSIVE, IVF_PAGE_META, 0);
	GenericXLogState *state = GenericXLogStart(step->rel);
	IvfMetaPage meta = IvfPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));

	step->first_id = meta->next_id;
	meta->next_id += step->build.centroids.nlists + 1;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

static void
write_lists(IvfStep *step, IvfWriter *writer)
{
	int			n = step->build.centroids.nlists;
	IvfSorted	sorted;

	tuplesort_performsort(step->build.sort);
	ivf_sorted_begin(&step->build, &sorted);
	step->records = palloc(sizeof(IvfListRecord) * n);
	for (int i = 0; i < n; i++)
		ivf_write_list(&step->build, writer, &sorted, i, step->first_id + i, &step->records[i]);
	ivf_sorted_end(&sorted);
	tuplesort_end(step->build.sort);
}

/* one list of the new directory; center: in nav space, or NULL */
static void
write_entry(IvfStep *step, IvfWriter *writer, const uint8 *record, Size size,
			const float *center)
{
	const IvfIndex *index = step->index;
	IvfListRecord head;
	IvfRow		row = {.record = record, .record_bytes = size};
	uint8	   *code = NULL;
	float	   *origin;

	memcpy(&head, record, sizeof(head));
	ItemPointerSet(&row.tid, head.first, 1);
	if (center != NULL && index->part.row_bytes > 0)
	{
		code = palloc(index->part.row_bytes);
		origin = palloc0(sizeof(float) * index->params.dim);
		ivf_encode(index->model, LIST_RABITQ, center, 0, origin, code);
	}
	row.code = code;
	ivf_writer_add(writer, &row);
}

/* a list that was there before and is not touched by the step */
static void
write_old(IvfStep *step, IvfWriter *writer, uint32 list)
{
	Size		size;
	const uint8 *record = ivf_list_record(step->index, step->directory, step->rel, list,
										  step->room, &size);

	write_entry(step, writer, record, size, step->build.centroids.centers == NULL ? NULL :
				(const float *) (record + sizeof(IvfListRecord)));
}

static void
write_new(IvfStep *step, IvfWriter *writer, int target)
{
	const IvfCentroids *c = &step->build.centroids;
	uint8	   *record = palloc0(MAXALIGN(step->index->part.record_size) + MAXIMUM_ALIGNOF);
	const float *center = NULL;
	Size		size = 0;

	memcpy(record, &step->records[target], sizeof(IvfListRecord));
	if (c->centers != NULL)
	{
		size = sizeof(float) * step->index->params.dim;
		center = c->centers + (Size) target * step->index->params.dim;
		memcpy(record + sizeof(IvfListRecord), center, size);
	}
	else if (c->values[target] != NULL)
	{
		size = MAXALIGN(VARSIZE(c->values[target]));
		memcpy(record + sizeof(IvfListRecord), c->values[target], VARSIZE(c->values[target]));
	}
	write_entry(step, writer, record, sizeof(IvfListRecord) + size, center);
}

/* the directory after the step; returns the number of its lists */
static uint32
write_directory(IvfStep *step, IvfWriter *writer)
{
	uint32		nlists = step->directory->nlists;
	bool	   *replaced = palloc0(nlists);
	uint32		n = 0;
	MemoryContext old;

	for (int i = 0; i < step->nrewrites; i++)
		replaced[step->rewrites[i].list] = true;
	ivf_writer_start(writer, &step->index->part,
					 step->first_id + step->build.centroids.nlists);
	for (uint32 i = 0; i < nlists + step->build.centroids.nlists; i++)
	{
		if (i < nlists && replaced[i])
			continue;
		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(step->build.batch_context);
		if (i < nlists)
			write_old(step, writer, i);
		else
			write_new(step, writer, (int) (i - nlists));
		MemoryContextSwitchTo(old);
		MemoryContextReset(step->build.batch_context);
		n++;
	}
	ivf_writer_end(writer);
	return n;
}

/* rows of the step, if it makes all lists of the directory from all rows; else 0 */
static uint64
rows_trained(const IvfStep *step)
{
	uint64		rows = 0;

	if (step->rewrites[0].span != (int) step->directory->nlists)
		return 0;
	for (int i = 0; i < step->nrewrites; i++)
		rows += step->rewrites[i].rows;
	return rows;
}

/* one record: the new directory is the current one */
static void
switch_directory(IvfStep *step, IvfWriter *writer, uint32 nlists)
{
	Buffer		buffer = ivf_read(step->rel, 0, BUFFER_LOCK_EXCLUSIVE, IVF_PAGE_META, 0);
	GenericXLogState *state = GenericXLogStart(step->rel);
	IvfMetaPage meta = IvfPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->directory = step->first_id + step->build.centroids.nlists;
	meta->nlists = nlists;
	meta->nparts = ivf_writer_parts(writer, meta->parts);
	if (rows_trained(step) > 0)
		meta->trained_rows = rows_trained(step);
	meta->switch_xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*--- the step ------------------------------------------------------------*/

/* where the lists are in the directory of this moment */
static void
find_lists(IvfStep *step)
{
	for (uint32 list = 0; list < step->directory->nlists; list++)
	{
		Size		size;
		IvfListRecord head;

		memcpy(&head, ivf_list_record(step->index, step->directory, step->rel, list, step->room,
									  &size), sizeof(head));
		for (int i = 0; i < step->nrewrites; i++)
		{
			if (step->rewrites[i].id != head.id)
				continue;
			step->rewrites[i].list = list;
			step->rewrites[i].first = head.first;
		}
	}
}

static void
begin_step(IvfStep *step)
{
	IvfBuild   *build = &step->build;

	step->index = ivf_open(step->rel, &step->directory);
	step->room = palloc(MAXALIGN(step->index->part.record_size));
	build->rel = step->rel;
	build->leader = false;
	build->index = *step->index;
	build->context = CurrentMemoryContext;
	build->train_context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat training",
												 ALLOCSET_DEFAULT_SIZES);
	build->limit = (Size) maintenance_work_mem * 1024;
	step->page = palloc(BLCKSZ);
	step->copy_room = MAXALIGN(sizeof(IvfListCopy));
	step->copy = palloc(step->copy_room);
	step->record = palloc(MAXALIGN(step->index->list.record_size) + MAXIMUM_ALIGNOF);
	step->block = palloc(Max(step->index->list.block_bytes, 1));
}

/*
 * ivf_rewrite
 *		Write n lists of the current directory anew, in the current memory
 *		context, which the caller resets.  Does nothing if they would come out as
 *		they are.
 *
 * For VACUUM, which holds the lock on the table that keeps others of its kind
 * away.  Inserts and scans go on; inserts wait for a moment at the end.
 */
void
ivf_rewrite(Relation rel, IvfRewrite *rewrites, int n)
{
	IvfStep		step = {.rel = rel, .rewrites = rewrites, .nrewrites = n};
	IvfWriter  *writer;
	uint32		nlists;

	begin_step(&step);
	find_lists(&step);
	if (!ivf_make_targets(&step))
		return;
	ivf_assign_begin(&step.build);
	ivf_sort_begin(&step.build, Max(maintenance_work_mem / 2, 64));
	for (int i = 0; i < n; i++)
		take_list(&step, &rewrites[i]);

	take_ids(&step);
	writer = ivf_writer_logged(rel, step.index);
	write_lists(&step, writer);
	nlists = write_directory(&step, writer);

	for (int i = 0; i < CARRY_ROUNDS; i++)
	{
		if (carry(&step, false) < FEW_ROWS)
			break;
	}
	LockPage(rel, IVF_GATE_BLOCK, ExclusiveLock);
	carry(&step, true);
	switch_directory(&step, writer, nlists);
	UnlockPage(rel, IVF_GATE_BLOCK, ExclusiveLock);

	/*
	 * Snapshots to come are told from those before the switch by a transaction
	 * in between; where few write, nobody else would bring one.  (A leader of
	 * workers must not.)
	 */
	if (!IsInParallelMode())
		(void) GetCurrentTransactionId();
}

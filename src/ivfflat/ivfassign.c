/*-------------------------------------------------------------------------
 *
 * ivfassign.c
 *	  Rows to lists: a participant's part of the table scan, into buckets.
 *
 * Rows are placed in batches, for the kernels compare many rows with many
 * centroids at once.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "access/tableam.h"
#include "access/tupdesc.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* a batch takes so much memory, but holds so many rows at least and at most */
#define BATCH_BYTES		((Size) 4 * 1024 * 1024)
#define LEAST_BATCH		16
#define MOST_BATCH		2048

/* the number of the list of rows without a distance: behind all lists */
#define UNDEFINED_LIST(build)	((build)->centroids.nlists)

/*
 * ivf_sort_begin
 *		Maintenance: let rows go to a sort by list; memory is in kB.
 */
void
ivf_sort_begin(IvfBuild *build, int memory)
{
	AttrNumber	attributes[1] = {1};
	Oid			operators[1] = {Int4LessOperator};
	Oid			collations[1] = {InvalidOid};
	bool		nulls_first[1] = {false};

	build->desc = CreateTemplateTupleDesc(2);
	TupleDescInitEntry(build->desc, 1, "list", INT4OID, -1, 0);
	TupleDescInitEntry(build->desc, 2, "row", BYTEAOID, -1, 0);
	build->slot = MakeSingleTupleTableSlot(build->desc, &TTSOpsVirtual);
	build->sort = tuplesort_begin_heap(build->desc, 1, attributes, operators, collations,
									   nulls_first, memory, NULL, TUPLESORT_NONE);
}

/*
 * ivf_assign_begin
 *		Memory for a participant.
 */
void
ivf_assign_begin(IvfBuild *build)
{
	const IvfIndex *index = &build->index;
	Size		row_size = sizeof(float) * index->params.dim;
	Size		keys_size = sizeof(uint64) * index->list.nwords;

	if (build->shared != NULL)
	{
		int			nbuckets = build->shared->nbuckets;

		build->files = MemoryContextAllocZero(build->context, sizeof(BufFile *) * nbuckets);
		build->file_bytes = MemoryContextAllocZero(build->context, sizeof(Size) * nbuckets);
	}
	build->batch_rows = (int) Max(LEAST_BATCH, Min(MOST_BATCH, BATCH_BYTES / row_size));
	build->batch_context = AllocSetContextCreate(build->context, "ivfflat batch",
												 ALLOCSET_DEFAULT_SIZES);
	build->plains = MemoryContextAlloc(build->context,
									   sizeof(struct varlena *) * build->batch_rows);
	build->tids = MemoryContextAlloc(build->context,
									 sizeof(ItemPointerData) * build->batch_rows);
	build->lists = MemoryContextAlloc(build->context, sizeof(int32_t) * build->batch_rows);
	build->nbatch = 0;
	build->tuple = MemoryContextAllocZero(build->context, VARHDRSZ + ivf_tuple_size(build) +
										  4 * MAXIMUM_ALIGNOF);
	build->keys = MemoryContextAlloc(build->context, keys_size * (build->batch_rows + 1));
	if (index->params.space == IVF_SPACE_FLOAT)
		build->nav = MemoryContextAlloc(build->context, row_size);
	if (build->centroids.area == NULL)
		return;
	build->floats = MemoryContextAllocHuge(build->context, mul_size(row_size, build->batch_rows));
	build->rows = MemoryContextAlloc(build->context, sizeof(float *) * build->batch_rows);
	for (int i = 0; i < build->batch_rows; i++)
		build->rows[i] = build->floats + (Size) i * index->params.dim;
	build->place_scratch = MemoryContextAllocHuge(build->context,
												  cluster_place_size(build->centroids.area,
																	 build->batch_rows));
}

/*--- a batch -------------------------------------------------------------*/

/*
 * ivf_place_value
 *		The list of a plain value, where centroids are plain values.
 */
int
ivf_place_value(const IvfBuild *build, const struct varlena *plain)
{
	const IvfCentroids *c = &build->centroids;
	int			best = 0;
	double		least = -1;

	for (int i = 0; c->values != NULL && i < c->nlists; i++)
	{
		double		distance = ivf_value_distance(build->index.metric, plain, c->values[i]);

		if (least < 0 || distance < least)
		{
			least = distance;
			best = i;
		}
	}
	return best;
}

/* lists of all rows of the batch */
static void
place_batch(IvfBuild *build)
{
	if (build->centroids.area != NULL)
	{
		for (int i = 0; i < build->nbatch; i++)
			ivf_to_floats(&build->index, build->plains[i],
						  build->floats + (Size) i * build->index.params.dim);
		cluster_place(build->centroids.area, build->rows, build->nbatch, build->lists,
					  build->place_scratch);
		return;
	}
	for (int i = 0; i < build->nbatch; i++)
	{
		CHECK_FOR_INTERRUPTS();
		build->lists[i] = ivf_place_value(build, build->plains[i]);
	}
}

/* give the row in build->tuple, which ends there, to the buckets or the sort */
static void
put_tuple(IvfBuild *build, int list, const uint8 *end)
{
	Size		size = end - (build->tuple + VARHDRSZ);

	if (build->sort == NULL)
	{
		ivf_buckets_put(build, list, size);
		return;
	}
	SET_VARSIZE(build->tuple, VARHDRSZ + size);
	ExecClearTuple(build->slot);
	build->slot->tts_values[0] = Int32GetDatum(list);
	build->slot->tts_values[1] = PointerGetDatum(build->tuple);
	build->slot->tts_isnull[0] = build->slot->tts_isnull[1] = false;
	ExecStoreVirtualTuple(build->slot);
	tuplesort_puttupleslot(build->sort, build->slot);
}

/* start a tuple: head and words of filters; returns where the rest goes */
static uint8 *
put_head(IvfBuild *build, const IvfTuple *head, const uint64 *keys)
{
	uint8	   *at = build->tuple + VARHDRSZ;
	Size		keys_size = sizeof(uint64) * build->index.list.nwords;

	memcpy(at, head, sizeof(IvfTuple));
	if (keys_size > 0)
		memcpy(at + sizeof(IvfTuple), keys, keys_size);
	return at + sizeof(IvfTuple) + keys_size;
}

/*
 * ivf_put_row
 *		Give a row to the buckets or the sort.
 */
void
ivf_put_row(IvfBuild *build, int list, const IvfRow *row, float distance)
{
	Size		code = row->code != NULL ? build->index.list.row_bytes : 0;
	IvfTuple	head;
	uint8	   *at;

	memset(&head, 0, sizeof(head));
	head.tid = row->tid;
	head.distance = distance;
	head.record_bytes = (uint32) row->record_bytes;
	at = put_head(build, &head, row->keys);
	if (code > 0)
		memcpy(at, row->code, code);
	if (row->record_bytes > 0)
		memcpy(at + code, row->record, row->record_bytes);
	put_tuple(build, list, at + code + row->record_bytes);
}

/* code and record of a row of the batch, made where they are to be */
static void
put_row(IvfBuild *build, int i)
{
	const IvfIndex *index = &build->index;
	int			dim = index->params.dim;
	int			list = build->lists[i];
	IvfTuple	head;
	const uint64 *keys = build->keys + (Size) i * index->list.nwords;
	uint8	   *at;
	Size		code = index->list.row_bytes;
	Size		record;

	memset(&head, 0, sizeof(head));
	head.tid = build->tids[i];
	at = put_head(build, &head, keys);
	if (build->centroids.centers != NULL)
	{
		const float *center = build->centroids.centers + (Size) list * dim;
		float		slack;

		if (build->floats == NULL)
			ivf_to_floats(index, build->plains[i], build->nav);
		slack = quant_map(index->model,
						  build->floats ? build->floats + (Size) i * dim : build->nav, build->nav);
		list_floats(QUANT_L2, build->nav, center, dim, 1, dim, &head.distance);
		if (code > 0)
			ivf_encode(index->model, (ListQuantizer) index->params.quantizer, build->nav, slack,
					   center, at);
	}
	record = ivf_record(index, build->plains[i], build->nav, at + code);
	head.record_bytes = (uint32) record;
	put_head(build, &head, keys);
	put_tuple(build, list, at + code + record);
}

/* place and sort the rows gathered */
static void
end_batch(IvfBuild *build)
{
	MemoryContext old = MemoryContextSwitchTo(build->batch_context);
	uint64		done;

	place_batch(build);
	for (int i = 0; i < build->nbatch; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_row(build, i);
	}
	pg_atomic_fetch_add_u64(&build->shared->rows_indexed, build->nbatch);
	done = pg_atomic_add_fetch_u64(&build->shared->rows_done, build->nbatch);
	if (build->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) done);
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->batch_context);
	build->nbatch = 0;
}

/* a row without a distance to anything has no code and no record */
static void
put_undefined(IvfBuild *build, ItemPointer tid, const uint64 *keys)
{
	IvfRow		row = {.tid = *tid, .keys = keys};

	ivf_put_row(build, UNDEFINED_LIST(build), &row, 0);
	pg_atomic_fetch_add_u64(&build->shared->rows_indexed, 1);
}

/* callback of the table scan, for each row */
static void
build_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	IvfBuild   *build = arg;
	const VecMetric *metric = build->index.metric;
	MemoryContext old;
	struct varlena *plain;
	struct varlena *copy;
	uint64	   *keys = build->keys + (Size) build->nbatch * build->index.list.nwords;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->batch_context);
	plain = metric->type->plain(values[0]);
	if (metric->type->dim(plain) != build->index.params.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", build->index.params.dim,
						metric->type->dim(plain))));
	if (build->index.filters != NULL)
		filter_encode(build->index.filters, values, isnull, keys);
	if (!metric->is_defined(plain))
		put_undefined(build, tid, keys);
	else
	{
		/* it may still lie in the table's page */
		copy = palloc(VARSIZE(plain));
		memcpy(copy, plain, VARSIZE(plain));
		build->plains[build->nbatch] = copy;
		build->tids[build->nbatch++] = *tid;
	}
	MemoryContextSwitchTo(old);
	if (build->nbatch == build->batch_rows)
		end_batch(build);
}

/*
 * ivf_assign_scan
 *		A participant's part of the table scan, all of it if scan is NULL.
 */
void
ivf_assign_scan(IvfBuild *build, struct TableScanDescData *scan)
{
	double		rows;

	rows = table_index_build_scan(build->heap, build->rel, build->info, true, build->leader,
								  build_row, build, scan);
	end_batch(build);
	pg_atomic_fetch_add_u64(&build->shared->heap_rows, (int64) rows);
	if (build->info->ii_BrokenHotChain)
		pg_atomic_write_u32(&build->shared->broken_hot_chain, 1);
	ivf_buckets_done(build);
}

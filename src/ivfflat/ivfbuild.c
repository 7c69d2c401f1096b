/*-------------------------------------------------------------------------
 *
 * ivfbuild.c
 *	  Building an index (README.md, "Build").
 *
 *	1. train	model and centroids from a sample (ivftrain.c)
 *	2. assign	every row to its list, by all participants at once, into a sort
 *				(ivfassign.c, ivfparallel.c)
 *	3. write	list after list, then the directory, then the metapage
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include <math.h>

#include "access/xloginsert.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* ids: lists from 1 on, then that of the undefined, then the directory's */
#define FIRST_ID	1

/*--- writing -------------------------------------------------------------*/

static BlockNumber
write_undefined(IvfBuild *build, IvfWriter *writer, IvfSorted *sorted, int nlists, uint32 id)
{
	ivf_writer_start(writer, &build->index.undefined, id);
	while (sorted->list == nlists)
	{
		ivf_writer_add(writer, &sorted->row);
		ivf_sorted_next(build, sorted);
	}
	return ivf_writer_end(writer);
}

/* the centroid of a list as bytes of its record */
static Size
centroid_bytes(const IvfBuild *build, int list, uint8 *to)
{
	const IvfCentroids *c = &build->centroids;
	Size		size;

	if (c->centers != NULL)
	{
		size = sizeof(float) * build->index.params.dim;
		memcpy(to, c->centers + (Size) list * build->index.params.dim, size);
		return size;
	}
	if (c->values == NULL)
		return 0;
	size = VARSIZE(c->values[list]);
	memset(to + MAXALIGN(size) - MAXIMUM_ALIGNOF, 0, MAXIMUM_ALIGNOF);
	memcpy(to, c->values[list], size);
	return MAXALIGN(size);
}

/* one row for each list */
static void
write_directory(IvfBuild *build, IvfWriter *writer, const IvfListRecord *records, uint32 id)
{
	const IvfIndex *index = &build->index;
	const IvfCentroids *c = &build->centroids;
	uint8	   *record = palloc(MAXALIGN(index->part.record_size) + MAXIMUM_ALIGNOF);
	uint8	   *code = palloc(Max(index->part.row_bytes, 1));
	float	   *origin = index->part.row_bytes == 0 ? NULL :
		palloc0(sizeof(float) * index->params.dim);

	ivf_writer_start(writer, &index->part, id);
	for (int i = 0; i < c->nlists; i++)
	{
		IvfRow		row = {.code = code, .record = record};

		memcpy(record, &records[i], sizeof(IvfListRecord));
		row.record_bytes = sizeof(IvfListRecord) +
			centroid_bytes(build, i, record + sizeof(IvfListRecord));
		ItemPointerSet(&row.tid, records[i].first, 1);
		if (index->part.row_bytes > 0)
			ivf_encode(index->model, LIST_RABITQ, c->centers + (Size) i * index->params.dim, 0,
					   origin, code);
		ivf_writer_add(writer, &row);
	}
	ivf_writer_end(writer);
}

static void
fill_meta(const IvfBuild *build, IvfMetaPage meta)
{
	const IvfIndex *index = &build->index;

	meta->magic = IVF_MAGIC;
	meta->version = IVF_VERSION;
	if (!pg_strong_random(&meta->build_id, sizeof(meta->build_id)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	meta->params = index->params;
	meta->model_start = 1;
	meta->model_bytes = index->model ? index->model->size : 0;
	meta->trained_rows = (uint64) build->table_rows;
}

static void
write_meta(IvfBuild *build, ForkNumber fork, const IvfMetaPageData *meta)
{
	Buffer		buffer = ReadBufferExtended(build->rel, fork, 0, RBM_NORMAL, NULL);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	memcpy(IvfPageGetMeta(BufferGetPage(buffer)), meta, sizeof(*meta));
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* all pages of the index, from the sort, which may be absent */
static void
write_index(IvfBuild *build, ForkNumber fork)
{
	const IvfIndex *index = &build->index;
	int			nlists = build->centroids.nlists;
	IvfWriter  *writer = ivf_writer_build(build->rel, index, fork, 0);
	IvfMetaPageData *meta = palloc0(sizeof(IvfMetaPageData));
	IvfListRecord *records = palloc(sizeof(IvfListRecord) * nlists);
	IvfSorted	sorted;
	int64		done = 0;

	fill_meta(build, meta);
	ivf_write_bytes(writer, IVF_PAGE_META, (const uint8 *) meta, sizeof(*meta));
	if (index->model != NULL)
		ivf_write_bytes(writer, IVF_PAGE_MODEL, (const uint8 *) index->model, index->model->size);

	ivf_sorted_begin(build, &sorted);
	for (int i = 0; i < nlists; i++)
	{
		ivf_write_list(build, writer, &sorted, i, FIRST_ID + i, &records[i]);
		done += records[i].rows;
		if (fork == MAIN_FORKNUM)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, done);
	}
	meta->undefined_first = InvalidBlockNumber;
	meta->undefined_id = FIRST_ID + nlists;
	if (index->metric->kind == VEC_METRIC_COSINE)
		meta->undefined_first = write_undefined(build, writer, &sorted, nlists,
												meta->undefined_id);
	meta->directory = meta->undefined_id + 1;
	meta->next_id = meta->directory + 1;
	write_directory(build, writer, records, meta->directory);
	meta->nlists = nlists;
	meta->nparts = ivf_writer_parts(writer, meta->parts);
	write_meta(build, fork, meta);
	ivf_sorted_end(&sorted);
	if (RelationNeedsWAL(build->rel) || fork == INIT_FORKNUM)
		log_newpage_range(build->rel, fork, 0, ivf_writer_next(writer), true);
}

/*--- the build -----------------------------------------------------------*/

static IvfBuild *
begin_build(Relation heap, Relation rel, IndexInfo *info, QuantConfig *config)
{
	IvfBuild   *build = palloc0(sizeof(IvfBuild));

	build->context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat build",
										   ALLOCSET_DEFAULT_SIZES);
	build->train_context = AllocSetContextCreate(build->context, "ivfflat training",
												 ALLOCSET_DEFAULT_SIZES);
	build->heap = heap;
	build->rel = rel;
	build->info = info;
	build->leader = true;
	build->limit = (Size) maintenance_work_mem * 1024;
	build->index.metric = am_metric(rel);
	build->index.filters = filter_open(rel, build->context);
	ivf_choose_params(rel, build->index.metric, &build->index.params, config);
	ivf_finish_params(&build->index);
	return build;
}

/* the state all participants share, in local memory until there are any */
static void
init_shared(IvfBuild *build)
{
	IvfBuildShared *shared = MemoryContextAllocZero(build->context, sizeof(IvfBuildShared));

	build->shared = shared;
	shared->heap = RelationGetRelid(build->heap);
	shared->rel = RelationGetRelid(build->rel);
	shared->concurrent = build->info->ii_Concurrent;
	shared->params = build->index.params;
	pg_atomic_init_u64(&shared->rows_done, 0);
	pg_atomic_init_u64(&shared->rows_indexed, 0);
	pg_atomic_init_u64(&shared->heap_rows, 0);
	pg_atomic_init_u32(&shared->broken_hot_chain, 0);
}

/* in this process alone */
static void
assign_serially(IvfBuild *build)
{
	void	   *memory = MemoryContextAllocHuge(build->context, add_size(ivf_share_size(build), 64));

	memory = (void *) TYPEALIGN(64, memory);
	ivf_share(build, memory);
	ivf_attach(build, memory);
	MemoryContextReset(build->train_context);
	ivf_assign_begin(build, NULL, build->sort_memory);
	ivf_assign_scan(build, NULL);
}

/* every row to its list; what participants share, if there are several */
static IvfLeader *
assign(IvfBuild *build)
{
	int			workers = build_workers_compat(build->heap, build->rel, build->info);
	Size		centroids = ivf_share_size(build);
	IvfLeader  *leader = NULL;

	build->sort_memory = (int)
		(Max(build->limit - Min(centroids, build->limit / 2), 64 * 1024) / 1024);
	if (workers > 0)
		leader = ivf_parallel_begin(build, workers);
	if (leader == NULL)
	{
		assign_serially(build);
		return NULL;
	}
	MemoryContextReset(build->train_context);
	ivf_parallel_scan(leader, build);
	return leader;
}

/*
 * ivfbuild
 *		CREATE INDEX and REINDEX.
 *
 * Raises 0A000, 22023 and 54000 for columns and options that do not fit,
 * 22000 for values of other dimensions than the column's.
 */
IndexBuildResult *
ivfbuild(Relation heap, Relation rel, IndexInfo *info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	QuantConfig config;
	IvfBuild   *build = begin_build(heap, rel, info, &config);
	IvfLeader  *leader;

	ivf_train(build, &config);
	init_shared(build);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_ASSIGN);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) build->table_rows);
	leader = assign(build);

	result->heap_tuples = (double) pg_atomic_read_u64(&build->shared->heap_rows);
	result->index_tuples = (double) pg_atomic_read_u64(&build->shared->rows_indexed);
	info->ii_BrokenHotChain |= pg_atomic_read_u32(&build->shared->broken_hot_chain) != 0;
	build->table_rows = result->index_tuples;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_LOAD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) result->index_tuples);
	write_index(build, MAIN_FORKNUM);
	tuplesort_end(build->sort);
	if (leader != NULL)
		ivf_parallel_end(leader);
	MemoryContextDelete(build->context);
	return result;
}

/*
 * ivfbuildempty
 *		The initial fork of an unlogged index.
 */
void
ivfbuildempty(Relation rel)
{
	QuantConfig config;
	IvfBuild   *build = begin_build(NULL, rel, NULL, &config);

	ivf_one_list(build, &config);
	build->desc = CreateTemplateTupleDesc(2);
	TupleDescInitEntry(build->desc, 1, "list", INT4OID, -1, 0);
	TupleDescInitEntry(build->desc, 2, "row", BYTEAOID, -1, 0);
	write_index(build, INIT_FORKNUM);
	MemoryContextDelete(build->context);
}

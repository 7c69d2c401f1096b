/*-------------------------------------------------------------------------
 *
 * ivfbuild.c
 *	  Building an index (README.md, "Build").
 *
 *	1. train	model and centroids from a sample, by all participants
 *				(ivftrain.c, ivfteam.c)
 *	2. assign	every row to its list, by all participants at once, into files
 *				(ivfassign.c, ivfparallel.c, ivfbuckets.c)
 *	3. write	lists, by all participants; then the directory, then the metapage
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include <math.h>

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*--- writing -------------------------------------------------------------*/

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
	if (RelationNeedsWAL(build->rel) || fork == INIT_FORKNUM)
		log_newpage_range(build->rel, fork, 0, 1, true);
}

/* the first pages: the metapage, to be filled in at the end, and the model */
static void
write_first(IvfBuild *build, ForkNumber fork)
{
	IvfWriter  *writer = ivf_writer_build(build->rel, &build->index, fork);
	IvfMetaPageData *meta = palloc0(sizeof(IvfMetaPageData));

	ivf_write_bytes(writer, IVF_PAGE_META, (const uint8 *) meta, sizeof(*meta));
	if (build->index.model != NULL)
		ivf_write_bytes(writer, IVF_PAGE_MODEL, (const uint8 *) build->index.model,
						build->index.model->size);
}

/* lists without rows */
static void
write_empty(IvfBuild *build, ForkNumber fork)
{
	IvfWriter  *writer = ivf_writer_build(build->rel, &build->index, fork);
	int			nlists = build->centroids.nlists;
	int			undefined = build->index.metric->kind == VEC_METRIC_COSINE ? 1 : 0;

	build->records = palloc(sizeof(IvfListRecord) * (nlists + 1));
	for (int i = 0; i < nlists + undefined; i++)
	{
		IvfListWrite list;

		ivf_list_start(&list, writer, i < nlists ? &build->index.list : &build->index.undefined,
					   IVF_FIRST_ID + i);
		ivf_list_end(&list, &build->records[i]);
	}
}

/* the last ones, when all lists are written */
static void
write_last(IvfBuild *build, ForkNumber fork)
{
	int			nlists = build->centroids.nlists;
	IvfWriter  *writer = ivf_writer_build(build->rel, &build->index, fork);
	IvfMetaPageData *meta = palloc0(sizeof(IvfMetaPageData));

	fill_meta(build, meta);
	meta->undefined_first = build->index.metric->kind == VEC_METRIC_COSINE ?
		build->records[nlists].first : InvalidBlockNumber;
	meta->undefined_id = IVF_FIRST_ID + nlists;
	meta->directory = meta->undefined_id + 1;
	meta->next_id = meta->directory + 1;
	write_directory(build, writer, build->records, meta->directory);
	meta->nlists = nlists;
	meta->nparts = ivf_writer_parts(writer, meta->parts);
	write_meta(build, fork, meta);
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
	pg_atomic_init_u32(&shared->next_bucket, 0);
	pg_atomic_init_u64(&shared->rows_written, 0);
	shared->participants = 1;
	shared->training = DSM_HANDLE_INVALID;
	ivf_team_init(&shared->team);
	BarrierInit(&shared->barrier, 0);
}

/*
 * ivf_participate
 *		All that a participant does, from the phase on in which it attached to the
 *		barrier: its part of the table, if there is one, and of the lists.
 */
void
ivf_participate(IvfBuild *build, struct TableScanDescData *scan, int phase)
{
	IvfBuildShared *shared = build->shared;

	if (phase == IVF_PART_ASSIGN)
	{
		ivf_assign_begin(build);
		ivf_assign_scan(build, scan);
		BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	else if (scan != NULL)
		table_endscan(scan);	/* late: others have read the table */
	if (build->leader)
	{
		int64		rows = (int64) pg_atomic_read_u64(&shared->rows_indexed);

		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_LOAD);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, rows);
	}
	ivf_buckets_write(build, MAIN_FORKNUM);
	BarrierDetach(&shared->barrier);
}

/* in this process alone */
static void
run_serially(IvfBuild *build)
{
	Size		size = ivf_share_size(build, build->centroids.nlists);
	void	   *memory = MemoryContextAllocHuge(build->context, add_size(size, 64));

	memory = (void *) TYPEALIGN(64, memory);
	ivf_share(build, memory);
	ivf_attach(build, memory);
	ivf_parallel_trained(build);
	build->shared->memory = build->sort_memory;
	build->shared->participants = 1;	/* more were expected if workers could not be had */
	ivf_buckets_choose(build, 1);
	build->records = MemoryContextAllocHuge(build->context,
											mul_size(sizeof(IvfListRecord),
													 build->centroids.nlists + 1));
	ivf_participate(build, NULL, BarrierAttach(&build->shared->barrier));
}

/* every row to its list, and to its page */
static void
run(IvfBuild *build)
{
	Size		centroids = ivf_share_size(build, build->centroids.nlists);

	build->sort_memory = (int)
		(Max(build->limit - Min(centroids, build->limit / 2), 64 * 1024) / 1024);
	if (build->parallel)
		ivf_parallel_run(build);
	else
		run_serially(build);
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

	init_shared(build);
	build->workers = build_workers_compat(heap, rel, info);
	ivf_train(build, &config);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_ASSIGN);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) build->table_rows);
	write_first(build, MAIN_FORKNUM);
	run(build);

	result->heap_tuples = (double) pg_atomic_read_u64(&build->shared->heap_rows);
	result->index_tuples = (double) pg_atomic_read_u64(&build->shared->rows_indexed);
	info->ii_BrokenHotChain |= pg_atomic_read_u32(&build->shared->broken_hot_chain) != 0;
	build->table_rows = result->index_tuples;
	write_last(build, MAIN_FORKNUM);
	ivf_parallel_end(build);
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
	write_first(build, INIT_FORKNUM);
	write_empty(build, INIT_FORKNUM);
	write_last(build, INIT_FORKNUM);
	MemoryContextDelete(build->context);
}

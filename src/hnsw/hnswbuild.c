/*-------------------------------------------------------------------------
 *
 * hnswbuild.c
 *	  Building an index: the table into a graph in memory, the graph to pages.
 *
 *	1. sample	train the model, estimate rows (hnswtrain.c)
 *	2. load		every row into the graph, by all participants at once
 *				(hnswload.c)
 *	3. finish	choose final links, connect, order (hnswfinish.c); write pages
 *				and log them (hnswwrite.c)
 *	4. insert	the rows that were put aside, as any insert does (hnswaside.c)
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "access/tableam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* phases of the participants' barrier */
#define PHASE_LOAD			0
#define PHASE_LINKS			1
#define PHASE_ORDER			2
#define PHASE_ENTRIES		3
#define PHASE_PLAN			4
#define PHASE_WRITE			5

/*
 * hnsw_build_tick
 *		For long computations that have no other place to be interrupted.
 */
void
hnsw_build_tick(void)
{
	CHECK_FOR_INTERRUPTS();
}

/*--- the build -----------------------------------------------------------*/

/* the state all participants share, in local memory until there are any */
static void
init_shared(HnswBuild *build)
{
	HnswBuildShared *shared = palloc0(sizeof(HnswBuildShared));

	build->shared = shared;
	shared->heap = RelationGetRelid(build->heap);
	shared->rel = RelationGetRelid(build->rel);
	shared->concurrent = build->info->ii_Concurrent;
	shared->participants = 1;
	shared->params = build->index.params;
	if (!pg_strong_random(shared->hash_seed, sizeof(shared->hash_seed)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	pg_atomic_init_u32(&shared->next_block, 0);
	graph_control_init(&shared->control);
	BarrierInit(&shared->barrier, 0);
	pg_atomic_init_u64(&shared->next_links, 0);
	pg_atomic_init_u64(&shared->next_nav, 0);
	pg_atomic_init_u64(&shared->next_refine, 0);
	pg_atomic_init_u64(&shared->next_filter, 0);
	pg_atomic_init_u64(&shared->nodes_written, 0);
	pg_atomic_init_u64(&shared->rows_done, 0);
	pg_atomic_init_u64(&shared->rows_aside, 0);
	pg_atomic_init_u64(&shared->rows_full, 0);
	pg_atomic_init_u64(&shared->heap_rows, 0);
	pg_atomic_init_u32(&shared->broken_hot_chain, 0);
	hnsw_choose_chunks(build);
	build->reserve = hnsw_finish_bytes(build);
	build->used = graph_worker_size(&shared->graph_params);
}

/* wait for the other participants; returns the phase that follows */
static int
next_phase(HnswBuild *build)
{
	BarrierArriveAndWait(&build->shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	return BarrierPhase(&build->shared->barrier);
}

/* the leader: from here on progress is that of another phase */
static void
show_phase(HnswBuild *build, int phase, uint64 total)
{
	if (build->participant != 0)
		return;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) total);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, phase);
}

/* serial: memory for what comes after the load */
static void
get_finish_memory(HnswBuild *build)
{
	uint32		nnodes = graph_nodes(&build->graph);

	build->shared->spare = build->limit > build->used ? build->limit - build->used : 0;
	hnsw_finish_map(build, hnsw_build_memory(build, hnsw_finish_area(build, nnodes)), nnodes);
}

/*
 * hnsw_build_participate
 *		All a participant does, from the phase on in which it attached to the
 *		barrier; README.md has the phases.
 */
void
hnsw_build_participate(HnswBuild *build, TableScanDesc scan, int phase)
{
	HnswBuildShared *shared = build->shared;
	bool		leader = build->participant == 0;

	if (phase == PHASE_LOAD)
	{
		hnsw_load(build, scan);
		phase = next_phase(build);
		if (!build->parallel)
			get_finish_memory(build);
	}
	else if (scan != NULL)
		table_endscan(scan);	/* late: others have read the table */
	if (phase == PHASE_LINKS)
	{
		show_phase(build, HNSW_PHASE_FINISH, graph_nodes(&build->graph));
		hnsw_finish_links(build);
		phase = next_phase(build);
	}
	if (phase == PHASE_ORDER)
	{
		if (leader)
			hnsw_finish_order(build);
		phase = next_phase(build);
	}
	if (phase == PHASE_ENTRIES)
	{
		hnsw_finish_entries(build);
		phase = next_phase(build);
	}
	if (phase == PHASE_PLAN)
	{
		if (leader)
			hnsw_finish_plan(build);
		phase = next_phase(build);
	}
	if (phase == PHASE_WRITE)
	{
		show_phase(build, HNSW_PHASE_WRITE, shared->plan.nnodes);
		if (leader)
			hnsw_write_rest(build);
		hnsw_write_units(build);
		if (leader)
			next_phase(build);
	}
	BarrierDetach(&shared->barrier);
	hnsw_items_close(build->records);
	hnsw_items_close(build->rows);
}

static void
build_serially(HnswBuild *build)
{
	hnsw_build_attach(build);
	hnsw_build_participate(build, NULL, BarrierAttach(&build->shared->barrier));
}

/*
 * hnswbuild
 *		CREATE INDEX and REINDEX.
 *
 * Raises 0A000, 22023 and 54000 for columns and options that do not fit,
 * 22000 for values of other dimensions than the column's.
 */
IndexBuildResult *
hnswbuild(Relation heap, Relation rel, IndexInfo *info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	HnswBuild  *build = palloc0(sizeof(HnswBuild));
	HnswLeader *leader = NULL;
	HnswBuildShared *shared;
	QuantConfig config;
	int			workers;

	build->context = AllocSetContextCreate(CurrentMemoryContext, "hnsw build",
										   ALLOCSET_DEFAULT_SIZES);
	build->heap = heap;
	build->rel = rel;
	build->info = info;
	build->limit = (Size) maintenance_work_mem * 1024;
	build->index.metric = am_metric(rel);
	hnsw_choose_params(rel, build->index.metric, &build->index.params, &config);
	hnsw_train(build, &config);
	init_shared(build);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, HNSW_PHASE_LOAD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) build->sample.rows);
	workers = build_workers_compat(heap, rel, info);
	if (workers > 0)
		leader = hnsw_parallel_begin(build, workers);
	if (leader != NULL)
		hnsw_parallel_run(leader, build);
	else
		build_serially(build);
	shared = build->shared;
	hnsw_report_aside(build);
	hnsw_write_meta(build);
	hnsw_insert_aside(build);

	info->ii_BrokenHotChain |= pg_atomic_read_u32(&shared->broken_hot_chain) != 0;
	result->heap_tuples = (double) pg_atomic_read_u64(&shared->heap_rows);
	result->index_tuples = (double) pg_atomic_read_u64(&shared->rows_done);
	if (leader != NULL)
		hnsw_parallel_end(leader);
	MemoryContextDelete(build->context);
	return result;
}

/*
 * hnswbuildempty
 *		The initial fork of an unlogged index.
 */
void
hnswbuildempty(Relation rel)
{
	HnswBuild  *build = palloc0(sizeof(HnswBuild));
	HnswIndex  *index = &build->index;
	QuantModel *model = NULL;
	QuantConfig config;

	build->context = CurrentMemoryContext;
	build->rel = rel;
	index->metric = am_metric(rel);
	hnsw_choose_params(rel, index->metric, &index->params, &config);
	if (index->params.codec == HNSW_CODEC_COMPACT)
	{
		model = MemoryContextAllocHuge(build->context, quant_model_max_size(&config));
		quant_model_init(model, &config, NULL);
	}
	else
		hnsw_choose_exact_size(index->metric, &index->params, 0);
	hnsw_set_model(index, rel, model);
	hnsw_write_empty(build, INIT_FORKNUM);
}

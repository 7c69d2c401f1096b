/*-------------------------------------------------------------------------
 *
 * hnswparallel.c
 *	  Workers for a build: starting them, what they do, and ending them.
 *
 * The graph lies in one segment of dynamic shared memory, made before workers
 * are; where that cannot be had, the build is serial.  Everything else is in
 * the parallel context's own segment.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include <math.h>

#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#define KEY_SHARED		UINT64CONST(0xA100000000000001)
#define KEY_SCAN		UINT64CONST(0xA100000000000002)
#define KEY_MODEL		UINT64CONST(0xA100000000000003)
#define KEY_QUERY_TEXT	UINT64CONST(0xA100000000000004)
#define KEY_WAL_USAGE	UINT64CONST(0xA100000000000005)
#define KEY_BUFFER_USAGE UINT64CONST(0xA100000000000006)

#define LINE			64

struct HnswLeader
{
	ParallelContext *pcxt;
	Snapshot	snapshot;
	ParallelTableScanDesc scan;
	WalUsage   *wal_usage;
	BufferUsage *buffer_usage;
	dsm_segment *memory;
	ResourceOwner owner;		/* of memory */
};

extern VEC_EXPORT void vecext_hnsw_build_worker(dsm_segment *seg, shm_toc *toc);

/*--- memory for the graph ------------------------------------------------*/

/* nodes the graph has room for */
static Size
all_nodes(const HnswBuildShared *shared)
{
	return mul_size(shared->nchunks, (Size) 1 << shared->graph_params.chunk_shift);
}

/* how many chunks and blocks: for the rows expected, within the limit */
static Size
choose_sizes(HnswBuild *build, int participants)
{
	HnswBuildShared *shared = build->shared;
	double		nodes = ldexp(1, shared->graph_params.chunk_shift);
	double		values = build->index.model ? 0 :
		nodes * ((double) build->sample.value_mean + 8) * 1.1;
	double		cost = (double) shared->chunk_size + nodes * (double) build->reserve + values;
	double		left = (double) build->limit -
		(double) graph_worker_size(&shared->graph_params) * participants;
	double		wanted = ceil(build->sample.rows * 1.1 / nodes) + 1;

	if (values > 0)
		left -= (double) shared->block_size * participants;
	wanted = Min(wanted, Min(floor(left / cost), GRAPH_MAX_CHUNKS));
	if (wanted < 1)
		return 0;
	shared->nchunks = (uint32) wanted;
	if (values > 0)
		shared->nblocks = (uint32) ceil(values * wanted / (double) shared->block_size) +
			participants;
	return add_size(add_size(add_size(mul_size(shared->chunk_size, shared->nchunks),
									  mul_size(shared->block_size, shared->nblocks)),
							 hnsw_finish_area(build, all_nodes(shared))), LINE);
}

/* shared memory, or NULL with a notice if there is not enough */
static dsm_segment *
create_memory(Size size, ResourceOwner owner)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner old = CurrentResourceOwner;
	dsm_segment *volatile seg = NULL;

	CurrentResourceOwner = owner;
	PG_TRY();
	{
		seg = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_OUT_OF_MEMORY &&
			error->sqlerrcode != ERRCODE_DISK_FULL &&
			error->sqlerrcode != ERRCODE_INSUFFICIENT_RESOURCES)
			PG_RE_THROW();
		FlushErrorState();
		ereport(NOTICE,
				(errmsg("hnsw index is built without parallel workers"),
				 errdetail("The graph needs %zu MB of shared memory: %s.", size >> 20,
						   error->message),
				 errhint("Make shared memory larger; on Linux that is /dev/shm.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	CurrentResourceOwner = old;
	return seg;
}

static void
release_memory(HnswLeader *leader)
{
	if (leader->memory != NULL)
		dsm_detach(leader->memory);
	leader->memory = NULL;
	ResourceOwnerRelease(leader->owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(leader->owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(leader->owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(leader->owner);
}

/* where this process sees all but the chunks: exact values, arrays for the end */
static void
map_rest(HnswBuild *build, uint8_t *base)
{
	const HnswBuildShared *shared = build->shared;

	base += (Size) shared->nchunks * shared->chunk_size;
	hnsw_finish_map(build, base + (Size) shared->nblocks * shared->block_size,
					all_nodes(shared));
	build->block_room = shared->nblocks;
	build->blocks = MemoryContextAlloc(build->context,
									   mul_size(sizeof(uint8_t *), shared->nblocks + 1));
	for (uint32 i = 0; i < shared->nblocks; i++)
		build->blocks[i] = base + (Size) i * shared->block_size;
}

static uint8_t *
memory_base(dsm_segment *seg)
{
	return (uint8_t *) TYPEALIGN(LINE, dsm_segment_address(seg));
}

/*--- the leader ----------------------------------------------------------*/

static void
estimate(ParallelContext *pcxt, Size size)
{
	shm_toc_estimate_chunk(&pcxt->estimator, size);
	shm_toc_estimate_keys(&pcxt->estimator, 1);
}

static void *
store(ParallelContext *pcxt, uint64 key, const void *bytes, Size size)
{
	void	   *p = shm_toc_allocate(pcxt->toc, size);

	if (bytes != NULL)
		memcpy(p, bytes, size);
	shm_toc_insert(pcxt->toc, key, p);
	return p;
}

/* fill the parallel context's segment; build->shared moves there */
static void
store_all(HnswLeader *leader, HnswBuild *build)
{
	ParallelContext *pcxt = leader->pcxt;
	const QuantModel *model = build->index.model;

	build->shared = store(pcxt, KEY_SHARED, build->shared, sizeof(HnswBuildShared));
	SharedFileSetInit(&build->shared->files, pcxt->seg);
	leader->scan = store(pcxt, KEY_SCAN, NULL,
						 table_parallelscan_estimate(build->heap, leader->snapshot));
	table_parallelscan_initialize(build->heap, leader->scan, leader->snapshot);
	if (model != NULL)
		store(pcxt, KEY_MODEL, model, model->size);
	if (debug_query_string != NULL)
		store(pcxt, KEY_QUERY_TEXT, debug_query_string, strlen(debug_query_string) + 1);
	leader->wal_usage = store(pcxt, KEY_WAL_USAGE, NULL,
							  mul_size(sizeof(WalUsage), pcxt->nworkers));
	leader->buffer_usage = store(pcxt, KEY_BUFFER_USAGE, NULL,
								 mul_size(sizeof(BufferUsage), pcxt->nworkers));
}

static void
estimate_all(HnswLeader *leader, const HnswBuild *build)
{
	ParallelContext *pcxt = leader->pcxt;

	estimate(pcxt, sizeof(HnswBuildShared));
	estimate(pcxt, table_parallelscan_estimate(build->heap, leader->snapshot));
	if (build->index.model != NULL)
		estimate(pcxt, build->index.model->size);
	if (debug_query_string != NULL)
		estimate(pcxt, strlen(debug_query_string) + 1);
	estimate(pcxt, mul_size(sizeof(WalUsage), pcxt->nworkers));
	estimate(pcxt, mul_size(sizeof(BufferUsage), pcxt->nworkers));
}

/* leave parallel mode */
static void
end_context(HnswLeader *leader)
{
	if (IsMVCCSnapshot(leader->snapshot))
		UnregisterSnapshot(leader->snapshot);
	DestroyParallelContext(leader->pcxt);
	ExitParallelMode();
}

/*
 * hnsw_parallel_begin
 *		Get memory and a parallel context; NULL if either cannot be had, with
 *		nothing changed but build->shared's sizes.
 */
HnswLeader *
hnsw_parallel_begin(HnswBuild *build, int workers)
{
	HnswLeader *leader = palloc0(sizeof(HnswLeader));
	Size		size = choose_sizes(build, workers + 1);

	if (size == 0)
		return NULL;
	leader->owner = ResourceOwnerCreate(CurrentResourceOwner, "hnsw build");
	leader->memory = create_memory(size, leader->owner);
	if (leader->memory == NULL)
	{
		release_memory(leader);
		return NULL;
	}

	EnterParallelMode();
	leader->pcxt = CreateParallelContext("vecext", "vecext_hnsw_build_worker", workers);
	leader->snapshot = build->info->ii_Concurrent ?
		RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	estimate_all(leader, build);
	InitializeParallelDSM(leader->pcxt);
	if (leader->pcxt->seg == NULL)
	{
		end_context(leader);
		release_memory(leader);
		return NULL;
	}
	store_all(leader, build);
	build->shared->memory = dsm_segment_handle(leader->memory);
	build->shared->participants = leader->pcxt->nworkers + 1;
	build->parallel = true;
	return leader;
}

/*
 * hnsw_parallel_run
 *		Load all rows and write the index, as one of the participants.
 */
void
hnsw_parallel_run(HnswLeader *leader, HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	uint8_t    *base = memory_base(leader->memory);
	int			phase;

	hnsw_build_attach(build);
	for (uint32 i = 0; i < shared->nchunks; i++)
		graph_add_chunk(&build->graph, base + (Size) i * shared->chunk_size);
	map_rest(build, base);
	build->used += shared->nchunks * shared->chunk_size + shared->nblocks * shared->block_size +
		all_nodes(shared) * build->reserve;
	shared->spare = build->limit > build->used ? build->limit - build->used : 0;

	/* before any worker: without the leader no phase may end */
	phase = BarrierAttach(&shared->barrier);
	LaunchParallelWorkers(leader->pcxt);
	hnsw_build_participate(build, leader->scan, phase);
	WaitForParallelWorkersToFinish(leader->pcxt);
	for (int i = 0; i < leader->pcxt->nworkers_launched; i++)
		InstrAccumParallelQuery(&leader->buffer_usage[i], &leader->wal_usage[i]);
}

/*
 * hnsw_parallel_end
 *		Free what the build shared; build->shared is gone afterwards.
 */
void
hnsw_parallel_end(HnswLeader *leader)
{
	end_context(leader);
	release_memory(leader);
}

/*--- a worker ------------------------------------------------------------*/

/* what hnswbuild() does before the scan, from what the leader stored */
static void
attach_worker(HnswBuild *build, HnswBuildShared *shared, shm_toc *toc, dsm_segment *memory)
{
	uint8_t    *base = memory_base(memory);

	build->shared = shared;
	build->parallel = true;
	build->participant = ParallelWorkerNumber + 1;
	build->context = AllocSetContextCreate(CurrentMemoryContext, "hnsw build",
										   ALLOCSET_DEFAULT_SIZES);
	build->index.metric = am_metric(build->rel);
	build->index.params = shared->params;
	hnsw_set_model(&build->index, build->rel, shm_toc_lookup(toc, KEY_MODEL, true));
	hnsw_build_attach(build);
	for (uint32 i = 0; i < shared->nchunks; i++)
		graph_map_chunk(&build->graph, i, base + (Size) i * shared->chunk_size);
	map_rest(build, base);
}

/*
 * vecext_hnsw_build_worker
 *		Main function of a parallel worker; called by the server by name.
 */
void
vecext_hnsw_build_worker(dsm_segment *seg, shm_toc *toc)
{
	HnswBuildShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	HnswBuild  *build = palloc0(sizeof(HnswBuild));
	LOCKMODE	heap_lock = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE	index_lock = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	dsm_segment *memory;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	memory = dsm_attach(shared->memory);
	if (memory == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	SharedFileSetAttach(&shared->files, seg);

	build->heap = table_open(shared->heap, heap_lock);
	build->rel = index_open(shared->rel, index_lock);
	build->info = BuildIndexInfo(build->rel);
	build->info->ii_Concurrent = shared->concurrent;
	attach_worker(build, shared, toc, memory);

	InstrStartParallelQuery();
	hnsw_build_participate(build, shm_toc_lookup(toc, KEY_SCAN, false),
						   BarrierAttach(&shared->barrier));
	InstrEndParallelQuery((BufferUsage *) shm_toc_lookup(toc, KEY_BUFFER_USAGE, false) +
						  ParallelWorkerNumber,
						  (WalUsage *) shm_toc_lookup(toc, KEY_WAL_USAGE, false) +
						  ParallelWorkerNumber);
	MemoryContextDelete(build->context);
	index_close(build->rel, index_lock);
	table_close(build->heap, heap_lock);
	dsm_detach(memory);
}

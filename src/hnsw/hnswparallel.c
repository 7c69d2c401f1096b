/*-------------------------------------------------------------------------
 *
 * hnswparallel.c
 *	  Workers for a build: what they share, and what they do.
 *
 * The graph lies in one segment of dynamic shared memory, made before workers
 * are; where that cannot be had, the build is serial.  am/am_parallel.c starts
 * and ends them.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include <math.h>

#include "access/tableam.h"
#include "am/am_parallel.h"
#include "miscadmin.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define KEY_SHARED		1
#define KEY_MODEL		2

struct HnswLeader
{
	AmParallel	parallel;
	AmMemory	memory;
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
	return add_size(add_size(mul_size(shared->chunk_size, shared->nchunks),
							 mul_size(shared->block_size, shared->nblocks)),
					add_size(mul_size(all_nodes(shared), hnsw_coords_size(build)),
							 hnsw_finish_area(build, all_nodes(shared))));
}

/* where this process sees all but the chunks: exact values, arrays for the end */
static void
map_rest(HnswBuild *build, uint8_t *base)
{
	const HnswBuildShared *shared = build->shared;

	Size		coords = hnsw_coords_size(build) << shared->graph_params.chunk_shift;

	base += (Size) shared->nchunks * shared->chunk_size;
	for (uint32 i = 0; i < shared->nchunks; i++, base += coords)
		build->coords[i] = (float *) base;
	hnsw_finish_map(build, base + (Size) shared->nblocks * shared->block_size,
					all_nodes(shared));
	build->block_room = shared->nblocks;
	build->blocks = MemoryContextAlloc(build->context,
									   mul_size(sizeof(uint8_t *), shared->nblocks + 1));
	for (uint32 i = 0; i < shared->nblocks; i++)
		build->blocks[i] = base + (Size) i * shared->block_size;
}

/*--- the leader ----------------------------------------------------------*/

/*
 * hnsw_parallel_begin
 *		Get memory and a parallel context; NULL if either cannot be had, with
 *		nothing changed but build->shared's sizes.
 */
HnswLeader *
hnsw_parallel_begin(HnswBuild *build, int workers)
{
	HnswLeader *leader = palloc0(sizeof(HnswLeader));
	const QuantModel *model = build->index.model;
	Size		size = choose_sizes(build, workers + 1);
	AmChunk		chunks[] = {
		{KEY_SHARED, build->shared, sizeof(HnswBuildShared), NULL},
		{KEY_MODEL, model, model ? model->size : 0, NULL},
	};

	if (size == 0 || !am_memory_get(&leader->memory, size, "hnsw index is built"))
		return NULL;
	if (!am_parallel_begin(&leader->parallel, build->heap, build->info,
						   "vecext_hnsw_build_worker", workers, chunks, lengthof(chunks)))
	{
		am_memory_release(&leader->memory);
		return NULL;
	}
	build->shared = chunks[0].stored;
	build->shared->memory = dsm_segment_handle(leader->memory.seg);
	build->shared->participants = leader->parallel.pcxt->nworkers + 1;
	SharedFileSetInit(&build->shared->files, leader->parallel.pcxt->seg);
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
	uint8_t    *base = am_memory_base(leader->memory.seg);
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
	am_parallel_launch(&leader->parallel);
	hnsw_build_participate(build, table_beginscan_parallel(build->heap, leader->parallel.scan),
						   phase);
	am_parallel_wait(&leader->parallel);
}

/*
 * hnsw_parallel_end
 *		Free what the build shared; build->shared is gone afterwards.
 */
void
hnsw_parallel_end(HnswLeader *leader)
{
	am_parallel_end(&leader->parallel);
	am_memory_release(&leader->memory);
}

/*--- a worker ------------------------------------------------------------*/

/* what hnswbuild() does before the scan, from what the leader stored */
static void
attach_worker(HnswBuild *build, HnswBuildShared *shared, shm_toc *toc, dsm_segment *memory)
{
	uint8_t    *base = am_memory_base(memory);

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
	dsm_segment *memory = dsm_attach(shared->memory);
	AmWorker	worker;

	if (memory == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	SharedFileSetAttach(&shared->files, seg);
	am_worker_begin(&worker, toc, shared->heap, shared->rel, shared->concurrent);
	build->heap = worker.heap;
	build->rel = worker.rel;
	build->info = worker.info;
	attach_worker(build, shared, toc, memory);
	hnsw_build_participate(build, worker.scan, BarrierAttach(&shared->barrier));
	am_worker_end(&worker, toc);
	MemoryContextDelete(build->context);
	dsm_detach(memory);
}

/*-------------------------------------------------------------------------
 *
 * ivfparallel.c
 *	  Parallel workers of a build: each places rows of its part of the table, and
 *	  writes its part of the lists, as the leader does.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "access/tableam.h"
#include "am/am_parallel.h"
#include "miscadmin.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define KEY_SHARED		UINT64CONST(1)
#define KEY_MODEL		UINT64CONST(2)
#define KEY_RECORDS		UINT64CONST(3)

struct IvfLeader
{
	AmParallel	parallel;
};

extern VEC_EXPORT void vecext_ivf_build_worker(dsm_segment *seg, shm_toc *toc);

static void *
memory_base(dsm_segment *seg)
{
	return (void *) TYPEALIGN(64, dsm_segment_address(seg));
}

/*
 * ivf_parallel_begin
 *		Get memory and a parallel context; NULL if either cannot be had, with
 *		nothing changed.  The centroids move to shared memory.
 */
IvfLeader *
ivf_parallel_begin(IvfBuild *build, int workers)
{
	IvfLeader  *leader = palloc0(sizeof(IvfLeader));
	const QuantModel *model = build->index.model;
	AmChunk		chunks[] = {
		{KEY_SHARED, build->shared, sizeof(IvfBuildShared), NULL},
		{KEY_MODEL, model, model ? model->size : 0, NULL},
		{KEY_RECORDS, NULL, mul_size(sizeof(IvfListRecord), build->centroids.nlists + 1), NULL},
	};

	if (!am_parallel_memory(&leader->parallel, add_size(ivf_share_size(build), 64), "ivfflat"))
		return NULL;
	ivf_share(build, memory_base(leader->parallel.memory));
	build->shared->centroids = dsm_segment_handle(leader->parallel.memory);
	build->shared->memory = (int) Max(build->sort_memory / (workers + 1), 64);
	build->shared->participants = workers + 1;
	ivf_buckets_choose(build, workers + 1);
	if (!am_parallel_begin(&leader->parallel, build->heap, build->info,
						   "vecext_ivf_build_worker", workers, chunks, lengthof(chunks)))
		return NULL;
	build->shared = chunks[0].stored;
	build->records = chunks[2].stored;
	build->parallel = true;
	SharedFileSetInit(&build->shared->files, leader->parallel.pcxt->seg);
	ivf_attach(build, memory_base(leader->parallel.memory));
	return leader;
}

/*
 * ivf_parallel_run
 *		Place all rows and write their lists, as one of the participants.
 */
void
ivf_parallel_run(IvfLeader *leader, IvfBuild *build)
{
	/* before any worker: without the leader no phase may end */
	int			phase = BarrierAttach(&build->shared->barrier);

	am_parallel_launch(&leader->parallel);
	ivf_participate(build, table_beginscan_parallel(build->heap, leader->parallel.scan), phase);
	am_parallel_wait(&leader->parallel);
}

/*
 * ivf_parallel_end
 *		Free what the build shared; build->shared is gone afterwards.
 */
void
ivf_parallel_end(IvfLeader *leader)
{
	am_parallel_end(&leader->parallel);
}

/*
 * vecext_ivf_build_worker
 *		Main function of a parallel worker; called by the server by name.
 */
void
vecext_ivf_build_worker(dsm_segment *seg, shm_toc *toc)
{
	IvfBuildShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	QuantModel *model = shm_toc_lookup(toc, KEY_MODEL, true);
	IvfBuild   *build = palloc0(sizeof(IvfBuild));
	dsm_segment *memory = dsm_attach(shared->centroids);
	AmWorker	worker;

	if (memory == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	SharedFileSetAttach(&shared->files, seg);
	am_worker_begin(&worker, toc, shared->heap, shared->rel, shared->concurrent);
	build->context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat build",
										   ALLOCSET_DEFAULT_SIZES);
	build->heap = worker.heap;
	build->rel = worker.rel;
	build->info = worker.info;
	build->shared = shared;
	build->records = shm_toc_lookup(toc, KEY_RECORDS, false);
	build->parallel = true;
	build->participant = ParallelWorkerNumber + 1;
	build->index.metric = am_metric(build->rel);
	build->index.filters = filter_open(build->rel, build->context);
	build->index.params = shared->params;
	ivf_finish_params(&build->index);
	if (model != NULL)
		ivf_set_model(&build->index, model, build->context);
	ivf_attach(build, memory_base(memory));

	ivf_participate(build, worker.scan, BarrierAttach(&shared->barrier));
	am_worker_end(&worker, toc);
	MemoryContextDelete(build->context);
	dsm_detach(memory);
}

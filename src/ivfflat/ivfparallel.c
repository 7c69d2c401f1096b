/*-------------------------------------------------------------------------
 *
 * ivfparallel.c
 *	  Parallel workers of a build: each takes part in training, places rows of its
 *	  part of the table, and writes its part of the lists, as the leader does.
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
	AmMemory	training;		/* until centroids are made */
	AmMemory	centroids;
	int			phase;			/* of the barrier, when the leader attached to it */
};

extern VEC_EXPORT void vecext_ivf_build_worker(dsm_segment *seg, shm_toc *toc);

/*
 * ivf_parallel_memory
 *		Memory for training that workers will see; NULL if there will be none, or
 *		no shared memory: then the leader trains alone.
 */
void *
ivf_parallel_memory(IvfBuild *build, Size size)
{
	if (build->workers == 0)
		return NULL;
	build->lead = MemoryContextAllocZero(build->context, sizeof(IvfLeader));
	if (!am_memory_get(&build->lead->training, size, "ivfflat index is trained"))
		return NULL;
	build->shared->training = dsm_segment_handle(build->lead->training.seg);
	return am_memory_base(build->lead->training.seg);
}

/*
 * ivf_parallel_begin
 *		Start the workers that are wanted; "lists" is how many there are at most.
 *
 * Sets build->parallel, and moves what is shared to shared memory, unless there
 * is none for it: then the build is the leader's alone.  The model is there.
 */
void
ivf_parallel_begin(IvfBuild *build, int lists)
{
	const QuantModel *model = build->index.model;
	AmChunk		chunks[] = {
		{KEY_SHARED, build->shared, sizeof(IvfBuildShared), NULL},
		{KEY_MODEL, model, model ? model->size : 0, NULL},
		{KEY_RECORDS, NULL, mul_size(sizeof(IvfListRecord), (Size) lists + 1), NULL},
	};
	IvfLeader  *lead = build->lead;

	if (build->workers == 0)
		return;
	if (lead == NULL)
		lead = build->lead = MemoryContextAllocZero(build->context, sizeof(IvfLeader));
	if (!am_memory_get(&lead->centroids, ivf_share_size(build, lists), "ivfflat index is built"))
		return;
	build->shared->centroids = dsm_segment_handle(lead->centroids.seg);
	build->shared->participants = build->workers + 1;
	if (!am_parallel_begin(&lead->parallel, build->heap, build->info,
						   "vecext_ivf_build_worker", build->workers, chunks, lengthof(chunks)))
	{
		build->shared->participants = 1;
		return;
	}
	build->shared = chunks[0].stored;
	build->records = chunks[2].stored;
	build->parallel = true;
	SharedFileSetInit(&build->shared->files, lead->parallel.pcxt->seg);

	/* before any worker: without the leader no phase may end */
	lead->phase = BarrierAttach(&build->shared->barrier);
	am_parallel_launch(&lead->parallel);
}

/*
 * ivf_parallel_trained
 *		Free what was needed until centroids were made and copied.
 */
void
ivf_parallel_trained(IvfBuild *build)
{
	MemoryContextReset(build->train_context);
	if (build->lead != NULL)
		am_memory_release(&build->lead->training);
}

/*
 * ivf_parallel_run
 *		Publish the centroids, place all rows and write their lists, as one of the
 *		participants.
 */
void
ivf_parallel_run(IvfBuild *build)
{
	IvfLeader  *lead = build->lead;
	IvfBuildShared *shared = build->shared;
	void	   *memory = am_memory_base(lead->centroids.seg);

	ivf_share(build, memory);
	ivf_attach(build, memory);
	ivf_parallel_trained(build);
	shared->memory = Max(build->sort_memory / shared->participants, 64);
	ivf_buckets_choose(build, shared->participants);
	ivf_team_end(&shared->team);
	ivf_participate(build, table_beginscan_parallel(build->heap, lead->parallel.scan),
					lead->phase);
	am_parallel_wait(&lead->parallel);
}

/*
 * ivf_parallel_end
 *		Free what the build shared; build->shared is gone afterwards.
 */
void
ivf_parallel_end(IvfBuild *build)
{
	if (build->lead == NULL)
		return;
	if (build->parallel)
		am_parallel_end(&build->lead->parallel);
	am_memory_release(&build->lead->training);
	am_memory_release(&build->lead->centroids);
}

/*--- a worker ------------------------------------------------------------*/

/* take part in training, or wait for its end */
static void
train(IvfBuildShared *shared)
{
	dsm_segment *seg = NULL;

	/* once centroids are made it is gone, and there is nothing left to do */
	if (shared->training != DSM_HANDLE_INVALID)
		seg = dsm_attach(shared->training);
	ivf_team_work(&shared->team, seg != NULL ? am_memory_base(seg) : NULL);
	if (seg != NULL)
		dsm_detach(seg);
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

	train(shared);
	ivf_attach(build, am_memory_base(memory));
	ivf_participate(build, worker.scan, BarrierAttach(&shared->barrier));
	am_worker_end(&worker, toc);
	MemoryContextDelete(build->context);
	dsm_detach(memory);
}

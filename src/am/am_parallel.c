/*-------------------------------------------------------------------------
 *
 * am_parallel.c
 *	  Parallel workers of a build: what does not depend on the access method.
 *
 * Large memory lies in segments of its own, made before workers are; what cannot
 * have one is done by the leader alone.  Everything else is in the parallel
 * context's segment.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_parallel.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/shm_toc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* keys of our own; those of chunks are small numbers */
#define KEY_SCAN		UINT64CONST(0xA100000000000002)
#define KEY_QUERY_TEXT	UINT64CONST(0xA100000000000004)
#define KEY_WAL_USAGE	UINT64CONST(0xA100000000000005)
#define KEY_BUFFER_USAGE UINT64CONST(0xA100000000000006)

#define LINE			64

/*--- memory --------------------------------------------------------------*/

/*
 * am_memory_release
 *		Give up a segment, if there is one; others that have it mapped keep it.
 */
void
am_memory_release(AmMemory *memory)
{
	if (memory->seg != NULL)
		dsm_detach(memory->seg);
	memory->seg = NULL;
	if (memory->owner == NULL)
		return;
	ResourceOwnerRelease(memory->owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(memory->owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(memory->owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(memory->owner);
	memory->owner = NULL;
}

/*
 * am_memory_base
 *		Where a segment begins, aligned to a cache line.
 */
void *
am_memory_base(dsm_segment *seg)
{
	return (void *) TYPEALIGN(LINE, dsm_segment_address(seg));
}

/*
 * am_memory_get
 *		Get a segment with room for so many bytes from am_memory_base() on; false,
 *		with a notice that "what" is done without workers, if there is not enough.
 */
bool
am_memory_get(AmMemory *memory, Size size, const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner old = CurrentResourceOwner;
	dsm_segment *volatile seg = NULL;

	memory->owner = ResourceOwnerCreate(CurrentResourceOwner, "index build");
	CurrentResourceOwner = memory->owner;
	PG_TRY();
	{
		seg = dsm_create(add_size(size, LINE), DSM_CREATE_NULL_IF_MAXSEGMENTS);
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
				(errmsg("%s without parallel workers", what),
				 errdetail("It needs %zu MB of shared memory: %s.", size >> 20, error->message),
				 errhint("Make shared memory larger; on Linux that is /dev/shm.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	CurrentResourceOwner = old;
	memory->seg = seg;
	if (seg == NULL)
		am_memory_release(memory);
	return seg != NULL;
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

/* leave parallel mode */
static void
end_context(AmParallel *parallel)
{
	if (IsMVCCSnapshot(parallel->snapshot))
		UnregisterSnapshot(parallel->snapshot);
	DestroyParallelContext(parallel->pcxt);
	ExitParallelMode();
}

/*
 * am_parallel_begin
 *		Enter parallel mode and store the chunks where workers find them; false,
 *		with nothing left behind, if there is no shared memory for it.
 *
 * "function" is the workers' main function, of this library.
 */
bool
am_parallel_begin(AmParallel *parallel, Relation heap, IndexInfo *info, const char *function,
				  int workers, AmChunk *chunks, int nchunks)
{
	ParallelContext *pcxt;
	Size		scan_size;

	EnterParallelMode();
	pcxt = parallel->pcxt = CreateParallelContext("vecext", function, workers);
	parallel->snapshot = info->ii_Concurrent ?
		RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	scan_size = table_parallelscan_estimate(heap, parallel->snapshot);
	for (int i = 0; i < nchunks; i++)
	{
		if (chunks[i].size > 0)
			estimate(pcxt, chunks[i].size);
	}
	estimate(pcxt, scan_size);
	estimate(pcxt, mul_size(sizeof(WalUsage), pcxt->nworkers));
	estimate(pcxt, mul_size(sizeof(BufferUsage), pcxt->nworkers));
	if (debug_query_string != NULL)
		estimate(pcxt, strlen(debug_query_string) + 1);

	InitializeParallelDSM(pcxt);
	if (pcxt->seg == NULL)
	{
		end_context(parallel);
		return false;
	}

	for (int i = 0; i < nchunks; i++)
		chunks[i].stored = chunks[i].size == 0 ? NULL :
			store(pcxt, chunks[i].key, chunks[i].bytes, chunks[i].size);
	parallel->scan = store(pcxt, KEY_SCAN, NULL, scan_size);
	table_parallelscan_initialize(heap, parallel->scan, parallel->snapshot);
	if (debug_query_string != NULL)
		store(pcxt, KEY_QUERY_TEXT, debug_query_string, strlen(debug_query_string) + 1);
	parallel->wal_usage = store(pcxt, KEY_WAL_USAGE, NULL,
								mul_size(sizeof(WalUsage), pcxt->nworkers));
	parallel->buffer_usage = store(pcxt, KEY_BUFFER_USAGE, NULL,
								   mul_size(sizeof(BufferUsage), pcxt->nworkers));
	return true;
}

/*
 * am_parallel_launch
 *		Start the workers; pcxt->nworkers_launched tells how many there are.
 */
void
am_parallel_launch(AmParallel *parallel)
{
	LaunchParallelWorkers(parallel->pcxt);
}

/*
 * am_parallel_wait
 *		Wait for all workers to end, and count what they have used.
 */
void
am_parallel_wait(AmParallel *parallel)
{
	WaitForParallelWorkersToFinish(parallel->pcxt);
	for (int i = 0; i < parallel->pcxt->nworkers_launched; i++)
		InstrAccumParallelQuery(&parallel->buffer_usage[i], &parallel->wal_usage[i]);
}

/*
 * am_parallel_end
 *		Free what was shared: all that am_parallel_begin() stored is gone.
 */
void
am_parallel_end(AmParallel *parallel)
{
	end_context(parallel);
}

/*--- a worker ------------------------------------------------------------*/

/*
 * am_worker_begin
 *		Open the relations and the worker's part of the scan.
 */
void
am_worker_begin(AmWorker *worker, shm_toc *toc, Oid heap, Oid rel, bool concurrent)
{
	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	worker->heap_lock = concurrent ? ShareUpdateExclusiveLock : ShareLock;
	worker->index_lock = concurrent ? RowExclusiveLock : AccessExclusiveLock;
	worker->heap = table_open(heap, worker->heap_lock);
	worker->rel = index_open(rel, worker->index_lock);
	worker->info = BuildIndexInfo(worker->rel);
	worker->info->ii_Concurrent = concurrent;
	worker->scan = table_beginscan_parallel(worker->heap, shm_toc_lookup(toc, KEY_SCAN, false));
	InstrStartParallelQuery();
}

/*
 * am_worker_end
 *		Report what was used, and close the relations.
 */
void
am_worker_end(AmWorker *worker, shm_toc *toc)
{
	BufferUsage *buffer_usage = shm_toc_lookup(toc, KEY_BUFFER_USAGE, false);
	WalUsage   *wal_usage = shm_toc_lookup(toc, KEY_WAL_USAGE, false);

	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber], &wal_usage[ParallelWorkerNumber]);
	index_close(worker->rel, worker->index_lock);
	table_close(worker->heap, worker->heap_lock);
}

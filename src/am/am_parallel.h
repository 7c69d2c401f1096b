/*-------------------------------------------------------------------------
 *
 * am_parallel.h
 *	  Parallel workers of a build: starting, finding what they share, ending.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_PARALLEL_H
#define VECEXT_AM_PARALLEL_H

#include "compat.h"

#include "access/parallel.h"
#include "access/relscan.h"
#include "executor/instrument.h"
#include "nodes/execnodes.h"
#include "storage/dsm.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/snapshot.h"

/* what the leader stores for its workers; bytes NULL: room only */
typedef struct AmChunk
{
	uint64		key;			/* from 1 on */
	const void *bytes;
	Size		size;
	void	   *stored;			/* set by am_parallel_begin(); NULL if size is 0 */
} AmChunk;

typedef struct AmParallel
{
	ParallelContext *pcxt;
	Snapshot	snapshot;
	ParallelTableScanDesc scan;
	WalUsage   *wal_usage;
	BufferUsage *buffer_usage;
} AmParallel;

/* shared memory beside the parallel context's own */
typedef struct AmMemory
{
	dsm_segment *seg;			/* NULL: none */
	ResourceOwner owner;
} AmMemory;

/* leader */
extern bool am_memory_get(AmMemory *memory, Size size, const char *what);
extern void am_memory_release(AmMemory *memory);
extern void *am_memory_base(dsm_segment *seg);
extern bool am_parallel_begin(AmParallel *parallel, Relation heap, IndexInfo *info,
							  const char *function, int workers, AmChunk *chunks, int nchunks);
extern void am_parallel_launch(AmParallel *parallel);
extern void am_parallel_wait(AmParallel *parallel);
extern void am_parallel_end(AmParallel *parallel);

/* a worker, between opening its relations and its part of the scan, and after it */
typedef struct AmWorker
{
	Relation	heap;
	Relation	rel;
	IndexInfo  *info;
	LOCKMODE	heap_lock;
	LOCKMODE	index_lock;
	struct TableScanDescData *scan;
} AmWorker;

extern void am_worker_begin(AmWorker *worker, shm_toc *toc, Oid heap, Oid rel, bool concurrent);
extern void am_worker_end(AmWorker *worker, shm_toc *toc);

#endif							/* VECEXT_AM_PARALLEL_H */

/*-------------------------------------------------------------------------
 *
 * hnswaside.c
 *	  Rows that a build does not take into the graph: put aside in a temporary
 *	  file, and inserted one by one, as any insert, when there are pages.
 *
 * They are those for which maintenance_work_mem has no room, and those without
 * a distance.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include <math.h>

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* before its keys and its plain value */
typedef struct HnswAside
{
	ItemPointerData tid;
	uint32		size;
} HnswAside;

/*--- putting aside -------------------------------------------------------*/

/* a participant's file: made for writing, or, when there are workers, opened for reading */
static BufFile *
aside_file(HnswBuild *build, int participant, bool create)
{
	MemoryContext old = MemoryContextSwitchTo(build->context);
	BufFile    *file;
	char		name[64];

	snprintf(name, sizeof(name), "aside.%d", participant);
	if (!build->parallel)
		file = BufFileCreateTemp(false);
	else if (create)
		file = BufFileCreateFileSet(&build->shared->files.fs, name);
	else
		file = BufFileOpenFileSet(&build->shared->files.fs, name, O_RDONLY, true);
	MemoryContextSwitchTo(old);
	return file;
}

/*
 * hnsw_put_aside
 *		Put a row aside; build->row has its keys.
 */
void
hnsw_put_aside(HnswBuild *build, ItemPointer tid, struct varlena *plain)
{
	Size		keys = build->index.params.nwords * sizeof(uint64);
	HnswAside	head;

	memset(&head, 0, sizeof(head));
	head.tid = *tid;
	head.size = VARSIZE(plain);
	if (build->aside == NULL)
		build->aside = aside_file(build, build->participant, true);
	BufFileWrite(build->aside, &head, sizeof(head));
	BufFileWrite(build->aside, build->row + 1, keys);
	BufFileWrite(build->aside, plain, head.size);
	pg_atomic_fetch_add_u64(&build->shared->rows_aside, 1);
}

/*
 * hnsw_aside_written
 *		This participant puts no more aside; the leader may read what it has.
 */
void
hnsw_aside_written(HnswBuild *build)
{
	if (build->aside == NULL || !build->parallel)
		return;
	BufFileExportFileSet(build->aside);
	BufFileClose(build->aside);
	build->aside = NULL;
}

/*--- inserting -----------------------------------------------------------*/

/*
 * hnsw_report_aside
 *		The NOTICE for a graph that did not fit.
 */
void
hnsw_report_aside(const HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	uint64		full = pg_atomic_read_u64(&shared->rows_full);
	uint64		all = pg_atomic_read_u64(&shared->rows_done);
	double		nodes = ldexp(1, shared->graph_params.chunk_shift);
	double		chunks = ceil((double) all * 1.05 / nodes);
	double		needed;

	if (full == 0)
		return;
	needed = chunks * ((double) shared->chunk_size + nodes * (double) build->reserve) +
		shared->block_size;
	if (build->index.model == NULL)
		needed += (double) all * 1.05 * ((double) build->sample.value_mean + 8);
	needed = ceil(needed / (1024 * 1024)) + 2;

	/* a guess, but never what there is already */
	needed = Max(needed, floor(maintenance_work_mem / 1024.0) + 1);
	ereport(NOTICE,
			(errmsg("hnsw graph no longer fits into maintenance_work_mem after " UINT64_FORMAT
					" tuples", all - full),
			 errdetail("The other " UINT64_FORMAT " are inserted one by one, which takes longer.",
					   full),
			 errhint("Increase maintenance_work_mem to %.0f MB to build this index in memory.",
					 needed)));
}

/* one participant's rows that were put aside */
static void
insert_file(HnswBuild *build, BufFile *file, uint64 *done)
{
	MemoryContext old = MemoryContextSwitchTo(build->row_context);
	Size		keys = build->index.params.nwords * sizeof(uint64);
	HnswIndex  *index;
	HnswValue  *value;
	HnswAside	head;

	if (BufFileSeek(file, 0, 0, SEEK_SET) != 0)
		elog(ERROR, "could not rewind a temporary file");
	while (BufFileRead(file, &head, sizeof(head)) == sizeof(head))
	{
		struct varlena *plain = palloc(head.size);

		CHECK_FOR_INTERRUPTS();
		if (BufFileRead(file, build->row, keys) != keys ||
			BufFileRead(file, plain, head.size) != head.size)
			elog(ERROR, "could not read from a temporary file");
		index = hnsw_open(build->rel);
		value = hnsw_value(index, PointerGetDatum(plain));
		memcpy(value->keys, build->row, keys);
		hnsw_insert_value(build->rel, index, value, &head.tid);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) ++*done);
		MemoryContextReset(build->row_context);
	}
	BufFileClose(file);
	MemoryContextSwitchTo(old);
}

/*
 * hnsw_insert_aside
 *		Insert what the graph did not take, now that there are pages.
 */
void
hnsw_insert_aside(HnswBuild *build)
{
	uint64		total = pg_atomic_read_u64(&build->shared->rows_aside);
	uint64		done = 0;

	if (total == 0)
		return;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, HNSW_PHASE_INSERT);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) total);
	if (!build->parallel)
	{
		insert_file(build, build->aside, &done);
		return;
	}
	for (int i = 0; i < build->shared->participants; i++)
	{
		BufFile    *file = aside_file(build, i, false);

		if (file != NULL)
			insert_file(build, file, &done);
	}
}


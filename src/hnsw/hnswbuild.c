/*-------------------------------------------------------------------------
 *
 * hnswbuild.c
 *	  Building an index: the table into a graph in memory, the graph to pages.
 *
 *	1. sample	train the model, estimate rows (hnswtrain.c)
 *	2. load		every row into the graph, by all participants at once; refine
 *				records go to a temporary file, for the order of nodes on pages
 *				is not known yet
 *	3. finish	choose final links, connect, order (hnswfinish.c); write pages
 *				and log them (hnswwrite.c)
 *	4. insert	the rows that were put aside, as any insert does
 *
 * Put aside are rows for which maintenance_work_mem had no room, and those
 * without a distance, which the graph does not take.
 *
 * Rows with equal values share a node.  Values are compared by a hash of 128
 * bits whose seed nobody knows.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include <math.h>

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define MIN_CHUNK_SHIFT		6
#define USUAL_CHUNK_SHIFT	13
#define PARTS_OF_MEMORY		32	/* a chunk is at most one of so many */
#define LINE				64

/* phases of the participants' barrier */
#define PHASE_LOAD			0
#define PHASE_LINKS			1
#define PHASE_ORDER			2
#define PHASE_WRITE			3

/*
 * hnsw_build_tick
 *		For long computations that have no other place to be interrupted.
 */
void
hnsw_build_tick(void)
{
	CHECK_FOR_INTERRUPTS();
}

/*--- distances in the graph ----------------------------------------------*/

/*
 * hnsw_build_value
 *		The exact value behind the code of a node.
 */
const struct varlena *
hnsw_build_value(const HnswBuild *build, const uint8_t *code)
{
	uint64		where = hnsw_trailer(build, code)->where;

	return (const struct varlena *) (build->blocks[where >> 32] + (uint32) where);
}

static float
compact_pair(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = ((const HnswBuild *) context)->index.model;

	return nav_pair(model, quant_build_bits(model), a, b);
}

static float
exact_pair(const void *context, const uint8_t *a, const uint8_t *b)
{
	const HnswBuild *build = context;

	return (float) build->index.metric->distance(hnsw_build_value(build, a),
												 hnsw_build_value(build, b));
}

static bool
same_value(const void *context, const uint8_t *a, const uint8_t *b)
{
	const HnswTrailer *x = hnsw_trailer(context, a);
	const HnswTrailer *y = hnsw_trailer(context, b);

	return x->hash[0] == y->hash[0] && x->hash[1] == y->hash[1];
}

/*--- memory --------------------------------------------------------------*/

/* memory for as long as the build, aligned for a cache line */
static void *
get_memory(HnswBuild *build, Size size)
{
	void	   *p = MemoryContextAllocHuge(build->context, add_size(size, LINE));

	return (void *) TYPEALIGN(LINE, p);
}

/*
 * hnsw_build_attach
 *		A participant's scratch memory and view of the graph; build->shared and
 *		build->index are complete.
 */
void
hnsw_build_attach(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	const QuantModel *model = build->index.model;
	GraphMetric metric = {.context = build, .equal = same_value};
	int			dim = build->index.params.dim;

	build->nav_size = model == NULL ? 0 :
		TYPEALIGN(8, nav_code_size(dim, quant_build_bits(model)));
	metric.code_size = build->nav_size + sizeof(HnswTrailer);
	metric.pair = model == NULL ? exact_pair : compact_pair;
	graph_attach(&build->graph, &shared->graph_params, &metric, &shared->control);
	graph_worker_init(&build->worker, &build->graph,
					  get_memory(build, graph_worker_size(&shared->graph_params)));

	build->code = get_memory(build, metric.code_size);
	build->row = get_memory(build, hnsw_row_size(build));
	memset(build->code, 0, metric.code_size);
	build->row_context = AllocSetContextCreate(build->context, "hnsw row",
											   ALLOCSET_DEFAULT_SIZES);
	build->block = UINT32_MAX;
	if (model != NULL)
	{
		build->floats = get_memory(build, sizeof(float) * dim);
		build->nav = get_memory(build, sizeof(float) * dim);
		build->record = get_memory(build, build->index.params.refine_size + 1);
	}
}

/* size of chunks: a small part of the memory, yet few enough for all of it */
static void
choose_chunks(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	const HnswParams *params = &build->index.params;
	GraphMetric metric = {.code_size = sizeof(HnswTrailer)};
	GraphParams *graph = &shared->graph_params;
	int			shift = MIN_CHUNK_SHIFT;

	if (build->index.model != NULL)
		metric.code_size += TYPEALIGN(8, nav_code_size(params->dim,
													   quant_build_bits(build->index.model)));
	graph->m = params->m;
	graph->ef_construction = params->ef_construction;
	graph->seed = 1;
	for (;; shift++)
	{
		double		all;

		graph->chunk_shift = shift;
		shared->chunk_size = graph_chunk_size(graph, &metric);
		all = (double) shared->chunk_size * GRAPH_MAX_CHUNKS;
		if (all > build->limit &&
			(shift == USUAL_CHUNK_SHIFT || shared->chunk_size * 2 > build->limit / PARTS_OF_MEMORY))
			break;
		if (shift >= 20)
			break;
	}
	shared->block_size = TYPEALIGN(LINE, Max(build->index.plain_size + 8,
											 Min(build->limit / PARTS_OF_MEMORY, 8 << 20)));
}

/* may the serial build take so much more? */
static bool
memory_left(HnswBuild *build, Size size)
{
	return !build->parallel && build->used + size <= build->limit;
}

/* serial: a further chunk for the graph */
static bool
add_chunk(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	Size		size = shared->chunk_size +
		((Size) 1 << shared->graph_params.chunk_shift) * build->reserve;

	if (!memory_left(build, size) ||
		!graph_add_chunk(&build->graph, get_memory(build, shared->chunk_size)))
		return false;
	build->used += size;
	return true;
}

/* a block for exact values: the next shared one, or a new one */
static bool
next_block(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	uint32		n;

	if (!build->parallel && !memory_left(build, shared->block_size))
		return false;
	n = pg_atomic_fetch_add_u32(&shared->next_block, 1);
	if (build->parallel)
	{
		if (n >= shared->nblocks)
			return false;
	}
	else
	{
		build->used += shared->block_size;
		if (n >= build->block_room)
		{
			build->block_room = Max(64, build->block_room * 2);
			build->blocks = build->blocks == NULL ?
				MemoryContextAllocHuge(build->context, sizeof(uint8_t *) * build->block_room) :
				repalloc_huge(build->blocks, sizeof(uint8_t *) * build->block_room);
		}
		build->blocks[n] = get_memory(build, shared->block_size);
	}
	build->block = n;
	build->block_used = 0;
	return true;
}

/* store an exact value; false if there is no room */
static bool
store_value(HnswBuild *build, const struct varlena *plain, uint64 *where)
{
	Size		size = TYPEALIGN(8, VARSIZE(plain));

	if ((build->block == UINT32_MAX || build->block_used + size > build->shared->block_size) &&
		!next_block(build))
	{
		build->block = UINT32_MAX;
		return false;
	}
	*where = (uint64) build->block << 32 | build->block_used;
	memcpy(build->blocks[build->block] + build->block_used, plain, VARSIZE(plain));
	build->block_used += size;
	return true;
}

/*--- temporary files -----------------------------------------------------*/

/*
 * hnsw_build_file
 *		A participant's temporary file: made for writing, or, when there are
 *		workers, opened for reading.
 */
BufFile *
hnsw_build_file(HnswBuild *build, const char *what, int participant, bool create)
{
	MemoryContext old = MemoryContextSwitchTo(build->context);
	BufFile    *file;
	char		name[64];

	snprintf(name, sizeof(name), "%s.%d", what, participant);
	if (!build->parallel)
		file = BufFileCreateTemp(false);
	else if (create)
		file = BufFileCreateFileSet(&build->shared->files.fs, name);
	else
		file = BufFileOpenFileSet(&build->shared->files.fs, name, O_RDONLY, true);
	MemoryContextSwitchTo(old);
	return file;
}

/* put a row aside for the page-level insert */
static void
put_aside(HnswBuild *build, ItemPointer tid, struct varlena *plain)
{
	Size		keys = build->index.params.nwords * sizeof(uint64);
	HnswAside	head;

	memset(&head, 0, sizeof(head));
	head.tid = *tid;
	head.size = VARSIZE(plain);
	if (build->aside == NULL)
		build->aside = hnsw_build_file(build, "aside", build->participant, true);
	BufFileWrite(build->aside, &head, sizeof(head));
	BufFileWrite(build->aside, build->row + 1, keys);
	BufFileWrite(build->aside, plain, head.size);
	pg_atomic_fetch_add_u64(&build->shared->rows_aside, 1);
}

/*--- rows ----------------------------------------------------------------*/

/* code, refine record and trailer of a value; false if there is no room */
static bool
encode(HnswBuild *build, struct varlena *plain)
{
	HnswBuildShared *shared = build->shared;
	HnswIndex  *index = &build->index;
	HnswTrailer *trailer = hnsw_trailer(build, build->code);
	const QuantModel *model = index->model;

	for (int i = 0; i < 2; i++)
		trailer->hash[i] = hash_bytes_extended((const unsigned char *) plain, VARSIZE(plain),
											   shared->hash_seed[i]);
	if (model == NULL)
		return store_value(build, plain, &trailer->where);

	index->metric->type->to_floats(plain, build->floats);
	nav_encode(model, quant_build_bits(model), build->nav,
			   quant_map(model, build->floats, build->nav), build->code);
	trailer->where = (uint64) build->participant << 48 | build->nrecords;
	return true;
}

/* keep the refine record of the node just made */
static void
write_record(HnswBuild *build, struct varlena *plain)
{
	HnswValue	value = {.plain = plain, .floats = build->floats};

	hnsw_record_encode(&build->index, &value, build->record);
	if (build->records == NULL)
		build->records = hnsw_build_file(build, "records", build->participant, true);
	BufFileWrite(build->records, build->record, build->index.params.refine_size);
	build->nrecords++;
}

/* what the graph calls a row: its address, or its number in the file of rows */
static uint64
name_row(const HnswBuild *build)
{
	if (build->index.params.nwords == 0)
		return build->row[0];
	return (uint64) build->participant << 48 | build->nrows;
}

/* keep address and keys of the row that the graph has just taken */
static void
write_row(HnswBuild *build)
{
	if (build->rows == NULL)
		build->rows = hnsw_build_file(build, "rows", build->participant, true);
	BufFileWrite(build->rows, build->row, hnsw_row_size(build));
	build->nrows++;
}

/* insert into the graph; false if it is full */
static bool
insert_into_graph(HnswBuild *build, struct varlena *plain)
{
	Size		mark = build->block_used;
	GraphOutcome outcome = GRAPH_FULL;
	uint32_t	node;

	if (!encode(build, plain))
		return false;
	do
		outcome = graph_insert(&build->worker, build->code, name_row(build), &node);
	while (outcome == GRAPH_FULL && add_chunk(build));

	/* the value of a row without a node is not needed; a new block starts anew */
	if (outcome != GRAPH_INSERTED && build->index.model == NULL)
		build->block_used = mark < build->block_used ? mark : 0;
	if (outcome == GRAPH_INSERTED && build->index.params.refine_size > 0)
		write_record(build, plain);
	if (outcome != GRAPH_FULL && build->index.params.nwords > 0)
		write_row(build);
	return outcome != GRAPH_FULL;
}

/* callback of the table scan, for each row */
static void
build_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	HnswBuild  *build = arg;
	HnswBuildShared *shared = build->shared;
	const VecMetric *metric = build->index.metric;
	MemoryContext old;
	struct varlena *plain;
	uint64		done;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->row_context);
	plain = metric->type->plain(values[0]);
	if (metric->type->dim(plain) != build->index.params.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", build->index.params.dim,
						metric->type->dim(plain))));
	build->row[0] = hnsw_row_of_tid(tid);
	if (build->index.filters != NULL)
		filter_encode(build->index.filters, values, isnull, build->row + 1);
	if (!metric->is_defined(plain))
		put_aside(build, tid, plain);
	else if (!insert_into_graph(build, plain))
	{
		put_aside(build, tid, plain);
		pg_atomic_fetch_add_u64(&shared->rows_full, 1);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);

	done = pg_atomic_add_fetch_u64(&shared->rows_done, 1);
	if (build->participant == 0)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) done);
}

/* let the leader read a file; this participant is done with it */
static void
export_file(BufFile **file)
{
	if (*file == NULL)
		return;
	BufFileExportFileSet(*file);
	BufFileClose(*file);
	*file = NULL;
}

/* a participant's part of the table scan; all of it if it is not parallel */
static void
load(HnswBuild *build, ParallelTableScanDesc parallel)
{
	TableScanDesc scan = parallel ? table_beginscan_parallel(build->heap, parallel) : NULL;
	HnswBuildShared *shared = build->shared;
	double		rows;

	rows = table_index_build_scan(build->heap, build->rel, build->info, true,
								  build->participant == 0, build_row, build, scan);
	pg_atomic_fetch_add_u64(&shared->heap_rows, (int64) rows);
	if (build->info->ii_BrokenHotChain)
		pg_atomic_write_u32(&shared->broken_hot_chain, 1);
	if (build->parallel)
	{
		export_file(&build->records);
		export_file(&build->rows);
		export_file(&build->aside);
	}
}

/*--- after the scan ------------------------------------------------------*/

/* the NOTICE for a graph that did not fit */
static void
report_memory(const HnswBuild *build)
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

/* insert what the graph did not take, now that there are pages */
static void
insert_aside(HnswBuild *build)
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
		BufFile    *file = hnsw_build_file(build, "aside", i, false);

		if (file != NULL)
			insert_file(build, file, &done);
	}
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
	BarrierInit(&shared->barrier, 0);
	pg_atomic_init_u64(&shared->next_links, 0);
	pg_atomic_init_u64(&shared->next_coords, 0);
	pg_atomic_init_u64(&shared->next_nav, 0);
	pg_atomic_init_u64(&shared->next_refine, 0);
	pg_atomic_init_u64(&shared->nodes_written, 0);
	pg_atomic_init_u64(&shared->rows_done, 0);
	pg_atomic_init_u64(&shared->rows_aside, 0);
	pg_atomic_init_u64(&shared->rows_full, 0);
	pg_atomic_init_u64(&shared->heap_rows, 0);
	pg_atomic_init_u32(&shared->broken_hot_chain, 0);
	choose_chunks(build);
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
	hnsw_finish_map(build, get_memory(build, hnsw_finish_area(build, nnodes)), nnodes);
}

/*
 * hnsw_build_participate
 *		All a participant does, from the phase on in which it attached to the
 *		barrier; README.md has the phases.
 */
void
hnsw_build_participate(HnswBuild *build, ParallelTableScanDesc scan, int phase)
{
	HnswBuildShared *shared = build->shared;
	bool		leader = build->participant == 0;

	if (phase == PHASE_LOAD)
	{
		load(build, scan);
		phase = next_phase(build);
		if (!build->parallel)
			get_finish_memory(build);
	}
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
}

static void
build_serially(HnswBuild *build)
{
	build->shared->control.entry = GRAPH_NONE;
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
	report_memory(build);
	hnsw_write_meta(build);
	if (build->records != NULL)
		BufFileClose(build->records);
	if (build->rows != NULL)
		BufFileClose(build->rows);
	insert_aside(build);

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

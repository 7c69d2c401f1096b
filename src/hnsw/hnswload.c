/*-------------------------------------------------------------------------
 *
 * hnswload.c
 *	  Rows of the table into the graph, by one participant of a build.
 *
 * Refine records go to a temporary file, for the order of nodes on pages is not
 * known yet; sketched coordinates stay in memory, by node.  Rows that the graph
 * does not take are put aside (hnswaside.c).
 *
 * Rows with equal values share a node.  Values are compared by a hash of 128
 * bits whose seed nobody knows.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "access/tableam.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "common/hashfn.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define MIN_CHUNK_SHIFT		6
#define USUAL_CHUNK_SHIFT	13
#define PARTS_OF_MEMORY		32	/* a chunk is at most one of so many */
#define LINE				64

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

static void
compact_peek(const void *context, const uint8_t *a, const uint8_t *const *b, int n, float stretch,
			 float *distance)
{
	quant_peek(((const HnswBuild *) context)->index.model, a, b, n, stretch, distance);
}

static float
compact_stretch(const void *context, const uint8_t *a, const uint8_t *b, float distance)
{
	return quant_peek_stretch(((const HnswBuild *) context)->index.model, a, b, distance);
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

/*
 * hnsw_build_memory
 *		Memory for as long as the build, aligned for a cache line.
 */
void *
hnsw_build_memory(HnswBuild *build, Size size)
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
	metric.peek_size = model == NULL ? 0 : quant_peek_size(model);
	metric.peek = compact_peek;
	metric.stretch = compact_stretch;
	graph_attach(&build->graph, &shared->graph_params, &metric, &shared->control);
	graph_worker_init(&build->worker, &build->graph,
					  hnsw_build_memory(build, graph_worker_size(&shared->graph_params)));

	build->code = hnsw_build_memory(build, metric.code_size + metric.peek_size);
	build->row = hnsw_build_memory(build, hnsw_row_size(build));
	memset(build->code, 0, metric.code_size + metric.peek_size);
	build->row_context = AllocSetContextCreate(build->context, "hnsw row",
											   ALLOCSET_DEFAULT_SIZES);
	build->block = UINT32_MAX;
	build->coords = hnsw_build_memory(build, sizeof(float *) * GRAPH_MAX_CHUNKS);
	if (model != NULL)
	{
		build->floats = hnsw_build_memory(build, sizeof(float) * dim);
		build->nav = hnsw_build_memory(build, sizeof(float) * dim);
		build->sketched = hnsw_build_memory(build, sizeof(float) * (model->sketch_dims + 1));
		build->record = hnsw_build_memory(build, build->index.params.refine_size + 1);
	}
}

/*
 * hnsw_choose_chunks
 *		The size of chunks: a small part of the memory, yet few enough for all
 *		of it.
 */
void
hnsw_choose_chunks(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	const HnswParams *params = &build->index.params;
	GraphMetric metric = {.code_size = sizeof(HnswTrailer)};
	GraphParams *graph = &shared->graph_params;
	int			shift = MIN_CHUNK_SHIFT;

	if (build->index.model != NULL)
	{
		metric.code_size += TYPEALIGN(8, nav_code_size(params->dim,
													   quant_build_bits(build->index.model)));
		metric.peek_size = quant_peek_size(build->index.model);
	}
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
	Size		nodes = (Size) 1 << shared->graph_params.chunk_shift;
	Size		size = shared->chunk_size + nodes * build->reserve;

	if (!memory_left(build, size) ||
		!graph_add_chunk(&build->graph, hnsw_build_memory(build, shared->chunk_size)))
		return false;
	build->coords[build->nchunks++] = hnsw_build_memory(build, nodes * hnsw_coords_size(build));
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
		build->blocks[n] = hnsw_build_memory(build, shared->block_size);
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

/*--- rows ----------------------------------------------------------------*/

/* code, trailer and peek of a value; false if there is no room */
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
	if (model->sketch_dims > 0)
		sketch_project(model, build->nav, build->sketched);
	if (build->graph.metric.peek_size > 0)
		quant_peek_encode(model, build->sketched, build->code,
						  build->code + build->graph.metric.code_size);
	trailer->where = hnsw_item_name(build, build->records);
	return true;
}

/* keep the refine record of the node just made */
static void
write_record(HnswBuild *build, struct varlena *plain)
{
	HnswValue	value = {.plain = plain, .floats = build->floats};

	hnsw_record_encode(&build->index, &value, build->record);
	if (build->records == NULL)
		build->records = hnsw_items_create(build, HNSW_RECORDS, build->index.params.refine_size);
	hnsw_items_add(build->records, build->record);
}

/* what the graph calls a row: its address, or its number in the file of rows */
static uint64
name_row(const HnswBuild *build)
{
	if (build->index.params.nwords == 0)
		return build->row[0];
	return hnsw_item_name(build, build->rows);
}

/* keep address and keys of the row that the graph has just taken */
static void
write_row(HnswBuild *build)
{
	if (build->rows == NULL)
		build->rows = hnsw_items_create(build, HNSW_ROWS, hnsw_row_size(build));
	hnsw_items_add(build->rows, build->row);
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
	if (outcome == GRAPH_INSERTED && hnsw_coords_size(build) > 0)
		memcpy(hnsw_coords(build, node), build->sketched, hnsw_coords_size(build));
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
		hnsw_put_aside(build, tid, plain);
	else if (!insert_into_graph(build, plain))
	{
		hnsw_put_aside(build, tid, plain);
		pg_atomic_fetch_add_u64(&shared->rows_full, 1);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);

	done = pg_atomic_add_fetch_u64(&shared->rows_done, 1);
	if (build->participant == 0)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) done);
}

/*
 * hnsw_load
 *		A participant's part of the table scan; all of it if "scan" is NULL.
 */
void
hnsw_load(HnswBuild *build, TableScanDesc scan)
{
	HnswBuildShared *shared = build->shared;
	double		rows;

	rows = table_index_build_scan(build->heap, build->rel, build->info, true,
								  build->participant == 0, build_row, build, scan);
	pg_atomic_fetch_add_u64(&shared->heap_rows, (int64) rows);
	if (build->info->ii_BrokenHotChain)
		pg_atomic_write_u32(&shared->broken_hot_chain, 1);
	hnsw_items_written(build->records);
	hnsw_items_written(build->rows);
	hnsw_aside_written(build);
}


/*-------------------------------------------------------------------------
 *
 * hnswbuild.h
 *	  What the files that build an index share.
 *
 *	hnswparams.c	parameters, from options and column
 *	hnswtrain.c		a sample of the table; the model
 *	hnswbuild.c		the build, and its phases
 *	hnswload.c		rows into the graph
 *	hnswfiles.c		temporary files
 *	hnswaside.c		rows that the graph does not take
 *	hnswparallel.c	starting and ending parallel workers
 *	hnswfinish.c	final links, order, addresses
 *	hnswwrite.c		from the graph to pages
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSWBUILD_H
#define VECEXT_HNSWBUILD_H

#include "hnsw/hnsw.h"

#include "access/relscan.h"
#include "graph/graph.h"
#include "nodes/execnodes.h"
#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/buffile.h"
#include "storage/dsm.h"
#include "storage/sharedfileset.h"

/* what hnswtrain.c learnt about the table; estimates */
typedef struct HnswSample
{
	double		rows;			/* of the table */
	Size		value_mean;		/* bytes of a plain value */
	Size		value_most;
} HnswSample;

/* behind the nav code of a node of the graph */
typedef struct HnswTrailer
{
	uint64		hash[2];		/* of the plain value: equal hashes are equal values */
	uint64		where;			/* its refine record, or its exact value */
} HnswTrailer;

/* pages that are taken, written and logged together: one WAL record's */
#define HNSW_UNIT_PAGES		32

/* of a node without levels above 0 */
#define HNSW_NO_UPPER		UINT32_MAX

/* where everything goes */
typedef struct HnswPlan
{
	uint32		nnodes;
	uint32		nupper;			/* upper slots */
	uint64		ntids;			/* tids slots */
	BlockNumber model_start;
	BlockNumber entry_start;
	BlockNumber nav_start;
	BlockNumber refine_start;
	BlockNumber filter_start;
	BlockNumber upper_start;
	BlockNumber value_start;
	BlockNumber tids_start;
	BlockNumber end;
} HnswPlan;

/* items in a temporary file; hnswfiles.c */
typedef struct HnswItems HnswItems;

#define HNSW_RECORDS	"records"
#define HNSW_ROWS		"rows"

/*
 * State of a build that all participants see: in dynamic shared memory if
 * there are workers.
 */
typedef struct HnswBuildShared
{
	Oid			heap;
	Oid			rel;
	bool		concurrent;
	int			participants;
	HnswParams	params;
	uint64		hash_seed[2];
	GraphParams graph_params;
	GraphControl control;

	/* memory for the graph and for exact values, one after the other */
	dsm_handle	memory;
	Size		chunk_size;
	uint32		nchunks;
	Size		block_size;
	uint32		nblocks;
	pg_atomic_uint32 next_block;

	/* after the load; README.md has the phases */
	Barrier		barrier;
	Size		spare;			/* memory for reverse links */
	HnswPlan	plan;
	pg_atomic_uint64 next_links;	/* node */
	pg_atomic_uint64 next_nav;	/* unit of pages */
	pg_atomic_uint64 next_refine;	/* unit of pages */
	pg_atomic_uint64 next_filter;	/* unit of pages */
	pg_atomic_uint64 nodes_written;

	pg_atomic_uint64 rows_done; /* indexed or put aside, for progress */
	pg_atomic_uint64 rows_aside;	/* did not fit, or have no distance */
	pg_atomic_uint64 rows_full; /* of these: did not fit */
	pg_atomic_uint64 heap_rows;
	pg_atomic_uint32 broken_hot_chain;
	SharedFileSet files;
} HnswBuildShared;

/* a participant's view; the serial build has one participant */
typedef struct HnswBuild
{
	Relation	heap;
	Relation	rel;
	IndexInfo  *info;
	HnswBuildShared *shared;
	bool		parallel;
	int			participant;
	HnswIndex	index;			/* parameters and layout only */
	HnswSample	sample;			/* leader */

	Size		nav_size;		/* bytes of a graph code before the trailer */
	Graph		graph;
	GraphWorker worker;
	uint8_t    *code;
	float	   *floats;
	float	   *nav;
	float	   *sketched;		/* coordinates the peek is made of */
	uint8_t    *record;
	MemoryContext context;
	MemoryContext row_context;

	/* serial: memory taken so far, and what may be */
	Size		used;
	Size		limit;
	Size		reserve;		/* per node, for the time after the scan */

	/* by "place": a node's id on pages.  By "node": its id in the graph */
	uint32	   *order;			/* node at a place */
	uint32	   *place;			/* of a node */
	uint32	   *upper;			/* number of a node's first upper slot */
	BlockNumber *rest;			/* exact: first value page of the node at a place */
	uint32	   *unit_tids;		/* first tids slot of each unit of nav pages */
	GraphEntries *entries;		/* nodes searches start from */
	float	  **coords;			/* sketched coordinates, by chunk and node; hnsw_coords() */
	uint32		nchunks;		/* serial: of the graph */

	/* exact values */
	uint8_t   **blocks;
	uint32		block_room;		/* of the array */
	uint32		block;			/* the one values go to */
	Size		block_used;

	HnswItems  *records;		/* refine records of nodes, in order of insertion */
	BufFile    *aside;			/* rows for the page-level insert */

	/* with filter columns: addresses and keys of rows, which the graph has by number */
	HnswItems  *rows;
	uint64	   *row;			/* scratch: the address, and nwords keys */
} HnswBuild;

/* hnswparams.c */
extern void hnsw_choose_params(Relation rel, const VecMetric *metric, HnswParams *params,
							   QuantConfig *config);
extern void hnsw_choose_exact_size(const VecMetric *metric, HnswParams *params,
								   Size typical);
extern void hnsw_set_model(HnswIndex *index, Relation rel, QuantModel *model);

/* hnswtrain.c */
extern void hnsw_train(HnswBuild *build, const QuantConfig *config);

/* hnswbuild.c */
extern void hnsw_build_participate(HnswBuild *build, TableScanDesc scan, int phase);
extern void hnsw_build_tick(void);

/* hnswload.c */
extern void *hnsw_build_memory(HnswBuild *build, Size size);
extern void hnsw_choose_chunks(HnswBuild *build);
extern void hnsw_build_attach(HnswBuild *build);
extern void hnsw_load(HnswBuild *build, TableScanDesc scan);
extern const struct varlena *hnsw_build_value(const HnswBuild *build, const uint8_t *code);

/* hnswfiles.c */
extern HnswItems *hnsw_items_create(HnswBuild *build, const char *what, Size size);
extern void hnsw_items_add(HnswItems *items, const void *item);
extern uint64 hnsw_items_count(const HnswItems *items);
extern void hnsw_items_written(HnswItems *items);
extern HnswItems *hnsw_items_open(HnswBuild *build, const char *what, int participant, Size size);
extern void hnsw_items_read(HnswItems *items, uint64 n, void *item);
extern void hnsw_items_close(HnswItems *items);

/* participant and number of the next item */
static inline uint64
hnsw_item_name(const HnswBuild *build, const HnswItems *items)
{
	return (uint64) build->participant << 48 | hnsw_items_count(items);
}

/* hnswaside.c */
extern void hnsw_put_aside(HnswBuild *build, ItemPointer tid, struct varlena *plain);
extern void hnsw_aside_written(HnswBuild *build);
extern void hnsw_report_aside(const HnswBuild *build);
extern void hnsw_insert_aside(HnswBuild *build);

static inline float *
hnsw_coords(const HnswBuild *build, uint32 node)
{
	int			shift = build->shared->graph_params.chunk_shift;
	Size		place = node & (((uint32) 1 << shift) - 1);

	return build->coords[node >> shift] + place * (Size) build->index.model->sketch_dims;
}

static inline HnswTrailer *
hnsw_trailer(const HnswBuild *build, const uint8_t *code)
{
	return (HnswTrailer *) (void *) (code + build->nav_size);
}

/* an address as the graph has it where there are no filter columns */
static inline uint64
hnsw_row_of_tid(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumber(tid) << 16 | ItemPointerGetOffsetNumber(tid);
}

static inline Size
hnsw_row_size(const HnswBuild *build)
{
	return (1 + (Size) build->index.params.nwords) * sizeof(uint64);
}

/* hnswparallel.c */
typedef struct HnswLeader HnswLeader;

extern HnswLeader *hnsw_parallel_begin(HnswBuild *build, int workers);
extern void hnsw_parallel_run(HnswLeader *leader, HnswBuild *build);
extern void hnsw_parallel_end(HnswLeader *leader);

/* hnswfinish.c */
extern Size hnsw_coords_size(const HnswBuild *build);
extern Size hnsw_finish_area(const HnswBuild *build, Size nodes);
extern Size hnsw_finish_bytes(const HnswBuild *build);
extern void hnsw_finish_map(HnswBuild *build, void *area, Size nodes);
extern void hnsw_finish_links(HnswBuild *build);
extern void hnsw_finish_order(HnswBuild *build);
extern void hnsw_finish_entries(HnswBuild *build);
extern void hnsw_finish_plan(HnswBuild *build);
extern void hnsw_finish_empty(HnswBuild *build, HnswPlan *plan, ForkNumber fork);
extern uint32 hnsw_tids_slots(const HnswBuild *build, uint32 node);

/* hnswwrite.c */
extern void hnsw_write_units(HnswBuild *build);
extern void hnsw_write_rest(HnswBuild *build);
extern void hnsw_write_meta(HnswBuild *build);
extern void hnsw_write_empty(HnswBuild *build, ForkNumber fork);

#endif							/* VECEXT_HNSWBUILD_H */

/*-------------------------------------------------------------------------
 *
 * graph.h
 *	  An HNSW graph in memory, built by any number of threads or processes.
 *
 * The graph lives in memory its caller gives: a control block and chunks,
 * which may be shared memory mapped at different addresses, for nothing in
 * them is a pointer.  Each process has a Graph, its view, and a GraphWorker,
 * its scratch memory.  Readers take no lock; README.md has the argument.
 *
 * A node has a code, by which all distances are computed through a table of
 * callbacks, and a row, the caller's name for it.  Rows whose vectors are
 * equal share a node.
 *
 * Life of a graph: graph_init, graph_add_chunk, then graph_insert by many
 * workers; then graph_prune by as many, each for other nodes; then, by one, in
 * this order, graph_connect, graph_order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_GRAPH_H
#define VECEXT_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRAPH_NONE			UINT32_MAX
#define GRAPH_MAX_LEVEL		15
#define GRAPH_MAX_M			100
#define GRAPH_MAX_EF		1000
#define GRAPH_MAX_CHUNKS	4096
#define GRAPH_SLACK			8	/* links a list takes beyond those it keeps */

/*
 * How codes compare: all the graph knows of them.  A value that has no
 * compact code (L1, Jaccard, sparse) is its own code, or a reference to it.
 */
typedef struct GraphMetric
{
	const void *context;
	size_t		code_size;		/* bytes, the same for every node */
	float		(*pair) (const void *context, const uint8_t *a, const uint8_t *b);
	bool		(*equal) (const void *context, const uint8_t *a, const uint8_t *b);

	/*
	 * Behind the code of a row that is inserted lies its peek, if there are
	 * any: far fewer bytes, from which distances are estimated.  Estimates are
	 * made with a factor, the stretch, that the graph learns from distances.
	 */
	size_t		peek_size;		/* 0: none */
	void		(*peek) (const void *context, const uint8_t *a, const uint8_t *const *b, int n,
						 float stretch, float *distance);
	float		(*stretch) (const void *context, const uint8_t *a, const uint8_t *b,
							float distance);
} GraphMetric;

/* whether the vectors of two rows are equal, asked when their codes are */
typedef bool (*GraphSameRow) (void *arg, uint64_t row_a, uint64_t row_b);

typedef struct GraphParams
{
	int			m;				/* links above level 0; 2..GRAPH_MAX_M */
	int			ef_construction;	/* candidates kept while inserting */
	uint64_t	seed;			/* of the levels */
	int			chunk_shift;	/* a chunk has 1 << chunk_shift nodes */
} GraphParams;

/* shared; all fields are private to graph.c */
typedef struct GraphControl
{
	uint64_t	entry;			/* level of the entry point << 32 | its id */
	uint32_t	nnodes;
	uint32_t	capacity;		/* nodes there is room for */
	uint32_t	nduplicates;
	uint32_t	entry_lock;
	float		stretch;		/* what a worker learnt last */
} GraphControl;

typedef struct Graph
{
	GraphParams params;
	GraphMetric metric;
	GraphSameRow same_row;		/* may be NULL: equal codes are equal vectors */
	void	   *same_row_arg;
	GraphControl *control;
	size_t		node_size;
	size_t		links_offset;	/* in a node, from here to */
	size_t		final_offset;
	size_t		peek_offset;	/* in a chunk */
	size_t		peek_stride;
	size_t		upper_size;
	size_t		upper_offset;	/* in a chunk */
	uint32_t	upper_slots;	/* per chunk */
	uint8_t    *chunk[GRAPH_MAX_CHUNKS];
} Graph;

typedef struct GraphNeighbor
{
	float		distance;
	uint32_t	id;
} GraphNeighbor;

/* a worker's scratch memory */
typedef struct GraphWorker
{
	Graph	   *graph;
	GraphNeighbor *pool;		/* candidates, nearest first */
	uint8_t    *state;			/* of each candidate; see find.c */
	GraphNeighbor *chosen;		/* links of the new node, per level */
	uint32_t   *visited;		/* ids, open addressing; GRAPH_NONE: free */
	uint32_t	visited_mask;
	uint32_t	visited_used;
	float		stretch;		/* learnt; see GraphMetric */
	uint64_t	ndistances;		/* statistics */
} GraphWorker;

typedef enum GraphOutcome
{
	GRAPH_INSERTED,
	GRAPH_DUPLICATE,			/* the row was added to an existing node */
	GRAPH_FULL					/* no room; nothing was changed */
} GraphOutcome;

/*--- memory -------------------------------------------------------------*/

extern size_t graph_chunk_size(const GraphParams *params, const GraphMetric *metric);
extern double graph_memory(const GraphParams *params, const GraphMetric *metric, double nrows);
extern void graph_control_init(GraphControl *control);
extern void graph_init(Graph *graph, const GraphParams *params, const GraphMetric *metric,
					   GraphControl *control);
extern void graph_attach(Graph *graph, const GraphParams *params, const GraphMetric *metric,
						 GraphControl *control);
extern bool graph_add_chunk(Graph *graph, void *memory);
extern void graph_map_chunk(Graph *graph, int i, void *memory);
extern size_t graph_worker_size(const GraphParams *params);
extern void graph_worker_init(GraphWorker *worker, Graph *graph, void *memory);

/*--- building: build.c ---------------------------------------------------*/

extern GraphOutcome graph_insert(GraphWorker *worker, const uint8_t *code, uint64_t row,
								 uint32_t *node);
extern int	graph_find(GraphWorker *worker, uint32_t node, int ef, GraphNeighbor *result);

/*--- finishing: finish.c -------------------------------------------------*/

extern size_t graph_prune_scratch(const Graph *graph, uint32_t nnodes);
extern int	graph_prune(GraphWorker *worker, uint32_t first, uint32_t last, int links,
						void *scratch, size_t scratch_size, void (*tick) (void));
extern size_t graph_connect_scratch(const Graph *graph);
extern uint32_t graph_connect(GraphWorker *worker, int links, void *scratch, void (*tick) (void));
extern size_t graph_order_scratch(const Graph *graph);
extern void graph_order(const Graph *graph, int links, int nodes_per_page, uint32_t *order,
						void *scratch, void (*tick) (void));

/*--- where searches start: entries.c -------------------------------------*/

/* shared by the workers that choose them */
typedef struct GraphEntries
{
	uint64_t	next;			/* trial */
	uint64_t	after_missed;	/* the trial after the last that missed its node */
	uint32_t	lock;			/* of the lines below */
	uint32_t	most;
	uint32_t	n;
	uint32_t	node[];
} GraphEntries;

extern size_t graph_entries_size(uint32_t most);
extern void graph_entries_begin(const Graph *graph, const uint32_t *order, uint32_t first,
								uint32_t most, GraphEntries *entries);
extern void graph_entries_try(GraphWorker *worker, int links, const uint32_t *order,
							  GraphEntries *entries, void (*tick) (void));

/*--- reading a graph nobody writes ---------------------------------------*/

extern uint32_t graph_nodes(const Graph *graph);
extern uint32_t graph_entry(const Graph *graph, int *level);
extern int	graph_level(const Graph *graph, uint32_t node);
extern uint64_t graph_row(const Graph *graph, uint32_t node);
extern uint32_t graph_first_duplicate(const Graph *graph, uint32_t node);
extern uint32_t graph_next_duplicate(const Graph *graph, uint32_t duplicate, uint64_t *row);
extern const uint8_t *graph_code(const Graph *graph, uint32_t node);
extern int	graph_links(const Graph *graph, uint32_t node, int level, uint32_t *ids);
extern int	graph_final_links(const Graph *graph, uint32_t node, int links, uint32_t *ids);

#endif							/* VECEXT_GRAPH_H */

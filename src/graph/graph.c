/*-------------------------------------------------------------------------
 *
 * graph.c
 *	  Memory of a graph, and reading one that nobody writes.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/graph_private.h"

#include <math.h>

#define LINE	64				/* bytes of a cache line */

static size_t
align_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* links a node keeps in the end, at most */
static size_t
final_room(const GraphParams *params)
{
	return (size_t) params->m * 2;
}

static size_t
list_size(int room)
{
	return sizeof(GraphList) + (size_t) room * sizeof(uint64_t);
}

/* offsets and sizes that follow from the parameters */
static void
lay_out(Graph *graph, const GraphParams *params, const GraphMetric *metric)
{
	size_t		nodes = (size_t) 1 << params->chunk_shift;

	memset(graph, 0, sizeof(*graph));
	graph->params = *params;
	graph->metric = *metric;
	graph->links_offset = align_up(metric->code_size, 8) + sizeof(GraphNodeHead);
	graph->final_offset = graph->links_offset + list_size(list_room(graph, 0));
	graph->node_size = align_up(graph->final_offset + final_room(params) * sizeof(uint32_t), LINE);
	graph->upper_size = list_size(list_room(graph, 1));

	/* a node has 1 / (m - 1) levels above 0 on average; a quarter to spare */
	graph->upper_slots = (uint32_t) (nodes / ((size_t) params->m - 1) * 5 / 4 + 64);
	graph->peek_offset = align_up(sizeof(GraphChunkHead) + nodes * graph->node_size +
								  nodes * sizeof(GraphDuplicate), LINE);
	graph->peek_stride = align_up(metric->peek_size, LINE);
	graph->upper_offset = graph->peek_offset + nodes * graph->peek_stride;
}

/*
 * graph_chunk_size
 *		Bytes of a chunk; it must be aligned for a cache line.
 */
size_t
graph_chunk_size(const GraphParams *params, const GraphMetric *metric)
{
	Graph		graph;

	lay_out(&graph, params, metric);
	return graph.upper_offset + graph.upper_slots * graph.upper_size;
}

/*
 * graph_memory
 *		Bytes a graph of so many rows needs, but for the workers' scratch.
 *
 * In double, so that no number of rows wraps.
 */
double
graph_memory(const GraphParams *params, const GraphMetric *metric, double nrows)
{
	double		nodes = ldexp(1, params->chunk_shift);

	return ceil(nrows / nodes) * (double) graph_chunk_size(params, metric);
}

/*
 * graph_control_init
 *		The control block of an empty graph.
 */
void
graph_control_init(GraphControl *control)
{
	memset(control, 0, sizeof(*control));
	control->entry = GRAPH_NONE;
	control->stretch = 1;
}

/*
 * graph_init
 *		Start an empty graph: fill the control block and this process's view.
 */
void
graph_init(Graph *graph, const GraphParams *params, const GraphMetric *metric,
		   GraphControl *control)
{
	graph_control_init(control);
	graph_attach(graph, params, metric, control);
}

/*
 * graph_attach
 *		A view, for another process, of a graph that exists.
 *
 * Map its chunks with graph_map_chunk() before inserting.
 */
void
graph_attach(Graph *graph, const GraphParams *params, const GraphMetric *metric,
			 GraphControl *control)
{
	lay_out(graph, params, metric);
	graph->control = control;
}

/*
 * graph_add_chunk
 *		Give the graph memory: graph_chunk_size() bytes, of any content.
 *
 * To be called by one process, before others insert.  Returns false if the
 * graph has all the chunks it can have.
 */
bool
graph_add_chunk(Graph *graph, void *memory)
{
	uint32_t	n = graph->control->capacity >> graph->params.chunk_shift;

	/* GRAPH_NONE, which no node may have, is beyond the last id */
	if (n >= GRAPH_MAX_CHUNKS || (uint64_t) (n + 1) << graph->params.chunk_shift > UINT32_MAX)
		return false;

	memset(memory, 0, sizeof(GraphChunkHead));
	graph->chunk[n] = memory;
	graph->control->capacity = (n + 1) << graph->params.chunk_shift;
	return true;
}

/*
 * graph_map_chunk
 *		Tell a view where its process sees the i-th chunk.
 */
void
graph_map_chunk(Graph *graph, int i, void *memory)
{
	graph->chunk[i] = memory;
}

/* slots of the visited set: twice what a search can meet, a power of two */
static size_t
visited_slots(const GraphParams *params)
{
	size_t		most = (size_t) params->ef_construction * (size_t) params->m * 4;
	size_t		slots = 2048;

	while (slots < most)
		slots *= 2;
	return slots;
}

static size_t
pool_size(const GraphParams *params)
{
	return (size_t) params->ef_construction + 1;
}

/*
 * graph_worker_size
 *		Bytes of scratch memory for one worker, aligned for a cache line.
 */
size_t
graph_worker_size(const GraphParams *params)
{
	return align_up(pool_size(params) * sizeof(GraphNeighbor), LINE) +
		align_up(pool_size(params), LINE) +
		align_up((GRAPH_MAX_LEVEL + 1) * 2 * (size_t) params->m * sizeof(GraphNeighbor), LINE) +
		visited_slots(params) * sizeof(uint32_t);
}

/*
 * graph_worker_init
 *		Lay out a worker's scratch memory.
 */
void
graph_worker_init(GraphWorker *worker, Graph *graph, void *memory)
{
	const GraphParams *params = &graph->params;
	char	   *next = memory;

	memset(worker, 0, sizeof(*worker));
	worker->graph = graph;
	__atomic_load(&graph->control->stretch, &worker->stretch, __ATOMIC_RELAXED);
	worker->pool = (GraphNeighbor *) (void *) next;
	next += align_up(pool_size(params) * sizeof(GraphNeighbor), LINE);
	worker->state = (uint8_t *) next;
	next += align_up(pool_size(params), LINE);
	worker->chosen = (GraphNeighbor *) (void *) next;
	next += align_up((GRAPH_MAX_LEVEL + 1) * 2 * (size_t) params->m * sizeof(GraphNeighbor), LINE);
	worker->visited = (uint32_t *) (void *) next;
	worker->visited_mask = (uint32_t) visited_slots(params) - 1;
}

/*
 * graph_nodes
 *		Number of nodes; their ids are 0 to one less.
 */
uint32_t
graph_nodes(const Graph *graph)
{
	return __atomic_load_n(&graph->control->nnodes, __ATOMIC_ACQUIRE);
}

/*
 * graph_entry
 *		The entry point, or GRAPH_NONE, and its level.
 */
uint32_t
graph_entry(const Graph *graph, int *level)
{
	uint64_t	entry = __atomic_load_n(&graph->control->entry, __ATOMIC_ACQUIRE);

	*level = (int) (entry >> 32);
	return (uint32_t) entry;
}

/*
 * graph_level
 *		Highest level of a node.
 */
int
graph_level(const Graph *graph, uint32_t node)
{
	return (int) node_head(graph, node)->level;
}

/*
 * graph_row
 *		The row a node was inserted for.
 */
uint64_t
graph_row(const Graph *graph, uint32_t node)
{
	return node_head(graph, node)->row;
}

/*
 * graph_first_duplicate
 *		First of the further rows of a node, or GRAPH_NONE.
 */
uint32_t
graph_first_duplicate(const Graph *graph, uint32_t node)
{
	return node_head(graph, node)->duplicate;
}

/*
 * graph_next_duplicate
 *		A further row, and the one after it or GRAPH_NONE.
 */
uint32_t
graph_next_duplicate(const Graph *graph, uint32_t duplicate, uint64_t *row)
{
	const GraphDuplicate *d = duplicate_at(graph, duplicate);

	*row = d->row;
	return d->next;
}

/*
 * graph_code
 *		The code of a node.
 */
const uint8_t *
graph_code(const Graph *graph, uint32_t node)
{
	return node_code(graph, node);
}

/*
 * graph_links
 *		The links of a node on a level it has; ids has room for
 *		2 * m + GRAPH_SLACK.  Returns how many.
 */
int
graph_links(const Graph *graph, uint32_t node, int level, uint32_t *ids)
{
	const GraphList *list = node_list(graph, node, level);

	for (uint32_t i = 0; i < list->count; i++)
		ids[i] = (uint32_t) list->link[i];
	return (int) list->count;
}

/*
 * graph_final_links
 *		The level-0 links graph_prune(links) and graph_connect() left.
 */
int
graph_final_links(const Graph *graph, uint32_t node, int links, uint32_t *ids)
{
	const uint32_t *final = node_final(graph, node);
	int			n = 0;

	for (int i = 0; i < links; i++)
	{
		if (final[i] != GRAPH_NONE)
			ids[n++] = final[i];
	}
	return n;
}

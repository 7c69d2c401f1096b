/*-------------------------------------------------------------------------
 *
 * graph_private.h
 *	  How a graph lies in memory; private to this folder.
 *
 * A chunk holds 1 << chunk_shift nodes, then as many places for duplicate
 * rows, then the nodes' peeks, then lists for levels above 0.  A node is
 *
 *		code	GraphNodeHead	list of level 0		final links
 *
 * with the code first, for it is what a search reads.  A list is a count and
 * an array of links, distance << 32 | id in one word, so that a reader sees
 * both or neither.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_GRAPH_PRIVATE_H
#define VECEXT_GRAPH_PRIVATE_H

#include <string.h>

#include "graph/graph.h"

#define MAX_LIST	(2 * GRAPH_MAX_M + GRAPH_SLACK)

typedef struct GraphNodeHead
{
	uint64_t	row;
	uint32_t	duplicate;		/* first of the rows that share the node */
	uint32_t	upper;			/* list of level 1 in the chunk; others follow */
	uint32_t	lock;			/* writers of any list of the node */
	uint32_t	level;
} GraphNodeHead;

typedef struct GraphDuplicate
{
	uint64_t	row;
	uint32_t	next;
	uint32_t	unused;
} GraphDuplicate;

typedef struct GraphChunkHead
{
	uint32_t	upper_used;
	uint32_t	unused[15];
} GraphChunkHead;

typedef struct GraphList
{
	uint32_t	count;
	uint32_t	unused;
	uint64_t	link[];
} GraphList;

static inline int
list_keep(const Graph *graph, int level)
{
	return level == 0 ? 2 * graph->params.m : graph->params.m;
}

static inline int
list_room(const Graph *graph, int level)
{
	return list_keep(graph, level) + GRAPH_SLACK;
}

static inline uint8_t *
node_chunk(const Graph *graph, uint32_t id)
{
	return graph->chunk[id >> graph->params.chunk_shift];
}

static inline uint8_t *
node_code(const Graph *graph, uint32_t id)
{
	uint32_t	place = id & ((UINT32_C(1) << graph->params.chunk_shift) - 1);

	return node_chunk(graph, id) + sizeof(GraphChunkHead) + (size_t) place * graph->node_size;
}

static inline uint8_t *
node_peek(const Graph *graph, uint32_t id)
{
	uint32_t	place = id & ((UINT32_C(1) << graph->params.chunk_shift) - 1);

	return node_chunk(graph, id) + graph->peek_offset + (size_t) place * graph->peek_stride;
}

static inline GraphNodeHead *
node_head(const Graph *graph, uint32_t id)
{
	return (GraphNodeHead *) (void *) (node_code(graph, id) + graph->links_offset -
									   sizeof(GraphNodeHead));
}

static inline GraphList *
node_list(const Graph *graph, uint32_t id, int level)
{
	size_t		slot;

	if (level == 0)
		return (GraphList *) (void *) (node_code(graph, id) + graph->links_offset);

	slot = (size_t) node_head(graph, id)->upper + (size_t) level - 1;
	return (GraphList *) (void *) (node_chunk(graph, id) + graph->upper_offset +
								   slot * graph->upper_size);
}

static inline uint32_t *
node_final(const Graph *graph, uint32_t id)
{
	return (uint32_t *) (void *) (node_code(graph, id) + graph->final_offset);
}

static inline GraphDuplicate *
duplicate_at(const Graph *graph, uint32_t id)
{
	uint32_t	nodes = UINT32_C(1) << graph->params.chunk_shift;

	return (GraphDuplicate *) (void *) (node_chunk(graph, id) + sizeof(GraphChunkHead) +
										(size_t) nodes * graph->node_size) + (id & (nodes - 1));
}

static inline uint64_t
make_link(uint32_t id, float distance)
{
	uint32_t	bits;

	memcpy(&bits, &distance, sizeof(bits));
	return (uint64_t) bits << 32 | id;
}

static inline GraphNeighbor
link_neighbor(uint64_t link)
{
	GraphNeighbor result;
	uint32_t	bits = (uint32_t) (link >> 32);

	memcpy(&result.distance, &bits, sizeof(bits));
	result.id = (uint32_t) link;
	return result;
}

/* a lock held for a few instructions */
static inline void
graph_spin_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
	{
		while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0)
		{
#if defined(__x86_64__) || defined(__i386__)
			__builtin_ia32_pause();
#elif defined(__aarch64__)
			__asm__ __volatile__("isb");
#endif
		}
	}
}

static inline void
graph_spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* links of a list, some perhaps old, all valid; see README.md */
static inline int
read_list(GraphList *list, uint64_t *links)
{
	int			n = (int) __atomic_load_n(&list->count, __ATOMIC_ACQUIRE);

	for (int i = 0; i < n; i++)
		links[i] = __atomic_load_n(&list->link[i], __ATOMIC_ACQUIRE);
	return n;
}

/* what distances are taken from: a new value, or a node's */
typedef struct GraphTarget
{
	const uint8_t *code;
	const uint8_t *peek;
} GraphTarget;

static inline GraphTarget
node_target(const Graph *graph, uint32_t id)
{
	GraphTarget target = {node_code(graph, id), node_peek(graph, id)};

	return target;
}

static inline float
node_distance(GraphWorker *worker, const uint8_t *code, uint32_t id)
{
	const GraphMetric *metric = &worker->graph->metric;

	worker->ndistances++;
	return metric->pair(metric->context, code, node_code(worker->graph, id));
}

/* the distance of a node as far as peeks tell; there must be some */
static inline float
node_estimate(GraphWorker *worker, const uint8_t *peek, uint32_t id)
{
	const GraphMetric *metric = &worker->graph->metric;
	const uint8_t *other = node_peek(worker->graph, id);
	float		distance;

	metric->peek(metric->context, peek, &other, 1, worker->stretch, &distance);
	return distance;
}

extern void graph_sort(GraphNeighbor *a, int n);
extern int	graph_select(GraphWorker *worker, const GraphNeighbor *candidates, int n, int keep,
						 GraphNeighbor *kept);
extern void graph_visit_start(GraphWorker *worker);
extern bool graph_visit(GraphWorker *worker, uint32_t id);
extern int	graph_pool_insert(GraphWorker *worker, int n, int ef, GraphNeighbor candidate,
							  int *place);
extern int	graph_search_level(GraphWorker *worker, const GraphTarget *target,
							   GraphNeighbor start, int level, int ef);
extern int	graph_nearest(GraphWorker *worker, const GraphTarget *target, const uint32_t *nodes,
						  uint32_t nnodes, int most);
extern int	graph_search_final(GraphWorker *worker, const GraphTarget *target, int n, int links,
							   int ef);
extern GraphNeighbor graph_descend(GraphWorker *worker, const GraphTarget *target,
								   uint32_t start, int from, int to);

#endif							/* VECEXT_GRAPH_PRIVATE_H */

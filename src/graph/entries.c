/*-------------------------------------------------------------------------
 *
 * entries.c
 *	  Choosing the nodes that searches start from.
 *
 * The nodes of the highest levels do for most data.  Where values lie in more
 * clusters than there are such nodes, no link may lead from one cluster into
 * the next, and a search ends in the wrong one.  So searches for some nodes
 * are tried, and each node that is not found becomes a start itself.
 *
 * When all final links are chosen; trials by any number of workers.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/graph_private.h"

/* candidates; few, since searches over slots have less exact distances */
#define NARROW_EF		4
#define WIDE_EF			32

/* times the distance of the second nearest, squared for Euclidean distances */
#define ENTRY_FAR		3

#define TRIALS			64		/* taken at once by a worker */

/* nodes found one after the other, after which no more are tried */
#define ENTRY_QUIET		1024

/* of a level, "taken" nodes at equal distances in the order of places */
static uint32_t
add_level(const Graph *graph, const uint32_t *order, int level, uint32_t room, uint32_t *entries)
{
	uint32_t	nnodes = graph_nodes(graph);
	uint64_t	there = 0;
	uint64_t	seen = 0;
	uint64_t	taken;
	uint32_t	n = 0;

	for (uint32_t i = 0; i < nnodes; i++)
		there += graph_level(graph, i) == level;
	taken = there < room ? there : room;
	for (uint32_t i = 0; i < nnodes && taken > 0; i++)
	{
		if (graph_level(graph, order[i]) != level)
			continue;
		seen++;
		if (seen * taken / there != (seen - 1) * taken / there)
			entries[n++] = order[i];
	}
	return n;
}

/*
 * Whether a node at this distance is of other parts of the data than "node":
 * several times as far as its second nearest neighbor.  The nearest may be all
 * but equal; among the farther ones are those of other clusters.  Distances are
 * taken from that to itself, for inner products.
 */
static bool
is_far(GraphWorker *worker, uint32_t node, int links, float distance)
{
	const uint8_t *code = node_code(worker->graph, node);
	const uint32_t *final = node_final(worker->graph, node);
	float		self = node_distance(worker, code, node);
	float		first = __builtin_inff();
	float		second = __builtin_inff();

	for (int i = 0; i < links; i++)
	{
		float		d;

		if (final[i] == GRAPH_NONE)
			continue;
		d = node_distance(worker, code, final[i]);
		if (d < first)
		{
			second = first;
			first = d;
		}
		else if (d < second)
			second = d;
	}
	return distance > second && distance - self > ENTRY_FAR * (second - self);
}

/* whether a search with ef candidates meets a node, or one that it links to */
static bool
is_met(GraphWorker *worker, uint32_t node, int links, const uint32_t *entries, uint32_t nentries,
	   int ef)
{
	const Graph *graph = worker->graph;
	GraphTarget target = node_target(graph, node);
	const uint32_t *final = node_final(graph, node);
	int			n;

	if (ef > graph->params.ef_construction)
		ef = graph->params.ef_construction;
	n = graph_nearest(worker, &target, entries, nentries, ef < NARROW_EF ? ef : NARROW_EF);
	n = graph_search_final(worker, &target, n, links, ef);
	for (int i = 0; i < n; i++)
	{
		uint32_t	id = worker->pool[i].id;

		if (id == node)
			return true;
		for (int j = 0; j < links; j++)
		{
			if (final[j] == id)
				return true;
		}
	}
	return false;
}

/*
 * Whether searches from the entries will find a node.  Missed are those that a
 * narrow search ends far from, and those in a part of a cluster that no link
 * leads into: not far from the rest, but a wider search does not meet them.
 */
static bool
is_found(GraphWorker *worker, uint32_t node, int links, const uint32_t *entries, uint32_t nentries)
{
	if (is_met(worker, node, links, entries, nentries, NARROW_EF))
		return true;
	if (is_far(worker, node, links, worker->pool[0].distance))
		return false;
	return is_met(worker, node, links, entries, nentries, WIDE_EF);
}

/*
 * graph_entries_size
 *		Bytes of a GraphEntries for so many nodes.
 */
size_t
graph_entries_size(uint32_t most)
{
	return sizeof(GraphEntries) + (size_t) most * sizeof(uint32_t);
}

/*
 * graph_entries_begin
 *		Choose the first nodes to start from: "first" of the highest levels, or
 *		all nodes if there are fewer.
 *
 * order[] has the nodes by their places on pages; entries has
 * graph_entries_size(most) bytes.
 */
void
graph_entries_begin(const Graph *graph, const uint32_t *order, uint32_t first, uint32_t most,
					GraphEntries *entries)
{
	uint32_t	n = 0;

	memset(entries, 0, sizeof(*entries));
	entries->most = most;
	for (int level = GRAPH_MAX_LEVEL; level >= 0 && n < first; level--)
		n += add_level(graph, order, level, first - n, entries->node + n);
	entries->n = n;
}

/* a node that trial i has missed; others may miss theirs at the same time */
static void
add_entry(GraphEntries *entries, uint32_t node, uint64_t i)
{
	graph_spin_lock(&entries->lock);
	if (entries->n < entries->most)
	{
		entries->node[entries->n] = node;
		__atomic_store_n(&entries->n, entries->n + 1, __ATOMIC_RELEASE);
	}
	if (entries->after_missed <= i)
		__atomic_store_n(&entries->after_missed, i + 1, __ATOMIC_RELAXED);
	graph_spin_unlock(&entries->lock);
}

/*
 * graph_entries_try
 *		Add nodes that are missed, until so many in a row were found or there is
 *		no more room: some 15 us each.
 *
 * By any number of workers at once, of which each sees what others add.  By one
 * alone the result depends on the graph only.  tick as of graph_prune().
 */
void
graph_entries_try(GraphWorker *worker, int links, const uint32_t *order, GraphEntries *entries,
				  void (*tick) (void))
{
	uint64_t	nnodes = graph_nodes(worker->graph);

	/* steps of the golden ratio: no two nodes tried are near in order */
	uint64_t	stride = (uint32_t) ((double) nnodes * 0.6180339887) | 1;
	uint64_t	first;

	while ((first = __atomic_fetch_add(&entries->next, TRIALS, __ATOMIC_RELAXED)) < nnodes)
	{
		tick();
		for (uint64_t i = first; i < first + TRIALS && i < nnodes; i++)
		{
			uint32_t	n = __atomic_load_n(&entries->n, __ATOMIC_ACQUIRE);
			uint64_t	after = __atomic_load_n(&entries->after_missed, __ATOMIC_RELAXED);
			uint32_t	node = order[(i + 1) * stride % nnodes];

			if (n == 0 || n >= entries->most || i >= after + ENTRY_QUIET)
				return;
			if (!is_found(worker, node, links, entries->node, n))
				add_entry(entries, node, i);
		}
	}
}

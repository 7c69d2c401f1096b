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
 * When all final links are chosen; by one worker.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/graph_private.h"

/* candidates; few, since searches over slots have less exact distances */
#define NARROW_EF		4
#define WIDE_EF			32

/* times the distance of the second nearest, squared for Euclidean distances */
#define ENTRY_FAR		3

#define TICK_SEARCHES	64

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

/* search level 0 by final links for a code, from n nodes in the worker's pool */
static int
search_final(GraphWorker *worker, const uint8_t *code, int n, int links, int ef)
{
	const Graph *graph = worker->graph;
	int			current = 0;

	graph_visit_start(worker);
	for (int i = 0; i < n; i++)
	{
		graph_visit(worker, worker->pool[i].id);
		worker->state[i] = 0;
	}
	while (current < n)
	{
		const uint32_t *final = node_final(graph, worker->pool[current].id);
		int			lowest = current + 1;

		if (worker->state[current])
		{
			current++;
			continue;
		}
		worker->state[current] = 1;
		for (int i = 0; i < links; i++)
		{
			GraphNeighbor candidate;
			int			place;

			if (final[i] == GRAPH_NONE || !graph_visit(worker, final[i]))
				continue;
			candidate.id = final[i];
			candidate.distance = node_distance(worker, code, final[i]);
			n = graph_pool_insert(worker, n, ef, candidate, &place);
			lowest = place < lowest ? place : lowest;
		}
		current = lowest <= current ? lowest : current + 1;
	}
	return n;
}

/* the nearest few of some nodes into the worker's pool; returns how many */
static int
nearest_starts(GraphWorker *worker, const uint8_t *code, const uint32_t *nodes, uint32_t nnodes,
			   int most)
{
	int			n = 0;
	int			place;

	for (uint32_t i = 0; i < nnodes; i++)
	{
		GraphNeighbor candidate;

		if (nodes[i] == GRAPH_NONE)
			continue;
		candidate.id = nodes[i];
		candidate.distance = node_distance(worker, code, nodes[i]);
		n = graph_pool_insert(worker, n, most, candidate, &place);
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
	const uint8_t *code = node_code(graph, node);
	const uint32_t *final = node_final(graph, node);
	int			n;

	if (ef > graph->params.ef_construction)
		ef = graph->params.ef_construction;
	n = nearest_starts(worker, code, entries, nentries, ef < NARROW_EF ? ef : NARROW_EF);
	n = search_final(worker, code, n, links, ef);
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
 * graph_entries
 *		Choose nodes to start from: "first" of the highest levels, or all nodes
 *		if there are fewer, and then up to "most" where they are missed.
 *
 * order[] has the nodes by their places on pages.  Returns how many there are
 * in entries[], which has room for "most".  Nodes are tried until a thousand in
 * a row were found, about 50 us each.  tick as of graph_prune().
 */
uint32_t
graph_entries(GraphWorker *worker, int links, const uint32_t *order, uint32_t first,
			  uint32_t most, uint32_t *entries, void (*tick) (void))
{
	const Graph *graph = worker->graph;
	uint32_t	nnodes = graph_nodes(graph);
	uint32_t	stride = (uint32_t) (nnodes * 0.6180339887) | 1;
	uint32_t	n = 0;
	uint32_t	quiet = 0;
	uint32_t	at = 0;

	for (int level = GRAPH_MAX_LEVEL; level >= 0 && n < first; level--)
		n += add_level(graph, order, level, first - n, entries + n);

	/* steps of the golden ratio: no two nodes tried are near in order */
	for (uint32_t i = 0; i < nnodes && quiet < ENTRY_QUIET && n > 0 && n < most; i++)
	{
		if (i % TICK_SEARCHES == 0)
			tick();
		at = (uint32_t) (((uint64_t) at + stride) % nnodes);
		if (is_found(worker, order[at], links, entries, n))
			quiet++;
		else
		{
			entries[n++] = order[at];
			quiet = 0;
		}
	}
	return n;
}

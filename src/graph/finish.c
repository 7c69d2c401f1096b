/*-------------------------------------------------------------------------
 *
 * finish.c
 *	  From the graph as built to the graph as stored: fewer links per node,
 *	  every node reachable, nodes in an order that keeps neighbours together.
 *
 * After the last insert.  graph_prune() may be run by many, the others by one;
 * none of them takes a lock.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/graph_private.h"

#define MAX_REVERSE		(4 * GRAPH_MAX_M)
#define TICK_NODES		256
#define MAX_FRONTIER	256
#define CONNECT_EF		32

/*--- fewer links ---------------------------------------------------------*/

/* reverse links of nodes first .. last - 1, at most "most" of each */
typedef struct Reverse
{
	uint32_t	first;
	uint32_t	last;
	uint32_t	most;
	uint32_t   *count;			/* of each node */
	uint32_t   *id;				/* "most" places for each */
} Reverse;

/* reverse links considered per node */
static uint32_t
reverse_most(const Graph *graph)
{
	return 4 * (uint32_t) graph->params.m;
}

/*
 * graph_prune_scratch
 *		Bytes with which graph_prune() needs one pass over the graph for so many
 *		nodes.
 */
size_t
graph_prune_scratch(const Graph *graph, uint32_t nnodes)
{
	return (size_t) nnodes * (1 + (size_t) reverse_most(graph)) * sizeof(uint32_t);
}

/* gather reverse links of the nodes from "first" on there is room for */
static void
reverse_gather(const Graph *graph, Reverse *reverse, uint32_t first, uint32_t last,
			   void *scratch, size_t size)
{
	uint32_t	nnodes = graph_nodes(graph);
	size_t		room = size / graph_prune_scratch(graph, 1);

	reverse->first = first;
	reverse->last = room < last - first ? first + (uint32_t) room : last;
	reverse->most = reverse_most(graph);
	reverse->count = scratch;
	reverse->id = reverse->count + (reverse->last - first);
	memset(reverse->count, 0, (reverse->last - first) * sizeof(uint32_t));

	for (uint32_t id = 0; id < nnodes; id++)
	{
		const GraphList *list = node_list(graph, id, 0);

		for (uint32_t i = 0; i < list->count; i++)
		{
			uint32_t	to = (uint32_t) list->link[i] - first;

			/* those before "first" have wrapped around */
			if (to < reverse->last - first && reverse->count[to] < reverse->most)
				reverse->id[(size_t) to * reverse->most + reverse->count[to]++] = id;
		}
	}
}

/* choose a node's final links among its own and the reverse ones */
static void
prune_node(GraphWorker *worker, const Reverse *reverse, uint32_t id, int links)
{
	const Graph *graph = worker->graph;
	const GraphList *list = node_list(graph, id, 0);
	GraphNeighbor candidates[MAX_LIST + MAX_REVERSE];
	GraphNeighbor kept[2 * GRAPH_MAX_M];
	uint32_t   *final = node_final(graph, id);
	uint32_t	i = id - reverse->first;
	int			own = (int) list->count;
	int			n = own;

	for (int j = 0; j < own; j++)
		candidates[j] = link_neighbor(list->link[j]);
	for (uint32_t r = 0; r < reverse->count[i]; r++)
	{
		uint32_t	from = reverse->id[(size_t) i * reverse->most + r];
		bool		known = from == id;

		for (int j = 0; j < own && !known; j++)
			known = candidates[j].id == from;
		if (known)
			continue;
		candidates[n].id = from;
		candidates[n++].distance = graph->metric.peek_size > 0 ?
			node_estimate(worker, node_peek(graph, id), from) :
			node_distance(worker, node_code(graph, id), from);
	}
	graph_sort(candidates, n);
	n = graph_select(worker, candidates, n, links, kept);
	for (int j = 0; j < links; j++)
		final[j] = j < n ? kept[j].id : GRAPH_NONE;
}

/*
 * graph_prune
 *		Choose the final level-0 links, at most "links" <= 2 * m, of nodes
 *		first .. last - 1, among their own and those that lead to them.
 *
 * Half as many again as m search as well as the 2 * m they are chosen from.
 * Workers may do this at once for different nodes.  Returns the number of
 * passes over the graph, 0 if the scratch memory does not do for one node.
 * tick is called every few milliseconds and may leave by longjmp.
 */
int
graph_prune(GraphWorker *worker, uint32_t first, uint32_t last, int links, void *scratch,
			size_t scratch_size, void (*tick) (void))
{
	const Graph *graph = worker->graph;
	Reverse		reverse;
	int			passes = 0;

	if (scratch_size < graph_prune_scratch(graph, 1))
		return 0;
	while (first < last || passes == 0)
	{
		reverse_gather(graph, &reverse, first, last, scratch, scratch_size);
		for (uint32_t id = first; id < reverse.last; id++)
		{
			prune_node(worker, &reverse, id, links);
			if (id % TICK_NODES == 0)
				tick();
		}
		first = reverse.last;
		passes++;
	}
	return passes;
}

/*--- reachability --------------------------------------------------------*/

typedef struct Reach
{
	const Graph *graph;
	int			links;
	uint8_t    *reached;		/* a bit per node */
	uint32_t   *queue;
} Reach;

static inline bool
is_reached(const Reach *reach, uint32_t id)
{
	return reach->reached[id / 8] >> (id % 8) & 1;
}

/* follow final links from a node to all that were not reached before */
static void
reach_from(Reach *reach, uint32_t start)
{
	uint32_t	head = 0;
	uint32_t	tail = 0;

	reach->reached[start / 8] |= (uint8_t) (1 << start % 8);
	reach->queue[tail++] = start;
	while (head < tail)
	{
		const uint32_t *final = node_final(reach->graph, reach->queue[head++]);

		for (int i = 0; i < reach->links; i++)
		{
			uint32_t	id = final[i];

			if (id == GRAPH_NONE || is_reached(reach, id))
				continue;
			reach->reached[id / 8] |= (uint8_t) (1 << id % 8);
			reach->queue[tail++] = id;
		}
	}
}

static int
free_link(const uint32_t *final, int links)
{
	for (int i = 0; i < links; i++)
	{
		if (final[i] == GRAPH_NONE)
			return i;
	}
	return -1;
}

/*
 * Link an unreached node from a reached one, "from".  If that has no room
 * its last link moves to the new node, so that nothing else is cut off.
 */
static void
attach(const Reach *reach, uint32_t from, uint32_t orphan)
{
	uint32_t   *final = node_final(reach->graph, from);
	uint32_t   *orphan_final = node_final(reach->graph, orphan);
	int			place = free_link(final, reach->links);
	int			orphan_place;

	if (place < 0)
	{
		place = reach->links - 1;
		orphan_place = free_link(orphan_final, reach->links);
		for (int i = 0; i < reach->links; i++)
		{
			if (orphan_final[i] == final[place])
				orphan_place = i;
		}
		orphan_final[orphan_place >= 0 ? orphan_place : reach->links - 1] = final[place];
	}
	final[place] = orphan;
}

/* the reached node to attach an orphan to: near, with a free link if possible */
static uint32_t
attach_point(GraphWorker *worker, const Reach *reach, uint32_t orphan, uint32_t entry)
{
	GraphNeighbor found[CONNECT_EF];
	int			ef = worker->graph->params.ef_construction;
	int			n;
	uint32_t	nearest = GRAPH_NONE;

	n = graph_find(worker, orphan, ef < CONNECT_EF ? ef : CONNECT_EF, found);
	for (int i = 0; i < n; i++)
	{
		if (!is_reached(reach, found[i].id))
			continue;
		if (free_link(node_final(worker->graph, found[i].id), reach->links) >= 0)
			return found[i].id;
		if (nearest == GRAPH_NONE)
			nearest = found[i].id;
	}
	return nearest != GRAPH_NONE ? nearest : entry;
}

/*
 * graph_connect_scratch
 *		Bytes of scratch memory for graph_connect().
 */
size_t
graph_connect_scratch(const Graph *graph)
{
	size_t		nnodes = graph_nodes(graph);

	return nnodes * sizeof(uint32_t) + nnodes / 8 + 1;
}

/*
 * graph_connect
 *		Make every node reachable from the entry point by final links; returns
 *		how many nodes had to be attached.
 *
 * To be called after graph_prune() with the same number of links.
 */
uint32_t
graph_connect(GraphWorker *worker, int links, void *scratch, void (*tick) (void))
{
	Graph	   *graph = worker->graph;
	uint32_t	nnodes = graph_nodes(graph);
	Reach		reach = {graph, links, NULL, scratch};
	uint32_t	attached = 0;
	uint32_t	entry;
	int			level;

	entry = graph_entry(graph, &level);
	if (entry == GRAPH_NONE)
		return 0;
	reach.reached = (uint8_t *) (reach.queue + nnodes);
	memset(reach.reached, 0, (size_t) nnodes / 8 + 1);
	reach_from(&reach, entry);

	for (uint32_t id = 0; id < nnodes; id++)
	{
		if (id % TICK_NODES == 0)
			tick();
		if (is_reached(&reach, id))
			continue;
		attach(&reach, attach_point(worker, &reach, id, entry), id);
		reach_from(&reach, id);
		attached++;
	}
	return attached;
}

/*--- order ---------------------------------------------------------------*/

/* nodes not yet placed that a page's nodes link to, and how often */
typedef struct Frontier
{
	int			n;
	uint32_t	id[MAX_FRONTIER];
	uint16_t	count[MAX_FRONTIER];
} Frontier;

static void
frontier_add(Frontier *frontier, uint32_t id)
{
	for (int i = 0; i < frontier->n; i++)
	{
		if (frontier->id[i] == id)
		{
			frontier->count[i]++;
			return;
		}
	}
	if (frontier->n < MAX_FRONTIER)
	{
		frontier->id[frontier->n] = id;
		frontier->count[frontier->n++] = 1;
	}
}

/* take the node with most links from the page, the first of equals */
static uint32_t
frontier_take(Frontier *frontier)
{
	int			best = 0;
	uint32_t	id;

	for (int i = 1; i < frontier->n; i++)
	{
		if (frontier->count[i] > frontier->count[best])
			best = i;
	}
	id = frontier->id[best];
	frontier->n--;
	memmove(frontier->id + best, frontier->id + best + 1,
			(size_t) (frontier->n - best) * sizeof(*frontier->id));
	memmove(frontier->count + best, frontier->count + best + 1,
			(size_t) (frontier->n - best) * sizeof(*frontier->count));
	return id;
}

/*
 * graph_order_scratch
 *		Bytes of scratch memory for graph_order().
 */
size_t
graph_order_scratch(const Graph *graph)
{
	return graph_nodes(graph);
}

/*
 * graph_order
 *		An order of the nodes that keeps neighbours on one page; order[i]
 *		becomes the node to store at place i.
 *
 * Each page starts with a node that an earlier one links to and takes, one by
 * one, the node most of its own lead to.
 */
void
graph_order(const Graph *graph, int links, int nodes_per_page, uint32_t *order, void *scratch,
			void (*tick) (void))
{
	uint32_t	nnodes = graph_nodes(graph);
	uint8_t    *placed = scratch;
	uint32_t	placed_count = 0;
	uint32_t	from = 0;		/* in order: all before have no unplaced links */
	uint32_t	next = 0;		/* all nodes before are placed */

	memset(placed, 0, nnodes);
	while (placed_count < nnodes)
	{
		Frontier	frontier;
		uint32_t	seed = GRAPH_NONE;

		frontier.n = 0;
		while (seed == GRAPH_NONE && from < placed_count)
		{
			const uint32_t *final = node_final(graph, order[from]);

			for (int i = 0; i < links && seed == GRAPH_NONE; i++)
			{
				if (final[i] != GRAPH_NONE && !placed[final[i]])
					seed = final[i];
			}
			from += seed == GRAPH_NONE;
		}
		while (seed == GRAPH_NONE)
		{
			if (!placed[next])
				seed = next;
			next++;
		}

		frontier_add(&frontier, seed);
		for (int i = 0; i < nodes_per_page && frontier.n > 0; i++)
		{
			uint32_t	id = frontier_take(&frontier);
			const uint32_t *final = node_final(graph, id);

			placed[id] = 1;
			order[placed_count++] = id;
			for (int j = 0; j < links; j++)
			{
				if (final[j] != GRAPH_NONE && !placed[final[j]])
					frontier_add(&frontier, final[j]);
			}
		}
		tick();
	}
}

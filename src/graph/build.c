/*-------------------------------------------------------------------------
 *
 * build.c
 *	  Insertion into the graph in memory.
 *
 * HNSW (Malkov and Yashunin, 2016): descend greedily to the node's level,
 * search each level from there down, link to the candidates a heuristic
 * selects, and add the links back.  A list has room for more links than it
 * keeps and is pruned only when that is used up, which spares two distances
 * in three.
 *
 * README.md: why readers need no lock, and what a writer does under its own;
 * find.c has the searches.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/graph_private.h"

#include <math.h>

#define MAX_CANDIDATES	GRAPH_MAX_EF	/* of a selection */

/*--- selection -----------------------------------------------------------*/

/*
 * graph_sort
 *		Sort by distance, then id; short arrays, nearly sorted as a rule.
 */
void
graph_sort(GraphNeighbor *a, int n)
{
	for (int i = 1; i < n; i++)
	{
		GraphNeighbor x = a[i];
		int			j = i;

		while (j > 0 && (a[j - 1].distance > x.distance ||
						 (a[j - 1].distance == x.distance && a[j - 1].id > x.id)))
		{
			a[j] = a[j - 1];
			j--;
		}
		a[j] = x;
	}
}

/* equal codes have equal peeks, and those are in the cache */
static bool
nodes_are_equal(const Graph *graph, uint32_t a, uint32_t b)
{
	const GraphMetric *metric = &graph->metric;

	return memcmp(node_peek(graph, a), node_peek(graph, b), metric->peek_size) == 0 &&
		metric->equal(metric->context, node_code(graph, a), node_code(graph, b));
}

/*
 * graph_select() where there are peeks, which tell what is nearer: the same,
 * but that a candidate that is kept is compared at once with all that follow
 * and were not passed over yet, for estimates are cheap by the dozen.
 */
static int
select_by_peeks(GraphWorker *worker, const GraphNeighbor *candidates, int n, int keep,
				GraphNeighbor *kept)
{
	const Graph *graph = worker->graph;
	const GraphMetric *metric = &graph->metric;
	const uint8_t *peek[MAX_CANDIDATES];
	float		estimate[MAX_CANDIDATES];
	int			left[MAX_CANDIDATES];	/* neither kept nor passed over */
	bool		passed[MAX_CANDIDATES];
	int			nkept = 0;
	int			nleft = n;

	for (int i = 0; i < n; i++)
	{
		__builtin_prefetch(node_peek(graph, candidates[i].id));
		left[i] = i;
		passed[i] = false;
	}
	while (nleft > 0 && nkept < keep)
	{
		GraphNeighbor chosen = candidates[left[0]];
		int			still = 0;

		kept[nkept++] = chosen;
		for (int i = 1; i < nleft; i++)
			peek[i] = node_peek(graph, candidates[left[i]].id);
		metric->peek(metric->context, node_peek(graph, chosen.id), peek + 1, nleft - 1,
					 worker->stretch, estimate + 1);
		for (int i = 1; i < nleft; i++)
		{
			const GraphNeighbor *candidate = &candidates[left[i]];

			if (!(estimate[i] <= candidate->distance))
				left[still++] = left[i];
			else
				passed[left[i]] = !nodes_are_equal(graph, candidate->id, chosen.id);
		}
		nleft = still;
	}
	for (int i = 0; i < n && nkept < keep; i++)
	{
		if (passed[i])
			kept[nkept++] = candidates[i];
	}
	return nkept;
}

/*
 * graph_select
 *		Choose at most "keep" links among n candidates, nearest first.
 *
 * A candidate nearer to one already kept than to the node itself is passed
 * over (the heuristic of HNSW: the kept one leads to it), and so is an exact
 * tie.  Room left over takes candidates passed over, but not those whose code
 * equals a kept one's: equal nodes must not wall each other in.
 */
int
graph_select(GraphWorker *worker, const GraphNeighbor *candidates, int n, int keep,
			 GraphNeighbor *kept)
{
	const Graph *graph = worker->graph;
	const GraphMetric *metric = &graph->metric;
	GraphNeighbor passed[2 * GRAPH_MAX_M];
	int			nkept = 0;
	int			npassed = 0;

	if (metric->peek_size > 0)
		return select_by_peeks(worker, candidates, n, keep, kept);
	for (int i = 0; i < n && nkept < keep; i++)
	{
		const uint8_t *code = node_code(graph, candidates[i].id);
		bool		chosen = true;
		bool		equal = false;

		for (int j = 0; j < nkept && chosen; j++)
		{
			float		d = node_distance(worker, code, kept[j].id);

			if (d <= candidates[i].distance)
			{
				chosen = false;
				equal = metric->equal(metric->context, code, node_code(graph, kept[j].id));
			}
		}
		if (chosen)
			kept[nkept++] = candidates[i];
		else if (!equal && npassed < keep)
			passed[npassed++] = candidates[i];
	}
	for (int i = 0; i < npassed && nkept < keep; i++)
		kept[nkept++] = passed[i];
	return nkept;
}

/*--- insertion -----------------------------------------------------------*/

/* a level drawn for a row: geometric, the same whoever inserts it and when */
static int
draw_level(const Graph *graph, uint64_t row)
{
	uint64_t	z = graph->params.seed + row * UINT64_C(0x9E3779B97F4A7C15);
	double		uniform;
	int			level;

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	uniform = ((double) (z >> 11) + 0.5) * 0x1p-53;
	level = (int) (-log(uniform) / log((double) graph->params.m));
	return level < GRAPH_MAX_LEVEL ? level : GRAPH_MAX_LEVEL;
}

/* add a row to a node with an equal vector; false if there is no room */
static bool
add_duplicate(Graph *graph, uint32_t node, uint64_t row)
{
	GraphNodeHead *head = node_head(graph, node);
	GraphDuplicate *duplicate;
	uint32_t	id = __atomic_fetch_add(&graph->control->nduplicates, 1, __ATOMIC_RELAXED);

	if (id >= graph->control->capacity)
	{
		__atomic_fetch_sub(&graph->control->nduplicates, 1, __ATOMIC_RELAXED);
		return false;
	}
	duplicate = duplicate_at(graph, id);
	duplicate->row = row;
	graph_spin_lock(&head->lock);
	duplicate->next = head->duplicate;
	head->duplicate = id;
	graph_spin_unlock(&head->lock);
	return true;
}

/* a candidate whose vector equals the row's, or GRAPH_NONE */
static uint32_t
find_equal(GraphWorker *worker, const uint8_t *code, uint64_t row, int n)
{
	Graph	   *graph = worker->graph;
	const GraphMetric *metric = &graph->metric;

	/* equal codes are nearest but for rounding: a few candidates will do */
	for (int i = 0; i < n; i++)
	{
		uint32_t	id = worker->pool[i].id;

		if (!metric->equal(metric->context, code, node_code(graph, id)))
		{
			if (i >= 8)
				break;
			continue;
		}
		if (graph->same_row == NULL ||
			graph->same_row(graph->same_row_arg, row, node_head(graph, id)->row))
			return id;
	}
	return GRAPH_NONE;
}

/*
 * Take an id and write the node; nobody sees it until a link leads to it.
 * Its level is cut to what the chunk's lists allow.
 */
static uint32_t
make_node(Graph *graph, const uint8_t *code, uint64_t row, int *level)
{
	GraphNodeHead *head;
	GraphChunkHead *chunk;
	uint32_t	id = __atomic_fetch_add(&graph->control->nnodes, 1, __ATOMIC_RELAXED);

	if (id >= graph->control->capacity)
	{
		__atomic_fetch_sub(&graph->control->nnodes, 1, __ATOMIC_RELAXED);
		return GRAPH_NONE;
	}

	head = node_head(graph, id);
	memcpy(node_code(graph, id), code, graph->metric.code_size);
	memcpy(node_peek(graph, id), code + graph->metric.code_size, graph->metric.peek_size);
	memset(head, 0, sizeof(*head));
	head->row = row;
	head->duplicate = GRAPH_NONE;

	if (*level > 0)
	{
		chunk = (GraphChunkHead *) (void *) node_chunk(graph, id);
		head->upper = __atomic_fetch_add(&chunk->upper_used, (uint32_t) *level, __ATOMIC_RELAXED);
		if (head->upper + (uint32_t) *level > graph->upper_slots)
			*level = 0;
	}
	head->level = (uint32_t) *level;
	for (int i = 0; i <= *level; i++)
		node_list(graph, id, i)->count = 0;
	return id;
}

/* add a link back to a new node; prune the list if it is full */
static void
add_link(GraphWorker *worker, uint32_t to, int level, uint32_t id, float distance)
{
	Graph	   *graph = worker->graph;
	GraphNodeHead *head = node_head(graph, to);
	GraphList  *list = node_list(graph, to, level);
	GraphNeighbor candidates[MAX_LIST + 1];
	GraphNeighbor kept[2 * GRAPH_MAX_M];
	int			room = list_room(graph, level);
	int			n;

	graph_spin_lock(&head->lock);
	n = (int) list->count;
	if (n < room)
	{
		/* the link's release makes all of the new node visible */
		__atomic_store_n(&list->link[n], make_link(id, distance), __ATOMIC_RELEASE);
		__atomic_store_n(&list->count, (uint32_t) n + 1, __ATOMIC_RELEASE);
	}
	else
	{
		for (int i = 0; i < n; i++)
			candidates[i] = link_neighbor(list->link[i]);
		candidates[n].distance = distance;
		candidates[n].id = id;
		graph_sort(candidates, n + 1);
		n = graph_select(worker, candidates, n + 1, list_keep(graph, level), kept);
		for (int i = 0; i < n; i++)
			__atomic_store_n(&list->link[i], make_link(kept[i].id, kept[i].distance),
							 __ATOMIC_RELEASE);
		__atomic_store_n(&list->count, (uint32_t) n, __ATOMIC_RELEASE);
	}
	graph_spin_unlock(&head->lock);
}

/* write the first links of a node nobody sees yet, one level */
static void
set_links(Graph *graph, uint32_t id, int level, const GraphNeighbor *chosen, int n)
{
	GraphList  *list = node_list(graph, id, level);

	for (int i = 0; i < n; i++)
		__atomic_store_n(&list->link[i], make_link(chosen[i].id, chosen[i].distance),
						 __ATOMIC_RELAXED);
	__atomic_store_n(&list->count, (uint32_t) n, __ATOMIC_RELEASE);
}

/* make a node the entry point if its level is the highest yet */
static void
raise_entry(Graph *graph, uint32_t id, int level)
{
	GraphControl *control = graph->control;
	int			top;

	graph_spin_lock(&control->entry_lock);
	if (graph_entry(graph, &top) == GRAPH_NONE || level > top)
		__atomic_store_n(&control->entry, (uint64_t) level << 32 | id, __ATOMIC_RELEASE);
	graph_spin_unlock(&control->entry_lock);
}

/* the first node of a graph; false if another worker was faster */
static bool
insert_first(Graph *graph, const uint8_t *code, uint64_t row, uint32_t *node)
{
	GraphControl *control = graph->control;
	int			level = draw_level(graph, row);
	int			top;
	bool		first;

	graph_spin_lock(&control->entry_lock);
	first = graph_entry(graph, &top) == GRAPH_NONE;
	if (first)
	{
		*node = make_node(graph, code, row, &level);
		if (*node != GRAPH_NONE)
			__atomic_store_n(&control->entry, (uint64_t) level << 32 | *node, __ATOMIC_RELEASE);
	}
	graph_spin_unlock(&control->entry_lock);
	return first;
}

/*
 * graph_insert
 *		Insert a row with its code, behind which lies its peek if there are any.
 *
 * Any number of workers may insert at once.  *node becomes the node that
 * holds the row, or GRAPH_NONE when the graph is full.
 */
GraphOutcome
graph_insert(GraphWorker *worker, const uint8_t *code, uint64_t row, uint32_t *node)
{
	Graph	   *graph = worker->graph;
	int			ef = graph->params.ef_construction;
	int			level = draw_level(graph, row);
	int			nchosen[GRAPH_MAX_LEVEL + 1];
	GraphTarget target = {code, code + graph->metric.code_size};
	GraphNeighbor start;
	uint32_t	entry;
	int			top;
	int			lowest_common;

	entry = graph_entry(graph, &top);
	if (entry == GRAPH_NONE)
	{
		if (insert_first(graph, code, row, node))
			return *node == GRAPH_NONE ? GRAPH_FULL : GRAPH_INSERTED;
		entry = graph_entry(graph, &top);
	}
	start = graph_descend(worker, &target, entry, top, level);

	lowest_common = level < top ? level : top;
	for (int i = lowest_common; i >= 0; i--)
	{
		int			n = graph_search_level(worker, &target, start, i, ef);

		if (i == 0 && (*node = find_equal(worker, code, row, n)) != GRAPH_NONE)
			return add_duplicate(graph, *node, row) ? GRAPH_DUPLICATE : GRAPH_FULL;
		start = worker->pool[0];
		nchosen[i] = graph_select(worker, worker->pool, n, list_keep(graph, i),
								  worker->chosen + (size_t) i * 2 * (size_t) graph->params.m);
	}

	*node = make_node(graph, code, row, &level);
	if (*node == GRAPH_NONE)
		return GRAPH_FULL;
	lowest_common = level < lowest_common ? level : lowest_common;

	for (int i = 0; i <= lowest_common; i++)
		set_links(graph, *node, i, worker->chosen + (size_t) i * 2 * (size_t) graph->params.m,
				  nchosen[i]);
	for (int i = 0; i <= lowest_common; i++)
	{
		const GraphNeighbor *chosen = worker->chosen + (size_t) i * 2 * (size_t) graph->params.m;

		for (int j = 0; j < nchosen[i]; j++)
			add_link(worker, chosen[j].id, i, *node, chosen[j].distance);
	}
	if (level > top)
		raise_entry(graph, *node, level);
	return GRAPH_INSERTED;
}

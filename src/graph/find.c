/*-------------------------------------------------------------------------
 *
 * find.c
 *	  Searches in the graph in memory.
 *
 * Where there are peeks, a node becomes a candidate by what its peek tells and
 * gets its distance when it is the nearest candidate, before it is expanded:
 * one code is read for some ten nodes seen.  Without peeks all distances are
 * computed as links are seen.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/graph_private.h"

/* state of a candidate */
#define EXPANDED		1
#define FETCHED			2

#define AHEAD			2		/* candidates whose memory is fetched ahead */

/* the stretch is a mean of about so many, each within bounds */
#define LEARN			(1.0f / 128)
#define LEARN_EACH		8		/* of so many distances one teaches */
#define LEAST_STRETCH	0.5f
#define MOST_STRETCH	16.0f

/*--- visited set ---------------------------------------------------------*/

/*
 * graph_visit_start
 *		Forget what was visited.
 */
void
graph_visit_start(GraphWorker *worker)
{
	worker->visited_used = 0;
	memset(worker->visited, 0xff, ((size_t) worker->visited_mask + 1) * sizeof(uint32_t));
}

/*
 * graph_visit
 *		Whether a node is met for the first time; false, too, when the set has
 *		no more room, which ends a search early and does no other harm.
 */
bool
graph_visit(GraphWorker *worker, uint32_t id)
{
	uint32_t   *visited = worker->visited;
	uint32_t	slot = (id * UINT32_C(2654435761) >> 7) & worker->visited_mask;
	bool		fresh;

	/* without a branch on what was visited: nobody can guess that */
	while (visited[slot] != id && visited[slot] != GRAPH_NONE)
		slot = (slot + 1) & worker->visited_mask;
	fresh = visited[slot] != id && worker->visited_used < worker->visited_mask / 4 * 3;
	visited[slot] = fresh ? id : visited[slot];
	worker->visited_used += fresh;
	return fresh;
}

/*--- candidates ----------------------------------------------------------*/

static void
prefetch_code(const Graph *graph, uint32_t id)
{
	const uint8_t *code = node_code(graph, id);
	size_t		size = graph->metric.code_size;

	for (size_t i = 0; i < size; i += 64)
		__builtin_prefetch(code + i);
}

/*
 * graph_pool_insert
 *		Put a candidate into the sorted pool of at most ef; returns the new size
 *		and in *place where it went, or ef if it is too far.
 */
int
graph_pool_insert(GraphWorker *worker, int n, int ef, GraphNeighbor candidate, int *place)
{
	GraphNeighbor *pool = worker->pool;
	int			low = 0;
	int			moved;

	*place = ef;
	/* written so that NaN is far */
	if (n == ef && !(candidate.distance < pool[n - 1].distance))
		return n;

	/* without a branch on the distances: nobody can guess them */
	for (int left = n; left > 0;)
	{
		int			half = (left + 1) / 2;

		low += half & -!(pool[low + half - 1].distance > candidate.distance);
		left -= half;
	}
	moved = (n < ef ? n : n - 1) - low;
	memmove(pool + low + 1, pool + low, (size_t) moved * sizeof(*pool));
	memmove(worker->state + low + 1, worker->state + low, (size_t) moved);
	pool[low] = candidate;
	worker->state[low] = 0;
	*place = low;
	return n < ef ? n + 1 : n;
}

/* move the candidate at a place to where its distance belongs; the new place */
static int
pool_move(GraphWorker *worker, int n, int place)
{
	GraphNeighbor *pool = worker->pool;
	uint8_t    *state = worker->state;
	GraphNeighbor x = pool[place];
	uint8_t		s = state[place];

	for (; place + 1 < n && !(pool[place + 1].distance > x.distance); place++)
	{
		pool[place] = pool[place + 1];
		state[place] = state[place + 1];
	}
	for (; place > 0 && pool[place - 1].distance > x.distance; place--)
	{
		pool[place] = pool[place - 1];
		state[place] = state[place - 1];
	}
	pool[place] = x;
	state[place] = s;
	return place;
}

/* start with the first candidate alone */
static int
pool_start(GraphWorker *worker, GraphNeighbor start)
{
	graph_visit_start(worker);
	graph_visit(worker, start.id);
	worker->pool[0] = start;
	worker->state[0] = 0;
	return 1;
}

/* let the memory system start on what distances or estimates are taken from */
static void
fetch_distances(const Graph *graph, const uint32_t *ids, int n)
{
	bool		peeks = graph->metric.peek_size > 0;

	for (int i = 0; i < n; i++)
	{
		if (peeks)
			__builtin_prefetch(node_peek(graph, ids[i]));
		else
			prefetch_code(graph, ids[i]);
	}
}

/*--- search --------------------------------------------------------------*/

/* links of a node that were not visited before: of a list, or of so many final ones */
static int
fresh_links(GraphWorker *worker, uint32_t id, int level, int final, uint32_t *fresh)
{
	const Graph *graph = worker->graph;
	uint64_t	links[MAX_LIST];
	int			nlinks = 0;
	int			n = 0;

	if (final == 0)
		nlinks = read_list(node_list(graph, id, level), links);
	else
	{
		const uint32_t *link = node_final(graph, id);

		while (nlinks < final && link[nlinks] != GRAPH_NONE)
		{
			links[nlinks] = link[nlinks];
			nlinks++;
		}
	}
	for (int i = 0; i < nlinks; i++)
	{
		uint32_t	to = (uint32_t) links[i];

		fresh[n] = to;
		n += graph_visit(worker, to);
	}
	fetch_distances(graph, fresh, n);
	return n;
}

/* let the memory system start on the candidates to be expanded next */
static void
fetch_next(GraphWorker *worker, int from, int n, int level, int final)
{
	Graph	   *graph = worker->graph;
	size_t		list_size = final > 0 ? (size_t) final * sizeof(uint32_t) :
		(size_t) list_keep(graph, 0) * sizeof(uint64_t);
	int			left = AHEAD;

	for (int i = from; i < n && left > 0; i++)
	{
		const uint8_t *list;

		if (worker->state[i] & EXPANDED)
			continue;
		left--;
		if (worker->state[i] & FETCHED)
			continue;
		worker->state[i] |= FETCHED;
		prefetch_code(graph, worker->pool[i].id);
		if (level > 0)
			continue;
		list = final > 0 ? (const uint8_t *) node_final(graph, worker->pool[i].id) :
			(const uint8_t *) node_list(graph, worker->pool[i].id, 0);
		for (size_t j = 0; j < list_size; j += 64)
			__builtin_prefetch(list + j);
	}
}

/* what peeks tell of the distances of some nodes */
static void
estimate_all(GraphWorker *worker, const GraphTarget *target, const uint32_t *ids, int n,
			 float *distance)
{
	const GraphMetric *metric = &worker->graph->metric;
	const uint8_t *peek[MAX_LIST];

	for (int i = 0; i < n; i++)
		peek[i] = node_peek(worker->graph, ids[i]);
	metric->peek(metric->context, target->peek, peek, n, worker->stretch, distance);
}

/*
 * Learn from a distance what the estimates lack.  The last word is shared, for
 * workers that have not seen any.
 */
static void
learn_stretch(GraphWorker *worker, const GraphTarget *target, GraphNeighbor seen)
{
	const Graph *graph = worker->graph;
	const GraphMetric *metric = &graph->metric;
	float		stretch = metric->stretch(metric->context, target->peek,
										  node_peek(graph, seen.id), seen.distance);

	/* the quotient of nothing by nothing fails both */
	if (stretch > LEAST_STRETCH && stretch < MOST_STRETCH)
		worker->stretch += (stretch - worker->stretch) * LEARN;
}

/*
 * Search from the n nodes in the pool, where there are peeks: a level's lists,
 * or level 0 by so many final links.
 */
static int
search_by_peeks(GraphWorker *worker, const GraphTarget *target, int n, int level, int final,
				int ef)
{
	uint32_t	fresh[MAX_LIST];
	float		estimate[MAX_LIST];
	int			current = 0;

	while (current < n)
	{
		GraphNeighbor *nearest = &worker->pool[current];
		uint32_t	id = nearest->id;
		int			lowest;
		int			nfresh;
		int			place;

		if (worker->state[current] & EXPANDED)
		{
			current++;
			continue;
		}
		worker->state[current] |= EXPANDED;
		nearest->distance = node_distance(worker, target->code, id);
		if (worker->ndistances % LEARN_EACH == 0)
			learn_stretch(worker, target, *nearest);
		place = pool_move(worker, n, current);
		lowest = place > current ? current : current + 1;
		fetch_next(worker, lowest, n, level, final);
		if (place < ef - 1)
		{
			nfresh = fresh_links(worker, id, level, final, fresh);
			estimate_all(worker, target, fresh, nfresh, estimate);
			for (int i = 0; i < nfresh; i++)
			{
				GraphNeighbor candidate = {estimate[i], fresh[i]};

				n = graph_pool_insert(worker, n, ef, candidate, &place);
				lowest = place < lowest ? place : lowest;
			}
			fetch_next(worker, lowest, n, level, final);
		}
		current = lowest;
	}
	__atomic_store(&worker->graph->control->stretch, &worker->stretch, __ATOMIC_RELAXED);
	return n;
}

/* the same where there are none */
static int
search_by_codes(GraphWorker *worker, const GraphTarget *target, int n, int level, int final,
				int ef)
{
	uint32_t	fresh[MAX_LIST];
	int			current = 0;

	while (current < n)
	{
		int			lowest = current + 1;
		int			nfresh;

		if (worker->state[current] & EXPANDED)
		{
			current++;
			continue;
		}
		worker->state[current] |= EXPANDED;
		nfresh = fresh_links(worker, worker->pool[current].id, level, final, fresh);
		for (int i = 0; i < nfresh; i++)
		{
			GraphNeighbor candidate = {node_distance(worker, target->code, fresh[i]), fresh[i]};
			int			place;

			n = graph_pool_insert(worker, n, ef, candidate, &place);
			lowest = place < lowest ? place : lowest;
		}
		current = lowest;
	}
	return n;
}

static int
search(GraphWorker *worker, const GraphTarget *target, int n, int level, int final, int ef)
{
	return worker->graph->metric.peek_size > 0 ?
		search_by_peeks(worker, target, n, level, final, ef) :
		search_by_codes(worker, target, n, level, final, ef);
}

/*
 * graph_search_level
 *		The ef nodes of a level nearest to a value, into the worker's pool,
 *		nearest first; returns how many were found.
 */
int
graph_search_level(GraphWorker *worker, const GraphTarget *target, GraphNeighbor start, int level,
				   int ef)
{
	return search(worker, target, pool_start(worker, start), level, 0, ef);
}

/*
 * graph_search_final
 *		The same on level 0 by each node's first "links" final links, from the n
 *		nodes that graph_nearest() has left in the pool.
 */
int
graph_search_final(GraphWorker *worker, const GraphTarget *target, int n, int links, int ef)
{
	graph_visit_start(worker);
	for (int i = 0; i < n; i++)
	{
		graph_visit(worker, worker->pool[i].id);
		worker->state[i] = 0;
	}
	return search(worker, target, n, 0, links, ef);
}

/* the distances by which to descend: of the nodes of a list, all fetched at once */
static void
descend_distances(GraphWorker *worker, const GraphTarget *target, const uint32_t *ids, int n,
				  float *distance)
{
	bool		peeks = worker->graph->metric.peek_size > 0;

	fetch_distances(worker->graph, ids, n);
	if (peeks)
		estimate_all(worker, target, ids, n, distance);
	else
	{
		for (int i = 0; i < n; i++)
			distance[i] = node_distance(worker, target->code, ids[i]);
	}
}

/*
 * graph_nearest
 *		The nearest few of some nodes, by estimates where there are peeks, into
 *		the worker's pool; returns how many.
 */
int
graph_nearest(GraphWorker *worker, const GraphTarget *target, const uint32_t *nodes,
			  uint32_t nnodes, int most)
{
	float		distance[MAX_LIST];
	int			n = 0;

	for (uint32_t first = 0; first < nnodes; first += MAX_LIST)
	{
		int			some = nnodes - first < MAX_LIST ? (int) (nnodes - first) : MAX_LIST;

		descend_distances(worker, target, nodes + first, some, distance);
		for (int i = 0; i < some; i++)
		{
			GraphNeighbor candidate = {distance[i], nodes[first + (uint32_t) i]};
			int			place;

			n = graph_pool_insert(worker, n, most, candidate, &place);
		}
	}
	return n;
}

/*
 * graph_descend
 *		Walk greedily from a node through levels from .. to + 1; the nearest node
 *		found, by its estimate where there are peeks.
 */
GraphNeighbor
graph_descend(GraphWorker *worker, const GraphTarget *target, uint32_t start, int from, int to)
{
	GraphNeighbor nearest = {0, start};
	uint64_t	links[MAX_LIST];
	uint32_t	ids[MAX_LIST];
	float		distance[MAX_LIST];

	descend_distances(worker, target, &start, 1, &nearest.distance);
	for (int level = from; level > to; level--)
	{
		bool		nearer = true;

		while (nearer)
		{
			int			n = read_list(node_list(worker->graph, nearest.id, level), links);

			for (int i = 0; i < n; i++)
				ids[i] = (uint32_t) links[i];
			descend_distances(worker, target, ids, n, distance);
			nearer = false;
			for (int i = 0; i < n; i++)
			{
				if (distance[i] < nearest.distance)
				{
					nearest.distance = distance[i];
					nearest.id = ids[i];
					nearer = true;
				}
			}
		}
	}
	return nearest;
}

/*
 * graph_find
 *		The nodes nearest to a node, at most ef (itself at most
 *		ef_construction), nearest first; returns how many.
 */
int
graph_find(GraphWorker *worker, uint32_t node, int ef, GraphNeighbor *result)
{
	GraphTarget target = node_target(worker->graph, node);
	GraphNeighbor start;
	int			level;
	int			n;
	uint32_t	entry = graph_entry(worker->graph, &level);

	if (entry == GRAPH_NONE)
		return 0;
	start = graph_descend(worker, &target, entry, level, 0);
	n = graph_search_level(worker, &target, start, 0, ef);
	memcpy(result, worker->pool, (size_t) n * sizeof(*result));
	return n;
}

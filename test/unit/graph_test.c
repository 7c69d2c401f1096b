/*-------------------------------------------------------------------------
 *
 * graph_test.c
 *	  The graph in memory, its slots, and the search over them.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include "graph_index.h"

#define GS_NAME(name)			test_##name
#define GS_CONTEXT				const Index
#define GS_PIN(index, id)		pin_slot(index, id)
#define GS_UNPIN(index, id)		((void) (id))
#define GS_PREFETCH(index, id)	((void) (id))
#define GS_DISTANCE(index, code)	code_distance(index, code)
#define GS_PIN_UPPER(index, id)	pin_upper(index, id)
#define GS_UNPIN_UPPER(index, id)	((void) (id))
#include "graph/search_tmpl.h"

/*--- recall --------------------------------------------------------------*/

/* recall at 10 of searches that start at the entry slot or descend to it */
static double
recall(Index *index, int ef, bool from_entry)
{
	float	   *queries = make_rows(100, index->dim, SEED + 1);
	void	   *memory = malloc(search_size(ef, 20));
	void	   *query_memory = index->model ? malloc(quant_query_size(index->model)) : NULL;
	QuantQuery *query = index->model ? quant_query_init(index->model, query_memory) : NULL;
	GraphSearch search;
	int			hits = 0;

	search_init(&search, ef, 20, memory);
	index->query = query;
	for (int i = 0; i < 100; i++)
	{
		const float *q = queries + i * index->dim;
		double		limit = kth_distance(index, q);
		int			found = 0;

		index->exact_query = q;
		if (query != NULL)
			quant_query_set(query, q);
		search_start(&search, &index->layout, query, ef, 20);
		if (from_entry)
			search_from_entry(&search, index->entry, index->entry_bytes);
		else
			test_descend(&search, index, index->upper_entry, index->upper_level);
		test_run(&search, index);
		for (int j = 0; j < search.nresults; j++)
		{
			uint32_t	row = (uint32_t) graph_row(&index->graph, search.results[j].id);

			found += true_distance(index, q, row) <= limit + 1e-6 * fabs(limit);
		}
		hits += found < K ? found : K;
	}
	free(queries);
	free(memory);
	free(query_memory);
	return hits / 100.0 / K;
}
typedef struct Case
{
	const char *name;
	int			dim;
	int			metric;			/* QuantMetric, or -1: L1 on exact values */
	int			bits;
	bool		trained;
	int			m;
	double		least;			/* recall at 10 with ef = 24 */
} Case;

static void
test_recall(void)
{
	static const Case cases[] = {
		{"L2, 96 dimensions", 96, QUANT_L2, 0, true, 16, 0.96},
		{"L2, 96 dimensions, untrained", 96, QUANT_L2, 0, false, 16, 0.94},
		{"L2, 300 dimensions", 300, QUANT_L2, 0, true, 16, 0.97},
		{"L2, 300 dimensions, 2 bits", 300, QUANT_L2, 2, true, 16, 0.95},
		{"L2, 20 dimensions, raw floats", 20, QUANT_L2, 0, true, 16, 0.95},
		{"L2, 3 dimensions", 3, QUANT_L2, 0, true, 16, 0.96},
		{"L2, m = 5", 96, QUANT_L2, 0, true, 5, 0.92},
		{"cosine", 128, QUANT_COSINE, 0, true, 16, 0.96},
		{"inner product", 128, QUANT_IP, 0, true, 16, 0.95},
		{"L1, exact values", 64, -1, 0, true, 16, 0.97},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const Case *c = &cases[i];
		float	   *x = make_rows(nrows_default, c->dim, SEED);
		QuantModel *model = NULL;
		Index		index;
		char		name[200];
		int			passes;
		double		by_descent;
		double		by_entry;

		if (c->metric >= 0)
			model = make_model(x, nrows_default, c->dim, (QuantMetric) c->metric, c->bits, c->trained);
		index_init(&index, x, nrows_default, c->dim, model, c->m, 0);
		index_build(&index, 1, &passes, 0);
		index_write(&index);
		by_descent = recall(&index, 24, false);
		by_entry = model ? recall(&index, 24, true) : by_descent;
		snprintf(name, sizeof(name), "recall: %s (%.3f descending, %.3f from the entry slot)", c->name,
				 by_descent, by_entry);
		report(by_descent >= c->least && by_entry >= c->least, name);
		index_free(&index);
		free(model);
		free(x);
	}
}

/*--- duplicates ----------------------------------------------------------*/

/* rows reachable by final links from the entry point, duplicates included */
static uint32_t
count_reachable(const Index *index, uint8_t *seen)
{
	const Graph *graph = &index->graph;
	uint32_t	nnodes = graph_nodes(graph);
	uint32_t   *queue = malloc((nnodes + 1) * sizeof(uint32_t));
	uint8_t    *reached = calloc(nnodes + 1, 1);
	uint32_t	head = 0;
	uint32_t	tail = 0;
	uint32_t	rows = 0;
	int			level;

	queue[tail++] = graph_entry(graph, &level);
	reached[queue[0]] = 1;
	while (head < tail)
	{
		uint32_t	node = queue[head++];
		uint32_t	ids[2 * GRAPH_MAX_M];
		uint64_t	row = graph_row(graph, node);
		uint32_t	next = graph_first_duplicate(graph, node);
		int			n = graph_final_links(graph, node, index->links, ids);

		for (;;)
		{
			rows += !seen[row];
			seen[row] = 1;
			if (next == GRAPH_NONE)
				break;
			next = graph_next_duplicate(graph, next, &row);
		}
		for (int i = 0; i < n; i++)
		{
			if (!reached[ids[i]])
				queue[tail++] = ids[i];
			reached[ids[i]] = 1;
		}
	}
	free(queue);
	free(reached);
	return rows;
}

static void
test_duplicates(int threads)
{
	int			n = nrows_default * 2;
	int			dim = 48;
	float	   *x = make_rows(n, dim, SEED);
	uint8_t    *seen = calloc((size_t) n, 1);
	QuantModel *model;
	Index		index;
	char		name[200];
	int			passes;
	uint32_t	rows;
	double		found;

	/* all but one in six rows are the same vector, in between the others */
	for (int i = 0; i < n; i++)
	{
		if (i % 6 != 5)
			memcpy(x + (size_t) i * (size_t) dim, x, (size_t) dim * sizeof(float));
	}
	model = make_model(x, n, dim, QUANT_L2, 0, true);
	index_init(&index, x, n, dim, model, 16, 0);
	index_build(&index, threads, &passes, 0);
	rows = count_reachable(&index, seen);
	snprintf(name, sizeof(name), "%d threads, %d equal rows: %u nodes, %u of %d rows reachable",
			 threads, n - n / 6, graph_nodes(&index.graph), rows, n);
	report(rows == (uint32_t) n && index.full == 0 &&
		   graph_nodes(&index.graph) <= (uint32_t) (n / 6 + 1 + 20 * threads) &&
		   graph_nodes(&index.graph) + (uint32_t) index.duplicates == (uint32_t) n, name);

	index_write(&index);
	found = recall(&index, 80, true);
	snprintf(name, sizeof(name), "%d threads, equal rows: recall among the others %.3f", threads, found);
	report(found >= 0.97, name);
	index_free(&index);
	free(model);
	free(x);
	free(seen);
}

/* many vectors whose codes are equal though they are not */
static void
test_equal_codes(void)
{
	int			n = 2000;
	int			dim = 40;
	float	   *x = make_rows(n, dim, SEED);
	uint8_t    *seen = calloc((size_t) n, 1);
	QuantModel *model;
	Index		index;
	int			passes;

	/* differences far below a step of the code, which the compare callback sees */
	model = make_model(x, n, dim, QUANT_L2, 4, true);
	for (int i = 0; i < n / 2; i++)
	{
		memcpy(x + (size_t) i * (size_t) dim, x, (size_t) dim * sizeof(float));
		x[(size_t) i * (size_t) dim] += (float) i * 1e-9f;
	}
	index_init(&index, x, n, dim, model, 16, 0);
	index_build(&index, 1, &passes, 0);
	report(count_reachable(&index, seen) == (uint32_t) n, "vectors with equal codes all stay reachable");
	index_free(&index);
	free(model);
	free(x);
	free(seen);
}

/*--- concurrency and limits ----------------------------------------------*/

/* structure of the lists while nobody writes: ids in range, no self-links */
static bool
lists_valid(const Index *index)
{
	const Graph *graph = &index->graph;
	uint32_t	nnodes = graph_nodes(graph);
	uint32_t	ids[2 * GRAPH_MAX_M + GRAPH_SLACK];

	for (uint32_t node = 0; node < nnodes; node++)
	{
		for (int level = 0; level <= graph_level(graph, node); level++)
		{
			int			n = graph_links(graph, node, level, ids);

			if (n > (level ? 1 : 2) * graph->params.m + GRAPH_SLACK)
				return false;
			for (int i = 0; i < n; i++)
			{
				if (ids[i] >= nnodes || ids[i] == node || graph_level(graph, ids[i]) < level)
					return false;
			}
		}
	}
	return true;
}

static void
test_threads(void)
{
	int			n = nrows_default;
	int			dim = 96;
	float	   *x = make_rows(n, dim, SEED);
	uint8_t    *seen = calloc((size_t) n, 1);
	QuantModel *model = make_model(x, n, dim, QUANT_L2, 0, true);
	Index		index;
	char		name[200];
	int			passes;
	double		found;

	index_init(&index, x, n, dim, model, 16, 0);
	index_build(&index, 4, &passes, 0);
	report(lists_valid(&index), "4 threads: every list is valid");
	report(graph_nodes(&index.graph) == (uint32_t) n && count_reachable(&index, seen) == (uint32_t) n,
		   "4 threads: every row has a reachable node");
	index_write(&index);
	found = recall(&index, 80, true);
	snprintf(name, sizeof(name), "4 threads: recall %.3f", found);
	report(found >= 0.97, name);
	index_free(&index);
	free(model);
	free(x);
	free(seen);
}

static void
test_limits(void)
{
	int			n = nrows_default / 2;
	int			dim = 24;
	float	   *x = make_rows(n, dim, SEED);
	uint8_t    *seen = calloc((size_t) n, 1);
	QuantModel *model = make_model(x, n, dim, QUANT_L2, 0, true);
	uint32_t   *order = malloc((size_t) n * sizeof(uint32_t));
	Index		index;
	int			passes;
	uint8_t    *scratch = malloc((size_t) n);
	bool		ok = true;

	index_init(&index, x, n, dim, model, 2, 1);
	index_build(&index, 2, &passes, 0);
	report(graph_nodes(&index.graph) == 1024 && index.full == n - 1024 && lists_valid(&index),
		   "a full graph refuses rows and stays whole");
	index_free(&index);

	/* scratch for a few hundred nodes at a time */
	index_init(&index, x, n, dim, model, 8, 0);
	index_build(&index, 1, &passes, (size_t) n * 12 + 8000);
	report(passes > 2 && count_reachable(&index, seen) == (uint32_t) n,
		   "pruning in little memory takes several passes");

	graph_order(&index.graph, index.links, 12, order, scratch, no_tick);
	memset(seen, 0, (size_t) n);
	for (int i = 0; i < n; i++)
	{
		ok = ok && order[i] < (uint32_t) n && !seen[order[i]];
		if (ok)
			seen[order[i]] = 1;
	}
	report(ok, "the order holds every node once");

	{
		/* links that stay on their page, in this order and in that of insertion */
		uint32_t   *place = malloc((size_t) n * sizeof(uint32_t));
		uint32_t	ids[2 * GRAPH_MAX_M];
		int			near_ordered = 0;
		int			near_inserted = 0;

		for (int i = 0; i < n; i++)
			place[order[i]] = (uint32_t) i;
		for (uint32_t node = 0; node < (uint32_t) n; node++)
		{
			int			count = graph_final_links(&index.graph, node, index.links, ids);

			for (int j = 0; j < count; j++)
			{
				near_ordered += place[node] / 12 == place[ids[j]] / 12;
				near_inserted += node / 12 == ids[j] / 12;
			}
		}
		report(near_ordered > 10 * near_inserted, "the order keeps neighbours on a page");
		free(place);
	}
	index_free(&index);
	free(model);
	free(x);
	free(seen);
	free(order);
	free(scratch);
}

/* slots full of random bytes: the search must end and stay inside */
static void
test_damage(void)
{
	int			n = 1000;
	int			dim = 64;
	float	   *x = make_rows(n, dim, SEED);
	QuantModel *model = make_model(x, n, dim, QUANT_L2, 0, true);
	Index		index;
	int			passes;
	uint64_t	state = SEED;
	double		found;

	index_init(&index, x, n, dim, model, 16, 0);
	index_build(&index, 1, &passes, 0);
	index_write(&index);
	found = recall(&index, 80, true);
	for (int round = 0; round < 20; round++)
	{
		for (int i = 0; i < 100; i++)
		{
			uint8_t    *slot = slot_at(&index, (uint32_t) (quant_random(&state) % (uint64_t) n));

			for (uint32_t j = 0; j < index.layout.size; j++)
				slot[j] = (uint8_t) quant_random(&state);
		}
		for (size_t i = 0; i < index.nupper * (size_t) index.layout.upper_size; i += 13)
			index.upper[i] = (uint8_t) quant_random(&state);
		for (size_t i = round == 0 ? 8 : 0; i < index.entry_bytes; i += 31)
			index.entry[i] = (uint8_t) quant_random(&state);
		found += recall(&index, 80, round % 2) * 0;
	}
	report(found > 0.97, "searches over damaged slots end");
	index_free(&index);
	free(model);
	free(x);
}

int
main(void)
{
	const char *rows = getenv("GRAPH_TEST_ROWS");

	vec_kernels_init();
	if (rows != NULL && atoi(rows) >= 3000)
		nrows_default = atoi(rows);
	test_recall();
	test_duplicates(1);
	test_duplicates(4);
	test_equal_codes();
	test_threads();
	test_limits();
	test_damage();
	printf("1..%d\n", ntests);
	return nfailed > 0;
}

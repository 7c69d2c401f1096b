/*-------------------------------------------------------------------------
 *
 * graph_test.c
 *	  The graph in memory, its slots, and the search over them.
 *
 * Data are generated from fixed seeds: clusters in a latent space, which is
 * harder than uniform points and more like embeddings.  GRAPH_TEST_ROWS
 * lowers the number of rows for runs under valgrind or a sanitizer.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/search.h"

#define SEED	UINT64_C(20240607)
#define K		10

static int	ntests = 0;
static int	nfailed = 0;
static int	nrows_default = 6000;

static void
report(bool passed, const char *name)
{
	ntests++;
	nfailed += !passed;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", ntests, name);
	fflush(stdout);
}

static void
no_tick(void)
{
}

static double
gauss(uint64_t *state)
{
	double		u = ((double) (quant_random(state) >> 11) + 0.5) * 0x1p-53;
	double		v = (double) (quant_random(state) >> 11) * 0x1p-53;

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* n rows of dim, around 60 centers in 24 latent dimensions; the same for all n */
static float *
make_rows(int n, int dim, uint64_t seed)
{
	float	   *x = malloc((size_t) n * (size_t) dim * sizeof(float));
	float	   *map = malloc((size_t) (24 * dim) * sizeof(float));
	float		center[60][24];
	uint64_t	fixed = SEED;

	for (int i = 0; i < 24 * dim; i++)
		map[i] = (float) (gauss(&fixed) / sqrt(dim));
	for (int i = 0; i < 60 * 24; i++)
		center[i / 24][i % 24] = (float) gauss(&fixed);
	for (int r = 0; r < n; r++)
	{
		float	   *row = x + (size_t) r * (size_t) dim;
		const float *c = center[quant_random(&seed) % 60];

		for (int i = 0; i < dim; i++)
			row[i] = (float) (0.1 * gauss(&seed) / sqrt(dim));
		for (int l = 0; l < 24; l++)
		{
			float		z = c[l] + (float) (0.6 * gauss(&seed));

			for (int i = 0; i < dim; i++)
				row[i] += z * map[l * dim + i];
		}
	}
	free(map);
	return x;
}

/*--- an index in memory --------------------------------------------------*/

typedef struct Index
{
	int			n;
	int			dim;
	const float *x;
	QuantModel *model;
	GraphControl control;
	Graph		graph;
	int			nchunks;
	void	  **chunk;			/* what to free */
	uint32_t	next;
	int			full;			/* rows refused */
	int			duplicates;
	int			links;
	/* slots */
	SlotLayout	layout;
	uint8_t    *slots;
	uint8_t    *upper;
	uint8_t    *entry;			/* entry slots of entry_bytes each */
	size_t		entry_bytes;
	int			nentries;
	int			entry_room;		/* links of one; 0: 64 */
	uint32_t	nupper;
	uint32_t	upper_entry;
	int			upper_level;
	const QuantQuery *query;
	const float *exact_query;	/* for codes that are exact values */
} Index;

static float
model_pair(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = context;

	return nav_pair(model, quant_build_bits(model), a, b);
}

static void
model_peek(const void *context, const uint8_t *a, const uint8_t *const *b, int n, float stretch,
		   float *distance)
{
	quant_peek(context, a, b, n, stretch, distance);
}

static float
model_stretch(const void *context, const uint8_t *a, const uint8_t *b, float distance)
{
	return quant_peek_stretch(context, a, b, distance);
}

static bool
model_equal(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = context;

	return nav_equal(model, quant_build_bits(model), a, b);
}

static bool
rows_equal(void *arg, uint64_t a, uint64_t b)
{
	const Index *index = arg;

	return memcmp(index->x + a * (size_t) index->dim, index->x + b * (size_t) index->dim,
				  (size_t) index->dim * sizeof(float)) == 0;
}

/* a metric no model serves: the code is the vector, the distance L1 */
static float
l1_pair(const void *context, const uint8_t *a, const uint8_t *b)
{
	const Index *index = context;

	return vec_kernels->l1_f32((const float *) (const void *) a, (const float *) (const void *) b,
							   index->dim);
}

static bool
l1_equal(const void *context, const uint8_t *a, const uint8_t *b)
{
	const Index *index = context;

	return memcmp(a, b, (size_t) index->dim * sizeof(float)) == 0;
}

static void
encode_row(const Index *index, int bits, const float *x, uint8_t *code)
{
	float	   *nav = malloc((size_t) index->dim * sizeof(float));
	float		slack;

	if (index->model == NULL)
		memcpy(code, x, (size_t) index->dim * sizeof(float));
	else
	{
		slack = quant_map(index->model, x, nav);
		nav_encode(index->model, bits, nav, slack, code);
	}
	free(nav);
}

/* behind a code of the graph, its peek */
static void
encode_peek(const Index *index, const float *x, uint8_t *code)
{
	float		coords[QUANT_MAX_SKETCH];
	float	   *nav;

	if (index->graph.metric.peek_size == 0)
		return;
	nav = malloc((size_t) index->dim * sizeof(float));
	quant_map(index->model, x, nav);
	sketch_project(index->model, nav, coords);
	quant_peek_encode(index->model, coords, code, code + index->graph.metric.code_size);
	free(nav);
}

static void *
insert_rows(void *arg)
{
	Index	   *index = arg;
	GraphWorker worker;
	void	   *memory = aligned_alloc(64, (graph_worker_size(&index->graph.params) + 63) / 64 * 64);
	uint8_t    *code = malloc(index->graph.metric.code_size + index->graph.metric.peek_size);

	graph_worker_init(&worker, &index->graph, memory);
	for (;;)
	{
		uint32_t	row = __atomic_fetch_add(&index->next, 1, __ATOMIC_RELAXED);
		uint32_t	node;
		GraphOutcome outcome;

		if (row >= (uint32_t) index->n)
			break;
		encode_row(index, index->model ? quant_build_bits(index->model) : 0,
				   index->x + (size_t) row * (size_t) index->dim, code);
		encode_peek(index, index->x + (size_t) row * (size_t) index->dim, code);
		outcome = graph_insert(&worker, code, row, &node);
		if (outcome == GRAPH_FULL)
			__atomic_fetch_add(&index->full, 1, __ATOMIC_RELAXED);
		else if (outcome == GRAPH_DUPLICATE)
			__atomic_fetch_add(&index->duplicates, 1, __ATOMIC_RELAXED);
	}
	free(memory);
	free(code);
	return NULL;
}

/* room for n rows, or as many chunks as said */
static void
index_init(Index *index, const float *x, int n, int dim, QuantModel *model, int m, int chunks)
{
	GraphParams params = {m, 64, SEED, 10};
	GraphMetric metric = {model, 0, model_pair, model_equal, 0, model_peek, model_stretch};

	memset(index, 0, sizeof(*index));
	index->n = n;
	index->dim = dim;
	index->x = x;
	index->model = model;
	if (model != NULL)
	{
		metric.code_size = nav_code_size(dim, quant_build_bits(model));
		metric.peek_size = quant_peek_size(model);
	}
	else
	{
		metric.context = index;
		metric.code_size = (size_t) dim * sizeof(float);
		metric.pair = l1_pair;
		metric.equal = l1_equal;
	}
	graph_init(&index->graph, &params, &metric, &index->control);
	index->graph.same_row = rows_equal;
	index->graph.same_row_arg = index;
	index->nchunks = chunks ? chunks : (n + 1023) / 1024;
	index->chunk = malloc((size_t) index->nchunks * sizeof(void *));
	for (int i = 0; i < index->nchunks; i++)
	{
		index->chunk[i] = aligned_alloc(64, (graph_chunk_size(&params, &metric) + 63) / 64 * 64);
		/* whatever the memory held must not matter */
		memset(index->chunk[i], 0xa5, graph_chunk_size(&params, &metric));
		graph_add_chunk(&index->graph, index->chunk[i]);
	}
	index->links = slot_links_for(m);
}

static uint32_t
index_build(Index *index, int threads, int *passes, size_t scratch_limit)
{
	pthread_t	thread[16];
	GraphWorker worker;
	void	   *memory = aligned_alloc(64, (graph_worker_size(&index->graph.params) + 63) / 64 * 64);
	size_t		size;
	void	   *scratch;
	uint32_t	attached;

	for (int i = 1; i < threads; i++)
		pthread_create(&thread[i], NULL, insert_rows, index);
	insert_rows(index);
	for (int i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);

	graph_worker_init(&worker, &index->graph, memory);
	size = graph_prune_scratch(&index->graph, graph_nodes(&index->graph));
	if (scratch_limit != 0 && size > scratch_limit)
		size = scratch_limit;
	scratch = malloc(size);
	*passes = graph_prune(&worker, 0, graph_nodes(&index->graph), index->links, scratch, size,
						  no_tick);
	free(scratch);
	scratch = malloc(graph_connect_scratch(&index->graph));
	attached = graph_connect(&worker, index->links, scratch, no_tick);
	free(scratch);
	free(memory);
	return attached;
}

static uint8_t *
slot_at(const Index *index, uint32_t i)
{
	return index->slots + (size_t) i * index->layout.size;
}

static uint8_t *
upper_at(const Index *index, uint32_t i)
{
	return index->upper + (size_t) i * index->layout.upper_size;
}

static void
write_upper(Index *index, const uint32_t *number)
{
	uint32_t	ids[2 * GRAPH_MAX_M + GRAPH_SLACK];

	for (uint32_t node = 0; node < graph_nodes(&index->graph); node++)
	{
		for (int level = 1; level <= graph_level(&index->graph, node); level++)
		{
			int			n = graph_links(&index->graph, node, level, ids);

			n = n < index->layout.upper_links ? n : index->layout.upper_links;
			for (int j = 0; j < n; j++)
				ids[j] = number[ids[j]] + (uint32_t) level - 1;
			upper_init(&index->layout, upper_at(index, number[node] + (uint32_t) level - 1), node,
					   level, ids, n, slot_at(index, node) + index->layout.code_offset);
		}
	}
	index->upper_entry = number[graph_entry(&index->graph, &index->upper_level)];
	index->upper_entry += (uint32_t) index->upper_level - 1;
}

/* entry slots of few links, as many as there is need for */
static void
write_entries(Index *index, const float *coords)
{
	void	   *memory = aligned_alloc(64, (graph_worker_size(&index->graph.params) + 63) / 64 * 64);
	uint32_t	nnodes = graph_nodes(&index->graph);
	uint32_t   *order = malloc(nnodes * sizeof(uint32_t));
	uint32_t	nodes[64 * ENTRY_MAX_SLOTS];
	float		origin[QUANT_MAX_SKETCH] = {0};
	uint32_t	room = index->entry_room ? (uint32_t) index->entry_room : 64;
	GraphWorker worker;
	uint32_t	n;

	for (uint32_t i = 0; i < nnodes; i++)
		order[i] = i;
	graph_worker_init(&worker, &index->graph, memory);
	n = graph_entries(&worker, index->links, order, room, room * ENTRY_MAX_SLOTS, nodes,
					  no_tick);
	index->nentries = (int) ((n + room - 1) / room);
	index->entry_bytes = entry_size(index->layout.ngroups, (int) room);
	index->entry = malloc(index->entry_bytes * (size_t) index->nentries);
	for (uint32_t i = 0; i < n; i++)
	{
		uint8_t    *entry = index->entry + i / room * index->entry_bytes;
		SketchEdge	edge;

		if (i % room == 0)
			entry_init(entry, index->layout.ngroups, (int) room);
		sketch_encode(index->model, origin, coords + nodes[i] * (size_t) index->model->sketch_dims,
					  nav_edge_from_origin(slot_at(index, nodes[i]) + index->layout.code_offset),
					  &edge);
		entry_set_link(entry, index->layout.ngroups, (int) (i % room), nodes[i], &edge);
	}
	free(order);
	free(memory);
}

static void
write_sketches(Index *index)
{
	const QuantModel *model = index->model;
	uint32_t	nnodes = graph_nodes(&index->graph);
	size_t		dims = (size_t) model->sketch_dims;
	float	   *coords = malloc(nnodes * dims * sizeof(float));
	float	   *nav = malloc((size_t) index->dim * sizeof(float));
	uint32_t	ids[2 * GRAPH_MAX_M];

	for (uint32_t i = 0; i < nnodes; i++)
	{
		nav_decode(model, model->nav_bits, slot_at(index, i) + index->layout.code_offset, nav);
		sketch_project(model, nav, coords + i * dims);
	}
	write_entries(index, coords);
	for (uint32_t i = 0; i < nnodes; i++)
	{
		int			n = graph_final_links(&index->graph, i, index->links, ids);
		SketchEdge	edge;

		for (int j = 0; j < n; j++)
		{
			sketch_encode(model, coords + i * dims, coords + ids[j] * dims,
						  nav_edge(model, quant_build_bits(model), graph_code(&index->graph, i),
								   graph_code(&index->graph, ids[j])), &edge);
			slot_set_link(&index->layout, slot_at(index, i), j, ids[j], &edge);
		}
	}
	free(coords);
	free(nav);
}

static void
index_write(Index *index)
{
	uint32_t	nnodes = graph_nodes(&index->graph);
	uint32_t   *number = malloc((nnodes + 1) * sizeof(uint32_t));
	uint32_t	ids[2 * GRAPH_MAX_M];
	uint8_t    *code;

	if (index->model != NULL)
		slot_layout(&index->layout, index->model, index->graph.params.m, 0);
	else
		slot_layout_exact(&index->layout, (size_t) index->dim * sizeof(float),
						  index->graph.params.m, 0);
	index->slots = calloc(nnodes, index->layout.size);
	code = malloc(index->layout.code_size);
	for (uint32_t i = 0; i < nnodes; i++)
	{
		uint8_t		tid[SLOT_TID_SIZE] = {0};
		uint32_t	row = (uint32_t) graph_row(&index->graph, i);

		memcpy(tid, &row, sizeof(row));
		encode_row(index, index->layout.nav_bits, index->x + (size_t) row * (size_t) index->dim, code);
		slot_init(&index->layout, slot_at(index, i), graph_level(&index->graph, i), tid, code);
		number[i] = index->nupper;
		index->nupper += (uint32_t) graph_level(&index->graph, i);
	}
	index->upper = calloc(index->nupper + 1, index->layout.upper_size);
	write_upper(index, number);
	if (index->layout.ngroups > 0)
		write_sketches(index);
	else
	{
		for (uint32_t i = 0; i < nnodes; i++)
		{
			int			n = graph_final_links(&index->graph, i, index->links, ids);

			for (int j = 0; j < n; j++)
				slot_set_link(&index->layout, slot_at(index, i), j, ids[j], NULL);
		}
	}
	free(number);
	free(code);
}

static void
index_free(Index *index)
{
	for (int i = 0; i < index->nchunks; i++)
		free(index->chunk[i]);
	free(index->chunk);
	free(index->slots);
	free(index->upper);
	free(index->entry);
}

static inline const uint8_t *
pin_slot(const Index *index, uint32_t id)
{
	return id < graph_nodes(&index->graph) ? slot_at(index, id) : NULL;
}

static inline const uint8_t *
pin_upper(const Index *index, uint32_t id)
{
	return id < index->nupper ? upper_at(index, id) : NULL;
}

static inline float
code_distance(const Index *index, const uint8_t *code)
{
	if (index->query == NULL)
		return l1_pair(index, (const uint8_t *) index->exact_query, code);
	return nav_distance(index->query, index->layout.nav_bits, code);
}

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

static double
true_distance(const Index *index, const float *q, uint32_t row)
{
	const float *x = index->x + (size_t) row * (size_t) index->dim;

	if (index->model == NULL)
		return vec_kernels->l1_f32(q, x, index->dim);
	if (index->model->metric == QUANT_IP)
		return -vec_kernels->dot_f32(q, x, index->dim);
	if (index->model->metric == QUANT_COSINE)
	{
		VecCosineSums sums;

		vec_kernels->cosine_f32(q, x, index->dim, &sums);
		return 1 - sums.dot / sqrt((double) sums.normsq_a * sums.normsq_b);
	}
	return vec_kernels->l2sq_f32(q, x, index->dim);
}

/* distance of the K-th nearest row, by exact search */
static double
kth_distance(const Index *index, const float *q)
{
	double		nearest[K];
	int			n = 0;

	for (int i = 0; i < index->n; i++)
	{
		double		d = true_distance(index, q, (uint32_t) i);
		int			j;

		if (n == K && d >= nearest[K - 1])
			continue;
		j = n < K ? n++ : K - 1;
		for (; j > 0 && nearest[j - 1] > d; j--)
			nearest[j] = nearest[j - 1];
		nearest[j] = d;
	}
	return nearest[n - 1];
}

/* recall at 10 of 100 searches that start at the entry slots or descend */
static double
recall_of(Index *index, const float *queries, int ef, bool from_entry)
{
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
			search_from_entry(&search, index->entry, index->entry_bytes, index->nentries);
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
	free(memory);
	free(query_memory);
	return hits / 100.0 / K;
}

static double
recall(Index *index, int ef, bool from_entry)
{
	float	   *queries = make_rows(100, index->dim, SEED + 1);
	double		result = recall_of(index, queries, ef, from_entry);

	free(queries);
	return result;
}

static QuantModel *
make_model(const float *x, int n, int dim, QuantMetric metric, int bits, bool trained)
{
	QuantConfig config = {dim, metric, bits, 0, SEED};
	QuantModel *model = malloc(quant_model_max_size(&config));
	float	   *sample = malloc((size_t) n * (size_t) dim * sizeof(float));
	void	   *scratch = malloc(quant_train_scratch(&config));

	memcpy(sample, x, (size_t) n * (size_t) dim * sizeof(float));
	if (trained)
		quant_train(model, &config, sample, n < 2000 ? n : 2000, scratch, no_tick);
	else
		quant_model_init(model, &config, x);
	free(sample);
	free(scratch);
	return model;
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
		snprintf(name, sizeof(name), "recall: %s%s (%.3f descending, %.3f from the entry slot)",
				 c->name, index.graph.metric.peek_size > 0 ? ", by peeks" : "", by_descent, by_entry);
		report(by_descent >= c->least && by_entry >= c->least, name);
		index_free(&index);
		free(model);
		free(x);
	}
}

/*--- clusters ------------------------------------------------------------*/

/* n rows around so many centers, far apart; queries go on from n on */
static float *
make_clusters(int n, int dim, int nclusters, uint64_t seed)
{
	float	   *x = malloc((size_t) n * (size_t) dim * sizeof(float));
	float	   *center = malloc((size_t) nclusters * (size_t) dim * sizeof(float));

	for (int i = 0; i < nclusters * dim; i++)
		center[i] = (float) gauss(&seed);
	for (int r = 0; r < n; r++)
	{
		const float *c = center + quant_random(&seed) % (uint64_t) nclusters * (uint64_t) dim;

		for (int i = 0; i < dim; i++)
			x[(size_t) r * (size_t) dim + (size_t) i] = c[i] + (float) (0.06 * gauss(&seed));
	}
	free(center);
	return x;
}

static double
clusters_recall(int nclusters, uint64_t seed, int *nentries)
{
	int			n = 8000;
	int			dim = 48;
	float	   *x = make_clusters(n + 100, dim, nclusters, seed);
	QuantModel *model = make_model(x, n, dim, QUANT_L2, 0, true);
	Index		index;
	int			passes;
	double		result;

	index_init(&index, x, n, dim, model, 16, 0);
	index.entry_room = 32;
	index_build(&index, 1, &passes, 0);
	index_write(&index);
	result = recall_of(&index, x + (size_t) n * (size_t) dim, 48, true);
	*nentries = index.nentries;
	index_free(&index);
	free(model);
	free(x);
	return result;
}

/*
 * More clusters than an entry slot, of 32 links here, has nodes: by one slot
 * alone recall was 0.93 for this seed, and 0.83 to 0.95 for others.  Of 24 seeds
 * with as many slots as it takes it was 0.97 to 1.00, that of 20 clusters, whose
 * rows codes of 8 bits tell apart less well, 0.95 to 0.99.
 */
static void
test_clusters(void)
{
	int			runs = getenv("GRAPH_TEST_SEEDS") ? atoi(getenv("GRAPH_TEST_SEEDS")) : 1;

	for (int i = 0; i < runs; i++)
	{
		uint64_t	seed = SEED + (uint64_t) i;
		char		name[200];
		int			slots[2];
		double		few = clusters_recall(20, seed, &slots[0]);
		double		many = clusters_recall(100, seed, &slots[1]);

		snprintf(name, sizeof(name), "recall of 20 clusters %.3f (%d entry slots), of 100 %.3f (%d)",
				 few, slots[0], many, slots[1]);
		report(many >= 0.99 * few && many >= 0.965 && slots[1] > 1, name);
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
	test_clusters();
	test_duplicates(1);
	test_duplicates(4);
	test_equal_codes();
	test_threads();
	test_limits();
	test_damage();
	printf("1..%d\n", ntests);
	return nfailed > 0;
}

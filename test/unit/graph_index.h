/*-------------------------------------------------------------------------
 *
 * graph_index.h
 *	  What the tests of the graph share: rows, an index of them in memory, and
 *	  exact answers.
 *
 * Data are generated from fixed seeds: clusters in a latent space, which is
 * harder than uniform points and more like embeddings.  GRAPH_TEST_ROWS
 * lowers the number of rows for runs under valgrind or a sanitizer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_GRAPH_INDEX_H
#define VECEXT_GRAPH_INDEX_H

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

static inline void
report(bool passed, const char *name)
{
	ntests++;
	nfailed += !passed;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", ntests, name);
	fflush(stdout);
}

static inline void
no_tick(void)
{
}

static inline double
gauss(uint64_t *state)
{
	double		u = ((double) (quant_random(state) >> 11) + 0.5) * 0x1p-53;
	double		v = (double) (quant_random(state) >> 11) * 0x1p-53;

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* n rows of dim, around 60 centers in 24 latent dimensions; the same for all n */
static inline float *
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

static inline float
model_pair(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = context;

	return nav_pair(model, quant_build_bits(model), a, b);
}

static inline void
model_peek(const void *context, const uint8_t *a, const uint8_t *const *b, int n, float stretch,
		   float *distance)
{
	quant_peek(context, a, b, n, stretch, distance);
}

static inline float
model_stretch(const void *context, const uint8_t *a, const uint8_t *b, float distance)
{
	return quant_peek_stretch(context, a, b, distance);
}

static inline bool
model_equal(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = context;

	return nav_equal(model, quant_build_bits(model), a, b);
}

static inline bool
rows_equal(void *arg, uint64_t a, uint64_t b)
{
	const Index *index = arg;

	return memcmp(index->x + a * (size_t) index->dim, index->x + b * (size_t) index->dim,
				  (size_t) index->dim * sizeof(float)) == 0;
}

/* a metric no model serves: the code is the vector, the distance L1 */
static inline float
l1_pair(const void *context, const uint8_t *a, const uint8_t *b)
{
	const Index *index = context;

	return vec_kernels->l1_f32((const float *) (const void *) a, (const float *) (const void *) b,
							   index->dim);
}

static inline bool
l1_equal(const void *context, const uint8_t *a, const uint8_t *b)
{
	const Index *index = context;

	return memcmp(a, b, (size_t) index->dim * sizeof(float)) == 0;
}

static inline void
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
static inline void
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

static inline void *
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
static inline void
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

static inline uint32_t
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

static inline uint8_t *
slot_at(const Index *index, uint32_t i)
{
	return index->slots + (size_t) i * index->layout.size;
}

static inline uint8_t *
upper_at(const Index *index, uint32_t i)
{
	return index->upper + (size_t) i * index->layout.upper_size;
}

static inline void
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
static inline void
write_entries(Index *index, const float *coords)
{
	void	   *memory = aligned_alloc(64, (graph_worker_size(&index->graph.params) + 63) / 64 * 64);
	uint32_t	nnodes = graph_nodes(&index->graph);
	uint32_t   *order = malloc(nnodes * sizeof(uint32_t));
	float		origin[QUANT_MAX_SKETCH] = {0};
	uint32_t	room = index->entry_room ? (uint32_t) index->entry_room : 64;
	GraphEntries *entries = malloc(graph_entries_size(room * ENTRY_MAX_SLOTS));
	const uint32_t *nodes = entries->node;
	GraphWorker worker;
	uint32_t	n;

	for (uint32_t i = 0; i < nnodes; i++)
		order[i] = i;
	graph_worker_init(&worker, &index->graph, memory);
	graph_entries_begin(&index->graph, order, room, room * ENTRY_MAX_SLOTS, entries);
	graph_entries_try(&worker, index->links, order, entries, no_tick);
	n = entries->n;
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
	free(entries);
	free(order);
	free(memory);
}

static inline void
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

static inline void
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

static inline void
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

/*--- exact answers, models ------------------------------------------------*/

static inline double
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
static inline double
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
static inline QuantModel *
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

#endif							/* VECEXT_GRAPH_INDEX_H */

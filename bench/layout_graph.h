/*-------------------------------------------------------------------------
 *
 * layout_graph.h
 *	  Part of layout.c: a trained model and the graph in memory, as CREATE INDEX
 *	  builds them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BENCH_LAYOUT_GRAPH_H
#define VECEXT_BENCH_LAYOUT_GRAPH_H

#include <pthread.h>

#include "graph/graph.h"
#include "train.h"

typedef struct Options
{
	int			m;
	int			ef_construction;
	int			nav_bits;
	int			sketch_dims;
	bool		untrained;
	bool		no_peeks;
	int			threads;
	int			refine;			/* candidates refined, per K */
	int			entries;
	double		pin_ns;
	int			limit;
	int			repeat;			/* runs of which the fastest counts */
	bool		raw;
	bool		fixed_entries;
	const char *searches;		/* values of ef_search to measure, instead of a sweep */
	int			seed;			/* of model and levels */
	const char *cache;
	RefineKind	kind;
} Options;

typedef struct Build
{
	const Options *options;
	const Vectors *base;
	QuantModel *model;
	GraphControl control;
	Graph		graph;
	uint32_t	next;			/* row to insert */
	uint64_t	ndistances;
	double		seconds;
	double		cpu;
	uint32_t	attached;
} Build;

static float
pair_distance(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = context;

	return nav_pair(model, quant_build_bits(model), a, b);
}

static void
pair_peek(const void *context, const uint8_t *a, const uint8_t *const *b, int n, float stretch,
		  float *distance)
{
	quant_peek(context, a, b, n, stretch, distance);
}

static float
pair_stretch(const void *context, const uint8_t *a, const uint8_t *b, float distance)
{
	return quant_peek_stretch(context, a, b, distance);
}

static bool
pair_equal(const void *context, const uint8_t *a, const uint8_t *b)
{
	const QuantModel *model = context;

	return nav_equal(model, quant_build_bits(model), a, b);
}

static bool
same_row(void *arg, uint64_t a, uint64_t b)
{
	const Vectors *base = arg;

	return memcmp(row_of(base, (uint32_t) a), row_of(base, (uint32_t) b),
				  (size_t) base->dim * sizeof(float)) == 0;
}

static void
encode_row(const QuantModel *model, int bits, const float *x, float *nav, uint8_t *code)
{
	float		slack = quant_map(model, x, nav);

	nav_encode(model, bits, nav, slack, code);
}

/* behind the code, the peek */
static void
encode_peek(const QuantModel *model, const float *nav, uint8_t *code)
{
	float		coords[QUANT_MAX_SKETCH];

	if (quant_peek_size(model) == 0)
		return;
	sketch_project(model, nav, coords);
	quant_peek_encode(model, coords, code,
					  code + nav_code_size(model->dim, quant_build_bits(model)));
}

static void *
insert_rows(void *arg)
{
	Build	   *build = arg;
	GraphWorker worker;
	float	   *nav = malloc((size_t) build->base->dim * sizeof(float));
	uint8_t    *code = aligned_alloc(64, (build->graph.metric.code_size +
										  build->graph.metric.peek_size + 127) / 64 * 64);
	void	   *memory = get_memory(graph_worker_size(&build->graph.params));
	uint32_t	node;

	graph_worker_init(&worker, &build->graph, memory);
	for (;;)
	{
		uint32_t	row = __atomic_fetch_add(&build->next, 1, __ATOMIC_RELAXED);

		if (row >= (uint32_t) build->base->n)
			break;
		encode_row(build->model, quant_build_bits(build->model), row_of(build->base, row), nav, code);
		encode_peek(build->model, nav, code);
		if (graph_insert(&worker, code, row, &node) == GRAPH_FULL)
			die("graph is full");
	}
	__atomic_fetch_add(&build->ndistances, worker.ndistances, __ATOMIC_RELAXED);
	free(nav);
	free(code);
	munmap(memory, graph_worker_size(&build->graph.params));
	return NULL;
}

static QuantModel *
train(const Vectors *base, const Options *options, QuantMetric metric)
{
	QuantConfig config = {base->dim, metric, options->nav_bits, options->sketch_dims,
	(uint64_t) options->seed + 42};
	QuantModel *model;

	if (!quant_config_ok(&config))
		die("bad options");
	if (!options->untrained)
		return train_model(&config, base, (uint64_t) options->seed + 7);
	model = calloc(1, quant_model_max_size(&config));
	quant_model_init(model, &config, base->x);
	return model;
}

static void
finish_graph(Build *build)
{
	GraphWorker worker;
	Graph	   *graph = &build->graph;
	int			links = slot_links_for(graph->params.m);
	size_t		size = graph_prune_scratch(graph, graph_nodes(graph));
	void	   *memory = get_memory(graph_worker_size(&graph->params));
	void	   *scratch = get_memory(size);

	graph_worker_init(&worker, graph, memory);
	if (graph_prune(&worker, 0, graph_nodes(graph), links, scratch, size, no_tick) != 1)
		die("graph_prune");
	build->attached = graph_connect(&worker, links, scratch, no_tick);
	munmap(scratch, size);
	munmap(memory, graph_worker_size(&graph->params));
}

static void
build_graph(Build *build, const Options *options, const Vectors *base, QuantModel *model)
{
	GraphParams params = {options->m, options->ef_construction, (uint64_t) options->seed + 1, 13};
	GraphMetric metric = {model, nav_code_size(model->dim, quant_build_bits(model)),
		pair_distance, pair_equal, options->no_peeks ? 0 : quant_peek_size(model), pair_peek,
		pair_stretch};
	pthread_t	thread[64];
	double		start = seconds(CLOCK_MONOTONIC);
	double		cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);

	memset(build, 0, sizeof(*build));
	build->options = options;
	build->base = base;
	build->model = model;
	graph_init(&build->graph, &params, &metric, &build->control);
	build->graph.same_row = same_row;
	build->graph.same_row_arg = (void *) base;
	for (int i = 0; i < base->n; i += 1 << params.chunk_shift)
		graph_add_chunk(&build->graph, get_memory(graph_chunk_size(&params, &metric)));

	for (int i = 1; i < options->threads; i++)
		pthread_create(&thread[i], NULL, insert_rows, build);
	insert_rows(build);
	for (int i = 1; i < options->threads; i++)
		pthread_join(thread[i], NULL);
	finish_graph(build);
	build->seconds = seconds(CLOCK_MONOTONIC) - start;
	build->cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

#endif							/* VECEXT_BENCH_LAYOUT_GRAPH_H */

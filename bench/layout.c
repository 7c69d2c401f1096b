/*-------------------------------------------------------------------------
 *
 * layout.c
 *	  Recall and cost of the graph's codes and layout, without a server.
 *
 * Builds the graph as CREATE INDEX would, writes it to an array of 8 kB page
 * images, and searches those by the code that will search buffers.  A pin
 * costs what one costs in a server: a hash lookup, two atomic increments and
 * a delay up to --pin-ns.
 *
 *	layout [options] base query metric		metric: l2, ip, cosine
 *
 * Files: .u8bin .f16bin .f32bin (also .gz), .fvecs.  bench/README.md says
 * what the figures mean.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>

#include "graph/graph.h"
#include "graph/search.h"
#include "kernels/distance.h"
#include "vectors.h"

#define PAGE_SIZE		8192
#define PAGE_HEADER		24
#define CODE_QUERIES	100

/*--- building ------------------------------------------------------------*/

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
	uint64_t	state = (uint64_t) options->seed + 7;
	int			nrows = quant_sample_rows(&config);
	float	   *sample;
	void	   *scratch;

	if (!quant_config_ok(&config))
		die("bad options");
	model = calloc(1, quant_model_max_size(&config));
	if (options->untrained)
	{
		quant_model_init(model, &config, base->x);
		return model;
	}

	nrows = nrows < base->n ? nrows : base->n;
	sample = malloc((size_t) nrows * (size_t) base->dim * sizeof(float));
	for (int i = 0; i < nrows; i++)
		memcpy(sample + (size_t) i * (size_t) base->dim,
			   row_of(base, (uint32_t) (quant_random(&state) % (uint64_t) base->n)),
			   (size_t) base->dim * sizeof(float));
	scratch = malloc(quant_train_scratch(&config));
	quant_train(model, &config, sample, nrows, scratch, no_tick);
	free(scratch);
	free(sample);
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

/*--- pages ---------------------------------------------------------------*/

typedef struct Pages
{
	SlotLayout	layout;
	const QuantQuery *query;
	uint8_t    *image;			/* page images */
	uint32_t	nnodes;
	uint32_t	nav_per_page;
	uint32_t	first_nav;
	uint32_t	first_upper;
	uint32_t	nupper;
	uint32_t	upper_per_page;
	uint32_t	first_refine;
	uint32_t	npages;
	size_t		refine_bytes;
	uint8_t    *entries;		/* entry slots, a copy as each backend has */
	uint32_t   *entry_node;		/* of the graph */
	uint32_t	nentries;
	int			nslots;
	int			spin;			/* of a pin */
	uint32_t   *buffer;			/* hash table: block to descriptor */
	uint32_t	buffer_mask;
	struct
	{
		uint32_t	block;
		uint32_t	pins;
		uint32_t	lock;
		uint32_t	unused[13];
	}		   *descriptor;
	uint64_t	npins;
	uint32_t   *row;			/* of each node, to tell what was found */
	uint32_t	upper_entry;
	int			upper_level;
} Pages;

static uint32_t
hash_block(uint32_t block)
{
	block ^= block >> 16;
	block *= UINT32_C(0x85ebca6b);
	block ^= block >> 13;
	block *= UINT32_C(0xc2b2ae35);
	return block ^ block >> 16;
}

/* as a server does it: find the buffer, count the pin, take the share lock */
static void __attribute__((noinline))
pin_block(Pages *pages, uint32_t block)
{
	uint32_t	slot = hash_block(block) & pages->buffer_mask;
	uint32_t	x = block;

	while (pages->descriptor[pages->buffer[slot]].block != block)
		slot = (slot + 1) & pages->buffer_mask;
	__atomic_fetch_add(&pages->descriptor[pages->buffer[slot]].pins, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&pages->descriptor[pages->buffer[slot]].lock, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < pages->spin; i++)
		__asm__ volatile("" : "+r" (x));
	pages->npins++;
}

static void
unpin_block(Pages *pages, uint32_t block)
{
	/* descriptors are in block order, as after a sequential load */
	__atomic_fetch_sub(&pages->descriptor[block].lock, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&pages->descriptor[block].pins, 1, __ATOMIC_SEQ_CST);
}

static void
init_buffers(Pages *pages)
{
	pages->buffer_mask = 1;
	while (pages->buffer_mask < pages->npages * 2)
		pages->buffer_mask *= 2;
	pages->buffer = get_memory((size_t) pages->buffer_mask * sizeof(uint32_t));
	memset(pages->buffer, 0xff, (size_t) pages->buffer_mask * sizeof(uint32_t));
	pages->buffer_mask--;
	pages->descriptor = get_memory((size_t) pages->npages * sizeof(*pages->descriptor));
	for (uint32_t i = 0; i < pages->npages; i++)
	{
		uint32_t	slot = hash_block(i) & pages->buffer_mask;

		while (pages->buffer[slot] != UINT32_MAX)
			slot = (slot + 1) & pages->buffer_mask;
		pages->buffer[slot] = i;
		pages->descriptor[i].block = i;
	}
}

/* nanoseconds of one pin and unpin of random blocks */
static double
pin_cost(Pages *pages)
{
	uint64_t	state = 3;
	double		best = 1e9;

	for (int repeat = 0; repeat < 3; repeat++)
	{
		double		start = seconds(CLOCK_PROCESS_CPUTIME_ID);
		double		cost;

		for (int i = 0; i < 50000; i++)
		{
			uint32_t	block = (uint32_t) (quant_random(&state) % pages->npages);

			pin_block(pages, block);
			unpin_block(pages, block);
		}
		cost = (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) / 50000 * 1e9;
		best = cost < best ? cost : best;
	}
	return best;
}

static uint8_t *
nav_slot(const Pages *pages, uint32_t id)
{
	return pages->image + (size_t) (pages->first_nav + id / pages->nav_per_page) * PAGE_SIZE +
		PAGE_HEADER + (size_t) (id % pages->nav_per_page) * pages->layout.size;
}

static uint8_t *
upper_slot(const Pages *pages, uint32_t id)
{
	return pages->image + (size_t) (pages->first_upper + id / pages->upper_per_page) * PAGE_SIZE +
		PAGE_HEADER + (size_t) (id % pages->upper_per_page) * pages->layout.upper_size;
}

/* records run on over page ends */
static void
copy_refine(const Pages *pages, uint32_t id, uint8_t *record, bool write)
{
	size_t		room = PAGE_SIZE - PAGE_HEADER;
	size_t		at = (size_t) id * pages->refine_bytes;

	for (size_t done = 0; done < pages->refine_bytes;)
	{
		size_t		here = room - (at + done) % room;
		uint8_t    *page = pages->image +
			(pages->first_refine + (at + done) / room) * PAGE_SIZE + PAGE_HEADER;

		here = here < pages->refine_bytes - done ? here : pages->refine_bytes - done;
		if (write)
			memcpy(page + (at + done) % room, record + done, here);
		else
			memcpy(record + done, page + (at + done) % room, here);
		done += here;
	}
}

/* write all upper slots; number[] of a node is its first */
static void
write_upper(Pages *pages, const Build *build, const uint32_t *order, const uint32_t *place,
			uint32_t *number, const float *nav_of)
{
	const Graph *graph = &build->graph;
	uint32_t	ids[2 * GRAPH_MAX_M + GRAPH_SLACK];
	uint8_t    *code = malloc(pages->layout.code_size);
	float	   *nav = malloc((size_t) build->base->dim * sizeof(float));
	uint32_t	entry;

	(void) nav_of;
	for (uint32_t i = 0; i < pages->nnodes; i++)
	{
		uint32_t	node = order[i];
		int			top = graph_level(graph, node);

		for (int level = 1; level <= top; level++)
		{
			int			n = graph_links(graph, node, level, ids);
			int			kept = n < graph->params.m ? n : graph->params.m;

			encode_row(build->model, pages->layout.nav_bits,
					   row_of(build->base, (uint32_t) graph_row(graph, node)), nav, code);
			for (int j = 0; j < kept; j++)
				ids[j] = number[ids[j]] + (uint32_t) level - 1;
			upper_init(&pages->layout, upper_slot(pages, number[node] + (uint32_t) level - 1),
					   place[node], level, ids, kept, code);
		}
	}
	entry = graph_entry(graph, &pages->upper_level);
	pages->upper_entry = number[entry] + (uint32_t) pages->upper_level - 1;
	free(code);
	free(nav);
}

/* sketched coordinates of every node, from its decoded page code */
static float *
project_nodes(const Pages *pages, const Build *build, const uint32_t *order)
{
	const QuantModel *model = build->model;
	float	   *coords = get_memory((size_t) pages->nnodes * (size_t) model->sketch_dims *
									sizeof(float));
	float	   *nav = malloc((size_t) model->dim * sizeof(float));

	for (uint32_t i = 0; i < pages->nnodes; i++)
	{
		nav_decode(model, model->nav_bits, nav_slot(pages, i) + pages->layout.code_offset, nav);
		sketch_project(model, nav, coords + (size_t) i * (size_t) model->sketch_dims);
	}
	(void) order;
	free(nav);
	return coords;
}

/* the nodes searches start from, in as many entry slots as they take */
static void
write_entry(Pages *pages, const Build *build, const uint32_t *place, const float *coords)
{
	const QuantModel *model = build->model;
	float	   *origin = calloc((size_t) model->sketch_dims + 1, sizeof(float));
	int			room = entry_room(pages->layout.ngroups, PAGE_SIZE - PAGE_HEADER);

	for (uint32_t i = 0; i < pages->nentries; i++)
	{
		uint8_t    *entry = pages->entries + (size_t) (i / (uint32_t) room) * PAGE_SIZE;
		uint32_t	to = place[pages->entry_node[i]];
		SketchEdge	edge;

		if (i % (uint32_t) room == 0)
			entry_init(entry, pages->layout.ngroups, room);
		sketch_encode(model, origin, coords + (size_t) to * (size_t) model->sketch_dims,
					  nav_edge_from_origin(nav_slot(pages, to) + pages->layout.code_offset),
					  &edge);
		entry_set_link(entry, pages->layout.ngroups, (int) i % room, to, &edge);
	}
	free(origin);
}

/* choose them, when the graph is finished and ordered */
static void
choose_entries(Pages *pages, Build *build, const uint32_t *order)
{
	uint32_t	first = (uint32_t) build->options->entries;
	uint32_t	room = (uint32_t) entry_room(pages->layout.ngroups, PAGE_SIZE - PAGE_HEADER);
	uint32_t	most = build->options->fixed_entries ? first : room * ENTRY_MAX_SLOTS;
	void	   *memory = get_memory(graph_worker_size(&build->graph.params));
	double		start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	GraphEntries *chosen = malloc(graph_entries_size(most));
	GraphWorker worker;

	graph_worker_init(&worker, &build->graph, memory);
	first = first < room ? first : room;
	graph_entries_begin(&build->graph, order, first, most, chosen);
	graph_entries_try(&worker, pages->layout.links, order, chosen, no_tick);
	pages->entries = get_memory((size_t) ENTRY_MAX_SLOTS * PAGE_SIZE);
	pages->entry_node = chosen->node;
	pages->nentries = chosen->n;
	pages->nslots = (int) ((pages->nentries + room - 1) / room);
	printf("%u entries, %.3f s\n", pages->nentries, seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
	munmap(memory, graph_worker_size(&build->graph.params));
}

static void
write_links(Pages *pages, const Build *build, const uint32_t *order, const uint32_t *place,
			const float *coords)
{
	const QuantModel *model = build->model;
	const Graph *graph = &build->graph;
	int			bits = quant_build_bits(model);
	size_t		dims = (size_t) model->sketch_dims;
	uint32_t	ids[2 * GRAPH_MAX_M];

	for (uint32_t i = 0; i < pages->nnodes; i++)
	{
		int			n = graph_final_links(graph, order[i], pages->layout.links, ids);

		for (int j = 0; j < n; j++)
		{
			SketchEdge	edge;
			uint32_t	to = place[ids[j]];

			memset(&edge, 0, sizeof(edge));
			if (pages->layout.ngroups > 0)
				sketch_encode(model, coords + i * dims, coords + to * dims,
							  nav_edge(model, bits, graph_code(graph, order[i]),
									   graph_code(graph, ids[j])), &edge);
			slot_set_link(&pages->layout, nav_slot(pages, i), j, to, &edge);
		}
	}
}

static void
lay_out_pages(Pages *pages, const Build *build, uint32_t *number)
{
	const Graph *graph = &build->graph;
	size_t		room = PAGE_SIZE - PAGE_HEADER;

	slot_layout(&pages->layout, build->model, graph->params.m, 0);
	if (pages->layout.size > room)
		die("a slot of %u bytes does not fit a page", pages->layout.size);
	pages->nnodes = graph_nodes(graph);
	pages->nav_per_page = (uint32_t) (room / pages->layout.size);
	pages->upper_per_page = (uint32_t) (room / pages->layout.upper_size);
	pages->refine_bytes = refine_size(build->options->kind, build->base->dim);
	for (uint32_t i = 0; i < pages->nnodes; i++)
	{
		number[i] = pages->nupper;
		pages->nupper += (uint32_t) graph_level(graph, i);
	}
	pages->first_nav = 0;
	pages->first_upper = pages->first_nav + (pages->nnodes - 1) / pages->nav_per_page + 1;
	pages->first_refine = pages->first_upper + pages->nupper / pages->upper_per_page + 1;
	pages->npages = pages->first_refine +
		(uint32_t) ((size_t) pages->nnodes * pages->refine_bytes / room) + 1;
	pages->image = get_memory((size_t) pages->npages * PAGE_SIZE);
}

static void
write_pages(Pages *pages, Build *build)
{
	const Graph *graph = &build->graph;
	uint32_t	nnodes = graph_nodes(graph);
	uint32_t   *order = malloc(nnodes * sizeof(uint32_t));
	uint32_t   *place = malloc(nnodes * sizeof(uint32_t));
	uint32_t   *number = malloc(nnodes * sizeof(uint32_t));
	void	   *scratch = malloc(graph_order_scratch(graph));
	float	   *nav = malloc((size_t) build->base->dim * sizeof(float));
	float	   *coords = NULL;
	uint8_t    *code;
	uint8_t    *record;

	memset(pages, 0, sizeof(*pages));
	lay_out_pages(pages, build, number);
	graph_order(graph, pages->layout.links, (int) pages->nav_per_page, order, scratch, no_tick);
	pages->row = malloc(nnodes * sizeof(uint32_t));
	code = malloc(pages->layout.code_size);
	record = malloc(pages->refine_bytes + 1);
	for (uint32_t i = 0; i < nnodes; i++)
	{
		const float *x = row_of(build->base, (uint32_t) graph_row(graph, order[i]));
		uint8_t		tid[SLOT_TID_SIZE] = {0};

		place[order[i]] = i;
		pages->row[i] = (uint32_t) graph_row(graph, order[i]);
		encode_row(build->model, pages->layout.nav_bits, x, nav, code);
		slot_init(&pages->layout, nav_slot(pages, i), graph_level(graph, order[i]), tid, code);
		refine_encode(build->options->kind, x, build->base->dim, record);
		copy_refine(pages, i, record, true);
	}
	if (pages->layout.ngroups > 0)
	{
		coords = project_nodes(pages, build, order);
		choose_entries(pages, build, order);
		write_entry(pages, build, place, coords);
	}
	write_links(pages, build, order, place, coords);
	write_upper(pages, build, order, place, number, NULL);
	free(order);
	free(place);
	free(number);
	free(scratch);
	free(nav);
	free(code);
	free(record);
	init_buffers(pages);
}

/*--- searching -----------------------------------------------------------*/

static inline const uint8_t *
pin_nav(Pages *pages, uint32_t id)
{
	if (id >= pages->nnodes)
		return NULL;
	pin_block(pages, pages->first_nav + id / pages->nav_per_page);
	return nav_slot(pages, id);
}

static inline const uint8_t *
pin_upper(Pages *pages, uint32_t id)
{
	if (id >= pages->nupper)
		return NULL;
	pin_block(pages, pages->first_upper + id / pages->upper_per_page);
	return upper_slot(pages, id);
}

static inline void
prefetch_nav(const Pages *pages, uint32_t id)
{
	const uint8_t *slot = nav_slot(pages, id);

	for (uint32_t i = 0; i < pages->layout.size; i += 64)
		__builtin_prefetch(slot + i);
	__builtin_prefetch(&pages->descriptor[pages->first_nav + id / pages->nav_per_page]);
}

#define GS_NAME(name)			bench_##name
#define GS_CONTEXT				Pages
#define GS_PIN(pages, id)		pin_nav(pages, id)
#define GS_UNPIN(pages, id)		unpin_block(pages, (pages)->first_nav + (id) / (pages)->nav_per_page)
#define GS_PREFETCH(pages, id)	prefetch_nav(pages, id)
#define GS_DISTANCE(pages, code)	nav_distance((pages)->query, (pages)->layout.nav_bits, code)
#define GS_PIN_UPPER(pages, id)	pin_upper(pages, id)
#define GS_UNPIN_UPPER(pages, id) \
	unpin_block(pages, (pages)->first_upper + (id) / (pages)->upper_per_page)
#include "graph/search_tmpl.h"

/* read the records of the nearest results; the K nearest by record */
static int
refine(Pages *pages, const Build *build, const GraphSearch *search, const float *q,
	   int count, uint32_t *found, uint8_t *record)
{
	double		nearest[K];
	QuantMetric metric = (QuantMetric) build->model->metric;
	size_t		room = PAGE_SIZE - PAGE_HEADER;
	double		norm = refine_query_norm(q, build->base->dim);
	int			n = 0;

	if (count > search->nresults)
		count = search->nresults;
	for (int i = 0; i < count; i++)
	{
		size_t		at = (size_t) search->results[i].id * pages->refine_bytes;
		uint32_t	block = pages->first_refine + (uint32_t) (at / room);
		double		d;
		int			j;

		pin_block(pages, block);
		copy_refine(pages, search->results[i].id, record, false);
		unpin_block(pages, block);
		if (build->options->kind == REFINE_FULL)
			d = exact_distance(metric, q, (const float *) (const void *) record, build->base->dim);
		else
			d = refine_distance(build->options->kind, metric, q, norm, record,
								build->base->dim).distance;
		if (n == K && d >= nearest[K - 1])
			continue;
		j = n < K ? n++ : K - 1;
		for (; j > 0 && nearest[j - 1] > d; j--)
		{
			nearest[j] = nearest[j - 1];
			found[j] = found[j - 1];
		}
		nearest[j] = d;
		found[j] = search->results[i].id;
	}
	return n;
}

/* how many of the nodes found are as near as the K-th exact answer */
static int
count_hits(const Pages *pages, const Build *build, const float *q, const uint32_t *found, int n,
		   float limit)
{
	int			hits = 0;

	for (int i = 0; i < n; i++)
	{
		const float *x = row_of(build->base, pages->row[found[i]]);
		float		d = exact_distance((QuantMetric) build->model->metric, q, x, build->base->dim);

		hits += d <= limit + 1e-6f * fabsf(limit);
	}
	return hits;
}

/*
 * Recall of the codes alone: the part of the K nearest rows that are among the
 * first so many by the distance to their codes.
 */
static void
code_recall(Pages *pages, const Build *build, const Vectors *query, const float *exact)
{
	static const uint32_t within[] = {10, 20, 40, 100};
	QuantQuery *prepared = quant_query_init(build->model,
											get_memory(quant_query_size(build->model)));
	float	   *far = malloc(pages->nnodes * sizeof(float));
	uint64_t	hits[4] = {0};
	uint64_t	wanted = 0;

	for (int i = 0; i < query->n && i < CODE_QUERIES; i++)
	{
		const float *q = row_of(query, (uint32_t) i);
		float		limit = exact[(size_t) i * K + K - 1];

		quant_query_set(prepared, q);
		for (uint32_t id = 0; id < pages->nnodes; id++)
			far[id] = nav_distance(prepared, pages->layout.nav_bits,
								   nav_slot(pages, id) + pages->layout.code_offset);
		for (uint32_t id = 0; id < pages->nnodes; id++)
		{
			const float *x = row_of(build->base, pages->row[id]);
			uint32_t	nearer = 0;

			if (exact_distance((QuantMetric) build->model->metric, q, x, build->base->dim) > limit)
				continue;
			for (uint32_t other = 0; other < pages->nnodes; other++)
				nearer += far[other] < far[id];
			for (int w = 0; w < 4; w++)
				hits[w] += nearer < within[w];
			wanted++;
		}
	}
	printf("codes:");
	for (int w = 0; w < 4; w++)
		printf(" %.4f within %u%s", (double) hits[w] / (double) wanted, within[w], w < 3 ? "," : "\n");
	free(far);
}

typedef struct Figures
{
	double		recall;
	double		us;
	double		pages;
	double		hops;
	double		ef;
} Figures;

static Figures
run_queries(Pages *pages, const Build *build, const Vectors *query, const float *exact,
			GraphSearch *search, QuantQuery *prepared, int ef)
{
	int			count = build->options->refine < ef ? build->options->refine : ef;
	uint8_t    *record = malloc(pages->refine_bytes + 64);
	uint64_t	hops = 0;
	int			hits = 0;
	uint32_t   *found = malloc((size_t) query->n * K * sizeof(uint32_t));
	int		   *nfound = malloc((size_t) query->n * sizeof(int));
	double		start = seconds(CLOCK_PROCESS_CPUTIME_ID);
	Figures		f;

	count = count > K ? count : K;
	pages->npins = 0;
	pages->query = prepared;
	for (int i = 0; i < query->n; i++)
	{
		const float *q = row_of(query, (uint32_t) i);

		quant_query_set(prepared, q);
		search_start(search, &pages->layout, prepared, ef, count);
		if (pages->layout.ngroups > 0 && build->options->entries > 0)
		{
			search_from_entry(search, pages->entries, PAGE_SIZE, pages->nslots);
		}
		else if (pages->upper_level > 0)
			bench_descend(search, pages, pages->upper_entry, pages->upper_level);
		bench_run(search, pages);
		hops += search->nexpanded;
		nfound[i] = refine(pages, build, search, q, count, found + (size_t) i * K, record);
	}
	f.us = (seconds(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e6 / query->n;
	for (int i = 0; i < query->n; i++)
		hits += count_hits(pages, build, row_of(query, (uint32_t) i), found + (size_t) i * K,
						   nfound[i], exact[(size_t) i * K + K - 1]);
	f.recall = (double) hits / query->n / K;
	f.pages = (double) pages->npins / query->n;
	f.hops = (double) hops / query->n;
	f.ef = ef;
	free(record);
	free(found);
	free(nfound);
	return f;
}

/* others may use the machine: the fastest of several runs */
static Figures
best_run(Pages *pages, const Build *build, const Vectors *query, const float *exact,
		 GraphSearch *search, QuantQuery *prepared, int ef)
{
	Figures		best = run_queries(pages, build, query, exact, search, prepared, ef);

	for (int i = 1; i < build->options->repeat; i++)
	{
		Figures		f = run_queries(pages, build, query, exact, search, prepared, ef);

		best.us = f.us < best.us ? f.us : best.us;
	}
	return best;
}

static Figures
between(const Figures *a, const Figures *b, double recall)
{
	double		t = (recall - a->recall) / (b->recall - a->recall);
	Figures		f = {recall, a->us + (b->us - a->us) * t, a->pages + (b->pages - a->pages) * t,
	a->hops + (b->hops - a->hops) * t, a->ef + (b->ef - a->ef) * t};

	return f;
}

static void
sweep(Pages *pages, const Build *build, const Vectors *query, const float *exact)
{
	static const int efs[] = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640, 1000};
	static const double targets[] = {0.90, 0.95, 0.99};
	GraphSearch search;
	QuantQuery *prepared;
	Figures		last = {0, 0, 0, 0, 0};
	int			target = 0;

	search_init(&search, 1000, 1000, get_memory(search_size(1000, 1000)));
	prepared = quant_query_init(build->model, get_memory(quant_query_size(build->model)));
	run_queries(pages, build, query, exact, &search, prepared, 40);

	for (size_t i = 0; i < sizeof(efs) / sizeof(efs[0]) && target < 3; i++)
	{
		Figures		f = best_run(pages, build, query, exact, &search, prepared, efs[i]);

		if (build->options->raw)
			printf("  ef %4d: recall %.4f, %.1f us, %.1f pages, %.1f hops\n",
				   efs[i], f.recall, f.us, f.pages, f.hops);
		for (; target < 3 && f.recall >= targets[target]; target++)
		{
			Figures		x = last.us > 0 ? between(&last, &f, targets[target]) : f;

			printf("recall@10 %.2f%s: %6.1f us %6.1f pages %6.1f hops ef %.0f\n", targets[target],
				   last.us > 0 ? "" : "+", x.us, x.pages, x.hops, x.ef);
		}
		last = f;
	}
	if (target < 3)
		printf("recall@10 reaches %.4f only\n", last.recall);
}

/* recall and cost at given values of hnsw.ef_search: beam and records as of a scan */
static void
measure(Pages *pages, const Build *build, const Vectors *query, const float *exact)
{
	GraphSearch search;
	QuantQuery *prepared;
	const char *next = build->options->searches;

	search_init(&search, 4096, 1000, get_memory(search_size(4096, 1000)));
	prepared = quant_query_init(build->model, get_memory(quant_query_size(build->model)));
	while (*next != '\0')
	{
		int			ef = atoi(next);
		int			beam = pages->layout.ngroups > 0 ? 2 * ef + ef / 4 + 8 : ef + ef / 8 + 2;
		Figures		f = best_run(pages, build, query, exact, &search, prepared, beam);

		printf("ef_search %4d: recall %.4f, %.1f us, %.1f pages, %.1f hops\n",
			   ef, f.recall, f.us, f.pages, f.hops);
		next += strcspn(next, ",");
		next += *next == ',';
	}
}

static void
usage(void)
{
	die("usage: layout [options] base query l2|ip|cosine\n"
		"  --m N  --ef-construction N  --nav-bits N  --sketch-dims N (-1: none)  --untrained  --no-peeks\n"
		"  --threads N  --refine N (candidates)  --record full|half|int8  --entries N (0: descend)  --fixed-entries\n"
		"  --pin-ns NS  --limit ROWS  --repeat N  --raw  --cache FOLDER\n"
		"  --ef-search N,N... (beams as in a scan, no sweep)  --seed N");
}

static void
parse_options(int argc, char **argv, Options *o)
{
	static const struct option names[] = {
		{"m", 1, NULL, 'm'}, {"ef-construction", 1, NULL, 'f'}, {"nav-bits", 1, NULL, 'b'},
		{"sketch-dims", 1, NULL, 's'}, {"untrained", 0, NULL, 'u'}, {"no-peeks", 0, NULL, 'P'}, {"threads", 1, NULL, 't'},
		{"refine", 1, NULL, 'r'}, {"record", 1, NULL, 'k'}, {"entries", 1, NULL, 'e'},
		{"pin-ns", 1, NULL, 'p'}, {"repeat", 1, NULL, 'n'}, {"limit", 1, NULL, 'l'}, {"raw", 0, NULL, 'w'},
		{"cache", 1, NULL, 'c'}, {"ef-search", 1, NULL, 'x'}, {"seed", 1, NULL, 'S'},
		{"fixed-entries", 0, NULL, 'F'}, {NULL, 0, NULL, 0}
	};
	int			c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
	{
		switch (c)
		{
			case 'm': o->m = atoi(optarg); break;
			case 'f': o->ef_construction = atoi(optarg); break;
			case 'b': o->nav_bits = atoi(optarg); break;
			case 's': o->sketch_dims = atoi(optarg); break;
			case 'u': o->untrained = true; break;
			case 'P': o->no_peeks = true; break;
			case 't': o->threads = atoi(optarg); break;
			case 'r': o->refine = atoi(optarg); break;
			case 'e': o->entries = atoi(optarg) / SKETCH_ALIGN * SKETCH_ALIGN; break;
			case 'p': o->pin_ns = atof(optarg); break;
			case 'n': o->repeat = atoi(optarg); break;
			case 'l': o->limit = atoi(optarg); break;
			case 'w': o->raw = true; break;
			case 'c': o->cache = optarg; break;
			case 'x': o->searches = optarg; break;
			case 'F': o->fixed_entries = true; break;
			case 'S': o->seed = atoi(optarg); break;
			case 'k':
				o->kind = strcmp(optarg, "half") == 0 ? REFINE_HALF :
					strcmp(optarg, "int8") == 0 ? REFINE_INT8 : REFINE_FULL;
				break;
			default: usage();
		}
	}
	if (o->m < 2 || o->m > GRAPH_MAX_M || o->ef_construction < 1 ||
		o->ef_construction > GRAPH_MAX_EF || o->threads < 1 || o->threads > 64 ||
		o->entries > ENTRY_MAX_LINKS || o->limit < 1 || argc - optind != 3)
		usage();
}

int
main(int argc, char **argv)
{
	Options		options = {16, 64, 0, 0, false, false, 1, 20, 248, 200, 100000000, 3, false, false, NULL, 0,
	"build", REFINE_FULL};
	const char *metric_name;
	QuantMetric metric;
	Vectors		base;
	Vectors		query;
	QuantModel *model;
	Build		build;
	Pages		pages;
	double		start;
	float	   *exact;

	vec_kernels_init();
	parse_options(argc, argv, &options);
	metric_name = argv[optind + 2];
	metric = strcmp(metric_name, "ip") == 0 ? QUANT_IP :
		strcmp(metric_name, "cosine") == 0 ? QUANT_COSINE : QUANT_L2;
	base = load(argv[optind], options.limit);
	query = load(argv[optind + 1], MAX_QUERIES);
	if (base.dim != query.dim)
		die("base has %d dimensions, queries have %d", base.dim, query.dim);
	if (metric == QUANT_COSINE)
	{
		normalise(&base);
		normalise(&query);
	}
	printf("%s: %d x %d, %d queries, %s, %s kernels\n", argv[optind], base.n, base.dim, query.n,
		   metric_name, vec_kernels->name);
	exact = exact_answers(&base, &query, metric, options.cache);

	start = seconds(CLOCK_MONOTONIC);
	model = train(&base, &options, metric);
	printf("training %.2f s; %d-bit codes, %d x %d-bit sketches, edge energy %.2f, model %u bytes\n",
		   seconds(CLOCK_MONOTONIC) - start, model->nav_bits, model->sketch_dims, model->sketch_bits,
		   model->edge_energy, model->size);
	build_graph(&build, &options, &base, model);
	start = seconds(CLOCK_MONOTONIC);
	write_pages(&pages, &build);
	printf("graph %.1f s, %.1f s of CPU with %d threads, %.0f distances per row, %u nodes, %u attached; "
		   "pages %.1f s\n", build.seconds, build.cpu, options.threads, (double) build.ndistances / base.n,
		   pages.nnodes, build.attached, seconds(CLOCK_MONOTONIC) - start);
	printf("nav slot %u bytes, %u a page: %.0f bytes per node; upper %.0f, refine %zu; "
		   "build memory %.0f bytes per row\n", pages.layout.size, pages.nav_per_page,
		   (double) PAGE_SIZE / pages.nav_per_page,
		   (double) pages.nupper * PAGE_SIZE / pages.upper_per_page / pages.nnodes,
		   pages.refine_bytes, graph_memory(&build.graph.params, &build.graph.metric, base.n) / base.n);
	while (pin_cost(&pages) < options.pin_ns)
		pages.spin += 20;
	printf("pin %.0f ns\n", pin_cost(&pages));
	code_recall(&pages, &build, &query, exact);
	if (options.searches != NULL)
		measure(&pages, &build, &query, exact);
	else
		sweep(&pages, &build, &query, exact);
	return 0;
}

/*-------------------------------------------------------------------------
 *
 * layout_pages.h
 *	  Part of layout.c: the graph as an array of page images, and pins of them that
 *	  cost what they do in a server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BENCH_LAYOUT_PAGES_H
#define VECEXT_BENCH_LAYOUT_PAGES_H

#include "layout_graph.h"

#define PAGE_SIZE		8192
#define PAGE_HEADER		24

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

#endif							/* VECEXT_BENCH_LAYOUT_PAGES_H */

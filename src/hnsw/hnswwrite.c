/*-------------------------------------------------------------------------
 *
 * hnswwrite.c
 *	  From a finished graph to pages.
 *
 * The pages exist already, as zeros, and the plan says what each will hold.
 * Nav and refine pages are written by all participants, units of some pages at
 * a time, the others by the leader; each goes to WAL when its unit is complete.
 * The metapage is filled in when all else is there.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "access/xloginsert.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define CACHE_LINE		64

typedef struct Writer
{
	HnswBuild  *build;
	const HnswIndex *index;
	const SlotLayout *layout;
	const HnswPlan *plan;
	ForkNumber	fork;
	uint8_t    *code;			/* scratch: a page code */
	HnswItems **records;		/* by participant */
	HnswItems **rows;			/* the same, with filter columns */
	uint64	   *row;			/* scratch: a row's address and keys */
	BlockNumber next;			/* block to be written */
} Writer;

/*--- pages ---------------------------------------------------------------*/

/* the next page, locked; "used" bytes of it, zero, are for the caller to fill */
static Buffer
new_page(Writer *w, HnswPageKind kind, Size used)
{
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();
	buffer = ReadBufferExtended(w->build->rel, w->fork, w->next++, RBM_ZERO_AND_LOCK, NULL);
	hnsw_page_init(BufferGetPage(buffer), kind, used);
	return buffer;
}

static void
end_page(Buffer buffer)
{
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* the last page of slots: with room left it is the list of such pages */
static void
end_last_page(Buffer buffer, bool room)
{
	if (!BufferIsValid(buffer))
		return;
	if (room)
		HnswPageGetOpaque(BufferGetPage(buffer))->next = 0;
	end_page(buffer);
}

/* bytes over as many pages as they take */
static void
write_bytes(Writer *w, HnswPageKind kind, const uint8_t *bytes, Size size)
{
	for (Size done = 0; done < size; done += HNSW_PAGE_ROOM)
	{
		Size		n = Min(size - done, HNSW_PAGE_ROOM);
		Buffer		buffer = new_page(w, kind, n);
		Page		page = BufferGetPage(buffer);

		memcpy(HnswPageData(page), bytes + done, n);
		if (kind == HNSW_PAGE_VALUE && done + n < size)
			HnswPageGetOpaque(page)->next = w->next;
		end_page(buffer);
	}
}

/* to WAL, if there is need for it */
static void
log_pages(const Writer *w, BlockNumber first, BlockNumber end)
{
	if (first < end && (RelationNeedsWAL(w->build->rel) || w->fork == INIT_FORKNUM))
		log_newpage_range(w->build->rel, w->fork, first, end, true);
}

/*--- addresses -----------------------------------------------------------*/

static uint32
upper_id(const Writer *w, uint32 number)
{
	return w->plan->upper_start * w->index->uppers_per_page + number;
}

/*--- nodes ---------------------------------------------------------------*/

/* an exact code: the head of the value and where its rest lies */
static void
exact_code(const Writer *w, uint32 node)
{
	const struct varlena *plain =
		hnsw_build_value(w->build, graph_code(&w->build->graph, node));
	BlockNumber rest = w->build->rest[w->build->place[node]];
	HnswExactHead head = {(int32) VARSIZE(plain), InvalidBlockNumber};

	if (rest != InvalidBlockNumber)
		head.rest = w->plan->value_start + rest;
	memset(w->code, 0, w->layout->code_size);
	memcpy(w->code, &head, sizeof(head));
	memcpy(w->code + sizeof(head), plain, Min(VARSIZE(plain), w->index->params.exact_size));
}

/*
 * The page code of a node, in w->code.  From the graph's code where that has
 * more bits: what the second rounding adds is small, and part of the residual.
 */
static void
page_code(const Writer *w, uint32 node)
{
	const QuantModel *model = w->index->model;
	const uint8_t *code;
	NavHead		built;
	NavHead		head;

	if (model == NULL)
	{
		exact_code(w, node);
		return;
	}
	code = graph_code(&w->build->graph, node);
	if (model->nav_bits == quant_build_bits(model))
	{
		memcpy(w->code, code, w->layout->code_size);
		return;
	}
	memcpy(&built, code, sizeof(built));
	nav_decode(model, quant_build_bits(model), code, w->build->nav);
	nav_encode(model, model->nav_bits, w->build->nav, built.residual, w->code);
	memcpy(&head, w->code, sizeof(head));
	head.normsq = built.normsq;
	head.mean_dot = built.mean_dot;
	memcpy(w->code, &head, sizeof(head));
}

/* let the memory system start on what the sketch of a link is made of */
static void
fetch_link(const HnswBuild *build, uint32 to)
{
	const char *code = (const char *) graph_code(&build->graph, to);
	const char *coords = (const char *) hnsw_coords(build, to);

	for (Size i = 0; i < build->nav_size; i += CACHE_LINE)
		__builtin_prefetch(code + i);
	for (Size i = 0; i < hnsw_coords_size(build); i += CACHE_LINE)
		__builtin_prefetch(coords + i);
}

/* the links of the node at a place */
static void
write_links(const Writer *w, uint32 place, uint8_t *slot)
{
	const Graph *graph = &w->build->graph;
	const QuantModel *model = w->index->model;
	uint32_t	ids[2 * GRAPH_MAX_M];
	uint32		node = w->build->order[place];
	int			n = graph_final_links(graph, node, w->layout->links, ids);

	for (int i = 0; i < n; i++)
	{
		uint32		to = w->build->place[ids[i]];
		SketchEdge	edge;

		if (w->layout->ngroups > 0)
		{
			if (i + 1 < n)
				fetch_link(w->build, ids[i + 1]);
			sketch_encode(model, hnsw_coords(w->build, node), hnsw_coords(w->build, ids[i]),
						  nav_edge(model, quant_build_bits(model), graph_code(graph, node),
								   graph_code(graph, ids[i])), &edge);
		}
		slot_set_link(w->layout, slot, i, to, &edge);
	}
}

/* an item by the name that hnsw_item_name() gave it */
static void
read_item(HnswItems **items, uint64 name, void *item)
{
	hnsw_items_read(items[name >> 48], name & ((UINT64CONST(1) << 48) - 1), item);
}

/* the address of a row of the graph; w->row has its keys */
static ItemPointerData
read_row(const Writer *w, uint64 name)
{
	ItemPointerData tid;

	w->row[0] = name;
	if (w->rows != NULL)
		read_item(w->rows, name, w->row);
	ItemPointerSet(&tid, (BlockNumber) (w->row[0] >> 16), (OffsetNumber) w->row[0]);
	return tid;
}

/* have the rows of a node different keys?  These are the first one's. */
static bool
is_mixed(const Writer *w, uint32 node, const uint64 *keys)
{
	const Graph *graph = &w->build->graph;
	uint32		d = graph_first_duplicate(graph, node);
	bool		mixed = false;

	while (w->rows != NULL && d != GRAPH_NONE && !mixed)
	{
		uint64_t	row;

		d = graph_next_duplicate(graph, d, &row);
		read_row(w, row);
		mixed = memcmp(w->row + 1, keys, (Size) w->layout->nkeys * sizeof(uint64)) != 0;
	}
	return mixed;
}

/* "more" is the next tids slot, and goes up by those the node takes */
static void
write_slot(const Writer *w, uint32 place, uint32 *more, uint8_t *slot)
{
	const Graph *graph = &w->build->graph;
	uint32		node = w->build->order[place];
	uint32		upper = w->build->upper[node];
	uint32		ntids = hnsw_tids_slots(w->build, node);
	ItemPointerData tid = read_row(w, graph_row(graph, node));
	NavSlotHead *head = (NavSlotHead *) (void *) slot;

	page_code(w, node);
	slot_init(w->layout, slot, graph_level(graph, node), (const uint8_t *) &tid, w->code);
	slot_set_keys(w->layout, slot, w->row + 1);
	head->flags = is_mixed(w, node, slot_keys(w->layout, slot)) ? SLOT_MIXED : 0;
	head->more = ntids == 0 ? LINK_NONE :
		w->plan->tids_start * w->index->tids_per_page + *more;
	head->upper = upper == HNSW_NO_UPPER ? LINK_NONE : upper_id(w, upper);
	*more += ntids;
	write_links(w, place, slot);
}

/* a unit of nav pages */
static void
write_nav(Writer *w, BlockNumber start, BlockNumber end)
{
	uint32		per_page = w->index->slots_per_page;
	uint32		more = w->build->unit_tids[(start - w->plan->nav_start) / HNSW_UNIT_PAGES];

	for (w->next = start; w->next < end;)
	{
		uint32		first = (w->next - w->plan->nav_start) * per_page;
		int			n = Min(w->plan->nnodes - first, per_page);
		Buffer		buffer = new_page(w, HNSW_PAGE_NAV, (Size) per_page * w->layout->size);

		for (int i = 0; i < n; i++)
			write_slot(w, first + i, &more, hnsw_slot(w->index, BufferGetPage(buffer), i));
		end_page(buffer);
		pg_atomic_fetch_add_u64(&w->build->shared->nodes_written, n);
	}
}

/* a unit of filter pages */
static void
write_filter(Writer *w, BlockNumber start, BlockNumber end)
{
	uint32		entries = w->index->filter_entries;
	uint64	   *keys = palloc(sizeof(uint64) * Max(w->layout->nkeys, 1));

	for (w->next = start; w->next < end;)
	{
		uint32		first = (w->next - w->plan->filter_start) * entries;
		Buffer		buffer = new_page(w, HNSW_PAGE_FILTER, 0);

		for (uint32 i = 0; i < entries && first + i < w->plan->nnodes; i++)
		{
			uint32		node = w->build->order[first + i];

			read_row(w, graph_row(&w->build->graph, node));
			memcpy(keys, w->row + 1, sizeof(uint64) * (Size) w->layout->nkeys);
			hnsw_filter_fill(w->index, BufferGetPage(buffer), (int) i, keys,
							 is_mixed(w, node, keys));
		}
		end_page(buffer);
	}
	pfree(keys);
}

/*--- refine records ------------------------------------------------------*/

/* the record of a node, from the file of who inserted it */
static void
read_record(const Writer *w, uint32 node, uint8_t *record)
{
	read_item(w->records, hnsw_trailer(w->build, graph_code(&w->build->graph, node))->where,
			  record);
}

/* a unit of refine pages; records run on over their ends */
static void
write_refine(Writer *w, BlockNumber start, BlockNumber end)
{
	Size		size = w->index->params.refine_size;
	uint64		at = (uint64) (start - w->plan->refine_start) * HNSW_PAGE_ROOM;
	uint64		place = at / size;
	Size		done = (Size) (at % size);	/* of the record */

	if (done > 0 && place < w->plan->nnodes)
		read_record(w, w->build->order[place], w->build->record);
	for (w->next = start; w->next < end;)
	{
		Buffer		buffer = new_page(w, HNSW_PAGE_REFINE, HNSW_PAGE_ROOM);
		uint8_t    *to = HnswPageData(BufferGetPage(buffer));
		Size		room = HNSW_PAGE_ROOM;

		while (room > 0 && place < w->plan->nnodes)
		{
			Size		n = Min(size - done, room);

			if (n == size)
				read_record(w, w->build->order[place], to);
			else
			{
				if (done == 0)
					read_record(w, w->build->order[place], w->build->record);
				memcpy(to, w->build->record + done, n);
			}
			to += n;
			room -= n;
			done += n;
			if (done == size)
			{
				place++;
				done = 0;
			}
		}
		end_page(buffer);
	}
}

/* a file of each participant, to be read */
static HnswItems **
open_files(const Writer *w, const char *what, HnswItems *own, Size size)
{
	HnswBuild  *build = w->build;
	int			n = build->shared->participants;
	HnswItems **files = palloc0(sizeof(HnswItems *) * (Size) n);

	for (int i = 0; i < n; i++)
		files[i] = i == build->participant ? own : hnsw_items_open(build, what, i, size);
	return files;
}

static void
close_files(const Writer *w, HnswItems **files)
{
	for (int i = 0; files != NULL && i < w->build->shared->participants; i++)
	{
		if (i != w->build->participant)
			hnsw_items_close(files[i]);
	}
}

/*--- upper levels, entry, values, rows -----------------------------------*/

/* all levels of a node; "slots" is where its first one is */
static void
make_upper(const Writer *w, uint32 node, int level, uint8_t *slot)
{
	const Graph *graph = &w->build->graph;
	uint32_t	ids[2 * GRAPH_MAX_M + GRAPH_SLACK];
	int			n = Min(graph_links(graph, node, level, ids), w->layout->upper_links);

	for (int i = 0; i < n; i++)
		ids[i] = upper_id(w, w->build->upper[ids[i]]) + level - 1;
	page_code(w, node);
	upper_init(w->layout, slot, w->build->place[node], level, ids, n, w->code);
}

static void
write_upper(Writer *w)
{
	int			per_page = w->index->uppers_per_page;
	Buffer		buffer = InvalidBuffer;
	uint32		done = 0;

	for (uint32 i = 0; i < w->plan->nnodes; i++)
	{
		int			top = graph_level(&w->build->graph, w->build->order[i]);

		for (int level = 1; level <= top; level++)
		{
			if (done % per_page == 0)
			{
				if (BufferIsValid(buffer))
					end_page(buffer);
				buffer = new_page(w, HNSW_PAGE_UPPER, (Size) per_page * w->layout->upper_size);
			}
			make_upper(w, w->build->order[i], level, HnswPageData(BufferGetPage(buffer)) +
					   (Size) (done % per_page) * w->layout->upper_size);
			done++;
		}
	}
	end_last_page(buffer, done % per_page != 0);
}

/* one entry slot: n nodes, seen from the origin of nav space */
static void
write_entry_slot(Writer *w, const uint32 *nodes, int n)
{
	const QuantModel *model = w->index->model;
	int			ngroups = w->layout->ngroups;
	int			nlinks = (n + SKETCH_ALIGN - 1) / SKETCH_ALIGN * SKETCH_ALIGN;
	Size		size = entry_size(ngroups, nlinks);
	float	   *origin = palloc0(sizeof(float) * (model->sketch_dims + 1));
	uint8_t    *entry = palloc(size);

	entry_init(entry, ngroups, nlinks);
	for (int i = 0; i < n; i++)
	{
		SketchEdge	edge;

		sketch_encode(model, origin, hnsw_coords(w->build, nodes[i]),
					  nav_edge_from_origin(graph_code(&w->build->graph, nodes[i])), &edge);
		entry_set_link(entry, ngroups, i, w->build->place[nodes[i]], &edge);
	}
	write_bytes(w, HNSW_PAGE_ENTRY, entry, size);
	pfree(entry);
	pfree(origin);
}

static void
write_entries(Writer *w)
{
	uint32		room = entry_room(w->layout->ngroups, HNSW_PAGE_ROOM);

	for (uint32 i = 0; i < w->build->entries->n; i += room)
		write_entry_slot(w, w->build->entries->node + i, Min(room, w->build->entries->n - i));
}

static void
write_values(Writer *w)
{
	Size		first = w->index->params.exact_size;

	for (uint32 i = 0; i < w->plan->nnodes; i++)
	{
		const struct varlena *plain;

		if (w->build->rest[i] == InvalidBlockNumber)
			continue;
		plain = hnsw_build_value(w->build, graph_code(&w->build->graph, w->build->order[i]));
		write_bytes(w, HNSW_PAGE_VALUE, (const uint8_t *) plain + first, VARSIZE(plain) - first);
	}
}

/* the page of the next tids slot */
static HnswTidsSlot *
next_tids_slot(Writer *w, Buffer *buffer, uint64 done)
{
	uint32		i = (uint32) (done % w->index->tids_per_page);
	HnswTidsSlot *slot;

	if (i == 0)
	{
		if (BufferIsValid(*buffer))
			end_page(*buffer);
		*buffer = new_page(w, HNSW_PAGE_TIDS,
						   w->index->tids_per_page * w->index->tids_size);
	}
	slot = (HnswTidsSlot *) (void *) (HnswPageData(BufferGetPage(*buffer)) +
									  i * w->index->tids_size);
	slot->next = LINK_NONE;
	return slot;
}

static void
write_tids(Writer *w)
{
	const Graph *graph = &w->build->graph;
	Size		nwords = w->index->params.nwords;
	Buffer		buffer = InvalidBuffer;
	uint64		done = 0;

	for (uint32 i = 0; i < w->plan->nnodes; i++)
	{
		uint32		d = graph_first_duplicate(graph, w->build->order[i]);
		HnswTidsSlot *slot = NULL;

		while (d != GRAPH_NONE)
		{
			uint64_t	row;

			if (slot == NULL || slot->ntids == HNSW_TIDS_PER_SLOT)
			{
				if (slot != NULL)
					slot->next = (uint32) ((uint64) w->plan->tids_start *
										   w->index->tids_per_page + done);
				slot = next_tids_slot(w, &buffer, done++);
			}
			d = graph_next_duplicate(graph, d, &row);
			slot->tids[slot->ntids] = read_row(w, row);
			if (nwords > 0)
				memcpy(hnsw_tids_keys(slot, nwords, slot->ntids), w->row + 1,
					   nwords * sizeof(uint64));
			slot->ntids++;
		}
	}
	end_last_page(buffer, done % w->index->tids_per_page != 0);
}

/*--- the metapage --------------------------------------------------------*/

static void
fill_meta(const Writer *w, HnswMetaPage meta)
{
	const HnswIndex *index = w->index;
	uint32		nnav = w->plan->refine_start - w->plan->nav_start;

	meta->magic = HNSW_MAGIC;
	meta->version = HNSW_VERSION_OF(index->params.nwords);
	if (!pg_strong_random(&meta->build_id, sizeof(meta->build_id)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	meta->params = index->params;
	meta->model_start = w->plan->model_start;
	meta->model_bytes = index->model ? index->model->size : 0;
	meta->entry_page = w->plan->entry_start < w->plan->nav_start ?
		w->plan->entry_start : InvalidBlockNumber;
	meta->entry_upper = LINK_NONE;
	meta->entry_node = LINK_NONE;
	meta->upper_hint = InvalidBlockNumber;
	meta->tids_hint = InvalidBlockNumber;
	meta->free_hint = w->plan->nnodes;
	if (w->plan->nnodes > 0)
	{
		int			level;
		uint32		entry = graph_entry(&w->build->graph, &level);

		meta->entry_node = w->build->place[entry];
		meta->entry_level = level;
		if (level > 0)
			meta->entry_upper = upper_id(w, w->build->upper[entry]) + level - 1;
		meta->nsegments = 1;
		meta->segments[0] = (HnswSegment)
		{
			w->plan->nav_start, 0, nnav
		};
	}
	if (w->plan->nupper % index->uppers_per_page != 0)
		meta->upper_hint = w->plan->value_start - 1;
	if (w->plan->ntids % w->index->tids_per_page != 0)
		meta->tids_hint = w->plan->end - 1;
}

static void
write_meta(Writer *w)
{
	Buffer		buffer = ReadBufferExtended(w->build->rel, w->fork, 0, RBM_NORMAL, NULL);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	fill_meta(w, HnswPageGetMeta(BufferGetPage(buffer)));
	end_page(buffer);
}

/*--- all -----------------------------------------------------------------*/

static void
init_writer(Writer *w, HnswBuild *build, const HnswPlan *plan, ForkNumber fork)
{
	memset(w, 0, sizeof(*w));
	w->build = build;
	w->index = &build->index;
	w->layout = &build->index.layout;
	w->plan = plan;
	w->fork = fork;
	w->code = MemoryContextAlloc(build->context, MAXALIGN(w->layout->code_size));
	w->row = MemoryContextAllocZero(build->context, hnsw_row_size(build));
}

typedef void (*WriteUnit) (Writer *w, BlockNumber start, BlockNumber end);

/* take, write and log units of the pages from start to end, until all are taken */
static void
write_units(Writer *w, WriteUnit write, pg_atomic_uint64 *counter, BlockNumber start,
			BlockNumber end)
{
	uint64		n = ((uint64) end - start + HNSW_UNIT_PAGES - 1) / HNSW_UNIT_PAGES;
	pg_atomic_uint64 *written = &w->build->shared->nodes_written;
	uint64		unit;

	while ((unit = pg_atomic_fetch_add_u64(counter, 1)) < n)
	{
		BlockNumber first = start + (BlockNumber) unit * HNSW_UNIT_PAGES;
		BlockNumber last = Min(end - first, HNSW_UNIT_PAGES) + first;

		write(w, first, last);
		log_pages(w, first, last);
		if (w->build->participant == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
										 (int64) pg_atomic_read_u64(written));
	}
}

/*
 * hnsw_write_units
 *		A participant's part of nav and refine pages.
 */
void
hnsw_write_units(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	const HnswPlan *plan = &shared->plan;
	Writer		w;

	init_writer(&w, build, plan, MAIN_FORKNUM);
	if (build->index.params.nwords > 0)
		w.rows = open_files(&w, HNSW_ROWS, build->rows, hnsw_row_size(build));
	write_units(&w, write_nav, &shared->next_nav, plan->nav_start, plan->refine_start);
	write_units(&w, write_filter, &shared->next_filter, plan->filter_start, plan->upper_start);
	close_files(&w, w.rows);
	if (build->index.params.refine_size > 0)
		w.records = open_files(&w, HNSW_RECORDS, build->records,
							   build->index.params.refine_size);
	write_units(&w, write_refine, &shared->next_refine, plan->refine_start, plan->filter_start);
	close_files(&w, w.records);
}

/* metapage, unfilled, and model */
static void
write_head(Writer *w)
{
	const QuantModel *model = w->index->model;

	w->next = 0;
	end_page(new_page(w, HNSW_PAGE_META, sizeof(HnswMetaPageData)));
	if (model != NULL)
		write_bytes(w, HNSW_PAGE_MODEL, (const uint8_t *) model, model->size);
}

/*
 * hnsw_write_rest
 *		The leader's part: all pages but those, the metapage yet to be filled.
 */
void
hnsw_write_rest(HnswBuild *build)
{
	const HnswPlan *plan = &build->shared->plan;
	Writer		w;

	init_writer(&w, build, plan, MAIN_FORKNUM);
	write_head(&w);
	if (plan->entry_start < plan->nav_start)
		write_entries(&w);
	w.next = plan->upper_start;
	write_upper(&w);
	if (build->index.model == NULL)
		write_values(&w);
	if (build->index.params.nwords > 0)
		w.rows = open_files(&w, HNSW_ROWS, build->rows, hnsw_row_size(build));
	write_tids(&w);
	close_files(&w, w.rows);
	if (w.next != plan->end)
		elog(ERROR, "index \"%s\" has %u pages, not %u",
			 RelationGetRelationName(build->rel), w.next, plan->end);
	log_pages(&w, 1, plan->nav_start);
	log_pages(&w, plan->upper_start, plan->end);
}

/*
 * hnsw_write_meta
 *		Last of all, fill in the metapage.
 */
void
hnsw_write_meta(HnswBuild *build)
{
	Writer		w;

	init_writer(&w, build, &build->shared->plan, MAIN_FORKNUM);
	write_meta(&w);
	log_pages(&w, 0, 1);
}

/*
 * hnsw_write_empty
 *		An index without nodes, in a fork without blocks.
 */
void
hnsw_write_empty(HnswBuild *build, ForkNumber fork)
{
	HnswPlan	plan = {0};
	Writer		w;

	hnsw_finish_empty(build, &plan, fork);
	init_writer(&w, build, &plan, fork);
	write_head(&w);
	write_meta(&w);
	log_pages(&w, 0, plan.end);
}

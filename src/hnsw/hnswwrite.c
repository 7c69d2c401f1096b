/*-------------------------------------------------------------------------
 *
 * hnswwrite.c
 *	  From a finished graph to pages.
 *
 * All sizes are known, so every address is computed before the first page is
 * written, and the pages are written in the order of their blocks:
 *
 *	meta | model | entry | nav | refine | upper | value | tids
 *
 * Pages go through shared buffers, and to WAL all together at the end.  Only
 * then is the metapage filled in.
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

/* no upper slot */
#define UPPER_NONE		UINT32_MAX

/* by "place": a node's id on pages.  By "node": its id in the graph. */
typedef struct Writer
{
	HnswBuild  *build;
	const HnswIndex *index;
	const SlotLayout *layout;
	ForkNumber	fork;
	uint32		nnodes;
	uint32	   *order;			/* node at a place */
	uint32	   *place;			/* of a node */
	uint32	   *upper;			/* number of a node's first upper slot; none: UPPER_NONE */
	uint32		nupper;
	BlockNumber *rest;			/* exact: first value page of the node at a place */
	float	   *coords;			/* sketched coordinates, by place */
	float	   *nav;			/* scratch: dim floats */
	uint8_t    *code;			/* scratch: a page code */
	BufFile   **records;		/* by participant */
	uint64		ntids;			/* tids slots given out */

	BlockNumber next;			/* block to be written */
	BlockNumber model_start;
	BlockNumber entry_start;
	BlockNumber nav_start;
	BlockNumber refine_start;
	BlockNumber upper_start;
	BlockNumber value_start;
	BlockNumber tids_start;
	BlockNumber end;
} Writer;

/*--- pages ---------------------------------------------------------------*/

/* the next page, locked; "used" bytes of it, zero, are for the caller to fill */
static Buffer
new_page(Writer *w, HnswPageKind kind, Size used)
{
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();
	buffer = ReadBufferExtended(w->build->rel, w->fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);
	if (BufferGetBlockNumber(buffer) != w->next)
		elog(ERROR, "block %u of index \"%s\" was written by somebody else",
			 BufferGetBlockNumber(buffer), RelationGetRelationName(w->build->rel));
	w->next++;
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

static uint64
pages_for(uint64 bytes)
{
	return (bytes + HNSW_PAGE_ROOM - 1) / HNSW_PAGE_ROOM;
}

/*--- addresses -----------------------------------------------------------*/

/* value pages of a node */
static BlockNumber
value_pages(const Writer *w, uint32 node)
{
	Size		size = VARSIZE(hnsw_build_value(w->build, graph_code(&w->build->graph, node)));
	Size		first = w->index->params.exact_size;

	return size <= first ? 0 : (BlockNumber) pages_for(size - first);
}

/* number upper slots and value pages in the order of places */
static uint64
number_nodes(Writer *w)
{
	uint64		values = 0;

	for (uint32 i = 0; i < w->nnodes; i++)
	{
		int			level = graph_level(&w->build->graph, w->order[i]);

		w->place[w->order[i]] = i;
		w->upper[w->order[i]] = level > 0 ? w->nupper : UPPER_NONE;
		w->nupper += level;
		if (w->rest != NULL)
		{
			BlockNumber n = value_pages(w, w->order[i]);

			w->rest[i] = n > 0 ? (BlockNumber) values : InvalidBlockNumber;
			values += n;
		}
	}
	return values;
}

static int
entry_links_wanted(const Writer *w)
{
	int			n = Min(ENTRY_MAX_LINKS, (w->nnodes + SKETCH_ALIGN - 1) / SKETCH_ALIGN *
						SKETCH_ALIGN);

	while (n > 0 && entry_size(w->layout->ngroups, n) > HNSW_PAGE_ROOM)
		n -= SKETCH_ALIGN;
	return n;
}

/* start of every kind of page; raises 54000 where ids would not do */
static void
lay_out(Writer *w, uint64 values)
{
	const HnswIndex *index = w->index;
	uint64		nnav = ((uint64) w->nnodes + index->slots_per_page - 1) / index->slots_per_page;
	uint64		block = 1;

	w->model_start = block;
	block += index->model ? pages_for(index->model->size) : 0;
	w->entry_start = block;
	block += w->layout->ngroups > 0 && w->nnodes > 0;
	w->nav_start = block;
	block += nnav;
	w->refine_start = block;
	block += pages_for(nnav * index->slots_per_page * index->params.refine_size);
	w->upper_start = block;
	block += ((uint64) w->nupper + index->uppers_per_page - 1) / index->uppers_per_page;
	w->value_start = block;
	block += values;
	if (block * HNSW_TIDS_SLOTS >= LINK_NONE || block * index->uppers_per_page >= LINK_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" would have too many pages",
						RelationGetRelationName(w->build->rel))));
	w->tids_start = block;
}

static uint32
upper_id(const Writer *w, uint32 number)
{
	return w->upper_start * w->index->uppers_per_page + number;
}

/*--- nodes ---------------------------------------------------------------*/

/* an exact code: the head of the value and where its rest lies */
static void
exact_code(const Writer *w, uint32 node)
{
	const struct varlena *plain =
		hnsw_build_value(w->build, graph_code(&w->build->graph, node));
	BlockNumber rest = w->rest[w->place[node]];
	HnswExactHead head = {(int32) VARSIZE(plain), InvalidBlockNumber};

	if (rest != InvalidBlockNumber)
		head.rest = w->value_start + rest;
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
	nav_decode(model, quant_build_bits(model), code, w->nav);
	nav_encode(model, model->nav_bits, w->nav, built.residual, w->code);
	memcpy(&head, w->code, sizeof(head));
	head.normsq = built.normsq;
	head.mean_dot = built.mean_dot;
	memcpy(w->code, &head, sizeof(head));
}

/* sketched coordinates of all nodes */
static void
project_nodes(Writer *w)
{
	const QuantModel *model = w->index->model;
	Size		dims = model->sketch_dims;

	w->coords = MemoryContextAllocHuge(w->build->context,
									   mul_size(sizeof(float) * dims, w->nnodes));
	for (uint32 i = 0; i < w->nnodes; i++)
	{
		if (i % 256 == 0)
			CHECK_FOR_INTERRUPTS();
		nav_decode(model, quant_build_bits(model), graph_code(&w->build->graph, w->order[i]),
				   w->nav);
		sketch_project(model, w->nav, w->coords + i * dims);
	}
}

/* the links of the node at a place */
static void
write_links(const Writer *w, uint32 place, uint8_t *slot)
{
	const Graph *graph = &w->build->graph;
	const QuantModel *model = w->index->model;
	uint32_t	ids[2 * GRAPH_MAX_M];
	uint32		node = w->order[place];
	int			n = graph_final_links(graph, node, w->layout->links, ids);

	for (int i = 0; i < n; i++)
	{
		uint32		to = w->place[ids[i]];
		SketchEdge	edge;

		if (w->layout->ngroups > 0)
		{
			Size		dims = model->sketch_dims;

			sketch_encode(model, w->coords + place * dims, w->coords + to * dims,
						  nav_edge(model, quant_build_bits(model), graph_code(graph, node),
								   graph_code(graph, ids[i])), &edge);
		}
		slot_set_link(w->layout, slot, i, to, &edge);
	}
}

static ItemPointerData
tid_of_row(uint64 row)
{
	ItemPointerData tid;

	ItemPointerSet(&tid, (BlockNumber) (row >> 16), (OffsetNumber) row);
	return tid;
}

/* rows of a node beyond the first */
static uint32
count_duplicates(const Graph *graph, uint32 node)
{
	uint32		n = 0;
	uint64_t	row;

	for (uint32 d = graph_first_duplicate(graph, node); d != GRAPH_NONE;
		 d = graph_next_duplicate(graph, d, &row))
		n++;
	return n;
}

/* the next tids slots in a row, enough for a node's further rows */
static uint32
take_tids_slots(Writer *w, uint32 node)
{
	uint32		n = count_duplicates(&w->build->graph, node);
	uint64		first = (uint64) w->tids_start * HNSW_TIDS_SLOTS + w->ntids;

	if (n == 0)
		return LINK_NONE;
	w->ntids += (n + HNSW_TIDS_PER_SLOT - 1) / HNSW_TIDS_PER_SLOT;
	if ((uint64) w->tids_start * HNSW_TIDS_SLOTS + w->ntids >= LINK_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" would have too many pages",
						RelationGetRelationName(w->build->rel))));
	return (uint32) first;
}

static void
write_slot(Writer *w, uint32 place, uint8_t *slot)
{
	const Graph *graph = &w->build->graph;
	uint32		node = w->order[place];
	ItemPointerData tid = tid_of_row(graph_row(graph, node));
	NavSlotHead *head = (NavSlotHead *) (void *) slot;

	page_code(w, node);
	slot_init(w->layout, slot, graph_level(graph, node), (const uint8_t *) &tid, w->code);
	head->more = take_tids_slots(w, node);
	head->upper = w->upper[node] == UPPER_NONE ? LINK_NONE : upper_id(w, w->upper[node]);
	write_links(w, place, slot);
}

static void
write_nav(Writer *w)
{
	int			per_page = w->index->slots_per_page;

	for (uint32 first = 0; first < w->nnodes; first += per_page)
	{
		Buffer		buffer = new_page(w, HNSW_PAGE_NAV, (Size) per_page * w->layout->size);
		int			n = Min(w->nnodes - first, per_page);

		for (int i = 0; i < n; i++)
			write_slot(w, first + i, hnsw_slot(w->index, BufferGetPage(buffer), i));
		end_page(buffer);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, first + n);
	}
}

/*--- refine records ------------------------------------------------------*/

/* the record of a node, from the file of who inserted it */
static void
read_record(const Writer *w, uint32 node, uint8_t *record)
{
	Size		size = w->index->params.refine_size;
	uint64		where = hnsw_trailer(w->build, graph_code(&w->build->graph, node))->where;
	BufFile    *file = w->records[where >> 48];
	uint64		n = where & ((UINT64CONST(1) << 48) - 1);

	if (BufFileSeek(file, 0, (off_t) (n * size), SEEK_SET) != 0 ||
		BufFileRead(file, record, size) != size)
		elog(ERROR, "could not read a record from a temporary file");
}

static void
write_refine(Writer *w)
{
	Size		size = w->index->params.refine_size;
	uint8_t    *record = palloc(size);
	Size		left = 0;		/* of the record */
	uint32		place = 0;

	while (w->next < w->upper_start)
	{
		Buffer		buffer = new_page(w, HNSW_PAGE_REFINE, HNSW_PAGE_ROOM);
		uint8_t    *to = HnswPageData(BufferGetPage(buffer));
		Size		room = HNSW_PAGE_ROOM;

		while (room > 0 && (left > 0 || place < w->nnodes))
		{
			Size		n;

			if (left == 0)
			{
				read_record(w, w->order[place++], record);
				left = size;
			}
			n = Min(left, room);
			memcpy(to, record + size - left, n);
			to += n;
			left -= n;
			room -= n;
		}
		end_page(buffer);
	}
	pfree(record);
}

static void
open_records(Writer *w)
{
	HnswBuild  *build = w->build;

	w->records = palloc0(sizeof(BufFile *) * build->shared->participants);
	if (!build->parallel)
		w->records[0] = build->records;
	else
	{
		for (int i = 0; i < build->shared->participants; i++)
			w->records[i] = hnsw_build_file(build, "records", i, false);
	}
}

static void
close_records(Writer *w)
{
	for (int i = 0; i < w->build->shared->participants && w->build->parallel; i++)
	{
		if (w->records[i] != NULL)
			BufFileClose(w->records[i]);
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
		ids[i] = upper_id(w, w->upper[ids[i]]) + level - 1;
	page_code(w, node);
	upper_init(w->layout, slot, w->place[node], level, ids, n, w->code);
}

static void
write_upper(Writer *w)
{
	int			per_page = w->index->uppers_per_page;
	Buffer		buffer = InvalidBuffer;
	uint32		done = 0;

	for (uint32 i = 0; i < w->nnodes; i++)
	{
		int			top = graph_level(&w->build->graph, w->order[i]);

		for (int level = 1; level <= top; level++)
		{
			if (done % per_page == 0)
			{
				if (BufferIsValid(buffer))
					end_page(buffer);
				buffer = new_page(w, HNSW_PAGE_UPPER, (Size) per_page * w->layout->upper_size);
			}
			make_upper(w, w->order[i], level, HnswPageData(BufferGetPage(buffer)) +
					   (Size) (done % per_page) * w->layout->upper_size);
			done++;
		}
	}
	end_last_page(buffer, done % per_page != 0);
}

static uint32
count_level(const Writer *w, int level)
{
	uint32		n = 0;

	for (uint32 i = 0; i < w->nnodes; i++)
		n += graph_level(&w->build->graph, w->order[i]) == level;
	return n;
}

/*
 * The nodes of the highest levels, seen from the origin of nav space.  Of a
 * level that does not fit they are taken at equal distances: in the order of
 * places neighbors follow each other, and the first ones would leave out the
 * clusters of the others.
 */
static void
write_entry(Writer *w)
{
	const QuantModel *model = w->index->model;
	const Graph *graph = &w->build->graph;
	Size		dims = model->sketch_dims;
	int			nlinks = entry_links_wanted(w);
	Size		size = entry_size(w->layout->ngroups, nlinks);
	float	   *origin = palloc0(sizeof(float) * (dims + 1));
	uint8_t    *entry = palloc(size);
	int			n = 0;

	entry_init(entry, w->layout->ngroups, nlinks);
	for (int level = GRAPH_MAX_LEVEL; level >= 0 && n < nlinks; level--)
	{
		uint64		there = count_level(w, level);
		uint64		taken = Min(there, (uint64) (nlinks - n));
		uint64		seen = 0;

		for (uint32 i = 0; i < w->nnodes; i++)
		{
			SketchEdge	edge;

			if (graph_level(graph, w->order[i]) != level)
				continue;
			seen++;
			if (seen * taken / there == (seen - 1) * taken / there)
				continue;
			sketch_encode(model, origin, w->coords + i * dims,
						  nav_edge_from_origin(graph_code(graph, w->order[i])), &edge);
			entry_set_link(entry, w->layout->ngroups, n++, i, &edge);
		}
	}
	write_bytes(w, HNSW_PAGE_ENTRY, entry, size);
	pfree(entry);
	pfree(origin);
}

static void
write_values(Writer *w)
{
	Size		first = w->index->params.exact_size;

	for (uint32 i = 0; i < w->nnodes; i++)
	{
		const struct varlena *plain;

		if (w->rest[i] == InvalidBlockNumber)
			continue;
		plain = hnsw_build_value(w->build, graph_code(&w->build->graph, w->order[i]));
		write_bytes(w, HNSW_PAGE_VALUE, (const uint8_t *) plain + first, VARSIZE(plain) - first);
	}
}

/* the page of the next tids slot */
static HnswTidsSlot *
next_tids_slot(Writer *w, Buffer *buffer, uint64 done)
{
	int			i = done % HNSW_TIDS_SLOTS;
	HnswTidsSlot *slots;

	if (i == 0)
	{
		if (BufferIsValid(*buffer))
			end_page(*buffer);
		*buffer = new_page(w, HNSW_PAGE_TIDS, HNSW_TIDS_SLOTS * sizeof(HnswTidsSlot));
	}
	slots = (HnswTidsSlot *) HnswPageData(BufferGetPage(*buffer));
	slots[i].next = LINK_NONE;
	return &slots[i];
}

static void
write_tids(Writer *w)
{
	const Graph *graph = &w->build->graph;
	Buffer		buffer = InvalidBuffer;
	uint64		done = 0;

	for (uint32 i = 0; i < w->nnodes; i++)
	{
		uint32		d = graph_first_duplicate(graph, w->order[i]);
		HnswTidsSlot *slot = NULL;

		while (d != GRAPH_NONE)
		{
			uint64_t	row;

			if (slot == NULL || slot->ntids == HNSW_TIDS_PER_SLOT)
			{
				if (slot != NULL)
					slot->next = (uint32) ((uint64) w->tids_start * HNSW_TIDS_SLOTS + done);
				slot = next_tids_slot(w, &buffer, done++);
			}
			d = graph_next_duplicate(graph, d, &row);
			slot->tids[slot->ntids++] = tid_of_row(row);
		}
	}
	end_last_page(buffer, done % HNSW_TIDS_SLOTS != 0);
}

/*--- the metapage --------------------------------------------------------*/

static void
fill_meta(const Writer *w, HnswMetaPage meta)
{
	const HnswIndex *index = w->index;
	uint32		nnav = w->refine_start - w->nav_start;

	meta->magic = HNSW_MAGIC;
	meta->version = HNSW_VERSION;
	if (!pg_strong_random(&meta->build_id, sizeof(meta->build_id)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	meta->params = index->params;
	meta->model_start = w->model_start;
	meta->model_bytes = index->model ? index->model->size : 0;
	meta->entry_page = w->nav_start > w->entry_start ? w->entry_start : InvalidBlockNumber;
	meta->entry_upper = LINK_NONE;
	meta->entry_node = LINK_NONE;
	meta->upper_hint = InvalidBlockNumber;
	meta->tids_hint = InvalidBlockNumber;
	meta->free_hint = w->nnodes;
	if (w->nnodes > 0)
	{
		int			level;
		uint32		entry = graph_entry(&w->build->graph, &level);

		meta->entry_node = w->place[entry];
		meta->entry_level = level;
		if (level > 0)
			meta->entry_upper = upper_id(w, w->upper[entry]) + level - 1;
		meta->nsegments = 1;
		meta->segments[0] = (HnswSegment)
		{
			w->nav_start, 0, nnav
		};
	}
	if (w->nupper % index->uppers_per_page != 0)
		meta->upper_hint = w->value_start - 1;
	if (w->ntids % HNSW_TIDS_SLOTS != 0)
		meta->tids_hint = w->next - 1;
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

/* order the nodes and compute addresses */
static void
prepare(Writer *w)
{
	HnswBuild  *build = w->build;
	uint64		values = 0;

	w->nnodes = build->shared == NULL ? 0 : graph_nodes(&build->graph);
	if (w->nnodes > 0)
	{
		Size		size = mul_size(sizeof(uint32), w->nnodes);
		void	   *scratch = MemoryContextAllocHuge(build->context,
													 graph_order_scratch(&build->graph));

		w->order = MemoryContextAllocHuge(build->context, size);
		w->place = MemoryContextAllocHuge(build->context, size);
		w->upper = MemoryContextAllocHuge(build->context, size);
		if (w->index->model == NULL)
			w->rest = MemoryContextAllocHuge(build->context, size);
		graph_order(&build->graph, w->layout->links, w->index->slots_per_page, w->order, scratch,
					hnsw_build_tick);
		pfree(scratch);
		values = number_nodes(w);
		if (w->layout->ngroups > 0)
			project_nodes(w);
	}
	lay_out(w, values);
}

static void
write_nodes(Writer *w)
{
	if (w->entry_start < w->nav_start)
		write_entry(w);
	write_nav(w);
	if (w->index->params.refine_size > 0)
	{
		open_records(w);
		write_refine(w);
		close_records(w);
	}
	write_upper(w);
	if (w->rest != NULL)
		write_values(w);
	write_tids(w);
}

/*
 * hnsw_write
 *		Write the graph of a build, or an empty index if it has none, to a fork
 *		without blocks, and log it.
 */
void
hnsw_write(HnswBuild *build, ForkNumber fork)
{
	Writer		w = {.build = build, .index = &build->index, .layout = &build->index.layout};

	w.fork = fork;
	w.nav = build->index.model == NULL ? NULL :
		MemoryContextAlloc(build->context, sizeof(float) * build->index.params.dim);
	w.code = MemoryContextAlloc(build->context, MAXALIGN(build->index.layout.code_size));
	prepare(&w);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, w.nnodes);

	end_page(new_page(&w, HNSW_PAGE_META, sizeof(HnswMetaPageData)));
	if (build->index.model != NULL)
		write_bytes(&w, HNSW_PAGE_MODEL, (const uint8_t *) build->index.model,
					build->index.model->size);
	if (w.nnodes > 0)
		write_nodes(&w);
	write_meta(&w);
	if (RelationNeedsWAL(build->rel) || fork == INIT_FORKNUM)
		log_newpage_range(build->rel, fork, 0, w.next, true);
}

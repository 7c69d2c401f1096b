/*-------------------------------------------------------------------------
 *
 * hnswfinish.c
 *	  From the loaded graph to one that can be written: final links and the
 *	  nodes searches start from, by all participants; by the leader, the order
 *	  of nodes and the address of everything.
 *
 * All sizes are known once the graph is ordered, so every address is computed
 * before the first page is written:
 *
 *	meta | model | entry | nav | refine | upper | value | tids
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"

/* ranges of nodes a participant prunes, if memory does */
#define LINKS_RANGES		4

/* bytes per node for reverse links, at least */
#define LEAST_REVERSE		16

/*--- memory --------------------------------------------------------------*/

/*
 * hnsw_coords_size
 *		Bytes of a node's sketched coordinates.
 */
Size
hnsw_coords_size(const HnswBuild *build)
{
	const QuantModel *model = build->index.model;

	return model == NULL ? 0 : sizeof(float) * model->sketch_dims;
}

/* entries that one slot has room for, and all that there may be */
static uint32
entries_first(const HnswBuild *build)
{
	return entry_room(build->index.layout.ngroups, HNSW_PAGE_ROOM);
}

static Size
entries_size(const HnswBuild *build)
{
	return MAXALIGN(build->index.layout.ngroups == 0 ? 0 :
					graph_entries_size(entries_first(build) * ENTRY_MAX_SLOTS));
}

/*
 * hnsw_finish_area
 *		Bytes of the arrays for so many nodes, without coordinates.
 */
Size
hnsw_finish_area(const HnswBuild *build, Size nodes)
{
	Size		units = nodes / HNSW_UNIT_PAGES + 2;

	return add_size(add_size(mul_size(nodes, 4 * sizeof(uint32)), entries_size(build)),
					mul_size(units, sizeof(uint32)));
}

/*
 * hnsw_finish_bytes
 *		Bytes to be kept free for each node of the graph, coordinates included.
 */
Size
hnsw_finish_bytes(const HnswBuild *build)
{
	return 5 * sizeof(uint32) + LEAST_REVERSE + hnsw_coords_size(build);
}

/*
 * hnsw_finish_map
 *		Lay out the arrays for so many nodes, in aligned memory.
 */
void
hnsw_finish_map(HnswBuild *build, void *area, Size nodes)
{
	uint32	   *next = (uint32 *) ((char *) area + entries_size(build));

	build->entries = area;
	build->order = next;
	build->place = next + nodes;
	build->upper = next + 2 * nodes;
	build->rest = next + 3 * nodes;
	build->unit_tids = next + 4 * nodes;
}

/*--- links ---------------------------------------------------------------*/

/*
 * hnsw_finish_links
 *		A participant's part of final links: one range of nodes after the other.
 */
void
hnsw_finish_links(HnswBuild *build)
{
	HnswBuildShared *shared = build->shared;
	Graph	   *graph = &build->graph;
	uint32		nnodes = graph_nodes(graph);
	Size		per_node = graph_prune_scratch(graph, 1);
	Size		size = Max(shared->spare, (Size) nnodes * LEAST_REVERSE + 128 * 1024);
	uint32		range = nnodes / (LINKS_RANGES * shared->participants) + 1;
	void	   *scratch;
	uint64		first;

	size = Max(size / shared->participants, per_node);
	range = Min(range, size / per_node);
	size = range * per_node;
	scratch = MemoryContextAllocHuge(build->context, size);
	while ((first = pg_atomic_fetch_add_u64(&shared->next_links, range)) < nnodes)
	{
		uint64		last = Min(first + range, nnodes);

		graph_prune(&build->worker, (uint32) first, (uint32) last, build->index.layout.links,
					scratch, size, hnsw_build_tick);
		if (build->participant == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) last);
	}
	pfree(scratch);
}

/*--- addresses -----------------------------------------------------------*/

static uint64
pages_for(uint64 bytes)
{
	return (bytes + HNSW_PAGE_ROOM - 1) / HNSW_PAGE_ROOM;
}

/* value pages of a node */
static BlockNumber
value_pages(const HnswBuild *build, uint32 node)
{
	Size		size = VARSIZE(hnsw_build_value(build, graph_code(&build->graph, node)));
	Size		first = build->index.params.exact_size;

	return size <= first ? 0 : (BlockNumber) pages_for(size - first);
}

/*
 * hnsw_tids_slots
 *		Tids slots a node's rows beyond the first take.
 */
uint32
hnsw_tids_slots(const HnswBuild *build, uint32 node)
{
	uint32		n = 0;
	uint64_t	row;

	for (uint32 d = graph_first_duplicate(&build->graph, node); d != GRAPH_NONE;
		 d = graph_next_duplicate(&build->graph, d, &row))
		n++;
	return (n + HNSW_TIDS_PER_SLOT - 1) / HNSW_TIDS_PER_SLOT;
}

/* number upper slots, tids slots and value pages in the order of places */
static uint64
number_nodes(HnswBuild *build)
{
	HnswPlan   *plan = &build->shared->plan;
	uint32		unit_nodes = HNSW_UNIT_PAGES * build->index.slots_per_page;
	uint64		values = 0;

	for (uint32 i = 0; i < plan->nnodes; i++)
	{
		uint32		node = build->order[i];
		int			level = graph_level(&build->graph, node);

		if (i % unit_nodes == 0)
		{
			CHECK_FOR_INTERRUPTS();
			build->unit_tids[i / unit_nodes] = (uint32) plan->ntids;
		}
		build->place[node] = i;
		build->upper[node] = level > 0 ? plan->nupper : HNSW_NO_UPPER;
		plan->nupper += level;
		plan->ntids += hnsw_tids_slots(build, node);
		if (build->index.model == NULL)
		{
			BlockNumber n = value_pages(build, node);

			build->rest[i] = n > 0 ? (BlockNumber) values : InvalidBlockNumber;
			values += n;
		}
	}
	return values;
}

/* start of every kind of page; raises 54000 where ids would not do */
static void
lay_out(const HnswIndex *index, Relation rel, HnswPlan *plan, uint64 values)
{
	uint64		nnav = ((uint64) plan->nnodes + index->slots_per_page - 1) / index->slots_per_page;
	uint64		block = 1;

	plan->model_start = block;
	block += index->model ? pages_for(index->model->size) : 0;
	plan->entry_start = block;
	if (index->layout.ngroups > 0 && plan->nnodes > 0)
		block += 1 + index->params.more_entries;
	plan->nav_start = block;
	block += nnav;
	plan->refine_start = block;
	block += pages_for(nnav * index->slots_per_page * index->params.refine_size);
	plan->filter_start = block;
	block += hnsw_filter_blocks(index, (uint32) nnav);
	plan->upper_start = block;
	block += ((uint64) plan->nupper + index->uppers_per_page - 1) / index->uppers_per_page;
	plan->value_start = block;
	block += values;
	plan->tids_start = block;
	block += (plan->ntids + index->tids_per_page - 1) / index->tids_per_page;
	if (block * index->tids_per_page >= LINK_NONE || block * index->uppers_per_page >= LINK_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" would have too many pages",
						RelationGetRelationName(rel))));
	plan->end = block;
}

/*
 * hnsw_finish_empty
 *		The plan of an index without nodes, and its blocks.
 */
void
hnsw_finish_empty(HnswBuild *build, HnswPlan *plan, ForkNumber fork)
{
	lay_out(&build->index, build->rel, plan, 0);
	vec_zero_blocks_compat(RelationGetSmgr(build->rel), fork, 0, plan->end);
}

/*--- order, entries, plan -------------------------------------------------*/

/*
 * hnsw_finish_order
 *		The leader's part, when all links are chosen: make all nodes reachable,
 *		order them, and choose the first entries.
 */
void
hnsw_finish_order(HnswBuild *build)
{
	Graph	   *graph = &build->graph;
	int			links = build->index.layout.links;
	Size		size = Max(graph_connect_scratch(graph), graph_order_scratch(graph));
	void	   *scratch = MemoryContextAllocHuge(build->context, size);
	uint32		first = entries_first(build);

	build->shared->plan.nnodes = graph_nodes(graph);
	graph_connect(&build->worker, links, scratch, hnsw_build_tick);
	graph_order(graph, links, build->index.slots_per_page, build->order, scratch,
				hnsw_build_tick);
	pfree(scratch);
	if (build->index.layout.ngroups > 0)
		graph_entries_begin(graph, build->order, first, first * ENTRY_MAX_SLOTS, build->entries);
}

/*
 * hnsw_finish_entries
 *		A participant's part of choosing the nodes searches start from.
 */
void
hnsw_finish_entries(HnswBuild *build)
{
	const SlotLayout *layout = &build->index.layout;

	if (layout->ngroups > 0)
		graph_entries_try(&build->worker, layout->links, build->order, build->entries,
						  hnsw_build_tick);
}

/*
 * hnsw_finish_plan
 *		The leader's part when these are chosen: plan the pages, and extend the
 *		file for them.
 */
void
hnsw_finish_plan(HnswBuild *build)
{
	HnswPlan   *plan = &build->shared->plan;

	if (build->index.layout.ngroups > 0 && plan->nnodes > 0)
		build->index.params.more_entries = (uint8) ((build->entries->n - 1) / entries_first(build));
	lay_out(&build->index, build->rel, plan, number_nodes(build));
	vec_zero_blocks_compat(RelationGetSmgr(build->rel), MAIN_FORKNUM, 0, plan->end);
}

/*-------------------------------------------------------------------------
 *
 * hnswstats.c
 *	  The figures of vecext_index_stats for an hnsw index.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include "hnsw/hnswcheck.h"
#include "miscadmin.h"
#include "utils/rel.h"

typedef struct Stats
{
	double		blocks[HNSW_PAGE_FILTER + 2];	/* by kind; 0: zeros, last: not ours */
	double		state[SLOT_DEAD + 1];
	double		level[HNSW_MAX_LEVEL + 1];
	double		rows;
	double		shared;			/* nodes of more than one row */
	double		mixed;			/* nodes whose rows may have different keys */
	double		links;
	double		dead_links;
	double		apart;
	uint8	   *live;			/* by node */
} Stats;

static const char *const page_names[] = {
	"bytes unused", "bytes meta", "bytes model", "bytes entry", "bytes nav", "bytes refine",
	"bytes upper", "bytes tids", "bytes value", "bytes filter", "bytes damaged"
};

static const char *const refine_names[] = {"full", "half", "int8", "heap"};

StaticAssertDecl(lengthof(page_names) == HNSW_PAGE_FILTER + 2, "each kind has a name");

/* rows of a node beyond its first */
static int
chain_rows(Relation rel, const HnswIndex *index, const NavSlotHead *head)
{
	HnswRows	rows = {.room = 64};

	if (head->more == LINK_NONE)
		return 0;
	rows.tids = palloc(sizeof(ItemPointerData) * (Size) rows.room);
	hnsw_chain_rows(rel, index, head->more, NULL, &rows);
	pfree(rows.tids);
	return rows.n;
}

/* a slot by itself; its page is locked */
static void
count_slot(Stats *stats, Relation rel, HnswIndex *index, uint32 node, const uint8_t *slot)
{
	const NavSlotHead *head = slot_head(slot);
	int			chain;

	if (!slot_ok(&index->layout, slot))
		return;
	stats->state[head->state]++;
	if (head->state != SLOT_LIVE)
		return;
	stats->live[node / 8] |= (uint8) (1 << (node % 8));
	stats->level[Min(head->level, HNSW_MAX_LEVEL)]++;
	stats->apart += hnsw_is_apart(index, head);
	chain = chain_rows(rel, index, head);
	stats->rows += 1 + chain;
	stats->shared += chain > 0;
	stats->mixed += (head->flags & SLOT_MIXED) != 0;
}

/* links of a LIVE slot */
static void
count_links(Stats *stats, Relation rel, HnswIndex *index, uint32 node, const uint8_t *slot)
{
	uint32		limit = hnsw_node_limit(index);

	if (!slot_ok(&index->layout, slot) || slot_head(slot)->state != SLOT_LIVE)
		return;
	for (int i = 0; i < slot_head(slot)->nlinks; i++)
	{
		uint32		to = slot_links(&index->layout, slot)[i];

		if (to == LINK_NONE)
			continue;
		stats->links++;
		stats->dead_links += to >= limit || (stats->live[to / 8] >> (to % 8) & 1) == 0;
	}
}

static void
each_slot(Stats *stats, Relation rel, HnswIndex *index,
		  void (*step) (Stats *stats, Relation rel, HnswIndex *index, uint32 node,
						const uint8_t *slot))
{
	for (uint32 s = 0; s < index->nsegments; s++)
	{
		const HnswSegment *segment = &index->segments[s];

		for (uint32 i = 0; i < segment->nnav; i++)
		{
			Buffer		buffer;
			uint32		node = segment->first_node + i * (uint32) index->slots_per_page;

			CHECK_FOR_INTERRUPTS();
			buffer = hnsw_read(rel, segment->start + i, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
			for (int j = 0; j < index->slots_per_page; j++)
				step(stats, rel, index, node + (uint32) j,
					 hnsw_slot(index, BufferGetPage(buffer), j));
			UnlockReleaseBuffer(buffer);
		}
	}
}

/* blocks by kind; the directory tells for those of segments */
static void
count_blocks(Stats *stats, Relation rel, const HnswIndex *index)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	uint32		s = 0;

	for (BlockNumber blkno = 0; blkno < nblocks; blkno++)
	{
		Buffer		buffer;
		Page		page;
		int			kind = HNSW_PAGE_FILTER + 1;

		CHECK_FOR_INTERRUPTS();
		if (s < index->nsegments && blkno == index->segments[s].start)
		{
			uint32		n = hnsw_segment_blocks(index, &index->segments[s]);

			stats->blocks[HNSW_PAGE_NAV] += index->segments[s].nnav;
			stats->blocks[HNSW_PAGE_REFINE] += hnsw_refine_blocks(index, index->segments[s].nnav);
			stats->blocks[HNSW_PAGE_FILTER] += hnsw_filter_blocks(index, index->segments[s].nnav);
			blkno += n - 1;
			s++;
			continue;
		}
		buffer = ReadBuffer(rel, blkno);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (PageIsNew(page) || ((PageHeader) page)->pd_lower == HNSW_PAGE_START)
			kind = 0;			/* left over from a segment that was never finished */
		else if (PageGetSpecialSize(page) == sizeof(HnswPageOpaqueData) &&
				 HnswPageGetOpaque(page)->page_id == HNSW_PAGE_ID)
			kind = HnswPageGetOpaque(page)->kind;
		stats->blocks[Min(kind, HNSW_PAGE_FILTER + 1)]++;
		UnlockReleaseBuffer(buffer);
	}
}

/* what the build fixed */
static void
report_parameters(const HnswIndex *index, AmReport *report)
{
	const HnswParams *params = &index->params;

	am_report_stat(report, "format version", HNSW_VERSION_OF(params->nwords), NULL);
	am_report_stat(report, "dimensions", params->dim, index->metric->type->name);
	am_report_stat(report, "m", params->m, NULL);
	am_report_stat(report, "ef_construction", params->ef_construction, NULL);
	am_report_stat(report, "nodes per page", index->slots_per_page, NULL);
	am_report_stat(report, "segments", index->nsegments, NULL);
	if (index->filters != NULL)
		am_report_stat(report, "filter columns", index->filters->ncolumns, NULL);
	am_report_stat(report, "codec", params->codec,
				   params->codec == HNSW_CODEC_COMPACT ? "compact" : "exact");
	if (index->model == NULL)
		return;
	am_report_stat(report, "refine", params->refine, refine_names[params->refine]);
	am_report_stat(report, "nav bits", index->model->nav_bits, NULL);
	am_report_stat(report, "sketch bits", index->model->sketch_bits,
				   index->model->sketch_bits == 2 ? "trained" : "untrained");
	am_report_stat(report, "sketch dimensions", index->model->sketch_dims, NULL);
	am_report_stat(report, "edge energy", index->model->edge_energy,
				   "part of an edge that sketches see, when trained");
}

/*
 * hnsw_stats
 *		Report the figures.  Raises XX002 for a damaged page.
 */
void
hnsw_stats(Relation rel, AmReport *report)
{
	HnswIndex  *index = hnsw_open(rel);
	Stats	   *stats = palloc0(sizeof(Stats));
	char		name[32];

	stats->live = MemoryContextAllocExtended(CurrentMemoryContext,
											 (Size) hnsw_node_limit(index) / 8 + 1,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	count_blocks(stats, rel, index);
	each_slot(stats, rel, index, count_slot);
	each_slot(stats, rel, index, count_links);

	report_parameters(index, report);
	am_report_stat(report, "nodes live", stats->state[SLOT_LIVE], NULL);
	am_report_stat(report, "nodes dead", stats->state[SLOT_DEAD], NULL);
	am_report_stat(report, "nodes free", stats->state[SLOT_FREE], NULL);
	am_report_stat(report, "nodes shared", stats->shared, "of several rows");
	if (index->filters != NULL)
		am_report_stat(report, "nodes mixed", stats->mixed, "whose rows may differ in filters");
	am_report_stat(report, "nodes apart", stats->apart, "without distances");
	am_report_stat(report, "rows", stats->rows, NULL);
	am_report_stat(report, "duplicate rows", stats->rows - stats->state[SLOT_LIVE],
				   "beyond the first of their node");
	am_report_stat(report, "links", stats->links, NULL);
	am_report_stat(report, "dead links", stats->dead_links, "to nodes that are not live");
	for (int i = 0; i <= HNSW_MAX_LEVEL; i++)
	{
		if (stats->level[i] == 0)
			continue;
		snprintf(name, sizeof(name), "level %d", i);
		am_report_stat(report, name, stats->level[i], "nodes of this highest level");
	}
	for (int i = 0; i < (int) lengthof(page_names); i++)
	{
		if (i == HNSW_PAGE_FILTER && index->filters == NULL)
			continue;
		am_report_stat(report, page_names[i], stats->blocks[i] * BLCKSZ, NULL);
	}
	pfree(stats->live);
	pfree(stats);
}

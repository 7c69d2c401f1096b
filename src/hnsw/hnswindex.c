/*-------------------------------------------------------------------------
 *
 * hnswindex.c
 *	  Opening an index, and where in it a node is.
 *
 * What the build fixed (parameters, model, layout) is read once per backend
 * and storage.  Every open reads the metapage again, for that is where hints
 * and segments change, and where a rebuilt index shows another build_id.
 *
 * Nothing read from a page is trusted: a caller may index memory by what this
 * file returns, and by nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include "utils/memutils.h"
#include "utils/rel.h"

static const char am_name[] = "hnsw";

/*--- addresses -----------------------------------------------------------*/

static uint32
segment_nodes(const HnswIndex *index, const HnswSegment *segment)
{
	return segment->nnav * index->slots_per_page;
}

/*
 * hnsw_node_limit
 *		One more than the largest node id, as of the last look at the metapage.
 */
uint32
hnsw_node_limit(const HnswIndex *index)
{
	const HnswSegment *last;

	if (index->nsegments == 0)
		return 0;
	last = &index->segments[index->nsegments - 1];
	return last->first_node + segment_nodes(index, last);
}

/* the segment of a node, or NULL */
static const HnswSegment *
find_segment(const HnswIndex *index, uint32 node)
{
	uint32		low = 0;
	uint32		high = index->nsegments;

	if (node >= hnsw_node_limit(index))
		return NULL;
	while (high - low > 1)
	{
		uint32		middle = (low + high) / 2;

		if (index->segments[middle].first_node <= node)
			low = middle;
		else
			high = middle;
	}
	return &index->segments[low];
}

/*
 * hnsw_locate
 *		Nav page and slot of a node; false if there is no such node.
 */
bool
hnsw_locate(const HnswIndex *index, uint32 node, BlockNumber *blkno, int *slot)
{
	const HnswSegment *segment = find_segment(index, node);
	uint32		offset;

	if (segment == NULL)
		return false;
	offset = node - segment->first_node;
	*blkno = segment->start + offset / index->slots_per_page;
	*slot = offset % index->slots_per_page;
	return true;
}

/*
 * hnsw_locate_refine
 *		Page and offset, from HNSW_PAGE_START, of the first byte of a node's
 *		refine record; the rest follows on the next pages.  False if there is
 *		no such node or records are not stored.
 */
bool
hnsw_locate_refine(const HnswIndex *index, uint32 node, BlockNumber *blkno, int *offset)
{
	const HnswSegment *segment = find_segment(index, node);
	uint64		position;

	if (segment == NULL || index->params.refine_size == 0)
		return false;
	position = (uint64) (node - segment->first_node) * index->params.refine_size;
	*blkno = segment->start + segment->nnav + (BlockNumber) (position / HNSW_PAGE_ROOM);
	*offset = (int) (position % HNSW_PAGE_ROOM);
	return true;
}

/*
 * hnsw_locate_filter
 *		Filter page and place on it of a node's entry; false if there is no such
 *		node or there are no filter columns.
 */
bool
hnsw_locate_filter(const HnswIndex *index, uint32 node, BlockNumber *blkno, int *entry)
{
	const HnswSegment *segment = find_segment(index, node);
	uint32		offset;

	if (segment == NULL || index->filter_entries == 0)
		return false;
	offset = node - segment->first_node;
	*blkno = segment->start + segment->nnav + hnsw_refine_blocks(index, segment->nnav) +
		offset / index->filter_entries;
	*entry = (int) (offset % index->filter_entries);
	return true;
}

/*
 * hnsw_node_at
 *		Node of a slot of a nav page, or LINK_NONE if the block is not in the
 *		nav part of a segment.
 */
uint32
hnsw_node_at(const HnswIndex *index, BlockNumber blkno, int slot)
{
	for (uint32 i = 0; i < index->nsegments; i++)
	{
		const HnswSegment *segment = &index->segments[i];

		if (blkno >= segment->start && blkno - segment->start < segment->nnav)
			return segment->first_node +
				(blkno - segment->start) * index->slots_per_page + slot;
	}
	return LINK_NONE;
}

/*--- what follows from the parameters ------------------------------------*/

/*
 * hnsw_layout
 *		Offsets in the slots of an index; model is NULL for exact codes.
 */
void
hnsw_layout(const HnswParams *params, const QuantModel *model, SlotLayout *layout)
{
	if (params->codec == HNSW_CODEC_EXACT)
		slot_layout_exact(layout, sizeof(HnswExactHead) + params->exact_size, params->m,
						  params->nwords);
	else
		slot_layout(layout, model, params->m, params->nwords);
}

/*
 * hnsw_set_tids
 *		Sizes of tids slots and filter entries, of an index whose parameters are
 *		known.
 */
void
hnsw_set_tids(HnswIndex *index)
{
	index->tids_size = hnsw_tids_size(index->params.nwords);
	index->tids_per_page = (uint32) (HNSW_PAGE_ROOM / index->tids_size);
	if (index->params.nwords > 1)
		index->filter_entries = hnsw_filter_entries(index->params.nwords - 1);
}

/* the part of the parameters that sizes of memory depend on */
static bool
params_ok(const HnswParams *params, const VecMetric *metric)
{
	Size		plain;

	if (params->dim < 1 || params->dim > metric->type->max_dim ||
		params->metric != metric->kind || params->codec > HNSW_CODEC_EXACT ||
		params->m < HNSW_MIN_M || params->m > HNSW_MAX_M ||
		params->ef_construction < HNSW_MIN_EF_CONSTRUCTION ||
		params->ef_construction > HNSW_MAX_EF_CONSTRUCTION || params->refine > REFINE_HEAP ||
		params->more_entries >= ENTRY_MAX_SLOTS)
		return false;

	plain = metric->type->size(params->dim);
	if (params->codec == HNSW_CODEC_EXACT)
		return params->exact_size <= plain && params->exact_size <= HNSW_PAGE_ROOM &&
			params->refine_size == 0;
	return metric->type->to_floats != NULL && metric->kind <= VEC_METRIC_COSINE &&
		params->refine_size == am_record_size(metric, params->refine, params->dim);
}

/* compute layout and slots per page, and compare with what the build had */
static bool
finish_layout(HnswIndex *index)
{
	hnsw_layout(&index->params, index->model, &index->layout);
	if (index->layout.size != index->params.slot_size ||
		index->layout.upper_size != index->params.upper_size ||
		index->layout.size > HNSW_PAGE_ROOM || index->layout.upper_size > HNSW_PAGE_ROOM)
		return false;
	index->slots_per_page = HNSW_PAGE_ROOM / index->layout.size;
	index->uppers_per_page = HNSW_PAGE_ROOM / index->layout.upper_size;
	hnsw_set_tids(index);
	return true;
}

/*--- reading -------------------------------------------------------------*/

/* the model's bytes, from consecutive pages, into the index's context */
static void
read_model(HnswIndex *index, Relation rel, BlockNumber start, uint32 bytes)
{
	QuantConfig config = {.dim = index->params.dim};
	uint8	   *model;
	uint32		done = 0;

	if (bytes < sizeof(QuantModel) || bytes > quant_model_max_size(&config))
		hnsw_corrupt(rel, 0, "The model has an impossible size.");
	model = MemoryContextAlloc(index->cached.context, bytes);
	while (done < bytes)
	{
		Buffer		buffer = hnsw_read(rel, start++, BUFFER_LOCK_SHARE, HNSW_PAGE_MODEL);
		uint32		n = Min(bytes - done, HNSW_PAGE_ROOM);

		memcpy(model + done, HnswPageData(BufferGetPage(buffer)), n);
		UnlockReleaseBuffer(buffer);
		done += n;
	}

	index->model = (QuantModel *) model;
	if (!quant_model_check(model, bytes) || index->model->dim != index->params.dim ||
		index->model->metric != (int) index->params.metric)
		hnsw_corrupt(rel, start - 1, "The model does not fit the index.");
}

/*
 * Copy the entry slots, or copy them again: vacuum lets them name other nodes.
 * They are hints; one that is absent is all zeros, which has no links.
 */
static void
copy_entries(HnswIndex *index, Relation rel, BlockNumber first)
{
	for (int i = 0; i < index->nentries; i++)
	{
		uint8_t    *entry = hnsw_entry(index, i);
		Buffer		buffer = hnsw_read_hint(rel, first + i, BUFFER_LOCK_SHARE, HNSW_PAGE_ENTRY);
		Size		used = 0;

		if (BufferIsValid(buffer))
		{
			Page		page = BufferGetPage(buffer);

			used = Min(((PageHeader) page)->pd_lower - HNSW_PAGE_START, HNSW_PAGE_ROOM);
			memcpy(entry, HnswPageData(page), used);
			UnlockReleaseBuffer(buffer);
		}
		memset(entry + used, 0, HNSW_PAGE_ROOM - used);
	}
}

static bool
has_entries(const HnswIndex *index)
{
	bool		any = false;

	for (int i = 0; i < index->nentries && !any; i++)
		any = entry_count(index->layout.ngroups, hnsw_entry(index, i), HNSW_PAGE_ROOM) > 0;
	return any;
}

/* copy and check the directory; segments only ever come to its end */
static void
take_segments(HnswIndex *index, Relation rel, const HnswMetaPageData *meta)
{
	uint64		next_node = 0;
	uint64		next_block = 1;

	if (meta->nsegments > HNSW_MAX_SEGMENTS || meta->nsegments < index->nsegments)
		hnsw_corrupt(rel, 0, "The directory of segments has an impossible size.");
	for (uint32 i = 0; i < meta->nsegments; i++)
	{
		const HnswSegment *segment = &meta->segments[i];
		uint64		nodes = (uint64) segment->nnav * index->slots_per_page;
		uint64		refine_bytes = nodes * index->params.refine_size;
		uint64		filters = index->filter_entries == 0 ? 0 :
			(nodes + index->filter_entries - 1) / index->filter_entries;

		/* blocks of a later segment come later */
		if (segment->first_node != next_node || segment->start < next_block ||
			segment->nnav == 0)
			hnsw_corrupt(rel, 0, "Segments overlap.");
		next_node += nodes;
		next_block = (uint64) segment->start + segment->nnav +
			(refine_bytes + HNSW_PAGE_ROOM - 1) / HNSW_PAGE_ROOM + filters;
		if (next_node >= LINK_NONE || next_block >= InvalidBlockNumber)
			hnsw_corrupt(rel, 0, "A segment is too large.");
		index->segments[i] = *segment;
	}
	index->nsegments = meta->nsegments;
}

/* copy the hints */
static void
take_hints(HnswIndex *index, Relation rel, const HnswMetaPageData *meta)
{
	if (index->entry_version != meta->entry_version)
		copy_entries(index, rel, meta->entry_page);
	index->entry_version = meta->entry_version;
	index->entry_upper = meta->entry_upper;
	index->entry_node = meta->entry_node;
	index->entry_level = Min(meta->entry_level, HNSW_MAX_LEVEL);
}

/* the metapage, copied; its version is one this code reads */
static void
read_meta(Relation rel, HnswMetaPageData *meta)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_SHARE, HNSW_PAGE_META);
	const HnswMetaPageData *stored = HnswPageGetMeta(BufferGetPage(buffer));
	uint32		n = Min(stored->nsegments, HNSW_MAX_SEGMENTS);

	memcpy(meta, stored, offsetof(HnswMetaPageData, segments) + n * sizeof(HnswSegment));
	UnlockReleaseBuffer(buffer);

	if (meta->magic != HNSW_MAGIC)
		hnsw_corrupt(rel, 0, "The metapage has a wrong magic number.");
	if (meta->version < HNSW_MIN_VERSION || meta->version > HNSW_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" has format version %u", RelationGetRelationName(rel),
						meta->version),
				 errdetail("This version of vecext reads versions %d to %d.",
						   HNSW_MIN_VERSION, HNSW_VERSION),
				 errhint("REINDEX it.")));
}

/* an index as the metapage describes it, in a context of its own */
static HnswIndex *
load_index(Relation rel, const HnswMetaPageData *meta)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "hnsw index",
												  ALLOCSET_SMALL_SIZES);
	HnswIndex  *index = MemoryContextAllocZero(context, sizeof(HnswIndex));

	index->cached.context = context;
	index->metric = am_metric(rel);
	index->params = meta->params;
	index->filters = filter_open(rel, context);
	if (!params_ok(&index->params, index->metric) ||
		index->params.nwords != (index->filters ? index->filters->nwords : 0))
		hnsw_corrupt(rel, 0, "The metapage has impossible parameters.");
	index->plain_size = index->metric->type->size(index->params.dim);
	if (index->params.codec == HNSW_CODEC_COMPACT)
		read_model(index, rel, meta->model_start, meta->model_bytes);
	if (!finish_layout(index))
		hnsw_corrupt(rel, 0, "The slots do not have the size the metapage says.");
	if (BlockNumberIsValid(meta->entry_page) && index->layout.ngroups > 0)
	{
		index->nentries = 1 + index->params.more_entries;
		index->entry = MemoryContextAlloc(context, index->nentries * HNSW_PAGE_ROOM);
		copy_entries(index, rel, meta->entry_page);
		if (!has_entries(index))
			index->nentries = 0;
	}
	index->entry_version = meta->entry_version;
	return index;
}

/*--- opening -------------------------------------------------------------*/

/*
 * hnsw_open
 *		The index of a relation, valid until the current memory context is
 *		reset or deleted; nothing has to be closed, not even after an error.
 *
 * Reads the metapage.  Raises XX002 if that or the model is damaged, 55000 if
 * the format is of another version.
 */
HnswIndex *
hnsw_open(Relation rel)
{
	HnswMetaPageData meta;
	HnswIndex  *index;

	read_meta(rel, &meta);
	index = (HnswIndex *) am_cache_find(am_name, rel, meta.build_id);
	if (index == NULL)
	{
		index = load_index(rel, &meta);
		am_cache_add(&index->cached, am_name, rel, meta.build_id);
	}
	am_cache_pin(&index->cached);
	take_segments(index, rel, &meta);
	take_hints(index, rel, &meta);
	return index;
}

/*
 * hnsw_refresh
 *		Read segments and hints again, for an operation that takes long.
 */
void
hnsw_refresh(HnswIndex *index, Relation rel)
{
	HnswMetaPageData meta;

	read_meta(rel, &meta);
	if (meta.build_id != index->cached.build_id)
		hnsw_corrupt(rel, 0, "The index was rebuilt under an operation.");
	take_segments(index, rel, &meta);
	take_hints(index, rel, &meta);
}

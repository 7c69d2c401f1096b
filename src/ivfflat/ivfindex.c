/*-------------------------------------------------------------------------
 *
 * ivfindex.c
 *	  Opening an index, and reaching its pages.
 *
 * What the build fixed (parameters, model, shapes) is read once per backend
 * and storage.  Every open reads the metapage again, for that is where a new
 * directory shows.
 *
 * Nothing read from a page is trusted: a caller may index memory by what this
 * file returns, and by nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include "access/xlog.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

static const char am_name[] = "ivfflat";
static const char directory_name[] = "ivfflat directory";

/* what a reader expects of a page */
typedef struct Expected
{
	IvfPageKind kind;
	uint32		id;
} Expected;

/*--- pages ---------------------------------------------------------------*/

/* whether a page is one of ours and sound enough to be looked at */
static bool
page_ours(Page page)
{
	const PageHeaderData *header = (const PageHeaderData *) page;
	const IvfPageOpaqueData *opaque;

	if (header->pd_special != BLCKSZ - sizeof(IvfPageOpaqueData) ||
		header->pd_lower < IVF_PAGE_START || header->pd_lower > header->pd_special)
		return false;
	opaque = (const IvfPageOpaqueData *) ((const char *) page + header->pd_special);
	return opaque->page_id == IVF_PAGE_ID;
}

static bool
page_expected(Page page, const void *arg)
{
	const Expected *expected = arg;

	return page_ours(page) && IvfPageGetOpaque(page)->kind == expected->kind &&
		IvfPageGetOpaque(page)->id == expected->id;
}

static bool
page_any(Page page, const void *arg)
{
	return true;
}

/*
 * ivf_page_gone
 *		A page is missing or another's: a damaged index, or on a standby perhaps
 *		one that was recycled while the scan went on (README.md, "Standby").
 */
void
ivf_page_gone(Relation rel, BlockNumber blkno, const char *what)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("canceling statement due to conflict with recovery"),
				 errdetail("A page of index \"%s\" that the scan needed was recycled.",
						   RelationGetRelationName(rel))));
	am_corrupt(rel, blkno, what);
}

/*
 * ivf_read
 *		Pin and lock a page that must exist and be of that kind and id.
 *
 * mode is BUFFER_LOCK_SHARE or BUFFER_LOCK_EXCLUSIVE.  Raises XX002, on a
 * standby 40001.
 */
Buffer
ivf_read(Relation rel, BlockNumber blkno, int mode, IvfPageKind kind, uint32 id)
{
	Expected	expected = {kind, id};
	Buffer		buffer = am_read_page(rel, blkno, mode, page_expected, &expected);

	if (!BufferIsValid(buffer))
		ivf_page_gone(rel, blkno, "The page is missing or not what it should be.");
	return buffer;
}

/*
 * ivf_read_known
 *		As ivf_read() in share mode, by the buffer that held the page last if that
 *		is known; buffers may be NULL.
 */
Buffer
ivf_read_known(AmBuffers *buffers, Relation rel, BlockNumber blkno, IvfPageKind kind, uint32 id)
{
	Expected	expected = {kind, id};
	Buffer		buffer;

	if (buffers == NULL)
		return ivf_read(rel, blkno, BUFFER_LOCK_SHARE, kind, id);
	buffer = am_pin_known(buffers, rel, blkno);
	if (BufferIsValid(buffer))
	{
		buffer = am_lock_page(buffer, BUFFER_LOCK_SHARE, page_expected, &expected);
		if (!BufferIsValid(buffer))
			ivf_page_gone(rel, blkno, "The page is missing or not what it should be.");
		return buffer;
	}
	buffer = ivf_read(rel, blkno, BUFFER_LOCK_SHARE, kind, id);
	am_remember_buffer(buffers, blkno, buffer);
	return buffer;
}

/*
 * ivf_read_any
 *		Pin and lock whatever page there is, and tell its kind and id; kind 0 if
 *		it is empty or not ours.  InvalidBuffer if there is none.
 */
Buffer
ivf_read_any(Relation rel, BlockNumber blkno, int mode, IvfPageKind *kind, uint32 *id)
{
	Buffer		buffer = am_read_page(rel, blkno, mode, page_any, NULL);

	*kind = 0;
	*id = 0;
	if (BufferIsValid(buffer) && page_ours(BufferGetPage(buffer)))
	{
		*kind = (IvfPageKind) IvfPageGetOpaque(BufferGetPage(buffer))->kind;
		*id = IvfPageGetOpaque(BufferGetPage(buffer))->id;
	}
	return buffer;
}

/*
 * ivf_page_init
 *		Make a page an empty one, with "used" zero bytes in use.
 */
void
ivf_page_init(Page page, IvfPageKind kind, uint32 id, Size used)
{
	Assert(used <= IVF_PAGE_ROOM);
	PageInit(page, BLCKSZ, sizeof(IvfPageOpaqueData));
	((PageHeader) page)->pd_lower = IVF_PAGE_START + used;
	IvfPageGetOpaque(page)->id = id;
	IvfPageGetOpaque(page)->kind = kind;
	IvfPageGetOpaque(page)->page_id = IVF_PAGE_ID;
}

/*
 * ivf_page_cover
 *		Count the page's first "used" bytes as used.
 *
 * For an image registered with generic WAL, before it is written behind
 * pd_lower: what lies in the hole is not logged.
 */
void
ivf_page_cover(Page page, Size used)
{
	if (((PageHeader) page)->pd_lower < IVF_PAGE_START + used)
		((PageHeader) page)->pd_lower = IVF_PAGE_START + used;
}

/*
 * ivf_new_page
 *		A page that nobody uses, locked exclusively: a free one, else a new one.
 *		Not initialised, not logged: the caller registers it as a full image.
 *
 * The caller may hold locks of list, code and record pages.  A new page is
 * locked before the extension lock is released, so that who looks at all blocks
 * under that lock finds none of zeros but those a crash has left.
 */
Buffer
ivf_new_page(Relation rel)
{
	Buffer		buffer;
	BlockNumber blkno;

	for (;;)
	{
		bool		free;

		blkno = GetFreeIndexPage(rel);
		if (!BlockNumberIsValid(blkno))
			break;
		/* the map may name what is in use, or was never there */
		if (!am_block_exists(rel, blkno))
			continue;
		buffer = ReadBuffer(rel, blkno);
		if (!ConditionalLockBuffer(buffer))
		{
			ReleaseBuffer(buffer);
			continue;
		}
		free = PageIsNew(BufferGetPage(buffer)) ||
			(page_ours(BufferGetPage(buffer)) &&
			 IvfPageGetOpaque(BufferGetPage(buffer))->kind == IVF_PAGE_FREE);
		if (free)
			return buffer;
		UnlockReleaseBuffer(buffer);
	}

	for (;;)
	{
		LockRelationForExtension(rel, ExclusiveLock);
		vec_extend_compat(rel, 1, &buffer, &blkno);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		UnlockRelationForExtension(rel, ExclusiveLock);
		/* a vacuum may have found it empty, and the map have given it away */
		if (PageIsNew(BufferGetPage(buffer)))
			return buffer;
		UnlockReleaseBuffer(buffer);
	}
}

/*--- what follows from the parameters ------------------------------------*/

/*
 * ivf_shapes
 *		The three shapes of an index whose parameters and filters are known.
 */
void
ivf_shapes(IvfIndex *index)
{
	const IvfParams *params = &index->params;
	const VecTypeOps *type = index->metric->type;
	bool		floats = params->space == IVF_SPACE_FLOAT;
	int			nwords = index->filters ? index->filters->nwords : 0;
	bool		ends = params->quantizer == LIST_NONE && !type->fixed_size;
	Size		record = ends ? MAXALIGN(type->size(params->dim)) : params->record_size;
	Size		centroid = sizeof(IvfListRecord) +
		(floats ? sizeof(float) * params->dim : MAXALIGN(type->size(params->dim)));

	ivf_shape(&index->list, IVF_PAGE_LIST, (ListQuantizer) params->quantizer,
			  ivf_row_bytes((ListQuantizer) params->quantizer, params->dim), record, ends,
			  nwords);
	ivf_shape(&index->part, IVF_PAGE_PART, floats ? LIST_RABITQ : LIST_NONE,
			  ivf_row_bytes(floats ? LIST_RABITQ : LIST_NONE, params->dim), centroid,
			  !floats, 0);
	ivf_shape(&index->undefined, IVF_PAGE_LIST, LIST_NONE, 0, 0, false, nwords);
	index->undefined.undefined = true;
}

/* the parameters, before memory is taken by them */
static bool
params_ok(const IvfParams *params, const VecMetric *metric)
{
	const VecTypeOps *type = metric->type;
	Size		record;

	if (params->dim < 1 || params->dim > type->max_dim || params->metric != metric->kind ||
		params->space > IVF_SPACE_VALUE || params->quantizer > LIST_RABITQ ||
		params->refine > REFINE_HEAP || params->lists > IVF_MAX_LISTS)
		return false;
	if (params->space == IVF_SPACE_FLOAT &&
		(type->to_floats == NULL || metric->kind > VEC_METRIC_COSINE))
		return false;
	if (params->quantizer == LIST_NONE)
		record = type->fixed_size ? MAXALIGN(type->size(params->dim)) : 0;
	else if (params->space == IVF_SPACE_VALUE)
		return false;
	else
		record = MAXALIGN(am_record_size(metric, (RefineKind) params->refine, params->dim));
	return params->record_size == record &&
		(params->quantizer != LIST_NONE || params->refine == REFINE_FULL);
}

/*--- reading -------------------------------------------------------------*/

/* the model's bytes, from consecutive pages, into the index's context */
static void
read_model(IvfIndex *index, Relation rel, BlockNumber start, uint32 bytes)
{
	QuantConfig config = {.dim = index->params.dim};
	uint8	   *model;
	uint32		done = 0;

	if (bytes < sizeof(QuantModel) || bytes > quant_model_max_size(&config))
		am_corrupt(rel, 0, "The model has an impossible size.");
	model = MemoryContextAlloc(index->cached.context, bytes);
	while (done < bytes)
	{
		Buffer		buffer = ivf_read(rel, start++, BUFFER_LOCK_SHARE, IVF_PAGE_MODEL, 0);
		uint32		n = Min(bytes - done, IVF_PAGE_ROOM);

		memcpy(model + done, IvfPageData(BufferGetPage(buffer)), n);
		UnlockReleaseBuffer(buffer);
		done += n;
	}

	if (!quant_model_check(model, bytes) || ((QuantModel *) model)->dim != index->params.dim ||
		((QuantModel *) model)->metric != (int) index->params.metric)
		am_corrupt(rel, start - 1, "The model does not fit the index.");
	ivf_set_model(index, (QuantModel *) model, index->cached.context);
}

/*
 * ivf_read_meta
 *		The metapage, copied and checked; its version is one this code reads.
 *
 * Raises XX002, 55000.
 */
void
ivf_read_meta(Relation rel, IvfMetaPageData *meta)
{
	Buffer		buffer = ivf_read(rel, 0, BUFFER_LOCK_SHARE, IVF_PAGE_META, 0);
	const IvfMetaPageData *stored = IvfPageGetMeta(BufferGetPage(buffer));
	uint32		n = Min(stored->nparts, IVF_MAX_PARTS);

	memcpy(meta, stored, offsetof(IvfMetaPageData, parts) + n * sizeof(BlockNumber));
	UnlockReleaseBuffer(buffer);

	if (meta->magic != IVF_MAGIC)
		am_corrupt(rel, 0, "The metapage has a wrong magic number.");
	if (meta->version < IVF_MIN_VERSION || meta->version > IVF_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" has format version %u", RelationGetRelationName(rel),
						meta->version),
				 errdetail("This version of vecext reads versions %d to %d.",
						   IVF_MIN_VERSION, IVF_VERSION),
				 errhint("REINDEX it.")));
	if (meta->nlists < 1 || meta->nlists > IVF_MAX_LISTS || meta->nparts < 1 ||
		meta->nparts > Min(meta->nlists, IVF_MAX_PARTS) || meta->directory >= meta->next_id)
		am_corrupt(rel, 0, "The directory has an impossible size.");
}

/* an index as the metapage describes it, in a context of its own */
static IvfIndex *
load_index(Relation rel, const IvfMetaPageData *meta)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat index",
												  ALLOCSET_SMALL_SIZES);
	IvfIndex   *index = MemoryContextAllocZero(context, sizeof(IvfIndex));

	index->cached.context = context;
	index->metric = am_metric(rel);
	index->params = meta->params;
	index->filters = filter_open(rel, context);
	if (!params_ok(&index->params, index->metric))
		am_corrupt(rel, 0, "The metapage has impossible parameters.");
	ivf_shapes(index);
	if (index->list.rows != (int) index->params.list_rows ||
		index->list.size != index->params.list_size ||
		index->part.rows != (int) index->params.part_rows ||
		index->part.size != index->params.part_size)
		am_corrupt(rel, 0, "List pages do not have the shape the metapage says.");
	if (index->params.space == IVF_SPACE_FLOAT)
		read_model(index, rel, meta->model_start, meta->model_bytes);
	return index;
}

/* tells the directories of an index and its rebuilt forms from each other */
static uint64
directory_key(const IvfMetaPageData *meta)
{
	return meta->build_id ^ (uint64) meta->directory * UINT64CONST(0x9E3779B97F4A7C15);
}

/* the directory the metapage names, pinned */
static IvfDirectory *
open_directory(const IvfIndex *index, Relation rel, const IvfMetaPageData *meta)
{
	uint64		key = directory_key(meta);
	IvfDirectory *directory = (IvfDirectory *) am_cache_find(directory_name, rel, key);

	if (directory == NULL)
	{
		directory = ivf_load_directory(index, rel, meta);
		am_cache_add(&directory->cached, directory_name, rel, key);
	}
	am_cache_pin(&directory->cached);
	return directory;
}

/*
 * ivf_open
 *		The index of a relation and its directory of this moment, valid until
 *		the current memory context is reset or deleted; nothing has to be closed,
 *		not even after an error.
 *
 * Reads the metapage.  Raises XX002 if that, the model or the directory is
 * damaged, 55000 if the format is of another version.
 */
IvfIndex *
ivf_open(Relation rel, IvfDirectory **directory)
{
	IvfMetaPageData meta;
	IvfIndex   *index;

	ivf_read_meta(rel, &meta);
	index = (IvfIndex *) am_cache_find(am_name, rel, meta.build_id);
	if (index == NULL)
	{
		index = load_index(rel, &meta);
		am_cache_add(&index->cached, am_name, rel, meta.build_id);
	}
	am_cache_pin(&index->cached);
	if (directory != NULL)
		*directory = open_directory(index, rel, &meta);
	return index;
}

/*-------------------------------------------------------------------------
 *
 * ivfwrite.c
 *	  Writing new chains and directory parts, in runs of pages.
 *
 * List pages are filled in local memory.  A *group* of them is written at once:
 * the list pages, then the code and record pages of each, so that a scan finds
 * the list pages of a list side by side.
 *
 * A build adds the blocks of a group to the relation at once and logs them when
 * they are written; its participants do so side by side.  Maintenance takes free
 * pages or extends the relation, and logs each page; until a directory names
 * them nobody else looks at them.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* a group is written when it has so many bytes or pages */
#define GROUP_BYTES		((Size) 8 * 1024 * 1024)
#define GROUP_PAGES		256

/* a list page being filled, and the bytes of its streams */
typedef struct Extent
{
	char	   *page;
	BlockNumber blkno;
	uint8	   *codes;			/* blocks that are not on the page */
	Size		ncodes;
	uint8	   *records;
	Size		nrecords;
	Size		record_room;
} Extent;

struct IvfWriter
{
	Relation	rel;
	const IvfIndex *index;
	bool		logged;			/* maintenance: WAL for each page */
	ForkNumber	fork;
	BlockNumber next;			/* build: of the blocks added, the first without a use */
	MemoryContext context;
	MemoryContext group_context;	/* reset when a group is written */

	/* the chain */
	const IvfShape *shape;
	uint32		id;
	bool		first_written;
	BlockNumber first;
	BlockNumber last;			/* list page of the last group */
	BlockNumber reserved;		/* for the next list page, or invalid */
	int			nextents;
	Size		bytes;
	Extent		extents[GROUP_PAGES];

	/* parts of a directory */
	uint32		nparts;
	BlockNumber parts[IVF_MAX_PARTS];
};

static IvfWriter *
make_writer(Relation rel, const IvfIndex *index)
{
	IvfWriter  *writer = palloc0(sizeof(IvfWriter));

	writer->rel = rel;
	writer->index = index;
	writer->context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat writer",
											ALLOCSET_DEFAULT_SIZES);
	writer->group_context = AllocSetContextCreate(writer->context, "ivfflat pages",
												  ALLOCSET_DEFAULT_SIZES);
	writer->reserved = InvalidBlockNumber;
	return writer;
}

/*
 * ivf_writer_build
 *		A writer for a build, to which the whole relation is new.
 */
IvfWriter *
ivf_writer_build(Relation rel, const IvfIndex *index, ForkNumber fork)
{
	IvfWriter  *writer = make_writer(rel, index);

	writer->fork = fork;
	return writer;
}

/*
 * ivf_writer_logged
 *		A writer for maintenance: any free pages, each logged.
 */
IvfWriter *
ivf_writer_logged(Relation rel, const IvfIndex *index)
{
	IvfWriter  *writer = make_writer(rel, index);

	writer->logged = true;
	writer->fork = MAIN_FORKNUM;
	return writer;
}

/*--- pages ---------------------------------------------------------------*/

static BlockNumber
stream_pages(Size bytes)
{
	return (BlockNumber) ((bytes + IVF_PAGE_ROOM - 1) / IVF_PAGE_ROOM);
}

/* build: add n blocks, zero, side by side, which are this writer's */
static void
add_blocks(IvfWriter *writer, BlockNumber n)
{
	SMgrRelation smgr = RelationGetSmgr(writer->rel);

	LockRelationForExtension(writer->rel, ExclusiveLock);
	writer->next = smgrnblocks(smgr, writer->fork);
	vec_zero_blocks_compat(smgr, writer->fork, writer->next, n);
	UnlockRelationForExtension(writer->rel, ExclusiveLock);
}

/* build: written blocks to WAL */
static void
log_blocks(const IvfWriter *writer, BlockNumber first, BlockNumber end)
{
	if (RelationNeedsWAL(writer->rel) || writer->fork == INIT_FORKNUM)
		log_newpage_range(writer->rel, writer->fork, first, end, true);
}

/* an address for a page; maintenance makes it the chain's at once */
static BlockNumber
take_block(IvfWriter *writer, IvfPageKind kind)
{
	GenericXLogState *state;
	Buffer		buffer;
	BlockNumber blkno;
	Page		page;

	if (!writer->logged)
		return writer->next++;
	buffer = ivf_new_page(writer->rel);
	blkno = BufferGetBlockNumber(buffer);
	state = GenericXLogStart(writer->rel);
	page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
	/* a crash may leave it so: a bulk delete must find a list page sound */
	if (kind == writer->shape->kind)
		ivf_list_init(page, writer->shape, writer->id);
	else
		ivf_page_init(page, kind, writer->id, 0);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return blkno;
}

/* write a page image where it belongs */
static void
write_page(IvfWriter *writer, BlockNumber blkno, const char *image)
{
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();
	if (writer->logged)
	{
		GenericXLogState *state = GenericXLogStart(writer->rel);

		buffer = ReadBuffer(writer->rel, blkno);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		memcpy(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE), image, BLCKSZ);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
		return;
	}
	buffer = ReadBufferExtended(writer->rel, writer->fork, blkno, RBM_ZERO_AND_LOCK, NULL);
	memcpy(BufferGetPage(buffer), image, BLCKSZ);
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* write bytes over the pages of a stream */
static void
write_stream(IvfWriter *writer, IvfPageKind kind, const BlockNumber *blocks, const uint8 *bytes,
			 Size size)
{
	PGAlignedBlock image;

	for (int i = 0; size > 0; i++)
	{
		Size		n = Min(size, IVF_PAGE_ROOM);

		ivf_page_init((Page) image.data, kind, writer->id, n);
		memcpy(IvfPageData(image.data), bytes, n);
		write_page(writer, blocks[i], image.data);
		bytes += n;
		size -= n;
	}
}

/*
 * ivf_write_bytes
 *		Build: bytes over as many pages as they take, side by side.
 */
void
ivf_write_bytes(IvfWriter *writer, IvfPageKind kind, const uint8 *bytes, Size size)
{
	BlockNumber first;

	add_blocks(writer, stream_pages(size));
	first = writer->next;
	for (Size done = 0; done < size; done += IVF_PAGE_ROOM)
	{
		Size		n = Min(size - done, IVF_PAGE_ROOM);
		PGAlignedBlock image;

		ivf_page_init((Page) image.data, kind, 0, n);
		memcpy(IvfPageData(image.data), bytes + done, n);
		write_page(writer, writer->next++, image.data);
	}
	log_blocks(writer, first, writer->next);
}

/*--- extents -------------------------------------------------------------*/

static Extent *
add_extent(IvfWriter *writer)
{
	Extent	   *extent = &writer->extents[writer->nextents++];

	memset(extent, 0, sizeof(*extent));
	extent->page = MemoryContextAlloc(writer->group_context, BLCKSZ);
	ivf_list_init((Page) extent->page, writer->shape, writer->id);
	writer->bytes += BLCKSZ;
	return extent;
}

static Extent *
last_extent(IvfWriter *writer)
{
	return &writer->extents[writer->nextents - 1];
}

/* addresses for the streams of an extent, named on its page */
static void
place_streams(IvfWriter *writer, Extent *extent)
{
	Page		page = (Page) extent->page;
	IvfListHead *head = ivf_list_head(page);

	for (Size done = 0; done < extent->ncodes; done += IVF_PAGE_ROOM)
		ivf_list_codes(writer->shape, page)[head->ncodes++] = take_block(writer, IVF_PAGE_CODE);
	for (Size done = 0; done < extent->nrecords; done += IVF_PAGE_ROOM)
		ivf_list_records(writer->shape, page)[head->nrecords++] = take_block(writer,
																			 IVF_PAGE_RECORD);
}

/* build: blocks that the group takes beside the one reserved for it */
static BlockNumber
group_pages(const IvfWriter *writer, bool more)
{
	BlockNumber n = more ? 1 : 0;

	for (int i = 0; i < writer->nextents; i++)
		n += 1 + stream_pages(writer->extents[i].ncodes) +
			stream_pages(writer->extents[i].nrecords);
	return BlockNumberIsValid(writer->reserved) ? n - 1 : n;
}

/* addresses for all pages of the group, and links */
static void
place_group(IvfWriter *writer, bool more)
{
	if (!writer->logged)
		add_blocks(writer, group_pages(writer, more));
	for (int i = 0; i < writer->nextents; i++)
	{
		Extent	   *extent = &writer->extents[i];

		if (i == 0 && BlockNumberIsValid(writer->reserved))
			extent->blkno = writer->reserved;
		else
			extent->blkno = take_block(writer, writer->shape->kind);
		if (i > 0 && writer->shape->kind == IVF_PAGE_LIST)
			ivf_list_head((Page) writer->extents[i - 1].page)->next = extent->blkno;
	}
	for (int i = 0; i < writer->nextents; i++)
		place_streams(writer, &writer->extents[i]);

	writer->reserved = InvalidBlockNumber;
	if (more)
	{
		writer->reserved = take_block(writer, writer->shape->kind);
		ivf_list_head((Page) last_extent(writer)->page)->next = writer->reserved;
	}
}

/* write all list pages that are filled; "more" if the chain goes on */
static void
write_group(IvfWriter *writer, bool more)
{
	BlockNumber reserved = writer->reserved;
	BlockNumber pages;

	more = more && writer->shape->kind == IVF_PAGE_LIST;
	pages = group_pages(writer, more);
	place_group(writer, more);
	writer->last = last_extent(writer)->blkno;

	if (!writer->first_written)
	{
		writer->first = writer->extents[0].blkno;
		writer->first_written = true;
		if (writer->nextents > 1 && writer->shape->kind == IVF_PAGE_LIST)
			ivf_list_head((Page) writer->extents[0].page)->last = last_extent(writer)->blkno;
	}
	for (int i = 0; i < writer->nextents; i++)
	{
		Extent	   *extent = &writer->extents[i];

		write_page(writer, extent->blkno, extent->page);
		if (writer->shape->kind != IVF_PAGE_PART)
			continue;
		if (writer->nparts == IVF_MAX_PARTS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the centroids of index \"%s\" take too many pages",
							RelationGetRelationName(writer->rel)),
					 errhint("Build it with fewer lists.")));
		writer->parts[writer->nparts++] = extent->blkno;
	}
	for (int i = 0; i < writer->nextents; i++)
	{
		Extent	   *extent = &writer->extents[i];

		write_stream(writer, IVF_PAGE_CODE, ivf_list_codes(writer->shape, (Page) extent->page),
					 extent->codes, extent->ncodes);
		write_stream(writer, IVF_PAGE_RECORD,
					 ivf_list_records(writer->shape, (Page) extent->page), extent->records,
					 extent->nrecords);
	}
	if (!writer->logged)
	{
		/* a page reserved and not written yet is zero, and passed over */
		log_blocks(writer, writer->next - pages, writer->next);
		if (BlockNumberIsValid(reserved))
			log_blocks(writer, reserved, reserved + 1);
	}
	writer->nextents = 0;
	writer->bytes = 0;
	MemoryContextReset(writer->group_context);
}

/*--- rows ----------------------------------------------------------------*/

/*
 * ivf_writer_start
 *		Begin a chain, or with the shape of parts a directory, of that id.
 */
void
ivf_writer_start(IvfWriter *writer, const IvfShape *shape, uint32 id)
{
	writer->shape = shape;
	writer->id = id;
	writer->first_written = false;
	writer->nparts = 0;
	add_extent(writer);
}

/* whether the row fits on the page */
static bool
has_room(const IvfWriter *writer, const Extent *extent, const IvfRow *row)
{
	const IvfShape *shape = writer->shape;

	return ivf_list_head((Page) extent->page)->nrows < shape->rows &&
		(!shape->ends || extent->nrecords + row->record_bytes <=
		 (Size) shape->record_pages * IVF_PAGE_ROOM);
}

static void
add_record(IvfWriter *writer, Extent *extent, const IvfRow *row)
{
	if (extent->nrecords + row->record_bytes > extent->record_room)
	{
		Size		room = Max(extent->nrecords + row->record_bytes,
							   Max(extent->record_room * 2, 8 * row->record_bytes));

		if (extent->records == NULL)
			extent->records = MemoryContextAlloc(writer->group_context, room);
		else
			extent->records = repalloc(extent->records, room);
		extent->record_room = room;
	}
	memcpy(extent->records + extent->nrecords, row->record, row->record_bytes);
	extent->nrecords += row->record_bytes;
	writer->bytes += row->record_bytes;
}

static void
add_code(IvfWriter *writer, Extent *extent, const IvfRow *row)
{
	const IvfShape *shape = writer->shape;
	int			place = ivf_list_head((Page) extent->page)->nrows;
	int			number = place / IVF_BLOCK_ROWS;
	uint8	   *block;

	if (shape->inline_blocks)
		block = ivf_list_block(shape, (Page) extent->page, number);
	else
	{
		if (extent->codes == NULL)
		{
			extent->codes = MemoryContextAllocZero(writer->group_context,
												   shape->rows * shape->row_bytes);
			writer->bytes += shape->rows * shape->row_bytes;
		}
		block = extent->codes + number * shape->block_bytes;
		extent->ncodes = (number + 1) * shape->block_bytes;
	}
	ivf_block_put(shape, writer->index->params.dim, block, place % IVF_BLOCK_ROWS, row->code);
}

/*
 * ivf_writer_add
 *		The next row of the chain, or list of the directory.
 */
void
ivf_writer_add(IvfWriter *writer, const IvfRow *row)
{
	const IvfShape *shape = writer->shape;
	Extent	   *extent = last_extent(writer);
	IvfListHead *head;

	if (!has_room(writer, extent, row))
	{
		if (writer->bytes >= GROUP_BYTES || writer->nextents == GROUP_PAGES)
			write_group(writer, true);
		extent = add_extent(writer);
	}
	head = ivf_list_head((Page) extent->page);
	if (shape->row_bytes > 0)
		add_code(writer, extent, row);
	if (row->record_bytes > 0)
		add_record(writer, extent, row);
	if (shape->ends)
		ivf_list_ends(shape, (Page) extent->page)[head->nrows] = (uint32) extent->nrecords;
	ivf_list_tids(shape, (Page) extent->page)[head->nrows] = row->tid;
	ivf_keys_put(shape, (Page) extent->page, head->nrows, row->keys);
	head->nrows++;
}

/* tell the first page, already written, where the chain ends */
static void
write_hint(IvfWriter *writer, BlockNumber last)
{
	Buffer		buffer = ReadBufferExtended(writer->rel, writer->fork, writer->first, RBM_NORMAL,
											NULL);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (writer->logged)
	{
		GenericXLogState *state = GenericXLogStart(writer->rel);

		ivf_list_head(GenericXLogRegisterBuffer(state, buffer, 0))->last = last;
		GenericXLogFinish(state);
	}
	else
	{
		ivf_list_head(BufferGetPage(buffer))->last = last;
		MarkBufferDirty(buffer);
	}
	UnlockReleaseBuffer(buffer);
	if (!writer->logged)
		log_blocks(writer, writer->first, writer->first + 1);
}

/*
 * ivf_writer_end
 *		Write what is left of the chain; returns its first page.
 */
BlockNumber
ivf_writer_end(IvfWriter *writer)
{
	bool		hint = writer->first_written && writer->shape->kind == IVF_PAGE_LIST;

	write_group(writer, false);
	if (hint)
		write_hint(writer, writer->last);
	return writer->first;
}

/*
 * ivf_writer_parts
 *		The parts of the directory just ended; "parts" has room for IVF_MAX_PARTS.
 */
uint32
ivf_writer_parts(IvfWriter *writer, BlockNumber *parts)
{
	memcpy(parts, writer->parts, writer->nparts * sizeof(BlockNumber));
	return writer->nparts;
}

/*-------------------------------------------------------------------------
 *
 * ivfshape.c
 *	  List pages: where things are on them, and reading the streams of code
 *	  and record pages that belong to them.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include "miscadmin.h"

/* rows of a page at most, where codes and records leave room for more */
#define MAX_ROWS			1344
#define MAX_STREAM_ROWS		256		/* with code pages, or records and no codes */

/* record pages of a page at most, unless 32 rows (one without codes) need more */
#define USUAL_RECORD_PAGES	128

static Size
pages_for(Size bytes)
{
	return (bytes + IVF_PAGE_ROOM - 1) / IVF_PAGE_ROOM;
}

/* lay out a page of so many rows; the size it takes */
static Size
lay_out(IvfShape *shape, int rows)
{
	Size		blocks = rows / IVF_BLOCK_ROWS * shape->block_bytes;
	Size		size = MAXALIGN(sizeof(IvfListHead));

	shape->rows = rows;
	shape->code_pages = shape->inline_blocks ? 0 : (int) pages_for(blocks);
	shape->record_pages = shape->ends ? USUAL_RECORD_PAGES :
		(int) pages_for((Size) rows * shape->record_size);
	shape->codes_offset = size;
	size += MAXALIGN(shape->code_pages * sizeof(BlockNumber));
	shape->records_offset = size;
	size += MAXALIGN(shape->record_pages * sizeof(BlockNumber));
	shape->tids_offset = size;
	size += MAXALIGN(rows * sizeof(ItemPointerData));
	shape->ends_offset = size;
	if (shape->ends)
		size += MAXALIGN(rows * sizeof(uint32));
	shape->keys_offset = size;
	size += TYPEALIGN(IVF_BLOCK_ROWS, rows) * shape->nwords * sizeof(uint64);
	shape->blocks_offset = size;
	if (shape->inline_blocks)
		size += blocks;
	shape->size = size;
	return size;
}

/* the most rows, in steps, whose page and record pages are not too many */
static bool
fit(IvfShape *shape, int step, int most)
{
	for (int rows = most / step * step; rows >= step; rows -= step)
	{
		if (lay_out(shape, rows) <= IVF_PAGE_ROOM &&
			(shape->record_pages <= USUAL_RECORD_PAGES || rows == step) &&
			shape->record_pages <= IVF_MAX_STREAM)
			return true;
	}
	return false;
}

/*
 * ivf_shape
 *		The shape of list pages whose rows have codes of row_bytes (0: none) and
 *		records of record_size (0: none), or of at most that if "ends", and nwords
 *		words of filter columns.
 *
 * Depends on nothing else, for it is part of the disk format.
 */
void
ivf_shape(IvfShape *shape, IvfPageKind kind, ListQuantizer quantizer, Size row_bytes,
		  Size record_size, bool ends, int nwords)
{
	int			step = row_bytes > 0 ? IVF_BLOCK_ROWS : 1;
	int			most = row_bytes == 0 && record_size > 0 ? MAX_STREAM_ROWS : MAX_ROWS;

	memset(shape, 0, sizeof(*shape));
	shape->kind = kind;
	shape->quantizer = quantizer;
	shape->ends = ends;
	shape->nwords = nwords;
	shape->record_size = record_size;
	shape->row_bytes = row_bytes;
	shape->block_bytes = row_bytes * IVF_BLOCK_ROWS;
	shape->inline_blocks = row_bytes > 0;
	if (fit(shape, step, most))
		return;
	shape->inline_blocks = false;
	if (!fit(shape, step, MAX_STREAM_ROWS))
		elog(ERROR, "no list page for codes of %zu and records of %zu bytes", row_bytes,
			 record_size);
}

/*
 * ivf_list_init
 *		Make a page an empty list page.
 */
void
ivf_list_init(Page page, const IvfShape *shape, uint32 id)
{
	IvfListHead *head;

	ivf_page_init(page, shape->kind, id, shape->size);
	head = ivf_list_head(page);
	head->next = InvalidBlockNumber;
	head->last = InvalidBlockNumber;
	head->flags = shape->undefined ? IVF_LIST_UNDEFINED : 0;
}

/*
 * ivf_keys_put
 *		Put the words of a row into its place on a page.
 */
void
ivf_keys_put(const IvfShape *shape, Page page, int place, const uint64 *keys)
{
	uint64	   *to = ivf_list_keys(shape, page, place / IVF_BLOCK_ROWS);

	for (int i = 0; i < shape->nwords; i++)
		to[i * IVF_BLOCK_ROWS + place % IVF_BLOCK_ROWS] = keys[i];
}

/*
 * ivf_keys_get
 *		The reverse.
 */
void
ivf_keys_get(const IvfShape *shape, Page page, int place, uint64 *keys)
{
	const uint64 *from = ivf_list_keys(shape, page, place / IVF_BLOCK_ROWS);

	for (int i = 0; i < shape->nwords; i++)
		keys[i] = from[i * IVF_BLOCK_ROWS + place % IVF_BLOCK_ROWS];
}

/* pages of a stream that so many bytes take; 0 for none */
static bool
enough_pages(Size bytes, int pages)
{
	return pages_for(bytes) <= (Size) pages;
}

/*
 * ivf_list_ok
 *		Whether the counts on a list page agree, so that they may index arrays.
 */
bool
ivf_list_ok(const IvfShape *shape, Page page)
{
	const IvfListHead *head = ivf_list_head(page);
	int			blocks = (head->nrows + IVF_BLOCK_ROWS - 1) / IVF_BLOCK_ROWS;
	Size		bytes = (Size) head->nrows * shape->record_size;

	if (((PageHeader) page)->pd_lower != IVF_PAGE_START + shape->size ||
		((head->flags & IVF_LIST_UNDEFINED) != 0) != shape->undefined ||
		head->nrows > shape->rows || head->ncleared > head->nrows ||
		head->ncodes > shape->code_pages || head->nrecords > shape->record_pages)
		return false;
	if (shape->ends)
	{
		const uint32 *ends = ivf_list_ends(shape, page);

		for (int i = 1; i < head->nrows; i++)
		{
			if (ends[i] < ends[i - 1])
				return false;
		}
		bytes = head->nrows > 0 ? ends[head->nrows - 1] : 0;
		if (head->nrows > 0 && ends[0] > bytes)
			return false;
	}
	if (!enough_pages(bytes, head->nrecords))
		return false;
	if (shape->row_bytes == 0 || shape->inline_blocks)
		return head->ncodes == 0;
	return enough_pages((Size) blocks * shape->block_bytes, head->ncodes);
}

/*--- copies --------------------------------------------------------------*/

/*
 * ivf_list_copy_size
 *		Bytes of a copy of a list page that is locked.
 */
Size
ivf_list_copy_size(const IvfShape *shape, Page page)
{
	const IvfListHead *head = ivf_list_head(page);

	return MAXALIGN(sizeof(IvfListCopy)) +
		MAXALIGN((head->ncodes + head->nrecords) * sizeof(BlockNumber)) +
		(shape->ends ? MAXALIGN(head->nrows * sizeof(uint32)) : 0);
}

/*
 * ivf_copy_page
 *		What is needed of a list page, or a copy of one, to read its streams later.
 */
IvfListCopy *
ivf_copy_page(const IvfShape *shape, BlockNumber blkno, Page page, void *memory)
{
	const IvfListHead *head = ivf_list_head(page);
	IvfListCopy *copy = memory;

	copy->blkno = blkno;
	copy->buffers = NULL;
	copy->id = IvfPageGetOpaque(page)->id;
	copy->nrows = head->nrows;
	copy->ncodes = head->ncodes;
	copy->nrecords = head->nrecords;
	copy->next = head->next;
	copy->codes = (BlockNumber *) ((char *) memory + MAXALIGN(sizeof(IvfListCopy)));
	copy->records = copy->codes + head->ncodes;
	copy->ends = NULL;
	memcpy(copy->codes, ivf_list_codes(shape, page), head->ncodes * sizeof(BlockNumber));
	memcpy(copy->records, ivf_list_records(shape, page), head->nrecords * sizeof(BlockNumber));
	if (shape->ends)
	{
		copy->ends = (uint32 *) ((char *) copy->codes +
								 MAXALIGN((head->ncodes + head->nrecords) * sizeof(BlockNumber)));
		memcpy(copy->ends, ivf_list_ends(shape, page), head->nrows * sizeof(uint32));
	}
	return copy;
}

/*
 * ivf_copy_list
 *		The same of a locked list page.
 */
IvfListCopy *
ivf_copy_list(const IvfShape *shape, Buffer buffer, void *memory)
{
	return ivf_copy_page(shape, BufferGetBlockNumber(buffer), BufferGetPage(buffer), memory);
}

/*
 * ivf_read_stream
 *		Bytes from the code or record pages of a list page; holds no lock but
 *		that of one of them at a time.
 *
 * Raises XX002, on a standby 40001, if a page is missing or another's.
 */
void
ivf_read_stream(Relation rel, const IvfListCopy *list, IvfPageKind kind, Size start, Size size,
				uint8 *to)
{
	const BlockNumber *pages = kind == IVF_PAGE_CODE ? list->codes : list->records;
	Size		npages = kind == IVF_PAGE_CODE ? list->ncodes : list->nrecords;

	while (size > 0)
	{
		Size		offset = start % IVF_PAGE_ROOM;
		Size		n = Min(size, IVF_PAGE_ROOM - offset);
		Buffer		buffer;

		if (start / IVF_PAGE_ROOM >= npages)
			am_corrupt(rel, list->blkno, "A list page has too few pages for its rows.");
		CHECK_FOR_INTERRUPTS();
		buffer = ivf_read_known(list->buffers, rel, pages[start / IVF_PAGE_ROOM], kind, list->id);
		memcpy(to, IvfPageData(BufferGetPage(buffer)) + offset, n);
		UnlockReleaseBuffer(buffer);
		to += n;
		start += n;
		size -= n;
	}
}

/*
 * ivf_read_record
 *		The record of a place: ivf_record_bytes() bytes.
 */
void
ivf_read_record(Relation rel, const IvfShape *shape, const IvfListCopy *list, int place,
				uint8 *to)
{
	ivf_read_stream(rel, list, IVF_PAGE_RECORD, ivf_record_start(shape, list->ends, place),
					ivf_record_bytes(shape, list->ends, place), to);
}

/*
 * ivf_read_block
 *		A block on code pages.
 */
void
ivf_read_block(Relation rel, const IvfShape *shape, const IvfListCopy *list, int block,
			   uint8 *to)
{
	ivf_read_stream(rel, list, IVF_PAGE_CODE, (Size) block * shape->block_bytes,
					shape->block_bytes, to);
}

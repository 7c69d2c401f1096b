/*-------------------------------------------------------------------------
 *
 * ivfappend.c
 *	  Appending a row to a chain (README.md, "Insert").
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include "am/am_xlog.h"
#include "miscadmin.h"

/* pages of a generic WAL record beside the list page */
#define RECORD_PAGES	(MAX_GENERIC_XLOG_PAGES - 1)

/*
 * Pages that one row's code and record may touch.  A block of int8 codes of 16,000
 * dimensions is on 64, a record of floats on 9, one of 16,000 non-zeros on 17.
 */
#define MOST_PIECES		96

/* bytes of the row that go to one code or record page */
typedef struct Piece
{
	IvfPageKind kind;
	int			number;			/* of the page in its stream */
	Size		offset;			/* on the page */
	const uint8 *bytes;
	Size		size;
	BlockNumber blkno;			/* invalid: a new page */
} Piece;

typedef struct Append
{
	Relation	rel;
	const IvfIndex *index;
	const IvfShape *shape;
	uint32		id;
	const IvfRow *row;
	Buffer		buffer;			/* list page, locked exclusively */
	int			place;
	int			npieces;
	Piece		pieces[MOST_PIECES];
} Append;

/*--- the end of the chain ------------------------------------------------*/

/* go on to the last page of a chain from a page that is locked */
static Buffer
walk(const Append *append, Buffer buffer)
{
	BlockNumber next = ivf_list_head(BufferGetPage(buffer))->next;
	BlockNumber steps = 0;

	while (BlockNumberIsValid(next))
	{
		CHECK_FOR_INTERRUPTS();
		UnlockReleaseBuffer(buffer);
		if (!am_block_exists(append->rel, steps++))
			am_corrupt(append->rel, next, "A chain of list pages has no end.");
		buffer = ivf_read(append->rel, next, BUFFER_LOCK_EXCLUSIVE, append->shape->kind,
						  append->id);
		next = ivf_list_head(BufferGetPage(buffer))->next;
	}
	return buffer;
}

/* the last page of a chain, locked exclusively, by the hint of the first */
static Buffer
find_last(const Append *append, BlockNumber first)
{
	Buffer		buffer = ivf_read(append->rel, first, BUFFER_LOCK_SHARE, append->shape->kind,
								  append->id);
	BlockNumber last = ivf_list_head(BufferGetPage(buffer))->last;
	IvfPageKind kind;
	uint32		id;

	UnlockReleaseBuffer(buffer);
	if (BlockNumberIsValid(last) && last != first)
	{
		buffer = ivf_read_any(append->rel, last, BUFFER_LOCK_EXCLUSIVE, &kind, &id);
		if (BufferIsValid(buffer))
		{
			if (kind == append->shape->kind && id == append->id)
				return walk(append, buffer);
			UnlockReleaseBuffer(buffer);
		}
	}
	buffer = ivf_read(append->rel, first, BUFFER_LOCK_EXCLUSIVE, append->shape->kind, append->id);
	return walk(append, buffer);
}

/* whether the row fits on a locked list page */
static bool
has_room(const Append *append, Buffer buffer)
{
	const IvfShape *shape = append->shape;
	Page		page = BufferGetPage(buffer);
	const IvfListHead *head = ivf_list_head(page);

	if (!ivf_list_ok(shape, page))
		am_corrupt(append->rel, BufferGetBlockNumber(buffer),
				   "The counts of a list page do not agree.");
	if ((head->flags & IVF_LIST_SEALED) != 0 || head->nrows >= shape->rows)
		return false;
	return !shape->ends ||
		ivf_record_start(shape, ivf_list_ends(shape, page), head->nrows) +
		append->row->record_bytes <= (Size) shape->record_pages * IVF_PAGE_ROOM;
}

/*
 * Add an empty page to the end of the chain, unless somebody else did.  The
 * first page stays locked, for it gets the hint.
 */
static void
extend_chain(const Append *append, BlockNumber first)
{
	Relation	rel = append->rel;
	Buffer		head = ivf_read(rel, first, BUFFER_LOCK_EXCLUSIVE, append->shape->kind,
								append->id);
	BlockNumber next = ivf_list_head(BufferGetPage(head))->next;
	Buffer		last = head;
	Buffer		fresh;
	GenericXLogState *state;
	Page		page;
	Page		head_page;

	if (BlockNumberIsValid(next))
		last = walk(append, ivf_read(rel, next, BUFFER_LOCK_EXCLUSIVE, append->shape->kind,
									 append->id));
	if (!has_room(append, last))
	{
		fresh = ivf_new_page(rel);
		state = GenericXLogStart(rel);
		page = GenericXLogRegisterBuffer(state, fresh, GENERIC_XLOG_FULL_IMAGE);
		ivf_list_init(page, append->shape, append->id);
		head_page = GenericXLogRegisterBuffer(state, head, 0);
		ivf_list_head(head_page)->last = BufferGetBlockNumber(fresh);
		page = last == head ? head_page : GenericXLogRegisterBuffer(state, last, 0);
		ivf_list_head(page)->next = BufferGetBlockNumber(fresh);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(fresh);
	}
	if (last != head)
		UnlockReleaseBuffer(last);
	UnlockReleaseBuffer(head);
}

/*--- the row -------------------------------------------------------------*/

/* divide bytes among the pages of a stream */
static void
add_pieces(Append *append, IvfPageKind kind, Size start, const uint8 *bytes, Size size)
{
	Page		page = BufferGetPage(append->buffer);
	const BlockNumber *pages = kind == IVF_PAGE_CODE ? ivf_list_codes(append->shape, page) :
		ivf_list_records(append->shape, page);
	int			npages = kind == IVF_PAGE_CODE ? ivf_list_head(page)->ncodes :
		ivf_list_head(page)->nrecords;

	while (size > 0)
	{
		Piece	   *piece = &append->pieces[append->npieces];

		if (append->npieces == MOST_PIECES)
			elog(ERROR, "a row of index \"%s\" takes too many pages",
				 RelationGetRelationName(append->rel));
		piece->kind = kind;
		piece->number = (int) (start / IVF_PAGE_ROOM);
		piece->offset = start % IVF_PAGE_ROOM;
		piece->bytes = bytes;
		piece->size = Min(size, IVF_PAGE_ROOM - piece->offset);
		piece->blkno = piece->number < npages ? pages[piece->number] : InvalidBlockNumber;
		append->npieces++;
		bytes += piece->size;
		start += piece->size;
		size -= piece->size;
	}
}

/* write a piece within a record; returns its buffer, locked */
static Buffer
write_piece(Append *append, GenericXLogState *state, Piece *piece)
{
	bool		fresh = !BlockNumberIsValid(piece->blkno);
	Buffer		buffer;
	Page		page;

	if (fresh)
		buffer = ivf_new_page(append->rel);
	else
		buffer = ivf_read(append->rel, piece->blkno, BUFFER_LOCK_EXCLUSIVE, piece->kind,
						  append->id);
	page = GenericXLogRegisterBuffer(state, buffer, fresh ? GENERIC_XLOG_FULL_IMAGE : 0);
	if (fresh)
	{
		ivf_page_init(page, piece->kind, append->id, 0);
		piece->blkno = BufferGetBlockNumber(buffer);
	}
	ivf_page_cover(page, piece->offset + piece->size);
	memcpy(IvfPageData(page) + piece->offset, piece->bytes, piece->size);
	return buffer;
}

/* write all pieces: into the record of the list page if they fit, else before it */
static int
write_pieces(Append *append, GenericXLogState *state, Buffer *buffers)
{
	for (int i = 0; i < append->npieces; i++)
	{
		if (state != NULL)
			buffers[i] = write_piece(append, state, &append->pieces[i]);
		else
		{
			GenericXLogState *own = GenericXLogStart(append->rel);
			Buffer		buffer = write_piece(append, own, &append->pieces[i]);

			GenericXLogFinish(own);
			UnlockReleaseBuffer(buffer);
		}
	}
	return state != NULL ? append->npieces : 0;
}

/* name the pages of the pieces on the list page */
static void
name_pages(const Append *append, Page page)
{
	IvfListHead *head = ivf_list_head(page);

	for (int i = 0; i < append->npieces; i++)
	{
		const Piece *piece = &append->pieces[i];

		if (piece->kind == IVF_PAGE_CODE)
		{
			ivf_list_codes(append->shape, page)[piece->number] = piece->blkno;
			head->ncodes = Max(head->ncodes, piece->number + 1);
		}
		else
		{
			ivf_list_records(append->shape, page)[piece->number] = piece->blkno;
			head->nrecords = Max(head->nrecords, piece->number + 1);
		}
	}
}

/* count the row: with this record it is in the index (L1) */
static void
put_row(const Append *append, Page page)
{
	const IvfShape *shape = append->shape;
	IvfListHead *head = ivf_list_head(page);
	int			place = append->place;

	name_pages(append, page);
	if (shape->ends)
		ivf_list_ends(shape, page)[place] = (uint32)
			(ivf_record_start(shape, ivf_list_ends(shape, page), place) +
			 append->row->record_bytes);
	if (shape->row_bytes > 0 && shape->inline_blocks)
		ivf_block_put(shape, append->index->params.dim,
					  ivf_list_block(shape, page, place / IVF_BLOCK_ROWS),
					  place % IVF_BLOCK_ROWS, append->row->code);
	ivf_list_tids(shape, page)[place] = append->row->tid;
	ivf_keys_put(shape, page, place, append->row->keys);
	head->nrows = place + 1;
}

/*
 * The block of the new row, with its code, where blocks are on code pages.  Only
 * who has the list page exclusively changes it.
 */
static uint8 *
make_block(const Append *append)
{
	const IvfShape *shape = append->shape;
	Page		page = BufferGetPage(append->buffer);
	uint8	   *block = palloc0(shape->block_bytes);
	IvfListCopy *copy;

	if (append->place % IVF_BLOCK_ROWS != 0)
	{
		copy = ivf_copy_list(shape, append->buffer, palloc(ivf_list_copy_size(shape, page)));
		ivf_read_block(append->rel, shape, copy, append->place / IVF_BLOCK_ROWS, block);
		pfree(copy);
	}
	ivf_block_put(shape, append->index->params.dim, block, append->place % IVF_BLOCK_ROWS,
				  append->row->code);
	return block;
}

/*
 * The usual case: no new page.  The bytes that change are known, so that pages
 * need not be copied and compared (am/am_xlog.c).
 */
static void
append_in_place(Append *append)
{
	const IvfShape *shape = append->shape;
	Page		page = BufferGetPage(append->buffer);
	AmXlog	   *xlog = am_xlog_start(append->rel);
	int			list = am_xlog_buffer(xlog, append->buffer);
	IvfListHead head = *ivf_list_head(page);
	Buffer		buffers[RECORD_PAGES];
	int			place = append->place;

	for (int i = 0; i < append->npieces; i++)
	{
		const Piece *piece = &append->pieces[i];
		uint8	   *to;
		int			n;

		buffers[i] = ivf_read(append->rel, piece->blkno, BUFFER_LOCK_EXCLUSIVE, piece->kind,
							  append->id);
		to = IvfPageData(BufferGetPage(buffers[i])) + piece->offset;
		n = am_xlog_buffer(xlog, buffers[i]);
		am_xlog_put(xlog, n, to, piece->bytes, piece->size);
		am_xlog_cover(xlog, n, to + piece->size);
	}
	head.nrows = place + 1;
	am_xlog_put(xlog, list, ivf_list_head(page), &head, sizeof(head));
	am_xlog_put(xlog, list, &ivf_list_tids(shape, page)[place], &append->row->tid,
				sizeof(ItemPointerData));
	for (int i = 0; i < shape->nwords; i++)
		am_xlog_put(xlog, list, ivf_list_keys(shape, page, place / IVF_BLOCK_ROWS) +
					i * IVF_BLOCK_ROWS + place % IVF_BLOCK_ROWS, &append->row->keys[i],
					sizeof(uint64));
	if (shape->ends)
	{
		uint32	   *ends = ivf_list_ends(shape, page);
		uint32		end = (uint32) (ivf_record_start(shape, ends, place) +
									append->row->record_bytes);

		am_xlog_put(xlog, list, &ends[place], &end, sizeof(end));
	}
	if (shape->row_bytes > 0 && shape->inline_blocks)
	{
		uint8	   *was = ivf_list_block(shape, page, place / IVF_BLOCK_ROWS);
		uint8	   *block = palloc(shape->block_bytes);

		memcpy(block, was, shape->block_bytes);
		ivf_block_put(shape, append->index->params.dim, block, place % IVF_BLOCK_ROWS,
					  append->row->code);
		am_xlog_put(xlog, list, was, block, shape->block_bytes);
		pfree(block);
	}
	am_xlog_finish(xlog);
	for (int i = 0; i < append->npieces; i++)
		UnlockReleaseBuffer(buffers[i]);
}

/* whether all pages of the pieces are there, and fit into the record of the list page */
static bool
pages_exist(const Append *append)
{
	for (int i = 0; i < append->npieces; i++)
	{
		if (!BlockNumberIsValid(append->pieces[i].blkno))
			return false;
	}
	return append->npieces <= RECORD_PAGES;
}

/* append to the locked list page, which has room */
static void
append_row(Append *append)
{
	const IvfShape *shape = append->shape;
	Page		page = BufferGetPage(append->buffer);
	Buffer		buffers[RECORD_PAGES];
	GenericXLogState *state = NULL;
	int			n = 0;

	append->place = ivf_list_head(page)->nrows;
	append->npieces = 0;
	if (shape->row_bytes > 0 && !shape->inline_blocks)
		add_pieces(append, IVF_PAGE_CODE,
				   (Size) (append->place / IVF_BLOCK_ROWS) * shape->block_bytes,
				   make_block(append), shape->block_bytes);
	if (append->row->record_bytes > 0)
		add_pieces(append, IVF_PAGE_RECORD,
				   ivf_record_start(shape, ivf_list_ends(shape, page), append->place),
				   append->row->record, append->row->record_bytes);

	if (pages_exist(append))
	{
		append_in_place(append);
		return;
	}
	if (append->npieces > RECORD_PAGES)
		write_pieces(append, NULL, NULL);
	state = GenericXLogStart(append->rel);
	page = GenericXLogRegisterBuffer(state, append->buffer, 0);
	if (append->npieces <= RECORD_PAGES)
		n = write_pieces(append, state, buffers);
	put_row(append, page);
	GenericXLogFinish(state);
	for (int i = 0; i < n; i++)
		UnlockReleaseBuffer(buffers[i]);
}

/*
 * ivf_append
 *		Append a row to the chain of that first page and id.
 *
 * The caller holds the gate, in either mode, and no buffer lock.  Raises XX002
 * for damaged pages, and what extending the relation may raise.
 */
void
ivf_append(Relation rel, const IvfIndex *index, const IvfShape *shape, BlockNumber first,
		   uint32 id, const IvfRow *row)
{
	Append		append = {.rel = rel, .index = index, .shape = shape, .id = id, .row = row};

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		append.buffer = find_last(&append, first);
		if (has_room(&append, append.buffer))
			break;
		UnlockReleaseBuffer(append.buffer);
		extend_chain(&append, first);
	}
	append_row(&append);
	UnlockReleaseBuffer(append.buffer);
}

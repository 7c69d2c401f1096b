/*-------------------------------------------------------------------------
 *
 * hnswfiles.c
 *	  Temporary files of a build: items of one size, written one after the
 *	  other by one participant and read in any order by all of them.
 *
 * Not BufFile: that reads 8 kB where an item may have less, and copies it once
 * more.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "executor/instrument.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

#define WRITE_ROOM		(128 * 1024)

struct HnswItems
{
	File		file;
	Size		size;			/* of an item */
	uint64		n;				/* items written */
	Size		room;			/* writer: bytes of the buffer, of which some are used */
	Size		used;
	off_t		written;		/* bytes in the file */
	char	   *buffer;
};

static void
file_name(char *name, Size room, const char *what, int participant)
{
	snprintf(name, room, "%s.%d", what, participant);
}

/*
 * hnsw_items_create
 *		A participant's own file of such items, to be written.
 */
HnswItems *
hnsw_items_create(HnswBuild *build, const char *what, Size size)
{
	MemoryContext old = MemoryContextSwitchTo(build->context);
	HnswItems  *items = palloc0(sizeof(HnswItems));
	char		name[64];

	file_name(name, sizeof(name), what, build->participant);
	items->file = build->parallel ? FileSetCreate(&build->shared->files.fs, name) :
		OpenTemporaryFile(false);
	items->size = size;
	items->room = Max(size, WRITE_ROOM);
	items->buffer = MemoryContextAllocHuge(build->context, items->room);
	MemoryContextSwitchTo(old);
	return items;
}

/* to the file */
static void
flush(HnswItems *items)
{
	int			n;

	if (items->used == 0)
		return;
	errno = 0;
	n = (int) FileWrite(items->file, items->buffer, (int) items->used, items->written,
						WAIT_EVENT_BUFFILE_WRITE);
	if (n != (int) items->used)
	{
		/* what is not written without a reason did not fit */
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write to file \"%s\": %m", FilePathName(items->file))));
	}
	pgBufferUsage.temp_blks_written += (int64) (items->used + BLCKSZ - 1) / BLCKSZ;
	items->written += n;
	items->used = 0;
}

/*
 * hnsw_items_add
 *		Append an item; its number is how many there were before.
 */
void
hnsw_items_add(HnswItems *items, const void *item)
{
	if (items->used + items->size > items->room)
		flush(items);
	memcpy(items->buffer + items->used, item, items->size);
	items->used += items->size;
	items->n++;
}

/*
 * hnsw_items_count
 *		How many there are.
 */
uint64
hnsw_items_count(const HnswItems *items)
{
	return items == NULL ? 0 : items->n;
}

/*
 * hnsw_items_written
 *		No more will be added; they can be read by all.
 */
void
hnsw_items_written(HnswItems *items)
{
	if (items == NULL)
		return;
	flush(items);
	pfree(items->buffer);
	items->buffer = NULL;
}

/*
 * hnsw_items_open
 *		The file of a participant, to be read; NULL if there is none.
 */
HnswItems *
hnsw_items_open(HnswBuild *build, const char *what, int participant, Size size)
{
	HnswItems  *items;
	char		name[64];
	File		file;

	file_name(name, sizeof(name), what, participant);
	file = FileSetOpen(&build->shared->files.fs, name, O_RDONLY);
	if (file <= 0)
		return NULL;
	items = MemoryContextAllocZero(build->context, sizeof(HnswItems));
	items->file = file;
	items->size = size;
	return items;
}

/*
 * hnsw_items_read
 *		Read one item.
 */
void
hnsw_items_read(HnswItems *items, uint64 n, void *item)
{
	int			done;

	errno = 0;
	done = (int) FileRead(items->file, item, (int) items->size, (off_t) (n * items->size),
						  WAIT_EVENT_BUFFILE_READ);
	if (done != (int) items->size)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read item " UINT64_FORMAT " from file \"%s\": %m",
						n, FilePathName(items->file))));
	pgBufferUsage.temp_blks_read++;
}

/*
 * hnsw_items_close
 *		Let go of the file.  NULL is fine.
 */
void
hnsw_items_close(HnswItems *items)
{
	if (items == NULL)
		return;
	FileClose(items->file);
	pfree(items);
}

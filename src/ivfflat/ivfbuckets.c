/*-------------------------------------------------------------------------
 *
 * ivfbuckets.c
 *	  Rows of a build between the scan of the table and the pages of the index.
 *
 * Lists are dealt out to *buckets*, each so many lists in a row.  A participant
 * appends rows to a temporary file of its own for each bucket; when all have
 * ended their part of the table, each takes bucket after bucket, reads all
 * files of it and writes its lists.  So a row is written to a file and read
 * once, in order, and pages are written by all participants.
 *
 * A bucket that is larger than the memory of a participant is read once for each
 * run of lists that fits, and a list that does not fit by itself is written as
 * it is read.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include <math.h>

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

/* buckets for each participant, where there is more than a little data, and in all */
#define BUCKETS_EACH	8
#define LITTLE_BYTES	((double) 4 * 1024 * 1024)
#define MOST_BUCKETS	1024

/* what is before a row in a file; in memory "next" links the rows of a list */
typedef struct Stored
{
	int32		list;
	uint32		size;			/* of IvfTuple and what follows; MAXALIGN'd in the file */
	Size		next;			/* where the next one is, 0: none */
} Stored;

/* a bucket being written */
typedef struct Bucket
{
	IvfBuild   *build;
	IvfWriter  *writer;
	int			first;			/* lists */
	int			end;
	int			nfiles;
	BufFile   **files;
	Size		bytes;			/* of all files */
	char	   *rows;			/* those of some lists, from offset MAXIMUM_ALIGNOF on */
	Size	   *head;			/* by list less "first": its first row */
	Size	   *tail;
	Size	   *size;			/* by list less "first": bytes of its rows */
	Stored	   *row;			/* room for one */
} Bucket;

/* lists, and that of the undefined, are numbered so far */
static int
all_lists(const IvfBuild *build)
{
	return build->centroids.nlists + 1;
}

/* the first list of a bucket; of the one behind the last, the end of them all */
static int
first_list(const IvfBuild *build, int bucket)
{
	return (int) ((int64) bucket * all_lists(build) / build->shared->nbuckets);
}

static int
bucket_of(const IvfBuild *build, int list)
{
	int			bucket = (int) ((int64) list * build->shared->nbuckets / all_lists(build));

	while (first_list(build, bucket + 1) <= list)
		bucket++;
	return bucket;
}

/*
 * ivf_buckets_choose
 *		How many buckets to make for the rows expected.
 */
void
ivf_buckets_choose(IvfBuild *build, int participants)
{
	Size		record = build->index.list.ends ? build->value_mean : build->index.list.record_size;
	double		bytes = build->most_rows *
		(sizeof(Stored) + sizeof(IvfTuple) + sizeof(uint64) * build->index.list.nwords +
		 build->index.list.row_bytes + record);
	double		memory = build->shared->memory * 1024.0;
	double		n = ceil(2 * bytes / memory);

	if (bytes > LITTLE_BYTES)
		n = Max(n, BUCKETS_EACH * participants);
	/* each has a buffer of a block while rows are appended */
	n = Min(n, Max(1, memory / 4 / BLCKSZ));
	n = Min(n, MOST_BUCKETS);
	build->shared->nbuckets = (int) Max(1, Min(n, all_lists(build)));
}

/*--- rows into files -----------------------------------------------------*/

static void
file_name(char *name, int participant, int bucket)
{
	snprintf(name, MAXPGPATH, "rows.%d.%d", participant, bucket);
}

static BufFile *
make_file(IvfBuild *build, int bucket)
{
	MemoryContext old = MemoryContextSwitchTo(build->context);
	char		name[MAXPGPATH];
	BufFile    *file;

	file_name(name, build->participant, bucket);
	file = build->parallel ? BufFileCreateFileSet(&build->shared->files.fs, name) :
		BufFileCreateTemp(false);
	MemoryContextSwitchTo(old);
	return file;
}

/*
 * ivf_buckets_put
 *		Append the row in build->tuple, of so many bytes, to its bucket.
 */
void
ivf_buckets_put(IvfBuild *build, int list, Size size)
{
	int			bucket = bucket_of(build, list);
	Stored		head = {.list = list, .size = (uint32) MAXALIGN(size)};

	if (build->files[bucket] == NULL)
		build->files[bucket] = make_file(build, bucket);
	BufFileWrite(build->files[bucket], &head, sizeof(head));
	BufFileWrite(build->files[bucket], build->tuple + VARHDRSZ, head.size);
	build->file_bytes[bucket] += sizeof(head) + head.size;
}

/*
 * ivf_buckets_done
 *		This participant has no more rows; others may read its files.
 */
void
ivf_buckets_done(IvfBuild *build)
{
	for (int i = 0; build->parallel && i < build->shared->nbuckets; i++)
	{
		if (build->files[i] == NULL)
			continue;
		BufFileExportFileSet(build->files[i]);
		BufFileClose(build->files[i]);
		build->files[i] = NULL;
	}
}

/*--- files into lists ----------------------------------------------------*/

static void
open_files(Bucket *bucket, int number)
{
	IvfBuild   *build = bucket->build;

	bucket->files = palloc0(sizeof(BufFile *) * build->shared->participants);
	for (int i = 0; i < build->shared->participants; i++)
	{
		char		name[MAXPGPATH];
		BufFile    *file = build->parallel ? NULL : build->files[number];

		file_name(name, i, number);
		if (build->parallel)
			file = BufFileOpenFileSet(&build->shared->files.fs, name, O_RDONLY, true);
		if (file == NULL)
			continue;
		bucket->files[bucket->nfiles++] = file;
		bucket->bytes += build->parallel ? (Size) BufFileSize(file) : build->file_bytes[number];
	}
}

static void
close_files(Bucket *bucket, int number)
{
	for (int i = 0; i < bucket->nfiles; i++)
		BufFileClose(bucket->files[i]);
	if (!bucket->build->parallel)
		bucket->build->files[number] = NULL;
}

static void
rewind_file(BufFile *file)
{
	if (BufFileSeek(file, 0, 0, SEEK_SET) != 0)
		elog(ERROR, "could not rewind a temporary file");
}

/* the head of the next row; false at the end of the file */
static bool
read_head(Bucket *bucket, BufFile *file, Stored *head)
{
	Size		n = BufFileRead(file, head, sizeof(*head));
	Size		most = MAXALIGN(ivf_tuple_size(bucket->build));

	CHECK_FOR_INTERRUPTS();
	if (n == 0)
		return false;
	if (n != sizeof(*head) || head->size < sizeof(IvfTuple) || head->size > most ||
		head->list < bucket->first || head->list >= bucket->end)
		elog(ERROR, "a temporary file of an index build is damaged");
	return true;
}

static void
read_rest(BufFile *file, const Stored *head, void *to)
{
	if (BufFileRead(file, to, head->size) != head->size)
		elog(ERROR, "a temporary file of an index build ends too early");
}

/* pass over the rest of a row */
static void
skip_rest(BufFile *file, const Stored *head)
{
	if (BufFileSeek(file, 0, head->size, SEEK_CUR) != 0)
		elog(ERROR, "could not seek in a temporary file");
}

/* bytes that the rows of each list take in memory */
static void
count_bytes(Bucket *bucket)
{
	memset(bucket->size, 0, sizeof(Size) * (bucket->end - bucket->first));
	for (int i = 0; i < bucket->nfiles; i++)
	{
		Stored		head;

		rewind_file(bucket->files[i]);
		while (read_head(bucket, bucket->files[i], &head))
		{
			bucket->size[head.list - bucket->first] += sizeof(head) + head.size;
			skip_rest(bucket->files[i], &head);
		}
	}
}

/* all rows of lists [first, end), which take so many bytes, into memory */
static void
load(Bucket *bucket, int first, int end, Size bytes)
{
	Size		at = MAXIMUM_ALIGNOF;

	bucket->rows = MemoryContextAllocHuge(CurrentMemoryContext, at + bytes);
	memset(bucket->head, 0, sizeof(Size) * (bucket->end - bucket->first));
	for (int i = 0; i < bucket->nfiles; i++)
	{
		Stored		head;

		rewind_file(bucket->files[i]);
		while (read_head(bucket, bucket->files[i], &head))
		{
			int			number = head.list - bucket->first;

			if (head.list < first || head.list >= end)
			{
				skip_rest(bucket->files[i], &head);
				continue;
			}
			if (sizeof(head) + head.size > MAXIMUM_ALIGNOF + bytes - at)
				elog(ERROR, "a temporary file of an index build has grown");
			memcpy(bucket->rows + at, &head, sizeof(head));
			((Stored *) (bucket->rows + at))->next = 0;
			read_rest(bucket->files[i], &head, bucket->rows + at + sizeof(head));
			if (bucket->head[number] == 0)
				bucket->head[number] = at;
			else
				((Stored *) (bucket->rows + bucket->tail[number]))->next = at;
			bucket->tail[number] = at;
			at += sizeof(head) + head.size;
		}
	}
}

/*--- lists into pages ----------------------------------------------------*/

static void
add_row(Bucket *bucket, IvfListWrite *list, const Stored *stored)
{
	const IvfIndex *index = &bucket->build->index;
	const uint8 *at = (const uint8 *) (stored + 1);
	Size		code = stored->list < bucket->build->centroids.nlists ? index->list.row_bytes : 0;
	Size		record = 0;
	IvfTuple	head;
	IvfRow		row;

	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	if (stored->list < bucket->build->centroids.nlists)
		record = head.record_bytes;
	row.tid = head.tid;
	row.keys = (const uint64 *) (const void *) at;
	at += sizeof(uint64) * index->list.nwords;
	row.code = at;
	row.record = at + code;
	row.record_bytes = record;
	ivf_list_add(list, &row, head.distance);
}

static void
add_loaded(Bucket *bucket, IvfListWrite *list, int number)
{
	Size		at = bucket->head[number - bucket->first];

	while (at != 0)
	{
		const Stored *stored = (const Stored *) (bucket->rows + at);

		add_row(bucket, list, stored);
		at = stored->next;
	}
}

/* a list too large for memory */
static void
add_from_files(Bucket *bucket, IvfListWrite *list, int number)
{
	for (int i = 0; i < bucket->nfiles; i++)
	{
		rewind_file(bucket->files[i]);
		while (read_head(bucket, bucket->files[i], bucket->row))
		{
			if (bucket->row->list != number)
			{
				skip_rest(bucket->files[i], bucket->row);
				continue;
			}
			read_rest(bucket->files[i], bucket->row, bucket->row + 1);
			add_row(bucket, list, bucket->row);
		}
	}
}

static void
write_list(Bucket *bucket, int number)
{
	IvfBuild   *build = bucket->build;
	bool		undefined = number == build->centroids.nlists;
	IvfListWrite list;
	uint64		done;

	if (undefined && build->index.metric->kind != VEC_METRIC_COSINE)
		return;
	ivf_list_start(&list, bucket->writer,
				   undefined ? &build->index.undefined : &build->index.list,
				   IVF_FIRST_ID + number);
	if (bucket->rows != NULL)
		add_loaded(bucket, &list, number);
	else
		add_from_files(bucket, &list, number);
	ivf_list_end(&list, &build->records[number]);
	done = pg_atomic_add_fetch_u64(&build->shared->rows_written, build->records[number].rows);
	if (build->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) done);
}

/* the lists of a bucket, as many at a time as fit in memory, but at least one */
static void
write_lists(Bucket *bucket)
{
	Size		memory = (Size) bucket->build->shared->memory * 1024;
	bool		whole = bucket->bytes <= memory;

	if (!whole)
		count_bytes(bucket);
	for (int first = bucket->first, end; first < bucket->end; first = end)
	{
		Size		bytes = whole ? bucket->bytes : bucket->size[first - bucket->first];

		end = whole ? bucket->end : first + 1;
		while (end < bucket->end && bytes + bucket->size[end - bucket->first] <= memory)
			bytes += bucket->size[end++ - bucket->first];
		if (bytes <= memory)
			load(bucket, first, end, bytes);
		for (int i = first; i < end; i++)
			write_list(bucket, i);
		if (bucket->rows != NULL)
			pfree(bucket->rows);
		bucket->rows = NULL;
	}
}

/*
 * ivf_buckets_write
 *		Take bucket after bucket, and write its lists; build->records gets theirs.
 *
 * All participants have called ivf_buckets_done().
 */
void
ivf_buckets_write(IvfBuild *build, ForkNumber fork)
{
	MemoryContext context = AllocSetContextCreate(build->context, "ivfflat bucket",
												  ALLOCSET_DEFAULT_SIZES);
	IvfWriter  *writer = ivf_writer_build(build->rel, &build->index, fork);

	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		int			number = (int) pg_atomic_fetch_add_u32(&build->shared->next_bucket, 1);
		Bucket		bucket = {.build = build, .writer = writer};
		Size		nlists;

		if (number >= build->shared->nbuckets)
		{
			MemoryContextSwitchTo(old);
			break;
		}
		bucket.first = first_list(build, number);
		bucket.end = first_list(build, number + 1);
		nlists = bucket.end - bucket.first;
		bucket.head = palloc(sizeof(Size) * nlists);
		bucket.tail = palloc(sizeof(Size) * nlists);
		bucket.size = palloc(sizeof(Size) * nlists);
		bucket.row = palloc(sizeof(Stored) + MAXALIGN(ivf_tuple_size(build)));
		open_files(&bucket, number);
		write_lists(&bucket);
		close_files(&bucket, number);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

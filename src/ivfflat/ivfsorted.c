/*-------------------------------------------------------------------------
 *
 * ivfsorted.c
 *	  A list as it is written, by build and maintenance; rows as the sort of
 *	  maintenance returns them.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include <math.h>

/*
 * ivf_sorted_begin
 *		Take the first row of build->sort.
 */
void
ivf_sorted_begin(IvfBuild *build, IvfSorted *sorted)
{
	const IvfIndex *index = &build->index;

	memset(sorted, 0, sizeof(*sorted));
	sorted->slot = MakeSingleTupleTableSlot(build->desc, &TTSOpsMinimalTuple);
	sorted->room_size = sizeof(uint64) * index->list.nwords + index->list.row_bytes +
		index->list.record_size + MAXIMUM_ALIGNOF;
	sorted->room = palloc(MAXALIGN(sorted->room_size));
	ivf_sorted_next(build, sorted);
}

/*
 * ivf_sorted_next
 *		The next row, in order of lists.
 */
void
ivf_sorted_next(IvfBuild *build, IvfSorted *sorted)
{
	const IvfIndex *index = &build->index;
	struct varlena *data;
	Size		keys = sizeof(uint64) * index->list.nwords;
	Size		size;
	Size		code = 0;
	bool		isnull;

	if (!tuplesort_gettupleslot(build->sort, true, false, sorted->slot, NULL))
	{
		sorted->list = INT_MAX;
		return;
	}
	sorted->list = DatumGetInt32(slot_getattr(sorted->slot, 1, &isnull));
	data = (struct varlena *) DatumGetPointer(slot_getattr(sorted->slot, 2, &isnull));
	size = VARSIZE_ANY_EXHDR(data);
	if (size < sizeof(IvfTuple) + keys || size - sizeof(IvfTuple) > sorted->room_size)
		elog(ERROR, "a sorted row has %zu bytes", size);
	memcpy(&sorted->head, VARDATA_ANY(data), sizeof(IvfTuple));
	memcpy(sorted->room, VARDATA_ANY(data) + sizeof(IvfTuple), size - sizeof(IvfTuple));
	size -= sizeof(IvfTuple) + keys;
	if (size > 0)
		code = index->list.row_bytes;
	sorted->row.tid = sorted->head.tid;
	sorted->row.keys = (const uint64 *) (const void *) sorted->room;
	sorted->row.code = sorted->room + keys;
	sorted->row.record = sorted->room + keys + code;
	sorted->row.record_bytes = size - code;
}

/*
 * ivf_sorted_end
 *		Release what ivf_sorted_begin() took.
 */
void
ivf_sorted_end(IvfSorted *sorted)
{
	ExecDropSingleTupleTableSlot(sorted->slot);
	pfree(sorted->room);
}

/*
 * ivf_list_start
 *		Begin a chain with this id.
 */
void
ivf_list_start(IvfListWrite *list, IvfWriter *writer, const IvfShape *shape, uint32 id)
{
	memset(list, 0, sizeof(*list));
	list->writer = writer;
	list->id = id;
	ivf_writer_start(writer, shape, id);
}

/*
 * ivf_list_add
 *		The next row; the distance is that to the centroid, in square.
 */
void
ivf_list_add(IvfListWrite *list, const IvfRow *row, float distance)
{
	ivf_writer_add(list->writer, row);
	list->sum += sqrt(distance);
	list->rows++;
}

/*
 * ivf_list_end
 *		Write what is left; the list's record for the directory.
 */
void
ivf_list_end(IvfListWrite *list, IvfListRecord *record)
{
	memset(record, 0, sizeof(*record));
	record->id = list->id;
	record->first = ivf_writer_end(list->writer);
	record->rows = list->rows;
	record->spread = list->rows > 0 ? (float) (list->sum / list->rows) : 0;
}

/*
 * ivf_write_list
 *		Write the rows that are sorted under "list" as the chain "id"; its record
 *		for the directory.
 */
void
ivf_write_list(IvfBuild *build, IvfWriter *writer, IvfSorted *sorted, int list, uint32 id,
			   IvfListRecord *record)
{
	IvfListWrite write;

	ivf_list_start(&write, writer, &build->index.list, id);
	while (sorted->list == list)
	{
		ivf_list_add(&write, &sorted->row, sorted->head.distance);
		ivf_sorted_next(build, sorted);
	}
	ivf_list_end(&write, record);
}

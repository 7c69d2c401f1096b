/*-------------------------------------------------------------------------
 *
 * ivfinsert.c
 *	  Inserting a row (README.md, "Insert"): the nearest list, the code, the
 *	  record; ivfappend.c does the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define INSERT_MEMORY	((Size) 256 * 1024)

/* a row without a distance to anything */
static void
insert_undefined(Relation rel, const IvfIndex *index, const IvfDirectory *directory,
				 const uint64 *keys, ItemPointer tid)
{
	IvfRow		row = {.tid = *tid, .keys = keys};

	if (!BlockNumberIsValid(directory->undefined_first))
		am_corrupt(rel, InvalidBlockNumber, "There is no list for values without a distance.");
	ivf_append(rel, index, &index->undefined, directory->undefined_first,
			   directory->undefined_id, &row);
}

/* the list of a value, and its code, palloc'd, where there are codes */
static uint8 *
find_list(Relation rel, const IvfIndex *index, IvfDirectory *directory, const IvfValue *value,
		  IvfNear *near)
{
	ListQuantizer quantizer = (ListQuantizer) index->params.quantizer;
	ListQuery  *query = NULL;
	IvfLists	lists;
	float	   *nav;
	float		slack;
	uint8	   *code;
	const uint8 *record;
	Size		size;

	if (index->params.space == IVF_SPACE_FLOAT)
	{
		query = list_query_init(index->place_model, LIST_RABITQ,
								palloc(list_query_size(index->place_model, LIST_RABITQ)));
		list_query_set(query, value->floats);
	}
	ivf_lists_init(&lists, index, directory, rel, query, value->plain, false);
	if (ivf_near_lists(&lists, 1, near) != 1)
		am_corrupt(rel, InvalidBlockNumber, "No centroid has a distance.");
	if (quantizer == LIST_NONE)
		return NULL;

	nav = palloc(sizeof(float) * index->params.dim);
	slack = quant_map(index->model, value->floats, nav);
	code = palloc(index->list.row_bytes);
	record = ivf_list_record(index, directory, rel, near->list, lists.room, &size);
	ivf_encode(index->model, quantizer, nav, slack,
			   (const float *) (record + sizeof(IvfListRecord)), code);
	return code;
}

/*
 * ivf_insert_value
 *		Put a row, with the words of its filter columns, into the nearest list, in
 *		the current memory context, which the caller resets.
 *
 * The caller holds the gate since before the directory was opened.
 */
void
ivf_insert_value(Relation rel, const IvfIndex *index, IvfDirectory *directory,
				 const IvfValue *value, const uint64 *keys, ItemPointer tid)
{
	IvfRow		row = {.tid = *tid, .keys = keys};
	float	   *scratch = NULL;
	uint8	   *record;
	IvfNear		near;

	if (!value->defined)
	{
		insert_undefined(rel, index, directory, keys, tid);
		return;
	}
	row.code = find_list(rel, index, directory, value, &near);
	record = palloc(MAXALIGN(index->list.record_size + MAXIMUM_ALIGNOF));
	if (index->params.space == IVF_SPACE_FLOAT)
		scratch = palloc(sizeof(float) * index->params.dim);
	row.record_bytes = ivf_record(index, value->plain, scratch, record);
	row.record = record;
	ivf_append(rel, index, &index->list, near.first, near.id, &row);
}

/*
 * ivfinsert
 *		aminsert.  A NULL is not indexed.
 */
bool
ivfinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
		  IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	static MemoryContext context = NULL;
	MemoryContext old;
	IvfDirectory *directory;
	IvfIndex   *index;
	IvfValue	value;
	uint64	   *keys = NULL;

	if (isnull[0])
		return false;

	/* kept by the backend: to ask the system for its pages takes long */
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "ivfflat insert", 0,
										INSERT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
	MemoryContextReset(context);
	old = MemoryContextSwitchTo(context);

	/* released by the end of the transaction if there is an error */
	LockPage(rel, IVF_GATE_BLOCK, ShareLock);
	index = ivf_open(rel, &directory);
	ivf_value(index, values[0], &value);
	if (index->filters != NULL)
	{
		keys = palloc(sizeof(uint64) * index->filters->nwords);
		filter_encode(index->filters, values, isnull, keys);
	}
	ivf_insert_value(rel, index, directory, &value, keys, tid);
	UnlockPage(rel, IVF_GATE_BLOCK, ShareLock);
	MemoryContextSwitchTo(old);
	MemoryContextReset(context);
	return false;
}

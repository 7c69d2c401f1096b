/*-------------------------------------------------------------------------
 *
 * am_index.c
 *	  Opening an index and reaching its pages: what access methods share.
 *
 * Nothing read from a page is trusted: these functions make sure that there is
 * a page, that it is what its reader expects, and that a stored value is one.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_index.h"

#include "access/genam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "storage/buf_internals.h"
#include "storage/smgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* indexes nobody has open are dropped beyond this */
#define CACHE_BYTES		((Size) 64 * 1024 * 1024)

/* one memory context that uses an index; freed with it */
typedef struct AmPin
{
	MemoryContextCallback callback;
	MemoryContext context;
	AmCached   *cached;
	struct AmPin *next;
} AmPin;

/* the most recently opened first */
static dlist_head cache = DLIST_STATIC_INIT(cache);

/*
 * am_corrupt
 *		Complain about a damaged page, invalid for none in particular.
 */
void
am_corrupt(Relation rel, BlockNumber blkno, const char *what)
{
	if (BlockNumberIsValid(blkno))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is damaged at block %u",
						RelationGetRelationName(rel), blkno),
				 errdetail_internal("%s", what),
				 errhint("REINDEX it.")));
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is damaged", RelationGetRelationName(rel)),
			 errdetail_internal("%s", what),
			 errhint("REINDEX it.")));
}

/*--- pages ---------------------------------------------------------------*/

/*
 * am_block_exists
 *		Whether a relation, the index or its table, has a block.
 *
 * Blocks of an index are never taken away, so a count may be old but is not
 * too large.
 */
bool
am_block_exists(Relation rel, BlockNumber blkno)
{
	BlockNumber known = RelationGetSmgr(rel)->smgr_cached_nblocks[MAIN_FORKNUM];

	if (BlockNumberIsValid(known) && blkno < known)
		return true;
	return blkno < RelationGetNumberOfBlocks(rel);
}

/*
 * Would locking this page wait for ourselves?  Where blocks are missing or in
 * the wrong place, a page may be found in two roles at once.
 */
static bool
locked_by_me(Buffer buffer, int mode)
{
	LWLock	   *lock;

	if (BufferIsLocal(buffer))
		return false;
	lock = BufferDescriptorGetContentLock(GetBufferDescriptor(buffer - 1));
	return mode == BUFFER_LOCK_EXCLUSIVE ? LWLockHeldByMe(lock) :
		LWLockHeldByMeInMode(lock, LW_EXCLUSIVE);
}

/*
 * am_lock_page
 *		Lock a pinned page; InvalidBuffer, and the pin is gone, if ok() says no or
 *		this backend has it locked already.
 *
 * mode is BUFFER_LOCK_SHARE or BUFFER_LOCK_EXCLUSIVE.
 */
Buffer
am_lock_page(Buffer buffer, int mode, AmPageOk ok, const void *arg)
{
	if (locked_by_me(buffer, mode))
	{
		ReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	LockBuffer(buffer, mode);
	if (ok(BufferGetPage(buffer), arg))
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * am_read_page
 *		Pin and lock a page; InvalidBuffer if it is not there or ok() says no.
 *
 * mode is BUFFER_LOCK_SHARE or BUFFER_LOCK_EXCLUSIVE.
 */
Buffer
am_read_page(Relation rel, BlockNumber blkno, int mode, AmPageOk ok, const void *arg)
{
	if (!am_block_exists(rel, blkno))
		return InvalidBuffer;
	return am_lock_page(ReadBuffer(rel, blkno), mode, ok, arg);
}

/*--- types and values ----------------------------------------------------*/

/*
 * am_metric
 *		The row of metric.c that the operator class of an index's first column
 *		names; raises 0A000 if that is a filter.
 */
const VecMetric *
am_metric(Relation rel)
{
	FmgrInfo   *proc;

	if (!OidIsValid(index_getprocid(rel, 1, VEC_METRIC_PROC)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the first column of index \"%s\" cannot be ordered by distance",
						RelationGetRelationName(rel)),
				 errdetail("A column of vectors comes first; those after it are filters.")));
	proc = index_getprocinfo(rel, 1, VEC_METRIC_PROC);
	return (const VecMetric *) DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));
}

/*
 * am_column_dim
 *		Dimensions of the indexed column; raises 0A000, 22023, 54000.
 */
int
am_column_dim(Relation rel, const VecTypeOps *type, const char *am)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(rel), 0);
	int32		typmod = column->atttypmod;
	Oid			base = getBaseTypeAndTypmod(column->atttypid, &typmod);

	if (base == VARBITOID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("type bit varying is not supported by access method %s", am),
				 errhint("Index an expression that casts the column to bit(n).")));
	if (typmod < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions"),
				 errhint("Give its type a size, as in %s(3), or index an expression that "
						 "casts it.", type->name)));
	if (typmod > type->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %d dimensions for an %s index",
						type->max_dim, am)));
	return typmod;
}

/*
 * am_record_size
 *		Bytes of a refine record; that of REFINE_FULL is the plain value.
 */
Size
am_record_size(const VecMetric *metric, RefineKind refine, int dim)
{
	return refine == REFINE_FULL ? metric->type->size(dim) : refine_size(refine, dim);
}

/*
 * am_check_plain
 *		Bytes from a page as a plain value of these dimensions, or NULL if they
 *		are not one.
 *
 * "bytes" is aligned for int.  Raises XX001 where the length agrees and the
 * rest of the value's header does not.
 */
const struct varlena *
am_check_plain(const VecTypeOps *type, int dim, const void *bytes, Size size)
{
	const struct varlena *plain = bytes;

	if (size < VARHDRSZ + sizeof(int32) || !VARATT_IS_4B_U(plain) || VARSIZE(plain) != size)
		return NULL;
	plain = type->plain(PointerGetDatum(plain));
	return type->dim(plain) == dim ? plain : NULL;
}

/*--- the cache -----------------------------------------------------------*/

static void
drop_cached(AmCached *cached)
{
	dlist_delete(&cached->node);
	MemoryContextDelete(cached->context);
}

/* drop what was not used for longest, down to the limit */
static void
trim_cache(void)
{
	dlist_mutable_iter iter;
	Size		bytes = 0;

	dlist_foreach_modify(iter, &cache)
	{
		AmCached   *cached = dlist_container(AmCached, node, iter.cur);

		bytes += cached->bytes;
		if (bytes > CACHE_BYTES && cached->pins == NULL)
		{
			bytes -= cached->bytes;
			drop_cached(cached);
		}
	}
}

/*
 * am_cache_find
 *		The cached index of this storage, or NULL; older ones of it are dropped.
 */
AmCached *
am_cache_find(const char *am, Relation rel, uint64 build_id)
{
	RelFileLocatorCompat locator = relation_locator_compat(rel);
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &cache)
	{
		AmCached   *cached = dlist_container(AmCached, node, iter.cur);

		if (cached->am != am || !locator_equals_compat(cached->locator, locator))
			continue;
		if (cached->build_id == build_id)
		{
			dlist_move_head(&cache, &cached->node);
			return cached;
		}
		if (cached->pins == NULL)
			drop_cached(cached);
	}
	return NULL;
}

/*
 * am_cache_add
 *		Put an index into the cache; its context, complete, moves there.
 */
void
am_cache_add(AmCached *cached, const char *am, Relation rel, uint64 build_id)
{
	cached->am = am;
	cached->locator = relation_locator_compat(rel);
	cached->build_id = build_id;
	cached->bytes = MemoryContextMemAllocated(cached->context, true);
	MemoryContextSetParent(cached->context, CacheMemoryContext);
	dlist_push_head(&cache, &cached->node);
}

/* the memory context of a user goes away */
static void
unpin(void *arg)
{
	AmPin	   *pin = arg;
	AmPin	  **link = &pin->cached->pins;

	while (*link != pin)
		link = &(*link)->next;
	*link = pin->next;
}

/*
 * am_cache_pin
 *		Keep an index for the life of the current memory context.
 */
void
am_cache_pin(AmCached *cached)
{
	AmPin	   *pin;

	for (pin = cached->pins; pin != NULL; pin = pin->next)
	{
		if (pin->context == CurrentMemoryContext)
			return;
	}
	pin = palloc(sizeof(AmPin));
	pin->callback.func = unpin;
	pin->callback.arg = pin;
	pin->context = CurrentMemoryContext;
	pin->cached = cached;
	pin->next = cached->pins;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &pin->callback);
	cached->pins = pin;
	trim_cache();
}

/*
 * am_asks_for_vector
 *		Whether a path has conditions on the vector that the index has no answer
 *		to: all but IS NOT NULL.
 */
bool
am_asks_for_vector(const IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, cell);
		const NullTest *test = (const NullTest *) clause->rinfo->clause;

		if (clause->indexcol == 0 &&
			!(IsA(test, NullTest) && test->nulltesttype == IS_NOT_NULL))
			return true;
	}
	return false;
}

/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15 and 18, and how symbols are exported.
 *
 * The only file that mentions PG_VERSION_NUM.  Wrappers take the newest
 * signature and end in _compat; dropping a version means deleting the blocks
 * that name the next one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_COMPAT_H
#define VECEXT_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "vecext needs PostgreSQL 15 or later"
#endif

/* PG 16 moved the varlena macros out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * PG 16 made errors in input functions catchable: ereturn() and errsave()
 * report to fcinfo->context.  Before, there is only ereport().
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#else
#define errsave(context, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#define ereturn(context, dummy_value, ...) \
	do { \
		errsave(context, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

/*
 * Records of the generic resource manager are as am_xlog.c writes them: to be
 * looked up in generic_redo() of each new version.
 */
#if PG_VERSION_NUM < 190000
#define VEC_GENERIC_XLOG_KNOWN
#endif

/* PG 17 moved the statistics target out of the copied pg_attribute row. */
#if PG_VERSION_NUM >= 170000
#define vec_statistics_target_compat(stats) ((stats)->attstattarget)
#else
#define vec_statistics_target_compat(stats) ((stats)->attr->attstattarget)
#endif

/* PG 18 gave vacuum_delay_point() an is_analyze argument. */
#if PG_VERSION_NUM >= 180000
#define vacuum_delay_point_compat() vacuum_delay_point(true)
#define vacuum_delay_point_vacuum_compat() vacuum_delay_point(false)
#else
#define vacuum_delay_point_compat() vacuum_delay_point()
#define vacuum_delay_point_vacuum_compat() vacuum_delay_point()
#endif

/* PG 16 made errors of more functions catchable. */
#if PG_VERSION_NUM >= 160000
#define stringToQualifiedNameList_compat(string)	stringToQualifiedNameList((string), NULL)
#else
#define stringToQualifiedNameList_compat(string)	stringToQualifiedNameList(string)
#endif

/* PG 16 named relfilenodes anew. */
#if PG_VERSION_NUM >= 160000
#define RelFileLocatorCompat	RelFileLocator
#define relation_locator_compat(rel)	((rel)->rd_locator)
#define locator_equals_compat(a, b)		RelFileLocatorEquals(a, b)
#else
#define RelFileLocatorCompat	RelFileNode
#define relation_locator_compat(rel)	((rel)->rd_node)
#define locator_equals_compat(a, b)		RelFileNodeEquals(a, b)
#endif

/* Fields IndexAmRoutine gained for which our value is not zero. */
#if PG_VERSION_NUM >= 170000
#define VEC_AM_ROUTINE_COMPAT	.amcanbuildparallel = true,
#else
#define VEC_AM_ROUTINE_COMPAT
#endif

/* Before PG 17 the server chose workers for building btree indexes only. */
#if PG_VERSION_NUM >= 170000
#define build_workers_compat(heap, rel, info)	((info)->ii_ParallelWorkers)
#else
#define build_workers_compat(heap, rel, info) \
	(IsNormalProcessingMode() ? \
	 plan_create_index_workers(RelationGetRelid(heap), RelationGetRelid(rel)) : 0)
#endif

/* PG 18 wrote pg_noreturn in front for what was pg_attribute_noreturn() behind. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/*
 * PG 16 made extension by many blocks one call.  Extends a relation, whose
 * extension lock the caller holds, by up to n blocks of zeros, which follow
 * each other; returns how many, pinned in "buffers", and the first block.
 */
#include "storage/bufmgr.h"

static inline int
vec_extend_compat(Relation rel, int n, Buffer *buffers, BlockNumber *first)
{
#if PG_VERSION_NUM >= 160000
	uint32		extended = 0;

	*first = ExtendBufferedRelBy(BMR_REL(rel), MAIN_FORKNUM, NULL, EB_SKIP_EXTENSION_LOCK,
								 (uint32) n, buffers, &extended);
	return (int) extended;
#else
	(void) n;
	buffers[0] = ReadBuffer(rel, P_NEW);
	*first = BufferGetBlockNumber(buffers[0]);
	return 1;
#endif
}

/* PG 16 can extend a file by many blocks; n blocks of zeros behind the "first" there are. */
#include "miscadmin.h"
#include "storage/smgr.h"

static inline void
vec_zero_blocks_compat(SMgrRelation smgr, ForkNumber fork, BlockNumber first, BlockNumber n)
{
#if PG_VERSION_NUM >= 160000
	for (BlockNumber done = 0; done < n;)
	{
		int			count = (int) Min(n - done, 4096);

		CHECK_FOR_INTERRUPTS();
		smgrzeroextend(smgr, fork, first + done, count, false);
		done += (BlockNumber) count;
	}
#else
	PGAlignedBlock zeros;

	memset(&zeros, 0, sizeof(zeros));
	for (BlockNumber done = 0; done < n; done++)
	{
		CHECK_FOR_INTERRUPTS();
		smgrextend(smgr, fork, first + done, zeros.data, false);
	}
#endif
}

/* PG 18 counts the searches of an index scan for EXPLAIN (commit 0fbceae841). */
#if PG_VERSION_NUM >= 180000
#define index_scan_count_compat(scan) \
	do { \
		if ((scan)->instrument != NULL) \
			(scan)->instrument->nsearches++; \
	} while (0)
#else
#define index_scan_count_compat(scan) ((void) 0)
#endif

/* PG 18 prefers paths by how many disabled nodes they have, before their cost. */
#if PG_VERSION_NUM >= 180000
#define path_disable_compat(path, n) ((path)->disabled_nodes = (n))
#else
#define path_disable_compat(path, n) ((void) 0)
#endif

/* PG 16 made one function of the ownership checks. */
#if PG_VERSION_NUM >= 160000
#define relation_ownercheck_compat(rel, role) \
	object_ownercheck(RelationRelationId, (rel), (role))
#else
#define relation_ownercheck_compat(rel, role)	pg_class_ownercheck((rel), (role))
#endif

/* PG 16 lets the caller of tuplesort_getdatum() do without a copy. */
#if PG_VERSION_NUM >= 160000
#define tuplesort_getdatum_compat(state, value, isnull) \
	tuplesort_getdatum((state), true, true, (value), (isnull), NULL)
#else
#define tuplesort_getdatum_compat(state, value, isnull) \
	tuplesort_getdatum((state), true, (value), (isnull), NULL)
#endif

/* PG 17 shields maintenance commands from the user's search_path. */
#if PG_VERSION_NUM >= 170000
#define RestrictSearchPath_compat()	RestrictSearchPath()
#else
#define RestrictSearchPath_compat()	((void) 0)
#endif

/* PG 18 gave index_beginscan() a place for statistics. */
#if PG_VERSION_NUM >= 180000
#define index_beginscan_compat(heap, rel, snapshot, nkeys, norderbys) \
	index_beginscan((heap), (rel), (snapshot), NULL, (nkeys), (norderbys))
#else
#define index_beginscan_compat(heap, rel, snapshot, nkeys, norderbys) \
	index_beginscan((heap), (rel), (snapshot), (nkeys), (norderbys))
#endif

/* PG 18 counts the disabled nodes of a path; before, a cost of 1e10 says it. */
#if PG_VERSION_NUM >= 180000
#define vec_copy_disabled_compat(path, from) ((path)->disabled_nodes = (from)->disabled_nodes)
#else
#define vec_copy_disabled_compat(path, from) ((void) 0)
#endif

/* PG 18 gave the direction of a pathkey a type of its own. */
#if PG_VERSION_NUM >= 180000
#define vec_pathkey_ascends_compat(key) ((key)->pk_cmptype == COMPARE_LT)
#else
#include "access/stratnum.h"
#define vec_pathkey_ascends_compat(key) ((key)->pk_strategy == BTLessStrategyNumber)
#endif

/* PG 16 left out the relations that may make an expression NULL. */
#if PG_VERSION_NUM >= 160000
#define vec_eclass_for_sort_compat(root, expr, opfamilies, type) \
	get_eclass_for_sort_expr((root), (expr), (opfamilies), (type), InvalidOid, 0, NULL, true)
#else
#define vec_eclass_for_sort_compat(root, expr, opfamilies, type) \
	get_eclass_for_sort_expr((root), (expr), NULL, (opfamilies), (type), InvalidOid, 0, NULL, true)
#endif

/* how make_canonical_pathkey() is told to ascend */
#if PG_VERSION_NUM >= 180000
#define VEC_ASCENDING_COMPAT	COMPARE_LT
#else
#define VEC_ASCENDING_COMPAT	BTLessStrategyNumber
#endif

/*
 * PG 18 has NOT NULL constraints that do not hold yet, which the catalog's flag
 * does not tell; from 17 on the planner knows which columns have none.
 */
#if PG_VERSION_NUM >= 170000
#define vec_not_null_holds_compat(rel, column)	bms_is_member((column), (rel)->notnullattnums)
#else
#define vec_not_null_holds_compat(rel, column)	true
#endif

/* PG 18 split the functions that write EXPLAIN's output from explain.h. */
#if PG_VERSION_NUM >= 180000
#define VEC_EXPLAIN_HEADER_COMPAT "commands/explain_format.h"
#else
#define VEC_EXPLAIN_HEADER_COMPAT "commands/explain.h"
#endif

/* PG 16 keeps the rights a query needs apart from its range table. */
#if PG_VERSION_NUM >= 160000
#define check_permissions_compat(stmt) \
	ExecCheckPermissions((stmt)->rtable, (stmt)->permInfos, true)
#else
#define check_permissions_compat(stmt)	ExecCheckRTPerms((stmt)->rtable, true)
#endif

/*
 * PG 18 made results of bitmap iterators opaque, and scans of tables by a bitmap
 * iterate by themselves, reading ahead.
 *
 * VecTidIterator: the pages of a bitmap in order; offsets and count tell the rows
 * of the current one, -1 if it is lossy.
 */
#include "access/relscan.h"
#include "access/tableam.h"
#include "nodes/tidbitmap.h"

typedef struct VecTidIterator
{
#if PG_VERSION_NUM >= 180000
	TBMPrivateIterator *iterator;
	TBMIterateResult page;
	OffsetNumber room[TBM_MAX_TUPLES_PER_PAGE];
#else
	TBMIterator *iterator;
#endif
	BlockNumber block;
	int			count;
	const OffsetNumber *offsets;
} VecTidIterator;

static inline void
vec_tids_begin_compat(VecTidIterator *tids, TIDBitmap *bitmap)
{
#if PG_VERSION_NUM >= 180000
	tids->iterator = tbm_begin_private_iterate(bitmap);
#else
	tids->iterator = tbm_begin_iterate(bitmap);
#endif
}

static inline bool
vec_tids_next_compat(VecTidIterator *tids)
{
#if PG_VERSION_NUM >= 180000
	if (!tbm_private_iterate(tids->iterator, &tids->page))
		return false;
	tids->block = tids->page.blockno;
	tids->offsets = tids->room;
	tids->count = tids->page.lossy ? -1 :
		tbm_extract_page_tuple(&tids->page, tids->room, TBM_MAX_TUPLES_PER_PAGE);
#else
	TBMIterateResult *page = tbm_iterate(tids->iterator);

	if (page == NULL)
		return false;
	tids->block = page->blockno;
	tids->offsets = page->offsets;
	tids->count = page->ntuples;
#endif
	return true;
}

static inline void
vec_tids_end_compat(VecTidIterator *tids)
{
#if PG_VERSION_NUM >= 180000
	tbm_end_private_iterate(tids->iterator);
#else
	tbm_end_iterate(tids->iterator);
#endif
}

/* VecBitmapScan: the visible rows on the pages of a bitmap */
typedef struct VecBitmapScan
{
	TableScanDesc scan;
#if PG_VERSION_NUM < 180000
	TBMIterator *iterator;
	TBMIterateResult *page;
#endif
} VecBitmapScan;

static inline void
vec_bitmap_begin_compat(VecBitmapScan *bitmap, Relation table, Snapshot snapshot,
						TIDBitmap *tids)
{
#if PG_VERSION_NUM >= 180000
	bitmap->scan = table_beginscan_bm(table, snapshot, 0, NULL);
	bitmap->scan->st.rs_tbmiterator = tbm_begin_iterate(tids, NULL, InvalidDsaPointer);
#else
#if PG_VERSION_NUM >= 170000
	bitmap->scan = table_beginscan_bm(table, snapshot, 0, NULL, true);
#else
	bitmap->scan = table_beginscan_bm(table, snapshot, 0, NULL);
#endif
	bitmap->iterator = tbm_begin_iterate(tids);
	bitmap->page = NULL;
#endif
}

/* the next row, or false; is it one of which the bitmap was not sure? */
static inline bool
vec_bitmap_next_compat(VecBitmapScan *bitmap, TupleTableSlot *slot, bool *recheck,
					   uint64 *lossy_pages, uint64 *exact_pages)
{
#if PG_VERSION_NUM >= 180000
	return table_scan_bitmap_next_tuple(bitmap->scan, slot, recheck, lossy_pages, exact_pages);
#else
	for (;;)
	{
		if (bitmap->page != NULL &&
			table_scan_bitmap_next_tuple(bitmap->scan, bitmap->page, slot))
		{
			*recheck = bitmap->page->recheck;
			return true;
		}
		bitmap->page = tbm_iterate(bitmap->iterator);
		if (bitmap->page == NULL)
			return false;
		*(bitmap->page->ntuples < 0 ? lossy_pages : exact_pages) += 1;
		if (!table_scan_bitmap_next_block(bitmap->scan, bitmap->page))
			bitmap->page = NULL;
	}
#endif
}

static inline void
vec_bitmap_end_compat(VecBitmapScan *bitmap)
{
#if PG_VERSION_NUM >= 180000
	tbm_end_iterate(&bitmap->scan->st.rs_tbmiterator);
#else
	tbm_end_iterate(bitmap->iterator);
#endif
	table_endscan(bitmap->scan);
}

/* PG 18 lets a library tell its name and version. */
#if PG_VERSION_NUM >= 180000
#define PG_MODULE_MAGIC_COMPAT	PG_MODULE_MAGIC_EXT(.name = "vecext", .version = "1.0")
#else
#define PG_MODULE_MAGIC_COMPAT \
	extern VEC_EXPORT const Pg_magic_struct *PG_MAGIC_FUNCTION_NAME(void); \
	PG_MODULE_MAGIC
#endif

/*
 * Export exactly the functions SQL calls.  The server loads libraries with
 * global binding, so a visible helper could be taken for another extension's.
 * PG 16 hides symbols by default; on 15 PGDLLEXPORT is empty and does not
 * bring them back, hence our own attribute.  Their C names begin with vecext_:
 * another library with the same name for its function cannot be mistaken for
 * ours, nor ours for its.
 */
#define VEC_EXPORT __attribute__((visibility("default")))
#define VEC_SQL_FUNCTION(f) \
	extern VEC_EXPORT Datum f(PG_FUNCTION_ARGS); \
	extern VEC_EXPORT const Pg_finfo_record *pg_finfo_##f(void); \
	PG_FUNCTION_INFO_V1(f); \
	Datum		f(PG_FUNCTION_ARGS)

#endif							/* VECEXT_COMPAT_H */

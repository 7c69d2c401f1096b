/*-------------------------------------------------------------------------
 *
 * hnsw.h
 *	  What the files of this folder share.  README.md has the protocol.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSW_H
#define VECEXT_HNSW_H

#include "compat.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/generic_xlog.h"
#include "am/am_buffers.h"
#include "am/am_restrict.h"
#include "filter/filter.h"
#include "graph/restrict.h"
#include "graph/search.h"
#include "hnsw/hnsw_page.h"
#include "lib/stringinfo.h"
#include "quant/quant.h"
#include "storage/bufmgr.h"
#include "types/metric.h"
#include "utils/relcache.h"

/* limits and defaults of the options */
#define HNSW_DEFAULT_M				16
#define HNSW_MIN_M					2
#define HNSW_MAX_M					100
#define HNSW_DEFAULT_EF_CONSTRUCTION	64
#define HNSW_MIN_EF_CONSTRUCTION	4
#define HNSW_MAX_EF_CONSTRUCTION	1000
#define HNSW_DEFAULT_EF_SEARCH		40
#define HNSW_MAX_EF_SEARCH			1000

#define HNSW_MAX_LEVEL				15

/* of operator classes: the ordering operator and those of filters; the metric */
#define HNSW_NSTRATEGIES			FILTER_NSTRATEGIES
#define HNSW_NPROCS					1

/* phases of a build; 1 is the server's "initializing" */
#define HNSW_PHASE_SAMPLE			2
#define HNSW_PHASE_TRAIN			3
#define HNSW_PHASE_LOAD				4
#define HNSW_PHASE_FINISH			5
#define HNSW_PHASE_WRITE			6
#define HNSW_PHASE_INSERT			7

typedef struct HnswOptions
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int			m;
	int			ef_construction;
	int			refine;			/* RefineKind, or -1: chosen by dimensions */
	int			nav_bits;		/* 0: chosen by dimensions */
	int			sketch_bits;	/* -1: chosen; 0: no sketches */
} HnswOptions;

typedef enum HnswIterativeScan
{
	HNSW_ITERATIVE_OFF,
	HNSW_ITERATIVE_RELAXED,
	HNSW_ITERATIVE_STRICT
} HnswIterativeScan;

/* hnsw.c */
extern void hnsw_init(void);
extern int	hnsw_ef_search;
extern int	hnsw_iterative_scan;
extern int	hnsw_max_scan_tuples;
extern double hnsw_scan_mem_multiplier;

/*
 * An index as every operation sees it: what the build fixed, and copies of the
 * hints.  Cached per backend (am/am_index.h).
 */
typedef struct HnswIndex
{
	AmCached	cached;			/* must be first */
	const VecMetric *metric;
	HnswParams	params;
	QuantModel *model;			/* NULL for exact codes */
	Size		plain_size;		/* most bytes of a plain value */
	SlotLayout	layout;
	int			slots_per_page; /* nav slots */
	int			uppers_per_page;	/* 0: an upper slot does not fit a page */
	FilterSet  *filters;		/* NULL: no filter columns */
	Size		tids_size;		/* of a tids slot */
	uint32		tids_per_page;
	uint32		filter_entries; /* nodes of a filter page; 0: no filter columns */
	uint8_t    *entry;			/* copies of the entry slots, HNSW_PAGE_ROOM bytes each, if any */
	int			nentries;		/* entry slots */
	uint16		entry_version;	/* of the copies */

	/* copies of what the metapage said when last read */
	uint32		entry_upper;
	uint32		entry_node;
	int			entry_level;
	uint32		nsegments;
	HnswSegment segments[HNSW_MAX_SEGMENTS];

	AmBuffers	pages;			/* where the index's blocks were last */
	AmBuffers	rows;			/* and the table's */

	uint32		insert_node;	/* where this backend took its last slot; 0: nowhere */
} HnswIndex;

/* the copy of the i-th entry slot */
static inline uint8_t *
hnsw_entry(const HnswIndex *index, int i)
{
	return index->entry + i * HNSW_PAGE_ROOM;
}

/* pages of a segment's refine records, and of its filter entries */
static inline uint32
hnsw_refine_blocks(const HnswIndex *index, uint32 nnav)
{
	uint64		bytes = (uint64) nnav * (uint32) index->slots_per_page * index->params.refine_size;

	return (uint32) ((bytes + HNSW_PAGE_ROOM - 1) / HNSW_PAGE_ROOM);
}

static inline uint32
hnsw_filter_blocks(const HnswIndex *index, uint32 nnav)
{
	uint64		nodes = (uint64) nnav * (uint32) index->slots_per_page;

	return index->filter_entries == 0 ? 0 :
		(uint32) ((nodes + index->filter_entries - 1) / index->filter_entries);
}

static inline uint32
hnsw_segment_blocks(const HnswIndex *index, const HnswSegment *segment)
{
	return segment->nnav + hnsw_refine_blocks(index, segment->nnav) +
		hnsw_filter_blocks(index, segment->nnav);
}

/* hnswindex.c: opening, addresses */
extern HnswIndex *hnsw_open(Relation rel);
extern void hnsw_refresh(HnswIndex *index, Relation rel);
extern void hnsw_set_tids(HnswIndex *index);
extern void hnsw_layout(const HnswParams *params, const QuantModel *model, SlotLayout *layout);
extern uint32 hnsw_node_limit(const HnswIndex *index);
extern bool hnsw_locate(const HnswIndex *index, uint32 node, BlockNumber *blkno, int *slot);
extern bool hnsw_locate_refine(const HnswIndex *index, uint32 node, BlockNumber *blkno,
							   int *offset);
extern bool hnsw_locate_filter(const HnswIndex *index, uint32 node, BlockNumber *blkno,
							   int *entry);
extern uint32 hnsw_node_at(const HnswIndex *index, BlockNumber blkno, int slot);

/* hnswpages.c: checked page access */
extern Buffer hnsw_read(Relation rel, BlockNumber blkno, int mode, HnswPageKind kind);
extern Buffer hnsw_read_hint(Relation rel, BlockNumber blkno, int mode, HnswPageKind kind);
extern uint8_t *hnsw_slot(const HnswIndex *index, Page page, int slot);
extern void hnsw_page_init(Page page, HnswPageKind kind, Size used);
#define hnsw_corrupt(rel, blkno, what)	am_corrupt(rel, blkno, what)
extern Buffer hnsw_read_known(HnswIndex *index, Relation rel, BlockNumber blkno,
							  HnswPageKind kind);
extern void hnsw_prefetch(const HnswIndex *index, BlockNumber blkno, Size offset, Size size);
extern void hnsw_prefetch_heads(const HnswIndex *index, BlockNumber blkno);
extern void hnsw_prefetch_row(const HnswIndex *index, const uint8_t *tid);

/* hnswvalue.c: from a datum to what is stored, and queries */
typedef struct HnswValue
{
	struct varlena *plain;		/* the value, detoasted */
	float	   *floats;			/* compact: its elements, of unit length for cosine */
	float	   *nav;			/* compact: its image in nav space */
	uint8_t    *code;			/* layout.code_size bytes */
	uint8_t    *refine;			/* params.refine_size bytes */
	uint64	   *keys;			/* params.nwords of the row */
	bool		defined;		/* false: no distance to anything, kept out of the graph */
} HnswValue;

extern HnswValue *hnsw_value(HnswIndex *index, Datum datum);
extern const struct varlena *hnsw_check_plain(const HnswIndex *index, const void *bytes,
											  Size size);
extern void hnsw_record_encode(const HnswIndex *index, const HnswValue *value, uint8_t *record);

/*
 * A query and the memory of its searches; the context of GS_ macros.  Pins and
 * locks at most one page at a time and leaves none after a call.
 */
typedef struct HnswQuery
{
	HnswIndex  *index;
	Relation	rel;
	struct varlena *plain;		/* NULL: every distance is zero */
	float	   *floats;			/* compact: as in HnswValue */
	double		norm;			/* compact: refine_query_norm() */
	QuantQuery *quant;			/* NULL for exact codes */
	GraphSearch search;
	RestrictedSearch *restricted;	/* instead of "search", with a restriction */
	const FilterQuery *filter;	/* conditions on keys; NULL: none */
	AmRestriction *rows;		/* those that may be returned; NULL: all */
	uint64		npages;			/* locked */
	uint64		nrejected;		/* nodes without a row that may be returned */
	Buffer		nav_buffer;		/* while a slot is pinned */
	Buffer		upper_buffer;
	BlockNumber nav_blkno;
	uint8_t    *record;			/* compact: where a refine record is put together */
	uint8_t    *exact;			/* exact codes: where a long value is */
} HnswQuery;

extern HnswQuery *hnsw_query(HnswIndex *index, Relation rel, Datum datum, bool isnull,
							 int max_ef, int max_keep);
extern void hnsw_search_memory(GraphSearch *search, int max_ef, int max_keep);
extern void hnsw_search(HnswQuery *query, int ef, int keep);
extern void hnsw_search_start(HnswQuery *query, int ef, int keep);
extern void hnsw_search_run(HnswQuery *query, int stop);
extern void hnsw_restricted_start(HnswQuery *query, uint32 candidates, int keep, double margin);
extern RestrictedEnd hnsw_restricted_run(HnswQuery *query, double wanted, uint32 max_nodes,
										 Size memory);
extern void hnsw_restricted_stop(HnswQuery *query);
extern void hnsw_restricted_seed(HnswQuery *query, uint32 node);
extern float hnsw_code_distance(HnswQuery *query, const uint8_t *code);
extern float hnsw_pair_distance(HnswIndex *index, Relation rel, const uint8_t *a,
								const uint8_t *b);
extern void hnsw_prefetch_record(const HnswQuery *query, uint32 node);
extern RefineResult hnsw_refine(HnswQuery *query, uint32 node);
extern void hnsw_refine_many(HnswQuery *query, const uint32 *nodes, int n, RefineResult *results);

/* hnswrestrict.c: which nodes and rows may be returned */
extern bool hnsw_accepts(HnswQuery *query, const uint8_t *slot);
extern FilterResult hnsw_accepts_row(HnswQuery *query, const ItemPointerData *tid,
									 const uint64 *keys);

/* rows of a node, copied under lock; false if the node is not the one meant */
typedef struct HnswRows
{
	ItemPointerData *tids;
	int			n;
	int			room;
	HnswQuery  *query;			/* only those it accepts; NULL: all */
	bool		recheck;		/* some may not meet the conditions */
} HnswRows;

extern bool hnsw_node_rows(Relation rel, HnswIndex *index, uint32 node, uint16 generation,
						   HnswRows *rows);

/* hnswtids.c: chains of TIDs; the caller holds the nav page */
extern bool hnsw_differs(const HnswIndex *index, const uint8_t *slot, const uint64 *keys);
extern Buffer hnsw_add_tid(Relation rel, HnswIndex *index, GenericXLogState *state, uint8_t *slot,
						   ItemPointer tid, const uint64 *keys);
extern void hnsw_add_row(HnswRows *rows, const ItemPointerData *tid, const uint64 *keys);
extern void hnsw_chain_rows(Relation rel, const HnswIndex *index, uint32 id, const uint64 *keys,
							HnswRows *rows);
extern bool hnsw_remove_tids(Relation rel, HnswIndex *index, Buffer buffer, int slotno,
							 IndexBulkDeleteCallback callback, void *callback_state,
							 double *removed, double *kept);

/* hnswfilter.c: entries of filter pages; the caller holds the nav page */
struct AmXlog;

extern void hnsw_filter_fill(const HnswIndex *index, Page page, int entry, const uint64 *keys,
							 bool mixed);
extern Buffer hnsw_filter_put(Relation rel, const HnswIndex *index, struct AmXlog *xlog,
							  uint32 node, const uint64 *keys);
extern void hnsw_filter_narrow(Relation rel, const HnswIndex *index, uint32 node,
							   const uint64 *keys);
extern void hnsw_filter_widen(Relation rel, const HnswIndex *index, uint32 node);
extern void hnsw_filter_clear(Relation rel, const HnswIndex *index, uint32 node);
extern bool hnsw_filter_holds(const HnswIndex *index, Page page, int entry, const uint64 *keys,
							  bool mixed);
extern uint32 hnsw_filter_match(const HnswIndex *index, Page page, const FilterQuery *query,
								int block);

/* hnswspace.c: blocks and free slots */
typedef int (*HnswFindPlace) (Page page, const void *arg, int n);

extern void hnsw_page_cover(Page page, const uint8_t *end);
extern Buffer hnsw_new_page(Relation rel);
extern void hnsw_add_segment(Relation rel, HnswIndex *index);
extern uint32 hnsw_free_slot(Relation rel, HnswIndex *index, const uint32 *near, int nnear,
							 Buffer *buffer);
extern Buffer hnsw_find_room(Relation rel, HnswPageKind kind, HnswFindPlace find,
							 const void *arg, int n, int *place);
extern void hnsw_add_room(Relation rel, Buffer buffer, HnswPageKind kind);

/* access method callbacks, by file */
extern IndexBuildResult *hnswbuild(Relation heap, Relation rel, struct IndexInfo *info);
extern void hnswbuildempty(Relation rel);
extern bool hnswinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
					   IndexUniqueCheck unique, bool unchanged, struct IndexInfo *info);
extern void hnsw_insert_value(Relation rel, HnswIndex *index, HnswValue *value, ItemPointer tid);
extern IndexBulkDeleteResult *hnswbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											 IndexBulkDeleteCallback callback, void *state);
extern IndexBulkDeleteResult *hnswvacuumcleanup(IndexVacuumInfo *info,
												IndexBulkDeleteResult *stats);
extern void hnsw_note_repair(Relation rel, uint32 added);
extern IndexScanDesc hnswbeginscan(Relation rel, int nkeys, int norderbys);
extern void hnswrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys,
					   int norderbys);
extern bool hnswgettuple(IndexScanDesc scan, ScanDirection dir);
extern void hnswendscan(IndexScanDesc scan);
extern void hnsw_restrict_scan(IndexScanDesc scan, AmRestriction *restriction);
extern void hnswcostestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
							 Cost *startup, Cost *total, Selectivity *selectivity,
							 double *correlation, double *pages);

#endif							/* VECEXT_HNSW_H */

/*-------------------------------------------------------------------------
 *
 * ivf.h
 *	  What the files of this folder share.  README.md has the protocol.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_IVF_H
#define VECEXT_IVF_H

#include "compat.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/generic_xlog.h"
#include "am/am_buffers.h"
#include "am/am_restrict.h"
#include "filter/filter.h"
#include "ivfflat/ivf_page.h"
#include "quant/list.h"
#include "storage/bufmgr.h"
#include "types/metric.h"
#include "utils/relcache.h"

/* limits and defaults of options and settings */
#define IVF_MIN_LISTS			1
#define IVF_MAX_LISTS			32768
#define IVF_DEFAULT_PROBES		1


/* of operator classes: the ordering operator and those of filters; the metric */
#define IVF_NSTRATEGIES			FILTER_NSTRATEGIES
#define IVF_NPROCS				1

/* phases of a build; 1 is the server's "initializing" */
#define IVF_PHASE_SAMPLE		2
#define IVF_PHASE_TRAIN			3
#define IVF_PHASE_ASSIGN		4
#define IVF_PHASE_LOAD			5

/* the lock that keeps a switch of directories away from inserts */
#define IVF_GATE_BLOCK			0

typedef struct IvfOptions
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int			lists;			/* 0: chosen by the number of rows */
	int			quantizer;		/* ListQuantizer, or -1: chosen by type and dimensions */
	int			refine;			/* RefineKind, or -1: chosen */
	int			centroids;		/* offset of the name of a table, 0: none */
} IvfOptions;

typedef enum IvfIterativeScan
{
	IVF_ITERATIVE_OFF,
	IVF_ITERATIVE_RELAXED,
	IVF_ITERATIVE_STRICT
} IvfIterativeScan;

/* ivfflat.c */
extern void ivf_init(void);
extern int	ivf_probes;
extern int	ivf_iterative_scan;
extern int	ivf_max_probes;
extern double ivf_scan_mem_multiplier;

/*
 * Where things are on a list page, and how many there can be.  There are three
 * shapes: list pages, parts of the directory, and the list of the undefined.
 */
typedef struct IvfShape
{
	IvfPageKind kind;			/* IVF_PAGE_LIST or IVF_PAGE_PART */
	bool		undefined;		/* of the list of rows without a distance */
	ListQuantizer quantizer;
	int			rows;			/* places of a page */
	int			code_pages;		/* most of a page */
	int			record_pages;
	bool		inline_blocks;	/* blocks lie on the page, not on code pages */
	bool		ends;			/* records differ in size */
	int			nwords;			/* of a row's filter columns, or 0 */
	Size		record_size;	/* bytes of a record; the most, if they differ */
	Size		row_bytes;		/* of a code outside a block */
	Size		block_bytes;	/* of a block: 32 * row_bytes */
	Size		codes_offset;	/* of the arrays, from IVF_PAGE_START */
	Size		records_offset;
	Size		tids_offset;
	Size		ends_offset;
	Size		keys_offset;
	Size		blocks_offset;
	Size		size;			/* bytes of a page in use */
} IvfShape;

/* an index as every operation sees it; cached per backend (am/am_index.h) */
typedef struct IvfIndex
{
	AmCached	cached;			/* must be first */
	const VecMetric *metric;
	IvfParams	params;
	QuantModel *model;			/* NULL in IVF_SPACE_VALUE */
	QuantModel *place_model;	/* the same for Euclidean distance: rows go by that */
	FilterSet  *filters;		/* filter columns, or NULL */
	IvfShape	list;
	IvfShape	part;
	IvfShape	undefined;
	AmBuffers	buffers;		/* where the index's blocks were last */
} IvfIndex;

/*
 * A directory, cached per backend by its id.  Whoever has it pinned goes on
 * with it after a switch.  Centroids are kept if they are small.
 */
typedef struct IvfDirectory
{
	AmCached	cached;			/* must be first */
	uint32		id;
	uint32		nlists;
	BlockNumber undefined_first;
	uint32		undefined_id;
	uint32		nparts;
	struct IvfListCopy **parts;
	uint32	   *part_first;		/* number of the first list of each part, and nlists */
	uint8	   *blocks;			/* codes of all centroids, 32 to a block */
	uint8	   *place_blocks;	/* the same to rank by Euclidean distance; made on demand */
	uint8	  **records;		/* by list: IvfListRecord and centroid; or NULL */
	Size	   *record_sizes;	/* of these */
} IvfDirectory;

/* ivfindex.c: opening, shapes, checked page access */
extern IvfIndex *ivf_open(Relation rel, IvfDirectory **directory);
extern void ivf_read_meta(Relation rel, IvfMetaPageData *meta);
extern void ivf_shapes(IvfIndex *index);
extern Buffer ivf_read(Relation rel, BlockNumber blkno, int mode, IvfPageKind kind, uint32 id);
extern Buffer ivf_read_known(AmBuffers *buffers, Relation rel, BlockNumber blkno,
							 IvfPageKind kind, uint32 id);
extern Buffer ivf_read_any(Relation rel, BlockNumber blkno, int mode, IvfPageKind *kind,
						   uint32 *id);
extern void ivf_page_init(Page page, IvfPageKind kind, uint32 id, Size used);
extern void ivf_page_cover(Page page, Size used);
extern Buffer ivf_new_page(Relation rel);
pg_noreturn extern void ivf_page_gone(Relation rel, BlockNumber blkno, const char *what);

/* ivfshape.c: list pages */
extern void ivf_shape(IvfShape *shape, IvfPageKind kind, ListQuantizer quantizer, Size row_bytes,
					  Size record_size, bool ends, int nwords);
extern void ivf_list_init(Page page, const IvfShape *shape, uint32 id);
extern bool ivf_list_ok(const IvfShape *shape, Page page);
extern void ivf_keys_put(const IvfShape *shape, Page page, int place, const uint64 *keys);
extern void ivf_keys_get(const IvfShape *shape, Page page, int place, uint64 *keys);

static inline IvfListHead *
ivf_list_head(Page page)
{
	return (IvfListHead *) IvfPageData(page);
}

static inline BlockNumber *
ivf_list_codes(const IvfShape *shape, Page page)
{
	return (BlockNumber *) (IvfPageData(page) + shape->codes_offset);
}

static inline BlockNumber *
ivf_list_records(const IvfShape *shape, Page page)
{
	return (BlockNumber *) (IvfPageData(page) + shape->records_offset);
}

static inline ItemPointerData *
ivf_list_tids(const IvfShape *shape, Page page)
{
	return (ItemPointerData *) (IvfPageData(page) + shape->tids_offset);
}

static inline uint32 *
ivf_list_ends(const IvfShape *shape, Page page)
{
	return (uint32 *) (IvfPageData(page) + shape->ends_offset);
}

/* words of 32 rows: word w of row i is the one at w * IVF_BLOCK_ROWS + i */
static inline uint64 *
ivf_list_keys(const IvfShape *shape, Page page, int block)
{
	return (uint64 *) (IvfPageData(page) + shape->keys_offset) +
		(Size) block * shape->nwords * IVF_BLOCK_ROWS;
}

/* a block that lies on the page */
static inline uint8 *
ivf_list_block(const IvfShape *shape, Page page, int block)
{
	return IvfPageData(page) + shape->blocks_offset + (Size) block * shape->block_bytes;
}

/* where the record of a place begins in the stream, and its size */
static inline Size
ivf_record_start(const IvfShape *shape, const uint32 *ends, int place)
{
	if (!shape->ends)
		return (Size) place * shape->record_size;
	return place == 0 ? 0 : ends[place - 1];
}

static inline Size
ivf_record_bytes(const IvfShape *shape, const uint32 *ends, int place)
{
	if (!shape->ends)
		return shape->record_size;
	return ends[place] - ivf_record_start(shape, ends, place);
}

/*
 * What must be known of a list page once its lock is released: copied by
 * ivf_copy_list().  The arrays are the shape's size.
 */
typedef struct IvfListCopy
{
	BlockNumber blkno;
	uint32		id;
	int			nrows;
	int			ncodes;
	int			nrecords;
	BlockNumber next;
	BlockNumber *codes;
	BlockNumber *records;
	uint32	   *ends;			/* NULL unless records differ in size */
	AmBuffers  *buffers;		/* to read its streams by; NULL: the usual way */
} IvfListCopy;

extern Size ivf_list_copy_size(const IvfShape *shape, Page page);
extern IvfListCopy *ivf_copy_page(const IvfShape *shape, BlockNumber blkno, Page page,
								  void *memory);
extern IvfListCopy *ivf_copy_list(const IvfShape *shape, Buffer buffer, void *memory);
extern void ivf_read_stream(Relation rel, const IvfListCopy *list, IvfPageKind kind, Size start,
							Size size, uint8 *to);
extern void ivf_read_record(Relation rel, const IvfShape *shape, const IvfListCopy *list,
							int place, uint8 *to);
extern void ivf_read_block(Relation rel, const IvfShape *shape, const IvfListCopy *list,
						   int block, uint8 *to);

/* ivfvalue.c: from a datum to what is stored */
typedef struct IvfValue
{
	struct varlena *plain;		/* the value, detoasted */
	float	   *floats;			/* IVF_SPACE_FLOAT: its elements, of unit length for cosine */
	bool		defined;		/* false: no distance to anything */
} IvfValue;

/* a row as it is stored */
typedef struct IvfRow
{
	ItemPointerData tid;
	const uint64 *keys;			/* shape.nwords words of filter columns, or NULL */
	const uint8 *code;			/* shape.row_bytes, or NULL */
	const uint8 *record;		/* or NULL */
	Size		record_bytes;
} IvfRow;

extern void ivf_value(const IvfIndex *index, Datum datum, IvfValue *value);
extern void ivf_to_floats(const IvfIndex *index, const struct varlena *plain, float *floats);
extern Size ivf_record(const IvfIndex *index, const struct varlena *plain, float *scratch,
					   uint8 *record);
extern double ivf_value_distance(const VecMetric *metric, const struct varlena *a,
								 const struct varlena *b);
extern const struct varlena *ivf_plain(const IvfIndex *index, Relation rel, const uint8 *bytes,
									   Size size);

/* ivfcode.c: codes of rows, alone and in blocks */
extern Size ivf_row_bytes(ListQuantizer quantizer, int dim);
extern void ivf_set_model(IvfIndex *index, QuantModel *model, MemoryContext context);
extern void ivf_encode(const QuantModel *model, ListQuantizer quantizer, const float *nav,
					   float slack, const float *center, uint8 *row);
extern void ivf_block_put(const IvfShape *shape, int dim, uint8 *block, int i, const uint8 *row);
extern void ivf_block_get(const IvfShape *shape, int dim, const uint8 *block, int i, uint8 *row);

/* the two parts of a block */
#define IvfBlockTerms(block)	((const ListBlockTerms *) (block))
#define IvfBlockCodes(block)	((const uint8 *) (block) + sizeof(ListBlockTerms))

/* ivfdirectory.c: which lists are near */
typedef struct IvfNear
{
	float		distance;		/* to compare; Euclidean in square, or minus product */
	uint32		list;
	BlockNumber first;
	uint32		id;
} IvfNear;

/* a value in search of lists */
typedef struct IvfLists
{
	const IvfIndex *index;
	IvfDirectory *directory;
	Relation	rel;
	ListQuery  *query;			/* IVF_SPACE_FLOAT */
	const struct varlena *plain;	/* IVF_SPACE_VALUE */
	bool		search;			/* else: where does a row go? */
	const uint8 *blocks;
	uint8	   *room;			/* for a record */
	float	   *scratch;
} IvfLists;

extern IvfDirectory *ivf_load_directory(const IvfIndex *index, Relation rel,
										const IvfMetaPageData *meta);
extern const uint8 *ivf_list_record(const IvfIndex *index, const IvfDirectory *directory,
									Relation rel, uint32 list, uint8 *room, Size *size);
extern void ivf_lists_init(IvfLists *lists, const IvfIndex *index, IvfDirectory *directory,
						   Relation rel, ListQuery *query, const struct varlena *plain,
						   bool search);
extern int	ivf_near_lists(IvfLists *lists, int wanted, IvfNear *near);

/* ivfinsert.c */
extern void ivf_insert_value(Relation rel, const IvfIndex *index, IvfDirectory *directory,
							 const IvfValue *value, const uint64 *keys, ItemPointer tid);

/* ivfappend.c */
extern void ivf_append(Relation rel, const IvfIndex *index, const IvfShape *shape,
					   BlockNumber first, uint32 id, const IvfRow *row);

/* ivfwrite.c: new chains and parts */
typedef struct IvfWriter IvfWriter;

extern IvfWriter *ivf_writer_build(Relation rel, const IvfIndex *index, ForkNumber fork);
extern IvfWriter *ivf_writer_logged(Relation rel, const IvfIndex *index);
extern void ivf_writer_start(IvfWriter *writer, const IvfShape *shape, uint32 id);
extern void ivf_writer_add(IvfWriter *writer, const IvfRow *row);
extern BlockNumber ivf_writer_end(IvfWriter *writer);
extern uint32 ivf_writer_parts(IvfWriter *writer, BlockNumber *parts);
extern void ivf_write_bytes(IvfWriter *writer, IvfPageKind kind, const uint8 *bytes, Size size);

/* access method callbacks, by file */
extern IndexBuildResult *ivfbuild(Relation heap, Relation rel, struct IndexInfo *info);
extern void ivfbuildempty(Relation rel);
extern bool ivfinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
					  IndexUniqueCheck unique, bool unchanged, struct IndexInfo *info);
extern IndexBulkDeleteResult *ivfbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											IndexBulkDeleteCallback callback, void *state);
extern IndexBulkDeleteResult *ivfvacuumcleanup(IndexVacuumInfo *info,
											   IndexBulkDeleteResult *stats);
extern IndexScanDesc ivfbeginscan(Relation rel, int nkeys, int norderbys);
extern void ivfrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys,
					  int norderbys);
extern bool ivfgettuple(IndexScanDesc scan, ScanDirection dir);
extern void ivfendscan(IndexScanDesc scan);
extern void ivf_restrict(IndexScanDesc scan, AmRestriction *restriction);
extern void ivfcostestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
							Cost *startup, Cost *total, Selectivity *selectivity,
							double *correlation, double *pages);

#endif							/* VECEXT_IVF_H */

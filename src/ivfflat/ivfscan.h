/*-------------------------------------------------------------------------
 *
 * ivfscan.h
 *	  The state of an index scan: ivfscan.c and ivfpass.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_IVFSCAN_H
#define VECEXT_IVFSCAN_H

#include "ivfflat/ivf.h"

/*
 * A row that a pass has kept.  Ordered by key, then by list page and place, so
 * that no two are equal.  The key is the lower bound of its code, in list
 * distances; if codes are not used what the row is returned by.
 */
typedef struct IvfFound
{
	double		key;
	BlockNumber blkno;			/* list page */
	uint32		page;			/* its copy: number in IvfScan.pages */
	uint16		place:15;
	uint16		recheck:1;		/* words of filter columns do not tell for sure */
	ItemPointerData tid;
} IvfFound;

/* a row whose place is known: by distance, or by a lower bound if so->recheck */
typedef struct IvfResult
{
	double		distance;
	BlockNumber blkno;
	uint16		place;
	ItemPointerData tid;
	bool		recheck;		/* the conditions on filter columns */
} IvfResult;

typedef struct IvfResults
{
	IvfResult  *rows;
	int			n;
	int			room;
} IvfResults;

/* the nearest rows that say when lists are too far */
#define IVF_ENOUGH_BEST		20

/* distances of the rows of a stage that qualify */
typedef struct IvfEnough
{
	double		rows;
	double		sum;			/* of what they are beyond the centroid's */
	double		squares;
	double		gap;			/* sum: of what estimates are beyond lower bounds */
	int			nbest;
	float		best[IVF_ENOUGH_BEST];	/* the least, in order */
} IvfEnough;

typedef enum IvfPhase
{
	IVF_SCAN_START,				/* nothing was read */
	IVF_SCAN_LISTS,				/* stage after stage of lists */
	IVF_SCAN_LATE,				/* rows that were found too late for their place */
	IVF_SCAN_CONSTANT,			/* no distances: rows as they lie, list after list */
	IVF_SCAN_UNDEFINED,			/* rows without a distance */
	IVF_SCAN_END
} IvfPhase;

typedef struct IvfScan
{
	Relation	rel;
	IvfIndex   *index;
	IvfDirectory *directory;
	MemoryContext context;		/* of the scan */
	MemoryContext query_context;	/* of one query */
	MemoryContext pass_context; /* of one pass: copies of list pages */
	IvfPhase	phase;
	IvfIterativeScan mode;
	Size		memory;
	int64		blocks_read;	/* by this backend, when the scan began */

	/* the query */
	Datum		value;
	bool		isnull;
	bool		constant;		/* all rows have the same distance, or none */
	bool		recheck;		/* rows are returned by lower bounds */
	bool		codes;			/* passes rank by codes, then records decide */
	float		epsilon;		/* which bound of codes */
	IvfValue	query;
	float	   *floats;			/* elements of the query as given, for records */
	double		norm;			/* refine_query_norm() of these */
	ListQuery  *list_query;		/* IVF_SPACE_FLOAT: ranks lists, estimates rows */
	IvfLists	lists;

	/* which rows are wanted */
	FilterQuery *filter;		/* conditions on filter columns, or NULL */
	AmRestriction *restriction; /* a set of rows, or NULL */
	uint32	   *pass;			/* scratch: bits of the rows of a list page */
	uint32	   *maybe;			/* of these, to be rechecked */
	bool		selective;		/* stages read lists until rows that qualify are enough */
	IvfEnough	enough;
	double		qualified;		/* rows of the stage so far */
	double		returned;		/* of these */
	bool		wide;			/* lists are enough for all rows that the pass keeps */

	/* the stage */
	int			max_lists;		/* read no more than this */
	int			nranked;		/* lists whose rank is known */
	IvfNear    *ranked;
	int			first_list;		/* of the stage, in "ranked" */
	int			end_list;
	uint8	   *read;			/* bits of lists that earlier stages have read */

	/* the pass */
	int			keep;			/* most rows kept: T */
	int			most;			/* memory has room for no more than this */
	int			nfound;
	IvfFound   *found;			/* 2 * keep */
	bool		full;			/* rows beyond the limit were dropped */
	IvfFound	limit;			/* valid if full: the last that is kept */
	IvfFound   *cuts;			/* of each ranked list: rows up to here were refined */
	IvfFound	cut;			/* of the list that is being read */
	int			nsorted;		/* of "found", nearest first */
	int			next;			/* next in "found" to be refined */
	uint32		npages;
	uint32		page_room;
	IvfListCopy **pages;
	ItemPointerData *tids;		/* scratch: of a list page */
	uint8	   *block;			/* scratch: a block from code pages */
	uint8	   *record;			/* scratch */

	/* rows to be returned */
	IvfResults	ready;			/* a heap, nearest on top */
	IvfResults	late;
	int			next_late;
	bool		has_last;
	IvfResult	last;

	/* constant and undefined */
	uint32		list;			/* the one being read */
	BlockNumber next_block;		/* of its chain, invalid: the next list */
	uint32		chain_id;
	BlockNumber chain_steps;	/* pages of the chain read so far */
	const IvfShape *chain_shape;
	int			ntids;
	int			next_tid;
} IvfScan;

/* ivffilter.c */
extern int	ivf_qualifying(IvfScan *so, const IvfShape *shape, Page page);
extern void ivf_enough_rows(IvfEnough *enough, float center, const float *estimate,
							const float *lower, uint32 mask);
extern int64 ivf_enough_step(const IvfScan *so, int lists);
extern bool ivf_enough(IvfScan *so, int end);

/* ivfpass.c */
extern int	ivf_found_cmp(const IvfFound *a, const IvfFound *b);
extern int64 ivf_blocks_read(void);
extern void ivf_pass_begin(IvfScan *so);
extern void ivf_pass_lists(IvfScan *so, int first, int end);
extern void ivf_pass_end(IvfScan *so);
extern void ivf_pass_resume(IvfScan *so);
extern void ivf_pass_cut(IvfScan *so, const IvfFound *cut);
extern double ivf_pass_last(IvfScan *so);
extern const IvfFound *ivf_next_found(IvfScan *so);
extern void ivf_refine(IvfScan *so, const IvfFound *found, IvfResult *result);
extern double ivf_found_bound(const IvfScan *so, const IvfFound *found);

/* the order of results: by distance as float8 has it, then by page and place */
extern int	ivf_result_cmp(const IvfResult *a, const IvfResult *b);

#endif							/* VECEXT_IVFSCAN_H */

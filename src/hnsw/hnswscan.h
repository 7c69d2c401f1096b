/*-------------------------------------------------------------------------
 *
 * hnswscan.h
 *	  The state of an index scan, and what its files do for each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSWSCAN_H
#define VECEXT_HNSWSCAN_H

#include <math.h>

#include "hnsw/hnsw.h"

/*
 * A node whose distance is known, or a lower bound of it where refine records
 * are not exact.  Scans order by distance as float8 does, NaN last, then by
 * node, so that no two nodes are equal.
 */
typedef struct HnswFound
{
	double		distance;
	uint32		node;
	uint16		generation;
} HnswFound;

/* nodes refined, by id and generation */
typedef struct HnswSeen
{
	uint64		key;
	char		status;
	bool		returned;
} HnswSeen;

#define HnswSeenKey(found)	((uint64) (found)->node << 16 | (found)->generation)

typedef enum HnswPhase
{
	HNSW_SCAN_START,			/* nothing was read */
	HNSW_SCAN_SEARCH,			/* batches from the graph, each of a wider search */
	HNSW_SCAN_SWEEP,			/* all nodes that were not returned, in order */
	HNSW_SCAN_LATE,			/* those that were found too late for their place */
	HNSW_SCAN_END
} HnswPhase;

struct hnsw_seen_hash;

/* nodes that may meet the conditions, by their filter entries; none from limit on */
typedef struct HnswMatches
{
	uint32		limit;
	uint32		n;
	uint64	   *bits;			/* by node */
} HnswMatches;

/*
 * What things cost, as bytes read in order: to expand a node, besides those of
 * its slot and record; to lock a page, to look at a slot's head, to refine,
 * besides those of the record.
 */
#define HNSW_EXPAND_BYTES	6144
#define HNSW_PAGE_BYTES		2500
#define HNSW_HEAD_BYTES		144
#define HNSW_RECORD_BYTES	2000

/* what costs as much as to expand a node: filter entries, nodes measured */
#define HNSW_ENTRIES_OF_NODE	1500.0
#define HNSW_MEASURED_OF_NODE	8.0

typedef struct HnswScan
{
	Relation	rel;
	HnswIndex  *index;
	MemoryContext context;		/* of the scan */
	MemoryContext query_context;	/* of one value and beam */
	MemoryContext row_context;	/* of one node's rows */

	/* settings when the value came */
	HnswIterativeScan mode;
	int			ef;
	int64		max_tuples;
	Size		memory;			/* bytes for found, and again for the search */

	/* what may be returned */
	FilterQuery *filter;		/* conditions on filter columns; NULL: none */
	AmRestriction *rows;		/* NULL: all rows */
	bool		restricted;
	uint64		nswept;			/* nodes looked at by the sweep */
	uint64		ndistances;		/* of nodes refined */
	AmRestriction counted;		/* told to the caller before */

	/* those that meet the conditions, once it is known; and their distances */
	HnswMatches *matches;
	SearchResult *measured;		/* by codes; NULL: not yet */
	int			nmeasured;
	int			nordered;		/* of these are in order, and nearer than the rest */

	/* the value */
	Datum		value;
	bool		isnull;
	bool		constant;		/* every distance is the same */
	bool		recheck;		/* distances are lower bounds */
	HnswQuery  *query;
	int			query_beam;		/* what query has memory for */

	HnswPhase	phase;
	int			reach;			/* candidates the last search stands for: its ef_search */
	int			widest;			/* it may go on to this many */
	int			target;			/* nodes to be returned from this batch and those before */
	bool		exhausted;		/* the last search met every node it can reach */
	int64		examined;		/* nodes expanded by the last search */
	int64		returned;		/* nodes */

	/* the batch, in order */
	HnswFound  *found;
	int			max_found;
	int			nfound;
	int			nready;			/* of these may be returned now */
	int			next;
	const SearchResult *results;	/* of the search; they live in query */
	int			nresults;
	int			nrefined;		/* of these are in found, or not wanted */
	double		code_errors;	/* sum of squares of what codes were wrong by, nav units */
	int			ncode_errors;
	bool		complete;		/* sweep: no node in range was left out */

	/* places in the order */
	bool		has_last;
	HnswFound	last;			/* returned last */
	bool		has_bound;
	HnswFound	bound;			/* late nodes are not behind it */
	uint32		sweep_node;		/* constant: where to go on */
	struct hnsw_seen_hash *seen;	/* nodes of earlier batches, or NULL */

	/* rows of the node being returned */
	HnswRows	tids;
	int			next_tid;
} HnswScan;

/* float8's order: NaN behind all numbers, and equal to itself */
static inline int
hnsw_found_cmp(const HnswFound *a, const HnswFound *b)
{
	if (a->distance < b->distance)
		return -1;
	if (a->distance > b->distance)
		return 1;
	if (a->distance != b->distance)
	{
		bool		a_nan = isnan(a->distance);
		bool		b_nan = isnan(b->distance);

		if (a_nan != b_nan)
			return a_nan ? 1 : -1;
	}
	return a->node < b->node ? -1 : a->node > b->node;
}

/* hnswfound.c */
extern double hnsw_scan_distance(HnswScan *so, uint32 node);
extern bool hnsw_scan_seen(HnswScan *so, const HnswFound *found);
extern void hnsw_scan_sort(HnswFound *found, int n);
extern void hnsw_scan_room(HnswScan *so, int n);
extern void hnsw_scan_refine(HnswScan *so, int n);
extern void hnsw_scan_refine_batch(HnswScan *so);
extern void hnsw_scan_set_ready(HnswScan *so);
extern void hnsw_scan_remember(HnswScan *so);

/* hnswbatch.c */
extern int	hnsw_scan_beam(const HnswScan *so, int ef);
extern void hnsw_scan_prepare(HnswScan *so, int beam);
extern void hnsw_scan_start_sweep(HnswScan *so);
extern bool hnsw_scan_next(HnswScan *so, HnswFound *found);

/* hnswrestrict.c */
extern void hnsw_restricted_batch(HnswScan *so);
extern int	hnsw_restricted_first(const HnswScan *so);
extern void hnsw_restricted_count(HnswScan *so);

/* hnswmatch.c */
extern void hnsw_find_matches(HnswScan *so);
extern uint32 hnsw_next_match(const HnswMatches *matches, uint32 node);
extern bool hnsw_measure_matches(HnswScan *so);
extern int	hnsw_order_measured(HnswScan *so, int wanted);

/* hnswsweep.c */
extern void hnsw_sweep(HnswScan *so);
extern void hnsw_sweep_sort(HnswScan *so);

/*
 * Beam of a search that shall return ef nodes, with the recall of a search by
 * exact distances and a beam of ef.  Estimates from sketches put a node into
 * the beam several times, so that it is about twice as long as it has nodes.
 */
static inline int
hnsw_beam(bool sketches, int ef)
{
	return sketches ? 2 * ef + ef / 4 + 8 : ef + ef / 8 + 2;
}

#endif							/* VECEXT_HNSWSCAN_H */

/*-------------------------------------------------------------------------
 *
 * hnswfound.c
 *	  The nodes a scan has found: refined, in order, and which of them are surely
 *	  in their places.
 *
 * Results of a search are refined in the order of their codes and only as far as
 * rows are asked for.  Those that were refined and not returned wait for the next
 * batch; a hash table knows them all.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <float.h>
#include <math.h>

#include "hnsw/hnswbatch.h"
#include "hnsw/hnswscan.h"
#include "utils/float.h"
#include "utils/memutils.h"

/*
 * A row is returned when it is nearer than the next code says, less this many
 * times the root mean square of what codes were wrong by.
 */
#define CODE_ERRORS		4

/* where distances are lower bounds, rows are returned of so many refined */
#define RETURNED_OF_REFINED(n)	(((n) - 4) / 2)

/* refine records fetched ahead */
#define RECORDS_AHEAD	2

#define SH_PREFIX		hnsw_seen
#define SH_ELEMENT_TYPE	HnswSeen
#define SH_KEY_TYPE		uint64
#define SH_KEY			key
#define SH_HASH_KEY(table, key)	((uint32) ((key) * UINT64CONST(0x9E3779B97F4A7C15) >> 32))
#define SH_EQUAL(table, a, b)	((a) == (b))
#define SH_SCOPE		static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

#define ST_SORT			sort_found
#define ST_ELEMENT_TYPE	HnswFound
#define ST_COMPARE(a, b)	hnsw_found_cmp(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * hnsw_scan_sort
 *		Sort a batch, nearest first.
 */
void
hnsw_scan_sort(HnswFound *found, int n)
{
	sort_found(found, (size_t) n);
}

/*
 * hnsw_scan_room
 *		Make room for n nodes in the batch, in the scan's context.
 */
void
hnsw_scan_room(HnswScan *so, int n)
{
	int			room;

	if (n <= so->max_found)
		return;
	room = Max(n, Max(64, so->max_found + so->max_found / 2));
	if (so->found == NULL)
		so->found = MemoryContextAllocHuge(so->context, mul_size(room, sizeof(HnswFound)));
	else
		so->found = repalloc_huge(so->found, mul_size(room, sizeof(HnswFound)));
	so->max_found = room;
}

/*
 * hnsw_scan_seen
 *		Did an earlier search return this node?
 */
bool
hnsw_scan_seen(HnswScan *so, const HnswFound *found)
{
	HnswSeen   *seen;

	if (so->seen == NULL)
		return false;
	seen = hnsw_seen_lookup(so->seen, HnswSeenKey(found));
	return seen != NULL && seen->returned;
}

/*
 * hnsw_scan_distance
 *		What a node is ordered by: the operator's distance, or a lower bound of
 *		it if so->recheck.
 */
double
hnsw_scan_distance(HnswScan *so, uint32 node)
{
	RefineResult result;

	if (so->isnull)
		return 0;
	if (so->constant)
		return get_float8_nan();
	result = hnsw_refine(so->query, node);
	return so->recheck ? result.bound : result.distance;
}

/* note that a node was refined; false if it was before */
static bool
remember_refined(HnswScan *so, const HnswFound *node)
{
	HnswSeen   *seen;
	bool		found;

	seen = hnsw_seen_insert(so->seen, HnswSeenKey(node), &found);
	if (!found)
		seen->returned = false;
	return !found;
}

/*
 * hnsw_scan_remember
 *		Remember what the last batch returned, and keep what it did not.
 */
void
hnsw_scan_remember(HnswScan *so)
{
	if (so->seen == NULL)
	{
		so->seen = hnsw_seen_create(so->query_context, (uint32) so->nfound + 64, NULL);
		for (int i = 0; i < so->nfound; i++)
			remember_refined(so, &so->found[i]);
	}
	for (int i = 0; i < so->next; i++)
		hnsw_seen_lookup(so->seen, HnswSeenKey(&so->found[i]))->returned = true;
	so->nfound -= so->next;
	if (so->nfound > 0)			/* else there may be no array */
		memmove(so->found, so->found + so->next, so->nfound * sizeof(HnswFound));
	so->next = 0;
	so->nready = 0;
}

/* what a code was wrong by, in nav units */
static void
note_code_error(HnswScan *so, double distance, float by_code)
{
	double		error;

	if (so->recheck || so->index->model == NULL)
		return;
	error = quant_from_sql(so->index->model, distance) - by_code;
	if (isfinite(error))
	{
		so->code_errors += error * error;
		so->ncode_errors++;
	}
}

/*
 * hnsw_scan_refine
 *		Refine results up to the n-th and put them into their places behind those
 * that were returned.  What is nearer than the last returned is left for the
 * late phase, unless order is relaxed.
 */
void
hnsw_scan_refine(HnswScan *so, int n)
{
	const SearchResult *results = so->results;

	n = Min(n, so->nresults);
	hnsw_scan_room(so, so->nfound + n - so->nrefined);
	for (int i = so->nrefined; i < Min(n, so->nrefined + RECORDS_AHEAD); i++)
		hnsw_prefetch_record(so->query, results[i].id);
	for (; so->nrefined < n; so->nrefined++)
	{
		HnswFound  *found = &so->found[so->nfound];

		found->node = results[so->nrefined].id;
		found->generation = results[so->nrefined].generation;
		if (so->nrefined + RECORDS_AHEAD < n)
			hnsw_prefetch_record(so->query, results[so->nrefined + RECORDS_AHEAD].id);
		if (so->seen != NULL && !remember_refined(so, found))
			continue;
		found->distance = hnsw_scan_distance(so, found->node);
		so->ndistances++;
		hnsw_prefetch_row(so->index, results[so->nrefined].tid);
		note_code_error(so, found->distance, results[so->nrefined].distance);
		if (so->mode != HNSW_ITERATIVE_RELAXED && so->has_last &&
			hnsw_found_cmp(found, &so->last) < 0)
			continue;
		so->nfound++;
	}
	hnsw_scan_sort(so->found + so->next, so->nfound - so->next);
}

/*
 * No unrefined result of the search is expected to be nearer than this, in SQL
 * units.
 */
static double
next_distance(const HnswScan *so)
{
	const QuantModel *model = so->index->model;
	double		next = so->results[so->nrefined].distance;

	if (model == NULL)
		return next - fabs(next) * FLT_EPSILON;
	if (so->ncode_errors > 0)
		next -= CODE_ERRORS * sqrt(so->code_errors / so->ncode_errors);
	return quant_to_sql(model, (float) next);
}

/*
 * hnsw_scan_set_ready
 *		How many of the batch are surely in their places, as far as codes can tell?
 */
void
hnsw_scan_set_ready(HnswScan *so)
{
	int64		most = so->next + so->target - so->returned;
	double		next;

	so->nready = (int) Min(so->nfound, most);
	if (so->nrefined >= so->nresults)
		return;

	next = next_distance(so);
	if (so->recheck)
		so->nready = Min(so->nready, RETURNED_OF_REFINED(so->nrefined));
	while (so->nready > so->next && !(so->found[so->nready - 1].distance <= next))
		so->nready--;
}

/*
 * hnsw_scan_refine_batch
 *		The first of the results of a search refined, in order.
 */
void
hnsw_scan_refine_batch(HnswScan *so)
{
	int			most = FIRST_REFINED * (so->recheck ? 2 : 1);

	so->nrefined = 0;
	if (so->seen != NULL)
		most = so->recheck ? so->nresults : so->target + so->target / 8;
	hnsw_scan_refine(so, most);
	hnsw_scan_set_ready(so);
}

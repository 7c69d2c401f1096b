/*-------------------------------------------------------------------------
 *
 * hnswrestrict.c
 *	  Scans that return only some rows: which those are, and the batches of
 *	  searches that look for them (README.md, "Restricted scans").
 *
 * A node is tested when the search reads its slot.  One without a row that may
 * be returned is expanded like any, but is no result: it is not refined, and
 * its row is not fetched.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "hnsw/hnswscan.h"
#include "miscadmin.h"
#include "utils/rel.h"

/*
 * Memory a search has at first: for so many candidates, if there may be so much,
 * and no fewer than so many, and an eighth as many results.
 */
#define FIRST_CANDIDATES	4096
#define LEAST_CANDIDATES	512
#define RESULTS(candidates)	((candidates) / 8)

/* of ef: nodes returned by the first batch, and expanded beyond what they need */
#define RETURNED_PART		4
#define MARGIN(ef)			((ef) / 4 * 3)

/* results settled for each that is returned: the last ones are not all found */
#define SETTLED_TIMES		1.2

/* nodes expanded before it is asked whether another way is cheaper */
#define FIRST_NODES			24

/*
 * Before a search goes among the nodes that match alone: nodes to be expanded, of
 * those that it would take to meet all that are near enough.  Nodes it takes from
 * then on, about, and how much wider its margin is.
 */
#define WIDE_PART			1.2
#define NARROW_NODES		50
#define NARROW_MARGIN		3

/*
 * They lie elsewhere if so many were expected near the query and there are so many
 * times fewer.  Then the search begins with some of them.  When it has settled it
 * goes on for so many nodes, and if they bring a result it cannot be trusted.
 */
#define SURE_EXPECTED		4
#define ELSEWHERE_TIMES		3
#define NSEEDS				200
#define PATIENCE			150

/* filter pages are read when the search has to be surely so many times longer */
#define CHANCE				2
#define MATCH_TIMES			2

/* of the nodes measured, those in order for each that is returned */
#define MEASURED_TIMES		2

/* so few are not measured by codes but at once by their records */
#define MEASURE_MIN			40

/*--- what may be returned ------------------------------------------------*/

/*
 * hnsw_accepts
 *		Whether a LIVE node may have a row that may be returned; its slot is on
 *		a locked page.
 *
 * Of a node whose rows differ that is not known before each is tested.
 */
bool
hnsw_accepts(HnswQuery *query, const uint8_t *slot)
{
	const NavSlotHead *head = slot_head(slot);
	bool		accepted = true;
	ItemPointerData tid;

	if (query->filter != NULL && (head->flags & SLOT_MIXED) == 0)
		accepted = filter_test(query->filter,
							   slot_keys(&query->index->layout, slot)) != FILTER_NO;
	if (accepted && query->rows != NULL && head->more == LINK_NONE)
	{
		memcpy(&tid, head->tid, sizeof(tid));
		accepted = query->rows->accepts(query->rows->arg, &tid);
	}
	query->nrejected += !accepted;
	return accepted;
}

/*
 * hnsw_accepts_row
 *		Whether a row may be returned, with these keys.
 */
FilterResult
hnsw_accepts_row(HnswQuery *query, const ItemPointerData *tid, const uint64 *keys)
{
	FilterResult result = FILTER_YES;

	if (query->filter != NULL)
		result = filter_test(query->filter, keys);
	if (result != FILTER_NO && query->rows != NULL &&
		!query->rows->accepts(query->rows->arg, tid))
		result = FILTER_NO;
	return result;
}

/*--- batches -------------------------------------------------------------*/

/*
 * The part of all nodes that may be returned, as far as is known: near the
 * query what the search has met, elsewhere what the caller says.
 */
static double
accepted_part(const HnswScan *so)
{
	const RestrictedSearch *search = so->query->restricted;

	if (so->query->rows != NULL)
		return so->query->rows->fraction;
	return (search->naccepted + 1.0) / (search->base.nexpanded + 1.0);
}

/*
 * What the sweep costs, in nodes expanded: it locks each nav page and reads the
 * heads of its slots, and the records of those accepted.
 */
static double
sweep_nodes(const HnswScan *so)
{
	const HnswIndex *index = so->index;
	double		nodes = hnsw_node_limit(index);
	double		expand = HNSW_EXPAND_BYTES + index->layout.size;

	return (nodes / index->slots_per_page * HNSW_PAGE_BYTES + nodes * HNSW_HEAD_BYTES +
			nodes * accepted_part(so) * (HNSW_RECORD_BYTES + index->params.refine_size)) / expand;
}

/* what it costs, in nodes expanded, to read the filter pages */
static double
match_nodes(const HnswScan *so)
{
	return hnsw_node_limit(so->index) / HNSW_ENTRIES_OF_NODE;
}

/* and to measure the nodes that meet the conditions */
static double
measure_nodes(const HnswScan *so)
{
	return so->matches->n / HNSW_MEASURED_OF_NODE;
}

/* what it costs, in nodes expanded, to find the rows in another way */
static double
other_way(const HnswScan *so)
{
	const AmRestriction *rows = so->query->rows;

	return rows != NULL && rows->can_switch && rows->switch_nodes > 0 ? rows->switch_nodes : sweep_nodes(so);
}

/*
 * How many nodes would have to be expanded from now on, if it goes on like that?
 * "more" are the nodes that chance may have kept from being found.
 */
static double
nodes_to_come(const HnswScan *so, double wanted, double more)
{
	const RestrictedSearch *search = so->query->restricted;
	double		found = search->naccepted + more;

	return search->base.nexpanded * Max(wanted / found, 1) - search->base.nexpanded;
}

/*
 * Nodes to be expanded before the search goes to none but those that match: near
 * the query most of these are linked from nodes expanded by then.  Where they are
 * fewer near the query than elsewhere, there is no use in looking around it.
 */
static double
wide_nodes(const HnswScan *so, double wanted)
{
	const RestrictedSearch *search = so->query->restricted;
	double		expanded = search->base.nexpanded;
	double		everywhere = (double) so->matches->n / hnsw_node_limit(so->index);
	double		part = (search->naccepted + 0.5) / (expanded + 1);

	if (everywhere * expanded >= SURE_EXPECTED && part * ELSEWHERE_TIMES < everywhere)
		return 0;
	return WIDE_PART * wanted / Max(part, everywhere);
}

/*
 * Go on among the nodes that match.  Where they lie elsewhere, also from some of
 * them, from all over the index.
 */
static void
narrow_search(HnswScan *so, bool elsewhere)
{
	RestrictedSearch *search = so->query->restricted;
	const HnswMatches *matches = so->matches;
	uint32		step = Max(matches->n / NSEEDS, 1);
	uint32		i = 0;

	restricted_narrow(search, matches->bits, matches->limit);
	search->margin *= NARROW_MARGIN;
	if (!elsewhere)
		return;
	search->patience = PATIENCE;
	for (uint32 node = hnsw_next_match(matches, 0); node != LINK_NONE;
		 node = hnsw_next_match(matches, node + 1))
	{
		if (i++ % step == 0)
			hnsw_restricted_seed(so->query, node);
	}
	hnsw_restricted_stop(so->query);
}

/*
 * After "nodes" were expanded and more are to come: false if the rest is better
 * found in another way; else how far to go.
 */
static bool
search_further(HnswScan *so, double wanted, uint32 *nodes)
{
	const RestrictedSearch *search = so->query->restricted;
	double		wide;

	if (so->matches == NULL && nodes_to_come(so, wanted, CHANCE) > MATCH_TIMES * match_nodes(so))
		hnsw_find_matches(so);
	if (so->matches == NULL)
	{
		*nodes += *nodes / 2;
		return nodes_to_come(so, wanted, 0.5) <= other_way(so);
	}
	if (search->among != NULL)
	{
		*nodes += *nodes / 2;
		return search->base.nexpanded <= measure_nodes(so);
	}
	wide = wide_nodes(so, wanted);
	if (Max(wide - search->base.nexpanded, 0) + NARROW_NODES > measure_nodes(so))
		return false;
	if (wide <= search->base.nexpanded)
	{
		*nodes += NARROW_NODES;
		narrow_search(so, wide == 0);
	}
	else
		*nodes = (uint32) Min(ceil(wide), *nodes + *nodes / 2);
	return true;
}

/* search until the nodes of this batch are settled, unless that costs too much */
static RestrictedEnd
search_settled(HnswScan *so)
{
	RestrictedSearch *search = so->query->restricted;
	double		wanted = so->target * SETTLED_TIMES;
	uint32		most = (uint32) Min(hnsw_max_scan_tuples, PG_UINT32_MAX / 2);
	uint32		nodes = Max(search->base.nexpanded, FIRST_NODES);
	RestrictedEnd end;

	for (;;)
	{
		end = hnsw_restricted_run(so->query, wanted, Min(nodes, most), so->memory);
		if (end == RESTRICTED_SETTLED && search->patience > 0 && search->late > 0)
			return RESTRICTED_NODES;	/* there will be more of them */
		if (end != RESTRICTED_NODES || nodes >= most)
			return end;
		if (!search_further(so, wanted, &nodes))
			return end;
	}
}

static void
start_search(HnswScan *so)
{
	MemoryContext old = MemoryContextSwitchTo(so->query_context);
	int			candidates = FIRST_CANDIDATES;

	while (candidates > LEAST_CANDIDATES &&
		   restricted_size(candidates, RESULTS(candidates)) > so->memory)
		candidates /= 2;
	hnsw_restricted_start(so->query, candidates, RESULTS(candidates), MARGIN(so->ef));
	MemoryContextSwitchTo(old);
}

/*
 * The next batch from the nodes that were measured: all there are, so it is not
 * to be settled.  False if there are no more; then the sweep follows, for those
 * without a distance, and rows out of place.
 */
static bool
measured_batch(HnswScan *so)
{
	/* some are not returned here: nothing is nearer than what was */
	if (so->results == so->measured && so->nresults == so->nmeasured &&
		so->nrefined >= so->nresults)
		return false;
	so->examined = so->nmeasured;
	so->exhausted = false;
	so->nresults = hnsw_order_measured(so, so->target * MEASURED_TIMES);
	so->results = so->measured;
	hnsw_scan_refine_batch(so);
	return true;
}

/* measure the nodes that meet the conditions, if that is possible and worth it */
static bool
measure(HnswScan *so)
{
	hnsw_find_matches(so);
	return so->matches != NULL && so->matches->n > MEASURE_MIN && hnsw_measure_matches(so);
}

/*
 * hnsw_restricted_batch
 *		The next batch: so->target nodes with those before.
 *
 * If the search cannot settle them, the scan goes on with all nodes that meet
 * the conditions, and in the end with the sweep, or ends where the caller wants
 * to go on himself.
 */
void
hnsw_restricted_batch(HnswScan *so)
{
	RestrictedEnd end;
	const GraphSearch *search;

	if (so->measured != NULL)
	{
		if (!measured_batch(so))
			hnsw_scan_start_sweep(so);
		return;
	}
	if (so->query->restricted == NULL)
		start_search(so);
	end = search_settled(so);
	search = &so->query->restricted->base;
	so->examined = search->nexpanded;
	so->exhausted = end != RESTRICTED_SETTLED;
	so->results = search->results;
	so->nresults = search->nresults;
	so->nrefined = 0;
	if (!so->exhausted)
		hnsw_scan_refine_batch(so);
	else if (so->query->rows != NULL && so->query->rows->can_switch)
	{
		so->query->rows->gave_up = true;
		so->phase = HNSW_SCAN_END;
	}
	else if (!measure(so) || !measured_batch(so))
		hnsw_scan_start_sweep(so);
}

/*
 * hnsw_restricted_first
 *		How many nodes the first batch returns; each further one as many as those
 *		before it together.
 */
int
hnsw_restricted_first(const HnswScan *so)
{
	if (so->mode == HNSW_ITERATIVE_OFF)
		return so->ef;
	return Max(so->ef / RETURNED_PART, Min(so->ef, 10));
}

/*
 * hnsw_restricted_count
 *		Tell the caller what was done since the last time.
 */
void
hnsw_restricted_count(HnswScan *so)
{
	HnswQuery  *query = so->query;
	AmRestriction *rows = query->rows;
	uint64		nodes = so->nswept;
	uint64		distances = so->ndistances;

	if (rows == NULL)
		return;
	if (query->restricted != NULL)
	{
		nodes += query->restricted->base.nexpanded;
		distances += query->restricted->ndistances;
	}
	rows->nodes += nodes - so->counted.nodes;
	rows->pages += query->npages - so->counted.pages;
	rows->distances += distances - so->counted.distances;
	rows->rejected += query->nrejected - so->counted.rejected;
	so->counted.nodes = nodes;
	so->counted.pages = query->npages;
	so->counted.distances = distances;
	so->counted.rejected = query->nrejected;
}

/*
 * hnsw_restrict_scan
 *		Return only rows that are accepted; NULL: all.  Between hnswrescan() and
 *		the first row.
 */
void
hnsw_restrict_scan(IndexScanDesc scan, AmRestriction *restriction)
{
	HnswScan   *so = (HnswScan *) scan->opaque;

	if (so->phase != HNSW_SCAN_START || so->query != NULL)
		elog(ERROR, "an hnsw scan can only be restricted before its first row");
	so->rows = restriction;
}

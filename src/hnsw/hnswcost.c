/*-------------------------------------------------------------------------
 *
 * hnswcost.c
 *	  What a scan costs, told to the planner.
 *
 * From the size of the index, its options, the dimensions and settings: no
 * page is read, so damaged ones cannot disturb planning.
 *
 * The start-up cost is that of the first search.  What the rows cost that the
 * query will ask for follows the searches and the sweep that hnswbatch.c would
 * do for them (hnswbatch.h), and the total is chosen so that the share of it
 * which the planner takes for LIMIT comes to that.  Where hnsw.max_scan_tuples
 * lets the index return fewer rows than the query asks for, the cost of the
 * search that would return them is added, so that it is chosen.
 *
 * ../am/README.md ("Costs") has the measurements behind the constants.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/genam.h"
#include "am/am_cost.h"
#include "catalog/pg_type.h"
#include "graph/search.h"
#include "hnsw/hnswbatch.h"
#include "hnsw/hnswscan.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"

/*
 * In units of cpu_operator_cost, about 8 ns: a link's sketch and its place among
 * the candidates; a dimension of the query's images; a node of the sweep; a row
 * returned, with the record that its order comes from; a filter entry; a node that
 * meets the conditions, with its code.
 */
#define LINK_OPERATORS		1.5
#define DIM_OPERATORS		2.0
#define SWEEP_OPERATORS		10.0
#define ROW_OPERATORS		20.0
#define ENTRY_OPERATORS		0.05
#define MATCH_OPERATORS		15.0

/* what the estimate is made from */
typedef struct Shape
{
	double		nodes;
	double		pages;
	double		dim;
	double		links;
	double		slot_bytes;
	double		record_bytes;	/* 0: the slot has the value itself */
	double		page_cost;		/* of one page, cached or not */
	bool		compact;		/* links are judged by sketches */
	bool		recheck;		/* rows are returned by lower bounds */
	double		filter_entries; /* of nodes, on a filter page */
	double		part;			/* of the rows that meet the conditions on filter columns */
} Shape;

/* dimensions, links and codes of the index, from the catalogs; needs nodes and pages */
static void
shape_of_index(Oid indexoid, Shape *shape)
{
	Relation	rel = index_open(indexoid, NoLock);
	HnswOptions *options = (HnswOptions *) rel->rd_options;
	int			typmod = TupleDescAttr(RelationGetDescr(rel), 0)->atttypmod;
	const VecMetric *metric = am_metric(rel);
	double		bytes = shape->pages * BLCKSZ / Max(shape->nodes, 1);

	shape->dim = typmod > 0 ? typmod : 100;
	if (metric->type->nnz != NULL)
		shape->dim = Min(shape->dim, 1000);
	shape->links = slot_links_for(options ? options->m : HNSW_DEFAULT_M);
	shape->filter_entries = hnsw_filter_entries(Max(RelationGetNumberOfAttributes(rel) - 1, 1));
	shape->compact = metric->type->to_floats != NULL && metric->kind <= VEC_METRIC_COSINE;
	shape->recheck = shape->compact && options != NULL && options->refine > REFINE_FULL;
	if (shape->compact)
	{
		shape->record_bytes = shape->dim * sizeof(float);
		if (shape->recheck && options->refine == REFINE_HALF)
			shape->record_bytes /= 2;
		else if (shape->recheck)
			shape->record_bytes /= 4;
	}
	/* the rest of the pages; the least is what links take */
	shape->slot_bytes = Min(Max(bytes - shape->record_bytes, shape->links * 8), BLCKSZ);
	index_close(rel, NoLock);
}

/* cost of so many pages and, in them, operators and bytes */
static double
cost_of(const Shape *shape, double pages, double operators, double bytes)
{
	return Min(pages, shape->pages) * shape->page_cost +
		(Max(0, pages - shape->pages) * AM_PAGE_OPERATORS +
		 operators + bytes / AM_BYTES_PER_OPERATOR) * cpu_operator_cost;
}

/* cost of refining so many nodes: what they are ordered by */
static double
refine_cost(const Shape *shape, double nodes)
{
	double		bytes = shape->record_bytes;

	return cost_of(shape, nodes * (1 + bytes / BLCKSZ), nodes * ROW_OPERATORS, nodes * bytes);
}

/* cost of a search for the nearest "reach" nodes, by codes, without refining them */
static double
search_cost(const Shape *shape, double reach)
{
	double		expanded = Min(1.1 * reach + 4, shape->nodes) + log(Max(shape->nodes, 2));
	double		read;

	if (shape->compact)
		return cost_of(shape, expanded, expanded * shape->links * LINK_OPERATORS,
					   expanded * shape->slot_bytes);

	/* about half of the links are new, and each is read */
	read = Min(shape->nodes, expanded * shape->links / 2);
	return cost_of(shape, read, read * LINK_OPERATORS, read * shape->slot_bytes);
}

/* cost of reading all nodes, those that were not returned before being put in order */
static double
sweep_cost(const Shape *shape)
{
	double		record = shape->record_bytes > 0 ? shape->record_bytes : shape->slot_bytes;

	return cost_of(shape, shape->pages, shape->nodes * SWEEP_OPERATORS,
				   shape->nodes * (HEAD_BYTES + record));
}

/* would hnswbatch.c rather read all than search so far? */
static bool
sweep_comes_first(const Shape *shape, double reach)
{
	double		record = shape->record_bytes > 0 ? shape->record_bytes : shape->slot_bytes;
	double		memory = work_mem * 1024.0 * hnsw_scan_mem_multiplier / 2;
	int			beam = hnsw_beam(shape->compact, (int) Min(reach, INT_MAX / 16));

	return reach * (HNSW_EXPAND_BYTES + shape->slot_bytes + record) * SWEEP_TIMES >
		shape->nodes * (HEAD_BYTES + record) || search_size(beam, beam) > memory;
}

/*
 * Cost of so many rows where only a part may be returned: all nodes nearer than
 * the last of them are expanded, or else the filter pages are read, the codes of
 * those nodes, and the records of the nearest.
 */
static double
restricted_cost(const Shape *shape, double rows)
{
	double		ef = hnsw_ef_search;
	double		settled = 1.2 * Max(Max(ef / 4, 10), rows) / shape->part + 0.75 * ef;
	double		matches = shape->nodes * shape->part;
	double		found = Min(Max(rows, 10), matches);
	double		sweep = cost_of(shape, shape->nodes / shape->filter_entries,
								shape->nodes * ENTRY_OPERATORS, 0) +
		cost_of(shape, matches, matches * MATCH_OPERATORS, 0) + refine_cost(shape, found);

	return Min(search_cost(shape, settled) + refine_cost(shape, rows), sweep);
}

/* is the table so small that there is no search at all? */
static bool
is_swept_at_once(const Shape *shape)
{
	return shape->nodes / SMALL_SHARE <= hnsw_beam(shape->compact, hnsw_ef_search);
}

/* cost of the first batch, and of making the query */
static double
first_cost(const Shape *shape)
{
	double		query = shape->compact ? shape->dim * DIM_OPERATORS * cpu_operator_cost : 0;

	if (shape->part < 1)
		return query + restricted_cost(shape, 1);
	if (is_swept_at_once(shape))
		return query + sweep_cost(shape);
	return query + search_cost(shape, hnsw_ef_search) +
		refine_cost(shape, FIRST_REFINED * (shape->recheck ? 2 : 1));
}

/*
 * Cost of so many rows: of the searches that double, each of which goes on from
 * the last or, where that kept too few candidates, begins anew; then of the
 * sweep.
 */
static double
rows_cost(const void *arg, double rows)
{
	const Shape *shape = (const Shape *) arg;
	double		reach = hnsw_ef_search;
	double		widest = reach;
	double		cost = first_cost(shape);
	double		wanted = rows * (shape->recheck ? 2 : 1);

	cost += rows * (shape->page_cost + cpu_index_tuple_cost);
	if (shape->part < 1)
		return cost - restricted_cost(shape, 1) + restricted_cost(shape, rows);
	if (is_swept_at_once(shape))
		return cost;
	if (rows <= RETURNED_FIRST(hnsw_ef_search) || hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
		return cost + refine_cost(shape, Max(0, wanted - FIRST_REFINED));
	do
	{
		reach *= WIDER;
		if (sweep_comes_first(shape, reach))
			return cost + refine_cost(shape, RETURNED_LATER((int) reach / WIDER)) +
				sweep_cost(shape);
		cost += search_cost(shape, reach);
		if (reach > widest)
			widest = reach * GO_ON;
		else
			cost -= search_cost(shape, reach / WIDER);
	} while (wanted > RETURNED_LATER((int) Min(reach, INT_MAX / 16)));
	return cost + refine_cost(shape, Max(0, wanted - FIRST_REFINED));
}

/*
 * hnswcostestimate
 *		amcostestimate.
 *
 * Reads catalogs, no page of the index.
 */
void
hnswcostestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
				 Cost *startup, Cost *total, Selectivity *selectivity,
				 double *correlation, double *pages)
{
	GenericCosts costs = {0};
	Shape		shape = {0};
	AmOrderedScan scan = {.rows_cost = rows_cost, .shape = &shape};

	if (path->indexorderbys == NIL || am_asks_for_vector(path))
	{
		/* rows whose vector is NULL are not in it, and without order it reads all */
		am_never_scan(path, 2, startup, total);
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return;
	}

	genericcostestimate(root, path, loop_count, &costs);

	shape.nodes = Max(path->indexinfo->tuples, 0);
	shape.pages = Max(path->indexinfo->pages, 1);
	shape_of_index(path->indexinfo->indexoid, &shape);
	shape.page_cost = am_random_page_cost(path->indexinfo->reltablespace, shape.pages, loop_count);

	shape.part = path->indexclauses == NIL ? 1 : Max(costs.indexSelectivity, 1e-9);
	scan.part = shape.part;
	scan.most = hnsw_iterative_scan == HNSW_ITERATIVE_OFF ? hnsw_ef_search : hnsw_max_scan_tuples;
	/* "off" is a wish for no more than the first batch */
	scan.complete = hnsw_iterative_scan != HNSW_ITERATIVE_OFF;
	scan.recheck = shape.recheck;
	scan.first = first_cost(&shape);
	*startup = *total = costs.indexStartupCost;
	am_ordered_cost(root, path, &scan, startup, total);
	*selectivity = costs.indexSelectivity;
	*correlation = 0;
	*pages = shape.pages;
}

/*-------------------------------------------------------------------------
 *
 * hnswcost.c
 *	  What a scan costs, told to the planner.
 *
 * From the size of the index, its options, the dimensions and settings: no
 * page is read, so damaged ones cannot disturb planning.
 *
 * The start-up cost is that of the first batch, the total that of returning
 * every row, or all that hnsw.max_scan_tuples lets it return; for LIMIT the
 * planner takes the share between them.  Where that setting lets the index
 * return fewer rows than the query asks for, the cost of the search that would
 * return them is added, so that it is chosen.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/genam.h"
#include "catalog/pg_type.h"
#include "hnsw/hnswscan.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/* no plan is so bad that this one is not worse; finite, so that sums are */
#define NEVER	1e100

/*
 * In units of cpu_operator_cost, about 8 ns, as src/types/cost.c: reading a
 * page that is in the cache takes 0.25 us, estimating a link from its sketch
 * or multiplying 128 floats about as long as an operator.
 */
#define PAGE_OPERATORS		30.0
#define FLOATS_PER_OPERATOR	128.0
#define SKETCH_FLOATS		96.0

/* part of the pages that are cached, of an index no larger than the cache */
#define CACHED_PART			0.95

/* what the estimate is made from */
typedef struct Shape
{
	double		nodes;
	double		pages;
	double		dim;
	double		links;
	double		page_cost;		/* of one page, cached or not */
	bool		compact;		/* links are judged by sketches */
	bool		recheck;		/* rows are returned by lower bounds */
	double		part;			/* of the rows that meet the conditions on filter columns */
} Shape;

/* dimensions, links and codes of the index, from the catalogs */
static void
shape_of_index(Oid indexoid, Shape *shape)
{
	Relation	rel = index_open(indexoid, NoLock);
	HnswOptions *options = (HnswOptions *) rel->rd_options;
	int			typmod = TupleDescAttr(RelationGetDescr(rel), 0)->atttypmod;
	const VecMetric *metric = am_metric(rel);

	shape->dim = typmod > 0 ? typmod : 100;
	if (metric->type->nnz != NULL)
		shape->dim = Min(shape->dim, 1000);
	shape->links = slot_links_for(options ? options->m : HNSW_DEFAULT_M);
	shape->compact = metric->type->to_floats != NULL && metric->kind <= VEC_METRIC_COSINE;
	shape->recheck = shape->compact && options != NULL && options->refine > REFINE_FULL;
	index_close(rel, NoLock);
}

/* cost of a page: most are in the cache if the index fits */
static double
page_cost(Oid tablespace, double pages, double loop_count)
{
	double		random_cost;
	double		cached = CACHED_PART * Min(1, effective_cache_size / Max(pages, 1));

	get_tablespace_page_costs(tablespace, &random_cost, NULL);

	/* a repeated scan finds more of them */
	if (loop_count > 1)
		cached = 1 - (1 - cached) / Min(loop_count, 10);
	return cached * PAGE_OPERATORS * cpu_operator_cost + (1 - cached) * random_cost;
}

/* cost of a search that expands so many nodes */
static double
search_cost(const Shape *shape, double beam)
{
	double		expanded = Min(beam, shape->nodes);
	double		code = shape->dim / FLOATS_PER_OPERATOR + 1;
	double		descent = log(Max(shape->nodes, 2)) + 4;
	double		pages;
	double		operators;

	if (shape->compact)
	{
		/* one page and its links per node, then its refine record */
		pages = expanded + descent;
		operators = pages * (shape->links + code);
		pages += expanded * (1 + shape->dim * sizeof(float) / BLCKSZ);
		operators += expanded * code;
	}
	else
	{
		/* about half of the links are new, and each is read */
		double		read = Min(shape->nodes, (expanded + descent) * shape->links / 2);

		pages = read * (1 + shape->dim * sizeof(float) / BLCKSZ) + expanded;
		operators = read * code;
	}
	return Min(pages, shape->pages) * shape->page_cost +
		Max(0, pages - shape->pages) * PAGE_OPERATORS * cpu_operator_cost +
		operators * cpu_operator_cost;
}

/*
 * Cost of the first batch where only a part of the rows may be returned: all
 * nodes nearer than the last of them are expanded, or else the sweep reads the
 * head of each slot, and the records of those.
 */
static double
restricted_cost(const Shape *shape)
{
	double		ef = hnsw_ef_search;
	double		settled = 1.2 * Max(ef / 4, 10) / shape->part + 0.75 * ef;
	double		sweep = shape->pages / 2 * shape->page_cost + shape->nodes * cpu_operator_cost +
		shape->nodes * shape->part * (shape->page_cost + shape->dim / FLOATS_PER_OPERATOR *
									  cpu_operator_cost);

	return Min(search_cost(shape, settled), sweep);
}

/* cost of making the query: its image in nav space, and the table of sketches */
static double
query_cost(const Shape *shape)
{
	double		floats = 500;

	if (shape->compact)
		floats += shape->dim * (SKETCH_FLOATS + 40);
	return floats / FLOATS_PER_OPERATOR * cpu_operator_cost;
}

/* cost of returning so many rows: searches that double, then the sweep */
static double
all_rows_cost(const Shape *shape, double rows, double first)
{
	double		sweep = rows < shape->nodes ? 0 : shape->pages * shape->page_cost +
		rows * (shape->dim / FLOATS_PER_OPERATOR + PAGE_OPERATORS) * cpu_operator_cost;

	/* each row costs as much as in the first batch, and again what led to it */
	return Max(first, Max(sweep, rows / Max(hnsw_ef_search, 1) * first * 2));
}

/*
 * How many rows of the index the query asks for: its LIMIT, and those that the
 * filter will drop.  0 if that is not known: in a join, or when the LIMIT is a
 * parameter or that of a cursor.
 */
static double
rows_asked_for(PlannerInfo *root, IndexPath *path)
{
	RelOptInfo *rel = path->indexinfo->rel;
	double		passing = path->path.param_info ? path->path.param_info->ppi_rows : rel->rows;
	double		tuples = Max(path->indexinfo->tuples, 1);

	if (root->limit_tuples < 0 && root->tuple_fraction == 0)
		return tuples;
	if (root->limit_tuples < 0 || bms_membership(root->all_baserels) == BMS_MULTIPLE)
		return 0;
	return Min(tuples, root->limit_tuples * tuples / Max(passing, 1));
}

/* cost of the exact search: every row read, its distance computed and kept or not */
static double
exact_cost(PlannerInfo *root, IndexPath *path)
{
	RelOptInfo *rel = path->indexinfo->rel;
	QualCost	distance;
	double		page;

	cost_qual_eval(&distance, path->indexorderbys, root);
	get_tablespace_page_costs(rel->reltablespace, NULL, &page);
	return rel->pages * page +
		Max(rel->tuples, 1) * (cpu_tuple_cost + rel->baserestrictcost.per_tuple +
							   distance.per_tuple + 4 * cpu_operator_cost);
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
	double		first;
	double		most;
	double		rows;

	if (path->indexorderbys == NIL || am_asks_for_vector(path))
	{
		/* rows whose vector is NULL are not in it, and without order it reads all */
		*startup = NEVER;
		*total = NEVER;
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		path_disable_compat(&path->path, 2);
		return;
	}

	genericcostestimate(root, path, loop_count, &costs);

	shape_of_index(path->indexinfo->indexoid, &shape);
	shape.nodes = Max(path->indexinfo->tuples, 0);
	shape.pages = Max(path->indexinfo->pages, 1);
	shape.page_cost = page_cost(path->indexinfo->reltablespace, shape.pages, loop_count);

	/* bounds: rows wait for those behind them, so more are needed */
	shape.part = path->indexclauses == NIL ? 1 : Max(costs.indexSelectivity, 1e-9);
	first = path->indexclauses != NIL ? restricted_cost(&shape) :
		search_cost(&shape, hnsw_ef_search * (shape.recheck ? 2.2 : 1.1) + 4);

	/* a part of all is what will be asked for: all that there will be */
	most = hnsw_iterative_scan == HNSW_ITERATIVE_OFF ? hnsw_ef_search : hnsw_max_scan_tuples;
	rows = Max(shape.nodes * shape.part, 1);
	if (root->limit_tuples < 0 && root->tuple_fraction > 0)
		rows = Min(rows, most);

	*startup = costs.indexStartupCost + query_cost(&shape) + first;
	*total = *startup + all_rows_cost(&shape, rows, first) - first + rows * cpu_index_tuple_cost;

	/* "off" is a wish for no more than the first batch */
	if (hnsw_iterative_scan != HNSW_ITERATIVE_OFF && rows_asked_for(root, path) > most)
	{
		*startup += exact_cost(root, path);
		*total += exact_cost(root, path);
	}
	/*
	 * Rows that wait in the executor's queue lose their address in it, of which
	 * FOR UPDATE makes use: it would lock others.
	 */
	if (shape.recheck && root->parse->rowMarks != NIL)
	{
		*startup = *total = NEVER;
		path_disable_compat(&path->path, 3);
	}
	*selectivity = costs.indexSelectivity;
	*correlation = 0;
	*pages = shape.pages;
}

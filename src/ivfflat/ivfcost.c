/*-------------------------------------------------------------------------
 *
 * ivfcost.c
 *	  What a scan costs, told to the planner.
 *
 * From the size of the index, its options, the dimensions and settings: no
 * page is read, so damaged ones cannot disturb planning.
 *
 * The start-up cost is that of the first stage, the total that of returning
 * every row; for LIMIT the planner takes the share between them.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/genam.h"
#include "ivfflat/ivfbuild.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/* no plan is so bad that this one is not worse; finite, so that sums are */
#define NEVER	1e100

/*
 * In units of cpu_operator_cost, about 8 ns: reading a page that is in the
 * cache takes 0.25 us; multiplying 128 floats, or 512 bytes, or looking up the
 * bits of 1,500 dimensions, about as long as an operator.
 */
#define PAGE_OPERATORS		30.0
#define FLOATS_PER_OPERATOR	128.0
#define BYTES_PER_OPERATOR	512.0
#define BITS_PER_OPERATOR	1500.0
#define QUERY_OPERATORS		500.0

/* part of the pages that are cached, of an index no larger than the cache */
#define CACHED_PART			0.95

/* how often a list is read when all its rows are returned, about */
#define PASSES				3

/* records read before the first row can be returned */
#define FIRST_RECORDS		40.0

/* rows that qualify and are read before the first is returned, about */
#define ENOUGH_ROWS			400

/* testing the words of filter columns, by row and column */
#define FILTER_OPERATORS	0.1

/* what the estimate is made from */
typedef struct Shape
{
	double		rows;
	double		pages;
	double		lists;
	double		probes;
	double		center_operators;	/* to rank one list */
	double		row_operators;	/* to estimate one row */
	double		row_pages;		/* list, code or record pages read for that */
	double		record_operators;	/* to refine one row */
	double		record_pages;
	double		page_cost;		/* of one page, cached or not */
	bool		recheck;		/* rows are returned by lower bounds */
	double		words;			/* of filter columns that are tested */
	double		part;			/* of the rows that qualify */
} Shape;

/* from the catalogs and the settings */
static void
shape_of_index(Oid indexoid, Shape *shape)
{
	Relation	rel = index_open(indexoid, NoLock);
	const IvfOptions *options = (const IvfOptions *) rel->rd_options;
	const VecMetric *metric = am_metric(rel);
	int			typmod = TupleDescAttr(RelationGetDescr(rel), 0)->atttypmod;
	int			quantizer = options ? options->quantizer : -1;
	double		dim = typmod > 0 ? typmod : 100;
	double		value;

	if (metric->type->nnz != NULL)
		dim = Min(dim, 1000);
	value = dim / FLOATS_PER_OPERATOR + 1;
	shape->lists = options && options->lists > 0 ? options->lists : ivf_lists_for(shape->rows);
	shape->lists = Max(1, Min(shape->lists, shape->rows));
	shape->probes = Min(shape->lists, ivf_probes > 0 ? ivf_probes : ceil(sqrt(shape->lists)));

	if (metric->type->to_floats == NULL || metric->kind > VEC_METRIC_COSINE)
		quantizer = LIST_NONE;
	else if (quantizer < 0)
		quantizer = dim < 64 ? LIST_NONE : LIST_RABITQ;
	shape->recheck = quantizer != LIST_NONE && options != NULL && options->refine > REFINE_FULL;
	shape->center_operators = metric->type->to_floats == NULL ? value : dim / BITS_PER_OPERATOR;
	shape->record_operators = value;
	shape->record_pages = 1 + dim * sizeof(float) / BLCKSZ;
	switch (quantizer)
	{
		case LIST_RABITQ:
			shape->row_operators = dim / BITS_PER_OPERATOR;
			shape->row_pages = (dim / 8 + 20) / BLCKSZ;
			break;
		case LIST_INT8:
			shape->row_operators = dim / BYTES_PER_OPERATOR + 1;
			shape->row_pages = (dim + 20) / BLCKSZ;
			break;
		default:
			shape->row_operators = value;
			shape->row_pages = (dim * sizeof(float) + 20) / BLCKSZ;
			shape->record_operators = shape->record_pages = 0;
	}
	shape->row_pages += sizeof(uint64) * (double) (rel->rd_att->natts > 1 ? rel->rd_att->natts : 0)
		/ BLCKSZ;
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

/* cost of so many list pages and operators */
static double
cost_of(const Shape *shape, double pages, double operators)
{
	return Min(pages, shape->pages) * shape->page_cost +
		Max(0, pages - shape->pages) * PAGE_OPERATORS * cpu_operator_cost +
		operators * cpu_operator_cost;
}

/* cost of reading so many lists */
static double
lists_cost(const Shape *shape, double lists)
{
	double		rows = shape->rows / shape->lists * lists;
	double		blocks = 1 - pow(1 - shape->part, IVF_BLOCK_ROWS);	/* with any row */

	return cost_of(shape, lists + rows * shape->row_pages,
				   rows * (blocks * shape->row_operators + shape->words * FILTER_OPERATORS));
}

/* lists of the first stage: as many as it takes for enough rows that qualify */
static double
first_lists(const Shape *shape)
{
	double		rows = shape->rows / shape->lists * shape->part;

	if (shape->words == 0 || ivf_iterative_scan == IVF_ITERATIVE_OFF)
		return shape->probes;
	return Min(shape->lists, Max(shape->probes, ENOUGH_ROWS / Max(rows, 1e-6)));
}

/* no plan, or the last resort */
static void
never(IndexPath *path, Cost *startup, Cost *total)
{
	*startup = NEVER;
	*total = NEVER;
	path_disable_compat(&path->path, 2);
}

/*
 * ivfcostestimate
 *		amcostestimate.
 *
 * Reads catalogs, no page of the index.
 */
void
ivfcostestimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
				Cost *startup, Cost *total, Selectivity *selectivity,
				double *correlation, double *pages)
{
	GenericCosts costs = {0};
	Shape		shape = {0};
	double		first;
	double		records;
	double		rows;

	if (path->indexorderbys == NIL || am_asks_for_vector(path))
	{
		/* rows whose vector is NULL are not in it, and without order it reads all */
		never(path, startup, total);
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return;
	}

	genericcostestimate(root, path, loop_count, &costs);

	shape.rows = Max(path->indexinfo->tuples, 0);
	shape.pages = Max(path->indexinfo->pages, 1);
	shape.page_cost = page_cost(path->indexinfo->reltablespace, shape.pages, loop_count);
	shape_of_index(path->indexinfo->indexoid, &shape);
	shape.words = list_length(path->indexclauses);
	shape.part = shape.words > 0 ? costs.indexSelectivity : 1;
	shape.probes = first_lists(&shape);

	first = (QUERY_OPERATORS + shape.lists * shape.center_operators) * cpu_operator_cost +
		lists_cost(&shape, shape.probes);
	records = Min(FIRST_RECORDS, shape.rows * shape.part / shape.lists * shape.probes);
	first += cost_of(&shape, records * shape.record_pages, records * shape.record_operators);

	rows = shape.rows * shape.part;
	*startup = costs.indexStartupCost + first;
	*total = costs.indexStartupCost + first + PASSES * lists_cost(&shape, shape.lists) +
		cost_of(&shape, rows * shape.record_pages, rows * shape.record_operators) +
		rows * (cpu_index_tuple_cost + 2 * log2(Max(rows, 2)) * cpu_operator_cost);
	/* rows that wait in the executor's queue lose the address that locks need */
	if (shape.recheck && root->parse->rowMarks != NIL)
	{
		*startup = *total = NEVER;
		path_disable_compat(&path->path, 3);
	}
	*selectivity = costs.indexSelectivity;
	*correlation = 0;
	*pages = shape.pages;
}

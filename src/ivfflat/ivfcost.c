/*-------------------------------------------------------------------------
 *
 * ivfcost.c
 *	  What a scan costs, told to the planner.
 *
 * From the size of the index, its options, the dimensions and settings: no
 * page is read, so damaged ones cannot disturb planning.
 *
 * The start-up cost is that of the first stage and its first row.  What the rows
 * cost that the query will ask for depends on whether the first stage has them:
 * under strict_order, all other lists are soon read to the end for a few rows
 * more.  The total is chosen so that the share of it which the planner takes for
 * LIMIT comes to that.
 *
 * ../am/README.md ("Costs") has the measurements behind the constants.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/genam.h"
#include "am/am_cost.h"
#include "ivfflat/ivfbuild.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"

/*
 * In units of cpu_operator_cost, about 8 ns: multiplying 128 floats or 512 bytes
 * that were just read, or looking up the bits of 1,500 dimensions; making the
 * query; a row refined, put into the heap and taken out.
 */
#define FLOATS_PER_OPERATOR	128.0
#define BYTES_PER_OPERATOR	512.0
#define BITS_PER_OPERATOR	1500.0
#define QUERY_OPERATORS		500.0
#define ROW_OPERATORS		40.0

/* records read before the first row can be returned, and for each row more */
#define FIRST_RECORDS		15.0
#define MORE_RECORDS		1.2

/*
 * Rows of the first lists, as a part of so many average ones: queries tend to
 * fall into lists with more.  When half of them are returned as many lists are
 * read as there were: between twice and four times the rows that are returned.
 */
#define RETURNED_PART		1.2
#define READ_TIMES			3.0

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
	double		record_bytes;	/* to refine one row; 0: it was its own code */
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
	shape->record_bytes = dim * sizeof(float);
	if (shape->recheck)
		shape->record_bytes /= options->refine == REFINE_HALF ? 2 : 4;
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
			shape->record_bytes = 0;
	}
	shape->row_pages += sizeof(uint64) * (double) (rel->rd_att->natts > 1 ? rel->rd_att->natts : 0)
		/ BLCKSZ;
	index_close(rel, NoLock);
}

/* cost of so many pages, and operators */
static double
cost_of(const Shape *shape, double pages, double operators)
{
	return Min(pages, shape->pages) * shape->page_cost +
		(Max(0, pages - shape->pages) * AM_PAGE_OPERATORS + operators) * cpu_operator_cost;
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

/* cost of putting so many rows in order */
static double
refine_cost(const Shape *shape, double rows)
{
	double		bytes = shape->record_bytes;
	double		pages = bytes > 0 ? 1 + bytes / BLCKSZ : 0;

	return cost_of(shape, rows * pages,
				   rows * (ROW_OPERATORS + bytes / AM_BYTES_PER_OPERATOR));
}

/* cost of the first stage, and of so many of its rows */
static double
first_cost(const Shape *shape, double rows)
{
	double		all = shape->rows * shape->part / shape->lists * shape->probes;

	return (QUERY_OPERATORS + shape->lists * shape->center_operators) * cpu_operator_cost +
		lists_cost(shape, shape->probes) +
		refine_cost(shape, Min(FIRST_RECORDS + MORE_RECORDS * (rows - 1), all));
}

/* most rows that a scan returns by the settings */
static double
most_rows(const Shape *shape)
{
	double		lists = shape->probes;

	if (ivf_iterative_scan != IVF_ITERATIVE_OFF)
		lists = Min(Max(ivf_max_probes, lists), shape->lists);
	return shape->rows * shape->part / shape->lists * lists;
}

/* cost of so many rows */
static double
rows_cost(const void *arg, double rows)
{
	const Shape *shape = (const Shape *) arg;
	double		first = shape->rows * shape->part / shape->lists * shape->probes;
	double		most = most_rows(shape);
	double		out = rows * (shape->page_cost + cpu_index_tuple_cost);

	if (rows <= first * RETURNED_PART / 2 || most <= first)
		return out + first_cost(shape, rows);

	most = Max(Min(most, rows * READ_TIMES) - first, 0);
	return out + first_cost(shape, Min(rows, first)) +
		lists_cost(shape, most / (shape->rows * shape->part) * shape->lists) +
		refine_cost(shape, Max(rows - first, 0) * MORE_RECORDS);
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

	shape.rows = Max(path->indexinfo->tuples, 1);
	shape.pages = Max(path->indexinfo->pages, 1);
	shape.page_cost = am_random_page_cost(path->indexinfo->reltablespace, shape.pages, loop_count);
	shape_of_index(path->indexinfo->indexoid, &shape);
	shape.words = list_length(path->indexclauses);
	shape.part = shape.words > 0 ? Max(costs.indexSelectivity, 1e-9) : 1;
	shape.probes = first_lists(&shape);

	scan.part = shape.part;
	scan.most = most_rows(&shape);
	/* "off" is a wish for no more than the first stage */
	scan.complete = ivf_iterative_scan != IVF_ITERATIVE_OFF;
	scan.recheck = shape.recheck;
	scan.first = first_cost(&shape, 1);
	*startup = *total = costs.indexStartupCost;
	am_ordered_cost(root, path, &scan, startup, total);
	*selectivity = costs.indexSelectivity;
	*correlation = 0;
	*pages = shape.pages;
}

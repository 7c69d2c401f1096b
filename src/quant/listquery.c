/*-------------------------------------------------------------------------
 *
 * listquery.c
 *	  A query against blocks of list codes.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/list.h"

/*
 * Length added to that of q - center, per |q| + |center|, for the rigorous
 * bound: times CODE_SLACK (listcode.c) it makes 3.6e-5 of |q| f |y|, more than
 * all roundings of sums in a query, a list's place and the map.
 */
#define SEEN_SLACK		6e-3

/* rounding of a float sum of squares or products, on both sides, and as much again */
#define SUM_ERROR		2e-5

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static int
groups_of(int dim)
{
	return (dim + 3) / 4;
}

/*
 * list_query_size
 *		Bytes of a query with its arrays.
 */
size_t
list_query_size(const QuantModel *model, ListQuantizer quantizer)
{
	size_t		floats = align_up(((size_t) model->dim + 3) * sizeof(float));

	return align_up(sizeof(ListQuery)) + 2 * floats +
		align_up((size_t) groups_of(model->dim) * 16) +
		(quantizer == LIST_INT8 ? align_up((size_t) model->dim) : 0);
}

/*
 * list_query_init
 *		Lay a query out in memory; it serves any number of searches, one after
 *		another, and points to the model.
 */
ListQuery *
list_query_init(const QuantModel *model, ListQuantizer quantizer, void *memory)
{
	ListQuery  *query = memory;
	size_t		floats = align_up(((size_t) model->dim + 3) * sizeof(float));
	char	   *next = (char *) memory + align_up(sizeof(ListQuery));

	memset(query, 0, sizeof(*query));
	query->model = model;
	query->quantizer = quantizer;
	query->nav = (float *) (void *) next;
	query->seen = model->metric == QUANT_IP ? (float *) (void *) (next + floats) : query->nav;
	query->lut = (uint8_t *) next + 2 * floats;
	query->levels = (int8_t *) query->lut + align_up((size_t) groups_of(model->dim) * 16);
	query->table.dim = model->dim;
	query->table.ngroups = groups_of(model->dim);
	query->table.lut = query->lut;
	query->table.levels = query->levels;
	query->center_table = query->table;
	/* groups end beyond dim */
	memset(query->nav + model->dim, 0, 3 * sizeof(float));
	return query;
}

/*
 * For IP the query is not centred, and brought to the length that vectors
 * have, as what is estimated is the product of q - x with a residual; the
 * order by -<q, x> does not depend on it.
 */
static void
map_product_query(ListQuery *query, const float *q)
{
	const QuantModel *model = query->model;
	const float *mean = quant_nav_mean(model);
	double		length = sqrt(vec_kernels->normsq_f32(q, model->dim));
	double		wanted = sqrt(1 + (double) model->mean_norm * model->mean_norm);
	double		factor = length > 0 ? wanted / length : 1;

	for (int i = 0; i < model->dim; i++)
		query->nav[i] = (float) (q[i] * factor);
	rotate_apply(quant_signs(model), model->dim, query->nav);
	for (int i = 0; i < model->dim; i++)
		query->seen[i] = query->nav[i] - mean[i];
	query->mean_dot = vec_kernels->dot_f32(query->nav, mean, model->dim);
	query->unit = factor * model->scale;
	query->slack = (float) (1e-5 * wanted);
}

/* table entries: the sum of +-nav over each group of four, 8 bits each */
static void
make_lut(ListQuery *query)
{
	VecListTable *table = &query->center_table;
	int			ngroups = table->ngroups;
	float		widest = 0;
	double		sum = 0;
	float		inverse_step;

	for (int g = 0; g < ngroups; g++)
	{
		const float *x = query->nav + g * 4;
		float		width = fabsf(x[0]) + fabsf(x[1]) + fabsf(x[2]) + fabsf(x[3]);

		widest = width > widest ? width : widest;
		sum += width;
	}
	table->step = 2 * widest / 255;
	table->bias = (float) -sum;
	inverse_step = table->step > 0 ? 1 / table->step : 0;
	if (!isfinite(inverse_step))
		inverse_step = table->step = 0;

	for (int g = 0; g < ngroups; g++)
	{
		const float *x = query->nav + g * 4;
		uint8_t    *entry = query->lut + g * 16;
		float		value[16];

		/* all bits clear: every sign minus; half for rounding */
		value[0] = 0.5f;
		for (int i = 0; i < 4; i++)
			value[0] += (fabsf(x[i]) - x[i]) * inverse_step;
		for (int i = 0; i < 4; i++)
		{
			for (int j = 0; j < 1 << i; j++)
				value[j + (1 << i)] = value[j] + 2 * x[i] * inverse_step;
		}
		for (int j = 0; j < 16; j++)
		{
			int			level = (int) value[j];

			entry[j] = (uint8_t) (level < 0 ? 0 : level < 255 ? level : 255);
		}
	}

	/* half a step for each group, and 1 % for the rounding of it all */
	query->table_slack = table->step > 0 ? 0.505f * table->step * (float) ngroups :
		(float) (2 * sum);
}

/* the query itself in bytes, and how far they are from it */
static void
make_levels(ListQuery *query)
{
	int8_t	   *levels = query->levels;
	int			dim = query->model->dim;
	float		largest = 0;
	float		step;
	double		inverse;
	double		error = 0;
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		largest = fmaxf(largest, fabsf(query->nav[i]));
	step = largest / 127;
	inverse = step > 0 ? 1 / (double) step : 0;

	for (int i = 0; i < dim; i++)
	{
		double		level = floor(query->nav[i] * inverse + 0.5);
		double		rest;

		level = level < -127 ? -127 : level < 127 ? level : 127;
		levels[i] = (int8_t) level;
		sum += levels[i];
		rest = query->nav[i] - (double) step * level;
		error += rest * rest;
	}
	query->table.step = step;
	query->table.bias = (float) (-127.5 * step * sum);
	query->table_slack = (float) (sqrt(error) * 127.5 * sqrt((double) dim) * 1.001);
	/* levels of most vectors are some 40 away from their middle */
	query->table_spread = (float) (sqrt(error) * 40);
}

/*
 * list_query_set
 *		Prepare for the query vector q: dim finite floats.
 */
void
list_query_set(ListQuery *query, const float *q)
{
	query->unit = 1;
	if (query->model->metric == QUANT_IP)
		map_product_query(query, q);
	else
		query->slack = quant_map(query->model, q, query->nav);
	query->norm = (float) sqrt(vec_kernels->normsq_f32(query->nav, query->model->dim));
	make_lut(query);
	if (query->quantizer == LIST_INT8)
		make_levels(query);
	else
		query->table = query->center_table;
}

/*
 * list_center_distance
 *		List distance of a center, dim floats in nav space.
 */
float
list_center_distance(const ListQuery *query, const float *center)
{
	if (query->model->metric == QUANT_IP)
		return -(vec_kernels->dot_f32(query->nav, center, query->model->dim) + query->mean_dot);
	return vec_kernels->l2sq_f32(query->nav, center, query->model->dim);
}

/*
 * list_place
 *		Where the query stands to a list.
 *
 * epsilon is how many spreads of the estimate the lower bound takes off;
 * LIST_RIGOROUS makes it a bound that always holds (README.md).
 */
void
list_place(const ListQuery *query, const float *center, float epsilon, ListPlace *place)
{
	int			dim = query->model->dim;
	double		length;			/* of q - center */
	double		both;			/* at least |q| + |center| */

	place->distance = list_center_distance(query, center);
	length = query->model->metric == QUANT_IP ?
		sqrt(vec_kernels->l2sq_f32(query->seen, center, dim)) : sqrt(place->distance);

	place->at.base = place->distance;
	place->at.threshold = INFINITY;
	place->at.shift = 0;
	if (epsilon >= 0)
	{
		place->at.shift = epsilon * query->table_spread;
		place->at.radius = (float) (epsilon * length);
		return;
	}

	both = 2 * query->norm + length;
	if (query->model->metric == QUANT_IP)
		place->at.base -= (float) (2 * SUM_ERROR * query->norm * both);
	else
		place->at.base *= (float) (1 - SUM_ERROR);
	length = length * (1 + SUM_ERROR) + SEEN_SLACK * both + 1e-18;
	place->at.radius = (float) (length * sqrt(dim > 1 ? dim - 1 : 1));
	place->at.shift = query->table_slack;
	/* a query that had to be drawn in */
	if (!isfinite(query->slack))
		place->at.radius = INFINITY;
}

/*
 * list_to_sql
 *		SQL units of a list distance.
 */
double
list_to_sql(const ListQuery *query, float distance)
{
	if (query->model->metric == QUANT_IP)
		return distance / query->unit;
	return quant_to_sql(query->model, distance);
}

/*
 * list_bound_to_sql
 *		From a rigorous lower bound, a number the SQL distance is never below.
 */
double
list_bound_to_sql(const ListQuery *query, float lower)
{
	const QuantModel *model = query->model;
	double		d;

	if (model->metric == QUANT_IP)
		return lower < 3e38f ? lower / query->unit - 1e-33 : -INFINITY;
	d = lower > 0 && lower < 3e38f ? sqrt((double) lower) * (1 - 1e-6) - query->slack : 0;
	d = d > 0 ? d / model->scale * (1 - 1e-5) : 0;
	if (model->metric == QUANT_L2)
		return d;
	d = d * d / 2 - 1e-5;
	return d > 0 ? d : 0;
}

/*
 * list_threshold
 *		A list distance such that vectors whose lower bound is not below it are
 *		farther than this SQL distance.
 */
float
list_threshold(const ListQuery *query, double distance)
{
	const QuantModel *model = query->model;
	double		d;

	if (!(distance < INFINITY))
		return INFINITY;
	if (model->metric == QUANT_IP)
	{
		d = distance * query->unit;
		d += 1e-6 * fabs(d);
	}
	else
	{
		d = model->metric == QUANT_COSINE ? sqrt(2 * fmax(0, distance + 1e-5)) : distance;
		d = (d * (1 + 2e-5) * model->scale + query->slack) * (1 + 2e-6);
		d = d * d;
	}
	return d < 3e38 ? (float) (d + fabs(d) * 1e-7) : INFINITY;
}

/*
 * list_floats
 *		Plain distances of n rows of floats, "stride" floats apart: squared
 *		length for L2 and cosine (of rows of length 1), minus the product.
 */
void
list_floats(QuantMetric metric, const float *q, const float *rows, size_t stride, int n,
			int dim, float *distance)
{
	if (metric == QUANT_IP)
	{
		vec_kernels->dot_many_f32(q, rows, stride, n, dim, distance);
		for (int i = 0; i < n; i++)
			distance[i] = -distance[i];
	}
	else
		vec_kernels->l2sq_many_f32(q, rows, stride, n, dim, distance);
}

/*-------------------------------------------------------------------------
 *
 * query.c
 *	  A query against codes: estimated distances and rigorous lower bounds.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

#define UNIT		0x1p-24

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

/*
 * quant_query_size
 *		Bytes of a query with its arrays.
 */
size_t
quant_query_size(const QuantModel *model)
{
	return align_up(sizeof(QuantQuery)) + align_up((size_t) model->dim * sizeof(float)) +
		align_up((size_t) model->sketch_dims * sizeof(float)) +
		(size_t) sketch_groups(model) * 16;
}

/*
 * quant_query_init
 *		Lay a query out in memory; it serves any number of searches, one after
 *		another, and points to the model.
 */
QuantQuery *
quant_query_init(const QuantModel *model, void *memory)
{
	QuantQuery *query = memory;
	char	   *next = memory;

	memset(query, 0, sizeof(*query));
	query->model = model;
	next += align_up(sizeof(QuantQuery));
	query->nav = (float *) next;
	next += align_up((size_t) model->dim * sizeof(float));
	query->sketch = (float *) next;
	next += align_up((size_t) model->sketch_dims * sizeof(float));
	query->lut = (uint8_t *) next;
	return query;
}

/* for IP the query is not centred: nav = scale * R q */
static float
map_product_query(QuantQuery *query, const float *q)
{
	const QuantModel *model = query->model;
	double		normsq = 0;
	double		factor = model->scale;

	for (int i = 0; i < model->dim; i++)
		normsq += (double) q[i] * q[i] * model->scale * model->scale;
	/* order by -<q, x> does not depend on the length of q */
	if (normsq > 1e20)
		factor *= 1e10 / sqrt(normsq);

	for (int i = 0; i < model->dim; i++)
		query->nav[i] = (float) (q[i] * factor);
	rotate_apply(quant_signs(model), model->dim, query->nav);
	query->base = -vec_kernels->dot_f32(query->nav, quant_nav_mean(model), model->dim);
	return normsq > 1e20 ? INFINITY : (float) (1e-5 * sqrt(normsq) + 1e-37);
}

/*
 * quant_query_set
 *		Prepare for the query vector q: dim finite floats.
 */
void
quant_query_set(QuantQuery *query, const float *q)
{
	const QuantModel *model = query->model;
	double		sum = 0;

	query->base = 0;
	if (model->metric == QUANT_IP)
		query->slack = map_product_query(query, q);
	else
		query->slack = quant_map(model, q, query->nav);

	for (int i = 0; i < model->dim; i++)
		sum += query->nav[i];
	query->sum = (float) sum;
	query->norm = vec_kernels->normsq_f32(query->nav, model->dim);
	query->normsq = (float) query->norm;
	query->norm = sqrt(query->norm);
	sketch_set_query(query);
}

static float
levels_product(const QuantQuery *query, int bits, const uint8_t *levels)
{
	int			dim = query->model->dim;

	if (bits == 8)
		return vec_kernels->dot_u8_f32(levels, query->nav, dim) - 127.5f * query->sum;
	if (bits == 4)
		return vec_kernels->dot_u4_f32(levels, query->nav, dim) - 7.5f * query->sum;
	return vec_kernels->dot_u2_f32(levels, query->nav, dim) - 1.5f * query->sum;
}

/*
 * nav_distance
 *		Nav distance between the query and the vector behind a code.
 *
 * An estimate; exact but for rounding with 32 bits, whose codes must be
 * aligned for float.
 */
float
nav_distance(const QuantQuery *query, int bits, const uint8_t *code)
{
	const QuantModel *model = query->model;
	const uint8_t *levels = code + sizeof(NavHead);
	NavHead		head;
	float		dot;

	if (bits == 32 && model->metric != QUANT_IP)
		return vec_kernels->l2sq_f32(query->nav, (const float *) (const void *) levels,
									 model->dim);

	memcpy(&head, code, sizeof(head));
	if (bits == 32)
		dot = vec_kernels->dot_f32(query->nav, (const float *) (const void *) levels, model->dim);
	else
		dot = head.rescale * levels_product(query, bits, levels);

	return model->metric == QUANT_IP ? query->base - dot : query->normsq + head.normsq - 2 * dot;
}

/*
 * quant_to_sql
 *		SQL units of a nav distance.
 */
double
quant_to_sql(const QuantModel *model, float distance)
{
	double		d = distance / ((double) model->scale * model->scale);

	if (model->metric == QUANT_L2)
		return sqrt(d > 0 ? d : 0);
	return model->metric == QUANT_IP ? d : d / 2;
}

/*
 * quant_from_sql
 *		Nav distance, as quant_to_sql() takes it.
 */
double
quant_from_sql(const QuantModel *model, double distance)
{
	double		square = (double) model->scale * model->scale;

	if (model->metric == QUANT_L2)
		return distance * distance * square;
	return model->metric == QUANT_IP ? distance * square : 2 * distance * square;
}

/* the decoded vector's product with the query, and all that may be wrong in it */
static double
decoded_product(const QuantQuery *query, int bits, const uint8_t *code, const NavHead *head,
				double *length_squared, double *error)
{
	const uint8_t *levels = code + sizeof(NavHead);
	int			dim = query->model->dim;
	double		root = sqrt((double) dim);
	double		yy;
	double		center;
	double		dot = 0;

	if (bits == 32)
	{
		for (int i = 0; i < dim; i++)
		{
			float		x;

			memcpy(&x, levels + (size_t) i * sizeof(x), sizeof(x));
			dot += (double) x * query->nav[i];
		}
		*length_squared = head->normsq;
		*error = 1e-7 * sqrt((double) head->normsq) * query->norm;
		return dot;
	}

	center = ((1 << bits) - 1) * 0.5;
	if (bits == 8)
		yy = vec_kernels->dot_u8(levels, levels, dim);
	else
		yy = bits == 4 ? vec_kernels->dot_u4(levels, levels, dim) :
			vec_kernels->dot_u2(levels, levels, dim);
	yy += -2 * center * head->sum + center * center * dim;
	dot = (double) head->rescale * levels_product(query, bits, levels);
	*length_squared = (double) head->rescale * head->rescale * yy;

	/* a sum of at most dim / 2 terms in a row, of levels up to 2 * center */
	*error = (dim / 2 + 64) * UNIT * head->rescale * query->norm * 3 * center * root;
	return dot;
}

/*
 * nav_lower_bound
 *		A number the SQL distance between query and vector cannot be below.
 *
 * From |q - x| >= |q - x'| - |x - x'|, with x' the decoded vector, and
 * everything rounding may have done taken off; includes what the float
 * kernels behind the SQL operator may lose (README.md, "Bounds").
 */
double
nav_lower_bound(const QuantQuery *query, int bits, const uint8_t *code)
{
	const QuantModel *model = query->model;
	double		scale = model->scale;
	double		norm = query->norm;
	double		length_squared;
	double		error;
	double		dot;
	double		d;
	NavHead		head;

	memcpy(&head, code, sizeof(head));
	if (!isfinite(head.residual) || !isfinite(query->slack))
		return model->metric == QUANT_IP ? -INFINITY : 0;

	dot = decoded_product(query, bits, code, &head, &length_squared, &error);
	if (model->metric == QUANT_IP)
	{
		double		length = sqrt(length_squared) + head.residual + model->mean_norm;
		double		most = dot + error - query->base;

		most += norm * head.residual + (query->slack + 1e-5 * norm) * length;
		return -(most + 1e-5 * norm * length) / (scale * scale);
	}

	d = norm * norm + length_squared - 2 * (dot + error);
	d -= 1e-6 * (norm * norm + length_squared);
	d = (d > 0 ? sqrt(d) : 0) - head.residual - query->slack;
	d = d > 0 ? d / scale * (1 - 1e-5) : 0;
	if (model->metric == QUANT_L2)
		return d;

	/* SQL computes 1 - cosine by itself, with an error of its own */
	d = d * d / 2 - 1e-5;
	return d > 0 ? d : 0;
}

/*-------------------------------------------------------------------------
 *
 * sketch.c
 *	  Edge sketches: what a node knows of the nodes it links to.
 *
 * The difference e = v - u of a link from u to v, seen in a few coordinates,
 * quantised to two bits each (or one, untrained).  With y the centred levels,
 *
 *	|q - v|^2 = |q - u|^2 + |e|^2 - 2 <e, q - u>
 *	<e, q - u> is about |e|^2 / <y, e> * (<y, q> - <y, u>)
 *
 * so that "scale" = -2 |e|^2 / <y, e> and "offset" = |e|^2 - scale * <y, u>
 * leave only <y, q> to look up (after PEOs and SymphonyQG; README.md).  For
 * inner products -<q, v> = -<q, u> - <u, e> - <e, q - u>: half the scale, and
 * -<u, e>, known when the link is made, in the place of |e|^2.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

/* keeps an offset finite as a half; farther than anything worth a visit */
#define FARTHEST	60000.0f

/*
 * sketch_groups
 *		Groups of four bits in a sketch: two or four coordinates each.
 */
int
sketch_groups(const QuantModel *model)
{
	return model->sketch_dims * model->sketch_bits / 4;
}

/*
 * sketch_codes_size
 *		Bytes of the packed codes of nlinks links, a multiple of SKETCH_ALIGN.
 */
size_t
sketch_codes_size(const QuantModel *model, int nlinks)
{
	return (size_t) nlinks * (size_t) sketch_groups(model) / 2;
}

/*
 * sketch_project
 *		The sketched coordinates of a nav-space vector: sketch_dims floats.
 */
void
sketch_project(const QuantModel *model, const float *nav, float *coords)
{
	if (model->sketch_bits == 2)
		vec_kernels->dot_many_f16(nav, quant_directions(model), (size_t) model->dim,
								  model->sketch_dims, model->dim, coords);
	else
	{
		for (int i = 0; i < model->sketch_dims; i++)
			coords[i] = i < model->dim ? nav[i] : 0;
	}
}

/* to half, cut off where it would become infinite or NaN */
static vec_half
to_half(double x)
{
	float		f = x > FARTHEST ? FARTHEST : x < -FARTHEST ? -FARTHEST : (float) x;
	vec_half	result;

	vec_kernels->float_to_half(&f, &result, 1);
	return result;
}

/* how well two-bit levels of a step resemble e: the square of the cosine, times |e|^2 */
static double
resemblance(const float *e, int dims, float inverse_step)
{
	float		xy;
	float		yy;

	vec_kernels->fit_code_f32(e, dims, inverse_step, 2, &xy, &yy);
	return (double) xy * xy / yy;
}

/*
 * The inverse step for which two-bit levels resemble e best, of nine: the best
 * of every third, and then of those beside it.
 */
static float
best_inverse_step(const float *e, int dims, double normsq)
{
	static const float factor[9] = {
		1 / 0.75f, 1 / 0.825f, 1 / 0.9f, 1 / 0.975f, 1 / 1.05f, 1 / 1.125f, 1 / 1.2f, 1 / 1.275f,
		1 / 1.35f
	};
	float		gauss = (float) (1 / (0.996 * sqrt(normsq / dims)));
	double		most = -1;
	int			best = 4;
	int			middle;

	for (int i = 1; i < 9; i += 3)
	{
		double		x = resemblance(e, dims, gauss * factor[i]);

		if (x > most)
		{
			most = x;
			best = i;
		}
	}
	middle = best;
	for (int i = middle - 1; i <= middle + 1; i += 2)
	{
		double		x = resemblance(e, dims, gauss * factor[i]);

		if (x > most)
		{
			most = x;
			best = i;
		}
	}
	return gauss * factor[best];
}

/*
 * Levels of e into level[], centred ones into y[].  Each loop does one thing,
 * or the compiler takes one coordinate at a time.
 */
static void
quantise_two(const float *e, int dims, float inverse_step, uint8_t *level, float *y)
{
	int32_t		whole[QUANT_MAX_SKETCH];

	/* cut off as whole numbers, which fit: no coordinate is longer than e */
	for (int i = 0; i < dims; i++)
	{
		int32_t		x = (int32_t) (e[i] * inverse_step + 2);

		x = x > 0 ? x : 0;
		whole[i] = x < 3 ? x : 3;
	}
	for (int i = 0; i < dims; i++)
		y[i] = (float) whole[i] - 1.5f;
	for (int i = 0; i < dims; i++)
		level[i] = (uint8_t) whole[i];
}

/* the same with one bit a coordinate */
static void
quantise_one(const float *e, int dims, uint8_t *level, float *y)
{
	for (int i = 0; i < dims; i++)
	{
		level[i] = e[i] > 0;
		y[i] = (float) level[i] - 0.5f;
	}
}

/* levels of e; <y, e> and <y, u> */
static void
quantise(const QuantModel *model, const float *e, const float *from, double normsq,
		 uint8_t *level, double *ye, double *yu)
{
	float		y[QUANT_MAX_SKETCH];
	int			dims = model->sketch_dims;

	if (model->sketch_bits == 2)
		quantise_two(e, dims, best_inverse_step(e, dims, normsq), level, y);
	else
		quantise_one(e, dims, level, y);
	*ye = vec_kernels->dot_f32(y, e, dims);
	*yu = vec_kernels->dot_f32(y, from, dims);
}

/*
 * sketch_encode
 *		Sketch the link between two nodes.
 *
 * from and to are the sketched coordinates of both ends; nav_edge() gives the
 * rest.
 */
void
sketch_encode(const QuantModel *model, const float *from, const float *to,
			  NavEdge length, SketchEdge *edge)
{
	uint8_t		level[QUANT_MAX_SKETCH];
	float		e[QUANT_MAX_SKETCH];
	int			ngroups = sketch_groups(model);
	double		normsq = 0;
	double		ye;
	double		yu;
	double		scale;

	for (int i = 0; i < model->sketch_dims; i++)
		e[i] = to[i] - from[i];
	normsq = vec_kernels->normsq_f32(e, model->sketch_dims);

	if (normsq > 1e-20 && normsq < 1e20)
	{
		quantise(model, e, from, normsq, level, &ye, &yu);
		scale = length.length_squared / ye;
	}
	else
	{
		/* no direction to tell: the link's length must do */
		memset(level, 0, sizeof(level));
		scale = 0;
		yu = 0;
	}

	if (model->metric == QUANT_IP)
	{
		edge->scale = to_half(-scale);
		edge->offset = to_half(-length.along + scale * yu);
	}
	else
	{
		edge->scale = to_half(-2 * scale);
		edge->offset = to_half(length.length_squared + 2 * scale * yu);
	}

	if (model->sketch_bits == 2)
	{
		for (int g = 0; g < ngroups; g++)
			edge->group[g] = (uint8_t) (level[2 * g] | level[2 * g + 1] << 2);
	}
	else
	{
		for (int g = 0; g < ngroups; g++)
			edge->group[g] = (uint8_t) (level[4 * g] | level[4 * g + 1] << 1 |
										level[4 * g + 2] << 2 | level[4 * g + 3] << 3);
	}
}

/* put four bits into the low or high half of a byte */
static inline void
put_nibble(uint8_t *byte, bool high, uint8_t value)
{
	*byte = high ? (uint8_t) ((*byte & 0x0f) | value << 4) : (uint8_t) ((*byte & 0xf0) | value);
}

/*
 * sketch_put
 *		Write one link's groups into the packed codes of a node, in the order
 *		scan_links reads (kernels_codes_tmpl.h); other links are not touched.
 */
void
sketch_put(uint8_t *codes, int ngroups, int nlinks, int link, const uint8_t *group)
{
	uint8_t    *block = codes + (size_t) (link / 16) * (size_t) ngroups * 8;
	bool		paired = link < nlinks / 16 * 16;
	int			parts = paired ? 2 : 4;
	int			part = ngroups / parts;

	for (int p = 0; p < parts; p++)
	{
		uint8_t    *to = block + (paired ? link % 16 : link % 8 + p % 2 * 8);

		for (int g = 0; g < part; g++)
			put_nibble(to + (size_t) g * 16, p >= parts / 2, group[p * part + g]);
	}
}

/* what each value of a group adds to <levels, q>, 16 floats; returns the least */
static float
group_values(const float *q, int bits, float *value)
{
	float		least = value[0] = 0;

	if (bits == 2)
	{
		for (int i = 0; i < 16; i++)
			value[i] = (float) (i & 3) * q[0] + (float) (i >> 2) * q[1];
		least = 3 * (q[0] < 0 ? q[0] : 0) + 3 * (q[1] < 0 ? q[1] : 0);
	}
	else
	{
		for (int i = 0; i < 16; i++)
			value[i] = (float) (i & 1) * q[0] + (float) (i >> 1 & 1) * q[1] +
				(float) (i >> 2 & 1) * q[2] + (float) (i >> 3) * q[3];
		for (int i = 0; i < 4; i++)
			least += q[i] < 0 ? q[i] : 0;
	}
	return least;
}

/* a query for inner products is not centred, what sketches are seen from is */
static void
subtract_mean(QuantQuery *query)
{
	float		mean[QUANT_MAX_SKETCH];

	sketch_project(query->model, quant_nav_mean(query->model), mean);
	for (int i = 0; i < query->model->sketch_dims; i++)
		query->sketch[i] -= mean[i];
}

/*
 * sketch_set_query
 *		Fill the query's table from its nav-space vector.
 *
 * Entries are quantised to eight bits with one step for all groups.
 */
void
sketch_set_query(QuantQuery *query)
{
	const QuantModel *model = query->model;
	int			bits = model->sketch_bits;
	int			ngroups = sketch_groups(model);
	int			per_group = bits ? 4 / bits : 0;
	float		top = (float) ((1 << bits) - 1);
	float		widest = 1e-30f;
	float		least = 0;
	float		sum = 0;
	float		inverse_step;

	query->table.lut = query->lut;
	query->table.ngroups = ngroups;
	if (ngroups == 0)
		return;

	sketch_project(model, query->nav, query->sketch);
	if (model->metric == QUANT_IP)
		subtract_mean(query);
	for (int g = 0; g < ngroups; g++)
	{
		float		width = 0;

		for (int i = g * per_group; i < (g + 1) * per_group; i++)
		{
			width += top * fabsf(query->sketch[i]);
			sum += query->sketch[i];
		}
		widest = width > widest ? width : widest;
	}

	inverse_step = 255 / widest;
	for (int g = 0; g < ngroups; g++)
	{
		float		value[16];
		float		low = group_values(query->sketch + g * per_group, bits, value);
		uint8_t    *entry = query->lut + g * 16;

		/* the same additions gave "low" and the least value, but not in one order */
		for (int i = 0; i < 16; i++)
		{
			float		x = (value[i] - low) * inverse_step + 0.5f;

			x = x > 0 ? x : 0;
			entry[i] = (uint8_t) (int) (x < 255 ? x : 255);
		}
		least += low;
	}
	query->table.step = widest / 255;
	query->table.bias = least - sum * top / 2;
}

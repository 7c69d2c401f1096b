/*-------------------------------------------------------------------------
 *
 * navcode.c
 *	  Nav codes: scalar quantisation of a nav-space vector, and distances
 *	  between codes.
 *
 * Levels u of B bits stand for y = u - (2^B - 1) / 2.  The step is chosen per
 * vector so that y points as nearly as possible in the direction of x; with
 * rescale = |x|^2 / <y, x>, rescale * <y, q> estimates <x, q> without bias
 * over the random rotation (RaBitQ: Gao and Long, SIGMOD 2024; more bits:
 * Gao et al., SIGMOD 2025).
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

/* half a unit in the last place of 1.0f */
#define UNIT		0x1p-24

/* levels made in one go, and parts in which sums are kept */
#define BLOCK		64
#define LANES		4

/* what a step multiplies, so that y = u - center */
static double
center_of(int bits)
{
	return ((1 << bits) - 1) * 0.5;
}

static inline NavHead
read_head(const uint8_t *code)
{
	NavHead		head;

	memcpy(&head, code, sizeof(head));
	return head;
}

/*
 * nav_code_size
 *		Bytes of a nav code with its head.
 */
size_t
nav_code_size(int dim, int bits)
{
	size_t		per_byte = 8 / (size_t) (bits < 8 ? bits : 8);

	if (bits == 32)
		return sizeof(NavHead) + (size_t) dim * sizeof(float);
	return sizeof(NavHead) + ((size_t) dim + per_byte - 1) / per_byte;
}

/*
 * The inverse step for which the levels resemble x best.  The search starts
 * from the step that is best for a Gaussian of the same spread.
 */
static float
best_inverse_step(const float *x, int dim, int bits, double norm)
{
	static const float gauss_step[9] = {0, 0, 0.996f, 0, 0.335f, 0, 0, 0, 0.0308f};
	int			trials = bits == 8 ? 7 : 9;
	double		first = bits == 8 ? 0.8 : 0.75;
	double		last = bits == 8 ? 1.6 : 1.35;
	double		spread = norm / sqrt((double) dim);
	float		best = 0;
	double		best_cosine = -1;

	for (int i = 0; i < trials; i++)
	{
		double		factor = first + (last - first) * i / (trials - 1);
		float		inverse_step = (float) (1 / (gauss_step[bits] * spread * factor));
		float		xy;
		float		yy;
		double		cosine;

		vec_kernels->fit_code_f32(x, dim, inverse_step, bits, &xy, &yy);
		cosine = xy / sqrt((double) yy);
		if (cosine > best_cosine)
		{
			best_cosine = cosine;
			best = inverse_step;
		}
	}
	return best;
}

static int
level_for(float x, float inverse_step, int bits)
{
	float		half = (float) (1 << (bits - 1));
	float		level = x * inverse_step + half;

	level = level > 0 ? level : 0;
	level = level < 2 * half - 1 ? level : 2 * half - 1;
	return (int) level;
}

/*
 * Levels of some of x into level[], their sum added to *sum, and what the head
 * is made of to dot[] and total[], by lanes; n is at most BLOCK.
 */
static inline void
block_levels(const float *x, int n, float inverse_step, int bits, int32_t *level, int32_t *sum,
			 double *dot, double *total)
{
	int32_t		all = 0;
	int			i;

	for (i = 0; i < n; i++)
		level[i] = level_for(x[i], inverse_step, bits);
	for (i = 0; i < n; i++)
		all += level[i];
	for (i = 0; i + LANES <= n; i += LANES)
	{
		for (int j = 0; j < LANES; j++)
		{
			dot[j] += (double) x[i + j] * level[i + j];
			total[j] += x[i + j];
		}
	}
	for (; i < n; i++)
	{
		dot[0] += (double) x[i] * level[i];
		total[0] += x[i];
	}
	*sum += all;
}

/* write the levels of x and return the sums the head is made of */
static void
write_levels(const float *x, int dim, float inverse_step, int bits, uint8_t *levels,
			 int32_t *sum, double *xy)
{
	int			per_byte = 8 / bits;
	int			part = (dim + per_byte - 1) / per_byte;
	double		dot[LANES] = {0};
	double		total[LANES] = {0};

	memset(levels, 0, (size_t) part);
	*sum = 0;
	for (int start = 0, shift = 0; start < dim; start += part, shift += bits)
	{
		int			end = dim - start < part ? dim - start : part;

		for (int first = 0; first < end; first += BLOCK)
		{
			int			n = end - first < BLOCK ? end - first : BLOCK;
			int32_t		level[BLOCK];

			block_levels(x + start + first, n, inverse_step, bits, level, sum, dot, total);
			for (int i = 0; i < n; i++)
				levels[first + i] = (uint8_t) (levels[first + i] | level[i] << shift);
		}
	}
	for (int j = 1; j < LANES; j++)
	{
		dot[0] += dot[j];
		total[0] += total[j];
	}
	*xy = dot[0] - center_of(bits) * total[0];
}

static int32_t
levels_dot(const uint8_t *a, const uint8_t *b, int dim, int bits)
{
	if (bits == 8)
		return vec_kernels->dot_u8(a, b, dim);
	return bits == 4 ? vec_kernels->dot_u4(a, b, dim) : vec_kernels->dot_u2(a, b, dim);
}

/* <y_a, y_b>, exact: in whole numbers, for twice the center is one */
static inline double
centered_dot(const uint8_t *a, const uint8_t *b, int32_t sum_a, int32_t sum_b, int dim, int bits)
{
	int64_t		twice = (1 << bits) - 1;
	int64_t		dot = bits == 8 ? vec_kernels->dot_u8(a, b, dim) : levels_dot(a, b, dim, bits);

	return (double) (4 * dot - 2 * twice * ((int64_t) sum_a + sum_b) + twice * twice * dim) * 0.25;
}

/*
 * nav_fit
 *		Levels of x for 8 bits or fewer, and normsq, rescale and sum of a head;
 *		the length of what they leave of x is returned.
 *
 * "levels" has nav_code_size() less the head.
 */
double
nav_fit(const float *x, int dim, int bits, NavHead *head, uint8_t *levels)
{
	double		normsq = vec_kernels->normsq_f32(x, dim);
	double		xy;
	double		yy;
	double		rest;

	memset(head, 0, sizeof(*head));
	if (normsq < 1e-30)
	{
		/* nothing to tell: all levels zero */
		memset(levels, 0, nav_code_size(dim, bits) - sizeof(*head));
		return sqrt(normsq);
	}
	write_levels(x, dim, best_inverse_step(x, dim, bits, sqrt(normsq)), bits, levels, &head->sum,
				 &xy);
	yy = centered_dot(levels, levels, head->sum, head->sum, dim, bits);
	head->normsq = (float) normsq;
	head->rescale = (float) (normsq / xy);

	/* |x - rescale * y|^2; what rounding may add is some 1e-13 of normsq */
	rest = normsq - 2.0 * head->rescale * xy + (double) head->rescale * head->rescale * yy;
	return sqrt((rest > 0 ? rest : 0) + 1e-12 * normsq);
}

/*
 * nav_encode
 *		Encode a nav-space vector of at most the length quant_map() gives.
 *
 * slack is what quant_map() returned with it.  "code" has nav_code_size()
 * bytes, at any alignment.
 */
void
nav_encode(const QuantModel *model, int bits, const float *nav, float slack, uint8_t *code)
{
	NavHead		head = {0};
	uint8_t    *levels = code + sizeof(head);
	int			dim = model->dim;

	if (bits == 32)
	{
		head.normsq = (float) vec_kernels->normsq_f32(nav, dim);
		head.residual = slack;
		head.rescale = 1;
		memcpy(levels, nav, (size_t) dim * sizeof(float));
	}
	else
	{
		double		rest = nav_fit(nav, dim, bits, &head, levels);

		head.residual = (float) ((rest + slack) * (1 + 4 * UNIT));
	}
	if (model->metric == QUANT_IP)
		head.mean_dot = vec_kernels->dot_f32(quant_nav_mean(model), nav, dim);
	memcpy(code, &head, sizeof(head));
}

/*
 * nav_decode
 *		The nav-space vector a code stands for: dim floats.
 */
void
nav_decode(const QuantModel *model, int bits, const uint8_t *code, float *nav)
{
	NavHead		head = read_head(code);
	const uint8_t *levels = code + sizeof(head);
	int			dim = model->dim;
	int			per_byte = 8 / (bits < 8 ? bits : 8);
	int			part = (dim + per_byte - 1) / per_byte;
	int			mask = bits < 32 ? (1 << bits) - 1 : 0;
	float		center = bits < 32 ? (float) center_of(bits) : 0;

	if (bits == 32)
	{
		memcpy(nav, levels, (size_t) dim * sizeof(float));
		return;
	}
	for (int start = 0, shift = 0; start < dim; start += part, shift += bits)
	{
		int			n = dim - start < part ? dim - start : part;

		for (int i = 0; i < n; i++)
			nav[start + i] = ((float) (levels[i] >> shift & mask) - center) * head.rescale;
	}
}

/* estimated inner product of the nav-space vectors behind two codes */
static inline float
nav_product(int dim, int bits, const NavHead *ha, const NavHead *hb,
			const uint8_t *a, const uint8_t *b)
{
	double		dot = centered_dot(a + sizeof(NavHead), b + sizeof(NavHead),
								   ha->sum, hb->sum, dim, bits);

	return (float) (dot * ha->rescale * hb->rescale);
}

/* levels of a 32-bit code, copied where the page does not align them */
static inline const float *
raw_levels(const uint8_t *code)
{
	return (const float *) (const void *) (code + sizeof(NavHead));
}

/*
 * nav_edge
 *		Estimated geometry of a link between two vectors.
 *
 * Codes of 32 bits must be aligned for float.
 */
NavEdge
nav_edge(const QuantModel *model, int bits, const uint8_t *from, const uint8_t *to)
{
	NavHead		u = read_head(from);
	NavHead		v = read_head(to);
	NavEdge		edge = {0, 0};

	if (bits == 32)
		edge.length_squared = vec_kernels->l2sq_f32(raw_levels(from), raw_levels(to), model->dim);
	else
		edge.length_squared = u.normsq + v.normsq -
			2 * nav_product(model->dim, bits, &u, &v, from, to);
	if (!(edge.length_squared > 0))
		edge.length_squared = 0;

	/* <u, v - u> from the three lengths */
	if (model->metric == QUANT_IP)
		edge.along = (v.normsq - u.normsq - edge.length_squared) / 2 + v.mean_dot - u.mean_dot;
	return edge;
}

/*
 * nav_edge_from_origin
 *		Geometry of a link from the origin of nav space, the mean, to a vector.
 */
NavEdge
nav_edge_from_origin(const uint8_t *to)
{
	NavHead		head = read_head(to);
	NavEdge		edge = {head.normsq, head.mean_dot};

	return edge;
}

/*
 * nav_pair
 *		Estimated nav distance of two vectors; see nav_edge().
 *
 * Not cut off at zero: among near vectors the estimate's order still tells.
 */
float
nav_pair(const QuantModel *model, int bits, const uint8_t *a, const uint8_t *b)
{
	NavHead		ha = read_head(a);
	NavHead		hb = read_head(b);
	float		dot;

	if (bits == 32 && model->metric != QUANT_IP)
		return vec_kernels->l2sq_f32(raw_levels(a), raw_levels(b), model->dim);

	dot = bits == 32 ? vec_kernels->dot_f32(raw_levels(a), raw_levels(b), model->dim) :
		nav_product(model->dim, bits, &ha, &hb, a, b);
	if (model->metric == QUANT_IP)
		return -(model->mean_norm * model->mean_norm + ha.mean_dot + hb.mean_dot + dot);
	return ha.normsq + hb.normsq - 2 * dot;
}

/*
 * nav_equal
 *		Whether two codes are the same: then, and only then, may the vectors be.
 */
bool
nav_equal(const QuantModel *model, int bits, const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, nav_code_size(model->dim, bits)) == 0;
}

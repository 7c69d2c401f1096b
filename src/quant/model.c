/*-------------------------------------------------------------------------
 *
 * model.c
 *	  The model: its layout in bytes, its untrained form, its check, and the
 *	  map from a vector into nav space.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

#define MODEL_MAGIC		UINT32_C(0x56514d31)
#define MODEL_VERSION	1

/* beyond this length a vector is drawn in, so that no square overflows */
#define LONGEST			1e15

/*
 * Rounding of the map, relative to the length of its result: 4 rounds of at
 * most 14 additions and 4 products, half a unit each, and as much again.
 */
#define MAP_ERROR		1e-5

static int
round_up(int n, int multiple)
{
	return (n + multiple - 1) / multiple * multiple;
}

static int
default_nav_bits(int dim)
{
	if (dim <= 32)
		return 32;
	if (dim <= 256)
		return 8;
	/* half a page: the links need the other half */
	return dim <= 8192 ? 4 : 2;
}

/*
 * quant_config_ok
 *		Whether the options are within their limits.
 */
bool
quant_config_ok(const QuantConfig *config)
{
	int			bits = config->nav_bits;

	return config->dim >= 1 && config->dim <= QUANT_MAX_DIM &&
		(config->metric == QUANT_L2 || config->metric == QUANT_IP ||
		 config->metric == QUANT_COSINE) &&
		(bits == 0 || bits == 2 || bits == 4 || bits == 8 || bits == 32) &&
		config->sketch_dims >= -1 && config->sketch_dims <= QUANT_MAX_SKETCH / 2;
}

/* bytes of everything but the directions */
static size_t
fixed_size(int dim)
{
	return sizeof(QuantModel) + (size_t) dim * 2 * sizeof(float) +
		(rotate_signs_size(dim) + 3) / 4 * 4;
}

/*
 * quant_model_max_size
 *		Bytes to reserve for a model, trained or not; its field "size" then
 *		tells how many are used.
 */
size_t
quant_model_max_size(const QuantConfig *config)
{
	return fixed_size(config->dim) +
		(size_t) QUANT_MAX_SKETCH / 2 * (size_t) config->dim * sizeof(vec_half);
}

/*
 * quant_model_init
 *		Make an untrained model, for a table without rows to learn from.
 *
 * The mean is zero.  "first", which may be NULL, is some vector of the data:
 * its length sets the scale.  The memory has quant_model_max_size() bytes.
 */
void
quant_model_init(QuantModel *model, const QuantConfig *config, const float *first)
{
	int			dim = config->dim;

	memset(model, 0, fixed_size(dim));
	model->magic = MODEL_MAGIC;
	model->version = MODEL_VERSION;
	model->size = (uint32_t) fixed_size(dim);
	model->dim = dim;
	model->metric = (int32_t) config->metric;
	model->nav_bits = config->nav_bits ? config->nav_bits : default_nav_bits(dim);
	model->seed = config->seed;
	model->scale = 1;
	model->mean_offset = sizeof(QuantModel);
	model->signs_offset = model->mean_offset + (uint32_t) ((size_t) dim * 2 * sizeof(float));
	rotate_make_signs(config->seed, dim, (uint8_t *) model + model->signs_offset);

	if (config->sketch_dims >= 0)
	{
		int			dims = config->sketch_dims ? config->sketch_dims : (dim <= 128 ? 64 : 96);

		/* without training one bit on twice as many coordinates is better */
		model->sketch_bits = 1;
		model->sketch_dims = round_up(dims * 2 < dim ? dims * 2 : dim, 16);
	}

	if (first != NULL && config->metric != QUANT_COSINE)
	{
		double		length = sqrt(vec_kernels->normsq_f32(first, dim));

		if (length > 1e-30 && length < 1e30)
			model->scale = (float) (1 / length);
	}
}

/*
 * quant_model_check
 *		Whether bytes from a page are a model this code can use.
 *
 * Every field that another function relies on is verified, so that damaged
 * bytes can give wrong distances but no access outside the model.
 */
bool
quant_model_check(const void *bytes, size_t size)
{
	const QuantModel *model = bytes;
	QuantConfig config;
	size_t		expected;

	if (size < sizeof(QuantModel) || model->magic != MODEL_MAGIC ||
		model->version != MODEL_VERSION || model->size != size)
		return false;

	config.dim = model->dim;
	config.metric = (QuantMetric) model->metric;
	config.nav_bits = model->nav_bits;
	config.sketch_dims = 0;
	if (!quant_config_ok(&config) || model->nav_bits == 0)
		return false;

	expected = fixed_size(model->dim);
	if (model->mean_offset != sizeof(QuantModel) ||
		model->signs_offset != sizeof(QuantModel) + (size_t) model->dim * 2 * sizeof(float))
		return false;

	if (model->sketch_bits == 2)
	{
		if (model->sketch_dims < 8 || model->sketch_dims > QUANT_MAX_SKETCH / 2 ||
			model->sketch_dims % 8 != 0 || model->directions_offset != expected)
			return false;
		expected += (size_t) model->sketch_dims * (size_t) model->dim * sizeof(vec_half);
	}
	else if (model->directions_offset != 0)
		return false;
	else if (model->sketch_bits == 1)
	{
		if (model->sketch_dims < 16 || model->sketch_dims > QUANT_MAX_SKETCH ||
			model->sketch_dims % 16 != 0)
			return false;
	}
	else if (model->sketch_bits != 0 || model->sketch_dims != 0)
		return false;

	return size == expected && model->scale > 0 && model->scale <= 3.4e38f;
}

/* bring a vector too long for float squares to length LONGEST, in double */
static void
map_long(const QuantModel *model, const float *x, double inverse_length, float *nav)
{
	const float *mean = quant_mean(model);
	double		largest = 0;

	for (int i = 0; i < model->dim; i++)
		largest = fmax(largest, fabs(x[i] * inverse_length - (double) mean[i]));
	for (int i = 0; i < model->dim; i++)
		nav[i] = (float) ((x[i] * inverse_length - (double) mean[i]) / largest *
						  (LONGEST / sqrt((double) model->dim)));
}

/*
 * quant_map
 *		Map x, dim finite floats, into nav space; "nav" has dim floats and may
 *		be x itself.
 *
 * Returns a bound for the length of the difference between nav and the exact
 * image.  It is infinite where the vector had to be drawn in to keep squares
 * finite: such a code still finds its neighbours but bounds nothing.
 */
float
quant_map(const QuantModel *model, const float *x, float *nav)
{
	const float *mean = quant_mean(model);
	int			dim = model->dim;
	double		inverse_length = 1;
	double		normsq = vec_kernels->normsq_f32(x, dim);
	double		input = sqrt(normsq);
	float		factor;

	if (model->metric == QUANT_COSINE)
	{
		inverse_length = normsq > 0 ? 1 / input : 0;
		input = 1;
	}
	factor = (float) inverse_length;

	if (normsq < 1e30 && (normsq > 1e-30 || normsq == 0))
	{
		for (int i = 0; i < dim; i++)
			nav[i] = (x[i] * factor - mean[i]) * model->scale;
	}
	else
	{
		for (int i = 0; i < dim; i++)
			nav[i] = (float) ((x[i] * inverse_length - (double) mean[i]) * model->scale);
	}

	normsq = vec_kernels->normsq_f32(nav, dim);
	if (!(normsq <= LONGEST * LONGEST))
	{
		/* x may be nav, overwritten: then its direction is lost, not its length */
		if (x != nav)
			map_long(model, x, inverse_length, nav);
		else
		{
			for (int i = 0; i < dim; i++)
				nav[i] = (float) (LONGEST / sqrt((double) dim));
		}
		rotate_apply(quant_signs(model), dim, nav);
		return INFINITY;
	}

	rotate_apply(quant_signs(model), dim, nav);
	return (float) (MAP_ERROR * sqrt(normsq) +
					4e-7 * ((double) model->scale * input + (double) model->mean_norm) + 1e-37);
}

/*-------------------------------------------------------------------------
 *
 * pca.c
 *	  Training: mean, scale and leading directions from a sample.
 *
 * The directions come from subspace iteration on the sample itself, never a
 * covariance matrix: dim x dim would be a gigabyte at 16,000 dimensions.
 * Time and memory are bounded by the constants below, whatever dim is.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

#define SAMPLE_FLOATS	(4 * 1024 * 1024)	/* rows times dim at most */
#define SAMPLE_ROWS		20000	/* and rows */
#define MIN_ROWS		256		/* fewer teach nothing */
#define EXTRA			16		/* directions iterated beyond those kept */
#define ITERATIONS		2
#define BLOCK			8		/* rows that stay in the first cache */

#define EDGE_ROWS		200		/* rows whose nearest other row makes an edge */
#define EDGE_OTHERS		2000

/*
 * Of an edge in the sample, whose rows lie farther apart than a graph's
 * neighbours.  Text with 0.55 searches as fast with 96 directions as with
 * 160, in two thirds of the bytes (README.md).
 */
#define ENOUGH_ENERGY	0.5
#define MOST_SKETCH		(QUANT_MAX_SKETCH / 2)

typedef struct Training
{
	QuantModel *model;
	const float *rows;			/* in nav space */
	int			nrows;
	int			dim;
	int			ndirections;	/* kept; ndirections + EXTRA are iterated */
	float	   *current;		/* directions, orthonormal rows */
	float	   *next;
	void		(*tick) (void);
} Training;

static int
round_up(int n, int multiple)
{
	return (n + multiple - 1) / multiple * multiple;
}

/* directions to compute: the most that may be chosen later */
static int
directions_wanted(const QuantConfig *config)
{
	int			most = config->sketch_dims;

	if (most < 0)
		return 0;
	if (most == 0)
		most = config->dim <= 128 ? 64 : MOST_SKETCH;
	most = round_up(most, 8);
	return most < config->dim ? most : config->dim;
}

static int
directions_iterated(const QuantConfig *config)
{
	int			n = directions_wanted(config);

	return n + EXTRA < config->dim ? n + EXTRA : (n ? config->dim : 0);
}

/*
 * quant_sample_rows
 *		Rows a sample should have: more are not worth their time.
 */
int
quant_sample_rows(const QuantConfig *config)
{
	int			rows = SAMPLE_FLOATS / config->dim;

	return rows < SAMPLE_ROWS ? rows : SAMPLE_ROWS;
}

/*
 * quant_train_scratch
 *		Bytes of scratch memory quant_train() wants.
 */
size_t
quant_train_scratch(const QuantConfig *config)
{
	size_t		directions = (size_t) directions_iterated(config) * (size_t) config->dim;

	return 2 * directions * sizeof(float) + (size_t) config->dim * sizeof(double) +
		(size_t) MOST_SKETCH * sizeof(float) * 4;
}

static void
normalise(float *x, int dim)
{
	double		normsq = vec_kernels->normsq_f32(x, dim);
	double		factor = normsq > 0 ? 1 / sqrt(normsq) : 0;

	for (int i = 0; i < dim; i++)
		x[i] = (float) (x[i] * factor);
}

/* mean and scale of the sample, into the model */
static void
learn_mean(QuantModel *model, const float *sample, int nrows, double *sum)
{
	float	   *mean = (float *) ((char *) model + model->mean_offset);
	float	   *nav_mean = mean + model->dim;
	int			dim = model->dim;
	double		spread = 0;
	double		length;

	memset(sum, 0, (size_t) dim * sizeof(double));
	for (int r = 0; r < nrows; r++)
	{
		for (int i = 0; i < dim; i++)
			sum[i] += sample[(size_t) r * (size_t) dim + (size_t) i];
	}
	for (int i = 0; i < dim; i++)
		mean[i] = (float) (sum[i] / nrows);

	for (int r = 0; r < nrows; r++)
	{
		for (int i = 0; i < dim; i++)
		{
			double		d = (double) sample[(size_t) r * (size_t) dim + (size_t) i] - mean[i];

			spread += d * d;
		}
	}
	length = sqrt(spread / nrows);
	model->scale = length > 1e-30 && length < 1e30 ? (float) (1 / length) : 1;

	for (int i = 0; i < dim; i++)
		nav_mean[i] = mean[i] * model->scale;
	rotate_apply(quant_signs(model), dim, nav_mean);
	model->mean_norm = (float) sqrt(vec_kernels->normsq_f32(nav_mean, dim));
}

/*
 * Make the rows of "next" orthonormal, each against those before it, twice
 * for accuracy.  A row that vanishes is what the sample does not span: zero.
 */
static void
orthonormalise(Training *t, int n)
{
	size_t		dim = (size_t) t->dim;

	for (int r = 0; r < n; r++)
	{
		float	   *row = t->next + (size_t) r * dim;
		double		before = vec_kernels->normsq_f32(row, t->dim);
		double		normsq;

		normalise(row, t->dim);
		for (int pass = 0; pass < 2; pass++)
		{
			for (int q = 0; q < r; q++)
			{
				const float *other = t->next + (size_t) q * dim;
				float		minus = -vec_kernels->dot_f32(row, other, t->dim);

				vec_kernels->add_rows_f32(row, other, dim, &minus, 1, t->dim);
			}
		}
		normsq = vec_kernels->normsq_f32(row, t->dim);
		if (before > 0 && normsq > 1e-8)
			normalise(row, t->dim);
		else
			memset(row, 0, dim * sizeof(float));
		t->tick();
	}
}

/* next = current * rows' * rows: one step towards the leading directions */
static void
multiply(Training *t, int n)
{
	size_t		dim = (size_t) t->dim;

	memset(t->next, 0, (size_t) n * dim * sizeof(float));
	for (int first = 0; first < t->nrows; first += BLOCK)
	{
		const float *block = t->rows + (size_t) first * dim;
		int			count = t->nrows - first < BLOCK ? t->nrows - first : BLOCK;

		for (int r = 0; r < n; r++)
		{
			float		coef[BLOCK];

			vec_kernels->dot_many_f32(t->current + (size_t) r * dim, block, dim, count,
									  t->dim, coef);
			vec_kernels->add_rows_f32(t->next + (size_t) r * dim, block, dim, coef, count, t->dim);
		}
		t->tick();
	}
}

static void
iterate(Training *t, int n, uint64_t seed)
{
	/* any start will do; sums of uniforms spare a logarithm */
	for (size_t i = 0; i < (size_t) n * (size_t) t->dim; i++)
		t->next[i] = (float) ((double) (quant_random(&seed) >> 11) * 0x1p-53 - 0.5);
	orthonormalise(t, n);

	for (int step = 0; step < ITERATIONS; step++)
	{
		float	   *swap = t->current;

		t->current = t->next;
		t->next = swap;
		multiply(t, n);
		orthonormalise(t, n);
	}
	t->current = t->next;
}

/* part of the squares of edges that the first n directions hold */
static double
edge_energy(Training *t, int n, float *coords)
{
	int			step = t->nrows / EDGE_ROWS > 0 ? t->nrows / EDGE_ROWS : 1;
	int			other_step = t->nrows / EDGE_OTHERS > 0 ? t->nrows / EDGE_OTHERS : 1;
	size_t		dim = (size_t) t->dim;
	double		whole = 0;
	double		held = 0;

	for (int r = 0; r < t->nrows; r += step)
	{
		const float *row = t->rows + (size_t) r * dim;
		const float *nearest = NULL;
		float		least = INFINITY;

		for (int o = 0; o < t->nrows; o += other_step)
		{
			const float *other = t->rows + (size_t) o * dim;
			float		d = vec_kernels->l2sq_f32(row, other, t->dim);

			if (d > 1e-12f && d < least)
			{
				least = d;
				nearest = other;
			}
		}
		t->tick();
		if (nearest == NULL)
			continue;
		vec_kernels->dot_many_f32(row, t->current, dim, n, t->dim, coords);
		vec_kernels->dot_many_f32(nearest, t->current, dim, n, t->dim, coords + MOST_SKETCH);
		whole += least;
		held += vec_kernels->l2sq_f32(coords, coords + MOST_SKETCH, n);
	}
	return whole > 0 ? held / whole : 0;
}

/*
 * Mix the directions by a rotation, so that no coordinate of a sketch holds
 * much more than another, and store them.
 */
static void
store_directions(Training *t, int n, int padded)
{
	QuantModel *model = t->model;
	vec_half   *directions;
	uint8_t		signs[4 * ((MOST_SKETCH + 15) / 16 * 2)];
	size_t		dim = (size_t) t->dim;

	rotate_make_signs(model->seed + 1, n, signs);
	for (size_t i = 0; i < dim; i++)
	{
		float		column[MOST_SKETCH];

		for (int r = 0; r < n; r++)
			column[r] = t->current[(size_t) r * dim + i];
		rotate_apply(signs, n, column);
		for (int r = 0; r < n; r++)
			t->current[(size_t) r * dim + i] = column[r];
	}

	model->directions_offset = model->size;
	model->size += (uint32_t) ((size_t) padded * dim * sizeof(vec_half));
	directions = (vec_half *) ((char *) model + model->directions_offset);
	memset(directions, 0, (size_t) padded * dim * sizeof(vec_half));
	vec_kernels->float_to_half(t->current, directions, n * t->dim);
	model->sketch_bits = 2;
	model->sketch_dims = padded;
}

/*
 * quant_train
 *		Make a trained model from a sample of the data.
 *
 * sample holds nrows rows of dim finite floats and is overwritten; scratch
 * has quant_train_scratch() bytes.  With fewer than MIN_ROWS rows only mean
 * and scale are learnt and sketches stay untrained.  tick is called every few
 * milliseconds and may leave by longjmp: there is nothing to clean up.
 */
void
quant_train(QuantModel *model, const QuantConfig *config, float *sample, int nrows,
			void *scratch, void (*tick) (void))
{
	Training	t = {model, sample, nrows, config->dim, directions_wanted(config), NULL, NULL, tick};
	int			n = directions_iterated(config);
	size_t		dim = (size_t) config->dim;
	float	   *coords = (float *) ((double *) scratch + dim);
	int			keep = t.ndirections;
	double		energy;

	quant_model_init(model, config, NULL);
	if (nrows == 0)
		return;

	if (config->metric == QUANT_COSINE)
	{
		for (int r = 0; r < nrows; r++)
			normalise(sample + (size_t) r * dim, config->dim);
	}
	learn_mean(model, sample, nrows, scratch);
	if (keep == 0 || nrows < MIN_ROWS || nrows < 2 * keep)
		return;

	for (int r = 0; r < nrows; r++)
		quant_map(model, sample + (size_t) r * dim, sample + (size_t) r * dim);
	t.current = coords + 4 * MOST_SKETCH;
	t.next = t.current + (size_t) n * dim;
	iterate(&t, n, model->seed + 2);

	/* the fewest directions that hold enough of an edge */
	energy = edge_energy(&t, keep, coords);
	if (config->sketch_dims == 0 && keep > 96 && config->dim < 1024)
	{
		double		of_default = edge_energy(&t, 96, coords);

		if (of_default >= ENOUGH_ENERGY)
		{
			keep = 96;
			energy = of_default;
		}
	}
	model->edge_energy = (float) energy;
	store_directions(&t, keep, round_up(keep, 8));
}

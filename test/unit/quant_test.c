/*-------------------------------------------------------------------------
 *
 * quant_test.c
 *	  Codes against exact arithmetic: what must hold always, what must hold
 *	  on average, and how good an estimate must be.
 *
 * Seeds are fixed.  Bounds are tested on ordinary vectors and on those made
 * to break them: one large element, tiny and huge lengths, equal vectors.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/distance.h"
#include "quant/quant.h"

#define SEED	UINT64_C(20240607)

static uint64_t random_state = SEED;
static int	ntests = 0;
static int	nfailed = 0;

static void
report(bool passed, const char *name)
{
	ntests++;
	nfailed += !passed;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", ntests, name);
	fflush(stdout);
}

static void
no_tick(void)
{
}

static double
uniform(void)
{
	return (double) (quant_random(&random_state) >> 11) * 0x1p-53;
}

static double
gauss(void)
{
	return sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

/* clusters in few latent dimensions, a spectrum like that of embeddings */
typedef struct Source
{
	int			dim;
	int			latent;
	float	   *map;			/* latent rows of dim */
	float	   *center;			/* 20 clusters of latent */
	float	   *mean;
} Source;

static void
source_init(Source *source, int dim)
{
	source->dim = dim;
	source->latent = dim < 48 ? dim : 48;
	source->map = malloc((size_t) (source->latent * dim) * sizeof(float));
	source->center = malloc((size_t) (20 * source->latent) * sizeof(float));
	source->mean = malloc((size_t) dim * sizeof(float));
	for (int i = 0; i < source->latent * dim; i++)
		source->map[i] = (float) (gauss() / sqrt(dim));
	for (int i = 0; i < 20 * source->latent; i++)
		source->center[i] = (float) gauss();
	for (int i = 0; i < dim; i++)
		source->mean[i] = (float) (0.3 * gauss());
}

static void
source_draw(const Source *source, float *x)
{
	const float *center = source->center + (int) (uniform() * 20) * source->latent;

	for (int i = 0; i < source->dim; i++)
		x[i] = source->mean[i] + (float) (0.1 * gauss() / sqrt(source->dim));
	for (int l = 0; l < source->latent; l++)
	{
		float		z = center[l] + (float) (0.6 * gauss());

		for (int i = 0; i < source->dim; i++)
			x[i] += z * source->map[l * source->dim + i];
	}
}

static void
source_free(Source *source)
{
	free(source->map);
	free(source->center);
	free(source->mean);
}

static QuantModel *
make_model(const Source *source, QuantMetric metric, int nav_bits, int nrows, uint64_t seed)
{
	QuantConfig config = {source->dim, metric, nav_bits, 0, seed};
	QuantModel *model = malloc(quant_model_max_size(&config));
	float	   *sample = malloc((size_t) (nrows + 1) * (size_t) source->dim * sizeof(float));
	void	   *scratch = malloc(quant_train_scratch(&config));

	for (int i = 0; i < nrows; i++)
		source_draw(source, sample + (size_t) i * (size_t) source->dim);
	quant_train(model, &config, sample, nrows, scratch, no_tick);
	free(sample);
	free(scratch);
	return model;
}

/*--- rotation ------------------------------------------------------------*/

static bool
rotation_keeps(int dim)
{
	uint8_t    *signs = malloc(rotate_signs_size(dim));
	float	   *x = malloc((size_t) dim * sizeof(float));
	float	   *y = malloc((size_t) dim * sizeof(float));
	double		dot = 0;
	double		dot_after = 0;
	double		size = 0;

	rotate_make_signs(SEED + (uint64_t) dim, dim, signs);
	for (int i = 0; i < dim; i++)
	{
		x[i] = (float) gauss();
		y[i] = (float) gauss();
		dot += (double) x[i] * y[i];
		size += (double) x[i] * x[i] + (double) y[i] * y[i];
	}
	rotate_apply(signs, dim, x);
	rotate_apply(signs, dim, y);
	for (int i = 0; i < dim; i++)
		dot_after += (double) x[i] * y[i];
	free(signs);
	free(x);
	free(y);
	return fabs(dot - dot_after) <= 1e-5 * size;
}

static void
test_rotation(void)
{
	bool		ok = true;
	float	   *x = calloc(768, sizeof(float));
	uint8_t    *signs = malloc(rotate_signs_size(768));
	double		largest = 0;

	for (int dim = 1; dim <= QUANT_MAX_DIM && ok; dim += dim < 300 ? 1 : 1571)
		ok = rotation_keeps(dim);
	report(ok && rotation_keeps(QUANT_MAX_DIM), "rotation keeps inner products, any dimension");

	/* a unit vector must be spread over all coordinates, wherever it starts */
	rotate_make_signs(SEED, 768, signs);
	for (int start = 0; start < 768; start += 7)
	{
		memset(x, 0, 768 * sizeof(float));
		x[start] = 1;
		rotate_apply(signs, 768, x);
		for (int i = 0; i < 768; i++)
		{
			if (fabs(x[i]) > largest)
				largest = fabs(x[i]);
		}
	}
	report(largest < 0.3, "rotation spreads single coordinates");
	free(x);
	free(signs);
}

/*--- estimators ----------------------------------------------------------*/

/* nav distance, exactly, of q and x */
static double
exact_nav(const QuantModel *model, const float *q, const float *x)
{
	double		scale2 = (double) model->scale * model->scale;
	double		l2sq = 0;
	double		dot = 0;
	double		qq = 0;
	double		xx = 0;

	for (int i = 0; i < model->dim; i++)
	{
		l2sq += ((double) q[i] - x[i]) * ((double) q[i] - x[i]);
		dot += (double) q[i] * x[i];
		qq += (double) q[i] * q[i];
		xx += (double) x[i] * x[i];
	}
	if (model->metric == QUANT_L2)
		return l2sq * scale2;
	return model->metric == QUANT_IP ? -dot * scale2 : (2 - 2 * dot / sqrt(qq * xx)) * scale2;
}

/*
 * Over many random rotations the mean error of the estimate must vanish and
 * its spread must be what so many bits can do.
 */
static bool
estimator_holds(int dim, QuantMetric metric, int bits, double allowed)
{
	Source		source;
	float	   *q = malloc((size_t) dim * sizeof(float));
	float	   *x = malloc((size_t) dim * sizeof(float));
	float	   *nav = malloc((size_t) dim * sizeof(float));
	uint8_t    *code;
	uint8_t    *other;
	double		sum = 0;
	double		square = 0;
	double		pair_square = 0;
	int			trials = 200;
	bool		ok;

	source_init(&source, dim);
	source_draw(&source, q);
	source_draw(&source, x);
	code = malloc(nav_code_size(dim, bits));
	other = malloc(nav_code_size(dim, bits));
	for (int t = 0; t < trials; t++)
	{
		QuantConfig config = {dim, metric, bits, -1, SEED + (uint64_t) t};
		QuantModel *model = malloc(quant_model_max_size(&config));
		void	   *memory;
		QuantQuery *query;
		double		unit;
		double		error;

		quant_model_init(model, &config, x);
		memory = malloc(quant_query_size(model));
		query = quant_query_init(model, memory);
		nav_encode(model, bits, nav, quant_map(model, x, nav), code);
		unit = vec_kernels->normsq_f32(nav, dim);
		quant_query_set(query, q);
		unit = sqrt(unit * query->normsq);
		error = (nav_distance(query, bits, code) - exact_nav(model, q, x)) / unit;
		sum += error;
		square += error * error;
		nav_encode(model, bits, nav, quant_map(model, q, nav), other);
		error = (nav_pair(model, bits, code, other) - exact_nav(model, q, x)) / unit;
		pair_square += error * error;
		free(model);
		free(memory);
	}
	ok = fabs(sum / trials) <= 4 * sqrt(square / trials / trials) + 1e-6 &&
		sqrt(square / trials) <= allowed && sqrt(pair_square / trials) <= allowed * 1.6;
	if (!ok)
		printf("# dim %d metric %d bits %d: mean %g, spread %g, of pairs %g, allowed %g\n", dim,
			   (int) metric, bits, sum / trials, sqrt(square / trials),
			   sqrt(pair_square / trials), allowed);
	source_free(&source);
	free(q);
	free(x);
	free(nav);
	free(code);
	free(other);
	return ok;
}

static void
test_estimators(void)
{
	static const char *const metric_name[] = {"L2", "inner product", "cosine"};

	for (int metric = QUANT_L2; metric <= QUANT_COSINE; metric++)
	{
		char		name[100];
		bool		ok = true;

		/* about 2^-bits times 2 / sqrt(dim), twice that for a distance */
		for (int dim = 33; dim <= 800 && ok; dim = dim * 5 / 2 + 1)
		{
			double		root = sqrt(dim);

			ok = estimator_holds(dim, (QuantMetric) metric, 2, 1.5 / root) &&
				estimator_holds(dim, (QuantMetric) metric, 4, 0.4 / root) &&
				estimator_holds(dim, (QuantMetric) metric, 8, 0.04 / root) &&
				estimator_holds(dim, (QuantMetric) metric, 32, 1e-5);
		}
		snprintf(name, sizeof(name), "estimates are unbiased and narrow: %s", metric_name[metric]);
		report(ok, name);
	}
}

/* a code decodes to a vector within its residual of the one it was made of */
static void
test_residual(void)
{
	static const int bits[] = {2, 4, 8, 32};
	Source		source;
	bool		ok = true;

	for (int dim = 1; dim <= 400; dim = dim * 3 / 2 + 1)
	{
		QuantModel *model;
		float	   *x = malloc((size_t) dim * sizeof(float));
		float	   *nav = malloc((size_t) dim * sizeof(float));
		float	   *back = malloc((size_t) dim * sizeof(float));
		uint8_t    *code = malloc(nav_code_size(dim, 32) + 64);

		source_init(&source, dim);
		model = make_model(&source, QUANT_L2, 4, 50, SEED);
		for (int i = 0; i < 40; i++)
		{
			int			b = bits[i % 4];
			NavHead		head;
			double		sum = 0;

			source_draw(&source, x);
			nav_encode(model, b, nav, quant_map(model, x, nav), code);
			nav_decode(model, b, code, back);
			memcpy(&head, code, sizeof(head));
			for (int j = 0; j < dim; j++)
				sum += ((double) nav[j] - back[j]) * ((double) nav[j] - back[j]);
			ok = ok && sqrt(sum) <= head.residual &&
				head.residual <= 1.2 * sqrt(sum) + 1e-4 * (1 + sqrt((double) head.normsq));
		}
		free(model);
		free(x);
		free(nav);
		free(back);
		free(code);
		source_free(&source);
	}
	report(ok, "a code lies within its residual, and not much nearer");
}

/*--- bounds --------------------------------------------------------------*/

/* what the SQL operators return */
static double
sql_distance(QuantMetric metric, const float *q, const float *x, int dim)
{
	if (metric == QUANT_L2)
		return sqrt(vec_l2sq_f32(q, x, dim));
	return metric == QUANT_IP ? -vec_dot_f32(q, x, dim) : vec_cosine_f32(q, x, dim);
}

/* vectors that make bounds fail if anything does */
static void
draw_hostile(const Source *source, float *x, int kind)
{
	static const double length[] = {1, 1e-20, 1e-30, 1e-38, 1e20, 1e30, 1e-5, 1e5};
	double		factor = length[kind / 4 % 8];

	source_draw(source, x);
	if (kind % 4 == 1)
		x[kind % source->dim] = 1000;
	else if (kind % 4 == 2)
	{
		for (int i = 0; i < source->dim; i++)
			x[i] = i % 3 ? 0 : 1;
	}
	else if (kind % 4 == 3)
	{
		for (int i = 0; i < source->dim; i++)
			x[i] = (float) ((uniform() < 0.5 ? -1 : 1) * exp(20 * uniform() - 10));
	}
	for (int i = 0; i < source->dim; i++)
		x[i] = (float) (x[i] * factor);
}

/* all pairs of hostile vectors: no bound above the truth; sum up how near */
static bool
bounds_hold(const Source *source, QuantMetric metric, double *worst)
{
	int			dim = source->dim;
	QuantModel *model = make_model(source, metric, 4, 300, SEED);
	void	   *memory = malloc(quant_query_size(model));
	QuantQuery *query = quant_query_init(model, memory);
	float	   *x = malloc((size_t) dim * sizeof(float));
	float	   *q = malloc((size_t) dim * sizeof(float));
	float	   *nav = malloc((size_t) dim * sizeof(float));
	uint8_t    *record = malloc(refine_size(REFINE_FULL, dim) + 64);
	uint8_t    *code = malloc(nav_code_size(dim, 32));
	bool		ok = true;

	for (int i = 0; i < 64 && ok; i++)
	{
		draw_hostile(source, q, i);
		quant_query_set(query, q);
		for (int j = 0; j < 96 && ok; j++)
		{
			double		truth;

			draw_hostile(source, x, j);
			if (j >= 64)		/* the query itself, or nearly */
			{
				memcpy(x, q, (size_t) dim * sizeof(float));
				if (j % 2)
					x[j % dim] *= 1.0001f;
			}
			truth = sql_distance(metric, q, x, dim);

			for (int kind = REFINE_FULL; kind <= REFINE_INT8; kind++)
			{
				RefineResult r;

				refine_encode((RefineKind) kind, x, dim, record);
				r = refine_distance((RefineKind) kind, metric, q, refine_query_norm(q, dim),
									record, dim);
				if (r.bound > truth || isnan(r.bound) != isnan(truth))
				{
					printf("# metric %d kind %d pair %d %d: bound %.17g above %.17g\n",
						   (int) metric, kind, i, j, r.bound, truth);
					ok = false;
				}
			}
			for (int b = 2; b <= 32; b *= b == 8 ? 4 : 2)
			{
				double		bound;

				nav_encode(model, b, nav, quant_map(model, x, nav), code);
				bound = nav_lower_bound(query, b, code);
				if (bound > truth)
				{
					printf("# metric %d nav bits %d pair %d %d: bound %.17g above %.17g\n",
						   (int) metric, b, i, j, bound, truth);
					ok = false;
				}
			}
		}
	}

	/* a bound of nothing would pass: on ordinary data it must say something */
	*worst = 0;
	for (int i = 0; i < 50 && metric == QUANT_L2; i++)
	{
		RefineResult r;
		double		truth;

		source_draw(source, q);
		source_draw(source, x);
		quant_query_set(query, q);
		truth = sql_distance(metric, q, x, dim);
		refine_encode(REFINE_INT8, x, dim, record);
		r = refine_distance(REFINE_INT8, metric, q, refine_query_norm(q, dim), record, dim);
		*worst = fmax(*worst, 1 - r.bound / truth);
		nav_encode(model, 8, nav, quant_map(model, x, nav), code);
		*worst = fmax(*worst, 1 - nav_lower_bound(query, 8, code) / truth);
	}
	free(model);
	free(memory);
	free(x);
	free(q);
	free(nav);
	free(record);
	free(code);
	return ok;
}

static void
test_bounds(void)
{
	static const int dims[] = {1, 3, 17, 96, 257, 768};
	static const char *const metric_name[] = {"L2", "inner product", "cosine"};

	for (int metric = QUANT_L2; metric <= QUANT_COSINE; metric++)
	{
		char		name[100];
		bool		ok = true;
		double		worst = 0;

		for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]) && ok; i++)
		{
			Source		source;
			double		slack;

			source_init(&source, dims[i]);
			ok = bounds_hold(&source, (QuantMetric) metric, &slack);
			if (dims[i] >= 96)
				worst = fmax(worst, slack);
			source_free(&source);
		}
		snprintf(name, sizeof(name), "lower bounds hold on hostile vectors: %s", metric_name[metric]);
		report(ok, name);
		if (metric == QUANT_L2)
		{
			if (worst > 0.05)
				printf("# slack %g\n", worst);
			report(worst <= 0.05, "lower bounds from 8 bits are within 5 percent");
		}
	}
}

/*--- model and sketches --------------------------------------------------*/

static void
test_model(void)
{
	Source		source;
	QuantModel *model;
	uint8_t    *copy;
	bool		ok;
	int			refused = 0;

	source_init(&source, 200);
	model = make_model(&source, QUANT_L2, 0, 1000, SEED);
	ok = quant_model_check(model, model->size) && model->sketch_bits == 2 &&
		model->nav_bits == 8 && !quant_model_check(model, model->size - 1);
	report(ok, "a trained model passes its check");
	report(model->edge_energy > 0.5f, "directions hold most of an edge");

	/* no change of the header may be accepted that leads outside */
	copy = malloc(model->size);
	for (size_t i = 0; i < sizeof(QuantModel); i++)
	{
		const QuantModel *m = (const QuantModel *) (const void *) copy;

		memcpy(copy, model, model->size);
		copy[i] ^= 0x55;
		if (!quant_model_check(copy, model->size))
			refused++;
		else
			ok = ok && m->dim == model->dim && m->sketch_dims == model->sketch_dims &&
				m->sketch_bits == model->sketch_bits && m->size == model->size &&
				m->directions_offset == model->directions_offset &&
				m->mean_offset == model->mean_offset && m->signs_offset == model->signs_offset;
	}
	report(ok && refused > 40, "a damaged model header is refused or harmless");
	free(copy);
	free(model);

	model = make_model(&source, QUANT_L2, 0, 100, SEED);
	report(quant_model_check(model, model->size) && model->sketch_bits == 1 &&
		   model->sketch_dims % 16 == 0, "few rows leave sketches untrained");
	free(model);
	source_free(&source);
}

/*
 * Links between near vectors, and queries near them: the sketch's estimate
 * must tell near ends from far ones.  Returns the root mean square error
 * relative to the product of the link's and the query's lengths.
 */
static double
sketch_error(const Source *source, QuantMetric metric, int nrows, int nlinks)
{
	int			dim = source->dim;
	QuantModel *model = make_model(source, metric, 4, nrows, SEED);
	int			ngroups = sketch_groups(model);
	void	   *memory = malloc(quant_query_size(model));
	QuantQuery *query = quant_query_init(model, memory);
	uint8_t    *codes = calloc(1, sketch_codes_size(model, nlinks));
	vec_half   *offset = malloc((size_t) nlinks * sizeof(vec_half));
	vec_half   *scale = malloc((size_t) nlinks * sizeof(vec_half));
	float	   *estimate = malloc((size_t) nlinks * sizeof(float));
	float	   *u = malloc((size_t) dim * sizeof(float));
	float	   *q = malloc((size_t) dim * sizeof(float));
	float	   *v = malloc((size_t) (nlinks * dim) * sizeof(float));
	float	   *nav = malloc((size_t) dim * sizeof(float));
	float	   *nav_v = malloc((size_t) dim * sizeof(float));
	uint8_t    *code_u = malloc(nav_code_size(dim, 8));
	uint8_t    *code_v = malloc(nav_code_size(dim, 8));
	float		from[QUANT_MAX_SKETCH];
	float		to[QUANT_MAX_SKETCH];
	double		sum = 0;
	int			count = 0;

	for (int round = 0; round < 20; round++)
	{
		double		base;

		source_draw(source, u);
		source_draw(source, q);
		quant_map(model, u, nav);
		sketch_project(model, nav, from);
		quant_query_set(query, q);
		base = exact_nav(model, q, u);
		for (int j = 0; j < nlinks; j++)
		{
			SketchEdge	edge;

			source_draw(source, v + j * dim);
			quant_map(model, v + j * dim, nav_v);
			sketch_project(model, nav_v, to);
			nav_encode(model, 8, nav, 0, code_u);
			nav_encode(model, 8, nav_v, 0, code_v);
			sketch_encode(model, from, to, nav_edge(model, 8, code_u, code_v), &edge);
			offset[j] = edge.offset;
			scale[j] = edge.scale;
			sketch_put(codes, ngroups, nlinks, j, edge.group);
		}
		sketch_estimate(query, codes, offset, scale, nlinks, (float) base, estimate);
		for (int j = 0; j < nlinks; j++)
		{
			double		truth = exact_nav(model, q, v + j * dim);
			double		edge_length;
			double		query_length;

			quant_map(model, v + j * dim, nav_v);
			edge_length = sqrt(vec_kernels->l2sq_f32(nav, nav_v, dim));
			quant_map(model, q, nav_v);
			query_length = sqrt(vec_kernels->l2sq_f32(nav, nav_v, dim));
			sum += pow((estimate[j] - truth) / (edge_length * query_length), 2);
			count++;
		}
	}
	free(model);
	free(memory);
	free(codes);
	free(offset);
	free(scale);
	free(estimate);
	free(u);
	free(q);
	free(v);
	free(nav);
	free(nav_v);
	free(code_u);
	free(code_v);
	return sqrt(sum / count);
}

static void
test_sketches(void)
{
	Source		source;
	double		trained;
	double		random;
	double		product;

	source_init(&source, 300);
	trained = sketch_error(&source, QUANT_L2, 1000, 24);
	random = sketch_error(&source, QUANT_L2, 0, 24);
	product = sketch_error(&source, QUANT_IP, 1000, 40);
	printf("# sketch error: trained %.3f, untrained %.3f, inner product %.3f\n", trained, random,
		   product);
	report(trained < 0.1, "trained sketches estimate links");
	report(random < 0.25, "untrained sketches estimate links");
	report(product < 0.1, "sketches estimate inner products");
	source_free(&source);
}

/* estimates of peeks: their spread, once the stretch is known */
static double
peek_error(const Source *source, QuantMetric metric, bool *exact)
{
	enum
	{
		ROWS = 200
	};
	int			dim = source->dim;
	QuantModel *model = make_model(source, metric, 4, 1000, SEED);
	size_t		size = quant_peek_size(model);
	size_t		code_size = nav_code_size(dim, 8);
	uint8_t    *codes = malloc(ROWS * code_size);
	uint8_t    *peeks = malloc(ROWS * (size + 1));
	float	   *x = malloc((size_t) dim * sizeof(float));
	float		coords[QUANT_MAX_SKETCH];
	const uint8_t *other[ROWS];
	float		estimate[ROWS];
	double		stretch = 0;
	double		sum = 0;
	double		all = 0;

	for (int i = 0; i < ROWS; i++)
	{
		source_draw(source, x);
		quant_map(model, x, x);
		nav_encode(model, 8, x, 0, codes + i * code_size);
		sketch_project(model, x, coords);
		quant_peek_encode(model, coords, codes + i * code_size, peeks + i * size);
		other[i] = peeks + i * size;
	}
	for (int i = 1; i < ROWS; i++)
		stretch += quant_peek_stretch(model, other[0], other[i],
									  nav_pair(model, 8, codes, codes + i * code_size)) / (ROWS - 1);
	quant_peek(model, other[0], other, ROWS, (float) stretch, estimate);
	for (int i = 1; i < ROWS; i++)
	{
		double		d = nav_pair(model, 8, codes, codes + i * code_size);
		float		alone;

		/* with their own stretch estimates are distances; with none, the base */
		quant_peek(model, other[0], &other[i], 1,
				   quant_peek_stretch(model, other[0], other[i], (float) d), &alone);
		*exact = *exact && fabs(alone - d) <= 1e-4 * (fabs(d) + 1);
		sum += (estimate[i] - d) * (estimate[i] - d);
		quant_peek(model, other[0], &other[i], 1, 0, &alone);
		all += (d - alone) * (d - alone);
	}
	*exact = *exact && size > 0 && size < code_size / 2;
	free(model);
	free(codes);
	free(peeks);
	free(x);
	return sqrt(sum / all);
}

static void
test_peeks(void)
{
	Source		source;
	bool		exact = true;
	double		l2;
	double		product;

	source_init(&source, 400);
	l2 = peek_error(&source, QUANT_L2, &exact);
	product = peek_error(&source, QUANT_IP, &exact);
	printf("# peek error: L2 %.3f, inner product %.3f\n", l2, product);
	report(exact, "a peek's stretch is what its estimate lacks");
	report(l2 < 0.1 && product < 0.1, "peeks estimate distances");
	source_free(&source);
}

int
main(void)
{
	vec_kernels_init();
	test_rotation();
	test_estimators();
	test_residual();
	test_bounds();
	test_model();
	test_sketches();
	test_peeks();
	printf("1..%d\n", ntests);
	return nfailed > 0;
}

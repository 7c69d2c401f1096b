/*-------------------------------------------------------------------------
 *
 * list_test.c
 *	  List codes: estimates, bounds that may never be broken, blocks, searches.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/distance.h"
#include "kernels/kernels_isa.h"
#include "quant/list.h"

static int	ntests = 0;
static int	nfailed = 0;
static uint64_t state = 20240229;
static const VecKernels *table;

static void
report(bool passed, const char *property)
{
	ntests++;
	nfailed += !passed;
	printf("%s %d - %s: %s\n", passed ? "ok" : "not ok", ntests, table->name, property);
}

static void
no_tick(void)
{
}

static double
uniform(void)
{
	return (double) (quant_random(&state) >> 11) * 0x1p-53;
}

static double
gauss(void)
{
	return sqrt(-2 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

static void *
aligned(size_t size)
{
	return aligned_alloc(64, (size + 63) / 64 * 64);
}

static const char *
metric_name(QuantMetric metric)
{
	return metric == QUANT_L2 ? "L2" : metric == QUANT_IP ? "inner product" : "cosine";
}

/* a cluster around a center away from the origin */
static void
draw_row(float *x, const float *center, int dim, double spread)
{
	for (int i = 0; i < dim; i++)
		x[i] = (float) (center[i] + spread * gauss());
}

static QuantModel *
make_model(QuantMetric metric, int dim, const float *rows, int n)
{
	QuantConfig config = {dim, metric, 0, -1, 7};
	QuantModel *model = malloc(quant_model_max_size(&config));
	float	   *sample = malloc((size_t) n * (size_t) dim * sizeof(float));
	void	   *scratch = malloc(quant_train_scratch(&config));

	memcpy(sample, rows, (size_t) n * (size_t) dim * sizeof(float));
	quant_train(model, &config, sample, n, scratch, no_tick);
	free(sample);
	free(scratch);
	return model;
}

/* what SQL computes */
static double
sql_distance(QuantMetric metric, const float *q, const float *x, int dim)
{
	if (metric == QUANT_L2)
		return sqrt(vec_l2sq_f32(q, x, dim));
	if (metric == QUANT_IP)
		return -vec_dot_f32(q, x, dim);
	return vec_cosine_f32(q, x, dim);
}

/* one list: rows, their codes in blocks, and a query */
typedef struct List
{
	int			dim;
	int			n;
	QuantMetric metric;
	ListQuantizer quantizer;
	QuantModel *model;
	float	   *rows;
	float	   *center;			/* nav space */
	uint8_t    *block;
	ListBlockTerms *terms;
	ListQuery  *query;
} List;

static void
list_fill(List *list)
{
	size_t		dim = (size_t) list->dim;
	size_t		size = list_block_size(list->quantizer, list->dim);
	int			nblocks = (list->n + LIST_BLOCK - 1) / LIST_BLOCK;
	float	   *nav = malloc(dim * sizeof(float));
	uint8_t    *code = malloc(list_code_size(list->quantizer, list->dim));

	list->block = malloc((size_t) nblocks * size);
	list->terms = malloc((size_t) nblocks * sizeof(ListBlockTerms));
	for (int i = 0; i < list->n; i++)
	{
		uint8_t    *block = list->block + (size_t) (i / LIST_BLOCK) * size;
		ListTerms	terms;
		float		slack = quant_map(list->model, list->rows + (size_t) i * dim, nav);

		if (i % LIST_BLOCK == 0)
			list_block_init(list->quantizer, list->dim, block, list->terms + i / LIST_BLOCK);
		list_encode(list->model, list->quantizer, nav, slack, list->center, &terms, code);
		list_block_put(list->quantizer, list->dim, block, list->terms + i / LIST_BLOCK,
					   i % LIST_BLOCK, &terms, code);
	}
	list->query = list_query_init(list->model, list->quantizer,
								  aligned(list_query_size(list->model, list->quantizer)));
	free(nav);
	free(code);
}

static void
list_free(List *list)
{
	free(list->model);
	free(list->rows);
	free(list->center);
	free(list->block);
	free(list->terms);
	free(list->query);
}

/* a list of n rows around a point away from the mean of the data */
static List
make_list(QuantMetric metric, ListQuantizer quantizer, int dim, int n, double scale)
{
	List		list = {0};
	float	   *away = malloc((size_t) dim * sizeof(float));
	float	   *all = malloc((size_t) 400 * (size_t) dim * sizeof(float));
	double		sum;

	list.dim = dim;
	list.n = n;
	list.metric = metric;
	list.quantizer = quantizer;
	list.rows = malloc((size_t) n * (size_t) dim * sizeof(float));
	list.center = malloc((size_t) dim * sizeof(float));

	/* two places for the model to see; the list is the second */
	for (int c = 0; c < 2; c++)
	{
		for (int i = 0; i < dim; i++)
			away[i] = (float) (scale * (0.7 + gauss()));
		for (int r = 0; r < 200; r++)
			draw_row(all + (size_t) (c * 200 + r) * (size_t) dim, away, dim, 0.5 * scale);
	}
	list.model = make_model(metric, dim, all, 400);
	for (int r = 0; r < n; r++)
		draw_row(list.rows + (size_t) r * (size_t) dim, away, dim, 0.5 * scale);

	/* the center: mean of the images */
	memset(list.center, 0, (size_t) dim * sizeof(float));
	for (int r = 0; r < n; r++)
	{
		quant_map(list.model, list.rows + (size_t) r * (size_t) dim, all);
		for (int i = 0; i < dim; i++)
			list.center[i] += all[i] / (float) n;
	}
	sum = 0;
	for (int i = 0; i < dim; i++)
		sum += list.center[i];
	if (!isfinite(sum))
		memset(list.center, 0, (size_t) dim * sizeof(float));
	list_fill(&list);
	free(away);
	free(all);
	return list;
}

/* exact list distance, in double */
static double
exact_distance(const List *list, const float *q, int row)
{
	const float *x = list->rows + (size_t) row * (size_t) list->dim;
	double		l2 = 0;
	double		dot = 0;
	double		qq = 0;
	double		xx = 0;

	for (int i = 0; i < list->dim; i++)
	{
		l2 += ((double) q[i] - x[i]) * ((double) q[i] - x[i]);
		dot += (double) q[i] * x[i];
		qq += (double) q[i] * q[i];
		xx += (double) x[i] * x[i];
	}
	if (list->metric == QUANT_IP)
		return -dot * list->query->unit;
	if (list->metric == QUANT_COSINE)
		l2 = 2 - 2 * dot / sqrt(qq * xx);
	return l2 * list->model->scale * list->model->scale;
}

/*--- estimates -----------------------------------------------------------*/

/*
 * The error in units of |r| |q - c| / sqrt(dim), its bias, and how often the
 * statistical bound is above the truth.
 */
static void
check_estimate(QuantMetric metric, ListQuantizer quantizer, int dim)
{
	List		list = make_list(metric, quantizer, dim, 320, 1);
	float	   *q = malloc((size_t) dim * sizeof(float));
	char		name[100];
	double		square = 0;
	double		bias = 0;
	double		expected = quantizer == LIST_INT8 ? 0.04 : 1.1;
	int			above = 0;
	int			count = 0;

	for (int t = 0; t < 10; t++)
	{
		const float *near = list.rows + (size_t) (t * 31) * (size_t) dim;
		float		estimate[LIST_BLOCK];
		float		lower[LIST_BLOCK];
		ListPlace	place;
		double		length;

		draw_row(q, near, dim, 0.4);
		list_query_set(list.query, q);
		list_place(list.query, list.center, LIST_EPSILON, &place);
		length = place.at.radius / LIST_EPSILON;
		for (int b = 0; b < list.n / LIST_BLOCK; b++)
		{
			list_scan(list.query, &place, INFINITY,
					  list.block + (size_t) b * list_block_size(quantizer, dim), list.terms + b,
					  LIST_BLOCK, estimate, lower);
			for (int j = 0; j < LIST_BLOCK; j++)
			{
				double		truth = exact_distance(&list, q, b * LIST_BLOCK + j);
				double		r = metric == QUANT_IP ? length : 2 * length;
				double		error = (estimate[j] - truth) / (r * 0.6) * sqrt(dim);

				square += error * error;
				bias += error;
				above += lower[j] > truth;
				count++;
			}
		}
	}
	snprintf(name, sizeof(name), "%s estimates of %s, %d dimensions",
			 quantizer == LIST_INT8 ? "byte" : "bit", metric_name(metric), dim);
	printf("# error %.4f, bias %.4f, %.2f %% of bounds above the truth\n", sqrt(square / count),
		   bias / count, 100.0 * above / count);
	report(sqrt(square / count) < expected && fabs(bias / count) < expected / 5 &&
		   above < count / 12, name);
	free(q);
	list_free(&list);
}

/*--- bounds --------------------------------------------------------------*/

/* no bound above what SQL computes; thresholds let through what they must */
static bool
bounds_hold(List *list, const float *q)
{
	size_t		dim = (size_t) list->dim;
	bool		ok = true;
	ListPlace	place;

	list_query_set(list->query, q);
	list_place(list->query, list->center, LIST_RIGOROUS, &place);
	for (int i = 0; i < list->n && ok; i++)
	{
		float		estimate[LIST_BLOCK];
		float		lower[LIST_BLOCK];
		size_t		b = (size_t) (i / LIST_BLOCK);
		double		truth = sql_distance(list->metric, q, list->rows + (size_t) i * dim, list->dim);
		float		threshold = list_threshold(list->query, truth);
		uint32_t	mask = list_scan(list->query, &place, nextafterf(threshold, INFINITY),
									 list->block + b * list_block_size(list->quantizer, list->dim),
									 list->terms + b, LIST_BLOCK, estimate, lower);
		double		bound = list_bound_to_sql(list->query, lower[i % LIST_BLOCK]);

		if (isnan(truth))
			continue;
		ok = !(bound > truth) && (mask >> i % LIST_BLOCK & 1 || threshold == INFINITY);
		if (!ok)
			printf("# %s, %d dimensions, row %d: bound %.9g, distance %.9g, mask %d\n",
				   metric_name(list->metric), list->dim, i, bound, truth,
				   (int) (mask >> i % LIST_BLOCK & 1));
	}
	return ok;
}

static void
check_bounds(QuantMetric metric, ListQuantizer quantizer)
{
	static const int dims[] = {1, 2, 3, 5, 16, 33, 100, 384, 1100};
	static const double scales[] = {1, 1e-30, 1e-15, 1e12, 1e18};
	char		name[100];
	bool		ok = true;

	for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
	{
		int			dim = dims[d];
		size_t		s = d % 5;

		for (int wild = 0; wild < 2 && ok; wild++)
		{
			List		list = make_list(metric, quantizer, dim, 96, wild ? scales[s] : 1);
			float	   *q = malloc((size_t) dim * sizeof(float));

			if (wild)
			{
				/* rows far from all the model knows, and equal ones */
				for (int r = 0; r < 30; r++)
				{
					for (int i = 0; i < dim; i++)
						list.rows[r * dim + i] *= (float) pow(10, r - 15 > 20 ? 20 : r - 15);
				}
				for (int r = 30; r < 40; r++)
					memset(list.rows + r * dim, 0, (size_t) dim * sizeof(float));
				for (int r = 40; r < 50; r++)
				{
					memset(list.rows + r * dim, 0, (size_t) dim * sizeof(float));
					list.rows[r * dim + r % dim] = (float) pow(10, 3 * (r - 45));
				}
				free(list.block);
				free(list.terms);
				free(list.query);
				list_fill(&list);
			}
			for (int t = 0; t < 96 && ok; t += 5)
			{
				memcpy(q, list.rows + t * dim, (size_t) dim * sizeof(float));
				ok = bounds_hold(&list, q);
				for (int i = 0; i < dim; i++)
					q[i] *= (float) (1 + 1e-4 * gauss());
				ok = ok && bounds_hold(&list, q);
			}
			/* the center itself, and beyond */
			for (int i = 0; i < dim; i++)
				q[i] = (float) (3 * gauss());
			ok = ok && bounds_hold(&list, q);
			memset(q, 0, (size_t) dim * sizeof(float));
			ok = ok && (metric == QUANT_COSINE || bounds_hold(&list, q));
			free(q);
			list_free(&list);
		}
	}
	snprintf(name, sizeof(name), "%s bounds of %s are never broken",
			 quantizer == LIST_INT8 ? "byte" : "bit", metric_name(metric));
	report(ok, name);
}

/* a bound that says nothing would pass the test above */
static void
check_bound_use(void)
{
	List		list = make_list(QUANT_L2, LIST_INT8, 256, 96, 1);
	float	   *q = malloc(256 * sizeof(float));
	ListPlace	place;
	double		least = 1;

	draw_row(q, list.rows, 256, 0.3);
	list_query_set(list.query, q);
	list_place(list.query, list.center, LIST_RIGOROUS, &place);
	for (int b = 0; b < 3; b++)
	{
		float		estimate[LIST_BLOCK];
		float		lower[LIST_BLOCK];

		list_scan(list.query, &place, INFINITY,
				  list.block + (size_t) b * list_block_size(LIST_INT8, 256), list.terms + b,
				  LIST_BLOCK, estimate, lower);
		for (int j = 0; j < LIST_BLOCK; j++)
		{
			double		truth = sql_distance(QUANT_L2, q, list.rows + (b * LIST_BLOCK + j) * 256, 256);

			least = fmin(least, list_bound_to_sql(list.query, lower[j]) / truth);
		}
	}
	printf("# byte bounds are at least %.3f of the distance\n", least);
	report(least > 0.7, "byte bounds are near the distance");
	free(q);
	list_free(&list);
}

/*--- blocks --------------------------------------------------------------*/

static bool
blocks_keep(ListQuantizer quantizer, int dim)
{
	size_t		size = list_code_size(quantizer, dim);
	size_t		block_size = list_block_size(quantizer, dim);
	size_t		stride = size + 5;
	uint8_t    *codes = calloc(LIST_BLOCK, stride);
	uint8_t    *back = calloc(LIST_BLOCK, stride);
	uint8_t    *block = malloc(block_size);
	uint8_t    *other = malloc(block_size);
	ListBlockTerms terms;
	bool		ok = true;

	/* bits past dim are zero in a code */
	for (int j = 0; j < LIST_BLOCK; j++)
	{
		for (int i = 0; i < dim; i++)
		{
			if (quantizer == LIST_INT8)
				codes[(size_t) j * stride + (size_t) i] = (uint8_t) quant_random(&state);
			else if (quant_random(&state) & 1)
				codes[(size_t) j * stride + (size_t) i / 8] |= (uint8_t) (1 << i % 8);
		}
	}
	list_block_transpose(quantizer, dim, codes, stride, LIST_BLOCK, block);
	list_block_untranspose(quantizer, dim, block, LIST_BLOCK, back, stride);
	ok = memcmp(codes, back, LIST_BLOCK * stride) == 0;

	/* one by one, over what was there, in another order */
	memset(other, 0xa5, block_size);
	list_block_init(quantizer, dim, other, &terms);
	ok = ok && terms.offset[7] == INFINITY;
	memset(other, 0xa5, block_size);
	for (int k = 0; k < LIST_BLOCK; k++)
	{
		int			j = k * 5 % LIST_BLOCK;
		ListTerms	one = {(float) j, (float) -j, 1};
		ListTerms	read;

		list_block_put(quantizer, dim, other, &terms, j, &one, codes + (size_t) j * stride);
		list_block_get(quantizer, dim, other, &terms, j, &read, back);
		ok = ok && memcmp(&one, &read, sizeof(one)) == 0 &&
			memcmp(back, codes + (size_t) j * stride, size) == 0;
	}
	ok = ok && memcmp(block, other, block_size) == 0;

	/* places not filled are zero, so that pages compress and compare */
	list_block_transpose(quantizer, dim, codes, stride, 3, block);
	list_block_untranspose(quantizer, dim, block, LIST_BLOCK, back, stride);
	for (size_t i = 3 * stride; i < LIST_BLOCK * stride; i++)
		ok = ok && (i % stride >= size || back[i] == 0);
	free(codes);
	free(back);
	free(block);
	free(other);
	return ok;
}

static void
check_blocks(void)
{
	bool		ok = true;

	for (int dim = 1; dim < 80 && ok; dim++)
		ok = blocks_keep(LIST_RABITQ, dim) && blocks_keep(LIST_INT8, dim);
	report(ok && blocks_keep(LIST_RABITQ, 1999), "codes go into blocks and come back");
}

/*--- searches ------------------------------------------------------------*/

static int
compare(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return x < y ? -1 : x > y;
}

static void
check_best(void)
{
	bool		ok = true;

	for (int k = 1; k <= 40 && ok; k += 3)
	{
		ListBest	best;
		void	   *memory = aligned(list_best_size(k));
		float		all[200];
		int			n = k == 40 ? 17 : 200;

		list_best_init(&best, k, memory);
		for (int i = 0; i < n; i++)
		{
			all[i] = (float) (quant_random(&state) % 50);
			list_best_add(&best, all[i], (uint64_t) i);
		}
		list_best_sort(&best);
		for (int i = 0; i < best.n; i++)
			ok = ok && all[best.id[i]] == best.distance[i];
		qsort(all, (size_t) n, sizeof(float), compare);
		ok = ok && best.n == (k < n ? k : n) && memcmp(all, best.distance, (size_t) best.n * 4) == 0;
		free(memory);
	}
	report(ok, "the k nearest are kept");
}

static const float *
center_of(void *context, int i)
{
	const List *list = context;

	return list->rows + (size_t) i * (size_t) list->dim;
}

/* rows as centers: the search finds what comparing all finds, asking for few */
static void
check_centers(QuantMetric metric)
{
	enum
	{
		DIM = 128, N = 1000, PROBES = 20
	};
	List		list = make_list(metric, LIST_RABITQ, DIM, N, 1);
	float	   *q = malloc(DIM * sizeof(float));
	float	   *scratch = malloc(2 * (N + LIST_BLOCK) * sizeof(float));
	float	   *all = malloc(N * sizeof(float));
	void	   *memory = aligned(list_best_size(PROBES));
	ListBest	best;
	int			found = 0;
	int			asked = 0;
	char		name[100];

	/* centers are in nav space, their codes seen from its origin */
	for (int i = 0; i < N; i++)
		quant_map(list.model, list.rows + i * DIM, list.rows + i * DIM);
	memset(list.center, 0, DIM * sizeof(float));
	for (int i = 0; i < N; i++)
	{
		uint8_t    *block = list.block + (size_t) (i / LIST_BLOCK) * list_block_size(LIST_RABITQ, DIM);
		uint8_t		code[DIM / 8];
		ListTerms	terms;

		list_encode(list.model, LIST_RABITQ, list.rows + i * DIM, 0, list.center, &terms, code);
		list_block_put(LIST_RABITQ, DIM, block, list.terms + i / LIST_BLOCK, i % LIST_BLOCK,
					   &terms, code);
	}

	for (int t = 0; t < 20; t++)
	{
		for (int i = 0; i < DIM; i++)
			q[i] = (float) (0.7 + gauss());
		list_query_set(list.query, q);
		list_best_init(&best, PROBES, memory);
		asked += list_centers(list.query, list.block, list_block_size(LIST_RABITQ, DIM),
							  (const uint8_t *) list.terms, sizeof(ListBlockTerms), N,
							  LIST_EPSILON, center_of, &list, scratch, &best);
		for (int i = 0; i < N; i++)
			all[i] = list_center_distance(list.query, list.rows + i * DIM);
		qsort(all, N, sizeof(float), compare);
		for (int i = 0; i < best.n; i++)
			found += best.distance[i] <= all[PROBES - 1];
	}
	printf("# %d of %d centers asked for, %.1f %% of the nearest found\n", asked / 20, N,
		   found / (double) PROBES * 5);
	snprintf(name, sizeof(name), "nearest centers, %s", metric_name(metric));
	report(found >= 20 * PROBES * 97 / 100 && asked < 20 * N * 4 / 5, name);
	free(q);
	free(scratch);
	free(all);
	free(memory);
	list_free(&list);
}

int
main(void)
{
	vec_kernels_init();
	for (int i = 0; (table = vec_kernels_usable(i)) != NULL; i++)
	{
		vec_kernels = table;
		for (int m = QUANT_L2; m <= QUANT_COSINE; m++)
		{
			check_estimate((QuantMetric) m, LIST_RABITQ, 200);
			check_estimate((QuantMetric) m, LIST_INT8, 200);
			check_bounds((QuantMetric) m, LIST_RABITQ);
			check_bounds((QuantMetric) m, LIST_INT8);
		}
		check_estimate(QUANT_L2, LIST_RABITQ, 1030);
		check_bound_use();
		check_blocks();
		check_best();
		check_centers(QUANT_L2);
		check_centers(QUANT_IP);
	}
	printf("1..%d\n", ntests);
	return nfailed > 0;
}

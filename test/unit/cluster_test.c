/*-------------------------------------------------------------------------
 *
 * cluster_test.c
 *	  k-means: what it finds, what it makes of awkward data, and that the
 *	  result does not depend on who does the work.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster.h"
#include "kernels/kernels_isa.h"
#include "quant/quant.h"

static int	ntests = 0;
static int	nfailed = 0;
static uint64_t state = 4711;
static int	ticks = 0;

static void
report(bool passed, const char *property)
{
	ntests++;
	nfailed += !passed;
	printf("%s %d - %s: %s\n", passed ? "ok" : "not ok", ntests, vec_kernels->name, property);
}

static void
count_tick(void)
{
	ticks++;
}

static const ClusterRun plain_run = {NULL, NULL, count_tick, NULL, NULL};

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

static ClusterArea *
make_area(const ClusterConfig *config)
{
	size_t		size = (cluster_area_size(config) + 63) / 64 * 64;
	void	   *memory = aligned_alloc(64, size);

	memset(memory, 0xa5, size);
	return cluster_area_init(memory, config);
}

/* n rows around nspots points, unevenly many to each */
static void
draw_spots(float *rows, int n, int dim, int nspots, double spread)
{
	float	   *spot = malloc((size_t) nspots * (size_t) dim * sizeof(float));

	for (int i = 0; i < nspots * dim; i++)
		spot[i] = (float) gauss();
	for (int r = 0; r < n; r++)
	{
		int			s = (int) (uniform() * uniform() * nspots);

		for (int i = 0; i < dim; i++)
			rows[r * dim + i] = (float) (spot[s * dim + i] + spread * gauss());
	}
	free(spot);
}

static double
l2sq(const float *a, const float *b, int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
	return sum;
}

static int
nearest(const float *x, const float *centroids, int k, int dim, double *distance)
{
	int			best = 0;

	*distance = INFINITY;
	for (int c = 0; c < k; c++)
	{
		double		d = l2sq(x, centroids + (size_t) c * (size_t) dim, dim);

		if (d < *distance)
		{
			*distance = d;
			best = c;
		}
	}
	return best;
}

/* counts of the statistics are those of the lists, each row is in a real one */
static bool
lists_are_sound(const ClusterArea *area, int nrows, int k)
{
	const int32_t *list = cluster_lists(area);
	int		   *count = calloc((size_t) k + 1, sizeof(int));
	ClusterStats stats;
	int			smallest = nrows;
	int			largest = 0;
	bool		ok = true;

	for (int r = 0; r < nrows; r++)
	{
		ok = ok && list[r] >= 0 && list[r] < k;
		if (ok)
			count[list[r]]++;
	}
	for (int c = 0; c < k; c++)
	{
		smallest = count[c] < smallest ? count[c] : smallest;
		largest = count[c] > largest ? count[c] : largest;
	}
	cluster_stats(area, &stats);
	ok = ok && stats.lists == k && stats.smallest == smallest && stats.largest == largest &&
		smallest > 0;
	free(count);
	return ok;
}

/*--- quality -------------------------------------------------------------*/

/* ten passes of Lloyd's algorithm in double, from rows taken at equal distances */
static double
lloyd(const float *rows, int n, int dim, int k)
{
	float	   *centroid = malloc((size_t) k * (size_t) dim * sizeof(float));
	double	   *sum = malloc((size_t) k * (size_t) dim * sizeof(double));
	int		   *count = malloc((size_t) k * sizeof(int));
	double		inertia = 0;

	for (int c = 0; c < k; c++)
		memcpy(centroid + c * dim, rows + (size_t) ((int64_t) c * n / k) * (size_t) dim,
			   (size_t) dim * sizeof(float));
	for (int pass = 0; pass < 10; pass++)
	{
		inertia = 0;
		memset(sum, 0, (size_t) k * (size_t) dim * sizeof(double));
		memset(count, 0, (size_t) k * sizeof(int));
		for (int r = 0; r < n; r++)
		{
			double		d;
			int			c = nearest(rows + r * dim, centroid, k, dim, &d);

			inertia += d;
			count[c]++;
			for (int i = 0; i < dim; i++)
				sum[c * dim + i] += rows[r * dim + i];
		}
		for (int c = 0; c < k; c++)
		{
			for (int i = 0; i < dim && count[c] > 0; i++)
				centroid[c * dim + i] = (float) (sum[c * dim + i] / count[c]);
		}
	}
	free(centroid);
	free(sum);
	free(count);
	return inertia / n;
}

static void
test_quality(void)
{
	enum
	{
		DIM = 24, N = 6000, LISTS = 200
	};
	ClusterConfig config = {DIM, N, LISTS, false, 0, 0, 0, 1};
	ClusterArea *area = make_area(&config);
	float	   *rows = malloc(N * DIM * sizeof(float));
	const float **row = malloc(N * sizeof(*row));
	int32_t    *list = malloc(N * sizeof(int32_t));
	void	   *scratch;
	ClusterStats stats;
	double		inertia = 0;
	double		placed = 0;
	double		reference;
	int			same = 0;
	int			k;

	draw_spots(rows, N, DIM, 90, 0.4);
	memcpy(cluster_sample(area), rows, N * DIM * sizeof(float));
	ticks = 0;
	k = cluster_train(area, N, &plain_run);
	cluster_stats(area, &stats);
	reference = lloyd(rows, N, DIM, LISTS);

	for (int r = 0; r < N; r++)
		row[r] = rows + r * DIM;
	scratch = malloc(cluster_place_size(area, N));
	cluster_place(area, row, N, list, scratch);
	for (int r = 0; r < N; r++)
	{
		double		d;

		same += nearest(row[r], cluster_centroids(area), k, DIM, &d) == list[r];
		inertia += d;
		placed += l2sq(row[r], cluster_centroids(area) + list[r] * DIM, DIM);
	}
	printf("# inertia %.4f, placed %.4f, Lloyd's %.4f; %.1f %% placed in the nearest list; "
		   "largest %.2f means\n", inertia / N, placed / N, reference, 100.0 * same / N,
		   stats.largest / stats.mean);
	report(k == LISTS && lists_are_sound(area, N, k), "every row has a list");
	report(inertia / N < 1.05 * reference, "inertia is near that of Lloyd's algorithm");
	report(same > N * 97 / 100 && placed < 1.02 * inertia,
		   "rows are placed in the nearest list, or near it");
	report(stats.largest <= 4 * stats.mean + 2, "no list is too large");
	report(ticks > 50, "tick is called");
	free(area);
	free(rows);
	free(row);
	free(list);
	free(scratch);
}

/* separate spots: each list one of them */
static void
test_few(void)
{
	bool		ok = true;

	for (int k = 2; k <= 16 && ok; k++)
	{
		ClusterConfig config = {5, 40 * k, k, false, 0, 0, 0, (uint64_t) k};
		ClusterArea *area = make_area(&config);
		float	   *x = cluster_sample(area);
		const int32_t *list = cluster_lists(area);

		for (int r = 0; r < 40 * k; r++)
		{
			for (int i = 0; i < 5; i++)
				x[r * 5 + i] = (float) (100 * (((r % k + 1) >> i) & 1) + gauss());
		}
		ok = cluster_train(area, 40 * k, &plain_run) == k;
		for (int r = k; r < 40 * k; r++)
			ok = ok && list[r] == list[r % k];
		free(area);
	}
	report(ok, "2 to 16 separate spots are found");
}

/*--- who does the work ---------------------------------------------------*/

/* all pieces, the last first, each seen through a copy of the run */
static void
share_backwards(void *context, ClusterArea *area, const ClusterTask *task)
{
	ClusterRun	run = *(const ClusterRun *) context;

	for (int i = task->npieces - 1; i >= 0; i--)
		cluster_piece(area, task, i, &run);
}

static void
test_determinism(void)
{
	enum
	{
		DIM = 10, N = 3000
	};
	ClusterConfig config = {DIM, N, 150, false, 0, 0, 0, 5};
	ClusterRun	backwards = plain_run;
	float	   *rows = malloc(N * DIM * sizeof(float));
	ClusterArea *area[4];
	size_t		bytes = 150 * DIM * sizeof(float);
	size_t		moved = cluster_area_size(&config);

	backwards.share = share_backwards;
	backwards.share_context = &backwards;
	draw_spots(rows, N, DIM, 40, 0.3);
	for (int i = 0; i < 4; i++)
	{
		config.seed = i == 3 ? 6 : 5;
		area[i] = make_area(&config);
		memcpy(cluster_sample(area[i]), rows, N * DIM * sizeof(float));
		cluster_train(area[i], N, i == 1 ? &backwards : &plain_run);
	}
	report(memcmp(cluster_centroids(area[0]), cluster_centroids(area[2]), bytes) == 0,
		   "the same seed gives the same centroids");
	report(memcmp(cluster_centroids(area[0]), cluster_centroids(area[1]), bytes) == 0 &&
		   memcmp(cluster_lists(area[0]), cluster_lists(area[1]), N * sizeof(int32_t)) == 0,
		   "so do pieces in another order");
	report(memcmp(cluster_centroids(area[0]), cluster_centroids(area[3]), bytes) != 0,
		   "another seed gives others");

	/* mapped elsewhere, the area says the same */
	memcpy(area[1], area[0], moved);
	memset(area[0], 0x5a, moved);
	report(memcmp(cluster_centroids(area[1]), cluster_centroids(area[2]), bytes) == 0,
		   "the area may move");
	for (int i = 0; i < 4; i++)
		free(area[i]);
	free(rows);
}

/*--- awkward data --------------------------------------------------------*/

static bool
finite_centroids(const ClusterArea *area, int k, int dim)
{
	for (int i = 0; i < k * dim; i++)
	{
		if (!isfinite(cluster_centroids(area)[i]))
			return false;
	}
	return true;
}

/* "distinct" different rows among n; how many lists there are */
static int
lists_of(int n, int distinct, int lists, int dim, bool spherical, double scale, double *inertia)
{
	ClusterConfig config = {dim, n > 0 ? n : 1, lists, spherical, 0, 0, 0, 3};
	ClusterArea *area = make_area(&config);
	float	   *kind = malloc((size_t) distinct * (size_t) dim * sizeof(float));
	ClusterStats stats;
	int			k;

	for (int i = 0; i < distinct * dim; i++)
		kind[i] = (float) (scale * gauss());
	for (int r = 0; r < n; r++)
	{
		/* most rows are the first kind */
		int			which = r < distinct ? r : uniform() < 0.8 ? 0 : (int) (uniform() * distinct);

		memcpy(cluster_sample(area) + (size_t) r * (size_t) dim,
			   kind + (size_t) which * (size_t) dim, (size_t) dim * sizeof(float));
	}
	k = cluster_train(area, n, &plain_run);
	cluster_stats(area, &stats);
	if (!finite_centroids(area, k, dim) || (n > 0 && !lists_are_sound(area, n, k)))
		k = -1;
	*inertia = stats.inertia;
	free(kind);
	free(area);
	return k;
}

static void
test_awkward(void)
{
	double		inertia;
	int			k;

	report(lists_of(0, 1, 10, 4, false, 1, &inertia) == 0, "no rows: no lists");
	report(lists_of(1, 1, 10, 4, false, 1, &inertia) == 1, "one row");
	report(lists_of(7, 7, 100, 4, false, 1, &inertia) == 7, "fewer rows than lists");
	report(lists_of(5000, 1, 300, 8, false, 1, &inertia) == 1, "all rows equal");
	report(lists_of(5000, 1, 5, 8, true, 1, &inertia) == 1, "all rows equal, spherical");
	k = lists_of(5000, 37, 200, 8, false, 1, &inertia);
	printf("# %d lists of 37 different rows, inertia %g\n", k, inertia);
	report(k >= 36 && k <= 37, "fewer different rows than lists");
	k = lists_of(8000, 2000, 300, 8, false, 1, &inertia);
	report(k == 300, "most rows equal: still all lists");
	k = lists_of(3000, 2000, 100, 8, false, 1e30, &inertia);
	report(k == 100 && inertia > 0, "huge numbers");
	k = lists_of(3000, 2000, 100, 8, false, 1e-30, &inertia);
	report(k == 100, "tiny numbers");
	k = lists_of(3000, 2000, 100, 1, false, 1, &inertia);
	report(k == 100, "one dimension");
}

static void
test_spherical(void)
{
	enum
	{
		DIM = 16, N = 2000, LISTS = 80
	};
	ClusterConfig config = {DIM, N, LISTS, true, 0, 0, 0, 1};
	ClusterArea *area = make_area(&config);
	float	   *rows = malloc(2 * N * DIM * sizeof(float));
	const float **row = malloc(2 * N * sizeof(*row));
	int32_t    *list = malloc(2 * N * sizeof(int32_t));
	void	   *scratch;
	bool		ok = true;
	int			k;

	draw_spots(rows, N, DIM, 60, 0.3);
	memset(rows, 0, DIM * sizeof(float));
	memcpy(cluster_sample(area), rows, N * DIM * sizeof(float));
	k = cluster_train(area, N, &plain_run);
	for (int c = 0; c < k; c++)
		ok = ok && fabs(vec_kernels->normsq_f32(cluster_centroids(area) + c * DIM, DIM) - 1) < 1e-5;
	report(k == LISTS && ok, "spherical centroids have length 1");

	for (int i = 0; i < N * DIM; i++)
		rows[N * DIM + i] = 64 * rows[i];
	for (int r = 0; r < 2 * N; r++)
		row[r] = rows + r * DIM;
	scratch = malloc(cluster_place_size(area, 2 * N));
	cluster_place(area, row, 2 * N, list, scratch);
	report(memcmp(list, list + N, N * sizeof(int32_t)) == 0, "length does not matter to them");
	free(area);
	free(rows);
	free(row);
	free(list);
	free(scratch);
}

/* a dense spot holds half of all rows: it must be cut */
static void
test_balance(void)
{
	enum
	{
		DIM = 8, N = 20000, LISTS = 100
	};
	ClusterConfig config = {DIM, N, LISTS, false, 0, 0, 2.5f, 1};
	ClusterArea *area = make_area(&config);
	float	   *x = cluster_sample(area);
	ClusterStats stats;

	for (int r = 0; r < N; r++)
	{
		double		spread = r % 2 ? 0.01 : 1;

		for (int i = 0; i < DIM; i++)
			x[r * DIM + i] = (float) (spread * gauss() + (r % 2 ? 2 : 0));
	}
	cluster_train(area, N, &plain_run);
	cluster_stats(area, &stats);
	printf("# largest list %.2f means, smallest %.2f\n", stats.largest / stats.mean,
		   stats.smallest / stats.mean);
	report(stats.largest <= 3 * stats.mean, "a dense spot is shared by lists");
	free(area);
}

/* what the caller brings is kept as it is, and rows are placed by it */
static void
test_adopt(void)
{
	enum
	{
		DIM = 12, LISTS = 300
	};
	ClusterConfig config = {DIM, LISTS, LISTS, false, 0, 1000, 0, 1};
	ClusterArea *area = make_area(&config);
	float	   *rows = malloc(LISTS * DIM * sizeof(float));
	const float *row[LISTS];
	int32_t		list[LISTS];
	void	   *scratch = malloc(cluster_place_size(area, LISTS));
	bool		ok = true;

	draw_spots(rows, LISTS, DIM, LISTS, 0.5);
	memcpy(cluster_sample(area), rows, LISTS * DIM * sizeof(float));
	ok = cluster_adopt(area, LISTS, &plain_run) == LISTS &&
		memcmp(cluster_centroids(area), rows, LISTS * DIM * sizeof(float)) == 0;
	for (int r = 0; r < LISTS; r++)
		row[r] = rows + r * DIM;
	cluster_place(area, row, LISTS, list, scratch);
	for (int r = 0; r < LISTS; r++)
		ok = ok && list[r] == r;
	report(ok, "centroids that the caller brings");
	free(area);
	free(rows);
	free(scratch);
}

/*--- other metrics -------------------------------------------------------*/

/* bit strings of 64: Hamming distance, majority vote */
typedef struct Bits
{
	uint64_t	row[2000];
	uint64_t	centroid[100];
} Bits;

static void
bits_copy_row(void *context, int centroid, int row)
{
	((Bits *) context)->centroid[centroid] = ((Bits *) context)->row[row];
}

static void
bits_copy_centroid(void *context, int centroid, int from)
{
	((Bits *) context)->centroid[centroid] = ((Bits *) context)->centroid[from];
}

static void
bits_mean(void *context, int centroid, const int32_t *rows, int n)
{
	Bits	   *bits = context;
	uint64_t	mean = 0;

	for (int b = 0; b < 64; b++)
	{
		int			count = 0;

		for (int i = 0; i < n; i++)
			count += bits->row[rows[i]] >> b & 1;
		mean |= (uint64_t) (count * 2 > n) << b;
	}
	bits->centroid[centroid] = mean;
}

static double
bits_distance(void *context, int centroid, int row)
{
	Bits	   *bits = context;

	return __builtin_popcountll(bits->centroid[centroid] ^ bits->row[row]);
}

static double
bits_between(void *context, int a, int b)
{
	Bits	   *bits = context;

	return __builtin_popcountll(bits->centroid[a] ^ bits->centroid[b]);
}

static void
test_ops(void)
{
	static const ClusterOps ops = {bits_copy_row, bits_copy_centroid, bits_mean, bits_distance,
		bits_between};
	static Bits bits;
	ClusterConfig config = {0, 2000, 70, false, 0, 0, 0, 1};
	ClusterRun	run = {&ops, &bits, count_tick, NULL, NULL};
	ClusterArea *area = make_area(&config);
	ClusterStats stats;
	int			k;

	/* 70 spots, three of 64 bits off; between spots about 32 */
	for (int r = 0; r < 2000; r++)
	{
		uint64_t	seed = (uint64_t) (r % 70);

		bits.row[r] = quant_random(&seed);
		for (int i = 0; i < 3; i++)
			bits.row[r] ^= UINT64_C(1) << (quant_random(&state) & 63);
	}
	k = cluster_train(area, 2000, &run);
	cluster_stats(area, &stats);
	printf("# %d lists of bits, mean distance %.2f\n", k, stats.inertia);
	report(cluster_ops_centroids(&config) <= 100 && k == 70 && lists_are_sound(area, 2000, k) &&
		   stats.inertia < 6, "rows that are no floats");
	free(area);
}

int
main(void)
{
	const VecKernels *table;

	vec_kernels_init();
	for (int i = 0; (table = vec_kernels_usable(i)) != NULL; i++)
	{
		vec_kernels = table;
		test_quality();
		test_few();
		test_determinism();
		test_awkward();
		test_spherical();
		test_balance();
		test_adopt();
	}
	test_ops();
	printf("1..%d\n", ntests);
	return nfailed > 0;
}

/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  Training, recall and cost of the list index's core, without a server.
 *
 * Trains centroids, encodes every vector and searches the blocks by the code
 * that will search buffers; pages are counted as they would lie in an index.
 *
 *	lists [options] base query metric		metric: l2, ip, cosine
 *
 * bench/README.md says what the options and figures mean.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "cluster/cluster.h"
#include "quant/list.h"
#include "train.h"

#define PAGE_BYTES		8168	/* of a page of 8192, less its header */
#define TID_BYTES		8
#define BATCH			4096

typedef struct Options
{
	int			lists;
	int			per_list;		/* rows of the sample */
	int			passes;
	int			reach;
	float		balance;
	float		epsilon;
	double		pin_ns;
	int			limit;
	int			repeat;
	bool		spherical;		/* train on the vectors themselves, at length 1 */
	bool		raw;
	const char *cache;
	const char *quantizer;
} Options;

typedef struct Index
{
	const Options *options;
	const Vectors *base;
	QuantMetric metric;
	QuantModel *model;
	int			nlists;
	float	   *center;			/* nav space */
	int32_t    *list;			/* of each row */
	float	   *nav;			/* of all rows */
	float	   *slack;
	int32_t    *start;			/* of each list in "row", and one more */
	int32_t    *row;
	/* of one quantizer */
	ListQuantizer quantizer;
	size_t		block_size;
	uint8_t    *block;
	ListBlockTerms *terms;
	int32_t    *first_block;	/* of each list, and one more */
	float	   *sorted;			/* none: rows of a list together */
	/* centers as codes */
	uint8_t    *center_block;
	ListBlockTerms *center_terms;
	uint64_t	npages;
	uint64_t	nexact;
	uint64_t	ncenters;
} Index;

static double
cpu(void)
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/*--- building ------------------------------------------------------------*/

static QuantModel *
make_model(const Vectors *base, QuantMetric metric)
{
	QuantConfig config = {base->dim, metric, 0, -1, 42};

	return train_model(&config, base, 7);
}

static void
map_rows(Index *index)
{
	size_t		dim = (size_t) index->base->dim;

	index->nav = get_memory((size_t) index->base->n * dim * sizeof(float));
	index->slack = malloc((size_t) index->base->n * sizeof(float));
	for (int i = 0; i < index->base->n; i++)
		index->slack[i] = quant_map(index->model, row_of(index->base, (uint32_t) i),
									index->nav + (size_t) i * dim);
}

/* mean squared distance of all rows to their centers, in SQL's unit */
static double
inertia_of(const Index *index)
{
	size_t		dim = (size_t) index->base->dim;
	double		sum = 0;

	for (int i = 0; i < index->base->n; i++)
		sum += vec_kernels->l2sq_f32(index->nav + (size_t) i * dim,
									 index->center + (size_t) index->list[i] * dim, (int) dim);
	return sum / index->base->n / ((double) index->model->scale * index->model->scale);
}

static void
place_rows(Index *index, const ClusterArea *area, const float *rows)
{
	size_t		dim = (size_t) index->base->dim;
	const float *pointer[BATCH];
	void	   *scratch = malloc(cluster_place_size(area, BATCH));

	for (int i = 0; i < index->base->n; i += BATCH)
	{
		int			n = index->base->n - i < BATCH ? index->base->n - i : BATCH;

		for (int j = 0; j < n; j++)
			pointer[j] = rows + (size_t) (i + j) * dim;
		cluster_place(area, pointer, n, index->list + i, scratch);
	}
	free(scratch);
}

static void
train(Index *index)
{
	const Options *o = index->options;
	int			n = index->base->n;
	size_t		dim = (size_t) index->base->dim;
	const float *rows = o->spherical ? index->base->x : index->nav;
	ClusterConfig config = {(int) dim, 0, o->lists, o->spherical, o->passes, o->reach,
		o->balance, 42};
	ClusterRun	run = {NULL, NULL, no_tick, NULL, NULL};
	ClusterArea *area;
	ClusterStats stats;
	uint64_t	state = 99;
	double		start;
	double		trained;
	int			smallest = n;
	int			largest = 0;

	config.rows = o->lists * o->per_list < n ? o->lists * o->per_list : n;
	area = cluster_area_init(get_memory(cluster_area_size(&config)), &config);
	for (int i = 0; i < config.rows; i++)
	{
		/* one of each of "rows" equal parts */
		int			from = (int) ((double) n * i / config.rows);
		int			to = (int) ((double) n * (i + 1) / config.rows);

		from += (int) (quant_random(&state) % (uint64_t) (to > from ? to - from : 1));
		memcpy(cluster_sample(area) + (size_t) i * dim, rows + (size_t) from * dim,
			   dim * sizeof(float));
	}
	start = cpu();
	index->nlists = cluster_train(area, config.rows, &run);
	trained = cpu();
	cluster_stats(area, &stats);

	index->list = malloc((size_t) n * sizeof(int32_t));
	index->center = malloc((size_t) index->nlists * dim * sizeof(float));
	memcpy(index->center, cluster_centroids(area), (size_t) index->nlists * dim * sizeof(float));
	place_rows(index, area, rows);
	printf("train %.2f s (%d rows, %d lists, %d splits), place all %.2f s\n", trained - start,
		   config.rows, index->nlists, stats.splits, cpu() - trained);
	if (o->spherical)
	{
		for (int i = 0; i < index->nlists; i++)
			quant_map(index->model, index->center + (size_t) i * dim,
					  index->center + (size_t) i * dim);
	}

	index->start = calloc((size_t) index->nlists + 1, sizeof(int32_t));
	index->row = malloc((size_t) n * sizeof(int32_t));
	for (int i = 0; i < n; i++)
		index->start[index->list[i] + 1]++;
	for (int i = 0; i < index->nlists; i++)
	{
		int			count = index->start[i + 1];

		smallest = count < smallest ? count : smallest;
		largest = count > largest ? count : largest;
		index->start[i + 1] += index->start[i];
	}
	for (int i = 0; i < n; i++)
		index->row[index->start[index->list[i]]++] = i;
	memmove(index->start + 1, index->start, (size_t) index->nlists * sizeof(int32_t));
	index->start[0] = 0;
	printf("inertia %.6g sample, %.6g all; lists of %d to %d rows, largest %.2f means "
		   "(sample: %d to %d)\n", stats.inertia, inertia_of(index), smallest, largest,
		   (double) largest * index->nlists / n, stats.smallest, stats.largest);
	munmap(area, cluster_area_size(&config));
}

static void
encode_centers(Index *index)
{
	int			dim = index->base->dim;
	int			nblocks = (index->nlists + LIST_BLOCK - 1) / LIST_BLOCK;
	float	   *zero = calloc((size_t) dim, sizeof(float));
	uint8_t    *code = malloc(list_code_size(LIST_RABITQ, dim));
	size_t		size = list_block_size(LIST_RABITQ, dim);

	index->center_block = malloc((size_t) nblocks * size);
	index->center_terms = malloc((size_t) nblocks * sizeof(ListBlockTerms));
	for (int i = 0; i < index->nlists; i++)
	{
		uint8_t    *block = index->center_block + (size_t) (i / LIST_BLOCK) * size;
		ListTerms	terms;

		if (i % LIST_BLOCK == 0)
			list_block_init(LIST_RABITQ, dim, block, index->center_terms + i / LIST_BLOCK);
		list_encode(index->model, LIST_RABITQ, index->center + (size_t) i * (size_t) dim, 0, zero,
					&terms, code);
		list_block_put(LIST_RABITQ, dim, block, index->center_terms + i / LIST_BLOCK,
					   i % LIST_BLOCK, &terms, code);
	}
	free(zero);
	free(code);
}

/* all rows as codes of one quantizer; returns seconds */
static double
encode(Index *index, ListQuantizer quantizer)
{
	size_t		dim = (size_t) index->base->dim;
	uint8_t    *code = malloc(list_code_size(quantizer, (int) dim) + 1);
	int			nblocks = 0;
	double		start = cpu();

	index->quantizer = quantizer;
	index->block_size = list_block_size(quantizer, (int) dim);
	index->first_block = malloc(((size_t) index->nlists + 1) * sizeof(int32_t));
	for (int i = 0; i < index->nlists; i++)
	{
		index->first_block[i] = nblocks;
		nblocks += (index->start[i + 1] - index->start[i] + LIST_BLOCK - 1) / LIST_BLOCK;
	}
	index->first_block[index->nlists] = nblocks;

	if (quantizer == LIST_NONE)
	{
		index->sorted = get_memory((size_t) index->base->n * dim * sizeof(float));
		for (int i = 0; i < index->base->n; i++)
			memcpy(index->sorted + (size_t) i * dim,
				   row_of(index->base, (uint32_t) index->row[i]), dim * sizeof(float));
		return cpu() - start;
	}

	index->block = get_memory((size_t) nblocks * index->block_size);
	index->terms = get_memory((size_t) nblocks * sizeof(ListBlockTerms));
	for (int l = 0; l < index->nlists; l++)
	{
		for (int i = index->start[l]; i < index->start[l + 1]; i++)
		{
			int			b = index->first_block[l] + (i - index->start[l]) / LIST_BLOCK;
			int			place = (i - index->start[l]) % LIST_BLOCK;
			size_t		row = (size_t) index->row[i];
			ListTerms	terms;

			if (place == 0)
				list_block_init(quantizer, (int) dim, index->block + (size_t) b * index->block_size,
								index->terms + b);
			list_encode(index->model, quantizer, index->nav + row * dim, index->slack[row],
						index->center + (size_t) l * dim, &terms, code);
			list_block_put(quantizer, (int) dim, index->block + (size_t) b * index->block_size,
						   index->terms + b, place, &terms, code);
		}
	}
	free(code);
	return cpu() - start;
}

static double
bytes_per_row(const Index *index)
{
	double		blocks = index->first_block[index->nlists];

	if (index->quantizer == LIST_NONE)
		return index->base->dim * 4.0 + TID_BYTES;
	return blocks * (double) (index->block_size + sizeof(ListBlockTerms) + LIST_BLOCK * TID_BYTES) /
		index->base->n;
}

/*--- searching -----------------------------------------------------------*/

typedef struct Search
{
	Index	   *index;
	const float *q;
	ListQuery  *query;
	ListBest	lists;
	ListBest	best;
	float	   *scratch;
	float		unit;			/* list distances are those of rows times this */
} Search;

static const float *
get_center(void *context, int i)
{
	Search	   *search = context;

	search->index->npages += search->index->base->dim * 4 / PAGE_BYTES + 1;
	return search->index->center + (size_t) i * (size_t) search->index->base->dim;
}

static void
count_pages(Index *index, int rows)
{
	double		each = index->quantizer == LIST_NONE ? index->base->dim * 4.0 + TID_BYTES :
		(double) (index->block_size + sizeof(ListBlockTerms)) / LIST_BLOCK + TID_BYTES;

	index->npages += (uint64_t) (rows * each / PAGE_BYTES) + 1;
}

static void
scan_floats(Search *search, int list)
{
	Index	   *index = search->index;
	size_t		dim = (size_t) index->base->dim;
	float		distance[LIST_BLOCK];

	for (int i = index->start[list]; i < index->start[list + 1]; i += LIST_BLOCK)
	{
		int			n = index->start[list + 1] - i < LIST_BLOCK ? index->start[list + 1] - i :
			LIST_BLOCK;

		list_floats(index->metric, search->q, index->sorted + (size_t) i * dim, dim, n, (int) dim,
					distance);
		for (int j = 0; j < n; j++)
			list_best_add(&search->best, distance[j] * search->unit, (uint64_t) index->row[i + j]);
	}
}

static void
scan_codes(Search *search, int list)
{
	Index	   *index = search->index;
	size_t		dim = (size_t) index->base->dim;
	int			nrows = index->start[list + 1] - index->start[list];
	ListPlace	place;

	list_place(search->query, index->center + (size_t) list * dim, index->options->epsilon,
			   &place);
	for (int i = 0; i < nrows; i += LIST_BLOCK)
	{
		size_t		b = (size_t) (index->first_block[list] + i / LIST_BLOCK);
		float		estimate[LIST_BLOCK];
		float		lower[LIST_BLOCK];
		uint32_t	mask = list_scan(search->query, &place, list_best_threshold(&search->best),
									 index->block + b * index->block_size, index->terms + b,
									 nrows - i < LIST_BLOCK ? nrows - i : LIST_BLOCK,
									 estimate, lower);

		for (; mask != 0; mask &= mask - 1)
		{
			int			j = __builtin_ctz(mask);
			uint32_t	row = (uint32_t) index->row[index->start[list] + i + j];

			/* the threshold may have come down since */
			if (lower[j] >= list_best_threshold(&search->best))
				continue;
			index->nexact++;
			list_best_add(&search->best, search->unit *
						  exact_distance(index->metric, search->q, row_of(index->base, row),
										 (int) dim), row);
		}
	}
}

static void
search_one(Search *search, const float *q, int probes)
{
	Index	   *index = search->index;

	search->q = q;
	list_query_set(search->query, q);
	search->unit = index->metric == QUANT_IP ? (float) search->query->unit :
		index->model->scale * index->model->scale;
	search->lists.k = probes;
	search->lists.n = 0;
	search->best.n = 0;
	index->ncenters += (uint64_t) list_centers(search->query, index->center_block,
											   list_block_size(LIST_RABITQ, index->base->dim),
											   (const uint8_t *) index->center_terms,
											   sizeof(ListBlockTerms), index->nlists,
											   LIST_EPSILON, get_center, search, search->scratch,
											   &search->lists);
	index->npages += (uint64_t) index->nlists *
		(list_code_size(LIST_RABITQ, index->base->dim) + 12) / PAGE_BYTES + 1;
	for (int i = 0; i < search->lists.n; i++)
	{
		int			list = (int) search->lists.id[i];

		count_pages(index, index->start[list + 1] - index->start[list]);
		if (index->quantizer == LIST_NONE)
			scan_floats(search, list);
		else
			scan_codes(search, list);
	}
	list_best_sort(&search->best);
}

static double
recall_of(const Search *search, const float *nearest)
{
	int			found = 0;

	for (int i = 0; i < search->best.n; i++)
		found += search->best.distance[i] / search->unit <=
			nearest[K - 1] + 2e-6f * fabsf(nearest[K - 1]);
	return found / (double) K;
}

static void
run_queries(Index *index, const Vectors *query, const float *nearest)
{
	static const double target[3] = {0.90, 0.95, 0.99};
	const Options *o = index->options;
	ListQuantizer table = index->quantizer;
	static const char *const name[] = {"none", "int8", "rabitq"};
	Search		search = {0};
	double		last_recall = 0;
	double		last_us = 0;
	int			t = 0;

	search.index = index;
	search.query = list_query_init(index->model, table,
								   aligned_alloc(64, (list_query_size(index->model, table) + 63) / 64 * 64));
	search.scratch = malloc((size_t) (index->nlists + LIST_BLOCK) * 2 * sizeof(float));
	list_best_init(&search.lists, index->nlists, malloc(list_best_size(index->nlists)));
	list_best_init(&search.best, K, malloc(list_best_size(K)));

	for (int probes = 1; t < 3 && probes <= index->nlists;
		 probes = probes < 4 ? probes + 1 : probes * 5 / 4)
	{
		double		recall = 0;
		double		best = 1e30;
		double		us;

		for (int r = 0; r < o->repeat; r++)
		{
			double		start = cpu();

			recall = 0;
			index->npages = index->nexact = index->ncenters = 0;
			for (int i = 0; i < query->n; i++)
			{
				search_one(&search, row_of(query, (uint32_t) i), probes);
				recall += recall_of(&search, nearest + (size_t) i * K);
			}
			best = fmin(best, cpu() - start);
		}
		recall /= query->n;
		index->npages += index->nexact;
		us = best / query->n * 1e6 + (double) index->npages / query->n * o->pin_ns / 1000;
		if (o->raw)
			printf("%-6s probes %5d recall %.4f cpu %7.1f us, with pins %7.1f, pages %.0f, "
				   "exact %.1f, centers %.1f\n", name[index->quantizer], probes, recall,
				   best / query->n * 1e6, us, (double) index->npages / query->n,
				   (double) index->nexact / query->n, (double) index->ncenters / query->n);
		for (; t < 3 && recall >= target[t]; t++)
		{
			double		part = last_us == 0 ? 1 : (target[t] - last_recall) / (recall - last_recall);

			printf("%-6s %6.0f bytes/vector  recall %.2f  probes <= %4d  %7.1f us  (pages %.0f, "
				   "exact %.1f)\n", name[index->quantizer], bytes_per_row(index), target[t], probes,
				   last_us == 0 ? us : last_us + part * (us - last_us),
				   (double) index->npages / query->n, (double) index->nexact / query->n);
		}
		last_recall = recall;
		last_us = us;
	}
	fflush(stdout);
}

/*--- main ----------------------------------------------------------------*/

static void
read_options(int argc, char **argv, Options *o)
{
	static const struct option names[] = {
		{"lists", 1, NULL, 'l'}, {"per-list", 1, NULL, 's'}, {"passes", 1, NULL, 'p'},
		{"reach", 1, NULL, 'r'}, {"balance", 1, NULL, 'b'}, {"epsilon", 1, NULL, 'e'},
		{"pin-ns", 1, NULL, 'n'}, {"limit", 1, NULL, 'm'}, {"repeat", 1, NULL, 't'},
		{"spherical", 0, NULL, 'S'}, {"raw", 0, NULL, 'R'}, {"cache", 1, NULL, 'c'},
		{"quantizer", 1, NULL, 'q'}, {"simd", 1, NULL, 'i'}, {NULL, 0, NULL, 0}
	};
	int			c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
	{
		switch (c)
		{
			case 'l': o->lists = atoi(optarg); break;
			case 's': o->per_list = atoi(optarg); break;
			case 'p': o->passes = atoi(optarg); break;
			case 'r': o->reach = atoi(optarg); break;
			case 'b': o->balance = (float) atof(optarg); break;
			case 'e': o->epsilon = (float) atof(optarg); break;
			case 'n': o->pin_ns = atof(optarg); break;
			case 'm': o->limit = atoi(optarg); break;
			case 't': o->repeat = atoi(optarg); break;
			case 'S': o->spherical = true; break;
			case 'R': o->raw = true; break;
			case 'c': o->cache = optarg; break;
			case 'q': o->quantizer = optarg; break;
			case 'i':
				vec_kernels = vec_kernels_find(optarg);
				if (vec_kernels == NULL)
					die("no %s here", optarg);
				break;
			default: exit(2);
		}
	}
}

int
main(int argc, char **argv)
{
	static const char *const names[] = {"none", "int8", "rabitq"};
	Options		o = {0, 50, 0, 0, 0, LIST_EPSILON, 200, 100000000, 2, false, false, ".", NULL};
	Index		index = {0};
	Vectors		base;
	Vectors		query;
	float	   *nearest;
	double		start;

	vec_kernels_init();
	read_options(argc, argv, &o);
	if (argc - optind != 3)
		die("usage: lists [options] base query l2|ip|cosine");
	index.metric = strcmp(argv[optind + 2], "ip") == 0 ? QUANT_IP :
		strcmp(argv[optind + 2], "cosine") == 0 ? QUANT_COSINE : QUANT_L2;
	base = load(argv[optind], o.limit);
	query = load(argv[optind + 1], MAX_QUERIES);
	if (base.dim != query.dim)
		die("dimensions differ");
	if (index.metric == QUANT_COSINE)
	{
		normalise(&base);
		normalise(&query);
	}
	if (o.lists == 0)
		o.lists = (int) (2 * sqrt((double) base.n));
	printf("%d x %d, %d queries, %d lists, %s\n", base.n, base.dim, query.n, o.lists,
		   vec_kernels->name);
	nearest = exact_answers(&base, &query, index.metric, o.cache);

	index.options = &o;
	index.base = &base;
	index.model = make_model(&base, index.metric);
	start = cpu();
	map_rows(&index);
	printf("map %.2f s\n", cpu() - start);
	train(&index);
	encode_centers(&index);
	for (int i = LIST_NONE; i <= LIST_RABITQ; i++)
	{
		if (o.quantizer != NULL && strcmp(o.quantizer, names[i]) != 0)
			continue;
		printf("encode %s %.2f s\n", names[i], encode(&index, (ListQuantizer) i));
		if (o.pin_ns >= 0)
			run_queries(&index, &query, nearest);
	}
	return 0;
}

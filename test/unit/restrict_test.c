/*-------------------------------------------------------------------------
 *
 * restrict_test.c
 *	  The search of which only some nodes are results, against all rows.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include "graph_index.h"

#include "graph/restrict.h"

#define QUERIES	50

/* by row: whether it may be returned */
static uint8_t *accepted;

static inline bool
slot_accepted(const Index *index, const uint8_t *slot)
{
	uint32_t	row;

	memcpy(&row, slot_head(slot)->tid, sizeof(row));
	return row < (uint32_t) index->n && accepted[row];
}

#define GS_NAME(name)			test_##name
#define GS_CONTEXT				const Index
#define GS_PIN(index, id)		pin_slot(index, id)
#define GS_UNPIN(index, id)		((void) (id))
#define GS_PREFETCH(index, id)	((void) (id))
#define GS_DISTANCE(index, code)	code_distance(index, code)
#define GS_PIN_UPPER(index, id)	pin_upper(index, id)
#define GS_UNPIN_UPPER(index, id)	((void) (id))
#define GS_ACCEPTS(index, slot)	slot_accepted(index, slot)
#include "graph/search_tmpl.h"
#include "graph/restrict_tmpl.h"

/*--- sets of rows --------------------------------------------------------*/

typedef enum Kind
{
	RANDOM,						/* any */
	NEAR,						/* the nearest to the query: all that is found is accepted */
	CLUSTERS					/* of whole clusters, mostly not the query's */
} Kind;

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return x < y ? -1 : x > y;
}

/* accept about a part of the rows; of CLUSTERS, those near some rows other than the query */
static void
choose(const Index *index, const float *q, Kind kind, double part, uint64_t seed)
{
	size_t		n = (size_t) index->n;
	float	   *far = malloc(n * sizeof(float));
	float	   *sorted = malloc(n * sizeof(float));
	const float *from = q;
	float		limit;

	if (kind == CLUSTERS)
		from = index->x + quant_random(&seed) % n * (size_t) index->dim;
	for (size_t i = 0; i < n; i++)
	{
		if (kind == RANDOM)
			far[i] = (float) (quant_random(&seed) >> 40);
		else
			far[i] = vec_kernels->l2sq_f32(from, index->x + i * (size_t) index->dim, index->dim);
	}
	memcpy(sorted, far, n * sizeof(float));
	qsort(sorted, n, sizeof(float), compare_floats);
	limit = sorted[(size_t) ((double) (n - 1) * part)];
	for (size_t i = 0; i < n; i++)
		accepted[i] = far[i] <= limit;
	free(far);
	free(sorted);
}

/* distance of the K-th nearest accepted row, and how many there are up to it */
static double
kth_accepted(const Index *index, const float *q, int *count)
{
	double		nearest[K];
	int			n = 0;

	for (int i = 0; i < index->n; i++)
	{
		double		d = true_distance(index, q, (uint32_t) i);
		int			j;

		if (!accepted[i] || (n == K && d >= nearest[K - 1]))
			continue;
		j = n < K ? n++ : K - 1;
		for (; j > 0 && nearest[j - 1] > d; j--)
			nearest[j] = nearest[j - 1];
		nearest[j] = d;
	}
	*count = n;
	return nearest[n - 1];
}

/*--- searches ------------------------------------------------------------*/

typedef struct Searches
{
	RestrictedSearch search;
	void	   *memory;
	QuantQuery *query;
	void	   *query_memory;
	uint32_t	candidates;
} Searches;

static void
searches_init(Searches *s, Index *index, uint32_t candidates)
{
	memset(s, 0, sizeof(*s));
	s->candidates = candidates;
	s->memory = malloc(restricted_size(candidates, (int) candidates / 4));
	restricted_init(&s->search, candidates, (int) candidates / 4, s->memory);
	if (index->model != NULL)
	{
		s->query_memory = malloc(quant_query_size(index->model));
		s->query = quant_query_init(index->model, s->query_memory);
	}
	index->query = s->query;
}

static void
searches_free(Searches *s)
{
	free(s->memory);
	free(s->query_memory);
}

static void
start(Searches *s, Index *index, const float *q)
{
	index->exact_query = q;
	if (s->query != NULL)
		quant_query_set(s->query, q);
	restricted_start(&s->search, &index->layout, s->query, 30);
	s->search.max_nodes = UINT32_MAX;
	if (s->query != NULL && index->entry != NULL)
		search_from_entry(&s->search.base, index->entry, index->entry_bytes);
	else
		test_descend(&s->search.base, index, index->upper_entry, index->upper_level);
}

/* run, with as much memory as it takes; the number of times it had to grow */
static int
run(Searches *s, const Index *index, double wanted, RestrictedEnd *end)
{
	int			grown = 0;

	s->search.wanted = wanted;
	while ((*end = test_run_restricted(&s->search, index)) == RESTRICTED_ROOM)
	{
		void	   *old = s->memory;

		s->candidates *= 2;
		s->memory = malloc(restricted_size(s->candidates, (int) s->candidates / 4));
		restricted_grow(&s->search, s->candidates, (int) s->candidates / 4, s->memory);
		free(old);
		grown++;
	}
	return grown;
}

/* how many results are among the K nearest accepted rows; -1 if one is not accepted */
static int
count_hits(const Searches *s, const Index *index, const float *q, double limit)
{
	const GraphSearch *base = &s->search.base;
	int			hits = 0;

	for (int i = 0; i < base->nresults; i++)
	{
		uint32_t	row = (uint32_t) graph_row(&index->graph, base->results[i].id);

		if (!accepted[row])
			return -1;
		hits += true_distance(index, q, row) <= limit + 1e-6 * fabs(limit);
	}
	return hits;
}

typedef struct Case
{
	Kind		kind;
	double		part;
	double		least;			/* recall at 10 */
	const char *name;
} Case;

/* recall of a kind of set; "nodes" gets how many were expanded, on average */
static double
recall(Searches *s, Index *index, const Case *c, double *nodes)
{
	float	   *queries = make_rows(QUERIES, index->dim, SEED + 1);
	int			hits = 0;
	int			wanted = 0;

	*nodes = 0;
	for (int i = 0; i < QUERIES; i++)
	{
		const float *q = queries + i * index->dim;
		RestrictedEnd end;
		double		limit;
		int			count;
		int			found;

		choose(index, q, c->kind, c->part, SEED + (uint64_t) i);
		limit = kth_accepted(index, q, &count);
		start(s, index, q);
		run(s, index, 12, &end);
		found = count_hits(s, index, q, limit);
		if (found < 0 || (end != RESTRICTED_SETTLED && end != RESTRICTED_EXHAUSTED))
			hits = -1000000;
		hits += found < count ? found : count;
		wanted += count;
		*nodes += s->search.base.nexpanded / (double) QUERIES;
	}
	free(queries);
	return (double) hits / wanted;
}

/* measured over 20 seeds, the least recall less two hundredths or more */
static void
test_kinds(Index *index, const char *of)
{
	static const Case cases[] = {
		{RANDOM, 1, 0.97, "all rows"},
		{RANDOM, 0.5, 0.97, "50 %"},
		{RANDOM, 0.1, 0.96, "10 %"},
		{RANDOM, 0.01, 0.96, "1 %"},
		{RANDOM, 0.001, 0.96, "0.1 %"},
		{NEAR, 0.1, 0.97, "10 %, the nearest"},
		{CLUSTERS, 0.1, 0.94, "10 %, elsewhere"},
		{CLUSTERS, 0.01, 0.95, "1 %, elsewhere"},
	};
	Searches	s;

	searches_init(&s, index, 4096);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		name[200];
		double		nodes;
		double		found = recall(&s, index, &cases[i], &nodes);

		snprintf(name, sizeof(name), "%s: %s (recall %.3f, %.0f nodes)", of, cases[i].name, found,
				 nodes);
		report(found >= cases[i].least, name);
	}
	searches_free(&s);
}

/*--- going on, growing, ending -------------------------------------------*/

/* a search that goes on finds what one finds that wants as much at once */
static void
test_resume(Index *index)
{
	float	   *queries = make_rows(10, index->dim, SEED + 2);
	Searches	small;
	Searches	large;
	bool		same = true;
	int			grown = 0;

	searches_init(&small, index, 512);
	searches_init(&large, index, 65536);
	for (int i = 0; i < 10; i++)
	{
		const float *q = queries + i * index->dim;
		RestrictedEnd end;

		choose(index, q, RANDOM, 0.1, SEED + (uint64_t) i);
		index->query = small.query;
		start(&small, index, q);
		grown += run(&small, index, 5, &end);
		grown += run(&small, index, 40, &end);
		index->query = large.query;
		start(&large, index, q);
		same &= run(&large, index, 40, &end) == 0;
		same &= small.search.base.nexpanded == large.search.base.nexpanded &&
			small.search.base.nresults == large.search.base.nresults &&
			memcmp(small.search.base.results, large.search.base.results,
				   (size_t) small.search.base.nresults * sizeof(SearchResult)) == 0;
	}
	report(same, "a search that goes on finds the same");
	report(grown > 0, "and grows");
	free(queries);
	searches_free(&small);
	searches_free(&large);
}

/* nothing accepted: every node is expanded once; a limit holds */
static void
test_ends(Index *index)
{
	float	   *q = make_rows(1, index->dim, SEED + 3);
	Searches	s;
	RestrictedEnd end;

	searches_init(&s, index, 4096);
	memset(accepted, 0, (size_t) index->n);
	start(&s, index, q);
	run(&s, index, 12, &end);
	report(end == RESTRICTED_EXHAUSTED && s.search.base.nresults == 0 &&
		   s.search.base.nexpanded == graph_nodes(&index->graph), "nothing accepted: all nodes, once");
	start(&s, index, q);
	s.search.max_nodes = 100;
	run(&s, index, 12, &end);
	report(end == RESTRICTED_NODES && s.search.base.nexpanded == 100, "no more nodes than allowed");
	free(q);
	searches_free(&s);
}

/* slots full of random bytes: the search must end and stay inside */
static void
test_damage(Index *index)
{
	float	   *q = make_rows(1, index->dim, SEED + 3);
	uint64_t	state = SEED;
	uint32_t	nnodes = graph_nodes(&index->graph);
	Searches	s;
	RestrictedEnd end = RESTRICTED_ROOM;
	bool		ended = true;

	searches_init(&s, index, 4096);
	memset(accepted, 1, (size_t) index->n);
	for (int round = 0; round < 10; round++)
	{
		for (int i = 0; i < 500; i++)
		{
			uint8_t    *slot = slot_at(index, (uint32_t) (quant_random(&state) % nnodes));

			for (uint32_t j = 0; j < index->layout.size; j++)
				slot[j] = (uint8_t) quant_random(&state);
		}
		start(&s, index, q);
		run(&s, index, 1e9, &end);
		ended &= end == RESTRICTED_EXHAUSTED && s.search.base.nexpanded <= nnodes;
	}
	report(ended, "searches over damaged slots end");
	free(q);
	searches_free(&s);
}

/* with all accepted, recall is that of the usual search that expands as many nodes */
static void
test_usual(Index *index)
{
	static const Case all = {RANDOM, 1, 0, NULL};
	float	   *queries = make_rows(QUERIES, index->dim, SEED + 1);
	void	   *memory = malloc(search_size(1000, 1000));
	GraphSearch search;
	Searches	s;
	double		nodes;
	double		restricted;
	char		name[200];
	int			hits = 0;

	searches_init(&s, index, 4096);
	restricted = recall(&s, index, &all, &nodes);
	search_init(&search, 1000, 1000, memory);
	for (int i = 0; i < QUERIES; i++)
	{
		const float *q = queries + i * index->dim;
		double		limit;
		int			count;
		int			found = 0;

		limit = kth_accepted(index, q, &count);
		quant_query_set(s.query, q);
		search_start(&search, &index->layout, s.query, 2 * (int) nodes, 1000);
		search_from_entry(&search, index->entry, index->entry_bytes);
		test_run(&search, index);
		for (int j = 0; j < search.nresults; j++)
			found += true_distance(index, q, (uint32_t) graph_row(&index->graph,
																	search.results[j].id)) <= limit;
		hits += found < count ? found : count;
	}
	snprintf(name, sizeof(name), "all accepted: as the usual search (%.3f, %.3f)", restricted,
			 hits / (double) QUERIES / K);
	report(restricted > hits / (double) QUERIES / K - 0.02, name);
	free(queries);
	free(memory);
	searches_free(&s);
}

/*--- all -----------------------------------------------------------------*/

static void
test_metric(int dim, bool exact, const char *name)
{
	float	   *x = make_rows(nrows_default, dim, SEED);
	QuantModel *model = exact ? NULL :
		make_model(x, nrows_default, dim, QUANT_L2, 0, true);
	Index		index;
	int			passes;

	accepted = malloc((size_t) nrows_default);
	index_init(&index, x, nrows_default, dim, model, 16, 0);
	index_build(&index, 1, &passes, 0);
	index_write(&index);
	test_kinds(&index, name);
	if (!exact)
	{
		test_usual(&index);
		test_resume(&index);
		test_ends(&index);
		test_damage(&index);
	}
	index_free(&index);
	free(model);
	free(x);
	free(accepted);
}

int
main(void)
{
	const char *rows = getenv("GRAPH_TEST_ROWS");

	vec_kernels_init();
	if (rows != NULL && atoi(rows) >= 3000)
		nrows_default = atoi(rows);
	test_metric(96, false, "L2, 96 dimensions");
	test_metric(32, true, "L1, exact values");
	printf("1..%d\n", ntests);
	return nfailed > 0;
}

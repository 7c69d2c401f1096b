/*-------------------------------------------------------------------------
 *
 * statistics.c
 *	  ANALYZE of a vector column: cheap, and small in pg_statistic.
 *
 * Most common values and histograms of vectors serve no query and would hold
 * hundreds of kilobytes per column.  What the planner uses is kept: the share
 * of NULLs, the average width (which also tells whether values lie out of
 * line) and the number of distinct values, counted by hash in the sample.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "commands/vacuum.h"
#include "common/hashfn.h"
#include "types/common.h"

/*
 * A hash of a stored value.  Out of line, the TOAST pointer stands for it:
 * reading the value would cost more than the answer is worth, and two rows
 * share a pointer never.
 */
static uint64
hash_stored(const struct varlena *value)
{
	if (VARATT_IS_EXTERNAL(value))
		return hash_bytes_extended((const unsigned char *) value, VARSIZE_EXTERNAL(value), 0);
	return hash_bytes_extended((const unsigned char *) VARDATA_ANY(value),
							   VARSIZE_ANY_EXHDR(value), 0);
}

static int
compare_hashes(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/*
 * The number of distinct values as pg_statistic wants it: negative, a share
 * of the rows, where it seems to grow with the table.  The estimator is
 * Duj1 of Haas and Stokes, "Estimating the number of classes in a finite
 * population" (1998), which ANALYZE uses for every type.
 */
static double
estimate_distinct(uint64 *hashes, int n, double rows)
{
	int			distinct = 0;
	int			once = 0;		/* values seen a single time */
	double		estimate;

	qsort(hashes, n, sizeof(uint64), compare_hashes);
	for (int i = 0, next; i < n; i = next)
	{
		for (next = i + 1; next < n && hashes[next] == hashes[i]; next++)
			;
		distinct++;
		once += next == i + 1;
	}

	if (once == n)
		return -1;
	rows = Max(rows, n);
	estimate = (double) n * distinct / ((double) n - once + (double) once * n / rows);
	estimate = Min(Max(estimate, distinct), rows);
	return estimate > 0.1 * rows ? -(estimate / rows) : floor(estimate + 0.5);
}

static void
compute_vector_stats(VacAttrStatsP stats, AnalyzeAttrFetchFunc fetchfunc,
					 int samplerows, double totalrows)
{
	uint64	   *hashes = palloc(mul_size(Max(samplerows, 1), sizeof(uint64)));
	int			n = 0;
	double		width = 0;
	double		share;

	if (samplerows == 0)
		return;

	for (int i = 0; i < samplerows; i++)
	{
		bool		isnull;
		Datum		value;

		vacuum_delay_point_compat();
		value = fetchfunc(stats, i, &isnull);
		if (isnull)
			continue;
		width += VARSIZE_ANY(DatumGetPointer(value));
		hashes[n++] = hash_stored((struct varlena *) DatumGetPointer(value));
	}

	share = (double) n / samplerows;
	stats->stats_valid = true;
	stats->stanullfrac = 1 - share;
	stats->stawidth = n > 0 ? width / n : 0;
	stats->stadistinct = n > 0 ? estimate_distinct(hashes, n, totalrows * share) : 0;
	if (stats->stadistinct < 0)
		stats->stadistinct *= share;	/* a share of all rows, NULLs included */
	pfree(hashes);
}

/* typanalyze function of vector, halfvec and sparsevec */
VEC_SQL_FUNCTION(vecext_typanalyze)
{
	VacAttrStats *stats = (VacAttrStats *) PG_GETARG_POINTER(0);
	int			target = vec_statistics_target_compat(stats);

	if (target < 0)
		target = default_statistics_target;
	stats->compute_stats = compute_vector_stats;
	stats->minrows = 300 * target;
	PG_RETURN_BOOL(true);
}

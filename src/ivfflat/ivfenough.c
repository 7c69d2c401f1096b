/*-------------------------------------------------------------------------
 *
 * ivfenough.c
 *	  How many lists a scan with conditions reads (README.md, "Filters").
 *
 * Of the rows that qualify, how far they lie from the query beyond their list's
 * centroid is gathered: its mean and spread say how many rows of the lists to
 * come would be among the nearest.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "ivfflat/ivfscan.h"
#include "port/pg_bitutils.h"

/* without this many rows nothing is known */
#define FEWEST_ROWS		IVF_ENOUGH_BEST

/* lists to be added at least, and at most, in times of those there are */
#define LEAST_LISTS		4
#define MOST_TIMES		8

/* without codes there are no distances to gather: so many rows are enough */
#define ROWS_WITHOUT_CODES	800

/*
 * Rows of the nearest that half as many lists more may be expected to hold and
 * are not worth it.  Recall of ten rows where 42 % of the rows qualify and lie
 * elsewhere than most queries: 0.88 by 1, 0.93 by 0.5, 0.97 by 0.25; where rows
 * qualify by chance it is above 0.98 by 1 (text, 55,081 x 384, 234 lists).
 */
#define FEW_HITS			0.25

/* a row that qualifies, by the estimate of its distance */
static void
add_best(IvfEnough *enough, float estimate)
{
	int			i = enough->nbest;

	if (i == IVF_ENOUGH_BEST && !(estimate < enough->best[--i]))
		return;
	for (; i > 0 && estimate < enough->best[i - 1]; i--)
		enough->best[i] = enough->best[i - 1];
	enough->best[i] = estimate;
	if (enough->nbest < IVF_ENOUGH_BEST)
		enough->nbest++;
}

/*
 * ivf_enough_rows
 *		Rows of a block that qualify, a bit for each, with estimates of all.
 */
void
ivf_enough_rows(IvfEnough *enough, float center, const float *estimate, uint32 mask)
{
	for (; mask != 0; mask &= mask - 1)
	{
		float		distance = estimate[pg_rightmost_one_pos32(mask)];
		double		beyond = (double) distance - center;

		if (!isfinite(beyond))
			continue;
		add_best(enough, distance);
		enough->rows++;
		enough->sum += beyond;
		enough->squares += beyond * beyond;
	}
}

/* rows of a list with a center that far, of those that qualify, among the nearest */
static double
hits(const IvfEnough *enough, float center, double rows)
{
	double		mean = enough->sum / enough->rows;
	double		variance = enough->squares / enough->rows - mean * mean;
	double		beyond = (double) enough->best[enough->nbest - 1] - center - mean;

	if (!(variance > 0))
		return beyond >= 0 ? rows : 0;
	return rows * 0.5 * erfc(-beyond / sqrt(2 * variance));
}

/*
 * ivf_enough_step
 *		How many lists to look at next, after so many of the stage: half as many
 *		more, or as many as the least number of rows may take.
 */
int64
ivf_enough_step(const IvfScan *so, int lists)
{
	double		missing = 2.0 * FEWEST_ROWS / Max(so->qualified, 1) - 1;

	return Max((int64) (lists * Min(Max(missing, 0.5), MOST_TIMES)), LEAST_LISTS);
}

/*
 * ivf_enough
 *		Whether the ranked lists from so->end_list on to before "end" promise
 *		nothing that the stage needs.
 */
bool
ivf_enough(const IvfScan *so, int end)
{
	const IvfEnough *enough = &so->enough;
	double		rows = so->qualified / (so->end_list - so->first_list);
	double		sum = 0;

	if (!so->codes)
		return so->qualified >= ROWS_WITHOUT_CODES;
	if (enough->rows < FEWEST_ROWS)
		return false;
	for (int i = so->end_list; i < end; i++)
		sum += hits(enough, so->ranked[i].distance, rows);
	return sum < FEW_HITS;
}

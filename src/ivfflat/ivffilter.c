/*-------------------------------------------------------------------------
 *
 * ivffilter.c
 *	  Scans with conditions: which rows qualify, and how many lists are enough
 *	  (README.md, "Filters").
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

/*
 * The same of every 20 rows, where a scan is asked for more than ten.  Recall of
 * 100: 0.85 to 0.95 without, 0.96 to 0.98 by 2.5, 0.99 by 1, which takes no longer; 0.995
 * by 0.25, which takes twice as long.
 */
#define FEW_WIDE_HITS		1.0

/*--- rows ----------------------------------------------------------------*/

/* of the rows of a block that qualify those that are in the set */
static uint32
restrict_block(IvfScan *so, uint32 mask, const ItemPointerData *tids)
{
	AmRestriction *restriction = so->restriction;
	uint32		accepted = 0;

	for (uint32 rest = mask; rest != 0; rest &= rest - 1)
	{
		int			i = pg_rightmost_one_pos32(rest);

		if (restriction->accepts(restriction->arg, &tids[i]))
			accepted |= (uint32) 1 << i;
	}
	restriction->nodes += pg_popcount32(mask);
	restriction->rejected += pg_popcount32(mask & ~accepted);
	return accepted;
}

/* of the rows of a block those that were not cleared */
static uint32
drop_cleared(uint32 mask, const ItemPointerData *tids)
{
	for (uint32 rest = mask; rest != 0; rest &= rest - 1)
	{
		int			i = pg_rightmost_one_pos32(rest);

		if (!ItemPointerIsValid(&tids[i]))
			mask &= ~((uint32) 1 << i);
	}
	return mask;
}

/* rows of a block of a locked list page that qualify: by words, and by address */
static uint32
test_block(IvfScan *so, const IvfShape *shape, Page page, int block, uint32 *maybe)
{
	int			first = block * IVF_BLOCK_ROWS;
	int			n = Min(ivf_list_head(page)->nrows - first, IVF_BLOCK_ROWS);
	uint32		mask = n == IVF_BLOCK_ROWS ? 0xFFFFFFFF : ((uint32) 1 << n) - 1;

	*maybe = 0;
	if (so->filter != NULL)
		mask = filter_test_block(so->filter, ivf_list_keys(shape, page, block), IVF_BLOCK_ROWS, n,
								 maybe);
	if (ivf_list_head(page)->ncleared > 0)
		mask = drop_cleared(mask, ivf_list_tids(shape, page) + first);
	if (so->restriction != NULL)
		mask = restrict_block(so, mask, ivf_list_tids(shape, page) + first);
	*maybe &= mask;
	return mask;
}

/*
 * ivf_qualifying
 *		Which rows of a locked list page qualify, and which of them must be
 *		rechecked, in so->pass and so->maybe; returns how many.
 */
int
ivf_qualifying(IvfScan *so, const IvfShape *shape, Page page)
{
	int			nrows = ivf_list_head(page)->nrows;
	int			n = 0;

	for (int i = 0; so->filter != NULL && i * IVF_BLOCK_ROWS < nrows; i++)
		filter_prefetch(so->filter, ivf_list_keys(shape, page, i), IVF_BLOCK_ROWS);
	for (int i = 0; i * IVF_BLOCK_ROWS < nrows; i++)
	{
		so->pass[i] = test_block(so, shape, page, i, &so->maybe[i]);
		n += pg_popcount32(so->pass[i]);
	}
	if (so->restriction != NULL)
		so->restriction->pages++;
	return n;
}

/*--- lists ---------------------------------------------------------------*/

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
 *		Rows of a block that qualify, a bit for each, with estimates and lower bounds
 *		of all.
 */
void
ivf_enough_rows(IvfEnough *enough, float center, const float *estimate, const float *lower,
				uint32 mask)
{
	for (; mask != 0; mask &= mask - 1)
	{
		int			i = pg_rightmost_one_pos32(mask);
		float		distance = estimate[i];
		double		beyond = (double) distance - center;

		if (!isfinite(beyond))
			continue;
		add_best(enough, distance);
		enough->rows++;
		enough->sum += beyond;
		enough->squares += beyond * beyond;
		enough->gap += (double) distance - lower[i];
	}
}

/*
 * Rows of a list with a center that far, of those that qualify, that are nearer
 * than the last of those wanted.
 */
static double
hits(const IvfEnough *enough, double last, float center, double rows)
{
	double		mean = enough->sum / enough->rows;
	double		variance = enough->squares / enough->rows - mean * mean;
	double		beyond = last - center - mean;

	if (!(variance > 0))
		return beyond >= 0 ? rows : 0;
	return rows * 0.5 * erfc(-beyond / sqrt(2 * variance));
}

/* how many of the nearest rows the lists are to be enough for */
static int
rows_wanted(const IvfScan *so)
{
	return so->wide ? so->keep : IVF_ENOUGH_BEST;
}

/*
 * ivf_enough_step
 *		How many lists to look at next, after so many of the stage: half as many
 *		more, or as many as the least number of rows may take.
 */
int64
ivf_enough_step(const IvfScan *so, int lists)
{
	double		missing = 2.0 * rows_wanted(so) / Max(so->qualified, 1) - 1;

	return Max((int64) (lists * Min(Max(missing, 0.5), MOST_TIMES)), LEAST_LISTS);
}

/*
 * ivf_enough
 *		Whether the ranked lists from so->end_list on to before "end" promise
 *		nothing that the stage needs.
 */
bool
ivf_enough(IvfScan *so, int end)
{
	const IvfEnough *enough = &so->enough;
	double		rows = so->qualified / (so->end_list - so->first_list);
	double		times = (double) rows_wanted(so) / IVF_ENOUGH_BEST;
	double		last;
	double		sum = 0;

	if (!so->codes)
		return so->qualified >= ROWS_WITHOUT_CODES * times;
	if (enough->rows < FEWEST_ROWS)
		return false;
	last = so->wide ? ivf_pass_last(so) + enough->gap / enough->rows :
		enough->best[enough->nbest - 1];
	for (int i = so->end_list; i < end; i++)
		sum += hits(enough, last, so->ranked[i].distance, rows);
	return sum < (so->wide ? FEW_WIDE_HITS * times : FEW_HITS);
}

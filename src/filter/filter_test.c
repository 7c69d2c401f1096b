/*-------------------------------------------------------------------------
 *
 * filter_test.c
 *	  Tests on words: of one row, and of a block of rows.
 *
 * Words come from pages and may be anything: they are compared, and never used
 * as a place in memory.
 *
 *-------------------------------------------------------------------------
 */
#include "filter/filter_private.h"

#include "port/pg_bitutils.h"

/* whether low <= word <= high, where low <= high */
static inline bool
within(uint64 word, uint64 low, uint64 high)
{
	return word - low <= high - low;
}

static bool
in_set(const FilterTest *test, uint64 word)
{
	int			low = 0;
	int			high = test->n;

	if (!within(word, test->low, test->high))
		return false;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (test->set[middle] < word)
			low = middle + 1;
		else
			high = middle;
	}
	return low < test->n && test->set[low] == word;
}

static bool
has_any(const FilterTest *test, uint64 word)
{
	for (int i = 0; i < test->n; i++)
	{
		if ((test->set[i] & ~word) == 0)
			return true;
	}
	return false;
}

static inline FilterResult
test_word(const FilterTest *test, uint64 nulls, uint64 word)
{
	bool		isnull = (nulls >> test->column & 1) != 0;

	if (test->kind == FILTER_TEST_NULL)
		return isnull ? FILTER_YES : FILTER_NO;
	if (isnull)
		return FILTER_NO;
	switch (test->kind)
	{
		case FILTER_TEST_RANGE:
			if (!within(word, test->low, test->high))
				return FILTER_NO;
			return test->sure_low <= test->sure_high &&
				within(word, test->sure_low, test->sure_high) ? FILTER_YES : FILTER_MAYBE;
		case FILTER_TEST_SET:
			if (!in_set(test, word))
				return FILTER_NO;
			return test->exact ? FILTER_YES : FILTER_MAYBE;
		case FILTER_TEST_ANY:
			return has_any(test, word) ? FILTER_MAYBE : FILTER_NO;
		default:
			return FILTER_YES;
	}
}

/*
 * filter_test
 *		Whether a row qualifies, by its words.
 *
 * keys: what filter_encode() made, or any other bytes of that number.
 */
FilterResult
filter_test(const FilterQuery *query, const uint64 *keys)
{
	FilterResult result = FILTER_YES;

	if (query->never)
		return FILTER_NO;
	for (int i = 0; i < query->ntests; i++)
	{
		const FilterTest *test = &query->tests[i];
		FilterResult one = test_word(test, keys[0], keys[test->column + 1]);

		if (one == FILTER_NO)
			return FILTER_NO;
		if (one == FILTER_MAYBE)
			result = FILTER_MAYBE;
	}
	return result;
}

/*
 * The usual test, without branches: rows that may pass by their words.  The bits
 * come from the comparisons' carries, which takes four instructions a row.
 */
static inline uint32
rows_within(const FilterTest *test, const uint64 *words, int n)
{
	uint64		low = test->low;
	uint64		width = test->high - low;	/* low <= high */
	uint32		outside = 0;

	for (int i = n - 1; i >= 0; i--)
		outside += outside + (width < words[i] - low);
	return ~outside;
}

/* of these rows, those that are not NULL; and in *sure which of them pass surely */
static uint32
test_range(const FilterTest *test, const uint64 *nulls, const uint64 *words, uint32 may,
		   uint32 *sure)
{
	uint32		pass = 0;

	*sure = 0;
	for (; may != 0; may &= may - 1)
	{
		int			i = pg_rightmost_one_pos32(may);
		FilterResult result = test_word(test, nulls[i], words[i]);

		pass |= (uint32) (result != FILTER_NO) << i;
		*sure |= (uint32) (result == FILTER_YES) << i;
	}
	return pass;
}

/*
 * filter_test_block
 *		The same for up to FILTER_BLOCK rows: a bit for each that may qualify, and
 *		in *maybe one for each of these that must be rechecked.
 *
 * Word w of row i is words[w * stride + i].
 */
uint32
filter_test_block(const FilterQuery *query, const uint64 *words, int stride, int n,
				  uint32 *maybe)
{
	uint32		all = n >= 32 ? 0xFFFFFFFF : ((uint32) 1 << n) - 1;
	uint32		pass = query->never ? 0 : all;
	uint32		unsure = 0;

	for (int t = 0; t < query->ntests && pass != 0; t++)
	{
		const FilterTest *test = &query->tests[t];
		const uint64 *column = words + (Size) (test->column + 1) * stride;
		uint32		may = 0;
		uint32		sure = 0;

		if (test->kind == FILTER_TEST_RANGE)
		{
			may = pass & rows_within(test, column, n);
			if (may != 0)
				may = test_range(test, words, column, may, &sure);
		}
		else
		{
			for (int i = 0; i < n; i++)
			{
				FilterResult result = (pass >> i & 1) == 0 ? FILTER_NO :
					test_word(test, words[i], column[i]);

				may |= (uint32) (result != FILTER_NO) << i;
				sure |= (uint32) (result == FILTER_YES) << i;
			}
		}
		pass &= may;
		unsure |= ~sure;
	}
	*maybe = pass & unsure;
	return pass;
}

/*
 * filter_prefetch
 *		Hint at the words of a block that filter_test_block() will read first.
 */
void
filter_prefetch(const FilterQuery *query, const uint64 *words, int stride)
{
	const char *column;

	if (query->ntests == 0)
		return;
	column = (const char *) (words + (Size) (query->tests[0].column + 1) * stride);
	for (Size at = 0; at < stride * sizeof(uint64); at += 64)
		__builtin_prefetch(column + at);
}

/* bits of the rows of a block that may pass; those that are NULL may or may not be among them */
static uint32
block_bits(const FilterTest *test, const uint64 *words)
{
	uint32		bits = 0;

	switch (test->kind)
	{
		case FILTER_TEST_RANGE:
			return rows_within(test, words, FILTER_BLOCK);
		case FILTER_TEST_SET:
			bits = rows_within(test, words, FILTER_BLOCK);
			for (uint32 rest = bits; rest != 0; rest &= rest - 1)
			{
				int			i = pg_rightmost_one_pos32(rest);

				if (!in_set(test, words[i]))
					bits &= ~((uint32) 1 << i);
			}
			return bits;
		case FILTER_TEST_ANY:
			for (int i = 0; i < FILTER_BLOCK; i++)
				bits |= (uint32) has_any(test, words[i]) << i;
			return bits;
		default:
			return 0xFFFFFFFF;
	}
}

/*
 * filter_may_block
 *		Bits of the FILTER_BLOCK rows that may qualify, of words that lie in
 *		columns.
 *
 * The word of column c of row i is words[c * stride + i], and bit i of
 * nulls[c * nulls_stride] says whether it stands for a NULL.
 */
uint32
filter_may_block(const FilterQuery *query, const uint64 *words, int stride,
				 const uint32 *nulls, int nulls_stride)
{
	uint32		pass = query->never ? 0 : 0xFFFFFFFF;

	for (int t = 0; t < query->ntests && pass != 0; t++)
	{
		const FilterTest *test = &query->tests[t];
		uint32		isnull = nulls[(Size) test->column * (Size) nulls_stride];

		if (test->kind == FILTER_TEST_NULL)
			pass &= isnull;
		else
			pass &= ~isnull & block_bits(test, words + (Size) test->column * (Size) stride);
	}
	return pass;
}

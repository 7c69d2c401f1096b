/*-------------------------------------------------------------------------
 *
 * kernels_text_tmpl.h
 *	  Commas of a text and the numbers between them; see text_block.h.
 *
 * Part of kernels_tmpl.h.  Of each instruction set with vectors of bytes:
 *
 *	TextLane					16 bytes
 *	T_LOAD(p) T_ALL(byte) T_AND T_XOR T_MAX(x, y)
 *	T_PICK(x, index)			byte index[i] of x, zero where its top bit is set
 *	T_FIND(x, byte)				first place of a byte, 16 if there is none
 *	T_ABOVE(x, byte)			not 0 if any is above, as unsigned numbers
 *	T_JOIN(x)					decimal digits: first eight low, last eight high
 *	T_MASK64(p, byte)			a bit for each of 64 bytes at p that is "byte"
 *
 * One without leaves them undefined: its kernels take nothing, and numbers are
 * read one by one.
 *
 *-------------------------------------------------------------------------
 */
#ifdef T_LOAD

/* append the places of set bits, eight at a time; returns how many there are */
VEC_TARGET VEC_INLINE int
FN(put_places) (uint64_t mask, int32_t offset, int32_t *places)
{
	int			n = __builtin_popcountll(mask);

	for (int i = 0; i < n; i += 8)
		for (int j = i; j < i + 8; j++)
		{
			/* no bit left: anything */
			places[j] = offset + __builtin_ctzll(mask | UINT64_C(1) << 63);
			mask &= mask - 1;
		}
	return n;
}

/* offsets of the commas from p to p + size, VEC_TEXT_CHUNK at most */
VEC_TARGET static int
FN(find_commas) (const char *p, int size, int32_t *commas)
{
	int			n = 0;
	int			i = 0;

	for (; size - i >= 64; i += 64)
		n += FN(put_places) (T_MASK64(p + i, ','), i, commas + n);
	if (i < size)
	{
		char		rest[64] = {0};

		memcpy(rest, p + i, (size_t) (size - i));
		n += FN(put_places) (T_MASK64(rest, ','), i, commas + n);
	}
	return n;
}

/* the number from p to end; reads from 16 bytes before p */
VEC_TARGET VEC_INLINE void
FN(read_digits) (const char *p, const char *end, VecTextBlock *block, int i)
{
	/* all ones in the last n bytes, at 16 - n */
	static const uint8_t keep[32] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
	};
	bool		negative = (*p == '-');
	const char *first = p + negative;
	ptrdiff_t	length = end - first;
	ptrdiff_t	head = length < VEC_TEXT_WINDOW ? length : VEC_TEXT_WINDOW;
	ptrdiff_t	tail = length - head < VEC_TEXT_WINDOW ? length - head : VEC_TEXT_WINDOW;
	TextLane	zeros = T_ALL('0');
	TextLane	x;
	TextLane	rest;
	int			point;

	x = T_AND(T_XOR(T_LOAD(first + head - VEC_TEXT_WINDOW), zeros), T_LOAD(keep + head));
	rest = T_AND(T_XOR(T_LOAD(end - VEC_TEXT_WINDOW), zeros), T_LOAD(keep + tail));
	point = T_FIND(x, '.' ^ '0');
	x = T_PICK(x, T_LOAD(vec_text_pick[point]));

	block->digits[i] = T_JOIN(x);
	block->scale[i] = vec_text_scale[point];
	block->length[i] = (int32_t) length;
	block->point[i] = point;
	block->negative[i] = negative;
	block->others[i] = T_ABOVE(T_MAX(x, rest), 9);
}

/*
 * The numbers of text that end at the first n commas, 0 < n <= VEC_TEXT_BLOCK;
 * the one before them, commas[-1], may be -1.  Stores those before the first
 * that is left out and returns how many.
 */
VEC_TARGET static int
FN(parse_block) (const char *text, const int32_t *commas, int n, float limit, float *out)
{
	VecTextBlock block;
	float		values[VEC_TEXT_BLOCK];
	uint32_t	left_out[VEC_TEXT_BLOCK];
	int			count = 0;

	/* numbers of length 0 are left out */
	if (n < VEC_TEXT_BLOCK)
		memset(&block, 0, sizeof(block));
	for (int i = 0; i < n; i++)
		FN(read_digits) (text + commas[i - 1] + 1, text + commas[i], &block, i);
	if (vec_text_round(&block, limit, values, left_out) == 0)
	{
		memcpy(out, values, sizeof(values));
		return VEC_TEXT_BLOCK;
	}

	while (count < n && left_out[count] == 0)
		count++;
	memcpy(out, values, (size_t) count * sizeof(float));
	return count;
}

#else							/* !T_LOAD */

VEC_TARGET static int
FN(find_commas) (const char *p, int size, int32_t *commas)
{
	(void) p;
	(void) size;
	(void) commas;
	return 0;
}

VEC_TARGET static int
FN(parse_block) (const char *text, const int32_t *commas, int n, float limit, float *out)
{
	(void) text;
	(void) commas;
	(void) n;
	(void) limit;
	(void) out;
	return 0;
}

#endif							/* T_LOAD */

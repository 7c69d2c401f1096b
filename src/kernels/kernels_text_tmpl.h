/*-------------------------------------------------------------------------
 *
 * kernels_text_tmpl.h
 *	  Commas of a text and the numbers between them; see text_block.h.
 *
 * Part of kernels_tmpl.h.  Of each instruction set with vectors of bytes:
 *
 *	TextLane					16 bytes
 *	T_LOAD(p) T_STORE(p, x) T_ALL(byte) T_AND T_XOR
 *	T_PICK(x, index)			byte index[i] of x, zero where its top bit is set
 *	T_FIND(x, byte)				first place of a byte, 16 if there is none
 *	T_ABOVE(x, byte)			not 0 if any is above, as unsigned numbers
 *	T_MASK64(p, byte)			a bit for each of 64 bytes at p that is "byte"
 *	T_WIDE_ABOVE(x, byte)		T_ABOVE() of a BitLane
 *	T_WIDE_MAX(x, y)			the greater bytes of two BitLanes
 *	T_JOIN(x, y)				two BitLanes of digits, 16 bytes a number, to one of two
 *								32-bit numbers for each: first eight digits, last eight
 *
 * One without leaves them undefined: its kernels take nothing, and numbers are
 * read one by one.
 *
 *-------------------------------------------------------------------------
 */
#ifdef T_LOAD

/* numbers of nine digits have 11 to 14 bytes: five or six commas in 64 */
#define PLACES_AT_ONCE	6

/* append the places of set bits, some at a time; returns how many there are */
VEC_TARGET VEC_INLINE int
FN(put_places) (uint64_t mask, int32_t offset, int32_t *places)
{
	int			n = __builtin_popcountll(mask);

	for (int i = 0; i < n; i += PLACES_AT_ONCE)
		for (int j = i; j < i + PLACES_AT_ONCE; j++)
		{
			/* no bit left: anything */
			places[j] = offset + __builtin_ctzll(mask | UINT64_C(1) << 63);
			mask &= mask - 1;
		}
	return n;
}

/*
 * Append where the commas of p are, from p to p + size, VEC_TEXT_CHUNK at most;
 * p itself is at "offset".  Returns how many there are.
 */
VEC_TARGET static int
FN(find_commas) (const char *p, int size, int32_t offset, int32_t *commas)
{
	int			n = 0;
	int			i = 0;

	for (; size - i >= 64; i += 64)
		n += FN(put_places) (T_MASK64(p + i, ','), offset + i, commas + n);
	if (i < size)
	{
		char		rest[64] = {0};

		memcpy(rest, p + i, (size_t) (size - i));
		n += FN(put_places) (T_MASK64(rest, ','), offset + i, commas + n);
	}
	return n;
}

/* the last n of the 16 bytes before "end", less '0'; zero before them, 0 <= n <= 16 */
VEC_TARGET VEC_INLINE TextLane
FN(load_before) (const char *end, ptrdiff_t n)
{
	static const uint8_t keep[32] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
	};

	return T_AND(T_XOR(T_LOAD(end - VEC_TEXT_WINDOW), T_ALL('0')), T_LOAD(keep + n));
}

/* the bytes of the number from p to end; reads from 16 bytes before p */
VEC_TARGET VEC_INLINE void
FN(read_bytes) (const char *p, const char *end, VecTextBlock *block, int i)
{
	uint32_t	negative = (*p == '-');
	const char *first = p + negative;
	ptrdiff_t	length = end - first;
	ptrdiff_t	n = length < VEC_TEXT_WINDOW ? length : VEC_TEXT_WINDOW;
	TextLane	x = FN(load_before) (first + n, n);
	int			point = T_FIND(x, '.' ^ '0');

	T_STORE(block->bytes[i], T_PICK(x, T_LOAD(vec_text_pick[point])));
	block->scale[i] = vec_text_scale[point];
	block->length[i] = (int32_t) length;
	block->point[i] = point;
	block->negative[i] = negative;
}

/* bytes to numbers; returns 0 if no byte is above 9 */
VEC_TARGET VEC_INLINE unsigned
FN(join_bytes) (VecTextBlock *block)
{
	const uint8_t *bytes = block->bytes[0];
	uint8_t    *digits = (uint8_t *) block->digits;
	BitLane		most = B_ZERO();

	for (size_t i = 0; i < sizeof(block->digits); i += B_WIDTH)
	{
		BitLane		x = B_LOAD(bytes + 2 * i);
		BitLane		y = B_LOAD(bytes + 2 * i + B_WIDTH);

		B_STORE(digits + i, T_JOIN(x, y));
		most = T_WIDE_MAX(most, T_WIDE_MAX(x, y));
	}
	return T_WIDE_ABOVE(most, 9);
}

/* leave out numbers with other bytes than digits, whose windows have none */
VEC_TARGET static void
FN(check_tails) (const char *text, const int32_t *commas, int n, VecTextBlock *block)
{
	for (int i = 0; i < n; i++)
	{
		ptrdiff_t	tail = block->length[i] - VEC_TEXT_WINDOW;
		uint32_t	bad;

		tail = tail < 0 ? 0 : tail;
		tail = tail > VEC_TEXT_WINDOW ? VEC_TEXT_WINDOW : tail;
		bad = T_ABOVE(FN(load_before) (text + commas[i], tail), 9);
		block->left_out[i] |= bad;
		block->any_left_out |= bad;
	}
}

/*
 * The numbers of text that end at the first n commas, 0 < n <= VEC_TEXT_BLOCK;
 * commas[-1] is the one before them, or where it would be.  Stores those
 * before the first that is left out and returns how many.
 */
VEC_TARGET static int
FN(parse_block) (const char *text, const int32_t *commas, int n, float limit, float *out)
{
	VecTextBlock memory;
	VecTextBlock *block = &memory;
	float		values[VEC_TEXT_BLOCK];
	unsigned	others;
	int			count = 0;

	/* numbers of length 0 are left out */
	if (n < VEC_TEXT_BLOCK)
		memset(block, 0, sizeof(*block));
	for (int i = 0; i < n; i++)
		FN(read_bytes) (text + commas[i - 1] + 1, text + commas[i], block, i);
	others = FN(join_bytes) (block);

	/* what is still in registers would keep the next loop from being vector code */
	VEC_OPAQUE(block);
	vec_text_round(block, limit, values);
	if (block->any_cut != 0)
		FN(check_tails) (text, commas, n, block);

	if (others == 0 && block->any_left_out == 0)
	{
		memcpy(out, values, sizeof(values));
		return VEC_TEXT_BLOCK;
	}

	while (count < n && block->left_out[count] == 0 &&
		   T_ABOVE(T_LOAD(block->bytes[count]), 9) == 0)
		count++;
	memcpy(out, values, (size_t) count * sizeof(float));
	return count;
}

#else							/* !T_LOAD */

VEC_TARGET static int
FN(find_commas) (const char *p, int size, int32_t offset, int32_t *commas)
{
	(void) p;
	(void) size;
	(void) offset;
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

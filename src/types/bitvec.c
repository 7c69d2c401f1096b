/*-------------------------------------------------------------------------
 *
 * bitvec.c
 *	  Distances of the server's own bit strings, taken as binary vectors.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "kernels/kernels.h"
#include "types/common.h"
#include "utils/varbit.h"

/* argument n with its size checked against its length in bits: XX001 */
static VarBit *
get_bits(FunctionCallInfo fcinfo, int n)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(n);
	Size		size = VARSIZE(bits);

	if (unlikely(size < VARBITHDRSZ + VARHDRSZ ||
				 VARBITLEN(bits) < 0 || VARBITLEN(bits) > VARBITMAXLEN ||
				 size != (Size) VARBITTOTALLEN(VARBITLEN(bits))))
		vec_datum_damaged("bit");
	return bits;
}

/* the two arguments, of equal lengths or 22000 */
static void
get_operands(FunctionCallInfo fcinfo, VarBit **a, VarBit **b)
{
	*a = get_bits(fcinfo, 0);
	*b = get_bits(fcinfo, 1);

	if (unlikely(VARBITLEN(*a) != VARBITLEN(*b)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u",
						(unsigned) VARBITLEN(*a), (unsigned) VARBITLEN(*b))));
}

/* number of places in which the two differ */
VEC_SQL_FUNCTION(vecext_bit_hamming_distance)
{
	VarBit	   *a;
	VarBit	   *b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8((double) vec_kernels->hamming_bits(VARBITS(a), VARBITS(b), VARBITBYTES(a)));
}

/* 1 - |a and b| / |a or b|; 1 if they have no bit in common, empty or not */
VEC_SQL_FUNCTION(vecext_bit_jaccard_distance)
{
	VarBit	   *a;
	VarBit	   *b;
	VecBitSums	sums;

	get_operands(fcinfo, &a, &b);
	vec_kernels->jaccard_bits(VARBITS(a), VARBITS(b), VARBITBYTES(a), &sums);
	if (sums.both == 0)
		PG_RETURN_FLOAT8(1);
	PG_RETURN_FLOAT8(1 - (double) sums.both / (double) (sums.a + sums.b - sums.both));
}

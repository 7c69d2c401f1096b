/*-------------------------------------------------------------------------
 *
 * bitvec.c
 *	  Distances of the server's own bit strings, taken as binary vectors.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "kernels/kernels.h"
#include "types/bitvec.h"
#include "types/common.h"

/*
 * bitvec_get
 *		A bit string in plain form, its size checked against its length in
 *		bits: XX001.  May be palloc'd in the current context.
 */
VarBit *
bitvec_get(Datum datum)
{
	VarBit	   *bits = DatumGetVarBitP(datum);
	Size		size = VARSIZE(bits);

	if (unlikely(size < VARBITHDRSZ + VARHDRSZ ||
				 VARBITLEN(bits) < 0 || VARBITLEN(bits) > VARBITMAXLEN ||
				 size != (Size) VARBITTOTALLEN(VARBITLEN(bits))))
		vec_datum_damaged("bit");
	return bits;
}

/*
 * bitvec_hamming
 *		Number of places in which two strings of equal length differ.
 */
double
bitvec_hamming(const VarBit *a, const VarBit *b)
{
	return (double) vec_kernels->hamming_bits(VARBITS(a), VARBITS(b), VARBITBYTES(a));
}

/*
 * bitvec_jaccard
 *		1 - |a and b| / |a or b| of two strings of equal length; 1 if they have
 *		no bit in common, empty or not.
 */
double
bitvec_jaccard(const VarBit *a, const VarBit *b)
{
	VecBitSums	sums;

	vec_kernels->jaccard_bits(VARBITS(a), VARBITS(b), VARBITBYTES(a), &sums);
	if (sums.both == 0)
		return 1;
	return 1 - (double) sums.both / (double) (sums.a + sums.b - sums.both);
}

/* the two arguments, of equal lengths or 22000 */
static void
get_operands(FunctionCallInfo fcinfo, VarBit **a, VarBit **b)
{
	*a = bitvec_get(PG_GETARG_DATUM(0));
	*b = bitvec_get(PG_GETARG_DATUM(1));

	if (unlikely(VARBITLEN(*a) != VARBITLEN(*b)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u",
						(unsigned) VARBITLEN(*a), (unsigned) VARBITLEN(*b))));
}

VEC_SQL_FUNCTION(vecext_bit_hamming_distance)
{
	VarBit	   *a;
	VarBit	   *b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(bitvec_hamming(a, b));
}

VEC_SQL_FUNCTION(vecext_bit_jaccard_distance)
{
	VarBit	   *a;
	VarBit	   *b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(bitvec_jaccard(a, b));
}

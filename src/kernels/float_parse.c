/*-------------------------------------------------------------------------
 *
 * float_parse.c
 *	  Decimal text to float, bit for bit as strtof(), several times as fast.
 *
 * A decimal number is w * 10^q with an integer w of up to 19 digits, read
 * eight digits at a time.  The first of three ways that applies rounds it:
 *
 *	1. exact	w <= 2^53 and |q| <= 22: both are exact doubles, so that one
 *				multiplication or division rounds correctly to double; the
 *				second rounding, to float, is right unless the first was inexact
 *				and hit a midpoint of two floats.  (W. D. Clinger, "How to Read
 *				Floating Point Numbers Accurately", PLDI 1990, done in double for
 *				float.)  Not where double arithmetic is wider than double (x87).
 *	2. approx	multiply w by the first 64 bits of 5^q from a table.  The error
 *				is below 2 units of the product's upper half, and a float needs
 *				24 of its 64 bits: nearly always the whole interval rounds to
 *				one float.  Digits after the 19th widen the interval to [w,
 *				w + 1], seldom enough to matter.  (D. Lemire, "Number Parsing
 *				at a Gigabyte per Second", Software: Practice and Experience
 *				51, 2021; the algorithm is M. Eisel's.)
 *	3. strtof	decides what is left: midpoints, results that are subnormal,
 *				zero or too large, hexadecimal numbers, infinity and NaN, and
 *				text that is no number.  It also sets the error.
 *
 * So ways 1 and 2 return what they can prove, and errors come from strtof()
 * alone.  Rejected: Lemire's 128-bit table, which decides midpoints too; it
 * buys nothing for vectors, whose elements do not lie there, and the proof
 * above is three lines.
 *
 * Ways 1 and 2 know one decimal point, the full stop.  strtof() follows
 * LC_NUMERIC, which PostgreSQL keeps at C; a program that sets another gets
 * another result in the cases of way 3.  The rounding mode must be to nearest.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>

#include "kernels/float_parse.h"
#include "kernels/literal.h"

/*
 * floor(5^q * 2^s), with the s that makes it 64 bits long; exact for q from
 * 0 to 27.  test/unit/literal_test.c checks each against exact integers.
 */
const uint64_t vec_power_of_five[VEC_MAX_POWER - VEC_MIN_POWER + 1] = {
	0xC8DE047564D20A8B, 0xFB158592BE068D2E, 0x9CED737BB6C4183D, 0xC428D05AA4751E4C,
	0xF53304714D9265DF, 0x993FE2C6D07B7FAB, 0xBF8FDB78849A5F96, 0xEF73D256A5C0F77C,
	0x95A8637627989AAD, 0xBB127C53B17EC159, 0xE9D71B689DDE71AF, 0x9226712162AB070D,
	0xB6B00D69BB55C8D1, 0xE45C10C42A2B3B05, 0x8EB98A7A9A5B04E3, 0xB267ED1940F1C61C,
	0xDF01E85F912E37A3, 0x8B61313BBABCE2C6, 0xAE397D8AA96C1B77, 0xD9C7DCED53C72255,
	0x881CEA14545C7575, 0xAA242499697392D2, 0xD4AD2DBFC3D07787, 0x84EC3C97DA624AB4,
	0xA6274BBDD0FADD61, 0xCFB11EAD453994BA, 0x81CEB32C4B43FCF4, 0xA2425FF75E14FC31,
	0xCAD2F7F5359A3B3E, 0xFD87B5F28300CA0D, 0x9E74D1B791E07E48, 0xC612062576589DDA,
	0xF79687AED3EEC551, 0x9ABE14CD44753B52, 0xC16D9A0095928A27, 0xF1C90080BAF72CB1,
	0x971DA05074DA7BEE, 0xBCE5086492111AEA, 0xEC1E4A7DB69561A5, 0x9392EE8E921D5D07,
	0xB877AA3236A4B449, 0xE69594BEC44DE15B, 0x901D7CF73AB0ACD9, 0xB424DC35095CD80F,
	0xE12E13424BB40E13, 0x8CBCCC096F5088CB, 0xAFEBFF0BCB24AAFE, 0xDBE6FECEBDEDD5BE,
	0x89705F4136B4A597, 0xABCC77118461CEFC, 0xD6BF94D5E57A42BC, 0x8637BD05AF6C69B5,
	0xA7C5AC471B478423, 0xD1B71758E219652B, 0x83126E978D4FDF3B, 0xA3D70A3D70A3D70A,
	0xCCCCCCCCCCCCCCCC, 0x8000000000000000, 0xA000000000000000, 0xC800000000000000,
	0xFA00000000000000, 0x9C40000000000000, 0xC350000000000000, 0xF424000000000000,
	0x9896800000000000, 0xBEBC200000000000, 0xEE6B280000000000, 0x9502F90000000000,
	0xBA43B74000000000, 0xE8D4A51000000000, 0x9184E72A00000000, 0xB5E620F480000000,
	0xE35FA931A0000000, 0x8E1BC9BF04000000, 0xB1A2BC2EC5000000, 0xDE0B6B3A76400000,
	0x8AC7230489E80000, 0xAD78EBC5AC620000, 0xD8D726B7177A8000, 0x878678326EAC9000,
	0xA968163F0A57B400, 0xD3C21BCECCEDA100, 0x84595161401484A0, 0xA56FA5B99019A5C8,
	0xCECB8F27F4200F3A, 0x813F3978F8940984, 0xA18F07D736B90BE5, 0xC9F2C9CD04674EDE,
	0xFC6F7C4045812296, 0x9DC5ADA82B70B59D, 0xC5371912364CE305, 0xF684DF56C3E01BC6,
	0x9A130B963A6C115C, 0xC097CE7BC90715B3, 0xF0BDC21ABB48DB20, 0x96769950B50D88F4,
	0xBC143FA4E250EB31, 0xEB194F8E1AE525FD, 0x92EFD1B8D0CF37BE, 0xB7ABC627050305AD,
	0xE596B7B0C643C719, 0x8F7E32CE7BEA5C6F, 0xB35DBF821AE4F38B, 0xE0352F62A19E306E
};

const double vec_power_of_ten[23] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

const uint32_t vec_power_of_ten_int[8] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000
};

/*
 * vec_read_first_digits
 *		The first VEC_MAX_DIGITS digits of the decimal number at p, leading
 *		zeros not counted, as an integer; *dropped is how many came after.
 */
uint64_t
vec_read_first_digits(const char *p, int64_t *dropped)
{
	uint64_t	w = 0;
	int			ndigits = 0;
	bool		point = false;

	*dropped = 0;
	for (;; p++)
	{
		if (*p == '.' && !point)
			point = true;
		else if (!vec_is_digit(*p))
			return w;
		else if (ndigits == VEC_MAX_DIGITS)
			(*dropped)++;
		else
		{
			w = w * 10 + (uint64_t) (*p - '0');
			ndigits += (w != 0);
		}
	}
}

/*
 * vec_parse_float
 *		The number that text starts with, as strtof() reads it in the C locale.
 *
 * "stop" is the terminating zero byte of the whole text: nothing after it is
 * read, and before it bytes are read eight at a time.  Sets *end to the first
 * byte after the number, to "text" if there is none.  Sets *error to ERANGE
 * where strtof() does: for a magnitude too large, which returns infinity, and
 * for one that loses digits below FLT_MIN, which returns a subnormal or zero;
 * otherwise to 0.  Clobbers errno.
 */
float
vec_parse_float(const char *text, const char *stop, const char **end, int *error)
{
	float		value;

	*error = 0;
	if (!vec_parse_float_fast(text, stop, end, &value))
		value = vec_parse_float_slow(text, end, error);
	return value;
}

/*
 * vec_parse_float_slow
 *		As vec_parse_float(), by strtof() whatever the number.
 */
float
vec_parse_float_slow(const char *text, const char **end, int *error)
{
	char	   *after;
	float		value;

	errno = 0;
	value = strtof(text, &after);
	*error = (errno == ERANGE) ? ERANGE : 0;
	*end = after;
	return value;
}

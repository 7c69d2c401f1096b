/*-------------------------------------------------------------------------
 *
 * filter_key.c
 *	  The word of a value (README.md, "Words").
 *
 * Part of the disk format of the indexes that use it.
 *
 *-------------------------------------------------------------------------
 */
#include "filter/filter_private.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "filter/filter_key.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define SIGN_BIT		(UINT64CONST(1) << 63)

/* bits of an array's word that each element sets, at most */
#define ELEMENT_BITS	3

/*
 * filter_key_int
 *		An integer: the order of the words is that of the integers.
 */
uint64
filter_key_int(int64 value)
{
	return (uint64) value ^ SIGN_BIT;
}

/*
 * filter_key_float
 *		A float in the order of btree: -0 is 0, NaN is the greatest.
 */
uint64
filter_key_float(double value)
{
	uint64		bits;

	if (isnan(value))
		return PG_UINT64_MAX;
	if (value == 0)
		value = 0;				/* drops the sign */
	memcpy(&bits, &value, sizeof(bits));
	return (bits & SIGN_BIT) != 0 ? ~bits : bits | SIGN_BIT;
}

/*
 * filter_key_numeric
 *		The nearest double.  Different numbers may share it, and none changes sides.
 */
uint64
filter_key_numeric(Datum value)
{
	return filter_key_float(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
															   value)));
}

/*
 * filter_key_bytes
 *		Bytes: the first five, in the order of memcmp() where none is zero, then 24
 *		bits of a hash of all.
 */
uint64
filter_key_bytes(const unsigned char *bytes, int size)
{
	uint64		key = 0;

	for (int i = 0; i < FILTER_PREFIX_BYTES; i++)
		key = key << 8 | (i < size ? bytes[i] : 0);
	return key << FILTER_HASH_BITS | (hash_bytes_extended(bytes, size, 0) & FILTER_HASH_MASK);
}

static uint64
text_key(const FilterColumn *column, Datum value)
{
	struct varlena *text;

	if (column->collation == FILTER_UNKNOWN)
		return 0;
	text = PG_DETOAST_DATUM_PACKED(value);
	if (column->collation == FILTER_DETERMINISTIC)
		return hash_bytes_extended((const unsigned char *) VARDATA_ANY(text),
								   (int) VARSIZE_ANY_EXHDR(text), 0);
	return filter_key_bytes((const unsigned char *) VARDATA_ANY(text),
							(int) VARSIZE_ANY_EXHDR(text));
}

/* the bits of an array's element, not NULL */
static uint64
element_bits(Oid type, Datum value)
{
	uint64		hash;
	uint64		bits = 0;

	if (type == TEXTOID || type == VARCHAROID)
	{
		struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(text),
								   (int) VARSIZE_ANY_EXHDR(text), 0);
	}
	else
	{
		int64		number = type == INT2OID ? DatumGetInt16(value) :
			type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);

		hash = hash_bytes_extended((const unsigned char *) &number, sizeof(number), 0);
	}
	for (int i = 0; i < ELEMENT_BITS; i++)
		bits |= UINT64CONST(1) << (hash >> (i * 6) & 63);
	return bits;
}

/*
 * filter_key_elements
 *		The bits of each element of an array, palloc'd; *n is their number and
 *		*has_null whether there are NULLs, which have none.
 */
uint64 *
filter_key_elements(const FilterColumn *column, Datum value, int *n, bool *has_null)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	bool		text = column->element == TEXTOID || column->element == VARCHAROID;
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;
	uint64	   *bits;

	*n = 0;
	*has_null = false;
	if (text)
		deconstruct_array(array, column->element, -1, false, TYPALIGN_INT, &elements, &nulls,
						  &nelements);
	else if (column->element == INT2OID)
		deconstruct_array(array, INT2OID, sizeof(int16), true, TYPALIGN_SHORT, &elements, &nulls,
						  &nelements);
	else if (column->element == INT4OID)
		deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, &nulls,
						  &nelements);
	else
		deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
						  &elements, &nulls, &nelements);
	bits = palloc(mul_size(sizeof(uint64), Max(nelements, 1)));
	for (int i = 0; i < nelements; i++)
	{
		if (nulls[i])
			*has_null = true;
		else
			bits[(*n)++] = element_bits(column->element, elements[i]);
	}
	return bits;
}

static uint64
array_key(const FilterColumn *column, Datum value)
{
	uint64		key = 0;
	uint64	   *bits;
	bool		has_null;
	int			n;

	if (column->collation == FILTER_UNKNOWN)
		return 0;
	bits = filter_key_elements(column, value, &n, &has_null);
	for (int i = 0; i < n; i++)
		key |= bits[i];
	return key;
}

/*
 * filter_integer
 *		A value of a type whose order is that of integers, as one.
 */
int64
filter_integer(Oid type, Datum value)
{
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value);
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case DATEOID:
			return DatumGetDateADT(value);
		default:
			return DatumGetInt64(value);	/* timestamps too */
	}
}

/*
 * filter_key
 *		The word of a column's value, which is not NULL.
 *
 * Detoasts in the current memory context.
 */
uint64
filter_key(const FilterColumn *column, Datum value)
{
	switch (column->kind)
	{
		case FILTER_INTEGER:
		case FILTER_DATE:
		case FILTER_TIMESTAMP:
			return filter_key_int(filter_integer(column->type, value));
		case FILTER_FLOAT:
			return filter_key_float(column->type == FLOAT4OID ? DatumGetFloat4(value) :
									DatumGetFloat8(value));
		case FILTER_NUMERIC:
			return filter_key_numeric(value);
		case FILTER_UUID:
			return filter_key_bytes(DatumGetUUIDP(value)->data, UUID_LEN);
		case FILTER_TEXT:
			return text_key(column, value);
		case FILTER_ENUM:
			return DatumGetObjectId(value);
		case FILTER_ARRAY:
			return array_key(column, value);
	}
	pg_unreachable();
}

/*-------------------------------------------------------------------------
 *
 * bitvec.h
 *	  The server's bit strings as binary vectors, for the files of this folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BITVEC_H
#define VECEXT_BITVEC_H

#include "compat.h"

#include "utils/varbit.h"

extern VarBit *bitvec_get(Datum datum);
extern double bitvec_hamming(const VarBit *a, const VarBit *b);
extern double bitvec_jaccard(const VarBit *a, const VarBit *b);

#endif							/* VECEXT_BITVEC_H */

/*-------------------------------------------------------------------------
 *
 * sparse.h
 *	  Making and reading sparsevec values, for the files of this folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_SPARSE_H
#define VECEXT_SPARSE_H

#include "compat.h"

#include "types/sparsevec.h"

extern SparseVector *sparse_get(Datum datum);
extern SparseVector *sparse_new(int dim, int nnz);
extern SparseVector *sparse_drop_zeros(SparseVector *vec);
extern bool sparse_check_nnz(int64 nnz, Node *escontext);

#define PG_GETARG_SPARSE(n)		sparse_get(PG_GETARG_DATUM(n))

#endif							/* VECEXT_SPARSE_H */

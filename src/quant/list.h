/*-------------------------------------------------------------------------
 *
 * list.h
 *	  List codes: vectors of a list as codes of their residual to its center,
 *	  32 to a block, and what a query learns from a block.
 *
 * As in quant.h nothing allocates and no state is global.  Vectors, centers
 * and queries are in nav space (quant.h); a model without sketches
 * (sketch_dims = -1) has all that is needed.  List distances are squared
 * lengths in nav space (L2, cosine), or for inner products minus the product,
 * in a unit of the query's own; they serve to compare, and list_to_sql() and
 * list_threshold() lead to SQL units and back.
 *
 * A code comes row-major (list_code_size() bytes and a ListTerms), as it is
 * kept while a block is open, or in a block (list_block_size() bytes and a
 * ListBlockTerms).  README.md, "List codes", has formulas and bounds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_QUANT_LIST_H
#define VECEXT_QUANT_LIST_H

#include <math.h>

#include "quant/quant.h"

#define LIST_BLOCK		VEC_BLOCK

/* spreads that the statistical bound takes off; RaBitQ's own */
#define LIST_EPSILON	1.9f

/* instead of an epsilon: the bound that always holds */
#define LIST_RIGOROUS	(-1.0f)

typedef enum ListQuantizer
{
	LIST_NONE,					/* no codes: floats */
	LIST_INT8,					/* a byte a coordinate */
	LIST_RABITQ					/* a bit a coordinate */
} ListQuantizer;

/* what turns the product of code and query into a distance and a bound */
typedef struct ListTerms
{
	float		offset;
	float		scale;
	float		error;			/* spread of the estimate, per length of q - center */
} ListTerms;

typedef struct ListBlockTerms
{
	float		offset[LIST_BLOCK];
	float		scale[LIST_BLOCK];
	float		error[LIST_BLOCK];
} ListBlockTerms;

/*--- codes: listcode.c ---------------------------------------------------*/

extern size_t list_code_size(ListQuantizer quantizer, int dim);
extern size_t list_block_size(ListQuantizer quantizer, int dim);
extern void list_encode(const QuantModel *model, ListQuantizer quantizer, const float *nav,
						float slack, const float *center, ListTerms *terms, uint8_t *code);

extern void list_block_init(ListQuantizer quantizer, int dim, uint8_t *block,
							ListBlockTerms *terms);
extern void list_block_put(ListQuantizer quantizer, int dim, uint8_t *block,
						   ListBlockTerms *block_terms, int i, const ListTerms *terms,
						   const uint8_t *code);
extern void list_block_get(ListQuantizer quantizer, int dim, const uint8_t *block,
						   const ListBlockTerms *block_terms, int i, ListTerms *terms,
						   uint8_t *code);
extern void list_block_drop(ListBlockTerms *block_terms, int i);
extern void list_block_transpose(ListQuantizer quantizer, int dim, const uint8_t *codes,
								 size_t stride, int n, uint8_t *block);
extern void list_block_untranspose(ListQuantizer quantizer, int dim, const uint8_t *block,
								   int n, uint8_t *codes, size_t stride);

/*--- queries: listquery.c ------------------------------------------------*/

typedef struct ListQuery
{
	const QuantModel *model;
	ListQuantizer quantizer;
	float	   *nav;			/* dim floats: R q, in nav space; IP: not centred, see unit */
	float	   *seen;			/* what centers are compared with: nav; IP: nav less the mean */
	uint8_t    *lut;			/* for one-bit codes: those of centers always are */
	int8_t	   *levels;			/* for int8 */
	double		unit;			/* IP: list distances are unit times those of SQL */
	float		mean_dot;		/* IP: <nav, mean> */
	float		norm;			/* length of nav */
	float		slack;			/* rounding that may be in nav, as a length */
	float		table_slack;	/* most that rounding of "table" may be off, in all */
	float		table_spread;	/* what rounding of "table" is off as a rule; int8 only */
	VecListTable table;
	VecListTable center_table;
} ListQuery;

/* where a query stands to a list */
typedef struct ListPlace
{
	float		distance;		/* list distance of the center itself: lists by this */
	VecListAt	at;
} ListPlace;

extern size_t list_query_size(const QuantModel *model, ListQuantizer quantizer);
extern ListQuery *list_query_init(const QuantModel *model, ListQuantizer quantizer, void *memory);
extern void list_query_set(ListQuery *query, const float *q);
extern void list_place(const ListQuery *query, const float *center, float epsilon,
					   ListPlace *place);
extern float list_center_distance(const ListQuery *query, const float *center);
extern float list_threshold(const ListQuery *query, double distance);
extern double list_to_sql(const ListQuery *query, float distance);
extern double list_bound_to_sql(const ListQuery *query, float lower);

/*
 * Estimate and lower bound of the n first codes of a block, n <= LIST_BLOCK,
 * in list distances; both arrays have LIST_BLOCK places.  The result has a bit
 * for each code whose bound is not at or above the threshold.
 */
static inline uint32_t
list_scan(const ListQuery *query, const ListPlace *place, float threshold, const uint8_t *block,
		  const ListBlockTerms *terms, int n, float *estimate, float *lower)
{
	VecListAt	at = place->at;
	uint32_t	mask;

	at.threshold = threshold;
	if (query->quantizer == LIST_INT8)
		return vec_kernels->scan_bytes(&query->table, block,
									   list_code_size(LIST_INT8, query->table.dim), n,
									   terms->offset, &at, estimate, lower);
	mask = vec_kernels->scan_block(&query->table, block, terms->offset, &at, estimate, lower);
	return n < LIST_BLOCK ? mask & ((UINT32_C(1) << n) - 1) : mask;
}

/* of bounds that list_scan() gave, those not at or above another threshold */
static inline uint32_t
list_mask(const float *lower, float threshold)
{
	return vec_kernels->mask_block(lower, threshold);
}

/* squared lengths or minus products of q and n rows of floats, without a model */
extern void list_floats(QuantMetric metric, const float *q, const float *rows, size_t stride,
						int n, int dim, float *distance);

/*--- searches: listbest.c ------------------------------------------------*/

/* the k nearest so far: a heap, farthest on top, until list_best_sort() */
typedef struct ListBest
{
	int			k;
	int			n;
	float	   *distance;		/* k */
	uint64_t   *id;				/* k */
} ListBest;

extern size_t list_best_size(int k);
extern void list_best_init(ListBest *best, int k, void *memory);
extern void list_best_replace(ListBest *best, float distance, uint64_t id);
extern void list_best_sort(ListBest *best);

/* what a new one must be below */
static inline float
list_best_threshold(const ListBest *best)
{
	return best->n < best->k ? INFINITY : best->distance[0];
}

static inline void
list_best_add(ListBest *best, float distance, uint64_t id)
{
	if (distance < list_best_threshold(best))
		list_best_replace(best, distance, id);
}

/* the floats of center i, or NULL to pass it over */
typedef const float *(*ListCenterFn) (void *context, int i);

extern int	list_centers(const ListQuery *query, const uint8_t *blocks, size_t block_stride,
						 const uint8_t *terms, size_t terms_stride, int ncenters, float epsilon,
						 ListCenterFn center, void *context, float *scratch, ListBest *best);

#endif							/* VECEXT_QUANT_LIST_H */

/*-------------------------------------------------------------------------
 *
 * quant.h
 *	  Compact codes: how a vector becomes a nav code, an edge sketch and a
 *	  refine record, and what a query can learn from each.
 *
 * Nothing here allocates: every function works on memory its caller gives,
 * whose size a function beside it tells.  No state is global, so threads may
 * share a model once it is trained.  Memory must be aligned for float.
 *
 * "Nav space" is where codes live: x becomes scale * R(x - mean), with R a
 * random orthogonal map, after x was brought to length 1 for cosine.  Nav
 * distances are squared Euclidean (L2, cosine) or minus the inner product
 * (IP), times scale^2; they serve to compare candidates only.  What the user
 * sees are distances in SQL units: Euclidean distance, minus the inner
 * product, 1 - cosine.
 *
 * README.md has the formulas, their sources and the error analysis.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_QUANT_H
#define VECEXT_QUANT_H

#include "kernels/kernels.h"

#define QUANT_MAX_DIM		16000
#define QUANT_MAX_SKETCH	320 /* coordinates of a sketch */

typedef enum QuantMetric
{
	QUANT_L2,
	QUANT_IP,
	QUANT_COSINE
} QuantMetric;

/* what the user chooses; zero means "choose for me" */
typedef struct QuantConfig
{
	int			dim;			/* 1..QUANT_MAX_DIM */
	QuantMetric metric;
	int			nav_bits;		/* 2, 4, 8 or 32 */
	int			sketch_dims;	/* trained coordinates, or -1 for no sketches */
	uint64_t	seed;			/* of the random maps */
} QuantConfig;

/*
 * The model: flat bytes of fixed layout, in native byte order, so that model
 * pages hold a copy.  The header is followed by three arrays, at the offsets
 * it names:
 *
 *	mean		float[dim], and its image scale * R mean, float[dim]
 *	signs		four rounds of sign bits for the rotation
 *	directions	half[sketch_dims][dim], orthonormal rows in nav space; absent
 *				when untrained: then sketches take leading nav coordinates
 */
typedef struct QuantModel
{
	uint32_t	magic;
	uint32_t	version;
	uint32_t	size;			/* bytes in all */
	int32_t		dim;
	int32_t		metric;			/* QuantMetric */
	int32_t		nav_bits;
	int32_t		sketch_bits;	/* 2 trained, 1 untrained, 0 none */
	int32_t		sketch_dims;	/* coordinates sketched; multiple of 8 (2 bits) or 16 */
	uint64_t	seed;
	float		scale;			/* 1 / root mean square distance to the mean */
	float		mean_norm;		/* length of the mean, in nav space */
	float		edge_energy;	/* part of an edge's square the directions hold */
	uint32_t	mean_offset;
	uint32_t	signs_offset;
	uint32_t	directions_offset;	/* 0 if none */
	uint32_t	reserved[2];
} QuantModel;

/*--- model: model.c, pca.c ---------------------------------------------*/

extern bool quant_config_ok(const QuantConfig *config);
extern size_t quant_model_max_size(const QuantConfig *config);
extern void quant_model_init(QuantModel *model, const QuantConfig *config, const float *first);
extern int	quant_sample_rows(const QuantConfig *config);
extern size_t quant_train_scratch(const QuantConfig *config);
extern void quant_train(QuantModel *model, const QuantConfig *config, float *sample, int nrows,
						void *scratch, void (*tick) (void));
extern bool quant_model_check(const void *bytes, size_t size);

/* nav-space image of x; returns how long a rounding error it may hold */
extern float quant_map(const QuantModel *model, const float *x, float *nav);

static inline const float *
quant_mean(const QuantModel *model)
{
	return (const float *) ((const char *) model + model->mean_offset);
}

static inline const float *
quant_nav_mean(const QuantModel *model)
{
	return quant_mean(model) + model->dim;
}

static inline const uint8_t *
quant_signs(const QuantModel *model)
{
	return (const uint8_t *) model + model->signs_offset;
}

static inline const vec_half *
quant_directions(const QuantModel *model)
{
	return (const vec_half *) ((const char *) model + model->directions_offset);
}

/* "bits" of the codes a graph is built with: never fewer than eight */
static inline int
quant_build_bits(const QuantModel *model)
{
	return model->nav_bits > 8 ? model->nav_bits : 8;
}

/*--- rotation: rotate.c -------------------------------------------------*/

/* next number of a sequence (splitmix64: Steele, Lea, Flood, 2014) */
static inline uint64_t
quant_random(uint64_t *state)
{
	uint64_t	z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

extern size_t rotate_signs_size(int dim);
extern void rotate_make_signs(uint64_t seed, int dim, uint8_t *signs);
extern void rotate_apply(const uint8_t *signs, int dim, float *x);

/*--- nav codes: navcode.c -----------------------------------------------*/

/*
 * A nav code is these numbers, then the levels.  At 32 bits the levels are
 * the floats of the nav-space vector itself.
 */
typedef struct NavHead
{
	float		normsq;			/* squared length of the nav-space vector x */
	float		rescale;		/* <x, q> is about rescale * <levels, q> */
	float		residual;		/* at least the length of x - decoded x */
	float		mean_dot;		/* IP: <scale * R mean, x>; else 0 */
	int32_t		sum;			/* of the levels */
} NavHead;

/* what a sketch must know of a link from u to v, in nav space */
typedef struct NavEdge
{
	float		length_squared; /* |v - u|^2 */
	float		along;			/* IP: <u + scale * R mean, v - u>; else 0 */
} NavEdge;

extern size_t nav_code_size(int dim, int bits);
extern void nav_encode(const QuantModel *model, int bits, const float *nav, float slack,
					   uint8_t *code);
extern void nav_decode(const QuantModel *model, int bits, const uint8_t *code, float *nav);
extern float nav_pair(const QuantModel *model, int bits, const uint8_t *a, const uint8_t *b);
extern NavEdge nav_edge(const QuantModel *model, int bits, const uint8_t *from,
						const uint8_t *to);
extern NavEdge nav_edge_from_origin(const uint8_t *to);
extern bool nav_equal(const QuantModel *model, int bits, const uint8_t *a, const uint8_t *b);

/* levels of x, dim floats, and the fields of a head that follow from them */
extern double nav_fit(const float *x, int dim, int bits, NavHead *head, uint8_t *levels);

/*--- peeks: peek.c --------------------------------------------------------*/

extern size_t quant_peek_size(const QuantModel *model);
extern void quant_peek_encode(const QuantModel *model, const float *coords, const uint8_t *code,
							  uint8_t *peek);
extern void quant_peek(const QuantModel *model, const uint8_t *a, const uint8_t *const *b, int n,
					   float stretch, float *distance);
extern float quant_peek_stretch(const QuantModel *model, const uint8_t *a, const uint8_t *b,
								float distance);

/*--- queries: query.c ---------------------------------------------------*/

typedef struct QuantQuery
{
	const QuantModel *model;
	float	   *nav;			/* dim floats */
	float	   *sketch;			/* sketch_dims floats, then used up by the table */
	uint8_t    *lut;
	float		sum;			/* of nav */
	float		normsq;			/* of nav; L2 and cosine */
	float		base;			/* IP: minus scale^2 * <q, mean> */
	float		slack;			/* rounding that may be in nav, as a length */
	double		norm;			/* length of nav; its square may vanish in a float */
	VecScanTable table;
} QuantQuery;

extern size_t quant_query_size(const QuantModel *model);
extern QuantQuery *quant_query_init(const QuantModel *model, void *memory);
extern void quant_query_set(QuantQuery *query, const float *q);

/* nav distance, estimated from a code; unbiased over the random rotation */
extern float nav_distance(const QuantQuery *query, int bits, const uint8_t *code);

/* lower bound, in SQL units, for the distance of the vector behind a code */
extern double nav_lower_bound(const QuantQuery *query, int bits, const uint8_t *code);

/* SQL units of a nav distance, and back */
extern double quant_to_sql(const QuantModel *model, float distance);
extern double quant_from_sql(const QuantModel *model, double distance);

/*--- edge sketches: sketch.c --------------------------------------------*/

/* links per node are padded to a multiple of this */
#define SKETCH_ALIGN	8

/* a sketch before it is packed: groups of four bits, one per byte */
typedef struct SketchEdge
{
	vec_half	offset;
	vec_half	scale;
	uint8_t		group[QUANT_MAX_SKETCH / 2];
} SketchEdge;

extern int	sketch_groups(const QuantModel *model);
extern size_t sketch_codes_size(const QuantModel *model, int nlinks);
extern void sketch_project(const QuantModel *model, const float *nav, float *coords);
extern void sketch_encode(const QuantModel *model, const float *from, const float *to,
						  NavEdge length, SketchEdge *edge);
extern void sketch_put(uint8_t *codes, int ngroups, int nlinks, int link, const uint8_t *group);
extern void sketch_set_query(QuantQuery *query);

/*
 * Nav distances of the ends of a node's links, from the node's own: base.
 * nlinks is a multiple of SKETCH_ALIGN, as must be the room in "estimate".
 */
static inline void
sketch_estimate(const QuantQuery *query, const uint8_t *codes, const vec_half *offset,
				const vec_half *scale, int nlinks, float base, float *estimate)
{
	vec_kernels->scan_links(&query->table, codes, offset, scale, nlinks, base, estimate);
}

/*--- refine records: refine.c -------------------------------------------*/

typedef enum RefineKind
{
	REFINE_FULL,				/* float[dim]: exact */
	REFINE_HALF,				/* float residual, half[dim] */
	REFINE_INT8,				/* float residual, offset, step; uint8[dim] */
	REFINE_HEAP					/* nothing: the table row is read */
} RefineKind;

typedef struct RefineResult
{
	double		distance;		/* SQL units; best guess, exact for REFINE_FULL */
	double		bound;			/* SQL units; never above what SQL computes */
} RefineResult;

extern size_t refine_size(RefineKind kind, int dim);
extern void refine_encode(RefineKind kind, const float *x, int dim, uint8_t *record);
extern RefineResult refine_distance(RefineKind kind, QuantMetric metric, const float *q,
									double q_norm, const uint8_t *record, int dim);
extern double refine_decode(RefineKind kind, const uint8_t *record, int dim, float *x);
extern double refine_query_norm(const float *q, int dim);

#endif							/* VECEXT_QUANT_H */

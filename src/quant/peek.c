/*-------------------------------------------------------------------------
 *
 * peek.c
 *	  Peeks: a short code of a vector's sketched coordinates, from which the
 *	  distance of two vectors is estimated where their nav codes would be much
 *	  more to read.
 *
 * P being the map to the sketched coordinates, |Pu - Pv|^2 is never more than
 * |u - v|^2, and their quotient, the stretch, varies little in one data set.
 * The caller learns it.  A nav distance is made of it by
 *
 *	L2, cosine		|u - v|^2
 *	inner product	base + |u - v|^2 / 2, where base is the sum of what each
 *					vector adds by itself
 *
 * A peek is a head and 4 bits a coordinate: 64 bytes for 96 coordinates.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

#define PEEK_BITS		4
#define CENTER			7.5f	/* of levels of so many bits */

/* peeks that see less of an edge's square in the sample tell too little */
#define LEAST_ENERGY	0.4f

/* peeks estimated in one go */
#define BATCH			32

/* before the levels of a peek */
typedef struct PeekHead
{
	float		normsq;			/* of the coordinates */
	float		rescale;
	float		base;			/* inner product */
	int32_t		sum;			/* of the levels */
} PeekHead;

static inline PeekHead
read_head(const uint8_t *peek)
{
	PeekHead	head;

	memcpy(&head, peek, sizeof(head));
	return head;
}

/*
 * quant_peek_size
 *		Bytes of a peek; 0 if it would not be much shorter than the nav code,
 *		or leave out what matters.
 */
size_t
quant_peek_size(const QuantModel *model)
{
	if (model->sketch_bits != 2 || quant_build_bits(model) == 32 ||
		model->dim < 2 * model->sketch_dims || !(model->edge_energy >= LEAST_ENERGY))
		return 0;
	return sizeof(PeekHead) + (size_t) model->sketch_dims * PEEK_BITS / 8;
}

/*
 * quant_peek_encode
 *		The peek of a vector: from its sketched coordinates, and its nav code of
 *		any number of bits.
 */
void
quant_peek_encode(const QuantModel *model, const float *coords, const uint8_t *code,
				  uint8_t *peek)
{
	NavHead		nav;
	NavHead		fit;
	PeekHead	head;

	memcpy(&nav, code, sizeof(nav));
	nav_fit(coords, model->sketch_dims, PEEK_BITS, &fit, peek + sizeof(head));
	head.normsq = fit.normsq;
	head.rescale = fit.rescale;
	head.sum = fit.sum;
	head.base = model->metric != QUANT_IP ? 0 :
		-(nav.mean_dot + (nav.normsq + model->mean_norm * model->mean_norm) / 2);
	memcpy(peek, &head, sizeof(head));
}

/* |Pu - Pv|^2 as a function of v's head and of the product of the levels */
typedef struct PeekFrom
{
	float		normsq;
	float		factor;
	float		shift;
} PeekFrom;

static inline PeekFrom
peek_from(const PeekHead *u, int dims)
{
	PeekFrom	from = {u->normsq, -2 * u->rescale,
		CENTER * CENTER * (float) dims - CENTER * (float) u->sum};

	return from;
}

static inline float
peek_part(const PeekFrom *from, const PeekHead *v, int32_t product)
{
	float		dot = (float) product + from->shift - CENTER * (float) v->sum;
	float		part = from->normsq + v->normsq + from->factor * v->rescale * dot;

	return part > 0 ? part : 0;
}

/*
 * quant_peek
 *		Nav distances of n vectors from another, estimated from their peeks.
 */
void
quant_peek(const QuantModel *model, const uint8_t *a, const uint8_t *const *b, int n,
		   float stretch, float *distance)
{
	PeekHead	u = read_head(a);
	int			dims = model->sketch_dims;
	PeekFrom	from = peek_from(&u, dims);

	if (model->metric == QUANT_IP)
		stretch /= 2;
	for (int first = 0; first < n; first += BATCH)
	{
		int			last = n - first < BATCH ? n : first + BATCH;
		const uint8_t *levels[BATCH];
		int32_t		product[BATCH];

		for (int i = first; i < last; i++)
			levels[i - first] = b[i] + sizeof(PeekHead);
		vec_kernels->dot_u4_rows(a + sizeof(PeekHead), levels, last - first, dims, product);
		for (int i = first; i < last; i++)
		{
			PeekHead	v = read_head(b[i]);

			distance[i] = u.base + v.base + stretch * peek_part(&from, &v, product[i - first]);
		}
	}
}

/*
 * quant_peek_stretch
 *		The stretch that makes the estimate this nav distance; infinite or NaN
 *		where peeks see no difference.
 */
float
quant_peek_stretch(const QuantModel *model, const uint8_t *a, const uint8_t *b, float distance)
{
	PeekHead	u = read_head(a);
	PeekHead	v = read_head(b);
	int32_t		product = vec_kernels->dot_u4(a + sizeof(u), b + sizeof(v), model->sketch_dims);
	PeekFrom	from = peek_from(&u, model->sketch_dims);
	float		part = peek_part(&from, &v, product);

	if (model->metric == QUANT_IP)
		part /= 2;
	return (distance - (u.base + v.base)) / part;
}

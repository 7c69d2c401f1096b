/*-------------------------------------------------------------------------
 *
 * listcode.c
 *	  List codes: encoding, and the way into a block and out of it.
 *
 * With r = nav(x) - center and y the levels of the code, centred, the
 * inner product of r with anything is estimated by f * <y, .> with
 * f = |r|^2 / <y, r>, which is unbiased over the random rotation (RaBitQ: Gao,
 * Long: SIGMOD 2024).  What the code does not see is at most
 * |r - f y| = sqrt(f^2 |y|^2 - |r|^2).
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/list.h"

#define UNIT			0x1p-24

/*
 * Part of f |y| that is added to the residual, so that a length of SEEN_SLACK
 * (listquery.c) times |q| + |center| covers what rounding in a query may do.
 */
#define CODE_SLACK		6e-3

static int
groups_of(int dim)
{
	return (dim + 3) / 4;
}

/*
 * list_code_size
 *		Bytes of a row-major code, without its terms; 0 for LIST_NONE.
 */
size_t
list_code_size(ListQuantizer quantizer, int dim)
{
	if (quantizer == LIST_INT8)
		return ((size_t) dim + 3) / 4 * 4;
	return quantizer == LIST_RABITQ ? ((size_t) dim + 7) / 8 : 0;
}

/*
 * list_block_size
 *		Bytes of a block, without its terms.
 */
size_t
list_block_size(ListQuantizer quantizer, int dim)
{
	if (quantizer == LIST_INT8)
		return LIST_BLOCK * list_code_size(quantizer, dim);
	return quantizer == LIST_RABITQ ? (size_t) groups_of(dim) * (LIST_BLOCK / 2) : 0;
}

/* sums over the coordinates that terms are made of */
typedef struct CodeSums
{
	double		rr;				/* |r|^2 */
	double		yr;				/* <y, r> */
	double		yy;				/* |y|^2 */
	double		yc;				/* <y, c>, c the center; IP: with the mean */
	double		rc;				/* <r, c>; of use for IP only */
	double		cc;				/* |c|^2; the same */
} CodeSums;

static void
add_sums(CodeSums *sums, double y, double r, double c)
{
	sums->rr += r * r;
	sums->yr += y * r;
	sums->yy += y * y;
	sums->yc += y * c;
	sums->rc += r * c;
	sums->cc += c * c;
}

static void
encode_bits(const QuantModel *model, const float *nav, const float *center, const float *mean,
			uint8_t *code, CodeSums *sums)
{
	VecSignSums s;

	vec_kernels->sign_code_f32(nav, center, mean, model->dim, code, &s);
	sums->rr = s.rr;
	sums->yr = s.yr;
	sums->yy = model->dim;
	sums->yc = s.yc;
	sums->rc = s.rc;
	sums->cc = s.cc;
}

static void
encode_bytes(const QuantModel *model, const float *nav, const float *center, const float *mean,
			 uint8_t *code, CodeSums *sums)
{
	double		largest = 0;
	double		inverse_step;

	for (int i = 0; i < model->dim; i++)
		largest = fmax(largest, fabs((double) nav[i] - center[i]));
	inverse_step = largest > 0 ? 127.5 / largest : 0;

	for (int i = 0; i < model->dim; i++)
	{
		double		r = (double) nav[i] - center[i];
		double		c = center[i] + (mean ? (double) mean[i] : 0);
		double		level = floor(r * inverse_step + 128);

		level = level < 0 ? 0 : level < 255 ? level : 255;
		code[i] = (uint8_t) level;
		add_sums(sums, level - 127.5, r, c);
	}
}

/*
 * list_encode
 *		The code of a vector in the list of this center.
 *
 * nav and slack are what quant_map() gave; center has dim floats in nav space.
 * "code" has list_code_size() bytes, of any alignment.  LIST_NONE has no code.
 */
void
list_encode(const QuantModel *model, ListQuantizer quantizer, const float *nav, float slack,
			const float *center, ListTerms *terms, uint8_t *code)
{
	const bool	product = model->metric == QUANT_IP;
	const float *mean = product ? quant_nav_mean(model) : NULL;
	double		root = sqrt(model->dim > 1 ? model->dim - 1 : 1);
	CodeSums	sums = {0};
	double		f;
	double		seen;			/* f |y| */
	double		residual;
	double		lost;			/* what rounding may have put into the offset */

	memset(code, 0, list_code_size(quantizer, model->dim));
	if (quantizer == LIST_INT8)
		encode_bytes(model, nav, center, mean, code, &sums);
	else
		encode_bits(model, nav, center, mean, code, &sums);

	f = sums.yr > 0 ? sums.rr / sums.yr : 0;
	if (!(f < 3e38 && sums.rr > 1e-36))
		f = 0;
	seen = f * sqrt(sums.yy);
	residual = f > 0 ? sqrt(fmax(0, seen * seen - sums.rr) + 1e-12 * sums.rr) : sqrt(sums.rr);
	residual = (residual + slack + CODE_SLACK * seen) * (1 + 4 * UNIT) + 1e-36;

	if (product)
	{
		terms->scale = (float) -f;
		lost = sqrt(sums.cc) * slack + 8 * UNIT * (fabs(sums.rc) + fabs(f * sums.yc));
		terms->offset = (float) (-sums.rc + f * sums.yc - lost);
		terms->error = (float) (residual / root);
	}
	else
	{
		terms->scale = (float) (-2 * f);
		lost = 2 * sqrt(sums.rr) * slack + 8 * UNIT * (sums.rr + 2 * fabs(f * sums.yc));
		terms->offset = (float) (sums.rr + 2 * f * sums.yc - lost);
		terms->error = (float) (2 * residual / root);
	}
	/* a vector that had to be drawn in (model.c): nothing is known of it */
	if (!isfinite(terms->offset) || !isfinite(terms->error))
	{
		terms->offset = terms->scale = 0;
		terms->error = INFINITY;
	}
}

/*
 * list_block_drop
 *		Make a place of a block empty: no threshold lets it pass.
 */
void
list_block_drop(ListBlockTerms *block_terms, int i)
{
	block_terms->offset[i] = INFINITY;
	block_terms->scale[i] = 0;
	block_terms->error[i] = 0;
}

/*
 * list_block_init
 *		A block without vectors.
 */
void
list_block_init(ListQuantizer quantizer, int dim, uint8_t *block, ListBlockTerms *terms)
{
	memset(block, 0, list_block_size(quantizer, dim));
	for (int i = 0; i < LIST_BLOCK; i++)
		list_block_drop(terms, i);
}

/* codes only */
static void
put_code(ListQuantizer quantizer, int dim, uint8_t *block, int i, const uint8_t *code)
{
	int			shift = i / 16 * 4;

	if (quantizer == LIST_INT8)
	{
		size_t		size = list_code_size(quantizer, dim);

		memcpy(block + (size_t) i * size, code, size);
		return;
	}
	for (int g = 0; g < groups_of(dim); g++)
	{
		uint8_t    *p = block + (size_t) g * 16 + i % 16;
		int			group = code[g / 2] >> g % 2 * 4 & 15;

		*p = (uint8_t) ((*p & ~(15 << shift)) | group << shift);
	}
}

static void
get_code(ListQuantizer quantizer, int dim, const uint8_t *block, int i, uint8_t *code)
{
	int			shift = i / 16 * 4;

	if (quantizer == LIST_INT8)
	{
		size_t		size = list_code_size(quantizer, dim);

		memcpy(code, block + (size_t) i * size, size);
		return;
	}
	memset(code, 0, list_code_size(quantizer, dim));
	for (int g = 0; g < groups_of(dim); g++)
	{
		int			group = block[(size_t) g * 16 + i % 16] >> shift & 15;

		code[g / 2] = (uint8_t) (code[g / 2] | group << g % 2 * 4);
	}
}

/*
 * list_block_put
 *		Put a row-major code and its terms into place i of a block.
 */
void
list_block_put(ListQuantizer quantizer, int dim, uint8_t *block, ListBlockTerms *block_terms,
			   int i, const ListTerms *terms, const uint8_t *code)
{
	put_code(quantizer, dim, block, i, code);
	block_terms->offset[i] = terms->offset;
	block_terms->scale[i] = terms->scale;
	block_terms->error[i] = terms->error;
}

/*
 * list_block_get
 *		The reverse.
 */
void
list_block_get(ListQuantizer quantizer, int dim, const uint8_t *block,
			   const ListBlockTerms *block_terms, int i, ListTerms *terms, uint8_t *code)
{
	get_code(quantizer, dim, block, i, code);
	terms->offset = block_terms->offset[i];
	terms->scale = block_terms->scale[i];
	terms->error = block_terms->error[i];
}

/*
 * list_block_transpose
 *		Codes of a block from n row-major ones, "stride" bytes apart; places
 *		from n on become zero.
 */
void
list_block_transpose(ListQuantizer quantizer, int dim, const uint8_t *codes, size_t stride,
					 int n, uint8_t *block)
{
	memset(block, 0, list_block_size(quantizer, dim));
	for (int i = 0; i < n; i++)
		put_code(quantizer, dim, block, i, codes + (size_t) i * stride);
}

/*
 * list_block_untranspose
 *		The reverse: the first n codes of a block.
 */
void
list_block_untranspose(ListQuantizer quantizer, int dim, const uint8_t *block, int n,
					   uint8_t *codes, size_t stride)
{
	for (int i = 0; i < n; i++)
		get_code(quantizer, dim, block, i, codes + (size_t) i * stride);
}

/*-------------------------------------------------------------------------
 *
 * ivfcode.c
 *	  Codes of rows, alone and in blocks (quant/list.h).
 *
 * A code alone: ListTerms, then the code, padded to a multiple of four bytes.
 * A block: ListBlockTerms, then the codes as list_scan() wants them.  It takes
 * no more bytes than its 32 rows alone.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

StaticAssertDecl(IVF_BLOCK_ROWS == LIST_BLOCK, "a block is a block");
StaticAssertDecl(sizeof(ListBlockTerms) == IVF_BLOCK_ROWS * sizeof(ListTerms),
				 "terms take as much room in both forms");

/*
 * ivf_row_bytes
 *		Bytes of a code outside a block; 0 without codes.
 */
Size
ivf_row_bytes(ListQuantizer quantizer, int dim)
{
	if (quantizer == LIST_NONE)
		return 0;
	return sizeof(ListTerms) + TYPEALIGN(4, list_code_size(quantizer, dim));
}

/*
 * ivf_set_model
 *		Give an index its model.  Rows are assigned by Euclidean distance whatever
 *		the metric (README.md, "Build"), so inner products have a second one.
 */
void
ivf_set_model(IvfIndex *index, QuantModel *model, MemoryContext context)
{
	index->model = model;
	index->place_model = model;
	if (model->metric == QUANT_IP)
	{
		index->place_model = MemoryContextAllocHuge(context, model->size);
		memcpy(index->place_model, model, model->size);
		index->place_model->metric = QUANT_L2;
	}
}

/*
 * ivf_encode
 *		The code of a vector, alone; nav and slack are what quant_map() gave,
 *		center lies in nav space, "row" is aligned for float.
 */
void
ivf_encode(const QuantModel *model, ListQuantizer quantizer, const float *nav, float slack,
		   const float *center, uint8 *row)
{
	Size		bytes = ivf_row_bytes(quantizer, model->dim);

	memset(row, 0, bytes);
	list_encode(model, quantizer, nav, slack, center, (ListTerms *) row,
				row + sizeof(ListTerms));
}

/*
 * ivf_block_put
 *		Put a code into place i of a block.
 */
void
ivf_block_put(const IvfShape *shape, int dim, uint8 *block, int i, const uint8 *row)
{
	list_block_put(shape->quantizer, dim, block + sizeof(ListBlockTerms),
				   (ListBlockTerms *) block, i, (const ListTerms *) row,
				   row + sizeof(ListTerms));
}

/*
 * ivf_block_get
 *		The reverse.
 */
void
ivf_block_get(const IvfShape *shape, int dim, const uint8 *block, int i, uint8 *row)
{
	memset(row, 0, shape->row_bytes);
	list_block_get(shape->quantizer, dim, block + sizeof(ListBlockTerms),
				   (const ListBlockTerms *) block, i, (ListTerms *) row,
				   row + sizeof(ListTerms));
}

/*-------------------------------------------------------------------------
 *
 * ivfcode.c
 *	  Codes of rows: in row form and in packed blocks (quant/list.h).
 *
 * Row form: ListTerms, then the code, padded to a multiple of four bytes.
 * Packed block: ListBlockTerms, then the codes as list_scan() wants them.  A
 * packed block takes no more bytes than its 32 rows.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

StaticAssertDecl(IVF_BLOCK_ROWS == LIST_BLOCK, "a block is a block");
StaticAssertDecl(sizeof(ListBlockTerms) == IVF_BLOCK_ROWS * sizeof(ListTerms),
				 "terms take as much room in both forms");

/*
 * ivf_row_bytes
 *		Bytes of a code in row form; 0 without codes.
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
 *		The code of a vector in row form; nav and slack are what quant_map() gave,
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
 * ivf_pack
 *		A block from n rows in row form; the places behind them pass no threshold.
 */
void
ivf_pack(const IvfShape *shape, int dim, const uint8 *rows, int n, uint8 *block)
{
	ListBlockTerms *terms = (ListBlockTerms *) block;

	for (int i = 0; i < IVF_BLOCK_ROWS; i++)
	{
		const ListTerms *row = (const ListTerms *) (rows + i * shape->row_bytes);

		if (i >= n)
		{
			list_block_drop(terms, i);
			continue;
		}
		terms->offset[i] = row->offset;
		terms->scale[i] = row->scale;
		terms->error[i] = row->error;
	}
	memset(block + sizeof(ListBlockTerms), 0, shape->block_bytes - sizeof(ListBlockTerms));
	list_block_transpose(shape->quantizer, dim, rows + sizeof(ListTerms), shape->row_bytes, n,
						 block + sizeof(ListBlockTerms));
}

/*
 * ivf_unpack
 *		The first n rows of a packed block, in row form.
 */
void
ivf_unpack(const IvfShape *shape, int dim, const uint8 *block, int n, uint8 *rows)
{
	const ListBlockTerms *terms = (const ListBlockTerms *) block;

	memset(rows, 0, n * shape->row_bytes);
	for (int i = 0; i < n; i++)
		list_block_get(shape->quantizer, dim, block + sizeof(ListBlockTerms), terms, i,
					   (ListTerms *) (rows + i * shape->row_bytes),
					   rows + i * shape->row_bytes + sizeof(ListTerms));
}

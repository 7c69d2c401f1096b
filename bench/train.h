/*-------------------------------------------------------------------------
 *
 * train.h
 *	  A model trained on a sample of rows in memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BENCH_TRAIN_H
#define VECEXT_BENCH_TRAIN_H

#include "quant/quant.h"
#include "vectors.h"

/* rows are drawn with repetition, by a random state; the model is for free() */
static QuantModel *
train_model(const QuantConfig *config, const Vectors *base, uint64_t state)
{
	QuantModel *model = calloc(1, quant_model_max_size(config));
	size_t		bytes = (size_t) base->dim * sizeof(float);
	int			nrows = quant_sample_rows(config);
	float	   *sample;
	void	   *scratch;

	nrows = nrows < base->n ? nrows : base->n;
	sample = malloc((size_t) nrows * bytes);
	for (int i = 0; i < nrows; i++)
		memcpy(sample + (size_t) i * (size_t) base->dim,
			   row_of(base, (uint32_t) (quant_random(&state) % (uint64_t) base->n)), bytes);
	scratch = malloc(quant_train_scratch(config));
	quant_train(model, config, sample, nrows, scratch, no_tick);
	free(scratch);
	free(sample);
	return model;
}

#endif							/* VECEXT_BENCH_TRAIN_H */

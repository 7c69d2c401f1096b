/*-------------------------------------------------------------------------
 *
 * hnswparams.c
 *	  The parameters of a new index: what the user chose, and what we choose
 *	  by type and dimensions, so that a slot fits a page.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "utils/rel.h"

/* bytes per link of the largest sketch that is chosen by itself */
#define MOST_SKETCH_BYTES	(QUANT_MAX_SKETCH / 8)

/*
 * Below this there are no sketches unless asked for: errors of two-bit
 * coordinates do not average out over so few, and whole parts of a grid are
 * not found; neighbors' codes are short there, and many share a page.
 */
#define LEAST_SKETCH_DIM	16

static const HnswOptions default_options = {
	.m = HNSW_DEFAULT_M,
	.ef_construction = HNSW_DEFAULT_EF_CONSTRUCTION,
	.refine = -1,
	.nav_bits = 0,
	.sketch_bits = -1,
};

static int
padded_links(int m)
{
	return (slot_links_for(m) + SKETCH_ALIGN - 1) / SKETCH_ALIGN * SKETCH_ALIGN;
}

/* bytes of the keys of filter columns in a slot, with what aligns them */
static int
keys_room(const HnswParams *params)
{
	return params->nwords > 0 ? (params->nwords + 1) * (int) sizeof(uint64) : 0;
}

/* room for sketches in a page that holds one slot; negative if the rest is too much */
static int
sketch_room(const HnswParams *params, int nav_bits)
{
	return (int) HNSW_PAGE_ROOM - (int) sizeof(NavSlotHead) - 16 - keys_room(params) -
		padded_links(params->m) * (int) (sizeof(uint32) + 2 * sizeof(vec_half)) -
		(int) nav_code_size(params->dim, nav_bits);
}

static int
default_nav_bits(int dim)
{
	QuantConfig config = {.dim = dim, .metric = QUANT_L2, .sketch_dims = -1};
	QuantModel *model = palloc(quant_model_max_size(&config));
	int			bits;

	quant_model_init(model, &config, NULL);
	bits = model->nav_bits;
	pfree(model);
	return bits;
}

/* nav bits and sketch so that a slot fits; raises 54000 if the user's choice cannot */
static void
choose_codes(const HnswOptions *options, const HnswParams *params, QuantConfig *config)
{
	int			links = padded_links(params->m);
	int			room;

	config->dim = params->dim;
	config->metric = (QuantMetric) params->metric;
	config->seed = 42;
	config->nav_bits = options->nav_bits ? options->nav_bits : default_nav_bits(params->dim);
	config->sketch_dims = options->sketch_bits < 0 ? (params->dim < LEAST_SKETCH_DIM ? -1 : 0) :
		options->sketch_bits == 0 ? -1 : (options->sketch_bits + 15) / 16 * 8;

	room = sketch_room(params, config->nav_bits);
	if (room < links * 2 && options->nav_bits == 0)
	{
		config->nav_bits = 2;
		room = sketch_room(params, 2);
	}
	if (room < 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a node of %d dimensions with m = %d and nav_bits = %d does not fit a page",
						params->dim, params->m, config->nav_bits),
				 errhint("Lower m or nav_bits.")));

	/* a dimension takes two bits */
	if (config->sketch_dims == 0 && room < links * MOST_SKETCH_BYTES)
		config->sketch_dims = room / links * 4 / 8 * 8;
	if (config->sketch_dims > room / links * 4 / 8 * 8)
		config->sketch_dims = room / links * 4 / 8 * 8;
	if (config->sketch_dims == 0 && room < links * MOST_SKETCH_BYTES)
		config->sketch_dims = -1;
}

/*
 * hnsw_choose_params
 *		Parameters of an index to be built; those that need a model or a sample
 *		come later.  config becomes what the model is to be, for compact codes.
 */
void
hnsw_choose_params(Relation rel, const VecMetric *metric, HnswParams *params,
				   QuantConfig *config)
{
	const HnswOptions *options = (const HnswOptions *) rel->rd_options;
	const FilterSet *filters;

	if (options == NULL)
		options = &default_options;
	memset(params, 0, sizeof(*params));
	memset(config, 0, sizeof(*config));
	params->dim = am_column_dim(rel, metric->type, "hnsw");
	params->metric = metric->kind;
	params->m = options->m;
	params->ef_construction = options->ef_construction;
	filters = filter_open(rel, CurrentMemoryContext);
	params->nwords = (uint16) (filters != NULL ? filters->nwords : 0);
	if (options->ef_construction < 2 * options->m)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ef_construction must be greater than or equal to 2 * m")));

	if (metric->type->to_floats == NULL || metric->kind > VEC_METRIC_COSINE)
	{
		params->codec = HNSW_CODEC_EXACT;
		params->refine = REFINE_FULL;
		return;
	}
	params->codec = HNSW_CODEC_COMPACT;
	params->refine = options->refine < 0 ? REFINE_FULL : options->refine;
	params->refine_size = am_record_size(metric, params->refine, params->dim);
	choose_codes(options, params, config);
}

/*
 * hnsw_choose_exact_size
 *		How much of an exact value stays in its slot.
 *
 * All of it if that fits a page, or else what remains of full value pages.
 * Where values differ in size, as much as a large one of the sample has.
 */
void
hnsw_choose_exact_size(const VecMetric *metric, HnswParams *params, Size typical)
{
	Size		most = metric->type->size(params->dim);
	Size		room = HNSW_PAGE_ROOM - sizeof(NavSlotHead) - sizeof(HnswExactHead) - 16 -
		padded_links(params->m) * sizeof(uint32) - (Size) keys_room(params);
	Size		size = most;

	if (!metric->type->fixed_size)
		size = Min(most, Max(typical, 256));
	if (size > room && metric->type->fixed_size)
		size %= HNSW_PAGE_ROOM;
	params->exact_size = Min(size, room);
}

/*
 * hnsw_set_model
 *		Complete an index to be built whose parameters are chosen: layout and
 *		what follows from it.  model is NULL for exact codes.
 */
void
hnsw_set_model(HnswIndex *index, Relation rel, QuantModel *model)
{
	HnswParams *params = &index->params;

	index->model = model;
	if (params->nwords > 0)
		index->filters = filter_open(rel, CurrentMemoryContext);
	hnsw_set_tids(index);
	index->plain_size = index->metric->type->size(params->dim);
	if (model != NULL)
	{
		params->nav_bits = model->nav_bits;
		params->sketch_bits = model->sketch_bits * model->sketch_dims;
	}
	hnsw_layout(params, model, &index->layout);
	params->slot_size = index->layout.size;
	params->upper_size = index->layout.upper_size;
	if (params->slot_size > HNSW_PAGE_ROOM || params->upper_size > HNSW_PAGE_ROOM)
		elog(ERROR, "slots of %u and %u bytes do not fit a page of index \"%s\"",
			 params->slot_size, params->upper_size, RelationGetRelationName(rel));
	index->slots_per_page = HNSW_PAGE_ROOM / params->slot_size;
	index->uppers_per_page = HNSW_PAGE_ROOM / params->upper_size;
}

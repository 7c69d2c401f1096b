/*-------------------------------------------------------------------------
 *
 * ivfshare.c
 *	  Centroids in one piece of memory, private or shared, once the sample they
 *	  were made from is not needed any more.
 *
 * Floats: an area that places rows, without a sample, and the images in nav
 * space.  Values: one after the other.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "utils/memutils.h"

#define LINE	64

/* at the start of the memory */
typedef struct Head
{
	int			nlists;
	bool		area;
	bool		values;
	Size		area_size;
	Size		centers;		/* offsets; 0: none */
	Size		first_value;
} Head;

static ClusterConfig
small_config(const IvfBuild *build, int nlists)
{
	ClusterConfig config = {.dim = build->index.params.dim, .rows = nlists, .lists = nlists,
		.spherical = build->index.metric->kind == VEC_METRIC_COSINE, .seed = 42};

	return config;
}

/*
 * ivf_share_size
 *		Bytes that so many centroids of a build take, or more than they do.
 */
Size
ivf_share_size(const IvfBuild *build, int nlists)
{
	const IvfCentroids *c = &build->centroids;
	Size		size = TYPEALIGN(LINE, sizeof(Head));

	if (build->index.params.space == IVF_SPACE_FLOAT)
	{
		ClusterConfig config = small_config(build, nlists);

		size = add_size(size, TYPEALIGN(LINE, cluster_area_size(&config)));
		size = add_size(size, TYPEALIGN(LINE, mul_size(sizeof(float) * build->index.params.dim,
													   nlists)));
	}
	for (int i = 0; c->values != NULL && i < nlists; i++)
		size = add_size(size, MAXALIGN(VARSIZE(c->values[i])));
	return size;
}

/* an area that places rows by the centroids there are */
static void
copy_area(const IvfBuild *build, void *memory, Size *size)
{
	const IvfCentroids *c = &build->centroids;
	ClusterConfig config = small_config(build, c->nlists);
	ClusterRun	run = {.tick = ivf_build_tick};
	ClusterArea *area = cluster_area_init(memory, &config);

	*size = cluster_area_size(&config);
	memcpy(cluster_sample(area), cluster_centroids(c->area),
		   sizeof(float) * (Size) config.dim * c->nlists);
	cluster_adopt(area, c->nlists, &run);
}

/*
 * ivf_share
 *		Copy the centroids to memory of ivf_share_size() bytes, aligned to 64.
 */
void
ivf_share(const IvfBuild *build, void *memory)
{
	const IvfCentroids *c = &build->centroids;
	Head	   *head = memory;
	Size		at = TYPEALIGN(LINE, sizeof(Head));

	memset(head, 0, sizeof(*head));
	head->nlists = c->nlists;
	if (c->area != NULL)
	{
		head->area = true;
		copy_area(build, (char *) memory + at, &head->area_size);
		at += TYPEALIGN(LINE, head->area_size);
	}
	if (c->centers != NULL)
	{
		Size		size = sizeof(float) * (Size) build->index.params.dim * c->nlists;

		head->centers = at;
		memcpy((char *) memory + at, c->centers, size);
		at += TYPEALIGN(LINE, size);
	}
	head->values = c->values != NULL;
	head->first_value = at;
	for (int i = 0; c->values != NULL && i < c->nlists; i++)
	{
		memcpy((char *) memory + at, c->values[i], VARSIZE(c->values[i]));
		at += MAXALIGN(VARSIZE(c->values[i]));
	}
}

/*
 * ivf_attach
 *		Let a participant use shared centroids, which stay where they are.
 */
void
ivf_attach(IvfBuild *build, void *memory)
{
	const Head *head = memory;
	IvfCentroids *c = &build->centroids;
	char	   *at = (char *) memory + head->first_value;

	memset(c, 0, sizeof(*c));
	c->nlists = head->nlists;
	c->area_size = head->area_size;
	if (head->area)
		c->area = (ClusterArea *) ((char *) memory + TYPEALIGN(LINE, sizeof(Head)));
	if (head->centers > 0)
		c->centers = (float *) ((char *) memory + head->centers);
	if (!head->values)
		return;
	c->values = MemoryContextAllocHuge(build->context,
									   mul_size(sizeof(struct varlena *), head->nlists));
	for (int i = 0; i < head->nlists; i++)
	{
		c->values[i] = (struct varlena *) at;
		at += MAXALIGN(VARSIZE(at));
	}
}

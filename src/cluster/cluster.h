/*-------------------------------------------------------------------------
 *
 * cluster.h
 *	  k-means: centroids for a sample of rows.
 *
 * No PostgreSQL header, no allocation: all of it happens in one area of
 * memory that the caller gives, private or shared.  Nothing in the area is a
 * pointer, so other processes may map it anywhere and take pieces of a task;
 * a piece is a pure function of the area and writes what no other piece does.
 *
 * README.md has the algorithm and what it may miss.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_CLUSTER_H
#define VECEXT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_MAX_LISTS	32768
#define CLUSTER_MAX_ROWS	(1 << 30)

/* what the caller chooses; zero means "choose for me" where it says so */
typedef struct ClusterConfig
{
	int			dim;			/* floats of a row; 0: rows known to ClusterOps only */
	int			rows;			/* most rows of the sample */
	int			lists;			/* centroids wanted, 1..CLUSTER_MAX_LISTS */
	bool		spherical;		/* rows and centroids are brought to length 1 */
	int			passes;			/* over all rows after the start; 0: 6, dim 0: 3; -1: none */
	int			reach;			/* groups a row is compared with, at most 32; 0: 8 */
	float		balance;		/* largest list, in means, before it is split; 0: 4 */
	uint64_t	seed;
} ClusterConfig;

/*
 * Rows and centroids that are not vectors of floats.  Rows are numbered from
 * 0, centroids from 0 to cluster_ops_centroids() - 1.  Distances are at least
 * 0, finite, and may be of any kind that "mean" makes smaller.
 */
typedef struct ClusterOps
{
	void		(*copy_row) (void *context, int centroid, int row);
	void		(*copy_centroid) (void *context, int centroid, int from);
	/* the mean of n > 0 rows, or what serves as one */
	void		(*mean) (void *context, int centroid, const int32_t *rows, int n);
	double		(*distance) (void *context, int centroid, int row);
	double		(*between) (void *context, int centroid, int other);
} ClusterOps;

/* one step of the training, in pieces that may be done at once and in any order */
typedef struct ClusterTask
{
	int32_t		kind;
	int32_t		npieces;
	int32_t		first;			/* of what the kind counts */
	int32_t		count;
} ClusterTask;

typedef struct ClusterArea ClusterArea;

/*
 * How the training is carried out.  "share" must have all pieces of the task
 * done, by cluster_piece() in whatever processes, before it returns; NULL
 * does them here (by OpenMP's threads where that is built in; then "ops" must
 * be safe to call from several).  "tick" is called at least once a
 * millisecond or so and may longjmp.
 */
typedef struct ClusterRun
{
	const ClusterOps *ops;		/* if dim is 0 */
	void	   *ops_context;
	void		(*tick) (void);
	void		(*share) (void *context, ClusterArea *area, const ClusterTask *task);
	void	   *share_context;
} ClusterRun;

typedef struct ClusterStats
{
	int			lists;			/* real ones */
	int			empty;			/* wanted, but there were too few different rows */
	int			smallest;
	int			largest;
	double		mean;			/* rows a list */
	double		inertia;		/* sum of squared distances (ops: distances) a row */
	int			splits;			/* of lists that were too large */
} ClusterStats;

/*--- area.c --------------------------------------------------------------*/

extern bool cluster_config_ok(const ClusterConfig *config);
extern size_t cluster_area_size(const ClusterConfig *config);
extern ClusterArea *cluster_area_init(void *memory, const ClusterConfig *config);
extern float *cluster_sample(ClusterArea *area);
extern const float *cluster_centroids(const ClusterArea *area);
extern const int32_t *cluster_lists(const ClusterArea *area);
extern const int32_t *cluster_groups(const ClusterArea *area);
extern int	cluster_ops_centroids(const ClusterConfig *config);
extern void cluster_stats(const ClusterArea *area, ClusterStats *stats);

/*--- train.c -------------------------------------------------------------*/

extern int	cluster_train(ClusterArea *area, int nrows, const ClusterRun *run);
extern int	cluster_adopt(ClusterArea *area, int nrows, const ClusterRun *run);

/*--- tasks.c -------------------------------------------------------------*/

extern void cluster_piece(ClusterArea *area, const ClusterTask *task, int piece,
						  const ClusterRun *run);

/*--- place.c -------------------------------------------------------------*/

extern size_t cluster_place_size(const ClusterArea *area, int nrows);
extern void cluster_place(const ClusterArea *area, const float *const *rows, int nrows,
						  int32_t *list, void *scratch);

#endif							/* VECEXT_CLUSTER_H */

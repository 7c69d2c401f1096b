/*-------------------------------------------------------------------------
 *
 * ivfbuild.h
 *	  What the files that build an index share.
 *
 *	ivfparams.c		parameters, from options and column
 *	ivftrain.c		a sample of the table; model and centroids
 *	ivfvalues.c		centroids that are plain values
 *	ivfcentroids.c	centroids from a table
 *	ivfassign.c		rows to lists: a participant's part of the table scan
 *	ivfshare.c		centroids in one piece of memory
 *	ivfteam.c		training by all participants
 *	ivfparallel.c	starting and ending parallel workers
 *	ivfbuckets.c	rows in temporary files by list, and lists from them
 *	ivfsorted.c		a list as it is written; maintenance: rows as its sort returns them
 *	ivfbuild.c		the build from start to end
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_IVFBUILD_H
#define VECEXT_IVFBUILD_H

#include "ivfflat/ivf.h"

#include "access/tupdesc.h"
#include "am/am_sample.h"
#include "cluster/cluster.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/buffile.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/sharedfileset.h"
#include "storage/spin.h"
#include "utils/tuplesort.h"

/* ids: lists from 1 on, then that of the undefined, then the directory's */
#define IVF_FIRST_ID	1

/* training (ivfteam.c): the task whose pieces participants take */
typedef struct IvfTeam
{
	slock_t		mutex;			/* of all that follows */
	ClusterTask task;
	int			next;			/* piece to be taken */
	int			done;
	bool		ended;			/* the centroids are there */
	uint32		by_workers;		/* pieces that the leader has not done */
	ConditionVariable posted;	/* a task, or the end */
	ConditionVariable finished; /* the last piece of a task */
} IvfTeam;

/*
 * What participants do after training, by phase of their barrier.  One that
 * comes late takes part from the phase that it finds on.
 */
#define IVF_PART_ASSIGN	0		/* rows of the table into buckets */
#define IVF_PART_WRITE	1		/* buckets into lists */

/* what participants see of each other: in dynamic shared memory if there are workers */
typedef struct IvfBuildShared
{
	Oid			heap;
	Oid			rel;
	bool		concurrent;
	IvfParams	params;
	int			memory;			/* kB for the rows of a participant */
	int			participants;	/* at most */
	int			nbuckets;
	dsm_handle	training;		/* the area of k-means; DSM_HANDLE_INVALID: not shared */
	dsm_handle	centroids;		/* ivfshare.c */
	IvfTeam		team;
	pg_atomic_uint64 rows_done;
	pg_atomic_uint64 rows_indexed;
	pg_atomic_uint64 heap_rows;
	pg_atomic_uint32 broken_hot_chain;
	pg_atomic_uint32 next_bucket;
	pg_atomic_uint64 rows_written;
	Barrier		barrier;
	SharedFileSet files;
} IvfBuildShared;

/*
 * Centroids while they are used to build.  Floats: "area" places rows, "centers"
 * are in nav space.  Values: plain values, by list.
 */
typedef struct IvfCentroids
{
	int			nlists;
	ClusterArea *area;
	Size		area_size;
	float	   *centers;
	struct varlena **values;
} IvfCentroids;

typedef struct IvfLeader IvfLeader;

/* a participant's view; the serial build has one participant */
typedef struct IvfBuild
{
	Relation	heap;
	Relation	rel;
	IndexInfo  *info;
	IvfBuildShared *shared;
	bool		leader;
	bool		parallel;		/* there are other participants */
	int			workers;		/* to be started */
	IvfLeader  *lead;			/* ivfparallel.c: of the leader, if it wants workers */
	int			participant;	/* 0 is the leader */
	IvfIndex	index;			/* parameters, model and shapes only */
	IvfCentroids centroids;
	MemoryContext context;
	MemoryContext train_context;	/* until centroids are made */
	double		table_rows;		/* estimated */
	double		most_rows;		/* more than this are not expected */
	Size		value_mean;		/* of a plain value */
	Size		limit;			/* maintenance_work_mem */
	int			sort_memory;	/* kB that centroids leave of it */
	IvfListRecord *records;		/* of lists, and of the undefined: shared */

	/* rows to lists: into files by bucket, or into a sort (maintenance) */
	BufFile   **files;
	Size	   *file_bytes;
	Tuplesortstate *sort;
	TupleDesc	desc;
	TupleTableSlot *slot;
	MemoryContext batch_context;	/* of the values of a batch */
	int			batch_rows;		/* room */
	int			nbatch;
	struct varlena **plains;
	ItemPointerData *tids;
	float	   *floats;			/* batch_rows * dim */
	const float **rows;
	int32_t    *lists;
	void	   *place_scratch;
	float	   *nav;
	uint64	   *keys;			/* batch_rows * nwords, and one row more */
	uint8	   *tuple;			/* IvfTuple, keys, code, record */
} IvfBuild;

/* what is kept by list: this, then words of filters, then code, then record */
typedef struct IvfTuple
{
	ItemPointerData tid;
	float		distance;		/* to the centroid, in square */
	uint32		record_bytes;
} IvfTuple;

/* the most that it takes */
static inline Size
ivf_tuple_size(const IvfBuild *build)
{
	const IvfShape *list = &build->index.list;

	return sizeof(IvfTuple) + sizeof(uint64) * list->nwords + list->row_bytes + list->record_size;
}

/* a list that is being written */
typedef struct IvfListWrite
{
	IvfWriter  *writer;
	uint32		id;
	uint32		rows;
	double		sum;			/* of distances to the centroid */
} IvfListWrite;

/* a row as the sort by list returns it */
typedef struct IvfSorted
{
	TupleTableSlot *slot;
	int			list;			/* INT_MAX: no more rows */
	IvfTuple	head;
	IvfRow		row;
	uint8	   *room;			/* aligned copy of keys, code and record */
	Size		room_size;
} IvfSorted;

/* ivfsorted.c */
extern void ivf_sorted_begin(IvfBuild *build, IvfSorted *sorted);
extern void ivf_sorted_next(IvfBuild *build, IvfSorted *sorted);
extern void ivf_sorted_end(IvfSorted *sorted);
extern void ivf_list_start(IvfListWrite *list, IvfWriter *writer, const IvfShape *shape,
						   uint32 id);
extern void ivf_list_add(IvfListWrite *list, const IvfRow *row, float distance);
extern void ivf_list_end(IvfListWrite *list, IvfListRecord *record);
extern void ivf_write_list(IvfBuild *build, IvfWriter *writer, IvfSorted *sorted, int list,
						   uint32 id, IvfListRecord *record);

/* ivfparams.c */
extern void ivf_choose_params(Relation rel, const VecMetric *metric, IvfParams *params,
							  QuantConfig *config);
extern int	ivf_lists_for(double rows);
extern void ivf_finish_params(IvfIndex *index);

/* ivftrain.c */
extern void ivf_train(IvfBuild *build, const QuantConfig *config);
extern void ivf_build_tick(void);
extern void ivf_one_list(IvfBuild *build, const QuantConfig *config);

/* ivfteam.c */
extern void ivf_team_init(IvfTeam *team);
extern void ivf_team_share(void *context, ClusterArea *area, const ClusterTask *posted);
extern void ivf_team_end(IvfTeam *team);
extern void ivf_team_work(IvfTeam *team, ClusterArea *area);

/* ivfvalues.c */
extern int	ivf_cluster_values(IvfBuild *build, struct varlena **rows, int nrows, int lists,
							   struct varlena **values);

/* ivfcentroids.c */
extern int	ivf_read_centroids(IvfBuild *build, const char *table, struct varlena ***values);

/* ivfshare.c */
extern Size ivf_share_size(const IvfBuild *build, int nlists);
extern void ivf_share(const IvfBuild *build, void *memory);
extern void ivf_attach(IvfBuild *build, void *memory);

/* ivfassign.c */
extern void ivf_sort_begin(IvfBuild *build, int memory);
extern void ivf_assign_begin(IvfBuild *build);
extern void ivf_put_row(IvfBuild *build, int list, const IvfRow *row, float distance);
extern int	ivf_place_value(const IvfBuild *build, const struct varlena *plain);
extern void ivf_assign_scan(IvfBuild *build, struct TableScanDescData *scan);

/* ivfbuckets.c */
extern void ivf_buckets_choose(IvfBuild *build, int participants);
extern void ivf_buckets_put(IvfBuild *build, int list, Size size);
extern void ivf_buckets_done(IvfBuild *build);
extern void ivf_buckets_write(IvfBuild *build, ForkNumber fork);

/* ivfbuild.c */
extern void ivf_participate(IvfBuild *build, struct TableScanDescData *scan, int phase);

/* ivfparallel.c */
extern void *ivf_parallel_memory(IvfBuild *build, Size size);
extern void ivf_parallel_begin(IvfBuild *build, int lists);
extern void ivf_parallel_trained(IvfBuild *build);
extern void ivf_parallel_run(IvfBuild *build);
extern void ivf_parallel_end(IvfBuild *build);

#endif							/* VECEXT_IVFBUILD_H */

/*-------------------------------------------------------------------------
 *
 * ivfmaintain.c
 *	  Maintenance, by VACUUM: pages that nobody needs are freed, lists that
 *	  outgrew the others are split, those that starve are merged, those full of
 *	  gaps are packed (README.md, "Maintenance").
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfmaintain.h"

#include <math.h>

#include "access/transam.h"
#include "am/am_disk.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* rows of a step, about; a list larger than that is a step of its own */
#define STEP_ROWS		500000

/* lists that may get rows of one that is split or dropped */
#define NEIGHBORS		3

/* how many times the mean a list may have before it is split, while lists lack, and else */
#define LACKING_SIZE	1.5
#define SPLIT_SIZE		3.0

/* rows since all lists were made, as a factor, after which they are made anew */
#define TRAINING_GROWTH	2

/* and of the mean, what a list must have not to be dropped */
#define DROP_SIZE		0.125

/* pages of a new list that are not full: of list, codes and records */
#define LIST_PAGES		3

/* what a pass over all pages finds */
typedef struct Survey
{
	Relation	rel;
	const IvfIndex *index;
	IvfDirectory *directory;
	IvfListState *states;		/* by number of the list */
	IvfListState **by_id;
	uint32		nlists;
	uint32	   *ids;			/* of parts and of the undefined */
	uint32		nids;
	bool		recycle;		/* no scan can be in a former directory */
	bool		record;			/* free pages can be recorded */
	bool		full;			/* no room for the steps that are left */
	BlockNumber pages;			/* of the relation */
	double		trained_rows;	/* rows when all centroids were made last */
	double		rows;
	double		cleared;
	double		undefined_rows;
	BlockNumber pages_free;
	BlockNumber pages_freed;
	double		pages_left;		/* free ones that no step has taken yet */
} Survey;

/* choosing */
typedef struct Choice
{
	Survey	   *survey;
	int			wanted;			/* lists there should be */
	double		mean;			/* rows a list should have */
	double		largest;		/* rows beyond which a list is split */
	float	   *centers;		/* in nav space; NULL: not at hand */
	bool	   *taken;			/* by list: part of a step */
	float	   *distances;		/* by list */
} Choice;

/*--- the survey ----------------------------------------------------------*/

static int
compare_states(const void *a, const void *b)
{
	uint32		left = (*(IvfListState *const *) a)->id;
	uint32		right = (*(IvfListState *const *) b)->id;

	return left < right ? -1 : left > right;
}

static IvfListState *
find_state(const Survey *survey, uint32 id)
{
	IvfListState key = {.id = id};
	IvfListState *wanted = &key;
	IvfListState **found = bsearch(&wanted, survey->by_id, survey->nlists,
								   sizeof(IvfListState *), compare_states);

	return found ? *found : NULL;
}

static bool
is_current(const Survey *survey, uint32 id)
{
	for (uint32 i = 0; i < survey->nids; i++)
	{
		if (survey->ids[i] == id)
			return true;
	}
	return find_state(survey, id) != NULL;
}

/* the ids that pages in use may have */
static void
begin_survey(Survey *survey)
{
	const IvfDirectory *directory = survey->directory;
	uint8	   *room = palloc(MAXALIGN(survey->index->part.record_size));
	IvfMetaPageData *meta = palloc(sizeof(IvfMetaPageData));

	survey->nlists = directory->nlists;
	survey->states = palloc0(mul_size(sizeof(IvfListState), directory->nlists));
	survey->by_id = palloc(mul_size(sizeof(IvfListState *), directory->nlists));
	for (uint32 i = 0; i < directory->nlists; i++)
	{
		Size		size;
		IvfListRecord head;

		memcpy(&head, ivf_list_record(survey->index, directory, survey->rel, i, room, &size),
			   sizeof(head));
		survey->states[i].id = head.id;
		survey->states[i].list = i;
		survey->by_id[i] = &survey->states[i];
	}
	qsort(survey->by_id, survey->nlists, sizeof(IvfListState *), compare_states);

	survey->ids = palloc(sizeof(uint32) * (directory->nparts + 1));
	survey->ids[survey->nids++] = directory->undefined_id;
	for (uint32 i = 0; i < directory->nparts; i++)
	{
		uint32		id = directory->parts[i]->id;

		if (survey->ids[survey->nids - 1] != id)
			survey->ids[survey->nids++] = id;
	}
	ivf_read_meta(survey->rel, meta);
	survey->trained_rows = (double) meta->trained_rows;
	survey->recycle = GlobalVisCheckRemovableFullXid(NULL,
													 FullTransactionIdFromU64(meta->switch_xid));
}

/* count the rows of a list page */
static void
count_page(Survey *survey, Page page, BlockNumber blkno, uint32 id)
{
	IvfListState *state = find_state(survey, id);
	const IvfListHead *head = ivf_list_head(page);
	int			rows = head->nrows - head->ncleared;

	if (!ivf_list_ok(state != NULL ? &survey->index->list : &survey->index->undefined, page))
		am_corrupt(survey->rel, blkno, "The counts of a list page do not agree.");
	if (state == NULL)
	{
		if (id == survey->directory->undefined_id)
			survey->undefined_rows += rows;
		return;
	}
	state->rows += rows;
	state->cleared += head->ncleared;
	state->pages++;
	survey->rows += rows;
	survey->cleared += head->ncleared;
}

/* make a page free, unless it changed since it was looked at */
static void
free_page(Survey *survey, BlockNumber blkno, IvfPageKind kind, uint32 id)
{
	IvfPageKind kind_now;
	uint32		id_now;
	Buffer		buffer = ivf_read_any(survey->rel, blkno, BUFFER_LOCK_EXCLUSIVE, &kind_now,
									  &id_now);
	GenericXLogState *state;

	if (!BufferIsValid(buffer))
		return;
	if (kind_now == kind && id_now == id)
	{
		state = GenericXLogStart(survey->rel);
		ivf_page_init(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE),
					  IVF_PAGE_FREE, 0, 0);
		GenericXLogFinish(state);
		RecordFreeIndexPage(survey->rel, blkno);
		survey->pages_freed++;
		survey->pages_free++;
	}
	UnlockReleaseBuffer(buffer);
}

static void
survey_page(Survey *survey, BlockNumber blkno)
{
	IvfPageKind kind;
	uint32		id;
	Buffer		buffer = ivf_read_any(survey->rel, blkno, BUFFER_LOCK_SHARE, &kind, &id);
	bool		unused;

	if (!BufferIsValid(buffer))
		return;
	unused = kind == IVF_PAGE_FREE || PageIsNew(BufferGetPage(buffer));
	if (kind == IVF_PAGE_LIST && is_current(survey, id))
		count_page(survey, BufferGetPage(buffer), blkno, id);
	UnlockReleaseBuffer(buffer);

	if (!survey->record)
		return;
	if (unused)
	{
		RecordFreeIndexPage(survey->rel, blkno);
		survey->pages_free++;
	}
	else if (kind >= IVF_PAGE_LIST && kind <= IVF_PAGE_RECORD && survey->recycle &&
			 !is_current(survey, id))
		free_page(survey, blkno, kind, id);
}

static void
survey_pages(Survey *survey)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(survey->rel);

	begin_survey(survey);
	survey->pages = nblocks;
	survey->record = am_fsm_has_room(survey->rel, nblocks);
	for (BlockNumber blkno = 1; blkno < nblocks; blkno++)
	{
		vacuum_delay_point_vacuum_compat();
		survey_page(survey, blkno);
	}
	survey->pages_left = survey->pages_free;
	IndexFreeSpaceMapVacuum(survey->rel);
}

/*--- choosing ------------------------------------------------------------*/

static bool
can_move(const Survey *survey)
{
	/* without records there is only the code to tell where a row belongs */
	return survey->index->list.record_size > 0;
}

/* lists whose places are mostly empty, or that lie on too many pages */
static bool
has_gaps(const Survey *survey, const IvfListState *state)
{
	double		pages = ceil(Max(state->rows, 1) / survey->index->list.rows);

	if (survey->index->list.ends)
		pages = state->pages;	/* how many records fit a page is not known */
	return state->cleared > Max(IVF_BLOCK_ROWS, state->rows / 3) ||
		state->pages > 2 * pages + 1;
}

static IvfFate
fate_of(const Choice *choice, const IvfListState *state)
{
	const Survey *survey = choice->survey;

	if (can_move(survey) && state->rows > choice->largest && state->rows >= 2)
		return IVF_FATE_SPLIT;
	/* lists of an index that was emptied will have rows again */
	if (can_move(survey) && choice->centers != NULL && survey->nlists > 1 && survey->rows > 0 &&
		state->rows < choice->mean * DROP_SIZE)
		return IVF_FATE_DROP;
	return has_gaps(survey, state) ? IVF_FATE_PACK : IVF_FATE_KEEP;
}

/* centroids of all lists, if they are floats and memory has room */
static float *
load_centers(const Survey *survey)
{
	const IvfIndex *index = survey->index;
	Size		bytes = sizeof(float) * index->params.dim;
	uint8	   *room = palloc(MAXALIGN(index->part.record_size));
	float	   *centers;

	if (index->params.space != IVF_SPACE_FLOAT ||
		mul_size(bytes, survey->nlists) > (Size) maintenance_work_mem * 1024 / 2)
		return NULL;
	centers = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(bytes, survey->nlists));
	for (uint32 i = 0; i < survey->nlists; i++)
	{
		Size		size;

		memcpy(centers + (Size) i * index->params.dim,
			   ivf_list_record(index, survey->directory, survey->rel, i, room, &size) +
			   sizeof(IvfListRecord), bytes);
	}
	return centers;
}

static void
add_rewrite(Choice *choice, IvfRewrite *rewrites, int *n, const IvfListState *state, IvfFate fate)
{
	IvfRewrite *rewrite = &rewrites[(*n)++];

	memset(rewrite, 0, sizeof(*rewrite));
	rewrite->id = state->id;
	rewrite->rows = (uint32) Min(state->rows, PG_UINT32_MAX);
	rewrite->fate = fate;
	rewrite->span = 1;
	rewrite->gaps = has_gaps(choice->survey, state);
	rewrite->parts = (int) Min(Max(2, rint(state->rows / choice->mean)), IVF_MAX_LISTS / 2);
	rewrite->parts = (int) Min(rewrite->parts, state->rows);
	choice->taken[state->list] = true;
}

/* the nearest lists of one that is split or dropped take part: rows may go there */
static double
add_neighbors(Choice *choice, IvfRewrite *rewrites, int *n, const IvfListState *state)
{
	const Survey *survey = choice->survey;
	int			dim = survey->index->params.dim;
	double		rows = 0;

	if (choice->centers == NULL)
		return 0;
	list_floats(QUANT_L2, choice->centers + (Size) state->list * dim, choice->centers, dim,
				(int) survey->nlists, dim, choice->distances);
	for (int i = 0; i < NEIGHBORS; i++)
	{
		const IvfListState *nearest = NULL;

		for (uint32 j = 0; j < survey->nlists; j++)
		{
			if (!choice->taken[j] && (nearest == NULL ||
									  choice->distances[j] < choice->distances[nearest->list]))
				nearest = &survey->states[j];
		}
		if (nearest == NULL)
			break;
		add_rewrite(choice, rewrites, n, nearest,
					nearest->rows > choice->largest ? IVF_FATE_SPLIT : IVF_FATE_KEEP);
		rows += nearest->rows;
	}
	return rows;
}

/* whether a step has a list that rows of dropped ones can go to */
static bool
has_home(const IvfRewrite *rewrites, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (rewrites[i].fate == IVF_FATE_SPLIT || rewrites[i].fate == IVF_FATE_KEEP)
			return true;
	}
	return false;
}

/*
 * Whether there is room for the pages of a step: free ones, and on disk, where it
 * should fit twice, for the sort of the step may spill there.  A warning if not.
 */
static bool
has_room(Survey *survey, const IvfRewrite *rewrites, int n)
{
	double		used = survey->pages - survey->pages_free;
	double		share = 0;
	double		lists = survey->nlists;
	double		wanted;
	double		room;

	for (int i = 0; i < n; i++)
	{
		share += rewrites[i].rows / Max(survey->rows, 1);
		lists += rewrites[i].fate == IVF_FATE_SPLIT ? rewrites[i].parts : 0;
	}
	/* rows, what is not full of each list, and the directory */
	wanted = used * Min(share, 1) + LIST_PAGES * (lists - survey->nlists + n) +
		ceil(lists * (survey->index->part.record_size + survey->index->part.row_bytes +
					  sizeof(ItemPointerData)) / (BLCKSZ / 2)) + LIST_PAGES;
	room = am_disk_pages(survey->rel);
	if (wanted <= survey->pages_left || 2 * (wanted - survey->pages_left) <= room)
	{
		survey->pages_left = Max(survey->pages_left - wanted, 0);
		return true;
	}
	ereport(WARNING,
			(errcode(ERRCODE_DISK_FULL),
			 errmsg("lists of index \"%s\" are left as they are",
					RelationGetRelationName(survey->rel)),
			 errdetail("Writing %d of them anew takes about %.0f pages; there are %.0f free in the index, and room for %.0f on its disk.",
					   n, wanted, survey->pages_left, room),
			 errhint("VACUUM does it when there is room.")));
	return false;
}

/* do a step in memory of its own, if there is room for it and was for those before */
static void
run_step(Choice *choice, IvfRewrite *rewrites, int n)
{
	Survey	   *survey = choice->survey;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat maintenance",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (int i = 0; i < n && !has_home(rewrites, n); i++)
	{
		if (rewrites[i].fate == IVF_FATE_DROP)
			rewrites[i].fate = IVF_FATE_KEEP;
	}
	survey->full = survey->full || !has_room(survey, rewrites, n);
	if (!survey->full)
		ivf_rewrite(survey->rel, rewrites, n);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
rewrite_lists(Choice *choice)
{
	Survey	   *survey = choice->survey;
	IvfRewrite *rewrites = palloc(mul_size(sizeof(IvfRewrite), survey->nlists));
	double		rows = 0;
	int			n = 0;

	for (uint32 i = 0; i < survey->nlists; i++)
	{
		const IvfListState *state = &survey->states[i];
		IvfFate		fate = fate_of(choice, state);

		if (choice->taken[i] || fate == IVF_FATE_KEEP)
			continue;
		add_rewrite(choice, rewrites, &n, state, fate);
		rows += state->rows;
		if (fate != IVF_FATE_PACK)
			rows += add_neighbors(choice, rewrites, &n, state);
		if (rows > STEP_ROWS)
		{
			run_step(choice, rewrites, n);
			n = 0;
			rows = 0;
		}
	}
	if (n > 0)
		run_step(choice, rewrites, n);
}

/*
 * Whether to make all lists anew: centroids of a small part of the rows suit the
 * others badly, however they are split.  Growth by a factor each time bounds what
 * it costs in all.
 */
static bool
needs_training(const Choice *choice)
{
	const Survey *survey = choice->survey;
	Size		centers = mul_size(sizeof(float) * survey->index->params.dim, choice->wanted);

	return can_move(survey) && choice->wanted > 1 && survey->rows <= STEP_ROWS &&
		survey->rows >= TRAINING_GROWTH * Max(survey->trained_rows, 1) &&
		survey->index->params.space == IVF_SPACE_FLOAT &&
		centers <= (Size) maintenance_work_mem * 1024 / 4;
}

static void
train_anew(Choice *choice)
{
	Survey	   *survey = choice->survey;
	IvfRewrite *rewrites = palloc(mul_size(sizeof(IvfRewrite), survey->nlists));
	int			n = 0;

	for (uint32 i = 0; i < survey->nlists; i++)
		add_rewrite(choice, rewrites, &n, &survey->states[i],
					i == 0 ? IVF_FATE_SPLIT : IVF_FATE_DROP);
	rewrites[0].parts = choice->wanted;
	rewrites[0].span = n;
	run_step(choice, rewrites, n);
}

/* lists there should be, and what that means for each */
static void
choose(Choice *choice)
{
	Survey	   *survey = choice->survey;
	double		wanted = survey->index->params.lists > 0 ? survey->index->params.lists :
		ivf_lists_for(survey->rows);

	wanted = Max(1, Min(wanted, survey->rows));
	choice->wanted = (int) wanted;
	choice->mean = Max(survey->rows / wanted, 1);
	choice->largest = choice->mean *
		(survey->nlists < wanted * 2 / 3 ? LACKING_SIZE : SPLIT_SIZE);
	/* a part or two more would be too many */
	if (survey->nlists + survey->rows / choice->mean > IVF_MAX_LISTS)
		choice->largest = survey->rows + 1;
	choice->centers = load_centers(survey);
	choice->taken = palloc0(survey->nlists);
	choice->distances = palloc(sizeof(float) * (survey->nlists + LIST_BLOCK));
}

/*
 * ivf_maintain
 *		Free what nobody needs, and bring the lists into shape, in bounded steps.
 *
 * For amvacuumcleanup.  Raises XX002 for damaged pages.
 */
void
ivf_maintain(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat survey",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Survey		survey = {.rel = info->index};
	Choice		choice = {.survey = &survey};

	survey.index = ivf_open(info->index, &survey.directory);
	survey_pages(&survey);
	if (survey.rows + survey.cleared > 0)
	{
		choose(&choice);
		if (needs_training(&choice))
			train_anew(&choice);
		else
			rewrite_lists(&choice);
	}
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	stats->num_index_tuples = survey.rows + survey.undefined_rows;
	stats->estimated_count = false;
	stats->pages_free = survey.pages_free;
	stats->pages_newly_deleted = survey.pages_freed;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

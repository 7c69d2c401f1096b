/*-------------------------------------------------------------------------
 *
 * ivfteam.c
 *	  Training by all participants: the leader posts task after task, and all
 *	  take pieces of it.
 *
 * A task is posted when no piece of the one before is in anyone's hands, and a
 * piece is taken together with the task it belongs to: so a worker may come at
 * any time, or not at all.  The leader takes pieces as well and waits for none
 * but those that others have taken; should one of them fail, its error ends the
 * leader's wait.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "miscadmin.h"
#include "pgstat.h"

/*
 * ivf_team_init
 *		A team without a task.
 */
void
ivf_team_init(IvfTeam *team)
{
	memset(team, 0, sizeof(*team));
	SpinLockInit(&team->mutex);
	ConditionVariableInit(&team->posted);
	ConditionVariableInit(&team->finished);
}

/* the next piece, if there is one left */
static bool
take_piece(IvfTeam *team, ClusterTask *task, int *piece)
{
	bool		taken;

	SpinLockAcquire(&team->mutex);
	taken = team->next < team->task.npieces;
	if (taken)
	{
		*task = team->task;
		*piece = team->next++;
	}
	SpinLockRelease(&team->mutex);
	return taken;
}

/* a piece is done; whether all are */
static bool
piece_done(IvfTeam *team, bool leader)
{
	bool		last;

	SpinLockAcquire(&team->mutex);
	last = ++team->done == team->task.npieces;
	team->by_workers += !leader;
	SpinLockRelease(&team->mutex);
	return last;
}

/* what the team is up to; "done" and "ended" may be NULL */
static bool
pieces_left(IvfTeam *team, bool *done, bool *ended)
{
	bool		left;

	SpinLockAcquire(&team->mutex);
	left = team->next < team->task.npieces;
	if (done != NULL)
		*done = team->done == team->task.npieces;
	if (ended != NULL)
		*ended = team->ended;
	SpinLockRelease(&team->mutex);
	return left;
}

/*
 * ivf_team_share
 *		ClusterRun.share of the leader; context is the team.
 */
void
ivf_team_share(void *context, ClusterArea *area, const ClusterTask *posted)
{
	IvfTeam    *team = context;
	ClusterRun	run = {.tick = ivf_build_tick};
	ClusterTask task;
	int			piece;
	bool		done = false;

	SpinLockAcquire(&team->mutex);
	team->task = *posted;
	team->next = team->done = 0;
	SpinLockRelease(&team->mutex);
	if (posted->npieces > 1)
		ConditionVariableBroadcast(&team->posted);
	while (take_piece(team, &task, &piece))
	{
		cluster_piece(area, &task, piece, &run);
		piece_done(team, true);
	}

	ConditionVariablePrepareToSleep(&team->finished);
	for (;;)
	{
		pieces_left(team, &done, NULL);
		if (done)
			break;
		ConditionVariableSleep(&team->finished, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
}

/*
 * ivf_team_end
 *		There will be no more tasks, and what workers need to go on is there.
 */
void
ivf_team_end(IvfTeam *team)
{
	SpinLockAcquire(&team->mutex);
	team->ended = true;
	SpinLockRelease(&team->mutex);
	ConditionVariableBroadcast(&team->posted);
	elog(DEBUG1, "ivfflat training: %u pieces by parallel workers", team->by_workers);
}

/*
 * ivf_team_work
 *		Of a worker: take pieces until the team ends.  area NULL: wait only.
 */
void
ivf_team_work(IvfTeam *team, ClusterArea *area)
{
	ClusterRun	run = {.tick = ivf_build_tick};
	bool		ended = false;

	while (!ended)
	{
		ClusterTask task;
		int			piece;

		while (area != NULL && take_piece(team, &task, &piece))
		{
			cluster_piece(area, &task, piece, &run);
			if (piece_done(team, false))
				ConditionVariableSignal(&team->finished);
		}
		ConditionVariablePrepareToSleep(&team->posted);
		for (;;)
		{
			if (pieces_left(team, NULL, &ended) && area != NULL)
				break;
			if (ended)
				break;
			ConditionVariableSleep(&team->posted, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
		}
		ConditionVariableCancelSleep();
	}
}

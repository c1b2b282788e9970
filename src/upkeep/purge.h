/*
 * purge.h
 *		Removing runs for good, with all that belongs to them.
 */
#ifndef AIRUN_PURGE_H
#define AIRUN_PURGE_H

#include "airun.h"

#include "utils/uuid.h"

/* The runs of one step: rows, AFTER triggers and locks are bounded by it */
#define PURGE_BATCH		1000

/* Runs that are to go, in the order of their ids */
typedef struct Purge
{
	int			count;
	pg_uuid_t	ids[PURGE_BATCH];
	int			texts;			/* that have been locked in this transaction */
	bool		waits;			/* for a text that somebody holds; else its run is left */
	bool		is_held;		/* no text streamed, so the runs are locked FOR UPDATE by now */
	bool		with_forked;	/* also runs that forks of others have copied from */
	const pg_uuid_t *person;	/* whose tasks are cancelled; NULL for everybody's */
} Purge;

extern Datum purge_ids(const Purge *purge);
extern void purge_leave_moving(Purge *purge);
extern void purge_cancel_tasks(Purge *purge);
extern uint64 purge_locked_runs(Purge *purge);
extern uint64 strip_locked_runs(const Purge *runs);

#endif							/* AIRUN_PURGE_H */

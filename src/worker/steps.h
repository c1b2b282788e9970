/*
 * steps.h
 *		The table of the steps of upkeep.
 */
#ifndef AIRUN_STEPS_H
#define AIRUN_STEPS_H

#include "airun.h"

#include "store/plans.h"

#define STEP_MAX_ARGS	4

/*
 * A step: a function of the extension that is called again and again, each time in a
 * transaction of its own, until it has no more to do or the step's time is over.
 */
typedef struct Step
{
	const char *name;			/* in airun.worker_status */
	const char *function;		/* without it, the step is left out */
	int			nargs;
	Oid			argtypes[STEP_MAX_ARGS];

	/*
	 * One call, which returns how many rows it has dealt with.  Its arguments are of exactly
	 * these types, so that no other function of the name can be meant.  Where it takes an
	 * argument, that is the position that the last call has returned beside.
	 */
	Statement	call;
	int64		batch;			/* fewer rows, at the same position: there is no more to do */
	Statement	backlog;		/* how much is left; without text: not known */
} Step;

extern Step steps[];
extern const int step_count;

extern Oid	step_function(const Step *step, Oid extension);

#endif							/* AIRUN_STEPS_H */

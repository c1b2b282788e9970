/*
 * end_stated.h
 *		What is stated about an end, against what stands.
 */
#ifndef AIRUN_END_STATED_H
#define AIRUN_END_STATED_H

#include "airun.h"

#include "pricing/charge.h"
#include "task/task.h"

/* What a caller states about a task's end; all may be absent */
typedef struct TaskEnd
{
	TaskStatus	status;
	TASK_END_LIST(TASK_COLUMN_FIELD)	/* its cost as the client states it */
	Field		region;			/* as the provider says, as the next one */
	Field		speed;
	Field		usage_buckets;	/* what the usage says, once it is counted */
	Usage	   *counted;		/* likewise, or NULL */
	bool		states_usage;	/* late: a usage is stated, in the answer perhaps */
	bool		counts_anew;	/* late: the tokens are all that the task has from now on */
	Field		left_out;		/* figures that cannot be, with the reason, as an object */
	Field		error;
	bool		text_is_derived;	/* from the message that comes out */
} TaskEnd;

extern TaskEnd task_end_nothing(TaskStatus status);
extern void task_end_unwrap(TaskEnd *end);
extern TaskEnd task_end_arguments(FunctionCallInfo fcinfo, int first, TaskStatus status);
extern void end_leave_out(TaskEnd *end, const char *name, Field *field, const char *reason);
extern void task_check_end(TaskEnd *end);
extern void task_count_end(TaskEnd *end, const ChargeBasis *known);
extern void task_count_stated(TaskEnd *end, const TaskState *state);
extern Field task_sum_tokens(const Field *input, const Field *output);
extern bool task_total_stands(const Field *total, const Field *input, const Field *output);

extern bool task_takes_end(const TaskState *state, const TaskEnd *end);
extern bool end_has_expired(const TaskState *state);
extern void end_check_repeated(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
							   const TaskState *state, TaskEnd *end);
extern bool end_leave_what_lacks(const TaskState *state, TaskEnd *end);
extern bool end_changes_charge(const TaskEnd *end);
extern Field end_resolve_total(const TaskState *state, TaskEnd *end);
extern Field end_late_total(const TaskState *state, TaskEnd *end);
extern void end_fill_counts(const TaskState *state, TaskEnd *end);
extern void end_compute_charge(const TaskState *state, const TaskEnd *end, const Field *total,
							   Charge *charge);

#endif							/* AIRUN_END_STATED_H */

/*
 * task_end.h
 *		The end of a task: completed, failed or cancelled.
 */
#ifndef AIRUN_TASK_END_H
#define AIRUN_TASK_END_H

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
	Field		left_out;		/* figures that cannot be, with the reason, as an object */
	Field		error;
	bool		text_is_derived;	/* from the message that comes out */
} TaskEnd;

extern TaskEnd task_end_nothing(TaskStatus status);
extern void task_end_unwrap(TaskEnd *end);
extern TaskEnd task_end_arguments(FunctionCallInfo fcinfo, int first, TaskStatus status);
extern void task_check_end(TaskEnd *end);
extern ChargeBasis task_charge_basis(const TaskState *state);
extern void task_count_end(TaskEnd *end, const ChargeBasis *known);
extern Field task_sum_tokens(const Field *input, const Field *output);

extern text *task_text(const pg_uuid_t *run_id, const TaskState *state);
extern bool task_text_is_in(text *spoken, const NewMessage *answer);
extern void task_count_stated(TaskEnd *end, const TaskState *state);
extern bool task_takes_end(const TaskState *state, const TaskEnd *end);
extern bool task_end_again(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
						   TaskEnd *end);
extern ResultRow task_end(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
						  TaskEnd *end, NewMessage *answer);

#endif							/* AIRUN_TASK_END_H */

/*
 * task_end.h
 *		The end of a task: completed, failed or cancelled.
 */
#ifndef AIRUN_TASK_END_H
#define AIRUN_TASK_END_H

#include "airun.h"

#include "task/end_stated.h"

extern text *task_text(const pg_uuid_t *run_id, const TaskState *state);
extern bool task_text_is_in(text *spoken, const NewMessage *answer);
extern bool task_end_again(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
						   TaskEnd *end);
extern ResultRow task_end(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
						  TaskEnd *end, NewMessage *answer);

#endif							/* AIRUN_TASK_END_H */

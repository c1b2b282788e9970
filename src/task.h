/*
 * task.h
 *		A task: one request to a model, from its beginning to its end.
 */
#ifndef AIRUN_TASK_H
#define AIRUN_TASK_H

#include "airun.h"

#include "message.h"
#include "run.h"

/* The columns of ai_task_summary, of a table aliased t */
#define TASK_SUMMARY \
	"t.task_id, t.run_id, t.user_id, t.service, t.task_name, t.provider, t.endpoint, " \
	"t.model_id, t.error, t.metadata, t.finish_reason, t.status, t.tokens_input, " \
	"t.tokens_output, t.tokens_total, t.usage, t.cost, t.cost_details, " \
	"t.time_to_first_token, t.total_time, t.created_at, t.updated_at, t.completed_at, " \
	"COALESCE(pg_catalog.length(t.response_text), 0)::bigint AS response_length"

typedef enum TaskStatus
{
	TASK_PENDING,
	TASK_STREAMING,
	TASK_COMPLETED,
	TASK_ERROR,
	TASK_CANCELLED
} TaskStatus;

/* What a caller states about a new task; all may be absent */
typedef struct TaskFields
{
	Field		service;
	Field		task_name;
	Field		provider;
	Field		endpoint;
	Field		model_id;
	Field		request_data;
	Field		metadata;
} TaskFields;

/* What a caller states about a task's end; all may be absent */
typedef struct TaskEnd
{
	TaskStatus	status;
	Field		response_text;
	Field		response_data;
	Field		usage;
	Field		tokens_input;
	Field		tokens_output;
	Field		tokens_total;
	Field		cost;
	Field		time_to_first_token;
	Field		total_time;
	Field		finish_reason;
	Field		error;
} TaskEnd;

/* A task as it was locked, with its run */
typedef struct TaskState
{
	RunState	run;
	TaskStatus	status;
	TimestampTz created_at;
	Field		response_text;
	Field		usage;
	Field		tokens_input;
	Field		tokens_output;
	Field		tokens_total;
	Field		cost;
	Field		time_to_first_token;
	int64		answer_seq;		/* 0 for none */
} TaskState;

extern const char *task_status_name(TaskStatus status);
extern TaskStatus task_status_word(text *status);
extern bool task_is_final(TaskStatus status);
extern void task_check_transition(const pg_uuid_t *task_id, TaskStatus from, TaskStatus to);
extern void task_check_fields(const TaskFields *fields);
extern TaskEnd task_end_arguments(FunctionCallInfo fcinfo, int first, TaskStatus status);
extern void task_check_end(TaskEnd *end);
extern Field task_sum_tokens(const Field *input, const Field *output);
extern Numeric task_elapsed(TimestampTz from, TimestampTz to);

extern bool task_find_run(const pg_uuid_t *task_id, pg_uuid_t *run_id);
extern pg_uuid_t task_run_argument(FunctionCallInfo fcinfo, int argument,
								   const pg_uuid_t *task_id);
extern pg_uuid_t *task_id_argument(FunctionCallInfo fcinfo, int argument);
pg_noreturn extern void task_refuse_taken(const pg_uuid_t *task_id);

extern void task_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state);
extern bool task_is_in_run(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern void task_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
						TaskFields *fields, int64 inputs_from, int64 inputs_to);
extern void task_check_repeated_end(const pg_uuid_t *task_id, const TaskState *state,
									const TaskEnd *end);
extern void task_end(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
					 const TaskEnd *end, NewMessage *answer);

#endif							/* AIRUN_TASK_H */

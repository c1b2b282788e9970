/*
 * task.h
 *		A task: one request to a model; what it is, and its beginning.
 */
#ifndef AIRUN_TASK_H
#define AIRUN_TASK_H

#include "airun.h"

#include "pricing/charge.h"
#include "run/message.h"
#include "run/run.h"
#include "task/chunk.h"
#include "task/task_columns.h"

/* Of a task whatever its status */
#define LAST_CHUNK(column) \
	"(SELECT k." column " FROM airun.task_chunks AS k WHERE k.run_id" EQ "t.run_id " \
	"AND k.task_id" EQ "t.task_id ORDER BY k.chars DESC LIMIT 1)"
#define IF_STREAMING(value, otherwise) \
	"CASE WHEN t.status" EQ "'streaming' THEN " value " ELSE " otherwise " END"
#define TASK_UPDATED_AT \
	IF_STREAMING("GREATEST(t.updated_at, " LAST_CHUNK("created_at") ")", "t.updated_at")
#define TASK_RESPONSE_LENGTH \
	IF_STREAMING("COALESCE(" LAST_CHUNK("chars") ", 0)::pg_catalog.int8", "t.response_length")

/* The summary as columns in a statement, of a table aliased t */
#define TASK_SUMMARY_FIRST_SQL(name)		"t." #name
#define TASK_SUMMARY_SQL(name)				", t." #name
#define TASK_SUMMARY_UPDATED_AT_SQL(name)	", " TASK_UPDATED_AT " AS " #name
#define TASK_SUMMARY_LENGTH_SQL(name)		", " TASK_RESPONSE_LENGTH " AS " #name
#define TASK_SUMMARY \
	TASK_SUMMARY_LIST(TASK_SUMMARY_FIRST_SQL, TASK_SUMMARY_SQL, TASK_SUMMARY_UPDATED_AT_SQL, \
					  TASK_SUMMARY_LENGTH_SQL)

/* As names, of a task that does not stream */
#define TASK_SUMMARY_STRING(name)	#name,
#define TASK_SUMMARY_NAMES \
	TASK_SUMMARY_LIST(TASK_SUMMARY_STRING, TASK_SUMMARY_STRING, TASK_SUMMARY_STRING, \
					  TASK_SUMMARY_STRING)

/*
 * The answer's text of the task t, in a statement of the extension's schema:
 * it is in the chunks, then in the task, or in the message that came out.
 */
#define RESPONSE_TEXT \
	"CASE WHEN t.status" EQ "'streaming' THEN " TEXT_OF_CHUNKS " " \
	"WHEN t.text_in_answer THEN (SELECT " EXTSCHEMA ".airun_message_text(a.message) " \
	"FROM airun.messages AS a WHERE a.run_id" EQ "t.run_id AND a.seq" EQ "t.answer_seq) " \
	"ELSE t.response_text END"

/* What was sent to the model for the task t, likewise */
#define REQUEST_DATA \
	"CASE WHEN t.request_reference IS NULL THEN t.request_data " \
	"ELSE " EXTSCHEMA ".airun_request(t.request_data, t.request_reference, " \
	"(SELECT " EXTSCHEMA ".airun_array_in_order(b.message, b.seq) " \
	"FROM airun.messages AS b WHERE b.run_id" EQ "t.run_id " \
	"AND b.seq" GE "(t.request_reference OPERATOR(pg_catalog.->>) 'from')::pg_catalog.int8 " \
	"AND b.seq" LT "((t.request_reference OPERATOR(pg_catalog.->>) 'from')::pg_catalog.int8" \
	PLUS "(t.request_reference OPERATOR(pg_catalog.->>) 'count')::pg_catalog.int8))) END"

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
	TASK_CREATION_LIST(TASK_COLUMN_FIELD)
} TaskFields;

/* A task as it was locked, with its run */
typedef struct TaskState
{
	const char *noun;			/* what errors call it */
	RunState	run;
	ItemPointerData place;		/* of its row */
	TaskStatus	status;
	TimestampTz created_at;
	Stream		stream;
	TASK_END_LIST(TASK_COLUMN_FIELD)	/* the text of a finished one, if not in the answer */
	bool		text_in_answer;
	Field		error;
	Field		client_cost;
	Field		cost_details;
	Field		price_status;
	Field		usage_buckets;
	Field		provider;
	Field		model_id;
	Field		endpoint;
	Field		metadata;
	Field		region;
	Field		speed;
	Field		holds;			/* of budgets */
	int64		answer_seq;		/* 0 for none */
	int64		response_length;	/* of the text of a finished one, in characters */
} TaskState;

/* The error of a task that has expired */
#define EXPIRY_ERROR	"{\"code\": \"expired\"}"

/* The keys of a write of tasks */
#define TASK_KEYS \
	{"run_id", UUIDOID, WRITE_SET, Anum_tasks_run_id}, \
	{"task_id", UUIDOID, WRITE_SET, Anum_tasks_task_id}

/* The task that a statement is about, of a table aliased t */
#define THIS_TASK	"t.run_id" EQ "$1 AND t.task_id" EQ "$2"

extern ColumnList task_summary_columns;

extern const char *task_status_name(TaskStatus status);
extern TaskStatus task_status_word(text *status);
extern bool task_is_final(TaskStatus status);
extern void task_check_transition(const pg_uuid_t *task_id, TaskStatus from, TaskStatus to);
extern TaskFields task_arguments(FunctionCallInfo fcinfo, int first, int skipped);
extern void task_check_timeout(const Field *timeout);
extern void task_check_fields(const TaskFields *fields);
extern Numeric task_elapsed(TimestampTz from, TimestampTz to);

extern bool task_error_is_expiry(const Field *error);
extern bool task_find_run(const pg_uuid_t *task_id, pg_uuid_t *run_id);
extern pg_uuid_t task_run_argument(FunctionCallInfo fcinfo, int argument,
								   const pg_uuid_t *task_id);
extern pg_uuid_t *task_id_argument(FunctionCallInfo fcinfo, int argument);
pg_noreturn extern void task_refuse_taken(const pg_uuid_t *task_id);

extern void task_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state);
extern bool task_is_in_run(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern ResultRow task_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
							 TaskFields *fields, RunState *run,
							 int64 inputs_from, int64 inputs_to);
extern ResultRow task_settle_difference(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
										RunState *run, const ResultRow *summary,
										const Field *assumed_total, const Field *assumed_cost);
extern void task_notify(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskStatus status,
						int32 position, int32 generation);
extern ResultRow task_read_summary(const pg_uuid_t *run_id, const pg_uuid_t *task_id);

#endif							/* AIRUN_TASK_H */

/*
 * task_columns.h
 *		The columns of airun.tasks, as the C code knows them.
 *
 * Each column stands here once, and once more in the summary, whose order is its
 * own.  From these lists come what a client states about a task, the arguments of
 * the functions that create and end one, what these write (task.c, task_end.c),
 * who may set a column past them (guard.c), and what the view takes (view.c).
 * For SQL the same columns are in install/tables.sql; sql/columns.sql tells where
 * the two differ.
 */
#ifndef AIRUN_TASK_COLUMNS_H
#define AIRUN_TASK_COLUMNS_H

#include "airun.h"

#include "catalog/pg_type.h"
#include "store/direct.h"

/* The longest word about a task, such as its service or model, in characters */
#define MAX_TASK_WORD	200

/* The longest endpoint, in characters */
#define MAX_ENDPOINT	2000

/* Who may set a column, past the functions */
typedef enum TaskColumnRule
{
	COLUMN_FIXED,				/* who creates the task; it is never changed */
	COLUMN_OPEN,				/* who creates or changes the task, until it ends */
	COLUMN_FREE,				/* likewise, and when it has ended */
	COLUMN_LATE,				/* until it ends; and when it has, who brings what it lacks */
	COLUMN_STATUS,				/* until it ends, as task_check_transition() lets it */
	COLUMN_KEPT,				/* nobody; NULL in a new task */
	COLUMN_ZERO					/* nobody; 0 in a new task */
} TaskColumnRule;

/* When the functions write a column */
typedef enum TaskColumnWrite
{
	AT_CREATION,
	AT_END,
	AT_END_IF_GIVEN,			/* NULL leaves what is there */
	AT_BOTH
} TaskColumnWrite;

/*
 * The columns, each as COLUMN(name, type, longest, rule, in_view, write).
 *
 * longest: how many characters a client may state; 0 where that is not what is
 * checked.  in_view: ai_tasks has it and may be given it; run_id, task_id and
 * updated_at it handles by itself.
 *
 * What a client states when he creates a task: the arguments of
 * airun_create_task() and airun_start_turn(), in order; a new one comes last.
 */
#define TASK_CREATION_LIST(COLUMN) \
	COLUMN(service, TEXTOID, MAX_TASK_WORD, COLUMN_OPEN, true, AT_CREATION) \
	COLUMN(task_name, TEXTOID, MAX_TASK_WORD, COLUMN_OPEN, true, AT_CREATION) \
	COLUMN(provider, TEXTOID, MAX_TASK_WORD, COLUMN_OPEN, true, AT_CREATION) \
	COLUMN(endpoint, TEXTOID, MAX_ENDPOINT, COLUMN_OPEN, true, AT_CREATION) \
	COLUMN(model_id, TEXTOID, MAX_TASK_WORD, COLUMN_OPEN, true, AT_CREATION) \
	COLUMN(request_data, JSONBOID, 0, COLUMN_OPEN, true, AT_CREATION) \
	COLUMN(metadata, JSONBOID, 0, COLUMN_FREE, true, AT_CREATION) \
	COLUMN(timeout, INTERVALOID, 0, COLUMN_OPEN, true, AT_CREATION)

/*
 * What a client states when he ends it: the arguments that airun_complete_task(),
 * airun_fail_task(), airun_cancel_task() and airun_finish_turn() have before
 * run_id, in order; a new one comes last.
 */
#define TASK_END_LIST(COLUMN) \
	COLUMN(response_text, TEXTOID, 0, COLUMN_LATE, true, AT_END) \
	COLUMN(usage, JSONBOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(tokens_input, INT8OID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(tokens_output, INT8OID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(tokens_total, INT8OID, 0, COLUMN_LATE, true, AT_END) \
	COLUMN(cost, NUMERICOID, 0, COLUMN_LATE, true, AT_END) \
	COLUMN(time_to_first_token, NUMERICOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(total_time, NUMERICOID, 0, COLUMN_LATE, true, AT_END) \
	COLUMN(response_data, JSONBOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(finish_reason, TEXTOID, MAX_TASK_WORD, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(served_model, TEXTOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(service_tier, TEXTOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(billed, BOOLOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN) \
	COLUMN(provider_cost, NUMERICOID, 0, COLUMN_LATE, true, AT_END_IF_GIVEN)

/* How many arguments these lists are */
#define COUNT_COLUMN(...)	+ 1
#define TASK_CREATION_COUNT	(0 TASK_CREATION_LIST(COUNT_COLUMN))
#define TASK_END_COUNT		(0 TASK_END_LIST(COUNT_COLUMN))

/* What is stated otherwise, or not at all */
#define TASK_OTHER_LIST(COLUMN) \
	COLUMN(run_id, UUIDOID, 0, COLUMN_FIXED, false, AT_CREATION) \
	COLUMN(task_id, UUIDOID, 0, COLUMN_FIXED, false, AT_CREATION) \
	COLUMN(user_id, UUIDOID, 0, COLUMN_FIXED, true, AT_CREATION) \
	COLUMN(created_at, TIMESTAMPTZOID, 0, COLUMN_FIXED, true, AT_CREATION) \
	COLUMN(updated_at, TIMESTAMPTZOID, 0, COLUMN_FIXED, false, AT_BOTH) \
	COLUMN(completed_at, TIMESTAMPTZOID, 0, COLUMN_OPEN, true, AT_END) \
	COLUMN(status, TEXTOID, 0, COLUMN_STATUS, true, AT_BOTH) \
	COLUMN(error, JSONBOID, 0, COLUMN_LATE, true, AT_END) \
	COLUMN(inputs_from, INT8OID, 0, COLUMN_KEPT, false, AT_CREATION) \
	COLUMN(inputs_to, INT8OID, 0, COLUMN_KEPT, false, AT_CREATION) \
	COLUMN(answer_seq, INT8OID, 0, COLUMN_KEPT, false, AT_END_IF_GIVEN) \
	COLUMN(cost_details, JSONBOID, 0, COLUMN_KEPT, true, AT_END) \
	COLUMN(price_status, TEXTOID, 0, COLUMN_KEPT, true, AT_END) \
	COLUMN(client_cost, NUMERICOID, 0, COLUMN_KEPT, true, AT_END_IF_GIVEN) \
	COLUMN(usage_buckets, JSONBOID, 0, COLUMN_KEPT, true, AT_END_IF_GIVEN) \
	COLUMN(region, TEXTOID, 0, COLUMN_KEPT, true, AT_END_IF_GIVEN) \
	COLUMN(speed, TEXTOID, 0, COLUMN_KEPT, true, AT_END_IF_GIVEN) \
	COLUMN(request_reference, JSONBOID, 0, COLUMN_KEPT, false, AT_CREATION) \
	COLUMN(pending_half, INT4OID, 0, COLUMN_KEPT, false, AT_END) \
	COLUMN(holds, TEXTOID, 0, COLUMN_KEPT, false, AT_CREATION) \
	COLUMN(response_length, INT8OID, 0, COLUMN_ZERO, false, AT_BOTH) \
	COLUMN(generation, INT4OID, 0, COLUMN_ZERO, false, AT_BOTH) \
	COLUMN(text_in_answer, BOOLOID, 0, COLUMN_ZERO, false, AT_BOTH)

#define TASK_COLUMN_LIST(COLUMN) \
	TASK_CREATION_LIST(COLUMN) TASK_END_LIST(COLUMN) TASK_OTHER_LIST(COLUMN)

/*
 * The columns of ai_task_summary, in order, each as one of these macros has it; a
 * new one comes last.  While a task streams, its last chunk tells when it was last
 * changed, and how long its text is.
 */
#define TASK_SUMMARY_LIST(FIRST, COLUMN, UPDATED_AT, RESPONSE_LENGTH) \
	FIRST(task_id) COLUMN(run_id) COLUMN(user_id) COLUMN(service) COLUMN(task_name) \
	COLUMN(provider) COLUMN(endpoint) COLUMN(model_id) COLUMN(error) COLUMN(metadata) \
	COLUMN(finish_reason) COLUMN(status) COLUMN(tokens_input) COLUMN(tokens_output) \
	COLUMN(tokens_total) COLUMN(usage) COLUMN(cost) COLUMN(cost_details) \
	COLUMN(price_status) COLUMN(time_to_first_token) COLUMN(total_time) COLUMN(created_at) \
	UPDATED_AT(updated_at) COLUMN(completed_at) RESPONSE_LENGTH(response_length) \
	COLUMN(served_model) COLUMN(service_tier) COLUMN(billed) COLUMN(provider_cost) \
	COLUMN(region) COLUMN(speed)

/* The columns as numbers, and how many there are: of the table, */
#define TASK_COLUMN_NUMBER(name, ...)	Anum_tasks_##name,
enum
{
	Anum_tasks_none,
	TASK_COLUMN_LIST(TASK_COLUMN_NUMBER)
	Anum_tasks_end
};
#define Natts_tasks				(Anum_tasks_end - 1)

/* and of the summary */
#define TASK_SUMMARY_NUMBER(name)	Anum_task_summary_##name,
enum
{
	Anum_task_summary_none,
	TASK_SUMMARY_LIST(TASK_SUMMARY_NUMBER, TASK_SUMMARY_NUMBER, TASK_SUMMARY_NUMBER,
					  TASK_SUMMARY_NUMBER)
	Anum_task_summary_end
};
#define Natts_task_summary		(Anum_task_summary_end - 1)

/* As members of a struct */
#define TASK_COLUMN_FIELD(name, ...)	Field name;

/* A column of the table */
typedef struct TaskColumn
{
	const char *name;
	Oid			type;
	TaskColumnRule rule;
	bool		in_view;
	TaskColumnWrite write;
} TaskColumn;

/* By their numbers, less 1 */
extern const TaskColumn task_columns[Natts_tasks];

/* A row of the table, in values by column; what is not set is NULL */
typedef struct TaskRow
{
	Field		values[Natts_tasks];
} TaskRow;

static inline void
task_row_set(TaskRow *row, int column, Datum value, bool isnull)
{
	row->values[column - 1] = (Field) {value, isnull};
}

static inline void
task_row_field(TaskRow *row, int column, const Field *field)
{
	row->values[column - 1] = *field;
}

extern void task_row_begin(TaskRow *row, const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern void task_write_add(RowWrite *write, int column, WriteRule rule);
extern void task_write_args(const RowWrite *write, const TaskRow *row, Args *args);

#endif							/* AIRUN_TASK_COLUMNS_H */

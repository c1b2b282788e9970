/*
 * call_row.h
 *		Rows of airun.calls, and what the ledger and budgets are told of them.
 */
#ifndef AIRUN_CALL_ROW_H
#define AIRUN_CALL_ROW_H

#include "airun.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "task/task_columns.h"

/*
 * What a caller states about a call as such, which is never changed, each as
 * COLUMN(name, type, longest)
 */
#define NATURE_LIST(COLUMN) \
	COLUMN(kind, TEXTOID, 0) \
	COLUMN(source_type, TEXTOID, MAX_TASK_WORD) \
	COLUMN(service, TEXTOID, MAX_TASK_WORD) \
	COLUMN(task_name, TEXTOID, MAX_TASK_WORD) \
	COLUMN(provider, TEXTOID, MAX_TASK_WORD) \
	COLUMN(endpoint, TEXTOID, MAX_ENDPOINT) \
	COLUMN(model_id, TEXTOID, MAX_TASK_WORD)

/* What its end states, and TaskEnd has by the same name */
#define STATED_LIST(COLUMN) \
	COLUMN(usage, JSONBOID) \
	COLUMN(usage_buckets, JSONBOID) \
	COLUMN(tokens_input, INT8OID) \
	COLUMN(tokens_output, INT8OID) \
	COLUMN(time_to_first_token, NUMERICOID) \
	COLUMN(total_time, NUMERICOID) \
	COLUMN(served_model, TEXTOID) \
	COLUMN(service_tier, TEXTOID) \
	COLUMN(region, TEXTOID) \
	COLUMN(speed, TEXTOID) \
	COLUMN(billed, BOOLOID) \
	COLUMN(provider_cost, NUMERICOID)

/* The columns of airun.calls */
#define CALL_LIST(COLUMN) \
	COLUMN(id, UUIDOID) COLUMN(user_id, UUIDOID) \
	NATURE_LIST(COLUMN) \
	COLUMN(status, TEXTOID) COLUMN(error_code, TEXTOID) \
	STATED_LIST(COLUMN) \
	COLUMN(tokens_total, INT8OID) COLUMN(cost, NUMERICOID) COLUMN(cost_details, JSONBOID) \
	COLUMN(price_status, TEXTOID) COLUMN(client_cost, NUMERICOID) \
	COLUMN(metadata, JSONBOID) COLUMN(timeout, INTERVALOID) COLUMN(holds, TEXTOID) \
	COLUMN(created_at, TIMESTAMPTZOID) COLUMN(updated_at, TIMESTAMPTZOID) \
	COLUMN(completed_at, TIMESTAMPTZOID)

#define CALL_NUMBER(name, ...)	CALL_##name,
enum
{
	CALL_LIST(CALL_NUMBER)
	CALL_COLUMNS
};

/* A row of the table; what is not set is NULL */
typedef struct CallRow
{
	Field		field[CALL_COLUMNS];
} CallRow;

/* Who is calling; and may he touch what others have? */
typedef struct Caller
{
	Field		user_id;
	pg_uuid_t	id;
	bool		is_bound;
} Caller;

/* A column as statements name it */
typedef struct CallColumn
{
	const char *name;
	Oid			type;
} CallColumn;

extern const CallColumn call_columns[CALL_COLUMNS];

extern bool call_insert(CallRow *row, ResultRow *result);
extern void call_update(const CallRow *before, const CallRow *row, ResultRow *result);
extern bool call_lock(const Caller *caller, const pg_uuid_t *id, CallRow *row);
extern ResultRow call_read(const pg_uuid_t *id);
extern bool call_is_there(const pg_uuid_t *id);

#endif							/* AIRUN_CALL_ROW_H */

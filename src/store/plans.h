/*
 * plans.h
 *		Saved SPI plans, their arguments, and writes of our own.
 */
#ifndef AIRUN_PLANS_H
#define AIRUN_PLANS_H

#include "airun.h"

#include "executor/spi.h"
#include "store/definition.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/*
 * In SQL text every operator is named with its schema, since a search_path
 * could otherwise put another one in its place.
 */
#define EQ		" OPERATOR(pg_catalog.=) "
#define NE		" OPERATOR(pg_catalog.<>) "
#define LT		" OPERATOR(pg_catalog.<) "
#define GT		" OPERATOR(pg_catalog.>) "
#define LE		" OPERATOR(pg_catalog.<=) "
#define GE		" OPERATOR(pg_catalog.>=) "
#define PLUS	" OPERATOR(pg_catalog.+) "
#define MINUS	" OPERATOR(pg_catalog.-) "

/* Where the text names an object of the extension: see statement_in_extension() */
#define EXTSCHEMA	"@extschema@"

/* Where the text names a list of columns: see Statement */
#define COLUMNS		"@columns@"

#define STATEMENT_MAX_ARGS	64

/*
 * One SQL statement with a saved plan.  The text is constant or made of
 * constant pieces, every name in it is qualified, and its arguments are of
 * built-in types: then a plan survives anything that happens to the schema,
 * DROP EXTENSION and CREATE EXTENSION included, since the plan cache analyses
 * the text anew.  The plan lives as long as the backend.
 */
typedef struct Statement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[STATEMENT_MAX_ARGS];
	const ColumnList *columns;	/* for COLUMNS, if the text has it */
	SPIPlanPtr	plan;			/* NULL until first used */
	bool		plan_is_generic;	/* one plan for all arguments has been asked for */
	int			active;			/* executions that have begun and not ended */
	Oid			schema;			/* for EXTSCHEMA, if the text has it */
	bool		has_range;		/* which plan is best depends on the arguments */
	uint32		executions;
} Statement;

/* The arguments of one execution, in order */
typedef struct Args
{
	int			count;
	Datum		values[STATEMENT_MAX_ARGS];
	char		nulls[STATEMENT_MAX_ARGS];
} Args;

/* Which row of its run a statement of our own writes */
typedef struct InternalRow
{
	enum
	{
		INTERNAL_RUN,				/* the run itself */
		INTERNAL_MESSAGE,
		INTERNAL_MESSAGES,				/* any number of them, of a run that is new */
		INTERNAL_MESSAGES_OF_RUNS,	/* any number of several, which the roll-up counts */
		INTERNAL_TASK,
		INTERNAL_PAST,				/* a stranger's row, that may say when it was */
		INTERNAL_OF_RUNS			/* whatever belongs to certain runs */
	}			kind;
	int64		seq;			/* of the message */
	pg_uuid_t	task_id;		/* of the task */
} InternalRow;

/* One row that a statement returns, or that has been written without one */
typedef struct ResultRow
{
	TupleDesc	desc;
	HeapTuple	tuple;			/* NULL for none */
} ResultRow;

/* A value that may be absent */
typedef struct Field
{
	Datum		value;
	bool		isnull;
} Field;

static inline void
arg_add(Args *args, Datum value, bool isnull)
{
	Assert(args->count < STATEMENT_MAX_ARGS);
	args->values[args->count] = value;
	args->nulls[args->count] = isnull ? 'n' : ' ';
	args->count++;
}

static inline void
arg_uuid(Args *args, const pg_uuid_t *id)
{
	arg_add(args, UUIDPGetDatum(id), id == NULL);
}

static inline void
arg_int64(Args *args, int64 value)
{
	arg_add(args, Int64GetDatum(value), false);
}

static inline void
arg_time(Args *args, TimestampTz value)
{
	arg_add(args, TimestampTzGetDatum(value), false);
}

static inline void
arg_pointer(Args *args, const void *value)
{
	arg_add(args, PointerGetDatum(value), value == NULL);
}

static inline void
arg_field(Args *args, const Field *field)
{
	arg_add(args, field->value, field->isnull);
}

static inline void
arg_null(Args *args)
{
	arg_add(args, (Datum) 0, true);
}

extern uint64 statement_read(Statement *statement, Args *args, long limit);
extern uint64 statement_write(Statement *statement, Args *args);
extern uint64 statement_write_fire_later(Statement *statement, Args *args);
extern uint64 statement_write_message(Statement *statement, Args *args,
									  const pg_uuid_t *run_id, int64 seq);
extern uint64 statement_write_messages(Statement *statement, Args *args,
									   const pg_uuid_t *run_id);
extern uint64 statement_write_messages_of_runs(Statement *statement, Args *args);
extern uint64 statement_write_task(Statement *statement, Args *args, const pg_uuid_t *run_id,
								   const pg_uuid_t *task_id);
extern uint64 statement_write_past(Statement *statement, Args *args, const pg_uuid_t *run_id);
extern uint64 statement_stream_internal(Statement *statement, Args *args, const pg_uuid_t *run_id,
								   DestReceiver *dest);
extern uint64 statement_write_internal(Statement *statement, Args *args, const pg_uuid_t *run_id);
extern uint64 statement_read_latest(Statement *statement, Args *args, const pg_uuid_t *run_id);
extern uint64 statement_write_runs(Statement *statement, Args *args, const pg_uuid_t *ids,
								   int count);
extern uint64 statement_write_as_owner(Statement *statement, Args *args, Oid owner);
extern uint64 statement_as_owner_at(Statement *statement, Args *args, Oid owner,
									Snapshot snapshot);
extern uint64 statement_write_task_as_owner(Statement *statement, Args *args,
											const pg_uuid_t *run_id,
											const pg_uuid_t *task_id, Oid owner);
extern void statement_in_extension(Statement *statement, Oid function);

extern Datum result_value(uint64 row, int column, bool *isnull);
extern ResultRow result_row(void);
extern Datum result_row_value(const ResultRow *row, int column, bool *isnull);
extern void result_row_values(const ResultRow *row, Datum *values, bool *nulls);
extern Datum result_row_composite(FunctionCallInfo fcinfo, const ResultRow *row);
extern void result_check_type(TupleDesc desc, int count);
extern void result_begin_rows(FunctionCallInfo fcinfo, int count);
extern Datum composite_result(FunctionCallInfo fcinfo, Datum *values, bool *nulls, int count);

extern int	trigger_depth(void);
extern bool internal_write_row(const pg_uuid_t *run_id, InternalRow row);
extern bool internal_write_past(const pg_uuid_t *run_id);
extern bool internal_write_statement(bool *is_certain);
extern bool internal_write_is_of_many(void);
extern bool internal_writes_run(const pg_uuid_t *run_id);
extern bool internal_write_expression(const pg_uuid_t *run_id);

#endif							/* AIRUN_PLANS_H */

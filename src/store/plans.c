/*
 * plans.c
 *		Saved SPI plans, their arguments, and writes of our own.
 *
 * The functions do their work in statements of their own, and the triggers
 * of the store hold the same rules for every other way in.  So that nothing
 * is done twice, a function marks the one SPI call that it makes as its own:
 * by the run it is about, by the one row that it writes (a message's seq, a
 * task's id) and by the trigger depth it is made at.  A trigger that fires one
 * level below, for that row, sees a write of our own; every other row is a
 * stranger's, also one that a site's own trigger, policy or default writes
 * during our call.  The marks are a chain of stack frames: a call that fails
 * unwinds through PG_FINALLY, so that no mark outlives its call.
 *
 * The same mark lets a policy of the store skip asking for a run that the
 * marked statement names itself, or whose row its function has read or locked
 * before under the caller's rights.
 *
 * What integrity demands and no API role may do, such as removing the chunks
 * of a text that is complete, is done as the owner of the table, the way
 * referential integrity does it.
 *
 * No locks are taken here beyond those of the statements.
 */
#include "store/plans.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store/identity.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* A generic plan is made anew after so many executions */
#define REPLAN_AFTER	1000

typedef struct InternalCall
{
	struct InternalCall *outer;
	int			depth;			/* trigger depth of the call itself */
	bool		any_run;		/* the statement names its runs by itself */
	pg_uuid_t	run_id;
	InternalRow		row;
	bool		saw_stranger;	/* another row has been written meanwhile */
	const pg_uuid_t *runs;		/* that the statement writes rows of, in order */
	int			run_count;
} InternalCall;

static InternalCall *internal_call = NULL;

/* How many triggers deep are we? */
int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/* The SQL text, with what it is to name in place of each mark */
static const char *
statement_text(const Statement *statement)
{
	const char *rest = statement->sql;
	const char *mark;
	StringInfoData text;

	initStringInfo(&text);
	while ((mark = strchr(rest, '@')) != NULL)
	{
		appendBinaryStringInfo(&text, rest, mark - rest);
		if (strncmp(mark, EXTSCHEMA, strlen(EXTSCHEMA)) == 0)
		{
			appendStringInfoString(&text,
								   quote_identifier(get_namespace_name(statement->schema)));
			rest = mark + strlen(EXTSCHEMA);
		}
		else if (strncmp(mark, COLUMNS, strlen(COLUMNS)) == 0)
		{
			store_append_columns(&text, statement->columns);
			rest = mark + strlen(COLUMNS);
		}
		else
		{
			appendStringInfoChar(&text, *mark);
			rest = mark + 1;
		}
	}
	appendStringInfoString(&text, rest);
	return text.data;
}

/*
 * Nearly all statements look rows up by their keys: one plan for all
 * arguments does, rather than five made for one each and a comparison of costs.
 * Where the tables are not as we made them it is the server's to choose: an
 * extension that keeps their rows elsewhere may need to know the arguments.
 */
static bool
wants_generic_plan(const Statement *statement)
{
	return !statement->has_range && store_is_all_exact();
}

static void
statement_prepare(Statement *statement)
{
	bool		is_generic = wants_generic_plan(statement);
	SPIPlanPtr	old_plan = statement->plan;
	SPIPlanPtr	plan;
	int			rc;

	plan = SPI_prepare_cursor(statement_text(statement), statement->nargs, statement->argtypes,
							  is_generic ? CURSOR_OPT_GENERIC_PLAN : 0);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	rc = SPI_keepplan(plan);
	if (rc != 0)
		elog(ERROR, "SPI_keepplan failed: %s", SPI_result_code_string(rc));
	statement->plan = plan;
	statement->plan_is_generic = is_generic;
	statement->executions = 0;
	if (old_plan != NULL)
		SPI_freeplan(old_plan);
}

/*
 * Is a new plan due?
 *
 * The server keeps a generic plan until statistics or definitions change.  One
 * that was made when the tables were tiny scans them whole, and goes on doing
 * so while they grow, until autovacuum comes round or the transaction ends: a
 * minute, or all of an import, in which each append reads everything.
 */
static bool
is_due(const Statement *statement)
{
	return statement->plan == NULL ||
		(statement->active == 0 &&
		 (statement->executions >= REPLAN_AFTER ||
		  statement->plan_is_generic != wants_generic_plan(statement)));
}

/* How a statement is executed */
typedef struct Execution
{
	Snapshot	snapshot;		/* what it sees; NULL for what SPI chooses */
	bool		read_only;
	bool		fire_later;		/* AFTER triggers at the end of the statement around it */
	uint64		limit;			/* rows at the most, 0 for all */
	DestReceiver *dest;			/* gets the rows, instead of SPI_tuptable; or NULL */
} Execution;

static int
execute_plan(Statement *statement, Args *args, const Execution *how)
{
	SPIExecuteOptions options = {0};
	ParamListInfo params;

	if (how->dest == NULL && (how->snapshot != NULL || how->fire_later))
		return SPI_execute_snapshot(statement->plan, args->values, args->nulls, how->snapshot,
									InvalidSnapshot, how->read_only, !how->fire_later,
									how->limit);
	if (how->dest == NULL)
		return SPI_execute_plan(statement->plan, args->values, args->nulls, how->read_only,
								how->limit);

	params = makeParamList(args->count);
	for (int i = 0; i < args->count; i++)
	{
		params->params[i].value = args->values[i];
		params->params[i].isnull = args->nulls[i] == 'n';
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = statement->argtypes[i];
	}
	options.params = params;
	options.read_only = how->read_only;
	options.dest = how->dest;
	return SPI_execute_plan_extended(statement->plan, &options);
}

/* How much of a statement's text an error shows as its context, in bytes at most */
#define SHOWN_STATEMENT		40

/*
 * An error on its way out of a statement of ours has the whole text of it as its
 * context, 2 kB for some.  Leave the beginning, which says what the statement is
 * about; what others have said stays.  No more than memory is touched here.
 */
static void
shorten_context(const Statement *statement, MemoryContext context)
{
	List	   *sources = SPI_plan_get_plan_sources(statement->plan);
	const char *text = ((CachedPlanSource *) linitial(sources))->query_string;
	int			len = strlen(text);
	int			shown = SHOWN_STATEMENT;
	ErrorData  *error;
	char	   *place;

	if (len <= SHOWN_STATEMENT + 4)
		return;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	place = error->context == NULL ? NULL : strstr(error->context, text);
	if (place != NULL)
	{
		FlushErrorState();
		while (shown > 0 && text[shown] != ' ')
			shown--;
		memcpy(place + shown, " ...", 4);
		memmove(place + shown + 4, place + len, strlen(place + len) + 1);
		ReThrowError(error);
	}
	FreeErrorData(error);
}

/* Execute a statement.  Returns the rows processed. */
static uint64
execute(Statement *statement, Args *args, const Execution *how)
{
	MemoryContext context = CurrentMemoryContext;
	int			rc;

	Assert(args->count == statement->nargs);
	if (is_due(statement))
		statement_prepare(statement);
	statement->executions++;

	/* what is executing is not to lose its plan to a trigger that executes it, too */
	statement->active++;
	PG_TRY();
	{
		rc = execute_plan(statement, args, how);
	}
	PG_CATCH();
	{
		statement->active--;
		shorten_context(statement, context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	statement->active--;
	if (rc < 0)
		elog(ERROR, "executing a statement of airun failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Run a query with the caller's snapshot.  limit: rows at the most, 0 for
 * all.  Returns how many rows SPI_tuptable holds.
 */
uint64
statement_read(Statement *statement, Args *args, long limit)
{
	return execute(statement, args, &(Execution) {.read_only = true, .limit = limit});
}

/*
 * Run a statement that writes or locks, with a fresh snapshot where the
 * isolation level allows one.  Returns the rows processed.
 */
uint64
statement_write(Statement *statement, Args *args)
{
	return execute(statement, args, &(Execution) {0});
}

/*
 * In a row trigger: statement_write, whose AFTER triggers wait for the end of
 * the user's statement, and then see the rows of all such writes together.
 */
uint64
statement_write_fire_later(Statement *statement, Args *args)
{
	return execute(statement, args, &(Execution) {.fire_later = true});
}

/*
 * Have the statement name objects of the extension, where its text says
 * EXTSCHEMA.  function: one of the extension's, so that its schema is the one.
 * The extension may have gone and come back in another one meanwhile.
 */
void
statement_in_extension(Statement *statement, Oid function)
{
	Oid			schema = get_func_namespace(function);

	if (statement->schema == schema)
		return;
	if (statement->plan != NULL && statement->active == 0)
		SPI_freeplan(statement->plan);
	statement->plan = NULL;
	statement->schema = schema;
}

/*
 * The same as statement_write, but it sees what is committed by now whatever
 * the isolation level: for rows that a lock has been taken for before, of
 * which an older snapshot would not show all.
 */
static uint64
statement_write_latest(Statement *statement, Args *args)
{
	Snapshot	snapshot;
	uint64		processed;

	if (!IsolationUsesXactSnapshot())
		return statement_write(statement, args);

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	processed = execute(statement, args, &(Execution) {.snapshot = snapshot});
	UnregisterSnapshot(snapshot);
	return processed;
}

/* Become the owner of a table; an error takes that back by itself */
static void
become(Oid owner, Oid *user, int *context)
{
	GetUserIdAndSecContext(user, context);
	SetUserIdAndSecContext(owner,
						   *context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

/*
 * Run a statement as the owner of the table that it is about, whom row
 * security does not bind, with what is committed by now in its sight.  The
 * caller of this answers for what the policies would check.
 */
uint64
statement_write_as_owner(Statement *statement, Args *args, Oid owner)
{
	Oid			user;
	int			context;
	uint64		processed;

	become(owner, &user, &context);
	processed = statement_write_latest(statement, args);
	SetUserIdAndSecContext(user, context);
	return processed;
}

/* The same with what a snapshot shows in its sight */
uint64
statement_as_owner_at(Statement *statement, Args *args, Oid owner, Snapshot snapshot)
{
	Oid			user;
	int			context;
	uint64		processed;

	become(owner, &user, &context);
	processed = execute(statement, args, &(Execution) {.snapshot = snapshot});
	SetUserIdAndSecContext(user, context);
	return processed;
}

/* What a statement under a mark does */
typedef enum InternalUse
{
	INTERNAL_WRITE,
	INTERNAL_LATEST,			/* it looks at the present */
	INTERNAL_QUERY				/* it reads with the caller's snapshot */
} InternalUse;

/* Run a statement under a mark; dest, or else SPI_tuptable, gets the rows of a query */
static uint64
execute_internal(Statement *statement, Args *args, const pg_uuid_t *run_id, InternalRow row,
				 InternalUse use, DestReceiver *dest)
{
	InternalCall		call = {
		.outer = internal_call,
		.depth = trigger_depth(),
		.any_run = run_id == NULL,
		.row = row,
	};
	uint64		processed;

	if (run_id != NULL)
		call.run_id = *run_id;
	internal_call = &call;
	PG_TRY();
	{
		if (use == INTERNAL_QUERY)
			processed = execute(statement, args,
								&(Execution) {.read_only = true, .dest = dest});
		else if (use == INTERNAL_LATEST)
			processed = statement_write_latest(statement, args);
		else
			processed = statement_write(statement, args);
	}
	PG_FINALLY();
	{
		internal_call = call.outer;
	}
	PG_END_TRY();
	return processed;
}

/*
 * statement_write on airun.runs, or that only reads, that triggers and
 * policies shall know as our own.  run_id: the run it is about, or NULL for a
 * statement that names its runs by itself.  The caller of this answers for
 * what the triggers would check.
 */
uint64
statement_write_internal(Statement *statement, Args *args, const pg_uuid_t *run_id)
{
	return execute_internal(statement, args, run_id, (InternalRow) {.kind = INTERNAL_RUN},
							INTERNAL_WRITE, NULL);
}

/* The same, for a statement that only reads or locks and sees what is committed by now */
uint64
statement_read_latest(Statement *statement, Args *args, const pg_uuid_t *run_id)
{
	return execute_internal(statement, args, run_id, (InternalRow) {.kind = INTERNAL_RUN},
							INTERNAL_LATEST, NULL);
}

/* The same, for a statement that inserts this one message */
uint64
statement_write_message(Statement *statement, Args *args, const pg_uuid_t *run_id, int64 seq)
{
	return execute_internal(statement, args, run_id,
					   (InternalRow) {.kind = INTERNAL_MESSAGE, .seq = seq}, INTERNAL_WRITE, NULL);
}

/* The same for any number of messages of one run */
uint64
statement_write_messages(Statement *statement, Args *args, const pg_uuid_t *run_id)
{
	return execute_internal(statement, args, run_id, (InternalRow) {.kind = INTERNAL_MESSAGES},
							INTERNAL_WRITE, NULL);
}

/*
 * The same, for a statement that inserts messages, from the first place on, of runs
 * that have none.  The guard lets them pass, and the roll-up moves their runs.
 */
uint64
statement_write_messages_of_runs(Statement *statement, Args *args)
{
	return execute_internal(statement, args, NULL,
							(InternalRow) {.kind = INTERNAL_MESSAGES_OF_RUNS},
							INTERNAL_WRITE, NULL);
}

/* The same, for a statement that updates this one task, run as the table's owner */
uint64
statement_write_task_as_owner(Statement *statement, Args *args, const pg_uuid_t *run_id,
							  const pg_uuid_t *task_id, Oid owner)
{
	Oid			user;
	int			context;
	uint64		processed;

	become(owner, &user, &context);
	processed = statement_write_task(statement, args, run_id, task_id);
	SetUserIdAndSecContext(user, context);
	return processed;
}

/* The same, for a statement that inserts or updates this one task */
uint64
statement_write_task(Statement *statement, Args *args, const pg_uuid_t *run_id,
					 const pg_uuid_t *task_id)
{
	return execute_internal(statement, args, run_id,
							(InternalRow) {.kind = INTERNAL_TASK, .task_id = *task_id},
							INTERNAL_WRITE, NULL);
}

/*
 * The same, for a statement whose rows of the run are checked and completed as
 * anybody's, but may say when they were made.
 */
uint64
statement_write_past(Statement *statement, Args *args, const pg_uuid_t *run_id)
{
	return execute_internal(statement, args, run_id, (InternalRow) {.kind = INTERNAL_PAST},
							INTERNAL_WRITE, NULL);
}

/*
 * statement_write, for one that removes runs, or writes or removes any rows of them;
 * their ids are in order.  The caller of this answers for what the triggers would
 * check and move.
 */
uint64
statement_write_runs(Statement *statement, Args *args, const pg_uuid_t *ids, int count)
{
	InternalCall call = {
		.outer = internal_call,
		.depth = trigger_depth(),
		.any_run = true,
		.row = {.kind = INTERNAL_OF_RUNS},
		.runs = ids,
		.run_count = count,
	};
	uint64		processed;

	internal_call = &call;
	PG_TRY();
	{
		processed = statement_write(statement, args);
	}
	PG_FINALLY();
	{
		internal_call = call.outer;
	}
	PG_END_TRY();
	return processed;
}

/*
 * Run a query with the caller's snapshot, for rows of a run whose own row the
 * caller has been shown, and send them to dest.  Returns how many there were.
 */
uint64
statement_stream_internal(Statement *statement, Args *args, const pg_uuid_t *run_id,
					 DestReceiver *dest)
{
	return execute_internal(statement, args, run_id, (InternalRow) {.kind = INTERNAL_RUN},
							INTERNAL_QUERY, dest);
}

/* Is the run one of those that a call names? */
static bool
is_of_call(const InternalCall *call, const pg_uuid_t *run_id)
{
	return call->run_count > 0 &&
		bsearch(run_id, call->runs, call->run_count, sizeof(pg_uuid_t), uuid_order) != NULL;
}

static bool
is_internal_row(const pg_uuid_t *run_id, const InternalRow *row)
{
	if (internal_call->row.kind == INTERNAL_MESSAGES_OF_RUNS)
		return row->kind == INTERNAL_MESSAGE;
	if (internal_call->row.kind == INTERNAL_OF_RUNS)
		return is_of_call(internal_call, run_id);
	if (internal_call->row.kind == INTERNAL_MESSAGES && row->kind == INTERNAL_MESSAGE)
		return memcmp(&internal_call->run_id, run_id, sizeof(pg_uuid_t)) == 0;
	return (internal_call->any_run ||
			memcmp(&internal_call->run_id, run_id, sizeof(pg_uuid_t)) == 0) &&
		internal_call->row.kind == row->kind && internal_call->row.seq == row->seq &&
		memcmp(&internal_call->row.task_id, &row->task_id, sizeof(pg_uuid_t)) == 0;
}

/*
 * In a row trigger: has the row been written by one of our own statements?
 * row: what tells it from others of its run.
 */
bool
internal_write_row(const pg_uuid_t *run_id, InternalRow row)
{
	if (internal_call == NULL || internal_call->depth + 1 != trigger_depth())
		return false;
	if (is_internal_row(run_id, &row))
		return true;
	internal_call->saw_stranger = true;
	return false;
}

/* In a row trigger: does a statement of ours say when rows of the run were made? */
bool
internal_write_past(const pg_uuid_t *run_id)
{
	return internal_call != NULL && internal_call->depth + 1 == trigger_depth() &&
		is_internal_row(run_id, &(InternalRow) {.kind = INTERNAL_PAST});
}

/*
 * In a statement trigger: may this be one of our own statements, and if so, is
 * it certain?  Where no other row has been written meanwhile it is; else the
 * trigger has to look at its row, with internal_write_row().
 */
bool
internal_write_statement(bool *is_certain)
{
	*is_certain = internal_call != NULL && !internal_call->saw_stranger;
	return internal_call != NULL && internal_call->row.kind != INTERNAL_MESSAGES_OF_RUNS &&
		internal_call->depth + 1 == trigger_depth();
}

/* Does the statement of our own that is under way write several rows? */
bool
internal_write_is_of_many(void)
{
	return internal_call != NULL && (internal_call->row.kind == INTERNAL_MESSAGES ||
									 internal_call->row.kind == INTERNAL_OF_RUNS);
}

/* Is a statement of our own under way that writes or removes whatever belongs to the run? */
bool
internal_writes_run(const pg_uuid_t *run_id)
{
	for (InternalCall *call = internal_call; call != NULL; call = call->outer)
	{
		if (is_of_call(call, run_id))
			return true;
	}
	return false;
}

/* In a policy: is it evaluated by one of our own statements about the run? */
bool
internal_write_expression(const pg_uuid_t *run_id)
{
	return internal_call != NULL && !internal_call->any_run &&
		internal_call->depth == trigger_depth() &&
		memcmp(&internal_call->run_id, run_id, sizeof(pg_uuid_t)) == 0;
}

/* A value of the last result; column counts from 1 */
Datum
result_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/* 42804 unless a type of the extension's has as many columns as we have values */
void
result_check_type(TupleDesc desc, int count)
{
	if (desc->natts != count)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s has %d columns, but airun's has %d",
						format_type_be(desc->tdtypeid), desc->natts, count),
				 errhint("Take back what has been altered of the extension's type.")));
}

/* Begin a result of rows of so many columns each */
void
result_begin_rows(FunctionCallInfo fcinfo, int count)
{
	InitMaterializedSRF(fcinfo, 0);
	result_check_type(((ReturnSetInfo *) fcinfo->resultinfo)->setDesc, count);
}

/*
 * The SQL function's composite result, of as many columns as its type has.
 * Made in memory that outlives SPI_finish().
 */
Datum
composite_result(FunctionCallInfo fcinfo, Datum *values, bool *nulls, int count)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(get_func_rettype(fcinfo->flinfo->fn_oid), -1);
	HeapTupleHeader result;

	result_check_type(desc, count);
	result = SPI_returntuple(heap_form_tuple(desc, values, nulls), desc);
	ReleaseTupleDesc(desc);
	return HeapTupleHeaderGetDatum(result);
}

/* The first row of the last result; tuple is NULL where it has none */
ResultRow
result_row(void)
{
	if (SPI_tuptable == NULL || SPI_tuptable->numvals == 0)
		return (ResultRow) {0};
	return (ResultRow) {SPI_tuptable->tupdesc, SPI_tuptable->vals[0]};
}

/* A value of a row; column counts from 1 */
Datum
result_row_value(const ResultRow *row, int column, bool *isnull)
{
	return heap_getattr(row->tuple, column, row->desc, isnull);
}

/* All of them */
void
result_row_values(const ResultRow *row, Datum *values, bool *nulls)
{
	heap_deform_tuple(row->tuple, row->desc, values, nulls);
}

/* The SQL function's composite result, from a row whose columns are the type's */
Datum
result_row_composite(FunctionCallInfo fcinfo, const ResultRow *row)
{
	Datum	   *values = palloc_array(Datum, row->desc->natts);
	bool	   *nulls = palloc_array(bool, row->desc->natts);

	result_row_values(row, values, nulls);
	return composite_result(fcinfo, values, nulls, row->desc->natts);
}

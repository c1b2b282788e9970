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
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* A generic plan is made anew after so many executions */
#define REPLAN_AFTER	1000

typedef struct OwnCall
{
	struct OwnCall *outer;
	int			depth;			/* trigger depth of the call itself */
	bool		any_run;		/* the statement names its runs by itself */
	pg_uuid_t	run_id;
	OwnRow		row;
	bool		saw_stranger;	/* another row has been written meanwhile */
} OwnCall;

static OwnCall *own_call = NULL;

/* How many triggers deep are we? */
int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/* The SQL text, with the schema that it is to name in place of each mark */
static const char *
statement_text(Statement *statement)
{
	const char *mark;
	const char *rest = statement->sql;
	StringInfoData text;

	if (!OidIsValid(statement->schema))
		return statement->sql;
	initStringInfo(&text);
	while ((mark = strstr(rest, EXTSCHEMA)) != NULL)
	{
		appendBinaryStringInfo(&text, rest, mark - rest);
		appendStringInfoString(&text,
							   quote_identifier(get_namespace_name(statement->schema)));
		rest = mark + strlen(EXTSCHEMA);
	}
	appendStringInfoString(&text, rest);
	return text.data;
}

static void
statement_prepare(Statement *statement)
{
	SPIPlanPtr	plan;
	int			rc;

	/*
	 * Nearly all statements look rows up by their keys: one plan for all
	 * arguments, rather than five made for one each and a comparison of costs.
	 */
	plan = SPI_prepare_cursor(statement_text(statement), statement->nargs, statement->argtypes,
							  statement->has_range ? 0 : CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	rc = SPI_keepplan(plan);
	if (rc != 0)
		elog(ERROR, "SPI_keepplan failed: %s", SPI_result_code_string(rc));
	statement->plan = plan;
}

/*
 * Have the generic plan, if there is one, made anew by the next execution.
 *
 * The server keeps a generic plan until statistics or definitions change.  One
 * that was made when the tables were tiny scans them whole, and goes on doing
 * so while they grow, until autovacuum comes round or the transaction ends: a
 * minute, or all of an import, in which each append reads everything.  What
 * executes the old plan at the moment holds it for itself.
 */
static void
statement_replan(Statement *statement)
{
	ListCell   *lc;

	foreach(lc, SPI_plan_get_plan_sources(statement->plan))
	{
		CachedPlanSource *source = (CachedPlanSource *) lfirst(lc);

		if (source->gplan != NULL)
			source->gplan->is_valid = false;
	}
}

/* Have the plan at hand */
static void
statement_begin(Statement *statement, const Args *args)
{
	Assert(args->count == statement->nargs);
	if (statement->plan == NULL)
		statement_prepare(statement);
	else if (++statement->executions % REPLAN_AFTER == 0)
		statement_replan(statement);
}

static uint64
statement_execute(Statement *statement, Args *args, bool read_only, long limit)
{
	int			rc;

	statement_begin(statement, args);
	rc = SPI_execute_plan(statement->plan, args->values, args->nulls, read_only, limit);
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Run a query with the caller's snapshot.  limit: rows at the most, 0 for
 * all.  Returns how many rows SPI_tuptable holds.
 */
uint64
statement_read(Statement *statement, Args *args, long limit)
{
	return statement_execute(statement, args, true, limit);
}

/*
 * Run a statement that writes or locks, with a fresh snapshot where the
 * isolation level allows one.  Returns the rows processed.
 */
uint64
statement_write(Statement *statement, Args *args)
{
	return statement_execute(statement, args, false, 0);
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
	if (statement->plan != NULL)
		SPI_freeplan(statement->plan);
	statement->plan = NULL;
	statement->schema = schema;
}

/*
 * The same as statement_write, with what a snapshot shows in its sight, unless
 * that is NULL, and with AFTER triggers that fire at once or wait for the end
 * of the statement around it.
 */
static uint64
statement_write_at(Statement *statement, Args *args, Snapshot snapshot, bool fire_triggers)
{
	int			rc;

	statement_begin(statement, args);
	rc = SPI_execute_snapshot(statement->plan, args->values, args->nulls, snapshot,
							  InvalidSnapshot, false, fire_triggers, 0);
	if (rc < 0)
		elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * In a row trigger: statement_write, whose AFTER triggers wait for the end of
 * the user's statement, and then see the rows of all such writes together.
 */
uint64
statement_write_fire_later(Statement *statement, Args *args)
{
	return statement_write_at(statement, args, InvalidSnapshot, false);
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
	processed = statement_write_at(statement, args, snapshot, true);
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
	processed = statement_write_at(statement, args, snapshot, true);
	SetUserIdAndSecContext(user, context);
	return processed;
}

/* Send the rows of a query to dest, none of them kept */
static uint64
statement_stream(Statement *statement, Args *args, DestReceiver *dest)
{
	SPIExecuteOptions options;
	ParamListInfo params;
	int			rc;

	statement_begin(statement, args);
	params = makeParamList(args->count);
	for (int i = 0; i < args->count; i++)
	{
		params->params[i].value = args->values[i];
		params->params[i].isnull = args->nulls[i] == 'n';
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = statement->argtypes[i];
	}

	memset(&options, 0, sizeof(options));
	options.params = params;
	options.read_only = true;
	options.dest = dest;
	rc = SPI_execute_plan_extended(statement->plan, &options);
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/* Run a statement under a mark: a write, a look at the present, or with dest a query */
static uint64
execute_own(Statement *statement, Args *args, const pg_uuid_t *run_id, OwnRow row,
			bool latest, DestReceiver *dest)
{
	OwnCall		call = {
		.outer = own_call,
		.depth = trigger_depth(),
		.any_run = run_id == NULL,
		.row = row,
	};
	uint64		processed;

	if (run_id != NULL)
		call.run_id = *run_id;
	own_call = &call;
	PG_TRY();
	{
		if (dest != NULL)
			processed = statement_stream(statement, args, dest);
		else if (latest)
			processed = statement_write_latest(statement, args);
		else
			processed = statement_write(statement, args);
	}
	PG_FINALLY();
	{
		own_call = call.outer;
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
statement_write_own(Statement *statement, Args *args, const pg_uuid_t *run_id)
{
	return execute_own(statement, args, run_id, (OwnRow) {.kind = OWN_RUN}, false, NULL);
}

/* The same, for a statement that only reads or locks and sees what is committed by now */
uint64
statement_read_latest(Statement *statement, Args *args, const pg_uuid_t *run_id)
{
	return execute_own(statement, args, run_id, (OwnRow) {.kind = OWN_RUN}, true, NULL);
}

/* The same, for a statement that inserts this one message */
uint64
statement_write_message(Statement *statement, Args *args, const pg_uuid_t *run_id, int64 seq)
{
	return execute_own(statement, args, run_id,
					   (OwnRow) {.kind = OWN_MESSAGE, .seq = seq}, false, NULL);
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
	return execute_own(statement, args, run_id,
					   (OwnRow) {.kind = OWN_TASK, .task_id = *task_id}, false, NULL);
}

/*
 * Run a query with the caller's snapshot, for rows of a run whose own row the
 * caller has been shown, and send them to dest.  Returns how many there were.
 */
uint64
statement_stream_own(Statement *statement, Args *args, const pg_uuid_t *run_id,
					 DestReceiver *dest)
{
	return execute_own(statement, args, run_id, (OwnRow) {.kind = OWN_RUN}, false, dest);
}

static bool
is_own_row(const pg_uuid_t *run_id, const OwnRow *row)
{
	return (own_call->any_run ||
			memcmp(&own_call->run_id, run_id, sizeof(pg_uuid_t)) == 0) &&
		own_call->row.kind == row->kind && own_call->row.seq == row->seq &&
		memcmp(&own_call->row.task_id, &row->task_id, sizeof(pg_uuid_t)) == 0;
}

/*
 * In a row trigger: has the row been written by one of our own statements?
 * row: what tells it from others of its run.
 */
bool
own_write_row(const pg_uuid_t *run_id, OwnRow row)
{
	if (own_call == NULL || own_call->depth + 1 != trigger_depth())
		return false;
	if (is_own_row(run_id, &row))
		return true;
	own_call->saw_stranger = true;
	return false;
}

/*
 * In a statement trigger: may this be one of our own statements, and if so, is
 * it certain?  Where no other row has been written meanwhile it is; else the
 * trigger has to look at its row, with own_write_row().
 */
bool
own_write_statement(bool *is_certain)
{
	*is_certain = own_call != NULL && !own_call->saw_stranger;
	return own_call != NULL && own_call->depth + 1 == trigger_depth();
}

/* In a policy: is it evaluated by one of our own statements about the run? */
bool
own_write_expression(const pg_uuid_t *run_id)
{
	return own_call != NULL && !own_call->any_run && own_call->depth == trigger_depth() &&
		memcmp(&own_call->run_id, run_id, sizeof(pg_uuid_t)) == 0;
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

/* The same from the first row of the last result, whose columns are the type's */
Datum
result_tuple(FunctionCallInfo fcinfo)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum	   *values = palloc_array(Datum, desc->natts);
	bool	   *nulls = palloc_array(bool, desc->natts);

	heap_deform_tuple(SPI_tuptable->vals[0], desc, values, nulls);
	return composite_result(fcinfo, values, nulls, desc->natts);
}

/*
 * totals.c
 *		Totals of runs: statement triggers of the store.
 *
 * What a statement has inserted, changed or deleted past the functions moves
 * the counters and totals of its runs, by the difference of the new rows and
 * the old ones, in one update a run however many rows there are; a statement
 * on the view ai_tasks counts as one of these (view.c).  A statement of our
 * own has done so by itself and is left alone.  With nothing changed
 * nothing is moved; the triggers fire for no rows, too.
 *
 * What goes takes along what belongs to it alone, and leaves behind what is
 * shown elsewhere: a task its chunks; a message the text and the request of
 * tasks that refer to it, and itself as a version, while its run lives.
 *
 * Every row must find its one run under the caller's rights, or the statement
 * fails (PT404): a share for reading does not let totals go wrong.  The rows
 * of a run that is being deleted find none, and need none.
 *
 * Budgets are told likewise of what their tasks and calls have become.
 *
 * Locks: the runs' rows, in the order of their ids, and then counters of budgets.
 */
#include "airun.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "guard/holds.h"
#include "run/message.h"
#include "run/message_version.h"
#include "run/run.h"
#include "run/run_name.h"
#include "storage/lmgr.h"
#include "store/definition.h"
#include "store/identity.h"
#include "store/row_trigger.h"
#include "store/store.h"
#include "task/chunk.h"
#include "task/keep_message.h"
#include "task/task.h"
#include "task/task_entry.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_roll_up_messages);
PG_FUNCTION_INFO_V1(airun_roll_up_tasks);

/*
 * A roll-up is two statements, made from one query that gives what is to be
 * moved: a row a run, with its run_id.  The first locks the runs.  The second,
 * which sees them as they are once locked, moves them, and has one row as its
 * result: how many runs there were to move, and how many have been moved.
 */
#define LOCK_RUNS(delta) \
	"SELECT r.id, r.status FROM airun.runs AS r WHERE r.id" EQ \
	"ANY (SELECT d.run_id FROM (" delta ") AS d) ORDER BY r.id FOR NO KEY UPDATE OF r"
#define MOVE_RUNS(delta, set, condition) \
	"WITH d AS MATERIALIZED (" delta "), " \
	"u AS (UPDATE airun.runs AS r SET " set " FROM d WHERE r.id" EQ "d.run_id " \
	"AND " condition " RETURNING 1) " \
	"SELECT (SELECT pg_catalog.count(*) FROM d), (SELECT pg_catalog.count(*) FROM u)"

#define HOUR_OF(time)	"pg_catalog.date_trunc('hour', " time ", 'UTC')"

pg_noreturn static void refuse_rows_without_run(void);

static void
refuse_rows_without_run(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_NOT_FOUND),
			 errmsg("a run that the rows belong to does not exist"),
			 errdetail("There is no such run, it is deleted, or it is not yours to use this way."),
			 errhint("airun_list_runs() lists your runs, airun_create_run() creates one.")));
}

/* Run a statement made by LOCK_RUNS; returns how many runs there are, by id and status */
static uint64
lock_runs(Statement *statement)
{
	Args		args = {0};

	return statement_write(statement, &args);
}

/* Run a statement made by MOVE_RUNS; returns whether all runs were moved */
static bool
move_runs(Statement *statement)
{
	Args		args = {0};
	bool		isnull;

	if (statement_write_internal(statement, &args, NULL) != 1)
		elog(ERROR, "roll-up returned no row");
	return DatumGetInt64(result_value(0, 1, &isnull)) ==
		DatumGetInt64(result_value(0, 2, &isnull));
}

/*
 * Does any of the deleted rows' runs still exist, though the caller could not
 * move it?  Asked as the owner of the table, whom row security does not bind.
 */
static bool
runs_of_deleted_rows_exist(TriggerData *trigger, Statement *statement)
{
	Args		args = {0};

	return statement_write_as_owner(statement, &args,
									trigger->tg_relation->rd_rel->relowner) > 0;
}

/* Has the statement changed any row?  The triggers fire for none, too. */
static bool
has_rows(TriggerData *trigger)
{
	Tuplestorestate *rows = trigger->tg_newtable != NULL ?
		trigger->tg_newtable : trigger->tg_oldtable;

	return rows == NULL || tuplestore_tuple_count(rows) > 0;
}

/*
 * Has a statement of our own changed the rows?  It changes one, and has moved
 * its run already.
 */
static bool
is_own_statement(TriggerData *trigger, bool is_message)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	Tuplestorestate *rows = trigger->tg_newtable;
	bool		is_certain;
	bool		is_own = true;
	TupleTableSlot *slot;

	if (!internal_write_statement(&is_certain) || rows == NULL ||
		(tuplestore_tuple_count(rows) != 1 && !internal_write_is_of_many()))
		return false;
	if (is_certain)
		return true;

	slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	while (is_own && tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		Datum		run_id = slot_getattr(slot, SPI_fnumber(desc, "run_id"), &isnull);
		Datum		key = slot_getattr(slot, SPI_fnumber(desc, is_message ? "seq" : "task_id"),
									   &isnull);
		InternalRow		row = {.kind = is_message ? INTERNAL_MESSAGE : INTERNAL_TASK};

		if (is_message)
			row.seq = DatumGetInt64(key);
		else
			row.task_id = *DatumGetUUIDP(key);
		is_own = internal_write_row(DatumGetUUIDP(run_id), row);
	}
	ExecDropSingleTupleTableSlot(slot);
	return is_own;
}

/* Is a table of the store being truncated, by the command that fires the trigger? */
static bool
is_truncated(const char *table)
{
	Relation	relation = table_open(store_table_oid(table), AccessShareLock);
	bool		locked = CheckRelationLockedByMe(relation, AccessExclusiveLock, false);

	table_close(relation, NoLock);
	return locked;
}

/*
 * A partition is truncated with its table, whose trigger does what is to be done, or
 * with all runs, which leaves the chunks to remove; and never alone.
 */
static bool
is_left_to_table(TriggerData *trigger, const char *table)
{
	if (trigger_table(trigger) == RelationGetRelid(trigger->tg_relation))
		return false;
	if (is_truncated(table))
		return true;
	if (is_truncated("runs"))
		return strcmp(table, "messages") == 0;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("partition \"%s\" cannot be truncated alone",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("airun_drop_partitions() drops whole months; TRUNCATE airun.%s "
					 "empties the table.", table)));
}

/*
 * Do the rows go by a statement of our own that removes all there is of their runs,
 * or the runs themselves?  Then nothing is left to be moved here.  A text that streams
 * would be left behind.
 */
static bool
go_with_runs(TriggerData *trigger, bool is_tasks)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	Tuplestorestate *rows = trigger->tg_oldtable;
	int			run = SPI_fnumber(desc, "run_id");
	int			end = is_tasks ? SPI_fnumber(desc, "completed_at") : 0;
	pg_uuid_t	last = {{0}};
	bool		are_known = false;
	bool		go = true;
	TupleTableSlot *slot;

	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		return false;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	while (go && tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		pg_uuid_t  *run_id = DatumGetUUIDP(slot_getattr(slot, run, &isnull));

		if (!are_known || !uuid_equal(run_id, &last))
			go = internal_writes_run(run_id);
		last = *run_id;
		are_known = true;
		if (is_tasks)
		{
			(void) slot_getattr(slot, end, &isnull);
			go = go && !isnull;
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	return go;
}

/*
 * Enter a roll-up: connect to SPI, with the transition tables at hand.  NULL
 * where there is nothing to do.
 */
static TriggerData *
begin_roll_up(FunctionCallInfo fcinfo, const char *table, int after, int before)
{
	bool		is_before = CALLED_AS_TRIGGER(fcinfo) &&
		TRIGGER_FIRED_BEFORE(((TriggerData *) fcinfo->context)->tg_event);
	TriggerData *trigger = trigger_data(fcinfo, "airun", table,
										is_before ? TRIGGER_EVENT_BEFORE : TRIGGER_EVENT_AFTER,
										is_before ? before : after);

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) && is_left_to_table(trigger, table))
		return NULL;
	if (!has_rows(trigger) || is_own_statement(trigger, strcmp(table, "messages") == 0) ||
		go_with_runs(trigger, strcmp(table, "tasks") == 0))
		return NULL;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) &&
		SPI_register_trigger_data(trigger) < 0)
		elog(ERROR, "SPI_register_trigger_data failed");
	return trigger;
}

/* ---------- messages ---------- */

/*
 * Name the runs that have no name yet, each from its first user message that
 * gives one.
 */
static void
name_runs(void)
{
	static Statement unnamed = {
		"SELECT m.run_id, m.message "
		"FROM new_rows AS m JOIN airun.runs AS r ON r.id" EQ "m.run_id "
		"WHERE r.name IS NULL "
		"AND (m.message OPERATOR(pg_catalog.->>) 'role')" EQ "'user' "
		"ORDER BY m.run_id, m.seq",
		0, {0}
	};
	Args		args = {0};
	uint64		count = statement_write_internal(&unnamed, &args, NULL);
	SPITupleTable *messages = SPI_tuptable;
	pg_uuid_t  *named = NULL;

	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		pg_uuid_t  *run_id = DatumGetUUIDP(SPI_getbinval(messages->vals[i], messages->tupdesc,
														 1, &isnull));
		Datum		message = SPI_getbinval(messages->vals[i], messages->tupdesc, 2, &isnull);
		text	   *name;

		if (named != NULL && uuid_equal(named, run_id))
			continue;
		name = run_name_from_message(DatumGetJsonbP(message));
		if (name != NULL)
		{
			run_set_name(run_id, name);
			named = run_id;
		}
	}
}

static void
roll_up_inserted_messages(void)
{
#define INSERTED_MESSAGES \
	"SELECT m.run_id, pg_catalog.count(*) AS count, pg_catalog.max(m.created_at) AS last " \
	"FROM new_rows AS m GROUP BY m.run_id"
	static Statement lock = {LOCK_RUNS(INSERTED_MESSAGES), 0, {0}};
	static Statement move = {
		MOVE_RUNS(INSERTED_MESSAGES,
				  "message_count = r.message_count" PLUS "d.count, "
				  "last_message_at = GREATEST(r.last_message_at, d.last), "
				  "updated_at = GREATEST(r.updated_at, d.last), "
				  "active_hour = GREATEST(r.active_hour, " HOUR_OF("d.last") "), "
				  "status = CASE WHEN r.status" EQ "'completed' THEN r.status ELSE 'active' END",
				  "r.deleted_at IS NULL"),
		0, {0}
	};

	lock_runs(&lock);
	if (!move_runs(&move))
		refuse_rows_without_run();
	name_runs();
}

/* Have tasks keep what they refer to in messages that go */
static void
keep_messages(TriggerData *trigger, Statement *find)
{
	Args		args = {0};

	keep_messages_of_tasks(find, &args, trigger->tg_relation->rd_rel->relowner,
						   trigger->tg_trigger->tgfoid);
}

static void
roll_up_deleted_messages(TriggerData *trigger)
{
#define DELETED_MESSAGES \
	"SELECT m.run_id, pg_catalog.count(*) AS count, pg_catalog.min(m.seq) AS first " \
	"FROM old_rows AS m GROUP BY m.run_id"
	static Statement lock = {LOCK_RUNS(DELETED_MESSAGES), 0, {0}};
	static Statement not_the_tail = {
		"SELECT r.id FROM airun.runs AS r JOIN (" DELETED_MESSAGES ") AS d "
		"ON r.id" EQ "d.run_id "
		"WHERE d.first" NE "(r.message_count" MINUS "d.count" PLUS "1) LIMIT 1",
		0, {0}
	};
#define LAST_MESSAGE_AT \
	"COALESCE((SELECT m.created_at FROM airun.messages AS m WHERE m.run_id" EQ "r.id " \
	"AND m.seq" EQ "(r.message_count" MINUS "d.count)), r.created_at)"
	static Statement move = {
		MOVE_RUNS(DELETED_MESSAGES,
				  "message_count = r.message_count" MINUS "d.count, "
				  "last_message_at = " LAST_MESSAGE_AT ", "
				  "active_hour = " HOUR_OF(LAST_MESSAGE_AT) ", "
				  "updated_at = GREATEST(r.updated_at, pg_catalog.clock_timestamp())",
				  "true"),
		0, {0}
	};
	static Statement exist = {
		"SELECT FROM airun.runs AS r, old_rows AS m WHERE r.id" EQ "m.run_id LIMIT 1", 0, {0}
	};
	static Statement tasks = {TASKS_OF_MESSAGES("old_rows"), 0, {0}};
	Args		args = {0};
	uint64		found;
	bool		isnull;

	found = lock_runs(&lock);
	if (statement_write(&not_the_tail, &args) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("only the last messages of a run can be deleted"),
				 errdetail("Run \"%s\" would have a gap.",
						   uuid_string(DatumGetUUIDP(result_value(0, 1, &isnull)))),
				 errhint("Delete all messages from a seq on.")));
	if (found > 0)
	{
		keep_messages(trigger, &tasks);
		version_keep_removed();
	}
	if (!move_runs(&move) && runs_of_deleted_rows_exist(trigger, &exist))
		refuse_rows_without_run();
}

/* Before the messages are gone, since then nothing tells what they were */
static void
roll_up_truncated_messages(TriggerData *trigger)
{
	static Statement tasks = {TASKS_OF_MESSAGES("airun.messages"), 0, {0}};
	static Statement move = {
		"UPDATE airun.runs AS r SET message_count = 0, last_message_at = r.created_at, "
		"active_hour = " HOUR_OF("r.created_at") " WHERE r.message_count" NE "0",
		0, {0}
	};
	Args		args = {0};

	if (!is_truncated("tasks"))
		keep_messages(trigger, &tasks);
	statement_write_internal(&move, &args, NULL);
}

/*
 * airun_roll_up_messages() returns trigger
 *
 * AFTER INSERT with new_rows, AFTER DELETE with old_rows, BEFORE TRUNCATE;
 * for each statement.
 */
Datum
airun_roll_up_messages(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = begin_roll_up(fcinfo, "messages", ON_INSERT | ON_DELETE,
										 ON_TRUNCATE);

	if (trigger == NULL)
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		roll_up_inserted_messages();
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		roll_up_deleted_messages(trigger);
	else
		roll_up_truncated_messages(trigger);
	store_close();
	return PointerGetDatum(NULL);
}

/* ---------- tasks ---------- */

#define SUM(value, type)	"COALESCE(pg_catalog.sum(" value "), 0)::" type

/*
 * Tasks that have been inserted with a part of their text: that is progress,
 * and goes where the functions keep it.
 */
static void
move_texts(void)
{
	static Statement with_text = {
		"SELECT n.run_id, n.task_id, n.response_text FROM new_rows AS n "
		"WHERE n.completed_at IS NULL AND n.response_text IS NOT NULL",
		0, {0}
	};
	static Statement stream = {
		"UPDATE airun.tasks AS t SET status = 'streaming', response_text = NULL, "
		"time_to_first_token = COALESCE(t.time_to_first_token, 0) WHERE " THIS_TASK,
		2, {UUIDOID, UUIDOID}
	};
	Args		none = {0};
	uint64		count = statement_write(&with_text, &none);
	SPITupleTable *tasks = SPI_tuptable;

	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		pg_uuid_t  *run_id = DatumGetUUIDP(SPI_getbinval(tasks->vals[i], tasks->tupdesc, 1,
														 &isnull));
		pg_uuid_t  *task_id = DatumGetUUIDP(SPI_getbinval(tasks->vals[i], tasks->tupdesc, 2,
														  &isnull));
		Datum		whole = SPI_getbinval(tasks->vals[i], tasks->tupdesc, 3, &isnull);
		Stream		text_so_far;
		Args		args = {0};

		chunk_lock(run_id, task_id);
		chunk_find(run_id, task_id, &text_so_far);
		(void) chunk_put(run_id, task_id, &text_so_far, DatumGetTextPP(whole));
		arg_uuid(&args, run_id);
		arg_uuid(&args, task_id);
		(void) statement_write_task(&stream, &args, run_id, task_id);
		task_notify(run_id, task_id, TASK_STREAMING, text_so_far.chars,
					text_so_far.generation);
	}
}

/* Of the runs that have been locked, a completed one takes no new task */
static void
refuse_completed_runs(uint64 count)
{
	bool		isnull;

	for (uint64 i = 0; i < count; i++)
		if (strcmp(TextDatumGetCString(result_value(i, 2, &isnull)), "completed") == 0)
			run_refuse_completed(DatumGetUUIDP(result_value(i, 1, &isnull)));
}

static void
roll_up_inserted_tasks(void)
{
#define INSERTED_TASKS \
	"SELECT t.run_id, pg_catalog.count(*) AS count, " \
	SUM("t.tokens_total", "bigint") " AS tokens, " SUM("t.cost", "numeric") " AS cost, " \
	"pg_catalog.bool_or(t.status" EQ "'error') AS failed " \
	"FROM new_rows AS t GROUP BY t.run_id"
	static Statement lock = {LOCK_RUNS(INSERTED_TASKS), 0, {0}};
	static Statement move = {
		MOVE_RUNS(INSERTED_TASKS,
				  "task_count = r.task_count" PLUS "d.count, "
				  "total_tokens = r.total_tokens" PLUS "d.tokens, "
				  "total_cost = r.total_cost" PLUS "d.cost, "
				  "status = CASE WHEN d.failed THEN 'error' ELSE 'active' END, "
				  "updated_at = GREATEST(r.updated_at, pg_catalog.clock_timestamp())",
				  "r.deleted_at IS NULL AND r.status" NE "'completed'"),
		0, {0}
	};

	refuse_completed_runs(lock_runs(&lock));
	if (!move_runs(&move))
		refuse_rows_without_run();
	move_texts();
}

/* Remove the chunks of the tasks that a statement finds */
static void
remove_chunks(Statement *streamed)
{
	Args		args = {0};
	uint64		count = statement_write(streamed, &args);
	SPITupleTable *tasks = SPI_tuptable;

	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Datum		run_id = SPI_getbinval(tasks->vals[i], tasks->tupdesc, 1, &isnull);
		Datum		task_id = SPI_getbinval(tasks->vals[i], tasks->tupdesc, 2, &isnull);

		chunk_lock(DatumGetUUIDP(run_id), DatumGetUUIDP(task_id));
		chunk_remove(DatumGetUUIDP(run_id), DatumGetUUIDP(task_id));
	}
}

/*
 * A task that had expired has been ended otherwise: that sets its run back, unless
 * another one has failed since it was created.
 */
static void
roll_up_updated_tasks(void)
{
#define FAILED_SINCE \
	"EXISTS (SELECT FROM airun.tasks AS f WHERE f.run_id" EQ "r.id " \
	"AND f.status" EQ "'error' AND f.completed_at" GE "d.since)"
#define UPDATED_TASKS \
	"SELECT t.run_id, " SUM("t.tokens", "bigint") " AS tokens, " \
	SUM("t.cost", "numeric") " AS cost, " SUM("t.failed", "bigint") " AS failed, " \
	"pg_catalog.min(t.since) AS since FROM (" \
	"SELECT n.run_id, n.tokens_total AS tokens, n.cost, NULL::pg_catalog.timestamptz AS since, " \
	"CASE WHEN n.status" EQ "'error' THEN 1 ELSE 0 END AS failed FROM new_rows AS n UNION ALL " \
	"SELECT o.run_id, OPERATOR(pg_catalog.-) o.tokens_total, OPERATOR(pg_catalog.-) o.cost, " \
	"CASE WHEN o.status" EQ "'error' THEN o.created_at END, " \
	"CASE WHEN o.status" EQ "'error' THEN OPERATOR(pg_catalog.-) 1 ELSE 0 END " \
	"FROM old_rows AS o) AS t GROUP BY t.run_id HAVING pg_catalog.sum(t.tokens)" NE "0 " \
	"OR pg_catalog.sum(t.cost)" NE "0 OR pg_catalog.sum(t.failed)" NE "0"
	static Statement lock = {LOCK_RUNS(UPDATED_TASKS), 0, {0}};
	static Statement move = {
		MOVE_RUNS(UPDATED_TASKS,
				  "total_tokens = r.total_tokens" PLUS "d.tokens, "
				  "total_cost = r.total_cost" PLUS "d.cost, "
				  "status = CASE WHEN r.status" EQ "'completed' THEN r.status "
				  "WHEN d.failed" GT "0 THEN 'error' "
				  "WHEN d.failed" LT "0 AND NOT " FAILED_SINCE " THEN 'active' "
				  "ELSE r.status END, "
				  "updated_at = GREATEST(r.updated_at, pg_catalog.clock_timestamp())",
				  "true"),
		0, {0}
	};
	static Statement ended = {
		"SELECT o.run_id, o.task_id FROM old_rows AS o JOIN new_rows AS n "
		"ON n.run_id" EQ "o.run_id AND n.task_id" EQ "o.task_id "
		"WHERE o.status" EQ "'streaming' AND n.status" NE "'streaming' ORDER BY o.task_id",
		0, {0}
	};

	lock_runs(&lock);
	if (!move_runs(&move))
		refuse_rows_without_run();
	remove_chunks(&ended);
}

static void
roll_up_deleted_tasks(TriggerData *trigger)
{
#define DELETED_TASKS \
	"SELECT t.run_id, pg_catalog.count(*) AS count, " \
	SUM("t.tokens_total", "bigint") " AS tokens, " SUM("t.cost", "numeric") " AS cost " \
	"FROM old_rows AS t GROUP BY t.run_id"
	static Statement lock = {LOCK_RUNS(DELETED_TASKS), 0, {0}};
	static Statement move = {
		MOVE_RUNS(DELETED_TASKS,
				  "task_count = r.task_count" MINUS "d.count, "
				  "total_tokens = r.total_tokens" MINUS "d.tokens, "
				  "total_cost = r.total_cost" MINUS "d.cost, "
				  "updated_at = GREATEST(r.updated_at, pg_catalog.clock_timestamp())",
				  "true"),
		0, {0}
	};
	static Statement exist = {
		"SELECT FROM airun.runs AS r, old_rows AS t WHERE r.id" EQ "t.run_id LIMIT 1", 0, {0}
	};
	static Statement streamed = {
		"SELECT o.run_id, o.task_id FROM old_rows AS o WHERE o.status" EQ "'streaming' "
		"ORDER BY o.task_id",
		0, {0}
	};

	lock_runs(&lock);
	if (!move_runs(&move) && runs_of_deleted_rows_exist(trigger, &exist))
		refuse_rows_without_run();
	remove_chunks(&streamed);
}

static void
roll_up_truncated_tasks(Oid function)
{
	static Statement move = {
		"UPDATE airun.runs AS r SET task_count = 0, total_tokens = 0, total_cost = 0 "
		"WHERE r.task_count" NE "0",
		0, {0}
	};
	static Statement remove = {"DELETE FROM airun.task_chunks", 0, {0}};
	Args		args = {0};

	statement_write_internal(&move, &args, NULL);
	statement_write_as_owner(&remove, &args, store_table_owner("task_chunks"));
	guard_release_all(function);
}

/*
 * What the guard has let pass, a site's own trigger may have changed after it:
 * figures that would spoil the totals of a run, or a status that is none.
 */
static void
check_rows_of_triggers(TriggerData *trigger)
{
	static Statement find = {
		"SELECT n.task_id FROM new_rows AS n WHERE "
		"LEAST(n.tokens_input, n.tokens_output, n.tokens_total)" LT "0 "
		"OR LEAST(n.cost, n.time_to_first_token, n.total_time)" LT "0 "
		"OR GREATEST(n.cost, n.time_to_first_token, n.total_time)" GE "'Infinity' "
		"OR n.status" NE "ALL (CASE WHEN n.completed_at IS NULL "
		"THEN '{pending,streaming}'::pg_catalog.text[] "
		"ELSE '{completed,error,cancelled}' END) LIMIT 1",
		0, {0}
	};
	Args		args = {0};
	bool		isnull;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_register_trigger_data(trigger) < 0)
		elog(ERROR, "SPI_register_trigger_data failed");
	if (statement_write(&find, &args) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("a trigger on airun.tasks has made a task that cannot be"),
				 errdetail("Task \"%s\" has a status that is none or does not go with "
						   "\"completed_at\", or a figure that is negative or not finite.",
						   uuid_string(DatumGetUUIDP(result_value(0, 1, &isnull)))),
				 errhint("Mend the trigger.")));
	store_close();
}

/*
 * airun_roll_up_tasks() returns trigger
 *
 * AFTER INSERT with new_rows, AFTER UPDATE with both, AFTER DELETE with
 * old_rows, AFTER TRUNCATE; for each statement.
 */
Datum
airun_roll_up_tasks(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = begin_roll_up(fcinfo, "tasks",
										 ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE, 0);
	TriggerData *called = (TriggerData *) fcinfo->context;

	if (TRIGGER_FIRED_BY_INSERT(called->tg_event))
		guard_release_skipped();
	if (called->tg_newtable != NULL && store_has_site_trigger(TABLE_TASKS))
		check_rows_of_triggers(called);
	if (trigger == NULL)
	{
		if (TRIGGER_FIRED_BY_DELETE(called->tg_event))
			task_release_rows(called);
		return PointerGetDatum(NULL);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		roll_up_inserted_tasks();
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		roll_up_updated_tasks();
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		roll_up_deleted_tasks(trigger);
	else
		roll_up_truncated_tasks(fcinfo->flinfo->fn_oid);
	if (trigger->tg_newtable != NULL)
		task_enter_rows(trigger);
	else if (trigger->tg_oldtable != NULL)
		task_release_rows(trigger);
	store_close();
	return PointerGetDatum(NULL);
}

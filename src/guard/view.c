/*
 * view.c
 *		INSTEAD OF triggers of the views ai_messages and ai_tasks.
 *
 * An insert into ai_messages is an append, and an update a save, by the
 * functions' own code.  A delete from it, and any change through ai_tasks, locks
 * the run first and then does the same to the storage, where guard.c holds the
 * rules and totals.c rolls up: so the views keep the lock order of the functions,
 * and never deadlock with them.
 *
 * An update writes only the columns that the user has changed: the row that
 * the view has shown may be older than the one that is locked.  What a client
 * states once, such as metadata, may have been computed from that older row, and
 * a trigger cannot compute it anew: where such a column has another value by now,
 * the update is 40001.  Not so for what who works on the task states, status, text
 * and figures: that is whole each time, and guard.c knows what is late.
 *
 * The rows that one statement changes so are rolled up together, once all of them
 * are changed, as those of a statement on the storage are: the messages that it
 * deletes must be the last of their run together.  And if each row moved its run's
 * totals by itself, a statement of n rows would write n versions of the run's row.
 * None of them can be pruned before the transaction ends, and each look-up of the
 * run by its key would go through all of them: the time would grow with the square
 * of the rows.
 *
 * Locks: the run's row, the text's lock of a task that has not ended, then the
 * task's row.
 *
 * Errors: those of guard.c, and 40001 for what has been changed since it was read.
 */
#include "airun.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "run/message.h"
#include "run/run.h"
#include "run/save_message.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/row_trigger.h"
#include "store/store.h"
#include "task/lease.h"
#include "task/task.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(airun_view_message);
PG_FUNCTION_INFO_V1(airun_view_task);

#define INSTEAD_OF_ROW	(TRIGGER_EVENT_ROW | TRIGGER_EVENT_INSTEAD)

/*
 * Change a row of the storage.  AFTER triggers wait for the end of the user's
 * statement and see all the rows that it has changed, as for the cascade of a
 * foreign key.
 *
 * Not so where a policy or a default of a site uses the view within a call of
 * our own: they would fire as deep as those of our own row, which is how
 * totals.c knows it.
 */
static uint64
change_row(Statement *statement, Args *args)
{
	bool		is_certain;

	if (internal_write_statement(&is_certain))
		return statement_write(statement, args);
	return statement_write_fire_later(statement, args);
}

/* ---------- ai_messages ---------- */

static void
refuse_derived_unless_null(Row *row, const char *table, const char *column)
{
	if (!row_new(row, column).isnull)
		refuse_derived(table, column);
}

/* The row as the message is stored, to be shown */
static void
show_message(Row *row, const NewMessage *message)
{
	row_set(row, "task_id", UUIDPGetDatum(message->task_id), message->task_id == NULL);
	row_set(row, "role", PointerGetDatum(message_role(message->message)), false);
	row_set(row, "message", JsonbPGetDatum(message->message), false);
}

/* PT422 unless the role that is stated is the message's */
static void
check_stated_role(const Field *role, const NewMessage *message)
{
	if (!text_equal(DatumGetTextPP(role->value), message_role(message->message)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"role\" is not the role of the message"),
				 errhint("Leave it out: it is read from the message.")));
}

static void
insert_message(Row *row)
{
	NewMessage	message;
	Field		run_id = row_new(row, "run_id");
	Field		body = row_new(row, "message");
	Field		seq = row_new(row, "seq");
	Field		role = row_new(row, "role");
	Field		message_id = row_new(row, "message_id");
	Field		task_id = row_new(row, "task_id");
	bool		lacks_answer = false;

	if (run_id.isnull)
		refuse_missing("ai_messages", "run_id");
	if (body.isnull)
		refuse_missing("ai_messages", "message");
	refuse_derived_unless_null(row, "ai_messages", "created_at");
	message_new(&message, DatumGetJsonbP(body.value),
				message_id.isnull ? NULL : DatumGetTextPP(message_id.value));
	if (!role.isnull)
		check_stated_role(&role, &message);

	store_open(true);
	if (!task_id.isnull)
	{
		message.task_id = DatumGetUUIDP(task_id.value);
		lacks_answer = message_require_task(DatumGetUUIDP(run_id.value), message.task_id);
	}
	messages_append(DatumGetUUIDP(run_id.value), &message, 1);
	if (lacks_answer && !message.is_stored)
		message_answers_task(DatumGetUUIDP(run_id.value), &message);
	if (!seq.isnull && DatumGetInt64(seq.value) != message.seq)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("message is out of sequence"),
				 errdetail("Its seq is " INT64_FORMAT ", not " INT64_FORMAT ".",
						   message.seq, DatumGetInt64(seq.value)),
				 errhint("Leave \"seq\" out to append.")));

	row_set(row, "seq", Int64GetDatum(message.seq), false);
	row_set(row, "message_id", PointerGetDatum(message.message_id),
			message.message_id == NULL);
	row_set(row, "created_at", TimestampTzGetDatum(message.created_at), false);
	show_message(row, &message);
}

/* A message keeps its run, its place, its time and its id, and a task that it has */
static void
refuse_other_place(Row *row)
{
	static const char *const kept[] = {"run_id", "seq", "created_at", "message_id"};

	for (int i = 0; i < lengthof(kept); i++)
	{
		if (row_changed(row, kept[i]))
			message_refuse_change(kept[i]);
	}
	if (row_changed(row, "task_id") && row_new(row, "task_id").isnull)
		message_refuse_change("task_id");
}

/* Replace the message at its place; returns false where it has gone meanwhile */
static bool
replace_message(Row *row, Oid function)
{
	NewMessage	message;
	Field		body = row_new(row, "message");
	Field		role = row_new(row, "role");
	Field		message_id = row_old(row, "message_id");
	Field		task_id = row_new(row, "task_id");

	refuse_other_place(row);
	if (body.isnull)
		refuse_missing("ai_messages", "message");
	message_new(&message, DatumGetJsonbP(body.value),
				message_id.isnull ? NULL : DatumGetTextPP(message_id.value));
	if (row_changed(row, "role") && !role.isnull)
		check_stated_role(&role, &message);
	if (row_changed(row, "task_id"))
		message.task_id = DatumGetUUIDP(task_id.value);

	store_open(true);
	if (!message_replace_at(DatumGetUUIDP(row_old(row, "run_id").value),
							DatumGetInt64(row_old(row, "seq").value),
							DatumGetTimestampTz(row_old(row, "created_at").value),
							&message, function))
		return false;
	show_message(row, &message);
	return true;
}

/* Delete the message; returns false where it has gone meanwhile */
static bool
delete_message(Row *row)
{
	static Statement delete = {
		"DELETE FROM airun.messages AS m WHERE m.run_id" EQ "$1 AND m.seq" EQ "$2 "
		"AND m.created_at" EQ "$3",
		3, {UUIDOID, INT8OID, TIMESTAMPTZOID}
	};
	static const char *const key[] = {"run_id", "seq", "created_at"};
	RunState	run;
	Args		args = {0};

	store_open(true);
	run_lock(DatumGetUUIDP(row_old(row, "run_id").value), &run);
	for (int i = 0; i < lengthof(key); i++)
	{
		Field		field = row_old(row, key[i]);

		arg_field(&args, &field);
	}
	return change_row(&delete, &args) > 0;
}

/*
 * The tuple that an INSTEAD OF trigger returns, made in context, which
 * outlives SPI_finish().
 */
static Datum
view_result(Row *row, MemoryContext context)
{
	MemoryContext old_context = MemoryContextSwitchTo(context);
	Datum		result = row->new != NULL ? row_result(row) : PointerGetDatum(row->old);

	MemoryContextSwitchTo(old_context);
	return result;
}

/*
 * airun_view_message() returns trigger
 *
 * INSTEAD OF INSERT OR UPDATE OR DELETE ON ai_messages.
 */
Datum
airun_view_message(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, NULL, "ai_messages", INSTEAD_OF_ROW,
										ON_INSERT | ON_UPDATE | ON_DELETE);
	MemoryContext context = CurrentMemoryContext;
	Row			row;
	bool		is_done = true;
	Datum		result;

	row_from_trigger(&row, trigger);
	if (row.new == NULL)
		is_done = delete_message(&row);
	else if (row.old == NULL)
		insert_message(&row);
	else
		is_done = replace_message(&row, fcinfo->flinfo->fn_oid);
	result = is_done ? view_result(&row, context) : PointerGetDatum(NULL);
	store_close();
	return result;
}

/* ---------- ai_tasks ---------- */

/* The columns of ai_tasks that a user may state, as airun.tasks has them */
static const TaskColumn *view_columns[Natts_tasks];
static int	view_column_count;

/* They, and behind them what else tells how the view shows a task */
static ColumnList shown_columns = {TABLE_TASKS};
static const char *const shown_besides[] = {
	"updated_at", "request_reference", "text_in_answer"
};
enum
{
	SHOWN_updated_at,
	SHOWN_request_reference,
	SHOWN_text_in_answer
};

#define FIRST_COLUMN_ARG	4	/* behind run_id, task_id and the changes */

StaticAssertDecl(Natts_tasks + TASK_CREATION_COUNT + FIRST_COLUMN_ARG <= STATEMENT_MAX_ARGS,
				 "a statement must have room for all the columns");
StaticAssertDecl(Natts_tasks + 1 <= ROW_MAX_COLUMNS,
				 "a row must have room for them, and is_overdue");
StaticAssertDecl(Natts_tasks + lengthof(shown_besides) <= COLUMN_LIST_MAX,
				 "a list must have room for them, and what else tells");

static void
find_view_columns(void)
{
	view_column_count = 0;
	for (int i = 0; i < Natts_tasks; i++)
	{
		if (!task_columns[i].in_view)
			continue;
		shown_columns.names[view_column_count] = task_columns[i].name;
		view_columns[view_column_count++] = &task_columns[i];
	}
	for (int i = 0; i < lengthof(shown_besides); i++)
		shown_columns.names[view_column_count + i] = shown_besides[i];
}

/* How the view shows a column: some it computes */
static const char *
shown_as(const TaskColumn *column)
{
	switch (column - task_columns + 1)
	{
		case Anum_tasks_request_data:
			return REQUEST_DATA;
		case Anum_tasks_response_text:
			return RESPONSE_TEXT;
		default:
			return psprintf("t.%s", column->name);
	}
}

/*
 * Is it what a client states once, and what an update may compute from what it was?
 * The request, for which other tables are read, is compared by itself.
 */
static bool
is_stated_once(const TaskColumn *column)
{
	int			number = column - task_columns + 1;

	return number <= TASK_CREATION_COUNT && number != Anum_tasks_request_data;
}

/*
 * The statements of the view, their text made from the columns: the first
 * inserts all of them, the second updates those that $3 says have changed, where
 * those that are stated once still are what the view has shown, as the last
 * arguments have it; the third reads them as the view shows them.
 */
static void
make_task_statements(Statement *insert, Statement *update, Statement *read)
{
	StringInfoData names;
	StringInfoData values;
	StringInfoData sets;
	StringInfoData shown;
	StringInfoData same;
	MemoryContext old_context;

	find_view_columns();
	initStringInfo(&names);
	initStringInfo(&values);
	initStringInfo(&sets);
	initStringInfo(&shown);
	initStringInfo(&same);
	insert->nargs = update->nargs = FIRST_COLUMN_ARG - 1 + view_column_count;
	for (int i = 0; i < view_column_count; i++)
	{
		const char *name = view_columns[i]->name;

		appendStringInfo(&names, ", %s", name);
		appendStringInfo(&values, ", $%d", FIRST_COLUMN_ARG + i);
		appendStringInfo(&sets, "%s%s = CASE WHEN $3[%d] THEN $%d ELSE t.%s END",
						 i > 0 ? ", " : "", name, i + 1, FIRST_COLUMN_ARG + i, name);
		appendStringInfo(&shown, ", %s", shown_as(view_columns[i]));
		insert->argtypes[FIRST_COLUMN_ARG - 1 + i] = view_columns[i]->type;
		update->argtypes[FIRST_COLUMN_ARG - 1 + i] = view_columns[i]->type;
		if (!is_stated_once(view_columns[i]))
			continue;
		update->argtypes[update->nargs++] = view_columns[i]->type;
		appendStringInfo(&same, " AND CASE WHEN $3[%d] THEN t.%s" EQ "$%d "
						 "OR (t.%s IS NULL AND $%d IS NULL) ELSE true END",
						 i + 1, name, update->nargs, name, update->nargs);
	}
	insert->argtypes[0] = update->argtypes[0] = UUIDOID;
	insert->argtypes[1] = update->argtypes[1] = UUIDOID;
	insert->argtypes[2] = update->argtypes[2] = BOOLARRAYOID;
	read->argtypes[0] = read->argtypes[1] = UUIDOID;
	read->nargs = 2;

	old_context = MemoryContextSwitchTo(TopMemoryContext);
	update->sql = psprintf("UPDATE airun.tasks AS t SET %s "
						   "WHERE " THIS_TASK "%s", sets.data, same.data);
	insert->sql = psprintf("INSERT INTO airun.tasks AS t (run_id, task_id%s) "
						   "VALUES ($1, $2%s)", names.data, values.data);
	read->sql = psprintf("SELECT t.run_id, t.task_id, "
						 TASK_UPDATED_AT "%s, " EXTSCHEMA ".airun_is_overdue(t.status, "
						 TASK_UPDATED_AT ", t.timeout) FROM airun.tasks AS t WHERE " THIS_TASK,
						 shown.data);
	MemoryContextSwitchTo(old_context);
}

/* Does a new task bring a text that is still to grow? */
static bool
brings_beginning_of_text(Row *row)
{
	Field		status = row_new(row, "status");

	return !row_new(row, "response_text").isnull &&
		(status.isnull || !task_is_final(task_status_word(DatumGetTextPP(status.value))));
}

/* Lock the text of the task that the view has shown; of one that has ended nothing streams */
static void
lock_text(Row *row)
{
	if (!task_is_final(task_status_word(DatumGetTextPP(row_old(row, "status").value))))
		chunk_lock(DatumGetUUIDP(row_old(row, "run_id").value),
				   DatumGetUUIDP(row_old(row, "task_id").value));
}

/*
 * Show in the new row a task that is found without a plan, as it is stored: nothing of
 * it is elsewhere.  Returns false for any other.  The run is locked, and so the caller
 * may see the task.
 */
static bool
show_at_once(Row *row, const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	DirectScan	find;
	Datum		values[COLUMN_LIST_MAX];
	bool		nulls[COLUMN_LIST_MAX];
	const Datum *besides = &values[view_column_count];
	const bool *none = &nulls[view_column_count];
	bool		is_shown = false;

	if (!store_is_granted(TABLE_TASKS, ACL_SELECT) ||
		!direct_scan_begin(&find, TASKS_KEY, AccessShareLock, run_id, task_id, NULL))
		return false;
	if (find.row != NULL && direct_scan_values(&find, &shown_columns, values, nulls) &&
		none[SHOWN_request_reference] && !DatumGetBool(besides[SHOWN_text_in_answer]))
	{
		TimestampTz	updated_at = DatumGetTimestampTz(besides[SHOWN_updated_at]);
		TaskStatus	status;
		Field		timeout;

		for (int i = 0; i < view_column_count; i++)
			row_set(row, view_columns[i]->name, values[i], nulls[i]);
		status = task_status_word(DatumGetTextPP(row_new(row, "status").value));
		timeout = row_new(row, "timeout");
		row_set(row, "updated_at", TimestampTzGetDatum(updated_at), false);
		row_set(row, "is_overdue",
				BoolGetDatum(task_is_overdue(status, updated_at, &timeout)), false);
		is_shown = status != TASK_STREAMING;
	}
	direct_scan_end(&find);
	return is_shown;
}

/* Show in the new row how the task, which has been written, stands now */
static void
show_task(Row *row, Statement *read, const Args *key, Oid function)
{
	pg_uuid_t  *run_id = DatumGetUUIDP(key->values[0]);
	pg_uuid_t  *task_id = DatumGetUUIDP(key->values[1]);
	Args		args = *key;
	bool		isnull;

	row_set(row, "task_id", UUIDPGetDatum(task_id), false);
	if (show_at_once(row, run_id, task_id))
		return;
	statement_in_extension(read, function);
	if (statement_write(read, &args) != 1)
		task_not_found(task_id);
	row_set(row, "run_id", result_value(0, 1, &isnull), false);
	row_set(row, "updated_at", result_value(0, 3, &isnull), false);
	for (int i = 0; i < view_column_count; i++)
	{
		Datum		value = result_value(0, FIRST_COLUMN_ARG + i, &isnull);

		row_set(row, view_columns[i]->name, value, isnull);
	}
	row_set(row, "is_overdue",
			result_value(0, FIRST_COLUMN_ARG + view_column_count, &isnull), false);
}

/* Is the request still what the view has shown? */
static bool
has_same_request(Row *row, const Args *key, Oid function)
{
	static Statement find = {
		"SELECT FROM airun.tasks AS t WHERE " THIS_TASK " AND (" REQUEST_DATA EQ "$3 "
		"OR (t.request_data IS NULL AND $3 IS NULL))",
		3, {UUIDOID, UUIDOID, JSONBOID}
	};
	Field		request_data = row_old(row, "request_data");
	Args		args = *key;

	arg_field(&args, &request_data);
	statement_in_extension(&find, function);
	return statement_write(&find, &args) == 1;
}

/*
 * The update has found no task that still is what the view has shown.  PT404 where
 * there is none that may be changed, and 40001 where another transaction has changed
 * it.  Returns where this one has: of a row that a statement comes to twice only the
 * first change is made, as in a table.
 */
static void
check_not_updated(const Args *key)
{
	static Statement find = {
		"SELECT t.xmin FROM airun.tasks AS t WHERE " THIS_TASK " FOR NO KEY UPDATE OF t",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = *key;
	pg_uuid_t  *task_id = DatumGetUUIDP(key->values[1]);
	bool		isnull;

	if (statement_write(&find, &args) != 1)
		task_not_found(task_id);
	if (TransactionIdIsCurrentTransactionId(
			DatumGetTransactionId(result_value(0, 1, &isnull))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("What the statement changes of task \"%s\" has changed since it began.",
					   uuid_string(task_id)),
			 errhint("Run the transaction again.")));
}

/*
 * Insert or update the task, and show in the new row how it stands now.  Returns
 * false where this statement has changed it before.
 */
static bool
write_task(Row *row, Oid function)
{
	static Statement insert;
	static Statement update;
	static Statement read;
	bool		inserts = row->old == NULL;
	Field		run_id = row_new(row, "run_id");
	Field		task_id = row_new(row, "task_id");
	Datum		changed[Natts_tasks];
	RunState	state;
	Args		args = {0};
	Args		key = {0};
	uint64		changed_rows;

	if (insert.sql == NULL)
		make_task_statements(&insert, &update, &read);

	if (run_id.isnull)
		refuse_missing("ai_tasks", "run_id");
	if (inserts)
	{
		refuse_derived_unless_null(row, "ai_tasks", "updated_at");
		refuse_derived_unless_null(row, "ai_tasks", "is_overdue");
	}
	else
	{
		if (row_changed(row, "run_id"))
			refuse_derived("ai_tasks", "run_id");
		if (row_changed(row, "task_id"))
			refuse_derived("ai_tasks", "task_id");
		if (row_changed(row, "updated_at"))
			refuse_derived("ai_tasks", "updated_at");
		if (row_changed(row, "is_overdue"))
			refuse_derived("ai_tasks", "is_overdue");
	}

	store_open(true);
	if (inserts)
		run_lock(DatumGetUUIDP(run_id.value), &state);
	else
	{
		/* It may have been deleted since the view has shown it: the task may end, yet */
		if (!run_try_lock(DatumGetUUIDP(run_id.value), &state) &&
			!run_try_lock_deleted(DatumGetUUIDP(run_id.value), &state))
			run_not_found(DatumGetUUIDP(run_id.value));
		lock_text(row);
	}
	arg_field(&args, &run_id);
	if (inserts && task_id.isnull)
	{
		pg_uuid_t  *id = palloc_object(pg_uuid_t);

		uuid_generate_within(id, DatumGetUUIDP(run_id.value));
		arg_uuid(&args, id);
	}
	else
		arg_field(&args, &task_id);
	for (int i = 0; i < view_column_count; i++)
		changed[i] = BoolGetDatum(inserts || row_changed(row, view_columns[i]->name));
	arg_pointer(&args, construct_array(changed, view_column_count, BOOLOID,
									   1, true, TYPALIGN_CHAR));
	for (int i = 0; i < view_column_count; i++)
	{
		Field		field = row_new(row, view_columns[i]->name);

		arg_field(&args, &field);
	}
	for (int i = 0; !inserts && i < view_column_count; i++)
	{
		Field		field;

		if (!is_stated_once(view_columns[i]))
			continue;
		field = row_old(row, view_columns[i]->name);
		arg_field(&args, &field);
	}
	arg_add(&key, args.values[0], false);
	arg_add(&key, args.values[1], false);
	if (!inserts && row_changed(row, "request_data") && !has_same_request(row, &key, function))
		changed_rows = 0;
	else if (inserts && brings_beginning_of_text(row))
		changed_rows = statement_write(&insert, &args); /* moves the text, which we show */
	else
		changed_rows = change_row(inserts ? &insert : &update, &args);
	if (changed_rows != 1 && inserts)
		task_not_found(DatumGetUUIDP(args.values[1]));
	if (changed_rows != 1)
	{
		check_not_updated(&key);
		return false;
	}
	show_task(row, &read, &key, function);
	return true;
}

/* Delete the task; returns false where somebody has meanwhile */
static bool
delete_task(Row *row)
{
	static Statement delete = {
		"DELETE FROM airun.tasks AS t WHERE t.run_id" EQ "$1 AND t.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	pg_uuid_t  *run_id = DatumGetUUIDP(row_old(row, "run_id").value);
	RunState	state;
	Args		args = {0};

	store_open(true);
	run_lock(run_id, &state);
	lock_text(row);
	arg_uuid(&args, run_id);
	arg_uuid(&args, DatumGetUUIDP(row_old(row, "task_id").value));
	return change_row(&delete, &args) > 0;
}

/*
 * airun_view_task() returns trigger
 *
 * INSTEAD OF INSERT OR UPDATE OR DELETE ON ai_tasks.
 */
Datum
airun_view_task(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, NULL, "ai_tasks", INSTEAD_OF_ROW,
										ON_INSERT | ON_UPDATE | ON_DELETE);
	MemoryContext context = CurrentMemoryContext;
	Row			row;
	bool		is_done;
	Datum		result;

	row_from_trigger(&row, trigger);
	is_done = row.new != NULL ? write_task(&row, fcinfo->flinfo->fn_oid) : delete_task(&row);
	result = is_done ? view_result(&row, context) : PointerGetDatum(NULL);
	store_close();
	return result;
}

/*
 * guard.c
 *		The second wall: row triggers of the store.
 *
 * The functions do not need them.  They hold the same rules for every other
 * way in: a view, psql, an ORM, a site's own trigger.  A row of one of our
 * own statements passes at once.  Any other row is completed where the server
 * fills a column (an explicit NULL counts as absent), and refused where it
 * would set a column that airun keeps, change a message, or go a way that a
 * status does not allow.  A task that has ended takes what it lacks, and one that
 * has expired the end by who works on it, as from the functions (task_end.c).  What
 * the rows add to their run, totals.c adds.
 *
 * Locks: an insert of a message, or of a task with a request or while there are
 * budgets, locks its run, and then counters of these, before the next row's run:
 * into several runs at once it may meet a deadlock (doc/reliability.md says so).  Any
 * other insert or update of a task holds its run against removal, once for rows of
 * one run that come together, and locks its text where that moves.  A direct UPDATE
 * of a task locks the task first, then its text, and its run at last, in totals.c:
 * against the functions it may meet a deadlock, which the views, that lock the run
 * first, do not.
 *
 * Errors: PT401, PT402, PT404, PT409 and PT422 as the functions have them.
 */
#include "airun.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "guard/ended_task.h"
#include "guard/holds.h"
#include "guard/task_figures.h"
#include "miscadmin.h"
#include "run/message.h"
#include "run/run.h"
#include "store/identity.h"
#include "store/row_trigger.h"
#include "store/store.h"
#include "task/chunk.h"
#include "task/request_compact.h"
#include "task/task.h"
#include "task/task_end.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(airun_guard_run);
PG_FUNCTION_INFO_V1(airun_guard_message);
PG_FUNCTION_INFO_V1(airun_guard_task);

#define BEFORE_ROW	(TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE)

static bool
same_datum_int64(const Field *field, int64 value)
{
	return !field->isnull && DatumGetInt64(field->value) == value;
}

/* Put in what stands in the old row, or else value, where the new row has NULL */
static void
fill(Row *row, const char *column, Datum value)
{
	Field		field = row_new(row, column);

	if (!field.isnull)
		return;
	if (row->old != NULL)
		field = row_old(row, column);
	if (field.isnull)
		row_set(row, column, value, false);
	else
		row_set(row, column, field.value, false);
}

/* Put the documents that JSON strings hold in place of these */
static void
unwrap(Row *row, const char *const *columns, int count)
{
	for (int i = 0; i < count; i++)
	{
		Field		field = row_new(row, columns[i]);

		if (unwrap_json(&field))
			row_set(row, columns[i], field.value, false);
	}
}

static Datum
empty_object(void)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
}

/* PT422 for a time that is no time */
static void
refuse_infinite(const char *table, const char *column, const Field *time)
{
	if (!time->isnull && TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(time->value)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("column \"%s\" of %s must be finite", column, table),
				 errhint("Leave it out to have the server's time.")));
}

/*
 * created_at: a role that row security binds gets the server's time.  Others
 * may bring in what happened before, and so may a statement of ours (is_past).
 */
static TimestampTz
fill_created_at(Row *row, const char *table, TimestampTz now, bool is_past)
{
	Field		created_at = row_new(row, "created_at");

	if (!created_at.isnull &&
		DatumGetTimestampTz(created_at.value) != GetCurrentTransactionStartTimestamp())
	{
		if (!is_past && store_binds_caller())
			refuse_derived(table, "created_at");
		refuse_infinite(table, "created_at", &created_at);
		return DatumGetTimestampTz(created_at.value);
	}
	row_set(row, "created_at", TimestampTzGetDatum(now), false);
	return now;
}

/* The same for updated_at of a task */
static void
fill_updated_at(Row *row, TimestampTz now)
{
	Field		updated_at = row_new(row, "updated_at");

	if (updated_at.isnull ||
		DatumGetTimestampTz(updated_at.value) == GetCurrentTransactionStartTimestamp())
	{
		row_set(row, "updated_at", TimestampTzGetDatum(now), false);
		return;
	}
	if (store_binds_caller())
		refuse_derived("ai_tasks", "updated_at");
	refuse_infinite("ai_tasks", "updated_at", &updated_at);
}

/* ---------- runs ---------- */

static void
check_run_fields(Row *row)
{
	RunFields	fields = {
		.source_type = row_new(row, "source_type"),
		.name = row_new(row, "name"),
		.description = row_new(row, "description"),
		.settings = row_new(row, "settings"),
		.variable_values = row_new(row, "variable_values"),
		.tags = row_new(row, "tags"),
		.metadata = row_new(row, "metadata"),
	};

	run_check_fields(&fields);
	if (run_shown_name(&fields.name).isnull)
		row_set(row, "name", (Datum) 0, true);
}

static void
fill_run(Row *row)
{
	static const char *const json[] = {"metadata", "settings", "variable_values"};

	unwrap(row, json, lengthof(json));
	fill(row, "source_type", CStringGetTextDatum("chat"));
	fill(row, "tags", PointerGetDatum(construct_empty_array(TEXTOID)));
	fill(row, "metadata", empty_object());
	fill(row, "settings", empty_object());
	fill(row, "variable_values", empty_object());
	fill(row, "is_starred", BoolGetDatum(false));
	fill(row, "is_archived", BoolGetDatum(false));
	fill(row, "is_listed", BoolGetDatum(true));
	fill(row, "status", CStringGetTextDatum("active"));
	row_set(row, "status",
			CStringGetTextDatum(run_status_word(DatumGetTextPP(row_new(row, "status").value))),
			false);
	check_run_fields(row);
}

/* Where a run branches off: a role that row security binds forks by airun_fork_run() */
static void
check_origin(Row *row)
{
	Field		forked_from = row_new(row, "forked_from");
	Field		seq = row_new(row, "forked_at_seq");

	if (forked_from.isnull && seq.isnull)
		return;
	if (store_binds_caller())
		refuse_derived("ai_runs", forked_from.isnull ? "forked_at_seq" : "forked_from");
	if (forked_from.isnull || seq.isnull || DatumGetInt64(seq.value) < 0 ||
		uuid_equal(DatumGetUUIDP(forked_from.value), DatumGetUUIDP(row_new(row, "id").value)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"forked_from\" and \"forked_at_seq\" do not say where the run "
						"branches off"),
				 errdetail("One of them is missing, the seq is negative, or the run is its own "
						   "origin."),
				 errhint("Give both, or neither; airun_fork_run() forks a run.")));
}

static void
guard_run_insert(Row *row)
{
	static const char *const counters[] = {"message_count", "task_count", "total_tokens"};
	static const char *const times[] = {"last_message_at", "updated_at"};
	TimestampTz start = GetCurrentTransactionStartTimestamp();
	TimestampTz created_at;
	Field		field;
	pg_uuid_t  *id = palloc_object(pg_uuid_t);
	pg_uuid_t  *caller = palloc_object(pg_uuid_t);

	if (caller_id(caller) && row_new(row, "user_id").isnull)
		row_set(row, "user_id", UUIDPGetDatum(caller), false);
	field = row_new(row, "user_id");
	uuid_generate_for(id, field.isnull ? NULL : DatumGetUUIDP(field.value));
	fill(row, "id", UUIDPGetDatum(id));
	fill_run(row);
	check_origin(row);

	for (int i = 0; i < lengthof(counters); i++)
	{
		fill(row, counters[i], Int64GetDatum(0));
		field = row_new(row, counters[i]);
		if (!same_datum_int64(&field, 0))
			refuse_derived("ai_runs", counters[i]);
	}
	fill(row, "total_cost", NumericGetDatum(int64_to_numeric(0)));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, row_new(row, "total_cost").value,
										  NumericGetDatum(int64_to_numeric(0)))))
		refuse_derived("ai_runs", "total_cost");

	created_at = fill_created_at(row, "ai_runs", GetCurrentTimestamp(), false);
	for (int i = 0; i < lengthof(times); i++)
	{
		field = row_new(row, times[i]);
		if (!field.isnull && !same_datum_int64(&field, start) &&
			!same_datum_int64(&field, created_at))
			refuse_derived("ai_runs", times[i]);
		row_set(row, times[i], TimestampTzGetDatum(created_at), false);
	}
	field = row_new(row, "active_hour");
	if (!field.isnull && !same_datum_int64(&field, hour_of(start)) &&
		!same_datum_int64(&field, hour_of(created_at)))
		refuse_derived("ai_runs", "active_hour");
	row_set(row, "active_hour", TimestampTzGetDatum(hour_of(created_at)), false);
	if (!row_new(row, "stripped_at").isnull)
		refuse_derived("airun.runs", "stripped_at");
}

static void
guard_run_update(Row *row)
{
	static const char *const kept[] = {
		"id", "created_at", "updated_at", "message_count", "task_count", "total_tokens",
		"total_cost", "last_message_at", "active_hour", "forked_from", "forked_at_seq",
		"stripped_at"
	};
	Field		old_status = row_old(row, "status");
	Field		new_status;
	TimestampTz now = GetCurrentTimestamp();
	Field		updated_at = row_old(row, "updated_at");

	for (int i = 0; i < lengthof(kept); i++)
	{
		Field		old = row_old(row, kept[i]);

		if (row_new(row, kept[i]).isnull)
			row_set(row, kept[i], old.value, old.isnull);
		if (row_changed(row, kept[i]))
			refuse_derived("ai_runs", kept[i]);
	}
	fill_run(row);
	if (row_changed(row, "deleted_at") && !row_new(row, "deleted_at").isnull)
	{
		Field		deleted_at = row_new(row, "deleted_at");

		/* When it is deleted decides when it may be purged */
		refuse_infinite("airun.runs", "deleted_at", &deleted_at);
		if (store_binds_caller())
			row_set(row, "deleted_at", TimestampTzGetDatum(now), false);
	}
	new_status = row_new(row, "status");
	run_check_transition(DatumGetUUIDP(row_old(row, "id").value),
						 TextDatumGetCString(old_status.value),
						 TextDatumGetCString(new_status.value));
	row_set(row, "updated_at",
			TimestampTzGetDatum(Max(now, DatumGetTimestampTz(updated_at.value))), false);
}

/* The server has chosen the partition by the id before it asks the guard to fill it */
static void
refuse_missing_id(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("column \"id\" of ai_runs must not be null"),
			 errdetail("The store is partitioned by it."),
			 errhint("Leave it out to have one made, or use airun_create_run().")));
}

/*
 * airun_guard_run() returns trigger
 *
 * BEFORE INSERT OR UPDATE.
 */
Datum
airun_guard_run(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "airun", "runs", BEFORE_ROW,
										ON_INSERT | ON_UPDATE);
	Row			row;
	Field		id;

	row_from_trigger(&row, trigger);
	id = row_new(&row, "id");
	if (!id.isnull &&
		internal_write_row(DatumGetUUIDP(id.value), (InternalRow) {.kind = INTERNAL_RUN}))
		return PointerGetDatum(row.new);

	store_require_caller();
	if (row.old == NULL && id.isnull && trigger->tg_relation->rd_rel->relispartition)
		refuse_missing_id();
	if (row.old == NULL)
		guard_run_insert(&row);
	else
		guard_run_update(&row);
	return row_result(&row);
}

/* ---------- messages ---------- */

static void
guard_message_insert(Row *row)
{
	Field		run_id = row_new(row, "run_id");
	Field		message = row_new(row, "message");
	Field		seq = row_new(row, "seq");
	Field		message_id = row_new(row, "message_id");
	Field		task_id = row_new(row, "task_id");
	Field		created_at = row_new(row, "created_at");
	pg_uuid_t  *run;
	NewMessage	new;
	RunState	state;
	TimestampTz now;
	int64		next;

	if (run_id.isnull)
		refuse_missing("ai_messages", "run_id");
	if (message.isnull)
		refuse_missing("ai_messages", "message");
	if (!created_at.isnull &&
		!same_datum_int64(&created_at, GetCurrentTransactionStartTimestamp()))
		refuse_derived("ai_messages", "created_at");
	message_new(&new, DatumGetJsonbP(message.value),
				message_id.isnull ? NULL : DatumGetTextPP(message_id.value));

	run = DatumGetUUIDP(run_id.value);
	store_open(true);
	run_lock(run, &state);
	if (state.is_completed)
		run_refuse_completed(run);
	if (!task_id.isnull)
		(void) message_require_task(run, DatumGetUUIDP(task_id.value));

	/*
	 * Behind the rows that this statement has inserted, and the places that a
	 * function further out has taken.
	 */
	next = Max(run_last_seq(run), state.message_count) + 1;
	store_close();

	if (!seq.isnull && DatumGetInt64(seq.value) != next)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("message is out of sequence"),
				 errdetail("The next seq of run \"%s\" is " INT64_FORMAT ", not " INT64_FORMAT ".",
						   uuid_string(run), next, DatumGetInt64(seq.value)),
				 errhint("Leave \"seq\" out to append.")));

	now = Max(GetCurrentTimestamp(), state.last_message_at);
	row_set(row, "seq", Int64GetDatum(next), false);
	row_set(row, "created_at", TimestampTzGetDatum(now), false);
	row_set(row, "message_id", PointerGetDatum(new.message_id), new.message_id == NULL);
	row_set(row, "message", JsonbPGetDatum(message_complete(new.message, now)), false);
}

/*
 * airun_guard_message() returns trigger
 *
 * BEFORE INSERT OR UPDATE.
 */
Datum
airun_guard_message(PG_FUNCTION_ARGS)
{
	static const char *const columns[] = {
		"run_id", "seq", "created_at", "task_id", "message_id", "message"
	};
	TriggerData *trigger = trigger_data(fcinfo, "airun", "messages", BEFORE_ROW,
										ON_INSERT | ON_UPDATE);
	Row			row;
	Field		run_id;
	Field		seq;

	row_from_trigger(&row, trigger);
	run_id = row_new(&row, "run_id");
	seq = row_new(&row, "seq");
	if (!run_id.isnull &&
		internal_write_row(DatumGetUUIDP(run_id.value),
					  (InternalRow) {
						  .kind = INTERNAL_MESSAGE,
						  .seq = seq.isnull ? 0 : DatumGetInt64(seq.value)
					  }))
		return PointerGetDatum(row.new);

	store_require_caller();
	if (row.old == NULL)
	{
		guard_message_insert(&row);
		return row_result(&row);
	}
	for (int i = 0; i < lengthof(columns); i++)
	{
		if (row_changed(&row, columns[i]))
			message_refuse_change(columns[i]);
	}
	return PointerGetDatum(row.new);
}

/* ---------- tasks ---------- */

#define FIELD_OF_ROW(name, ...)	fields.name = row_new(row, #name);

static void
unwrap_task(Row *row)
{
	static const char *const json[] = {
		"request_data", "response_data", "error", "metadata", "usage"
	};

	unwrap(row, json, lengthof(json));
}

static void
check_task_fields(Row *row)
{
	TaskFields	fields;

	TASK_CREATION_LIST(FIELD_OF_ROW)
	task_check_fields(&fields);
}

/*
 * Keep the text of a task that is updated where it belongs: of a finished one
 * in its row, of any other in chunks, as the functions do.  Chunks of a task
 * that has ended stay until the row has been written, in totals.c.  Returns
 * whether the text came late.
 */
static bool
keep_text(Row *row, TaskStatus *status)
{
	pg_uuid_t  *run_id = DatumGetUUIDP(row_old(row, "run_id").value);
	pg_uuid_t  *task_id = DatumGetUUIDP(row_old(row, "task_id").value);
	Field		stated = row_new(row, "response_text");
	text	   *whole = stated.isnull ? NULL : DatumGetTextPP(stated.value);
	bool		is_late = false;
	Stream		stream;

	if (whole == NULL && !task_is_final(*status))
		return false;
	if (task_is_final(*status) &&
		task_status_word(DatumGetTextPP(row_old(row, "status").value)) == TASK_PENDING)
	{
		/* The row is locked, and so nothing can have begun to stream meanwhile */
		row_set(row, "response_length",
				Int64GetDatum(whole != NULL ? text_chars(whole) : 0), false);
		return false;
	}
	store_open(true);
	chunk_lock(run_id, task_id);
	chunk_find(run_id, task_id, &stream);
	if (!task_is_final(*status))
	{
		if (chunk_put(run_id, task_id, &stream, whole))
			task_notify(run_id, task_id, TASK_STREAMING, stream.chars, stream.generation);
		else
			is_late = VARSIZE_ANY_EXHDR(whole) < stream.bytes;
		*status = TASK_STREAMING;
		row_set(row, "response_text", (Datum) 0, true);
	}
	else
	{
		if (whole != NULL && !chunk_is_beginning_of(&stream, whole))
			stream.generation++;
		if (whole == NULL && stream.chars > 0)
		{
			whole = chunk_text(run_id, task_id);
			row_set(row, "response_text",
					SPI_datumTransfer(PointerGetDatum(whole), false, -1), false);
		}
		row_set(row, "generation", Int32GetDatum(stream.generation), false);
		row_set(row, "response_length",
				Int64GetDatum(whole != NULL ? text_chars(whole) : 0), false);
	}
	store_close();

	/* Not before: what is made between the two is gone with SPI's memory */
	row_set(row, "status", CStringGetTextDatum(task_status_name(*status)), false);
	return is_late;
}

/* Leave out of a request what its run, which is locked by now, has already */
static void
compact_request(Row *row, const RunState *run)
{
	Field		request_data = row_new(row, "request_data");
	Field		reference = {(Datum) 0, true};

	if (!request_compact(DatumGetUUIDP(row_new(row, "run_id").value), run->message_count,
						 &request_data, &reference))
		return;
	row_set(row, "request_data", SPI_datumTransfer(request_data.value, false, -1), false);
	row_set(row, "request_reference", SPI_datumTransfer(reference.value, false, -1), false);
}

/* The columns of a new task that begin with 0, and that airun alone moves on */
static void
fill_zeros(Row *row)
{
	for (int i = 0; i < Natts_tasks; i++)
	{
		const char *name = task_columns[i].name;

		if (task_columns[i].rule != COLUMN_ZERO)
			continue;
		fill(row, name, (Datum) 0);
		if (row_new(row, name).value != (Datum) 0)
			refuse_derived("ai_tasks", name);
	}
}

/* A run that a statement holds already, and for whom */
typedef struct HeldRun
{
	pg_uuid_t	run_id;
	pg_uuid_t	caller;
	Oid			role;
} HeldRun;

/*
 * Hold the run of a new task against removal.  Rows of one run mostly come
 * together: the last one of the statement is not asked for again.
 */
static void
hold_run_once(FmgrInfo *flinfo, const pg_uuid_t *run_id, const pg_uuid_t *caller)
{
	HeldRun    *last = flinfo->fn_extra;
	HeldRun		held = {*run_id, caller != NULL ? *caller : (pg_uuid_t) {{0}}, GetUserId()};

	if (last == NULL)
		flinfo->fn_extra = last = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(HeldRun));
	else if (memcmp(last, &held, sizeof(held)) == 0)
		return;
	if (!run_hold(run_id))
		run_not_found(run_id);
	*last = held;
}

static void
guard_task_insert(Row *row, FmgrInfo *flinfo, const pg_uuid_t *caller)
{
	TimestampTz now = GetCurrentTimestamp();
	Field		run_id = row_new(row, "run_id");
	Field		user_id = row_new(row, "user_id");
	Field		field;
	RunState	run;
	TaskStatus	status;
	bool		is_past;
	bool		is_now;
	bool		is_new = row_new(row, "task_id").isnull;
	Field		request_data;

	if (run_id.isnull)
		refuse_missing("ai_tasks", "run_id");
	if (is_new)
	{
		pg_uuid_t  *task_id = palloc_object(pg_uuid_t);

		uuid_generate_within(task_id, DatumGetUUIDP(run_id.value));
		row_set(row, "task_id", UUIDPGetDatum(task_id), false);
	}
	for (int i = 0; i < Natts_tasks; i++)
	{
		if (task_columns[i].rule == COLUMN_KEPT && !row_new(row, task_columns[i].name).isnull)
			refuse_derived("ai_tasks", task_columns[i].name);
	}
	unwrap_task(row);
	request_data = row_new(row, "request_data");

	store_open(true);
	if (!request_data.isnull || budget_is_any())
	{
		run_lock(DatumGetUUIDP(run_id.value), &run);
		if (!request_data.isnull)
			compact_request(row, &run);
	}
	else
		hold_run_once(flinfo, DatumGetUUIDP(run_id.value), caller);
	if (!is_new)
		(void) task_is_in_run(DatumGetUUIDP(run_id.value),
							  DatumGetUUIDP(row_new(row, "task_id").value));
	store_close();

	if (user_id.isnull)
		row_set(row, "user_id", UUIDPGetDatum(caller), caller == NULL);
	else if (store_binds_caller() && !uuid_equal(DatumGetUUIDP(user_id.value), caller))
		refuse_derived("ai_tasks", "user_id");
	fill_zeros(row);

	is_past = internal_write_past(DatumGetUUIDP(run_id.value));
	is_now = fill_created_at(row, "ai_tasks", now, is_past) == now && !is_past;
	fill_updated_at(row, now);
	fill(row, "metadata", empty_object());
	fill(row, "status", CStringGetTextDatum("pending"));
	status = task_status_word(DatumGetTextPP(row_new(row, "status").value));
	row_set(row, "status", CStringGetTextDatum(task_status_name(status)), false);
	check_task_fields(row);
	task_figures_check(row, status);
	field = row_new(row, "response_text");
	if (task_is_final(status) && !field.isnull)
		row_set(row, "response_length",
				Int64GetDatum(text_chars(DatumGetTextPP(field.value))), false);

	field = row_new(row, "completed_at");
	if (!task_is_final(status))
	{
		if (!field.isnull)
			refuse_derived("ai_tasks", "completed_at");
	}
	else if (field.isnull || (!is_past && store_binds_caller()))
		row_set(row, "completed_at", TimestampTzGetDatum(now), false);
	else
		refuse_infinite("ai_tasks", "completed_at", &field);
	if (is_now)
		guard_hold(row, &request_data, task_is_final(status));
}

/* The times of a task that comes to its end, or begins to stream, by an UPDATE */
static void
set_task_times(Row *row, TaskStatus from, TaskStatus to, TimestampTz now)
{
	Datum		elapsed = NumericGetDatum(
		task_elapsed(DatumGetTimestampTz(row_old(row, "created_at").value), now));

	if (task_is_final(to) && !task_is_final(from))
	{
		row_set(row, "completed_at", TimestampTzGetDatum(now), false);
		fill(row, "total_time", elapsed);
		if (to == TASK_COMPLETED)
			fill(row, "time_to_first_token", row_new(row, "total_time").value);
		return;
	}
	if (to == TASK_STREAMING && from == TASK_PENDING)
		fill(row, "time_to_first_token", elapsed);
	if (row_changed(row, "completed_at"))
		refuse_derived("ai_tasks", "completed_at");
}

/* Refuse a change of a column that nobody may change */
static void
refuse_kept(Row *row)
{
	for (int i = 0; i < Natts_tasks; i++)
	{
		TaskColumnRule rule = task_columns[i].rule;

		if ((rule == COLUMN_FIXED || rule == COLUMN_KEPT || rule == COLUMN_ZERO) &&
			row_changed(row, task_columns[i].name))
			refuse_derived("ai_tasks", task_columns[i].name);
	}
}

static void
set_updated_at(Row *row, TimestampTz now)
{
	row_set(row, "updated_at",
			TimestampTzGetDatum(Max(now, DatumGetTimestampTz(row_old(row, "updated_at").value))),
			false);
}

/* A task that has ended, and keeps its end, is updated */
static void
guard_ended_task(Row *row, TaskStatus status, TimestampTz now)
{
	bool		brings_usage;
	bool		lacks;

	unwrap_task(row);
	lacks = ended_task_lacks(row, status, &brings_usage);
	if (lacks)
		task_figures_take(row, status, brings_usage);

	/* What the application keeps with it, such as what its user thinks of it */
	if (row_changed(row, "metadata"))
		check_task_fields(row);
	else if (!lacks)
		return;
	set_updated_at(row, now);
}

static void
guard_task_update(Row *row)
{
	pg_uuid_t  *run_id = DatumGetUUIDP(row_old(row, "run_id").value);
	pg_uuid_t  *task_id = DatumGetUUIDP(row_old(row, "task_id").value);
	TimestampTz now = GetCurrentTimestamp();
	bool		run_is_there;
	bool		has_expired;
	TaskStatus	from = task_status_word(DatumGetTextPP(row_old(row, "status").value));
	TaskStatus	to;

	store_open(true);
	/* What has begun in a run that is deleted goes on to its end */
	run_is_there = run_hold_deleted(run_id);
	store_close();
	if (!run_is_there)
		run_not_found(run_id);
	refuse_kept(row);
	fill(row, "status", (Datum) 0);
	fill(row, "metadata", (Datum) 0);
	to = task_status_word(DatumGetTextPP(row_new(row, "status").value));
	has_expired = expired_task_ends(row, from, to);
	if (task_is_final(from) && !has_expired && ended_task_is_late_save(row))
		ended_task_drop_save(row, from, &to);
	if (!has_expired)
		task_check_transition(task_id, from, to);
	row_set(row, "status", CStringGetTextDatum(task_status_name(to)), false);

	if (task_is_final(from) && !has_expired)
	{
		guard_ended_task(row, from, now);
		return;
	}

	unwrap_task(row);
	if (has_expired)
		expired_task_end(row, now);
	if (row_changed(row, "request_data"))
		row_set(row, "request_reference", (Datum) 0, true);
	check_task_fields(row);
	task_figures_check(row, to);

	/* A text that is the beginning of what is stored is a late save */
	if (!has_expired && keep_text(row, &to))
	{
		Field		old_data = row_old(row, "response_data");

		row_set(row, "response_data", old_data.value, old_data.isnull);
	}
	set_task_times(row, has_expired ? TASK_STREAMING : from, to, now);
	set_updated_at(row, now);
	if (task_is_final(to))
		task_notify(run_id, task_id, to, DatumGetInt64(row_new(row, "response_length").value),
					DatumGetInt32(row_new(row, "generation").value));
}

/*
 * airun_guard_task() returns trigger
 *
 * BEFORE INSERT OR UPDATE.
 */
Datum
airun_guard_task(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "airun", "tasks", BEFORE_ROW,
										ON_INSERT | ON_UPDATE);
	Row			row;
	Field		run_id;
	Field		task_id;
	pg_uuid_t	caller;

	row_from_trigger(&row, trigger);
	run_id = row_new(&row, "run_id");
	task_id = row_new(&row, "task_id");
	if (!run_id.isnull && !task_id.isnull &&
		internal_write_row(DatumGetUUIDP(run_id.value),
					  (InternalRow) {
						  .kind = INTERNAL_TASK,
						  .task_id = *DatumGetUUIDP(task_id.value)
					  }))
		return PointerGetDatum(row.new);

	store_require_caller();
	if (row.old == NULL)
		guard_task_insert(&row, fcinfo->flinfo, caller_id(&caller) ? &caller : NULL);
	else
		guard_task_update(&row);
	return row_result(&row);
}

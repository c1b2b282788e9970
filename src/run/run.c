/*
 * run.c
 *		A run: the lock and the counter of everything that belongs to it.
 *
 * The row of a run is what serialises it: whoever appends a message, creates
 * or ends a task updates that row first, and takes the message's seq from
 * what the update returns.  Appends to one run thus follow one another
 * without a gap, and appends to different runs never meet.
 *
 * Locks: the run's row (FOR NO KEY UPDATE, by the updates themselves or by
 * run_lock()), always before a task's row.  Readers take none.
 *
 * Errors: PT404 when the caller cannot see the run, cannot change it, or when
 * it is deleted: one and the same message.  PT409 for what the run's status
 * does not allow, PT422 for values, PT401 when nobody is calling.
 */
#include "run/run.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "run/run_name.h"
#include "shard/shard_call.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(airun_create_run);

/* The longest that these may be, in characters: a list shows them all */
#define MAX_SOURCE_TYPE		100
#define MAX_RUN_NAME		500
#define MAX_DESCRIPTION		10000
#define MAX_TAG				100
#define MAX_TAGS			100

/* ---------- refusals ---------- */

/* No such run, or none that the caller may use this way: one text for all */
void
run_not_found(const pg_uuid_t *run_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_NOT_FOUND),
			 errmsg("run \"%s\" does not exist", uuid_string(run_id)),
			 errdetail("There is no such run, it is deleted, or it is not yours to use this way."),
			 errhint("airun_list_runs() lists your runs, airun_create_run() creates one.")));
}

/* No such task, or none that the caller may use this way */
void
task_not_found(const pg_uuid_t *task_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_NOT_FOUND),
			 errmsg("task \"%s\" does not exist", uuid_string(task_id)),
			 errdetail("There is no such task, its run is deleted, or it is not yours to "
					   "use this way."),
			 errhint("airun_get_run(run_id) shows a run's tasks, airun_create_task(run_id) "
					 "creates one.")));
}

/* A completed run takes no new message and no new task */
void
run_refuse_completed(const pg_uuid_t *run_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("run \"%s\" is completed", uuid_string(run_id)),
			 errdetail("A completed run takes no new message and no new task."),
			 errhint("Call airun_set_run_status(run_id, 'active') to reopen it.")));
}

/* One text, whoever holds the id */
void
run_refuse_taken(const pg_uuid_t *run_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("run id \"%s\" is taken", uuid_string(run_id)),
			 errdetail("There is a run with this id, deleted, of somebody else, or made in "
					   "another way."),
			 errhint("Choose another id, or leave it out.")));
}

/* The id in an argument that must be there */
pg_uuid_t *
run_id_argument(FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		refuse_null("run_id");
	return PG_GETARG_UUID_P(argument);
}

/* ---------- values ---------- */

/* The status that a word means, or PT422 */
const char *
run_status_word(text *status)
{
	char	   *word = text_to_cstring(status);

	if (strcmp(word, "active") == 0)
		return "active";
	if (strcmp(word, "completed") == 0)
		return "completed";
	if (strcmp(word, "error") == 0 || strcmp(word, "failed") == 0)
		return "error";
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" is not a status of a run", excerpt(word, strlen(word))),
			 errhint("A run is active, completed or error.")));
}

/*
 * A user may set any status but one: a completed run does not fail, it has to
 * be reopened first.
 */
void
run_check_transition(const pg_uuid_t *run_id, const char *from, const char *to)
{
	if (strcmp(from, "completed") == 0 && strcmp(to, "error") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("run \"%s\" is completed and cannot become error",
						uuid_string(run_id)),
				 errdetail("A completed run does not fail."),
				 errhint("Call airun_set_run_status(run_id, 'active') to reopen it.")));
}

static void
check_tags(const Field *field)
{
	ArrayType  *array;
	Datum	   *tags;
	bool	   *nulls;
	int			count;

	if (field->isnull)
		return;
	array = DatumGetArrayTypeP(field->value);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"tags\" must be a list of strings"),
				 errdetail("Found an array of %d dimensions.", ARR_NDIM(array)),
				 errhint("Send an array of one dimension.")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &tags, &nulls, &count);
	if (count > MAX_TAGS)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("too many tags"),
				 errdetail("There are %d; at most %d are allowed.", count, MAX_TAGS),
				 errhint("Keep what is no tag in \"metadata\".")));
	for (int i = 0; i < count; i++)
	{
		Field		tag = {tags[i], nulls[i]};

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("a tag must not be null"),
					 errhint("Leave it out of the array.")));
		check_length("tags", &tag, MAX_TAG);
	}
}

/* PT422 unless all that is stated about a run is acceptable */
void
run_check_fields(const RunFields *fields)
{
	check_length("source_type", &fields->source_type, MAX_SOURCE_TYPE);
	if (!fields->source_type.isnull &&
		VARSIZE_ANY_EXHDR(DatumGetTextPP(fields->source_type.value)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"source_type\" must not be empty"),
				 errhint("Say where the run comes from: prompt, chat, action, ...")));
	check_length("name", &fields->name, MAX_RUN_NAME);
	check_length("description", &fields->description, MAX_DESCRIPTION);
	check_object("settings", &fields->settings);
	check_object("variable_values", &fields->variable_values);
	check_object("metadata", &fields->metadata);
	check_tags(&fields->tags);
}

/* The name as it is stored: one in which nothing can be seen is none */
Field
run_shown_name(const Field *name)
{
	text	   *value;

	if (name->isnull)
		return *name;
	value = DatumGetTextPP(name->value);
	return (Field) {
		PointerGetDatum(value), !text_is_visible(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value))
	};
}

/* ---------- the lock and the counter ---------- */

/* Is a status this word? */
static bool
status_is(Datum status, const char *word)
{
	text	   *value = DatumGetTextPP(status);

	return VARSIZE_ANY_EXHDR(value) == strlen(word) &&
		memcmp(VARDATA_ANY(value), word, strlen(word)) == 0;
}

/* From the first columns of the current SPI result, which are RUN_STATE */
static void
run_state_from_result(RunState *state)
{
	bool		isnull;

	state->message_count = DatumGetInt64(result_value(0, 1, &isnull));
	state->last_message_at = DatumGetTimestampTz(result_value(0, 2, &isnull));
	state->has_name = DatumGetBool(result_value(0, 3, &isnull));
	state->is_completed = DatumGetBool(result_value(0, 4, &isnull));
	state->place = *(ItemPointer) DatumGetPointer(result_value(0, 5, &isnull));
	state->source_type.value = result_value(0, 6, &state->source_type.isnull);
	state->summary = (ResultRow) {0};
}

/* The columns that say how a run stands */
static ColumnList state_columns = {
	TABLE_RUNS, {"message_count", "last_message_at", "name", "status", "source_type"}
};
#define STATE_COUNT		5

static ColumnList summary_columns = {TABLE_RUNS, {RUN_SUMMARY_NAMES}};

static RunState
state_from_values(const Datum *values, const bool *nulls)
{
	return (RunState) {
		.message_count = DatumGetInt64(values[0]),
		.last_message_at = DatumGetTimestampTz(values[1]),
		.has_name = !nulls[2],
		.is_completed = status_is(values[3], "completed"),
		.source_type = {values[4], nulls[4]},
	};
}

/*
 * The usual case of a look at a run: it is the caller's, and can be found
 * without a plan, and with lock be locked.  Returns false for any other.
 */
static bool
find_at_once(const pg_uuid_t *run_id, bool lock, RunState *state, bool *is_active)
{
	DirectScan	find;
	Datum		values[STATE_COUNT];
	bool		nulls[STATE_COUNT];
	bool		found;

	/* Where a snapshot lasts, the statement tells whether the run has changed since */
	if (IsolationUsesXactSnapshot() ||
		!direct_scan_run(&find, RowExclusiveLock, run_id))
		return false;
	found = direct_scan_values(&find, &state_columns, values, nulls) &&
		(!lock || direct_scan_lock(&find));
	if (found)
	{
		*state = state_from_values(values, nulls);
		state->place = find.row->t_self;
		*is_active = status_is(values[3], "active");
	}
	direct_scan_end(&find);
	return found;
}

static bool
lock_by_statement(Statement *lock, const pg_uuid_t *run_id, RunState *state)
{
	Args		args = {0};

	arg_uuid(&args, run_id);
	if (statement_write(lock, &args) != 1)
		return false;
	run_state_from_result(state);
	return true;
}

/*
 * Lock a run under the caller's rights to change it.  Returns false where
 * there is none.
 */
bool
run_try_lock(const pg_uuid_t *run_id, RunState *state)
{
	static Statement lock_run = {
		"SELECT " RUN_STATE " FROM airun.runs AS r WHERE " LIVE_RUN " FOR NO KEY UPDATE OF r",
		1, {UUIDOID}
	};
	bool		is_active;

	return find_at_once(run_id, true, state, &is_active) ||
		lock_by_statement(&lock_run, run_id, state);
}

/* The same for a run that may be deleted */
bool
run_try_lock_deleted(const pg_uuid_t *run_id, RunState *state)
{
	static Statement lock_any = {
		"SELECT " RUN_STATE " FROM airun.runs AS r WHERE r.id" EQ "$1 FOR NO KEY UPDATE OF r",
		1, {UUIDOID}
	};

	return lock_by_statement(&lock_any, run_id, state);
}

/* The same as run_try_lock(), or PT404 */
void
run_lock(const pg_uuid_t *run_id, RunState *state)
{
	if (!run_try_lock(run_id, state))
		run_not_found(run_id);
}

static bool
hold(Statement *statement, const pg_uuid_t *run_id)
{
	Args		args = {0};

	arg_uuid(&args, run_id);
	return statement_write(statement, &args) == 1;
}

/*
 * Hold a run against removal, under the caller's rights to change it.
 * Appends and other changes of the run do not wait for that.  Returns false
 * where there is no such run.
 */
bool
run_hold(const pg_uuid_t *run_id)
{
	static Statement hold_live = {
		"SELECT FROM airun.runs AS r WHERE " LIVE_RUN " FOR KEY SHARE OF r", 1, {UUIDOID}
	};

	return direct_hold_run(run_id) || hold(&hold_live, run_id);
}

/* The same for a run that may be deleted */
bool
run_hold_deleted(const pg_uuid_t *run_id)
{
	static Statement hold_any = {
		"SELECT FROM airun.runs AS r WHERE r.id" EQ "$1 FOR KEY SHARE OF r", 1, {UUIDOID}
	};

	return hold(&hold_any, run_id);
}

/* The last place that is taken in a run, by a row that is seen by now */
int64
run_last_seq(const pg_uuid_t *run_id)
{
	static Statement last = {
		"SELECT m.seq FROM airun.messages AS m WHERE m.run_id" EQ "$1 "
		"ORDER BY m.seq DESC LIMIT 1",
		1, {UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, run_id);
	if (statement_write_internal(&last, &args, run_id) == 0)
		return 0;
	return DatumGetInt64(result_value(0, 1, &isnull));
}

/*
 * The places of new messages are the last ones up to state->message_count.
 * When we are called by a site's trigger, the statement that it belongs to
 * may have inserted messages that are not counted yet: they come first.
 */
static void
place_messages(const pg_uuid_t *run_id, int64 messages, RunState *state)
{
	if (messages > 0 && trigger_depth() > 0)
		state->message_count = Max(state->message_count - messages, run_last_seq(run_id)) +
			messages;
}

/* From the summary of the run as it was written */
static void
run_state_from_summary(RunState *state, const ResultRow *summary)
{
	bool		isnull;

	(void) result_row_value(summary, Anum_run_summary_name, &isnull);
	state->has_name = !isnull;
	state->message_count =
		DatumGetInt64(result_row_value(summary, Anum_run_summary_message_count, &isnull));
	state->last_message_at =
		DatumGetTimestampTz(result_row_value(summary, Anum_run_summary_last_message_at, &isnull));
	state->is_completed =
		status_is(result_row_value(summary, Anum_run_summary_status, &isnull), "completed");
	state->source_type.value = result_row_value(summary, Anum_run_summary_source_type,
												&state->source_type.isnull);
	ItemPointerSetInvalid(&state->place);
	state->summary = *summary;
}

/*
 * Look at an active run of the caller's that messages may go to, without a lock
 * and without a plan.  Returns false where that does not do.
 */
bool
run_look(const pg_uuid_t *run_id, RunState *state)
{
	bool		is_active;

	return find_at_once(run_id, false, state, &is_active) && is_active;
}

/*
 * Raise the counter for new messages as run_grow() does, if the run is still as
 * it was at the look; else returns false.
 */
bool
run_try_grow(const pg_uuid_t *run_id, int64 messages, RunState *state)
{
	static RowWrite grow = {
		.table = TABLE_RUNS,
		.key_count = 1,
		.keys = {{"id", UUIDOID}},
		.column_count = 4,
		.columns = {
			{"message_count", INT8OID, WRITE_ADD},
			{"last_message_at", TIMESTAMPTZOID, WRITE_LATEST},
			{"updated_at", TIMESTAMPTZOID, WRITE_LATEST},
			{"active_hour", TIMESTAMPTZOID, WRITE_LATEST}
		},
		.returning = &state_columns
	};
	TimestampTz now = GetCurrentTimestamp();
	ResultRow	result;
	Datum		values[STATE_COUNT];
	bool		nulls[STATE_COUNT];
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, messages);
	arg_time(&args, now);
	arg_time(&args, now);
	arg_time(&args, hour_of(now));
	if (!direct_update(&grow, &args, &state->place, &result))
		return false;
	result_row_values(&result, values, nulls);
	*state = state_from_values(values, nulls);
	place_messages(run_id, messages, state);
	return true;
}

/*
 * Raise the counter for new messages, and set a failed run back to active.  Locks
 * the run.  The new messages take the last seqs up to state->message_count, and
 * their time is state->last_message_at.
 *
 * This is what every append pays for.  The usual case is an active run: one
 * update, of nothing that an index covers but once an hour.
 */
void
run_grow(const pg_uuid_t *run_id, int64 messages, RunState *state)
{
	static Statement append = {
		"UPDATE airun.runs AS r SET "
		"message_count = r.message_count" PLUS "$2, "
		"last_message_at = GREATEST(r.last_message_at, $3), "
		"updated_at = GREATEST(r.updated_at, $3), "
		"active_hour = GREATEST(r.active_hour, $4) "
		"WHERE " LIVE_RUN " AND r.status" EQ "'active' RETURNING " RUN_STATE,
		4, {UUIDOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	TimestampTz now = GetCurrentTimestamp();
	Args		args = {0};

	if (run_look(run_id, state) && run_try_grow(run_id, messages, state))
		return;

	arg_uuid(&args, run_id);
	arg_int64(&args, messages);
	arg_time(&args, now);
	arg_time(&args, hour_of(now));
	if (statement_write_internal(&append, &args, run_id) == 1)
	{
		run_state_from_result(state);
		place_messages(run_id, messages, state);
		return;
	}

	run_lock(run_id, state);
	if (state->is_completed)
		run_refuse_completed(run_id);
	run_change(run_id, &(RunChange) {.messages = messages, .status = "active"}, state);
}

/*
 * Move a run's counters and totals, and perhaps its status.  The caller has
 * locked it, and checked that the status allows it.
 */
void
run_change(const pg_uuid_t *run_id, const RunChange *change, RunState *state)
{
	static RowWrite change_run = {
		.table = TABLE_RUNS,
		.key_count = 1,
		.keys = {{"id", UUIDOID}},
		.column_count = 8,
		.columns = {
			{"message_count", INT8OID, WRITE_ADD},
			{"last_message_at", TIMESTAMPTZOID, WRITE_LATEST},
			{"updated_at", TIMESTAMPTZOID, WRITE_LATEST},
			{"active_hour", TIMESTAMPTZOID, WRITE_LATEST},
			{"task_count", INT8OID, WRITE_ADD},
			{"total_tokens", INT8OID, WRITE_ADD},
			{"total_cost", NUMERICOID, WRITE_ADD},
			{"status", TEXTOID, WRITE_IF_GIVEN}
		},
		.returning = &summary_columns
	};
	TimestampTz now = GetCurrentTimestamp();
	bool		appends = change->messages > 0;
	ResultRow	summary;
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, change->messages);
	arg_add(&args, TimestampTzGetDatum(now), !appends);
	arg_time(&args, now);
	arg_add(&args, TimestampTzGetDatum(hour_of(now)), !appends);
	arg_int64(&args, change->tasks);
	arg_int64(&args, change->tokens);
	arg_pointer(&args, change->cost);
	arg_pointer(&args, change->status ? cstring_to_text(change->status) : NULL);
	if (!ItemPointerIsValid(&state->place) ||
		!direct_update(&change_run, &args, &state->place, &summary))
	{
		if (statement_write_internal(row_write_statement(&change_run), &args, run_id) != 1)
			run_not_found(run_id);
		summary = result_row();
	}
	run_state_from_summary(state, &summary);
	place_messages(run_id, change->messages, state);
}

/* The summary of a run that the caller has locked, or has just seen */
ResultRow
run_read_summary(const pg_uuid_t *run_id)
{
	static Statement read = {
		"SELECT " RUN_SUMMARY " FROM airun.runs AS r WHERE r.id" EQ "$1", 1, {UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	if (statement_write_internal(&read, &args, run_id) != 1)
		run_not_found(run_id);
	return result_row();
}

/* Give a name to a run that has none */
void
run_set_name(const pg_uuid_t *run_id, text *name)
{
	static Statement set_name = {
		"UPDATE airun.runs AS r SET name = $2 WHERE r.id" EQ "$1 AND r.name IS NULL",
		2, {UUIDOID, TEXTOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_pointer(&args, name);
	statement_write_internal(&set_name, &args, run_id);
}

/* ---------- creation ---------- */

/* Whose run it is to be: who is stated, else the caller; NULL for nobody's */
const pg_uuid_t *
run_owner(const RunFields *fields, pg_uuid_t *caller)
{
	if (!fields->user_id.isnull)
		return DatumGetUUIDP(fields->user_id.value);
	return caller_id(caller) ? caller : NULL;
}

/* What a new run has where nothing is said */
static void
arg_or(Args *args, const Field *field, Datum otherwise)
{
	arg_add(args, field->isnull ? otherwise : field->value, false);
}

/* May the row go in without a policy being asked?  Ours wants it to be the caller's. */
static bool
is_for_caller(const pg_uuid_t *owner)
{
	pg_uuid_t	caller;

	return !store_binds_caller() ||
		(row_security && owner != NULL && caller_id(&caller) && uuid_equal(owner, &caller));
}

/*
 * Insert a run.  id_given: the id comes from the client, who may have sent it
 * before; then false is returned when a row with that id is there already,
 * whoever it belongs to.  *whole becomes the new run.
 */
bool
run_insert(const pg_uuid_t *run_id, bool id_given, RunFields *fields, ResultRow *whole)
{
	static ColumnList whole_columns = {
		TABLE_RUNS, {RUN_SUMMARY_NAMES "settings", "variable_values"}
	};
#define INSERT_RUN(once) { \
		.table = TABLE_RUNS, \
		.column_count = 24, \
		.columns = { \
			{"id", UUIDOID}, {"user_id", UUIDOID}, {"created_at", TIMESTAMPTZOID}, \
			{"last_message_at", TIMESTAMPTZOID}, {"updated_at", TIMESTAMPTZOID}, \
			{"active_hour", TIMESTAMPTZOID}, {"message_count", INT8OID}, \
			{"task_count", INT8OID}, {"total_tokens", INT8OID}, {"total_cost", NUMERICOID}, \
			{"status", TEXTOID}, {"is_starred", BOOLOID}, {"is_archived", BOOLOID}, \
			{"is_listed", BOOLOID}, {"source_type", TEXTOID}, {"source_id", UUIDOID}, \
			{"name", TEXTOID}, {"description", TEXTOID}, {"tags", TEXTARRAYOID}, \
			{"metadata", JSONBOID}, {"settings", JSONBOID}, {"variable_values", JSONBOID}, \
			{"forked_from", UUIDOID}, {"forked_at_seq", INT8OID} \
		}, \
		.skips_taken = (once), \
		.returning = &whole_columns \
	}
	static RowWrite inserts[] = {INSERT_RUN(false), INSERT_RUN(true)};
	RowWrite   *insert = &inserts[id_given];
	TimestampTz now = GetCurrentTimestamp();
	Datum		object = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	Args		args = {0};
	Field		name;
	pg_uuid_t	caller;
	const pg_uuid_t *owner = run_owner(fields, &caller);

	run_check_fields(fields);
	name = run_shown_name(&fields->name);

	arg_uuid(&args, run_id);
	arg_uuid(&args, owner);
	for (int i = 0; i < 3; i++)
		arg_time(&args, now);
	arg_time(&args, hour_of(now));
	for (int i = 0; i < 3; i++)
		arg_int64(&args, 0);
	arg_add(&args, DirectFunctionCall1(int8_numeric, Int64GetDatum(0)), false);
	arg_pointer(&args, cstring_to_text("active"));
	arg_add(&args, BoolGetDatum(false), false);
	arg_add(&args, BoolGetDatum(false), false);
	arg_or(&args, &fields->is_listed, BoolGetDatum(true));
	arg_or(&args, &fields->source_type, CStringGetTextDatum("chat"));
	arg_field(&args, &fields->source_id);
	arg_field(&args, &name);
	arg_field(&args, &fields->description);
	arg_or(&args, &fields->tags, PointerGetDatum(construct_empty_array(TEXTOID)));
	arg_or(&args, &fields->metadata, object);
	arg_or(&args, &fields->settings, object);
	arg_or(&args, &fields->variable_values, object);
	arg_field(&args, &fields->forked_from);
	arg_field(&args, &fields->forked_at_seq);

	if (id_given || !is_for_caller(owner) || !direct_insert(insert, &args, false, whole))
	{
		if (statement_write_internal(row_write_statement(insert), &args, run_id) != 1)
			return false;
		*whole = result_row();
	}
	/* Now that it is made: one that is there may be anybody's */
	shard_check_owner(run_id, owner);
	return true;
}

/*
 * airun_create_run(source_type, source_id, name, description, settings,
 * variable_values, tags, metadata, id, user_id, is_listed) returns ai_run
 *
 * An id that the same user has already returns that run, as it is.  An id
 * that is taken otherwise is PT409, in one text whoever holds it.
 */
Datum
airun_create_run(PG_FUNCTION_ARGS)
{
	static Statement existing = {
		"SELECT " RUN_WHOLE " FROM airun.runs AS r WHERE " LIVE_RUN
		" AND (r.user_id" EQ "$2 OR (r.user_id IS NULL AND $2 IS NULL))",
		2, {UUIDOID, UUIDOID}
	};
	RunFields	fields = {
		.source_type = argument_field(fcinfo, 0),
		.source_id = argument_field(fcinfo, 1),
		.name = argument_field(fcinfo, 2),
		.description = argument_field(fcinfo, 3),
		.settings = json_argument(fcinfo, 4),
		.variable_values = json_argument(fcinfo, 5),
		.tags = argument_field(fcinfo, 6),
		.metadata = json_argument(fcinfo, 7),
		.user_id = argument_field(fcinfo, 9),
		.is_listed = argument_field(fcinfo, 10),
		.forked_from = NO_FIELD,
		.forked_at_seq = NO_FIELD,
	};
	bool		id_given = !PG_ARGISNULL(8);
	pg_uuid_t	caller;
	pg_uuid_t	run_id;
	ResultRow	row;
	Datum		result;

	store_open(true);
	if (id_given)
		run_id = *PG_GETARG_UUID_P(8);
	else
		uuid_generate_for(&run_id, run_owner(&fields, &caller));

	if (!run_insert(&run_id, id_given, &fields, &row))
	{
		Args		args = {0};

		arg_uuid(&args, &run_id);
		arg_uuid(&args, run_owner(&fields, &caller));
		if (statement_write(&existing, &args) != 1)
			run_refuse_taken(&run_id);
		row = result_row();
	}
	result = result_row_composite(fcinfo, &row);
	store_close();
	PG_RETURN_DATUM(result);
}

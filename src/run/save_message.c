/*
 * save_message.c
 *		Messages that are saved again, and messages that are taken back.
 *
 * A client that goes on with an assistant's message, by results of its tools
 * or after an approval, sends it again under the same id, with more in it; a
 * user edits what he has said.  So a message can be replaced at its place: seq
 * and created_at stand, and what stood there goes to airun.message_versions
 * (message_version.c).  Saving what is stored already changes nothing, the
 * timestamp aside.
 *
 * The last messages of a run can be taken back, and go there as well: they are
 * deleted, and the trigger on airun.messages (totals.c) does all the rest.
 *
 * What tasks have said or sent does not change with it: a task whose text is in
 * the message, or whose request refers to it, keeps that itself from then on.
 *
 * None of it is a new message: a completed run allows it, and no status moves.
 * What is saved under an id that the run has not is appended, as by
 * airun_append_message().
 *
 * Locks: the run's row, then those of tasks that refer to the message, then the
 * message's.
 *
 * Errors: PT404 for a run or a task that the caller cannot change, or a message that
 * the run has not; PT409 for a new message of a completed run, and for one that is to
 * take the place of a message with another id; PT422 for what is not
 * acceptable, or has no id.
 */
#include "run/save_message.h"

#include "catalog/pg_type.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "run/message_version.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/keep_message.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(airun_save_message);
PG_FUNCTION_INFO_V1(airun_save_messages);
PG_FUNCTION_INFO_V1(airun_edit_message);
PG_FUNCTION_INFO_V1(airun_truncate_messages);

/* ---------- the message that is there ---------- */

#define STORED_MESSAGE \
	"SELECT m.seq, m.created_at, m.message, m.task_id, m.message_id " \
	"FROM airun.messages AS m WHERE m.run_id" EQ "$1 "

/* Find the message of a run that is locked; false where there is none */
static bool
find_stored(Statement *find, Args *args, const pg_uuid_t *run_id, NewMessage *stored)
{
	Datum		value;
	bool		isnull;

	if (statement_write_internal(find, args, run_id) == 0)
		return false;
	memset(stored, 0, sizeof(NewMessage));
	stored->is_stored = true;
	stored->seq = DatumGetInt64(result_value(0, 1, &isnull));
	stored->created_at = DatumGetTimestampTz(result_value(0, 2, &isnull));
	stored->message = DatumGetJsonbP(result_value(0, 3, &isnull));
	value = result_value(0, 4, &isnull);
	stored->task_id = isnull ? NULL : DatumGetUUIDP(value);
	value = result_value(0, 5, &isnull);
	stored->message_id = isnull ? NULL : DatumGetTextPP(value);
	return true;
}

static bool
find_by_id(const pg_uuid_t *run_id, text *message_id, NewMessage *stored)
{
	static Statement find = {
		STORED_MESSAGE "AND m.message_id" EQ "$2", 2, {UUIDOID, TEXTOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_pointer(&args, message_id);
	return find_stored(&find, &args, run_id, stored);
}

static bool
find_by_seq(const pg_uuid_t *run_id, int64 seq, NewMessage *stored)
{
	static Statement find = {
		STORED_MESSAGE "AND m.seq" EQ "$2", 2, {UUIDOID, INT8OID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, seq);
	return find_stored(&find, &args, run_id, stored);
}

/* ---------- replacing ---------- */

/* Would replacing it change nothing?  A task that is not stated is any. */
static bool
is_same(const NewMessage *stored, const NewMessage *message)
{
	if (message->task_id != NULL &&
		(stored->task_id == NULL || !uuid_equal(stored->task_id, message->task_id)))
		return false;
	return message_same(stored->message, message->message);
}

/* The message with the timestamp of the one in whose place it comes, where it has none */
static Jsonb *
complete_as(Jsonb *message, const NewMessage *stored)
{
	JsonbValue	own;
	char	   *timestamp = jsonb_field_string(&stored->message->root, "timestamp");

	if (timestamp == NULL || jsonb_field(&message->root, "timestamp", &own))
		return message_complete(message, stored->created_at);
	return jsonb_set_string(message, "timestamp", timestamp, strlen(timestamp));
}

static void
write_in_place(const pg_uuid_t *run_id, NewMessage *message)
{
	static Statement replace = {
		"UPDATE airun.messages AS m SET message = $3, task_id = COALESCE($4, m.task_id) "
		"WHERE m.run_id" EQ "$1 AND m.seq" EQ "$2 RETURNING m.message, m.task_id",
		4, {UUIDOID, INT8OID, JSONBOID, UUIDOID}
	};
	Datum		task_id;
	bool		isnull;
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, message->seq);
	arg_pointer(&args, message->message);
	arg_uuid(&args, message->task_id);
	if (statement_write_message(&replace, &args, run_id, message->seq) != 1)
		run_not_found(run_id);
	message->message = DatumGetJsonbP(result_value(0, 1, &isnull));
	task_id = result_value(0, 2, &isnull);
	message->task_id = isnull ? NULL : DatumGetUUIDP(task_id);
}

/*
 * Its id stays: a message that says to be another one would be appended where it is saved
 * again.  PT409 for an id that the stored one has neither beside it nor in itself.
 */
static void
require_same_id(const NewMessage *stored, Jsonb *message)
{
	char	   *id = jsonb_field_string(&message->root, "id");
	char	   *said = jsonb_field_string(&stored->message->root, "id");
	char	   *kept = stored->message_id == NULL ? said : text_to_cstring(stored->message_id);

	if (id == NULL || kept == NULL || strcmp(id, kept) == 0 ||
		(said != NULL && strcmp(id, said) == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("the message at seq " INT64_FORMAT " has the id \"%s\", not \"%s\"",
					stored->seq, kept, id),
			 errhint("Send it with that id, or without one.")));
}

/*
 * Put the message in the place of the stored one, in a run that is locked.
 * Returns with the message as it is stored then.
 */
static void
replace_stored(const pg_uuid_t *run_id, const NewMessage *stored, NewMessage *message,
			   RunState *run, Oid function)
{
	if (is_same(stored, message))
	{
		*message = *stored;
		return;
	}
	message->is_stored = true;
	message->seq = stored->seq;
	message->created_at = stored->created_at;
	message->message_id = stored->message_id;
	message->message = complete_as(message->message, stored);
	run_change(run_id, &(RunChange) {0}, run);
	keep_message_of_tasks(run_id, stored->seq, stored->message, message->message, function);
	version_keep_replaced(run_id, stored->seq);
	write_in_place(run_id, message);
}

/*
 * Replace the message that stands at a place since then; false where it does no
 * longer.  function: one of the extension's.
 */
bool
message_replace_at(const pg_uuid_t *run_id, int64 seq, TimestampTz created_at,
				   NewMessage *message, Oid function)
{
	NewMessage	stored;
	RunState	run;

	run_lock(run_id, &run);
	if (message->task_id != NULL)
		(void) message_require_task(run_id, message->task_id);
	if (!find_by_seq(run_id, seq, &stored) || stored.created_at != created_at)
		return false;
	require_same_id(&stored, message->message);
	replace_stored(run_id, &stored, message, &run, function);
	return true;
}

/* Is it the model that speaks? */
static bool
is_answer(Jsonb *message)
{
	JsonbValue	role;

	return jsonb_field(&message->root, "role", &role) &&
		(jsonb_string_is(&role, "assistant") || jsonb_string_is(&role, "model"));
}

/*
 * For the message that comes out of a task, in a run that is locked: where its id
 * stands for another answer, it goes on from that one, and takes its place.
 * is_stored says whether the run has it then.  PT409 where the id stands for a
 * message of somebody else's.
 */
void
message_find_or_replace(const pg_uuid_t *run_id, NewMessage *message, RunState *run,
						Oid function)
{
	NewMessage	stored;

	if (message->message_id != NULL && find_by_id(run_id, message->message_id, &stored) &&
		is_answer(stored.message) && !message_same(stored.message, message->message))
		replace_stored(run_id, &stored, message, run, function);
	else
		(void) messages_find_stored(run_id, message, 1);
}

/* ---------- saving ---------- */

/* PT422 for a message that cannot be found again */
static void
require_id(const NewMessage *message)
{
	if (message->message_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message to be saved has no id"),
				 errdetail("There is neither a \"message_id\" nor a string \"id\" in "
						   "the message."),
				 errhint("Give it one; airun_append_message() takes messages without.")));
}

/* Save a message in a run that is locked, whether it has it or not */
static void
save(const pg_uuid_t *run_id, NewMessage *message, RunState *run, Oid function)
{
	NewMessage	stored;
	bool		lacks_answer = false;

	if (message->task_id != NULL)
		lacks_answer = message_require_task(run_id, message->task_id);
	if (find_by_id(run_id, message->message_id, &stored))
	{
		replace_stored(run_id, &stored, message, run, function);
		return;
	}
	messages_append(run_id, message, 1);
	if (lacks_answer)
		message_answers_task(run_id, message);
}

/*
 * airun_save_message(run_id, message, message_id, task_id) returns ai_message
 */
Datum
airun_save_message(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	NewMessage	message;
	RunState	run;
	Datum		result;

	if (PG_ARGISNULL(1))
		refuse_null("message");
	message_new(&message, PG_GETARG_JSONB_P(1),
				PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		message.task_id = PG_GETARG_UUID_P(3);
	require_id(&message);

	store_open(true);
	run_lock(run_id, &run);
	save(run_id, &message, &run, fcinfo->flinfo->fn_oid);
	result = message_result(fcinfo, run_id, &message);
	store_close();
	PG_RETURN_DATUM(result);
}

/*
 * airun_save_messages(run_id, messages jsonb) returns setof ai_message
 */
Datum
airun_save_messages(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	NewMessage *messages;
	RunState	run;
	int			count;

	if (PG_ARGISNULL(1))
		refuse_null("messages");
	message_begin_rows(fcinfo);
	messages = messages_parse(PG_GETARG_JSONB_P(1), &count);
	for (int i = 0; i < count; i++)
		require_id(&messages[i]);

	store_open(true);
	run_lock(run_id, &run);
	messages_refuse_repeated_ids(messages, count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		save(run_id, &messages[i], &run, fcinfo->flinfo->fn_oid);
		message_put_row(fcinfo, run_id, &messages[i]);
	}
	store_close();
	return (Datum) 0;
}

/* ---------- editing ---------- */

/*
 * airun_edit_message(run_id, seq, message) returns ai_message
 */
Datum
airun_edit_message(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	NewMessage	message;
	NewMessage	stored;
	RunState	run;
	Datum		result;

	if (PG_ARGISNULL(1))
		refuse_null("seq");
	if (PG_ARGISNULL(2))
		refuse_null("message");
	message_new(&message, PG_GETARG_JSONB_P(2), NULL);

	store_open(true);
	run_lock(run_id, &run);
	if (!find_by_seq(run_id, PG_GETARG_INT64(1), &stored))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_NOT_FOUND),
				 errmsg("run \"%s\" has no message at seq " INT64_FORMAT,
						uuid_string(run_id), PG_GETARG_INT64(1)),
				 errdetail("It has " INT64_FORMAT " messages.", run.message_count),
				 errhint("airun_append_message() adds one.")));
	require_same_id(&stored, message.message);
	replace_stored(run_id, &stored, &message, &run, fcinfo->flinfo->fn_oid);
	result = message_result(fcinfo, run_id, &message);
	store_close();
	PG_RETURN_DATUM(result);
}

/* ---------- taking back ---------- */

/*
 * airun_truncate_messages(run_id, after_seq) returns ai_run_summary
 */
Datum
airun_truncate_messages(PG_FUNCTION_ARGS)
{
	static Statement delete = {
		"DELETE FROM airun.messages AS m WHERE m.run_id" EQ "$1 AND m.seq" GT "$2",
		2, {UUIDOID, INT8OID}
	};
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	RunState	run;
	ResultRow	summary;
	Args		args = {0};
	Datum		result;

	if (PG_ARGISNULL(1))
		refuse_null("after_seq");
	if (PG_GETARG_INT64(1) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"after_seq\" must not be negative, but is " INT64_FORMAT,
						PG_GETARG_INT64(1)),
				 errhint("Give the seq of the last message that stays, or 0 to take all back.")));

	store_open(true);
	run_lock(run_id, &run);
	arg_uuid(&args, run_id);
	arg_int64(&args, PG_GETARG_INT64(1));
	(void) statement_write(&delete, &args);
	summary = run_read_summary(run_id);
	result = result_row_composite(fcinfo, &summary);
	store_close();
	PG_RETURN_DATUM(result);
}

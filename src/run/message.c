/*
 * message.c
 *		Messages: how they are appended and read.
 *
 * A message is a JSON object, stored whole in a row of airun.messages with
 * its place in the run.  An append moves the run's counter first, which locks
 * the run's row, and then inserts the rows below the new count: seq has no
 * gap, order is commit order, and the time of a message is never before that
 * of the one in front of it.
 *
 * A message that carries an id (the argument message_id, or else a string
 * "id" in the object) is appended once: the same id with the same message,
 * its timestamp aside, gives the stored row; with another message it is PT409.
 * Which messages are accepted, message_accept.c says; save_message.c replaces.
 *
 * Where a message has the text of the task that it comes out of, that text is
 * stored in the message alone from then on.
 *
 * Locks: the run's row, until the end of the transaction; before it, for an
 * append with ids, the table of messages, as for an insert.  Readers take none.
 *
 * Errors: PT422 for a message that is not acceptable; see run.c for the rest.
 */
#include "run/message.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "funcapi.h"
#include "json/json_text.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/run_name.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_append_message);
PG_FUNCTION_INFO_V1(airun_append_messages);
PG_FUNCTION_INFO_V1(airun_messages);
PG_FUNCTION_INFO_V1(airun_message_text);

/* In one call */
#define MAX_MESSAGES	100000

/* ---------- what a message says ---------- */

/* The role of a message that has been checked */
text *
message_role(Jsonb *message)
{
	JsonbValue	buffer;
	JsonbValue *role = jsonb_get_key(&message->root, "role", &buffer);

	return cstring_to_text_with_len(role->val.string.val, role->val.string.len);
}

/*
 * Is a part, or a message, what the model thought, and not what it said?  Its type
 * says so, or, with Gemini, "thought".
 */
static bool
is_reasoning(JsonbContainer *part)
{
	static const char *const types[] = {
		"reasoning", "thinking", "reasoning_text", "summary_text", "think"
	};
	JsonbValue	buffer;
	JsonbValue *type = jsonb_get_key(part, "type", &buffer);

	for (int i = 0; i < lengthof(types); i++)
	{
		if (type != NULL && jsonb_string_is(type, types[i]))
			return true;
	}
	return jsonb_get_key(part, "thought", &buffer) != NULL && buffer.type == jbvBool &&
		buffer.val.boolean;
}

/*
 * Append the text of content or parts: a string, or an array in which strings
 * and the "text" of objects count, but not of reasoning.
 */
static void
append_text(StringInfo out, const JsonbValue *value)
{
	JsonbContainer *container;

	if (value->type == jbvString)
	{
		appendBinaryStringInfo(out, value->val.string.val, value->val.string.len);
		return;
	}
	if (value->type != jbvBinary)
		return;
	container = value->val.binary.data;
	if (JsonContainerIsObject(container))
	{
		JsonbValue	buffer;
		JsonbValue *part = jsonb_get_key(container, "text", &buffer);

		if (part != NULL && part->type == jbvString && !is_reasoning(container))
			appendBinaryStringInfo(out, part->val.string.val, part->val.string.len);
		return;
	}
	check_stack_depth();
	for (uint32 i = 0; i < JsonContainerSize(container); i++)
		append_text(out, getIthJsonbValueFromContainer(container, i));
}

/*
 * The text of a message: of its content, or, where that says nothing, of its parts;
 * NULL where there is none.
 */
text *
message_text(Jsonb *message)
{
	static const char *const keys[] = {"content", "parts"};
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < lengthof(keys) && out.len == 0; i++)
	{
		JsonbValue	buffer;
		JsonbValue *value = jsonb_get_key(&message->root, keys[i], &buffer);

		if (value != NULL && !is_reasoning(&message->root))
			append_text(&out, value);
	}
	return out.len > 0 ? cstring_to_text_with_len(out.data, out.len) : NULL;
}

/*
 * airun_message_text(message) returns text
 *
 * Tasks whose text is in a message are shown by this, so that what it gives
 * for a message must never change.
 */
Datum
airun_message_text(PG_FUNCTION_ARGS)
{
	Jsonb	   *message = PG_GETARG_JSONB_P(0);
	text	   *result = JB_ROOT_IS_OBJECT(message) ? message_text(message) : NULL;

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(result);
}

/* The same message, their timestamps aside? */
bool
message_same(Jsonb *a, Jsonb *b)
{
	return jsonb_same(jsonb_set_string(a, "timestamp", "", 0),
					  jsonb_set_string(b, "timestamp", "", 0));
}

/* Write a number with its leading zeros, and what follows it; returns where that ends */
static char *
write_number(char *at, int number, int width, char next)
{
	at = pg_ultostr_zeropad(at, number, width);
	*at = next;
	return at + 1;
}

/*
 * The message as it is stored: with a timestamp (ISO 8601, UTC, milliseconds)
 * where the client sent none.
 */
Jsonb *
message_complete(Jsonb *message, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		timestamp[64];
	char	   *end = timestamp;

	if (jsonb_has_field(&message->root, "timestamp"))
		return message;
	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	end = write_number(end, tm.tm_year, 4, '-');
	end = write_number(end, tm.tm_mon, 2, '-');
	end = write_number(end, tm.tm_mday, 2, 'T');
	end = write_number(end, tm.tm_hour, 2, ':');
	end = write_number(end, tm.tm_min, 2, ':');
	end = write_number(end, tm.tm_sec, 2, '.');
	end = write_number(end, fsec / 1000, 3, 'Z');
	return jsonb_set_string(message, "timestamp", timestamp, end - timestamp);
}

/* ---------- storing ---------- */

/*
 * PT404 unless the run has the task.  Returns whether the task has ended with
 * a text of its own and without a message.
 */
bool
message_require_task(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement find = {
		"SELECT t.completed_at IS NOT NULL AND t.response_text IS NOT NULL "
		"AND t.answer_seq IS NULL "
		"FROM airun.tasks AS t WHERE t.run_id" EQ "$1 AND t.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	if (statement_write(&find, &args) == 0)
		task_not_found(task_id);
	return DatumGetBool(result_value(0, 1, &isnull));
}

/*
 * A message has been appended for a task that has ended without one: where it
 * says the text of the task, the task need not keep that a second time.
 */
void
message_answers_task(const pg_uuid_t *run_id, const NewMessage *message)
{
	static Statement answer = {
		"UPDATE airun.tasks AS t SET answer_seq = $3, text_in_answer = true, "
		"response_text = NULL WHERE t.run_id" EQ "$1 AND t.task_id" EQ "$2 "
		"AND t.completed_at IS NOT NULL AND t.answer_seq IS NULL AND t.response_text" EQ "$4",
		4, {UUIDOID, UUIDOID, INT8OID, TEXTOID}
	};
	JsonbValue	buffer;
	JsonbValue *role = jsonb_get_key(&message->message->root, "role", &buffer);
	text	   *said = message_text(message->message);
	Args		args = {0};

	if (said == NULL || !(jsonb_string_is(role, "assistant") || jsonb_string_is(role, "model")))
		return;
	arg_uuid(&args, run_id);
	arg_uuid(&args, message->task_id);
	arg_int64(&args, message->seq);
	arg_pointer(&args, said);
	(void) statement_write_task(&answer, &args, run_id, message->task_id);
}

/*
 * A message that is to be stored, checked.  message_id: as it is stated, or NULL
 * where its own id serves.
 */
void
message_new(NewMessage *new, Jsonb *message, text *message_id)
{
	memset(new, 0, sizeof(NewMessage));
	new->message = message_accept(message);
	if (message_id != NULL)
		message_check_id(message_id);
	new->message_id = message_id != NULL ? message_id : message_own_id(new->message, true);
}

/*
 * The messages of an array, or the one message that is an object, each of
 * them checked.  PT422 for anything else.
 */
NewMessage *
messages_parse(Jsonb *messages, int *count)
{
	JsonbContainer *array;
	NewMessage *result;

	messages = json_unwrap(messages);
	array = &messages->root;
	if (JB_ROOT_IS_OBJECT(messages))
	{
		result = palloc_object(NewMessage);
		message_new(result, messages, NULL);
		*count = 1;
		return result;
	}
	if (!JB_ROOT_IS_ARRAY(messages) || JB_ROOT_IS_SCALAR(messages))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("messages must be a JSON array of objects"),
				 errdetail("Found a scalar."),
				 errhint("Send an array such as [{\"role\": \"user\", \"content\": "
						 "\"Hello\"}].")));

	*count = JsonContainerSize(array);
	if (*count > MAX_MESSAGES)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("too many messages in one call"),
				 errdetail("There are %d; at most %d are allowed.", *count, MAX_MESSAGES),
				 errhint("Send them in several calls.")));
	result = palloc_array(NewMessage, *count);
	for (int i = 0; i < *count; i++)
		message_new(&result[i],
					JsonbValueToJsonb(getIthJsonbValueFromContainer(array, i)), NULL);
	return result;
}

/* PT409 where one call carries two messages with one id */
void
messages_refuse_repeated_ids(NewMessage *messages, int count)
{
	HASHCTL		info = {.keysize = MAX_MESSAGE_ID * MAX_MULTIBYTE_CHAR_LEN + 1};
	HTAB	   *ids;

	info.entrysize = info.keysize;
	info.hcxt = CurrentMemoryContext;
	ids = hash_create("airun message ids", count, &info,
					  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (int i = 0; i < count; i++)
	{
		char	   *id;
		bool		found;

		if (messages[i].message_id == NULL)
			continue;
		id = text_to_cstring(messages[i].message_id);
		hash_search(ids, id, HASH_ENTER, &found);
		if (found)
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_CONFLICT),
					 errmsg("message id \"%s\" stands twice in one call", id),
					 errhint("Give each message an id of its own.")));
	}
	hash_destroy(ids);
}

/* Has the run certainly no message with this id?  Asked without a plan. */
static bool
is_new(const pg_uuid_t *run_id, text *message_id)
{
	DirectScan	find;
	bool		found;

	if (IsolationUsesXactSnapshot() || !store_is_granted(TABLE_MESSAGES, ACL_SELECT) ||
		!direct_scan_begin(&find, MESSAGES_BY_ID, RowExclusiveLock, run_id, message_id, NULL))
		return false;
	found = find.row != NULL;
	direct_scan_end(&find);
	return !found;
}

/*
 * Find out which messages, by their ids, are in the run already: is_stored is
 * set, and where and how they stand.  The run is locked by now, or has to be as
 * it was before this once it is.  Returns how many are new.  PT409 where an id
 * stands for another message.
 */
int
messages_find_stored(const pg_uuid_t *run_id, NewMessage *messages, int count)
{
#define WITHOUT_TIMESTAMP(value) \
	"(" value " OPERATOR(pg_catalog.-) 'timestamp'::pg_catalog.text)"
	static Statement find = {
		"SELECT m.seq, m.created_at, m.message, m.task_id, "
		WITHOUT_TIMESTAMP("m.message") EQ WITHOUT_TIMESTAMP("$3")
		" FROM airun.messages AS m WHERE m.run_id" EQ "$1 AND m.message_id" EQ "$2",
		3, {UUIDOID, TEXTOID, JSONBOID}
	};
	int			new_count = count;

	if (count > 1)
		messages_refuse_repeated_ids(messages, count);
	for (int i = 0; i < count; i++)
	{
		NewMessage *message = &messages[i];
		Args		args = {0};
		Datum		task_id;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (message->message_id == NULL || is_new(run_id, message->message_id))
			continue;
		arg_uuid(&args, run_id);
		arg_pointer(&args, message->message_id);
		arg_pointer(&args, message->message);
		if (statement_write_internal(&find, &args, run_id) == 0)
			continue;

		message->is_stored = true;
		message->seq = DatumGetInt64(result_value(0, 1, &isnull));
		if (!DatumGetBool(result_value(0, 5, &isnull)))
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_CONFLICT),
					 errmsg("message id \"%s\" is taken in run \"%s\"",
							text_to_cstring(message->message_id), uuid_string(run_id)),
					 errdetail("It stands for another message, at seq " INT64_FORMAT ".",
							   message->seq),
					 errhint("Give each message an id of its own; the same id is for sending the "
							 "same message again.  To replace what it stands for, call "
							 "airun_save_message().")));
		message->created_at = DatumGetTimestampTz(result_value(0, 2, &isnull));
		message->message = DatumGetJsonbP(result_value(0, 3, &isnull));
		task_id = result_value(0, 4, &isnull);
		message->task_id = isnull ? NULL : DatumGetUUIDP(task_id);
		new_count--;
	}
	return new_count;
}

/*
 * Insert a message as it is, at its place and with its time.  The caller has moved
 * the run's counter.
 */
void
message_insert(const pg_uuid_t *run_id, NewMessage *message)
{
	static RowWrite insert = {
		.table = TABLE_MESSAGES,
		.column_count = 6,
		.columns = {
			{"run_id", UUIDOID}, {"seq", INT8OID}, {"created_at", TIMESTAMPTZOID},
			{"task_id", UUIDOID}, {"message_id", TEXTOID}, {"message", JSONBOID}
		}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, message->seq);
	arg_time(&args, message->created_at);
	arg_uuid(&args, message->task_id);
	arg_pointer(&args, message->message_id);
	arg_pointer(&args, message->message);
	if (!direct_insert(&insert, &args, false, NULL) &&
		statement_write_message(row_write_statement(&insert), &args, run_id,
								message->seq) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on airun.messages has suppressed a message")));
}

/*
 * Insert those messages that are new, at the last places below the count that
 * the run has moved to, and name a run that has no name.
 */
void
messages_store(const pg_uuid_t *run_id, NewMessage *messages, int count,
			   RunState *state)
{
	int64		seq = state->message_count;
	text	   *name = NULL;

	for (int i = 0; i < count; i++)
	{
		if (!messages[i].is_stored)
			seq--;
	}
	for (int i = 0; i < count; i++)
	{
		NewMessage *message = &messages[i];

		CHECK_FOR_INTERRUPTS();
		if (message->is_stored)
			continue;
		message->seq = ++seq;
		message->created_at = state->last_message_at;
		message->message = message_complete(message->message, message->created_at);

		message_insert(run_id, message);
		if (!state->has_name && name == NULL)
			name = run_name_from_message(message->message);
	}
	if (name != NULL)
	{
		run_set_name(run_id, name);
		state->summary = (ResultRow) {0};
	}
}

/*
 * Append messages with ids to a run that is not locked.  Whoever changes its
 * messages while we look for ours moves the run on: then this returns false, and
 * nothing has changed.
 */
static bool
append_at_once(const pg_uuid_t *run_id, NewMessage *messages, int count)
{
	NewMessage *looked_at = palloc_array(NewMessage, count);
	RunState	state;
	int			new_count;

	if (!run_look(run_id, &state))
		return false;
	memcpy(looked_at, messages, count * sizeof(NewMessage));
	new_count = messages_find_stored(run_id, looked_at, count);
	if (new_count > 0)
	{
		if (!run_try_grow(run_id, new_count, &state))
			return false;
		messages_store(run_id, looked_at, count, &state);
	}
	memcpy(messages, looked_at, count * sizeof(NewMessage));
	return true;
}

/*
 * Append messages to a run, all or none, save those that it has already.
 * Returns with seq, created_at and message of each as stored.
 */
void
messages_append(const pg_uuid_t *run_id, NewMessage *messages, int count)
{
	RunState	state;
	int			new_count = count;
	bool		with_ids = false;

	for (int i = 0; i < count; i++)
		with_ids |= messages[i].message_id != NULL;
	if (with_ids && append_at_once(run_id, messages, count))
		return;
	if (with_ids || count == 0)
	{
		run_lock(run_id, &state);
		new_count = messages_find_stored(run_id, messages, count);
		if (new_count == 0)
			return;
	}
	run_grow(run_id, new_count, &state);
	messages_store(run_id, messages, count, &state);
}

/* ---------- SQL functions ---------- */

static void
required_arguments(FunctionCallInfo fcinfo, const char *second)
{
	if (PG_ARGISNULL(0))
		refuse_null("run_id");
	if (PG_ARGISNULL(1))
		refuse_null(second);
}

/* The columns of ai_message */
#define MESSAGE_COLUMNS	7

static void
message_values(const pg_uuid_t *run_id, NewMessage *message, Datum *values, bool *nulls)
{
	memset(nulls, 0, MESSAGE_COLUMNS * sizeof(bool));
	values[0] = UUIDPGetDatum(run_id);
	values[1] = Int64GetDatum(message->seq);
	values[2] = PointerGetDatum(message->message_id);
	nulls[2] = message->message_id == NULL;
	values[3] = UUIDPGetDatum(message->task_id);
	nulls[3] = message->task_id == NULL;
	values[4] = PointerGetDatum(message_role(message->message));
	values[5] = JsonbPGetDatum(message->message);
	values[6] = TimestampTzGetDatum(message->created_at);
}

/* A message as it is stored, as the function's result */
Datum
message_result(FunctionCallInfo fcinfo, const pg_uuid_t *run_id, NewMessage *message)
{
	Datum		values[MESSAGE_COLUMNS];
	bool		nulls[MESSAGE_COLUMNS];

	message_values(run_id, message, values, nulls);
	return composite_result(fcinfo, values, nulls, MESSAGE_COLUMNS);
}

/* Begin a result of messages */
void
message_begin_rows(FunctionCallInfo fcinfo)
{
	result_begin_rows(fcinfo, MESSAGE_COLUMNS);
}

/* Put a message as it is stored into the result */
void
message_put_row(FunctionCallInfo fcinfo, const pg_uuid_t *run_id, NewMessage *message)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[MESSAGE_COLUMNS];
	bool		nulls[MESSAGE_COLUMNS];

	message_values(run_id, message, values, nulls);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * airun_append_message(run_id, message, message_id, task_id)
 * returns ai_message
 */
Datum
airun_append_message(PG_FUNCTION_ARGS)
{
	NewMessage	message;
	pg_uuid_t  *run_id;
	Datum		result;
	bool		lacks_answer = false;

	required_arguments(fcinfo, "message");
	run_id = PG_GETARG_UUID_P(0);
	message_new(&message, PG_GETARG_JSONB_P(1),
				PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		message.task_id = PG_GETARG_UUID_P(3);

	store_open(true);
	if (message.task_id != NULL)
		lacks_answer = message_require_task(run_id, message.task_id);
	messages_append(run_id, &message, 1);
	if (lacks_answer && !message.is_stored)
		message_answers_task(run_id, &message);
	result = message_result(fcinfo, run_id, &message);
	store_close();
	PG_RETURN_DATUM(result);
}

/*
 * airun_append_messages(run_id, messages jsonb) returns setof ai_message
 *
 * messages is an array (or one object); a row is returned for each.
 */
Datum
airun_append_messages(PG_FUNCTION_ARGS)
{
	NewMessage *messages;
	pg_uuid_t  *run_id;
	int			count;

	required_arguments(fcinfo, "messages");
	message_begin_rows(fcinfo);
	run_id = PG_GETARG_UUID_P(0);
	messages = messages_parse(PG_GETARG_JSONB_P(1), &count);

	store_open(true);
	messages_append(run_id, messages, count);
	for (int i = 0; i < count; i++)
		message_put_row(fcinfo, run_id, &messages[i]);
	store_close();
	return (Datum) 0;
}

/* ---------- reading ---------- */

/* An argument that limits how many; absent means all, below 1 is PT422 */
int64
message_limit(FunctionCallInfo fcinfo, int argument)
{
	int64		limit;

	if (PG_ARGISNULL(argument))
		return PG_INT64_MAX;
	limit = PG_GETARG_INT64(argument);
	if (limit < 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_messages\" must be at least 1, not " INT64_FORMAT, limit),
				 errhint("Leave it out to get all.")));
	return limit;
}

/* What is allocated for the text of messages beforehand, in bytes */
#define BYTES_PER_MESSAGE	8192
#define MAX_BYTES_AHEAD		(8 * 1024 * 1024)

/*
 * Append a run's messages, or a part of them, as a JSON array.  Returns the
 * seq of the first one, 0 for none.  PT404 for no such run.  Messages stand
 * without a gap, so that the part is a range of seq.
 */
int64
messages_as_json(StringInfo out, const pg_uuid_t *run_id, const MessageRange *range)
{
	static Statement count_messages = {
		"SELECT r.message_count FROM airun.runs AS r WHERE " LIVE_RUN, 1, {UUIDOID}
	};
	static Statement read_messages = {
		"SELECT m.message FROM airun.messages AS m "
		"WHERE m.run_id" EQ "$1 AND m.seq" GT "$2 AND m.seq" LT "$3 ORDER BY m.seq",
		3, {UUIDOID, INT8OID, INT8OID}
	};
	Args		args = {0};
	int64		after = Max(range->after, 0);
	int64		before;
	bool		isnull;

	arg_uuid(&args, run_id);
	if (statement_read(&count_messages, &args, 1) != 1)
		run_not_found(run_id);
	before = Min(Max(range->before, 0), DatumGetInt64(result_value(0, 1, &isnull)) + 1);

	if (before - 1 > after && before - 1 - after > range->max)
	{
		if (range->from_end)
			after = before - 1 - range->max;
		else
			before = after + 1 + range->max;
	}

	appendStringInfoChar(out, '[');
	if (before - 1 > after)
	{
		/* memory that is not used is not touched, but a buffer that grows is copied */
		enlargeStringInfo(out, Min((before - 1 - after) * BYTES_PER_MESSAGE, MAX_BYTES_AHEAD));
		arg_int64(&args, after);
		arg_int64(&args, before);
		statement_stream_internal(&read_messages, &args, run_id, json_array_receiver(out));
	}
	appendStringInfoChar(out, ']');
	return before - 1 > after ? after + 1 : 0;
}

/*
 * airun_messages(run_id, after_seq, before_seq, max_messages, from_end)
 * returns json
 */
Datum
airun_messages(PG_FUNCTION_ARGS)
{
	MessageRange range = ALL_MESSAGES;
	StringInfoData out;

	if (PG_ARGISNULL(0))
		refuse_null("run_id");
	if (!PG_ARGISNULL(1))
		range.after = PG_GETARG_INT64(1);
	if (!PG_ARGISNULL(2))
		range.before = PG_GETARG_INT64(2);
	range.max = message_limit(fcinfo, 3);
	range.from_end = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);

	json_begin(&out);
	store_open(false);
	messages_as_json(&out, PG_GETARG_UUID_P(0), &range);
	store_close();
	PG_RETURN_DATUM(json_end(&out));
}

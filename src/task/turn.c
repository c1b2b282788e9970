/*
 * turn.c
 *		A whole turn in two calls.
 *
 * airun_start_turn() appends the messages that go in and creates the task,
 * and on a first turn the run; airun_finish_turn() ends the task and appends
 * the message that comes out.  Each is one step: all of it or nothing.
 *
 * Both can be repeated, by the task_id alone.  A run that a turn creates
 * without an id of its own gets one that follows from the task_id, so that
 * two calls that race for the same turn meet at the run's primary key.
 *
 * An answer that goes on under an id which stands for an answer already, as it
 * does after a client's tool has run, takes its place (save_message.c).
 *
 * Locks: the run's row, the text's lock, the task's row.  A turn that starts also
 * locks what is overdue in its run, as far as nobody else holds it (lease.c); an
 * answer that is replaced is locked as save_message.c says.
 *
 * Errors: those of run.c, message.c and task.c.
 */
#include "airun.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "json/jsonb_copy.h"
#include "run/message.h"
#include "run/message_in_answer.h"
#include "run/message_version.h"
#include "run/save_message.h"
#include "run/run.h"
#include "store/definition.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/lease.h"
#include "task/task.h"
#include "task/task_end.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(airun_start_turn);
PG_FUNCTION_INFO_V1(airun_finish_turn);

/* ---------- the run that comes with a first turn ---------- */

static void
refuse_run_key(const char *key, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" in \"run\" must be %s", key, expected),
			 errhint("The keys of \"run\" are the parameters of airun_create_run(), with "
					 "their types.")));
}

static Field
text_field(const JsonbValue *value, const char *key)
{
	if (value->type != jbvString)
		refuse_run_key(key, "a string");
	return (Field) {
		PointerGetDatum(cstring_to_text_with_len(value->val.string.val,
												 value->val.string.len)), false
	};
}

static Field
uuid_field(const JsonbValue *value, const char *key)
{
	pg_uuid_t  *id = palloc_object(pg_uuid_t);

	if (value->type != jbvString ||
		!uuid_from_string(value->val.string.val, value->val.string.len, id))
		refuse_run_key(key, "a UUID");
	return (Field) {UUIDPGetDatum(id), false};
}

static Field
document_field(JsonbValue *value)
{
	return (Field) {JsonbPGetDatum(json_unwrap(JsonbValueToJsonb(value))), false};
}

static Field
tags_field(const JsonbValue *value)
{
	JsonbContainer *array;
	Datum	   *tags;
	int			count;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse_run_key("tags", "an array of strings");
	array = value->val.binary.data;
	count = JsonContainerSize(array);
	tags = palloc_array(Datum, count);
	for (int i = 0; i < count; i++)
	{
		JsonbValue *tag = getIthJsonbValueFromContainer(array, i);

		if (tag->type != jbvString)
			refuse_run_key("tags", "an array of strings");
		tags[i] = text_field(tag, "tags").value;
	}
	return (Field) {
		PointerGetDatum(construct_array(tags, count, TEXTOID, -1, false, TYPALIGN_INT)), false
	};
}

static Field
boolean_field(const JsonbValue *value, const char *name)
{
	if (value->type != jbvBool)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" in \"run\" must be true or false", name)));
	return (Field) {BoolGetDatum(value->val.boolean), false};
}

/*
 * Read an object with airun_create_run's parameters as keys.  A null counts
 * as absent.  PT422 for a key that is unknown or of the wrong type.
 */
static void
parse_run(Jsonb *object, RunFields *fields, Field *id)
{
	enum kind
	{
		TEXT_KEY, UUID_KEY, JSONB_KEY, TAGS_KEY, BOOLEAN_KEY
	};
	const struct
	{
		const char *name;
		enum kind	kind;
		Field	   *field;
	}			keys[] = {
		{"source_type", TEXT_KEY, &fields->source_type},
		{"source_id", UUID_KEY, &fields->source_id},
		{"name", TEXT_KEY, &fields->name},
		{"description", TEXT_KEY, &fields->description},
		{"settings", JSONB_KEY, &fields->settings},
		{"variable_values", JSONB_KEY, &fields->variable_values},
		{"tags", TAGS_KEY, &fields->tags},
		{"metadata", JSONB_KEY, &fields->metadata},
		{"id", UUID_KEY, id},
		{"user_id", UUID_KEY, &fields->user_id},
		{"is_listed", BOOLEAN_KEY, &fields->is_listed},
	};
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;

	for (int i = 0; i < lengthof(keys); i++)
		*keys[i].field = NO_FIELD;
	fields->forked_from = fields->forked_at_seq = NO_FIELD;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"run\" must be a JSON object"),
				 errhint("Its keys are the parameters of airun_create_run().")));

	it = JsonbIteratorInit(&object->root);
	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *name = pnstrdup(key.val.string.val, key.val.string.len);
		int			i = 0;

		(void) JsonbIteratorNext(&it, &value, true);
		while (i < lengthof(keys) && strcmp(name, keys[i].name) != 0)
			i++;
		if (i == lengthof(keys))
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("unknown key \"%s\" in \"run\"", excerpt(name, strlen(name))),
					 errhint("Its keys are the parameters of airun_create_run().")));
		if (value.type == jbvNull)
			continue;
		switch (keys[i].kind)
		{
			case TEXT_KEY:
				*keys[i].field = text_field(&value, name);
				break;
			case UUID_KEY:
				*keys[i].field = uuid_field(&value, name);
				break;
			case JSONB_KEY:
				*keys[i].field = document_field(&value);
				break;
			case TAGS_KEY:
				*keys[i].field = tags_field(&value);
				break;
			case BOOLEAN_KEY:
				*keys[i].field = boolean_field(&value, name);
				break;
		}
	}
}

/* ---------- what is returned ---------- */

static void
append_member(StringInfo out, const char *key, const char *value)
{
	appendStringInfo(out, ",\"%s\":", key);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		json_append_string(out, value, strlen(value));
}

/* May what our writes have returned be other than what is stored by now? */
static bool
has_site_triggers(void)
{
	return store_has_site_trigger(TABLE_RUNS) || store_has_site_trigger(TABLE_MESSAGES) ||
		store_has_site_trigger(TABLE_TASKS);
}

/*
 * {"run": summary, "messages": [{"seq", "message_id", "task_id", "role",
 * "created_at"}], "task": summary}: the messages without their bodies, which
 * the caller has.  task: its summary as it has been written, or nothing.
 */
static Datum
turn_result(StringInfo out, const pg_uuid_t *run_id, const pg_uuid_t *task_id,
			const RunState *run, const ResultRow *task, NewMessage *messages, int count)
{
	bool		read_back = has_site_triggers();
	ResultRow	summary;

	appendStringInfoString(out, "{\"run\":");
	summary = read_back || run->summary.tuple == NULL ? run_read_summary(run_id) : run->summary;
	json_append_row(out, &summary);

	appendStringInfoString(out, ",\"messages\":[");
	for (int i = 0; i < count; i++)
	{
		NewMessage *message = &messages[i];
		char	   *created_at = JsonEncodeDateTime(NULL,
													TimestampTzGetDatum(message->created_at),
													TIMESTAMPTZOID, NULL);

		appendStringInfo(out, "%s{\"seq\":" INT64_FORMAT, i > 0 ? "," : "", message->seq);
		append_member(out, "message_id",
					  message->message_id ? text_to_cstring(message->message_id) : NULL);
		append_member(out, "task_id",
					  message->task_id ? uuid_string(message->task_id) : NULL);
		append_member(out, "role", text_to_cstring(message_role(message->message)));
		append_member(out, "created_at", created_at);
		appendStringInfoChar(out, '}');
	}

	appendStringInfoString(out, "],\"task\":");
	summary = read_back || task->tuple == NULL ? task_read_summary(run_id, task_id) : *task;
	json_append_row(out, &summary);
	appendStringInfoChar(out, '}');
	return json_end(out);
}

/*
 * The messages that a turn has stored: those that went in with it, or with
 * the_answer the one that came out.
 */
static NewMessage *
turn_messages(const pg_uuid_t *run_id, pg_uuid_t *task_id, bool the_answer, int *count)
{
	static Statement read = {
		"SELECT m.seq, m.created_at, m.message_id, m.message "
		"FROM airun.tasks AS t JOIN airun.messages AS m ON m.run_id" EQ "$1 "
		"AND m.task_id" EQ "$2 AND m.seq" LE "CASE WHEN $3 THEN t.answer_seq ELSE t.inputs_to END "
		"AND m.seq" GE "CASE WHEN $3 THEN t.answer_seq ELSE t.inputs_from END "
		"WHERE t.run_id" EQ "$1 AND t.task_id" EQ "$2 ORDER BY m.seq",
		3, {UUIDOID, UUIDOID, BOOLOID}
	};
	NewMessage *messages;
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_add(&args, BoolGetDatum(the_answer), false);
	*count = (int) statement_write_internal(&read, &args, run_id);
	messages = palloc0_array(NewMessage, *count);
	for (int i = 0; i < *count; i++)
	{
		Datum		message_id;
		bool		isnull;

		messages[i].is_stored = true;
		messages[i].task_id = task_id;
		messages[i].seq = DatumGetInt64(result_value(i, 1, &isnull));
		messages[i].created_at = DatumGetTimestampTz(result_value(i, 2, &isnull));
		message_id = result_value(i, 3, &isnull);
		messages[i].message_id = isnull ? NULL : DatumGetTextPP(message_id);
		messages[i].message = DatumGetJsonbP(result_value(i, 4, &isnull));
	}
	return messages;
}

/*
 * The call that started a turn is repeated: find for each of its messages the
 * stored one, by its id or else by its place among those of the turn.  PT409
 * where there is none, since the call is another one, then.
 */
static void
match_inputs(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
			 NewMessage *messages, int count, NewMessage *stored, int stored_count)
{
	int			next = 0;
	bool		same = true;

	(void) messages_find_stored(run_id, messages, count);
	for (int i = 0; same && i < count; i++)
	{
		bool		is_next = next < stored_count;

		if (messages[i].is_stored)
		{
			/* one of the turn's, or one that was there before it */
			if (is_next && messages[i].seq == stored[next].seq)
				next++;
			else
				same = stored_count == 0 || messages[i].seq < stored[0].seq;
			continue;
		}
		same = is_next && messages[i].message_id == NULL &&
			message_same(messages[i].message, stored[next].message);
		if (same)
			messages[i] = stored[next++];
	}
	if (!same || next < stored_count)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("task \"%s\" was started with other messages", uuid_string(task_id)),
				 errhint("Repeat a call only with the values that it had, or start "
						 "another task.")));
}

/* ---------- start ---------- */

/* "run" of airun_start_turn(): it stands among what is stated about the task */
#define RUN_ARGUMENT	10

/*
 * Find out which run the turn belongs to, and create it where it is to be.
 * Returns whether it is sure to be there: a run that was to be created, but
 * whose id was there already, may be somebody else's.
 */
static bool
find_or_create_run(FunctionCallInfo fcinfo, const pg_uuid_t *task_id, pg_uuid_t *run_id)
{
	RunFields	fields = {0};
	Field		id;
	ResultRow	run;
	bool		id_given = true;

	if (!PG_ARGISNULL(RUN_ARGUMENT))
		parse_run(json_unwrap(PG_GETARG_JSONB_P(RUN_ARGUMENT)), &fields, &id);

	if (!PG_ARGISNULL(0))
	{
		*run_id = *PG_GETARG_UUID_P(0);
		if (PG_ARGISNULL(RUN_ARGUMENT))
			return true;
		if (!id.isnull && !uuid_equal(run_id, DatumGetUUIDP(id.value)))
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("\"id\" in \"run\" is not the \"run_id\""),
					 errhint("Give one of them, or the same id in both.")));
	}
	else if (task_id != NULL && task_find_run(task_id, run_id))
	{
		if (!PG_ARGISNULL(RUN_ARGUMENT) && !id.isnull &&
			!uuid_equal(run_id, DatumGetUUIDP(id.value)))
			task_refuse_taken(task_id);
		return true;
	}
	else if (PG_ARGISNULL(RUN_ARGUMENT))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("there is neither a \"run_id\" nor a \"run\""),
				 errhint("Give the run's id, or with run => '{}' create one.")));
	else if (!id.isnull)
		*run_id = *DatumGetUUIDP(id.value);
	else
	{
		pg_uuid_t	caller;
		const pg_uuid_t *owner = run_owner(&fields, &caller);

		if (task_id != NULL)
			uuid_derive(run_id, task_id, owner);
		else
			uuid_generate_for(run_id, owner);
		id_given = task_id != NULL;
	}
	return run_insert(run_id, id_given, &fields, &run);
}

/*
 * airun_start_turn(run_id, messages, task_id, service, ..., run, timeout)
 * returns json
 *
 * A task of the run that is overdue is ended first.
 */
Datum
airun_start_turn(PG_FUNCTION_ARGS)
{
	TaskFields	fields = task_arguments(fcinfo, 3, RUN_ARGUMENT);
	NewMessage *messages = NULL;
	int			count = 0;
	pg_uuid_t	run_id;
	pg_uuid_t	task_id;
	bool		task_id_given = !PG_ARGISNULL(2);
	bool		created_or_named;
	bool		may_be_overdue;
	RunState	run;
	ResultRow	task = {0};
	StringInfoData out;
	Datum		result;

	task_check_fields(&fields);
	if (!PG_ARGISNULL(1))
		messages = messages_parse(PG_GETARG_JSONB_P(1), &count);
	if (task_id_given)
		task_id = *PG_GETARG_UUID_P(2);

	json_begin(&out);
	store_open(true);
	created_or_named = find_or_create_run(fcinfo, task_id_given ? &task_id : NULL, &run_id);
	if (!task_id_given)
		uuid_generate_within(&task_id, &run_id);
	if (!run_try_lock(&run_id, &run))
	{
		if (created_or_named)
			run_not_found(&run_id);
		run_refuse_taken(&run_id);
	}

	if (lease_look(&run_id, task_id_given ? &task_id : NULL, &may_be_overdue))
	{
		int			stored_count;
		NewMessage *stored = turn_messages(&run_id, &task_id, false, &stored_count);

		if (count == 0)
		{
			messages = stored;
			count = stored_count;
		}
		else
			match_inputs(&run_id, &task_id, messages, count, stored, stored_count);
	}
	else
	{
		RunChange	change = {.tasks = 1, .status = "active"};
		bool		defers;

		if (run.is_completed)
			run_refuse_completed(&run_id);
		/* what expires is told to counters of budgets with what the start holds of them */
		defers = may_be_overdue && budget_defer_begin();
		if (may_be_overdue)
			(void) lease_expire_run(&run_id);
		for (int i = 0; i < count; i++)
			messages[i].task_id = &task_id;
		change.messages = messages_find_stored(&run_id, messages, count);
		run_change(&run_id, &change, &run);
		messages_store(&run_id, messages, count, &run);
		task = task_insert(&run_id, &task_id, &fields, &run,
						   change.messages > 0 ? run.message_count - change.messages + 1 : 0,
						   change.messages > 0 ? run.message_count : 0);
		budget_defer_end(defers);
	}

	result = turn_result(&out, &run_id, &task_id, &run, &task, messages, count);
	store_close();
	PG_RETURN_DATUM(result);
}

/* ---------- finish ---------- */

/* The assistant's message with nothing but text */
static Jsonb *
text_message(text *content)
{
	Jsonb	   *message = jsonb_set_string(NULL, "role", "assistant", strlen("assistant"));

	return jsonb_set_string(message, "content",
							VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content));
}

/* The message that comes out is the one that is given, or that the provider has sent */
static void
take_message(NewMessage *answer, Jsonb *message, bool is_given, TaskEnd *end)
{
	if (end->response_text.isnull)
	{
		text	   *spoken = message_text(message);

		end->response_text = (Field) {PointerGetDatum(spoken), spoken == NULL};
		end->text_is_derived = true;
	}
	answer->message = message;
	answer->message_id = message_own_id(message, is_given);
}

/*
 * Make the message that comes out: what is given, or else the one in the whole
 * answer, or a message of the text that is given or that the task has.  The answer's
 * goes before a text that it says, since it has more (calls, reasoning); a text that
 * is another one stands.  False where an answer has no message, as embeddings have
 * none, or one that is too large: it has been paid for; PT422 where there is not even that.
 */
static bool
make_answer(const pg_uuid_t *run_id, const pg_uuid_t *task_id, NewMessage *answer,
			Jsonb *message, TaskState *state, TaskEnd *end)
{
	text	   *content;

	memset(answer, 0, sizeof(NewMessage));
	if (message != NULL)
	{
		take_message(answer, message, true, end);
		return true;
	}
	if (!end->response_data.isnull)
		answer->message = message_in_answer(DatumGetJsonbP(end->response_data.value));
	if (answer->message != NULL && !message_fits(answer->message))
		answer->message = NULL;

	if (end->response_text.isnull)
	{
		content = task_is_final(state->status) ? task_text(run_id, state) :
			chunk_take(run_id, task_id);
		state->stream.chars = 0;
		if (!task_is_final(state->status))
			end->response_text = (Field) {PointerGetDatum(content), content == NULL};
	}
	else
		content = DatumGetTextPP(end->response_text.value);
	if (content != NULL && (answer->message == NULL || !task_text_is_in(content, answer)))
	{
		answer->message = message_accept(text_message(content));
		return true;
	}
	if (answer->message == NULL && end->response_data.isnull)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("there is no message to finish the turn with"),
				 errdetail("Neither \"message\" nor \"response_text\" nor \"response_data\" is "
						   "given, and no text has been streamed."),
				 errhint("Give one of them; or end the task alone, with airun_complete_task() or "
						 "airun_cancel_task().")));
	if (answer->message == NULL)
		return false;
	take_message(answer, message_accept(answer->message), false, end);
	return true;
}

/*
 * The call that finished a turn is repeated, with a message: find the stored
 * one, as the turn's answer or by its id.  The answer may have been replaced: then
 * it is what stands there, if that is still the turn's.  PT409 where the call is
 * another one.
 */
static NewMessage *
match_answer(const pg_uuid_t *run_id, pg_uuid_t *task_id, Jsonb *message, TaskEnd *end,
			 NewMessage *stored, int *count)
{
	NewMessage *answer = palloc_object(NewMessage);

	(void) make_answer(run_id, task_id, answer, message, NULL, end);
	if ((*count == 1 && message_same(message, stored->message)) ||
		version_was(run_id, task_id, message))
		return stored;
	answer->task_id = task_id;
	*count = 1;
	if (messages_find_stored(run_id, answer, 1) == 0)
		return answer;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("task \"%s\" was finished with another message", uuid_string(task_id)),
			 errhint("Repeat a call only with the values that it had.")));
}

/*
 * A message may have been appended as the answer of a task that has expired.  Where
 * the end brings the same one, or none, it is the answer.
 */
static void
take_appended_answer(const pg_uuid_t *run_id, pg_uuid_t *task_id, bool brings_none,
					 NewMessage *answer)
{
	int			count;
	NewMessage *appended = turn_messages(run_id, task_id, true, &count);

	if (count == 1 && (brings_none || message_same(answer->message, appended->message)))
		*answer = *appended;
}

/*
 * airun_finish_turn(task_id, message, response_text, usage, ..., run_id)
 * returns json
 */
Datum
airun_finish_turn(PG_FUNCTION_ARGS)
{
	static Statement set_answer = {
		"UPDATE airun.tasks AS t SET answer_seq = $3, text_in_answer = $4, "
		"response_text = CASE WHEN $4 THEN NULL ELSE t.response_text END WHERE " THIS_TASK,
		4, {UUIDOID, UUIDOID, INT8OID, BOOLOID}
	};
	TaskEnd		end = task_end_arguments(fcinfo, 2, TASK_COMPLETED);
	Jsonb	   *message = PG_ARGISNULL(1) ? NULL : message_accept(PG_GETARG_JSONB_P(1));
	pg_uuid_t  *task_id = task_id_argument(fcinfo, 0);
	pg_uuid_t	run_id;
	TaskState	state;
	NewMessage *answer;
	ResultRow	task = {0};
	int			count = 1;
	bool		takes_end;
	bool		has_message;
	StringInfoData out;
	Datum		result;

	task_end_unwrap(&end);
	task_check_end(&end);
	json_begin(&out);
	store_open(true);
	run_id = task_run_argument(fcinfo, PG_NARGS() - 1, task_id);
	task_lock(&run_id, task_id, &state);
	task_count_stated(&end, &state);
	answer = palloc_object(NewMessage);
	takes_end = task_takes_end(&state, &end);
	if (!takes_end)
		task_check_transition(task_id, state.status, end.status);
	if (!takes_end &&
		(state.answer_seq > 0 || version_has_answer(&run_id, task_id)))
	{
		/* The call is repeated, perhaps of a turn whose message has been taken back */
		answer = turn_messages(&run_id, task_id, true, &count);
		if (message != NULL)
			answer = match_answer(&run_id, task_id, message, &end, answer, &count);
		(void) task_end_again(&run_id, task_id, &state, &end);
		result = turn_result(&out, &run_id, task_id, &state.run, &task, answer, count);
		store_close();
		PG_RETURN_DATUM(result);
	}
	has_message = make_answer(&run_id, task_id, answer, message, &state, &end);
	answer->task_id = task_id;

	if (!has_message)
	{
		count = 0;
		if (takes_end)
			task = task_end(&run_id, task_id, &state, &end, NULL);
		else
			(void) task_end_again(&run_id, task_id, &state, &end);
	}
	else if (takes_end)
	{
		if (state.answer_seq > 0)
			take_appended_answer(&run_id, task_id,
								 message == NULL && end.response_text.isnull, answer);
		message_find_or_replace(&run_id, answer, &state.run, fcinfo->flinfo->fn_oid);
		task = task_end(&run_id, task_id, &state, &end, answer);
		messages_store(&run_id, answer, 1, &state.run);
	}
	else
	{
		/* It was ended without its message: here it comes, after all */
		Args		args = {0};

		(void) task_end_again(&run_id, task_id, &state, &end);
		message_find_or_replace(&run_id, answer, &state.run, fcinfo->flinfo->fn_oid);
		if (!answer->is_stored)
			run_change(&run_id,
					   &(RunChange) {
						   .messages = 1,
						   .status = state.run.is_completed ? NULL : "active"
					   }, &state.run);
		messages_store(&run_id, answer, 1, &state.run);
		arg_uuid(&args, &run_id);
		arg_uuid(&args, task_id);
		arg_int64(&args, answer->seq);
		arg_add(&args, BoolGetDatum(task_text_is_in(task_text(&run_id, &state), answer)), false);
		statement_write_task(&set_answer, &args, &run_id, task_id);
	}

	result = turn_result(&out, &run_id, task_id, &state.run, &task, answer, count);
	store_close();
	PG_RETURN_DATUM(result);
}

/*
 * read_traces.c
 *		Spans of OpenTelemetry and OpenInference, and rows of the original application.
 *
 * These tell of requests to models, and so give tasks with their usage beside
 * messages.  The spans of one conversation repeat its history: the last one that
 * holds messages is what is read, and each with a usage, or with a model, is a task.
 *
 * PT422 for spans without messages; nothing is locked.
 */
#include "import/import.h"

#include "miscadmin.h"
#include "store/identity.h"

/* ---------- attributes ---------- */

/* Put the value of an attribute of OTLP, under a key or as an element, where it has one */
static void
put_otlp_value(JsonbBuilder *builder, const char *key, JsonbValue *value)
{
	static const char *const kinds[] = {
		"stringValue", "intValue", "doubleValue", "boolValue", NULL
	};
	JsonbValue *plain = json_get_any(value, kinds);
	JsonbValue *values = json_get_path(value, "arrayValue.values");
	JsonbValue *pairs = json_get_path(value, "kvlistValue.values");

	check_stack_depth();
	if (plain == NULL && !json_is_array(values) && json_length(pairs) == 0)
		return;
	if (key != NULL)
		jsonb_put_key(builder, key);
	if (plain != NULL)
	{
		push_jsonb(builder, key != NULL ? WJB_VALUE : WJB_ELEM, plain);
		return;
	}
	if (json_is_array(values))
		jsonb_begin_array(builder);
	else
		jsonb_begin_object(builder);
	for (int i = 0; i < json_length(values); i++)
		put_otlp_value(builder, NULL, json_element(values, i));
	for (int i = 0; !json_is_array(values) && i < json_length(pairs); i++)
	{
		JsonbValue *pair = json_element(pairs, i);
		char	   *name = json_get_string(pair, "key");

		if (name != NULL)
			put_otlp_value(builder, name, json_get(pair, "value"));
	}
	jsonb_close(builder, json_is_array(values));
}

/* The value of an attribute of OTLP; NULL for none */
static JsonbValue *
otlp_value(JsonbValue *value)
{
	JsonbBuilder builder = {0};

	/* an array of one: a value alone is not what a builder makes */
	jsonb_begin_array(&builder);
	put_otlp_value(&builder, NULL, value);
	jsonb_close(&builder, true);
	value = json_root(jsonb_finish(&builder));
	return json_length(value) > 0 ? json_element(value, 0) : NULL;
}

/* The attributes of a span as one object */
static JsonbValue *
span_attributes(JsonbValue *span)
{
	JsonbValue *attributes = json_get(span, "attributes");
	List	   *pairs = NIL;

	if (json_is_object(attributes))
		return attributes;
	for (int i = 0; i < json_length(attributes); i++)
	{
		JsonbValue *attribute = json_element(attributes, i);
		char	   *key = json_get_string(attribute, "key");

		if (key != NULL)
			pairs = json_add_pair(pairs, key, otlp_value(json_get(attribute, "value")));
	}
	return json_from_pairs(pairs);
}

/* A pair of an element of a list that OpenInference has flattened */
typedef struct FlatPair
{
	int			number;			/* of the element */
	int			place;			/* among all pairs */
	const char *key;			/* within the element */
	JsonbValue *value;
} FlatPair;

/* So many digits may the number of an element have */
#define MAX_NUMBER_DIGITS	9

/* What a key has behind its prefix, a number and ".", and what follows; NULL for another key */
static const char *
key_in_element(const char *key, const char *prefix, const char *inner, int *number)
{
	int			digits;

	if (strncmp(key, prefix, strlen(prefix)) != 0)
		return NULL;
	key += strlen(prefix);
	digits = strspn(key, "0123456789");
	if (digits == 0 || digits > MAX_NUMBER_DIGITS || key[digits] != '.' ||
		strncmp(key + digits + 1, inner, strlen(inner)) != 0)
		return NULL;
	*number = atoi(key);
	return key + digits + 1 + strlen(inner);
}

static int
compare_flat_pairs(const void *a, const void *b)
{
	const FlatPair *left = a;
	const FlatPair *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	return left->place < right->place ? -1 : 1;
}

/*
 * The elements of a list that has been flattened to keys "PREFIX NUMBER . INNER KEY", as
 * objects in the order of their numbers.  Numbers that are left out cost nothing.
 */
static List *
flat_elements(JsonbValue *object, const char *prefix, const char *inner)
{
	List	   *pairs = json_pairs(object);
	FlatPair   *flat = palloc_array(FlatPair, list_length(pairs) + 1);
	List	   *elements = NIL;
	List	   *own = NIL;
	int			count = 0;
	ListCell   *cell;

	foreach(cell, pairs)
	{
		JsonPair   *pair = lfirst(cell);
		FlatPair   *next = &flat[count];

		CHECK_FOR_INTERRUPTS();
		next->key = key_in_element(pair->key, prefix, inner, &next->number);
		next->value = pair->value;
		next->place = count;
		count += next->key != NULL ? 1 : 0;
	}
	qsort(flat, count, sizeof(FlatPair), compare_flat_pairs);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		own = json_add_pair(own, flat[i].key, flat[i].value);
		if (i + 1 < count && flat[i + 1].number == flat[i].number)
			continue;
		elements = lappend(elements, json_from_pairs(own));
		own = NIL;
	}
	return elements;
}

/* A message of OpenInference in OpenAI's shape */
static JsonbValue *
unflatten_message(JsonbValue *flat)
{
	List	   *pairs = NIL;
	List	   *calls = NIL;
	List	   *parts = NIL;
	ListCell   *cell;
	static const char *const keys[] = {"role", "content", "name", "tool_call_id"};

	for (int i = 0; i < lengthof(keys); i++)
		pairs = json_add_pair(pairs, keys[i], json_get(flat, psprintf("message.%s", keys[i])));
	foreach(cell, flat_elements(flat, "message.tool_calls.", "tool_call."))
	{
		JsonbValue *call = lfirst(cell);
		List	   *function = json_add_pair(NIL, "name", json_get(call, "function.name"));
		List	   *pairs_of_call = json_add_pair(NIL, "id", json_get(call, "id"));

		function = json_add_pair(function, "arguments", json_get(call, "function.arguments"));
		pairs_of_call = json_add_pair(pairs_of_call, "function", json_from_pairs(function));
		calls = lappend(calls, json_from_pairs(pairs_of_call));
	}
	foreach(cell, flat_elements(flat, "message.contents.", "message_content."))
	{
		JsonbValue *part = lfirst(cell);

		if (json_get(part, "image.image.url") != NULL)
		{
			JsonbValue *url = json_from_pairs(json_add_pair(NIL, "url",
															json_get(part, "image.image.url")));

			part = json_from_pairs(json_add_pair(json_add_pair(NIL, "type",
															   json_new_string("image_url")),
												 "image_url", url));
		}
		parts = lappend(parts, part);
	}
	if (calls != NIL)
		pairs = json_add_pair(pairs, "tool_calls", json_from_elements(calls));
	if (parts != NIL)
		pairs = json_add_pair(pairs, "content", json_from_elements(parts));
	return json_from_pairs(pairs);
}

static void
compose_flat(Composer *composer, JsonbValue *attributes, const char *prefix)
{
	ListCell   *cell;

	foreach(cell, flat_elements(attributes, prefix, ""))
	{
		compose_any_message(composer, unflatten_message(lfirst(cell)));
	}
}

static void
compose_structured(Composer *composer, JsonbValue *messages, const char *name)
{
	messages = json_in_string(messages);
	if (messages == NULL)
		return;
	if (!json_is_array(messages))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" is %s", name, json_type_name(messages)),
				 errdetail("It must be a list of messages.")));
	for (int i = 0; i < json_length(messages); i++)
		compose_any_message(composer, json_element(messages, i));
}

static bool
has_messages(JsonbValue *attributes)
{
	return json_get(attributes, "gen_ai.input.messages") != NULL ||
		json_get(attributes, "gen_ai.output.messages") != NULL ||
		flat_elements(attributes, "llm.input_messages.", "") != NIL ||
		flat_elements(attributes, "llm.output_messages.", "") != NIL;
}

static Composer *
compose_attributes(JsonbValue *attributes)
{
	Composer   *composer = compose_begin();
	JsonbValue *system = json_in_string(json_get(attributes, "gen_ai.system_instructions"));

	compose_system(composer, system);
	compose_structured(composer, json_get(attributes, "gen_ai.input.messages"),
					   "gen_ai.input.messages");
	compose_flat(composer, attributes, "llm.input_messages.");
	compose_structured(composer, json_get(attributes, "gen_ai.output.messages"),
					   "gen_ai.output.messages");
	compose_flat(composer, attributes, "llm.output_messages.");
	compose_end(composer);
	return composer;
}

/* Where attributes say what the columns of a task are */
static const struct
{
	const char *attribute;
	const char *column;
}			attribute_columns[] = {
	{"gen_ai.request.model", "model_id"}, {"llm.request.model_name", "model_id"},
	{"llm.model_name", "model_id"}, {"gen_ai.response.model", "served_model"},
	{"llm.response.model_name", "served_model"}, {"gen_ai.provider.name", "provider"},
	{"gen_ai.system", "provider"}, {"llm.provider", "provider"},
	{"gen_ai.operation.name", "task_name"}, {"openai.response.service_tier", "service_tier"},
	{"llm.finish_reason", "finish_reason"}, {"gen_ai.usage.cost", "cost"},
	{"llm.cost.total", "cost"}
};

/* The usage of a span: all that counts tokens, with whole numbers as numbers */
static JsonbValue *
span_usage(JsonbValue *attributes)
{
	List	   *usage = NIL;
	ListCell   *cell;

	foreach(cell, json_pairs(attributes))
	{
		JsonPair   *pair = lfirst(cell);

		if (strncmp(pair->key, "gen_ai.usage.", 13) == 0 ||
			strncmp(pair->key, "llm.token_count.", 16) == 0)
			usage = lappend(usage, pair);
	}
	return usage != NIL ? json_from_pairs(usage) : NULL;
}

static void
read_span_task(JsonbValue *attributes, JsonbValue *span, Conversation *conversation)
{
	ImportTask *task = palloc0_object(ImportTask);
	JsonbValue *usage = span_usage(attributes);
	JsonbValue *error = json_get(attributes, "error.type");
	JsonbValue *reasons = json_get(attributes, "gen_ai.response.finish_reasons");
	List	   *columns = NIL;
	double		seconds;

	if (usage == NULL && (json_get(attributes, "gen_ai.request.model") == NULL ||
						  json_get(attributes, "gen_ai.tool.name") != NULL))
		return;
	for (int i = lengthof(attribute_columns) - 1; i >= 0; i--)
		columns = json_add_pair(columns, attribute_columns[i].column,
								json_get(attributes, attribute_columns[i].attribute));
	if (json_length(reasons) > 0)
		columns = json_add_pair(columns, "finish_reason", json_element(reasons, 0));
	if (json_number(json_get(attributes, "gen_ai.response.time_to_first_chunk"), &seconds))
		columns = json_add_pair(columns, "time_to_first_token", json_new_number(seconds * 1000));
	columns = json_add_pair(columns, "usage", usage);
	columns = json_add_pair(columns, "status",
							json_new_string(error != NULL ? "error" : "completed"));
	if (error != NULL)
		columns = json_add_pair(columns, "error",
								json_from_pairs(json_add_pair(NIL, "code", error)));
	task->id = json_get_string(span, "spanId");
	task->columns = json_from_pairs(columns);
	task->created_at = json_time(json_get(span, "startTimeUnixNano"));
	task->completed_at = json_time(json_get(span, "endTimeUnixNano"));
	conversation->tasks = lappend(conversation->tasks, task);
}

static void
mark_answer(Composer *composer)
{
	if (composer->messages != NIL)
		((OutMessage *) llast(composer->messages))->answers = true;
}

static const char *
conversation_id(JsonbValue *attributes)
{
	static const char *const keys[] = {
		"gen_ai.conversation.id", "session.id", "langfuse.session.id", NULL
	};

	return json_string_of(json_get_any(attributes, keys));
}

/* Attributes of a span alone */
void
read_attributes(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {NULL};
	JsonbValue *attributes = json_get(entry, "attributes") != NULL ?
		span_attributes(entry) : entry;
	Composer   *composer = compose_attributes(attributes);
	List	   *rest = NIL;
	ListCell   *cell;

	foreach(cell, json_rest(attributes, known))
	{
		JsonPair   *pair = lfirst(cell);

		if (strstr(pair->key, "_messages.") == NULL && strstr(pair->key, ".messages") == NULL)
			rest = lappend(rest, pair);
	}
	conversation->id = conversation_id(attributes);
	conversation->branches = list_make1(composer);
	conversation->import = rest;
	read_span_task(attributes, entry, conversation);
	mark_answer(composer);
}

/* All spans of an export of OTLP, or those of one conversation */
void
read_spans(JsonbValue *entry, Conversation *conversation)
{
	JsonbValue *spans = json_get(entry, "spans");
	JsonbValue *last = NULL;
	TimestampTz last_time = NO_TIME;

	for (int i = 0; i < json_length(spans); i++)
	{
		JsonbValue *span = json_element(spans, i);
		JsonbValue *attributes = span_attributes(span);
		TimestampTz time = json_time(json_get(span, "startTimeUnixNano"));

		read_span_task(attributes, span, conversation);
		if (!has_messages(attributes))
			continue;
		if (conversation->created_at == NO_TIME ||
			(time != NO_TIME && time < conversation->created_at))
			conversation->created_at = time;
		if (last != NULL && time < last_time)
			continue;
		last = attributes;
		last_time = time;
		conversation->active_at = json_time(json_get(span, "endTimeUnixNano"));
	}
	if (last == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the spans have no messages"),
				 errdetail("None has gen_ai.input.messages or llm.input_messages."),
				 errhint("Have the instrumentation capture the content of messages.")));
	conversation->id = conversation_id(last);
	conversation->branches = list_make1(compose_attributes(last));
	conversation->import = json_add_pair(NIL, "spans", spans);
	if (list_length(conversation->tasks) == 1)
		mark_answer(linitial(conversation->branches));
}

/* ---------- the original application ---------- */

/* Its columns of tasks that are ours, and what their names are here */
static const struct
{
	const char *original;
	const char *column;
}			original_columns[] = {
	{"service", "service"}, {"task_name", "task_name"}, {"provider", "provider"},
	{"endpoint", "endpoint"}, {"model", "model_id"}, {"model_id", "model_id"},
	{"request_data", "request_data"}, {"response_text", "response_text"},
	{"response_data", "response_data"}, {"response_errors", "error"},
	{"tokens_input", "tokens_input"}, {"tokens_output", "tokens_output"},
	{"tokens_total", "tokens_total"}, {"cost", "cost"},
	{"time_to_first_token", "time_to_first_token"}, {"total_time", "total_time"},
	{"usage", "usage"}
};

static const char *const original_metadata[] = {
	"response_info", "tool_updates", "response_metadata", "response_complete"
};

static void
read_original_task(JsonbValue *row, Conversation *conversation)
{
	ImportTask *task = palloc0_object(ImportTask);
	JsonbValue *status = json_get(row, "status");
	bool		is_open = json_is(status, "pending") || json_is(status, "streaming");
	bool		is_completed = json_is(status, "completed");
	List	   *columns = NIL;
	List	   *metadata = NIL;

	for (int i = 0; i < lengthof(original_columns); i++)
	{
		JsonbValue *value = json_get(row, original_columns[i].original);
		double		number;

		/* It writes 0 where it does not know */
		if (!is_completed && json_number(value, &number) && number == 0)
			continue;
		columns = json_add_pair(columns, original_columns[i].column, value);
	}
	for (int i = 0; i < lengthof(original_metadata); i++)
		metadata = json_add_pair(metadata, original_metadata[i],
								 json_get(row, original_metadata[i]));
	if (metadata != NIL)
		columns = json_add_pair(columns, "metadata", json_from_pairs(metadata));
	columns = json_add_pair(columns, "status",
							is_open || status == NULL ? json_new_string("error") : status);
	if (is_open)
		columns = json_add_pair(columns, "error",
								json_from_pairs(json_add_pair(NIL, "code",
															  json_new_string("expired"))));
	task->id = json_get_string(row, "task_id");
	task->columns = json_from_pairs(columns);
	task->created_at = json_time(json_get(row, "created_at"));
	task->completed_at = json_time(json_get(row, "completed_at"));
	if (task->completed_at == NO_TIME)
		task->completed_at = json_time(json_get(row, "updated_at"));
	conversation->tasks = lappend(conversation->tasks, task);
}

/* Messages, of which one that was sent again stands once */
static Composer *
compose_original(JsonbValue *messages)
{
	Composer   *composer = compose_begin();
	JsonbValue *before = NULL;

	if (messages != NULL && !json_is_array(messages))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the messages of a conversation are %s", json_type_name(messages)),
				 errdetail("They must be a list.")));
	for (int i = 0; i < json_length(messages); i++)
	{
		JsonbValue *message = json_element(messages, i);

		if (before == NULL || message == NULL || json_get(message, "taskId") == NULL ||
			!jsonb_same(JsonbValueToJsonb(before), JsonbValueToJsonb(message)))
			compose_any_message(composer, message);
		before = message;
	}
	compose_end(composer);
	return composer;
}

void
read_original(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"id", "user_id", "source_type", "source_id", "name", "description", "tags", "messages",
		"settings", "variable_values", "metadata", "status", "is_starred", "created_at",
		"updated_at", "last_message_at", "tasks", NULL
	};
	JsonbValue *source = json_get(entry, "source_type");
	JsonbValue *status = json_get(entry, "status");
	JsonbValue *tasks = json_get(entry, "tasks");
	JsonbValue *tags = json_get(entry, "tags");

	conversation->id = json_get_string(entry, "id");
	conversation->name = json_string_of(json_get(entry, "name"));
	conversation->description = json_get_string(entry, "description");
	conversation->source_type = json_is(source, "prompts") || json_is(source, "prompt_builtins") ?
		"prompt" : json_string_of(source);
	for (int i = 0; i < json_length(tags); i++)
	{
		if (json_string_of(json_element(tags, i)) != NULL)
			conversation->tags = lappend(conversation->tags,
										 json_string_of(json_element(tags, i)));
	}
	conversation->settings = json_is_object(json_get(entry, "settings")) ?
		json_get(entry, "settings") : NULL;
	conversation->variable_values = json_is_object(json_get(entry, "variable_values")) ?
		json_get(entry, "variable_values") : NULL;
	conversation->metadata = json_pairs(json_get(entry, "metadata"));
	conversation->is_archived = json_is(status, "archived");
	conversation->is_deleted = json_is(status, "deleted");
	conversation->is_starred = json_get_bool(entry, "is_starred");
	conversation->created_at = json_time(json_get(entry, "created_at"));
	conversation->active_at = json_time(json_get(entry, "last_message_at"));
	conversation->import = json_rest(entry, known);
	if (json_is(source, "prompt_builtins"))
		conversation->metadata = json_add_pair(conversation->metadata, "source",
											   json_new_string("builtin"));
	conversation->source_id = palloc_object(pg_uuid_t);
	if (json_string_of(json_get(entry, "source_id")) == NULL ||
		!uuid_from_string(json_string_of(json_get(entry, "source_id")),
						  strlen(json_string_of(json_get(entry, "source_id"))),
						  conversation->source_id))
	{
		conversation->source_id = NULL;
		conversation->metadata = json_add_pair(conversation->metadata, "source_id",
											   json_get(entry, "source_id"));
	}
	conversation->branches = list_make1(compose_original(json_get(entry, "messages")));
	for (int i = 0; i < json_length(tasks); i++)
		read_original_task(json_element(tasks, i), conversation);
}

/*
 * read_messages.c
 *		Lists of messages: OpenAI, Anthropic, Gemini, AI SDK, LangChain, Mastra, ...
 *
 * What providers and libraries send and store differs in the names of keys more
 * than in shape: one reader takes them all, message by message, so that a list
 * whose format is doubtful still comes in as what it is.  Where the list stands,
 * what stands beside it and who speaks are tables.  A preference pair has two
 * branches, the preferred one first.
 *
 * PT422 for a message that is no object, or whose role is not a string.  Nothing is
 * locked.
 */
#include "import/import.h"

#include "miscadmin.h"

static const char *const time_keys[] = {
	"createdAt", "created_at", "create_time", "createTime", "timestamp", "time", NULL
};

static const char *const content_keys[] = {"content", "value", "text", "contentChunks", NULL};

/* Keys that a message of ours has, too, and keeps */
static const char *const own_keys[] = {
	"refusal", "audio", "function_call", "weight", "reasoning_content", "reasoning", "thinking",
	"annotations", "phase", "prefix", "cache_control"
};

/* Keys of a message that have been read */
static const char *const message_keys[] = {
	"role", "from", "id", "content", "value", "parts", "tool_calls", "tool_call_id", "name",
	"createdAt", "created_at", "timestamp", "toolInvocations", "experimental_attachments",
	"refusal", "audio", "function_call", "weight", "reasoning_content", "reasoning", "thinking",
	"annotations", "phase", "prefix", "cache_control", "type", "metadata", "format", "thread_id",
	"threadId", "session_id", "invalid_tool_calls", "attachments", NULL
};

/* Where a list of messages stands */
static const char *const list_paths[] = {
	"messages", "contents", "conversations", "conversation", "items", "input", "data", "prompt"
};

/* What comes behind it, as the answer: what is preferred, then what is not */
static const char *const answer_paths[] = {
	"output", "completion", "chosen", "preferred_output"
};
static const char *const other_answer_paths[] = {"rejected", "non_preferred_output"};

static const char *const system_keys[] = {
	"system", "systemInstruction", "system_instruction", "instructions", "systemPrompt", NULL
};

static const char *const id_keys[] = {
	"conversation_id", "conversationId", "chatId", "thread_id", "id", "uuid", NULL
};
static const char *const name_keys[] = {"title", "name", NULL};

/* Keys of a conversation that have been read */
static const char *const conversation_keys[] = {
	"messages", "contents", "conversations", "conversation", "items", "input", "data", "prompt",
	"output", "completion", "chosen", "preferred_output", "rejected", "non_preferred_output",
	"system", "systemInstruction", "system_instruction", "instructions", "systemPrompt", "title",
	"thread", NULL
};

/* ---------- one message ---------- */

/* The message that LangChain wraps, with its type as the role */
static JsonbValue *
unwrap_langchain(JsonbValue *item, const char **role)
{
	JsonbValue *inner = json_get(item, "kwargs");
	JsonbValue *id = json_get(item, "id");

	if (json_is_object(inner) && json_length(id) > 0)
		*role = json_string_of(json_element(id, json_length(id) - 1));
	else
	{
		inner = json_get(item, "data");
		if (!json_is_object(inner) || json_get_string(item, "type") == NULL ||
			json_get(item, "role") != NULL || json_get(inner, "content") == NULL)
			return item;
		*role = json_get_string(item, "type");
	}
	if (json_get_string(inner, "role") != NULL)
		*role = json_get_string(inner, "role");
	return inner;
}

/* Calls that stand in a list of their own, as OpenAI and LangChain write them */
static void
read_calls(Composer *composer, JsonbValue *calls)
{
	static const char *const known[] = {
		"id", "type", "function", "custom", "name", "args", "index", NULL
	};

	for (int i = 0; i < json_length(calls); i++)
	{
		JsonbValue *call = json_element(calls, i);
		JsonbValue *function = json_get(call, "function");
		JsonbValue *custom = json_get(call, "custom");
		JsonbValue *input = json_get(function, "arguments");

		if (!json_is_object(call))
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("a call of a tool is %s", json_type_name(call)),
					 errdetail("It must be an object.")));
		if (function == NULL && json_is_object(custom))
		{
			compose_custom_call(composer, json_get_string(call, "id"),
								json_get_string(custom, "name"), json_get(custom, "input"),
								json_from_pairs(json_rest(call, known)), false);
			continue;
		}
		if (function == NULL)
			function = call;
		if (input == NULL)
			input = json_get(function, "args");
		compose_call(composer, json_get_string(call, "id"), json_get_string(function, "name"),
					 input, json_from_pairs(json_rest(call, known)), false);
	}
}

/* A call that is a message of its own, as JSON in its text */
static void
read_call_text(Composer *composer, JsonbValue *content)
{
	JsonbValue *call = json_in_string(content);
	int			count = json_is_array(call) ? json_length(call) : 1;

	for (int i = 0; i < count; i++)
	{
		JsonbValue *one = json_is_array(call) ? json_element(call, i) : call;
		JsonbValue *input = json_get(one, "arguments");

		compose_call(composer, json_get_string(one, "id"), json_get_string(one, "name"),
					 json_is_object(one) ? input : one, NULL, true);
	}
}

/* Does a list hold results, each of which is a message? */
static bool
holds_results(JsonbValue *content)
{
	for (int i = 0; i < json_length(content); i++)
	{
		JsonbValue *part = json_element(content, i);
		const char *type = json_get_string(part, "type");

		if (type != NULL ? strcmp(type, "tool-result") == 0 || strcmp(type, "tool_result") == 0 ||
			strcmp(type, "tool_call_response") == 0 ||
			strcmp(type, "tool-approval-response") == 0 :
			json_is_object(json_get(part, "functionResponse")) ||
			json_is_object(json_get(part, "function_response")))
			return true;
	}
	return false;
}

/* Where files stand beside the content */
static const char *const file_keys[] = {"experimental_attachments", "attachments"};

/* Are they files that are parts of the message?  Else they are kept as they are. */
static bool
are_files(const JsonbValue *files, const char *role)
{
	if (!json_is_array(files) || strcmp(role, "tool") == 0 || strcmp(role, "function") == 0)
		return false;
	for (int i = 0; i < json_length(files); i++)
	{
		if (!json_is_object(json_element(files, i)))
			return false;
	}
	return true;
}

static void
read_attachments(Composer *composer, JsonbValue *message, const char *role)
{
	for (int k = 0; k < lengthof(file_keys); k++)
	{
		JsonbValue *files = json_get(message, file_keys[k]);

		if (!are_files(files, role))
			continue;
		for (int i = 0; i < json_length(files); i++)
			compose_part(composer, json_with_type(json_element(files, i), "file"));
	}
}

/* What a message has beside its content */
static void
read_keys(Composer *composer, JsonbValue *message, const char *role)
{
	ListCell   *cell;

	for (int i = 0; i < lengthof(own_keys); i++)
		compose_key(composer, own_keys[i], json_get(message, own_keys[i]));
	if (strcmp(role, "tool") != 0 && strcmp(role, "function") != 0)
		compose_key(composer, "name", json_get(message, "name"));
	for (int i = 0; i < lengthof(file_keys); i++)
	{
		JsonbValue *files = json_get(message, file_keys[i]);

		if (files != NULL && !are_files(files, role))
			compose_metadata(composer, file_keys[i], files);
	}
	foreach(cell, json_rest(message, message_keys))
	{
		JsonPair   *pair = lfirst(cell);

		if (json_is_object(message) && strcmp(pair->key, "tool_call_chunks") != 0)
			compose_metadata(composer, pair->key, pair->value);
	}
	foreach(cell, json_pairs(json_get(message, "metadata")))
	{
		JsonPair   *pair = lfirst(cell);

		compose_metadata(composer, pair->key, pair->value);
	}
}

/* The parts of a message: a list that says something, or else the content */
static JsonbValue *
content_of(JsonbValue *message)
{
	JsonbValue *parts = json_get(message, "parts");

	if (json_length(parts) > 0)
		return parts;
	return json_get_any(message, content_keys);
}

static void
read_body(Composer *composer, JsonbValue *message, const char *role)
{
	JsonbValue *content = content_of(message);

	if (strcmp(role, "call") == 0)
	{
		read_call_text(composer, content);
		return;
	}
	if ((strcmp(role, "tool") == 0 || strcmp(role, "function") == 0) && !holds_results(content))
	{
		compose_result(composer, json_get_string(message, "tool_call_id"),
					   json_get_string(message, "name"), content,
					   json_is(json_get(message, "status"), "error"), NULL);
		return;
	}
	compose_content(composer, content);
	read_calls(composer, json_get(message, "tool_calls"));
	read_calls(composer, json_get(message, "invalid_tool_calls"));
	if (json_length(json_get(message, "parts")) == 0)
	{
		JsonbValue *invocations = json_get(message, "toolInvocations");

		for (int i = 0; i < json_length(invocations); i++)
		{
			List	   *pairs = json_add_pair(NIL, "type", json_new_string("tool-invocation"));

			pairs = json_add_pair(pairs, "toolInvocation", json_element(invocations, i));
			compose_any_part(composer, json_from_pairs(pairs));
		}
	}
	read_attachments(composer, message, role);
}

/* An item without a role says by its type what it is: a part of an answer, or a result */
static void
read_item(Composer *composer, JsonbValue *item)
{
	const char *id = json_get_string(item, "id");

	if (composer->open == NULL || strcmp(composer->open->role, "assistant") != 0)
		compose_source(composer, "assistant", id, NO_TIME);
	compose_any_part(composer, item);
}

/* Any message of any of the lists */
void
compose_any_message(Composer *composer, JsonbValue *item)
{
	const char *word = NULL;
	const char *role;
	JsonbValue *message = unwrap_langchain(item, &word);
	JsonbValue *content = json_in_string(json_get(message, "content"));
	TimestampTz time = json_get_time(message, time_keys);

	if (!json_is_object(message))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message is %s", json_type_name(message)),
				 errdetail("It must be an object.")));
	if (time == NO_TIME)
		time = json_get_time(json_get(message, "metadata"), time_keys);
	if (json_get(message, "role") != NULL && json_string_of(json_get(message, "role")) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the role of a message is %s", json_type_name(json_get(message, "role"))),
				 errdetail("It must be a string.")));
	if (word == NULL)
		word = json_get_string(message, "role");
	if (word == NULL)
		word = json_get_string(message, "from");
	if (word == NULL && compose_role(json_get_string(message, "type")) != NULL &&
		json_get(message, "content") != NULL)
		word = json_get_string(message, "type");
	if (word == NULL && json_get_string(message, "type") != NULL)
	{
		read_item(composer, message);
		return;
	}
	if (word == NULL && json_get(message, "parts") != NULL)
		word = "user";
	if (word == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message does not say who speaks"),
				 errdetail("It has neither a role nor a type.")));
	role = compose_role(word);
	if (role != NULL && role[0] == '\0')
	{
		composer->left_out = lappend(composer->left_out, item);
		return;
	}
	if (role == NULL)
		role = "assistant";
	else if (strcmp(role, "function") == 0 && holds_results(content_of(message)))
		role = "tool";
	compose_source(composer, role, json_get_string(message, "id"), time);
	if (compose_role(word) == NULL)
		compose_metadata(composer, "role", json_new_string(word));
	read_keys(composer, message, role);
	if (json_is_object(content) && json_get(content, "format") != NULL)
	{
		/* Mastra keeps its parts in a string */
		read_keys(composer, content, role);
		message = content;
	}
	read_body(composer, message, role);
	compose_keys_alone(composer);
}

/* ---------- one conversation ---------- */

static void
compose_list(Composer *composer, JsonbValue *list)
{
	if (list != NULL && list->type == jbvString)
	{
		compose_source(composer, "user", NULL, NO_TIME);
		compose_content(composer, list);
		return;
	}
	if (json_is_object(list) && json_get(list, "messages") != NULL)
		list = json_get(list, "messages");
	if (json_is_object(list))
	{
		compose_any_message(composer, list);
		return;
	}
	if (!json_is_array(list))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the messages of a conversation are %s", json_type_name(list)),
				 errdetail("They must be a list.")));
	for (int i = 0; i < json_length(list); i++)
	{
		/* rows of a table that holds a message each */
		JsonbValue *item = json_element(list, i);
		JsonbValue *message = json_get(item, "message");

		if (json_is_object(message) && json_get(item, "role") == NULL)
		{
			int			before = list_length(composer->messages);

			compose_any_message(composer, message);
			if (composer->open != NULL)
				composer->open->time = json_get_time(item, time_keys);
			else if (list_length(composer->messages) > before)
				((OutMessage *) llast(composer->messages))->time = json_get_time(item, time_keys);
		}
		else
			compose_any_message(composer, item);
	}
}

/* A page of items comes newest first */
static JsonbValue *
in_order(JsonbValue *entry, JsonbValue *list)
{
	List	   *elements = NIL;
	const char *first = json_get_string(entry, "first_id");

	if (!json_is(json_get(entry, "object"), "list") || json_length(list) < 2 || first == NULL ||
		!(json_is(json_get(json_element(list, 0), "id"), first) &&
		  json_is(json_get(json_element(list, 0), "role"), "assistant")))
		return list;
	for (int i = json_length(list); i-- > 0;)
	{
		JsonbValue *element = json_element(list, i);

		CHECK_FOR_INTERRUPTS();
		if (element != NULL)
			elements = lappend(elements, element);
	}
	return json_from_elements(elements);
}

static Composer *
compose_one(JsonbValue *entry, JsonbValue *list, JsonbValue *answer)
{
	Composer   *composer = compose_begin();

	compose_system(composer, json_get_any(entry, system_keys));
	if (list != NULL)
		compose_list(composer, list);
	if (answer != NULL)
		compose_list(composer, answer);
	compose_end(composer);
	return composer;
}

/* What an answer that is told of with model and usage has used */
static void
read_usage(JsonbValue *entry, Conversation *conversation)
{
	ImportTask *task = palloc0_object(ImportTask);
	List	   *columns = NIL;
	static const char *const created_keys[] = {"created_at", "created", NULL};

	if (!json_is_object(json_get(entry, "usage")) || json_get_string(entry, "model") == NULL)
		return;
	columns = json_add_pair(columns, "model_id", json_get(entry, "model"));
	columns = json_add_pair(columns, "usage", json_get(entry, "usage"));
	columns = json_add_pair(columns, "service_tier", json_get(entry, "service_tier"));
	columns = json_add_pair(columns, "status", json_new_string("completed"));
	task->id = json_get_string(entry, "id");
	task->columns = json_from_pairs(columns);
	task->created_at = json_get_time(entry, created_keys);
	task->completed_at = task->created_at;
	conversation->tasks = list_make1(task);
}

static JsonbValue *
first_of(JsonbValue *entry, const char *const *paths, int count)
{
	JsonbValue *value = NULL;

	for (int i = 0; i < count && value == NULL; i++)
		value = json_get(entry, paths[i]);
	return value;
}

static void
read_about(JsonbValue *entry, Conversation *conversation)
{
	static const char *const created_keys[] = {"createdAt", "created_at", "created", NULL};
	static const char *const updated_keys[] = {"updatedAt", "updated_at", NULL};
	JsonbValue *about = json_is_object(json_get(entry, "thread")) ?
		json_get(entry, "thread") : entry;

	conversation->id = json_string_of(json_get_any(about, id_keys));
	conversation->name = json_string_of(json_get_any(about, name_keys));
	conversation->created_at = json_get_time(about, created_keys);
	conversation->active_at = json_get_time(about, updated_keys);
	conversation->import = list_concat(conversation->import, json_rest(entry, conversation_keys));
	if (about != entry)
		conversation->import = json_add_pair(conversation->import, "thread", about);
}

/* A list of messages, alone or in an object that says more */
void
read_messages(JsonbValue *entry, Conversation *conversation)
{
	JsonbValue *list = entry;
	JsonbValue *answer = NULL;
	JsonbValue *other = NULL;
	Composer   *composer;

	if (json_is_object(entry))
	{
		list = in_order(entry, first_of(entry, list_paths, lengthof(list_paths)));
		answer = first_of(entry, answer_paths, lengthof(answer_paths));
		other = first_of(entry, other_answer_paths, lengthof(other_answer_paths));
		read_about(entry, conversation);
		read_usage(entry, conversation);
		/* an answer alone, or one whose content is the list */
		if (list == NULL ? answer == NULL : json_is(json_get(entry, "type"), "message"))
			list = entry;
	}
	else if (json_length(entry) > 0)
		conversation->id = json_get_string(json_element(entry, 0), "session_id");
	composer = compose_one(entry, list, answer);
	conversation->branches = list_make1(composer);
	if (other != NULL)
		conversation->branches = lappend(conversation->branches, compose_one(entry, list, other));
	if (composer->messages != NIL && conversation->tasks != NIL)
		((OutMessage *) llast(composer->messages))->answers = true;
	if (conversation->format != NULL && strcmp(conversation->format, "sharegpt") == 0 &&
		conversation->name == NULL)
		conversation->name = conversation->id;
}

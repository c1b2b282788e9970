/*
 * compose.c
 *		A branch of a conversation, put together message by message.
 *
 * A message of the source becomes the messages that can be sent to a provider
 * again: an answer that holds calls and their results becomes an assistant
 * message with the calls, a tool message for each result, and the next assistant
 * message.  Guaranteed is:
 *
 * - What is thought is no message of its own: it stands in the "parts" of the
 *	 assistant message that it leads to, or at the end in one that has parts alone.
 * - A text is a string; anything more is a list of parts, as the source has them.
 *	 An assistant message has its text as "content" and all of them as "parts";
 *	 the pieces of an answer that is text alone are one text.
 * - A result names its call: by the id that the source has, or else the first call
 *	 that waits, of its own name before others.  A call without an id gets one.
 * - A message that says nothing is left out.  What a source has beside its
 *	 messages is in the metadata of the first one that comes of each.
 *
 * Nothing is refused, and nothing locked.
 */
#include "import/import.h"

#include "json/json_text.h"
#include "miscadmin.h"

/* What the source's words for who speaks mean; NULL for what is no message */
typedef struct RoleWord
{
	const char *word;
	const char *role;
} RoleWord;

static const RoleWord role_words[] = {
	{"user", "user"}, {"human", "user"},
	{"HumanMessage", "user"}, {"HumanMessageChunk", "user"},
	{"assistant", "assistant"}, {"ai", "assistant"}, {"gpt", "assistant"},
	{"model", "assistant"}, {"chatgpt", "assistant"}, {"bing", "assistant"},
	{"bard", "assistant"}, {"bot", "assistant"}, {"critic", "assistant"},
	{"discriminator", "assistant"}, {"AIMessage", "assistant"}, {"AIMessageChunk", "assistant"},
	{"system", "system"}, {"SystemMessage", "system"}, {"SystemMessageChunk", "system"},
	{"developer", "developer"},
	{"tool", "tool"}, {"observation", "tool"}, {"function_response", "tool"},
	{"tool_response", "tool"}, {"ipython", "tool"}, {"ToolMessage", "tool"},
	{"ToolMessageChunk", "tool"},
	{"function", "function"}, {"FunctionMessage", "function"},
	{"FunctionMessageChunk", "function"},
	{"function_call", "call"}, {"tool_call", "call"},
	{"data", NULL}, {"signal", NULL}, {"remove", NULL}, {"RemoveMessage", NULL},
};

/* Keys of a message by which it says something even without content */
static const char *const telling_keys[] = {
	"refusal", "audio", "function_call", "reasoning_content", "reasoning", "thinking", "error"
};

/*
 * The role that a word means, "call" for a call alone, "" for what is no message;
 * NULL where it is not known.
 */
const char *
compose_role(const char *word)
{
	for (int i = 0; word != NULL && i < lengthof(role_words); i++)
	{
		if (pg_strcasecmp(role_words[i].word, word) == 0)
			return role_words[i].role != NULL ? role_words[i].role : "";
	}
	return NULL;
}

Composer *
compose_begin(void)
{
	Composer   *composer = palloc0_object(Composer);

	composer->time = NO_TIME;
	return composer;
}

/* ---------- the message that is open ---------- */

static void
close_open(Composer *composer)
{
	OutMessage *open = composer->open;

	composer->open = NULL;
	if (open != NULL && (open->parts != NIL || open->calls != NIL || open->says_more))
		composer->messages = lappend(composer->messages, open);
	composer->messages = list_concat(composer->messages, composer->results);
	composer->results = NIL;
}

/* Give the open message what the source's message has beside its content */
static void
take_keys(Composer *composer, OutMessage *message)
{
	ListCell   *cell;

	foreach(cell, composer->keys)
	{
		JsonPair   *pair = lfirst(cell);

		for (int i = 0; i < lengthof(telling_keys); i++)
			message->says_more |= strcmp(pair->key, telling_keys[i]) == 0 &&
				!json_says_nothing(pair->value);
	}
	message->keys = list_concat(message->keys, composer->keys);
	message->metadata = list_concat(message->metadata, composer->metadata);
	composer->keys = NIL;
	composer->metadata = NIL;
}

static OutMessage *
new_message(Composer *composer, const char *role)
{
	OutMessage *message = palloc0_object(OutMessage);

	message->role = role;
	message->id = composer->id;
	if (composer->id != NULL && composer->pieces++ > 0)
		message->id = psprintf("%s.%d", composer->id, composer->pieces);
	message->time = composer->time;
	return message;
}

/* The message that parts of the source's message go into */
static OutMessage *
open_message(Composer *composer)
{
	const char *role = composer->role;

	if (strcmp(role, "tool") == 0)
		role = "assistant";
	if (composer->open == NULL)
		composer->open = new_message(composer, role);
	take_keys(composer, composer->open);
	return composer->open;
}

/*
 * Begin to read a message of the source.  One of the assistant goes on with what
 * is open, where that has neither text nor calls yet.
 */
void
compose_source(Composer *composer, const char *role, const char *id, TimestampTz time)
{
	OutMessage *open = composer->open;
	bool		goes_on = open != NULL && strcmp(open->role, "assistant") == 0 &&
		strcmp(role, "assistant") == 0 && !open->has_text && open->calls == NIL &&
		!open->says_more;

	if (!goes_on && !(strcmp(role, "call") == 0 && open != NULL &&
					  strcmp(open->role, "assistant") == 0))
		close_open(composer);
	composer->role = strcmp(role, "call") == 0 ? "assistant" : role;
	composer->id = id;
	composer->time = time;
	composer->pieces = 0;
	composer->keys = NIL;
	composer->metadata = NIL;
	if (goes_on && id != NULL)
	{
		open->id = id;
		composer->pieces = 1;
	}
	if (goes_on && time != NO_TIME)
		open->time = time;
}

/* A key that the message is to keep */
void
compose_key(Composer *composer, const char *key, JsonbValue *value)
{
	if (!json_says_nothing(value))
		composer->keys = json_add_pair(composer->keys, key, value);
}

/* The same in its metadata */
void
compose_metadata(Composer *composer, const char *key, JsonbValue *value)
{
	if (!json_says_nothing(value))
		composer->metadata = json_add_pair(composer->metadata, key, value);
}

/* A text, with the part that has it where that says more */
void
compose_text(Composer *composer, const char *text, JsonbValue *part)
{
	OutMessage *open;

	if (text == NULL || text[0] == '\0')
		return;
	if (composer->results != NIL)
		close_open(composer);
	open = open_message(composer);
	open->parts = lappend(open->parts, part != NULL ? part : json_new_string(text));
	open->has_text = true;
}

/* Anything else that is said or thought */
void
compose_part(Composer *composer, JsonbValue *part)
{
	OutMessage *open;

	if (composer->results != NIL)
		close_open(composer);
	open = open_message(composer);
	open->parts = lappend(open->parts, part);
}

/* The source's message has been read: its own keys may be all that it says */
void
compose_keys_alone(Composer *composer)
{
	if (composer->keys != NIL && strcmp(composer->role, "assistant") == 0)
		(void) open_message(composer);
}

/* ---------- calls and results ---------- */

/* Enter a call; false where its message has one of that id already */
static bool
enter_call(Composer *composer, OpenCall *call)
{
	OpenCall  **first;
	NamedCalls **named;

	if (composer->calls_by_id == NULL)
	{
		composer->calls_by_id = words_begin();
		composer->calls_by_name = words_begin();
	}
	first = (OpenCall **) words_place(composer->calls_by_id, call->id);
	if (*first != NULL && (*first)->last == composer->open)
		return false;
	if (*first == NULL)
		*first = call;
	(*first)->last = composer->open;
	composer->calls = lappend(composer->calls, call);
	named = (NamedCalls **) words_place(composer->calls_by_name, call->name);
	if (*named == NULL)
		*named = palloc0_object(NamedCalls);
	(*named)->calls = lappend((*named)->calls, call);
	return true;
}

/* What a kind of call is called, where its name stands, and its input */
typedef struct CallKind
{
	const char *type;			/* and the key of what it holds */
	const char *input;
	const char *nothing;		/* for no input */
} CallKind;

static const CallKind function_call = {"function", "arguments", "{}"};
static const CallKind custom_call = {"custom", "input", ""};

static void
add_call(Composer *composer, const CallKind *kind, const char *id, const char *name,
		 JsonbValue *input, JsonbValue *rest, bool joins)
{
	OpenCall   *call = palloc0_object(OpenCall);
	OutMessage *open;
	List	   *inner = NIL;
	List	   *pairs = NIL;

	call->id = id != NULL ? id : psprintf("call_%d", list_length(composer->calls) + 1);
	call->name = name != NULL ? name : "unknown";
	if (!joins && composer->open != NULL && strcmp(composer->open->role, "assistant") != 0)
		close_open(composer);
	open = open_message(composer);
	if (!enter_call(composer, call))
		return;

	inner = json_add_pair(inner, "name", json_new_string(call->name));
	inner = json_add_pair(inner, kind->input,
						  json_new_string(input != NULL ? json_as_text(input) : kind->nothing));
	pairs = json_add_pair(pairs, "id", json_new_string(call->id));
	pairs = json_add_pair(pairs, "type", json_new_string(kind->type));
	pairs = json_add_pair(pairs, kind->type, json_from_pairs(inner));
	if (!json_says_nothing(rest))
		pairs = json_add_pair(pairs, "metadata", rest);
	open->calls = lappend(open->calls, json_from_pairs(pairs));
}

/* A call; joins: it belongs to the calls before it, though it has a message of its own */
void
compose_call(Composer *composer, const char *id, const char *name, JsonbValue *input,
			 JsonbValue *rest, bool joins)
{
	add_call(composer, &function_call, id, name, input, rest, joins);
}

/* The same of one whose input is free text */
void
compose_custom_call(Composer *composer, const char *id, const char *name, JsonbValue *input,
					JsonbValue *rest, bool joins)
{
	add_call(composer, &custom_call, id, name, input, rest, joins);
}

/* The first of these calls that waits for its result; NULL for none */
static OpenCall *
first_waiting(const List *calls, int *first)
{
	while (*first < list_length(calls) && ((OpenCall *) list_nth(calls, *first))->is_answered)
		(*first)++;
	return *first < list_length(calls) ? list_nth(calls, *first) : NULL;
}

/* Which call a result is of: by its id, or else one that waits, or else the last one */
static OpenCall *
find_call(Composer *composer, const char *id, const char *name)
{
	OpenCall   *call = NULL;

	CHECK_FOR_INTERRUPTS();
	if (composer->calls == NIL)
		return NULL;
	if (id != NULL)
		return *words_place(composer->calls_by_id, id);
	if (name != NULL)
	{
		NamedCalls *named = *words_place(composer->calls_by_name, name);

		call = named == NULL ? NULL : first_waiting(named->calls, &named->first_waiting);
	}
	if (call == NULL)
		call = first_waiting(composer->calls, &composer->first_waiting);
	return call != NULL ? call : llast(composer->calls);
}

static OutMessage *
result_message(Composer *composer, const char *id, const char *name, JsonbValue *output,
			   bool is_error)
{
	OpenCall   *call = find_call(composer, id, name);
	bool		is_function = strcmp(composer->role, "function") == 0;
	OutMessage *message = new_message(composer, is_function ? "function" : "tool");

	message->says_more = true;
	message->tool_call_id = id != NULL ? id : call != NULL ? call->id : NULL;
	message->name = name != NULL ? name : call != NULL ? call->name : NULL;
	message->content = json_is_array(output) ? output : json_new_string(json_as_text(output));
	if (is_error)
		message->metadata = json_add_pair(message->metadata, "is_error", json_new_bool(true));
	if (call != NULL)
		call->is_answered = true;
	return message;
}

/* The result of a call */
void
compose_result(Composer *composer, const char *id, const char *name, JsonbValue *output,
			   bool is_error, JsonbValue *rest)
{
	OutMessage *message;

	close_open(composer);
	message = result_message(composer, id, name, output, is_error);
	take_keys(composer, message);
	message->metadata = list_concat(message->metadata, json_pairs(rest));
	composer->messages = lappend(composer->messages, message);
}

/* The result of a call that stands in the call itself: it comes once the step is over */
void
compose_result_later(Composer *composer, const char *id, const char *name, JsonbValue *output,
					 bool is_error)
{
	composer->results = lappend(composer->results,
								result_message(composer, id, name, output, is_error));
}

/* A step of an answer is over: what follows its results is another message */
void
compose_step(Composer *composer)
{
	if (composer->results != NIL)
		close_open(composer);
}

/* The conversation is over */
void
compose_end(Composer *composer)
{
	close_open(composer);
}

/* A system prompt that stands beside the messages: the first one */
void
compose_system(Composer *composer, JsonbValue *content)
{
	JsonbValue *parts = json_get(content, "parts");

	if (json_says_nothing(content))
		return;
	compose_source(composer, "system", NULL, NO_TIME);
	if (parts == NULL && json_get_string(content, "text") != NULL)
		parts = json_get(content, "text");
	compose_content(composer, parts != NULL ? parts : content);
	close_open(composer);
}

/* ---------- what is stored ---------- */

/* The text of a part, where it is nothing but a text */
static char *
plain_text(JsonbValue *part)
{
	return json_string_of(part);
}

static bool
is_plain(const OutMessage *message)
{
	ListCell   *cell;

	foreach(cell, message->parts)
	{
		if (plain_text(lfirst(cell)) == NULL)
			return false;
	}
	return true;
}

/* All parts, texts among them as parts */
static JsonbValue *
parts_array(const OutMessage *message)
{
	List	   *elements = NIL;
	ListCell   *cell;

	foreach(cell, message->parts)
	{
		JsonbValue *part = lfirst(cell);

		if (part->type == jbvString)
		{
			List	   *pairs = json_add_pair(NIL, "type", json_new_string("text"));

			part = json_from_pairs(json_add_pair(pairs, "text", part));
		}
		elements = lappend(elements, part);
	}
	return json_from_elements(elements);
}

/* What is said, without what is thought: the text of all parts */
static char *
spoken_text(const OutMessage *message)
{
	StringInfoData out;
	ListCell   *cell;

	initStringInfo(&out);
	foreach(cell, message->parts)
	{
		JsonbValue *part = lfirst(cell);
		char	   *text = json_string_of(part);

		if (text == NULL)
			text = part_spoken_text(part);
		if (text != NULL)
			appendStringInfoString(&out, text);
	}
	return out.data;
}

static List *
add_content(const OutMessage *message, List *pairs)
{
	bool		is_answer = strcmp(message->role, "assistant") == 0;

	if (message->content != NULL)
		return json_add_pair(pairs, "content", message->content);
	if (is_plain(message) && (is_answer || list_length(message->parts) <= 1))
		return message->parts == NIL ? pairs :
			json_add_pair(pairs, "content", list_length(message->parts) == 1 ?
						  linitial(message->parts) : json_new_string(spoken_text(message)));
	if (!is_answer)
		return json_add_pair(pairs, "content", parts_array(message));
	if (message->has_text)
		pairs = json_add_pair(pairs, "content", json_new_string(spoken_text(message)));
	return json_add_pair(pairs, "parts", parts_array(message));
}

/* "2026-11-27T10:00:00.000Z" */
static char *
time_string(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec, (int) (fsec / 1000));
}

/* The message as it is stored */
Jsonb *
compose_message(const OutMessage *message, const char *id, TimestampTz time)
{
	List	   *pairs = list_copy(message->keys);

	pairs = json_add_pair(pairs, "role", json_new_string(message->role));
	pairs = json_add_pair(pairs, "id", json_new_string(id));
	pairs = add_content(message, pairs);
	if (message->calls != NIL)
		pairs = json_add_pair(pairs, "tool_calls", json_from_elements(message->calls));
	pairs = json_add_pair(pairs, "tool_call_id", json_new_string(message->tool_call_id));
	pairs = json_add_pair(pairs, "name", json_new_string(message->name));
	if (time != NO_TIME)
		pairs = json_add_pair(pairs, "timestamp", json_new_string(time_string(time)));
	if (message->metadata != NIL)
		pairs = json_add_pair(pairs, "metadata", json_from_pairs(message->metadata));
	return JsonbValueToJsonb(json_from_pairs(pairs));
}

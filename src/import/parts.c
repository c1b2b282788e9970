/*
 * parts.c
 *		The parts of a message, of whichever system.
 *
 * What a part is, its type tells, or for Gemini's the key that it has; both stand
 * in tables.  A text, a call that the client runs and a result are read; all else
 * is kept as it is, in its place: what was thought, pictures and files, what the
 * provider runs by itself, and types that nobody knows yet.  Of those, one that has a
 * text says it.
 *
 * PT422 for a part that is neither a string nor an object: then the conversation
 * is not what it seems to be.  A null is passed over.  No lock is taken.
 */
#include "import/import.h"

#include "miscadmin.h"

typedef enum PartKind
{
	PART_TEXT,
	PART_THOUGHT,
	PART_CALL,
	PART_CUSTOM_CALL,			/* its input is free text */
	PART_RESULT,
	PART_CALL_AND_RESULT,		/* by its state */
	PART_STEP,					/* between two steps */
	PART_KEPT
} PartKind;

/* A type of part and where it keeps what; NULL where that is not said */
typedef struct PartType
{
	const char *type;			/* or its beginning, or its end */
	enum
	{
		WHOLE, BEGINS, ENDS
	}			match;
	PartKind	kind;
	const char *inner;			/* an object that holds the rest */
	const char *id;
	const char *name;
	const char *value;			/* the text, the input, the output */
	const char *other;			/* where value has none */
} PartType;

/* The first that fits counts */
static const PartType part_types[] = {
	{"text", WHOLE, PART_TEXT, NULL, NULL, NULL, "text", "content"},
	{"input_text", WHOLE, PART_TEXT, NULL, NULL, NULL, "text", NULL},
	{"output_text", WHOLE, PART_TEXT, NULL, NULL, NULL, "text", NULL},
	{"reasoning", WHOLE, PART_THOUGHT, NULL, NULL, NULL, NULL, NULL},
	{"reasoning_text", WHOLE, PART_THOUGHT, NULL, NULL, NULL, NULL, NULL},
	{"summary_text", WHOLE, PART_THOUGHT, NULL, NULL, NULL, NULL, NULL},
	{"thinking", WHOLE, PART_THOUGHT, NULL, NULL, NULL, NULL, NULL},
	{"redacted_thinking", WHOLE, PART_THOUGHT, NULL, NULL, NULL, NULL, NULL},
	{"think", WHOLE, PART_THOUGHT, NULL, NULL, NULL, NULL, NULL},
	{"step-start", WHOLE, PART_STEP, NULL, NULL, NULL, NULL, NULL},
	/* Anthropic, Claude */
	{"tool_use", WHOLE, PART_CALL, NULL, "id", "name", "input", NULL},
	{"tool_result", WHOLE, PART_RESULT, NULL, "tool_use_id", "name", "content", NULL},
	/* AI SDK */
	{"tool-call", WHOLE, PART_CALL, NULL, "toolCallId", "toolName", "input", "args"},
	{"tool-result", WHOLE, PART_RESULT, NULL, "toolCallId", "toolName", "output", "result"},
	{"tool-invocation", WHOLE, PART_CALL_AND_RESULT, "toolInvocation", "toolCallId", "toolName",
	"args", NULL},
	{"dynamic-tool", WHOLE, PART_CALL_AND_RESULT, NULL, "toolCallId", "toolName", "input",
	"rawInput"},
	{"tool-approval-request", WHOLE, PART_KEPT, NULL, NULL, NULL, NULL, NULL},
	{"tool-approval-response", WHOLE, PART_KEPT, NULL, NULL, NULL, NULL, NULL},
	{"data-", BEGINS, PART_KEPT, NULL, NULL, NULL, NULL, NULL},
	{"tool-", BEGINS, PART_CALL_AND_RESULT, NULL, "toolCallId", NULL, "input", "rawInput"},
	/* LibreChat, OpenTelemetry, LangChain */
	{"tool_call", WHOLE, PART_CALL_AND_RESULT, "tool_call", "id", "name", "args", "arguments"},
	{"tool_call_response", WHOLE, PART_RESULT, NULL, "id", "name", "response", "result"},
	/* OpenAI's Responses */
	{"function_call", WHOLE, PART_CALL, NULL, "call_id", "name", "arguments", NULL},
	{"custom_tool_call", WHOLE, PART_CUSTOM_CALL, NULL, "call_id", "name", "input", NULL},
	{"computer_call", WHOLE, PART_CALL, NULL, "call_id", "type", "action", "actions"},
	{"local_shell_call", WHOLE, PART_CALL, NULL, "call_id", "type", "action", NULL},
	{"shell_call", WHOLE, PART_CALL, NULL, "call_id", "type", "action", NULL},
	{"apply_patch_call", WHOLE, PART_CALL, NULL, "call_id", "type", "operation", NULL},
	{"function_call_output", WHOLE, PART_RESULT, NULL, "call_id", NULL, "output", NULL},
	{"custom_tool_call_output", WHOLE, PART_RESULT, NULL, "call_id", NULL, "output", NULL},
	{"computer_call_output", WHOLE, PART_RESULT, NULL, "call_id", NULL, "output", NULL},
	{"local_shell_call_output", WHOLE, PART_RESULT, NULL, "call_id", NULL, "output", NULL},
	{"shell_call_output", WHOLE, PART_RESULT, NULL, "call_id", NULL, "output", NULL},
	{"apply_patch_call_output", WHOLE, PART_RESULT, NULL, "call_id", NULL, "output", NULL},
};

/* Parts without a type, known by a key that holds them */
static const PartType part_keys[] = {
	{"functionCall", WHOLE, PART_CALL, "functionCall", "id", "name", "args", NULL},
	{"function_call", WHOLE, PART_CALL, "function_call", "id", "name", "args", NULL},
	{"functionResponse", WHOLE, PART_RESULT, "functionResponse", "id", "name", "response", NULL},
	{"function_response", WHOLE, PART_RESULT, "function_response", "id", "name", "response", NULL},
};

/* Keys whose values are kept as they are, by which such a part is typed */
static const char *const kept_keys[] = {
	"inlineData", "inline_data", "fileData", "file_data", "executableCode", "executable_code",
	"codeExecutionResult", "code_execution_result", "toolCall", "toolResponse"
};

/* Keys of a text that say nothing that matters of it */
static const char *const text_keys[] = {
	"type", "text", "content", "start_timestamp", "stop_timestamp", "state", "uuid", NULL
};

static const char *const result_keys[] = {
	"type", "tool_use_id", "toolCallId", "call_id", "name", "toolName", "content", "output",
	"response", "result", "is_error", "functionResponse", "function_response", NULL
};

static const char *const call_keys[] = {
	"type", "id", "toolCallId", "call_id", "name", "toolName", "input", "args", "arguments",
	"functionCall", "function_call", "output", "result", "tool_call", "toolInvocation", NULL
};

static const PartType *
type_of(const char *type)
{
	for (int i = 0; i < lengthof(part_types); i++)
	{
		const PartType *known = &part_types[i];

		if (known->match == BEGINS ? strncmp(type, known->type, strlen(known->type)) == 0 :
			strcmp(type, known->type) == 0)
			return known;
	}
	return NULL;
}

static const PartType *
type_by_key(JsonbValue *part)
{
	for (int i = 0; i < lengthof(part_keys); i++)
	{
		if (json_is_object(json_get(part, part_keys[i].inner)))
			return &part_keys[i];
	}
	return NULL;
}

/* A text, which may be an object that holds it; with the part, where that says more */
static void
read_text(Composer *composer, const PartType *type, JsonbValue *part)
{
	JsonbValue *value = json_get(part, type->value);

	if (value == NULL && type->other != NULL)
		value = json_get(part, type->other);
	if (json_is_object(value))
		value = json_get(value, "value");
	else if (json_rest(part, text_keys) != NIL)
	{
		compose_text(composer, json_string_of(value), part);
		return;
	}
	compose_text(composer, json_string_of(value), NULL);
}

/* Kinds of values that an output of the AI SDK may have; the last ones are errors */
static const char *const output_kinds[] = {
	"text", "json", "content", "error-text", "error-json", "execution-denied"
};

#define FIRST_ERROR_KIND	3

/* An output of the AI SDK says what kind of value it has; the value may be null */
static JsonbValue *
unwrap_output(JsonbValue *output, bool *is_error)
{
	JsonbValue *type = json_get(output, "type");

	for (int i = 0; i < lengthof(output_kinds); i++)
	{
		JsonbValue *value = json_get(output, "value");

		if (!json_is(type, output_kinds[i]))
			continue;
		*is_error |= i >= FIRST_ERROR_KIND;
		return value != NULL ? value : json_get(output, "reason");
	}
	return output;
}

/* What Gemini's response has beside it, its media, goes behind it */
static JsonbValue *
with_response_parts(JsonbValue *output, JsonbValue *parts)
{
	List	   *elements;
	List	   *text;

	if (json_length(parts) == 0)
		return output;
	text = json_add_pair(NIL, "type", json_new_string("text"));
	text = json_add_pair(text, "text", json_new_string(json_as_text(output)));
	elements = list_make1(json_from_pairs(text));
	for (int i = 0; i < json_length(parts); i++)
		elements = lappend(elements, json_element(parts, i));
	return json_from_elements(elements);
}

static void
read_result(Composer *composer, const PartType *type, JsonbValue *part)
{
	JsonbValue *inner = type->inner != NULL ? json_get(part, type->inner) : part;
	JsonbValue *output = json_get(inner, type->value);
	bool		is_error = json_get_bool(inner, "is_error") || json_get_bool(inner, "isError");

	if (output == NULL && type->other != NULL)
		output = json_get(inner, type->other);
	if (strcmp(type->type, "tool-result") == 0)
		output = unwrap_output(output, &is_error);
	if (inner != part)
		output = with_response_parts(output, json_get(inner, "parts"));
	compose_result(composer, json_get_string(inner, type->id),
				   type->name != NULL ? json_get_string(inner, type->name) : NULL,
				   output, is_error, json_from_pairs(json_rest(part, result_keys)));
}

static const char *
call_name(const PartType *type, JsonbValue *part, JsonbValue *inner)
{
	if (type->match == BEGINS)
		return json_get_string(part, "type") + strlen(type->type);
	return json_get_string(inner, type->name);
}

static void
read_call(Composer *composer, const PartType *type, JsonbValue *part, JsonbValue *inner)
{
	JsonbValue *input = json_get(inner, type->value);

	if (input == NULL && type->other != NULL)
		input = json_get(inner, type->other);
	(type->kind == PART_CUSTOM_CALL ? compose_custom_call : compose_call)
		(composer, json_get_string(inner, type->id), call_name(type, part, inner), input,
		 json_from_pairs(json_rest(part, call_keys)), true);
}

/* A call that has its result with it, if it has one yet: its state says so, or a value */
static void
read_call_and_result(Composer *composer, const PartType *type, JsonbValue *part)
{
	JsonbValue *inner = type->inner != NULL ? json_get(part, type->inner) : part;
	JsonbValue *state;
	JsonbValue *output;
	const char *id;

	if (!json_is_object(inner))
		inner = part;
	state = json_get(inner, "state");
	id = json_get_string(inner, type->id);
	if (json_get_bool(part, "providerExecuted") || json_is(state, "input-streaming") ||
		json_is(state, "partial-call"))
	{
		compose_part(composer, part);
		return;
	}
	read_call(composer, type, part, inner);
	if (json_get_bool(part, "preliminary"))
		return;
	if (json_is(state, "output-error"))
		output = json_get(inner, "errorText");
	else if (json_is(state, "output-denied"))
		output = json_get_path(inner, "approval.reason");
	else
	{
		output = json_get(inner, "output");
		if (output == NULL)
			output = json_get(inner, "result");
		/* a tool that has returned nothing has returned */
		if (output == NULL && !json_is(state, "output-available") && !json_is(state, "result"))
			return;
	}
	compose_result_later(composer, id, call_name(type, part, inner), output,
						 json_is(state, "output-error") || json_is(state, "output-denied"));
}

/* Is a part without a type what was thought? */
static bool
is_thought(JsonbValue *part)
{
	return json_get_bool(part, "thought") || json_get_bool(part, "isThought");
}

/* What a part says, of whichever type; NULL for what says nothing, or was thought */
char *
part_spoken_text(JsonbValue *part)
{
	const char *word = json_get_string(part, "type");
	const PartType *type = word != NULL ? type_of(word) : NULL;
	char	   *text = json_get_string(part, "text");

	if (type == NULL)
		return is_thought(part) ? NULL : text;
	if (type->kind != PART_TEXT)
		return NULL;
	return text != NULL ? text : json_get_string(part, "content");
}

/* A part that is kept: with a type, so that who reads it knows what it is */
static void
keep_part(Composer *composer, JsonbValue *part)
{
	const char *type = json_get_string(part, "type");
	char	   *text = part_spoken_text(part);

	if (type == NULL && is_thought(part))
		type = "reasoning";
	for (int i = 0; type == NULL && i < lengthof(kept_keys); i++)
	{
		if (json_get(part, kept_keys[i]) != NULL)
			type = kept_keys[i];
	}
	if (type == NULL)
		type = json_get_string(part, "content_type");
	part = json_with_type(part, type != NULL ? type : "unknown");
	if (text != NULL)
		compose_text(composer, text, part);
	else
		compose_part(composer, part);
}

/* A part, whatever it is */
void
compose_any_part(Composer *composer, JsonbValue *part)
{
	const char *type_word = json_get_string(part, "type");
	const PartType *type;

	if (part == NULL)
		return;
	if (part->type == jbvString)
	{
		compose_text(composer, json_string_of(part), NULL);
		return;
	}
	if (!json_is_object(part))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a part of a message is %s", json_type_name(part)),
				 errdetail("Parts are strings and objects.")));
	type = type_word != NULL ? type_of(type_word) : type_by_key(part);
	if (type == NULL && type_word == NULL && json_get(part, "text") != NULL &&
		!is_thought(part) && json_get(part, "content_type") == NULL)
		type = &part_types[0];

	switch (type == NULL ? PART_KEPT : type->kind)
	{
		case PART_TEXT:
			read_text(composer, type, part);
			break;
		case PART_CALL:
		case PART_CUSTOM_CALL:
			if (json_get_bool(part, "providerExecuted"))
				keep_part(composer, part);
			else
				read_call(composer, type, part,
						  type->inner != NULL ? json_get(part, type->inner) : part);
			break;
		case PART_RESULT:
			if (json_get_bool(part, "providerExecuted"))
				keep_part(composer, part);
			else
				read_result(composer, type, part);
			break;
		case PART_CALL_AND_RESULT:
			read_call_and_result(composer, type, part);
			break;
		case PART_STEP:
			compose_step(composer);
			break;
		case PART_THOUGHT:
		case PART_KEPT:
			keep_part(composer, part);
			break;
	}
}

/* The content of a message: a string, a part, or a list of either */
void
compose_content(Composer *composer, JsonbValue *content)
{
	check_stack_depth();
	if (content == NULL)
		return;
	if (!json_is_array(content))
	{
		if (content->type != jbvString && !json_is_object(content))
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("the content of a message is %s", json_type_name(content)),
					 errdetail("It must be a string or a list of parts.")));
		compose_any_part(composer, content);
		return;
	}
	for (int i = 0; i < json_length(content); i++)
		compose_any_part(composer, json_element(content, i));
}

/*
 * message_parts.c
 *		The parts of one message, whichever provider or library has shaped it.
 *
 * Read are the shapes of OpenAI (chat and Responses), Anthropic, Gemini, the AI
 * SDK, LangChain and OpenTelemetry.  Which type of a part means what stands in the table
 * of part_types.c, and the keys under which the shapes have the same thing here.  What
 * is not known is a text where it has one, and else kept as PART_OTHER.  Images,
 * sounds and files are read by part_media.c.  Nothing is locked and nothing refused.
 */
#include "export/convert.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"

/* The keys under which the shapes have the same thing, the likeliest first */
static const char *const id_keys[] = {
	"call_id", "tool_call_id", "tool_use_id", "toolCallId", "id", NULL
};
static const char *const name_keys[] = {"name", "toolName", "tool_name", NULL};
static const char *const argument_keys[] = {"arguments", "input", "args", "rawInput", NULL};
static const char *const output_keys[] = {
	"output", "content", "response", "result", "errorText", NULL
};
static const char *const reasoning_keys[] = {
	"thinking", "text", "reasoning", "think", "content", "summary", "thoughts", NULL
};

/* Objects within a part in which providers, by their names, have what they have signed */
static const char *const signature_objects[] = {
	"providerMetadata", "callProviderMetadata", "providerOptions", "extra_content"
};

/* A proof, whose it is, and where: within such an object, or in the part itself */
typedef struct SignaturePlace
{
	const char *provider;		/* NULL: in the part itself */
	const char *key;
	Origin		origin;
	bool		is_redacted;	/* it is what was thought, encrypted */
} SignaturePlace;

static const SignaturePlace signature_places[] = {
	{NULL, "thoughtSignature", ORIGIN_GEMINI, false},
	{NULL, "thought_signature", ORIGIN_GEMINI, false},
	{"anthropic", "signature", ORIGIN_ANTHROPIC, false},
	{"anthropic", "redactedData", ORIGIN_ANTHROPIC, true},
	{"google", "thoughtSignature", ORIGIN_GEMINI, false},
	{"google", "thought_signature", ORIGIN_GEMINI, false},
	{"vertex", "thoughtSignature", ORIGIN_GEMINI, false},
	{"googleVertex", "thoughtSignature", ORIGIN_GEMINI, false},
	{"openai", "reasoningEncryptedContent", ORIGIN_RESPONSES, false},
};

/* The first of the keys that has a value, or jbvNull */
static JsonbValue
first_of(JsonbContainer *object, const char *const *keys)
{
	JsonbValue	value = {.type = jbvNull};

	for (; *keys != NULL; keys++)
	{
		if (jsonb_field(object, *keys, &value))
			return value;
	}
	return (JsonbValue) {.type = jbvNull};
}

static bool
is_true(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return jsonb_field(object, key, &value) && value.type == jbvBool && value.val.boolean;
}

static Part *
new_part(PartKind kind, Origin origin, JsonbContainer *container)
{
	Part	   *part = palloc0_object(Part);

	CHECK_FOR_INTERRUPTS();		/* whoever reads a message comes here */
	part->kind = kind;
	part->origin = origin;
	if (container != NULL)
	{
		part->raw.type = jbvBinary;
		part->raw.val.binary.data = container;
	}
	return part;
}

/* A text that stands outside of parts */
static Part *
text_part(const JsonbValue *string)
{
	Part	   *part = new_part(PART_TEXT, ORIGIN_ANY, NULL);

	part->text = *string;
	return part;
}

/* A text in an object's "text": a string, or an object that has it under "value" */
static JsonbValue
text_within(JsonbContainer *object, const char *const *keys)
{
	static const char *const value_keys[] = {"value", "text", NULL};
	JsonbValue	value = first_of(object, keys);

	if (jsonb_is_object(&value))
		value = first_string(value.val.binary.data, value_keys);
	return value.type == jbvString ? value : (JsonbValue) {.type = jbvNull};
}

static void
append_paragraph(StringInfo out, const JsonbValue *text)
{
	if (text->type != jbvString || text->val.string.len == 0)
		return;
	if (out->len > 0)
		appendStringInfoString(out, "\n\n");
	appendBinaryStringInfo(out, text->val.string.val, text->val.string.len);
}

/* The texts of an array of parts, with empty lines between them; a thought has a heading */
JsonbValue
joined_texts(const JsonbValue *array)
{
	static const char *const keys[][2] = {{"summary"}, {"text"}, {"content"}};
	StringInfoData joined;
	int			count = JsonContainerSize(array->val.binary.data);

	initStringInfo(&joined);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	element = *getIthJsonbValueFromContainer(array->val.binary.data, i);

		append_paragraph(&joined, &element);
		for (int k = 0; jsonb_is_object(&element) && k < lengthof(keys); k++)
		{
			JsonbValue	text = text_within(element.val.binary.data, keys[k]);

			append_paragraph(&joined, &text);
		}
	}
	if (joined.len == 0)
		return (JsonbValue) {.type = jbvNull};
	return string_value(joined.data, joined.len);
}

/* What proves a part that this provider has signed, where there is such a thing */
static void
read_signature(Part *part, JsonbContainer *object)
{
	JsonbContainer *within = object;

	for (int i = 0; i < lengthof(signature_places); i++)
	{
		const SignaturePlace *place = &signature_places[i];
		const char *const key[] = {place->key, NULL};

		for (int k = 0; k < (place->provider == NULL ? 1 : lengthof(signature_objects)); k++)
		{
			JsonbValue	found;

			if (place->provider != NULL &&
				((within = object_at(object, signature_objects[k])) == NULL ||
				 (within = object_at(within, place->provider)) == NULL))
				continue;
			found = first_string(within, key);
			if (!is_present(&found))
				continue;
			part->signature = found;
			part->origin = place->origin;
			part->is_redacted = place->is_redacted;
			return;
		}
	}
}

static void
read_text(Part *part, JsonbContainer *object)
{
	static const char *const keys[] = {"text", "refusal", "content", NULL};
	JsonbValue	notes;

	part->text = text_within(object, keys);
	part->is_refusal = jsonb_has_field(object, "refusal");
	if (jsonb_field(object, "citations", &notes) && jsonb_is_array(&notes))
		part->origin = ORIGIN_ANTHROPIC;
	else if (!jsonb_field(object, "annotations", &notes) || !jsonb_is_array(&notes))
		return;
	part->notes = notes;
}

static void
read_reasoning(Part *part, JsonbContainer *object)
{
	static const char *const reasoning_signatures[] = {
		"encrypted_content", "signature", NULL
	};
	JsonbValue	value = first_string(object, reasoning_keys);

	part->text = value;
	for (int i = 0; reasoning_keys[i] != NULL && !is_present(&part->text); i++)
	{
		if (jsonb_field(object, reasoning_keys[i], &value) && jsonb_is_array(&value))
			part->text = joined_texts(&value);
	}
	if (!is_present(&part->text))
		part->text = text_within(object, reasoning_keys);
	part->signature = first_string(object, reasoning_signatures);
	if (!is_present(&part->signature) && part->origin == ORIGIN_ANTHROPIC &&
		jsonb_field(object, "data", &value) && value.type == jbvString)
	{
		part->signature = value;
		part->is_redacted = true;
	}
	if (part->origin == ORIGIN_RESPONSES && !jsonb_has_field(object, "encrypted_content") &&
		!jsonb_has_field(object, "summary"))
		part->origin = ORIGIN_ANY;	/* others call it reasoning, too */
	read_signature(part, object);
}

/* A call; its function or custom object may hold name and arguments */
static void
read_call(Part *part, JsonbContainer *object)
{
	JsonbContainer *inner = object_at(object, "function");
	JsonbContainer *metadata = object_at(object, "metadata");

	part->id = first_string(object, id_keys);
	if (inner == NULL && (inner = object_at(object, "custom")) != NULL)
		part->is_custom = true;
	if (inner == NULL)
		inner = object;
	part->name = first_string(inner, name_keys);
	part->value = first_of(inner, argument_keys);
	read_signature(part, object);
	/* airun_import() keeps there what a call has beside */
	if (!is_present(&part->signature) && metadata != NULL)
		read_signature(part, metadata);
}

/* What the AI SDK wraps an output in: {type, value} */
static void
unwrap_output(Part *part)
{
	static const char *const types[] = {
		"text", "json", "content", "error-text", "error-json", "execution-denied"
	};
	JsonbValue	type;
	JsonbValue	value;

	if (part->origin != ORIGIN_AI_SDK || !jsonb_is_object(&part->value) ||
		!jsonb_field(part->value.val.binary.data, "type", &type))
		return;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (!jsonb_string_is(&type, types[i]))
			continue;
		part->is_error |= i > 2;
		if (!jsonb_field(part->value.val.binary.data, "value", &value) &&
			!jsonb_field(part->value.val.binary.data, "reason", &value))
			value.type = jbvNull;
		part->value = value;
		return;
	}
}

/* The parts of an output, where it is an array of texts and media alone */
static void
read_output_parts(Part *part)
{
	int			count = jsonb_is_array(&part->value) ?
		JsonContainerSize(part->value.val.binary.data) : 0;

	for (int i = 0; i < count; i++)
	{
		Part	   *inner = read_part(getIthJsonbValueFromContainer(part->value.val.binary.data,
																	i));

		if (inner == NULL || (inner->kind != PART_TEXT && inner->kind != PART_MEDIA))
		{
			part->parts = NIL;
			return;
		}
		part->parts = lappend(part->parts, inner);
	}
	/* they are all of it, even where they are none; a tool of the AI SDK returns any list */
	if (jsonb_is_array(&part->value) && (count > 0 || part->origin != ORIGIN_AI_SDK))
		part->value.type = jbvNull;
}

static void
read_result(Part *part, JsonbContainer *object)
{
	JsonbContainer *metadata = object_at(object, "metadata");
	JsonbValue	status;

	part->id = first_string(object, id_keys);
	part->name = first_string(object, name_keys);
	part->value = first_of(object, output_keys);
	part->is_error = is_true(object, "is_error") || is_true(object, "isError") ||
		(metadata != NULL && is_true(metadata, "is_error")) ||
		(jsonb_field(object, "status", &status) && jsonb_string_is(&status, "error"));
	unwrap_output(part);
	read_output_parts(part);
	read_response_parts(part, object);
}

/*
 * What a tool of the AI SDK has returned: its state says whether it has, and then
 * even nothing is a result.  False where it has not.
 */
static bool
read_tool_output(Part *result, JsonbContainer *object)
{
	static const char *const value_keys[] = {"output", "result", NULL};
	static const char *const error_keys[] = {"errorText", NULL};
	static const char *const reason_keys[] = {"reason", NULL};
	JsonbContainer *approval = object_at(object, "approval");
	JsonbValue	state = {.type = jbvNull};

	(void) jsonb_field(object, "state", &state);
	if (jsonb_string_is(&state, "output-denied"))
	{
		result->is_error = true;
		if (approval != NULL)
			result->value = first_string(approval, reason_keys);
		if (!is_present(&result->value))
			result->value = string_value(pstrdup("denied"), strlen("denied"));
		return true;
	}
	result->value = first_of(object, value_keys);
	result->is_error = jsonb_string_is(&state, "output-error") ||
		(!is_present(&result->value) && jsonb_has_field(object, "errorText"));
	if (result->is_error && jsonb_has_field(object, "errorText"))
		result->value = first_of(object, error_keys);
	return is_present(&result->value) || result->is_error ||
		jsonb_string_is(&state, "output-available") || jsonb_string_is(&state, "result");
}

/* A tool part of the AI SDK: the call, and its result where there is one */
static Part *
read_tool_part(JsonbContainer *object, const JsonbValue *type)
{
	JsonbContainer *invocation = object_at(object, "toolInvocation");
	Part	   *call;
	Part	   *result;

	if (invocation != NULL)
		object = invocation;
	if (is_true(object, "providerExecuted"))
		return new_part(PART_OTHER, ORIGIN_AI_SDK, object);
	call = new_part(PART_CALL, ORIGIN_AI_SDK, object);
	read_call(call, object);
	if (string_begins(type, "tool-") && !is_present(&call->name))
	{
		call->name = *type;
		call->name.val.string.val += strlen("tool-");
		call->name.val.string.len -= strlen("tool-");
	}
	result = new_part(PART_RESULT, ORIGIN_AI_SDK, object);
	if (!read_tool_output(result, object))
		return call;
	result->id = call->id;
	result->name = call->name;
	read_output_parts(result);
	call->result = result;
	return call;
}

/* A part of Gemini, which has no type: what it is, its key says */
static Part *
read_untyped_part(JsonbContainer *object)
{
	static const struct
	{
		const char *key;
		PartKind	kind;
	}			keys[] = {
		{"functionCall", PART_CALL}, {"function_call", PART_CALL},
		{"functionResponse", PART_RESULT}, {"function_response", PART_RESULT},
		{"inlineData", PART_MEDIA}, {"inline_data", PART_MEDIA},
		{"fileData", PART_MEDIA}, {"file_data", PART_MEDIA},
	};
	static const char *const text_keys[] = {"text", NULL};
	Part	   *part;

	for (int i = 0; i < lengthof(keys); i++)
	{
		JsonbContainer *inner = object_at(object, keys[i].key);

		if (inner == NULL)
			continue;
		part = new_part(keys[i].kind, ORIGIN_GEMINI, object);
		if (part->kind == PART_CALL)
			read_call(part, inner);
		else if (part->kind == PART_RESULT)
			read_result(part, inner);
		else
			read_media(part, object);
		read_signature(part, object);
		return part;
	}
	part = new_part(PART_TEXT, ORIGIN_ANY, object);
	part->text = text_within(object, text_keys);
	if (!is_present(&part->text))
	{
		part->kind = PART_OTHER;
		part->origin = ORIGIN_GEMINI;
	}
	else if (is_true(object, "thought"))
	{
		part->kind = PART_REASONING;
		part->origin = ORIGIN_GEMINI;
	}
	read_signature(part, object);
	return part;
}

/* What is in the object, by its type, is read */
static void
read_by_kind(Part *part, JsonbContainer *object)
{
	switch (part->kind)
	{
		case PART_TEXT:
			read_text(part, object);
			read_signature(part, object);
			break;
		case PART_REASONING:
			read_reasoning(part, object);
			break;
		case PART_CALL:
			read_call(part, object);
			break;
		case PART_RESULT:
			read_result(part, object);
			break;
		case PART_MEDIA:
			read_media(part, object);
			read_signature(part, object);
			if (!media_has_content(part) && is_present(&part->text))
				part->kind = PART_TEXT;
			break;
		case PART_OTHER:
			break;
	}
}

/* An element of a message's content or parts; NULL for none */
Part *
read_part(const JsonbValue *value)
{
	const PartType *known;
	JsonbContainer *object;
	JsonbValue	type;
	Part	   *part;

	check_stack_depth();
	if (value->type == jbvString)
		return text_part(value);
	if (!jsonb_is_object(value))
		return NULL;
	object = value->val.binary.data;
	if (!jsonb_field(object, "type", &type) || type.type != jbvString)
		return read_untyped_part(object);
	known = part_type_of(&type);
	if (known != NULL)
	{
		part = new_part(known->kind, known->origin, object);
		read_by_kind(part, object);
		return part;
	}
	if (string_begins(&type, "tool-") || jsonb_string_is(&type, "dynamic-tool"))
		return read_tool_part(object, &type);
	if (jsonb_string_is(&type, "step-start"))
		return NULL;
	return new_part(PART_OTHER,
					string_begins(&type, "data-") ? ORIGIN_AI_SDK : ORIGIN_ANY, object);
}

/*
 * A part of a message itself.  Media of which nothing is there are like a part that
 * nobody knows, but for who has shaped them; and one that nobody knows is a text, where
 * it has one.
 */
static Part *
said_part(Part *part)
{
	static const char *const keys[] = {"text", NULL};

	if (part == NULL)
		return NULL;
	if (part->kind == PART_MEDIA && !media_has_content(part))
	{
		if (!media_is_own(part, ORIGIN_ANTHROPIC))
			part->origin = ORIGIN_ANY;
		part->kind = PART_OTHER;
	}
	else if (part->kind == PART_OTHER && part->origin == ORIGIN_ANY)
	{
		part->text = text_within(part->raw.val.binary.data, keys);
		if (is_present(&part->text))
			part->kind = PART_TEXT;
	}
	return part;
}

/* What the AI SDK 4 has of Anthropic's thoughts, each with its proof; NIL for none */
static List *
read_reasoning_details(const Part *whole)
{
	List	   *parts = NIL;
	JsonbValue	details;
	int			count = whole->kind == PART_REASONING && whole->raw.type == jbvBinary &&
		jsonb_field(whole->raw.val.binary.data, "details", &details) && jsonb_is_array(&details) ?
		JsonContainerSize(details.val.binary.data) : 0;

	for (int i = 0; i < count; i++)
	{
		JsonbValue *detail = getIthJsonbValueFromContainer(details.val.binary.data, i);
		Part	   *part;

		if (!jsonb_is_object(detail))
			return NIL;
		part = new_part(PART_REASONING, ORIGIN_ANTHROPIC, detail->val.binary.data);
		read_reasoning(part, detail->val.binary.data);
		parts = lappend(parts, part);
	}
	return parts;
}

static List *
read_parts(List *parts, const JsonbValue *array)
{
	int			count = JsonContainerSize(array->val.binary.data);

	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array->val.binary.data, i);
		Part	   *part = said_part(read_part(element));
		List	   *details = part != NULL ? read_reasoning_details(part) : NIL;

		if (details != NIL)
			parts = list_concat(parts, details);
		else if (part != NULL)
			parts = lappend(parts, part);
	}
	return parts;
}

/* Does one of the parts have this kind? */
static bool
has_part(List *parts, PartKind kind)
{
	ListCell   *cell;

	foreach(cell, parts)
	{
		if (((Part *) lfirst(cell))->kind == kind)
			return true;
	}
	return false;
}

/* The calls that stand beside the content; those in it are not repeated */
static List *
read_calls(List *parts, JsonbContainer *message)
{
	JsonbValue	calls;
	JsonbContainer *legacy = object_at(message, "function_call");

	if (jsonb_field(message, "tool_calls", &calls) && jsonb_is_array(&calls))
	{
		HTAB	   *ids = words_begin();
		ListCell   *cell;

		foreach(cell, parts)
		{
			Part	   *part = lfirst(cell);

			if (part->kind == PART_CALL && is_present(&part->id))
				*words_place_of(ids, &part->id) = part;
		}
		for (int i = 0; i < (int) JsonContainerSize(calls.val.binary.data); i++)
		{
			JsonbValue *call = getIthJsonbValueFromContainer(calls.val.binary.data, i);
			Part	   *part;

			if (!jsonb_is_object(call))
				continue;
			part = new_part(PART_CALL, ORIGIN_OPENAI, call->val.binary.data);
			read_call(part, call->val.binary.data);
			if (!is_present(&part->id) || *words_place_of(ids, &part->id) == NULL)
				parts = lappend(parts, part);
		}
	}
	else if (legacy != NULL)
	{
		Part	   *part = new_part(PART_CALL, ORIGIN_OPENAI, legacy);

		read_call(part, legacy);
		parts = lappend(parts, part);
	}
	return parts;
}

/* What the model thought, where it stands beside the content */
static List *
read_reasoning_beside(JsonbContainer *message)
{
	static const char *const keys[] = {"reasoning_content", "reasoning", "thinking", NULL};
	JsonbValue	text = first_string(message, keys);
	Part	   *part;

	if (!is_present(&text) || text.val.string.len == 0)
		return NIL;
	part = new_part(PART_REASONING, ORIGIN_ANY, NULL);
	part->text = text;
	return list_make1(part);
}

/* Files that stand beside the content, as those of the AI SDK 4 do */
static List *
read_attachments(List *parts, JsonbContainer *message)
{
	static const char *const keys[] = {"experimental_attachments", "attachments"};
	JsonbValue	files;

	for (int k = 0; k < lengthof(keys); k++)
	{
		int			count = jsonb_field(message, keys[k], &files) && jsonb_is_array(&files) ?
			JsonContainerSize(files.val.binary.data) : 0;

		for (int i = 0; i < count; i++)
		{
			JsonbValue *file = getIthJsonbValueFromContainer(files.val.binary.data, i);
			Part	   *part;

			if (!jsonb_is_object(file))
				continue;
			part = new_part(PART_MEDIA, ORIGIN_ANY, file->val.binary.data);
			read_by_kind(part, file->val.binary.data);
			parts = lappend(parts, said_part(part));
		}
	}
	return parts;
}

/* What the model has said by voice, where there are no words beside it */
static List *
read_voice(List *parts, JsonbContainer *message)
{
	static const char *const keys[] = {"transcript", NULL};
	JsonbContainer *audio = object_at(message, "audio");
	JsonbValue	text = {.type = jbvNull};
	ListCell   *cell;

	if (audio != NULL)
		text = first_string(audio, keys);
	foreach(cell, parts)
	{
		if (part_has_text(lfirst(cell)))
			return parts;
	}
	return is_present(&text) ? lappend(parts, text_part(&text)) : parts;
}

/* Is the whole message one part: an item, or the result of a tool? */
static Part *
whole_message_part(JsonbContainer *message, List *content)
{
	static const char *const own_id_keys[] = {
		"tool_call_id", "call_id", "tool_use_id", "toolCallId", NULL
	};
	JsonbValue	role;
	JsonbValue	type;
	JsonbValue	self = {.type = jbvBinary};
	Part	   *part;

	self.val.binary.data = message;
	if (jsonb_field(message, "type", &type) && type.type == jbvString &&
		!jsonb_string_is(&type, "function") && !jsonb_string_is(&type, "custom"))
	{
		part = read_part(&self);
		if (part != NULL && part->kind != PART_TEXT && part->kind != PART_MEDIA &&
			(part->kind != PART_OTHER || part->origin == ORIGIN_RESPONSES))
			return part;
	}
	if (!jsonb_field(message, "role", &role) ||
		(!jsonb_string_is(&role, "tool") && !jsonb_string_is(&role, "function")) ||
		has_part(content, PART_RESULT))
		return NULL;
	part = new_part(PART_RESULT, ORIGIN_OPENAI, message);
	read_result(part, message);
	part->id = first_string(message, own_id_keys);
	return part;
}

/*
 * The parts of a message, in order: what the model thought, what it said, and
 * what it called.
 */
List *
message_parts(JsonbContainer *message)
{
	JsonbValue	content = {.type = jbvNull};
	JsonbValue	own_parts;
	JsonbValue	refusal;
	List	   *parts = NIL;
	Part	   *whole;

	(void) jsonb_field(message, "content", &content);
	if (jsonb_field(message, "parts", &own_parts) && jsonb_is_array(&own_parts))
		parts = read_parts(NIL, &own_parts);
	if (jsonb_is_array(&content) && parts == NIL)
		parts = read_parts(NIL, &content);
	whole = whole_message_part(message, parts);
	if (whole != NULL)
		return list_make1(whole);
	if (!has_part(parts, PART_REASONING))
		parts = list_concat(read_reasoning_beside(message), parts);
	if (!has_part(parts, PART_TEXT))
	{
		if (content.type == jbvString)
			parts = lappend(parts, text_part(&content));
		else if (jsonb_is_object(&content))
		{
			Part	   *part = said_part(read_part(&content));

			if (part != NULL)
				parts = lappend(parts, part);
		}
	}
	parts = read_voice(parts, message);
	parts = read_attachments(parts, message);
	if (jsonb_field(message, "refusal", &refusal) && refusal.type == jbvString)
	{
		Part	   *part = text_part(&refusal);

		part->is_refusal = true;
		parts = lappend(parts, part);
	}
	return read_calls(parts, message);
}

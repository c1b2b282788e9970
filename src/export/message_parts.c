/*
 * message_parts.c
 *		The parts of one message, whichever provider or library has shaped it.
 *
 * Read are the shapes of OpenAI (chat and Responses), Anthropic, Gemini, the AI
 * SDK, LangChain and OpenTelemetry.  Which type of a part means what stands in a
 * table, and so do the keys under which the shapes have the same thing.  What
 * is not known is kept as PART_OTHER.  Nothing is locked and nothing refused.
 */
#include "export/convert.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"

/* What a type of a part means */
typedef struct PartType
{
	const char *type;
	PartKind	kind;
	Origin		origin;
} PartType;

static const PartType part_types[] = {
	{"text", PART_TEXT, ORIGIN_ANY},
	{"input_text", PART_TEXT, ORIGIN_RESPONSES},
	{"output_text", PART_TEXT, ORIGIN_RESPONSES},
	{"refusal", PART_TEXT, ORIGIN_OPENAI},
	{"thinking", PART_REASONING, ORIGIN_ANTHROPIC},
	{"redacted_thinking", PART_REASONING, ORIGIN_ANTHROPIC},
	{"reasoning", PART_REASONING, ORIGIN_RESPONSES},
	{"reasoning_text", PART_REASONING, ORIGIN_ANY},
	{"summary_text", PART_REASONING, ORIGIN_ANY},
	{"think", PART_REASONING, ORIGIN_ANY},
	{"tool_use", PART_CALL, ORIGIN_ANTHROPIC},
	{"tool-call", PART_CALL, ORIGIN_AI_SDK},
	{"tool_call", PART_CALL, ORIGIN_ANY},
	{"function_call", PART_CALL, ORIGIN_RESPONSES},
	{"custom_tool_call", PART_CALL, ORIGIN_RESPONSES},
	{"function", PART_CALL, ORIGIN_OPENAI},
	{"custom", PART_CALL, ORIGIN_OPENAI},
	{"tool_result", PART_RESULT, ORIGIN_ANTHROPIC},
	{"tool-result", PART_RESULT, ORIGIN_AI_SDK},
	{"tool_call_response", PART_RESULT, ORIGIN_ANY},
	{"function_call_output", PART_RESULT, ORIGIN_RESPONSES},
	{"custom_tool_call_output", PART_RESULT, ORIGIN_RESPONSES},
	{"image_url", PART_MEDIA, ORIGIN_OPENAI},
	{"input_audio", PART_MEDIA, ORIGIN_OPENAI},
	{"file", PART_MEDIA, ORIGIN_ANY},
	{"image", PART_MEDIA, ORIGIN_ANY},
	{"document", PART_MEDIA, ORIGIN_ANTHROPIC},
	{"input_image", PART_MEDIA, ORIGIN_RESPONSES},
	{"input_file", PART_MEDIA, ORIGIN_RESPONSES},
	{"blob", PART_MEDIA, ORIGIN_ANY},
	{"uri", PART_MEDIA, ORIGIN_ANY},
	{"inlineData", PART_MEDIA, ORIGIN_GEMINI},
	{"inline_data", PART_MEDIA, ORIGIN_GEMINI},
	{"fileData", PART_MEDIA, ORIGIN_GEMINI},
	{"file_data", PART_MEDIA, ORIGIN_GEMINI},
	{"server_tool_use", PART_OTHER, ORIGIN_ANTHROPIC},
	{"mcp_tool_use", PART_OTHER, ORIGIN_ANTHROPIC},
	{"mcp_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"web_search_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"web_fetch_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"code_execution_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"bash_code_execution_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"text_editor_code_execution_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"tool_search_tool_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"search_result", PART_OTHER, ORIGIN_ANTHROPIC},
	{"container_upload", PART_OTHER, ORIGIN_ANTHROPIC},
	{"web_search_call", PART_OTHER, ORIGIN_RESPONSES},
	{"file_search_call", PART_OTHER, ORIGIN_RESPONSES},
	{"code_interpreter_call", PART_OTHER, ORIGIN_RESPONSES},
	{"image_generation_call", PART_OTHER, ORIGIN_RESPONSES},
	{"computer_call", PART_OTHER, ORIGIN_RESPONSES},
	{"computer_call_output", PART_OTHER, ORIGIN_RESPONSES},
	{"local_shell_call", PART_OTHER, ORIGIN_RESPONSES},
	{"local_shell_call_output", PART_OTHER, ORIGIN_RESPONSES},
	{"shell_call", PART_OTHER, ORIGIN_RESPONSES},
	{"shell_call_output", PART_OTHER, ORIGIN_RESPONSES},
	{"apply_patch_call", PART_OTHER, ORIGIN_RESPONSES},
	{"apply_patch_call_output", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_call", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_list_tools", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_approval_request", PART_OTHER, ORIGIN_RESPONSES},
	{"mcp_approval_response", PART_OTHER, ORIGIN_RESPONSES},
	{"compaction", PART_OTHER, ORIGIN_RESPONSES},
	{"source-url", PART_OTHER, ORIGIN_AI_SDK},
	{"source-document", PART_OTHER, ORIGIN_AI_SDK},
};

/* The keys under which the shapes have the same thing, the likeliest first */
static const char *const id_keys[] = {
	"call_id", "tool_call_id", "tool_use_id", "toolCallId", "id", NULL
};
static const char *const name_keys[] = {"name", "toolName", "tool_name", NULL};
static const char *const argument_keys[] = {"arguments", "input", "args", "rawInput", NULL};
static const char *const output_keys[] = {
	"output", "content", "response", "result", "errorText", NULL
};
static const char *const mime_keys[] = {
	"mimeType", "mime_type", "mediaType", "media_type", NULL
};
static const char *const url_keys[] = {
	"url", "image_url", "file_url", "fileUri", "file_uri", "uri", "image", NULL
};
static const char *const data_keys[] = {"data", "file_data", "content", NULL};
static const char *const file_id_keys[] = {"file_id", NULL};
static const char *const filename_keys[] = {"filename", "file_name", "title", NULL};
static const char *const signature_keys[] = {
	"signature", "thoughtSignature", "thought_signature", NULL
};

static const char *const reasoning_keys[] = {
	"thinking", "text", "reasoning", "think", "content", "summary", NULL
};

/* Objects within a part that hold what the part is about */
static const char *const media_objects[] = {
	"image_url", "input_audio", "file", "source", "inlineData", "inline_data", "fileData",
	"file_data", NULL
};

/* Is there a value? */
bool
is_present(const JsonbValue *value)
{
	return value->type != jbvNull;
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

/* The object under the key */
static JsonbContainer *
object_at(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (!jsonb_field(object, key, &value) || !is_object(&value))
		return NULL;
	return value.val.binary.data;
}

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

/* The same of strings alone */
static JsonbValue
first_string(JsonbContainer *object, const char *const *keys)
{
	JsonbValue	value;

	for (; *keys != NULL; keys++)
	{
		if (jsonb_field(object, *keys, &value) && value.type == jbvString)
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

static bool
string_begins(const JsonbValue *value, const char *beginning)
{
	int			len = strlen(beginning);

	return value->type == jbvString && value->val.string.len >= len &&
		memcmp(value->val.string.val, beginning, len) == 0;
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

	if (is_object(&value))
		value = first_string(value.val.binary.data, value_keys);
	return value.type == jbvString ? value : (JsonbValue) {.type = jbvNull};
}

/* The texts of an array of parts, with empty lines between them */
static JsonbValue
joined_texts(const JsonbValue *array)
{
	static const char *const keys[] = {"text", NULL};
	StringInfoData joined;
	JsonbValue	element;
	JsonbValue	result = {.type = jbvNull};
	int			count = JsonContainerSize(array->val.binary.data);

	initStringInfo(&joined);
	for (int i = 0; i < count; i++)
	{
		element = *getIthJsonbValueFromContainer(array->val.binary.data, i);
		if (is_object(&element))
			element = text_within(element.val.binary.data, keys);
		if (element.type != jbvString)
			continue;
		if (joined.len > 0)
			appendStringInfoString(&joined, "\n\n");
		appendBinaryStringInfo(&joined, element.val.string.val, element.val.string.len);
	}
	if (joined.len == 0)
		return result;
	result.type = jbvString;
	result.val.string.val = joined.data;
	result.val.string.len = joined.len;
	return result;
}

static void
read_text(Part *part, JsonbContainer *object)
{
	static const char *const keys[] = {"text", "refusal", "content", NULL};
	JsonbValue	notes;

	part->text = text_within(object, keys);
	part->is_refusal = jsonb_has_field(object, "refusal");
	if (jsonb_field(object, "citations", &notes) && is_array(&notes))
		part->origin = ORIGIN_ANTHROPIC;
	else if (!jsonb_field(object, "annotations", &notes) || !is_array(&notes))
		return;
	part->notes = notes;
}

/* Where the AI SDK keeps what a provider has signed */
static void
read_provider_metadata(Part *part, JsonbContainer *object)
{
	static const struct
	{
		const char *provider;
		const char *key;
		Origin		origin;
	}			places[] = {
		{"anthropic", "signature", ORIGIN_ANTHROPIC},
		{"google", "thoughtSignature", ORIGIN_GEMINI},
		{"openai", "reasoningEncryptedContent", ORIGIN_RESPONSES},
	};
	JsonbContainer *metadata = object_at(object, "providerMetadata");

	if (metadata == NULL)
		metadata = object_at(object, "callProviderMetadata");
	if (metadata == NULL)
		metadata = object_at(object, "providerOptions");
	if (metadata == NULL)
		return;
	for (int i = 0; i < lengthof(places); i++)
	{
		JsonbContainer *own = object_at(metadata, places[i].provider);

		if (own != NULL && jsonb_field(own, places[i].key, &part->signature) &&
			part->signature.type == jbvString)
		{
			part->origin = places[i].origin;
			return;
		}
		part->signature.type = jbvNull;
	}
}

static void
read_reasoning(Part *part, JsonbContainer *object)
{
	JsonbValue	value = first_string(object, reasoning_keys);

	part->text = value;
	for (int i = 0; reasoning_keys[i] != NULL && !is_present(&part->text); i++)
	{
		if (jsonb_field(object, reasoning_keys[i], &value) && is_array(&value))
			part->text = joined_texts(&value);
	}
	if (!is_present(&part->text))
		part->text = text_within(object, reasoning_keys);
	part->signature = first_string(object, signature_keys);
	if (jsonb_field(object, "encrypted_content", &value) && value.type == jbvString)
		part->signature = value;
	else if (part->origin == ORIGIN_RESPONSES && !jsonb_has_field(object, "summary"))
		part->origin = ORIGIN_ANY;	/* others call it reasoning, too */
	read_provider_metadata(part, object);
}

/* A call; its function or custom object may hold name and arguments */
static void
read_call(Part *part, JsonbContainer *object)
{
	JsonbContainer *inner = object_at(object, "function");

	part->id = first_string(object, id_keys);
	if (inner == NULL && (inner = object_at(object, "custom")) != NULL)
		part->is_custom = true;
	if (inner == NULL)
		inner = object;
	part->name = first_string(inner, name_keys);
	part->value = first_of(inner, argument_keys);
	part->signature = first_string(object, signature_keys);
	read_provider_metadata(part, object);
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

	if (part->origin != ORIGIN_AI_SDK || !is_object(&part->value) ||
		!jsonb_field(part->value.val.binary.data, "type", &type))
		return;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (!jsonb_string_is(&type, types[i]))
			continue;
		part->is_error |= i > 2;
		if (jsonb_field(part->value.val.binary.data, "value", &value) ||
			jsonb_field(part->value.val.binary.data, "reason", &value))
			part->value = value;
		return;
	}
}

static Part *read_part(const JsonbValue *value);

/* The parts of an output, where it is an array of texts and media alone */
static void
read_output_parts(Part *part)
{
	int			count = is_array(&part->value) ?
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
}

/* Take a data URL apart */
static void
split_data_url(Part *part)
{
	const char *url = part->url.val.string.val;
	int			len = part->url.val.string.len;
	const char *comma;
	const char *semicolon;

	if (!string_begins(&part->url, "data:") || (comma = memchr(url, ',', len)) == NULL)
		return;
	semicolon = memchr(url, ';', comma - url);
	if (semicolon == NULL || comma - semicolon != 7 || memcmp(semicolon, ";base64", 7) != 0)
		return;
	part->data.type = part->mime.type = jbvString;
	part->data.val.string.val = unconstify(char *, comma + 1);
	part->data.val.string.len = len - (comma + 1 - url);
	part->mime.val.string.val = unconstify(char *, url + 5);
	part->mime.val.string.len = semicolon - url - 5;
	part->url.type = jbvNull;
}

static void
read_media_keys(Part *part, JsonbContainer *object)
{
	const struct
	{
		JsonbValue *value;
		const char *const *keys;
	}			fields[] = {
		{&part->mime, mime_keys},
		{&part->data, data_keys},
		{&part->url, url_keys},
		{&part->file_id, file_id_keys},
		{&part->filename, filename_keys},
	};

	for (int i = 0; i < lengthof(fields); i++)
	{
		if (!is_present(fields[i].value))
			*fields[i].value = first_string(object, fields[i].keys);
	}
}

/* The type that the "format" of a sound means */
static void
read_format(Part *part, JsonbContainer *object)
{
	static const char *const types[][2] = {{"mp3", "audio/mpeg"}, {"wav", "audio/wav"}};
	JsonbValue	format;

	if (is_present(&part->mime) || !jsonb_field(object, "format", &format))
		return;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (!jsonb_string_is(&format, types[i][0]))
			continue;
		part->mime.type = jbvString;
		part->mime.val.string.val = unconstify(char *, types[i][1]);
		part->mime.val.string.len = strlen(types[i][1]);
	}
}

static void
read_media(Part *part, JsonbContainer *object)
{
	read_media_keys(part, object);
	for (int i = 0; media_objects[i] != NULL; i++)
	{
		JsonbContainer *inner = object_at(object, media_objects[i]);

		if (inner == NULL)
			continue;
		read_media_keys(part, inner);
		read_format(part, inner);
	}
	/* OpenAI's files have a URL as their data; base64 has no colon */
	if (part->data.type == jbvString &&
		memchr(part->data.val.string.val, ':', part->data.val.string.len) != NULL)
	{
		part->url = part->data;
		part->data.type = jbvNull;
	}
	if (is_present(&part->url))
		split_data_url(part);
}

/* A tool part of the AI SDK: the call, and its result where there is one */
static Part *
read_tool_part(JsonbContainer *object, const JsonbValue *type)
{
	JsonbContainer *invocation = object_at(object, "toolInvocation");
	Part	   *call;
	Part	   *result;
	JsonbValue	value;

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

	if (!jsonb_field(object, "output", &value) && !jsonb_field(object, "result", &value) &&
		!jsonb_field(object, "errorText", &value))
	{
		JsonbContainer *approval = object_at(object, "approval");

		if (!jsonb_field(object, "state", &value) || !jsonb_string_is(&value, "output-denied"))
			return call;
		if (approval == NULL || !jsonb_field(approval, "reason", &value))
			value.val.string.val = "denied", value.val.string.len = strlen("denied");
		value.type = jbvString;
	}
	result = new_part(PART_RESULT, ORIGIN_AI_SDK, object);
	result->id = call->id;
	result->name = call->name;
	result->value = value;
	result->is_error = !jsonb_has_field(object, "output") && !jsonb_has_field(object, "result");
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
			read_media_keys(part, inner);
		part->signature = first_string(object, signature_keys);
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
	part->signature = first_string(object, signature_keys);
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
			break;
		case PART_OTHER:
			break;
	}
}

/* An element of a message's content or parts; NULL for none */
static Part *
read_part(const JsonbValue *value)
{
	JsonbContainer *object;
	JsonbValue	type;
	Part	   *part;

	if (value->type == jbvString)
		return text_part(value);
	if (!is_object(value))
		return NULL;
	object = value->val.binary.data;
	if (!jsonb_field(object, "type", &type) || type.type != jbvString)
		return read_untyped_part(object);
	for (int i = 0; i < lengthof(part_types); i++)
	{
		if (!jsonb_string_is(&type, part_types[i].type))
			continue;
		part = new_part(part_types[i].kind, part_types[i].origin, object);
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

static List *
read_parts(List *parts, const JsonbValue *array)
{
	int			count = JsonContainerSize(array->val.binary.data);

	for (int i = 0; i < count; i++)
	{
		Part	   *part = read_part(getIthJsonbValueFromContainer(array->val.binary.data, i));

		if (part != NULL)
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

	if (jsonb_field(message, "tool_calls", &calls) && is_array(&calls))
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

			if (!is_object(call))
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
	if (jsonb_field(message, "parts", &own_parts) && is_array(&own_parts))
		parts = read_parts(NIL, &own_parts);
	if (is_array(&content) && parts == NIL)
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
		else if (is_object(&content))
		{
			Part	   *part = read_part(&content);

			if (part != NULL)
				parts = lappend(parts, part);
		}
	}
	if (jsonb_field(message, "refusal", &refusal) && refusal.type == jbvString)
	{
		Part	   *part = text_part(&refusal);

		part->is_refusal = true;
		parts = lappend(parts, part);
	}
	return read_calls(parts, message);
}

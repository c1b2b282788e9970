/*
 * provider_arrays.c
 *		A conversation as the array of messages that a provider takes.
 *
 * OpenAI chat, OpenAI Responses, Anthropic and Gemini.  Written are only keys
 * that the provider knows:
 *
 * - Results follow their calls at once: as messages of their own, as items, or all
 *	 in the one message that follows.
 * - Anthropic and Gemini have what the system says apart, and no neighbours of
 *	 one role.
 * - What only one provider takes (its signed reasoning, the tools that it runs) is
 *	 written for that one alone, as it was sent; and so are the media that have its shape.
 *
 * For a request, no signature of another provider and no unsigned reasoning is
 * written, and Anthropic's and Gemini's array begins with a user.  Nothing is locked
 * and nothing refused, but a text beyond 1 GB (54000).
 */
#include "export/convert.h"

#include "json/jsonb_util.h"

/* A part as it was sent, without what belongs to that one request */
static void
own_part(StringInfo out, const Part *part)
{
	json_next(out);
	json_object_without(out, part->raw.val.binary.data, "cache_control", "timestamp");
}

/* What a part has under a key of its provider's, or where airun_import() keeps it */
static bool
key_beside(const Part *part, const char *key, JsonbValue *value)
{
	JsonbContainer *metadata;

	if (part->raw.type != jbvBinary)
		return false;
	if (jsonb_field(part->raw.val.binary.data, key, value))
		return true;
	metadata = part->kind == PART_CALL ? object_at(part->raw.val.binary.data, "metadata") : NULL;
	return metadata != NULL && jsonb_field(metadata, key, value);
}

/* What a result says beside its parts, as a text; blank for nothing */
static Part
text_beside_parts(const Part *result)
{
	Part		beside = {.kind = PART_TEXT};
	Part		value = *result;
	StringInfoData text;

	value.parts = NIL;
	initStringInfo(&text);
	text_of_result(&text, &value);
	beside.text = string_value(text.data, text.len);
	return beside;
}

/* ---------- OpenAI chat ---------- */

static void
chat_media(StringInfo out, const Part *part)
{
	char	   *url = media_url(part);

	if (!media_has_content(part))
		return;
	if (media_is_own(part, ORIGIN_OPENAI))
	{
		own_part(out, part);
		return;
	}
	json_next(out);
	if (media_is_image(part) && url != NULL)
	{
		appendStringInfoString(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":");
		json_string(out, url);
	}
	else if (media_begins(part, "audio/") && part->data.type == jbvString)
	{
		appendStringInfoString(out, "{\"type\":\"input_audio\",\"input_audio\":{\"data\":");
		json_value(out, &part->data);
		json_field(out, "format", media_begins(part, "audio/mp") ? "mp3" : "wav");
	}
	else
	{
		appendStringInfoString(out, "{\"type\":\"file\",\"file\":{");
		json_present(out, "file_id", &part->file_id);
		if (url != NULL)
			json_field(out, "file_data", url);
		json_present(out, "filename", &part->filename);
	}
	appendStringInfoString(out, "}}");
}

static void
chat_content(StringInfo out, const Utterance *utterance)
{
	bool		with_media = utterance->speaker == SPEAKER_USER &&
		utterance_has(utterance, PART_MEDIA);
	ListCell   *cell;
	int			texts = 0;
	Part	   *only = NULL;

	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part_has_text(part) && !part->is_refusal)
		{
			texts++;
			only = part;
		}
	}
	json_key(out, "content");
	if (texts == 1 && !with_media)
		json_value(out, &only->text);
	else if (texts == 0 && !with_media)
		appendStringInfoString(out, utterance->speaker == SPEAKER_ASSISTANT &&
							   utterance_has(utterance, PART_CALL) ? "null" : "\"\"");
	else
	{
		appendStringInfoChar(out, '[');
		foreach(cell, utterance->parts)
		{
			Part	   *part = lfirst(cell);

			if (part->kind == PART_MEDIA && with_media)
				chat_media(out, part);
			if (!part_has_text(part) || part->is_refusal)
				continue;
			json_next(out);
			appendStringInfoString(out, "{\"type\":\"text\",\"text\":");
			json_value(out, &part->text);
			appendStringInfoChar(out, '}');
		}
		appendStringInfoChar(out, ']');
	}
}

static void
chat_call(StringInfo out, const Part *call)
{
	json_next(out);
	appendStringInfoString(out, "{\"id\":");
	json_value(out, &call->id);
	json_field(out, "type", call->is_custom ? "custom" : "function");
	json_key(out, call->is_custom ? "custom" : "function");
	appendStringInfoChar(out, '{');
	json_name(out, &call->name);
	json_key(out, call->is_custom ? "input" : "arguments");
	if (is_present(&call->value))
		json_text_of(out, &call->value);
	else
		json_string(out, "{}");
	appendStringInfoString(out, "}}");
}

static void
chat_result(StringInfo out, const Part *result)
{
	json_next(out);
	appendStringInfoString(out, "{\"role\":\"tool\",\"tool_call_id\":");
	json_value(out, &result->id);
	json_key(out, "content");
	json_result_text(out, result);
	appendStringInfoChar(out, '}');
}

static void
chat_message(StringInfo out, const Utterance *utterance)
{
	static const char *const roles[] = {"system", "developer", "user", "assistant"};
	ListCell   *cell;

	json_next(out);
	appendStringInfo(out, "{\"role\":\"%s\"", roles[utterance->speaker]);
	chat_content(out, utterance);
	if (is_present(&utterance->name))
		json_name(out, &utterance->name);
	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind == PART_TEXT && part->is_refusal)
		{
			json_present(out, "refusal", &part->text);
			break;
		}
	}
	if (utterance_has(utterance, PART_CALL))
	{
		json_key(out, "tool_calls");
		appendStringInfoChar(out, '[');
		foreach(cell, utterance->parts)
		{
			if (((Part *) lfirst(cell))->kind == PART_CALL)
				chat_call(out, lfirst(cell));
		}
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

static void
chat_array(StringInfo out, Conversation *conversation)
{
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);

		if (utterance->speaker == SPEAKER_DATA)
			continue;
		if (utterance->speaker != SPEAKER_TOOL &&
			(utterance->parts == NIL || utterance_has(utterance, PART_TEXT) ||
			 utterance_has(utterance, PART_CALL) || utterance_has(utterance, PART_MEDIA)))
			chat_message(out, utterance);
		foreach(inner, utterance->parts)
		{
			Part	   *part = lfirst(inner);

			if (part->kind == PART_RESULT)
				chat_result(out, part);
			else if (part->kind == PART_CALL && part->result != NULL)
				chat_result(out, part->result);
		}
	}
}

/* ---------- OpenAI Responses ---------- */

static void
responses_content(StringInfo out, const Part *part, Speaker speaker, bool for_request)
{
	char	   *url;

	if (part_has_text(part))
	{
		json_next(out);
		appendStringInfo(out, "{\"type\":\"%s\",\"%s\":",
						 part->is_refusal ? "refusal" :
						 speaker == SPEAKER_ASSISTANT ? "output_text" : "input_text",
						 part->is_refusal ? "refusal" : "text");
		json_value(out, &part->text);
		if (!for_request && part->origin == ORIGIN_RESPONSES)
			json_present(out, "annotations", &part->notes);
		appendStringInfoChar(out, '}');
	}
	if (part->kind != PART_MEDIA || speaker == SPEAKER_ASSISTANT)
		return;
	url = media_url(part);
	if (url == NULL && !is_present(&part->file_id))
		return;
	if (media_is_own(part, ORIGIN_RESPONSES))
	{
		own_part(out, part);
		return;
	}
	json_next(out);
	appendStringInfo(out, "{\"type\":\"%s\"", media_is_image(part) ? "input_image" : "input_file");
	json_present(out, "file_id", &part->file_id);
	if (url != NULL)
		json_field(out, media_is_image(part) ? "image_url" :
				   part->data.type == jbvString ? "file_data" : "file_url", url);
	if (!media_is_image(part))
		json_present(out, "filename", &part->filename);
	appendStringInfoChar(out, '}');
}

static void
responses_call(StringInfo out, const Part *call)
{
	JsonbValue	name_space;

	json_next(out);
	appendStringInfo(out, "{\"type\":\"%s\"",
					 call->is_custom ? "custom_tool_call" : "function_call");
	json_present(out, "call_id", &call->id);
	json_name(out, &call->name);
	if (key_beside(call, "namespace", &name_space) && name_space.type == jbvString)
		json_present(out, "namespace", &name_space);
	json_key(out, call->is_custom ? "input" : "arguments");
	if (is_present(&call->value))
		json_text_of(out, &call->value);
	else
		json_string(out, "{}");
	appendStringInfoChar(out, '}');
}

static void
responses_result(StringInfo out, const Part *result, bool is_custom)
{
	ListCell   *cell;

	json_next(out);
	appendStringInfo(out, "{\"type\":\"%s\"",
					 is_custom ? "custom_tool_call_output" : "function_call_output");
	json_present(out, "call_id", &result->id);
	json_key(out, "output");
	if (result->parts == NIL)
		json_result_text(out, result);
	else
	{
		Part		beside = text_beside_parts(result);

		appendStringInfoChar(out, '[');
		responses_content(out, &beside, SPEAKER_TOOL, true);
		foreach(cell, result->parts)
		{
			responses_content(out, lfirst(cell), SPEAKER_TOOL, true);
		}
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

/* Reasoning: with its proof for a request, and with the text of others else */
static void
responses_reasoning(StringInfo out, const Part *part, bool for_request)
{
	bool		is_signed = part_is_signed(part, ORIGIN_RESPONSES);

	if (!is_signed && (for_request || !is_present(&part->text)))
		return;
	json_next(out);
	appendStringInfoString(out, "{\"type\":\"reasoning\",\"summary\":[");
	if (is_present(&part->text))
	{
		appendStringInfoString(out, "{\"type\":\"summary_text\",\"text\":");
		json_value(out, &part->text);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ']');
	if (is_signed)
		json_present(out, "encrypted_content", &part->signature);
	appendStringInfoChar(out, '}');
}

/* Texts and media of an utterance from a part on, up to what is an item itself */
static void
responses_message(StringInfo out, const Utterance *utterance, int from, bool for_request)
{
	static const char *const roles[] = {"system", "developer", "user", "assistant", "user"};

	json_next(out);
	appendStringInfo(out, "{\"type\":\"message\",\"role\":\"%s\"", roles[utterance->speaker]);
	json_present(out, "phase", &utterance->phase);
	json_key(out, "content");
	appendStringInfoChar(out, '[');
	for (int i = from; i < list_length(utterance->parts); i++)
	{
		Part	   *part = list_nth(utterance->parts, i);

		if (part->kind != PART_TEXT && part->kind != PART_MEDIA)
			break;
		responses_content(out, part, utterance->speaker, for_request);
	}
	appendStringInfoString(out, "]}");
}

static void
responses_utterance(StringInfo out, const Utterance *utterance, bool for_request)
{
	bool		in_message = false;
	ListCell   *cell;

	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		switch (part->kind)
		{
			case PART_TEXT:
			case PART_MEDIA:
				if (!in_message && (part_has_text(part) || part->kind == PART_MEDIA))
				{
					responses_message(out, utterance, foreach_current_index(cell), for_request);
					in_message = true;
				}
				continue;
			case PART_REASONING:
				responses_reasoning(out, part, for_request);
				break;
			case PART_CALL:
				responses_call(out, part);
				break;
			case PART_RESULT:
				responses_result(out, part, false);
				break;
			case PART_OTHER:
				if (part->origin != ORIGIN_RESPONSES)
					break;
				/* as it was sent, without what airun has added to make a message of it */
				json_next(out);
				json_object_without(out, part->raw.val.binary.data, "role", "timestamp");
				break;
		}
		in_message = false;
	}
	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind == PART_CALL && part->result != NULL)
			responses_result(out, part->result, part->is_custom);
	}
}

/* ---------- Anthropic and Gemini: what they share ---------- */

/*
 * An array whose messages alternate between two roles: messages of one role that
 * follow one another become one.
 */
typedef struct Alternating
{
	StringInfo	out;
	const char *role;			/* of the message that is open; NULL for none */
	const char *content_key;
	bool		for_request;
	int			start;			/* where its content begins */
	int			begin;			/* where it begins itself */
} Alternating;

/* End the message that is open; one without content is taken back */
static void
end_message(Alternating *array)
{
	if (array->role == NULL)
		return;
	if (array->out->len == array->start)
	{
		array->out->len = array->begin;
		array->out->data[array->begin] = '\0';
	}
	else
		appendStringInfoString(array->out, "]}");
	array->role = NULL;
}

/* Have a message of this role open */
static void
speak(Alternating *array, const char *role)
{
	if (array->role != NULL && strcmp(array->role, role) == 0)
		return;
	end_message(array);
	array->begin = array->out->len;
	json_next(array->out);
	appendStringInfo(array->out, "{\"role\":\"%s\",\"%s\":[", role, array->content_key);
	array->start = array->out->len;
	array->role = role;
}

/* ---------- Anthropic ---------- */

static void
anthropic_media(StringInfo out, const Part *part)
{
	const JsonbValue *reference = is_present(&part->data) ? &part->data :
		is_present(&part->url) ? &part->url : &part->file_id;

	if (!is_present(reference))
		return;
	if (media_is_own(part, ORIGIN_ANTHROPIC))
	{
		own_part(out, part);
		return;
	}
	json_next(out);
	appendStringInfo(out, "{\"type\":\"%s\",\"source\":{",
					 media_is_image(part) ? "image" : "document");
	json_field(out, "type", reference == &part->data ? "base64" :
			   reference == &part->url ? "url" : "file");
	if (reference == &part->data)
		json_present(out, "media_type", &part->mime);
	json_present(out, reference == &part->data ? "data" :
				 reference == &part->url ? "url" : "file_id", reference);
	appendStringInfoChar(out, '}');
	if (!media_is_image(part))
		json_present(out, "title", &part->filename);
	appendStringInfoChar(out, '}');
}

static void
anthropic_text(StringInfo out, const Part *part, bool with_notes)
{
	if (part_is_blank(part))
		return;
	if (!is_present(&part->data) && media_is_own(part, ORIGIN_ANTHROPIC))
	{
		own_part(out, part);	/* a document that is a text */
		return;
	}
	json_next(out);
	appendStringInfoString(out, "{\"type\":\"text\",\"text\":");
	json_value(out, &part->text);
	if (with_notes && part->origin == ORIGIN_ANTHROPIC)
		json_present(out, "citations", &part->notes);
	appendStringInfoChar(out, '}');
}

static void
anthropic_reasoning(StringInfo out, const Part *part, bool for_request)
{
	if (part->is_redacted)
	{
		json_next(out);
		appendStringInfoString(out, "{\"type\":\"redacted_thinking\"");
		json_present(out, "data", &part->signature);
		appendStringInfoChar(out, '}');
		return;
	}
	if (for_request && !part_is_signed(part, ORIGIN_ANTHROPIC))
		return;
	json_next(out);
	appendStringInfoString(out, "{\"type\":\"thinking\",\"thinking\":");
	json_text_of(out, &part->text);
	if (part->origin == ORIGIN_ANTHROPIC)
		json_present(out, "signature", &part->signature);
	appendStringInfoChar(out, '}');
}

static void
anthropic_call(StringInfo out, const Part *call)
{
	json_next(out);
	appendStringInfoString(out, "{\"type\":\"tool_use\"");
	json_present(out, "id", &call->id);
	json_name(out, &call->name);
	json_key(out, "input");
	json_object_of(out, &call->value, "input");
	appendStringInfoChar(out, '}');
}

static void
anthropic_result(StringInfo out, const Part *result)
{
	ListCell   *cell;

	json_next(out);
	appendStringInfoString(out, "{\"type\":\"tool_result\"");
	json_present(out, "tool_use_id", &result->id);
	json_key(out, "content");
	if (result->parts == NIL && result->origin == ORIGIN_ANTHROPIC &&
		result->value.type == jbvBinary && JsonContainerIsArray(result->value.val.binary.data))
		json_value(out, &result->value);	/* of blocks that no other knows */
	else if (result->parts == NIL)
		json_result_text(out, result);
	else
	{
		Part		beside = text_beside_parts(result);

		appendStringInfoChar(out, '[');
		anthropic_text(out, &beside, false);
		foreach(cell, result->parts)
		{
			Part	   *part = lfirst(cell);

			if (part->kind == PART_MEDIA)
				anthropic_media(out, part);
			else
				anthropic_text(out, part, false);
		}
		appendStringInfoChar(out, ']');
	}
	if (result->is_error)
		appendStringInfoString(out, ",\"is_error\":true");
	appendStringInfoChar(out, '}');
}

static void
anthropic_part(StringInfo out, const Part *part, bool for_request)
{
	switch (part->kind)
	{
		case PART_TEXT:
			anthropic_text(out, part, !for_request);
			break;
		case PART_REASONING:
			anthropic_reasoning(out, part, for_request);
			break;
		case PART_CALL:
			anthropic_call(out, part);
			break;
		case PART_RESULT:
			anthropic_result(out, part);
			break;
		case PART_MEDIA:
			anthropic_media(out, part);
			break;
		case PART_OTHER:
			if (part->origin == ORIGIN_ANTHROPIC)
				own_part(out, part);
			break;
	}
}

/* ---------- Gemini ---------- */

/* The signature of a part, where it is Gemini's */
static void
gemini_signature(StringInfo out, const Part *part)
{
	if (part->origin == ORIGIN_GEMINI)
		json_present(out, "thoughtSignature", &part->signature);
}

/* What Gemini's parts have beside what they are */
static void
gemini_keys(StringInfo out, const Part *part)
{
	static const char *const keys[] = {
		"videoMetadata", "video_metadata", "partMetadata", "part_metadata"
	};
	JsonbValue	value;

	for (int i = 0; i < lengthof(keys); i++)
	{
		if (key_beside(part, keys[i], &value))
			json_present(out, keys[i], &value);
	}
}

static void
gemini_media(StringInfo out, const Part *part)
{
	const JsonbValue *reference = is_present(&part->data) ? &part->data :
		is_present(&part->url) ? &part->url : &part->file_id;

	if (!is_present(reference))
		return;
	json_next(out);
	appendStringInfo(out, "{\"%s\":{", reference == &part->data ? "inlineData" : "fileData");
	if (is_present(&part->mime))
		json_present(out, "mimeType", &part->mime);
	else
		json_field(out, "mimeType", media_is_image(part) ? "image/png" :
				   "application/octet-stream");
	json_present(out, reference == &part->data ? "data" : "fileUri", reference);
	appendStringInfoChar(out, '}');
	gemini_keys(out, part);
	gemini_signature(out, part);
	appendStringInfoChar(out, '}');
}

/* is_first: of the calls of its message, which is where Gemini looks for a proof */
static void
gemini_call(StringInfo out, const Part *call, bool is_first, bool for_request)
{
	json_next(out);
	appendStringInfoString(out, "{\"functionCall\":{");
	json_present(out, "id", &call->id);
	json_name(out, &call->name);
	json_key(out, "args");
	json_object_of(out, &call->value, "input");
	appendStringInfoChar(out, '}');
	gemini_keys(out, call);
	if (part_is_signed(call, ORIGIN_GEMINI))
		gemini_signature(out, call);
	else if (is_first && for_request)
		json_field(out, "thoughtSignature", "skip_thought_signature_validator");
	appendStringInfoChar(out, '}');
}

/* The media of a result, which stand beside its response */
static void
gemini_result_parts(StringInfo out, const Part *result)
{
	bool		has_begun = false;
	ListCell   *cell;

	foreach(cell, result->parts)
	{
		const Part *part = lfirst(cell);

		if (part->kind != PART_MEDIA || !media_has_content(part))
			continue;
		if (!has_begun)
		{
			json_key(out, "parts");
			appendStringInfoChar(out, '[');
			has_begun = true;
		}
		if (part->origin == ORIGIN_GEMINI)
		{
			json_next(out);
			json_object_without(out, part->raw.val.binary.data, "type", "timestamp");
		}
		else
			gemini_media(out, part);
	}
	if (has_begun)
		appendStringInfoChar(out, ']');
}

static void
gemini_result(StringInfo out, const Part *result)
{
	JsonbValue	value = result->value;
	StringInfoData text;

	if (result->parts != NIL && !is_present(&value))
	{
		initStringInfo(&text);
		text_of_result(&text, result);
		value = string_value(text.data, text.len);
	}
	json_next(out);
	appendStringInfoString(out, "{\"functionResponse\":{");
	json_present(out, "id", &result->id);
	json_name(out, &result->name);
	json_key(out, "response");
	json_object_of(out, &value, result->is_error ? "error" : "result");
	gemini_result_parts(out, result);
	appendStringInfoChar(out, '}');
	gemini_keys(out, result);
	gemini_signature(out, result);
	appendStringInfoChar(out, '}');
}

static void
gemini_part(StringInfo out, const Part *part, bool is_first_call, bool for_request)
{
	switch (part->kind)
	{
		case PART_REASONING:
			if (for_request)
				break;
			pg_fallthrough;
		case PART_TEXT:
			if (part->text.type != jbvString ||
				(part->text.val.string.len == 0 && !part_is_signed(part, ORIGIN_GEMINI)))
				break;
			json_next(out);
			appendStringInfoString(out, "{\"text\":");
			json_value(out, &part->text);
			if (part->kind == PART_REASONING)
				appendStringInfoString(out, ",\"thought\":true");
			gemini_keys(out, part);
			gemini_signature(out, part);
			appendStringInfoChar(out, '}');
			break;
		case PART_CALL:
			gemini_call(out, part, is_first_call, for_request);
			break;
		case PART_RESULT:
			gemini_result(out, part);
			break;
		case PART_MEDIA:
			gemini_media(out, part);
			break;
		case PART_OTHER:
			if (part->origin != ORIGIN_GEMINI || part->raw.type != jbvBinary)
				break;
			/* as it was sent, without the type by which airun_import() has it known */
			json_next(out);
			json_object_without(out, part->raw.val.binary.data, "type", "timestamp");
			break;
	}
}

/* ---------- both of them ---------- */

static void
alternating_utterance(Alternating *array, const Utterance *utterance, Origin target)
{
	const char *model = target == ORIGIN_GEMINI ? "model" : "assistant";
	bool		is_first_call = true;
	ListCell   *cell;

	speak(array, utterance->speaker == SPEAKER_ASSISTANT ? model : "user");
	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (target == ORIGIN_GEMINI)
			gemini_part(array->out, part, is_first_call, array->for_request);
		else
			anthropic_part(array->out, part, array->for_request);
		is_first_call &= part->kind != PART_CALL;
	}
	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind != PART_CALL || part->result == NULL)
			continue;
		speak(array, "user");
		if (target == ORIGIN_GEMINI)
			gemini_result(array->out, part->result);
		else
			anthropic_result(array->out, part->result);
	}
}

static void
alternating_array(StringInfo out, Conversation *conversation, Origin target)
{
	Alternating array = {
		.out = out,
		.content_key = target == ORIGIN_GEMINI ? "parts" : "content",
		.for_request = conversation->for_request,
	};
	bool		has_begun = !conversation->for_request;
	ListCell   *cell;

	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);

		has_begun |= utterance->speaker == SPEAKER_USER;
		if (has_begun && !utterance_is_system(utterance) && utterance->speaker != SPEAKER_DATA)
			alternating_utterance(&array, utterance, target);
	}
	end_message(&array);
}

/*
 * Append the array of messages for a provider.  The conversation has been settled.
 */
void
conversation_write(StringInfo out, Conversation *conversation, Origin target)
{
	ListCell   *cell;

	appendStringInfoChar(out, '[');
	if (target == ORIGIN_ANTHROPIC || target == ORIGIN_GEMINI)
		alternating_array(out, conversation, target);
	else if (target == ORIGIN_RESPONSES)
	{
		foreach(cell, conversation->utterances)
		{
			if (((Utterance *) lfirst(cell))->speaker != SPEAKER_DATA)
				responses_utterance(out, lfirst(cell), conversation->for_request);
		}
	}
	else
		chat_array(out, conversation);
	appendStringInfoChar(out, ']');
}

/*
 * Append what the system and the developer say, for those who keep that apart:
 * Anthropic's "system", an array of text blocks, or Gemini's "systemInstruction", an
 * object.  Returns false, with nothing appended, where there is none.
 */
bool
conversation_write_system(StringInfo out, Conversation *conversation, Origin target)
{
	int			begin = out->len;
	int			start;
	ListCell   *cell;
	ListCell   *inner;

	appendStringInfoString(out, target == ORIGIN_GEMINI ? "{\"parts\":[" : "[");
	start = out->len;
	foreach(cell, conversation->utterances)
	{
		if (!utterance_is_system(lfirst(cell)))
			continue;
		foreach(inner, ((Utterance *) lfirst(cell))->parts)
		{
			if (target == ORIGIN_GEMINI)
				gemini_part(out, lfirst(inner), false, true);
			else
				anthropic_part(out, lfirst(inner), true);
		}
	}
	if (out->len == start)
	{
		out->len = begin;
		out->data[begin] = '\0';
		return false;
	}
	appendStringInfoString(out, target == ORIGIN_GEMINI ? "]}" : "]");
	return true;
}

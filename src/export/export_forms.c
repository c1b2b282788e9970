/*
 * export_forms.c
 *		Conversations as applications and people read them.
 *
 * The AI SDK's UIMessages, ShareGPT and Markdown.  A UIMessage has results within
 * their calls, and the steps of an answer one after the other, with its time in its
 * metadata.  ShareGPT has texts and calls alone.  In Markdown, what stood in the
 * messages stands as it was: it is for reading, and not read back.
 *
 * Nothing is locked and nothing refused, but a text beyond 1 GB (54000).
 */
#include "export/export_forms.h"

#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "miscadmin.h"
#include "utils/datetime.h"

/* ---------- AI SDK ---------- */

/* Where the AI SDK looks for what a provider has signed */
static void
ui_signature(StringInfo out, const Part *part, const char *key)
{
	static const char *const places[][2] = {
		[ORIGIN_RESPONSES] = {"openai", "reasoningEncryptedContent"},
		[ORIGIN_ANTHROPIC] = {"anthropic", "signature"},
		[ORIGIN_GEMINI] = {"google", "thoughtSignature"},
		[ORIGIN_AI_SDK] = {NULL, NULL},
	};

	if (!is_present(&part->signature) || places[part->origin][0] == NULL)
		return;
	json_key(out, key);
	appendStringInfo(out, "{\"%s\":{\"%s\":", places[part->origin][0],
					 part->is_redacted ? "redactedData" : places[part->origin][1]);
	json_value(out, &part->signature);
	appendStringInfoString(out, "}}");
}

static void
ui_call(StringInfo out, const Part *call)
{
	const Part *result = call->result;

	json_next(out);
	appendStringInfoString(out, "{\"type\":\"dynamic-tool\"");
	json_key(out, "toolName");
	json_text_of(out, &call->name);
	json_present(out, "toolCallId", &call->id);
	json_field(out, "state", result == NULL ? "input-available" :
			   result->is_error ? "output-error" : "output-available");
	json_key(out, "input");
	json_object_of(out, &call->value, "input");
	if (result != NULL)
	{
		json_key(out, result->is_error ? "errorText" : "output");
		if (result->is_error || result->value.type == jbvString ||
			(result->parts != NIL && !is_present(&result->value)))
			json_result_text(out, result);
		else
			json_value(out, &result->value);
	}
	ui_signature(out, call, "callProviderMetadata");
	appendStringInfoChar(out, '}');
}

static void
ui_media(StringInfo out, const Part *part)
{
	char	   *url = media_url(part);

	if (url == NULL && part->file_id.type == jbvString)
		url = pnstrdup(part->file_id.val.string.val, part->file_id.val.string.len);
	if (url == NULL)
		return;
	json_next(out);
	appendStringInfoString(out, "{\"type\":\"file\"");
	if (is_present(&part->mime))
		json_present(out, "mediaType", &part->mime);
	else
		json_field(out, "mediaType",
				   media_is_image(part) ? "image/*" : "application/octet-stream");
	json_present(out, "filename", &part->filename);
	json_field(out, "url", url);
	ui_signature(out, part, "providerMetadata");
	appendStringInfoChar(out, '}');
}

static void
ui_part(StringInfo out, const Part *part)
{
	switch (part->kind)
	{
		case PART_TEXT:
		case PART_REASONING:
			json_next(out);
			appendStringInfo(out, "{\"type\":\"%s\"",
							 part->kind == PART_TEXT ? "text" : "reasoning");
			json_key(out, "text");
			json_text_of(out, &part->text);
			ui_signature(out, part, "providerMetadata");
			appendStringInfoChar(out, '}');
			break;
		case PART_CALL:
			ui_call(out, part);
			break;
		case PART_RESULT:
			{
				Part		call = {.kind = PART_CALL, .id = part->id, .name = part->name};

				call.result = unconstify(Part *, part);
				ui_call(out, &call);
				break;
			}
		case PART_MEDIA:
			ui_media(out, part);
			break;
		case PART_OTHER:
			json_next(out);
			if (part->origin == ORIGIN_AI_SDK)
				json_value(out, &part->raw);
			else
			{
				appendStringInfoString(out, "{\"type\":\"data-part\",\"data\":");
				json_value(out, &part->raw);
				appendStringInfoChar(out, '}');
			}
			break;
	}
}

/* Does what comes after the utterance go on with the same answer? */
static bool
answer_goes_on(const Utterance *before, const Utterance *utterance)
{
	ListCell   *cell;

	if (before == NULL || before->speaker != SPEAKER_ASSISTANT ||
		utterance->speaker != SPEAKER_ASSISTANT)
		return false;
	foreach(cell, before->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind == PART_CALL && part->result != NULL)
			return true;
	}
	return before->seq == utterance->seq;
}

static void
ui_begin(StringInfo out, const Utterance *utterance)
{
	static const char *const roles[] = {
		"system", "system", "user", "assistant", "assistant", "user"
	};
	char		time[MAXDATELEN + 1];

	json_next(out);
	appendStringInfoString(out, "{\"id\":");
	if (utterance->message_id != NULL)
		json_append_string(out, VARDATA_ANY(utterance->message_id),
						   VARSIZE_ANY_EXHDR(utterance->message_id));
	else
		appendStringInfo(out, "\"msg-" INT64_FORMAT "\"", utterance->seq);
	json_field(out, "role", roles[utterance->speaker]);
	JsonEncodeDateTime(time, TimestampTzGetDatum(utterance->created_at), TIMESTAMPTZOID, NULL);
	appendStringInfoString(out, ",\"metadata\":{\"createdAt\":");
	json_string(out, time);
	appendStringInfoString(out, "},\"parts\":[");
}

/* Append the conversation as an array of UIMessages */
void
ui_messages_write(StringInfo out, Conversation *conversation)
{
	Utterance  *before = NULL;
	ListCell   *cell;
	ListCell   *inner;

	appendStringInfoChar(out, '[');
	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (!answer_goes_on(before, utterance))
		{
			if (before != NULL)
				appendStringInfoString(out, "]}");
			ui_begin(out, utterance);
		}
		if (utterance->speaker == SPEAKER_ASSISTANT)
		{
			json_next(out);
			appendStringInfoString(out, "{\"type\":\"step-start\"}");
		}
		foreach(inner, utterance->parts)
		{
			ui_part(out, lfirst(inner));
		}
		before = utterance;
	}
	if (before != NULL)
		appendStringInfoString(out, "]}");
	appendStringInfoChar(out, ']');
}

/* ---------- what has texts alone ---------- */

/* The texts of an utterance, with empty lines between them */
static void
append_texts(StringInfo out, const Utterance *utterance)
{
	int			start = out->len;
	ListCell   *cell;

	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (!part_has_text(part))
			continue;
		if (out->len > start)
			appendStringInfoString(out, "\n\n");
		appendBinaryStringInfo(out, part->text.val.string.val, part->text.val.string.len);
	}
}

static void
sharegpt_turn(StringInfo out, const char *from, const char *value, int len)
{
	json_next(out);
	appendStringInfo(out, "{\"from\":\"%s\",\"value\":", from);
	json_append_string(out, value, len);
	appendStringInfoChar(out, '}');
}

static void
sharegpt_result(StringInfo out, const Part *result)
{
	StringInfoData text;

	initStringInfo(&text);
	text_of_result(&text, result);
	sharegpt_turn(out, "observation", text.data, text.len);
}

/* The calls of an utterance as one turn, and their results as one each */
static void
sharegpt_calls(StringInfo out, const Utterance *utterance)
{
	StringInfoData calls;
	ListCell   *cell;
	int			count = 0;

	initStringInfo(&calls);
	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind != PART_CALL)
			continue;
		appendStringInfoString(&calls, count++ == 0 ? "{\"name\":" : ",{\"name\":");
		json_text_of(&calls, &part->name);
		json_key(&calls, "arguments");
		json_object_of(&calls, &part->value, "input");
		appendStringInfoChar(&calls, '}');
	}
	if (count > 1)
	{
		char	   *list = psprintf("[%s]", calls.data);

		sharegpt_turn(out, "function_call", list, strlen(list));
	}
	else if (count == 1)
		sharegpt_turn(out, "function_call", calls.data, calls.len);
	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind == PART_RESULT)
			sharegpt_result(out, part);
		else if (part->kind == PART_CALL && part->result != NULL)
			sharegpt_result(out, part->result);
	}
}

/* Append the conversation as an array of turns */
void
sharegpt_write(StringInfo out, Conversation *conversation)
{
	static const char *const from[] = {
		"system", "system", "human", "gpt", "observation", "human"
	};
	ListCell   *cell;

	appendStringInfoChar(out, '[');
	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);
		StringInfoData text;

		initStringInfo(&text);
		append_texts(&text, utterance);
		if (text.len > 0)
			sharegpt_turn(out, from[utterance->speaker], text.data, text.len);
		sharegpt_calls(out, utterance);
	}
	appendStringInfoChar(out, ']');
}

/* ---------- Markdown ---------- */

/* A block of code, behind a fence that is not within it */
static void
markdown_block(StringInfo out, const char *title, const char *text)
{
	char		fence[64] = "```";

	for (int i = 3; strstr(text, fence) != NULL && i + 1 < sizeof(fence); i++)
		fence[i] = '`';
	appendStringInfo(out, "\n**%s**\n\n%s\n%s\n%s\n", title, fence, text, fence);
}

static void
markdown_result(StringInfo out, const Part *result)
{
	StringInfoData text;

	initStringInfo(&text);
	text_of_result(&text, result);
	markdown_block(out, result->is_error ? "Error" : "Result", text.data);
}

static void
markdown_call(StringInfo out, const Part *call)
{
	StringInfoData input;
	StringInfoData title;

	initStringInfo(&input);
	initStringInfo(&title);
	if (call->value.type == jbvString)
		appendBinaryStringInfo(&input, call->value.val.string.val, call->value.val.string.len);
	else if (is_present(&call->value))
		json_value(&input, &call->value);
	appendStringInfo(&title, "Call of %.*s",
					 call->name.type == jbvString ? call->name.val.string.len : 4,
					 call->name.type == jbvString ? call->name.val.string.val : "tool");
	markdown_block(out, title.data, input.data);
	if (call->result != NULL)
		markdown_result(out, call->result);
}

/* An image or a file: its address, but not its bytes */
static void
markdown_media(StringInfo out, const Part *part)
{
	const JsonbValue *address = is_present(&part->url) ? &part->url : &part->file_id;

	if (part->kind == PART_OTHER && !is_present(&part->filename))
		return;
	appendStringInfo(out, "\n%s[%.*s](", media_is_image(part) ? "!" : "",
					 part->filename.type == jbvString ? part->filename.val.string.len : 4,
					 part->filename.type == jbvString ? part->filename.val.string.val : "file");
	if (address->type == jbvString)
		appendBinaryStringInfo(out, address->val.string.val, address->val.string.len);
	appendStringInfoString(out, ")\n");
}

/* A text of which each line is a quotation */
static void
markdown_quote(StringInfo out, const JsonbValue *text)
{
	if (text->type != jbvString)
		return;
	appendStringInfoString(out, "\n> ");
	for (int i = 0; i < text->val.string.len; i++)
	{
		appendStringInfoCharMacro(out, text->val.string.val[i]);
		if (text->val.string.val[i] == '\n')
			appendStringInfoString(out, "> ");
	}
	appendStringInfoChar(out, '\n');
}

/* Append the conversation for people to read */
void
markdown_write(StringInfo out, Conversation *conversation)
{
	static const char *const titles[] = {
		"System", "Developer", "User", "Assistant", "Tool", "Data"
	};
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		appendStringInfo(out, "\n## %s\n", titles[utterance->speaker]);
		foreach(inner, utterance->parts)
		{
			Part	   *part = lfirst(inner);

			if (part_has_text(part))
				appendStringInfo(out, "\n%.*s\n", part->text.val.string.len,
								 part->text.val.string.val);
			else if (part->kind == PART_REASONING)
				markdown_quote(out, &part->text);
			else if (part->kind == PART_CALL)
				markdown_call(out, part);
			else if (part->kind == PART_RESULT)
				markdown_result(out, part);
			else if (part->kind == PART_MEDIA || part->kind == PART_OTHER)
				markdown_media(out, part);
		}
	}
}

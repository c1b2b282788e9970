/*
 * part_text.c
 *		Parts of messages and their values as JSON text, for who writes an array.
 *
 * The text is written at once, without a jsonb in between, so that its limits do
 * not matter.  Nothing is locked and nothing refused, but a text beyond 1 GB
 * (54000).
 */
#include "export/convert.h"

#include "json/json_text.h"
#include "json/jsonb_util.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* ---------- JSON as text ---------- */

/* A comma, unless this is the first in its array or object, or a value */
void
json_next(StringInfo out)
{
	if (out->len > 0 && strchr("[{:,", out->data[out->len - 1]) == NULL)
		appendStringInfoCharMacro(out, ',');
}

/* The key of the next value; it needs no escapes */
void
json_key(StringInfo out, const char *key)
{
	json_next(out);
	appendStringInfo(out, "\"%s\":", key);
}

/* A value, which may be absent: null */
void
json_value(StringInfo out, const JsonbValue *value)
{
	Datum		number;

	switch (value->type)
	{
		case jbvString:
			json_append_string(out, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			number = NumericGetDatum(value->val.numeric);
			appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(numeric_out, number)));
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvBinary:
			json_append_container(out, value->val.binary.data);
			break;
		default:
			appendStringInfoString(out, "null");
	}
}

void
json_string(StringInfo out, const char *string)
{
	json_append_string(out, string, strlen(string));
}

void
json_field(StringInfo out, const char *key, const char *string)
{
	json_key(out, key);
	json_string(out, string);
}

/* A value under a key, where there is one */
void
json_present(StringInfo out, const char *key, const JsonbValue *value)
{
	if (!is_present(value))
		return;
	json_key(out, key);
	json_value(out, value);
}

/* A value as a string: a string as it is, anything else as its JSON */
void
json_text_of(StringInfo out, const JsonbValue *value)
{
	StringInfoData text;

	if (value->type == jbvString)
	{
		json_value(out, value);
		return;
	}
	initStringInfo(&text);
	if (is_present(value))
		json_value(&text, value);
	json_append_string(out, text.data, text.len);
	pfree(text.data);
}

/* An object without two of its keys */
void
json_object_without(StringInfo out, JsonbContainer *object, const char *one, const char *other)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	appendStringInfoChar(out, '{');
	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (jsonb_string_is(&key, one) || jsonb_string_is(&key, other))
			continue;
		json_next(out);
		json_value(out, &key);
		appendStringInfoChar(out, ':');
		json_value(out, &value);
	}
	appendStringInfoChar(out, '}');
}

/* Is the string a JSON object, of those that jsonb takes? */
static bool
holds_object(const JsonbValue *string)
{
	const char *p = string->val.string.val;
	const char *end = p + string->val.string.len;

	while (p < end && strchr(" \t\r\n", *p) != NULL)
		p++;
	return p < end && *p == '{' && json_is_valid(p, end - p);
}

/*
 * A value as an object: an object, or a string that holds one, as it is; anything
 * else under the key.
 */
void
json_object_of(StringInfo out, const JsonbValue *value, const char *otherwise)
{
	if (!is_present(value) || (value->type == jbvString && value->val.string.len == 0))
		appendStringInfoString(out, "{}");
	else if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data))
		json_value(out, value);
	else if (value->type == jbvString && holds_object(value))
		appendBinaryStringInfo(out, value->val.string.val, value->val.string.len);
	else
	{
		appendStringInfo(out, "{\"%s\":", otherwise);
		json_value(out, value);
		appendStringInfoChar(out, '}');
	}
}

/* A name as providers take it: letters, digits, _ and -, at most 64 */
void
json_name(StringInfo out, const JsonbValue *name)
{
	int			len = name->type == jbvString ? Min(name->val.string.len, 64) : 0;

	json_key(out, "name");
	appendStringInfoChar(out, '"');
	for (int i = 0; i < len; i++)
	{
		unsigned char c = name->val.string.val[i];

		appendStringInfoChar(out, (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
							 (c >= '0' && c <= '9') || c == '-' ? c : '_');
	}
	if (len == 0)
		appendStringInfoString(out, "tool");
	appendStringInfoChar(out, '"');
}

/* ---------- texts ---------- */

/* The text of a result: of its parts, or its value as a string */
void
text_of_result(StringInfo out, const Part *result)
{
	ListCell   *cell;
	bool		first = !is_present(&result->value);

	if (result->value.type == jbvString)
		appendBinaryStringInfo(out, result->value.val.string.val,
							   result->value.val.string.len);
	else if (is_present(&result->value))
		json_value(out, &result->value);
	foreach(cell, result->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->text.type != jbvString)
			continue;
		if (!first)
			appendStringInfoChar(out, '\n');
		first = false;
		appendBinaryStringInfo(out, part->text.val.string.val, part->text.val.string.len);
	}
}

/* The same as a JSON string */
void
json_result_text(StringInfo out, const Part *result)
{
	StringInfoData text;

	initStringInfo(&text);
	text_of_result(&text, result);
	json_append_string(out, text.data, text.len);
	pfree(text.data);
}

bool
utterance_has(const Utterance *utterance, PartKind kind)
{
	ListCell   *cell;

	foreach(cell, utterance->parts)
	{
		if (((Part *) lfirst(cell))->kind == kind)
			return true;
	}
	return false;
}

/* Is there a text for this part to be written? */
bool
part_has_text(const Part *part)
{
	return part->kind == PART_TEXT && part->text.type == jbvString &&
		part->text.val.string.len > 0;
}

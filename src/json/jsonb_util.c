/*
 * jsonb_util.c
 *		JSON objects and arrays made piece by piece, and looked into.
 *
 * Nothing is locked and nothing refused here, but a document that outgrows
 * jsonb (54000).
 */
#include "json/jsonb_util.h"

#include "utils/builtins.h"

/* ---------- making ---------- */

/* Begin an object: the document itself, or the value of the last key */
void
jsonb_begin_object(JsonbBuilder *builder)
{
	push_jsonb(builder, WJB_BEGIN_OBJECT, NULL);
}

/* Begin an array, likewise */
void
jsonb_begin_array(JsonbBuilder *builder)
{
	push_jsonb(builder, WJB_BEGIN_ARRAY, NULL);
}

/* End what was begun last */
void
jsonb_close(JsonbBuilder *builder, bool is_array)
{
	push_jsonb(builder, is_array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
}

/* The next value's key */
void
jsonb_put_key(JsonbBuilder *builder, const char *key)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	push_jsonb(builder, WJB_KEY, &value);
}

static void
put_value(JsonbBuilder *builder, JsonbValue *value, bool is_element)
{
	push_jsonb(builder, is_element ? WJB_ELEM : WJB_VALUE, value);
}

/* A string, or null where there is none */
void
jsonb_put_string(JsonbBuilder *builder, const char *string, bool is_element)
{
	JsonbValue	value = {.type = jbvNull};

	if (string != NULL)
	{
		value.type = jbvString;
		value.val.string.val = unconstify(char *, string);
		value.val.string.len = strlen(string);
	}
	put_value(builder, &value, is_element);
}

/* A number, or null where there is none */
void
jsonb_put_numeric(JsonbBuilder *builder, Numeric number, bool is_element)
{
	JsonbValue	value = {.type = jbvNull};

	if (number != NULL)
	{
		value.type = jbvNumeric;
		value.val.numeric = number;
	}
	put_value(builder, &value, is_element);
}

/* A document that is an object or an array, as a part of this one */
void
jsonb_put_document(JsonbBuilder *builder, Jsonb *document, bool is_element)
{
	JsonbValue	value = {.type = jbvBinary};

	value.val.binary.data = &document->root;
	value.val.binary.len = VARSIZE(document) - VARHDRSZ;
	put_value(builder, &value, is_element);
}

/* The finished document */
Jsonb *
jsonb_finish(JsonbBuilder *builder)
{
	return JsonbValueToJsonb(builder->result);
}

/* ---------- looking into ---------- */

/* The value of a key in an object, or NULL; a JSON null is a value */
JsonbValue *
jsonb_get_key(JsonbContainer *object, const char *key, JsonbValue *buffer)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), buffer);
}

/* Has the object a value under the key that is not null? */
bool
jsonb_field(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return jsonb_get_key(object, key, value) != NULL && value->type != jbvNull;
}

/* The same where the value itself does not matter */
bool
jsonb_has_field(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return jsonb_field(object, key, &value);
}

/* The string under the key, or NULL where there is none */
char *
jsonb_field_string(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (!jsonb_field(object, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Is the value an object that lies within a document? */
bool
jsonb_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

bool
jsonb_is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

/* Is the value this string? */
bool
jsonb_string_is(const JsonbValue *value, const char *string)
{
	return value->type == jbvString && value->val.string.len == (int) strlen(string) &&
		memcmp(value->val.string.val, string, value->val.string.len) == 0;
}

/* Are two documents, each of which may be NULL, equal as jsonb compares them? */
bool
jsonb_same(Jsonb *a, Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return compareJsonbContainers(&a->root, &b->root) == 0;
}

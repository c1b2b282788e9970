/*
 * jsonb_util.c
 *		JSON objects and arrays made piece by piece, and looked into.
 *
 * Nothing is locked and nothing refused here, but a document that outgrows
 * jsonb (54000).
 */
#include "json/jsonb_util.h"

#include "utils/builtins.h"

/* Begin an object: the document itself, or the value of the last key */
void
build_object(Build *build)
{
	push_jsonb(build, WJB_BEGIN_OBJECT, NULL);
}

/* Begin an array, likewise */
void
build_array(Build *build)
{
	push_jsonb(build, WJB_BEGIN_ARRAY, NULL);
}

/* End what was begun last */
void
build_close(Build *build, bool is_array)
{
	push_jsonb(build, is_array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
}

/* The next value's key */
void
build_key(Build *build, const char *key)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	push_jsonb(build, WJB_KEY, &value);
}

static void
build_value(Build *build, JsonbValue *value, bool is_element)
{
	push_jsonb(build, is_element ? WJB_ELEM : WJB_VALUE, value);
}

/* A string, or null where there is none */
void
build_string(Build *build, const char *string, bool is_element)
{
	JsonbValue	value = {.type = jbvNull};

	if (string != NULL)
	{
		value.type = jbvString;
		value.val.string.val = unconstify(char *, string);
		value.val.string.len = strlen(string);
	}
	build_value(build, &value, is_element);
}

/* A number, or null where there is none */
void
build_numeric(Build *build, Numeric number, bool is_element)
{
	JsonbValue	value = {.type = jbvNull};

	if (number != NULL)
	{
		value.type = jbvNumeric;
		value.val.numeric = number;
	}
	build_value(build, &value, is_element);
}

/* A document that is an object or an array, as a part of this one */
void
build_json(Build *build, Jsonb *document, bool is_element)
{
	JsonbValue	value = {.type = jbvBinary};

	value.val.binary.data = &document->root;
	value.val.binary.len = VARSIZE(document) - VARHDRSZ;
	build_value(build, &value, is_element);
}

/* The finished document */
Jsonb *
build_end(Build *build)
{
	return JsonbValueToJsonb(build->result);
}

/* Has the object a value under the key that is not null? */
bool
json_field(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL &&
		value->type != jbvNull;
}

/* The string under the key, or NULL where there is none */
char *
json_text(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (!json_field(object, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/*
 * part_values.c
 *		Values in the JSON of a part of a message.
 *
 * What is not there is jbvNull, or NULL for an object.  Nothing is locked and nothing
 * refused.
 */
#include "export/convert.h"

#include "json/jsonb_util.h"

/* Is there a value? */
bool
is_present(const JsonbValue *value)
{
	return value->type != jbvNull;
}

/* The object under the key */
JsonbContainer *
object_at(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (!jsonb_field(object, key, &value) || !jsonb_is_object(&value))
		return NULL;
	return value.val.binary.data;
}

/* The first of the keys that has a string, or jbvNull */
JsonbValue
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

bool
string_begins(const JsonbValue *value, const char *beginning)
{
	int			len = strlen(beginning);

	return value->type == jbvString && value->val.string.len >= len &&
		memcmp(value->val.string.val, beginning, len) == 0;
}

/* A string as a value */
JsonbValue
string_value(char *string, int len)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = string;
	value.val.string.len = len;
	return value;
}

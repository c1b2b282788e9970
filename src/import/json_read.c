/*
 * json_read.c
 *		Documents that anybody has written, read without surprises.
 *
 * Guaranteed is that nothing here fails because of what a value is: what is not
 * as asked for is absent.  Times are read by read_time.c; the first ones of an entry
 * that cannot be read are kept, and told in the run's metadata.  Nothing is locked.
 * Reading can be cancelled at every look.
 */
#include "import/json_read.h"

#include "json/json_text.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* ---------- looking ---------- */

/* The value that a document is */
JsonbValue *
json_root(Jsonb *document)
{
	JsonbValue *value = palloc_object(JsonbValue);

	if (JB_ROOT_IS_SCALAR(document))
	{
		(void) JsonbExtractScalar(&document->root, value);
		return value->type == jbvNull ? NULL : value;
	}
	value->type = jbvBinary;
	value->val.binary.data = &document->root;
	value->val.binary.len = VARSIZE(document) - VARHDRSZ;
	return value;
}

bool
json_is_object(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data);
}

bool
json_is_array(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data);
}

/* The value of a key; NULL for none */
JsonbValue *
json_get(const JsonbValue *object, const char *key)
{
	JsonbValue *value;

	CHECK_FOR_INTERRUPTS();		/* whoever goes through a document comes here */
	if (!json_is_object(object))
		return NULL;
	value = getKeyJsonValueFromContainer(object->val.binary.data, key, strlen(key), NULL);
	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* The value at the end of keys that are joined by points */
JsonbValue *
json_get_path(const JsonbValue *object, const char *path)
{
	const char *point = strchr(path, '.');

	if (point == NULL)
		return json_get(object, path);
	return json_get_path(json_get(object, pnstrdup(path, point - path)), point + 1);
}

/* The value of the first of these keys that has one; the list ends with NULL */
JsonbValue *
json_get_any(const JsonbValue *object, const char *const *keys)
{
	JsonbValue *value = NULL;

	for (int i = 0; keys[i] != NULL && value == NULL; i++)
		value = json_get(object, keys[i]);
	return value;
}

/* How many elements an array has; none, what is no array */
int
json_length(const JsonbValue *array)
{
	return json_is_array(array) ? (int) JsonContainerSize(array->val.binary.data) : 0;
}

JsonbValue *
json_element(const JsonbValue *array, int i)
{
	JsonbValue *value = getIthJsonbValueFromContainer(array->val.binary.data, i);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* All keys with their values, those with null left out */
List *
json_pairs(const JsonbValue *object)
{
	List	   *pairs = NIL;
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;

	if (!json_is_object(object))
		return NIL;
	it = JsonbIteratorInit(object->val.binary.data);
	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type != jbvNull)
		{
			JsonbValue *copy = palloc_object(JsonbValue);

			*copy = value;
			pairs = json_add_pair(pairs, pnstrdup(key.val.string.val, key.val.string.len), copy);
		}
	}
	return pairs;
}

/* The string that a value is; NULL for anything else */
char *
json_string_of(const JsonbValue *value)
{
	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* The string under a key; an empty one is none */
char *
json_get_string(const JsonbValue *object, const char *key)
{
	char	   *string = json_string_of(json_get(object, key));

	return string != NULL && string[0] != '\0' ? string : NULL;
}

bool
json_get_bool(const JsonbValue *object, const char *key)
{
	JsonbValue *value = json_get(object, key);

	return value != NULL && value->type == jbvBool && value->val.boolean;
}

/* The number that a value is, or that a string of digits is */
bool
json_number(const JsonbValue *value, double *number)
{
	char	   *string;
	char	   *end;

	if (value == NULL)
		return false;
	if (value->type == jbvNumeric)
	{
		string = numeric_normalize(value->val.numeric);
		*number = strtod(string, NULL);
		pfree(string);			/* 1e131000 has as many digits */
		return true;
	}
	string = json_string_of(value);
	if (string == NULL || string[0] == '\0' || strspn(string, "0123456789.") != strlen(string))
		return false;
	*number = strtod(string, &end);
	return *end == '\0';
}

/* ---------- times ---------- */

/* So many times that cannot be read are told of */
#define MAX_UNREAD		20

/* Those of the entry that is being read, as the source has them */
static List *unread_times = NIL;

static bool
is_unread_already(JsonbValue *value)
{
	ListCell   *cell;

	foreach(cell, unread_times)
	{
		if (strcmp(json_as_text(lfirst(cell)), json_as_text(value)) == 0)
			return true;
	}
	return false;
}

/* Keep a value that says something, which is no time; 0 is written where none is known */
static void
keep_unread(JsonbValue *value)
{
	double		number;

	if (json_says_nothing(value) || (json_number(value, &number) && number == 0) ||
		list_length(unread_times) >= MAX_UNREAD || is_unread_already(value))
		return;
	unread_times = lappend(unread_times, value);
}

/* No time has been left unread so far; what has been kept is gone with its memory */
void
json_begin_times(void)
{
	unread_times = NIL;
}

/* The first times that could not be read, or not all of them, or NULL for none */
JsonbValue *
json_unread_times(void)
{
	return unread_times != NIL ? json_from_elements(unread_times) : NULL;
}

/* The time that a value is */
TimestampTz
json_time(JsonbValue *value)
{
	bool		is_sure;
	TimestampTz time = time_of_value(value, &is_sure);

	if (time == NO_TIME || !is_sure)
		keep_unread(value);
	return time;
}

/* The first of these keys that has a time */
TimestampTz
json_get_time(const JsonbValue *object, const char *const *keys)
{
	bool		is_sure;

	for (int i = 0; keys[i] != NULL; i++)
	{
		JsonbValue *value = json_get(object, keys[i]);

		if (time_of_value(value, &is_sure) != NO_TIME)
			return json_time(value);
	}
	return json_time(json_get_any(object, keys));
}

/* Is a value null, an empty string, an empty list or an empty object? */
bool
json_says_nothing(const JsonbValue *value)
{
	if (value == NULL || value->type == jbvNull)
		return true;
	if (value->type == jbvString)
		return value->val.string.len == 0;
	return value->type == jbvBinary && JsonContainerSize(value->val.binary.data) == 0;
}

/* Is a value this string? */
bool
json_is(const JsonbValue *value, const char *word)
{
	return value != NULL && jsonb_string_is(value, word);
}

/* What a value is, for messages */
const char *
json_type_name(const JsonbValue *value)
{
	if (value == NULL || value->type == jbvNull)
		return "null";
	if (value->type == jbvString)
		return "a string";
	if (value->type == jbvNumeric)
		return "a number";
	if (value->type == jbvBool)
		return "a boolean";
	return json_is_object(value) ? "an object" : "an array";
}

/* ---------- making ---------- */

JsonbValue *
json_new_string(const char *string)
{
	JsonbValue *value;

	if (string == NULL)
		return NULL;
	value = palloc_object(JsonbValue);
	value->type = jbvString;
	value->val.string.val = unconstify(char *, string);
	value->val.string.len = strlen(string);
	return value;
}

JsonbValue *
json_new_number(double number)
{
	JsonbValue *value = palloc_object(JsonbValue);

	value->type = jbvNumeric;
	value->val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric,
															 Float8GetDatum(number)));
	return value;
}

JsonbValue *
json_new_bool(bool is_true)
{
	JsonbValue *value = palloc_object(JsonbValue);

	value->type = jbvBool;
	value->val.boolean = is_true;
	return value;
}

/* Add a pair; a value that is absent adds nothing */
List *
json_add_pair(List *pairs, const char *key, JsonbValue *value)
{
	JsonPair   *pair;

	if (value == NULL)
		return pairs;
	pair = palloc_object(JsonPair);
	pair->key = key;
	pair->value = value;
	return lappend(pairs, pair);
}

/* An object of pairs; of a key that stands twice the last value counts */
JsonbValue *
json_from_pairs(List *pairs)
{
	JsonbBuilder builder = {0};
	ListCell   *cell;

	jsonb_begin_object(&builder);
	foreach(cell, pairs)
	{
		JsonPair   *pair = lfirst(cell);

		jsonb_put_key(&builder, pair->key);
		push_jsonb(&builder, WJB_VALUE, pair->value);
	}
	jsonb_close(&builder, false);
	return json_root(jsonb_finish(&builder));
}

JsonbValue *
json_from_elements(List *elements)
{
	JsonbBuilder builder = {0};
	ListCell   *cell;

	jsonb_begin_array(&builder);
	foreach(cell, elements)
	{
		push_jsonb(&builder, WJB_ELEM, lfirst(cell));
	}
	jsonb_close(&builder, true);
	return json_root(jsonb_finish(&builder));
}

/* What an object has beside these keys, and says anything; known ends with NULL */
List *
json_rest(const JsonbValue *object, const char *const *known)
{
	List	   *rest = NIL;
	ListCell   *cell;

	foreach(cell, json_pairs(object))
	{
		JsonPair   *pair = lfirst(cell);
		int			i = 0;

		while (known[i] != NULL && strcmp(known[i], pair->key) != 0)
			i++;
		if (known[i] == NULL && !json_says_nothing(pair->value))
			rest = lappend(rest, pair);
	}
	return rest;
}

/* An object with this type, unless it has one that is a string */
JsonbValue *
json_with_type(JsonbValue *object, const char *type)
{
	if (json_get_string(object, "type") != NULL)
		return object;
	return json_from_pairs(json_add_pair(json_pairs(object), "type", json_new_string(type)));
}

/* A string as it is, anything else as JSON */
char *
json_as_text(JsonbValue *value)
{
	StringInfoData out;
	Jsonb	   *document;

	if (value == NULL)
		return pstrdup("");
	if (value->type == jbvString)
		return json_string_of(value);
	document = JsonbValueToJsonb(value);
	initStringInfo(&out);
	if (value->type == jbvBinary)
		json_append_container(&out, &document->root);
	else
		(void) JsonbToCString(&out, &document->root, VARSIZE(document));
	return out.data;
}

/* The object or array that a string holds; anything else as it is */
JsonbValue *
json_in_string(JsonbValue *value)
{
	if (value == NULL || value->type != jbvString)
		return value;
	return json_root(json_unwrap(JsonbValueToJsonb(value)));
}

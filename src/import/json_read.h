/*
 * json_read.h
 *		Documents that anybody has written, read without surprises.
 *
 * A value that is absent, that is null or that stands in what is no object is a
 * null pointer, which every function takes.
 */
#ifndef AIRUN_IMPORT_JSON_READ_H
#define AIRUN_IMPORT_JSON_READ_H

#include "airun.h"

#include "json/jsonb_util.h"
#include "json/words.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* No time: before any that there is */
#define NO_TIME		DT_NOBEGIN

/* A key and its value */
typedef struct JsonPair
{
	const char *key;
	JsonbValue *value;
} JsonPair;

extern JsonbValue *json_root(Jsonb *document);
extern bool json_is_object(const JsonbValue *value);
extern bool json_is_array(const JsonbValue *value);
extern JsonbValue *json_get(const JsonbValue *object, const char *key);
extern JsonbValue *json_get_path(const JsonbValue *object, const char *path);
extern JsonbValue *json_get_any(const JsonbValue *object, const char *const *keys);
extern int	json_length(const JsonbValue *array);
extern JsonbValue *json_element(const JsonbValue *array, int i);
extern List *json_pairs(const JsonbValue *object);
extern char *json_string_of(const JsonbValue *value);
extern char *json_get_string(const JsonbValue *object, const char *key);
extern bool json_get_bool(const JsonbValue *object, const char *key);
extern bool json_number(const JsonbValue *value, double *number);
extern void json_begin_times(void);
extern JsonbValue *json_unread_times(void);
extern TimestampTz json_time(JsonbValue *value);
extern TimestampTz json_get_time(const JsonbValue *object, const char *const *keys);
extern bool json_says_nothing(const JsonbValue *value);
extern bool json_is(const JsonbValue *value, const char *word);
extern const char *json_type_name(const JsonbValue *value);

extern JsonbValue *json_new_string(const char *string);
extern JsonbValue *json_new_bool(bool value);
extern JsonbValue *json_new_number(double number);
extern JsonbValue *json_from_pairs(List *pairs);
extern JsonbValue *json_from_elements(List *elements);
extern List *json_add_pair(List *pairs, const char *key, JsonbValue *value);
extern List *json_rest(const JsonbValue *object, const char *const *known);
extern JsonbValue *json_with_type(JsonbValue *object, const char *type);
extern char *json_as_text(JsonbValue *value);
extern JsonbValue *json_in_string(JsonbValue *value);

/* read_time.c */
extern TimestampTz time_of_value(const JsonbValue *value, bool *is_sure);

#endif							/* AIRUN_IMPORT_JSON_READ_H */

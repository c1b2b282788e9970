/*
 * jsonb_util.h
 *		JSON objects and arrays made piece by piece, and looked into.
 */
#ifndef AIRUN_JSONB_UTIL_H
#define AIRUN_JSONB_UTIL_H

#include "airun.h"

#include "utils/jsonb.h"

/*
 * A document under construction.  What is put in must last until jsonb_finish()
 * has returned the document: nothing is copied before.
 */
typedef JsonbInState JsonbBuilder;

extern void jsonb_begin_object(JsonbBuilder *builder);
extern void jsonb_begin_array(JsonbBuilder *builder);
extern void jsonb_close(JsonbBuilder *builder, bool is_array);
extern void jsonb_put_key(JsonbBuilder *builder, const char *key);
extern void jsonb_put_string(JsonbBuilder *builder, const char *string, bool is_element);
extern void jsonb_put_numeric(JsonbBuilder *builder, Numeric number, bool is_element);
extern void jsonb_put_document(JsonbBuilder *builder, Jsonb *document, bool is_element);
extern Jsonb *jsonb_finish(JsonbBuilder *builder);

extern JsonbValue *jsonb_get_key(JsonbContainer *object, const char *key, JsonbValue *buffer);
extern bool jsonb_field(JsonbContainer *object, const char *key, JsonbValue *value);
extern bool jsonb_has_field(JsonbContainer *object, const char *key);
extern char *jsonb_field_string(JsonbContainer *object, const char *key);
extern bool jsonb_is_object(const JsonbValue *value);
extern bool jsonb_is_array(const JsonbValue *value);
extern bool jsonb_string_is(const JsonbValue *value, const char *string);
extern bool jsonb_same(Jsonb *a, Jsonb *b);

#endif							/* AIRUN_JSONB_UTIL_H */

/*
 * jsonb_util.h
 *		JSON objects and arrays made piece by piece.
 */
#ifndef AIRUN_JSONB_UTIL_H
#define AIRUN_JSONB_UTIL_H

#include "airun.h"

#include "utils/jsonb.h"

/*
 * A document under construction.  What is put in must last until build_end()
 * has returned the document: nothing is copied before.
 */
typedef JsonbInState Build;

extern void build_object(Build *build);
extern void build_array(Build *build);
extern void build_close(Build *build, bool is_array);
extern void build_key(Build *build, const char *key);
extern void build_string(Build *build, const char *string, bool is_element);
extern void build_numeric(Build *build, Numeric number, bool is_element);
extern void build_json(Build *build, Jsonb *document, bool is_element);
extern Jsonb *build_end(Build *build);

extern bool json_field(JsonbContainer *object, const char *key, JsonbValue *value);
extern char *json_text(JsonbContainer *object, const char *key);

#endif							/* AIRUN_JSONB_UTIL_H */

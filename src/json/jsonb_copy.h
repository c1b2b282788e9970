/*
 * jsonb_copy.h
 *		jsonb containers copied whole, and written as text.
 *
 * What is guaranteed, and by what means, is said at the head of jsonb_copy.c.
 */
#ifndef AIRUN_JSONB_COPY_H
#define AIRUN_JSONB_COPY_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

extern Jsonb *json_parse(text *document, int sqlerrcode, const char *what);
extern void json_append_container(StringInfo out, JsonbContainer *container);
extern void json_append_string(StringInfo out, const char *str, int len);
extern Jsonb *jsonb_set_string(Jsonb *object, const char *key, const char *value, int len);

#endif							/* AIRUN_JSONB_COPY_H */

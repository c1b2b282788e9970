/*
 * json_text.h
 *		JSON as text: written from jsonb and from rows, and read with repairs.
 *
 * What is guaranteed is said at the head of json_text.c.
 */
#ifndef AIRUN_JSON_TEXT_H
#define AIRUN_JSON_TEXT_H

#include "airun.h"

#include "lib/stringinfo.h"
#include "store/plans.h"
#include "tcop/dest.h"
#include "utils/jsonb.h"

extern void json_append_container(StringInfo out, JsonbContainer *container);
extern void json_append_string(StringInfo out, const char *str, int len);

extern void json_begin(StringInfo out);
extern Datum json_end(StringInfo out);
extern void json_append_row(StringInfo out, const ResultRow *row);
extern DestReceiver *json_array_receiver(StringInfo out);

/* A piece of a text, which UTF-16 may have cut within characters */
typedef struct JsonPiece
{
	text	   *body;			/* what is whole of it */
	int			low;			/* the second half that it begins with, or 0 */
	int			high;			/* the first half that it ends with, or 0 */
} JsonPiece;

extern JsonPiece json_parse_piece(text *literal, int sqlerrcode, const char *what);
extern text *json_raw_string(text *document, int depth, const char *key);
extern Jsonb *json_try_parse(const char *start, int len, ErrorData **refusal);
extern Jsonb *json_parse(text *document, int sqlerrcode, const char *what);
extern Jsonb *json_unwrap(Jsonb *value);
extern bool json_is_valid(const char *start, int len);

#endif							/* AIRUN_JSON_TEXT_H */

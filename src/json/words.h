/*
 * words.h
 *		What stands for words of a document, such as ids.
 */
#ifndef AIRUN_JSON_WORDS_H
#define AIRUN_JSON_WORDS_H

#include "airun.h"

#include "utils/hsearch.h"
#include "utils/jsonb.h"

extern HTAB *words_begin(void);
extern void **words_place(HTAB *words, const char *word);
extern void **words_place_of(HTAB *words, const JsonbValue *string);
extern char *words_number(HTAB *words, char *word);

#endif							/* AIRUN_JSON_WORDS_H */

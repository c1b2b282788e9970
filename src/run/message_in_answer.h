/*
 * message_in_answer.h
 *		The message in a provider's whole answer.
 */
#ifndef AIRUN_MESSAGE_IN_ANSWER_H
#define AIRUN_MESSAGE_IN_ANSWER_H

#include "airun.h"

#include "utils/jsonb.h"

extern Jsonb *message_in_answer(Jsonb *answer);

/* for message_in_chunks.c */
extern JsonbValue *answer_find(JsonbValue *value, const char *path);
extern Jsonb *message_of_list(JsonbContainer *list);

/* message_in_chunks.c */
extern Jsonb *message_in_chunks(JsonbContainer *chunks);

#endif							/* AIRUN_MESSAGE_IN_ANSWER_H */

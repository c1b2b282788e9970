/*
 * message_in_answer.h
 *		The message in a provider's whole answer.
 */
#ifndef AIRUN_MESSAGE_IN_ANSWER_H
#define AIRUN_MESSAGE_IN_ANSWER_H

#include "airun.h"

#include "utils/jsonb.h"

extern Jsonb *message_in_answer(Jsonb *answer);

#endif							/* AIRUN_MESSAGE_IN_ANSWER_H */

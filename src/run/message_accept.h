/*
 * message_accept.h
 *		Which messages are accepted, and who speaks in them.
 */
#ifndef AIRUN_MESSAGE_ACCEPT_H
#define AIRUN_MESSAGE_ACCEPT_H

#include "airun.h"

#include "utils/jsonb.h"

/* Characters */
#define MAX_MESSAGE_ID	200

extern Jsonb *message_accept(Jsonb *message);
extern bool message_fits(Jsonb *message);
extern text *message_own_id(Jsonb *message, bool refuse_long);
pg_noreturn extern void message_refuse_change(const char *column);
extern void message_check_id(text *message_id);

#endif							/* AIRUN_MESSAGE_ACCEPT_H */

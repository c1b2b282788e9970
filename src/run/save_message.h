/*
 * save_message.h
 *		Messages that are saved again, and messages that are taken back.
 */
#ifndef AIRUN_SAVE_MESSAGE_H
#define AIRUN_SAVE_MESSAGE_H

#include "airun.h"

#include "run/message.h"

extern bool message_replace_at(const pg_uuid_t *run_id, int64 seq, TimestampTz created_at,
							   NewMessage *message, Oid function);
extern void message_find_or_replace(const pg_uuid_t *run_id, NewMessage *message,
									RunState *run, Oid function);

#endif							/* AIRUN_SAVE_MESSAGE_H */

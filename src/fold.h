/*
 * fold.h
 *		Requests without the messages that their run has stored already.
 */
#ifndef AIRUN_FOLD_H
#define AIRUN_FOLD_H

#include "airun.h"

#include "statement.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

extern bool request_fold(const pg_uuid_t *run_id, int64 message_count, Field *request_data,
						 Field *reference);
extern Jsonb *request_unfold(Jsonb *request_data, Jsonb *reference, Jsonb *messages);

#endif							/* AIRUN_FOLD_H */

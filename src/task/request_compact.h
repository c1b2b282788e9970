/*
 * request_compact.h
 *		Requests without the messages that their run has stored already.
 */
#ifndef AIRUN_REQUEST_COMPACT_H
#define AIRUN_REQUEST_COMPACT_H

#include "airun.h"

#include "store/plans.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

extern bool request_compact(const pg_uuid_t *run_id, int64 message_count, Field *request_data,
							Field *reference);

#endif							/* AIRUN_REQUEST_COMPACT_H */

/*
 * message_version.h
 *		What messages were before they were replaced or taken back.
 */
#ifndef AIRUN_MESSAGE_VERSION_H
#define AIRUN_MESSAGE_VERSION_H

#include "airun.h"

#include "store/plans.h"

extern void version_keep_replaced(const pg_uuid_t *run_id, int64 seq);
extern void version_keep_removed(void);
extern bool version_has_answer(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern bool version_was(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Jsonb *message);

#endif							/* AIRUN_MESSAGE_VERSION_H */

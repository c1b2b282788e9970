/*
 * lease.h
 *		Tasks that show no progress.
 */
#ifndef AIRUN_LEASE_H
#define AIRUN_LEASE_H

#include "airun.h"

#include "task/task.h"

extern Datum lease_default_timeout(void);
extern bool task_is_overdue(TaskStatus status, TimestampTz last_progress, const Field *timeout);
extern bool lease_look(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
					   bool *may_be_overdue);
extern int	lease_expire_run(const pg_uuid_t *run_id);

#endif							/* AIRUN_LEASE_H */

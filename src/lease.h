/*
 * lease.h
 *		Tasks that show no progress.
 */
#ifndef AIRUN_LEASE_H
#define AIRUN_LEASE_H

#include "airun.h"

#include "task.h"

extern int	lease_expire_run(const pg_uuid_t *run_id);

#endif							/* AIRUN_LEASE_H */

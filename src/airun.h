/*
 * airun.h
 *		What every file needs: error codes and settings, and the server's
 *		differences through compat.h.
 */
#ifndef AIRUN_H
#define AIRUN_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"

/*
 * One SQLSTATE a meaning.  PostgREST turns PTnnn into HTTP status nnn; every
 * other client reads it as a code of its own.
 */
/* nobody is calling */
#define ERRCODE_AIRUN_UNAUTHORIZED	MAKE_SQLSTATE('P', 'T', '4', '0', '1')
/* it does not fit into a budget */
#define ERRCODE_AIRUN_OVER_BUDGET	MAKE_SQLSTATE('P', 'T', '4', '0', '2')
/* no such run or task, or not yours: the same message */
#define ERRCODE_AIRUN_NOT_FOUND		MAKE_SQLSTATE('P', 'T', '4', '0', '4')
/* illegal transition, conflicting retry, or an id that is taken */
#define ERRCODE_AIRUN_CONFLICT		MAKE_SQLSTATE('P', 'T', '4', '0', '9')
/* a shard does not have the bucket that a call is for; the proxy looks for it */
#define ERRCODE_AIRUN_MISDIRECTED	MAKE_SQLSTATE('P', 'T', '4', '2', '1')
/* unacceptable message or value */
#define ERRCODE_AIRUN_UNACCEPTABLE	MAKE_SQLSTATE('P', 'T', '4', '2', '2')

/* Settings; each is described where it is defined, in airun.c */
extern int	airun_max_hold_file;
extern int	airun_max_hold_output;
extern int	airun_max_message_size;
extern char *airun_report_zone;
extern bool airun_trust_client_cost;

/* Which cost counts where both are known */
typedef enum CostSource
{
	COST_SOURCE_PRICE,
	COST_SOURCE_PROVIDER
} CostSource;

extern int	airun_cost_source;
extern char *airun_user_setting;
extern bool airun_async_progress;
extern bool airun_budget_enforce;
extern bool airun_direct_writes;
extern bool airun_partial_answers;
extern bool airun_notify;
extern int	airun_max_wait;
extern int	airun_max_waiting;
extern int	airun_task_timeout;

#endif							/* AIRUN_H */

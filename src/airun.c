/*
 * airun.c
 *		The module: its magic and its settings.
 *
 * A session that has not loaded the library yet may set airun.* all the same:
 * the value waits as a placeholder, and one that only a superuser may set is
 * dropped with a warning if a user has set it.
 */
#include "airun.h"

#include "shard/shard_call.h"
#include "store/args.h"
#include "utils/guc.h"
#include "worker/launcher.h"

/* Of minor releases since August 2024; without it see doc/operations.md */
#ifndef GUC_ALLOW_IN_PARALLEL
#define GUC_ALLOW_IN_PARALLEL 0
#endif

PG_MODULE_MAGIC_EXT(.name = "airun", .version = AIRUN_VERSION);

void		_PG_init(void);

/*
 * The largest message, in kilobytes of stored jsonb.  It is a check, so that
 * only a superuser may weaken it.
 */
int			airun_max_message_size = 16 * 1024;

/*
 * Does the cost that a client states count, rather than the price book?  Kept
 * beside it is in any case.
 */
bool		airun_trust_client_cost = false;

/*
 * Where the provider itself states a cost: does it count, or that of the price
 * book?  It is about money, so only a superuser may change it.
 */
int			airun_cost_source = COST_SOURCE_PRICE;

static const struct config_enum_entry cost_sources[] = {
	{"price", COST_SOURCE_PRICE, false},
	{"provider", COST_SOURCE_PROVIDER, false},
	{NULL, 0, false}
};

/*
 * Who is calling, where no request.jwt.claims say so: for applications that
 * connect by themselves and act for one user at a time.
 */
char	   *airun_user_setting = NULL;

/*
 * May a transaction that holds nothing but progress commit without waiting for
 * the disk?
 */
bool		airun_async_progress = false;

/*
 * Do starts hold of budgets?  Off for a role that may spend whatever it likes, so that
 * only a superuser may change it.
 */
bool		airun_budget_enforce = true;

/*
 * How many tokens budgets hold for: for an image or another file of a request, and of
 * output at the most.  Smaller ones hold less than may be spent, so that only a superuser
 * may change them.
 */
int			airun_max_hold_file = 2000;
int			airun_max_hold_output = 4096;

/* Do progress and ends notify the channel "airun"? */
bool		airun_notify = false;

/* The longest that airun_stream_read() waits, in milliseconds */
int			airun_max_wait = 20 * 1000;

/* How many readers of the server may wait at a time */
int			airun_max_waiting = 16;

/*
 * The time zone whose days reports are kept by.  All days of the cubes are to be of
 * one zone, so that only a superuser may change it.
 */
char	   *airun_report_zone = NULL;

/* Without progress for so long a task is overdue, in seconds */
int			airun_task_timeout = 10 * 60;

/*
 * May rows of runs, messages and tasks go past the executor?  A switch for who
 * audits statements, and the first question of a bug report (direct.c).
 */
bool		airun_direct_writes = true;

/* May a proxy answer for all shards without those that it cannot reach? */
bool		airun_partial_answers = false;

/* Is it a time zone that the server knows by its name? */
static bool
check_report_zone(char **value, void **extra, GucSource source)
{
	if (time_zone(*value) != NULL)
		return true;
	GUC_check_errdetail("The server knows no such time zone.");
	GUC_check_errhint("pg_timezone_names lists the names, such as Europe/Berlin.");
	return false;
}

/* Settings that are on or off */
static void
define_switches(void)
{
	DefineCustomBoolVariable("airun.async_progress",
							 "Lets progress commit without waiting for the disk.",
							 "A crash of the server may lose the last moment's progress, and "
							 "nothing else.",
							 &airun_async_progress,
							 false,
							 PGC_USERSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("airun.budget_enforce",
							 "Has tasks and calls that start hold of budgets.",
							 "When off, they are refused nothing, and count in no budget.",
							 &airun_budget_enforce,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("airun.direct_writes",
							 "Lets airun find and write rows of its store without the executor.",
							 "When off, statements do it, but for the text of a stream that is "
							 "arriving and new entries of the ledger.",
							 &airun_direct_writes,
							 true,
							 PGC_SUSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("airun.notify",
							 "Notifies the channel \"airun\" of progress and ends of tasks.",
							 "The payload says which task has moved; any role can listen to it.",
							 &airun_notify,
							 false,
							 PGC_USERSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("airun.partial_answers",
							 "Lets a proxy answer for all shards when some cannot be reached.",
							 "What is left out is told by a warning.  It is for functions that "
							 "only read.",
							 &airun_partial_answers,
							 false,
							 PGC_USERSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("airun.trust_client_cost",
							 "Charges a task what the client states that it costs.",
							 "When off, a task costs what the price book says; the client's "
							 "figure is kept beside.",
							 &airun_trust_client_cost,
							 false,
							 PGC_SUSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);
}

/* Settings that are numbers */
static void
define_numbers(void)
{
	DefineCustomIntVariable("airun.max_hold_file",
							"Sets for how many tokens budgets hold for an image or another file "
							"of a request.",
							NULL,
							&airun_max_hold_file,
							2000, 0, 10 * 1000 * 1000,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("airun.max_hold_output",
							"Sets for how many tokens of output budgets hold at the most.",
							"A request that asks for fewer holds for these.",
							&airun_max_hold_output,
							4096, 0, 10 * 1000 * 1000,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("airun.max_message_size",
							"Sets the largest message that a run accepts.",
							NULL,
							&airun_max_message_size,
							16 * 1024, 1, 256 * 1024,
							PGC_SUSET, GUC_UNIT_KB | GUC_ALLOW_IN_PARALLEL,
							NULL, NULL, NULL);

	DefineCustomIntVariable("airun.max_wait",
							"Sets the longest that airun_stream_read() waits for more.",
							NULL,
							&airun_max_wait,
							20 * 1000, 0, 20 * 1000,
							PGC_SUSET, GUC_UNIT_MS | GUC_ALLOW_IN_PARALLEL,
							NULL, NULL, NULL);

	DefineCustomIntVariable("airun.max_waiting",
							"Sets how many calls of airun_stream_read() may wait at a time, in "
							"the whole server.",
							"Others are answered at once.",
							&airun_max_waiting,
							16, 0, 10000,
							PGC_SUSET, GUC_ALLOW_IN_PARALLEL,
							NULL, NULL, NULL);

	DefineCustomIntVariable("airun.task_timeout",
							"Sets how long a task may be without progress before it is overdue.",
							"A task that has a timeout of its own keeps to that.",
							&airun_task_timeout,
							10 * 60, 1, 366 * 24 * 3600,
							PGC_USERSET, GUC_UNIT_S | GUC_ALLOW_IN_PARALLEL,
							NULL, NULL, NULL);
}

/* Settings that are words */
static void
define_words(void)
{
	DefineCustomEnumVariable("airun.cost_source",
							 "Sets which cost counts where the price book and the provider both "
							 "state one.",
							 "The other is kept beside it; where there is no price, the "
							 "provider's counts in any case.",
							 &airun_cost_source,
							 COST_SOURCE_PRICE, cost_sources,
							 PGC_SUSET, GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("airun.report_zone",
							   "Sets the time zone whose days reports are kept by.",
							   "It holds for what airun_rollup() folds from then on.",
							   &airun_report_zone,
							   "UTC",
							   PGC_SUSET, GUC_ALLOW_IN_PARALLEL,
							   check_report_zone, NULL, NULL);

	DefineCustomStringVariable("airun.user_id",
							   "Sets the user who is calling, where request.jwt.claims is not "
							   "set.",
							   "A subject that is not a UUID stands for its version-5 UUID.",
							   &airun_user_setting,
							   NULL,
							   PGC_USERSET, GUC_ALLOW_IN_PARALLEL,
							   NULL, NULL, NULL);
}

void
_PG_init(void)
{
	define_numbers();
	define_switches();
	define_words();

	launcher_init();
	shard_init();

	MarkGUCPrefixReserved("airun");
}

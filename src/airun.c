/*
 * airun.c
 *		The module: its magic and its settings.
 *
 * A session that has not loaded the library yet may set airun.* all the same:
 * the value waits as a placeholder, and one that only a superuser may set is
 * dropped with a warning if a user has set it.
 */
#include "airun.h"

#include "utils/guc.h"

PG_MODULE_MAGIC_EXT(.name = "airun", .version = AIRUN_VERSION);

void		_PG_init(void);

/*
 * The largest message, in kilobytes of stored jsonb.  It is a check, so that
 * only a superuser may weaken it.
 */
int			airun_max_message_size = 16 * 1024;

/*
 * Does the cost that a client states count?  Until airun has prices of its
 * own it is all there is.  A superuser who does not believe clients turns it
 * off; the cost is then unknown (NULL).
 */
bool		airun_trust_client_cost = true;

/*
 * Who is calling, where no request.jwt.claims say so: for applications that
 * connect by themselves and act for one user at a time.
 */
char	   *airun_user_setting = NULL;

void
_PG_init(void)
{
	DefineCustomIntVariable("airun.max_message_size",
							"Sets the largest message that a run accepts.",
							NULL,
							&airun_max_message_size,
							16 * 1024, 1, 256 * 1024,
							PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("airun.trust_client_cost",
							 "Keeps the cost that a client states when it ends a task.",
							 "When off, such a cost is ignored and the task's cost is unknown.",
							 &airun_trust_client_cost,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("airun.user_id",
							   "Sets the user who is calling, where request.jwt.claims is not set.",
							   "A subject that is not a UUID stands for its version-5 UUID.",
							   &airun_user_setting,
							   NULL,
							   PGC_USERSET, 0,
							   NULL, NULL, NULL);

	MarkGUCPrefixReserved("airun");
}

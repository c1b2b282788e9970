/*
 * access.c
 *		May the caller see, or change, a run?
 *
 * The policies on messages and tasks ask these two functions, which ask for
 * the run under the caller's rights: whatever policies there are on runs,
 * ours or a site's, hold for what belongs to them.  The answer is remembered
 * within the statement, so that it is asked for once a run and not once a row.
 * A statement of our own that names the run itself is not asked twice.
 *
 * Locks: airun_writes_run() holds the run against removal (FOR KEY SHARE),
 * which is what makes the server apply the policies for changing; appends and
 * other changes do not wait for that.
 */
#include "airun.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/plans.h"
#include "store/store.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(airun_sees_run);
PG_FUNCTION_INFO_V1(airun_writes_run);

typedef struct Answer
{
	pg_uuid_t	run_id;			/* the key, so it comes first */
	bool		granted;
} Answer;

/*
 * What one expression has been answered, in its own memory.  PL/pgSQL keeps
 * an expression for longer than a statement, and so the answers say whom and
 * what they are for.
 */
typedef struct Answers
{
	Oid			role;
	pg_uuid_t	caller;
	CommandId	command;
	TimestampTz statement;
	Answer		last;			/* rows of one run mostly come together */
	HTAB	   *all;
} Answers;

static bool
ask(const pg_uuid_t *run_id, bool for_writing)
{
	static Statement see = {
		"SELECT FROM airun.runs AS r WHERE r.id" EQ "$1", 1, {UUIDOID}
	};
	static Statement write = {
		"SELECT FROM airun.runs AS r WHERE r.id" EQ "$1 FOR KEY SHARE OF r", 1, {UUIDOID}
	};
	Args		args = {0};
	pg_uuid_t	caller;
	uint64		found;

	if (for_writing && store_binds_caller() && !caller_id(&caller))
		return false;
	if (for_writing && direct_hold_run(run_id))
		return true;
	arg_uuid(&args, run_id);
	store_open(false);
	found = for_writing ? statement_write(&write, &args) : statement_read(&see, &args, 1);
	store_close();
	return found == 1;
}

static bool
ask_once(FmgrInfo *flinfo, const pg_uuid_t *run_id, bool for_writing)
{
	Answers    *answers = flinfo->fn_extra;
	Answer	   *answer;
	CommandId	command = GetActiveSnapshot()->curcid;
	pg_uuid_t	caller = {{0}};
	bool		found;

	if (internal_write_expression(run_id))
		return true;

	(void) caller_id(&caller);
	if (answers != NULL &&
		(answers->role != GetUserId() || answers->command != command ||
		 answers->statement != GetCurrentStatementStartTimestamp() ||
		 !uuid_equal(&answers->caller, &caller)))
	{
		hash_destroy(answers->all);
		pfree(answers);
		answers = NULL;
	}
	if (answers == NULL)
	{
		HASHCTL		info = {
			.keysize = sizeof(pg_uuid_t),
			.entrysize = sizeof(Answer),
			.hcxt = flinfo->fn_mcxt,
		};

		answers = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Answers));
		answers->all = hash_create("airun runs asked for", 16, &info,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		answers->role = GetUserId();
		answers->caller = caller;
		answers->command = command;
		answers->statement = GetCurrentStatementStartTimestamp();
		flinfo->fn_extra = answers;
	}
	else if (uuid_equal(&answers->last.run_id, run_id))
		return answers->last.granted;

	answer = hash_search(answers->all, run_id, HASH_FIND, NULL);
	if (answer == NULL)
	{
		bool		granted = ask(run_id, for_writing);

		answer = hash_search(answers->all, run_id, HASH_ENTER, &found);
		answer->granted = granted;
	}
	answers->last = *answer;
	return answer->granted;
}

/*
 * airun_sees_run(run_id uuid) returns boolean
 */
Datum
airun_sees_run(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ask_once(fcinfo->flinfo, PG_GETARG_UUID_P(0), false));
}

/*
 * airun_writes_run(run_id uuid) returns boolean
 *
 * false when nobody is calling: an error would tell which runs there are.
 */
Datum
airun_writes_run(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ask_once(fcinfo->flinfo, PG_GETARG_UUID_P(0), true));
}

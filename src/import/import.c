/*
 * import.c
 *		airun_import(): conversations of other systems, brought in.
 *
 * A document is taken apart into entries (recognise.c), each of which a reader
 * turns into one common form, branch by branch (read_chats.c, read_messages.c,
 * read_traces.c, read_original.c; compose.c), which is then stored (store_conversation.c).
 * Guaranteed is:
 *
 * - Every entry gives a row: the run that it has become, or the reason why not.
 * - An entry comes in whole or not at all: each has a subtransaction of its own, and
 *	 one that fails leaves the others as they are.  Only of one whose run is there do
 *	 requests that are new come in, and what else is new is told.
 * - The same document again changes nothing.
 *
 * What is reported in a row is what is wrong with its entry.  What is wrong with the
 * server, the call or the rights of the caller is an error of the whole call, which
 * then has changed nothing.
 *
 * Locks: the runs' rows, in the order of the document, until the transaction ends: two
 * that bring the same conversations in, each in another order, may meet a deadlock.
 *
 * Errors: PT401 when nobody is calling; PT422 for an unknown format; 42501 where
 * another role than the owner of the store names a user.
 */
#include "import/import.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_import);

#define RESULT_COLUMNS	6

/* Is an error about what an entry says, and not about the server or the caller? */
static bool
is_about_the_entry(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	if (sqlerrcode == ERRCODE_AIRUN_UNACCEPTABLE || sqlerrcode == ERRCODE_AIRUN_CONFLICT)
		return true;
	return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		sqlerrcode == ERRCODE_TRIGGERED_ACTION_EXCEPTION || sqlerrcode == ERRCODE_RAISE_EXCEPTION;
}

static char *
problem_of(const ErrorData *error)
{
	return error->detail == NULL ? pstrdup(error->message) :
		psprintf("%s: %s", error->message, error->detail);
}

static void
read_and_store(const ImportEntry *entry, const pg_uuid_t *user_id, ImportResult *result)
{
	Conversation conversation = {
		.format = entry->format->name,
		.created_at = NO_TIME,
		.active_at = NO_TIME,
	};

	json_begin_times();
	entry->format->read(entry->value, &conversation);
	store_open(true);
	store_conversation(&conversation, user_id, entry->value, result);
	store_close();
}

/* Bring an entry in, in a subtransaction.  Returns the reason why it does not come in. */
static char *
try_entry(const ImportEntry *entry, const pg_uuid_t *user_id, ImportResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		read_and_store(entry, user_id, result);
		problem = result->problem;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!is_about_the_entry(error->sqlerrcode))
			ReThrowError(error);
		problem = problem_of(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return problem;
}

static void
put_row(FunctionCallInfo fcinfo, const ImportEntry *entry, const ImportResult *result,
		const char *problem)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[RESULT_COLUMNS] = {0};
	bool		nulls[RESULT_COLUMNS] = {false, true, true, true, true, true};

	values[0] = Int32GetDatum(entry->position);
	if (problem != NULL)
	{
		values[5] = CStringGetTextDatum(problem);
		nulls[5] = false;
	}
	else
	{
		values[1] = UUIDPGetDatum(&result->run_id);
		values[2] = PointerGetDatum(result->name);
		values[3] = Int64GetDatum(result->message_count);
		values[4] = Int64GetDatum(result->fork_count);
		nulls[1] = nulls[3] = nulls[4] = false;
		nulls[2] = result->name == NULL;
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Whose the runs will be: the caller's, or who is named by the owner of the store */
static const pg_uuid_t *
import_user(FunctionCallInfo fcinfo)
{
	pg_uuid_t  *user_id = palloc_object(pg_uuid_t);

	if (!PG_ARGISNULL(2))
	{
		if (store_binds_caller() &&
			!(caller_id(user_id) && uuid_equal(user_id, PG_GETARG_UUID_P(2))))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to import for user \"%s\"",
							uuid_string(PG_GETARG_UUID_P(2))),
					 errdetail("Role \"%s\" is bound by row-level security.",
							   GetUserNameFromId(GetUserId(), false)),
					 errhint("Leave \"for_user\" out to import for the user who calls.")));
		return PG_GETARG_UUID_P(2);
	}
	return caller_id(user_id) ? user_id : NULL;
}

/*
 * airun_import(document, format, for_user) returns setof ai_imported
 */
Datum
airun_import(PG_FUNCTION_ARGS)
{
	const ImportFormat *format = NULL;
	const pg_uuid_t *user_id;
	MemoryContext own;
	MemoryContext context;
	ListCell   *cell;
	List	   *entries;

	check_argument_count(fcinfo, 3);
	if (PG_ARGISNULL(0))
		refuse_null("document");
	if (!PG_ARGISNULL(1))
		format = import_format_named(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	store_open(true);
	store_close();
	user_id = import_user(fcinfo);
	result_begin_rows(fcinfo, RESULT_COLUMNS);
	entries = import_entries(PG_GETARG_TEXT_PP(0), format);
	own = AllocSetContextCreate(CurrentMemoryContext, "airun import", ALLOCSET_DEFAULT_SIZES);
	foreach(cell, entries)
	{
		ImportEntry *entry = lfirst(cell);
		ImportResult result = {0};
		const char *problem = entry->problem;

		CHECK_FOR_INTERRUPTS();
		context = MemoryContextSwitchTo(own);
		if (problem == NULL)
			problem = try_entry(entry, user_id, &result);
		put_row(fcinfo, entry, &result, problem);
		MemoryContextSwitchTo(context);
		MemoryContextReset(own);
	}
	return (Datum) 0;
}

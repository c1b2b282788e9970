/*
 * message_version.c
 *		What messages were before they were replaced or taken back.
 *
 * A message that is replaced, or deleted while its run lives, is kept in
 * airun.message_versions: as it stood, with its place, and when and by whom it
 * went.  The versions at one place are numbered from 1 on, whichever messages
 * have stood there.  They are seen by whoever sees the run, and go with it.
 *
 * Nobody but the owner of the store may write them, and so it is in his name
 * that they are written, by the functions and triggers that have the rights of
 * their caller on the run.
 *
 * Locks: none of their own; whoever replaces or deletes has locked the run.
 *
 * Errors: PT404 for a run that the caller cannot see.
 */
#include "run/message_version.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "run/run.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_message_versions);

/* The columns of ai_message_version, of a table aliased v */
#define VERSION_COLUMNS \
	"v.run_id, v.seq, v.version, v.message_id, v.task_id, " \
	"v.message OPERATOR(pg_catalog.->>) 'role', v.message, v.created_at, v.action, " \
	"v.replaced_at, v.replaced_by"
#define VERSION_COUNT	11

/* A version of each message m, behind the last one; the time is $1, the user $2 */
#define KEEP_VERSIONS(action, last) \
	"INSERT INTO airun.message_versions (run_id, seq, version, message_id, task_id, " \
	"message, created_at, action, replaced_at, replaced_by) " \
	"SELECT m.run_id, m.seq, 1" PLUS "COALESCE(" last ", 0), " \
	"m.message_id, m.task_id, m.message, m.created_at, '" action "', " \
	"GREATEST($1, m.created_at), $2 "

static void
add_who_and_when(Args *args, pg_uuid_t *caller)
{
	arg_time(args, GetCurrentTimestamp());
	arg_uuid(args, caller_id(caller) ? caller : NULL);
}

/* Keep the message at this place, which is about to be replaced */
void
version_keep_replaced(const pg_uuid_t *run_id, int64 seq)
{
	static Statement keep = {
		KEEP_VERSIONS("replaced",
					  "(SELECT pg_catalog.max(v.version) FROM airun.message_versions AS v "
					  "WHERE v.run_id" EQ "m.run_id AND v.seq" EQ "m.seq)")
		"FROM airun.messages AS m WHERE m.run_id" EQ "$3 AND m.seq" EQ "$4",
		4, {TIMESTAMPTZOID, UUIDOID, UUIDOID, INT8OID}
	};
	pg_uuid_t	caller;
	Args		args = {0};

	add_who_and_when(&args, &caller);
	arg_uuid(&args, run_id);
	arg_int64(&args, seq);
	statement_write_as_owner(&keep, &args, store_table_owner("message_versions"));
}

/*
 * In a statement trigger that has old_rows: keep the messages that have been
 * deleted.  Those of runs that are gone themselves are gone for good.
 *
 * The versions that there are, are read once: a look for each message would read
 * what this statement has written so far, where the table was empty when its plan
 * was made and is scanned as a whole.
 */
void
version_keep_removed(void)
{
	static Statement keep = {
		"WITH l AS MATERIALIZED (SELECT v.run_id, v.seq, pg_catalog.max(v.version) AS version "
		"FROM airun.message_versions AS v "
		"WHERE v.run_id" EQ "ANY (ARRAY(SELECT DISTINCT m.run_id FROM old_rows AS m)) "
		"GROUP BY v.run_id, v.seq) "
		KEEP_VERSIONS("removed", "l.version")
		"FROM old_rows AS m JOIN airun.runs AS r ON r.id" EQ "m.run_id "
		"LEFT JOIN l ON l.run_id" EQ "m.run_id AND l.seq" EQ "m.seq",
		2, {TIMESTAMPTZOID, UUIDOID}
	};
	pg_uuid_t	caller;
	Args		args = {0};

	add_who_and_when(&args, &caller);
	statement_write_as_owner(&keep, &args, store_table_owner("message_versions"));
}

/* Has the message that came out of a task been taken back? */
bool
version_has_answer(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement find = {
		"SELECT FROM airun.message_versions AS v WHERE v.run_id" EQ "$1 AND v.task_id" EQ "$2 "
		"AND v.action" EQ "'removed' AND (v.message OPERATOR(pg_catalog.->>) 'role')" EQ
		"ANY ('{assistant,model}') LIMIT 1",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};

	(void) store_table_oid("message_versions");
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	return statement_write_internal(&find, &args, run_id) > 0;
}

/* Has this message of a task, its timestamp aside, been replaced? */
bool
version_was(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Jsonb *message)
{
#define WITHOUT_TIMESTAMP(value) \
	"(" value " OPERATOR(pg_catalog.-) 'timestamp'::pg_catalog.text)"
	static Statement find = {
		"SELECT FROM airun.message_versions AS v WHERE v.run_id" EQ "$1 AND v.task_id" EQ "$2 "
		"AND " WITHOUT_TIMESTAMP("v.message") EQ WITHOUT_TIMESTAMP("$3") " LIMIT 1",
		3, {UUIDOID, UUIDOID, JSONBOID}
	};
	Args		args = {0};

	(void) store_table_oid("message_versions");
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_pointer(&args, message);
	return statement_write_internal(&find, &args, run_id) > 0;
}

/*
 * airun_message_versions(run_id, seq, message_id)
 * returns setof ai_message_version
 */
Datum
airun_message_versions(PG_FUNCTION_ARGS)
{
	static Statement see_run = {
		"SELECT FROM airun.runs AS r WHERE " LIVE_RUN, 1, {UUIDOID}
	};
	static Statement read = {
		"SELECT " VERSION_COLUMNS " FROM airun.message_versions AS v WHERE v.run_id" EQ "$1 "
		"AND ($2 IS NULL OR v.seq" EQ "$2) AND ($3 IS NULL OR v.message_id" EQ "$3) "
		"ORDER BY v.seq, v.version",
		3, {UUIDOID, INT8OID, TEXTOID}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	Field		seq = argument_field(fcinfo, 1);
	Field		message_id = argument_field(fcinfo, 2);
	Args		args = {0};
	uint64		count;

	result_begin_rows(fcinfo, VERSION_COUNT);
	store_open(false);
	(void) store_table_oid("message_versions");
	arg_uuid(&args, run_id);
	if (statement_read(&see_run, &args, 1) == 0)
		run_not_found(run_id);
	arg_field(&args, &seq);
	arg_field(&args, &message_id);
	count = statement_read(&read, &args, 0);
	for (uint64 i = 0; i < count; i++)
	{
		Datum		values[VERSION_COUNT];
		bool		nulls[VERSION_COUNT];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	store_close();
	return (Datum) 0;
}

/*
 * fork.c
 *		Runs that branch off from others.
 *
 * A fork is a run of its own with the messages of another one up to a place: with
 * the same ids, texts and timestamps, as rows that are appended now.  What belongs
 * to the conversation goes with them: source, description, settings, variable
 * values, tags, metadata.  Tasks and money stay where they were spent.  From where
 * it branches off is recorded, and stays so when the other run is deleted or purged.
 *
 * A fork may end between a call of a tool and its result: the client goes on with
 * a result of its own, and airun_context() leaves out a call that has none.
 *
 * The runs that have been forked from one another are a family.  What stands at one
 * place in one and in another are alternatives, if the runs part there: of a fork of
 * a fork, too, at a place that both have from the first one.
 *
 * Locks: the row of the run that is forked, then that of the fork, if it is new.
 *
 * Errors: PT404 for a run that the caller cannot change; PT422 for a place that
 * the run has not; PT409 for an id that is taken otherwise.
 */
#include "run/run.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_fork_run);
PG_FUNCTION_INFO_V1(airun_run_forks);

/* ---------- forking ---------- */

/* What the fork takes over from the run, which is locked */
static void
take_over(const pg_uuid_t *run_id, RunFields *fields)
{
	static Statement read = {
		"SELECT r.source_type, r.source_id, r.name, r.description, r.settings, "
		"r.variable_values, r.tags, r.metadata, r.user_id FROM airun.runs AS r "
		"WHERE r.id" EQ "$1",
		1, {UUIDOID}
	};
	Field	   *const columns[] = {
		&fields->source_type, &fields->source_id, &fields->name, &fields->description,
		&fields->settings, &fields->variable_values, &fields->tags, &fields->metadata,
		&fields->user_id
	};
	pg_uuid_t	caller;
	Args		args = {0};

	arg_uuid(&args, run_id);
	if (statement_write_internal(&read, &args, run_id) != 1)
		run_not_found(run_id);
	for (int i = 0; i < lengthof(columns); i++)
		columns[i]->value = result_value(0, i + 1, &columns[i]->isnull);
	if (caller_id(&caller))
		fields->user_id = NO_FIELD; /* whoever forks has the fork */
}

/* Up to where a run is forked: PT422 where that is no place of it */
static int64
fork_place(FunctionCallInfo fcinfo, const pg_uuid_t *run_id, const RunState *run)
{
	int64		seq;

	if (PG_ARGISNULL(1))
		return run->message_count;
	seq = PG_GETARG_INT64(1);
	if (seq < 0 || seq > run->message_count)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("run \"%s\" cannot be forked at seq " INT64_FORMAT,
						uuid_string(run_id), seq),
				 errdetail("It has " INT64_FORMAT " messages.", run->message_count),
				 errhint("Give the seq of the last message that the fork is to have, 0 for none, "
						 "or leave \"at_seq\" out for all.")));
	return seq;
}

/* Copy the messages up to a place into a new run, and count them there */
static void
copy_messages(const pg_uuid_t *from, int64 seq, const pg_uuid_t *to, RunState *fork)
{
	static Statement copy = {
		"INSERT INTO airun.messages (run_id, seq, created_at, message_id, message) "
		"SELECT $3, m.seq, $4, m.message_id, m.message FROM airun.messages AS m "
		"WHERE m.run_id" EQ "$1 AND m.seq" LE "$2 ORDER BY m.seq",
		4, {UUIDOID, INT8OID, UUIDOID, TIMESTAMPTZOID}
	};
	Args		args = {0};

	run_change(to, &(RunChange) {.messages = seq}, fork);
	arg_uuid(&args, from);
	arg_int64(&args, seq);
	arg_uuid(&args, to);
	arg_time(&args, fork->last_message_at);
	if (statement_write_messages(&copy, &args, to) != (uint64) seq)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger or a policy on airun.messages has suppressed a message")));
}

/* Has the call been made before: is there this fork of the run, of who calls? */
static bool
is_forked(FunctionCallInfo fcinfo)
{
	static Statement find = {
		"SELECT FROM airun.runs AS r WHERE " LIVE_RUN " AND r.forked_from" EQ "$2 "
		"AND ($3 IS NULL OR r.forked_at_seq" EQ "$3) AND ($4 IS NULL OR r.user_id" EQ "$4)",
		4, {UUIDOID, UUIDOID, INT8OID, UUIDOID}
	};
	Field		fork_id = argument_field(fcinfo, 4);
	Field		seq = argument_field(fcinfo, 1);
	pg_uuid_t	caller;
	Args		args = {0};

	if (fork_id.isnull)
		return false;
	arg_field(&args, &fork_id);
	arg_uuid(&args, PG_GETARG_UUID_P(0));
	arg_field(&args, &seq);
	arg_uuid(&args, caller_id(&caller) ? &caller : NULL);
	return statement_write(&find, &args) == 1;
}

/* Make the fork of a run, which is locked; sets its id, unless that is given */
static void
make_fork(FunctionCallInfo fcinfo, const RunState *run, pg_uuid_t *fork_id)
{
	const pg_uuid_t *run_id = PG_GETARG_UUID_P(0);
	int64		seq = fork_place(fcinfo, run_id, run);
	RunFields	fields = {0};
	RunState	fork = {0};
	pg_uuid_t	caller;
	ResultRow	summary;

	take_over(run_id, &fields);
	if (!PG_ARGISNULL(2))
		fields.name = argument_field(fcinfo, 2);
	fields.is_listed = argument_field(fcinfo, 3);
	fields.forked_from = (Field) {UUIDPGetDatum(run_id), false};
	fields.forked_at_seq = (Field) {Int64GetDatum(seq), false};
	if (PG_ARGISNULL(4))
		uuid_generate_for(fork_id, run_owner(&fields, &caller));
	if (!run_insert(fork_id, !PG_ARGISNULL(4), &fields, &summary))
		run_refuse_taken(fork_id);
	ItemPointerSetInvalid(&fork.place);
	if (seq > 0)
		copy_messages(run_id, seq, fork_id, &fork);
}

/*
 * airun_fork_run(run_id, at_seq, name, listed, id) returns ai_run_summary
 *
 * An id that a fork of the same run has already, at the same place, returns that fork, as
 * it is, also when the run is gone.
 */
Datum
airun_fork_run(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	pg_uuid_t	fork_id;
	RunState	run;
	ResultRow	summary;
	Datum		result;

	if (!PG_ARGISNULL(4))
		fork_id = *PG_GETARG_UUID_P(4);
	store_open(true);
	if (!is_forked(fcinfo))
	{
		run_lock(run_id, &run);
		/* again, since the same call may have had the run until now */
		if (!is_forked(fcinfo))
			make_fork(fcinfo, &run, &fork_id);
	}
	summary = run_read_summary(&fork_id);
	result = result_row_composite(fcinfo, &summary);
	store_close();
	PG_RETURN_DATUM(result);
}

/* ---------- families ---------- */

/*
 * The alternatives along a run, $1.
 *
 * A fork has in common with its origin what it has copied, up to the first message that
 * either has taken back since.
 *
 * up: the run and what it branches off from; family: all that branches off from
 * these.  placed: from which run, and behind which place, each one has messages of
 * its own: what a fork of a fork has from the first run, branches off from that.
 * path: the runs whose messages $1 has, each with the place where $1 leaves it.
 * parting: who has a message of his own behind such a place.  holds: who has that
 * message as well, and can stand in where that run is gone.
 */
#define FORK_COUNT	10
#define FIRST_REMOVED(condition) \
	"(SELECT pg_catalog.min(v.seq) FROM airun.message_versions AS v WHERE v.action" EQ \
	"'removed' AND " condition ")"
#define FAMILY \
	"WITH RECURSIVE up AS (" \
	"SELECT r.id, r.forked_from FROM airun.runs AS r WHERE r.id" EQ "$1 UNION " \
	"SELECT r.id, r.forked_from FROM up AS u JOIN airun.runs AS r ON r.id" EQ "u.forked_from), " \
	"family AS (SELECT COALESCE(u.forked_from, u.id) AS id FROM up AS u UNION " \
	"SELECT r.id FROM family AS f JOIN airun.runs AS r ON r.forked_from" EQ "f.id), " \
	"member AS (SELECT r.id, r.forked_from, " \
	"CASE WHEN r.forked_at_seq IS NOT NULL THEN LEAST(r.forked_at_seq, " \
	FIRST_REMOVED("v.run_id" EQ "r.id") MINUS "1, " \
	FIRST_REMOVED("v.run_id" EQ "r.forked_from AND v.replaced_at" GE "r.created_at") \
	MINUS "1) END " \
	"AS forked_at_seq, r.created_at, r.message_count, " \
	"r.name, r.is_listed, r.last_message_at, r.deleted_at FROM airun.runs AS r " \
	"WHERE r.id" EQ "ANY (SELECT f.id FROM family AS f)), " \
	"steps AS (SELECT m.id, m.forked_from AS origin, m.forked_at_seq AS seq FROM member AS m " \
	"WHERE m.forked_from IS NOT NULL UNION " \
	"SELECT s.id, o.forked_from, s.seq FROM steps AS s JOIN member AS o ON o.id" EQ "s.origin " \
	"AND s.seq" LE "o.forked_at_seq), " \
	"placed AS (SELECT s.id, s.origin, s.seq FROM steps AS s WHERE NOT EXISTS (" \
	"SELECT FROM member AS o WHERE o.id" EQ "s.origin AND s.seq" LE "o.forked_at_seq)), " \
	"path AS (SELECT $1 AS id, NULL::pg_catalog.uuid AS next, NULL::pg_catalog.int8 AS leaves " \
	"UNION SELECT p.origin, p.id, p.seq FROM path AS q JOIN placed AS p ON p.id" EQ "q.id), "
#define PARTINGS \
	"parting AS (SELECT c.seq, c.id AS member, q.next IS NOT NULL AND c.seq" EQ "q.leaves " \
	"AND c.id" EQ "q.next AS is_shown, 1 AS rank FROM path AS q " \
	"JOIN placed AS c ON c.origin" EQ "q.id AND c.seq" LE "COALESCE(q.leaves, c.seq) UNION " \
	"SELECT c.seq, q.id, q.next IS NULL OR c.seq" LT "q.leaves, 0 FROM path AS q " \
	"JOIN placed AS c ON c.origin" EQ "q.id AND c.seq" LE "COALESCE(q.leaves, c.seq)), " \
	"holds AS (SELECT p.member, p.member AS holder, NULL::pg_catalog.int8 AS entry " \
	"FROM parting AS p UNION SELECT h.member, p.id, COALESCE(h.entry, p.seq) " \
	"FROM holds AS h JOIN placed AS p ON p.origin" EQ "h.holder), " \
	"found AS (SELECT DISTINCT ON (p.seq, p.member, p.rank, p.is_shown) " \
	"p.seq, p.member, p.rank, p.is_shown, CASE WHEN p.is_shown THEN $1 ELSE m.id END AS id " \
	"FROM parting AS p " \
	"JOIN member AS shown ON shown.id" EQ "$1 AND shown.message_count" GT "p.seq " \
	"LEFT JOIN (holds AS h JOIN member AS m ON m.id" EQ "h.holder AND m.deleted_at IS NULL) " \
	"ON h.member" EQ "p.member AND COALESCE(h.entry" GT "p.seq, true) " \
	"AND m.message_count" GT "p.seq " \
	"ORDER BY p.seq, p.member, p.rank, p.is_shown, h.entry IS NOT NULL, m.created_at, m.id), " \
	"numbered AS (SELECT f.seq, pg_catalog.row_number() OVER w AS number, " \
	"pg_catalog.count(*) OVER (PARTITION BY f.seq) AS count, f.id, f.is_shown " \
	"FROM found AS f LEFT JOIN member AS m ON m.id" EQ "f.member WHERE f.id IS NOT NULL " \
	"WINDOW w AS (PARTITION BY f.seq ORDER BY f.rank, m.created_at, f.member)) "

/*
 * airun_run_forks(run_id) returns setof ai_run_fork
 */
Datum
airun_run_forks(PG_FUNCTION_ARGS)
{
	static Statement see_run = {
		"SELECT FROM airun.runs AS r WHERE " LIVE_RUN, 1, {UUIDOID}
	};
	static Statement read = {
		FAMILY PARTINGS
		"SELECT n.seq" PLUS "1, n.number, n.count, n.id, m.name, n.is_shown, m.is_listed, "
		"m.message_count, m.created_at, m.last_message_at "
		"FROM numbered AS n JOIN member AS m ON m.id" EQ "n.id WHERE n.count" GT "1 "
		"ORDER BY n.seq, n.number",
		1, {UUIDOID}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	Args		args = {0};
	uint64		count;

	result_begin_rows(fcinfo, FORK_COUNT);
	store_open(false);
	arg_uuid(&args, run_id);
	if (statement_read(&see_run, &args, 1) == 0)
		run_not_found(run_id);
	count = statement_read(&read, &args, 0);
	for (uint64 i = 0; i < count; i++)
	{
		Datum		values[FORK_COUNT];
		bool		nulls[FORK_COUNT];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	store_close();
	return (Datum) 0;
}

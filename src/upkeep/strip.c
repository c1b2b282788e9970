/*
 * strip.c
 *		Removing what was said, and keeping the figures.
 *
 * For the functions in SQL that prune and erase, which have chosen the runs, locked
 * them and answer for it: they run as the owner of the store.  Here are the statements
 * that triggers have to know as ours, since nobody else may take such things away.
 *
 * Of a run that is stripped the row stays, with its source, status, times and totals,
 * and its tasks with their figures: usage, tokens, cost, times, models.  Of a run of
 * somebody else's, what one person has said or been told in it is emptied: places,
 * roles and times stay, so that the conversation of the others does.  Requests of that
 * run go, too, since they may have it all.
 *
 * Locks: the rows that are written; their runs are locked by now.  Texts that stream
 * are tried: airun_store_remove_runs() leaves the runs of those that somebody holds.  Then
 * counters of budgets, or at the end of what calls this (budget_defer_begin()).
 */
#include "airun.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "store/identity.h"
#include "store/plans.h"
#include "store/store.h"
#include "upkeep/purge.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(airun_store_remove_runs);
PG_FUNCTION_INFO_V1(airun_store_strip_runs);
PG_FUNCTION_INFO_V1(airun_store_cancel_tasks);
PG_FUNCTION_INFO_V1(airun_store_empty_messages);
PG_FUNCTION_INFO_V1(airun_store_empty_copies);

/* Have the batch be the runs of an array, in the order of their ids */
static void
take_array(Purge *purge, ArrayType *array)
{
	Datum	   *ids;

	deconstruct_array(array, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, NULL, &purge->count);
	if (purge->count > PURGE_BATCH)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("%d runs are too many at once", purge->count),
				 errhint("Give at most %d.", PURGE_BATCH)));
	for (int i = 0; i < purge->count; i++)
		purge->ids[i] = *DatumGetUUIDP(ids[i]);
	qsort(purge->ids, purge->count, sizeof(pg_uuid_t), uuid_order);
}

/*
 * airun_store_remove_runs(ids uuid[], with_forked boolean) returns bigint
 *
 * How many have gone.
 */
Datum
airun_store_remove_runs(PG_FUNCTION_ARGS)
{
	Purge	   *purge = palloc0_object(Purge);
	uint64		removed;

	take_array(purge, PG_GETARG_ARRAYTYPE_P(0));
	purge->with_forked = PG_GETARG_BOOL(1);
	store_open(true);
	removed = purge_locked_runs(purge);
	store_close();
	PG_RETURN_INT64((int64) removed);
}

/*
 * What is emptied of a task: all but its figures.  Its charges may have been estimated by
 * the text's length: with the holds gone counters of budgets keep them.
 */
#define EMPTY_TASK \
	"request_data = NULL, request_reference = NULL, response_text = NULL, " \
	"response_data = NULL, error = NULL, metadata = '{}', pending_half = NULL, " \
	"text_in_answer = false, response_length = 0, holds = NULL"

/*
 * Have counters of budgets keep what tasks have charged that are to be emptied: all of
 * these runs, or a person's
 */
static void
keep_charges(Datum runs, const pg_uuid_t *person)
{
	static Statement find = {
		"SELECT t.holds, t.completed_at IS NOT NULL, t.status" EQ "'completed', t.cost, "
		"t.tokens_total, t.response_length FROM airun.tasks AS t WHERE t.run_id" EQ "ANY ($1) "
		"AND t.holds IS NOT NULL AND ($2 IS NULL OR t.user_id" EQ "$2)",
		2, {UUIDARRAYOID, UUIDOID}
	};
	BudgetChanges *changes = budget_changes_begin();
	Args		args = {0};
	uint64		count;
	bool		isnull;

	arg_add(&args, runs, false);
	arg_uuid(&args, person);
	count = statement_write(&find, &args);
	for (uint64 i = 0; i < count; i++)
	{
		BudgetState state = {
			.has_ended = DatumGetBool(result_value(i, 2, &isnull)),
			.is_completed = DatumGetBool(result_value(i, 3, &isnull)),
			.length = DatumGetInt64(result_value(i, 6, &isnull)),
		};

		state.holds.value = result_value(i, 1, &state.holds.isnull);
		state.cost.value = result_value(i, 4, &state.cost.isnull);
		state.tokens.value = result_value(i, 5, &state.tokens.isnull);
		budget_changes_add(changes, &state, NULL);
	}
	budget_changes_write(changes);
}

/*
 * Remove what was said in a batch of runs, which are locked, as the owner of the store.
 * Returns how many there were.
 */
uint64
strip_locked_runs(const Purge *runs)
{
	static Statement steps[] = {
		{
			"UPDATE airun.tasks AS t SET " EMPTY_TASK ", inputs_from = NULL, inputs_to = NULL, "
			"answer_seq = NULL WHERE t.run_id" EQ "ANY ($1)",
			1, {UUIDARRAYOID}
		},
		{"DELETE FROM airun.messages AS m WHERE m.run_id" EQ "ANY ($1)", 1, {UUIDARRAYOID}},
		{
			"DELETE FROM airun.message_versions AS v WHERE v.run_id" EQ "ANY ($1)",
			1, {UUIDARRAYOID}
		},
		{
			"UPDATE airun.runs AS r SET name = NULL, description = NULL, tags = '{}', "
			"metadata = '{}', settings = '{}', variable_values = '{}', message_count = 0, "
			"stripped_at = pg_catalog.clock_timestamp(), "
			"updated_at = GREATEST(r.updated_at, pg_catalog.clock_timestamp()) "
			"WHERE r.id" EQ "ANY ($1)",
			1, {UUIDARRAYOID}
		}
	};
	Args		args = {0};
	uint64		stripped = 0;

	keep_charges(purge_ids(runs), NULL);
	arg_add(&args, purge_ids(runs), false);
	for (int i = 0; i < lengthof(steps); i++)
		stripped = statement_write_runs(&steps[i], &args, runs->ids, runs->count);
	return stripped;
}

/* airun_store_strip_runs(ids uuid[]) returns bigint, how many have been stripped */
Datum
airun_store_strip_runs(PG_FUNCTION_ARGS)
{
	Purge	   *runs = palloc0_object(Purge);
	uint64		stripped;

	take_array(runs, PG_GETARG_ARRAYTYPE_P(0));
	store_open(true);
	purge_leave_moving(runs);
	stripped = strip_locked_runs(runs);
	store_close();
	PG_RETURN_INT64((int64) stripped);
}

/*
 * airun_store_cancel_tasks(run_id uuid, person uuid) returns boolean
 *
 * In a run of somebody else's, which is locked: cancel what a person has under way.  False
 * where something of that goes on, since somebody holds its text.
 */
Datum
airun_store_cancel_tasks(PG_FUNCTION_ARGS)
{
	Purge	   *run = palloc0_object(Purge);

	run->ids[run->count++] = *PG_GETARG_UUID_P(0);
	run->person = PG_GETARG_UUID_P(1);
	store_open(true);
	purge_cancel_tasks(run);
	store_close();
	PG_RETURN_BOOL(run->count == 1);
}

/*
 * Is a message or version m of a run a person's: of a task of hers, or what she has put
 * into the place of a version that is followed by it?
 */
#define IS_SAID(m, run, person, follows) \
	"(" m ".task_id" EQ "ANY (ARRAY(SELECT t.task_id FROM airun.tasks AS t " \
	"WHERE t.run_id" EQ run " AND t.user_id" EQ person ")) " \
	"OR EXISTS (SELECT FROM airun.message_versions AS w WHERE w.run_id" EQ run \
	" AND w.seq" EQ m ".seq AND w.action" EQ "'replaced' AND w.replaced_by" EQ person \
	" AND " follows "))"
#define BY_VERSION(m)	"w.version" PLUS "1" EQ m ".version"
#define BY_MESSAGE \
	"NOT EXISTS (SELECT FROM airun.message_versions AS n WHERE n.run_id" EQ "w.run_id " \
	"AND n.seq" EQ "w.seq AND n.version" GT "w.version)"

/* Is a message x of the fork $1 still what it has copied up to seq $2?  A version may be. */
#define IS_COPIED \
	"x.seq" LE "$2 AND NOT EXISTS (SELECT FROM airun.message_versions AS v " \
	"WHERE v.run_id" EQ "$1 AND v.action" EQ "'removed' AND v.seq" LE "x.seq)"
#define MAY_BE_COPIED	"x.seq" LE "$2"

/* What was copied, or said by the person; of a table x */
#define SAID_BY_PERSON(copied, follows) \
	"WHERE x.run_id" EQ "$1 AND (" copied " OR " IS_SAID("x", "$1", "$3", follows) ")"
#define EMPTY_MESSAGE \
	"message_id = NULL, message = pg_catalog.jsonb_build_object(" \
	"'role', x.message OPERATOR(pg_catalog.->) 'role', 'content', '', " \
	"'timestamp', x.message OPERATOR(pg_catalog.->) 'timestamp') "

/* Run statements on one run, which is locked; returns how many rows the first has changed */
static uint64
empty_run(Statement *steps, int count, Args *args, pg_uuid_t *run_id)
{
	uint64		emptied = 0;

	store_open(true);
	for (int i = 0; i < count; i++)
	{
		uint64		rows = statement_write_runs(&steps[i], args, run_id, 1);

		if (i == 0)
			emptied = rows;
	}
	store_close();
	return emptied;
}

/*
 * airun_store_empty_messages(run_id, up_to, person) returns bigint
 *
 * In a run of somebody else's, which is locked: empty what was copied from the person's
 * up to a seq, what she has put into the place of others' messages, and what her own
 * tasks have in it, which are nobody's from then on.
 * How many messages there were.
 */
Datum
airun_store_empty_messages(PG_FUNCTION_ARGS)
{
	static Statement steps[] = {
		{
			"UPDATE airun.messages AS x SET " EMPTY_MESSAGE
			SAID_BY_PERSON(IS_COPIED, BY_MESSAGE),
			3, {UUIDOID, INT8OID, UUIDOID}
		},
		{
			"UPDATE airun.message_versions AS x SET " EMPTY_MESSAGE
			SAID_BY_PERSON(MAY_BE_COPIED, BY_VERSION("x")),
			3, {UUIDOID, INT8OID, UUIDOID}
		},
		{
			"UPDATE airun.message_versions AS x SET replaced_by = NULL "
			"WHERE x.run_id" EQ "$1 AND x.replaced_by" EQ "$3 AND $2 IS NOT NULL",
			3, {UUIDOID, INT8OID, UUIDOID}
		},
		{
			"UPDATE airun.tasks AS t SET request_data = NULL, request_reference = NULL "
			"WHERE t.run_id" EQ "$1 AND (t.user_id" EQ "$3) IS NOT TRUE AND $2 IS NOT NULL",
			3, {UUIDOID, INT8OID, UUIDOID}
		},
		{
			"UPDATE airun.tasks AS t SET " EMPTY_TASK ", user_id = NULL "
			"WHERE t.run_id" EQ "$1 AND t.user_id" EQ "$3 AND $2 IS NOT NULL",
			3, {UUIDOID, INT8OID, UUIDOID}
		}
	};
	Datum		run_id = PG_GETARG_DATUM(0);
	Args		args = {0};

	for (int i = 0; i < 3; i++)
		arg_add(&args, PG_GETARG_DATUM(i), false);
	store_open(true);
	keep_charges(PointerGetDatum(construct_array(&run_id, 1, UUIDOID, UUID_LEN, false,
												 TYPALIGN_CHAR)), PG_GETARG_UUID_P(2));
	store_close();
	PG_RETURN_INT64((int64) empty_run(steps, lengthof(steps), &args, PG_GETARG_UUID_P(0)));
}

/* What a fork x has, up to seq $2, as the person's words stand, or stood, there in run $3 */
#define IS_COPY_IN(rows, follows) \
	"EXISTS (SELECT FROM " rows " AS m WHERE m.run_id" EQ "$3 AND m.seq" EQ "x.seq " \
	"AND m.message" EQ "x.message AND " IS_SAID("m", "$3", "$4", follows) ")"
#define COPIED_FROM_PERSON(copied) \
	"WHERE x.run_id" EQ "$1 AND " copied " AND ($5 OR " \
	IS_COPY_IN("airun.messages", BY_MESSAGE) \
	" OR " IS_COPY_IN("airun.message_versions", BY_VERSION("m")) ")"

/*
 * airun_store_empty_copies(run_id, up_to, origin, person, everything) returns bigint
 *
 * In a fork, which is locked: empty what it has copied of the person in the run that it
 * comes from, before that is emptied; or everything that it has copied, where that run does not
 * tell any more what the person has said.  How many messages there were.
 */
Datum
airun_store_empty_copies(PG_FUNCTION_ARGS)
{
	static Statement steps[] = {
		{
			"UPDATE airun.messages AS x SET " EMPTY_MESSAGE COPIED_FROM_PERSON(IS_COPIED),
			5, {UUIDOID, INT8OID, UUIDOID, UUIDOID, BOOLOID}
		},
		{
			"UPDATE airun.message_versions AS x SET " EMPTY_MESSAGE
			COPIED_FROM_PERSON(MAY_BE_COPIED),
			5, {UUIDOID, INT8OID, UUIDOID, UUIDOID, BOOLOID}
		},
		{
			"UPDATE airun.tasks AS t SET request_data = NULL, request_reference = NULL "
			"WHERE t.run_id" EQ "$1 AND $2 IS NOT NULL AND $3 IS NOT NULL AND $4 IS NOT NULL "
			"AND $5 IS NOT NULL",
			5, {UUIDOID, INT8OID, UUIDOID, UUIDOID, BOOLOID}
		}
	};
	Args		args = {0};

	for (int i = 0; i < 5; i++)
		arg_add(&args, PG_GETARG_DATUM(i), false);
	PG_RETURN_INT64((int64) empty_run(steps, lengthof(steps), &args, PG_GETARG_UUID_P(0)));
}

/*
 * run_edit.c
 *		What a user does to a run as a whole: describe, star, archive, delete it.
 *
 * Their SQL is in run.sql, with that of run.c.  A run that is deleted keeps its
 * rows and its totals, can be restored, and goes for good by airun_purge_runs()
 * (upkeep/purge.c).  None of these moves the run in a list that is ordered by
 * messages.
 *
 * Locks: the run's row.
 *
 * Errors: those of run.c.
 */
#include "run/run.h"

#include "catalog/pg_type.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(airun_update_run);
PG_FUNCTION_INFO_V1(airun_star_run);
PG_FUNCTION_INFO_V1(airun_toggle_star);
PG_FUNCTION_INFO_V1(airun_archive_run);
PG_FUNCTION_INFO_V1(airun_set_run_status);
PG_FUNCTION_INFO_V1(airun_delete_run);
PG_FUNCTION_INFO_V1(airun_restore_run);

/* ---------- what the user says about a run ---------- */

/*
 * Run an update that returns the summary of the one run that it is about, or
 * PT404.  The first argument is the run's id.
 */
static Datum
update_one_run(FunctionCallInfo fcinfo, Statement *update, Args *args)
{
	pg_uuid_t  *run_id = DatumGetUUIDP(args->values[0]);
	ResultRow	row;
	Datum		result;

	store_open(true);
	if (statement_write_internal(update, args, run_id) != 1)
		run_not_found(run_id);
	row = result_row();
	result = result_row_composite(fcinfo, &row);
	store_close();
	return result;
}

#define UPDATE_RUN_RETURNING(set, columns) \
	"UPDATE airun.runs AS r SET " set ", " \
	"updated_at = GREATEST(r.updated_at, pg_catalog.clock_timestamp()) " \
	"WHERE " LIVE_RUN " RETURNING " columns
#define UPDATE_RUN(set)	UPDATE_RUN_RETURNING(set, RUN_SUMMARY)

/*
 * airun_update_run(run_id, name, description, settings, variable_values,
 * tags, metadata, if_name, is_listed) returns ai_run
 *
 * A name in which nothing can be seen takes the name away.  With if_name, which
 * may be empty for none, the name is left alone where it is another one by now.
 */
Datum
airun_update_run(PG_FUNCTION_ARGS)
{
	static Statement update = {
		UPDATE_RUN_RETURNING("name = CASE WHEN $8 AND ($9 IS NULL OR "
							 "COALESCE(r.name, '')" EQ "$9) THEN $2 ELSE r.name END, "
							 "description = COALESCE($3, r.description), "
							 "settings = COALESCE($4, r.settings), "
							 "variable_values = COALESCE($5, r.variable_values), "
							 "tags = COALESCE($6, r.tags), "
							 "metadata = COALESCE($7, r.metadata), "
							 "is_listed = COALESCE($10, r.is_listed)", RUN_WHOLE),
		10, {UUIDOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, TEXTARRAYOID, JSONBOID, BOOLOID,
			TEXTOID, BOOLOID}
	};
	RunFields	fields = {
		.source_type = {0, true},
		.name = argument_field(fcinfo, 1),
		.description = argument_field(fcinfo, 2),
		.settings = json_argument(fcinfo, 3),
		.variable_values = json_argument(fcinfo, 4),
		.tags = argument_field(fcinfo, 5),
		.metadata = json_argument(fcinfo, 6),
	};
	Field		name;
	Field		if_name = argument_field(fcinfo, 7);
	Field		is_listed = argument_field(fcinfo, 8);
	Args		args = {0};

	arg_uuid(&args, run_id_argument(fcinfo, 0));
	run_check_fields(&fields);
	name = run_shown_name(&fields.name);
	arg_field(&args, &name);
	arg_field(&args, &fields.description);
	arg_field(&args, &fields.settings);
	arg_field(&args, &fields.variable_values);
	arg_field(&args, &fields.tags);
	arg_field(&args, &fields.metadata);
	arg_add(&args, BoolGetDatum(!fields.name.isnull), false);
	arg_field(&args, &if_name);
	arg_field(&args, &is_listed);
	PG_RETURN_DATUM(update_one_run(fcinfo, &update, &args));
}

/* For the functions that take a run and a boolean */
static Datum
update_run_flag(FunctionCallInfo fcinfo, Statement *update, const char *name)
{
	Args		args = {0};

	arg_uuid(&args, run_id_argument(fcinfo, 0));
	if (PG_ARGISNULL(1))
		refuse_null(name);
	arg_add(&args, PG_GETARG_DATUM(1), false);
	return update_one_run(fcinfo, update, &args);
}

/*
 * airun_star_run(run_id, starred) returns ai_run_summary
 */
Datum
airun_star_run(PG_FUNCTION_ARGS)
{
	static Statement update = {
		UPDATE_RUN("is_starred = $2"), 2, {UUIDOID, BOOLOID}
	};

	PG_RETURN_DATUM(update_run_flag(fcinfo, &update, "starred"));
}

/*
 * airun_toggle_star(run_id) returns ai_run_summary
 */
Datum
airun_toggle_star(PG_FUNCTION_ARGS)
{
	static Statement update = {
		UPDATE_RUN("is_starred = NOT r.is_starred"), 1, {UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id_argument(fcinfo, 0));
	PG_RETURN_DATUM(update_one_run(fcinfo, &update, &args));
}

/*
 * airun_archive_run(run_id, archived) returns ai_run_summary
 */
Datum
airun_archive_run(PG_FUNCTION_ARGS)
{
	static Statement update = {
		UPDATE_RUN("is_archived = $2"), 2, {UUIDOID, BOOLOID}
	};

	PG_RETURN_DATUM(update_run_flag(fcinfo, &update, "archived"));
}

/*
 * airun_set_run_status(run_id, status) returns ai_run_summary
 *
 * PT409 from completed to error; every other way is open.
 */
Datum
airun_set_run_status(PG_FUNCTION_ARGS)
{
	static Statement update = {
		UPDATE_RUN("status = $2"), 2, {UUIDOID, TEXTOID}
	};
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	const char *status;
	RunState	state;
	Args		args = {0};
	ResultRow	row;
	Datum		result;

	if (PG_ARGISNULL(1))
		refuse_null("status");
	status = run_status_word(PG_GETARG_TEXT_PP(1));

	store_open(true);
	run_lock(run_id, &state);
	run_check_transition(run_id, state.is_completed ? "completed" : "active", status);
	arg_uuid(&args, run_id);
	arg_pointer(&args, cstring_to_text(status));
	if (statement_write_internal(&update, &args, run_id) != 1)
		run_not_found(run_id);
	row = result_row();
	result = result_row_composite(fcinfo, &row);
	store_close();
	PG_RETURN_DATUM(result);
}

/* ---------- deletion ---------- */

/*
 * Set or clear deleted_at.  Returns false where it was so before; PT404
 * where there is no such run, deleted or not.
 */
static bool
set_deleted(const pg_uuid_t *run_id, bool deleted)
{
	static Statement delete_run = {
		"UPDATE airun.runs AS r SET deleted_at = $2, "
		"updated_at = GREATEST(r.updated_at, $2) "
		"WHERE r.id" EQ "$1 AND r.deleted_at IS NULL", 2, {UUIDOID, TIMESTAMPTZOID}
	};
	static Statement restore_run = {
		"UPDATE airun.runs AS r SET deleted_at = NULL, "
		"updated_at = GREATEST(r.updated_at, $2) "
		"WHERE r.id" EQ "$1 AND r.deleted_at IS NOT NULL", 2, {UUIDOID, TIMESTAMPTZOID}
	};
	static Statement lock_any_run = {
		"SELECT FROM airun.runs AS r WHERE r.id" EQ "$1 FOR NO KEY UPDATE OF r", 1, {UUIDOID}
	};
	Args		args = {0};
	Args		key = {0};
	bool		changed;

	store_open(true);
	arg_uuid(&args, run_id);
	arg_time(&args, GetCurrentTimestamp());
	changed = statement_write_internal(deleted ? &delete_run : &restore_run, &args, run_id) == 1;
	arg_uuid(&key, run_id);
	if (!changed && statement_write(&lock_any_run, &key) != 1)
		run_not_found(run_id);
	store_close();
	return changed;
}

/*
 * airun_delete_run(run_id) returns boolean
 *
 * A deleted run is in no view and no function finds it; its rows and its
 * totals stay, and its tasks go on to their ends.  false: it was deleted before.
 */
Datum
airun_delete_run(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_deleted(run_id_argument(fcinfo, 0), true));
}

/*
 * airun_restore_run(run_id) returns boolean
 *
 * false: it was not deleted.
 */
Datum
airun_restore_run(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(set_deleted(run_id_argument(fcinfo, 0), false));
}

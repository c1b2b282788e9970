/*
 * run.sql: a run's life, except its deletion and its list
 */
CREATE FUNCTION @extschema@.airun_create_run(
	source_type text DEFAULT 'chat',
	source_id uuid DEFAULT NULL,
	name text DEFAULT NULL,
	description text DEFAULT NULL,
	settings jsonb DEFAULT NULL,
	variable_values jsonb DEFAULT NULL,
	tags text[] DEFAULT NULL,
	metadata jsonb DEFAULT NULL,
	id uuid DEFAULT NULL,
	user_id uuid DEFAULT NULL,
	is_listed boolean DEFAULT true)
RETURNS @extschema@.ai_run
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_create_run IS
'Creates a run
An id that the same user already has returns that run, so that a call can be repeated.  user_id '
'defaults to the caller.  With is_listed => false the run is in no list unless asked for: a '
'sub-run, say.';

CREATE FUNCTION @extschema@.airun_update_run(
	run_id uuid,
	name text DEFAULT NULL,
	description text DEFAULT NULL,
	settings jsonb DEFAULT NULL,
	variable_values jsonb DEFAULT NULL,
	tags text[] DEFAULT NULL,
	metadata jsonb DEFAULT NULL,
	if_name text DEFAULT NULL,
	is_listed boolean DEFAULT NULL)
RETURNS @extschema@.ai_run
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_update_run IS
'Changes what the user says about a run
NULL leaves a column as it is; jsonb is replaced, not merged.  With if_name the name is changed '
'only while it is that one, so that a title made late does not overwrite the user''s; empty means '
'no name.  is_listed decides whether airun_list_runs() shows it.';

CREATE FUNCTION @extschema@.airun_star_run(run_id uuid, starred boolean DEFAULT true)
RETURNS @extschema@.ai_run_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_star_run IS
'Stars a run, or takes its star away';

CREATE FUNCTION @extschema@.airun_toggle_star(run_id uuid)
RETURNS @extschema@.ai_run_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_toggle_star IS
'Turns a run''s star over, in one statement';

CREATE FUNCTION @extschema@.airun_archive_run(run_id uuid, archived boolean DEFAULT true)
RETURNS @extschema@.ai_run_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_archive_run IS
'Archives a run, or brings it back; an archived run is listed only when asked for';

CREATE FUNCTION @extschema@.airun_set_run_status(run_id uuid, status text)
RETURNS @extschema@.ai_run_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_set_run_status IS
'Sets a run to active, completed or error
A completed run takes no new message and no new task until it is active again.';

CREATE FUNCTION @extschema@.airun_delete_run(run_id uuid) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_delete_run IS
'Hides a run from every view and function and keeps its money
true: it is deleted now; false: it was deleted before.';

CREATE FUNCTION @extschema@.airun_restore_run(run_id uuid) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_restore_run IS
'Brings a deleted run back
true: it is back; false: it was not deleted.';

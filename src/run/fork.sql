/*
 * fork.sql: runs that branch off from others
 */
CREATE FUNCTION @extschema@.airun_fork_run(
	run_id uuid,
	at_seq bigint DEFAULT NULL,
	name text DEFAULT NULL,
	listed boolean DEFAULT true,
	id uuid DEFAULT NULL)
RETURNS @extschema@.ai_run_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_fork_run IS
'Makes a run of its own with the messages of another one up to at_seq, or all
The messages keep their ids; tasks and money are not copied.  The new run says where it branches '
'off: forked_from, forked_at_seq.  With listed => false it is in no list unless asked for.  The '
'same id again returns the fork that has it.';

CREATE FUNCTION @extschema@.airun_run_forks(run_id uuid)
RETURNS SETOF @extschema@.ai_run_fork
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 10
	SET jit = off;	-- compiling the recursion takes seconds, and running it a millisecond
COMMENT ON FUNCTION @extschema@.airun_run_forks IS
'The alternatives along a run: at each place where runs of its family part, which ones there are
With number and count, so that a client shows "2 of 3" beside the message at seq, and opens '
'run_id for another one.';

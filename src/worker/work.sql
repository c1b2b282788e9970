/*
 * work.sql: airun_work(), the steps of upkeep
 *
 * A procedure, since it commits after each piece of its work.
 */
CREATE PROCEDURE @extschema@.airun_work(max_ms bigint DEFAULT 10000)
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.airun_work IS
'Does what is to be done from time to time: ends what is overdue, folds the ledger, and '
'more, step by step
In transactions of its own, for max_ms at most; airun.worker_status says what each step has come '
'to.  Returns at once where the worker or another one is at it.  For the owner of the store.';

/*
 * Charge what has waited for a price, once after each change of the price book: the next
 * thousands of tasks and calls behind a position.  That is the version of the book, alone
 * where all have been gone over, else with the key that has been come to, and the one from
 * which on it is to be gone over again, since something there was held by somebody.  From
 * there the next round goes on: changed is NULL where this one has no more to do.
 */
CREATE FUNCTION @extschema@.airun_store_work_reprice(INOUT "position" text, OUT changed bigint)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $reprice$
DECLARE
	version constant text := (SELECT b.version FROM airun.price_book AS b);
	first constant uuid := '00000000-0000-0000-0000-000000000000';
	parts text[] := string_to_array("position", ' ');
	next record;
BEGIN
	changed := 0;
	IF "position" = version OR version IS NULL THEN
		RETURN;
	END IF;
	IF parts[1] IS DISTINCT FROM version THEN
		parts := ARRAY[version, first::text, first::text];
	END IF;
	SELECT r.* INTO next FROM @extschema@.airun_store_reprice(parts[2]::uuid,
		parts[3]::uuid, 2000) AS r;
	changed := next.changed;
	IF next.has_left_out AND cardinality(parts) = 3 THEN
		parts := parts || parts[2:3];
	END IF;
	IF next.run_id IS NULL AND cardinality(parts) > 3 THEN
		"position" := concat_ws(' ', version, parts[4], parts[5]);
		changed := NULLIF(changed, 0);
		RETURN;
	END IF;
	"position" := concat_ws(' ', version, next.run_id, next.task_id, parts[4], parts[5]);
END
$reprice$;
COMMENT ON FUNCTION @extschema@.airun_store_work_reprice(text) IS
'Charges what has waited for a price, a part at a time, for airun_work()';

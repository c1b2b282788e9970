/*
 * policies.sql: row security of the store
 *
 * Rows of airun_store_objects(); a table that has one here is under row security.
 * A user's rows are the user's alone, and what belongs to a run is seen and
 * changed by whoever may see and change the run.
 */
CREATE FUNCTION @extschema@.airun_store_policies()
RETURNS TABLE (kind text, relation text, name text, definition text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $policies$
VALUES
	-- A plain comparison, and nothing of deletion: an UPDATE that sets deleted_at
	-- would violate it.
	('policy', 'runs', 'airun_owner',
	 'FOR ALL USING ((user_id = @extschema@.airun_user_id()))
		WITH CHECK ((user_id = @extschema@.airun_user_id()))'),

	('policy', 'messages', 'airun_read',
	 'FOR SELECT USING (@extschema@.airun_sees_run(run_id))'),
	('policy', 'messages', 'airun_append',
	 'FOR INSERT WITH CHECK (@extschema@.airun_writes_run(run_id))'),
	('policy', 'messages', 'airun_change',
	 'FOR UPDATE USING (@extschema@.airun_writes_run(run_id))'),
	('policy', 'messages', 'airun_remove',
	 'FOR DELETE USING (@extschema@.airun_writes_run(run_id))'),
	-- Versions are written in the owner's name alone.
	('policy', 'message_versions', 'airun_read',
	 'FOR SELECT USING (@extschema@.airun_sees_run(run_id))'),
	('policy', 'tasks', 'airun_read',
	 'FOR SELECT USING (@extschema@.airun_sees_run(run_id))'),
	('policy', 'tasks', 'airun_create',
	 'FOR INSERT WITH CHECK (@extschema@.airun_writes_run(run_id))'),
	('policy', 'tasks', 'airun_change',
	 'FOR UPDATE USING (@extschema@.airun_writes_run(run_id))'),
	('policy', 'task_chunks', 'airun_read',
	 'FOR SELECT USING (@extschema@.airun_sees_run(run_id))'),
	-- Calls are written in the owner's name alone, too.
	('policy', 'calls', 'airun_read',
	 'FOR SELECT USING ((user_id = @extschema@.airun_user_id()))'),

	-- Prices are everybody's who may read the table, and the owner's to change.
	('policy', 'prices', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'price_book', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'usage_shapes', 'airun_read', 'FOR SELECT USING (true)'),

	-- Whoever may read it works it off: operators.
	('policy', 'retention', 'airun_read', 'FOR SELECT USING (true)'),

	-- What a user has used is the user's; airun_grant() lets reporters see all of it.
	-- The cubes that name no user only reporters may read.  Nobody may write but the owner.
	('policy', 'usage_tail', 'airun_owner',
	 'FOR SELECT USING ((user_id = @extschema@.airun_user_id()))'),
	('policy', 'usage_ledger', 'airun_owner',
	 'FOR SELECT USING ((user_id = @extschema@.airun_user_id()))'),
	('policy', 'usage_people', 'airun_owner',
	 'FOR SELECT USING ((user_id = @extschema@.airun_user_id()))'),
	('policy', 'usage_clock', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'usage_daily', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'usage_work', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'usage_build', 'airun_read', 'FOR SELECT USING (true)'),

	-- For whom the owner lets watch; no level of airun_grant() does.
	('policy', 'worker_status', 'airun_read', 'FOR SELECT USING (true)'),

	-- Budgets only their owner may read; airun_budget_status() tells users of their own.
	('policy', 'budgets', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'budget_periods', 'airun_read', 'FOR SELECT USING (true)'),
	('policy', 'budget_events', 'airun_read', 'FOR SELECT USING (true)')
$policies$;
COMMENT ON FUNCTION @extschema@.airun_store_policies() IS
'Rows of airun_store_objects(): policies';

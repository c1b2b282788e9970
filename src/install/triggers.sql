/*
 * triggers.sql: the triggers of the store, the second wall
 *
 * Rows of airun_store_objects().  Chunks need none: only their owner may write
 * them, and so the functions do.
 */
CREATE FUNCTION @extschema@.airun_store_triggers()
RETURNS TABLE (kind text, relation text, name text, definition text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $triggers$
VALUES
	('trigger', 'runs', 'airun_guard',
	 'CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.runs
		FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_run()'),

	('trigger', 'messages', 'airun_guard',
	 'CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.messages
		FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_message()'),
	('trigger', 'messages', 'airun_roll_up_insert',
	 'CREATE TRIGGER airun_roll_up_insert AFTER INSERT ON airun.messages
		REFERENCING NEW TABLE AS new_rows
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_messages()'),
	('trigger', 'messages', 'airun_roll_up_delete',
	 'CREATE TRIGGER airun_roll_up_delete AFTER DELETE ON airun.messages
		REFERENCING OLD TABLE AS old_rows
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_messages()'),
	('trigger', 'messages', 'airun_roll_up_truncate',
	 'CREATE TRIGGER airun_roll_up_truncate BEFORE TRUNCATE ON airun.messages
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_messages()'),

	('trigger', 'tasks', 'airun_guard',
	 'CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.tasks
		FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_task()'),
	('trigger', 'tasks', 'airun_roll_up_insert',
	 'CREATE TRIGGER airun_roll_up_insert AFTER INSERT ON airun.tasks
		REFERENCING NEW TABLE AS new_rows
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks()'),
	('trigger', 'tasks', 'airun_roll_up_update',
	 'CREATE TRIGGER airun_roll_up_update AFTER UPDATE ON airun.tasks
		REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks()'),
	('trigger', 'tasks', 'airun_roll_up_delete',
	 'CREATE TRIGGER airun_roll_up_delete AFTER DELETE ON airun.tasks
		REFERENCING OLD TABLE AS old_rows
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks()'),
	('trigger', 'tasks', 'airun_roll_up_truncate',
	 'CREATE TRIGGER airun_roll_up_truncate AFTER TRUNCATE ON airun.tasks
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks()'),

	-- What calls that are deleted have held of budgets
	('trigger', 'calls', 'airun_roll_up_delete',
	 'CREATE TRIGGER airun_roll_up_delete AFTER DELETE ON airun.calls
		REFERENCING OLD TABLE AS old_rows
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_calls()'),
	('trigger', 'calls', 'airun_roll_up_truncate',
	 'CREATE TRIGGER airun_roll_up_truncate AFTER TRUNCATE ON airun.calls
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_calls()'),

	-- Backends hear of every change of a budget
	('trigger', 'budgets', 'airun_changed',
	 'CREATE TRIGGER airun_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON airun.budgets
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_budgets_changed()'),

	-- Another version of the price book with every change
	('trigger', 'prices', 'airun_version',
	 'CREATE TRIGGER airun_version AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON airun.prices
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_price_changed()'),

	-- What is no shape is refused, and backends hear of every change
	('trigger', 'usage_shapes', 'airun_guard',
	 'CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.usage_shapes
		FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_usage_shape()'),
	('trigger', 'usage_shapes', 'airun_changed',
	 'CREATE TRIGGER airun_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON '
	 'airun.usage_shapes
		FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_usage_shapes_changed()'),

	-- What a view computes, its trigger takes by the functions' own code.
	('trigger', 'ai_messages', 'airun_view',
	 'CREATE TRIGGER airun_view INSTEAD OF INSERT OR DELETE OR UPDATE ON @extschema@.ai_messages
		FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_view_message()'),
	('trigger', 'ai_tasks', 'airun_view',
	 'CREATE TRIGGER airun_view INSTEAD OF INSERT OR DELETE OR UPDATE ON @extschema@.ai_tasks
		FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_view_task()')
$triggers$;
COMMENT ON FUNCTION @extschema@.airun_store_triggers() IS
'Rows of airun_store_objects(): triggers';

/*
 * constraints.sql: constraints and indexes of the store
 *
 * Rows of airun_store_objects(), in the order in which they are made; objects.sql
 * says what the columns mean.  None may use a function of the extension: DROP
 * EXTENSION would take it, and with a CHECK what keeps a site's data right.
 */
CREATE FUNCTION @extschema@.airun_store_constraints()
RETURNS TABLE (kind text, relation text, name text, definition text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $constraints$
VALUES
	('constraint', 'runs', 'runs_pkey', 'PRIMARY KEY (id)'),
	('constraint', 'messages', 'messages_pkey', 'PRIMARY KEY (run_id, seq)'),
	('constraint', 'message_versions', 'message_versions_pkey',
	 'PRIMARY KEY (run_id, seq, version)'),
	('constraint', 'tasks', 'tasks_pkey', 'PRIMARY KEY (run_id, task_id)'),
	('constraint', 'task_chunks', 'task_chunks_pkey', 'PRIMARY KEY (run_id, task_id, chars)'),
	('constraint', 'calls', 'calls_pkey', 'PRIMARY KEY (id)'),
	('constraint', 'prices', 'prices_pkey', 'PRIMARY KEY (price_id)'),
	('constraint', 'price_book', 'price_book_pkey', 'PRIMARY KEY (is_only)'),
	('constraint', 'usage_shapes', 'usage_shapes_pkey', 'PRIMARY KEY (shape)'),
	('constraint', 'worker_status', 'worker_status_pkey', 'PRIMARY KEY (step)'),
	('constraint', 'budgets', 'budgets_pkey', 'PRIMARY KEY (id)'),
	('constraint', 'budget_periods', 'budget_periods_pkey', 'PRIMARY KEY (id)'),
	('constraint', 'budget_events', 'budget_events_pkey',
	 'PRIMARY KEY (budget_id, period_key, value, warn_at)'),
	('constraint', 'usage_build', 'usage_build_pkey', 'PRIMARY KEY (kind)'),

	-- None of task_chunks: for every piece it would lock the task's row, which is a
	-- tenth of what a save writes.  Whatever removes a task removes its chunks.
	('constraint', 'messages', 'messages_run_id_fkey',
	 'FOREIGN KEY (run_id) REFERENCES airun.runs(id) ON DELETE CASCADE'),
	('constraint', 'message_versions', 'message_versions_run_id_fkey',
	 'FOREIGN KEY (run_id) REFERENCES airun.runs(id) ON DELETE CASCADE'),
	('constraint', 'tasks', 'tasks_run_id_fkey',
	 'FOREIGN KEY (run_id) REFERENCES airun.runs(id) ON DELETE CASCADE'),

	-- None of runs, messages and tasks: the server reads its text anew for every
	-- statement that writes, which is a tenth of an append.  The functions and the
	-- triggers hold what it would say, and airun_check() tells.
	('constraint', 'prices', 'prices_time_check',
	 $$CHECK (((effective_from < 'infinity'::timestamp with time zone) AND
		(effective_to >= effective_from)))$$),
	('constraint', 'prices', 'prices_rates_check',
	 $$CHECK (((jsonb_typeof(rates) = 'object'::text) AND
		(jsonb_typeof(context_tiers) = 'array'::text) AND
		(jsonb_typeof(service_tiers) = 'object'::text) AND
		(jsonb_typeof(time_windows) = 'array'::text) AND
		(NOT jsonb_path_exists(rates, '$.**?(@ < 0)'::jsonpath)) AND
		(NOT jsonb_path_exists(context_tiers, '$.**?(@ < 0)'::jsonpath)) AND
		(NOT jsonb_path_exists(service_tiers, '$.**?(@ < 0)'::jsonpath)) AND
		(NOT jsonb_path_exists(time_windows, '$.**?(@ < 0)'::jsonpath))))$$),
	('constraint', 'price_book', 'price_book_only_check', 'CHECK (is_only)'),

	('constraint', 'retention', 'retention_check',
	 $$CHECK (((kind = ANY (ARRAY['run'::text, 'call'::text, 'deleted'::text])) AND
		(action = ANY (ARRAY['delete'::text, 'strip'::text])) AND
		((kind = 'run'::text) OR (action = 'delete'::text)) AND
		(status = ANY (ARRAY['active'::text, 'completed'::text, 'error'::text,
		'cancelled'::text])) AND
		(((kind = 'run'::text) AND (status <> 'cancelled'::text)) OR
		((kind = 'call'::text) AND (status <> 'active'::text)) OR
		((kind = 'deleted'::text) AND (source_type IS NULL) AND (status IS NULL))) AND
		(EXTRACT(epoch FROM age) >= (0)::numeric)))$$),

	-- Indexes.  None covers a column that every append changes.
	('index', 'runs', 'runs_user_hour',
	 'CREATE INDEX runs_user_hour ON airun.runs USING btree (user_id, active_hour DESC)'),
	('index', 'runs', 'runs_source_hour',
	 'CREATE INDEX runs_source_hour ON airun.runs
		USING btree (user_id, source_type, source_id, active_hour DESC)'),
	-- For who lists the runs of all users.  NULLS LAST, of which there are none, keeps
	-- the planner from reading it for the runs of one.
	('index', 'runs', 'runs_hour',
	 'CREATE INDEX runs_hour ON airun.runs USING btree (active_hour DESC NULLS LAST)'),
	('index', 'runs', 'runs_deleted',
	 'CREATE INDEX runs_deleted ON airun.runs
		USING btree (deleted_at) WHERE (deleted_at IS NOT NULL)'),
	('index', 'runs', 'runs_forked_from',
	 'CREATE INDEX runs_forked_from ON airun.runs
		USING btree (forked_from) WHERE (forked_from IS NOT NULL)'),
	('index', 'messages', 'messages_message_id',
	 'CREATE UNIQUE INDEX messages_message_id ON airun.messages
		USING btree (run_id, message_id) WHERE (message_id IS NOT NULL)'),
	('index', 'message_versions', 'message_versions_replaced_by',
	 'CREATE INDEX message_versions_replaced_by ON airun.message_versions
		USING btree (replaced_by) WHERE (replaced_by IS NOT NULL)'),
	('index', 'retention', 'retention_key',
	 'CREATE UNIQUE INDEX retention_key ON airun.retention
		USING btree (kind, source_type, status, action) NULLS NOT DISTINCT'),
	('index', 'tasks', 'tasks_task_id',
	 'CREATE INDEX tasks_task_id ON airun.tasks USING btree (task_id)'),
	('index', 'tasks', 'tasks_unfinished',
	 'CREATE INDEX tasks_unfinished ON airun.tasks
		USING btree (run_id) WHERE (completed_at IS NULL)'),
	('index', 'calls', 'calls_user_time',
	 'CREATE INDEX calls_user_time ON airun.calls USING btree (user_id, created_at)'),
	('index', 'calls', 'calls_unfinished',
	 'CREATE INDEX calls_unfinished ON airun.calls
		USING btree (updated_at) WHERE (completed_at IS NULL)'),
	('index', 'prices', 'prices_in_force',
	 'CREATE UNIQUE INDEX prices_in_force ON airun.prices
		USING btree (source, provider, model, effective_from)
		WHERE ((effective_to IS NULL) OR (effective_to > effective_from))'),

	-- None of usage_tail: whoever ends a task pays for an entry, and not for finding it.
	('index', 'usage_ledger', 'usage_ledger_at',
	 'CREATE INDEX usage_ledger_at ON airun.usage_ledger USING btree (at)'),
	('index', 'usage_ledger', 'usage_ledger_user_at',
	 'CREATE INDEX usage_ledger_user_at ON airun.usage_ledger USING btree (user_id, at)'),
	('index', 'usage_ledger', 'usage_ledger_charge',
	 'CREATE INDEX usage_ledger_charge ON airun.usage_ledger USING btree (charge_id)'),
	('index', 'usage_clock', 'usage_clock_key',
	 'CREATE UNIQUE INDEX usage_clock_key ON airun.usage_clock
		USING btree (quarter, kind, provider, model_id, served_model, status, price_status)
		NULLS NOT DISTINCT'),
	('index', 'usage_daily', 'usage_daily_key',
	 'CREATE UNIQUE INDEX usage_daily_key ON airun.usage_daily
		USING btree (day, zone, kind, provider, model_id, served_model, status, price_status)
		NULLS NOT DISTINCT'),
	('index', 'usage_people', 'usage_people_key',
	 'CREATE UNIQUE INDEX usage_people_key ON airun.usage_people
		USING btree (user_id, day, zone, kind, provider, model_id) NULLS NOT DISTINCT'),
	('index', 'usage_people', 'usage_people_day',
	 'CREATE INDEX usage_people_day ON airun.usage_people USING btree (day)'),
	('index', 'usage_work', 'usage_work_key',
	 'CREATE UNIQUE INDEX usage_work_key ON airun.usage_work
		USING btree (day, zone, kind, source_type, service, task_name, model_id, status)
		NULLS NOT DISTINCT'),
	('index', 'budget_periods', 'budget_periods_key',
	 'CREATE UNIQUE INDEX budget_periods_key ON airun.budget_periods
		USING btree (budget_id, period_key, value, slot)'),
	('index', 'budgets', 'budgets_name',
	 'CREATE UNIQUE INDEX budgets_name ON airun.budgets
		USING btree (name) WHERE (valid_to IS NULL)')
$constraints$;
COMMENT ON FUNCTION @extschema@.airun_store_constraints() IS
'Rows of airun_store_objects(): constraints and indexes';

/*
 * store.sql: airun_install(), the schema of the store
 *
 * The store is made of ordinary objects that belong to whoever calls this,
 * not to the extension: pg_dump saves them whole, triggers come after data,
 * and DROP EXTENSION cannot take a row.  For that, no generated column, index
 * or CHECK may use a function of the extension; defaults, policies, triggers
 * and views may, and come back with the next call.
 */
CREATE FUNCTION @extschema@.airun_install() RETURNS text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $install$
DECLARE
	store_version constant integer := 2;	-- also in store.h
	api constant oid := (SELECT extnamespace FROM pg_extension WHERE extname = 'airun');
	present text[] := '{}';		-- what there is, as "kind table.name"
	done text[] := '{}';		-- what has been made
	owner oid;
	old_version integer;
	states text[] := '{}';		-- how triggers were enabled
	command text;
	item record;
BEGIN
	IF api = to_regnamespace('airun') THEN
		RAISE EXCEPTION 'airun''s functions cannot be in the schema of its store'
			USING ERRCODE = 'invalid_schema_definition',
				DETAIL = 'The schema "airun" is never exposed to clients.',
				HINT = 'Put them elsewhere: DROP EXTENSION airun; CREATE EXTENSION airun SCHEMA public;';
	END IF;

	-- The schema.  One that somebody else has made is not ours to fill.
	SELECT nspowner INTO owner FROM pg_namespace WHERE nspname = 'airun';
	IF NOT FOUND THEN
		CREATE SCHEMA airun;
		owner := (SELECT nspowner FROM pg_namespace WHERE nspname = 'airun');
		done := done || 'schema airun'::text;
	ELSIF owner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) THEN
		RAISE EXCEPTION 'schema "airun" belongs to role "%"', pg_get_userbyid(owner)
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The caller is "%s".', current_user),
				HINT = 'If that role owns the store, call airun_install() as that role; if not, have the schema renamed or dropped.';
	END IF;

	-- A store of a later airun is left alone.
	old_version := (regexp_match(
		obj_description(to_regnamespace('airun'), 'pg_namespace'),
		'^airun store version (\d+)'))[1];
	IF old_version > store_version THEN
		RAISE EXCEPTION 'the store is of version %, but this airun knows version %',
			old_version, store_version
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Install the airun that made it, or a later one.';
	END IF;

	-- The names of the views must be free, or ours: views of the store that its
	-- owner has made, and nobody else.  A type takes a name as well.
	FOR item IN
		SELECT n.name, api::regnamespace AS schema
		FROM unnest('{ai_runs,ai_run_summaries,ai_messages,ai_tasks,ai_unpriced_models}'::name[]) AS n (name)
		WHERE (EXISTS (SELECT FROM pg_class AS c
					   WHERE c.relname = n.name AND c.relnamespace = api)
			   OR EXISTS (SELECT FROM pg_type AS y
						  WHERE y.typname = n.name AND y.typnamespace = api))
			AND NOT EXISTS (
				SELECT FROM pg_class AS c
				JOIN pg_rewrite AS w ON w.ev_class = c.oid
				JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
					AND d.refclassid = 'pg_class'::regclass
				JOIN pg_class AS t ON t.oid = d.refobjid
				WHERE c.relname = n.name AND c.relnamespace = api AND c.relkind = 'v'
					AND c.relowner = owner
					AND c.reloptions @> '{security_invoker=true}'
					AND t.relnamespace = to_regnamespace('airun'))
		ORDER BY n.name
	LOOP
		RAISE EXCEPTION 'the name "%" is taken in schema "%"', item.name, item.schema
			USING ERRCODE = 'duplicate_table',
				DETAIL = 'airun needs the names ai_runs, ai_run_summaries, ai_messages, ai_tasks and ai_unpriced_models for its views.',
				HINT = 'Rename what has it, or give airun a schema of its own: DROP EXTENSION airun; CREATE SCHEMA api; CREATE EXTENSION airun SCHEMA api; SELECT api.airun_install();';
	END LOOP;

	-- And so must those of the tables: a table with our columns is ours, if the
	-- owner of the store has it.
	FOR item IN
		SELECT w.name
		FROM (VALUES
			('runs', '{id,user_id,message_count,active_hour,total_cost}'::name[]),
			('messages', '{run_id,seq,created_at,message}'),
			('tasks', '{run_id,task_id,status,tokens_total,cost}'),
			('task_chunks', '{run_id,task_id,chars,hash,chunk}'),
			('prices', '{price_id,model,source,effective_from,rates}'),
			('price_book', '{is_only,version}')) AS w (name, columns)
		WHERE (EXISTS (SELECT FROM pg_class AS c
					   WHERE c.relname = w.name AND c.relnamespace = to_regnamespace('airun'))
			   OR EXISTS (SELECT FROM pg_type AS y
						  WHERE y.typname = w.name AND y.typnamespace = to_regnamespace('airun')))
			AND NOT EXISTS (
				SELECT FROM pg_class AS c
				WHERE c.relname = w.name AND c.relnamespace = to_regnamespace('airun')
					AND c.relkind = 'r' AND c.relowner = owner
					AND ARRAY(SELECT a.attname FROM pg_attribute AS a
							  WHERE a.attrelid = c.oid) @> w.columns)
		ORDER BY w.name
	LOOP
		RAISE EXCEPTION 'the name "%" is taken in schema "airun"', item.name
			USING ERRCODE = 'duplicate_table',
				DETAIL = 'airun keeps its tables runs, messages, tasks, task_chunks, prices and price_book in that schema.',
				HINT = 'Rename or drop what has the name, and call airun_install() again.';
	END LOOP;

	-- Tables

	IF to_regclass('airun.runs') IS NULL THEN
		-- What an append changes stands together, in front of what has a
		-- variable length: the WAL of an update holds only what lies between
		-- the first and the last byte that differ.
		CREATE TABLE airun.runs (
			id uuid NOT NULL,
			user_id uuid,
			source_id uuid,
			created_at timestamptz NOT NULL DEFAULT now(),
			deleted_at timestamptz,
			is_starred boolean NOT NULL DEFAULT false,
			is_archived boolean NOT NULL DEFAULT false,
			message_count bigint NOT NULL DEFAULT 0,
			last_message_at timestamptz NOT NULL DEFAULT now(),
			updated_at timestamptz NOT NULL DEFAULT now(),
			active_hour timestamptz NOT NULL DEFAULT date_trunc('hour', now(), 'UTC'),
			task_count bigint NOT NULL DEFAULT 0,
			total_tokens bigint NOT NULL DEFAULT 0,
			total_cost numeric NOT NULL DEFAULT 0,
			status text NOT NULL DEFAULT 'active',
			source_type text NOT NULL DEFAULT 'chat',
			name text,
			description text,
			tags text[] NOT NULL DEFAULT '{}',
			metadata jsonb NOT NULL DEFAULT '{}',
			settings jsonb NOT NULL DEFAULT '{}',
			variable_values jsonb NOT NULL DEFAULT '{}',
			CONSTRAINT runs_pkey PRIMARY KEY (id)
		) WITH (fillfactor = 60);
		COMMENT ON TABLE airun.runs IS
			'Conversations with AI models: one row is the lock and the counter of its messages and tasks';
		COMMENT ON COLUMN airun.runs.settings IS
			'The settings that the run is to be continued with';
		COMMENT ON COLUMN airun.runs.variable_values IS
			'The values of the variables that it was started with';
		COMMENT ON COLUMN airun.runs.deleted_at IS
			'When the run was deleted: hidden, until it is restored or purged';
		done := done || 'table airun.runs'::text;
	END IF;

	IF to_regclass('airun.messages') IS NULL THEN
		CREATE TABLE airun.messages (
			run_id uuid NOT NULL,
			seq bigint NOT NULL,
			created_at timestamptz NOT NULL DEFAULT now(),
			task_id uuid,
			message_id text,
			message jsonb NOT NULL,
			CONSTRAINT messages_pkey PRIMARY KEY (run_id, seq)
		);
		COMMENT ON TABLE airun.messages IS
			'The messages of runs, each a complete JSON object, in order without a gap';

		-- A message of some kilobytes belongs on the heap page: compressed, and
		-- moved out only when it would not fit.
		ALTER TABLE airun.messages ALTER COLUMN message SET STORAGE MAIN;
		IF EXISTS (SELECT FROM pg_settings
				   WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
			ALTER TABLE airun.messages ALTER COLUMN message SET COMPRESSION lz4;
		END IF;
		done := done || 'table airun.messages'::text;
	END IF;

	IF to_regclass('airun.tasks') IS NULL THEN
		-- No CHECK: the server reads one from the catalog for every statement that
		-- writes, which for status and figures came to a tenth of a turn.  The
		-- guard, which sees every row anyway, refuses what they would.
		CREATE TABLE airun.tasks (
			run_id uuid NOT NULL,
			task_id uuid NOT NULL,
			user_id uuid,
			created_at timestamptz NOT NULL DEFAULT now(),
			updated_at timestamptz NOT NULL DEFAULT now(),
			completed_at timestamptz,
			tokens_input bigint,
			tokens_output bigint,
			tokens_total bigint,
			inputs_from bigint,
			inputs_to bigint,
			answer_seq bigint,
			response_length bigint NOT NULL DEFAULT 0,
			timeout interval,
			generation integer NOT NULL DEFAULT 0,
			text_in_answer boolean NOT NULL DEFAULT false,
			status text NOT NULL DEFAULT 'pending',
			cost numeric,
			time_to_first_token numeric,
			total_time numeric,
			service text,
			task_name text,
			provider text,
			endpoint text,
			model_id text,
			finish_reason text,
			usage jsonb,
			cost_details jsonb,
			error jsonb,
			metadata jsonb NOT NULL DEFAULT '{}',
			response_text text,
			response_data jsonb,
			request_data jsonb,
			request_reference jsonb,
			client_cost numeric,
			price_status text,
			usage_buckets jsonb,
			CONSTRAINT tasks_pkey PRIMARY KEY (run_id, task_id)
		) WITH (fillfactor = 80);
		COMMENT ON TABLE airun.tasks IS
			'Requests to models: status, usage, cost and timing of each';
		done := done || 'table airun.tasks'::text;
	ELSIF old_version < 2 THEN
		-- Texts move: of unfinished tasks to chunks, by the guard below.
		ALTER TABLE airun.tasks
			ADD COLUMN IF NOT EXISTS response_length bigint NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS timeout interval,
			ADD COLUMN IF NOT EXISTS generation integer NOT NULL DEFAULT 0,
			ADD COLUMN IF NOT EXISTS text_in_answer boolean NOT NULL DEFAULT false,
			ADD COLUMN IF NOT EXISTS request_reference jsonb,
			ADD COLUMN IF NOT EXISTS client_cost numeric,
			ADD COLUMN IF NOT EXISTS price_status text,
			ADD COLUMN IF NOT EXISTS usage_buckets jsonb;
		FOR item IN
			SELECT t.tgname, CASE t.tgenabled WHEN 'O' THEN 'ENABLE' WHEN 'A' THEN 'ENABLE ALWAYS'
				WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'DISABLE' END AS state
			FROM pg_trigger AS t WHERE t.tgrelid = 'airun.tasks'::regclass AND NOT t.tgisinternal
		LOOP
			states := states || format('ALTER TABLE airun.tasks %s TRIGGER %I',
									   item.state, item.tgname);
		END LOOP;
		ALTER TABLE airun.tasks DISABLE TRIGGER USER;
		UPDATE airun.tasks SET response_length = COALESCE(length(response_text), 0),
				client_cost = cost,
				price_status = CASE WHEN cost IS NULL THEN 'unpriced' ELSE 'client' END
			WHERE completed_at IS NOT NULL;
		FOREACH command IN ARRAY states LOOP
			EXECUTE command;
		END LOOP;
		ALTER TABLE airun.tasks
			DROP CONSTRAINT IF EXISTS tasks_status_check,
			DROP CONSTRAINT IF EXISTS tasks_figures_check;
		DROP TRIGGER IF EXISTS airun_roll_up_truncate ON airun.messages;
		done := done || 'columns of table airun.tasks'::text;
	END IF;

	IF to_regclass('airun.task_chunks') IS NULL THEN
		-- No foreign key: for every piece it would lock the task's row, which is
		-- a tenth of what a save writes.  Whatever removes a task removes these.
		CREATE TABLE airun.task_chunks (
			run_id uuid NOT NULL,
			task_id uuid NOT NULL,
			created_at timestamptz NOT NULL DEFAULT now(),
			hash bigint NOT NULL,
			chars integer NOT NULL,
			bytes integer NOT NULL,
			generation integer NOT NULL,
			chunk text NOT NULL,
			CONSTRAINT task_chunks_pkey PRIMARY KEY (run_id, task_id, chars)
		);
		COMMENT ON TABLE airun.task_chunks IS
			'The text of tasks that stream, in pieces, until they end';
		done := done || 'table airun.task_chunks'::text;
	END IF;

	-- Large values are compressed fast rather than well.
	IF (done && '{"table airun.tasks","table airun.task_chunks"}' OR old_version < 2)
		AND EXISTS (SELECT FROM pg_settings
					WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
		ALTER TABLE airun.tasks
			ALTER COLUMN response_text SET COMPRESSION lz4,
			ALTER COLUMN response_data SET COMPRESSION lz4,
			ALTER COLUMN request_data SET COMPRESSION lz4;
		ALTER TABLE airun.task_chunks ALTER COLUMN chunk SET COMPRESSION lz4;
	END IF;

	IF to_regclass('airun.prices') IS NULL THEN
		CREATE TABLE airun.prices (
			price_id uuid NOT NULL,
			created_at timestamptz NOT NULL DEFAULT now(),
			effective_from timestamptz NOT NULL DEFAULT now(),
			effective_to timestamptz,
			provider text NOT NULL DEFAULT '',
			model text NOT NULL,
			source text NOT NULL DEFAULT 'own',
			aliases text[] NOT NULL DEFAULT '{}',
			match_rule jsonb,
			provider_rule jsonb,
			rates jsonb NOT NULL,
			context_tiers jsonb,
			service_tiers jsonb,
			time_windows jsonb,
			raw jsonb,
			CONSTRAINT prices_pkey PRIMARY KEY (price_id)
		);
		COMMENT ON TABLE airun.prices IS
			'The price book: what a model costs, from when until when, and who says so';
		COMMENT ON COLUMN airun.prices.price_id IS 'The price''s id';
		COMMENT ON COLUMN airun.prices.created_at IS 'When it was entered';
		COMMENT ON COLUMN airun.prices.effective_from IS 'From when on it is in force';
		COMMENT ON COLUMN airun.prices.effective_to IS
			'Until when, exclusively; NULL for good, and effective_from for never';
		COMMENT ON COLUMN airun.prices.provider IS
			'Who serves the model at this price; empty for whoever does';
		COMMENT ON COLUMN airun.prices.model IS 'The model';
		COMMENT ON COLUMN airun.prices.source IS
			'Who says so: own for the site itself, which goes first, or the price list';
		COMMENT ON COLUMN airun.prices.aliases IS 'Other names of the model';
		COMMENT ON COLUMN airun.prices.match_rule IS
			'A rule for more of its names: equals, starts_with, ends_with, contains, regex, or, and';
		COMMENT ON COLUMN airun.prices.provider_rule IS
			'Rules for the names of the provider and of models that are its own, and whom it falls back to';
		COMMENT ON COLUMN airun.prices.rates IS 'What one unit of each bucket costs';
		COMMENT ON COLUMN airun.prices.context_tiers IS
			'Rates for requests whose whole input is longer than above, or not shorter than from';
		COMMENT ON COLUMN airun.prices.service_tiers IS
			'Rates by service tier: flex, priority, batch, ...';
		COMMENT ON COLUMN airun.prices.time_windows IS
			'Rates for hours of the day and days of the week, which go before the others';
		COMMENT ON COLUMN airun.prices.raw IS 'The entry of the price list, as it was';
		done := done || 'table airun.prices'::text;
	END IF;

	IF to_regclass('airun.price_book') IS NULL THEN
		CREATE TABLE airun.price_book (
			is_only boolean NOT NULL DEFAULT true,
			version uuid NOT NULL,
			changed_at timestamptz NOT NULL DEFAULT now(),
			CONSTRAINT price_book_pkey PRIMARY KEY (is_only)
		);
		COMMENT ON TABLE airun.price_book IS
			'The version of the price book: another one with every change';
		COMMENT ON COLUMN airun.price_book.is_only IS 'True: there is one row';
		COMMENT ON COLUMN airun.price_book.version IS
			'By which a backend knows whether the book that it keeps is still the one';
		COMMENT ON COLUMN airun.price_book.changed_at IS 'When the book was last changed';
		done := done || 'table airun.price_book'::text;
	END IF;

	-- What there is by now of everything that belongs to a table or a view

	present := ARRAY(
		SELECT 'constraint ' || c.relname || '.' || k.conname
		FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
		WHERE c.relnamespace = 'airun'::regnamespace
		UNION ALL
		SELECT 'index ' || c.relname || '.' || i.relname
		FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid
			JOIN pg_class AS i ON i.oid = x.indexrelid
		WHERE c.relnamespace = 'airun'::regnamespace
		UNION ALL
		SELECT 'default ' || c.relname || '.' || a.attname
		FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'airun'::regnamespace AND a.atthasdef
		UNION ALL
		SELECT 'policy ' || c.relname || '.' || p.polname
		FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
		WHERE c.relnamespace = 'airun'::regnamespace
		UNION ALL
		SELECT 'trigger ' || c.relname || '.' || t.tgname
		FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE (c.relnamespace = 'airun'::regnamespace OR c.relnamespace = api)
			AND NOT t.tgisinternal
		UNION ALL
		SELECT 'row security ' || c.relname
		FROM pg_class AS c
		WHERE c.relnamespace = 'airun'::regnamespace AND c.relrowsecurity
		UNION ALL
		SELECT 'view ' || c.relname
		FROM pg_class AS c
		WHERE c.relnamespace = api AND c.relkind = 'v');

	-- Constraints.  Runs and messages have no CHECK: the server reads its text
	-- anew for every statement, which is a tenth of an append.  The functions and
	-- the triggers hold what it would say, and airun_check() tells.

	IF 'constraint messages.messages_run_id_fkey' <> ALL (present) THEN
		ALTER TABLE airun.messages ADD CONSTRAINT messages_run_id_fkey
			FOREIGN KEY (run_id) REFERENCES airun.runs (id) ON DELETE CASCADE;
		done := done || 'constraint messages_run_id_fkey'::text;
	END IF;
	IF 'constraint tasks.tasks_run_id_fkey' <> ALL (present) THEN
		ALTER TABLE airun.tasks ADD CONSTRAINT tasks_run_id_fkey
			FOREIGN KEY (run_id) REFERENCES airun.runs (id) ON DELETE CASCADE;
		done := done || 'constraint tasks_run_id_fkey'::text;
	END IF;
	IF 'constraint prices.prices_time_check' <> ALL (present) THEN
		ALTER TABLE airun.prices ADD CONSTRAINT prices_time_check
			CHECK (effective_from < 'infinity' AND effective_to >= effective_from);
		done := done || 'constraint prices_time_check'::text;
	END IF;
	IF 'constraint prices.prices_rates_check' <> ALL (present) THEN
		ALTER TABLE airun.prices ADD CONSTRAINT prices_rates_check
			CHECK (jsonb_typeof(rates) = 'object'
				   AND jsonb_typeof(context_tiers) = 'array'
				   AND jsonb_typeof(service_tiers) = 'object'
				   AND jsonb_typeof(time_windows) = 'array'
				   AND NOT jsonb_path_exists(rates, '$.** ? (@ < 0)')
				   AND NOT jsonb_path_exists(context_tiers, '$.** ? (@ < 0)')
				   AND NOT jsonb_path_exists(service_tiers, '$.** ? (@ < 0)')
				   AND NOT jsonb_path_exists(time_windows, '$.** ? (@ < 0)'));
		done := done || 'constraint prices_rates_check'::text;
	END IF;
	IF 'constraint price_book.price_book_only_check' <> ALL (present) THEN
		ALTER TABLE airun.price_book ADD CONSTRAINT price_book_only_check CHECK (is_only);
		done := done || 'constraint price_book_only_check'::text;
	END IF;

	-- Indexes.  None covers a column that every append changes.

	IF 'index runs.runs_user_hour' <> ALL (present) THEN
		CREATE INDEX runs_user_hour ON airun.runs (user_id, active_hour DESC);
		done := done || 'index runs_user_hour'::text;
	END IF;
	IF 'index runs.runs_source_hour' <> ALL (present) THEN
		CREATE INDEX runs_source_hour
			ON airun.runs (user_id, source_type, source_id, active_hour DESC);
		done := done || 'index runs_source_hour'::text;
	END IF;
	IF 'index runs.runs_deleted' <> ALL (present) THEN
		CREATE INDEX runs_deleted ON airun.runs (deleted_at) WHERE deleted_at IS NOT NULL;
		done := done || 'index runs_deleted'::text;
	END IF;
	IF 'index messages.messages_message_id' <> ALL (present) THEN
		CREATE UNIQUE INDEX messages_message_id
			ON airun.messages (run_id, message_id) WHERE message_id IS NOT NULL;
		done := done || 'index messages_message_id'::text;
	END IF;
	IF 'index tasks.tasks_task_id' <> ALL (present) THEN
		CREATE INDEX tasks_task_id ON airun.tasks (task_id);
		done := done || 'index tasks_task_id'::text;
	END IF;
	IF 'index tasks.tasks_unfinished' <> ALL (present) THEN
		CREATE INDEX tasks_unfinished ON airun.tasks (run_id) WHERE completed_at IS NULL;
		done := done || 'index tasks_unfinished'::text;
	END IF;

	IF 'index prices.prices_in_force' <> ALL (present) THEN
		CREATE UNIQUE INDEX prices_in_force
			ON airun.prices (source, provider, model, effective_from)
			WHERE effective_to IS NULL OR effective_to > effective_from;
		done := done || 'index prices_in_force'::text;
	END IF;

	-- Defaults that the extension computes

	IF 'default runs.id' <> ALL (present) THEN
		ALTER TABLE airun.runs ALTER COLUMN id SET DEFAULT @extschema@.airun_uuid();
		done := done || 'default of runs.id'::text;
	END IF;
	IF 'default runs.user_id' <> ALL (present) THEN
		ALTER TABLE airun.runs ALTER COLUMN user_id SET DEFAULT @extschema@.airun_user_id();
		done := done || 'default of runs.user_id'::text;
	END IF;
	IF 'default tasks.task_id' <> ALL (present) THEN
		ALTER TABLE airun.tasks ALTER COLUMN task_id SET DEFAULT @extschema@.airun_uuid();
		done := done || 'default of tasks.task_id'::text;
	END IF;

	IF 'default prices.price_id' <> ALL (present) THEN
		ALTER TABLE airun.prices ALTER COLUMN price_id SET DEFAULT @extschema@.airun_uuid();
		done := done || 'default of prices.price_id'::text;
	END IF;

	-- Row security: a user's rows are the user's alone, and what belongs to a
	-- run is seen and changed by whoever may see and change the run.

	IF 'row security runs' <> ALL (present) THEN
		ALTER TABLE airun.runs ENABLE ROW LEVEL SECURITY;
		done := done || 'row security of runs'::text;
	END IF;
	IF 'row security messages' <> ALL (present) THEN
		ALTER TABLE airun.messages ENABLE ROW LEVEL SECURITY;
		done := done || 'row security of messages'::text;
	END IF;
	IF 'row security tasks' <> ALL (present) THEN
		ALTER TABLE airun.tasks ENABLE ROW LEVEL SECURITY;
		done := done || 'row security of tasks'::text;
	END IF;
	IF 'row security task_chunks' <> ALL (present) THEN
		ALTER TABLE airun.task_chunks ENABLE ROW LEVEL SECURITY;
		done := done || 'row security of task_chunks'::text;
	END IF;
	IF 'row security prices' <> ALL (present) THEN
		ALTER TABLE airun.prices ENABLE ROW LEVEL SECURITY;
		done := done || 'row security of prices'::text;
	END IF;
	IF 'row security price_book' <> ALL (present) THEN
		ALTER TABLE airun.price_book ENABLE ROW LEVEL SECURITY;
		done := done || 'row security of price_book'::text;
	END IF;
	IF 'policy runs.airun_owner' <> ALL (present) THEN
		CREATE POLICY airun_owner ON airun.runs
			USING (user_id = @extschema@.airun_user_id())
			WITH CHECK (user_id = @extschema@.airun_user_id());
		done := done || 'policy airun_owner of runs'::text;
	END IF;
	IF 'policy messages.airun_read' <> ALL (present) THEN
		CREATE POLICY airun_read ON airun.messages FOR SELECT
			USING (@extschema@.airun_sees_run(run_id));
		done := done || 'policy airun_read of messages'::text;
	END IF;
	IF 'policy messages.airun_append' <> ALL (present) THEN
		CREATE POLICY airun_append ON airun.messages FOR INSERT
			WITH CHECK (@extschema@.airun_writes_run(run_id));
		done := done || 'policy airun_append of messages'::text;
	END IF;
	IF 'policy tasks.airun_read' <> ALL (present) THEN
		CREATE POLICY airun_read ON airun.tasks FOR SELECT
			USING (@extschema@.airun_sees_run(run_id));
		done := done || 'policy airun_read of tasks'::text;
	END IF;
	IF 'policy tasks.airun_create' <> ALL (present) THEN
		CREATE POLICY airun_create ON airun.tasks FOR INSERT
			WITH CHECK (@extschema@.airun_writes_run(run_id));
		done := done || 'policy airun_create of tasks'::text;
	END IF;
	IF 'policy tasks.airun_change' <> ALL (present) THEN
		CREATE POLICY airun_change ON airun.tasks FOR UPDATE
			USING (@extschema@.airun_writes_run(run_id));
		done := done || 'policy airun_change of tasks'::text;
	END IF;

	IF 'policy task_chunks.airun_read' <> ALL (present) THEN
		CREATE POLICY airun_read ON airun.task_chunks FOR SELECT
			USING (@extschema@.airun_sees_run(run_id));
		done := done || 'policy airun_read of task_chunks'::text;
	END IF;
	-- Prices are everybody's who may read the table, and the owner's to change.
	IF 'policy prices.airun_read' <> ALL (present) THEN
		CREATE POLICY airun_read ON airun.prices FOR SELECT USING (true);
		done := done || 'policy airun_read of prices'::text;
	END IF;
	IF 'policy price_book.airun_read' <> ALL (present) THEN
		CREATE POLICY airun_read ON airun.price_book FOR SELECT USING (true);
		done := done || 'policy airun_read of price_book'::text;
	END IF;

	-- Triggers: the second wall.  Chunks need none: only their owner may write
	-- them, and so the functions do.

	IF 'trigger runs.airun_guard' <> ALL (present) THEN
		CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.runs
			FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_run();
		done := done || 'trigger airun_guard of runs'::text;
	END IF;
	IF 'trigger messages.airun_guard' <> ALL (present) THEN
		CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.messages
			FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_message();
		done := done || 'trigger airun_guard of messages'::text;
	END IF;
	IF 'trigger messages.airun_roll_up_insert' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_insert AFTER INSERT ON airun.messages
			REFERENCING NEW TABLE AS new_rows
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_messages();
		done := done || 'trigger airun_roll_up_insert of messages'::text;
	END IF;
	IF 'trigger messages.airun_roll_up_delete' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_delete AFTER DELETE ON airun.messages
			REFERENCING OLD TABLE AS old_rows
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_messages();
		done := done || 'trigger airun_roll_up_delete of messages'::text;
	END IF;
	IF 'trigger messages.airun_roll_up_truncate' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_truncate BEFORE TRUNCATE ON airun.messages
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_messages();
		done := done || 'trigger airun_roll_up_truncate of messages'::text;
	END IF;
	IF 'trigger tasks.airun_guard' <> ALL (present) THEN
		CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.tasks
			FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_guard_task();
		done := done || 'trigger airun_guard of tasks'::text;
	END IF;
	IF 'trigger tasks.airun_roll_up_insert' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_insert AFTER INSERT ON airun.tasks
			REFERENCING NEW TABLE AS new_rows
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks();
		done := done || 'trigger airun_roll_up_insert of tasks'::text;
	END IF;
	IF 'trigger tasks.airun_roll_up_update' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_update AFTER UPDATE ON airun.tasks
			REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks();
		done := done || 'trigger airun_roll_up_update of tasks'::text;
	END IF;
	IF 'trigger tasks.airun_roll_up_delete' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_delete AFTER DELETE ON airun.tasks
			REFERENCING OLD TABLE AS old_rows
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks();
		done := done || 'trigger airun_roll_up_delete of tasks'::text;
	END IF;
	IF 'trigger tasks.airun_roll_up_truncate' <> ALL (present) THEN
		CREATE TRIGGER airun_roll_up_truncate AFTER TRUNCATE ON airun.tasks
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_roll_up_tasks();
		done := done || 'trigger airun_roll_up_truncate of tasks'::text;
	END IF;

	IF 'trigger prices.airun_version' <> ALL (present) THEN
		CREATE TRIGGER airun_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON airun.prices
			FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.airun_price_changed();
		-- What was changed without the trigger is a change as well.
		UPDATE airun.price_book SET version = gen_random_uuid(), changed_at = now();
		done := done || 'trigger airun_version of prices'::text;
	END IF;

	-- Views, with the caller's rights.  Deleted runs are in none of them.

	IF 'view ai_runs' <> ALL (present) THEN
		CREATE VIEW @extschema@.ai_runs WITH (security_invoker = true) AS
			SELECT r.id, r.user_id, r.source_type, r.source_id, r.name, r.description,
				r.settings, r.variable_values,
				COALESCE((SELECT @extschema@.airun_array_in_order(m.message, m.seq)
						  FROM airun.messages AS m WHERE m.run_id = r.id),
						 '[]'::jsonb) AS messages,
				r.tags, r.metadata, r.message_count, r.task_count, r.total_tokens,
				r.total_cost, r.status, r.is_starred, r.is_archived, r.created_at,
				r.updated_at, r.last_message_at, r.active_hour
			FROM airun.runs AS r
			WHERE r.deleted_at IS NULL;
		COMMENT ON VIEW @extschema@.ai_runs IS
			'Runs, with messages as one array, computed only when it is selected';
		COMMENT ON COLUMN @extschema@.ai_runs.settings IS
			'The settings that the run is to be continued with';
		COMMENT ON COLUMN @extschema@.ai_runs.variable_values IS
			'The values of the variables that it was started with';
		COMMENT ON COLUMN @extschema@.ai_runs.messages IS
			'The whole conversation in order; for loading, airun_messages() is faster';
		done := done || 'view ai_runs'::text;
	END IF;
	IF 'view ai_run_summaries' <> ALL (present) THEN
		CREATE VIEW @extschema@.ai_run_summaries WITH (security_invoker = true) AS
			SELECT r.id, r.user_id, r.source_type, r.source_id, r.name, r.description,
				r.tags, r.metadata, r.message_count, r.task_count, r.total_tokens,
				r.total_cost, r.status, r.is_starred, r.is_archived, r.created_at,
				r.updated_at, r.last_message_at, r.active_hour
			FROM airun.runs AS r
			WHERE r.deleted_at IS NULL;
		COMMENT ON VIEW @extschema@.ai_run_summaries IS
			'Runs without messages, settings and variable values: what a sidebar shows';
		done := done || 'view ai_run_summaries'::text;
	END IF;
	IF 'view ai_messages' <> ALL (present) THEN
		CREATE VIEW @extschema@.ai_messages WITH (security_invoker = true) AS
			SELECT m.run_id, m.seq, m.message_id, m.task_id, m.message ->> 'role' AS role,
				m.message, m.created_at
			FROM airun.messages AS m
			WHERE EXISTS (SELECT FROM airun.runs AS r
						  WHERE r.id = m.run_id AND r.deleted_at IS NULL);
		COMMENT ON VIEW @extschema@.ai_messages IS
			'Messages, one row each; an insert without seq is an append';
		done := done || 'view ai_messages'::text;
	END IF;
	IF 'view ai_tasks' <> ALL (present) OR old_version < 2 THEN
		CREATE OR REPLACE VIEW @extschema@.ai_tasks WITH (security_invoker = true) AS
			SELECT t.task_id, t.run_id, t.user_id, t.service, t.task_name, t.provider,
				t.endpoint, t.model_id,
				CASE WHEN t.request_reference IS NULL THEN t.request_data
					ELSE @extschema@.airun_request(t.request_data, t.request_reference, (
						SELECT @extschema@.airun_array_in_order(m.message, m.seq)
						FROM airun.messages AS m
						WHERE m.run_id = t.run_id
							AND m.seq >= (t.request_reference ->> 'from')::bigint
							AND m.seq < (t.request_reference ->> 'from')::bigint
								+ (t.request_reference ->> 'count')::bigint)) END AS request_data,
				CASE WHEN t.status = 'streaming'
					THEN (SELECT string_agg(c.chunk, '' ORDER BY c.chars)
						  FROM airun.task_chunks AS c
						  WHERE c.run_id = t.run_id AND c.task_id = t.task_id)
					WHEN t.text_in_answer
					THEN (SELECT @extschema@.airun_message_text(m.message)
						  FROM airun.messages AS m
						  WHERE m.run_id = t.run_id AND m.seq = t.answer_seq)
					ELSE t.response_text END AS response_text,
				t.response_data, t.error, t.metadata, t.finish_reason, t.status,
				t.tokens_input, t.tokens_output, t.tokens_total, t.usage, t.cost,
				t.cost_details, t.time_to_first_token, t.total_time, t.created_at,
				p.progress_at AS updated_at, t.completed_at, t.timeout,
				@extschema@.airun_is_overdue(t.status, p.progress_at, t.timeout) AS is_overdue,
				t.price_status, t.client_cost, t.usage_buckets
			FROM airun.tasks AS t
			CROSS JOIN LATERAL (SELECT CASE WHEN t.status = 'streaming'
				THEN GREATEST(t.updated_at, (SELECT c.created_at FROM airun.task_chunks AS c
					WHERE c.run_id = t.run_id AND c.task_id = t.task_id
					ORDER BY c.chars DESC LIMIT 1))
				ELSE t.updated_at END AS progress_at) AS p
			WHERE EXISTS (SELECT FROM airun.runs AS r
						  WHERE r.id = t.run_id AND r.deleted_at IS NULL);
		COMMENT ON VIEW @extschema@.ai_tasks IS
			'Requests to models and their answers, with usage, cost and timing';
		COMMENT ON COLUMN @extschema@.ai_tasks.request_data IS
			'What was sent to the model';
		COMMENT ON COLUMN @extschema@.ai_tasks.response_text IS
			'The answer''s text, as far as it has come';
		COMMENT ON COLUMN @extschema@.ai_tasks.response_data IS
			'What else the model sent';
		COMMENT ON COLUMN @extschema@.ai_tasks.timeout IS
			'How long it may be without progress; airun.task_timeout where not stated';
		COMMENT ON COLUMN @extschema@.ai_tasks.is_overdue IS
			'Has it shown no progress for so long?';
		COMMENT ON COLUMN @extschema@.ai_tasks.client_cost IS
			'What the client says that it costs';
		COMMENT ON COLUMN @extschema@.ai_tasks.usage_buckets IS
			'What the usage says, in disjoint buckets';
		done := done || 'view ai_tasks'::text;
	END IF;
	IF 'view ai_unpriced_models' <> ALL (present) THEN
		CREATE VIEW @extschema@.ai_unpriced_models WITH (security_invoker = true) AS
			SELECT t.provider, t.model_id, count(*) AS tasks,
				sum(t.tokens_total)::bigint AS tokens,
				min(t.created_at) AS first_used, max(t.created_at) AS last_used
			FROM airun.tasks AS t
			WHERE t.price_status = 'unpriced' AND t.model_id IS NOT NULL
				AND (t.usage_buckets IS NOT NULL OR t.tokens_input IS NOT NULL
					 OR t.tokens_output IS NOT NULL)
				AND EXISTS (SELECT FROM airun.runs AS r
							WHERE r.id = t.run_id AND r.deleted_at IS NULL)
			GROUP BY t.provider, t.model_id;
		COMMENT ON VIEW @extschema@.ai_unpriced_models IS
			'Models that were used and have no price: airun_set_price() gives them one, airun_reprice() charges them';
		COMMENT ON COLUMN @extschema@.ai_unpriced_models.provider IS 'Who served the model, as the tasks say';
		COMMENT ON COLUMN @extschema@.ai_unpriced_models.model_id IS 'The model, as the tasks call it';
		COMMENT ON COLUMN @extschema@.ai_unpriced_models.tasks IS 'How many tasks have used it without a price';
		COMMENT ON COLUMN @extschema@.ai_unpriced_models.tokens IS 'Their tokens, as far as they are known';
		COMMENT ON COLUMN @extschema@.ai_unpriced_models.first_used IS 'When the first of them was created';
		COMMENT ON COLUMN @extschema@.ai_unpriced_models.last_used IS 'When the last of them was created';
		done := done || 'view ai_unpriced_models'::text;
	END IF;
	IF 'trigger ai_messages.airun_view' <> ALL (present) THEN
		CREATE TRIGGER airun_view INSTEAD OF INSERT OR UPDATE
			ON @extschema@.ai_messages
			FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_view_message();
		done := done || 'trigger airun_view of ai_messages'::text;
	END IF;
	IF 'trigger ai_tasks.airun_view' <> ALL (present) THEN
		CREATE TRIGGER airun_view INSTEAD OF INSERT OR UPDATE OR DELETE
			ON @extschema@.ai_tasks
			FOR EACH ROW EXECUTE FUNCTION @extschema@.airun_view_task();
		done := done || 'trigger airun_view of ai_tasks'::text;
	END IF;

	-- Comments on columns: those that the storage alone has, and then those that
	-- the types have already
	FOR item IN
		SELECT w.relation, w.name, w.comment
		FROM (VALUES
			('tasks'::name, 'request_data'::name,
			 'What was sent to the model, without the messages that request_reference tells'),
			('tasks', 'request_reference',
			 'Which array of request_data has the run''s own messages, from which seq, how many, with which keys'),
			('tasks', 'response_text',
			 'The answer''s text, once it is complete, unless it is in the answer'),
			('tasks', 'text_in_answer', 'Is the text that of the message at answer_seq?'),
			('tasks', 'response_length', 'How many characters the complete text has'),
			('tasks', 'client_cost', 'What the client says that it costs'),
			('tasks', 'usage_buckets', 'What the usage says, in disjoint buckets'),
			('tasks', 'generation', 'How often the text has been replaced, once it is complete'),
			('tasks', 'timeout', 'How long it may be without progress; airun.task_timeout where not stated'),
			('tasks', 'response_data', 'What else the model sent'),
			('tasks', 'inputs_from',
			 'The seq of the first message that went in with the task, where airun_start_turn() stored any'),
			('tasks', 'inputs_to', 'The seq of the last message that went in with the task'),
			('tasks', 'answer_seq',
			 'The seq of the message that came out, where airun_finish_turn() stored one'),
			('task_chunks', 'run_id', 'The run that the task belongs to'),
			('task_chunks', 'task_id', 'The task whose text it is'),
			('task_chunks', 'created_at', 'When the piece arrived'),
			('task_chunks', 'hash', 'CRC-32C and CRC-32 of the text up to the end of the piece'),
			('task_chunks', 'chars', 'How many characters the text has up to the end of the piece'),
			('task_chunks', 'bytes', 'How many bytes the text has up to the end of the piece'),
			('task_chunks', 'generation', 'How often the text has been replaced'),
			('task_chunks', 'chunk', 'The piece')) AS w (relation, name, comment)
		JOIN pg_class AS c ON c.relname = w.relation AND c.relnamespace = 'airun'::regnamespace
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.name
		WHERE col_description(c.oid, a.attnum) IS NULL OR old_version < 2
	LOOP
		EXECUTE format('COMMENT ON COLUMN airun.%I.%I IS %L',
					   item.relation, item.name, item.comment);
		IF 'table airun.' || item.relation <> ALL (done) THEN
			done := done || format('comment on airun.%I.%I', item.relation, item.name);
		END IF;
	END LOOP;
	FOR item IN
		SELECT DISTINCT ON (c.oid, a.attnum)
			c.oid::regclass AS relation, a.attname AS name,
			col_description(y.oid, b.attnum) AS comment
		FROM pg_class AS c
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_class AS y ON y.relkind = 'c' AND y.relnamespace = api
			AND y.relname = CASE
				WHEN c.relname IN ('runs', 'ai_runs', 'ai_run_summaries') THEN 'ai_run_summary'
				WHEN c.relname IN ('messages', 'ai_messages') THEN 'ai_message'
				ELSE 'ai_task_summary' END
		JOIN pg_attribute AS b ON b.attrelid = y.oid AND b.attname = a.attname
		WHERE (c.relnamespace = 'airun'::regnamespace
			   AND c.relname IN ('runs', 'messages', 'tasks')
			   OR c.relnamespace = api AND c.relkind = 'v'
			   AND c.relname IN ('ai_runs', 'ai_run_summaries', 'ai_messages', 'ai_tasks'))
			AND col_description(c.oid, a.attnum) IS NULL
	LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.relation, item.name, item.comment);
		IF NOT format('table %s', item.relation) = ANY (done)
			AND NOT 'view ' || (SELECT c.relname FROM pg_class AS c WHERE c.oid = item.relation)
				= ANY (done) THEN
			done := done || format('comment on %s.%I', item.relation, item.name);
		END IF;
	END LOOP;

	IF old_version IS DISTINCT FROM store_version THEN
		EXECUTE format('COMMENT ON SCHEMA airun IS %L',
					   format('airun store version %s: what airun_install() made and airun''s functions work on',
							  store_version));
		done := done || 'version, in the comment on schema airun'::text;
	END IF;

	-- Texts of unfinished tasks that an older store kept in the task's row.  The
	-- guard, which is there by now and knows the version, moves them.
	IF old_version < 2 THEN
		UPDATE airun.tasks SET response_text = response_text
			WHERE completed_at IS NULL AND response_text IS NOT NULL;
	END IF;

	-- What is new, of the store or among the functions, is granted to the roles
	-- that had been granted the store.
	FOR item IN
		SELECT DISTINCT pg_get_userbyid(a.grantee) AS role, a.grantee
		FROM pg_class AS c, aclexplode(c.relacl) AS a
		WHERE c.oid = 'airun.runs'::regclass AND a.privilege_type = 'INSERT'
			AND a.grantee NOT IN (0, c.relowner)
		ORDER BY role
	LOOP
		-- what airun_grant() gives
		IF done <> '{}' OR EXISTS (
				SELECT FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
				WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
					AND d.refclassid = 'pg_extension'::regclass
					AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'airun')
					AND p.prorettype <> 'trigger'::regtype
					AND p.proname NOT IN ('airun_install', 'airun_grant', 'airun_purge_runs',
						'airun_reprice', 'airun_import_prices', 'airun_set_price')
					AND NOT has_function_privilege(item.grantee, p.oid, 'EXECUTE')) THEN
			PERFORM @extschema@.airun_grant(item.role);
			done := done || format('grants to %I', item.role);
		END IF;
	END LOOP;
	IF done = '{}' THEN
		RETURN format('The store is complete, at version %s; nothing was changed.', store_version);
	END IF;
	RETURN format(E'Made at version %s:\n  %s', store_version, array_to_string(done, E'\n  '));
END
$install$;
COMMENT ON FUNCTION @extschema@.airun_install() IS
'Creates the store in this database, or completes and migrates it; says what it did
The store belongs to the caller.  Calling it again changes nothing.';

/*
 * original.sql: the tables of the original application, as views of the store
 *
 * Clients of the application that airun grew out of read and write two tables,
 * ai_runs and ai_tasks, with columns of their own and the whole conversation in
 * one array.  airun_install_original(schema) makes views of these names, in a
 * schema that is not airun's, so that such clients work as they are while others
 * use the functions.
 *
 * What the store has no column for is kept in metadata, under the key
 * airun_original, which the views do not show.  Everything else is the store's:
 * rows are seen and changed with the caller's rights, a task moves by the
 * functions that move it, and errors are theirs.  So:
 *
 * - A run's messages are never taken away.  What the client's array has and the
 *	 store has not goes behind, in its order: so nothing is lost where several
 *	 clients read the array, add to it and write it back.  A message with an id
 *	 that stands there otherwise replaces that one, unless it is what that was
 *	 before, in an old copy of the array; what was replaced is kept as a version.
 * - A save that comes late, for a task that has ended, changes nothing.
 * - What the server computes (counters, totals, times, the cost that the price
 *	 book knows) is taken from nobody: it is ignored where a client states it.
 * - DELETE hides.  A run that is deleted by its status is shown as deleted, and
 *	 can be restored; one that a DELETE has removed is not shown, nor is a task.
 *	 Its money stays, and a task that had not ended is cancelled.
 *
 * Locks: the run's row, the text's lock of a task that has not ended, the task's
 * row, as everywhere; progress that brings nothing else, no run.
 */
CREATE FUNCTION @extschema@.airun_store_original_columns()
RETURNS TABLE (view text, name text, expression text, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $original_columns$
-- What has no expression is the column of that name, as the store's own view has it.
SELECT o.view, o.name, COALESCE(o.expression, s.expression), COALESCE(o.comment, s.comment)
FROM (VALUES
	(1, 'ai_runs', 'id', NULL, NULL),
	(2, 'ai_runs', 'user_id', NULL, NULL),
	(3, 'ai_runs', 'source_type', NULL, NULL),
	(4, 'ai_runs', 'source_id',
	 $$COALESCE(r.source_id::text, r.metadata #>> '{airun_original,source_id}')$$, NULL),
	(5, 'ai_runs', 'name', NULL, NULL),
	(6, 'ai_runs', 'description', NULL, NULL),
	(7, 'ai_runs', 'tags', NULL, NULL),
	(8, 'ai_runs', 'messages', NULL, 'The whole conversation in order; what is added goes behind'),
	(9, 'ai_runs', 'settings', NULL, NULL),
	(10, 'ai_runs', 'variable_values', NULL, NULL),
	(11, 'ai_runs', 'broker_values',
	 $$COALESCE(NULLIF(r.metadata #> '{airun_original,broker_values}', 'null'), '{}')$$,
	 'The values of the brokers that it was started with'),
	(12, 'ai_runs', 'attachments',
	 $$COALESCE(NULLIF(r.metadata #> '{airun_original,attachments}', 'null'), '[]')$$,
	 'Files, links, images and videos that belong to it'),
	(13, 'ai_runs', 'metadata', $$r.metadata - 'airun_original'$$, NULL),
	(14, 'ai_runs', 'dynamic_contexts',
	 $$NULLIF(r.metadata #> '{airun_original,dynamic_contexts}', 'null')$$,
	 'The contexts that it was started with'),
	-- A run whose last task has failed is active to them.
	(15, 'ai_runs', 'status',
	 $$CASE WHEN r.deleted_at IS NOT NULL THEN 'deleted' WHEN r.is_archived THEN 'archived'
		WHEN r.status = 'error' THEN 'active' ELSE r.status END$$,
	 'Is it active, completed, archived or deleted?'),
	(16, 'ai_runs', 'is_starred', NULL, NULL),
	(17, 'ai_runs', 'is_public',
	 $$r.metadata @> '{"airun_original": {"is_public": true}}'$$,
	 'Does the application show it to everybody?'),
	(18, 'ai_runs', 'organization_id', $$r.metadata #>> '{airun_original,organization_id}'$$,
	 'The organization that it belongs to'),
	(19, 'ai_runs', 'project_id', $$r.metadata #>> '{airun_original,project_id}'$$,
	 'The project that it belongs to'),
	(20, 'ai_runs', 'total_tokens', NULL, NULL),
	(21, 'ai_runs', 'total_cost', NULL, NULL),
	(22, 'ai_runs', 'message_count', NULL, NULL),
	(23, 'ai_runs', 'task_count', NULL, NULL),
	(24, 'ai_runs', 'created_at', NULL, NULL),
	(25, 'ai_runs', 'updated_at', NULL, NULL),
	(26, 'ai_runs', 'last_message_at', NULL, NULL),

	(1, 'ai_tasks', 'id', 't.task_id', 'The task''s id, as task_id'),
	(2, 'ai_tasks', 'run_id', NULL, NULL),
	(3, 'ai_tasks', 'user_id', NULL, NULL),
	(4, 'ai_tasks', 'task_id', NULL, NULL),
	(5, 'ai_tasks', 'service', NULL, NULL),
	(6, 'ai_tasks', 'task_name', NULL, NULL),
	(7, 'ai_tasks', 'provider', NULL, NULL),
	(8, 'ai_tasks', 'endpoint', NULL, NULL),
	(9, 'ai_tasks', 'model',
	 $$COALESCE(t.metadata #>> '{airun_original,model}', t.model_id)$$,
	 'The model, as people call it'),
	(10, 'ai_tasks', 'model_id', NULL, NULL),
	(11, 'ai_tasks', 'request_data', NULL, NULL),
	(12, 'ai_tasks', 'response_text', NULL, NULL),
	(13, 'ai_tasks', 'response_data', NULL, NULL),
	(14, 'ai_tasks', 'response_info',
	 $$NULLIF(t.metadata #> '{airun_original,response_info}', 'null')$$,
	 'What the server has said while it answered'),
	(15, 'ai_tasks', 'response_errors',
	 $$COALESCE(t.error, NULLIF(t.metadata #> '{airun_original,response_errors}', 'null'))$$,
	 'What went wrong'),
	(16, 'ai_tasks', 'tool_updates',
	 $$NULLIF(t.metadata #> '{airun_original,tool_updates}', 'null')$$,
	 'What tools have said while they ran'),
	(17, 'ai_tasks', 'response_metadata',
	 $$COALESCE(NULLIF(t.metadata #> '{airun_original,response_metadata}', 'null'), '{}')$$,
	 'What the application keeps with the answer'),
	(18, 'ai_tasks', 'response_complete', $$t.status = 'completed'$$, 'Has it been completed?'),
	(19, 'ai_tasks', 'tokens_input', NULL, NULL),
	(20, 'ai_tasks', 'tokens_output', NULL, NULL),
	(21, 'ai_tasks', 'tokens_total', NULL, NULL),
	(22, 'ai_tasks', 'cost', NULL, NULL),
	(23, 'ai_tasks', 'time_to_first_token', NULL, NULL),
	(24, 'ai_tasks', 'total_time', NULL, NULL),
	(25, 'ai_tasks', 'status',
	 $$CASE t.status WHEN 'error' THEN 'failed' ELSE t.status END$$,
	 'Is it pending, streaming, completed, failed or cancelled?'),
	(26, 'ai_tasks', 'is_public',
	 $$t.metadata @> '{"airun_original": {"is_public": true}}'$$,
	 'Does the application show it to everybody?'),
	(27, 'ai_tasks', 'organization_id', $$t.metadata #>> '{airun_original,organization_id}'$$,
	 'The organization that it belongs to'),
	(28, 'ai_tasks', 'project_id', $$t.metadata #>> '{airun_original,project_id}'$$,
	 'The project that it belongs to'),
	(29, 'ai_tasks', 'created_at', NULL, NULL),
	(30, 'ai_tasks', 'updated_at',
	 $$CASE WHEN t.status = 'streaming'
		THEN GREATEST(t.updated_at, (SELECT c.created_at FROM airun.task_chunks AS c
			WHERE c.run_id = t.run_id AND c.task_id = t.task_id
			ORDER BY c.chars DESC LIMIT 1))
		ELSE t.updated_at END$$, NULL),
	(31, 'ai_tasks', 'completed_at', NULL, NULL)
) AS o (place, view, name, expression, comment)
LEFT JOIN @extschema@.airun_store_view_columns() AS s ON s.view = o.view AND s.name = o.name
ORDER BY o.view, o.place
$original_columns$;
COMMENT ON FUNCTION @extschema@.airun_store_original_columns() IS
'The columns of the views that airun_install_original() makes';

CREATE FUNCTION @extschema@.airun_store_original_views()
RETURNS TABLE (name text, columns name[], definition text, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $original_views$
SELECT v.name, c.names, format('SELECT %s FROM %s', c.expressions, v.origin), v.comment
FROM (VALUES
	('ai_runs', $$airun.runs AS r
		WHERE r.deleted_at IS NULL
			OR NOT r.metadata @> '{"airun_original": {"is_removed": true}}'$$,
	 'Runs, as the original application has them'),
	('ai_tasks', $$airun.tasks AS t
		WHERE NOT t.metadata @> '{"airun_original": {"is_removed": true}}'$$,
	 'Tasks, as the original application has them')
) AS v (name, origin, comment)
CROSS JOIN LATERAL (
	SELECT array_agg(c.name::name ORDER BY c.place) AS names,
		string_agg(format('%s AS %I', c.expression, c.name), ', ' ORDER BY c.place) AS expressions
	FROM @extschema@.airun_store_original_columns() WITH ORDINALITY
		AS c (view, name, expression, comment, place)
	WHERE c.view = v.name) AS c
$original_views$;
COMMENT ON FUNCTION @extschema@.airun_store_original_views() IS
'The views that airun_install_original() makes';

/*
 * The schemas that have these views.  They are known by their triggers.
 */
CREATE FUNCTION @extschema@.airun_store_original_schemas()
RETURNS SETOF regnamespace
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $original_schemas$
SELECT DISTINCT c.relnamespace::regnamespace
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_class AS s ON s.oid = to_regclass('airun.runs') AND s.relowner = c.relowner
WHERE t.tgname = 'airun_original' AND c.relkind = 'v'
	AND t.tgfoid IN (to_regprocedure('@extschema@.airun_original_run()'),
		to_regprocedure('@extschema@.airun_original_task()'))
$original_schemas$;
COMMENT ON FUNCTION @extschema@.airun_store_original_schemas() IS
'The schemas that have views of airun_install_original()';

/*
 * The trigger of ai_runs.  Rows are compared as JSON, but for the messages, which
 * come last but one, before the status.
 */
CREATE FUNCTION @extschema@.airun_original_run() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $original_run$
DECLARE
	columns constant text[] :=
		'{id,user_id,source_type,name,description,tags,settings,variable_values,is_starred}';
	kept constant text[] := '{source_id,broker_values,attachments,dynamic_contexts,is_public,
		organization_id,project_id}';
	source uuid;			-- source_id, where it is one
	messages jsonb;
	old_messages jsonb;
	old_row jsonb := '{}';
	changes jsonb;			-- of what is kept in metadata
	run record;				-- as it is stored
	metadata jsonb;
	sets text;
	fresh record;
BEGIN
	IF TG_NAME <> 'airun_original' OR TG_WHEN <> 'INSTEAD OF' OR TG_TABLE_NAME <> 'ai_runs' THEN
		RAISE EXCEPTION 'function "airun_original_run" must be fired as '
			'airun_install_original() declares it'
			USING ERRCODE = 'trigger_protocol_violated';
	END IF;
	IF TG_OP = 'DELETE' THEN
		UPDATE airun.runs AS r
		SET metadata = r.metadata || jsonb_build_object('airun_original',
			COALESCE(r.metadata -> 'airun_original', '{}') || '{"is_removed": true}')
		WHERE r.id = OLD.id;
		PERFORM @extschema@.airun_delete_run(OLD.id);
		RETURN OLD;
	END IF;

	IF NEW.metadata ? 'airun_original' THEN
		RAISE EXCEPTION 'the key "airun_original" of "metadata" is reserved'
			USING ERRCODE = 'PT422',
				DETAIL = 'It keeps what the store has no column for.',
				HINT = 'Use another key.';
	END IF;
	messages := NEW.messages;
	NEW.messages := NULL;
	IF NEW.source_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		source := NEW.source_id;
	END IF;
	IF TG_OP = 'UPDATE' THEN
		old_messages := OLD.messages;
		OLD.messages := NULL;
		old_row := to_jsonb(OLD);
	ELSE
		NEW.id := COALESCE(NEW.id, @extschema@.airun_uuid());
		PERFORM @extschema@.airun_create_run(COALESCE(NEW.source_type, 'chat'), source, NEW.name,
			NEW.description, NEW.settings, NEW.variable_values, NEW.tags, NEW.metadata, NEW.id,
			NEW.user_id);
	END IF;

	-- From here on the run is locked, and what is read is the latest.
	SELECT r.id, r.metadata, r.deleted_at, r.is_archived INTO run
	FROM airun.runs AS r WHERE r.id = COALESCE(OLD.id, NEW.id) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	IF run.deleted_at IS NOT NULL AND NEW.status <> 'deleted' AND NEW.status <> OLD.status THEN
		PERFORM @extschema@.airun_restore_run(run.id);
	END IF;

	-- What the client has changed, and nothing else
	SELECT string_agg(format('%1$I = ($1).%1$I', n.key), ', ')
		FILTER (WHERE n.key = ANY (columns)),
		jsonb_object_agg(n.key, n.value) FILTER (WHERE n.key = ANY (kept))
	INTO sets, changes
	FROM jsonb_each(to_jsonb(NEW)) AS n
	WHERE n.value IS DISTINCT FROM COALESCE(old_row -> n.key, 'null')
		AND (TG_OP = 'UPDATE' OR n.key = 'is_starred' OR n.key = ANY (kept));
	IF changes ? 'source_id' AND TG_OP = 'UPDATE' THEN
		sets := concat_ws(', ', sets, 'source_id = $2');
		changes := changes || jsonb_build_object('source_id',
			CASE WHEN source IS NULL THEN NEW.source_id END);
	ELSIF source IS NOT NULL THEN
		changes := NULLIF(changes - 'source_id', '{}');
	END IF;
	metadata := run.metadata #- '{airun_original,is_removed}';
	IF TG_OP = 'UPDATE' AND NEW.metadata IS DISTINCT FROM OLD.metadata THEN
		-- What is no object is refused as it was sent.
		metadata := CASE WHEN jsonb_typeof(NEW.metadata) <> 'object' THEN NEW.metadata
			ELSE COALESCE(NEW.metadata, '{}') || CASE WHEN metadata ? 'airun_original'
				THEN jsonb_build_object('airun_original', metadata -> 'airun_original')
				ELSE '{}' END END;
	END IF;
	IF changes IS NOT NULL AND jsonb_typeof(metadata) = 'object' THEN
		metadata := metadata || jsonb_build_object('airun_original',
			COALESCE(metadata -> 'airun_original', '{}') || changes);
	END IF;
	IF sets IS NOT NULL OR metadata <> run.metadata THEN
		EXECUTE format('UPDATE airun.runs AS r SET %s WHERE r.id = $4',
					   concat_ws(', ', sets, 'metadata = $3'))
		USING NEW, source, metadata, run.id;
	END IF;

	-- The messages that the run has not, in the order of the array.  A message that
	-- stands there several times must be sent as often.  What the server has added to
	-- a message, the client need not know.
	IF messages IS DISTINCT FROM old_messages THEN
		IF jsonb_typeof(messages) = 'string' THEN
			messages := @extschema@.airun_json(messages #>> '{}');
		END IF;
		IF jsonb_typeof(messages) <> 'array' THEN
			RAISE EXCEPTION '"messages" must be a JSON array'
				USING ERRCODE = 'PT422',
					DETAIL = format('It is of type %s.', jsonb_typeof(messages)),
					HINT = 'Send the whole conversation, with what is new at its end.';
		END IF;
		FOR fresh IN
			WITH sent AS (
				SELECT c.n, c.message,
					row_number() OVER (PARTITION BY c.message ORDER BY c.n) AS nth
				FROM jsonb_array_elements(messages) WITH ORDINALITY AS c (message, n)
			), held AS (
				SELECT m.seq, m.message,
					row_number() OVER (PARTITION BY m.message ORDER BY m.seq) AS nth
				FROM airun.messages AS m WHERE m.run_id = run.id
			), others AS (
				SELECT s.n, s.message, l.lacks,
					row_number() OVER (PARTITION BY s.message ORDER BY s.n) AS nth
				FROM sent AS s
				CROSS JOIN LATERAL (SELECT ARRAY(
					SELECT k FROM unnest('{role,timestamp}'::text[]) AS k
					WHERE NOT s.message ? k)) AS l (lacks)
				WHERE NOT EXISTS (SELECT FROM held AS h
								  WHERE h.message = s.message AND h.nth = s.nth)
			), reduced AS (
				SELECT l.lacks, h.message - l.lacks AS message, row_number() OVER (
					PARTITION BY l.lacks, h.message - l.lacks ORDER BY h.seq) AS nth
				FROM held AS h
				CROSS JOIN (SELECT DISTINCT o.lacks FROM others AS o WHERE o.lacks <> '{}') AS l
				WHERE NOT EXISTS (SELECT FROM sent AS s
								  WHERE s.message = h.message AND s.nth = h.nth)
			)
			SELECT o.message, (
				SELECT t.task_id FROM airun.tasks AS t
				WHERE t.run_id = run.id AND t.task_id::text = o.message ->> 'taskId') AS task_id
			FROM others AS o
			WHERE NOT EXISTS (SELECT FROM reduced AS r
							  WHERE r.lacks = o.lacks AND r.message = o.message AND r.nth = o.nth)
				-- One that was replaced or taken back is an old copy.
				AND NOT EXISTS (
					SELECT FROM airun.message_versions AS v
					WHERE v.run_id = run.id AND (v.message = o.message
						OR v.message_id = o.message ->> 'id' AND v.message - o.lacks = o.message))
			ORDER BY o.n
		LOOP
			IF jsonb_typeof(fresh.message -> 'id') = 'string' THEN
				PERFORM @extschema@.airun_save_message(run.id, fresh.message, NULL, fresh.task_id);
			ELSE
				PERFORM @extschema@.airun_append_message(run.id, fresh.message, NULL,
					fresh.task_id);
			END IF;
		END LOOP;
	END IF;

	IF NEW.status IS DISTINCT FROM COALESCE(OLD.status, 'active') THEN
		IF NEW.status = 'deleted' THEN
			PERFORM @extschema@.airun_delete_run(run.id);
		ELSIF NEW.status IS NOT NULL THEN
			PERFORM @extschema@.airun_archive_run(run.id, NEW.status = 'archived');
			IF NEW.status <> 'archived' THEN
				PERFORM @extschema@.airun_set_run_status(run.id, NEW.status);
			END IF;
		END IF;
	END IF;
	EXECUTE format('SELECT v.* FROM %s AS v WHERE v.id = $1', TG_RELID::regclass)
	INTO NEW USING run.id;
	RETURN NEW;
END
$original_run$;
COMMENT ON FUNCTION @extschema@.airun_original_run() IS
'Trigger on the original application''s ai_runs: what is added to messages goes behind, a '
'DELETE hides';

/*
 * The trigger of ai_tasks.  Words of the original application become those of the
 * store; then a task moves by the functions.
 */
CREATE FUNCTION @extschema@.airun_original_task() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $original_task$
DECLARE
	columns constant text[] :=
		'{run_id,task_id,user_id,service,task_name,provider,endpoint,model_id,
		request_data}';
	figures constant text[] := '{tokens_input,tokens_output,tokens_total,cost,time_to_first_token,
		total_time}';
	kept constant text[] := '{model,response_info,response_errors,tool_updates,response_metadata,
		is_public,organization_id,project_id}';
	ended constant text[] := '{completed,failed,cancelled}';
	old_row jsonb := '{}';
	changed jsonb;			-- what the client has changed
	word text;				-- the status that it wants
	sets text;
	changes jsonb;			-- of what is kept in metadata
	task record;			-- as it is stored
BEGIN
	IF TG_NAME <> 'airun_original' OR TG_WHEN <> 'INSTEAD OF' OR TG_TABLE_NAME <> 'ai_tasks' THEN
		RAISE EXCEPTION 'function "airun_original_task" must be fired as '
			'airun_install_original() declares it'
			USING ERRCODE = 'trigger_protocol_violated';
	END IF;
	IF TG_OP = 'DELETE' THEN
		-- It may have ended, or been marked otherwise, since the view has shown it.
		PERFORM FROM airun.runs AS r WHERE r.id = OLD.run_id FOR NO KEY UPDATE;
		PERFORM @extschema@.airun_cancel_task(t.task_id, run_id => t.run_id)
		FROM airun.tasks AS t
		WHERE t.run_id = OLD.run_id AND t.task_id = OLD.task_id AND t.completed_at IS NULL;
		UPDATE @extschema@.ai_tasks AS t
		SET metadata = t.metadata || jsonb_build_object('airun_original',
			COALESCE(t.metadata -> 'airun_original', '{}') || '{"is_removed": true}')
		WHERE t.run_id = OLD.run_id AND t.task_id = OLD.task_id;
		RETURN OLD;
	END IF;

	IF TG_OP = 'UPDATE' THEN
		old_row := to_jsonb(OLD);
	ELSE
		NEW.task_id := COALESCE(NEW.task_id, NEW.id, @extschema@.airun_uuid());
		PERFORM @extschema@.airun_create_task(NEW.run_id, NEW.task_id, NEW.service, NEW.task_name,
			NEW.provider, NEW.endpoint, COALESCE(NEW.model_id, NEW.model), NEW.request_data);
	END IF;
	SELECT COALESCE(jsonb_object_agg(n.key, n.value), '{}') INTO changed
	FROM jsonb_each(to_jsonb(NEW)) AS n
	WHERE n.value IS DISTINCT FROM COALESCE(old_row -> n.key, 'null');
	word := CASE
		WHEN NEW.status IS DISTINCT FROM COALESCE(OLD.status, 'pending')
		THEN CASE NEW.status WHEN 'error' THEN 'failed' WHEN 'canceled' THEN 'cancelled'
			ELSE NEW.status END
		WHEN OLD.status = ANY (ended)
		THEN CASE WHEN starts_with(OLD.response_text, changed ->> 'response_text')
				AND NOT changed ?| figures THEN 'streaming'
			WHEN changed ?| (figures || '{response_text,response_data}') THEN OLD.status END
		WHEN NEW.response_complete THEN 'completed' END;
	IF OLD.status = ANY (ended) AND word IN ('pending', 'streaming') THEN
		RETURN OLD;			-- a late save
	END IF;

	-- What the client has changed beside the text and the end
	SELECT string_agg(format('%1$I = ($1).%1$I', n.key), ', ')
			FILTER (WHERE n.key = ANY (columns) AND TG_OP = 'UPDATE'
					OR n.key = ANY (figures) AND COALESCE(word <> ALL (ended), true)),
		jsonb_object_agg(n.key, n.value)
			FILTER (WHERE n.key = ANY (kept)
				AND NOT (n.key = 'response_errors' AND word = 'failed'))
	INTO sets, changes
	FROM jsonb_each(changed) AS n;
	IF sets IS NOT NULL OR changes IS NOT NULL THEN
		PERFORM FROM airun.runs AS r WHERE r.id = COALESCE(OLD.run_id, NEW.run_id)
			FOR NO KEY UPDATE;
		SELECT t.completed_at, t.metadata INTO task
		FROM airun.tasks AS t
		WHERE t.run_id = COALESCE(OLD.run_id, NEW.run_id)
			AND t.task_id = COALESCE(OLD.task_id, NEW.task_id);
		-- It may have ended meanwhile, and then this is a late save as well.
		IF task.completed_at IS NULL OR OLD.status = ANY (ended) OR word = ANY (ended) THEN
			EXECUTE format('UPDATE @extschema@.ai_tasks AS t SET %s WHERE t.run_id = $3 AND '
				't.task_id = $4',
						   concat_ws(', ', sets, 'metadata = $2'))
			USING NEW,
				CASE WHEN changes IS NULL THEN task.metadata
					ELSE task.metadata || jsonb_build_object('airun_original',
						COALESCE(task.metadata -> 'airun_original', '{}') || changes) END,
				COALESCE(OLD.run_id, NEW.run_id), COALESCE(OLD.task_id, NEW.task_id);
		END IF;
	END IF;

	IF word = ANY (ended) THEN
		EXECUTE format('SELECT @extschema@.%I(task_id => $1, response_text => $2,
				tokens_input => $3, tokens_output => $4, tokens_total => $5, cost => $6,
				time_to_first_token => $7, total_time => $8, response_data => $9, '
				'run_id => $10%s)',
			CASE word WHEN 'completed' THEN 'airun_complete_task'
				WHEN 'failed' THEN 'airun_fail_task'
				ELSE 'airun_cancel_task' END,
			CASE word WHEN 'failed' THEN ', error => $11' ELSE '' END)
		USING NEW.task_id, changed ->> 'response_text', (changed ->> 'tokens_input')::bigint,
			(changed ->> 'tokens_output')::bigint, (changed ->> 'tokens_total')::bigint,
			(changed ->> 'cost')::double precision,
			(changed ->> 'time_to_first_token')::double precision,
			(changed ->> 'total_time')::double precision,
			NULLIF(changed -> 'response_data', 'null'),
			NEW.run_id, NEW.response_errors;
	ELSIF word <> ALL ('{pending,streaming}') THEN
		-- no status of a task, as the store says
		UPDATE @extschema@.ai_tasks AS t SET status = word
		WHERE t.run_id = NEW.run_id AND t.task_id = NEW.task_id;
	ELSIF word = 'streaming' OR changed ?| '{response_text,response_data}' THEN
		PERFORM @extschema@.airun_update_task(NEW.task_id, changed ->> 'response_text',
			NULLIF(changed -> 'response_data', 'null'), NEW.run_id);
	END IF;
	EXECUTE format('SELECT v.* FROM %s AS v WHERE v.run_id = $1 AND v.task_id = $2',
				   TG_RELID::regclass)
	INTO NEW USING NEW.run_id, NEW.task_id;
	RETURN NEW;
END
$original_task$;
COMMENT ON FUNCTION @extschema@.airun_original_task() IS
'Trigger on the original application''s ai_tasks: its words become those of the store, a '
'DELETE hides';

/*
 * airun_install_original(schema)
 *
 * Refuses: a caller who does not own the store (42501), a schema that is airun's
 * own or the server's (42P15), names that are taken (42P07).
 *
 * Locks: the views that it makes, exclusively; none where nothing is to do.
 */
CREATE FUNCTION @extschema@.airun_install_original(schema name) RETURNS text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $install_original$
DECLARE
	owner constant oid := (SELECT c.relowner FROM pg_class AS c
						   WHERE c.oid = to_regclass('airun.runs'));
	done text[] := '{}';		-- what has been made
	definition text;
	item record;
BEGIN
	IF owner IS NULL THEN
		RAISE EXCEPTION 'database "%" has no airun store yet', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT airun_install() as the role that shall own it.';
	END IF;
	IF owner <> (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'must be owner of airun''s store to call airun_install_original()'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The store belongs to role "%s", and the caller is "%s".',
								pg_get_userbyid(owner), current_user),
				HINT = 'Call it as that role.';
	END IF;
	-- Can the store be where it is?  Who may not ask may do nothing of what follows.
	IF has_function_privilege('@extschema@.airun_store_refuse_citus()', 'EXECUTE') THEN
		PERFORM @extschema@.airun_store_refuse_citus();
	END IF;
	IF schema IS NULL THEN
		RAISE EXCEPTION 'parameter "schema" must not be null'
			USING ERRCODE = 'PT422', HINT = 'Name the schema that the views shall be in.';
	END IF;
	IF schema = '' THEN
		RAISE EXCEPTION 'parameter "schema" must not be empty'
			USING ERRCODE = 'PT422', HINT = 'Name the schema that the views shall be in.';
	END IF;
	IF schema IN ('airun', 'information_schema') OR schema LIKE 'pg\_%'
		OR schema = (SELECT n.nspname FROM pg_extension AS e
					 JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'airun')
	THEN
		RAISE EXCEPTION 'the original application''s views cannot be in schema "%"', schema
			USING ERRCODE = 'invalid_schema_definition',
				DETAIL = 'It is that of airun''s functions, of its store or of the server.',
				HINT = 'Name another one; it is made where it is missing.';
	END IF;

	-- The names must be free, or ours: views of the store that its owner has made.
	-- A type takes a name as well.
	FOR item IN
		SELECT v.name
		FROM @extschema@.airun_store_original_views() AS v
		JOIN pg_namespace AS n ON n.nspname = schema
		WHERE (EXISTS (SELECT FROM pg_class AS c
					   WHERE c.relname = v.name AND c.relnamespace = n.oid)
			   OR EXISTS (SELECT FROM pg_type AS y
						  WHERE y.typname = v.name AND y.typnamespace = n.oid))
			AND NOT EXISTS (
				SELECT FROM pg_class AS c
				JOIN pg_rewrite AS w ON w.ev_class = c.oid
				JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
					AND d.refclassid = 'pg_class'::regclass
				JOIN pg_class AS t ON t.oid = d.refobjid
				WHERE c.relname = v.name AND c.relnamespace = n.oid AND c.relkind = 'v'
					AND c.relowner = owner
					AND c.reloptions @> '{security_invoker=true}'
					AND t.relnamespace = to_regnamespace('airun'))
		ORDER BY v.name
	LOOP
		RAISE EXCEPTION 'the name "%" is taken in schema "%"', item.name, schema
			USING ERRCODE = 'duplicate_table',
				DETAIL = 'The original application''s names are ai_runs and ai_tasks.',
				HINT = 'Rename what has it, or name another schema.';
	END LOOP;

	IF NOT EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = schema) THEN
		EXECUTE format('CREATE SCHEMA %I', schema);
		done := done || format('schema %I', schema);
	END IF;

	-- What is missing, lacks a column or is defined otherwise
	FOR item IN
		SELECT v.name, v.definition, v.comment, v.columns,
			format('%I.%I', schema, v.name) AS target
		FROM @extschema@.airun_store_original_views() AS v ORDER BY v.name
	LOOP
		IF NOT @extschema@.airun_store_has_view(to_regclass(item.target), item.columns,
												item.definition) THEN
			EXECUTE format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s',
						   item.target, item.definition);
			EXECUTE format('COMMENT ON VIEW %s IS %L', item.target, item.comment);
			EXECUTE (SELECT string_agg(format('COMMENT ON COLUMN %s.%I IS %L',
											  item.target, c.name, c.comment), '; ')
					 FROM @extschema@.airun_store_original_columns() AS c
					 WHERE c.view = item.name);
			done := done || format('view %s', item.target);
		END IF;
		definition :=
			format('CREATE TRIGGER airun_original INSTEAD OF INSERT OR DELETE OR UPDATE ON %s'
			' FOR EACH ROW EXECUTE FUNCTION %s', item.target,
			CASE item.name WHEN 'ai_runs' THEN to_regprocedure('@extschema@.airun_original_run()')
				ELSE to_regprocedure('@extschema@.airun_original_task()') END);
		IF NOT EXISTS (SELECT FROM pg_trigger AS t
					   WHERE t.tgrelid = to_regclass(item.target) AND t.tgname = 'airun_original'
						AND pg_get_triggerdef(t.oid) = definition) THEN
			EXECUTE replace(definition, 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER');
			done := done || format('trigger airun_original of %s', item.target);
		END IF;
	END LOOP;

	-- For the roles that had been granted the store
	FOR item IN
		SELECT DISTINCT pg_get_userbyid(a.grantee) AS role
		FROM pg_class AS c, aclexplode(c.relacl) AS a
		WHERE c.oid = 'airun.runs'::regclass AND a.privilege_type = 'INSERT'
			AND a.grantee NOT IN (0, c.relowner)
			AND NOT (has_table_privilege(a.grantee, format('%I.ai_runs', schema), 'INSERT')
					 AND has_table_privilege(a.grantee, format('%I.ai_tasks', schema), 'INSERT'))
		ORDER BY role
	LOOP
		PERFORM @extschema@.airun_grant(item.role);
		done := done || format('grants to %I', item.role);
	END LOOP;
	IF done = '{}' THEN
		RETURN format('The views in schema %I are complete; nothing was changed.', schema);
	END IF;
	NOTIFY pgrst, 'reload schema';
	RETURN format(E'Made:\n  %s', array_to_string(done, E'\n  '));
END
$install_original$;
COMMENT ON FUNCTION @extschema@.airun_install_original(name) IS
'Makes ai_runs and ai_tasks as the original application has them, as views in a schema of their own
For the owner of the store.  Clients of that application work as they are; what the store has no '
'column for is kept in metadata.';

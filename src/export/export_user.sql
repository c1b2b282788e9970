/*
 * export_user.sql: everything that the store has of one person
 *
 * For requests for access.  A user has her own, the owner of the store anybody's.
 * What is deleted and not purged yet is hers as well, and so is what stood in messages
 * before.  In runs of others, as far as the caller may see them, it is what belongs to her
 * tasks, and what she has put into the place of a message; not what forks have copied of it.
 * Entries of the ledger come as far as the caller may read them.
 *
 * Refuses: nobody (PT401), another person's data to all but the owner (42501).
 * Nothing is locked.
 */
CREATE FUNCTION @extschema@.airun_export_user(user_id uuid DEFAULT NULL) RETURNS SETOF json
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $export_user$
#variable_conflict use_column
DECLARE
	person constant uuid := COALESCE(airun_export_user.user_id, @extschema@.airun_user_id());
	owner constant oid := (SELECT c.relowner FROM pg_class AS c
						   WHERE c.oid = to_regclass('airun.runs'));
	entries text;				-- a table of the ledger
	others uuid[];				-- the runs of others in which she has said something
BEGIN
	-- Is there a store, of this version, where it can be?  Other functions tell.
	PERFORM @extschema@.airun_sees_run(@extschema@.airun_uuid());
	IF person IS NULL THEN
		RAISE EXCEPTION 'nobody is calling'
			USING ERRCODE = 'PT401',
				HINT = 'Send a token whose claims (request.jwt.claims) have a "sub", or set '
					'airun.user_id.';
	END IF;
	IF person IS DISTINCT FROM @extschema@.airun_user_id() AND NOT pg_has_role(owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of airun''s store to export what belongs to another user'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Leave "user_id" out to have your own.';
	END IF;

	RETURN QUERY SELECT json_build_object('kind', 'run', 'run', to_json(r))
		FROM airun.runs AS r WHERE r.user_id = person ORDER BY r.created_at, r.id;
	RETURN QUERY SELECT json_build_object('kind', 'message', 'message', to_json(m))
		FROM airun.runs AS r JOIN airun.messages AS m ON m.run_id = r.id
		WHERE r.user_id = person ORDER BY r.created_at, r.id, m.seq;
	RETURN QUERY SELECT json_build_object('kind', 'message_version', 'message_version', to_json(v))
		FROM airun.runs AS r JOIN airun.message_versions AS v ON v.run_id = r.id
		WHERE r.user_id = person ORDER BY r.created_at, r.id, v.seq, v.version;
	others := ARRAY(
		SELECT r.id FROM airun.runs AS r WHERE r.user_id IS DISTINCT FROM person AND r.id IN (
			SELECT t.run_id FROM airun.tasks AS t WHERE t.user_id = person
			UNION SELECT v.run_id FROM airun.message_versions AS v WHERE v.replaced_by = person));
	RETURN QUERY SELECT json_build_object('kind', 'message', 'message', to_json(m))
		FROM airun.messages AS m
		WHERE m.run_id = ANY (others) AND (
			EXISTS (SELECT FROM airun.tasks AS t WHERE t.run_id = m.run_id
				AND t.task_id = m.task_id
				AND t.user_id = person)
			OR person = (SELECT w.replaced_by FROM airun.message_versions AS w
				WHERE w.run_id = m.run_id AND w.seq = m.seq AND w.action = 'replaced'
				ORDER BY w.version DESC LIMIT 1))
		ORDER BY m.run_id, m.seq;
	RETURN QUERY SELECT json_build_object('kind', 'message_version', 'message_version', to_json(v))
		FROM airun.message_versions AS v
		WHERE v.run_id = ANY (others) AND (
			EXISTS (SELECT FROM airun.tasks AS t WHERE t.run_id = v.run_id
				AND t.task_id = v.task_id
				AND t.user_id = person)
			OR EXISTS (SELECT FROM airun.message_versions AS w
				WHERE w.run_id = v.run_id AND w.seq = v.seq AND w.version + 1 = v.version
				AND w.action = 'replaced' AND w.replaced_by = person))
		ORDER BY v.run_id, v.seq, v.version;
	RETURN QUERY SELECT json_build_object('kind', 'task', 'task',
		to_jsonb(t) || jsonb_build_object(
			'request_data', CASE WHEN t.request_reference IS NULL THEN t.request_data
				ELSE @extschema@.airun_request(t.request_data, t.request_reference, (
					SELECT @extschema@.airun_array_in_order(b.message, b.seq)
					FROM airun.messages AS b
					WHERE b.run_id = t.run_id AND b.seq >= (t.request_reference ->> 'from')::bigint
						AND b.seq < (t.request_reference ->> 'from')::bigint
							+ (t.request_reference ->> 'count')::bigint)) END,
			'response_text', CASE
				WHEN t.status = 'streaming' THEN (
					SELECT string_agg(c.chunk, '' ORDER BY c.chars) FROM airun.task_chunks AS c
					WHERE c.run_id = t.run_id AND c.task_id = t.task_id)
				WHEN t.text_in_answer THEN (
					SELECT @extschema@.airun_message_text(a.message) FROM airun.messages AS a
					WHERE a.run_id = t.run_id AND a.seq = t.answer_seq)
				ELSE t.response_text END))
		FROM airun.runs AS r JOIN airun.tasks AS t ON t.run_id = r.id
		WHERE r.user_id = person OR t.user_id = person
		ORDER BY r.created_at, r.id, t.created_at, t.task_id;
	RETURN QUERY SELECT json_build_object('kind', 'call', 'call', to_json(c))
		FROM airun.calls AS c WHERE c.user_id = person ORDER BY c.created_at, c.id;
	FOREACH entries IN ARRAY '{usage_ledger,usage_tail}'::text[] LOOP
		CONTINUE WHEN NOT has_table_privilege(format('airun.%I', entries), 'SELECT');
		RETURN QUERY EXECUTE format($$SELECT json_build_object('kind', 'usage',
			'usage', to_json(u))
			FROM airun.%I AS u WHERE u.user_id = $1 ORDER BY u.at$$, entries) USING person;
	END LOOP;
END
$export_user$;
COMMENT ON FUNCTION @extschema@.airun_export_user(uuid) IS
'Everything that the store has of a person, one JSON object a row: runs, messages, versions, '
'tasks, calls, usage
Your own; the owner of the store may name anybody.';

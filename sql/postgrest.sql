--
-- The way PostgREST calls: one connection, one transaction a request, the
-- role and the claims set for it, prepared statements that outlive it.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.trust_client_cost = on;
CREATE ROLE regress_airun_anon;
CREATE ROLE regress_airun_authenticated;
CREATE ROLE regress_airun_service BYPASSRLS;
CREATE ROLE regress_airun_authenticator NOINHERIT;
GRANT regress_airun_anon, regress_airun_authenticated, regress_airun_service TO regress_airun_authenticator;
SELECT airun_grant('regress_airun_anon'), airun_grant('regress_airun_authenticated'), airun_grant('regress_airun_service');
CREATE SCHEMA pgrst;
GRANT USAGE ON SCHEMA pgrst TO PUBLIC;

-- The SQL of a call.  PostgREST knows from the catalogue what the arguments'
-- types are, and whether the result is a row, rows or a scalar.
CREATE FUNCTION pgrst.call(name text, keys text[], method text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog AS $$
DECLARE
	f pg_proc;
	args text;
	record text;
	call text;
	scalar boolean;
BEGIN
	SELECT * INTO STRICT f FROM pg_proc p
	WHERE pronamespace = 'public'::regnamespace AND proname = name AND coalesce(proargnames, '{}') @> keys;
	SELECT string_agg(format('%I := ' || CASE method WHEN 'POST' THEN 'pgrst_body.%1$I' ELSE '$%2$s::%3$s' END,
			k, n, format_type(t, NULL)), ', ' ORDER BY n),
		string_agg(format('%I %s', k, format_type(t, NULL)), ', ' ORDER BY n)
	INTO args, record
	FROM unnest(keys) WITH ORDINALITY x (k, n)
	JOIN LATERAL (SELECT f.proargtypes[array_position(f.proargnames, k) - 1] AS t) y ON true;
	scalar := (SELECT typtype <> 'c' FROM pg_type WHERE oid = f.prorettype);
	call := format('"public".%I(%s)', name, args);
	IF scalar THEN
		call := format('(select %s pgrst_scalar)', call);
	END IF;
	RETURN format('with pgrst_source as (select pgrst_call.* from %s %s pgrst_call) select %s as body from (select * from pgrst_source) _postgrest_t',
		CASE WHEN method = 'POST' AND keys <> '{}' THEN format(
			'(select $1::json as json_data) pgrst_payload, lateral (select %s from json_to_record(pgrst_payload.json_data) as _(%s)) pgrst_body, lateral',
			(SELECT string_agg(quote_ident(k), ', ' ORDER BY n) FROM unnest(keys) WITH ORDINALITY x (k, n)), record)
		ELSE 'lateral' END,
		call,
		CASE WHEN scalar THEN 'coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, ''null'')'
			WHEN f.proretset THEN 'coalesce(json_agg(_postgrest_t), ''[]'')'
			ELSE 'coalesce(json_agg(_postgrest_t)->0, ''null'')' END);
END $$;

-- what differs from one run to the next
CREATE FUNCTION pgrst.stable(body text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(body,
		'"\d{4}-\d\d-\d\d[T ][^"]*"', '"<time>"', 'g'),
		'[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}', '<uuid>', 'g'),
		'"(time_to_first_token|total_time)" ?: ?[0-9.]+', '"\1":<ms>', 'g'),
		'"cursor" ?: ?"[0-9a-f]{66}"', '"cursor":"<cursor>"', 'g')
$$;

-- One request: a statement, its parameters as text of unknown type, who sends
-- it, and whether it is read only.  An error becomes PostgREST's body.
CREATE PROCEDURE pgrst.request(who text, statement text, parameters text[], read_only boolean, INOUT body text)
LANGUAGE plpgsql AS $$
DECLARE
	prepared text := 'p' || md5(statement);
	role text := CASE who WHEN 'anon' THEN 'regress_airun_anon' WHEN 'service' THEN 'regress_airun_service'
		ELSE 'regress_airun_authenticated' END;
	sub text := CASE who WHEN 'alice' THEN '"9057e570-0000-4000-8000-0000000000aa"'
		WHEN 'bob' THEN '"9057e570-0000-4000-8000-0000000000bb"' WHEN 'carol' THEN '"auth0|carol"' END;
	code text;
	message text;
	detail text;
	hint text;
BEGIN
	COMMIT;
	PERFORM set_config('search_path', '"public"', true), set_config('role', role, true),
		set_config('request.jwt.claims', '{' || coalesce('"sub":' || sub || ',', '') || '"role":"' || role || '"}', true),
		set_config('request.method', CASE WHEN read_only THEN 'GET' ELSE 'POST' END, true),
		set_config('request.path', '/rpc', true), set_config('request.headers', '{}', true), set_config('request.cookies', '{}', true);
	BEGIN
		IF read_only THEN
			SET TRANSACTION READ ONLY;
		END IF;
		IF NOT EXISTS (SELECT FROM pg_prepared_statements p WHERE p.name = prepared) THEN
			EXECUTE format('PREPARE %I AS %s', prepared, request.statement);
		END IF;
		EXECUTE format('EXECUTE %I', prepared)
			|| coalesce((SELECT '(' || string_agg(quote_nullable(v), ', ' ORDER BY n) || ')' FROM unnest(parameters) WITH ORDINALITY x (v, n)), '')
		INTO body;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		body := json_build_object('code', code, 'message', message, 'details', nullif(detail, ''), 'hint', nullif(hint, ''));
	END;
	COMMIT;
	body := pgrst.stable(body);
END $$;

-- POST /rpc/name with a JSON body; read only where the function is not volatile
CREATE PROCEDURE pgrst.post(who text, name text, sent text, INOUT body text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	keys text[] := ARRAY(SELECT k FROM json_object_keys(replace(sent, 'u0000', 'u0001')::json) k);
	read_only boolean := (SELECT p.provolatile <> 'v' FROM pg_proc p WHERE p.proname = post.name);
BEGIN
	CALL pgrst.request(who, pgrst.call(name, keys, 'POST'), CASE WHEN keys <> '{}' THEN ARRAY[sent] END, read_only, body);
END $$;

-- GET /rpc/name?key=value
CREATE PROCEDURE pgrst.get(who text, name text, query text, INOUT body text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	keys text[];
	parameters text[];
BEGIN
	SELECT array_agg(split_part(p, '=', 1) ORDER BY n), array_agg(split_part(p, '=', 2) ORDER BY n) INTO keys, parameters
	FROM unnest(string_to_array(query, '&')) WITH ORDINALITY x (p, n);
	CALL pgrst.request(who, pgrst.call(name, coalesce(keys, '{}'), 'GET'), parameters, true, body);
END $$;

-- by hand, to show what is sent
SELECT pgrst.call('airun_create_run', '{source_type,name}', 'POST');
SELECT pgrst.call('airun_messages', '{run_id}', 'POST');
SELECT pgrst.call('airun_list_runs', '{page_size}', 'GET');

SET SESSION AUTHORIZATION regress_airun_authenticator;

--
-- A conversation, every function once and more, by users that alternate
--
CALL pgrst.post('alice', 'airun_user_id', '{}');
CALL pgrst.post('bob', 'airun_user_id', '{}');
CALL pgrst.post('anon', 'airun_user_id', '{}');
CALL pgrst.post('carol', 'airun_user_id', '{}');
CALL pgrst.post('alice', 'airun_user_id', '{}');
CALL pgrst.get('bob', 'airun_user_id', NULL);
CALL pgrst.post('anon', 'airun_user_uuid', '{"subject": "auth0|carol"}');
CALL pgrst.post('anon', 'airun_uuid', '{}');
CALL pgrst.post('anon', 'airun_json', '{"document": "{\"a\": \"\\u0000\"}"}');
-- the raw body of a request, of the type text/plain
\set raw 'with pgrst_source as (select (select "public".airun_call($1::text) pgrst_scalar) pgrst_scalar) select coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, ''null'') as body from (select * from pgrst_source) _postgrest_t'
CALL pgrst.request('alice', :'raw', ARRAY['{"airun_user_uuid": {"subject": "half: \ud83d, zero: \u0000"}}'], false, NULL);
CALL pgrst.request('anon', :'raw', ARRAY['{"airun_create_run": {"name": "zero: \u0000"}}'], false, NULL);
CALL pgrst.request('alice', :'raw', ARRAY['{"airun_create": {}}'], false, NULL);

CALL pgrst.post('alice', 'airun_create_run', '{"source_type": "chat"}');
CALL pgrst.post('alice', 'airun_create_run', '{"source_type": "prompt", "source_id": "9057e570-0000-4000-8000-00000000005c", "name": "Alice''s", "description": "d",
	"settings": {"model": "m", "temperature": 0.5}, "variable_values": {"x": [1, null]}, "tags": ["a", "b c"], "metadata": {"k": "v"}, "id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('bob', 'airun_create_run', '{"name": "Bob''s", "id": "9057e570-0000-4000-8000-00000000bbbb", "user_id": null, "settings": null}');
CALL pgrst.post('bob', 'airun_create_run', '{"name": "Bob''s", "id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('service', 'airun_create_run', '{"name": "for Carol", "user_id": "9057e570-0000-4000-8000-0000000000cc"}');
CALL pgrst.post('anon', 'airun_create_run', '{}');
CALL pgrst.post('alice', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "message": {"role": "user", "content": "Hello"}, "message_id": "m1"}');
CALL pgrst.post('bob', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-00000000bbbb", "message": {"role": "user", "content": "Hi"}, "message_id": "m1"}');
CALL pgrst.post('bob', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "message": {"role": "user", "content": "Hi"}, "message_id": "m1"}');
CALL pgrst.post('alice', 'airun_append_messages', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "y"}]}]}');
CALL pgrst.post('alice', 'airun_create_task', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "task_id": "9057e570-0000-4000-8000-00000000000a", "service": "s", "provider": "p", "model_id": "m", "request_data": {"q": 1}}');
CALL pgrst.post('alice', 'airun_update_task', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "response_text": "so far"}');
CALL pgrst.post('bob', 'airun_update_task', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "response_text": "so far"}');
CALL pgrst.post('alice', 'airun_stream_delta', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "delta": ", so", "at": 6}');
CALL pgrst.post('alice', 'airun_stream_delta', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "delta": "?", "at": 99}');
CALL pgrst.post('alice', 'airun_stream_read', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "from_position": 6, "max_wait": "1 s", "generation": 0}');
CALL pgrst.post('bob', 'airun_stream_read', '{"task_id": "9057e570-0000-4000-8000-00000000000a"}');
CALL pgrst.post('alice', 'airun_heartbeat_task', '{"task_id": "9057e570-0000-4000-8000-00000000000a"}');
CALL pgrst.post('alice', 'airun_expire_tasks', '{}');
CALL pgrst.post('alice', 'airun_start_call', '{"call_id": "9057e570-0000-4000-8000-0000000000ca", "task_name": "title"}');
CALL pgrst.post('alice', 'airun_end_call', '{"call_id": "9057e570-0000-4000-8000-0000000000ca", "tokens_input": 5, "total_time": 7}');
CALL pgrst.post('alice', 'airun_meter', '{"model_id": "m", "usage": {"prompt_tokens": 3}}');
CALL pgrst.post('alice', 'airun_expire_calls', '{}');
CALL pgrst.get('anon', 'airun_is_overdue', 'status=streaming&last_progress=2026-01-01&timeout=1 s');
CALL pgrst.post('anon', 'airun_message_text', '{"message": {"role": "user", "parts": [{"type": "text", "text": "Hello"}]}}');
CALL pgrst.post('anon', 'airun_request', '{"request_data": {"messages": []}, "reference": null, "messages": null}');
CALL pgrst.post('alice', 'airun_complete_task', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "response_text": "so far, so good", "usage": {"in": 1}, "tokens_input": 3, "tokens_output": 4, "cost": 0.25, "time_to_first_token": 12.5, "total_time": 100, "finish_reason": "stop"}');
CALL pgrst.post('alice', 'airun_create_task', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "task_id": "9057e570-0000-4000-8000-0000000000a1"}');
CALL pgrst.post('alice', 'airun_fail_task', '{"task_id": "9057e570-0000-4000-8000-0000000000a1", "error": {"message": "overloaded"}, "usage": null}');
CALL pgrst.post('alice', 'airun_start_turn', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "messages": {"role": "user", "content": "And?"}, "task_id": "9057e570-0000-4000-8000-0000000000a2"}');
CALL pgrst.post('alice', 'airun_finish_turn', '{"task_id": "9057e570-0000-4000-8000-0000000000a2", "message": {"role": "assistant", "content": "Well."}, "tokens_total": 5}');
CALL pgrst.post('bob', 'airun_start_turn', '{"messages": [{"role": "user", "content": "A first turn."}], "task_id": "9057e570-0000-4000-8000-0000000000b2", "run": {"source_type": "chat", "id": "9057e570-0000-4000-8000-0000000bbbb2"}}');
CALL pgrst.post('bob', 'airun_cancel_task', '{"task_id": "9057e570-0000-4000-8000-0000000000b2", "response_text": "A fir"}');
CALL pgrst.post('alice', 'airun_update_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "description": "changed", "tags": []}');
CALL pgrst.post('alice', 'airun_star_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('alice', 'airun_toggle_star', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('alice', 'airun_archive_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "archived": true}');
CALL pgrst.post('alice', 'airun_set_run_status', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "status": "completed"}');
CALL pgrst.post('alice', 'airun_delete_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('alice', 'airun_get_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('alice', 'airun_restore_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('alice', 'airun_purge_runs', '{"deleted_before": "2000-01-01"}');

-- reading, by POST and GET: read only
CALL pgrst.post('alice', 'airun_get_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "max_messages": 1}');
CALL pgrst.get('bob', 'airun_get_run', 'run_id=9057e570-0000-4000-8000-0000000bbbb2&include_requests=true');
CALL pgrst.get('bob', 'airun_export_user', 'user_id=9057e570-0000-4000-8000-0000000000aa');
CALL pgrst.get('bob', 'airun_export', 'run_id=9057e570-0000-4000-8000-0000000bbbb2&format=openai');
CALL pgrst.get('bob', 'airun_context', 'run_id=9057e570-0000-4000-8000-0000000bbbb2&max_tokens=100&for_provider=anthropic');
CALL pgrst.post('bob', 'airun_import', '{"document": "[]"}');
CALL pgrst.post('alice', 'airun_save_message', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "message": {"role": "user", "content": "Hello, again"}, "message_id": "m1"}');
CALL pgrst.post('bob', 'airun_save_message', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "message": {"role": "user", "content": "Hi"}, "message_id": "m1"}');
CALL pgrst.post('alice', 'airun_save_messages', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "messages": "[{\"role\": \"user\", \"content\": \"Hello\\u0000\", \"id\": \"m1\"}]"}');
CALL pgrst.get('alice', 'airun_message_versions', 'run_id=9057e570-0000-4000-8000-00000000aaaa&message_id=m1');
CALL pgrst.get('bob', 'airun_message_versions', 'run_id=9057e570-0000-4000-8000-00000000aaaa');
CALL pgrst.post('alice', 'airun_truncate_messages', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "after_seq": 1000}');
CALL pgrst.post('bob', 'airun_truncate_messages', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "after_seq": 0}');
CALL pgrst.post('alice', 'airun_messages', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.get('alice', 'airun_messages', 'run_id=9057e570-0000-4000-8000-00000000aaaa&max_messages=1&from_end=true');
CALL pgrst.get('bob', 'airun_messages', 'run_id=9057e570-0000-4000-8000-00000000aaaa&max_messages=1&from_end=true');
CALL pgrst.get('service', 'airun_messages', 'run_id=9057e570-0000-4000-8000-00000000aaaa&max_messages=1&from_end=true');
CALL pgrst.get('anon', 'airun_messages', 'run_id=9057e570-0000-4000-8000-00000000aaaa&max_messages=1&from_end=true');
CALL pgrst.get('alice', 'airun_messages', 'run_id=9057e570-0000-4000-8000-00000000aaaa&max_messages=1&from_end=true');
CALL pgrst.post('alice', 'airun_list_runs', '{"archived": true, "tag": null, "search": "ALICE"}');
CALL pgrst.get('bob', 'airun_list_runs', 'source_type=chat&page_size=1');
CALL pgrst.get('anon', 'airun_list_runs', 'source_type=chat&page_size=1');
CALL pgrst.get('alice', 'airun_check', NULL);
CALL pgrst.get('alice', 'airun_check', 'run_id=9057e570-0000-4000-8000-00000000aaaa');
CALL pgrst.post('alice', 'airun_normalize_usage', '{"usage": {"prompt_tokens": 3, "completion_tokens": 4}, "provider": "openai"}');
CALL pgrst.get('alice', 'airun_sketch_quantile', 'sketch=\x01930806&fraction=0.95');
CALL pgrst.get('alice', 'airun_usage', 'from_time=2019-01-01&to_time=2019-02-01&bucket=week&group_by={model_id}');
-- a page, of the type text/html
\set page 'with pgrst_source as (select (select "public".airun_usage_page("from_day" := $1::date, "to_day" := $2::date)) pgrst_scalar) select left(min(_postgrest_t.pgrst_scalar), 15) as body from (select * from pgrst_source) _postgrest_t'
CALL pgrst.request('alice', :'page', ARRAY['2019-01-01', '2019-01-31'], true, NULL);
CALL pgrst.post('alice', 'airun_cost', '{"model_id": "m", "usage": {"prompt_tokens": 3}, "at": "2026-06-01T00:00:00Z", "service_tier": "flex"}');
CALL pgrst.get('anon', 'airun_cost_details', 'model_id=m&usage={"input": 3}');
-- GET of a function that writes is refused by the server
CALL pgrst.get('alice', 'airun_toggle_star', 'run_id=9057e570-0000-4000-8000-00000000aaaa');
CALL pgrst.get('alice', 'airun_create_run', NULL);
RESET SESSION AUTHORIZATION;
-- What the API shows to a role: functions that it may execute, neither triggers nor aggregates,
-- whose parameters have names; or that have one alone, without a name, for the raw body.
CREATE TEMP VIEW shown AS
	SELECT p.proname, p.oid FROM pg_proc p
	WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
		AND (p.pronargs = 0 OR p.proargnames IS NOT NULL
			OR p.pronargs = 1 AND p.proargtypes[0] IN ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype));
SELECT proname FROM shown WHERE has_function_privilege('regress_airun_authenticated', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
-- each of them was called
SELECT proname FROM shown WHERE has_function_privilege('regress_airun_authenticated', oid, 'EXECUTE')
	AND NOT EXISTS (SELECT FROM pg_prepared_statements s WHERE s.statement LIKE '%"public".' || proname || '(%') ORDER BY proname COLLATE "C";
-- and is documented; what is documented besides is the owner's, or an aggregate
\set documented `cd "${PG_ABS_SRCDIR:-.}" && cat README.md doc/*.md 2>/dev/null | grep -oE '\bairun_[a-z_]+\(' | tr -d '(' | sort -u | paste -sd ,`
SELECT proname FROM shown WHERE has_function_privilege('regress_airun_authenticated', oid, 'EXECUTE') AND proname <> ALL (string_to_array(:'documented', ','));
SELECT p.proname, has_function_privilege('regress_airun_authenticated', p.oid, 'EXECUTE') AS may
FROM pg_proc p WHERE p.proname = ANY (string_to_array(:'documented', ',')) AND p.proname NOT IN
	(SELECT proname FROM shown WHERE has_function_privilege('regress_airun_authenticated', oid, 'EXECUTE')) ORDER BY p.proname COLLATE "C";
-- two functions that take the same keys could not be told apart
SELECT proname, count(*) FROM pg_proc WHERE proname LIKE 'airun%' GROUP BY 1 HAVING count(*) > 1;
SET SESSION AUTHORIZATION regress_airun_authenticator;

-- pages: order, filters and limits go around the call, and the cursor in
CREATE TEMP TABLE page (cursor text);
GRANT ALL ON page TO PUBLIC;
CALL pgrst.request('bob', 'with pgrst_source as (select pgrst_call.* from lateral "public"."airun_list_runs"("page_size" := $1::integer) pgrst_call)
	select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select "name", "message_count" from pgrst_source where "source_type" = $2 order by "name" limit 5) _postgrest_t', '{10,chat}', true, NULL);
BEGIN;
SELECT set_config('role', 'regress_airun_authenticated', true), set_config('request.jwt.claims', '{"sub": "9057e570-0000-4000-8000-0000000000bb"}', true);
INSERT INTO page SELECT cursor FROM airun_list_runs(page_size => 1);
SELECT (SELECT array_agg(name ORDER BY name) FROM airun_list_runs()) =
	(SELECT array_agg(name ORDER BY name) FROM (SELECT name FROM airun_list_runs(page_size => 1)
		UNION ALL SELECT r.name FROM page, airun_list_runs(cursor => page.cursor) r) x);
COMMIT;

--
-- Views
--
-- supabase.from('ai_runs').insert({...}).select().single()
CALL pgrst.request('alice', 'with pgrst_source as (insert into "public"."ai_runs"("id", "name", "source_type")
	select pgrst_body."id", pgrst_body."name", pgrst_body."source_type" from (select $1::json as json_data) pgrst_payload,
	lateral (select "id", "name", "source_type" from json_to_record(pgrst_payload.json_data) as _("id" uuid, "name" text, "source_type" text)) pgrst_body
	returning "public"."ai_runs".*) select coalesce(json_agg(_postgrest_t)->0, ''null'') as body from (select * from pgrst_source as "ai_runs") _postgrest_t',
	'{"{\"id\": \"9057e570-0000-4000-8000-0000000aaaa2\", \"source_type\": \"chat\", \"name\": \"by table\"}"}', false, NULL);
-- every column that the server fills may be null, as a client sends that fills in a form
CALL pgrst.request('alice', 'with pgrst_source as (insert into "public"."ai_runs"("user_id", "source_type", "source_id", "name", "description", "settings", "variable_values", "tags", "metadata",
		"message_count", "task_count", "total_tokens", "total_cost", "status", "is_starred", "is_archived", "created_at", "updated_at", "last_message_at", "active_hour", "id")
	select pgrst_body."user_id", pgrst_body."source_type", pgrst_body."source_id", pgrst_body."name", pgrst_body."description", pgrst_body."settings", pgrst_body."variable_values", pgrst_body."tags", pgrst_body."metadata",
		pgrst_body."message_count", pgrst_body."task_count", pgrst_body."total_tokens", pgrst_body."total_cost", pgrst_body."status", pgrst_body."is_starred", pgrst_body."is_archived", pgrst_body."created_at", pgrst_body."updated_at", pgrst_body."last_message_at", pgrst_body."active_hour", pgrst_body."id"
	from json_populate_record(null::"public"."ai_runs", $1::json) pgrst_body
	returning "public"."ai_runs".*) select coalesce(json_agg(_postgrest_t)->0, ''null'') as body from (select * from pgrst_source as "ai_runs") _postgrest_t',
	'{"{\"name\": \"all null\"}"}', false, NULL);
CALL pgrst.request('alice', 'insert into "public"."ai_runs" ("id", "name") values ($1, $2), ($1, $2) returning (id <> user_id)::text', ARRAY[NULL, 'null again'], false, NULL);
CALL pgrst.request('alice', 'with pgrst_source as (insert into "public"."ai_tasks"
	select pgrst_body.* from json_populate_record(null::"public"."ai_tasks", $1::json) pgrst_body
	returning "public"."ai_tasks".*) select coalesce(json_agg(_postgrest_t)->0, ''null'') as body from (select * from pgrst_source) _postgrest_t',
	'{"{\"run_id\": \"9057e570-0000-4000-8000-0000000aaaa2\", \"task_id\": \"9057e570-0000-4000-8000-0000000000a3\", \"provider\": \"p\"}"}', false, NULL);
CALL pgrst.request('alice', 'with pgrst_source as (insert into "public"."ai_messages"
	select pgrst_body.* from json_populate_recordset(null::"public"."ai_messages", $1::json) pgrst_body
	returning "public"."ai_messages".*) select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select * from pgrst_source) _postgrest_t',
	'{"[{\"run_id\": \"9057e570-0000-4000-8000-0000000aaaa2\", \"message\": {\"role\": \"user\", \"content\": \"1\"}}, {\"run_id\": \"9057e570-0000-4000-8000-0000000aaaa2\", \"task_id\": \"9057e570-0000-4000-8000-0000000000a3\", \"message_id\": \"id2\", \"message\": {\"role\": \"assistant\", \"content\": \"2\"}}]"}', false, NULL);
-- nulls for what a user must say are refused in words
CALL pgrst.request('alice', 'insert into ai_messages (run_id, message) values ($1::uuid, $2::jsonb) returning seq::text', ARRAY[NULL, '{"role": "user", "content": "1"}'], false, NULL);
CALL pgrst.request('alice', 'insert into ai_messages (run_id, message) values ($1::uuid, $2::jsonb) returning seq::text', ARRAY['9057e570-0000-4000-8000-0000000aaaa2', NULL], false, NULL);
CALL pgrst.request('alice', 'insert into ai_tasks (run_id) values ($1::uuid) returning status', ARRAY[NULL::text], false, NULL);
-- supabase.from('ai_runs').update({ is_starred: true }).eq('id', id)
CALL pgrst.request('alice', 'with pgrst_source as (update "public"."ai_runs" set "is_starred" = pgrst_body."is_starred" from (select $1::json as json_data) pgrst_payload,
	lateral (select "is_starred" from json_to_record(pgrst_payload.json_data) as _("is_starred" boolean)) pgrst_body where "public"."ai_runs"."id" = $2 returning "public"."ai_runs"."name", "public"."ai_runs"."is_starred")
	select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select * from pgrst_source) _postgrest_t', '{"{\"is_starred\": true}",9057e570-0000-4000-8000-0000000aaaa2}', false, NULL);
-- the same statement, by somebody else
CALL pgrst.request('bob', 'with pgrst_source as (update "public"."ai_runs" set "is_starred" = pgrst_body."is_starred" from (select $1::json as json_data) pgrst_payload,
	lateral (select "is_starred" from json_to_record(pgrst_payload.json_data) as _("is_starred" boolean)) pgrst_body where "public"."ai_runs"."id" = $2 returning "public"."ai_runs"."name", "public"."ai_runs"."is_starred")
	select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select * from pgrst_source) _postgrest_t', '{"{\"is_starred\": true}",9057e570-0000-4000-8000-0000000aaaa2}', false, NULL);
CALL pgrst.request('alice', 'with pgrst_source as (update "public"."ai_tasks" set "status" = $1, "tokens_total" = $2, "cost" = $3 where "task_id" = $4 returning *)
	select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select * from pgrst_source) _postgrest_t', '{completed,9,0.5,9057e570-0000-4000-8000-0000000000a3}', false, NULL);
-- upsert, one's own and another's
CALL pgrst.request('alice', 'insert into "public"."ai_runs" ("id", "name") values ($1, $2) on conflict ("id") do update set "id" = excluded."id", "name" = excluded."name" returning name', '{9057e570-0000-4000-8000-0000000aaaa2,upserted}', false, NULL);
CALL pgrst.request('alice', 'insert into "public"."ai_runs" ("id", "name") values ($1, $2) on conflict ("id") do update set "id" = excluded."id", "name" = excluded."name" returning name', '{9057e570-0000-4000-8000-0000000aaaa3,inserted}', false, NULL);
CALL pgrst.request('bob', 'insert into "public"."ai_runs" ("id", "name") values ($1, $2) on conflict ("id") do update set "id" = excluded."id", "name" = excluded."name" returning name', '{9057e570-0000-4000-8000-0000000aaaa2,upserted}', false, NULL);
CALL pgrst.request('bob', 'insert into "public"."ai_runs" ("id", "name") values ($1, $2) on conflict ("id") do nothing returning name', '{9057e570-0000-4000-8000-0000000aaaa2,upserted}', false, NULL);
CALL pgrst.request('bob', 'insert into "public"."ai_runs" ("id", "name") values ($1, $2) returning name', '{9057e570-0000-4000-8000-0000000aaaa2,upserted}', false, NULL);
-- GET /ai_runs?select=id,name,messages&user_id=eq....&order=last_message_at.desc&limit=20
CALL pgrst.request('alice', 'with pgrst_source as (select "public"."ai_runs"."name", "public"."ai_runs"."messages" from "public"."ai_runs" where "public"."ai_runs"."user_id" = $1 and "public"."ai_runs"."message_count" > $2
	order by "public"."ai_runs"."last_message_at" desc limit $3) select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select * from pgrst_source) _postgrest_t', '{9057e570-0000-4000-8000-0000000000aa,1,20}', true, NULL);
CALL pgrst.request('alice', 'select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select seq, role, task_id from "public"."ai_messages" where run_id = $1 and role = any ($2) order by seq desc) _postgrest_t', '{9057e570-0000-4000-8000-0000000aaaa2,"{assistant,tool}"}', true, NULL);
CALL pgrst.request('alice', 'select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select name, tags from "public"."ai_run_summaries" where is_archived is not true and name ilike $1 order by name) _postgrest_t', '{upsert%}', true, NULL);
-- ?select=name,ai_messages(seq,role),ai_tasks(status)
CALL pgrst.request('alice', 'select coalesce(json_agg(_postgrest_t), ''[]'') as body from (select "ai_runs"."name", coalesce("m1"."m1", ''[]'') as "ai_messages", coalesce("t1"."t1", ''[]'') as "ai_tasks" from "public"."ai_runs"
	left join lateral (select json_agg("m1") as "m1" from (select "seq", "role" from "public"."ai_messages" where "ai_messages"."run_id" = "ai_runs"."id" order by "seq") as "m1") as "m1" on true
	left join lateral (select json_agg("t1") as "t1" from (select "status", "cost" from "public"."ai_tasks" where "ai_tasks"."run_id" = "ai_runs"."id") as "t1") as "t1" on true
	where "ai_runs"."id" = $1) _postgrest_t', '{9057e570-0000-4000-8000-0000000aaaa2}', true, NULL);
RESET SESSION AUTHORIZATION;
-- relationships, as PostgREST finds them: the foreign keys of the base tables,
-- and views that show the columns of both ends
SELECT k.conname, k.conrelid::regclass, a.attname, k.confrelid::regclass, b.attname
FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
WHERE k.contype = 'f' AND k.connamespace = 'airun'::regnamespace ORDER BY 1;
SELECT view_name, table_schema || '.' || table_name, column_name FROM information_schema.view_column_usage
WHERE view_schema = 'public' AND (table_name, column_name) IN (('runs', 'id'), ('messages', 'run_id'), ('tasks', 'run_id'))
	AND view_name LIKE 'ai\_%' ORDER BY 1, 2;

-- an update computes no messages, nor does a reading that does not ask for them
CREATE FUNCTION pgrst.touches_messages(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
	touches boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || statement LOOP
		touches := touches OR line ~ 'airun\.messages|airun_array|airun_view';
	END LOOP;
	RETURN touches;
END $$;
SELECT pgrst.touches_messages(s), s FROM unnest(ARRAY[
	'UPDATE ai_runs SET is_starred = true WHERE id = ''9057e570-0000-4000-8000-00000000aaaa''',
	'UPDATE ai_runs SET is_starred = true WHERE id = ''9057e570-0000-4000-8000-00000000aaaa'' RETURNING id, name',
	'INSERT INTO ai_runs (name) VALUES (''x'') RETURNING id',
	'SELECT id, name FROM ai_runs WHERE status = ''active'' ORDER BY active_hour DESC LIMIT 20',
	'SELECT * FROM ai_run_summaries',
	'UPDATE ai_runs SET is_starred = true RETURNING messages',
	'SELECT messages FROM ai_runs']) s;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) UPDATE ai_runs SET is_starred = true WHERE id = '9057e570-0000-4000-8000-00000000aaaa';
RESET enable_seqscan;
RESET enable_bitmapscan;

--
-- Errors: code, message, details and hint
--
SET SESSION AUTHORIZATION regress_airun_authenticator;
CALL pgrst.post('anon', 'airun_star_run', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa"}');
CALL pgrst.post('alice', 'airun_star_run', '{"run_id": "9057e570-0000-4000-8000-00000000bbbb"}');
CALL pgrst.post('alice', 'airun_star_run', '{"run_id": null}');
CALL pgrst.post('alice', 'airun_star_run', '{"run_id": "no uuid"}');
CALL pgrst.get('alice', 'airun_get_run', 'run_id=no uuid');
CALL pgrst.post('alice', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-0000000aaaa2", "message": "no object"}');
CALL pgrst.post('alice', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-0000000aaaa2", "message": {"role": "user"}}');
CALL pgrst.post('alice', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-0000000aaaa2", "message": {"role": "user", "content": "\u0000"}}');
CALL pgrst.post('alice', 'airun_append_message', '{"run_id": "9057e570-0000-4000-8000-00000000aaaa", "message": {"role": "user", "content": "x"}}');
CALL pgrst.post('alice', 'airun_complete_task', '{"task_id": "9057e570-0000-4000-8000-0000000000a1", "response_text": "x"}');
CALL pgrst.post('alice', 'airun_complete_task', '{"task_id": "9057e570-0000-4000-8000-00000000000a", "tokens_input": 99}');
CALL pgrst.post('alice', 'airun_list_runs', '{"cursor": "xyz"}');
CALL pgrst.post('alice', 'airun_list_runs', '{"page_size": 0}');
CALL pgrst.request('alice', 'update ai_runs set message_count = 7 returning name', NULL, false, NULL);
CALL pgrst.request('alice', 'update ai_tasks set status = ''pending'' where status = ''error'' returning status', NULL, false, NULL);
CALL pgrst.request('alice', 'delete from ai_runs returning name', NULL, false, NULL);
CALL pgrst.post('bob', 'airun_create_run', '{"user_id": "9057e570-0000-4000-8000-0000000000aa"}');
-- after all these, each is still who they are
CALL pgrst.post('alice', 'airun_user_id', '{}');
CALL pgrst.get('bob', 'airun_list_runs', 'source_type=chat&page_size=1');
RESET SESSION AUTHORIZATION;
SELECT current_user = session_user, coalesce(current_setting('request.jwt.claims', true), '') = '';

-- clean up
DROP TABLE page;
DEALLOCATE ALL;
DELETE FROM airun.runs WHERE user_id::text LIKE '9057e570-%' OR user_id = airun_user_uuid('auth0|carol');
DELETE FROM airun.calls WHERE user_id::text LIKE '9057e570-%';
DROP SCHEMA pgrst CASCADE;
DROP OWNED BY regress_airun_anon, regress_airun_authenticated, regress_airun_service, regress_airun_authenticator;
DROP ROLE regress_airun_anon, regress_airun_authenticated, regress_airun_service, regress_airun_authenticator;
\pset format aligned
\pset tuples_only off
SELECT * FROM airun_check();

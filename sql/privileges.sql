--
-- Who may call what, and what comes of it: every function, view and table of
-- airun, on Ann's run, by the store's owner (an ordinary role), by Ann, Bob,
-- nobody, somebody whose claims cannot be read, a service that row security
-- does not bind, a role that was granted nothing, a reporter and an operator.  Then the same again with
-- everything hijacked that a path can hijack, and for one who may only read.
-- A database of its own, so that the store's owner is no superuser.  A superuser
-- installs the extension, or in privileges_owner, which reads this file, the
-- store's owner.
--
\if :{?owner_installs} \else
\set owner_installs false
\endif
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
\set original :DBNAME
CREATE DATABASE contrib_regression_privileges;
\c contrib_regression_privileges
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE ROLE regress_airun_owner;
CREATE ROLE regress_airun_user;
CREATE ROLE regress_airun_service BYPASSRLS;
CREATE ROLE regress_airun_stranger;
CREATE ROLE regress_airun_reporter;
CREATE ROLE regress_airun_operator;
GRANT CREATE ON DATABASE contrib_regression_privileges TO regress_airun_owner;
GRANT USAGE, CREATE ON SCHEMA public TO regress_airun_owner WITH GRANT OPTION;
\if :owner_installs
SET ROLE regress_airun_owner;
CREATE EXTENSION airun SCHEMA public;
\else
CREATE EXTENSION airun SCHEMA public;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO regress_airun_owner WITH GRANT OPTION;
SET ROLE regress_airun_owner;
\endif
SELECT split_part(airun_install(), E'\n', 1);
SELECT airun_grant('regress_airun_user'), airun_grant('regress_airun_service'), airun_grant('regress_airun_reporter', 'reporter'), airun_grant('regress_airun_operator', 'operator');
SELECT airun_set_price('p', '{"input": 3}', effective_from => '-infinity') IS NOT NULL;
RESET ROLE;
-- rights of the superuser's that would hide what a function does by itself
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'airun'::regnamespace;

--
-- The calls.  <run>: Ann's; <a>: her task that streams; <b>: one that is
-- overdue; <c>: one that has ended; <gone>: her deleted run; <ann>: she;
-- ==: PostgreSQL's own equality.  All that is hers says "secret".
--
CREATE SCHEMA privileges_test;
GRANT USAGE ON SCHEMA privileges_test TO PUBLIC;
CREATE TABLE privileges_test.calls (number int GENERATED ALWAYS AS IDENTITY, object text, action text, statement text);
INSERT INTO privileges_test.calls (object, action, statement)
SELECT (regexp_match(call, '^airun_[a-z_]+'))[1], 'call', 'SELECT public.' || call FROM unnest(ARRAY[
	'airun_install()',
	'airun_install_original(''privileges_original'')',
	'airun_grant(''regress_airun_stranger'')',
	'airun_check()',
	'airun_check(''<run>'')',
	'airun_user_id()',
	'airun_user_uuid(''somebody'')',
	'airun_uuid()',
	'airun_bucket(''<ann>'')',
	'airun_install_shard(''nobody_at_all'')',
	'airun_install_proxy(''{}'')',
	'airun_shards()',
	'airun_json(''{}'')',
	'airun_call(''{"airun_user_id": {}}'')',
	'airun_message_text(''{"content": "x"}'')',
	'airun_request(NULL, NULL, NULL)',
	'airun_normalize_usage(''{}'')',
	'airun_is_overdue(''pending'', ''-infinity'', ''1 s'')',
	'airun_array_agg(''1'')',
	'airun_array_in_order(''1'', 1)',
	'airun_array_add(NULL, ''1'')',
	'airun_array_add_at(NULL, ''1'', 1)',
	'airun_array_result(NULL)',
	'airun_sketch_bin(1)',
	'airun_sketch_agg(1::pg_catalog.int2, 1)',
	'airun_sketch_sum(NULL)',
	'airun_sketch_add(NULL, NULL, NULL)',
	'airun_sketch_add_sketch(NULL, NULL)',
	'airun_sketch_result(NULL)',
	'airun_sketch_merge(''\x010002'', NULL)',
	'airun_sketch_quantile(''\x010002'', 0.5)',
	'airun_cost(''p'', ''{"input": 1}'')',
	'airun_usage(''-infinity'', ''infinity'')',
	'airun_usage(''-infinity'', ''infinity'', ''hour'', ''Europe/Berlin'', ''{user_id,service}'')',
	'airun_usage_page()',
	'airun_cost_details(''p'', ''{"input": 1}'')',
	'airun_set_price(''p'', ''{"input": 1}'')',
	'airun_import_prices(''{"n": {"litellm_provider": "x", "input_cost_per_token": 1}}'')',
	'airun_meter(''<call>'', model_id => ''secret'', metadata => ''{"secret": 6}'')',
	'airun_meter(model_id => ''x'')',
	'airun_start_call(''<call>'')',
	'airun_start_call(model_id => ''x'')',
	'airun_end_call(''<call>'')',
	'airun_expire_calls()',
	'airun_rollup()',
	'airun_check_usage()',
	'airun_set_budget(''b'', 1)',
	'airun_credit_budget(''b'', 1)',
	'airun_check_budgets()',
	'airun_budget_status()',
	'airun_budget_check(run_id => ''<run>'')',
	'airun_rebuild_usage()',
	'airun_reprice()',
	'airun_reprice(all_tasks => true)',
	'airun_purge_runs(''infinity'')',
	'airun_partition()',
	'airun_add_partitions()',
	'airun_drop_partitions(''infinity'')',
	'airun_prune()',
	'airun_erase_user(''<ann>'')',
	'airun_create_run()',
	'airun_create_run(id => ''<run>'')',
	'airun_create_run(id => ''<gone>'', user_id => ''<ann>'')',
	'airun_create_run(user_id => ''<ann>'')',
	'airun_get_run(''<run>'')',
	'airun_get_run(''<run>'', 1, true)',
	'airun_get_run(''<gone>'')',
	'airun_export(''<run>'')',
	'airun_context(''<run>'')',
	'airun_export_user(''<ann>'')',
	'airun_export(''<run>'', ''airun'')',
	'airun_import(''[]'')',
	'airun_import_tables(''airun.runs'')',
	'airun_list_runs()',
	'airun_list_runs(''secret'', search => ''SECRET'', tag => ''secret'', starred => false, status => ''active'')',
	'airun_search(''secret'')',
	'airun_search(''secret'', run_id => ''<run>'', sort => ''newest'')',
	'airun_update_run(''<run>'', name => ''x'')',
	'airun_star_run(''<run>'')',
	'airun_toggle_star(''<run>'')',
	'airun_archive_run(''<run>'')',
	'airun_set_run_status(''<run>'', ''completed'')',
	'airun_delete_run(''<run>'')',
	'airun_delete_run(''<gone>'')',
	'airun_restore_run(''<gone>'')',
	'airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'')',
	'airun_append_message(''<run>'', ''{"role": "user", "content": "secret", "id": "m1"}'')',
	'airun_append_message(''<run>'', ''{"role": "user", "content": "x", "id": "m1"}'')',
	'airun_append_messages(''<run>'', ''[{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]'')',
	'airun_save_message(''<run>'', ''{"role": "user", "content": "x"}'', ''m1'')',
	'airun_save_message(''<run>'', ''{"role": "user", "content": "x"}'', ''new'')',
	'airun_save_messages(''<run>'', ''[{"role": "user", "content": "x", "id": "m1"}]'')',
	'airun_edit_message(''<run>'', 1, ''{"role": "user", "content": "x"}'')',
	'airun_fork_run(''<run>'', 1)',
	'airun_run_forks(''<run>'')',
	'airun_truncate_messages(''<run>'', 0)',
	'airun_message_versions(''<run>'')',
	'airun_messages(''<run>'')',
	'airun_messages(''<run>'', 0, 9, 1, true)',
	'airun_create_task(''<run>'')',
	'airun_create_task(''<run>'', ''<a>'')',
	'airun_create_task(''<run>'', model_id => ''p'', request_data => ''{"messages": [{"role": "user", "content": "secret"}]}'', timeout => ''1 h'')',
	'airun_update_task(''<a>'', ''secret text, and more'')',
	'airun_update_task(''<a>'', ''another text'', ''{}'', ''<run>'')',
	'airun_stream_delta(''<a>'', ''x'')',
	'airun_stream_delta(''<a>'', ''x'', 11, ''<run>'')',
	'airun_stream_read(''<a>'')',
	'airun_stream_read(''<a>'', 3, ''100 years'', 0, ''<run>'')',
	'airun_heartbeat_task(''<a>'')',
	'airun_heartbeat_task(''<b>'', ''<run>'')',
	'airun_expire_tasks()',
	'airun_complete_task(''<a>'')',
	'airun_complete_task(''<a>'', ''all of it'', ''{"prompt_tokens": 3}'', run_id => ''<run>'')',
	'airun_complete_task(''<c>'')',
	'airun_fail_task(''<a>'', ''{"x": 1}'')',
	'airun_fail_task(''<b>'', run_id => ''<run>'')',
	'airun_cancel_task(''<a>'')',
	'airun_cancel_task(''<b>'', run_id => ''<run>'')',
	'airun_start_turn(''<run>'', ''{"role": "user", "content": "x"}'')',
	'airun_start_turn(''<run>'', task_id => ''<a>'')',
	'airun_start_turn(task_id => ''<b>'')',
	'airun_start_turn(run => ''{"id": "<run>"}'')',
	'airun_start_turn(run => ''{"user_id": "<ann>"}'')',
	'airun_finish_turn(''<a>'', ''{"role": "assistant", "content": "x"}'', usage => ''{"prompt_tokens": 3}'')',
	'airun_finish_turn(''<a>'', response_text => ''x'', run_id => ''<run>'')',
	'airun_sees_run(''<run>'')',
	'airun_writes_run(''<run>'')',
	'airun_price_changed()', 'airun_guard_usage_shape()', 'airun_usage_shapes_changed()',
	'airun_guard_run()', 'airun_guard_message()', 'airun_guard_task()',
	'airun_roll_up_messages()', 'airun_roll_up_tasks()', 'airun_roll_up_calls()', 'airun_budgets_changed()',
	'airun_view_message()', 'airun_view_task()',
	'airun_original_run()', 'airun_original_task()']) WITH ORDINALITY u (call, o) ORDER BY o;
INSERT INTO privileges_test.calls (object, action, statement)
SELECT relation, action, CASE action
	WHEN 'SELECT' THEN format('SELECT * FROM %s WHERE %s', relation, condition)
	WHEN 'INSERT' THEN format('INSERT INTO %s %s RETURNING *', relation, new)
	WHEN 'UPDATE' THEN format('UPDATE %s SET %s WHERE %s RETURNING *', relation, change, condition)
	ELSE format('DELETE FROM %s WHERE %s RETURNING *', relation, condition) END
FROM (VALUES
	('public.ai_runs', 'id == ''<run>''', 'name = ''x''', '(name) VALUES (''x'')'),
	('public.ai_run_summaries', 'id == ''<run>''', 'name = ''x''', '(name) VALUES (''x'')'),
	('public.ai_messages', 'run_id == ''<run>''', 'message = ''{"role": "user", "content": "x"}''', '(run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')'),
	('public.ai_tasks', 'task_id == ''<b>''', 'service = ''x''', '(run_id) VALUES (''<run>'')'),
	('public.ai_calls', 'id == ''<call>''', 'cost = 0', '(kind) VALUES (''call'')'),
	('public.ai_unpriced_models', 'model_id == ''secret''', 'model_id = ''x''', '(model_id) VALUES (''x'')'),
	('public.ai_usage_daily', 'true', 'calls = 7', '(calls) VALUES (7)'),
	('public.ai_usage_by_user', 'true', 'calls = 7', '(calls) VALUES (7)'),
	('public.ai_usage_by_work', 'true', 'calls = 7', '(calls) VALUES (7)'),
	('public.ai_usage_clock', 'true', 'calls = 7', '(calls) VALUES (7)'),
	('public.ai_runs_summary', 'id == ''<run>''', 'name = ''x''', '(name) VALUES (''x'')'),
	('public.ai_tasks_analytics', 'true', 'total_cost = 0', '(total_cost) VALUES (0)'),
	('airun.runs', 'id == ''<run>''', 'name = ''x''', '(name, user_id) VALUES (''x'', ''<ann>'')'),
	('airun.messages', 'run_id == ''<run>''', 'message = ''{"role": "user", "content": "x"}''', '(run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')'),
	('airun.message_versions', 'run_id == ''<run>''', 'version = 7', '(run_id, seq, version, created_at, action, message) VALUES (''<run>'', 1, 9, ''2026-01-01'', ''replaced'', ''{}'')'),
	('airun.tasks', 'task_id == ''<b>''', 'status = ''completed'', tokens_total = 3', '(run_id, status, cost) VALUES (''<run>'', ''completed'', 5)'),
	('airun.task_chunks', 'task_id == ''<a>''', 'chunk = ''x''', '(run_id, task_id, hash, chars, bytes, generation, chunk) VALUES (''<run>'', ''<a>'', 0, 12, 12, 0, ''x'')'),
	('airun.calls', 'id == ''<call>''', 'cost = 0', '(kind) VALUES (''call'')'),
	('airun.prices', 'model == ''p''', 'rates = ''{}''', '(model, rates) VALUES (''q'', ''{}'')'),
	('airun.price_book', 'is_only', 'version = public.airun_uuid()', '(is_only, version) VALUES (false, public.airun_uuid())'),
	('airun.usage_tail', 'charge_id == ''<c>''', 'calls = 7', '(at, charge_id, kind, status, price_status, calls, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output) VALUES (''2026-01-01'', ''<c>'', ''task'', ''completed'', ''priced'', 1, 1, 1, 1, 1)'),
	('airun.usage_ledger', 'charge_id == ''<c>''', 'calls = 7', '(at, charge_id, kind, status, price_status, calls, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output) VALUES (''2026-01-01'', ''<c>'', ''task'', ''completed'', ''priced'', 1, 1, 1, 1, 1)'),
	('airun.usage_clock', 'true', 'calls = 7', '(quarter, kind, status, price_status) VALUES (''2026-01-01'', ''task'', ''completed'', ''priced'')'),
	('airun.usage_daily', 'true', 'calls = 7', '(day, zone, kind, status, price_status) VALUES (''2026-01-01'', ''UTC'', ''task'', ''completed'', ''priced'')'),
	('airun.usage_people', 'true', 'calls = 7', '(day, zone, kind, user_id) VALUES (''2026-01-01'', ''UTC'', ''task'', ''<ann>'')'),
	('airun.usage_work', 'true', 'calls = 7', '(day, zone, kind, status) VALUES (''2026-01-01'', ''UTC'', ''task'', ''completed'')'),
	('airun.budgets', 'true', 'amount = 7', '(id, name, scope, measure, amount, period, zone, anchor, mode, warn_at, unpriced, show_amounts, slots) VALUES (7, ''c'', ''all'', ''cost'', 7, ''none'', ''UTC'', 0, ''soft'', ''{}'', ''allow'', true, 1)'),
	('airun.budget_periods', 'true', 'quota = 7', '(id, budget_id, slot, value, period_key) VALUES (7, 7, 0, '''', '''')'),
	('airun.budget_events', 'true', 'used = 7', '(budget_id, at, value, period_key, warn_at, amount, used) VALUES (7, ''2026-01-01'', '''', '''', 1, 1, 1)'),
	('airun.usage_shapes', 'shape == ''s''', 'paths = ''{"input": "x"}''', '(shape, known_by, paths) VALUES (''t'', ''{x}'', ''{"input": "x"}'')'),
	('airun.retention', 'true', 'age = ''1 day''', '(kind, source_type, age) VALUES (''call'', ''none'', ''1 year'')'),
	('airun.usage_build', 'true', 'run_id = charge_id', '(kind, run_id, charge_id) VALUES (''task'', ''<run>'', ''<c>'')'),
	('airun.worker_status', 'true', 'rows = 7', '(step) VALUES (''x'')')) v (relation, condition, change, new),
	unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) action;
-- and what streams, by the other doors
INSERT INTO privileges_test.calls (object, action, statement)
SELECT 'airun.tasks', action, statement FROM (VALUES
	('UPDATE', 'UPDATE public.ai_tasks SET status = ''completed'' WHERE task_id == ''<a>'' RETURNING *'),
	('UPDATE', 'UPDATE public.ai_tasks SET response_text = ''x'' WHERE task_id == ''<a>'' RETURNING *'),
	('UPDATE', 'UPDATE airun.tasks SET status = ''cancelled'' WHERE task_id == ''<a>'' RETURNING *'),
	('UPDATE', 'UPDATE airun.tasks SET response_text = ''x'' WHERE task_id == ''<a>'' RETURNING *'),
	('DELETE', 'DELETE FROM airun.tasks WHERE task_id == ''<a>'' RETURNING *'),
	('INSERT', 'INSERT INTO public.ai_tasks (run_id, status, response_text, usage, model_id) VALUES (''<run>'', ''completed'', ''x'', ''{"prompt_tokens": 3}'', ''p'') RETURNING *'),
	('INSERT', 'INSERT INTO airun.tasks (run_id, status, response_text) VALUES (''<run>'', ''streaming'', ''x'') RETURNING *')) v (action, statement);

-- nothing is forgotten: what the extension and the store have and the calls have not, or the other way round
(SELECT p.proname::text, 'call' FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'airun'
		AND p.proname NOT LIKE 'airun\_store\_%'	-- lists of what the store is made of, for everybody
		AND p.prokind <> 'p'	-- what runs in no transaction: sql/work.sql
UNION SELECT format('%s.%s', relnamespace::regnamespace, relname), a FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) a
	WHERE relkind NOT IN ('i', 'I', 't', 'c') AND relnamespace IN ('airun'::regnamespace, 'public'::regnamespace))
EXCEPT SELECT object, action FROM privileges_test.calls;
SELECT object FROM privileges_test.calls WHERE action = 'call' EXCEPT SELECT proname FROM pg_proc;

--
-- Everything that is there, and nothing of it in plain sight
--
CREATE FUNCTION privileges_test.fill(statement text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT replace(replace(replace(replace(replace(replace(replace(replace(statement,
		'<call>', '0acce551-0000-4000-8000-00000000ca11'),
		'<run>', '0acce551-0000-4000-8000-00000000aaaa'), '<gone>', '0acce551-0000-4000-8000-0000000aaaa0'),
		'<a>', '0acce551-0000-4000-8000-00000000000a'), '<b>', '0acce551-0000-4000-8000-00000000000b'),
		'<c>', '0acce551-0000-4000-8000-00000000000c'), '<ann>', '0acce551-0000-4000-8000-0000000000aa'),
		'==', 'OPERATOR(pg_catalog.=)')
$$;
CREATE FUNCTION privileges_test.be(who text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', CASE
			WHEN who IN ('ann', 'stranger') THEN '{"sub": "0acce551-0000-4000-8000-0000000000aa"}'
			WHEN who = 'bob' THEN '{"sub": "0acce551-0000-4000-8000-0000000000bb"}'
			WHEN who = 'carl' THEN '{"sub": "0acce551-0000-4000-8000-0000000000cc"}'
			WHEN who = 'nobody' THEN '{"role": "anonymous"}'
			WHEN who = 'broken' THEN '{"sub": "0acce551-0000-4000-8000-0000000000aa"' ELSE '' END, false),
		-- which claims, whatever they say, go before
		set_config('airun.user_id', CASE WHEN who IN ('nobody', 'broken') THEN '0acce551-0000-4000-8000-0000000000aa' ELSE '' END, false),
		set_config('role', 'regress_airun_' || CASE WHEN who IN ('owner', 'service', 'stranger', 'reporter', 'operator') THEN who ELSE 'user' END, false);
END $$;
-- a digest of all of Ann's and of the prices, whoever asks
CREATE FUNCTION privileges_test.anns() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT md5(jsonb_build_array(
		(SELECT jsonb_agg(to_jsonb(r) ORDER BY id) FROM airun.runs r WHERE user_id = '0acce551-0000-4000-8000-0000000000aa'
			OR id IN ('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-0000000aaaa0')),
		(SELECT jsonb_agg(to_jsonb(m) ORDER BY run_id, seq) FROM airun.messages m
			WHERE run_id IN ('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-0000000aaaa0')),
		(SELECT jsonb_agg(to_jsonb(t) ORDER BY run_id, task_id) FROM airun.tasks t
			WHERE run_id IN ('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-0000000aaaa0')),
		(SELECT jsonb_agg(to_jsonb(v) ORDER BY run_id, seq, version) FROM airun.message_versions v
			WHERE run_id IN ('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-0000000aaaa0')),
		(SELECT jsonb_agg(to_jsonb(c) ORDER BY run_id, task_id, chars) FROM airun.task_chunks c),
		(SELECT jsonb_agg(to_jsonb(c) ORDER BY id) FROM airun.calls c WHERE user_id = '0acce551-0000-4000-8000-0000000000aa'),
		(SELECT jsonb_agg(to_jsonb(p) ORDER BY price_id) FROM airun.prices p),
		(SELECT jsonb_agg(to_jsonb(b) ORDER BY is_only) FROM airun.price_book b))::text)
$$;
-- all of everybody's
CREATE FUNCTION privileges_test.all_rows() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT md5(concat((SELECT string_agg(r::text, '' ORDER BY id) FROM airun.runs r),
		(SELECT string_agg(m::text, '' ORDER BY run_id, seq) FROM airun.messages m),
		(SELECT string_agg(t::text, '' ORDER BY run_id, task_id) FROM airun.tasks t),
		(SELECT string_agg(v::text, '' ORDER BY run_id, seq, version) FROM airun.message_versions v),
		(SELECT string_agg(c::text, '' ORDER BY run_id, task_id, chars) FROM airun.task_chunks c),
		(SELECT string_agg(c::text, '' ORDER BY id) FROM airun.calls c),
		(SELECT string_agg(p::text, '' ORDER BY price_id) FROM airun.prices p),
		(SELECT string_agg(b::text, '' ORDER BY is_only) FROM airun.price_book b)))
$$;
SELECT privileges_test.be('ann');
SELECT count(*) FROM airun_create_run('secret', '0acce551-0000-4000-8000-00000000dead', 'secret name', 'secret description', '{"secret": 1}', '{"secret": 2}',
	'{secret}', '{"secret": 3}', '0acce551-0000-4000-8000-00000000aaaa');
SELECT seq FROM airun_append_message('0acce551-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "secret before", "id": "m1"}');
SELECT seq FROM airun_save_message('0acce551-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "secret", "id": "m1"}');
SELECT status FROM airun_create_task('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-00000000000a', 'secret', 'secret', 'secret', 'secret', 'secret',
	'{"messages": [{"role": "user", "content": "secret", "id": "m1"}]}', '{"secret": 4}');
SELECT status FROM airun_update_task('0acce551-0000-4000-8000-00000000000a', 'secret text', '{"secret": 5}');
SELECT status FROM airun_start_call('0acce551-0000-4000-8000-00000000ca11', model_id => 'secret', metadata => '{"secret": 6}');
SELECT status FROM airun_create_task('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-00000000000b', timeout => '1 us');
SELECT status FROM airun_create_task('0acce551-0000-4000-8000-00000000aaaa', '0acce551-0000-4000-8000-00000000000c', model_id => 'secret');
SELECT status FROM airun_complete_task('0acce551-0000-4000-8000-00000000000c', 'secret answer', '{"prompt_tokens": 7}');
SELECT count(*) FROM airun_create_run('secret', name => 'secret and gone', id => '0acce551-0000-4000-8000-0000000aaaa0');
SELECT airun_delete_run('0acce551-0000-4000-8000-0000000aaaa0');
SELECT privileges_test.be('bob');
SELECT count(*) FROM airun_create_run(name => 'Bob''s', id => '0acce551-0000-4000-8000-00000000bbbb');
RESET ROLE;

-- What a statement gives: how many rows (of one row, what it is if that is
-- short, else "ok") or an SQLSTATE; with * where something of Ann's has
-- changed.  answer: all that was said, in rows or in an error.  It is undone.
CREATE TABLE privileges_test.cells (variant text, number int, actor text, cell text, answer text);
CREATE FUNCTION privileges_test.cell(actor text, call text, path text, OUT cell text, OUT answer text) LANGUAGE plpgsql AS $$
DECLARE
	before text := privileges_test.anns();
	command text := 'WITH x AS (' || privileges_test.fill(call) || ') SELECT pg_catalog.count(*), pg_catalog.string_agg(x::pg_catalog.text, ''; '') FROM x';
	count bigint;
	detail text;
	hint text;
	context text;
BEGIN
	BEGIN
		PERFORM privileges_test.be(actor);
		PERFORM set_config('search_path', path, true);
		EXECUTE command INTO count, answer;
		PERFORM pg_catalog.set_config('search_path', 'public', true);
		cell := CASE WHEN count <> 1 THEN count::pg_catalog.text WHEN length(answer) > 8 THEN 'ok' ELSE trim(answer, '()') END;
		IF privileges_test.anns() <> before THEN
			cell := cell || '*';
		END IF;
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		RETURN;
	END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	-- who calls a function with an argument of type internal is refused with the one
	-- or the other, as the minor version will have it; and whether rights or policies, which
	-- read the claims, are looked at first is the major version's
	cell := CASE WHEN SQLSTATE = '0A000' AND call ~ 'airun_(array|sketch)_(add|add_at|add_sketch|result)\(' THEN '42883'
		WHEN SQLSTATE = 'PT401' AND call ~ '^(UPDATE|DELETE FROM) airun\.(calls|usage_(tail|ledger|people)) ' THEN '42501' ELSE SQLSTATE END;
	-- the context has our own command
	answer := concat_ws(' | ', SQLERRM, detail, hint, replace(replace(context, command, ''), call, ''));
END $$;

--
-- The matrix
--
SELECT privileges_test.all_rows() AS before \gset
INSERT INTO privileges_test.cells
SELECT 'plain', c.number, a, x.cell, x.answer FROM privileges_test.calls c,
	unnest(ARRAY['owner', 'ann', 'bob', 'nobody', 'broken', 'service', 'stranger', 'reporter', 'operator']) a,
	LATERAL privileges_test.cell(a, c.statement, 'public') x ORDER BY c.number;
\pset fieldsep ' | '
\pset tuples_only off
SELECT owner, ann, bob, nobody, broken, service, stranger, reporter, operator, statement FROM privileges_test.calls
JOIN LATERAL (SELECT max(cell) FILTER (WHERE actor = 'owner') AS owner, max(cell) FILTER (WHERE actor = 'ann') AS ann,
		max(cell) FILTER (WHERE actor = 'bob') AS bob, max(cell) FILTER (WHERE actor = 'nobody') AS nobody,
		max(cell) FILTER (WHERE actor = 'broken') AS broken, max(cell) FILTER (WHERE actor = 'service') AS service,
		max(cell) FILTER (WHERE actor = 'stranger') AS stranger, max(cell) FILTER (WHERE actor = 'reporter') AS reporter,
		max(cell) FILTER (WHERE actor = 'operator') AS operator
	FROM privileges_test.cells c WHERE variant = 'plain' AND c.number = calls.number) x ON true
ORDER BY calls.number;
\pset tuples_only on
-- in words: those whose it is not change nothing of Ann's, and are told nothing of it
SELECT actor, statement, cell FROM privileges_test.cells JOIN privileges_test.calls USING (number)
WHERE actor IN ('bob', 'nobody', 'broken', 'stranger') AND (cell LIKE '%*' OR strpos(lower(answer), 'secret') > 0);
-- nor do reporters and operators change anything, and of hers they are told what reports are made of, and no word
SELECT actor, statement, cell FROM privileges_test.cells JOIN privileges_test.calls USING (number)
WHERE actor IN ('reporter', 'operator') AND (cell LIKE '%*' OR lower(answer) ~ 'secret (before|text|answer|name|description|and gone)|"content"');
-- and there was something to be told
SELECT actor, count(*) > 10 FROM privileges_test.cells WHERE strpos(answer, 'secret') > 0 GROUP BY actor ORDER BY actor;
-- no internal error, and nothing remains of any of it
SELECT actor, statement, answer FROM privileges_test.cells JOIN privileges_test.calls USING (number) WHERE cell IN ('XX000', 'P0001');
SELECT privileges_test.all_rows() = :'before';

--
-- The same with a schema in front that has everything of PostgreSQL's and
-- ours again: each operator and function raises an error when it is called,
-- each type is another one, each table is empty.
--
CREATE FUNCTION privileges_test.make_traps() RETURNS SETOF name LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	-- types of values, with which functions in SQL can be declared
	types oid[] := ARRAY(SELECT oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace
		AND typtype IN ('b', 'r', 'm') AND typcategory NOT IN ('P', 'Z'));
	trap text := 'LANGUAGE plpgsql AS $trap$ BEGIN RAISE EXCEPTION ''hijacked %s''; END $trap$';
	item record;
BEGIN
	CREATE SCHEMA evil;
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
	SET LOCAL check_function_bodies = off;
	FOR item IN
		SELECT oprname, oid, oprleft, oprright, oprresult
		FROM pg_operator WHERE oprright = ANY (types) AND (oprleft = 0 OR oprleft = ANY (types)) AND oprresult = ANY (types)
	LOOP
		EXECUTE format('CREATE FUNCTION evil.op_%s(%s%s) RETURNS %s ' || trap, item.oid,
			CASE WHEN item.oprleft <> 0 THEN format_type(item.oprleft, NULL) || ', ' END, format_type(item.oprright, NULL),
			format_type(item.oprresult, NULL), item.oid::regoperator);
		EXECUTE format('CREATE OPERATOR evil.%s (%s RIGHTARG = %s, FUNCTION = evil.op_%s)', item.oprname,
			CASE WHEN item.oprleft <> 0 THEN 'LEFTARG = ' || format_type(item.oprleft, NULL) || ',' END,
			format_type(item.oprright, NULL), item.oid);
	END LOOP;
	-- functions, aggregates and window functions, and all of ours
	FOR item IN
		SELECT p.proname, oidvectortypes(p.proargtypes) AS types, p.prorettype, p.proretset
		FROM pg_proc p WHERE p.prokind <> 'p' AND p.proargtypes::oid[] <@ types
			AND (p.prorettype = ANY (types) OR p.prorettype = 'record'::regtype OR p.pronamespace = 'public'::regnamespace)
			AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype)
			AND p.pronamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace)
	LOOP
		EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s%s ' || trap, item.proname, item.types,
			CASE WHEN item.proretset THEN 'SETOF ' END, format_type(item.prorettype, NULL), item.proname);
	END LOOP;
	FOR item IN SELECT relname FROM pg_class WHERE relnamespace IN ('pg_catalog'::regnamespace, 'airun'::regnamespace, 'public'::regnamespace) AND relkind IN ('r', 'v') LOOP
		EXECUTE format('CREATE TABLE evil.%I (id int4, run_id int4, task_id int4, oid oid)', item.relname);
	END LOOP;
	FOR item IN SELECT typname FROM pg_type WHERE oid = ANY (types) OR typname LIKE 'ai\_%' AND typtype = 'c' AND typnamespace = 'public'::regnamespace LOOP
		IF to_regtype('evil.' || quote_ident(item.typname)) IS NULL THEN
			EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.point', item.typname);
		END IF;
	END LOOP;
	GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
	RETURN QUERY SELECT oprname FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'evil'::regnamespace;
END $$;
SELECT count(*) > 3000 FROM (SELECT privileges_test.make_traps()) x;
-- the traps work
SELECT count(*) FROM privileges_test.cell('ann', 'SELECT 1 == 2 OR pg_catalog.lower(''a'') < pg_catalog.lower(''b'')', 'evil, pg_catalog, public') WHERE cell = 'P0001';
SELECT count(*) FROM privileges_test.cell('ann', 'SELECT lower(''a''::pg_catalog.text)', 'evil, pg_catalog, public') WHERE cell = 'P0001';
SELECT count(*) FROM privileges_test.cell('ann', 'SELECT ''1''::text', 'evil, pg_catalog, public') WHERE answer ~ 'type point';
INSERT INTO privileges_test.cells
SELECT 'evil', c.number, a, x.cell, x.answer FROM privileges_test.calls c,
	unnest(ARRAY['owner', 'ann', 'bob', 'nobody', 'broken', 'service', 'stranger']) a,
	LATERAL privileges_test.cell(a, c.statement, 'evil, pg_catalog, public') x ORDER BY c.number;
-- each cell is as it was
SELECT p.actor, c.statement, p.cell, e.cell, e.answer FROM privileges_test.cells p JOIN privileges_test.cells e USING (number, actor)
JOIN privileges_test.calls c USING (number)
WHERE p.variant = 'plain' AND e.variant = 'evil' AND p.cell IS DISTINCT FROM e.cell ORDER BY c.number, p.actor;
-- in a new session, where every plan is made under that path from the first,
-- and where a snapshot lasts, which forgetting a person refuses (25001)
\c -
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO privileges_test.cells
SELECT 'evil anew', c.number, a, x.cell, x.answer FROM privileges_test.calls c, unnest(ARRAY['owner', 'ann', 'bob']) a,
	LATERAL privileges_test.cell(a, c.statement, 'evil, pg_catalog, public') x ORDER BY c.number;
COMMIT;
SELECT p.actor, c.statement, p.cell, e.cell, e.answer FROM privileges_test.cells p JOIN privileges_test.cells e USING (number, actor)
JOIN privileges_test.calls c USING (number)
WHERE p.variant = 'plain' AND e.variant = 'evil anew' AND p.cell IS DISTINCT FROM e.cell AND e.cell <> '25001' ORDER BY c.number, p.actor;
-- and with temporary tables and types, which go before PostgreSQL's own where a path does not say otherwise
CREATE FUNCTION privileges_test.make_temporary_traps() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT relname FROM pg_class WHERE relnamespace = 'evil'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('CREATE TEMP TABLE %I (id int4, run_id int4, task_id int4, oid oid)', item.relname);
		EXECUTE format('GRANT ALL ON pg_temp.%I TO PUBLIC', item.relname);
	END LOOP;
	FOR item IN SELECT typname FROM pg_type WHERE typnamespace = 'evil'::regnamespace AND typtype = 'd' LOOP
		EXECUTE format('CREATE DOMAIN pg_temp.%I AS pg_catalog.point', item.typname);
	END LOOP;
END $$;
BEGIN;
SELECT privileges_test.make_temporary_traps();
INSERT INTO privileges_test.cells
SELECT 'temp', c.number, a, x.cell, x.answer FROM privileges_test.calls c,
	pg_catalog.unnest('{owner,ann,bob,service}'::pg_catalog.text[]) a,
	LATERAL privileges_test.cell(a, c.statement, 'public') x ORDER BY c.number;
INSERT INTO privileges_test.cells SELECT 'trap', 0, 'ann', x.* FROM privileges_test.cell('ann', 'SELECT ''1''::text', 'public') x;
COMMIT;
DISCARD TEMP;
SELECT count(*) FROM privileges_test.cells WHERE variant = 'trap' AND answer ~ 'type point';
SELECT p.actor, c.statement, p.cell, e.cell, e.answer FROM privileges_test.cells p JOIN privileges_test.cells e USING (number, actor)
JOIN privileges_test.calls c USING (number)
WHERE p.variant = 'plain' AND e.variant = 'temp' AND p.cell IS DISTINCT FROM e.cell ORDER BY c.number, p.actor;
SELECT privileges_test.all_rows() = :'before';
-- so far nobody else was told anything
SELECT variant, count(*) > 200, count(*) FILTER (WHERE strpos(lower(answer), 'secret') > 0 AND actor NOT IN ('owner', 'ann', 'service'))
FROM privileges_test.cells WHERE variant <> 'trap' GROUP BY variant ORDER BY variant;

--
-- One who may read Ann's run by a policy of the site, whatever it is called
--
CREATE POLICY site_readers ON airun.runs FOR SELECT USING (airun_user_id() = '0acce551-0000-4000-8000-0000000000cc');
INSERT INTO privileges_test.cells
SELECT 'reader', c.number, 'carl', x.cell, x.answer FROM privileges_test.calls c, privileges_test.cell('carl', c.statement, 'public') x ORDER BY c.number;
SELECT cell, string_agg(DISTINCT CASE action WHEN 'call' THEN object ELSE action || ' ' || object END, ', ')
FROM privileges_test.cells JOIN privileges_test.calls USING (number) WHERE variant = 'reader' GROUP BY cell ORDER BY cell COLLATE "C";
-- Bob is as before
SELECT c.statement, p.cell, x.cell FROM privileges_test.cells p JOIN privileges_test.calls c USING (number), privileges_test.cell('bob', c.statement, 'public') x
WHERE p.variant = 'plain' AND p.actor = 'bob' AND p.cell <> x.cell ORDER BY c.number;
-- a name that begins like those of ours makes it none of ours
ALTER POLICY site_readers ON airun.runs RENAME TO airun_owner_or_reader;
SELECT c.statement, p.cell, x.cell FROM privileges_test.cells p JOIN privileges_test.calls c USING (number), privileges_test.cell('carl', c.statement, 'public') x
WHERE p.variant = 'reader' AND p.cell <> x.cell ORDER BY c.number;
DROP POLICY airun_owner_or_reader ON airun.runs;
-- nor does one on tasks that takes a right away
CREATE POLICY airun_locked ON airun.tasks AS RESTRICTIVE FOR UPDATE USING (service <> 'secret');
SELECT c.statement, x.cell FROM privileges_test.calls c, privileges_test.cell('ann', c.statement, 'public') x
WHERE statement ~ '<a>' AND x.cell LIKE '%*' AND c.statement !~ '^(INSERT|DELETE)' ORDER BY c.number;
DROP POLICY airun_locked ON airun.tasks;
SELECT privileges_test.all_rows() = :'before';

--
-- Prices that not everybody sees, a-b-a in one session
--
CREATE FUNCTION privileges_test.costs() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	who text;
BEGIN
	FOREACH who IN ARRAY '{owner,ann,owner,service,bob,ann,owner}'::text[] LOOP
		PERFORM privileges_test.be(who);
		RETURN NEXT who || ' ' || (SELECT count(*) FROM airun.prices) || ' ' || coalesce(airun_cost('p', '{"input": 1}')::text, 'none');
	END LOOP;
	PERFORM set_config('role', 'none', false);
END $$;
CREATE POLICY site_price ON airun.prices AS RESTRICTIVE FOR SELECT USING (current_user <> 'regress_airun_user');
SELECT string_agg(c, ', ') FROM privileges_test.costs() c;
DROP POLICY site_price ON airun.prices;
SELECT string_agg(c, ', ') FROM privileges_test.costs() c;
-- our own policy, made narrower
ALTER POLICY airun_read ON airun.prices USING (current_user <> 'regress_airun_user');
SELECT string_agg(c, ', ') FROM privileges_test.costs() c;
ALTER POLICY airun_read ON airun.prices USING (true);
ALTER POLICY airun_read ON airun.prices TO regress_airun_owner, regress_airun_stranger;
SELECT string_agg(c, ', ') FROM privileges_test.costs() c;
ALTER POLICY airun_read ON airun.prices TO PUBLIC;

--
-- Claims
--
CREATE FUNCTION privileges_test.who(claims text, setting text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true), set_config('airun.user_id', setting, true);
	RETURN coalesce(airun_user_id()::text, 'nobody');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || left(SQLERRM, 100);
END $$;
SELECT name, privileges_test.who(claims, '0acce551-0000-4000-8000-0000000000bb') FROM (VALUES
	('a key with an escape', '{"\u0073ub": "0acce551-0000-4000-8000-0000000000aa"}'),
	('keys that are not sub', '{"Sub": "0acce551-0000-4000-8000-0000000000aa", "sub ": "x", "su": "y", "": "z", "\u0000sub": "w"}'),
	('twice, then null', '{"sub": "0acce551-0000-4000-8000-0000000000aa", "sub": null}'),
	('twice, then a number', '{"sub": "0acce551-0000-4000-8000-0000000000aa", "sub": 1}'),
	('a number, then again', '{"sub": 1, "sub": "0acce551-0000-4000-8000-0000000000aa"}'),
	('false', '{"sub": false}'),
	('an object', '{"sub": {"sub": "0acce551-0000-4000-8000-0000000000aa"}}'),
	('a string that is JSON', '"{\"sub\": \"0acce551-0000-4000-8000-0000000000aa\"}"'),
	('two objects', '{"sub": "0acce551-0000-4000-8000-0000000000aa"}{}'),
	('a number', '0'),
	('white space around', E' \n{"sub" : "0acce551-0000-4000-8000-0000000000aa" }\t'),
	('a byte order mark', E'\uFEFF{"sub": "0acce551-0000-4000-8000-0000000000aa"}'),
	('a lone surrogate', '{"sub": "\ud800"}'),
	('10 MB beside it', format('{"x": "%s", "sub": "0acce551-0000-4000-8000-0000000000aa"}', repeat('x', 10000000))),
	('100,000 keys', (SELECT '{"sub": "0acce551-0000-4000-8000-0000000000aa", ' || string_agg(format('"%s": %s', i, i), ', ') || '}' FROM generate_series(1, 100000) i)),
	('not closed', '{"sub": "0acce551-0000-4000-8000-0000000000aa", "x": "' || repeat('x', 10000000))) v (name, claims);
SELECT privileges_test.who(format('{"sub": "%s"}', repeat('x', 10000000))) = airun_user_uuid(repeat('x', 10000000))::text AS large_subject,
	privileges_test.who('', repeat('x', 10000000)) = airun_user_uuid(repeat('x', 10000000))::text AS large_setting,
	privileges_test.who('', '0ACCE551-0000-4000-8000-0000000000AA') AS capitals, privileges_test.who('', ' ') = airun_user_uuid(' ')::text AS a_space;
-- a depth that the stack does not hold
SELECT privileges_test.who(repeat('[', 1000000)), privileges_test.who('{"sub": ' || repeat('[', 1000000));
-- what older servers set is not read
BEGIN;
SET LOCAL request.jwt.claim.sub = '0acce551-0000-4000-8000-0000000000aa';
SELECT airun_user_id() IS NULL;
ROLLBACK;
-- the caller is the one of the moment: in a transaction, a savepoint, and back
-- (whose error psql would tell with the place in this file, where another one reads it)
\if :owner_installs \else
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "0acce551-0000-4000-8000-0000000000aa"}';
SELECT airun_user_id();
SAVEPOINT s;
SET LOCAL request.jwt.claims = '{"sub": "0acce551-0000-4000-8000-0000000000bb"}';
SELECT airun_user_id();
SAVEPOINT t;
SET LOCAL request.jwt.claims = '{"sub": ';
SELECT airun_user_id();
ROLLBACK TO t;
SELECT airun_user_id();
ROLLBACK TO s;
SELECT airun_user_id();
SET LOCAL request.jwt.claims = '';
SELECT airun_user_id() IS NULL;
COMMIT;
SELECT airun_user_id() IS NULL;
\endif

--
-- airun's trigger functions on other tables, at any event, and on its own at
-- events that they are not declared for
--
CREATE SCHEMA foreign_tables;
GRANT USAGE, CREATE ON SCHEMA foreign_tables TO regress_airun_user;
CREATE FUNCTION privileges_test.attach(relation text, kind text, call text, fire text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE format('CREATE TRIGGER "0" %s ON %s %s EXECUTE FUNCTION %s()', kind, relation, split_part(call, '|', 1), split_part(call, '|', 2));
	EXCEPTION WHEN OTHERS THEN
		RETURN 'cannot be made: ' || CASE WHEN SQLSTATE = '42501' THEN '42501' ELSE 'not valid' END;
	END;
	EXECUTE fire;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE SQLSTATE WHEN 'UNDO0' THEN 'ran' ELSE SQLSTATE END;
END $$;
CREATE FUNCTION privileges_test.attach_all(schema text, views text) RETURNS TABLE (relation text, event text, call text, result text) LANGUAGE sql AS $$
	SELECT t.relation, w || ' ' || e, l || ' ' || f, privileges_test.attach(s || '.' || t.relation, w || ' ' || e, l || '|public.' || f, privileges_test.fill(CASE e
		WHEN 'INSERT' THEN format('INSERT INTO %s.%s %s', s, t.relation, new)
		WHEN 'UPDATE' THEN format('UPDATE %s.%s SET %s', s, t.relation, change)
		WHEN 'DELETE' THEN format('DELETE FROM %s.%s', s, t.relation)
		ELSE format('TRUNCATE %s.%s', s, t.relation) END))
	FROM (VALUES ('runs', schema, '(name) VALUES (''x'')', 'name = ''y'''),
		('messages', schema, '(run_id, seq, message) VALUES (''<run>'', 2, ''{"role": "user", "content": "x"}'')', 'message = message'),
		('tasks', schema, '(run_id) VALUES (''<run>'')', 'service = ''y'''),
		('task_chunks', schema, '(run_id, task_id, hash, chars, bytes, generation, chunk) VALUES (''<run>'', ''<a>'', 0, 1, 1, 0, ''x'')', 'chunk = ''y'''),
		('prices', schema, '(model, rates) VALUES (''q'', ''{}'')', 'model = ''y'''),
		('ai_messages', views, '(run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')', 'message = message'),
		('ai_tasks', views, '(run_id) VALUES (''<run>'')', 'service = ''y''')) t (relation, s, new, change),
		(VALUES (false, 'BEFORE', 'FOR EACH ROW'), (false, 'BEFORE', 'FOR EACH ROW WHEN (true)'), (false, 'BEFORE', 'FOR EACH STATEMENT'),
			(false, 'AFTER', 'FOR EACH ROW'), (false, 'AFTER', 'FOR EACH STATEMENT'), (false, 'AFTER', 'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT'),
			(false, 'AFTER', 'REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT'),
			(false, 'AFTER', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT'),
			(false, 'AFTER', 'REFERENCING NEW TABLE AS old_rows FOR EACH STATEMENT'), (true, 'INSTEAD OF', 'FOR EACH ROW')) k (of_view, w, l),
		unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) e,
		(SELECT DISTINCT proname FROM pg_proc WHERE prorettype = 'trigger'::regtype AND proname LIKE 'airun\_%') p (f)
	-- what PostgreSQL itself would not make is left out
	WHERE k.of_view = (t.relation LIKE 'ai\_%') AND NOT (e = 'TRUNCATE' AND l <> 'FOR EACH STATEMENT')
		AND NOT (e = 'INSERT' AND l ~ 'OLD TABLE') AND NOT (e = 'DELETE' AND l ~ 'NEW TABLE')
$$;
SET ROLE regress_airun_user;
CREATE TABLE foreign_tables.runs AS TABLE airun.runs WITH NO DATA;
CREATE TABLE foreign_tables.messages AS TABLE airun.messages WITH NO DATA;
CREATE TABLE foreign_tables.tasks AS TABLE airun.tasks WITH NO DATA;
CREATE TABLE foreign_tables.task_chunks AS TABLE airun.task_chunks WITH NO DATA;
CREATE TABLE foreign_tables.prices AS TABLE airun.prices WITH NO DATA;
CREATE VIEW foreign_tables.ai_messages AS TABLE foreign_tables.messages;
CREATE VIEW foreign_tables.ai_tasks AS TABLE foreign_tables.tasks;
RESET ROLE;
INSERT INTO foreign_tables.runs (name) VALUES ('x');
INSERT INTO foreign_tables.messages (seq) VALUES (1);
INSERT INTO foreign_tables.tasks (service) VALUES ('x');
INSERT INTO foreign_tables.task_chunks (chars) VALUES (1);
INSERT INTO foreign_tables.prices (model) VALUES ('x');
-- whom airun_grant() has let in may not
SET ROLE regress_airun_user;
SELECT result, count(*) > 100 FROM privileges_test.attach_all('foreign_tables', 'foreign_tables') GROUP BY result ORDER BY result;
RESET ROLE;
-- who may, gets an error as soon as it fires
SELECT result, count(*) > 100 FROM privileges_test.attach_all('foreign_tables', 'foreign_tables') GROUP BY result ORDER BY result;
-- on airun's own tables it runs where airun_install() declares it, and nowhere else
CREATE TEMP TABLE attached AS SELECT * FROM privileges_test.attach_all('airun', 'public');
SELECT relation, event, regexp_replace(call, '^.* ', '') FROM attached WHERE result = 'ran'
EXCEPT SELECT c.relname, w || ' ' || e, p.proname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid,
	(VALUES (0, 'AFTER'), (2, 'BEFORE'), (64, 'INSTEAD OF')) x (timing, w), (VALUES (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE'), (32, 'TRUNCATE')) y (bit, e)
	WHERE tgtype::int & 66 = timing AND tgtype::int & bit <> 0
ORDER BY 1, 2, 3;
SELECT result, count(*) > 5 FROM attached WHERE result IN ('ran', '39P01') GROUP BY result ORDER BY result;
SELECT DISTINCT result FROM attached WHERE result !~ '^(ran|39P01|PT4..|0A000)$';
DROP TABLE attached;
SELECT privileges_test.all_rows() = :'before';
DROP SCHEMA foreign_tables CASCADE;

--
-- What somebody has made before
--
-- all that airun_install() makes, in words
CREATE FUNCTION privileges_test.catalogue() RETURNS SETOF text LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('%s %s %s', c.oid::regclass, c.relkind, pg_get_userbyid(c.relowner)) FROM pg_class c WHERE c.relnamespace = 'airun'::regnamespace OR c.relname LIKE 'ai\_%' AND c.relnamespace = 'public'::regnamespace
	UNION ALL SELECT format('%s %s', c.oid::regclass, pg_get_viewdef(c.oid)) FROM pg_class c WHERE c.relkind = 'v' AND c.relname LIKE 'ai\_%' AND c.relnamespace = 'public'::regnamespace
	UNION ALL SELECT format('%s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid))
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attnum > 0 AND a.attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'airun'::regnamespace AND relkind = 'r')
	UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
	UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'airun'::regnamespace
	UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'airun'::regnamespace)
	UNION ALL SELECT format('%s %s %s %s', polrelid::regclass, polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
	UNION ALL SELECT format('%s %s %s', p.oid::regprocedure, p.prosrc, p.prosecdef) FROM pg_proc p WHERE p.proname LIKE 'airun\_%' AND p.pronamespace = 'public'::regnamespace
		AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
$$;
CREATE TABLE privileges_test.made AS SELECT c FROM privileges_test.catalogue() c;
CREATE TABLE privileges_test.runs (LIKE airun.runs INCLUDING ALL);
CREATE TABLE privileges_test.messages (LIKE airun.messages INCLUDING ALL);
CREATE TABLE privileges_test.message_versions (LIKE airun.message_versions INCLUDING ALL);
CREATE TABLE privileges_test.tasks (LIKE airun.tasks INCLUDING ALL);
CREATE TABLE privileges_test.task_chunks (LIKE airun.task_chunks INCLUDING ALL);
CREATE TABLE privileges_test.prices (LIKE airun.prices INCLUDING ALL);
CREATE TABLE privileges_test.price_book (LIKE airun.price_book INCLUDING ALL);
GRANT SELECT ON ALL TABLES IN SCHEMA privileges_test TO PUBLIC;
ALTER TABLE privileges_test.runs ALTER id DROP DEFAULT, ALTER user_id DROP DEFAULT;
ALTER TABLE privileges_test.tasks ALTER task_id DROP DEFAULT;
ALTER TABLE privileges_test.prices ALTER price_id DROP DEFAULT;
DROP EXTENSION airun CASCADE;
DROP SCHEMA airun CASCADE;
-- everything made anew, with the traps in front again
BEGIN;
SELECT privileges_test.make_temporary_traps();
SET LOCAL search_path = evil, pg_catalog, public;
\if :owner_installs
SET ROLE regress_airun_owner;
CREATE EXTENSION airun SCHEMA public;
\else
CREATE EXTENSION airun SCHEMA public;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO regress_airun_owner WITH GRANT OPTION;
SET ROLE regress_airun_owner;
\endif
SELECT pg_catalog.split_part(public.airun_install(), E'\n', 1);
SELECT public.airun_grant('regress_airun_user');
RESET ROLE;
COMMIT;
DISCARD TEMP;
DROP SCHEMA evil CASCADE;
(SELECT 'lacks', c FROM privileges_test.made EXCEPT SELECT 'lacks', privileges_test.catalogue())
UNION ALL (SELECT 'has', privileges_test.catalogue() EXCEPT SELECT 'has', c FROM privileges_test.made);
SELECT count(*) > 200 FROM privileges_test.catalogue();
-- tables of somebody else's in a schema of the owner's, like ours to the last
-- column: not taken over, even by one who could
SET ROLE regress_airun_owner;
DROP SCHEMA airun CASCADE;
RESET ROLE;
CREATE SCHEMA airun;
GRANT USAGE, CREATE ON SCHEMA airun TO regress_airun_stranger;
CREATE FUNCTION pg_temp.try_table(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	is_made boolean := false;
BEGIN
	SET LOCAL ROLE regress_airun_stranger;
	EXECUTE format('CREATE TABLE airun.%I (LIKE privileges_test.%I INCLUDING ALL)', name, name);
	SET LOCAL ROLE NONE;
	is_made := true;
	PERFORM airun_install();
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN OTHERS THEN
	RETURN name || CASE WHEN NOT is_made THEN ' could not be made: ' || SQLERRM WHEN SQLSTATE = 'UNDO0' THEN ' taken over'
		WHEN SQLSTATE IN ('42P07', '42501') THEN ' refused' ELSE SQLSTATE END;
END $$;
SELECT pg_temp.try_table(name) FROM unnest(ARRAY['runs', 'messages', 'message_versions', 'tasks', 'task_chunks', 'prices', 'price_book']) name;
-- functions of somebody else's with our names, which a call of ours could mean: what is made means ours
DROP SCHEMA airun CASCADE;
GRANT CREATE ON SCHEMA public TO regress_airun_stranger;
SET ROLE regress_airun_stranger;
CREATE FUNCTION public.airun_uuid(VARIADIC integer[]) RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION public.airun_user_id(VARIADIC integer[]) RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
CREATE FUNCTION public.airun_sees_run(VARIADIC uuid[]) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION public.airun_writes_run(VARIADIC uuid[]) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION public.airun_message_text(anyelement) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
CREATE FUNCTION public.airun_array_agg(VARIADIC jsonb[]) RETURNS jsonb LANGUAGE sql AS 'SELECT ''[]''::jsonb';
CREATE FUNCTION public.airun_is_overdue(text, timestamptz, anyelement) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION public.airun_request(anyelement, anyelement, anyelement) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
CREATE FUNCTION public.airun_grant(text) RETURNS void LANGUAGE sql AS 'SELECT';
SET ROLE regress_airun_owner;
SELECT split_part(airun_install(), E'\n', 1);
RESET ROLE;
(SELECT 'lacks', c FROM privileges_test.made EXCEPT SELECT 'lacks', privileges_test.catalogue())
UNION ALL (SELECT 'has', privileges_test.catalogue() EXCEPT SELECT 'has', c FROM privileges_test.made);
-- before the extension: a function, type or aggregate in its place is not taken for its own
DROP EXTENSION airun CASCADE;
CREATE FUNCTION pg_temp.try_object(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE regress_airun_stranger;
	EXECUTE command;
	RESET ROLE;
	CREATE EXTENSION airun SCHEMA public;
	RETURN 'taken over';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT pg_temp.try_object(o) FROM unnest(ARRAY[
	'CREATE FUNCTION public.airun_user_id() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''',
	'CREATE FUNCTION public.airun_guard_run() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''',
	'CREATE FUNCTION public.airun_sees_run(run_id uuid) RETURNS boolean LANGUAGE sql AS ''SELECT true''',
	'CREATE AGGREGATE public.airun_array_agg(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb)',
	'CREATE TYPE public.ai_message AS (x int)',
	'CREATE DOMAIN public.ai_task_summary AS int',
	'CREATE TABLE public.ai_problem (x int)']) o;

-- for test/run's table
SELECT 'privilege cells', count(*) FROM privileges_test.cells \g (format=unaligned tuples_only=on fieldsep='\t') |cat >> "${AIRUN_PROVEN:-/dev/null}"
\c :original
DROP DATABASE contrib_regression_privileges;
DROP ROLE regress_airun_owner, regress_airun_user, regress_airun_service, regress_airun_stranger, regress_airun_reporter, regress_airun_operator;

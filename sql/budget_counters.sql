--
-- Counters of budgets: scopes and values, periods in any zone, slots, warnings, and
-- what users are told.  The numbers are those of facts/reports-and-budgets.md, F.2.
--
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA counters_test;
SET search_path = counters_test, helpers, public;
SET airun.user_id = 'counters test';
SET helpers.ids = 'b0d9e701-0000-4000-8000';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on
SELECT count(airun_create_run(CASE n WHEN 2 THEN 'action' ELSE 'chat' END, id => run_id(n), tags => CASE n WHEN 1 THEN '{red,green}'::text[] ELSE '{}' END,
	metadata => '{"team": "a", "n": 7}')) FROM generate_series(1, 3) AS n;
SELECT airun_set_price('counters-1', '{"input": 0.001, "output": 0.001}', effective_from => '-infinity') IS NOT NULL;

-- the counters of a budget that is in force: value and period, where it is not the current one; what they hold and have been charged
CREATE FUNCTION stand(budget text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x, '; ' ORDER BY x COLLATE "C") FROM (
		SELECT concat_ws(' ', CASE p.value WHEN airun_user_id()::text THEN 'me' WHEN run_id(1)::text THEN 'run 1' WHEN run_id(2)::text THEN 'run 2' ELSE nullif(p.value, '') END,
			CASE WHEN p.period_key < '2026' AND p.period_key <> '' THEN 'in ' || p.period_key END, 'held', trim_scale(sum(p.held)), 'spent', trim_scale(sum(p.spent)))
		FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
		WHERE b.name = budget AND b.valid_to IS NULL GROUP BY b.id, p.value, p.period_key
		UNION ALL SELECT 'PROBLEM ' || c::text FROM airun_check_budgets() AS c) AS s (x)
$$;
CREATE FUNCTION begin_task(n int, more text DEFAULT '', run int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT attempt(format('SELECT status FROM airun_create_task(%L, %L%s)', run_id(run), task_id(n), ', ' || nullif(more, '')))
$$;
CREATE FUNCTION end_task(n int, tokens int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT attempt(format('SELECT status FROM airun_complete_task(%L, ''x'', usage => ''{"prompt_tokens": 0, "completion_tokens": %s}'')', task_id(n), tokens))
$$;

--
-- Periods (B13 to B15): the label of a time, and where it begins and ends
--
SET timezone = 'UTC';
SELECT v.*, p.* FROM (VALUES ('day', 'Europe/Berlin', 0, '2026-03-29 12:00Z'::timestamptz), ('day', 'Europe/Berlin', 0, '2026-10-25 23:30Z'),
	('day', 'Atlantic/Azores', 0, '2026-10-25 00:30Z'), ('day', 'Atlantic/Azores', 0, '2026-10-25 01:30Z'), ('day', 'Africa/Cairo', 0, '2026-04-23 21:59Z'), ('day', 'Africa/Cairo', 0, '2026-04-23 22:00Z'),
	('day', 'America/Santiago', 0, '2026-09-06 03:59Z'), ('day', 'America/Santiago', 0, '2026-09-06 04:00Z'), ('day', 'UTC', 6, '2026-11-25 05:59Z'), ('day', 'UTC', 6, '2026-11-25 06:00Z'),
	('hour', 'Europe/Berlin', 0, '2026-10-25 00:30Z'), ('hour', 'Europe/Berlin', 0, '2026-10-25 01:30Z'), ('hour', 'Asia/Kathmandu', 0, '2026-10-25 01:30Z'), ('hour', 'America/St_Johns', 0, '2026-10-25 01:30Z'),
	('week', 'UTC', 4, '2026-11-25 23:59Z'), ('week', 'UTC', 4, '2026-11-26 00:00Z'), ('week', 'UTC', 7, '2026-11-29 12:00Z'), ('week', 'UTC', 1, '2026-11-29 12:00Z'), ('week', 'Pacific/Kiritimati', 1, '2026-11-29 12:00Z'),
	('month', 'UTC', 31, '2026-02-27 12:00Z'), ('month', 'UTC', 31, '2026-02-28 12:00Z'), ('month', 'UTC', 31, '2026-03-30 12:00Z'), ('month', 'UTC', 31, '2024-02-29 12:00Z'), ('month', 'UTC', 15, '2026-01-14 12:00Z'),
	('none', 'UTC', 0, '2026-01-14 12:00Z')) AS v (period, zone, anchor, at) CROSS JOIN LATERAL airun_store_period(period, zone, anchor, at) AS p;
-- every half hour of two years is in the period that it should be, which ends where the next one begins
WITH t AS (
	SELECT z.zone, p.* FROM (VALUES ('Europe/Berlin'), ('America/Havana'), ('Africa/Cairo'), ('America/Santiago'), ('Australia/Lord_Howe'), ('America/Nuuk'), ('Atlantic/Azores')) AS z (zone)
	CROSS JOIN generate_series('2026-01-01Z'::timestamptz, '2027-12-31Z', '1 hour') AS g (at)
	CROSS JOIN LATERAL (SELECT g.at, p.*, (g.at AT TIME ZONE z.zone)::date::text AS due FROM airun_store_period('day', z.zone, 0, g.at) AS p) AS p)
SELECT count(*), count(*) FILTER (WHERE period_key <> due OR at < starts_at OR at >= ends_at),
	count(*) FILTER (WHERE next_start <> starts_at AND next_start <> ends_at)
FROM (SELECT *, lead(starts_at) OVER (PARTITION BY zone ORDER BY at) AS next_start FROM t) AS t;

--
-- Scopes: each value has a counter of its own, made when it is first met (B23)
--
SELECT airun_set_budget('b ' || s, 100, scope => s, scope_key => CASE s WHEN 'metadata' THEN 'team' END, measure => 'calls', count_from => 'now') > 0
FROM unnest('{user,source,provider,model,service,task_name,tag,metadata,run}'::text[]) AS s;
SELECT airun_set_budget('b red', 100, scope => 'tag', scope_value => 'red', measure => 'calls', count_from => 'now') > 0,
	airun_set_budget('b one', 100, scope => 'run', scope_value => run_id(1)::text, measure => 'calls', count_from => 'now') > 0,
	airun_set_budget('b n', 100, scope => 'metadata', scope_key => 'n', measure => 'calls', count_from => 'now') > 0;
SELECT begin_task(1, $$service => 's', task_name => 't', provider => 'p', model_id => 'm'$$), begin_task(2, $$metadata => '{"team": "b"}', model_id => 'n'$$, 2);
SELECT id AS fork FROM airun_fork_run(run_id(1)) \gset
SELECT status FROM airun_create_task(:'fork', task_id(3));
SELECT status FROM airun_start_call(task_id(4), source_type => 'title', service => 's', metadata => '{"team": "c"}');
-- B24: a task of two tags counts in both; B25: a fork counts with the run that it comes from
SELECT name, stand(name) FROM airun.budgets WHERE name LIKE 'b %' AND valid_to IS NULL ORDER BY name;
-- B26: what has been changed meanwhile does not matter: the holds decide
SELECT id = run_id(1) FROM airun_update_run(run_id(1), tags => '{blue}', metadata => '{"team": "z"}');
SELECT end_task(1), end_task(2), end_task(3), status FROM airun_end_call(task_id(4));
SELECT name, stand(name) FROM airun.budgets WHERE name IN ('b tag', 'b metadata', 'b red', 'b run') AND valid_to IS NULL ORDER BY name;
SELECT count(airun_set_budget(name, NULL)) FROM airun.budgets WHERE name LIKE 'b %' AND valid_to IS NULL;

--
-- What a budget finds when it begins (B20): the ledger, or where that does not know, the tasks
--
SELECT begin_task(10, $$model_id => 'counters-1', service => 'begins', metadata => '{"job": "j"}'$$), end_task(10, 30), begin_task(11, $$model_id => 'counters-1', service => 'begins', metadata => '{"job": "j"}'$$);
SELECT airun_set_budget('c ' || s, 1000, scope => s, scope_key => CASE s WHEN 'metadata' THEN 'job' END, scope_value => CASE s WHEN 'service' THEN 'begins' WHEN 'tag' THEN 'blue' WHEN 'run' THEN run_id(1)::text WHEN 'metadata' THEN 'j'
		WHEN 'user' THEN airun_user_id()::text END, measure => m) > 0
FROM (VALUES ('service', 'tokens'), ('user', 'cost'), ('tag', 'tokens'), ('run', 'calls'), ('metadata', 'cost')) AS v (s, m);
SELECT name, stand(name) FROM airun.budgets WHERE name LIKE 'c %' AND valid_to IS NULL ORDER BY name;
SELECT end_task(11, 5);
SELECT name, stand(name) FROM airun.budgets WHERE name LIKE 'c %' AND valid_to IS NULL ORDER BY name;
-- B19: another zone begins another row, which counts anew; the old one is kept
SELECT airun_set_budget('c service', 1000, zone => 'Asia/Kathmandu', period => 'day') > 0, stand('c service');
SELECT count(*), count(valid_to) FROM airun.budgets WHERE name = 'c service';
-- the same again changes nothing
SELECT airun_set_budget('c service', 1000) = max(id) FROM airun.budgets;
SELECT count(airun_set_budget(name, NULL)) FROM airun.budgets WHERE name LIKE 'c %' AND valid_to IS NULL;

--
-- A period that has passed while a task was open (B10, B12): as if it had begun some days ago
--
SELECT airun_set_budget('day', 10, measure => 'tokens', period => 'day', count_from => 'now') > 0;
SELECT begin_task(20, $$request_data => '{"max_tokens": 8}'$$), begin_task(21, $$request_data => '{"max_tokens": 8}'$$), stand('day');
UPDATE airun.budget_periods SET period_key = '2020-01-01' WHERE budget_id = (SELECT max(id) FROM airun.budgets);
SELECT begin_task(21, $$request_data => '{"max_tokens": 8}'$$), stand('day');
SELECT attempt(format('SELECT status FROM airun_cancel_task(%L, ''sixteen letters.'')', task_id(20))), end_task(21, 8);
SELECT trim_scale(estimated), period_key < '2026' FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets) ORDER BY 1;
-- what comes late of the old one goes there, too, though it is more than there is
SELECT attempt(format('SELECT tokens_total FROM airun_cancel_task(%L, usage => ''{"prompt_tokens": 12, "completion_tokens": 4}'')', task_id(20))), begin_task(22, $$request_data => '{"max_tokens": 2}'$$),
	begin_task(23, $$request_data => '{"max_tokens": 1}'$$), stand('day');
SELECT end_task(22), airun_set_budget('day', NULL) > 0;

--
-- Slots: the sum counts, whichever slots have it
--
SELECT airun_set_budget('slots', 100, measure => 'tokens', slots => 4, count_from => 'now', warn_at => '{0.5}') > 0;
SELECT begin_task(30, $$request_data => '{"max_tokens": 10}'$$), stand('slots');
SELECT count(*), sum(quota) <= 100 FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets);
-- what another backend would have in its slot
INSERT INTO airun.budget_periods (id, budget_id, value, period_key, slot, base, spent)
SELECT (max(b.id) << 40) + s, max(b.id), '', max(p.period_key), s, 15, 15
FROM airun.budgets AS b JOIN airun.budget_periods AS p ON p.budget_id = b.id AND p.slot = 0 AND b.id = (SELECT max(id) FROM airun.budgets)
CROSS JOIN generate_series(1, 4) AS s WHERE NOT EXISTS (SELECT FROM airun.budget_periods AS o WHERE o.budget_id = b.id AND o.slot = s) GROUP BY s;
SELECT stand('slots'), begin_task(31, $$request_data => '{"max_tokens": 46}'$$), begin_task(32, $$request_data => '{"max_tokens": 45}'$$), begin_task(33, $$request_data => '{"max_tokens": 1}'$$), stand('slots');
SELECT sum(quota) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets);
-- fewer slots, and more again, in the middle of a period
SELECT airun_set_budget('slots', 110, slots => 1) > 0, begin_task(33, $$request_data => '{"max_tokens": 11}'$$), begin_task(33, $$request_data => '{"max_tokens": 10}'$$), stand('slots');
SELECT airun_set_budget('slots', 120, slots => 64) > 0, begin_task(34, $$request_data => '{"max_tokens": 11}'$$), begin_task(34, $$request_data => '{"max_tokens": 10}'$$), stand('slots');
-- more than was held, and then less: no slot lets in what does not fit
SELECT end_task(30, 30), end_task(31), end_task(32, 5), stand('slots'), begin_task(35, $$request_data => '{"max_tokens": 21}'$$), begin_task(35, $$request_data => '{"max_tokens": 20}'$$), stand('slots');
SELECT count(airun_cancel_task(task_id)) FROM airun.tasks WHERE run_id = run_id(1) AND completed_at IS NULL;
SELECT stand('slots'), airun_set_budget('slots', NULL) > 0;

-- what a site has added to the table is honoured: its trigger sees each start and end
CREATE TABLE seen (held numeric, spent numeric);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO counters_test.seen VALUES (trim_scale(NEW.held), trim_scale(NEW.spent)); RETURN NEW; END$$;
SELECT airun_set_budget('site', 100, measure => 'tokens', slots => 4, count_from => 'now', warn_at => '{}') > 0, begin_task(36, $$request_data => '{"max_tokens": 4}'$$), end_task(36, 3);
CREATE TRIGGER site BEFORE UPDATE ON airun.budget_periods FOR EACH ROW EXECUTE FUNCTION see();
SELECT begin_task(37, $$request_data => '{"max_tokens": 5}'$$), end_task(37, 2);
DROP TRIGGER site ON airun.budget_periods;
SELECT begin_task(38, $$request_data => '{"max_tokens": 5}'$$), end_task(38, 2), stand('site'), airun_set_budget('site', NULL) > 0;
TABLE seen;

--
-- Warnings (B46): once a part and period; a jump over two gives both; lowered again, none twice
--
SELECT airun_set_budget('warns', 100, measure => 'tokens', mode => 'soft', count_from => 'now', warn_at => '{0.5,0.8,1,2}') > 0;
CREATE FUNCTION warnings() RETURNS text LANGUAGE sql AS
$$SELECT string_agg(concat_ws(' ', warn_at, amount, trim_scale(used)), '; ' ORDER BY warn_at) FROM airun.budget_events WHERE budget_id = (SELECT max(id) FROM airun.budgets)$$;
SELECT begin_task(40, $$request_data => '{"max_tokens": 49}'$$), warnings();
SELECT begin_task(41, $$request_data => '{"max_tokens": 1}'$$), warnings();
SELECT begin_task(42, $$request_data => '{"max_tokens": 50}'$$), warnings();
-- B47: it never refuses
SELECT end_task(42, 10), begin_task(43, $$request_data => '{"max_tokens": 2000}'$$), warnings(), stand('warns');
SELECT end_task(40), end_task(41), end_task(43), begin_task(44, $$request_data => '{"max_tokens": 90}'$$), warnings(), end_task(44);
-- what has been paid for warns as well
SELECT airun_set_budget('warns', NULL) > 0, airun_set_budget('meters', 100, measure => 'tokens', count_from => 'now') > 0;
SELECT (airun_meter(task_id(45), tokens_input => 50, tokens_output => 45)).tokens_total, warnings();
SELECT airun_set_budget('meters', NULL) > 0;

--
-- What users are told
--
CREATE ROLE regress_airun_counters_user;
CREATE ROLE regress_airun_counters_reporter;
SELECT airun_grant('regress_airun_counters_user'), airun_grant('regress_airun_counters_reporter', 'reporter');
GRANT USAGE ON SCHEMA counters_test, helpers TO PUBLIC;
SELECT airun_set_budget('mine', 1, scope => 'user', count_from => 'now', period => 'day', zone => 'Europe/Berlin') > 0, airun_set_budget('hidden', 1, scope => 'user', measure => 'tokens', count_from => 'now', show_amounts => false) > 0,
	airun_set_budget('all', 500, measure => 'tokens', count_from => 'now', period => 'none') > 0, airun_set_budget('bob', 1, scope => 'user', scope_value => airun_user_uuid('bob')::text) > 0;
SET ROLE regress_airun_counters_user;
SELECT budget, scope, value = airun_user_id()::text, mode, period, starts_at < now(), resets_at > now(), amount, spent, estimated, held, remaining, is_exhausted FROM airun_budget_status();
SELECT budget, value = airun_user_id()::text AS mine, fits, reason, needed, remaining, affordable_output_tokens, resets_at > now() FROM airun_budget_check('counters-1', request_data => '{"max_tokens": 600, "n": 2}');
SELECT budget, fits, reason FROM airun_budget_check('unknown', request_data => '{"max_tokens": 1}', run_id => run_id(1));
SELECT attempt('SELECT airun_budget_check(run_id => airun_uuid())') ~ 'PT404', (SELECT count(*) FROM airun_budget_status('bob')), (SELECT count(*) FROM airun_budget_status('mine'));
-- B44: no amount where the budget does not show it, nor in what a refusal says
RESET ROLE;
SELECT airun_set_budget('mine', 100) > 0;
SET ROLE regress_airun_counters_user;
SELECT hint_of('SELECT airun_start_call(model_id => ''counters-1'')') ~ 'limit|spent|remaining|needed|afford|tokens of output' AS tells, attempt('SELECT airun_start_call(model_id => ''counters-1'')');
-- somebody else sees nothing of it
SET airun.user_id = 'counters other';
SELECT budget, spent FROM airun_budget_status();
SET ROLE regress_airun_counters_reporter;
RESET airun.user_id;
SELECT budget, value IS NULL AS nobody, amount, spent, held, remaining, is_exhausted FROM airun_budget_status();
RESET ROLE;
SET airun.user_id = 'counters test';
SELECT airun_set_budget('hidden', NULL) > 0, begin_task(50, $$model_id => 'counters-1', request_data => '{"max_tokens": 100}'$$), end_task(50, 70), airun_credit_budget('all', 100);
SELECT budget, CASE value WHEN airun_user_id()::text THEN 'me' ELSE value END, amount, trim_scale(spent), trim_scale(held), trim_scale(remaining), is_exhausted FROM airun_budget_status();
-- a counter of a user has a user's id
SELECT attempt($$SELECT airun_credit_budget('mine', 1, 'ann')$$);
SELECT * FROM airun_check_budgets();

--
-- Rows that are never inserted hold nothing: ids that are taken, whatever becomes of them, what an index or a trigger of the site's
-- has skipped, and what was undone
--
SELECT count(airun_set_budget(name, NULL)) > 0 FROM airun.budgets WHERE valid_to IS NULL;
SELECT airun_set_budget('rows', 100, measure => 'calls', count_from => 'now', period => 'none') > 0;
CREATE FUNCTION insert_task(n int, more text DEFAULT '', run int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint) VALUES (%L, %L, ''counters-1'', ''e'') %s', run_id(run), task_id(n), more))
$$;
SELECT insert_task(71), insert_task(71), stand('rows');
SELECT insert_task(71, 'ON CONFLICT DO NOTHING'), insert_task(71, 'ON CONFLICT (run_id, task_id) DO UPDATE SET metadata = ''{"x": 1}'''), stand('rows');
INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint) SELECT run_id(1), task_id(72 + n % 2), 'counters-1', 'e' FROM generate_series(1, 5) AS n ON CONFLICT DO NOTHING;
SELECT stand('rows');
BEGIN;
CREATE UNIQUE INDEX site_unique ON airun.tasks (run_id, endpoint) WHERE endpoint = 'only once';
INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint, metadata) SELECT run_id(1 + n % 2), task_id(74 + n), 'counters-1', 'only once', '{}' FROM generate_series(1, 4) AS n ON CONFLICT DO NOTHING;
SELECT count(*), stand('rows') FROM airun.tasks WHERE endpoint = 'only once';
SAVEPOINT undone;
INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint, metadata) VALUES (run_id(1), task_id(80), 'counters-1', 'e', '{"key": 1}');
SELECT stand('rows');
ROLLBACK TO undone;
SELECT stand('rows');
CREATE FUNCTION skip_some() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.endpoint = 'with another' THEN
		INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint) VALUES (run_id(2), gen_random_uuid(), 'counters-1', 'another'), (run_id(2), gen_random_uuid(), 'counters-1', 'skipped');
	END IF;
	RETURN CASE WHEN new.endpoint <> 'skipped' THEN new END;
END$$;
CREATE TRIGGER skip_some BEFORE INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION skip_some();
INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint) SELECT run_id(1), task_id(80 + n), 'counters-1', CASE n % 2 WHEN 1 THEN 'skipped' ELSE 'with another' END FROM generate_series(1, 4) AS n;
SELECT count(*), stand('rows') FROM airun.tasks WHERE endpoint IN ('with another', 'another', 'skipped');
-- statements within a statement: what has been inserted by then is there
INSERT INTO airun.tasks (run_id, task_id, model_id, endpoint, error) SELECT run_id(1), task_id(85 + 2 * n), 'counters-1', 'outer', to_jsonb(insert_task(86 + 2 * n)) FROM generate_series(1, 3) AS n;
SELECT count(*), stand('rows') FROM airun.tasks WHERE endpoint = 'outer';
ROLLBACK;
SELECT stand('rows');

-- a family of runs has one counter, also when the first of them has been purged; counted anew, too
SELECT airun_set_budget('rows', NULL) > 0, airun_set_budget('family', 2, scope => 'run', measure => 'calls', count_from => 'now', period => 'none') > 0;
SELECT status FROM airun_create_run(id => run_id(91));
SELECT count(airun_fork_run(run_id(91))) FROM generate_series(1, 2);
SELECT attempt(format('SELECT status FROM airun_create_task(%L)', id)) FROM airun.runs WHERE forked_from = run_id(91);
SELECT airun_delete_run(run_id(91)), airun_purge_runs('infinity') > 0, count(*) FROM airun.runs WHERE forked_from = run_id(91);
SELECT attempt(format('SELECT status FROM airun_create_task(%L)', id)) FROM airun.runs WHERE forked_from = run_id(91);
SELECT airun_set_budget('family again', 9, scope => 'run', measure => 'calls', period => 'month') > 0;
SELECT budget, value = run_id(91)::text AS root, spent, held FROM airun_budget_status() WHERE value IN (SELECT r.id::text FROM airun.runs AS r WHERE r.forked_from = run_id(91) UNION SELECT run_id(91)::text) ORDER BY 1;
DELETE FROM airun.runs WHERE forked_from = run_id(91);
-- B14: an offset has one sign in POSIX and another in ISO 8601
SELECT attempt(format('SELECT airun_set_budget(''offset'', 5, period => ''day'', zone => %L)', z)) FROM unnest('{+05:30,-5,5,<+05>-5,""}'::text[]) AS z;

--
-- Forgetting a person: her counters, and those of words that nobody but she has used, are nobody's; the money stays
--
CREATE FUNCTION leftovers(marker text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT 'counter' FROM airun.budget_periods AS p WHERE strpos(p::text, marker) > 0
	UNION ALL SELECT 'event' FROM airun.budget_events AS e WHERE strpos(e::text, marker) > 0
$$;
CREATE VIEW sums AS SELECT b.name, p.period_key, sum(p.spent) AS spent, sum(p.estimated) AS estimated, sum(p.held) AS held, count(*) FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id GROUP BY 1, 2;
SELECT count(airun_set_budget(name, NULL)) FROM airun.budgets WHERE valid_to IS NULL;
BEGIN;
-- a word that was used before its budget began, words of her run, of her task and of her call; others have said some of them, too
SET airun.user_id = 'counters erased';
SELECT count(airun_create_run(id => run_id(n), tags => ARRAY['Padouk tag', 'shared'], metadata => '{"who": "Padouk name"}')) FROM generate_series(61, 62) AS n;
SELECT begin_task(61, $$service => 's'$$, 61), end_task(61, 3);
SELECT airun_set_budget('e ' || s, 1000, scope => s, scope_key => CASE s WHEN 'metadata' THEN 'who' END, measure => 'tokens', period => 'none', count_from => 'period', warn_at => '{0.001}', slots => CASE s WHEN 'tag' THEN 2 ELSE 1 END) > 0
FROM unnest('{user,tag,metadata}'::text[]) AS s;
SELECT begin_task(62, $$request_data => '{"max_tokens": 9}'$$, 62), end_task(62, 9), begin_task(63, $$request_data => '{"max_tokens": 9}', metadata => '{"who": "ours"}'$$, 62), end_task(63, 1);
SELECT (airun_meter(task_id(64), tokens_input => 4, tokens_output => 1, metadata => '{"who": "Padouk call"}')).tokens_total;
SET airun.user_id = 'counters test';
SELECT count(airun_create_run(id => run_id(65), tags => '{shared}', metadata => '{"who": "ours"}'));
SELECT begin_task(65, $$request_data => '{"max_tokens": 2}'$$, 65), end_task(65, 2);
CREATE TEMP TABLE sums_before AS TABLE sums;
CREATE TEMP TABLE events AS SELECT b.name, e.warn_at, e.used FROM airun.budget_events AS e JOIN airun.budgets AS b ON b.id = e.budget_id;
SELECT count(*) FROM leftovers('Padouk');
SELECT is_done, runs, calls FROM airun_erase_user(airun_user_uuid('counters erased'), 60000);
SELECT b.name, CASE WHEN p.value ~ '^erased [0-9a-f-]{36}$' THEN 'erased' WHEN p.value ~ '^[0-9a-f-]{36}$' THEN 'a user' ELSE p.value END AS value, sum(p.spent) AS spent, count(p.only_user) > 0 AS is_hers
FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id WHERE b.name LIKE 'e %' AND (p.value ~ '^(erased|ours|shared)' OR p.value = airun_user_id()::text) GROUP BY b.name, p.value ORDER BY 1, 2, 3;
SELECT DISTINCT regexp_replace(e.value, '[0-9a-f-]{36}$', '') FROM airun.budget_events AS e JOIN airun.budgets AS b ON b.id = e.budget_id WHERE b.name LIKE 'e %' ORDER BY 1;
TABLE sums_before EXCEPT TABLE sums;
TABLE events EXCEPT ALL SELECT b.name, e.warn_at, e.used FROM airun.budget_events AS e JOIN airun.budgets AS b ON b.id = e.budget_id;
SELECT * FROM airun_check_budgets();
SELECT leftovers('Padouk');
SELECT leftovers(airun_user_uuid('counters erased')::text);
SELECT count(*) > 1 FROM leftovers('shared');
-- the word begins anew, with whoever says it
SELECT count(airun_update_run(run_id(65), tags => ARRAY['Padouk tag'])), begin_task(66, $$request_data => '{"max_tokens": 700}'$$, 65), end_task(66, 1);
SELECT sum(spent) FROM airun.budget_periods WHERE value = 'Padouk tag';
ROLLBACK;

--
-- What a reprice tells counters at its end warns, and has a site's trigger end a call and expire a
-- task meanwhile: everything is told once
--
SELECT airun_set_budget('first', 10, period => 'none', warn_at => ARRAY[0.5], count_from => 'now') > 0,
	airun_set_budget('second', 20, period => 'none', warn_at => ARRAY[]::double precision[], count_from => 'now') > 0;
SELECT begin_task(90, $$model_id => 'counters-1', request_data => '{"max_tokens": 1}'$$), end_task(90, 1);
SELECT begin_task(91, $$model_id => 'counters-1', request_data => '{"max_tokens": 1}', timeout => '1 us'$$);
CREATE FUNCTION warned() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	PERFORM airun_meter(model_id => 'counters-1', tokens_input => 0, tokens_output => 1), airun_expire_tasks();
	RETURN NULL;
END$$;
CREATE TRIGGER warned AFTER INSERT ON airun.budget_events FOR EACH ROW EXECUTE FUNCTION warned();
SELECT airun_set_price('counters-1', '{"input": 0.001, "output": 6}', effective_from => now() - interval '1 hour') IS NOT NULL;
SELECT count(*) > 0 FROM airun_reprice(model_id => 'counters-1', all_tasks => true, until => now() + interval '1 hour');
SELECT b.name, trim_scale(sum(p.held)) AS held, count(*) AS counters FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id WHERE b.name IN ('first', 'second') GROUP BY b.name ORDER BY b.name;
SELECT count(*) AS warned, (SELECT status FROM airun.tasks WHERE task_id = task_id(91)) FROM airun.budget_events AS e JOIN airun.budgets AS b ON b.id = e.budget_id WHERE b.name = 'first';
SELECT * FROM airun_check_budgets();
DROP TRIGGER warned ON airun.budget_events;
SELECT airun_set_budget('first', NULL) > 0, airun_set_budget('second', NULL) > 0;

--
-- Nothing is left for others
--
SELECT count(airun_delete_run(run_id(n))) FROM generate_series(1, 3) AS n;
SELECT airun_delete_run(:'fork');
SELECT airun_purge_runs('infinity') > 0;
DELETE FROM airun.calls WHERE user_id = airun_user_id();
SELECT * FROM airun_check_budgets();
DELETE FROM airun.usage_tail WHERE user_id = airun_user_id();
TRUNCATE airun.budgets, airun.budget_periods, airun.budget_events;
DELETE FROM airun.prices WHERE model ~ '^counters';
DROP OWNED BY regress_airun_counters_user, regress_airun_counters_reporter;
DROP ROLE regress_airun_counters_user, regress_airun_counters_reporter;
DROP SCHEMA counters_test CASCADE;

--
-- search.sql: airun_search() over a million messages of 2,000 users, and over the
-- 100,000 of one user more.
--
-- In an empty database of a server with airun, as a superuser:
--	cat /work/shared/data/conversations-*.jsonl > /tmp/conversations.jsonl
--	psql -d bench -f test/bench/search.sql
--
\set ON_ERROR_STOP on
CREATE EXTENSION airun;
SELECT airun_install() \g /dev/null
CREATE ROLE search_api;
SELECT airun_grant('search_api');
CREATE TABLE lines (n serial, line text);
\copy lines (line) FROM '/tmp/conversations.jsonl' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
CREATE TABLE turns AS SELECT row_number() OVER () AS n, v #>> '{}' AS text FROM lines, jsonb_path_query(line::jsonb, '$.**.content ? (@.type() == "string")') v;
SELECT count(*), avg(length(text)) FROM turns;
-- texts of five turns each; one in forty in a language without spaces, one in a thousand with a rare word
CREATE TABLE texts AS SELECT (n - 1) AS n, array_to_string(ARRAY(SELECT u.text FROM turns u WHERE u.n BETWEEN t.n AND t.n + 4), E'\n')
	|| CASE n % 40 WHEN 0 THEN E'\n今日の東京の天気はどうですか。駅の近くの安いホテルを予約してください。' WHEN 13 THEN E'\n请帮我预订明天去北京的火车票' WHEN 26 THEN E'\nช่วยหาร้านอาหารไทยใกล้ฉันหน่อย' ELSE '' END
	|| CASE WHEN n % 1000 = 7 THEN E'\nerror[E0502] in src/rare_module/quokka.rs' ELSE '' END AS text FROM turns t;
CREATE UNIQUE INDEX ON texts (n);
ANALYZE texts;
SELECT count(*) AS texts FROM texts \gset
SELECT :texts, avg(octet_length(text)) FROM texts;
SET session_replication_role = replica;
INSERT INTO airun.runs (id, user_id, name, tags, message_count, created_at, last_message_at, active_hour, updated_at)
SELECT ('019c0000-0000-7000-8000-' || lpad(to_hex(r), 12, '0'))::uuid, ('00000000-0000-4000-8000-' || lpad(to_hex(r % 2000), 12, '0'))::uuid,
	'Run ' || r, ARRAY['tag' || r % 10], 20, t, t + interval '20 minutes', date_trunc('hour', t + interval '20 minutes', 'UTC'), t + interval '20 minutes'
FROM generate_series(0, 49999) r, LATERAL (SELECT timestamptz '2026-01-01' + r * interval '5 minutes' AS t) x;
INSERT INTO airun.messages (run_id, seq, created_at, message)
SELECT ('019c0000-0000-7000-8000-' || lpad(to_hex(r), 12, '0'))::uuid, s, timestamptz '2026-01-01' + r * interval '5 minutes' + s * interval '1 minute',
	jsonb_build_object('role', CASE s % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, 'content', x.text, 'timestamp', '2026-01-01T00:00:00Z')
FROM generate_series(0, 49999) r, generate_series(1, 20) s, LATERAL (SELECT text FROM texts t WHERE t.n = (r::bigint * 7919 + s * 104729) % :texts) x;
-- one user with much: 5,000 runs, 100,000 messages
INSERT INTO airun.runs (id, user_id, name, message_count, created_at, last_message_at, active_hour, updated_at)
SELECT ('019d0000-0000-7000-8000-' || lpad(to_hex(r), 12, '0'))::uuid, 'ffffffff-0000-4000-8000-000000000000', 'Run ' || r, 20, t, t + interval '20 minutes', date_trunc('hour', t + interval '20 minutes', 'UTC'), t + interval '20 minutes'
FROM generate_series(0, 4999) r, LATERAL (SELECT timestamptz '2026-01-01' + r * interval '50 minutes' AS t) x;
INSERT INTO airun.messages (run_id, seq, created_at, message)
SELECT ('019d0000-0000-7000-8000-' || right(m.run_id::text, 12))::uuid, seq, timestamptz '2026-01-01' + ('x' || right(m.run_id::text, 12))::bit(48)::bigint * interval '50 minutes' + seq * interval '1 minute', message FROM airun.messages m WHERE m.run_id < '019c0000-0000-7000-8000-000000001388';
VACUUM ANALYZE airun.runs; VACUUM ANALYZE airun.messages;
SELECT count(*), pg_size_pretty(pg_total_relation_size('airun.messages')) FROM airun.messages;

-- The calls, warm: each after one that is not counted
SET ROLE search_api;
\timing on
SELECT format('SET airun.user_id = %L; SELECT count(*) FROM airun_search(%L, sort => %L); SELECT count(*) FROM airun_search(%2$L, sort => %3$L)', u, q, s)
FROM unnest(ARRAY['00000000-0000-4000-8000-000000000123', 'ffffffff-0000-4000-8000-000000000000']) u,
	unnest(ARRAY['restaurant', 'the', 'quokka', '"東京の天気"']) q, unnest(ARRAY['best', 'newest']) s \gexec
RESET ROLE;
DROP OWNED BY search_api;
DROP ROLE search_api;

-- million_rows.sql: n runs of 20 messages and 2 tasks of 2,000 users, 24 runs an hour, as they would
-- have been written, without triggers; the ledger has none of them.
--
--	psql -v n=50000 -f million_rows.sql
SET session_replication_role = replica;
CREATE TABLE bench.many AS
	SELECT i, (lpad(to_hex(i), 8, '0') || '-0000-7000-8000-000000000001')::uuid AS id,
		('10000000-0000-4000-8000-' || lpad(to_hex(i % 2000), 12, '0'))::uuid AS user_id,
		timestamptz '2026-01-01Z' + i * interval '150 s' AS at
	FROM generate_series(1, :n) AS i;
INSERT INTO airun.runs (id, user_id, source_type, name, message_count, task_count, total_tokens, total_cost, created_at, last_message_at, updated_at, active_hour)
	SELECT id, user_id, 'chat', 'Night trains from Hamburg to Vienna, part ' || i, 20, 2, 200, 0.02, at, at + interval '20 min', at + interval '20 min',
		date_trunc('hour', at + interval '20 min', 'UTC')
	FROM bench.many ORDER BY i;
INSERT INTO airun.messages (run_id, seq, message, created_at)
	SELECT id, s, jsonb_build_object('role', CASE s % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, 'content', repeat(md5((i * 20 + s)::text) || ' ', 8),
		'timestamp', '2026-01-01T00:00:00.000Z'), at + s * interval '1 min'
	FROM bench.many, generate_series(1, 20) AS s ORDER BY i, s;
INSERT INTO airun.tasks (run_id, task_id, user_id, status, provider, model_id, tokens_input, tokens_output, tokens_total, cost, price_status,
		created_at, updated_at, completed_at, answer_seq, inputs_to, text_in_answer, response_length)
	SELECT id, (lpad(to_hex(i), 8, '0') || '-0000-7000-8000-00000000010' || s)::uuid, user_id, 'completed', 'openai', 'gpt-4o', 10, 90, 100, 0.01, 'client',
		at, at + interval '10 min', at + interval '10 min', 10 * s, 10 * s - 1, true, 264
	FROM bench.many, generate_series(1, 2) AS s ORDER BY i, s;

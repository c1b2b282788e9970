/*
 * original.sql: what is often found: the client reads the array, adds a message
 * and writes it all back; triggers for counts and totals; the list is all of the
 * user's runs, messages included, of which the client shows 20
 *
 * The client adds the message with || in its second statement, where pgbench
 * cannot: the array still goes to the client and comes back whole.  Storage is
 * that of blob.sql.
 */
CREATE SCHEMA original;

CREATE TABLE original.runs (LIKE blob.runs INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE original.tasks (LIKE blob.tasks INCLUDING ALL) WITH (fillfactor = 70);
ALTER TABLE original.tasks ADD FOREIGN KEY (run_id) REFERENCES original.runs ON DELETE CASCADE;
CREATE INDEX ON original.runs (user_id);

CREATE TRIGGER count_messages BEFORE UPDATE OF messages ON original.runs
	FOR EACH ROW EXECUTE FUNCTION blob.count_messages();

CREATE FUNCTION original.roll_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		UPDATE original.runs SET task_count = task_count + 1 WHERE id = NEW.run_id;
	ELSE
		UPDATE original.runs SET
			total_tokens = total_tokens + coalesce(NEW.tokens_input + NEW.tokens_output, 0)
				- coalesce(OLD.tokens_input + OLD.tokens_output, 0),
			total_cost = total_cost + coalesce(NEW.cost, 0) - coalesce(OLD.cost, 0)
		WHERE id = NEW.run_id;
	END IF;
	RETURN NULL;
END$$;
CREATE TRIGGER roll_up_insert AFTER INSERT ON original.tasks FOR EACH ROW EXECUTE FUNCTION original.roll_up();
CREATE TRIGGER roll_up_update AFTER UPDATE OF tokens_input, tokens_output, cost ON original.tasks
	FOR EACH ROW EXECUTE FUNCTION original.roll_up();

CREATE FUNCTION bench.fill_original(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO original.runs (id, name, messages, message_count)
		SELECT id, 'A run', a.messages, length FROM bench.run_ids(kind, runs) AS id,
			(SELECT jsonb_agg(message ORDER BY seq) FROM bench.conversation(kind, length)) AS a (messages);
$$;

-- @append
\set r 100000000000 + random(1, :runs)
SELECT messages AS array FROM original.runs WHERE id = (:kind::text || :r)::uuid \gset
UPDATE original.runs SET messages = :array::jsonb || :message::jsonb WHERE id = (:kind::text || :r)::uuid;

-- @turn
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT messages AS array FROM original.runs WHERE id = (:kind::text || :r)::uuid \gset
UPDATE original.runs SET messages = :array::jsonb || :question::jsonb WHERE id = (:kind::text || :r)::uuid;
INSERT INTO original.tasks (task_id, run_id, provider, model_id) VALUES (('00000000-0000-4000-8' || :a || '-' || :b)::uuid, (:kind::text || :r)::uuid, 'openai', 'gpt-4o');
UPDATE original.tasks SET status = 'streaming', response_text = :grown# WHERE task_id = ('00000000-0000-4000-8' || :a || '-' || :b)::uuid;
SELECT messages AS array FROM original.runs WHERE id = (:kind::text || :r)::uuid \gset
UPDATE original.runs SET messages = :array::jsonb || :answer::jsonb WHERE id = (:kind::text || :r)::uuid;
UPDATE original.tasks SET status = 'completed', response_text = :grown10, tokens_input = 10, tokens_output = 90, cost = 0.001, completed_at = now() WHERE task_id = ('00000000-0000-4000-8' || :a || '-' || :b)::uuid;

-- @list
SELECT * FROM original.runs WHERE user_id = :user ORDER BY last_message_at DESC;

/*
 * tables.sql: the tables of the store, column by column
 *
 * A column is a row here, with its comment: airun_install() makes the tables of
 * these rows and adds what an older store lacks, airun_check() and the direct
 * path look for the defaults, and types.sql and views.sql take from them what
 * ai_run_summary, ai_task_summary, ai_runs and ai_tasks show.
 *
 * The order is that of the columns on the page.  A new column comes last in its
 * table, in its view and in its type, as ALTER TABLE puts it, and allows NULL or
 * has a default that is a constant.
 *
 * No column, index or CHECK may use a function of the extension, so that DROP
 * EXTENSION cannot take a row; defaults may, and come back with airun_install().
 */

/*
 * The tables, in the order in which they are made.  A table that has the columns
 * of marks, and belongs to the owner of the store, is ours.
 */
CREATE FUNCTION @extschema@.airun_store_tables()
RETURNS TABLE (name text, marks name[], options text, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $tables$
VALUES
	('runs', '{id,user_id,message_count,active_hour,total_cost}'::name[],
	 'WITH (fillfactor = 60)',
	 'Conversations with AI models: one row is the lock and the counter of its '
	 'messages and tasks'),
	('messages', '{run_id,seq,created_at,message}', '',
	 'The messages of runs, each a complete JSON object, in order without a gap'),
	('message_versions', '{run_id,seq,version,action,message}', '',
	 'What messages were before they were replaced or taken back'),
	('tasks', '{run_id,task_id,status,tokens_total,cost}', 'WITH (fillfactor = 80)',
	 'Requests to models: status, usage, cost and timing of each'),
	('task_chunks', '{run_id,task_id,chars,hash,chunk}', '',
	 'The text of tasks that stream, in pieces, until they end'),
	('calls', '{id,user_id,kind,cost,completed_at}', '',
	 'Calls of models and tools that belong to no run: what they have used and cost, and none '
	 'of their text'),
	('prices', '{price_id,model,source,effective_from,rates}', '',
	 'The price book: what a model costs, from when until when, and who says so'),
	('price_book', '{is_only,version}', '',
	 'The version of the price book: another one with every change'),
	('usage_shapes', '{shape,known_by,paths,by_total}', '',
	 'How to read usages that airun does not know: shapes of the site''s own, which are tried '
	 'first, and further paths for shapes that are built in'),
	('retention', '{kind,source_type,status,age,action,keep_shared}', '',
	 'How long runs and utility calls are kept: what airun_prune() works off'),
	('usage_tail', '{at,kind,charge_id,tokens_cache_read,calls}', '',
	 'Entries of the ledger that airun_rollup() has not folded yet: what each charge has used and '
	 'cost, or a part of that taken back'),
	('usage_ledger', '{at,kind,charge_id,tokens_cache_read,calls}', '',
	 'Entries of the ledger that have been folded, kept for good, whatever becomes of '
	 'runs and tasks'),
	('usage_build', '{kind,run_id,charge_id}', '',
	 'Where a store is older than its ledger: from which task and call on airun_rollup() has to '
	 'enter them; no row when all are entered'),
	('usage_clock', '{quarter,kind,served_model,tokens_cache_read,unpriced}',
	 'WITH (fillfactor = 80)',
	 'The ledger summed by quarter of an hour (UTC) and model'),
	('usage_daily', '{day,zone,kind,served_model,tokens_cache_read,unpriced}',
	 'WITH (fillfactor = 80)',
	 'The ledger summed by day and model; the day is that of airun.report_zone when '
	 'it was folded'),
	('usage_people', '{day,zone,kind,user_id,tokens_cache_read,unpriced}',
	 'WITH (fillfactor = 80)',
	 'The ledger summed by day, user and model'),
	('usage_work', '{day,zone,kind,source_type,tokens_cache_read,unpriced}',
	 'WITH (fillfactor = 80)',
	 'The ledger summed by day, source, service, task name and model'),
	('worker_status', '{step,last_started,last_ok,retry_at}', 'WITH (fillfactor = 50)',
	 'What each step of upkeep has come to, be it airun_work() or the worker that did it'),
	('budgets', '{id,name,scope,measure,amount}', '',
	 'Budgets: how much may be used, by whom, in which period; a row that has ended is kept'),
	('budget_periods', '{id,budget_id,period_key,quota,held}', 'WITH (fillfactor = 40)',
	 'The counters of budgets: what is spent and held of each, in each period'),
	('budget_events', '{budget_id,period_key,warn_at,used}', '',
	 'Warnings of budgets: which part of a limit was reached, and when')
$tables$;
COMMENT ON FUNCTION @extschema@.airun_store_tables() IS
'The tables of the store, in the order in which airun_install() makes them';

/*
 * The columns.  Defaults stand as pg_get_expr() prints them with the search_path
 * pg_catalog, pg_temp.  The numbers are the places in the view of the table
 * (ai_runs, ai_messages, ai_tasks, ai_calls), where the view computes nothing else instead, and
 * in its summary (ai_run_summaries, and the types ai_run_summary, ai_message,
 * ai_message_version, ai_task_summary and ai_call).
 */
CREATE FUNCTION @extschema@.airun_store_columns()
RETURNS TABLE (relation text, name text, type text, required text, value text,
	in_view integer, in_summary integer, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $columns$
SELECT * FROM (VALUES
	-- airun.runs.  What an append changes stands together, in front of what has a
	-- variable length: the WAL of an update holds only what lies between the first
	-- and the last byte that differ.
	('runs', 'id', 'uuid', 'NOT NULL', '@extschema@.airun_uuid()', 1, 1,
	 'The run''s id'),
	('runs', 'user_id', 'uuid', '', '@extschema@.airun_user_id()', 2, 2,
	 'Whose run it is'),
	('runs', 'source_id', 'uuid', '', NULL, 4, 4,
	 'Which prompt, chat or action, where there is one'),
	('runs', 'created_at', 'timestamptz', 'NOT NULL', 'now()', 19, 16,
	 'When it was created'),
	('runs', 'deleted_at', 'timestamptz', '', NULL, NULL, NULL,
	 'When the run was deleted: hidden, until it is restored or purged'),
	('runs', 'is_starred', 'boolean', 'NOT NULL', 'false', 17, 14,
	 'Has the user starred it?'),
	('runs', 'is_archived', 'boolean', 'NOT NULL', 'false', 18, 15,
	 'Has the user archived it?'),
	('runs', 'message_count', 'bigint', 'NOT NULL', '0', 12, 9,
	 'How many messages it has'),
	('runs', 'last_message_at', 'timestamptz', 'NOT NULL', 'now()', 21, 18,
	 'When the last message was appended, or else when it was created'),
	('runs', 'updated_at', 'timestamptz', 'NOT NULL', 'now()', 20, 17,
	 'When it was last changed'),
	('runs', 'active_hour', 'timestamptz', 'NOT NULL',
	 $$date_trunc('hour'::text, now(), 'UTC'::text)$$, 22, 19,
	 'The hour (UTC) of last_message_at: what lists are ordered by first'),
	('runs', 'task_count', 'bigint', 'NOT NULL', '0', 13, 10,
	 'How many tasks it has, of any status'),
	('runs', 'total_tokens', 'bigint', 'NOT NULL', '0', 14, 11,
	 'Tokens of all its tasks, as far as they are known'),
	('runs', 'total_cost', 'numeric', 'NOT NULL', '0', 15, 12,
	 'Cost of all its tasks, as far as it is known'),
	('runs', 'status', 'text', 'NOT NULL', $$'active'::text$$, 16, 13,
	 'active, completed or error'),
	('runs', 'source_type', 'text', 'NOT NULL', $$'chat'::text$$, 3, 3,
	 'Where it comes from: prompt, chat, action, ...'),
	('runs', 'name', 'text', '', NULL, 5, 5,
	 'Its name; made from the first user message where none is given'),
	('runs', 'description', 'text', '', NULL, 6, 6,
	 'What the user says about it'),
	('runs', 'tags', 'text[]', 'NOT NULL', $$'{}'::text[]$$, 10, 7,
	 'Words to find it by'),
	('runs', 'metadata', 'jsonb', 'NOT NULL', $$'{}'::jsonb$$, 11, 8,
	 'Anything the application keeps with it'),
	('runs', 'settings', 'jsonb', 'NOT NULL', $$'{}'::jsonb$$, 7, NULL,
	 'The settings that the run is to be continued with'),
	('runs', 'variable_values', 'jsonb', 'NOT NULL', $$'{}'::jsonb$$, 8, NULL,
	 'The values of the variables that it was started with'),
	('runs', 'forked_from', 'uuid', '', NULL, 23, 20,
	 'The run that it branches off from, where it is a fork'),
	('runs', 'forked_at_seq', 'bigint', '', NULL, 24, 21,
	 'Up to which message it has been copied from there'),
	('runs', 'is_listed', 'boolean', 'NOT NULL', 'true', 25, 22,
	 'Is it in the list? Branches not chosen and sub-runs need not be'),
	('runs', 'stripped_at', 'timestamptz', '', NULL, NULL, NULL,
	 'When what was said in it was removed by airun_prune(), which has kept the figures'),

	-- airun.messages
	('messages', 'run_id', 'uuid', 'NOT NULL', NULL, 1, 1,
	 'The run that the message belongs to'),
	('messages', 'seq', 'bigint', 'NOT NULL', NULL, 2, 2,
	 'Its place in the run, from 1 and without a gap'),
	('messages', 'created_at', 'timestamptz', 'NOT NULL', 'now()', 7, 7,
	 'When it was appended'),
	('messages', 'task_id', 'uuid', '', NULL, 4, 4,
	 'The task that it went in with, or came out of'),
	('messages', 'message_id', 'text', '', NULL, 3, 3,
	 'The client''s id for it, by which it is appended once'),
	('messages', 'message', 'jsonb', 'NOT NULL', NULL, 6, 6,
	 'The message itself, a JSON object'),

	-- airun.message_versions
	('message_versions', 'run_id', 'uuid', 'NOT NULL', NULL, NULL, 1,
	 'The run that the message belonged to'),
	('message_versions', 'seq', 'bigint', 'NOT NULL', NULL, NULL, 2,
	 'The place where it stood'),
	('message_versions', 'version', 'bigint', 'NOT NULL', NULL, NULL, 3,
	 'The number of the version at this place, from 1, the oldest, on'),
	('message_versions', 'created_at', 'timestamptz', 'NOT NULL', NULL, NULL, 8,
	 'When the message was appended'),
	('message_versions', 'replaced_at', 'timestamptz', 'NOT NULL', 'now()', NULL, 10,
	 'When it was replaced or taken back'),
	('message_versions', 'replaced_by', 'uuid', '', NULL, NULL, 11,
	 'The user who did it, where one was known'),
	('message_versions', 'task_id', 'uuid', '', NULL, NULL, 5,
	 'The task that the message went in with, or came out of'),
	('message_versions', 'action', 'text', 'NOT NULL', NULL, NULL, 9,
	 'What became of it: replaced by another one, or removed'),
	('message_versions', 'message_id', 'text', '', NULL, NULL, 4,
	 'The client''s id for the message'),
	('message_versions', 'message', 'jsonb', 'NOT NULL', NULL, NULL, 7,
	 'The message as it stood, a JSON object'),

	-- airun.tasks
	('tasks', 'run_id', 'uuid', 'NOT NULL', NULL, 2, 2,
	 'The run that it belongs to'),
	('tasks', 'task_id', 'uuid', 'NOT NULL', '@extschema@.airun_uuid()', 1, 1,
	 'The task''s id'),
	('tasks', 'user_id', 'uuid', '', NULL, 3, 3,
	 'Who made it'),
	('tasks', 'created_at', 'timestamptz', 'NOT NULL', 'now()', 24, 22,
	 'When it was created'),
	('tasks', 'updated_at', 'timestamptz', 'NOT NULL', 'now()', NULL, 23,
	 'When it was last changed'),
	('tasks', 'completed_at', 'timestamptz', '', NULL, 26, 24,
	 'When it ended, in whichever way'),
	('tasks', 'tokens_input', 'bigint', '', NULL, 16, 13,
	 'Tokens that went in'),
	('tasks', 'tokens_output', 'bigint', '', NULL, 17, 14,
	 'Tokens that came out'),
	('tasks', 'tokens_total', 'bigint', '', NULL, 18, 15,
	 'All its tokens; the sum of the two where not stated'),
	('tasks', 'inputs_from', 'bigint', '', NULL, NULL, NULL,
	 'The seq of the first message that went in with the task, where '
	 'airun_start_turn() stored any'),
	('tasks', 'inputs_to', 'bigint', '', NULL, NULL, NULL,
	 'The seq of the last message that went in with the task'),
	('tasks', 'answer_seq', 'bigint', '', NULL, NULL, NULL,
	 'The seq of the message that came out, where airun_finish_turn() stored one'),
	('tasks', 'response_length', 'bigint', 'NOT NULL', '0', NULL, 25,
	 'How many characters the complete text has'),
	('tasks', 'timeout', 'interval', '', NULL, 27, NULL,
	 'How long it may be without progress; airun.task_timeout where not stated'),
	('tasks', 'generation', 'integer', 'NOT NULL', '0', NULL, NULL,
	 'How often the text has been replaced, once it is complete'),
	('tasks', 'text_in_answer', 'boolean', 'NOT NULL', 'false', NULL, NULL,
	 'Is the text that of the message at answer_seq?'),
	('tasks', 'status', 'text', 'NOT NULL', $$'pending'::text$$, 15, 12,
	 'pending, streaming, completed, error or cancelled'),
	('tasks', 'cost', 'numeric', '', NULL, 20, 17,
	 'What it cost; NULL where that is not known, never 0 for that'),
	('tasks', 'time_to_first_token', 'numeric', '', NULL, 22, 20,
	 'Milliseconds from its creation to the first token'),
	('tasks', 'total_time', 'numeric', '', NULL, 23, 21,
	 'Milliseconds from its creation to its end'),
	('tasks', 'service', 'text', '', NULL, 4, 4,
	 'The application''s service that asks'),
	('tasks', 'task_name', 'text', '', NULL, 5, 5,
	 'What the service calls this kind of task'),
	('tasks', 'provider', 'text', '', NULL, 6, 6,
	 'Who serves the model'),
	('tasks', 'endpoint', 'text', '', NULL, 7, 7,
	 'What was called'),
	('tasks', 'model_id', 'text', '', NULL, 8, 8,
	 'The model'),
	('tasks', 'finish_reason', 'text', '', NULL, 14, 11,
	 'Why the model stopped, in the provider''s words'),
	('tasks', 'usage', 'jsonb', '', NULL, 19, 16,
	 'The provider''s usage object, as it was sent'),
	('tasks', 'cost_details', 'jsonb', '', NULL, 21, 18,
	 'What the cost is made of; doubts about the usage, and what was left_out, each '
	 'with the reason'),
	('tasks', 'error', 'jsonb', '', NULL, 12, 9,
	 'What went wrong, as the client says'),
	('tasks', 'metadata', 'jsonb', 'NOT NULL', $$'{}'::jsonb$$, 13, 10,
	 'Anything the application keeps with it'),
	('tasks', 'response_text', 'text', '', NULL, NULL, NULL,
	 'The answer''s text, once it is complete, unless it is in the answer'),
	('tasks', 'response_data', 'jsonb', '', NULL, 11, NULL,
	 'What else the model sent'),
	('tasks', 'request_data', 'jsonb', '', NULL, NULL, NULL,
	 'What was sent to the model, without the messages that request_reference tells'),
	('tasks', 'request_reference', 'jsonb', '', NULL, NULL, NULL,
	 'Which array of request_data has the run''s own messages, from which seq, how many, '
	 'with which keys'),
	('tasks', 'client_cost', 'numeric', '', NULL, 30, NULL,
	 'What the client says that it costs'),
	('tasks', 'price_status', 'text', '', NULL, 29, 19,
	 'Where the cost is from: priced, doubtful (of what can be counted; cost_details say what is '
	 'wrong), provider (as it states it), unbilled (nothing, since nothing was billed), client '
	 '(the client has stated it), or unpriced (it is not known)'),
	('tasks', 'usage_buckets', 'jsonb', '', NULL, 31, NULL,
	 'What the usage says, in disjoint buckets'),
	('tasks', 'pending_half', 'integer', '', NULL, NULL, NULL,
	 'The first half, in UTF-16, of a character that the text so far ends within'),
	('tasks', 'served_model', 'text', '', NULL, 32, 26,
	 'The model that answered, as the provider says'),
	('tasks', 'service_tier', 'text', '', NULL, 33, 27,
	 'The service tier that it was served in, as the provider says: flex, priority, batch, ...'),
	('tasks', 'billed', 'boolean', '', NULL, 34, 28,
	 'False for an answer that costs nothing, such as one from a cache; NULL where nobody says'),
	('tasks', 'provider_cost', 'numeric', '', NULL, 35, 29,
	 'What the provider says that it costs'),
	('tasks', 'region', 'text', '', NULL, 36, 30,
	 'The region that it was served in, as the provider says'),
	('tasks', 'speed', 'text', '', NULL, 37, 31,
	 'The speed that it was served at, as the provider says'),
	('tasks', 'holds', 'text', '', NULL, NULL, NULL,
	 'In JSON, what it holds of budgets until it ends, and what to charge them where its end does '
	 'not say; NULL where none is for it'),

	-- airun.task_chunks
	('task_chunks', 'run_id', 'uuid', 'NOT NULL', NULL, NULL, NULL,
	 'The run that the task belongs to'),
	('task_chunks', 'task_id', 'uuid', 'NOT NULL', NULL, NULL, NULL,
	 'The task whose text it is'),
	('task_chunks', 'created_at', 'timestamptz', 'NOT NULL', 'now()', NULL, NULL,
	 'When the piece arrived'),
	('task_chunks', 'hash', 'bigint', 'NOT NULL', NULL, NULL, NULL,
	 'CRC-32C of the text up to the end of the piece, and two sums of 16 bits of its bytes'),
	('task_chunks', 'chars', 'integer', 'NOT NULL', NULL, NULL, NULL,
	 'How many characters the text has up to the end of the piece'),
	('task_chunks', 'bytes', 'integer', 'NOT NULL', NULL, NULL, NULL,
	 'How many bytes the text has up to the end of the piece'),
	('task_chunks', 'generation', 'integer', 'NOT NULL', NULL, NULL, NULL,
	 'How often the text has been replaced'),
	('task_chunks', 'chunk', 'text', 'NOT NULL', NULL, NULL, NULL,
	 'The piece'),

	-- airun.calls
	('calls', 'id', 'uuid', 'NOT NULL', '@extschema@.airun_uuid()', 1, 1,
	 'The call''s id'),
	('calls', 'user_id', 'uuid', '', '@extschema@.airun_user_id()', 2, 2,
	 'Whose call it is'),
	('calls', 'created_at', 'timestamptz', 'NOT NULL', 'now()', 31, 31,
	 'When it was begun, or recorded'),
	('calls', 'updated_at', 'timestamptz', 'NOT NULL', 'now()', 32, 32,
	 'When it was last changed'),
	('calls', 'completed_at', 'timestamptz', '', NULL, 33, 33,
	 'When it ended, in whichever way'),
	('calls', 'tokens_input', 'bigint', '', NULL, 12, 12,
	 'Tokens that went in'),
	('calls', 'tokens_output', 'bigint', '', NULL, 13, 13,
	 'Tokens that came out'),
	('calls', 'tokens_total', 'bigint', '', NULL, 14, 14,
	 'All its tokens; the sum of the two where not stated'),
	('calls', 'timeout', 'interval', '', NULL, 30, 30,
	 'How long it may take; airun.task_timeout where not stated'),
	('calls', 'billed', 'boolean', '', NULL, 24, 24,
	 'False for a call that costs nothing, such as one that a cache has answered; NULL where '
	 'nobody says'),
	('calls', 'kind', 'text', 'NOT NULL', $$'call'::text$$, 3, 3,
	 'What was called: call for a model, tool for a tool'),
	('calls', 'status', 'text', 'NOT NULL', $$'pending'::text$$, 10, 10,
	 'pending, completed, error or cancelled'),
	('calls', 'price_status', 'text', '', NULL, 18, 18,
	 'Where the cost is from, as of a task'),
	('calls', 'cost', 'numeric', '', NULL, 16, 16,
	 'What it cost; NULL where that is not known, never 0 for that'),
	('calls', 'client_cost', 'numeric', '', NULL, 19, 19,
	 'What the client says that it costs'),
	('calls', 'provider_cost', 'numeric', '', NULL, 25, 25,
	 'What the provider says that it costs'),
	('calls', 'time_to_first_token', 'numeric', '', NULL, 20, 20,
	 'Milliseconds from its beginning to the first token'),
	('calls', 'total_time', 'numeric', '', NULL, 21, 21,
	 'Milliseconds from its beginning to its end'),
	('calls', 'source_type', 'text', '', NULL, 4, 4,
	 'What it was made for: prompt, chat, action, ...'),
	('calls', 'service', 'text', '', NULL, 5, 5,
	 'The application''s service that calls'),
	('calls', 'task_name', 'text', '', NULL, 6, 6,
	 'What the service calls this kind of call'),
	('calls', 'provider', 'text', '', NULL, 7, 7,
	 'Who serves the model, or the tool'),
	('calls', 'endpoint', 'text', '', NULL, 8, 8,
	 'What was called'),
	('calls', 'model_id', 'text', '', NULL, 9, 9,
	 'The model'),
	('calls', 'served_model', 'text', '', NULL, 22, 22,
	 'The model that answered, as the provider says'),
	('calls', 'service_tier', 'text', '', NULL, 23, 23,
	 'The service tier that it was served in, as the provider says: flex, priority, batch, ...'),
	('calls', 'region', 'text', '', NULL, 26, 26,
	 'The region that it was served in, as the provider says'),
	('calls', 'speed', 'text', '', NULL, 27, 27,
	 'The speed that it was served at, as the provider says'),
	('calls', 'error_code', 'text', '', NULL, 11, 11,
	 'What went wrong, in one word; expired for a call that did not end in time'),
	('calls', 'usage', 'jsonb', '', NULL, 15, 15,
	 'The provider''s usage object: its figures, and strings that are single words'),
	('calls', 'usage_buckets', 'jsonb', '', NULL, 28, 28,
	 'What the usage says, in disjoint buckets'),
	('calls', 'cost_details', 'jsonb', '', NULL, 17, 17,
	 'What the cost is made of; doubts about the usage, and what was left_out, each '
	 'with the reason'),
	('calls', 'metadata', 'jsonb', 'NOT NULL', $$'{}'::jsonb$$, 29, 29,
	 'Anything the application keeps with it, in 1024 bytes at most'),
	('calls', 'holds', 'text', '', NULL, NULL, NULL,
	 'In JSON, what it holds of budgets until it ends, as of a task'),

	-- airun.prices
	('prices', 'price_id', 'uuid', 'NOT NULL', '@extschema@.airun_uuid()', NULL, NULL,
	 'The price''s id'),
	('prices', 'created_at', 'timestamptz', 'NOT NULL', 'now()', NULL, NULL,
	 'When it was entered'),
	('prices', 'effective_from', 'timestamptz', 'NOT NULL', 'now()', NULL, NULL,
	 'From when on it is in force'),
	('prices', 'effective_to', 'timestamptz', '', NULL, NULL, NULL,
	 'Until when, exclusively; NULL for good, and effective_from for never'),
	('prices', 'provider', 'text', 'NOT NULL', $$''::text$$, NULL, NULL,
	 'Who serves the model at this price; empty for whoever does'),
	('prices', 'model', 'text', 'NOT NULL', NULL, NULL, NULL,
	 'The model'),
	('prices', 'source', 'text', 'NOT NULL', $$'own'::text$$, NULL, NULL,
	 'Who says so: own for the site itself, which goes first, or the price list'),
	('prices', 'aliases', 'text[]', 'NOT NULL', $$'{}'::text[]$$, NULL, NULL,
	 'Other names of the model'),
	('prices', 'match_rule', 'jsonb', '', NULL, NULL, NULL,
	 'A rule for more of its names: equals, starts_with, ends_with, contains, regex, or, and'),
	('prices', 'provider_rule', 'jsonb', '', NULL, NULL, NULL,
	 'Rules for the names of the provider and of models that are its own, and whom it '
	 'falls back to'),
	('prices', 'rates', 'jsonb', 'NOT NULL', NULL, NULL, NULL,
	 'What one unit of each bucket costs'),
	('prices', 'context_tiers', 'jsonb', '', NULL, NULL, NULL,
	 'Rates for requests whose whole input is longer than above, or not shorter than from'),
	('prices', 'service_tiers', 'jsonb', '', NULL, NULL, NULL,
	 'Rates by service tier: flex, priority, batch, ...'),
	('prices', 'time_windows', 'jsonb', '', NULL, NULL, NULL,
	 'Rates for hours of the day and days of the week, which go before the others'),
	('prices', 'raw', 'jsonb', '', NULL, NULL, NULL,
	 'The entry of the price list, as it was'),
	('prices', 'multipliers', 'jsonb', '', NULL, NULL, NULL,
	 'By what the cost of tokens is multiplied in a region and at a speed: {"region": {"us": '
	 '1.1}, "speed": {"fast": 6}}'),

	-- airun.price_book
	('price_book', 'is_only', 'boolean', 'NOT NULL', 'true', NULL, NULL,
	 'True: there is one row'),
	('price_book', 'version', 'uuid', 'NOT NULL', NULL, NULL, NULL,
	 'By which a backend knows whether the book that it keeps is still the one'),
	('price_book', 'changed_at', 'timestamptz', 'NOT NULL', 'now()', NULL, NULL,
	 'When the book was last changed'),

	-- airun.usage_shapes
	('usage_shapes', 'shape', 'text', 'NOT NULL', NULL, NULL, NULL,
	 'Its name; that of a shape that is built in (OpenAI Chat, OpenAI Responses, Anthropic, '
	 'Gemini, AI SDK 6, Bedrock, OpenTelemetry, ...) adds to that one'),
	('usage_shapes', 'created_at', 'timestamptz', 'NOT NULL', 'now()', NULL, NULL,
	 'When it was entered'),
	('usage_shapes', 'provider', 'text', '', NULL, NULL, NULL,
	 'Only usages of this provider; NULL for all'),
	('usage_shapes', 'known_by', 'text[]', 'NOT NULL', $$'{}'::text[]$$, NULL, NULL,
	 'Paths of which any one tells that a usage has this shape; one that ends in a point stands '
	 'for all under it'),
	('usage_shapes', 'paths', 'jsonb', 'NOT NULL', NULL, NULL, NULL,
	 'For each part its path, or a list of them: keys joined by points, an element of a list as '
	 '[] or, by its modality, ttl or type, [AUDIO].  Parts: input (all), input_fresh (neither '
	 'cached nor audio, image or video), input_text, input_tool, cache_read, cache_write, '
	 'cache_write_5m, cache_write_1h, input_audio, input_image, input_video, cached_audio, '
	 'cached_image, output (all), output_visible (without reasoning), output_fresh (text without '
	 'reasoning), output_text, reasoning, output_audio, output_image, output_video, total, '
	 'requests, web_searches, input_images, output_images, input_seconds, output_seconds, '
	 'input_characters, output_characters, pages, ignored'),
	('usage_shapes', 'by_total', 'text[]', '', NULL, NULL, NULL,
	 'Which of cache and reasoning lie inside of input and output or beside them as the total '
	 'tells; NULL for what is built in'),

	-- airun.usage_build
	('usage_build', 'kind', 'text', 'NOT NULL', NULL, NULL, NULL, 'What is entered: task or call'),
	('usage_build', 'run_id', 'uuid', 'NOT NULL', NULL, NULL, NULL,
	 'The run of the next task to enter, or of the last one entered'),
	('usage_build', 'charge_id', 'uuid', 'NOT NULL', NULL, NULL, NULL,
	 'The next task or call to enter, or the last one entered'),
	-- airun.worker_status.  In front what changes, all of it of fixed length but the last.
	('worker_status', 'last_started', 'timestamptz', '', NULL, NULL, NULL,
	 'When it was last begun; later than the other two while it is at work, or where the server '
	 'went down meanwhile'),
	('worker_status', 'last_ok', 'timestamptz', '', NULL, NULL, NULL,
	 'When it last came to its end without an error'),
	('worker_status', 'last_failed', 'timestamptz', '', NULL, NULL, NULL,
	 'When it last failed'),
	('worker_status', 'retry_at', 'timestamptz', '', NULL, NULL, NULL,
	 'It is not tried again before then, since it has failed'),
	('worker_status', 'rows', 'bigint', '', NULL, NULL, NULL,
	 'How many rows it dealt with the last time'),
	('worker_status', 'ms', 'bigint', '', NULL, NULL, NULL,
	 'How many milliseconds it took the last time'),
	('worker_status', 'backlog', 'bigint', '', NULL, NULL, NULL,
	 'How many rows it left to the next time: 0 where there were no more, NULL where it '
	 'is not known'),
	('worker_status', 'failures', 'integer', 'NOT NULL', '0', NULL, NULL,
	 'How often it has failed since it last did not'),
	('worker_status', 'step', 'text', 'NOT NULL', NULL, NULL, NULL,
	 'The step: expire_tasks, expire_calls, fold, ...'),
	('worker_status', 'last_error', 'text', '', NULL, NULL, NULL,
	 'Why it failed, without the detail, until it does not'),
	('worker_status', 'position', 'text', '', NULL, NULL, NULL,
	 'Where it goes on, in words of its own, if it goes over everything in several rounds'),

	-- airun.retention
	('retention', 'kind', 'text', 'NOT NULL', $$'run'::text$$, NULL, NULL,
	 'What it is for: run, call for utility calls, or deleted for runs that their users '
	 'have deleted'),
	('retention', 'source_type', 'text', '', NULL, NULL, NULL,
	 'Of which source; NULL for all others'),
	('retention', 'status', 'text', '', NULL, NULL, NULL,
	 'In which status; NULL for all others'),
	('retention', 'age', 'interval', '', NULL, NULL, NULL,
	 'After how long, from the last message of a run, the beginning of a call, or when a run was '
	 'deleted; NULL for never'),
	('retention', 'action', 'text', 'NOT NULL', $$'delete'::text$$, NULL, NULL,
	 'What becomes of them: delete, or strip, which removes what was said and keeps the run with '
	 'its figures'),
	('retention', 'keep_starred', 'boolean', 'NOT NULL', 'true', NULL, NULL,
	 'Are runs kept that are starred?'),
	('retention', 'keep_shared', 'boolean', 'NOT NULL', 'true', NULL, NULL,
	 'Are runs kept in which another user has made a task, or of which another user has a fork?')
) AS c (relation, name, type, required, value, in_view, in_summary, comment)
-- Those of the ledger and its cubes
UNION ALL
SELECT * FROM @extschema@.airun_store_usage_columns()
UNION ALL
SELECT * FROM @extschema@.airun_store_budget_columns()
$columns$;
COMMENT ON FUNCTION @extschema@.airun_store_columns() IS
'The columns of the store''s tables, in order; value is the default';

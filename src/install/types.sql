/*
 * types.sql: what the functions return
 *
 * Composite types of the extension, never a view's row type, so that views and
 * functions can grow apart.  The C code fills them by position.  The columns of
 * ai_run_summary, ai_run, ai_run_listing, ai_task_summary and ai_call, in this order,
 * and the comments on them are those of tables.sql.
 */
DO $types$
DECLARE
	item pg_catalog.record;
BEGIN
	FOR item IN
		SELECT w.name, pg_catalog.concat_ws(', ', pg_catalog.string_agg(
				pg_catalog.format('%I %s', c.name, c.type), ', ' ORDER BY c.in_summary),
			w.more) AS columns
		FROM (VALUES
			('ai_run_summary', 'runs', NULL),
			('ai_run', 'runs', 'settings jsonb, variable_values jsonb'),
			('ai_run_listing', 'runs', 'cursor text'),
			('ai_task_summary', 'tasks', NULL),
			('ai_call', 'calls', NULL)) AS w (name, relation, more)
		JOIN @extschema@.airun_store_columns() AS c
			ON c.relation OPERATOR(pg_catalog.=) w.relation AND c.in_summary IS NOT NULL
		GROUP BY w.name, w.more
	LOOP
		EXECUTE pg_catalog.format('CREATE TYPE %s.%I AS (%s)',
								  '@extschema@', item.name, item.columns);
	END LOOP;
END
$types$;
COMMENT ON TYPE @extschema@.ai_run_summary IS
'A run without its messages, settings and variable values: what a sidebar shows';
COMMENT ON TYPE @extschema@.ai_run IS
'A run without its messages: what is known once it has been created or changed';
COMMENT ON TYPE @extschema@.ai_run_listing IS
'A run''s summary and the cursor that continues a list after it';
COMMENT ON COLUMN @extschema@.ai_run_listing.cursor IS
'Pass it to airun_list_runs() for the rows behind this one';
COMMENT ON TYPE @extschema@.ai_task_summary IS
'A task without its request, its response text and its response data';
COMMENT ON TYPE @extschema@.ai_call IS
'A call of a model or a tool that belongs to no run';

CREATE TYPE @extschema@.ai_message AS (
	run_id uuid,
	seq bigint,
	message_id text,
	task_id uuid,
	role text,
	message jsonb,
	created_at timestamptz
);
COMMENT ON TYPE @extschema@.ai_message IS
'One message of a run, with its place in the run';
COMMENT ON COLUMN @extschema@.ai_message.role IS
'Who speaks: system, developer, user, assistant, tool, function, model or data';

CREATE TYPE @extschema@.ai_message_version AS (
	run_id uuid,
	seq bigint,
	version bigint,
	message_id text,
	task_id uuid,
	role text,
	message jsonb,
	created_at timestamptz,
	action text,
	replaced_at timestamptz,
	replaced_by uuid
);
COMMENT ON TYPE @extschema@.ai_message_version IS
'What a message was before it was replaced or taken back';
COMMENT ON COLUMN @extschema@.ai_message_version.role IS
'Who spoke';

-- The comments of the tables' columns hold for theirs.
DO $types$
DECLARE
	item pg_catalog.record;
BEGIN
	FOR item IN
		SELECT w.name AS type, c.name, c.comment
		FROM (VALUES
			('ai_run_summary', 'runs'),
			('ai_run', 'runs'),
			('ai_run_listing', 'runs'),
			('ai_message', 'messages'),
			('ai_message_version', 'message_versions'),
			('ai_task_summary', 'tasks'),
			('ai_call', 'calls')) AS w (name, relation)
		JOIN @extschema@.airun_store_columns() AS c
			ON c.relation OPERATOR(pg_catalog.=) w.relation
			AND (c.in_summary IS NOT NULL
				 OR w.name OPERATOR(pg_catalog.=) 'ai_run'
				 AND c.name OPERATOR(pg_catalog.=) ANY ('{settings,variable_values}'))
	LOOP
		EXECUTE pg_catalog.format('COMMENT ON COLUMN %s.%I.%I IS %L',
								  '@extschema@', item.type, item.name, item.comment);
	END LOOP;
END
$types$;

CREATE TYPE @extschema@.ai_run_fork AS (
	seq bigint,
	number bigint,
	count bigint,
	run_id uuid,
	name text,
	is_shown boolean,
	is_listed boolean,
	message_count bigint,
	created_at timestamptz,
	last_message_at timestamptz
);
COMMENT ON TYPE @extschema@.ai_run_fork IS
'One of several messages that stand at one place in a family of forks';
COMMENT ON COLUMN @extschema@.ai_run_fork.seq IS
'The place where the runs part: that of the message which stands in each of them';
COMMENT ON COLUMN @extschema@.ai_run_fork.number IS
'Which of the alternatives it is, from 1 on';
COMMENT ON COLUMN @extschema@.ai_run_fork.count IS
'How many there are';
COMMENT ON COLUMN @extschema@.ai_run_fork.run_id IS
'The run that has it; the one asked about, where that has it';
COMMENT ON COLUMN @extschema@.ai_run_fork.name IS
'That run''s name';
COMMENT ON COLUMN @extschema@.ai_run_fork.is_shown IS
'Is it the one that the run asked about has?';
COMMENT ON COLUMN @extschema@.ai_run_fork.is_listed IS
'Is that run in the list?';
COMMENT ON COLUMN @extschema@.ai_run_fork.message_count IS
'How many messages that run has';
COMMENT ON COLUMN @extschema@.ai_run_fork.created_at IS
'When that run was created';
COMMENT ON COLUMN @extschema@.ai_run_fork.last_message_at IS
'When its last message was appended';

CREATE TYPE @extschema@.ai_stream_part AS (
	text text,
	from_position bigint,
	position bigint,
	generation integer,
	status text
);
COMMENT ON TYPE @extschema@.ai_stream_part IS
'What follows a position of a task''s text';
COMMENT ON COLUMN @extschema@.ai_stream_part.text IS
'The text from from_position to position';
COMMENT ON COLUMN @extschema@.ai_stream_part.from_position IS
'How many characters stand before it: less than was asked for where the text has been replaced';
COMMENT ON COLUMN @extschema@.ai_stream_part.position IS
'How many characters there are up to its end: where to go on from';
COMMENT ON COLUMN @extschema@.ai_stream_part.generation IS
'How often the text has been replaced: where that changes, what was read before is void';
COMMENT ON COLUMN @extschema@.ai_stream_part.status IS
'The task''s status; at an end there is nothing to come';

CREATE TYPE @extschema@.ai_repricing AS (
	provider text,
	model_id text,
	tasks bigint,
	changed bigint,
	cost_before numeric,
	cost_after numeric,
	reason text
);
COMMENT ON TYPE @extschema@.ai_repricing IS
'What airun_reprice() has made of the tasks and calls of one model';
COMMENT ON COLUMN @extschema@.ai_repricing.provider IS
'Who served the model, as the tasks say';
COMMENT ON COLUMN @extschema@.ai_repricing.model_id IS
'The model, as the tasks call it';
COMMENT ON COLUMN @extschema@.ai_repricing.tasks IS
'How many tasks and calls were looked at';
COMMENT ON COLUMN @extschema@.ai_repricing.changed IS
'How many of them have, or with dry_run would have, another cost';
COMMENT ON COLUMN @extschema@.ai_repricing.cost_before IS
'What they cost before, as far as that was known';
COMMENT ON COLUMN @extschema@.ai_repricing.cost_after IS
'What they cost now, or would cost';
COMMENT ON COLUMN @extschema@.ai_repricing.reason IS
'Where none of them is changed: why not, for the first of them';

CREATE TYPE @extschema@.ai_erasure AS (
	is_done boolean,
	runs bigint,
	messages bigint,
	tasks bigint,
	calls bigint,
	emptied bigint,
	entries bigint
);
COMMENT ON TYPE @extschema@.ai_erasure IS
'What a call of airun_erase_user() has done';
COMMENT ON COLUMN @extschema@.ai_erasure.is_done IS
'Is nothing of the person left? Where not, call it again';
COMMENT ON COLUMN @extschema@.ai_erasure.runs IS
'How many runs it has removed';
COMMENT ON COLUMN @extschema@.ai_erasure.messages IS
'How many messages went with them';
COMMENT ON COLUMN @extschema@.ai_erasure.tasks IS
'How many tasks went with them';
COMMENT ON COLUMN @extschema@.ai_erasure.calls IS
'How many utility calls it has removed';
COMMENT ON COLUMN @extschema@.ai_erasure.emptied IS
'How many messages in runs of other users it has emptied';
COMMENT ON COLUMN @extschema@.ai_erasure.entries IS
'How many entries of the ledger are nobody''s by now';

CREATE TYPE @extschema@.ai_problem AS (
	run_id uuid,
	task_id uuid,
	seq bigint,
	problem text,
	expected text,
	found text
);
COMMENT ON TYPE @extschema@.ai_problem IS
'One broken invariant, as airun_check() reports it';
COMMENT ON COLUMN @extschema@.ai_problem.run_id IS
'The run that is concerned';
COMMENT ON COLUMN @extschema@.ai_problem.task_id IS
'The task, or the call, where one is';
COMMENT ON COLUMN @extschema@.ai_problem.seq IS
'The message, where one is';
COMMENT ON COLUMN @extschema@.ai_problem.problem IS
'What is wrong';
COMMENT ON COLUMN @extschema@.ai_problem.expected IS
'What the rows say';
COMMENT ON COLUMN @extschema@.ai_problem.found IS
'What is stored';

CREATE TYPE @extschema@.ai_partition AS (
	suffix text,
	runs bigint,
	kept bigint
);
COMMENT ON TYPE @extschema@.ai_partition IS
'The partitions of a month, as airun_drop_partitions() has dropped or kept them';
COMMENT ON COLUMN @extschema@.ai_partition.suffix IS
'What their names have behind that of the table: year and month';
COMMENT ON COLUMN @extschema@.ai_partition.runs IS
'How many runs it had';
COMMENT ON COLUMN @extschema@.ai_partition.kept IS
'How many of them have kept it; 0 where it has been dropped';

CREATE TYPE @extschema@.ai_shard AS (
	shard bigint,
	connection text,
	buckets bigint,
	moving bigint,
	runs bigint,
	bytes bigint,
	problem text
);
COMMENT ON TYPE @extschema@.ai_shard IS
'A shard, as airun_shards() shows it';
COMMENT ON COLUMN @extschema@.ai_shard.shard IS
'Its number, from 0';
COMMENT ON COLUMN @extschema@.ai_shard.connection IS
'How the proxy reaches it';
COMMENT ON COLUMN @extschema@.ai_shard.buckets IS
'How many buckets the map of the proxy has there';
COMMENT ON COLUMN @extschema@.ai_shard.moving IS
'How many of them are closed, since they are being moved';
COMMENT ON COLUMN @extschema@.ai_shard.runs IS
'How many runs it has, as the server estimates';
COMMENT ON COLUMN @extschema@.ai_shard.bytes IS
'The size of its store with indexes';
COMMENT ON COLUMN @extschema@.ai_shard.problem IS
'What is wrong with it: it cannot be reached, or has other buckets than the map says; '
'NULL for nothing';

CREATE TYPE @extschema@.ai_price_change AS (
	provider text,
	model text,
	action text,
	price_id uuid,
	effective_from timestamptz,
	reason text
);
COMMENT ON TYPE @extschema@.ai_price_change IS
'What airun_import_prices() has made of one model of a price list';
COMMENT ON COLUMN @extschema@.ai_price_change.provider IS
'Who serves the model, as the list says';
COMMENT ON COLUMN @extschema@.ai_price_change.model IS
'The model, as the list calls it';
COMMENT ON COLUMN @extschema@.ai_price_change.action IS
'What became of it: added, changed, unchanged or skipped';
COMMENT ON COLUMN @extschema@.ai_price_change.price_id IS
'The first of its prices that the list is about';
COMMENT ON COLUMN @extschema@.ai_price_change.effective_from IS
'When that price came, or comes, into force';
COMMENT ON COLUMN @extschema@.ai_price_change.reason IS
'Why it was skipped; or what is odd about its rates, and which tasks it can charge that '
'have no cost yet';

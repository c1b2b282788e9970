/*
 * types.sql: what the functions return
 *
 * Composite types of the extension, never a view's row type, so that views and
 * functions can grow apart.  The C code fills them by position: the order here
 * is the order of the column lists in run.h and task.h.
 */
CREATE TYPE @extschema@.ai_run_summary AS (
	id uuid,
	user_id uuid,
	source_type text,
	source_id uuid,
	name text,
	description text,
	tags text[],
	metadata jsonb,
	message_count bigint,
	task_count bigint,
	total_tokens bigint,
	total_cost numeric,
	status text,
	is_starred boolean,
	is_archived boolean,
	created_at timestamptz,
	updated_at timestamptz,
	last_message_at timestamptz,
	active_hour timestamptz
);
COMMENT ON TYPE @extschema@.ai_run_summary IS
'A run without its messages, settings and variable values: what a sidebar shows';
COMMENT ON COLUMN @extschema@.ai_run_summary.id IS
'The run''s id';
COMMENT ON COLUMN @extschema@.ai_run_summary.user_id IS
'Whose run it is';
COMMENT ON COLUMN @extschema@.ai_run_summary.source_type IS
'Where it comes from: prompt, chat, action, ...';
COMMENT ON COLUMN @extschema@.ai_run_summary.source_id IS
'Which prompt, chat or action, where there is one';
COMMENT ON COLUMN @extschema@.ai_run_summary.name IS
'Its name; made from the first user message where none is given';
COMMENT ON COLUMN @extschema@.ai_run_summary.description IS
'What the user says about it';
COMMENT ON COLUMN @extschema@.ai_run_summary.tags IS
'Words to find it by';
COMMENT ON COLUMN @extschema@.ai_run_summary.metadata IS
'Anything the application keeps with it';
COMMENT ON COLUMN @extschema@.ai_run_summary.message_count IS
'How many messages it has';
COMMENT ON COLUMN @extschema@.ai_run_summary.task_count IS
'How many tasks it has, of any status';
COMMENT ON COLUMN @extschema@.ai_run_summary.total_tokens IS
'Tokens of all its tasks, as far as they are known';
COMMENT ON COLUMN @extschema@.ai_run_summary.total_cost IS
'Cost of all its tasks, as far as it is known';
COMMENT ON COLUMN @extschema@.ai_run_summary.status IS
'active, completed or error';
COMMENT ON COLUMN @extschema@.ai_run_summary.is_starred IS
'Has the user starred it?';
COMMENT ON COLUMN @extschema@.ai_run_summary.is_archived IS
'Has the user archived it?';
COMMENT ON COLUMN @extschema@.ai_run_summary.created_at IS
'When it was created';
COMMENT ON COLUMN @extschema@.ai_run_summary.updated_at IS
'When it was last changed';
COMMENT ON COLUMN @extschema@.ai_run_summary.last_message_at IS
'When the last message was appended, or else when it was created';
COMMENT ON COLUMN @extschema@.ai_run_summary.active_hour IS
'The hour (UTC) of last_message_at: what lists are ordered by first';

CREATE TYPE @extschema@.ai_run_listing AS (
	id uuid,
	user_id uuid,
	source_type text,
	source_id uuid,
	name text,
	description text,
	tags text[],
	metadata jsonb,
	message_count bigint,
	task_count bigint,
	total_tokens bigint,
	total_cost numeric,
	status text,
	is_starred boolean,
	is_archived boolean,
	created_at timestamptz,
	updated_at timestamptz,
	last_message_at timestamptz,
	active_hour timestamptz,
	cursor text
);
COMMENT ON TYPE @extschema@.ai_run_listing IS
'A run''s summary and the cursor that continues a list after it';
COMMENT ON COLUMN @extschema@.ai_run_listing.id IS
'The run''s id';
COMMENT ON COLUMN @extschema@.ai_run_listing.user_id IS
'Whose run it is';
COMMENT ON COLUMN @extschema@.ai_run_listing.source_type IS
'Where it comes from: prompt, chat, action, ...';
COMMENT ON COLUMN @extschema@.ai_run_listing.source_id IS
'Which prompt, chat or action, where there is one';
COMMENT ON COLUMN @extschema@.ai_run_listing.name IS
'Its name; made from the first user message where none is given';
COMMENT ON COLUMN @extschema@.ai_run_listing.description IS
'What the user says about it';
COMMENT ON COLUMN @extschema@.ai_run_listing.tags IS
'Words to find it by';
COMMENT ON COLUMN @extschema@.ai_run_listing.metadata IS
'Anything the application keeps with it';
COMMENT ON COLUMN @extschema@.ai_run_listing.message_count IS
'How many messages it has';
COMMENT ON COLUMN @extschema@.ai_run_listing.task_count IS
'How many tasks it has, of any status';
COMMENT ON COLUMN @extschema@.ai_run_listing.total_tokens IS
'Tokens of all its tasks, as far as they are known';
COMMENT ON COLUMN @extschema@.ai_run_listing.total_cost IS
'Cost of all its tasks, as far as it is known';
COMMENT ON COLUMN @extschema@.ai_run_listing.status IS
'active, completed or error';
COMMENT ON COLUMN @extschema@.ai_run_listing.is_starred IS
'Has the user starred it?';
COMMENT ON COLUMN @extschema@.ai_run_listing.is_archived IS
'Has the user archived it?';
COMMENT ON COLUMN @extschema@.ai_run_listing.created_at IS
'When it was created';
COMMENT ON COLUMN @extschema@.ai_run_listing.updated_at IS
'When it was last changed';
COMMENT ON COLUMN @extschema@.ai_run_listing.last_message_at IS
'When the last message was appended, or else when it was created';
COMMENT ON COLUMN @extschema@.ai_run_listing.active_hour IS
'The hour (UTC) of last_message_at: what lists are ordered by first';
COMMENT ON COLUMN @extschema@.ai_run_listing.cursor IS
'Pass it to airun_list_runs() for the rows behind this one';

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
COMMENT ON COLUMN @extschema@.ai_message.run_id IS
'The run that the message belongs to';
COMMENT ON COLUMN @extschema@.ai_message.seq IS
'Its place in the run, from 1 and without a gap';
COMMENT ON COLUMN @extschema@.ai_message.message_id IS
'The client''s id for it, by which it is appended once';
COMMENT ON COLUMN @extschema@.ai_message.task_id IS
'The task that it went in with, or came out of';
COMMENT ON COLUMN @extschema@.ai_message.role IS
'Who speaks: system, developer, user, assistant, tool, function, model or data';
COMMENT ON COLUMN @extschema@.ai_message.message IS
'The message itself, a JSON object';
COMMENT ON COLUMN @extschema@.ai_message.created_at IS
'When it was appended';

CREATE TYPE @extschema@.ai_task_summary AS (
	task_id uuid,
	run_id uuid,
	user_id uuid,
	service text,
	task_name text,
	provider text,
	endpoint text,
	model_id text,
	error jsonb,
	metadata jsonb,
	finish_reason text,
	status text,
	tokens_input bigint,
	tokens_output bigint,
	tokens_total bigint,
	usage jsonb,
	cost numeric,
	cost_details jsonb,
	price_status text,
	time_to_first_token numeric,
	total_time numeric,
	created_at timestamptz,
	updated_at timestamptz,
	completed_at timestamptz,
	response_length bigint
);
COMMENT ON TYPE @extschema@.ai_task_summary IS
'A task without its request, its response text and its response data';
COMMENT ON COLUMN @extschema@.ai_task_summary.task_id IS
'The task''s id';
COMMENT ON COLUMN @extschema@.ai_task_summary.run_id IS
'The run that it belongs to';
COMMENT ON COLUMN @extschema@.ai_task_summary.user_id IS
'Who made it';
COMMENT ON COLUMN @extschema@.ai_task_summary.service IS
'The application''s service that asks';
COMMENT ON COLUMN @extschema@.ai_task_summary.task_name IS
'What the service calls this kind of task';
COMMENT ON COLUMN @extschema@.ai_task_summary.provider IS
'Who serves the model';
COMMENT ON COLUMN @extschema@.ai_task_summary.endpoint IS
'What was called';
COMMENT ON COLUMN @extschema@.ai_task_summary.model_id IS
'The model';
COMMENT ON COLUMN @extschema@.ai_task_summary.error IS
'What went wrong, as the client says';
COMMENT ON COLUMN @extschema@.ai_task_summary.metadata IS
'Anything the application keeps with it';
COMMENT ON COLUMN @extschema@.ai_task_summary.finish_reason IS
'Why the model stopped, in the provider''s words';
COMMENT ON COLUMN @extschema@.ai_task_summary.status IS
'pending, streaming, completed, error or cancelled';
COMMENT ON COLUMN @extschema@.ai_task_summary.tokens_input IS
'Tokens that went in';
COMMENT ON COLUMN @extschema@.ai_task_summary.tokens_output IS
'Tokens that came out';
COMMENT ON COLUMN @extschema@.ai_task_summary.tokens_total IS
'All its tokens; the sum of the two where not stated';
COMMENT ON COLUMN @extschema@.ai_task_summary.usage IS
'The provider''s usage object, as it was sent';
COMMENT ON COLUMN @extschema@.ai_task_summary.cost IS
'What it cost; NULL where that is not known, never 0 for that';
COMMENT ON COLUMN @extschema@.ai_task_summary.cost_details IS
'What the cost is made of';
COMMENT ON COLUMN @extschema@.ai_task_summary.price_status IS
'Where the cost is from: priced, client (the client has stated it), or unpriced (it is not known)';
COMMENT ON COLUMN @extschema@.ai_task_summary.time_to_first_token IS
'Milliseconds from its creation to the first token';
COMMENT ON COLUMN @extschema@.ai_task_summary.total_time IS
'Milliseconds from its creation to its end';
COMMENT ON COLUMN @extschema@.ai_task_summary.created_at IS
'When it was created';
COMMENT ON COLUMN @extschema@.ai_task_summary.updated_at IS
'When it was last changed';
COMMENT ON COLUMN @extschema@.ai_task_summary.completed_at IS
'When it ended, in whichever way';
COMMENT ON COLUMN @extschema@.ai_task_summary.response_length IS
'How many characters its response text has';

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
	cost_after numeric
);
COMMENT ON TYPE @extschema@.ai_repricing IS
'What airun_reprice() has made of the tasks of one model';
COMMENT ON COLUMN @extschema@.ai_repricing.provider IS
'Who served the model, as the tasks say';
COMMENT ON COLUMN @extschema@.ai_repricing.model_id IS
'The model, as the tasks call it';
COMMENT ON COLUMN @extschema@.ai_repricing.tasks IS
'How many tasks were looked at';
COMMENT ON COLUMN @extschema@.ai_repricing.changed IS
'How many of them have, or with dry_run would have, another cost';
COMMENT ON COLUMN @extschema@.ai_repricing.cost_before IS
'What they cost before, as far as that was known';
COMMENT ON COLUMN @extschema@.ai_repricing.cost_after IS
'What they cost now, or would cost';

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
'The task, where one is';
COMMENT ON COLUMN @extschema@.ai_problem.seq IS
'The message, where one is';
COMMENT ON COLUMN @extschema@.ai_problem.problem IS
'What is wrong';
COMMENT ON COLUMN @extschema@.ai_problem.expected IS
'What the rows say';
COMMENT ON COLUMN @extschema@.ai_problem.found IS
'What is stored';

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
'Why it was skipped';

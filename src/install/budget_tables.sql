/*
 * budget_tables.sql: the columns of budgets, their counters and events
 *
 * Rows of airun_store_columns().  What every start and end changes of a counter stands
 * last: the WAL of an update holds only what lies between the first and the last byte
 * that differ.
 */
CREATE FUNCTION @extschema@.airun_store_budget_columns()
RETURNS TABLE (relation text, name text, type text, required text, value text,
	in_view integer, in_summary integer, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $budget_columns$
SELECT c.relation, c.name, c.type, c.required, c.value, NULL::integer, NULL::integer, c.comment
FROM (VALUES
	-- airun.budgets
	('budgets', 'id', 'bigint', 'NOT NULL', NULL,
	 'The budget''s id'),
	('budgets', 'valid_from', 'timestamptz', 'NOT NULL', 'now()',
	 'Since when it is in force'),
	('budgets', 'valid_to', 'timestamptz', '', NULL,
	 'When it ended, or another one of its name took its place; NULL while it is in force'),
	('budgets', 'name', 'text', 'NOT NULL', NULL,
	 'Its name'),
	('budgets', 'scope', 'text', 'NOT NULL', NULL,
	 'What it is for: all, user, source, provider, model, service, task_name, tag, metadata or '
	 'run (a run with its forks)'),
	('budgets', 'scope_key', 'text', '', NULL,
	 'The key of metadata, for that scope'),
	('budgets', 'scope_value', 'text', '', NULL,
	 'The one value that it is for; NULL where each value has a counter of its own'),
	('budgets', 'measure', 'text', 'NOT NULL', NULL,
	 'What it counts: cost, tokens or calls'),
	('budgets', 'amount', 'numeric', 'NOT NULL', NULL,
	 'The limit of each period'),
	('budgets', 'period', 'text', 'NOT NULL', NULL,
	 'How long a period is: none, hour, day, week or month'),
	('budgets', 'zone', 'text', 'NOT NULL', NULL,
	 'The time zone of the periods'),
	('budgets', 'anchor', 'integer', 'NOT NULL', NULL,
	 'When a period begins: the hour of a day, the weekday of a week (1 for Monday), the '
	 'day of a month'),
	('budgets', 'mode', 'text', 'NOT NULL', NULL,
	 'What it does: hard, which refuses what does not fit, or soft, which only warns'),
	('budgets', 'warn_at', 'numeric[]', 'NOT NULL', NULL,
	 'The parts of the limit that are warned of, once a period each'),
	('budgets', 'unpriced', 'text', 'NOT NULL', NULL,
	 'What becomes of a model without a price: block, allow or assume'),
	('budgets', 'assumed_rate', 'numeric', '', NULL,
	 'What a token of such a model is taken to cost'),
	('budgets', 'show_amounts', 'boolean', 'NOT NULL', NULL,
	 'Do refusals and airun_budget_status() tell users the amounts?'),
	('budgets', 'slots', 'integer', 'NOT NULL', NULL,
	 'Over how many rows a counter is spread'),

	-- airun.budget_periods
	('budget_periods', 'id', 'bigint', 'NOT NULL', NULL,
	 'The row''s id, which tasks and calls that hold of it name'),
	('budget_periods', 'budget_id', 'bigint', 'NOT NULL', NULL,
	 'The budget'),
	('budget_periods', 'slot', 'integer', 'NOT NULL', NULL,
	 'Which slot of the counter; 0 is the gate to the others, or the only one'),
	('budget_periods', 'value', 'text', 'NOT NULL', NULL,
	 'The value that it counts for: a user''s id, a model, ...; empty where the '
	 'budget is for all'),
	('budget_periods', 'period_key', 'text', 'NOT NULL', NULL,
	 'The period, by the local date (and hour) on which it begins; empty for the one '
	 'that never ends'),
	('budget_periods', 'credit', 'numeric', 'NOT NULL', '0',
	 'Of the gate: what is added to the limit in this period'),
	('budget_periods', 'warned', 'numeric', '', NULL,
	 'Of the gate: the largest part of the limit that has been warned of'),
	('budget_periods', 'base', 'numeric', 'NOT NULL', '0',
	 'How much of what is spent no task or call tells: from before the budget, or deleted since'),
	('budget_periods', 'quota', 'numeric', 'NOT NULL', '0',
	 'Up to which sum of the next three nobody has to ask at the gate'),
	('budget_periods', 'estimated', 'numeric', 'NOT NULL', '0',
	 'What has been charged without being told, by estimate'),
	('budget_periods', 'spent', 'numeric', 'NOT NULL', '0',
	 'What has been charged'),
	('budget_periods', 'held', 'numeric', 'NOT NULL', '0',
	 'What is held by tasks and calls that have not ended'),
	('budget_periods', 'only_user', 'uuid', '', NULL,
	 'Of a tag or a value of metadata: the user whose word it is, as long as no other '
	 'has used it'),

	-- airun.budget_events
	('budget_events', 'budget_id', 'bigint', 'NOT NULL', NULL,
	 'The budget'),
	('budget_events', 'at', 'timestamptz', 'NOT NULL', NULL,
	 'When the part of the limit was reached'),
	('budget_events', 'value', 'text', 'NOT NULL', NULL,
	 'The value that the counter is for'),
	('budget_events', 'period_key', 'text', 'NOT NULL', NULL,
	 'The period'),
	('budget_events', 'warn_at', 'numeric', 'NOT NULL', NULL,
	 'Which part of the limit'),
	('budget_events', 'amount', 'numeric', 'NOT NULL', NULL,
	 'The limit then, with what was added to it'),
	('budget_events', 'used', 'numeric', 'NOT NULL', NULL,
	 'What was spent and held then')
) AS c (relation, name, type, required, value, comment)
$budget_columns$;
COMMENT ON FUNCTION @extschema@.airun_store_budget_columns() IS
'The columns of budgets, their counters and events, as airun_store_columns() has them';

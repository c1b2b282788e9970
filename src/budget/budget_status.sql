/*
 * budget_status.sql: how budgets stand, and whether a call would fit
 */
CREATE TYPE @extschema@.ai_budget AS (
	budget text,
	scope text,
	value text,
	measure text,
	mode text,
	period text,
	starts_at timestamptz,
	resets_at timestamptz,
	amount numeric,
	spent numeric,
	estimated numeric,
	held numeric,
	remaining numeric,
	is_exhausted boolean
);
COMMENT ON TYPE @extschema@.ai_budget IS
'How a budget stands in its current period, for one value of its scope';
COMMENT ON COLUMN @extschema@.ai_budget.budget IS 'The budget''s name';
COMMENT ON COLUMN @extschema@.ai_budget.scope IS 'What it is for: all, user, model, ...';
COMMENT ON COLUMN @extschema@.ai_budget.value IS
'Which user, model, ...; empty where it is for all, NULL where nobody has used any of it';
COMMENT ON COLUMN @extschema@.ai_budget.measure IS 'What it counts: cost, tokens or calls';
COMMENT ON COLUMN @extschema@.ai_budget.mode IS
'What it does: hard, which refuses, or soft, which warns';
COMMENT ON COLUMN @extschema@.ai_budget.period IS
'How long a period is: none, hour, day, week or month';
COMMENT ON COLUMN @extschema@.ai_budget.starts_at IS
'When the current period began; NULL where it has no beginning';
COMMENT ON COLUMN @extschema@.ai_budget.resets_at IS 'When the next one begins; NULL for never';
COMMENT ON COLUMN @extschema@.ai_budget.amount IS
'The limit, with what has been added to this period';
COMMENT ON COLUMN @extschema@.ai_budget.spent IS 'What has been charged';
COMMENT ON COLUMN @extschema@.ai_budget.estimated IS 'What has been charged by estimate';
COMMENT ON COLUMN @extschema@.ai_budget.held IS
'What is held by tasks and calls that have not ended';
COMMENT ON COLUMN @extschema@.ai_budget.remaining IS
'What is left of the limit; below 0 where more has been used';
COMMENT ON COLUMN @extschema@.ai_budget.is_exhausted IS 'Is nothing left?';

CREATE FUNCTION @extschema@.airun_budget_status(budget text DEFAULT NULL)
RETURNS SETOF @extschema@.ai_budget
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION @extschema@.airun_budget_status IS
'How budgets stand in their current periods: the caller''s own, and for reporters and the owner all
Amounts are NULL where a budget does not show them to its users.';

CREATE TYPE @extschema@.ai_budget_fit AS (
	budget text,
	value text,
	fits boolean,
	reason text,
	needed numeric,
	remaining numeric,
	affordable_output_tokens bigint,
	resets_at timestamptz
);
COMMENT ON TYPE @extschema@.ai_budget_fit IS
'Whether a call would fit into a budget';
COMMENT ON COLUMN @extschema@.ai_budget_fit.budget IS 'The budget''s name';
COMMENT ON COLUMN @extschema@.ai_budget_fit.value IS
'The value that it would count for: a user''s id, a model, ...';
COMMENT ON COLUMN @extschema@.ai_budget_fit.fits IS 'Would it start?';
COMMENT ON COLUMN @extschema@.ai_budget_fit.reason IS
'Why it would not: exhausted, in_flight or unpriced';
COMMENT ON COLUMN @extschema@.ai_budget_fit.needed IS 'What it would hold';
COMMENT ON COLUMN @extschema@.ai_budget_fit.remaining IS 'What is neither spent nor held';
COMMENT ON COLUMN @extschema@.ai_budget_fit.affordable_output_tokens IS
'How many tokens of output, of each answer, would fit';
COMMENT ON COLUMN @extschema@.ai_budget_fit.resets_at IS
'When the next period begins; NULL for never';

CREATE FUNCTION @extschema@.airun_budget_check(
	model_id text DEFAULT NULL,
	provider text DEFAULT NULL,
	request_data jsonb DEFAULT NULL,
	run_id uuid DEFAULT NULL,
	service text DEFAULT NULL,
	task_name text DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.ai_budget_fit
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 3;
COMMENT ON FUNCTION @extschema@.airun_budget_check IS
'Whether a task of the caller''s that began now would fit into each budget that it counts in; '
'holds nothing, and promises nothing
No row means that no budget is for it.  With run_id it is a task of that run, else a call.  '
'Amounts are NULL where a budget does not show them.';

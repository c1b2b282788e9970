/*
 * budget.sql: setting budgets, and checking their counters
 *
 * A budget that is set anew where its counters can go on, with another amount, mode,
 * warnings, slots or treatment of what has no price, is the same row.  All quotas are
 * taken back then, so that everybody asks at the gate once, where the row as it is
 * counts.  Otherwise another row takes its place, and what its current period has
 * spent and holds is counted, while no task and no call can start or end.
 *
 * Locks: airun.budget_periods, against changes; before it, for a budget that is new or
 * that counts anew, airun.tasks and airun.calls likewise.
 */

/* 42501 for who is not the store's owner */
CREATE FUNCTION @extschema@.airun_store_require_member(function text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $require$
DECLARE
	owner oid := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = to_regclass('airun.runs'));
BEGIN
	IF owner IS NULL THEN
		RAISE EXCEPTION 'database "%" has no airun store yet', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT airun_install() as the role that shall own it.';
	END IF;
	IF NOT pg_has_role(owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of airun''s store to call %()', function
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The store belongs to role "%s", and the caller is "%s".',
								pg_get_userbyid(owner), current_user),
				HINT = 'Call it as that role, or as a member of it.';
	END IF;
	-- Can the store be where it is?
	IF has_function_privilege('@extschema@.airun_store_refuse_citus()', 'EXECUTE') THEN
		PERFORM @extschema@.airun_store_refuse_citus();
	END IF;
END
$require$;
COMMENT ON FUNCTION @extschema@.airun_store_require_member(text) IS
'Refuses whoever is not the owner of the store';

/* PT422 for what is no budget */
CREATE FUNCTION @extschema@.airun_store_check_budget(budget jsonb) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $check$
DECLARE
	problem record;
BEGIN
	SELECT p.message, p.remedy INTO problem
	FROM jsonb_to_record(budget) AS b (name text, scope text, scope_key text, scope_value text,
		measure text, amount numeric, period text, anchor bigint, mode text, warn_at numeric[],
		unpriced text, assumed_rate numeric, slots bigint, count_from text)
	CROSS JOIN LATERAL (VALUES
		(length(b.name) BETWEEN 1 AND 200, 'a budget''s name must have 1 to 200 characters',
		 'Give it another one.'),
		(b.amount >= 0 AND b.amount < 'Infinity',
		 format('"amount" must be a number from 0 on, not %s', b.amount),
		 'With NULL the budget ends.'),
		(b.scope IN ('all', 'user', 'source', 'provider', 'model', 'service', 'task_name', 'tag',
		 'metadata', 'run'),
		 format('"%s" is not a scope of a budget', left(b.scope, 100)),
		 'It is all, user, source, provider, model, service, task_name, tag, metadata or run.'),
		((b.scope = 'metadata') = (b.scope_key IS NOT NULL),
		 '"scope_key" goes with the scope "metadata", and with no other',
		 'It names the key of metadata whose values are counted.'),
		(b.scope <> 'all' OR b.scope_value IS NULL, 'a budget for all has no "scope_value"',
		 'Leave it out, or choose another scope.'),
		(b.scope NOT IN ('user', 'run') OR b.scope_value IS NULL OR b.scope_value
			~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
		 format('"scope_value" must be the UUID of a %s, in lower case, not "%s"', b.scope,
		 left(b.scope_value, 100)),
		 'airun_user_uuid() gives the one that a name stands for.'),
		(length(b.scope_value) <= 200, '"scope_value" has more than 200 characters',
		 'Shorten it.'),
		(b.measure IN ('cost', 'tokens', 'calls'),
		 format('"%s" is not a measure of a budget', left(b.measure, 100)),
		 'It is cost, tokens or calls.'),
		(b.period IN ('none', 'hour', 'day', 'week', 'month'),
		 format('"%s" is not a period of a budget', left(b.period, 100)),
		 'It is none, hour, day, week or month.'),
		(CASE b.period WHEN 'day' THEN b.anchor BETWEEN 0 AND 23
		 WHEN 'week' THEN b.anchor BETWEEN 1 AND 7
			WHEN 'month' THEN b.anchor BETWEEN 1 AND 31 ELSE b.anchor = 0 END,
		 format('"anchor" cannot be %s with the period "%s"', b.anchor, left(b.period, 100)),
		 'It is the hour of a day (0 to 23), the weekday of a week (1, Monday, to 7) or the day '
		 'of a month (1 to 31).'),
		(b.mode IN ('hard', 'soft'), format('"%s" is not a mode of a budget', left(b.mode, 100)),
		 'It is hard, which refuses, or soft, which warns.'),
		(cardinality(b.warn_at) <= 20 AND array_position(b.warn_at, NULL) IS NULL
			AND 0 < ALL (b.warn_at) AND 'Infinity' > ALL (b.warn_at),
		 '"warn_at" must be parts of the amount, such as 0.8, and at most 20',
		 'Use numbers above 0.'),
		(b.unpriced IN ('block', 'allow', 'assume'),
		 format('"%s" is not a word for "unpriced"', left(b.unpriced, 100)),
		 'It is block, allow or assume.'),
		(b.unpriced <> 'assume' OR b.assumed_rate IS NOT NULL, '"assume" needs an "assumed_rate"',
		 'Say what a token of a model without a price is taken to cost.'),
		(b.assumed_rate >= 0 AND b.assumed_rate < 'Infinity',
		 format('"assumed_rate" must be a number from 0 on, not %s', b.assumed_rate),
		 'It is what one token is taken to cost.'),
		(b.slots BETWEEN 1 AND 64, format('"slots" must be between 1 and 64, not %s', b.slots),
		 'One does for some hundred calls a second.'),
		(b.count_from IN ('period', 'now'),
		 format('"%s" is not a word for "count_from"', left(b.count_from, 100)),
		 'It is period or now.')
	) AS p (is_fine, message, remedy)
	WHERE NOT p.is_fine LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '%', problem.message USING ERRCODE = 'PT422', HINT = problem.remedy;
	END IF;
END
$check$;
COMMENT ON FUNCTION @extschema@.airun_store_check_budget(jsonb) IS
'Refuses what is no budget, for airun_set_budget()';

/*
 * What has been used in a time by each value of a budget's scope, as the ledger tells;
 * where that does not know the scope, as the tasks and calls do that are there; copies from
 * moves that have not ended (shard_call.c) are another shard's.  person:
 * who has written the value, where it is one's word alone.
 */
CREATE FUNCTION @extschema@.airun_store_budget_usage(budget_id bigint, from_time timestamptz,
	to_time timestamptz)
RETURNS TABLE (value text, used numeric, person uuid)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $usage$
WITH RECURSIVE b AS (
	SELECT b.* FROM airun.budgets AS b WHERE b.id = $1
), family AS (
	-- a run, or each run that is no fork, with its forks; it may have been purged
	SELECT r.id, COALESCE(b.scope_value, r.forked_from::text, r.id::text) AS value
	FROM b JOIN airun.runs AS r ON CASE WHEN b.scope_value IS NULL
		THEN NOT EXISTS (SELECT FROM airun.runs AS f WHERE f.id = r.forked_from)
		ELSE b.scope_value::uuid IN (r.id, r.forked_from) END
	WHERE b.scope = 'run'
	UNION
	SELECT r.id, f.value FROM family AS f JOIN airun.runs AS r ON r.forked_from = f.id
), charges AS (
	SELECT v.value, NULL::uuid AS user_id, e.cost, e.calls,
		e.tokens_input + e.tokens_cache_read + e.tokens_cache_write + e.tokens_output AS tokens
	FROM b
	CROSS JOIN (SELECT * FROM airun.usage_ledger UNION ALL SELECT * FROM airun.usage_tail) AS e
	CROSS JOIN LATERAL (SELECT CASE b.scope WHEN 'all' THEN '' WHEN 'user' THEN e.user_id::text
		WHEN 'source' THEN e.source_type WHEN 'provider' THEN e.provider
			WHEN 'model' THEN e.model_id
		WHEN 'service' THEN e.service WHEN 'task_name' THEN e.task_name END) AS v (value)
	WHERE e.at >= $2 AND e.at < $3
	UNION ALL
	SELECT v.value, t.user_id, t.cost, 1, t.tokens_total
	FROM b CROSS JOIN airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id
	CROSS JOIN LATERAL (
		SELECT DISTINCT unnest(r.tags) WHERE b.scope = 'tag'
		UNION ALL
		SELECT COALESCE(t.metadata ->> b.scope_key, r.metadata ->> b.scope_key)
			WHERE b.scope = 'metadata'
		UNION ALL
		SELECT f.value FROM family AS f WHERE f.id = r.id) AS v (value)
	WHERE b.scope IN ('tag', 'metadata', 'run') AND t.completed_at IS NOT NULL
		AND NOT @extschema@.airun_store_is_moving(r.user_id, false)
		AND t.created_at >= $2 AND t.created_at < $3
	UNION ALL
	SELECT c.metadata ->> b.scope_key, c.user_id, c.cost, 1, c.tokens_total
	FROM b CROSS JOIN airun.calls AS c
	WHERE b.scope = 'metadata' AND c.completed_at IS NOT NULL
		AND NOT @extschema@.airun_store_is_moving(c.user_id, false)
		AND c.created_at >= $2 AND c.created_at < $3
)
SELECT c.value, CASE b.measure WHEN 'cost' THEN COALESCE(sum(c.cost), 0)
	WHEN 'tokens' THEN COALESCE(sum(c.tokens), 0) ELSE sum(c.calls) END,
	CASE WHEN b.scope <> 'run' AND b.scope_value IS NULL AND count(DISTINCT c.user_id) = 1
		AND count(*) = count(c.user_id)
		THEN min(c.user_id::text)::uuid END
FROM charges AS c CROSS JOIN b
WHERE c.value IS NOT NULL AND COALESCE(c.value = b.scope_value, true)
GROUP BY c.value, b.measure, b.scope, b.scope_value
$usage$;
COMMENT ON FUNCTION @extschema@.airun_store_budget_usage(bigint, timestamptz, timestamptz) IS
'What has been used in a time by each value of a budget''s scope';

CREATE FUNCTION @extschema@.airun_store_hold_open(budget_id bigint, run_id uuid, id uuid)
RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_hold_open IS
'Has a task, or without a run a call, that has not ended count in a budget which is new; for '
'airun_set_budget()';

/* A budget that is new: what its current period has used counts, and what is open will */
CREATE FUNCTION @extschema@.airun_store_begin_budget(budget_id bigint, counts boolean) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $begin$
DECLARE
	period record;
	-- where the ids of counters begin, other ones on each of several shards
	first constant bigint := (random() * 1e12)::bigint;
BEGIN
	SELECT p.* INTO period
	FROM airun.budgets AS b
	CROSS JOIN LATERAL @extschema@.airun_store_period(b.period, b.zone, b.anchor,
		clock_timestamp()) AS p
	WHERE b.id = budget_id;
	IF counts THEN
		INSERT INTO airun.budget_periods (id, budget_id, value, period_key, slot, base,
			spent, only_user)
		SELECT (airun_store_begin_budget.budget_id << 40) + first + row_number() OVER (),
			airun_store_begin_budget.budget_id, left(u.value, 200), period.period_key, 0,
			sum(u.used), sum(u.used),
			CASE WHEN count(DISTINCT u.person) = 1 AND count(*) = count(u.person)
				THEN min(u.person::text)::uuid END
		FROM @extschema@.airun_store_budget_usage(budget_id, period.starts_at, period.ends_at) AS u
		GROUP BY left(u.value, 200) HAVING sum(u.used) > 0;
	END IF;
	PERFORM @extschema@.airun_store_hold_open(budget_id, t.run_id, t.task_id)
	FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id
	WHERE t.completed_at IS NULL AND t.created_at >= period.starts_at
		AND t.created_at < period.ends_at
		AND NOT @extschema@.airun_store_is_moving(r.user_id, false);
	PERFORM @extschema@.airun_store_hold_open(budget_id, NULL, c.id)
	FROM airun.calls AS c
	WHERE c.completed_at IS NULL AND c.created_at >= period.starts_at
		AND c.created_at < period.ends_at
		AND NOT @extschema@.airun_store_is_moving(c.user_id, false);
END
$begin$;
COMMENT ON FUNCTION @extschema@.airun_store_begin_budget(bigint, boolean) IS
'Counts what a budget''s current period has used already, for airun_set_budget()';

CREATE FUNCTION @extschema@.airun_set_budget(
	name text,
	amount double precision,
	scope text DEFAULT NULL,
	scope_key text DEFAULT NULL,
	scope_value text DEFAULT NULL,
	measure text DEFAULT NULL,
	period text DEFAULT NULL,
	zone text DEFAULT NULL,
	anchor bigint DEFAULT NULL,
	mode text DEFAULT NULL,
	warn_at double precision[] DEFAULT NULL,
	unpriced text DEFAULT NULL,
	assumed_rate double precision DEFAULT NULL,
	show_amounts boolean DEFAULT NULL,
	slots bigint DEFAULT NULL,
	count_from text DEFAULT NULL)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $set$
DECLARE
	stood airun.budgets;
	budget airun.budgets;
BEGIN
	PERFORM @extschema@.airun_store_require_member('airun_set_budget');
	-- One at a time; who starts a task only reads the table
	LOCK TABLE airun.budgets IN SHARE ROW EXCLUSIVE MODE;
	SELECT b.* INTO stood FROM airun.budgets AS b
	WHERE b.name = airun_set_budget.name AND b.valid_to IS NULL;
	IF amount IS NULL THEN
		IF stood.id IS NULL THEN
			RAISE EXCEPTION 'there is no budget "%"', left(name, 100)
				USING ERRCODE = 'PT404', HINT = 'Give an amount to make one.';
		END IF;
		UPDATE airun.budgets AS b SET valid_to = clock_timestamp() WHERE b.id = stood.id;
		RETURN stood.id;
	END IF;

	budget.id := stood.id;
	budget.name := name;
	budget.amount := amount;
	budget.scope := COALESCE(scope, stood.scope, 'all');
	budget.scope_key := COALESCE(scope_key, stood.scope_key);
	budget.scope_value := COALESCE(scope_value, stood.scope_value);
	budget.measure := COALESCE(measure, stood.measure, 'cost');
	budget.period := COALESCE(period, stood.period, 'month');
	budget.zone := COALESCE(zone, stood.zone, current_setting('airun.report_zone', true), 'UTC');
	budget.anchor := COALESCE(
		CASE WHEN anchor IS NOT NULL THEN LEAST(GREATEST(anchor, -1), 99) END,
		CASE WHEN budget.period = stood.period THEN stood.anchor
		WHEN budget.period IN ('week', 'month') THEN 1 ELSE 0 END);
	budget.mode := COALESCE(mode, stood.mode, 'hard');
	budget.warn_at := COALESCE(ARRAY(SELECT DISTINCT w.part::numeric
		FROM unnest(warn_at) AS w (part) ORDER BY 1),
		'{}');
	IF warn_at IS NULL THEN
		budget.warn_at := COALESCE(stood.warn_at, '{0.8,1}');
	END IF;
	budget.unpriced := COALESCE(unpriced, stood.unpriced, 'block');
	budget.assumed_rate := COALESCE(assumed_rate::numeric, stood.assumed_rate);
	budget.show_amounts := COALESCE(show_amounts, stood.show_amounts, true);
	budget.slots := COALESCE(CASE WHEN slots IS NOT NULL THEN LEAST(GREATEST(slots, 0), 1000) END,
		stood.slots, 1);
	PERFORM @extschema@.airun_store_check_budget(to_jsonb(budget)
		|| jsonb_build_object('count_from', count_from, 'name', COALESCE(name, ''),
			'amount', amount::numeric,
			'anchor', COALESCE(anchor, budget.anchor), 'slots', COALESCE(slots, budget.slots)));
	PERFORM @extschema@.airun_store_period(budget.period, budget.zone, budget.anchor,
		clock_timestamp());

	IF (stood.scope, stood.scope_key, stood.scope_value, stood.measure, stood.period, stood.zone,
		stood.anchor)
		IS NOT DISTINCT FROM (budget.scope, budget.scope_key, budget.scope_value, budget.measure,
			budget.period,
			budget.zone, budget.anchor) THEN
		PERFORM @extschema@.airun_store_lock_soon(
			'LOCK TABLE airun.budget_periods IN EXCLUSIVE MODE');
		UPDATE airun.budgets AS b SET (amount, mode, warn_at, unpriced, assumed_rate,
			show_amounts, slots)
			= (budget.amount, budget.mode, budget.warn_at, budget.unpriced, budget.assumed_rate,
				budget.show_amounts, budget.slots)
		WHERE b.id = budget.id;
		UPDATE airun.budget_periods AS p SET quota = 0 WHERE p.budget_id = budget.id
			AND p.quota <> 0;
		RETURN budget.id;
	END IF;

	PERFORM @extschema@.airun_store_lock_soon(
		'LOCK TABLE airun.tasks, airun.calls, airun.budget_periods IN EXCLUSIVE MODE');
	UPDATE airun.budgets AS b SET valid_to = clock_timestamp() WHERE b.id = stood.id;
	budget.id := (SELECT COALESCE(max(b.id), 0) + 1 FROM airun.budgets AS b);
	budget.valid_from := clock_timestamp();
	INSERT INTO airun.budgets SELECT budget.*;
	PERFORM @extschema@.airun_store_begin_budget(budget.id,
		COALESCE(count_from,
			CASE budget.period WHEN 'none' THEN 'now' ELSE 'period' END) = 'period');
	RETURN budget.id;
END
$set$;
COMMENT ON FUNCTION @extschema@.airun_set_budget IS
'Sets a budget: how much may be used in each period, of all or of each user, source, provider, '
'model, service, task name, tag, value of a metadata key, or run with its forks; returns its id
What is left out stays as it is, or else is: scope all, measure cost (tokens, calls), period '
'month (none, hour, day, week) in airun.report_zone from its first day on, mode hard (soft only '
'warns), warnings at 0.8 and 1 of the amount, unpriced block (allow, or assume with assumed_rate '
'a token), one slot, and what the period has used already counts, unless count_from is now.  '
'Another scope, measure, period, zone or anchor begins another budget in its place.  An amount of '
'NULL ends the budget.  For the owner of the store.';

CREATE FUNCTION @extschema@.airun_credit_budget(
	name text,
	amount double precision,
	value text DEFAULT '')
RETURNS double precision
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $credit$
#variable_conflict use_column
DECLARE
	budget airun.budgets;
	period text;
	credited numeric;
BEGIN
	PERFORM @extschema@.airun_store_require_member('airun_credit_budget');
	LOCK TABLE airun.budgets IN SHARE ROW EXCLUSIVE MODE;
	SELECT b.* INTO budget FROM airun.budgets AS b
	WHERE b.name = airun_credit_budget.name AND b.valid_to IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no budget "%"', left(name, 100)
			USING ERRCODE = 'PT404', HINT = 'airun_set_budget() makes one.';
	END IF;
	IF COALESCE(amount NOT BETWEEN -1e15 AND 1e15, true) THEN
		RAISE EXCEPTION '"amount" must be a number, not %', COALESCE(amount::text, 'NULL')
			USING ERRCODE = 'PT422', HINT = 'It is added to the limit of the current period.';
	END IF;
	IF value IS NULL OR (value <> '') <> (budget.scope <> 'all')
		OR value <> budget.scope_value OR budget.scope IN ('user', 'run')
		AND value !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		RAISE EXCEPTION 'budget "%" has no counter for "%"', left(name, 100), left(value, 100)
			USING ERRCODE = 'PT422',
				HINT = 'Name the value that it counts for: a user''s id, a model, ...; none where '
					'the budget is for all.';
	END IF;
	PERFORM @extschema@.airun_store_lock_soon(
		'LOCK TABLE airun.budget_periods IN EXCLUSIVE MODE');
	period := (@extschema@.airun_store_period(budget.period, budget.zone, budget.anchor,
		clock_timestamp())).period_key;
	INSERT INTO airun.budget_periods AS p (id, budget_id, value, period_key, slot, credit)
	VALUES ((budget.id << 40) + (random() * 1e12)::bigint, budget.id,
		airun_credit_budget.value, period, 0,
		airun_credit_budget.amount::numeric)
	ON CONFLICT (budget_id, period_key, value, slot) DO UPDATE
		SET credit = p.credit + excluded.credit
	RETURNING p.credit INTO credited;
	UPDATE airun.budget_periods AS p SET quota = 0
	WHERE p.budget_id = budget.id AND p.value = airun_credit_budget.value
		AND p.period_key = period;
	RETURN credited;
END
$credit$;
COMMENT ON FUNCTION @extschema@.airun_credit_budget IS
'Adds to the limit of a budget''s current period, of one value where each has a counter; returns '
'what has been added in all
What has been spent stays told: to start afresh, add that.  For the owner of the store.';

/* Where counters are not what tasks and calls say, for airun_check_budgets() */
CREATE FUNCTION @extschema@.airun_store_budget_problems() RETURNS SETOF @extschema@.ai_problem
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 1
	SET search_path = pg_catalog, pg_temp
AS $problems$
BEGIN
	RETURN QUERY
	SELECT NULL::uuid, NULL::uuid, NULL::bigint,
		format('%s of counter %s of budget "%s"', p.problem, c.id, b.name),
		p.expected::text, p.found::text
	FROM airun.budget_periods AS c
	LEFT JOIN airun.budgets AS b ON b.id = c.budget_id
	LEFT JOIN @extschema@.airun_store_budget_parts() AS s ON s.counter = c.id
	CROSS JOIN LATERAL (VALUES
		('held', COALESCE(s.held, 0), c.held),
		('spent and estimated', c.base + COALESCE(s.spent + s.estimated, 0), c.spent + c.estimated)
	) AS p (problem, expected, found)
	WHERE p.expected <> p.found
	ORDER BY c.id, p.problem;

	RETURN QUERY
	SELECT NULL::uuid, NULL::uuid, NULL::bigint, 'a hold of a counter'::text,
		'a row of airun.budget_periods'::text,
		format('counter %s, which is not there', s.counter)
	FROM @extschema@.airun_store_budget_parts() AS s
	WHERE NOT EXISTS (SELECT FROM airun.budget_periods AS c WHERE c.id = s.counter)
	ORDER BY s.counter;

	RETURN QUERY
	SELECT NULL::uuid, NULL::uuid, NULL::bigint,
		format('quotas of budget "%s" for "%s" in "%s"', b.name, c.value, c.period_key),
		'at most ' || GREATEST(b.amount + c.credit, 0), c.quota::text
	FROM (
		SELECT p.budget_id, p.value, p.period_key, sum(p.credit) AS credit, sum(p.quota) AS quota
		FROM airun.budget_periods AS p GROUP BY 1, 2, 3) AS c
	JOIN airun.budgets AS b ON b.id = c.budget_id
	WHERE b.mode = 'hard' AND c.quota > GREATEST(b.amount + c.credit, 0)
	ORDER BY b.id, c.value, c.period_key;
END
$problems$;
COMMENT ON FUNCTION @extschema@.airun_store_budget_problems() IS
'Where the counters of budgets are not what tasks and calls say, for airun_check_budgets()';

CREATE FUNCTION @extschema@.airun_check_budgets() RETURNS SETOF @extschema@.ai_problem
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION @extschema@.airun_check_budgets IS
'Compares the counters of budgets with what tasks and calls that are there hold and have used; no '
'row means that all agree';

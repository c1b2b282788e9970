/*
 * cost.sql: what a request has cost
 */
CREATE FUNCTION @extschema@.airun_cost(
	model_id text,
	usage jsonb,
	provider text DEFAULT NULL,
	at timestamptz DEFAULT now(),
	service_tier text DEFAULT NULL)
RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_cost IS
'What a request costs by the price in force at that time; NULL where there is no price, '
'never 0 for that
usage is the provider''s object or the buckets of airun_normalize_usage().  The price is looked '
'for by name, alias and match rule, then without provider, region, date and version.  '
'service_tier: flex, priority, batch, ...; the one that usage names where not given.';

CREATE FUNCTION @extschema@.airun_cost_details(
	model_id text,
	usage jsonb,
	provider text DEFAULT NULL,
	at timestamptz DEFAULT now(),
	service_tier text DEFAULT NULL)
RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_cost_details IS
'What airun_cost() is made of: for each bucket the count, the rate and the amount, and the price '
'that was found, with its tiers
Where there is no price, cost is null and reason says why.';

/*
 * price_period.sql: a price of one's own
 */
CREATE FUNCTION @extschema@.airun_set_price(
	model text,
	rates jsonb,
	provider text DEFAULT NULL,
	effective_from timestamptz DEFAULT now(),
	effective_to timestamptz DEFAULT NULL,
	per_tokens bigint DEFAULT 1,
	aliases text[] DEFAULT '{}',
	match_rule jsonb DEFAULT NULL,
	context_tiers jsonb DEFAULT NULL,
	service_tiers jsonb DEFAULT NULL,
	time_windows jsonb DEFAULT NULL,
	source text DEFAULT 'own',
	multipliers jsonb DEFAULT NULL)
RETURNS uuid
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_set_price IS
'Sets a model''s price from a time on, or with effective_to for a while, after which what was to '
'be in force goes on; it goes before imported ones.  Returns its price_id; the same again '
'changes nothing
rates is {bucket: price} for per_tokens tokens, with the buckets of airun_normalize_usage().  No '
'provider: whoever serves it.  match_rule: {"starts_with": "gpt-4o-"}, also equals, ends_with, '
'contains, regex, or, and.  context_tiers: [{"above": 200000, "rates": {...}}].  service_tiers: '
'{"flex": {...}}.  time_windows: [{"from": "16:30", "to": "00:30", "time_zone": "UTC", '
'"weekdays": [1, 7], "rates": {...}}].  multipliers: {"region": {"us": 1.1}, "speed": {"fast": '
'6}}, for what tokens cost.  For the owner of the store.';

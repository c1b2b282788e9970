--
-- The price book: setting, importing, history, and what is refused
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA price_test;
SET search_path = price_test, helpers, public;
-- the history of a model
CREATE FUNCTION history(name text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('  %s %s %s..%s %s', p.source, p.provider, p.effective_from AT TIME ZONE 'UTC', p.effective_to AT TIME ZONE 'UTC', p.rates)
	FROM airun.prices p WHERE p.model = name ORDER BY p.source, p.effective_from, p.effective_to NULLS LAST
$$;

--
-- One's own prices
--
SELECT airun_set_price('a', '{"input": 2.50, "output": 10}', per_tokens => 1000000, effective_from => '2026-01-01Z') IS NOT NULL;
SELECT history('a');
-- the same again changes nothing, however it is written
SELECT count(DISTINCT id) FROM (VALUES
	(airun_set_price('a', '{"input": 2.5, "output": 10.0}', per_tokens => 1000000, effective_from => '2026-01-01Z')),
	(airun_set_price('a', '{"output": 0.01, "input": 0.0025}', per_tokens => 1000, effective_from => '2026-02-01Z')),
	(airun_set_price('a', '{"input": 25e-7, "output": 1e-5}', effective_from => '2026-03-01Z'))) v (id);
SELECT history('a');
-- another price closes it; one for later waits; one in between takes what was to come
SELECT airun_set_price('a', '{"input": 0.000003}', effective_from => '2026-05-01Z') IS NOT NULL;
SELECT airun_set_price('a', '{"input": 0.000004}', effective_from => '2026-09-01Z') IS NOT NULL;
SELECT history('a');
SELECT airun_set_price('a', '{"input": 0.000005}', effective_from => '2026-07-01Z') IS NOT NULL;
SELECT history('a');
-- one that begins earlier than what says the same fills the time before it
SELECT airun_set_price('a', '{"input": 0.000005}', effective_from => '2026-06-01Z') IS NOT NULL;
SELECT history('a');
-- with an end: what was to be in force then goes on, and the same again changes nothing
SELECT airun_set_price('a', '{"input": 0.000006}', effective_from => '2026-08-01Z', effective_to => '2026-10-01Z') IS NOT NULL;
SELECT history('a');
SELECT airun_set_price('a', '{"input": 0.000006}', effective_from => '2026-08-01Z', effective_to => '2026-10-01Z') IS NOT NULL;
SELECT history('a');
-- a while in what is past, over several; what comes later stays
SELECT airun_set_price('a', '{"input": 0.0000005}', effective_from => '2026-04-01Z', effective_to => '2026-06-15Z') IS NOT NULL;
SELECT history('a');
-- before all others, with a time without a price between
SELECT airun_set_price('b', '{"input": 2}', effective_from => '2026-03-01Z') IS NOT NULL, airun_set_price('b', '{"input": 1}', effective_from => '2026-01-01Z', effective_to => '2026-02-01Z') IS NOT NULL;
SELECT history('b');
DELETE FROM airun.prices WHERE model = 'b';
-- and in force is at any time one at the most
SELECT count(*) FROM airun.prices p JOIN airun.prices q ON p.model = q.model AND p.source = q.source AND p.provider = q.provider AND p.price_id < q.price_id
	AND tstzrange(p.effective_from, p.effective_to) && tstzrange(q.effective_from, q.effective_to);
-- providers and sources have histories of their own
SELECT airun_set_price('a', '{"input": 1}', 'p', '-infinity') IS NOT NULL, airun_set_price('a', '{"input": 2}', effective_from => '-infinity', source => 'contract') IS NOT NULL;
SELECT history('a');
-- every part of a price; "per_tokens" is for tokens only, wherever they stand
SELECT airun_set_price('all', '{"input": 1, "requests": 0.5}', 'p', '2026-01-01Z', NULL, 1000000, '{all-too, "ALL/three"}', '{"or": [{"starts_with": "all-"}, {"regex": "^all\\d+$"}]}',
	'[{"above": 200000, "rates": {"input": 2}, "service_tiers": {"flex": {"input": 1.5}}}, {"from": 500000, "rates": {"input": 4, "web_searches": 0.01}}]',
	'{"flex": {"input": 0.5}, "fast": {"output": 7}}',
	'[{"from": "22:00", "to": "06:00", "time_zone": "Europe/Berlin", "weekdays": [1, 2, 3], "rates": {"input": 0.25}}]') IS NOT NULL;
SELECT to_jsonb(p) - 'price_id' - 'created_at' FROM airun.prices p WHERE model = 'all';

-- what is refused
SELECT statement || E'\n  ' || answer('SELECT airun_set_price(' || statement || ')') FROM unnest(ARRAY[
	'NULL, ''{}''', '''m'', NULL', '''m'', ''{}'', effective_from => NULL', '''m'', ''{}'', per_tokens => NULL', '''m'', ''{}'', source => NULL',
	''''', ''{}''', 'repeat(''m'', 201), ''{}''', '''m'', ''{}'', repeat(''p'', 201)',
	'''m'', ''[]''', '''m'', ''3''', '''m'', ''{"input": -0.1}''', '''m'', ''{"input": "0.1"}''', '''m'', ''{"inputs": 0.1}''', '''m'', ''{"input": null}''',
	'''m'', ''{"input": 1000000.1}''', '''m'', ''{"input": 1e-31}''', '''m'', ''{"input": 1}'', per_tokens => 100',
	'''m'', ''{}'', effective_from => ''infinity''', '''m'', ''{}'', effective_from => ''2026-02-01Z'', effective_to => ''2026-02-01Z''',
	'''m'', ''{}'', context_tiers => ''{}''', '''m'', ''{}'', context_tiers => ''[3]''', '''m'', ''{}'', context_tiers => ''[{"rates": {}}]''',
	'''m'', ''{}'', context_tiers => ''[{"above": 1, "from": 1, "rates": {}}]''', '''m'', ''{}'', context_tiers => ''[{"above": -1, "rates": {}}]''',
	'''m'', ''{}'', context_tiers => ''[{"above": 1.5, "rates": {}}]''', '''m'', ''{}'', context_tiers => ''[{"above": 1}]''',
	'''m'', ''{}'', context_tiers => ''[{"above": 1, "rates": {"input": -1}}]''', '''m'', ''{}'', context_tiers => ''[{"above": 1, "rates": {}, "until": 3}]''',
	'''m'', ''{}'', context_tiers => ''[{"above": 9, "rates": {}}, {"from": 10, "rates": {}}]''',
	'''m'', ''{}'', service_tiers => ''[]''', '''m'', ''{}'', service_tiers => ''{"flex": 3}''', '''m'', ''{}'', service_tiers => ''{"flex": {"input": -3}}''', '''m'', ''{}'', service_tiers => ''{"default": {}}''',
	'''m'', ''{}'', time_windows => ''{}''', '''m'', ''{}'', time_windows => ''[{"from": "22:00", "rates": {}}]''', '''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "24:01", "rates": {}}]''',
	'''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "6", "rates": {}}]''', '''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "06:00", "time_zone": "Mars/Phobos", "rates": {}}]''', '''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "06:00", "time_zone": "+08:00", "rates": {}}]''',
	'''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "06:00", "weekdays": [0], "rates": {}}]''', '''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "06:00", "weekdays": ["mon"], "rates": {}}]''',
	'''m'', ''{}'', time_windows => ''[{"from": "22:00", "to": "06:00"}]''',
	'''m'', ''{}'', match_rule => ''[]''', '''m'', ''{}'', match_rule => ''{}''', '''m'', ''{}'', match_rule => ''{"like": "m%"}''', '''m'', ''{}'', match_rule => ''{"equals": 3}''', '''m'', ''{}'', match_rule => ''{"equals": ""}''',
	'''m'', ''{}'', match_rule => ''{"regex": "("}''', '''m'', ''{}'', match_rule => ''{"or": {}}''', '''m'', ''{}'', match_rule => ''{"or": [3]}''', '''m'', ''{}'', match_rule => ''{"or": [{"regex": "["}]}''']) statement;
SELECT count(*) FROM airun.prices WHERE model = 'm';
-- the table itself refuses a negative rate, wherever it is, and times that run backwards
SELECT split_part(answer(s), ' | ', 1) FROM unnest(ARRAY[
	'INSERT INTO airun.prices (model, rates) VALUES (''m'', ''{"input": -1}'')', 'INSERT INTO airun.prices (model, rates) VALUES (''m'', ''[]'')',
	'INSERT INTO airun.prices (model, rates, context_tiers) VALUES (''m'', ''{}'', ''[{"above": 3, "rates": {"input": -1}}]'')',
	'INSERT INTO airun.prices (model, rates, effective_from, effective_to) VALUES (''m'', ''{}'', ''2026-02-01'', ''2026-01-01'')',
	'UPDATE airun.prices SET service_tiers = ''{"flex": {"input": -3}}''', 'INSERT INTO airun.price_book VALUES (false, gen_random_uuid())']) s;

--
-- LiteLLM's list
--
DELETE FROM airun.prices;
CREATE TABLE lists (name text, document jsonb);
INSERT INTO lists VALUES ('litellm', '{
	"sample_spec": {"litellm_provider": "one of these", "input_cost_per_token": 0},
	"alpha-1": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 8192, "input_cost_per_token": 2.5e-06, "output_cost_per_token": "1e-05", "cache_read_input_token_cost": 1.25e-06,
		"input_cost_per_token_priority": 4.25e-06, "input_cost_per_token_batches": 1.25e-6, "output_cost_per_token_batches": 5e-6, "input_cost_per_audio_token": 0.00004, "supports_vision": true},
	"alpha-long": {"litellm_provider": "openai", "input_cost_per_token": 5e-06, "output_cost_per_token": 3e-05, "input_cost_per_token_above_272k_tokens": 1e-05, "output_cost_per_token_above_272k_tokens": 4.5e-05,
		"input_cost_per_token_flex": 2.5e-06, "input_cost_per_token_above_272k_tokens_flex": 5e-06, "input_cost_per_token_above_128k_tokens": 7e-06},
	"beta-1": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
		"cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05, "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02}},
	"xai/gamma": {"litellm_provider": "xai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-6, "input_cost_per_token_above_128k_tokens": 2e-06},
	"delta": {"litellm_provider": "dashscope", "output_cost_per_token": 9e-6, "output_cost_per_reasoning_token": 8e-6, "tiered_pricing": [
		{"range": [0, 32000.0], "input_cost_per_token": "1e-6", "output_cost_per_token": 2e-6}, {"range": [32000, 128000], "input_cost_per_token": 3e-6, "cache_read_input_token_cost": 1e-6}],
		"input_cost_per_token_above_200k_tokens": 7},
	"epsilon": {"litellm_provider": "deepseek", "input_cost_per_token": 2e-6, "output_cost_per_token": 4e-6, "input_cost_per_token_cache_hit": 1e-7, "off_peak_pricing": {"hours_utc": ["16:30-00:30"], "weekday_timezone": "Asia/Shanghai",
		"windows": [{"hours_utc": "00:00-00:00", "weekdays": ["Sat", 7]}], "input_cost_per_token": 1e-6}},
	"units": {"litellm_provider": "u", "input_cost_per_second": 0.0001, "output_cost_per_image": 0.04, "ocr_cost_per_page": 0.002, "input_cost_per_request": 0.5},
	"none": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 3, "input_cost_per_furlong": 3},
	"negative": {"litellm_provider": "openai", "input_cost_per_token": -1e-6}, "word": {"litellm_provider": "openai", "input_cost_per_token": "free"}, "nan": {"litellm_provider": "openai", "input_cost_per_token": "NaN"},
	"tiny": {"litellm_provider": "openai", "input_cost_per_token": 1e-40}, "huge": {"litellm_provider": "openai", "input_cost_per_token": "1e99"}, "bool": {"litellm_provider": "openai", "input_cost_per_token": true},
	"gap": {"litellm_provider": "openai", "tiered_pricing": [{"range": [0, 10], "input_cost_per_token": 1}, {"range": [20, 30], "input_cost_per_token": 1}]},
	"hours": {"litellm_provider": "openai", "input_cost_per_token": 1, "off_peak_pricing": {"hours_utc": "late", "input_cost_per_token": 1}},
	"hour": {"litellm_provider": "openai", "input_cost_per_token": 1, "off_peak_pricing": {"hours_utc": "25:00-26:00", "input_cost_per_token": 1}},
	"not": 3, "null": null}');
SELECT provider, model, action, reason FROM airun_import_prices((SELECT document FROM lists WHERE name = 'litellm'), effective_from => '2026-01-01Z') ORDER BY action, model COLLATE "C";
SELECT model, provider, source, aliases, rates, service_tiers, context_tiers, time_windows FROM airun.prices ORDER BY model COLLATE "C";
SELECT count(*), bool_and(raw = document -> model) FROM airun.prices, lists;
-- again: nothing changes, not even a row's place
CREATE TABLE seen AS SELECT ctid AS place, xmin::text AS writer, * FROM airun.prices;
SELECT action, count(*) FROM airun_import_prices((SELECT document FROM lists WHERE name = 'litellm'), effective_from => '2026-01-01Z') GROUP BY 1 ORDER BY 1;
SELECT action, count(*) FROM airun_import_prices((SELECT document FROM lists WHERE name = 'litellm')) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (SELECT ctid AS place, xmin::text AS writer, * FROM airun.prices EXCEPT TABLE seen) x;
-- one rate changes, one model comes, one goes, and one entry says more that is no price
UPDATE lists SET document = (document - 'units') || '{"zeta": {"litellm_provider": "z", "input_cost_per_token": 1e-6}}'
	|| jsonb_set(jsonb_build_object('alpha-1', document -> 'alpha-1'), '{alpha-1,output_cost_per_token}', '0.9e-5')
	|| jsonb_set(jsonb_build_object('beta-1', document -> 'beta-1'), '{beta-1,max_tokens}', '4');
SELECT provider, model, action, effective_from AT TIME ZONE 'UTC' FROM airun_import_prices((SELECT document FROM lists), effective_from => '2026-06-01Z') WHERE action IN ('added', 'changed') ORDER BY 2;
SELECT history(m) FROM unnest('{alpha-1,beta-1,units,zeta}'::text[]) m;
SELECT raw -> 'max_tokens' FROM airun.prices WHERE model = 'beta-1';
-- the price_id says which row it was
SELECT c.model, c.action, p.rates FROM airun_import_prices((SELECT document FROM lists), effective_from => '2026-06-01Z') c JOIN airun.prices p USING (price_id) WHERE c.model IN ('alpha-1', 'zeta') ORDER BY 1;

--
-- The list of genai-prices
--
DELETE FROM airun.prices;
UPDATE lists SET name = 'genai', document = '[
	{"id": "one", "name": "One", "provider_match": {"contains": "uno"}, "model_match": {"starts_with": "alpha"}, "fallback_model_providers": ["two"], "models": [
		{"id": "alpha-1", "match": {"equals": "alpha-1"}, "prices": {"input_mtok": 2.5, "output_mtok": "10", "cache_read_mtok": 0.333, "requests_kcount": 5}},
		{"id": "alpha-2", "match": {"or": [{"equals": "alpha-2"}, {"equals": "alpha-two"}, {"starts_with": "alpha-2-"}, {"regex": "^alpha-2@\\d+$"}]},
			"prices": {"input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}, {"start": 500000, "price": 9}]}, "output_mtok": {"base": 15, "tiers": [{"start": 200000, "price": 22.5}]}, "cache_read_mtok": 0.3}},
		{"id": "alpha-3", "match": {"starts_with": "alpha-3"}, "prices": [{"prices": {"input_mtok": 2}}, {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 3}}, {"constraint": {"start_date": "2026-09-01"}, "prices": {"input_mtok": 4}}]},
		{"id": "alpha-4", "match": {"equals": "alpha-4"}, "prices": [{"prices": {"input_mtok": 1, "cache_read_mtok": 0.1, "output_mtok": 4}}, {"constraint": {"start_time": "08:30:00+08:00", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 2, "output_mtok": 8}},
			{"constraint": {"start_date": "2026-09-01"}, "prices": {"input_mtok": 1.5}}]},
		{"id": "none", "match": {"equals": "none"}, "prices": {"tokens_per_furlong": 3}}, {"id": "negative", "match": {"equals": "n"}, "prices": {"input_mtok": -1}}, {"id": "unpriced", "match": {"equals": "n"}},
		{"id": "rule", "match": {"sounds_like": "n"}, "prices": {"input_mtok": 1}}, {"id": "regex", "match": {"regex": "(?<x>n)"}, "prices": {"input_mtok": 1}}, {"id": "tiers", "match": {"equals": "n"}, "prices": {"input_mtok": {"base": 1}}},
		{"id": "date", "match": {"equals": "n"}, "prices": [{"constraint": {"start_date": "2026-02-30"}, "prices": {"input_mtok": 1}}]}, {"id": "moon", "match": {"equals": "n"}, "prices": [{"constraint": {"phase": "full"}, "prices": {"input_mtok": 1}}]},
		{"id": "alpha-1", "match": {"equals": "again"}, "prices": {"input_mtok": 1}}, {"match": {"equals": "n"}, "prices": {"input_mtok": 1}}, 3]},
	{"id": "x-ai", "models": [{"id": "gamma", "match": {"contains": "gamma"}, "prices": {"input_mtok": {"base": 1, "tiers": [{"start": 128000, "price": 2}]}}}]},
	{"id": "empty"}, "three"]';
SELECT provider, model, action, reason FROM airun_import_prices((SELECT document FROM lists), effective_from => '2026-01-01Z') ORDER BY action, provider, model COLLATE "C";
SELECT model, provider, source, effective_from AT TIME ZONE 'UTC' AS since, effective_to AT TIME ZONE 'UTC' AS until, aliases, match_rule, rates, context_tiers, time_windows FROM airun.prices ORDER BY model COLLATE "C", effective_from;
SELECT DISTINCT provider, provider_rule FROM airun.prices ORDER BY 1;
SELECT action, count(*) FROM airun_import_prices((SELECT document FROM lists)) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM airun.prices;

-- what is no list
SELECT statement || E'\n  ' || answer('SELECT airun_import_prices(' || statement || ')') FROM unnest(ARRAY[
	'NULL', '''[]''', '''{}''', '''3''', '''"litellm"''', '''[{"models": 3}]''', '''{"a": {"price": 3}}''', '''{"a": {"mode": "chat"}}'', effective_from => ''infinity''', '''{"a": {"mode": "chat"}}'', effective_from => NULL',
	'''{"a": {"mode": "chat"}}'', source => repeat(''s'', 201)']) statement;

--
-- Who may
--
CREATE ROLE regress_airun_reader;
SELECT airun_grant('regress_airun_reader');
GRANT USAGE ON SCHEMA price_test TO regress_airun_reader;
SET ROLE regress_airun_reader;
SET airun.user_id = 'reader';
SELECT count(*) FROM airun.prices;
SELECT answer(s) FROM unnest(ARRAY[
	'SELECT airun_set_price(''m'', ''{}'')', 'SELECT airun_import_prices(''{"a": {"mode": "chat"}}'')', 'INSERT INTO airun.prices (model, rates) VALUES (''m'', ''{}'')',
	'UPDATE airun.prices SET rates = ''{}''', 'DELETE FROM airun.prices', 'TRUNCATE airun.prices', 'UPDATE airun.price_book SET version = gen_random_uuid()', 'DELETE FROM airun.price_book',
	'SELECT airun_price_changed()']) s;
RESET ROLE;
-- given the function, the table still refuses
GRANT EXECUTE ON FUNCTION airun_set_price TO regress_airun_reader;
SET ROLE regress_airun_reader;
SELECT answer('SELECT airun_set_price(''m'', ''{}'')');
RESET ROLE;
RESET airun.user_id;

--
-- The version: another one with every change, of whatever kind
--
CREATE TABLE versions (number serial, version uuid);
CREATE FUNCTION note_version() RETURNS void LANGUAGE sql AS 'INSERT INTO price_test.versions (version) SELECT version FROM airun.price_book';
SELECT note_version();
SELECT airun_set_price('v', '{"input": 1}', effective_from => '2026-01-01Z') IS NOT NULL;
SELECT note_version();
UPDATE airun.prices SET rates = '{"input": 2}' WHERE model = 'v';
SELECT note_version();
DELETE FROM airun.prices WHERE model = 'v';
SELECT note_version();
INSERT INTO airun.prices (model, rates) VALUES ('w', '{"input": 3}');
SELECT note_version();
TRUNCATE airun.prices;
SELECT note_version();
SELECT count(*), count(DISTINCT version) FROM versions;
SELECT count(*) FROM airun.price_book;
-- the trigger function is for that table, and as it is declared
CREATE TABLE prices (i int);
CREATE TRIGGER site AFTER INSERT ON prices FOR EACH STATEMENT EXECUTE FUNCTION airun_price_changed();
SELECT answer('INSERT INTO price_test.prices VALUES (1) RETURNING i');
CREATE TRIGGER site_row AFTER INSERT ON airun.prices FOR EACH ROW EXECUTE FUNCTION airun_price_changed();
SELECT answer('INSERT INTO airun.prices (model, rates) VALUES (''m'', ''{}'') RETURNING model');
DROP TRIGGER site_row ON airun.prices;
SELECT * FROM airun_check();

DROP SCHEMA price_test CASCADE;
DROP OWNED BY regress_airun_reader;
DROP ROLE regress_airun_reader;
DELETE FROM airun.prices;

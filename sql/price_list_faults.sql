--
-- What is wrong in a list of prices or a price of one's own: each model is left
-- out with its reason, and none takes the others of its list with it
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
BEGIN;

-- LiteLLM's: each with something wrong in tiers or hours, which "good" has right
WITH wrong (name, part) AS (VALUES
	('good', '{"tiered_pricing": [{"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, {"range": [1000, 1e18], "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6}]}'::jsonb),
	('tiers_no_array', '{"tiered_pricing": {"a": 1}}'),
	('tiers_null', '{"tiered_pricing": null}'),
	('limit_no_number', '{"tiered_pricing": [{"range": ["x", "y"], "input_cost_per_token": 1e-6}]}'),
	('limit_negative', '{"tiered_pricing": [{"range": [-1, 5], "input_cost_per_token": 1e-6}]}'),
	('limit_broken', '{"tiered_pricing": [{"range": [0, 10.5], "input_cost_per_token": 1e-6}, {"range": [10.5, 20], "input_cost_per_token": 1e-6}]}'),
	('hours_no_object', '{"off_peak_pricing": 7}'),
	('hours_null', '{"off_peak_pricing": null}'),
	('hours_no_string', '{"off_peak_pricing": {"hours_utc": 7, "input_cost_per_token": 1e-7}}'),
	('hours_no_times', '{"off_peak_pricing": {"hours_utc": "night", "input_cost_per_token": 1e-7}}'),
	('days_no_array', '{"off_peak_pricing": {"hours_utc": "16:30-00:30", "weekdays": 7, "input_cost_per_token": 1e-7}}'),
	('day_no_name', '{"off_peak_pricing": {"hours_utc": "16:30-00:30", "weekdays": ["Monday", "x"], "input_cost_per_token": 1e-7}}'),
	('days', '{"off_peak_pricing": {"hours_utc": "16:30-00:30", "weekdays": ["Mon", "sunday", 3], "input_cost_per_token": 1e-7}}'),
	('windows_no_array', '{"off_peak_pricing": {"windows": 7}}'),
	('window_no_object', '{"off_peak_pricing": {"windows": [7]}}'))
SELECT i.model, i.action, i.reason
FROM airun_import_prices((
	SELECT jsonb_object_agg(name, '{"litellm_provider": "cover", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}'::jsonb || part)
	FROM wrong), 'litellm', '2024-01-01') AS i
ORDER BY i.model COLLATE "C";

-- genai-prices'
WITH wrong (name, prices) AS (VALUES
	('good', '{"input_mtok": {"base": 1, "tiers": [{"start": 1000, "price": 2}]}, "output_mtok": 3}'::jsonb),
	('prices_no_object', '7'),
	('one_no_object', '[7]'),
	('one_without', '[{"constraint": {"start_date": "2024-06-01"}}]'),
	('constraint_no_object', '[{"constraint": 7, "prices": {"input_mtok": 1}}]'),
	('constraint_no_date', '[{"constraint": {"start_date": "soon"}, "prices": {"input_mtok": 1}}]'),
	('constraint_no_times', '[{"constraint": {"start_time": "00:30", "end_time": "late"}, "prices": {"input_mtok": 1}}]'),
	('tier_without_price', '{"input_mtok": {"base": 1, "tiers": [{"start": 1000}]}}'),
	('tier_out_of_range', '{"input_mtok": {"base": 1, "tiers": [{"start": -1, "price": 2}]}}'),
	('rate_no_number', '{"input_mtok": "cheap"}'),
	('too_many', (SELECT jsonb_agg('{"prices": {"input_mtok": 1}}'::jsonb) FROM generate_series(1, 2000))))
SELECT i.model, i.action, i.reason
FROM airun_import_prices(jsonb_build_array(jsonb_build_object('id', 'cover2', 'models', (
	SELECT jsonb_agg(jsonb_build_object('id', name, 'match', jsonb_build_object('equals', name), 'prices', prices))
	FROM wrong))), 'genai', '2024-01-01') AS i
ORDER BY i.model COLLATE "C";

-- A price of one's own
CREATE FUNCTION pg_temp.refused(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE format('SELECT airun_set_price(%s)', arguments);
	RETURN 'taken: ' || arguments;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' / ', SQLSTATE, SQLERRM, nullif(detail, ''));
END $$;
SELECT pg_temp.refused(a) FROM unnest(ARRAY[
	$$'m', '[]'$$,
	$$'m', '{"input": "NaN"}'$$,
	$$'m', '{"input": 1}', service_tiers => '[]'$$,
	$$'m', '{"input": 1}', context_tiers => '{}'$$,
	$$'m', '{"input": 1}', context_tiers => '[{"above": "x", "rates": {"input": 1}}]'$$,
	$$'m', '{"input": 1}', context_tiers => (SELECT jsonb_agg(jsonb_build_object('above', n, 'rates', '{"input": 1}'::jsonb)) FROM generate_series(1, 1000) AS n)$$,
	$$'m', '{"input": 1}', time_windows => '{}'$$,
	$$'m', '{"input": 1}', time_windows => '[7]'$$,
	$$'m', '{"input": 1}', time_windows => '[{"start": "00:30", "end": "16:30", "weekdays": 7, "rates": {"input": 1}}]'$$,
	$$'m', '{"input": 1}', time_windows => (SELECT jsonb_agg('{"start": "00:30", "end": "16:30", "rates": {"input": 1}}'::jsonb) FROM generate_series(1, 1000))$$,
	$$'m', '{"input": 1}', match_rule => (SELECT jsonb_build_object('or', jsonb_agg('{"equals": "x"}'::jsonb)) FROM generate_series(1, 5000))$$
]) AS a;

-- No time before which
DO $$BEGIN PERFORM airun_purge_runs(NULL); EXCEPTION WHEN OTHERS THEN RAISE EXCEPTION '% %', SQLSTATE, SQLERRM; END$$;
ROLLBACK;

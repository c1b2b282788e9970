/*
 * move_bucket.sql: a bucket moves from one shard to another
 *
 * airun_move_bucket() runs on the proxy and copies all that belongs to the users of
 * a bucket while they go on: first everything, then, with the bucket closed at its
 * source, the runs that differ.  Closing waits for the calls that are at work there
 * (shard_call.c); those that come are refused with PT421, and repeated by the proxy
 * until the map says where the bucket is now.
 *
 * What is guaranteed: each write that was acknowledged is at the target, once.  The
 * map is changed only when both sides are equal, run by run, and airun_check() of
 * these runs finds nothing.  A move that was interrupted, wherever, is taken up by
 * calling it again: what is equal already is not copied again.
 *
 * What a user has of budgets of his own goes along: their counters are the same rows
 * there, since budgets have the same ids on all shards.  Of other budgets, which are a
 * shard's own, what has been spent stays where it was spent.
 *
 * The ledger is only ever added to.  So the charges of the bucket's users are entered
 * at the target, and taken back at the source by entries with the opposite sign.
 *
 * Rows are written with triggers at rest, since they bring their times and totals:
 * the role that moves needs SET on session_replication_role, or is a superuser.
 *
 * Locks: at the source the bucket, exclusively, for as long as calls are at work.
 */

/* 55000 where this database is no proxy */
CREATE FUNCTION @extschema@.airun_store_require_proxy() RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $require$
BEGIN
	IF to_regclass('airun_remote.shards') IS NULL THEN
		RAISE EXCEPTION 'database "%" is no proxy', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'airun_install_proxy() makes one.';
	END IF;
END
$require$;
COMMENT ON FUNCTION @extschema@.airun_store_require_proxy() IS
'Refuses where this database is no proxy';

/* Stands for the calls of a bucket, which have no run */
CREATE FUNCTION @extschema@.airun_store_no_run() RETURNS uuid
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $no$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $no$;
COMMENT ON FUNCTION @extschema@.airun_store_no_run() IS
'The id that stands for the calls of a bucket, which have no run';

/* What a shard does when a bucket moves; called by airun_install_shard() */
CREATE FUNCTION @extschema@.airun_store_make_mover() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $make$
BEGIN
	/* The tables whose rows belong to a run, parents first */
	CREATE OR REPLACE VIEW airun_remote.run_tables AS
	SELECT t.name::name, t.key::name, t.place
	FROM (VALUES ('runs', 'id', 1), ('messages', 'run_id', 2), ('message_versions', 'run_id', 3),
		('tasks', 'run_id', 4), ('task_chunks', 'run_id', 5)) AS t (name, key, place);

	CREATE OR REPLACE FUNCTION airun_remote.runs_of(bucket integer) RETURNS SETOF uuid
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $runs$ SELECT r.id FROM airun.runs AS r WHERE @extschema@.airun_bucket(r.user_id) = $1 $runs$;

	/* A hash of each run with all that belongs to it, and one of the calls, under the id of zeros */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_hashes(_shard integer, bucket integer)
		RETURNS TABLE (run_id uuid, hash numeric)
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $hashes$
	DECLARE
		parts text;
	BEGIN
		SELECT string_agg(format('SELECT x.%I AS id, hashtextextended(%L || (to_jsonb(x) - ''holds'')::text, 0) AS h'
			' FROM airun.%I AS x WHERE x.%1$I IN (SELECT airun_remote.runs_of($1))', t.key, t.name, t.name), ' UNION ALL ')
		INTO parts FROM airun_remote.run_tables AS t;
		RETURN QUERY EXECUTE format('SELECT p.id, sum(p.h) FROM (%s) AS p GROUP BY p.id UNION ALL'
			' SELECT %L, sum(hashtextextended((to_jsonb(c) - ''holds'')::text, 0)) FROM airun.calls AS c'
			' WHERE @extschema@.airun_bucket(c.user_id) = $1 HAVING count(*) > 0', parts, @extschema@.airun_store_no_run())
			USING bucket;
	END
	$hashes$;

	/* Rows of runs, or of the bucket's calls (no runs), with their table */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_rows(_shard integer, bucket integer, runs uuid[])
		RETURNS TABLE (name text, row_data jsonb)
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $rows$
	DECLARE
		parts text;
	BEGIN
		IF runs IS NULL THEN
			RETURN QUERY SELECT 'calls', to_jsonb(c) FROM airun.calls AS c
			WHERE @extschema@.airun_bucket(c.user_id) = $2;
			RETURN;
		END IF;
		SELECT string_agg(format('SELECT %L, to_jsonb(x) FROM airun.%I AS x WHERE x.%I = ANY ($1)',
			t.name, t.name, t.key), ' UNION ALL ' ORDER BY t.place)
		INTO parts FROM airun_remote.run_tables AS t;
		RETURN QUERY EXECUTE parts USING runs;
	END
	$rows$;

	/* Put rows in the place of what is there of these runs, or of the bucket's calls */
	CREATE OR REPLACE FUNCTION airun_remote.put_rows(_shard integer, bucket integer, runs uuid[],
													 names text[], rows_data jsonb[])
		RETURNS bigint
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $put$
	DECLARE
		item record;
		columns text;
	BEGIN
		PERFORM airun_remote.drop_rows($1, $2, $3);
		PERFORM set_config('session_replication_role', 'replica', true);
		FOR item IN
			SELECT n AS name, array_agg(r) AS rows
			FROM unnest(names, rows_data) AS x (n, r)
			LEFT JOIN airun_remote.run_tables AS t ON t.name = n
			GROUP BY n, t.place ORDER BY t.place
		LOOP
			SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
			FROM pg_attribute AS a
			WHERE a.attrelid = format('airun.%I', item.name)::regclass AND a.attnum > 0
				AND NOT a.attisdropped AND a.attgenerated = '';
			EXECUTE format('INSERT INTO airun.%1$I (%2$s) OVERRIDING SYSTEM VALUE'
				' SELECT %2$s FROM unnest($1) AS u, jsonb_populate_record(NULL::airun.%1$I, u) AS r',
				item.name, columns) USING item.rows;
		END LOOP;
		RETURN cardinality(names);
	END
	$put$;

	/* Remove runs, or the bucket's calls */
	CREATE OR REPLACE FUNCTION airun_remote.drop_rows(_shard integer, bucket integer, runs uuid[]) RETURNS bigint
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $drop$
	DECLARE
		item record;
	BEGIN
		PERFORM set_config('session_replication_role', 'replica', true);
		IF runs IS NULL THEN
			DELETE FROM airun.calls AS c WHERE @extschema@.airun_bucket(c.user_id) = $2;
			RETURN 0;
		END IF;
		FOR item IN SELECT t.* FROM airun_remote.run_tables AS t ORDER BY t.place DESC LOOP
			EXECUTE format('DELETE FROM airun.%I WHERE %I = ANY ($1)', item.name, item.key) USING runs;
		END LOOP;
		RETURN cardinality(runs);
	END
	$drop$;

	/* Remove runs that have moved, as if they were deleted: what they hold of budgets is released */
	CREATE OR REPLACE FUNCTION airun_remote.remove_moved(_shard integer, bucket integer, runs uuid[]) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $remove$
	BEGIN
		DELETE FROM airun.runs AS r WHERE r.id = ANY (runs);
		DELETE FROM airun.calls AS c WHERE runs IS NULL AND @extschema@.airun_bucket(c.user_id) = $2;
	END
	$remove$;

	/* The counters of budgets that the bucket's users have each to themselves */
	CREATE OR REPLACE VIEW airun_remote.user_counters AS
	SELECT p.id, b.name, @extschema@.airun_bucket(CASE WHEN b.scope = 'user' THEN NULLIF(p.value, '')::uuid END) AS bucket
	FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
	WHERE b.scope = 'user';

	CREATE OR REPLACE FUNCTION airun_remote.bucket_counters(_shard integer, bucket integer) RETURNS SETOF jsonb
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $counters$
	SELECT to_jsonb(p) || jsonb_build_object('name', u.name)
	FROM airun_remote.user_counters AS u JOIN airun.budget_periods AS p ON p.id = u.id
	WHERE u.bucket = $2
	$counters$;

	/* Put counters in the place of those that are here; rows hold of no others any more */
	CREATE OR REPLACE FUNCTION airun_remote.put_counters(_shard integer, bucket integer, counters jsonb[]) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $put$
	DECLARE
		item record;
	BEGIN
		PERFORM set_config('session_replication_role', 'replica', true);
		DELETE FROM airun.budget_periods AS p USING airun_remote.user_counters AS u WHERE u.id = p.id AND u.bucket = $2;
		INSERT INTO airun.budget_periods
		SELECT r.* FROM unnest(counters) AS c, jsonb_populate_record(NULL::airun.budget_periods, c) AS r
		WHERE EXISTS (SELECT FROM airun.budgets AS b WHERE b.id = r.budget_id AND b.name = c ->> 'name');
		FOR item IN
			SELECT * FROM (VALUES ('tasks', 'x.run_id IN (SELECT airun_remote.runs_of($1))'),
				('calls', '@extschema@.airun_bucket(x.user_id) = $1')) AS t (name, condition)
		LOOP
			EXECUTE format('UPDATE airun.%I AS x SET holds = (SELECT NULLIF(jsonb_agg(h), ''[]'')::text'
				' FROM jsonb_array_elements(x.holds::jsonb) AS h'
				' WHERE EXISTS (SELECT FROM airun.budget_periods AS p WHERE p.id = (h ->> 0)::bigint))'
				' WHERE x.holds IS NOT NULL AND %s', item.name, item.condition) USING bucket;
		END LOOP;
	END
	$put$;

	/* The columns of entries, and whether each is a figure, which has a sign */
	CREATE OR REPLACE VIEW airun_remote.entry_columns AS
	SELECT quote_ident(a.attname) AS name, a.attnum AS place,
		a.attname = ANY ('{calls,tokens_input,tokens_cache_read,tokens_cache_write,tokens_output,cost,first_token_us,total_us}') AS is_figure
	FROM pg_attribute AS a
	WHERE a.attrelid = 'airun.usage_tail'::regclass AND a.attnum > 0 AND NOT a.attisdropped;

	/* What the entries of the bucket's users come to, by charge */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_entries(_shard integer, bucket integer)
		RETURNS SETOF jsonb
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $entries$
	DECLARE
		words text;
		sums text;
	BEGIN
		SELECT string_agg(c.name, ', ' ORDER BY c.place) FILTER (WHERE NOT c.is_figure),
			string_agg(format('sum(%1$s) AS %1$s', c.name), ', ' ORDER BY c.place) FILTER (WHERE c.is_figure)
		INTO words, sums FROM airun_remote.entry_columns AS c;
		RETURN QUERY EXECUTE format('SELECT to_jsonb(e) FROM (SELECT %1$s, %2$s'
			' FROM (SELECT * FROM airun.usage_tail UNION ALL SELECT * FROM airun.usage_ledger) AS l'
			' WHERE @extschema@.airun_bucket(l.user_id) = $1'
			' GROUP BY %1$s, cost IS NULL HAVING sum(l.calls) <> 0 OR COALESCE(sum(l.cost), 0) <> 0) AS e', words, sums)
			USING bucket;
	END
	$entries$;

	/* Add entries, with a sign */
	CREATE OR REPLACE FUNCTION airun_remote.add_entries(_shard integer, entries jsonb[], sign integer) RETURNS bigint
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $add$
	DECLARE
		columns text;
		signed text;
		added bigint;
	BEGIN
		SELECT string_agg(c.name, ', ' ORDER BY c.place),
			string_agg('r.' || c.name || CASE WHEN c.is_figure THEN ' * $2' ELSE '' END, ', ' ORDER BY c.place)
		INTO columns, signed FROM airun_remote.entry_columns AS c;
		EXECUTE format('INSERT INTO airun.usage_tail (%s) SELECT %s'
			' FROM unnest($1) AS u, jsonb_populate_record(NULL::airun.usage_tail, u) AS r', columns, signed)
			USING entries, sign;
		GET DIAGNOSTICS added = ROW_COUNT;
		RETURN added;
	END
	$add$;

	/* Let no call in any more, and wait for those that are at work */
	CREATE OR REPLACE FUNCTION airun_remote.close_bucket(_shard integer, bucket integer) RETURNS boolean
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $close$
	BEGIN
		UPDATE airun_remote.buckets AS b SET is_moving = true WHERE b.bucket = $2;
		RETURN FOUND;
	END
	$close$;

	CREATE OR REPLACE FUNCTION airun_remote.wait_for_calls(_shard integer, bucket integer) RETURNS void
		LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $wait$ SELECT pg_advisory_xact_lock(1634300533, $2) $wait$;

	/* Take a bucket up, or give it up */
	CREATE OR REPLACE FUNCTION airun_remote.take_buckets(_shard integer, taken integer[]) RETURNS bigint
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $take$
	DECLARE
		added bigint;
	BEGIN
		INSERT INTO airun_remote.buckets AS b (bucket) SELECT unnest(taken)
		ON CONFLICT (bucket) DO UPDATE SET is_moving = false;
		GET DIAGNOSTICS added = ROW_COUNT;
		RETURN added;
	END
	$take$;

	CREATE OR REPLACE FUNCTION airun_remote.give_bucket(_shard integer, bucket integer) RETURNS void
		LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $give$ DELETE FROM airun_remote.buckets AS b WHERE b.bucket = $2 $give$;

	CREATE OR REPLACE FUNCTION airun_remote.check_bucket(_shard integer, bucket integer) RETURNS bigint
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $check$ SELECT count(*) FROM airun_remote.runs_of($2) AS r, @extschema@.airun_check(r) $check$;
END
$make$;
COMMENT ON FUNCTION @extschema@.airun_store_make_mover() IS
'Makes what a shard does when a bucket moves; called by airun_install_shard()';

/* The same names on the proxy, which call there; called by airun_install_proxy() */
CREATE FUNCTION @extschema@.airun_store_make_remote_mover() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $make$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT * FROM (VALUES
			('bucket_hashes', 'bucket integer', 'TABLE (run_id uuid, hash numeric)'),
			('bucket_rows', 'bucket integer, runs uuid[]', 'TABLE (name text, row_data jsonb)'),
			('put_rows', 'bucket integer, runs uuid[], names text[], rows_data jsonb[]', 'bigint'),
			('drop_rows', 'bucket integer, runs uuid[]', 'bigint'),
			('remove_moved', 'bucket integer, runs uuid[]', 'void'),
			('bucket_counters', 'bucket integer', 'SETOF jsonb'),
			('put_counters', 'bucket integer, counters jsonb[]', 'void'),
			('bucket_entries', 'bucket integer', 'SETOF jsonb'),
			('add_entries', 'entries jsonb[], sign integer', 'bigint'),
			('close_bucket', 'bucket integer', 'boolean'),
			('wait_for_calls', 'bucket integer', 'void'),
			('take_buckets', 'taken integer[]', 'bigint'),
			('give_bucket', 'bucket integer', 'void'),
			('check_bucket', 'bucket integer', 'bigint')) AS f (name, arguments, result)
	LOOP
		EXECUTE format('CREATE OR REPLACE FUNCTION airun_remote.%I(_shard integer, %s) RETURNS %s'
			' LANGUAGE plproxy AS %L', item.name, item.arguments, item.result,
			'CLUSTER ''airun''; RUN ON $1;');
	END LOOP;
END
$make$;
COMMENT ON FUNCTION @extschema@.airun_store_make_remote_mover() IS
'Makes what a proxy calls when a bucket moves; called by airun_install_proxy()';

/* Make the target's runs equal to the source's; returns how many differed */
CREATE FUNCTION @extschema@.airun_store_copy_bucket(bucket integer, source integer, target integer) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $copy$
DECLARE
	no_run uuid := @extschema@.airun_store_no_run();
	differing uuid[];
	calls_differ boolean;
	gone uuid[];
	batch uuid[];
BEGIN
	SELECT array_agg(s.run_id) FILTER (WHERE s.run_id <> no_run AND s.hash IS DISTINCT FROM t.hash),
		array_agg(t.run_id) FILTER (WHERE t.run_id <> no_run AND s.run_id IS NULL),
		bool_or(COALESCE(s.run_id, t.run_id) = no_run AND s.hash IS DISTINCT FROM t.hash)
	INTO differing, gone, calls_differ
	FROM airun_remote.bucket_hashes(source, $1) AS s
	FULL JOIN airun_remote.bucket_hashes(target, $1) AS t ON t.run_id = s.run_id;
	IF gone IS NOT NULL THEN
		PERFORM airun_remote.drop_rows(target, $1, gone);
	END IF;
	FOR i IN 0..(COALESCE(cardinality(differing), 0) - 1) / 50 LOOP
		batch := differing[i * 50 + 1:i * 50 + 50];
		EXIT WHEN COALESCE(cardinality(batch), 0) = 0;
		PERFORM airun_remote.put_rows(target, $1, batch, r.names, r.rows)
		FROM (SELECT array_agg(x.name) AS names, array_agg(x.row_data) AS rows
			  FROM airun_remote.bucket_rows(source, $1, batch) AS x) AS r
		WHERE r.names IS NOT NULL;
	END LOOP;
	IF calls_differ THEN
		PERFORM airun_remote.put_rows(target, $1, NULL, COALESCE(r.names, '{}'), COALESCE(r.rows, '{}'))
		FROM (SELECT array_agg(x.name) AS names, array_agg(x.row_data) AS rows
			  FROM airun_remote.bucket_rows(source, $1, NULL) AS x) AS r;
	END IF;
	RETURN COALESCE(cardinality(differing), 0) + COALESCE(cardinality(gone), 0)
		+ COALESCE(calls_differ, false)::integer;
END
$copy$;
COMMENT ON FUNCTION @extschema@.airun_store_copy_bucket(integer, integer, integer) IS
'Makes a shard''s copy of a bucket equal to another shard''s; called by airun_move_bucket()';

/* The last step of a move: the source gives up what the map says is elsewhere */
CREATE FUNCTION @extschema@.airun_store_clear_bucket(bucket integer, source integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $clear$
DECLARE
	runs uuid[];
	entries jsonb[];
BEGIN
	runs := ARRAY(SELECT h.run_id FROM airun_remote.bucket_hashes(source, $1) AS h WHERE h.run_id <> @extschema@.airun_store_no_run());
	FOR i IN 0..(cardinality(runs) - 1) / 50 LOOP
		PERFORM airun_remote.remove_moved(source, $1, runs[i * 50 + 1:i * 50 + 50]);
	END LOOP;
	PERFORM airun_remote.remove_moved(source, $1, NULL);
	PERFORM airun_remote.put_counters(source, $1, '{}');
	entries := ARRAY(SELECT e FROM airun_remote.bucket_entries(source, $1) AS e);
	PERFORM airun_remote.add_entries(source, entries, -1);
	PERFORM airun_remote.give_bucket(source, $1);
END
$clear$;
COMMENT ON FUNCTION @extschema@.airun_store_clear_bucket(integer, integer) IS
'Removes from a shard what has moved to another one; called by airun_move_bucket()';

/*
 * A procedure, since the map has to be committed before the source is cleared.  It
 * can have no search_path of its own then, so that all names are qualified.
 */
CREATE PROCEDURE @extschema@.airun_move_bucket(bucket bigint, shard bigint)
	LANGUAGE plpgsql
AS $move$
DECLARE
	number pg_catalog.int4 := bucket;
	target pg_catalog.int4 := shard;
	source pg_catalog.int4;
	held pg_catalog.int4[];
	began pg_catalog.timestamptz;
	item pg_catalog.record;
	there pg_catalog.jsonb[];
	problems pg_catalog.int8;
BEGIN
	PERFORM @extschema@.airun_store_require_proxy();
	IF COALESCE(NOT bucket OPERATOR(pg_catalog.<@) pg_catalog.int8range(0, 4096), true) THEN
		RAISE EXCEPTION 'there is no bucket %', bucket
			USING ERRCODE = 'PT422', HINT = 'Buckets are counted from 0 to 4095.';
	END IF;
	IF NOT EXISTS (SELECT FROM airun_remote.shards AS s WHERE s.shard OPERATOR(pg_catalog.=) target) THEN
		RAISE EXCEPTION 'there is no shard %', shard
			USING ERRCODE = 'PT422', HINT = 'airun_shards() shows them.';
	END IF;
	IF NOT pg_catalog.pg_try_advisory_xact_lock(1634300534, number) THEN
		RAISE EXCEPTION 'bucket % is being moved', bucket
			USING ERRCODE = 'object_in_use';
	END IF;
	source := (SELECT b.shard FROM airun_remote.buckets AS b WHERE b.bucket OPERATOR(pg_catalog.=) number);
	IF source OPERATOR(pg_catalog.<>) target THEN
		PERFORM @extschema@.airun_store_copy_bucket(number, source, target);
		began := pg_catalog.clock_timestamp();
		PERFORM airun_remote.close_bucket(source, number);
		PERFORM airun_remote.wait_for_calls(source, number);
		PERFORM @extschema@.airun_store_copy_bucket(number, source, target);
		IF @extschema@.airun_store_copy_bucket(number, source, target) OPERATOR(pg_catalog.>) 0 THEN
			RAISE EXCEPTION 'bucket % differs on shards % and %', bucket, source, shard
				USING ERRCODE = 'data_exception',
					HINT = 'Somebody writes there past airun.  The bucket stays closed until it has been moved.';
		END IF;
		problems := airun_remote.check_bucket(target, number);
		IF problems OPERATOR(pg_catalog.>) 0 THEN
			RAISE EXCEPTION 'airun_check() finds % problems of bucket % on shard %', problems, bucket, shard
				USING ERRCODE = 'data_exception',
					HINT = 'Call airun_check() on the shard the bucket comes from.  The bucket stays closed until it has been moved.';
		END IF;
		/* What an earlier try has entered there already is taken back first */
		there := ARRAY(SELECT e FROM airun_remote.bucket_entries(target, number) AS e);
		PERFORM airun_remote.add_entries(target, there, -1);
		there := ARRAY(SELECT e FROM airun_remote.bucket_entries(source, number) AS e);
		PERFORM airun_remote.add_entries(target, there, 1);
		there := ARRAY(SELECT c FROM airun_remote.bucket_counters(source, number) AS c);
		PERFORM airun_remote.put_counters(target, number, there);
		PERFORM airun_remote.take_buckets(target, ARRAY[number]);
		UPDATE airun_remote.buckets AS b SET shard = target
		WHERE b.bucket OPERATOR(pg_catalog.=) number;
		COMMIT;
		PERFORM pg_catalog.pg_advisory_xact_lock(1634300534, number);
		RAISE NOTICE 'bucket % is on shard %; it was closed for % ms', bucket, shard,
			pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) began)
							 OPERATOR(pg_catalog.*) 1000);
	END IF;
	/* Shards that have it still: the one it comes from, or one of a move that broke off here */
	FOR item IN SELECT s.shard FROM airun_remote.shards AS s WHERE s.shard OPERATOR(pg_catalog.<>) target LOOP
		held := (SELECT s.buckets FROM airun_remote.status(item.shard) AS s);
		IF number OPERATOR(pg_catalog.=) ANY (held) THEN
			PERFORM @extschema@.airun_store_clear_bucket(number, item.shard);
		END IF;
	END LOOP;
END
$move$;
COMMENT ON PROCEDURE @extschema@.airun_move_bucket(bigint, bigint) IS
'Moves a bucket, with all that belongs to its users, to another shard, while they go on; taken up again by calling it again. For the owner of the proxy';

CREATE FUNCTION @extschema@.airun_shards()
	RETURNS SETOF @extschema@.ai_shard
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $shards$
DECLARE
	item record;
	held integer[];
	row @extschema@.ai_shard;
BEGIN
	PERFORM @extschema@.airun_store_require_proxy();
	FOR item IN
		SELECT s.shard, s.connection, ARRAY(SELECT b.bucket FROM airun_remote.buckets AS b
											WHERE b.shard = s.shard ORDER BY 1) AS map
		FROM airun_remote.shards AS s ORDER BY 1
	LOOP
		row := (item.shard, item.connection, cardinality(item.map), NULL, NULL, NULL, NULL);
		BEGIN
			SELECT s.buckets, s.moving, s.runs, s.bytes INTO held, row.moving, row.runs, row.bytes
			FROM airun_remote.status(item.shard) AS s;
			row.problem := CASE
				WHEN NOT item.map <@ COALESCE(held, '{}') THEN 'lacks buckets that the map has here'
				WHEN NOT COALESCE(held, '{}') <@ item.map THEN 'has buckets that the map has elsewhere' END;
		EXCEPTION WHEN OTHERS THEN
			row.problem := SQLERRM;
		END;
		RETURN NEXT row;
	END LOOP;
END
$shards$;
COMMENT ON FUNCTION @extschema@.airun_shards() IS
'The shards of a proxy: how many buckets the map has there, their size, and what is wrong with each. For the owner of the proxy';

/* Spread the buckets evenly, one move after another; called again, it goes on */
CREATE PROCEDURE @extschema@.airun_spread_buckets()
	LANGUAGE plpgsql
AS $spread$
DECLARE
	item pg_catalog.record;
	total pg_catalog.int8;
	done pg_catalog.int8 := 0;
BEGIN
	PERFORM @extschema@.airun_store_require_proxy();
	CREATE TEMPORARY TABLE IF NOT EXISTS airun_spread (bucket pg_catalog.int8, shard pg_catalog.int8);
	TRUNCATE pg_temp.airun_spread;
	/* Each shard keeps its fair share; the rest fills those that have less */
	INSERT INTO pg_temp.airun_spread
	WITH fair AS (
		SELECT s.shard, 4096 OPERATOR(pg_catalog./) n.count
			OPERATOR(pg_catalog.+) (CASE WHEN s.shard OPERATOR(pg_catalog.<) (4096 OPERATOR(pg_catalog.%) n.count) THEN 1 ELSE 0 END) AS share
		FROM airun_remote.shards AS s, (SELECT pg_catalog.count(*) FROM airun_remote.shards) AS n
	), placed AS (
		SELECT b.bucket, b.shard, pg_catalog.row_number() OVER (PARTITION BY b.shard ORDER BY b.bucket) AS place
		FROM airun_remote.buckets AS b
	), rest AS (
		SELECT p.bucket, pg_catalog.row_number() OVER (ORDER BY p.bucket) AS number
		FROM placed AS p JOIN fair AS f ON f.shard OPERATOR(pg_catalog.=) p.shard
		WHERE p.place OPERATOR(pg_catalog.>) f.share
	), free AS (
		SELECT f.shard, pg_catalog.row_number() OVER (ORDER BY g.i, f.shard) AS number
		FROM fair AS f, LATERAL pg_catalog.generate_series((SELECT pg_catalog.count(*) FROM placed AS p
			WHERE p.shard OPERATOR(pg_catalog.=) f.shard) OPERATOR(pg_catalog.+) 1, f.share) AS g (i)
	)
	SELECT r.bucket, f.shard FROM rest AS r JOIN free AS f ON f.number OPERATOR(pg_catalog.=) r.number;
	total := (SELECT pg_catalog.count(*) FROM pg_temp.airun_spread);
	COMMIT;
	FOR item IN SELECT * FROM pg_temp.airun_spread ORDER BY bucket LOOP
		CALL @extschema@.airun_move_bucket(item.bucket, item.shard);
		done := done OPERATOR(pg_catalog.+) 1;
		RAISE NOTICE '% %', pg_catalog.rpad(pg_catalog.repeat('#', (done OPERATOR(pg_catalog.*) 50 OPERATOR(pg_catalog./) total)::pg_catalog.int4), 50, '.'),
			pg_catalog.format('%s of %s buckets', done, total);
	END LOOP;
END
$spread$;
COMMENT ON PROCEDURE @extschema@.airun_spread_buckets() IS
'Spreads the buckets evenly over the shards by moving as few as possible; goes on when called again. For the owner of the proxy';

/*
 * move_bucket.sql: a bucket moves from one shard to another
 *
 * airun_move_bucket() runs on the proxy and copies all that belongs to the users of
 * a bucket while they go on: first everything, then, again and again, the blocks that
 * differ (move_shard.sql), until these are few.  Then the bucket is closed at its source,
 * once the calls that are at work there have ended (shard_call.c), and what still differs
 * is copied; calls that come are refused with PT421, and repeated by the proxy until the
 * map says where the bucket is now.
 *
 * What is guaranteed: each write that was acknowledged is at the target, once.  The
 * map is changed only when both sides are equal, block by block, and airun_check() of
 * the bucket's runs finds nothing.  Where something fails, or the move is cancelled, the
 * bucket is opened again where it was.  A move that was killed, wherever, is taken up by
 * calling it again: what is equal already is not copied again.
 *
 * What a user has of budgets of his own goes along, and what a run has: their counters
 * are the same rows there, since budgets have the same ids on all shards.  Of other
 * budgets, which are a shard's own, what has been spent stays where it was spent.
 *
 * Locks: on the proxy that of the move, so that there is one of a bucket at a time; at
 * the source the bucket, exclusively (move_shard.sql).
 */

/* 55000 where this database is no proxy */
CREATE FUNCTION @extschema@.airun_store_require_proxy() RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $require$
BEGIN
	IF to_regclass('airun_remote.shards') IS NULL THEN
		RAISE EXCEPTION 'database "%" is no proxy', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'airun_install_proxy() makes one.';
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
			('bucket_state', 'bucket integer', 'TABLE (state text, shape text)'),
			('bucket_hashes', 'bucket integer, arriving boolean',
			 'TABLE (name text, run_id uuid, block bigint, hash numeric, bytes bigint)'),
			('block_rows', 'bucket integer, names text[], runs uuid[], blocks bigint[]',
			 'TABLE (name text, row_data jsonb)'),
			('drop_blocks', 'bucket integer, names text[], runs uuid[], blocks bigint[]', 'void'),
			('put_rows', 'bucket integer, runs uuid[], names text[], rows_data jsonb[]', 'void'),
			('check_runs', 'bucket integer, runs uuid[]', 'SETOF uuid'),
			('drop_copy', 'bucket integer, at_most integer', 'bigint'),
			('bucket_counters', 'bucket integer', 'SETOF jsonb'),
			('await_writers', 'max_wait integer', 'boolean'),
			('close_bucket', 'bucket integer, max_wait integer', 'boolean'),
			('take_buckets', 'taken integer[]', 'bigint'),
			('arrive', 'bucket integer, counters jsonb[], checksum numeric', 'boolean'),
			('undo_arrival', 'bucket integer', 'void'),
			('leave_bucket', 'bucket integer', 'uuid[]'),
			('forget_move', 'bucket integer', 'void')) AS f (name, arguments, result)
	LOOP
		/* One of an older version can have another result */
		EXECUTE COALESCE((SELECT string_agg(format('DROP FUNCTION %s', p.oid::regprocedure), '; ')
			FROM pg_proc AS p
						  WHERE p.pronamespace = 'airun_remote'::regnamespace
						  AND p.proname = item.name), 'SELECT');
		EXECUTE format('CREATE FUNCTION airun_remote.%I(_shard integer, %s) RETURNS %s'
			' LANGUAGE plproxy AS %L', item.name, item.arguments, item.result,
			'CLUSTER ''airun''; RUN ON $1;');
	END LOOP;
END
$make$;
COMMENT ON FUNCTION @extschema@.airun_store_make_remote_mover() IS
'Makes what a proxy calls when a bucket moves; called by airun_install_proxy()';

/* Look what a shard has of a bucket that it is to get, which only copying changes */
CREATE FUNCTION @extschema@.airun_store_look_at_target(bucket integer, target integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $look$
BEGIN
	IF to_regclass('pg_temp.airun_target') IS NULL THEN
		CREATE TEMPORARY TABLE airun_target (name text, run_id uuid, block bigint,
			hash numeric) ON COMMIT DROP;
	END IF;
	TRUNCATE pg_temp.airun_target;
	INSERT INTO pg_temp.airun_target
	SELECT t.name, t.run_id, t.block, t.hash
		FROM airun_remote.bucket_hashes(target, $1, true) AS t;
END
$look$;
COMMENT ON FUNCTION @extschema@.airun_store_look_at_target(integer, integer) IS
'Keeps the hashes of what a shard has of a bucket, for airun_move_bucket()';

/*
 * Make the target's blocks equal to the source's, as the target was looked at last.
 * Returns the runs of the blocks that differed, how many bytes were copied, and the sum of the
 * hashes of all of the source's blocks.
 */
CREATE FUNCTION @extschema@.airun_store_copy_bucket(bucket integer, source integer, target integer,
	OUT runs uuid[], OUT bytes bigint, OUT checksum numeric)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $copy$
DECLARE
	/* Those to be removed, and those to be copied, in batches of some megabytes, runs first */
	gone record;
	names text[];
	blocks bigint[];
	sizes bigint[];
	batches bigint[];
	are_there boolean[];
	batch record;
BEGIN
	WITH sources AS MATERIALIZED (
		SELECT s.* FROM airun_remote.bucket_hashes(source, $1, false) AS s
	), pairs AS MATERIALIZED (
		SELECT COALESCE(s.name, t.name) AS name, COALESCE(s.run_id, t.run_id) AS run_id,
			COALESCE(s.block, t.block) AS block, s.bytes, t.hash IS NOT NULL AS is_there
		FROM sources AS s
		FULL JOIN pg_temp.airun_target AS t ON t.run_id = s.run_id AND t.block = s.block
			AND t.name = s.name
		WHERE s.hash IS DISTINCT FROM t.hash
	), ordered AS (
		SELECT p.*, sum(p.bytes) OVER (ORDER BY p.name <> 'runs', p.run_id, p.name,
			p.block) / 4000000 AS batch
		FROM pairs AS p
	)
	SELECT array_agg(o.name), array_agg(o.run_id), array_agg(o.block),
		array_agg(COALESCE(o.bytes, -1)),
		array_agg(o.batch::bigint), array_agg(o.is_there), COALESCE(sum(o.bytes), 0),
		COALESCE((SELECT sum(hashtextextended(concat_ws(' ', s.name, s.run_id, s.block, s.hash),
			0)) FROM sources AS s), 0)
	INTO names, runs, blocks, sizes, batches, are_there, bytes, checksum FROM ordered AS o;

	SELECT array_agg(d.name) AS names, array_agg(d.run_id) AS runs,
		array_agg(d.block) AS blocks INTO gone
	FROM unnest(names, runs, blocks, sizes, are_there) AS d (name, run_id, block, bytes, is_there)
	/* a run's own row is put in the place of the old one */
	WHERE d.is_there AND NOT (d.name = 'runs' AND d.bytes >= 0);
	IF gone.blocks IS NOT NULL THEN
		PERFORM airun_remote.drop_blocks(target, $1, gone.names, gone.runs, gone.blocks);
	END IF;
	FOR batch IN
		SELECT array_agg(d.name) AS names, array_agg(d.run_id) AS runs,
			array_agg(d.block) AS blocks
		FROM unnest(names, runs, blocks, sizes, batches) AS d (name, run_id, block, bytes, batch)
		WHERE d.bytes >= 0 GROUP BY d.batch ORDER BY d.batch
	LOOP
		PERFORM airun_remote.put_rows(target, $1, batch.runs, r.names, r.rows)
		FROM (SELECT array_agg(x.name) AS names, array_agg(x.row_data) AS rows
			  FROM airun_remote.block_rows(source, $1, batch.names, batch.runs,
			  batch.blocks) AS x) AS r
		WHERE r.names IS NOT NULL;
	END LOOP;
END
$copy$;
COMMENT ON FUNCTION @extschema@.airun_store_copy_bucket(integer, integer, integer) IS
'Makes a shard''s copy of a bucket equal to another shard''s; called by airun_move_bucket()';

/*
 * The part of a move while users go on.  Returns the runs that are still to be checked,
 * since airun_check() finds something in what has been copied of them so far.
 */
CREATE FUNCTION @extschema@.airun_store_precopy_bucket(bucket integer, source integer,
	target integer) RETURNS uuid[]
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $precopy$
DECLARE
	copied record;
BEGIN
	BEGIN
		IF (SELECT count(DISTINCT s.shape)
			FROM unnest(ARRAY[source, target]) AS n,
				airun_remote.bucket_state(n, $1) AS s) > 1 THEN
			RAISE undefined_column;
		END IF;
	EXCEPTION WHEN undefined_function OR undefined_table OR undefined_column THEN
		RAISE EXCEPTION 'stores of shards % and % are of different versions', source, target
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Their tables have other columns, or they have other functions.',
				HINT = 'Run ALTER EXTENSION airun UPDATE, airun_install() and '
					'airun_install_shard() on each shard, '
					'and airun_install_proxy() here.';
	END;
	/* What a move that was killed has left */
	PERFORM @extschema@.airun_store_leave_bucket($1, target);
	PERFORM airun_remote.undo_arrival(target, $1);
	/* Each round has less to copy than the one before, as it takes less time */
	FOR i IN 1..10 LOOP
		PERFORM @extschema@.airun_store_look_at_target($1, target);
		/* Who goes on there does not know yet that what comes is a copy */
		IF i = 1 THEN
			PERFORM @extschema@.airun_store_await_writers($1, target);
		END IF;
		copied := @extschema@.airun_store_copy_bucket($1, source, target);
		EXIT WHEN copied.bytes < 500000;
	END LOOP;
	PERFORM @extschema@.airun_store_look_at_target($1, target);
	RETURN ARRAY(SELECT r FROM airun_remote.check_runs(target, $1, NULL) AS r);
END
$precopy$;
COMMENT ON FUNCTION @extschema@.airun_store_precopy_bucket(integer, integer, integer) IS
'Copies a bucket to another shard while its users go on; called by airun_move_bucket()';

/*
 * The part of a move while the bucket is closed.  The caller commits the map.  Where it
 * fails, or is cancelled, the bucket is open again where it was.  Returns false, with the bucket
 * open again, where both sides differ, or airun_check() finds something: then somebody has written
 * past the proxy, or a mover that was killed has still been at work.  is_last: that is an error.
 */
CREATE FUNCTION @extschema@.airun_store_switch_bucket(bucket integer, source integer,
	target integer, unchecked uuid[], is_last boolean)
	RETURNS boolean
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $switch$
DECLARE
	copied record;
	problems uuid[];
BEGIN
	copied := @extschema@.airun_store_copy_bucket($1, source, target);
	unchecked := ARRAY(SELECT DISTINCT r FROM unnest(unchecked || copied.runs) AS r
					   WHERE r <> @extschema@.airun_store_no_run());
	problems := ARRAY(SELECT r FROM airun_remote.check_runs(target, $1, unchecked) AS r);
	IF problems = '{}' AND airun_remote.arrive(target, $1,
		ARRAY(SELECT c FROM airun_remote.bucket_counters(source, $1) AS c), copied.checksum) THEN
		UPDATE airun_remote.buckets AS b SET shard = target WHERE b.bucket = $1;
		RETURN true;
	END IF;
	IF NOT is_last THEN
		PERFORM @extschema@.airun_store_reopen_bucket($1, source, target);
		RETURN false;
	END IF;
	IF problems = '{}' THEN
		RAISE EXCEPTION 'bucket % differs on shards % and %', $1, source, target
			USING ERRCODE = 'data_exception', HINT = 'Somebody writes there past airun.';
	END IF;
	RAISE EXCEPTION 'airun_check() finds something in % runs of bucket %',
		cardinality(problems), $1
		USING ERRCODE = 'data_exception', DETAIL = format('The first one is %s.', problems[1]),
			HINT = format('Call airun_check() on shard %s.', source);
EXCEPTION WHEN OTHERS OR query_canceled THEN
	PERFORM @extschema@.airun_store_reopen_bucket($1, source, target);
	RAISE;
END
$switch$;
COMMENT ON FUNCTION @extschema@.airun_store_switch_bucket(integer, integer, integer, uuid[],
	boolean) IS
'Copies the rest of a closed bucket and has the map say where it is now; called by '
'airun_move_bucket()';

/*
 * Open a bucket again where it was; where that cannot be, it stays closed, and is opened by moving
 * it again
 */
CREATE FUNCTION @extschema@.airun_store_reopen_bucket(bucket integer, source integer,
	target integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $reopen$
BEGIN
	PERFORM airun_remote.undo_arrival(target, $1);
	PERFORM airun_remote.take_buckets(source, ARRAY[$1]);
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING 'bucket % stays closed', $1
		USING DETAIL = SQLERRM, HINT = 'Call airun_move_bucket() again.';
END
$reopen$;
COMMENT ON FUNCTION @extschema@.airun_store_reopen_bucket(integer, integer, integer) IS
'Opens a bucket again that could not be moved; called by airun_move_bucket()';

/*
 * Close a bucket at its source, once the calls that are at work there have ended; and whoever
 * writes there without having entered it.  55006 after a minute.
 */
CREATE FUNCTION @extschema@.airun_store_close_bucket(bucket integer, source integer,
	target integer)
	RETURNS timestamptz
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $close$
DECLARE
	until constant timestamptz := clock_timestamp() + interval '1 minute';
	began timestamptz;
	max_wait integer := 0;
BEGIN
	WHILE clock_timestamp() < until LOOP
		max_wait := LEAST(max_wait + 100, 1000);
		/* first while calls go on, and then for those alone that have begun since */
		IF airun_remote.await_writers(source, 1000) THEN
			began := clock_timestamp();
			IF airun_remote.close_bucket(source, $1, max_wait) THEN
				IF airun_remote.await_writers(source, max_wait) THEN
					RETURN began;
				END IF;
				PERFORM airun_remote.take_buckets(source, ARRAY[$1]);
			END IF;
		END IF;
		PERFORM pg_sleep(0.1);
	END LOOP;
	RAISE EXCEPTION 'bucket % could not be closed', $1
		USING ERRCODE = 'object_in_use',
			DETAIL = 'For a minute calls have been at work there, or transactions that write, all '
				'the time.',
			HINT = format('See pg_stat_activity on shard %s, and call airun_move_bucket() again.',
				source);
EXCEPTION WHEN query_canceled THEN
	PERFORM @extschema@.airun_store_reopen_bucket($1, source, target);
	RAISE;
END
$close$;
COMMENT ON FUNCTION @extschema@.airun_store_close_bucket(integer, integer, integer) IS
'Closes a bucket for calls; called by airun_move_bucket()';

/* Wait for whoever writes on a shard that a bucket moves to; 55006 after a minute */
CREATE FUNCTION @extschema@.airun_store_await_writers(bucket integer, shard integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $await$
BEGIN
	FOR i IN 1..60 LOOP
		IF airun_remote.await_writers($2, 1000) THEN
			RETURN;
		END IF;
	END LOOP;
	RAISE EXCEPTION 'bucket % cannot be copied to shard %', $1, $2
		USING ERRCODE = 'object_in_use',
			DETAIL = 'For a minute a transaction that writes has gone on there.',
			HINT = format('See pg_stat_activity on shard %s, and call airun_move_bucket() again.',
				$2);
END
$await$;
COMMENT ON FUNCTION @extschema@.airun_store_await_writers(integer, integer) IS
'Waits for whoever writes on a shard that a bucket moves to; called by airun_move_bucket()';

/*
 * A shard that had a bucket which the map has elsewhere keeps a copy at most.  55000 where
 * somebody has written there since, past the proxy: said once.
 */
CREATE FUNCTION @extschema@.airun_store_leave_bucket(bucket integer, shard integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $leave$
DECLARE
	changed uuid[];
BEGIN
	IF (SELECT s.state FROM airun_remote.bucket_state($2, $1) AS s) <> 'closed' THEN
		RETURN;
	END IF;
	changed := airun_remote.leave_bucket($2, $1);
	IF changed <> '{}' THEN
		RAISE EXCEPTION 'what has been left of bucket % on shard % is changed', $1, $2
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('Somebody has written there past the proxy, since the bucket '
					'moved: %s.',
					(SELECT string_agg(DISTINCT CASE r WHEN @extschema@.airun_store_no_run()
						THEN 'utility calls' ELSE 'run ' || r END, ', ')
					 FROM unnest(changed[1:20]) AS r)),
				HINT = 'See what of it is to be done on the shard where the bucket is now. When '
					'airun_move_bucket() is called again, it is removed.';
	END IF;
END
$leave$;
COMMENT ON FUNCTION @extschema@.airun_store_leave_bucket(integer, integer) IS
'Has a shard keep no more than a copy of a bucket that has moved; called by airun_move_bucket()';

/*
 * The last step of a move: a shard gives up what the map says is elsewhere, be it that
 * it had the bucket, or a copy from a move that was broken off.  tolerant: where that
 * cannot be, there is a warning.
 */
CREATE FUNCTION @extschema@.airun_store_clear_bucket(bucket integer, shard integer,
	tolerant boolean) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $clear$
BEGIN
	IF (SELECT s.state FROM airun_remote.bucket_state($2, $1) AS s) = 'elsewhere' THEN
		RETURN;
	END IF;
	PERFORM @extschema@.airun_store_leave_bucket($1, $2);
	PERFORM airun_remote.undo_arrival($2, $1);
	LOOP
		EXIT WHEN airun_remote.drop_copy($2, $1, 50) = 0;
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	IF NOT tolerant THEN
		RAISE;
	END IF;
	RAISE WARNING 'shard % cannot be asked what it has of bucket %', $2, $1 USING DETAIL = SQLERRM;
END
$clear$;
COMMENT ON FUNCTION @extschema@.airun_store_clear_bucket(integer, integer, boolean) IS
'Removes from a shard what has moved to another one; called by airun_move_bucket()';

/*
 * A procedure, since the map has to be committed before the source is cleared.  It
 * can have no search_path of its own then, so that all names are qualified.
 */
CREATE PROCEDURE @extschema@.airun_move_bucket(bucket bigint, shard bigint)
	LANGUAGE plpgsql
AS $move$
DECLARE
	source pg_catalog.int4;
	unchecked pg_catalog.uuid[];
	began pg_catalog.timestamptz;
	is_there pg_catalog.bool := false;
BEGIN
	PERFORM @extschema@.airun_store_require_proxy();
	/* In a caller's transaction this cannot be: said before the bucket is closed */
	COMMIT;
	IF COALESCE(NOT bucket OPERATOR(pg_catalog.<@) pg_catalog.int8range(0, 4096), true) THEN
		RAISE EXCEPTION 'there is no bucket %', bucket
			USING ERRCODE = 'PT422', HINT = 'Buckets are counted from 0 to 4095.';
	END IF;
	IF NOT EXISTS (SELECT FROM airun_remote.shards AS s
		WHERE s.shard OPERATOR(pg_catalog.=) $2) THEN
		RAISE EXCEPTION 'there is no shard %', shard
			USING ERRCODE = 'PT422', HINT = 'airun_shards() shows them.';
	END IF;
	IF NOT pg_catalog.pg_try_advisory_xact_lock(1634300534, bucket::pg_catalog.int4) THEN
		RAISE EXCEPTION 'bucket % is being moved', bucket
			USING ERRCODE = 'object_in_use',
				HINT = 'Somebody else moves it, spreads all of them, or forgets a user of it.';
	END IF;
	/* Beside all moves: who sets a budget on one shard after another */
	PERFORM pg_catalog.pg_advisory_xact_lock_shared(1634300534, 4096);
	source := (SELECT b.shard FROM airun_remote.buckets AS b
		WHERE b.bucket OPERATOR(pg_catalog.=) $1);
	IF source OPERATOR(pg_catalog.<>) shard THEN
		FOR attempt IN 1..3 LOOP
			EXIT WHEN is_there;
			unchecked := @extschema@.airun_store_precopy_bucket(bucket::pg_catalog.int4, source,
				shard::pg_catalog.int4);
			began := @extschema@.airun_store_close_bucket(bucket::pg_catalog.int4, source,
				shard::pg_catalog.int4);
			is_there := @extschema@.airun_store_switch_bucket(bucket::pg_catalog.int4, source,
				shard::pg_catalog.int4, unchecked, attempt OPERATOR(pg_catalog.=) 3);
		END LOOP;
		COMMIT;
		RAISE NOTICE 'bucket % is on shard %; it was closed for % ms', bucket, shard,
			pg_catalog.round(EXTRACT(epoch
				FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) began)
							 OPERATOR(pg_catalog.*) 1000);
		/* Somebody else may have moved it on in between, who clears all shards then */
		PERFORM pg_catalog.pg_advisory_xact_lock(1634300534, bucket::pg_catalog.int4);
		IF (SELECT b.shard FROM airun_remote.buckets AS b
			WHERE b.bucket OPERATOR(pg_catalog.=) $1) OPERATOR(pg_catalog.<>) $2 THEN
			RETURN;
		END IF;
		PERFORM @extschema@.airun_store_clear_bucket(bucket::pg_catalog.int4, source, false);
		PERFORM airun_remote.forget_move(shard::pg_catalog.int4, bucket::pg_catalog.int4);
	END IF;
	/* What moves that were broken off have left elsewhere; and closed here, where it is to stay */
	PERFORM @extschema@.airun_store_clear_bucket(bucket::pg_catalog.int4, s.shard,
		source OPERATOR(pg_catalog.<>) $2)
	FROM airun_remote.shards AS s WHERE s.shard OPERATOR(pg_catalog.<>) $2;
	IF source OPERATOR(pg_catalog.=) $2 THEN
		PERFORM airun_remote.take_buckets(shard::pg_catalog.int4, ARRAY[bucket::pg_catalog.int4]);
	END IF;
END
$move$;
COMMENT ON PROCEDURE @extschema@.airun_move_bucket(bigint, bigint) IS
'Moves a bucket, with all that belongs to its users, to another shard, while they go on; taken up '
'again by calling it again. For the owner of the proxy';

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
				WHEN NOT item.map <@ COALESCE(held, '{}')
					THEN 'lacks buckets that the map has here'
				WHEN NOT COALESCE(held, '{}') <@ item.map
					THEN 'has buckets that the map has elsewhere'
				ELSE (SELECT 'has copies from moves that have not ended, of buckets '
					|| string_agg(a::text, ', ')
					  FROM airun_remote.arriving_buckets(item.shard) AS a) END;
		EXCEPTION WHEN OTHERS THEN
			row.problem := SQLERRM;
		END;
		RETURN NEXT row;
	END LOOP;
END
$shards$;
COMMENT ON FUNCTION @extschema@.airun_shards() IS
'The shards of a proxy: how many buckets the map has there, their size, and what is wrong with '
'each. For the owner of the proxy';

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
	IF pg_catalog.to_regclass('pg_temp.airun_spread') IS NULL THEN
		CREATE TEMPORARY TABLE airun_spread (bucket pg_catalog.int8, shard pg_catalog.int8);
	END IF;
	TRUNCATE pg_temp.airun_spread;
	/* Each shard keeps its fair share; the rest fills those that have less */
	INSERT INTO pg_temp.airun_spread
	WITH fair AS (
		SELECT s.shard, 4096 OPERATOR(pg_catalog./) n.count
			OPERATOR(pg_catalog.+) (CASE
				WHEN s.shard OPERATOR(pg_catalog.<) (4096 OPERATOR(pg_catalog.%) n.count) THEN 1
				ELSE 0 END) AS share
		FROM airun_remote.shards AS s, (SELECT pg_catalog.count(*) FROM airun_remote.shards) AS n
	), placed AS (
		SELECT b.bucket, b.shard, pg_catalog.row_number() OVER (PARTITION BY b.shard
			ORDER BY b.bucket) AS place
		FROM airun_remote.buckets AS b
	), rest AS (
		SELECT p.bucket, pg_catalog.row_number() OVER (ORDER BY p.bucket) AS number
		FROM placed AS p JOIN fair AS f ON f.shard OPERATOR(pg_catalog.=) p.shard
		WHERE p.place OPERATOR(pg_catalog.>) f.share
	), free AS (
		SELECT f.shard, pg_catalog.row_number() OVER (ORDER BY g.i, f.shard) AS number
		FROM fair AS f, LATERAL pg_catalog.generate_series((SELECT pg_catalog.count(*)
			FROM placed AS p
			WHERE p.shard OPERATOR(pg_catalog.=) f.shard) OPERATOR(pg_catalog.+) 1,
				f.share) AS g (i)
	)
	SELECT r.bucket, f.shard FROM rest AS r
		JOIN free AS f ON f.number OPERATOR(pg_catalog.=) r.number;
	total := (SELECT pg_catalog.count(*) FROM pg_temp.airun_spread);
	COMMIT;
	FOR item IN SELECT * FROM pg_temp.airun_spread ORDER BY bucket LOOP
		CALL @extschema@.airun_move_bucket(item.bucket, item.shard);
		done := done OPERATOR(pg_catalog.+) 1;
		RAISE NOTICE '% %', pg_catalog.rpad(pg_catalog.repeat('#',
			(done OPERATOR(pg_catalog.*) 50 OPERATOR(pg_catalog./) total)::pg_catalog.int4), 50,
			'.'),
			pg_catalog.format('%s of %s buckets', done, total);
	END LOOP;
END
$spread$;
COMMENT ON PROCEDURE @extschema@.airun_spread_buckets() IS
'Spreads the buckets evenly over the shards by moving as few as possible; goes on when called '
'again. For the owner of the proxy';

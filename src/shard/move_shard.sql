/*
 * move_shard.sql: what a shard does when a bucket moves
 *
 * What belongs to the users of a bucket is told in blocks, each with a hash: 64
 * messages of a run, a part of its tasks, of the bucket's calls, and so on.  Two shards
 * compare their hashes, and only the blocks that differ are copied.  The hash of a
 * block is kept with the versions (places and transactions) of its rows; as long as
 * these are the same, no row is read.  So telling what has changed costs little, also
 * of a run of tens of thousands of messages (airun_remote.block_hashes; it is not
 * logged, and where a crash has emptied it, the rows are read again).
 *
 * Rows are spelled alike, whatever style and time zone a shard prefers.
 *
 * What is guaranteed: blocks that have one hash on both shards have the same rows.  A
 * row of another bucket is neither changed nor removed; a run or call that has the id
 * of one of another bucket there is refused (PT409).  All blocks are compared before a bucket
 * arrives, and at the source again before it is left, so that nothing is lost that somebody
 * has written there past the proxy.
 *
 * Whoever writes without having entered a bucket leaves those alone that are copies or
 * closed (shard_moving_buckets()).  Before there is one more of these, a move waits for the
 * transactions that have written to the tables and go on.
 *
 * The ledger is only ever added to.  So entries wait in airun_remote.arriving_entries,
 * where no report counts them, and are entered when the bucket arrives; those at the
 * source are taken back then by entries with the opposite sign.  An entry goes where its task
 * or call goes; one whose task or call is gone, with its user.  What a user of the bucket
 * has used in somebody else's run stays with that run, on either side.
 *
 * Rows are written with triggers at rest, since they bring their times and totals:
 * the role that moves needs SET on session_replication_role, or is a superuser.
 *
 * Locks: the bucket, exclusively, to close it: no longer than it is told to wait for
 * the calls that are at work.  Counters of budgets, in the order of their ids.
 */
CREATE FUNCTION @extschema@.airun_store_make_mover() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $make$
DECLARE
	item record;
BEGIN
	/* Those of an older version can have other arguments and results */
	FOR item IN
		SELECT p.oid::regprocedure AS function FROM pg_proc AS p
		WHERE p.pronamespace = 'airun_remote'::regnamespace
			AND p.proname !~ '^(airun_|bucket_of$|status$)'
	LOOP
		EXECUTE format('DROP FUNCTION %s', item.function);
	END LOOP;
	EXECUTE COALESCE((SELECT 'DROP VIEW ' || string_agg(c.oid::regclass::text, ', ')
		FROM pg_class AS c
					  WHERE c.relnamespace = 'airun_remote'::regnamespace AND c.relkind = 'v'),
					  'SELECT');

	CREATE UNLOGGED TABLE IF NOT EXISTS airun_remote.block_hashes (
		bucket integer, name text, run_id uuid, block bigint,
		versions numeric NOT NULL, hash numeric, bytes bigint,
		PRIMARY KEY (bucket, name, run_id, block)
	);
	CREATE TABLE IF NOT EXISTS airun_remote.arriving (bucket integer PRIMARY KEY);
	CREATE TABLE IF NOT EXISTS airun_remote.arriving_entries (
		bucket integer NOT NULL, block bigint NOT NULL, entry jsonb NOT NULL
	);
	CREATE INDEX IF NOT EXISTS arriving_entries_block ON airun_remote.arriving_entries (bucket,
		block);

	/*
	 * The columns of rows that move.  A row as one document does not tell all values as they
	 * are: JSON's null from NULL, where an array begins, what is within a type of a site's.
	 * So all but those of a few plain types travel as text.
	 */
	CREATE OR REPLACE VIEW airun_remote.moving_columns AS
	SELECT a.attrelid AS relation, a.attname AS name, a.attnum AS place,
		format_type(a.atttypid, a.atttypmod) AS type,
		a.atttypid <> ALL ('{boolean,integer,bigint,numeric,text,uuid,timestamptz}'::regtype[])
			AND NOT (a.atttypid = 'jsonb'::regtype AND a.attnotnull) AS is_text
	FROM pg_attribute AS a
	WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';

	/*
	 * What moves, what is to be written first at the beginning.  rows: where they are read,
	 * as x; versions: the rows that tell whether these have changed; block: which block;
	 * of_bucket: which are the bucket's ($1; $2 has its runs); block_list, in_blocks: which are
	 * in some of its blocks ($2 has their runs, $3 their numbers).  Entries are read from
	 * the ledger where the bucket is, and from what waits where it arrives.
	 */
	CREATE OR REPLACE VIEW airun_remote.moving_tables AS
	SELECT t.place, t.name, t.relation,
		COALESCE(t.rows, t.relation) AS rows, COALESCE(t.versions, t.relation) AS versions,
		COALESCE(t.run_id, '@extschema@.airun_store_no_run()') AS run_id,
		CASE WHEN t.run_id IS NOT NULL THEN t.run_id || ' = ANY ($2)'
			WHEN t.arriving THEN 'x.bucket = $1'
			WHEN NOT t.arriving THEN '(@extschema@.airun_bucket(x.user_id) = $1'
				' OR x.charge_id IN (SELECT c.id FROM airun_remote.bucket_charges($1) AS c (id)))'
			ELSE '@extschema@.airun_bucket(x.user_id) = $1' END AS of_bucket,
		t.block, COALESCE(t.row_data, 'to_jsonb(x)' || (SELECT COALESCE(' || jsonb_build_object('
			|| string_agg(format('%L, x.%I::text', c.name, c.name), ', ' ORDER BY c.name) || ')',
				'')
			FROM airun_remote.moving_columns AS c WHERE c.relation = t.relation::regclass
				AND c.is_text))
			AS row_data, t.arriving,
		CASE WHEN t.run_id IS NOT NULL THEN 'unnest($2, $3) AS b (run_id, block)'
			ELSE '(SELECT $2 AS runs) AS b' END AS block_list,
		CASE WHEN t.run_id IS NOT NULL
			THEN format('%s = b.run_id AND %s = b.block AND %s', t.run_id, t.block,
				COALESCE(t.found_by, 'true'))
			WHEN t.arriving THEN 'x.bucket = $1 AND x.block = ANY ($3)'
			WHEN NOT t.arriving THEN 'x.block = ANY ($3)'
			ELSE format('@extschema@.airun_bucket(x.user_id) = $1 AND %s = ANY ($3)',
				t.block) END AS in_blocks
	FROM (VALUES
		(1, 'runs', 'airun.runs', 'x.id', '0::bigint', NULL, NULL, NULL, NULL, NULL::boolean),
		(2, 'messages', 'airun.messages', 'x.run_id', 'x.seq / 64',
		 'x.seq >= b.block * 64 AND x.seq < b.block * 64 + 64', NULL, NULL, NULL, NULL),
		(3, 'message_versions', 'airun.message_versions', 'x.run_id', 'x.seq / 64',
		 'x.seq >= b.block * 64 AND x.seq < b.block * 64 + 64', NULL, NULL, NULL, NULL),
		(4, 'tasks', 'airun.tasks', 'x.run_id', '(uuid_hash_extended(x.task_id, 0) & 15)', NULL,
		 NULL, NULL, NULL, NULL),
		(5, 'task_chunks', 'airun.task_chunks', 'x.run_id', '(x.chars / 16384)::bigint', NULL,
		 NULL, NULL, NULL, NULL),
		(6, 'calls', 'airun.calls', NULL, '(uuid_hash_extended(x.id, 0) & 255)', NULL, NULL,
		 NULL, NULL, NULL),
		(7, 'entries', 'airun_remote.arriving_entries', NULL, 'x.block', NULL,
		 'airun_remote.bucket_entries($1, $3)',
		 '(SELECT l.tableoid, l.ctid, l.xmin, l.user_id, l.charge_id,'
		 ' uuid_hash_extended(l.charge_id, 0) & 255 AS block'
		 ' FROM airun.usage_tail AS l UNION ALL'
		 ' SELECT l.tableoid, l.ctid, l.xmin, l.user_id, l.charge_id,'
		 ' uuid_hash_extended(l.charge_id, 0) & 255'
		 ' FROM airun.usage_ledger AS l)',
		 'jsonb_build_object(''bucket'', $1, ''block'', x.block, ''entry'', x.entry)', false),
		(7, 'entries', 'airun_remote.arriving_entries', NULL, 'x.block', NULL, NULL,
		 NULL, NULL, true))
		AS t (place, name, relation, run_id, block, found_by, rows, versions, row_data, arriving);

	/* What of these tables blocks are named of, with their runs and numbers */
	CREATE OR REPLACE FUNCTION airun_remote.tables_of(arriving boolean, names text[], runs uuid[],
		blocks bigint[])
		RETURNS TABLE (t airun_remote.moving_tables, runs_of uuid[], blocks_of bigint[])
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $tables$
	SELECT t, array_agg(b.run_id), array_agg(b.block)
	FROM unnest($2, $3, $4) AS b (name, run_id, block)
	JOIN airun_remote.moving_tables AS t
		ON t.name = b.name AND (t.arriving IS NULL OR t.arriving = $1)
	GROUP BY t
	$tables$;

	CREATE OR REPLACE FUNCTION airun_remote.bucket_runs(bucket integer) RETURNS uuid[]
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $runs$ SELECT ARRAY(SELECT r.id FROM airun.runs AS r
		WHERE @extschema@.airun_bucket(r.user_id) = $1) $runs$;

	/* How far a bucket is in its move here, and the columns of what moves */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_state(_shard integer, bucket integer)
		RETURNS TABLE (state text, shape text)
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $state$
	SELECT COALESCE((SELECT CASE WHEN b.is_moving THEN 'closed' ELSE 'here' END
					 FROM airun_remote.buckets AS b WHERE b.bucket = $2),
			(SELECT 'arriving' FROM airun_remote.arriving AS a WHERE a.bucket = $2), 'elsewhere'),
		(SELECT string_agg(format('%s.%I %s', a.attrelid::regclass, a.attname,
								  format_type(a.atttypid, a.atttypmod)), ', '
						   ORDER BY a.attrelid::regclass::text, a.attname)
		 FROM pg_attribute AS a
		 WHERE a.attrelid IN (SELECT t.relation::regclass FROM airun_remote.moving_tables AS t
							  UNION SELECT 'airun.usage_tail'::regclass)
			AND a.attnum > 0 AND NOT a.attisdropped)
	$state$;

	/*
	 * The hashes of blocks as they are read now, and their sizes; arriving: as the shard that the
	 * bucket moves to
	 */
	CREATE OR REPLACE FUNCTION airun_remote.hash_blocks(_shard integer, bucket integer,
		arriving boolean,
														names text[], runs uuid[], blocks bigint[])
		RETURNS TABLE (name text, run_id uuid, block bigint, hash numeric, bytes bigint)
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
		SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
		SET extra_float_digits = 1 SET bytea_output = 'hex'
	AS $hashes$
	DECLARE
		item record;
	BEGIN
		FOR item IN SELECT (f.t).*, f.runs_of, f.blocks_of
			FROM airun_remote.tables_of($3, $4, $5, $6) AS f
		LOOP
			RETURN QUERY EXECUTE format('SELECT %L, %s, %s, sum(hashtextextended(t.t, 0)), '
				'sum(octet_length(t.t))'
				' FROM %s, %s AS x, LATERAL (SELECT (%s)::text AS t OFFSET 0) AS t WHERE %s AND '
				'$1 IS NOT NULL GROUP BY 2, 3',
				item.name, item.run_id, item.block, item.block_list, item.rows, item.row_data,
				item.in_blocks)
				USING $2, item.runs_of, item.blocks_of;
		END LOOP;
	END
	$hashes$;

	/* The same of all blocks of the bucket, of which those are read that have changed */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_hashes(_shard integer, bucket integer,
		arriving boolean)
		RETURNS TABLE (name text, run_id uuid, block bigint, hash numeric, bytes bigint)
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $hashes$
	DECLARE
		runs uuid[] := airun_remote.bucket_runs(bucket);
	BEGIN
		IF arriving THEN
			INSERT INTO airun_remote.arriving AS a (bucket) VALUES ($2) ON CONFLICT DO NOTHING;
		END IF;
		EXECUTE format('WITH now AS MATERIALIZED (%s), gone AS ('
			'DELETE FROM airun_remote.block_hashes AS h WHERE h.bucket = $1 AND NOT EXISTS '
			'(SELECT FROM now AS n'
			' WHERE n.name = h.name AND n.run_id = h.run_id AND n.block = h.block))'
			' INSERT INTO airun_remote.block_hashes (bucket, name, run_id, block, versions)'
			' SELECT $1, n.* FROM now AS n WHERE NOT EXISTS (SELECT FROM '
			'airun_remote.block_hashes AS h WHERE h.bucket = $1'
			' AND n.name = h.name AND n.run_id = h.run_id AND n.block = h.block AND n.versions '
			'= h.versions)'
			' ON CONFLICT ON CONSTRAINT block_hashes_pkey DO UPDATE SET versions = '
			'excluded.versions, hash = NULL',
			(SELECT string_agg(format('SELECT %L AS name, %s AS run_id, %s AS block,'
				' sum(hash_record_extended(ROW (x.tableoid, x.ctid, x.xmin), 0)) AS versions FROM '
				'%s AS x WHERE %s GROUP BY 2, 3',
				t.name, t.run_id, t.block, t.versions, t.of_bucket), ' UNION ALL ')
			 FROM airun_remote.moving_tables AS t WHERE t.arriving IS NULL OR t.arriving = $3))
			 USING $2, runs;
		UPDATE airun_remote.block_hashes AS h SET hash = c.hash, bytes = c.bytes
		FROM (SELECT array_agg(n.name) AS names, array_agg(n.run_id) AS runs,
			array_agg(n.block) AS blocks
			  FROM airun_remote.block_hashes AS n WHERE n.bucket = $2 AND n.hash IS NULL) AS n,
			LATERAL airun_remote.hash_blocks($1, $2, $3, n.names, n.runs, n.blocks) AS c
		WHERE h.bucket = $2 AND h.name = c.name AND h.run_id = c.run_id AND h.block = c.block;
		RETURN QUERY SELECT h.name, h.run_id, h.block, h.hash,
			h.bytes FROM airun_remote.block_hashes AS h
			WHERE h.bucket = $2 AND h.hash IS NOT NULL;
	END
	$hashes$;

	/* The rows of blocks, with the name of what they are */
	CREATE OR REPLACE FUNCTION airun_remote.block_rows(_shard integer, bucket integer,
		names text[], runs uuid[], blocks bigint[])
		RETURNS TABLE (name text, row_data jsonb)
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
		SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
		SET extra_float_digits = 1 SET bytea_output = 'hex'
	AS $rows$
	DECLARE
		item record;
	BEGIN
		FOR item IN SELECT (f.t).*, f.runs_of, f.blocks_of
			FROM airun_remote.tables_of(false, $3, $4, $5) AS f
		LOOP
			RETURN QUERY EXECUTE format('SELECT %L, %s FROM %s, %s AS x WHERE %s AND '
				'$1 IS NOT NULL',
				item.name, item.row_data, item.block_list, item.rows, item.in_blocks) USING $2,
					item.runs_of, item.blocks_of;
		END LOOP;
	END
	$rows$;

	/* PT409 where a run or call that moves has the id of one of another bucket here */
	CREATE OR REPLACE FUNCTION airun_remote.refuse_strangers(bucket integer,
		ids uuid[]) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $refuse$
	DECLARE
		taken uuid := (SELECT r.id FROM airun.runs AS r WHERE r.id = ANY (ids)
			AND @extschema@.airun_bucket(r.user_id) <> $1
					   UNION ALL
					   SELECT c.id FROM airun.calls AS c WHERE c.id = ANY (ids)
					   AND @extschema@.airun_bucket(c.user_id) <> $1
					   LIMIT 1);
	BEGIN
		IF taken IS NOT NULL THEN
			RAISE EXCEPTION 'id "%" is taken on the shard that bucket % moves to', taken, $1
				USING ERRCODE = 'PT409',
					DETAIL =
					'A client has made it, and somebody else''s run or call has it there.',
					HINT =
						'Fork one of the two runs with airun_fork_run(), and delete and purge it.';
		END IF;
	END
	$refuse$;

	/*
	 * Copies come one after another, and none once the bucket is here: one who was killed may be
	 * at work still
	 */
	CREATE OR REPLACE FUNCTION airun_remote.lock_arrival(bucket integer) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $lock$
	BEGIN
		PERFORM pg_advisory_xact_lock(1634300533, $1);
		IF EXISTS (SELECT FROM airun_remote.buckets AS b WHERE b.bucket = $1) THEN
			RAISE EXCEPTION 'bucket % has arrived already', $1 USING ERRCODE = 'object_in_use';
		END IF;
	END
	$lock$;

	/* Remove blocks that are to be put anew, or are no more */
	CREATE OR REPLACE FUNCTION airun_remote.drop_blocks(_shard integer, bucket integer,
		names text[], runs uuid[], blocks bigint[])
		RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $drop$
	DECLARE
		item record;
	BEGIN
		PERFORM airun_remote.lock_arrival($2);
		PERFORM airun_remote.refuse_strangers($2, $4);
		PERFORM set_config('session_replication_role', 'replica', true);
		FOR item IN SELECT (f.t).*, f.runs_of, f.blocks_of
			FROM airun_remote.tables_of(true, $3, $4, $5) AS f
		LOOP
			EXECUTE format('DELETE FROM %s AS x USING %s WHERE %s AND $1 IS NOT NULL',
				item.relation, item.block_list, item.in_blocks)
				USING $2, item.runs_of, item.blocks_of;
		END LOOP;
	END
	$drop$;

	/*
	 * Put rows.  What is in their way stays: the hashes tell, and then its block is dropped.
	 * But for runs, of which there is one as long as it has messages: by it these are found.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.put_rows(_shard integer, bucket integer,
		runs uuid[], names text[], rows_data jsonb[])
		RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
		SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
		SET extra_float_digits = 1 SET bytea_output = 'hex'
	AS $put$
	DECLARE
		item record;
	BEGIN
		PERFORM airun_remote.lock_arrival($2);
		PERFORM set_config('session_replication_role', 'replica', true);
		FOR item IN
			SELECT t.relation, array_agg(u.r) AS rows,
				(SELECT string_agg(quote_ident(c.name), ', ' ORDER BY c.place)
				 FROM airun_remote.moving_columns AS c
				 WHERE c.relation = t.relation::regclass) AS columns,
				(SELECT string_agg(CASE WHEN c.is_text THEN format('(u ->> %L)::%s',
				 c.name, c.type)
					ELSE format('r.%I', c.name) END, ', ' ORDER BY c.place)
				 FROM airun_remote.moving_columns AS c
				 WHERE c.relation = t.relation::regclass) AS values
			FROM unnest(names, rows_data) AS u (n, r)
			JOIN airun_remote.moving_tables AS t ON t.name = u.n AND t.arriving IS NOT FALSE
			GROUP BY t.relation, t.place ORDER BY t.place
		LOOP
			IF item.relation = 'airun.runs' THEN
				DELETE FROM airun.runs AS r
				WHERE r.id IN (SELECT (u ->> 'id')::uuid FROM unnest(item.rows) AS u)
					AND @extschema@.airun_bucket(r.user_id) = $2;
			END IF;
			EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE'
				' SELECT %3$s FROM unnest($1) AS u, jsonb_populate_record(NULL::%1$s, u) AS r ON '
				'CONFLICT DO NOTHING',
				item.relation, item.columns, item.values) USING item.rows;
		END LOOP;
		PERFORM airun_remote.refuse_strangers($2, runs || ARRAY(SELECT (u.r ->> 'id')::uuid
			FROM unnest(names, rows_data) AS u (n, r) WHERE u.n = 'calls'));
	END
	$put$;

	/* Forget what is kept of a move */
	CREATE OR REPLACE FUNCTION airun_remote.forget_move(_shard integer,
		bucket integer) RETURNS void
		LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $forget$
	DELETE FROM airun_remote.block_hashes AS h WHERE h.bucket = $2;
	DELETE FROM airun_remote.arriving_entries AS e WHERE e.bucket = $2;
	DELETE FROM airun_remote.arriving AS a WHERE a.bucket = $2;
	$forget$;

	/*
	 * Remove the copy of a bucket, some runs at a time, and what else there is with the last
	 * ones.  As if these were deleted, for what a site has made of them; but what they hold of
	 * budgets is counted elsewhere.  Returns how many runs are left.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.drop_copy(_shard integer, bucket integer,
		at_most integer) RETURNS bigint
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $drop$
	DECLARE
		runs uuid[] := airun_remote.bucket_runs(bucket);
		role text := current_setting('session_replication_role');
		item record;
	BEGIN
		PERFORM set_config('session_replication_role', 'replica', true);
		UPDATE airun.tasks AS t SET holds = NULL
		WHERE t.run_id = ANY (runs[1:at_most]) AND t.holds IS NOT NULL;
		PERFORM set_config('session_replication_role', role, true);
		DELETE FROM airun.runs AS r WHERE r.id = ANY (runs[1:at_most]);
		IF cardinality(runs) > at_most THEN
			RETURN cardinality(runs) - at_most;
		END IF;
		PERFORM set_config('session_replication_role', 'replica', true);
		FOR item IN SELECT t.* FROM airun_remote.moving_tables AS t
			WHERE t.arriving IS NOT FALSE LOOP
			EXECUTE format('DELETE FROM %s AS x WHERE %s AND ($1, $2) IS NOT NULL',
				item.relation, item.of_bucket) USING $2, runs;
		END LOOP;
		PERFORM airun_remote.forget_move($1, $2);
		RETURN 0;
	END
	$drop$;

	/* The counters of budgets that are the bucket's own: of its users, and of its runs */
	CREATE OR REPLACE FUNCTION airun_remote.own_counters(bucket integer) RETURNS SETOF bigint
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $own$
	SELECT p.id FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
	WHERE CASE b.scope
		WHEN 'user' THEN p.value NOT LIKE 'erased %'
			AND @extschema@.airun_bucket(NULLIF(p.value, '')::uuid) = $1
		WHEN 'run' THEN p.value IN (SELECT r::text
			FROM unnest(airun_remote.bucket_runs($1)) AS r) END
	$own$;

	CREATE OR REPLACE FUNCTION airun_remote.bucket_counters(_shard integer, bucket integer)
		RETURNS SETOF jsonb
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $counters$
	SELECT to_jsonb(p) || jsonb_build_object('name', b.name)
	FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
	WHERE p.id IN (SELECT airun_remote.own_counters($2))
	$counters$;

	/* Put counters in the place of those that are here; rows hold of no others any more */
	CREATE OR REPLACE FUNCTION airun_remote.put_counters(_shard integer, bucket integer,
		counters jsonb[]) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $put$
	DECLARE
		runs uuid[] := airun_remote.bucket_runs(bucket);
		item record;
	BEGIN
		PERFORM set_config('session_replication_role', 'replica', true);
		DELETE FROM airun.budget_periods AS p WHERE p.id IN (SELECT airun_remote.own_counters($2));
		INSERT INTO airun.budget_periods
		SELECT r.* FROM unnest(counters) AS c,
			/* the amount may be another one by now: all ask at the gate once */
			jsonb_populate_record(NULL::airun.budget_periods, c || '{"quota": 0}') AS r
		WHERE EXISTS (SELECT FROM airun.budgets AS b WHERE b.id = r.budget_id
			AND b.name = c ->> 'name');
		FOR item IN SELECT t.* FROM airun_remote.moving_tables AS t
			WHERE t.name = ANY ('{tasks,calls}') LOOP
			EXECUTE format('UPDATE %s AS x SET holds = (SELECT NULLIF(jsonb_agg(h), ''[]'')::text'
				' FROM jsonb_array_elements(x.holds::jsonb) AS h'
				' WHERE (h ->> 0)::bigint IN (SELECT airun_remote.own_counters($1)))'
				' WHERE x.holds IS NOT NULL AND %s AND ($1, $2) IS NOT NULL', item.relation,
				item.of_bucket) USING $2, runs;
		END LOOP;
	END
	$put$;

	/* The columns of entries, and whether each is a figure, which has a sign */
	CREATE OR REPLACE VIEW airun_remote.entry_columns AS
	SELECT quote_ident(a.attname) AS name, a.attnum AS place,
		a.atttypid IN ('integer'::regtype, 'bigint'::regtype, 'numeric'::regtype) AS is_figure
	FROM pg_attribute AS a
	WHERE a.attrelid = 'airun.usage_tail'::regclass AND a.attnum > 0 AND NOT a.attisdropped;

	/* The tasks and calls of a bucket that are here; runs: of these of its runs alone */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_charges(bucket integer,
		runs uuid[] DEFAULT NULL) RETURNS SETOF uuid
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $charges$
	SELECT t.task_id FROM airun.tasks AS t
	WHERE t.run_id = ANY (COALESCE($2, airun_remote.bucket_runs($1)))
	UNION ALL
	SELECT c.id FROM airun.calls AS c
	WHERE $2 IS NULL AND @extschema@.airun_bucket(c.user_id) = $1
	$charges$;

	/*
	 * What the bucket's entries come to, by charge; blocks: only in these; charges: only of
	 * these tasks and calls
	 */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_entries(bucket integer, blocks bigint[],
		charges uuid[] DEFAULT NULL)
		RETURNS TABLE (block bigint, entry jsonb)
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $entries$
	DECLARE
		words text;
		sums text;
	BEGIN
		SELECT string_agg(c.name, ', ' ORDER BY c.place) FILTER (WHERE NOT c.is_figure),
			string_agg(format('sum(%1$s) AS %1$s', c.name), ', ' ORDER BY c.place)
				FILTER (WHERE c.is_figure)
		INTO words, sums FROM airun_remote.entry_columns AS c;
		RETURN QUERY EXECUTE format('WITH here AS MATERIALIZED ('
			'SELECT c.id FROM airun_remote.bucket_charges($1) AS c (id) WHERE $3 IS NULL)'
			' SELECT uuid_hash_extended(e.charge_id, 0) & 255, to_jsonb(e)'
			' FROM (SELECT %1$s, %2$s FROM (SELECT * FROM airun.usage_tail UNION ALL SELECT * '
			'FROM airun.usage_ledger) AS l WHERE (%3$s)'
			' AND ($2 IS NULL OR uuid_hash_extended(l.charge_id, 0) & 255 = ANY ($2))'
			' GROUP BY %1$s, cost IS NULL HAVING sum(l.calls) <> 0 OR COALESCE(sum(l.cost), 0) <> '
			'0) AS e', words, sums, CASE WHEN charges IS NOT NULL
				THEN 'l.charge_id = ANY ($3)'
				ELSE 'l.charge_id IN (SELECT h.id FROM here AS h)'
					' OR @extschema@.airun_bucket(l.user_id) = $1'
					' AND NOT EXISTS (SELECT FROM airun.tasks AS t WHERE t.task_id = l.charge_id)'
					' AND NOT EXISTS (SELECT FROM airun.calls AS c WHERE c.id = l.charge_id)' END)
			USING bucket, blocks, charges;
	END
	$entries$;

	/* Add entries, with a sign */
	CREATE OR REPLACE FUNCTION airun_remote.add_entries(entries jsonb[], sign integer) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $add$
	DECLARE
		columns text;
		signed text;
	BEGIN
		SELECT string_agg(c.name, ', ' ORDER BY c.place),
			string_agg('r.' || c.name || CASE WHEN c.is_figure THEN ' * $2' ELSE '' END,
				', ' ORDER BY c.place)
		INTO columns, signed FROM airun_remote.entry_columns AS c;
		EXECUTE format('INSERT INTO airun.usage_tail (%s) SELECT %s'
			' FROM unnest($1) AS u, jsonb_populate_record(NULL::airun.usage_tail, u) AS r',
			columns, signed)
			USING entries, sign;
	END
	$add$;

	/* Of these tasks and calls, or of all that is the bucket's */
	CREATE OR REPLACE FUNCTION airun_remote.take_entries_back(bucket integer, charges uuid[])
		RETURNS void
		LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $back$
	SELECT airun_remote.add_entries(ARRAY(SELECT e.entry
		FROM airun_remote.bucket_entries($1, NULL, $2) AS e), -1)
	$back$;

	/*
	 * Let no call in any more, once those that are at work have ended; calls that come in
	 * the meantime wait with us.  False where that takes longer than so many milliseconds.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.close_bucket(_shard integer, bucket integer,
		max_wait integer)
		RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $close$
	BEGIN
		PERFORM set_config('lock_timeout', max_wait::text, true);
		BEGIN
			PERFORM pg_advisory_xact_lock(1634300533, $2);
		EXCEPTION WHEN lock_not_available THEN
			RETURN false;
		END;
		UPDATE airun_remote.buckets AS b SET is_moving = true WHERE b.bucket = $2;
		RETURN true;
	END
	$close$;

	/*
	 * Wait for whoever writes at the moment and has entered no bucket: what he does not see of
	 * a move yet, and has not committed, would be lost.  They are not told apart from calls,
	 * which are short.  False where that takes longer than so many milliseconds.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.await_writers(_shard integer, max_wait integer)
		RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $await$
	DECLARE
		until constant timestamptz := clock_timestamp() + max_wait * interval '1 ms';
		writers constant text[] := ARRAY(
			SELECT l.virtualtransaction FROM pg_locks AS l
			WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
				AND l.database = (SELECT d.oid FROM pg_database AS d
					WHERE d.datname = current_database())
				AND l.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')
				AND l.relation IN (
					SELECT t.relation::regclass FROM airun_remote.moving_tables AS t
					UNION ALL
					SELECT i.inhrelid FROM airun_remote.moving_tables AS t
					JOIN pg_inherits AS i ON i.inhparent = t.relation::regclass));
	BEGIN
		WHILE EXISTS (SELECT FROM pg_locks AS l
				WHERE l.virtualtransaction = ANY (writers)) LOOP
			IF clock_timestamp() >= until THEN
				RETURN false;
			END IF;
			PERFORM pg_sleep(0.002);
		END LOOP;
		RETURN true;
	END
	$await$;

	/* Take buckets up */
	CREATE OR REPLACE FUNCTION airun_remote.take_buckets(_shard integer, taken integer[])
		RETURNS bigint
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

	/* Enter what waits, or take it back */
	CREATE OR REPLACE FUNCTION airun_remote.enter_arriving(bucket integer, sign integer)
		RETURNS void
		LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $enter$
	SELECT airun_remote.add_entries(ARRAY(SELECT e.entry FROM airun_remote.arriving_entries AS e
		WHERE e.bucket = $1), $2)
	$enter$;

	/*
	 * All rows have been copied: entries, counters and the bucket itself.  False, and nothing
	 * has been done, where they are not those of which this is the sum of hashes.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.arrive(_shard integer, bucket integer,
		counters jsonb[], checksum numeric) RETURNS boolean
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $arrive$
	BEGIN
		PERFORM airun_remote.lock_arrival($2);
		IF checksum IS DISTINCT FROM (
			SELECT COALESCE(sum(hashtextextended(concat_ws(' ', t.name, t.run_id, t.block, t.hash),
				0)), 0) FROM airun_remote.bucket_hashes($1, $2, true) AS t) THEN
			RETURN false;
		END IF;
		PERFORM airun_remote.enter_arriving($2, 1);
		PERFORM airun_remote.put_counters($1, $2, counters);
		PERFORM airun_remote.take_buckets($1, ARRAY[$2]);
		/* what has been entered is kept until it is certain that it is not to be taken back */
		DELETE FROM airun_remote.block_hashes AS h WHERE h.bucket = $2;
		DELETE FROM airun_remote.arriving AS a WHERE a.bucket = $2;
		RETURN true;
	END
	$arrive$;

	/* It has not arrived after all, and is to be opened where it was */
	CREATE OR REPLACE FUNCTION airun_remote.undo_arrival(_shard integer,
		bucket integer) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $undo$
	BEGIN
		PERFORM pg_advisory_xact_lock(1634300533, $2);
		DELETE FROM airun_remote.buckets AS b WHERE b.bucket = $2;
		IF FOUND THEN
			PERFORM airun_remote.enter_arriving($2, -1);
			/* and what has been used here since */
			PERFORM airun_remote.take_entries_back($2,
				ARRAY(SELECT airun_remote.bucket_charges($2)));
			INSERT INTO airun_remote.arriving AS a (bucket) VALUES ($2) ON CONFLICT DO NOTHING;
		END IF;
	END
	$undo$;

	/*
	 * The bucket is on another shard by now: entries and counters go, and what is here of it
	 * becomes a copy.  Returns the runs that have been changed since both sides were equal, if
	 * there are some; then nothing else has been done, and the next time they are as they are.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.leave_bucket(_shard integer, bucket integer)
		RETURNS uuid[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $leave$
	DECLARE
		runs uuid[] := airun_remote.bucket_runs(bucket);
		compared airun_remote.block_hashes[] := ARRAY(SELECT h
			FROM airun_remote.block_hashes AS h WHERE h.bucket = $2 AND h.hash IS NOT NULL);
		changed uuid[];
		part record;
	BEGIN
		PERFORM pg_advisory_xact_lock(1634300533, $2);
		IF NOT EXISTS (SELECT FROM airun_remote.buckets AS b
			WHERE b.bucket = $2 AND b.is_moving) THEN
			RETURN '{}';
		END IF;
		changed := ARRAY(
			SELECT DISTINCT COALESCE(o.run_id, n.run_id)
			FROM (SELECT * FROM unnest(compared) WHERE name <> 'entries') AS o
			FULL JOIN (SELECT * FROM airun_remote.bucket_hashes($1, $2, false)
				WHERE name <> 'entries') AS n
				ON n.run_id = o.run_id AND n.block = o.block AND n.name = o.name
			/* where a crash has emptied the table, there is nothing to compare with */
			WHERE o.hash IS DISTINCT FROM n.hash AND compared <> '{}');
		IF changed <> '{}' THEN
			RETURN changed;
		END IF;
		PERFORM airun_remote.take_entries_back($2, NULL);
		/* in the order in which everybody locks them */
		FOR part IN SELECT s.*
			FROM @extschema@.airun_store_budget_parts(runs, ARRAY(SELECT c.id FROM airun.calls AS c
				WHERE @extschema@.airun_bucket(c.user_id) = $2)) AS s
			JOIN airun.budget_periods AS p ON p.id = s.counter
			ORDER BY p.budget_id, p.value COLLATE "C", p.period_key COLLATE "C", p.slot
		LOOP
			UPDATE airun.budget_periods AS p SET held = p.held - part.held,
				base = p.base + part.spent + part.estimated WHERE p.id = part.counter;
		END LOOP;
		DELETE FROM airun.budget_periods AS p WHERE p.id IN (SELECT airun_remote.own_counters($2));
		PERFORM airun_remote.forget_move($1, $2);
		DELETE FROM airun_remote.buckets AS b WHERE b.bucket = $2;
		INSERT INTO airun_remote.arriving AS a (bucket) VALUES ($2) ON CONFLICT DO NOTHING;
		RETURN '{}';
	END
	$leave$;

	/* Those of runs, or of all of the bucket, that airun_check() finds something in */
	CREATE OR REPLACE FUNCTION airun_remote.check_runs(_shard integer, bucket integer, runs uuid[])
		RETURNS SETOF uuid
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $check$
	SELECT r FROM unnest(COALESCE(runs, airun_remote.bucket_runs($2))) AS r
	WHERE EXISTS (SELECT FROM @extschema@.airun_check(r))
	$check$;
END
$make$;
COMMENT ON FUNCTION @extschema@.airun_store_make_mover() IS
'Makes what a shard does when a bucket moves; called by airun_install_shard()';

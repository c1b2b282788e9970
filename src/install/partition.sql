/*
 * partition.sql: the large tables by months
 *
 * airun_partition() makes partitioned tables of runs, messages, message_versions,
 * tasks and task_chunks, by RANGE of the run's id.  Ids of version 7 begin with
 * their time, so that the bound of a month is an id made of its first instant, and
 * a run has all that belongs to it in the partitions of one name: runs_2026_12,
 * messages_2026_12 and so on.  Besides the months there are
 *	earlier	what was there before, and ids below it
 *	other	ids that begin with no time of ours: they would be after 2100
 *	default	what lies between the last month and 2100
 * so that an id of any version finds a place.
 *
 * A foreign key to a run stands on each partition, and refers to the partition of
 * runs of the same name: a month can be dropped without a look at the others, and a
 * check looks at one table.  Statement triggers stand on the tables, and on each
 * partition again, for what is written there by its own name.  Nobody but the owner
 * has rights on partitions, and they are under row security without a policy.
 *
 * Refuses: an owner who has forced row security on himself and would not see all rows
 * (42501).
 *
 * Locks: runs first, waiting for it one second at most, and the other tables
 * behind it without waiting, and again until ten seconds have gone (one, for months
 * ahead); so nobody meets a deadlock, and whoever keeps a table for long makes the
 * call fail (55P03).  airun_drop_partitions() comes to counters of budgets behind them.
 */

/* The tables that are partitioned, in the order in which they are locked */
CREATE FUNCTION @extschema@.airun_store_partitioned_tables()
RETURNS TABLE (name text, key text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $partitioned_tables$
VALUES ('runs', 'id'), ('messages', 'run_id'), ('tasks', 'run_id'),
	('message_versions', 'run_id'), ('task_chunks', 'run_id')
$partitioned_tables$;
COMMENT ON FUNCTION @extschema@.airun_store_partitioned_tables() IS
'The tables that airun_partition() partitions, and by which column';

/* The lowest id that can be made at a time */
CREATE FUNCTION @extschema@.airun_store_first_id(at timestamptz) RETURNS uuid
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $first_id$
SELECT rpad(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$first_id$;
COMMENT ON FUNCTION @extschema@.airun_store_first_id(timestamptz) IS
'The lowest id of version 7 that can be made at a time';

/* And the time that an id of version 7 begins with */
CREATE FUNCTION @extschema@.airun_store_id_time(id uuid) RETURNS timestamptz
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $id_time$
SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
$id_time$;
COMMENT ON FUNCTION @extschema@.airun_store_id_time(uuid) IS
'The time that an id of version 7 begins with';

/*
 * The partitions that there are; none where the store is not partitioned.  A bound
 * that is NULL is none; the suffix is what the partition's name has behind the table's.
 */
CREATE FUNCTION @extschema@.airun_store_partitions()
RETURNS TABLE (relation text, suffix text, partition regclass, is_default boolean,
	lower_id uuid, upper_id uuid)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $partitions$
SELECT t.name, CASE WHEN starts_with(c.relname, t.name || '_')
		THEN substr(c.relname, length(t.name) + 2) END,
	c.oid::regclass, b.bound = 'DEFAULT',
	(regexp_match(b.bound, $$FROM \('([^']*)'\)$$))[1]::uuid,
	(regexp_match(b.bound, $$TO \('([^']*)'\)$$))[1]::uuid
FROM @extschema@.airun_store_partitioned_tables() AS t
JOIN pg_class AS p ON p.relname = t.name AND p.relnamespace = to_regnamespace('airun')
	AND p.relkind = 'p'
JOIN pg_inherits AS i ON i.inhparent = p.oid
JOIN pg_class AS c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid)) AS b (bound)
$partitions$;
COMMENT ON FUNCTION @extschema@.airun_store_partitions() IS
'The partitions of the store, with their bounds';

/* Refuses whoever is not the owner of the store */
CREATE FUNCTION @extschema@.airun_store_require_owner(function text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $require_owner$
DECLARE
	owner constant oid := (SELECT c.relowner FROM pg_class AS c
						   WHERE c.oid = to_regclass('airun.runs'));
BEGIN
	PERFORM @extschema@.airun_store_refuse_citus();
	IF owner IS NULL THEN
		RAISE EXCEPTION 'database "%" has no airun store yet', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT airun_install() as the role that shall own it.';
	END IF;
	IF owner <> (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'must be owner of airun''s store to call %()', function
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The store belongs to role "%s", and the caller is "%s".',
								pg_get_userbyid(owner), current_user),
				HINT = 'Call it as that role.';
	END IF;
END
$require_owner$;
COMMENT ON FUNCTION @extschema@.airun_store_require_owner(text) IS
'Refuses whoever is not the owner of the store, in the words of the function that asks';

/*
 * Locks tables, and views that read them, against everybody: the first one with
 * patience, the others at once, or not at all.  Whoever has one of these already and
 * waits for the first would never get it from us, and so all are given back before the
 * next attempt.
 */
CREATE FUNCTION @extschema@.airun_store_lock(tables regclass[], views regclass[] DEFAULT '{}',
	patience interval DEFAULT '10 seconds')
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '1s'
AS $lock$
DECLARE
	give_up constant timestamptz := clock_timestamp() + patience;
	relations constant regclass[] := tables || views;
BEGIN
	-- in nobody's way but that of a vacuum, which gives way to who waits, after deadlock_timeout
	PERFORM set_config('lock_timeout', '10s', true);
	FOR i IN 1 .. cardinality(tables) LOOP
		EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', tables[i]);
	END LOOP;
	PERFORM set_config('lock_timeout', '1s', true);
	LOOP
		BEGIN
			FOR i IN 1 .. cardinality(relations) LOOP
				EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE%s', relations[i],
							   CASE WHEN i > 1 THEN ' NOWAIT' END);
			END LOOP;
			RETURN;
		EXCEPTION WHEN lock_not_available THEN
			IF clock_timestamp() > give_up THEN
				RAISE EXCEPTION 'could not lock the tables of the store'
					USING ERRCODE = 'lock_not_available',
						DETAIL = 'Somebody keeps them: a long transaction, or a dump.',
						HINT = 'Nothing has been changed; call it again later.';
			END IF;
		END;
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$lock$;
COMMENT ON FUNCTION @extschema@.airun_store_lock(regclass[], regclass[], interval) IS
'Locks tables and views of the store exclusively, all or none, without a deadlock';

/*
 * Run a statement that takes a lock behind which everybody's starts and ends wait, once it
 * is asked for: 55P03 where it is not to be had within 2 s, or within the caller's own
 * lock_timeout, if that is shorter.
 */
CREATE FUNCTION @extschema@.airun_store_lock_soon(statement text,
	own_timeout text DEFAULT pg_catalog.current_setting('lock_timeout'))
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '2s'
AS $lock$
BEGIN
	IF own_timeout <> '0' AND own_timeout::interval < '2 seconds' THEN
		PERFORM set_config('lock_timeout', own_timeout, true);
	END IF;
	EXECUTE statement;
EXCEPTION WHEN lock_not_available THEN
	RAISE EXCEPTION 'could not lock the tables of the store'
		USING ERRCODE = 'lock_not_available',
			DETAIL = 'Somebody keeps them: a long transaction that has started or ended a task '
				'or a call.',
			HINT = 'Nothing has been changed; call it again once that has ended.';
END
$lock$;
COMMENT ON FUNCTION @extschema@.airun_store_lock_soon(text, text) IS
'Takes a lock that everybody waits behind, or gives up soon';

/*
 * Moves what belongs to the runs with ids from lower_id on and below upper_id from
 * the tables of one suffix to those of another one, which are not attached yet.
 * Nothing is counted: the rows stay what they are.  Triggers on the source rest
 * meanwhile; it is locked.
 */
CREATE FUNCTION @extschema@.airun_store_move_rows(source text, target text, lower_id uuid,
	upper_id uuid)
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $move_rows$
DECLARE
	has_rows boolean;
	name text;
	item record;
BEGIN
	EXECUTE format('SELECT EXISTS (SELECT FROM airun.%I AS r WHERE r.id >= $1 AND ($2 IS NULL '
		'OR r.id < $2))',
				   'runs_' || source) INTO has_rows USING lower_id, upper_id;
	IF NOT has_rows THEN
		RETURN;
	END IF;
	FOR name IN SELECT t.name FROM @extschema@.airun_store_partitioned_tables() AS t LOOP
		EXECUTE format('ALTER TABLE airun.%I DISABLE TRIGGER USER', name || '_' || source);
	END LOOP;
	FOR item IN
		SELECT t.key, format('airun.%I', t.name || '_' || source) AS source,
			format('airun.%I', t.name || '_' || target) AS target,
			(SELECT string_agg(quote_ident(a.attname), ', ')
			 FROM pg_attribute AS a
			 WHERE a.attrelid = format('airun.%I', t.name)::regclass AND a.attnum > 0
				AND NOT a.attisdropped AND a.attgenerated = '') AS columns
		FROM @extschema@.airun_store_partitioned_tables() WITH ORDINALITY AS t (name, key, place)
		ORDER BY t.place DESC
	LOOP
		-- runs are the last ones: what their deletion would take along has been moved
		EXECUTE format('WITH m AS (DELETE FROM %1$s AS s WHERE s.%3$I >= $1 AND ($2 IS NULL OR '
			's.%3$I < $2) RETURNING %4$s)
			INSERT INTO %2$s (%4$s) SELECT %4$s FROM m', item.source, item.target, item.key,
			item.columns)
			USING lower_id, upper_id;
	END LOOP;
	FOR name IN SELECT t.name FROM @extschema@.airun_store_partitioned_tables() AS t LOOP
		EXECUTE format('ALTER TABLE airun.%I ENABLE TRIGGER USER', name || '_' || source);
	END LOOP;
END
$move_rows$;
COMMENT ON FUNCTION @extschema@.airun_store_move_rows(text, text, uuid, uuid) IS
'Moves runs and what belongs to them from partitions to others that are being made';

/*
 * Makes the partitions of a suffix, with what the partitions of source, which are
 * locked, have of their ids, and attaches them, for their range or as the default.
 */
CREATE FUNCTION @extschema@.airun_store_make_partitions(suffix text, lower_id uuid, upper_id uuid,
	source text, is_default boolean DEFAULT false)
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET client_min_messages = warning
AS $make_partitions$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT t.name, format('airun.%I', t.name || '_' || suffix) AS partition, s.options
		FROM @extschema@.airun_store_partitioned_tables() AS t
		JOIN @extschema@.airun_store_tables() AS s ON s.name = t.name
	LOOP
		EXECUTE format('CREATE TABLE %s (LIKE airun.%I INCLUDING ALL EXCLUDING STATISTICS) %s',
					   item.partition, item.name, item.options);
		PERFORM @extschema@.airun_store_take_back('TABLE', item.partition);
		EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', item.partition);
	END LOOP;
	IF source IS NOT NULL THEN
		PERFORM @extschema@.airun_store_move_rows(source, suffix, lower_id, upper_id);
	END IF;
	PERFORM @extschema@.airun_store_attach(suffix, lower_id, upper_id, is_default);
END
$make_partitions$;
COMMENT ON FUNCTION @extschema@.airun_store_make_partitions(text, uuid, uuid, text, boolean) IS
'Makes the partitions of one range, and attaches them';

/* Attaches tables as partitions */
CREATE FUNCTION @extschema@.airun_store_attach(suffix text, lower_id uuid, upper_id uuid,
	is_default boolean)
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET client_min_messages = warning
AS $attach$
DECLARE
	item record;
BEGIN
	FOR item IN SELECT t.name FROM @extschema@.airun_store_partitioned_tables() AS t LOOP
		EXECUTE format('ALTER TABLE airun.%I ATTACH PARTITION airun.%I ', item.name,
					   item.name || '_' || suffix)
			|| CASE WHEN is_default THEN 'DEFAULT'
				ELSE format('FOR VALUES FROM (%s) TO (%s)',
							COALESCE(quote_literal(lower_id), 'MINVALUE'),
							COALESCE(quote_literal(upper_id), 'MAXVALUE')) END;
	END LOOP;
END
$attach$;
COMMENT ON FUNCTION @extschema@.airun_store_attach(text, uuid, uuid, boolean) IS
'Attaches the tables of a suffix as partitions';

/*
 * airun_add_partitions(months_ahead)
 *
 * Keeps partitions ahead: for each month after the last one, until so many after
 * this one.  What has come into default meanwhile goes where it belongs.
 */
CREATE FUNCTION @extschema@.airun_add_partitions(months_ahead bigint DEFAULT 3) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET timezone = 'UTC'
AS $add_partitions$
DECLARE
	stop timestamptz;		-- the end of the last month that shall have one
	month timestamptz;
	added bigint := 0;
	is_locked boolean := false;
BEGIN
	PERFORM @extschema@.airun_store_require_owner('airun_add_partitions');
	IF COALESCE(months_ahead NOT BETWEEN 0 AND 120, true) THEN
		RAISE EXCEPTION '% months ahead cannot be kept', COALESCE(months_ahead::text, 'null')
			USING ERRCODE = 'PT422', HINT = 'State between 0 and 120.';
	END IF;
	stop := date_trunc('month', now()) + make_interval(months => months_ahead::integer + 1);
	LOOP
		month := (SELECT @extschema@.airun_store_id_time(max(p.upper_id::text)::uuid)
				  FROM @extschema@.airun_store_partitions() AS p
				  WHERE p.relation = 'runs');
		EXIT WHEN COALESCE(month >= stop, true);
		IF NOT is_locked THEN
			PERFORM @extschema@.airun_store_lock(ARRAY(
				SELECT format('airun.%I', t.name || '_default')::regclass
				FROM @extschema@.airun_store_partitioned_tables() AS t), patience => '1 second');
			is_locked := true;
			CONTINUE;			-- somebody else may have made them
		END IF;
		PERFORM @extschema@.airun_store_make_partitions(to_char(month, 'YYYY_MM'),
			@extschema@.airun_store_first_id(month),
			@extschema@.airun_store_first_id(month + interval '1 month'), 'default');
		added := added + 1;
	END LOOP;
	IF added > 0 THEN
		PERFORM @extschema@.airun_store_mend();
	END IF;
	RETURN added;
END
$add_partitions$;
COMMENT ON FUNCTION @extschema@.airun_add_partitions(bigint) IS
'Makes partitions for the months to come, until so many after this one; returns for how many months
For the owner of the store.  Where the store is not partitioned there is nothing to do.';

/* What would go on looking at the table that was: a site's views and functions, foreign keys */
CREATE FUNCTION @extschema@.airun_store_dependents() RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $dependents$
WITH t AS (
	SELECT to_regclass('airun.' || t.name) AS oid
	FROM @extschema@.airun_store_partitioned_tables() AS t
)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0)
FROM t
JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
WHERE d.classid = 'pg_proc'::regclass
	OR w.ev_class <> ALL (ARRAY(SELECT v.view FROM @extschema@.airun_store_present_views() AS v))
	OR p.polrelid NOT IN (SELECT t.oid FROM t)
	OR k.conrelid NOT IN (SELECT t.oid FROM t) AND k.contype = 'f'
UNION ALL
SELECT format('column %I of table %s, which is an identity', a.attname, t.oid)
FROM t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attidentity <> ''
UNION ALL
SELECT format('publication %I, of some rows or columns of table %s', b.pubname, t.oid)
FROM t JOIN pg_publication_rel AS r ON r.prrelid = t.oid
JOIN pg_publication AS b ON b.oid = r.prpubid
WHERE r.prqual IS NOT NULL OR r.prattrs IS NOT NULL
UNION ALL
SELECT format('table %s, which inherits', i.inhrelid::regclass)
FROM t JOIN pg_inherits AS i ON t.oid IN (i.inhparent, i.inhrelid)
ORDER BY 1
$dependents$;
COMMENT ON FUNCTION @extschema@.airun_store_dependents() IS
'What keeps the store from being partitioned, since it would go on looking at a table of before';

/* The views of these tables that are ours, each with the statement that makes it anew */
CREATE FUNCTION @extschema@.airun_store_present_views()
RETURNS TABLE (view regclass, command text)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $present_views$
SELECT w.view, format('CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s',
					  w.view, w.definition)
FROM (
	SELECT to_regclass(format('@extschema@.%I', v.name)) AS view, v.definition
	FROM @extschema@.airun_store_views() AS v
	UNION ALL
	SELECT to_regclass(format('%s.%I', s.schema, v.name)), v.definition
	FROM @extschema@.airun_store_original_schemas() AS s (schema)
	CROSS JOIN @extschema@.airun_store_original_views() AS v) AS w
WHERE EXISTS (
	SELECT FROM pg_rewrite AS r
	JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
		AND d.refclassid = 'pg_class'::regclass
	JOIN @extschema@.airun_store_partitioned_tables() AS t
		ON d.refobjid = to_regclass('airun.' || t.name)
	WHERE r.ev_class = w.view)
$present_views$;
COMMENT ON FUNCTION @extschema@.airun_store_present_views() IS
'The views of the store that are there, and how they are made';

/*
 * What a table has besides its columns, as the statements that give it to another
 * table of its name: constraints, indexes, row security, policies, triggers, grants
 * and publications.  Foreign keys to runs are not among them.
 */
CREATE FUNCTION @extschema@.airun_store_table_commands(relation text) RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	SET quote_all_identifiers = off
AS $table_commands$
WITH t AS (
	SELECT c.oid, format('airun.%I', c.relname) AS name, c.relowner, c.relacl,
		c.relrowsecurity, c.relforcerowsecurity
	FROM pg_class AS c WHERE c.oid = format('airun.%I', relation)::regclass
)
SELECT s.command
FROM (
	SELECT 1 AS place, format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, k.conname,
		pg_get_constraintdef(k.oid)) AS command
	FROM t JOIN pg_constraint AS k ON k.conrelid = t.oid
	WHERE k.contype IN ('p', 'u', 'x')
		OR k.contype = 'f' AND k.confrelid <> 'airun.runs'::regclass
	UNION ALL
	SELECT 2, pg_get_indexdef(x.indexrelid)
	FROM t JOIN pg_index AS x ON x.indrelid = t.oid
	WHERE NOT EXISTS (SELECT FROM pg_constraint AS k
					  WHERE k.conindid = x.indexrelid AND k.conrelid = t.oid)
	UNION ALL
	SELECT 3, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name) FROM t
		WHERE t.relrowsecurity
	UNION ALL
	SELECT 3, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.name) FROM t
		WHERE t.relforcerowsecurity
	UNION ALL
	SELECT 4, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, t.name,
		CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
		CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
			WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
		(SELECT string_agg(CASE r.oid WHEN 0 THEN 'PUBLIC' ELSE r.oid::regrole::text END, ', ')
		 FROM unnest(p.polroles) AS r (oid)))
		|| COALESCE(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
		|| COALESCE(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
	FROM t JOIN pg_policy AS p ON p.polrelid = t.oid
	UNION ALL
	SELECT 5, pg_get_triggerdef(g.oid)
	FROM t JOIN pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal
	UNION ALL
	SELECT 6, format('ALTER TABLE %s %s TRIGGER %I', t.name, CASE g.tgenabled
		WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'DISABLE' END, g.tgname)
	FROM t JOIN pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled <> 'O'
	UNION ALL
	SELECT 7, format('GRANT %s%s ON %s TO %s%s', a.privilege_type,
		' (' || quote_ident(a.column) || ')',
		t.name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
		CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
	FROM t CROSS JOIN LATERAL (
		SELECT x.*, NULL::name AS column FROM aclexplode(t.relacl) AS x
		UNION ALL
		SELECT x.*, b.attname FROM pg_attribute AS b, aclexplode(b.attacl) AS x
		WHERE b.attrelid = t.oid) AS a
	-- a role of which nothing but its rights is left cannot be named
	WHERE a.grantee <> t.relowner
		AND (a.grantee = 0 OR a.grantee IN (SELECT r.oid FROM pg_roles AS r))
	UNION ALL
	SELECT 8, format('COMMENT ON TABLE %s IS %L', t.name, obj_description(t.oid, 'pg_class'))
		FROM t
	UNION ALL
	SELECT 9, format('ALTER PUBLICATION %I ADD TABLE %s', b.pubname, t.name)
	FROM t JOIN pg_publication_rel AS r ON r.prrelid = t.oid
	JOIN pg_publication AS b ON b.oid = r.prpubid) AS s
ORDER BY s.place, s.command
$table_commands$;
COMMENT ON FUNCTION @extschema@.airun_store_table_commands(text) IS
'What a table of the store has besides its columns, as the statements that make it';

/*
 * Renames a table to what it is as the partition earlier, with its indexes, and takes
 * from it what partitions do not have: policies, grants, row triggers, publications.
 */
CREATE FUNCTION @extschema@.airun_store_set_aside(relation text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET client_min_messages = warning
AS $set_aside$
DECLARE
	old constant regclass := format('airun.%I', relation)::regclass;
	earlier constant text := relation || '_earlier';
	item record;
BEGIN
	EXECUTE format('ALTER TABLE airun.%I RENAME TO %I', relation, earlier);
	FOR item IN
		SELECT c.relname AS name, earlier || CASE WHEN starts_with(c.relname, relation || '_')
			THEN substr(c.relname, length(relation) + 1) ELSE '_' || c.relname END AS new_name
		FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid
		WHERE x.indrelid = old
	LOOP
		EXECUTE format('ALTER INDEX airun.%I RENAME TO %I', item.name, item.new_name);
	END LOOP;
	FOR item IN
		SELECT format('DROP POLICY %I ON airun.%I', p.polname, earlier) AS command
		FROM pg_policy AS p WHERE p.polrelid = old
		UNION ALL
		SELECT format('DROP TRIGGER %I ON airun.%I', g.tgname, earlier)
		FROM pg_trigger AS g
		WHERE g.tgrelid = old AND NOT g.tgisinternal AND g.tgtype & 1 = 1
		UNION ALL
		SELECT DISTINCT format('REVOKE ALL ON airun.%I FROM %s CASCADE', earlier,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
		FROM pg_class AS c
		CROSS JOIN LATERAL (
			SELECT x.grantee FROM aclexplode(c.relacl) AS x
			UNION ALL
			SELECT x.grantee FROM pg_attribute AS b, aclexplode(b.attacl) AS x
			WHERE b.attrelid = c.oid) AS a
		WHERE c.oid = old AND a.grantee <> c.relowner
			AND (a.grantee = 0 OR a.grantee IN (SELECT r.oid FROM pg_roles AS r))
		UNION ALL
		SELECT format('ALTER PUBLICATION %I DROP TABLE airun.%I', b.pubname, earlier)
		FROM pg_publication_rel AS r JOIN pg_publication AS b ON b.oid = r.prpubid
		WHERE r.prrelid = old
	LOOP
		EXECUTE item.command;
	END LOOP;
END
$set_aside$;
COMMENT ON FUNCTION @extschema@.airun_store_set_aside(text) IS
'Makes of a table what it is as a partition, under another name';

/*
 * Refuses a store that cannot be partitioned as it is.  Returns the bound of what is
 * there: the beginning of the next month.
 */
CREATE FUNCTION @extschema@.airun_store_check_partitionable() RETURNS timestamptz
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET timezone = 'UTC'
AS $check_partitionable$
DECLARE
	bound constant timestamptz := date_trunc('month', now()) + interval '1 month';
	words text;
	strays bigint;
BEGIN
	words := (SELECT string_agg(concat_ws(' ', d.kind, d.name, 'of', d.relation), ', ')
			  FROM @extschema@.airun_store_differences() AS d);
	IF words IS NOT NULL THEN
		RAISE EXCEPTION 'the store is not as airun_install() makes it'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('It lacks, or has otherwise: %s.', words),
				HINT = 'Run SELECT airun_install() first.';
	END IF;
	words := (SELECT string_agg(d, ', ') FROM @extschema@.airun_store_dependents() AS d);
	IF words IS NOT NULL THEN
		RAISE EXCEPTION 'the store cannot be partitioned while other objects depend on its tables'
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = format('There is: %s.', words),
				HINT = 'Drop them and make them again afterwards; views of ai_runs, ai_messages '
					'and ai_tasks may stay.';
	END IF;
	SELECT count(*) INTO strays
	FROM (SELECT FROM airun.runs AS r
		  WHERE r.id >= @extschema@.airun_store_first_id(bound) LIMIT 10001) AS s;
	IF strays > 10000 THEN
		RAISE EXCEPTION 'the ids of more than 10000 runs do not begin with their time'
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Partitions are by the time that ids of version 7 begin with.',
				HINT = 'Leave ids out, or make them of version 7; see doc/scale.md.';
	END IF;
	RETURN bound;
END
$check_partitionable$;
COMMENT ON FUNCTION @extschema@.airun_store_check_partitionable() IS
'Refuses a store that cannot be partitioned; returns until when what is there will be '
'one partition';

/*
 * airun_partition(months_ahead)
 *
 * The tables that there are become the partition earlier, until the end of this
 * month; runs with later ids, which do not begin with their time, move.  The tables
 * are locked while the server reads their ids through.
 */
CREATE FUNCTION @extschema@.airun_partition(months_ahead bigint DEFAULT 3) RETURNS text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '10s'
	SET row_security = off
	SET client_min_messages = warning
AS $partition$
DECLARE
	bound timestamptz;
	added bigint;
	commands text[];
	command text;
	relation text;
BEGIN
	PERFORM @extschema@.airun_store_require_owner('airun_partition');
	-- of two calls the second one waits here, and finds done what the first has done
	IF NOT EXISTS (SELECT FROM @extschema@.airun_store_partitions()) THEN
		LOCK TABLE ONLY airun.runs IN SHARE UPDATE EXCLUSIVE MODE;
	END IF;
	IF EXISTS (SELECT FROM @extschema@.airun_store_partitions()) THEN
		added := @extschema@.airun_add_partitions(months_ahead);
		RETURN format('The store is partitioned; partitions have been made for %s months.', added);
	END IF;
	PERFORM @extschema@.airun_store_check_partitionable();
	PERFORM @extschema@.airun_store_lock(ARRAY(
		SELECT format('airun.%I', t.name)::regclass
		FROM @extschema@.airun_store_partitioned_tables() AS t), ARRAY(
		SELECT v.view FROM @extschema@.airun_store_present_views() AS v));
	bound := @extschema@.airun_store_check_partitionable();

	commands := ARRAY(
		SELECT c.command
		FROM @extschema@.airun_store_partitioned_tables() AS t,
			@extschema@.airun_store_table_commands(t.name) AS c (command))
		|| ARRAY(SELECT v.command FROM @extschema@.airun_store_present_views() AS v);
	FOR relation IN SELECT t.name FROM @extschema@.airun_store_partitioned_tables() AS t LOOP
		PERFORM @extschema@.airun_store_set_aside(relation);
		EXECUTE (SELECT format('CREATE TABLE airun.%I (LIKE airun.%I INCLUDING ALL EXCLUDING '
			'INDEXES EXCLUDING STATISTICS) PARTITION BY RANGE (%I)',
							   t.name, t.name || '_earlier', t.key)
				 FROM @extschema@.airun_store_partitioned_tables() AS t WHERE t.name = relation);
		PERFORM @extschema@.airun_store_take_back('TABLE', format('airun.%I', relation));
	END LOOP;
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;

	PERFORM @extschema@.airun_store_make_partitions('other',
		@extschema@.airun_store_first_id('2100-01-01 00:00+00'), NULL, 'earlier');
	PERFORM @extschema@.airun_store_make_partitions('default',
		@extschema@.airun_store_first_id(bound), NULL, 'earlier', true);
	PERFORM @extschema@.airun_store_attach('earlier', NULL,
		@extschema@.airun_store_first_id(bound), false);
	PERFORM @extschema@.airun_install();	-- completes them
	added := @extschema@.airun_add_partitions(months_ahead);
	RETURN format('The store is partitioned.  Runs until %s are in the partition earlier; '
		'partitions have been made for %s months.',
				  to_char(bound AT TIME ZONE 'UTC', 'YYYY-MM-DD'), added);
END
$partition$;
COMMENT ON FUNCTION @extschema@.airun_partition(bigint) IS
'Partitions the store by months, and makes partitions until so many after this one; '
'says what it did
For the owner of the store, whose tables are locked meanwhile.  Calling it again makes the '
'partitions that are missing.';

/*
 * airun_drop_partitions(ended_before, with_live)
 *
 * Drops the partitions of whole months, of which every run may go: it was deleted
 * before that time or, with_live, nothing has happened in it since, and it is not
 * starred; none of its tasks is unfinished; nobody else's fork, in another month, has
 * copied from it; and its user's bucket is not moving to another shard.  What they have cost
 * stays in the ledger and in budgets.  Once the tables are locked, nobody is waited for longer
 * than a second.
 */
CREATE FUNCTION @extschema@.airun_drop_partitions(ended_before timestamptz,
	with_live boolean DEFAULT false)
RETURNS SETOF @extschema@.ai_partition
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET row_security = off
	SET client_min_messages = warning
	SET lock_timeout = '10s'
AS $drop_partitions$
DECLARE
	item record;
	result @extschema@.ai_partition;
	is_locked boolean := false;
BEGIN
	PERFORM @extschema@.airun_store_require_owner('airun_drop_partitions');
	IF ended_before IS NULL OR with_live IS NULL THEN
		RAISE EXCEPTION 'parameter "%" must not be null',
			CASE WHEN ended_before IS NULL THEN 'ended_before' ELSE 'with_live' END
			USING ERRCODE = 'PT422';
	END IF;
	FOR item IN
		SELECT p.suffix, p.lower_id, p.upper_id
		FROM @extschema@.airun_store_partitions() AS p
		WHERE p.relation = 'runs'
			AND p.upper_id <= @extschema@.airun_store_first_id(LEAST(ended_before, now()))
		ORDER BY p.upper_id
	LOOP
		IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
			RAISE EXCEPTION 'airun_drop_partitions() must see what is committed while it waits'
				USING ERRCODE = 'active_sql_transaction', HINT = 'Call it under READ COMMITTED.';
		END IF;
		result.suffix := item.suffix;
		LOOP
			-- looked at before the tables are locked, and again then
			EXECUTE format($$
				SELECT count(*), count(*) FILTER (WHERE CASE
					WHEN r.deleted_at IS NOT NULL THEN r.deleted_at >= $1
					ELSE NOT $2 OR r.is_starred
						OR GREATEST(r.last_message_at, r.updated_at) >= $1 END
					OR r.id IN (SELECT t.run_id FROM airun.%I AS t WHERE t.completed_at IS NULL)
					-- by its row a person's words are found in forks of others (purge.c)
					OR EXISTS (SELECT FROM airun.runs AS f
						WHERE f.forked_from = r.id AND f.tableoid <> r.tableoid
							AND @extschema@.airun_store_erase_needs(
								r.id, r.user_id, r.forked_from, f.user_id))
					OR @extschema@.airun_store_is_moving(r.user_id, true))
				FROM airun.%I AS r$$, 'tasks_' || item.suffix, 'runs_' || item.suffix)
				INTO result.runs, result.kept USING ended_before, with_live;
			EXIT WHEN is_locked OR result.kept > 0 OR item.lower_id IS NULL AND result.runs = 0;
			PERFORM @extschema@.airun_store_lock(ARRAY(
				SELECT format('airun.%I', t.name)::regclass
				FROM @extschema@.airun_store_partitioned_tables() AS t));
			is_locked := true;
			-- everybody waits for this by now
			PERFORM set_config('lock_timeout', '1s', true);
		END LOOP;
		CONTINUE WHEN item.lower_id IS NULL AND result.runs = 0;
		IF result.kept = 0 THEN
			BEGIN
				PERFORM @extschema@.airun_store_drop_month(item.suffix);
				IF item.lower_id IS NULL THEN
					PERFORM @extschema@.airun_store_make_partitions(item.suffix, NULL,
						item.upper_id, NULL);
					PERFORM @extschema@.airun_store_mend();
				END IF;
			EXCEPTION WHEN lock_not_available THEN
				RAISE EXCEPTION 'could not drop the partitions "%"', item.suffix
					USING ERRCODE = 'lock_not_available',
						DETAIL = 'Somebody keeps one of them, or a counter of a budget in which '
							'their tasks counted: a long transaction.',
						HINT = 'Nothing has been changed; call it again later.';
			END;
		END IF;
		RETURN NEXT result;
	END LOOP;
END
$drop_partitions$;
COMMENT ON FUNCTION @extschema@.airun_drop_partitions(timestamptz, boolean) IS
'Drops the partitions of months that ended before a time, where each of their runs was deleted '
'before it; with_live, also where nothing has happened since and the run is not starred; returns '
'how many runs each had, and how many kept it
Runs with unfinished tasks, and those of which others have forks in other months, keep theirs.  '
'For the owner of the store.  What the runs have cost stays in the ledger.';

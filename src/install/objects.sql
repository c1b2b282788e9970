/*
 * objects.sql: what guards the store, as one list
 *
 * Of each column, constraint, index, default, policy and trigger that airun_install()
 * makes, the definition stands once, in constraints.sql, tables.sql, policies.sql
 * and triggers.sql, and serves three times: airun_install() makes it, airun_check()
 * reports where it is missing or another, and the direct path is open only where
 * the catalog says the same.
 *
 * Definitions are exactly the server's own words, with the search_path
 * pg_catalog, pg_temp, without quote_all_identifiers, and on every version that
 * airun knows:
 *	column		format_type(atttypid, NULL), its type
 *	constraint	pg_get_constraintdef(oid); a primary or foreign key or a CHECK
 *	index		pg_get_indexdef(oid); those that belong to no constraint
 *	default		pg_get_expr(adbin, adrelid); its name is the column's
 *	policy		FOR and ALL, SELECT, INSERT, UPDATE or DELETE, then USING (expression)
 *				and WITH CHECK (expression), where there are such, with
 *				pg_get_expr(polqual, polrelid) and pg_get_expr(polwithcheck, polrelid)
 *				between the parentheses; it is permissive, and for PUBLIC
 *	trigger		pg_get_triggerdef(oid)
 * A relation is a table of the schema airun, or a view of the extension's schema.
 *
 * The lists are constants.  Whoever installs the store may read them, and who
 * checks it; they are not for clients.  The direct path reads them as their owner.
 */
CREATE FUNCTION @extschema@.airun_store_objects()
RETURNS TABLE (kind text, relation text, name text, definition text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $objects$
-- Where the lists break a line, the server puts a space.
WITH columns AS MATERIALIZED (SELECT * FROM @extschema@.airun_store_columns())
SELECT o.kind, o.relation, o.name,
	regexp_replace(o.definition, '[[:space:]]+', ' ', 'g')
FROM (
	SELECT 'column', c.relation, c.name, format_type(c.type::regtype, NULL) FROM columns AS c
	UNION ALL
	SELECT * FROM @extschema@.airun_store_constraints()
	UNION ALL
	SELECT 'default', c.relation, c.name, c.value FROM columns AS c WHERE c.value IS NOT NULL
	UNION ALL
	SELECT * FROM @extschema@.airun_store_policies()
	UNION ALL
	SELECT * FROM @extschema@.airun_store_triggers()) AS o (kind, relation, name, definition)
$objects$;
COMMENT ON FUNCTION @extschema@.airun_store_objects() IS
'What the store is made of: each column with its type, and each constraint, index, default, '
'policy and trigger with its definition';

/*
 * Where the store is not as the list says: the definition that was found, NULL
 * where there is none, and how a trigger is enabled.  Row security counts as an
 * object: a table that has a policy in the list is under it, and so is each of its
 * partitions (partition.sql).
 */
CREATE FUNCTION @extschema@.airun_store_differences()
RETURNS TABLE (kind text, relation text, name text, definition text,
	target regclass, found text, state "char")
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	SET quote_all_identifiers = off
AS $differences$
WITH listed AS (
	SELECT o.*
	FROM @extschema@.airun_store_objects() WITH ORDINALITY
		AS o (kind, relation, name, definition, place)
), partitions AS (
	SELECT p.*, format('\mairun\.(%s)\M', (
		SELECT string_agg(t.name, '|')
			FROM @extschema@.airun_store_partitioned_tables() AS t)) AS names
	FROM @extschema@.airun_store_partitions() AS p
	WHERE EXISTS (SELECT FROM @extschema@.airun_store_partitions() AS r
				  WHERE r.relation = 'runs' AND r.suffix = p.suffix)
), wanted AS (
	SELECT o.*, to_regclass(CASE WHEN starts_with(o.relation, 'ai_') THEN '@extschema@.'
		ELSE 'airun.' END || o.relation) AS target
	FROM (
		SELECT l.* FROM listed AS l WHERE l.kind <> 'column'
		UNION ALL
		SELECT 'row security', l.relation, NULL, 'enabled', min(l.place)
		FROM listed AS l WHERE l.kind = 'policy' GROUP BY l.relation) AS o
	-- a foreign key to runs stands on the partitions
	WHERE NOT (o.definition ~ 'REFERENCES airun\.runs\M'
		AND o.relation IN (SELECT p.relation FROM partitions AS p))
	UNION ALL
	-- Of a partition: foreign keys and statement triggers, which refer to partitions of
	-- the same suffix; row triggers come from its table, but may be disabled.
	SELECT l.kind, l.relation, l.name,
		regexp_replace(l.definition, p.names, 'airun.\1_' || p.suffix, 'g'), l.place, p.partition
	FROM partitions AS p
	JOIN listed AS l ON l.relation = p.relation
	WHERE l.definition ~ 'REFERENCES airun\.runs\M' OR l.definition ~ 'FOR EACH STATEMENT'
		OR l.kind = 'trigger' AND EXISTS (
			SELECT FROM pg_trigger AS t WHERE t.tgrelid = p.partition AND t.tgname = l.name)
	UNION ALL
	SELECT 'row security', p.relation, NULL, 'enabled', NULL, p.partition
	FROM partitions AS p
), compared AS (
	SELECT w.*, f.found, f.state
	FROM wanted AS w
	LEFT JOIN LATERAL (
		SELECT pg_get_constraintdef(k.oid), NULL::"char"
		FROM pg_constraint AS k
		WHERE w.kind = 'constraint' AND k.conrelid = w.target AND k.conname = w.name
		UNION ALL
		SELECT replace(pg_get_indexdef(x.indexrelid), ' ON ONLY airun.', ' ON airun.')
			|| CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END, NULL
		FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
		WHERE w.kind = 'index' AND x.indrelid = w.target AND i.relname = w.name
		UNION ALL
		SELECT pg_get_expr(d.adbin, d.adrelid), NULL
		FROM pg_attrdef AS d
		JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
		WHERE w.kind = 'default' AND d.adrelid = w.target AND a.attname = w.name
		UNION ALL
		SELECT CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END, NULL
		FROM pg_class AS c
		WHERE w.kind = 'row security' AND c.oid = w.target
		UNION ALL
		SELECT concat(CASE WHEN NOT p.polpermissive THEN 'AS RESTRICTIVE ' END,
			'FOR ', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
				WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
			CASE WHEN p.polroles <> '{0}' THEN ' TO '
				|| array_to_string(p.polroles::regrole[], ', ') END,
			' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
			' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), NULL
		FROM pg_policy AS p
		WHERE w.kind = 'policy' AND p.polrelid = w.target AND p.polname = w.name
		UNION ALL
		SELECT pg_get_triggerdef(t.oid), t.tgenabled
		FROM pg_trigger AS t
		WHERE w.kind = 'trigger' AND t.tgrelid = w.target AND t.tgname = w.name
			AND NOT t.tgisinternal
	) AS f (found, state) ON true
	WHERE f.found IS DISTINCT FROM w.definition OR f.state NOT IN ('O', 'A')
	UNION ALL
	SELECT l.*, c.oid, format_type(a.atttypid, NULL), NULL
	FROM listed AS l
	LEFT JOIN pg_class AS c ON c.relnamespace = to_regnamespace('airun') AND c.relname = l.relation
	LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = l.name
	WHERE l.kind = 'column' AND format_type(a.atttypid, NULL) IS DISTINCT FROM l.definition
		-- what is read in the same way will do: a domain, varchar in place of text
		AND NOT EXISTS (
			WITH RECURSIVE bases (type) AS (
				SELECT a.atttypid
				UNION ALL
				SELECT y.typbasetype
				FROM bases AS b
				JOIN pg_type AS y ON y.oid = b.type
				WHERE y.typbasetype <> 0
			)
			SELECT FROM bases AS b
			LEFT JOIN pg_cast AS k
				ON k.castsource = b.type AND k.castmethod = 'b' AND k.castcontext = 'i'
			WHERE to_regtype(l.definition) IN (b.type, k.casttarget))
)
SELECT d.kind, d.relation, d.name, d.definition, d.target, d.found, d.state
FROM compared AS d
ORDER BY d.place, d.name NULLS FIRST
$differences$;
COMMENT ON FUNCTION @extschema@.airun_store_differences() IS
'What airun_store_objects() lists and the store has not, or has otherwise';

/*
 * Makes what is missing and puts back what is another: all of the list, on tables and
 * views that are there.  Returns what it has made.
 */
CREATE FUNCTION @extschema@.airun_store_mend() RETURNS text[]
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $mend$
DECLARE
	done text[] := '{}';
	enable constant jsonb :=	-- by pg_trigger.tgenabled
		'{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}';
	command text;
	item record;
BEGIN
	FOR item IN
		SELECT d.*, c.relname AS target_name
		FROM @extschema@.airun_store_differences() AS d
		JOIN pg_class AS c ON c.oid = d.target
		WHERE d.found IS DISTINCT FROM d.definition
	LOOP
		-- what a column has, somebody has to bring over
		IF item.kind = 'column' THEN
			RAISE EXCEPTION 'column "%" of table % is of type %', item.name,
				item.target, item.found
				USING ERRCODE = 'object_not_in_prerequisite_state',
					DETAIL = format('airun keeps values of type %s there.', item.definition),
					HINT = format('Make it that again: ALTER TABLE %s ALTER COLUMN %I TYPE %s.',
								  item.target, item.name, item.definition);
		END IF;
		IF item.found IS NOT NULL THEN
			command := CASE item.kind
				WHEN 'constraint' THEN 'ALTER TABLE %s DROP CONSTRAINT %I'
				WHEN 'index' THEN 'DROP INDEX airun.%2$I'
				WHEN 'policy' THEN 'DROP POLICY %2$I ON %1$s'
				WHEN 'trigger' THEN 'DROP TRIGGER %2$I ON %1$s' END;
			IF command IS NOT NULL THEN
				EXECUTE format(command, item.target, item.name);
			END IF;
		END IF;
		command := CASE item.kind
			WHEN 'constraint' THEN 'ALTER TABLE %1$s ADD CONSTRAINT %2$I %3$s'
			WHEN 'default' THEN 'ALTER TABLE %1$s ALTER COLUMN %2$I SET DEFAULT %3$s'
			WHEN 'row security' THEN 'ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY'
			WHEN 'policy' THEN 'CREATE POLICY %2$I ON %1$s %3$s'
			ELSE '%3$s' END;
		EXECUTE format(command, item.target, item.name, item.definition);
		IF item.state <> 'O' THEN
			EXECUTE format('ALTER TABLE %s %s TRIGGER %I', item.target,
						   enable ->> item.state::text, item.name);
		END IF;
		done := done || format(CASE
			WHEN item.kind = 'row security' THEN '%1$s of %4$s'
			WHEN item.relation <> item.target_name THEN '%1$s %2$s of %4$s'
			WHEN item.kind IN ('constraint', 'index') THEN '%1$s %2$s'
			WHEN item.kind = 'default' THEN '%1$s of %3$s.%2$s'
			ELSE '%1$s %2$s of %3$s' END, item.kind, item.name, item.relation, item.target_name);
	END LOOP;
	RETURN done;
END
$mend$;
COMMENT ON FUNCTION @extschema@.airun_store_mend() IS
'Makes what airun_store_differences() tells of; returns what that was';

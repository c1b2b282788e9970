/*
 * install_proxy.sql: a database becomes the proxy of shards
 *
 * A proxy has no store.  It has, in the API's schema, functions of the same names,
 * arguments, defaults, comments and results as a store's, so that a client cannot
 * tell; each finds the shard and calls there through PL/Proxy.  They run as the role
 * of the proxy, which alone may call what goes out, and hand on the claims, the
 * setting airun.user_id and the role of who calls.  What returns one value travels in
 * one, and so does its result (packed_call.c): the shard parses and plans each statement
 * anew, since PL/Proxy prepares nothing.  The functions of owners run as their caller, a
 * superuser, who logs in on the shards by a user mapping.  Nobody else has one or may
 * make one, as it would let him log in as anybody.
 *
 * Each call is a transaction of its own on its shard: a caller's transaction does
 * not undo it.  So a call that writes is refused where the transaction may only read
 * (25006), and a failed call can be repeated as on one machine.  What goes to one shard
 * after another and fails says which ones have done it, and how to go on.
 *
 * Errors are the shard's, without what PL/Proxy puts in front.  PT503: the shard
 * cannot be reached.  A shard that no longer has the bucket says PT421; then the map
 * is looked up and the call repeated, for 10 seconds, with pauses that grow, since each
 * time takes a connection anew.
 *
 * By a superuser: PL/Proxy is an untrusted language.  Locks: none of its own on the proxy;
 * on a shard each call holds its bucket (shard_call.c).
 */

/* The functions with which the proxy's functions find their shard and tell errors */
CREATE FUNCTION @extschema@.airun_store_make_router() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $make$
BEGIN
	CREATE OR REPLACE FUNCTION airun_remote.bucket_of(_shard integer, run_id uuid, task_id uuid,
		call_id uuid)
		RETURNS SETOF integer LANGUAGE plproxy
	AS $bucket$ CLUSTER 'airun'; RUN ON ALL; $bucket$;

	/* Calls that travel in one value */
	CREATE OR REPLACE FUNCTION airun_remote.call(_shard integer, call bytea)
		RETURNS bytea LANGUAGE plproxy
	AS $call$ CLUSTER 'airun'; RUN ON $1; SELECT airun_remote.call($2); $call$;

	CREATE OR REPLACE FUNCTION airun_remote.status(_shard integer)
		RETURNS TABLE (buckets integer[], moving bigint, runs bigint,
			bytes bigint) LANGUAGE plproxy
	AS $status$ CLUSTER 'airun'; RUN ON $1; $status$;

	CREATE OR REPLACE FUNCTION airun_remote.arriving_buckets(_shard integer)
		RETURNS SETOF integer LANGUAGE plproxy
	AS $arriving$ CLUSTER 'airun'; RUN ON $1; $arriving$;

	/* The bucket of a call of which neither ids nor caller tell: the shards are asked */
	CREATE OR REPLACE FUNCTION airun_remote.asked_bucket(run_id uuid, task_id uuid, call_id uuid)
		RETURNS integer LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $bucket$
	BEGIN
		RETURN COALESCE((SELECT b FROM airun_remote.bucket_of(0, $1, $2, $3) AS b LIMIT 1), 0);
	END
	$bucket$;

	CREATE OR REPLACE FUNCTION airun_remote.budget_scope(_shard integer, name text)
		RETURNS SETOF text LANGUAGE plproxy
	AS $scope$ CLUSTER 'airun'; RUN ON $1; $scope$;

	CREATE OR REPLACE FUNCTION airun_remote.all_shards() RETURNS SETOF integer
		LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $all$ SELECT s.shard FROM airun_remote.shards AS s ORDER BY 1 $all$;

	CREATE OR REPLACE FUNCTION airun_remote.as_uuid(id text) RETURNS uuid
		LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $uuid$
	BEGIN
		RETURN $1::uuid;
	EXCEPTION WHEN invalid_text_representation THEN
		RETURN NULL;	/* the shard says what is wrong with it */
	END
	$uuid$;

	/*
	 * The bucket that has the counter which a credit is for: a user's, or that of a run that is
	 * there; NULL where each shard has one
	 */
	CREATE OR REPLACE FUNCTION airun_remote.credited_bucket(budget text, value text)
		RETURNS integer LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $credited$
	DECLARE
		id uuid := airun_remote.as_uuid($2);
		bucket integer := @extschema@.airun_bucket(id);
		scope text := (SELECT s FROM airun_remote.budget_scope(
			@extschema@.airun_store_shard_of(bucket, true), $1) AS s WHERE id IS NOT NULL);
	BEGIN
		IF scope = 'run' THEN
			/* of two runs with one id neither is meant more than the other */
			bucket := (SELECT min(b) FROM airun_remote.bucket_of(0, id, NULL, NULL) AS b
				HAVING min(b) = max(b));
		END IF;
		RETURN CASE WHEN scope IN ('user', 'run') THEN bucket END;
	END
	$credited$;

	/*
	 * For what is done to a user, or to a budget, on one shard after another: nothing that it
	 * is about moves in between, past those that have not been visited yet
	 */
	CREATE OR REPLACE FUNCTION airun_remote.keep_user(user_id uuid) RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $keep$
	DECLARE
		bucket integer := @extschema@.airun_bucket($1);
	BEGIN
		IF NOT pg_try_advisory_xact_lock_shared(1634300534, bucket) THEN
			RAISE EXCEPTION 'bucket % of user "%" is being moved', bucket, $1
				USING ERRCODE = 'object_in_use', HINT = 'Call it again once it has arrived.';
		END IF;
	END
	$keep$;
	CREATE OR REPLACE FUNCTION airun_remote.await_moves() RETURNS void
		LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $await$ SELECT pg_advisory_xact_lock(1634300534, 4096) $await$;

	/* An id that the raw body of a call names, of a run or a task, or of the run that it makes */
	CREATE OR REPLACE FUNCTION airun_remote.named(body text, argument text) RETURNS uuid
		LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $named$
	BEGIN
		RETURN (SELECT airun_remote.as_uuid(COALESCE(c.value ->> $2,
					c.value -> 'run' ->> CASE $2 WHEN 'run_id' THEN 'id' ELSE $2 END))
				FROM jsonb_each(@extschema@.airun_json($1)) AS c LIMIT 1);
	EXCEPTION WHEN OTHERS THEN
		RETURN NULL;	/* the shard says what is wrong with it */
	END
	$named$;

	CREATE OR REPLACE FUNCTION airun_remote.refuse_write() RETURNS void
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $write$
	BEGIN
		RAISE EXCEPTION 'cannot execute this function in a read-only transaction'
			USING ERRCODE = 'read_only_sql_transaction';
	END
	$write$;

	/* Does the caller see what everybody has used?  As on the shards: reporters and superusers. */
	CREATE OR REPLACE FUNCTION airun_remote.sees_all() RETURNS boolean
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $sees$
	DECLARE
		caller text := CASE current_setting('role') WHEN 'none' THEN session_user::text
			ELSE current_setting('role') END;
	BEGIN
		RETURN EXISTS (SELECT FROM airun_remote.reporters AS r WHERE r.role = caller)
			OR (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = caller);
	END
	$sees$;

	/* A raw body goes to one shard: one for a function that asks all is refused where it would */
	CREATE OR REPLACE FUNCTION airun_remote.refuse_body(body text, of_all text[]) RETURNS void
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $body$
	DECLARE
		called text;
	BEGIN
		BEGIN
			called := (SELECT c.key FROM jsonb_each(@extschema@.airun_json($1)) AS c LIMIT 1);
		EXCEPTION WHEN OTHERS THEN
			RETURN;	/* the shard says what is wrong with it */
		END;
		IF called = ANY (of_all) AND airun_remote.named($1, 'run_id') IS NULL
			AND (@extschema@.airun_user_id() IS NULL OR airun_remote.sees_all())
			AND (SELECT count(*) FROM airun_remote.shards) > 1 THEN
			RAISE EXCEPTION 'airun_call() cannot ask all shards'
				USING ERRCODE = 'feature_not_supported',
					HINT = format('Call %s() itself.', called);
		END IF;
	END
	$body$;

	/* A page is drawn of durations, too, which are not to be added up */
	CREATE OR REPLACE FUNCTION airun_remote.refuse_page() RETURNS void
		LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $page$
	BEGIN
		IF (@extschema@.airun_user_id() IS NULL OR airun_remote.sees_all())
			AND (SELECT count(*) FROM airun_remote.shards) > 1 THEN
			RAISE EXCEPTION 'a page of all shards cannot be drawn'
				USING ERRCODE = 'feature_not_supported',
					HINT = 'Call airun_usage_page() on each shard, or airun_usage() here; users '
						'have their own page.';
		END IF;
	END
	$page$;

	/*
	 * An error of a shard, told as its own; returns where the call is to be repeated.
	 * attempt: 500 for the last one.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.failed(attempt integer, state text, message text,
		detail text, hint text)
		RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $failed$
	DECLARE
		said text := regexp_replace(message, '^[a-z_.]+\(\d+\): \[[^]]*\] REMOTE [A-Z]+: ', '');
		details text := NULLIF(regexp_replace(detail, '^Remote detail: ', ''), '');
		hints text := NULLIF(regexp_replace(hint, '^Remote hint: ', ''), '');
	BEGIN
		IF state = 'PT421' AND attempt < 500 THEN
			PERFORM pg_sleep(LEAST(0.02 * attempt, 0.25));
			/*
			 * For the rest of the transaction: PL/Proxy tells of each connection that it makes
			 * anew
			 */
			PERFORM set_config('client_min_messages', 'warning', true)
			WHERE current_setting('client_min_messages') NOT IN ('warning', 'error');
			RETURN;
		END IF;
		IF state = 'PT421' THEN
			details := concat_ws(' ', said || '.', details);
			said := 'what this call is for is being moved to another shard';
			state := 'PT503';
			hints := 'Send it again in a moment.';
		ELSIF state = '57000' THEN
			state := '57014';	/* shard_call.c */
		ELSIF state IN ('57P01', '57P02', '57P03') OR state LIKE '08%'
			OR message LIKE 'PL/Proxy function %' AND state = 'XX000' THEN
			details := concat_ws(' ', said, details);
			said := 'a shard of the store cannot be reached';
			state := 'PT503';
			hints := 'Send it again in a moment.';
		END IF;
		IF details IS NULL AND hints IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = state, MESSAGE = said;
		ELSIF hints IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = state, MESSAGE = said, DETAIL = details;
		ELSIF details IS NULL THEN
			RAISE EXCEPTION USING ERRCODE = state, MESSAGE = said, HINT = hints;
		END IF;
		RAISE EXCEPTION USING ERRCODE = state, MESSAGE = said, DETAIL = details, HINT = hints;
	END
	$failed$;

	/*
	 * As failed(), of a call that writes on one shard after another: which ones have done it is
	 * told.  again: how to go on, where it is not to be sent again as it was.
	 */
	CREATE OR REPLACE FUNCTION airun_remote.failed_at(shard integer, done integer[], again text,
		attempt integer, state text, message text, detail text, hint text)
		RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $failed_at$
	BEGIN
		PERFORM airun_remote.failed($4, $5, $6, $7, $8);
	EXCEPTION WHEN OTHERS THEN
		IF $5 = 'PT421' OR $1 IS NULL
			OR $2 = '{}' AND ($3 IS NULL OR SQLSTATE <> 'PT503') THEN
			RAISE;
		END IF;
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM,
			DETAIL = concat_ws(' ', NULLIF(rtrim(detail, E'. \n') || '.', '.'),
				'It has been done on these shards: '
					|| NULLIF(array_to_string($2, ', '), '') || '.',
				CASE WHEN SQLSTATE = 'PT503'
					THEN format('It may have been done on shard %s.', $1) END),
			HINT = COALESCE($3, NULLIF(hint, ''), 'Send it again.');
	END
	$failed_at$;

	/* A shard that cannot be reached where all are asked: left out only on demand, and said */
	CREATE OR REPLACE FUNCTION airun_remote.left_out(shard integer, state text, message text,
		detail text, hint text)
		RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $left$
	BEGIN
		PERFORM airun_remote.failed(500, state, message, detail, hint);
	EXCEPTION WHEN SQLSTATE 'PT503' THEN
		IF NOT current_setting('airun.partial_answers')::boolean THEN
			RAISE;
		END IF;
		RAISE WARNING 'shard % is left out', shard
			USING DETAIL = message, HINT = 'airun.partial_answers is on.';
	END
	$left$;
END
$make$;
COMMENT ON FUNCTION @extschema@.airun_store_make_router() IS
'Makes what the functions of a proxy use to find their shard; called by airun_install_proxy()';

/*
 * What all shards have answered, as one answer: the end of a function's body that
 * has gathered the rows or numbers of each shard in "answers".
 */
CREATE FUNCTION @extschema@.airun_store_merge(function oid) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $merge$
SELECT CASE
	WHEN p.proname = 'airun_list_runs' THEN 'RETURN QUERY SELECT a.* FROM unnest(answers) AS a
		ORDER BY a.active_hour DESC, a.last_message_at DESC, a.id DESC LIMIT page_size;'
	WHEN p.proname = 'airun_search' THEN 'RETURN QUERY SELECT a.* FROM unnest(answers) AS a
		ORDER BY CASE WHEN sort = ''best'' THEN a.rank END DESC, a.created_at DESC, a.run_id '
		'DESC, a.seq DESC
		LIMIT page_size;'
	/* Durations are not to be added up: a group that several shards have has none */
	WHEN p.proname = 'airun_usage'
		THEN format('IF EXISTS (SELECT FROM unnest(answers) AS a WHERE a.total_avg IS NOT NULL
			GROUP BY a.bucket, a.kind, a.user_id, a.source_type, a.provider, a.model_id, '
			'a.served_model, a.service,
				a.task_name, a.status, a.price_status HAVING count(*) > 1) THEN
			RAISE WARNING ''durations of what several shards have are left out''
				USING HINT = ''Group by user_id, or call airun_usage() on each shard.'';
		END IF;
		RETURN QUERY SELECT a.bucket, a.bucket_start, a.kind, a.user_id,
		a.source_type, a.provider, a.model_id, a.served_model, a.service, a.task_name, a.status, '
		'a.price_status,
		sum(a.calls)::bigint, sum(a.errors)::bigint,
		sum(a.errors)::double precision / NULLIF(sum(a.calls), 0)::double precision,
		sum(a.unpriced)::bigint, sum(a.doubtful)::bigint, sum(a.unpriced_tokens)::bigint,
		sum(a.tokens_input)::bigint, sum(a.tokens_cache_read)::bigint, '
		'sum(a.tokens_cache_write)::bigint,
		sum(a.tokens_output)::bigint, sum(a.tokens_total)::bigint, sum(a.cost),
		%1$s
		string_agg(DISTINCT a.answered_by, '', '')
		FROM unnest(answers) AS a
		GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
		ORDER BY a.bucket_start, a.bucket, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12;',
		(SELECT string_agg(format('CASE WHEN count(a.total_avg) < 2 THEN max(a.%I) END,',
		 c.attname), ' ' ORDER BY c.attnum)
		 FROM pg_attribute AS c
		 WHERE c.attrelid = '@extschema@.ai_usage'::regclass
		 AND c.attname ~ '^(first_token|total)_(p[0-9]+|avg)$'))
	/*
	 * A budget of users is one for each, on the shard of the user, from which alone it has been
	 * gathered; of all others each shard has one of its own, and all are told.
	 */
	WHEN p.proname = 'airun_budget_status' THEN 'RETURN QUERY SELECT (b.a).* FROM (
			SELECT a, count(a.value) OVER (PARTITION BY a.budget) AS values,
				row_number() OVER (PARTITION BY a.budget, a.value) AS place
			FROM unnest(answers) AS a) AS b
		WHERE (b.a).scope <> ''user'' OR b.place = 1 AND ((b.a).value IS NOT NULL OR b.values = 0)
		ORDER BY (b.a).budget, (b.a).value;'
	WHEN p.proname = 'airun_erase_user'
		THEN format('RETURN (SELECT ROW(bool_and(a.is_done), sum(a.runs)::bigint,
		sum(a.messages)::bigint, sum(a.tasks)::bigint, sum(a.calls)::bigint, '
		'sum(a.emptied)::bigint,
		sum(a.entries)::bigint)::%s FROM unnest(answers) AS a);', format_type(p.prorettype, NULL))
	WHEN p.proname = 'airun_import_prices' THEN 'RETURN QUERY SELECT a.*
		FROM unnest(answers[1:cardinality(answers) / (SELECT count(*)::integer FROM '
		'airun_remote.shards)]) AS a;'
	WHEN p.proretset THEN 'RETURN QUERY SELECT a.* FROM unnest(answers) AS a;'
	WHEN p.prorettype IN ('integer'::regtype, 'bigint'::regtype)
		AND p.proname <> 'airun_set_budget'
		THEN format('RETURN (SELECT sum(a)::%s FROM unnest(answers) AS a);',
			format_type(p.prorettype, NULL))
	ELSE 'IF (SELECT count(DISTINCT a) FROM unnest(answers) AS a) > 1 THEN
		RAISE EXCEPTION ''shards differ in what they answer''
			USING ERRCODE = ''data_exception'', DETAIL = array_to_string(answers, '', ''),
				HINT = ''See which of them differ, and repeat there what has been done on '
				'the others.'';
	END IF;
	RETURN answers[1];' END
FROM pg_proc AS p
WHERE p.oid = $1
$merge$;
COMMENT ON FUNCTION @extschema@.airun_store_merge(oid) IS
'How what all shards answer becomes one answer; called by airun_install_proxy()';

/*
 * The body of a proxy's function.
 *
 * An operator's function has two: that of a superuser, and "as_operator", which goes to
 * the shards as the role of the proxy does.
 *
 * Where one shard answers, the call is made in a block of its own, whose handler
 * tells the error or lets the loop repeat.  The names of arguments decide what a
 * call is routed by.
 */
CREATE FUNCTION @extschema@.airun_store_proxy_body(function oid, route text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
DECLARE
	f pg_proc;
	passed text;
	/* Claims, caller, and the role that the caller has become, as the shard shall know it */
	who text := 'current_setting(''request.jwt.claims'', true), '
		'current_setting(''airun.user_id'', true), '
		'CASE current_setting(''role'') WHEN ''none'' THEN session_user::text ELSE '
		'current_setting(''role'') END';
	names text[];
	ids text;
	owner text;
	one text;
	every text;
	remote text;
	again text;
	handler text := 'EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
				detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
			PERFORM airun_remote.%s, state, message, detail, hint);%s
		END;';
	this_attempt text :=
		'CASE WHEN clock_timestamp() < began + interval ''10 seconds'' THEN attempt ELSE 500 END';
BEGIN
	SELECT p.* INTO f FROM pg_proc AS p WHERE p.oid = function;
	SELECT string_agg(', $' || i, '' ORDER BY i) INTO passed
		FROM generate_series(1, f.pronargs) AS i;
	names := f.proargnames;

	ids := CASE f.proname
		WHEN 'airun_start_call' THEN 'NULL, NULL, NULL'
		WHEN 'airun_meter' THEN 'NULL, NULL, NULL'
		WHEN 'airun_start_turn'
			THEN 'COALESCE(run_id, airun_remote.as_uuid(run ->> ''id'')), task_id, NULL'
		WHEN 'airun_call'
			THEN 'airun_remote.named($1, ''run_id''), airun_remote.named($1, ''task_id''), '
			'airun_remote.named($1, ''call_id'')'
		ELSE concat_ws(', ',
			CASE WHEN 'run_id' = ANY (names) THEN 'run_id' ELSE 'NULL' END,
			CASE WHEN 'task_id' = ANY (names) THEN 'task_id' ELSE 'NULL' END,
			CASE WHEN 'call_id' = ANY (names) THEN 'call_id' ELSE 'NULL' END) END;
	owner := CASE
		WHEN f.proname = 'airun_start_turn' THEN 'airun_remote.as_uuid(run ->> ''user_id'')'
		WHEN f.proname = 'airun_call' THEN 'airun_remote.named($1, ''user_id'')'
		WHEN 'for_user' = ANY (names) THEN 'for_user'
		WHEN 'user_id' = ANY (names) THEN 'user_id'
		ELSE 'NULL' END;

	remote := format('ARRAY(SELECT a FROM airun_remote.%I(shard, %%s, %s%s) AS a%s)', f.proname,
		CASE WHEN route IN ('every', 'operator') THEN 'NULL, NULL, NULL' ELSE who END, passed,
		/* A user's counter is told by the shard that has the user; nobody's, by any */
		CASE WHEN f.proname = 'airun_budget_status' THEN ' WHERE COALESCE(a.scope <> ''user''
				OR shard = (SELECT b.shard FROM airun_remote.buckets AS b WHERE b.bucket
					= @extschema@.airun_bucket(airun_remote.as_uuid(a.value))
					AND a.value !~ ''^erased ''), true)' END);
	/*
	 * Sent again, a call begins with the first shard again.  A credit adds up there, a budget
	 * that has ended is none, and what is in force from now on is another price.
	 */
	again := format('Call %s() on the shards that lack it themselves, not here again.',
		f.proname);
	again := CASE
		WHEN f.proname = 'airun_credit_budget' THEN quote_literal(again)
		WHEN f.proname = 'airun_set_budget'
			THEN format('CASE WHEN amount IS NULL THEN %L END', again)
		WHEN 'effective_from' = ANY (names)
			THEN 'format(''Send it again with effective_from => %L.'', effective_from)'
		ELSE 'NULL' END;

	one := '@extschema@.airun_store_shard_of(bucket, attempt > 1)';
	one := CASE WHEN f.proretset
		THEN format('RETURN QUERY SELECT * FROM airun_remote.%I(%s, bucket, %s%s); RETURN;',
			f.proname, one, who, passed)
		ELSE format('RETURN @extschema@.airun_store_unpack(NULL::%s, airun_remote.call(%s, '
			'@extschema@.airun_store_pack(bucket, %L::text%s)));',
			format_type(f.prorettype, NULL), one, f.proname, passed) END;
	one := format('FOR attempt IN 1..500 LOOP
		BEGIN
			bucket := COALESCE(@extschema@.airun_store_call_bucket(%1$s, %2$s), '
			'airun_remote.asked_bucket(%1$s));
			%3$s
		%4$s
	END LOOP;', ids, owner, one, format(handler, 'failed(' || this_attempt, NULL));
	IF f.proname = 'airun_credit_budget' THEN
		one := format('FOR attempt IN 1..500 LOOP
		BEGIN
			shard := NULL;
			bucket := airun_remote.credited_bucket($1, $3);
			EXIT WHEN bucket IS NULL;
			shard := @extschema@.airun_store_shard_of(bucket, attempt > 1);
			RETURN (%s)[1];
		%s
	END LOOP;
	', format(remote, 'bucket'),
			format(handler, format('failed_at(shard, ''{}'', %L, %s',
				'See by airun_budget_status() whether it has, before you send it again.',
				this_attempt), NULL));
	END IF;

	every := format('FOREACH shard IN ARRAY ARRAY(SELECT airun_remote.all_shards()) LOOP
		BEGIN
			answers := answers || %s;
		%s
	END LOOP;
	%s%s', format(remote, 'NULL'),
		CASE WHEN f.provolatile = 'v' THEN format(handler, format('failed_at(shard, '
				'ARRAY(SELECT s FROM airun_remote.all_shards() AS s WHERE s < shard), %s, 500',
				again), NULL)
			ELSE format(handler, 'left_out(shard', E'\n\t\t\tlost := lost + 1;') END,
		CASE WHEN f.provolatile <> 'v'
			THEN 'IF lost = (SELECT count(*) FROM airun_remote.shards) THEN
		PERFORM airun_remote.failed(500, state, message, detail, hint);
	END IF;
	' END,
		@extschema@.airun_store_merge(function));

	RETURN format('#variable_conflict use_variable
DECLARE
	bucket integer;
	shard integer;
	state text;
	message text;
	detail text;
	hint text;
	began timestamptz := clock_timestamp();
	lost integer := 0;%s
BEGIN
	%s%s%s
END',
		CASE WHEN route NOT IN ('any', 'routed')
			THEN format(E'\n\tanswers %s[] := ''{}'';', format_type(f.prorettype, NULL)) END,
		CASE WHEN route = 'operator'
			THEN format('IF NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = '
			'current_user) THEN
		%s airun_remote.as_operator_%s(%s);%s
	END IF;
	', CASE WHEN f.proretset THEN 'RETURN QUERY SELECT * FROM' ELSE 'RETURN' END, f.proname,
	ltrim(passed, ', '),
				CASE WHEN f.proretset THEN E'\n\t\tRETURN;' END) END,
		CASE WHEN f.provolatile = 'v' AND f.proname <> 'airun_stream_read'
			THEN	-- which waits, and writes nothing
			E'IF current_setting(''transaction_read_only'')::boolean THEN\n\t\tPERFORM '
				'airun_remote.refuse_write();\n\tEND IF;\n\t' END,
		CASE f.proname WHEN 'airun_erase_user'
				THEN E'PERFORM airun_remote.keep_user($1);\n\t'
			WHEN 'airun_set_budget' THEN E'PERFORM airun_remote.await_moves();\n\t'
			ELSE '' END || CASE
			WHEN f.proname = 'airun_credit_budget' THEN one || every
			WHEN route IN ('every', 'operator', 'as_operator') THEN every
			WHEN route = 'merged' THEN format(E'IF %s THEN\n\t%s\n\tEND IF;\n\t%s',
				concat_ws(' OR ', CASE WHEN 'run_id' = ANY (names) THEN 'run_id IS NOT NULL' END,
					'@extschema@.airun_user_id() IS NOT NULL' || CASE
						WHEN f.proname IN ('airun_usage', 'airun_budget_status')
							THEN ' AND NOT airun_remote.sees_all()'
						ELSE '' END), one, every)
			ELSE CASE f.proname
				WHEN 'airun_usage_page' THEN E'PERFORM airun_remote.refuse_page();\n\t'
				WHEN 'airun_call'
					THEN format('IF @extschema@.airun_user_id() IS NULL OR left($1, 200) ~ '
					'''airun_(usage|budget_status)"'' THEN
		PERFORM airun_remote.refuse_body($1, %L);
	END IF;
	', ARRAY(SELECT r.name FROM @extschema@.airun_store_routes() AS r
	WHERE r.route IN ('merged', 'operator', 'every')))
				ELSE '' END || one END);
END
$body$;
COMMENT ON FUNCTION @extschema@.airun_store_proxy_body(oid, text) IS
'The body of a function of a proxy; called by airun_install_proxy()';

/* airun_grant() as a proxy has it: on all shards, and here */
CREATE FUNCTION @extschema@.airun_store_make_proxy_grant(api_schema name) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $make$
BEGIN
	CREATE OR REPLACE FUNCTION airun_remote.airun_grant(_shard integer, role name, level text)
		RETURNS integer LANGUAGE plproxy
	AS $remote$ CLUSTER 'airun'; RUN ON $1; $remote$;

	EXECUTE format($grant$
	CREATE OR REPLACE FUNCTION %1$I.airun_grant(role name, level text DEFAULT 'user') RETURNS void
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $body$
	DECLARE
		function regprocedure;
		state text;
		message text;
		detail text;
		hint text;
	BEGIN
		IF current_setting('transaction_read_only')::boolean THEN
			PERFORM airun_remote.refuse_write();
		END IF;
		BEGIN
			PERFORM airun_remote.airun_grant(s, $1, $2) FROM airun_remote.all_shards() AS s;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
				detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
			PERFORM airun_remote.failed(500, state, message, detail, hint);
		END;
		EXECUTE format('GRANT USAGE ON SCHEMA %1$I, @extschema@ TO %%I', $1);
		FOR function IN
			SELECT p.oid::regprocedure
			FROM pg_proc AS p
			JOIN @extschema@.airun_store_routes() AS f ON f.name = p.proname
			WHERE p.pronamespace = '%1$I'::regnamespace
				AND @extschema@.airun_store_level(p.proname, p.prorettype) = ANY (CASE $2
					WHEN 'user' THEN '{user,reporter,"user or operator"}'::text[]
					WHEN 'reporter' THEN '{reporter}'
					ELSE '{reporter,operator,"user or operator"}' END)
		LOOP
			EXECUTE format('GRANT EXECUTE ON FUNCTION %%s TO %%I', function, $1);
		END LOOP;
		INSERT INTO airun_remote.reporters (role) SELECT $1 WHERE $2 <> 'user'
			ON CONFLICT DO NOTHING;
		IF $2 = 'operator' THEN
			EXECUTE format('GRANT USAGE ON SCHEMA airun_remote TO %%I', $1);
			EXECUTE format('GRANT EXECUTE ON FUNCTION %%s TO %%I',
				(SELECT string_agg(p.oid::regprocedure::text, ', ')
				 FROM pg_proc AS p
				 WHERE p.pronamespace = 'airun_remote'::regnamespace
				 AND p.proname ~ '^as_operator_'), $1);
		END IF;
	END
	$body$
	$grant$, api_schema);
	EXECUTE format('REVOKE ALL ON FUNCTION %I.airun_grant(name, text) FROM PUBLIC', api_schema);
END
$make$;
COMMENT ON FUNCTION @extschema@.airun_store_make_proxy_grant(name) IS
'Makes airun_grant() of a proxy; called by airun_install_proxy()';

/*
 * Where the buckets lie at first: evenly on empty shards; else all on the one that
 * has a store already, from which airun_spread_buckets() moves them.
 */
CREATE FUNCTION @extschema@.airun_store_place_buckets() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $place$
DECLARE
	filled integer[];
	count integer := (SELECT count(*) FROM airun_remote.shards);
BEGIN
	IF EXISTS (SELECT FROM airun_remote.buckets) THEN
		RETURN;
	END IF;
	filled := ARRAY(SELECT s.shard FROM airun_remote.shards AS s,
		LATERAL airun_remote.status(s.shard) AS t
					WHERE t.runs > 0 ORDER BY 1);
	IF cardinality(filled) > 1 THEN
		RAISE EXCEPTION 'shards % have runs already', filled
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Begin with one store and empty shards.';
	END IF;
	INSERT INTO airun_remote.buckets (bucket, shard)
	SELECT b, COALESCE(filled[1], b % count) FROM generate_series(0, 4095) AS b;
	PERFORM airun_remote.take_buckets(s.shard,
		ARRAY(SELECT b.bucket FROM airun_remote.buckets AS b WHERE b.shard = s.shard))
	FROM airun_remote.shards AS s;
END
$place$;
COMMENT ON FUNCTION @extschema@.airun_store_place_buckets() IS
'Where the buckets lie at first; called by airun_install_proxy()';

CREATE FUNCTION @extschema@.airun_install_proxy(shards text[], api_schema name DEFAULT 'public',
												proxy_role name DEFAULT 'airun_proxy')
	RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $install$
DECLARE
	item record;
	partitions integer := 1;
	functions bigint := 0;
	signature text;
	options text;
	has_server boolean;
	login name;
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'must be superuser to call airun_install_proxy()'
			USING ERRCODE = 'insufficient_privilege', HINT = 'PL/Proxy is an untrusted language.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_language AS l WHERE l.lanname = 'plproxy') THEN
		RAISE EXCEPTION 'database "%" has no PL/Proxy', current_database()
			USING ERRCODE = 'undefined_object', HINT = 'Run CREATE EXTENSION plproxy.';
	END IF;
	IF to_regclass('airun.runs') IS NOT NULL THEN
		RAISE EXCEPTION 'database "%" has a store of airun itself', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Take a database of its own for the proxy.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = proxy_role) THEN
		RAISE EXCEPTION 'role "%" does not exist', COALESCE(proxy_role, '')
			USING ERRCODE = 'undefined_object',
				HINT = format('CREATE ROLE %I LOGIN NOINHERIT, here as on the shards.',
							  COALESCE(proxy_role, 'airun_proxy'));
	END IF;
	IF api_schema IS NULL OR api_schema::regnamespace = '@extschema@'::regnamespace THEN
		RAISE EXCEPTION 'the functions of a proxy cannot be in schema "%"',
			COALESCE(api_schema, '')
			USING ERRCODE = 'PT422',
				HINT = 'On a proxy create the extension in a schema that is not the API''s: '
					'CREATE EXTENSION airun SCHEMA airun_lib.';
	END IF;
	IF COALESCE(cardinality(shards), 0) NOT BETWEEN 1 AND 4096
		OR array_position(shards, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'there are % shards', COALESCE(cardinality(shards), 0)
			USING ERRCODE = 'PT422',
				HINT = 'Give one connection string each, 1 to 4096, in their order.';
	END IF;

	/* PL/Proxy wants a power of two; what is more stands for the first ones again */
	WHILE partitions < cardinality(shards) LOOP
		partitions := 2 * partitions;
	END LOOP;
	has_server := EXISTS (SELECT FROM pg_foreign_server AS s WHERE s.srvname = 'airun');
	/* Where there is a server, what else has been set of it stays */
	SELECT string_agg(CASE WHEN n.i IS NULL THEN 'DROP ' || o.name
			ELSE format('%s p%s %L', CASE WHEN o.name IS NOT NULL THEN 'SET'
				WHEN has_server THEN 'ADD' ELSE '' END,
				n.i, shards[n.i % cardinality(shards) + 1]) END, ', ' ORDER BY n.i)
	INTO options
	FROM generate_series(0, partitions - 1) AS n (i)
	FULL JOIN (SELECT f.option_name AS name, substr(f.option_name, 2)::integer AS place
			   FROM pg_foreign_server AS s, pg_options_to_table(s.srvoptions) AS f
			   WHERE s.srvname = 'airun' AND f.option_name ~ '^p[0-9]+$') AS o ON o.place = n.i;
	EXECUTE format(CASE WHEN has_server THEN 'ALTER SERVER airun OPTIONS (%s)'
		ELSE 'CREATE SERVER airun FOREIGN DATA WRAPPER plproxy OPTIONS (%s)' END, options);
	EXECUTE format('GRANT USAGE ON FOREIGN SERVER airun TO %I', proxy_role);
	FOREACH login IN ARRAY ARRAY[proxy_role, current_user] LOOP
		IF NOT EXISTS (SELECT FROM pg_user_mappings AS m WHERE m.srvname = 'airun'
			AND m.usename = login) THEN
			EXECUTE format('CREATE USER MAPPING FOR %I SERVER airun OPTIONS (user %L)',
				login, login);
		END IF;
	END LOOP;

	CREATE SCHEMA IF NOT EXISTS airun_remote;
	CREATE TABLE IF NOT EXISTS airun_remote.buckets (
		bucket integer PRIMARY KEY CHECK (bucket BETWEEN 0 AND 4095),
		shard integer NOT NULL
	);
	CREATE TABLE IF NOT EXISTS airun_remote.shards (shard integer PRIMARY KEY,
		connection text NOT NULL);
	CREATE TABLE IF NOT EXISTS airun_remote.reporters (role text PRIMARY KEY);
	IF EXISTS (SELECT FROM airun_remote.buckets AS b WHERE b.shard >= cardinality(shards)) THEN
		RAISE EXCEPTION 'shard % has buckets', (SELECT max(b.shard) FROM airun_remote.buckets AS b)
			USING ERRCODE = 'PT422',
				HINT = 'Move them with airun_move_bucket() before you leave it out.';
	END IF;
	DELETE FROM airun_remote.shards;
	INSERT INTO airun_remote.shards (shard, connection)
	SELECT n - 1, s FROM unnest(shards) WITH ORDINALITY AS u (s, n);
	PERFORM @extschema@.airun_store_make_router();
	PERFORM @extschema@.airun_store_make_remote_mover();
	PERFORM @extschema@.airun_store_place_buckets();
	PERFORM @extschema@.airun_store_make_proxy_grant(api_schema);

	FOR item IN
		SELECT p.*, f.route, pg_get_function_arguments(p.oid) AS arguments,
			pg_get_function_identity_arguments(p.oid) AS identity,
			pg_get_function_result(p.oid) AS result, obj_description(p.oid, 'pg_proc') AS comment,
			(SELECT string_agg('$' || i, ', ' ORDER BY i)
			 FROM generate_series(1, p.pronargs) AS i) AS passed,
			/* How arguments are spelled that travel as text, whatever the session prefers */
			(SELECT 'SET datestyle = ''ISO, MDY'' SET intervalstyle = ''postgres'' SET '
			 'extra_float_digits = 1'
			 FROM unnest(p.proargtypes) AS a (type) JOIN pg_type AS t ON t.oid = a.type
			 WHERE (f.route IN ('merged', 'every', 'operator') OR p.proretset)
				AND (t.typcategory IN ('D', 'T')
					OR a.type IN ('double precision'::regtype, 'double precision[]'::regtype))
			 LIMIT 1) AS spelling
		FROM @extschema@.airun_store_routes() AS f
		JOIN pg_proc AS p ON p.oid = f.function
	LOOP
		signature := format('%I.%I(%s)', api_schema, item.proname, item.identity);
		IF item.route = 'local' THEN
			EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE sql %s AS %L',
				api_schema, item.proname, item.arguments, item.result,
				CASE item.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE'
					ELSE 'VOLATILE' END,
				format('SELECT @extschema@.%I(%s)', item.proname, item.passed));
		ELSE
			IF item.route IN ('merged', 'every', 'operator') OR item.proretset THEN
				EXECUTE format('CREATE OR REPLACE FUNCTION airun_remote.%I(_shard integer, '
					'_bucket integer, _claims text, _caller text, _role text%s)'
					' RETURNS %s%s LANGUAGE plproxy AS %L',
					item.proname, ', ' || NULLIF(item.identity, ''),
					CASE WHEN item.route IN ('merged', 'every', 'operator')
						AND NOT item.proretset THEN 'SETOF ' END,
					item.result, 'CLUSTER ''airun''; RUN ON $1;');
			END IF;
			IF item.route = 'operator' THEN
				EXECUTE format('CREATE OR REPLACE FUNCTION airun_remote.%I(%s) RETURNS %s '
					'LANGUAGE plpgsql VOLATILE SECURITY DEFINER'
					' SET search_path = pg_catalog, pg_temp %s AS %L',
					'as_operator_' || item.proname, item.identity, item.result, item.spelling,
					@extschema@.airun_store_proxy_body(item.oid, 'as_operator'));
				EXECUTE format('ALTER FUNCTION airun_remote.%I(%s) OWNER TO %I',
					'as_operator_' || item.proname, item.identity, proxy_role);
			END IF;
			EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql '
				'%s SECURITY %s'
				' SET search_path = pg_catalog, pg_temp %s AS %L',
				api_schema, item.proname, item.arguments, item.result,
				CASE item.provolatile WHEN 'v' THEN 'VOLATILE' ELSE 'STABLE' END,
				CASE WHEN item.route IN ('every', 'operator') THEN 'INVOKER' ELSE 'DEFINER' END,
				item.spelling,
				@extschema@.airun_store_proxy_body(item.oid, item.route));
		END IF;
		EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, item.comment);
		IF item.route <> 'local' AND NOT has_function_privilege('public', item.oid, 'EXECUTE') THEN
			EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
		END IF;
		IF item.route IN ('any', 'routed', 'merged') THEN
			EXECUTE format('ALTER FUNCTION %s OWNER TO %I', signature, proxy_role);
		END IF;
		functions := functions + 1;
	END LOOP;

	REVOKE ALL ON ALL FUNCTIONS IN SCHEMA airun_remote FROM PUBLIC;
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I',
		(SELECT string_agg(p.oid::regprocedure::text, ', ')
		 FROM pg_proc AS p
		 WHERE p.pronamespace = 'airun_remote'::regnamespace
			AND (p.proname IN ('call', 'bucket_of', 'asked_bucket', 'all_shards',
				'as_uuid', 'named',
							   'refuse_write', 'refuse_page', 'refuse_body', 'sees_all',
							   'failed', 'failed_at', 'left_out')
				 OR p.proname IN (SELECT r.name FROM @extschema@.airun_store_routes() AS r
				 WHERE r.route <> 'every'))),
		proxy_role);
	EXECUTE format('GRANT USAGE ON SCHEMA airun_remote, @extschema@ TO %I', proxy_role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION @extschema@.airun_store_call_bucket(uuid, '
		'uuid, uuid, uuid),'
		' @extschema@.airun_store_shard_of(integer, boolean), @extschema@.airun_store_pack("any"),'
		' @extschema@.airun_store_unpack(anyelement, bytea) TO %I', proxy_role);
	EXECUTE format('GRANT SELECT ON airun_remote.buckets, airun_remote.shards, '
		'airun_remote.reporters TO %I', proxy_role);
	RETURN functions;
END
$install$;
COMMENT ON FUNCTION @extschema@.airun_install_proxy(text[], name, name) IS
'Makes this database the proxy of shards: their connection strings, in order. Returns how many '
'functions it has; again after each update and for more shards';

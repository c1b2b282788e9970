/*
 * upkeep.c
 *		Keeping for so long, and forgetting; and who may do it for everybody.
 *
 * The work is that of functions in SQL (prune.sql, erase.sql), done in the name of the
 * owner of the store.  Pruning is for operators, who carry out what the owner has
 * written into airun.retention.  Erasing a person is for the owner alone.
 *
 * An operator is who may read airun.retention, as airun_grant() gives it, and has been
 * granted the function: EXECUTE alone does not tell, since sites give it to everybody
 * on all functions.  What an operator purges, expires and prunes is done in the owner's
 * name, whom row security does not bind.
 *
 * Locks: as the functions say, and at last counters of budgets.
 *
 * Errors: 42501 for others; PT422 for a bound that is none.
 */
#include "upkeep/upkeep.h"

#include "budget/budget.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "shard/shard_call.h"
#include "store/args.h"
#include "store/plans.h"
#include "store/store.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(airun_prune);
PG_FUNCTION_INFO_V1(airun_erase_user);

/* Have the owner do what follows, whoever is calling; an error takes that back */
void
owner_begin(Operator *caller)
{
	GetUserIdAndSecContext(&caller->user, &caller->context);
	SetUserIdAndSecContext(store_table_owner("runs"),
						   caller->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
}

/*
 * If an operator is calling, who is not the owner, have the owner do what follows; an
 * error takes that back.  Otherwise nothing changes, and false is returned.
 */
bool
operator_begin(Operator *operator)
{
	Oid			retention;

	(void) store_runs_oid();
	retention = get_relname_relid("retention", get_namespace_oid("airun", false));
	if (!OidIsValid(retention) ||
		pg_class_aclcheck(retention, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return false;
	if (has_privs_of_role(GetUserId(), store_table_owner("retention")))
		return false;
	owner_begin(operator);
	return true;
}

void
operator_end(const Operator *operator)
{
	SetUserIdAndSecContext(operator->user, operator->context);
}

/* airun_prune(max_ms) returns bigint */
Datum
airun_prune(PG_FUNCTION_ARGS)
{
	static Statement prune = {
		"SELECT " EXTSCHEMA ".airun_store_prune($1)", 1, {INT4OID}
	};
	Args		args = {0};
	int64		pruned;
	bool		isnull;
	bool		defers;

	arg_add(&args, Int32GetDatum(bound_argument(fcinfo, 0, "max_ms")), false);
	store_require_rights("retention", ACL_SELECT, "read rows");
	store_open(false);
	statement_in_extension(&prune, fcinfo->flinfo->fn_oid);
	defers = budget_defer_begin();
	(void) statement_write_as_owner(&prune, &args, store_table_owner("runs"));
	pruned = DatumGetInt64(result_value(0, 1, &isnull));
	budget_defer_end(defers);
	store_close();
	PG_RETURN_INT64(pruned);
}

/* airun_erase_user(user_id, max_ms) returns ai_erasure */
Datum
airun_erase_user(PG_FUNCTION_ARGS)
{
	static Statement erase = {
		"SELECT e.* FROM " EXTSCHEMA ".airun_store_erase($1, $2, $3) AS e",
		3, {UUIDOID, INT4OID, TEXTOID}
	};
	static Statement erase_counters = {
		"SELECT " EXTSCHEMA ".airun_store_erase_counters($1, $2)", 2, {UUIDOID, INT8ARRAYOID}
	};
	Args		args = {0};
	Args		person = {0};
	ResultRow	done;
	Datum		result;
	bool		defers;
	bool		isnull;

	if (PG_ARGISNULL(0))
		refuse_null("user_id");
	arg_add(&args, PG_GETARG_DATUM(0), false);
	arg_add(&args, Int32GetDatum(bound_argument(fcinfo, 1, "max_ms")), false);
	arg_pointer(&args, cstring_to_text(airun_report_zone));
	store_require_owner("airun_erase_user");
	store_open(false);
	shard_hold_user(PG_GETARG_UUID_P(0));
	statement_in_extension(&erase, fcinfo->flinfo->fn_oid);
	defers = budget_defer_begin();
	(void) statement_write_as_owner(&erase, &args, store_table_owner("runs"));
	done = result_row();
	if (DatumGetBool(result_row_value(&done, 1, &isnull)))
	{
		arg_uuid(&person, PG_GETARG_UUID_P(0));
		arg_add(&person, budget_deferred_counters(), false);
		statement_in_extension(&erase_counters, fcinfo->flinfo->fn_oid);
		(void) statement_write_as_owner(&erase_counters, &person, store_table_owner("runs"));
	}
	budget_defer_end(defers);
	result = result_row_composite(fcinfo, &done);
	store_close();
	PG_RETURN_DATUM(result);
}

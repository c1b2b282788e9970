/*
 * deny_by_policy.c
 *		Denies every write to a table of the schema airun by a policy.
 *
 * It sets row_security_policy_hook_restrictive, as an extension does that labels
 * rows.  The catalog knows nothing of the policy.  Whatever goes past the executor
 * would not be asked by it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static List *
restrictive_policies(CmdType command, Relation relation)
{
	RowSecurityPolicy *policy;
	Datum		everybody = ObjectIdGetDatum(ACL_ID_PUBLIC);
	char	   *schema = get_namespace_name(RelationGetNamespace(relation));

	if (command == CMD_SELECT || schema == NULL || strcmp(schema, "airun") != 0)
		return NIL;
	policy = palloc0(sizeof(RowSecurityPolicy));
	policy->policy_name = pstrdup("deny_by_policy");
	policy->polcmd = '*';
	policy->roles = construct_array(&everybody, 1, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
	policy->qual = (Expr *) makeBoolConst(false, false);
	policy->with_check_qual = (Expr *) makeBoolConst(false, false);
	return list_make1(policy);
}

void
_PG_init(void)
{
	row_security_policy_hook_restrictive = restrictive_policies;
}

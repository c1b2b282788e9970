/*
 * deny_writes.c
 *		Denies every statement that writes to a table of the schema airun.
 *
 * It sets ExecutorCheckPerms_hook, as sepgsql does, or a site's own switch that
 * makes a schema read-only.  Whatever goes past the executor would not ask it.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static ExecutorCheckPerms_hook_type next_hook = NULL;

static bool
is_denied(Oid relation, AclMode privileges)
{
	char	   *schema;

	if ((privileges & (ACL_INSERT | ACL_UPDATE | ACL_DELETE)) == 0)
		return false;
	schema = get_namespace_name(get_rel_namespace(relation));
	return schema != NULL && strcmp(schema, "airun") == 0;
}

static bool
refuse(bool raise)
{
	if (raise)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("writes to schema \"airun\" are denied by a hook")));
	return false;
}

#if PG_VERSION_NUM >= 160000
static bool
check_permissions(List *range_table, List *permissions, bool raise)
{
	ListCell   *lc;

	foreach(lc, permissions)
	{
		RTEPermissionInfo *info = lfirst_node(RTEPermissionInfo, lc);

		if (is_denied(info->relid, info->requiredPerms))
			return refuse(raise);
	}
	return next_hook == NULL || next_hook(range_table, permissions, raise);
}
#else
static bool
check_permissions(List *range_table, bool raise)
{
	ListCell   *lc;

	foreach(lc, range_table)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);

		if (entry->rtekind == RTE_RELATION && is_denied(entry->relid, entry->requiredPerms))
			return refuse(raise);
	}
	return next_hook == NULL || next_hook(range_table, raise);
}
#endif

void
_PG_init(void)
{
	next_hook = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = check_permissions;
}

/*
 * store.c
 *		The store: is it there, and may the caller write to it?
 *
 * The store belongs to the user, not to the extension: it may be missing,
 * older than this library, or hidden from a role.  Every function enters
 * through store_open(), which says so in words.  Nothing is locked here.
 *
 * Errors: 55000 without a store, or with an older one; 0A000 where Citus has it;
 * PT401 when nobody is calling; 42501 for what is the owner's.
 */
#include "store/store.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/comment.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rewrite/rowsecurity.h"
#include "store/citus.h"
#include "store/column_types.h"
#include "store/definition.h"
#include "store/identity.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

/*
 * The airun.runs whose version has been found good.  A store only ever gets
 * newer, so that the answer holds as long as the table is the same one.
 */
static Oid	known_runs_oid = InvalidOid;

/*
 * airun_install() writes the version into the comment on the schema, where
 * every role can read it and pg_dump keeps it.  A comment that somebody has
 * put in its place says nothing.
 */
static void
store_check_version(Oid namespace_oid)
{
	char	   *comment = GetComment(namespace_oid, NamespaceRelationId, 0);
	int			version;

	if (comment == NULL || sscanf(comment, "airun store version %d", &version) != 1)
		return;
	if (version < STORE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("airun's store is of version %d, but this airun needs version %d",
						version, STORE_VERSION),
				 errhint("Run SELECT airun_install() as the owner of the schema \"airun\".")));
}

/* The OID of airun.runs.  Without a store: an error with what to do. */
Oid
store_runs_oid(void)
{
	Oid			runs_oid = store_known_table(TABLE_RUNS);
	Oid			namespace_oid;

	refuse_citus();
	column_types_require();
	if (OidIsValid(runs_oid) && runs_oid == known_runs_oid)
		return runs_oid;
	runs_oid = InvalidOid;
	namespace_oid = get_namespace_oid("airun", true);
	if (OidIsValid(namespace_oid))
		runs_oid = get_relname_relid("runs", namespace_oid);
	if (!OidIsValid(runs_oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" has no airun store yet",
						get_database_name(MyDatabaseId)),
				 errhint("Run SELECT airun_install() as the role that shall own it.")));

	if (runs_oid != known_runs_oid)
	{
		store_check_version(namespace_oid);
		known_runs_oid = runs_oid;
	}
	return runs_oid;
}

/* Another table of the store, which is there where runs is, unless it is damaged */
Oid
store_table_oid(const char *name)
{
	Oid			table = get_relname_relid(name, get_namespace_oid("airun", false));

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table airun.%s of airun's store is missing", name),
				 errhint("Run SELECT airun_install().")));
	return table;
}

Oid
table_owner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Who owns a table of the store, in whose name is written what nobody else may write */
Oid
store_table_owner(const char *name)
{
	return table_owner(store_table_oid(name));
}

/* Does row security bind the role that is calling? */
bool
store_binds_caller(void)
{
	return check_enable_rls(store_runs_oid(), InvalidOid, true) == RLS_ENABLED;
}

/* Has an extension a hook that adds policies, of which the catalog knows nothing? */
bool
store_has_policy_hook(void)
{
	return row_security_policy_hook_permissive != NULL ||
		row_security_policy_hook_restrictive != NULL;
}

/* Has one a hook that decides about rights, which every statement has to ask? */
bool
store_has_rights_hook(void)
{
	return ExecutorCheckPerms_hook != NULL || store_has_policy_hook();
}

/*
 * Refuse a write when nobody is calling, except from a role that row security
 * does not bind: the owner of the store, a superuser, a service role.
 */
void
store_require_caller(void)
{
	pg_uuid_t	user_id;

	if (caller_id(&user_id))
		return;
	if (!store_binds_caller())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNAUTHORIZED),
			 errmsg("nobody is calling"),
			 errdetail("Role \"%s\" is bound by row-level security, and no user is known.",
					   GetUserNameFromId(GetUserId(), false)),
			 errhint("Send a token whose claims (request.jwt.claims) have a \"sub\", or set "
					 "airun.user_id.")));
}

/*
 * Refuse whoever is neither the owner of the store, nor a member of that role,
 * nor a superuser.  EXECUTE alone does not tell: where a site's default
 * privileges give it to API roles, they have it on every function.
 */
void
store_require_owner(const char *function)
{
	Oid			owner = table_owner(store_runs_oid());

	if (has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of airun's store to call %s()", function),
			 errdetail("The store belongs to role \"%s\", and the caller is \"%s\".",
					   GetUserNameFromId(owner, false), GetUserNameFromId(GetUserId(), false)),
			 errhint("Call it as that role, or as a member of it.")));
}

/*
 * Refuse whoever lacks one of these rights on a table of the store; words names
 * them.  Only the owner has them, unless a site has granted them to somebody
 * else, whom row security may bind all the same.
 */
void
store_require_rights(const char *table, AclMode rights, const char *words)
{
	(void) store_runs_oid();
	if (pg_class_aclmask(store_table_oid(table), GetUserId(), rights, ACLMASK_ALL) == rights)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s", table),
			 errdetail("This needs the right to %s on airun.%s, which role \"%s\" does not have.",
					   words, table, GetUserNameFromId(GetUserId(), false)),
			 errhint("Call it as the owner of the store, or as a member of that role.")));
}

/*
 * Enter: connect to SPI, having made sure that the store is there, and for a
 * write that somebody is calling, and not from a parallel query.
 */
void
store_open(bool for_writing)
{
	pg_uuid_t	user_id;

	/* what is written here, or only locked, would be refused as an internal error further down */
	if (for_writing)
		PreventCommandIfParallelMode("writes of airun");
	(void) store_runs_oid();
	if (for_writing)
		store_require_caller();
	else
		(void) caller_id(&user_id); /* what cannot be read is refused, whatever it asks for */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* Leave.  What shall outlive this must have been copied out by now. */
void
store_close(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

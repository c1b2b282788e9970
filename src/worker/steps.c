/*
 * steps.c
 *		The table of the steps of upkeep.
 *
 * A step is a line here: what it calls, and when that is done.  A step whose function
 * the extension does not have is left out, as in a database whose extension is older
 * than this library.
 *
 * Each call deals with so much that it takes less than a second; who waits for a lock
 * that it holds waits no longer.
 */
#include "worker/steps.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* In the order in which they are done */
Step		steps[] = {
	/* tasks that nobody works on any more: at most a moment's worth of them */
	{
		"expire_tasks", "airun_expire_tasks", 1, {INT8OID},
		{"SELECT " EXTSCHEMA ".airun_expire_tasks(200::pg_catalog.int8)::pg_catalog.int8", 0, {0}},
		200,
	},
	{
		"expire_calls", "airun_expire_calls", 1, {INT8OID},
		{"SELECT " EXTSCHEMA ".airun_expire_calls(200::pg_catalog.int8)::pg_catalog.int8", 0, {0}},
		200,
	},

	/* the ledger, a statement at a time */
	{
		"fold", "airun_rollup", 2, {INT8OID, INT8OID},
		{"SELECT " EXTSCHEMA ".airun_rollup(5000::pg_catalog.int8, 1000::pg_catalog.int8)",
		0, {0}},
		5000,
		{"SELECT pg_catalog.count(*) FROM (SELECT FROM airun.usage_tail LIMIT 1000000) AS t",
		0, {0}},
	},

	/* what has a price by now, once after each change of the price book */
	{
		"reprice", "airun_store_work_reprice", 1, {TEXTOID},
		{"SELECT r.changed, r.position FROM " EXTSCHEMA ".airun_store_work_reprice($1) AS r",
		1, {TEXTOID}},
		1,
	},

	/* partitions of the months to come; none where the store has none */
	{
		"partitions", "airun_add_partitions", 1, {INT8OID},
		{"SELECT " EXTSCHEMA ".airun_add_partitions(3::pg_catalog.int8)", 0, {0}},
		PG_INT64_MAX,
	},

	/* what is kept no longer */
	{
		"prune", "airun_prune", 1, {INT8OID},
		{"SELECT " EXTSCHEMA ".airun_prune(500::pg_catalog.int8)::pg_catalog.int8", 0, {0}},
		1,
	},
};

const int	step_count = lengthof(steps);

/* The function of the extension that a step calls, or none where it has none */
Oid
step_function(const Step *step, Oid extension)
{
	oidvector  *types = buildoidvector(step->argtypes, step->nargs);
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum(step->function),
										   PointerGetDatum(types),
										   ObjectIdGetDatum(get_extension_schema(extension)));

	if (!OidIsValid(function) ||
		getExtensionOfObject(ProcedureRelationId, function) != extension)
		return InvalidOid;
	return function;
}

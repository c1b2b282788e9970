/*
 * definition.c
 *		What a site has added to the tables of the store.
 *
 * A site may put policies and triggers of its own on the store's tables, and
 * alter ours.  Where it has not, some things can be done in a cheaper way that
 * comes to the same; this file tells whether it has.  Ours is what has the
 * name, the form and the functions that airun_install() gave it: a name alone
 * proves nothing.
 *
 * The answers are kept until the server says that a definition has changed, of
 * which the generation gives notice to whoever keeps something that follows
 * from them.  Nothing is locked beyond a look at the tables.
 */
#include "store/definition.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "rewrite/rowsecurity.h"
#include "store/store.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static const char *const table_names[STORE_TABLES] = {
	"runs", "messages", "tasks", "task_chunks"
};

/* The indexes, by their columns; a partial one is of the rows where one is NULL, or is not */
static const struct
{
	StoreTable	table;
	struct
	{
		const char *name;
		Oid			type;
	}			columns[3];
	const char *tested;
	NullTestType test;
}			index_forms[STORE_INDEXES] = {
	[RUNS_KEY] = {TABLE_RUNS, {{"id", UUIDOID}}},
	[MESSAGES_KEY] = {TABLE_MESSAGES, {{"run_id", UUIDOID}, {"seq", INT8OID}}},
	[TASKS_KEY] = {TABLE_TASKS, {{"run_id", UUIDOID}, {"task_id", UUIDOID}}},
	[CHUNKS_KEY] = {TABLE_CHUNKS, {{"run_id", UUIDOID}, {"task_id", UUIDOID}, {"chars", INT4OID}}},
	[MESSAGES_BY_ID] = {
		TABLE_MESSAGES, {{"run_id", UUIDOID}, {"message_id", TEXTOID}}, "message_id", IS_NOT_NULL
	},
	[TASKS_BY_ID] = {TABLE_TASKS, {{"task_id", UUIDOID}}},
	[TASKS_UNFINISHED] = {TABLE_TASKS, {{"run_id", UUIDOID}}, "completed_at", IS_NULL},
};

/* How many policies airun_install() puts on each */
static const int policy_counts[STORE_TABLES] = {1, 2, 3, 1};

typedef struct Shape
{
	Oid			schema;
	Oid			tables[STORE_TABLES];
	bool		has_site_trigger[STORE_TABLES];
	bool		policies_are_ours[STORE_TABLES];
	bool		is_plain[STORE_TABLES];
	Oid			indexes[STORE_INDEXES]; /* as they were made; else invalid */
	AttrNumber	index_columns[STORE_INDEXES][3];
	bool		seeing_is_changing;	/* a run and its tasks, as policies go */
} Shape;

static Shape shape;
static bool shape_is_known = false;
static uint64 generation = 1;	/* moves with every change of a definition */

/* ---------- what is ours ---------- */

/* Is this a function of the extension, by this name, and no site has put another in its place? */
static bool
is_our_function(Oid function, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_named;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_named = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId &&
		(name == NULL || strcmp(NameStr(((Form_pg_proc) GETSTRUCT(tuple))->proname), name) == 0);
	ReleaseSysCache(tuple);
	return is_named && OidIsValid(get_extension_oid("airun", true)) &&
		getExtensionOfObject(ProcedureRelationId, function) == get_extension_oid("airun", true);
}

static bool
is_column(const Node *node, Relation relation, const char *name)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varlevelsup == 0 &&
		var->varattno == get_attnum(RelationGetRelid(relation), name);
}

/* Is this user_id = airun_user_id()? */
static bool
is_owner_check(const Node *node, Relation relation)
{
	const OpExpr *comparison = (const OpExpr *) node;
	const FuncExpr *call;

	if (!IsA(node, OpExpr) || get_opcode(comparison->opno) != F_UUID_EQ ||
		!is_column(linitial(comparison->args), relation, "user_id"))
		return false;
	call = lsecond(comparison->args);
	return IsA(call, FuncExpr) && call->args == NIL &&
		is_our_function(call->funcid, "airun_user_id");
}

/* Is this function(run_id), of ours? */
static bool
is_run_check(const Node *node, Relation relation, const char *function)
{
	const FuncExpr *call = (const FuncExpr *) node;

	return IsA(node, FuncExpr) && list_length(call->args) == 1 &&
		is_column(linitial(call->args), relation, "run_id") &&
		is_our_function(call->funcid, function);
}

/* Has the policy this name and command, and is it for all roles? */
static bool
is_declared(const RowSecurityPolicy *policy, const char *name, char command)
{
	return strcmp(policy->policy_name, name) == 0 && policy->polcmd == command &&
		policy->permissive && ARR_NDIM(policy->roles) == 1 &&
		ARR_DIMS(policy->roles)[0] == 1 &&
		((Oid *) ARR_DATA_PTR(policy->roles))[0] == ACL_ID_PUBLIC;
}

/* Is the policy as airun_install() made it? */
static bool
policy_is_ours(const RowSecurityPolicy *policy, Relation relation)
{
	const Node *qual = (const Node *) policy->qual;
	const Node *check = (const Node *) policy->with_check_qual;

	if (is_declared(policy, "airun_owner", '*'))
		return qual != NULL && is_owner_check(qual, relation) &&
			(check == NULL || is_owner_check(check, relation));
	if (is_declared(policy, "airun_read", ACL_SELECT_CHR))
		return is_run_check(qual, relation, "airun_sees_run");
	if (is_declared(policy, "airun_change", ACL_UPDATE_CHR))
		return check == NULL && is_run_check(qual, relation, "airun_writes_run");
	if (is_declared(policy, "airun_create", ACL_INSERT_CHR) ||
		is_declared(policy, "airun_append", ACL_INSERT_CHR))
		return is_run_check(check, relation, "airun_writes_run");
	return false;
}

/*
 * Does a table show all of its rows to whoever may read it?  So it is without
 * row security, or with nothing but a policy airun_read that is true.
 */
bool
shape_is_open_to_all(Relation relation)
{
	const RowSecurityPolicy *policy;
	const Const *qual;

	if (!relation->rd_rel->relrowsecurity)
		return true;
	if (relation->rd_rsdesc == NULL || list_length(relation->rd_rsdesc->policies) != 1)
		return false;
	policy = linitial(relation->rd_rsdesc->policies);
	qual = (const Const *) policy->qual;
	return is_declared(policy, "airun_read", ACL_SELECT_CHR) && IsA(qual, Const) &&
		!qual->constisnull && DatumGetBool(qual->constvalue);
}

/* ---------- looking ---------- */

static void
relation_changed(Datum arg, Oid relation)
{
	bool		is_of_store = !OidIsValid(relation) || !shape_is_known;

	for (int i = 0; i < STORE_TABLES; i++)
		is_of_store |= shape.tables[i] == relation;
	if (is_of_store)
	{
		shape_is_known = false;
		generation++;
	}
}

static void
catalog_changed(Datum arg, int cache, uint32 hash)
{
	shape_is_known = false;
	generation++;
}

/* The policies on one table */
static void
look_at_policies(Relation relation, StoreTable table)
{
	bool		is_run_or_task = table == TABLE_RUNS || table == TABLE_TASKS;
	int			ours = 0;
	ListCell   *lc;

	shape.policies_are_ours[table] = true;
	if (!relation->rd_rel->relrowsecurity)
		return;
	foreach(lc, relation->rd_rsdesc != NULL ? relation->rd_rsdesc->policies : NIL)
	{
		RowSecurityPolicy *policy = lfirst(lc);

		if (policy_is_ours(policy, relation))
		{
			ours++;
			continue;
		}
		shape.policies_are_ours[table] = false;
		if (is_run_or_task &&
			(policy->polcmd != '*' ||
			 (policy->with_check_qual != NULL && !equal(policy->with_check_qual, policy->qual))))
			shape.seeing_is_changing = false;
	}
	if (ours != policy_counts[table])
	{
		/* what one of ours would let pass nobody lets pass */
		shape.policies_are_ours[table] = false;
		if (is_run_or_task)
			shape.seeing_is_changing = false;
	}
}

/* The triggers on one table */
static bool
finds_site_trigger(Relation relation)
{
	/* a copy: while we ask the catalog, the server may make its own anew */
	TriggerDesc *triggers = CopyTriggerDesc(relation->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		/* a deferrable unique key of a site works by one that is internal */
		if (trigger->tgisinternal ? trigger->tgfoid == F_UNIQUE_KEY_RECHECK :
			!is_our_function(trigger->tgfoid, NULL))
			return true;
	}
	return false;
}

/* Does a foreign key refer to the table?  Its triggers count as the server's own. */
static bool
is_referenced(Relation relation)
{
	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
		if (RI_FKey_trigger_type(relation->trigdesc->triggers[i].tgfoid) == RI_TRIGGER_PK)
			return true;
	return false;
}

/* Is there nothing on the table that only the executor would know to honour? */
static bool
looks_plain(Relation relation, StoreTable table)
{
	TupleConstr *constraints = RelationGetDescr(relation)->constr;
	ListCell   *lc;

	if (relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_rel->relispartition ||
		relation->rd_rel->relhassubclass || relation->rd_rules != NULL || shape.has_site_trigger[table] ||
		!shape.policies_are_ours[table] ||
		/* keys of runs and tasks stay as they are, but chunks are removed */
		(table == TABLE_CHUNKS && is_referenced(relation)) ||
		(constraints != NULL &&
		 (constraints->num_check > 0 || has_generated_columns(constraints))))
		return false;
	foreach(lc, copyObject(RelationGetFKeyList(relation)))
	{
		const ForeignKeyCacheInfo *key = lfirst(lc);

		if (key->confrelid != shape.tables[TABLE_RUNS] || key->nkeys != 1 ||
			key->conkey[0] != get_attnum(RelationGetRelid(relation), "run_id") ||
			key->confkey[0] != get_attnum(key->confrelid, "id"))
			return false;
	}
	return true;
}

/* Is the index of the rows that it was made for? */
static bool
condition_is_ours(Relation relation, Relation index, StoreIndex which)
{
	List	   *condition = RelationGetIndexPredicate(index);
	const NullTest *test;

	if (index_forms[which].tested == NULL || list_length(condition) != 1)
		return index_forms[which].tested == NULL && condition == NIL;
	test = linitial(condition);
	return IsA(test, NullTest) && !test->argisrow &&
		test->nulltesttype == index_forms[which].test &&
		is_column((const Node *) test->arg, relation, index_forms[which].tested);
}

/* Is the index as it was made? */
static bool
index_is_ours(Relation relation, Relation index, StoreIndex which)
{
	const Form_pg_index form = index->rd_index;
	int			count = 0;

	for (; count < 3 && index_forms[which].columns[count].name != NULL; count++)
	{
		AttrNumber	number = count < form->indnkeyatts ? form->indkey.values[count] : 0;
		Oid			type = index_forms[which].columns[count].type;
		Form_pg_attribute column;

		if (number <= 0)
			return false;
		column = TupleDescAttr(RelationGetDescr(relation), number - 1);
		if (strcmp(NameStr(column->attname), index_forms[which].columns[count].name) != 0 ||
			column->atttypid != type ||
			index->rd_indcollation[count] != column->attcollation ||
			index->rd_opfamily[count] !=
			lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf)
			return false;
	}
	/* what has been made while old rows were there may miss some of their versions */
	return count == form->indnkeyatts && form->indisvalid && !form->indcheckxmin &&
		index->rd_rel->relam == BTREE_AM_OID && condition_is_ours(relation, index, which);
}

/* The indexes of a table */
static void
look_at_indexes(Relation relation, StoreTable table)
{
	Oid			primary_key = relation_primary_key(relation);
	ListCell   *lc;

	for (StoreIndex which = 0; which < STORE_INDEXES; which++)
		if (index_forms[which].table == table)
			shape.indexes[which] = InvalidOid;
	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		for (StoreIndex which = 0; which < STORE_INDEXES; which++)
		{
			/* the numbers of the primary keys are those of the tables */
			if (index_forms[which].table != table ||
				(which < STORE_TABLES && lfirst_oid(lc) != primary_key) ||
				!index_is_ours(relation, index, which))
				continue;
			shape.indexes[which] = lfirst_oid(lc);
			for (int i = 0; i < index->rd_index->indnkeyatts; i++)
				shape.index_columns[which][i] = index->rd_index->indkey.values[i];
		}
		index_close(index, NoLock);
	}
}

/* Look at the store, which is there */
static void
look_again(void)
{
	static bool callbacks_registered = false;
	uint64		before;

	AcceptInvalidationMessages();
	if (!callbacks_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
		callbacks_registered = true;
	}

	/* A change that comes while we look, or an error, is not to be lost */
	before = generation;
	shape.seeing_is_changing = true;
	shape.schema = get_namespace_oid("airun", false);
	for (int i = 0; i < STORE_TABLES; i++)
		shape.tables[i] = store_table_oid(table_names[i]);
	for (int i = 0; i < STORE_TABLES; i++)
	{
		Relation	relation = table_open(shape.tables[i], AccessShareLock);

		look_at_policies(relation, i);
		shape.has_site_trigger[i] = finds_site_trigger(relation);
		shape.is_plain[i] = looks_plain(relation, i);
		look_at_indexes(relation, i);
		table_close(relation, NoLock);
	}
	shape_is_known = generation == before;
}

/*
 * Know the shape of the store.  What others have changed comes with the lock on
 * a table, and with shape_known_table(), by which every call begins.
 */
static inline void
look(void)
{
	if (!shape_is_known)
		look_again();
}

/* What is kept since the same generation still holds */
uint64
shape_generation(void)
{
	look();
	return generation;
}

/* The OID of a table */
Oid
shape_table(StoreTable table)
{
	look();
	return shape.tables[table];
}

/*
 * Open a table.  While we wait for the lock, another one may come in its place:
 * what is asked about the table is then asked about that one.
 */
Relation
shape_open_table(StoreTable table, LOCKMODE mode)
{
	for (;;)
	{
		Oid			oid = shape_table(table);
		Relation	relation = try_table_open(oid, mode);

		if (relation != NULL && shape_table(table) == oid)
			return relation;
		if (relation != NULL)
			table_close(relation, mode);
	}
}

/* The OID without a look: invalid where something has changed since the last one */
Oid
shape_known_table(StoreTable table)
{
	AcceptInvalidationMessages();
	return shape_is_known ? shape.tables[table] : InvalidOid;
}

/*
 * Would a statement that writes a row of ours do no more than write it?  So it
 * is where a site has added no trigger, no rule, no CHECK, no foreign key and
 * no policy: our own triggers and policies let our own rows pass, and the run
 * that our foreign keys would look for is locked.
 */
bool
shape_is_plain(StoreTable table)
{
	look();
	return shape.is_plain[table];
}

/* Has the caller all of these privileges on a table, and may he reach it? */
bool
shape_is_granted(StoreTable table, AclMode mode)
{
	look();
	return namespace_aclcheck(shape.schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK &&
		pg_class_aclmask(shape.tables[table], GetUserId(), mode, ACLMASK_ALL) == mode;
}

/* The table that an index is of */
StoreTable
shape_index_table(StoreIndex index)
{
	return index_forms[index].table;
}

/* An index; invalid where it is not as it was made */
Oid
shape_index(StoreIndex index)
{
	look();
	return shape.indexes[index];
}

/* The number of a column of it, by its place */
AttrNumber
shape_index_column(StoreIndex index, int place)
{
	look();
	return shape.index_columns[index][place];
}

/*
 * May everybody who sees a run and its tasks change them?  If so, a look tells
 * what a lock on the rows would.  Our policies on tasks ask for the run; those
 * of others have to be for all commands, with one condition for all.
 */
bool
shape_seeing_is_changing(void)
{
	look();
	return shape.seeing_is_changing && shape_is_granted(TABLE_RUNS, ACL_UPDATE) &&
		shape_is_granted(TABLE_TASKS, ACL_UPDATE);
}

/* Has a site a trigger of its own on a table of the store? */
bool
shape_has_site_trigger(StoreTable table)
{
	look();
	return shape.has_site_trigger[table];
}

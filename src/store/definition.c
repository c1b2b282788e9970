/*
 * definition.c
 *		Are the tables of the store exactly what airun_install() made?
 *
 * airun_install() makes the store's objects from one list, airun_store_objects();
 * this file compares what is there with the same list.  A table is exact where
 * everything on it that a statement would honour is on the list, in the words
 * in which the server describes it, and nothing is missing of its policies:
 *
 * - It is an ordinary table of the access method heap, owned by whoever owns
 *	 runs, neither a partition nor a parent, with no rule.  Or it is partitioned as
 *	 airun_partition() does it, all tables alike; then a partition is asked about as it
 *	 is needed, and is exact where that and its table are, it has the columns of its
 *	 table, and its foreign key refers to the partition of runs of the same range.
 * - Each trigger is on the list and fires on origin, by a function of ours;
 *	 each internal one belongs to a foreign key that is on the list, so that
 *	 no key of a site refers to the table, and no other extension follows it.
 * - Each policy is on the list, and each policy on the list is there.
 * - Each foreign key and each constraint that an index is for is on the list;
 *	 a CHECK or a generated column makes it inexact.
 *
 * Two things a site may add, and the server's own code does for them what a
 * statement would do: nullable columns of plain types without a default
 * (direct.c asks for those), and indexes that belong to no constraint.  On
 * task_chunks, usage_tail and budget_periods, whose rows are written as the owner,
 * there are no indexes of a site's.  Anything else, known or not, makes the table inexact: then
 * statements do all the work.
 *
 * The answers are kept until the server says that a definition has changed; the
 * version counts that, for who keeps more.  Only a look at the tables is locked.
 */
#include "store/definition.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "rewrite/rowsecurity.h"
#include "store/invalidation.h"
#include "store/object_list.h"
#include "store/partition.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/reltrigger.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static const char *const table_names[STORE_TABLES] = {
	"runs", "messages", "tasks", "task_chunks", "usage_tail", "budget_periods"
};

/* As which they stand in statements */
static const char *const table_aliases[STORE_TABLES] = {"r", "m", "t", "c", "u", "p"};

/* What policies call */
static const char *const policy_functions[] = {
	"airun_user_id", "airun_sees_run", "airun_writes_run"
};

/* The indexes, by their columns; a partial one is of the rows where one is NULL, or is not */
static const struct
{
	StoreTable	table;
	struct
	{
		const char *name;
		Oid			type;
	}			columns[INDEX_MAX_COLUMNS];
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
	[BUDGET_PERIODS_KEY] = {TABLE_BUDGET_PERIODS, {{"id", INT8OID}}},
	[BUDGET_PERIODS_BY_VALUE] = {
		TABLE_BUDGET_PERIODS,
		{{"budget_id", INT8OID}, {"period_key", TEXTOID}, {"value", TEXTOID}, {"slot", INT4OID}}
	},
};

/* What is known of the store */
typedef struct Definition
{
	Oid			schema;
	Oid			tables[STORE_TABLES];
	Oid			policy_functions[lengthof(policy_functions)];
	bool		has_site_trigger[STORE_TABLES];
	bool		is_exact[STORE_TABLES];
	bool		is_split[STORE_TABLES]; /* partitioned, and else as it was made */
	bool		is_all_exact;
	Oid			indexes[STORE_INDEXES]; /* as they were made; else invalid */
	AttrNumber	index_columns[STORE_INDEXES][INDEX_MAX_COLUMNS];
	bool		seeing_is_changing; /* a run and its tasks, as policies go */
} Definition;

/* A partition, as it was found when it was last needed */
typedef struct Leaf
{
	Oid			oid;
	uint64		version;		/* of the definition that this is good for */
	bool		is_exact;
	Oid			indexes[STORE_INDEXES];
} Leaf;

#define LEAVES	64

/* What a role may do with the tables */
typedef struct Rights
{
	uint64		version;
	Oid			role;
	AclMode		modes[STORE_TABLES];
	bool		is_bound[STORE_TABLES]; /* by row security, if the table has it */
} Rights;

static Definition definition;
static bool definition_is_known = false;
static uint64 version = 1;		/* moves with every change of a definition */
static Rights rights;
static Leaf leaves[LEAVES];

/* ---------- what is there ---------- */

/* Is this a function of the extension in C, and no site has put another in its place? */
static bool
is_our_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_c;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_c = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId;
	ReleaseSysCache(tuple);
	return is_c && object_is_of_extension(function);
}

static bool
is_column(const Node *node, Relation relation, const char *name)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varlevelsup == 0 &&
		var->varattno == get_attnum(RelationGetRelid(relation), name);
}

/* Is it a constraint of the store that is on the list? */
static bool
constraint_is_listed(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	Form_pg_constraint constraint;
	Datum		words;
	bool		is_of_store;
	Oid			table;
	Oid			parent;
	char	   *relation;
	char	   *suffix;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return false;
	constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	is_of_store = constraint->connamespace == definition.schema;
	table = constraint->conrelid;
	parent = constraint->conparentid;
	name = pstrdup(NameStr(constraint->conname));
	ReleaseSysCache(tuple);
	relation = partition_whole_name(table, &suffix);
	/* that of a partition has a name of its own */
	if (OidIsValid(parent))
		name = get_constraint_name(parent);
	if (!is_of_store || relation == NULL || name == NULL)
		return false;
	/* nothing, where it has been made since the transaction's snapshot */
	words = OidFunctionCall1(F_PG_GET_CONSTRAINTDEF_OID, ObjectIdGetDatum(oid));
	return words != (Datum) 0 &&
		object_is_listed("constraint", relation, name,
						 partition_whole_words(TextDatumGetCString(words), suffix));
}

/* Is the trigger as it was made? */
static bool
trigger_is_listed(const Trigger *trigger, const char *relation, const char *suffix)
{
	char	   *words;

	if (trigger->tgisinternal)
		return RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_NONE &&
			constraint_is_listed(trigger->tgconstraint);
	words = TextDatumGetCString(DirectFunctionCall1(pg_get_triggerdef,
													ObjectIdGetDatum(trigger->tgoid)));
	return trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN && is_our_function(trigger->tgfoid) &&
		object_is_listed("trigger", relation, trigger->tgname,
						 partition_whole_words(words, suffix));
}

/* Is a trigger on the table that is not on the list? */
static bool
finds_site_trigger(Relation relation, StoreTable table)
{
	/* a copy: while we ask the catalog, the server may make its own anew */
	TriggerDesc *triggers = CopyTriggerDesc(relation->trigdesc);
	char	   *suffix;

	(void) partition_whole_name(RelationGetRelid(relation), &suffix);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (!trigger_is_listed(&triggers->triggers[i], table_names[table], suffix))
			return true;
	return false;
}

/* An expression of a policy, in the server's words */
static char *
expression_words(Node *expression, Relation relation)
{
	return deparse_expression(copyObject(expression),
							  deparse_context_for(RelationGetRelationName(relation),
												  RelationGetRelid(relation)),
							  false, false);
}

/* The command that a policy is for */
static const char *
command_word(char command)
{
	switch (command)
	{
		case '*':
			return "ALL";
		case ACL_SELECT_CHR:
			return "SELECT";
		case ACL_INSERT_CHR:
			return "INSERT";
		case ACL_UPDATE_CHR:
			return "UPDATE";
		default:
			return "DELETE";
	}
}

/* Is it for all roles, and does it permit? */
static bool
policy_is_for_all(const RowSecurityPolicy *policy)
{
	return policy->permissive && ARR_NDIM(policy->roles) == 1 &&
		ARR_DIMS(policy->roles)[0] == 1 &&
		((Oid *) ARR_DATA_PTR(policy->roles))[0] == ACL_ID_PUBLIC;
}

/* Is the policy as it was made? */
static bool
policy_is_listed(const RowSecurityPolicy *policy, Relation relation)
{
	StringInfoData words;

	if (!policy_is_for_all(policy))
		return false;
	initStringInfo(&words);
	appendStringInfo(&words, "FOR %s", command_word(policy->polcmd));
	if (policy->qual != NULL)
		appendStringInfo(&words, " USING (%s)", expression_words((Node *) policy->qual, relation));
	if (policy->with_check_qual != NULL)
		appendStringInfo(&words, " WITH CHECK (%s)",
						 expression_words((Node *) policy->with_check_qual, relation));
	return object_is_listed("policy", RelationGetRelationName(relation), policy->policy_name,
					 words.data);
}

/*
 * Look at the policies on one table.  Returns whether they are those on the
 * list.  May whoever sees a row change it?  Those of a site have to be for all
 * commands, with one condition for all.
 */
static bool
look_at_policies(Relation relation, StoreTable table)
{
	int			listed = 0;
	int			others = 0;
	ListCell   *lc;

	if (!relation->rd_rel->relrowsecurity)
		return true;
	foreach(lc, relation->rd_rsdesc != NULL ? relation->rd_rsdesc->policies : NIL)
	{
		RowSecurityPolicy *policy = lfirst(lc);

		if (policy_is_listed(policy, relation))
		{
			listed++;
			continue;
		}
		others++;
		if (policy->polcmd != '*' ||
			(policy->with_check_qual != NULL && !equal(policy->with_check_qual, policy->qual)))
			definition.seeing_is_changing &= table != TABLE_RUNS && table != TABLE_TASKS;
	}
	/* what one of ours would let pass nobody lets pass */
	if (listed != object_count("policy", table_names[table]))
	{
		others++;
		definition.seeing_is_changing &= table != TABLE_RUNS && table != TABLE_TASKS;
	}
	return others == 0;
}

/* Is an index that belongs to no constraint on the list? */
static bool
index_is_listed(Oid oid, StoreTable table)
{
	Datum		words = OidFunctionCall1(F_PG_GET_INDEXDEF_OID, ObjectIdGetDatum(oid));

	/* nothing, where it has been made since the transaction's snapshot */
	return words != (Datum) 0 &&
		object_is_listed("index", table_names[table], get_rel_name(oid),
						 TextDatumGetCString(words));
}

/* Are the foreign keys that go out of the table, and its other constraints, on the list? */
static bool
constraints_are_listed(Relation relation, StoreTable table)
{
	TupleConstr *constraints = RelationGetDescr(relation)->constr;
	ListCell   *lc;

	if (constraints != NULL && (constraints->num_check > 0 || has_generated_columns(constraints)))
		return false;
	foreach(lc, copyObject(RelationGetFKeyList(relation)))
		if (!constraint_is_listed(((ForeignKeyCacheInfo *) lfirst(lc))->conoid))
			return false;
	foreach(lc, RelationGetIndexList(relation))
	{
		Oid			constraint = get_index_constraint(lfirst_oid(lc));

		if (OidIsValid(constraint) ? !constraint_is_listed(constraint) :
			TABLE_IS_OWNERS(table) && !index_is_listed(lfirst_oid(lc), table))
			return false;
	}
	return true;
}

/* Is it an ordinary table, of the same owner as the others? */
static bool
is_ordinary(Relation relation, Oid owner, bool is_partition)
{
	Form_pg_class form = relation->rd_rel;

	return form->relkind == RELKIND_RELATION && form->relam == HEAP_TABLE_AM_OID &&
		form->relowner == owner && form->relispartition == is_partition &&
		!form->relhassubclass &&
		relation->rd_rules == NULL && !RelationIsUsedAsCatalogTable(relation);
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

	for (; count < INDEX_MAX_COLUMNS && index_forms[which].columns[count].name != NULL; count++)
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

/* The indexes of a table, or of a partition */
static void
look_at_indexes(Relation relation, StoreTable table, Oid *indexes)
{
	Oid			primary_key = relation_primary_key(relation);
	ListCell   *lc;

	for (StoreIndex which = 0; which < STORE_INDEXES; which++)
		if (index_forms[which].table == table)
			indexes[which] = InvalidOid;
	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		for (StoreIndex which = 0; which < STORE_INDEXES; which++)
		{
			/* the numbers of the primary keys are those of the tables */
			if (index_forms[which].table != table ||
				(which < PRIMARY_KEYS && lfirst_oid(lc) != primary_key) ||
				!index_is_ours(relation, index, which))
				continue;
			indexes[which] = lfirst_oid(lc);
			for (int i = 0; i < index->rd_index->indnkeyatts; i++)
				definition.index_columns[which][i] = index->rd_index->indkey.values[i];
		}
		index_close(index, NoLock);
	}
}

/* ---------- looking ---------- */

static void
relation_changed(Oid relation)
{
	bool		is_of_store = !OidIsValid(relation) || !definition_is_known;

	for (int i = 0; i < STORE_TABLES; i++)
		is_of_store |= definition.tables[i] == relation;
	for (int i = 0; i < LEAVES; i++)
		is_of_store |= leaves[i].oid == relation;
	if (is_of_store)
	{
		definition_is_known = false;
		version++;
	}
}

static void
catalog_changed(Datum arg, int cache, uint32 hash)
{
	definition_is_known = false;
	version++;
	if (cache == PROCOID)
		object_list_forget();
}

static void
register_callbacks(void)
{
	static bool are_registered = false;

	if (are_registered)
		return;
	relation_changes_watch(relation_changed);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
	are_registered = true;
}

/* Find the functions that policies call; returns whether they are ours */
static bool
find_policy_functions(void)
{
	bool		are_ours = true;

	for (int i = 0; i < lengthof(policy_functions); i++)
	{
		Oid			owner;
		Oid			function = object_function(policy_functions[i], &owner);

		definition.policy_functions[i] = function;
		are_ours &= OidIsValid(function) && is_our_function(function);
	}
	return are_ours;
}

/* Look at one table; usage_tail may have policies for who reads: they do not bind its owner */
static void
look_at_table(StoreTable table, Oid owner)
{
	Relation	relation = table_open(definition.tables[table], AccessShareLock);
	bool		policies_are_listed = look_at_policies(relation, table);

	definition.has_site_trigger[table] = finds_site_trigger(relation, table);
	definition.is_exact[table] = object_list_is_known() &&
		(is_ordinary(relation, owner, false) ||
		 partition_is_by_run(relation, table, owner, definition.tables[TABLE_RUNS])) &&
		(policies_are_listed ||
		 (table == TABLE_USAGE_TAIL && !relation->rd_rel->relforcerowsecurity)) &&
		!definition.has_site_trigger[table] && constraints_are_listed(relation, table);
	look_at_indexes(relation, table, definition.indexes);
	table_close(relation, NoLock);
}

static Oid
owner_of(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Say things in the words of the list, until AtEOXact_GUC(): the server's depend
 * on these settings.
 */
int
store_begin_words(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("quote_all_identifiers", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

/* Look at the store, which is there */
static void
look_again(void)
{
	uint64		before;
	int			nest_level;
	bool		functions_are_ours;

	AcceptInvalidationMessages();
	register_callbacks();

	/* A change that comes while we look, or an error, is not to be lost */
	before = version;
	if (!object_list_is_known())
		object_list_read();
	definition.schema = get_namespace_oid("airun", false);
	for (int i = 0; i < STORE_TABLES; i++)
		definition.tables[i] = store_table_oid(table_names[i]);
	functions_are_ours = find_policy_functions();
	definition.seeing_is_changing = true;
	definition.is_all_exact = true;

	nest_level = store_begin_words();
	for (int i = 0; i < STORE_TABLES; i++)
	{
		look_at_table(i, owner_of(definition.tables[TABLE_RUNS]));
		definition.is_exact[i] &= functions_are_ours;
		definition.is_split[i] = definition.is_exact[i] &&
			get_rel_relkind(definition.tables[i]) == RELKIND_PARTITIONED_TABLE;
		definition.is_exact[i] &= !definition.is_split[i];
		definition.is_all_exact &= definition.is_exact[i];
	}
	AtEOXact_GUC(true, nest_level);
	definition_is_known = version == before;
}

/*
 * Know the definition of the store.  What others have changed comes with the
 * lock on a table, and with store_known_table(), by which every call begins.
 */
static inline void
look(void)
{
	if (!definition_is_known)
		look_again();
}

/* ---------- partitions ---------- */

/* What there is to know of a partition, which is open, of a table that is split */
static Leaf *
look_at_leaf(Relation relation, StoreTable table)
{
	Leaf	   *leaf = &leaves[RelationGetRelid(relation) % LEAVES];
	Relation	whole;
	uint64		before;
	int			nest_level;
	bool		is_exact;

	look();
	if (leaf->oid == RelationGetRelid(relation) && leaf->version == version)
		return leaf;
	/* a change that comes while we look is not to be lost */
	leaf->oid = RelationGetRelid(relation);
	leaf->version = 0;
	before = version;
	whole = table_open(definition.tables[table], AccessShareLock);
	nest_level = store_begin_words();
	is_exact = definition.is_split[table] &&
		is_ordinary(relation, whole->rd_rel->relowner, true) &&
		!finds_site_trigger(relation, table) && constraints_are_listed(relation, table) &&
		partition_has_columns(relation, whole) &&
		partition_has_twin(relation, whole, definition.tables[TABLE_RUNS]);
	look_at_indexes(relation, table, leaf->indexes);
	AtEOXact_GUC(true, nest_level);
	table_close(whole, NoLock);
	leaf->is_exact = is_exact && version == before;
	leaf->version = before;
	return leaf;
}

/* ---------- answers ---------- */

/* The name of a table in the schema airun */
const char *
store_table_name(StoreTable table)
{
	return table_names[table];
}

/* As which it stands in statements */
const char *
store_table_alias(StoreTable table)
{
	return table_aliases[table];
}

/* Name columns in a statement, each with the table's alias */
void
store_append_columns(StringInfo sql, const ColumnList *columns)
{
	for (int i = 0; columns->names[i] != NULL; i++)
		appendStringInfo(sql, "%s%s.%s", i > 0 ? ", " : "", table_aliases[columns->table],
						 columns->names[i]);
}

/* Find out where columns stand in their table; false where one is missing */
bool
store_find_columns(ColumnList *columns)
{
	look();
	if (columns->version == version)
		return true;
	columns->count = 0;
	for (int i = 0; columns->names[i] != NULL; i++)
	{
		columns->numbers[i] = get_attnum(definition.tables[columns->table], columns->names[i]);
		if (columns->numbers[i] == InvalidAttrNumber)
			return false;
		columns->count++;
	}
	columns->version = version;
	return true;
}

/* What is kept since the same version still holds */
uint64
store_definition_version(void)
{
	look();
	return version;
}

/* The OID of a table */
Oid
store_table(StoreTable table)
{
	look();
	return definition.tables[table];
}

/*
 * Open a table.  While we wait for the lock, another one may come in its place:
 * what is asked about the table is then asked about that one.
 */
Relation
store_open_table(StoreTable table, LOCKMODE mode)
{
	for (;;)
	{
		Oid			oid = store_table(table);
		Relation	relation = try_table_open(oid, mode);

		if (relation != NULL && store_table(table) == oid)
			return relation;
		if (relation != NULL)
			table_close(relation, mode);
	}
}

/*
 * Open what has the rows of a run: the table, or its partition, which is locked behind
 * it, as by a statement.  Without a run, or where there is no partition: the table.
 */
Relation
store_open_rows(StoreTable table, const pg_uuid_t *run_id, LOCKMODE mode)
{
	for (;;)
	{
		Relation	whole = store_open_table(table, mode);
		Relation	partition;
		Oid			oid;

		if (run_id == NULL || !definition.is_split[table] ||
			!OidIsValid(oid = partition_of_run(whole, run_id)))
			return whole;
		partition = try_table_open(oid, mode);
		/* while we waited, another one may have come in its place */
		if (partition != NULL && store_table(table) == RelationGetRelid(whole) &&
			definition.is_split[table] && partition_of_run(whole, run_id) == oid)
		{
			table_close(whole, NoLock);
			return partition;
		}
		if (partition != NULL)
			table_close(partition, mode);
		table_close(whole, mode);
	}
}

/* Is what has been opened so exactly what was made? */
bool
store_rows_are_exact(Relation relation, StoreTable table)
{
	if (store_table(table) == RelationGetRelid(relation))
		return definition.is_exact[table];
	return look_at_leaf(relation, table)->is_exact;
}

/* An index of it; invalid where it is not as it was made */
Oid
store_index_of(Relation relation, StoreIndex index)
{
	if (store_table(index_forms[index].table) == RelationGetRelid(relation))
		return definition.indexes[index];
	return look_at_leaf(relation, index_forms[index].table)->indexes[index];
}

/* The OID without a look: invalid where something has changed since the last one */
Oid
store_known_table(StoreTable table)
{
	AcceptInvalidationMessages();
	return definition_is_known ? definition.tables[table] : InvalidOid;
}

/* Is the table exactly what airun_install() made? */
bool
store_is_exact(StoreTable table)
{
	look();
	return definition.is_exact[table];
}

/* Are all of them? */
bool
store_is_all_exact(void)
{
	look();
	return definition.is_all_exact;
}

/* Know what the current role may do, reaching the tables and what their policies call */
static void
know_rights(void)
{
	Oid			role = GetUserId();
	bool		may_reach;

	look();
	if (rights.version == version && rights.role == role)
		return;
	may_reach = namespace_aclcheck(definition.schema, role, ACL_USAGE) == ACLCHECK_OK;
	for (int i = 0; i < lengthof(policy_functions); i++)
		may_reach &= !OidIsValid(definition.policy_functions[i]) ||
			function_aclcheck(definition.policy_functions[i], role, ACL_EXECUTE) == ACLCHECK_OK;
	for (int i = 0; i < STORE_TABLES; i++)
	{
		rights.modes[i] = may_reach ?
			pg_class_aclmask(definition.tables[i], role, ACL_SELECT | ACL_INSERT | ACL_UPDATE,
							 ACLMASK_ALL) : 0;
		rights.is_bound[i] = check_enable_rls(definition.tables[i], role, true) == RLS_ENABLED;
	}
	rights.role = role;
	rights.version = version;
}

/* Has the caller all of these privileges (to select, insert or update) on a table? */
bool
store_is_granted(StoreTable table, AclMode privileges)
{
	know_rights();
	return (rights.modes[table] & privileges) == privileges;
}

/* Does row security bind the caller, if the table has it? */
bool
store_table_binds_caller(StoreTable table)
{
	know_rights();
	return rights.is_bound[table];
}

/* The table that an index is of */
StoreTable
store_index_table(StoreIndex index)
{
	return index_forms[index].table;
}

/* An index; invalid where it is not as it was made */
Oid
store_index(StoreIndex index)
{
	look();
	return definition.indexes[index];
}

/* The number of a column of it, by its place */
AttrNumber
store_index_column(StoreIndex index, int place)
{
	look();
	return definition.index_columns[index][place];
}

/*
 * May everybody who sees a run and its tasks change them?  If so, a look tells
 * what a lock on the rows would.  Our policies on tasks ask for the run.
 */
bool
store_seeing_is_changing(void)
{
	look();
	return definition.seeing_is_changing && !store_has_policy_hook() &&
		store_is_granted(TABLE_RUNS, ACL_UPDATE) && store_is_granted(TABLE_TASKS, ACL_UPDATE);
}

/* Has a site a trigger of its own on a table of the store? */
bool
store_has_site_trigger(StoreTable table)
{
	look();
	return definition.has_site_trigger[table];
}

/*
 * Does a table show all of its rows to whoever may read it?  So it is without
 * row security, or with nothing but a policy airun_read that is true.
 */
bool
store_is_open_to_all(Relation relation)
{
	const RowSecurityPolicy *policy;
	const Const *qual;

	if (!relation->rd_rel->relrowsecurity)
		return true;
	if (relation->rd_rsdesc == NULL || list_length(relation->rd_rsdesc->policies) != 1)
		return false;
	policy = linitial(relation->rd_rsdesc->policies);
	qual = (const Const *) policy->qual;
	return policy_is_for_all(policy) && policy->polcmd == ACL_SELECT_CHR &&
		strcmp(policy->policy_name, "airun_read") == 0 && IsA(qual, Const) &&
		!qual->constisnull && DatumGetBool(qual->constvalue);
}

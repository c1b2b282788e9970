/*
 * object_list.c
 *		The list of what airun_install() makes, as the library knows it.
 *
 * airun_store_objects() has it, once, in the words of the server; here it is kept
 * in memory until a function changes.  It depends on no row.
 */
#include "store/object_list.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* All of them, read once and again when a function has changed */
typedef struct ObjectList
{
	MemoryContext context;
	bool		is_known;
	Oid			schema;			/* of the extension */
	int			count;
	StoreObject *objects;
} ObjectList;

static ObjectList list;

/* The schema of the extension; invalid where it is not there */
static Oid
extension_schema(void)
{
	Oid			extension = get_extension_oid("airun", true);

	return OidIsValid(extension) ? get_extension_schema(extension) : InvalidOid;
}

/* Is it a member of the extension? */
bool
object_is_of_extension(Oid function)
{
	Oid			extension = get_extension_oid("airun", true);

	return OidIsValid(extension) &&
		getExtensionOfObject(ProcedureRelationId, function) == extension;
}

static void
forget_list(void)
{
	list.is_known = false;
	list.count = 0;
	if (list.context == NULL)
		list.context = AllocSetContextCreate(TopMemoryContext, "airun store objects",
											 ALLOCSET_SMALL_SIZES);
	MemoryContextReset(list.context);
}

/* Keep the rows that SPI has read */
static void
keep_list(void)
{
	MemoryContext old_context = MemoryContextSwitchTo(list.context);

	list.objects = palloc_array(StoreObject, SPI_processed);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		/* in memory of SPI's, and so copied */
		list.objects[i] = (StoreObject) {
			.kind = pstrdup(SPI_getvalue(row, desc, 1)),
			.relation = pstrdup(SPI_getvalue(row, desc, 2)),
			.name = pstrdup(SPI_getvalue(row, desc, 3)),
			.definition = pstrdup(SPI_getvalue(row, desc, 4)),
		};
	}
	list.count = SPI_processed;
	MemoryContextSwitchTo(old_context);
}

/*
 * A function of the extension, by its name, which no two of them share; invalid
 * where an extension that is older than the library lacks it.  Whoever may make
 * functions in the schema may make others of that name.
 */
Oid
object_function(const char *name, Oid *owner)
{
	CatCList   *functions = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			function = InvalidOid;

	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple);

		if (form->pronamespace != list.schema || !object_is_of_extension(form->oid))
			continue;
		function = form->oid;
		*owner = form->proowner;
	}
	ReleaseCatCacheList(functions);
	return function;
}

/*
 * Read the list, as the owner of the function that has it: it depends on no
 * row, and no right of the caller's is asked for.  Without it nothing is exact.
 */
void
object_list_read(void)
{
	Oid			owner;
	Oid			user;
	int			context;

	forget_list();
	list.schema = extension_schema();
	if (!OidIsValid(list.schema) || !OidIsValid(object_function("airun_store_objects", &owner)))
		return;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(psprintf("SELECT o.kind, o.relation, o.name, o.definition FROM "
							 "%s.airun_store_objects() AS o",
							 quote_identifier(get_namespace_name(list.schema))),
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "the list of the store's objects cannot be read");
	keep_list();
	list.is_known = true;
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	SetUserIdAndSecContext(user, context);
}

/* Is this on the list? */
bool
object_is_listed(const char *kind, const char *relation, const char *name, const char *words)
{
	for (int i = 0; i < list.count; i++)
	{
		const StoreObject *object = &list.objects[i];

		if (strcmp(object->kind, kind) == 0 && strcmp(object->relation, relation) == 0 &&
			strcmp(object->name, name) == 0)
			return strcmp(object->definition, words) == 0;
	}
	return false;
}

/* The next object of a kind, or the first behind NULL; NULL where there is none */
const StoreObject *
object_next(const char *kind, const StoreObject *object)
{
	for (int i = object == NULL ? 0 : object - list.objects + 1; i < list.count; i++)
		if (strcmp(list.objects[i].kind, kind) == 0)
			return &list.objects[i];
	return NULL;
}

/* How many objects of a kind are on the list for a table */
int
object_count(const char *kind, const char *relation)
{
	int			count = 0;

	for (int i = 0; i < list.count; i++)
		count += strcmp(list.objects[i].kind, kind) == 0 &&
			strcmp(list.objects[i].relation, relation) == 0;
	return count;
}

/* Is it known by now?  It is not where the extension is older than the library. */
bool
object_list_is_known(void)
{
	return list.is_known;
}

/* A function has changed: the list is to be read again */
void
object_list_forget(void)
{
	list.is_known = false;
}

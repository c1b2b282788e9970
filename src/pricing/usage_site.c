/*
 * usage_site.c
 *		The shapes of usages that are known, with those of the site.
 *
 * airun.usage_shapes has what the site adds to usage_shapes.c: shapes of its
 * own, which go before the others, and further paths for those of the same
 * name, which go before what that shape has.
 *
 * Each backend keeps the shapes until it hears that the table has changed, of
 * which a trigger gives notice, as the server does of a definition: with the
 * next table that it opens, and with the next transaction at the latest.  So
 * they are read as definitions are: as they are now, whatever the caller's
 * snapshot and rights, and at no cost where nothing has changed.  What a number
 * means is the same for everybody.
 *
 * Locks: the table's, of a reader, while it is read.
 *
 * Errors: PT422 for a row that is no shape, when it is written.  A row that
 * came in without the trigger is passed over.
 */
#include "pricing/usage_site.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "json/jsonb_util.h"
#include "store/args.h"
#include "store/invalidation.h"
#include "store/row_trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(airun_guard_usage_shape);
PG_FUNCTION_INFO_V1(airun_usage_shapes_changed);

#define MAX_NAME	200
#define MAX_PATHS	1000

/* A row of airun.usage_shapes; strings are NULL where they are not stated */
typedef struct ShapeRow
{
	char	   *shape;
	char	   *provider;
	ArrayType  *known_by;
	Jsonb	   *paths;
	ArrayType  *by_total;
} ShapeRow;

static MemoryContext site_context = NULL;
static UsageShape *site_shapes = NULL;
static int	site_shape_count = 0;
static Oid	table_oid = InvalidOid;
static bool is_current = false;

/* ---------- from a row ---------- */

/* The strings of an array, with a NULL behind; NULL where one is null or empty */
static const char **
strings_of(ArrayType *array, int *count)
{
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	const char **strings;

	*count = 0;
	if (array != NULL)
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, count);
	strings = palloc0_array(const char *, *count + 1);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			return NULL;
		strings[i] = TextDatumGetCString(elements[i]);
		if (strings[i][0] == '\0')
			return NULL;
	}
	return strings;
}

/* Add one path, or a list of them, to a part */
static const char *
add_paths(UsagePath *paths, int *count, UsagePart part, const JsonbValue *value)
{
	JsonbContainer *list;

	if (value->type == jbvString)
	{
		if (value->val.string.len == 0)
			return "a path is empty";
		if (*count >= MAX_PATHS)
			return "there are too many paths";
		paths[(*count)++] = (UsagePath) {
			part, pnstrdup(value->val.string.val, value->val.string.len)
		};
		return NULL;
	}
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerSize(value->val.binary.data) == 0)
		return "a part must have a path, or a list of paths";
	list = value->val.binary.data;
	for (uint32 i = 0; i < JsonContainerSize(list); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(list, i);
		const char *problem = element->type != jbvString ? "a path must be a string" :
			add_paths(paths, count, part, element);

		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/* The paths of a row; what is wrong with them, or NULL */
static const char *
parse_paths(Jsonb *object, const UsagePath **result)
{
	UsagePath  *paths = palloc0_array(UsagePath, MAX_PATHS + 1);
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
	int			count = 0;

	if (!JB_ROOT_IS_OBJECT(object) || JB_ROOT_COUNT(object) == 0)
		return "\"paths\" must be an object of parts, each with its paths";
	it = JsonbIteratorInit(&object->root);
	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		UsagePart	part;
		const char *problem;

		(void) JsonbIteratorNext(&it, &value, true);
		if (!usage_part_from_name(key.val.string.val, key.val.string.len, &part))
			return psprintf("\"%s\" is no part of a usage",
							excerpt(key.val.string.val, key.val.string.len));
		problem = add_paths(paths, &count, part, &value);
		if (problem != NULL)
			return problem;
	}
	*result = paths;
	return NULL;
}

static const UsageShape *
built_in(const char *name)
{
	for (int i = 0; i < usage_shape_count; i++)
	{
		if (strcmp(usage_shapes[i].name, name) == 0)
			return &usage_shapes[i];
	}
	return NULL;
}

/* Make a shape of a row; what is wrong with it, or NULL */
static const char *
parse_row(const ShapeRow *row, UsageShape *shape)
{
	static const UsagePath none[] = {{0}};
	const UsageShape *base = built_in(row->shape);
	const char **known_by;
	const char **by_total;
	const char *problem;
	int			known_count;
	int			count;

	if (row->shape[0] == '\0' || strlen(row->shape) > MAX_NAME ||
		(row->provider != NULL && strlen(row->provider) > MAX_NAME))
		return "a name must have 1 to 200 bytes";
	*shape = base != NULL ? *base : (UsageShape) {.name = row->shape, .paths = none};
	known_by = strings_of(row->known_by, &known_count);
	by_total = strings_of(row->by_total, &count);
	if (known_by == NULL || by_total == NULL)
		return "an element of \"known_by\" or \"by_total\" is null or empty";
	if (known_count == 0 && base == NULL)
		return "\"known_by\" must have a path by which the shape is recognised";
	if (known_count > 0)
		shape->known_by = known_by;
	if (row->provider != NULL)
		shape->provider = row->provider;
	if (row->by_total != NULL)
		shape->flags &= ~(CACHE_BY_TOTAL | REASONING_BY_TOTAL);
	for (int i = 0; i < count; i++)
	{
		if (strcmp(by_total[i], "cache") == 0)
			shape->flags |= CACHE_BY_TOTAL;
		else if (strcmp(by_total[i], "reasoning") == 0)
			shape->flags |= REASONING_BY_TOTAL;
		else
			return "\"by_total\" may have \"cache\" and \"reasoning\"";
	}
	problem = parse_paths(row->paths, &shape->more_paths);
	return problem;
}

/* ---------- the table ---------- */

static void
relation_changed(Oid relation)
{
	if (relation == InvalidOid || relation == table_oid || table_oid == InvalidOid)
		is_current = false;
}

static Datum
column_of(HeapTuple tuple, Relation relation, const char *name, Oid type, bool *isnull)
{
	AttrNumber	number = get_attnum(RelationGetRelid(relation), name);

	*isnull = true;
	if (number == InvalidAttrNumber ||
		TupleDescAttr(RelationGetDescr(relation), number - 1)->atttypid != type)
		return (Datum) 0;
	return heap_getattr(tuple, number, RelationGetDescr(relation), isnull);
}

/* Put in a row of the table: over the shape of that name, or in front of all */
static void
take_row(HeapTuple tuple, Relation relation, int *own_count, UsageShape *own)
{
	ShapeRow	row = {0};
	UsageShape	shape;
	bool		isnull[5];
	Datum		name = column_of(tuple, relation, "shape", TEXTOID, &isnull[0]);
	Datum		provider = column_of(tuple, relation, "provider", TEXTOID, &isnull[1]);
	Datum		known_by = column_of(tuple, relation, "known_by", TEXTARRAYOID, &isnull[2]);
	Datum		paths = column_of(tuple, relation, "paths", JSONBOID, &isnull[3]);
	Datum		by_total = column_of(tuple, relation, "by_total", TEXTARRAYOID, &isnull[4]);

	if (isnull[0] || isnull[3])
		return;
	row.shape = TextDatumGetCString(name);
	row.provider = isnull[1] ? NULL : TextDatumGetCString(provider);
	row.known_by = isnull[2] ? NULL : DatumGetArrayTypePCopy(known_by);
	row.paths = DatumGetJsonbPCopy(paths);
	row.by_total = isnull[4] ? NULL : DatumGetArrayTypePCopy(by_total);
	if (parse_row(&row, &shape) != NULL)
		return;
	if (built_in(row.shape) != NULL)
		site_shapes[built_in(row.shape) - usage_shapes] = shape;
	else
		own[(*own_count)++] = shape;
}

/*
 * Read the table.  site_shapes has the shapes that are built in, and gets
 * those of the site put in front.
 */
static void
read_table(Relation relation)
{
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	UsageShape *own = NULL;
	int			own_count = 0;
	int			space = 0;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (own_count == space)
		{
			space = space == 0 ? 16 : space * 2;
			own = own == NULL ? palloc_array(UsageShape, space) :
				repalloc_array(own, UsageShape, space);
		}
		take_row(tuple, relation, &own_count, own);
	}
	systable_endscan(scan);
	if (own_count == 0)
		return;
	own = repalloc_array(own, UsageShape, own_count + usage_shape_count);
	memcpy(own + own_count, site_shapes, usage_shape_count * sizeof(UsageShape));
	site_shapes = own;
	site_shape_count += own_count;
}

static void
read_shapes(void)
{
	Oid			schema_oid = get_namespace_oid("airun", true);
	MemoryContext old_context;

	relation_changes_watch(relation_changed);
	if (site_context == NULL)
		site_context = AllocSetContextCreate(CacheMemoryContext, "airun usage shapes",
											 ALLOCSET_SMALL_SIZES);
	MemoryContextReset(site_context);
	site_shapes = NULL;
	table_oid = OidIsValid(schema_oid) ? get_relname_relid("usage_shapes", schema_oid) :
		InvalidOid;
	is_current = true;			/* unless something changes while it is read */

	old_context = MemoryContextSwitchTo(site_context);
	site_shape_count = usage_shape_count;
	site_shapes = palloc_array(UsageShape, usage_shape_count);
	memcpy(site_shapes, usage_shapes, usage_shape_count * sizeof(UsageShape));
	if (OidIsValid(table_oid) && get_rel_relkind(table_oid) == RELKIND_RELATION)
	{
		Relation	relation = table_open(table_oid, AccessShareLock);

		read_table(relation);
		table_close(relation, AccessShareLock);
	}
	MemoryContextSwitchTo(old_context);
}

/* All shapes, in the order in which they are tried; how many there are */
int
usage_site_shapes(const UsageShape **shapes)
{
	if (!is_current || site_shapes == NULL)
		read_shapes();
	*shapes = site_shapes;
	return site_shape_count;
}

/* ---------- triggers ---------- */

/*
 * airun_guard_usage_shape() returns trigger
 *
 * BEFORE INSERT OR UPDATE: refuses a row that is no shape.
 */
Datum
airun_guard_usage_shape(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "airun", "usage_shapes",
										TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE,
										ON_INSERT | ON_UPDATE);
	Row			row;
	ShapeRow	stated = {0};
	UsageShape	shape;
	Field		field;
	const char *problem = NULL;

	row_from_trigger(&row, trigger);
	field = row_new(&row, "shape");
	if (!field.isnull)
		stated.shape = TextDatumGetCString(field.value);
	field = row_new(&row, "provider");
	if (!field.isnull)
		stated.provider = TextDatumGetCString(field.value);
	field = row_new(&row, "known_by");
	if (!field.isnull)
		stated.known_by = DatumGetArrayTypeP(field.value);
	field = row_new(&row, "paths");
	if (!field.isnull)
		stated.paths = DatumGetJsonbP(field.value);
	field = row_new(&row, "by_total");
	if (!field.isnull)
		stated.by_total = DatumGetArrayTypeP(field.value);
	if (stated.shape == NULL || stated.paths == NULL)
		return PointerGetDatum(row.new);	/* NOT NULL refuses it */
	problem = parse_row(&stated, &shape);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("shape \"%s\" cannot be read",
						excerpt(stated.shape, strlen(stated.shape))),
				 errdetail("Here %s.", problem),
				 errhint("See the comments on airun.usage_shapes and its columns.")));
	return PointerGetDatum(row.new);
}

/*
 * airun_usage_shapes_changed() returns trigger
 *
 * AFTER any statement: every backend reads the shapes anew.
 */
Datum
airun_usage_shapes_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "airun", "usage_shapes", TRIGGER_EVENT_AFTER,
										ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE |
										WITHOUT_ROWS);

	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigger->tg_relation));
	PG_RETURN_POINTER(NULL);
}

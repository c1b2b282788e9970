/*
 * usage_leaves.c
 *		The values of a usage, each with its path.
 *
 * A usage is gone through once.  Paths are keys joined by points, so that
 * OpenTelemetry's attributes read the same whether they are nested, flat or a
 * list of keys and values.  Lists of usages are kept for later.  What is too
 * deep or too much for the usage of a request is left, and said to be.
 *
 * Nothing is locked and nothing refused.
 */
#include "pricing/usage_leaves.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"

/* More leaves are not the usage of a request */
#define MAX_LEAVES		1000

/* A path that is longer, in bytes, neither: it is copied for each leaf below it */
#define MAX_PATH_LEN	1000

/* May a path have so many bytes more?  Else it is not gone on with. */
static bool
path_fits(UsageLeaves *found, int len, int more)
{
	if (len + more <= MAX_PATH_LEN)
		return true;
	found->is_cut = true;
	return false;
}

/* Put a piece of a path behind what stands in front of it; returns where that ends */
static int
put_path(UsageLeaves *found, int end, const char *piece, int len)
{
	int			needed = end + len + 2;

	if (needed > found->path_space)
	{
		char	   *more = palloc(needed * 2);

		memcpy(more, found->paths, Min(end, found->path_space));
		found->paths = more;
		found->path_space = needed * 2;
	}
	memcpy(found->paths + end, piece, len);
	return end + len;
}

static void
add_leaf(UsageLeaves *found, int start, int end, const JsonbValue *value)
{
	if (found->count >= MAX_LEAVES)
	{
		found->is_cut = true;
		return;
	}
	if (found->count == found->space)
	{
		UsageLeaf	   *more = palloc_array(UsageLeaf, found->space * 4);

		memcpy(more, found->leaves, found->count * sizeof(UsageLeaf));
		found->leaves = more;
		found->space *= 4;
	}
	found->leaves[found->count++] = (UsageLeaf) {start, end - start, false, *value};
	found->path_len = end;
}

/* Does the path name a list of usages?  Then it is kept for later. */
static bool
keep_list(UsageLeaves *found, const char *path, int len, JsonbContainer *container)
{
	for (int i = 0; i < usage_list_count; i++)
	{
		const UsageList *list = &usage_lists[i];

		if (strlen(list->path) != len || memcmp(list->path, path, len) != 0)
			continue;
		if (found->list_count < USAGE_MAX_LISTS)
			found->lists[found->list_count++] = (FoundList) {list, container};
		return true;
	}
	return false;
}

/*
 * What an element of a list is of, as {"modality": "AUDIO"} says; or its path
 * and its value, as OpenTelemetry's {"key": "...", "value": {"intValue": 3}}.
 */
static bool
element_name(JsonbContainer *element, JsonbValue *name, JsonbValue *value)
{
	static const char *const keys[] = {"modality", "ttl", "type"};

	value->type = jbvNull;
	if (!JsonContainerIsObject(element))
		return false;
	if (jsonb_field(element, "key", name) && name->type == jbvString &&
		jsonb_field(element, "value", value))
	{
		static const char *const kinds[] = {"intValue", "doubleValue", "stringValue"};
		JsonbValue	inner;

		for (int i = 0; i < lengthof(kinds) && value->type == jbvBinary; i++)
		{
			if (JsonContainerIsObject(value->val.binary.data) &&
				jsonb_field(value->val.binary.data, kinds[i], &inner))
				*value = inner;
		}
		return true;
	}
	value->type = jbvNull;
	for (int i = 0; i < lengthof(keys); i++)
	{
		if (jsonb_field(element, keys[i], name) && name->type == jbvString)
			return true;
	}
	return false;
}

static void find_leaves(UsageLeaves *found, JsonbContainer *container, int start, int end,
						int depth);

/* A value whose path ends here */
static void
find_in_value(UsageLeaves *found, const JsonbValue *value, int start, int end, int depth)
{
	JsonbContainer *container;

	if (value->type == jbvNull)
		return;
	if (value->type != jbvBinary || JsonContainerSize(value->val.binary.data) == 0)
	{
		add_leaf(found, start, end, value);
		return;
	}
	container = value->val.binary.data;
	if (keep_list(found, found->paths + start, end - start, container))
		return;
	if (depth >= USAGE_MAX_DEPTH)
		found->is_cut = true;
	else
		find_leaves(found, container, start, end, depth);
}

/* The next element of a list, whose own path ends here */
static void
find_in_element(UsageLeaves *found, const JsonbValue *element, int start, int end, int depth)
{
	JsonbValue	name;
	JsonbValue	value;
	bool		is_named = element->type == jbvBinary &&
		element_name(element->val.binary.data, &name, &value);

	if (is_named && !path_fits(found, end - start, name.val.string.len))
		return;
	if (is_named && value.type != jbvNull)
	{
		/* an attribute: its key is all of its path */
		end = put_path(found, start, name.val.string.val, name.val.string.len);
		find_in_value(found, &value, start, end, depth + 1);
		return;
	}
	end = put_path(found, end, "[", 1);
	if (is_named)
		end = put_path(found, end, name.val.string.val, name.val.string.len);
	end = put_path(found, end, "]", 1);
	find_in_value(found, element, start, end, depth + 1);
}

/* All that is in a container whose path stands from start to end among the paths */
static void
find_leaves(UsageLeaves *found, JsonbContainer *container, int start, int end, int depth)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			len = end - start;
	int			key_end = 0;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		int			new_start = found->path_len;
		int			new_end;

		CHECK_FOR_INTERRUPTS();
		if (found->is_cut || (token == WJB_KEY && !path_fits(found, len, value.val.string.len)))
			break;
		switch (token)
		{
			case WJB_KEY:
				new_end = new_start;
				if (len > 0)
				{
					/* the path in front may lie anywhere: copy it behind the last leaf's */
					(void) put_path(found, new_start + len + value.val.string.len, "", 0);
					memmove(found->paths + new_start, found->paths + start, len);
					start = new_start;
					new_end = put_path(found, new_start + len, ".", 1);
				}
				key_end = put_path(found, new_end, value.val.string.val,
								   value.val.string.len);
				break;
			case WJB_VALUE:
				find_in_value(found, &value, new_start, key_end, depth + 1);
				break;
			case WJB_ELEM:
				(void) put_path(found, new_start + len + 1, "", 0);
				memmove(found->paths + new_start, found->paths + start, len);
				start = new_start;
				find_in_element(found, &value, new_start, new_start + len, depth);
				break;
			default:
				break;
		}
	}
}

/* Find all that is in an object or a list */
void
usage_find_leaves(JsonbContainer *container, UsageLeaves *found)
{
	found->is_cut = false;
	found->count = found->path_len = found->list_count = 0;
	found->space = USAGE_FEW_LEAVES;
	found->leaves = found->few_leaves;
	found->path_space = USAGE_SHORT_PATHS;
	found->paths = found->short_paths;
	find_leaves(found, container, 0, 0, 0);
}

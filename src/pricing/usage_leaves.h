/*
 * usage_leaves.h
 *		The values of a usage, each with its path.
 */
#ifndef AIRUN_USAGE_LEAVES_H
#define AIRUN_USAGE_LEAVES_H

#include "airun.h"

#include "pricing/usage_shapes.h"
#include "utils/jsonb.h"

/* How deep a usage is gone through, and usages within usages */
#define USAGE_MAX_DEPTH		8

#define USAGE_MAX_LISTS		16
#define USAGE_FEW_LEAVES	40
#define USAGE_SHORT_PATHS	1500

/* A value that is no object and no list */
typedef struct UsageLeaf
{
	int			path;			/* where it begins among the paths */
	int			len;
	bool		is_read;
	JsonbValue	value;			/* an empty object or list has jbvBinary */
} UsageLeaf;

/* A list of usages */
typedef struct FoundList
{
	const UsageList *list;
	JsonbContainer *container;
} FoundList;

/* All that has been found in one object or list; few need no memory of their own */
typedef struct UsageLeaves
{
	bool		is_cut;			/* there was more */
	int			count;
	int			space;
	UsageLeaf  *leaves;
	int			path_len;
	int			path_space;
	char	   *paths;
	int			list_count;
	FoundList	lists[USAGE_MAX_LISTS];
	UsageLeaf	few_leaves[USAGE_FEW_LEAVES];
	char		short_paths[USAGE_SHORT_PATHS];
} UsageLeaves;

/* The path of a leaf, which does not end in a zero byte */
static inline const char *
leaf_path(const UsageLeaves *found, const UsageLeaf *leaf)
{
	return found->paths + leaf->path;
}

extern void usage_find_leaves(JsonbContainer *container, UsageLeaves *found);

#endif							/* AIRUN_USAGE_LEAVES_H */

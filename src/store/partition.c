/*
 * partition.c
 *		Tables of the store that are partitioned.
 *
 * airun_partition() splits the large tables by the run's id, all at the same ids,
 * and names what belongs together alike: messages_2026_12 has a foreign key to
 * runs_2026_12.  Here is how that is recognised, and where the rows of a run are;
 * definition.c says whether it is exactly what was made.
 *
 * Locks: runs, for a look at its partitions.
 */
#include "store/partition.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/typcache.h"

/*
 * The name of a table, or of the one that it is a partition of; what the partition's
 * name has behind it is its suffix, which names of the store have in its definitions.
 */
char *
partition_whole_name(Oid table, char **suffix)
{
	char	   *name = get_rel_name(table);
	char	   *whole;
	Oid			parent;

	*suffix = NULL;
	if (name == NULL || !get_rel_relispartition(table))
		return name;
	/* a table of another schema is no table of the store */
	parent = get_partition_parent(table, true);
	if (get_rel_namespace(parent) != get_rel_namespace(table))
		return name;
	whole = get_rel_name(parent);
	if (whole == NULL || strncmp(name, whole, strlen(whole)) != 0)
		return NULL;
	*suffix = name + strlen(whole);
	return whole;
}

/* The words of a definition, without a suffix behind the tables of the store */
char *
partition_whole_words(char *words, const char *suffix)
{
	StringInfoData result;

	if (suffix == NULL)
		return words;
	initStringInfo(&result);
	while (*words != '\0')
	{
		int			len = 0;

		for (int i = 0; len == 0 && i < TABLE_USAGE_TAIL; i++)
		{
			const char *found = psprintf("airun.%s%s", store_table_name(i), suffix);
			int			all = strlen(found);

			if (strncmp(words, found, all) == 0 && !isalnum((unsigned char) words[all]) &&
				words[all] != '_')
			{
				appendStringInfo(&result, "airun.%s", store_table_name(i));
				len = all;
			}
		}
		if (len == 0)
			appendStringInfoChar(&result, words[len++]);
		words += len;
	}
	return result.data;
}

/* Is it partitioned as airun_partition() does it, by the run's id alone? */
bool
partition_is_by_run(Relation relation, StoreTable table, Oid owner, Oid runs_oid)
{
	PartitionKey key;
	Relation	runs;
	PartitionDesc these;
	PartitionDesc those;
	bool		is_same;

	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE ||
		relation->rd_rel->relowner != owner || relation->rd_rel->relispartition ||
		relation->rd_rules != NULL)
		return false;
	key = RelationGetPartitionKey(relation);
	if (key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 ||
		key->partattrs[0] != get_attnum(RelationGetRelid(relation),
										table == TABLE_RUNS ? "id" : "run_id") ||
		key->parttypid[0] != UUIDOID ||
		key->partopfamily[0] != lookup_type_cache(UUIDOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf)
		return false;
	/* a run is where all is that belongs to it */
	runs = table_open(runs_oid, AccessShareLock);
	is_same = runs->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	if (is_same)
	{
		these = RelationGetPartitionDesc(relation, true);
		those = RelationGetPartitionDesc(runs, true);
		is_same = these->nparts > 0 && these->nparts == those->nparts &&
			partition_bounds_equal(1, key->parttyplen, key->parttypbyval,
								   these->boundinfo, those->boundinfo);
	}
	table_close(runs, NoLock);
	return is_same;
}

/* Are the columns of a partition those of its table, each at its place? */
bool
partition_has_columns(Relation partition, Relation table)
{
	TupleDesc	desc = RelationGetDescr(partition);
	TupleDesc	other = RelationGetDescr(table);

	for (int i = 0; desc->natts == other->natts && i < desc->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(desc, i);
		Form_pg_attribute b = TupleDescAttr(other, i);

		if (strcmp(NameStr(a->attname), NameStr(b->attname)) != 0 ||
			a->atttypid != b->atttypid || a->atttypmod != b->atttypmod ||
			a->attisdropped != b->attisdropped || a->attnotnull != b->attnotnull ||
			a->atthasdef != b->atthasdef || a->attcollation != b->attcollation)
			return false;
	}
	return desc->natts == other->natts;
}

/* Is the partition of runs of the same suffix that of the same range? */
bool
partition_has_twin(Relation partition, Relation table, Oid runs_oid)
{
	Relation	runs = table_open(runs_oid, AccessShareLock);
	PartitionDesc these = RelationGetPartitionDesc(table, true);
	PartitionDesc those = RelationGetPartitionDesc(runs, true);
	char	   *suffix;
	bool		found = false;

	(void) partition_whole_name(RelationGetRelid(partition), &suffix);
	for (int i = 0; suffix != NULL && i < these->nparts && i < those->nparts; i++)
		found |= these->oids[i] == RelationGetRelid(partition) &&
			those->oids[i] == get_relname_relid(psprintf("%s%s", store_table_name(TABLE_RUNS),
														 suffix),
												RelationGetNamespace(table));
	table_close(runs, NoLock);
	return found;
}

/* The partition that a run's rows are in; invalid for none */
Oid
partition_of_run(Relation table, const pg_uuid_t *run_id)
{
	PartitionDesc partitions = RelationGetPartitionDesc(table, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	int			low = 0;
	int			high = partitions->nparts > 0 ? bounds->ndatums : 0;
	int			found;

	/* how many bounds are not above it */
	while (low < high)
	{
		int			i = (low + high) / 2;
		PartitionRangeDatumKind kind = bounds->kind[i][0];
		bool		is_above = kind == PARTITION_RANGE_DATUM_VALUE ?
			memcmp(DatumGetUUIDP(bounds->datums[i][0])->data, run_id->data, UUID_LEN) > 0 :
			kind == PARTITION_RANGE_DATUM_MAXVALUE;

		if (is_above)
			high = i;
		else
			low = i + 1;
	}
	if (partitions->nparts == 0)
		return InvalidOid;
	found = bounds->indexes[low];
	if (found < 0)
		found = bounds->default_index;
	return found < 0 ? InvalidOid : partitions->oids[found];
}

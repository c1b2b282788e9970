/*
 * compat.h
 *		Differences between PostgreSQL 15 and 19, and nowhere else.
 *
 * Old servers get the new spelling.
 */
#ifndef AIRUN_COMPAT_H
#define AIRUN_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "airun needs PostgreSQL 15 or later"
#endif

/* 16 moved the varlena macros out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 brought typed allocation to the backend */
#ifndef palloc_array
#define palloc_array(type, count) ((type *) palloc(sizeof(type) * (count)))
#endif
#ifndef palloc0_array
#define palloc0_array(type, count) ((type *) palloc0(sizeof(type) * (count)))
#endif
#ifndef palloc_object
#define palloc_object(type) ((type *) palloc(sizeof(type)))
#endif
#ifndef palloc0_object
#define palloc0_object(type) ((type *) palloc0(sizeof(type)))
#endif

/* 18 turned the attribute into C11's specifier */
#ifndef pg_noreturn
#define pg_noreturn _Noreturn
#endif

/* 19 asks compilers for the attribute, where a comment did before */
#ifndef pg_fallthrough
#define pg_fallthrough __attribute__((fallthrough))
#endif

/* 18 lets a module tell its name and version */
#ifndef PG_MODULE_MAGIC_EXT
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

/*
 * 16 tells which indexes a new version of a row needs to be in, and 19 has put
 * flags in place of booleans.
 */
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes UpdateIndexes;
#define NO_INDEXES	TU_None
#define ALL_INDEXES	TU_All
#else
typedef bool UpdateIndexes;
#define NO_INDEXES	false
#define ALL_INDEXES	true
#endif

/* The number of this backend, from 0 on, among those that there are */
#if PG_VERSION_NUM >= 170000
#include "storage/procnumber.h"
#define MY_BACKEND_NUMBER	((int) MyProcNumber)
#else
#include "storage/backendid.h"
#define MY_BACKEND_NUMBER	((int) MyBackendId - 1)
#endif

static inline TM_Result
update_tuple(Relation relation, ItemPointer place, TupleTableSlot *slot, Snapshot snapshot,
			 UpdateIndexes *indexes)
{
	TM_FailureData failure;
	LockTupleMode lock_mode;

	return table_tuple_update(relation, place, slot, GetCurrentCommandId(true),
#if PG_VERSION_NUM >= 190000
							  0,
#endif
							  snapshot, InvalidSnapshot, true, &failure, &lock_mode, indexes);
}

/* The row has no trigger that would have to check again what a deferrable index finds */
static inline void
exec_insert_index_tuples(ResultRelInfo *target, TupleTableSlot *slot, EState *estate,
						 bool is_update, UpdateIndexes which)
{
#if PG_VERSION_NUM >= 190000
	(void) ExecInsertIndexTuples(target, estate,
								 (is_update ? EIIT_IS_UPDATE : 0) |
								 (which == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0),
								 slot, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(target, slot, estate, is_update, false, NULL, NIL,
								 which == TU_Summarizing);
#else
	(void) ExecInsertIndexTuples(target, slot, estate, is_update, false, NULL, NIL);
#endif
}

static inline TM_Result
delete_tuple(Relation relation, ItemPointer place, Snapshot snapshot)
{
	TM_FailureData failure;

	return table_tuple_delete(relation, place, GetCurrentCommandId(true),
#if PG_VERSION_NUM >= 190000
							  0,
#endif
							  snapshot, InvalidSnapshot, true, &failure
#if PG_VERSION_NUM < 190000
							  , false
#endif
		);
}

/* 16 has one function for the privileges of all kinds of objects */
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"
#if PG_VERSION_NUM >= 160000
#define namespace_aclcheck(oid, role, mode) \
	object_aclcheck(NamespaceRelationId, oid, role, mode)
#define function_aclcheck(oid, role, mode) \
	object_aclcheck(ProcedureRelationId, oid, role, mode)
#else
#define namespace_aclcheck(oid, role, mode) pg_namespace_aclcheck(oid, role, mode)
#define function_aclcheck(oid, role, mode) pg_proc_aclcheck(oid, role, mode)
#endif

/* 16 tells the schema of an extension */
#if PG_VERSION_NUM < 160000
#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_extension_d.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

static inline Oid
get_extension_schema(Oid extension)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(relation, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return schema;
}
#endif

/* 18 asks whether a deferrable primary key will do */
#if PG_VERSION_NUM >= 180000
#define relation_primary_key(relation) RelationGetPrimaryKeyIndex(relation, false)
#else
#define relation_primary_key(relation) RelationGetPrimaryKeyIndex(relation)
#endif

/* 18 has columns that are computed when they are read */
#if PG_VERSION_NUM >= 180000
#define has_generated_columns(constraints) \
	((constraints)->has_generated_stored || (constraints)->has_generated_virtual)
#else
#define has_generated_columns(constraints) ((constraints)->has_generated_stored)
#endif

/* 17 names what an extension waits for */
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 170000
#define new_wait_event(name) WaitEventExtensionNew(name)
#else
#define new_wait_event(name) PG_WAIT_EXTENSION
#endif

/* 19 has a document under construction in one struct */
#include "utils/jsonb.h"
#if PG_VERSION_NUM >= 190000
#define push_jsonb(state, token, value) pushJsonbValue(state, token, value)
#else
typedef struct JsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} JsonbInState;

static inline void
push_jsonb(JsonbInState *state, JsonbIteratorToken token, JsonbValue *value)
{
	state->result = pushJsonbValue(&state->parseState, token, value);
}
#endif

/* 19 reports failures of conversions as input functions do */
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"

static inline int32
numeric_to_int4(Numeric number, bool *failed)
{
	ErrorSaveContext context = {T_ErrorSaveContext};
	int32		result = numeric_int4_safe(number, (Node *) &context);

	*failed = context.error_occurred;
	return result;
}
#else
#define numeric_to_int4(number, failed) numeric_int4_opt_error(number, failed)
#endif

#endif							/* AIRUN_COMPAT_H */

/*
 * packed_call.c
 *		Calls that travel to a shard in one value, and their results.
 *
 * PL/Proxy prepares nothing, so a shard parses and plans what is sent anew for each
 * call.  With all arguments in one value, and the result in another, that statement is
 * as short for a function with twenty arguments and columns as for one with none.
 *
 * A value is its length and what its type's send function gives, in the encoding of the
 * proxy's database, in which PL/Proxy has its connections; -1 for NULL.  Which types they
 * are both sides know, since their functions are alike.
 *
 * What is guaranteed: a call is made with the caller's rights, and as a statement of its
 * own, which sees what has been committed before its bucket was entered.  Bytes that are
 * none of ours are refused, and never taken for a value.
 *
 * Locks: the bucket (shard_call.c).
 *
 * Refused: a function that the extension does not have, or one of rows or for the server
 * alone, and other arguments than it has (42883).
 */
#include "airun.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "shard/shard_call.h"
#include "store/object_list.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(airun_store_pack);
PG_FUNCTION_INFO_V1(airun_store_unpack);
PG_FUNCTION_INFO_V1(airun_store_receive);

/* What a type's send function gives for a value */
static bytea *
sent(Oid type, Datum value)
{
	Oid			function;
	bool		is_varlena;

	getTypeBinaryOutputInfo(type, &function, &is_varlena);
	return OidSendFunctionCall(function, value);
}

/*
 * And back.  JSON has been checked by who made it, and costs as much to check as to send;
 * a value of its type is text.  Receive functions of arrays and rows put a 0 behind what
 * they read, so they get a copy with room for it.
 */
static Datum
received(Oid type, const char *bytes, int length)
{
	StringInfoData buf = {.data = palloc(length + 1), .len = length, .maxlen = length + 1};
	Oid			function;
	Oid			element;
	Datum		value;

	memcpy(buf.data, bytes, length);
	buf.data[length] = '\0';
	getTypeBinaryInputInfo(type == JSONOID ? TEXTOID : type, &function, &element);
	value = OidReceiveFunctionCall(function, &buf, element, -1);
	if (buf.cursor != buf.len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("%d bytes are left behind a value of type %s", buf.len - buf.cursor,
						format_type_be(type))));
	pfree(buf.data);
	return value;
}

/* Let send and receive functions write the encoding of the database; returns which it was */
static int
begin_database_encoding(void)
{
	int			encoding = pg_get_client_encoding();

	if (encoding != GetDatabaseEncoding())
		SetClientEncoding(GetDatabaseEncoding());
	return encoding;
}

static void
end_database_encoding(int encoding)
{
	if (encoding != GetDatabaseEncoding())
		SetClientEncoding(encoding);
}

static void
pack_value(StringInfo packed, Oid type, Datum value, bool isnull)
{
	bytea	   *bytes;

	if (isnull)
	{
		pq_sendint32(packed, -1);
		return;
	}
	bytes = sent(type, value);
	pq_sendint32(packed, VARSIZE(bytes) - VARHDRSZ);
	pq_sendbytes(packed, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	pfree(bytes);
}

static void
pack_string(StringInfo packed, const char *string)
{
	pack_value(packed, TEXTOID, string == NULL ? (Datum) 0 : CStringGetTextDatum(string),
			   string == NULL);
}

/* Who is calling: the claims, airun.user_id, and the role that the session has become */
static void
pack_caller(StringInfo packed)
{
	const char *role = GetConfigOption("role", false, false);

	pack_string(packed, GetConfigOption("request.jwt.claims", true, false));
	pack_string(packed, airun_user_setting);
	pack_string(packed, strcmp(role, "none") == 0 ?
				GetUserNameFromId(GetSessionUserId(), false) : role);
}

/*
 * airun_store_pack(VARIADIC "any") returns bytea
 *
 * The bucket, the function's name, and its arguments; who is calling is added.
 */
Datum
airun_store_pack(PG_FUNCTION_ARGS)
{
	int			encoding = begin_database_encoding();
	StringInfoData packed;

	pq_begintypsend(&packed);
	PG_TRY();
	{
		pack_caller(&packed);
		for (int i = 0; i < PG_NARGS(); i++)
			pack_value(&packed, get_fn_expr_argtype(fcinfo->flinfo, i), PG_GETARG_DATUM(i),
					   PG_ARGISNULL(i));
	}
	PG_FINALLY();
	{
		end_database_encoding(encoding);
	}
	PG_END_TRY();
	PG_RETURN_BYTEA_P(pq_endtypsend(&packed));
}

/*
 * airun_store_unpack(type anyelement, result bytea) returns anyelement
 *
 * type: NULL of the result's type.
 */
Datum
airun_store_unpack(PG_FUNCTION_ARGS)
{
	int			encoding;
	bytea	   *packed;
	volatile Datum value = (Datum) 0;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	packed = PG_GETARG_BYTEA_PP(1);
	encoding = begin_database_encoding();
	PG_TRY();
	{
		value = received(get_fn_expr_argtype(fcinfo->flinfo, 0), VARDATA_ANY(packed),
						 VARSIZE_ANY_EXHDR(packed));
	}
	PG_FINALLY();
	{
		end_database_encoding(encoding);
	}
	PG_END_TRY();
	PG_RETURN_DATUM(value);
}

/* Is it one that a proxy has: neither rows nor anything of the server's own goes in or out */
static bool
is_callable(Form_pg_proc function)
{
	for (int i = 0; i < function->pronargs; i++)
	{
		if (get_typtype(function->proargtypes.values[i]) == TYPTYPE_PSEUDO)
			return false;
	}
	return function->prokind == PROKIND_FUNCTION && !function->proretset &&
		(function->prorettype == VOIDOID ||
		 get_typtype(function->prorettype) != TYPTYPE_PSEUDO);
}

/* The function of this name, of which the extension has one; 42883 where it has none */
static Oid
look_up_function(const char *name, Oid schema)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			found = InvalidOid;

	for (int i = 0; i < list->n_members && !OidIsValid(found); i++)
	{
		Form_pg_proc function = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (function->pronamespace == schema && is_callable(function) &&
			object_is_of_extension(function->oid))
			found = function->oid;
	}
	ReleaseCatCacheList(list);
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("this shard has no function \"%s\" for a proxy", name),
				 errhint("Have the same version of airun on proxy and shards, and call "
						 "airun_install_shard() and airun_install_proxy() again.")));
	return found;
}

/*
 * What has been found before, until a function changes: that it is the extension's stands in
 * catalogs that the server does not cache, and to read them costs as much as half an append.
 */
static struct
{
	NameData	name;
	Oid			schema;
	Oid			function;
}			found_functions[64];

static void
forget_functions(Datum arg, int cache, uint32 hash)
{
	memset(found_functions, 0, sizeof(found_functions));
}

static Oid
find_function(const char *name, Oid schema)
{
	static bool is_registered = false;
	int			place = hash_bytes((const unsigned char *) name, strlen(name)) %
		lengthof(found_functions);
	Oid			function;

	if (!is_registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, forget_functions, (Datum) 0);
		is_registered = true;
	}
	if (found_functions[place].schema == schema &&
		namestrcmp(&found_functions[place].name, name) == 0)
		return found_functions[place].function;
	function = look_up_function(name, schema);
	namestrcpy(&found_functions[place].name, name);
	found_functions[place].schema = schema;
	found_functions[place].function = function;
	return function;
}

/* The next value of a call; NULL's is 0 */
static NullableDatum
unpack_value(StringInfo packed, Oid type)
{
	NullableDatum result = {.isnull = true};
	int			length = (int) pq_getmsgint(packed, 4);

	if (length >= 0)
	{
		result.value = received(type, pq_getmsgbytes(packed, length), length);
		result.isnull = false;
	}
	return result;
}

static text *
unpack_text(StringInfo packed)
{
	NullableDatum value = unpack_value(packed, TEXTOID);

	return value.isnull ? NULL : DatumGetTextPP(value.value);
}

static void
unpack_arguments(Form_pg_proc function, StringInfo packed, FunctionCallInfo call)
{
	int			count = 0;

	while (count < function->pronargs && packed->cursor < packed->len)
	{
		call->args[count] = unpack_value(packed, function->proargtypes.values[count]);
		count++;
	}
	if (count != function->pronargs || packed->cursor != packed->len)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s of this shard has other arguments than have been sent",
						NameStr(function->proname)),
				 errhint("Have the same version of airun on proxy and shards, and call "
						 "airun_install_shard() and airun_install_proxy() again.")));
}

/* Call as a statement of its own would; returns what is sent back, NULL for NULL */
static bytea *
call_function(Form_pg_proc function, StringInfo arguments)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	FmgrInfo	flinfo;
	Datum		result;

	InvokeFunctionExecuteHook(function->oid);
	fmgr_info(function->oid, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, function->pronargs, InvalidOid, NULL, NULL);
	unpack_arguments(function, arguments, call);
	if (flinfo.fn_strict)
	{
		for (int i = 0; i < function->pronargs; i++)
		{
			if (call->args[i].isnull)
				return NULL;
		}
	}
	result = FunctionCallInvoke(call);
	return call->isnull || function->prorettype == VOIDOID ? NULL :
		sent(function->prorettype, result);
}

/*
 * airun_store_receive(call bytea) returns bytea
 *
 * Enters as airun_store_enter() does, and calls.
 */
Datum
airun_store_receive(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData packed = {.data = VARDATA_ANY(bytes), .len = VARSIZE_ANY_EXHDR(bytes)};
	text	   *claims = unpack_text(&packed);
	text	   *caller = unpack_text(&packed);
	text	   *role = unpack_text(&packed);
	NullableDatum bucket = unpack_value(&packed, INT4OID);
	text	   *name = unpack_text(&packed);
	Oid			oid;
	HeapTuple	tuple;
	Form_pg_proc function;
	AclResult	right;
	bytea	   *result;

	shard_enter(bucket.isnull ? -1 : DatumGetInt32(bucket.value), claims, caller, role);
	oid = find_function(name == NULL ? "" : text_to_cstring(name),
						get_func_namespace(fcinfo->flinfo->fn_oid));
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", oid);
	function = (Form_pg_proc) GETSTRUCT(tuple);
	right = function_aclcheck(oid, GetUserId(), ACL_EXECUTE);
	if (right != ACLCHECK_OK)
		aclcheck_error(right, OBJECT_FUNCTION, NameStr(function->proname));
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = call_function(function, &packed);
	PopActiveSnapshot();
	ReleaseSysCache(tuple);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}

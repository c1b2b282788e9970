/*
 * rollup.c
 *		Folding the ledger into its cubes, and checking both.
 *
 * The work is that of functions in SQL (rollup.sql).  Here it is done in the name of
 * the store's owner, as entries are written: whoever may call these needs no right on
 * the tables, and learns nothing but figures.
 *
 * Locks: as rollup.sql says.
 *
 * Errors: PT422 for a bound that is none.
 */
#include "usage/rollup.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "store/args.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_rollup);
PG_FUNCTION_INFO_V1(airun_check_usage);
PG_FUNCTION_INFO_V1(airun_rebuild_usage);

/* The columns of ai_problem */
#define PROBLEM_COLUMNS		6

/* Run a statement of the extension's in the name of the store's owner */
static uint64
run_as_owner(FunctionCallInfo fcinfo, Statement *statement, Args *args)
{
	statement_in_extension(statement, fcinfo->flinfo->fn_oid);
	return statement_write_as_owner(statement, args, store_table_owner("usage_tail"));
}

/* airun_rollup(max_rows, max_ms) returns bigint */
Datum
airun_rollup(PG_FUNCTION_ARGS)
{
	static Statement fold = {
		"SELECT " EXTSCHEMA ".airun_store_fold($1, $2, $3)", 3, {INT4OID, INT4OID, TEXTOID}
	};
	Args		args = {0};
	int64		folded;
	bool		isnull;

	arg_add(&args, Int32GetDatum(bound_argument(fcinfo, 0, "max_rows")), false);
	arg_add(&args, Int32GetDatum(bound_argument(fcinfo, 1, "max_ms")), false);
	arg_pointer(&args, cstring_to_text(airun_report_zone));
	store_open(false);
	run_as_owner(fcinfo, &fold, &args);
	folded = DatumGetInt64(result_value(0, 1, &isnull));
	store_close();
	PG_RETURN_INT64(folded);
}

/* Return what a statement finds, a row of ai_problem each, in the name of the store's owner */
Datum
problems_as_owner(FunctionCallInfo fcinfo, Statement *check)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Args		args = {0};
	uint64		count;

	result_begin_rows(fcinfo, PROBLEM_COLUMNS);
	store_open(false);
	count = run_as_owner(fcinfo, check, &args);
	for (uint64 i = 0; i < count; i++)
	{
		Datum		values[PROBLEM_COLUMNS];
		bool		nulls[PROBLEM_COLUMNS];

		for (int column = 0; column < PROBLEM_COLUMNS; column++)
			values[column] = result_value(i, column + 1, &nulls[column]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	store_close();
	return (Datum) 0;
}

/* airun_check_usage() returns setof ai_problem */
Datum
airun_check_usage(PG_FUNCTION_ARGS)
{
	static Statement check = {
		"SELECT p.* FROM " EXTSCHEMA ".airun_store_usage_problems() AS p", 0, {0}
	};

	return problems_as_owner(fcinfo, &check);
}

/* airun_rebuild_usage() returns bigint */
Datum
airun_rebuild_usage(PG_FUNCTION_ARGS)
{
	static Statement rebuild = {
		"SELECT " EXTSCHEMA ".airun_store_rebuild_usage($1)", 1, {TEXTOID}
	};
	Args		args = {0};
	int64		corrections;
	bool		isnull;

	arg_pointer(&args, cstring_to_text(airun_report_zone));
	store_open(false);
	run_as_owner(fcinfo, &rebuild, &args);
	corrections = DatumGetInt64(result_value(0, 1, &isnull));
	store_close();
	PG_RETURN_INT64(corrections);
}

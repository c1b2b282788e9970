/*
 * args.h
 *		What clients state: values that may be absent, and their checks.
 */
#ifndef AIRUN_ARGS_H
#define AIRUN_ARGS_H

#include "airun.h"

#include "pgtime.h"
#include "store/plans.h"

/* An argument of a SQL function as a field */
static inline Field
argument_field(FunctionCallInfo fcinfo, int i)
{
	return (Field) {PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i), PG_ARGISNULL(i)};
}

extern void check_argument_count(FunctionCallInfo fcinfo, int count);
extern Field json_argument(FunctionCallInfo fcinfo, int i);
extern bool unwrap_json(Field *field);
extern Field argument_decimal(FunctionCallInfo fcinfo, int i);
extern int32 bound_argument(FunctionCallInfo fcinfo, int i, const char *name);

pg_noreturn extern void refuse_null(const char *name);
extern bool bytes_from_hex(text *digits, uint8 *bytes, int count);
extern pg_tz *time_zone(const char *name);
extern pg_tz *require_time_zone(const char *name);
extern char *excerpt(const char *string, int len);
extern void check_object(const char *name, const Field *field);
extern void check_length(const char *name, const Field *field, int max_chars);

#endif							/* AIRUN_ARGS_H */

/*
 * decimal.h
 *		Arithmetic with exact decimals.
 */
#ifndef AIRUN_DECIMAL_H
#define AIRUN_DECIMAL_H

#include "airun.h"

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

static inline Numeric
decimal_of(int64 number)
{
	return int64_to_numeric(number);
}

static inline Numeric
decimal_add(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

static inline Numeric
decimal_sub(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

static inline Numeric
decimal_mul(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

/* Less than 0, 0, or more, as for qsort() */
static inline int
decimal_cmp(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(b)));
}

static inline int
decimal_sign(Numeric a)
{
	return decimal_cmp(a, int64_to_numeric(0));
}

/* In the current memory context */
static inline Numeric
decimal_copy(Numeric a)
{
	return DatumGetNumericCopy(NumericGetDatum(a));
}

/* A share of a among so many, to 12 decimals: all the shares are never more than a */
static inline Numeric
decimal_share(Numeric a, int count)
{
	Datum		scale = NumericGetDatum(int64_to_numeric(INT64CONST(1000000000000)));
	Datum		units = DirectFunctionCall2(numeric_mul, NumericGetDatum(a), scale);

	units = DirectFunctionCall2(numeric_div_trunc, units,
								NumericGetDatum(int64_to_numeric(count)));
	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											   DirectFunctionCall2(numeric_div, units, scale)));
}

/* Without zeros at its end */
static inline Datum
decimal_trim(Numeric a)
{
	return DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(a));
}

static inline char *
decimal_string(Numeric a)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, decimal_trim(a)));
}

#endif							/* AIRUN_DECIMAL_H */

/*
 * sketch.c
 *		Counts of durations in bins, from which percentiles are read.
 *
 * Each power of two of microseconds is cut into 50 bins of equal width, so that
 * the middle of a bin is less than 1 % away from everything in it.  A sketch
 * counts how many durations fell into each bin.  Guaranteed is:
 *
 * - A percentile is within 1 % of the exact one by nearest rank.
 * - Sketches are added and subtracted exactly, in any order: counts are signed.
 *	 What was put in and taken out again leaves no trace.
 * - One set of counts has one value, byte for byte: bins ascend, none has the
 *	 count 0, numbers are as short as they can be, and no count at all is NULL.
 * - Bins and counts are made with whole numbers alone, the same on every machine.
 *
 * A sketch is a bytea, since no stored column has a type of the extension: the
 * version, then for each bin how many bins lie between it and the one before, and
 * its count with the sign in the lowest bit, in bytes of seven bits, the lowest
 * first; the eighth says that more follow.
 *
 * Zero and negative durations have the first bin, and are read as 0.  All from
 * 2^42 microseconds, 50 days, have the last one: read as that, it means at least.
 *
 * Nothing is locked.  Errors: PT422 for bytes that are no sketch, for a bin that
 * does not exist and for a fraction that is none; 22003 for counts beyond bigint.
 */
#include "usage/sketch.h"

#include <math.h>

#include "common/int.h"
#include "lib/stringinfo.h"
#include "port/pg_bitutils.h"

#define SKETCH_VERSION		1
#define BINS_PER_OCTAVE		50
#define OCTAVES				42
#define LAST_BIN			(1 + OCTAVES * BINS_PER_OCTAVE)

/* A sketch that is read, and the bin that was read last */
typedef struct SketchReader
{
	const uint8 *next;
	const uint8 *end;
	int			bin;
	int64		count;
} SketchReader;

/* A sketch that is written: a bytea in the making */
typedef struct SketchWriter
{
	StringInfoData bytes;
	int			bin;			/* the last one written */
} SketchWriter;

/*
 * Transition state of the aggregates: counts by bin, in blocks that are there once
 * something has come into one of their bins.
 */
#define BINS_PER_BLOCK	64

typedef struct SketchState
{
	int64	   *blocks[LAST_BIN / BINS_PER_BLOCK + 1];
} SketchState;

PG_FUNCTION_INFO_V1(airun_sketch_bin);
PG_FUNCTION_INFO_V1(airun_sketch_add);
PG_FUNCTION_INFO_V1(airun_sketch_add_sketch);
PG_FUNCTION_INFO_V1(airun_sketch_result);
PG_FUNCTION_INFO_V1(airun_sketch_merge);
PG_FUNCTION_INFO_V1(airun_sketch_quantile);

/* ---------------------------------------------------------------------------
 * Bins
 * ---------------------------------------------------------------------------
 */

/* The bin of a duration in microseconds */
int16
sketch_bin(int64 duration)
{
	int			octave;

	if (duration <= 0)
		return 0;
	octave = pg_leftmost_one_pos64((uint64) duration);
	if (octave >= OCTAVES)
		return LAST_BIN;
	return (int16) (1 + octave * BINS_PER_OCTAVE +
					(((duration - (INT64CONST(1) << octave)) * BINS_PER_OCTAVE) >> octave));
}

/* The first duration that is behind so many bins of an octave */
static int64
bin_border(int octave, int bins)
{
	int64		start = INT64CONST(1) << octave;

	return start + (start * bins + BINS_PER_OCTAVE - 1) / BINS_PER_OCTAVE;
}

/* The middle of a bin, in milliseconds */
static double
bin_middle(int bin)
{
	int			octave = (bin - 1) / BINS_PER_OCTAVE;
	int			part = (bin - 1) % BINS_PER_OCTAVE;

	if (bin == 0)
		return 0;
	if (bin == LAST_BIN)
		return (double) (INT64CONST(1) << OCTAVES) / 1000;
	return (double) (bin_border(octave, part) + bin_border(octave, part + 1) - 1) / 2000;
}

static int64
add_counts(int64 a, int64 b)
{
	int64		sum;

	if (pg_add_s64_overflow(a, b, &sum))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("counts of a sketch are out of range")));
	return sum;
}

/* ---------------------------------------------------------------------------
 * Bytes
 * ---------------------------------------------------------------------------
 */

pg_noreturn static void
refuse_sketch(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("malformed sketch"),
			 errdetail_internal("%s", detail),
			 errhint("Pass a sketch as a view or an aggregate of airun returns it.")));
}

/* Start to read; NULL is the sketch without a count */
static SketchReader
sketch_read(const bytea *sketch)
{
	SketchReader reader = {NULL, NULL, -1, 0};

	if (sketch == NULL)
		return reader;
	reader.next = (const uint8 *) VARDATA_ANY(sketch);
	reader.end = reader.next + VARSIZE_ANY_EXHDR(sketch);
	if (reader.next == reader.end || *reader.next != SKETCH_VERSION)
		refuse_sketch("It does not begin with a version that is known.");
	reader.next++;
	return reader;
}

static uint64
read_number(SketchReader *reader)
{
	uint64		number = 0;

	for (int shift = 0; shift < 64 && reader->next < reader->end; shift += 7)
	{
		uint8		byte = *reader->next++;
		uint64		bits = (uint64) (byte & 0x7f) << shift;

		if (bits >> shift != (byte & 0x7f) || (byte == 0 && shift > 0))
			break;
		number |= bits;
		if (byte < 0x80)
			return number;
	}
	refuse_sketch("A number in it is cut off, too large or longer than it need be.");
}

/* Read the next bin into reader->bin and reader->count; false at the end */
static bool
read_bin(SketchReader *reader)
{
	uint64		gap;
	uint64		count;

	if (reader->next == reader->end)
		return false;
	gap = read_number(reader);
	if (gap >= (uint64) (LAST_BIN - reader->bin))
		refuse_sketch("It has a bin that does not exist.");
	count = read_number(reader);
	if (count == 0)
		refuse_sketch("It has a count of 0.");
	reader->bin += 1 + (int) gap;
	reader->count = (int64) (count >> 1) ^ -(int64) (count & 1);
	return true;
}

static void
sketch_write(SketchWriter *writer)
{
	initStringInfo(&writer->bytes);
	appendStringInfoSpaces(&writer->bytes, VARHDRSZ);
	appendStringInfoCharMacro(&writer->bytes, SKETCH_VERSION);
	writer->bin = -1;
}

static void
write_number(SketchWriter *writer, uint64 number)
{
	for (; number >= 0x80; number >>= 7)
		appendStringInfoCharMacro(&writer->bytes, (char) (0x80 | (number & 0x7f)));
	appendStringInfoCharMacro(&writer->bytes, (char) number);
}

/* Write a bin behind those that are there, unless there is nothing in it */
static void
write_bin(SketchWriter *writer, int bin, int64 count)
{
	if (count == 0)
		return;
	write_number(writer, (uint64) (bin - writer->bin - 1));
	write_number(writer, (uint64) count << 1 ^ (uint64) (count < 0 ? -1 : 0));
	writer->bin = bin;
}

/* What has been written; NULL where that is no bin */
static bytea *
sketch_written(SketchWriter *writer)
{
	bytea	   *sketch = (bytea *) writer->bytes.data;

	SET_VARSIZE(sketch, writer->bytes.len);
	return writer->bin < 0 ? NULL : sketch;
}

/* ---------------------------------------------------------------------------
 * Functions of SQL
 * ---------------------------------------------------------------------------
 */

/* airun_sketch_bin(bigint) returns smallint */
Datum
airun_sketch_bin(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(sketch_bin(PG_GETARG_INT64(0)));
}

/* The state of the aggregate that is being computed, made when it is first asked for */
static SketchState *
sketch_state(FunctionCallInfo fcinfo, MemoryContext *context)
{
	if (!AggCheckCallContext(fcinfo, context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("transition function called outside of an aggregate")));
	if (!PG_ARGISNULL(0))
		return (SketchState *) PG_GETARG_POINTER(0);
	return MemoryContextAllocZero(*context, sizeof(SketchState));
}

static void
state_add(SketchState *state, MemoryContext context, int bin, int64 count)
{
	int64	  **block = &state->blocks[bin / BINS_PER_BLOCK];
	int64	   *place;

	if (*block == NULL)
		*block = MemoryContextAllocZero(context, BINS_PER_BLOCK * sizeof(int64));
	place = &(*block)[bin % BINS_PER_BLOCK];
	*place = add_counts(*place, count);
}

/*
 * airun_sketch_add(internal, bin smallint, calls integer) returns internal
 *
 * A bin or a count that is not known adds nothing.
 */
Datum
airun_sketch_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	SketchState *state = sketch_state(fcinfo, &context);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
	{
		int			bin = PG_GETARG_INT16(1);

		if (bin < 0 || bin > LAST_BIN)
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("there is no bin %d", bin),
					 errhint("Bins are numbered from 0 to %d.", LAST_BIN)));
		state_add(state, context, bin, PG_GETARG_INT32(2));
	}
	PG_RETURN_POINTER(state);
}

/* airun_sketch_add_sketch(internal, sketch bytea) returns internal */
Datum
airun_sketch_add_sketch(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	SketchState *state = sketch_state(fcinfo, &context);
	SketchReader reader = sketch_read(PG_ARGISNULL(1) ? NULL : PG_GETARG_BYTEA_PP(1));

	while (read_bin(&reader))
		state_add(state, context, reader.bin, reader.count);
	PG_RETURN_POINTER(state);
}

/* airun_sketch_result(internal) returns bytea */
Datum
airun_sketch_result(PG_FUNCTION_ARGS)
{
	SketchState *state;
	SketchWriter writer;
	bytea	   *sketch;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (SketchState *) PG_GETARG_POINTER(0);
	sketch_write(&writer);
	for (int i = 0; i < lengthof(state->blocks); i++)
	{
		for (int j = 0; state->blocks[i] != NULL && j < BINS_PER_BLOCK; j++)
			write_bin(&writer, i * BINS_PER_BLOCK + j, state->blocks[i][j]);
	}
	sketch = sketch_written(&writer);
	if (sketch == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(sketch);
}

/* airun_sketch_merge(bytea, bytea) returns bytea */
Datum
airun_sketch_merge(PG_FUNCTION_ARGS)
{
	SketchReader a = sketch_read(PG_ARGISNULL(0) ? NULL : PG_GETARG_BYTEA_PP(0));
	SketchReader b = sketch_read(PG_ARGISNULL(1) ? NULL : PG_GETARG_BYTEA_PP(1));
	bool		in_a = read_bin(&a);
	bool		in_b = read_bin(&b);
	SketchWriter writer;
	bytea	   *sketch;

	sketch_write(&writer);
	while (in_a || in_b)
	{
		bool		from_a = in_a && (!in_b || a.bin <= b.bin);
		bool		from_b = in_b && (!in_a || b.bin <= a.bin);

		write_bin(&writer, from_a ? a.bin : b.bin,
				  add_counts(from_a ? a.count : 0, from_b ? b.count : 0));
		if (from_a)
			in_a = read_bin(&a);
		if (from_b)
			in_b = read_bin(&b);
	}
	sketch = sketch_written(&writer);
	if (sketch == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(sketch);
}

/*
 * airun_sketch_quantile(sketch bytea, fraction double precision) returns double
 * precision: the milliseconds at the nearest rank
 *
 * NULL where there is nothing, or more has been taken out than put in.
 */
Datum
airun_sketch_quantile(PG_FUNCTION_ARGS)
{
	bytea	   *sketch = PG_GETARG_BYTEA_PP(0);
	double		fraction = PG_GETARG_FLOAT8(1);
	SketchReader reader = sketch_read(sketch);
	int64		total = 0;
	int64		below = 0;
	double		rank;

	if (!(fraction >= 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"fraction\" must be between 0 and 1, not %g", fraction),
				 errhint("The median is 0.5, the 95th percentile 0.95.")));
	while (read_bin(&reader))
		total = add_counts(total, reader.count);
	if (total <= 0)
		PG_RETURN_NULL();
	rank = Max(ceil(fraction * (double) total), 1);

	reader = sketch_read(sketch);
	while (read_bin(&reader))
	{
		below = add_counts(below, reader.count);
		if ((double) below >= rank)
			break;
	}
	PG_RETURN_FLOAT8(bin_middle(reader.bin));
}

/*
 * usage_settle.c
 *		From the parts that a usage states to disjoint buckets.
 *
 * No two buckets hold the same token, so that none is charged twice.  Where the
 * cached tokens and those of audio or image leave less than nothing for text, as
 * many of the cached ones as must be are of audio, then image.
 *
 * Nothing is refused.  Where parts contradict each other, the larger figure is
 * counted, and the usage is in doubt, with the reason in words.  No lock is taken.
 */
#include "pricing/usage_settle.h"

static int64
known(int64 count)
{
	return Max(count, 0);
}

/* Raise a sum to what its parts come to, which is a contradiction */
static void
raise_sum(Usage *usage, int64 *sum, int64 parts, const char *what, const char *of)
{
	if (parts <= *sum)
		return;
	usage_doubt(usage, "%s are " INT64_FORMAT ", more than %s, " INT64_FORMAT,
				what, parts, of, *sum);
	*sum = parts;
}

/* ---------- by the total ---------- */

/* What lies inside or beside lies on the other side */
static void
move_side(UsageParts *parts, UsagePart all, UsagePart rest)
{
	int64		count = parts->count[all];

	parts->count[all] = parts->count[rest];
	parts->count[rest] = count;
}

/* The sum of all tokens, as the parts are understood now */
static int64
sum_of_parts(const UsageParts *parts)
{
	const int64 *p = parts->count;
	int64		sum = known(p[PART_INPUT]) + known(p[PART_INPUT_TOOL]) + known(p[PART_OUTPUT]);

	if (p[PART_INPUT] == USAGE_UNKNOWN)
		sum += known(p[PART_INPUT_FRESH]) + known(p[PART_CACHE_READ]) +
			Max(known(p[PART_CACHE_WRITE]),
				known(p[PART_CACHE_WRITE_5M]) + known(p[PART_CACHE_WRITE_1H]));
	if (p[PART_OUTPUT] == USAGE_UNKNOWN)
		sum += known(p[PART_OUTPUT_VISIBLE]) + known(p[PART_REASONING]);
	return sum;
}

/*
 * Have the total tell whether cached tokens and thoughts lie inside or beside.
 * Where it tells nothing, they stay as the shape has them.
 */
static void
ask_total(UsageParts *parts, int flags, Usage *usage)
{
	int64		total = parts->count[PART_TOTAL];

	if (total == USAGE_UNKNOWN)
	{
		if ((flags & CACHE_BY_TOTAL) != 0 && sum_of_parts(parts) >
			known(parts->count[PART_INPUT_FRESH]) + known(parts->count[PART_OUTPUT_VISIBLE]))
			usage_doubt(usage, "without a total nobody can tell whether cached tokens and "
						"thoughts are a part of the others");
		return;
	}
	for (int moved = 0; moved <= (CACHE_BY_TOTAL | REASONING_BY_TOTAL); moved++)
	{
		UsageParts	other = *parts;

		if ((moved & ~flags) != 0)
			continue;
		if ((moved & CACHE_BY_TOTAL) != 0)
			move_side(&other, PART_INPUT, PART_INPUT_FRESH);
		if ((moved & REASONING_BY_TOTAL) != 0)
			move_side(&other, PART_OUTPUT, PART_OUTPUT_VISIBLE);
		if (sum_of_parts(&other) == total)
		{
			*parts = other;
			return;
		}
	}
}

/* ---------- what went in ---------- */

/* What was written to caches */
static int64
settle_write(const int64 *p, Usage *usage)
{
	int64		short_time = known(p[PART_CACHE_WRITE_5M]);
	int64		long_time = known(p[PART_CACHE_WRITE_1H]);
	int64		all = known(p[PART_CACHE_WRITE]);

	if (short_time + long_time < all &&
		(p[PART_CACHE_WRITE_5M] != USAGE_UNKNOWN || p[PART_CACHE_WRITE_1H] != USAGE_UNKNOWN))
		usage_doubt(usage, "what is written to the caches is " INT64_FORMAT
					", but its parts are " INT64_FORMAT,
					all, short_time + long_time);
	else if (all > 0)
		raise_sum(usage, &all, short_time + long_time, "the parts that are written to caches",
			  "all that is written");
	all = Max(all, short_time + long_time);

	/* what nobody says the time of is kept for the usual five minutes */
	usage->count[BUCKET_CACHE_WRITE_1H] = long_time;
	usage->count[BUCKET_CACHE_WRITE_5M] = all - long_time;
	return all;
}

/* Of a kind of tokens, those that came from the cache, as many as must have */
static int64
must_be_cached(int64 *missing, int64 all, int64 cached)
{
	int64		count = Max(Min(Min(*missing, all), cached), 0);

	*missing -= count;
	return count;
}

/* Is there a word on what went in? */
static bool
has_input(const int64 *p)
{
	if (p[PART_INPUT] != USAGE_UNKNOWN || p[PART_INPUT_FRESH] != USAGE_UNKNOWN ||
		p[PART_INPUT_TOOL] != USAGE_UNKNOWN)
		return true;
	for (int i = PART_INPUT_TEXT; i <= PART_CACHE_READ_IMAGE; i++)
	{
		if (p[i] > 0)
			return true;
	}
	return false;
}

/* All that went in, by what is stated of it, of which so much is not fresh text */
static int64
all_input(const int64 *p, int64 cached, int64 of_kinds, int64 apart, Usage *usage)
{
	int64		tool = known(p[PART_INPUT_TOOL]);
	int64		fresh = p[PART_INPUT_FRESH];
	int64		all;

	if (p[PART_INPUT] == USAGE_UNKNOWN)
		return Max(apart + known(fresh), known(p[PART_INPUT_TEXT]) + of_kinds) + tool;
	all = p[PART_INPUT] + tool;
	raise_sum(usage, &all, cached, "cached tokens", "all that went in");
	raise_sum(usage, &all, known(p[PART_INPUT_TEXT]) + of_kinds,
		  "tokens of text, audio, image and video", "all that went in");
	if (fresh != USAGE_UNKNOWN && fresh + apart + tool != all && of_kinds == 0)
		usage_doubt(usage, "fresh and cached tokens are " INT64_FORMAT
					", all that went in " INT64_FORMAT,
					fresh + apart + tool, all);
	return fresh == USAGE_UNKNOWN ? all : Max(all, fresh + apart + tool);
}

static void
settle_input(const int64 *p, Usage *usage)
{
	int64		written = settle_write(p, usage);
	int64		cached_audio = known(p[PART_CACHED_AUDIO]) + known(p[PART_CACHE_READ_AUDIO]);
	int64		cached_image = known(p[PART_CACHED_IMAGE]) + known(p[PART_CACHE_READ_IMAGE]);
	int64		audio = known(p[PART_INPUT_AUDIO]) + known(p[PART_CACHE_READ_AUDIO]);
	int64		image = known(p[PART_INPUT_IMAGE]) + known(p[PART_CACHE_READ_IMAGE]);
	int64		video = known(p[PART_INPUT_VIDEO]);
	int64		read = known(p[PART_CACHE_READ]) + known(p[PART_CACHE_READ_AUDIO]) +
		known(p[PART_CACHE_READ_IMAGE]);
	int64		apart;
	int64		all;
	int64		missing;
	int64		more;

	if (!has_input(p))
		return;
	raise_sum(usage, &audio, cached_audio, "cached audio tokens", "audio tokens");
	raise_sum(usage, &image, cached_image, "cached image tokens", "image tokens");
	raise_sum(usage, &read, cached_audio + cached_image, "cached audio and image tokens",
		  "cached tokens");
	apart = read + written + audio + image + video - cached_audio - cached_image;
	all = all_input(p, read + written, audio + image + video, apart, usage);

	missing = Max(apart - all, 0);
	if (p[PART_CACHED_AUDIO] == USAGE_UNKNOWN && missing > 0)
	{
		more = must_be_cached(&missing, audio - cached_audio, read - cached_audio - cached_image);
		cached_audio += more;
		apart -= more;
	}
	if (p[PART_CACHED_IMAGE] == USAGE_UNKNOWN && missing > 0)
	{
		more = must_be_cached(&missing, image - cached_image, read - cached_audio - cached_image);
		cached_image += more;
		apart -= more;
	}
	raise_sum(usage, &all, apart, "cached, audio, image and video tokens", "all that went in");

	usage->count[BUCKET_CACHE_READ] = read - cached_audio - cached_image;
	usage->count[BUCKET_CACHE_READ_AUDIO] = cached_audio;
	usage->count[BUCKET_CACHE_READ_IMAGE] = cached_image;
	usage->count[BUCKET_INPUT_AUDIO] = audio - cached_audio;
	usage->count[BUCKET_INPUT_IMAGE] = image - cached_image;
	usage->count[BUCKET_INPUT_VIDEO] = video;
	usage->count[BUCKET_INPUT] = all - apart;
	usage->tokens_input = all;
}

/* ---------- what came out ---------- */

static void
settle_output(const int64 *p, Usage *usage)
{
	int64		reasoning = known(p[PART_REASONING]);
	int64		of_kinds = known(p[PART_OUTPUT_AUDIO]) + known(p[PART_OUTPUT_IMAGE]) +
		known(p[PART_OUTPUT_VIDEO]);
	int64		fresh = p[PART_OUTPUT_FRESH];
	int64		text = known(p[PART_OUTPUT_TEXT]);
	int64		all;

	if (p[PART_OUTPUT] != USAGE_UNKNOWN)
	{
		all = p[PART_OUTPUT];
		raise_sum(usage, &all, reasoning + of_kinds, "reasoning, audio, image and video tokens",
			  "all that came out");
		raise_sum(usage, &all, text + of_kinds, "tokens of text, audio, image and video",
			  "all that came out");
		if (fresh != USAGE_UNKNOWN && fresh + reasoning + of_kinds != all)
			usage_doubt(usage, "text and reasoning tokens are " INT64_FORMAT
						", all that came out " INT64_FORMAT,
						fresh + reasoning + of_kinds, all);
		if (fresh != USAGE_UNKNOWN)
			all = Max(all, fresh + reasoning + of_kinds);
	}
	else if (p[PART_OUTPUT_VISIBLE] != USAGE_UNKNOWN)
	{
		all = p[PART_OUTPUT_VISIBLE];
		raise_sum(usage, &all, text + of_kinds, "tokens of text, audio, image and video",
			  "all that came out");
		all += reasoning;
	}
	else if (fresh == USAGE_UNKNOWN && p[PART_REASONING] == USAGE_UNKNOWN && of_kinds + text == 0)
		return;
	else
		all = Max(known(fresh) + reasoning, text) + of_kinds;

	usage->count[BUCKET_REASONING] = reasoning;
	usage->count[BUCKET_OUTPUT_AUDIO] = known(p[PART_OUTPUT_AUDIO]);
	usage->count[BUCKET_OUTPUT_IMAGE] = known(p[PART_OUTPUT_IMAGE]);
	usage->count[BUCKET_OUTPUT_VIDEO] = known(p[PART_OUTPUT_VIDEO]);
	usage->count[BUCKET_OUTPUT] = all - reasoning - of_kinds;
	usage->tokens_output = all;
}

/* ---------- both ---------- */

/* The total, which a provider that counts its cache apart may state without it */
static void
settle_total(const int64 *p, Usage *usage)
{
	int64		total = p[PART_TOTAL];
	int64		sum = known(usage->tokens_input) + known(usage->tokens_output);

	if (total == USAGE_UNKNOWN)
	{
		if (usage->tokens_input != USAGE_UNKNOWN || usage->tokens_output != USAGE_UNKNOWN)
			usage->tokens_total = sum;
		return;
	}
	usage->tokens_total = Max(total, sum);
	if (total == sum)
		usage->input_is_open = usage->output_is_open = false;
	else if (total > sum)
		usage_doubt(usage, "the total is " INT64_FORMAT ", its parts are " INT64_FORMAT,
					total, sum);
	else if (p[PART_INPUT] != USAGE_UNKNOWN || p[PART_INPUT_FRESH] == USAGE_UNKNOWN ||
			 total != p[PART_INPUT_FRESH] + known(usage->tokens_output))
		usage_doubt(usage, "the parts are " INT64_FORMAT ", more than the total, " INT64_FORMAT,
					sum, total);
}

/*
 * Settle the parts into buckets and totals.  What a shape leaves open is said
 * in the usage; doubts are added to it.
 */
void
usage_settle(UsageParts *parts, int flags, Usage *usage)
{
	const int64 *p = parts->count;

	if ((flags & (CACHE_BY_TOTAL | REASONING_BY_TOTAL)) != 0)
		ask_total(parts, flags, usage);
	if ((flags & ABSENT_IS_ZERO) == 0)
	{
		usage->input_is_open = p[PART_INPUT] == USAGE_UNKNOWN &&
			p[PART_INPUT_FRESH] == USAGE_UNKNOWN;
		usage->output_is_open = p[PART_OUTPUT] == USAGE_UNKNOWN &&
			p[PART_OUTPUT_VISIBLE] == USAGE_UNKNOWN && p[PART_OUTPUT_FRESH] == USAGE_UNKNOWN;
	}
	usage->is_total_alone = (flags & TOTAL_ALONE) != 0;
	settle_input(p, usage);
	settle_output(p, usage);
	settle_total(p, usage);
}

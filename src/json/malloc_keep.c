/*
 * malloc_keep.c
 *		Memory that malloc keeps from one query to the next.
 *
 * To send a large array to the client, a query touches five times as much, in
 * blocks as large: the elements, the array, a subplan's copy of it, the text,
 * the message.  When it ends, glibc gives all that back to the kernel, and the
 * next query faults in every page anew, which took half of its time.
 *
 * glibc keeps what is free at the end of the heap as long as it is less than
 * twice the largest block that was mapped apart and freed (mallopt(3),
 * M_MMAP_THRESHOLD).  So it is shown a larger one.  Guaranteed is:
 *
 * - What is shown is given back at once, and nobody writes to it, so that it
 *	 takes no memory.
 * - It is done once for each power of two, not once for each query.
 * - What a backend keeps is what its queries have used, at most 8 times
 *	 LARGEST_KEPT, to which glibc comes by itself after one text of 8 MB.
 * - Where malloc is another one, or M_MMAP_THRESHOLD has been set, nothing
 *	 changes but that a block is allocated and freed.
 *
 * It helps time alone: no result depends on it.
 */
#include "json/malloc_keep.h"

#include "port/pg_bitutils.h"
#include "utils/memutils.h"

/* The largest array for which malloc is to keep memory */
#define LARGEST_KEPT		(2 * 1024 * 1024)

/* Have malloc keep what a query takes that makes an array of this size */
void
malloc_keep(Size size)
{
	static Size shown = 128 * 1024; /* as large a block is mapped at first */
	Size		block;

	if (size > LARGEST_KEPT)
		return;
	block = pg_nextpower2_size_t(4 * size);
	if (block > shown)
	{
		pfree(palloc(block));
		shown = block;
	}
}

/*
 * jsonb_child.h
 *		The children of a jsonb container, read one after the other.
 *
 * An object's children are its keys, then its values.  Nothing is checked: the
 * container is one that the server has made.
 */
#ifndef AIRUN_JSONB_CHILD_H
#define AIRUN_JSONB_CHILD_H

#include "utils/jsonb.h"

/* A child of a container, as it is written in it */
typedef struct Child
{
	JEntry		type;			/* the JENTRY_IS... bits and nothing else */
	const char *data;			/* without the padding that aligns it */
	uint32		len;
} Child;

/* A position in a container */
typedef struct ChildReader
{
	const JEntry *entry;		/* of the next child */
	const char *base;			/* where the container's data begin */
	uint32		offset;			/* of the next child's data, padding included */
} ChildReader;

/* Where the data of a child of this type begin, if they come after len bytes */
static inline uint32
child_start(JEntry type, uint32 len)
{
	if (type == JENTRY_ISNUMERIC || type == JENTRY_ISCONTAINER)
		return INTALIGN(len);
	return len;
}

/*
 * Stands before the child with this index.  The container must be aligned, as
 * it is in any detoasted jsonb.
 */
static inline void
start_reading(ChildReader *reader, const JsonbContainer *container, uint32 index)
{
	uint32		count = JsonContainerSize(container);

	if (JsonContainerIsObject(container))
		count *= 2;
	reader->entry = &container->children[index];
	reader->base = (const char *) &container->children[count];
	reader->offset = index == 0 ? 0 : getJsonbOffset(container, index);
}

/*
 * Reads a child and steps past it.  Whether an entry is an offset or a length
 * is told by its own bit only: the stride is the writer's business.
 */
static inline void
next_child(ChildReader *reader, Child *child)
{
	JEntry		entry = *reader->entry++;
	uint32		start;

	child->type = entry & JENTRY_TYPEMASK;
	start = child_start(child->type, reader->offset);
	JBE_ADVANCE_OFFSET(reader->offset, entry);
	child->data = reader->base + start;
	child->len = reader->offset - start;
}

#endif							/* AIRUN_JSONB_CHILD_H */

/*
 * invalidation.h
 *		Telling the library's caches that a relation has changed.
 */
#ifndef AIRUN_INVALIDATION_H
#define AIRUN_INVALIDATION_H

#include "airun.h"

typedef void (*RelationChanged) (Oid relation);

extern void relation_changes_watch(RelationChanged changed);

#endif							/* AIRUN_INVALIDATION_H */

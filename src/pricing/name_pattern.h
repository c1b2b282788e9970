/*
 * name_pattern.h
 *		Patterns for the names of models and providers.
 */
#ifndef AIRUN_NAME_PATTERN_H
#define AIRUN_NAME_PATTERN_H

#include "airun.h"

#include "utils/jsonb.h"

/* Tells whether a name is meant */
typedef struct NamePattern NamePattern;

extern const char *name_pattern_parse(JsonbContainer *container, NamePattern **pattern);
extern const char *name_pattern_problem(const NamePattern *pattern);
extern bool name_pattern_means(NamePattern *pattern, const char *name, const char *base);
extern bool name_pattern_matches(NamePattern *pattern, const char *normalized_name);
extern void name_pattern_free(NamePattern *pattern);

#endif							/* AIRUN_NAME_PATTERN_H */

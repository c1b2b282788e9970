/*
 * names.h
 *		The many names of models and of the companies that serve them.
 */
#ifndef AIRUN_NAMES_H
#define AIRUN_NAMES_H

#include "airun.h"

extern char *name_normalize(const char *name);
extern char *provider_family(const char *name);
extern bool provider_is(const char *name, const char *family);

#define MODEL_NAMES	16

extern char *model_without_variant(const char *name);
extern char *model_undated(const char *name);
extern int	model_names(const char *model, const char **names, const char **fronts);

#endif							/* AIRUN_NAMES_H */

/*
 * usage_site.h
 *		The shapes of usages that are known, with those of the site.
 */
#ifndef AIRUN_USAGE_SITE_H
#define AIRUN_USAGE_SITE_H

#include "airun.h"

#include "pricing/usage_shapes.h"

extern int	usage_site_shapes(const UsageShape **shapes);

#endif							/* AIRUN_USAGE_SITE_H */

/*
 * token_estimate.h
 *		How many tokens a text has, where nobody has counted.
 */
#ifndef AIRUN_TOKEN_ESTIMATE_H
#define AIRUN_TOKEN_ESTIMATE_H

#include "airun.h"

/* What a file is taken to have */
#define TOKENS_A_FILE	1000

extern int64 tokens_in_quarters(const char *string, int len);

#endif							/* AIRUN_TOKEN_ESTIMATE_H */

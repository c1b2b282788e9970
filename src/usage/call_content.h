/*
 * call_content.h
 *		What is kept of what is said about a utility call.
 */
#ifndef AIRUN_CALL_CONTENT_H
#define AIRUN_CALL_CONTENT_H

#include "airun.h"

#include "task/end_stated.h"

/* The longest metadata of a call, in bytes as text */
#define CALL_MAX_METADATA	1024

extern int	call_document_length(const Field *document);
extern void call_keep_figures(TaskEnd *end);
extern const char *call_metadata_problem(const Field *metadata);
extern void call_take_error_code(TaskEnd *end, const Field *code);
extern Field call_error_code(const Field *error);

#endif							/* AIRUN_CALL_CONTENT_H */

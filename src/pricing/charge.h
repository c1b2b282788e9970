/*
 * charge.h
 *		What a task has used and what it costs, worked out by the server.
 */
#ifndef AIRUN_CHARGE_H
#define AIRUN_CHARGE_H

#include "airun.h"

#include "pricing/usage.h"
#include "store/args.h"

/* What is known of a task when it is charged; all may be absent */
typedef struct BillBasis
{
	Field		model_id;
	Field		provider;
	Field		usage;
	Field		tokens_input;
	Field		tokens_output;
	Field		client_cost;	/* what the client says that it costs */
	TimestampTz created_at;
} BillBasis;

/* The charge: columns of airun.tasks */
typedef struct Bill
{
	Field		cost;
	Field		cost_details;
	Field		price_status;
} Bill;

extern void bill_count(const Field *usage, const Field *provider, Field *tokens_input,
					   Field *tokens_output, Field *tokens_total, Field *buckets);
extern void bill_make(const BillBasis *basis, Bill *bill);

#endif							/* AIRUN_CHARGE_H */

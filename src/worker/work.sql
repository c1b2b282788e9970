/*
 * work.sql: airun_work(), the steps of upkeep
 *
 * A procedure, since it commits after each piece of its work.
 */
CREATE PROCEDURE @extschema@.airun_work(max_ms bigint DEFAULT 10000)
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE @extschema@.airun_work IS
'Does what is to be done from time to time: ends what is overdue, folds the ledger, and more, step by step
In transactions of its own, for max_ms at most; airun.worker_status says what each step has come to.  Returns at once where the worker or another one is at it.  For the owner of the store.';

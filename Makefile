# airun: builds with PGXS, and with nothing else.
#
#	make && sudo make install	into the server that pg_config names
#	make installcheck			against a running server
#	make check					all tests, with throwaway servers; as test/run check
#	make check-long				their long forms, check-hard and check-versions: 2 to 3 hours
#	make check-versions			the tests on PostgreSQL 17 and 18; compiled for others (root)
#	make check-hard				servers with assertions, sanitizers, linters, coverage
#	make bench					airun measured beside what people use instead

# The parts, each src/PART.c, src/PART.sql or both, in the order of their SQL.
# This list is the only one.
PARTS = airun \
	store/plans store/args store/citus store/store \
	install/tables install/usage_tables install/budget_tables install/constraints install/policies install/triggers install/objects \
	install/views install/comments install/install store/invalidation store/object_list store/column_types store/partition store/definition store/direct \
	install/types store/identity \
	json/malloc_keep json/jsonb_copy json/json_text json/jsonb_util json/words json/token_estimate json/call \
	usage/sketch \
	shard/shard_call shard/packed_call shard/route run/run run/run_edit run/list run/run_name run/message_accept run/message_in_answer run/message_in_chunks \
	run/message \
	run/message_version run/save_message run/fork \
	search/plain_text search/search_query search/search \
	task/position task/chunk task/request_compact task/keep_message \
	pricing/names pricing/usage_shapes pricing/usage_site pricing/usage_settle \
	pricing/usage_leaves pricing/usage_read pricing/usage pricing/served pricing/price_terms pricing/name_pattern pricing/price_cache pricing/price_lookup \
	pricing/odd_rates pricing/unpriced \
	pricing/cost pricing/rate_collector pricing/import_litellm pricing/import_genai \
	pricing/price_period pricing/import pricing/charge \
	usage/ledger usage/report \
	budget/budget_period budget/budget_rules budget/budget_estimate budget/budget_fit budget/budget_refusal budget/budget_slot budget/budget_counter budget/budget_hold \
	task/task_columns task/task task/task_entry task/end_stated task/task_end task/stream task/stream_read task/lease task/turn run/get_run \
	usage/call_content usage/call_row usage/utility_call usage/rollup \
	budget/budget budget/budget_status \
	usage/figure usage/svg usage/html usage/page_data usage/usage_page \
	import/json_read import/read_time import/compose import/parts import/tree import/read_chats import/read_messages \
	import/read_traces import/span_attributes import/read_original import/recognise import/store_tasks import/store_conversation import/import import/import_tables \
	upkeep/purge upkeep/strip upkeep/erase upkeep/prune upkeep/prune_months upkeep/upkeep \
	pricing/reprice worker/steps worker/work worker/launcher store/access store/row_trigger guard/ended_task guard/holds guard/task_figures guard/guard guard/totals guard/view \
	export/part_types export/message_parts export/part_values export/part_media export/convert export/part_text export/provider_arrays export/export_forms \
	export/export_spans export/export export/export_user export/context \
	install/check install/original install/partition install/grant shard/move_bucket shard/move_shard shard/install_shard shard/install_proxy install/acl

# The regression tests, in order; one database carries them all.
REGRESS = helpers json sketch install objects run names partition list message save fork search request_compact task turn totals stream driver_types lease late_ends \
	export context refusals columns access postgrest original import import_tables usage usage_shapes price cost responses served money meter report ledger budget budget_counters upkeep work owner privileges privileges_owner price_list_faults \
	direct stream_visibility exact exact_partition citus lint site tour \
	history reference operations reports budgets upkeep_examples

# Those that show which way rows are written; they run with airun.direct_writes on.
DIRECT_ONLY = direct stream_visibility exact exact_partition

# Those for which it does not matter which way rows are written, and that take their
# time: check has them once.
ONCE = install objects json report 003_dump 004_cost 005_backend 007_prices 011_usage 013_import \
	014_context 015_import_files 016_source 030_standby 031_update 033_owner 060_page 061_rollup 062_build 065_worker \
	070_shards 071_upkeep 072_proxy 073_pool

# The isolation specs of test/specs.
ISOLATION = budget citus counter_order counter_paid counter_slots counter_words definitions first_updater fork_races import_races late lock_soon pairs reprice same_id save_races storage stream \
	upkeep_races view_update

#--- From here on nothing needs to change when a part or a test is added. ---

EXTENSION = airun
AIRUN_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" airun.control)

# A part without either file is asked for as SQL, so that make says what lacks.
PART_C := $(wildcard $(PARTS:%=src/%.c))
PART_SQL := $(foreach p,$(PARTS),$(or $(wildcard src/$(p).sql),$(if $(wildcard src/$(p).c),,src/$(p).sql)))
INSTALL_SQL = airun--$(AIRUN_VERSION).sql

MODULE_big = airun
OBJS = $(PART_C:.c=.o)
DATA_built = $(INSTALL_SQL)

PG_CPPFLAGS = -I$(srcdir)/src -DAIRUN_VERSION='"$(AIRUN_VERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers
SHLIB_LINK += -luuid
EXTRA_CLEAN = output_iso

REGRESS_OPTS = --load-extension=airun --encoding=UTF8
ISOLATION_OPTS = --inputdir=test --load-extension=airun

ifneq ($(wildcard test/t/*.pl),)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
endif

# Bitcode for the JIT would need clang, and would inline nothing worth it.
override with_llvm = no

# The scripts of test/ bring a server and all else themselves; PGXS knows nothing of
# them, and has another idea of "make check".
SCRIPTED = check check-long bench check-versions check-hard
ifneq ($(filter $(SCRIPTED),$(MAKECMDGOALS)),)
.PHONY: $(SCRIPTED)
check check-long bench: ; test/run $@
check-versions: ; test/versions
check-hard: ; test/hard
else

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Where the TAP scripts find what they share.
override PROVE_FLAGS += -I test/t

# Counting characters and looking for some are loops for the vector unit, as checksums are
# in the server.
src/task/chunk.o src/search/search_query.o: CFLAGS += $(CFLAGS_VECTORIZE)

# A changed header rebuilds all; a changed version, what carries it.
$(OBJS): $(wildcard src/*.h src/*/*.h)
src/airun.o $(INSTALL_SQL): airun.control

# The suite on other versions, in roots of other Debian releases; needs root.
.PHONY: check-versions
check-versions: ; test/versions

$(INSTALL_SQL): $(PART_SQL)
	printf '%s\n' '\echo Use "CREATE EXTENSION airun" to load this file. \quit' > $@.tmp
	cat $(PART_SQL) >> $@.tmp
	mv $@.tmp $@

endif

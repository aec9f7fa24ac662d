# SPDX-License-Identifier: MIT
#
# Everything is built below build/$(ARCH)/; nothing is written elsewhere.
# `make help` tells what can be asked for.

ARCH  ?= x86_64
MEM   ?= 64M
TRACE ?= $(sort $(wildcard traces/*.rep traces/*.rep.gz))
CMD   ?=
ISO   ?=
SEED  ?=
SUITE ?=
MUTANT ?=
TIME  ?= 60
FUZZ  ?=
JOBS  ?= $(shell nproc 2>/dev/null || echo 2)

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
LD ?= ld
NM ?= nm

# Two compilers, or two sets of flags, may share the directory: when they
# change, everything is compiled again (see `flags` below).
BUILT := build
B := $(BUILT)/$(ARCH)

# Objects, where a port does not say otherwise.
O := $(B)

# Architectures that have a kernel.
ARCHES := $(patsubst kernel/%/port.mk,%,$(wildcard kernel/*/port.mk))
ifeq ($(filter $(ARCH),$(ARCHES)),)
$(error ARCH=$(ARCH): there is no such architecture; there are: $(ARCHES))
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help run test check lib bench clean deps kernel tests traces mutants \
	mutants-all fuzz test-grub test-bochs test-v86 booted

help:
	@echo 'Targets:'
	@echo '  run    build, boot (in QEMU), replay the traces, report; then, on a terminal,'
	@echo '         the monitor'
	@echo '  test   all tests, on the host and in QEMU; with ARCH=x86, x86pae those of'
	@echo '         that kernel, with ARCH=um what needs no QEMU'
	@echo '  test-bochs, test-v86, test-grub  on these machines, by this loader (minutes)'
	@echo '  booted  all of that once, and the table of docs/booted.md'
	@echo '  mutants  do the tests notice mistakes? test/mutants/, up to the first that'
	@echo '         does; mutants-all: by every suite'
	@echo '  coverage  which lines of src/ and arch/ do the tests run?'
	@echo '  fuzz   TIME seconds each of three fuzz targets, or of FUZZ=api, boot, trace'
	@echo '  check  format, order of includes, symbols, warnings, cppcheck'
	@echo '  bench  the figures, also into $(BENCH_JSON)'
	@echo '  lib    $(B)/libverso.a, and -heap, -paging, -frames'
	@echo '  kernel $(patsubst %,$(B)/%$(IMAGE_END),$(IMAGES))'
	@echo '  deps   install what run, test and check need'
	@echo '  clean  remove build/'
	@echo 'Variables (now):'
	@echo '  ARCH=$(ARCH)  of: $(ARCHES); um is a Linux process, without QEMU'
	@echo '  MEM=$(MEM)  memory of the machine'
	@echo '  TRACE="a.rep b.rep.gz"  traces to replay instead of the bundled ones'
	@echo '  CMD="areas; slabs; check; quit"  monitor commands, instead of the replay'
	@echo '  ISO=1  GRUB starts the kernel, from build/$(ARCH)/verso.iso; ISO=efi: by UEFI'
	@echo '  SEED=N  of the randomised tests   SUITE=NAME  one suite in the kernel'
	@echo '  MUTANT=012  of the mutants, those whose names begin so'
	@echo '  CC=$(CC)  gcc or clang   CFLAGS=  more flags, as -DVERSO_DEBUG=1'
	@echo '  MACHINE=q35  of QEMU: pc, q35, microvm'
	@echo '  ACCESSOR=direct  tables through a direct map, not through the mirror'
	@echo '  WORDS="..."  more words for the kernel, as crash=null'
	@echo '  SAN=1  with ARCH=um: under ASan and UBSan; UM=evict=8,seed=7: out of temper'
	@echo '    (arch/um/machine/README.md)'
	@echo '  V=1  show the commands'

# Commands are shown with V=1, else only what they make; with -s nothing.
Q := $(if $(V),,@)
QUIET := $(V)$(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(QUIET),,@echo '  $(1)')

# ---- flags ----

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wundef -Wvla -Wcast-align -Wpointer-arith \
	-Wconversion -Wsign-conversion
comma := ,
TESTS := $(wildcard test/*.t)
PORT_OBJS :=
# Directories of arch/ and kernel/, where a port does not say otherwise.
PORT := $(ARCH)
KERNEL_DIRS := kernel/$(ARCH)
# TARGET, LINK, RUNNER and the like:
include kernel/$(ARCH)/port.mk
PRODUCT := -std=c17 -O2 -g $(TARGET) $(WARN) -Iinclude -Iarch/$(PORT)
LIB_FLAGS := $(PRODUCT) -Wframe-larger-than=512
KERNEL_FLAGS := $(PRODUCT) -Ikernel
TEST_FLAGS := $(PRODUCT) -Isrc -Ikernel -Itest

# Rewritten only when it changes; every object depends on it.
FLAGS_NOW = $(CC) $(LIB_FLAGS) $(KERNEL_FLAGS) $(TEST_FLAGS) $(CFLAGS)
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' >$@
FORCE:

# ---- the library, in four parts ----
#
# A part is some storeys, and its own lists of them: init.c, check.c, report.c
# and reclaim.c are compiled once for each part, knowing what it has.

PARTS := all heap paging frames

PAGING := cachetype tables paging roots adopt paging-init paging-look

STOREYS_frames := util frame
STOREYS_paging := util $(PAGING)
STOREYS_heap   := util node radix pagemap area slab alloc
STOREYS_all    := util frame $(PAGING) back node radix pagemap area slab alloc space

LISTS_frames := init check report
LISTS_paging := init check report
LISTS_heap   := init check report reclaim fault
LISTS_all    := init check report reclaim fault

HAS_frames := -DVERSO_HAS_FRAMES=1 -DVERSO_HAS_PAGING=0 -DVERSO_HAS_HEAP=0
HAS_paging := -DVERSO_HAS_FRAMES=0 -DVERSO_HAS_PAGING=1 -DVERSO_HAS_HEAP=0
HAS_heap   := -DVERSO_HAS_FRAMES=0 -DVERSO_HAS_PAGING=0 -DVERSO_HAS_HEAP=1
HAS_all    := -DVERSO_HAS_FRAMES=1 -DVERSO_HAS_PAGING=1 -DVERSO_HAS_HEAP=1

ARCHIVE_all := $(B)/libverso.a
$(foreach p,heap paging frames,$(eval ARCHIVE_$(p) := $(B)/libverso-$(p).a))

define part
OBJS_$(1) := $$(patsubst src/%.c,$(O)/lib/$(1)/%.o,$$(wildcard \
	$$(patsubst %,src/%.c,$$(STOREYS_$(1)) $$(LISTS_$(1)))))
$(O)/lib/$(1)/%.o: src/%.c $(O)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) $$(LIB_FLAGS) $$(HAS_$(1)) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$$(ARCHIVE_$(1)): $$(OBJS_$(1))
	@rm -f $$@
	$$(call say,ar   $$@)
	$$(Q)$$(AR) rcsD $$@ $$^
endef
$(foreach p,$(PARTS),$(eval $(call part,$(p))))

lib: $(foreach p,$(PARTS),$(ARCHIVE_$(p)))

# ---- the kernel, with and without injection of failures ----

KERNEL_OBJS := $(patsubst %,$(O)/%.o,$(basename \
	$(wildcard $(foreach d,kernel $(KERNEL_DIRS),$(d)/*.c $(d)/*.S))))
SUITE_OBJS := $(patsubst %.c,$(O)/%.o,$(filter-out test/inject%.c, \
	$(wildcard test/*.c)))

# Calls between storeys that can run out: in verso-test.elf they pass through
# test/inject.c. test/test.mk names them in WRAPS, and adds tests to TESTS.
WRAPS :=
TEST_NEEDS :=
-include test/test.mk
-include test/coverage/coverage.mk

INJECT_verso      := $(O)/test/inject-none.o
INJECT_verso-test := $(O)/test/inject.o
LINK_verso-test   := $(patsubst %,--wrap=%,$(WRAPS))

$(O)/kernel/%.o: kernel/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,cc   $@)
	$(Q)$(CC) $(KERNEL_FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/kernel/%.o: kernel/%.S $(O)/flags
	@mkdir -p $(@D)
	$(call say,cc   $@)
	$(Q)$(CC) $(TARGET) -MMD -MP -c -o $@ $<
$(O)/test/%.o: test/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,cc   $@)
	$(Q)$(CC) $(TEST_FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Linked twice: the names of the functions are known after the first time.
$(O)/%.o: $(O)/%.S $(O)/flags
	$(call say,cc   $@)
	$(Q)$(CC) $(TARGET) -c -o $@ $<
$(O)/no-symbols.S: tools/symbols.sh
	@mkdir -p $(@D)
	$(call say,make $@)
	$(Q)tools/symbols.sh $(NM) >$@

define image
IMAGE_$(1) := $$(KERNEL_OBJS) $$(SUITE_OBJS) $$(INJECT_$(1)) $$(PORT_OBJS) $$(ARCHIVE_all)
$(O)/$(1).first$(IMAGE_END): $$(IMAGE_$(1)) $(O)/no-symbols.o $(LINK_NEEDS)
	$$(call say,link $$@)
	$$(Q)$$(LINK) $$(LINK_$(1)) -o $$@ $$(IMAGE_$(1)) $(O)/no-symbols.o
$(O)/$(1)-symbols.S: $(O)/$(1).first$(IMAGE_END) tools/symbols.sh
	$$(call say,make $$@)
	$$(Q)tools/symbols.sh $$(NM) $$< >$$@
$(B)/$(1)$(IMAGE_END): $$(IMAGE_$(1)) $(O)/$(1)-symbols.o $(LINK_NEEDS)
	$$(call say,link $$@)
	$$(Q)$$(LINK) $$(LINK_$(1)) -o $$@ $$(IMAGE_$(1)) $(O)/$(1)-symbols.o
endef
$(foreach i,$(IMAGES),$(eval $(call image,$(i))))

VERSO := $(B)/verso$(IMAGE_END)
kernel: $(patsubst %,$(B)/%$(IMAGE_END),$(IMAGES))

-include $(wildcard $(O)/lib/*/*.d $(O)/kernel/*.d $(O)/kernel/*/*.d \
	$(O)/kernel/*/*/*.d \
	$(O)/test/*.d $(O)/arch/*/*/*.d)

# ---- running ----

BOOT_WORDS := $(if $(ACCESSOR),accessor=$(ACCESSOR)) \
	$(if $(SEED),seed=$(SEED)) $(WORDS)
PARALLEL = +@$(MAKE) --no-print-directory \
	$(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

# These start makes of their own, on the same directory: one after the other.
ifneq ($(filter run test test-% booted check bench coverage mutants \
	mutants-all fuzz,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

# Quoted for the shell; the kernel reads the value between its own quotes.
RUN_WORDS = $(BOOT_WORDS) $(if $(CMD),'cmd="$(CMD)"')
RUN_ENV = MEM=$(MEM) ISO=$(ISO) $(if $(CMD)$(WORDS),INTERACTIVE=no)

ISO_DEPS := $(if $(ISO),iso) $(if $(findstring efi,$(ISO)),efi)

deps:
	@tools/deps.sh run test check run-um

run:
	@tools/deps.sh $(DEPS) $(ISO_DEPS)
	$(PARALLEL) $(VERSO)
	@tools/pack.sh $(B)/traces.tar $(TRACE)
	@$(RUN_ENV) $(RUNNER) $(VERSO) $(B)/traces.tar $(RUN_WORDS)

test:
	@tools/deps.sh $(DEPS) test
	$(PARALLEL) tests
	@ARCH=$(ARCH) BUILD=$(B) SEED=$(SEED) SUITE=$(SUITE) tools/test.sh $(B) $(TESTS)

# On other people's machines, and by their boot loaders: test/machines/.
# These start QEMU or another emulator for ten times as long as `make test`.
MACHINES := grub bochs v86
DEPS_grub := efi
DEPS_bochs := bochs
DEPS_v86 := v86
MACHINE_TESTS := $(patsubst %,test-%,$(MACHINES))
# v86 has no 64 bits.
MACHINE_ARCH = $(if $(filter v86-x86_64,$*-$(ARCH)),x86,$(ARCH))
$(MACHINE_TESTS): test-%:
	@tools/deps.sh $(DEPS) test iso $(DEPS_$*)
	$(PARALLEL) ARCH=$(MACHINE_ARCH) kernel traces
	@ARCH=$(MACHINE_ARCH) SEED=$(SEED) SUITE=$(SUITE) tools/test.sh $(B) \
		$(wildcard test/machines/$*-*.t)

# The table of docs/booted.md. ROWS="q35 UEFI": of it only these.
booted:
	@tools/deps.sh $(DEPS) test iso $(foreach m,$(MACHINES),$(DEPS_$m))
	$(PARALLEL) ARCH=x86 kernel traces
	$(PARALLEL) ARCH=x86pae kernel traces
	$(PARALLEL) ARCH=x86_64 kernel traces
	@test/booted.py $(ROWS)

# What the tests need built; test.mk adds to TEST_NEEDS.
tests: kernel lib traces $(TEST_NEEDS)

traces:
	@mkdir -p $(B)
	@tools/pack.sh $(B)/traces.tar $(TRACE)

# Mistakes put into the library, one at a time: test/mutants/README.md.
mutants mutants-all:
	@tools/deps.sh test
	@CC='$(CC)' MAKE='$(MAKE)' JOBS=$(JOBS) test/mutants/run.py \
		$(if $(filter mutants-all,$@),--all) $(MUTANT)

fuzz:
	@tools/deps.sh fuzz
	$(PARALLEL) fuzz-targets
	@tools/fuzz.sh $(TIME) $(FUZZ)

check:
	@tools/deps.sh run test check
	@MAKE='$(MAKE)' JOBS=$(JOBS) tools/check.sh

bench:
	@tools/deps.sh $(DEPS)
	$(PARALLEL) $(VERSO)
	@tools/pack.sh $(B)/traces.tar $(TRACE)
	@MEM=$(MEM) ARCH=$(ARCH) RUNNER=$(RUNNER) tools/bench.sh $(VERSO) \
		$(B)/traces.tar $(BENCH_JSON)

clean:
	rm -rf build

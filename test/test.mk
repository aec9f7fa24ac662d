# SPDX-License-Identifier: MIT
#
# Included by the Makefile: what the tests need beside the kernel. The suites
# run twice over, in QEMU (build/x86_64/verso-test.elf) and as a Linux process on
# the simulated machine of arch/um, under ASan and UBSan: build/um/verso-test with
# 32-bit tables, build/um/pae/verso-test with those of PAE, build/um/64/verso-test
# with 64-bit ones, and all again as clang compiles them.

# Calls that can run out of memory, led through test/inject.c by the linker.
WRAPS := verso_frame_alloc1 verso_frame_alloc verso_frame_alloc_run \
	verso_frame_alloc_bulk verso_back_commit verso_i_node_alloc

UM_DIR := $(BUILT)/um
# What is free is closed to ASan, through the hook door.
UM_HOOKS := -DVERSO_HOOKS_HEADER='"hooks.h"' -Itest/host
UM_WRAPS := $(WRAPS) verso_back_release verso_frame_free_bulk
UM_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
UM_COMMON := -std=c17 -O1 -g -fno-pie $(UM_SANITIZE) $(WARN) -Iinclude -Iarch/um \
	-DUM_INTERRUPTS=1
# The library is compiled as for a kernel, but for the sanitizers.
UM_LIB_FLAGS  := $(UM_COMMON) $(UM_HOOKS) -ffreestanding $(HAS_all)
UM_TEST_FLAGS := $(UM_COMMON) $(UM_HOOKS) -ffreestanding -Isrc -Ikernel -Itest
UM_HOST_FLAGS := $(UM_COMMON) $(UM_HOOKS)

# Of the kernel, what is tested and knows no machine, or this one.
UM_KERNEL := kernel/text.c kernel/archive.c kernel/trace.c kernel/replay.c \
	kernel/um/probe.c

# The storeys and lists of the part `all`, once they exist.
UM_SOURCES := $(wildcard $(patsubst %,src/%.c,$(STOREYS_all) $(LISTS_all))) \
	$(filter-out test/inject-none.c,$(wildcard test/*.c)) \
	$(wildcard arch/um/machine/*.c) $(wildcard test/host/*.c) $(UM_KERNEL)

# um_suites DIRECTORY BITS COMPILER FLAGS: verso-test in that directory.
define um_suites
UM_OBJS_$(1) := $$(patsubst %.c,$(1)/%.o,$$(UM_SOURCES))
$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo '$(3) -m$(2) $(4) $$(UM_LIB_FLAGS) $$(UM_TEST_FLAGS) $$(CFLAGS)' | \
		cmp -s - $$@ || echo '$(3) -m$(2) $(4) $$(UM_LIB_FLAGS) $$(UM_TEST_FLAGS) $$(CFLAGS)' >$$@
$(1)/src/%.o: src/%.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$(3) -m$(2) $(4) $$(UM_LIB_FLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(1)/test/host/%.o $(1)/arch/um/machine/%.o: UM_FLAGS = $$(UM_HOST_FLAGS)
$(1)/test/%.o: UM_FLAGS = $$(UM_TEST_FLAGS)
$(1)/kernel/%.o: UM_FLAGS = $$(UM_TEST_FLAGS)
$(1)/kernel/um/%.o: UM_FLAGS = $$(UM_HOST_FLAGS) -Ikernel
$(1)/%.o: %.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$(3) -m$(2) $(4) $$(UM_FLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(1)/verso-test: $$(UM_OBJS_$(1))
	$$(call say,link $$@)
	$$(Q)$(3) -m$(2) $(4) -no-pie $$(UM_SANITIZE) $$(patsubst %,-Wl$$(comma)--wrap=%,$$(UM_WRAPS)) \
		-o $$@ $$^
TEST_NEEDS += $(1)/verso-test
-include $$(UM_OBJS_$(1):.o=.d)
endef
$(eval $(call um_suites,$(UM_DIR),32,$(CC)))
$(eval $(call um_suites,$(UM_DIR)/64,64,$(CC)))
$(eval $(call um_suites,$(UM_DIR)/pae,32,$(CC),-DUM_PAE=1))
$(eval $(call um_suites,$(UM_DIR)/clang-32,32,clang))
$(eval $(call um_suites,$(UM_DIR)/clang-64,64,clang))
$(eval $(call um_suites,$(UM_DIR)/clang-pae,32,clang,-DUM_PAE=1))


.PHONY: um
um: $(UM_DIR)/verso-test $(UM_DIR)/64/verso-test $(UM_DIR)/pae/verso-test

# ---- that machine alone, and somebody else's page tables on it ----
#
# build/um-machine/64 and build/um-machine/32: nothing of Verso is in them.

UM_MACHINE := $(BUILT)/um-machine
UM_ALONE := um-machine um-example um-cpus
UM_ALONE_FLAGS := -std=c17 -O1 -g -fno-pie $(UM_SANITIZE) $(WARN) \
	-Iarch/um/machine
$(UM_MACHINE)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(UM_ALONE_FLAGS) $(CFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(UM_ALONE_FLAGS) $(CFLAGS)' >$@

define um_alone
UM_ALONE_OBJS_$(1) := $$(patsubst %.c,$(UM_MACHINE)/$(1)/%.o,$$(wildcard \
	arch/um/machine/*.c))
$(UM_MACHINE)/$(1)/%.o: %.c $(UM_MACHINE)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) -m$(1) $$(UM_ALONE_FLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$$(patsubst %,$(UM_MACHINE)/$(1)/%,$(UM_ALONE)): $(UM_MACHINE)/$(1)/%: \
		$(UM_MACHINE)/$(1)/test/%/main.o $$(UM_ALONE_OBJS_$(1))
	$$(call say,link $$@)
	$$(Q)$$(CC) -m$(1) -no-pie $$(UM_SANITIZE) -o $$@ $$^
TEST_NEEDS += $$(patsubst %,$(UM_MACHINE)/$(1)/%,$(UM_ALONE))
-include $$(wildcard $(UM_MACHINE)/$(1)/*/*/*.d $(UM_MACHINE)/$(1)/*/*/*/*.d)
endef
$(eval $(call um_alone,64))
$(eval $(call um_alone,32))

# ---- the heap alone (libverso-heap.a's sources) over another back ----
#
# build/heap/64 and build/heap/32: test/heap-host, and the suites that use
# nothing but the heap, under ASan and UBSan. The linker leads what can run out
# through test/inject.c.

HEAP := $(BUILT)/heap
HEAP_SUITES := util node radix pagemap area maps slab alloc
HEAP_SOURCES := $(patsubst %,src/%.c,$(STOREYS_heap) $(LISTS_heap)) \
	$(patsubst %,test/%.c,main state inject $(HEAP_SUITES)) \
	$(wildcard test/heap-host/*.c)
HEAP_WRAPS := -Wl,--wrap=verso_back_commit -Wl,--wrap=verso_i_node_alloc
HEAP_COMMON := -std=c17 -O1 -g -fno-pie $(UM_SANITIZE) $(WARN) -Iinclude \
	-Iarch/um $(HAS_heap)

$(HEAP)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(HEAP_COMMON) $(CFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(HEAP_COMMON) $(CFLAGS)' >$@

define heap_host
HEAP_OBJS_$(1) := $$(patsubst %.c,$(HEAP)/$(1)/%.o,$$(HEAP_SOURCES))
$(HEAP)/$(1)/src/%.o: src/%.c $(HEAP)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) -m$(1) $$(HEAP_COMMON) -ffreestanding $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(HEAP)/$(1)/test/heap-host/%.o: test/heap-host/%.c $(HEAP)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) -m$(1) $$(HEAP_COMMON) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(HEAP)/$(1)/test/%.o: test/%.c $(HEAP)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) -m$(1) $$(HEAP_COMMON) -ffreestanding -Isrc -Ikernel -Itest $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(HEAP)/$(1)/verso-heap-test: $$(HEAP_OBJS_$(1))
	$$(call say,link $$@)
	$$(Q)$$(CC) -m$(1) -no-pie $$(UM_SANITIZE) $$(HEAP_WRAPS) -o $$@ $$^
-include $$(HEAP_OBJS_$(1):.o=.d)
endef
$(eval $(call heap_host,64))
$(eval $(call heap_host,32))

.PHONY: heap
heap: $(HEAP)/64/verso-heap-test $(HEAP)/32/verso-heap-test
TEST_NEEDS += $(HEAP)/64/verso-heap-test $(HEAP)/32/verso-heap-test

# ---- again, for valgrind and by clang ----
#
# build/plain is without sanitizers; build/clang is the other compiler's.

AGAIN = +@$(MAKE) --no-print-directory -s ARCH=x86 BUILT=$(BUILT)/$@
.PHONY: plain clang
plain:
	$(AGAIN) UM_SANITIZE= $(BUILT)/$@/heap/64/verso-heap-test \
		$(BUILT)/$@/um-machine/64/um-machine
clang:
	$(AGAIN) CC=clang $(BUILT)/$@/heap/64/verso-heap-test \
		$(BUILT)/$@/heap/32/verso-heap-test \
		$(BUILT)/$@/um-machine/64/um-machine \
		$(BUILT)/$@/um-machine/32/um-machine
TEST_NEEDS += plain clang

# The kernel in the README (docs.t) is a 32-bit one.
ifeq ($(ARCH),x86_64)
.PHONY: lib-x86
lib-x86:
	+@$(MAKE) --no-print-directory -s ARCH=x86 $(BUILT)/x86/libverso.a
TEST_NEEDS += lib-x86
endif

# ---- several CPUs ----
#
# The machine's own tests of that are um-cpus, above. build/um-cpus/verso is
# Verso built for two. No hooks there: what ASan knows of an address is each
# process's own.

CPUS := $(BUILT)/um-cpus
CPUS_COMMON := -std=c17 -O1 -g -m32 -fno-pie $(UM_SANITIZE) $(WARN) \
	-DCPU_COUNT_MAX=2u -Iinclude -Iarch/um
CPUS_OBJS := $(CPUS)/test/um-cpus/verso.o \
	$(patsubst %.c,$(UM_DIR)/%.o,$(wildcard arch/um/machine/*.c)) \
	$(patsubst %.c,$(CPUS)/%.o,$(wildcard \
	$(patsubst %,src/%.c,$(STOREYS_all) $(LISTS_all))))

# The CPU may change in each basic block of the library.
$(CPUS)/src/%.o: src/%.c $(UM_DIR)/flags
	@mkdir -p $(@D)
	$(call say,cc   $@)
	$(Q)$(CC) $(CPUS_COMMON) -fsanitize-coverage=trace-pc -ffreestanding \
		$(HAS_all) $(CFLAGS) -MMD -MP -c -o $@ $<
$(CPUS)/test/um-cpus/%.o: test/um-cpus/%.c $(UM_DIR)/flags
	@mkdir -p $(@D)
	$(call say,cc   $@)
	$(Q)$(CC) $(CPUS_COMMON) $(CFLAGS) -MMD -MP -c -o $@ $<
$(CPUS)/verso: $(CPUS_OBJS) test/um-cpus/share.ld
	$(call say,link $@)
	$(Q)$(CC) -m32 -no-pie $(UM_SANITIZE) \
		-Wl$(comma)-T,test/um-cpus/share.ld -o $@ $(CPUS_OBJS)
-include $(CPUS_OBJS:.o=.d)
TEST_NEEDS += $(CPUS)/verso

include test/fuzz/fuzz.mk

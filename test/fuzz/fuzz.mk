# SPDX-License-Identifier: MIT
#
# Included by test/test.mk: the fuzz targets, build/fuzz/api, boot and trace,
# with clang's libFuzzer, under ASan and UBSan. What is fuzzed is compiled so
# that libFuzzer sees where it goes; the machine and the model are not, and the
# machine has no sanitizers (in the suites it has), for speed. What UBSan finds
# traps, without words: build/um/64/fuzz-api, below, has them. 64-bit processes,
# or with BITS=32 those.

FUZZ_CC ?= clang
BITS ?= 64
FUZZ_B := build/fuzz
FUZZ_TARGETS := api boot trace
FUZZ_SANITIZE := $(UM_SANITIZE) -fsanitize-trap=undefined
FUZZ_COMMON := -std=c17 -O2 -g -m$(BITS) -fno-pie $(FUZZ_SANITIZE) $(WARN) \
	-Iinclude -Iarch/um $(UM_HOOKS)
FUZZ_SEEN := -fsanitize=fuzzer-no-link
FUZZ_LIB_FLAGS := $(FUZZ_COMMON) $(FUZZ_SEEN) -fno-sanitize-coverage=trace-cmp -ffreestanding $(HAS_all)
FUZZ_KERNEL_FLAGS := $(FUZZ_COMMON) $(FUZZ_SEEN) -ffreestanding -Ikernel
FUZZ_TEST_FLAGS := $(FUZZ_COMMON) -ffreestanding -Isrc -Ikernel -Itest
FUZZ_HOST_FLAGS := $(FUZZ_COMMON)
FUZZ_MACHINE_FLAGS := $(filter-out $(FUZZ_SANITIZE),$(FUZZ_COMMON))

FUZZ_OBJS := $(patsubst %.c,$(FUZZ_B)/obj/%.o,$(wildcard \
	$(patsubst %,src/%.c,$(STOREYS_all) $(LISTS_all))) \
	$(patsubst %,test/%.c,main model state inject conformance adopt) $(UM_KERNEL) \
	$(wildcard arch/um/machine/*.c) test/host/glue.c test/host/hooks.c \
	test/fuzz/common.c)

$(FUZZ_B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FUZZ_CC) $(FUZZ_LIB_FLAGS) $(CFLAGS)' | cmp -s - $@ || \
		echo '$(FUZZ_CC) $(FUZZ_LIB_FLAGS) $(CFLAGS)' >$@

# fuzz_objects DIRECTORY FLAGS
define fuzz_objects
$(FUZZ_B)/obj/$(1)/%.o: $(1)/%.c $(FUZZ_B)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(FUZZ_CC) $$($(2)) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call fuzz_objects,src,FUZZ_LIB_FLAGS))
$(eval $(call fuzz_objects,kernel,FUZZ_KERNEL_FLAGS))
$(eval $(call fuzz_objects,arch/um/machine,FUZZ_MACHINE_FLAGS))
$(eval $(call fuzz_objects,test/host,FUZZ_HOST_FLAGS))
$(eval $(call fuzz_objects,test/fuzz,FUZZ_HOST_FLAGS))
$(eval $(call fuzz_objects,test,FUZZ_TEST_FLAGS))

$(patsubst %,$(FUZZ_B)/%,$(FUZZ_TARGETS)): $(FUZZ_B)/%: \
		$(FUZZ_B)/obj/test/fuzz/%.o $(FUZZ_OBJS)
	$(call say,link $@)
	$(Q)$(FUZZ_CC) -m$(BITS) -no-pie $(FUZZ_SANITIZE) -fsanitize=fuzzer \
		$(patsubst %,-Wl$(comma)--wrap=%,$(UM_WRAPS)) -o $@ $^

-include $(FUZZ_OBJS:.o=.d) $(patsubst %,$(FUZZ_B)/obj/test/fuzz/%.d,$(FUZZ_TARGETS))

.PHONY: fuzz-targets
fuzz-targets: $(patsubst %,$(FUZZ_B)/%,$(FUZZ_TARGETS))

# The same without libFuzzer, by any compiler, for test/fuzz.t:
# build/um/fuzz-api, ... with 32-bit tables, build/um/64/fuzz-api, ... with
# 64-bit ones.
# fuzz_once DIRECTORY BITS
define fuzz_once
$(1)/test/fuzz/%.o: test/fuzz/%.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) -m$(2) $$(UM_HOST_FLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$$(patsubst %,$(1)/fuzz-%,$$(FUZZ_TARGETS)): $(1)/fuzz-%: $(1)/test/fuzz/%.o \
		$$(patsubst %,$(1)/test/fuzz/%.o,common once) \
		$$(filter-out %/suites.o,$$(UM_OBJS_$(1)))
	$$(call say,link $$@)
	$$(Q)$$(CC) -m$(2) -no-pie $$(UM_SANITIZE) \
		$$(patsubst %,-Wl$$(comma)--wrap=%,$$(UM_WRAPS)) -o $$@ $$^
TEST_NEEDS += $$(patsubst %,$(1)/fuzz-%,$$(FUZZ_TARGETS))
-include $$(wildcard $(1)/test/fuzz/*.d)
endef
$(eval $(call fuzz_once,$(UM_DIR),32))
$(eval $(call fuzz_once,$(UM_DIR)/64,64))

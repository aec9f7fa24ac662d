# SPDX-License-Identifier: MIT
#
# Included by the Makefile with ARCH=um: the kernel as a Linux process, on the
# simulated machine of arch/um. build/um/verso; with SAN=1 under ASan and UBSan.
# What kernel/um and arch/um need of the host, they alone are compiled for.

SAN ?=
SANITIZE := $(if $(filter-out 0 no,$(SAN)),-fsanitize=address$(comma)undefined \
	-fno-sanitize-recover=undefined)
# Frame pointers: for backtraces.
HOSTED := -m32 -fno-pie -fno-omit-frame-pointer -fno-optimize-sibling-calls \
	$(SANITIZE)
TARGET := $(HOSTED) -ffreestanding
LINK := $(CC) -m32 -no-pie -z noexecstack $(SANITIZE)
LINK_NEEDS :=

# build/um/ itself is the tests' (test/test.mk).
O := $(B)/run
IMAGES := verso
IMAGE_END :=
RUNNER := tools/um.sh
DEPS := run-um
BENCH_JSON := build/bench-um.json
# `make test ARCH=um`: what needs no QEMU.
TESTS := $(wildcard $(patsubst %,test/%.t,host host-direct host-small host-64 \
	host-pae host-classes fuzz heap heap-32 run-um suites))

PORT_OBJS := $(patsubst %.c,$(O)/%.o,$(wildcard arch/um/machine/*.c))
HOST_FLAGS = -std=c17 -O2 -g $(HOSTED) $(WARN) -Iinclude -Iarch/um -Ikernel

define hosted
$(O)/$(1)/%.o: $(1)/%.c $(O)/flags
	@mkdir -p $$(@D)
	$$(call say,cc   $$@)
	$$(Q)$$(CC) $$(HOST_FLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call hosted,kernel/um))
$(eval $(call hosted,arch/um/machine))

# SPDX-License-Identifier: MIT
#
# Included by the Makefile with ARCH=x86, and by port.mk of kernel/x86pae and
# kernel/x86_64: how these ports are compiled, linked and run. kernel/x86 is for
# all of them, its directories 32 and 64 as wide as their names.

WIDTH ?= 32
PORT := x86
KERNEL_DIRS := kernel/x86 kernel/x86/$(WIDTH)

# No more alignment of the stack than a word: there is no SSE here.
CLANG := $(findstring clang,$(CC))
TARGET_32 := -m32 $(if $(CLANG),-mstack-alignment=4,-mpreferred-stack-boundary=2)
TARGET_64 := -m64 -mcmodel=kernel -mno-red-zone \
	$(if $(CLANG),-mstack-alignment=8,-mpreferred-stack-boundary=3)
TARGET := $(TARGET_$(WIDTH)) -ffreestanding -fno-pic -fno-pie \
	-fno-stack-protector -mgeneral-regs-only -fcf-protection=none \
	-fno-asynchronous-unwind-tables
LINK_32 := -m elf_i386
LINK_64 := -m elf_x86_64
LINK := $(LD) $(LINK_$(WIDTH)) -static -nostdlib --build-id=none \
	-z noexecstack -z max-page-size=4096 --fatal-warnings \
	-T kernel/x86/$(WIDTH)/link.ld
LINK_NEEDS := kernel/x86/$(WIDTH)/link.ld

IMAGES := verso verso-test
IMAGE_END := .elf
RUNNER := tools/qemu.sh
DEPS := run
BENCH_JSON := build/bench$(if $(filter x86,$(ARCH)),,-$(ARCH)).json

# What only makes a difference to one of them; and what does not boot a kernel is
# tested once, with that of 64 bits.
TESTS_64 := $(patsubst %,test/%.t,qemu-6G qemu-max-direct qemu-q35 \
	qemu-microvm)
TESTS_PAE := $(patsubst %,test/%.t,pae qemu-no-nx)
ifeq ($(WIDTH),64)
TESTS := $(filter-out $(TESTS_PAE),$(TESTS))
else
TESTS := $(filter-out $(TESTS_64) $(TESTS_PAE),$(filter test/qemu-% \
	test/oracle% test/same% test/traces% test/fault-report%,$(TESTS)))
endif

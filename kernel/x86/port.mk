# SPDX-License-Identifier: MIT
#
# Included by the Makefile with ARCH=x86: how this port is compiled, linked and
# run.

STACK_gcc := -mpreferred-stack-boundary=2
STACK_clang := -mstack-alignment=4
MACHINE := -m32 $(STACK_$(findstring clang,$(CC))$(if $(findstring clang,$(CC)),,gcc)) -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-mgeneral-regs-only -fcf-protection=none -fno-asynchronous-unwind-tables
LINK := $(LD) -m elf_i386 -static -nostdlib --build-id=none -z noexecstack \
	-z max-page-size=4096 --fatal-warnings -T kernel/x86/link.ld
LINK_NEEDS := kernel/x86/link.ld

IMAGES := verso verso-test
IMAGE_END := .elf
RUNNER := tools/qemu.sh
DEPS := run
BENCH_JSON := build/bench.json

/* SPDX-License-Identifier: MIT */
/*
 * width.h - what is 64-bit about the 64-bit kernel: what a trap leaves on the
 * stack, what the CPU's tables are made of, where physical memory is mapped.
 */
#ifndef KERNEL_X86_WIDTH_H
#define KERNEL_X86_WIDTH_H

#include <stdint.h>

/* All RAM is mapped from here on, and the kernel's image, from physical address
 * 0 on, in the last 2 GiB, as -mcmodel=kernel wants it: link.ld, boot.S. */
#define X86_PHYSICAL 0xffff800000000000u
#define X86_IMAGE    0xffffffff80000000u

/* What traps.S pushes, and above it what the CPU does, on every trap. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t di, si, bp, bx, dx, cx, ax;
    uint64_t vector;
    uint64_t error;
    uint64_t ip, cs, flags, sp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 176, "as traps.S pushes it");

static inline uint64_t trap_sp(const struct trap_frame *frame)
{
    return frame->sp;
}

/* What jump_call() of traps.S saves. */
struct jump {
    uint64_t sp, bp, bx, r12, r13, r14, r15;
};

/* An entry of the IDT (SDM vol. 3A, figure 6-8). */
struct gate {
    uint16_t entry_0;
    uint16_t selector;
    uint16_t flags; /* and in bits 0..2 the number of a stack in the TSS */
    uint16_t entry_16;
    uint32_t entry_32;
    uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "as the CPU reads it");

#define GATE_INTERRUPT 0x8e00u /* present, ring 0, interrupts off */
#define GATE_STACK_1   0x0001u /* gdt.c: whatever became of the other */

static inline struct gate gate_make(uint64_t entry, bool is_double_fault)
{
    return (struct gate){
        .entry_0 = (uint16_t)entry,
        .selector = SELECTOR_CODE,
        .flags = GATE_INTERRUPT | (is_double_fault ? GATE_STACK_1 : 0),
        .entry_16 = (uint16_t)(entry >> 16),
        .entry_32 = (uint32_t)(entry >> 32),
    };
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * gdt.c - segments: one flat model, as long mode has no other: base and limit
 * are ignored, and a segment says no more than which ring and which mode.
 * (Later %gs carries the base of the per-CPU data, by a register of its own.)
 *
 *     0x08 code   0x10 data   0x18 TSS, two entries long
 *
 * The task state has the addresses of spare stacks. The double fault has the
 * first of them: its handler runs whatever became of the stack in use. A page
 * fault that cannot be entered because the stack has overflowed comes as a
 * double fault.
 *
 * Source: SDM vol. 3A, 3.4.5 and 7.2.3 (descriptors), 7.7 (task state), 6.14.5
 * (spare stacks).
 */
#include "../x86.h"

struct tss {
    uint32_t reserved_0;
    uint32_t ring_stack[6];
    uint32_t reserved_28[2];
    uint32_t spare_stack[14]; /* seven addresses, low half first */
    uint32_t reserved_92[2];
    uint16_t reserved_100, io_map;
};
_Static_assert(sizeof(struct tss) == 104, "as the CPU reads it");

/* Present, ring 0: code, 64-bit; data; a TSS, 64-bit, not busy. */
#define CODE     0x00af9a000000ffffu
#define DATA     0x00cf92000000ffffu
#define TSS_FREE 0x0000890000000000u

static uint64_t gdt[5];
static struct tss tss;
static uint8_t double_fault_stack[8192] __attribute__((aligned(16)));

static void gdt_load(void)
{
    struct table_pointer pointer = {sizeof gdt - 1, (uintptr_t)gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmov %2, %%ds\n\t"
                     "mov %2, %%es\n\t"
                     "mov %2, %%fs\n\t"
                     "mov %2, %%gs\n\t"
                     "mov %2, %%ss\n\t"
                     "ltr %w3"
                     :
                     : "m"(pointer), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA),
                     "r"(SELECTOR_TSS)
                     : "rax", "memory");
}

void gdt_init(void)
{
    const uint64_t at = (uintptr_t)&tss;
    const uint64_t stack =
        (uintptr_t)double_fault_stack + sizeof double_fault_stack;
    tss.spare_stack[0] = (uint32_t)stack;
    tss.spare_stack[1] = (uint32_t)(stack >> 32);
    tss.io_map = sizeof tss; /* none */
    gdt[1] = CODE;
    gdt[2] = DATA;
    gdt[3] = TSS_FREE | (sizeof tss - 1) | (at & 0xffffffu) << 16 |
             (at >> 24 & 0xffu) << 56;
    gdt[4] = at >> 32;
    gdt_load();
}

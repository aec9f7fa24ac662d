/* SPDX-License-Identifier: MIT */
/*
 * gdt.c - segments: one flat model, code and data over all 4 GiB, so that a
 * segment never matters again. (Later %gs carries the base of the per-CPU
 * data: one more descriptor a CPU.)
 *
 *     0x08 code   0x10 data   0x18 TSS   0x20 TSS of the double fault
 *
 * The CPU insists on two task states. The first is where it saves everything
 * on a double fault; the second is the double fault's own: its stack does not
 * depend on the one that overflowed. Nothing else uses tasks. The second's CR3
 * must be the root in use: a kernel that switches roots keeps their kernel
 * halves alike, so the first root does for ever.
 *
 * Source: SDM vol. 3A, 3.4.5 (descriptors), 7.2 (task state).
 */
#include "../x86.h"

struct descriptor {
    uint32_t low, high;
};

#define FLAT_CODE 0x00cf9a00u /* present, ring 0, 4 GiB; execute, read */
#define FLAT_DATA 0x00cf9200u /* present, ring 0, 4 GiB; read, write */
#define TSS_FREE  0x00008900u /* present, ring 0, 32-bit TSS, not busy */

static struct descriptor gdt[5];
static struct tss interrupted;
static struct tss double_fault;
static uint8_t double_fault_stack[8192] __attribute__((aligned(16)));

static struct descriptor gdt_tss(const struct tss *tss)
{
    uint32_t base = (uint32_t)(uintptr_t)tss;
    return (struct descriptor){
        base << 16 | (sizeof *tss - 1),
        (base & 0xff000000u) | TSS_FREE | (base >> 16 & 0xffu),
    };
}

static void gdt_load(void)
{
    struct table_pointer pointer = {sizeof gdt - 1, (uintptr_t)gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "ljmp %1, $1f\n"
                     "1:\tmov %2, %%ds\n\t"
                     "mov %2, %%es\n\t"
                     "mov %2, %%fs\n\t"
                     "mov %2, %%gs\n\t"
                     "mov %2, %%ss\n\t"
                     "ltr %w3"
                     :
                     : "m"(pointer), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA),
                     "r"(SELECTOR_TSS)
                     : "memory");
}

void gdt_init(void)
{
    interrupted.io_map = sizeof interrupted; /* none */
    double_fault = (struct tss){
        .eip = (uint32_t)(uintptr_t)double_fault_entry,
        .eflags = 2, /* the bit that is always set; interrupts off */
        .esp =
            (uint32_t)(uintptr_t)double_fault_stack + sizeof double_fault_stack,
        .cs = SELECTOR_CODE,
        .ss = SELECTOR_DATA,
        .ds = SELECTOR_DATA,
        .es = SELECTOR_DATA,
        .fs = SELECTOR_DATA,
        .gs = SELECTOR_DATA,
        .io_map = sizeof double_fault,
    };
    gdt[1] = (struct descriptor){0x0000ffffu, FLAT_CODE};
    gdt[2] = (struct descriptor){0x0000ffffu, FLAT_DATA};
    gdt[3] = gdt_tss(&interrupted);
    gdt[4] = gdt_tss(&double_fault);
    gdt_load();
}

void gdt_set_root(uint32_t cr3)
{
    double_fault.cr3 = cr3;
}

const struct tss *gdt_interrupted(void)
{
    return &interrupted;
}

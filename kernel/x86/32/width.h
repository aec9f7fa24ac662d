/* SPDX-License-Identifier: MIT */
/*
 * width.h - what is 32-bit about the 32-bit kernel: what a trap leaves on the
 * stack, what the CPU's tables are made of, where physical memory is mapped.
 */
#ifndef KERNEL_X86_WIDTH_H
#define KERNEL_X86_WIDTH_H

#include <stdint.h>

/* Paddr == Vaddr, the kernel's image included. */
#define X86_PHYSICAL 0u
#define X86_IMAGE    0u

/* What traps.S pushes. `pusha_sp` is the stack pointer inside the handler, of
 * no use: the interrupted one is trap_sp(). */
struct trap_frame {
    uint32_t di, si, bp, pusha_sp, bx, dx, cx, ax;
    uint32_t vector;
    uint32_t error;
    uint32_t ip, cs, flags;
};
_Static_assert(sizeof(struct trap_frame) == 52, "as traps.S pushes it");

/* A trap out of ring 0 does not push esp: it stands where the frame ends. */
static inline uint32_t trap_sp(const struct trap_frame *frame)
{
    return (uint32_t)(uintptr_t)(frame + 1);
}

/* What jump_call() of traps.S saves. */
struct jump {
    uint32_t sp, bp, bx, si, di;
};

/* An entry of the IDT (SDM vol. 3A, figure 6-2). */
struct gate {
    uint32_t low, high;
};

#define GATE_INTERRUPT 0x8e00u /* present, ring 0, interrupts off */
#define GATE_TASK      0x8500u

/* The double fault is a task: gdt.c. */
static inline struct gate gate_make(uint32_t entry, bool is_double_fault)
{
    if (is_double_fault)
        return (struct gate){SELECTOR_DOUBLE_FAULT << 16, GATE_TASK};
    return (struct gate){SELECTOR_CODE << 16 | (entry & 0xffffu),
        (entry & 0xffff0000u) | GATE_INTERRUPT};
}

/* Task state: two of them, one to be interrupted, one for the double fault
 * (SDM vol. 3A, figure 7-2). */
struct tss {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2;
    uint32_t cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss) == 104, "as the CPU saves it");

/* gdt.c */
void gdt_set_root(uint32_t cr3); /* for the double fault's task */
const struct tss *gdt_interrupted(void);

/* traps.S; registers.c */
extern char double_fault_entry[];
VERSO_NORETURN void x86_double_fault(void);

#endif

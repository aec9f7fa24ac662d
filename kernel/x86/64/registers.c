/* SPDX-License-Identifier: MIT */
/* registers.c - the registers in a report, 64-bit. */
#include "../x86.h"

void registers_print(const struct trap_frame *r, uintptr_t sp)
{
    verso_print(
        "registers: rax=%016lx rbx=%016lx rcx=%016lx\n", r->ax, r->bx, r->cx);
    verso_print(
        "registers: rdx=%016lx rsi=%016lx rdi=%016lx\n", r->dx, r->si, r->di);
    verso_print(
        "registers: rbp=%016lx rsp=%016lx r8 =%016lx\n", r->bp, sp, r->r8);
    verso_print(
        "registers: r9 =%016lx r10=%016lx r11=%016lx\n", r->r9, r->r10, r->r11);
    verso_print("registers: r12=%016lx r13=%016lx r14=%016lx\n", r->r12, r->r13,
        r->r14);
    verso_print("registers: r15=%016lx rip=%016lx rflags=%08lx\n", r->r15,
        r->ip, r->flags);
    verso_print("registers: cr2=%016lx cr3=%016lx cr4=%08lx\n", read_cr2(),
        read_cr3(), read_cr4());
}

/* SPDX-License-Identifier: MIT */
/*
 * registers.c - the registers in a report, 32-bit; and the double fault, whose
 * registers lie in a task state instead of on the stack (gdt.c).
 */
#include "../x86.h"

void registers_print(const struct trap_frame *r, uintptr_t sp)
{
    verso_print("registers: eax=%08x ebx=%08x ecx=%08x edx=%08x\n", r->ax,
        r->bx, r->cx, r->dx);
    verso_print("registers: esi=%08x edi=%08x ebp=%08x esp=%08zx\n", r->si,
        r->di, r->bp, (size_t)sp);
    verso_print("registers: eip=%08x eflags=%08x cr2=%08zx cr3=%08zx "
                "cr4=%08zx\n",
        r->ip, r->flags, (size_t)read_cr2(), (size_t)read_cr3(),
        (size_t)read_cr4());
}

void x86_double_fault(void)
{
    const struct tss *tss = gdt_interrupted();
    const struct trap_frame frame = {
        .ax = tss->eax,
        .bx = tss->ebx,
        .cx = tss->ecx,
        .dx = tss->edx,
        .si = tss->esi,
        .di = tss->edi,
        .bp = tss->ebp,
        .vector = TRAP_DOUBLE_FAULT,
        .ip = tss->eip,
        .flags = tss->eflags,
    };
    fault_report_double(&frame, tss->esp);
}

/* SPDX-License-Identifier: MIT */
/*
 * trap.c - what becomes of a trap. Each question is asked in this order:
 *
 *     line of an interrupt controller?     idt.c, and go on
 *     step of machine_count_toggles()?     look at the instruction, go on
 *     page fault that Verso handles?       go on, the access is retried
 *     page fault of machine_probe()?       go on at probe_failed
 *     anything else                        report (fault.c), exit
 */
#include "x86.h"

/* The error code of a page fault (SDM vol. 3A, 4.7). Verso's bits are the
 * same ones; the others are not its business. */
#define ERROR_FOR_VERSO                                                        \
    (VERSO_FAULT_PRESENT | VERSO_FAULT_WRITE | VERSO_FAULT_USER |              \
        VERSO_FAULT_EXEC)
_Static_assert(VERSO_FAULT_PRESENT == 1 && VERSO_FAULT_WRITE == 2 &&
                   VERSO_FAULT_USER == 4 && VERSO_FAULT_EXEC == 16,
    "fault.h has chosen the bits of the x86 error code");

static struct {
    bool running;
    size_t toggles;
} step;

/* cli, sti and popf: what turns interrupts on or off. */
static void trap_step(const struct trap_frame *frame)
{
    uint8_t opcode = *(const uint8_t *)(uintptr_t)frame->ip;
    if (frame->ip == (uintptr_t)step_end)
        return;
    if (opcode == 0xfa || opcode == 0xfb || opcode == 0x9d)
        step.toggles++;
}

size_t machine_count_toggles(void (*run)(void *arg), void *arg)
{
    step.toggles = 0;
    step.running = true;
    step_call(run, arg);
    step.running = false;
    return step.toggles;
}

bool machine_probe(const volatile void *address, bool write)
{
    return probe_touch(address, write);
}

static bool trap_is_probe(const struct trap_frame *frame)
{
    return frame->ip == (uintptr_t)probe_load ||
           frame->ip == (uintptr_t)probe_store;
}

static void trap_page_fault(struct trap_frame *frame)
{
    vaddr_t va = read_cr2();
    enum verso_fault answer =
        verso_fault(va, (unsigned)frame->error & ERROR_FOR_VERSO);
    if (answer == VERSO_FAULT_HANDLED || answer == VERSO_FAULT_SPURIOUS)
        return;
    if (trap_is_probe(frame))
        frame->ip = (uintptr_t)probe_failed;
    else
        fault_report_page(frame, va, answer == VERSO_FAULT_NO_MEMORY);
}

void x86_trap(struct trap_frame *frame)
{
    if (frame->vector >= TRAP_IRQ)
        irq_handle((unsigned)frame->vector - TRAP_IRQ);
    else if (frame->vector == TRAP_DEBUG && step.running)
        trap_step(frame);
    else if (frame->vector == TRAP_PAGE_FAULT)
        trap_page_fault(frame);
    else if (frame->vector == TRAP_DOUBLE_FAULT)
        fault_report_double(frame, trap_sp(frame));
    else
        fault_report_other(frame);
}

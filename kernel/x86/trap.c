/* SPDX-License-Identifier: MIT */
/*
 * trap.c - what becomes of a trap. Each question is asked in this order:
 *
 *     page fault that Verso handles?       go on, the access is retried
 *     page fault of machine_access()?      go on at probe_failed
 *     line of an interrupt controller?     idt.c, and go on
 *     step of machine_count_toggles()?     look at the instruction, go on
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

/* What is called by machine_access() now; and what it is to say. */
static struct {
    bool running; /* NULL can be called, too */
    vaddr_t called;
} probe;
int probe_code;

/* No access as a user: this kernel has no such code. */
int machine_access(const volatile void *address, unsigned how)
{
    if (how & VERSO_FAULT_USER)
        return MACHINE_CANNOT;
    if ((how & VERSO_FAULT_EXEC) == 0) {
        int code = probe_read(address);
        if ((how & VERSO_FAULT_WRITE) == 0)
            return code;
        /* what cannot be read is not overwritten: a write faults, too */
        return probe_write(address,
            code == MACHINE_PASSED ? *(const volatile unsigned char *)address
                                   : 0);
    }
    probe.called = (vaddr_t)address;
    probe.running = true;
    int code = probe_call(address);
    probe.running = false;
    return code;
}

void machine_put_return(void *at)
{
    *(volatile unsigned char *)at = 0xc3; /* RET */
}

/* Where a probe that faults goes on; NULL: it is none. */
static const char *probe_exit(uintptr_t ip, vaddr_t va)
{
    if (ip == (uintptr_t)probe_load || ip == (uintptr_t)probe_store)
        return probe_failed;
    return probe.running && ip == va && va == probe.called ? probe_call_failed
                                                           : NULL;
}

/* Nothing that a retry could get over: rights are not what is wrong. */
static bool is_beyond_rights(vaddr_t va, unsigned code)
{
    return (code & MACHINE_RESERVED) || fault_is_guard(va, code);
}

/* No page was made for it. */
static NO_INLINE void trap_page_fault_other(
    struct trap_frame *frame, vaddr_t va, enum verso_fault answer)
{
    if (answer == VERSO_FAULT_SPURIOUS &&
        !is_beyond_rights(va, (unsigned)frame->error))
        return;
    const char *go_on = probe_exit(frame->ip, va);
    if (go_on == NULL)
        fault_report_page(frame, va, answer == VERSO_FAULT_NO_MEMORY);
    probe_code = (int)frame->error;
    frame->ip = (uintptr_t)go_on;
}

static void trap_page_fault(struct trap_frame *frame)
{
    vaddr_t va = read_cr2();
    enum verso_fault answer =
        verso_fault(va, (unsigned)frame->error & ERROR_FOR_VERSO);
    if (answer != VERSO_FAULT_HANDLED)
        trap_page_fault_other(frame, va, answer);
}

void x86_trap(struct trap_frame *frame)
{
    if (frame->vector == TRAP_PAGE_FAULT)
        trap_page_fault(frame);
    else if (frame->vector >= TRAP_IRQ)
        irq_handle((unsigned)frame->vector - TRAP_IRQ);
    else if (frame->vector == TRAP_DEBUG && step.running)
        trap_step(frame);
    else if (frame->vector == TRAP_DOUBLE_FAULT)
        fault_report_double(frame, trap_sp(frame));
    else
        fault_report_other(frame);
}

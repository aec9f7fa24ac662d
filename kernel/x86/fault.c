/* SPDX-License-Identifier: MIT */
/*
 * fault.c - the report of a fault that nobody owns, and of a panic:
 *
 *     fault: ...          what, where, and what is there     (../fault.c)
 *     registers: ...
 *     backtrace: ...
 *
 * then exit with a failing code. The most certain lines come first: a fault
 * while reporting (the tables may be what is broken) is told in one line that
 * calls nobody, and ends it.
 */
#include "x86.h"

static const char *const trap_names[32] = {
    [0] = "divide error",
    [1] = "debug exception",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range exceeded",
    [6] = "invalid opcode",
    [7] = "no coprocessor",
    [8] = "double fault",
    [10] = "invalid task state",
    [11] = "segment not present",
    [12] = "stack segment fault",
    [13] = "general protection fault",
    [14] = "page fault",
    [16] = "floating-point error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD floating-point error",
};

static unsigned reports;

/* Before anything else of a report: is this the first one? */
static void report_begin(uintptr_t ip)
{
    reports++;
    if (reports == 1)
        return;
    if (reports == 2)
        verso_print("\nfault: another one while reporting, at 0x%08zx, address "
                    "0x%08zx: giving up\n",
            (size_t)ip, (size_t)read_cr2());
    machine_exit(1);
}

static VERSO_NORETURN void report_end(
    const struct trap_frame *frame, uintptr_t sp)
{
    registers_print(frame, sp);
    backtrace_print(frame->ip, sp);
    machine_exit(1);
}

void fault_report_page(
    const struct trap_frame *frame, vaddr_t va, bool no_memory)
{
    report_begin(frame->ip);
    fault_print(&(struct fault){.va = va,
        .instruction = frame->ip,
        .code = (unsigned)frame->error,
        .no_memory = no_memory});
    report_end(frame, trap_sp(frame));
}

void fault_report_other(const struct trap_frame *frame)
{
    const char *name = trap_names[frame->vector];
    report_begin(frame->ip);
    verso_print("\nfault: %s (exception %u, error code 0x%x)\nfault: ",
        name ? name : "reserved exception", (unsigned)frame->vector,
        (unsigned)frame->error);
    fault_print_place(frame->ip);
    report_end(frame, trap_sp(frame));
}

/* The CPU could not even enter the first fault's handler. With CR2 at the end
 * of the stack, it had no stack to enter it on. */
void fault_report_double(const struct trap_frame *frame, uintptr_t sp)
{
    vaddr_t va = read_cr2();
    report_begin(frame->ip);
    if (va >= (vaddr_t)kernel_guard && va < (vaddr_t)kernel_stack)
        verso_print("\nfault: stack overflow: the kernel stack [%p, %p) has "
                    "run into the guard page below it\n",
            (void *)kernel_stack, (void *)kernel_stack_top);
    else
        verso_print("\nfault: double fault (exception 8)\n");
    verso_print("fault: address 0x%08zx, ", va);
    fault_print_place(frame->ip);
    verso_report_walk(va);
    report_end(frame, sp);
}

/* ---- panics ---- */

/* The machine_catch_panic() that is under way. */
static struct {
    bool armed;
    char *message;
    size_t room;
    struct jump jump;
} catch;

bool machine_catch_panic(
    void (*run)(void *), void *arg, char *message, size_t room)
{
    catch.message = message;
    catch.room = room;
    catch.armed = true;
    bool panicked = jump_call(&catch.jump, run, arg);
    catch.armed = false;
    return panicked;
}

void machine_panic(const char *message)
{
    if (catch.armed) {
        verso_format(catch.message, catch.room, "%s", message);
        jump_back(&catch.jump);
    }
    reports++;
    if (reports <= 2)
        verso_print("\npanic: %s\n", message);
    if (reports == 1)
        backtrace_here();
    machine_exit(1);
}

/* SPDX-License-Identifier: MIT */
/*
 * fault.c - what becomes of a fault, and the reports of faults and panics.
 *
 *     touch of a simulated page -> arch/um walks the tables
 *         translated                go on
 *         fault -> fault_take()     Verso's, a probe's, or a report
 *     signal that is not the simulated machine's -> on_signal()
 *         a probe's                 "it faulted"
 *         a sanitizer is there      it reports
 *         else                      a report
 *
 * A report is that of ../fault.c and a backtrace by frame pointers: the port is
 * compiled with them, and arch/um's trampoline makes such a frame too. Then the
 * process ends with exit status 1.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "probe.h"
#include "um_kernel.h"

#define BACKTRACE_DEPTH 24
#define SPURIOUS_MAX    100 /* at one address: then it is no such fault */
#define STACK_NEAR      0x10000u
/* Of the host's error code; everything here is a user to the host. */
#define ERROR_FOR_VERSO                                                        \
    (VERSO_FAULT_PRESENT | VERSO_FAULT_WRITE | VERSO_FAULT_EXEC)

/* arch/um's: where the fault that is being delivered happened. */
extern uintptr_t um_resume_ip;
extern char etext[]; /* the linker's: the end of all code */

struct place {
    uintptr_t ip, sp, bp;
};

static struct {
    uintptr_t stack_top;
    unsigned reports;
} fault;

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static struct sigaction before[ARRAY_COUNT(signals)];

/* ---- reports ---- */

const char *machine_symbol(vaddr_t address, size_t *offset)
{
    struct symbol symbol = symbol_find(address, (vaddr_t)etext);
    *offset = address - symbol.start;
    return symbol.name;
}

/* Is this the first report? A fault while reporting is told in one line. */
static void report_begin(uintptr_t ip)
{
    fault.reports++;
    if (fault.reports == 1)
        return;
    if (fault.reports == 2)
        verso_print("\nfault: another one while reporting, at 0x%08zx: "
                    "giving up\n",
            (size_t)ip);
    machine_exit(1);
}

/* `back`: a return address may be the first byte of the next function. */
static bool backtrace_line(uintptr_t address, size_t back)
{
    size_t offset;
    const char *name = machine_symbol(address - back, &offset);
    if (name == NULL)
        return false;
    verso_print(
        "backtrace: 0x%08zx %s+0x%zx\n", (size_t)address, name, offset + back);
    return true;
}

/* Frames lie above each other; libc's, below main(), have no names. */
static void backtrace_print(const struct place *place)
{
    uintptr_t bp = place->bp, low = place->sp;

    (void)backtrace_line(place->ip, 0);
    for (int i = 0; i < BACKTRACE_DEPTH; i++) {
        if (bp < low || bp % sizeof(bp) != 0 ||
            bp > fault.stack_top - 2 * sizeof(bp))
            return;
        const uintptr_t *frame = (const uintptr_t *)bp;
        if (!backtrace_line(frame[1], 1))
            return;
        low = bp + 1;
        bp = frame[0];
    }
    verso_print("backtrace: ...\n");
}

static VERSO_NORETURN void report_end(const struct place *place)
{
    backtrace_print(place);
    machine_exit(1);
}

/* ---- faults of the simulated machine ---- */

/* Between a fault and its handler lie the frames of the machine: past them, to
 * the one whose return address is where it happened. */
static uintptr_t frame_of(uintptr_t ip, uintptr_t bp)
{
    const uintptr_t *frame = (const uintptr_t *)bp;
    while (frame[1] != ip && frame[0] > (uintptr_t)frame &&
           frame[0] <= fault.stack_top - 2 * sizeof(bp))
        frame = (const uintptr_t *)frame[0];
    return frame[1] == ip ? frame[0] : bp;
}

static VERSO_NORETURN void report_page(
    uintptr_t va, unsigned code, const struct place *place, bool no_memory)
{
    report_begin(place->ip);
    fault_print(&(struct fault){.va = va,
        .instruction = place->ip,
        .code = code,
        .no_memory = no_memory});
    report_end(place);
}

/* Run by the machine on the stack of the access; see um.h. */
NO_INLINE void fault_take(uintptr_t va, unsigned code)
{
    static uintptr_t last;
    static unsigned repeated;
    uintptr_t ip = um_resume_ip;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    enum verso_fault answer =
        code & MACHINE_RESERVED ? VERSO_FAULT_NOT_OURS : verso_fault(va, code);
    bool again = answer == VERSO_FAULT_SPURIOUS && va == last;
    repeated = again ? repeated + 1 : 0;
    last = va;
    if (answer == VERSO_FAULT_HANDLED ||
        (answer == VERSO_FAULT_SPURIOUS && repeated < SPURIOUS_MAX))
        return;
    probe_fault(code);
    report_page(va, code, &(struct place){ip, here, frame_of(ip, here)},
        answer == VERSO_FAULT_NO_MEMORY);
}

/* May be in a signal handler, with the machine in no state to be asked. */
void fault_machine_check(const char *what, uintptr_t va)
{
    verso_print("\nfault: machine check: %s (0x%08zx)\n", what, (size_t)va);
    machine_exit(1);
}

/* ---- signals that are not the simulated machine's ---- */

static VERSO_NORETURN void report_outside(
    uintptr_t va, unsigned code, const struct place *place)
{
    report_begin(place->ip);
    if (va + STACK_NEAR - place->sp < 2 * STACK_NEAR)
        verso_print("\nfault: stack overflow: the process's stack is full\n");
    fault_print(
        &(struct fault){.va = va, .instruction = place->ip, .code = code});
    verso_print("fault: the address is not the simulated machine's, but of "
                "the process around it\n");
    report_end(place);
}

static VERSO_NORETURN void report_signal(int number, const struct place *place)
{
    report_begin(place->ip);
    verso_print("\nfault: %s (signal %d)\nfault: ",
        number == SIGILL   ? "invalid opcode"
        : number == SIGFPE ? "arithmetic"
                           : "no memory of the host behind a page",
        number);
    fault_print_place(place->ip);
    report_end(place);
}

static size_t signal_index(int number)
{
    size_t i = 0;
    while (i + 1 < ARRAY_COUNT(signals) && signals[i] != number)
        i++;
    return i;
}

/* The report reads tables through the mirror: more such signals. Nothing
 * returns from here to what was interrupted. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    const ucontext_t *user = context;
    const greg_t *regs = user->uc_mcontext.gregs;
    const struct sigaction *next = &before[signal_index(number)];
    const struct place place = {(uintptr_t)regs[REG_EIP],
        (uintptr_t)regs[REG_ESP], (uintptr_t)regs[REG_EBP]};
    sigset_t all;

    if (number == SIGSEGV)
        probe_fault((unsigned)regs[REG_ERR] & ERROR_FOR_VERSO);
    if ((next->sa_flags & SA_SIGINFO) && next->sa_sigaction) {
        next->sa_sigaction(number, info, context);
        return;
    }
    sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    if (number == SIGSEGV)
        report_outside((uintptr_t)info->si_addr,
            (unsigned)regs[REG_ERR] & ERROR_FOR_VERSO, &place);
    report_signal(number, &place);
}

void fault_init(void *stack_top)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    fault.stack_top = (uintptr_t)stack_top;
    action.sa_sigaction = on_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
        (void)sigaction(signals[i], &action, &before[i]);
}

/* ---- panics ---- */

NO_INLINE void machine_panic(const char *message)
{
    const uintptr_t *frame = __builtin_frame_address(0);
    const struct place place = {
        (uintptr_t)__builtin_return_address(0), (uintptr_t)frame, frame[0]};

    probe_panic(message);
    fault.reports++;
    if (fault.reports <= 2)
        verso_print("\npanic: %s\n", message);
    if (fault.reports == 1)
        backtrace_print(&place);
    machine_exit(1);
}

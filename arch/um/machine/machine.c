/* SPDX-License-Identifier: MIT */
/*
 * machine - a 32-bit x86 MMU in a Linux process.
 *
 * RAM is a file in memory (memfd). The host's own mappings are the TLB:
 *
 *   simulated VA          host                          RAM (memfd)
 *   UM_WINDOW +--------+
 *             | page   |  not mapped: SIGSEGV -> walk
 *             | page   |  mapped: a cached translation ---> page of RAM
 *             | ...    |
 *             +--------+
 *   um_ram() -> +----------------------------------------> all of RAM, past
 *                                                          the tables
 *
 * A touched page that is not mapped raises SIGSEGV; the handler walks the
 * simulated tables, sets accessed and dirty, and maps that one page of RAM at
 * the address: a TLB fill. Only an invalidation, a root load, or a full TLB
 * takes it away again, so an invalidation that the code under test forgets
 * leaves a stale page behind, and a mirror of the tables works because
 * the walk does not know that there is one. Code runs natively between.
 *
 * Rules kept from the hardware (Intel SDM vol. 3A, 4.7, 4.8, 4.10):
 *   1. only a walk that succeeds is cached, and sets accessed.
 *   2. a page is mapped writable only when the entry allows writing and dirty
 *      is set in it; a first write to a clean one walks again.
 *   3. a write to a translation cached without the right to write faults,
 *      whatever the tables say by now; the fault drops that translation.
 *   4. a large page is cached in fragments of 4 KiB; invalidating any address
 *      in it drops them all. Where a small page is filled while fragments of
 *      a large one are still there, or the reverse, and what is cached says
 *      another frame, another cache type or more rights, the machine stops:
 *      the hardware may do anything then (AMD erratum 383: a machine check).
 *   5. write protection holds for the supervisor too (CR0.WP), and the
 *      supervisor may use user pages.
 *   6. execution is not checked: 2-level tables cannot forbid it.
 *   7. entries for tables are cached if asked for (UM=pdecache=1), present ones
 *      only; a walk uses the cached one. A root load, a fault at an address of
 *      theirs, or any single invalidation drops them (4.10.4.1).
 *
 * A fault is delivered to the handler by returning from the signal to a piece
 * of assembly that saves the registers, calls it on the interrupted stack, and
 * retries: the handler is ordinary code. SIGSEGV outside the window goes to
 * whoever had it before (the sanitizers).
 *
 * What hardware may do and mostly does not, is done on demand: temper.c. What
 * should have been invalidated is found by audit.c.
 *
 * Cost: a fill 5 us, an invalidation 3 us (a system call), a hit nothing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "inside.h"

#define um um_machine

#ifndef __i386__
#error "32-bit tables need a 32-bit process: build with -m32"
#endif

struct um_machine um_machine;

static struct sigaction next_action; /* who had SIGSEGV before */

/* What the trampoline needs, from the signal to its first instructions. */
uint32_t um_resume_ip, um_fault_va, um_fault_code;
void um_trampoline(void);
void um_deliver(uint32_t va, uint32_t code);

/* A frame like a called function's, so that a backtrace finds the access; room
 * for fxsave is made on the interrupted stack, aligned to 16 bytes. */
__asm__("    .text\n"
        "    .globl um_trampoline\n"
        "um_trampoline:\n"
        "    pushl um_resume_ip\n"
        "    pushl %ebp\n"
        "    movl %esp, %ebp\n"
        "    pushfl\n"
        "    pushal\n"
        "    movl %esp, %ebx\n"
        "    subl $544, %esp\n"
        "    andl $-16, %esp\n"
        "    fxsave 16(%esp)\n"
        "    cld\n"
        "    movl um_fault_va, %eax\n"
        "    movl %eax, 0(%esp)\n"
        "    movl um_fault_code, %eax\n"
        "    movl %eax, 4(%esp)\n"
        "    call um_deliver\n"
        "    fxrstor 16(%esp)\n"
        "    movl %ebx, %esp\n"
        "    popal\n"
        "    popfl\n"
        "    popl %ebp\n"
        "    ret\n");

void um_die(const char *what)
{
    fprintf(stderr, "um: %s: %s\n", what, strerror(errno));
    abort();
}

/* An access that the host refused. True: retry it. */
static bool access_resolve(uintptr_t va, bool write, unsigned *code)
{
    size_t page = um_page_of(va);
    if (!um.on)
        um.config.machine_check("the window is used before paging is on", va);
    if (write && um.tlb[page] && !(um.entry[page] & ENTRY_W)) {
        um_drop(page);
        um_drop_upper(page / LARGE_PAGES);
        *code = UM_FAULT_PRESENT | UM_FAULT_WRITE;
        return false;
    }
    if (um.tlb[page] & CACHED_BUS)
        um.config.machine_check("no memory at the physical address cached",
            um.entry[page] & ENTRY_FRAME);
    return um_walk(va, write, code);
}

/* ---- signals ---- */

static void chain(int signal, siginfo_t *info, void *context)
{
    if (next_action.sa_flags & SA_SIGINFO) {
        next_action.sa_sigaction(signal, info, context);
        return;
    }
    if (next_action.sa_handler != SIG_DFL &&
        next_action.sa_handler != SIG_IGN) {
        next_action.sa_handler(signal);
        return;
    }
    /* by default: die of it, when the instruction is tried again */
    sigaction(SIGSEGV, &next_action, NULL);
}

static void on_segv(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    greg_t *regs = user->uc_mcontext.gregs;
    uintptr_t va = (uintptr_t)info->si_addr;
    int saved_errno = errno;
    unsigned code;
    if (info->si_code <= 0 || info->si_code == SI_KERNEL || !um_is_window(va)) {
        chain(signal, info, context);
        return;
    }
    if (!access_resolve(va, (regs[REG_ERR] & 2) != 0, &code)) {
        um.stats.faults++;
        um_resume_ip = (uint32_t)regs[REG_EIP];
        um_fault_va = va;
        um_fault_code = code;
        regs[REG_EIP] = (greg_t)(uintptr_t)um_trampoline;
    }
    errno = saved_errno;
}

/* Called by the trampoline, on the stack of the access. */
void um_deliver(uint32_t va, uint32_t code)
{
    um.config.fault(va, code);
}

/* ---- what the CPU does ---- */

void um_invalidate(uintptr_t va)
{
    if (!um_is_window(va))
        return;
    size_t page = um_page_of(va);
    size_t slot = page / LARGE_PAGES;
    um.stats.invalidations++;
    um_mischief_at(page);
    um_note(page);
    um_drop_uppers();
    um_drop(page);
    for (size_t i = 0; um.fragments[slot] > 0 && i < LARGE_PAGES; i++)
        if (um.tlb[slot * LARGE_PAGES + i] & CACHED_LARGE)
            um_drop(slot * LARGE_PAGES + i);
    um_maybe_evict(page);
}

void um_invalidate_all(void)
{
    um.stats.flushes++;
    um_mischief_at(um_random(PAGES));
    um_drop_all();
}

void um_root_load(uint32_t root_pfn)
{
    um.root = root_pfn * PAGE;
    um.on = true;
    um_invalidate_all();
}

void um_reset(void)
{
    um.on = false;
    um_drop_all();
}

uint32_t um_root(void)
{
    return um.root / PAGE;
}

bool um_is_on(void)
{
    return um.on;
}

bool um_has_large(void)
{
    return !um.config.no_large;
}

unsigned char *um_ram(void)
{
    return um.ram;
}

const struct um_stats *um_stats(void)
{
    return &um.stats;
}

/*
 * The end of a signal, rt_sigreturn, as any other system call. Linux's own for
 * 32-bit processes is an int 0x80, of which some virtual machines make 7 us:
 * more than all the rest of a fill. The call stores 16 bytes into the signal's
 * frame, where the kernel reads no more.
 */
__asm__("    .text\n"
        "um_restorer:\n"
        "    addl $16, %esp\n"
        "    movl $173, %eax\n" /* rt_sigreturn */
        "    call *%gs:16\n");  /* the C library's: __kernel_vsyscall */
void um_restorer(void);

/* The C library has no way to say this; it and the sanitizers have seen the
 * rest of the action by now. */
static void restorer_init(const struct sigaction *action)
{
    const unsigned long flags = (unsigned long)action->sa_flags | 0x04000000;
    const unsigned long kernel_action[] = {
        (unsigned long)action->sa_sigaction, flags, (unsigned long)um_restorer,
        0, 0};
    if (syscall(SYS_rt_sigaction, SIGSEGV, kernel_action, NULL, 8) != 0)
        um_die("rt_sigaction");
}

/* A signal stack, unless the sanitizer has made one: the interrupted stack may
 * itself be in the window, or full. */
static void signals_init(void)
{
    static unsigned char stack[65536];
    stack_t old;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE)) {
        stack_t mine = {.ss_sp = stack, .ss_size = sizeof(stack)};
        if (sigaltstack(&mine, NULL) != 0)
            um_die("sigaltstack");
    }
    action.sa_sigaction = on_segv;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &next_action) != 0)
        um_die("sigaction");
    restorer_init(&action);
}

void um_init(const struct um_config *config)
{
    um.config = *config;
    um_temper_init();
    um.fd = memfd_create("um-ram", MFD_CLOEXEC);
    if (um.fd < 0 || ftruncate(um.fd, (off_t)config->ram_bytes) != 0)
        um_die("no memory for the simulated RAM");
    um.ram = mmap(
        NULL, config->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, um.fd, 0);
    if (um.ram == MAP_FAILED)
        um_die("cannot map the simulated RAM");
    void *window = mmap((void *)UM_WINDOW, UM_WINDOW_BYTES, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1,
        0);
    if (window != (void *)UM_WINDOW)
        um_die("the window's addresses are in use");
    signals_init();
}

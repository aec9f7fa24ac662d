/* SPDX-License-Identifier: MIT */
/*
 * machine - an x86 MMU in a Linux process: 2 levels in a 32-bit one, 4 or 5 in
 * a 64-bit one (geometry.h).
 *
 * RAM is a file in memory (memfd). The host's own mappings are the TLB:
 *
 *   simulated VA          host                          RAM (memfd)
 *   um_window() +--------+
 *               | page   |  not mapped: SIGSEGV -> walk
 *               | page   |  mapped: a cached translation ---> page of RAM
 *               | ...    |
 *               +--------+
 *   um_ram() ---> +----------------------------------------> all of RAM, past
 *                                                            the tables
 *
 * A touched page that is not mapped raises SIGSEGV; the handler walks the
 * simulated tables, sets accessed and dirty, and maps that one page of RAM at
 * the address: a TLB fill. Only an invalidation, a root load, or a full TLB
 * takes it away again, so an invalidation that the code under test forgets
 * leaves a stale page behind, and a mirror of the tables works because
 * the walk does not know that there is one. Code runs natively between.
 *
 * Rules kept from the hardware (Intel SDM vol. 3A, 4.6 to 4.10):
 *   1. only a walk that succeeds is cached, and sets accessed in the page's
 *      entry. One that meets a reserved bit does not succeed.
 *   2. a page is mapped writable only when the entry allows writing and dirty
 *      is set in it; a first write to a clean one walks again.
 *   3. an access that a cached translation does not allow faults, whatever the
 *      tables say by now; the fault drops that translation.
 *   4. a large page is cached in fragments of 4 KiB, only those touched;
 *      invalidating any address in it drops them all. Where a page is filled
 *      while there are translations of another size for it, and what is cached
 *      says another frame, another cache type or more rights, the machine
 *      stops: the hardware may do anything then (AMD erratum 383: a machine
 *      check).
 *   5. rights are those that all levels grant. Write protection holds for the
 *      supervisor too (CR0.WP), and the supervisor may use user pages.
 *   6. in user mode the host maps no page that is not a user's; they stay
 *      cached, and are mapped again when the supervisor touches them.
 *   7. entries for tables, of all levels, are cached if asked for
 *      (UM=pdecache=1), present ones only, with the rights of those above; a
 *      walk starts at the lowest. A root load, a fault at an address of
 *      theirs, or any single invalidation drops them (4.10.4.1).
 *   8. a global page survives root loads (CR4.PGE) and the invalidations of an
 *      identifier, nothing else, and is used whatever identifier is current.
 *   9. all else is cached for the identifier (PCID) that is current, and used
 *      and dropped for that one only: by a root load for the one it loads, if
 *      it does not keep; by a single invalidation, or a fault, for the current
 *      one. An invalidation of an identifier and an address drops the entries
 *      for tables on the way there only (INVPCID type 0). Where a page is
 *      cached both for the identifier and as global, its own is used.
 *
 * A fault is delivered to the handler by returning from the signal to a piece
 * of assembly (trampoline.c) that calls it on the interrupted stack and
 * retries: the handler is ordinary code. SIGSEGV outside the windows goes to
 * whoever had it before (the sanitizers).
 *
 * Five levels: an address is a host pointer and below 2^47, so the index at the
 * root is always 0. A mirror in another entry of that root is out of reach:
 * only code that finds its tables through um_ram() can have five.
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

#ifdef __x86_64__
#define REG_PC REG_RIP
#else
#define REG_PC REG_EIP
#endif

struct um_machine um_machine;

static struct sigaction next_action; /* who had SIGSEGV before */

/* trampoline.c */
extern uintptr_t um_resume_ip, um_fault_va, um_fault_code;
void um_trampoline(void);
void um_deliver(uintptr_t va, unsigned code);

void um_die(const char *what)
{
    fprintf(stderr, "um: %s: %s\n", what, strerror(errno));
    abort();
}

/* The handler may leave by longjmp: to the supervisor. */
void um_machine_check(const char *what, uintptr_t va)
{
    um.user = false;
    um.config.machine_check(what, va);
    abort();
}

bool um_is_window(uintptr_t va)
{
    for (unsigned i = 0; i < um.windows; i++)
        if (va - um.config.window[i].start < um.config.window[i].bytes)
            return true;
    return false;
}

/* An access that the host refused. True: retry it. */
static bool access_resolve(uintptr_t va, unsigned access, unsigned *code)
{
    struct um_cached *c = um_cached_at(va);
    if (!um.on)
        um_machine_check("the window is used before paging is on", va);
    if (c && !um_allows(c->entry, access)) {
        um_drop(c);
        um_drop_uppers_of(um.id, va);
        *code = access | UM_FAULT_PRESENT;
        return false;
    }
    if (c && !um_is_ram(c->entry & UM_ENTRY_FRAME))
        um_machine_check("no memory at the physical address cached",
            (uintptr_t)(c->entry & UM_ENTRY_FRAME));
    if (c && !c->open) {
        um_open(c);
        return true;
    }
    return um_walk(va, access, code);
}

/* ---- user mode ---- */

static void user_enter(void)
{
    um.user = true;
    for (size_t i = 0; i < um.tlb.count; i++) {
        struct um_cached *c = &um.tlb.at[i];
        if (c->open && !(c->entry & UM_ENTRY_U))
            um_open(c);
    }
}

bool um_user_leave(void)
{
    const bool was_user = um.user;
    um.user = false;
    return was_user;
}

void um_user_return(bool was_user)
{
    if (was_user)
        user_enter();
}

void um_user(void (*run)(void *arg), void *arg)
{
    user_enter();
    run(arg);
    um.user = false;
}

/* Called by the trampoline, on the stack of the access. */
void um_deliver(uintptr_t va, unsigned code)
{
    const bool was_user = um_user_leave();
    um.config.fault(va, code);
    um_user_return(was_user);
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

/* The host's error code has the same bits; valgrind's does not tell fetches. */
static unsigned access_of(const greg_t *regs, uintptr_t va)
{
    unsigned access = (unsigned)regs[REG_ERR];
    if (va == (uintptr_t)regs[REG_PC])
        access |= UM_FAULT_FETCH;
    access &= UM_FAULT_WRITE | (UM_ENTRY_NX ? UM_FAULT_FETCH : 0);
    return access | (um.user ? UM_FAULT_USER : 0);
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
    if (!access_resolve(va, access_of(regs, va), &code)) {
        um.stats.faults++;
        um_resume_ip = (uintptr_t)regs[REG_PC];
        um_fault_va = va;
        um_fault_code = code;
        regs[REG_PC] = (greg_t)(uintptr_t)um_trampoline;
    }
    errno = saved_errno;
}

/* ---- what the CPU does ---- */

/* Of an address where no page can be cached, too: rule 7. */
void um_invalidate(uintptr_t va)
{
    um_point(__builtin_return_address(0));
    um.stats.invalidations++;
    um_mischief_at(va);
    um_drop_uppers(um.id);
    if (um_is_window(va)) {
        um_note(va);
        um_drop_page(um.id, va);
        um_drop_page(UM_GLOBAL, va);
    }
    um_maybe_evict(va);
}

void um_invalidate_all(void)
{
    um_point(__builtin_return_address(0));
    um.stats.flushes++;
    um_mischief_at(um_random_va());
    um_drop_all();
}

void um_id_check(unsigned id)
{
    if (id >= UM_IDS || (id > 0 && !um_has_ids()))
        um_machine_check("an identifier that there is not", id);
}

static void invalidate_id_check(unsigned id)
{
    if (!um_has_invalidate_id())
        um_machine_check("INVPCID, which this machine has not", id);
    um_id_check(id);
}

/* Rule 9: of one address no more than what leads there. */
void um_invalidate_id(unsigned id, uintptr_t va)
{
    um_point(__builtin_return_address(0));
    invalidate_id_check(id);
    um.stats.invalidations++;
    um_mischief_at(va);
    um_drop_uppers_of(id, va);
    if (um_is_window(va)) {
        um_note(va);
        um_drop_page(id, va);
    }
    um_maybe_evict(va);
}

void um_invalidate_id_all(unsigned id)
{
    um_point(__builtin_return_address(0));
    invalidate_id_check(id);
    um.stats.flushes++;
    um_mischief_at(um_random_va());
    um_drop_id(id);
}

/* The old root is walked until it is not the root any more. */
static void root_switch(uint32_t root_pfn, unsigned id, bool keep)
{
    um_id_check(id);
    if (keep && !um_has_ids())
        um_machine_check("a root load that keeps, without identifiers", id);
    um_mischief_at(um_random_va());
    if (keep)
        um.stats.kept++;
    else
        um.stats.flushes++;
    if (!keep)
        um_drop_id(id);
    um_id_set(id);
    um.root = (um_phys_t)root_pfn * PAGE;
    um.ids[id].root = um.root;
    um.on = true;
}

void um_root_switch(uint32_t root_pfn, unsigned id, bool keep)
{
    um_point(__builtin_return_address(0));
    root_switch(root_pfn, id, keep);
}

void um_root_load(uint32_t root_pfn)
{
    um_point(__builtin_return_address(0));
    root_switch(root_pfn, 0, false);
}

void um_reset(void)
{
    um.on = false;
    um_drop_all();
    um.id = 0;
    memset(um.ids, 0, sizeof(um.ids));
}

unsigned um_id(void)
{
    return um.id;
}

uint32_t um_root(void)
{
    return (uint32_t)(um.root / PAGE);
}

bool um_is_on(void)
{
    return um.on;
}

unsigned um_levels(void)
{
    return um.config.levels;
}

bool um_has_large(unsigned level)
{
    return level > 0 && level <= UM_LARGE_LEVELS && !um.config.no_large &&
           (level < 2 || !um.config.no_huge);
}

bool um_has_global(void)
{
    return !um.config.no_global;
}

bool um_has_ids(void)
{
    return UM_IDS > 1 && !um.config.no_ids;
}

bool um_has_invalidate_id(void)
{
    return UM_IDS > 1 && !um.config.no_invalidate_id;
}

uintptr_t um_window(void)
{
    return um.config.window[0].start;
}

unsigned um_mirror_slot(void)
{
    return um.config.mirror_slot;
}

unsigned char *um_ram(void)
{
    return um.ram;
}

const struct um_stats *um_stats(void)
{
    return &um.stats;
}

#ifdef __i386__
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

#endif

/* The C library has no way to say this; it and the sanitizers have seen the
 * rest of the action by now. */
static void restorer_init(const struct sigaction *action)
{
#ifdef __i386__
    const unsigned long flags = (unsigned long)action->sa_flags | 0x04000000;
    const unsigned long kernel_action[] = {(unsigned long)action->sa_sigaction,
        flags, (unsigned long)um_restorer, 0, 0};
    if (syscall(SYS_rt_sigaction, SIGSEGV, kernel_action, NULL, 8) != 0)
        um_die("rt_sigaction");
#else
    (void)action; /* 64-bit ones return by a system call that is cheap */
#endif
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

void um_config_low(struct um_config *config)
{
    const unsigned top = UM_LEVELS - 1, slot = 8;
    config->no_reserve = true;
    config->mirror_slot = 2 * slot;
    config->window[0] = (struct um_range){slot * um_span(top), um_span(top)};
    config->window[1] =
        (struct um_range){2 * slot * um_span(top), um_span(top)};
}

static void refuse(const char *what, unsigned long long asked)
{
    fprintf(stderr, "um: um_init: %s: 0x%llx\n", what, asked);
    abort();
}

static void config_check(const struct um_config *config)
{
    if (config->ram_bytes == 0 || config->ram_bytes % PAGE != 0)
        refuse("ram_bytes is not whole pages", config->ram_bytes);
    if (config->levels < UM_LEVELS || config->levels > UM_LEVELS_MAX)
        refuse("levels that there are not", config->levels);
    if (config->mirror_slot >> UM_INDEX_BITS != 0)
        refuse("mirror_slot is no index of a table", config->mirror_slot);
}

/* What is not asked for. A mirror fills what its entry of a root of UM_LEVELS
 * is for. */
static void config_complete(struct um_config *config)
{
    const uintptr_t slot = um_span(UM_LEVELS - 1);
    config->levels = config->levels ? config->levels : UM_LEVELS;
    config->mirror_slot =
        config->mirror_slot ? config->mirror_slot : UM_MIRROR_SLOT;
    config_check(config);
    if (config->window[0].bytes == 0) {
        config->window[0] = (struct um_range){UM_WINDOW, UM_WINDOW_BYTES};
        if (config->mirror_slot * slot - UM_WINDOW >= UM_WINDOW_BYTES)
            config->window[1] =
                (struct um_range){config->mirror_slot * slot, slot};
    }
    for (um.windows = 0; um.windows < UM_WINDOWS_MAX; um.windows++)
        if (config->window[um.windows].bytes == 0)
            break;
}

static void windows_reserve(void)
{
    for (unsigned i = 0; i < um.windows; i++) {
        const struct um_range *w = &um.config.window[i];
        void *at = mmap((void *)w->start, w->bytes, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
            -1, 0);
        if (at == (void *)w->start)
            continue;
        if (at != MAP_FAILED || errno == EEXIST)
            refuse("a window's addresses are in use", w->start);
        fprintf(stderr, "um: a window of 0x%zx bytes at %p\n", w->bytes,
            (void *)w->start);
        um_die("cannot reserve it");
    }
}

void um_init(const struct um_config *config)
{
    um.config = *config;
    config_complete(&um.config);
    um.fd = memfd_create("um-ram", MFD_CLOEXEC);
    if (um.fd < 0 || ftruncate(um.fd, (off_t)config->ram_bytes) != 0)
        um_die("no memory for the simulated RAM");
    um.ram = mmap(
        NULL, config->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, um.fd, 0);
    if (um.ram == MAP_FAILED)
        um_die("cannot map the simulated RAM");
    if (!um.config.no_reserve)
        windows_reserve();
    um_temper_init();
    signals_init();
}

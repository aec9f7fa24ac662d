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
 *      a large one are still there, or the reverse, the machine stops: the
 *      hardware may do anything then (AMD erratum 383: a machine check).
 *   5. write protection holds for the supervisor too (CR0.WP), and the
 *      supervisor may use user pages.
 *   6. execution is not checked: 2-level tables cannot forbid it.
 *
 * A fault is delivered to the handler by returning from the signal to a piece
 * of assembly that saves the registers, calls it on the interrupted stack, and
 * retries: the handler is ordinary code. SIGSEGV outside the window goes to
 * whoever had it before (the sanitizers).
 *
 * Cost: a fill 5 us, an invalidation 3 us (a system call), a hit nothing.
 * This will grow: more CPUs, eviction and speculation on demand.
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
#include <ucontext.h>
#include <unistd.h>

#include "um.h"

#ifndef __i386__
#error "32-bit tables need a 32-bit process: build with -m32"
#endif

#define PAGE 4096u

/* The entry bits the walk looks at. */
#define ENTRY_P     0x001u
#define ENTRY_W     0x002u
#define ENTRY_A     0x020u
#define ENTRY_D     0x040u
#define ENTRY_PS    0x080u
#define ENTRY_FRAME 0xfffff000u
#define ENTRY_LARGE 0xffc00000u

/* A cached translation, one byte a page of the window; 0: none. */
#define CACHED       1u
#define CACHED_W     2u /* the tables allowed writing at the fill */
#define CACHED_D     4u /* dirty was set: mapped writable */
#define CACHED_LARGE 8u /* a fragment of a 4-MiB page */

#define PAGES       (UM_WINDOW_BYTES / PAGE)
#define LARGE_BYTES 0x400000u
#define LARGE_PAGES (LARGE_BYTES / PAGE)
#define SLOTS       (PAGES / LARGE_PAGES)

/* Mappings of the host are limited (vm.max_map_count, 65,530). */
#define TLB_SIZE 4000u

static struct {
    struct um_config config;
    int fd;
    unsigned char *ram;
    bool on;
    uint32_t root; /* physical address */
    unsigned char tlb[PAGES];
    unsigned short fragments[SLOTS]; /* of the cached: of large pages */
    unsigned short small[SLOTS];     /* and the others, by 4-MiB slot */
    struct um_stats stats;
    struct sigaction next; /* who had SIGSEGV before */
} um;

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

static void die(const char *what)
{
    fprintf(stderr, "um: %s: %s\n", what, strerror(errno));
    abort();
}

static bool is_window(uintptr_t va)
{
    return va - UM_WINDOW < UM_WINDOW_BYTES;
}

static size_t page_of(uintptr_t va)
{
    return (va - UM_WINDOW) / PAGE;
}

static uintptr_t va_of(size_t page)
{
    return UM_WINDOW + page * PAGE;
}

/* ---- the TLB ---- */

static void window_close(uintptr_t va, size_t bytes)
{
    void *at = mmap((void *)va, bytes, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        die("cannot close part of the window");
}

static unsigned short *tlb_count(size_t page, unsigned kind)
{
    return (kind & CACHED_LARGE) ? &um.fragments[page / LARGE_PAGES]
                                 : &um.small[page / LARGE_PAGES];
}

static void tlb_forget(size_t page)
{
    --*tlb_count(page, um.tlb[page]);
    um.tlb[page] = 0;
    um.stats.cached--;
}

static void tlb_drop(size_t page)
{
    if (um.tlb[page] == 0)
        return;
    tlb_forget(page);
    window_close(va_of(page), PAGE);
}

static void tlb_drop_all(void)
{
    if (um.stats.cached == 0)
        return;
    memset(um.tlb, 0, sizeof(um.tlb));
    memset(um.fragments, 0, sizeof(um.fragments));
    memset(um.small, 0, sizeof(um.small));
    um.stats.cached = 0;
    window_close(UM_WINDOW, UM_WINDOW_BYTES);
}

static void tlb_fill(size_t page, uint32_t pa, unsigned kind)
{
    if (pa - UM_RAM_START >= um.config.ram_bytes)
        um.config.machine_check("no memory at that physical address", pa);
    if (um.stats.cached >= TLB_SIZE) {
        um.stats.evictions++;
        tlb_drop_all();
    }
    if (um.tlb[page])
        tlb_forget(page);
    if (*tlb_count(page, kind ^ CACHED_LARGE) > 0)
        um.config.machine_check("two page sizes for an address", va_of(page));
    void *at = mmap((void *)va_of(page), PAGE,
        (kind & CACHED_D) ? PROT_READ | PROT_WRITE : PROT_READ,
        MAP_SHARED | MAP_FIXED, um.fd, (off_t)(pa - UM_RAM_START));
    if (at == MAP_FAILED)
        die("cannot fill the TLB");
    um.tlb[page] = (unsigned char)kind;
    ++*tlb_count(page, kind);
    um.stats.cached++;
    um.stats.fills++;
}

/* ---- the walk ---- */

/* The entry at a physical address, and NULL for one that is not in RAM. */
static uint32_t *entry_at(uint32_t pa)
{
    uint32_t offset = pa - UM_RAM_START;
    if (offset >= um.config.ram_bytes)
        um.config.machine_check("a table outside of RAM", pa);
    return (uint32_t *)(void *)(um.ram + offset);
}

/* Translates and caches. Returns 0, or the error code of a fault with bit 2
 * (user) never set; *ok says which. */
static bool walk(uintptr_t va, bool write, unsigned *code)
{
    uint32_t *upper = entry_at(um.root + 4 * (va >> 22));
    uint32_t *leaf = upper;
    uint32_t pa;
    bool large = false;
    *code = write ? UM_FAULT_WRITE : 0;
    if (!(*upper & ENTRY_P))
        return false;
    if ((*upper & ENTRY_PS) && !um.config.no_large) {
        large = true;
        pa = (*upper & ENTRY_LARGE) | (va & (LARGE_BYTES - PAGE));
    } else {
        leaf = entry_at((*upper & ENTRY_FRAME) + 4 * ((va >> 12) & 1023));
        if (!(*leaf & ENTRY_P))
            return false;
        pa = *leaf & ENTRY_FRAME;
    }
    bool writable = (*upper & *leaf & ENTRY_W) != 0;
    if (write && !writable) {
        *code |= UM_FAULT_PRESENT;
        return false;
    }
    *upper |= ENTRY_A;
    *leaf |= ENTRY_A | (write ? ENTRY_D : 0);
    tlb_fill(page_of(va), pa,
        CACHED | (large ? CACHED_LARGE : 0) | (writable ? CACHED_W : 0) |
            (writable && (*leaf & ENTRY_D) ? CACHED_D : 0));
    return true;
}

/* An access that the host refused. True: retry it. */
static bool access_resolve(uintptr_t va, bool write, unsigned *code)
{
    size_t page = page_of(va);
    unsigned char cached = um.tlb[page];
    if (!um.on)
        um.config.machine_check("the window is used before paging is on", va);
    if (write && cached && !(cached & CACHED_W)) {
        tlb_drop(page);
        *code = UM_FAULT_PRESENT | UM_FAULT_WRITE;
        return false;
    }
    return walk(va, write, code);
}

/* ---- signals ---- */

static void chain(int signal, siginfo_t *info, void *context)
{
    if (um.next.sa_flags & SA_SIGINFO) {
        um.next.sa_sigaction(signal, info, context);
        return;
    }
    if (um.next.sa_handler != SIG_DFL && um.next.sa_handler != SIG_IGN) {
        um.next.sa_handler(signal);
        return;
    }
    /* by default: die of it, when the instruction is tried again */
    sigaction(SIGSEGV, &um.next, NULL);
}

static void on_segv(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    greg_t *regs = user->uc_mcontext.gregs;
    uintptr_t va = (uintptr_t)info->si_addr;
    int saved_errno = errno;
    unsigned code;
    if (info->si_code <= 0 || info->si_code == SI_KERNEL || !is_window(va)) {
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
    if (!is_window(va))
        return;
    size_t page = page_of(va);
    size_t slot = page / LARGE_PAGES;
    um.stats.invalidations++;
    tlb_drop(page);
    for (size_t i = 0; um.fragments[slot] > 0 && i < LARGE_PAGES; i++)
        if (um.tlb[slot * LARGE_PAGES + i] & CACHED_LARGE)
            tlb_drop(slot * LARGE_PAGES + i);
}

void um_invalidate_all(void)
{
    um.stats.flushes++;
    tlb_drop_all();
}

void um_root_load(uint32_t root_pfn)
{
    um.root = root_pfn * PAGE;
    um.on = true;
    um_invalidate_all();
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
            die("sigaltstack");
    }
    action.sa_sigaction = on_segv;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &um.next) != 0)
        die("sigaction");
}

void um_init(const struct um_config *config)
{
    um.config = *config;
    um.fd = memfd_create("um-ram", MFD_CLOEXEC);
    if (um.fd < 0 || ftruncate(um.fd, (off_t)config->ram_bytes) != 0)
        die("no memory for the simulated RAM");
    um.ram = mmap(
        NULL, config->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, um.fd, 0);
    if (um.ram == MAP_FAILED)
        die("cannot map the simulated RAM");
    void *window = mmap((void *)UM_WINDOW, UM_WINDOW_BYTES, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1,
        0);
    if (window != (void *)UM_WINDOW)
        die("the window's addresses are in use");
    signals_init();
}

/* SPDX-License-Identifier: MIT */
/*
 * main.c - the heap's suites over a back that is not Verso's: a Linux process
 * with plain addresses, 64 or 32 bits wide, page faults by SIGSEGV. This file
 * is what an embedder of libverso-heap.a writes beside back.c (host.h, the
 * fault handler, the boot structure), and kernel/machine.h as far as the
 * suites want it.
 *
 * Environment: SEED, SUITE (name or name/test).
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <verso/area.h>
#include <verso/fault.h>
#include <verso/host.h>
#include <verso/init.h>

#include "../../kernel/machine.h"
#include "../test.h"
#include "back.h"

#define HEAP_PAGES   (sizeof(void *) > 4 ? 0x60000u : 0x20000u)
#define WINDOW_PAGES 0x4000u
#define FRAMES       0x4000u

static struct {
    struct verso_boot boot;
    vaddr_t window;
    sigjmp_buf panic_back, probe_back;
    bool catching, probing, in_interrupt;
    char *message;
    size_t room;
} host;

/* ---- host.h ---- */

void verso_host_panic(const char *message)
{
    if (!host.catching)
        back_bail_out("%s", message);
    host.catching = false;
    snprintf(host.message, host.room, "%s", message);
    siglongjmp(host.panic_back, 1);
}

void verso_host_log(const char *text, size_t bytes)
{
    fwrite(text, 1, bytes, stdout);
}

void verso_host_yield(void)
{
}

bool verso_host_in_interrupt(void)
{
    return host.in_interrupt;
}

/* ---- machine.h ---- */

void machine_pretend_interrupt(bool running)
{
    host.in_interrupt = running;
}

void *machine_pages(size_t pages)
{
    return calloc(pages, VERSO_PAGE_SIZE);
}

void machine_pages_free(void *address, size_t pages)
{
    (void)pages;
    free(address);
}

const struct verso_boot *machine_boot(void)
{
    return &host.boot;
}

/* Code, users and fault codes are not for these suites. */
int machine_access(const volatile void *address, unsigned how)
{
    volatile unsigned char *byte = (volatile unsigned char *)(uintptr_t)address;
    int code = VERSO_FAULT_PRESENT;
    if (how & ~VERSO_FAULT_WRITE)
        return MACHINE_CANNOT;
    host.probing = true;
    if (sigsetjmp(host.probe_back, 1) == 0) {
        unsigned char value = *byte;
        if (how & VERSO_FAULT_WRITE)
            *byte = value;
        code = MACHINE_PASSED;
    }
    host.probing = false;
    return code;
}

bool machine_catch_panic(
    void (*run)(void *), void *arg, char *message, size_t room)
{
    host.message = message;
    host.room = room;
    host.catching = true;
    if (sigsetjmp(host.panic_back, 1) != 0)
        return true;
    run(arg);
    host.catching = false;
    return false;
}

vaddr_t test_window(size_t *pages)
{
    *pages = WINDOW_PAGES;
    return host.window;
}

/* ---- page faults ---- */

/* The code that faulted is a test's, never Verso's: it may be called. */
static void on_segv(int signal_number, siginfo_t *info, void *context)
{
    const ucontext_t *user = context;
    vaddr_t va = (vaddr_t)info->si_addr;
    unsigned code =
        (user->uc_mcontext.gregs[REG_ERR] & 2) != 0 ? VERSO_FAULT_WRITE : 0;
    (void)signal_number;
    if (back_is_committed(va))
        code |= VERSO_FAULT_PRESENT;
    if (back_has(va) && verso_fault(va, code) == VERSO_FAULT_HANDLED)
        return;
    if (!host.probing)
        back_bail_out("fault at %p, code %u", (void *)va, code);
    siglongjmp(host.probe_back, 1);
}

int main(int argc, char **argv)
{
    const char *suite = argc > 1 ? argv[1] : getenv("SUITE");
    const char *seed = getenv("SEED");
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_seed = seed != NULL ? strtoull(seed, NULL, 0) : 0;
    action.sa_sigaction = on_segv;
    sigaction(SIGSEGV, &action, NULL);
    void *start = back_init(HEAP_PAGES + WINDOW_PAGES, FRAMES);
    if (start == NULL)
        back_bail_out("no addresses");
    host.boot.heap_start = (vaddr_t)start;
    host.boot.heap_pages = HEAP_PAGES;
    host.window = (vaddr_t)start + (HEAP_PAGES * VERSO_PAGE_SIZE);
    int err = verso_init(&host.boot);
    if (err != 0)
        back_bail_out("init: %s", verso_err_name(err));
    return test_main(suite) == 0 ? 0 : 1;
}

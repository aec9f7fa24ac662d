/* SPDX-License-Identifier: MIT */
/* probe.c - see probe.h. What is tried is left by siglongjmp. */
#define _GNU_SOURCE
#include <setjmp.h>

#include <machine/um.h>
#include <verso/fault.h>
#include <verso/util.h>

#include "machine.h"
#include "probe.h"

static struct {
    sigjmp_buf access_back, panic_back;
    bool trying, catching;
    int code; /* what machine_access() is to say */
    char *message;
    size_t room;
} probe;

struct access {
    volatile unsigned char *byte;
    unsigned how;
};

static void access_do(void *arg)
{
    const struct access *access = arg;
    if (access->how & VERSO_FAULT_EXEC) {
        ((void (*)(void))(uintptr_t)access->byte)();
        return;
    }
    if (access->how & VERSO_FAULT_WRITE) /* one access, which writes */
        __asm__ volatile("lock orb $0, %0" : "+m"(*access->byte));
    else
        (void)*access->byte;
}

int machine_access(const volatile void *address, unsigned how)
{
    struct access access = {(volatile unsigned char *)(uintptr_t)address, how};
    probe.code = MACHINE_PASSED;
    probe.trying = true;
    if (sigsetjmp(probe.access_back, 1) == 0) {
        if (how & VERSO_FAULT_USER)
            um_user(access_do, &access);
        else
            access_do(&access);
    }
    probe.trying = false;
    return probe.code;
}

void probe_fault(unsigned code)
{
    if (!probe.trying)
        return;
    probe.code = (int)code;
    siglongjmp(probe.access_back, 1);
}

bool machine_guards_users(unsigned how)
{
    (void)how; /* the machine has no SMEP, no SMAP */
    return false;
}

void machine_open_users(bool open)
{
    (void)open; /* they always are */
}

void machine_put_return(void *at)
{
    *(volatile unsigned char *)at = 0xc3; /* RET */
}

bool machine_catch_panic(
    void (*run)(void *), void *arg, char *message, size_t room)
{
    probe.message = message;
    probe.room = room;
    probe.catching = true;
    if (sigsetjmp(probe.panic_back, 1) != 0)
        return true;
    run(arg);
    probe.catching = false;
    return false;
}

void probe_panic(const char *message)
{
    if (!probe.catching)
        return;
    probe.catching = false;
    verso_format(probe.message, probe.room, "%s", message);
    siglongjmp(probe.panic_back, 1);
}

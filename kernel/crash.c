/* SPDX-License-Identifier: MIT */
/*
 * crash.c - faults on purpose, so that their reports can be seen and tested:
 * `crash=HOW` on the command line. None of them returns, if all is well.
 */
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

static const uint32_t constant[1] = {1};

static void crash_null(void)
{
    (void)*(const volatile uint32_t *)0;
}

static void crash_rodata(void)
{
    *(volatile uint32_t *)(uintptr_t)constant = 2;
}

static void crash_ud2(void)
{
    __builtin_trap();
}

/* Runs over the end of the stack, page by page. The pointer hides from the
 * compiler that it never ends. */
static void crash_stack(void);
static void (*volatile crash_again)(void) = crash_stack;

static void crash_stack(void)
{
    volatile char page[1024];
    page[0] = 1;
    crash_again();
    page[1] = page[0];
}

/* One byte behind an area with guards. */
static void crash_guard(void)
{
    struct verso_area_request request = {
        .pages = 2, .flags = VERSO_AREA_GUARD, .name = "crash"};
    volatile char *area = verso_area_alloc_as(&request);
    if (area)
        area[2 * VERSO_PAGE_SIZE] = 1;
}

/* Jumps to where there is no code. */
static void crash_jump(void)
{
    void (*volatile nowhere)(void) = (void (*)(void))(uintptr_t)0x50000000u;
    nowhere();
}

/* Calls NULL. */
static void crash_call(void)
{
    void (*volatile nobody)(void) = NULL;
    nobody();
}

/* A page of users: where the machine keeps the kernel from it, that is. */
static volatile unsigned char *users_page(unsigned flags)
{
    pfn_t frame = verso_frame_alloc1(VERSO_ZONE_ANY);
    vaddr_t va = machine_test_window();
    if (pfn_is_none(frame) || verso_map(va, frame, 1, VERSO_RW) != VERSO_OK)
        return NULL;
    machine_put_return((void *)va);
    if (verso_protect(va, 1, flags | VERSO_USER) != VERSO_OK)
        return NULL;
    return (volatile unsigned char *)va;
}

static void crash_users(void)
{
    (void)*users_page(VERSO_RW);
}

static void crash_users_call(void)
{
    void (*volatile theirs)(void) =
        (void (*)(void))(uintptr_t)users_page(VERSO_RX);
    theirs();
    theirs = NULL;
}

/* The same object twice. */
static void crash_free(void)
{
    void *object = verso_alloc(64);
    void *volatile again = object;
    verso_free(object);
    verso_free(again);
    again = NULL; /* so that it is called from here, not jumped to */
}

static const struct {
    const char *name;
    void (*run)(void);
} crashes[] = {
    {"null", crash_null},     /* read of page 0 */
    {"rodata", crash_rodata}, /* write to read-only data */
    {"guard", crash_guard},   /* write behind an area */
    {"jump", crash_jump},     /* execution of nothing */
    {"call", crash_call},     /* call of NULL */
    {"users", crash_users},   /* read of a page of users */
    {"users-call", crash_users_call}, {"ud2", crash_ud2}, /* invalid opcode */
    {"stack", crash_stack}, /* overflow: a double fault */
    {"free", crash_free},   /* double free: a panic */
};

int crash_run(const char *how)
{
    for (size_t i = 0; i < ARRAY_COUNT(crashes); i++) {
        if (text_equal(crashes[i].name, how)) {
            crashes[i].run();
            verso_print("crash: %s went by unnoticed\n", how);
            return 1;
        }
    }
    verso_print("crash: no such crash: %s; there are:", how);
    for (size_t i = 0; i < ARRAY_COUNT(crashes); i++)
        verso_print(" %s", crashes[i].name);
    verso_print("\n");
    return 1;
}

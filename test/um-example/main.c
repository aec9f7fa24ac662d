/* SPDX-License-Identifier: MIT */
/*
 * main.c - somebody else's page tables on the machine of arch/um: nothing of
 * Verso is linked. Usage: um-example [mended]. Without the word, unmap()
 * forgets its invalidation, as such code does, and the audit says where.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <um.h>

/* ---- the code under test ---- */

#define PRESENT_WRITABLE 3u

static uint32_t free_pa = UM_RAM_START;
static uint32_t *root;
static bool mended;

static uint32_t *memory_at(uint32_t pa)
{
    return (uint32_t *)(void *)(um_ram() + (pa - UM_RAM_START));
}

static uint32_t frame_alloc(void)
{
    free_pa += 4096;
    memset(memory_at(free_pa - 4096), 0, 4096);
    return free_pa - 4096;
}

static void map(uintptr_t va, uint32_t pa)
{
    uint32_t *upper = &root[va >> 22];
    if (*upper == 0)
        um_store(upper, frame_alloc() | PRESENT_WRITABLE);
    um_store(
        memory_at(*upper & ~4095u) + (va >> 12 & 1023), pa | PRESENT_WRITABLE);
}

static void unmap(uintptr_t va)
{
    um_store(memory_at(root[va >> 22] & ~4095u) + (va >> 12 & 1023), 0);
    if (mended)
        um_invalidate(va);
}

/* ---- what the machine asks for ---- */

static void on_fault(uintptr_t va, unsigned code)
{
    printf("page fault at 0x%lx, code %u\n", (unsigned long)va, code);
    exit(1);
}

static void on_machine_check(const char *what, uintptr_t va)
{
    printf("machine check: %s (0x%lx)\n", what, (unsigned long)va);
    exit(1);
}

int main(int argc, char **argv)
{
    struct um_config config = {.ram_bytes = 1u << 20,
        .fault = on_fault,
        .machine_check = on_machine_check};
    mended = argc > 1 && strcmp(argv[1], "mended") == 0;
    um_init(&config);
    uint32_t root_pa = frame_alloc();
    root = memory_at(root_pa);
    um_root_load(root_pa / 4096);
    for (uintptr_t va = UM_WINDOW; va < UM_WINDOW + 0x8000; va += 0x1000) {
        map(va, frame_alloc());
        *(volatile uint32_t *)va = 1;
    }
    unmap(UM_WINDOW + 0x3000);
    size_t stale = um_audit(um_audit_print);
    printf("%zu stale\n", stale);
    return stale == 0 ? 0 : 3;
}

/* SPDX-License-Identifier: MIT */
/*
 * main.c - somebody else's page tables on the machine of arch/um: nothing of
 * Verso is linked. Usage: um-example [mended]. Without the word, unmap()
 * forgets its invalidation, as such code does, and the audit says where. Two
 * levels in a 32-bit process, four in a 64-bit one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <um.h>

/* ---- the code under test ---- */

#define PRESENT_WRITABLE 3u

static um_phys_t free_pa = UM_RAM_START;
static um_entry_t *root;
static bool mended;

static um_entry_t *memory_at(um_phys_t pa)
{
    return (um_entry_t *)(void *)(um_ram() + (pa - UM_RAM_START));
}

static um_phys_t frame_alloc(void)
{
    free_pa += 4096;
    memset(memory_at(free_pa - 4096), 0, 4096);
    return free_pa - 4096;
}

/* Of a page; tables on the way are made. */
static um_entry_t *entry_of(uintptr_t va)
{
    um_entry_t *table = root;
    for (unsigned level = um_levels() - 1; level > 0; level--) {
        um_entry_t *upper = &table[um_index(va, level)];
        if (*upper == 0)
            um_store(upper, frame_alloc() | PRESENT_WRITABLE);
        table = memory_at(*upper & UM_ENTRY_FRAME);
    }
    return &table[um_index(va, 0)];
}

static void map(uintptr_t va, um_phys_t pa)
{
    um_store(entry_of(va), pa | PRESENT_WRITABLE);
}

static void unmap(uintptr_t va)
{
    um_store(entry_of(va), 0);
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
    um_phys_t root_pa = frame_alloc();
    root = memory_at(root_pa);
    um_root_load((uint32_t)(root_pa / 4096));
    const uintptr_t window = um_window();
    for (uintptr_t va = window; va < window + 0x8000; va += 0x1000) {
        map(va, frame_alloc());
        *(volatile uint32_t *)va = 1;
    }
    unmap(window + 0x3000);
    size_t stale = um_audit(um_audit_print);
    printf("%zu stale\n", stale);
    return stale == 0 ? 0 : 3;
}

/* SPDX-License-Identifier: MIT */
/*
 * um.h - the simulated machine: RAM, page tables in it, a TLB. Theory in
 * machine.c. Usable by anyone's page-table code for 32-bit x86; nothing of
 * Verso is needed.
 */
#ifndef ARCH_UM_UM_H
#define ARCH_UM_UM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Virtual addresses that the machine translates: [UM_WINDOW, UM_WINDOW +
 * UM_WINDOW_BYTES). All others are the process's own. */
#define UM_WINDOW       0x60000000u
#define UM_WINDOW_BYTES 0x40000000u

/* Where RAM starts, physically: not 0, so that a physical address that is
 * taken for an offset is noticed. */
#define UM_RAM_START 0x01000000u

/* The entry of the root for a mirror: the last 4 MiB of the window. */
#define UM_MIRROR_SLOT 639u

/* Error code of a fault: bits 0 (a translation was there), 1 (write). */
#define UM_FAULT_PRESENT 1u
#define UM_FAULT_WRITE   2u

struct um_config {
    size_t ram_bytes; /* page multiple */
    bool no_large;    /* no 4-MiB pages */
    /* The page-fault handler. Runs on the stack of the code that faulted, not
     * inside a signal handler: it may touch the window, fault again, longjmp
     * away. When it returns, the access is tried again. */
    void (*fault)(uintptr_t va, unsigned code);
    /* What no machine survives; must not return. May be called in a signal
     * handler. */
    void (*machine_check)(const char *what, uintptr_t va);
};

/* Makes RAM and reserves the window; once. The structure is copied. */
void um_init(const struct um_config *config);

/* RAM as the host sees it, past the simulated tables: byte 0 of it is physical
 * address UM_RAM_START. */
unsigned char *um_ram(void);

/* What the CPU does. A root load keeps nothing; paging is off before the
 * first, and every access to the window is a machine check then. */
void um_root_load(uint32_t root_pfn);
uint32_t um_root(void);
bool um_is_on(void);
bool um_has_large(void);
void um_invalidate(uintptr_t va);
void um_invalidate_all(void);

struct um_stats {
    size_t cached; /* translations in the TLB now */
    size_t fills;
    size_t invalidations; /* of single pages */
    size_t flushes;       /* of everything */
    size_t evictions;     /* of everything, because the TLB was full */
    size_t faults;        /* given to the handler */
};
const struct um_stats *um_stats(void);

#endif

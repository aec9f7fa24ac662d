/* SPDX-License-Identifier: MIT */
/*
 * adopt.h - page tables as a kernel makes them that has never heard of Verso,
 * for Verso to adopt. Supplied by adopt.c; whoever starts the machine calls
 * adopt_make() and loads the root, before verso_init().
 */
#ifndef TEST_ADOPT_H
#define TEST_ADOPT_H

#include <verso/init.h>

/* What one thing of the host's is made wrong, for a start that must fail. */
enum adopt_mistake {
    ADOPT_RIGHT,
    ADOPT_MIRROR_TAKEN, /* an entry stands where the mirror is to be */
    ADOPT_HEAP_TAKEN,
    ADOPT_TABLE_FREE, /* a table in memory that is not reserved */
    ADOPT_TABLE_FAR,  /* one beyond the frame array */
    ADOPT_TWO_LEVELS, /* one table at two levels */
    ADOPT_TWO_RIGHTS, /* one table under entries with different rights */
    ADOPT_FIXED       /* what is fixed is mapped to another frame */
};

struct adopt_host {
    struct verso_boot *boot; /* `fixed` and the accessor are used */
    uint64_t pool;           /* pages for tables and things, reserved */
    size_t pages;
    uint64_t free;   /* a page that is not reserved */
    unsigned levels; /* of tables */
    bool large;      /* pages of level 1 */
    bool huge;       /* of level 2 */
    vaddr_t extra;   /* 16 entries of level 2 or 1, for the host's own things */
    unsigned own_slot;  /* entry of the root, for a thing of the host's own */
    unsigned self_slot; /* entry of the root, for a mirror of the host's */
    const char *skip;   /* the fixed mapping that the host has not made */
    enum adopt_mistake mistake;
};

/* Makes the tables, sets boot->adopt; returns the frame of the root. */
uint32_t adopt_make(const struct adopt_host *host);

#endif

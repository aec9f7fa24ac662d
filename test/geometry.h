/* SPDX-License-Identifier: MIT */
/*
 * geometry.h - what suites above paging want to know of the port's mmu.h,
 * without including it. Supplied by conformance.c.
 */
#ifndef TEST_GEOMETRY_H
#define TEST_GEOMETRY_H

#include <verso/types.h>

/* From this frame on there is no RAM; aligned for the largest page. */
pfn_t geometry_nowhere(void);
/* Levels of tables, and how many bits of an address they translate. */
unsigned geometry_levels(void);
unsigned geometry_va_bits(void);
/* Pages in a large page, of the smallest kind; 0: this machine has none. */
size_t geometry_large_pages(void);
/* The same of the kind above it, where Verso makes such pages: with the direct
 * map. */
size_t geometry_huge_pages(void);
/* Pages that one table of the lowest level maps. */
size_t geometry_table_pages(void);

/* Are the tables right below the root made at init, for all of the heap? */
bool geometry_keeps_upper(void);

/* The entry of va at a level, by the accessor that Verso uses: where it is, and
 * as a number. Setting it invalidates everything. */
void *geometry_entry_at(vaddr_t va, unsigned level);
uint64_t geometry_entry(vaddr_t va, unsigned level);
void geometry_entry_set(vaddr_t va, unsigned level, uint64_t raw);
uint32_t geometry_raw_pfn(uint64_t raw);
/* Its bits that let users in, and that make a page global. */
uint64_t geometry_user_bit(void);
uint64_t geometry_global_bit(void);

/* Is there a mirror, and can it be read? */
bool geometry_has_mirror(void);
/* The mirror: where it starts, and how many pages it is. */
vaddr_t geometry_mirror(size_t *pages);
/* Where the mirror shows the entry of va at level 0. */
vaddr_t geometry_mirror_entry(vaddr_t va);
/* The frame that the entry at this address names. */
uint32_t geometry_entry_pfn(vaddr_t entry);
/* Do the entries of va, which is mapped by a small page, all let users in? */
bool geometry_user_reaches(vaddr_t va);
/* The frame of the root in use: of several, that with the entry of va. */
pfn_t geometry_root(vaddr_t va);

#endif

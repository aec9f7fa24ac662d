/* SPDX-License-Identifier: MIT */
/*
 * tables.h - what the 32-bit kernel must know of its page tables, which are of
 * one of two kinds: the port's (arch/x86, arch/x86pae).
 */
#ifndef KERNEL_X86_TABLES_H
#define KERNEL_X86_TABLES_H

#if VERSO_X86_PAE
#define TABLES_KIND  "x86pae, 32-bit with PAE"
#define TABLES_BITS  9u    /* of an address that choose an entry */
#define TABLES_SLOT  2040u /* of the mirror, where nobody chooses one */
#define TABLES_SLOTS 4u
#define TABLES_CPUID 0x140u      /* 1, EDX: PAE, and CMPXCHG8B */
#define TABLES_LIMIT 0xff000000u /* what is below, others may have */
#else
#define TABLES_KIND  "x86, 32-bit, two levels"
#define TABLES_BITS  10u
#define TABLES_SLOT  1022u
#define TABLES_SLOTS 1u
#define TABLES_CPUID 0u
#define TABLES_LIMIT 0xff800000u
#endif

/* Bytes that an entry of the root is for, as a logarithm. */
#define TABLES_SHIFT (VERSO_PAGE_SHIFT + TABLES_BITS)

#endif

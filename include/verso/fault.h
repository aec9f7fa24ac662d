/* SPDX-License-Identifier: MIT */
/*
 * fault.h - the page-fault handler's first question: is it ours?
 */
#ifndef VERSO_FAULT_H
#define VERSO_FAULT_H

#include <verso/types.h>

/* Decoded by the port from the machine's error code. */
#define VERSO_FAULT_PRESENT 0x1u /* a right was missing, not the page */
#define VERSO_FAULT_WRITE   0x2u
#define VERSO_FAULT_USER    0x4u
#define VERSO_FAULT_EXEC    0x10u

enum verso_fault {
    VERSO_FAULT_HANDLED,   /* a page was made: retry */
    VERSO_FAULT_SPURIOUS,  /* the tables allow it already: retry */
    VERSO_FAULT_NO_MEMORY, /* ours, but no frame or table was left */
    VERSO_FAULT_NOT_OURS,  /* a wild access: report it */
};

/*
 * To be called by the host's page-fault handler, on its normal stack, where
 * the interrupted code may have had interrupts on or off, but may not be
 * inside Verso (Verso's own data are never lazy: NOT_OURS then). Of what
 * forbids an access beyond the rights of its page (x86: reserved bits, SMEP,
 * SMAP) Verso knows nothing: it says SPURIOUS, and a host that retries faults
 * again.
 */
VERSO_MUST_CHECK enum verso_fault verso_fault(vaddr_t va, unsigned code);

#endif

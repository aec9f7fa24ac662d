/* SPDX-License-Identifier: MIT */
/*
 * probe.h - accesses that are tried and panics that are waited for, as
 * machine.h has them, on the simulated machine: for the kernel and for
 * test/host alike. Whoever handles faults and panics asks here first.
 */
#ifndef KERNEL_UM_PROBE_H
#define KERNEL_UM_PROBE_H

/* Of a fault that nobody owns: back to machine_access(), which says this code;
 * returns if none is under way. */
void probe_fault(unsigned code);

/* Of a panic: back to machine_catch_panic(), if one is waited for. */
void probe_panic(const char *message);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * um_kernel.h - what the files of kernel/um share. The port is the reference
 * kernel as a Linux process, on the simulated machine of arch/um:
 *
 *     start.c     arguments, RAM, layout of the addresses, main()
 *     console.c   standard input and output
 *     fault.c     faults, panics, backtraces
 *     probe.c     accesses and panics that are tried; test/host has it too
 *     figures.c   `bench`: what the simulated machine itself costs
 */
#ifndef KERNEL_UM_KERNEL_H
#define KERNEL_UM_KERNEL_H

#include <machine/um.h>
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

/* console.c */
void console_init(void);

/* fault.c: signals are taken over before um_init(), which passes on to them
 * what is not its own. */
void fault_init(void *stack_top);
void fault_take(uintptr_t va, unsigned code);
void fault_machine_check(const char *what, uintptr_t va);

#endif

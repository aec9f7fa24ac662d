/* SPDX-License-Identifier: MIT */
/*
 * glue.h - what glue.c does for a main() on the simulated machine, beside
 * host.h and kernel/machine.h.
 */
#ifndef TEST_HOST_GLUE_H
#define TEST_HOST_GLUE_H

#include <stdbool.h>
#include <stddef.h>

struct verso_boot;

/* From the environment: the machine, a boot structure, verso_init(). Ends the
 * process if that fails. */
void glue_start(void);

/* The machine only; the boot structure is then the caller's to fill. */
void glue_start_machine(void);
struct verso_boot *glue_boot(void);

/* What Verso prints goes nowhere; panics and bail-outs are still told. */
void glue_quiet(bool quiet);

#endif

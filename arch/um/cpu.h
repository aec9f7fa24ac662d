/* SPDX-License-Identifier: MIT */
/*
 * cpu.h of the port: one simulated CPU, which nothing interrupts; with
 * -DUM_INTERRUPTS=1, only where a test asks for it (um_interrupt); or, with
 * -DCPU_COUNT_MAX=2u, the machine's CPUs (machine/cpus.c), to which each of
 * these is a point where another may have its turn. The first needs no
 * machine: the heap alone is built so, for any process.
 */
#ifndef VERSO_ARCH_CPU_H
#define VERSO_ARCH_CPU_H

#include <stdint.h>

#ifndef CPU_COUNT_MAX
#define CPU_COUNT_MAX 1u
#endif

#ifndef UM_INTERRUPTS
#define UM_INTERRUPTS (CPU_COUNT_MAX > 1)
#endif

#if UM_INTERRUPTS

#include "machine/um.h"

static inline uintptr_t cpu_irq_save(void)
{
    return um_irq_save();
}

static inline void cpu_irq_restore(uintptr_t flags)
{
    um_irq_restore(flags);
}

#else

static inline uintptr_t cpu_irq_save(void)
{
    return 0;
}

static inline void cpu_irq_restore(uintptr_t flags)
{
    (void)flags;
}

#endif

#if CPU_COUNT_MAX > 1

static inline unsigned cpu_number(void)
{
    return um_cpu();
}

static inline void cpu_relax(void)
{
    um_relax();
}

static inline uint32_t cpu_swap(uint32_t *word, uint32_t value)
{
    return um_swap(word, value);
}

static inline void cpu_release(uint32_t *word, uint32_t value)
{
    um_release(word, value);
}

#else

static inline unsigned cpu_number(void)
{
    return 0;
}

static inline void cpu_relax(void)
{
}

static inline uint32_t cpu_swap(uint32_t *word, uint32_t value)
{
    uint32_t old = *(volatile uint32_t *)word;
    *(volatile uint32_t *)word = value;
    return old;
}

static inline void cpu_release(uint32_t *word, uint32_t value)
{
    *(volatile uint32_t *)word = value;
}

#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cpu.h of the port: one simulated CPU, which nothing interrupts.
 */
#ifndef VERSO_ARCH_CPU_H
#define VERSO_ARCH_CPU_H

#include <stdint.h>

#define CPU_COUNT_MAX 1u

static inline unsigned cpu_number(void)
{
    return 0;
}

static inline uintptr_t cpu_irq_save(void)
{
    return 0;
}

static inline void cpu_irq_restore(uintptr_t flags)
{
    (void)flags;
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

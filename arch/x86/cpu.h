/* SPDX-License-Identifier: MIT */
/*
 * cpu.h of the port: interrupts, spinning, which CPU. One CPU until the
 * library runs on more: a swap needs no lock prefix then.
 */
#ifndef VERSO_ARCH_CPU_H
#define VERSO_ARCH_CPU_H

#include <stdint.h>

#define CPU_COUNT_MAX 1u

static inline unsigned cpu_number(void)
{
    return 0;
}

/* Interrupts off; returns what cpu_irq_restore() wants. */
static inline uintptr_t cpu_irq_save(void)
{
    uintptr_t flags;
    __asm__ volatile("pushf\n\tpop %0\n\tcli" : "=rm"(flags) : : "memory");
    return flags;
}

static inline void cpu_irq_restore(uintptr_t flags)
{
    __asm__ volatile("push %0\n\tpopf" : : "rm"(flags) : "memory", "cc");
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* Stores `value`, returns what stood there: atomic against this CPU's own
 * interrupt handlers. */
static inline uint32_t cpu_swap(uint32_t *word, uint32_t value)
{
    uint32_t old = *(volatile uint32_t *)word;
    *(volatile uint32_t *)word = value;
    __asm__ volatile("" : : : "memory");
    return old;
}

static inline void cpu_release(uint32_t *word, uint32_t value)
{
    __asm__ volatile("" : : : "memory");
    *(volatile uint32_t *)word = value;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cpu.h of the port: interrupts, spinning, which CPU. One, for now.
 */
#ifndef VERSO_ARCH_CPU_H
#define VERSO_ARCH_CPU_H

#include <stdbool.h>
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

/* Stores `value`, returns what stood there: one instruction, atomic against
 * interrupts, other threads and other CPUs. The words are 0 or 1: to store a 1
 * is to set a bit, and the carry flag is what stood there. */
static inline uint32_t cpu_swap(uint32_t *word, uint32_t value)
{
    bool was_set;
    if (__builtin_constant_p(value) && value == 1) {
        __asm__ volatile("lock btsl $0, %1"
                         : "=@ccc"(was_set), "+m"(*word)
                         :
                         : "memory");
        return was_set;
    }
    __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*word) : : "memory");
    return value;
}

static inline void cpu_release(uint32_t *word, uint32_t value)
{
    __asm__ volatile("" : : : "memory");
    *(volatile uint32_t *)word = value;
}

#endif

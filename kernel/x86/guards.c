/* SPDX-License-Identifier: MIT */
/*
 * guards.c - what a CPU keeps its own kernel from, where it can: to execute
 * pages of users (SMEP), to read and write them (SMAP, while EFLAGS.AC is 0, as
 * boot.S makes it); and users from asking where the kernel's tables are (UMIP).
 * That is the kernel's choice, not Verso's, which leaves these bits of CR4 as
 * it finds them.
 *
 * Source: Intel SDM vol. 3A, 2.5 and 4.6.1.
 */
#include "x86.h"

#define CPUID_SMEP 0x00000080u /* leaf 7, EBX */
#define CPUID_SMAP 0x00100000u
#define CPUID_UMIP 0x00000004u /* leaf 7, ECX */

#define CR4_UMIP 0x00000800u
#define CR4_SMEP 0x00100000u
#define CR4_SMAP 0x00200000u
#define FLAGS_AC 0x00040000u

void guards_init(void)
{
    uint32_t features[4];
    uintptr_t bits = 0;
    x86_cpuid(0, features);
    if (features[0] < 7)
        return;
    x86_cpuid(7, features);
    if (features[1] & CPUID_SMEP)
        bits |= CR4_SMEP;
    if (features[1] & CPUID_SMAP)
        bits |= CR4_SMAP;
    if (features[2] & CPUID_UMIP)
        bits |= CR4_UMIP;
    __asm__ volatile("mov %0, %%cr4" : : "r"(read_cr4() | bits) : "memory");
}

static bool users_are_open(void)
{
    uintptr_t flags;
    __asm__ volatile("pushf\n\tpop %0" : "=rm"(flags));
    return (flags & FLAGS_AC) != 0;
}

bool machine_guards_users(unsigned how)
{
    if (how & VERSO_FAULT_EXEC)
        return (read_cr4() & CR4_SMEP) != 0;
    return (read_cr4() & CR4_SMAP) != 0 && !users_are_open();
}

/* Without SMAP these are no instructions. */
void machine_open_users(bool open)
{
    if ((read_cr4() & CR4_SMAP) == 0)
        return;
    if (open)
        __asm__ volatile("stac" : : : "memory", "cc");
    else
        __asm__ volatile("clac" : : : "memory", "cc");
}

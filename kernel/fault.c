/* SPDX-License-Identifier: MIT */
/*
 * fault.c - a page fault that nobody owns, in words: the part of the report
 * that is the same on every machine.
 *
 *     fault: write to a present page that is read-only, from the kernel
 *     fault: address 0x00102000, instruction 0x00100a3c crash_rodata+0x4
 *     walk ...            level by level                     (the library)
 *     describe ...        the area or its neighbours         (the library)
 *
 * The most certain lines come first: the tables may be what is broken.
 */
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

void fault_print_place(vaddr_t instruction)
{
    size_t offset;
    const char *name = machine_symbol(instruction, &offset);
    verso_print("instruction 0x%08zx", (size_t)instruction);
    if (name)
        verso_print(" %s+0x%zx", name, offset);
    verso_print("\n");
}

/* Where a machine does not say "execution": an instruction that faults at its
 * own address was being fetched. */
static const char *fault_access(const struct fault *fault)
{
    if (fault->code & VERSO_FAULT_WRITE)
        return "write to";
    if ((fault->code & VERSO_FAULT_EXEC) || fault->instruction == fault->va)
        return "execution of";
    return "read of";
}

bool fault_is_guard(vaddr_t va, unsigned code)
{
    struct verso_mapping m;
    return (code & VERSO_FAULT_USER) == 0 && machine_guards_users(code) &&
           (verso_query(va, &m) == VERSO_OK ||
               verso_space_query(verso_space_now(), va, &m) == VERSO_OK) &&
           (m.flags & VERSO_USER) != 0;
}

static const char *fault_cause(vaddr_t va, unsigned code)
{
    if (code & FAULT_RESERVED_BIT)
        return "a page with a reserved bit set in its entries";
    if ((code & VERSO_FAULT_PRESENT) == 0)
        return "a page that is not present";
    if (fault_is_guard(va, code))
        return "a page of users";
    if (code & VERSO_FAULT_WRITE)
        return "a present page that is read-only";
    return "a present page without the right for it";
}

void fault_print(const struct fault *fault)
{
    verso_print("\nfault: %s %s, from %s\n", fault_access(fault),
        fault_cause(fault->va, fault->code),
        (fault->code & VERSO_FAULT_USER) ? "user mode" : "the kernel");
    if (fault->no_memory)
        verso_print(
            "fault: first touch of a lazy area, but no frame is left\n");
    verso_print("fault: address 0x%08zx, ", (size_t)fault->va);
    fault_print_place(fault->instruction);
    verso_report_walk(fault->va);
    verso_describe((const void *)fault->va);
}

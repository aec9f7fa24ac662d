/* SPDX-License-Identifier: MIT */
/*
 * backtrace.c - who called whom, without frame pointers: they would cost a
 * register and two instructions in each function of the library.
 *
 * A word on the stack is a return address if the bytes before it are a call.
 * Stale ones lie about too, so of the next words the first is taken whose call
 * goes to the function F found last, or to a function that jumps into F (a
 * call in tail position, or a part of it that the compiler put elsewhere). If
 * there is none near, F was called through a pointer: then the first such call
 * is taken, and marked "?".
 *
 *     sp ->  ...  stale  ...  return address  ...  return address ...  top
 *                              preceded by          preceded by
 *                              call F               call G, G contains it
 *
 * Names come from the table of ../symbols.c.
 * Only the kernel's stack is read, and only code inside the image.
 */
#include "x86.h"

#define BACKTRACE_DEPTH 24
#define BACKTRACE_NEAR  512 /* words looked through for the caller */

static struct symbol function_find(uintptr_t address)
{
    return symbol_find(address, (vaddr_t)kernel_text_end);
}

const char *machine_symbol(vaddr_t address, size_t *offset)
{
    struct symbol function = function_find(address);
    *offset = address - function.start;
    return function.name;
}

/* Where a call or jump leads whose instruction ends at `end`, in a distance of
 * 32 bits with a sign. */
static uintptr_t branch_target(uintptr_t end)
{
    const uint8_t *code = (const uint8_t *)end;
    uint32_t distance = code[-4] | (uint32_t)code[-3] << 8 |
                        (uint32_t)code[-2] << 16 | (uint32_t)code[-1] << 24;
    return end + (uintptr_t)(intptr_t)(int32_t)distance;
}

/* Does the code at `from` jump into the function `to`? Bytes are looked at,
 * not instructions: a wrong yes would need a constant that looks like one. */
static bool function_jumps(uintptr_t from, const struct symbol *to)
{
    struct symbol f = function_find(from);
    for (uintptr_t at = f.start; at + 6 <= f.end; at++) {
        const uint8_t *code = (const uint8_t *)at;
        uintptr_t target = 0;
        if (code[0] == 0xe9)
            target = branch_target(at + 5);
        else if (code[0] == 0x0f && (code[1] & 0xf0) == 0x80)
            target = branch_target(at + 6);
        if (target >= to->start && target < to->end)
            return true;
    }
    return false;
}

enum call_kind {
    CALL_NONE,
    CALL_DIRECT,
    CALL_INDIRECT
};

/* What ends right before `address`? */
static enum call_kind call_before(uintptr_t address)
{
    const uint8_t *code = (const uint8_t *)address;
    if (address < (uintptr_t)kernel_text + 8 ||
        address > (uintptr_t)kernel_text_end)
        return CALL_NONE;
    if (code[-5] == 0xe8 && function_find(branch_target(address)).name)
        return CALL_DIRECT;
    for (int bytes = 2; bytes <= 7; bytes++) /* call *operand: ff /2 */
        if (code[-bytes] == 0xff && (code[1 - bytes] & 0x38) == 0x10)
            return CALL_INDIRECT;
    return CALL_NONE;
}

/* The place on the stack of the return address out of the function, NULL if
 * the stack ends. */
static const uintptr_t *backtrace_next(
    const uintptr_t *at, const struct symbol *function, bool *sure)
{
    const uintptr_t *top = (const uintptr_t *)(const void *)kernel_stack_top;
    const uintptr_t *guess = NULL;
    for (int i = 0; i < BACKTRACE_NEAR && at < top; i++, at++) {
        enum call_kind kind = call_before(*at);
        uintptr_t target = kind == CALL_DIRECT ? branch_target(*at) : 0;
        if (target && function->name &&
            (target == function->start || function_jumps(target, function))) {
            *sure = true;
            return at;
        }
        if (!guess && (kind == CALL_INDIRECT || (target && !function->name)))
            guess = at;
    }
    *sure = false;
    return guess;
}

/* `back`: how far behind the place that is meant the address lies: a call that
 * does not return may be the last instruction of its function. */
static void backtrace_line(uintptr_t address, uintptr_t back, bool sure)
{
    size_t offset;
    const char *name = machine_symbol(address - back, &offset);
    verso_print("backtrace: 0x%08zx", (size_t)address);
    if (name)
        verso_print(" %s+0x%zx", name, offset + back);
    verso_print("%s\n", sure ? "" : " ?");
}

void backtrace_print(uintptr_t ip, uintptr_t sp)
{
    const uintptr_t *at = (const uintptr_t *)(sp & ~(sizeof(uintptr_t) - 1));
    bool sure = true;
    backtrace_line(ip, 0, true);
    if (sp < (uintptr_t)kernel_guard)
        return; /* not our stack */
    if (sp < (uintptr_t)kernel_stack)
        at = (const uintptr_t *)(const void *)kernel_stack;
    for (int i = 0; i < BACKTRACE_DEPTH; i++) {
        struct symbol function = function_find(i == 0 ? ip : ip - 1);
        at = backtrace_next(at, &function, &sure);
        if (!at)
            return;
        ip = *at++;
        backtrace_line(ip, 1, sure);
    }
    verso_print("backtrace: ...\n");
}

/* Of the caller. */
__attribute__((noinline)) void backtrace_here(void)
{
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
    backtrace_print((uintptr_t)__builtin_return_address(0), sp);
}

/* SPDX-License-Identifier: MIT */
/*
 * trampoline.c - where a signal returns to when the access faulted: calls the
 * kernel's handler on the interrupted stack, and goes back to the access.
 *
 *     interrupted stack
 *     | ...            |
 *     | red zone, 128  |  64-bit: below the stack pointer, and in use
 *     | resume_ip      |  a frame like a called function's, so that a
 *     | frame pointer  |  backtrace finds the access
 *     | registers      |
 *     | vector state   |  fxsave; 64-bit: xsave where there is one, for libc
 *     +----------------+  copies with ymm registers
 */
#include "inside.h"

/* From the signal to the first instructions here. */
uintptr_t um_resume_ip, um_fault_va, um_fault_code;

#ifdef __x86_64__
#include <cpuid.h>

/* Of the vector state, in whole lines; 0: only what fxsave saves. */
uintptr_t um_xsave_bytes;

__attribute__((constructor)) static void xsave_init(void)
{
    unsigned a, b, c, d;
    const unsigned osxsave = 1u << 27;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c & osxsave) &&
        __get_cpuid_count(13, 0, &a, &b, &c, &d))
        um_xsave_bytes = (b + 63) / 64 * 64;
}

__asm__("    .text\n"
        "    .globl um_trampoline\n"
        "um_trampoline:\n"
        "    leaq -128(%rsp), %rsp\n"
        "    pushq um_resume_ip(%rip)\n"
        "    pushq %rbp\n"
        "    movq %rsp, %rbp\n"
        "    pushfq\n"
        "    cld\n"
        "    pushq %rax\n"
        "    pushq %rbx\n"
        "    pushq %rcx\n"
        "    pushq %rdx\n"
        "    pushq %rsi\n"
        "    pushq %rdi\n"
        "    pushq %r8\n"
        "    pushq %r9\n"
        "    pushq %r10\n"
        "    pushq %r11\n"
        "    movq %rsp, %rbx\n"
        "    subq um_xsave_bytes(%rip), %rsp\n"
        "    subq $576, %rsp\n"
        "    andq $-64, %rsp\n"
        "    cmpq $0, um_xsave_bytes(%rip)\n"
        "    je 1f\n"
        /* its header is not all written, and must be zero where it is not */
        "    xorl %eax, %eax\n"
        "    leaq 512(%rsp), %rdi\n"
        "    movl $8, %ecx\n"
        "    rep stosq\n"
        "    movl $-1, %eax\n"
        "    movl $-1, %edx\n"
        "    xsave64 (%rsp)\n"
        "    jmp 2f\n"
        "1:  fxsave64 (%rsp)\n"
        "2:  movq um_fault_va(%rip), %rdi\n"
        "    movq um_fault_code(%rip), %rsi\n"
        "    call um_deliver\n"
        "    cmpq $0, um_xsave_bytes(%rip)\n"
        "    je 3f\n"
        "    movl $-1, %eax\n"
        "    movl $-1, %edx\n"
        "    xrstor64 (%rsp)\n"
        "    jmp 4f\n"
        "3:  fxrstor64 (%rsp)\n"
        "4:  movq %rbx, %rsp\n"
        "    popq %r11\n"
        "    popq %r10\n"
        "    popq %r9\n"
        "    popq %r8\n"
        "    popq %rdi\n"
        "    popq %rsi\n"
        "    popq %rdx\n"
        "    popq %rcx\n"
        "    popq %rbx\n"
        "    popq %rax\n"
        "    popfq\n"
        "    popq %rbp\n"
        "    ret $128\n");
#else
__asm__("    .text\n"
        "    .globl um_trampoline\n"
        "um_trampoline:\n"
        "    pushl um_resume_ip\n"
        "    pushl %ebp\n"
        "    movl %esp, %ebp\n"
        "    pushfl\n"
        "    pushal\n"
        "    movl %esp, %ebx\n"
        "    subl $544, %esp\n"
        "    andl $-16, %esp\n"
        "    fxsave 16(%esp)\n"
        "    cld\n"
        "    movl um_fault_va, %eax\n"
        "    movl %eax, 0(%esp)\n"
        "    movl um_fault_code, %eax\n"
        "    movl %eax, 4(%esp)\n"
        "    call um_deliver\n"
        "    fxrstor 16(%esp)\n"
        "    movl %ebx, %esp\n"
        "    popal\n"
        "    popfl\n"
        "    popl %ebp\n"
        "    ret\n");
#endif

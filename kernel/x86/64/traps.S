/* SPDX-License-Identifier: MIT */
/*
 * traps.S - entries from the CPU into C, and ways back that C has no words for.
 *
 * A trap makes all stacks look alike, struct trap_frame of width.h:
 *
 *     low   r15 r14 r13 r12 r11 r10 r9 r8 rdi rsi rbp rbx rdx rcx rax
 *           vector
 *           error code                        (the CPU's, or 0)
 *     high  rip cs rflags rsp ss              (the CPU)
 *
 * Segments are flat and never change, so none is saved. What was below the
 * interrupted stack pointer is overwritten: there is no red zone.
 */
    .text

    .balign 16
    .globl trap_entries
    .type trap_entries, @function
trap_entries: /* 16 bytes each: idt.c computes their addresses */
    .set vector, 0
    .rept 48
    .balign 16
    /* 8, 10..14, 17, 21, 29, 30 push an error code (SDM vol. 3A, table 6-1) */
    .if (vector < 32) && ((0x60227d00 >> vector) & 1)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr
    .size trap_entries, . - trap_entries

    .type trap_common, @function
trap_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call x86_trap
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp /* vector, error code */
    iretq
    .size trap_common, . - trap_common

/*
 * int probe_read(const volatile void *address)
 * int probe_write(const volatile void *address, uint32_t byte)
 * int probe_call(const volatile void *address)
 * One access; a page fault of it that nobody owns continues at probe_failed
 * (trap.c), and the answer is its code; else -1.
 */
    .globl probe_read, probe_load, probe_write, probe_store, probe_failed
    .type probe_read, @function
probe_read:
probe_load:
    movb (%rdi), %al
    movl $-1, %eax
    ret
    .size probe_read, . - probe_read

    .type probe_write, @function
probe_write:
probe_store:
    movb %sil, (%rdi)
    movl $-1, %eax
    ret
    .size probe_write, . - probe_write

    .globl probe_call, probe_call_failed
    .type probe_call, @function
probe_call:
    call *%rdi
    movl $-1, %eax
    ret
probe_call_failed:
    addq $8, %rsp /* the call's return address */
probe_failed:
    movl probe_code(%rip), %eax
    ret
    .size probe_call, . - probe_call

/*
 * bool jump_call(struct jump *jump, void (*run)(void *), void *arg)
 * Calls run(arg) and returns false; or returns true as soon as jump_back(jump)
 * is called underneath. struct jump: rsp and the registers a callee preserves.
 */
    .globl jump_call, jump_back
    .type jump_call, @function
jump_call:
    movq %rsp, 0(%rdi)
    movq %rbp, 8(%rdi)
    movq %rbx, 16(%rdi)
    movq %r12, 24(%rdi)
    movq %r13, 32(%rdi)
    movq %r14, 40(%rdi)
    movq %r15, 48(%rdi)
    movq %rdx, %rdi
    call *%rsi
    xorl %eax, %eax
    ret
    .size jump_call, . - jump_call

    .type jump_back, @function
jump_back:
    movq 0(%rdi), %rsp
    movq 8(%rdi), %rbp
    movq 16(%rdi), %rbx
    movq 24(%rdi), %r12
    movq 32(%rdi), %r13
    movq 40(%rdi), %r14
    movq 48(%rdi), %r15
    movl $1, %eax
    ret
    .size jump_back, . - jump_back

/*
 * void step_call(void (*run)(void *), void *arg)
 * Calls run(arg) with a debug exception after each instruction.
 */
    .globl step_call, step_end
    .type step_call, @function
step_call:
    movq %rdi, %rax
    movq %rsi, %rdi
    pushfq
    orl $0x100, (%rsp) /* the trap flag */
    popfq
    call *%rax
    pushfq
    andl $~0x100, (%rsp)
step_end:
    popfq
    ret
    .size step_call, . - step_call

    .section .note.GNU-stack, "", @progbits

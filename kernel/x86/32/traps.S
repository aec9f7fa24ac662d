/* SPDX-License-Identifier: MIT */
/*
 * traps.S - entries from the CPU into C, and ways back that C has no words for.
 *
 * A trap makes all stacks look alike, struct trap_frame of x86.h:
 *
 *     low   edi esi ebp esp ebx edx ecx eax   (pusha)
 *           vector
 *           error code                        (the CPU's, or 0)
 *     high  eip cs eflags                     (the CPU)
 *
 * Segments are flat and never change, so none is saved.
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
    pushl $0
    .endif
    pushl $vector
    jmp trap_common
    .set vector, vector + 1
    .endr
    .size trap_entries, . - trap_entries

    .type trap_common, @function
trap_common:
    pushal
    cld
    pushl %esp
    call x86_trap
    addl $4, %esp
    popal
    addl $8, %esp /* vector, error code */
    iret
    .size trap_common, . - trap_common

/*
 * Where the task gate of the double fault begins: on its own stack. The CPU has
 * pushed an error code (always 0); the registers are in the other TSS.
 */
    .globl double_fault_entry
    .type double_fault_entry, @function
double_fault_entry:
    cld
    call x86_double_fault
1:  cli
    hlt
    jmp 1b
    .size double_fault_entry, . - double_fault_entry

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
    movl 4(%esp), %edx
probe_load:
    movb (%edx), %al
    movl $-1, %eax
    ret
    .size probe_read, . - probe_read

    .type probe_write, @function
probe_write:
    movl 4(%esp), %edx
    movl 8(%esp), %eax
probe_store:
    movb %al, (%edx)
    movl $-1, %eax
    ret
    .size probe_write, . - probe_write

    .globl probe_call, probe_call_failed
    .type probe_call, @function
probe_call:
    movl 4(%esp), %edx
    call *%edx
    movl $-1, %eax
    ret
probe_call_failed:
    addl $4, %esp /* the call's return address */
probe_failed:
    movl probe_code, %eax
    ret
    .size probe_call, . - probe_call

/*
 * bool jump_call(struct jump *jump, void (*run)(void *), void *arg)
 * Calls run(arg) and returns false; or returns true as soon as jump_back(jump)
 * is called underneath. struct jump: esp and the registers a callee preserves.
 */
    .globl jump_call, jump_back
    .type jump_call, @function
jump_call:
    movl 4(%esp), %eax
    movl %esp, 0(%eax)
    movl %ebp, 4(%eax)
    movl %ebx, 8(%eax)
    movl %esi, 12(%eax)
    movl %edi, 16(%eax)
    movl 8(%esp), %ecx
    pushl 12(%esp)
    call *%ecx
    addl $4, %esp
    xorl %eax, %eax
    ret
    .size jump_call, . - jump_call

    .type jump_back, @function
jump_back:
    movl 4(%esp), %eax
    movl 0(%eax), %esp
    movl 4(%eax), %ebp
    movl 8(%eax), %ebx
    movl 12(%eax), %esi
    movl 16(%eax), %edi
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
    movl 4(%esp), %ecx
    pushl 8(%esp)
    pushfl
    orl $0x100, (%esp) /* the trap flag */
    popfl
    call *%ecx
    pushfl
    andl $~0x100, (%esp)
step_end:
    popfl
    addl $4, %esp
    ret
    .size step_call, . - step_call

    .section .note.GNU-stack, "", @progbits

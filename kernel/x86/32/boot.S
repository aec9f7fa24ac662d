/* SPDX-License-Identifier: MIT */
/*
 * boot.S - the first instructions: a Multiboot 1 header, a stack, and on to C.
 *
 * The loader (QEMU's -kernel, GRUB's `multiboot`) leaves: 32-bit protected
 * mode, flat segments, paging and interrupts off, eax = the magic number, ebx =
 * its information structure. It has cleared .bss, for that is part of the ELF
 * segment. Source: Multiboot Specification 0.6.96, 3.1 and 3.2.
 *
 * The stack, with a page below it that machine_boot() leaves unmapped: running
 * over the end faults there, on a stack that is gone, which makes a double
 * fault, which has a stack of its own (gdt.c).
 *
 *     kernel_guard        kernel_stack                     kernel_stack_top
 *     | 4 KiB, unmapped | 16 KiB                            |
 */
#define MAGIC 0x1badb002
#define FLAGS 0x00000003 /* modules on page boundaries; a memory map */
#define PAGE  4096

#define CPUID_TSC 0x00000010 /* edx */

    .section .multiboot, "a"
    .balign 4
    .long MAGIC
    .long FLAGS
    .long -(MAGIC + FLAGS)

    .text
    .globl _start
    .type _start, @function
_start:
    cli
    cld
    movl $kernel_stack_top, %esp
    xorl %ebp, %ebp
    pushl $0
    popfl
    pushl %ebx
    pushl %eax
    movl $1, %eax
    cpuid
    testl $CPUID_TSC, %edx
    jz 1f
    rdtsc
    movl %eax, boot_count
    movl %edx, boot_count + 4
1:  call x86_start
1:  cli
    hlt
    jmp 1b
    .size _start, . - _start

    .bss
    .balign 8
    .globl boot_count
boot_count:
    .skip 8

    .section .stack, "aw", @nobits
    .balign PAGE
    .globl kernel_guard, kernel_stack, kernel_stack_top
kernel_guard:
    .skip PAGE
kernel_stack:
    .skip 4 * PAGE
kernel_stack_top:

    .section .note.GNU-stack, "", @progbits

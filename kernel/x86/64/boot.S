/* SPDX-License-Identifier: MIT */
/*
 * boot.S - the first instructions: from 32-bit protected mode without paging to
 * long mode at the addresses the kernel is linked to, and on to C.
 *
 * A loader leaves: flat segments, paging and interrupts off, ebx = its
 * information structure. It has cleared .bss, for that is part of the ELF
 * segment. There are two ways in, one for each protocol:
 *
 *     pvh_start         QEMU's -kernel, which finds it in a note
 *     multiboot2_start  GRUB's `multiboot2`, by BIOS and UEFI, which finds it in
 *                       a header; eax = its magic number
 *
 * No Multiboot 1 header: QEMU looks for that first, and refuses ELF64 with it.
 * Source: Xen, docs/misc/pvh.pandoc; elfnote.h, number 18. Multiboot2
 * Specification 2.0, 3.1 and 3.3.
 *
 * The early tables map the first 4 GiB three times, with 2-MiB pages; Verso
 * then makes its own (addresses.c), and these are done with:
 *
 *     [early_pml5] -> early_pml4 --+- 0    identity, until the jump upwards
 *      if the CPU                  +- 256  X86_PHYSICAL
 *      has five                    |       -> early_low -> 4 directories
 *      levels                      +- 511  -> early_high: the last 2 GiB,
 *                                             X86_IMAGE  -> the first two
 *
 * Where the CPU has five levels they are used: the same addresses lie in entry
 * 511 of the root then (SDM vol. 3A, 4.1.4, 4.5; 9.8.5 about the order here).
 *
 * The stack, with a page below it that Verso leaves unmapped: running over the
 * end faults there, on a stack that is gone, which makes a double fault, which
 * has a stack of its own (gdt.c).
 *
 *     kernel_guard        kernel_stack                     kernel_stack_top
 *     | 4 KiB, unmapped | 16 KiB                            |
 */
#define PAGE      4096
#define PVH_MAGIC 0x336ec578 /* start_info begins with it; loaders.c */

#define IMAGE      0xffffffff80000000 /* width.h */
#define LOADED(at) ((at) - IMAGE)

#define HEADER_MAGIC 0xe85250d6
#define HEADER_BYTES (header_end - header)
#define TAG_ENTRY    3 /* where to enter, a physical address */
#define TAG_MODULES  6 /* modules on page boundaries */

#define ENTRY_TABLE 0x003 /* present, writable */
#define ENTRY_LARGE 0x083 /* the same, a page of 2 MiB */

#define CR0_PE_WP_PG 0x80010001
#define CR4_PAE      0x00000020
#define CR4_LA57     0x00001000
#define EFER         0xc0000080
#define EFER_LME_NXE 0x00000900
#define CPUID_7_LA57 0x00010000 /* ecx */

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18 /* bytes of the name and of the value; the entry point */
    .asciz "Xen"
    .quad LOADED(pvh_start)

    .section .multiboot2, "a"
    .balign 8
header:
    .long HEADER_MAGIC, 0, HEADER_BYTES, -(HEADER_MAGIC + HEADER_BYTES)
    .short TAG_ENTRY, 0
    .long 12, LOADED(multiboot2_start), 0 /* the last is padding */
    .short TAG_MODULES, 0
    .long 8
    .short 0, 0
    .long 8
header_end:

    .text
    .code32
    .globl pvh_start
    .type pvh_start, @function
pvh_start:
    movl $PVH_MAGIC, %eax
multiboot2_start:
    cli
    cld
    movl $LOADED(kernel_stack_top), %esp
    movl %eax, %ebp
    movl %ebx, %esi
    rdtsc
    movl %eax, LOADED(boot_count)
    movl %edx, LOADED(boot_count) + 4

    /* 2,048 pages of 2 MiB; the upper half of each entry is 0 already */
    movl $LOADED(early_directories), %edi
    movl $ENTRY_LARGE, %eax
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 1b

    movl $LOADED(early_directories) + ENTRY_TABLE, %eax
    movl %eax, LOADED(early_high) + 510 * 8
    movl %eax, LOADED(early_low)
    addl $PAGE, %eax
    movl %eax, LOADED(early_high) + 511 * 8
    movl %eax, LOADED(early_low) + 8
    addl $PAGE, %eax
    movl %eax, LOADED(early_low) + 16
    addl $PAGE, %eax
    movl %eax, LOADED(early_low) + 24

    movl $LOADED(early_low) + ENTRY_TABLE, LOADED(early_pml4)
    movl $LOADED(early_low) + ENTRY_TABLE, LOADED(early_pml4) + 256 * 8
    movl $LOADED(early_high) + ENTRY_TABLE, LOADED(early_pml4) + 511 * 8
    movl $LOADED(early_pml4) + ENTRY_TABLE, LOADED(early_pml5)
    movl $LOADED(early_pml4) + ENTRY_TABLE, LOADED(early_pml5) + 511 * 8

    /* four levels, or five? */
    movl $CR4_PAE, %edi
    movl $LOADED(early_pml4), %eax
    movl %eax, %cr3
    xorl %eax, %eax
    cpuid
    cmpl $7, %eax
    jb 1f
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    testl $CPUID_7_LA57, %ecx
    jz 1f
    orl $CR4_LA57, %edi
    movl $LOADED(early_pml5), %eax
    movl %eax, %cr3
1:  movl %edi, %cr4

    movl $EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PE_WP_PG, %eax
    movl %eax, %cr0
    lgdt LOADED(early_gdt_pointer)
    ljmp $8, $LOADED(1f)

    .code64
1:  movabsq $1f, %rax
    jmp *%rax
1:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movq $kernel_stack_top, %rsp
    pushq $0
    popfq
    movl %ebp, %edi
    movl %esi, %esi
    xorl %ebp, %ebp
    call x86_start
1:  cli
    hlt
    jmp 1b
    .size pvh_start, . - pvh_start

    .section .rodata
    .balign 8
early_gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* 8: code, 64-bit */
    .quad 0x00cf92000000ffff /* 16: data */
early_gdt_pointer:
    .word . - early_gdt - 1
    .long LOADED(early_gdt)

    .bss
    .balign 8
    .globl boot_count
boot_count:
    .skip 8

    .section .early, "aw", @nobits
    .balign PAGE
early_pml5:
    .skip PAGE
early_pml4:
    .skip PAGE
early_low:
    .skip PAGE
early_high:
    .skip PAGE
early_directories:
    .skip 4 * PAGE

    .section .stack, "aw", @nobits
    .balign PAGE
    .globl kernel_guard, kernel_stack, kernel_stack_top
kernel_guard:
    .skip PAGE
kernel_stack:
    .skip 4 * PAGE
kernel_stack_top:

    .section .note.GNU-stack, "", @progbits

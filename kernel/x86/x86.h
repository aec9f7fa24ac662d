/* SPDX-License-Identifier: MIT */
/*
 * x86.h - what the files of kernel/x86 share: port I/O, the trap frame, the
 * boundaries of the image, and each other's functions.
 */
#ifndef KERNEL_X86_H
#define KERNEL_X86_H

#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

#define TRAP_DEBUG        1u
#define TRAP_NMI          2u
#define TRAP_DOUBLE_FAULT 8u
#define TRAP_PAGE_FAULT   14u
#define TRAP_IRQ          32u /* the first of 16 */
#define TRAP_VECTORS      48u

#define SELECTOR_CODE         0x08u
#define SELECTOR_DATA         0x10u
#define SELECTOR_TSS          0x18u
#define SELECTOR_DOUBLE_FAULT 0x20u /* 32-bit */

/* Below 1 MiB (IBM PC): memory, then devices. */
#define X86_LOW_END         0xa0000u
#define X86_LOW_DEVICES_END 0x100000u
#define X86_TEXT_SCREEN     0xb8000u

#ifdef __x86_64__
#include "64/width.h"
#else
#include "32/width.h"
#endif

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uintptr_t read_cr2(void)
{
    uintptr_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uintptr_t read_cr3(void)
{
    uintptr_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline uintptr_t read_cr0(void)
{
    uintptr_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static inline uintptr_t read_cr4(void)
{
    uintptr_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

#define X86_MSR_PAT   0x277u   /* IA32_PAT */
#define X86_CPUID_PAT 0x10000u /* CPUID 1, EDX */

static inline uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

/* What lgdt and lidt want. */
struct table_pointer {
    uint16_t limit;
    uintptr_t base;
} __attribute__((packed));

/* boundaries of the image: link.ld, boot.S */
extern char kernel_text[], kernel_text_end[], kernel_rodata[], kernel_data[];
extern char kernel_guard[], kernel_stack[], kernel_stack_top[], kernel_end[];

/* boot.S -> start.c: the loader's magic number, and where (physical address) it
 * left its information. */
VERSO_NORETURN void x86_start(uint32_t magic, uintptr_t info);
extern uint64_t boot_count;       /* machine_count(), at the start of boot.S */
extern uint64_t x86_pat_at_start; /* as firmware and loader left it; 0: none */
extern uintptr_t x86_cr0_at_start;
void x86_cpuid(uint32_t leaf, uint32_t out[4]); /* EAX, EBX, ECX, EDX */

/* guards.c: machine_guards_users(), and UMIP */
void guards_init(void);

/* gdt.c */
void gdt_init(void);

/* idt.c */
void idt_init(void);
void irq_wait(uint16_t mask); /* until one of these lines, or a short while */
void irq_pretend(bool running);
void irq_handle(unsigned line);

/* traps.S; trap.c */
extern char trap_entries[];
void x86_trap(struct trap_frame *frame);
int probe_read(const volatile void *address);
int probe_write(const volatile void *address, uint32_t byte);
int probe_call(const volatile void *address);
extern char probe_load[], probe_store[];
extern char probe_failed[], probe_call_failed[];
extern int probe_code; /* of the fault that led to probe_failed */

void step_call(void (*run)(void *), void *arg);
extern char step_end[];

bool jump_call(struct jump *jump, void (*run)(void *), void *arg);
VERSO_NORETURN void jump_back(const struct jump *jump);

/* registers.c */
void registers_print(const struct trap_frame *frame, uintptr_t sp);

/* fault.c; `sp` is the stack pointer that was interrupted. */
VERSO_NORETURN void fault_report_page(
    const struct trap_frame *frame, vaddr_t va, bool no_memory);
VERSO_NORETURN void fault_report_other(const struct trap_frame *frame);
VERSO_NORETURN void fault_report_double(
    const struct trap_frame *frame, uintptr_t sp);

/* console.c */
void console_init(void);
void console_drain(void); /* until the last byte is on the wire */
void console_set_crlf(void);

/* 32/multiboot.c, 64/loaders.c: reads what the loader left, into loader.c */
void loader_read(uint32_t magic, uintptr_t info);

/* loader.c */
void loader_add_range(uint64_t start, uint64_t bytes, bool usable);
void loader_add_module(uint64_t start, uint64_t bytes);
void loader_set_command_line(const char *text);
const struct verso_range *loader_map(size_t *count);
/* The modules, as ranges; the first is the archive. */
const struct verso_range *loader_modules(size_t *count);
const char *loader_command_line(void);

/* layout.c: machine_boot(), as it is filled. [start, end), bytes; a range to be
 * mapped may be empty. */
extern struct verso_boot layout;
uint64_t page_up(uint64_t pa);
uint64_t page_down(uint64_t pa);
uint64_t layout_image_end(void);
void layout_reserve(uint64_t start, uint64_t end);
void layout_reserve_all(void);
void layout_fix(
    vaddr_t va, uint64_t start, uint64_t end, unsigned flags, const char *name);
void layout_fix_image(void);
void layout_fix_low(uint64_t devices);

/* adopt.c: where a kernel that Verso is started in has things of its own, and
 * where Verso then has its mirror. */
struct layout_host {
    unsigned levels;
    vaddr_t extra, later;
    unsigned own_slot, self_slot, mirror_slot;
};
bool layout_is_adopted(void);
uint64_t x86_pat_of_host(void); /* the page attribute table it has set */
void layout_adopt_reserve(void);
void layout_adopt(const struct layout_host *place);

/* addresses.c */
const char *x86_kind(void); /* "x86, 32-bit, two levels" */

/* backtrace.c */
void backtrace_print(uintptr_t ip, uintptr_t sp);
void backtrace_here(void);

#endif

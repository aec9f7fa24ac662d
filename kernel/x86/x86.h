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

static inline uint32_t read_cr2(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint32_t read_cr3(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

/* What traps.S pushes. `pusha_esp` is the stack pointer inside the handler, of
 * no use: the interrupted one is trap_esp(). */
struct trap_frame {
    uint32_t edi, esi, ebp, pusha_esp, ebx, edx, ecx, eax;
    uint32_t vector;
    uint32_t error;
    uint32_t eip, cs, eflags;
};
_Static_assert(sizeof(struct trap_frame) == 52, "as traps.S pushes it");

/* A trap out of ring 0 does not push esp: it stands where the frame ends. */
static inline uint32_t trap_esp(const struct trap_frame *frame)
{
    return (uint32_t)(uintptr_t)(frame + 1);
}

#define TRAP_DEBUG        1u
#define TRAP_NMI          2u
#define TRAP_DOUBLE_FAULT 8u
#define TRAP_PAGE_FAULT   14u
#define TRAP_IRQ          32u /* the first of 16 */

/* Task state: two of them, one to be interrupted, one for the double fault
 * (SDM vol. 3A, figure 7-2). */
struct tss {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2;
    uint32_t cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss) == 104, "as the CPU saves it");

#define SELECTOR_CODE         0x08u
#define SELECTOR_DATA         0x10u
#define SELECTOR_TSS          0x18u
#define SELECTOR_DOUBLE_FAULT 0x20u

/* boundaries of the image: link.ld, boot.S */
extern char kernel_text[], kernel_text_end[], kernel_rodata[], kernel_data[];
extern char kernel_guard[], kernel_stack[], kernel_stack_top[], kernel_end[];

/* boot.S -> start.c */
VERSO_NORETURN void x86_start(uint32_t magic, const void *info);

/* gdt.c */
void gdt_init(void);
void gdt_set_root(uint32_t cr3); /* for the double fault's task */
const struct tss *gdt_interrupted(void);

/* idt.c */
void idt_init(void);
void irq_wait(uint16_t mask); /* until one of these lines, or a short while */
bool irq_is_running(void);
void irq_pretend(bool running);
void irq_handle(unsigned line);

/* traps.S; trap.c */
extern char trap_entries[], double_fault_entry[];
void x86_trap(struct trap_frame *frame);
VERSO_NORETURN void x86_double_fault(void);
int probe_read(const volatile void *address);
int probe_write(const volatile void *address, uint32_t byte);
int probe_call(const volatile void *address);
extern char probe_load[], probe_store[], probe_failed[], probe_call_failed[];
extern int probe_code; /* of the fault that led to probe_failed */

void step_call(void (*run)(void *), void *arg);
extern char step_end[];

struct jump {
    uint32_t esp, ebp, ebx, esi, edi;
};
bool jump_call(struct jump *jump, void (*run)(void *), void *arg);
VERSO_NORETURN void jump_back(const struct jump *jump);

/* fault.c */
VERSO_NORETURN void fault_report_page(
    const struct trap_frame *frame, vaddr_t va, bool no_memory);
VERSO_NORETURN void fault_report_other(const struct trap_frame *frame);
VERSO_NORETURN void fault_report_double(const struct tss *tss, vaddr_t va);

/* console.c */
void console_init(void);
void console_drain(void); /* until the last byte is on the wire */
void console_set_crlf(void);

/* multiboot.c: copies what it needs, before memory is handed out */
void multiboot_read(uint32_t magic, const void *info);
const struct verso_range *multiboot_map(size_t *count);
/* The modules, as ranges; the first is the archive. */
const struct verso_range *multiboot_modules(size_t *count);
const char *multiboot_command_line(void);

/* layout.c */
void layout_init(void);

/* backtrace.c */
void backtrace_print(uint32_t eip, uint32_t esp);
void backtrace_here(void);

#endif

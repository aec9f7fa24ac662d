/* SPDX-License-Identifier: MIT */
/*
 * start.c - from boot.S to kernel_main(), and the end of the machine.
 *
 * Order: the console first, so that whatever goes wrong is seen; then the
 * CPU's tables, so that a fault is reported; then what the loader says.
 */
#include <cpu.h>

#include "x86.h"

#define QEMU_DEBUG_EXIT 0xf4u /* exit status: 2 * value + 1 */
#define CPU_NAME_MAX    48

static char name[80];
uint64_t x86_pat_at_start;
uintptr_t x86_cr0_at_start;

void x86_cpuid(uint32_t leaf, uint32_t out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(0));
}

static void name_init(void)
{
    union {
        uint32_t words[12];
        char text[CPU_NAME_MAX + 1];
    } cpu = {.text = "unknown CPU"};
    uint32_t out[4];
    x86_cpuid(0x80000000u, out);
    if (out[0] >= 0x80000004u)
        for (uint32_t i = 0; i < 3; i++)
            x86_cpuid(0x80000002u + i, cpu.words + (size_t)4 * i);
    const char *start = cpu.text;
    while (*start == ' ')
        start++;
    verso_format(name, sizeof name, "%s: %s", x86_kind(), start);
}

static void registers_note(void)
{
    uint32_t out[4];
    x86_cr0_at_start = read_cr0();
    x86_cpuid(1, out);
    if (out[3] & X86_CPUID_PAT)
        x86_pat_at_start = read_msr(X86_MSR_PAT);
}

void x86_start(uint32_t magic, uintptr_t info)
{
    console_init();
    gdt_init();
    idt_init();
    guards_init();
    registers_note();
    loader_read(magic, info);
    options_parse(loader_command_line());
    if (machine_option("crlf"))
        console_set_crlf();
    name_init();
    kernel_main();
}

const char *machine_name(void)
{
    return name;
}

void machine_pretend_interrupt(bool running)
{
    irq_pretend(running);
}

bool machine_counts(void)
{
    return machine_option("icount") != NULL;
}

uint64_t machine_count(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uint64_t machine_boot_count(void)
{
    return boot_count;
}

int machine_bench(void)
{
    verso_print("bench: nothing counts instructions here; run QEMU with "
                "-icount shift=0\n");
    return 1;
}

/* Under QEMU with its debug-exit device the first line is the last. Elsewhere
 * the ports are those that emulators power off at (QEMU's ACPI, old QEMU and
 * Bochs), then a word to Bochs. */
void machine_exit(int code)
{
    console_drain();
    outl(QEMU_DEBUG_EXIT, code == 0 ? 0x10 : 0x11);
    outw(0x604, 0x2000);
    outw(0xb004, 0x2000);
    for (const char *word = "Shutdown"; *word; word++)
        outb(0x8900, (uint8_t)*word);
    for (;;)
        __asm__ volatile("cli\n\thlt");
}

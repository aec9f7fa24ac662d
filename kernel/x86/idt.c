/* SPDX-License-Identifier: MIT */
/*
 * idt.c - the CPU's 32 exceptions and the 16 lines of the two 8259 interrupt
 * controllers.
 *
 *     vector 0..31   exceptions: interrupt gates to traps.S, then fault.c;
 *                    8, the double fault, has a stack of its own (gdt.c)
 *     vector 32..47  lines 0..15. Their handlers do nothing: a line is only
 *                    ever unmasked to end the hlt of irq_wait()
 *
 * All lines are masked and interrupts are off except inside irq_wait(), so the
 * kernel cannot be interrupted while it counts instructions.
 * Source: SDM vol. 3A, 6.11; Intel 8259A data sheet.
 */
#include "x86.h"

#define PIC1    0x20u
#define PIC2    0xa0u
#define PIC_EOI 0x20u
#define PIC_ISR 0x0bu /* read the in-service register next */

static struct gate idt[TRAP_VECTORS];
static unsigned irq_depth;
static bool irq_pretended;

static void pic_mask(uint16_t lines)
{
    outb(PIC1 + 1, (uint8_t)lines);
    outb(PIC2 + 1, (uint8_t)(lines >> 8));
}

/* Lines 0..15 become vectors 32..47, away from the exceptions. */
static void pic_init(void)
{
    outb(PIC1, 0x11); /* initialise; cascaded; four words follow */
    outb(PIC2, 0x11);
    outb(PIC1 + 1, TRAP_IRQ);
    outb(PIC2 + 1, TRAP_IRQ + 8);
    outb(PIC1 + 1, 1u << 2); /* the second one is at line 2 */
    outb(PIC2 + 1, 2);
    outb(PIC1 + 1, 1); /* 8086 mode */
    outb(PIC2 + 1, 1);
    pic_mask(0xffff);
}

void idt_init(void)
{
    for (unsigned i = 0; i < TRAP_VECTORS; i++)
        idt[i] =
            gate_make((uintptr_t)trap_entries + 16 * i, i == TRAP_DOUBLE_FAULT);
    pic_init();
    struct table_pointer pointer = {sizeof idt - 1, (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* Line 7 of either controller is also what a line that went away again leaves
 * behind: then nothing is in service, and that controller wants no answer. */
static bool irq_is_spurious(unsigned line)
{
    uint16_t pic = line < 8 ? PIC1 : PIC2;
    if ((line & 7) != 7)
        return false;
    outb(pic, PIC_ISR);
    return (inb(pic) & 0x80) == 0;
}

void irq_handle(unsigned line)
{
    bool spurious = irq_is_spurious(line);
    irq_depth++;
    if (line >= 8 && !spurious)
        outb(PIC2, PIC_EOI);
    if (line >= 8 || !spurious)
        outb(PIC1, PIC_EOI);
    irq_depth--;
}

/* The timer (line 0) ends the wait too: a device whose line is not connected
 * is polled about 18 times a second. */
void irq_wait(uint16_t mask)
{
    pic_mask((uint16_t) ~(mask | 1u << 2 | 1u << 0));
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
    pic_mask(0xffff);
}

bool machine_in_interrupt(void)
{
    return irq_depth > 0;
}

void irq_pretend(bool running)
{
    if (running != irq_pretended)
        irq_depth += running ? 1 : -1u;
    irq_pretended = running;
}

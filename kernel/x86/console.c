/* SPDX-License-Identifier: MIT */
/*
 * console.c - the first serial line and the VGA text screen, written alike;
 * input from the serial line and the PS/2 keyboard.
 *
 * The screen is a window of 25 lines that moves through the 32 KiB of text
 * memory, so that a new line costs a line, not a screen:
 *
 *     b8000 | old lines | the 25 lines shown | not used yet | c0000
 *                       ^ vga.top, told to the CRT controller
 *
 * At the end of the memory the lines shown are copied back to its start.
 * A serial port that is not there, or that stops taking bytes, is given up.
 * Cost under QEMU: about 4 port accesses and a store a character.
 * Source: 16550D data sheet; IBM VGA technical reference (CRTC 0C-0F).
 */
#include "x86.h"

#define COM1       0x3f8u
#define COM_DATA   (COM1 + 0)
#define COM_IRQ    (COM1 + 1)
#define COM_FIFO   (COM1 + 2)
#define COM_LINE   (COM1 + 3)
#define COM_MODEM  (COM1 + 4)
#define COM_STATUS (COM1 + 5)
#define COM_SPARE  (COM1 + 7)

#define STATUS_RECEIVED 0x01u
#define STATUS_ROOM     0x20u
#define STATUS_IDLE     0x40u
#define SERIAL_PATIENCE 1000000u /* polls until a stuck line is given up */

#define KEYBOARD_DATA   0x60u
#define KEYBOARD_STATUS 0x64u

#define VGA_CRTC    0x3d4u
#define VGA_COLUMNS 80u
#define VGA_ROWS    25u
#define VGA_CELLS   (0x8000u / 2)
#define VGA_ATTR    0x0700u /* light grey on black */

#define END_OF_INPUT 4 /* Ctrl-D */

static struct {
    bool present;
    bool crlf;
} serial;

static struct {
    unsigned top;    /* cell that is shown in the corner */
    unsigned cursor; /* cell that is written next */
} vga;

static bool shift_is_down;

static volatile uint16_t *vga_cells(void)
{
    return (volatile uint16_t *)(X86_PHYSICAL + X86_TEXT_SCREEN);
}

static bool serial_wait(unsigned bit)
{
    for (unsigned i = 0; i < SERIAL_PATIENCE; i++) {
        if (inb(COM_STATUS) & bit)
            return true;
        __asm__ volatile("pause");
    }
    return false;
}

/* 115,200 baud, 8 bits, no parity. */
static void serial_init(void)
{
    outb(COM_SPARE, 0x5a);
    serial.present = inb(COM_SPARE) == 0x5a;
    if (!serial.present)
        return;
    outb(COM_IRQ, 0);
    outb(COM_LINE, 0x80); /* the divisor: 1 */
    outb(COM_DATA, 1);
    outb(COM_IRQ, 0);
    outb(COM_LINE, 0x03);
    outb(COM_FIFO, 0x07);  /* on, emptied, tell of each byte */
    outb(COM_MODEM, 0x0b); /* DTR, RTS, and the gate of the interrupt */
    outb(COM_IRQ, 0x01);   /* on reception: for irq_wait() */
}

static void serial_put(char c)
{
    if (!serial.present)
        return;
    serial.present = serial_wait(STATUS_ROOM);
    outb(COM_DATA, (uint8_t)c);
}

static void crtc_write(unsigned index, unsigned value)
{
    outb(VGA_CRTC, (uint8_t)index);
    outb(VGA_CRTC + 1, (uint8_t)value);
}

static void vga_clear_row(unsigned cell)
{
    for (unsigned i = 0; i < VGA_COLUMNS; i++)
        vga_cells()[cell + i] = VGA_ATTR | ' ';
}

static void vga_init(void)
{
    for (unsigned row = 0; row < VGA_ROWS; row++)
        vga_clear_row(row * VGA_COLUMNS);
    vga.top = vga.cursor = 0;
}

/* One line up: the window moves down, or back to the start. */
static void vga_scroll(void)
{
    const unsigned kept = (VGA_ROWS - 1) * VGA_COLUMNS;
    vga.top += VGA_COLUMNS;
    if (vga.top + VGA_ROWS * VGA_COLUMNS > VGA_CELLS) {
        for (unsigned i = 0; i < kept; i++)
            vga_cells()[i] = vga_cells()[vga.top + i];
        vga.top = 0;
        vga.cursor = kept;
    }
    vga_clear_row(vga.top + kept);
}

static void vga_put(char c)
{
    unsigned column = (vga.cursor - vga.top) % VGA_COLUMNS;
    if (c == '\n')
        vga.cursor += VGA_COLUMNS - column;
    else if (c == '\r')
        vga.cursor -= column;
    else if (c == '\b')
        vga.cursor -= column > 0 ? 1 : 0;
    else
        vga_cells()[vga.cursor++] = (uint16_t)(VGA_ATTR | (uint8_t)c);
    if (vga.cursor - vga.top == VGA_ROWS * VGA_COLUMNS)
        vga_scroll();
}

static void vga_show(void)
{
    crtc_write(0x0c, vga.top >> 8);
    crtc_write(0x0d, vga.top);
    crtc_write(0x0e, vga.cursor >> 8);
    crtc_write(0x0f, vga.cursor);
}

void console_init(void)
{
    serial_init();
    vga_init();
}

void console_set_crlf(void)
{
    serial.crlf = true;
}

void console_drain(void)
{
    if (serial.present)
        (void)serial_wait(STATUS_IDLE);
}

void machine_write(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n' && serial.crlf)
            serial_put('\r');
        serial_put(text[i]);
        vga_put(text[i]);
    }
    vga_show();
}

/* Scan codes, set 1, of a US keyboard: 0 where nothing is printed. */
static const char keys[2][58] = {
    "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ",
    "\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ",
};

/* A character, or 0. */
static int keyboard_poll(void)
{
    uint8_t status = inb(KEYBOARD_STATUS);
    if (status == 0xff || (status & 1) == 0)
        return 0;
    uint8_t code = inb(KEYBOARD_DATA);
    if (status & 0x20) /* from the mouse */
        return 0;
    unsigned key = code & 0x7fu;
    if (key == 0x2a || key == 0x36) {
        shift_is_down = (code & 0x80) == 0;
        return 0;
    }
    if ((code & 0x80) || key >= sizeof keys[0])
        return 0;
    return keys[shift_is_down][key];
}

int machine_read(void)
{
    for (;;) {
        int c = keyboard_poll();
        if (c == 0 && serial.present && (inb(COM_STATUS) & STATUS_RECEIVED))
            c = inb(COM_DATA);
        if (c == END_OF_INPUT)
            return -1;
        if (c == '\r')
            return '\n';
        if (c != 0)
            return c;
        irq_wait(1u << 4 | 1u << 1);
    }
}

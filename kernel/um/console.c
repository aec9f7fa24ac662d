/* SPDX-License-Identifier: MIT */
/*
 * console.c - standard output and input. On a terminal the monitor echoes and
 * edits by itself, so from the first key on the terminal's own line editing is
 * off; at the end, however it comes, the terminal is as it was. Ctrl-C ends the
 * process, but for a line that is being typed, which it cancels.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "um_kernel.h"

#define END_OF_INPUT 4 /* Ctrl-D */

static struct {
    bool raw;
    struct termios before;
} terminal;

static void terminal_restore(void)
{
    if (terminal.raw)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

static void on_interrupt(int signal)
{
    terminal_restore();
    _exit(128 + signal);
}

/* At the prompt, `typing`, Ctrl-C is a key. */
static void terminal_set(bool typing)
{
    struct termios now;
    if (!terminal.raw) {
        if (tcgetattr(STDIN_FILENO, &terminal.before) != 0)
            return; /* no terminal */
        terminal.raw = true;
        (void)atexit(terminal_restore);
    }
    now = terminal.before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO | (typing ? (tcflag_t)ISIG : 0));
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
}

void console_init(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* The text may lie in the simulated machine, where a system call cannot read
 * it: it would return EFAULT, and fill nothing. */
void machine_write(const char *text, size_t bytes)
{
    char copy[256];
    while (bytes > 0) {
        size_t part = bytes < sizeof(copy) ? bytes : sizeof(copy);
        memcpy(copy, text, part);
        (void)fwrite(copy, 1, part, stdout);
        text += part;
        bytes -= part;
    }
}

int machine_read(void)
{
    unsigned char key = END_OF_INPUT;
    ssize_t got;

    (void)fflush(stdout);
    terminal_set(true);
    do {
        got = read(STDIN_FILENO, &key, 1);
    } while (got < 0 && errno == EINTR);
    terminal_set(false);
    if (got != 1 || key == END_OF_INPUT)
        return -1;
    return key == '\r' ? '\n' : key;
}

void machine_exit(int code)
{
    exit(code);
}

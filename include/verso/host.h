/* SPDX-License-Identifier: MIT */
/*
 * host.h - what the kernel around Verso supplies: four functions, and the C
 * library's memcpy, memmove, memset and memcmp. Nothing else is needed.
 *
 * Example, for a kernel with one CPU and a serial line:
 *
 *     void verso_host_panic(const char *message)
 *     {
 *         serial_write(message, strlen(message));
 *         for (;;)
 *             __asm__ volatile("cli; hlt");
 *     }
 *     void verso_host_log(const char *text, size_t bytes)
 *     {
 *         serial_write(text, bytes);
 *     }
 *     void verso_host_yield(void)
 *     {
 *     }
 *     bool verso_host_in_interrupt(void)
 *     {
 *         return interrupt_depth > 0;
 *     }
 */
#ifndef VERSO_HOST_H
#define VERSO_HOST_H

#include <verso/types.h>

/*
 * The caller misused Verso, or its data are damaged: `message` (one line, no
 * newline, owned by Verso) says which numbers were wrong. Called in any
 * context, perhaps with Verso's locks held: must not call Verso except
 * verso_describe(), and must not return.
 */
VERSO_NORETURN void verso_host_panic(const char *message);

/*
 * The sink of reports and messages: write `bytes` bytes of `text` (not
 * terminated by 0) as they are. Called in any context the reports are called
 * in, with no lock held. Must not call Verso.
 */
void verso_host_log(const char *text, size_t bytes);

/*
 * A hint: this CPU has been spinning for a lock; a hosted or preemptive system
 * runs somebody else. May do nothing. Never called with interrupts on that
 * were off.
 */
void verso_host_yield(void);

/*
 * True while this CPU runs an interrupt handler. Asked on slow paths only:
 * there, nothing is grown, and the call returns "no memory".
 */
bool verso_host_in_interrupt(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * util.h - printing to the host's sink, for reports and for the kernel around.
 *
 * Formats: %d %u %x with l, ll, z; %s %c %p %%; flags 0 and -, # for %x, a
 * width, a precision for %s. No floating point. One call becomes one or more
 * calls of verso_host_log(); no buffer is allocated. Any context.
 */
#ifndef VERSO_UTIL_H
#define VERSO_UTIL_H

#include <stdarg.h>

#include <verso/types.h>

void verso_print(const char *format, ...) VERSO_PRINTF(1, 2);
void verso_vprint(const char *format, va_list args) VERSO_PRINTF(1, 0);

/* Into `buffer` of `room` bytes, always terminated; returns the length that
 * the whole text has. */
size_t verso_format(char *buffer, size_t room, const char *format, ...)
    VERSO_PRINTF(3, 4);

/* Formats a message of at most 255 characters and calls verso_host_panic(). */
VERSO_NORETURN void verso_panic(const char *format, ...) VERSO_PRINTF(1, 2);

#endif

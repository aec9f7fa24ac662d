/* SPDX-License-Identifier: MIT */
/* string.h - what string.c defines; a freestanding compiler brings none. */
#ifndef KERNEL_X86_STRING_H
#define KERNEL_X86_STRING_H

#include <stddef.h>

void *memset(void *to, int byte, size_t bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * text.c - the few things about numbers and strings that a kernel without a
 * C library has to bring along.
 */
#include "kernel.h"

/* Long division, bit by bit: some 64 rounds, for reports only. 32-bit machines
 * would call the compiler's library for it, which is not linked. */
uint64_t divide64(uint64_t n, uint64_t d)
{
    uint64_t quotient = 0, rest = 0;

    if (d == 0)
        return 0;
    for (unsigned bit = 64; bit-- > 0;) {
        uint64_t carry = rest >> 63;
        rest = rest << 1 | (n >> bit & 1);
        if (carry != 0 || rest >= d) {
            rest -= d;
            quotient |= (uint64_t)1 << bit;
        }
    }
    return quotient;
}

size_t text_length(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    return length;
}

bool text_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const char *text_bytes(char buffer[16], uint64_t bytes)
{
    static const char *const units[] = {
        "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0, shift = 10;

    if (bytes < 1024) {
        verso_format(buffer, 16, "%u B", (unsigned)bytes);
        return buffer;
    }
    while (unit + 1 < ARRAY_COUNT(units) && bytes >> shift >= 1024) {
        unit++;
        shift += 10;
    }
    unsigned whole = (unsigned)(bytes >> shift);
    unsigned tenth = (unsigned)(((bytes >> (shift - 10)) & 1023) * 10 / 1024);
    if (tenth == 0)
        verso_format(buffer, 16, "%u %s", whole, units[unit]);
    else
        verso_format(buffer, 16, "%u.%u %s", whole, tenth, units[unit]);
    return buffer;
}

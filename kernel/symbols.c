/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - the names of functions, from a table that the build makes with nm
 * of the linked kernel (tools/symbols.sh): addresses ascending, the name of
 * each at an offset in one long string. Cost: a binary search.
 */
#include "kernel.h"

extern const uint32_t symbol_count;
extern const vaddr_t symbol_addresses[];
extern const uint32_t symbol_names[];
extern const char symbol_text[];

struct symbol symbol_find(vaddr_t address, vaddr_t text_end)
{
    uint32_t low = 0, high = symbol_count;
    vaddr_t end = text_end;
    if (address >= end)
        return (struct symbol){.name = NULL};
    while (low < high) { /* the first symbol above it */
        uint32_t middle = low + (high - low) / 2;
        if (symbol_addresses[middle] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return (struct symbol){.name = NULL};
    if (low < symbol_count)
        end = symbol_addresses[low];
    return (struct symbol){
        symbol_addresses[low - 1], end, symbol_text + symbol_names[low - 1]};
}

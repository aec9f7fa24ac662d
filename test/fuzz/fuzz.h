/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the three fuzz targets share (common.c). A target is a file
 * with fuzz_start() and fuzz_one(), linked with libFuzzer:
 *
 *     api.c     bytes -> operations of the model (../model.h)
 *     boot.c    bytes -> a boot structure
 *     trace.c   bytes -> a trace, or an archive of them
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <verso/util.h>

/* The target's: once, before all; then for each input. */
void fuzz_start(void);
void fuzz_one(const uint8_t *bytes, size_t size);

/* ---- choices out of bytes ---- */

void choices_open(const uint8_t *bytes, size_t size);
/* Numbers instead of bytes, when the bytes are used up. */
void choices_extend(void);
bool choices_left(void);
/* 0 .. n - 1; 0 when the bytes are used up. */
uint32_t choice_below(uint32_t n);
/* A number made of all that was read: repeatable, not to be aimed at. */
uint32_t choices_sum(void);

/* ---- every input finds the same state ---- */

/* All that Verso has: its state, its frame array, the frames in use. */
void state_save(void);
void state_restore(void);
/* Verso as it was when the process began: nothing is initialised. */
void state_clear(void);

/* The target found a mistake: ends the process; libFuzzer keeps the input. */
VERSO_NORETURN void fuzz_found(const char *format, ...) VERSO_PRINTF(1, 2);

#endif

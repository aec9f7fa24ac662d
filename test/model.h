/* SPDX-License-Identifier: MIT */
/*
 * model.h - the model of model.c, for whoever drives it: its tests do, by
 * random numbers, and the fuzzer (test/fuzz/api.c), by the bytes of an input.
 */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <verso/types.h>

/* Where choices come from: 0 .. n - 1, for n > 0. */
typedef uint32_t model_choice(uint32_t n);
void model_start(model_choice *choose);

/* One operation; what it returns and what can be seen of it is compared. */
void model_step(void);
/* An address that an operation had to do with, or near it; or any. */
const void *model_address(void);
/* Everything that is live, compared; verso_check(). */
void model_check(void);
/* Frees everything that is live. */
void model_end(void);

#endif

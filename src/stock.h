/* SPDX-License-Identifier: MIT */
/*
 * stock - free things kept at hand in front of a slower store.
 *
 *     first -> thing -> thing -> ... -> 0        last in, first out
 *     room = limit - things in the chain         below 0: a batch goes back
 *
 * A thing is named by a word that is never 0: a frame number, the index of a
 * node, or its own address when the link lies in the object. The stock never
 * touches a thing: its user writes and reads the links, wherever they are, so
 * that one stock serves all three. Locks, limit and batch are the user's:
 *
 *     thing[n].link = (uint32_t)stock.first;
 *     stock_push(&stock, n, 1);
 *     if (unlikely(stock.room < 0))
 *         ... pop a batch and give it to the slower store ...
 *
 *     n = (uint32_t)stock.first;
 *     if (unlikely(n == 0))
 *         ... get a batch from there, push it as one chain ...
 *     stock_pop(&stock, thing[n].link, 1);
 *
 * Counting down what there is room for, rather than up what there is, makes
 * the test for "full" part of the count. One CPU: there is one stock. With
 * more, each CPU's slot in struct verso_cpu gets a chain of its own, and whole
 * batches move between it and this stock, which becomes the depot, by the same
 * two calls.
 */
#ifndef VERSO_SRC_STOCK_H
#define VERSO_SRC_STOCK_H

#include "util.h"

struct stock {
    uintptr_t first; /* 0: empty */
    int32_t room;    /* things it may take until it is full */
};

/* Puts `count` linked things that begin with `first` in front: the last one
 * must be linked to stock->first already. */
ALWAYS_INLINE void stock_push(
    struct stock *stock, uintptr_t first, uint32_t count)
{
    stock->first = first;
    stock->room -= (int32_t)count;
}

/* Takes the first `count` things; `next` is the link of the last of them. */
ALWAYS_INLINE void stock_pop(
    struct stock *stock, uintptr_t next, uint32_t count)
{
    stock->first = next;
    stock->room += (int32_t)count;
}

#endif

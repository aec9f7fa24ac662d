#!/bin/sh
# SPDX-License-Identifier: MIT
# All suites on a machine that misbehaves, in one way after the other and in all
# at once (arch/um/machine/README.md).
all=UM=evict=8,speculate=1,pdecache=1,fragment=1,adrandom=1
exec "$(dirname "$0")/host/modes.sh" um-modes \
    UM=evict=2,seed=1 \
    UM=speculate=1,seed=2 \
    UM=pdecache=1,evict=64,seed=3 \
    UM=fragment=1,adrandom=1,seed=4 \
    $all,seed=7 \
    "$all,seed=8 ACCESSOR=direct" \
    "$all,seed=9 LARGE=0 MEM=8M" \
    "$all,seed=10 SEED=10" \
    'UM=evict=3,speculate=1,pdecache=1,seed=11 SEED=11' \
    GLOBAL=0 \
    "$all,seed=7 UM_BUILD=um/64" \
    "$all,seed=8 UM_BUILD=um/64 ACCESSOR=direct" \
    "$all,seed=9 UM_BUILD=um/64 ACCESSOR=direct LEVELS=5" \
    "$all,seed=10 UM_BUILD=um/64 LARGE=0 MEM=8M" \
    "$all,seed=15,noids=1 UM_BUILD=um/64" \
    "$all,seed=16,noinvpcid=1 UM_BUILD=um/64" \
    "$all,seed=17 UM_BUILD=um/64 GLOBAL=0" \
    "$all,seed=7 UM_BUILD=um/pae" \
    "$all,seed=8 UM_BUILD=um/pae ACCESSOR=direct" \
    "$all,seed=10 UM_BUILD=um/pae LARGE=0 MEM=8M" \
    "UM_BUILD=um/pae NX=0"

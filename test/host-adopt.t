#!/bin/sh
# SPDX-License-Identifier: MIT
# All suites in tables that somebody else made (adopt.c).
all=UM=evict=8,speculate=1,pdecache=1,fragment=1,adrandom=1
exec "$(dirname "$0")/host/modes.sh" host-adopt \
    BOOT=adopt \
    'BOOT=adopt ACCESSOR=direct' \
    'BOOT=adopt LARGE=0' \
    "BOOT=adopt $all,seed=3" \
    'BOOT=adopt UM_BUILD=um/64' \
    'BOOT=adopt UM_BUILD=um/64 ACCESSOR=direct' \
    "BOOT=adopt UM_BUILD=um/64 $all,seed=4" \
    'BOOT=adopt UM_BUILD=um/64 ACCESSOR=direct LEVELS=5'

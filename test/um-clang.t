#!/bin/sh
# SPDX-License-Identifier: MIT
# All suites as clang builds them, with its sanitizers.
all=UM=evict=8,speculate=1,pdecache=1,fragment=1,adrandom=1
exec "$(dirname "$0")/host/modes.sh" um-clang \
    UM_BUILD=um/clang-32 \
    UM_BUILD=um/clang-64 \
    UM_BUILD=um/clang-pae \
    "$all,seed=7 UM_BUILD=um/clang-64 ACCESSOR=direct LEVELS=5"

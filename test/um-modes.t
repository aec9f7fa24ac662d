#!/bin/sh
# SPDX-License-Identifier: MIT
# All suites on a machine that misbehaves, in one way after the other and in all
# at once (arch/um/machine/README.md), and as another compiler builds them. A line
# a run; what failed in it stands above.
cd "$(dirname "$0")" || exit 1
all=evict=8,speculate=1,pdecache=1,fragment=1,adrandom=1
number=0
failed=0
echo 1..17

# try WORDS [VARIABLE=VALUE...]
try() {
    words=$1
    shift
    number=$((number + 1))
    if output=$(host/run.sh UM="$words" "$@" 2>&1); then
        echo "ok $number - um-modes: $words $*"
    else
        echo "$output" | grep -v '^ok ' | sed 's/^/# /'
        echo "not ok $number - um-modes: $words $*"
        failed=1
    fi
}

try evict=2,seed=1
try speculate=1,seed=2
try pdecache=1,evict=64,seed=3
try fragment=1,adrandom=1,seed=4
try $all,seed=7
try $all,seed=8 ACCESSOR=direct
try $all,seed=9 LARGE=0 MEM=8M
try $all,seed=10 SEED=10
try evict=3,speculate=1,pdecache=1,seed=11 SEED=11
try '' GLOBAL=0
try $all,seed=7 UM_BUILD=um/64
try $all,seed=8 UM_BUILD=um/64 ACCESSOR=direct
try $all,seed=9 UM_BUILD=um/64 ACCESSOR=direct LEVELS=5
try $all,seed=10 UM_BUILD=um/64 LARGE=0 MEM=8M
try '' UM_BUILD=um/clang-32
try '' UM_BUILD=um/clang-64
try $all,seed=7 UM_BUILD=um/clang-64 ACCESSOR=direct LEVELS=5
exit $failed

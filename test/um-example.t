#!/bin/sh
# SPDX-License-Identifier: MIT
# The machine of arch/um with page tables that are not Verso's: a forgotten
# invalidation is found, with its address and the function that stored; the
# mended code is clean, whatever the machine's temper; wrong words are refused.
cd "$(dirname "$0")/.." || exit 1
export ASAN_OPTIONS=detect_leaks=1
unset UM
number=0
failed=0
echo 1..10

# tell STATUS OUTPUT NAME: a line of TAP.
tell() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - um-example: $bits-bit: $3"
    else
        echo "$2" | sed 's/^/# /'
        echo "not ok $number - um-example: $bits-bit: $3"
        failed=1
    fi
}

# example BITS PAGE: of the page whose invalidation is forgotten
example() {
    bits=$1
    example=${BUILT:-build}/um-machine/$bits/um-example

    output=$($example 2>&1)
    [ $? = 3 ] && echo "$output" | grep -q '^1 stale$'
    tell $? "$output" "the forgotten invalidation is found, and nothing else"

    echo "$output" | grep -q "page $2, level 0: .* by unmap "
    tell $? "$output" "with its address and the function that stored"

    output=$($example mended 2>&1)
    tell $? "$output" "the mended code is clean"

    output=$(for seed in 1 2 3 4 5; do
        UM=evict=2,speculate=1,pdecache=1,fragment=1,adrandom=1,seed=$seed \
            $example mended 2>&1 || echo "seed $seed: status $?"
    done)
    ! echo "$output" | grep -q status
    tell $? "$output" "also on a machine that misbehaves"

    output=$(UM=sleep=1 $example mended 2>&1)
    [ $? = 2 ] && echo "$output" | grep -q speculate=
    tell $? "$output" "words that are not known get the list of those that are"
}

example 32 0x60003000
example 64 0x200000003000
exit $failed

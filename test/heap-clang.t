#!/bin/sh
# SPDX-License-Identifier: MIT
# What knows no host but Linux, as clang builds it, with its sanitizers: the heap
# alone, and the simulated machine alone, in both word sizes.
cd "$(dirname "$0")/.." || exit 1
clang=${BUILT:-build}/clang
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
export UBSAN_OPTIONS="print_stacktrace=1"
number=0
failed=0
echo 1..4
for program in heap/64/verso-heap-test heap/32/verso-heap-test \
    um-machine/64/um-machine um-machine/32/um-machine; do
    number=$((number + 1))
    if output=$(timeout 300 "$clang/$program" 2>&1); then
        echo "ok $number - clang: $program"
    else
        echo "$output" | grep -v '^ok ' | sed 's/^/# /'
        echo "not ok $number - clang: $program"
        failed=1
    fi
done
exit $failed

#!/bin/sh
# SPDX-License-Identifier: MIT
# The heap alone over another back, 64-bit, under ASan and UBSan.
cd "$(dirname "$0")/.." || exit 1
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
export UBSAN_OPTIONS="print_stacktrace=1"
exec timeout "${TIMEOUT:-300}" "${BUILT:-build}"/heap/64/verso-heap-test

#!/bin/sh
# SPDX-License-Identifier: MIT
# The machine of arch/um alone, 32-bit, two levels, under ASan and UBSan.
cd "$(dirname "$0")/.." || exit 1
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
export UBSAN_OPTIONS="print_stacktrace=1"
exec timeout "${TIMEOUT:-300}" "${BUILT:-build}"/um-machine/32/um-machine

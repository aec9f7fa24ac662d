#!/bin/sh
# SPDX-License-Identifier: MIT
# Two CPUs inside one Verso, built for two: test/um-cpus/verso.c.
cd "$(dirname "$0")/.." || exit 1
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
unset UM
exec timeout 120 "${BUILT:-build}"/um-cpus/verso

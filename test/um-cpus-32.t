#!/bin/sh
# SPDX-License-Identifier: MIT
# Several CPUs on the machine of arch/um, without Verso: test/um-cpus/main.c, with
# 32-bit tables.
cd "$(dirname "$0")/.." || exit 1
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
unset UM
exec timeout 120 "${BUILT:-build}"/um-machine/32/um-cpus

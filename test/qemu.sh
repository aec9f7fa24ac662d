#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: qemu.sh MEM [WORD...]: the suites linked into the kernel, in QEMU with
# that much memory. ARCH, SEED and SUITE are taken from the environment. Only TAP
# is let through: what the kernel says besides becomes a comment. Not in QEMU, if
# RUNNER=tools/bochs.sh or the like is in the environment.
set -eu
cd "$(dirname "$0")/.."
mem=$1
shift
test=test
if [ -n "${SUITE:-}" ]; then test="test=$SUITE"; fi
if [ -n "${SEED:-}" ]; then set -- "seed=$SEED" "$@"; fi
status=$(mktemp)
trap 'rm -f "$status"' EXIT
{
    MEM=$mem INTERACTIVE=no TIMEOUT="${TIMEOUT:-300}" \
        "${RUNNER:-tools/qemu.sh}" \
        "${BUILT:-build}/${ARCH:-x86_64}/verso-test.elf" - \
        "$test" "$@" && echo 0 >"$status" ||
        echo 1 >"$status"
} | tr -d '\r' | sed -E '/^(ok|not ok|1\.\.|#|TAP version|Bail out!)/!s/^/# /'
exit "$(cat "$status")"

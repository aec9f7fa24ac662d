#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: run.sh [VARIABLE=VALUE...]: the host's tests with these settings; of the
# 64-bit build with UM_BUILD=um/64, of clang's with um/clang-64. SEED and SUITE
# pass through.
set -eu
cd "$(dirname "$0")/../.."
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
export UBSAN_OPTIONS="print_stacktrace=1"
# shellcheck disable=SC2016 # the arguments may set these
exec env "$@" sh -c \
    'exec timeout "${TIMEOUT:-300}" "${BUILT:-build}/${UM_BUILD:-um}/verso-test"'

#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: run.sh [VARIABLE=VALUE...]: the host's tests with these settings.
# SEED and SUITE pass through from the environment.
set -eu
cd "$(dirname "$0")/../.."
export ASAN_OPTIONS="detect_leaks=1:fast_unwind_on_fatal=1"
export UBSAN_OPTIONS="print_stacktrace=1"
exec env "$@" timeout "${TIMEOUT:-300}" "${BUILT:-build}"/um/verso-test

#!/bin/sh
# SPDX-License-Identifier: MIT
# A suite that main.c does not list would not run, and nobody would notice.
cd "$(dirname "$0")" || exit 1
echo 1..1
lost=$(sed -n 's/^SUITE(\([a-z0-9_]*\),.*/\1/p' ./*.c | while read -r suite; do
    grep -q "X($suite)" main.c || echo "$suite"
done)
if [ -n "$lost" ]; then
    echo "# not listed in main.c:" $lost
    echo "not ok 1 - suites: every suite is listed"
    exit 1
fi
echo "ok 1 - suites: every suite is listed"

#!/bin/sh
# SPDX-License-Identifier: MIT
# alloc with other tables of classes than its own: one class, three far apart,
# many, the largest there can be.
cd "$(dirname "$0")" || exit 1
failed=0
number=0
echo 1..4
for classes in 16 '8 64 4096' \
    '8 16 24 32 40 48 56 64 72 80 512 1024 1152 1280 1408 1536 3072' \
    '8 32768'; do
    number=$((number + 1))
    if output=$(SUITE=alloc host/run.sh CLASSES="$classes" 2>&1); then
        echo "ok $number - alloc: with classes of $classes bytes"
    else
        echo "$output" | sed 's/^/# /'
        echo "not ok $number - alloc: with classes of $classes bytes"
        failed=1
    fi
done
exit $failed

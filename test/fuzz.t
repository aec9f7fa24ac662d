#!/bin/sh
# SPDX-License-Identifier: MIT
# Each input of test/corpus/, once, by the target it is for (docs/testing.md).
cd "$(dirname "$0")/.." || exit 1
export ASAN_OPTIONS="detect_leaks=0:fast_unwind_on_fatal=1"
number=0
failed=0

# corpus TARGET BITS DIRECTORY
corpus() {
    number=$((number + 1))
    if output=$(timeout 100 "$3/fuzz-$1" 2>&1); then
        echo "ok $number - fuzz: the corpus of $1, $2-bit"
        return
    fi
    # an input that fails is the one whose line is missing
    echo "$output" | grep -v '^ok ' | sed 's/^/# /'
    echo "$output" | grep '^ok ' | tail -n 1 | sed 's/^/# the last: /'
    echo "not ok $number - fuzz: the corpus of $1, $2-bit"
    failed=1
}

echo 1..6
for target in api boot trace; do
    corpus $target 32 build/um
    corpus $target 64 build/um/64
done
exit $failed

#!/bin/sh
# SPDX-License-Identifier: MIT
# For `make coverage`: what the booted kernel does besides the suites. A
# replay and the monitor's reports; a boot that ends in a fault.
cd "$(dirname "$0")/../.." || exit 1
built=${BUILT:-build}
failed=0
number=0
echo 1..2

# boot TEXT SENTENCE WORD...: TEXT must be in what the kernel says.
boot() {
    text=$1
    sentence=$2
    shift 2
    number=$((number + 1))
    output=$(INTERACTIVE=no tools/qemu.sh "$built/x86/verso-test.elf" \
        "$built/x86/traces.tar" "$@" 2>&1)
    if echo "$output" | grep -q -e "$text"; then
        echo "ok $number - booted: $sentence"
    else
        echo "$output" | tail -n 20 | sed 's/^/# /'
        echo "not ok $number - booted: $sentence"
        failed=1
    fi
}

boot 'ok' 'the whole run'
boot 'fault: ' 'a fault that nobody owns' crash=guard
exit $failed

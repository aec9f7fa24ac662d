#!/bin/sh
# SPDX-License-Identifier: MIT
# For `make coverage`: what the booted kernel does besides its suites. The
# reports, asked for at the monitor; a trace; a fault that nobody owns.
cd "$(dirname "$0")/../.." || exit 1
built=${BUILT:-build}
failed=0
number=0
echo 1..3

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

boot '^tables: 00001000-0009ffff -> 00001000 rw-k 4K' \
    'the tables of this kernel' \
    'cmd="frames; tables; walk 0x100000; areas; slabs; describe 0x100000; check"'
boot '^replay jq: .* result=ok' 'a trace is replayed' 'cmd="replay jq"'
boot '^fault: write to' 'a fault that nobody owns ends the machine' crash=guard
exit $failed

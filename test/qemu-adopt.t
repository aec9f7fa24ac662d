#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernel that had tables of its own before Verso was started in it: all
# suites by the mirror and by the direct map, on a CPU with all there is, and with
# cache types of the host's making; the traces. A line a run; what failed in it stands above.
cd "$(dirname "$0")" || exit 1
number=0
failed=0
echo 1..5

# run MEM SUITE FLAGS WORDS...
run() {
    mem=$1
    suite=$2
    flags=$3
    shift 3
    number=$((number + 1))
    if output=$(SUITE=$suite QEMU_FLAGS="$flags ${QEMU_FLAGS:-}" \
        ./qemu.sh "$mem" "$@" 2>&1); then
        echo "ok $number - qemu-adopt: $mem $flags $*"
    else
        echo "$output" | grep -v '^ok ' | sed 's/^/# /'
        echo "not ok $number - qemu-adopt: $mem $flags $*"
        failed=1
    fi
}
run 64M '' '' adopt
run 64M '' '' adopt accessor=direct
run 64M '' '-cpu max' adopt
run 64M x86 '' adopt=pat

number=$((number + 1))
if output=$(cd .. && MEM=64M INTERACTIVE=no TIMEOUT=300 tools/qemu.sh \
    "${BUILD:-build/x86_64}/verso.elf" "${BUILD:-build/x86_64}/traces.tar" adopt \
    cmd='"replay; check"' 2>&1) && echo "$output" | grep -q 'result=ok'; then
    echo "ok $number - qemu-adopt: the traces"
else
    echo "$output" | sed 's/^/# /'
    echo "not ok $number - qemu-adopt: the traces"
    failed=1
fi
exit $failed

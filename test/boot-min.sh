#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: boot-min.sh KERNEL [TRACE]: the smallest memory, in steps of 64 KiB,
# with which the kernel boots, checks itself and ends well, and with which it
# replays the trace (default: linux-boot), as two lines
#
#     figure ARCH smallest_mem_boot N KiB
#     figure ARCH smallest_mem_linux_boot N KiB
#
# N is all the machine has: the first MiB, the kernel's image and, for the
# second, the archive with the unpacked trace are in it. ARCH
# is taken from the environment. Used by `make bench`.
set -eu
cd "$(dirname "$0")/.."
kernel=$1
trace=${2:-traces/linux-boot.rep.gz}
name=$(basename "$trace" .gz)
name=${name%.rep}
archive=build/boot-min.tar
STEP=64 # KiB

# boots KIB ARCHIVE COMMANDS
boots() {
    MEM=${1}K INTERACTIVE=no TIMEOUT=60 tools/qemu.sh "$kernel" "$2" \
        "cmd=\"$3\"" >/dev/null 2>&1
}

# smallest LOW HIGH ARCHIVE COMMANDS: fails with LOW steps, works with HIGH
smallest() {
    low=$1
    high=$2
    boots $((high * STEP)) "$3" "$4" || return 1
    while [ $((high - low)) -gt 1 ]; do
        middle=$(((low + high) / 2))
        if boots $((middle * STEP)) "$3" "$4"; then
            high=$middle
        else
            low=$middle
        fi
    done
    echo $((high * STEP))
}

tools/pack.sh "$archive" "$trace"
trap 'rm -f "$archive"' EXIT
boot=$(smallest 16 256 - "check; quit")
echo "figure ${ARCH:-x86_64} smallest_mem_boot $boot KiB"
# A MiB more than nothing is known to be too little: the trace alone is more.
replay=$(smallest $((boot / STEP)) 1024 "$archive" "replay $name; check; quit")
echo "figure ${ARCH:-x86_64} smallest_mem_$(echo "$name" | tr -c 'a-z0-9\n' _) $replay KiB"

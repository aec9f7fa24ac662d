#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a 32-bit kernel on v86, a PC in JavaScript and WebAssembly, in node; as
# tools/qemu.sh runs it in QEMU:
#
#     tools/v86.sh KERNEL [ARCHIVE|-] [WORD...]
#
# v86 itself starts the kernel, by Multiboot 1. Its package, of the version that
# v86/package-lock.json names, is installed in build/v86/ once. From the
# environment: MEM=64M memory, TIMEOUT=120 seconds.
# Exit status: 0 if the kernel exited with code 0, 124 out of time, else 1.
set -eu
cd "$(dirname "$0")/.."

kernel=$1
shift
archive=-
if [ $# -gt 0 ]; then
    archive=$1
    shift
fi
# The fifth byte of an ELF file: 2 if it is 64-bit.
if [ "$(od -An -tu1 -j4 -N1 "$kernel" | tr -d ' ')" = 2 ]; then
    echo "v86.sh: $kernel is 64-bit, and v86 a 32-bit machine" >&2
    exit 1
fi
mem=${MEM:-64M}
case ${mem%M} in
'' | *[!0-9]*)
    echo "v86.sh: MEM=$mem: not a size, as 64M" >&2
    exit 1
    ;;
esac

place=build/v86
if ! cmp -s tools/v86/package-lock.json $place/package-lock.json ||
    [ ! -f $place/node_modules/v86/build/v86.wasm ]; then
    mkdir -p $place
    cp tools/v86/package.json tools/v86/package-lock.json $place
    if ! npm ci --prefix $place --no-audit --no-fund >$place/npm.log 2>&1; then
        cat $place/npm.log >&2
        echo "v86.sh: npm could not install v86" >&2
        exit 1
    fi
fi

status=0
timeout -k 5 "${TIMEOUT:-120}" node tools/v86/run.mjs $place "$kernel" \
    "$archive" "${mem%M}" "$*" </dev/null || status=$?
case $status in
0) exit 0 ;;
124)
    echo "v86.sh: stopped after ${TIMEOUT:-120} seconds" >&2
    exit 124
    ;;
*) exit 1 ;;
esac

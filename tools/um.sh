#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the kernel of ARCH=um, a Linux process, as tools/qemu.sh runs the others:
#
#     tools/um.sh KERNEL [ARCHIVE|-] [WORD...]
#
# The words become its arguments. From the environment:
#     MEM=64M           memory of the simulated machine
#     TIMEOUT=120       seconds until it is stopped
#     INTERACTIVE=auto  yes, no; auto: yes on a terminal. Then the word
#                       `interactive` is added, and there is no time limit
# Exit status: 0 if the kernel exited with code 0, 124 out of time, else 1.
set -eu

kernel=$1
shift
archive=-
if [ $# -gt 0 ]; then
    archive=$1
    shift
fi
if [ -n "${ISO:-}" ]; then
    echo "um.sh: ISO=$ISO: a process is not booted from an image" >&2
    exit 1
fi
case $kernel in */*) ;; *) kernel=./$kernel ;; esac

if [ "${INTERACTIVE:-auto}" = auto ]; then
    INTERACTIVE=no
    if [ -t 0 ] && [ -t 1 ]; then INTERACTIVE=yes; fi
fi
if [ "$INTERACTIVE" = yes ]; then set -- "$@" interactive; fi
if [ "$archive" != - ]; then set -- "archive=$archive" "$@"; fi
set -- "$kernel" "mem=${MEM:-64M}" "$@"

# Of a build with sanitizers.
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:fast_unwind_on_fatal=1}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export ASAN_OPTIONS UBSAN_OPTIONS

status=0
if [ "$INTERACTIVE" = yes ]; then
    "$@" || status=$?
else
    timeout "${TIMEOUT:-120}" "$@" </dev/null || status=$?
fi
case $status in
0) exit 0 ;;
124)
    echo "um.sh: stopped after ${TIMEOUT:-120} seconds" >&2
    exit 124
    ;;
*) exit 1 ;;
esac

#!/bin/sh
# SPDX-License-Identifier: MIT
# The one place that starts QEMU.
#
#     tools/qemu.sh KERNEL [ARCHIVE|-] [WORD...]
#
# The words become the kernel's command line. Instructions are counted
# (-icount), so the word `icount` is added. From the environment:
#     MEM=64M           memory
#     MACHINE=pc        or q35, microvm
#     ISO=...           1: GRUB loads the kernel from a CD (iso.sh), started by
#                       the BIOS. efi: by UEFI, which counting would make take
#                       minutes, so nothing is counted
#     TIMEOUT=120       seconds until QEMU is stopped
#     INTERACTIVE=auto  yes, no; auto: yes on a terminal. Then the word
#                       `interactive` is added, there is no time limit, and
#                       Ctrl-A X ends QEMU
#     QEMU=...          the program, else as the kernel is 32-bit or 64-bit
#     QEMU_FLAGS=...    more flags for it
# Exit status: 0 if the kernel exited with code 0, 124 out of time, else 1.
set -eu

kernel=$1
shift

# QEMU's own words for a bad size do not name the variable; and with less than
# 2 MiB the kernel is not even loaded, and would never say so.
MEM=${MEM:-64M}
case $MEM in
*[0-9]M) kib=$((${MEM%M} * 1024)) ;;
*[0-9]G) kib=$((${MEM%G} * 1048576)) ;;
*[0-9]K | *[0-9]k) kib=${MEM%[Kk]} ;;
*[0-9]) kib=$((MEM * 1024)) ;;
*) kib=bad ;;
esac 2>/dev/null || kib=bad
case $kib in
*[!0-9]*)
    echo "qemu.sh: MEM=$MEM: not a size, as 64M or 3G" >&2
    exit 1
    ;;
esac
if [ "$kib" -lt 1536 ]; then
    echo "qemu.sh: MEM=$MEM: the kernel alone needs 1536K" >&2
    exit 1
fi
ISO=${ISO:-}
case $ISO in
'' | 1) ;;
efi)
    if [ "$kib" -lt 65536 ]; then
        echo "qemu.sh: MEM=$MEM: UEFI alone needs 64M" >&2
        exit 1
    fi
    ;;
*)
    echo "qemu.sh: ISO=$ISO: not 1 (BIOS) or efi" >&2
    exit 1
    ;;
esac
archive=-
if [ $# -gt 0 ]; then
    archive=$1
    shift
fi

if [ "${INTERACTIVE:-auto}" = auto ]; then
    INTERACTIVE=no
    if [ -t 0 ] && [ -t 1 ]; then INTERACTIVE=yes; fi
fi
if [ "$INTERACTIVE" = yes ]; then set -- "$@" interactive; fi
if [ "$ISO" != efi ]; then set -- icount "$@"; fi

if [ -n "$ISO" ]; then
    image=${kernel%.elf}.iso
    tools/iso.sh "$image" "$kernel" "$archive" "$@"
    set -- -cdrom "$image" -boot d
    if [ "$ISO" = efi ]; then set -- "$@" -bios "$(tools/ovmf.sh)"; fi
else
    set -- -kernel "$kernel" -append "$*"
    if [ "$archive" != - ]; then set -- "$@" -initrd "$archive"; fi
fi
# The fifth byte of an ELF file: 2 if it is 64-bit.
program=qemu-system-i386
bits=$(od -An -tu1 -j4 -N1 "$kernel" | tr -d ' ')
if [ "$ISO" = efi ] || [ "$bits" = 2 ]; then program=qemu-system-x86_64; fi
# PAE: the 32-bit program (7.2) reads a table above 4 GiB where the lower half of its
# address says; and the usual processor of this one can forbid execution.
case $kernel in
*/x86pae/*) program=qemu-system-x86_64 ;;
esac
machine=${MACHINE:-pc}
if [ "$machine" = microvm ]; then machine=microvm,isa-serial=on; fi
# sleep=off: the clock of a machine that waits need not wait. A person at the
# prompt is waited for in real time, with the processor idle.
sleep=off
if [ "$INTERACTIVE" = yes ]; then sleep=on; fi
if [ "$ISO" != efi ]; then set -- "$@" -icount "shift=0,sleep=$sleep"; fi
set -- "${QEMU:-$program}" -M "$machine" -accel tcg -m "$MEM" -display none \
    -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -net none "$@"

status=0
# shellcheck disable=SC2086 # QEMU_FLAGS are several words
if [ "$INTERACTIVE" = yes ]; then
    "$@" -serial mon:stdio ${QEMU_FLAGS:-} || status=$?
elif [ "$ISO" != efi ]; then
    timeout "${TIMEOUT:-120}" "$@" -serial stdio -monitor none \
        ${QEMU_FLAGS:-} </dev/null || status=$?
else
    # UEFI and GRUB write to the serial line, too: shown if it ends with them.
    timeout "${TIMEOUT:-120}" "$@" -serial "file:$image.serial" -monitor none \
        ${QEMU_FLAGS:-} </dev/null || status=$?
    last='iso.sh: GRUB has loaded everything'
    if grep -q "$last" "$image.serial"; then
        sed "1,/$last/d" "$image.serial"
    else
        cat "$image.serial"
    fi
fi

case $status in
33) exit 0 ;; # isa-debug-exit: 2 * 0x10 + 1
124)
    echo "qemu.sh: stopped after ${TIMEOUT:-120} seconds" >&2
    exit 124
    ;;
0) # left at the prompt with Ctrl-A X
    if [ "$INTERACTIVE" = yes ]; then exit 0; fi
    echo "qemu.sh: QEMU ended without an exit code from the kernel" >&2
    exit 1
    ;;
*) exit 1 ;;
esac

#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a kernel in Bochs, as tools/qemu.sh runs it in QEMU:
#
#     tools/bochs.sh KERNEL [ARCHIVE|-] [WORD...]
#
# GRUB starts the kernel, 32-bit or 64-bit, from a CD (iso.sh). What it writes to its first serial
# line is shown at the end; its exit code is what Bochs' log says was written to
# the port of QEMU's isa-debug-exit. From the environment:
#     MEM=64M      memory
#     TIMEOUT=120  seconds
#     BOCHS_CPU=...  one of `bochs --help cpu`
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
mem=${MEM:-64M}
case $mem in
*[0-9]M) mib=${mem%M} ;;
*[0-9]G) mib=$((${mem%G} * 1024)) ;;
*) mib=bad ;;
esac
case $mib in
*[!0-9]*)
    echo "bochs.sh: MEM=$mem: not a size, as 64M or 3G" >&2
    exit 1
    ;;
esac

place=${kernel%.elf}.bochs
rm -rf "$place"
mkdir -p "$place"
tools/iso.sh "$place/iso" "$kernel" "$archive" "$@"
# host: what of the guest's memory is kept in ours, the rest in a file.
host=$mib
if [ "$host" -gt 1024 ]; then host=1024; fi
cat >"$place/rc" <<END
plugin_ctrl: unmapped=1, biosdev=1, speaker=0
cpu: model=${BOCHS_CPU:-corei7_skylake_x}, ips=200000000, reset_on_triple_fault=0
memory: guest=$mib, host=$host
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
display_library: rfb, options="timeout=0"
clock: sync=none
ata0-master: type=cdrom, path=$place/iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$place/serial
log: $place/log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore, unmapped=report
END
echo c >"$place/commands" # Debian's has its debugger built in: "continue"
: >"$place/serial"
: >"$place/log"

# The screen is shown to whoever asks by VNC, which needs no terminal: Debian's
# "term" stops when nobody reads what it writes. Bochs ends by a panic of its own,
# and asks what to do at a SIGTERM.
status=0
timeout -s KILL "${TIMEOUT:-120}" bochs -q -f "$place/rc" \
    -rc "$place/commands" </dev/null >"$place/screen" 2>&1 || status=$?
cat "$place/serial"
if [ "$status" = 137 ]; then
    echo "bochs.sh: stopped after ${TIMEOUT:-120} seconds" >&2
    exit 124
fi
case $(sed -n 's/.*32-bit write to 00f4 = //p' "$place/log") in
00000010) exit 0 ;;
'')
    tail -3 "$place/log" >&2
    echo "bochs.sh: Bochs ended without an exit code from the kernel" >&2
    exit 1
    ;;
*) exit 1 ;;
esac

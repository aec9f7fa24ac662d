#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: boot-cost.sh KERNEL: what booting costs on QEMU's microvm with 64 MiB and
# nothing to load beside the kernel, as two lines
#
#     figure ARCH boot_instructions N instructions
#     figure ARCH boot_memory N KiB
#
# The instructions are the kernel's, from its first to where the monitor would
# print its prompt; what firmware runs before is not in them. The memory is RAM
# that is not free then: the image, the frame array, page tables, Verso's own.
# Used by `make bench`.
set -eu
cd "$(dirname "$0")/.."
MACHINE=microvm MEM=64M INTERACTIVE=no ISO='' tools/qemu.sh "$1" - bench=boot

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel as GRUB starts it on a PC with a BIOS.
ISO=1 exec "$(dirname "$0")/../qemu.sh" 64M

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel as GRUB starts it on a PC with UEFI.
ISO=efi exec "$(dirname "$0")/../qemu.sh" 128M

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel in Bochs, started by GRUB.
RUNNER=tools/bochs.sh TIMEOUT=600 exec "$(dirname "$0")/../qemu.sh" 64M

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites on the other PC of QEMU's.
MACHINE=q35 exec "$(dirname "$0")/qemu.sh" 64M

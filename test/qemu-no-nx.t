#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites on a CPU that has PAE but cannot forbid execution.
QEMU_FLAGS="-cpu qemu32 ${QEMU_FLAGS:-}" exec "$(dirname "$0")/qemu.sh" 64M

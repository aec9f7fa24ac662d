#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites on the CPU that has all that QEMU can do: SMEP, SMAP, and with 64
# bits five levels of tables.
QEMU_FLAGS="-cpu max ${QEMU_FLAGS:-}" exec "$(dirname "$0")/qemu.sh" 64M

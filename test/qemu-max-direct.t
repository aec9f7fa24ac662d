#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites on that CPU, tables reached by the direct map: pages of 1 GiB.
QEMU_FLAGS="-cpu max ${QEMU_FLAGS:-}" exec "$(dirname "$0")/qemu.sh" 3G accessor=direct

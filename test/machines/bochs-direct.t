#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel in Bochs, through the direct map.
RUNNER=tools/bochs.sh TIMEOUT=600 exec "$(dirname "$0")/../qemu.sh" 64M accessor=direct

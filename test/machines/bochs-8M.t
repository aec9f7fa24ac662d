#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel in Bochs, with 8M of memory.
RUNNER=tools/bochs.sh TIMEOUT=600 exec "$(dirname "$0")/../qemu.sh" 8M

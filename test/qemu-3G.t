#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the booted kernel with 3G of memory.
exec "$(dirname "$0")/qemu.sh" 3G

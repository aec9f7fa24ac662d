#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the booted kernel with 8M of memory.
exec "$(dirname "$0")/qemu.sh" 8M

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the booted kernel with 64M of memory.
exec "$(dirname "$0")/qemu.sh" 64M

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the booted kernel with 6G of memory, some of it above 4 GiB.
exec "$(dirname "$0")/qemu.sh" 6G

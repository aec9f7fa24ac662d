#!/bin/sh
# SPDX-License-Identifier: MIT
# One suite in the booted kernel with 16G of memory, of which it touches little:
# the heap has 16 TiB of addresses then. (Others look at every frame at each step.)
SUITE=${SUITE:-pagemap} exec "$(dirname "$0")/qemu.sh" 16G

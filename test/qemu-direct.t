#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the booted kernel, tables reached by the direct map.
exec "$(dirname "$0")/qemu.sh" 64M accessor=direct

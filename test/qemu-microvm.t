#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites on a machine with hardly any devices.
MACHINE=microvm exec "$(dirname "$0")/qemu.sh" 64M

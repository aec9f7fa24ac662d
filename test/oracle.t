#!/bin/sh
# SPDX-License-Identifier: MIT
# Do the tables say of themselves what QEMU reads in them?
exec python3 -B "$(dirname "$0")/oracle.py"

#!/bin/sh
# SPDX-License-Identifier: MIT
# The PAE kernel: what it asks of the CPU, and memory above 4 GiB.
exec python3 -B "$(dirname "$0")/pae.py"

#!/bin/sh
# SPDX-License-Identifier: MIT
# Does `make check` find what it is there to find?
exec python3 -B "$(dirname "$0")/make-check.py"

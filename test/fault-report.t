#!/bin/sh
# SPDX-License-Identifier: MIT
# Are faults that nobody owns reported in the right words?
exec python3 -B "$(dirname "$0")/fault-report.py"

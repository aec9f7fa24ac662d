#!/bin/sh
# SPDX-License-Identifier: MIT
# The same suites with the tables of PAE, in a 32-bit process.
exec "$(dirname "$0")/host/run.sh" UM_BUILD=um/pae ACCESSOR=mirror

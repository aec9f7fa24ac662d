#!/bin/sh
# SPDX-License-Identifier: MIT
# The same suites as a 64-bit process, with four levels of tables.
exec "$(dirname "$0")/host/run.sh" UM_BUILD=um/64 ACCESSOR=mirror

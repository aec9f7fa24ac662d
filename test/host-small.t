#!/bin/sh
# SPDX-License-Identifier: MIT
# The same suites on a machine without large pages, with little memory.
exec "$(dirname "$0")/host/run.sh" LARGE=0 MEM=8M

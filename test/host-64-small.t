#!/bin/sh
# SPDX-License-Identifier: MIT
# With four levels, without large pages, with little memory.
exec "$(dirname "$0")/host/run.sh" UM_BUILD=um/64 LARGE=0 MEM=8M

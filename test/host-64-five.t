#!/bin/sh
# SPDX-License-Identifier: MIT
# With five levels, which only the direct map reaches in a process.
exec "$(dirname "$0")/host/run.sh" UM_BUILD=um/64 ACCESSOR=direct LEVELS=5

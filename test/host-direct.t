#!/bin/sh
# SPDX-License-Identifier: MIT
# The same suites, tables reached by the direct map.
exec "$(dirname "$0")/host/run.sh" ACCESSOR=direct

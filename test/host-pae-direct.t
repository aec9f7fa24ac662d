#!/bin/sh
# SPDX-License-Identifier: MIT
# The same suites with the tables of PAE, reached by the direct map.
exec "$(dirname "$0")/host/run.sh" UM_BUILD=um/pae ACCESSOR=direct

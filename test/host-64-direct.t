#!/bin/sh
# SPDX-License-Identifier: MIT
# With four levels, by the direct map, and with pages of 1 GiB.
exec "$(dirname "$0")/host/run.sh" UM_BUILD=um/64 ACCESSOR=direct

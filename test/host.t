#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in a Linux process, under ASan and UBSan, tables by the mirror.
exec "$(dirname "$0")/host/run.sh" ACCESSOR=mirror

#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel on v86, with 8M of memory.
exec "$(dirname "$0")/v86.sh" 8M

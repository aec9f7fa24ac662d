#!/bin/sh
# SPDX-License-Identifier: MIT
# The suites in the kernel on v86.
exec "$(dirname "$0")/v86.sh" 64M

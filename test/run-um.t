#!/bin/sh
# SPDX-License-Identifier: MIT
# `make run ARCH=um`: the reference kernel as a Linux process, without QEMU.
exec python3 -B "$(dirname "$0")/run-um.py"

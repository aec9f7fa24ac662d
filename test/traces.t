#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make run` says and returns: bad traces, good ones, commands.
exec python3 -B "$(dirname "$0")/traces.py"

#!/bin/sh
# SPDX-License-Identifier: MIT
# `make run ISO=1` and `ISO=efi`: what GRUB hands over, and exit codes.
exec python3 -B "$(dirname "$0")/grub-run.py"

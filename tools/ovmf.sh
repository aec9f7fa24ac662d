#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints where this system keeps OVMF, the UEFI firmware for QEMU, as one file.
# From the environment: OVMF=..., the file to take.
for file in "${OVMF:-}" /usr/share/ovmf/OVMF.fd /usr/share/OVMF/OVMF.fd \
    /usr/share/edk2/x64/OVMF.4m.fd; do
    if [ -f "$file" ]; then
        echo "$file"
        exit 0
    fi
done
echo "ovmf.sh: there is no OVMF.fd here" >&2
exit 1

# SPDX-License-Identifier: MIT
#
# Included by the Makefile with ARCH=x86_64: kernel/x86, made for 64 bits.

WIDTH := 64
include kernel/x86/port.mk

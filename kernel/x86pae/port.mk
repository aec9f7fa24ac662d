# SPDX-License-Identifier: MIT
#
# Included by the Makefile with ARCH=x86pae: kernel/x86, made for 32 bits, with
# the tables of PAE.

PORT := x86pae
include kernel/x86/port.mk

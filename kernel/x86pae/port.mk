# SPDX-License-Identifier: MIT
#
# Included by the Makefile with ARCH=x86pae: kernel/x86, made for 32 bits, with
# the tables of PAE.

include kernel/x86/port.mk
PORT := x86pae
TESTS := $(TESTS_PAE) $(patsubst %,test/%.t,qemu-64M qemu-6G qemu-direct \
	qemu-max oracle same traces fault-report)

# SPDX-License-Identifier: MIT
#
# Included by the Makefile after test.mk. `make coverage` runs the Makefile a
# second time, with BUILT=build/coverage, other flags, and COVERAGE=1: the same
# rules, and here what the kernel needs beside them. What is then run and
# counted: test/coverage/coverage.py.

COVERAGE ?=
# -O0: a line is counted when it runs, not what the optimiser made of it. The
# sanitizers stay away, and the hooks that tell them what is free.
COVERAGE_UM  := --coverage
COVERAGE_X86 := -fprofile-arcs -ftest-coverage -fprofile-info-section=gcov_info

ifneq ($(COVERAGE),)
LIB_FLAGS    += $(COVERAGE_X86)
KERNEL_FLAGS += $(COVERAGE_X86)
PORT_OBJS    += $(O)/test/coverage/dump.o \
	$(shell $(CC) $(TARGET) -print-file-name=libgcov.a)
WRAPS        += machine_exit
endif

.PHONY: coverage coverage-build
COVERAGE_MAKE = CC=gcc BUILT=build/coverage COVERAGE=1 IMAGES=verso-test \
	CFLAGS='-O0 -Wno-frame-larger-than' UM_HOOKS= \
	UM_SANITIZE='$(COVERAGE_UM)'
# Anew: objects of sources that have changed since would be counted as well.
coverage:
	@tools/deps.sh run test coverage
	@rm -rf build/coverage
	$(PARALLEL) ARCH=x86 $(COVERAGE_MAKE) coverage-build
	$(PARALLEL) ARCH=x86_64 $(COVERAGE_MAKE) kernel
	@JOBS=$(JOBS) test/coverage/coverage.py build/coverage

coverage-build: kernel traces um heap $(UM_MACHINE)/32/um-machine \
	$(UM_MACHINE)/64/um-machine

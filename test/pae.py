# SPDX-License-Identifier: MIT
"""The kernel with PAE (ARCH=x86pae), seen from outside: which CPUs it takes, and
that memory above 4 GiB is handed out, tables too, while the root, which CR3 must
reach, stays below."""

import re

import boot

FOUR_GIB = 1 << 32
CANNOT = "this machine cannot forbid it"


def main():
    tap = boot.Tap(6)
    words = ['cmd="frames; tables; check; quit"']
    usual = boot.boot(words)
    without = boot.boot(words, environment={"QEMU_FLAGS": "-cpu qemu32"})
    refused = boot.boot(words, environment={"QEMU_FLAGS": "-cpu qemu32,-pae"})
    large = boot.boot(words, environment={"MEM": "6G"})

    tap.test(usual[0] == 0 and CANNOT not in usual[1],
             "pae: with NX nothing is said about execution", [usual[1]])
    tap.test(without[0] == 0 and CANNOT in without[1],
             "pae: without NX the tables say that x is declared only",
             [without[1]])
    tap.test(refused[0] == 1 and "panic: boot: this CPU has no PAE" in
             refused[1], "pae: a CPU without PAE is refused", [refused[1]])

    tap.test(large[0] == 0 and re.search(
        r"zone 2  frames 0x100000\.\.0x1bffff  RAM +3.0 GiB  free +[23]\.\d GiB",
        large[1]), "pae: the memory above 4 GiB is a zone", [large[1]])
    shown = [int(pa, 16) for pa in re.findall(
        r"^tables: \w+-\w+ -> (\w+) .* mirror$", large[1], re.M)]
    root = re.search(r"root at (\w+)", large[1])
    tap.test(any(pa >= FOUR_GIB for pa in shown) and root and
             int(root.group(1), 16) < FOUR_GIB,
             "pae: tables are above 4 GiB, the root is below", [large[1]])
    tap.test("check: every invariant holds" in large[1],
             "pae: every invariant holds there", [large[1]])
    tap.end()


main()

# SPDX-License-Identifier: MIT
"""`make run ISO=1` and `ISO=efi`: the kernel as GRUB starts it from a CD prints
what it prints without, and ends as it does without."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import boot

PLACE = boot.scratch("grub-run")
TRACE = "traces/jq.rep.gz"


def make_run(iso, *arguments):
    return boot.run(["env", "MAKEFLAGS=", "make", "--no-print-directory", "run",
                     f"ISO={iso}", "SEED=", "SUITE=", "ACCESSOR=", "WORDS=",
                     f"TRACE={TRACE}", *arguments], timeout=200)


def figures(output):
    """What does not depend on where things lie, and on who counts: heap_peak has
    the tables in it that map RAM, in larger or smaller pages."""
    return re.findall(r"^replay .*(?= heap_peak)|^slabs: .*|^areas: .*|"
                      r"^verso: .*", output, re.M)


def test_same(tap):
    status, direct = make_run("", "MEM=128M")
    for iso in ("1", "efi"):
        status, output = make_run(iso, "MEM=128M")
        tap.test(status == 0 and figures(output) == figures(direct) and
                 len(figures(direct)) > 3,
                 f"make run ISO={iso}: the report is that of a run without",
                 [f"status {status}", output, "without:", direct])
        tap.test(output.startswith("\n  __   _"),
                 f"make run ISO={iso}: nothing stands before it", [output])
        tap.test(("exact (icount)" in output) == (iso == "1"),
                 f"make run ISO={iso}: instructions are "
                 + ("counted" if iso == "1" else "not counted"), [output])


def test_words(tap):
    for iso in ("1", "efi"):
        for command, good, message in (
                ("areas; replay jq; check", True,
                 "check: every invariant holds"),
                ("nonsense; check", False, "check: every invariant holds"),
                ("fault 0", False, "fault: write to a page that is not "
                 "present")):
            status, output = make_run(iso, "MEM=128M", f"CMD={command}")
            tap.test((status == 0) == good and message in output,
                     f"make run ISO={iso} CMD=\"{command}\": "
                     f"{'ends well' if good else 'fails'}",
                     [f"status {status}, wanted: {message}", output])
    odd = "it's=$x`y"
    status, output = boot.boot([odd, "test=conformance"],
                               environment={"ISO": "1"})
    tap.test(status == 0 and "0 failed" in output,
             "grub: words that a shell would not leave alone are left alone",
             [f"status {status}", output])


def test_refused(tap):
    for setting, message in (
            ({"ISO": "2"}, "qemu.sh: ISO=2: not 1 (BIOS) or efi"),
            ({"ISO": "efi", "MEM": "32M"},
             "qemu.sh: MEM=32M: UEFI alone needs 64M")):
        status, output = boot.boot([], environment=setting)
        tap.test(status == 1 and message in output and "verso:" not in output,
                 f"grub: {setting}: refused", [f"status {status}", output])
    status, output = boot.run(["tools/iso.sh", f"{PLACE}/bad.iso", TRACE])
    tap.test(status == 1 and f"{TRACE}: no Multiboot header" in output,
             "grub: a kernel that GRUB could not start makes no image",
             [f"status {status}", output])
    status, output = make_run("1", "ARCH=um", "CMD=check")
    tap.test(status != 0 and "a process is not booted" in output,
             "make run ARCH=um ISO=1: refused", [output])


def main():
    tap = boot.Tap(6 + 7 + 4)
    test_same(tap)
    test_words(tap)
    test_refused(tap)
    tap.end()


sys.exit(main())

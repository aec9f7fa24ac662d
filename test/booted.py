#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: booted.py [WORD...] (by `make booted`): boots each kernel on each
machine by each loader, and writes what came of it to docs/booted.md. With
words: only the rows in which all of them stand, and nothing is written."""

import os
import re
import subprocess
import sys

import boot

PAGE = os.path.join(boot.ROOT, "docs", "booted.md")
KERNELS = {"x86": "32-bit, Multiboot 1",
           "x86pae": "32-bit with PAE, Multiboot 1",
           "x86_64": "64-bit, PVH and Multiboot 2"}
MEMORY = "128M"

# Machine, loader, kernel, the runner in tools/, its environment.
ROWS = [(f"QEMU {machine}", loader, kernel, "qemu",
         {"MACHINE": machine, "ISO": iso})
        for kernel in KERNELS for machine, loader, iso in (
            ("pc", "QEMU itself", ""),
            ("pc", "GRUB, BIOS", "1"),
            ("pc", "GRUB, UEFI", "efi"),
            ("q35", "QEMU itself", ""),
            ("q35", "GRUB, BIOS", "1"),
            ("q35", "GRUB, UEFI", "efi"),
            ("microvm", "QEMU itself", ""))] + [
    ("Bochs", "GRUB, BIOS", "x86", "bochs", {}),
    ("Bochs", "GRUB, BIOS", "x86pae", "bochs", {}),
    ("Bochs", "GRUB, BIOS", "x86_64", "bochs", {}),
    ("v86", "v86 itself", "x86", "v86", {}),
]

HEAD = """# What was booted where

Written by [test/booted.py](../test/booted.py) from runs (`make booted`), with
{memory} of memory: {versions}.

*Suites*: of the tests linked into the kernel, those that passed. *Traces*: the
whole run of `make run`: how many of the bundled traces were replayed, and how the
kernel ended.

| machine | loader | kernel | suites | traces |
|---|---|---|---|---|
"""


def version(command, pattern):
    """Of a program, from what it says of itself."""
    text = subprocess.run(command, cwd=boot.ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False).stdout
    return re.search(pattern, text).group(1)


def versions():
    return ", ".join((
        "QEMU " + version(["qemu-system-i386", "--version"], r"version (\S+)"),
        "GRUB " + version(["grub-mkrescue", "--version"], r"\) (\d[\d.]*)"),
        "Bochs " + version(["cat", "build/x86/verso-test.bochs/screen"], r"Emulator (\d\S*)"),
        "v86 " + version(["cat", "tools/v86/package.json"],
                         r'"v86": "([^"]+)"')))


def run(row, kernel, *arguments):
    _, _, arch, runner, environment = row
    return boot.run([f"tools/{runner}.sh", f"build/{arch}/{kernel}.elf",
                     *arguments],
                    {"MEM": MEMORY, "INTERACTIVE": "no", "TIMEOUT": "600",
                     **environment}, 630)


def suites(row):
    """A cell, and the names of the tests that failed."""
    status, output = run(row, "verso-test", "-", "test")
    failed = re.findall(r"^not ok \d+ - (.*)", output, re.M)
    ended = re.search(r"^# (\d+) run, (\d+) failed", output, re.M)
    if not ended:
        return "**did not end**", failed
    if not failed and status == 0:
        return "all", failed
    return f"**all but {ended[2]}**", failed


def traces(row):
    status, output = run(row, "verso", f"build/{row[2]}/traces.tar")
    tried = re.findall(r"^replay \S+: ops=\d+ result=ok", output, re.M)
    good = status == 0 and "verso: all went well" in output
    wanted = len([name for name in os.listdir(os.path.join(
        boot.ROOT, "traces")) if name.endswith((".rep", ".rep.gz"))])
    if good and len(tried) == wanted:
        return f"{wanted} of {wanted}, all went well"
    return f"**{len(tried)} of {wanted}**, exit status {status}"


def main():
    words = sys.argv[1:]
    table, notes = "", ""
    for row in ROWS:
        name = " | ".join((*row[:2], f"{row[2]}: {KERNELS[row[2]]}"))
        if not all(word in name for word in words):
            continue
        cell, failed = suites(row)
        line = f"| {name} | {cell} | {traces(row)} |"
        print(line, flush=True)
        table += line + "\n"
        if failed:
            notes += f"\n{row[0]}, {row[1]}, {row[2]}: not passed " \
                "([why](testing.md#other-machines-and-loaders)):\n\n"
            notes += "".join(f"- {test}\n" for test in failed)
    if words:
        print(notes)
        return
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(HEAD.format(memory=MEMORY, versions=versions()) + table +
                   notes)
    print(f"written: {os.path.relpath(PAGE, boot.ROOT)}")


main()

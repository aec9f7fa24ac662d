#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Of every text file: an SPDX line in sources, no path of one machine, no link
in Markdown to a file that is not there, no blanks at the ends of lines."""

import os
import re
import sys

SKIP = {".git", "build"}
SOURCE = re.compile(r"(\.(c|h|S|ld|sh|py|t|mk)|Makefile|(^|/)\.ci/[^/]+)$")
BINARY = re.compile(r"\.(gz|png|o|a)$|^test/corpus/")
# Directories that exist on one machine only.
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users/\w+)/\w")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

findings = []


def files():
    for directory, below, names in os.walk("."):
        below[:] = sorted(d for d in below if d not in SKIP and
                          d != "__pycache__")
        for name in sorted(set(names) - SKIP): # .git is a file in a worktree
            path = os.path.relpath(os.path.join(directory, name))
            if not BINARY.search(path) and not os.path.islink(path):
                yield path


def check_links(path, number, line):
    for target in LINK.findall(line):
        if re.match(r"[a-z]+:|#", target):
            continue
        file = os.path.join(os.path.dirname(path), target.split("#")[0])
        if not os.path.exists(file):
            findings.append(f"{path}:{number}: link to {target}: no such file")


def check_file(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    if SOURCE.search(path) and not any(
            "SPDX-License-Identifier: MIT" in line for line in lines[:3]):
        findings.append(f"{path}: no SPDX line")
    if lines[-1] != "":
        findings.append(f"{path}: the last line has no end")
    in_code = False
    for number, line in enumerate(lines, 1):
        if MACHINE.search(line):
            findings.append(f"{path}:{number}: a path of one machine")
        # in a diff a blank stands before an empty line
        if line != line.rstrip() and not path.endswith(".patch"):
            findings.append(f"{path}:{number}: blanks at the end of the line")
        if path.endswith(".md"):
            in_code ^= line.lstrip().startswith("```")
            if not in_code:
                check_links(path, number, line)


def main():
    for path in files():
        try:
            check_file(path)
        except UnicodeDecodeError:
            findings.append(f"{path}: neither UTF-8 nor a known binary")
    print("\n".join(findings))
    return 1 if findings else 0


sys.exit(main())

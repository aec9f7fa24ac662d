#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks malloc-lab traces (.rep, .rep.gz) and counts what is in them.

    stat.py FILE...             one Markdown table row a trace
    stat.py --within FILE...    also demands the limits of traces/README.md

A trace is four header lines (suggested heap size, number of ids, number of
operations, weight), then one operation a line:

    a ID SIZE    allocate; ID must not be live
    r ID SIZE    resize; allocates if ID is not live, frees a live one if SIZE
                 is 0
    f ID         free; ID must be live, or -1 for free(NULL)

On a bad file: NAME:LINE: REASON on stderr and exit code 1, once all files are
read; 2 without a file to read.  Sizes are bytes as requested: no headers, no
rounding.
"""

import gzip
import os
import sys
import zlib

HEADER = ("suggested heap size", "number of ids", "number of operations",
          "weight")

# What a bundled trace must keep to, so that it runs on a machine of 64 MB.
PEAK_MIN, PEAK_MAX = 1 << 20, 30 << 20
OPS_MAX, TOTAL_MAX, LARGEST_MAX = 300_000, 200_000_000, 8 << 20


class BadTrace(Exception):
    """A reason, and the line it is on (0: the file as a whole)."""

    def __init__(self, line, reason):
        super().__init__(reason)
        self.line = line


def number(text, line, what):
    """A decimal without sign; int() alone would take "+1", "1_0", " 1"."""
    if text.isascii() and text.isdigit():
        return int(text)
    if text[:1] == "-" and text[1:].isdigit():
        raise BadTrace(line, f"negative {what}: {text}")
    raise BadTrace(line, f"{what} is not a number: {text!r}")


class Trace:
    """The state after the lines read so far, and the totals."""

    def __init__(self, lines):
        self.live = {}  # id -> bytes
        self.payload = self.peak = self.total = self.largest = self.zero = 0
        self.count = {"a": 0, "r": 0, "f": 0}
        self.read_header(lines)
        for line, text in enumerate(lines[len(HEADER):], len(HEADER) + 1):
            self.read_op(line, text.split(" "))
        found = sum(self.count.values())
        if found != self.ops:
            raise BadTrace(3, f"the header says {self.ops} operations, "
                              f"the file has {found}")

    def read_header(self, lines):
        if len(lines) < len(HEADER):
            raise BadTrace(len(lines), "the file ends in the header")
        value = [number(lines[i], i + 1, HEADER[i])
                 for i in range(len(HEADER))]
        self.ids, self.ops = value[1], value[2]

    def read_op(self, line, word):
        kind = word[0]
        if kind not in self.count:
            raise BadTrace(line, f"unknown operation: {kind!r}")
        want = 2 if kind == "f" else 3
        if len(word) != want:
            raise BadTrace(line, f"{kind!r} takes {want - 1} numbers, "
                                 f"here are {len(word) - 1}")
        self.count[kind] += 1
        if word == ["f", "-1"]:
            return
        ident = number(word[1], line, "id")
        if ident >= self.ids:
            raise BadTrace(line, f"id {ident} is out of range: "
                                 f"the header says {self.ids} ids")
        if kind == "f":
            self.free(line, ident)
        else:
            self.place(line, kind, ident, number(word[2], line, "size"))

    def free(self, line, ident):
        if ident not in self.live:
            raise BadTrace(line, f"free of id {ident}, which is not live")
        self.payload -= self.live.pop(ident)

    def place(self, line, kind, ident, size):
        if kind == "a" and ident in self.live:
            raise BadTrace(line, f"allocation of id {ident}, which is live")
        if kind == "r" and size == 0 and ident in self.live:
            self.free(line, ident)
            return
        self.payload += size - self.live.get(ident, 0)
        self.live[ident] = size
        self.total += size
        self.zero += size == 0
        self.largest = max(self.largest, size)
        self.peak = max(self.peak, self.payload)

    def check_limits(self):
        for what, value, low, high in (
                ("peak bytes", self.peak, PEAK_MIN, PEAK_MAX),
                ("operations", self.ops, 1, OPS_MAX),
                ("total bytes", self.total, 0, TOTAL_MAX),
                ("largest request", self.largest, 0, LARGEST_MAX)):
            if not low <= value <= high:
                raise BadTrace(0, f"{what}: {value:,} is not within "
                                  f"{low:,} to {high:,}")


def read_lines(name):
    opener = gzip.open if name.endswith(".gz") else open
    try:
        with opener(name, "rb") as file:
            text = file.read().decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadTrace(0, f"cannot be read: {why}") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


COLUMNS = ("trace", "operations", "a", "r", "f", "ids", "peak bytes",
           "total bytes", "largest", "size 0", "live at end")


def row(name, trace):
    short = os.path.basename(name)
    for end in (".gz", ".rep"):
        short = short[:-len(end)] if short.endswith(end) else short
    value = (trace.ops, *trace.count.values(), trace.ids, trace.peak,
             trace.total, trace.largest, trace.zero, len(trace.live))
    return f"| {short} | " + " | ".join(f"{n:,}" for n in value) + " |"


def main(names):
    within = names[:1] == ["--within"]
    if within:
        names = names[1:]
    if not names or names[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---:|" * (len(COLUMNS) - 1))
    bad = 0
    for name in names:
        try:
            trace = Trace(read_lines(name))
            if within:
                trace.check_limits()
            print(row(name, trace))
        except BadTrace as error:
            sys.stdout.flush()
            print(f"{name}:{error.line}: {error}", file=sys.stderr)
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

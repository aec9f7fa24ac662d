#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: coverage.py BUILD: runs the suites of a coverage build, tells what of
src/ and arch/ they ran, and fails if something else is missing than
test/coverage/uncovered.txt says. By `make coverage`; JOBS from the environment.

    hosted processes   leave .gcda files beside their objects
    booted kernels     write them to port 0xe9 (dump.c), QEMU to DIR/dump/*.gcov;
                       unpacked, and added up by gcov-tool
    gcovr              adds up all objects of a source, and makes DIR/html
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
LIST = "test/coverage/uncovered.txt"
GOAL = 95.0
# The long ones first: two run at a time. Not 3 GiB in QEMU, which takes
# minutes without an optimiser. Behind a colon: ARCH.
TESTS = """um-modes qemu-64M:x86_64 qemu-64M qemu-direct qemu-8M coverage/booted
    host-adopt host host-direct host-small
    host-classes host-boot um-machine um-machine-32
    heap heap-32""".split()


# ---- running ----

def run_test(name, build):
    """Runs one .t; what failed, or nothing."""
    dump = f"{build}/dump/" + re.sub("[/:]", "-", name)
    test, _, arch = name.partition(":")
    environment = {**os.environ, "BUILT": build, "ARCH": arch or "x86",
                   "QEMU_FLAGS": f"-chardev file,id=gcov,path={dump}.gcov,append=on "
                   "-device isa-debugcon,chardev=gcov"}
    done = subprocess.run([f"test/{test}.t"], env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace")
    with open(f"{dump}.tap", "w", encoding="utf-8") as tap:
        tap.write(done.stdout)
    bad = re.findall(r"^(?:not ok|Bail out!).*", done.stdout, re.M)
    if done.returncode != 0 and not bad:
        bad = [f"exit status {done.returncode}"]
    return [f"{name}: {line}" for line in bad]


def forget(build):
    """Earlier runs do not count."""
    shutil.rmtree(f"{build}/dump", ignore_errors=True)
    os.makedirs(f"{build}/dump")
    for folder, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcda"):
                os.remove(os.path.join(folder, name))


# ---- what booted kernels wrote ----

def chunks(data):
    at = 0
    while at + 4 <= len(data):
        size, = struct.unpack_from("<I", data, at)
        yield data[at + 4:at + 4 + size]
        at += 4 + size


def boots(data):
    """A dictionary a boot: of each object, the name and contents of its file."""
    files, name, contents = {}, None, b""
    for chunk in chunks(data):
        if name is None:
            name = chunk.decode()
            if name in files:
                yield files
                files = {}
        elif chunk:
            contents += chunk
        else:
            files[name] = contents
            name, contents = None, b""
    yield files


def unpack(build):
    """All boots become one, as if they had left files. Returns their number."""
    base = f"{ROOT}/{build}"
    total, number = None, 0
    for dump in sorted(os.listdir(f"{build}/dump")):
        if not dump.endswith(".gcov"):
            continue
        with open(f"{build}/dump/{dump}", "rb") as stream:
            data = stream.read()
        for files in boots(data) if data else ():
            number += 1
            folder = f"{build}/dump/boot-{number}"
            for name, contents in files.items():
                path = f"{folder}/{os.path.relpath(name, base)}"
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as stream:
                    stream.write(contents)
            if total is None:
                total = folder
                continue
            both = f"{build}/dump/sum-{number}"
            subprocess.run(["gcov-tool", "merge", "-o", both, total, folder],
                           check=True)
            total = both
    if total is not None:
        shutil.copytree(total, build, dirs_exist_ok=True)
    return number


# ---- counting ----

def count(build):
    """gcovr's report, as Python has it."""
    report = f"{build}/coverage.json"
    os.makedirs(f"{build}/html", exist_ok=True)
    subprocess.run(["gcovr", "--root", ".", "--filter", "src/", "--filter",
                    "arch/", "--json", report, "--html-details",
                    f"{build}/html/index.html", "--html-title", "Verso", build],
                   check=True)
    with open(report, encoding="utf-8") as stream:
        return json.load(stream)["files"]


class Sum:
    def __init__(self):
        self.lines = self.run = self.branches = self.taken = 0

    def add(self, other):
        for key, value in vars(other).items():
            setattr(self, key, getattr(self, key) + value)

    def percent(self):
        return 100 * self.run / self.lines if self.lines else 100.0

    def __str__(self):
        branches = f"{100 * self.taken / self.branches:6.1f} %" \
            if self.branches else "       -"
        return (f"{self.lines:6} {self.run:6} {self.percent():6.1f} % "
                f"{self.branches:6} {branches}")


def code_lines(file):
    return [line for line in file["lines"]
            if not line["gcovr/noncode"] and not line["gcovr/excluded"]]


def sum_of(file):
    total = Sum()
    for line in code_lines(file):
        total.lines += 1
        total.run += line["count"] > 0
        total.branches += len(line["branches"])
        total.taken += sum(b["count"] > 0 for b in line["branches"])
    return total


def table(files):
    """Prints it. Returns the totals."""
    totals = {"src/": Sum(), "arch/x86/": Sum(), "arch/um/": Sum()}
    print(f"{'':28} {'lines':>6} {'run':>6} {'':8} {'branches':>6} {'taken':>6}")
    for file in files:
        own = sum_of(file)
        print(f"{file['file']:28} {own}")
        for folder, total in totals.items():
            if file["file"].startswith(folder):
                total.add(own)
    for folder, total in totals.items():
        print(f"{folder:28} {total}")
    return totals


# ---- what did not run, and the list of it ----

def function_of(text, number):
    """The name before the first parenthesis of the last line that begins at the
    margin: gcov has no name for what is always inlined."""
    for line in reversed(text[:number]):
        start = re.match(r"[A-Za-z].*?(\w+)\(", line)
        if start and not line.endswith(";"):
            return start.group(1)
    return "-"


def uncovered(files):
    """Lines as (file, function, text): numbers would move."""
    for file in files:
        if not file["file"].startswith("src/"):
            continue
        with open(file["file"], encoding="utf-8") as stream:
            text = stream.read().split("\n")
        for line in code_lines(file):
            number = line["line_number"]
            if line["count"] == 0:
                yield (file["file"], function_of(text, number),
                       text[number - 1].strip())


def listed():
    """The entries of uncovered.txt, and what is wrong with it."""
    entries, wrong = [], []
    with open(LIST, encoding="utf-8") as stream:
        text = re.sub(r"^#.*\n", "", stream.read(), flags=re.M)
    for block in re.split(r"\n\s*\n", text.strip()):
        head, *rest = block.strip().split("\n")
        if not head:
            continue
        source = [line[2:].strip() for line in rest if line.startswith("| ")]
        if len(head.split()) != 2 or not source or len(source) == len(rest):
            wrong.append(f"{LIST}: no file and function, no line, or no "
                         f"reason: {head}")
            continue
        entries += [(*head.split(), line) for line in source]
    return entries, wrong


def show(title, entries):
    print(title)
    last = None
    for file, function, text in entries:
        if (file, function) != last:
            print(f"\n{file} {function}")
        print(f"| {text}")
        last = (file, function)
    print()


def compare(found):
    """Prints where the list and the truth differ. True if they do not."""
    known, wrong = listed()
    rest = list(known)
    new = []
    for entry in found:
        if entry in rest:
            rest.remove(entry)
        else:
            new.append(entry)
    for line in wrong:
        print(line)
    if new:
        show(f"not run, and not in {LIST}:", new)
    if rest:
        show(f"in {LIST}, but run by now, or gone:", rest)
    print(f"{len(found)} lines of src/ did not run, {len(known)} are listed")
    return not (wrong or new or rest)


def main():
    os.chdir(ROOT)
    build = sys.argv[1]
    forget(build)
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        failed = sum(pool.map(lambda t: run_test(t, build), TESTS), [])
    for line in failed:
        print(line)
    number = unpack(build)
    files = count(build)
    totals = table(files)
    print(f"\n{len(TESTS)} tests, {number} boots; details: "
          f"{build}/html/index.html")
    good = compare(list(uncovered(files)))
    percent = totals["src/"].percent()
    if percent < GOAL:
        print(f"src/: {percent:.1f} % of the lines, not {GOAL} %")
    if failed or not good or percent < GOAL:
        sys.exit(1)


if __name__ == "__main__":
    main()

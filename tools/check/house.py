#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The walls of the house (docs/design.md, "The house"):

- a storey includes the headers of its own and of earlier storeys only;
- src/*.h is for src/ and test/, kernel/ uses public headers only, mmu.h is for
  tables.h and test/conformance.c, and tables.h for paging's files;
- src/ and include/ use no header of a C library that is not freestanding;
- src/ and include/ name no architecture, outside comments;
- extensions of the compiler stand in arch/, src/util.h and config.h;
- no function is longer than 60 lines.

What is allowed besides is in the tables below, each with its reason."""

import glob
import os
import re
import sys

# From the ground up; those in one line do not use each other.
STOREYS = [
    ["config"],
    ["types"],
    ["util"],
    ["stock"],
    ["frame"],
    ["paging"],
    ["back"],
    ["node"],
    ["pagemap", "radix"],
    ["area"],
    ["slab"],
    ["magazine"],
    ["reclaim"],
    ["alloc"],
    ["space"],
    ["init", "fault", "check", "report"],
]
LEVEL = {name: i for i, names in enumerate(STOREYS) for name in names}
TOP = LEVEL["report"]

# Files that are no storey: the storey they belong to.
HELPERS = {"carve": "node", "bitset": "node"}
# The files of paging, from the ground up: tables.h is theirs alone.
PAGING = ["cachetype", "tables", "paging", "roots", "adopt", "paging-init",
          "paging-look"]
HELPERS |= {name: "paging" for name in PAGING}
# Public headers for everybody: what the host supplies; all of them in one
# (for users, so not in src/); the structure that every storey's init reads.
EXEMPT_PUBLIC = {"host", "init"}
# parts.h is the list of all storeys, for those that are loops over it.
PARTS_USERS = {"init", "check", "report", "reclaim"}

FREESTANDING = {"float.h", "iso646.h", "limits.h", "stdalign.h", "stdarg.h",
                "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h",
                "stdnoreturn.h"}
# The port's headers (arch/arch.h), and from which storey on they are for use.
PORT = {"types.h": "types", "cpu.h": "util", "mmu.h": "paging"}
MMU_USERS = {"src/tables.h", "test/conformance.c"}

ARCHITECTURE = re.compile(
    r"x86|i386|i486|i686|amd64|__x86_64__|aarch64|riscv|\bcr[034]\b|invlpg|"
    r"\bcli\b|\bsti\b|\bhlt\b|\bgdt\b|\bidt\b|__LP64__|_LP64|multiboot", re.I)
EXTENSION = re.compile(r"__asm__|\basm\b|__attribute__|__builtin_\w+|__typeof")
EXTENSION_PLACES = ("arch/", "src/util.h", "include/verso/config.h")

FUNCTION_MAX = 60

findings = []


def found(path, number, text):
    findings.append(f"{path}:{number}: {text}")


def strip_comments(text):
    """Comments and strings blanked, lines kept."""
    def blank(match):
        keep = match.group(0)
        if keep[0] == "/":
            return re.sub(r"[^\n]", " ", keep)
        return keep[0] + " " * (len(keep) - 2) + keep[-1]
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|"
                  r"'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def includes(code_and_path):
    for number, line in enumerate(code_and_path, 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def storey_of(name):
    return HELPERS.get(name, name)


def may_use(user, header):
    """May the storey use a header of that storey?"""
    if user == header:
        return True
    return LEVEL[header] < LEVEL[user]


def check_library_include(path, number, quote, name):
    base = os.path.splitext(os.path.basename(path))[0]
    user = "report" if base == "parts" else storey_of(base)
    header = os.path.splitext(os.path.basename(name))[0]
    if quote == "<" and not name.startswith("verso/"):
        if name in PORT:
            if LEVEL[user] < LEVEL[PORT[name]]:
                found(path, number, f"{name} is not for this storey")
            if name == "mmu.h" and path not in MMU_USERS:
                found(path, number, "mmu.h is for tables.h only")
        elif name not in FREESTANDING:
            found(path, number, f"<{name}> is no freestanding header")
        return
    if quote == '"' and path.startswith("include/"):
        found(path, number, "public headers include public headers only")
        return
    if quote == '"' and not os.path.exists(os.path.join("src", name)):
        found(path, number, f"{name} is not in src/")
        return
    if header == "parts" and base in PARTS_USERS:
        return
    if name.startswith("verso/") and header in EXEMPT_PUBLIC:
        return
    if name == "tables.h" and base not in PAGING:
        found(path, number, "tables.h is for paging's files only")
    header = storey_of(header)
    if header not in LEVEL:
        found(path, number, f"{name}: no storey of that name")
    elif not (base == "parts" and header != "parts") and \
            not may_use(user, header):
        found(path, number, f"{user} must not use {header}, which comes "
              "later or stands beside it")


def check_library(path, text):
    base = os.path.splitext(os.path.basename(path))[0]
    if base == "verso":  # all of them, for users
        return
    if storey_of(base) not in LEVEL and base not in EXEMPT_PUBLIC | {"parts"}:
        found(path, 1, f"{base} is no storey, and no helper of one")
        return
    if path.startswith("include/") and base in EXEMPT_PUBLIC:
        allowed = {"verso/types.h", "verso/config.h", "verso/util.h"}
        for number, _, name in includes(text.split("\n")):
            if name not in allowed:
                found(path, number, f"{name} in a header that all include")
        return
    for number, quote, name in includes(text.split("\n")):
        check_library_include(path, number, quote, name)


def check_kernel_include(path, number, quote, name):
    """kernel/, arch/ and test/: no private headers but in test/."""
    private = os.path.exists(os.path.join("src", os.path.basename(name)))
    local = os.path.exists(os.path.join(os.path.dirname(path), name))
    if name == "mmu.h" and path not in MMU_USERS and \
            not path.startswith("arch/"):
        found(path, number, "mmu.h is for tables.h and conformance.c only")
    if path.startswith("test/"):
        return
    if quote == '"' and private and not local or "src/" in name:
        found(path, number, f"{name} is private to src/")


def check_words(path, code):
    for number, line in enumerate(code.split("\n"), 1):
        match = ARCHITECTURE.search(line)
        if match and path.startswith(("src/", "include/")):
            found(path, number, f"names an architecture: {match.group(0)}")
        match = EXTENSION.search(line)
        if match and path.startswith(("src/", "include/")) and \
                not path.startswith(EXTENSION_PLACES):
            found(path, number, f"an extension outside its places: "
                  f"{match.group(0)}")


def check_functions(path, code):
    """A function's body is a { and a } at the left edge (clang-format)."""
    lines = code.split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
            while start > 1 and lines[start - 2].strip() and \
                    lines[start - 2].rstrip()[-1] not in ";}" and \
                    not lines[start - 2].startswith("#"):
                start -= 1
        elif line.startswith("}") and start:
            length = number - start + 1
            if length > FUNCTION_MAX:
                found(path, start, f"a function of {length} lines, more than "
                      f"{FUNCTION_MAX}")
            start = None


def main():
    count = 0
    for directory in ("src", "include", "arch", "kernel", "test", "bench",
                      "tools"):
        for path in sorted(glob.glob(f"{directory}/**/*.[ch]",
                                     recursive=True)):
            count += 1
            with open(path, encoding="utf-8") as file:
                text = file.read()
            code = strip_comments(text)
            if path.startswith(("src/", "include/")):
                check_library(path, text)
            else:
                for number, quote, name in includes(text.split("\n")):
                    check_kernel_include(path, number, quote, name)
            check_words(path, code)
            check_functions(path, code)
    print("\n".join(findings) if findings else f"ok ({count} files)")
    return 1 if findings else 0


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: symbols.py [--update] DIR: of the archives that check.sh built in
DIR/gcc and DIR/clang, for PAE in DIR/pae-gcc and DIR/pae-clang, and of the call
graphs beside them:

- every global symbol begins with verso_;
- writable data is in the section verso_state only;
- what an archive needs from outside is the list in docs/needs.md (--update
  writes it), and is the host's, another part's, or one of four mem* functions;
- no function of src/ reaches itself by calls. Calls through pointers, which
  nobody can follow, are made by the functions of INDIRECT only;
- no stack frame is larger than 512 bytes, or of a size known at run time only.

The call graph of recursion is that of -O1 without inlining (but for what is
always inline, folded with its constants) and without calls that became jumps.
The frames, and the deepest chain of them, are those of -O2."""

import glob
import os
import re
import subprocess
import sys

PARTS = ["verso", "verso-heap", "verso-paging", "verso-frames"]
MAY_NEED = re.compile(r"verso_host_\w+|verso_back_\w+|verso_frame_\w+1|"
                      r"memcpy|memmove|memset|memcmp")
# A root of several frames in a row.
MAY_NEED_PAE = re.compile(MAY_NEED.pattern + "|verso_frame_alloc_run")
FRAME_MAX = 512

# Who calls a function it was given, and whose.
INDIRECT = {
    "verso_reclaim": "reclaimers of the client",
    "verso_alloc": "inlined: as verso_i_slab_alloc",
    "verso_i_slab_alloc": "constructor of the cache's owner",
}

NEEDS = "docs/needs.md"
NEEDS_HEAD = """# What the archives need from outside

Written by `tools/check.sh --update symbols`, and compared by `make check`: the
undefined symbols of each archive (`nm -u`, less what the archive defines), as
built by gcc with the flags of the Makefile, whatever the architecture; what is more
with PAE (`arch/x86pae`) stands at the end. What each function must do is said
in `include/verso/host.h`, `back.h` and `frame.h`; the four `mem` functions are
those of C.
"""

findings = []


def run(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def symbols_of(archive):
    """(defined, undefined): name -> object file, and a set."""
    defined, undefined, member = {}, set(), "?"
    for line in run("nm", "-g", archive).split("\n"):
        if line.endswith(":"):
            member = line[:-1]
        fields = line.split()
        if len(fields) == 3:
            defined[fields[2]] = (member, fields[1])
        elif len(fields) == 2 and fields[0] == "U":
            undefined.add(fields[1])
    return defined, undefined - set(defined)


def check_names(archive, defined):
    for name, (member, kind) in sorted(defined.items()):
        if not name.startswith("verso_"):
            findings.append(f"{archive}({member}): global symbol {name}")
        if kind in "CWVwv":
            findings.append(f"{archive}({member}): {name} is common or weak")


def check_data(archive):
    """Sections that are allocated and neither read-only nor verso_state."""
    member = "?"
    lines = run("objdump", "-h", archive).split("\n")
    for line, flags in zip(lines, lines[1:]):
        match = re.match(r"(\S+\.o):", line)
        if match:
            member = match.group(1)
        fields = line.split()
        if len(fields) < 7 or not fields[0].isdigit():
            continue
        name, size = fields[1], int(fields[2], 16)
        if size and "ALLOC" in flags and "READONLY" not in flags and \
                name != "verso_state":
            names = re.findall(
                rf"^\S+\s.{{7}}\s{re.escape(name)}\s+\S+\s+(\S+)$",
                run("objdump", "-t", archive), re.M)
            names = sorted(set(names) - {name})
            findings.append(f"{archive}({member}): {size} bytes in {name}: "
                            f"{' '.join(names)}")


def check_needs(archive, undefined, may_need=MAY_NEED):
    for name in sorted(undefined):
        if not may_need.fullmatch(name):
            findings.append(f"{archive}: needs {name}")


def needs_text(needs, pae):
    text = NEEDS_HEAD
    for part, names in needs.items():
        text += f"\n## lib{part}.a\n\n"
        text += "".join(f"    {name}\n" for name in sorted(names))
    for part, names in pae.items():
        more = sorted(names - needs[part])
        if more:
            text += f"\n## lib{part}.a, with PAE besides\n\n"
            text += "".join(f"    {name}\n" for name in more)
    return text


def compare_needs(text):
    old = ""
    if os.path.exists(NEEDS):
        with open(NEEDS, encoding="utf-8") as file:
            old = file.read()
    if old == text:
        return
    lines, old_lines = text.split("\n"), old.split("\n")
    findings.append(f"{NEEDS} is not what the archives need: "
                    "tools/check.sh --update symbols, if it is meant")
    heading = ""
    for before, after, sign in ((old_lines, lines, "no more"),
                                (lines, old_lines, "new")):
        known = set(with_headings(after))
        for heading, line in with_headings(before):
            if (heading, line) not in known and line.startswith("    "):
                findings.append(f"    {heading[3:]}: {sign}: {line.strip()}")


def with_headings(lines):
    heading = ""
    for line in lines:
        if line.startswith("## "):
            heading = line
        yield heading, line


# ---- the call graph ----

def read_graph(directory):
    """name -> set of callees, name -> (bytes, kind, place). A static function
    is called FILE:NAME by gcc."""
    calls, frames = {}, {}
    for path in sorted(glob.glob(os.path.join(directory, "*.ci"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in re.finditer(
                r'^node: { title: "([^"]+)" label: "([^"]*)"', text, re.M):
            size = re.search(r"(\d+) bytes \(([^)]*)\)", match.group(2))
            if size:
                frames[match.group(1)] = (int(size.group(1)), size.group(2))
        for match in re.finditer(
                r'^edge: { sourcename: "([^"]+)" targetname: "([^"]+)"', text,
                re.M):
            calls.setdefault(match.group(1), set()).add(match.group(2))
    return calls, frames


def plain(name):
    return name.split(":")[-1]


def find_cycles(calls):
    """Strongly connected components of more than one function, or of one that
    calls itself (Tarjan, with a stack of its own)."""
    index, low, on_stack, stack, cycles = {}, {}, set(), [], []
    for root in sorted(calls):
        if root in index:
            continue
        work = [(root, iter(sorted(calls[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, callees = work[-1]
            for callee in callees:
                if callee not in calls:
                    continue
                if callee not in index:
                    index[callee] = low[callee] = len(index)
                    stack.append(callee)
                    on_stack.add(callee)
                    work.append((callee, iter(sorted(calls[callee]))))
                    break
                if callee in on_stack:
                    low[name] = min(low[name], index[callee])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    group = []
                    while not group or group[-1] != name:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    if len(group) > 1 or name in calls[name]:
                        cycles.append(sorted(group))
    return cycles


def check_recursion(directory):
    calls, _ = read_graph(directory)
    if not calls:
        findings.append(f"{directory}: no call graph")
    for cycle in find_cycles(calls):
        findings.append("recursion: " + ", ".join(map(plain, cycle)))
    for name in sorted(calls):
        if "__indirect_call" in calls[name] and plain(name) not in INDIRECT:
            findings.append(f"{plain(name)}: a call through a pointer")


def check_frames(directory):
    """Also the chain of calls that needs most stack: its text."""
    calls, frames = read_graph(directory)
    for name, (size, kind) in sorted(frames.items()):
        if size > FRAME_MAX or "static" not in kind and "bounded" not in kind:
            findings.append(f"{plain(name)}: a stack frame of {size} bytes "
                            f"({kind})")
    if find_cycles(calls):
        return ""
    deepest = {}

    def measure(name):  # without cycles, as deep as the storeys are high
        if name not in deepest:
            chains = [measure(callee) for callee in calls.get(name, ())]
            below = max(chains, default=(0, 0))
            # gcc's figure has the return address in it
            own = frames.get(name, (0, ""))[0]
            deepest[name] = (below[0] + own, below[1] + (name in frames))
        return deepest[name]

    stack, name = max((measure(name)[0], name) for name in frames)
    return (f"(deepest: {plain(name)}, {stack} bytes of stack in "
            f"{deepest[name][1]} calls)")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    out, = arguments
    needs = {"gcc": {}, "clang": {}, "pae-gcc": {}, "pae-clang": {}}
    for build in needs:
        for part in PARTS:
            archive = os.path.join(out, build, f"lib{part}.a")
            defined, undefined = symbols_of(archive)
            check_names(archive, defined)
            check_data(archive)
            check_needs(archive, undefined, MAY_NEED_PAE if
                        build.startswith("pae") else MAY_NEED)
            needs[build][part] = undefined
    text = needs_text(needs["gcc"], needs["pae-gcc"])
    if "--update" in sys.argv:
        with open(NEEDS, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        compare_needs(text)
    check_recursion(os.path.join(out, "calls", "lib", "all"))
    check_frames(os.path.join(out, "pae-gcc", "lib", "all"))
    remark = check_frames(os.path.join(out, "gcc", "lib", "all"))
    print("\n".join(findings) if findings else f"ok {remark}")
    return 1 if findings else 0


sys.exit(main())

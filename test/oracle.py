# SPDX-License-Identifier: MIT
"""The oracle: after 1,000 random operations with mixed page sizes, somebody
else's walk of the tables (QEMU's `info tlb`) and the library's own report
(`tables`) must agree, entry for entry, over the whole address space.

Both are taken apart into pages: va -> (pa, size, writable, user, cache, global).
Both tell the flags of the last entry, not what all levels together allow.
`tables` does not tell what is global: pages of the kernel have to be, if the
CPU can. Entries without any right are not present: `tables` has them, QEMU must
not. Through the mirror every entry of the root is shown as a 4-KiB page; of one
that maps a 4-MiB page QEMU then shows bit 7 (which is PAT there), and `tables`
does not. It is global there, too; an entry for a table is not.
"""

import re
import sys

import boot

LINE = re.compile(r"tables: ([0-9a-f]{8})-([0-9a-f]{8}) -> ([0-9a-f]{8}) "
                  r"([r-])([w-])([x-])([ku])( wt| uc|) (4K|4M)"
                  r"( no access)?( mirror)?")
END = re.compile(r"tables: \d+ in use, root at ([0-9a-f]{8}), "
                 r"mirror at 0x([0-9a-f]{8})")
TLB = re.compile(r"([0-9a-f]{16}): ([0-9a-f]{16}) "
                 r"([X-])([G-])([P-])([D-])([A-])([C-])([T-])([U-])([W-])")
SIZES = {"4K": 1 << 12, "4M": 1 << 22}

RUNS = [  # words, QEMU's flags, seeds; qemu32 has 4-MiB pages
    ("mirror", [], "", (1, 2, 3)),
    ("direct map", ["accessor=direct"], "", (4, 5, 6)),
    ("mirror, no large pages", [], "-cpu qemu32,-pse", (7,)),
    ("mirror, nothing global", [], "-cpu qemu32,-pge", (8,)),
]
TESTS_A_SEED = 2
TESTS_A_RUN = 2


def add_global(pages, mirror):
    """Says of each page whether it has to be global."""
    for va, page in pages.items():
        shown = pages.get((va - mirror) * 1024 & 0xffffffff, page)
        in_mirror = mirror <= va < mirror + (1 << 22)
        kernel = not page[3] and (not in_mirror or shown[1] == "4M")
        pages[va] = page + (("global",) if kernel else ())


def parse_tables(text, has_global):
    """(pages, root, mirror)."""
    pages, root, mirror = {}, None, None
    for line in text.strip().split("\n"):
        match = LINE.fullmatch(line)
        if not match:
            match = END.match(line)
            if not match:
                raise RuntimeError(f"not understood: {line}")
            root, mirror = int(match.group(1), 16), int(match.group(2), 16)
            continue
        start, last, pa = (int(match.group(i), 16) for i in (1, 2, 3))
        size = SIZES[match.group(9)]
        if start % size or (last + 1 - start) % size:
            raise RuntimeError(f"not whole pages: {line}")
        if match.group(10):
            continue
        for va in range(start, last + 1, size):
            if va in pages:
                raise RuntimeError(f"{va:#x} twice: {line}")
            pages[va] = (pa + va - start, match.group(9),
                         match.group(5) == "w", match.group(7) == "u",
                         match.group(8).strip() or "wb")
    if has_global:
        add_global(pages, mirror)
    return pages, root, mirror


def parse_tlb(text, mirror):
    pages = {}
    for line in text.strip().split("\n"):
        match = TLB.fullmatch(line.strip())
        if not match:
            raise RuntimeError(f"not understood: {line}")
        va, pa = int(match.group(1), 16), int(match.group(2), 16)
        in_mirror = mirror <= va < mirror + (1 << 22)
        large = match.group(5) == "P" and not in_mirror
        cache = {"--": "wb", "-T": "wt", "CT": "uc", "C-": "C without T"}[
            match.group(8) + match.group(9)]
        pages[va] = (pa, "4M" if large else "4K", match.group(11) == "W",
                     match.group(10) == "U", cache)
        if match.group(4) == "G":
            pages[va] += ("global",)
    return pages


def differences(ours, theirs):
    notes = []
    for va in sorted(set(ours) | set(theirs)):
        if ours.get(va) != theirs.get(va):
            notes.append(f"{va:08x}: tables {show(ours.get(va))}, "
                         f"info tlb {show(theirs.get(va))}")
    if len(notes) > 20:
        notes[20:] = [f"and {len(notes) - 20} more"]
    return notes


def show(page):
    if page is None:
        return "nothing"
    return " ".join([f"{page[0]:08x}", page[1], "w" if page[2] else "-",
                     "u" if page[3] else "k", *page[4:]])


def compare(tap, machine, what, has_global):
    ours, root, mirror = parse_tables(machine.command("tables"), has_global)
    theirs = parse_tlb(machine.ask("info tlb"), mirror)
    cr3 = int(re.search(r"CR3=([0-9a-f]+)", machine.ask("info registers"))
              .group(1), 16)
    notes = differences(ours, theirs)
    if cr3 != root:
        notes.append(f"root: tables {root:08x}, CR3 {cr3:08x}")
    large = sum(page[1] == "4M" for page in ours.values())
    tap.note(f"{what}: {len(ours)} pages, {large} of them of 4 MiB")
    tap.test(not notes, f"oracle: {what}: tables and info tlb agree", notes)
    return large


def one_run(tap, archive, name, words, flags, seeds):
    machine = boot.Machine("oracle", words, archive, flags)
    has_global = "-pge" not in flags
    try:
        machine.read()
        for seed in seeds:
            said = machine.command(f"random 1000 {seed}")
            done = re.search(r"(\d+) done, (\d+) rightly refused", said)
            large = compare(tap, machine, f"{name}, seed {seed}",
                            has_global)
            tap.test(done and int(done.group(1)) > 250 and
                     bool(large) == ("-pse" not in flags),
                     f"oracle: {name}, seed {seed}: enough was mapped, of "
                     "every size there is", [said.strip()])
        machine.command("random 0")
        compare(tap, machine, f"{name}, all unmapped again", has_global)
        said = machine.command("check")
        tap.test(said == "check: every invariant holds\n" and
                 machine.quit() == 0,
                 f"oracle: {name}: every invariant holds, and a good end",
                 [said])
    finally:
        machine.close()


def main():
    tap = boot.Tap(sum(TESTS_A_RUN + TESTS_A_SEED * len(run[3])
                       for run in RUNS))
    place = boot.scratch("oracle")
    with open(f"{boot.ROOT}/{place}/tiny.rep", "w", encoding="ascii") as file:
        file.write("0\n1\n2\n1\na 0 64\nf 0\n")
    archive = f"{place}/tiny.tar"
    status, output = boot.run(["tools/pack.sh", archive, f"{place}/tiny.rep"])
    if status:
        print(f"Bail out! {output}")
        sys.exit(1)
    for run in RUNS:
        try:
            one_run(tap, archive, *run)
        except (RuntimeError, OSError) as error:
            tap.note(f"{run[0]}: {error}")
            break
    tap.end()


main()

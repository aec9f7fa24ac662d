# SPDX-License-Identifier: MIT
"""The oracle: after 1,000 random operations with mixed page sizes, somebody
else's walk of the tables (QEMU's `info tlb`) and the library's own report
(`tables`) must agree, entry for entry, over the whole address space.

Both are taken apart into pages: va -> (pa, size, writable, user, executable,
cache, global). Both tell the flags of the last entry, not what all levels
together allow. `tables` does not tell what is global: pages of the kernel have
to be, if the CPU can. Entries without any right are not present: `tables` has
them, QEMU must not.

Through the mirror every entry above the lowest level is shown as if it were one
level lower, or more. Of one that maps a large page QEMU then shows bit 7 (which
is PAT in a small page), and `tables` does not; so sizes are not compared there.
It is global there, too; an entry for a table is not. Nor is the right to
execute compared there: tables do not forbid it, but the entry of the mirror
does, for all that is below it. With pages of 1 GiB there is no mirror.

Of tables that were adopted it is the host's business what is global, and its
own mirror is passed over.
"""

import re
import sys

import boot

LINE = re.compile(r"tables: ([0-9a-f]+)-([0-9a-f]+) -> ([0-9a-f]+) "
                  r"([r-])([w-])([x-])([ku])( wt| wc| uc|) (\d+[KM])"
                  r"( no access)?( mirror)?")
END = re.compile(r"tables: \d+ in use, root at ([0-9a-f]+), "
                 r"(?:no mirror|mirror at 0x([0-9a-f]+))")
HOST = re.compile(r"tables: ([0-9a-f]+)-([0-9a-f]+): a mirror, the host's")
TYPE = re.compile(r"tables: frames 0x[0-9a-f]+-0x[0-9a-f]+ are (wt|wc|uc)")
TLB = re.compile(r"([0-9a-f]{16}): ([0-9a-f]{16}) "
                 r"([X-])([G-])([P-])([D-])([A-])([C-])([T-])([U-])([W-])")
SMALL = "4K"
SIZES = {SMALL: 1 << 12, "2M": 1 << 21, "4M": 1 << 22, "1024M": 1 << 30}


class Geometry:
    """How many bits of an address are translated, and of them at each level;
    the size of the smallest large page; can execution be forbidden? How far
    behind the root is what CR3 names? Which addresses are users'?"""

    def __init__(self, address, level, large, execution, beside=0):
        self.address, self.level = address, level
        self.large, self.execution = large, execution
        self.beside = beside
        self.users = (range(0x50000000, 0x60000000) if address == 32 else
                      range(1 << (address - 1)))

    def in_mirror(self, va, mirror):
        size = 1 << (self.address - self.level)
        return mirror is not None and mirror <= va < mirror + size

    def shown(self, va, mirror):
        """Where the page begins whose entry names what the mirror has at va:
        there, if that is no table."""
        va = ((va - mirror) << self.level) & ((1 << self.address) - 1)
        sign = 1 << (self.address - 1)
        return va if self.address == 32 else ((va ^ sign) - sign) % (1 << 64)


TWO = Geometry(32, 10, "4M", False)
PAE = Geometry(32, 9, "2M", True, 4 << 12)
PAE_WITHOUT_NX = Geometry(32, 9, "2M", False, 4 << 12)
FOUR = Geometry(48, 9, "2M", True)
FIVE = Geometry(57, 9, "2M", True)

RUNS = {  # words, QEMU's flags, memory, geometry, seeds
    "x86": [  # qemu32 has 4-MiB pages
        ("mirror", [], "", "64M", TWO, (1, 2, 3)),
        ("direct map", ["accessor=direct"], "", "64M", TWO, (4, 5, 6)),
        ("mirror, no large pages", [], "-cpu qemu32,-pse", "64M", TWO, (7,)),
        ("mirror, nothing global", [], "-cpu qemu32,-pge", "64M", TWO, (8,)),
        ("mirror, adopted", ["adopt"], "", "64M", TWO, (9,)),
        ("mirror, in a user space", [], "", "64M", TWO, (10, 11)),
        ("direct map, in a user space", ["accessor=direct"], "", "64M", TWO,
         (12,)),
    ],
    "x86pae": [
        ("mirror", [], "", "64M", PAE, (1, 2, 3)),
        ("mirror, tables above 4 GiB", [], "", "6G", PAE, (4, 5)),
        ("direct map", ["accessor=direct"], "", "64M", PAE, (6, 7)),
        ("mirror, nothing global", [], "-cpu qemu64,-pge", "64M", PAE, (8,)),
        ("mirror, no NX", [], "-cpu qemu32", "64M", PAE_WITHOUT_NX, (9,)),
        ("mirror, in a user space", [], "", "64M", PAE, (10, 11)),
    ],
    "x86_64": [
        ("mirror", [], "", "64M", FOUR, (1, 2, 3)),
        ("direct map", ["accessor=direct"], "", "64M", FOUR, (4, 5, 6)),
        ("mirror, five levels", [], "-cpu max", "64M", FIVE, (7,)),
        ("direct map, five levels, pages of 1 GiB", ["accessor=direct"],
         "-cpu max", "3G", FIVE, (8,)),
        ("mirror, nothing global", [], "-cpu qemu64,-pge", "6G", FOUR, (9,)),
        ("mirror, adopted", ["adopt"], "", "64M", FOUR, (10,)),
        ("mirror, in a user space", [], "", "64M", FOUR, (11, 12)),
        ("mirror, five levels, in a user space", [], "-cpu max", "64M", FIVE,
         (13,)),
    ],
}[boot.ARCH]
TESTS_A_SEED = 2
TESTS_A_RUN = 2


def finish(pages, mirror, geometry, has_global):
    """Says of each page whether it has to be global; of those in the mirror,
    no more than can be compared."""
    sizes = {va: page[1] for va, page in pages.items()}
    for va, page in pages.items():
        kernel = not page[3]
        if geometry.in_mirror(va, mirror):
            shown = sizes.get(geometry.shown(va, mirror), SMALL)
            kernel = (kernel and shown != SMALL and
                      geometry.shown(va, mirror) not in geometry.users)
            page = (page[0], "mirror", *page[2:4], False, page[5])
        kernel = kernel and va not in geometry.users
        pages[va] = page + (("global",) if kernel and has_global else ())


def parse_tables(text, geometry, has_global):
    """(pages, root, mirror or None, how many pages are large, the host's
    mirror)."""
    pages, root, mirror, host = {}, None, None, range(0)
    for line in text.strip().split("\n"):
        match = LINE.fullmatch(line)
        if TYPE.fullmatch(line):
            continue
        if HOST.fullmatch(line):
            start, last = (int(HOST.match(line).group(i), 16) for i in (1, 2))
            host = range(start, last)
            continue
        if not match:
            match = END.match(line)
            if not match:
                raise RuntimeError(f"not understood: {line}")
            root = int(match.group(1), 16)
            mirror = match.group(2) and int(match.group(2), 16)
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
                         geometry.execution and match.group(6) == "x",
                         match.group(8).strip() or "wb")
    large = sum(page[1] != SMALL for page in pages.values())
    finish(pages, mirror, geometry, has_global)
    return pages, root, mirror, large, host


def parse_tlb(text, mirror, geometry, host):
    pages = {}
    for line in text.strip().split("\n"):
        match = TLB.fullmatch(line.strip())
        if not match:
            raise RuntimeError(f"not understood: {line}")
        va, pa = int(match.group(1), 16), int(match.group(2), 16)
        pa &= (1 << 52) - 1  # with PAE it has NX in it
        if va in host:
            continue
        cache = {"--": "wb", "-T": "wt", "CT": "uc", "C-": "wc"}[
            match.group(8) + match.group(9)]
        size, execution = SMALL, geometry.execution and match.group(3) == "-"
        if geometry.in_mirror(va, mirror):
            size, execution = "mirror", False
        elif match.group(5) == "P":
            size = geometry.large
        pages[va] = (pa, size, match.group(11) == "W", match.group(10) == "U",
                     execution, cache)
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
                     "u" if page[3] else "k", "x" if page[4] else "-",
                     *page[5:]])


def compare(tap, machine, what, geometry, has_global):
    ours, root, mirror, large, host = parse_tables(machine.command("tables"),
                                                   geometry, has_global)
    theirs = parse_tlb(machine.ask("info tlb"), mirror, geometry, host)
    if has_global is None:
        theirs = {va: page[:6] for va, page in theirs.items()}
    for va, page in theirs.items():  # it does not tell one size from another
        if page[1] == geometry.large and ours.get(va, page)[1] == "1024M":
            theirs[va] = (page[0], "1024M", *page[2:])
    cr3 = int(re.search(r"CR3=([0-9a-f]+)", machine.ask("info registers"))
              .group(1), 16)
    notes = differences(ours, theirs)
    if cr3 != root + geometry.beside:
        notes.append(f"root: tables {root:08x}, CR3 {cr3:08x}")
    tap.note(f"{what}: {len(ours)} pages, {large} of them large")
    tap.test(not notes, f"oracle: {what}: tables and info tlb agree", notes)
    return large


def one_run(tap, archive, name, words, flags, memory, geometry, seeds):
    machine = boot.Machine("oracle", words, archive, flags, memory)
    has_global = None if "adopt" in words else "-pge" not in flags
    try:
        machine.read()
        if "user space" in name:
            machine.command("space 1")
        for seed in seeds:
            said = machine.command(f"random 1000 {seed}")
            done = re.search(r"(\d+) done, (\d+) rightly refused", said)
            large = compare(tap, machine, f"{name}, seed {seed}",
                            geometry, has_global)
            tap.test(done and int(done.group(1)) > 250 and
                     bool(large) == ("-pse" not in flags),
                     f"oracle: {name}, seed {seed}: enough was mapped, of "
                     "every size there is", [said.strip()])
        machine.command("random 0")
        compare(tap, machine, f"{name}, all unmapped again", geometry,
                has_global)
        said = machine.command("check")
        tap.test(said == "check: every invariant holds\n" and
                 machine.quit() == 0,
                 f"oracle: {name}: every invariant holds, and a good end",
                 [said])
    finally:
        machine.close()


def main():
    tap = boot.Tap(sum(TESTS_A_RUN + TESTS_A_SEED * len(run[-1])
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

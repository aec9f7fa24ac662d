# SPDX-License-Identifier: MIT
"""Does `make check` find what it is there to find? In a copy of the sources,
every rule is broken once; then each check must name the place. What the
sources themselves have to answer for does not matter here."""

import os
import shutil
import subprocess

import boot

COPY = boot.scratch("check")
SPDX = "/* SPDX-License-Identifier: MIT */\n"
LONG = "static void too_long(void)\n{\n" + "    (void)0;\n" * 60 + "}\n"

# Check, file, "+" to append or "^" to put in front, text, what must be found.
PLANTS = [
    ("house", "src/area.c", "^", '#include "slab.h"\n',
     "src/area.c:1: area must not use slab"),
    ("house", "src/stock.h", "^", "#include <verso/frame.h>\n",
     "src/stock.h:1: stock must not use frame"),
    ("house", "src/check.c", "^", "#include <verso/report.h>\n",
     "src/check.c:1: check must not use report"),
    ("house", "include/verso/area.h", "^", "#include <verso/slab.h>\n",
     "include/verso/area.h:1: area must not use slab"),
    ("house", "include/verso/back.h", "^", '#include "types.h"\n',
     "include/verso/back.h:1: public headers include public headers only"),
    ("house", "src/back.c", "^", "#include <string.h>\n",
     "src/back.c:1: <string.h> is no freestanding header"),
    ("house", "src/pagemap.c", "^", "#include <mmu.h>\n",
     "src/pagemap.c:1: mmu.h is for tables.h only"),
    ("house", "src/reclaim.c", "^", '#include "tables.h"\n',
     "src/reclaim.c:1: tables.h is for paging's files only"),
    ("house", "kernel/text.c", "^", "#include <mmu.h>\n",
     "kernel/text.c:1: mmu.h is for tables.h and conformance.c only"),
    ("house", "kernel/trace.c", "^", '#include "../src/frame.h"\n',
     "kernel/trace.c:1: ../src/frame.h is private to src/"),
    ("house", "src/attic.c", "^", SPDX,
     "src/attic.c:1: attic is no storey"),
    ("house", "src/node.c", "^", "/* x86 */ static int x86_things;\n",
     "src/node.c:1: names an architecture: x86"),
    ("house", "src/util.c", "^", "#ifdef __i386__\n#endif\n",
     "src/util.c:1: names an architecture: i386"),
    ("house", "src/fault.c", "^", "__attribute__((unused)) static int n;\n",
     "src/fault.c:1: an extension outside its places: __attribute__"),
    ("house", "kernel/archive.c", "^", LONG,
     "kernel/archive.c:1: a function of 63 lines"),
    ("text", "tools/forgotten.sh", "+", "#!/bin/sh\n",
     "tools/forgotten.sh: no SPDX line"),
    ("text", "docs/planted.md", "+", "See [it](absent.md#part).\n",
     "docs/planted.md:1: link to absent.md#part: no such file"),
    ("text", "docs/planted.md", "+", "Like /ho" "me/somebody/verso.\n",
     "docs/planted.md:2: a path of one machine"),
    ("text", "docs/planted.md", "+", "Blanks \nand no end",
     "docs/planted.md:3: blanks at the end of the line"),
    ("text", "docs/planted.md", "+", "",
     "docs/planted.md: the last line has no end"),
    ("format", "kernel/text.c", "+", "static int  n ;\n",
     ": not formatted"),
    ("symbols", "src/frame.c", "+", "int verso_stray;\n",
     "bytes in .bss: verso_stray"),
    ("symbols", "src/frame.c", "+", "extern int stray_function(int);\n"
     "int stray_function(int n)\n{\n    return n;\n}\n",
     ": global symbol stray_function"),
    ("symbols", "src/frame.c", "+",
     "int verso_once(int n);\nint verso_twice(int n);\n"
     "int verso_once(int n)\n{\n    return n ? verso_twice(n - 1) : 0;\n}\n"
     "int verso_twice(int n)\n{\n    return n ? verso_once(n - 1) + n : 0;\n}"
     "\n", "recursion: verso_once, verso_twice"),
    ("symbols", "src/frame.c", "+",
     "uint64_t verso_over(uint64_t n, uint64_t d);\n"
     "uint64_t verso_over(uint64_t n, uint64_t d)\n{\n    return n / d;\n}\n",
     "libverso.a: needs __udivdi3"),
    ("symbols", "src/frame.c", "+", "int puts(const char *);\n"
     "void verso_say(void);\nvoid verso_say(void)\n{\n    puts(\"\");\n}\n",
     "    libverso.a: new: puts"),
    ("symbols", "src/frame.c", "+", "int verso_ask(int (*f)(int));\n"
     "int verso_ask(int (*f)(int))\n{\n    return f(1) + f(2);\n}\n",
     "verso_ask: a call through a pointer"),
    ("cppcheck", "kernel/text.c", "+",
     "int planted(void);\nint planted(void)\n{\n    int a[2] = {0, 0};\n"
     "    return a[2];\n}\n", "arrayIndexOutOfBounds"),
]
NEEDS = {"symbols": "clang", "format": "clang-format", "cppcheck": "cppcheck"}


def copy_sources(place):
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    for name in sorted(os.listdir(boot.ROOT)):
        if name in (".git", "build"):
            continue
        source = os.path.join(boot.ROOT, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(place, name),
                            ignore=shutil.ignore_patterns("*.gz"))
        else:
            shutil.copy(source, place)


def plant(place, plants):
    for _, name, where, text, _ in plants:
        path = os.path.join(place, name)
        old = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                old = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + old if where == "^" else old + text)


def run_check(place, name, plants):
    """Only what this check is about is broken: anew for each."""
    copy_sources(place)
    plant(place, plants)
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["tools/check.sh", name], cwd=place, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment, check=False)
    return done.returncode, done.stdout


def main():
    names = list(dict.fromkeys(p[0] for p in PLANTS))
    tap = boot.Tap(len(PLANTS) + len(names))
    place = os.path.join(boot.ROOT, COPY)
    for name in names:
        plants = [p for p in PLANTS if p[0] == name]
        if name in NEEDS and not shutil.which(NEEDS[name]):
            for _ in range(len(plants) + 1):
                tap.test(True, f"check {name} # SKIP no {NEEDS[name]}")
            continue
        status, output = run_check(place, name, plants)
        for _, file, _, _, finding in plants:
            tap.test(finding in output, f"check {name} finds: {finding}",
                     [f"broken in {file}", output])
        tap.test(status == 1 and f"check {name}: FAILED" in output,
                 f"check {name} fails", [output])
    shutil.rmtree(place, ignore_errors=True)
    tap.end()


main()

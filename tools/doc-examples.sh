#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: doc-examples.sh [-u]: are the documents true? Prints TAP.
#
# The blocks of README.md that begin with ```c example=NAME are joined, block
# after block, into NAME.c, compiled and run; what it prints must be what stands
# in the block ```text output=NAME. With -u that block is written anew.
#
#     heap    a Linux process, with the sources of libverso-heap.a and the
#             headers of arch/um, 64-bit and 32-bit
#     kernel  a Multiboot kernel: libverso.a, and boot.S, link.ld and string.c of
#             kernel/x86; booted in QEMU
#
# And every name_of_something in backticks, in any document, must be in the
# sources. With -u the table of figures is written anew too, from
# build/bench.json and build/bench-x86_64.json (make bench, with ARCH=x86 and
# ARCH=x86_64).
# All output is below build/doc-examples/. From the environment: CC, and BUILT,
# below which x86/libverso.a is.
set -u
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-gcc}
ARCHIVE=${BUILT:-build}/x86/libverso.a
OUT=build/doc-examples
update=no
if [ "${1:-}" = -u ]; then update=yes; fi
mkdir -p "$OUT"
number=0
failed=0

# result STATUS WHAT [FILE]: a line of TAP, after the file as comments.
result() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - docs: $2"
        return
    fi
    failed=1
    if [ -n "${3:-}" ]; then sed 's/^/# /' "$3"; fi
    echo "not ok $number - docs: $2"
}

# blocks WORD: the contents of the blocks so marked.
blocks() {
    awk -v word="$1" '
        /^```/ { inside = !inside && $2 == word; next }
        inside' README.md
}

# compare NAME: is the output, in NAME.out, what the README shows? Blanks at the
# ends of lines do not count.
compare() {
    sed -i 's/[[:space:]]*$//' "$OUT/$1.out"
    if [ $update = yes ]; then
        awk -v word="output=$1" -v file="$OUT/$1.out" '
            !skip
            /^```/ && skip { print; skip = 0 }
            /^```/ && $2 == word {
                while ((getline line < file) > 0) print line
                skip = 1
            }' README.md >"$OUT/README.new" && cat "$OUT/README.new" >README.md
    fi
    blocks "output=$1" >"$OUT/$1.expected"
    diff -u "$OUT/$1.expected" "$OUT/$1.out" >"$OUT/$1.diff"
}

# heap BITS
heap() {
    program=$OUT/heap-$1
    mkdir -p "$program.d"
    status=0
    for storey in util node radix pagemap area slab alloc init check report reclaim \
        fault; do
        $CC -m"$1" -std=c17 -O2 -g -ffreestanding -Wall -Wextra -Werror \
            -Iinclude -Iarch/um -DVERSO_HAS_FRAMES=0 -DVERSO_HAS_PAGING=0 \
            -DVERSO_HAS_HEAP=1 -c -o "$program.d/$storey.o" src/$storey.c ||
            status=1
    done >"$program.log" 2>&1
    blocks example=heap >"$OUT/heap.c"
    $CC -m"$1" -std=c17 -O2 -g -Wall -Wextra -Werror -Iinclude -Iarch/um \
        -o "$program" "$OUT/heap.c" "$program.d"/*.o >>"$program.log" 2>&1 ||
        status=1
    result $status "the example heap compiles, $1-bit" "$program.log"
    [ $status = 0 ] || return
    timeout 20 "$program" >"$OUT/heap.out" 2>"$program.log"
    result $? "it runs, $1-bit" "$program.log"
    compare heap
    result $? "it prints what the README shows, $1-bit" "$OUT/heap.diff"
}

kernel() {
    flags="-std=c17 -O2 -g -m32 -ffreestanding -fno-pic -fno-pie
        -fno-stack-protector -mgeneral-regs-only -fcf-protection=none
        -Wall -Wextra -Werror -Iinclude -Iarch/x86 -Ikernel"
    blocks example=kernel >"$OUT/kernel.c"
    if [ ! -e "$ARCHIVE" ]; then
        MAKEFLAGS='' make -s ARCH=x86 lib >"$OUT/kernel.log" 2>&1
    fi
    # shellcheck disable=SC2086 # the flags are words
    {
        $CC $flags -c -o "$OUT/kernel.o" "$OUT/kernel.c" &&
            $CC -m32 -c -o "$OUT/boot.o" kernel/x86/32/boot.S &&
            $CC $flags -c -o "$OUT/string.o" kernel/x86/string.c &&
            ld -m elf_i386 -static -nostdlib --build-id=none -z noexecstack \
                -z max-page-size=4096 --fatal-warnings -T kernel/x86/32/link.ld \
                -o "$OUT/kernel.elf" "$OUT/boot.o" "$OUT/kernel.o" \
                "$OUT/string.o" "$ARCHIVE"
    } >"$OUT/kernel.log" 2>&1
    status=$?
    result $status 'the example kernel compiles and links' "$OUT/kernel.log"
    [ $status = 0 ] || return
    MEM=32M INTERACTIVE=no TIMEOUT=20 tools/qemu.sh "$OUT/kernel.elf" \
        >"$OUT/kernel.raw" 2>&1
    status=$?
    tr -d '\r' <"$OUT/kernel.raw" >"$OUT/kernel.out"
    result $status 'it boots, runs and exits with success' "$OUT/kernel.out"
    compare kernel
    result $? 'it prints what the README shows' "$OUT/kernel.diff"
}

names() {
    cat src/*.[ch] include/verso/*.h arch/*.h arch/*/*.[ch] kernel/*.[ch] \
        kernel/*/*.[chS] kernel/*/*/*.[chS] \
        kernel/*/*/*.ld test/*.[ch] test/*/*.[ch] Makefile \
        test/test.mk >"$OUT/sources"
    # shellcheck disable=SC2016 # backticks are meant
    grep -oE '`[a-z][a-z0-9]*_[a-z0-9_]+(\(\))?`' ./*.md docs/*.md |
        tr -d '`()' | sort -u | while IFS=: read -r document name; do
        grep -qF "$name" "$OUT/sources" || echo "$document: $name"
    done >"$OUT/names.txt"
    ! [ -s "$OUT/names.txt" ]
    result $? 'what a document names is in the sources' "$OUT/names.txt"
}

# The figures of both kernels side by side. What differs between them stands with a
# slash: 32-bit / 64-bit.
figures() {
    sed -s -n 's/[{}",]//g; /name:/p' build/bench.json build/bench-x86_64.json | awk '
        function of(key, bits) {
            return (name, bits, key) in had ? had[name, bits, key] : "-"
        }
        function goal(bits) {
            return of("goal:", bits) == "-" ? "-" : \
                of("goal_is:", bits) " " of("goal:", bits)
        }
        function value(bits) {
            return of("value:", bits) (of("unit:", bits) == "ratio" ? " ratio" : "")
        }
        function both(a, b) { return a == b ? a : a " / " b }
        {
            bits = $2 == "x86_64" ? 64 : 32
            name = $4
            if (bits == 64) names[n++] = name
            for (i = 5; i < NF; i += 2) had[name, bits, $i] = $(i + 1)
        }
        END {
            print "| figure | 32-bit | 64-bit | Linux 6.1, 64-bit | goal | reached |"
            print "|---|---:|---:|---:|---:|---|"
            for (i = 0; i < n; i++) {
                name = names[i]
                if (goal(64) == "-" && of("linux:", 64) == "-") continue
                print "| " name " | " value(32) " | " value(64) " | " \
                    of("linux:", 64) " | " both(goal(32), goal(64)) " | " \
                    both(of("reached:", 32), of("reached:", 64)) " |"
            }
        }' >"$OUT/figures"
    awk -v file="$OUT/figures" '
        /^<!-- end of figures/ { skip = 0 }
        !skip
        /^<!-- figures:/ {
            while ((getline line < file) > 0) print line
            skip = 1
        }' README.md >"$OUT/README.new" && cat "$OUT/README.new" >README.md
}

echo TAP version 13
echo 1..10
heap 64
heap 32
kernel
names
if [ $update = yes ] && [ -e build/bench.json ] &&
    [ -e build/bench-x86_64.json ]; then
    figures
fi
exit $failed

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
# build/bench.json.
# All output is below build/doc-examples/. From the environment: CC, and BUILD,
# where libverso.a is.
set -u
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-gcc}
BUILD=${BUILD:-build/x86}
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
    if [ ! -e "$BUILD/libverso.a" ]; then make -s lib >"$OUT/kernel.log" 2>&1; fi
    # shellcheck disable=SC2086 # the flags are words
    {
        $CC $flags -c -o "$OUT/kernel.o" "$OUT/kernel.c" &&
            $CC -m32 -c -o "$OUT/boot.o" kernel/x86/32/boot.S &&
            $CC $flags -c -o "$OUT/string.o" kernel/x86/string.c &&
            ld -m elf_i386 -static -nostdlib --build-id=none -z noexecstack \
                -z max-page-size=4096 --fatal-warnings -T kernel/x86/32/link.ld \
                -o "$OUT/kernel.elf" "$OUT/boot.o" "$OUT/kernel.o" \
                "$OUT/string.o" "$BUILD/libverso.a"
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

figures() {
    sed -n 's/[{}",]//g; /goal:/p' build/bench.json | awk '
        BEGIN { print "| figure | value | goal | reached |"
                print "|---|---:|---:|---|" }
        { for (i = 1; i < NF; i += 2) value[$i] = $(i + 1)
          print "| " value["name:"] " | " value["value:"] " " value["unit:"] \
              " | " value["goal_is:"] " " value["goal:"] " | " \
              value["reached:"] " |" }' >"$OUT/figures"
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
if [ $update = yes ] && [ -e build/bench.json ]; then figures; fi
exit $failed

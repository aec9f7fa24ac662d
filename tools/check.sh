#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: check.sh [NAME...] (by make check): what can be said of the sources
# without running them. A line a check, "check NAME: ok" or what was found;
# exit status 1 if something was. All output is below build/check/.
#
#     text     SPDX lines, paths of one machine, links to files that are not
#     house    who includes whom, where extensions stand, long functions
#     format   clang-format
#     shell    shellcheck, where it is installed
#     warnings no compiler says a word, whatever the build
#     symbols  names, writable data, outside needs, recursion, stack frames
#     cppcheck
#
# From the environment: MAKE, JOBS. After a change of what the archives
# need from outside: tools/check.sh --update symbols writes docs/needs.md.
set -u
cd "$(dirname "$0")/.." || exit 1
# Whatever is asked for, the 32-bit kernel is looked at most closely; 64 bits, PAE
# and um are compiled beside it.
ARCH=x86
MAKE=${MAKE:-make}
JOBS=${JOBS:-2}
OUT=build/check
mkdir -p "$OUT"
: >"$OUT/said"
update=
if [ "${1:-}" = --update ]; then
    update=--update
    shift
fi
wanted=${*:-text house format shell warnings symbols cppcheck}

# Sources in C, and all text, of this directory as it stands.
sources() {
    find src include arch kernel test tools bench examples -name '*.[ch]' \
        2>/dev/null | sort
}
scripts() {
    {
        find tools test .ci -name '*.sh' -o -name '*.t' -o -path '.ci/*' -type f
    } | while read -r file; do
        if head -1 "$file" | grep -q '^#!/bin/sh'; then echo "$file"; fi
    done | sort -u
}

check_text() {
    tools/check/text.py
}

check_house() {
    tools/check/house.py
}

# Other versions format otherwise: only version 14 is asked.
check_format() {
    formatter=
    for program in clang-format-14 clang-format; do
        if "$program" --version 2>/dev/null | grep -q 'version 14\.'; then
            formatter=$program
            break
        fi
    done
    if [ -z "$formatter" ]; then
        echo "(left out: there is no clang-format 14)" >&3
        return 0
    fi
    # shellcheck disable=SC2046 # names without spaces
    "$formatter" --dry-run -Werror $(sources) 2>&1 |
        sed -n 's/\(:[0-9]*\):[0-9]*: error:.*/\1: not formatted/p' |
        sort -u | head -40 | grep . && return 1
    return 0
}

check_shell() {
    if ! command -v shellcheck >/dev/null 2>&1; then
        echo "(left out: there is no shellcheck)" >&3
        return 0
    fi
    # SC1091: sourced files are looked at by themselves. SC2209: `test` is a
    # word of the kernel's command line, too.
    # shellcheck disable=SC2046
    shellcheck -S warning -e SC1091,SC2209 $(scripts)
}

# One build: NAME COMPILER FLAGS TARGETS. What the compiler said is the finding.
compile() {
    # MAKEFLAGS: not those of the make that runs us (its job server is closed).
    if ! MAKEFLAGS='' "$MAKE" -s -k -j"$JOBS" B="$OUT/$1" ARCH="$ARCH" \
        CC="$2" CFLAGS="$3" $4 >"$OUT/$1.log" 2>&1 ||
        grep -q 'warning:' "$OUT/$1.log"; then
        echo "with $2 $3:"
        # What another build has said is not said again.
        grep -E 'error:|warning:|undefined|No rule' "$OUT/$1.log" | sort -u |
            grep -vxFf "$OUT/said" | head -20 | tee -a "$OUT/said" |
            sed 's/^/    /'
        return 1
    fi
}

# The whole once with each compiler, then the parts that other settings change.
# Nothing is run: -O0 and -O1 find warnings that -O2 hides, and the reverse.
check_warnings() {
    failed=0
    compile gcc gcc -fcallgraph-info=su 'kernel lib' || failed=1
    compile clang clang '' 'kernel lib' || failed=1
    target=$ARCH
    ARCH=um
    compile um-gcc gcc '' 'kernel lib' || failed=1
    compile um-clang clang '-DVERSO_STRICT=1 -DVERSO_DEBUG=1' 'kernel lib' ||
        failed=1
    ARCH=x86pae
    compile pae-gcc gcc -fcallgraph-info=su 'kernel lib' || failed=1
    compile pae-clang clang '' 'kernel lib' || failed=1
    compile pae-strict gcc '-O1 -DVERSO_STRICT=1 -DVERSO_DEBUG=1' \
        "$OUT/pae-strict/verso.first.elf" || failed=1
    ARCH=x86_64
    compile 64-gcc gcc '' 'kernel lib' || failed=1
    compile 64-clang clang '-DVERSO_STRICT=1 -DVERSO_DEBUG=1' 'kernel lib' ||
        failed=1
    ARCH=$target
    for compiler in gcc clang; do
        for flags in -DVERSO_DEBUG=1 -DVERSO_STRICT=1 \
            "-O0 -DVERSO_STRICT=1 -DVERSO_DEBUG=1" -O1; do
            build=$compiler$(printf %s "$flags" | tr -c 'A-Za-z0-9' -)
            # -O0 keeps every temporary in the frame: no limit there.
            case $flags in -O0*) flags="$flags -Wno-frame-larger-than" ;; esac
            compile "$build" "$compiler" "$flags" \
                "$OUT/$build/verso.first.elf" || failed=1
        done
    done
    return $failed
}

check_symbols() {
    target=$ARCH
    ARCH=x86pae
    compile pae-gcc gcc -fcallgraph-info=su lib &&
        compile pae-clang clang '' lib || return 1
    ARCH=$target
    compile gcc gcc -fcallgraph-info=su lib &&
        compile clang clang '' lib &&
        compile calls gcc \
            '-O1 -fno-inline -fno-optimize-sibling-calls -fcallgraph-info' \
            "$OUT/calls/libverso.a" &&
        tools/check/symbols.py $update "$OUT"
}

# Suppressed: what is not there to be found (headers of the system), and
# - unusedStructMember, unmatchedSuppression: no defects;
# - nullPointer: kernel/crash.c reads NULL on purpose, so do tests;
# - comparePointers, subtractPointers: symbols of the linker script bound
#   sections, and are no objects;
# - doubleFree, deallocuse: tests of just that.
check_cppcheck() {
    mkdir -p "$OUT/cppcheck"
    target='--platform=unix32 -D__i386__=1'
    # shellcheck disable=SC2086 # the target is several words
    cppcheck --quiet --std=c11 $target --enable=warning,portability \
        --inline-suppr --error-exitcode=1 -j "$JOBS" \
        --cppcheck-build-dir="$OUT/cppcheck" \
        --suppress=missingInclude --suppress=missingIncludeSystem \
        --suppress=unmatchedSuppression --suppress=unusedStructMember \
        --suppress=nullPointer:kernel/crash.c \
        --suppress=comparePointers --suppress=subtractPointers \
        -D__GNUC__=12 -DVERSO_HAS_FRAMES=1 \
        -DVERSO_HAS_PAGING=1 -DVERSO_HAS_HEAP=1 \
        -Iinclude -Iarch/x86 -Isrc -Ikernel -Itest \
        src kernel test arch/x86 arch/um arch/um/machine include 2>&1
}

status=0
exec 3>"$OUT/remark"
for name in $wanted; do
    : >"$OUT/remark"
    if "check_$name" >"$OUT/$name.txt" 2>&1; then
        remark=$(cat "$OUT/remark")
        if [ -z "$remark" ]; then remark=$(sed -n 's/^ok //p' "$OUT/$name.txt"); fi
        echo "check $name: ok${remark:+ $remark}"
    else
        echo "check $name: FAILED"
        sed 's/^/    /' "$OUT/$name.txt"
        status=1
    fi
done
exit $status

#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bench.sh KERNEL ARCHIVE JSON: boots with `bench`, by RUNNER, then asks
# what booting costs, looks for the smallest memory that will do, and on 64 bits has
# a million areas and a page of 1 GiB (where QEMU is the machine), or measures the
# tests themselves (on um: some minutes); shows what they print, and writes their
# figures to JSON, an array of objects, one a line
# "figure ARCH NAME VALUE UNIT [KEY=VALUE | goal<=N | goal>=N]...".
set -eu

kernel=$1
archive=$2
json=$3
log=$json.log
runner=${RUNNER:-tools/qemu.sh}

status=0
{
    INTERACTIVE=no "$runner" "$kernel" "$archive" bench ||
        echo "# exit status $?"
    case $runner in
    tools/qemu.sh)
        test/boot-cost.sh "$kernel" || echo "# exit status $?"
        test/boot-min.sh "$kernel" || echo "# exit status $?"
        if [ "$ARCH" = x86_64 ]; then
            MEM=256M INTERACTIVE=no "$runner" "$kernel" - bench=million ||
                echo "# exit status $?"
            QEMU_FLAGS="-cpu max" INTERACTIVE=no "$runner" "$kernel" - \
                bench=gib accessor=direct || echo "# exit status $?"
        fi
        ;;
    tools/um.sh) tools/bench-tests.sh || echo "# exit status $?" ;;
    esac
} | tee "$log"
if grep -q '^# exit status ' "$log"; then status=1; fi

awk '
    function quoted(s) { return "\"" s "\"" }
    function value(s) { return s ~ /^-?[0-9]+(\.[0-9]+)?$/ ? s : quoted(s) }
    $1 == "figure" {
        line = "{\"arch\": " quoted($2) ", \"name\": " quoted($3)
        line = line ", \"value\": " value($4) ", \"unit\": " quoted($5)
        for (i = 6; i <= NF; i++) {
            word = $i
            if (match(word, /^goal[<>]=/)) {
                line = line ", \"goal\": " value(substr(word, 7))
                line = line ", \"goal_is\": " quoted(substr(word, 5, 2))
            } else if ((at = index(word, "=")) > 0) {
                key = substr(word, 1, at - 1)
                line = line ", " quoted(key) ": " value(substr(word, at + 1))
            }
        }
        lines[n++] = line "}"
    }
    END {
        print "["
        for (i = 0; i < n; i++) print "  " lines[i] (i < n - 1 ? "," : "")
        print "]"
    }' "$log" >"$json.new"
mv "$json.new" "$json"
rm -f "$log"
exit $status

#!/bin/sh
# SPDX-License-Identifier: MIT
# Under valgrind: the heap's suites by memcheck, which asks whether what is used
# was ever written; and the simulated machine, whose translations come and go
# under a JIT that knows every mapping. One test there copies over a page that
# faults half-way, which valgrind 3.19 does not go on with unharmed.
cd "$(dirname "$0")/.." || exit 1
plain=${BUILT:-build}/plain
out=$plain/valgrind
mkdir -p "$out"
number=0
failed=0
echo 1..2

# say STATUS TEXT LOG
say() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - valgrind: $2"
    else
        grep -v '^ok ' "$3" | sed 's/^/# /'
        echo "not ok $number - valgrind: $2"
        failed=1
    fi
}

timeout 300 valgrind -q --error-exitcode=9 --suppressions=test/valgrind.supp \
    --vex-iropt-register-updates=allregs-at-mem-access \
    "$plain/heap/64/verso-heap-test" >"$out/heap" 2>&1
say $? "the heap's suites use nothing that was never written" "$out/heap"

timeout 300 valgrind -q --tool=none \
    --vex-iropt-register-updates=allregs-at-mem-access \
    "$plain/um-machine/64/um-machine" low >"$out/machine" 2>&1
grep '^not ok' "$out/machine" |
    grep -v an_interrupted_copy_goes_on_unharmed >"$out/bad"
[ "$(grep -c '^ok' "$out/machine")" -gt 20 ] && [ ! -s "$out/bad" ]
say $? "the simulated machine is the same" "$out/machine"
exit $failed

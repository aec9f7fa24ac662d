#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bench-tests.sh (by make bench ARCH=um): what the tests cost and reach,
# as figures: the suites under ASan, the fuzzer's rate, mutants killed, lines
# and branches run. What they print otherwise is kept in build/bench-tests/. With
# BENCH_TESTS=no in the environment: nothing.
set -eu
if [ "${BENCH_TESTS:-yes}" = no ]; then exit 0; fi
cd "$(dirname "$0")/.."
# Not with the settings of the make that runs us (ARCH=um).
unset MAKEFLAGS MAKEOVERRIDES ARCH
make=${MAKE:-make}
out=build/bench-tests
mkdir -p "$out"

# figure NAME VALUE UNIT GOAL: without a value the run failed.
figure() {
    if [ -z "$2" ]; then
        echo "bench-tests.sh: no $1; see $out" >&2
        exit 1
    fi
    echo "figure um $1 $2 $3 $4"
}

tools/deps.sh test fuzz coverage
"$make" -s tests fuzz-targets >"$out/build.log" 2>&1

before=$(date +%s%N)
test/host.t >"$out/host.log" 2>&1
after=$(date +%s%N)
figure suites_asan $(((after - before) / 1000000)) ms info

tools/fuzz.sh rate >"$out/rate.log"
figure fuzz_8 "$(sed -n 's/^8 //p' "$out/rate.log")" per_cpu_s 'goal>=5000'
figure fuzz_64 "$(sed -n 's/^64 //p' "$out/rate.log")" per_cpu_s 'goal>=1000'

"$make" -s mutants >"$out/mutants.log" 2>&1 || true
figure mutants "$(sed -nE 's/^mutants: [0-9]+ of ([0-9]+) killed$/\1/p' \
    "$out/mutants.log")" mutants info
figure mutants_survived "$(sed -nE 's/^mutants: ([0-9]+) of ([0-9]+) killed$/\2 \1/p' \
    "$out/mutants.log" | awk '{ print $1 - $2 }')" mutants 'goal<=0'

# FOLDER LINES RUN PERCENT % BRANCHES PERCENT %
"$make" -s coverage >"$out/coverage.log" 2>&1 || true
for folder in src arch/x86 arch/um; do
    name=$(echo "$folder" | tr / _)
    goal=info
    if [ "$folder" = src ]; then goal='goal>=95'; fi
    figure "lines_$name" "$(awk -v f="$folder/" '$1 == f { print $4 }' \
        "$out/coverage.log")" percent "$goal"
    figure "branches_$name" "$(awk -v f="$folder/" '$1 == f { print $7 }' \
        "$out/coverage.log")" percent info
done

#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: fuzz.sh TIME [TARGET...]: fuzzes each target (all: api boot trace) for
# TIME seconds, from test/corpus/TARGET and what was found before; what is new
# goes to build/fuzz/new/TARGET. An input that fails is left there in build/fuzz,
# with the command that runs it again; the exit status is then 1.
#
#        fuzz.sh rate: how many inputs api executes in a second of CPU time, of
# exactly 8 operations and of exactly 64: two lines, "8 N" and "64 N".
set -eu
cd "$(dirname "$0")/.."

# A long way down, an input is no better for it.
longest() {
    case $1 in
    api) echo 1000 ;;
    boot) echo 400 ;;
    *) echo 4000 ;;
    esac
}

# rate OPERATIONS RUNS
rate() {
    rm -rf build/fuzz/rate
    mkdir -p build/fuzz/rate
    OPERATIONS=$1 build/fuzz/api -seed=1 -entropic=0 -runs="$2" -max_len=1000 \
        build/fuzz/rate test/corpus/api 2>&1 |
        sed -n "s/^api: .* \([0-9]*\) in a second of CPU time$/$1 \1/p"
}

# fuzz TARGET TIME
fuzz() {
    log=build/fuzz/$1.log
    mkdir -p "build/fuzz/new/$1"
    status=0
    "build/fuzz/$1" -max_total_time="$2" -max_len="$(longest "$1")" \
        -entropic=0 -timeout=20 -rss_limit_mb=1500 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$1-" \
        "build/fuzz/new/$1" "test/corpus/$1" >"$log" 2>&1 &
    child=$!
    wait "$child" || status=$?
    child=
    awk -v target="$1" '
        / cov: / { cov = $4; features = $6 }
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { rate = $2 }
        END {
            printf "fuzz %s: %d executions, %d in a second; %d edges, %d features\n",
                target, runs, rate, cov, features
        }' "$log"
    [ "$status" != 0 ] || return 0
    grep -E '^#.* test/|^# um:|^fuzz:|^Bail out|ERROR: Add|runtime error|ERROR: lib' \
        "$log" | head -n 12
    sed -n "s|.*Test unit written to \(.*\)|fuzz $1: FAILED; again: build/fuzz/$1 \1|p" "$log"
    return 1
}

time=$1
shift
if [ "$time" = rate ]; then
    rate 8 12000
    rate 64 3000
    exit
fi
[ $# -gt 0 ] || set -- api boot trace
case $time in
'' | *[!0-9]* | 0*)
    echo "fuzz.sh: TIME=$time: seconds for each target, 1 or more" >&2
    exit 2
    ;;
esac
for target; do
    if [ ! -d "test/corpus/$target" ]; then
        echo "fuzz.sh: no target $target; there are: api boot trace" >&2
        exit 2
    fi
done
# Whoever stops us stops the fuzzer.
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 1' HUP INT TERM
failed=0
for target; do
    fuzz "$target" "$time" || failed=1
done
exit $failed

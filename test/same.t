#!/bin/sh
# SPDX-License-Identifier: MIT
# One seed leaves one map (same.c) on every machine that can be had here: the
# simulated ones, in every temper, and QEMU's. Two seeds leave two.
cd "$(dirname "$0")" || exit 1
all=evict=8,speculate=1,pdecache=1,fragment=1,adrandom=1
number=0
failed=0
first=
wide=UM_BUILD=um/64
pae=UM_BUILD=um/pae
echo 1..37

# say STATUS TEXT
say() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - same: $2"
    else
        echo "not ok $number - same: $2"
        failed=1
    fi
}

# machine NAME COMMAND...: runs it, and compares the map with the first one's
machine() {
    name=$1
    shift
    output=$("$@" 2>&1)
    map=$(echo "$output" | sed -n 's/^# the map: \([0-9a-f]*\)\r*$/\1/p')
    first=${first:-$map}
    [ -n "$map" ] && [ "$map" = "$first" ]
    status=$?
    [ $status = 0 ] || echo "$output" | sed 's/^/# /'
    say $status "seed $SEED, $name: map ${map:-unknown}"
}

export SUITE=same SEED
seen=
for SEED in 1 2 3; do
    first=
    machine "um through the mirror" host/run.sh ACCESSOR=mirror
    machine "um through the direct map" host/run.sh ACCESSOR=direct
    machine "um without large pages" host/run.sh LARGE=0
    machine "um out of temper" host/run.sh UM="$all,seed=$SEED"
    machine "64-bit um through the mirror" host/run.sh $wide ACCESSOR=mirror
    machine "64-bit um, five levels" host/run.sh $wide ACCESSOR=direct LEVELS=5
    machine "64-bit um out of temper" host/run.sh $wide UM="$all,seed=$SEED"
    machine "um with PAE through the mirror" host/run.sh $pae ACCESSOR=mirror
    machine "um with PAE through the direct map" host/run.sh $pae ACCESSOR=direct
    machine "um with PAE out of temper" host/run.sh $pae UM="$all,seed=$SEED"
    machine "QEMU through the mirror" ./qemu.sh 64M
    machine "QEMU through the direct map" ./qemu.sh 64M accessor=direct
    seen="$seen $first"
done
[ "$(echo "$seen" | tr ' ' '\n' | sort -u | grep -c .)" = 3 ]
say $? "three seeds leave three maps"
exit $failed

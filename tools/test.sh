#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: test.sh BUILD FILE.t...: runs the tests through prove, and says at the
# end, over all of them: "N passed, N failed". Fails if one did.
#
# A line counts as passed with "ok", as failed with "not ok". What a file owes
# besides (a plan that was not fulfilled, a failing exit status though no line
# said so) counts as one failure more.
set -eu

build=$1
shift
tap=$build/tap
rm -rf "$tap"
mkdir -p "$tap"

if [ $# = 0 ]; then
    echo "test.sh: there are no tests" >&2
    echo "0 passed, 1 failed"
    exit 1
fi

status=0
TAP_DIR=$tap prove --merge --exec tools/tap.sh "$@" || status=$?

passed=0
failed=0
for test; do
    file=$tap/$(basename "$test" .t).tap
    if [ ! -f "$file" ]; then # another test bailed out before
        failed=$((failed + 1))
        continue
    fi
    # shellcheck disable=SC2046 # two numbers
    set -- $(awk '
        /^1\.\.[0-9]+/ { sub(/^1\.\./, ""); plan = $1 + 0; planned = 1 }
        /^ok /         { ok++ }
        /^not ok .*# *TODO/ { ok++; next }
        /^not ok /     { bad++ }
        /^# exit status / { status = $4 }
        END {
            if (!planned || plan != ok + bad || (status != 0 && !bad)) bad++
            print ok + 0, bad + 0
        }' "$file")
    passed=$((passed + $1))
    failed=$((failed + $2))
done
if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

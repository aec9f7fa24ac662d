#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: modes.sh NAME SETTINGS...: all suites once with each of the settings
# ("UM=evict=2 LARGE=0"; those of run.sh). A line a run; what failed in it stands
# above.
cd "$(dirname "$0")" || exit 1
name=$1
shift
number=0
failed=0
echo "1..$#"
for settings; do
    number=$((number + 1))
    # shellcheck disable=SC2086 # several words
    if output=$(./run.sh $settings 2>&1); then
        echo "ok $number - $name: ${settings:-as it is}"
    else
        echo "$output" | grep -v '^ok ' | sed 's/^/# /'
        echo "not ok $number - $name: ${settings:-as it is}"
        failed=1
    fi
done
exit $failed

#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tap.sh FILE.t (by prove, for test.sh): runs the test, and keeps what
# it prints and its exit status in $TAP_DIR.
set -u
file=$TAP_DIR/$(basename "$1" .t).tap
case $1 in /*) test=$1 ;; *) test=./$1 ;; esac
{
    "$test" 2>&1
    echo "# exit status $?"
} | tee "$file"
exit "$(awk '/^# exit status / { status = $4 } END { print status + 0 }' "$file")"

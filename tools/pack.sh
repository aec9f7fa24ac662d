#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: pack.sh ARCHIVE TRACE...: unpacks the traces (.rep, .rep.gz) and puts
# them, in this order and without their directories, into one ustar archive.
set -eu

archive=$1
shift
work=$archive.d
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

fail() {
    echo "pack.sh: $*" >&2
    exit 1
}

[ $# -gt 0 ] || fail "no traces given"
names=
for trace; do
    [ -f "$trace" ] || fail "no such trace: $trace"
    [ -r "$trace" ] || fail "cannot read $trace"
    name=$(basename "$trace" .gz)
    case $name in
    *[!A-Za-z0-9._+-]*) fail "$trace: only letters, digits and . _ + - in names" ;;
    -*) fail "$trace: a name must not begin with -" ;;
    esac
    [ ! -e "$work/$name" ] || fail "two traces are called $name"
    case $trace in
    *.gz) gzip -dc "$trace" >"$work/$name" || fail "cannot unpack $trace" ;;
    *) cat "$trace" >"$work/$name" ;;
    esac
    names="$names $name"
done

format=--format=ustar
tar --format=ustar --help >/dev/null 2>&1 || format= # busybox: always ustar
# shellcheck disable=SC2086 # names without spaces, checked above
tar $format -C "$work" -cf "$archive.new" $names
mv "$archive.new" "$archive"

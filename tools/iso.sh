#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: iso.sh IMAGE KERNEL [ARCHIVE|-] [WORD...]
# Makes a CD image from which GRUB starts the kernel at once, the archive being
# its module and the words its command line, on PCs with a BIOS, with UEFI, or
# both: for what of GRUB is installed here. On a serial line the last that GRUB
# says is the line below.
#
# The newest protocol is used that the kernel has a header for. GRUB hands a
# word with spaces over between quotes, "KEY=A VALUE", and has a backslash before
# each quote that was in it: so there must be none.
set -eu

LAST='iso.sh: GRUB has loaded everything'
image=$1
kernel=$2
shift 2
archive=-
if [ $# -gt 0 ]; then
    archive=$1
    shift
fi

grub=grub
if ! command -v grub-mkrescue >/dev/null; then grub=grub2; fi

version=
if "$grub-file" --is-x86-multiboot2 "$kernel"; then
    version=2
elif ! "$grub-file" --is-x86-multiboot "$kernel"; then
    echo "iso.sh: $kernel: no Multiboot header, so GRUB cannot start it" >&2
    exit 1
fi

tree=$image.d
rm -rf "$tree"
mkdir -p "$tree/boot/grub"
trap 'rm -rf "$tree"' EXIT
cp "$kernel" "$tree/boot/kernel"
{
    echo "set timeout=0"
    echo "insmod all_video" # UEFI has no text screen
    printf 'multiboot%s /boot/kernel' "$version"
    # Between single quotes GRUB's shell, too, leaves everything as it is.
    for word; do
        printf " '%s'" "$(printf %s "$word" | tr -d '"' | sed "s/'/'\\\\''/g")"
    done
    printf '\n'
    if [ "$archive" != - ]; then
        cp "$archive" "$tree/boot/archive"
        echo "module$version /boot/archive"
    fi
    echo "echo '$LAST'"
    echo boot
} >"$tree/boot/grub/grub.cfg"

if ! "$grub-mkrescue" -o "$image" --fonts= --locales= --themes= "$tree" \
    >"$image.log" 2>&1; then
    cat "$image.log" >&2
    exit 1
fi

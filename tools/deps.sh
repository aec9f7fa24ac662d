#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: deps.sh SET...: installs what the sets need and this machine lacks.
#
#     run     build the kernel and boot it
#     run-um  the same as a Linux process (ARCH=um)
#     iso     make an image that GRUB starts the kernel from (ISO=1)
#     efi     boot it by UEFI (ISO=efi), beside iso
#     bochs   Bochs, beside iso
#     v86     v86's package comes by npm (v86.sh), beside what is here
#     test    the tests as well
#     check   the checks of `make check`
#     coverage  `make coverage`
#     fuzz    `make fuzz`: libFuzzer
#
# Installs by the system's package manager, through sudo unless root; asks
# nothing. Does nothing if nothing is missing. If it cannot install, it says
# what to install, and fails.
set -eu

# A line a need: set, test command, then the package for apt-get, dnf, pacman,
# apk ("-": there is none by that name, or it comes with something above).
needs() {
    cat <<'EOF'
run|command -v gcc|gcc|gcc|gcc|gcc
run|command -v ld && command -v ar && command -v nm|binutils|binutils|binutils|binutils
run|command -v qemu-system-i386 && command -v qemu-system-x86_64|qemu-system-x86|qemu-system-x86-core|qemu-system-x86|qemu-system-i386 qemu-system-x86_64
run|command -v gzip|gzip|gzip|gzip|gzip
run|command -v tar|tar|tar|tar|tar
run|command -v awk|mawk|gawk|gawk|gawk
run|command -v timeout|coreutils|coreutils|coreutils|coreutils
run-um|command -v gcc|gcc|gcc|gcc|gcc
run-um|command -v ld && command -v ar && command -v nm|binutils|binutils|binutils|binutils
run-um|try_link -m32|gcc-multilib|glibc-devel.i686 libgcc.i686|lib32-glibc lib32-gcc-libs|-
run-um|command -v gzip|gzip|gzip|gzip|gzip
run-um|command -v tar|tar|tar|tar|tar
run-um|command -v awk|mawk|gawk|gawk|gawk
run-um|command -v timeout|coreutils|coreutils|coreutils|coreutils
iso|command -v grub-mkrescue || command -v grub2-mkrescue|grub-common|grub2-tools-extra|grub|grub
iso|ls -d /usr/lib/grub/i386-pc|grub-pc-bin|grub2-pc-modules|grub|grub-bios
iso|command -v xorriso|xorriso|xorriso|libisoburn|xorriso
iso|command -v mformat|mtools|mtools|mtools|mtools
efi|command -v qemu-system-x86_64|qemu-system-x86|qemu-system-x86-core|qemu-system-x86|qemu-system-x86_64
efi|ls -d /usr/lib/grub/x86_64-efi|grub-efi-amd64-bin|grub2-efi-x64-modules|grub|grub-efi
efi|tools/ovmf.sh|ovmf|edk2-ovmf|edk2-ovmf|ovmf
bochs|command -v bochs|bochs|bochs|bochs|bochs
bochs|ls /usr/share/bochs/BIOS-bochs-latest|bochsbios|bochs|bochs|bochs
bochs|ls /usr/share/bochs/VGABIOS-lgpl-latest|vgabios|bochs|bochs|bochs
v86|command -v node|nodejs|nodejs|nodejs|nodejs
v86|command -v npm|npm|npm|npm|npm
v86|ls /usr/share/seabios/bios.bin /usr/share/seabios/vgabios-stdvga.bin|seabios|seabios-bin|seabios|seabios
test|command -v clang|clang|clang|clang|clang
test|try_clang -m32|libclang-rt-14-dev|compiler-rt|compiler-rt|compiler-rt
test|command -v valgrind|valgrind|valgrind|valgrind|valgrind
test|command -v prove|perl|perl-Test-Harness|perl|perl-utils
test|command -v python3|python3|python3|python|python3
test|command -v patch|patch|patch|patch|patch
test|try_link|libc6-dev|glibc-devel|glibc|musl-dev
test|try_link -m32 -fsanitize=address,undefined|gcc-multilib|glibc-devel.i686 libgcc.i686 libasan.i686 libubsan.i686|lib32-glibc lib32-gcc-libs|-
coverage|command -v gcovr|gcovr|gcovr|-|gcovr
check|command -v clang|clang|clang|clang|clang
check|command -v clang-format|clang-format|clang-tools-extra|-|clang-extra-tools
check|command -v cppcheck|cppcheck|cppcheck|cppcheck|cppcheck
check|command -v objdump|binutils|binutils|binutils|binutils
check|command -v python3|python3|python3|python|python3
check|command -v git|git|git|git|git
fuzz|command -v clang|clang|clang|clang|clang
fuzz|try_fuzz -m32|gcc-multilib libclang-rt-14-dev lib32stdc++-12-dev|compiler-rt glibc-devel.i686 libstdc++-devel.i686|compiler-rt lib32-glibc lib32-gcc-libs|-
EOF
}

try_clang() {
    out=$(mktemp)
    result=0
    echo 'int main(void) { return 0; }' |
        clang -x c "$@" -fsanitize=address,undefined -o "$out" - \
            2>/dev/null || result=1
    rm -f "$out"
    return $result
}

try_link() {
    out=$(mktemp)
    result=0
    echo 'int main(void) { return 0; }' |
        gcc -x c "$@" -o "$out" - 2>/dev/null || result=1
    rm -f "$out"
    return $result
}

# A target is nothing but this function.
try_fuzz() {
    out=$(mktemp)
    result=0
    echo 'int LLVMFuzzerTestOneInput(const char *at, int n) { return 0; }' |
        clang -x c "$@" -fsanitize=fuzzer,address,undefined -o "$out" - \
            2>/dev/null || result=1
    rm -f "$out"
    return $result
}

# The first line of 1: apt-get, 2: dnf, ... that this system has.
manager=none
field=3
for candidate in apt-get dnf pacman apk; do
    if command -v "$candidate" >/dev/null 2>&1; then
        manager=$candidate
        break
    fi
    field=$((field + 1))
done
[ "$manager" != none ] || field=3

missing() {
    needs | while IFS='|' read -r set test apt dnf pacman apk; do
        case " $sets " in *" $set "*) ;; *) continue ;; esac
        eval "$test" >/dev/null 2>&1 && continue
        echo "$set|$test|$apt|$dnf|$pacman|$apk"
    done
}

install_packages() {
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || return 1
        sudo=sudo
    fi
    # shellcheck disable=SC2086 # several packages
    case $manager in
    apt-get)
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
                --no-install-recommends $1
        ;;
    dnf) $sudo dnf install -y $1 ;;
    pacman) $sudo pacman -S --noconfirm --needed $1 ;;
    apk) $sudo apk add $1 ;;
    *) return 1 ;;
    esac
}

sets=$*
lacking=$(missing)
[ -n "$lacking" ] || exit 0
packages=$(echo "$lacking" | cut -d'|' -f"$field" | tr ' ' '\n' |
    grep -v '^-$' | sort -u | tr '\n' ' ')

echo "deps.sh: installing: $packages" >&2
if ! install_packages "$packages" >&2 || [ -n "$(missing)" ]; then
    {
        echo "deps.sh: could not install what is missing. Please install"
        echo "    $packages"
        [ "$manager" != none ] || manager=Debian
        echo "(names as $manager calls them; elsewhere: what gives you"
        missing | cut -d'|' -f2 | sed 's/^/    /'
        echo ") and try again."
    } >&2
    exit 1
fi

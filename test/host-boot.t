#!/bin/sh
# SPDX-License-Identifier: MIT
# Boot structures that are not as they should be: refused with the numbers, each
# in a process of its own; and some that are odd, and work.
# Usage: host-boot.t [BOOT]: only those.
cd "$(dirname "$0")" || exit 1
failed=0
number=0
only=${1:-}

# case BOOT SUITE TEXT SENTENCE: the output must contain TEXT.
check() {
    if [ "$only" != '' ] && [ "$only" != "$1" ]; then
        return
    fi
    number=$((number + 1))
    output=$(SUITE=$2 host/run.sh BOOT="$1" 2>&1)
    if echo "$output" | grep -q -e "$3"; then
        echo "ok $number - boot: $4"
    else
        echo "$output" | head -n 20 | sed 's/^/# /'
        echo "# \"$3\" is not there"
        echo "not ok $number - boot: $4"
        failed=1
    fi
}

[ "$only" != '' ] || echo 1..33
check fixed harness '0 failed' 'a fixed mapping that is in nobodys way is had'
check fixed-device harness '0 failed' 'so is one of what is no memory'
check fixed-device paging/what_a_fixed \
    '^ok 1 - paging: what a fixed mapping maps is not mapped with another cache type$' \
    'whose cache type no other mapping of it may contradict'
check fixed-devices harness \
    '^Bail out! paging: cache type of fixed mapping odd, frame 0x9020, 1 pages: no memory, 16 ranges$' \
    'more devices than there are ranges of cache types are refused'
check fixed-in-heap harness \
    '^Bail out! paging: fixed mapping odd at 0x6ffff000, 65536 bytes, meets the heap 0x70000000' \
    'a fixed mapping that reaches into the heap is refused'
check fixed-over-window harness \
    '^Bail out! paging: fixed mapping odd at 0x98000000, 65536 bytes, .* the window 0x98000000' \
    'a fixed mapping over the window is refused'
check fixed-too-high harness \
    '^Bail out! paging: fixed mapping odd of physical address 100000000, 65536 bytes, at 0x50000000$' \
    'a fixed mapping of what the machine cannot address is refused'
check fixed-too-long harness \
    '^Bail out! paging: fixed mapping odd of physical address 1000000, 18446744073709547520 bytes, at 0x50000000$' \
    'a fixed mapping that goes on beyond all addresses is refused at once'
check fixed-cache-7 harness \
    '^Bail out! paging: fixed mapping odd has cache type 7, which does not exist$' \
    'a fixed mapping with a cache type that does not exist is refused'
check fixed-uncached-ram harness \
    '^Bail out! paging: fixed mapping odd of frame 0x[0-9a-f]*, which is RAM, has cache type 3$' \
    'RAM that is handed out cannot be mapped uncached before'
check fixed-twice harness \
    '^Bail out! paging: fixed mappings odd and even of physical address f000 have different cache types$' \
    'two fixed mappings of a frame with different cache types are refused'
check window-in-heap harness \
    '^Bail out! paging: the window 0x70005000 lies in the heap 0x70000000, 131072 pages' \
    'a window in the heap is refused'
check no-window harness \
    '^Bail out! paging: no window, and only 0 bytes of [0-9]* frames are direct' \
    'a machine with frames that nothing reaches wants a window'
check heap-in-mirror harness '^Bail out! paging: .*0x9fbff000' \
    'a heap that reaches into the mirror is refused'
check users-in-heap harness \
    "^Bail out! paging: users' addresses 0x70000000, 1024 pages, meet the heap 0x70000000, 131072 pages" \
    'addresses for users in the heap are refused'
check adopt adopt '0 failed' 'tables that somebody else made are adopted'
check adopt-mirror harness \
    '^Bail out! paging: the host has 0x[0-9a-f]* at 0x9f800000, which is to be the mirror (0x9f800000, 1024 pages)$' \
    'a root in which the slot of the mirror is taken is refused'
check adopt-heap harness \
    '^Bail out! paging: the host has 0x[0-9a-f]* at 0x70005000, which is to be the heap (0x70000000, 131072 pages)$' \
    'so is one with a page in the heap'
check adopt-free harness \
    "^Bail out! paging: the host's table for 0x9b400000, level 0, in frame 0x4fff: not reserved" \
    'and one with a table in memory that is handed out'
check adopt-far harness \
    "^Bail out! paging: the host's table for 0x9b400000, level 0, in frame 0xff000: .*beyond the array" \
    'or beyond the frame array'
check adopt-rights harness \
    "^Bail out! paging: the host's table in frame 0x[0-9a-f]* is found for 0x9ac00000 at level 0 with rights 0x402, and for 0x9a800000 at level 0 with rights 0x400$" \
    'and one with a table under different rights'
check adopt-fixed harness \
    '^Bail out! paging: fixed mapping there wants frame 0x1000 with flags 0x1 at 0x98100000, where the host has frame 0x1001 with flags 0x1$' \
    'what the host has mapped otherwise than it says is refused'
check no-classes harness '^Bail out! alloc: a table of classes with none in it' \
    'a table of classes with none in it is refused'
check limit paging/a_frame_above \
    '^ok 1 - paging: a frame above the last zone is mapped as any other$' \
    'frames above the last zone are known to paging'
check limit frame '0 failed' 'nobody gets frames above the last zone'
check early harness '^walk: paging is not on yet' \
    'before the start there is a walk that says so'
check '' alloc/the_report_says_why \
    '^alloc: [0-9]* requests had no memory; the last, 123457 bytes aligned to 1 for 0x[0-9a-f]*: no frames' \
    'the report says why there was no memory'

# grow BOOT SENTENCE: from 64K on, page by page, each start must end with "no
# memory", until there is enough for one.
grow() {
    if [ "$only" != '' ] && [ "$only" != "$1" ]; then
        return
    fi
    number=$((number + 1))
    short=0
    kib=64
    while output=$(SUITE=harness/a_call host/run.sh BOOT="$1" MEM=${kib}K 2>&1)
        echo "$output" | grep -q '^Bail out! no \(memory\|room\)'; do
        if echo "$output" | grep -q '^Bail out! no memory'; then
            short=$((short + 1))
        fi
        kib=$((kib + 4))
    done
    if [ $short -ge 3 ] && echo "$output" | grep -q '^ok 1 '; then
        echo "ok $number - boot: $2"
    else
        echo "$output" | head -n 20 | sed 's/^/# /'
        echo "# with ${kib}K, after $short that were too few"
        echo "not ok $number - boot: $2"
        failed=1
    fi
}
grow '' 'a start that runs out of memory anywhere says so'
grow fixed 'so does one with a fixed mapping'
export UM_BUILD=um/64
check heap-in-hole harness \
    '^Bail out! paging: the heap 0x00007fffffffb000, 131072 pages, is not all addresses$' \
    'a heap that reaches into the hole between the halves is refused'
grow '' 'so does one with tables of 64-bit entries'
check adopt adopt '0 failed' 'tables of 64-bit entries are adopted'
check adopt-levels harness \
    "^Bail out! paging: the host's table in frame 0x[0-9a-f]* is found for 0x0000648000000000 at level 2 with rights 0x402, and for 0x0000200200000000 at level 0 with rights 0x402$" \
    'a table at two levels is refused'
exit $failed

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tests record.c and stat.py; prints TAP.  Set CC to try another compiler.
# Needs a C compiler, python3 and gzip.

set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/verso-record-test.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
count=0

# is WHAT GOT WANTED
is() {
    count=$((count + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        printf 'got:\n%s\nwanted:\n%s\n' "$2" "$3" | sed 's/^/# /'
    fi
}

# run SETTING... PROGRAM ARGUMENT...: under the recorder.
run() {
    env LD_PRELOAD="$work/record.so" "$@"
}

cat > play.c << 'END'
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile keep; /* so that the compiler drops no call */

static void each_function(void)
{
    void *p;
    free(keep = malloc(101));
    free(keep = calloc(3, 7));
    keep = realloc(NULL, 102);
    keep = realloc(keep, 70000);
    keep = reallocarray(keep, 5, 11);
    keep = realloc(keep, 0);
    free(NULL);
    free(keep = aligned_alloc(64, 128));
    if (posix_memalign(&p, 32, 103) == 0)
        free(keep = p);
    free(keep = memalign(256, 104));
    free(keep = valloc(105));
    keep = malloc(SIZE_MAX / 2);
    keep = calloc(SIZE_MAX / 2, 3);
    keep = malloc(106);
    p = realloc(keep, SIZE_MAX / 2);
    p = reallocarray(keep, SIZE_MAX / 2, 3);
    free(keep);
    keep = malloc(0);
    keep = malloc(107);
}

static void *one_thread(void *arg)
{
    void *p[64] = { 0 };
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned at = seed >> 16 & 63, size = 1 + (seed >> 8 & 1023);
        if (seed >> 22 & 1)
            p[at] = realloc(p[at], size);
        else {
            free(p[at]);
            p[at] = malloc(size);
        }
    }
    for (int i = 0; i < 64; i++)
        free(p[i]);
    return NULL;
}

static void threads(void)
{
    pthread_t t[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, one_thread, (void *)(i + 1));
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    keep = malloc(12345);
    if (strcmp(what, "each") == 0)
        each_function();
    if (strcmp(what, "_exit") == 0)
        _exit(7);
    if (strcmp(what, "_Exit") == 0)
        _Exit(7);
    if (strcmp(what, "quick") == 0)
        quick_exit(7);
    if (strcmp(what, "threads") == 0)
        threads();
    if (strcmp(what, "cd") == 0 && chdir("/") != 0)
        return 1;
    if (strcmp(what, "fork") == 0) {
        if (fork() == 0) {
            keep = malloc(666);
            exit(0);
        }
        wait(NULL);
    }
    if (strcmp(what, "vfork") == 0) {
        if (vfork() == 0)
            _exit(0);
        wait(NULL);
        keep = malloc(108);
    }
    if (strcmp(what, "child") == 0 && system("./play each") != 0)
        return 1;
    return 0;
}
END
if ! ${CC:-cc} -std=c17 -O1 -w -fno-builtin -pthread -o play play.c ||
    ! ${CC:-cc} -std=c17 -O2 -Wall -Wextra -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wconversion -Wsign-conversion -Werror \
        -fPIC -shared -fno-builtin -o record.so "$here/record.c"; then
    echo "Bail out! does not compile"
    exit 1
fi
cp play other

# ops FILE: the operations from main's first request on, ids counted from it.
ops() {
    awk 'NR > 4 && $3 == 12345 && !on { on = 1; base = $2 }
        on { if ($2 >= 0) $2 -= base; print }' "$1"
}

# valid FILE: whether stat.py accepts it.
valid() {
    "$here/stat.py" "$1" > /dev/null && echo valid
}

first="a 0 12345"

run RECORD_OUT=t.rep ./play each
is "each function is recorded as what it does" "$(ops t.rep | tail -n +2)" \
"a 1 101
f 1
a 2 21
f 2
a 3 102
r 3 70000
r 3 55
f 3
f -1
a 4 128
f 4
a 5 103
f 5
a 6 104
f 6
a 7 105
f 7
a 8 106
f 8
a 9 0
a 10 107"
is "the header counts ids and operations" "$(head -4 t.rep | tr '\n' ' ')" \
    "0 $(grep -c '^a' t.rep) $(($(wc -l < t.rep) - 4)) 1 "

for how in _exit _Exit quick; do
    rm -f t.rep
    run RECORD_OUT=t.rep ./play $how
    is "$how keeps its exit code" "$?" 7
    is "$how writes the trace" "$(ops t.rep)" "$first"
done

run RECORD_OUT=t.rep ./play threads
is "four threads give a valid trace" "$(valid t.rep)" valid
is "four threads are recorded" "$(($(sed -n 3p t.rep) > 80000))" 1
left=$("$here/stat.py" t.rep | awk 'END { print $(NF - 1) }')
is "what the threads freed is not left over" "$((left < 100))" 1

rm -f t.rep
run RECORD_OUT=t.rep ./play cd
is "a relative RECORD_OUT survives chdir" "$(ops t.rep)" "$first"

run RECORD_OUT=t.rep ./play fork
is "a forked child adds nothing" "$(grep -c 666 t.rep)" 0
run RECORD_OUT=t.rep ./play vfork
is "the _exit of a vforked child does not end the trace" \
    "$(ops t.rep | tail -n 1)" "a 1 108"

run RECORD_OUT=t.rep ./play child
is "a program started by the recorded one does not overwrite its trace" \
    "$(ops t.rep | head -n 2 | tail -n 1 | grep -c 101)" 0
mkdir many
run RECORD_OUT="many/%p.rep" ./play child
is "with %p each program has a file" "$(grep -l '^a .* 101' many/* | wc -l)" 1
is "with %p the first has one too" \
    "$(grep -L '^a .* 101' many/* | xargs grep -l 12345 | wc -l)" 1

rm -f t.rep
run RECORD_OUT=t.rep RECORD_PROGRAM=other ./play each
is "another program than RECORD_PROGRAM is not recorded" "$(ls t.rep 2>&-)" ""
run RECORD_OUT=t.rep RECORD_PROGRAM=other ./other
is "RECORD_PROGRAM is recorded" "$(ops t.rep)" "$first"
run RECORD_OUT=t.rep RECORD_PROGRAM=play sh -c './play; true'
is "RECORD_PROGRAM is recorded below a shell" "$(ops t.rep)" "$first"
rm -f t.rep
run RECORD_OUT='' ./play
is "an empty RECORD_OUT records nothing" "$(ls ./*.rep 2>&-)" ""

run RECORD_OUT=t.rep RECORD_MAX_OPS=3 ./play threads
is "RECORD_MAX_OPS ends the recording" "$(sed -n 3p t.rep) $(valid t.rep)" \
    "3 valid"

why="must be a whole number from 1 on"
for bad in 0 -1 3x 99999999999999999999; do
    got=$(run RECORD_OUT=t.rep RECORD_MAX_OPS=$bad ./play 2>&1)
    is "RECORD_MAX_OPS=$bad is refused" "$got $?" \
        "record: RECORD_MAX_OPS: $bad: $why 2"
done
got=$(run RECORD_OUT=/nowhere/t.rep ./play 2>&1)
is "a RECORD_OUT that cannot be written is refused" "$got $?" \
    "record: RECORD_OUT: /nowhere/t.rep: No such file or directory 2"

# broken WHY LINE...: stat.py gives that reason and exit code 1.
broken() {
    local why=$1 got
    shift
    printf '%s\n' "$@" > b.rep
    got=$("$here/stat.py" b.rep 2>&1 > /dev/null)
    is "stat.py: ${why#*: }" "$got $?" "b.rep:$why 1"
}

broken "3: the file ends in the header" 0 1 1
broken "2: number of ids is not a number: 'x'" 0 x 1 1
broken "3: negative number of operations: -1" 0 1 -1 1
broken "3: the header says 2 operations, the file has 1" 0 1 2 1 "a 0 1"
broken "3: the header says 1 operations, the file has 2" 0 1 1 1 "a 0 1" "f 0"
broken "5: id 1 is out of range: the header says 1 ids" 0 1 1 1 "a 1 1"
broken "5: negative id: -2" 0 1 1 1 "a -2 1"
broken "6: allocation of id 0, which is live" 0 1 2 1 "a 0 1" "a 0 1"
broken "5: free of id 0, which is not live" 0 1 1 1 "f 0"
broken "7: free of id 0, which is not live" 0 1 3 1 "a 0 1" "f 0" "f 0"
broken "7: free of id 0, which is not live" 0 1 3 1 "a 0 1" "r 0 0" "f 0"
broken "5: negative size: -5" 0 1 1 1 "a 0 -5"
broken "5: negative size: -5" 0 1 1 1 "r 0 -5"
broken "5: size is not a number: '1e3'" 0 1 1 1 "a 0 1e3"
broken "5: size is not a number: ''" 0 1 1 1 "a 0 "
broken "5: 'a' takes 2 numbers, here are 1" 0 1 1 1 "a 0"
broken "5: 'f' takes 1 numbers, here are 2" 0 1 1 1 "f 0 1"
broken "5: unknown operation: 'x'" 0 1 1 1 "x 0 1"
broken "6: unknown operation: ''" 0 1 1 1 "a 0 1" "" ""

printf '%s\n' 0 2 6 1 "f -1" "r 0 7" "r 0 9" "a 1 4" "r 1 0" "a 1 2" > g.rep
is "stat.py counts" "$("$here/stat.py" g.rep | tail -n 1)" \
    "| g | 6 | 2 | 3 | 1 | 2 | 13 | 22 | 9 | 0 | 2 |"
gzip -9n < g.rep | head -c 40 > cut.rep.gz
"$here/stat.py" cut.rep.gz > /dev/null 2>&1
is "stat.py refuses a cut .gz" "$?" 1
"$here/stat.py" none.rep > /dev/null 2>&1
is "stat.py refuses a missing file" "$?" 1
"$here/stat.py" > /dev/null 2>&1
is "stat.py without a file is a usage error" "$?" 2
"$here/stat.py" --within g.rep > /dev/null 2>&1
is "stat.py --within refuses a trace that is too small" "$?" 1
echo "1..$count"

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Records the bundled traces anew, all but linux-boot, into traces/.
#
#   tools/record/record.sh              every trace, then traces/README.md
#   tools/record/record.sh git vim      these only
#   tools/record/record.sh --readme     traces/README.md only
#   RECORD_DIR=/some/dir tools/record/record.sh     there instead of traces/
#
# Each trace is a run of a program as Debian ships it over an input that this
# script makes, from a fixed seed.  The program runs with an empty environment
# and without address-space randomisation, so that a second recording with the
# same packages gives the same bytes; other versions give slightly other ones.
# (But for a few lines: xmllint hashes with the time as seed, vim's undo puts
# a time into words.)
#
# Needs, on Debian 12 (amd64):
#   apt-get install gcc libc6-dev python3 sqlite3 git vim jq libxml2-utils perl

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
dir=${RECORD_DIR:-$(cd "$here/../.." && pwd)/traces}
names=(cc1 git jq perl python sqlite vim xmllint)
install="apt-get install gcc libc6-dev python3 sqlite3 git vim jq"
install+=" libxml2-utils perl"

die() {
    echo "record.sh: $*" >&2
    exit 1
}

need() {
    local tool
    for tool in "$@"; do
        [ -x "/usr/bin/$tool" ] || die "/usr/bin/$tool is missing: $install"
    done
}

# clean COMMAND...: runs it with an environment of nothing but the needed.
clean() {
    env -i PATH=/usr/bin:/bin HOME="$work" LC_ALL=C TZ=UTC "$@"
}

# record NAME PROGRAM COMMAND...: records PROGRAM, which COMMAND runs.
record() {
    local name=$1 program=$2
    shift 2
    clean LD_PRELOAD="$top/record.so" RECORD_PROGRAM="$program" \
        RECORD_OUT="$work/$name.rep" setarch -R "$@" > "$work/$name.out"
    [ -s "$work/$name.rep" ] || die "$name: $program wrote no trace"
    "$here/stat.py" --within "$work/$name.rep" | tail -n 1
    gzip -9n < "$work/$name.rep" > "$dir/$name.rep.gz"
}

# generate 'AWK PROGRAM': with word() and random(n), the same on each run.
generate() {
    /usr/bin/awk 'function random(n) {
            seed = seed * 16807 % 2147483647   # Park and Miller, exact here
            return seed % n
        }
        function word(   n, w) {
            w = ""
            for (n = 2 + random(3); n > 0; n--)
                w = w substr("bakedilomunaperisotuvawexyzo",
                    1 + 2 * random(14), 2)
            return w
        }
        BEGIN { seed = 20240229 }
        '"$1"
}

# ---- One function a trace --------------------------------------------------

trace_cc1() {
    generate 'BEGIN {
        print "struct node { struct node *next; long key[4]; };"
        for (i = 0; i < 14; i++) {
            printf "long f%d(struct node *n, long a, long b)\n{\n", i
            printf "    long s = %d;\n", random(1000)
            print "    for (; n; n = n->next) {"
            print "        switch (n->key[0] & 7) {"
            for (j = 0; j < 6; j++)
                printf "        case %d: s += n->key[%d] * %d; break;\n",
                    j, random(4), 1 + random(99)
            print "        default: s ^= a;\n        }"
            printf "        for (int i = 0; i < 4; i++)\n"
            printf "            n->key[i] = (s >> i) + b * %d;\n", random(50)
            if (i > 0)
                printf "        if (s > a)\n            s -= f%d(n, b, s);\n",
                    random(i)
            print "    }\n    return s;\n}\n"
        }
    }' > "$work/unit.c"
    record cc1 cc1 gcc -O2 -S -o "$work/unit.s" "$work/unit.c"
}

trace_git() {
    # 40 files, 1,200 commits; a commit rewrites some lines of three files.
    generate 'function change(f,   i, text) {
            if (!(f in lines))
                for (lines[f] = 100 + random(150); i < lines[f]; i++)
                    line[f, i] = word() " " word() " " word() " " word()
            for (i = random(20); i < lines[f]; i += 10 + random(40))
                line[f, i] = word() " " word() " " word()
            text = ""
            for (i = 0; i < lines[f]; i++)
                text = text line[f, i] "\n"
            printf "M 100644 inline d%d/file%d.txt\n", f % 5, f
            printf "data %d\n%s\n", length(text), text
        }
        BEGIN {
            for (c = 0; c < 1200; c++) {
                print "commit refs/heads/main"
                printf "committer A U Thor <a@example.org> %d +0000\n",
                    1700000000 + 3600 * c
                text = word() " " word() " " word()
                printf "data %d\n%s\n", length(text), text
                for (n = 0; n < 3; n++)
                    change((7 * c + 13 * n + random(2)) % 40)
            }
        }' > "$work/import"
    clean git init -q --bare -b main "$work/repo"
    clean git -C "$work/repo" fast-import --quiet < "$work/import"
    record git git git -C "$work/repo" log -p -M --stat --graph \
        main -- d0
}

trace_jq() {
    generate 'BEGIN {
        print "["
        for (i = 0; i < 1500; i++) {
            printf "%s{\"id\":%d,\"name\":\"%s %s\",\"score\":%d.%d,",
                i ? "," : "", i, word(), word(), random(100), random(10)
            printf "\"tags\":[\"%s\",\"%s\"],\"at\":{\"x\":%d,\"y\":%d}}\n",
                word(), word(), random(500), random(500)
        }
        print "]"
    }' > "$work/list.json"
    record jq jq jq 'group_by(.tags[0][0:2])
        | map({ tag: .[0].tags[0][0:2], names: map(.name) | sort,
                far: map(.at.x + .at.y) | max,
                mean: (map(.score) | add / length) })
        | sort_by(-.mean)' "$work/list.json"
}

trace_perl() {
    generate 'BEGIN {
        for (i = 0; i < 4000; i++)
            print word(), word(), random(1000), word(), word(), word()
    }' > "$work/words.txt"
    cat > "$work/count.pl" << 'END'
my (%seen, %by, @lines);
while (my $line = <>) {
    chomp $line;
    my @w = split ' ', $line;
    $seen{$_}++ for @w;
    push @{ $by{ substr($w[0], 0, 2) }{ $w[1] } }, $w[2];
    (my $swapped = $line) =~ s/(\w+) (\w+)/$2 $1/g;
    push @lines, { text => $swapped, sum => $w[2] };
}
for my $k (sort keys %by) {
    my $n = 0;
    $n += @$_ for values %{ $by{$k} };
    print "$k $n\n";
}
@lines = sort { $a->{sum} <=> $b->{sum} || $a->{text} cmp $b->{text} } @lines;
print join("\n", map { uc $_->{text} } grep { $_->{text} =~ /ba.*ke/ } @lines);
my @common = sort { $seen{$b} <=> $seen{$a} || $a cmp $b } keys %seen;
print "\n@common[0 .. 9]\n";
END
    record perl perl env PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 \
        perl "$work/count.pl" "$work/words.txt"
}

trace_python() {
    cat > "$work/work.py" << 'END'
import json
import random
import re

rng = random.Random(7)


class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None


def insert(root, key):
    while root.key != key:
        side = "left" if key < root.key else "right"
        if getattr(root, side) is None:
            setattr(root, side, Node(key))
        root = getattr(root, side)


root = Node(500000)
for _ in range(2500):
    insert(root, rng.randrange(1000000))
words = ["".join(rng.choices("abcdefgh", k=rng.randrange(3, 9)))
         for _ in range(3500)]
count = {}
for word in words:
    count[word[:3]] = count.get(word[:3], []) + [word]
text = json.dumps(count, indent=1)
back = json.loads(text)
found = re.findall(r"\b(a\w+)(h)\b", text)
print(len(text), len(back), len(found), sorted(count)[:5])
END
    record python python3 env PYTHONMALLOC=malloc PYTHONHASHSEED=0 \
        python3 -S -s -B "$work/work.py"
}

trace_sqlite() {
    {
        echo "CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, name TEXT, b BLOB);"
        echo "CREATE INDEX t_name ON t(name);"
        generate 'BEGIN {
            for (i = 0; i < 3000; i++)
                printf "INSERT INTO t VALUES(%d,%d,\"%s %s\",zeroblob(%d));\n",
                    i, random(500), word(), word(), random(300)
        }' | tr '"' "'"
        echo "CREATE TABLE u AS SELECT k, count(*) n, max(name) m FROM t
              GROUP BY k;
              CREATE INDEX u_k ON u(k);
              SELECT sum(n) FROM t JOIN u USING(k) WHERE name > 'm';
              UPDATE t SET name = upper(name) || k WHERE id % 3 = 0;
              DELETE FROM t WHERE k < 100;
              SELECT group_concat(name) FROM (SELECT name FROM t
              ORDER BY b, name DESC LIMIT 1000);
              VACUUM;
              SELECT count(*), sum(length(name)) FROM t;"
    } > "$work/work.sql"
    record sqlite sqlite3 sqlite3 -batch -init /dev/null :memory: \
        ".read $work/work.sql"
}

trace_vim() {
    generate 'BEGIN {
        for (i = 0; i < 4000; i++)
            print i, word(), word(), word(), random(10000), word()
    }' > "$work/text.txt"
    cat > "$work/edit.vim" << 'END'
set undolevels=100 regexpengine=1
%s/\(\w\+\) \(\w\+\)$/\2=\1/
g/bake/normal A tail
g/lo/m0
sort /\d\+ /
g/7/d
undo
1,1000y a
$put a
let n = map(getline(1, '$'), 'split(v:val)')
END
    record vim vim vim -u NONE -i NONE -n -es "$work/text.txt" \
        -S "$work/edit.vim" -c "w! $work/text.new" -c 'qa!'
}

trace_xmllint() {
    generate 'BEGIN {
        print "<?xml version=\"1.0\"?>\n<list>"
        for (i = 0; i < 3500; i++) {
            printf "<item id=\"i%d\" kind=\"%s\"><name>%s %s</name>",
                i, word(), word(), word()
            printf "<price unit=\"%s\">%d</price><!-- %s --></item>\n",
                word(), random(1000), word()
        }
        print "</list>"
    }' > "$work/list.xml"
    record xmllint xmllint xmllint --format --noblanks \
        --xpath '//item[price > 500]/name' "$work/list.xml"
}

# ---- traces/README.md ------------------------------------------------------

# version PACKAGE...: "package version" of the package that shipped it.
version() {
    dpkg-query -W -f '${Package} ${Version}' "$1"
}

# entry NAME PROGRAM WHAT: one row, its numbers from stat.py.
entry() {
    local file=$dir/$1.rep.gz stats how="record.sh $1"
    [ "$1" != linux-boot ] || how="in the kernel, for this project"
    [ -f "$file" ] || return 0
    stats=$("$here/stat.py" "$file" | tail -n 1 |
        awk -F' *[|] *' '{ print $3 " | " $7 " | " $8 " | " $9 " | " $10 }')
    echo "| \`$1\` | $2 | $3 | $stats | $how |"
}

readme() {
    cat << 'END'
# Traces

What real programs asked of their allocator, to replay against Verso's.
`tools/record/record.sh` wrote this page and every trace but `linux-boot`;
`tools/record/README.md` tells how to record one of your own.

| trace | program | what it did | operations | ids | peak bytes | total bytes | largest | recorded by |
|---|---|---|---:|---:|---:|---:|---:|---|
END
    entry cc1 "cc1 ($(version gcc-12))" \
        "compiles a generated C file of 14 functions with -O2"
    entry git "git ($(version git))" \
        "\`log -p -M --stat --graph\` of one directory over 1,200 commits"
    entry jq "jq ($(version jq))" \
        "groups, sorts and sums 1,500 JSON objects"
    entry linux-boot "Linux 6.1" \
        "boots and runs a shell workload: the kernel's kmalloc, kmem_cache_alloc and kfree operations"
    entry perl "perl ($(version perl-base))" \
        "counts, regroups, rewrites and sorts the words of 4,000 lines"
    entry python "python3 ($(version python3.11-minimal))" \
        "start, a binary tree, dictionaries, JSON out and in, a regular expression; PYTHONMALLOC=malloc"
    entry sqlite "sqlite3 ($(version sqlite3))" \
        "in-memory database: 3,000 inserts, an index, a join, update, delete, sort, vacuum"
    entry vim "vim ($(version vim))" \
        "\`vim -es\`: substitutes, moves, sorts, deletes, undoes and yanks in 4,000 lines"
    entry xmllint "xmllint ($(version libxml2-utils))" \
        "builds the tree of 3,500 XML items and runs an XPath query"
    cat << 'END'

- **operations**: lines after the header. **ids**: objects. **peak bytes**: the
  most bytes live at once, as requested: headers and rounding come on top.
  **total bytes**: the sum of all sizes asked for, by `a` and by `r`.
  **largest**: the largest single request in bytes.
- The numbers are those of `tools/record/stat.py`, which also checks a trace:
  `tools/record/stat.py --within traces/*.gz`.
- The format is the malloc lab's `.rep`: four header lines (suggested heap size,
  ids, operations, weight), then `a ID SIZE`, `r ID SIZE` and `f ID`, one a
  line; `f -1` is `free(NULL)`. Objects without an `f` are live at the end.
- Bounds every trace here keeps, so that it runs on a machine of 64 MB: a peak
  of 1 to 30 MiB, at most 300,000 operations, 200 MB in total, 8 MiB at once.
- Not in a trace: alignment, threads, time between operations, and what a
  program takes from the system itself (cc1 keeps its syntax trees in mmap).
- `linux-boot.rep` holds the kmalloc, kmem_cache and kfree operations of a
  Linux 6.1 boot and shell workload. It was recorded for this project; no
  script here repeats it.
END
}

# ---- Main ------------------------------------------------------------------

only_readme=0
if [ "${1-}" = --readme ]; then
    only_readme=1
elif [ $# -gt 0 ]; then
    for name in "$@"; do
        [[ " ${names[*]} " == *" $name "* ]] ||
            die "$name: no such trace; there are: ${names[*]}"
    done
    names=("$@")
fi

mkdir -p "$dir"
if [ $only_readme = 0 ]; then
    need gcc git jq perl python3 sqlite3 vim xmllint setarch
    top=$(mktemp -d /tmp/verso-record.XXXXXX)
    trap 'rm -rf "$top"' EXIT
    gcc -std=c17 -O2 -Wall -Wextra -fPIC -shared -fno-builtin \
        -o "$top/record.so" "$here/record.c"
    echo "| trace | operations | a | r | f | ids | peak bytes | total bytes" \
        "| largest | size 0 | live at end |"
    for name in "${names[@]}"; do
        work=$top/$name # its own: python lists the directory of its script
        mkdir "$work"
        "trace_$name"
    done
fi
readme > "$dir/README.md.new"
mv "$dir/README.md.new" "$dir/README.md"

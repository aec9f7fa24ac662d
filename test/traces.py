# SPDX-License-Identifier: MIT
"""`make run` as a person meets it: good traces and every kind of bad one given
through TRACE=, monitor commands through CMD=, and what the exit status says."""

import gzip
import os
import re
import shutil
import sys

import boot

PLACE = boot.scratch("traces")
PACKED = f"build/{boot.ARCH}/traces.tar"
GOOD = "0\n2\n4\n1\na 0 100\na 1 5000\nr 0 300\nf 1\n"

# Name, text, reason. The names begin with what they are, for the eye.
BAD = [
    ("bad-id-too-large", "0\n2\n1\n1\na 2 8\n",
     "line 5: id 2 is out of range, the header says 2 ids"),
    ("bad-id-negative", "0\n2\n1\n1\na -1 8\n",
     "line 5: id -1 is out of range, the header says 2 ids"),
    ("bad-free-out-of-range", "0\n2\n1\n1\nf -2\n",
     "line 5: id -2 is out of range, the header says 2 ids"),
    ("bad-alloc-on-live", "0\n1\n2\n1\na 0 8\na 0 9\n",
     "line 6: 'a' on id 0, which is allocated already"),
    ("bad-free-unknown", "0\n2\n2\n1\na 0 8\nf 1\n",
     "line 6: 'f' on unknown id 1"),
    ("bad-free-twice", "0\n1\n3\n1\na 0 8\nf 0\nf 0\n",
     "line 7: 'f' on unknown id 0"),
    ("bad-size-negative", "0\n1\n1\n1\na 0 -8\n",
     "line 5: negative size -8"),
    ("bad-realloc-negative", "0\n1\n2\n1\na 0 8\nr 0 -1\n",
     "line 6: negative size -1"),
    ("bad-size-missing", "0\n1\n1\n1\na 0\n", "line 5: a size is missing"),
    ("bad-size-huge", "0\n1\n1\n1\na 0 99999999999999999999\n",
     "line 5: the size is more than this machine can address"),
    ("bad-letter", "0\n1\n2\n1\na 0 8\nx 0 8\n",
     "line 6: unknown operation 'x', not a, r or f"),
    ("bad-word", "0\n1\n1\n1\nalloc 0 8\n",
     "line 5: unknown operation 'a', not a, r or f"),
    ("bad-rest-of-line", "0\n1\n1\n1\na 0 8 9\n",
     "line 5: more on the line than expected"),
    ("bad-cut-off", "0\n1\n3\n1\na 0 8\nf 0\n",
     "line 7: the file ends after 2 operations, the header says 3"),
    ("bad-empty", "", "line 1: the file is empty"),
    ("bad-header", "0\n1\n",
     "line 3: number 3 of the 4 in the header is missing or no number"),
    ("bad-no-trace", "This is no trace.\n",
     "line 1: number 1 of the 4 in the header is missing or no number"),
    ("bad-no-memory", "0\n1\n1\n1\na 0 4000000000\n",
     "line 5: no memory for 4000000000 bytes"),
    ("bad-ids-without-memory", "0\n4000000000\n1\n1\na 0 8\n",
     "no memory for the tables of 4000000000 ids"),
]

OK_LINE = (r"replay {}: ops={} result=ok payload_peak=\d+ heap_peak=\d+ "
           r"utilisation=\d\.\d{{3}} insn_per_op=\d+\.\d")


def write(name, text, packed=False):
    path = f"{PLACE}/{name}"
    data = text if isinstance(text, bytes) else text.encode()
    opener = gzip.open if packed else open
    with opener(os.path.join(boot.ROOT, path), "wb") as file:
        file.write(data)
    return path


def make(*arguments):
    """The environment of `make test` is passed on (CC, CFLAGS), but not its
    job server, which is closed here."""
    flags = re.sub(r"(^| )(--jobserver-\S+|-j\d*)", "",
                   os.environ.get("MAKEFLAGS", ""))
    return ["env", f"MAKEFLAGS={flags}", "make", "--no-print-directory", "run",
            "SEED=", "SUITE=", "WORDS=", *arguments]


def make_run(*arguments):
    return boot.run(make(*arguments), timeout=120)


def replay_lines(output):
    return [line for line in output.split("\n") if line.startswith("replay")]


def test_bad_traces(tap):
    """All in one run, a good one behind each: it must go on."""
    good = write("good.rep", GOOD)
    paths = []
    for i, (name, text, _) in enumerate(BAD):
        paths.append(write(f"{name}.rep", text))
        paths.append(write(f"good{i}.rep", GOOD))
    status, output = make_run("TRACE=" + " ".join(paths + [good]))
    lines = replay_lines(output)
    for i, (name, _, reason) in enumerate(BAD):
        wanted = f"replay {name}: result=FAILED reason={reason}"
        at = lines.index(wanted) if wanted in lines else None
        follows = at is not None and at + 1 < len(lines) and re.fullmatch(
            OK_LINE.format(f"good{i}", 4), lines[at + 1])
        tap.test(follows, f"traces: {name}: name, line and reason, and on to "
                 "the next", [f"wanted: {wanted}"] + [
                     f"got: {line}" for line in lines if name in line])
    tap.test(status != 0 and re.fullmatch(OK_LINE.format("good", 4),
                                          lines[-1] if lines else ""),
             "traces: one that fails makes the run fail",
             [f"status {status}"] + lines[-1:])


def test_good_traces(tap):
    status, output = make_run("TRACE=" + " ".join(
        [write("good.rep", GOOD), write("packed.rep.gz", GOOD, True)]))
    lines = replay_lines(output)
    tap.test(status == 0 and len(lines) == 2 and
             all(re.fullmatch(OK_LINE.format(name, 4), line)
                 for name, line in zip(("good", "packed"), lines)),
             "traces: good ones, plain and packed, and a good end", [output])
    more = write("more.rep", GOOD + "f 0\nf -1\n")
    status, output = make_run("TRACE=" + more)
    lines = replay_lines(output)
    tap.test(status == 0 and len(lines) == 2 and lines[0] ==
             "replay more: warning: line 9: more operations than the 4 of the "
             "header" and re.fullmatch(OK_LINE.format("more", 6), lines[1]),
             "traces: more operations than promised: a warning, all are "
             "replayed, a good end", [output])
    odd = write("odd.rep", "0 1 6 1\r\nr 0 8\r\nr 0 0\r\nf 0\r\nf -1\r\n"
                "a 0 0\r\nr 0 9000\r\n")
    status, output = make_run("TRACE=" + odd)
    tap.test(status == 0 and re.search(OK_LINE.format("odd", 6), output),
             "traces: realloc of an unknown id, sizes of 0, free of NULL",
             [output])


def test_bad_files(tap):
    """Found on the host, before anything boots."""
    good = write("good.rep", GOOD)
    broken = write("broken.rep.gz", gzip.compress(GOOD.encode() * 100)[:60])
    unpacked = write("unpacked.rep.gz", GOOD)
    os.makedirs(os.path.join(boot.ROOT, PLACE, "folder.rep"), exist_ok=True)
    os.makedirs(os.path.join(boot.ROOT, PLACE, "again"), exist_ok=True)
    again = write("again/good.rep", GOOD)
    for name, trace, message in (
            ("a file that is not there", f"{PLACE}/absent.rep",
             f"no such trace: {PLACE}/absent.rep"),
            ("a directory", f"{PLACE}/folder.rep",
             f"no such trace: {PLACE}/folder.rep"),
            ("a packed file cut off", f"{good} {broken}",
             f"cannot unpack {broken}"),
            ("a plain file called .gz", unpacked, f"cannot unpack {unpacked}"),
            ("two of one name", f"{good} {again}",
             "two traces are called good.rep")):
        status, output = make_run(f"TRACE={trace}")
        tap.test(status != 0 and message in output and
                 "replay " not in output,
                 f"traces: {name}: said before anything boots",
                 [f"wanted: {message}", output])


def test_bad_archives(tap):
    """Whatever the boot loader hands over."""
    good = write("good.rep", GOOD)
    status, output = boot.run(["tools/pack.sh", f"{PLACE}/two.tar", good,
                               write("other.rep", GOOD)])
    with open(os.path.join(boot.ROOT, PLACE, "two.tar"), "rb") as file:
        whole = file.read()
    flipped = bytearray(whole)
    flipped[1024 + 5] ^= 1
    for name, data, message, replayed in (
            ("text", b"This is no archive.\n" * 100, "replay: the archive is "
             "broken: a header whose checksum is wrong", 0),
            ("shorter than a header", b"x" * 100, "replay: the archive is "
             "broken: 100 bytes left where a header was expected", 0),
            ("zeros: nothing in it", bytes(10240),
             "replay: no trace at all in the archive", 0),
            ("cut off in a file", whole[:1536 + 10], "replay: the archive is "
             "broken: other: 42 bytes announced, 10 bytes left: cut off", 1),
            ("a bit wrong in a header", bytes(flipped), "replay: the archive "
             "is broken: a header whose checksum is wrong", 1)):
        path = write("bad.tar", data)
        status, output = boot.boot(['cmd="replay; quit"'], path)
        wanted = message.replace("42 bytes", f"{len(GOOD)} bytes")
        lines = replay_lines(output)
        tap.test(status == 1 and wanted in lines and
                 len(lines) == 1 + replayed,
                 f"traces: an archive that is {name}",
                 [f"wanted: {wanted}", output])
    status, output = boot.boot(['cmd="replay; quit"'])
    tap.test(status == 1 and
             "replay: no archive of traces was given" in output,
             "traces: no archive at all", [output])
    status, output = boot.boot([])
    tap.test(status == 0 and "none was given" in output,
             "traces: a whole run without an archive says so", [output])


def test_commands(tap):
    trace = "TRACE=" + write("good.rep", GOOD)
    for command, good, message in (
            ("check; quit", True, "check: every invariant holds"),
            ("check", True, "check: every invariant holds"),
            ("quit; nonsense", True, ""),
            (";; check;;quit;", True, "check: every invariant holds"),
            ("replay good; quit", True, "replay good: ops=4 result=ok"),
            ("help; frames; tables; areas; slabs; walk 0x100000; describe "
             f"{boot.HEAP:#x}; quit", True, "every invariant of every storey"),
            (f"alloc 100; area 3; free; free {boot.HEAP:#x}; quit", True,
             f"freed {boot.HEAP:#x}"),
            (f"area 2 lazy; touch {boot.HEAP + 0x1000:#x}; quit", True,
             "read ok, write ok; first touch"),
            ("nonsense; quit", False, "nonsense"),
            ("nonsense; check; quit", False, "check: every invariant holds"),
            ("alloc", False, "usage: alloc N"),
            ("alloc 12x", False, "12x: not a number"),
            ("alloc 4000000000", False, "no memory"),
            (f"free {boot.HEAP:#x}", False, "was not allocated here"),
            ("replay nobody", False, "replay: no trace nobody in the archive"),
            ("test; areas", True, "areas: 0 in use (0 pages)"),
            ("test nobody", False, "1..0"),
            ("fault 0", False, "fault: write to a page that is not present")):
        status, output = make_run(trace, f"CMD={command}")
        tap.test((status == 0) == good and message in output,
                 f"make run CMD=\"{command}\": {'ends well' if good else 'fails'}",
                 [f"status {status}, wanted: {message}", output])


def test_words(tap):
    status, output = boot.boot(['"cmd=check; areas; quit"', "seed=1"])
    tap.test(status == 0 and "check: every invariant holds" in output and
             "areas: 0 in use" in output,
             "words: one that GRUB put between quotes", [output])


def test_terminal(tap):
    """With a terminal, the run stays at the prompt until somebody leaves."""
    status, output = boot.terminal(
        make("TRACE=" + write("good.rep", GOOD)),
        b"chekc\x7f\x7fck\rquit\r")
    tap.test(status == 0 and "check: every invariant holds" in output and
             "replay good: ops=4 result=ok" in output,
             "make run on a terminal: report, prompt, a good end",
             [f"status {status}", output[-2000:]])


def main():
    tap = boot.Tap(len(BAD) + 1 + 3 + 5 + 7 + 18 + 1 + 1)
    packed = os.path.join(boot.ROOT, PACKED)
    kept = os.path.join(boot.ROOT, PLACE, "kept.tar")
    if os.path.exists(packed):
        shutil.copyfile(packed, kept)
    try:
        test_bad_traces(tap)
        test_good_traces(tap)
        test_bad_files(tap)
        test_bad_archives(tap)
        test_commands(tap)
        test_words(tap)
        test_terminal(tap)
    finally:
        if os.path.exists(kept):
            os.replace(kept, packed)
    tap.end()


sys.exit(main())

# SPDX-License-Identifier: MIT
"""`make run ARCH=um`: what traces.py asks of the booted kernel, in short, of
the same kernel as a Linux process. No QEMU is started, and none is needed."""

import json
import os
import re
import sys

import boot

PLACE = boot.scratch("run-um")
REPLAY = (r"replay {}: ops=\d+ result=ok payload_peak=\d+ heap_peak=\d+ "
          r"utilisation=0\.\d{{3}} insn_per_op=n/a")


def make(*arguments, target="run"):
    """Without the job server of `make test`, which is closed here."""
    flags = re.sub(r"(^| )(--jobserver-\S+|-j\d*)", "",
                   os.environ.get("MAKEFLAGS", ""))
    return ["env", f"MAKEFLAGS={flags}", "QEMU=false", "make",
            "--no-print-directory", target, "ARCH=um", "SEED=", "SUITE=",
            "WORDS=", "SAN=", *arguments]


def make_run(*arguments, target="run"):
    return boot.run(make(*arguments, target=target), timeout=300)


def write(name, text):
    path = f"{PLACE}/{name}"
    with open(os.path.join(boot.ROOT, path), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def test_traces(tap):
    names = ("linux-boot", "jq", "sqlite")
    traces = " ".join(f"traces/{name}.rep.gz" for name in names)
    status, output = make_run("MEM=64M", f"TRACE={traces}")
    lines = [line for line in output.split("\n") if line.startswith("replay")]
    tap.test(status == 0 and len(lines) == len(names) and
             all(re.fullmatch(REPLAY.format(name), line)
                 for name, line in zip(names, lines)),
             "make run ARCH=um: bundled traces are replayed in 64M",
             [f"status {status}", output])
    tap.test("-- Slabs of linux-boot after" in output and
             "machine  um, 32-bit" in output and
             output.endswith("verso: all went well\n"),
             "make run ARCH=um: the whole report", [output])
    status, output = make_run("MEM=8M", "TRACE=traces/linux-boot.rep.gz")
    tap.test(status != 0 and re.search(
        r"replay linux-boot: result=FAILED reason=line \d+: no memory for "
        r"\d+ bytes\n", output) and "every invariant holds" in output,
             "make run ARCH=um: too little memory for a trace: said, and all "
             "is given back", [f"status {status}", output])
    bad = write("bad.rep", "0\n2\n2\n1\na 0 8\nf 1\n")
    status, output = make_run(f"TRACE={bad} {write('good.rep', '0 1 1 1 a 0 8')}")
    tap.test(status != 0 and "replay bad: result=FAILED reason=line 6: 'f' on "
             "unknown id 1\n" in output and
             re.search(REPLAY.format("good"), output),
             "make run ARCH=um: a bad trace: name, line and reason, and on to "
             "the next", [f"status {status}", output])


COMMANDS = [
    ("areas; check; quit", True, "check: every invariant holds"),
    ("quit; nonsense", True, ""),
    ("replay good; quit", True, "replay good: ops=1 result=ok"),
    ("area 2 lazy; touch 0x80001000; fault 0x80001fff; free 0x80000000", True,
     "read ok, write ok; first touch"),
    ("area 2; fault 0x80002000", False, "0x80002000: "),
    ("touch 0x1000; check", True, "read faults, write faults"),
    ("test paging; test conformance; test trace", True, "0 failed"),
    ("random 500 7; check; random 0", True, "check: every invariant holds"),
    ("alloc 600000000", False, "no memory"),
    ("nonsense; check", False, "check: every invariant holds"),
    ("fault 0", False, "fault: write to a page that is not present"),
]


def test_commands(tap):
    trace = "TRACE=" + write("good.rep", "0 1 1 1 a 0 8")
    for command, good, message in COMMANDS:
        status, output = make_run(trace, f"CMD={command}")
        tap.test((status == 0) == good and message in output,
                 f"make run ARCH=um CMD=\"{command}\": "
                 f"{'ends well' if good else 'fails'}",
                 [f"status {status}, wanted: {message}", output])
    status, output = make_run(trace, "ACCESSOR=direct",
                              "CMD=replay; test paging; check")
    tap.test(status == 0 and "check: every invariant holds" in output,
             "make run ARCH=um ACCESSOR=direct", [output])
    status, output = make_run(trace, "UM=evict=8,speculate=1,seed=3",
                              "CMD=test paging; check")
    tap.test(status == 0 and "check: every invariant holds" in output,
             "make run ARCH=um UM=: a machine out of temper", [output])
    status, output = make_run(trace, "UM=evil=8")
    tap.test(status != 0 and "um: UM=evil=8: not understood" in output and
             "speculate=N" in output,
             "make run ARCH=um UM=: unknown words get the list", [output])


def test_faults(tap):
    for how, message in (
            ("guard", r"fault: write to a page that is not present, from the "
             r"kernel\nfault: address 0x80003000, instruction 0x[0-9a-f]{8} "
             r"crash_guard\+0x[0-9a-f]+\nwalk: (.*\n)+0x80003000: in a guard "
             r"page of (.*\n)+backtrace: 0x[0-9a-f]{8} crash_guard\S*\n"
             r"backtrace: 0x[0-9a-f]{8} crash_run\S*\n(.*\n)*"
             r"backtrace: 0x[0-9a-f]{8} main\+"),
            ("null", r"fault: read of a page that is not present(.*\n)+"
             r"fault: the address is not the simulated machine's"),
            ("rodata", r"fault: write to a present page that is read-only"),
            ("stack", r"fault: stack overflow"),
            ("ud2", r"fault: invalid opcode"),
            ("free", r"panic: .*freed already(.*\n)+backtrace: \S+ "
             r"crash_free")):
        status, output = boot.run(["tools/um.sh", "build/um/verso", "-",
                                   f"crash={how}"], {"INTERACTIVE": "no"})
        tap.test(status == 1 and re.search(message, output),
                 f"um: crash={how} is reported, and fails",
                 [f"status {status}, wanted: {message}", output])


def test_settings(tap):
    for setting, message in (
            ("MEM=abc", "um: MEM=abc: not a size, as 64M or 1G"),
            ("MEM=-1M", "um: MEM=-1M: not a size, as 64M or 1G"),
            ("MEM=64MB", "um: MEM=64MB: not a size, as 64M or 1G"),
            ("MEM=99999999999G", "um: MEM=99999999999G: a 32-bit process has "
             "room for 1G"),
            ("MEM=1", "um: MEM=1: less than a page"),
            ("MEM=8K", "no room in RAM (MEM) for the frame array"),
            ("MEM=96K", "panic: verso_init: no memory"),
            ("TRACE=absent.rep", "no such trace: absent.rep")):
        status, output = make_run(setting, "CMD=check")
        tap.test(status not in (0, 124) and message in output and
                 "invariant" not in output,
                 f"make run ARCH=um {setting}: refused",
                 [f"status {status}, wanted: {message}", output])
    status, output = boot.run(["build/um/verso", "archive=absent.tar"])
    tap.test(status == 1 and "um: absent.tar: No such file" in output,
             "um: an archive that is not there", [output])


def test_terminal(tap):
    """With a terminal, the run stays at the prompt until somebody leaves."""
    status, output = boot.terminal(
        make("TRACE=" + write("good.rep", "0 1 1 1 a 0 8")),
        b"nonsense\x03chekc\x7f\x7fck\rquit\r")
    tap.test(status == 0 and "check: every invariant holds" in output and
             "no such command" not in output and
             re.search(REPLAY.format("good"), output),
             "make run ARCH=um on a terminal: report, prompt, a good end",
             [f"status {status}", output[-2000:]])


def test_bench(tap):
    os.environ["BENCH_TESTS"] = "no"  # those are run anyway
    status, output = make_run("TRACE=traces/jq.rep.gz", target="bench")
    with open(os.path.join(boot.ROOT, "build/bench-um.json"),
              encoding="utf-8") as file:
        figures = {f["name"]: f for f in json.load(file)}
    tap.test(status == 0 and all(
        re.search(rf"^figure um {name} \d+ ns info$", output, re.M) and
        figures[name]["value"] > 0 for name in ("fill", "invalidate")),
             "make bench ARCH=um: what a fill and an invalidation cost",
             [f"status {status}", output])


def main():
    tap = boot.Tap(4 + len(COMMANDS) + 3 + 6 + 9 + 1 + 1)
    test_traces(tap)
    test_commands(tap)
    test_faults(tap)
    test_settings(tap)
    test_terminal(tap)
    test_bench(tap)
    tap.end()


sys.exit(main())

# SPDX-License-Identifier: MIT
"""Faults that nobody owns, and what is said about them: word by word, but for
what differs from build to build, which is written so:

    <h>         8 hexadecimal digits             <n>  a decimal number
    <o>         a hexadecimal number
    <NAME>      the address of that symbol, 8 digits
    <frame>     a frame number, hexadecimal
    {A|B}       either
    WORD...     the backtrace has these functions, in this order, and perhaps
                others that the compiler did not inline between them

Beside that, in every report: each address with a name lies where the linker
put that name; the registers tell the same instruction and address as the first
lines; the run ends with a failing code, and nothing follows the backtrace."""

import re

import boot

KERNEL_TABLE = ("walk: level 1 entry    0 at 0xffbfe000: <h> table in frame "
                "0x<frame>, <n> live")
REGISTERS = [
    "registers: eax=<h> ebx=<h> ecx=<h> edx=<h>",
    "registers: esi=<h> edi=<h> ebp=<h> esp=<h>",
    "registers: eip=<h> eflags=<h> cr2=<h> cr3=<h>",
]
START = ["kernel_main", "x86_start", "_start"]
CRASH = ["crash_run"] + START
COMMAND = ["command_fault", "monitor_run_commands"] + START

# Name, words of the command line, the report, functions of the backtrace.
CASES = [
    ("a read of NULL", ["crash=null"], [
        "fault: read of a page that is not present, from the kernel",
        "fault: address 0x00000000, instruction 0x<h> crash_null+0x<o>",
        KERNEL_TABLE,
        "walk: level 0 entry    0 at 0xff800000: 00000000 absent",
        "0x00000000: nothing of Verso's",
    ], ["crash_null"] + CRASH),
    ("a call of NULL", ["crash=call"], [
        "fault: execution of a page that is not present, from the kernel",
        "fault: address 0x00000000, instruction 0x00000000",
        KERNEL_TABLE,
        "walk: level 0 entry    0 at 0xff800000: 00000000 absent",
        "0x00000000: nothing of Verso's",
    ], CRASH),
    ("a jump to where there is no table", ["crash=jump"], [
        "fault: execution of a page that is not present, from the kernel",
        "fault: address 0x50000000, instruction 0x50000000",
        "walk: level 1 entry  320 at 0xffbfe500: 00000000 absent",
        "0x50000000: nothing of Verso's",
    ], CRASH),
    ("a write to rodata", ["crash=rodata"], [
        "fault: write to a present page that is read-only, from the kernel",
        "fault: address 0x<constant>, instruction 0x<h> crash_rodata+0x<o>",
        KERNEL_TABLE,
        "walk: level 0 entry  <n> at 0xff800<o>: 00<frame><o> page in frame "
        "0x<frame>, r--k, accessed",
        "0x<constant>: outside the heap, mapped to 0x<o>",
    ], ["crash_rodata"] + CRASH),
    ("a write to the kernel's code", ['cmd="fault 0x100000 write; quit"'], [
        "fault: write to a present page that is read-only, from the kernel",
        "fault: address 0x00100000, instruction 0x<h> {command_fault|"
        "byte_write}+0x<o>",
        KERNEL_TABLE,
        "walk: level 0 entry  256 at 0xff800400: 00100<o> page in frame "
        "0x100, r-xk, accessed",
        "0x00100000: outside the heap, mapped to 0x100000",
    ], COMMAND),
    ("a write behind an area, into its guard", ["crash=guard"], [
        "fault: write to a page that is not present, from the kernel",
        "fault: address 0x80003000, instruction 0x<h> crash_guard+0x<o>",
        "walk: level 1 entry  512 at 0xffbfe800: <h> table in frame "
        "0x<frame>, 2 live",
        "walk: level 0 entry    3 at 0xffa0000c: {00000000 absent|<h> page in "
        "frame 0x0, ---k, no access}",
        "0x80003000: in a guard page of 80000000-80003fff       4 pages  "
        "rw- mapped guarded  crash",
        "  behind it: 80004000-<h>  <n> pages  free",
    ], ["crash_guard"] + CRASH),
    ("a write before an area, into its guard",
     ['cmd="area 2 guard; fault 0x80000ffc write; quit"'], [
        "area of 2 pages: 0x80001000",
        "",
        "fault: write to a page that is not present, from the kernel",
        "fault: address 0x80000ffc, instruction 0x<h> {command_fault|"
        "byte_write}+0x<o>",
        "walk: level 1 entry  512 at 0xffbfe800: <h> table in frame "
        "0x<frame>, 2 live",
        "walk: level 0 entry    0 at 0xffa00000: {00000000 absent|<h> page in "
        "frame 0x0, ---k, no access}",
        "0x80000ffc: in a guard page of 80000000-80003fff       4 pages  "
        "rw- mapped guarded",
        "  behind it: 80004000-<h>  <n> pages  free",
     ], COMMAND),
    ("a read of a heap address that was never allocated",
     ['cmd="area 2; fault 0x80002010 read; quit"'], [
        "area of 2 pages: 0x80000000",
        "",
        "fault: read of a page that is not present, from the kernel",
        "fault: address 0x80002010, instruction 0x<h> command_fault+0x<o>",
        "walk: level 1 entry  512 at 0xffbfe800: <h> table in frame "
        "0x<frame>, 2 live",
        "walk: level 0 entry    2 at 0xffa00008: 00000000 absent",
        "0x80002010: 80002000-<h>  <n> pages  free",
        "  before it: 80000000-80001fff       2 pages  rw- mapped",
     ], COMMAND),
    ("a write to the last page", ['cmd="fault 0xffffffff; quit"'], [
        "fault: write to a page that is not present, from the kernel",
        "fault: address 0xffffffff, instruction 0x<h> {command_fault|"
        "byte_write}+0x<o>",
        "walk: level 1 entry 1023 at 0xffbfeffc: 00000000 absent",
        "0xffffffff: nothing of Verso's",
    ], COMMAND),
    ("an invalid opcode", ["crash=ud2"], [
        "fault: invalid opcode (exception 6, error code 0x0)",
        "fault: instruction 0x<h> crash_ud2+0x<o>",
    ], ["crash_ud2"] + CRASH),
    ("a stack overflow, which is a double fault", ["crash=stack"], [
        "fault: stack overflow: the kernel stack [0x<kernel_stack>, "
        "0x<kernel_stack_top>) has run into the guard page below it",
        "fault: address 0x<h>, instruction 0x<h> crash_stack+0x<o>",
        KERNEL_TABLE,
        "walk: level 0 entry  <n> at 0xff800<o>: 00000000 absent",
    ], ["crash_stack", "crash_stack"] + CRASH),
]

PANIC = [
    "panic: slab: free of 0x80000000: freed already: cache alloc-64, slab "
    "0x80000000, object 0 of 64, byte 0 of 64",
]
NO_FRAME = [
    "fault: write to a page that is not present, from the kernel",
    "fault: first touch of a lazy area, but no frame is left",
    "fault: address 0x<LAZY>, instruction 0x<h> {command_fault|byte_write}"
    "+0x<o>",
]
MASKS = {"h": "[0-9a-f]{8}", "n": r"\d+", "o": "[0-9a-f]+",
         "frame": "[0-9a-f]+"}


def pattern_of(line, known):
    """The regular expression for an expected line."""
    def token(match):
        word = match.group(0)
        if word.startswith("<"):
            name = word[1:-1]
            return MASKS.get(name) or f"{known[name]:08x}"
        return {"{": "(?:", "}": ")", "|": "|"}[word]
    parts = re.split(r"(<\w+>|[{}|])", line)
    return "".join(token(re.match(".*", part)) if i % 2 else re.escape(part)
                   for i, part in enumerate(parts)) + " *"


def check_names(lines, known):
    """Every `0xADDRESS NAME+0xOFFSET` must be true."""
    wrong = []
    for line in lines:
        for address, name, offset in re.findall(
                r"0x([0-9a-f]{8}) (\w+)\+0x([0-9a-f]+)", line):
            if known.get(name, -1) + int(offset, 16) != int(address, 16):
                wrong.append(f"not there: {line}")
    return wrong


def check_registers(lines):
    text = "\n".join(lines)
    said = re.search(r"eip=(\w{8}) .* cr2=(\w{8}) ", text)
    told = re.search(r"instruction 0x(\w{8})", text)
    address = re.search(r"fault: address 0x(\w{8})", text)
    if not said or not told or said.group(1) != told.group(1) or \
            address and said.group(2) != address.group(1):
        return ["the registers tell another place than the first lines"]
    return []


def check_backtrace(lines, functions):
    names = []
    for line in lines:
        match = re.fullmatch(
            r"backtrace: 0x[0-9a-f]{8}(?: (\w+)\+0x[0-9a-f]+)?( \?)?", line)
        if not match:
            return [f"not a line of a backtrace: {line}"]
        names.append(match.group(1))
    left = iter(names)
    missing = [name for name in functions if name not in left]
    return [f"backtrace without {name}" for name in missing[:1]]


def check_report(output, expected, functions, known, registers=True):
    """What is wrong with it: a list."""
    lines = output.strip("\n").split("\n")
    wanted = expected + (REGISTERS if registers else [])
    wrong = []
    for i, line in enumerate(wanted):
        if i >= len(lines) or not re.fullmatch(pattern_of(line, known),
                                               lines[i]):
            wrong += [f"wanted: {line}",
                      f"got:    {lines[i] if i < len(lines) else '(end)'}"]
    wrong += check_backtrace(lines[len(wanted):], functions)
    wrong += check_names(lines, known)
    if registers:
        wrong += check_registers(lines)
    if wrong:
        wrong.append(output)
    return wrong


def test_cases(tap, known):
    for name, words, expected, functions in CASES:
        status, output = boot.boot(words)
        wrong = check_report(output, expected, functions, known)
        if status != 1:
            wrong.append(f"exit status {status}, not 1")
        tap.test(not wrong, f"fault report: {name}", wrong)


def test_double_free(tap, known):
    status, output = boot.boot(["crash=free"])
    wrong = check_report(output, PANIC, ["verso_panic", "verso_free",
                                         "crash_free"] + CRASH, known, False)
    tap.test(not wrong and status == 1, "fault report: a double free, "
             "which is a panic", wrong + [f"exit status {status}"])


def test_exhaustion(tap, known):
    """All frames are taken, then a lazy area is touched page by page."""
    machine = boot.Machine("fault-report", memory="8M")
    try:
        machine.read()
        said = machine.command("area 64 lazy")
        lazy = int(re.search(r"0x([0-9a-f]{8})", said).group(1), 16)
        pages = 1024
        while pages:
            if "no memory" in machine.command(f"area {pages}"):
                pages //= 2
        output = "no fault"
        while "no fault" in output:
            output = machine.command(f"fault {lazy:#x}")
            lazy += 4096
        status = machine.process.wait(20)
    finally:
        machine.close()
    known = {**known, "LAZY": lazy - 4096}
    wrong = []
    lines = output.strip("\n").split("\n")
    for line, wanted in zip(lines, NO_FRAME):
        if not re.fullmatch(pattern_of(wanted, known), line):
            wrong += [f"wanted: {wanted}", f"got:    {line}"]
    wrong += check_names(lines, known) + check_registers(lines)
    if wrong:
        wrong.append(output)
    tap.test(not wrong and status == 1, "fault report: the first touch of a "
             "lazy area when no frame is left", wrong + [f"status {status}"])


def test_no_fault(tap):
    status, output = boot.boot(
        ['cmd="area 2 lazy; fault 0x80001fff; fault 0x80000000 read; check; '
         'quit"'])
    tap.test(status == 0 and output.count("no fault") == 2,
             "fault report: none where a lazy area is touched",
             [output, f"exit status {status}"])


def main():
    known = boot.symbols()
    tap = boot.Tap(len(CASES) + 3)
    test_cases(tap, known)
    test_double_free(tap, known)
    try:
        test_exhaustion(tap, known)
    except (RuntimeError, OSError, ValueError) as error:
        tap.test(False, "fault report: the first touch of a lazy area when no "
                 "frame is left", [error])
    test_no_fault(tap)
    tap.end()


main()

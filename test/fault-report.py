# SPDX-License-Identifier: MIT
"""Faults that nobody owns, and what is said about them: word by word, but for
what differs from build to build, which is written so:

    <h>         8 hexadecimal digits, or more    <n>  a decimal number
    <o>         a hexadecimal number
    <NAME>      the address of that symbol, 8 digits or more
    <frame>     a frame number, hexadecimal
    {A|B}       either
    WORD...     the backtrace has these functions, in this order, and perhaps
                others that the compiler did not inline between them

Beside that, in every report: each address with a name lies where the linker
put that name; the registers tell the same instruction and address as the first
lines; the run ends with a failing code, and nothing follows the backtrace."""

import re

import boot

X86_64 = boot.ARCH == "x86_64"
HEAP = boot.HEAP
# Bits that choose an entry, more of them in the root, bytes of one, levels; where
# the mirror shows those of the lowest level.
BITS, ROOT, ENTRY, LEVELS, MIRROR = {
    "x86": (10, 0, 4, 2, 0xff800000),
    "x86pae": (9, 2, 8, 2, 0xff000000),
    "x86_64": (9, 0, 8, 4, 0xffffff0000000000),
}[boot.ARCH]
ABSENT = "00000000 absent"
NO_PAGE = "{00000000 absent|<h> page in frame 0x0, ---k, no access}"


def walk(va, end, what, live="<n>"):
    """The lines of a walk down to level `end`, and what is there; `live`: in
    the last table."""
    lines, shift, base = [], 12 + BITS * LEVELS + ROOT, MIRROR
    slot = MIRROR % (1 << shift) >> (12 + BITS * (LEVELS - 1))
    places = []
    for level in range(LEVELS):  # upwards: each is shown within the one below
        places.append(base + (va % (1 << shift) >> (12 + BITS * level)) * ENTRY)
        base += slot << (12 + BITS * (LEVELS - 2 - level)) \
            if level < LEVELS - 1 else 0
    for level in range(LEVELS - 1, end - 1, -1):
        index = va % (1 << shift) >> (12 + BITS * level)
        if level < LEVELS - 1:
            index %= 1 << BITS
        count = live if level == end + 1 else "<n>"
        said = what if level == end else \
            f"<h> table in frame 0x<frame>, {count} live"
        lines.append(f"walk: level {level} entry {index:4} at "
                     f"0x{places[level]:08x}: {said}")
    return lines


if X86_64:
    REGISTERS = [
        "registers: rax=<h> rbx=<h> rcx=<h>",
        "registers: rdx=<h> rsi=<h> rdi=<h>",
        "registers: rbp=<h> rsp=<h> r8 =<h>",
        "registers: r9 =<h> r10=<h> r11=<h>",
        "registers: r12=<h> r13=<h> r14=<h>",
        "registers: r15=<h> rip=<h> rflags=<h>",
        "registers: cr2=<h> cr3=<h> cr4=<h>",
    ]
else:
    REGISTERS = [
        "registers: eax=<h> ebx=<h> ecx=<h> edx=<h>",
        "registers: esi=<h> edi=<h> ebp=<h> esp=<h>",
        "registers: eip=<h> eflags=<h> cr2=<h> cr3=<h> cr4=<h>",
    ]
START = ["kernel_main", "x86_start", "pvh_start" if X86_64 else "_start"]
CRASH = ["crash_run"] + START
COMMAND = ["command_fault", "monitor_run_commands"] + START
KNOWN = boot.symbols()
TEXT, GUARD = KNOWN["kernel_text"], KNOWN["kernel_guard"]
LAST = (1 << 4 * boot.DIGITS) - 1
# The level at which there is nothing: of low addresses, of the last one.
LOW_END, LAST_END = (3, 2) if X86_64 else (0, 1)

# Name, words of the command line, the report, functions of the backtrace.
CASES = [
    ("a read of NULL", ["crash=null"], [
        "fault: read of a page that is not present, from the kernel",
        "fault: address 0x00000000, instruction 0x<h> crash_null+0x<o>",
        *walk(0, LOW_END, ABSENT),
        f"0x{0:0{boot.DIGITS}x}: nothing of Verso's",
    ], ["crash_null"] + CRASH),
    ("a call of NULL", ["crash=call"], [
        "fault: execution of a page that is not present, from the kernel",
        "fault: address 0x00000000, instruction 0x00000000",
        *walk(0, LOW_END, ABSENT),
        f"0x{0:0{boot.DIGITS}x}: nothing of Verso's",
    ], CRASH),
    ("a jump to where there is no table", ["crash=jump"], [
        "fault: execution of a page that is not present, from the kernel",
        "fault: address 0x50000000, instruction 0x50000000",
        *walk(0x50000000, LEVELS - 1, ABSENT),
        f"0x{0x50000000:0{boot.DIGITS}x}: nothing of Verso's",
    ], CRASH),
    ("a write to rodata", ["crash=rodata"], [
        "fault: write to a present page that is read-only, from the kernel",
        "fault: address 0x<constant>, instruction 0x<h> crash_rodata+0x<o>",
        *walk(KNOWN["constant"], 0,
              "<h> page in frame 0x<frame>, r--k, accessed"),
        "0x<constant>: outside the heap, mapped to 0x<o>",
    ], ["crash_rodata"] + CRASH),
    ("a write to the kernel's code", [f'cmd="fault {TEXT:#x} write; quit"'], [
        "fault: write to a present page that is read-only, from the kernel",
        "fault: address 0x<kernel_text>, instruction 0x<h> {command_fault|"
        "byte_write}+0x<o>",
        *walk(TEXT, 0, "<h> page in frame 0x100, r-xk, accessed"),
        "0x<kernel_text>: outside the heap, mapped to 0x100000",
    ], COMMAND),
    ("a write behind an area, into its guard", ["crash=guard"], [
        "fault: write to a page that is not present, from the kernel",
        f"fault: address {HEAP + 0x3000:#x}, instruction 0x<h> "
        "crash_guard+0x<o>",
        *walk(HEAP + 0x3000, 0, NO_PAGE, "2"),
        f"{HEAP + 0x3000:#x}: in a guard page of {HEAP:x}-{HEAP + 0x3fff:x} "
        "4 pages  rw- mapped guarded  crash",
        f"  behind it: {HEAP + 0x4000:x}-<h>  <n> pages  free",
    ], ["crash_guard"] + CRASH),
    ("a write before an area, into its guard",
     [f'cmd="area 2 guard; fault {HEAP + 0xffc:#x} write; quit"'], [
        f"area of 2 pages: {HEAP + 0x1000:#x}",
        "",
        "fault: write to a page that is not present, from the kernel",
        f"fault: address {HEAP + 0xffc:#x}, instruction 0x<h> "
        "{command_fault|byte_write}+0x<o>",
        *walk(HEAP, 0, NO_PAGE, "2"),
        f"{HEAP + 0xffc:#x}: in a guard page of {HEAP:x}-{HEAP + 0x3fff:x} "
        "4 pages  rw- mapped guarded",
        f"  behind it: {HEAP + 0x4000:x}-<h>  <n> pages  free",
     ], COMMAND),
    ("a read of a heap address that was never allocated",
     [f'cmd="area 2; fault {HEAP + 0x2010:#x} read; quit"'], [
        f"area of 2 pages: {HEAP:#x}",
        "",
        "fault: read of a page that is not present, from the kernel",
        f"fault: address {HEAP + 0x2010:#x}, instruction 0x<h> "
        "command_fault+0x<o>",
        *walk(HEAP + 0x2000, 0, ABSENT, "2"),
        f"{HEAP + 0x2010:#x}: {HEAP + 0x2000:x}-<h>  <n> pages  free",
        f"  before it: {HEAP:x}-{HEAP + 0x1fff:x} 2 pages  rw- mapped",
     ], COMMAND),
    ("a write to the last page", [f'cmd="fault {LAST:#x}; quit"'], [
        "fault: write to a page that is not present, from the kernel",
        f"fault: address {LAST:#x}, instruction 0x<h> "
        "{command_fault|byte_write}+0x<o>",
        *walk(LAST, LAST_END, ABSENT),
        f"{LAST:#x}: nothing of Verso's",
    ], COMMAND),
    ("an invalid opcode", ["crash=ud2"], [
        "fault: invalid opcode (exception 6, error code 0x0)",
        "fault: instruction 0x<h> crash_ud2+0x<o>",
    ], ["crash_ud2"] + CRASH),
    ("a stack overflow, which is a double fault", ["crash=stack"], [
        "fault: stack overflow: the kernel stack [0x<kernel_stack>, "
        "0x<kernel_stack_top>) has run into the guard page below it",
        "fault: address 0x<h>, instruction 0x<h> crash_stack+0x<o>",
        *walk(GUARD, 0, ABSENT),
    ], ["crash_stack", "crash_stack"] + CRASH),
]

PANIC = [
    f"panic: slab: free of {HEAP:#x}: freed already: cache alloc-64, slab "
    f"{HEAP:#x}, object 0 of 64, byte 0 of 64",
]
NO_FRAME = [
    "fault: write to a page that is not present, from the kernel",
    "fault: first touch of a lazy area, but no frame is left",
    "fault: address 0x<LAZY>, instruction 0x<h> {command_fault|byte_write}"
    "+0x<o>",
]
# Of CR4: UMIP, SMEP, SMAP.
GUARDS = 1 << 11 | 1 << 20 | 1 << 21
MASKS = {"h": "[0-9a-f]{8,16}", "n": r"\d+", "o": "[0-9a-f]+",
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
    text = "".join(token(re.match(".*", part)) if i % 2 else re.escape(part)
                   for i, part in enumerate(parts))
    return re.sub(r"(\\ )+", " +", text) + " *"


def check_names(lines, known):
    """Every `0xADDRESS NAME+0xOFFSET` must be true."""
    wrong = []
    for line in lines:
        for address, name, offset in re.findall(
                r"0x([0-9a-f]{8,16}) (\w+)\+0x([0-9a-f]+)", line):
            if known.get(name, -1) + int(offset, 16) != int(address, 16):
                wrong.append(f"not there: {line}")
    return wrong


def check_registers(lines):
    text = "\n".join(lines)
    ip = re.search(r" [er]ip=(\w+)", text)
    cr2 = re.search(r" cr2=(\w+)", text)
    told = re.search(r"instruction 0x(\w+)", text)
    address = re.search(r"fault: address 0x(\w+)", text)
    if not (ip and cr2 and told) or int(ip.group(1), 16) != \
            int(told.group(1), 16) or address and \
            int(cr2.group(1), 16) != int(address.group(1), 16):
        return ["the registers tell another place than the first lines"]
    return []


def check_backtrace(lines, functions):
    names = []
    for line in lines:
        match = re.fullmatch(
            r"backtrace: 0x[0-9a-f]{8,16}(?: (\w+)\+0x[0-9a-f]+)?( \?)?", line)
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


def test_guards(tap):
    """-cpu max has SMEP, SMAP and UMIP; QEMU's usual CPUs do not."""
    for how, access in (("users", "read"), ("users-call", "execution")):
        _, usual = boot.boot([f"crash={how}"])
        status, output = boot.boot([f"crash={how}"],
                                   environment={"QEMU_FLAGS": "-cpu max"})
        cr4 = re.search(r"cr4=(\w+)", output)
        tap.test(status == 1 and
                 f"fault: {access} of a page of users, from the kernel\n"
                 in output and cr4 and int(cr4.group(1), 16) & GUARDS == GUARDS
                 and f"crash: {how} went by unnoticed" in usual,
                 f"fault report: {access} of a page of users, where the CPU "
                 "guards them", [f"exit status {status}", output, usual])


def test_double_free(tap, known):
    status, output = boot.boot(["crash=free"])
    wrong = check_report(output, PANIC, ["verso_panic", "crash_free"] +
                         CRASH, known, False)
    tap.test(not wrong and status == 1, "fault report: a double free, "
             "which is a panic", wrong + [f"exit status {status}"])


def test_exhaustion(tap, known):
    """All frames are taken, then a lazy area is touched page by page."""
    machine = boot.Machine("fault-report", memory="8M")
    try:
        machine.read()
        said = machine.command("area 64 lazy")
        lazy = int(re.search(r"0x([0-9a-f]+)", said).group(1), 16)
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
        [f'cmd="area 2 lazy; fault {HEAP + 0x1fff:#x}; fault {HEAP:#x} read; '
         'check; quit"'])
    tap.test(status == 0 and output.count("no fault") == 2,
             "fault report: none where a lazy area is touched",
             [output, f"exit status {status}"])


def main():
    known = KNOWN
    tap = boot.Tap(len(CASES) + 5)
    test_cases(tap, known)
    test_guards(tap)
    test_double_free(tap, known)
    try:
        test_exhaustion(tap, known)
    except (RuntimeError, OSError, ValueError) as error:
        tap.test(False, "fault report: the first touch of a lazy area when no "
                 "frame is left", [error])
    test_no_fault(tap)
    tap.end()


main()

# SPDX-License-Identifier: MIT
"""For tests that look at a booted kernel from outside: boots it through
tools/qemu.sh, talks to its monitor, asks QEMU, and prints TAP."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCH = os.environ.get("ARCH", "x86_64")
KERNEL = f"build/{ARCH}/verso.elf"
# Where the heap begins, and how many digits an address has.
HEAP = {"x86": 0x80000000, "x86pae": 0x80000000,
        "x86_64": 0xffffe10000000000}[ARCH]
DIGITS = 16 if ARCH == "x86_64" else 8
PROMPT = "verso> "


class Tap:
    """Tests are counted as they come; the plan stands at the beginning."""

    def __init__(self, plan):
        self.count = self.failed = 0
        self.plan = plan
        print(f"TAP version 13\n1..{plan}", flush=True)

    def note(self, text):
        for line in str(text).split("\n"):
            print(f"# {line}", flush=True)

    def test(self, held, name, notes=()):
        """notes: shown when it failed."""
        self.count += 1
        if not held:
            self.failed += 1
            for text in notes:
                self.note(text)
        print(f"{'' if held else 'not '}ok {self.count} - {name}", flush=True)
        return held

    def end(self):
        sys.exit(1 if self.failed or self.count != self.plan else 0)


def scratch(name):
    """An empty place below build/."""
    path = os.path.join(ROOT, "build", "outside", name)
    os.makedirs(path, exist_ok=True)
    return os.path.relpath(path, ROOT)


def stop(process):
    """Ends a process and what it started, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(command, environment=None, timeout=120):
    """(exit status, output, both streams). 124: out of time."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True,
                               env={**os.environ, **(environment or {})})
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output.replace("\r", "")
    except subprocess.TimeoutExpired:
        stop(process)
        return 124, process.communicate()[0].replace("\r", "")


def terminal(command, typed, timeout=60):
    """Runs a command on a terminal and types when the prompt comes. Returns its
    exit status (124: out of time) and its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs,
                               stderr=theirs, start_new_session=True)
    os.close(theirs)
    text, asked, deadline = b"", False, time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side has gone
                break
            text += part
            if not part:
                break
            if not asked and text.endswith(PROMPT.encode()):
                asked = True
                os.write(ours, typed)
        status = process.wait(10) if asked else 124
    except subprocess.TimeoutExpired:
        status = 124
    finally:
        stop(process)
        os.close(ours)
    return status, text.decode(errors="replace").replace("\r", "")


def boot(words, archive="-", environment=None, timeout=60):
    """One run of the kernel, without a person: as run()."""
    return run(["tools/qemu.sh", KERNEL, archive, *words],
               {"INTERACTIVE": "no", "TIMEOUT": str(timeout),
                **(environment or {})}, timeout + 10)


class Machine:
    """A kernel at its prompt, and QEMU's own view of it."""

    def __init__(self, name, words=(), archive="-", flags="", memory="64M"):
        self.socket = f"{scratch(name)}/qmp"
        if os.path.exists(os.path.join(ROOT, self.socket)):
            os.unlink(os.path.join(ROOT, self.socket))
        self.process = subprocess.Popen(
            ["tools/qemu.sh", KERNEL, archive, *words], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "INTERACTIVE": "yes", "MEM": memory,
                 "QEMU_FLAGS":
                 f"-qmp unix:{self.socket},server=on,wait=off {flags}"})
        self.qmp = None

    def read(self, until=PROMPT, timeout=30):
        """What the kernel prints up to there, inclusive."""
        deadline = time.monotonic() + timeout
        text = b""
        while until.encode() not in text:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [],
                                        max(left, 0))
            part = os.read(self.process.stdout.fileno(), 65536) if ready \
                else b""
            if ready and not part:
                break
            if not part:
                raise RuntimeError("waited in vain for "
                                   f"{until!r} after: ...{text[-400:]!r}")
            text += part
        return text.decode(errors="replace").replace("\r", "")

    def command(self, line):
        """The output of a command, without its echo and the next prompt. One
        that ends the kernel: all up to the end."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.read().split("\n", 1)[-1].removesuffix(PROMPT)

    def ask(self, line):
        """A command of QEMU's own monitor."""
        if self.qmp is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(60)
            here = os.getcwd()
            os.chdir(ROOT)  # the path of a socket must be short
            connection.connect(self.socket)
            os.chdir(here)
            self.qmp = connection.makefile("rw")
            self.qmp.readline()
            self.execute("qmp_capabilities")
        return self.execute("human-monitor-command",
                            **{"command-line": line}).replace("\r", "")

    def execute(self, name, **arguments):
        json.dump({"execute": name, "arguments": arguments}, self.qmp)
        self.qmp.write("\n")
        self.qmp.flush()
        while True:
            answer = json.loads(self.qmp.readline())
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def quit(self, timeout=20):
        """Leaves the monitor; the exit status."""
        self.process.stdin.write(b"quit\n")
        self.process.stdin.close()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return 124

    def close(self):
        stop(self.process)


def symbols(kernel=KERNEL):
    """name -> address, of the linked kernel."""
    output = subprocess.run(["nm", kernel], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    return {fields[2]: int(fields[0], 16) for fields in
            (line.split() for line in output.split("\n")) if len(fields) == 3}

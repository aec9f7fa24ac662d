#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: run.py [--all] [NAME...]: do the tests notice mistakes?

Each NN-name.patch beside this file puts one mistake into the library. It is
applied to a copy of the tree below build/mutants/, what it changes is built
again, and the tests that its header names are run, up to the first that fails:
that test has killed the mutant. A mutant that no test kills, a patch that does
not apply, or one that does not compile, is a failure; so is a test that fails
without any mutant. See README.md.

    NAME...   only the patches whose names begin so
    --all     every configuration and suite, without the early stop

From the environment: JOBS (2), MAKE, CC, TIMEOUT (seconds of a run, 30)."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, "build", "mutants")
COPIED = ["Makefile", "arch", "include", "kernel", "src", "test", "tools"]
JOBS = int(os.environ.get("JOBS", "2"))
MAKE = os.environ.get("MAKE", "make")
TIMEOUT = int(os.environ.get("TIMEOUT", "30"))

UM = "build/um/verso-test"
UM_64 = "build/um/64/verso-test"
UM_PAE = "build/um/pae/verso-test"
HEAP = "build/heap/64/verso-heap-test"
FUZZ = "build/um/fuzz-api"
BOOT = "test/host-boot.t"
# What is run is built; but a script, whose argument is the suite, needs these.
SCRIPTS = {BOOT: [UM, UM_64]}
# Configurations: a word in front of a suite (`direct/paging`), a binary, and
# its environment. A suite alone is one of `um`.
CONFIGURATIONS = {
    "um": (UM, {}),
    "direct": (UM, {"ACCESSOR": "direct"}),
    "small": (UM, {"LARGE": "0", "MEM": "8M"}),
    "odd": (UM, {"MEM": "9212K"}), # zones meet within a large block
    "fixed": (UM, {"BOOT": "fixed"}),
    "adopt": (UM, {"BOOT": "adopt"}), # tables that somebody else made
    "unkind": (UM, {"UM": "speculate=1,pdecache=1,fragment=1,adrandom=1,seed=7"}),
    "64": (UM_64, {}), # four levels
    "noinvpcid": (UM_64, {"UM": "noinvpcid=1"}),
    "64-direct": (UM_64, {"ACCESSOR": "direct"}), # and pages of 1 GiB
    "64-five": (UM_64, {"LEVELS": "5", "ACCESSOR": "direct"}),
    "pae": (UM_PAE, {}), # a root of four frames, stores of half an entry
    "pae-no-nx": (UM_PAE, {"NX": "0"}),
    "boot": (BOOT, {}), # a BOOT= of it: `boot/window-in-heap`
    "heap": (HEAP, {}),
    "fuzz": (FUZZ, {}), # the corpus of api, each input once
}
# With --all these are one run each, the others one a suite.
WHOLE = {"direct", "small", "odd", "unkind", "64-direct", "64-five",
         "pae-no-nx", "boot", "fuzz"}
PASSED = re.compile(r"^ok \d+ - ", re.M)
FAILED = re.compile(r"^not ok \d+ - (\S+?): (.*)$", re.M)
NAMED = re.compile(r"^(?:not )?ok \d+ - (\S+?): ([^#\n]*)", re.M)
# Why a run ended, where no test could say so.
ENDS = re.compile(r"Bail out! (.*)|ERROR: (AddressSanitizer: [\w-]+)|"
                  r"runtime error: (.*)")


class Mutant:
    """A patch and its header."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)[:-len(".patch")]
        with open(path, encoding="utf-8") as file:
            header = file.read().split("\n--- ", 1)[0]
        self.pitfall = self.field(header, "Pitfall")
        self.tests = self.field(header, "Tests").split()
        for test in self.tests:
            if test.count("/") == 1 and \
                    test.split("/")[0] not in CONFIGURATIONS:
                sys.exit(f"{self.name}: {test}: no such configuration; there "
                         f"are: {' '.join(CONFIGURATIONS)}")

    def field(self, header, key):
        found = re.search(rf"^{key}: *(\S.*)$", header, re.M)
        if not found:
            sys.exit(f"{self.name}: no line `{key}:` before the diff")
        return found.group(1)


def targets(words):
    """What make has to build for these tests."""
    binaries = {CONFIGURATIONS[split(word)[0]][0] for word in words}
    return sorted({target for binary in binaries
                   for target in SCRIPTS.get(binary, [binary])})


def split(test):
    """`limbo`, `heap`, `heap/limbo`: configuration, and suite or ""."""
    if test in CONFIGURATIONS:
        return test, ""
    if "/" in test:
        return tuple(test.split("/", 1))
    return "um", test


# ---- trees ----

def list_files(top, entries):
    for entry in entries:
        if os.path.isfile(os.path.join(top, entry)):
            yield entry
        for directory, below, names in os.walk(os.path.join(top, entry)):
            below[:] = [d for d in below if d != "__pycache__"]
            for name in names:
                yield os.path.relpath(os.path.join(directory, name), top)


def copy_tree(source, target, entries):
    """Makes `entries` of the target what they are in the source, times
    included, so that make sees what was built as built."""
    wanted = set(list_files(source, entries))
    for path in set(list_files(target, entries)) - wanted:
        os.unlink(os.path.join(target, path))
    for path in wanted:
        old, new = os.path.join(source, path), os.path.join(target, path)
        have = os.stat(old)
        if os.path.exists(new):
            there = os.stat(new)
            if (there.st_mtime_ns, there.st_size) == \
                    (have.st_mtime_ns, have.st_size):
                continue
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.copy2(old, new)


def build(tree, targets, jobs):
    """Warnings are off: what a mutant leaves unused is no finding."""
    environment = dict(os.environ, MAKEFLAGS="", MAKELEVEL="0")
    return subprocess.run(
        [MAKE, "-s", f"-j{jobs}", "CFLAGS=-w", *targets], cwd=tree,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False)


# ---- tests ----

def run(tree, test):
    """Exit status (None: no end within the time) and output."""
    configuration, suite = split(test)
    binary, settings = CONFIGURATIONS[configuration]
    environment = dict(
        os.environ, SUITE=suite,
        ASAN_OPTIONS="detect_leaks=0:fast_unwind_on_fatal=1:symbolize=0",
        **settings)
    command = [os.path.join(tree, binary)]
    if binary in SCRIPTS:
        command += [suite] if suite else []
    with subprocess.Popen(
            command, cwd=tree, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as child:
        try:
            output = child.communicate(timeout=TIMEOUT)[0]
            status = child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            output = child.communicate()[0]
            status = None
    return status, output.decode("utf-8", "replace")


def judge(status, output, sentences):
    """Who killed it ("suite: sentence"), or None. Where the run ended without
    a word it was the first test that had not said ok."""
    failed = FAILED.search(output)
    if failed:
        return f"{failed.group(1)}: {failed.group(2)}"
    if status == 0:
        return None
    done = len(PASSED.findall(output))
    who = sentences[done] if done < len(sentences) else "after the last test"
    if status is None:
        return f"{who} (hangs: no end within {TIMEOUT} s)"
    why = ENDS.search(output)
    said = next(filter(None, why.groups())) if why else f"status {status}"
    return f"{who} (the run ends: {said.strip()[:90]})"


class Runner:
    def __init__(self, mutants, everything):
        self.base = os.path.join(WORK, "base")
        self.everything = everything
        self.mutants = mutants
        self.sentences = {} # of each test word, what passes without a mutant
        self.free = [os.path.join(WORK, f"tree{n}") for n in range(JOBS)]
        self.suites = []

    def prepare(self):
        """The copy without a mutant: everything must pass there."""
        copy_tree(ROOT, self.base, COPIED)
        words = set(CONFIGURATIONS if self.everything else ())
        for mutant in self.mutants:
            words.update(mutant.tests)
        made = build(self.base, targets(words), JOBS)
        if made.returncode != 0:
            sys.exit(f"the tree without mutants does not build:\n{made.stdout}")
        if self.everything:
            for word in CONFIGURATIONS:
                output = run(self.base, word)[1]
                self.suites += [word] if word in WHOLE else dict.fromkeys(
                    f"{word}/{suite}" for suite, _ in NAMED.findall(output))
        words = set(self.suites)
        for mutant in self.mutants:
            words.update(self.words_of(mutant))
        for word in sorted(words):
            status, output = run(self.base, word)
            if status != 0:
                sys.exit(f"{word} fails without a mutant, or does not "
                         f"exist:\n{output}")
            self.sentences[word] = [
                f"{suite}: {name.strip()}"
                for suite, name in NAMED.findall(output)]

    def words_of(self, mutant):
        """Its own tests; with --all everything else behind them."""
        if not self.everything:
            return mutant.tests
        own = [test if split(test)[0] != "um" or test == "um" else
               "um/" + split(test)[1] for test in mutant.tests]
        return own + [word for word in self.suites if word not in own]

    def try_in(self, tree, mutant):
        """The result as text, and whether it was killed."""
        copy_tree(self.base, tree, COPIED + ["build"])
        with open(mutant.path, encoding="utf-8") as file:
            patched = subprocess.run(
                ["patch", "-p1", "-s", "-t", "-N"], cwd=tree, stdin=file,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if patched.returncode != 0:
            return "FAILED: the patch does not apply", False
        words = self.words_of(mutant)
        if build(tree, targets(words), 1).returncode != 0:
            return "FAILED: it does not compile", False
        killers = []
        for word in words:
            who = judge(*run(tree, word), self.sentences[word])
            if who:
                killers.append((word, who))
                if not self.everything:
                    break
        if not killers:
            return f"SURVIVED {' '.join(mutant.tests)}", False
        # um is where nothing else is said
        word, first = killers[0]
        where = split(word)[0]
        text = "killed by " + (f"{where}/" if where != "um" else "") + first
        if len(killers) > 1:
            text += "; and by " + " ".join(
                word.removeprefix("um/") for word, _ in killers[1:])
        return text, True

    def try_one(self, mutant):
        tree = self.free.pop()
        try:
            return self.try_in(tree, mutant)
        finally:
            self.free.append(tree)


def main():
    words = sys.argv[1:]
    everything = "--all" in words
    names = [word for word in words if word != "--all"]
    paths = sorted(os.path.join(HERE, name) for name in os.listdir(HERE)
                   if name.endswith(".patch"))
    mutants = [Mutant(path) for path in paths if not names or
               any(os.path.basename(path).startswith(n) for n in names)]
    if not mutants:
        sys.exit(f"no mutant is named {' or '.join(names) or 'anything'}")
    start = time.monotonic()
    runner = Runner(mutants, everything)
    runner.prepare()
    killed = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = pool.map(runner.try_one, mutants)
        for mutant, (text, dead) in zip(mutants, results):
            killed += dead
            print(f"mutant {mutant.name}: {text}", flush=True)
    print(f"# {time.monotonic() - start:.0f} s")
    print(f"mutants: {killed} of {len(mutants)} killed")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())

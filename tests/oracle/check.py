#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold softvfio against what a real kernel answered.

usage: check.py [--keep FILE] TRANSCRIPT.tsv PROGRAM

PROGRAM is oracle_vfio or oracle_iommu, linked with libsoftvfio or run with it
preloaded.

The transcript's name says what to run: vfio-KERNEL[-group|-migflagsN] or
iommu-KERNEL-WHAT, and its scenarios are the ones that are run; so a transcript
that is put beside the others needs nothing but its name.

A step binds softvfio if any driver answers it so: origins core, pci, vfs,
iommufd and type1.  What edu itself ("hw"), its driver ("drv") or the mock
domain (TEST.*) chose does not.  What may differ is in differences.txt, with the reason; an entry that no
longer differs is an error, as is a difference that is not there.
"""
import argparse
import fnmatch
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BINDING = {"core", "pci", "vfs", "iommufd", "type1"}
# Granules of 1 MiB are the mock domain's alone, and it needs hugetlb pages.
NOBODY = {"mock_huge_dirty"}
# They give up root's rights, or use them.
OF_ROOT = {"option_", "cdev_rlimit", "t1_rlimit", "mock_rlimit"}
TOKEN = "83b8f4f2-509f-382f-3c1e-e6bfe0fa"
EDU = ("model=edu migration={} state_size=0 dma_us=0 log=1 log_max_ranges=256"
       " log_bits_max=64")
MIGRATION = {"1": "stop-copy", "3": "stop-copy,p2p", "5": "stop-copy,pre-copy",
             "7": "stop-copy,p2p,pre-copy"}


def devices(program, what):
    """The machine that the transcript was taken on, as softvfio has it."""
    if program == "vfio":
        flags = re.fullmatch(r"migflags(\d)", what)
        edu = EDU.format(MIGRATION[flags.group(1) if flags else "7"])
        return [f"name=a {edu} address=0000:00:03.0",
                f"name=r {edu} address=0000:01:00.0"]
    if what == "mock":
        return [f"name=d{i} model=plain iommu_dirty={int(i < 3)}"
                for i in range(4)]
    physical = "iommu_page=1073741824"
    return [f"name=a model=plain {physical} address=0000:00:03.0",
            f"name=b model=plain {physical} address=0000:00:04.0",
            f"name=m model=mdev emulated=1 address={TOKEN}1001",
            f"name=n model=mdev emulated=1 address={TOKEN}1002"]


def load(lines):
    """{scenario: {step: (call, result, origin)}}; the iommu files have no
    origins: every step of theirs is the core's."""
    scenarios = {}
    for line in lines:
        f = line.rstrip("\n").split("\t")
        if len(f) in (4, 5) and f[1].isdigit() and f[0] not in NOBODY:
            origin = f[4] if len(f) == 5 else "core"
            if f[2].startswith("TEST."):
                origin = "mock"
            scenarios.setdefault(f[0], {})[int(f[1])] = (f[2], f[3], origin)
    return scenarios


class Entry:
    """A line of differences.txt: this step of these transcripts differs.
    With "+", what comes after it in the scenario follows from it."""

    def __init__(self, line):
        self.text = line
        names, self.scenario, steps, self.reason = line.split(None, 3)
        self.names = names.split(",")
        self.rest = steps.endswith("+")
        self.steps = set()
        for span in steps.rstrip("+").split(","):
            first, _, last = span.partition("-")
            self.steps |= set(range(int(first), int(last or first) + 1))
        self.seen = set()

    def of(self, name):
        return any(fnmatch.fnmatchcase(name, n) for n in self.names)


def entries(name):
    lines = (HERE / "differences.txt").read_text(encoding="utf-8").split("\n")
    lines = [l for l in lines if l.strip() and not l.startswith("#")]
    return [e for e in map(Entry, lines) if e.of(name)]


def run(name, scenarios, program):
    kind, kernel, *what = name.split("-", 2)
    what = what[0] if what else ""
    env = {
        **os.environ, "LC_ALL": "C",
        "SOFTVFIO_KERNEL": kernel,
        "SOFTVFIO_CONFIG": "\n".join("device " + d
                                     for d in devices(kind, what)),
        "ORACLE_BDF": "0000:00:03.0", "ORACLE_RBDF": "0000:01:00.0",
        "ORACLE_DRV": "", "ORACLE_ONLY": ",".join(scenarios),
        "ORACLE_FORCE_ERROR": "force-error",
    }
    if what == "group":
        env["ORACLE_MODE"] = "group"
    argv = [program] + (list(scenarios) if kind == "iommu" else [])
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=False,
                          encoding="utf-8", errors="replace", timeout=600)
    if done.returncode:
        sys.exit(f"{program}: status {done.returncode}")
    return done.stdout.splitlines()


def compare(want, got, listed):
    """Yield what is wrong; returns (equal, listed, following) steps."""
    equal = allowed = following = 0
    wrong = []
    for scenario, steps in want.items():
        follows = False
        for n, (call, result, origin) in sorted(steps.items()):
            if origin not in BINDING:
                continue
            if follows:
                following += 1
                continue
            mine = got.get(scenario, {}).get(n, ("nothing", "-", origin))
            if mine[:2] == (call, result):
                equal += 1
                continue
            entry = next((e for e in listed
                          if e.scenario == scenario and n in e.steps), None)
            if entry:
                entry.seen.add(n)
                allowed += 1
                follows = entry.rest
                continue
            wrong.append(f"{scenario} {n} ({origin}): {call}\n"
                         f"    kernel   {result}\n    softvfio "
                         + (mine[1] if mine[0] == call else
                            f"{mine[1]} to another call: {mine[0]}"))
            # The rest may follow; a call that is not the same one always does.
            follows = mine[0] != call
    for e in listed:
        missing = e.steps - e.seen
        if e.scenario in want and missing:
            wrong.append(f"listed, but the same: {e.text} (step "
                         f"{', '.join(map(str, sorted(missing)))})")
    return wrong, equal, allowed, following


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("transcript", type=pathlib.Path)
    parser.add_argument("program")
    parser.add_argument("--keep", type=pathlib.Path,
                        help="write what softvfio answered here")
    args = parser.parse_args()
    name = args.transcript.stem
    want = load(args.transcript.read_text(encoding="utf-8").splitlines())
    if os.geteuid() != 0:
        want = {s: v for s, v in want.items() if s not in OF_ROOT}
        print("not root: without", ", ".join(sorted(OF_ROOT)))
    lines = run(name, want, args.program)
    if args.keep:
        args.keep.write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrong, equal, allowed, following = compare(want, load(lines), entries(name))
    for w in wrong:
        print(w)
    print(f"{name}: {equal} steps equal, {allowed} listed, {following} follow "
          f"from those, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

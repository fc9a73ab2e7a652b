# SPDX-License-Identifier: MIT
"""Running the command, and small machine files."""

import copy
import json
import os
import pathlib
import signal
import subprocess

import pytest

EXAMPLES = pathlib.Path(os.environ["SPOOR_EXAMPLES"])
SPOOR = os.environ["SPOOR"]

# Seconds, for what hangs; what is only slow has a busy machine.
LIMIT = 120

SMALL = {
    "memory": [{"iova": "0x0", "size": "16M"}],
    "spaces": [{"name": "main"}, {"name": "lone", "backend": "type1"}],
    "devices": [
        {"name": "nic0", "model": "nic", "space": "main"},
        {"name": "dsa0", "model": "dsa", "space": "main",
         "work": {"rate": "1M/s", "set": "1M"}},
        {"name": "mdev0", "model": "mdev", "space": "lone"},
    ],
    "cpu": {"writers": [{"rate": "1M/s", "set": "1M"}]},
    "run": {"before_ms": 100, "after_ms": 100},
}


class Run:
    """What the command did."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, name):
        return [e for e in self.events() if e["event"] == name]

    def result(self):
        last = self.events()[-1]
        assert last["event"] == "result", last
        return last


@pytest.fixture
def spoor(tmp_path):
    """Runs the command in an empty directory that must stay empty."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()

    def run(*args, timeout=LIMIT, env=None, stdout=subprocess.PIPE, closed=()):
        done = subprocess.run(
            [SPOOR, *map(str, args)], stdout=stdout, text=True,
            stderr=subprocess.PIPE, timeout=timeout, stdin=subprocess.DEVNULL,
            preexec_fn=(lambda: [os.close(fd) for fd in closed])
            if closed else None,
            env={**os.environ, "TMPDIR": str(scratch), **(env or {})})
        return Run(done)

    run.scratch = scratch
    yield run
    assert list(scratch.iterdir()) == [], "left behind"


@pytest.fixture
def start(tmp_path):
    """Starts the command in the background; killed at the end if need be."""
    scratch = tmp_path / "tmp-bg"
    scratch.mkdir()
    running = []

    def run(*args):
        p = subprocess.Popen(
            [SPOOR, *map(str, args)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(scratch)})
        running.append(p)
        return p

    run.scratch = scratch
    yield run
    for p in running:
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
        p.communicate()


@pytest.fixture
def machine(tmp_path):
    """Writes a machine file: SMALL, as changed by a function or replaced."""

    def write(change=None, base=None, name="machine.json"):
        m = copy.deepcopy(base if base is not None else SMALL)
        if callable(change):
            m = change(m) or m
        path = tmp_path / name
        path.write_text(change if isinstance(change, str)
                        else json.dumps(m, indent=1))
        return path

    return write


def example(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def unhurried(m):
    """An example for a busy machine: its devices and CPUs have many a turn to
    write before all is sent, and clients many a try before it ends."""
    m.setdefault("link", {"rate": "800M"})
    m["run"]["after_ms"] = 800
    return m

# SPDX-License-Identifier: MIT
"""The connection is cut at each turn of the hand-over: who runs, who holds.

A proxy between the two commands reads frames and cuts both sides' connections
instead of passing one on.
"""

import json
import os
import signal
import socket
import struct
import threading
import time

import pytest

from conftest import LIMIT, example

HEADER = struct.Struct("<IHHIIQQ")
COMPLETE, READY, COMMIT, DONE = 10, 16, 17, 18

CPU = {
    "memory": [{"iova": "0x0", "size": "16M"}],
    "cpu": {"writers": [{"rate": "10M/s", "set": "2M"}]},
    "run": {"before_ms": 50, "after_ms": 50},
}


class Proxy:
    """Listens at @path, connects to @to, cuts in place of a frame."""

    def __init__(self, path, to, cut):
        self.cut, self.to, self.was_cut = cut, to, False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.a, _ = self.listener.accept()
        self.b = socket.socket(socket.AF_UNIX)
        self.b.connect(self.to)
        back = threading.Thread(target=self.relay, args=(self.b, self.a))
        back.start()
        self.relay(self.a, self.b)
        back.join()
        for s in (self.a, self.b, self.listener):
            s.close()

    def read(self, s, n):
        data = bytearray()
        while len(data) < n:
            more = s.recv(min(n - len(data), 1 << 20))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def relay(self, src, dst):
        try:
            while True:
                head = self.read(src, HEADER.size)
                _, kind, _, _, _, length, _ = HEADER.unpack(head)
                if kind == self.cut:
                    self.was_cut = True
                    break
                dst.sendall(head + self.read(src, length))
        except (EOFError, OSError):
            pass
        for s in (self.a, self.b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def cut(start, machine, tmp_path):
    """Starts both sides with a proxy that cuts in place of a frame."""

    def go(kind, base=CPU, source=(), destination=()):
        m = machine(base=base)
        rx = start("receive", "--json", m, "--listen",
                   f"unix:{tmp_path}/rx", *destination)
        for line in rx.stdout:
            if "listening on" in line:
                break
        proxy = Proxy(f"{tmp_path}/proxy", f"{tmp_path}/rx", kind)
        tx = start("migrate", "--json", m, "--to",
                   f"unix:{tmp_path}/proxy", *source)
        return tx, rx, proxy

    return go


def end_lines(p, proxy=None):
    out, err = p.communicate(timeout=LIMIT)
    if proxy:
        proxy.thread.join(timeout=LIMIT)
        assert proxy.was_cut
    return p.returncode, [json.loads(line) for line in out.splitlines()], err


def end(p, proxy=None):
    code, lines, err = end_lines(p, proxy)
    return code, lines[-1], err


def held_event(lines, control):
    """What a script is told of a machine that is held."""
    events = [e for e in lines if e["event"] == "held"]
    assert len(events) == 1
    assert events[0]["orders"] == ["resume", "discard"]
    assert events[0]["control"] == control
    assert events[0]["text"]


@pytest.mark.parametrize("base", [CPU, example("iommu")],
                         ids=["cpu", "devices"])
@pytest.mark.parametrize("kind,source,destination", [
    (COMPLETE, (1, "source"), (1, None)),
    (READY, (1, "source"), (5, None)),
    (COMMIT, (5, None), (5, None)),
    (DONE, (5, None), (0, "destination")),
], ids=["complete", "ready", "commit", "done"])
def test_cut_ends_as_the_table_says(cut, kind, source, destination, base):
    tx, rx, proxy = cut(kind, base)
    for p, (code, running) in ((tx, source), (rx, destination)):
        got, lines, err = end_lines(p)
        result = lines[-1]
        assert got == code, (result, err)
        assert result["ok"] == (code == 0)
        if running:
            assert result["running"] == running
        if code == 5:
            assert result["running"] in ("none", "unknown")
            assert "Nobody is there to say" in err
            held_event(lines, None)
            assert "resume" in err and "discard" in err
    proxy.thread.join(timeout=LIMIT)
    assert proxy.was_cut


def say(path, word):
    end_at = time.monotonic() + LIMIT
    while not os.path.exists(path):
        assert time.monotonic() < end_at
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(word.encode() + b"\n")


def held(p):
    """Waits for the prompt."""
    for line in p.stderr:
        if "is held here" in line:
            return
    raise AssertionError(p.stdout.read())


@pytest.mark.parametrize("base", [CPU, example("iommu")],
                         ids=["cpu", "devices"])
@pytest.mark.parametrize("where,word,code,running", [
    ("source", "resume", 1, "source"),
    ("source", "discard", 0, "destination"),
    ("destination", "resume", 0, "destination"),
    ("destination", "discard", 1, "source"),
])
def test_held_machine_does_as_it_is_told(cut, tmp_path, where, word, code,
                                         running, base):
    path = tmp_path / "control"
    options = {where: ("--control", path)}
    tx, rx, proxy = cut(COMMIT, base, **options)
    p, other = (tx, rx) if where == "source" else (rx, tx)
    held(p)
    say(path, word)
    got, lines, err = end_lines(p, proxy)
    result = lines[-1]
    assert got == code, (result, err)
    held_event(lines, str(path))
    assert result["running"] == running
    assert not path.exists()
    assert end(other)[0] == 5


@pytest.mark.parametrize("where", ["source", "destination"])
def test_held_machine_outlives_cancel_and_one_signal(cut, tmp_path, where):
    path = tmp_path / "control"
    tx, rx, proxy = cut(COMMIT, **{where: ("--control", path)})
    p, other = (tx, rx) if where == "source" else (rx, tx)
    held(p)
    say(path, "cancel")
    for line in p.stdout:
        if "cancel: it is too late" in line:
            break
    p.send_signal(signal.SIGINT)
    held(p)
    assert p.poll() is None
    say(path, "resume")
    got, result, err = end(p, proxy)
    assert got == (1 if where == "source" else 0), (result, err)
    assert result["running"] == where
    assert end(other)[0] == 5


@pytest.mark.parametrize("where", ["source", "destination"])
def test_second_signal_ends_a_held_machine(cut, tmp_path, where):
    path = tmp_path / "control"
    tx, rx, proxy = cut(COMMIT, **{where: ("--control", path)})
    p, other = (tx, rx) if where == "source" else (rx, tx)
    held(p)
    p.send_signal(signal.SIGTERM)
    held(p)
    p.send_signal(signal.SIGTERM)
    got, result, err = end(p, proxy)
    assert got == 5, (result, err)
    assert "Interrupted again" in err
    assert "Nobody is there" not in err
    assert end(other)[0] == 5

# SPDX-License-Identifier: MIT
"""Two hosts, and one of them dies, is interrupted, or cannot start a device.

A proxy between the commands meets a frame on its way, has something done, and
then delivers it or loses it with the connection.
"""

import json
import os
import signal
import socket
import threading

import pytest

from conftest import LIMIT, example
from test_handover import COMMIT, COMPLETE, DONE, HEADER, READY, Proxy, held
from test_migrate import descendants, gone

PAGES, DIGESTS = 4, 12
SMALL = example("iommu")


def family(p):
    return descendants(p.pid) + [p.pid]


class Meeting(Proxy):
    """At the nth frame of a kind calls @do, then passes it on or not."""

    def __init__(self, path, to, cut, do, deliver, nth=1):
        self.do, self.deliver, self.nth = do, deliver, nth
        # A READY that is delivered is answered: the way must last until then.
        self.answered = threading.Event()
        if cut != READY or not deliver:
            self.answered.set()
        super().__init__(path, to, cut)

    def relay(self, src, dst):
        try:
            while self.relay_one(src, dst):
                pass
        except (EOFError, OSError):
            pass
        if src is self.a:
            self.answered.set()
        self.answered.wait(LIMIT)
        for s in (self.a, self.b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def relay_one(self, src, dst):
        head = self.read(src, HEADER.size)
        _, kind, _, _, _, length, _ = HEADER.unpack(head)
        frame = head + self.read(src, length)
        if kind == COMMIT:
            self.answered.set()
        if kind == self.cut and not self.was_cut:
            self.nth -= 1
            if not self.nth:
                self.was_cut = True
                self.do()
                if not self.deliver:
                    return False
        try:
            dst.sendall(frame)
        except OSError:
            if self.answered.is_set():
                raise
        return True


@pytest.fixture
def meet(start, machine, tmp_path):
    """Both sides, and @do(tx, rx) when the frame comes by."""
    proxies = []

    def go(kind, do, deliver, base=SMALL, nth=1):
        m = machine(base=base)
        rx = start("receive", "--json", m, "--listen",
                   f"unix:{tmp_path}/rx")
        for line in rx.stdout:
            if "listening on" in line:
                break
        sides = [None, rx]
        proxy = Meeting(f"{tmp_path}/proxy", f"{tmp_path}/rx", kind,
                        lambda: do(*sides), deliver, nth)
        proxies.append(proxy)
        sides[0] = start("migrate", "--json", m, "--to",
                         f"unix:{tmp_path}/proxy")
        return *sides, proxy

    yield go
    for proxy in proxies:
        proxy.thread.join(timeout=LIMIT)
        assert not proxy.thread.is_alive()


def end(p):
    out, err = p.communicate(timeout=LIMIT)
    return p.returncode, json.loads(out.splitlines()[-1]), err


def kill(p, dead):
    """As a host goes: the command and its machine, all at once."""
    pids = family(p)
    assert len(pids) > 1
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    p.wait()
    dead += pids


def survivor(p, code, running, dead):
    got, result, err = end(p)
    assert got == code, (result, err)
    assert result["ok"] == (code == 0)
    if running:
        assert result["running"] == running
    if code == 5:
        assert result["running"] in ("none", "unknown")
        assert "resume" in err and "discard" in err
    assert gone(dead)


@pytest.mark.parametrize("kind,deliver,code,running", [
    (PAGES, False, 1, None),
    (COMPLETE, True, 1, None),
    # Not delivered: what the source had sent behind it might do for READY.
    (DIGESTS, False, 1, None),
    (READY, True, 5, None),
    (COMMIT, False, 5, None),
    (COMMIT, True, 0, "destination"),
    (DONE, True, 0, "destination"),
], ids=["pages", "complete", "digests", "ready", "commit-lost", "commit-delivered",
        "done"])
def test_source_is_killed(meet, kind, deliver, code, running):
    dead = []
    tx, rx, proxy = meet(kind, lambda tx, rx: kill(tx, dead), deliver)
    survivor(rx, code, running, dead)
    assert proxy.was_cut


@pytest.mark.parametrize("kind,deliver,code,running", [
    (PAGES, False, 1, "source"),
    (COMPLETE, True, 1, "source"),
    (DIGESTS, True, 1, "source"),
    (READY, False, 1, "source"),
    # It was ready when it died: the source has committed by then.
    (READY, True, 5, None),
    (COMMIT, True, 5, None),
    (DONE, False, 5, None),
    (DONE, True, 0, "destination"),
], ids=["pages", "complete", "digests", "ready-lost", "ready-delivered", "commit",
        "done-lost", "done-delivered"])
def test_destination_is_killed(meet, kind, deliver, code, running):
    dead = []
    tx, rx, proxy = meet(kind, lambda tx, rx: kill(rx, dead), deliver)
    survivor(tx, code, running, dead)
    assert proxy.was_cut


@pytest.mark.parametrize("who", ["source", "destination"])
def test_interrupt_between_hosts(meet, start, who):
    """The first round is on its way: the source runs on, and both know."""
    pids = []

    def interrupt(tx, rx):
        pids.extend(family(tx) + family(rx))
        (tx if who == "source" else rx).send_signal(signal.SIGINT)

    tx, rx, proxy = meet(PAGES, interrupt, True,
                         {**SMALL, "link": {"rate": "40M"}})
    code, result, err = end(tx)
    assert code == (130 if who == "source" else 1), (result, err)
    assert result["running"] == "source" and not result["ok"]
    code, result, err = end(rx)
    assert code == (1 if who == "source" else 130), (result, err)
    assert not result["ok"] and result["running"] != "destination"
    assert gone(pids)
    assert list(start.scratch.iterdir()) == []


@pytest.mark.parametrize("who", ["source", "destination"])
@pytest.mark.parametrize("kind", [COMMIT, DONE], ids=["commit", "done"])
def test_interrupt_after_the_commit_comes_too_late(meet, start, kind, who):
    def interrupt(tx, rx):
        (tx if who == "source" else rx).send_signal(signal.SIGINT)

    tx, rx, _ = meet(kind, interrupt, True)
    for p in (tx, rx):
        code, result, err = end(p)
        assert code == 0, (result, err)
        assert result["running"] == "destination"
    assert list(start.scratch.iterdir()) == []


def test_device_that_does_not_start_at_the_destination_is_named(meet, start):
    """Its port is taken after the source let go of it."""
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    base = json.loads(json.dumps(SMALL))
    base["devices"][0]["udp"] = f"127.0.0.1:{port}"
    assert base["devices"][0]["name"] == "nic0"
    tx, rx, proxy = meet(COMMIT,
                         lambda tx, rx: taker.bind(("127.0.0.1", port)),
                         True, base)
    for p in (tx, rx):
        code, result, err = end(p)
        assert code == 6, (result, err)
        assert result["running"] == "destination"
        assert "nic0" in result["error"]
        failed = {d["name"]: d["failed"] for d in result["devices"]}
        assert failed == {"nic0": True, "dsa0": False}
    assert proxy.was_cut
    taker.close()
    assert list(start.scratch.iterdir()) == []

# SPDX-License-Identifier: MIT
"""One QEMU with a machine's devices: a source, a destination, or both in
turn."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
from datetime import datetime

from clients import Watch
from guest_status import Status
from qmp import Qmp, QmpError

# What QEMU itself says of dirty pages and of devices' states.
DIRTY = {"10.0": "vfio_get_dirty_bitmap",
         "11.1": "vfio_container_query_dirty_bitmap"}
TRACED = re.compile(r"_dirty_bitmap .*dirty_pages=(\d+)")
# "PID@SECONDS:EVENT ..." of 10.0, "DATE EVENT ..." of 11.1.
WHEN = r"^(?:\d+@([\d.]+):|(\S+)Z )"
PAUSED = re.compile(WHEN + r"runstate_set .*new_state \d+ \(finish-migrate",
                    re.M)
TRACE = re.compile(WHEN + r"(runstate_set|\w+_dirty_bitmap) ")


def stands(a, b):
    """Between two looks, did a piece of work, or its interrupts, stand?"""
    return b["done"] <= a["done"] or (a["irq"] and b["irqs"] <= a["irqs"])


class SideFailed(Exception):
    """QEMU did not start, or ended; the text is what it said."""


class Side:
    def __init__(self, world, name, *, incoming=False, paused=False,
                 faults=()):
        self.world, self.name = world, name
        self.process = self.qmp = self.status = None
        world.sides.append(self)
        machine = world.machine
        self.folder = world.folder
        self.ram = world.ram_folder / f"{name}.ram"
        self.stats_path = self.folder / f"{name}.stats"
        self.log_path = self.folder / f"{name}.log"
        if incoming:
            with open(self.ram, "wb") as out:
                out.truncate(machine.memory)
        else:
            machine.fill(self.ram)
        self._start(incoming, paused, faults)

    def _start(self, incoming, paused, faults):
        world = self.world
        machine, qemu = world.machine, world.qemu
        monitor = self.folder / f"{self.name}.qmp"
        argv = [world.build.softvfio, "run", machine.path]
        if world.attach == "fd":
            argv += machine.descriptors()
        for fault in faults:
            argv += ["--fault", fault]
        argv += ["--", *qemu.argv, "-M", "q35,hpet=on,memory-backend=ram",
                 "-m", f"{machine.memory >> 20}M", "-smp", "1",
                 "-nodefaults", "-display", "none", "-no-user-config",
                 "-object", f"memory-backend-file,id=ram,share=on,"
                 f"size={machine.memory},mem-path={self.ram}",
                 *machine.qemu_arguments(world.attach, world.properties),
                 "-kernel", world.build.guest,
                 "-append", " ".join(machine.words),
                 "-serial", f"file:{self.folder / self.name}.serial",
                 "-qmp", f"unix:{monitor},server=on,wait=off",
                 "-msg", "timestamp=on"]
        for trace in (DIRTY[qemu.version], "runstate_set"):
            argv += ["-trace", trace]
        if incoming:
            argv += ["-incoming", "defer"]
        if paused:
            argv.append("-S")
        env = dict(os.environ, **qemu.env)
        env["SOFTVFIO_STATS"] = str(self.stats_path)
        env["TMPDIR"] = str(self.folder)
        if World.ending:
            raise SideFailed("told to end")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(argv, env=env, stdout=log,
                                            stderr=log,
                                            stdin=subprocess.DEVNULL)
        try:
            self.qmp = Qmp(monitor, self.alive)
        except OSError:
            self.kill()
            raise SideFailed(f"{self.name}: QEMU did not start: "
                             f"{self.said()}") from None
        self.status = Status(self.ram)

    def said(self):
        """The end of what QEMU wrote, without traces."""
        return " / ".join([line for line in self._log().splitlines()
                           if not TRACE.match(line)][-4:])

    def _log(self):
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_running(self, seconds=30):
        """Until the guest drives its devices."""
        end = time.monotonic() + seconds
        while not self.status.running():
            if not self.alive() or time.monotonic() > end:
                raise SideFailed(f"{self.name}: the guest does not run: "
                                 f"{self.status.error() or self.said()}")
            time.sleep(0.01)

    def progress(self, seconds=10):
        """Does every piece of the guest's work go on, devices' interrupts
        included?  Names those that do not."""
        begin = self.status.works()
        end = time.monotonic() + seconds
        while True:
            now = self.status.works()
            still = [name for name, a, b in
                     zip(self.world.machine.kinds, begin, now)
                     if self.world.machine.busy[name] and stands(a, b)]
            if not still or time.monotonic() > end:
                return still
            time.sleep(0.02)

    def capabilities(self, names):
        self.qmp.run("migrate-set-capabilities", capabilities=[
            {"capability": n, "state": True} for n in names])

    def traced_reads(self):
        """Dirty pages that QEMU took from devices and IOMMUs, read by read."""
        return [int(m.group(1)) for m in TRACED.finditer(self._log())]

    def paused_at(self):
        """When QEMU began to stop the machine for the last time, time.time()
        seconds."""
        found = PAUSED.findall(self._log())
        if not found:
            return None
        seconds, date = found[-1]
        return float(seconds) if seconds else datetime.fromisoformat(
            date + "+00:00").timestamp()

    def stats(self):
        try:
            return json.loads(self.stats_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"devices": [], "spaces": []}

    def quit(self):
        """Ends QEMU by its monitor, so that counters are written."""
        if self.alive():
            try:
                self.qmp.run("quit", seconds=10)
            except (OSError, QmpError):
                pass
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self.close()

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        for part in (self.qmp, self.status):
            if part:
                part.close()


class World:
    """What the sides of one migration share: a machine, a QEMU, a folder."""

    running = set()  # to be closed when we are told to end
    ending = False

    def __init__(self, build, qemu, machine, *, attach="fd", properties=None):
        self.build, self.qemu, self.machine = build, qemu, machine
        self.attach, self.properties = attach, properties
        if World.ending:
            raise SideFailed("told to end")
        self._folder = tempfile.TemporaryDirectory(
            prefix="spoor-qemu.", ignore_cleanup_errors=True)
        self.folder = pathlib.Path(self._folder.name)
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._ram = tempfile.TemporaryDirectory(
            prefix="spoor-qemu.", dir=shm, ignore_cleanup_errors=True)
        self.ram_folder = pathlib.Path(self._ram.name)
        self.sides, self.links = [], []
        self.watch = None
        self.running.add(self)

    def side(self, name, **kwargs):
        side = Side(self, name, **kwargs)
        if self.watch:
            self.watch.ram(side)
        return side

    def run_source(self, **kwargs):
        """The first side, its guest at work, and its users."""
        source = self.side("source", **kwargs)
        source.wait_running()
        self.watch = Watch(self, source)
        still = source.progress()
        if still:
            raise SideFailed(f"source: {', '.join(still)} does not work")
        return source

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.running.discard(self)
        for part in [*self.sides, *self.links, self.watch]:
            if part:
                part.close()
        self._ram.cleanup()
        self._folder.cleanup()

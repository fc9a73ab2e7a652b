# SPDX-License-Identifier: MIT
"""The devices' users: watch.c's clients and gaps, and the link between two
QEMUs (relay.c)."""

import contextlib
import json
import subprocess


def end(process):
    """May be told twice: by its world, and by who ends all worlds."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()


class Watch:
    def __init__(self, world, source):
        self._process = subprocess.Popen([world.build.watch], text=True,
                                         stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        self.ram(source)
        works = source.status.works()
        for i, (name, device) in enumerate(zip(world.machine.kinds,
                                               world.machine.devices)):
            clients = device.get("clients")
            if device["model"] == "nic" and clients:
                host = device["udp"].rsplit(":", 1)[0]
                self._tell(f"nic {name} {host} {works[i]['port']} "
                           f"{clients['rate']} "
                           f"{clients.get('timeout_ms', 200)}")
            elif device["model"] != "nic" and world.machine.busy[name]:
                self._tell(f"work {name} {i}")

    def _tell(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def ram(self, side):
        self._tell(f"ram {side.ram}")

    def gaps(self, begin, end, check):
        """Gap of each device over a migration, time.monotonic() seconds, less
        the check of the truth, ns."""
        self._tell(f"end {int(begin * 1e9)} {int(end * 1e9)} "
                   f"{check[0]} {check[1]}")
        return json.loads(self._process.stdout.readline())

    def close(self):
        end(self._process)


class Link:
    """A UNIX socket that leads to another at a rate."""

    def __init__(self, build, listen, connect, rate, latency_us):
        self._process = subprocess.Popen(
            [build.relay, listen, connect, str(rate), str(latency_us)],
            text=True, stdout=subprocess.PIPE)
        if self._process.stdout.readline() != "ready\n":
            raise OSError(f"no link at {listen}")

    def close(self):
        end(self._process)

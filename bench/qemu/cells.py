# SPDX-License-Identifier: MIT
"""The matrix: what is migrated, how, and what QEMU made of it when this was
written.  A verdict that changes is news, good or bad: the test says so."""

from migration import Wish

# Without it QEMU refuses what it cannot track.
FORCED = {"*": {"enable-migration": "on"}}


class Cell:
    def __init__(self, name, machine, expect, *, wish=None, properties=None,
                 source_faults=(), retry=False, hops=1,
                 attach=("fd",), why=""):
        self.name, self.machine, self.expect = name, machine, expect
        self.wish = wish or {}
        self.properties, self.source_faults = properties, source_faults
        self.retry, self.hops, self.why = retry, hops, why
        self.attach = attach  # ways to the devices that the matrix takes

    def make_wish(self):
        return Wish(**self.wish)


EVERY_WAY = ("fd", "host", "sysfsdev")
MULTIFD = {"capabilities": ["multifd"]}
# States by the channels, too, not memory alone.
STATES = {"*": {"x-migration-multifd-transfer": "on"}}
ACK = {"capabilities": ["switchover-ack"]}

CELLS = [
    Cell("log", "log", "verified", attach=EVERY_WAY,
         why="one device with its own log"),
    Cell("iommu", "iommu", "verified", attach=("fd", "host"),
         why="one device behind dirty bits"),
    Cell("both", "both", "verified", why="a log and dirty bits"),
    Cell("neither", "neither", "refused",
         why="nobody tracks the device, default settings"),
    Cell("two-log", "two-log", "verified", why="a nic and a dsa with logs"),
    Cell("two-iommu", "two-iommu", "verified",
         why="a nic and a dsa behind dirty bits"),
    Cell("log-and-neither", "log-and-neither", "refused",
         why="one of two is tracked, default settings"),
    Cell("type1-log", "type1-log", "verified", attach=("host",),
         why="a log, in a type1 container"),
    Cell("type1", "type1-neither", "refused", attach=("host",),
         why="nobody tracks it, default settings"),
    Cell("multifd", "two-log", "verified", wish=MULTIFD,
         properties=STATES, why="states by several channels"),
    Cell("switchover-ack", "two-log", "verified", wish=ACK,
         why="the destination says when it has devices' pre-copy data"),
    Cell("multifd-ack", "two-log", "verified",
         wish={"capabilities": ["multifd", "switchover-ack"]},
         properties=STATES, why="both"),
    Cell("cancel-retry", "two-log", "verified",
         wish={"cancel_after": 0.7}, retry=True,
         why="cancelled while memory is sent, then migrated"),
    Cell("hops", "two-log", "verified", hops=3, attach=EVERY_WAY,
         why="three in a row"),
    Cell("fail-start", "log", "aborted", source_faults=["dsa0:log-start=1"],
         why="DMA_LOGGING_START is refused"),
    Cell("fail-report", "log", "aborted", source_faults=["dsa0:log-report=3"],
         why="the third REPORT is refused"),
    Cell("fail-save", "log", "aborted", source_faults=["dsa0:state-read=1"],
         why="reading the state fails"),
    Cell("fail-load", "log", "aborted", wish={"faults": ["dsa0:state-write=1"]},
         why="writing the state fails"),
    Cell("planted-deaf", "log", "lost", source_faults=["dsa0:deaf=64"],
         why="one mark in 64 is dropped"),
    Cell("planted-overwrites", "two-log", "lost",
         source_faults=["nic0:log-overwrites"],
         why="REPORT overwrites what another device reported"),
    Cell("planted-no-quiesce", "deep-log", "lost",
         source_faults=["dsa0:dma-in-stop"],
         why="DMA goes on when the device is stopped"),
    Cell("defect-1", "neither", "lost", properties=FORCED,
         why="iommufd, no tracker, enable-migration=on"),
    Cell("defect-2", "log-and-neither", "lost", properties=FORCED,
         why="one device with a tracker, one without, both forced"),
    Cell("defect-3", "iommu-and-log", "lost",
         why="dirty bits without a log, and a log without dirty bits"),
    Cell("defect-4", "log", "wrong", wish={"faults": ["dsa0:run=1"],
                                           "compare": False},
         why="the destination's device refuses to run with its state"),
]

BY_NAME = {cell.name: cell for cell in CELLS}

# SPDX-License-Identifier: MIT
"""The guest's status page, guest/status.h, read through its RAM's file."""

import mmap
import struct

AT = 0x200000
LENGTH = 4096
MAGIC = 0x30747365756773
HEAD = struct.Struct("<QII128sQQ")
WORK = struct.Struct("<IIQQQQII")
RUNNING = 1
SILENT = (3, 4)  # plain and cpu raise no interrupts


class Status:
    def __init__(self, ram):
        with open(ram, "rb") as f:
            self._map = mmap.mmap(f.fileno(), LENGTH, prot=mmap.PROT_READ,
                                  offset=AT)

    def _head(self):
        magic, _, phase, error, ticks, works = HEAD.unpack_from(self._map)
        if magic != MAGIC:
            return 0, "", 0, 0
        return phase, error.split(b"\0")[0].decode(), ticks, works

    def running(self):
        return self._head()[0] == RUNNING

    def error(self):
        return self._head()[1]

    def works(self):
        """What each of its pieces of work has come to, in the words' order."""
        out = []
        for i in range(self._head()[3]):
            kind, slot, submitted, done, errors, irqs, port, _ = \
                WORK.unpack_from(self._map, HEAD.size + i * WORK.size)
            out.append({"slot": slot, "submitted": submitted, "done": done,
                        "errors": errors, "irqs": irqs, "port": port,
                        "irq": kind not in SILENT})
        return out

    def close(self):
        self._map.close()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Includes point down only; see ARCHITECTURE.md.

usage: check-layers.py ROOT
"""
import os
import re
import sys

# Lowest first.  A file may include its own room and lower rows; what a room
# may include of its own row is named here.
ROWS = [
    {"base"},
    {"bitmap", "memory", "wire"},
    {"device", "iommu", "transport"},
    {"track"},
    {"plan"},
    {"migrate"},
]
BESIDE = {("iommu", "device")}
ROW = {room: n for n, rooms in enumerate(ROWS) for room in rooms}

# Rooms beside the library: what else than the C library they may include.
ALLOWED = {
    "models": r"models/|base/cleanup\.h",
    "softvfio": r"softvfio/|models/|base/(uapi_\w+|cleanup)\.h",
    "tools": r"spoor/|softvfio/(softvfio|config|config_write)\.h|"
             r"models/(model|model_faults|\w+_regs)\.h|src/base/uapi_vfio\.h|"
             r"(check/check|compare/compare)\.h|tools/",
    # The kernel's side of its designs is softvfio's, the program's libspoor's;
    # a container's descriptor libspoor shows nobody else.  QEMU's guest works as
    # spoor's do, over the same link, for the same users.
    "bench": r"bench/|spoor/|softvfio/|models/|base/(uapi_\w+|cleanup)\.h|"
             r"iommu/space_priv\.h|tools/spoor/(pace|link|gaps|udp_client)\.h",
    "examples": r"spoor/|base/uapi_|models/\w+_regs\.h",
}
OURS = re.compile(r"^(spoor|softvfio|models|tools|rig|bench|" + "|".join(ROW) + r")/")


def includes(path):
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            m = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if m:
                yield n, m[1], m[2]


def check_library(rel, room, target):
    other = target.split("/")[0]
    if other == "spoor":
        return None
    if other not in ROW:
        return "the library includes nothing beside it"
    if ROW[other] > ROW[room]:
        return f"{room} is below {other}"
    if ROW[other] == ROW[room] and other != room and (room, other) not in BESIDE:
        return f"{room} and {other} stand side by side"
    return None


def main(root):
    bad = seen = 0
    for top in ("src", *ALLOWED):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.join(folder, name)
                rel = os.path.relpath(path, root)
                for n, kind, target in includes(path):
                    if not OURS.match(target) and kind == "<":
                        continue
                    seen += 1
                    if top == "src":
                        why = check_library(rel, rel.split(os.sep)[1], target)
                    elif "/" in target and not re.match(ALLOWED[top], target):
                        why = f"{top} may not include it"
                    else:
                        why = None
                    if why:
                        bad = 1
                        print(f"{rel}:{n}: {target}: {why}")
    if not seen:
        print("no includes seen: wrong root?")
        bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

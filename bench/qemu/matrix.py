# SPDX-License-Identifier: MIT
"""One cell of the matrix: two QEMUs or more, and its verdict."""

import pathlib
import time

from machine import Machine
from migration import migrate
from qmp import QmpError
from side import SideFailed, World

HERE = pathlib.Path(__file__).resolve().parent
# Of the better verdicts first: a cell of several migrations is its worst.
ORDER = ["verified", "refused", "aborted", "lost", "wrong"]


def run_cell(build, qemu, cell, attach):
    machine = Machine(HERE / f"machines/{cell.machine}.json")
    begin = time.monotonic()
    with World(build, qemu, machine, attach=attach,
               properties=cell.properties) as world:
        try:
            runs = migrations(world, cell)
        except (SideFailed, QmpError, OSError) as e:
            # QEMU did not start, or died.
            said = " / ".join(side.said() for side in world.sides)
            runs = [{"verdict": "wrong", "error": f"{e}: {said}"}]
    worst = max(runs, key=lambda r: ORDER.index(r["verdict"]))
    out = {"cell": cell.name, "qemu": qemu.version, "attach": attach,
           "expected": cell.expect}
    out.update(worst)
    if cell.retry or cell.hops > 1:
        out["runs"] = runs
    out["took_s"] = round(time.monotonic() - begin, 1)
    return out


def migrations(world, cell):
    source = world.run_source(faults=cell.source_faults)
    time.sleep(world.machine.file.get("run", {}).get("before_ms", 0) / 1e3)
    runs = []
    for hop in range(cell.hops + cell.retry):
        wish = cell.make_wish()
        if cell.retry and hop:
            wish.cancel_after = None
        destination, out = migrate(source, f"hop{hop + 1}", wish)
        if cell.retry and not hop:
            expect_cancelled(out)
        runs.append(out)
        if destination:
            source.close()
            source = destination
        elif not cell.retry:
            break
    source.quit()
    return runs


def expect_cancelled(out):
    """It was to be cancelled; the machine runs on: that is what was asked."""
    if out.get("status") == "cancelled" and out["verdict"] == "aborted":
        out["verdict"] = "verified"
    else:
        out["evidence"] = (f"not cancelled: {out.get('status')}, "
                           f"{out.get('evidence', '')}")
        out["verdict"] = "wrong"


def say(out):
    """A line, and what speaks for it."""
    verdict = out["verdict"]
    if verdict == "lost":
        verdict = f"lost {out.get('lost') or out.get('pages_differ')}"
    mark = "" if out["verdict"] == out["expected"] else \
        f"   (recorded: {out['expected']})"
    text = (f"{out['qemu']:5} {out['attach']:9} {out['cell']:20} "
            f"{verdict:10} {out['took_s']:5.1f} s{mark}")
    for key in ("error", "evidence"):
        if out.get(key):
            text += f"\n      {key}: {out[key]}"
    if "pages_differ" in out:
        text += (f"\n      {out['pages_differ']} pages differ; "
                 + "; ".join(f"{name}: {d['dma_writes']} writes, "
                             f"{d['marks']} marks, {d['pages_reported']} "
                             "reported" for name, d in out["devices"].items())
                 + "".join(f"; space {s['name']}: {s['marks']} marks, "
                           f"{s['pages_reported']} reported"
                           for s in out["spaces"] if s["marks"])
                 + f"; QEMU's trace: {out['traced_pages']}")
    if "lost_by" in out and out["lost_by"]:
        text += "\n      lost: " + ", ".join(
            f"{n} of {w}" for w, n in out["lost_by"].items())
    if out.get("total_ms") is not None:
        text += (f"\n      QEMU: {out['status']} in {out['total_ms']} ms, "
                 f"{out.get('rounds')} rounds, downtime "
                 f"{out.get('qemu_downtime_ms')} ms")
    return text

# SPDX-License-Identifier: MIT
"""One migration of QEMU's from one side to another, and what came of it.

Verdicts:
  verified   it arrived, no write of a device is missing, memory is equal
  lost       it arrived, and writes of devices did not
  refused    QEMU would not begin; the machine runs on at the source
  aborted    it failed; the machine runs on at the source
  wrong      QEMU says that all is well, and it is not; or nobody runs
"""

import json
import mmap
import subprocess
import time

from qmp import QmpError
from side import SideFailed

PAGE = 4096
CHUNK = 1 << 16
NOT_COMPARABLE = 1
ENDS = {"completed", "failed", "cancelled"}


class Wish:
    """How to migrate; defaults are a link of 60 MB/s and all of memory
    compared before the destination runs."""

    def __init__(self, capabilities=(), bandwidth=60_000_000, compare=True,
                 faults=(), cancel_after=None, seconds=90, channels=2,
                 through=None):
        self.capabilities = list(capabilities)
        self.bandwidth, self.compare = bandwidth, compare
        self.faults, self.cancel_after = faults, cancel_after
        self.seconds, self.channels = seconds, channels
        self.through = through


def pages_that_differ(a, b):
    """Addresses of pages that two RAM files do not share."""
    out = []
    with open(a, "rb") as fa, open(b, "rb") as fb, \
            mmap.mmap(fa.fileno(), 0, prot=mmap.PROT_READ) as ma, \
            mmap.mmap(fb.fileno(), 0, prot=mmap.PROT_READ) as mb:
        for at in range(0, len(ma), CHUNK):
            if ma[at:at + CHUNK] == mb[at:at + CHUNK]:
                continue
            out += [p for p in range(at, at + CHUNK, PAGE)
                    if ma[p:p + PAGE] != mb[p:p + PAGE]]
    return out


def verify(build, source_stats, destination_stats, seconds=3):
    """softvfio verify's exit status, its result, and pages lost by device.  A
    source that is just ending its migration is waited for."""
    end = time.monotonic() + seconds
    while True:
        found = verify_once(build, source_stats, destination_stats)
        if found[0] != NOT_COMPARABLE or time.monotonic() > end:
            return found
        time.sleep(0.2)


def verify_once(build, source_stats, destination_stats):
    done = subprocess.run(
        [build.softvfio, "verify", "--json", source_stats, destination_stats],
        text=True, capture_output=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    by = {x["name"]: x["pages_lost"] for x in lines
          if x["event"] == "device" and x["pages_lost"]}
    return (done.returncode, lines[-1] if lines else {"error": done.stderr},
            by)


def prepare(source, destination, wish):
    world = source.world
    names = ["events", *wish.capabilities]
    if "switchover-ack" in names:
        names.append("return-path")
    parameters = {"downtime_limit": int(world.machine.downtime_ms)}
    if "multifd" in names:
        parameters["multifd_channels"] = wish.channels
    for side in (source, destination):
        side.capabilities(names)
        side.qmp.run("migrate-set-parameters", **parameters)
    source.qmp.run("migrate-set-parameters", max_bandwidth=wish.bandwidth)
    uri = f"unix:{world.folder}/{destination.name}.in"
    destination.qmp.run("migrate-incoming", uri=uri)
    return wish.through(uri) if wish.through else uri


def watch(source, wish):
    """query-migrate until it has ended, or was cancelled for taking long."""
    begin = time.monotonic()
    cancel_at = begin + (wish.cancel_after or wish.seconds)
    while True:
        info = source.qmp.run("query-migrate")
        if info.get("status") in ENDS:
            return info
        if time.monotonic() > cancel_at:
            source.qmp.run("migrate_cancel")
            cancel_at += 30
        time.sleep(0.01)


def settle(side, states, seconds=10):
    """Until QEMU's run state is one of these; the state it is in."""
    end = time.monotonic() + seconds
    while True:
        now = side.qmp.run("query-status")["status"]
        if now in states or time.monotonic() > end:
            return now
        time.sleep(0.01)


def migrate(source, name, wish=None):
    """Returns (the destination, or None; what happened)."""
    wish = wish or Wish()
    world = source.world
    destination = world.side(name, incoming=True, paused=wish.compare,
                             faults=wish.faults)
    out = {"memory": world.machine.memory}
    try:
        uri = prepare(source, destination, wish)
        out["began_at"] = time.monotonic()
        source.qmp.run("migrate", uri=uri)
    except QmpError as e:
        destination.close()
        still = source.progress()
        out.update(verdict="wrong" if still else "refused", error=str(e))
        return None, out
    info = watch(source, wish)
    out.update(status=info["status"], error=info.get("error-desc"),
               total_ms=info.get("total-time"),
               qemu_downtime_ms=info.get("downtime"),
               bytes_sent=info.get("ram", {}).get("transferred"),
               rounds=info.get("ram", {}).get("dirty-sync-count"))
    if info["status"] == "completed":
        arrived(source, destination, wish, out)
    else:
        stayed(source, destination, out)
        destination.close()
        destination = None
    return destination, out


def stayed(source, destination, out):
    """A migration that failed must leave the source running."""
    now = settle(source, {"running"})
    still = source.progress() if now == "running" else ["everything"]
    out["source"] = now
    out["verdict"] = "wrong" if still else "aborted"
    if still:
        out["evidence"] = f"at the source, {', '.join(still)} does not go on"
    if not out.get("error"):
        out["error"] = source.said()
    out["destination_said"] = destination.said()


def arrived(source, destination, wish, out):
    evidence = []
    try:
        ran = follow(source, destination, wish, out, evidence)
    except (OSError, SideFailed, QmpError) as e:
        ran = False
        evidence.append(f"the destination: {e}: {destination.said()}")
    code, result, by = verify(source.world.build, source.stats_path,
                              destination.stats_path)
    out.update(lost=result.get("pages_lost"), lost_by=by, verify=code,
               named=result.get("lost", [])[:8])
    if code not in (0, 4):
        evidence.append(f"softvfio verify: {result.get('error')}")
    out["verdict"] = judge(code, ran, wish.compare,
                           out.get("pages_differ", 0), evidence)
    if evidence:
        out["evidence"] = "; ".join(evidence)
    count(source, destination, out)
    if out["verdict"] == "verified":
        agree(out)
    if not wish.compare:
        time_pause(source, destination, out)


def judge(code, ran, compared, differ, evidence):
    """Of softvfio verify's exit status, of whether all went on, and of how
    many pages differ."""
    if code == 4 and compared and not differ:
        evidence.append("devices miss pages, and memory is equal")
        return "wrong"  # one of the two is blind
    if code == 4 or (code == 0 and differ):
        return "lost"
    return "verified" if ran and not code else "wrong"


def follow(source, destination, wish, out, evidence):
    """Memory, then the destination's first steps.  Does all of it go on?"""
    if wish.compare:
        now = settle(destination, {"paused", "prelaunch"})
        if now not in ("paused", "prelaunch"):
            evidence.append(f"the destination is {now}")
            return False
        differ = pages_that_differ(source.ram, destination.ram)
        out["pages_differ"] = len(differ)
        out["differ"] = [hex(p) for p in differ[:8]]
        destination.qmp.run("cont")
    now = settle(destination, {"running"})
    if now != "running":
        evidence.append(f"the destination is {now}")
        return False
    still = destination.progress()
    if still:
        evidence.append(f"at the destination, {', '.join(still)} does not "
                        f"go on")
    return not still


def count(source, destination, out):
    """Marks, reports and what QEMU's own trace made of them."""
    stats = source.stats()
    out["devices"] = {
        d["name"]: {k: d.get(k) for k in
                    ("dma_writes", "marks", "reports", "pages_reported",
                     "discarded", "violations", "states")}
        for d in stats["devices"]}
    out["spaces"] = stats["spaces"]
    out["traced_reads"] = source.traced_reads()
    out["traced_pages"] = sum(out["traced_reads"])
    for d in destination.stats()["devices"]:
        if d["name"] in out["devices"]:
            out["devices"][d["name"]]["arrived"] = {
                "states": d.get("states"), "irqs": d.get("irqs")}


def agree(out):
    """What devices and IOMMUs marked, what they reported, and what QEMU says
    that it read: one figure, or something was missed that nobody missed."""
    trackers = [*out["devices"].values(), *out["spaces"]]
    reported = sum(t["pages_reported"] for t in trackers)
    marked = sum(t["marks"] - t["discarded"] for t in trackers)
    if marked == reported == out["traced_pages"]:
        return
    out["verdict"] = "wrong"
    out["evidence"] = (f"{marked} pages marked, {reported} reported, "
                       f"{out['traced_pages']} in QEMU's trace")


def time_pause(source, destination, out):
    """From QEMU's first step of stopping the machine to the last device's
    RUNNING at the destination, less softvfio's check of the truth between."""
    began = source.paused_at()
    ran, checked, first = 0, 0, None
    for d in destination.stats()["devices"]:
        running = [ns for state, ns in zip(d["states"], d["entered_ns"])
                   if state == "RUNNING"]
        ran = max(ran, running[-1] if running else 0)
        checked += d["truth"]["check_ns"]
        at = d["truth"]["check_at"]
        first = min(first or at, at)
    if not began or not ran:
        return
    # From one clock to the other.
    began -= time.time() - time.monotonic()
    out["downtime_ms"] = (ran - checked) / 1e6 - began * 1e3
    out["check"] = (first, first + checked)
    out["ran_at"] = ran / 1e9

# SPDX-License-Identifier: MIT
"""spoor and QEMU side by side: the same machine files, the same link, the same
users; interleaved, medians.  Nothing is digested in either pause; truth is
checked once the destination runs."""

import json
import pathlib
import platform
import statistics
import sys
import tempfile
import time

import under_spoor
from cells import FORCED
from clients import Link
from machine import Machine
from migration import Wish, migrate
from programs import HERE
from qmp import QmpError
from side import SideFailed, World

# Machine, properties that QEMU needs to move it at all, and QEMU's policy; and
# another target than the machine file's, ms.
MACHINES = [
    ("log", None, "device"),
    ("iommu", None, "iommu"),
    ("both", None, "device"),
    ("two-log", None, "device"),
    ("two-iommu", None, "iommu"),
    ("neither", FORCED, "all-dirty"),
    ("log-and-neither", FORCED, "device"),
    ("iommu-and-log", None, "iommu"),
    ("log", None, "device", 100),
    ("log", None, "device", 80),
    ("log", None, "device", 40),
    ("log", None, "device", 20),
    ("two-log", None, "device", 50),
]
# The better ones first.
VERDICTS = ["verified", "refused", "aborted", "lost", "failed", "wrong"]
PAGE = HERE.parent.parent / "docs/beside-qemu.md"


def quiet_wish(world):
    """No limit of QEMU's own: the link is the limit."""
    def through(uri):
        path = uri.removeprefix("unix:")
        world.links.append(Link(world.build, path + ".link", path,
                                world.machine.link, world.machine.latency_us))
        return uri + ".link"
    return Wish(compare=False, bandwidth=0, through=through)


def once_qemu(build, qemu, machine, properties, attach):
    with World(build, qemu, machine, properties=properties,
               attach=attach) as world:
        run = machine.file.get("run", {})
        source = world.run_source()
        time.sleep(run.get("before_ms", 1000) / 1e3)
        destination, out = migrate(source, "destination", quiet_wish(world))
        if not destination or "ran_at" not in out:
            return {"verdict": out["verdict"],
                    "why": out.get("evidence") or out.get("error")}
        time.sleep(run.get("after_ms", 1000) / 1e3)
        gaps = world.watch.gaps(out["began_at"], out["ran_at"], out["check"])
        stats = source.stats()
        return {
            "verdict": out["verdict"], "lost": out["lost"],
            "why": out.get("evidence"),
            "downtime_ms": out["downtime_ms"], "total_ms": out["total_ms"],
            "bytes_sent": out["bytes_sent"], "read_cpu_ms": read_cpu(stats),
            "gaps": {n: g and g["gap_ms"] for n, g in gaps.items()}}


def once_spoor(build, machine, policy):
    code, result, counters = under_spoor.run(build, machine, policy, "off")
    if code:
        return {"verdict": {3: "refused", 4: "lost"}.get(code, "failed"),
                "lost": len(result.get("lost", [])),
                "why": result.get("error")}
    source = max(counters, key=lambda c: sum(
        d["reports"] for d in c["devices"]) + sum(
            s["dirty_reads"] for s in c["spaces"]), default={})
    return {"verdict": "verified", "lost": 0,
            "downtime_ms": result["downtime_ms"],
            "total_ms": result["total_ms"],
            "bytes_sent": result["bytes_sent"],
            "read_cpu_ms": read_cpu(source) if source else None,
            "gaps": {d["name"]: d["service_gap_ms"]
                     for d in result["devices"]}}


def read_cpu(stats):
    """CPU inside the calls that read dirty pages, ms: the same clock around
    the same calls, whoever makes them."""
    return (sum(d.get("report_ns", 0) for d in stats["devices"])
            + sum(s.get("read_ns", 0) for s in stats["spaces"])) / 1e6


def with_target(name, target, folder):
    """A machine file, with another downtime target."""
    path = HERE / f"machines/{name}.json"
    if target is None:
        return Machine(path)
    text = json.loads(path.read_text(encoding="utf-8"))
    text["policy"]["downtime_ms"] = target
    path = pathlib.Path(folder) / f"{name}-{target}.json"
    path.write_text(json.dumps(text), encoding="utf-8")
    return Machine(path)


def contenders(build, qemus, attach, machine, properties, policy):
    out = [(f"QEMU {q.version}",
            lambda q=q: once_qemu(build, q, machine, properties, attach))
           for q in qemus]
    out += [(f"spoor, {p}", lambda p=p: once_spoor(build, machine, p))
            for p in dict.fromkeys((policy, "auto"))]
    return out


def median(runs, key):
    values = [r[key] for r in runs if r.get(key) is not None]
    return statistics.median(values) if values else None


def summary(runs):
    """One row of several runs: the worst verdict, medians of the rest.  Of
    lost pages that of the runs that lost any: one in five is no zero."""
    losing = [r for r in runs if r.get("lost")]
    out = {"verdict": max((r["verdict"] for r in runs), key=VERDICTS.index),
           "runs": len(runs), "lost": median(losing, "lost") or 0,
           "nr_lost": len(losing),
           "why": next((r["why"] for r in runs if r.get("why")), None)}
    for key in ("downtime_ms", "total_ms", "bytes_sent", "read_cpu_ms"):
        out[key] = median(runs, key)
    names = {n for r in runs for n in r.get("gaps", {})}
    out["gaps"] = {n: median([r["gaps"] for r in runs if "gaps" in r], n)
                   for n in sorted(names)}
    return out


def attempt(once):
    """A run that ends badly is a run; the others' figures stay."""
    try:
        return once()
    except (SideFailed, QmpError, OSError) as e:
        return {"verdict": "failed", "why": str(e)}


def measure(build, qemus, attach, repeat, only, folder):
    rows = {}
    for name, properties, policy, *target in MACHINES:
        label = f"{name}, {target[0]} ms" if target else name
        if only and label not in only:
            continue
        machine = with_target(name, target[0] if target else None, folder)
        who = contenders(build, qemus, attach, machine, properties, policy)
        runs = {by: [] for by, _ in who}
        for _ in range(repeat):
            for by, once in who:
                runs[by].append(attempt(once))
                print(json.dumps({"machine": label, "who": by,
                                  **runs[by][-1]}), flush=True)
        rows[label] = {by: summary(r) for by, r in runs.items()}
    return rows


def number(value, form="{:.1f}"):
    return "" if value is None else form.format(value)


def table(rows):
    out = ["| machine | who | pages lost | downtime, ms | service gap, ms | "
           "total, ms | sent, MB | CPU of dirty reads, ms |",
           "|---|---|---|---|---|---|---|---|"]
    for name, by in rows.items():
        for label, r in by.items():
            lost = number(r["lost"], "{:.0f}") if r["verdict"] in (
                "verified", "lost") else r["verdict"]
            if 0 < r["nr_lost"] < r["runs"]:
                lost += f", in {r['nr_lost']} of {r['runs']} runs"
            gaps = ", ".join(f"{n} {number(g)}" for n, g in r["gaps"].items()
                             if g is not None)
            sent = r["bytes_sent"] and r["bytes_sent"] / 1e6
            out.append(f"| {name} | {label} | {lost} | "
                       f"{number(r['downtime_ms'])} | {gaps} | "
                       f"{number(r['total_ms'], '{:.0f}')} | "
                       f"{number(sent)} | "
                       f"{number(r['read_cpu_ms'], '{:.2f}')} |")
    return "\n".join(out)


def beside(build, qemus, args):
    names = [f"{m[0]}, {m[3]} ms" if m[3:] else m[0] for m in MACHINES]
    unknown = [name for name in args.what if name not in names]
    if unknown:
        print(f"beside: no such machine: {', '.join(unknown)}: "
              f"{', '.join(names)}", file=sys.stderr)
        return 2
    attach = (args.attach or ["fd"])[0]
    with tempfile.TemporaryDirectory(prefix="spoor-qemu.") as folder:
        rows = measure(build, qemus, attach, args.repeat, args.what, folder)
    text = table(rows)
    print(text)
    broken = [f"{name}, {who}: {r['verdict']}: {r['why']}"
              for name, by in rows.items() for who, r in by.items()
              if r["verdict"] in ("failed", "wrong")]
    if broken:
        print("beside: no comparison:", *broken, sep="\n  ", file=sys.stderr)
        return 1
    if args.what or args.qemu:
        return 0
    begin, rest = PAGE.read_text(encoding="utf-8").split(
        "<!-- table -->\n", 1)
    end = rest.split("<!-- end -->", 1)[1]
    PAGE.write_text(f"{begin}<!-- table -->\n{text}\n\nMedians of "
                    f"{args.repeat} on Linux {platform.release().split('-')[0]}, "
                    f"{len(pathlib.os.sched_getaffinity(0))} CPUs.\n"
                    f"<!-- end -->{end}", encoding="utf-8")
    return 0

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How far off plan's predictions are, measured.

Usage: prediction.py BUILD [--repeat N] [MACHINE:LINK[:OBJECTIVE]...]

Each machine is compared under several policies over a link of that rate, with
a profile that `spoor compare` takes in the same run.  What was predicted is
held against what was measured; the table goes to stdout, as Markdown.  With an
objective only auto is, and no downtime is too long for it: it may move devices
to other spaces, which are named.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICIES = "auto,device,iommu,all-dirty,stop-copy,suspend-early"
# Links so slow that what is predicted lasts longer than what disturbs it.
CELLS = ["mixed:1G", "mixed:4G", "a-nic-and-mdev:200M", "b-nic-only:100M",
         "c-nic-and-untracked-before-bulk:200M", "iommu:300M",
         "two-spaces:500M", "cpu-only:600M"]


def machine_on(name, rate, objective, folder):
    """The example over that link, its files where they are."""
    source = ROOT / "examples" / f"{name}.json"
    m = json.loads(source.read_text())
    for region in m["memory"]:
        contents = region.get("contents", {})
        if "file" in contents:
            contents["file"] = str(source.parent / contents["file"])
    m["link"] = {"rate": rate, "latency_us": 50}
    # A plan's own lines are for its own policy.
    policy = m.get("policy", {})
    m["policy"] = {k: v for k, v in policy.items()
                   if k in ("downtime_ms", "objective")}
    if objective:
        m["policy"].update(objective=objective,
                           limits={"downtime_ms": 3600000})
    path = pathlib.Path(folder) / f"{name}-{rate}.json"
    path.write_text(json.dumps(m))
    return path


def compare(build, machine, policies, repeat):
    run = subprocess.run(
        [build / "spoor", "compare", machine, "--policies", policies,
         "--repeat", str(repeat), "--json", "--quiet"],
        stdout=subprocess.PIPE, text=True, check=False)
    last = json.loads((run.stdout.splitlines() or ["{}"])[-1])
    if last.get("event") != "comparison":
        sys.exit(f"{machine.name}: {last.get('error', last)}")
    return last["runs"]


def off(r, what):
    return (r[f"predicted_{what}"] - r[what]) / r[what]


def moved(machine, r):
    """Who is not where the machine file has it."""
    m = json.loads(machine.read_text())
    home = {d["name"]: d.get("space", m["spaces"][0]["name"])
            for d in m["devices"]}
    return "".join(f", {d['name']} in {d['space']}" for d in r["devices"]
                   if d.get("space", home[d["name"]]) != home[d["name"]])


def say(machine, rate, r):
    def pair(what):
        return (f"{r[what]:.1f} | {r['predicted_' + what]:.1f} | "
                f"{100 * off(r, what):+.0f} %")

    print(f"| {machine.stem.rsplit('-', 1)[0]} | {rate} | "
          f"{r['policy']}{moved(machine, r)} | {pair('downtime_ms')} | "
          f"{pair('total_ms')} |", flush=True)


def conclude(runs, what):
    errors = sorted(abs(off(r, what)) for r in runs)
    return (f"median {100 * statistics.median(errors):.0f} %, "
            f"worst {100 * errors[-1]:.0f} %")


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("cells", nargs="*", default=CELLS)
    args.add_argument("--repeat", type=int, default=1)
    o = args.parse_args()
    runs = []
    print(f"Measured on {datetime.date.today()}, {o.repeat} a figure.\n")
    print("| machine | link | policy | downtime, ms | predicted | off "
          "| total, ms | predicted | off |")
    print("|" + "---|" * 9, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for cell in o.cells:
            name, rate, objective, *_ = *cell.split(":"), None
            machine = machine_on(name, rate, objective, folder)
            policies = "auto" if objective else POLICIES
            for r in compare(o.build.resolve(), machine, policies, o.repeat):
                if "predicted_downtime_ms" not in r or "downtime_ms" not in r:
                    why = r.get("refused") or r.get("failed") or "no figures"
                    print(f"| {name} | {rate} | {r['policy']} | "
                          f"{why[:80]} | | | | | |", flush=True)
                    continue
                say(machine, rate, r)
                runs.append(r)
    if not runs:
        sys.exit("nothing was predicted and measured")
    print(f"\n{len(runs)} pairs. Downtime: {conclude(runs, 'downtime_ms')}. "
          f"Total: {conclude(runs, 'total_ms')}.")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""The same machine under spoor."""

import json
import os
import pathlib
import subprocess
import tempfile

from side import World


class Running:
    """A spoor that ends when we are told to."""

    def __init__(self, argv, env):
        self._process = subprocess.Popen(argv, text=True, env=env,
                                         stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE)

    def __enter__(self):
        World.running.add(self)
        return self._process

    def __exit__(self, *_):
        World.running.discard(self)
        self.close()

    def close(self):
        # It ends its two sides, too.
        self._process.terminate()
        self._process.wait()


def run(build, machine, policy="auto", verify="full", destination=None,
        source=None):
    """`spoor migrate`'s exit status, its result, its counters at the source."""
    with tempfile.TemporaryDirectory(prefix="spoor-qemu.") as folder:
        argv = [build.spoor, "migrate", source or machine.path, "--json",
                "--policy", policy, "--verify", verify]
        if destination:
            argv += ["--dest-machine", destination]
        env = dict(os.environ, SOFTVFIO_STATS=f"{folder}/%p.stats")
        with Running(argv, env) as process:
            out, err = process.communicate()
        lines = [json.loads(line) for line in out.splitlines()]
        result = next((x for x in reversed(lines)
                       if x.get("event") == "result"),
                      {"ok": False, "error": err.strip()})
        counters = []
        for path in pathlib.Path(folder).glob("*.stats"):
            counters.append(json.loads(path.read_text(encoding="utf-8")))
    return process.returncode, result, counters


def planted(machine, faults, folder, name):
    """The machine's file with faults planted into its devices; a path."""
    text = json.loads(machine.path.read_text(encoding="utf-8"))
    for fault in faults:
        name_of, what = fault.split(":")
        key, _, number = what.partition("=")
        device = next(d for d in text["devices"] if d["name"] == name_of)
        if key == "deaf":
            device["tracker"]["deaf"] = int(number)
        elif number:
            device.setdefault("fail", {})[key] = int(number)
        else:
            device.setdefault("faults", []).append(key)
    path = pathlib.Path(folder) / name
    path.write_text(json.dumps(text), encoding="utf-8")
    return path


def show(build, machine, cell, as_json):
    """A cell's machine under spoor: lost nothing, or refused.  1 if not."""
    faults = cell.wish.get("faults", ())
    with tempfile.TemporaryDirectory(prefix="spoor-qemu.") as folder:
        destination = planted(machine, faults, folder, "destination.json") \
            if faults else None
        source = planted(machine, cell.source_faults, folder, "source.json") \
            if cell.source_faults else None
        code, result, _ = run(build, machine, destination=destination,
                              source=source)
    lost = len(result.get("lost", []))
    moved = result.get("ok") and result.get("verified")
    verdict = {0: "verified", 1: "aborted", 3: "refused", 4: "lost",
               6: "moved, and says which device does not run"}.get(
                   code, f"exit {code}")
    out = {"cell": cell.name, "spoor": verdict, "exit": code, "lost": lost,
           "running": result.get("running"), "error": result.get("error"),
           "devices": [{k: d.get(k) for k in
                        ("name", "tracker", "suspend", "covered_by")}
                       for d in result.get("devices", [])]}
    if as_json:
        print(json.dumps(out), flush=True)
    else:
        print(f"spoor           {cell.name:20} {verdict}"
              + (f"\n      error: {out['error']}" if out["error"] else "")
              + "".join(f"\n      {d['name']}: {d['covered_by']}"
                        for d in out["devices"] if moved), flush=True)
    return 0 if lost == 0 and code in (0, 1, 3, 6) else 1

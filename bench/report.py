#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure split, funnel and shared bitmaps, and write the figures down.

usage: report.py BUILD [--small] [--from LINES] [--docs FOLDER]

Runs BUILD/bench/split-or-funnel, keeps its lines in BUILD/split-or-funnel.jsonl
(--from: takes them from there instead), and writes tables into
FOLDER/split-or-funnel.md, between the marks, and with gnuplot
FOLDER/split-or-funnel.svg.
"""
import argparse
import collections
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
REFERENCE = "split-lean"
ORDER = ["split", "split-lean", "funnel-lean", "funnel", "split-lean-copies",
         "funnel-lean-copies", "split-words", "funnel-words", "funnel-borrow",
         "split-words-copies", "funnel-words-copies", "funnel-tracked-only",
         "shared", "limit"]
# What a design needs beyond what all have: the kernel's side, the program's.
FILES = {
    "split": (["bench/kernel/split.c"], ["bench/run_bare.c"]),
    "funnel": (["bench/kernel/funnel.h", "bench/kernel/funnel.c",
                "bench/kernel/funnel_read.c", "bench/kernel/source_pins.c"],
               ["bench/run_funnel.c"]),
    "shared": (["bench/kernel/shared.c"], ["bench/run_shared.c"]),
    "both lean ones": (["bench/kernel/source.h", "bench/kernel/source.c",
                        "bench/kernel/window.h", "bench/kernel/window.c"], []),
    "borrowed, shared": (["bench/kernel/log_words.h",
                          "bench/kernel/log_words.c"], []),
    "split as it ships": (["softvfio/logging.c"],
                          ["src/track/device_log.c", "src/track/log_ioctl.c",
                           "src/track/log_ranges.c", "src/track/scratch.c",
                           "src/track/merged.c"]),
}


class Cell:
    """All samples of one cell: by design, by repetition."""

    def __init__(self, first):
        self.sweep, self.memory = first["sweep"], first["memory"]
        self.trackers, self.density = first["trackers"], first["density"]
        self.clustered, self.page_size = first["clustered"], first["page_size"]
        self.reps = collections.defaultdict(
            lambda: collections.defaultdict(list))

    def designs(self):
        return [d for d in ORDER if d in self.reps]

    def of_reps(self, design, key):
        return [statistics.mean(s[key] for s in reads)
                for reads in self.reps[design].values()]

    def median(self, design, key):
        return statistics.median(self.of_reps(design, key))

    def spread(self, design, key):
        reps = self.of_reps(design, key)
        return statistics.median(reps), min(reps), max(reps)

    def ratio(self, design, to):
        """Of repetitions, in each of which both had their turn."""
        pairs = zip(self.of_reps(design, "cpu_ns"), self.of_reps(to, "cpu_ns"))
        reps = [a / b for a, b in pairs]
        return statistics.median(reps), min(reps), max(reps)


def load(path):
    cells = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            s = json.loads(line)
            key = tuple(s[k] for k in ("sweep", "memory", "trackers",
                                       "density", "clustered", "page_size"))
            cell = cells.setdefault(key, Cell(s))
            cell.reps[s["design"]][s["rep"]].append(s)
    return list(cells.values())


def size(n):
    for unit in ("", "K", "M", "G"):
        if n < 1024:
            return f"{n:.3g}{unit}" if n < 1000 else f"{n:.0f}{unit}"
        n /= 1024
    return f"{n:.3g}T"


def micro(ns):
    return f"{ns / 1000:.3g}" if ns < 1e6 else f"{ns / 1000:.0f}"


def with_spread(values, show):
    return "{} ({} to {})".format(*(show(v) for v in values))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def find(cells, sweep):
    return [c for c in cells if c.sweep == sweep]


def one_cell(cell):
    def row(d):
        m = {k: cell.median(d, k) for k in ("calls", "copies", "bytes")}
        memory = [size(cell.median(d, k))
                  for k in ("kernel_bytes", "kernel_peak", "user_bytes")]
        return [d, with_spread(cell.spread(d, "cpu_ns"), micro),
                micro(cell.median(d, "ns")),
                with_spread(cell.ratio(d, REFERENCE), "{:.2f}".format),
                f"{cell.ratio(d, 'limit')[0]:.0f}", f"{m['calls']:.0f}",
                f"{m['copies']:.0f}", size(m["bytes"]),
                *(["", "", ""] if d == "limit" else memory)]
    return table(["design", "CPU, µs", "latency, µs", f"CPU / {REFERENCE}",
                  "/ limit", "calls", "copies", "bytes copied",
                  "kernel's memory", "at most", "program's"],
                 [row(d) for d in cell.designs()])


PAIRS = [
    ("funnel-lean", "split-lean", "who loops: kernel or user space"),
    ("funnel-words", "split-words", "the same, where logs are read as words"),
    ("funnel", "split-lean", "through a bitmap of the container's, cleared "
     "apart"),
    ("funnel-lean-copies", "split-lean-copies", "where every read crosses by "
     "copies"),
    ("split-words", "split-lean", "the same loop, logs read as words"),
    ("shared", "split-words", "nobody reads: marks where user space looks"),
    ("shared", "split-lean", "the same, against a queue"),
    ("split", "split-lean", "what ships, against the least it could do"),
]


def in_short(cells):
    rows = []
    for design, to, why in PAIRS:
        both = [c for c in cells if design in c.reps and to in c.reps and
                c.sweep not in ("two containers", "marking")]
        ratios = [c.ratio(design, to)[0] for c in both]
        two = find(cells, "two containers")[0]
        rows.append([f"{design} / {to}", why,
                     with_spread(find(cells, "base")[0].ratio(design, to),
                                 "{:.2f}".format),
                     f"{min(ratios):.2f} to {max(ratios):.2f}",
                     f"{two.ratio(design, to)[0]:.2f}"
                     if design in two.reps and to in two.reps else ""])
    return table(["CPU of", "what it asks", "16G, 2 trackers, 1 %",
                  "all cells of one container", "two containers"], rows)


def scenarios(cells):
    names = ["a", "a, pins", "b", "c", "two containers", "busy"]
    found = [find(cells, n)[0] for n in names]
    rows = [[d] + [with_spread(c.spread(d, "cpu_ns"), micro)
                   if d in c.reps else "" for c in found]
            for d in ORDER if any(d in c.reps for c in found)]
    return table(["design"] + names, rows)


def sweep(cells, label):
    rows = [[d] + [f"{c.ratio(d, REFERENCE)[0]:.2f}" for c in cells]
            for d in cells[0].designs() if d != REFERENCE]
    rows.insert(0, [f"{REFERENCE}, µs"] +
                [micro(c.median(REFERENCE, "cpu_ns")) for c in cells])
    return table(["design"] + [label(c) for c in cells], rows)


def marking(cells):
    def ns(c, d):
        marks = c.memory / 4096 * c.density
        return with_spread([v / marks for v in c.spread(d, "ns")],
                           "{:.1f}".format)
    return table(["marks go to"] + [f"devices: {c.trackers}" for c in cells],
                 [[where] + [ns(c, d) for c in cells] for where, d in
                  (("a log each", "split-lean"), ("one bitmap", "shared"))])


def code_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    return [line for line in text.splitlines() if line.strip()]


def complexity():
    with open(os.path.join(ROOT, "bench/kernel/designs.h"),
              encoding="utf-8") as f:
        calls = re.findall(r"DESIGN_API int (\w+?)_\w+\(", f.read())
    rows = []
    for name, sides in FILES.items():
        code = [[line for path in side for line in code_of(path)]
                for side in sides]
        text = "\n".join(code[0] + code[1])
        own = calls.count(name)
        rows.append([name, str(len(code[0])),
                     str(len(code[1])) if code[1] else "",
                     str(own) if own else "",
                     str(len(re.findall(r"-E[A-Z]{3,}", text))),
                     str(len(re.findall(r"if \(!?(?:err|ret|merged)\b", text))),
                     ", ".join(os.path.basename(p)
                               for side in sides for p in side)])
    return table(["what", "kernel's lines", "program's lines", "operations",
                  "refusals", "branches on errors", "counted"], rows)


def host():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    return (f"{os.cpu_count()} × {model[1] if model else platform.machine()}, "
            f"Linux {platform.release().split('-')[0]}")


def figures(cells, where):
    density = find(cells, "density")

    def percent(c):
        return f"{c.density * 100:g} %"
    parts = [
        f"Measured on {where}. Medians; in brackets the least and the most of "
        "the repetitions. CPU is the reader's; ratios are of CPU, each within "
        "one repetition.",
        "### In short", in_short(cells),
        "### 16G, two trackers, 1 % of pages, scattered",
        one_cell(find(cells, "base")[0]),
        "### As many pages, in clusters of 1 MiB",
        one_cell(find(cells, "base, clustered")[0]),
        "### Scenarios: CPU a read, µs", scenarios(cells),
        "### Memory: CPU against split-lean, 0.1 % scattered",
        sweep(find(cells, "memory"), lambda c: size(c.memory)),
        "### Trackers in one container: 4G, 1 % scattered each",
        sweep(find(cells, "trackers"), lambda c: str(c.trackers)),
        "### Density: scattered",
        sweep([c for c in density if not c.clustered], percent),
        "### Density: in clusters",
        sweep([c for c in density if c.clustered], percent),
        "### Page size: the same 1 % of 4K pages written",
        sweep(find(cells, "page"), lambda c: size(c.page_size)),
        "### What devices take: ns a mark, all marking at once",
        marking(find(cells, "marking")),
        "### Complexity, counted from the sources", complexity(),
    ]
    return "\n\n".join(parts)


PANELS = [("memory", "memory, GiB", lambda c: c.memory / 2**30, None),
          ("trackers", "trackers", lambda c: c.trackers, None),
          ("density", "pages dirty, scattered, %", lambda c: c.density * 100,
           lambda c: not c.clustered and c.density),
          ("density", "pages dirty, clustered, %", lambda c: c.density * 100,
           lambda c: c.clustered and c.density)]
DRAWN = [("split", "#999999"), ("split-lean", "#0072b2"),
         ("funnel-lean", "#56b4e9"), ("funnel", "#d55e00"),
         ("split-words", "#009e73"), ("funnel-borrow", "#e69f00"),
         ("shared", "#cc79a7"), ("limit", "#000000")]


def plot(cells, path):
    script = ["set terminal svg size 960,760 font 'sans-serif,12' "
              "background rgb 'white'", f"set output '{path}'",
              "set logscale xy", "set grid ytics lc rgb '#dddddd'",
              "set format y '%.0s %c'", "set ylabel 'CPU a read, s'",
              "set key off", "set format x '%g'",
              "set multiplot layout 2,2 margins 0.08,0.80,0.08,0.97 "
              "spacing 0.11,0.12"]
    for n, (name, label, x, keep) in enumerate(PANELS):
        shown = [c for c in find(cells, name) if not keep or keep(c)]
        script.append(f"set xlabel '{label}'")
        values = [x(c) for c in shown]
        script.append(f"set xrange [{min(values) * 0.8:g}:{max(values) * 1.25:g}]")
        script.append(f"set xtics ({', '.join(f'{x(c):g}' for c in shown)})")
        if n == 1:
            script.append("set key at screen 0.99,0.95 right top Left reverse")
        else:
            script.append("set key off")
        curves, data = [], []
        for design, colour in DRAWN:
            curves.append(f"'-' with yerrorlines lc rgb '{colour}' pt 7 ps 0.4 "
                          f"title '{design}'")
            for c in shown:
                data.append(" ".join(f"{v:g}" for v in (
                    x(c), *(ns / 1e9 for ns in c.spread(design, "cpu_ns")))))
            data.append("e")
        script.append("plot " + ", ".join(curves))
        script += data
    script.append("unset multiplot")
    subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("build")
    args.add_argument("--small", action="store_true")
    args.add_argument("--from", dest="lines")
    args.add_argument("--docs", default=os.path.join(ROOT, "docs"))
    args = args.parse_args()
    lines = args.lines
    if not lines:
        lines = os.path.join(args.build, f"split-or-funnel{'-small' * args.small}.jsonl")
        with open(lines, "w", encoding="utf-8") as out:
            subprocess.run([os.path.join(args.build, "bench/split-or-funnel")] +
                           ["--small"] * args.small, stdout=out, check=True)
    cells = load(lines)
    text = figures(cells, host())
    page = os.path.join(args.docs, "split-or-funnel.md")
    with open(page, encoding="utf-8") as f:
        old = f.read()
    before, rest = old.split(BEGIN)
    after = rest.split(END)[1]
    with open(page, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n{text}\n{END}{after}")
    print(text)
    if shutil.which("gnuplot"):
        plot(cells, os.path.join(args.docs, "split-or-funnel.svg"))
    else:
        print("report.py: no gnuplot, so no plots", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

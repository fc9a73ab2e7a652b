#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The one command writes every table, with every design and cell in it.

usage: test_report.py BUILD ROOT
"""
import os
import re
import subprocess
import sys
import tempfile


def main(build, root):
    report = os.path.join(root, "bench", "report.py")
    with tempfile.TemporaryDirectory() as docs:
        page = os.path.join(docs, "split-or-funnel.md")
        with open(page, "w", encoding="utf-8") as f:
            f.write("before\n<!-- figures: begin -->\nold\n"
                    "<!-- figures: end -->\nafter\n")
        run = [sys.executable, report, build, "--small", "--docs", docs]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        with open(page, encoding="utf-8") as f:
            text = f.read()
    assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n")
    assert "\nold\n" not in text
    tables = [t for t in text.split("\n\n") if t.startswith("|")]
    assert len(tables) == 11, len(tables)
    with open(os.path.join(root, "bench", "run.c"), encoding="utf-8") as f:
        designs = re.findall(r'\{ "([a-z-]+)", &run_', f.read())
    assert len(designs) == 13, designs
    for design in designs:
        assert f"\n| {design} | " in text, design
    for row in [r for r in text.splitlines() if r.startswith("|")]:
        assert row.count("|") > 3, row
    # Both sides of each design were found and counted.
    for name in ("split", "funnel", "shared"):
        row = re.search(rf"^\| {name} \| (\d+) \| (\d+) \| (\d+) \|",
                        tables[-1], re.M)
        assert row and all(int(n) for n in row.groups()), tables[-1]


if __name__ == "__main__":
    main(*sys.argv[1:])

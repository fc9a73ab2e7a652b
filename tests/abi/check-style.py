#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clang-format and clang-tidy over every source file.

usage: check-style.py BUILD [--format-only]

BUILD holds compile_commands.json.  Prints what differs; exits 1 if anything
does.
"""
import concurrent.futures
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOPS = ("include", "src", "models", "softvfio", "tools", "examples", "fuzz", "tests", "rig")


def sources():
    for top in TOPS:
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            # The kernel's own style, of which clang-format knows a part.
            if folder == os.path.join(ROOT, "rig", "module"):
                continue
            yield from (os.path.join(folder, n) for n in sorted(names)
                        if n.endswith((".c", ".h")))


def run(*argv):
    p = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    return p.returncode, p.stdout


def main():
    build = os.path.abspath(sys.argv[1])
    files = list(sources())
    bad = 0
    for at in range(0, len(files), 50):
        code, text = run("clang-format", "--dry-run", "-Werror", *files[at:at + 50])
        if code:
            bad = 1
            print(text)
    if "--format-only" in sys.argv:
        return bad
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        built = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(f)}
    tidy = [f for f in files if f in built and "/tests/" not in f]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # gcc's own warnings, unknown to clang, would be errors, and after an
        # error the analyser does not run.
        jobs = pool.map(lambda f: run("clang-tidy", "-p", build, "--quiet",
                                      "--extra-arg=-Wno-unknown-warning-option", f), tidy)
        for f, (code, text) in zip(tidy, jobs):
            if code:
                bad = 1
                print(f"{os.path.relpath(f, ROOT)}:\n{text}")
    print(f"{len(files)} files formatted, {len(tidy)} analysed: {'bad' if bad else 'good'}")
    return bad


if __name__ == "__main__":
    sys.exit(main())

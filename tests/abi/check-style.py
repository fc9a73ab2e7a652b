#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clang-format and clang-tidy over every source file.

usage: check-style.py BUILD [--format-only]

BUILD holds compile_commands.json.  Prints what differs; exits 1 if anything
does.  A file that was found good is not analysed again until what the compiler
sees of it, or the analysis, is another: an empty file in SPOOR_STYLE_CACHE or
~/.cache/spoor-style stands for it.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOPS = ("include", "src", "models", "softvfio", "tools", "bench", "examples", "fuzz",
        "tests", "rig")


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


def analysis():
    """What a verdict depends on beside the file: the analyser, its checks."""
    _, version = run("clang-tidy", "--version")
    checks = pathlib.Path(ROOT, ".clang-tidy").read_text(encoding="utf-8")
    return f"{version}{checks}".encode()


def seen(command, path):
    """What the compiler sees of PATH, comments and macros too; None: nothing."""
    argv = shlex.split(command["command"])
    argv = argv[:argv.index("-MD")]
    options = [word for word in argv if word.startswith("-")]
    # Relative: the same in every checkout.
    argv += ["-E", "-C", "-dD", "-fno-working-directory", "-o", "-",
             os.path.relpath(path, command["directory"])]
    p = subprocess.run(argv, cwd=command["directory"], capture_output=True,
                       check=False)
    return None if p.returncode else repr(options).encode() + p.stdout


def tidy(build, path, command, cache, how):
    text = seen(command, path)
    good = cache / hashlib.sha256(how + (text or b"")).hexdigest()
    if text and good.exists():
        return 0, ""
    # gcc's own warnings, unknown to clang, would be errors, and after an error
    # the analyser does not run.
    code, said = run("clang-tidy", "-p", build, "--quiet",
                     "--extra-arg=-Wno-unknown-warning-option", path)
    if text and not code:
        good.touch()
    return code, said


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
        built = {os.path.normpath(os.path.join(c["directory"], c["file"])): c
                 for c in json.load(f)}
    todo = [f for f in files if f in built and "/tests/" not in f]
    cache = pathlib.Path(os.environ.get("SPOOR_STYLE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
        "spoor-style"))
    cache.mkdir(parents=True, exist_ok=True)
    how = analysis()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = pool.map(lambda f: tidy(build, f, built[f], cache, how), todo)
        for f, (code, text) in zip(todo, jobs):
            if code:
                bad = 1
                print(f"{os.path.relpath(f, ROOT)}:\n{text}")
    print(f"{len(files)} files formatted, {len(todo)} analysed: {'bad' if bad else 'good'}")
    return bad


if __name__ == "__main__":
    sys.exit(main())

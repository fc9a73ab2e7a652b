# SPDX-License-Identifier: MIT
"""Usage, help, and what is not built yet."""

import json
import os
import pathlib
import pty
import re
import shutil
import socket
import subprocess

import pytest

from conftest import EXAMPLES, LIMIT, SPOOR

MAN = pathlib.Path(os.environ["SPOOR_MAN"])
BUILT = ["migrate", "receive", "track", "probe", "check", "bench", "plan",
         "report", "compare"]
LATER = ["serve"]


def test_no_verb_shows_usage(spoor):
    run = spoor()
    assert run.code == 2
    assert "Usage: spoor VERB" in run.err


@pytest.mark.parametrize("verb", BUILT)
def test_help_of_verb(spoor, verb):
    run = spoor(verb, "--help")
    assert run.code == 0
    assert f"Usage: spoor {verb}" in run.out
    assert "--json" in run.out


@pytest.mark.parametrize("verb", BUILT)
def test_help_verb_shows_options_without_terminal(spoor, verb):
    assert spoor("help", verb).out == spoor(verb, "--help").out


def on_terminal(args, env):
    """What the command writes to a terminal, and its status."""
    here, there = pty.openpty()
    p = subprocess.Popen([SPOOR, *args], stdin=there, stdout=there,
                         stderr=there, env={**os.environ, **env})
    os.close(there)
    out = b""
    try:
        while more := os.read(here, 4096):
            out += more
    except OSError:
        pass
    os.close(here)
    return p.wait(timeout=LIMIT), out.decode()


@pytest.mark.parametrize("man", ["echo \"man $*\"", "echo none >&2; exit 16",
                                 None], ids=["man", "no-page", "no-man"])
def test_help_verb_on_a_terminal_shows_the_page_or_options(tmp_path, man):
    if man:
        (tmp_path / "man").write_text(f"#!/bin/sh\n{man}\n")
        (tmp_path / "man").chmod(0o755)
    code, out = on_terminal(["help", "migrate"], {"PATH": str(tmp_path)})
    assert code == 0
    if not man or "exit" in man:
        assert "Usage: spoor migrate" in out and "none" not in out
        return
    built = pathlib.Path(SPOOR).parent / "man/spoor-migrate.1"
    assert out.strip() == (f"man -l {built}" if built.exists()
                           else "man spoor-migrate")


@pytest.mark.parametrize("verb", LATER)
def test_later_verbs_say_so(spoor, verb):
    run = spoor(verb, "x")
    assert run.code == 2
    assert "not in this version" in run.err


@pytest.mark.parametrize("verb", LATER)
def test_help_of_later_verbs_says_what_they_will_be(spoor, verb):
    run = spoor(verb, "--help")
    assert run.code == 0 and run.err == ""
    assert f"Usage: spoor {verb}" in run.out
    assert "not in this version" in run.out
    assert run.out == spoor("help", verb).out


@pytest.mark.parametrize("args,text", [
    (["fly"], "no such verb"),
    (["migrate"], "usage"),
    (["migrate", "a", "b"], "usage"),
    (["migrate", "--fast", "x"], "--fast: unknown option"),
    (["migrate", "x", "--to"], "needs a value"),
    (["migrate", "x", "--verify", "maybe"], "must be full|off"),
    (["migrate", "x", "--cpu-tracker", "magic"], "must be auto, async"),
    (["track", "x", "--seconds", "soon"], "--seconds soon"),
    (["track", "x", "--interval", "0"], "must be a number of seconds above 0"),
    (["track", "x", "--interval", "1e-9"], "must be a number of seconds"),
    (["receive", "x"], "--listen ADDR is needed"),
    (["migrate", str(EXAMPLES / "cpu-only.json"), "--control", ""],
     "--control: must be a path"),
    (["help", "fly"], "no such verb"),
])
def test_bad_usage(spoor, args, text):
    run = spoor(*args)
    assert run.code == 2
    assert text in run.err
    assert run.out == ""


def test_version(spoor):
    run = spoor("--version")
    assert run.code == 0
    assert re.fullmatch(r"spoor \d+\.\d+\.\d+\n", run.out)


@pytest.mark.parametrize("verb", BUILT)
def test_manual_page_has_every_option(spoor, verb):
    """One table feeds help; the page must not lag behind it."""
    options = re.findall(r"^  (--[a-z-]+)", spoor(verb, "--help").out, re.M)
    assert options
    page = (MAN / f"spoor-{verb}.1.scd").read_text()
    for option in options:
        assert f"*{option}*" in page, option


def test_completion_lists_verbs_and_options(spoor):
    run = spoor("help", "--completion")
    assert run.code == 0
    for verb in BUILT:
        assert f"\t{verb}) words=" in run.out
    assert "machine-source" not in run.out
    assert "--control-fd" not in run.out


def test_unreachable_destination_fails_before_anything_runs(spoor, machine):
    run = spoor("migrate", machine(), "--to", "unix:/nonexistent/s")
    assert run.code == 1
    assert "--to unix:/nonexistent/s" in run.err


def test_spoor_whose_library_cannot_be_preloaded_runs_nothing(tmp_path,
                                                              machine):
    if "SOFTVFIO_SANITIZED" in os.environ:
        pytest.skip("it has softvfio linked in")
    there = tmp_path / "a b"
    there.mkdir()
    build = pathlib.Path(os.environ["SPOOR"]).parent
    for path in [build / "spoor", *build.glob("lib*.so*")]:
        if path.is_file():
            shutil.copy(path, there, follow_symlinks=False)
    done = subprocess.run([there / "spoor", "migrate", machine()], text=True,
                          capture_output=True,
                          env={**os.environ, "LD_LIBRARY_PATH": str(there)})
    assert done.returncode == 1
    assert "a blank, a colon or a dollar sign" in done.stderr
    assert done.stdout == ""


def test_machine_process_without_softvfio_opens_nothing(tmp_path, machine):
    """Whatever lost the library on the way: models are not hardware."""
    ours, its = socket.socketpair()
    env = {k: v for k, v in os.environ.items() if k != "SOFTVFIO_CONFIG"}
    with ours, its:
        subprocess.run(
            [os.environ["SPOOR"], "machine-probe", "--control-fd",
             str(its.fileno()), "--parent", str(os.getpid()), "--", machine()],
            pass_fds=[its.fileno()], env=env, timeout=LIMIT, check=True)
        its.close()
        said = ours.makefile().read()
    failed = json.loads(said)
    assert failed["event"] == "_failed" and failed["exit"] == 1
    assert "softvfio was not loaded" in failed["error"]


def test_track_ends_when_nobody_reads_on(start, machine):
    p = start("track", machine(), "--interval", "0.1")
    # A device's note may come first.
    assert any(p.stdout.readline().startswith("Plan") for _ in range(2))
    p.stdout.close()
    p.stdout = None
    _, err = p.communicate(timeout=LIMIT)
    assert p.returncode == 1
    assert "nobody reads" in err
    assert list(start.scratch.iterdir()) == []


@pytest.mark.parametrize("args,code", [
    (["--version"], 1), (["--help"], 1), (["help"], 1),
    (["migrate", "--help"], 1), (["help", "migrate"], 1),
    (["help", "--completion"], 1), (["probe", "MACHINE"], 1),
    (["probe", "MACHINE", "--json"], 1),
    (["track", "MACHINE", "--interval", "0.1"], 1),
    (["migrate", "MACHINE", "--quiet"], 0),
    (["migrate", "MACHINE", "--quiet", "--json"], 0),
], ids=lambda v: " ".join(v) if isinstance(v, list) else str(v))
def test_output_that_cannot_be_written_is_told(spoor, machine, args, code):
    """Only where the machine is comes before what was printed of it."""
    args = [str(machine()) if a == "MACHINE" else a for a in args]
    with open("/dev/full", "w", encoding="ascii") as full:
        run = spoor(*args, stdout=full)
    assert run.code == code, run.err
    assert run.err.count("spoor: standard output: No space left") == 1


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_runs_without_standard_descriptors(spoor, machine, closed):
    run = spoor("migrate", machine(), "--json", closed=closed)
    assert run.code == 0, run.err
    if 1 not in closed:
        assert run.result()["verified"]


def test_help_of_probe_promises_no_result(spoor, machine):
    assert "the last one the result" not in spoor("probe", "--help").out
    assert spoor("probe", machine(), "--json").of("result") == []


def test_report_without_the_library_that_draws_is_77(spoor, machine):
    run = spoor("report", "/dev/null", "-o", "/dev/null")
    if run.code != 77:
        pytest.skip("this spoor was built with it")
    assert "built without the library that draws" in run.err
    run = spoor("migrate", machine(), "--json", "--report", "/dev/null")
    assert run.code == 77 and run.of("plan") == []

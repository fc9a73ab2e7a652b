# SPDX-License-Identifier: MIT
"""softvfio run: any dynamically linked program on software devices."""

import os
import pathlib
import shutil
import struct
import subprocess

import pytest

from conftest import EXAMPLES, LIMIT, SPOOR

RUN = os.environ["SOFTVFIO_RUN"]
UAPI_ONLY = os.environ["SOFTVFIO_UAPI_ONLY"]
MACHINE = EXAMPLES / "uapi-only.json"
# A sanitizer's runtime must come first: its builds cannot be preloaded.
preloads = pytest.mark.skipif("SOFTVFIO_SANITIZED" in os.environ,
                              reason="a sanitized library is not preloaded")


@pytest.fixture
def softvfio(tmp_path):
    scratch = tmp_path / "tmp"
    scratch.mkdir()

    def run(*args, env=None):
        return subprocess.run([RUN, *map(str, args)], text=True,
                              capture_output=True, timeout=LIMIT,
                              env={**os.environ, "TMPDIR": str(scratch),
                                   **(env or {})})

    yield run
    assert list(scratch.iterdir()) == [], "left behind"


@preloads
def test_program_that_knows_only_the_uapi_sees_its_dirty_pages(softvfio):
    done = softvfio("run", MACHINE, "--", UAPI_ONLY)
    assert done.returncode == 0, done.stderr
    pages = {int(line.split()[1], 16) for line in done.stdout.splitlines()}
    filled = {0x10000 + i * 4096 for i in range(16)}
    assert pages == filled | {0x80000}


def test_program_sees_devices_only_under_the_launcher(softvfio):
    if os.path.exists("/dev/vfio/devices"):
        pytest.skip("this machine has VFIO devices of its own")
    plain = subprocess.run([UAPI_ONLY], capture_output=True, text=True)
    assert plain.returncode == 1
    assert "/dev/vfio" in plain.stderr


def test_bad_machine_is_named(softvfio, machine):
    done = softvfio("run", machine(lambda m: {**m, "nonsense": 1}), "--",
                    "true")
    assert done.returncode == 2
    assert "nonsense: unknown key" in done.stderr


def test_missing_program_is_127(softvfio):
    done = softvfio("run", MACHINE, "--", "no-such-program-anywhere")
    assert done.returncode == 127


def test_text_file_is_no_program(softvfio, tmp_path):
    path = tmp_path / "text"
    path.write_text("hello\n")
    path.chmod(0o755)
    done = softvfio("run", MACHINE, "--", path)
    assert done.returncode == 126
    assert "neither an ELF program nor a script" in done.stderr


def test_static_program_is_refused(softvfio, tmp_path):
    cc = shutil.which("cc")
    if not cc:
        pytest.skip("no compiler")
    source = tmp_path / "s.c"
    source.write_text("int main(void) { return 0; }\n")
    built = subprocess.run([cc, "-static", "-o", tmp_path / "s", source],
                           capture_output=True)
    if built.returncode:
        pytest.skip("no static C library")
    done = softvfio("run", MACHINE, "--", tmp_path / "s")
    assert done.returncode == 126
    assert "statically linked" in done.stderr


@pytest.mark.parametrize("directory", ["a b", "a:b", "a$LIB"])
def test_library_that_cannot_be_preloaded_is_refused(tmp_path, directory):
    """The loader would go without it: to the machine's own VFIO."""
    there = tmp_path / directory
    there.mkdir()
    for name in ("softvfio", "libsoftvfio.so"):
        shutil.copy(pathlib.Path(RUN).parent / name, there)
    done = subprocess.run([there / "softvfio", "run", MACHINE, "--", "echo",
                           "it runs"], capture_output=True, text=True)
    assert done.returncode == 126
    assert done.stdout == ""
    assert "a blank, a colon or a dollar sign" in done.stderr


def test_program_with_capabilities_is_refused(softvfio, tmp_path):
    path = shutil.copy(shutil.which("true"), tmp_path / "true")
    try:
        # VFS_CAP_REVISION_2, effective; CAP_NET_RAW.
        os.setxattr(path, "security.capability",
                    struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    except OSError as e:
        pytest.skip(f"no file capabilities here: {e}")
    done = softvfio("run", MACHINE, "--", path)
    assert done.returncode == 126
    assert "capabilities of its own" in done.stderr


@preloads
def test_exit_code_is_the_program_s(softvfio):
    assert softvfio("run", MACHINE, "--", "sh", "-c",
                    "exit 42").returncode == 42


@pytest.mark.parametrize("args", [[], ["run"], ["run", "m"],
                                  ["run", "m", "--"], ["fly"]])
def test_bad_usage(softvfio, args):
    done = softvfio(*args)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_help_is_no_error(softvfio):
    for args in (["--help"], ["run", "--help"], ["run", "-h"]):
        done = softvfio(*args)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Usage: softvfio run")
        assert done.stderr == ""


@preloads
def test_counters_that_cannot_be_written_are_told_once(softvfio):
    done = softvfio("run", MACHINE, "--", UAPI_ONLY,
                    env={"SOFTVFIO_STATS": "/nonexistent/stats.%p"})
    assert done.returncode == 0
    assert done.stderr == ("softvfio: SOFTVFIO_STATS: "
                           "/nonexistent/stats.%p: "
                           "No such file or directory\n")


@preloads
@pytest.mark.parametrize("command,code", [
    ([RUN, "run", MACHINE, "--", UAPI_ONLY], 126),
    ([SPOOR, "migrate", EXAMPLES / "cpu-only.json"], 77),
    ([SPOOR, "probe", MACHINE], 77),
], ids=["softvfio", "migrate", "probe"])
def test_machine_without_proc_says_so(command, code):
    without = ["unshare", "-rm", "sh", "-c",
               'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if subprocess.run([*without, "true"], check=False,
                      capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run([*without, *map(str, command)], text=True,
                          capture_output=True, timeout=LIMIT)
    assert done.returncode == code, done.stderr
    assert "/proc is needed" in done.stderr

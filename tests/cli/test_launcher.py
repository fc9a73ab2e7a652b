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


def static(path, tmp_path):
    """Makes a statically linked program, or skips."""
    cc = shutil.which("cc")
    if not cc:
        pytest.skip("no compiler")
    source = tmp_path / "s.c"
    source.write_text("int main(void) { return 0; }\n")
    built = subprocess.run([cc, "-static", "-o", path, source],
                           capture_output=True)
    if built.returncode:
        pytest.skip("no static C library")


def test_static_program_is_refused(softvfio, tmp_path):
    static(tmp_path / "s", tmp_path)
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


LOADER = "/lib64/ld-linux-x86-64.so.2"
loads = pytest.mark.skipif(not os.path.exists(LOADER),
                           reason="glibc's loader is elsewhere here")


@preloads
@loads
def test_program_may_be_loaded_by_name(softvfio):
    """As one of another release is, by its own loader."""
    done = softvfio("run", MACHINE, "--", LOADER, "--library-path",
                    "/nowhere", "--argv0", "other", UAPI_ONLY)
    assert done.returncode == 0, done.stderr
    assert "dirty: 0x80000" in done.stdout


@loads
@pytest.mark.parametrize("args,why", [
    ([], "is given no program"),
    (["--argv0"], "is given no program"),
    (["true"], "finds no program without a slash"),
    (["--library-path", "/bin", "/nowhere/x"], "/nowhere/x: it cannot be read"),
    ([LOADER, "/bin/true"], "it is no program"),
    (["SCRIPT"], "it is no program"),
    (["STATIC"], "statically linked"),
])
def test_what_a_loader_is_given_is_looked_at(softvfio, tmp_path, args, why):
    script = tmp_path / "SCRIPT"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    if args == ["STATIC"]:
        static(tmp_path / "STATIC", tmp_path)
    args = [tmp_path / a if a.isupper() else a for a in args]
    done = softvfio("run", MACHINE, "--", LOADER, *args)
    assert done.returncode == 126
    assert why in done.stderr


FDS = """
import fcntl, os, struct, subprocess
print(os.readlink("/proc/self/fd/20"), os.readlink("/proc/self/fd/21"))
print(fcntl.ioctl(21, 0x3b81, struct.pack("<III", 12, 0, 0)).hex())
print(os.environ.get("SOFTVFIO_FDS"))
child = "ls -l /proc/self/fd; echo $SOFTVFIO_FDS"
print("memfd" in subprocess.run(["sh", "-c", child], capture_output=True,
                                text=True, close_fds=False).stdout)
"""


@preloads
@pytest.mark.parametrize("device", ["dsa0", "/dev/vfio/devices/vfio0"])
def test_program_finds_descriptors_open_and_its_children_do_not(softvfio,
                                                                device):
    done = softvfio("run", MACHINE, "--fd", f"20={device}", "--fd",
                    "21=iommu", "--", "/usr/bin/python3", "-c", FDS)
    assert done.returncode == 0, done.stderr
    names, ioas, variable, child = done.stdout.splitlines()
    assert "vfio-device" in names and "iommufd" in names
    # IOAS_ALLOC has answered with an id.
    assert ioas[:16] == "0c00000000000000" and ioas[16:] != "00000000"
    assert (variable, child) == ("None", "False")


@preloads
def test_descriptors_may_be_where_they_land_by_themselves(softvfio):
    code = ("import os; print([os.readlink(f'/proc/self/fd/{n}').split(':')[1]"
            " for n in (3, 4)])")
    done = softvfio("run", MACHINE, "--fd", "4=iommu", "--fd", "3=dsa0", "--",
                    "/usr/bin/python3", "-c", code)
    assert done.stdout.split() == ["['softvfio',", "'softvfio']"], done.stderr


@preloads
@pytest.mark.parametrize("fd,why", [
    ("20=nic0", 'neither a device, nor "iommu", nor a path'),
    ("0=dsa0", "0 is open already"),
    ("20=/etc/passwd", "no device of softvfio's"),
    ("20=/dev/vfio/99", "/dev/vfio/99: No such file"),
    ("x=dsa0", '"x" is not a number'),
    ("-1=dsa0", '"-1" is not a number'),
    ("99999999=dsa0", "above the limit of open files"),
    ("20", "must be NUMBER=NAME"),
    ("20=dsa0 21=iommu", "must be NUMBER=NAME"),
])
def test_descriptor_that_cannot_be_had_ends_it_before_it_begins(softvfio, fd,
                                                                why):
    done = softvfio("run", MACHINE, "--fd", fd, "--", "echo", "begun")
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr and done.stderr.count("\n") == 1


@preloads
def test_faults_are_planted_beside_the_machine_s_own(softvfio, machine):
    path = machine(base={
        "memory": [{"iova": "0x0", "size": "16M"}],
        "devices": [{"name": "a", "model": "nic", "fault": "dma-in-stop",
                     "fail": {"state-write": 4}},
                    {"name": "b", "model": "nic"}]})
    done = softvfio("run", path, "--fault", "a:log-overwrites", "--fault",
                    "a:deaf=64", "--fault", "a:fail_after=7", "--fault",
                    "b:run=1", "--fault", "b:log-start=2", "--fault",
                    "b:log-report=3", "--fault", "b:state-read=5", "--",
                    "sh", "-c", 'echo "$SOFTVFIO_CONFIG"')
    a, b = [dict(w.split("=", 1) for w in line.split()[1:])
            for line in done.stdout.strip().splitlines()]
    assert a["faults"] == "log-overwrites,dma-in-stop"
    assert (a["log_deaf"], a["log_fail_after"]) == ("64", "7")
    assert {k: v for k, v in a.items() if k.startswith("fail_")} == {
        "fail_log_start": "0", "fail_log_report": "0", "fail_state_read": "0",
        "fail_state_write": "4", "fail_run": "0"}
    assert b["faults"] == "" and b["log_deaf"] == "0"
    assert {k: v for k, v in b.items() if k.startswith("fail_")} == {
        "fail_log_start": "2", "fail_log_report": "3", "fail_state_read": "5",
        "fail_state_write": "0", "fail_run": "1"}


@pytest.mark.parametrize("fault,why", [
    ("dsa0:nonsense", "no such bug"),
    ("dsa0:nonsense=3", "with a number: log-start"),
    ("dsa0:run=x", "not a number"),
    ("dsa0:run=-1", "must be 0 to"),
    ("dsa0:run", "no such bug"),
    ("dsa0:dma-in-stop=1", "with a number: log-start"),
    ("nic0:run=1", "has no such device"),
    ("dsa0", "must be DEVICE:FAULT"),
    ("plain0:deaf=3", "plain0 has no tracker"),
    ("plain0:log-report=1", "plain0 has no tracker"),
    ("plain0:log-overwrites", "plain0 has no tracker"),
    ("plain0:dma-in-stop", "plain0 has no migration states"),
    ("plain0:run=1", "plain0 has no migration states"),
])
def test_fault_that_cannot_be_planted_is_named(softvfio, machine, fault, why):
    path = machine(base={
        "memory": [{"iova": "0x0", "size": "16M"}],
        "devices": [{"name": "dsa0", "model": "dsa", "tracker": {}},
                    {"name": "plain0", "model": "plain"}]})
    done = softvfio("run", path, "--fault", fault, "--", "echo", "begun")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"softvfio: --fault {fault}: ")
    assert why in done.stderr


@preloads
def test_exit_code_is_the_program_s(softvfio):
    assert softvfio("run", MACHINE, "--", "sh", "-c",
                    "exit 42").returncode == 42


@pytest.mark.parametrize("args", [[], ["run"], ["run", "m"],
                                  ["run", "m", "--"], ["fly"]
                                  ])
def test_bad_usage(softvfio, args):
    done = softvfio(*args)
    assert done.returncode == 2
    assert "Usage" in done.stderr


@pytest.mark.parametrize("args,why", [
    (["--fd"], "--fd: needs a value"), (["--fault"], "--fault: needs a value"),
    (["--fly", "x"], "--fly: no such option"),
])
def test_bad_option_is_named(softvfio, args, why):
    done = softvfio("run", MACHINE, *args)
    assert done.returncode == 2
    assert done.stderr == f"softvfio: {why}\n"


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

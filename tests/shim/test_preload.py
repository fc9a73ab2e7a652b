# SPDX-License-Identifier: MIT
"""The shim under unmodified programs, preloaded: SHIM and PLAIN name the
library (with test doubles behind it) and the program tests/shim/plain.c."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

SHIM = os.environ["SHIM"]
PLAIN = os.environ["PLAIN"]
CONFIG = "device name=nic0 model=nic\ndevice name=dsa0 model=dsa"
CDEV0 = "/dev/vfio/devices/vfio0"
WHO = "3b64"


@pytest.fixture
def run(tmp_path):
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    trees = pathlib.Path(tempfile.mkdtemp(prefix="test-shim.", dir=shm))

    def run(*args, config=CONFIG, left=0, **env):
        full = {"PATH": os.environ["PATH"], "LD_PRELOAD": SHIM,
                "TMPDIR": str(trees), "LC_ALL": "C"}
        if config is not None:
            full["SOFTVFIO_CONFIG"] = config
        full.update(env)
        done = subprocess.run(args, env=full, capture_output=True, text=True,
                              timeout=60)
        assert len(list(trees.iterdir())) == left, "a tree was left behind"
        return done
    run.trees = trees
    run.tmp = tmp_path
    yield run
    shutil.rmtree(trees)


def test_inert_without_configuration(run):
    assert run(PLAIN, "exit", "/dev/null", WHO, config=None).stdout == "-1\n"
    done = run("ls", CDEV0, config=None)
    assert done.returncode != 0
    # Nothing was even looked at: the rest of the environment is not read.
    done = run(PLAIN, "exit", "/dev/null", WHO, config=None,
               SOFTVFIO_KERNEL="nonsense")
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_made_for_programs_that_ask_for_nothing(run):
    done = run("sh", "-c", "ls -l $TMPDIR | wc -l; cat /dev/null")
    assert done.stdout == "1\n"  # "total 0" alone


def test_a_plain_program_reaches_the_devices(run):
    assert run(PLAIN, "exit", CDEV0, WHO).stdout == "2000\n"
    assert run(PLAIN, "exit", "/dev/vfio/1", WHO).stdout == "1001\n"
    assert run(PLAIN, "exit", "/dev/vfio/vfio", WHO).stdout == "1\n"
    assert run(PLAIN, "exit", "/dev/iommu", WHO).stdout == "2\n"


@pytest.mark.parametrize("end", ["exit", "_exit", "exec"])
def test_no_tree_is_left_however_the_program_ends(run, end):
    assert run(PLAIN, end, CDEV0, WHO).returncode == 0


def test_a_killed_programs_tree_goes_with_the_next(run):
    assert run(PLAIN, "kill", CDEV0, WHO, left=1).returncode == -9
    # What is somebody else's stays: another form, a living process, a
    # process of another namespace, and what does not say.
    here = os.readlink("/proc/self/ns/pid")
    for name, ns in (("softvfio.x.y", here), ("softvfio.1.abcdef", here),
                     ("softvfio.4194303.abcdef", "pid:[1]"),
                     ("softvfio.4194302.abcdef", None)):
        (run.trees / name).mkdir()
        if ns:
            (run.trees / name / "pidns").symlink_to(ns)
    run(PLAIN, "exit", CDEV0, WHO, left=4)


def test_what_an_exec_leaves_goes_with_the_next(run):
    run("sh", "-c", "test -e /dev/vfio/0 && exec true", left=1)
    run(PLAIN, "exit", CDEV0, WHO)


def test_children_that_are_executed_have_softvfio_too(run):
    done = run("sh", "-c", f"{PLAIN} exit {CDEV0} {WHO}; "
                           f"{PLAIN} _exit /dev/iommu {WHO} | cat")
    assert done.stdout == "2000\n2\n"


@pytest.mark.parametrize("kernel,more", [("6.1", []), ("6.12", ["iommufd"]),
                                         ("latest", ["iommufd"])])
def test_modules_that_are_listed_are_vfio_s(run, kernel, more):
    done = run("ls", "/sys/module", SOFTVFIO_KERNEL=kernel)
    assert done.stdout.split() == more + ["vfio", "vfio_iommu_type1",
                                          "vfio_pci", "vfio_pci_core"]
    done = run("cat", "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
    assert done.stdout == "N\n"


def test_common_tools_see_nodes_and_sysfs(run):
    pci = "/sys/bus/pci/devices/0000:01:00.0"
    assert run("cat", pci + "/vendor").stdout == "0x1d55\n"
    assert run("cat", pci + "/device").returncode == 0
    assert run("readlink", pci + "/iommu_group").stdout.endswith("/0\n")
    assert run("realpath", pci).stdout.startswith("/sys/devices/pci0000:01/")
    assert run("ls", "/sys/bus/pci/devices").stdout.split() == [
        "0000:01:00.0", "0000:02:00.0"]
    assert run("ls", "/dev/vfio").stdout.split() == ["0", "1", "devices",
                                                     "vfio"]
    for path in ["/dev/vfio", CDEV0, pci]:
        assert run("ls", "-l", path).stderr == ""
    done = run("stat", "-c", "%F %t:%T", CDEV0)
    assert done.stdout == "character special file 1ff:0\n"
    assert run("cat", "/sys/class/vfio-dev/vfio0/dev").stdout == "511:0\n"
    assert run("sh", "-c", f"test -c {CDEV0}").returncode == 0
    assert run("sh", "-c", "cat /sys/kernel/mm/transparent_hugepage/enabled; "
                           "test -d /sys/kernel/mm").returncode == 0


def test_before_cdev_there_are_groups_only(run):
    env = {"SOFTVFIO_KERNEL": "6.1"}
    assert run("ls", "/dev/vfio", **env).stdout.split() == ["0", "1", "vfio"]
    assert run("ls", "/dev/iommu", **env).returncode != 0
    done = run("ls", "/sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio0", **env)
    assert done.returncode == 0 and "dev" not in done.stdout.split()
    assert run(PLAIN, "exit", "/dev/vfio/1", WHO, **env).stdout == "1001\n"


@pytest.mark.parametrize("env, why", [
    ({"config": "device name=a"}, "SOFTVFIO_CONFIG: line 1: model: missing"),
    ({"config": "\ndevice name=a model=b x=1"},
     'SOFTVFIO_CONFIG: line 2: unknown key "x"'),
    ({"SOFTVFIO_KERNEL": "5.4"}, 'SOFTVFIO_KERNEL: "5.4"'),
])
def test_half_a_machine_never_runs(run, env, why):
    done = run(PLAIN, "exit", "/dev/null", WHO, **env)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("softvfio: " + why)
    assert done.stderr.count("\n") == 1


def test_without_room_for_its_tree_it_does_not_fall_back(run):
    env = {"TMPDIR": "/nonexistent"}
    done = run(PLAIN, "exit", "/dev/null", WHO, **env)
    assert done.stdout == "-1\n"
    done = run(PLAIN, "exit", CDEV0, WHO, **env)
    assert done.returncode == 2
    assert done.stderr.startswith("softvfio: cannot make /nonexistent/")


def test_counters_are_written_at_the_end(run):
    stats = run.tmp / "stats-%p.json"
    child = 'echo $$; exec "$0" exit %s %s' % (CDEV0, WHO)
    done = run("sh", "-c", child, PLAIN, SOFTVFIO_STATS=str(stats))
    pid, answer = done.stdout.split()
    assert answer == "2000"
    assert [p.name for p in run.tmp.glob("stats*")] == [f"stats-{pid}.json"]
    got = json.loads((run.tmp / f"stats-{pid}.json").read_text())
    assert set(got) == {"devices", "spaces"}
    assert [d["name"] for d in got["devices"]] == ["nic0", "dsa0"]
    nic = got["devices"][0]
    states = nic.pop("states")
    assert nic.pop("entered_ns") == list(range(200))
    stopped = nic.pop("stopped")
    assert nic == {"name": "nic0", "dma_writes": 1, "dma_bytes": 2, "marks": 3,
                   "reports": 4, "pages_reported": 5, "discarded": 10,
                   "dropped": 6,
                   "backlog_dropped": 7, "faults": 8, "violations": 9,
                   "peer_writes": 0, "late_writes": 17, "pages_saved": 18,
                   "report_ns": 21, "irqs": 22,
                   "state_bytes": {"saved": 19, "loaded": 20}, "loaded": 25,
                   "ran": False, "ran_on": True,
                   "truth": {"checks": 26, "checked": 27, "pages_lost": 28,
                             "overwritten": 29, "check_at": 31,
                             "check_ns": 30, "lost": [
                                 {"iova": "0x1000", "len": 4096},
                                 {"iova": "0xfffffffffffff000",
                                  "len": 4096}]}}
    # What it had done when it stood still: the same counters, then.
    assert stopped == {"times": 23, "dma_writes": 24} | {
        k: 0 for k in ("dma_bytes", "marks", "reports", "pages_reported",
                       "discarded", "dropped", "backlog_dropped", "faults",
                       "violations", "peer_writes", "late_writes",
                       "pages_saved")}
    assert len(states) == 200
    assert states[:8] == ["RUNNING", "PRE_COPY", "PRE_COPY_P2P", "STOP_COPY",
                          "STOP", "RESUMING", "RUNNING_P2P", "ERROR"]
    assert got["spaces"] == [{"name": "ioas1.hwpt2", "marks": 11,
                              "dirty_reads": 12, "pages_reported": 13,
                              "discarded": 14, "write_faults": 15,
                              "read_ns": 16}]


def test_a_wrapper_does_not_write_over_its_childs_counters(run):
    stats = run.tmp / "stats.json"
    run("sh", "-c", f"{PLAIN} exit {CDEV0} {WHO}; chmod 400 {stats}; :",
        SOFTVFIO_STATS=str(stats))
    assert stats.stat().st_mode & 0o777 == 0o400


def test_a_descriptor_closed_behind_our_back_means_nothing_later(run):
    # os.fdopen closes with a direct call of libc's; Python's own open() and
    # os.dup() give numbers away that were ours.
    code = f"""
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("{CDEV0}", os.O_RDWR)
assert fcntl.ioctl(fd, 0x{WHO}) == 2000
assert libc.syscall(3, fd) == 0
other = os.open("/dev/null", os.O_RDWR)
assert other == fd
try:
    fcntl.ioctl(other, 0x{WHO})
    raise SystemExit("still a device")
except OSError:
    pass
"""
    done = run("/usr/bin/python3", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def calls_that_take_paths_or_descriptors():
    """From the headers: prototypes with a parameter called __fd, __path..."""
    headers = ("dirent fcntl poll stdio stdlib unistd sys/epoll sys/file "
               "sys/ioctl sys/mman sys/select sys/sendfile sys/stat "
               "sys/statvfs sys/time sys/uio sys/vfs sys/xattr ftw glob")
    source = "#define _GNU_SOURCE\n" + "".join(
        f"#include <{h}.h>\n" for h in headers.split())
    text = subprocess.run(["cc", "-E", "-P", "-x", "c", "-"], input=source,
                          capture_output=True, text=True, check=True).stdout
    word = (r"\b__(fd\d?|fildes|file|filename|path|dirfd|dfd|tofd|fromfd|"
            r"infd|outfd|in_fd|out_fd|fdin|fdout|oldfd|newfd)\b")
    found = set()
    for name, args in re.findall(r"\b(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)"
                                 r"[^;{}]*;", " ".join(text.split())):
        if re.search(word, args) and not name.startswith("__attribute"):
            found.add(name)
    assert {"open", "read", "mmap", "ioctl", "dup2", "statx"} <= found
    return found


def with_variants(names):
    """libc's other names for the same: 64, fortified, versioned stat."""
    more = set(names) | {"glob", "glob64", "fts_open", "fts64_open"}
    for n in names:
        more |= {n + "64", f"__{n}_chk", f"__{n}64_chk", f"__{n}_2",
                 f"__{n}64_2"}
    for n in ("xstat", "lxstat", "fxstat", "fxstatat"):
        more |= {"__" + n, f"__{n}64"}
    return more


def symbols(path, which):
    out = subprocess.run(["nm", "-D", which, path], capture_output=True,
                         text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines()}


def exempt():
    """tests/shim/not-interposed.txt: name, then why it need not be."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "not-interposed.txt")) as f:
        lines = [l.split(None, 1) for l in f if l.strip() and l[0] != "#"]
    assert all(len(l) == 2 for l in lines)
    return {l[0] for l in lines}


# QEMU reads sysfs through glib, lspci through libpci.
LIBS = "/usr/lib/x86_64-linux-gnu/"
PROGRAMS = [p for p in os.environ.get("PROGRAMS", "").split(":") if p] + [
    "/usr/bin/qemu-system-x86_64", LIBS + "libglib-2.0.so.0",
    LIBS + "librte_eal.so.23", LIBS + "librte_bus_pci.so.23",
    LIBS + "libpci.so.3"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_import_no_call_that_leads_past_us(program):
    if not os.path.exists(program):
        pytest.skip(f"{program} is not here")
    watched = with_variants(calls_that_take_paths_or_descriptors())
    missing = ((symbols(program, "--undefined-only") & watched)
               - symbols(SHIM, "--defined-only") - exempt())
    assert not missing, "neither interposed nor in not-interposed.txt"


def test_no_call_is_both_interposed_and_exempt():
    assert not symbols(SHIM, "--defined-only") & exempt()

# SPDX-License-Identifier: MIT
"""DPDK, as a distribution has it, on softvfio's devices: its drivers see what
Linux would show them, and so do the tools that come with it."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

RUN = os.environ["SOFTVFIO_RUN"]
DMA = os.environ["DPDK_DMA"]
MACHINE = pathlib.Path(__file__).parent / "machine.json"
LEN = 65536
LIMIT = 120  # seconds


@pytest.fixture
def softvfio(tmp_path):
    """Runs a program on the machine; it must leave nothing behind."""
    trees, runtime = tmp_path / "tmp", tmp_path / "runtime"
    trees.mkdir()
    runtime.mkdir()

    def run(*args, before=(), **env):
        return subprocess.run(
            [*before, RUN, "run", MACHINE, "--", *args], text=True,
            capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(trees), "LC_ALL": "C",
                 "RUNTIME_DIRECTORY": str(runtime), **env})

    yield run
    assert list(trees.iterdir()) == [], "left behind"


def dma(softvfio, *args, **env):
    """Without huge pages, which a machine need not have."""
    return softvfio(DMA, "--no-huge", "-m", "64", *args, **env)


def works(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "0000:01:00.0: its BAR is mapped",
        "0000:02:00.0: filled memory and the card's BAR",
        "0000:03:00.0: filled memory and the card's BAR",
        "3 of 3 devices closed"]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "latest"])
def test_drivers_work_as_on_any_kernel(softvfio, kernel):
    works(dma(softvfio, SOFTVFIO_KERNEL=kernel))


def test_every_byte_was_written_by_the_devices(softvfio, tmp_path):
    stats = tmp_path / "stats.json"
    works(dma(softvfio, SOFTVFIO_STATS=str(stats)))
    nic, *dsas, unused = json.loads(stats.read_text())["devices"]
    for dsa in dsas:
        # Three fills, and a record of 32 bytes for each.
        assert dsa["dma_bytes"] == 3 * (LEN + 32)
    assert nic["peer_writes"] == 2 * LEN // 4096
    # Its driver is no vfio-pci: DPDK leaves it alone.
    assert unused["dma_bytes"] == 0
    assert all(d["faults"] == d["violations"] == 0
               for d in (nic, *dsas, unused))


def test_interrupts_come_by_intx_too(softvfio):
    works(dma(softvfio, "--vfio-intr=legacy"))


def test_a_kind_of_interrupt_that_the_device_lacks_is_refused(softvfio):
    done = dma(softvfio, "--vfio-intr=msi")
    assert done.returncode == 1
    assert "0000:02:00.0: no interrupt to enable" in done.stdout


def test_no_privileges_are_needed(softvfio):
    user = ["unshare", "--user", "--map-user=1000"]
    if subprocess.run([*user, "true"], check=False,
                      capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    works(dma(softvfio, "--no-shconf", before=user))


def needs(tool):
    if not shutil.which(tool):
        pytest.skip(f"no {tool}")


def test_lspci_shows_the_devices_alone(softvfio):
    needs("lspci")
    done = softvfio("lspci", "-Dvmmnk")
    assert done.returncode == 0, done.stderr
    shown = [dict(line.split(":\t") for line in device.splitlines())
             for device in done.stdout.strip().split("\n\n")]
    assert [(d["Slot"], d["Class"], d["Vendor"], d["Device"], d["Driver"],
             d["IOMMUGroup"]) for d in shown] == [
        ("0000:01:00.0", "0200", "1d55", "5001", "vfio-pci", "0"),
        ("0000:02:00.0", "1200", "1d55", "5002", "vfio-pci", "1"),
        ("0000:03:00.0", "1200", "1d55", "5002", "vfio-pci", "2"),
        ("0000:04:00.0", "1200", "1d55", "5002", "vfio-soft", "3")]


def test_lspci_reads_configuration_space_and_bars(softvfio):
    needs("lspci")
    done = softvfio("lspci", "-vv", "-s", "01:00.0")
    assert done.returncode == 0, done.stderr
    for text in ("Region 0: Memory at 80000000 (32-bit, non-prefetchable) "
                 "[size=4K]",
                 "Region 2: Memory at 80010000 (32-bit, prefetchable) "
                 "[size=64K]",
                 "MSI-X: Enable- Count=1 Masked-"):
        assert text in done.stdout


def test_devbind_tells_which_devices_dpdk_can_use(softvfio):
    needs("dpdk-devbind.py")
    done = softvfio("dpdk-devbind.py", "--status-dev", "baseband")
    assert done.returncode == 0, done.stderr
    ours, others = done.stdout.split("using kernel driver")
    assert "0000:02:00.0" in ours and "0000:03:00.0" in ours
    assert "drv=vfio-soft unused=vfio-pci" in others

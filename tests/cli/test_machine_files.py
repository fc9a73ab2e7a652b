# SPDX-License-Identifier: MIT
"""Bad machine files end with 2 and name the culprit; nothing is started."""

import json
import socket

import pytest

from conftest import EXAMPLES


def put(path, value):
    """A change: the value at a path like ("devices", 0, "space")."""

    def change(m):
        at = m
        for key in path[:-1]:
            at = at[key] if not isinstance(at, dict) else at.setdefault(
                key, {})
        at[path[-1]] = value

    return change


NIC = ("devices", 0)
DSA = ("devices", 1)
MDEV = ("devices", 2)
REGION = ("memory", 0)

BAD = [
    # unknown keys, at every depth
    (put(("nonsense",), 1), "nonsense: unknown key"),
    (put((*REGION, "hva"), 1), "memory[0].hva: unknown key"),
    (put((*NIC, "trackr"), None), "devices[0].trackr: unknown key"),
    (put((*NIC, "tracker"), {"queu": 1}),
     "devices[0].tracker.queu: unknown key"),
    (put(("cpu", "writers", 0, "speed"), 1),
     "cpu.writers[0].speed: unknown key"),
    (put(("policy", "nam"), "auto"), "policy.nam: unknown key"),
    # wrong types
    (put(("memory",), {}), "memory: must be an array"),
    (put(("devices",), [3]), "devices[0]: 3: must be an object"),
    (put((*NIC, "name"), 3), "devices[0].name: 3: must be a string"),
    (put((*NIC, "tracker"), True), "devices[0].tracker: true"),
    (put(("seed",), "one"), 'seed: "one": must be a whole number'),
    (put(("run", "before_ms"), -1), "run.before_ms: -1: must be 0 to"),
    (put(("policy", "strict_downtime"), 1),
     "policy.strict_downtime: 1: must be true or false"),
    # numbers out of bounds
    (put((*NIC, "tracker"), {"queue": -1}),
     "devices[0].tracker.queue: -1: must be 1 to 1048576"),
    (put((*NIC, "tracker"), {"queue": 0}), "devices[0].tracker.queue: 0"),
    (put((*NIC, "tracker"), {"min_page": "5000"}),
     "devices[0].tracker.min_page"),
    (put((*NIC, "tracker"), {"min_page": "12K"}),
     'devices[0].tracker.min_page: "12K": must be a power of two'),
    (put((*NIC, "tracker"), {"min_page": "8K", "max_page": "4K"}),
     'devices[0].tracker: "min_page" is above'),
    (put((*NIC, "tracker"), {"address_bits": [42, 12]}),
     "devices[0].tracker.address_bits"),
    (put((*NIC, "tracker"), {"address_bits": [42]}),
     "devices[0].tracker.address_bits"),
    (put((*NIC, "tracker"), {"address_bits": [1, 42]}),
     "devices[0].tracker.address_bits[0]: 1: must be 12 to 64"),
    # sizes, rates, addresses
    (put((*REGION, "size"), "5000"),
     'memory[0].size: "5000": must be a multiple of 4K'),
    (put((*REGION, "size"), "0"), 'memory[0].size: "0"'),
    (put((*REGION, "size"), "16X"), 'memory[0].size: "16X": must be a size'),
    (put((*REGION, "size"), "99999999999999999999"), "memory[0].size"),
    (put((*REGION, "size"), "-4096"), 'memory[0].size: "-4096"'),
    (put((*REGION, "iova"), "0x123"),
     'memory[0].iova: "0x123": must be a multiple of 0x1000'),
    (put((*REGION, "iova"), "4096"), "memory[0].iova"),
    (put((*REGION, "iova"), 4096), "memory[0].iova: 4096"),
    (put(("memory",), []), "memory: at least one region"),
    (put(("memory",), [{"iova": "0x0", "size": "16M"},
                       {"iova": "0xfff000", "size": "4K"}]),
     "memory[1].iova: 0xfff000: overlaps memory[0]"),
    (put(("memory",), [{"iova": "0xfffffffffffff000", "size": "8K"}]),
     "memory[0]: 0xfffffffffffff000 and its size reach past 2^64"),
    (put(("cpu", "writers", 0, "rate"), "50M"),
     'cpu.writers[0].rate: "50M": must be a rate'),
    (put(("cpu", "writers", 0, "pattern"), "zigzag"),
     'cpu.writers[0].pattern: "zigzag": must be "uniform"'),
    (put(("link", "rate"), "10G/s"), 'link.rate: "10G/s"'),
    (put(("link", "channels"), 4), "link.channels: 4: this version uses 1"),
    (put(("link", "rate"), "999"), 'link.rate: "999": must be at least "1K"'),
    # contents
    (put((*REGION, "contents"), {"file": "missing.img"}), "missing.img"),
    (put((*REGION, "contents"), {"file": "/"}),
     'memory[0].contents.file: "/": is not a regular file'),
    (put((*REGION, "contents"), {"file": "/dev/zero"}),
     'memory[0].contents.file: "/dev/zero": is not a regular file'),
    (put((*REGION, "contents"), {"file": ""}),
     'memory[0].contents.file: "": must not be empty'),
    (put((*REGION, "contents"), {}), "memory[0].contents: must have either"),
    (put((*REGION, "contents"), {"pattern": "plaid"}),
     'memory[0].contents.pattern: "plaid"'),
    # devices and spaces
    (put((*NIC, "model"), "gpu"), 'devices[0].model: "gpu": must be "nic"'),
    (put((*NIC, "vfio"), "0000:01:00.0"), 'devices[0]: must have one of "model" and "vfio"'),
    (put((*NIC, "space"), "elsewhere"),
     'devices[0].space: "elsewhere": no such space'),
    (put((*DSA, "name"), "nic0"), 'devices[1].name: "nic0": is devices[0]'),
    (put((*DSA, "name"), "a.b"), 'devices[1].name: "a.b"'),
    (put((*DSA, "ring"), "1M"), "devices[1].ring"),
    (put((*NIC, "state_size"), "5G"),
     'devices[0].state_size: "5G": must be at most 4G'),
    (put((*NIC, "name"), ""), 'devices[0].name: "": must not be empty'),
    (put((*NIC, "name"), "a\n"),
     "devices[0].name: must not hold control characters"),
    (put((*NIC, "name"), "\x1b[2J"), "devices[0].name: must not hold"),
    (put((*NIC, "name"), "\u009b2J"), "devices[0].name: must not hold"),
    (put(("spaces", 0, "name"), "\x7f"), "spaces[0].name: must not hold"),
    (put((*NIC, "address"), "../../x"),
     'devices[0].address: "../../x": must be a PCI address'),
    (put((*NIC, "address"), "bogus"), 'devices[0].address: "bogus"'),
    (put((*NIC, "address"), "0000:01:20.0"), "devices[0].address"),
    (put((*NIC, "address"), "0000:01:00.8"), "devices[0].address"),
    (put((*NIC, "address"), "0000:0A:00.0"), "devices[0].address"),
    (put((*NIC, "work"), {"rate": "1M/s", "set": "1M"}), "devices[0].work"),
    (put((*NIC, "udp"), "nowhere"), 'devices[0].udp: "nowhere"'),
    (put((*NIC, "udp"), "127.0.0.1:99999"), "devices[0].udp"),
    (put((*NIC, "udp"), "bogus:9000"),
     'devices[0].udp: "bogus:9000": must be an IPv4 address'),
    (put((*NIC, "udp"), "999.1.1.1:0"), 'devices[0].udp: "999.1.1.1:0"'),
    (put((*NIC, "udp"), "localhost:0"), 'devices[0].udp: "localhost:0"'),
    (put((*NIC, "udp"), "[::1]:0"), 'devices[0].udp: "[::1]:0"'),
    (put((*NIC, "udp"), "127.0.0.1:"), 'devices[0].udp: "127.0.0.1:"'),
    (put((*NIC, "migration"), ["teleport"]),
     'devices[0].migration[0]: "teleport"'),
    (put((*NIC, "migration"), ["p2p"]),
     'devices[0].migration: needs "stop-copy"'),
    (put((*NIC, "migration"), ["stop-copy", "stop-copy"]), "is there twice"),
    (put((*NIC, "p2p_stops"), "none"), 'devices[0].p2p_stops: "none"'),
    (put((*NIC, "pins"), {"read": "1M"}),
     'devices[0].pins.read: "1M": a nic takes only "gratuitous"'),
    (put((*NIC, "pins"), {"gratuitous": True, "write": "1M"}),
     "devices[0].pins.write"),
    (put((*NIC, "pins"), {"gratuitous": True}),
     'devices[0].pins.gratuitous: true: needs a "type1" space'),
    (put((*MDEV, "pins"), {"write": "1000"}), "devices[2].pins.write"),
    (put((*MDEV, "pins"), {"dirty": "never"}), "devices[2].pins.dirty"),
    (put((*DSA, "work"), {"rate": "1M/s"}), 'devices[1].work: "set"'),
    (put((*DSA, "work"), {"rate": "1M/s", "set": "1G"}),
     "devices[1].work.set: no region of memory"),
    (put(("cpu", "writers", 0, "set"), "1G"),
     "cpu.writers[0].set: no region of memory"),
    (put((*DSA, "work"), {"rate": "1M/s", "set": "1M", "p2p": "nic0"}),
     'devices[1].work.p2p: "nic0": its space "main" maps no peers'),
    (put((*DSA, "work"), {"rate": "1M/s", "set": "1M", "p2p": "gpu"}),
     'devices[1].work.p2p: "gpu"'),
    (put(("spaces", 0, "p2p"), True), "spaces[0].p2p"),
    (put(("spaces", 1, "dirty_by"), "fault"), 'spaces[1].dirty_by: "fault"'),
    (put(("spaces", 0, "dirty_by"), "magic"), 'spaces[0].dirty_by: "magic"'),
    (put(("spaces", 1, "name"), "main"), 'spaces[1].name: "main"'),
    (put(("spaces", 0, "iommu_page"), "32K"), "spaces[0].iommu_page"),
    (put(("devices",), [{"name": "u", "vfio-user": "/run/x.sock"}]),
     "vfio-user devices are not in this version"),
    # contradictory policy
    (put(("policy", "name"), "fastest"), 'policy.name: "fastest"'),
    (put(("policy", "name"), "strict:fastest"), "policy.name"),
    (put(("policy", "gpu0.tracker"), "iommu"),
     "policy.gpu0.tracker: no such device"),
    (put(("policy", "nic0.colour"), "red"), "policy.nic0.colour"),
    (put(("policy", "nic0.tracker"), "magic"),
     'policy.nic0.tracker: "magic"'),
    (put(("policy", "nic0.page_size"), "5000"), "policy.nic0.page_size"),
    (put(("policy",), {"nic0.tracker": "none", "nic0.page_size": "16K"}),
     "policy.nic0.page_size: \"16K\": contradicts policy.nic0.tracker"),
    (put(("policy",), {"name": "stop-copy", "nic0.tracker": "device"}),
     "policy.nic0.tracker: \"device\": contradicts policy.name"),
]


@pytest.mark.parametrize("change,culprit", BAD,
                         ids=[culprit[:50] for _, culprit in BAD])
def test_bad_machine_file_names_its_culprit(spoor, machine, change, culprit):
    run = spoor("migrate", machine(change))
    assert run.code == 2, run.err
    assert culprit in run.err
    assert run.out == ""


@pytest.mark.parametrize("text,where", [
    ('{"memory": [\n  {"iova": "0x0",,}\n]}', ":2:"),
    ('{"memory": []', ":1:"),
    ('{\n\n"seed": 1,\n"seed": 2}', ":4:"),
    ("", ":1:"),
])
def test_syntax_error_names_its_line(spoor, machine, text, where):
    run = spoor("migrate", machine(text))
    assert run.code == 2
    assert "machine.json" + where in run.err


def test_missing_machine_file_is_named(spoor, tmp_path):
    run = spoor("migrate", tmp_path / "none.json")
    assert run.code == 2
    assert "none.json: No such file" in run.err


@pytest.mark.parametrize("verb", ["migrate", "probe"])
def test_directory_is_no_machine_file(spoor, tmp_path, verb):
    (tmp_path / "m.json").mkdir()
    run = spoor(verb, tmp_path / "m.json")
    assert run.code == 2
    assert "m.json: Is a directory" in run.err


@pytest.mark.parametrize("text", ["", ",", "nic0.page_size=4K,",
                                  "nic0.page_size=4K,,"])
def test_set_option_with_an_empty_line_is_shown_whole(spoor, machine, text):
    run = spoor("migrate", machine(), "--set", text)
    assert run.code == 2
    assert f"--set {text}: must be DEVICE.KEY=VALUE, and more" in run.err


def test_tmpdir_that_cannot_be_used_is_named(spoor, machine):
    run = spoor("migrate", machine(), "--json", env={"TMPDIR": "/nonexistent"})
    assert run.code == 2
    assert run.result()["error"] == \
        'TMPDIR: "/nonexistent": No such file or directory'


def test_contents_larger_than_region_are_refused(spoor, machine, tmp_path):
    (tmp_path / "big.img").write_bytes(b"x" * ((16 << 20) + 1))
    run = spoor("migrate", machine(
        put((*REGION, "contents"), {"file": "big.img"})))
    assert run.code == 2
    assert "memory[0].contents.file" in run.err


def test_destination_needs_no_contents(spoor, machine):
    """It gets as far as the address, which is no address."""
    run = spoor("receive", machine(
        put((*REGION, "contents"), {"file": "missing.img"})),
        "--listen", "nowhere")
    assert run.code == 2
    assert "--listen nowhere" in run.err
    assert "missing.img" not in run.err


def test_set_option_is_checked_like_the_file(spoor, machine):
    run = spoor("migrate", machine(), "--set", "gpu0.tracker=iommu")
    assert run.code == 2
    assert "policy.gpu0.tracker: no such device" in run.err
    run = spoor("migrate", machine(), "--set", "nic0.tracker")
    assert run.code == 2
    assert "must be DEVICE.KEY=VALUE" in run.err
    run = spoor("migrate", machine(), "--set", "downtime_ms=5")
    assert run.code == 2
    assert "--set downtime_ms=5: takes lines of devices, DEVICE.KEY" in run.err


def test_examples_are_sound(spoor):
    """Every example passes the checks; mixed only lacks its data file."""
    names = sorted(EXAMPLES.glob("*.json"))
    assert len(names) >= 11
    for path in names:
        run = spoor("migrate", path, "--set", "nobody.tracker=all")
        assert run.code == 2
        assert "policy.nobody.tracker: no such device" in run.err, run.err
        json.loads(path.read_text())


@pytest.mark.parametrize("verb", ["migrate", "track", "probe"])
@pytest.mark.parametrize("address,why", [
    (None, "Address already in use"),
    ("192.0.2.1:0", "Cannot assign requested address"),
])
def test_udp_that_cannot_be_bound_fails_at_once(spoor, machine, verb, address,
                                                why):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        udp = address or f"127.0.0.1:{taken.getsockname()[1]}"
        run = spoor(verb, machine(put((*NIC, "udp"), udp)))
    assert run.code == 1, run.err
    # Not by the guest's driver, which would try for seconds.
    assert f"devices[0].udp: {udp}: {why}" in run.out + run.err


def test_probe_says_in_words_why_a_device_logs_nothing(spoor, machine):
    run = spoor("probe", machine(put((*NIC, "tracker"), None)), "--json")
    assert run.code == 0, run.err
    nic = [e for e in run.of("device") if e["name"] == "nic0"][0]
    own = [t for t in nic["trackers"] if t["kind"] == "device"][0]
    assert not own["usable"]
    assert own["why"].endswith("DMA_LOGGING_START: no such feature)"), own


@pytest.mark.parametrize("args,culprit", [
    (["migrate", "--set", "gpu0.tracker=iommu"], "policy.gpu0.tracker"),
    (["migrate", "--to", "nowhere"], "--to nowhere"),
    (["receive"], "--listen ADDR is needed"),
    (["receive", "--listen", "nowhere"], "--listen nowhere"),
    (["track", "--set", "gpu0.tracker=iommu"], "policy.gpu0.tracker"),
    (["probe", "missing.json"], "missing.json: No such file"),
    (["probe", "bogus"], "bogus: must be a PCI address as 0000:03:00.0"),
    (["probe", "/etc/passwd"], "/etc/passwd: must be a PCI address"),
    (["probe", "0000:03:00.9"], "0000:03:00.9: must be a PCI address"),
    (["migrate", "one-too-many"], "usage: spoor migrate MACHINE"),
])
def test_json_ends_with_a_result_when_input_is_bad(spoor, machine, args,
                                                   culprit):
    run = spoor(args[0], machine(), *args[1:], "--json") \
        if args[0] != "probe" else spoor(*args, "--json")
    assert run.code == 2
    assert len(run.of("result")) == 1
    result = run.result()
    assert result["ok"] is False and result["exit"] == 2
    assert culprit in result["error"]
    assert culprit in run.err


@pytest.mark.parametrize("args", [
    ["migrate"], ["migrate", "--to", "unix:/nonexistent/s"], ["track"],
    ["probe"], ["receive", "--listen", "unix:/nonexistent/s"]],
    ids=["migrate", "migrate-to", "track", "probe", "receive"])
def test_memory_that_no_machine_has_is_77(spoor, machine, args):
    run = spoor(args[0], machine(put((*REGION, "size"), "64T")), *args[1:])
    assert run.code == 77, run.err
    assert "memory: all of it is there before the machine runs" in run.err
    assert ("for source and destination" in run.err) == (args == ["migrate"])


@pytest.mark.parametrize("verb", ["migrate", "track", "probe"])
def test_kernel_that_softvfio_does_not_know_is_2(spoor, machine, verb):
    run = spoor(verb, machine(), env={"SOFTVFIO_KERNEL": "bogus"})
    assert run.code == 2
    assert 'SOFTVFIO_KERNEL: "bogus": must be 6.1, 6.12' in run.err
    assert run.out == ""


def test_noiommu_is_refused_as_a_plan_would(spoor, machine):
    run = spoor("migrate", machine(put((*NIC, "noiommu"), True)), "--json")
    assert run.code == 3, run.err
    assert "nic0: it is in a No-IOMMU group" in run.result()["error"]
    assert "put it behind an IOMMU" in run.result()["error"]

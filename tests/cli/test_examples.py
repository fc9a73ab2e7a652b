# SPDX-License-Identifier: MIT
"""Each example migrates, with the trackers it is named for really used."""

import json
import os
import subprocess

import pytest

from conftest import EXAMPLES, LIMIT, SPOOR, Run, example, unhurried


@pytest.fixture
def run(spoor, machine, tmp_path):
    """Migrates an example; the result, and softvfio's counters."""

    def go(name):
        r = spoor("migrate", "--json", machine(base=unhurried(example(name))),
                  env={"SOFTVFIO_STATS": str(tmp_path / "stats.%p")})
        r.stats = [json.loads(p.read_text())
                   for p in tmp_path.glob("stats.*")]
        return r

    return go


def devices(r):
    return {d["name"]: d for d in r.result()["devices"]}


def moved(r):
    """Verified, every client answered on, devices at work afterwards."""
    assert r.code == 0, (r.err, r.events()[-1])
    result = r.result()
    assert result["ok"] and result["verified"]
    assert result["running"] == "destination"
    for d in result["devices"]:
        # Packets are answered there, requests complete there.
        assert d["served_after"] > 0, d
        assert "failed" not in d or not d["failed"]
    return devices(r)


def counters(r, name):
    """Of the source: the side that reported."""
    each = [d for s in r.stats for d in s["devices"] if d["name"] == name]
    assert each
    return max(each, key=lambda d: d["reports"])


def exact(r, name):
    """Every granule marked was reported, once the last read was done."""
    c = counters(r, name)
    assert c["marks"] > 0 and c["reports"] > 0
    assert c["marks"] == c["pages_reported"]


def silent(r, name):
    """Its log was tried, as probing does, and not used."""
    assert counters(r, name)["reports"] <= 1


def states(r, device, side="source"):
    return [e["to"] for e in r.of("state")
            if e["device"] == device and e["side"] == side]


def stops(r):
    """Where among the events the source's devices stopped."""
    found = {}
    for i, e in enumerate(r.events()):
        if e["event"] == "state" and e["side"] == "source" and \
                e["to"] == "STOP":
            found.setdefault(e["device"], i)
    return found


def test_nic_and_mdev_merge_two_trackers(run):
    r = run("a-nic-and-mdev")
    d = moved(r)
    assert d["nic0"]["tracker"] == "device"
    assert d["mdev0"]["tracker"] == "pinned"
    exact(r, "nic0")
    trackers = {t["tracker"] for e in r.of("round") for t in e["dirty"]}
    assert {"nic0.device", "lone.pinned", "cpu.process"} <= trackers


def test_nic_only(run):
    r = run("b-nic-only")
    assert moved(r)["nic0"]["tracker"] == "device"
    exact(r, "nic0")


@pytest.mark.parametrize("when", ["before", "after"])
def test_untracked_device_is_suspended_early(run, when):
    r = run(f"c-nic-and-untracked-{when}-bulk")
    d = moved(r)
    assert d["nic0"]["tracker"] == "device"
    assert d["dsa0"]["tracker"] == "none"
    assert d["dsa0"]["suspend"]["when"] == f"{when}-bulk"
    assert d["dsa0"]["dirty_pages"] == 0 or when == "after"
    exact(r, "nic0")
    silent(r, "dsa0")
    stopped = stops(r)
    first = r.events().index(r.of("round")[0])
    assert (stopped["dsa0"] < first) == (when == "before")
    assert stopped["dsa0"] < stopped["nic0"]


def test_iommu_tracks_all(run):
    r = run("iommu")
    d = moved(r)
    assert {x["tracker"] for x in d.values()} == {"iommu"}
    silent(r, "nic0")
    spaces = [s for st in r.stats for s in st["spaces"] if s["dirty_reads"]]
    assert spaces
    assert all(s["marks"] == s["pages_reported"] for s in spaces)


def test_two_spaces_keep_peers_apart(run):
    r = run("two-spaces")
    moved(r)
    assert all(d["violations"] == 0 for s in r.stats for d in s["devices"])
    # Real traffic: half of what dsa0 does goes into the nic's BAR.
    assert counters(r, "nic0")["peer_writes"] > 100
    for name in ("nic0", "dsa0", "dsa1"):
        exact(r, name)
    read = {d["tracker"] for e in r.of("round") for d in e["dirty"]
            if d["pages"]}
    assert {"nic0.device", "dsa0.device", "dsa1.device"} <= read
    # Who can cease to reach peers does so before any of them stops.
    order = [(e["device"], e["to"]) for e in r.of("state")
             if e["side"] == "source"]
    assert order.index(("dsa0", "RUNNING_P2P")) < \
        order.index(("nic0", "STOP")) < order.index(("dsa0", "STOP"))


@pytest.mark.skipif("SOFTVFIO_SANITIZED" in os.environ,
                    reason="sanitized, the peer hardly writes while it stops")
def test_two_spaces_control_corrupts_and_is_caught(run):
    """The peer writes on while it stops, for a second, into the stopped nic: it
    holds 64 requests, half of them into that BAR, whatever the pause took."""
    r = run("two-spaces-control")
    result = r.result()
    assert r.code == 4, result.get("error")
    assert result["running"] == "source" and not result["verified"]
    assert {x["writer"] for x in result["lost"]} == {"dsa1"}
    # In the nic's BAR, nowhere else.
    bar = 0x8000000000
    for x in result["lost"]:
        assert bar <= int(x["iova"], 16)
        assert int(x["iova"], 16) + x["len"] <= bar + 65536
    assert counters(r, "nic0")["violations"] > 0


def test_two_spaces_control_is_refused_without_the_override(spoor, machine):
    m = example("two-spaces-control")
    del m["policy"]["allow_unsafe_p2p"]
    r = spoor("migrate", "--json", machine(base=m))
    assert r.code == 3
    assert "dsa1" in r.result()["error"]


def test_all_dirty_is_pre_copy_without_tracking(run):
    r = run("all-dirty")
    d = moved(r)
    assert {x["tracker"] for x in d.values()} == {"all"}
    silent(r, "nic0")
    # Each page at least twice: in the bulk copy, and at the stop.
    assert r.result()["pages_sent"] >= 2 * (80 << 20) // 4096 - 1


def test_stop_copy_sends_once(run):
    r = run("stop-copy")
    d = moved(r)
    assert {x["tracker"] for x in d.values()} == {"none"}
    assert r.result()["rounds"] == 1
    silent(r, "nic0")


def test_quiesced_read_goes_through_p2p(run):
    r = run("quiesced-read")
    assert moved(r)["nic0"]["tracker"] == "device"
    assert "PRE_COPY_P2P" in states(r, "nic0")
    assert "nic0.device" in {t["tracker"] for e in r.of("round")
                             for t in e["dirty"] if t["pages"]}
    exact(r, "nic0")


def test_quiesced_read_takes_a_stop_where_p2p_is_not_quiet(run):
    r = run("quiesced-read-peer")
    assert moved(r)["nic0"]["tracker"] == "device"
    exact(r, "nic0")


def test_one_container_is_all_dirty(run):
    d = moved(run("one-container"))
    assert {x["tracker"] for x in d.values()} == {"all"}


@pytest.mark.parametrize("remedy,nic,mdev", [
    ("two-spaces", "iommu", "pinned"),
    ("moved", "iommu", "pinned"),
    ("gratuitous", "pinned", "pinned"),
    ("own-tracker", "device", "all"),
])
def test_remedies_for_one_container(run, remedy, nic, mdev):
    d = moved(run(f"one-container-{remedy}"))
    assert d["nic0"]["tracker"] == nic
    if remedy != "own-tracker":
        assert d["mdev0"]["tracker"] == mdev


def test_cpu_only(run):
    assert run("cpu-only").result()["verified"]


@pytest.mark.parametrize("backend", ["iommufd", "type1"])
def test_edu(run, spoor, machine, backend):
    """QEMU's device: what its guest driver writes, its log tells."""
    if backend == "iommufd":
        r = run("edu")
        moved(r)
        for name in ("edu0", "edu1"):
            exact(r, name)
            assert counters(r, name)["faults"] == 0
    else:
        m = example("edu")
        m["spaces"][0]["backend"] = backend
        r = spoor("migrate", "--json", machine(base=m))
        moved(r)
    assert {d["tracker"] for d in devices(r).values()} == {"device"}
    assert "PRE_COPY" in states(r, "edu0")


def test_edu_dma_in_flight_is_done_at_the_destination(run, machine, spoor):
    """Each DMA takes as long as QEMU's: one is always in flight."""
    m = example("edu")
    for d in m["devices"]:
        d["dma_us"] = 100000
    r = spoor("migrate", "--json", machine(base=m))
    d = moved(r)
    # Done once more as a whole, not lost: no driver waits in vain.
    assert all(x["service_gap_ms"] < 2000 for x in d.values())


def test_edu_has_its_set_where_it_reaches(spoor, machine):
    m = example("edu")
    m["memory"] = [{"iova": "0x100000000", "size": "32M"}]
    r = spoor("migrate", "--json", machine(base=m))
    assert r.code == 2 and "dma_bits" in r.result()["error"]
    for d in m["devices"]:
        d["dma_bits"] = 40
    r = spoor("migrate", "--json", machine(base=m))
    moved(r)


def test_failed_reports_are_survived(spoor, machine):
    m = example("b-nic-only")
    m["devices"][0]["tracker"] = {"fail_after": 2}
    r = spoor("migrate", "--json", machine(base=m))
    assert r.code == 0 and r.result()["verified"], r.events()[-1]
    assert any("nic0" in e["text"] for e in r.of("note")
               if e["level"] == "warning")
    nic, = r.result()["devices"]
    assert r.of("plan")[0]["devices"][0]["covered_by"] == "its own DMA log"
    assert nic["covered_by"].startswith("its own DMA log, until that failed")
    assert "all-dirty" in nic["covered_by"] and nic["all_dirty"]
    # One report is the probe's.  Its second and the restarted log's fail.
    notes = [e["text"] for e in r.of("note") if e["level"] == "warning"]
    assert any("nic0" in t and "restarted" in t for t in notes), notes
    assert any("nic0" in t and "dirty from now on" in t for t in notes), notes


def test_probe_of_a_machine(spoor):
    r = spoor("probe", "--json", EXAMPLES / "a-nic-and-mdev.json")
    assert r.code == 0, r.err
    found = {e["name"]: e for e in r.of("device")}
    kinds = {n: {t["kind"] for t in e["trackers"] if t["usable"]}
             for n, e in found.items()}
    assert kinds["nic0"] == {"device"}
    assert "pinned" in kinds["mdev0"]
    assert found["nic0"]["p2p"] is True
    assert "STOP_COPY" in found["nic0"]["states"]


def test_probe_of_one_device(spoor):
    r = spoor("probe", "--json", f"{EXAMPLES}/a-nic-and-mdev.json#mdev0")
    assert [e["name"] for e in r.of("device")] == ["mdev0"]


def test_track_reads_every_tracker_by_itself(spoor):
    r = spoor("track", "--json", EXAMPLES / "a-nic-and-mdev.json",
              "--seconds", "1", "--interval", "0.5")
    assert r.code == 0, r.err
    names = {d["tracker"] for e in r.of("track") for d in e["dirty"]}
    assert names == {"nic0.device", "lone.pinned", "cpu.process"}


def test_drivers_start_in_memory_with_contents(spoor, machine):
    m = example("c-nic-and-untracked-before-bulk")
    for region in m["memory"]:
        region["contents"] = {"pattern": "random", "seed": 3}
    m["spaces"] = [{"name": s["name"], "backend": "iommufd"}
                   for s in m["spaces"]]
    m["policy"] = {}
    r = spoor("migrate", "--json", machine(base=m))
    assert r.code == 0, r.events()[-1]
    assert all(d["served_after"] > 0 for d in r.result()["devices"])


@pytest.mark.skipif("SOFTVFIO_SANITIZED" in os.environ,
                    reason="a sanitized library is not preloaded")
@pytest.mark.parametrize("backend", ["iommufd", "type1"])
def test_edu_as_hardware_moves_to_other_addresses(machine, tmp_path, backend):
    """The machine that the rig moves on real kernels, from the same files: four
    devices in one system, two of them for each side.  The command knows nothing
    of softvfio, but that it is a /dev/vfio."""
    system = example("edu")
    system["devices"] += [{**d, "name": d["name"] + "b"}
                          for d in system["devices"]]
    paths = [machine(base=system, name="system.json")]
    for side in ("source", "destination"):
        rig = EXAMPLES.parent / f"rig/tests/edu-{side}.json"
        m = json.loads(rig.read_text())
        m["spaces"][0]["backend"] = backend
        paths.append(machine(base=m, name=f"{side}.json"))
    done = subprocess.run(
        [os.environ["SOFTVFIO_RUN"], "run", paths[0], "--", SPOOR, "migrate",
         paths[1], "--dest-machine", paths[2], "--json"],
        capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)})
    r = Run(done)
    d = moved(r)
    assert {x["tracker"] for x in d.values()} == {"device"}
    assert all(x["dirty_pages"] > 0 for x in d.values())

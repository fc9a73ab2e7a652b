# SPDX-License-Identifier: MIT
"""What softvfio counted and what the command said are one story.

For each example: trackers that claim to be exact reported what was marked, no
more and no less; those it is named for were really read; and every page that
was sent a second time is owned by a tracker, the CPU, or a declaration.
"""

import json

import pytest

from conftest import EXAMPLES, example, unhurried

# Machines for other programs or verbs, and the one that is to fail.
OTHERS = {"embed", "granularity", "uapi-only", "two-spaces-control"}
NAMES = sorted(p.stem for p in EXAMPLES.glob("*.json")
               if p.stem not in OTHERS)

# By device; a device that is not here is suspended early or not tracked.
TRACKERS = {
    "a-nic-and-mdev": {"nic0": "device", "mdev0": "pinned"},
    "all-dirty": {"nic0": "all", "dsa0": "all"},
    "b-nic-only": {"nic0": "device"},
    "c-nic-and-untracked-after-bulk": {"nic0": "device"},
    "c-nic-and-untracked-before-bulk": {"nic0": "device"},
    "cpu-only": {},
    "edu": {"edu0": "device", "edu1": "device"},
    "iommu": {"nic0": "iommu", "dsa0": "iommu"},
    "mixed": {"nic0": "device", "mdev0": "pinned"},
    "one-container": {"nic0": "all", "mdev0": "all"},
    "one-container-gratuitous": {"nic0": "pinned", "mdev0": "pinned"},
    "one-container-moved": {"nic0": "iommu", "mdev0": "pinned"},
    "one-container-own-tracker": {"nic0": "device"},
    "one-container-two-spaces": {"nic0": "iommu", "mdev0": "pinned"},
    "quiesced-read": {"nic0": "device"},
    "quiesced-read-peer": {"nic0": "device"},
    "stop-copy": {},
    "two-spaces": {"nic0": "device", "dsa0": "device", "dsa1": "device"},
}


def small(name):
    """The example itself, but for memory that a test cannot afford."""
    m = example(name)
    for region in m["memory"]:
        if region["size"] == "1G":
            region["size"] = "192M"
        if "file" in region.get("contents", {}):
            region["contents"] = {"pattern": "random", "seed": 5}
            region["size"] = "32M"
    for writer in m["cpu"]["writers"]:
        if writer["set"] == "256M":
            writer["set"] = "64M"
    return unhurried(m)


class Counters:
    def __init__(self, files):
        self.sides = [json.loads(f.read_text()) for f in files]

    def source(self):
        """The side that never loaded a state."""
        each = [s for s in self.sides
                if not any("RESUMING" in d["states"] for d in s["devices"])]
        assert len(each) <= 1
        return each[0] if each else {"devices": [], "spaces": []}


@pytest.fixture(scope="module")
def runs():
    return {}


@pytest.fixture
def migrated(spoor, machine, tmp_path, runs):
    """Each example once, whatever is asked about it."""

    def go(name):
        if name not in runs:
            path = machine(base=small(name), name=f"{name}.json")
            r = spoor("migrate", "--json", path,
                      env={"SOFTVFIO_STATS": str(tmp_path / "stats.%p")})
            assert r.code == 0, r.out[-2000:] + r.err
            runs[name] = r, Counters(tmp_path.glob("stats.*"))
        return runs[name]

    return go


def test_every_example_is_here():
    assert set(NAMES) == set(TRACKERS)


@pytest.mark.parametrize("name", NAMES)
def test_exact_trackers_report_what_was_marked(migrated, name):
    _, counters = migrated(name)
    for d in counters.source()["devices"]:
        assert d["marks"] == d["pages_reported"], d
        assert d["violations"] == 0, d
    for s in counters.source()["spaces"]:
        assert s["marks"] == s["pages_reported"], s


def test_iommu_by_write_fault_reports_what_was_marked_and_loses_nothing(
        spoor, machine, tmp_path):
    m = example("iommu")
    m["spaces"] = [{"name": "main", "dirty_by": "fault"}]
    run = spoor("migrate", "--json", machine(base=m),
                env={"SOFTVFIO_STATS": str(tmp_path / "stats.%p")})
    assert run.code == 0, run.out[-2000:] + run.err
    assert run.result()["verified"]
    source = Counters(tmp_path.glob("stats.*")).source()
    read, = [s for s in source["spaces"] if s["dirty_reads"]]
    assert read["marks"] == read["pages_reported"] > 0
    # Two devices may fault at one entry.
    assert read["write_faults"] >= read["marks"]
    assert sum(d["dma_writes"] for d in source["devices"]) > read["marks"]


@pytest.mark.parametrize("name", NAMES)
def test_trackers_it_is_named_for_are_used(migrated, name):
    r, counters = migrated(name)
    lines = {d["name"]: d for d in r.result()["devices"]}
    source = counters.source()
    devices = {d["name"]: d for d in source["devices"]}
    read = {d["tracker"] for e in r.of("round") for d in e["dirty"]
            if d["pages"]}
    everything = any(d["suspend"]["when"] == "after-bulk"
                     for d in lines.values())
    assert {n: d["tracker"] for n, d in lines.items()
            if d["tracker"] != "none"} == TRACKERS[name]
    for n, line in lines.items():
        kind = line["tracker"]
        if kind == "device":
            # One report is the probe's.
            assert devices[n]["reports"] > 1
            assert devices[n]["pages_reported"] > 0
            # What is dirty already is nobody's news.
            assert f"{n}.device" in read or everything
        else:
            assert devices[n]["reports"] <= 1
        if kind in ("iommu", "pinned"):
            assert any(s["dirty_reads"] > 1 and s["pages_reported"] > 0
                       for s in source["spaces"])
            assert f"{line['space']}.{kind}" in read
    if name != "stop-copy" and not everything:
        assert "cpu.process" in read


@pytest.mark.parametrize("name", NAMES)
def test_every_page_sent_again_has_an_owner(migrated, name):
    r, _ = migrated(name)
    result = r.result()
    again = sum(d["pages"] for e in r.of("round") for d in e["dirty"])
    # Untracked until it was stopped: all that it could reach.
    again += sum(d["dirty_pages"] for d in result["devices"]
                 if d["suspend"]["when"] == "after-bulk")
    assert result["pages_sent"] == result["memory_bytes"] // 4096 + again
    if name == "stop-copy":
        assert again == 0


@pytest.mark.parametrize("name", NAMES)
def test_trackers_say_no_more_than_was_reported(migrated, name):
    """A page in an event is backed by a report of that size or a bigger."""
    r, counters = migrated(name)
    devices = {d["name"]: d for d in counters.source()["devices"]}
    for line in r.result()["devices"]:
        if line["tracker"] != "device":
            continue
        said = sum(d["pages"] for e in r.of("round") for d in e["dirty"]
                   if d["tracker"] == f"{line['name']}.device")
        granule = line["page_size"] // 4096
        assert said <= devices[line["name"]]["pages_reported"] * granule


# What softvfio calls the two kinds of space.
SPACES = {"iommu": "ioas", "pinned": "container"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", SPACES)
def test_spaces_say_no_more_than_was_reported(migrated, name, kind):
    """The same of trackers that belong to a space, whose devices share it."""
    r, counters = migrated(name)
    lines = [d for d in r.result()["devices"] if d["tracker"] == kind]
    names = {f"{d['space']}.{kind}" for d in lines}
    # Nobody else reads that sort of space, but for what planning tries.
    said = sum(d["pages"] for e in r.of("round") for d in e["dirty"]
               if d["tracker"] in names)
    granule = max((d["page_size"] // 4096 for d in lines), default=0)
    reported = sum(s["pages_reported"] for s in counters.source()["spaces"]
                   if s["name"].startswith(SPACES[kind]))
    assert said <= reported * granule
    assert not names or said > 0

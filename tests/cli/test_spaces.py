# SPDX-License-Identifier: MIT
"""Devices in other spaces than their machine file has them in."""

import json
import os
import subprocess

import pytest

from conftest import LIMIT, SPOOR, Run, example, unhurried
from test_plan import (MIB, line, notes, page, plan_of, profile,
                       small_profile)

assert profile  # a fixture


def accel(m):
    """dsa0 where nobody tracks it; it counts how long it waits."""
    m["spaces"].append({"name": "accel", "dirty_tracking": False})
    m["devices"][1]["space"] = "accel"
    m["link"] = {"rate": "1G"}
    m["policy"] = {"objective": "service-gap", "gap_devices": ["dsa0"],
                   "limits": {"downtime_ms": 10000}}


def both_in_main(p):
    p["trackers"].append({"name": "main.iommu", "kind": "iommu",
                          "attached": ["dsa0", "nic0"],
                          "pages": [page(4096, 1e8, 2 * MIB)]})


def one_container():
    """The nic is in the mediated device's way, and no line moves it."""
    m = unhurried(example("one-container-moved"))
    m["link"] = {"rate": "200M", "latency_us": 50}
    m["policy"] = {"objective": "service-gap",
                   "limits": {"downtime_ms": 10000}}
    return m


def test_a_line_puts_a_device_into_a_space(spoor, machine):
    run = spoor("migrate", machine(accel), "--json", "--quiet",
                "--set", "dsa0.space=main,dsa0.tracker=iommu")
    assert run.code == 0, run.err
    result = run.result()
    assert result["verified"]
    dsa = line(result, "dsa0")
    assert (dsa["space"], dsa["tracker"]) == ("main", "iommu")
    assert "set by the user: dsa0.space=main" in dsa["reason"]
    trackers = {d["tracker"] for r in run.of("round") for d in r["dirty"]}
    assert "main.iommu" in trackers and "accel.iommu" not in trackers


def test_so_does_one_of_the_machine_file(spoor, machine):
    def change(m):
        accel(m)
        m["policy"] = {"name": "iommu", "dsa0.space": "main"}

    plan = plan_of(spoor("plan", machine(change), "--json"))
    assert line(plan, "dsa0")["space"] == "main"
    assert line(plan, "dsa0")["tracker"] == "iommu"
    # Said last, it holds.
    plan = plan_of(spoor("plan", machine(change), "--json", "--set",
                         "dsa0.space=accel"))
    assert line(plan, "dsa0")["space"] == "accel"
    assert line(plan, "dsa0")["tracker"] == "all"


def test_a_space_that_nobody_uses_does_not_confuse(spoor, machine):
    run = spoor("plan", machine(base=one_container()), "--json")
    assert [d["space"] for d in plan_of(run)["devices"]] == ["lone", "lone"]


def gratuitous(m):
    m["devices"][0].update(space="lone", tracker=None,
                           pins={"gratuitous": True})


def to_a_peer(m):
    m["spaces"].append({"name": "peers", "backend": "type1", "p2p": True})
    m["devices"][1]["space"] = "peers"
    m["devices"][1]["work"]["p2p"] = "nic0"


@pytest.mark.parametrize("change,key,value,says", [
    (None, "dsa0.space", "nope", "no such space"),
    (gratuitous, "nic0.space", "main", "devices[0].pins.gratuitous needs"),
    (to_a_peer, "dsa0.space", "lone", 'devices[1].work.p2p is "nic0"'),
])
def test_where_a_device_cannot_be_is_refused_by_key(spoor, machine, tmp_path,
                                                    change, key, value, says):
    def named(m):
        if change:
            change(m)
        m["policy"] = {key: value}

    kept = tmp_path / "plan.json"
    kept.write_text(json.dumps({"spoor_plan": 1, "devices": [
        {"name": key.split(".")[0], "space": value}]}))
    runs = [spoor(verb, machine(change), "--set", f"{key}={value}", *more)
            for verb, more in (("plan", ()), ("migrate", ()), ("bench", ()),
                               ("track", ()),
                               ("compare", ("--policies", "auto")),
                               ("receive", ("--listen", "tcp:127.0.0.1:0")))]
    runs.append(spoor("plan", machine(named)))
    for run in runs:
        assert run.code == 2, run.err
        assert f'policy.{key}: "{value}": ' in run.err and says in run.err
    run = spoor("migrate", machine(change), "--policy", kept)
    assert run.code == 2
    assert "is no space" in run.err or says in run.err


def test_no_line_moves_a_device_past_the_p2p_rule(spoor, machine, profile):
    def change(m):
        m["spaces"].append({"name": "peers", "backend": "type1", "p2p": True})
        m["devices"][1]["migration"] = ["stop-copy"]

    for more in ([], ["--simulate", "--profile", profile()]):
        run = spoor("plan", machine(change), "--json", "--set",
                    "dsa0.space=peers", *more)
        assert run.code == 3, run.err
        assert "maps a BAR of nic0" in run.result()["error"]


def test_plan_finds_the_space_where_it_is_tracked(spoor, machine, profile,
                                                  tmp_path):
    kept = tmp_path / "plan.json"
    args = (machine(accel), "--profile", profile(both_in_main), "--json")
    tried = spoor("plan", *args, "-o", kept)
    plan = plan_of(tried)
    dsa = line(plan, "dsa0")
    assert (dsa["space"], dsa["tracker"]) == ("main", "iommu")
    assert ("in space main by the machine file, not tried there: iommu tracker "
            "at 4K: ") in dsa["reason"]
    assert "; in space accel: " in dsa["reason"]
    assert " would add " in dsa["reason"]
    assert plan["predicted"]["unmeasured"] == ""
    simulated = spoor("plan", *args, "--simulate")
    assert plan_of(simulated) == plan
    run = spoor("migrate", machine(accel), "--policy", kept, "--json",
                "--quiet")
    assert run.code == 0, run.err
    assert run.result()["verified"]
    dsa = line(run.result(), "dsa0")
    assert (dsa["space"], dsa["tracker"]) == ("main", "iommu")
    # And again from there: its own space is then another.
    plan = plan_of(spoor("plan", *args, "--set", "dsa0.space=main"))
    assert "not tried" not in line(plan, "dsa0")["reason"]
    assert plan["predicted"]["converged"]


def test_for_least_downtime_it_waits_where_it_is(spoor, machine, profile):
    def change(m):
        accel(m)
        m["policy"] = {}

    plan = plan_of(spoor("plan", machine(change), "--profile",
                         profile(both_in_main), "--simulate", "--json"))
    dsa = line(plan, "dsa0")
    assert dsa["space"] == "accel"
    assert dsa["suspend"]["when"] != "together"
    assert "; in space main: " in dsa["reason"]


def test_what_was_not_measured_together_is_named(spoor, machine, profile):
    run = spoor("plan", machine(accel), "--profile", profile(), "--simulate",
                "--json")
    plan = plan_of(run)
    says = "dsa0 in space main: no figures of main.iommu with nic0, dsa0"
    assert line(plan, "dsa0")["space"] == "accel"
    assert plan["predicted"]["unmeasured"] == says
    assert says in notes(run) and says in line(plan, "dsa0")["reason"]


def test_figures_of_other_devices_are_not_taken(spoor, machine, profile):
    def change(p):
        both_in_main(p)
        p["trackers"][-1]["attached"] = ["dsa0", "nic1"]

    plan = plan_of(spoor("plan", machine(accel), "--profile", profile(change),
                         "--simulate", "--json"))
    assert line(plan, "dsa0")["space"] == "accel"
    assert plan["predicted"]["unmeasured"]
    # Nor those of the machine file's for what a line has made of it.
    run = spoor("plan", machine(accel), "--profile", profile(), "--simulate",
                "--json", "--set", "dsa0.space=main")
    assert "planned by rule: " in notes(run)


def test_peers_are_not_reached_unasked(spoor, machine, profile):
    def change(m):
        accel(m)
        m["spaces"][2].update(backend="type1", p2p=True)

    plan = plan_of(spoor("plan", machine(change), "--profile",
                         profile(both_in_main), "--simulate", "--json"))
    assert line(plan, "dsa0")["space"] == "accel"
    assert plan["predicted"]["unmeasured"] == ""


def test_the_destination_has_spaces_of_its_own(spoor, machine):
    def change(m):
        accel(m)
        m["policy"] = {"name": "iommu"}

    def renamed(m):
        change(m)
        for space in m["spaces"]:
            space["name"] += "-there"
        for device in m["devices"]:
            device["space"] += "-there"

    run = spoor("migrate", machine(change), "--json", "--quiet", "--set",
                "dsa0.space=main", "--dest-machine",
                machine(renamed, name="there.json"))
    assert run.code == 0, run.err
    assert line(run.result(), "dsa0")["space"] == "main"


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def measured(spoor, machine, tmp_path, kept):
    """one_container's profile, measured once for all tests."""
    path = tmp_path / "measured.json"
    if not kept:
        run = spoor("bench", "--quick", machine(base=one_container()), "-o",
                    path, "--json", timeout=2 * LIMIT)
        assert run.code == 0, run.err
        kept["run"] = run
        kept["text"] = path.read_text()
    path.write_text(kept["text"])
    return path


def shared(profile_path):
    p = json.loads(profile_path.read_text())
    return {(t["name"], *t.get("attached", [])): t for t in p["trackers"]
            if t["kind"] != "process"}


def test_bench_measures_devices_where_they_could_be(measured, kept):
    found = shared(measured)
    assert set(found) == {("main.iommu", "nic0"), ("lone.pinned", "mdev0")}
    for t in found.values():
        assert t["pages"][0]["dirty"][-1]["bytes"]["median"] > 0
    # 1 MiB read, 512 KiB written: pinned.
    still = found["lone.pinned", "mdev0"]["pages"][0]["still_bytes"]["median"]
    assert 1.5 * MIB <= still < 1.6 * MIB
    said = notes(kept["run"])
    assert said.count("once more, with nic0.space=main") == 1
    of = [e for e in kept["run"].of("measured") if "attached" in e]
    assert [(e["tracker"], *e["attached"]) for e in of] == [
        ("main.iommu", "nic0"), ("lone.pinned", "mdev0")]


def test_what_was_measured_moved_is_not_measured_again(spoor, machine,
                                                       measured):
    before = measured.read_text()
    run = spoor("bench", "--quick", machine(base=one_container()), "-o",
                measured, "--json")
    assert run.code == 0, run.err
    assert "once more" not in notes(run)
    assert run.of("measured") == []
    assert json.loads(measured.read_text())["trackers"] == json.loads(
        before)["trackers"]


def test_a_set_of_devices_is_added_by_hand(spoor, machine, measured):
    run = spoor("bench", "--quick", machine(base=one_container()), "-o",
                measured, "--json", "--set", "mdev0.space=main")
    assert run.code == 0, run.err
    # With nobody but the nic the container reports everything.
    assert set(shared(measured)) == {("main.iommu", "nic0"),
                                     ("lone.pinned", "mdev0")}
    run = spoor("bench", "--quick", machine(base=one_container()), "-o",
                measured, "--json", "--set",
                "nic0.space=main,mdev0.space=main")
    assert run.code == 0, run.err
    assert "once more" not in notes(run)
    assert set(shared(measured)) == {("main.iommu", "nic0"),
                                     ("main.iommu", "nic0", "mdev0"),
                                     ("lone.pinned", "mdev0")}


def test_the_nic_makes_room_and_it_migrates_there(spoor, machine, measured,
                                                  tmp_path):
    m = machine(base=one_container())
    kept = tmp_path / "plan.json"
    plan = plan_of(spoor("plan", m, "--profile", measured, "-o", kept,
                         "--json"))
    nic, mdev = line(plan, "nic0"), line(plan, "mdev0")
    assert (nic["space"], nic["tracker"]) == ("main", "iommu"), nic
    assert (mdev["space"], mdev["tracker"]) == ("lone", "pinned"), mdev
    assert "with nic0 in another space: pinned tracker" in mdev["reason"]
    simulated = plan_of(spoor("plan", m, "--profile", measured, "--simulate",
                              "--json"))
    assert [(d["space"], d["tracker"]) for d in simulated["devices"]] == [
        ("main", "iommu"), ("lone", "pinned")]
    run = spoor("migrate", m, "--policy", kept, "--json", "--quiet")
    assert run.code == 0, run.err
    result = run.result()
    assert result["verified"]
    assert [(d["space"], d["tracker"]) for d in result["devices"]] == [
        ("main", "iommu"), ("lone", "pinned")]


def test_compare_runs_auto_where_it_was_planned(spoor, machine, measured):
    run = spoor("compare", machine(base=one_container()), "--policies",
                "auto,pinned", "--profile", measured, "--json", "--quiet",
                timeout=2 * LIMIT)
    assert run.code == 0, run.err
    auto, pinned = run.events()[-1]["runs"]
    assert auto["verified"] and pinned["verified"]
    assert [d["space"] for d in auto["devices"]] == ["main", "lone"]
    assert [d["space"] for d in pinned["devices"]] == ["lone", "lone"]
    # All-dirty it sends most of what it has again, at the stop.
    assert auto["bytes_sent"] < pinned["bytes_sent"]


def test_compare_gives_a_moved_device_what_its_new_space_has(
        spoor, machine, profile):
    """Dirty bits, which its own space has not."""
    run = spoor("compare", machine(accel), "--policies", "auto", "--profile",
                profile(both_in_main), "--json", "--quiet")
    assert run.code == 0, run.out
    auto, = run.events()[-1]["runs"]
    assert auto["verified"]
    dsa = line(auto, "dsa0")
    assert (dsa["space"], dsa["tracker"]) == ("main", "iommu")


@pytest.mark.skipif("SOFTVFIO_SANITIZED" in os.environ,
                    reason="a sanitized library is not preloaded")
def test_hardware_is_moved_where_it_was_measured(machine, tmp_path):
    """Of it the file tells nothing: dsa1 was tried in main, and is tracked."""
    memory = [{"iova": "0x0", "size": "16M"}]
    soft = machine(base={"memory": memory, "devices": [
        {"name": "dsa0", "model": "dsa"}, {"name": "dsa1", "model": "dsa"}]})
    hard = machine(name="hard.json", base={
        "memory": memory, "policy": {"objective": "service-gap"},
        "spaces": [{"name": "main"},
                   {"name": "accel", "dirty_tracking": False}],
        "devices": [
            {"name": "dsa0", "vfio": "0000:01:00.0", "space": "main"},
            {"name": "dsa1", "vfio": "0000:02:00.0", "space": "accel"}]})
    path = tmp_path / "measured.json"

    def run(*args):
        done = subprocess.run(
            [os.environ["SOFTVFIO_RUN"], "run", soft, "--", SPOOR, *args,
             "--json"], text=True, capture_output=True, timeout=LIMIT,
            env={**os.environ, "TMPDIR": str(tmp_path)})
        assert done.returncode == 0, done.stderr + done.stdout
        return Run(done)

    for more, tracker in (((), "none"), (("--set", "dsa1.space=main"),
                                         "iommu")):
        assert line(plan_of(run("plan", hard, *more)),
                    "dsa1")["tracker"] == tracker
    run("bench", "--quick", hard, "-o", path)
    assert set(shared(path)) == {("main.iommu",),
                                 ("main.iommu", "dsa0", "dsa1")}
    for more in (), ("--simulate",):
        plan = plan_of(run("plan", hard, "--profile", path, *more))
        dsa = line(plan, "dsa1")
        assert (dsa["space"], dsa["tracker"]) == ("main", "iommu"), dsa


def test_an_older_profile_is_read(spoor, machine, profile):
    assert all("attached" not in t for t in small_profile()["trackers"])
    plan = plan_of(spoor("plan", machine(), "--profile", profile(),
                         "--simulate", "--json"))
    assert plan["predicted"]["converged"]
    assert [d["space"] for d in plan["devices"]] == ["main", "main", "lone"]

# SPDX-License-Identifier: MIT
"""Plans: chosen, explained, predicted, kept, and obeyed."""

import json
import os
import time

import pytest

from conftest import SMALL

MIB = 1 << 20


def figure(v, origin="measured-sw"):
    return {"median": v, "origin": origin}


def page(size, rate, cap, page_ns=100):
    return {"page_size": size, "start_ns": figure(1e5), "stop_ns": figure(1e5),
            "read_clean_ns": figure(1e4), "read_page_ns": figure(page_ns),
            "read_run_ns": figure(page_ns), "digest_ns": figure(1e4),
            "slowdown": figure(0.01),
            "dirty": [{"interval_ns": int(s * 1e9),
                       "bytes": figure(min(cap, rate * s))}
                      for s in (0.01, 0.1, 1, 10)]}


def device(name, **more):
    return {"name": name, "stop_ns": figure(1e6), "save_ns": figure(1e5),
            "load_ns": figure(1e5), "run_ns": figure(1e5),
            "state_bytes": figure(65536), "period_ns": figure(1e6), **more}


def small_profile():
    """Of SMALL: figures by hand, as round as they can be."""
    return {
        "spoor_profile": 1, "host": os.uname().nodename,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "memory_bytes": 16 * MIB, "send_bytes_per_s": figure(1e9),
        "send_run_ns": figure(1000), "handover_ns": figure(1e6),
        "pause_ns": figure(1e5), "resume_ns": figure(1e5),
        "trackers": [
            {"name": "nic0.device", "kind": "device",
             "pages": [page(4096, 1e8, MIB), page(65536, 4e8, 4 * MIB)]},
            {"name": "main.iommu", "kind": "iommu",
             "pages": [page(4096, 1e8, 2 * MIB)]},
            {"name": "lone.pinned", "kind": "pinned",
             "pages": [page(4096, 1e8, 65536)]},
            {"name": "cpu.process", "kind": "process",
             "pages": [page(4096, 1e6, MIB)]}],
        "devices": [device("nic0"), device("dsa0"), device("mdev0")],
    }


@pytest.fixture
def profile(tmp_path):
    def write(change=None, p=None):
        p = p or small_profile()
        if change:
            change(p)
        path = tmp_path / "profile.json"
        path.write_text(json.dumps(p))
        return path
    return write


def plan_of(run):
    assert run.code == 0, run.err + run.out
    plan, = run.of("plan")
    return plan


def line(plan, name):
    found, = [d for d in plan["devices"] if d["name"] == name]
    return found


def notes(run):
    return " ".join(e["text"] for e in run.of("note"))


def test_without_a_profile_it_plans_by_rule_and_says_so(spoor, machine):
    run = spoor("plan", machine(), "--json")
    plan = plan_of(run)
    assert "no profile: planned by rule" in notes(run)
    assert "predicted" not in plan
    assert line(plan, "nic0")["tracker"] == "device"
    assert [c["device"] for c in plan["coverage"]] == ["nic0", "dsa0", "mdev0"]
    assert all(d["reason"] and d["covered_by"] for d in plan["devices"])
    assert run.result() == {"event": "result", "ok": True, "exit": 0}


def test_defaults_are_stated(spoor, machine):
    # As spoor-machine(5) has them, for what SMALL does not say.
    run = spoor("plan", machine(), "--json")
    of, = run.of("settings")
    assert of["link"] == {"rate": None, "latency_us": 0, "channels": 1}
    assert of["policy"] == {"name": "auto", "objective": "downtime",
                            "downtime_ms": 300, "max_rounds": 30,
                            "strict_downtime": False}
    assert of["run"] == {"before_ms": 100, "after_ms": 100}
    assert of["seed"] == 1
    nic, dsa, mdev = of["devices"]
    assert nic["migration"] == ["stop-copy", "p2p"]
    assert nic["tracker"] == {
        "min_page": 4096, "max_page": 16 << 20, "max_ranges": 8,
        "address_bits": [12, 42], "queue": 2048, "read_while_running": True,
        "fail_after": 0, "deaf": 0}
    assert nic["p2p_stops"] == "peer" and nic["state_size"] == 65536
    assert nic["clients"] is None and nic["ring"] == 4 << 20
    assert dsa["tracker"] is None and dsa["work"]["pattern"] == "uniform"
    assert mdev["pins"] == {"read": 0, "write": 65536, "dirty": "while-pinned",
                            "read_pins_clean": False, "gratuitous": False}
    text = spoor("plan", machine()).out
    assert "As given, or by default" in text
    assert "tracker.address_bits=12,42" in text


def test_with_a_profile_it_chooses_and_predicts(spoor, machine, profile):
    run = spoor("plan", machine(), "--profile", profile(), "--json",
                "--set", "nic0.tracker=device")
    plan = plan_of(run)
    assert plan["policy"] == "auto"
    p = plan["predicted"]
    assert p["origin"] == "measured-sw" and p["missing"] == ""
    assert p["converged"] and p["rounds"] >= 2
    assert 0 < p["downtime_ms"] < p["total_ms"]
    for d in plan["devices"]:
        assert d["predicted_service_gap_ms"] > 0
    nic = line(plan, "nic0")
    assert (nic["tracker"], nic["page_size"]) == ("device", 4096)
    assert "ms of downtime" in nic["reason"]
    assert nic["predicted_slowdown"] == 0.01
    assert run.result()["predicted"] == p


def test_what_a_survey_finds_is_what_the_file_says(spoor, machine, profile):
    """--simulate reads the file instead of trying: the same plan."""
    args = (machine(), "--profile", profile(), "--json")
    tried, simulated = spoor("plan", *args), spoor("plan", *args, "--simulate")
    assert plan_of(tried) == plan_of(simulated)


def test_simulated_rounds_add_up(spoor, machine, profile):
    run = spoor("plan", machine(), "--profile", profile(), "--json",
                "--simulate")
    predicted, rounds = plan_of(run)["predicted"], run.of("round")
    assert [r["n"] for r in rounds] == list(range(1, predicted["rounds"] + 1))
    assert all(r["simulated"] for r in rounds)
    assert rounds[0]["bytes"] == 16 * MIB
    state = 3 * 65536
    assert abs(sum(r["bytes"] for r in rounds) + state
               - predicted["bytes_sent"]) <= len(rounds) + 1
    ends = [r["at_ms"] + r["ms"] for r in rounds]
    assert ends == sorted(ends) and ends[-1] <= predicted["total_ms"]


def two_links(p):
    """4K reports a quarter of what 64K does, in sixteen times as many runs."""
    p["send_bytes_per_s"] = figure(2e10)
    p["send_run_ns"] = figure(3000)
    p["trackers"][0]["pages"] = [page(4096, 4e8, 4 * MIB, 3000),
                                 page(65536, 16e8, 16 * MIB, 3000)]


@pytest.mark.parametrize("rate,size", [("1G", 4096), ("400G", 65536)])
def test_the_best_page_size_depends_on_the_link(spoor, machine, profile, rate,
                                                size):
    def change(m):
        m["memory"][0]["size"] = "1G"
        m["link"] = {"rate": rate, "latency_us": 50}
        m["policy"] = {"nic0.tracker": "device", "downtime_ms": 1}

    run = spoor("plan", machine(change), "--profile", profile(two_links),
                "--simulate", "--json")
    nic = line(plan_of(run), "nic0")
    assert nic["page_size"] == size, nic["reason"]
    assert "would add" in nic["reason"]


def test_a_machine_that_does_not_fit_here(spoor, machine, profile):
    def change(m):
        m["memory"][0]["size"] = "12T"
        m["devices"] = [{"name": f"nic{i}", "model": "nic"} for i in range(48)]
        m["devices"] += [{"name": f"dsa{i}", "model": "dsa"}
                         for i in range(16)]
        m["link"] = {"rate": "400G", "latency_us": 5}

    def figures(p):
        p["memory_bytes"] = 12 << 40
        p["send_bytes_per_s"] = figure(1e11, "assumed")
        p["trackers"][0]["name"] = "nic.device"
        p["trackers"][1]["name"] = "*.iommu"
        p["devices"] = [device("nic"), device("*")]

    run = spoor("plan", machine(change), "--profile", profile(figures),
                "--simulate", "--json")
    plan = plan_of(run)
    assert "64 of 64 devices" in notes(run)
    assert plan["predicted"]["origin"] == "assumed"
    assert plan["predicted"]["converged"]
    # 12 TiB at 50 GB/s
    assert 263_000 < plan["predicted"]["total_ms"] < 270_000
    assert all(d["tracker"] in ("device", "iommu") for d in plan["devices"])


def test_hardware_has_what_the_profile_has_figures_of(spoor, machine, profile):
    def change(m):
        m["devices"] = [{"name": "nic0", "vfio": "0000:03:00.0"}]

    run = spoor("plan", machine(change), "--profile", profile(), "--simulate",
                "--json")
    assert line(plan_of(run), "nic0")["tracker"] == "device"


def test_other_policies_are_predicted_too(spoor, machine, profile):
    run = spoor("plan", machine(), "--profile", profile(), "--simulate",
                "--policy", "stop-copy", "--json")
    plan = plan_of(run)
    assert plan["stop_copy"] and plan["predicted"]["rounds"] == 1
    down = plan["predicted"]["downtime_ms"]
    run = spoor("plan", machine(), "--profile", profile(), "--simulate",
                "--policy", "device", "--set", "dsa0.tracker=iommu", "--json")
    assert plan_of(run)["predicted"]["downtime_ms"] < down


def test_objectives_and_limits_are_obeyed(spoor, machine, profile):
    def policy(**more):
        def change(m):
            m["memory"][0]["size"] = "256M"
            m["spaces"].append({"name": "accel", "dirty_tracking": False})
            m["devices"][1]["space"] = "accel"
            m["policy"] = more
        return machine(change)

    def planned(**more):
        run = spoor("plan", policy(**more), "--profile", profile(),
                    "--simulate", "--json")
        return plan_of(run)

    least = planned()
    assert line(least, "dsa0")["suspend"]["when"] != "together"
    spared = planned(objective="service-gap", gap_devices=["dsa0"],
                     limits={"downtime_ms": 10000})
    assert (line(spared, "dsa0")["predicted_service_gap_ms"]
            <= line(least, "dsa0")["predicted_service_gap_ms"])
    total = planned(objective="total", limits={"downtime_ms": 10000})
    assert (total["predicted"]["total_ms"] <= least["predicted"]["total_ms"])
    # Unless more is allowed, the target is a limit to other objectives.
    total = planned(objective="total", downtime_ms=100)
    assert total["predicted"]["downtime_ms"] <= 100


def test_a_profile_of_elsewhere_or_of_long_ago_is_named(spoor, machine,
                                                        profile):
    def change(p):
        p["host"] = "elsewhere"
        p["taken"] = "2020-01-01T00:00:00Z"

    run = spoor("plan", machine(), "--profile", profile(change), "--simulate",
                "--json")
    assert plan_of(run)
    assert "measured on another host, elsewhere" in notes(run)
    assert " days old" in notes(run)
    run = spoor("plan", machine(), "--profile", profile(), "--simulate",
                "--json")
    assert notes(run) == ""


def test_figures_that_are_missing_are_named(spoor, machine, profile):
    def no_stop(p):
        del p["devices"][0]["stop_ns"]

    def no_tracker(p):
        del p["trackers"][0]
        del p["trackers"][0]

    args = ("plan", machine(), "--simulate", "--json", "--profile")
    assert "nic0: how long it takes to stop" in notes(
        spoor(*args, profile(no_stop)))
    run = spoor(*args, profile(no_tracker))
    plan = plan_of(run)
    assert "planned by rule: " in notes(run)
    assert "nic0.device" in notes(run)
    assert "predicted" not in plan


def test_blockers_refuse(spoor, machine, profile):
    def change(m):
        m["devices"][0]["migration"] = []

    for more in ([], ["--simulate", "--profile", profile()]):
        run = spoor("plan", machine(change), "--json", *more)
        assert run.code == 3
        assert "no migration states" in run.of("plan")[0]["blockers"][0]
        assert run.result()["ok"] is False
        assert "refused by plan" in run.result()["error"]


def test_text_shows_reasons_proof_and_predictions(spoor, machine, profile):
    run = spoor("plan", machine(), "--profile", profile(), "--simulate")
    assert run.code == 0
    for text in ("covered: ", "because: ", "predicted: service gap",
                 "predicted (measured-sw): downtime", "Round  1: 16.0 MiB"):
        assert text in run.out, text


def test_a_plan_is_kept_edited_and_obeyed(spoor, machine, profile, tmp_path):
    kept = tmp_path / "plan.json"
    m = machine()
    first = plan_of(spoor("plan", m, "--profile", profile(), "-o", kept,
                          "--json"))
    again = plan_of(spoor("plan", m, "--policy", kept, "--json"))
    for key in ("tracker", "page_size", "suspend", "covered_by"):
        assert ([d[key] for d in again["devices"]]
                == [d[key] for d in first["devices"]]), key
    # Why, too: once, however often it is kept and fed back.
    spoor("plan", m, "--policy", kept, "-o", kept)
    again = plan_of(spoor("plan", m, "--policy", kept, "--profile", profile(),
                          "--json"))
    for d, was in zip(again["devices"], first["devices"]):
        assert d["reason"].startswith("as planned: " + was["reason"]), d

    edited = json.loads(kept.read_text())
    line(edited, "nic0")["tracker"] = "device"
    line(edited, "nic0")["page_size"] = "64K"
    line(edited, "dsa0")["tracker"] = "none"
    line(edited, "dsa0")["suspend"] = {"when": "after-bulk"}
    kept.write_text(json.dumps(edited))
    run = spoor("migrate", m, "--policy", kept, "--json", "--quiet")
    assert run.code == 0, run.err
    result = run.result()
    assert result["verified"]
    assert line(result, "nic0")["page_size"] == 65536
    assert line(result, "dsa0")["suspend"]["when"] == "after-bulk"
    # A line of the command line wins over the file's.
    run = spoor("plan", m, "--policy", kept, "--set", "nic0.page_size=16K",
                "--json")
    assert line(plan_of(run), "nic0")["page_size"] == 16384


def test_a_machine_file_may_name_a_plan(spoor, machine, tmp_path):
    (tmp_path / "kept.json").write_text(json.dumps(
        {"spoor_plan": 1, "devices": [
            {"name": "nic0", "tracker": "iommu"},
            {"name": "dsa0", "tracker": "none",
             "suspend": {"when": "before-bulk"}}]}))

    def change(m):
        m["policy"] = {"name": "kept.json", "dsa0.suspend": "after-bulk"}

    run = spoor("plan", machine(change), "--json")
    plan = plan_of(run)
    assert line(plan, "nic0")["tracker"] == "iommu"
    # The machine file's own line wins over that of the plan it names.
    assert line(plan, "dsa0")["suspend"]["when"] == "after-bulk"
    run = spoor("plan", machine(change), "--policy", "device", "--json")
    assert line(plan_of(run), "nic0")["tracker"] == "device"


def test_a_plan_that_stops_everything_is_kept_too(spoor, machine, profile,
                                                  tmp_path):
    kept = tmp_path / "plan.json"
    args = ("--simulate", "--profile", profile(), "--json")
    spoor("plan", machine(), *args, "--policy", "stop-copy", "-o", kept)
    assert plan_of(spoor("plan", machine(), *args, "--policy", kept)
                   )["stop_copy"]


@pytest.mark.parametrize("text,says", [
    ("{", "plan.json:1:"),
    ("{\n \"spoor_plan\": 1,\n}", "plan.json:3:"),
    ("[]", "must be an object"),
    ("{}", "\"spoor_plan\" is missing"),
    ('{"spoor_plan": 2}', "spoor_plan: 2: must be 1"),
    ('{"spoor_plan": 1, "colour": 1}', "colour: unknown key"),
    ('{"spoor_plan": 1, "devices": {}}', "devices: must be an array"),
    ('{"spoor_plan": 1, "devices": [{}]}', 'devices[0]: "name" is missing'),
    ('{"spoor_plan": 1, "devices": [{"name": "nic9"}]}',
     'devices[0].name: "nic9": is no device of this machine'),
    ('{"spoor_plan": 1, "devices": [{"name": "nic0"}, {"name": "nic0"}]}',
     'devices[1].name: "nic0": is there twice'),
    ('{"spoor_plan": 1, "devices": [{"name": "nic0", "tracker": "magic"}]}',
     'devices[0].tracker: "magic": must be'),
    ('{"spoor_plan": 1, "devices": [{"name": "nic0", "page_size": "3K"}]}',
     "devices[0].page_size:"),
    ('{"spoor_plan": 1, "devices": [{"name": "nic0", "suspend": '
     '{"when": "never"}}]}', 'devices[0].suspend.when: "never": must be'),
    ('{"spoor_plan": 1, "devices": [{"name": "nic0", "speed": 1}]}',
     "devices[0].speed: unknown key"),
])
def test_bad_plans_are_refused_by_line_or_key(spoor, machine, tmp_path, text,
                                              says):
    bad = tmp_path / "plan.json"
    bad.write_text(text)
    for verb in ("plan", "migrate"):
        run = spoor(verb, machine(), "--policy", bad)
        assert run.code == 2
        assert says in run.err, run.err
        assert str(bad) in run.err


@pytest.mark.parametrize("args,says", [
    (["--simulate"], "--simulate needs --profile"),
    (["--profile", "/nonexistent"], "--profile /nonexistent"),
    (["--policy", "/nonexistent.json"], "/nonexistent.json"),
    (["--policy", "x" * 200], "no such policy"),
    (["--policy", "fastest"], "must be one of auto"),
])
def test_bad_usage(spoor, machine, args, says):
    run = spoor("plan", machine(), *args)
    assert run.code == 2
    assert says in run.err


@pytest.mark.parametrize("policy,says", [
    ({"gap_devices": ["nic9"]}, 'policy.gap_devices[0]: "nic9"'),
    ({"limits": {"downtime_ms": 0}}, "policy.limits.downtime_ms"),
    ({"limits": {"speed": 1}}, "policy.limits.speed: unknown key"),
])
def test_bad_targets_are_refused_by_key(spoor, machine, policy, says):
    def change(m):
        m["policy"] = policy

    run = spoor("plan", machine(change))
    assert run.code == 2
    assert says in run.err


def test_a_plan_that_cannot_be_written_fails(spoor, machine):
    run = spoor("plan", machine(), "-o", "/nonexistent/plan.json", "--json")
    assert run.code == 1
    assert "-o /nonexistent/plan.json" in run.result()["error"]


def test_small_is_what_these_figures_are_of():
    assert [d["name"] for d in SMALL["devices"]] == ["nic0", "dsa0", "mdev0"]

# SPDX-License-Identifier: MIT
"""Several policies side by side: what is run, in which order, and told."""

import json
import os
import re
import signal

import pytest

from conftest import LIMIT, SMALL, example
from page import NO_PAGES, inputs_of
from test_plan import small_profile

# Of nobody's figures: nothing is measured first, nothing is predicted.
EMPTY = {"spoor_profile": 1}
FIGURES = ["downtime_ms", "total_ms", "bytes_sent", "tracking_cpu_ms"]
# More than the link takes, and than a millisecond's downtime allows.
TOO_FAST = {
    "memory": [{"iova": "0x0", "size": "16M"}],
    "cpu": {"writers": [{"rate": "200M/s", "set": "8M"}]},
    "link": {"rate": "200M"},
    "policy": {"downtime_ms": 1},
    "run": {"before_ms": 100, "after_ms": 100},
}


@pytest.fixture
def compare(spoor, machine, tmp_path):
    """Runs it with a profile that has no figures."""
    profile = tmp_path / "empty.json"
    profile.write_text(json.dumps(EMPTY))

    def run(policies, *args, base=SMALL, change=None, timeout=LIMIT):
        return spoor("compare", machine(change, base=base), "--policies",
                     policies, "--profile", profile, *args, timeout=timeout)

    return run


def comparison(run):
    last = run.events()[-1]
    assert last["event"] == "comparison", last
    return last


def spread_holds(o, key):
    spread = o["spread"][key]
    assert spread["min"] <= o[key] <= spread["max"], key


def test_what_is_refused_before_it_is_planned_says_why_too(compare):
    def unmapped(m):
        m["devices"][0]["noiommu"] = True

    run = compare("auto,stop-copy", "--json", change=unmapped)
    assert run.code == 0, run.err
    for r in comparison(run)["runs"]:
        assert "nic0: it is in a No-IOMMU group" in r["refused"]


def test_policies_take_turns_and_each_has_its_figures(compare):
    def patient(m):
        m["policy"] = {"downtime_ms": 30000}

    run = compare("device,strict:iommu,stop-copy", "--repeat", "2", "--json",
                  change=patient)
    assert run.code == 0, run.err
    last = comparison(run)
    assert last["ok"] and "error" not in last
    device, iommu, stop = last["runs"]
    assert [r["policy"] for r in last["runs"]] == ["device", "strict:iommu",
                                                   "stop-copy"]
    assert set(iommu) == {"policy", "refused"}
    assert "mdev0: strict:iommu" in iommu["refused"]
    for r in (device, stop):
        assert r["verified"] is True and r["converged"] is True
        assert r["repetitions"] == 2
        for key in FIGURES:
            spread_holds(r, key)
            assert r[key] > 0 or key == "tracking_cpu_ms"
        assert [d["name"] for d in r["devices"]] == ["nic0", "dsa0", "mdev0"]
        # dsa0's work is the only one that is timed.
        assert r["devices"][0]["service_gap_ms"] is None
        spread_holds(r["devices"][1], "service_gap_ms")
    assert stop["tracking_cpu_ms"] < device["tracking_cpu_ms"]
    # One of each in full, then repetition by repetition.
    ran = [(e["policy"], e["repetition"], e["verified"])
           for e in run.of("result") if e["ok"]]
    assert ran == [("device", 0, True), ("stop-copy", 0, True),
                   ("device", 1, False), ("stop-copy", 1, False),
                   ("device", 2, False), ("stop-copy", 2, False)]
    timed = [e["total_ms"] for e in run.of("result")
             if e["ok"] and e["repetition"] and e["policy"] == "device"]
    assert device["total_ms"] == pytest.approx(sum(timed) / 2)


def test_events_of_runs_say_whose_they_are(compare):
    run = compare("device,all-dirty", "--json")
    assert run.code == 0, run.err
    for name in ("plan", "round", "state", "result"):
        assert {(e["policy"], e["repetition"]) for e in run.of(name)
                if "repetition" in e} == {
            (p, n) for p in ("device", "all-dirty") for n in (0, 1)}, name
    for r in comparison(run)["runs"]:
        assert "spread" not in r and r["repetitions"] == 1


def test_table_has_a_line_a_policy(compare):
    run = compare("device,strict:iommu,stop-copy")
    assert run.code == 0, run.err
    lines = run.out.splitlines()
    head, = [i for i, x in enumerate(lines) if x.startswith("  policy ")]
    rows = lines[head:head + 3]
    for text in ("downtime", "total", "sent", "tracking", "gap nic0",
                 "gap dsa0", "gap mdev0"):
        assert text in rows[0]
    assert re.match(r"  device +[0-9.]+ +[0-9.]+ ", rows[1])
    assert re.match(r"  stop-copy +[0-9.]+ +[0-9.]+ ", rows[2])
    assert len(set(map(len, rows))) == 1
    assert any(x.startswith("  strict:iommu: refused: ") for x in lines)
    assert "\033" not in run.out
    assert "Round" not in run.out
    assert "run 1 of 4: device, verified in full" in run.err
    assert "run 4 of 4: stop-copy, repetition 1 of 1" in run.err


def test_prediction_that_lacks_a_figure_names_it(compare):
    run = compare("device,auto", "--json")
    assert run.code == 0, run.err
    for r in comparison(run)["runs"]:
        assert not [k for k in r if k.startswith("predicted")]
        assert any("cannot be predicted: " in n for n in r["notes"]), r


# One device that nobody tracks, and a CPU: soon measured.
TINY = {
    "memory": [{"iova": "0x0", "size": "16M"}],
    "spaces": [{"name": "main", "dirty_tracking": False}],
    "devices": [{"name": "dsa0", "model": "dsa", "space": "main",
                 "tracker": None, "work": {"rate": "4M/s", "set": "1M", "request": "4K"}}],
    "cpu": {"writers": [{"rate": "1M/s", "set": "1M"}]},
    "link": {"rate": "1G"},
    "policy": {"objective": "total"},
    "run": {"before_ms": 100, "after_ms": 100},
}


def test_profile_is_measured_first_and_auto_obeys_it(spoor, machine):
    run = spoor("compare", machine(base=TINY), "--policies", "device,auto",
                "--quick", "--json", timeout=200)
    assert run.code == 0, run.err
    assert run.of("measured")
    assert "measuring 1 of" in run.err
    device, auto = comparison(run)["runs"]
    for r in (device, auto):
        assert r["verified"] is True
        for key in FIGURES + ["converged"]:
            assert f"predicted_{key}" in r, key
        assert r["predicted_total_ms"] > 0
        assert r["devices"][0]["predicted_service_gap_ms"] > 0
    # What was planned by the profile is what was run.
    plans = [e for e in run.of("plan") if e["policy"] == "auto"]
    planned, = [e for e in plans if "repetition" not in e]
    assert "predicted" in planned
    # Sent once is sent soonest; by rule it would be suspended early.
    assert planned["stop_copy"] is True
    ran = [e for e in plans if "repetition" in e]
    assert len(ran) == 2
    for e in ran:
        assert e["stop_copy"] == planned["stop_copy"]
        for was, now in zip(planned["devices"], e["devices"]):
            for key in ("name", "tracker", "page_size", "suspend"):
                assert was[key] == now[key], key


def test_plan_file_is_a_policy(compare, spoor, machine, tmp_path):
    plan = tmp_path / "mine.json"
    plan.write_text(json.dumps({"spoor_plan": 1, "devices": [
        {"name": "nic0", "tracker": "device", "page_size": "64K"}]}))
    run = compare(f"{plan},device", "--json")
    assert run.code == 0, run.err
    mine, device = comparison(run)["runs"]
    assert mine["policy"] == str(plan)
    assert mine["devices"][0]["page_size"] == 64 << 10
    assert device["devices"][0]["page_size"] == 4096
    plan.write_text('{"spoor_plan": 1, "devices": [{"name": "nic9"}]}')
    run = compare(f"device,{plan}")
    assert run.code == 2
    assert "nic9" in run.err and run.out == ""


def test_quiet_shows_no_progress(compare):
    assert compare("device", "--quiet").err == ""


def test_what_does_not_converge_is_told_not_waited_for(compare):
    run = compare("auto", "--json", base=TOO_FAST)
    assert run.code == 0, run.err
    r, = comparison(run)["runs"]
    assert r["converged"] is False and r["verified"] is True
    assert "cpu.process is too fast" in r["too_fast"]


def strictly(m):
    m["policy"]["strict_downtime"] = True


def test_failed_run_is_told_and_others_go_on(compare):
    run = compare("device,stop-copy", "--json", base=TOO_FAST,
                  change=strictly)
    assert run.code == 1, run.err
    last = comparison(run)
    assert not last["ok"] and last["error"] == "1 of 2 policies failed"
    device, stop = last["runs"]
    assert "cannot be met" in device["failed"]
    assert device["verified"] is False and device["repetitions"] == 0
    assert stop["verified"] is True and stop["repetitions"] == 1
    # It is not tried again.
    assert [e["policy"] for e in run.of("result")] == ["device", "stop-copy",
                                                       "stop-copy"]


def deaf_machine():
    m = example("b-nic-only")
    nic = m["devices"][0]
    nic["tracker"] = {"deaf": 1}
    nic["ring"] = "1M"
    nic["clients"]["rate"] = 2000
    m["link"] = {"rate": "400M"}
    m["policy"] = {"downtime_ms": 10}
    m["run"] = {"before_ms": 100, "after_ms": 300}
    return m


def test_lost_pages_are_told_with_their_writer(compare):
    run = compare("device,stop-copy", "--json", base=deaf_machine())
    assert run.code == 4, run.err
    device, stop = comparison(run)["runs"]
    assert device["verified"] is False and device["failed"]
    assert {x["writer"] for x in device["lost"]} == {"nic0"}
    assert stop["verified"] is True and "lost" not in stop
    run = compare("device", base=deaf_machine())
    assert run.code == 4
    assert "device: failed: " in run.out
    assert "last written by nic0" in run.out


def test_report_draws_the_runs(compare, tmp_path):
    page = tmp_path / "page.html"
    run = compare("device,stop-copy", "--report", page)
    if run.code == 77:
        pytest.skip(run.err)
    assert run.code == 0, run.err
    text = page.read_text()
    assert '"event":"comparison"' in text
    assert text.count('"event":"result"') == 4
    # A profile without figures is no picture.
    assert [sorted(i) for i in inputs_of(page)] == [["events", "name"]]


@pytest.mark.skipif(bool(NO_PAGES), reason=NO_PAGES)
def test_report_draws_the_given_profile(compare, tmp_path):
    page, profile = tmp_path / "page.html", tmp_path / "given.json"
    profile.write_text(json.dumps(small_profile()))
    run = compare("device", "--report", page, "--profile", profile, "--links",
                  "1G,40G")
    assert run.code == 0, run.err
    given, runs = inputs_of(page)
    assert given["name"] == "given.json"
    assert given["profile"]["trackers"][0]["name"] == "nic0.device"
    assert {c["link_bytes_per_s"] for c in given["costs"]} == {
        125000000, 5000000000}
    assert runs["events"][-1]["event"] == "comparison"


def test_interrupt_tells_what_was_measured(start, machine, tmp_path):
    profile = tmp_path / "empty.json"
    profile.write_text(json.dumps(EMPTY))
    p = start("compare", machine(), "--policies", "device,stop-copy",
              "--profile", profile, "--repeat", "1000", "--json")
    seen = []
    for line in p.stdout:
        e = json.loads(line)
        if e["event"] == "result":
            seen.append((e["policy"], e["repetition"]))
        if seen and seen[-1] == ("device", 1):
            break
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=LIMIT)
    assert p.returncode == 130, err
    last = json.loads(out.splitlines()[-1])
    assert last["event"] == "comparison"
    assert not last["ok"] and last["error"] == "interrupted"
    device, stop = last["runs"]
    assert device["repetitions"] >= 1 and device["verified"]
    # One is a median too.
    spread_holds(device, "total_ms")
    assert stop["repetitions"] == 0 or stop["total_ms"] > 0
    assert list(start.scratch.iterdir()) == []


@pytest.mark.parametrize("args,text", [
    ([], "--policies A,B,... is needed"),
    (["--policies", ""], "single commas"),
    (["--policies", ","], "single commas"),
    (["--policies", "device,"], "single commas"),
    (["--policies", os.fsdecode(b"device,./\xff.json")], "must be UTF-8"),
    (["--policies", "device,fast"], "\"fast\""),
    (["--policies", "device,strict:fast"], "\"strict:fast\""),
    (["--policies", "device,iommu,device"], "device: is there twice"),
    (["--policies", "device", "--repeat", "0"], "--repeat: must be 1 to"),
    (["--policies", "device", "--repeat", "1001"], "--repeat: must be 1 to"),
    (["--policies", "device", "--repeat", "-1"], "--repeat -1"),
    (["--policies", "device", "--repeat", "two"], "--repeat two"),
    (["--policies", "device", "--profile", "/nonexistent"],
     "--profile /nonexistent"),
    (["--policies", "device", "--set", "nic1.tracker=iommu"], "nic1"),
    (["--policies", "device", "--to", "unix:s"], "--to: unknown option"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_bad_usage_starts_nothing(spoor, machine, args, text):
    run = spoor("compare", machine(), *args)
    assert run.code == 2
    assert text in run.err
    assert run.out == ""


def test_bad_profile_names_the_key(spoor, machine, tmp_path):
    profile = tmp_path / "bad.json"
    profile.write_text(json.dumps({**EMPTY, "pause_ns": "long"}))
    run = spoor("compare", machine(), "--policies", "device", "--profile",
                profile)
    assert run.code == 2
    assert "pause_ns" in run.err and run.out == ""

# SPDX-License-Identifier: MIT
"""What `spoor bench` measures, keeps and refuses."""

import json
import os
import re
import signal
import subprocess

import pytest

from conftest import LIMIT, SPOOR
from page import NO_PAGES, inputs_of

K = 1024
MACHINE = {
    "memory": [{"iova": "0x0", "size": "64M"}],
    "spaces": [{"name": "main"}, {"name": "lone", "backend": "type1"}],
    "devices": [
        {"name": "nic0", "model": "nic", "space": "main",
         "clients": {"rate": 500},
         "tracker": {"min_page": "4K", "max_page": "2M"}},
        {"name": "dsa0", "model": "dsa", "space": "main",
         "tracker": {"min_page": "4K", "max_page": "2M",
                     "cost": {"mark_ns": 50, "page_ns": 700}},
         "work": {"rate": "8M/s", "set": "16M", "request": "4K"}},
        {"name": "mdev0", "model": "mdev", "space": "lone",
         "pins": {"read": "1M", "write": "1M"}},
    ],
    "cpu": {"writers": [{"rate": "8M/s", "set": "16M"}]},
    "link": {"rate": "10G"},
}
# One device without a tracker, and a CPU: soon done.
TINY = {
    "memory": [{"iova": "0x0", "size": "16M"}],
    "spaces": [{"name": "main", "dirty_tracking": False}],
    "devices": [{"name": "dsa0", "model": "dsa", "space": "main",
                 "tracker": None,
                 "work": {"rate": "1M/s", "set": "1M"}}],
    "cpu": {"writers": [{"rate": "1M/s", "set": "1M"}]},
}
TRACKERS = {
    "nic0.device": [4 * K, 16 * K, 64 * K, 2048 * K],
    "dsa0.device": [4 * K, 16 * K, 64 * K, 2048 * K],
    "main.iommu": [4 * K],
    "lone.pinned": [4 * K],
    "cpu.process": [4 * K],
}
PINS = ["while-pinned", "at-unpin", "mark-once"]
PAGE_FIGURES = ["start_ns", "stop_ns", "read_clean_ns", "still_bytes",
                "digest_ns"]
DEVICE_FIGURES = ["state_bytes", "stop_ns", "save_ns", "load_ns", "run_ns",
                  "period_ns"]
HOST_FIGURES = ["zero_share", "send_bytes_per_s", "zero_bytes_per_s",
                "resend_bytes_per_s", "send_run_ns",
                "handover_ns", "pause_ns", "resume_ns"]


def run_bench(spoor, *args, **how):
    return spoor("bench", "--quick", *args, timeout=2 * LIMIT, **how)


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def measured(spoor, machine, tmp_path, kept):
    """The machine's profile and the run that made it, once for all tests."""
    if not kept:
        path = tmp_path / "profile.json"
        page = [] if NO_PAGES else ["--report", tmp_path / "page.html"]
        run = run_bench(spoor, machine(base=MACHINE), "-o", path, "--json",
                        *page)
        assert run.code == 0, run.err
        kept["run"] = run
        if page:
            kept["page"] = inputs_of(page[1])
        kept["text"] = path.read_text()
    return json.loads(kept["text"]), kept["run"]


def pages(profile, name):
    for t in profile["trackers"]:
        if t["name"] == name:
            return {p["page_size"]: p for p in t["pages"]}
    return {}


def figures(o):
    """All of a profile, with their paths."""
    for key, v in o.items() if isinstance(o, dict) else enumerate(o):
        if isinstance(v, dict) and "median" in v:
            yield key, v
        elif isinstance(v, (dict, list)):
            yield from figures(v)


def test_every_tracker_is_measured_at_every_page_size(measured):
    profile, _ = measured
    assert {t["name"]: [p["page_size"] for p in t["pages"]]
            for t in profile["trackers"]} == TRACKERS
    for t in profile["trackers"]:
        for p in t["pages"]:
            for f in PAGE_FIGURES:
                assert p[f]["origin"] == "measured-sw", (t["name"], f)
            # Shorter ones not where a read takes longer, on a busy host.
            at = [d["interval_ns"] // 10**6 for d in p["dirty"]]
            assert set(at) <= {10, 30, 100, 300} and at[-1] == 300
            assert len(at) > 1
            assert "read_page_ns" in p or "read_run_ns" in p, t["name"]
            assert "slowdown" in p
            assert ("delay" in p) == (t["kind"] != "process"), t["name"]


def test_report_draws_what_was_just_measured(measured, kept):
    if NO_PAGES:
        pytest.skip(NO_PAGES)
    shown, = kept["page"]
    assert shown["name"] == "machine.json"
    assert shown["profile"] == measured[0]
    sizes = {(c["tracker"], c["link_bytes_per_s"]):
             [p["page_size"] for p in c["pages"]] for c in shown["costs"]}
    # The machine's own link, beside the two.
    assert sizes == {(t, r): TRACKERS[t] for t in TRACKERS
                     if t != "cpu.process"
                     for r in (125000000, 1250000000, 12500000000)}


def test_devices_and_host_are_measured(measured):
    profile, _ = measured
    assert [d["name"] for d in profile["devices"]] == ["nic0", "dsa0", "mdev0"]
    for d in profile["devices"]:
        assert d["reach_bytes"] == 64 * K * K
        for f in DEVICE_FIGURES:
            assert d[f]["origin"] == "measured-sw", (d["name"], f)
            assert d[f]["median"] > 0
    for f in HOST_FIGURES:
        assert profile[f]["origin"] == "measured-sw"
    # Requests come at a rate of their own: 500/s, where there is a turn for it.
    assert 1e6 < profile["devices"][0]["period_ns"]["median"] < 20e6
    assert profile["memory_bytes"] == 64 * K * K
    assert profile["machine"] == "machine.json"
    assert profile["host"] == os.uname().nodename
    assert 0.3 < profile["zero_share"]["median"] < 1


def test_zeroes_are_told_from_what_is_sent(measured):
    profile, _ = measured
    shares = [profile["zero_share"]["median"]]
    shares += [z["share"]["median"] for z in profile["zero_later"]]
    assert [z["after_ns"] for z in profile["zero_later"]] == [10**9, 3 * 10**9]
    # Memory fills.
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < shares[0]
    # Half of what mdev0 has pinned is only read: nobody ever wrote there.
    for d in pages(profile, "lone.pinned")[4 * K]["dirty"]:
        assert 0.4 < d["zero_share"]["median"] <= 0.6
    for d in pages(profile, "nic0.device")[4 * K]["dirty"]:
        assert d["zero_share"]["median"] == 0


def test_what_dirties_much_is_followed_for_long(spoor, machine, tmp_path):
    path = tmp_path / "profile.json"
    run = spoor("bench", machine(base=TINY), "-o", path, "--quiet", timeout=2 * LIMIT)
    assert run.code == 0, run.err
    profile = json.loads(path.read_text())
    dirty = pages(profile, "cpu.process")[4 * K]["dirty"]
    seconds = [round(d["interval_ns"] / 1e9, 2) for d in dirty]
    assert seconds[-4:] == [0.3, 1, 3, 10]
    grown = [d["bytes"]["median"] for d in dirty]
    # All of the set in the end, and little more: the guest's own.
    assert grown[-3] < grown[-2] <= grown[-1] < K * K + 64 * K
    assert grown[-1] > 0.9 * K * K
    assert len(profile["zero_later"]) == 3


def test_figures_are_ordered_and_say_where_they_come_from(measured):
    profile, _ = measured
    all_of_it = list(figures(profile))
    assert len(all_of_it) > 100
    for key, f in all_of_it:
        assert 0 <= f["min"] <= f["median"] <= f["max"], key
        assert f["samples"] >= 1
        assert f["origin"] in ("measured-sw", "assumed"), key


def test_what_a_model_is_said_to_cost_is_assumed(measured):
    profile, _ = measured
    dsa = pages(profile, "dsa0.device")[4 * K]
    nic = pages(profile, "nic0.device")[4 * K]
    assert dsa["read_page_ns"]["median"] == 700
    assert dsa["read_page_ns"]["origin"] == "assumed"
    assert dsa["slowdown"]["origin"] == "assumed"
    # 8 MiB/s of 4 KiB pages, or what a busy machine lets it write; 50 ns each
    assert 0.00001 < dsa["slowdown"]["median"] < 0.0003
    assert nic["slowdown"]["origin"] == "measured-sw"


def test_iommus_are_measured_by_dirty_bit_and_by_write_fault(
        spoor, machine, tmp_path):
    """Of each size of entries; both kinds report alike."""
    spaces = {"by-bit": {}, "by-fault": {"dirty_by": "fault"},
              "of-16K": {"iommu_page": "16K"}, "of-64K": {"iommu_page": "64K"}}
    m = {"memory": [{"iova": "0x0", "size": "32M"}],
         "spaces": [{"name": n, **s} for n, s in spaces.items()],
         "devices": [{"name": f"dsa{i}", "model": "dsa", "space": n,
                      "work": {"rate": "4M/s", "set": "4M", "request": "4K"}}
                     for i, n in enumerate(spaces)]}
    run = run_bench(spoor, machine(base=m), "--json",
                    env={"SOFTVFIO_STATS": str(tmp_path / "stats.%p")})
    assert run.code == 0, run.err
    profile = run.result()["profile"]
    assert {t["name"]: [p["page_size"] for p in t["pages"]]
            for t in profile["trackers"] if t["kind"] == "iommu"} == {
        "by-bit.iommu": [4 * K], "by-fault.iommu": [4 * K],
        "of-16K.iommu": [16 * K], "of-64K.iommu": [64 * K]}
    for t in profile["trackers"]:
        if t["kind"] == "iommu":
            assert t["set_bytes"] == 4 * K * K
            page = t["pages"][0]
            assert "slowdown" in page and "delay" in page
            assert 0 < dirty(page, 30) < dirty(page, 300) <= 8 * K * K
    counted = [s for f in tmp_path.glob("stats.*")
               for s in json.loads(f.read_text())["spaces"]]
    faults = [s for s in counted if s["write_faults"]]
    assert len(faults) == 1
    # One device: each mark is a fault of its own.
    assert faults[0]["write_faults"] == faults[0]["marks"]


def dirty(page, ms):
    return {d["interval_ns"]: d["bytes"]["median"]
            for d in page["dirty"]}[ms * 10**6]


def test_dirty_bytes_grow_with_page_size_and_interval(measured):
    profile, _ = measured
    dsa = pages(profile, "dsa0.device")
    for p in dsa.values():
        curve = [d["bytes"]["median"] for d in p["dirty"]]
        # A granule more or less is chance where nearly all are dirty at once.
        assert all(a <= b + p["page_size"]
                   for a, b in zip(curve, curve[2:])), curve
        assert all(d["bytes"]["min"] % p["page_size"] == 0
                   for d in p["dirty"])
    for ms in (100, 300):
        by_size = [dirty(dsa[s], ms) for s in sorted(dsa)]
        assert by_size == sorted(by_size)
    # 8 MiB/s at random in 16 MiB: it is nearly all new
    assert 2 * dirty(dsa[4 * K], 100) < dirty(dsa[4 * K], 300)
    assert dirty(dsa[2048 * K], 300) > 3 * dirty(dsa[4 * K], 300)
    cpu = pages(profile, "cpu.process")[4 * K]
    assert 2 * dirty(cpu, 100) < dirty(cpu, 300) < 8 * K * K


def test_what_is_pinned_is_dirty_at_once(measured):
    profile, _ = measured
    page = pages(profile, "lone.pinned")[4 * K]
    assert dirty(page, 100) == dirty(page, 300) >= 2 * K * K
    assert page["still_bytes"]["median"] == dirty(page, 100)
    # Of others nothing stands dirty.
    assert {pages(profile, t)[4 * K]["still_bytes"]["max"]
            for t in TRACKERS if t != "lone.pinned"} == {0}


def test_pins_that_are_dirty_once_unpinned_count_at_the_stop(spoor, machine):
    """Three ways of pinning the same: what is told while it runs differs."""
    m = json.loads(json.dumps(TINY))
    m["cpu"] = {"writers": []}
    m["spaces"] = [{"name": n, "backend": "type1"} for n in PINS]
    m["devices"] = [{"name": f"mdev{i}", "model": "mdev", "space": n,
                     "work": {"rate": "400K/s"},
                     "pins": {"read": "1M", "write": "1M", "dirty": n}}
                    for i, n in enumerate(PINS)]
    run = run_bench(spoor, machine(base=m), "--json")
    assert run.code == 0, run.err
    of = {n: pages(run.result()["profile"], f"{n}.pinned")[4 * K]
          for n in PINS}
    still = {n: p["still_bytes"]["median"] for n, p in of.items()}
    # Both areas, and the page of completions.
    assert still["while-pinned"] == still["at-unpin"] >= 2 * K * K
    assert dirty(of["while-pinned"], 100) == still["while-pinned"]
    assert dirty(of["at-unpin"], 300) == 0
    assert still["mark-once"] == 0 < dirty(of["mark-once"], 300) < 1.2 * K * K


@pytest.mark.skipif("SOFTVFIO_SANITIZED" in os.environ,
                    reason="a sanitized library is not preloaded")
def test_device_by_itself_is_measured(machine, tmp_path):
    """As its owner does it: no machine file, and no model in sight."""
    m = json.loads(json.dumps(TINY))
    m["spaces"] = [{"name": "main"}]
    m["devices"][0].update(tracker={"max_page": "16K"}, state_size="1M")
    path = tmp_path / "profile.json"
    for measured in True, False:  # The second goes on from the first.
        done = subprocess.run(
            [os.environ["SOFTVFIO_RUN"], "run", machine(base=m), "--", SPOOR,
             "bench", "0000:01:00.0", "-o", path, "--quick", "--json"],
            text=True, capture_output=True, timeout=200,
            env={**os.environ, "TMPDIR": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        assert ("measuring" in done.stderr) == measured
        profile = json.loads(path.read_text())
        assert profile["machine"] == "0000:01:00.0"
        assert {t["name"]: [p["page_size"] for p in t["pages"]]
                for t in profile["trackers"]} == {
                    "device.device": [4 * K, 16 * K], "main.iommu": [4 * K]}
        assert profile["devices"][0]["state_bytes"]["median"] > 1 << 20
    done = subprocess.run([SPOOR, "bench", "0000:ff:1f.7"], text=True,
                          capture_output=True)
    assert done.returncode in (1, 77)
    assert "0000:ff:1f.7: " in done.stderr


def test_each_measurement_is_an_event(measured):
    profile, run = measured
    events = run.of("measured")
    assert sorted((e["tracker"], e["page_size"]) for e in events
                  if "tracker" in e) == sorted(
        (n, s) for n in TRACKERS for s in TRACKERS[n])
    assert [e["device"] for e in events if "device" in e] == [
        "nic0", "dsa0", "mdev0"]
    assert len([e for e in events if "machine" in e]) == 1
    for e in events:
        if "tracker" in e:
            assert e["start_ns"] == pytest.approx(
                pages(profile, e["tracker"])[e["page_size"]]["start_ns"])
    result = run.result()
    assert result["ok"] and result["profile"].endswith("profile.json")
    assert "measuring 1 of" in run.err


def test_profile_is_not_measured_again(spoor, machine, tmp_path, measured,
                                       kept):
    path = tmp_path / "profile.json"
    path.write_text(kept["text"])
    run = run_bench(spoor, machine(base=MACHINE), "-o", path)
    assert run.code == 0, run.err
    assert "measuring" not in run.err
    again = json.loads(path.read_text())
    again["taken"] = measured[0]["taken"]
    assert again == measured[0]
    assert "nic0.device" in run.out and "measured-sw" in run.out


def test_without_a_file_the_profile_is_printed(spoor, machine):
    run = run_bench(spoor, machine(base=TINY))
    assert run.code == 0, run.err
    assert run.out.startswith("Profile of machine.json on ")
    assert "cpu.process" in run.out and "dsa0" in run.out


def test_without_a_file_the_result_holds_the_profile(spoor, machine):
    run = run_bench(spoor, machine(base=TINY), "--json", "--quiet")
    assert run.code == 0 and run.err == ""
    profile = run.result()["profile"]
    assert profile["spoor_profile"] == 1
    assert [t["name"] for t in profile["trackers"]] == ["cpu.process"]


def test_interrupt_keeps_what_was_measured_and_the_next_run_goes_on(
        spoor, start, machine, tmp_path):
    path = tmp_path / "profile.json"
    file = machine(base={**MACHINE, "devices": MACHINE["devices"][:1],
                         "spaces": MACHINE["spaces"][:1]})
    p = start("bench", "--quick", file, "-o", path, "--json")
    for line in p.stdout:
        e = json.loads(line)
        if e["event"] == "measured" and e.get("page_size") == 16 * K:
            break
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=LIMIT)
    assert p.returncode == 130, err
    result = json.loads(out.splitlines()[-1])
    assert not result["ok"] and result["exit"] == 130
    assert "interrupted; what was measured is in" in result["error"]
    assert list(start.scratch.iterdir()) == []
    half = json.loads(path.read_text())
    assert list(pages(half, "nic0.device"))[:2] == [4 * K, 16 * K]
    assert "cpu.process" not in [t["name"] for t in half["trackers"]]
    run = run_bench(spoor, file, "-o", path, "--json")
    assert run.code == 0, run.err
    again = [(e["tracker"], e["page_size"]) for e in run.of("measured")
             if "tracker" in e]
    done = [(t["name"], p["page_size"]) for t in half["trackers"]
            for p in t["pages"]]
    assert not set(again) & set(done)
    whole = json.loads(path.read_text())
    assert {t["name"]: [p["page_size"] for p in t["pages"]]
            for t in whole["trackers"]} == {
        n: TRACKERS[n] for n in ("nic0.device", "main.iommu", "cpu.process")}
    assert whole["devices"] == half["devices"]
    assert pages(whole, "nic0.device")[4 * K] == pages(
        half, "nic0.device")[4 * K]


def refused(spoor, *args):
    run = run_bench(spoor, *args, "--json")
    assert run.code == 2
    result = run.result()
    assert result["exit"] == 2 and not result["ok"]
    assert len(run.events()) == 1, "something was started"
    return result["error"]


@pytest.mark.parametrize("path,text", [
    ("", "-o : must be a file's path"),
    ("/dev/null", "-o /dev/null: must be a file's path"),
    ("/nonexistent/p", "-o /nonexistent/p: No such file"),
    ("/proc/p", "-o /proc/p: "),
    ("/tmp", "-o /tmp: Is a directory"),
])
def test_place_that_cannot_be_written_is_refused(spoor, machine, path, text):
    assert text in refused(spoor, machine(base=TINY), "-o", path)


def test_file_that_is_no_profile_is_not_written_over(spoor, machine, tmp_path):
    path = tmp_path / "p"
    path.write_text("{\n\"dear\": \"diary\"}")
    assert "it is no profile" in refused(spoor, machine(base=TINY), "-o", path)
    path.write_text("{\n\"dear\"\n")
    assert f"{path}:3:" in refused(spoor, machine(base=TINY), "-o", path)
    path.write_text('{"spoor_profile": 1, "trackers": [{"name": "a", "kind": '
                    '"iommu", "pages": [{"page_size": 4096, "stop_ns": '
                    '{"median": 1, "origin": "felt"}}]}]}')
    assert ('trackers[0].pages[0].stop_ns.origin: "felt": must be "assumed"'
            in refused(spoor, machine(base=TINY), "-o", path))


@pytest.mark.parametrize("key,value,why", [
    ("host", "elsewhere", "another host"),
    ("kernel", "Linux 1.0", "another kernel"),
    ("machine_hash", "0x1", "another machine"),
])
def test_profile_of_another_is_refused(spoor, machine, tmp_path, measured, kept,
                                       key, value, why):
    path = tmp_path / "profile.json"
    other = json.loads(kept["text"])
    other[key] = value
    path.write_text(json.dumps(other))
    error = refused(spoor, machine(base=MACHINE), "-o", path)
    assert why in error and "remove it, or name another file" in error
    assert json.loads(path.read_text()) == other


def test_large_pages_of_a_page_table_show_and_so_does_the_break_even(
        spoor, machine, tmp_path):
    path = tmp_path / "profile.json"
    m = json.loads(json.dumps(TINY))
    m["memory"] = [{"iova": "0x0", "size": "64M",
                    "contents": {"pattern": "random"}}]
    m["spaces"] = [{"name": "main", "iommu_page": "2M"}]
    m["devices"][0]["tracker"] = {"max_page": "4K"}
    m["devices"][0]["work"] = {"rate": "2M/s", "set": "16M", "request": "4K"}
    run = run_bench(spoor, machine(base=m), "-o", path)
    assert run.code == 0, run.err
    profile = json.loads(path.read_text())
    own = pages(profile, "dsa0.device")[4 * K]
    shared = pages(profile, "main.iommu")[2048 * K]
    assert dirty(shared, 100) > 4 * dirty(own, 100)
    assert all(d["bytes"]["min"] % (2048 * K) == 0 for d in shared["dirty"])
    more = dirty(shared, 300) - dirty(own, 300)
    said = re.search(r"main: own tracker against iommu \(2M\): .* wins while "
                     r"it slows by less than ([\d.]+) %", run.out)
    assert said, run.out
    assert float(said[1]) == pytest.approx(
        100 * more / (64 * K * K), rel=0.1)


def test_tracker_that_fails_is_left_out(spoor, machine, tmp_path):
    """Its reports fail after a few: the others are measured all the same."""
    path = tmp_path / "profile.json"
    m = json.loads(json.dumps(MACHINE))
    m["devices"] = m["devices"][:1]
    m["spaces"] = m["spaces"][:1]
    m["devices"][0]["tracker"] = {"max_page": "4K", "fail_after": 6}
    run = run_bench(spoor, machine(base=m), "-o", path, "--json")
    assert run.code == 0, run.err
    assert [t["name"] for t in json.loads(path.read_text())["trackers"]] == [
        "main.iommu", "cpu.process"]
    assert any("nic0.device" in e["text"] and "left out" in e["text"]
               for e in run.of("note"))


def test_tracker_that_is_read_only_while_quiet_is_measured(spoor, machine,
                                                           tmp_path):
    path = tmp_path / "profile.json"
    m = json.loads(json.dumps(TINY))
    m["devices"][0]["tracker"] = {"max_page": "4K",
                                  "read_while_running": False}
    m["devices"][0]["work"] = {"rate": "8M/s", "set": "8M", "request": "4K"}
    run = run_bench(spoor, machine(base=m), "-o", path)
    assert run.code == 0, run.err
    page = pages(json.loads(path.read_text()), "dsa0.device")[4 * K]
    assert dirty(page, 300) >= dirty(page, 30) > 0


@pytest.mark.parametrize("verb", ["bench", "compare"])
def test_links_are_a_page_s(spoor, machine, verb):
    more = ["--policies", "auto"] if verb == "compare" else []
    run = spoor(verb, machine(base=TINY), "--links", "1G", *more)
    assert run.code == 2
    assert "--links needs --report" in run.err

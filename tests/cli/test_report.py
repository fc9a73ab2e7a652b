# SPDX-License-Identifier: MIT
"""The page with plots: what it is made from, and that a browser draws it."""

import copy
import json
import os
import subprocess

import pytest

import browser
from conftest import SMALL, SPOOR
from page import NO_PAGES, Elements, inputs_of
from test_plan import line, plan_of, small_profile, two_links
from test_plan import page as page_figures

pytestmark = pytest.mark.skipif(bool(NO_PAGES), reason=NO_PAGES)

RUN = copy.deepcopy(SMALL)
RUN["devices"][0]["clients"] = {"rate": 500}
RUN["devices"][1]["work"] = {"rate": "20M/s", "set": "2M"}

ROUND = {"event": "round", "n": 2, "ms": 1.5, "bytes": 8192, "rate": 5461333,
         "dirty": [{"tracker": "nic0.device", "pages": 2, "read_ms": 0.1}],
         "begin_ms": 3.0, "stopped": True,
         "map": [{"iova": "0x0", "len": 20480, "bucket": 8192,
                  "pages": [2, 0, 0]}]}
PROFILE = {
    "spoor_profile": 1, "host": "h", "trackers": [{
        "name": "nic0.device", "kind": "device", "pages": [{
            "page_size": size, "dirty": [{
                "interval_ns": ns, "bytes": {
                    "median": size * ns / 1e6, "min": size, "max": size * ns,
                    "samples": 5, "origin": origin}}
                for ns, origin in [(10000000, "measured-sw"),
                                   (100000000, "assumed")]]}
            for size in (4096, 65536)]}]}
COMPARISON = {"event": "comparison", "ok": True, "runs": [
    {"policy": p, "verified": True, "downtime_ms": d,
     "predicted_downtime_ms": d * 1.1, "total_ms": 900.0,
     "predicted_total_ms": 950.0, "bytes_sent": 1 << 30,
     "tracking_cpu_ms": 5.0, "spread": {"downtime_ms": [d - 1, d + 9]},
     "devices": [{"name": "nic0", "service_gap_ms": d + 3,
                  "predicted_service_gap_ms": None}]}
    for p, d in [("auto", 50.0), ("stop-copy", 700.0)]
] + [{"policy": "strict:pinned", "refused": "nobody pins"}]}


def lines(*events):
    return "".join(json.dumps(e) + "\n" for e in events)


@pytest.fixture(scope="module", name="migrated")
def migrated_once(tmp_path_factory):
    """A real migration: its events, and the page that it wrote itself."""
    folder = tmp_path_factory.mktemp("migrated")
    (folder / "machine.json").write_text(json.dumps(RUN))
    done = subprocess.run(
        [SPOOR, "migrate", folder / "machine.json", "--json", "--quiet",
         "--report", folder / "own.html"], text=True, capture_output=True,
        timeout=120, env={**os.environ, "TMPDIR": str(folder)})
    assert done.returncode == 0, done.stderr
    (folder / "run.jsonl").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module", name="chromium")
def one_browser(tmp_path_factory):
    if not browser.find():
        pytest.skip("no chromium here to open pages with")
    with browser.Browser(tmp_path_factory.mktemp("chromium")) as b:
        yield b


@pytest.fixture
def made(spoor, tmp_path):
    """Writes inputs, makes a page of them; the run and the page."""

    def make(*inputs, code=0):
        paths = []
        for i, text in enumerate(inputs):
            paths.append(tmp_path / f"in{i}.json")
            if isinstance(text, bytes):
                paths[-1].write_bytes(text)
            else:
                paths[-1].write_text(text if isinstance(text, str)
                                     else json.dumps(text, indent=1))
        run = spoor("report", *paths, "-o", tmp_path / "page.html")
        assert run.code == code, run.err
        return run, tmp_path / "page.html"

    return make


def drawn(chromium, page, **how):
    chromium.open(page, **how)
    assert chromium.complaints() == []
    assert chromium.state() == "drawn"
    assert chromium.requests() == [page.as_uri()]
    return int(chromium.eval("document.documentElement.dataset.plots"))


def test_maps_of_the_rounds_add_up_to_what_was_sent(migrated):
    events = [json.loads(e) for e in
              (migrated / "run.jsonl").read_text().splitlines()]
    rounds = [e for e in events if e["event"] == "round"]
    for r in rounds:
        assert sum(a["len"] for a in r["map"]) == events[-1]["memory_bytes"]
        assert sum(len(a["pages"]) for a in r["map"]) <= 256
    assert sum(sum(a["pages"]) for r in rounds for a in r["map"]) == \
        events[-1]["pages_sent"]
    assert [r["stopped"] for r in rounds] == \
        [False] * (len(rounds) - 1) + [True]
    pause = events[-1]["pause"]
    assert 0 < pause["begin_ms"] <= rounds[-1]["begin_ms"]
    assert pause["begin_ms"] < pause["verify_begin_ms"] < \
        pause["verify_end_ms"] < pause["end_ms"]
    # The source hears of it with DONE, later.
    assert pause["end_ms"] - pause["begin_ms"] <= \
        events[-1]["downtime_ms"] + events[-1]["verify_ms"]


def test_page_of_migrate_is_that_of_its_events(spoor, migrated):
    run = spoor("report", migrated / "run.jsonl", "-o",
                migrated / "made.html", "--json")
    assert run.code == 0, run.err
    assert run.result()["runs"] == 1
    own, made = (inputs_of(migrated / n) for n in ("own.html", "made.html"))
    assert [i["name"] for i in own + made] == ["machine.json", "run.jsonl"]
    assert own[0]["events"] == made[0]["events"]
    assert made[0]["events"] == [
        json.loads(e) for e in
        (migrated / "run.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_browser_draws_every_plot_at(chromium, migrated, width, dark):
    page = migrated / "own.html"
    # Three of rounds, the heat map, two time lines.
    assert drawn(chromium, page, width=width, dark=dark) == 6
    assert chromium.eval("document.documentElement.scrollWidth") <= width
    assert chromium.eval(
        "Math.max(...[...document.querySelectorAll('.plot svg')]"
        ".map((s) => s.getBoundingClientRect().right))") <= width
    assert chromium.eval("document.querySelector('.verdict').textContent") \
        == "Moved: the machine runs at the destination, verified"
    # Somebody who sees no plot has its name and its table.
    assert chromium.eval(
        "[...document.querySelectorAll('.plot')].every("
        "(p) => p.getAttribute('aria-label'))")
    assert chromium.eval(
        "[...document.querySelectorAll('figure')].every("
        "(f) => f.querySelector('table'))")


def test_colours_follow_the_system(chromium, migrated):
    drawn(chromium, migrated / "own.html")
    fill = "document.querySelector('.plot svg text').getAttribute('fill')"
    light = chromium.eval(fill)
    chromium.call("Emulation.setEmulatedMedia", features=[
        {"name": "prefers-color-scheme", "value": "dark"}])
    # It is told of that when it has a turn, and then draws.
    assert chromium.eval(
        "(async (end) => { for (;;) {"
        " await new Promise((r) => setTimeout(r, 50)); await drawing;"
        f" if ({fill} !== {json.dumps(light)} || Date.now() > end)"
        f" return {fill}; }} }})(Date.now() + 40000)") != light
    assert chromium.complaints() == []


def test_comparison_and_curves_are_drawn(chromium, made):
    run, page = made(lines(COMPARISON), PROFILE)
    assert "1 comparisons, 1 profiles" in run.out
    # Downtime, total, bytes, CPU, one gap; one tracker's curves.
    assert drawn(chromium, page, width=390) == 6
    assert chromium.eval("document.documentElement.scrollWidth") <= 390
    text = chromium.eval("document.body.textContent")
    assert "strict:pinned: refused: nobody pins" in text
    assert "50 ms (55 ms)" in text


def test_runs_of_several_files_are_compared(chromium, made, migrated):
    events = (migrated / "run.jsonl").read_text()
    failed = lines({"event": "result", "ok": False, "error": "cut",
                    "running": "source"})
    _, page = made(events, events, failed)
    assert drawn(chromium, page) > 12
    text = chromium.eval("document.body.textContent")
    assert "2: auto" in text and "failed: cut" in text


def best_differs():
    """4K is best on a slow link, 64K on a fast one; and what knows nothing."""
    p = small_profile()
    two_links(p)
    p["memory_bytes"] = 1 << 30
    for d in p["devices"]:
        d["reach_bytes"] = 1 << 30
    del p["trackers"][1]["pages"][0]["dirty"]
    return p


def costs_of(page):
    return inputs_of(page)[0]["costs"]


def test_page_shows_which_size_is_best_on_which_link_and_plan_takes_it(
        spoor, machine, tmp_path):
    profile, page = tmp_path / "profile.json", tmp_path / "page.html"
    profile.write_text(json.dumps(best_differs()))
    run = spoor("report", profile, "-o", page, "--links", "400G,1G")
    assert run.code == 0, run.err
    costs = {(c["tracker"], c["link_bytes_per_s"]): c for c in costs_of(page)}
    # Of a single size too; not of the CPU, nor of what was not measured.
    assert sorted(costs) == [(t, r) for t in ("lone.pinned", "nic0.device")
                             for r in (125000000, 50000000000)]

    for rate, bytes_per_s, best in [("1G", 125000000, 4096),
                                    ("400G", 50000000000, 65536)]:
        cost = costs["nic0.device", bytes_per_s]
        ms = {p["page_size"]: p["last_ms"] for p in cost["pages"]}
        assert min(ms, key=ms.get) == cost["chosen"] == best, ms
        assert [p["origin"] for p in cost["pages"]] == ["measured-sw"] * 2

        def change(m):
            m["memory"][0]["size"] = "1G"
            m["link"] = {"rate": rate}
            m["devices"] = m["devices"][:1]
            m["spaces"] = m["spaces"][:1]
            m["policy"] = {"nic0.tracker": "device"}

        plan = plan_of(spoor("plan", machine(change), "--profile", profile,
                             "--simulate", "--json"))
        assert line(plan, "nic0")["page_size"] == best


def test_last_round_costs_what_it_reads_and_sends(spoor, tmp_path):
    """By hand: 1 GiB at 1 Gbit/s takes so long that all of the set is dirty."""
    profile, page = tmp_path / "profile.json", tmp_path / "page.html"
    profile.write_text(json.dumps(best_differs()))
    assert spoor("report", profile, "-o", page, "--links", "1G").code == 0
    small, large = [c["pages"] for c in costs_of(page)
                    if c["tracker"] == "nic0.device"][0]
    for p, size, rate in (small, 4 << 20, 4e8), (large, 16 << 20, 16e8):
        running = 1e4 + size / p["page_size"] * 3000
        # What was written meanwhile is read once more, at the stop.
        read = 1e4 + rate * running / 1e9 / p["page_size"] * 3000
        assert p["read_ms"] == pytest.approx(read / 1e6, abs=1e-5)
        assert p["last_bytes"] == size
        # and 10 us to walk the bitmap
        assert p["last_ms"] == pytest.approx(
            size / 125e6 * 1e3 + read / 1e6 + 0.01, abs=1e-5)


def test_browser_draws_costs_by_link(chromium, made):
    _, page = made(best_differs())
    # Three trackers' curves, two trackers' costs.
    assert drawn(chromium, page, width=390) == 5
    assert chromium.eval("document.documentElement.scrollWidth") <= 390
    text = chromium.eval("document.querySelector('main').textContent")
    assert "nic0.device on 1 Gbit/s: 4K" in text
    assert "nic0.device on 100 Gbit/s: 64K" in text
    rings = chromium.eval(
        "[...document.querySelectorAll('.plot')].map((p) => "
        "[...p.querySelectorAll('.mark-symbol path')].filter((s) => "
        "s.getAttribute('fill') === 'transparent' && "
        "s.getBBox().width > 12).length)")
    # Of a single size there is no choice.
    assert rings == [0, 0, 0, 2, 0]


def test_page_tables_of_one_working_set_are_one_curve(chromium, made):
    p = best_differs()
    p["trackers"] = [
        {"name": f"space{size}.iommu", "kind": "iommu", "set_bytes": set_bytes,
         "pages": [page_figures(size, size * 1e4, size * 1e3)]}
        for set_bytes in (1 << 20, 1 << 24) for size in (4096, 16384, 65536)]
    # Of the second set one size is there twice: they cannot be one.
    p["trackers"][-1]["pages"][0]["page_size"] = 16384
    for i, t in enumerate(p["trackers"]):
        t["name"] = f"space{i}.iommu"
    _, path = made(p)
    assert drawn(chromium, path) == 2 * (1 + 3)
    text = chromium.eval("document.querySelector('main').textContent")
    assert "IOMMU's entries, set of 1 MiB on 1 Gbit/s: 4K costs least" in text
    assert "space4.iommu, set of 16 MiB" in text


@pytest.mark.parametrize("links", ["", "fast", "1G,", "1G,,2G", "0",
                                   ",".join(f"{n}G" for n in range(1, 10))])
def test_links_that_are_none_are_refused(spoor, tmp_path, links):
    (tmp_path / "p").write_text(json.dumps(best_differs()))
    run = spoor("report", tmp_path / "p", "-o", tmp_path / "page.html",
                "--links", links)
    assert run.code == 2 and f"--links {links}: must be rates" in run.err
    assert not (tmp_path / "page.html").exists()


def test_page_loads_nothing(made):
    _, page = made(lines(ROUND), PROFILE)
    found = Elements(page).found
    for tag, attrs in found:
        assert not {"src", "href", "srcset", "data"} & set(attrs), (tag, attrs)
    policy, = [a["content"] for t, a in found if t == "meta" and
               a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and "http" not in policy


def test_names_from_files_are_text(chromium, made):
    evil = "</script><script>document.title='evil'</script><img src=x>&amp;"
    result = {"event": "result", "ok": False, "error": evil, "policy": evil,
              "running": "source", "devices": [{"name": evil}]}
    state = {"event": "state", "side": evil, "device": evil, "from": "STOP",
             "to": evil, "ms": 1}
    _, page = made(lines({**ROUND, "dirty": [{"tracker": evil, "pages": 1}]},
                         state, {"event": "note", "text": "<!--" + evil},
                         result))
    drawn(chromium, page)
    assert chromium.eval("document.title") != "evil"
    assert chromium.eval("document.images.length") == 0
    assert evil in chromium.eval("document.body.textContent")


def test_empty_figures_do_not_break_the_page(chromium, made):
    zero = {**ROUND, "n": 1, "ms": 0, "bytes": 0, "rate": 0, "dirty": []}
    still = {"event": "result", "ok": True, "running": "destination",
             "downtime_ms": None, "devices": []}
    nothing = {"spoor_profile": 1, "trackers": [
        {"name": "t", "pages": [{"page_size": "4K", "dirty": [
            {"interval_ns": 0, "bytes": {"median": 0}},
            {"interval_ns": 9}]}]}]}
    _, page = made(lines(zero, {k: v for k, v in ROUND.items() if k != "map"}),
                   lines(zero, still), lines({"event": "comparison",
                                              "runs": []}), nothing)
    drawn(chromium, page)


def without(key, of=None):
    return {k: v for k, v in (of or ROUND).items() if k != key}


@pytest.mark.parametrize("text,said", [
    ("", "holds no events of migrate or compare, and is no profile"),
    ("\n\n", "holds no events"),
    ("{}\n", "line 1: event: is missing"),
    ("[]\n", "line 1: document: must be an object"),
    ('{"event": 1}', "line 1: event: 1: must be a string"),
    (lines(ROUND) + "{\n", "line 2: "),
    (lines(ROUND) + "\n" + '{"event": "note"}', "line 3: text: is missing"),
    ('{"event": "track"}\n', "holds no events"),
    (lines({**ROUND, "bytes": -1}), "line 1: bytes: -1: must be a whole"),
    (lines({**ROUND, "ms": "1"}), 'line 1: ms: "1": must be a number'),
    (lines(without("n")), "line 1: n: is missing"),
    (lines({**ROUND, "dirty": [{"tracker": "t", "pages": 1.5}]}),
     "line 1: dirty[0].pages: 1.5: must be a whole number"),
    (lines({**ROUND, "map": [{**ROUND["map"][0], "pages": [1]}]}),
     "line 1: map[0].pages: 1 counts: must be one for each bucket"),
    (lines({**ROUND, "map": [{**ROUND["map"][0], "bucket": 0}]}),
     "line 1: map[0]: len must be above 0, bucket 4096 or more"),
    (lines({**ROUND, "map": [{**ROUND["map"][0], "iova": 5}]}),
     "line 1: map[0].iova: 5: must be an address"),
    (lines({"event": "state", "side": "source"}),
     "line 1: device: is missing"),
    (lines({"event": "plan", "devices": {}}), "devices: must be an array"),
    (lines({"event": "result", "ok": 1}), "ok: 1: must be true or false"),
    (lines({"event": "comparison"}), "runs: is missing"),
    (lines({"event": "comparison", "runs": [
        {"policy": "a", "downtime_ms": "x"}]}), "runs[0].downtime_ms"),
    ('{"event": "round", "event": "round"}', "line 1: duplicate object key"),
    (b'{"event": "note", "text": "\xff"}\n', "line 1: "),
    ('{"spoor_profile": 1,\n "trackers": [}', "line 2: "),
    ('{"spoor_profile": 2, "trackers": []}', "spoor_profile: 2: must be 1"),
    ('{"x": {"spoor_profile": 1}}', "spoor_profile: must be the document's"),
    ('{"spoor_profile": 1}', "trackers: is missing"),
    ({**PROFILE, "trackers": [{"name": "t", "pages": [
        {"page_size": "4Q"}]}]},
     'trackers[0].pages[0].page_size: "4Q": must be a size'),
    ({**PROFILE, "trackers": [{"name": "t", "pages": [
        {"page_size": 4096, "dirty": [{"interval_ns": 1, "bytes": 3}]}]}]},
     "trackers[0].pages[0].dirty[0].bytes: 3: must be an object"),
], ids=lambda v: v if isinstance(v, str) and len(v) < 60 else "")
def test_bad_file_is_refused_with_line_or_key(made, tmp_path, text, said):
    (tmp_path / "page.html").write_text("as it was")
    run, page = made(text, code=2)
    assert f"in0.json: {said}" in run.err or \
        f"in0.json: line 1: {said}" in run.err, run.err
    assert page.read_text() == "as it was"


def test_what_is_unknown_is_ignored(made):
    run, page = made(lines({"event": "weather", "n": "rain"},
                           {**ROUND, "colour": [1, {"a": None}]}))
    assert "1 events of other kinds are not shown" in run.err
    events = inputs_of(page)[0]["events"]
    assert [e["event"] for e in events] == ["round"]


def test_refused_migration_has_a_page_too(spoor, machine, tmp_path):
    page = tmp_path / "page.html"
    run = spoor("migrate", machine(), "--json", "--policy", "strict:pinned",
                "--report", page)
    assert run.code == 3
    events = inputs_of(page)[0]["events"]
    # Devices' notes come when they come, or not before it is over.
    plan, result = [e for e in events if e["event"] != "note"]
    assert plan["event"] == "plan" and plan["blockers"]
    assert result["event"] == "result"


def test_nothing_is_left_where_nothing_was_begun(spoor, machine, tmp_path):
    run = spoor("migrate", machine(), "--report", tmp_path / "page.html",
                "--to", "unix:/nonexistent/s")
    assert run.code == 1
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("path,code", [("/nonexistent/page.html", 2),
                                       ("/dev/full", 1)])
def test_page_that_cannot_be_written_is_told(spoor, tmp_path, path, code):
    (tmp_path / "e").write_text(lines(ROUND))
    run = spoor("report", tmp_path / "e", "-o", path)
    assert run.code == code and path in run.err


def test_migrate_starts_nothing_where_no_page_can_be(spoor, machine):
    run = spoor("migrate", machine(), "--report", "/nonexistent/page.html",
                "--json")
    assert run.code == 2
    assert "--report /nonexistent/page.html: No such" in run.result()["error"]
    assert run.of("plan") == []


def test_page_goes_to_stdout_alone(spoor, tmp_path):
    (tmp_path / "e").write_text(lines(ROUND))
    run = spoor("report", tmp_path / "e", "-o", "/dev/stdout")
    assert run.code == 0, run.err
    assert run.out.startswith("<!DOCTYPE html>")
    assert run.out.endswith("</html>\n")


def test_huge_files_are_refused(spoor, tmp_path):
    with open(tmp_path / "huge", "wb") as f:
        f.truncate((64 << 20) + 1)
    run = spoor("report", tmp_path / "huge", "-o", tmp_path / "page.html")
    assert run.code == 2 and "larger than 64 MiB" in run.err
    many = tmp_path / "many"
    many.write_text('{"event":"note","text":""}\n' * 200001)
    run = spoor("report", many, "-o", tmp_path / "page.html")
    assert run.code == 2 and "line 200001: more than 200000 events" in run.err
    assert not (tmp_path / "page.html").exists()


def test_report_needs_a_page_to_write(spoor):
    run = spoor("report", "x")
    assert run.code == 2 and "-o FILE.html is needed" in run.err
    run = spoor("report", "/nonexistent", "-o", "/dev/null")
    assert run.code == 2 and "/nonexistent: No such file" in run.err

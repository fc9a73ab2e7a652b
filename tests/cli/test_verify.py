# SPDX-License-Identifier: MIT
"""softvfio verify: what devices wrote and what arrived, under a VMM that is
not ours (hop.c): each bug that is planted shows, and each verdict by a file."""

import copy
import json
import os
import subprocess

import pytest

from conftest import LIMIT

RUN = os.environ["SOFTVFIO_RUN"]
HOP = os.environ["SOFTVFIO_HOP"]
# Needs no device: files that were written once are judged everywhere.
preloads = pytest.mark.skipif("SOFTVFIO_SANITIZED" in os.environ,
                              reason="a sanitized library is not preloaded")
HALF = 8 << 20


def device(name):
    return {"name": name, "model": "dsa", "tracker": {},
            "migration": ["stop-copy", "p2p"]}


MACHINE = {"memory": [{"iova": "0x0", "size": "16M"}],
           "devices": [device("a"), device("b")]}


def softvfio(*args, **env):
    return subprocess.run([RUN, *map(str, args)], text=True, timeout=LIMIT,
                          capture_output=True, env={**os.environ, **env})


def verify(*args):
    return softvfio("verify", *args)


def result(done):
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "result", done
    return last


class Hops:
    """Processes that a machine goes through, each with its counters' file."""

    def __init__(self, path):
        self.path = path
        (path / "machine.json").write_text(json.dumps(MACHINE))

    def stats(self, n):
        return self.path / f"stats-{n}.json"

    def hop(self, n, *flags, faults=(), last=False):
        args = ["-i", self.path / f"machine-{n}"] if n else []
        if not last:
            args += ["-o", self.path / f"machine-{n + 1}"]
        plant = [w for f in faults for w in ("--fault", f)]
        return softvfio("run", self.path / "machine.json", *plant, "--", HOP,
                        *args, *flags, SOFTVFIO_STATS=str(self.stats(n)))

    def two(self, *flags, source=(), destination=()):
        """One migration; what each process said."""
        return (self.hop(0, *flags, faults=source),
                self.hop(1, faults=destination, last=True))

    def verify(self, n=0, *flags):
        return verify(*flags, self.stats(n), self.stats(n + 1))


@pytest.fixture
def hops(tmp_path):
    return Hops(tmp_path)


def went_well(*done):
    for d in done:
        assert (d.returncode, d.stderr) == (0, ""), d


@preloads
def test_migration_of_another_vmm_is_verified(hops):
    went_well(*hops.two())
    done = hops.verify()
    assert done.returncode == 0, done.stdout
    assert "a: verified" in done.stdout and "b: verified" in done.stdout
    # All of its half, but for what the driver writes.
    assert f"{HALF // 4096 - 3} written, 0 lost" in done.stdout
    assert "note" not in done.stdout
    got = result(hops.verify(0, "--json"))
    assert (got["ok"], got["verified"], got["lost"]) == (True, True, [])


@preloads
def test_three_hops_are_three_pairs(hops):
    """Two of the processes are both: a destination, then a source."""
    went_well(hops.hop(0), hops.hop(1), hops.hop(2), hops.hop(3, last=True))
    for n in range(3):
        done = hops.verify(n)
        assert done.returncode == 0, done.stdout
    # Processes that are no pair, and the other way round.
    assert hops.verify(2).returncode == 0
    assert verify(hops.stats(3), hops.stats(2)).returncode == 1


def named(done, writer):
    """The pages that verify names, all of one device's."""
    assert done.returncode == 4, done.stdout
    got = result(done)
    assert not got["ok"] and not got["verified"]
    assert got["pages_lost"] >= len(got["lost"]) > 0
    assert {p["writer"] for p in got["lost"]} == {writer}
    return [int(p["iova"], 16) for p in got["lost"]]


@preloads
@pytest.mark.parametrize("fault,writer", [
    ("a:deaf=16", "a"),
    ("b:deaf=2", "b"),
    # It is asked second: what it wipes is its neighbour's.
    ("b:log-overwrites", "a"),
    ("a:log-lost-at-stop", "a"),
    ("b:log-forgets-last-page", "b"),
    ("a:log-clears-outside", "a"),
    ("a:dma-in-stop", "a"),
])
def test_planted_bug_of_a_tracker_is_lost_pages_of_its_device(hops, fault,
                                                              writer):
    went_well(*hops.two(source=[fault]))
    pages = named(hops.verify(0, "--json"), writer)
    first = 0 if writer == "a" else HALF
    assert all(first <= p < first + HALF and p % 4096 == 0 for p in pages)
    assert pages == sorted(set(pages))
    text = hops.verify()
    assert text.returncode == 4
    assert f"{writer}: lost" in text.stdout
    assert f"  lost        0x{pages[0]:x}-0x" in text.stdout
    other = "b" if writer == "a" else "a"
    assert f"{other}: verified" in text.stdout


@preloads
def test_which_pages_are_lost_is_told_exactly(hops):
    went_well(*hops.two(source=["b:log-forgets-last-page"]))
    assert named(hops.verify(0, "--json"), "b") == [2 * HALF - 4096]


@preloads
def test_marks_that_are_not_reported_are_shown(hops):
    went_well(*hops.two(source=["a:deaf=16"]))
    assert "marks were never reported" in hops.verify().stdout


@preloads
def test_late_writes_are_told_beside_what_they_lost(hops):
    went_well(*hops.two(source=["a:dma-in-stop"]))
    assert "times after it had stopped at the source" in hops.verify().stdout


@preloads
@pytest.mark.parametrize("fault", ["log-never-clears", "log-marks-neighbour"])
def test_more_reports_than_marks_are_shown_and_lose_nothing(hops, fault):
    went_well(*hops.two(source=[f"a:{fault}"]))
    done = hops.verify()
    assert done.returncode == 0, done.stdout
    assert "were reported that were never marked" in done.stdout


@preloads
def test_vmm_that_forgets_the_last_report_loses_pages(hops):
    went_well(*hops.two("-l"))
    done = hops.verify()
    assert done.returncode == 4, done.stdout
    assert "marks went unread after it had stopped" in done.stdout


@preloads
def test_state_that_was_cut_is_seen_where_the_driver_takes_it(hops):
    went_well(*hops.two("-c", destination=["a:accepts-cut-stream",
                                           "b:accepts-cut-stream"]))
    done = hops.verify()
    assert done.returncode == 1
    assert "bytes of state were read, and" in done.stdout
    assert "the source's state tells of" in done.stdout


@preloads
def test_source_that_runs_on_is_seen(hops):
    went_well(*hops.two("-r"))
    done = hops.verify()
    assert done.returncode == 1
    assert "it ran on at the source after its state was saved" in done.stdout


@preloads
def test_device_that_refuses_to_run_has_not_moved(hops):
    source, destination = hops.two(destination=["b:run=1"])
    went_well(source)
    assert destination.returncode == 1
    assert "Input/output error" in destination.stderr
    done = hops.verify()
    assert done.returncode == 1
    assert "b: not comparable\n  because     it never ran" in done.stdout
    assert result(hops.verify(0, "--json"))["error"] == (
        "b: it never ran at the destination")
    # The state was looked at all the same, and it was whole.
    assert done.stdout.count(f"{HALF // 4096 - 3} written, 0 lost") == 2


@preloads
@pytest.mark.parametrize("fault", ["log-start=1", "log-report=9",
                                   "state-read=1", "fail_after=5"])
def test_call_that_fails_at_the_source_is_the_vmm_s_to_answer(hops, fault):
    done = hops.hop(0, faults=[f"b:{fault}"])
    assert done.returncode == 1
    assert "Input/output error" in done.stderr


@preloads
def test_call_that_fails_at_the_destination_leaves_it_resuming(hops):
    source, destination = hops.two(destination=["b:state-write=1"])
    went_well(source)
    assert destination.returncode == 1
    assert "writing the state: Input/output error" in destination.stderr
    done = hops.verify()
    assert done.returncode == 1
    assert "b: not comparable\n  because     it is still RESUMING" in (
        done.stdout)


# -- each verdict, by a file ------------------------------------------------

def counters(**changed):
    return {**dict.fromkeys(
        ("dma_writes", "dma_bytes", "marks", "reports", "pages_reported",
         "discarded", "dropped", "faults", "violations", "backlog_dropped",
         "peer_writes", "late_writes", "pages_saved"), 0), **changed}


def side(**changed):
    d = {"name": "nic0", **counters(), "report_ns": 0, "irqs": 0,
         "state_bytes": {"saved": 0, "loaded": 0},
         "stopped": {"times": 0, **counters()}, "loaded": 0, "ran": False,
         "ran_on": False,
         "truth": {"checks": 0, "checked": 0, "pages_lost": 0,
                   "overwritten": 0, "check_at": 0, "check_ns": 0, "lost": []},
         "states": ["RUNNING"], "entered_ns": [1]}
    d.update(changed)
    return {"devices": [d], "spaces": []}


SOURCE = side(
    marks=100, reports=3, pages_reported=90, discarded=10, pages_saved=40,
    state_bytes={"saved": 5000, "loaded": 0},
    stopped={"times": 1, **counters(marks=100, discarded=10)},
    states=["RUNNING", "RUNNING_P2P", "STOP", "STOP_COPY", "STOP"])
DESTINATION = side(
    state_bytes={"saved": 0, "loaded": 5000}, loaded=1, ran=True,
    truth={"checks": 1, "checked": 40, "pages_lost": 0, "overwritten": 0,
           "check_at": 1, "check_ns": 1, "lost": []},
    states=["RUNNING", "STOP", "RESUMING", "STOP", "RUNNING"])


@pytest.fixture
def judge(tmp_path):
    """Verifies two files, as changed: {"truth.checks": 0}."""

    def write(name, base, changed):
        file = copy.deepcopy(base)
        for path, value in changed.items():
            at = file["devices"][0]
            *way, last = path.split(".")
            for key in way:
                at = at[key]
            at[last] = value
        path = tmp_path / name
        path.write_text(json.dumps(file))
        return path

    def go(source=None, destination=None, *flags):
        return verify(*flags, write("source", SOURCE, source or {}),
                      write("destination", DESTINATION, destination or {}))

    return go


def test_nothing_is_wrong_with_the_file_that_is_changed_below(judge):
    done = judge()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nic0: verified\n  pages       40 written")


@pytest.mark.parametrize("source,destination,why", [
    ({"stopped.times": 0}, {}, "it never stopped at the source"),
    ({"state_bytes.saved": 0}, {}, "no state was read from it"),
    ({"late_writes": 3}, {}, "it wrote 3 times after it had stopped"),
    ({"ran_on": True}, {}, "it ran on at the source"),
    ({"violations": 2}, {}, "2 accesses while it was stopped, at the source"),
    ({"states": ["RUNNING", "ERROR"]}, {}, "it is in ERROR at the source"),
    ({"name": "nic1"}, {}, "the destination has no such device"),
    ({"name": "nic1"}, {}, "the source has no such device"),
    ({}, {"violations": 1}, "stopped, at the destination"),
    ({}, {"loaded": 0}, "the destination never loaded its state"),
    ({}, {"states": ["RUNNING", "STOP", "RESUMING"]},
     "it is still RESUMING at the destination"),
    ({}, {"ran": False}, "it never ran at the destination"),
    ({}, {"truth.checks": 0}, "its writes were never looked for"),
    ({}, {"states": ["RUNNING", "ERROR"]}, "it is in ERROR at the destination"),
    ({}, {"state_bytes.loaded": 4999},
     "5000 bytes of state were read, and 4999 written"),
    ({}, {"truth.checked": 39},
     "the source's state tells of 40 pages, the destination's of 39"),
    ({"pages_saved": 0, "stopped.dma_writes": 7}, {"truth.checked": 0},
     "of what it wrote, no page held its data any more"),
])
def test_what_is_not_comparable_says_why(judge, source, destination, why):
    done = judge(source, destination)
    assert done.returncode == 1, done.stdout
    assert "nic0: not comparable" in done.stdout
    assert f"because     {why}" in done.stdout or why in done.stdout
    got = result(judge(source, destination, "--json"))
    assert not got["ok"] and not got["verified"]
    assert got["error"].startswith("nic")


@pytest.mark.parametrize("source,destination,note", [
    ({"marks": 107}, {}, "7 marks were never reported"),
    ({"marks": 93}, {}, "7 were reported that were never marked"),
    ({"stopped.discarded": 4}, {}, "6 marks went unread after it had stopped"),
    ({"faults": 5}, {}, "5 DMA accesses were refused at the source"),
    ({}, {"truth.overwritten": 2}, "2 pages could not be judged"),
    ({"pages_saved": 0}, {"truth.checked": 0}, "it had written nothing"),
])
def test_what_is_no_verdict_is_noted(judge, source, destination, note):
    done = judge(source, destination)
    assert done.returncode == 0, done.stdout
    assert f"note        {note}" in done.stdout


def lost(*pages, more=0):
    return {"truth.pages_lost": len(pages) + more,
            "truth.lost": [{"iova": hex(p), "len": 4096} for p in pages]}


def test_lost_pages_are_named_and_outweigh_what_cannot_be_compared(judge):
    pages = [0x1000, 0x2000, 0x5000, 0xfffffffffffff000]
    done = judge({"ran_on": True}, lost(*pages, more=3))
    assert done.returncode == 4
    assert "nic0: lost\n  because     it ran on" in done.stdout
    assert "lost        0x1000-0x2fff, 2 pages" in done.stdout
    assert "lost        0x5000-0x5fff, 1 pages" in done.stdout
    assert "0xfffffffffffff000-0xffffffffffffffff" in done.stdout
    assert "and 3 pages more" in done.stdout
    got = result(judge({}, lost(*pages, more=3), "--json"))
    assert got["pages_lost"] == 7
    assert got["lost"] == [{"iova": hex(p), "len": 4096, "writer": "nic0"}
                           for p in pages]


def test_device_that_nobody_opened_says_nothing(judge, tmp_path):
    unused = {"states": [], "stopped.times": 0}
    done = judge(unused, {"states": [], "loaded": 0})
    assert done.returncode == 1
    assert "nic0: unused" in done.stdout
    assert result(judge(unused, {"states": []}, "--json"))["error"] == (
        "no device was migrated")
    both = []
    for name, used, idle in (("s", SOURCE, side(states=[], name="nic1")),
                             ("d", DESTINATION, side(states=[], name="nic1"))):
        path = tmp_path / name
        path.write_text(json.dumps({"devices": used["devices"]
                                    + idle["devices"], "spaces": []}))
        both.append(path)
    assert verify(*both).returncode == 0


def test_spaces_are_shown(tmp_path):
    source = copy.deepcopy(SOURCE)
    source["spaces"] = [{"name": "ioas1.hwpt2", "marks": 7, "dirty_reads": 2,
                         "pages_reported": 6, "discarded": 1,
                         "write_faults": 0, "read_ns": 5}]
    (tmp_path / "s").write_text(json.dumps(source))
    (tmp_path / "d").write_text(json.dumps(DESTINATION))
    done = verify(tmp_path / "s", tmp_path / "d")
    assert ("space ioas1.hwpt2: 7 marks, 6 reported in 2 reads, 1 discarded"
            in done.stdout)


@pytest.mark.parametrize("change,where", [
    (lambda d: d.pop("marks"), '"marks" is missing'),
    (lambda d: d.pop("truth"), '"truth" is missing'),
    (lambda d: d["truth"].pop("lost"), '[0].truth: "lost" is missing'),
    (lambda d: d["stopped"].pop("times"), '[0].stopped: "times" is missing'),
    (lambda d: d.update(marks=-1), "devices[0].marks: -1"),
    (lambda d: d.update(more=1), "devices[0].more: unknown key"),
    (lambda d: d.update(states=["AWAY"]), "devices[0].states[0]"),
    (lambda d: d["truth"].update(lost=[{"iova": "x", "len": 4096}]),
     "devices[0].truth.lost[0].iova"),
    (lambda d: d["truth"].update(lost=[{"iova": "0x0", "len": 1}]),
     "devices[0].truth.lost[0].len"),
    (lambda d: d.update(ran=1), "devices[0].ran"),
    (lambda d: d.update(truth=None), "devices[0].truth"),
])
def test_bad_file_is_named_with_its_key(tmp_path, change, where):
    file = copy.deepcopy(SOURCE)
    change(file["devices"][0])
    (tmp_path / "bad").write_text(json.dumps(file))
    (tmp_path / "good").write_text(json.dumps(DESTINATION))
    for order in (("bad", "good"), ("good", "bad")):
        done = verify(*(tmp_path / n for n in order))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"softvfio: {tmp_path / 'bad'}: ")
        assert where in done.stderr


@pytest.mark.parametrize("text,where", [
    ("", ":1:"), ('{\n"devices": [}', ":2:"), ("[]", "must be an object"),
    ('{"devices": []}', '"spaces" is missing'),
    ('{"devices": {}, "spaces": []}', "devices: must be an array"),
    ('{"devices": [1], "spaces": []}', "devices[0]"),
])
def test_file_that_is_none_is_named_with_its_line(tmp_path, text, where):
    (tmp_path / "bad").write_text(text)
    done = verify(tmp_path / "bad", tmp_path / "bad")
    assert (done.returncode, done.stdout) == (2, "")
    assert where in done.stderr


@pytest.mark.parametrize("nr,code", [(999, 0), (1000, 0), (1001, 2)])
def test_as_many_devices_as_a_machine_may_have(tmp_path, nr, code):
    for name, base in (("s", SOURCE), ("d", DESTINATION)):
        many = [dict(base["devices"][0], name=f"nic{i}") for i in range(nr)]
        (tmp_path / name).write_text(json.dumps({"devices": many,
                                                 "spaces": []}))
    done = verify(tmp_path / "s", tmp_path / "d")
    assert done.returncode == code, done.stderr
    assert ("devices: at most 1000 entries" in done.stderr) == (code == 2)


def test_file_that_is_not_there_is_named():
    done = verify("/nonexistent/s", "/nonexistent/d")
    assert done.returncode == 2
    assert "/nonexistent/s: No such file" in done.stderr


@pytest.mark.parametrize("args", [[], ["one"], ["a", "b", "c"],
                                  ["--fly", "a", "b"]])
def test_bad_usage(args):
    done = verify(*args)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")

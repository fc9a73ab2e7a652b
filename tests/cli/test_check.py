# SPDX-License-Identifier: MIT
"""spoor check: each planted bug is found by its rule, and nothing else is
blamed."""

import itertools
import os
import re
import subprocess

import pytest

from conftest import LIMIT, SPOOR, Run, example

ALL = ["stop-copy", "p2p", "pre-copy"]
# Everything takes five times as long, and DMA in STOP is a data race indeed:
# the accelerator's saved state is what its worker writes.
SANITIZED = "SOFTVFIO_SANITIZED" in os.environ

# The bug, the one rule that it breaks, and models that it can be seen on
# (nothing here can keep a nic or an mdev at work for long enough, nor point
# them at a peer).
BUSY = ["dsa", "edu"]
MODELS = ["nic", "dsa", "mdev", "edu"]
# A DMA is sure to be in flight when it is stopped, on a busy machine too.
SLOW = {"dma_us": 5000}
FAULTS = {
    "mark-before-data": ("log.order", MODELS),
    "log-forgets-last-page": ("log.last-page", MODELS),
    "log-clears-outside": ("log.outside", MODELS),
    "log-never-clears": ("log.clear", MODELS),
    "log-overwrites": ("log.or", MODELS),
    "log-wrong-page-size": ("log.page-size", MODELS),
    "log-marks-neighbour": ("log.exact", MODELS),
    "log-survives-stop": ("log.fresh", MODELS),
    "log-lost-at-stop": ("log.at-stop", MODELS),
    "p2p-peer-dma": ("p2p.peer", BUSY),
    "dma-in-stop": ("stop.dma", BUSY),
    "accepts-cut-stream": ("resume.cut", MODELS),
    "accepts-corrupt-stream": ("resume.corrupt", MODELS),
    "loses-state": ("resume.state", MODELS),
    "reset-leaves-state": ("reset.clean", MODELS + ["plain"]),
    "keeps-old-data-fd": ("stream.old-fd", MODELS),
    "precopy-info-in-stop-copy": ("precopy.states", MODELS),
    "precopy-ends": ("precopy.pause", MODELS),
    "precopy-counts-nothing": ("precopy.begin", MODELS),
}


def device(model, **keys):
    d = {"name": "d0", "model": model, **keys}
    if model != "plain":
        d.setdefault("migration", ALL)
        d.setdefault("tracker", {})
    return d


@pytest.fixture
def check(spoor, machine):
    """Checks one device of a machine; what each rule says."""

    def go(d, *args, **keys):
        m = {"memory": [{"iova": "0x0", "size": "16M"}], "devices": [d]}
        r = spoor("check", "--json", f"{machine(base=m)}#d0", *args, **keys)
        r.rules = {e["id"]: e for e in r.of("rule")}
        r.broken = {n for n, e in r.rules.items() if e["verdict"] == "broken"}
        return r

    return go


def conforms(r):
    assert r.code == 0 and not r.broken, (r.err, r.broken, r.out[-3000:])
    assert r.result()["ok"] and r.result()["broken"] == 0
    return r.rules


def pairs():
    """Two models for each bug, all of them where there is time."""
    for i, (fault, (_, models)) in enumerate(FAULTS.items()):
        if "SPOOR_TEST_ALL" in os.environ:
            chosen = models
        elif SANITIZED:
            chosen = models[-1:]
        else:
            chosen = {models[(i + n) % len(models)] for n in range(2)}
        yield from ((fault, m) for m in sorted(chosen))


@pytest.mark.parametrize("fault,model", list(pairs()))
def test_planted_bug_is_found_by_its_rule_alone(check, fault, model):
    keys = SLOW if FAULTS[fault][1] == BUSY and model == "edu" else {}
    r = check(device(model, fault=fault, **keys))
    assert r.code == 1, (r.err, r.out[-2000:])
    assert r.broken == {FAULTS[fault][0]}
    # The calls that show it, and who asks for it.
    rule = r.rules[FAULTS[fault][0]]
    assert rule["calls"] and rule["why"] and rule["from"] and rule["rule"]
    assert not r.result()["ok"] and r.result()["broken"] == 1


def test_every_bug_that_can_be_planted_is_here():
    path = os.path.join(os.path.dirname(__file__),
                        "../../models/model_faults.h")
    with open(path, encoding="utf-8") as f:
        names = re.findall(r'X\(\w+,\s*"([\w-]+)"\)', f.read())
    assert set(names) == set(FAULTS) and len(names) >= 10


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("migration", [
    list(m) for n in range(3)
    for m in itertools.combinations(["p2p", "pre-copy"], n)] + [None])
@pytest.mark.parametrize("tracker", [{}] if SANITIZED else [None, {}])
def test_healthy_device_conforms(check, model, migration, tracker):
    flags = [] if migration is None else ["stop-copy", *migration]
    rules = conforms(check(device(model, migration=flags, tracker=tracker)))
    skipped = {n.split(".")[0] for n, e in rules.items()
               if e["verdict"] == "not-applicable"}
    assert ("fsm" in skipped) == (not flags)
    assert ("precopy" in skipped) == ("pre-copy" not in flags)
    assert ("log" in skipped) == (tracker is None or not flags)
    # Whoever does not apply says why.
    assert all(e["why"] for e in rules.values()
               if e["verdict"] == "not-applicable")


@pytest.mark.parametrize("model", BUSY[-1:] if SANITIZED else BUSY)
@pytest.mark.parametrize("keys", [
    {"tracker": {"read_while_running": False}},
    {"tracker": {"min_page": "64K", "max_page": "64K"}},
    {"tracker": {"min_page": "32M", "max_page": "64M"}},
    {"tracker": {"max_ranges": 1, "queue": 1}},
    {"tracker": {"address_bits": [30, 42]}},
    {"p2p_stops": "all"}, {"state_size": "0"}, {"state_size": "5000"},
    {"stop_ms": 5},
])
def test_healthy_device_with_other_limits_conforms(check, model, keys):
    conforms(check(device(model, **keys)))


def test_plain_device_conforms(check):
    rules = conforms(check(device("plain")))
    assert rules["reset.clean"]["verdict"] == "holds"


def test_manual_page_has_every_rule(check):
    with open(os.path.join(os.environ["SPOOR_MAN"], "spoor-check.1.scd"),
              encoding="utf-8") as f:
        documented = re.findall(r"^\*([a-z0-9-]+\.[a-z-]+)\* \(", f.read(),
                                re.M)
    assert documented == list(check(device("plain")).rules)


def test_everything_applies_to_a_device_that_can_do_everything(check):
    r = check(device("edu", **SLOW))
    assert {e["verdict"] for e in conforms(r).values()} == {"holds"}
    assert r.result()["holds"] == len(r.rules) > 30


@pytest.mark.parametrize("backend", ["iommufd", "type1"])
def test_backend_is_the_users_choice(check, backend):
    r = check(device("edu", **SLOW), "--backend", backend)
    conforms(r)
    assert r.of("checking")[0]["backend"] == backend
    # iommufd maps no BAR.
    assert (r.rules["p2p.peer"]["verdict"] == "holds") == \
        (backend == "type1")


def test_old_kernel_has_less_to_conform_to(check):
    rules = conforms(check(device("edu"), env={"SOFTVFIO_KERNEL": "6.1"}))
    assert rules["precopy.begin"]["verdict"] == "not-applicable"
    assert rules["fsm.data-size"]["verdict"] == "not-applicable"


@pytest.mark.skipif(SANITIZED, reason="a sanitized library is not preloaded")
def test_hardware_is_checked_by_its_address(machine, tmp_path):
    m = example("edu")
    m["devices"][0].update(SLOW)
    m["devices"].append({"name": "nic0", "model": "nic"})
    done = subprocess.run(
        [os.environ["SOFTVFIO_RUN"], "run", machine(base=m), "--", SPOOR,
         "check", "--json", "0000:01:00.0", "--peer",
         "/dev/vfio/devices/vfio2"],
        capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)})
    r = Run(done)
    assert r.code == 0, (r.err, r.out[-2000:])
    assert r.result()["not_applicable"] == 0


def test_table_is_for_people(spoor, machine):
    m = {"memory": [{"iova": "0x0", "size": "16M"}],
         "devices": [device("edu", fault="log-never-clears")]}
    r = spoor("check", f"{machine(base=m)}#d0")
    assert r.code == 1
    lines = r.out.splitlines()
    at = next(i for i, x in enumerate(lines) if "broken" in x)
    assert lines[at].split()[:2] == ["broken", "log.clear"]
    assert "LOGGING_REPORT" in lines[at + 1]
    assert any("the device writes" in x for x in lines[at + 2:at + 12])
    assert lines[-1].startswith("Does not conform: ")


@pytest.mark.parametrize("text,code,says", [
    ("{m}", 2, "which device"),
    ("{m}#other", 2, "no software device"),
    ("vfio-user:/tmp/x", 2, "not in this version"),
    ("nowhere.json#d0", 2, "nowhere.json"),
])
def test_what_cannot_be_checked_is_refused(spoor, machine, text, code, says):
    m = {"memory": [{"iova": "0x0", "size": "16M"}],
         "devices": [device("edu")]}
    r = spoor("check", "--json", text.format(m=machine(base=m)))
    assert r.code == code and says in r.err


def test_without_vfio_there_is_nothing_to_check(spoor):
    if os.path.exists("/dev/vfio"):
        pytest.skip("this machine has VFIO")
    r = spoor("check", "0000:01:00.0")
    assert r.code == 77 and "/dev/vfio" in r.err


def test_device_without_an_iommu_is_not_checked(check):
    r = check(device("edu", noiommu=True))
    assert r.code == 77 and "IOMMU" in r.err


def test_plain_device_neither_migrates_nor_logs(spoor, machine):
    for key, value in [("migration", ["stop-copy"]), ("tracker", {})]:
        m = {"memory": [{"iova": "0x0", "size": "16M"}],
             "devices": [{"name": "d0", "model": "plain", key: value}]}
        r = spoor("check", f"{machine(base=m)}#d0")
        assert r.code == 2 and "plain" in r.err

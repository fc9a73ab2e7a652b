# SPDX-License-Identifier: MIT
"""The verification can fail: trackers that miss pages, plans that would."""

import pytest

from conftest import EXAMPLES, example

PAGE, RING = 4096, 1 << 20
# Memory without contents, from its bottom: the driver's page, then the ring.
FIRST = (1 << 32) + PAGE
END = FIRST + RING


def deaf_machine(deaf):
    """Rounds take long enough for the ring to go round again after it was
    sent."""
    m = example("b-nic-only")
    nic = m["devices"][0]
    nic["tracker"] = {"deaf": deaf}
    nic["ring"] = "1M"
    nic["clients"]["rate"] = 2000
    m["link"] = {"rate": "400M"}
    m["policy"] = {"downtime_ms": 10}
    m["run"] = {"before_ms": 100, "after_ms": 1500}
    return m


@pytest.mark.parametrize("verify", ["full", "off"])
@pytest.mark.parametrize("deaf", [16, 1])
def test_deaf_tracker_is_caught_and_the_source_runs_on(spoor, machine, deaf,
                                                       verify):
    m = deaf_machine(deaf)
    r = spoor("migrate", "--json", "--verify", verify, machine(base=m))
    assert r.code == 4, r.events()[-1]
    result = r.result()
    assert not result["ok"] and not result["verified"]
    lost = [(int(x["iova"], 16), x["len"]) for x in result["lost"]]
    assert {x["writer"] for x in result["lost"]} == {"nic0"}
    # Packets are written to the ring alone.
    for iova, length in lost:
        assert FIRST <= iova and iova + length <= END
        assert iova % PAGE == 0 and length % PAGE == 0
    pages = sum(length for _, length in lost) // PAGE
    if deaf == 16:
        # The ring is written in order: every 16th page, one by one.
        assert 1 <= pages <= RING // PAGE // 16
        assert len({iova // PAGE % 16 for iova, _ in lost}) == 1
    else:
        assert pages > RING // PAGE // 16
    # The source goes on: there, and its clients are answered after it all.
    assert result["running"] == "source"
    moves = [(e["side"], e["to"]) for e in r.of("state")
             if e["device"] == "nic0"]
    assert [to for side, to in moves if side == "source"][-1] == "RUNNING"
    assert "RUNNING" not in [to for side, to in moves
                             if side == "destination"]
    nic = result["devices"][0]
    assert nic["served_after"] > 0
    assert nic["service_gap_ms"] is not None


def test_tracker_that_hears_is_not(spoor, machine):
    """The same machine, so that the ones above fail for their reason."""
    m = deaf_machine(0)
    r = spoor("migrate", "--json", machine(base=m))
    assert r.code == 0 and r.result()["verified"], r.events()[-1]


@pytest.mark.parametrize("name,lines,device", [
    ("b-nic-only", "nic0.tracker=none,nic0.suspend=together", "nic0"),
    ("iommu", "dsa0.tracker=none,dsa0.suspend=together", "dsa0"),
    ("a-nic-and-mdev", "mdev0.tracker=none,mdev0.suspend=together", "mdev0"),
    # Its P2P states go on writing memory: quiet is not quiet.
    ("b-nic-only", "nic0.tracker=none,nic0.suspend=before-bulk,"
     "nic0.how=quiet", "nic0"),
])
def test_policy_that_leaves_writes_unseen_is_refused(spoor, name, lines,
                                                     device):
    r = spoor("migrate", "--json", EXAMPLES / f"{name}.json", "--set", lines)
    assert r.code == 3
    assert r.result()["running"] == "source"
    assert device in r.result()["error"]
    # Nothing ran: no page was sent, no device was asked to move.
    assert r.of("round") == []
    assert [e for e in r.of("state") if e["side"] == "source"] == []

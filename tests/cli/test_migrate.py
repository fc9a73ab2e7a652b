# SPDX-License-Identifier: MIT
"""The course of a migration, seen from outside, over a machine of CPUs only.

It needs no devices, so these promises are the command's own.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import LIMIT, SPOOR

CPU = {
    "memory": [{"iova": "0x0", "size": "4M",
                "contents": {"pattern": "random", "seed": 3}},
               {"iova": "0x100000000", "size": "32M"}],
    "cpu": {"writers": [{"rate": "20M/s", "set": "4M"}]},
    # What the CPU can have written by then a busy machine sends in that time.
    "policy": {"downtime_ms": 30000},
    "run": {"before_ms": 100, "after_ms": 100},
}
# Slow enough that it can be met in the middle of the first round, which takes
# seven seconds: who comes late to meet it has a busy machine.
SLOW = {
    **CPU,
    "memory": [{"iova": "0x0", "size": "16M",
                "contents": {"pattern": "random", "seed": 3}},
               {"iova": "0x100000000", "size": "32M"}],
    "link": {"rate": "20M", "latency_us": 500},
}


def descendants(pid):
    """Processes below one, by /proc."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found += [child] + descendants(child)
    return found


def role(pid):
    args = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return args[1].decode()


def until(p, event):
    """Reads lines up to an event."""
    for line in p.stdout:
        e = json.loads(line)
        if e["event"] == event:
            return e
    raise AssertionError(f"no {event}: {p.stderr.read()}")


def sending(p):
    """Reads progress until some of memory was sent."""
    for line in p.stderr:
        if "sent" in line and not line.startswith("0 "):
            return
    raise AssertionError("no progress")


def gone(pids):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if not any(os.path.exists(f"/proc/{p}") for p in pids):
            return True
        time.sleep(0.02)
    return False


def test_softvfio_goes_behind_what_is_preloaded_already(start, machine,
                                                       monkeypatch):
    """It may be a sanitizer's runtime, which must come first."""
    if "SOFTVFIO_SANITIZED" in os.environ:
        pytest.skip("it has softvfio linked in")
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    p = start("track", "--json", machine(), "--interval", "0.1")
    until(p, "track")
    child, = [c for c in descendants(p.pid) if role(c) == "machine-track"]
    env = pathlib.Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    preload, = [e for e in env if e.startswith(b"LD_PRELOAD=")]
    first, second = preload[len("LD_PRELOAD="):].split(b":")
    assert first == b"libm.so.6"
    assert second.endswith(b"/libsoftvfio.so")
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=LIMIT)
    assert list(start.scratch.iterdir()) == []


def test_local_migration_is_verified(spoor, machine):
    # Without a link it may be over before a busy host lets the CPU write.
    link = {"rate": "400M", "latency_us": 100}
    run = spoor("migrate", "--json", machine(base={**CPU, "link": link}))
    assert run.code == 0, run.err
    r = run.result()
    assert r["ok"] and r["verified"] and r["converged"]
    assert r["running"] == "destination"
    assert r["memory_bytes"] == 36 << 20
    assert r["rounds"] >= 2
    # 4 MiB of contents were sent; empty memory costs next to nothing.
    assert 4 << 20 < r["bytes_sent"] < 30 << 20
    rounds = run.of("round")
    assert [e["n"] for e in rounds] == list(range(1, r["rounds"] + 1))
    assert any(d["tracker"] == "cpu.process" and d["pages"] > 0
               for e in rounds for d in e["dirty"])


def test_device_that_refuses_its_state_is_named(spoor, machine):
    """It took it over, and cannot run with it: by then there is no way back."""
    run = spoor("migrate", "--json", machine(lambda m: m["devices"][1].update(
        fail={"run": 1})))
    assert run.code == 6, run.err
    r = run.result()
    assert r["running"] == "destination" and "dsa0" in r["error"]
    assert {d["name"]: d["failed"] for d in r["devices"]} == {
        "nic0": False, "dsa0": True, "mdev0": False}


@pytest.mark.parametrize("mode", ["async", "sync"])
def test_cpu_tracker_of_either_kind(spoor, machine, mode):
    run = spoor("migrate", "--json", machine(base=CPU), "--cpu-tracker", mode)
    if run.code == 1 and "not" in run.result()["error"]:
        pytest.skip(run.result()["error"])
    assert run.code == 0, run.err
    assert run.result()["verified"]


def test_text_output_names_the_essentials(spoor, machine):
    run = spoor("migrate", machine(base=CPU))
    assert run.code == 0
    for text in ["Plan, policy auto", "Round  1:", "Moved:", "verified",
                 "downtime"]:
        assert text in run.out


def test_quiet_shows_no_progress(spoor, machine):
    assert spoor("migrate", "--quiet", machine(base=CPU)).err == ""


def test_verify_off_says_so(spoor, machine):
    run = spoor("migrate", "--json", "--verify", "off", machine(base=CPU))
    assert run.code == 0
    assert run.result()["verified"] is False


def test_link_limits_the_rate(spoor, machine):
    link = {"rate": "100M", "latency_us": 500}
    run = spoor("migrate", "--json", machine(base={**CPU, "link": link}))
    assert run.code == 0, run.err
    first = run.of("round")[0]
    assert first["rate"] < 100e6 / 8 * 1.3


@pytest.mark.parametrize("address", ["unix:{tmp}/s", "tcp:127.0.0.1:0"])
def test_to_a_receiver(spoor, start, machine, tmp_path, address):
    m = machine(base=CPU)
    rx = start("receive", "--json", m, "--listen",
               address.format(tmp=tmp_path))
    bound = until(rx, "note")["text"].split()[-1]
    run = spoor("migrate", "--json", m, "--to", bound)
    out, err = rx.communicate(timeout=LIMIT)
    assert run.code == 0, run.err
    assert rx.returncode == 0, err
    assert run.result()["running"] == "destination"
    received = json.loads(out.splitlines()[-1])
    assert received["running"] == "destination"
    # These are the source's to know.
    for key in ("policy", "converged", "downtime_ms", "tracking_cpu_ms"):
        assert received[key] is None, key
    assert run.result()["converged"] is True
    assert not (tmp_path / "s").exists()


def test_receiver_waits_on_when_strangers_call(spoor, start, machine,
                                               tmp_path):
    m = machine(base=CPU)
    rx = start("receive", "--json", m, "--listen", f"unix:{tmp_path}/s")
    until(rx, "note")
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(f"{tmp_path}/s")
    for words in (b"", b"SPO", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(f"{tmp_path}/s")
            stranger.sendall(words)
            stranger.shutdown(socket.SHUT_WR)
            assert "a connection was no source's" in rx.stderr.readline()
    run = spoor("migrate", "--json", m, "--to", f"unix:{tmp_path}/s")
    out, err = rx.communicate(timeout=LIMIT)
    silent.close()
    assert run.code == 0, run.err
    assert rx.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["running"] == "destination"


def test_receiver_with_smaller_memory_refuses(spoor, start, machine,
                                              tmp_path):
    small = {**CPU, "memory": [{"iova": "0x0", "size": "4M"},
                               {"iova": "0x100000000", "size": "16M"}]}
    rx = start("receive", "--json", machine(base=small, name="small.json"),
               "--listen", f"unix:{tmp_path}/s")
    until(rx, "note")
    run = spoor("migrate", "--json", machine(base=CPU), "--to",
                f"unix:{tmp_path}/s")
    rx.communicate(timeout=LIMIT)
    assert run.code in (1, 3)
    assert rx.returncode in (1, 3)
    assert run.result()["running"] == "source"
    assert run.of("round") == []


def test_receiver_with_another_layout_refuses(spoor, start, machine,
                                              tmp_path):
    other = {**CPU, "cpu": {"writers": [{"rate": "20M/s", "set": "8M"}]}}
    rx = start("receive", "--json", machine(base=other, name="other.json"),
               "--listen", f"unix:{tmp_path}/s")
    until(rx, "note")
    run = spoor("migrate", "--json", machine(base=CPU), "--to",
                f"unix:{tmp_path}/s")
    out, _ = rx.communicate(timeout=LIMIT)
    assert run.code == 1
    assert run.result()["running"] == "source"
    assert "machine file differs" in json.loads(out.splitlines()[-1])["error"]


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_while_sending_runs_on_at_the_source(start, machine, sig):
    p = start("migrate", "--json", machine(base=SLOW))
    sending(p)
    children = descendants(p.pid)
    assert sorted(map(role, children)) == ["machine-destination",
                                           "machine-source"]
    p.send_signal(sig)
    out, err = p.communicate(timeout=LIMIT)
    assert p.returncode == 130, err
    r = json.loads(out.splitlines()[-1])
    assert r["running"] == "source" and not r["ok"]
    # What was sent of the first round was sent; nothing has converged.
    assert r["rounds"] == 0 and r["converged"] is False
    assert 0 < r["pages_sent"] * 4096 <= r["memory_bytes"]
    assert gone(children)


def test_cancel_by_control_socket(start, machine, tmp_path):
    path = tmp_path / "control"
    p = start("migrate", "--json", machine(base=SLOW), "--control", path)
    sending(p)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"cancel\n")
        p.communicate(timeout=LIMIT)
    assert p.returncode == 130
    assert not path.exists()


def page_of(run, name):
    """What the plan and the result say of a device's page."""
    return [[d for d in e["devices"] if d["name"] == name][0]["page_size"]
            for e in (run.of("plan")[0], run.result())]


@pytest.mark.parametrize("device,wish,real", [
    ("nic0", "1T", 16 << 20),
    ("nic0", "32M", 16 << 20),
    ("nic0", "64K", 64 << 10),
    ("dsa0", "2M", 4096),
])
def test_page_size_is_what_the_tracker_has(spoor, machine, device, wish,
                                           real):
    run = spoor("migrate", "--json", machine(), "--set",
                f"{device}.page_size={wish}")
    assert run.code == 0, run.err
    assert page_of(run, device) == [real, real]
    line = [d for d in run.result()["devices"] if d["name"] == device][0]
    assert ("is nearest" in line["reason"]) == (wish != "64K")


def test_killed_command_leaves_no_process(start, machine):
    p = start("migrate", "--json", machine(base=SLOW))
    sending(p)
    children = descendants(p.pid)
    assert len(children) == 2
    p.kill()
    p.wait()
    assert gone(children)
    assert list(start.scratch.iterdir()) == []


def test_killed_destination_runs_on_at_the_source(start, machine):
    p = start("migrate", "--json", machine(base=SLOW))
    sending(p)
    for pid in descendants(p.pid):
        if role(pid) == "machine-destination":
            os.kill(pid, signal.SIGKILL)
    out, _ = p.communicate(timeout=LIMIT)
    assert p.returncode == 1
    r = json.loads(out.splitlines()[-1])
    assert r["running"] == "source"
    assert "destination: its process was killed by signal 9" in r["error"]


def test_server_of_something_else_is_named(spoor, machine):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        to = f"tcp:127.0.0.1:{server.getsockname()[1]}"

        def answer():
            conn, _ = server.accept()
            conn.recv(1)
            conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 8)
            conn.recv(1 << 20)
            conn.close()

        thread = threading.Thread(target=answer)
        thread.start()
        run = spoor("migrate", "--json", machine(base=CPU), "--to", to)
        thread.join()
    assert run.code == 1
    assert run.result()["running"] == "source"
    assert "no frame here" in run.result()["error"]
    assert to in run.result()["error"]


def test_receiver_that_lacks_a_migration_feature_names_it(spoor, start,
                                                          machine, tmp_path):
    def change(features):
        def change_it(m):
            m["devices"][1]["migration"] = features
        return change_it

    rx = start("receive", "--json",
               machine(change(["stop-copy"]), name="less.json"),
               "--listen", f"unix:{tmp_path}/s")
    until(rx, "note")
    run = spoor("migrate", "--json", machine(change(["stop-copy", "p2p"])),
                "--to", f"unix:{tmp_path}/s")
    rx.communicate(timeout=LIMIT)
    assert "dsa0 migrates with stop-copy, p2p at the source, here with " \
        "stop-copy" in run.result()["error"]


def test_killed_source_dies_with_the_machine(start, machine):
    p = start("migrate", "--json", machine(base=SLOW))
    sending(p)
    for pid in descendants(p.pid):
        if role(pid) == "machine-source":
            os.kill(pid, signal.SIGKILL)
    out, _ = p.communicate(timeout=LIMIT)
    assert p.returncode == 1
    r = json.loads(out.splitlines()[-1])
    assert r["running"] == "none"
    assert "killed by signal 9" in r["error"]


def test_service_that_never_came_back_has_no_gap(start, machine):
    def slow(m):
        m["devices"][0]["clients"] = {"rate": 500}
        m["link"] = {"rate": "20M"}
        m["memory"][0]["contents"] = {"pattern": "random"}

    p = start("migrate", "--json", machine(slow))
    sending(p)
    for pid in descendants(p.pid):
        if role(pid) == "machine-source":
            os.kill(pid, signal.SIGKILL)
    out, err = p.communicate(timeout=LIMIT)
    assert p.returncode == 1, err
    nic = json.loads(out.splitlines()[-1])["devices"][0]
    assert nic["clients"]["answered"] > 0
    assert nic["served_after"] == 0 and nic["service_gap_ms"] is None


def test_track_reports_the_writers_rate(spoor, machine):
    run = spoor("track", "--json", machine(base=CPU), "--seconds", "1.2",
                "--interval", "0.4")
    assert run.code == 0, run.err
    reads = [d for e in run.of("track") for d in e["dirty"]]
    assert {d["tracker"] for d in reads} == {"cpu.process"}
    # 20 MiB/s over 4 MiB: 1024 pages, many of them again and again, or as many
    # as a busy machine lets it write.
    assert all(0 < d["pages"] <= 1100 for d in reads), reads
    assert max(d["pages"] for d in reads) > 100, reads


def test_track_ends_at_an_interrupt(start, machine):
    p = start("track", "--json", machine(base=CPU), "--interval", "0.2")
    until(p, "track")
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=LIMIT)
    assert p.returncode == 0
    assert json.loads(out.splitlines()[-1])["ok"]


def test_probe_without_vfio_is_77():
    if os.path.exists("/dev/vfio/devices"):
        pytest.skip("this machine has VFIO devices")
    done = subprocess.run([SPOOR, "probe"], capture_output=True, text=True)
    assert done.returncode == 77
    assert "no VFIO devices" in done.stderr
    done = subprocess.run([SPOOR, "probe", "0000:03:00.0"],
                          capture_output=True, text=True)
    assert done.returncode == 77


def test_hardware_machine_without_vfio_is_77(spoor, machine):
    if os.path.exists("/dev/iommu"):
        pytest.skip("this machine has an IOMMU")
    hw = {**CPU, "devices": [{"name": "hw0", "vfio": "0000:03:00.0"}]}
    run = spoor("migrate", "--json", machine(base=hw))
    assert run.code == 77
    assert run.result()["error"]

# SPDX-License-Identifier: MIT
"""A machine file, as QEMU and its guest are given it: memory of one region,
nic, dsa and plain devices, each a slot of bus 0, and the CPU's writers."""

import json
import pathlib
import random

MIB = 1 << 20
PAGE = 4096
FIRST_SLOT = 0x10
IOMMUFD, FIRST_DEVICE = 100, 101  # descriptors
GUEST_OWN = 4 * MIB  # the guest's program and its status page
MODELS = {"nic", "dsa", "plain"}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Unfit(Exception):
    """A machine that QEMU cannot be given; the text names the key."""


def size(text):
    """Bytes of "64M", of "40M/s" and of plain numbers."""
    if isinstance(text, (int, float)):
        return int(text)
    text = text.removesuffix("/s")
    if text[-1:] in UNITS:
        return int(float(text[:-1]) * UNITS[text[-1]])
    return int(text)


def bits(text):
    """Bytes per second of a link's rate, decimal bits."""
    if isinstance(text, (int, float)):
        return int(text) // 8
    scale = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1:], 1)
    return int(float(text.rstrip("KMGT")) * scale) // 8


class Machine:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.file = json.loads(self.path.read_text(encoding="utf-8"))
        self.devices = self.file.get("devices", [])
        self.memory = self._memory()
        spaces = self.file.get("spaces", [{"name": "main"}])
        self.spaces = {s["name"]: s for s in spaces}
        link = self.file.get("link", {})
        self.link = bits(link.get("rate", 0))
        self.latency_us = link.get("latency_us", 0)
        policy = self.file.get("policy", {})
        self.downtime_ms = policy.get("downtime_ms", 300)
        for i, device in enumerate(self.devices):
            if device.get("model") not in MODELS:
                raise Unfit(f"{path}: devices[{i}].model: QEMU's guest drives "
                            f"{', '.join(sorted(MODELS))}")
        self._lay_out()

    def _memory(self):
        regions = self.file["memory"]
        if len(regions) != 1 or size(regions[0]["iova"]) if isinstance(
                regions[0]["iova"], int) else int(regions[0]["iova"], 0):
            raise Unfit(f"{self.path}: memory: QEMU's machine is one region "
                        "from 0x0 on")
        return size(regions[0]["size"])

    def _take(self, length):
        base = self._next
        self._next += (length + PAGE - 1) // PAGE * PAGE
        if self._next > self.memory:
            raise Unfit(f"{self.path}: memory: too small for what its devices "
                        "and writers use")
        return base

    def _lay_out(self):
        """Where everything is in the guest's memory, as its words say."""
        self._next = GUEST_OWN
        self.words = []
        self.kinds = []  # what each word is about
        self.busy = {}
        for i, device in enumerate(self.devices):
            self.words.append(self._device_word(FIRST_SLOT + i, device))
            self.kinds.append(device["name"])
            self.busy[device["name"]] = "work" in device or "clients" in device
        for i, writer in enumerate(self.file.get("cpu", {}).get("writers", [])):
            ctl = self._take(4 * PAGE)
            length = size(writer["set"])
            self.words.append(
                f"cpu,set_base={self._take(length)},set={length},"
                f"rate={size(writer['rate'])},"
                f"pattern={writer.get('pattern', 'uniform')},ctl={ctl}")
            self.kinds.append(f"cpu{i}")
            self.busy[f"cpu{i}"] = True
        self.words.append(f"seed={self.file.get('seed', 1)}")

    def _device_word(self, slot, device):
        ctl = self._take(4 * PAGE)
        if device["model"] == "nic":
            ring = size(device.get("ring", "4M"))
            return (f"nic@{slot},ring_base={self._take(ring)},ring={ring},"
                    f"ctl={ctl}")
        work = device.get("work", {})
        length = size(work.get("set", "64K"))
        word = (f"{device['model']}@{slot},set_base={self._take(length)},"
                f"set={length},rate={size(work.get('rate', 0))}")
        if device["model"] == "dsa":
            word += (f",request={size(work.get('request', '64K'))},"
                     f"depth={work.get('depth', 4)},"
                     f"pattern={work.get('pattern', 'uniform')},ctl={ctl}")
        return word

    def fill(self, ram):
        """What the machine's memory holds before the guest is loaded."""
        contents = self.file["memory"][0].get("contents")
        with open(ram, "wb") as out:
            out.truncate(self.memory)
            if not contents:
                return
            if contents.get("pattern") != "random":
                raise Unfit(f"{self.path}: memory[0].contents: pattern random "
                            "is all that is filled in here")
            source = random.Random(contents.get("seed", 1))
            for _ in range(self.memory // MIB):
                out.write(source.randbytes(MIB))

    def qemu_arguments(self, attach, properties=None):
        """-object and -device of its devices; attach: fd, host, sysfsdev."""
        properties = properties or {}
        out = []
        # One for all, as QEMU is run: its guest has one address space.
        if any(self._iommufd(device) for device in self.devices):
            fd = f",fd={IOMMUFD}" if attach == "fd" else ""
            out += ["-object", f"iommufd,id=iommufd0{fd}"]
        for i, device in enumerate(self.devices):
            text = f"vfio-pci,id={device['name']},addr={FIRST_SLOT + i:#x}"
            address = f"0000:{i + 1:02x}:00.0"
            text += {"fd": f",fd={FIRST_DEVICE + i}",
                     "host": f",host={address}",
                     "sysfsdev": f",sysfsdev=/sys/bus/pci/devices/{address}",
                     }[attach]
            if self._iommufd(device):
                text += ",iommufd=iommufd0"
            elif attach == "fd":
                raise Unfit(f"{self.path}: spaces: a descriptor needs iommufd")
            wish = dict(properties.get("*", {}))
            wish.update(properties.get(device["name"], {}))
            text += "".join(f",{k}={v}" for k, v in wish.items())
            out += ["-device", text]
        return out

    def descriptors(self):
        """--fd of softvfio run, as qemu_arguments("fd") numbers them."""
        out = ["--fd", f"{IOMMUFD}=iommu"]
        for i, device in enumerate(self.devices):
            out += ["--fd", f"{FIRST_DEVICE + i}={device['name']}"]
        return out

    def _iommufd(self, device):
        space = self.spaces[device.get("space", next(iter(self.spaces)))]
        return space.get("backend", "iommufd") == "iommufd"

# SPDX-License-Identifier: MIT
"""Which QEMU: Debian's own, unmodified, as fetch.sh has unpacked it."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
LIB = "lib/x86_64-linux-gnu"
VERSIONS = ("10.0", "11.1")


class Missing(Exception):
    """QEMU cannot be had here; the text says why."""


class NotBuilt(Exception):
    """A program of ours is not there; the text says which."""


class Qemu:
    def __init__(self, version):
        self.version = version
        done = subprocess.run([HERE / "fetch.sh", version], text=True,
                              stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise Missing(f"QEMU {version} cannot be had here (see above)")
        root = done.stdout.strip()
        usr = f"{root}/usr"
        self.env = {"QEMU_MODULE_DIR": f"{usr}/{LIB}/qemu"}
        self.argv = [f"{usr}/bin/qemu-system-x86_64"]
        if pathlib.Path(f"{usr}/{LIB}/ld-linux-x86-64.so.2").exists():
            # Another release's: its own loader and libraries.
            self.argv = [f"{usr}/{LIB}/ld-linux-x86-64.so.2",
                         "--library-path", f"{usr}/{LIB}"] + self.argv
        else:
            self.env["LD_LIBRARY_PATH"] = f"{usr}/{LIB}:{root}/{LIB}"
        self.argv += ["-L", f"{usr}/share/qemu", "-L", f"{usr}/share/seabios"]


class Build:
    """Our programs, of a build folder."""

    def __init__(self, folder):
        folder = pathlib.Path(folder).resolve()
        self.softvfio = folder / "softvfio"
        self.spoor = folder / "spoor"
        self.guest = folder / "bench/qemu/guest/guest.elf"
        self.watch = folder / "bench/qemu/watch"
        self.relay = folder / "bench/qemu/relay"
        for program in (self.softvfio, self.spoor, self.guest, self.watch,
                        self.relay):
            if not os.access(program, os.R_OK):
                raise NotBuilt(f"{program} is not built: ./dev build")

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every call of libspoor is failed by the sweep, or a reason says why not.

usage: check-imports.py LIBSPOOR NOT-FAILED WRAPPED...
"""
import subprocess
import sys


def main():
    lib, reasons, wrapped = sys.argv[1], sys.argv[2], set(sys.argv[3:])
    out = subprocess.run(["nm", "-D", "--undefined-only", lib], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    # Weak ones are the toolchain's own: __cxa_finalize, __gmon_start__.
    imports = {line.split()[1].split("@")[0] for line in out.splitlines()
               if line.split()[0] == "U"}
    with open(reasons, encoding="utf-8") as f:
        lines = [line.split(None, 1) for line in f if not line.startswith("#")]
    excused = {line[0] for line in lines if len(line) == 2}
    bad = 0
    for name in sorted(imports - wrapped - excused):
        print(f"{name}: nobody fails it, nor says why")
        bad = 1
    for name in sorted(wrapped & excused):
        print(f"{name}: is failed, and excused")
        bad = 1
    print(f"{len(imports)} imports, {len(imports & wrapped)} of them failed")
    return bad


if __name__ == "__main__":
    sys.exit(main())

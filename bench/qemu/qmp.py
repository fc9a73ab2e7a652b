# SPDX-License-Identifier: MIT
"""QMP over a UNIX socket: commands, answers, and every event that came.

As a program: qmp.py SOCKET COMMAND [KEY=VALUE...], prints the answer."""

import json
import socket
import sys
import time


class QmpError(Exception):
    """QEMU's answer to a command that it refused."""


class Qmp:
    def __init__(self, path, alive, seconds=20):
        """To a QEMU that has just been started, while it is alive()."""
        self.events = []
        self._rest = b""
        self._socket = self._connect(path, alive, seconds)
        self._message(seconds)  # the greeting
        self.run("qmp_capabilities")

    @staticmethod
    def _connect(path, alive, seconds):
        end = time.monotonic() + seconds
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(str(path))
                return s
            except OSError:
                s.close()
                if time.monotonic() > end or not alive():
                    raise
                time.sleep(0.01)

    def _message(self, seconds):
        """The next message; ConnectionError when QEMU has gone, TimeoutError
        when nothing came."""
        self._socket.settimeout(seconds)
        while b"\n" not in self._rest:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("QEMU closed its monitor")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def run(self, command, seconds=60, **arguments):
        # What Python cannot spell: x-colo as x_colo
        arguments = {k.replace("_", "-"): v for k, v in arguments.items()}
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._message(seconds)
            if "event" in message:
                self._keep(message)
            elif "error" in message:
                raise QmpError(f"{command}: {message['error']['desc']}")
            else:
                return message["return"]

    def _keep(self, event):
        at = event["timestamp"]
        event["at"] = at["seconds"] + at["microseconds"] / 1e6
        self.events.append(event)

    def drain(self):
        """Takes what has come, waits for nothing."""
        while True:
            try:
                self._keep(self._message(0.001))
            except (TimeoutError, socket.timeout, BlockingIOError):
                return

    def close(self):
        self._socket.close()


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    words = dict(word.split("=", 1) for word in sys.argv[3:])
    values = {k: int(v) if v.isdigit() else v for k, v in words.items()}
    try:
        qmp = Qmp(sys.argv[1], lambda: True)
        print(json.dumps(qmp.run(sys.argv[2], **values), indent=2))
    except (OSError, QmpError) as e:
        print(f"qmp: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

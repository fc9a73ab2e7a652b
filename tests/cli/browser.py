# SPDX-License-Identifier: MIT
"""A page in headless Chromium, by the DevTools protocol over two pipes.

What a browser's command line cannot do: a viewport as narrow as a phone's, a
dark one, every console message, every request.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import time

NAMES = ["chromium", "chromium-browser", "google-chrome"]


def find():
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One Chromium; pages open in it one after the other."""

    def __init__(self, folder):
        to_it, self.out = os.pipe()
        self.inp, from_it = os.pipe()
        self.buffer, self.sent, self.session = b"", 0, None
        self.events = []

        def pipes():
            # 3 and 4 are what --remote-debugging-pipe means.
            there = os.dup(to_it), os.dup(from_it)
            os.dup2(there[0], 3)
            os.dup2(there[1], 4)

        # pylint: disable=subprocess-popen-preexec-fn
        self.process = subprocess.Popen(
            [find(), "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-pipe", f"--user-data-dir={folder}",
             "about:blank"], preexec_fn=pipes, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(folder)})
        os.close(to_it)
        os.close(from_it)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in (self.out, self.inp):
            os.close(fd)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _message(self, end):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.inp], [], [],
                                        max(0, end - time.monotonic()))
            data = os.read(self.inp, 1 << 16) if ready else b""
            if not data:
                raise TimeoutError("chromium says nothing")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, timeout=60, **params):
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        end = time.monotonic() + timeout
        while True:
            answer = self._message(end)
            if answer.get("id") != self.sent:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def eval(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression,
                           returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, path, width=1280, height=900, dark=False, seconds=60):
        """Opens a page of that size; returns once it says how it went."""
        self.session, self.events = None, []
        target = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=target["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        end = time.monotonic() + seconds
        while self.state() not in ("drawn", "failed"):
            assert time.monotonic() < end, "it is never drawn"
            time.sleep(0.1)

    def state(self):
        return self.eval("document.documentElement?.dataset.report")

    def complaints(self):
        """What went wrong in the page, by its console."""
        said = []
        for e in self.events:
            p = e.get("params", {})
            if e.get("method") == "Runtime.exceptionThrown":
                said.append(p["exceptionDetails"])
            elif e.get("method") == "Runtime.consoleAPICalled":
                said.append(p["args"])
            elif e.get("method") == "Log.entryAdded":
                said.append(p["entry"])
        return said

    def requests(self):
        return [e["params"]["request"]["url"] for e in self.events
                if e.get("method") == "Network.requestWillBeSent"]

    def screenshot(self, path, height=None):
        clip = {}
        if height:
            width = self.eval("innerWidth")
            clip = {"clip": {"x": 0, "y": 0, "width": width, "height": height,
                             "scale": 1}}
        shot = self.call("Page.captureScreenshot", format="png",
                         captureBeyondViewport=True, **clip)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

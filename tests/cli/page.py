# SPDX-License-Identifier: MIT
"""A page that --report wrote: its elements, and what it was made from."""

import html.parser
import json
import subprocess

from conftest import SPOOR

NOTHING = subprocess.run([SPOOR, "report", "/dev/null", "-o", "/dev/null"],
                         capture_output=True)
# Why this spoor writes none, or "".  That it says so, test_usage holds.
NO_PAGES = NOTHING.stderr.decode() if NOTHING.returncode == 77 else ""


class Elements(html.parser.HTMLParser):
    """Every element's attributes, and the events."""

    def __init__(self, path):
        super().__init__()
        self.found, self.events, self.inside = [], "", False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id") == "events"

    def handle_data(self, data):
        if self.inside:
            self.events += data

    def handle_endtag(self, tag):
        self.inside = False


def inputs_of(path):
    return json.loads(Elements(path).events)["inputs"]

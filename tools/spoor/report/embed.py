#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The report's page as C: two strings, between which the events go.

usage: embed.py OUT.c FOLDER VEGA

FOLDER is this one; page.html names the files that belong into it as
{{file}}, and {{events}} is where the page is cut.  VEGA is the folder of the
library that draws, of which {{vega}} takes the modules below.
"""
import pathlib
import re
import sys

# Each a CommonJS module that needs only some before it; library.js has the
# loader.
MODULES = """util canvas time format loader statistics event-selector
expression dataflow scale scenegraph selection functions runtime view
view-transforms encode transforms parser interpreter""".split()
LINE = 4096  # bytes of the page on a line of C


def module(folder, name):
    text = (folder / f"vega-{name}.min.js").read_text(encoding="utf-8")
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.M).strip()
    return f'vegaModules["vega-{name}"] = function (module, exports, ' \
        f"require) {{{text}\n}};"


def page(folder, vega):
    def part(match):
        name = match[1]
        if name == "events":
            return match[0]
        if name == "vega":
            return "\n".join(module(vega, m) for m in MODULES)
        text = (folder / name).read_text(encoding="utf-8").strip()
        if name.endswith(".txt"):
            text = text.replace("&", "&amp;").replace("<", "&lt;")
        elif "</script" in text or "</style" in text:
            sys.exit(f"{name}: would end its element")
        return text

    html = (folder / "page.html").read_text(encoding="utf-8")
    html = re.sub(r"\{\{([a-z.]+)\}\}", part, html)
    return html.split("{{events}}")


def c_string(text):
    data = text.encode("utf-8")
    lines = []
    for at in range(0, len(data), LINE):
        lines.append('"' + "".join(
            chr(b) if 32 <= b < 127 and chr(b) not in '"\\?'
            else f"\\{b:03o}" for b in data[at:at + LINE]) + '"')
    return "\n\t".join(lines), len(data)


def main():
    out, folder, vega = map(pathlib.Path, sys.argv[1:])
    head, tail = page(folder, vega)
    (head, head_len), (tail, tail_len) = c_string(head), c_string(tail)
    out.write_text(f"""/* Made by tools/spoor/report/embed.py. */
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "tools/spoor/report.h"

const struct report_page report_page = {{
	.head = {head},
	.head_len = {head_len},
	.tail = {tail},
	.tail_len = {tail_len},
}};
""", encoding="ascii")


if __name__ == "__main__":
    main()

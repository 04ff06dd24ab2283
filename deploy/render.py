"""Writes what template.yaml repeats for each function, from what it says for Read: `make template`.

With --check it writes nothing, and fails if the template isn't as it would be written.
"""

import json
import re
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
BLOCK = re.compile(r"(?<=  # << for each function\n)(.*?)(  # >> [^\n]*\n)(.*?)(?=  # <<\n)", re.DOTALL)


def rendered(text):
    """The template, with a line for each resource of Write and Destroy."""

    def others(block):
        read, marker, _ = block.groups()
        lines = []
        for function in ("Write", "Destroy"):
            own = re.sub(r"\bRead(?=\b|[A-Z])", function, read)
            own = re.sub(r"\bread\b", function.lower(), own)
            lines += [f"  {name}: {json.dumps(resource)}\n" for name, resource in yaml_parse(own).items()]
        return read + marker + "".join(lines)

    text, found = BLOCK.subn(others, text)
    assert found == 1, f"{TEMPLATE.name} has {found} blocks to write"
    return text


def main():
    text = TEMPLATE.read_text()
    if rendered(text) == text:
        return
    if "--check" in sys.argv:
        sys.exit("template.yaml does not repeat for every function what it says for Read. Run: make template")
    TEMPLATE.write_text(rendered(text))


if __name__ == "__main__":
    main()

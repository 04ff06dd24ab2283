"""Fails if modules in src/ import each other in a circle, and lists the circles.

You can only understand, test and change the modules of a circle together. The compiler accepts circles, and existing
tools report too many, because they count `mod child;` as an import. So this script reads the `use` declarations and
inline paths itself, except in code that is only compiled for tests. A path through a re-export counts as an import of
the module that defines the item, but the re-export itself doesn't count.
"""

import graphlib
import itertools
import re
import sys
from pathlib import Path

SRC = Path(sys.argv[1])
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.DOTALL)
TESTS = re.compile(r"^#\[cfg\(test\)\]\s*mod \w+ \{.*?^\}", re.DOTALL | re.MULTILINE)
USE = re.compile(r"\b(pub(?:\([\w ]+\))? )?use ([^;]+);")
PATH = re.compile(r"(?<![\w:])\w+(?:::\w+)+")


def leaves(tree):
    """The paths in a `use` tree, each as (path, name): a::{b, c::d as e} has (a::b, b) and (a::c::d, e)."""
    tree = tree.strip()
    if not (group := re.fullmatch(r"(.*?)\{(.*)\}", tree, re.DOTALL)):
        path, _, alias = tree.partition(" as ")
        path = path.removesuffix("::self")
        return [(path.split("::"), alias or path.split("::")[-1])]
    parts = re.findall(r"[^,{}]+(?:\{(?:[^{}]|\{[^{}]*\})*\})?", group[2])
    return [leaf for part in parts if part.strip() for leaf in leaves(group[1] + part.strip())]


def module(file):
    parts = file.relative_to(SRC).with_suffix("").parts
    return () if parts == ("lib",) else parts


code = {module(file): TESTS.sub("", NOISE.sub(" ", file.read_text())) for file in SRC.rglob("*.rs")}
exports = {
    (here, name): path
    for here, text in code.items()
    for public, tree in USE.findall(text)
    if public
    for path, name in leaves(tree)
}


def source(here, path):
    """The module that defines the item that `path` names in `here`. None if that's `here` itself or another crate."""
    at = () if path[0] == "crate" else here
    for name in path[1:] if path[0] in ("crate", "self") else path:
        if name == "super":
            at = at[:-1]
        elif (*at, name) in code:
            at = (*at, name)
        elif (at, name) in exports and exports[at, name] != path:
            return source(at, exports[at, name])
        else:
            break
    return at if at != here else None


imports = {}
for here, text in code.items():
    used = [path for public, tree in USE.findall(text) if not public for path, _ in leaves(tree)]
    own = USE.sub(" ", text)
    used += [path.split("::") for path in PATH.findall(own)]
    # A module can use the types that it re-exports without a path.
    used += [[name] for at, name in exports if at == here and name[0].isupper() and re.search(rf"\b{name}\b", own)]
    imports[here] = {found for path in used if (found := source(here, path)) not in (None, here)}
# Do the same for the top-level modules, each merged with its children: if `store::lock` uses `session`, nothing in
# `session` may use anything in `store`.
layers = {}
for here, found in imports.items():
    if here and here[0] != "bin":
        layers.setdefault(here[:1], set()).update(one[:1] for one in found if one and one[0] != here[0])
failed = False


def remove_circle(graph):
    """Reports a circle and removes its edges. False if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        print("circle of imports:", " -> ".join("::".join(one) or "crate" for one in circle), file=sys.stderr)
        for here, found in itertools.pairwise(circle):
            graph[here].discard(found)
        return True
    return False


for graph in (imports, layers):
    while remove_circle(graph):
        failed = True
sys.exit(failed)

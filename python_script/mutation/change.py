"""Changes of one module by mutmut's operators, and the mutants that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst
from libcst import metadata
from mutation.mutant import Mutant, starts
from mutmut.mutation import mutators

TEXT_FOR_PEOPLE = (
    "logger",
    "warnings",
    "log",
)  # what is written to them is read, not computed with
SAME_ANYHOW = ("strict", "encoding", "desc", "unit")  # keywords whose change no result can show


@dataclass(frozen=True)
class Change:
    """A node of a module and what stands there instead."""

    line: int
    old: libcst.CSTNode
    new: libcst.CSTNode


def make_changes(source: str) -> tuple[libcst.Module, list[Change]]:
    """Every change that mutmut's operators make, in the order of the lines."""
    wrapper = metadata.MetadataWrapper(libcst.parse_module(source))
    place = wrapper.resolve(metadata.PositionProvider)
    found = [
        Change(place[node].start.line, node, new)
        for node in _nodes(wrapper.module)
        for new in _variants(node)
    ]
    return wrapper.module, sorted(found, key=lambda change: change.line)


def build(path: str, source: str, module: libcst.Module, changes: list[Change]) -> list[Mutant]:
    """The mutants of some changes; what does not compile is none."""
    start = starts(source)
    made = []
    for change in changes:
        text = module.deep_replace(change.old, change.new).code
        if text != source and _compiles(text):
            first = start(change.line)
            made.append(Mutant(path=path, line=change.line, first_line=first, source=text))
    return made


def _nodes(node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
    """All nodes whose change could be noticed."""
    for child in node.children:
        if isinstance(child, libcst.Annotation | libcst.Decorator | libcst.Import):
            continue
        if isinstance(child, libcst.ImportFrom | libcst.Raise) or _is_text_for_people(child):
            continue
        if isinstance(child, libcst.Arg) and child.keyword and child.keyword.value in SAME_ANYHOW:
            continue
        yield child
        yield from _nodes(child)


def _variants(node: libcst.CSTNode) -> list[libcst.CSTNode]:
    """What mutmut would put in the place of a node."""
    found: list[libcst.CSTNode] = []
    for kind, operator in mutators.mutation_operators:
        if isinstance(node, kind):
            made = list(operator(node))
            if operator is mutators.operator_string:
                made = made[:1]  # capitals and small letters say no more than the first
            if operator is mutators.operator_arg_removal:
                made = [new for new in made if not _loses_same(node, new)]
            found += made
    return found


def _loses_same(node: libcst.Call, new: libcst.Call) -> bool:
    """Whether a call's only loss is an argument that no result can show."""
    lost = [arg for arg in node.args if not any(arg is kept for kept in new.args)]
    return any(arg.keyword and arg.keyword.value in SAME_ANYHOW for arg in lost)


def _is_text_for_people(node: libcst.CSTNode) -> bool:
    if not isinstance(node, libcst.Call) or not isinstance(node.func, libcst.Attribute):
        return False
    base = node.func.value
    return isinstance(base, libcst.Name) and base.value in TEXT_FOR_PEOPLE


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True

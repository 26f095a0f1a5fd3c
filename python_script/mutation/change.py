"""Mutants of one file by mutmut's operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import libcst
from libcst import metadata
from mutation.mutant import Mutant
from mutmut.mutation import mutators

TEXT_FOR_PEOPLE = ("logger", "warnings", "log")  # what they are given is read, not computed with
SAME_ANYHOW = ("strict", "encoding", "desc", "unit")  # keywords whose change no result can show


def make(path: str, source: str, tests: tuple[str, ...]) -> list[Callable[[], Mutant | None]]:
    """Changes of a file by mutmut's operators; each gives its mutant, or None if nothing changes.

    To write a mutant's source takes longer than to find it, and most are not drawn.
    """
    wrapper = metadata.MetadataWrapper(libcst.parse_module(source))
    place = wrapper.resolve(metadata.PositionProvider)

    def build(node: libcst.CSTNode, new: libcst.CSTNode) -> Mutant | None:
        text = wrapper.module.deep_replace(node, new).code
        if text == source or not _compiles(text):
            return None
        return Mutant(path=path, line=place[node].start.line, source=text, tests=tests)

    found = [(node, new) for node in _nodes(wrapper.module) for new in _variants(node)]
    return [partial(build, node, new) for node, new in found]


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

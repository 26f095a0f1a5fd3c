"""A mutant: one small change of one file of the sources."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one file.

    Attributes
    ----------
    path : str
        File, relative to the repository.
    line : int
        First line of what is changed, 1-based.
    first_line : int
        Line where the function around it begins, its decorators with it; 0 outside of functions.
    source : str
        The whole file with the change.
    key : str
        The setting concerned, `section.key`, of a mutant of the wiring.
    """

    path: str
    line: int
    first_line: int
    source: str
    key: str = ""

    def diff(self, before: str) -> str:
        """The change as a unified diff of one line around."""
        lines = before.splitlines(), self.source.splitlines()
        found = difflib.unified_diff(*lines, self.path, self.path, n=1, lineterm="")
        return "\n".join(found)


def starts(source: str) -> Callable[[int], int]:
    """A function that gives, by line, where the innermost function around it begins (0: none)."""
    spans = [
        (min([node.lineno, *(d.lineno for d in node.decorator_list)]), node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    def first_line(line: int) -> int:
        within = [first for first, node in spans if node.body[0].lineno <= line <= node.end_lineno]
        return max(within, default=0)

    return first_line

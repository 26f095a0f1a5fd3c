"""A mutant: one small change of one file of the sources."""

from __future__ import annotations

import difflib
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
    source : str
        The whole file with the change.
    tests : tuple of str
        Test files and tests that should notice it.
    key : str
        The setting that is replaced, `section.key`; empty for a change of the logic.
    """

    path: str
    line: int
    source: str
    tests: tuple[str, ...] = ()
    key: str = ""

    def diff(self, before: str) -> str:
        """The change as a unified diff with one line around it."""
        lines = before.splitlines(), self.source.splitlines()
        return "\n".join(difflib.unified_diff(*lines, self.path, self.path, n=1, lineterm=""))

"""Mutants of the wiring: a setting is replaced by its default in one place that reads it.

A place of use is an attribute whose name is a key of the settings and which is read from a section
(`config.detection.min_face_px`), from a name that a section was given to, or from a parameter or
attribute called `setting` or `settings`, as domains name what they are told; and a keyword argument
that hands a variable of a key's name on, where the name says enough (`class_word`, not `seed`).
Keys that several sections have are only taken where the section is plain. The command line's own
options and the small models made by `make_base.py` (`toy_*`) have settings of their own.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation import mutant

HANDED_ON = ("setting", "settings", "_setting", "_settings")
OWN_SETTINGS = ("src/bunny/config/", "src/bunny/cli/", "src/bunny/training/toy_")
WHOLE = ("config", "_config")  # names of all settings
_SHARDS = "how many rows a file of measures has; all files are read again as one table"
EQUIVALENT = {  # file and key: why no result can show the default there
    ("src/bunny/character/track.py", "pair.max_shift"): "the tracker's own of that name",
    ("src/bunny/stage/cluster.py", "pipeline.shard_size"): _SHARDS,
    ("src/bunny/stage/extract.py", "pipeline.parallel_processing"): (
        "how many threads decode; the pictures are the same"
    ),
}


@dataclass(frozen=True)
class Settings:
    """Defaults by section and key; keys of no section stand under the empty name."""

    defaults: dict[str, dict[str, Any]]
    classes: dict[str, str]  # class of a section: its name

    def owner(self, key: str) -> str | None:
        """The only section that has a key."""
        owners = [section for section, keys in self.defaults.items() if key in keys]
        return owners[0] if len(owners) == 1 else None


def read_settings() -> Settings:
    """Sections, keys and defaults from the settings' own classes."""
    from pydantic import BaseModel

    from bunny.core.config import Config

    defaults: dict[str, dict[str, Any]] = {"": {}}
    classes = {}
    for name, info in Config.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            classes[kind.__name__] = name
            defaults[name] = kind().model_dump()
        else:
            defaults[""][name] = info.get_default(call_default_factory=True)
    return Settings(defaults, classes)


def make(root: Path, settings: Settings) -> list[mutant.Mutant]:
    """Every mutant of the wiring in `src` outside the settings themselves."""
    made = []
    for name, source, uses in places(root, settings):
        start = mutant.starts(source)
        for node, section, key in uses:
            text = replace(source, node, repr(settings.defaults[section][key]))
            whole = f"{section}.{key}" if section else key
            first = start(node.lineno)
            made.append(
                mutant.Mutant(path=name, line=node.lineno, first_line=first, source=text, key=whole)
            )
    return made


def places(root: Path, settings: Settings):
    """Each file of `src` outside the settings: its name, its source, and where it reads them.

    A place is a node of the source's tree, a section and a key.
    """
    for path in sorted((root / "src" / "bunny").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(OWN_SETTINGS):
            source = path.read_text(encoding="utf-8")
            yield name, source, list(_uses(ast.parse(source), settings))


def _uses(tree: ast.Module, settings: Settings):
    """Nodes that read a setting, each with its section and key."""
    bound = _bound(tree, settings)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            section = _section(node, bound, settings)
            if section is not None and node.attr in settings.defaults[section]:
                yield node, section, node.attr
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Name):
            owner = settings.owner(node.arg or "")
            if owner is not None and node.value.id == node.arg and "_" in node.arg:
                yield node.value, owner, node.arg


def _section(node: ast.Attribute, bound: dict[str, set[str]], settings: Settings) -> str | None:
    """The section that an attribute is read from."""
    base = _last(node.value)
    if isinstance(node.value, ast.Attribute) and base in settings.classes.values():
        return base
    if base in WHOLE:
        return "" if node.attr in settings.defaults[""] else None
    fitting = [s for s in bound.get(base, ()) if node.attr in settings.defaults[s]]
    if len(fitting) == 1:
        return fitting[0]
    return settings.owner(node.attr) if base in HANDED_ON else None


def _bound(tree: ast.Module, settings: Settings) -> dict[str, set[str]]:
    """Names that a section is given to, by assignment or by a parameter's annotation."""
    found = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            kind = _last(node.annotation)
            if kind in settings.classes:
                found[node.arg].add(settings.classes[kind])
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for name, value in _pairs(target, node.value):
                    if isinstance(value, ast.Attribute) and value.attr in settings.defaults:
                        found[name].add(value.attr)
    return found


def _pairs(target: ast.expr, value: ast.expr):
    """Names and values of an assignment, of `a, b = c, d` too."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for left, right in zip(target.elts, value.elts, strict=False):
            yield _last(left), right
    else:
        yield _last(target), value


def _last(node: ast.expr) -> str:
    """The last word of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def replace(source: str, node: ast.expr, text: str) -> str:
    """The source with other text in an expression's place; columns count bytes."""
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    return (source.encode()[:start] + text.encode() + source.encode()[end:]).decode()

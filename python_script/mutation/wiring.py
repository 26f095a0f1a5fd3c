"""Mutants of the wiring: a setting is replaced by its default in one place that reads it.

A place is an attribute named as a key that is read from a section: from `config.detection`, from a
parameter or attribute with the section's class as its annotation, or from a name that one of those
was assigned to. What names alone do not tell is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation.mutant import Mutant

WHOLE = ("config", "_config")  # names of all settings
LEFT_OUT = ("src/bunny/core/config/",)  # the classes themselves
NUM_NEAR = 6  # test files that are run for a place, beside the test of its key
SLOW = "pytestmark = pytest.mark.slow"
ROWS = "test/setting/test_setting.py::test_the_setting_has_its_effect"


@dataclass(frozen=True)
class Settings:
    """Defaults by section (`detection`, `captioning.local`) and key; the seed's section is ""."""

    defaults: dict[str, dict[str, Any]]
    classes: dict[str, str]  # name of a section's class: the section, the first of several


def read_settings() -> Settings:
    """Sections, keys and defaults from the settings' own classes."""
    from bunny.core.config import Config

    found = Settings({}, {})
    _read_section(Config, "", found)
    return found


def _read_section(kind: Any, path: str, found: Settings) -> None:
    from pydantic import BaseModel

    found.classes.setdefault(kind.__name__, path)
    made = kind()
    parts = {name: getattr(made, name) for name in kind.model_fields}
    found.defaults[path] = {k: v for k, v in parts.items() if not isinstance(v, BaseModel)}
    for name in parts.keys() - found.defaults[path].keys():
        _read_section(type(parts[name]), f"{path}.{name}".lstrip("."), found)


def make(root: Path, settings: Settings, seen_in: dict[str, str]) -> list[Mutant]:
    """Every mutant of the wiring in `src`; `seen_in` has the test of a key's effect."""
    texts = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in (root / "test").rglob("test_*.py")
    }
    texts = {path: text for path, text in texts.items() if SLOW not in text}
    made = []
    for path in sorted((root / "src" / "bunny").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith(LEFT_OUT):
            continue
        source = path.read_text(encoding="utf-8")
        for node, section, key in _places(ast.parse(source), settings):
            whole = f"{section}.{key}".lstrip(".")
            own = seen_in.get(whole, f"{ROWS}[{whole}]")
            made.append(
                Mutant(
                    path=name,
                    line=node.lineno,
                    source=_replace(source, node, repr(settings.defaults[section][key])),
                    tests=(own, *near_tests(texts, name, key)),
                    key=whole,
                )
            )
    return made


def near_tests(texts: dict[str, str], path: str, word: str) -> list[str]:
    """The smallest test files that have a key's last word and import the module, if any does."""
    name = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
    package, _, module = name.rpartition(".")
    with_word = [test for test, text in texts.items() if word in text and "/setting/" not in test]
    importing = [
        test
        for test in with_word
        if name in texts[test]
        or (f"from {package} import" in texts[test] and module in texts[test])
    ]
    return sorted(importing or with_word, key=lambda test: len(texts[test]))[:NUM_NEAR]


def _places(tree: ast.Module, settings: Settings) -> Iterator[tuple[ast.Attribute, str, str]]:
    """Nodes that read a setting, each with its section and key."""
    bound = _bound(tree, settings)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            section = _section(node.value, bound, settings)
            if section is not None and node.attr in settings.defaults[section]:
                yield node, section, node.attr


def _section(node: ast.expr, bound: dict[str, str], settings: Settings) -> str | None:
    """The section that an expression is; None: none."""
    name = _last(node)
    if isinstance(node, ast.Attribute):
        base = _section(node.value, bound, settings)
        inner = None if base is None else f"{base}.{name}".lstrip(".")
        if inner in settings.defaults:
            return inner
    return "" if name in WHOLE else bound.get(name)


def _bound(tree: ast.Module, settings: Settings) -> dict[str, str]:
    """Names that mean one section: by annotation, or assigned from what means it."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            name = node.arg if isinstance(node, ast.arg) else _last(node.target)
            kind = _last(node.annotation)
            if settings.classes.get(kind):
                found.setdefault(name, set()).add(settings.classes[kind])
    plain = {name: next(iter(sections)) for name, sections in found.items() if len(sections) == 1}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node.targets[0], node.value):
                section = _section(value, plain, settings)
                if section:
                    found.setdefault(_last(target), set()).add(section)
    return {name: next(iter(sections)) for name, sections in found.items() if len(sections) == 1}


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Both sides of an assignment, of `a, b = c, d` too."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=False))
    return [(target, value)]


def _last(node: ast.expr) -> str:
    """The last word of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _replace(source: str, node: ast.expr, text: str) -> str:
    """The source with other text in an expression's place; columns count bytes."""
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: (node.end_lineno or 0) - 1])) + (node.end_col_offset or 0)
    return (source.encode()[:start] + text.encode() + source.encode()[end:]).decode()

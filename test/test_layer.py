"""Domains take single sections of the settings, never `Config` or what loads it.

What import-linter cannot say: it sees modules, and sections and `Config` come from one module.
"""

import ast
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = "bunny.core.config"
WHOLE = frozenset(("Config", "config", "load", "layer", "settings", "*"))


def _domains() -> list[str]:
    """The packages that the contract `domains` of import-linter names."""
    read = ConfigParser()
    read.read(ROOT / ".importlinter", encoding="utf-8")
    return read["importlinter:contract:domains"]["source_modules"].split()


def _whole_settings(text: str) -> list[int]:
    """Lines of a module that import all of the settings."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            is_whole = any(name.name.startswith(SETTINGS) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            source, names = node.module or "", {name.name for name in node.names}
            is_inside = f"{source}.".startswith(f"{SETTINGS}.")
            is_whole = (
                bool(names & WHOLE) if is_inside else source == "bunny.core" and ("config" in names)
            )
        else:
            is_whole = False
        found += [node.lineno] if is_whole else []
    return found


def test_no_domain_takes_the_whole_settings():
    domains = _domains()
    assert {"bunny.video", "bunny.library"} <= set(domains)
    found = []
    for name in domains:
        modules = sorted((ROOT / "src" / name.replace(".", "/")).rglob("*.py"))
        assert modules, name
        for path in modules:
            lines = _whole_settings(path.read_text(encoding="utf-8"))
            found += [f"{path.relative_to(ROOT).as_posix()}:{line}" for line in lines]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("from bunny.core.config import Config", [1]),
        ("import os\nfrom bunny.core.config import DetectionConfig, Config", [2]),
        ("from bunny.core import config as configuration", [1]),
        ("import bunny.core.config", [1]),
        ("if TYPE_CHECKING:\n    from bunny.core.config.settings import Config", [2]),
        ("def f():\n    from bunny.core.config import load", [2]),
        ("from bunny.core.config import DetectionConfig, filter_preset", []),
        ("from bunny.core import atomic, image_file", []),
        ("from botocore.config import Config", []),
    ],
)
def test_imports_of_the_whole_settings_are_told_from_sections(text, lines):
    assert _whole_settings(text) == lines

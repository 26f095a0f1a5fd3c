"""Dotted names in docstrings and comments of the package: what they name exists."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

from bunny.core.config.settings import Config
from bunny.table.schema import TABLE

ROOT = Path(__file__).resolve().parents[1] / "src" / "bunny"
FILES = sorted(ROOT.rglob("*.py"))
BACKTICKED = re.compile(
    r"(?<!`)`(?:bunny\.)?([A-Za-z_]\w*)\.([A-Za-z_]\w*)[\w.]*(?:\([^`]*\))?`(?!`)"
)
NUMPY_TYPE = re.compile(r"^ *(?:\w+ : )?([a-z_]\w*)\.([A-Z]\w*)(?:, optional)?$", re.MULTILINE)
FILE_ENDING = {
    "html",
    "json",
    "jsonl",
    "md",
    "parquet",
    "prom",
    "py",
    "safetensors",
    "toml",
    "yaml",
}
FOREIGN = {"adbc_driver_manager", "auth", "dataclasses", "datasets", "diffusers", "imgutils"}
FOREIGN |= {"StatsManager"}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def unknown_names(source: str, members: dict[str, set[str]]) -> list[str]:
    """Dotted names in a module's docstrings and comments that nothing bears."""
    tree = ast.parse(source)
    attributes = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    written = {f"{n.value.id}.{n.attr}" for n in attributes if isinstance(n.value, ast.Name)}
    bound = _bound_names(tree)
    return [
        f"{first}.{second}"
        for text in _docstrings_and_comments(source, tree)
        for first, second in BACKTICKED.findall(text) + NUMPY_TYPE.findall(text)
        if second not in FILE_ENDING | members.get(first, set())
        and f"{first}.{second}" not in written
        and (first in members or first not in bound | FOREIGN)
    ]


def _docstrings_and_comments(source, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | FUNCTION):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def _bound_names(tree):
    """Names that a module imports or binds, in its functions too."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names}
    return names


def _defined(body):
    """Names that statements define, those of a class or under an `if` too."""
    names = set()
    for node in body:
        if isinstance(node, ast.ClassDef | FUNCTION):
            names.add(node.name)
        elif isinstance(node, ast.If):
            names |= _defined(node.body + node.orelse)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        else:
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return names


def _class_members(node):
    own = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and _is_self(n.value)}
    return own | _defined(node.body)


def _is_self(node):
    return isinstance(node, ast.Name) and node.id == "self"


@pytest.fixture
def members():
    """Module, folder, class, table or section of settings -> the names in it."""
    found = defaultdict(set)
    for path in FILES:
        is_folder = path.name == "__init__.py"
        name = path.parent.name if is_folder else path.stem
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name] |= _defined(tree.body)
        found[path.parent.parent.name if is_folder else path.parent.name].add(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name] |= _class_members(node)
    for table, schema in TABLE.items():
        found[table] |= set(schema.column_names())
    for name, field in Config.model_fields.items():
        found[name] |= set(getattr(field.annotation, "model_fields", ()))
    return found


def test_dotted_names_in_docstrings_and_comments_exist(members):
    found = {
        path.relative_to(ROOT).as_posix(): unknown_names(path.read_text(encoding="utf-8"), members)
        for path in FILES
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_a_name_is_unknown_if_its_module_lacks_it_or_there_is_no_such_module():
    source = (
        '"""`cut.find`, `cut.gone(a)`, `former.find`, `np.pi`, `film.json`."""\nimport numpy as np'
    )
    assert unknown_names(source, {"cut": {"find"}}) == ["cut.gone", "former.find"]


def test_a_name_that_the_code_uses_and_a_type_of_a_parameter_are_read():
    source = (
        'def f(cut):\n    """...\n\n    x : cut.Gone\n    """\n    return cut.used  # `cut.used`'
    )
    assert unknown_names(source, {"cut": {"find"}}) == ["cut.Gone"]

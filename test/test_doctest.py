"""Examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _modules_with_examples() -> list[str]:
    paths = sorted(SOURCE.rglob("*.py"))
    found = (p for p in paths if ">>> " in p.read_text(encoding="utf-8"))
    return [".".join(p.relative_to(SOURCE).with_suffix("").parts) for p in found]


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples_give_what_they_show(name):
    module = importlib.import_module(name.removesuffix(".__init__"))
    failed, tried = doctest.testmod(module, optionflags=FLAGS)
    assert tried > 0 and failed == 0

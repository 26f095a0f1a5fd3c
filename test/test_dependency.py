"""What the package imports is declared in pyproject.toml, and what it declares has code."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {"bitsandbytes"}  # of one optimizer; said where it is missing
THROUGH = {  # part of what a declared package gives
    "adbc_driver_manager": "adbc-driver-postgresql",
    "botocore": "boto3",
    "dlib": "dlib-bin",
    "joblib": "scikit-learn",
    "jupyter_server": "jupyterlab",
    "nbclient": "papermill",
    "tokenizers": "transformers",
    "tornado": "jupyterlab",
    "traitlets": "ipywidgets",
}


def _names(requirements: list[str]) -> set[str]:
    return {_plain(re.split(r"[\[<>=;~! ]", one)[0]) for one in requirements}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported() -> set[str]:
    """Top-level modules that the package imports."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"bunny"} - OPTIONAL


def test_imports_are_declared():
    extras = PROJECT["optional-dependencies"].values()
    declared = _names(PROJECT["dependencies"]).union(*(_names(extra) for extra in extras))
    known = packages_distributions()
    undeclared = []
    for module in sorted(_imported()):
        packages = [THROUGH.get(module, module), *known.get(module, [])]
        if not declared & {_plain(name) for name in packages}:
            undeclared.append(module)
    assert undeclared == []


def test_extras_have_code():
    words = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src" / "bunny").rglob("*.py")
    )
    assert [name for name in PROJECT["optional-dependencies"] if name not in words] == []

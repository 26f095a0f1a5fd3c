"""Which module imports which, read from the sources."""

from __future__ import annotations

import ast
from pathlib import Path


def module_name(path: str) -> str:
    """`src/bunny/video/cut.py` is `bunny.video.cut`."""
    return path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: Path) -> set[str]:
    """Names that a file imports from `bunny`: modules, and what may be one."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "bunny"}


def free_of(root: Path, path: str) -> list[str]:
    """Modules of ours that import a module neither themselves nor by others."""
    source = root / "src"
    files = {module_name(p.relative_to(root).as_posix()): p for p in source.rglob("*.py")}
    graph = {name: imports(file) for name, file in files.items() if not name.endswith("__main__")}
    bad, size = {module_name(path)}, 0
    while len(bad) > size:
        size = len(bad)
        bad |= {name for name, used in graph.items() if used & bad}
    return sorted(set(graph) - bad)


def near_tests(root: Path, paths: set[str]) -> list[str]:
    """Test files named after one of the modules; where there are none, those that import it."""
    tests = sorted(
        file
        for file in (root / "test").rglob("test_*.py")
        if file.parent.name not in ("browser", "setting")
    )
    found = set()
    for path in paths:
        stem = f"test_{Path(path).stem}"
        named = [file for file in tests if file.stem == stem or file.stem.startswith(f"{stem}_")]
        found |= set(named or [file for file in tests if module_name(path) in imports(file)])
    return sorted(file.relative_to(root).as_posix() for file in found)

"""Which module imports which, read from the sources."""

from __future__ import annotations

import ast
from pathlib import Path


def module_name(path: str) -> str:
    """`src/bunny/video/shot/cut.py` is `bunny.video.shot.cut`."""
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
    """Test files near modules.

    Of each module the files `test_*_setting.py` that import it; where there are none, those named
    after it and no longer name of a module; where there are none, all that import it.
    """
    tests = sorted(
        file
        for file in (root / "test").rglob("test_*.py")
        if file.parent.name not in ("browser", "setting")
    )
    imported = {file: imports(file) for file in tests}
    stems = {file.stem for file in (root / "src").rglob("*.py")}
    found = set()
    for path in paths:
        name, stem = module_name(path), Path(path).stem
        importing = [file for file in tests if name in imported[file]]
        own = [file for file in importing if file.stem.endswith("_setting")]
        named = [file for file in tests if _named_after(file.stem, stems) == stem]
        found |= set(own or named or importing)
    return sorted(file.relative_to(root).as_posix() for file in found)


def _named_after(test: str, stems: set[str]) -> str:
    """The longest name of a module that a test file's name begins with; empty: none."""
    words = test.removeprefix("test_").split("_")
    names = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    return next((name for name in names if name in stems), "")

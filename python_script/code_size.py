"""Print the size of src/bunny: modules, lines, medians, single importers, long functions."""

import ast
import statistics
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "src" / "bunny"
SMALL = 80  # lines; a smaller module with one importer may be a part of it


def main() -> None:
    files = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}
    modules, functions, importer = [], [], defaultdict(set)
    for module, path in files.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        name = path.relative_to(ROOT).as_posix()
        if path.name != "__init__.py":
            modules.append((len(text.splitlines()), name, module))
        for imported in _imports(tree, set(files)):
            importer[imported].add(module)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                first = node.body[1] if has_docstring and len(node.body) > 1 else node.body[0]
                functions.append((node.end_lineno - first.lineno + 1, f"{name}:{node.name}"))
    sizes = [n for n, _, _ in modules]
    once = [n for n, _, module in modules if len(importer[module]) == 1]
    num_lines = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files.values())
    print(f"{len(files)} files, {len(modules)} of them modules (no __init__), {num_lines} lines")
    print(
        f"modules: median {statistics.median(sizes):.0f} lines, "
        f"{sum(n > 450 for n in sizes)} over 450"
    )
    print(f"one importer: {len(once)}, below {SMALL} lines: {sum(n < SMALL for n in once)}")
    print("largest:", ", ".join(f"{n} {m}" for n, m, _ in sorted(modules)[:-6:-1]))
    median = statistics.median(n for n, _ in functions)
    print(f"{len(functions)} functions, median body {median:.0f} lines (without docstring)")
    print("longest:", ", ".join(f"{n} {f}" for n, f in sorted(functions)[:-6:-1]))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _imports(tree: ast.Module, known: set[str]) -> set[str]:
    """Modules of the package that a module imports, also inside its functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


if __name__ == "__main__":
    main()

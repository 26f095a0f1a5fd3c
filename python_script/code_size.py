"""Print the largest modules, the median function and the longest functions of src/bunny."""

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "src" / "bunny"


def main() -> None:
    modules, functions = [], []
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        modules.append((len(text.splitlines()), name))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                first = node.body[1] if has_docstring and len(node.body) > 1 else node.body[0]
                functions.append((node.end_lineno - first.lineno + 1, f"{name}:{node.name}"))
    print(f"{len(modules)} modules, median {statistics.median(n for n, _ in modules):.0f} lines")
    print("largest:", ", ".join(f"{n} {m}" for n, m in sorted(modules)[:-6:-1]))
    median = statistics.median(n for n, _ in functions)
    print(f"{len(functions)} functions, median body {median:.0f} lines (without docstring)")
    print("longest:", ", ".join(f"{n} {f}" for n, f in sorted(functions)[:-6:-1]))


if __name__ == "__main__":
    main()

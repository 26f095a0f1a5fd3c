"""Mutation testing: do the tests notice a small change of the code?

    uv run --group mutation python python_script/mutate.py log/mutation
    uv run --group mutation python python_script/mutate.py log/mutation --sample 60 --jobs 2
    uv run --group mutation python python_script/mutate.py log/mutation --subject tracks
    uv run python python_script/mutate.py log/mutation --kind wiring --sample 60 --seed 1

Mutants of the logic are mutmut's changes of the modules of the subjects that stand in
`pyproject.toml`, `[tool.bunny.mutation]`, and are tried by the subject's tests. Mutants of the
wiring put a setting's default in a place that reads it; they are tried by the test in which the
setting's effect is seen, and by small test files that name the module and the key.

Each mutant is written into a copy of the repository, where its tests run until one fails; of the
second tier only tests that are named. `<folder>/result.jsonl` has a line for each mutant as soon as
it is tried; at the end `<folder>/survived.md` shows those that no test noticed, and a table is
printed. Counted apart are those whose tests take longer than `--limit`, and those without a test.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutation import wiring
from mutation.mutant import Mutant

ROOT = Path(__file__).resolve().parents[1]
STATES = ("noticed", "survived", "timeout", "no test", "broken")  # broken: fails unchanged too
NO_TESTS = 5  # pytest's exit code where nothing was selected
FAILED = ("FAILED ", "ERROR ")  # lines of pytest that name a test
WORDS = "-m pytest -x -q -n 0 --tb=line -p no:cacheprovider -p no:cov"
PYTEST = [sys.executable, *shlex.split(WORDS), "-p", "mutation.quick"]
PATHS = (str(ROOT / "python_script"),)  # where pytest finds the plugin
Candidate = tuple[str, Callable[[], Mutant | None]]  # the subject, and what makes the mutant


def main() -> None:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    candidates: list[Candidate] = []
    for kind, find in {"logic": _find_logic, "wiring": _find_wiring}.items():
        if kind in (options.kind or ("logic", "wiring")):
            found = find(options)
            print(f"{kind}: {len(found)} changes", flush=True)
            random.Random(options.seed).shuffle(found)
            candidates += found[: options.sample or None]
    with _copies(options.jobs) as copies, ThreadPoolExecutor(options.jobs) as pool:
        bench = Bench(copies, options.limit, options.folder / "result.jsonl")
        rows = list(pool.map(lambda one: bench.attempt(*one), candidates))
    rows = [row for row in rows if row]
    left = [
        f"## {row['path']}:{row['line']} {row['key']}\n\n```diff\n{row['diff']}\n```\n"
        for row in rows
        if row["state"] == "survived"
    ]
    (options.folder / "survived.md").write_text("\n".join(left), encoding="utf-8", newline="\n")
    print(_table(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where results are written")
    parser.add_argument("--kind", action="append", choices=("logic", "wiring"), help="both if none")
    parser.add_argument("--subject", action="append", help="of the logic, only this; may repeat")
    parser.add_argument("--module", default="", help="only files whose path ends so")
    parser.add_argument("--sample", type=int, default=0, help="mutants of a kind (0: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are tried at a time")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds for a mutant")
    return parser.parse_args()


def _find_logic(options: argparse.Namespace) -> list[Candidate]:
    from mutation import change  # needs mutmut

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = []
    for name, subject in tomllib.loads(text)["tool"]["bunny"]["mutation"].items():
        if options.subject and name not in options.subject:
            continue
        for path in (f"src/bunny/{module}" for module in subject["module"]):
            if path.endswith(options.module):
                source = (ROOT / path).read_text(encoding="utf-8")
                found += [(name, one) for one in change.make(path, source, (*subject["test"],))]
    return found


def _find_wiring(options: argparse.Namespace) -> list[Candidate]:
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "test" / "setting")]
    from seen_in import SEEN_IN

    made = wiring.make(ROOT, wiring.read_settings(), SEEN_IN)
    return [("wiring", lambda one=one: one) for one in made if one.path.endswith(options.module)]


@contextlib.contextmanager
def _copies(number: int) -> Iterator[queue.SimpleQueue[Path]]:
    """Copies of all that git knows of, with what was changed since."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for index in range(number):
            root = Path(folder).resolve() / str(index) / "repository"
            for name in filter(None, names.split("\0")):
                if (ROOT / name).is_file():
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, root / name)
            copies.put(root)
        yield copies


class Bench:
    """Tries mutants, each in a copy that no other one is tried in."""

    def __init__(self, copies: queue.SimpleQueue[Path], limit_s: float, result: Path):
        self.copies, self.limit_s, self.result = copies, limit_s, result
        self.is_sound: dict[str, bool] = {}  # by test that failed: whether it passes unchanged

    def attempt(self, subject: str, make: Callable[[], Mutant | None]) -> dict | None:
        """Result of one mutant; None if it cannot be made."""
        one = make()
        if one is None:
            return None
        root, start = self.copies.get(), time.monotonic()
        try:
            before = (root / one.path).read_text(encoding="utf-8")
            self._write(root / one.path, one.source)
            try:
                state, test = self._run(root, one.tests)
            finally:
                self._write(root / one.path, before)
            if state == "noticed":
                if test not in self.is_sound:
                    self.is_sound[test] = self._run(root, (test,))[0] != "noticed"
                state = state if self.is_sound[test] else "broken"
        finally:
            self.copies.put(root)
        row = {"subject": subject, "path": one.path, "line": one.line, "key": one.key}
        row |= {"state": state, "test": test, "seconds": round(time.monotonic() - start, 1)}
        print(f"{state}: {one.path}:{one.line} {one.key} {test}", flush=True)
        row["diff"] = one.diff(before)
        with self.result.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return row

    def _run(self, root: Path, tests: tuple[str, ...]) -> tuple[str, str]:
        """Exit state of the tests, and the first one that failed."""
        paths = os.pathsep.join([str(root / "src"), *PATHS])
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
            command = [*PYTEST, f"--basetemp={root.parent / 'base'}", *tests]
            environment = {**os.environ, **own, "PYTEST_ADDOPTS": ""}
            run = subprocess.Popen(
                command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                code = run.wait(self.limit_s)
            except subprocess.TimeoutExpired:
                return "timeout", ""
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)
                run.wait()
            log.seek(0)
            said = log.read()
        if code in (0, NO_TESTS):
            return ("survived" if code == 0 else "no test"), ""
        failed = [line for line in said.splitlines() if line.startswith(FAILED)]
        return "noticed", failed[0].partition(" ")[2].partition(" - ")[0] if failed else tests[0]

    def _write(self, path: Path, text: str) -> None:
        """Write a source; what Python compiled of the one before goes."""
        path.write_text(text, encoding="utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()


def _table(rows: list[dict]) -> str:
    """Markdown: what became of the mutants of each subject."""
    count: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        for name in {row["subject"], "wiring" if row["key"] else "logic"}:
            count[name][row["state"]] += 1
    lines = [f"| subject | mutants | {' | '.join(STATES)} |", "|---" * (2 + len(STATES)) + "|"]
    for name in sorted(count):
        cells = [name, sum(count[name].values()), *(count[name][state] for state in STATES)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Mutation testing: are the tests of the main subjects' modules sharp enough to notice a change?

    uv run --group mutation python python_script/mutate.py log/mutation
    uv run --group mutation python python_script/mutate.py log/mutation --subject tracks
    uv run --group mutation python python_script/mutate.py log/mutation --module video/shot/fade.py
    uv run --group mutation python python_script/mutate.py log/mutation --sample 60 --seed 1
    uv run --group mutation python python_script/mutate.py log/again --again log/mutation
    uv run --group mutation python python_script/mutate.py log/mutation --wiring 100

Subjects, their modules and their tests stand in `pyproject.toml`, `[tool.bunny.mutation]`. mutmut
makes the mutants; every one is run by those of the tests that call the changed function, in a fork
of a process that has imported the libraries, until a first test fails. Printed is a table of what
was killed; `<folder>/<subject>.md` lists the survivors with their diffs, and
`<folder>/<subject>.json` all mutants. With `--wiring N` the mutants are N places, drawn by the
seed, where a setting is read and its default stands instead; tried by the effect tests of that key
and, where those notice nothing, by tests near the place.

Not mutated are texts for people, annotations, imports and decorators, and arguments that no result
can show (`strict`, `encoding`). A test that starts a process of its own is chosen only if it calls
the function in its own process too. POSIX only, as it forks.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from mutation import change, graph, mutant, trial, wiring

ROOT = trial.ROOT
MOST_SECONDS = 20.0  # of tests for a mutant, the short ones first
EFFECT_SECONDS = 240.0  # a mutant of the wiring: tests that run stages
STATES = ("killed", "timeout", "survived", "not run", "equivalent")


def main() -> None:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    options.folder = options.folder.resolve()
    subjects = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "bunny"
    ]["mutation"]
    trial.warm_up()
    if options.wiring:
        found = {"wiring": _in_copy(lambda root: _measure_wiring(root, options))}
    else:
        found = {
            name: _in_copy(lambda root, n=name, s=subject: _measure(root, n, s, options))
            for name, subject in subjects.items()
            if name in (options.subject or subjects) and options.module in ("", *subject["module"])
        }
    print(_table(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where survivors and results are written")
    parser.add_argument("--subject", action="append", help="only this one of the table; may repeat")
    parser.add_argument("--module", default="", help="only this module, as in video/shot/fade.py")
    parser.add_argument("--sample", type=int, default=0, help="mutants of a module (0: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--again", type=Path, help="folder of an earlier run: only what survived")
    parser.add_argument("--wiring", type=int, default=0, help="places of settings instead")
    tests = ("both", "near", "effects")
    parser.add_argument("--tests", choices=tests, default="both", help="of the wiring")
    parser.add_argument("--project", type=Path, help="a small project that was made before")
    return parser.parse_args()


def _in_copy(work) -> list[dict]:
    """Run in a process of its own, in a fresh copy of the repository."""
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        root = trial.copy_repository(Path(folder).resolve() / "house")

        def run():
            trial.enter(root)
            return work(root)

        log = Path(folder) / "run.txt"
        found, state = trial.in_fork(run, 24 * 3600, log)
        if state != "done":
            raise SystemExit(log.read_text(encoding="utf-8"))
        return found


def _measure(root: Path, name: str, subject: dict[str, list[str]], options) -> list[dict]:
    """Try the mutants of a subject's modules."""
    paths = [f"src/bunny/{m}" for m in subject["module"] if options.module in ("", m)]
    mutants = []
    for path in paths:
        source = (root / path).read_text(encoding="utf-8")
        tree, changes = change.make_changes(source)
        drawn = sorted(_draw(len(changes), options.sample, options.seed))
        mutants += change.build(path, source, tree, [changes[i] for i in drawn])
    log = root.parent / "test.txt"
    reach = trial.find_reach(subject["test"], log, 1200, [f"--basetemp={root.parent / 'base'}"])
    free = [set(graph.free_of(root, path)) for path in paths]
    trial.warm_up(sorted(set.intersection(*free)))
    bench = Bench(root, subject["test"], reach, log, effects=[])
    return bench.try_all(mutants, name, options, options.again)


def _measure_wiring(root: Path, options: argparse.Namespace) -> list[dict]:
    """Try mutants of the wiring."""
    log = root.parent / "wiring.txt"
    defaults, state = trial.in_fork(lambda: vars(wiring.read_settings()), 60, log)
    if state != "done":
        raise SystemExit(log.read_text(encoding="utf-8"))
    every = wiring.make(root, wiring.Settings(**defaults))
    os.write(trial.TERMINAL, f"{len(every)} places where settings are read\n".encode())
    mutants = [every[i] for i in sorted(_draw(len(every), options.wiring, options.seed))]
    os.environ["PYTEST_XDIST_WORKER"] = "gw0"  # the small project is made once, beside `base`
    found, again = [], options.again
    if options.tests != "near":
        _make_project(root.parent / "project", options.project, log)
        trial.warm_up(trial.TRAINING)
        _make_drawn(root.parent, log)
        effects = sorted(map(str, (root / "test" / "setting").glob("test_effect_*.py")))
        found = Bench(root, [], [], log, effects).try_all(mutants, "wiring", options, again)
        again = options.folder
    if options.tests != "effects":
        killed = _killed_before(again, "wiring")
        places = {same[:3] for same in killed}
        left = {one.path for one in mutants if (one.path, one.line, one.key) not in places}
        files = graph.near_tests(root, left)
        reach = trial.find_reach(files, log, 3600, [f"--basetemp={root.parent / 'base'}"])
        found = Bench(root, files, reach, log, []).try_all(mutants, "wiring", options, again)
    return found


def _make_project(folder: Path, made: Path | None, log: Path) -> None:
    """The small project of `test/common`, by the code as it is; tests of mutants only read it.

    It is made in a process of its own: what torch and Polars start there, forks would wait for.
    """

    def make():
        import small_project

        small_project.make(folder)

    if made is not None:
        shutil.copytree(made, folder)
    elif trial.in_fork(make, 3600, log)[1] != "done":
        raise SystemExit(log.read_text(encoding="utf-8"))


def _make_drawn(folder: Path, log: Path) -> None:
    """The film of the rows of training, by the code as it is: forks find it beside `base`."""
    rows = ["test/setting/test_effect_training.py", "-k", "models.learning_rate"]

    def make():
        return trial.run_pytest([*rows, f"--basetemp={folder / 'base'}"])

    if trial.in_fork(make, 3600, log) != (0, "done"):
        raise SystemExit(log.read_text(encoding="utf-8"))


def _draw(total: int, count: int, seed: int) -> list[int]:
    every = list(range(total))
    return random.Random(seed).sample(every, count) if 0 < count < total else every


class Bench:
    """Mutants and the tests that are run on them."""

    def __init__(self, root: Path, files: list[str], reach: list[trial.Reach], log, effects):
        self.root, self.reach, self.log = root, reach, log
        self.files, self.effects = [*files, *effects], effects
        self.number = 0  # of the change of a file
        self.option = f"--basetemp={root.parent / 'base'}"

    def try_all(self, mutants: list[mutant.Mutant], name: str, options, again) -> list[dict]:
        """What became of every mutant; first the quick way, then what has to go the slow way."""
        killed, self.folder = _killed_before(again, name), options.folder
        rows = [self._row(one) for one in mutants]
        rows = [killed.get(_same(row), row) for row in rows]
        quick = [i for i, one in enumerate(mutants) if one.first_line and "state" not in rows[i]]
        if quick:
            found, state = trial.in_fork(
                lambda: self._try_quick([mutants[i] for i in quick], name), 24 * 3600, self.log
            )
            if state != "done":
                raise SystemExit(self.log.read_text(encoding="utf-8", errors="replace"))
            for i, more in zip(quick, found, strict=True):
                if more.get("state") != "timeout":  # a fork may hang in a lock: tried once more
                    rows[i] |= more
        self.number = 1_000_000
        for i, one in enumerate(mutants):
            if "state" not in rows[i]:
                rows[i] |= self._try_slow(one)
                self._note(one, rows[i], name)
                _say(rows, len(rows), name)
        _write(options.folder, name, rows)
        return rows

    def _note(self, one: mutant.Mutant, row: dict, name: str) -> None:
        """Put down at once what came of a mutant; a run that is stopped leaves this much."""
        line = {"path": one.path, "line": one.line, "key": one.key, **row}
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _row(self, one: mutant.Mutant) -> dict:
        before = (self.root / one.path).read_text(encoding="utf-8")
        row = {"path": one.path, "line": one.line, "key": one.key, "diff": one.diff(before)}
        why = wiring.EQUIVALENT.get((one.path, one.key))
        if why:
            return row | {"state": "equivalent", "seconds": 0.0, "num_tests": 0, "why": why}
        is_run = self._near(one) or (one.key and self.effects)
        return row if is_run else row | {"state": "not run", "seconds": 0.0, "num_tests": 0}

    def _near(self, one: mutant.Mutant) -> list[trial.Reach]:
        return trial.choose(self.reach, one.path, one.first_line, MOST_SECONDS)

    def _try_quick(self, mutants: list[mutant.Mutant], name: str) -> list[dict]:
        """Collect all tests once, and try every mutant in a fork."""

        def work(session):
            functions = trial.functions_by_file(self.root)
            gc.collect()
            gc.freeze()
            first = next((one for one in mutants if self._items(session, one)), mutants[0])
            whole = (self.root / first.path).read_text(encoding="utf-8")
            first = replace(first, source=whole)  # a fork may import the module only now
            if self._fork(session, first, [])["state"] not in ("survived", "not run"):
                return [{} for _ in mutants]  # tests fail in a fork without a mutant
            rows = []
            for one in mutants:
                rows.append(self._fork(session, one, functions[one.path]))
                _say(rows, len(mutants), name)
                self._note(one, rows[-1], name)
            return rows

        plugin = trial.Collected(work)
        self.plugin = plugin
        trial.run_pytest([*self.files, "-x", self.option], plugin)
        return plugin.result

    def _items(self, session, one: mutant.Mutant) -> list:
        """The collected tests of a mutant."""
        return trial.pick(session.items, {row.test for row in self._near(one)}, one.key)

    def _fork(self, session, one: mutant.Mutant, functions: list) -> dict:
        """Try a mutant in a fork of the process that has collected; no functions: no mutant."""
        near, items = self._near(one), self._items(session, one)

        def work():
            if functions:
                path = str(self.root / one.path)
                trial.exchange(functions, one.source, path)
            trial.run_collected(session, items)
            return [bool(self.plugin.failed), len(items), self.plugin.failed]

        return self._judge(one, near, work)

    def _try_slow(self, one: mutant.Mutant) -> dict:
        """Run pytest in a fork of a process that has not imported the module."""
        near = self._near(one)
        only = trial.Only({row.test for row in near}, one.key)
        arguments = [*sorted({row.file for row in near}), *self.effects, "-x", self.option]

        def work():
            code = trial.run_pytest(arguments, only)
            return [code not in (0, 5), only.num_tests, only.failed or f"pytest ended with {code}"]

        return self._judge(one, near, work)

    def _judge(self, one: mutant.Mutant, near: list[trial.Reach], work) -> dict:
        self.number += 1
        limit = 40 + 5 * sum(row.seconds for row in near) + EFFECT_SECONDS * bool(self.effects)
        start = time.monotonic()
        with trial.changed(self.root / one.path, one.source, self.number):
            found, state = trial.in_fork(work, limit, self.log.with_stem(f"{self.log.stem}-one"))
        is_failed, count, why = found or [True, 0, "the process ended"]
        if state != "timeout":
            state = "killed" if is_failed else "survived" if count else "not run"
        seconds = round(time.monotonic() - start, 2)
        return {"state": state, "seconds": seconds, "num_tests": count, "why": why}


def _killed_before(folder: Path | None, name: str) -> dict[tuple, dict]:
    """Mutants that an earlier run killed; they are not tried again."""
    if folder is None:
        return {}
    rows = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return {_same(row): row for row in rows if row["state"] in ("killed", "timeout")}


def _same(row: dict) -> tuple:
    return row["path"], row["line"], row["key"], row["diff"]


def _say(found: list[dict], total: int, name: str) -> None:
    count = Counter(row.get("state", "waiting") for row in found)
    if len(found) % 20 == 0 or len(found) == total:
        os.write(trial.TERMINAL, f"{name}: {len(found)}/{total} {dict(count)}\n".encode())


def _write(folder: Path, name: str, found: list[dict]) -> None:
    """All mutants as JSON, the survivors as text."""
    (folder / f"{name}.json").write_text(
        json.dumps(found, indent=1), encoding="utf-8", newline="\n"
    )
    left = [row for row in found if row["state"] in ("survived", "not run")]
    text = [
        f"## {row['path']}:{row['line']} {row['key']}\n\n"
        f"{row['state']} ({row['num_tests']} tests)\n\n"
        f"```diff\n{row['diff']}\n```\n"
        for row in left
    ]
    (folder / f"{name}.md").write_text("\n".join(text), encoding="utf-8", newline="\n")


def _table(found: dict[str, list[dict]]) -> str:
    """The markdown table: a row a module and a subject, and what share was killed."""
    lines = [
        "| subject | module | mutants | killed | timed out | survived | not run | equivalent "
        "| killed % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in found.items():
        modules = [] if name == "wiring" else list(dict.fromkeys(row["path"] for row in rows))
        for path in modules:
            of_module = [row for row in rows if row["path"] == path]
            lines.append(_line(name, path.removeprefix("src/bunny/"), of_module))
        if len(modules) != 1:
            lines.append(_line(f"**{name}**", "all", rows))
    return "\n".join(lines)


def _line(name: str, module: str, found: list[dict]) -> str:
    count = Counter(row["state"] for row in found)
    share = (count["killed"] + count["timeout"]) / max(1, len(found) - count["equivalent"])
    cells = [name, module, len(found), *(count[state] for state in STATES), f"{share:.0%}"]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    sys.exit(main())

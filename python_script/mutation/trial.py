"""Tests run against mutants: which tests reach what, and running them in forks.

All happens in a copy of the repository, in which the file of a mutant is changed while its tests
run, so that processes that tests start see the mutant too. The quick way is a fork of a process
that has collected all tests already: there the functions of the module get the mutant's code. The
slow way, for what runs while a module is imported, is a fork of one that has imported the
libraries and such modules of ours as do not need the changed one.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import types
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from _pytest import main as pytest_main

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("src", "test", "config", "notebook", "python_script", "pyproject.toml", "README.md")
HEAVY = ("pytest", "hypothesis", "numpy", "polars", "dataframely", "pydantic", "cv2", "av")
HEAVIER = ("torch", "safetensors.torch", "sklearn.cluster", "PIL.Image", "tqdm.auto", "scipy.fft")
TRAINING = (  # what stages from finetune on import: 15 seconds of a CPU, in every fork anew
    "diffusers.optimization",
    "diffusers.training_utils",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "transformers.models.clip.modeling_clip",
    "peft",
)
OPTIONS = (
    "-q",
    "-p",
    "no:cacheprovider",
    "--tb=line",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)
SETTINGS_OF_A_TEST = "_hypothesis_internal_use_settings"  # there is no public way to change them
MEMORY_BYTES = 6 * 2**30  # a mutant that collects without end is stopped
TERMINAL = os.dup(2)  # progress is written here from forks too
FIRST_TIME = (
    1_000_000_000  # of a changed file; each later one is a second later, as Python compares
)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What one test runs, and how long it takes."""

    test: str
    file: str
    seconds: float
    functions: frozenset[tuple[str, int]]  # file under the repository, first line


def copy_repository(folder: Path) -> Path:
    """A copy of what tests need, without git, data and checkpoints."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


def enter(folder: Path) -> None:
    """Go into a copy, and let this process and those that it starts import from there."""
    os.chdir(folder)
    paths = [folder / "src", folder / "test" / "common", folder / "test" / "setting"]
    ours = (str(ROOT / "src"), str(ROOT / "test"))
    sys.path[:] = [*map(str, paths), *(p for p in sys.path if not p.startswith(ours))]
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, paths))


def warm_up(modules: Iterable[str] = ()) -> None:
    """Import the libraries and the modules named.

    OpenMP reads how many threads to start when torch is imported; a fork of a process that has
    more than one waits for the others forever.
    """
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*HEAVY, *HEAVIER, *modules):
            importlib.import_module(name)


def in_fork(work: Callable[[], object], limit_s: float, log: Path) -> tuple[object, str]:
    """Run a function in a forked process; what it returned, and `done`, `failed` or `timeout`."""
    answer = log.with_suffix(".json")
    answer.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        child = os.fork()
    if not child:
        _be_child(work, answer, log)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            _end_group(child)
            is_there = answer.exists()
            return (
                (json.loads(answer.read_text(encoding="utf-8")), "done")
                if is_there
                else (None, "failed")
            )
        time.sleep(0.01)
    _end_group(child)
    os.waitpid(child, 0)
    return None, "timeout"


def find_reach(files: list[str], log: Path, limit_s: float, arguments: list[str]) -> list[Reach]:
    """Run tests once on the code as it is; which functions of `src` each of them calls."""

    def work():
        plugin = _Reaching()
        code = run_pytest([*files, *arguments], plugin)
        return [int(code), plugin.rows()]

    found, state = in_fork(work, limit_s, log)
    if state != "done" or found[0] not in (0, 5):
        last = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-20:])
        raise SystemExit(f"the tests fail without a mutant ({state}):\n{last}")
    return [
        Reach(
            test=row["test"],
            file=row["test"].split("::")[0],
            seconds=row["seconds"],
            functions=frozenset((path, line) for path, line in row["functions"]),
        )
        for row in found[1]
    ]


def choose(reach: list[Reach], path: str, first_line: int, most_s: float) -> list[Reach]:
    """Tests that call the function (line 0: anything of the file), the short ones first."""
    near = [
        row
        for row in reach
        if (path, first_line) in row.functions
        or (not first_line and any(file == path for file, _ in row.functions))
    ]
    chosen, total = [], 0.0
    for row in sorted(near, key=lambda row: row.seconds):
        total += row.seconds
        if chosen and total > most_s:
            break
        chosen.append(row)
    return chosen


def run_pytest(arguments: list[str], *plugins: object) -> int:
    """One run of pytest in this process."""
    return int(pytest.main([*OPTIONS, *arguments], plugins=plugins))


@contextlib.contextmanager
def changed(path: Path, text: str, number: int):
    """A file with other contents for a while, and a time that differs for every number."""
    before = path.read_text(encoding="utf-8")
    try:
        _write(path, text, number)
        yield
    finally:
        _write(path, before, number + 500_000_000)


class Only:
    """Of what pytest collects, leave some tests."""

    def __init__(self, tests: set[str], key: str = ""):
        self.tests, self.key = tests, key
        self.num_tests, self.failed = 0, ""

    def pytest_collection_modifyitems(self, items):
        items[:] = pick(items, self.tests, self.key)
        stop_at_first_example(items)
        self.num_tests = len(items)

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failed:
            self.failed = f"{report.nodeid}: {_last_line(report)}"


class Collected:
    """After pytest has collected tests, `work` is called instead of running them."""

    def __init__(self, work: Callable[[object], object]):
        self.work, self.result, self.failed = work, None, ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        stop_at_first_example(session.items)
        self.result = self.work(session)
        return True

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failed:
            self.failed = f"{report.nodeid}: {_last_line(report)}"


def stop_at_first_example(items: list) -> None:
    """Let tests by hypothesis fail at once, without a search for the smallest example."""
    for item in items:
        test = getattr(item, "obj", None)
        if getattr(test, "is_hypothesis_test", False):
            before = getattr(test, SETTINGS_OF_A_TEST, None) or hypothesis.settings.default
            phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
            quick = hypothesis.settings(before, phases=phases, database=None)
            setattr(getattr(test, "__func__", test), SETTINGS_OF_A_TEST, quick)


def pick(items: list, tests: set[str], key: str) -> list:
    """The chosen of the collected tests, and the effect tests of a setting."""

    return [item for item in items if item.nodeid in tests or (key and f"[{key}]" in item.nodeid)]


def run_collected(session, items: list) -> None:
    """Run some of the collected tests."""
    session.items = items
    with contextlib.suppress(session.Failed, session.Interrupted):
        pytest_main.pytest_runtestloop(session)


def functions_by_file(root: Path) -> dict[str, list[types.FunctionType]]:
    """Every living function of our sources that is no closure, by file under the repository."""
    base, found = str(root) + os.sep, defaultdict(list)
    for value in gc.get_objects():
        if type(value) is types.FunctionType and "<locals>" not in value.__code__.co_qualname:
            name = value.__code__.co_filename
            if name.startswith(base + "src"):
                found[name.removeprefix(base)].append(value)
    return found


def exchange(functions: list[types.FunctionType], source: str, path: str) -> None:
    """Let the functions of a module do what another source of it says."""
    new = {}
    waiting = [compile(source, path, "exec")]
    while waiting:
        code = waiting.pop()
        new[code.co_qualname] = code
        waiting += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    for function in functions:
        code = new.get(function.__code__.co_qualname)
        if code is not None and len(code.co_freevars) == len(function.__code__.co_freevars):
            function.__code__ = code


class _Reaching:
    """Which functions are called while a test or a fixture that it uses runs."""

    def __init__(self):
        self.base = str(Path.cwd() / "src") + os.sep
        self.calls: dict[str, set] = defaultdict(set)
        self.seconds: dict[str, float] = defaultdict(float)
        self.fixtures: dict[str, list[str]] = {}
        self.now = ""
        self.names: dict[str, str | None] = {}

    def pytest_sessionstart(self):
        sys.settrace(self._trace)
        threading.settrace(self._trace)

    def pytest_sessionfinish(self):
        sys.settrace(None)
        threading.settrace(None)

    def pytest_runtest_logstart(self, nodeid):
        self.now = nodeid

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration

    def pytest_itemcollected(self, item):
        self.fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        """Calls within a fixture that several tests share belong to all who use it."""
        before = self.now
        if fixturedef.scope != "function":
            self.now = f"fixture {fixturedef.argname}"
        try:
            return (yield)
        finally:
            self.now = before

    def rows(self) -> list[dict]:
        found = []
        for test, seconds in self.seconds.items():
            functions = set(self.calls[test])
            for name in self.fixtures.get(test, ()):
                functions |= self.calls.get(f"fixture {name}", set())
            found.append({"test": test, "seconds": seconds, "functions": sorted(functions)})
        return found

    def _trace(self, frame, event, _):
        name = frame.f_code.co_filename
        if name not in self.names:
            self.names[name] = (
                "src/" + name[len(self.base) :] if name.startswith(self.base) else None
            )
        if self.names[name] is not None:
            self.calls[self.now].add((self.names[name], frame.f_code.co_firstlineno))
        return None


def _last_line(report) -> str:
    return str(report.longrepr).strip().splitlines()[-1][:200] if report.longrepr else ""


def _be_child(work: Callable[[], object], answer: Path, log: Path) -> None:
    """What a forked process does, and then ends without the parent's clean-up."""
    import resource  # POSIX alone has it, as it has forks

    os.setsid()
    with log.open("w", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        answer.write_text(json.dumps(work()), encoding="utf-8")
    except BaseException:  # noqa: BLE001 - the parent sees that there is no answer
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)


def _end_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _write(path: Path, text: str, number: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (FIRST_TIME + number, FIRST_TIME + number))

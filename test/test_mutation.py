"""What `mutate.py` is made of, on sources made here; what mutmut makes is mutmut's."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "python_script"


@pytest.fixture
def parts(monkeypatch):
    """The modules of `python_script/mutation` that need no tool beside."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    names = ("graph", "mutant", "trial", "wiring")
    yield types.SimpleNamespace(**{n: importlib.import_module(f"mutation.{n}") for n in names})
    for name in [name for name in sys.modules if name.split(".")[0] == "mutation"]:
        del sys.modules[name]


SOURCE = """
from bunny.core.config import Detection


def look(config, limit, seed):
    near = config.detection.min_face_px + config.seed
    wanted, other = config.detection, 3
    return find(wanted.recogniser, near, extra_px=limit, seed=seed, min_face_px=other)


def find(detection: Detection, min_face_px, setting):
    share = {"é": setting.min_face_px, "b": setting.batch_size}
    return rest(detection.recogniser, share, min_face_px=min_face_px)
"""


def _tree(folder, **files):
    for name, text in files.items():
        path = folder / "src" / "bunny" / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_places_where_settings_are_read(parts, tmp_path):
    """`batch_size` belongs to two sections, and `extra_px` to none: they are left alone."""
    defaults = {
        "": {"seed": 7},
        "detection": {"min_face_px": 24, "recogniser": "auto", "batch_size": 1},
        "models": {"batch_size": 2},
    }
    settings = parts.wiring.Settings(defaults, {"Detection": "detection", "Models": "models"})
    made = parts.wiring.make(_tree(tmp_path, a=SOURCE, config__a=SOURCE, cli__a=SOURCE), settings)
    assert {one.path for one in made} == {"src/bunny/a.py"}
    found = [(one.line, one.first_line, one.key) for one in made]
    assert sorted(found) == [
        (6, 5, "detection.min_face_px"),
        (6, 5, "seed"),
        (8, 5, "detection.recogniser"),
        (12, 11, "detection.min_face_px"),
        (13, 11, "detection.min_face_px"),
        (13, 11, "detection.recogniser"),
    ]
    lines = {line for one in made for line in one.diff(SOURCE).splitlines()}
    assert '+    share = {"é": 24, "b": setting.batch_size}' in lines
    assert (
        "+    near = 24 + config.seed" in lines
        and "+    near = config.detection.min_face_px + 7" in lines
    )
    assert "+    return rest(detection.recogniser, share, min_face_px=24)" in lines


def test_settings_are_those_of_the_classes(parts):
    from bunny.core.config import Config

    found = parts.wiring.read_settings()
    assert found.defaults["filtering"] == Config().filtering.model_dump()
    assert found.defaults[""] == {"seed": 0} and found.classes["DetectionConfig"] == "detection"
    assert found.owner("min_face_px") == "detection" and found.owner("batch_size") is None


def test_modules_that_do_not_need_a_changed_one(parts, tmp_path):
    root = _tree(
        tmp_path,
        a="x = 1",
        b="from bunny import a",
        c="def f():\n    from bunny.b import x",
        d="import os",
    )
    assert parts.graph.free_of(root, "src/bunny/a.py") == ["bunny.d"]
    assert parts.graph.free_of(root, "src/bunny/d.py") == ["bunny.a", "bunny.b", "bunny.c"]


def test_living_functions_do_what_other_source_says(parts, tmp_path):
    before = """
class A:
    def f(self):
        return 1

def g(x=2):
    return [x for _ in 'ab']
"""
    path = _tree(tmp_path, m=before) / "src" / "bunny" / "m.py"
    spec = importlib.util.spec_from_file_location("made_for_this_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept, one = module.g, module.A()  # as another module holds them
    functions = parts.trial.functions_by_file(tmp_path)["src/bunny/m.py"]
    assert {function.__name__ for function in functions} == {"f", "g"}
    after = before.replace("return 1", "return 3").replace("return [x", "return [x + 1")
    parts.trial.exchange(functions, after, str(path))
    assert (one.f(), kept()) == (3, [3, 3])


def test_tests_are_chosen_by_the_function_and_the_short_ones_come_first(parts):
    def reach(test, seconds, *functions):
        return parts.trial.Reach(
            test=test, file="f", seconds=seconds, functions=frozenset(functions)
        )

    rows = [
        reach("slow", 9.0, ("a.py", 5)),
        reach("quick", 1.0, ("a.py", 5), ("b.py", 1)),
        reach("other", 0.5, ("a.py", 9)),
    ]

    def chosen(*where):
        return [row.test for row in parts.trial.choose(rows, *where)]

    assert chosen("a.py", 5, 20) == ["quick", "slow"]
    assert chosen("a.py", 5, 5) == ["quick"]
    assert chosen("a.py", 0, 20) == ["other", "quick", "slow"]  # outside of functions: all
    assert chosen("b.py", 5, 20) == []


NESTED = """x = 1
@d
def f():
    y = 2
    def g():
        return y
    return g

z = 3
"""


@pytest.mark.parametrize(
    ("line", "first"), [(1, 0), (3, 0), (4, 2), (5, 2), (6, 5), (7, 2), (9, 0)]
)
def test_where_the_function_around_a_line_begins(parts, line, first):
    assert parts.mutant.starts(NESTED)(line) == first


def test_places_that_change_no_result_are_places_still(parts):
    """What is listed as equivalent is read somewhere, and has a reason."""
    made = parts.wiring.make(SCRIPTS.parent, parts.wiring.read_settings())
    assert set(parts.wiring.EQUIVALENT) <= {(one.path, one.key) for one in made}
    assert all(parts.wiring.EQUIVALENT.values())


def test_tests_of_settings_stand_for_a_module_then_those_of_its_name(parts, tmp_path):
    """`test_job_set` is named after `job_set`, so it is not near `job`; nothing is near `lone`."""
    _tree(tmp_path, job="", job_set="", view="", lone="")
    texts = {
        "test_job.py": "",
        "test_job_more.py": "",
        "test_job_set.py": "from bunny import job, view",
        "test_any_setting.py": "from bunny import view",
        "setting/test_view.py": "from bunny import view, lone",
    }
    for name, text in texts.items():
        path = tmp_path / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    near = {
        stem: parts.graph.near_tests(tmp_path, {f"src/bunny/{stem}.py"})
        for stem in ("job", "job_set", "view", "lone")
    }
    assert near == {
        "job": ["test/test_job.py", "test/test_job_more.py"],
        "job_set": ["test/test_job_set.py"],
        "view": ["test/test_any_setting.py"],
        "lone": [],
    }

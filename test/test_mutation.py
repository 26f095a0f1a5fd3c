"""What `mutate.py` is made of, on sources made here; what mutmut makes is mutmut's."""

import json
import queue
import sys
import tomllib
from pathlib import Path

import mutate
import pytest
from mutation import wiring
from mutation.mutant import Mutant

SOURCE = """
from bunny.core.config import DetectionConfig


def look(config, limit):
    near = config.detection.min_face_px + config.seed
    wanted, other = config.detection, 3
    return find(wanted.recogniser, near, extra_px=limit, min_face_px=other)


def find(detection: DetectionConfig, min_face_px, setting):
    share = {"é": detection.min_face_px, "b": setting.min_face_px}
    return share, detection.model.name, min_face_px
"""


def test_places_where_settings_are_read(tmp_path):
    """What a section is read from is told by `config`, an annotation or an assignment alone."""
    defaults = {
        "": {"seed": 7},
        "detection": {"min_face_px": 24, "recogniser": "auto"},
        "detection.model": {"name": ""},
    }
    settings = wiring.Settings(defaults, {"DetectionConfig": "detection"})
    for path in ("src/bunny/a.py", "src/bunny/core/config/a.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(SOURCE, encoding="utf-8")
    made = wiring.make(tmp_path, settings, {"seed": "test/test_a.py::test_seed"})
    assert {one.path for one in made} == {"src/bunny/a.py"}
    assert sorted((one.line, one.key) for one in made) == [
        (6, "detection.min_face_px"),
        (6, "seed"),
        (8, "detection.recogniser"),
        (12, "detection.min_face_px"),
        (13, "detection.model.name"),
    ]
    lines = {line for one in made for line in one.diff(SOURCE).splitlines()}
    assert '+    share = {"é": 24, "b": setting.min_face_px}' in lines
    assert "+    near = config.detection.min_face_px + 7" in lines
    tests = {one.key: one.tests for one in made}
    assert tests["seed"] == ("test/test_a.py::test_seed",)
    assert tests["detection.recogniser"] == (f"{wiring.ROWS}[detection.recogniser]",)


def test_settings_are_those_of_the_classes():
    from bunny.core.config import Config

    found = wiring.read_settings()
    assert found.defaults["filtering"] == Config().filtering.model_dump()
    assert found.defaults[""] == {"seed": 0} and found.classes["DetectionConfig"] == "detection"
    assert found.defaults["captioning.local"]["model"] == ""
    assert len(wiring.make(mutate.ROOT, found, {})) > 300


def test_tests_near_a_place_import_the_module_and_have_the_word():
    texts = {
        "test/test_long.py": "from bunny.video import cut\nmin_px = 1" + "#" * 50,
        "test/test_short.py": "import bunny.video.cut\nmin_px = 1",
        "test/test_other.py": "min_px",
        "test/setting/test_a.py": "min_px",
    }
    near = wiring.near_tests(texts, "src/bunny/video/cut.py", "min_px")
    assert near == ["test/test_short.py", "test/test_long.py"]
    assert wiring.near_tests(texts, "src/bunny/a.py", "min_px")[0] == "test/test_other.py"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A repository of one function with two tests, one of which fails anyhow."""
    root = tmp_path / "copy" / "repository"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("def f():\n    return 1\n", encoding="utf-8")
    own = "import a\n\n\ndef test_a():\n    assert a.f() < 3\n"
    (root / "test_a.py").write_text(own, encoding="utf-8")
    (root / "test_b.py").write_text("def test_b():\n    assert False\n", encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\nmarkers = slow\n", encoding="utf-8")
    plugins = [mutate.ROOT / "python_script", *sys.path]
    monkeypatch.setattr(mutate, "PATHS", tuple(map(str, plugins)))
    copies = queue.SimpleQueue()
    copies.put(root)
    return mutate.Bench(copies, 60, tmp_path / "result.jsonl")


def test_what_becomes_of_a_mutant_is_written_at_once(bench, tmp_path):
    def state(value, *tests):
        source = f"def f():\n    return {value}\n"
        one = Mutant(path="src/a.py", line=2, source=source, tests=tests)
        return bench.attempt("a", lambda: one)["state"]

    assert state(2, "test_a.py") == "survived"
    assert state(3, "test_a.py") == "noticed"
    assert state(3, "test_b.py") == "broken"
    assert bench.attempt("a", lambda: None) is None
    rows = [json.loads(line) for line in (tmp_path / "result.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["survived", "noticed", "broken"]
    assert rows[1]["test"] == "test_a.py::test_a" and "+    return 3" in rows[1]["diff"]
    assert "return 1" in (Path(bench.copies.get()) / "src" / "a.py").read_text()


def test_files_of_the_subjects_are_there():
    text = (mutate.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for subject in tomllib.loads(text)["tool"]["bunny"]["mutation"].values():
        files = [*(f"src/bunny/{module}" for module in subject["module"]), *subject["test"]]
        assert [file for file in files if not (mutate.ROOT / file).exists()] == []

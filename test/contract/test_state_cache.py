"""States of stages that are kept: what makes them look again, and what does not."""

import os
import subprocess
import sys

import pytest

from bunny.contract import state_cache
from bunny.contract.result import StageState
from bunny.core import workspace
from bunny.core.config import Config

DONE = StageState(
    name="extract", state="done", why="", progress=1.0, rows=3, seconds=0.5, finished_at="now"
)


@pytest.fixture
def space(tmp_path):
    made = workspace.locate(tmp_path, str(tmp_path / "own"), "film-00000000")
    for folder in ("stage/extract", "table", "frame"):
        (made.root / folder).mkdir(parents=True)
    (made.root / "table" / "frame.parquet").write_bytes(b"four")
    return made


def test_states_are_kept_under_their_stamp(space):
    state_cache.write(space, "one", [DONE])
    assert state_cache.read(space, "one") == [DONE]
    assert state_cache.read(space, "other") is None


@pytest.mark.parametrize("text", ["", "[]", '{"stamp": "one"}', '{"stamp":"one","states":[{}]}'])
def test_a_damaged_cache_is_none(space, text):
    (space.root / "stage" / state_cache.FILE).write_text(text)
    assert state_cache.read(space, "one") is None


@pytest.mark.parametrize("what", ["content", "new", "gone", "replaced", "checkpoint", "setting"])
def test_whatever_a_state_follows_from_gives_another_stamp(space, what):
    before, config = state_cache.stamp(space, Config()), Config()
    table = space.root / "table" / "frame.parquet"
    stat = table.stat()
    if what == "content":  # of the same size, and the time put back
        table.write_bytes(b"five")
        os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    if what == "new":
        (space.root / "frame" / "0.jpg").write_bytes(b"")
    if what == "gone":
        table.unlink()
    if what == "replaced":
        other = table.with_name("other")
        other.write_bytes(b"four")
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        other.replace(table)
    if what == "checkpoint":
        space.checkpoint.mkdir(parents=True)
        (space.checkpoint / "adapter.safetensors").write_bytes(b"x")
    if what == "setting":
        config = Config.model_validate({"extraction": {"quality": 90}})
    assert state_cache.stamp(space, config) != before


def test_a_base_model_in_a_folder_counts(space, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    config = Config.model_validate({"models": {"base_model": str(base)}})
    before = state_cache.stamp(space, config)
    (base / "model.safetensors").write_bytes(b"x")
    assert state_cache.stamp(space, config) != before


def test_what_no_stage_reads_leaves_the_stamp(space):
    before = state_cache.stamp(space, Config())
    for file in (".lock", "report.html", "stage/hash.json"):
        (space.root / file).write_text("x")
    state_cache.write(space, before, [DONE])
    assert state_cache.stamp(space, Config()) == before


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    space = workspace.locate(tmp_path, str(tmp_path / "own"), "film-00000000")
    space.root.mkdir(parents=True)
    (space.root / "stage").write_text("a file where a folder should be")
    state_cache.write(space, "one", [DONE])
    assert state_cache.read(space, "one") is None


def test_reading_the_cache_imports_no_tables():
    """Schemas and Polars take most of the half second in which a finished film is told."""
    code = "import sys; from bunny.contract import state_cache; assert 'polars' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

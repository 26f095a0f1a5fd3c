"""Stage extract after a setting that only decides was changed: as a full extract, but cheap."""

import shutil

import mixed_film
import mortal_extract
import pytest

from bunny.core import workspace
from bunny.core.config import Config
from bunny.quality.measure import measure_frame
from bunny.stage.extract import FINISHED, Extract
from bunny.table import store
from bunny.video.image_writer import FrameWriter

pytestmark = pytest.mark.slow

TABLES = ("film", "shot", "change", "frame", "measure")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return mixed_film.write(tmp_path_factory.mktemp("film") / "mixed.mkv")


def _stage(folder, film, kind=Extract, pipeline=None, **extraction):
    space = workspace.create(folder, "data", film, None)
    sections = {"extraction": extraction, "pipeline": {"shard_size": 9, **(pipeline or {})}}
    return kind(Config.model_validate(sections), space.root, space.root)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory, film):
    """A folder in which the film was extracted with the default settings."""
    folder = tmp_path_factory.mktemp("first")
    _stage(folder, film).execute()
    return folder


@pytest.fixture
def extracted(tmp_path, first_run, film):
    """The stage in a folder of the test's own, `again`, where it was run once."""
    shutil.copytree(first_run, tmp_path / "again")
    stage = _stage(tmp_path / "again", film)
    assert stage.can_resume()
    return stage


def _left(stage):
    """Tables and bytes of the pictures that the stage left for others."""
    tables = {name: store.read(stage.output_dir / "table", name) for name in TABLES}
    return tables, {p.name: p.read_bytes() for p in (stage.output_dir / "frame").iterdir()}


def _check_same(one, two):
    (tables, pictures), (other_tables, other_pictures) = _left(one), _left(two)
    for name in TABLES:
        assert tables[name].equals(other_tables[name], null_equal=True), name
    assert pictures == other_pictures


class _Watched(Extract):
    """Notes whether the whole film is decoded, and which pictures are written."""

    def __init__(self, *args):
        super().__init__(*args)
        self.written, self.num_full = [], 0

    def _fill(self, *args):
        self.num_full += 1
        return super()._fill(*args)

    def _writer(self, info):
        stage = self

        class Noting(FrameWriter):
            def write(self, frame, crop=None):
                stage.written.append(frame.index)
                return super().write(frame, crop)

        return Noting(self.output_dir / "frame", info, self.config.extraction, measure_frame)


CHANGES = [
    {"cut_threshold": 0.5},
    {"cut_threshold": 2.0},
    {"cut_threshold": 3.0, "min_shot_frames": 8},
    {"cut_threshold": 6.0},
    {"min_shot_frames": 45},
    {"static_range": 0.0},
    {"static_range": 0.2, "frames_per_dynamic_shot": 5},
    {"extra_interval_seconds": 0.4},
    {"extra_interval_seconds": 0.7, "cut_threshold": 2.5},
]


@pytest.mark.slow
@pytest.mark.parametrize("changed", CHANGES)
@pytest.mark.usefixtures("extracted")
def test_decided_again_is_as_a_full_extract(tmp_path, film, changed):
    again = _stage(tmp_path / "again", film, _Watched, **changed)
    assert not again.can_resume()
    again.execute()
    assert again.num_full == 0 and again.can_resume()
    whole = _stage(tmp_path / "whole", film, **changed)
    whole.execute()
    _check_same(again, whole)


def test_one_change_after_another_and_back(tmp_path, film, extracted):
    first = extracted
    before = _left(first)
    for changed in (*CHANGES[:5], {}):
        stage = _stage(tmp_path / "again", film, _Watched, **changed)
        stage.execute()
        assert stage.num_full == 0
    tables, pictures = _left(stage)
    assert pictures == before[1]
    assert all(tables[name].equals(before[0][name], null_equal=True) for name in TABLES)


def test_only_pictures_of_new_shots_are_read(tmp_path, film, extracted):
    """A threshold of 2 leaves out the cut at 42: two shots become one."""
    first = extracted
    old = set(store.read(first.output_dir / "table", "shot")["first_frame_index"])
    stage = _stage(tmp_path / "again", film, _Watched, cut_threshold=2.0)
    assert stage.why_stale() == "extraction.cut_threshold 1.0 -> 2.0"
    stage.execute()
    new = set(store.read(stage.output_dir / "table", "shot")["first_frame_index"])
    assert old - new == {42} and new < old
    assert stage.written and max(stage.written) < 70


def test_times_are_those_of_the_pictures(tmp_path, film, extracted):
    stage = extracted
    tables = _left(stage)[0]
    both = tables["frame"].join(tables["change"], on="frame_index", suffix="_change")
    assert both.height == tables["frame"].height
    assert (both["timestamp_s"] == both["timestamp_s_change"]).all()
    assert (both["pts"] == both["pts_change"]).all()


@pytest.mark.usefixtures("extracted")
def test_what_changes_pictures_decodes_the_film(tmp_path, film):
    for changed in ({"crop_bars": False}, {"quality": 95, "cut_threshold": 0.4}):
        stage = _stage(tmp_path / "again", film, _Watched, **changed)
        stage.execute()
        assert stage.num_full == 1
    stage = _stage(tmp_path / "again", film, _Watched, {"force_rerun": True}, cut_threshold=2.0)
    stage.execute()
    assert stage.num_full == 1


class _Mortal(mortal_extract.Mortal, _Watched):
    """Counts, and dies."""


@pytest.mark.parametrize("limit", [0, 1, 3])
@pytest.mark.usefixtures("extracted")
def test_killed_while_it_decides_again(tmp_path, film, limit):
    stage = _stage(tmp_path / "again", film, _Mortal, cut_threshold=3.0)
    stage.limit = limit
    with pytest.raises(mortal_extract.Killed):
        stage.execute()
    again = _stage(tmp_path / "again", film, _Watched, cut_threshold=3.0)
    again.execute()
    assert again.num_full == 0
    whole = _stage(tmp_path / "whole", film, cut_threshold=3.0)
    whole.execute()
    _check_same(again, whole)


def test_killed_and_taken_back_decodes_the_film(tmp_path, film, extracted):
    """Pictures of the first settings may have been written over: they are not trusted."""
    first = extracted
    before = _left(first)
    stage = _stage(tmp_path / "again", film, _Mortal, cut_threshold=3.0)
    stage.limit = 2
    with pytest.raises(mortal_extract.Killed):
        stage.execute()
    back = _stage(tmp_path / "again", film, _Watched)
    back.execute()
    assert back.num_full == 1
    assert _left(back)[1] == before[1]


def test_lost_pictures_alone_are_read_again(tmp_path, film, extracted):
    stage = extracted
    before = _left(stage)
    lost = sorted((stage.output_dir / "frame").iterdir())[4]
    lost.unlink()
    again = _stage(tmp_path / "again", film, _Watched)
    assert not again.can_resume()
    again.execute()
    assert again.num_full == 0 and int(lost.stem) in again.written and len(again.written) <= 3
    assert _left(again)[1] == before[1]


def test_shards_without_a_note_are_not_decided_on(tmp_path, film, extracted):
    stage = extracted
    (note,) = (stage.folder / "shard" / "shot").glob(f"*/{FINISHED}")
    note.unlink()
    again = _stage(tmp_path / "again", film, _Watched, cut_threshold=2.0)
    again.execute()
    assert again.num_full == 1

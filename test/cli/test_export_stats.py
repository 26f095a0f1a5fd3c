"""`bunny export stats`: PySceneDetect's own reader reads what is written."""

import change_rows
import pytest

from bunny.command import export_table
from bunny.core import atomic, workspace
from bunny.table import store


@pytest.fixture
def space(tmp_path):
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    atomic.write_bytes(space.root / "source.json", b"{}")
    return space


def test_pyscenedetect_reads_the_stats(bunny, space, tmp_path):
    stats_manager = pytest.importorskip("scenedetect.stats_manager")
    store.write(space.table, "change", change_rows.table(space.film_id))
    out = tmp_path / "stats.csv"
    code, text, err = bunny("export", "stats", "film", "--output", out, "--data-dir", "data")
    assert (code, text) == (0, f"{out}: 40 frames\n"), err
    stats = stats_manager.StatsManager()
    assert stats.load_from_csv(out) == 40
    assert set(stats.metric_keys) == set(export_table.METRICS)
    names = ["cut_score", "luma_change", "moved", "contrast", "brightness"]
    assert stats.get_metrics(10, names) == [3.0, 0.125, 0.25, 0.5, 0.75]
    assert stats.get_metrics(25, ["cut_score", "dissolve_weight"]) == [1.2, None]
    assert not stats.metrics_exist(0, ["cut_score"])


def test_lines_by_hand_and_the_default_place(bunny, space, tmp_path):
    store.write(space.table, "change", change_rows.table(space.film_id))
    assert bunny("export", "stats")[0] == 0
    lines = (space.root / "export" / "stats.csv").read_text().splitlines()
    assert lines[0] == (
        "Frame Number,Timecode,brightness,contrast,cut_score,dissolve_weight,luma_change,moved"
    )
    assert lines[1] == "1,00:00:00.000,0.75,0.5,None,None,0.0,0.0"
    assert lines[11] == "11,00:00:00.500,0.75,0.5,3.0,None,0.125,0.25"
    assert len(lines) == 41
    other = tmp_path / "other.csv"
    assert bunny("export", "stats", "film", "--out", other)[0] == 0
    assert other.read_text().splitlines() == lines


def test_the_header_is_pyscenedetects():
    stats_manager = pytest.importorskip("scenedetect.stats_manager")
    assert stats_manager.StatsManager.valid_header([*export_table.HEAD, *export_table.METRICS])
    assert sorted(export_table.METRICS) == list(export_table.METRICS)


def test_a_film_without_measures_is_refused(bunny, space):
    code, _, err = bunny("export", "stats", "film")
    assert code != 0 and "run stage extract" in err and "shot_detector fast" in err


def test_the_refusal_says_what_is_set(bunny, space, monkeypatch):
    monkeypatch.setenv("BUNNY_EXTRACTION__METHOD", "interval")
    monkeypatch.setenv("BUNNY_EXTRACTION__SHOT_DETECTOR", "accurate")
    assert "(they are interval and accurate)" in bunny("export", "stats", "film")[2]


def test_a_folder_cannot_be_written(bunny, space, tmp_path):
    store.write(space.table, "change", change_rows.table(space.film_id))
    code, _, err = bunny("export", "stats", "film", "--out", tmp_path)
    assert code != 0 and "expected an output file, got a folder" in err


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0.0, "00:00:00.000"),
        (59.9996, "00:01:00.000"),
        (3723.042, "01:02:03.042"),
        (-0.5, "-00:00:00.500"),
    ],
)
def test_timecode(time_s, text):
    assert export_table.timecode(time_s) == text

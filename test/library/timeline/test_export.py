"""`bunny export timeline` on a small film: what is written, marked and refused."""

import json
from fractions import Fraction

import polars as pl
import pytest

from bunny.command import export_timeline
from bunny.command.option.common import FilmOptions
from bunny.command.option.export import TimelineExport
from bunny.core.error import UserError
from bunny.library.timeline import export_record as timeline_written
from bunny.library.timeline import read

from .conftest import FILM, write_film

TV = Fraction(30000, 1001)


def run(owl, what="shots", output=None, find=None, overrides=(), **options):
    chosen = FilmOptions(data_dir=str(owl.data), overrides=overrides)
    wanted = TimelineExport(what=what, output=output, **options)
    return export_timeline.export(chosen, wanted, find)


def test_all_shots_of_a_film(owl, tmp_path):
    exported = run(owl, output=tmp_path / "a.edl")
    lines = (tmp_path / "a.edl").read_text(encoding="utf-8").splitlines()
    assert exported.form == "edl"
    assert (
        lines[3] == "001  MYOWLCO  V     C        00:00:00:00 00:00:01:00 01:00:00:00 01:00:01:00"
    )
    assert sum(line.startswith("* FROM CLIP NAME: My Owl & co.mp4") for line in lines) == 3
    located = [line for line in lines if line.startswith("* LOC")]
    assert located == [
        "* LOC: 01:00:00:00 BLUE    Owl | an owl & a tree; sharpness 0.10",
        "* LOC: 01:00:00:12 GREEN   i0 | training picture of Owl (train)",
        "* LOC: 01:00:00:12 GREEN   i1 | training picture of Owl (train)",
        "* LOC: 01:00:01:00 BLUE    Fox, Owl | sharpness 0.30",
        "* LOC: 01:00:01:15 GREEN   i2 | training picture of Owl (held-out)",
        "* LOC: 01:00:02:00 BLUE    no known character | sharpness 0.40",
    ]


def test_a_film_that_lies_elsewhere_is_said(owl, tmp_path):
    sentence = (
        "no film found at /films/My Owl & co.mp4; relink it in the editor, "
        "or set timeline.media_path"
    )
    assert sentence in run(owl, output=tmp_path / "a.edl").to_text()
    (tmp_path / "My Owl & co.mp4").write_bytes(b"x")
    options = {"overrides": [f"timeline.media_path={tmp_path}/"]}
    exported = run(owl, output=tmp_path / "a.edl", **options)
    assert "no film" not in exported.to_text()
    assert exported.cut.media.path == f"{tmp_path}/My Owl & co.mp4"
    far = run(owl, output=tmp_path / "a.edl", overrides=["timeline.media_path=/on/the/editors/"])
    assert far.is_film_there and "no film" not in far.to_text()


def test_names_of_files_made_of_long_lists_differ(owl):
    lists = ["shots:" + ",".join(["0"] * 40 + [last]) for last in "12"]
    places = {run(owl, what).output for what in lists}
    assert len(places) == 2
    assert {p.parent for p in places} == {owl.root / "export" / "timeline"}


def test_handles_stop_at_the_films_ends(owl, tmp_path):
    options = {"overrides": ["timeline.handle_frames=10"]}
    clips = run(owl, output=tmp_path / "a.edl", **options).cut.clips
    assert [(c.first, c.end) for c in clips] == [(0, 35), (15, 60), (40, 75)]
    assert [m.frame for m in clips[1].markers] == [25, 40]


def test_the_reel_and_the_films_place_are_those_that_are_set(owl, tmp_path):
    settings = {"overrides": ["timeline.reel=FOX2", "timeline.media_path=/mnt/other.mov"]}
    for name, words in (("a.edl", "001  FOX2 "), ("a.fcpxml", 'src="file:///mnt/other.mov"')):
        run(owl, output=tmp_path / name, **settings)
        assert words in (tmp_path / name).read_text(encoding="utf-8")


def test_a_film_that_begins_later_with_dropped_labels(tmp_path):
    base = Fraction(1, 30_000)
    film = write_film(tmp_path / "data", TV, base, 5005, start_timecode="00:00:59;20")
    run(film, output=tmp_path / "a.edl", start="10:00:00:00")
    text = (tmp_path / "a.edl").read_text(encoding="utf-8")
    # 10 frames on is 00:01:00;02: two labels are dropped; the second shot begins 25 frames on
    assert "00:00:59;20 00:01:00;17 10:00:00;00 10:00:00;25" in text
    assert "00:01:00;17 00:01:01;12 10:00:00;25 10:00:01;20" in text
    assert "FCM: DROP FRAME" in text
    assert "* LOC: 10:00:00;12 GREEN   i0" in text


def test_a_search_gives_order_and_what_matched(owl, tmp_path):
    found = pl.DataFrame(
        {
            "film_id": [FILM] * 3,
            "shot_index": [2, 0, 2],
            "score": [0.9, 0.4, 0.1],
            "matched_s": [2.2, 0.48, 2.4],
            "why": ["words owl", "", ""],
        }
    )
    asked = []

    def find(words, film_id):
        asked.append((words, film_id))
        return found

    cut = run(owl, 'search:"an owl"', tmp_path / "a.otio", order="score", find=find).cut
    assert asked == [("an owl", FILM)]
    assert [c.shot_index for c in cut.clips] == [2, 0]
    match = [m for m in cut.clips[0].markers if m.color == "YELLOW"]
    assert [(m.frame, m.name, m.text) for m in match] == [(55, "match 0.90", "words owl")]
    with pytest.raises(UserError, match="expected shots that match"):
        run(owl, "search:bear", tmp_path / "b.otio", find=lambda *_: found.clear())


@pytest.mark.parametrize("name", ["a.edl", "a.xml", "a.fcpxml", "a.otio"])
def test_the_ending_says_the_format_and_the_record_knows_it(owl, tmp_path, name):
    for _ in range(2):  # of a file written again the last line counts
        run(owl, "character:owl", tmp_path / name)
    (written,) = timeline_written.read(owl.root)
    assert written.file == str((tmp_path / name).resolve())
    assert written.clips == ((0, 25), (25, 50))
    assert [p.film_id for p in read.read_clips(tmp_path / name)] == [FILM, FILM]
    assert timeline_written.clips_at(written, 25) == [2]
    assert timeline_written.clips_at(written, 50) == []


def test_variable_rate_is_noted_and_marked(tmp_path):
    film = write_film(tmp_path / "data", Fraction(25), frame_rate_num=1966, frame_rate_den=97)
    exported = run(film, output=tmp_path / "a.fcpxml")
    assert "conformed to 23.976 fps" in exported.to_text()
    first = exported.cut.clips[0].markers[0]
    assert (first.color, "conformed to 23.976" in first.text) == ("RED", True)
    assert "conformed to 23.976 fps" in (tmp_path / "a.fcpxml").read_text(encoding="utf-8")
    assert [c.first for c in exported.cut.clips] == [0, 24, 48]


def test_the_command(bunny, owl, tmp_path):
    place = tmp_path / "a b.xml"
    options = ("--data-dir", owl.data, "--what", "cluster:a", "--out", place, "--json")
    code, out, _ = bunny("export", "timeline", *options)
    assert code == 0
    assert json.loads(out) == {
        "file": str(place),
        "format": "fcp7",
        "film_id": FILM,
        "rate": "25/1",
        "is_drop_frame": False,
        "clips": [[0, 0, 25]],
        "num_markers": 3,
        "notes": [],
    }


def test_handles_of_the_command_win_over_the_setting(bunny, owl, tmp_path):
    options = ("--data-dir", owl.data, "--set", "timeline.handle_frames=3", "--json")
    clips = []
    for handles in ([], ["--handles", "10"]):
        command = ["export", "timeline", "--output", tmp_path / "a.edl", *options, *handles]
        clips.append([clip[1:] for clip in json.loads(bunny(*command)[1])["clips"]])
    assert clips == [[[0, 28], [22, 53], [47, 75]], [[0, 35], [15, 60], [40, 75]]]


def test_markers_are_written_unless_they_are_declined(bunny, owl, tmp_path):
    said = {}
    for option in ("--markers", "--no-markers"):
        place = tmp_path / f"{option}.edl"
        options = ("--data-dir", owl.data, "--out", place, option, "--json")
        code, out, _ = bunny("export", "timeline", *options)
        assert code == 0
        said[option] = (json.loads(out)["num_markers"], place.read_text().count("* LOC"))
    assert said == {"--markers": (6, 6), "--no-markers": (0, 0)}


@pytest.mark.parametrize(("option", "is_drop"), [("--drop-frame", True), ("--non-drop", False)])
def test_a_film_without_timecode_drops_labels_as_it_is_told(bunny, tmp_path, option, is_drop):
    film = write_film(tmp_path / "data", TV, Fraction(1, 30_000))
    place = tmp_path / "a.edl"
    options = ("--data-dir", film.data, "--out", place, option, "--json")
    code, out, _ = bunny("export", "timeline", *options)
    assert (code, json.loads(out)["is_drop_frame"]) == (0, is_drop)
    text = place.read_text(encoding="utf-8")
    assert ("FCM: DROP FRAME" in text, "FCM: NON-DROP FRAME" in text) == (is_drop, not is_drop)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--format", "avi"), "expected edl, fcp7, fcpx, otio, got avi"),
        (("--out", "none/a.edl"), "the folder none does not exist; create it first"),
        (("--out", "."), "expected an output file, got a folder"),
        (("--order", "best"), "expected film or score, got best"),
        (("--start", "1:00"), "--start: expected a timecode"),
        (
            ("--what", "cluster:kitchen"),
            "expected a cluster named 'kitchen', found none; there are",
        ),
        (("--drop-frame",), "expected a film of 29.97 or 59.94 fps, got 25 fps"),
        (("--set", "timeline.reel=TOOLONGREEL"), "at most 8 characters for this format, got 11"),
    ],
)
def test_what_cannot_be_is_one_sentence(bunny, owl, options, sentence):
    code, out, error = bunny("export", "timeline", "--data-dir", owl.data, *options)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert sentence in error
    assert not list(owl.root.glob("timeline.jsonl"))


def test_a_film_of_unknown_rate_is_refused(bunny, tmp_path):
    film = write_film(tmp_path / "data", frame_rate_num=0, frame_rate_den=1)
    code, _, error = bunny("export", "timeline", "--data-dir", film.data)
    assert (code, "the frame rate of the film is unknown" in error) == (2, True)

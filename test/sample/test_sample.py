"""The committed sample: film, truth and references agree, and hold what they should."""

import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import polars as pl
import pytest

from bunny import demo

SCRIPTS = Path(__file__).resolve().parents[2] / "python_script"
CAST = {"bunny", "bruno", "ember", "pip", "bolt", "astronaut"}


@pytest.fixture(scope="module")
def shot() -> pl.DataFrame:
    return demo.truth("shot")


@pytest.fixture(scope="module")
def box() -> pl.DataFrame:
    return demo.truth("box")


def test_film_is_small_and_as_the_truth_counts_it(shot):
    assert demo.film_path().stat().st_size <= 5_000_000
    with av.open(str(demo.film_path())) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (1280, 720, 24)
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        stamps = [
            float(packet.pts * stream.time_base)
            for packet in film.demux(stream)
            if packet.pts is not None
        ]
    assert len(stamps) == shot["end_frame_index"].max()
    assert sorted(stamps)[-1] == pytest.approx((len(stamps) - 1) / 24)
    assert 60 <= len(stamps) / 24 <= 90


def test_shots_tile_the_film(shot):
    assert shot["shot_index"].to_list() == list(range(shot.height))
    assert shot["first_frame_index"][0] == 0
    assert shot["first_frame_index"][1:].to_list() == shot["end_frame_index"][:-1].to_list()
    assert (shot["end_frame_index"] - shot["first_frame_index"]).min() >= 24


def test_gradual_transitions_surround_their_cut(shot):
    gradual = shot.filter(pl.col("transition_in").is_in(["fade", "dissolve"]))
    assert set(gradual["transition_in"]) == {"fade", "dissolve"}
    middle = (gradual["transition_first_frame_index"] + gradual["transition_end_frame_index"]) / 2
    assert middle.to_list() == gradual["first_frame_index"].to_list()
    others = shot.filter(~pl.col("transition_in").is_in(["fade", "dissolve"]))
    assert others["transition_first_frame_index"].null_count() == others.height


def test_boxes_lie_inside_picture_and_shot(shot, box):
    assert set(box["character"]) == CAST
    assert box.select("frame_index", "character").is_unique().all()
    assert box.filter(
        (pl.col("x0_px") < 0)
        | (pl.col("y0_px") < 0)
        | (pl.col("x1_px") > 1280)
        | (pl.col("y1_px") > 720)
        | (pl.col("x0_px") >= pl.col("x1_px"))
        | (pl.col("y0_px") >= pl.col("y1_px"))
        | ~pl.col("visible_share").is_between(0, 1.0001, closed="right")
        | ~pl.col("yaw").is_between(-1, 1)
    ).is_empty()
    joined = box.join(shot, on="shot_index", validate="m:1")
    inside = joined["frame_index"].is_between(
        joined["first_frame_index"], joined["end_frame_index"], closed="left"
    )
    assert joined.height == box.height
    assert inside.all()


def test_film_holds_what_was_asked_for(shot, box):
    assert 25 <= shot.height <= 35
    seen = box.group_by("character").agg(pl.col("shot_index").n_unique())
    shots_of = dict(zip(*seen.get_columns(), strict=True))
    assert 0.4 <= shots_of["bunny"] / shot.height <= 0.6
    assert all(shots_of[name] >= 3 for name in ("bruno", "ember", "pip", "bolt"))
    drawn = shot.filter(~pl.col("is_archive") & (pl.col("card") == "none"))
    assert drawn["place"].n_unique() >= 6
    assert set(drawn["shot_size"]) == {"close-up", "medium", "wide"}
    assert {"locked", "pan", "zoom", "track"} <= set(drawn["camera"])
    assert shot["is_archive"].sum() >= 4
    assert shot["is_dark"].sum() == 1
    assert shot["is_blurred"].sum() >= 2
    assert {"title", "credits"} <= set(shot["card"])
    assert shot.group_by("setup_id").len().filter(pl.col("len") > 1).height >= 3
    company = box.group_by("frame_index").len()["len"]
    assert company.min() == 1
    assert company.max() >= 4


def test_dark_and_blurred_frames_are_so_in_the_film(shot):
    dark = shot.filter("is_dark").row(0, named=True)
    blurred = shot.filter("is_blurred").row(0, named=True)
    wanted = {
        "dark": dark["first_frame_index"] + 40,
        "blur": blurred["blur_first_frame_index"],
        "sharp": blurred["blur_end_frame_index"] + 20,
    }
    grey = {}
    with av.open(str(demo.film_path())) as film:
        for index, frame in enumerate(film.decode(video=0)):
            for name, at in wanted.items():
                if at == index:
                    grey[name] = frame.to_ndarray(format="gray")
            if len(grey) == 3 or index > max(wanted.values()):
                break
    detail = {name: cv2.Laplacian(picture, cv2.CV_64F).var() for name, picture in grey.items()}
    assert grey["dark"].mean() < 40
    assert detail["blur"] < 0.25 * detail["sharp"]


def test_references_are_few_small_and_not_for_everybody():
    folders = {path.name: sorted(path.iterdir()) for path in demo.reference_dir().iterdir()}
    assert set(folders) == {"bunny", "bruno", "ember", "pip", "astronaut"}
    assert len(folders["astronaut"]) == 1
    assert all(2 <= len(files) <= 4 for name, files in folders.items() if name != "astronaut")
    for path in (path for files in folders.values() for path in files):
        picture = cv2.imread(str(path))
        assert min(picture.shape[:2]) >= 200
        assert path.stat().st_size < 60_000


def test_unknown_table_is_refused():
    with pytest.raises(ValueError, match="frames"):
        demo.truth("frames")


def test_sample_is_read_where_skia_cannot_load():
    code = (
        "import sys; sys.modules['skia'] = None\n"
        "from bunny import demo\n"
        "assert 'polars' not in sys.modules\n"
        "import bunny.demo.world, sample.script, sample.write\n"
        "print(demo.truth('shot').height)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) >= 25

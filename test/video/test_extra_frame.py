"""Detection at frames that are not kept: decoded from the film, resumed, compared with the kept."""

import json
import shutil
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny.core import atomic, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.stage.detect import Detect
from bunny.stage.extract import Extract
from bunny.table import store

pytestmark = pytest.mark.slow

RATE, LENGTH = 10, 40


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Four seconds in which a face drifts to the right by 2 pixels a frame."""
    from skimage import data

    wide = np.pad(data.astronaut()[:320], ((0, 0), (120, 0), (0, 0)), mode="edge")
    path = tmp_path_factory.mktemp("film") / "drift.mkv"
    (path.parent / "reference").mkdir()
    cv2.imwrite(str(path.parent / "reference" / "eileen.png"), data.astronaut()[:280, 90:370, ::-1])
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"g": "8", "qp": "4"})
        stream.width, stream.height, stream.pix_fmt = 400, 320, "yuv444p"
        for index in range(LENGTH):
            x = 100 - 2 * index
            picture = np.ascontiguousarray(wide[:, x : x + 400])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _run(film, folder, interval_s, **pipeline):
    settings = Config.model_validate(
        {
            "extraction": {"output_format": "png", "static_range": 0},
            "detection": {"extra_interval_seconds": interval_s, "effort": "thorough"},
            "pipeline": {"shard_size": 4, **pipeline},
        }
    )
    space = workspace.create(folder, "data", film, film.parent / "reference")
    Extract(settings, space.root, space.root).execute()
    stage = Detect(settings, space.root, space.root)
    stage.execute()
    names = ("frame", "extra_frame", "face", "track", "label")
    return stage, {name: store.read(space.table, name) for name in names}


def test_the_face_is_followed_through_frames_that_are_not_kept(film, tmp_path):
    _, few = _run(film, tmp_path / "few", 0.0)
    assert few["extra_frame"].height == 0
    _, more = _run(film, tmp_path / "more", 0.5)
    extra = more["extra_frame"]
    kept = set(more["frame"]["frame_index"])
    assert extra.height >= 5 and not kept & set(extra["frame_index"])
    assert extra["timestamp_s"].to_list() == pytest.approx(extra["frame_index"] / RATE)
    assert extra["file"].null_count() == extra["error"].null_count() == extra.height
    assert more["track"].height == 1
    assert more["track"]["num_faces"].item() == len(kept) + extra.height
    place = more["face"].join(more["extra_frame"], on="frame_id").sort("frame_index")
    step = np.diff(place["x0_px"]) / np.diff(place["frame_index"])
    assert np.allclose(step, 2, atol=0.8)  # pixels a frame, as it drifts


def test_a_face_that_no_kept_frame_shows_is_found(film, tmp_path):
    """Kept pictures are painted over; one of them is damaged."""
    _, before = _run(film, tmp_path, 0.0)
    (space,) = workspace.find(tmp_path, "data", None)
    for path in sorted((space.root / "frame").iterdir()):
        cv2.imwrite(str(path), np.full((320, 400, 3), 90, np.uint8))
    path.write_bytes(b"damaged")
    settings = Config.model_validate(
        {"detection": {"extra_interval_seconds": 0.5, "effort": "thorough"}}
    )
    stage = Detect(settings, space.root, space.root)
    shutil.rmtree(stage.folder)
    assert stage.execute().failed == 1
    extra, face = (store.read(space.table, name) for name in ("extra_frame", "face"))
    assert before["face"].height and face.height == extra.height + 1  # and the error


def test_a_kill_between_shards_changes_nothing(film, tmp_path):
    stage, whole = _run(film, tmp_path, 0.3)
    (key,) = (stage.folder / "shard" / "extra").iterdir()
    shards = sorted(key.glob("[0-9]*"))
    assert len(shards) > 1
    (shards[-1] / "face.parquet").unlink()
    (shards[-1] / "extra_frame.parquet").unlink()
    shards[-1].rmdir()
    (stage.folder / "stage.json").unlink()
    _, again = _run(film, tmp_path, 0.3, parallel_processing=False)
    assert all(again[name].equals(table) for name, table in whole.items())


def test_a_film_that_was_moved_away_is_missed_in_one_sentence(film, tmp_path):
    stage, _ = _run(film, tmp_path, 0.0)
    source = {**stage.source, "film": str(tmp_path / "gone.mkv")}
    atomic.write_bytes(stage.input_dir / "source.json", json.dumps(source).encode())
    wanted = Config.model_validate(
        {"detection": {"extra_interval_seconds": 0.5, "effort": "thorough"}}
    )
    with pytest.raises(UserError, match=r"gone\.mkv: film not found"):
        Detect(wanted, stage.input_dir, stage.input_dir).execute()

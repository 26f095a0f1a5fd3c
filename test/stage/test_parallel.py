"""How many threads work on pictures changes no table."""

import os
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from bunny import pipeline
from bunny.core import workspace
from bunny.core.config import Config

STAGES = ("extract", "filter", "detect", "cluster")
SETTINGS = {
    "extraction": {"frames_per_dynamic_shot": 3, "static_range": 0, "output_format": "png"},
    "filtering": {"preset": "generous"},
    "pipeline": {"shard_size": 2, "max_failed_share": 0.5},
}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three shots of half a second: a face that drifts, coarse noise, the face mirrored."""
    from skimage import data

    folder = tmp_path_factory.mktemp("film")
    face = np.ascontiguousarray(data.astronaut()[:330])
    (folder / "reference").mkdir()
    cv2.imwrite(str(folder / "reference" / "eileen.png"), face[:280, 90:370, ::-1])
    noise = np.random.default_rng(0).integers(0, 255, (12, 20, 3), np.uint8)
    noise = cv2.resize(noise, (512, 330), interpolation=cv2.INTER_CUBIC)
    with av.open(str(folder / "film.mkv"), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"g": "12", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 400, 300, "yuv420p"
        for index in range(36):
            shot, step = divmod(index, 12)
            wide = (face, noise, face[:, ::-1])[shot]
            picture = np.ascontiguousarray(wide[:300, 6 * step : 6 * step + 400])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return folder


def test_threads_change_no_table_and_no_picture(film, tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    for is_parallel in (False, True):
        pipe = {**SETTINGS["pipeline"], "parallel_processing": is_parallel}
        config = Config.model_validate({**SETTINGS, "pipeline": pipe})
        place = tmp_path / str(is_parallel)
        space = workspace.create(place, "data", film / "film.mkv", film / "reference")
        results = {name: pipeline.run_stage(name, space, config) for name in STAGES}
        assert results["extract"].rows >= 6 and results["detect"].tables["face"] >= 4
        files = [*space.table.glob("*.parquet"), *space.frame.iterdir()]
        found.append({path.name: path.read_bytes() for path in files})
    assert len(found[0]) > 20
    assert found[0] == found[1]

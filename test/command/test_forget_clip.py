"""`bunny forget --others` with clips and edit pairs in which somebody is seen beside another.

Four shots of one film have the astronaut, who walks across. In the first two, somebody stands at
the right whom no detector finds: a magenta block, so that each pixel of it can be told.
"""

import json
import subprocess

import av
import cv2
import numpy as np
import odd_film
import polars as pl
import pytest
from small_project import command

from bunny.core import workspace
from bunny.table import store

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, FPS, SECONDS, NUM_SHOTS = 512, 288, 16, 3, 4
PLACE = (400, 100, 480, 230)  # of the block
BESIDE = (0, 1)  # shots that show it
SETTINGS = {
    "clip.height_px": 288,
    "clip.margin_frames": 0,
    "clip.max_similarity": 1,
    "clip.max_text_share": 1,
    "clip.min_coverage": 0.1,
    "clip.min_likeness": -1,
    "clip.min_motion": 0,
    "clip.min_sharpness": 0,
    "clip.num_frames": [33],
    "clip.preset": "wan",
    "clip.width_px": 512,
    "dataset.num_class_images": 0,
    "extraction.method": "interval",
    "extraction.interval_seconds": 1,
    "filtering.duplicate_distance": 0,
    "pair.edit_seconds": [0.5, 3],
    "pair.kinds": ["edit", "reference"],
    "pair.max_background_similarity": 1,
    "pair.max_residual": 1,
    "pair.min_confidence": 0,
    "pair.min_gap_seconds": 0,
    "pipeline.has_report": False,
}


@pytest.fixture
def film(tmp_path, tiny_folder):
    """Runs the film until stage pair; gives its workspace."""
    from skimage import data

    person = data.astronaut()[:260, 90:350]
    frames = []
    for shot in range(NUM_SHOTS):
        noise = np.random.default_rng(shot).integers(
            30, 220, (HEIGHT // 4, WIDTH // 4, 3), np.uint8
        )
        ground = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        ground[..., 1] = np.maximum(ground[..., 1], 90)  # never magenta
        if shot in BESIDE:
            x0, y0, x1, y1 = PLACE
            ground[y0:y1, x0:x1] = (255, 0, 255)
        for k in range(SECONDS * FPS):
            picture, x = ground.copy(), 10 + 2 * k
            picture[28:, x : x + 260] = person
            frames.append(picture)
    path = tmp_path / "beside.mp4"
    odd_film.write(path, frames, rate=FPS, time_base=odd_film.Fraction(1, FPS))
    references = tmp_path / "references" / "anna"
    references.mkdir(parents=True)
    cv2.imwrite(str(references / "1.png"), data.astronaut()[:300, 60:380, ::-1])
    every = {**SETTINGS, "models.base_model": str(tiny_folder)}
    sets = [w for key, value in every.items() for w in ("--set", f"{key}={json.dumps(value)}")]

    def run():
        line = ("run", path, "--references", references.parent, "--until", "pair", *sets)
        done = subprocess.run(command(*line), cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (space,) = workspace.find(tmp_path, "data")
        return space

    return run


def made(space):
    """Clips and pairs with files: shot and the files, by id."""
    clip = store.read(space.table, "clip").drop_nulls("file")
    pair = store.read(space.table, "training_pair").drop_nulls("files")
    found = {row["clip_id"]: (row["shot_index"], [row["file"]]) for row in clip.to_dicts()}
    return found | {r["pair_id"]: (r["target_shot_index"], r["files"]) for r in pair.to_dicts()}


def num_magenta(path):
    """Pixels of the block in a picture, or in all frames of a clip."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    else:
        pictures = [cv2.imread(str(path))]
    return sum(
        int(((p[..., 0] > 220) & (p[..., 1] < 45) & (p[..., 2] > 220)).sum()) for p in pictures
    )


def pictures_of(space):
    """All pictures and clips that a workspace keeps."""
    return [
        p for p in sorted(space.root.rglob("*")) if p.suffix in (".png", ".jpg", ".webp", ".mp4")
    ]


def test_what_shows_somebody_beside_another_goes_and_no_pixel_of_them_is_left(film, bunny):
    """Two places by hand in one call, one a shot; what does not show them keeps its bytes."""
    space = film()
    before = made(space)
    stored = {path: path.read_bytes() for path in pictures_of(space)}
    shown = {one for one in before if before[one][0] in BESIDE and "reference" not in one}
    clips = {one for one in shown if before[one][1][0].endswith(".mp4")}
    assert (
        {before[one][0] for one in clips}
        == set(BESIDE)
        == {before[one][0] for one in shown - clips}
    )
    assert {shot for shot, _ in before.values()} == set(range(NUM_SHOTS))
    is_magenta = {path.relative_to(space.root).as_posix() for path in stored if num_magenta(path)}
    gone = {file for one in shown for file in before[one][1]}
    frames = store.read(space.table, "frame").filter(pl.col("shot_index").is_in(BESIDE))
    assert is_magenta == gone | set(frames["file"])

    first = frames.unique("shot_index", keep="first", maintain_order=True)["frame_id"]
    boxes = [word for frame_id in first for word in ("--box", frame_id, *PLACE)]
    code, out, err = bunny("forget", *boxes, "--others", "--yes")
    assert code == 0, err
    assert "2 boxes drawn by hand" in out and f"{len(clips)} clips of others with them" in out
    after = made(space)
    assert after == {one: row for one, row in before.items() if one not in shown}
    assert not any((space.root / file).exists() for file in gone)
    for path in pictures_of(space):
        assert num_magenta(path) == 0
        is_frame = path.relative_to(space.root).as_posix() in set(frames["file"])
        assert (path.read_bytes() == stored[path]) != is_frame

    film()
    again = made(space)
    assert {shot for one, (shot, _) in again.items() if "reference" not in one} == {2, 3}
    kept = {one for one in before if before[one][1][0].endswith(".mp4")} - clips
    for one in kept:
        assert again[one] == before[one]
        path = space.root / before[one][1][0]
        assert path.read_bytes() == stored[path]
    assert any("edit" in one for one in again) and any("reference" in one for one in again)
    assert [path for path in pictures_of(space) if num_magenta(path)] == []


def test_a_box_that_is_none_is_one_sentence(bunny):
    for words in (("a", 1, 2, 3), ("a", 1, 2, 3, "x"), ()):
        code, _, err = bunny("forget", "--box", "b", 1, 2, 3, 4, "--box", *words, "--others")
        got = " ".join(map(str, words)) or "nothing"
        assert (code, err) == (2, f"bunny: --box: expected FRAME_ID X0 Y0 X1 Y1, got {got}\n")

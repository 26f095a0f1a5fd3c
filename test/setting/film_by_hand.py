"""Films made by hand: tables as stages write them, and what a person said of their shots.

A film of vectors is in the state after stage cluster. In a film of faces stage detect has run on
grey pictures; then what it measured, which lies in shards, was replaced by faces whose likeness to
the references can be worked out in the head.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import plain_row
import yaml
from face_row import face_row
from setting_effect import Film, run

from bunny import pipeline
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.scene import embed
from bunny.table import store

FPS = 25
NUM_LIT, NUM_PLACES = 120, 4
SIDE = (64, 36)

# -- vectors ------------------------------------------------------------------------------------


def plane(root: Path) -> Film:
    """Shots that point 0, 15, 30, 50 and 80 degrees away from the first, which is alone."""
    angle = np.radians([0, 15, 30, 50, 80])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    film = _of_vectors(root, "plane", vectors, ["scene-001", *["scene-002"] * 4])
    run(film, ["review"])
    return film


def lit(root: Path) -> Film:
    """Shots of four places in changing light, every sixth in the wrong one; 72 were put right.

    Places are told apart by four small numbers; light fills two larger ones, so that by plain
    cosine shots in one light look alike.
    """
    rng = np.random.default_rng(0)
    own = rng.integers(0, NUM_PLACES, NUM_LIT)
    vectors = np.zeros((NUM_LIT, 8))
    vectors[np.arange(NUM_LIT), own] = 1
    vectors[:, 4:6] = 2.0 * rng.normal(size=(NUM_LIT, 2))
    vectors += 0.25 * rng.normal(size=vectors.shape)
    now = np.where(np.arange(NUM_LIT) % 6 == 0, (own + 1) % NUM_PLACES, own)
    now, right = ([f"scene-{k:03d}" for k in place] for place in (now, own))
    film = _of_vectors(root, "lit", vectors, now)
    run(film, ["review"])
    say(film.data / "output" / film.film_id, [(k, now[k], right[k]) for k in range(72)])
    return film


def wide(root: Path) -> Film:
    """Two thousand shots in random directions."""
    vectors = np.random.default_rng(0).standard_normal((2000, 64))
    return _of_vectors(root, "wide", vectors, [None] * len(vectors))


def say(film_dir: Path, places: Sequence[tuple[int, str, str]]) -> None:
    """A person says of shots, one by one, where they belong: (shot, place now, right place)."""
    asset = store.read(film_dir / "table", "asset").sort("shot_index")
    lines = []
    for number, (shot, now, right) in enumerate(places):
        item = asset.row(shot, named=True)
        event = {
            "event_id": f"{number:032x}",
            "time": f"2026-01-01T00:00:{number // 60:02d}.{number % 60:06d}+00:00",
            "user": "mia",
            "kind": "approve" if now == right else "assign",
            "level": "scene",
            "items": [{key: item[key] for key in ("start_s", "end_s", "asset_id")}],
            "cluster": {"cluster_id": right, "name": right},
        }
        lines.append(json.dumps(event) + "\n")
    (film_dir / "feedback.jsonl").write_text("".join(lines), encoding="utf-8")


def _of_vectors(root: Path, name: str, vectors: np.ndarray, places: Sequence[str]) -> Film:
    """Shots of one second, each with one frame: vectors (n, d), scaled here, and their clusters."""
    (root / f"{name}.mp4").write_bytes(name.encode())
    space = workspace.create(root, "films", root / f"{name}.mp4", None)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for table in pipeline.make_stage("review", space, configuration.Config()).reads:
        store.write(space.table, table, store.from_rows(table, []))
    for table, rows in _rows(space.film_id, unit.astype(np.float32), places).items():
        store.write(space.table, table, store.from_rows(table, rows))
    return Film(root=root, data=space.root.parents[1], film_id=space.film_id)


def _rows(
    film_id: str, vectors: np.ndarray, places: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    number = len(vectors)
    ids = [f"{film_id}-{k:08d}" for k in range(number)]
    return {
        "film": [plain_row.film(FPS * number, SIDE, per_s=FPS, film_id=film_id)],
        "shot": [plain_row.shot(k, length=FPS, per_s=FPS, film_id=film_id) for k in range(number)],
        "frame": [
            plain_row.frame(
                FPS * k + 5, k, SIDE, per_s=FPS, film_id=film_id, frame_id=ids[k], file=None
            )
            for k in range(number)
        ],
        "embedding": [
            {"frame_id": ids[k], "model": embed.MODEL, "vector": vectors[k]} for k in range(number)
        ],
        "cluster": [plain_row.scene(ids[k], k, places[k], similarity=0.9) for k in range(number)],
    }


# -- faces --------------------------------------------------------------------------------------

GREY = np.full((64, 96, 3), 127, np.uint8)
REFERENCE = {"anna": 60, "ben": 190}  # grey of each picture
SETTINGS = {"medium": "photographed", "is_drawn_enabled": False, "extra_interval_seconds": 0}


def doubtful(root: Path) -> Film:
    """Faces like Anna to 0.5 and 0.3, one like both, one doubtful, and three in one frame."""
    small = (0, 0, 40, 60)
    faces = [
        _face_row(0, _like(0, anna=0.5), small),
        _face_row(1, _like(1, anna=0.3), small),
        _face_row(2, _like(2, anna=0.5, ben=0.42), small),
        _face_row(3, _like(3), small, score=0.75),
    ]
    for i in range(3):  # of 30, 40 and 50 pixels
        box = (100 * i, 0, 100 * i + 40, 30 + 10 * i)
        faces.append(_face_row(4, _like(4 + i), box, index=i))
    film = _of_pictures(root, num_frames=5)
    known = [
        {
            "reference_id": f"{name}/1.png",
            "character": name,
            "content_hash": "0" * 64,
            "route": "face",
            "is_drawn": False,
            "num_faces": 1,
            "recogniser": "sface",
            "face_embedding": np.eye(32)[axis].tolist(),
        }
        for axis, name in enumerate(REFERENCE)
    ]
    folder = film.data / "output" / film.film_id / "stage" / "detect"
    for name, rows in {"face": faces, "reference": known}.items():
        (path,) = (folder / "shard" / name).glob("*/000000")
        store.write(path, name, store.from_rows(name, rows))
    (folder / "stage.json").unlink()  # it has to decide again
    return film


def _like(own: int, *, anna: float = 0.0, ben: float = 0.0) -> list[float]:
    """A unit vector with these cosines to Anna and Ben; what is left is like nobody else."""
    vector = np.zeros(32)
    vector[:2] = anna, ben
    vector[2 + own] = np.sqrt(1 - anna**2 - ben**2)
    return vector.tolist()


def _face_row(
    frame: int, vector: list[float], box: Sequence[float], *, index: int = 0, score: float = 0.9
) -> dict[str, Any]:
    """A clear frontal face."""
    frame_id, side = f"film-{frame:08d}", {**plain_row.box(*box), "size_px": box[3] - box[1]}
    place = {"frame_id": frame_id, "shot_index": frame}
    seen = {"score": score, "sharpness": 900.0}
    return face_row(f"{frame_id}-f{index:02d}", vector, **place, **side, **seen)


def _of_pictures(root: Path, *, num_frames: int) -> Film:
    """Grey pictures, each a shot, with references of Anna and Ben; stage detect has run."""
    (root / "config").mkdir()
    text = yaml.safe_dump({"detection": SETTINGS})
    (root / "config" / "main.yaml").write_text(text, encoding="utf-8")
    film = Film(root=root, data=root / "data", film_id="film-00000000")
    space = film.space(film.data)
    space.root.mkdir(parents=True)
    height, width = GREY.shape[:2]
    frames = []
    for number in range(num_frames):
        file = f"frame/{number:08d}.png"
        _write_picture(space.root / file, GREY)
        frames.append(plain_row.frame(number, number, (width, height), per_s=FPS))
    for name, grey in REFERENCE.items():
        picture = np.full((64, 64, 3), grey, np.uint8)
        _write_picture(root / "reference" / name / "1.png", picture)
    whole = [plain_row.film(num_frames, (width, height), per_s=FPS)]
    shots = [plain_row.shot(k, length=1, per_s=FPS) for k in range(num_frames)]
    rows = {"film": whole, "shot": shots, "frame": frames}
    for name, content in {**rows, "measure": [], "change": []}.items():
        store.write(space.table, name, store.from_rows(name, content))
    workspace.write_source(space, str(root / "film.mp4"), "0" * 64, root / "reference")
    run(film, ["detect"])
    return film


def _write_picture(path: Path, bgr: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, bgr)[1].tobytes())

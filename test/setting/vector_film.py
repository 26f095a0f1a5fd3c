"""Films made by hand: tables as stages write them, and what a person said of their shots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from setting_effect import Film

from bunny import pipeline
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.scene import embed
from bunny.table import store

FPS = 25
NUM_LIT, NUM_PLACES = 120, 4
SIDE = {"width_px": 64, "height_px": 36}


def film(root: Path, name: str, vectors: np.ndarray, places: Sequence[str]) -> Film:
    """A film of shots of one second, each with one frame, in the state after stage cluster.

    Parameters
    ----------
    vectors : np.ndarray, shape (n, d)
        What each shot looks like; scaled to unit length here.
    places : sequence of str
        Cluster of each.
    """
    (root / f"{name}.mp4").write_bytes(name.encode())
    space = workspace.create(root, "films", root / f"{name}.mp4", None)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for table in pipeline.make_stage("review", space, configuration.Config()).reads:
        store.write(space.table, table, store.from_rows(table, []))
    for table, rows in _rows(space.film_id, unit.astype(np.float32), places).items():
        store.write(space.table, table, store.from_rows(table, rows))
    return Film(root=root, data=space.root.parents[1], film_id=space.film_id)


def review(film: Film) -> Film:
    """The film after stage review."""
    config = configuration.Config()
    pipeline.run(workspace.locate(film.root, str(film.data), film.film_id), config, ["review"])
    return film


def lit(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shots of four places, told apart by four small numbers; light fills two larger ones.

    (vectors (n, 8), place (n,)). By plain cosine shots in one light look alike.
    """
    rng = np.random.default_rng(seed)
    place = rng.integers(0, NUM_PLACES, NUM_LIT)
    vector = np.zeros((NUM_LIT, 8))
    vector[np.arange(NUM_LIT), place] = 1
    vector[:, 4:6] = 2.0 * rng.normal(size=(NUM_LIT, 2))
    return vector + 0.25 * rng.normal(size=vector.shape), place


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


def film_row(film_id: str, num_frames: int, **side: int) -> dict[str, Any]:
    """Row of table `film`."""
    return {
        "film_id": film_id,
        "path": "film.mp4",
        "content_hash": "0" * 64,
        "container": "mp4",
        "codec": "h264",
        "pixel_format": "yuv420p",
        **side,
        "frame_rate_num": FPS,
        "frame_rate_den": 1,
        "time_base_num": 1,
        "time_base_den": FPS,
        "start_s": 0.0,
        "duration_s": num_frames / FPS,
        "num_frames": num_frames,
        "rotation_deg": 0,
        "is_mirrored": False,
        "is_interlaced": False,
        "num_frames_failed": 0,
        "stream_index": 0,
        "has_audio": False,
        "decoder": "av",
    }


def shot_rows(film_id: str, number: int, length: int) -> list[dict[str, Any]]:
    """Rows of table `shot`: shots of so many frames."""
    return [
        {
            "film_id": film_id,
            "shot_index": k,
            "first_frame_index": length * k,
            "end_frame_index": length * (k + 1),
            "start_s": length * k / FPS,
            "end_s": length * (k + 1) / FPS,
            "start_pts": length * k,
            "end_pts": length * (k + 1),
            "transition_in": "cut",
            "motion": 0.0,
            "kind": "static",
        }
        for k in range(number)
    ]


def _rows(
    film_id: str, vectors: np.ndarray, places: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    number = len(vectors)
    ids = [f"{film_id}-{k:08d}" for k in range(number)]
    return {
        "film": [film_row(film_id, FPS * number, **SIDE)],
        "shot": shot_rows(film_id, number, FPS),
        "frame": [
            {
                "frame_id": ids[k],
                "film_id": film_id,
                "shot_index": k,
                "frame_index": FPS * k + 5,
                "pts": FPS * k + 5,
                "time_base_num": 1,
                "time_base_den": FPS,
                "timestamp_s": k + 0.2,
                **SIDE,
                "reason": "shot-median",
            }
            for k in range(number)
        ],
        "embedding": [
            {"frame_id": ids[k], "model": embed.MODEL, "vector": vectors[k]} for k in range(number)
        ],
        "cluster": [
            {
                "item_id": ids[k],
                "level": "scene",
                "shot_index": k,
                "cluster_id": places[k],
                "scene_id": places[k],
                "similarity": 0.9,
                "is_noise": False,
            }
            for k in range(number)
        ],
    }

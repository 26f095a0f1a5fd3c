"""Films whose measures, vectors and similarities are by hand, each for some settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import setting_effect
from film_maker import GREY, by_hand, fill_shard, frame_id
from vector_film import film_row, shot_rows

from bunny.character.drawn import figure_embedding
from bunny.core import workspace
from bunny.table import store

BOX = ("x0_px", "y0_px", "x1_px", "y1_px")
SPOT = (10.0, 5.0, 50.0, 55.0)  # where a face or figure is, unless said otherwise

# -- filter -------------------------------------------------------------------------------------

GOOD = {
    "blur_score": 0.9,
    "smear": 0.1,
    "blockiness": 0.1,
    "brightness": 0.5,
    "contrast": 0.2,
    "dynamic_range": 0.8,
    "background_share": 0.3,
    "text_share": 0.0,
    "subtitle_share": 0.0,
    "text_lines": 0,
}
WEAK: tuple[dict[str, Any], ...] = (
    {},
    {"blur_score": 0.2},
    {"brightness": 0.08},
    {"brightness": 0.95},
    {"contrast": 0.03},
    {"smear": 0.7},
    {"blockiness": 0.55},
    {"subtitle_share": 0.05},
    {"text_lines": 2, "background_share": 0.95},  # a title
    {"text_lines": 6, "background_share": 0.95},  # credits
    {"phash": 0b111, "blur_score": 0.8},
    {"phash": 0, "blur_score": 0.7},  # three bits from the one before
)
TWIN = 10, 11  # frames of about the same signature


def measured(folder: Path) -> setting_effect.Film:
    """Twelve frames, nine of which are good by the settings as they come."""
    rng = np.random.default_rng(0)
    rows = []
    for number, weak in enumerate(WEAK):
        signature = rng.integers(0, 255, 1024)
        if number == TWIN[1]:
            signature = rows[TWIN[0]]["signature"] // 8 * 8  # a likeness between 0.99 and 1
        row = {"frame_id": frame_id(number), "phash": int(rng.integers(1 << 62)), **GOOD, **weak}
        rows.append({**row, "signature": signature, "tile_sharpness": [100.0] * 144})
    return by_hand(folder, {}, pictures=[GREY] * len(WEAK), tables={"measure": rows})


# -- cluster ------------------------------------------------------------------------------------

PLACES = (0, 25, 44, 75, None)  # degrees in a plane; None: at a right angle to it
PEOPLE = (0, 2, 40, 42, 110)  # unknown faces, each a track
FIGURES = (0, 2, 40, 42)  # unknown drawn figures, each a track of two views


def placed(folder: Path) -> setting_effect.Film:
    """Five frames with scene vectors, unknown faces and unknown figures, each in a shot."""
    faces = [face_row(number, unit(degrees)) for number, degrees in enumerate(PEOPLE)]
    figures = [
        figure_row(number, unit(degrees), track=f"t{number}", view=view)
        for number, degrees in enumerate(FIGURES)
        for view in range(2)
    ]
    tables = {
        "face": [row | {"track_id": f"t{number}"} for number, row in enumerate(faces)],
        "label": [_label_row(row) for row in faces],
        "region": (),
        "figure": figures,
    }
    pictures = [GREY] * len(PLACES)
    film = by_hand(folder, {}, pictures=pictures, tables=tables, stages=["cluster"])
    rows = [
        {"frame_id": frame_id(number), "model": "by hand", "vector": unit(degrees)}
        for number, degrees in enumerate(PLACES)
    ]
    fill_shard(film, "cluster", "scene", "embedding", rows)
    return film


def unit(degrees: float | None) -> list[float]:
    """A unit vector of three numbers; None: at a right angle to all others."""
    if degrees is None:
        return [0.0, 0.0, 1.0]
    angle = np.radians(degrees)
    return [float(np.cos(angle)), float(np.sin(angle)), 0.0]


def face_row(
    frame: int, embedding: list[float], *, index: int = 0, box=SPOT, score: float = 0.9
) -> dict[str, Any]:
    """A clear frontal face."""
    return {
        "face_id": f"{frame_id(frame)}-f{index:02d}",
        "frame_id": frame_id(frame),
        "shot_index": frame,
        **dict(zip(BOX, box, strict=True)),
        "detector": "yunet",
        "score": score,
        "landmark": [0.0] * 10,
        "yaw": 0.0,
        "size_px": box[3] - box[1],
        "sharpness": 900.0,
        "recogniser": "sface",
        "embedding": embedding,
    }


def figure_row(
    frame: int, embedding: list[float], *, track: str | None = None, view: int = 0, **own: Any
) -> dict[str, Any]:
    """A place that surely is a figure."""
    return {
        "figure_id": f"{frame_id(frame)}-g{view:02d}",
        "frame_id": frame_id(frame),
        "shot_index": frame,
        **dict(zip(BOX, SPOT, strict=True)),
        "objectness": 1.0,
        "embedding": embedding,
        "track_id": track,
        "source": "window",
        "model": "by hand",
        **own,
    }


def _label_row(face: dict[str, Any]) -> dict[str, Any]:
    """The label of a face that nobody is known by."""
    own = {name: face[name] for name in ("frame_id", "shot_index", *BOX)}
    return {
        "subject_id": face["face_id"],
        "subject_type": "face",
        "confidence": 0.5,
        "source": "reference",
        **own,
    }


# -- detect: faces ------------------------------------------------------------------------------

ANNA, BEN = np.full((64, 64, 3), 60, np.uint8), np.full((64, 64, 3), 190, np.uint8)
PHOTOGRAPHED = {
    "detection": {
        "medium": "photographed",
        "is_drawn_enabled": False,
        "extra_interval_seconds": 0,
    }
}


def named(folder: Path) -> setting_effect.Film:
    """Faces like Anna to 0.5 and 0.3, one like both, one doubtful, and three in one frame."""
    faces = [
        face_row(0, like(0, anna=0.5), box=(0, 0, 40, 60)),
        face_row(1, like(1, anna=0.3), box=(0, 0, 40, 60)),
        face_row(2, like(2, anna=0.5, ben=0.42), box=(0, 0, 40, 60)),
        face_row(3, like(3), score=0.75, box=(0, 0, 40, 60)),
        *(
            face_row(4, like(4 + i), index=i, box=(100 * i, 0, 100 * i + 40, 30 + 10 * i))
            for i in range(3)  # of 30, 40 and 50 pixels
        ),
    ]
    return _with_faces(folder, faces, num_frames=5)


def doubtful(folder: Path) -> setting_effect.Film:
    """`named` with what stage review needs to know of the film."""
    film = named(folder)
    height, width = GREY.shape[:2]
    space = workspace.locate(film.root, str(film.data), film.film_id)
    rows = [film_row("film", 5, width_px=width, height_px=height)]
    for name, own in {"film": rows, "shot": shot_rows("film", 5, 1)}.items():
        store.write(space.table, name, store.from_rows(name, own))
    return film


def with_strangers(folder: Path) -> setting_effect.Film:
    """Ten frames with two faces each that are like nobody, and one that is like Anna to 0.35."""
    faces = [
        face_row(
            frame, like(2 * frame + index), index=index, box=(100 * index, 0, 100 * index + 40, 60)
        )
        for frame in range(10)
        for index in range(2)
    ]
    faces.append(face_row(10, like(20, anna=0.35), box=(0, 0, 40, 60)))
    return _with_faces(folder, faces, num_frames=11)


def varied(folder: Path) -> setting_effect.Film:
    """Twenty shots of two people and two frames each; light changes from frame to frame.

    A vector is who it is and, as strongly, how the light is; light has 4 directions of 24.
    """
    rng = np.random.default_rng(0)
    faces = []
    for shot in range(20):
        who = rng.normal(size=(2, 20))
        for view in range(2):
            light = rng.normal(size=(2, 4))
            for index in range(2):
                vector = np.concatenate([_to_unit(who[index]), _to_unit(light[index])])
                box = (100 * index, 0, 100 * index + 40, 60)
                row = face_row(2 * shot + view, _to_unit(vector).tolist(), index=index, box=box)
                faces.append(row | {"shot_index": shot})
    shots = {number: number // 2 for number in range(40)}
    return _with_faces(folder, faces, num_frames=40, shots=shots)


def like(own: int, *, anna: float = 0.0, ben: float = 0.0) -> list[float]:
    """A unit vector with these cosines to Anna and Ben; what is left is like nobody else."""
    vector = np.zeros(32)
    vector[:2] = anna, ben
    vector[2 + own] = np.sqrt(1 - anna**2 - ben**2)
    return vector.tolist()


def _with_faces(
    folder: Path,
    faces: list[dict[str, Any]],
    *,
    num_frames: int,
    shots: dict[int, int] | None = None,
) -> setting_effect.Film:
    """A photographed film with these faces; Anna and Ben are the first two axes."""
    film = by_hand(
        folder,
        PHOTOGRAPHED,
        pictures=[GREY] * num_frames,
        references={"anna": ANNA, "ben": BEN},
        shots=shots,
        stages=["detect"],
    )
    fill_shard(film, "detect", "face", "face", faces)
    length = len(faces[0]["embedding"])
    rows = [
        {
            "reference_id": f"{name}/1.png",
            "character": name,
            "content_hash": "0" * 64,
            "route": "face",
            "is_drawn": False,
            "num_faces": 1,
            "recogniser": "sface",
            "face_embedding": np.eye(length)[axis].tolist(),
        }
        for axis, name in enumerate(("anna", "ben"))
    ]
    fill_shard(film, "detect", "reference", "reference", rows)
    return film


def _to_unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


# -- detect: regions and figures ----------------------------------------------------------------


def with_regions(folder: Path) -> setting_effect.Film:
    """Two photographed shots of a frame each: like Anna to 0.7, ahead by 0.3; to 0.5, by 0.15."""
    film = by_hand(
        folder,
        {"detection": {"medium": "photographed", "extra_interval_seconds": 0}},
        pictures=[GREY] * 2,
        references={"anna": ANNA, "ben": BEN},
        stages=["detect"],
    )
    rows = [
        {
            "region_id": f"{frame_id(frame)}-r00",
            "frame_id": frame_id(frame),
            "shot_index": frame,
            "candidate": "anna",
            **dict(zip(BOX, SPOT, strict=True)),
            "similarity": similarity,
            "margin": margin,
            "model": "efficientnet-lite0",
        }
        for frame, (similarity, margin) in enumerate([(0.7, 0.3), (0.5, 0.15)])
    ]
    fill_shard(film, "detect", "region", "region", rows)
    return film


def with_figures(folder: Path) -> setting_effect.Film:
    """Two drawn shots of a frame each, with scores of 1.0 and 0.85 for Anna."""
    film = by_hand(
        folder,
        {"detection": {"medium": "drawn", "extra_interval_seconds": 0}},
        pictures=[GREY] * 2,
        references={"anna": ANNA, "ben": BEN},
        stages=["detect"],
    )
    rows = [
        figure_row(frame, unit(0), candidate="anna", similarity=similarity, margin=margin)
        | {"model": figure_embedding.NAME}
        for frame, (similarity, margin) in enumerate([(0.5, 0.25), (0.45, 0.2)])
    ]
    fill_shard(film, "detect", "figure", "figure", rows)
    return film

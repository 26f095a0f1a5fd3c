"""Small films made for the effects of settings: encoded ones, and ones whose tables are by hand.

A film by hand has pictures that show nothing. Its stage runs once, then what it measured, which
lies in shards, is replaced by numbers that can be worked out in the head; moved settings decide
over them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import setting_effect
import yaml

from bunny import pipeline
from bunny.core import config as configuration
from bunny.core import file_hash, workspace
from bunny.core.workspace import Workspace
from bunny.table import store

ROOT = Path(__file__).resolve().parents[2]
RATE = 24
GREY = np.full((64, 96, 3), 127, np.uint8)


def frame_id(number: int) -> str:
    """Id of a frame of a film by hand."""
    return f"film-{number:08d}"


def by_hand(
    folder: Path,
    settings: Mapping[str, Mapping[str, Any]],
    *,
    pictures: Sequence[np.ndarray],
    references: Mapping[str, np.ndarray] | None = None,
    tables: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
    shots: Mapping[int, int] | None = None,
    stages: Sequence[str] = (),
) -> setting_effect.Film:
    """Write a film of pictures and run stages on it.

    `references` are pictures (BGR) by the character's name, `tables` rows by the table's. Each
    picture is a shot of its own, unless `shots` says in which it is.
    """
    space = _workspace(folder, settings)
    rows = []
    for number, picture in enumerate(pictures):
        file = f"frame/{number:08d}.png"
        _write_picture(space.root / file, picture)
        shot = number if shots is None else shots[number]
        rows.append(_frame_row(number, file, picture) | {"shot_index": shot})
    for name, picture in (references or {}).items():
        _write_picture(folder / "reference" / name / "1.png", picture)
    empty = {"film": (), "shot": (), "measure": (), "change": ()}
    for name, content in {"frame": rows, **empty, **(tables or {})}.items():
        store.write(space.table, name, store.from_rows(name, content))
    given = folder / "reference" if references else None
    workspace.write_source(space, str(folder / "film.mp4"), "0" * 64, given)
    return _run(folder, space, stages)


def encoded(
    folder: Path,
    film: Path,
    settings: Mapping[str, Mapping[str, Any]],
    *,
    references: Mapping[str, np.ndarray] | None = None,
    stages: Sequence[str] = (),
) -> setting_effect.Film:
    """Take an encoded film and run stages on it."""
    space = _workspace(folder, settings)
    for name, picture in (references or {}).items():
        _write_picture(folder / "reference" / name / "1.png", picture)
    given = folder / "reference" if references else None
    workspace.write_source(space, str(film), file_hash.hash_path(film), given)
    return _run(folder, space, stages)


def fill_shard(
    film: setting_effect.Film, stage: str, kind: str, table: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Put rows by hand where a stage has left what it measured; it has to decide again."""
    folder = film.data / "output" / film.film_id / "stage" / stage
    (path,) = (folder / "shard" / kind).glob("*/000000")
    store.write(path, table, store.from_rows(table, rows))
    (folder / "stage.json").unlink(missing_ok=True)


def encode(
    path: Path,
    *streams: Sequence[np.ndarray],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    marks: Mapping[str, int] | None = None,
) -> Path:
    """Encode RGB pictures at 24 a second, one stream for each sequence; `marks` tell of colour."""
    with av.open(str(path), "w") as out:
        made = []
        for pictures in streams:
            stream = out.add_stream(codec, rate=RATE, options=dict(options or {}))
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.thread_count = 1
            for name, value in (marks or {}).items():
                setattr(stream.codec_context, name, value)
            made.append(stream)
        for stream, pictures in zip(made, streams, strict=True):
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                out.mux(stream.encode(frame.reformat(format=pix_fmt)))
            out.mux(stream.encode(None))
    return path


def texture(seed: int, height: int = 96, width: int = 160) -> np.ndarray:
    """A soft picture of its own, RGB."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 10, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _workspace(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> Workspace:
    """The folders of a film, in a project with these settings."""
    (folder / "config").mkdir(parents=True)
    shutil.copy(ROOT / "config" / "main.yaml", folder / "config")
    own = folder / "config" / "local_own.yaml"
    own.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
    film_id, data = "film-00000000", folder / "data"
    space = Workspace(
        film_id=film_id,
        root=data / "output" / film_id,
        checkpoint=data / "checkpoint" / film_id,
        log=data / "log",
    )
    space.root.mkdir(parents=True)
    return space


def _run(folder: Path, space: Workspace, stages: Sequence[str]) -> setting_effect.Film:
    if stages:
        config = configuration.load(folder, [], film_id=space.film_id, environment={})
        pipeline.run(space, config, stages)
    return setting_effect.Film(root=folder, data=folder / "data", film_id=space.film_id)


def _frame_row(number: int, file: str, picture: np.ndarray) -> dict[str, Any]:
    time = {"pts": number, "time_base_num": 1, "time_base_den": RATE, "timestamp_s": number / RATE}
    return {
        "frame_id": frame_id(number),
        "film_id": "film",
        "frame_index": number,
        "file": file,
        "width_px": picture.shape[1],
        "height_px": picture.shape[0],
        "reason": "shot-median",
        **time,
    }


def _write_picture(path: Path, bgr: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, bgr)[1].tobytes())

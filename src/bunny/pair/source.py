"""Pictures, states and places of a film's characters, read from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.dataset import view
from bunny.pair.change import CharacterState
from bunny.pair.reference_pair import PairPicture

TABLES = ("frame", "quality", "face", "label", "embedding", "candidate", "dataset")
SAME_PLACE = 0.95  # cosine from which a shot without training pictures counts as a held-out one's
SPLITS = ("train", "held-out")


@dataclass(frozen=True, kw_only=True)
class CharacterFrame:
    """A stored picture in which a character was found."""

    frame_id: str
    shot_index: int
    timestamp_s: float
    file: str
    size: tuple[int, int]  # width, height
    confidence: float  # 1 where a person said who it is
    state: CharacterState
    boxes: tuple[tuple[float, float, float, float], ...]  # of all figures in it


class PlaceVectors:
    """Scene vectors of a film's frames.

    Parameters
    ----------
    embedding : pl.DataFrame
        Table ``embedding``; of several models the first by name.
    """

    def __init__(self, embedding: pl.DataFrame) -> None:
        known = embedding.filter(pl.col("vector").is_not_null())
        if known.height:
            known = known.filter(pl.col("model") == known["model"].min())
        self._row = {frame_id: i for i, frame_id in enumerate(known["frame_id"])}
        vectors = known["vector"].to_numpy() if known.height else np.zeros((0, 1), np.float32)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vector = vectors / np.maximum(length, 1e-9)

    def similarity(self, one: str, two: str) -> float:
        """Cosine of two frames' vectors; 1, so that nothing is made of it, where one has none."""
        if one not in self._row or two not in self._row:
            return 1.0
        return float(self._vector[self._row[one]] @ self._vector[self._row[two]])


def read_pictures(tables: Mapping[str, pl.DataFrame]) -> dict[str, list[PairPicture]]:
    """Training pictures by character, with what pairs are chosen by.

    Parameters
    ----------
    tables : mapping
        Those of `TABLES`.

    Returns
    -------
    dict
        Characters in their order; class pictures are left out.
    """
    times = dict(tables["frame"].select("frame_id", "timestamp_s").iter_rows())
    candidates = {
        (row["subject_id"], row["character"]): row for row in tables["candidate"].to_dicts()
    }
    named = _names(tables["label"])
    said = _said_by_people(tables["label"])
    found: dict[str, list[PairPicture]] = {}
    rows = tables["dataset"].filter(
        pl.col("role").cast(pl.String).fill_null("subject") == "subject"
    )
    for row in rows.sort("character", "image_id").to_dicts():
        who = row["character"]
        known = candidates.get((row["subject_id"], who))
        if known is None or row["frame_id"] not in times:
            continue
        is_said = (row["subject_id"], who) in said
        found.setdefault(who, []).append(
            PairPicture(
                timestamp_s=times[row["frame_id"]],
                crop_area=(row["x1_px"] - row["x0_px"]) * (row["y1_px"] - row["y0_px"]),
                subject_px=known["size_px"],
                num_others=known["num_others"],
                pose=known["pose"],
                confidence=1.0 if is_said else known["confidence"],
                also_shown=tuple(sorted(named.get(row["frame_id"], set()) - {who})),
                **{
                    name: row[name]
                    for name in (
                        "image_id",
                        "frame_id",
                        "character",
                        "split",
                        "shot_index",
                        "file",
                        "mask_file",
                        "caption",
                        "shot_size",
                    )
                },
            )
        )
    return found


def read_clips(tables: Mapping[str, pl.DataFrame]) -> dict[str, list[PairPicture]]:
    """Clips by character, each as the kept frame nearest to its middle.

    Parameters
    ----------
    tables : mapping
        `clip` and `frame`.
    """
    frames: dict[int, list[tuple[float, str]]] = {}
    for shot, time, frame_id in (
        tables["frame"].select("shot_index", "timestamp_s", "frame_id").iter_rows()
    ):
        frames.setdefault(shot, []).append((time, frame_id))
    found: dict[str, list[PairPicture]] = {}
    for row in tables["clip"].sort("character", "start_s", "clip_id").iter_rows(named=True):
        middle = (row["start_s"] + row["end_s"]) / 2
        own = frames.get(row["shot_index"], [])
        if not own:
            continue
        nearest = min(own, key=lambda one: (abs(one[0] - middle), one[1]))
        found.setdefault(row["character"], []).append(
            PairPicture(
                image_id=row["clip_id"],
                frame_id=nearest[1],
                timestamp_s=middle,
                mask_file=None,
                pose="unknown",
                shot_size="",
                crop_area=0.0,
                subject_px=0.0,
                confidence=1.0,
                also_shown=tuple(row["also_shown"]),
                **{
                    name: row[name]
                    for name in ("character", "split", "shot_index", "file", "caption")
                },
            )
        )
    return found


def read_states(tables: Mapping[str, pl.DataFrame]) -> dict[str, list[CharacterFrame]]:
    """Stored pictures by character, in film order; of frames that the filter did not drop.

    Frames that are near copies of others are kept: of a shot, pairs need two of them.
    """
    reason = pl.col("reason").cast(pl.String)
    good = tables["quality"].filter(pl.col("is_kept") | (reason == "duplicate"))["frame_id"]
    frames = tables["frame"].filter(
        pl.col("file").is_not_null(), pl.col("frame_id").is_in(good.to_list())
    )
    by_id = {row["frame_id"]: row for row in frames.to_dicts()}
    face = {row["face_id"]: row for row in tables["face"].drop("embedding", "landmark").to_dicts()}
    around: dict[str, list[dict]] = {}
    for row in tables["label"].sort("subject_id").to_dicts():
        around.setdefault(row["frame_id"], []).append(row)
    found: dict[str, list[CharacterFrame]] = {}
    for frame_id, rows in around.items():
        frame = by_id.get(frame_id)
        if frame is None:
            continue
        names = [row["character"] for row in rows if row["character"]]
        for row in rows:
            who = row["character"]
            if who and names.count(who) == 1:
                made = _character_frame(row, rows, frame, face.get(row["subject_id"]))
                found.setdefault(who, []).append(made)
    for own in found.values():
        own.sort(key=lambda one: (one.timestamp_s, one.frame_id))
    return dict(sorted(found.items()))


def shot_splits(
    tables: Mapping[str, pl.DataFrame], places: PlaceVectors, character: str
) -> dict[int, str]:
    """Which side each shot is on: as its training pictures, else as the set-up it looks like.

    A shot without training pictures of the character is held out if its place is nearly a held-out
    picture's: pairs of it would show what the evaluation is to be surprised by.
    """
    rows = tables["dataset"].filter(character=character)
    own = dict(rows.select("shot_index", pl.col("split").cast(pl.String)).iter_rows())
    held = rows.filter(pl.col("split").cast(pl.String) == SPLITS[1])["frame_id"].unique().to_list()
    splits = dict(own)
    for frame_id, shot in tables["frame"].select("frame_id", "shot_index").iter_rows():
        if shot in own or splits.get(shot) == SPLITS[1]:
            continue
        near = any(places.similarity(frame_id, other) >= SAME_PLACE for other in sorted(held))
        splits[shot] = SPLITS[1] if near else SPLITS[0]
    return splits


def _character_frame(
    row: dict, around: list[dict], frame: dict, face: dict | None
) -> CharacterFrame:
    box = (row["x0_px"], row["y0_px"], row["x1_px"], row["y1_px"])
    names = frozenset(r["character"] for r in around if r["character"]) - {row["character"]}
    yaw = face["yaw"] if face else None
    return CharacterFrame(
        frame_id=frame["frame_id"],
        shot_index=frame["shot_index"],
        timestamp_s=frame["timestamp_s"],
        file=frame["file"],
        size=(frame["width_px"], frame["height_px"]),
        confidence=1.0 if row["source"] == "person" else row["confidence"],
        state=CharacterState(
            box=box,
            is_face=face is not None,
            pose=view.pose_of(yaw),
            yaw=yaw,
            mouth=face["mouth"] if face else None,
            others=names,
            num_figures=len(around),
        ),
        boxes=tuple((r["x0_px"], r["y0_px"], r["x1_px"], r["y1_px"]) for r in around),
    )


def _names(label: pl.DataFrame) -> dict[str, set[str]]:
    """Who is named in each frame."""
    found: dict[str, set[str]] = {}
    rows = label.filter(pl.col("character").is_not_null()).select("frame_id", "character")
    for frame_id, name in rows.iter_rows():
        found.setdefault(frame_id, set()).add(name)
    return found


def _said_by_people(label: pl.DataFrame) -> set[tuple[str, str]]:
    """Subjects whose name is a person's word."""
    rows = label.filter(pl.col("source").cast(pl.String) == "person")
    return set(rows.select("subject_id", "character").drop_nulls().iter_rows())

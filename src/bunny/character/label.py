"""From measured faces and regions to who is who; no pixel is read, so a moved threshold is cheap.

A face is named by its track. A person whose face alone is not sure enough is still named when a
second witness agrees: the place around the face looks like that person's picture, and the face
leans the same way. Alone, the look of a person's surroundings proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from bunny.character import drawn, match, track

WITNESS_SIMILARITY = 0.2  # of a face that may be named with the help of a region
WITNESS_MARGIN = 0.1  # to its second best candidate
BOX = ["x0_px", "y0_px", "x1_px", "y1_px"]


@dataclass(frozen=True, kw_only=True)
class LabelSetting:
    """Thresholds on the common scale of `embed.to_similarity` and on centred cosines."""

    similarity_threshold: float
    min_margin: float
    drawn_threshold: float
    drawn_margin: float


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who may be found: face vectors (m, d) by character, and who is looked for by look."""

    face: Mapping[str, np.ndarray]
    drawn: frozenset[str]
    num_pictured: int  # characters whose pictures were compared with windows


def read_cast(reference: pl.DataFrame) -> Cast:
    """Read table `reference`: a character with a picture without a face is looked for by look."""
    usable = reference.filter(pl.col("error").is_null())
    faces: dict[str, list] = {}
    with_face = usable.filter(pl.col("face_embedding").is_not_null())
    for row in with_face.iter_rows(named=True):
        faces.setdefault(row["character"], []).append(row["face_embedding"])
    return Cast(
        face={name: np.array(vectors, np.float32) for name, vectors in faces.items()},
        drawn=frozenset(usable.filter(pl.col("route") == "region")["character"].to_list()),
        num_pictured=usable["character"].n_unique(),
    )


def link_tracks(
    face: pl.DataFrame, frame: pl.DataFrame, film_id: str
) -> tuple[pl.DataFrame, list[dict]]:
    """Follow faces through their shots.

    Parameters
    ----------
    face : pl.DataFrame
        Rows of table `face`; `track_id` is overwritten.
    frame : pl.DataFrame
        Columns `frame_id`, `frame_index`.
    film_id : str

    Returns
    -------
    face : pl.DataFrame
        With `track_id`.
    track : list of dict
        Rows of table `track`.
    """
    face = face.drop("track_id").join(frame.select("frame_id", "frame_index"), on="frame_id")
    face = face.sort("shot_index", "frame_index", "face_id")
    track_ids: dict[str, str] = {}
    rows: list[dict] = []
    for shot in face.partition_by("shot_index", maintain_order=True):
        vector = _vectors(shot)
        number = track.link_faces(
            shot["frame_index"].to_list(),
            shot.select(BOX).to_numpy(),
            vector,
            shot["recogniser"][0],
        )
        quality = track.view_quality(
            *(shot[c].to_numpy() for c in ("score", "yaw", "size_px", "sharpness"))
        )
        for k in range(number.max() + 1):
            own = np.flatnonzero(number == k)
            track_id = f"{film_id}-t{len(rows):05d}"
            rows.append(_track_row(track_id, shot[own], vector[own], quality[own]))
            track_ids |= dict.fromkeys(shot["face_id"].gather(own).to_list(), track_id)
    ids = pl.Series("track_id", [track_ids[i] for i in face["face_id"]], dtype=pl.String)
    return face.drop("frame_index").with_columns(ids), rows


def decide(
    face: pl.DataFrame,
    tracks: list[dict],
    region: pl.DataFrame,
    cast: Cast,
    setting: LabelSetting,
) -> list[dict]:
    """Name every face and every accepted region.

    Parameters
    ----------
    face, region : pl.DataFrame
        Rows of their tables; `face` with `track_id`, `region` with `support` (`drawn.vote`).
    tracks : list of dict
        From `link_tracks`.

    Returns
    -------
    list of dict
        Rows of table `label`: one a face (`character` None when unknown), one a region that was
        accepted.
    """
    accepted = {
        "threshold": setting.drawn_threshold,
        "min_margin": setting.drawn_margin,
        "num_candidates": cast.num_pictured,
    }
    mine = drawn.select_regions(region.lazy(), sorted(cast.drawn), **accepted).collect()
    others = sorted(set(cast.face) - cast.drawn)
    witness = drawn.select_regions(region.lazy(), others, **accepted).collect()
    labels = _face_labels(face, tracks, cast, setting, witness)
    return labels + [_region_label(row, cast) for row in mine.iter_rows(named=True)]


def _face_labels(face, tracks, cast, setting, witness) -> list[dict]:
    if not face.height:
        return []
    recogniser = face["recogniser"][0]
    embedding = np.array([t["embedding"] for t in tracks], np.float32)
    names, similarity = match.compare(embedding, cast.face, recogniser)
    found = match.decide(
        names,
        similarity,
        threshold=setting.similarity_threshold,
        min_margin=setting.min_margin,
    )
    frames = dict(face.group_by("track_id").agg("frame_id").iter_rows())
    seen = [set(frames[t["track_id"]]) for t in tracks]
    known = match.resolve_conflicts(found.character, found.similarity, seen)
    place = {t["track_id"]: i for i, t in enumerate(tracks)}
    taken = {
        (frame_id, name)
        for name, ids in zip(known, seen, strict=True)
        if name is not None
        for frame_id in ids
    }
    rows = []
    for row in face.iter_rows(named=True):
        i = place[row["track_id"]]
        name, confidence = known[i], float(found.confidence[i])
        if name is None and found.character[i] is not None:
            confidence = 1 - confidence  # lost its name to a likelier face in the same frame
        if name is None and names and (row["frame_id"], found.best[i]) not in taken:
            second = _second_witness(row, found, i, witness)
            if second is not None:
                name, confidence = found.best[i], second
                taken.add((row["frame_id"], name))
        margin = float(found.margin[i])
        rows.append(
            {
                "subject_id": row["face_id"],
                "subject_type": "face",
                "character": name,
                **{c: row[c] for c in ("frame_id", "shot_index", *BOX)},
                "distance": 1 - float(found.similarity[i]) if names else None,
                "margin": margin if len(names) > 1 else None,
                "confidence": confidence,
                "source": "reference",
            }
        )
    return rows


def _second_witness(row: dict, found: match.Match, i: int, witness: pl.DataFrame) -> float | None:
    """Confidence from a region that agrees with a face; None when there is none."""
    if found.similarity[i] < WITNESS_SIMILARITY or found.margin[i] < WITNESS_MARGIN:
        return None
    x, y = (row["x0_px"] + row["x1_px"]) / 2, (row["y0_px"] + row["y1_px"]) / 2
    around = witness.filter(
        pl.col("frame_id") == row["frame_id"],
        pl.col("candidate") == found.best[i],
        pl.lit(x).is_between("x0_px", "x1_px"),
        pl.lit(y).is_between("y0_px", "y1_px"),
    )
    if not around.height:
        return None
    chance = match.confidence(
        around["support"].to_numpy(), around["margin"].to_numpy(), drawn.WEIGHT
    )
    return float(chance[0])


def _region_label(row: dict, cast: Cast) -> dict:
    is_alone = cast.num_pictured == 1
    chance = match.confidence(np.float32(row["support"]), np.float32(row["margin"]), drawn.WEIGHT)
    return {
        "subject_id": row["region_id"],
        "subject_type": "region",
        "character": row["candidate"],
        **{c: row[c] for c in ("frame_id", "shot_index", *BOX)},
        "distance": 1 - row["similarity"],
        "margin": None if is_alone else row["margin"],
        "confidence": float(chance),
        "source": "reference",
    }


def _track_row(track_id: str, faces: pl.DataFrame, vector: np.ndarray, quality: np.ndarray) -> dict:
    return {
        "track_id": track_id,
        "shot_index": faces["shot_index"][0],
        "first_frame_index": faces["frame_index"].min(),
        "last_frame_index": faces["frame_index"].max(),
        "num_faces": faces.height,
        "best_face_id": faces["face_id"][int(np.argmax(quality))],
        "embedding": track.mean_of_best(vector, quality),
    }


def _vectors(face: pl.DataFrame) -> np.ndarray:
    return np.array(face["embedding"].to_list(), dtype=np.float32)

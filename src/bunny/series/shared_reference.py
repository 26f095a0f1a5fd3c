"""Reference pictures that films share: kept with the library, given to films that would use them.

A film gets the pictures of a name only where its own rules (`character.label`), asked with these
beside its own references, name somebody who has no name yet, and change no name that is there. A
person's word in a film stays above: what a person said is somebody else, or not this one, does
not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character import label, match
from bunny.core import file_hash, reference_folder
from bunny.core.config import DetectionConfig
from bunny.table import corrected, store

TABLES = ("face", "track", "reference", "label", "asset")
MAX_PICTURES = 8  # of a name; more views make strangers pass, see `match.compare`


@dataclass(frozen=True, kw_only=True)
class NewTracks:
    """Tracks of a film that would get a name by further references."""

    similarity: Mapping[str, float]  # to the references, by track_id
    why: str = ""  # there is none


def describe(
    name: str,
    identity_id: str,
    pictures: Sequence[tuple[Path, str, list | None]],
    film_id: str,
    model: str,
) -> tuple[pl.DataFrame, dict[str, bytes]]:
    """Pictures of a name as the library keeps them; nothing is written.

    Parameters
    ----------
    pictures : sequence of (Path, str, vector or None)
        Each with what it is called in the film it comes from, and the face's embedding.
    film_id, model : str
        Where they come from, and what made the vectors.

    Returns
    -------
    pl.DataFrame
        Rows of table `library_reference`.
    dict of str to bytes
        Files by reference_id.
    """
    rows, files = [], {}
    for path, called, vector in list(pictures)[:MAX_PICTURES]:
        stem = called.removeprefix(reference_folder.PREFIX)
        file = f"{reference_folder.PREFIX}{film_id}_{stem}"
        files[f"{name}/{file}"] = path.read_bytes()
        rows.append(
            {
                "reference_id": f"{name}/{file}",
                "identity_id": identity_id,
                "film_id": film_id,
                "sha256": file_hash.hash_path(path),
                "model": model,
                "vector": vector,
            }
        )
    return store.from_rows("library_reference", rows), files


def read_tables(folder: Path) -> dict[str, pl.DataFrame]:
    """What `find_new_tracks` reads of a film, its labels twice: the machine's and as corrected."""
    tables = {name: store.read_or_empty(folder, name) for name in TABLES}
    return tables | {"said": corrected.read_or_empty(folder, "label")}


def find_new_tracks(
    tables: Mapping[str, pl.DataFrame],
    name: str,
    vector: np.ndarray,
    wanted: DetectionConfig,
    seed: int,
    rejected: np.ndarray | None = None,
) -> NewTracks:
    """Find the tracks of a film that would get a name by further references.

    Parameters
    ----------
    tables : mapping
        From `read_tables`.
    vector : np.ndarray, shape (m, d), float32
        Faces of its reference pictures.
    wanted : DetectionConfig
        Of the film.
    rejected : np.ndarray, shape (k, d), float32, optional
        Faces that people said are not this one, in any film: tracks that are more like one of these
        than like the pictures do not count.

    Returns
    -------
    NewTracks
        Tracks that have no name and would have this one; none where another name would change.
    """
    face = tables["face"].filter(pl.col("error").is_null()).drop_nulls(["track_id", "embedding"])
    tracks = tables["track"].to_dicts()
    if face.is_empty():
        return NewTracks(similarity={}, why="no faces")
    cast = label.read_reference_set(tables["reference"])
    if name.casefold() in {one.casefold() for one in cast.face}:
        return NewTracks(similarity={}, why="has reference pictures of its own")
    with_name = label.ReferenceSet(
        face={**cast.face, name: np.asarray(vector, np.float32)},
        drawn=cast.drawn,
        num_pictured=cast.num_pictured + 1,
        num_figures=cast.num_figures,
    )
    before, _ = _names(face, tracks, cast, wanted, seed)
    after, compared = _names(face, tracks, with_name, wanted, seed)
    like = compared.similarity[:, compared.names.index(name)]
    refused = _refused(tables, face, name)
    if rejected is not None and len(rejected):
        refused |= _like_rejected(face, tracks, name, vector, rejected)
    gained: dict[str, float] = {}
    for row, old, new, similarity in zip(tracks, before, after, like, strict=True):
        track_id = row["track_id"]
        if old is not None and new != old:
            return NewTracks(similarity={}, why=f"would take {old}'s name from {track_id}")
        if old is None and new == name and track_id not in refused:
            gained[track_id] = float(similarity)
    why = "" if gained else "no unnamed person resembles it"
    return NewTracks(similarity=gained, why=why)


def _names(
    face: pl.DataFrame, tracks: list[dict], cast: label.ReferenceSet, wanted, seed: int
) -> tuple[list[str | None], label.TrackSimilarity]:
    """Name of each track by some references, as stage detect decides it, and by what."""
    learned = label.calibrate_film(face, tracks, cast, wanted, seed)
    compared = label.compare(face, tracks, cast, learned)
    if compared.view is None or not cast.face:
        return [None] * len(tracks), compared
    named = match.name_tracks(
        compared.view,
        compared.seen,
        cast.face,
        threshold=label.face_threshold(wanted, learned),
        min_margin=wanted.min_margin,
        adaptation=learned.trial.adaptation,
        compared=(compared.names, compared.similarity),
    )
    return named.name, compared


def _like_rejected(face, tracks: list[dict], name: str, vector, rejected) -> set[str]:
    """Tracks that are more like what is not somebody than like the one."""
    view = match.read_views(face, tracks)
    own = match.compare(view.portrait, {name: np.asarray(vector, np.float32)}, view.recogniser)[1]
    nearest = match.nearest_rejected(view.portrait, rejected, view.recogniser)
    return {
        row["track_id"] for row, is_out in zip(tracks, nearest > own[:, 0], strict=True) if is_out
    }


def _refused(tables: Mapping[str, pl.DataFrame], face: pl.DataFrame, name: str) -> set[str]:
    """Tracks that a person gave to somebody else, or said are not this one."""
    track_of = dict(face.select("face_id", "track_id").iter_rows())
    said = tables["said"].filter(pl.col("source") == "person", pl.col("character") != name)
    found = {track_of.get(one, "") for one in said["subject_id"]}
    asset = tables["asset"].filter(pl.col("rejected_from").list.contains(name).fill_null(False))
    return found | set(asset["asset_id"])

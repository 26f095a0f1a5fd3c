"""Labels of a whole film, decided over what was measured; no pixel is read.

Faces are selected and followed, the film calibrates its own threshold, regions and figures vote,
and all of it names the characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from bunny.character import detection_row, label, track
from bunny.character.drawn import figure_label
from bunny.character.face import detect
from bunny.core.config import DetectionConfig
from bunny.table import store


@dataclass(frozen=True, kw_only=True)
class FilmDetections:
    """What was found in a film before thresholds: faces, regions and drawn figures."""

    frame: pl.DataFrame  # stored frames with a picture, by frame_index
    extra_frame: pl.DataFrame  # table `extra_frame`, by frame_index
    face: pl.DataFrame  # all faces of stored frames; an unreadable one is a row with an error
    extra_face: pl.DataFrame  # of frames between
    region: pl.DataFrame
    figure: pl.DataFrame


def label_film(
    found: FilmDetections, cast: label.ReferenceSet, wanted: DetectionConfig, seed: int
) -> Mapping[str, pl.DataFrame]:
    """Decide who is who.

    Parameters
    ----------
    cast : ReferenceSet
        Whom to look for.
    wanted : DetectionConfig
        Its thresholds.
    seed : int
        Of the adaptation to the film.

    Returns
    -------
    mapping of str to pl.DataFrame
        Tables label, face, track, region, figure, pair and calibration.
    """
    frame = found.frame
    film_id = frame["film_id"][0] if frame.height else ""
    more = found.extra_frame
    seen = pl.concat([frame, more.select(frame.columns)]) if more.height else frame
    broken = found.face.filter(pl.col("error").is_not_null())
    face = select_faces(detection_row.stack("face", found.face, found.extra_face), wanted)
    face, tracks = track.link_tracks(face, seen, film_id)
    learned = label.calibrate_film(face, tracks, cast, wanted, seed)
    looked_at = frame.filter(~pl.col("frame_id").is_in(broken["frame_id"].to_list()))
    counts = looked_at.group_by("shot_index").agg(pl.len().alias("num_frames"))
    region = figure_label.link_regions(found.region, frame, film_id)
    region = label.vote(region, counts, wanted)
    figures = figure_label.vote(figure_label.link_figures(found.figure, seen, film_id))
    of_figures = store.from_rows("region", figure_label.to_regions(figures).to_dicts())
    region = pl.concat([region.select(of_figures.columns), of_figures])
    labels = label.decide(face, tracks, region, cast, wanted, learned)
    calibration = [label.calibration_row(wanted, learned)] if frame.height else []
    return {
        "label": store.from_rows("label", labels),
        "face": detection_row.stack("face", face, broken),
        "track": store.from_rows("track", tracks),
        "region": store.check("region", region),
        "figure": store.check("figure", figures),
        "pair": store.check("pair", learned.pair),
        "calibration": store.from_rows("calibration", calibration),
    }


def select_faces(face: pl.DataFrame, wanted: DetectionConfig) -> pl.DataFrame:
    """Rows of table `face` without an error that the settings let pass."""
    return detect.select_faces(
        face.lazy().filter(pl.col("error").is_null()),
        min_score=wanted.min_face_score,
        min_size_px=wanted.min_face_px,
        max_per_frame=wanted.max_faces_per_frame,
    ).collect()

"""`bunny where`: source frame of a picture, and training pictures of a place in the film."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.library.timeline import (
    export_record,
    find_picture,
    locate,
    picture_match,
    read,
    timecode,
)
from bunny.library.timeline.clip import file_name
from bunny.library.timeline.locate import LocationAnswer, SourceFilm
from bunny.table import corrected, store
from bunny.table.box import crop_box

logger = logging.getLogger(__name__)

AT = re.compile(r"(?P<film>.*)@(?P<when>\d\d:\d\d:\d\d[:;.,]\d\d|\d+(?:\.\d+)?s?)")
CLIP = re.compile(r"(?P<file>.+)#(?P<number>\d+)")
TABLES = (
    *("shot", "frame", "extra_frame", "dataset", "caption"),
    *("picture", "evaluation_picture", "adapter", "training_run"),
)


def where(
    what: str | None = None,
    *,
    second: float | None = None,
    clip: str | None = None,
    film: str | None = None,
    data_dir: str | None = None,
) -> LocationAnswer:
    """Say where a picture comes from, or which training pictures come from a place.

    Parameters
    ----------
    what : str or None
        A picture file, an image_id or frame_id, or ``FILM@01:00:12:05`` (source timecode) or
        ``FILM@12.5`` (second of the film).
    second : float, optional
        A second of the film `film`.
    clip : str, optional
        ``FILE#3``: the third clip of a timeline.
    film : str, optional
        A film_id or how it begins; else all are searched, and the newest is meant by `second`.

    Raises
    ------
    UserError
        If not exactly one of the three is given, or nothing answers to it.
    """
    if sum(given is not None for given in (what, second, clip)) != 1:
        raise UserError(
            "expected one of PICTURE, FILM@TIMECODE, --second and --clip; see `bunny where --help`"
        )
    if clip is not None:
        return _at_clip(clip, _known(film, data_dir))
    if second is not None:
        source = _one(film, data_dir)
        return _at(source, locate.number_at_second(source.timing, second), f"{second:g} s")
    asked = str(what)  # the one that is given
    at = AT.fullmatch(asked)
    if at and not Path(asked).exists():
        source = _one(at["film"] or film, data_dir)
        return _at(source, _number(source, at["when"]), asked)
    return _find_picture(asked, _known(film, data_dir))


def _known(film: str | None, data_dir: str | None) -> list[SourceFilm]:
    """Films with tables, newest last; those meant by `film` where it is given."""
    root = workspace.project_root()
    last = [] if data_dir is None else [f"project.data_dir={json.dumps(data_dir)}"]
    folder = configuration.load(root, last).project.data_dir
    spaces = workspace.find(root, folder, film or None)
    if not spaces and film:
        spaces = [s for s in workspace.find(root, folder) if _is_file_of(s, film)]
    spaces = [s for s in spaces if store.exists(s.table, "film") and store.exists(s.table, "shot")]
    if not spaces:
        raise UserError(
            f"expected a film{f' named {film}' if film else ''} in {folder}/output, found none; "
            "create one with `bunny run FILM`"
        )
    known, refused = [], None
    for space in spaces:
        try:
            known.append(_source(space))
        except UserError as error:  # a film without a rate has no places; the others have
            refused = error
            logger.warning("skipping %s: %s", space.film_id, error)
    if refused is not None and not known:
        raise refused
    return known


def _one(film: str | None, data_dir: str | None) -> SourceFilm:
    """The film that is meant: the only one that begins so, or the newest where none is named."""
    known = _known(film, data_dir)
    if film and len(known) > 1:
        names = ", ".join(k.film["film_id"] for k in known)
        raise UserError(
            f"'{film}' matches {len(known)} films ({names}): give more characters of the film id"
        )
    return known[-1]


def _is_file_of(space: Workspace, name: str) -> bool:
    """Whether a film's file has this name or path."""
    path = space.source()["film"]
    return name in (path, file_name(path))


def _source(space: Workspace) -> SourceFilm:
    """What places need of a film."""
    tables = {name: store.read_or_empty(space.table, name) for name in TABLES}
    tables["label"] = corrected.read_or_empty(space.table, "label")
    tables["frame"] = locate.all_frames(tables["frame"], tables.pop("extra_frame"))
    film = store.read(space.table, "film").row(0, named=True)
    return SourceFilm(
        root=space.root,
        film=film,
        timing=timecode.read_grid(film, tables["shot"]),
        tables=tables,
        timelines=export_record.read(space.root),
    )


def _number(source: SourceFilm, when: str) -> int:
    """Place on the grid of a source timecode or a second."""
    if ":" not in when:
        return locate.number_at_second(source.timing, float(when.removesuffix("s")))
    try:
        return timecode.from_source_timecode(source.timing, when)
    except ValueError as error:
        raise UserError(f"{when}: {error}") from error


def _at(source: SourceFilm, number: int, asked: str) -> LocationAnswer:
    """Training pictures of the frame at a place, else of its shot, the nearest first."""
    shot = locate.shot_at(source, number)
    if shot is None:
        end = timecode.source_timecode(source.timing, source.timing.num_frames - 1)
        raise UserError(
            f"{asked}: expected a time inside {source.film['film_id']}, which runs from "
            f"{timecode.source_timecode(source.timing, 0)} to {end}"
        )
    ids = locate.pictures_between(source, shot["first"], shot["end"])
    places = [p for i in ids if (p := locate.locate_picture(source, i))]
    places.sort(key=lambda p: abs(p["frame"] - number))
    here = sum(p["frame"] == number for p in places)
    how = (
        f"{source.film['film_id']} shot {shot['shot_index']}, frame {number} of the film "
        f"({timecode.source_timecode(source.timing, number)}); {_count(here)} of this frame, "
        f"{len(places)} of the shot"
    )
    return locate.make_answer(source, asked, how, places)


def _at_clip(clip: str, known: list[SourceFilm]) -> LocationAnswer:
    """Training pictures inside a clip of a timeline."""
    named = CLIP.fullmatch(clip)
    if not named:
        raise UserError(f"--clip: expected FILE#NUMBER, e.g. cut.edl#3, got {clip}; add the number")
    pieces = read.read_clips(Path(named["file"]).expanduser())
    found = [p for p in pieces if p.number == int(named["number"])]
    if not found:
        raise UserError(f"--clip {clip}: expected a clip number from 1 to {len(pieces)}")
    piece = found[0]
    mine = _film_of(piece, known)
    timing = mine.timing
    try:
        first, end = _span(piece, timing)
    except ValueError as error:
        raise UserError(f"--clip {clip}: {error}; does the clip belong to another film?") from error
    ids = locate.pictures_between(mine, first, end)
    places = [p for i in ids if (p := locate.locate_picture(mine, i))]
    ends = [s for n in (first, end - 1) if (s := locate.shot_at(mine, n))]
    shots = " to ".join(dict.fromkeys(str(s["shot_index"]) for s in ends))
    span = f"{timecode.source_timecode(timing, first)} to {timecode.source_timecode(timing, end)}"
    how = f"{mine.film['film_id']} shot {shots or 'none'}, {span}; {_count(len(places))}"
    return locate.make_answer(mine, clip, how, places)


def _film_of(piece: read.ReadClip, known: list[SourceFilm]) -> SourceFilm:
    """The film that a clip shows: as our comment says, else by the file's name."""
    for one in reversed(known):
        if piece.film_id == one.film["film_id"]:
            return one
    for one in reversed(known):
        if piece.file and piece.file == file_name(one.film["path"]):
            return one
    films = ", ".join(k.film["film_id"] for k in known)
    raise UserError(
        f"expected a clip of a known film ({films}), got {piece.film_id or piece.file}; "
        "give the --data-dir of that film"
    )


def _span(piece: read.ReadClip, timing: timecode.FrameGrid) -> tuple[int, int]:
    """A clip's part on the grid."""
    if piece.labels:
        return timecode.from_source_timecode(
            timing, piece.labels[0]
        ), timecode.from_source_timecode(timing, piece.labels[1])
    if piece.seconds is None:
        raise ValueError(f"clip {piece.number}: expected labels or seconds, found neither")
    first, end = (int(s * timing.rate + timecode.HALF) for s in piece.seconds)
    return first, end


def _find_picture(what: str, known: list[SourceFilm]) -> LocationAnswer:
    """Where a picture comes from."""
    tools = find_picture.PictureReaders(look=_picture_hash, provenance=_provenance)
    if found := find_picture.find_picture(what, known, tools):
        return found
    films = ", ".join(k.film["film_id"] for k in known)
    if not Path(what).expanduser().is_file():
        raise UserError(
            f"{what}: expected a picture, image_id, frame_id or FILM@TIMECODE, found no such file "
            f"and no such id in {films}; check the spelling"
        )
    raise UserError(
        f"{what}: expected a picture that comes from a known film, found neither it nor a similar "
        f"frame in {films}; give the --data-dir of its film"
    )


def _picture_hash(path: Path) -> picture_match.PictureHash | None:
    """What a picture is compared by, as stage extract measures frames; None: no picture."""
    import cv2
    import numpy as np

    from bunny.quality import luma, perceptual_hash, sharpness

    data = np.frombuffer(path.read_bytes() if path.exists() else b"", np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        return None
    grey = luma.to_luma(image)
    work = luma.shrink(crop_box(grey, luma.find_content(grey)), sharpness.WORKING_PX)
    return picture_match.PictureHash(
        phash=perceptual_hash.phash(work), signature=perceptual_hash.luma_signature(work)
    )


def _provenance(path: Path) -> dict[str, Any]:
    """What a drawn PNG says of itself; empty for other files."""
    from bunny.generation import provenance

    try:
        return provenance.read_provenance(path)
    except (OSError, ValueError, SyntaxError):  # PIL's, of files that are no picture
        return {}


def _count(number: int) -> str:
    return f"{number or 'no'} training picture{'s' * (number != 1)}"

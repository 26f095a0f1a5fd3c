"""`bunny where`: source frame of a picture, and training pictures of a place in the film."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from bunny.command import film_workspace
from bunny.core import workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.library.timeline import export_record, find_picture, locate, timecode
from bunny.library.timeline.clip import file_name
from bunny.library.timeline.locate import LocationAnswer, SourceFilm
from bunny.table import corrected, store

logger = logging.getLogger(__name__)

AT = re.compile(r"(?P<film>.*)@(?P<when>\d\d:\d\d:\d\d[:;.,]\d\d|\d+(?:\.\d+)?s?)")
TABLES = (
    "shot",
    "frame",
    "extra_frame",
    "dataset",
    "caption",
    "picture",
    "evaluation_picture",
    "adapter",
    "training_run",
    "training_pair",
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
        A picture file, an image_id, frame_id or pair_id, or ``FILM@01:00:12:05`` (source
        timecode) or ``FILM@12.5`` (second of the film).
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
            "expected exactly one of PICTURE, FILM@TIMECODE, --second and --clip; see `bunny "
            "where --help`"
        )
    if clip is not None:
        return locate.answer_clip(clip, _known(film, data_dir))
    if second is not None:
        source = _one(film, data_dir)
        return locate.answer_at(
            source, locate.number_at_second(source.timing, second), f"{second:g} s"
        )
    asked = str(what)  # the one that is given
    at = AT.fullmatch(asked)
    if at and not Path(asked).exists():
        source = _one(at["film"] or film, data_dir)
        return locate.answer_at(source, locate.number_at(source, at["when"]), asked)
    return find_picture.find_picture(asked, _known(film, data_dir))


def _known(film: str | None, data_dir: str | None) -> list[SourceFilm]:
    """Films with tables, newest last; those meant by `film` where it is given."""
    root, config = film_workspace.load_settings(data_dir, ())
    folder = config.project.data_dir
    spaces = workspace.find(root, folder, film or None)
    if not spaces and film:
        every = workspace.find(root, folder)  # by the name or path of the film's file
        spaces = [s for s in every if film in ((p := s.source()["film"]), file_name(p))]
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


def _source(space: Workspace) -> SourceFilm:
    """Tables of a film that places are looked up in."""
    tables = {name: store.read_or_empty(space.table, name) for name in TABLES}
    tables["label"] = corrected.read_or_empty(space.table, "label")
    tables["frame"] = locate.all_frames(tables["frame"], tables.pop("extra_frame"))
    film = film_workspace.film_row(space)
    return SourceFilm(
        root=space.root,
        film=film,
        timing=timecode.read_grid(film, tables["shot"]),
        tables=tables,
        timelines=export_record.read(space.root),
    )

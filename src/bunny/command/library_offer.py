"""`bunny library name --sheet`: pictures of what would be named in which film."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bunny.command import library_view
from bunny.command.library_reference import Offer
from bunny.core import atomic
from bunny.core.error import UserError
from bunny.view import contact_sheet
from bunny.view.tile import Tile


def write_sheet(
    offers: Sequence[Offer],
    path: Path,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Draw the best picture of each group that would get a name, film by film.

    Parameters
    ----------
    offers : sequence of Offer
    path : Path
        A PNG file.

    Raises
    ------
    UserError
        If `path` is a folder.
    """
    if path.is_dir():
        raise UserError(f"{path}: expected an output file, got a folder; give a file name in it")
    own = [one for one in offers if one.cluster]
    picture: dict[str, Tile] = {}
    for film_id in dict.fromkeys(one.film_id for one in own):
        picture |= library_view.best_pictures(film_id, data_dir, overrides)
    rows: dict[str, list[Tile]] = {}
    for one in own:
        found = picture.get(f"{one.film_id}/{one.cluster}")
        tile = Tile(
            file=None if found is None else found.file,
            box=None if found is None else found.box,
            title=f"{one.cluster}: {one.name}",
            note=one.describe(),
        )
        rows.setdefault(one.film_id, []).append(tile)
    atomic.write_bytes(path, contact_sheet.to_png(contact_sheet.rows(rows)))

"""Search results as HTML: shots, each with a strip of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core import safe_path
from bunny.table import store
from bunny.view import style, thumbnail, tile

CACHE = "thumbnail_search.parquet"  # in the film's folder; a cache: it may be deleted
PICTURES_A_SHOT = 5
STYLE = f"""<style>
.bunny-found {{font:14px/1.4 system-ui,sans-serif;display:grid;gap:10px;margin:8px 0}}
.bunny-shot {{font:14px/1.4 system-ui,sans-serif;display:flex;flex-wrap:wrap;gap:4px 14px;
 align-items:center;padding:8px;
 border:1px solid color-mix(in srgb,currentColor 18%,transparent);border-radius:8px}}
.bunny-shot .strip {{display:flex;gap:3px;flex:none;min-width:min(532px,100%)}}
.bunny-shot img {{width:104px;height:62px;object-fit:cover;border-radius:3px;
 border-bottom:3px solid transparent}}
.bunny-shot img.matched {{border-bottom-color:{style.GOOD}}}
.bunny-shot .said {{min-width:14em;flex:1}}
.bunny-shot small {{opacity:.7}}
.bunny-shot meter {{width:60px;height:8px}}
</style>"""


def page(
    shots: pl.DataFrame, root: Mapping[str, Path], question: str, notes: Sequence[str] = ()
) -> str:
    """A whole page that stands alone: its pictures are inside."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Found shots</title>'
        '<meta name="viewport" content="width=device-width">'
        '<body style="max-width:1100px;margin:24px auto;padding:0 16px;color-scheme:light dark">'
        f"{strips(shots, root, question, notes)}</body></html>"
    )


def strips(
    shots: pl.DataFrame, root: Mapping[str, Path], question: str = "", notes: Sequence[str] = ()
) -> str:
    """One block a shot, the best first.

    Parameters
    ----------
    shots : pl.DataFrame
        Columns of `library.search.ranking.SHOTS`.
    root : mapping of film_id to Path
        Folders of the films.
    question : str
        What was asked; stands above.
    """
    pictures = strip_pictures(shots, root)
    num = f"{shots.height} shot{'s' * (shots.height != 1)}"
    head = f"<b>{escape(question)}</b>: {num}" if question else ""
    said = "".join(f"<small>{escape(note)}</small>" for note in notes)
    has_films = shots["film_id"].n_unique() > 1
    blocks = "".join(
        block(row, pictures[row["film_id"], row["shot_index"]], has_film=has_films)
        for row in shots.iter_rows(named=True)
    )
    return f'{STYLE}<div class="bunny-found"><div>{head}</div>{said}{blocks}</div>'


def block(
    row: Mapping[str, Any], pictures: Sequence[tuple[str, str, bool]], *, has_film: bool
) -> str:
    """One shot: pictures, when, who, why.

    Parameters
    ----------
    row : mapping
        Of `library.search.ranking.SHOTS`.
    has_film : bool
        Whether the film is named.
    """
    images = "".join(
        f'<img src="{uri}" alt="{escape(at)}" title="{escape(at)}"'
        f"{' class=matched' if is_matched else ''}>"
        for uri, at, is_matched in pictures
    )
    film = f"{escape(row['film_id'])}, " if has_film else ""
    who = escape(", ".join(row["who"]) or "no known character")
    span = f"{style.clock(row['start_s'])} to {style.clock(row['end_s'])}"
    return (
        f'<div class="bunny-shot"><div class="strip">{images}</div><div class="said">'
        f"<b>{film}shot {row['shot_index']}</b> {span}, at <b>{row['matched_s']:.1f} s</b><br>"
        f"{who}{_place(row)}<br><meter min=0 max=1 value={row['score']:.3f}></meter> "
        f"{row['score']:.2f} <small>{escape(row['why'] or '')}</small></div></div>"
    )


def strip_pictures(
    shots: pl.DataFrame, root: Mapping[str, Path]
) -> dict[tuple[str, int], list[tuple[str, str, bool]]]:
    """Small pictures of each shot in order of time, the one that matched among them.

    Returns
    -------
    dict
        From film_id and shot_index to (data URI, time, whether it matched).
    """
    found: dict[tuple[str, int], list[tuple[str, str, bool]]] = {}
    for (film_id,), own in shots.group_by("film_id", maintain_order=True):
        frame = store.read(root[film_id] / "table", "frame").drop_nulls("file")
        frame = frame.join(own.select("shot_index"), on="shot_index", how="semi")
        chosen = {row["shot_index"]: _choose(frame, row) for row in own.iter_rows(named=True)}
        tiles = {
            r["frame_id"]: tile.Tile(file=safe_path.join(root[film_id], r["file"]))
            for rows in chosen.values()
            for r in rows
        }
        uris = thumbnail.load(root[film_id] / CACHE, tiles) if tiles else {}
        matched = dict(own.select("shot_index", "file").iter_rows())
        for number, rows in chosen.items():
            found[film_id, number] = [
                (uris[r["frame_id"]], style.clock(r["timestamp_s"]), r["file"] == matched[number])
                for r in rows
            ]
    return found


def _choose(frame: pl.DataFrame, row: Mapping[str, Any]) -> list[dict]:
    """Pictures spread over a shot; the nearest to the one that matched gives way to it."""
    own = frame.filter(pl.col("shot_index") == row["shot_index"]).sort("timestamp_s").to_dicts()
    chosen = tile.spread(own, PICTURES_A_SHOT)
    matched = next((r for r in own if r["file"] == row["file"]), None)
    if matched is None or matched in chosen:
        return chosen
    nearest = min(chosen, key=lambda r: abs(r["timestamp_s"] - matched["timestamp_s"]))
    kept = [r for r in chosen if r is not nearest] + [matched]
    return sorted(kept, key=lambda r: r["timestamp_s"])


def _place(row: Mapping[str, Any]) -> str:
    return f" · {escape(row['place'])}" if row["place"] else ""
